#include "prgate/github_app.h"

#include <string.h>

#include "github_internal.h"
#include "prgate/text.h"

static enum err_code read_grants(struct github *github, const char *url, github_grant_fn *fn, void *arg,
                                 struct err *err)
{
    struct github_ask ask = {.method = "GET", .url = url};
    cJSON *reply = NULL;
    const cJSON *item;
    enum err_code code = github_read(github, GITHUB_ROLE_APP, url, &reply, err);
    if (code != ERR_OK)
        return code;
    const cJSON *permissions = tree_find(reply, "permissions"), *events = tree_find(reply, "events");
    if (!cJSON_IsObject(permissions) || !cJSON_IsArray(events)) {
        code = github_odd_reply(github, &ask, "no permissions, or no events", err);
    } else {
        cJSON_ArrayForEach(item, permissions)
        {
            if (cJSON_IsString(item))
                fn(arg, item->string, item->valuestring);
        }
        cJSON_ArrayForEach(item, events)
        {
            if (cJSON_IsString(item))
                fn(arg, item->valuestring, NULL);
        }
    }
    tree_free(reply);
    return code;
}

enum err_code github_each_app_grant(struct github *github, github_grant_fn *fn, void *arg, struct err *err)
{
    struct buf url;
    buf_init(&url);
    github_add_api(github, &url);
    buf_adds(&url, "/app");
    enum err_code code = read_grants(github, buf_text(&url), fn, arg, err);
    buf_release(&url);
    return code;
}

enum err_code github_each_installation_grant(struct github *github, github_grant_fn *fn, void *arg,
                                             struct err *err)
{
    struct buf url;
    buf_init(&url);
    github_add_repo(github, &url);
    buf_adds(&url, "/installation");
    enum err_code code = read_grants(github, buf_text(&url), fn, arg, err);
    buf_release(&url);
    return code;
}

/* "0" or "1", or the number. */
static bool is_set(const cJSON *reply, const char *name)
{
    const cJSON *item = tree_find(reply, name);
    return (cJSON_IsString(item) && strcmp(item->valuestring, "0") != 0) ||
           (cJSON_IsNumber(item) && item->valuedouble != 0);
}

enum err_code github_get_app_hook(struct github *github, struct github_hook_config *out, struct err *err)
{
    struct buf url;
    cJSON *reply = NULL;
    *out = (struct github_hook_config){.has_secret = false};
    buf_init(&url);
    github_add_api(github, &url);
    buf_adds(&url, "/app/hook/config");
    enum err_code code = github_read(github, GITHUB_ROLE_APP, buf_text(&url), &reply, err);
    if (code == ERR_OK) {
        const char *where = github_json_text(reply, "url"), *type = github_json_text(reply, "content_type");
        const char *secret = github_json_text(reply, "secret");
        text_copy_cut(out->url, sizeof out->url, where == NULL ? "" : where);
        text_copy_cut(out->content_type, sizeof out->content_type, type == NULL ? "" : type);
        out->has_secret = secret != NULL && secret[0] != '\0';
        out->insecure = is_set(reply, "insecure_ssl");
    }
    tree_free(reply);
    buf_release(&url);
    return code;
}
