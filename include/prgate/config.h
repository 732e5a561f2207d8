/*
 * config: the configuration file, read once and then immutable. A reload (reload.h) makes another one.
 *
 *     struct config *config;
 *     if (config_open(&config, path, &err) != ERR_OK)
 *         ...;
 *     const struct policy *policy = config_policy(config, "flutter/flutter");
 *     ...
 *     config_close(config);
 *
 * The syntax is libConfuse's. An unknown key, a value of the wrong type, a
 * number out of range or an unreadable secret is an error that names file,
 * line, key and what to do. Secrets are read here, once, from files (refused
 * when others than owner and group can read them) or the environment
 * (PRGATE_WEBHOOK_SECRET, PRGATE_GITHUB_TOKEN, PRGATE_APP_PRIVATE_KEY) and are
 * wiped by config_close(). A webhook secret from the environment comes on top of those
 * from files; for the others the two together are an error. After config_open() all
 * of it may be read by any thread; config_open() itself is for one thread at a time,
 * since libConfuse's scanner is one per process.
 */
#ifndef PRGATE_CONFIG_H
#define PRGATE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "prgate/err.h"
#include "prgate/log.h"
#include "prgate/pr.h"
#include "prgate/signature.h"

#define CONFIG_DEFAULT_PATH "/etc/prgate/prgate.conf"

enum { CONFIG_SECRETS_MAX = 8 };

/* The largest budget of starts within an hour: each is kept for that long. */
enum { CONFIG_BUDGET_MAX = 1000 };

enum trigger_kind { TRIGGER_NONE, TRIGGER_REPOSITORY_DISPATCH, TRIGGER_WORKFLOW_DISPATCH, TRIGGER_HTTP };

/* What to do about a trigger of which nobody can say whether it arrived. */
enum guarantee { GUARANTEE_AT_MOST_ONCE, GUARANTEE_AT_LEAST_ONCE };

struct string_list {
    char **items; /* NULL when count is 0 */
    size_t count;
};

/* One `repo "..." { }` section. */
struct policy {
    char *pattern; /* "owner/name"; a star may stand for the name, or for all of it */
    char *label;
    uint64_t label_id; /* 0: not pinned */
    struct string_list trusted_users;
    struct string_list trusted_bots;    /* "renovate[bot]", "renovate[bot]:2740": see policy_names_bot() */
    struct string_list trusted_teams;   /* "org/team-slug" */
    bool permission_trusts;             /* trusted_permission is not "" */
    enum permission trusted_permission; /* valid where permission_trusts */
    enum permission approver_permission;
    int settle_s; /* a label on a commit that came less than this before approves nothing; 0: any does */
    char *check_name;
    enum trigger_kind trigger;
    char *dispatch_event;      /* repository_dispatch */
    char *workflow;            /* workflow_dispatch: file name or id */
    char *workflow_ref;        /* workflow_dispatch: the ref whose workflow runs; "" = the PR's base branch */
    char *http_url;            /* http */
    struct secret http_secret; /* http; len 0 = not signed */
    bool trigger_can_be_asked; /* the receiver knows a trigger by its key */
    enum guarantee guarantee;
    int author_triggers_per_hour; /* starts of CI for one author's pull requests; 0 = any number */
    int repo_triggers_per_hour;   /* for all of the repository's */
    bool cancel_on_close;
    bool cancel_on_push;
    bool release_runs;    /* an approval also releases the runs of a first-time contributor */
    bool queue_trigger;   /* CI is started for the commit of a merge queue's group, too */
    char *queue_label;    /* comes off when the pull request leaves the merge queue; "" = none does */
    char *command_prefix; /* what a comment's line begins with to be a command; "" = comments are not read */
    char *command_approve;
    char *command_rerun;
    char *command_cancel;
    char *command_status;
    char *command_help;

    /* Beside the gate; each is off where it is empty or false. Messages are template.h's, "" = the built-in words. */
    char *emergency_label;
    char *emergency_check;
    char *emergency_message;
    enum permission emergency_permission;
    struct string_list tests_needed_for; /* patterns of glob.h, as the others */
    struct string_list tests_are;
    struct string_list tests_exempt;
    char *tests_message;
    char *base_wanted;
    struct string_list base_wrong;
    char *base_message;
    struct string_list release_branches;
    struct string_list release_accounts;
    char *release_head_message;
    struct string_list author_labels; /* "login=label" */
    char *conflict_message;
    char *new_commit_message;
    bool close_release_heads;
    bool conflict_comment;
    bool new_commit_comment;
};

/* The variables with secrets. */
enum config_variable {
    CONFIG_WEBHOOK_SECRET,
    CONFIG_APP_PRIVATE_KEY,
    CONFIG_GITHUB_TOKEN,
    CONFIG_VARIABLE_END
};

struct config {
    char *path;      /* of the file itself */
    char *state_dir; /* without a trailing slash */
    bool dry_run;
    bool status_private; /* the status page shows private repositories, too */
    struct secret webhook_secrets[CONFIG_SECRETS_MAX];
    size_t webhook_secret_count;
    char *public_url; /* where people reach the status page, "" = unknown; no trailing slash */
    int trust_ttl_s;  /* how long what GitHub said of a person's rights counts */
    int accept_threads;
    int drain_threads;
    int pulls_in_progress; /* at once, in a process */
    int sweep_interval_s;
    int give_up_after_s;      /* an action that has been failing for that long becomes a dead letter */
    int keep_seen_days;       /* ids of deliveries */
    int keep_ledger_days;     /* entries of the ledger, dead letters */
    int keep_closed_days;     /* pull requests, from their closing on */
    int redeliver_interval_s; /* 0: failed deliveries are not asked for again */
    int reconcile_interval_s; /* 0: open pull requests are not compared with GitHub */
    int health_max_age_s; /* /healthz fails when a delivery waits for longer; 0: it does not look at that */
    enum log_level log_level;
    enum log_format log_format;
    enum log_target log_target;

    char *api_url;     /* "https://api.github.com", "https://ghe.example/api/v3"; no trailing slash */
    uint64_t app_id;   /* 0: no App */
    char *app_key_pem; /* with app_id */
    char *token;       /* NULL: none */
    char *app_dir; /* where app_id, key and a webhook secret come from, see app_dir.h; "" = from elsewhere */
    bool awaits_app; /* app_dir is not there yet: nothing can be decided before `prgatectl setup` */
    int request_timeout_s;

    /* What came in variables, by enum config_variable, for config_reopen(). NULL: not set. */
    char *variables[CONFIG_VARIABLE_END];

    struct policy *policies;
    size_t policy_count;
};

/* How prgate proves to GitHub who it is. */
enum credentials { CREDENTIALS_NONE, CREDENTIALS_TOKEN, CREDENTIALS_APP };

/* *out is the caller's to close; untouched on error (ERR_REJECT: the text is meant for the operator). */
enum err_code config_open(struct config **out, const char *path, struct err *err);
void config_close(struct config *config);

/* The same file read anew, for a reload. Secrets from variables are those of `now`, since the variables were wiped. */
enum err_code config_reopen(struct config **out, const struct config *now, struct err *err);

/*
 * Overwrites the secrets in the environment and takes their variables away, so that /proc/PID/environ, children and
 * libraries do not have them. For main(), once the configuration is open; before other threads start.
 */
void config_wipe_environment(void);

/* PRGATE_CONF, or CONFIG_DEFAULT_PATH. Borrowed from the environment. */
const char *config_path(void);

enum credentials config_credentials(const struct config *config);

/*
 * The section for a repository: its own name first, then its owner with a star,
 * then the lone star; letter case is ignored, as on GitHub. NULL: not configured.
 * Borrowed, valid as long as the configuration.
 */
const struct policy *config_policy(const struct config *config, const char *repo);

/* Is this the policy's gate label: the name (case ignored, as on GitHub), and the id where one is pinned? */
bool policy_is_gate_label(const struct policy *policy, const char *name, uint64_t id);

/* Is it among the trusted_bots? *app_id: the App that it has to be, 0 = of whatever number. */
bool policy_names_bot(const struct policy *policy, const char *login, uint64_t *app_id);

/* The same without what is beside the gate. It borrows all of its texts: not to be released. */
struct policy policy_gate_only(const struct policy *policy);

bool policy_is_emergency_label(const struct policy *policy, const char *name);

/* The labels for that author: the next one from *at on, which is moved behind it; NULL: that was all. Borrowed. */
const char *policy_author_label(const struct policy *policy, size_t *at, const char *login);

bool policy_has_glob(const struct string_list *globs, const char *text); /* does any of them fit? */

bool string_list_has(const struct string_list *list, const char *text); /* ASCII case ignored */

const char *permission_name(enum permission permission);
bool permission_parse(const char *name, enum permission *out);
const char *trigger_kind_name(enum trigger_kind kind);

#endif
