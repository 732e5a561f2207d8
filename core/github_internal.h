/*
 * github_internal: what the github*.c files share, and nobody else includes.
 *
 *   github.c          the handle, one call, all pages of a list
 *   github_auth.c     the Authorization header, installation tokens
 *   github_reply.c    what a status means, reading JSON
 *   github_pull.c     the pull request
 *   github_user.c     who may do what
 *   github_issue.c    labels and comments
 *   github_reaction.c reactions to comments
 *   github_check.c    check runs and commit statuses
 *   github_actions.c  dispatches, and whether one has become a run
 *   github_runs.c     runs: listing, cancelling, approving
 *   github_hooks.c    webhooks and their deliveries
 *   github_manifest.c a new App for the code that its manifest led to
 *   github_policy.c   changed files, base branch, reviews, labels by author
 */
#ifndef PRGATE_GITHUB_INTERNAL_H
#define PRGATE_GITHUB_INTERNAL_H

#include "prgate/github.h"
#include "prgate/tree.h"

/* The Makefile's; this one is for whoever compiles a file by itself. */
#ifndef PRGATE_VERSION
#define PRGATE_VERSION "0"
#endif

/* GitHub's own type first; plain JSON for proxies and mock servers that know no other. */
#define GITHUB_ACCEPT "Accept: application/vnd.github+json, application/json"
#define GITHUB_VERSION "X-GitHub-Api-Version: 2022-11-28"
#define GITHUB_AGENT ("User-Agent: prgate/" PRGATE_VERSION)

struct github_token {
    uint64_t installation;
    int64_t expires_at; /* Unix seconds */
    char text[GITHUB_TOKEN_SIZE];
};

struct github {
    const struct config *config;
    struct http *http;
    const struct github_tokens *tokens;
    const struct github_clock *clock;
    github_call_fn *on_call;
    void *on_call_arg;

    char repo[REPO_NAME_SIZE];
    uint64_t installation;           /* 0: to be asked for */
    struct github_token token;       /* text "" = none */
    char refused[GITHUB_TOKEN_SIZE]; /* GitHub answered 401 to it: not to be taken again; "" = none */
    struct user me;                  /* login "" = not asked yet */
    unsigned shown;                  /* calls of a dry run; see github_shown() */
    int64_t held_until_ms;           /* 0: see github_hold() */
    bool held_back;                  /* something was, since then */
};

/* ---- calling (github.c) ---- */

/* As whom to call: for the repository (installation token, or the token), or as the App itself. */
enum github_role { GITHUB_ROLE_REPO, GITHUB_ROLE_APP };

struct github_ask {
    const char *method;
    const char *url;
    const cJSON *body; /* NULL: none */
    enum github_role role;
    bool once; /* see http.h */
};

/*
 * Makes the call with all that belongs to it: credentials, a new token after a
 * 401, the status judged. *reply is initialised, and its body is the caller's to
 * release. The dry run is not its concern.
 */
enum err_code github_fetch(struct github *github, const struct github_ask *ask, struct http_reply *reply,
                           struct err *err);

/*
 * The same for a reading call, parsed. *reply is the caller's to tree_free(), and
 * untouched after an error.
 */
enum err_code github_read(struct github *github, enum github_role role, const char *url, cJSON **reply,
                          struct err *err);

/*
 * The same for a writing call. In a dry run it is only shown. `reply` may be NULL: of no
 * interest. *reply is NULL after a dry run.
 */
enum err_code github_write(struct github *github, const struct github_ask *ask, cJSON **reply,
                           struct err *err);

/* A list, all its pages: `item` gets each element until it says that it has seen enough. */
enum github_seen { GITHUB_GO_ON, GITHUB_ENOUGH, GITHUB_ODD /* not what GitHub documents */ };

struct github_list {
    const char *url;
    enum github_role role;
    const char *member; /* the list is this member of the reply; NULL: it is the reply */
    const char *odd;    /* what to call an odd item: "a label without name" */
    bool long_ids; /* whole numbers that a double cannot hold come as text: github_json_id() reads either */
    enum github_seen (*item)(void *arg, const cJSON *item);
    void *arg;
};

enum err_code github_each(struct github *github, const struct github_list *list, struct err *err);

/* Start a URL: the API's, and the API's with "/repos/{owner}/{repo}" behind it. */
void github_add_api(const struct github *github, struct buf *url);
void github_add_repo(const struct github *github, struct buf *url);

/* "/repos/..." of a URL of the API; any other URL as it is. For messages. */
const char *github_path(const struct github *github, const char *url);

int64_t github_now_s(const struct github *github);

/* What reading calls return without credentials. */
enum err_code github_cannot_read(struct err *err);

/* Changes the code of an error that is being handed on. */
enum err_code github_turn(struct err *err, enum err_code code);

/* ---- credentials (github_auth.c) ---- */

/*
 * Appends the Authorization header's line. None of its errors is ERR_UNKNOWN or
 * ERR_NOT_FOUND: those would be taken for the answer to the call that it is for.
 */
enum err_code github_authorize(struct github *github, enum github_role role, struct buf *header,
                               struct err *err);

/* The installation token was answered with 401: it is forgotten, wherever it is still kept. */
void github_refuse_token(struct github *github);

/* ---- replies (github_reply.c) ---- */

/* ERR_OK for 2xx, else the error of github.h. `call` says what was asked, with its status. */
enum err_code github_judge(const struct github *github, const struct github_call *call,
                           const struct http_reply *reply, struct err *err);

/* A 2xx reply's body; *out is the caller's to tree_free(). */
enum err_code github_parse(const struct github *github, const struct github_ask *ask,
                           const struct http_reply *reply, cJSON **out, struct err *err);

/* "GitHub's reply to GET /repos/...: no head.sha". */
enum err_code github_odd_reply(const struct github *github, const struct github_ask *ask, const char *what,
                               struct err *err);

/* As tree_find(); NULL, false: not there or of another type. */
const char *github_json_text(const cJSON *object, const char *path); /* valid as long as the object */
bool github_json_u64(const cJSON *object, const char *path, uint64_t *out);

/* `user` is null when the account was deleted: nobody, which *out is already. false: not a user at all. */
bool github_json_user(const cJSON *user, struct user *out);

/* The same as github_json_u64() for a list with long_ids. */
bool github_json_id(const cJSON *object, const char *path, uint64_t *out);

/* Puts numbers of more than 15 digits in quotes: JSON's own are doubles to cJSON. */
void github_quote_long_numbers(struct buf *json);

/* Is the item a label, and if so the gate label? false: it is no label at all. */
bool github_json_label(const cJSON *item, const struct policy *policy, bool *is_gate);

#endif
