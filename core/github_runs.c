/* Runs of GitHub Actions: listing, cancelling, approving. */
#include <inttypes.h>
#include <string.h>

#include "github_internal.h"
#include "prgate/text.h"

/* By how much GitHub's clock may be behind ours: a run may seem older than the request for it. */
enum { CLOCK_SLACK_S = 300 };

struct each {
    github_run_fn *fn;
    void *arg;
};

/* For a pull request from a fork the list is empty, and nothing is known then; nor where it names several. */
static uint64_t only_pull(const cJSON *run)
{
    uint64_t number = 0;
    const cJSON *pulls = tree_find(run, "pull_requests");
    if (!cJSON_IsArray(pulls) || cJSON_GetArraySize(pulls) != 1 ||
        !github_json_u64(pulls->child, "number", &number))
        return 0;
    return number;
}

static enum github_seen see_run(void *arg, const cJSON *item)
{
    const struct each *each = arg;
    struct github_run run = {.title = github_json_text(item, "display_title"), .pull = only_pull(item)};
    const char *status = github_json_text(item, "status");
    const char *conclusion = github_json_text(item, "conclusion");
    if (run.title == NULL || status == NULL || !github_json_id(item, "id", &run.id))
        return GITHUB_ODD;
    /* A run that waits for somebody's approval counts as completed to GitHub, and can be approved. */
    bool waits = conclusion != NULL && strcmp(conclusion, "action_required") == 0;
    run.completed = strcmp(status, "completed") == 0 && !waits;
    return each->fn(each->arg, &run) ? GITHUB_GO_ON : GITHUB_ENOUGH;
}

static void add_query(struct buf *url, const char *name, const char *value)
{
    buf_addf(url, "&%s=", name);
    text_add_url(url, value);
}

enum err_code github_each_run(struct github *github, const struct github_run_filter *filter,
                              github_run_fn *fn, void *arg, struct err *err)
{
    struct each each = {.fn = fn, .arg = arg};
    struct buf url;
    buf_init(&url);
    github_add_repo(github, &url);
    buf_adds(&url, "/actions/runs?per_page=100");
    add_query(&url, "event", filter->event);
    if (filter->sha != NULL)
        add_query(&url, "head_sha", filter->sha->hex);
    if (filter->status != NULL)
        add_query(&url, "status", filter->status);
    if (filter->since != 0) {
        char created[sizeof ">=" + TEXT_TIME_SIZE] = ">=";
        text_from_time(filter->since - CLOCK_SLACK_S, created + 2);
        add_query(&url, "created", created);
    }
    struct github_list list = {.url = buf_text(&url),
                               .member = "workflow_runs",
                               .odd = "a run without id, status or display_title",
                               .long_ids = true,
                               .item = see_run,
                               .arg = &each};
    enum err_code code = github_each(github, &list, err);
    buf_release(&url);
    return code;
}

static enum err_code post_to_run(struct github *github, uint64_t run, const char *what, struct err *err)
{
    struct buf url;
    buf_init(&url);
    github_add_repo(github, &url);
    buf_addf(&url, "/actions/runs/%" PRIu64 "/%s", run, what);
    struct github_ask ask = {.method = "POST", .url = buf_text(&url)};
    enum err_code code = github_write(github, &ask, NULL, err);
    buf_release(&url);
    return code;
}

enum err_code github_cancel_run(struct github *github, uint64_t run, struct err *err)
{
    struct err cause = {0};
    enum err_code code = post_to_run(github, run, "cancel", &cause);
    bool ended = (code == ERR_REJECT && cause.number == 409) || (code == ERR_NOT_FOUND && cause.number != 0);
    if (code == ERR_OK || ended)
        return ERR_OK;
    if (err != NULL)
        *err = cause;
    return code;
}

enum err_code github_approve_run(struct github *github, uint64_t run, struct err *err)
{
    return post_to_run(github, run, "approve", err);
}
