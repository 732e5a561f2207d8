#include <inttypes.h>
#include <string.h>

#include "github_internal.h"
#include "prgate/text.h"

static void add_pull(const struct github *github, struct buf *url, uint64_t number, const char *rest)
{
    github_add_repo(github, url);
    buf_addf(url, "/pulls/%" PRIu64 "%s", number, rest);
}

/* ---- files ---- */

struct file_list {
    github_file_fn *fn;
    void *arg;
};

static enum github_seen see_file(void *arg, const cJSON *item)
{
    const struct file_list *list = arg;
    struct patch_file file = {.name = github_json_text(item, "filename"),
                              .status = github_json_text(item, "status"),
                              .patch = github_json_text(item, "patch")};
    if (file.name == NULL || file.status == NULL || !github_json_u64(item, "additions", &file.additions) ||
        !github_json_u64(item, "deletions", &file.deletions))
        return GITHUB_ODD;
    return list->fn(list->arg, &file) ? GITHUB_GO_ON : GITHUB_ENOUGH;
}

enum err_code github_each_file(struct github *github, uint64_t number, github_file_fn *fn, void *arg,
                               struct err *err)
{
    struct file_list files = {.fn = fn, .arg = arg};
    struct buf url;
    buf_init(&url);
    add_pull(github, &url, number, "/files?per_page=100");
    struct github_list list = {.url = buf_text(&url),
                               .odd = "a file without name, status or counts",
                               .item = see_file,
                               .arg = &files};
    enum err_code code = github_each(github, &list, err);
    buf_release(&url);
    return code;
}

/* ---- changing the pull request ---- */

static enum err_code change_pull(struct github *github, uint64_t number, const char *member,
                                 const char *value, struct err *err)
{
    cJSON *body = cJSON_CreateObject();
    struct buf url;
    buf_init(&url);
    add_pull(github, &url, number, "");
    cJSON_AddStringToObject(body, member, value);
    struct github_ask ask = {.method = "PATCH", .url = buf_text(&url), .body = body};
    enum err_code code = github_write(github, &ask, NULL, err);
    cJSON_Delete(body);
    buf_release(&url);
    return code;
}

enum err_code github_set_base(struct github *github, uint64_t number, const char *base, struct err *err)
{
    return change_pull(github, number, "base", base, err);
}

enum err_code github_close_pull(struct github *github, uint64_t number, struct err *err)
{
    return change_pull(github, number, "state", "closed", err);
}

/* ---- reviews ---- */

struct review_search {
    const struct sha *sha;
    const char *my_login;
    bool found;
};

/* One that was dismissed since is an approval no more, and somebody's decision: it is not made again. */
static enum github_seen seek_review(void *arg, const cJSON *item)
{
    struct review_search *search = arg;
    const char *state = github_json_text(item, "state");
    const char *commit = github_json_text(item, "commit_id");
    const char *login = github_json_text(item, "user.login");
    if (state == NULL)
        return GITHUB_ODD;
    bool approved = strcmp(state, "APPROVED") == 0 || strcmp(state, "DISMISSED") == 0;
    search->found = approved && commit != NULL && strcmp(commit, search->sha->hex) == 0 && login != NULL &&
                    text_equal_fold(login, search->my_login);
    return search->found ? GITHUB_ENOUGH : GITHUB_GO_ON;
}

static enum err_code has_review(struct github *github, uint64_t number, const struct sha *sha, bool *out,
                                struct err *err)
{
    struct user me = {0};
    struct review_search search = {.sha = sha, .my_login = me.login};
    enum err_code code = github_whoami(github, &me, err);
    if (code != ERR_OK)
        return code;
    struct buf url;
    buf_init(&url);
    add_pull(github, &url, number, "/reviews?per_page=100");
    struct github_list list = {
        .url = buf_text(&url), .odd = "a review without state", .item = seek_review, .arg = &search};
    code = github_each(github, &list, err);
    if (code == ERR_OK)
        *out = search.found;
    buf_release(&url);
    return code;
}

static enum err_code post_approval(struct github *github, uint64_t number, const struct sha *sha,
                                   const char *text, struct err *err)
{
    cJSON *body = cJSON_CreateObject();
    struct buf url;
    buf_init(&url);
    add_pull(github, &url, number, "/reviews");
    cJSON_AddStringToObject(body, "event", "APPROVE");
    cJSON_AddStringToObject(body, "commit_id", sha->hex);
    cJSON_AddStringToObject(body, "body", text);
    struct github_ask ask = {.method = "POST", .url = buf_text(&url), .body = body, .once = true};
    enum err_code code = github_write(github, &ask, NULL, err);
    cJSON_Delete(body);
    buf_release(&url);
    return code;
}

/* A crash between looking and posting repeats both; after posting, the next look finds it. */
enum err_code github_approve_once(struct github *github, uint64_t number, const struct sha *sha,
                                  const char *text, struct err *err)
{
    enum err_code code = ERR_OK;
    bool found = false;
    if (github_can_read(github))
        code = has_review(github, number, sha, &found, err);
    if (code == ERR_OK && !found)
        code = post_approval(github, number, sha, text, err);
    return code;
}

/* ---- labels ---- */

struct label_filter {
    cJSON *missing; /* an array of names */
};

static enum github_seen cross_out(void *arg, const cJSON *item)
{
    const struct label_filter *filter = arg;
    const char *name = github_json_text(item, "name");
    if (name == NULL)
        return GITHUB_ODD;
    for (int i = cJSON_GetArraySize(filter->missing); i-- > 0;)
        if (text_equal_fold(cJSON_GetArrayItem(filter->missing, i)->valuestring, name))
            cJSON_DeleteItemFromArray(filter->missing, i);
    return cJSON_GetArraySize(filter->missing) == 0 ? GITHUB_ENOUGH : GITHUB_GO_ON;
}

enum err_code github_add_labels(struct github *github, uint64_t number, const char *const *names,
                                size_t count, struct err *err)
{
    cJSON *body = cJSON_CreateObject();
    struct label_filter filter = {.missing = cJSON_AddArrayToObject(body, "labels")};
    enum err_code code = ERR_OK;
    struct buf url;
    buf_init(&url);
    github_add_repo(github, &url);
    buf_addf(&url, "/issues/%" PRIu64 "/labels", number);
    size_t bare = url.len;
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(filter.missing, cJSON_CreateString(names[i]));
    if (github_can_read(github)) {
        buf_adds(&url, "?per_page=100");
        struct github_list list = {
            .url = buf_text(&url), .odd = "a label without name", .item = cross_out, .arg = &filter};
        code = github_each(github, &list, err);
        url.len = bare;
    }
    if (code == ERR_OK && cJSON_GetArraySize(filter.missing) > 0) {
        struct github_ask ask = {.method = "POST", .url = buf_text(&url), .body = body};
        code = github_write(github, &ask, NULL, err);
    }
    cJSON_Delete(body);
    buf_release(&url);
    return code;
}
