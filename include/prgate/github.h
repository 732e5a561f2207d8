/*
 * github: GitHub's REST API as far as a gate needs it, one function per step.
 * The only module that knows the JSON of GitHub's replies.
 *
 *     struct github *github;
 *     github_open(&github, config, http, tokens, &err);
 *     github_use(github, "flutter/flutter", installation);
 *     if (github_get_pull(github, 42, policy, &snapshot, &err) == ERR_OK)
 *         ...;
 *     github_close(github);
 *
 * Errors, for every function:
 *   ERR_RETRY      the call had no effect and may be repeated: no connection,
 *                  429, 403 by a rate limit, 401 by an expired token, 408, 503;
 *                  retry_at_ms from Retry-After or x-ratelimit-reset
 *   ERR_UNKNOWN    it may have taken effect: time-out, connection lost, any other 5xx
 *                  (for reading calls these are ERR_RETRY: reading has no effect)
 *   ERR_NOT_FOUND  404, 410
 *   ERR_REJECT     any other 3xx or 4xx, or a reply that is not what GitHub documents;
 *                  err.number is the status (0: none) and the text GitHub's own message.
 *                  Also bad credentials (401), and an App that is not installed (404)
 * One handle belongs to one thread at a time.
 *
 * In a dry run, calls that write are not made: they are logged and reported to
 * `github_on_call`, and return ERR_OK. (Minting an installation token is no write: reading
 * needs it.) Without credentials, reading calls are not made either and
 * return ERR_NOT_FOUND with err.number 0: ask github_can_read() first.
 */
#ifndef PRGATE_GITHUB_H
#define PRGATE_GITHUB_H

#include <stdbool.h>
#include <stdint.h>

#include "prgate/config.h"
#include "prgate/err.h"
#include "prgate/http.h"
#include "prgate/patch.h"
#include "prgate/pr.h"

struct github;

/*
 * Where installation tokens are kept, so that all processes of a pool share one.
 * `get` fills `token` (ERR_NOT_FOUND: none) and its expiry in Unix seconds.
 * `put` stores it. `lease` is true for one process at a time: that one mints. The
 * lease must end by itself, with `put` or some seconds later: whoever holds it may
 * fail to mint, or die, and says nothing then.
 */
enum { GITHUB_TOKEN_SIZE = 512 };
struct github_tokens {
    void *arg;
    enum err_code (*get)(void *arg, uint64_t installation, char token[GITHUB_TOKEN_SIZE], int64_t *expires_at,
                         struct err *err);
    enum err_code (*put)(void *arg, uint64_t installation, const char *token, int64_t expires_at,
                         struct err *err);
    bool (*lease)(void *arg, uint64_t installation);
};

/* One call, made or (dry run) only shown. Strings are borrowed for the duration of the callback. */
struct github_call {
    const char *method;
    const char *url;
    const char *body; /* NULL: none */
    int status;       /* 0: no reply */
    int64_t duration_ms;
    int64_t rate_limit; /* -1: not told, as the next two */
    int64_t rate_remaining;
    int64_t rate_reset;
    bool dry_run;
};
typedef void github_call_fn(void *arg, const struct github_call *call);

/* Where github gets the time from, and how it waits for another process's token; a test puts its own. */
struct github_clock {
    int64_t (*now_ms)(void); /* Unix time */
    void (*sleep_ms)(int ms);
};

/*
 * `config`, `http` and `tokens` are borrowed until github_close(). `tokens` NULL: nobody
 * to share with, this handle mints for itself.
 */
enum err_code github_open(struct github **out, const struct config *config, struct http *http,
                          const struct github_tokens *tokens, struct err *err);
void github_close(struct github *github);

/* Who prgate is at GitHub: what `other`, of the same configuration, was told need not be asked for. */
void github_learn_from(struct github *github, const struct github *other);

/* The system's clock until then. `clock` is borrowed until github_close(). */
void github_set_clock(struct github *github, const struct github_clock *clock);

/* Called after each call, in the caller's thread. */
void github_on_call(struct github *github, github_call_fn *fn, void *arg);

/*
 * The repository that the following calls are about. `installation` 0 with App
 * credentials: it is asked for (GET /repos/{owner}/{repo}/installation) at the first call.
 */
void github_use(struct github *github, const char *repo, uint64_t installation);

/*
 * Until the next call of this: what must not be done twice is not done, but answered with ERR_RETRY, to be tried again at
 * `until_ms`. For when the same may be under way, so that it is not to be seen yet. 0: nothing is held back.
 */
void github_hold(struct github *github, int64_t until_ms);

/* Was anything, since github_hold()? */
bool github_held_back(const struct github *github);

bool github_can_read(const struct github *github);

/* How many calls of a dry run were shown instead of made: what changes GitHub, and would have. */
unsigned github_shown(const struct github *github);

/* Appends where people see what the API is for: "https://github.com" of "https://api.github.com". No trailing slash. */
void github_add_web(const struct github *github, struct buf *url);
void github_add_web_of(const struct config *config, struct buf *url); /* the same, without a connection */

/* GET /repos/{o}/{r}/pulls/{n}. */
enum err_code github_get_pull(struct github *github, uint64_t number, const struct policy *policy,
                              struct snapshot *out, struct err *err);

/*
 * GET /repos/{o}/{r}/pulls?state=open, all pages. `fn` gets each until it returns false. What the list
 * does not tell: snapshot.mergeable is MERGEABLE_UNKNOWN.
 */
struct github_pull {
    struct pr_key key;
    char repo[REPO_NAME_SIZE]; /* as GitHub spells it now; another one after a renaming */
    int64_t created_at;        /* Unix seconds; -1: not told */
    struct snapshot snapshot;
    enum visibility visibility; /* of its repository */
};
typedef bool github_pull_fn(void *arg, const struct github_pull *pull);
enum err_code github_each_open_pull(struct github *github, const struct policy *policy, github_pull_fn *fn,
                                    void *arg, struct err *err);

/* Who prgate itself is: GET /user (token) or GET /app (App: "slug[bot]"; its id is not told, 0). */
enum err_code github_whoami(struct github *github, struct user *out, struct err *err);

/* GET /repos/{o}/{r}/collaborators/{login}/permission; not a collaborator = PERMISSION_NONE. */
enum err_code github_get_permission(struct github *github, const char *login, enum permission *out,
                                    struct err *err);

/* GET /apps/{slug}: the number of the App that acts as `login`, "slug[bot]"; 0: there is none that may be seen. */
enum err_code github_get_app_id(struct github *github, const char *login, uint64_t *out, struct err *err);

/* GET /orgs/{org}/teams/{slug}/memberships/{login}; true only for state "active". `team` is "org/slug". */
enum err_code github_is_team_member(struct github *github, const char *team, const char *login, bool *out,
                                    struct err *err);

/* GET /repos/{o}/{r}/issues/{n}/labels, all pages. */
enum err_code github_has_label(struct github *github, uint64_t number, const struct policy *policy, bool *out,
                               struct err *err);

/*
 * GET /repos/{o}/{r}/issues/{n}/events, all pages: what happened last to the gate label, and when the branch
 * was last moved other than by a plain push, which GitHub does not list.
 */
struct github_label_event {
    bool set;          /* the last thing that happened to the label is that it was set */
    int64_t set_at;    /* Unix seconds */
    struct user actor; /* nobody: a deleted account */
    int64_t moved_at;  /* newest force push, deletion or restoring of the branch, Unix seconds; 0 = none */
    bool moved_twice;  /* more than once in that second */
};
enum err_code github_get_label_event(struct github *github, uint64_t number, const struct policy *policy,
                                     struct github_label_event *out, struct err *err);

/*
 * POST /repos/{o}/{r}/issues/{n}/labels. ERR_REJECT if what is on it then is not the pinned one. A dry run that may read
 * looks first, here and where a label is taken off: of what is so already nothing is shown.
 */
enum err_code github_add_label(struct github *github, uint64_t number, const struct policy *policy,
                               struct err *err);

/* DELETE /repos/{o}/{r}/issues/{n}/labels/{name}; already gone is ERR_OK. */
enum err_code github_remove_label(struct github *github, uint64_t number, const struct policy *policy,
                                  struct err *err);

/* The same of policy->queue_label. */
enum err_code github_remove_queue_label(struct github *github, uint64_t number, const struct policy *policy,
                                        struct err *err);

/* The same for any label. */
enum err_code github_remove_named_label(struct github *github, uint64_t number, const char *name,
                                        struct err *err);

/* GET .../issues/{n}/labels, and POST of those that are missing, all in one call; none is missing: no POST. */
enum err_code github_add_labels(struct github *github, uint64_t number, const char *const *names,
                                size_t count, struct err *err);

/*
 * GET /repos/{o}/{r}/pulls/{n}/files, all pages, up to the 3,000 files that GitHub tells of. `fn` gets each, borrowed
 * for the duration of the call, until it returns false.
 */
typedef bool github_file_fn(void *arg, const struct patch_file *file);
enum err_code github_each_file(struct github *github, uint64_t number, github_file_fn *fn, void *arg,
                               struct err *err);

/* PATCH /repos/{o}/{r}/pulls/{n}. What is so already may be set again. */
enum err_code github_set_base(struct github *github, uint64_t number, const char *base, struct err *err);
enum err_code github_close_pull(struct github *github, uint64_t number, struct err *err);

/*
 * Looks for an approval by prgate of that very commit (GET /repos/{o}/{r}/pulls/{n}/reviews, all pages; one that was
 * dismissed counts), else makes one (POST). ERR_REJECT: GitHub does not take it, as of prgate's own pull request.
 */
enum err_code github_approve_once(struct github *github, uint64_t number, const struct sha *sha,
                                  const char *text, struct err *err);

/*
 * The gate's check on a commit: a check run (App) or a commit status (token).
 * `title` and `summary` are Markdown; a status shows the title cut to 140 characters.
 */
struct github_check {
    struct sha sha;
    const char *name;
    const char *external_id; /* check runs only */
    const char *title;
    const char *summary;
    const char *details_url; /* "" = none */
    bool has_button;         /* check runs that wait: "Approve CI", by APPROVE_BUTTON_ID */
    bool completed;          /* false: waiting (in_progress; pending). true: success */
    uint64_t id;             /* check runs: the one to be changed; 0 = to be looked for */
    bool untried;  /* it was not written before, by a process that died either: no need to look for that */
    bool is_first; /* nor was any other of ours for this commit */
    uint64_t
        *written_id; /* check runs: where the id of the one written or found goes, if it is known; or NULL */
};

/*
 * Looks for the check with that name on that commit (check runs: GET
 * /repos/{o}/{r}/commits/{sha}/check-runs?check_name=&filter=latest, of this App only;
 * statuses: GET /repos/{o}/{r}/commits/{sha}/statuses, the newest of that context), then creates it,
 * changes it, or leaves it when it says all that already. A completed check is
 * never set back to waiting. With an id the check run is changed without a look, and looked for if it is not
 * there or not to be changed; what `is_first` is created without a look, and so is any status that is `untried`. All three are for
 * completed checks.
 */
enum err_code github_put_check(struct github *github, const struct github_check *check, struct err *err);

/*
 * A comment that appears once: looks through the comments (all pages) for the
 * hidden marker "<!-- prgate:MARKER -->" in one of prgate's own making, else posts it.
 */
enum err_code github_comment_once(struct github *github, uint64_t number, const char *marker,
                                  const char *text, struct err *err);

/*
 * POST /repos/{o}/{r}/issues/comments/{comment}/reactions; `content` is "+1", "-1" or "confused". Repeating it does no
 * harm. ERR_NOT_FOUND: the comment was deleted.
 */
enum err_code github_react(struct github *github, uint64_t comment, const char *content, struct err *err);

/* POST /repos/{o}/{r}/dispatches. `payload` is a JSON object of at most 10 keys. */
enum err_code github_repository_dispatch(struct github *github, const char *event_type, const char *payload,
                                         struct err *err);

/* POST /repos/{o}/{r}/actions/workflows/{workflow}/dispatches. `inputs` is a JSON object of strings. */
enum err_code github_workflow_dispatch(struct github *github, const char *workflow, const char *ref,
                                       const char *inputs, struct err *err);

/*
 * Is there a workflow run whose name (display_title, from `run-name`) contains `key`?
 * GET /repos/{o}/{r}/actions/runs?event=&created=>=, all pages, newest first. `event` is
 * "repository_dispatch" or "workflow_dispatch", `since` Unix seconds.
 */
enum err_code github_find_run(struct github *github, const char *event, const char *key, int64_t since,
                              bool *out, struct err *err);

/* One run of GitHub Actions. The title is borrowed for the duration of the callback. */
struct github_run {
    uint64_t id;
    const char *title; /* display_title, from `run-name` */
    uint64_t
        pull; /* the only pull request that GitHub names for it; 0: none, as with those from forks, or several */
    bool completed; /* it has ended; one that waits for an approval has not */
};
struct github_run_filter {
    const char *event;     /* "pull_request" */
    const char *status;    /* "action_required"; NULL = any */
    const struct sha *sha; /* head_sha; NULL = any */
    int64_t since;         /* not created before, Unix seconds; 0 = at any time */
};
typedef bool github_run_fn(void *arg, const struct github_run *run);

/* GET /repos/{o}/{r}/actions/runs, all pages, newest first. `fn` gets each until it returns false. */
enum err_code github_each_run(struct github *github, const struct github_run_filter *filter,
                              github_run_fn *fn, void *arg, struct err *err);

/* POST /repos/{o}/{r}/actions/runs/{id}/cancel; one that has ended, or is gone, is ERR_OK. */
enum err_code github_cancel_run(struct github *github, uint64_t run, struct err *err);

/* POST /repos/{o}/{r}/actions/runs/{id}/approve, of one that waits for a first-time contributor's approval. */
enum err_code github_approve_run(struct github *github, uint64_t run, struct err *err);

/*
 * One attempt of GitHub's to deliver an event. A redelivery has the guid of the first attempt (it is what
 * X-GitHub-Delivery says) and an id of its own.
 */
struct github_delivery {
    uint64_t id;
    char guid[DELIVERY_SIZE];
    char event[32];       /* "pull_request"; cut where it is longer */
    char action[32];      /* "opened"; "" = none */
    int64_t delivered_at; /* Unix seconds */
    int status;           /* HTTP's; 0: no answer came */
};
typedef bool github_delivery_fn(void *arg, const struct github_delivery *delivery);

/* The App's webhook; any other is a repository's. */
enum { GITHUB_APP_HOOK = 0 };

/*
 * GET /app/hook/deliveries, or /repos/{o}/{r}/hooks/{hook}/deliveries; all pages, newest first. `fn` gets each
 * until it returns false.
 */
enum err_code github_each_delivery(struct github *github, uint64_t hook, github_delivery_fn *fn, void *arg,
                                   struct err *err);

/* POST .../deliveries/{id}/attempts: GitHub delivers it again, soon. */
enum err_code github_redeliver(struct github *github, uint64_t hook, uint64_t delivery, struct err *err);

/*
 * GET /repos/{o}/{r}/hooks, all pages: prgate's own among the repository's active webhooks for pull requests. It is
 * the one whose URL is `url`, or else the only one whose path ends in "/webhook". ERR_CONFLICT: there are several
 * of the latter. ERR_NOT_FOUND with err.number 0: there is none; with 404: it is not for these credentials to see.
 */
enum err_code github_find_hook(struct github *github, const char *url, uint64_t *hook, struct err *err);

/*
 * A call to somewhere else, for the `http` trigger (see trigger.h): no credentials, User-Agent
 * added (leave one header free), and the same error classes; GET counts as reading. Here
 * because it shares the transport and what is known of replies. User, password and query of the
 * URL are neither logged nor reported.
 */
enum err_code github_call_elsewhere(struct github *github, const struct http_request *request,
                                    struct err *err);

#endif
