#include <inttypes.h>
#include <string.h>

#include "github_internal.h"
#include "prgate/key.h"
#include "prgate/text.h"

enum { DESCRIPTION_MAX = 140 }; /* characters that GitHub takes for a status */

/* What is on the commit already. */
struct check_search {
    const struct github_check *check;
    uint64_t app_id;
    bool found;
    uint64_t id;    /* check runs: the newest one's */
    bool completed; /* it says: done */
    bool same;      /* it says all that `check` says */
};

static bool text_is(const cJSON *object, const char *path, const char *want)
{
    const char *text = github_json_text(object, path);
    return strcmp(text == NULL ? "" : text, want) == 0;
}

/* Without one of our own GitHub puts an address of its choice there, so "" asks for nothing. */
static bool link_is(const cJSON *object, const char *path, const char *want)
{
    return want[0] == '\0' || text_is(object, path, want);
}

/* A check that is done stays done: a late event about an earlier state must not close the gate again. */
static bool is_settled(const struct check_search *search)
{
    return search->found && (search->same || (search->completed && !search->check->completed));
}

/* ---- check runs ---- */

static bool run_is_same(const cJSON *run, const struct github_check *check)
{
    bool done = text_is(run, "status", "completed") && text_is(run, "conclusion", "success");
    bool waiting = text_is(run, "status", "in_progress");
    return (check->completed ? done : waiting) && text_is(run, "output.title", check->title) &&
           text_is(run, "output.summary", check->summary) &&
           text_is(run, "external_id", check->external_id) && link_is(run, "details_url", check->details_url);
}

/* Other Apps may use the name, too; and of several of our own the newest is what GitHub shows. */
static enum github_seen seek_run(void *arg, const cJSON *run)
{
    struct check_search *search = arg;
    uint64_t id;
    uint64_t app_id;
    if (!github_json_u64(run, "id", &id) || github_json_text(run, "name") == NULL)
        return GITHUB_ODD;
    if (!text_is(run, "name", search->check->name) || !github_json_u64(run, "app.id", &app_id) ||
        app_id != search->app_id || (search->found && id < search->id))
        return GITHUB_GO_ON;
    search->found = true;
    search->id = id;
    search->completed = text_is(run, "status", "completed");
    search->same = run_is_same(run, search->check);
    return GITHUB_GO_ON;
}

static enum err_code find_run(struct github *github, struct check_search *search, struct err *err)
{
    struct buf url;
    buf_init(&url);
    github_add_repo(github, &url);
    buf_addf(&url, "/commits/%s/check-runs?check_name=", search->check->sha.hex);
    text_add_url(&url, search->check->name);
    buf_addf(&url, "&filter=latest&app_id=%" PRIu64 "&per_page=100", search->app_id);
    struct github_list list = {.url = buf_text(&url),
                               .member = "check_runs",
                               .odd = "a check run without id or name",
                               .item = seek_run,
                               .arg = search};
    enum err_code code = github_each(github, &list, err);
    buf_release(&url);
    return code;
}

/*
 * GitHub keeps the buttons that a run has until others are sent, and shows them in no reply: what can be compared is
 * only whether the run waits or is done, and each time that changes, they are sent.
 */
static void add_buttons(cJSON *body, const struct github_check *check)
{
    cJSON *actions = cJSON_AddArrayToObject(body, "actions");
    if (check->completed || !check->has_button)
        return;
    cJSON *action = cJSON_CreateObject();
    cJSON_AddStringToObject(action, "label", "Approve CI");
    cJSON_AddStringToObject(action, "description", "Start CI for exactly this commit");
    cJSON_AddStringToObject(action, "identifier", APPROVE_BUTTON_ID);
    cJSON_AddItemToArray(actions, action);
}

static cJSON *run_body(const struct github *github, const struct github_check *check)
{
    char now[TEXT_TIME_SIZE];
    cJSON *body = cJSON_CreateObject();
    cJSON_AddStringToObject(body, "name", check->name);
    cJSON_AddStringToObject(body, "status", check->completed ? "completed" : "in_progress");
    cJSON_AddStringToObject(body, "external_id", check->external_id);
    if (check->completed) {
        text_from_time(github_now_s(github), now);
        cJSON_AddStringToObject(body, "conclusion", "success");
        cJSON_AddStringToObject(body, "completed_at", now);
    }
    if (check->details_url[0] != '\0')
        cJSON_AddStringToObject(body, "details_url", check->details_url);
    cJSON *output = cJSON_AddObjectToObject(body, "output");
    cJSON_AddStringToObject(output, "title", check->title);
    cJSON_AddStringToObject(output, "summary", check->summary);
    add_buttons(body, check);
    return body;
}

/* What the reply says is of use, and no reason to take what was done for not done. */
static void note_id(struct github *github, const struct github_ask *ask, const struct http_reply *reply,
                    const struct github_check *check)
{
    struct err ignored;
    cJSON *run = NULL;
    if (check->written_id != NULL && github_parse(github, ask, reply, &run, &ignored) == ERR_OK)
        github_json_u64(run, "id", check->written_id);
    tree_free(run);
}

static enum err_code send_run(struct github *github, const struct github_ask *ask,
                              const struct github_check *check, struct err *err)
{
    struct http_reply reply;
    if (github->config->dry_run)
        return github_write(github, ask, NULL, err);
    http_reply_init(&reply);
    enum err_code code = github_fetch(github, ask, &reply, err);
    if (code == ERR_OK)
        note_id(github, ask, &reply, check);
    http_reply_release(&reply);
    return code;
}

static enum err_code write_run(struct github *github, const struct check_search *search, struct err *err)
{
    cJSON *body = run_body(github, search->check);
    struct buf url;
    buf_init(&url);
    github_add_repo(github, &url);
    buf_adds(&url, "/check-runs");
    if (search->found)
        buf_addf(&url, "/%" PRIu64, search->id);
    else
        cJSON_AddStringToObject(body, "head_sha", search->check->sha.hex);
    struct github_ask ask = {.method = search->found ? "PATCH" : "POST",
                             .url = buf_text(&url),
                             .body = body,
                             .once = !search->found};
    enum err_code code = send_run(github, &ask, search->check, err);
    cJSON_Delete(body);
    buf_release(&url);
    return code;
}

/* Without a look. ERR_NOT_FOUND: it takes one. */
static enum err_code write_known_run(struct github *github, const struct github_check *check, struct err *err)
{
    struct check_search known = {.check = check, .found = check->id != 0, .id = check->id};
    if (!check->completed || (check->id == 0 && !check->is_first))
        return ERR_NOT_FOUND;
    enum err_code code = write_run(github, &known, err);
    /* It may be gone, or of an App that was configured before. */
    return code == ERR_REJECT && known.found ? ERR_NOT_FOUND : code;
}

/* ---- commit statuses ---- */

/* The first DESCRIPTION_MAX characters; a character ends where no continuation byte follows. */
static void add_description(struct buf *out, const char *title)
{
    size_t characters = 0;
    for (const char *at = title; *at != '\0'; at++) {
        bool starts = ((unsigned char)*at & 0xc0) != 0x80;
        if (starts && ++characters > DESCRIPTION_MAX)
            break;
        buf_addc(out, *at);
    }
}

static bool status_is_same(const cJSON *status, const struct github_check *check)
{
    struct buf description;
    buf_init(&description);
    add_description(&description, check->title);
    bool same = text_is(status, "state", check->completed ? "success" : "pending") &&
                text_is(status, "description", buf_text(&description)) &&
                link_is(status, "target_url", check->details_url);
    buf_release(&description);
    return same;
}

/* Newest first: the first of our context is the one that counts. */
static enum github_seen seek_status(void *arg, const cJSON *status)
{
    struct check_search *search = arg;
    const char *context = github_json_text(status, "context");
    if (context == NULL || github_json_text(status, "state") == NULL)
        return GITHUB_ODD;
    if (!text_equal_fold(context, search->check->name))
        return GITHUB_GO_ON;
    search->found = true;
    search->completed = text_is(status, "state", "success");
    search->same = status_is_same(status, search->check);
    return GITHUB_ENOUGH;
}

static enum err_code find_status(struct github *github, struct check_search *search, struct err *err)
{
    struct buf url;
    buf_init(&url);
    github_add_repo(github, &url);
    buf_addf(&url, "/commits/%s/statuses?per_page=100", search->check->sha.hex);
    struct github_list list = {.url = buf_text(&url),
                               .odd = "a status without context or state",
                               .item = seek_status,
                               .arg = search};
    enum err_code code = github_each(github, &list, err);
    buf_release(&url);
    return code;
}

static enum err_code write_status(struct github *github, const struct github_check *check, struct err *err)
{
    cJSON *body = cJSON_CreateObject();
    struct buf description;
    struct buf url;
    buf_init(&description);
    buf_init(&url);
    add_description(&description, check->title);
    github_add_repo(github, &url);
    buf_addf(&url, "/statuses/%s", check->sha.hex);
    cJSON_AddStringToObject(body, "state", check->completed ? "success" : "pending");
    cJSON_AddStringToObject(body, "context", check->name);
    cJSON_AddStringToObject(body, "description", buf_text(&description));
    if (check->details_url[0] != '\0')
        cJSON_AddStringToObject(body, "target_url", check->details_url);
    struct github_ask ask = {.method = "POST", .url = buf_text(&url), .body = body};
    enum err_code code = github_write(github, &ask, NULL, err);
    cJSON_Delete(body);
    buf_release(&url);
    buf_release(&description);
    return code;
}

/* ---- either ---- */

/* Only an App may make check runs. A dry run without credentials shows what an App would do. */
static bool uses_runs(const struct github *github)
{
    return config_credentials(github->config) == CREDENTIALS_APP || !github_can_read(github);
}

static enum err_code put_run(struct github *github, const struct github_check *check, struct err *err)
{
    struct check_search search = {.check = check, .app_id = github->config->app_id};
    enum err_code code = write_known_run(github, check, err);
    if (code != ERR_NOT_FOUND)
        return code;
    code = github_can_read(github) ? find_run(github, &search, err) : ERR_OK;
    if (code == ERR_OK && search.found && check->written_id != NULL)
        *check->written_id = search.id;
    return code != ERR_OK || is_settled(&search) ? code : write_run(github, &search, err);
}

/* One more of the same does no harm: the newest of a context counts. But only one that is done is sure to be right. */
static enum err_code put_status(struct github *github, const struct github_check *check, struct err *err)
{
    struct check_search search = {.check = check};
    enum err_code code = ERR_OK;
    if (github_can_read(github) && !(check->completed && check->untried))
        code = find_status(github, &search, err);
    return code != ERR_OK || is_settled(&search) ? code : write_status(github, check, err);
}

enum err_code github_put_check(struct github *github, const struct github_check *check, struct err *err)
{
    return uses_runs(github) ? put_run(github, check, err) : put_status(github, check, err);
}
