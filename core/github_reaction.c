#include <inttypes.h>

#include "github_internal.h"

/* What is there already stays, and is no error: 200 in place of 201. */
enum err_code github_react(struct github *github, uint64_t comment, const char *content, struct err *err)
{
    cJSON *body = cJSON_CreateObject();
    struct buf url;
    buf_init(&url);
    github_add_repo(github, &url);
    buf_addf(&url, "/issues/comments/%" PRIu64 "/reactions", comment);
    cJSON_AddStringToObject(body, "content", content);
    struct github_ask ask = {.method = "POST", .url = buf_text(&url), .body = body};
    enum err_code code = github_write(github, &ask, NULL, err);
    cJSON_Delete(body);
    buf_release(&url);
    return code;
}
