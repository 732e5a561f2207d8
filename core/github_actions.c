#include <stdio.h>
#include <string.h>

#include "github_internal.h"
#include "prgate/text.h"

/* By how much GitHub's clock may be behind ours: a run may seem older than the request for it. */
enum { CLOCK_SLACK_S = 300 };

/* ---- dispatches ---- */

static enum err_code dispatch(struct github *github, const char *rest, const cJSON *body, struct err *err)
{
    struct buf url;
    buf_init(&url);
    github_add_repo(github, &url);
    buf_adds(&url, rest);
    struct github_ask ask = {.method = "POST", .url = buf_text(&url), .body = body, .once = true};
    enum err_code code = github_write(github, &ask, NULL, err);
    buf_release(&url);
    return code;
}

/* Adds `json`, which must be an object, as a member. */
static enum err_code add_object(cJSON *body, const char *name, const char *json, struct err *err)
{
    cJSON *object = cJSON_Parse(json);
    if (!cJSON_IsObject(object)) {
        cJSON_Delete(object);
        return err_set(err, ERR_REJECT, 0, "the %s of a dispatch is not a JSON object", name);
    }
    cJSON_AddItemToObject(body, name, object);
    return ERR_OK;
}

enum err_code github_repository_dispatch(struct github *github, const char *event_type, const char *payload,
                                         struct err *err)
{
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "event_type", event_type);
    enum err_code code = add_object(body, "client_payload", payload, err);
    if (code == ERR_OK)
        code = dispatch(github, "/dispatches", body, err);
    cJSON_Delete(body);
    return code;
}

enum err_code github_workflow_dispatch(struct github *github, const char *workflow, const char *ref,
                                       const char *inputs, struct err *err)
{
    cJSON *body = cJSON_CreateObject();
    struct buf rest;
    buf_init(&rest);
    buf_adds(&rest, "/actions/workflows/");
    text_add_url(&rest, workflow);
    buf_adds(&rest, "/dispatches");
    cJSON_AddStringToObject(body, "ref", ref);
    enum err_code code = add_object(body, "inputs", inputs, err);
    if (code == ERR_OK)
        code = dispatch(github, buf_text(&rest), body, err);
    cJSON_Delete(body);
    buf_release(&rest);
    return code;
}

/* ---- runs ---- */

struct run_search {
    const char *key;
    bool found;
};

static enum github_seen seek_run(void *arg, const cJSON *run)
{
    struct run_search *search = arg;
    const char *title = github_json_text(run, "display_title");
    if (title == NULL)
        return GITHUB_ODD;
    search->found = strstr(title, search->key) != NULL;
    return search->found ? GITHUB_ENOUGH : GITHUB_GO_ON;
}

static void add_runs_url(const struct github *github, struct buf *url, const char *event, int64_t since)
{
    char created[TEXT_TIME_SIZE];
    text_from_time(since - CLOCK_SLACK_S, created);
    github_add_repo(github, url);
    buf_adds(url, "/actions/runs?event=");
    text_add_url(url, event);
    buf_adds(url, "&created=");
    text_add_url(url, ">=");
    text_add_url(url, created);
    buf_adds(url, "&per_page=100");
}

enum err_code github_find_run(struct github *github, const char *event, const char *key, int64_t since,
                              bool *out, struct err *err)
{
    struct run_search search = {.key = key};
    struct buf url;
    buf_init(&url);
    add_runs_url(github, &url, event, since);
    struct github_list list = {.url = buf_text(&url),
                               .member = "workflow_runs",
                               .odd = "a run without display_title",
                               .item = seek_run,
                               .arg = &search};
    enum err_code code = github_each(github, &list, err);
    if (code == ERR_OK)
        *out = search.found;
    buf_release(&url);
    return code;
}
