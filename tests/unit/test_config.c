#include "check.h"

#include "fixture.h"

static char dir[64];

static int make_files(void **state)
{
    (void)state;
    unsetenv("PRGATE_WEBHOOK_SECRET");
    unsetenv("PRGATE_GITHUB_TOKEN");
    unsetenv("PRGATE_APP_PRIVATE_KEY");
    strcpy(dir, "/tmp/prgate-unit-XXXXXX");
    if (mkdtemp(dir) == NULL)
        return -1;
    log_setup(LOG_LEVEL_PANIC, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    write_file(dir, "secret", "hush\n");
    write_file(dir, "old", "hush-hush\n");
    write_file(dir, "token", "ghp_token\n");
    write_file(dir, "key", "-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----\n");
    write_file(dir, "nokey", "not a key\n");
    write_file(dir, "empty", "");
    write_file(dir, "newline", "\n");
    char large[65538];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    write_file(dir, "large", large);
    write_file(dir, "open", "hush\n");
    char path[128];
    snprintf(path, sizeof path, "%s/open", dir);
    return chmod(path, 0644);
}

static int remove_files(void **state)
{
    (void)state;
    return nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* "@" in the text stands for the directory. */
static enum err_code open_text(struct config **config, const char *text, struct err *err)
{
    struct buf file;
    char path[128];
    buf_init(&file);
    for (; *text != '\0'; text++) {
        if (*text == '@')
            buf_adds(&file, dir);
        else
            buf_addc(&file, *text);
    }
    write_file(dir, "prgate.conf", buf_text(&file));
    buf_release(&file);
    snprintf(path, sizeof path, "%s/prgate.conf", dir);
    return config_open(config, path, err);
}

#define TOP "state_dir = \"/s\"\nwebhook_secret_file = \"@/secret\"\n"
#define GITHUB "github { token_file = \"@/token\" }\n"
#define REPO "repo \"o/r\" { }\n"

/* The caller closes it. */
static struct config *must_open(const char *row, const char *text)
{
    struct config *config = NULL;
    struct err err = {0};
    if (open_text(&config, text, &err) != ERR_OK)
        fail_msg("%s: got \"%s\", want no error", row, err.text);
    check_str(row, "no error's text", err.text, "");
    return config;
}

static void check_secret(const char *row, const struct secret *secret, const char *want)
{
    check_u64(row, "length of the secret", secret->len, strlen(want));
    check_int(row, "secret", memcmp(secret->bytes, want, strlen(want)), 0);
}

static void check_list(const char *row, const struct string_list *list, const char *first, const char *second)
{
    check_u64(row, "members", list->count, 2);
    check_str(row, "first", list->items[0], first);
    check_str(row, "second", list->items[1], second);
}

static void check_default_policy(const struct policy *policy)
{
    check_str("default", "pattern", policy->pattern, "o/r");
    check_str("default", "label", policy->label, "CICD");
    check_u64("default", "label_id", policy->label_id, 0);
    check_u64("default", "trusted_users", policy->trusted_users.count, 0);
    check_u64("default", "trusted_teams", policy->trusted_teams.count, 0);
    check_bool("default", "permission_trusts", policy->permission_trusts, true);
    check_int("default", "trusted_permission", policy->trusted_permission, PERMISSION_WRITE);
    check_int("default", "approver_permission", policy->approver_permission, PERMISSION_TRIAGE);
    check_int("default", "settle_seconds", policy->settle_s, 10);
    check_str("default", "check_name", policy->check_name, "Awaiting CICD label");
    check_int("default", "trigger", policy->trigger, TRIGGER_REPOSITORY_DISPATCH);
    check_str("default", "dispatch_event", policy->dispatch_event, "prgate-ci");
    check_str("default", "command_prefix", policy->command_prefix, "/ci");
    check_str("default", "command_approve", policy->command_approve, "approve");
    check_str("default", "command_rerun", policy->command_rerun, "rerun");
    check_str("default", "command_cancel", policy->command_cancel, "cancel");
    check_str("default", "command_status", policy->command_status, "status");
    check_str("default", "command_help", policy->command_help, "help");
    check_str("default", "workflow", policy->workflow, "");
    check_str("default", "workflow_ref", policy->workflow_ref, "");
    check_str("default", "http_url", policy->http_url, "");
    check_u64("default", "http_secret", policy->http_secret.len, 0);
    check_bool("default", "trigger_can_be_asked", policy->trigger_can_be_asked, false);
    check_int("default", "trigger_guarantee", policy->guarantee, GUARANTEE_AT_MOST_ONCE);
    check_int("default", "author_triggers_per_hour", policy->author_triggers_per_hour, 0);
    check_int("default", "repo_triggers_per_hour", policy->repo_triggers_per_hour, 0);
    check_bool("default", "cancel_on_close", policy->cancel_on_close, false);
    check_bool("default", "cancel_on_push", policy->cancel_on_push, false);
    check_bool("default", "release_first_time_runs", policy->release_runs, false);
    check_bool("default", "merge_queue_trigger", policy->queue_trigger, false);
    check_str("default", "queue_label", policy->queue_label, "");
}

static void check_default_top(const struct config *config)
{
    check_bool("default", "dry_run", config->dry_run, false);
    check_bool("default", "status_private", config->status_private, false);
    check_str("default", "public_url", config->public_url, "");
    check_int("default", "trust_ttl", config->trust_ttl_s, 300);
    check_int("default", "accept_threads", config->accept_threads, 3);
    check_int("default", "drain_threads", config->drain_threads, 1);
    check_int("default", "pulls_in_progress", config->pulls_in_progress, 128);
    check_int("default", "sweep_interval", config->sweep_interval_s, 1);
    check_int("default", "give_up_after", config->give_up_after_s, 259200);
    check_int("default", "keep_seen_days", config->keep_seen_days, 7);
    check_int("default", "keep_ledger_days", config->keep_ledger_days, 90);
    check_int("default", "keep_closed_days", config->keep_closed_days, 90);
    check_int("default", "redeliver_interval", config->redeliver_interval_s, 300);
    check_int("default", "reconcile_interval", config->reconcile_interval_s, 3600);
    check_int("default", "health_max_age", config->health_max_age_s, 3600);
    check_int("default", "log_level", config->log_level, LOG_LEVEL_INFO);
    check_int("default", "log_format", config->log_format, LOG_FORMAT_TEXT);
    check_int("default", "log_target", config->log_target, LOG_TARGET_STDERR);
    check_str("default", "api_url", config->api_url, "https://api.github.com");
    check_int("default", "request_timeout", config->request_timeout_s, 20);
}

static void test_defaults(void **state)
{
    (void)state;
    struct config *config = must_open("default", TOP GITHUB REPO);
    check_str("given", "state_dir", config->state_dir, "/s");
    check_u64("given", "secrets", config->webhook_secret_count, 1);
    check_secret("given", &config->webhook_secrets[0], "hush");
    check_str("given", "token", config->token, "ghp_token");
    check_int("given", "credentials", config_credentials(config), CREDENTIALS_TOKEN);
    check_u64("default", "app_id", config->app_id, 0);
    check_bool("default", "no App's key", config->app_key_pem == NULL, true);
    check_default_top(config);
    check_u64("given", "policies", config->policy_count, 1);
    check_default_policy(&config->policies[0]);
    config_close(config);
    config = must_open("dry run", TOP "dry_run = true\n" REPO);
    check_int("dry run", "credentials", config_credentials(config), CREDENTIALS_NONE);
    check_bool("dry run", "no token", config->token == NULL, true);
    config_close(config);
}

/* ---- every key ---- */

/* None of the values is the default. */
static const char every_key[] =
    "state_dir = \"/s\"\nwebhook_secret_file = {\"@/secret\", \"@/old\"}\ndry_run = true\n"
    "status_private = true\npublic_url = \"https://p.example\"\ntrust_ttl = 0\naccept_threads = "
    "256\ndrain_threads = 5\npulls_in_progress = 2048\n"
    "sweep_interval = 3600\ngive_up_after = 60\nkeep_seen_days = 4\nkeep_ledger_days = 1\n"
    "keep_closed_days = 3650\nredeliver_interval = 0\nreconcile_interval = 86400\n"
    "health_max_age = 0\n"
    "log_level = \"debug\"\nlog_format = \"json\"\nlog_target = \"syslog\"\n"
    "github { api_url = \"https://ghe.example/api/v3\" app_id = 5000000000 private_key_file = \"@/key\" "
    "request_timeout = 600 }\n"
    "repo \"o/r\" { label = \"go \xf0\x9f\x9a\x80\" label_id = 10404216443 trusted_users = {\"a\", "
    "\"b[bot]\"} trusted_bots = {\"c[bot]:29110\", \"d[bot]\"} "
    "trusted_teams = {\"o/t\", \"o/u\"} trusted_permission = \"admin\" approver_permission = \"maintain\" "
    "settle_seconds = 3600 check_name = \"gate\" trigger = \"http\" dispatch_event = \"e\" workflow = "
    "\"ci.yml\" "
    "workflow_ref = \"release/1\" http_url = \"https://ci.example/hook?a=b\" http_secret_file = \"@/old\" "
    "trigger_can_be_asked = true trigger_guarantee = \"at_least_once\" "
    "author_triggers_per_hour = 7 repo_triggers_per_hour = 1000 cancel_on_close = true "
    "cancel_on_push = true release_first_time_runs = true merge_queue_trigger = true "
    "queue_label = \"autosubmit\" "
    "command_prefix = \"!gate\" command_approve = \"go\" command_rerun = \"again\" command_cancel = \"stop\" "
    "command_status = \"why\" command_help = \"what\" }\n";

static void check_every_top_key(const struct config *config)
{
    check_u64("set", "secrets", config->webhook_secret_count, 2);
    check_secret("first", &config->webhook_secrets[0], "hush");
    check_secret("second", &config->webhook_secrets[1], "hush-hush");
    check_bool("set", "dry_run", config->dry_run, true);
    check_bool("set", "status_private", config->status_private, true);
    check_str("set", "public_url", config->public_url, "https://p.example");
    check_int("set", "trust_ttl", config->trust_ttl_s, 0);
    check_int("set", "accept_threads", config->accept_threads, 256);
    check_int("set", "drain_threads", config->drain_threads, 5);
    check_int("set", "pulls_in_progress", config->pulls_in_progress, 2048);
    check_int("set", "sweep_interval", config->sweep_interval_s, 3600);
    check_int("set", "give_up_after", config->give_up_after_s, 60);
    check_int("set", "keep_seen_days", config->keep_seen_days, 4);
    check_int("set", "keep_ledger_days", config->keep_ledger_days, 1);
    check_int("set", "keep_closed_days", config->keep_closed_days, 3650);
    check_int("set", "redeliver_interval", config->redeliver_interval_s, 0);
    check_int("set", "reconcile_interval", config->reconcile_interval_s, 86400);
    check_int("set", "health_max_age", config->health_max_age_s, 0);
    check_int("set", "log_level", config->log_level, LOG_LEVEL_DEBUG);
    check_int("set", "log_format", config->log_format, LOG_FORMAT_JSON);
    check_int("set", "log_target", config->log_target, LOG_TARGET_SYSLOG);
    check_str("set", "api_url", config->api_url, "https://ghe.example/api/v3");
    check_u64("set", "app_id", config->app_id, UINT64_C(5000000000));
    check_int("set", "private_key_file", strncmp(config->app_key_pem, "-----BEGIN RSA", 14), 0);
    check_int("set", "request_timeout", config->request_timeout_s, 600);
    check_int("set", "credentials", config_credentials(config), CREDENTIALS_APP);
}

static void check_every_repo_key(const struct policy *policy)
{
    check_str("set", "label", policy->label, "go \xf0\x9f\x9a\x80");
    check_u64("set", "label_id", policy->label_id, UINT64_C(10404216443));
    check_list("trusted_users", &policy->trusted_users, "a", "b[bot]");
    check_list("trusted_bots", &policy->trusted_bots, "c[bot]:29110", "d[bot]");
    uint64_t app_id = 1;
    check_bool("trusted_bots", "named", policy_names_bot(policy, "C[bot]", &app_id), true);
    check_u64("trusted_bots", "App", app_id, 29110);
    check_bool("trusted_bots", "named", policy_names_bot(policy, "d[bot]", &app_id), true);
    check_u64("trusted_bots", "any App", app_id, 0);
    check_bool("trusted_bots", "named", policy_names_bot(policy, "c[bot]:29110", &app_id), false);
    check_bool("trusted_bots", "named", policy_names_bot(policy, "a", &app_id), false);
    check_list("trusted_teams", &policy->trusted_teams, "o/t", "o/u");
    check_bool("set", "permission_trusts", policy->permission_trusts, true);
    check_int("set", "trusted_permission", policy->trusted_permission, PERMISSION_ADMIN);
    check_int("set", "approver_permission", policy->approver_permission, PERMISSION_MAINTAIN);
    check_int("set", "settle_seconds", policy->settle_s, 3600);
    check_str("set", "check_name", policy->check_name, "gate");
    check_int("set", "trigger", policy->trigger, TRIGGER_HTTP);
    check_str("set", "dispatch_event", policy->dispatch_event, "e");
    check_str("set", "workflow", policy->workflow, "ci.yml");
    check_str("set", "workflow_ref", policy->workflow_ref, "release/1");
    check_str("set", "http_url", policy->http_url, "https://ci.example/hook?a=b");
    check_secret("http_secret_file", &policy->http_secret, "hush-hush");
    check_bool("set", "trigger_can_be_asked", policy->trigger_can_be_asked, true);
    check_int("set", "trigger_guarantee", policy->guarantee, GUARANTEE_AT_LEAST_ONCE);
    check_int("set", "author_triggers_per_hour", policy->author_triggers_per_hour, 7);
    check_int("set", "repo_triggers_per_hour", policy->repo_triggers_per_hour, 1000);
    check_bool("set", "cancel_on_close", policy->cancel_on_close, true);
    check_bool("set", "cancel_on_push", policy->cancel_on_push, true);
    check_bool("set", "release_first_time_runs", policy->release_runs, true);
    check_bool("set", "merge_queue_trigger", policy->queue_trigger, true);
    check_str("set", "queue_label", policy->queue_label, "autosubmit");
    check_str("set", "command_prefix", policy->command_prefix, "!gate");
    check_str("set", "command_approve", policy->command_approve, "go");
    check_str("set", "command_rerun", policy->command_rerun, "again");
    check_str("set", "command_cancel", policy->command_cancel, "stop");
    check_str("set", "command_status", policy->command_status, "why");
    check_str("set", "command_help", policy->command_help, "what");
}

static void test_every_key_can_be_set(void **state)
{
    (void)state;
    struct config *config = must_open("every key", every_key);
    check_every_top_key(config);
    check_every_repo_key(&config->policies[0]);
    config_close(config);
}

static void test_triggers_and_permissions(void **state)
{
    static const struct {
        const char *name, *keys;
        enum trigger_kind trigger;
        bool trusts;
        enum permission trusted, approver;
    } rows[] = {
        {"none", "trigger = \"none\" trusted_permission = \"\"", TRIGGER_NONE, false, PERMISSION_NONE,
         PERMISSION_TRIAGE},
        {"repository_dispatch", "trigger = \"repository_dispatch\" trusted_permission = \"read\"",
         TRIGGER_REPOSITORY_DISPATCH, true, PERMISSION_READ, PERMISSION_TRIAGE},
        {"workflow_dispatch", "trigger = workflow_dispatch workflow = 12345 trusted_permission = triage",
         TRIGGER_WORKFLOW_DISPATCH, true, PERMISSION_TRIAGE, PERMISSION_TRIAGE},
        {"http", "trigger = \"http\" http_url = \"http://127.0.0.1/\" approver_permission = \"read\"",
         TRIGGER_HTTP, true, PERMISSION_WRITE, PERMISSION_READ},
    };
    char text[512];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        snprintf(text, sizeof text, TOP GITHUB "repo \"o/r\" { %s }\n", rows[i].keys);
        struct config *config = must_open(rows[i].name, text);
        const struct policy *policy = &config->policies[0];
        check_int(rows[i].name, "trigger", policy->trigger, rows[i].trigger);
        check_str(rows[i].name, "trigger's name", trigger_kind_name(policy->trigger), rows[i].name);
        check_bool(rows[i].name, "permission_trusts", policy->permission_trusts, rows[i].trusts);
        if (rows[i].trusts)
            check_int(rows[i].name, "trusted_permission", policy->trusted_permission, rows[i].trusted);
        check_int(rows[i].name, "approver_permission", policy->approver_permission, rows[i].approver);
        config_close(config);
    }
}

/* ---- the file that is shipped ---- */

/* With the paths of the files that were made above. */
static void read_shipped(struct buf *out)
{
    static const struct {
        const char *path, *by;
    } rows[] = {
        {"/etc/prgate/webhook.secret.old", "@/old"},
        {"/etc/prgate/webhook.secret", "@/secret"},
        {"/etc/prgate/app.pem", "@/key"},
        {"/etc/prgate/ci.secret", "@/secret"},
        {"/etc/prgate/token", "@/token"},
    };
    static char text[65536];
    FILE *file = fopen(TEST_SOURCE_DIR "/../conf/prgate.conf", "r");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    buf_init(out);
    for (const char *at = text; *at != '\0';) {
        size_t i = 0;
        while (i < COUNT_OF(rows) && strncmp(at, rows[i].path, strlen(rows[i].path)) != 0)
            i++;
        if (i < COUNT_OF(rows)) {
            buf_adds(out, rows[i].by);
            at += strlen(rows[i].path);
        } else {
            buf_addc(out, *at++);
        }
    }
}

static void test_the_shipped_file_is_good(void **state)
{
    struct buf text;
    (void)state;
    read_shipped(&text);
    struct config *config = must_open("shipped", buf_text(&text));
    check_str("shipped", "state_dir", config->state_dir, "/var/lib/prgate");
    check_secret("shipped", &config->webhook_secrets[0], "hush");
    check_int("shipped", "credentials", config_credentials(config), CREDENTIALS_APP);
    check_default_top(config);
    check_u64("shipped", "policies", config->policy_count, 1);
    const struct policy *policy = config_policy(config, "octo-org/octo-repo");
    assert_non_null(policy);
    check_bool("shipped", "trusted_users", string_list_has(&policy->trusted_users, "dependabot[bot]"), true);
    check_str("shipped", "label", policy->label, "CICD");
    check_int("shipped", "trigger", policy->trigger, TRIGGER_REPOSITORY_DISPATCH);
    config_close(config);
    buf_release(&text);
}

/* The key of a line "  # key = value"; its length, 0 when the line is anything else. */
static size_t commented_key(const char *line, const char **key)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz_";
    line += strspn(line, " ");
    if (strncmp(line, "# ", 2) != 0)
        return 0;
    size_t len = strspn(line + 2, letters);
    *key = line + 2;
    return strncmp(line + 2 + len, " = ", 3) == 0 ? len : 0;
}

/* These cannot be added to what the file already sets, only take its place. */
static bool takes_the_place_of_another(const char *key, size_t len)
{
    return strncmp(key, "webhook_secret_file", len) == 0 || strncmp(key, "token_file", len) == 0 ||
           strncmp(key, "app_dir", len) == 0;
}

/* They are good together with the lines that follow directly, which is how the file shows them. */
static bool needs_others(const char *key)
{
    static const char *const prefixes[] = {"emergency_", "tests_", "base_", "release_"};
    for (size_t i = 0; i < COUNT_OF(prefixes); i++)
        if (strncmp(key, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

enum { TOGETHER_MAX = 8 };

/* Takes the '#' away, of those after it, too, where it needs others; returns how many. */
static size_t uncomment(char *line, char *signs[TOGETHER_MAX])
{
    const char *key = NULL;
    size_t count = 0;
    while (count < TOGETHER_MAX && line != NULL && commented_key(line, &key) > 0) {
        signs[count] = strchr(line, '#');
        *signs[count++] = ' ';
        if (count == 1 && !needs_others(key))
            break;
        line = strchr(line, '\n') + 1;
    }
    return count;
}

static void test_the_shipped_file_s_examples_are_good(void **state)
{
    struct buf text;
    size_t examples = 0;
    (void)state;
    read_shipped(&text);
    buf_text(&text);
    for (char *line = (char *)text.data; line != NULL && *line != '\0'; line = strchr(line, '\n') + 1) {
        const char *key = NULL;
        char row[64];
        size_t len = commented_key(line, &key);
        if (len == 0 || takes_the_place_of_another(key, len))
            continue;
        snprintf(row, sizeof row, "%.*s", (int)len, key);
        char *signs[TOGETHER_MAX];
        size_t count = uncomment(line, signs);
        config_close(must_open(row, buf_text(&text)));
        for (size_t i = 0; i < count; i++)
            *signs[i] = '#';
        examples += count;
        line = signs[count - 1];
    }
    buf_release(&text);
    if (examples < 20)
        fail_msg("got %zu examples, want at least 20", examples);
}

/* ---- which section ---- */

static void test_nearest_section_counts(void **state)
{
    static const char sections[] = TOP GITHUB "repo \"*\" { label = \"all\" }\n"
                                              "repo \"o/*\" { label = \"owner\" }\n"
                                              "repo \"O/R\" { label = \"one\" }\n"
                                              "repo \"p/one\" { label = \"p one\" }\n";
    static const struct {
        const char *repo, *label; /* NULL: none */
    } rows[] = {
        {"o/r", "one"}, {"O/R", "one"},  {"o/other", "owner"}, {"O/Other", "owner"}, {"o/r2", "owner"},
        {"x/y", "all"}, {"x/r", "all"},  {"oo/r", "all"},      {"P/ONE", "p one"},   {"p/two", "all"},
        {"p", NULL},    {"", NULL},      {"*", NULL},          {"o/*", NULL},        {"o/", NULL},
        {"/r", NULL},   {"o/r/x", NULL}, {"o/r\n", NULL},      {"../r", NULL},
    };
    (void)state;
    struct config *config = must_open("sections", sections);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct policy *policy = config_policy(config, rows[i].repo);
        check_bool(rows[i].repo, "has a section", policy != NULL, rows[i].label != NULL);
        if (policy != NULL)
            check_str(rows[i].repo, "label", policy->label, rows[i].label);
    }
    config_close(config);
}

static void test_a_repository_without_a_section_has_none(void **state)
{
    static const char *const repos[] = {"o/other", "x/r", "o/rr", "o/", "*"};
    (void)state;
    struct config *config = must_open("one section", TOP GITHUB REPO);
    assert_non_null(config_policy(config, "o/r"));
    for (size_t i = 0; i < COUNT_OF(repos); i++)
        check_bool(repos[i], "has a section", config_policy(config, repos[i]) != NULL, false);
    config_close(config);
}

static void test_the_gate_label(void **state)
{
    static const struct {
        const char *name, *label;
        uint64_t pinned, id;
        bool want;
    } rows[] = {
        {"same", "CICD", 0, 5, true},           {"other letter case", "cicd", 0, 5, true},
        {"no id", "CICD", 0, 0, true},          {"longer", "CICD2", 0, 5, false},
        {"shorter", "CIC", 0, 5, false},        {"empty", "", 0, 5, false},
        {"pinned", "CICD", 5, 5, true},         {"pinned, another id", "CICD", 5, 6, false},
        {"pinned, no id", "CICD", 5, 0, false}, {"pinned, another name", "other", 5, 5, false},
    };
    static char label[] = "CICD";
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct policy policy = {.label = label, .label_id = rows[i].pinned};
        check_bool(rows[i].name, "is the gate label",
                   policy_is_gate_label(&policy, rows[i].label, rows[i].id), rows[i].want);
    }
}

/* ---- mistakes ---- */

#define KEYS(keys) TOP GITHUB "repo \"o/r\" {\n" keys "\n}\n"
#define SECRET(file) "state_dir = \"/s\"\nwebhook_secret_file = \"" file "\"\n" GITHUB REPO

struct mistake {
    const char *name, *text;
    int line;          /* 0: not known */
    const char *what;  /* the key or section, as the message has it behind file and line */
    const char *says;  /* what is wrong */
    const char *to_do; /* and what to do about it */
};

static void check_mistake(const struct mistake *row)
{
    struct config *config = NULL;
    struct err err = {0};
    char want[256];
    enum err_code code = open_text(&config, row->text, &err);
    check_str(row->name, "code", err_code_name(code), "reject");
    check_int(row->name, "code in err", err.code, ERR_REJECT);
    check_bool(row->name, "config untouched", config == NULL, true);
    if (row->line > 0)
        snprintf(want, sizeof want, "%s/prgate.conf:%d: %s: ", dir, row->line, row->what);
    else
        snprintf(want, sizeof want, "%s/prgate.conf: %s%s", dir, row->what, row->what[0] == '\0' ? "" : ": ");
    if (strncmp(err.text, want, strlen(want)) != 0)
        fail_msg("%s: got \"%s\", want \"%s...\"", row->name, err.text, want);
    check_contains(row->name, "what is wrong", err.text + strlen(want), row->says);
    check_contains(row->name, "what to do", err.text + strlen(want), row->to_do);
}

static void check_mistakes(const struct mistake *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_mistake(&rows[i]);
}

static void test_mistakes_at_the_top_are_named(void **state)
{
    static const struct mistake rows[] = {
        {"unknown key", TOP "colour = 1\n" GITHUB REPO, 3, "colour", "unknown key", "prgate.conf(5)"},
        {"unknown section", TOP "gitlab { }\n" GITHUB REPO, 3, "gitlab", "unknown key", "prgate.conf(5)"},
        {"no state_dir", "webhook_secret_file = \"@/secret\"\n" GITHUB REPO, 0, "state_dir", "missing",
         "name the directory"},
        {"relative state_dir", "state_dir = \"s\"\n" GITHUB REPO, 1, "state_dir", "absolute path",
         "begin it with a slash"},
        {"empty state_dir", "state_dir = \"\"\n" GITHUB REPO, 1, "state_dir", "absolute path",
         "begin it with a slash"},
        {"root as state_dir", "state_dir = \"/\"\n" GITHUB REPO, 1, "state_dir", "root directory",
         "name one for prgate alone"},
        {"text for a number", TOP "trust_ttl = \"soon\"\n" GITHUB REPO, 3, "trust_ttl", "\"soon\"",
         "a whole number from 0 to 86400"},
        {"negative", TOP "trust_ttl = -1\n" GITHUB REPO, 3, "trust_ttl", "\"-1\"", "from 0 to 86400"},
        {"fraction", TOP "trust_ttl = 1.5\n" GITHUB REPO, 3, "trust_ttl", "\"1.5\"", "a whole number"},
        {"no number", TOP "trust_ttl = \"\"\n" GITHUB REPO, 3, "trust_ttl", "\"\"", "a whole number"},
        {"one too much", TOP "trust_ttl = 86401\n" GITHUB REPO, 3, "trust_ttl", "\"86401\"", "to 86400"},
        {"no threads", TOP "accept_threads = 0\n" GITHUB REPO, 3, "accept_threads", "\"0\"", "from 1 to 256"},
        {"no pull requests", TOP "pulls_in_progress = 0\n" GITHUB REPO, 3, "pulls_in_progress", "\"0\"",
         "from 1 to 2048"},
        {"too many threads", TOP "drain_threads = 257\n" GITHUB REPO, 3, "drain_threads", "\"257\"",
         "from 1 to 256"},
        {"no pause", TOP "sweep_interval = 0\n" GITHUB REPO, 3, "sweep_interval", "\"0\"", "from 1 to 3600"},
        {"redeliver too seldom", TOP "redeliver_interval = 86401\n" GITHUB REPO, 3, "redeliver_interval",
         "\"86401\"", "from 0 to 86400"},
        {"reconcile before", TOP "reconcile_interval = -1\n" GITHUB REPO, 3, "reconcile_interval", "\"-1\"",
         "from 0 to 86400"},
        {"healthy for ever", TOP "health_max_age = 86401\n" GITHUB REPO, 3, "health_max_age", "\"86401\"",
         "from 0 to 86400"},
        {"not a boolean", TOP "dry_run = \"maybe\"\n" GITHUB REPO, 3, "dry_run", "\"maybe\"",
         "must be true or false"},
        {"number for a boolean", TOP "dry_run = 2\n" GITHUB REPO, 3, "dry_run", "\"2\"",
         "must be true or false"},
        {"log_level", TOP "log_level = \"INFO\"\n" GITHUB REPO, 3, "log_level", "\"INFO\"",
         "one of panic, fatal, error, warning, info, debug"},
        {"log_format", TOP "log_format = \"xml\"\n" GITHUB REPO, 3, "log_format", "\"xml\"",
         "one of text, json"},
        {"log_target", TOP "log_target = \"/var/log/x\"\n" GITHUB REPO, 3, "log_target", "\"/var/log/x\"",
         "one of stderr, syslog"},
        {"public_url", TOP "public_url = \"ci.example\"\n" GITHUB REPO, 3, "public_url", "is no URL",
         "write it like \"https://"},
        {"no repository", TOP GITHUB, 0, "", "no repository", "add a section like: repo \"owner/name\" { }"},
    };
    (void)state;
    check_mistakes(rows, COUNT_OF(rows));
}

static void test_bad_secrets_are_named(void **state)
{
    static const struct mistake rows[] = {
        {"none", "state_dir = \"/s\"\n" GITHUB REPO, 0, "webhook_secret_file", "no secret",
         "name a file with the webhook's secret, or set PRGATE_WEBHOOK_SECRET"},
        {"no such file", SECRET("@/none"), 2, "webhook_secret_file", "cannot be read (No such file",
         "check the path and its owner"},
        {"empty", SECRET("@/empty"), 2, "webhook_secret_file", "is empty", "put something into it"},
        {"only a newline", SECRET("@/newline"), 2, "webhook_secret_file", "nothing but newlines",
         "put the secret into it"},
        {"open to everybody", SECRET("@/open"), 2, "webhook_secret_file", "by everybody (mode 0644)",
         "chmod o="},
        {"directory", SECRET("@"), 2, "webhook_secret_file", "is not a regular file", "name a file"},
        {"too large", SECRET("@/large"), 2, "webhook_secret_file", "is larger than 65536 bytes",
         "is it the right file?"},
        {"relative", SECRET("secret"), 2, "webhook_secret_file", "is not an absolute path",
         "begin it with a slash"},
        {"second of two",
         "state_dir = \"/s\"\nwebhook_secret_file = {\"@/secret\", \"@/open\"}\n" GITHUB REPO, 2,
         "webhook_secret_file", "/open can be accessed by everybody", "chmod o="},
        {"App's key open to everybody", TOP "github { app_id = 1 private_key_file = \"@/open\" }\n" REPO, 3,
         "private_key_file", "mode 0644", "chmod o="},
        {"token open to everybody", TOP "github { token_file = \"@/open\" }\n" REPO, 3, "token_file",
         "mode 0644", "chmod o="},
        {"own CI's secret open to everybody", KEYS("http_secret_file = \"@/open\""), 5, "http_secret_file",
         "mode 0644", "chmod o="},
    };
    (void)state;
    check_mistakes(rows, COUNT_OF(rows));
}

static void test_mistakes_about_github_are_named(void **state)
{
    static const struct mistake rows[] = {
        {"key of another section", TOP "github { token_file = \"@/token\" label = \"x\" }\n" REPO, 3, "label",
         "unknown key", "prgate.conf(5)"},
        {"http to a stranger",
         TOP "github {\n api_url = \"http://api.github.com\"\n token_file = \"@/token\" }\n" REPO, 4,
         "api_url", "must begin with https://", "http:// only for this very host"},
        {"App and token",
         TOP "github { app_id = 1 private_key_file = \"@/key\" token_file = \"@/token\" }\n" REPO, 3,
         "app_id", "a token is given as well", "keep the App or the token"},
        {"App without a key", TOP "github { app_id = 1 }\n" REPO, 3, "app_id", "key is missing",
         "set private_key_file or PRGATE_APP_PRIVATE_KEY"},
        {"key without an App", TOP "github { private_key_file = \"@/key\" }\n" REPO, 3, "private_key_file",
         "a key without an App", "set app_id"},
        {"key that is none", TOP "github { app_id = 1 private_key_file = \"@/nokey\" }\n" REPO, 3,
         "private_key_file", "is no PEM file", "use the key that GitHub let you download"},
        {"app_dir and an App",
         TOP "github { app_dir = \"/a\" app_id = 1 private_key_file = \"@/key\" }\n" REPO, 3, "app_dir",
         "another App or a token is given as well", "keep one of them"},
        {"app_dir and a token", TOP "github { app_dir = \"/a\" token_file = \"@/token\" }\n" REPO, 3,
         "app_dir", "another App or a token is given as well", "keep one of them"},
        {"relative app_dir", TOP "github { app_dir = \"app\" }\n" REPO, 3, "app_dir",
         "must be an absolute path", "begin it with a slash"},
        {"app_id of 0", TOP "github { app_id = 0 }\n" REPO, 3, "app_id", "\"0\"", "from 1 to"},
        {"timeout", TOP "github { request_timeout = 601 }\n" REPO, 3, "request_timeout", "\"601\"",
         "from 1 to 600"},
        {"no credentials", TOP REPO, 0, "github", "no credentials",
         "set app_id and private_key_file, or token_file, or dry_run = true"},
    };
    (void)state;
    check_mistakes(rows, COUNT_OF(rows));
}

#define APP_DIR "github { app_dir = \"@/app\" }\n"

/* app_dir with the files of these texts; NULL: without that one. */
static void make_app_dir(const char *id, const char *key, const char *secret)
{
    char path[128];
    snprintf(path, sizeof path, "%s/app", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    if (id != NULL)
        write_file(path, "app_id", id);
    if (key != NULL)
        write_file(path, "private-key.pem", key);
    if (secret != NULL)
        write_file(path, "webhook.secret", secret);
}

static void remove_app_dir(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/app", dir);
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define PEM "-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----\n"

static void test_app_dir_takes_the_place_of_all_that_it_holds(void **state)
{
    (void)state;
    make_app_dir("12345\n", PEM, "from-set-up\n");
    struct config *config = must_open("app_dir", "state_dir = \"/s\"\n" APP_DIR REPO);
    check_u64("app_dir", "App", config->app_id, 12345);
    check_int("app_dir", "credentials", config_credentials(config), CREDENTIALS_APP);
    check_bool("app_dir", "awaited", config->awaits_app, false);
    check_u64("app_dir", "secrets", config->webhook_secret_count, 1);
    check_secret("app_dir", &config->webhook_secrets[0], "from-set-up");
    config_close(config);
    config = must_open("with another secret", TOP APP_DIR REPO);
    check_u64("with another secret", "secrets", config->webhook_secret_count, 2);
    config_close(config);
    remove_app_dir();
}

static void test_app_dir_that_is_not_there_is_awaited(void **state)
{
    (void)state;
    struct config *config = must_open("awaited", "state_dir = \"/s\"\n" APP_DIR REPO);
    check_bool("awaited", "awaited", config->awaits_app, true);
    check_int("awaited", "credentials", config_credentials(config), CREDENTIALS_NONE);
    check_u64("awaited", "secrets", config->webhook_secret_count, 0);
    config_close(config);
    config = must_open("none", TOP GITHUB REPO);
    check_bool("none", "awaited", config->awaits_app, false);
    config_close(config);
}

static void test_app_dir_that_is_not_whole_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *id, *key, *secret, *part;
    } rows[] = {
        {"no id", NULL, PEM, "s\n", "app_id cannot be read"},
        {"no key", "1\n", NULL, "s\n", "private-key.pem cannot be read"},
        {"no secret", "1\n", PEM, NULL, "webhook.secret cannot be read"},
        {"odd id", "1x\n", PEM, "s\n", "has no App's number in it"},
        {"id of 0", "0\n", PEM, "s\n", "has no App's number in it"},
        {"odd key", "1\n", "x\n", "s\n", "is no PEM file"},
        {"empty secret", "1\n", PEM, "\n", "nothing but newlines"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct config *config = NULL;
        struct err err = {0};
        make_app_dir(rows[i].id, rows[i].key, rows[i].secret);
        check_int(rows[i].name, "code", open_text(&config, "state_dir = \"/s\"\n" APP_DIR REPO, &err),
                  ERR_REJECT);
        check_contains(rows[i].name, "message", err.text, rows[i].part);
        check_contains(rows[i].name, "message", err.text, "app_dir: ");
        remove_app_dir();
    }
}

static void test_mistakes_about_repositories_are_named(void **state)
{
    static const struct mistake rows[] = {
        {"bad pattern", TOP GITHUB "repo \"o\" { }\n", 0, "repo \"o\"", "the section's name must be",
         "\"owner/name\", \"owner/*\" or \"*\""},
        {"a section twice", TOP GITHUB REPO REPO, 5, "repo \"o/r\"", "it ends on line 4", "merge the two"},
        {"a section twice, other letter case", TOP GITHUB REPO "repo \"O/R\" { }\n", 0, "repo \"O/R\"",
         "letter case does not count", "merge the two"},
        {"unknown key", KEYS("colour = 1"), 5, "colour", "unknown key", "prgate.conf(5)"},
        {"empty label", KEYS("label = \"\""), 5, "label", "\"\"", "must be 1 to 50 printable characters"},
        {"label_id", KEYS("label_id = \"CICD\""), 5, "label_id", "\"CICD\"", "a whole number from 1 to"},
        {"bad user", KEYS("trusted_users = {\"a\", \"b c\"}"), 5, "trusted_users",
         "\"b c\" is no GitHub login", "write it like \"octocat\""},
        {"a person as a bot", KEYS("trusted_bots = {\"ann\"}"), 5, "trusted_bots",
         "\"ann\" is no App's login", "write it like \"renovate[bot]\""},
        {"bot without its number", KEYS("trusted_bots = {\"b[bot]:\"}"), 5, "trusted_bots", "\"b[bot]:\"",
         "\"renovate[bot]:2740\""},
        {"bot with number 0", KEYS("trusted_bots = {\"b[bot]:0\"}"), 5, "trusted_bots", "\"b[bot]:0\"",
         "\"renovate[bot]:2740\""},
        {"bot with something else", KEYS("trusted_bots = {\"b[bot]x\"}"), 5, "trusted_bots", "\"b[bot]x\"",
         "\"renovate[bot]:2740\""},
        {"bot without a name", KEYS("trusted_bots = {\"[bot]\"}"), 5, "trusted_bots", "\"[bot]\"",
         "\"renovate[bot]:2740\""},
        {"bad team", KEYS("trusted_teams = {\"o/t\", \"t\"}"), 5, "trusted_teams", "\"t\" is no team",
         "write it like \"organization/team-slug\""},
        {"trusted_permission", KEYS("trusted_permission = \"boss\""), 5, "trusted_permission", "\"boss\"",
         "one of read, triage, write, maintain, admin"},
        {"approver_permission", KEYS("approver_permission = \"Write\""), 5, "approver_permission",
         "\"Write\"", "one of read, triage, write, maintain, admin"},
        {"settle_seconds beyond an hour", KEYS("settle_seconds = 3601"), 5, "settle_seconds", "3601",
         "from 0 to 3600"},
        {"settle_seconds below 0", KEYS("settle_seconds = -1"), 5, "settle_seconds", "-1", "from 0 to 3600"},
        {"empty check_name", KEYS("check_name = \"\""), 5, "check_name", "1 to 100 printable", "shorten it"},
        {"bad trigger", KEYS("trigger = \"bell\""), 5, "trigger", "\"bell\"",
         "one of none, repository_dispatch, workflow_dispatch, http"},
        {"no workflow", KEYS("trigger = \"workflow_dispatch\""), 5, "trigger", "what to run", "set workflow"},
        {"bad workflow", KEYS("workflow = \"a/b.yml\""), 5, "workflow", "without directories", "\"ci.yml\""},
        {"bad ref", KEYS("workflow_ref = \"a..b\""), 5, "workflow_ref", "is no valid branch or tag name",
         "write it like \"main\""},
        {"no http_url", KEYS("trigger = \"http\""), 5, "trigger", "where to send it", "set http_url"},
        {"bad http_url", KEYS("trigger = \"http\"\nhttp_url = \"ci.example/hook\""), 6, "http_url",
         "is no URL", "write it like \"https://host/path\""},
        {"bad http_url that is not used", KEYS("http_url = \"http://ci.example/hook\""), 5, "http_url",
         "must begin with https://", "http:// only for this very host"},
        {"bad guarantee", KEYS("trigger_guarantee = \"exactly_once\""), 5, "trigger_guarantee",
         "\"exactly_once\"", "one of at_most_once, at_least_once"},
        {"budget of an author", KEYS("author_triggers_per_hour = 1001"), 5, "author_triggers_per_hour",
         "from 0 to 1000", "\"1001\""},
        {"budget of a repository", KEYS("repo_triggers_per_hour = -1"), 5, "repo_triggers_per_hour",
         "from 0 to 1000", "\"-1\""},
        {"queue without a trigger", KEYS("trigger = \"none\"\nmerge_queue_trigger = true"), 6,
         "merge_queue_trigger", "there is nothing to send", "choose another trigger"},
        {"queue with the gate's label", KEYS("label = \"Go\"\nqueue_label = \"go\""), 6, "queue_label",
         "is the gate's own label", "name another"},
        {"bad queue_label", KEYS("queue_label = \"a\nb\""), 6, "queue_label", "must be 1 to 50 printable",
         "as GitHub has it"},
        {"not a boolean", KEYS("trigger_can_be_asked = \"\""), 5, "trigger_can_be_asked", "\"\"",
         "must be true or false"},
    };
    (void)state;
    check_mistakes(rows, COUNT_OF(rows));
}

/* The parser's own words, but with the line, and never a configuration. */
static void test_what_cannot_be_parsed_is_refused(void **state)
{
    static const struct {
        const char *name, *text;
        int line;
    } rows[] = {
        {"string without an end", TOP GITHUB "repo \"o/r\" { label = \"x", 4},
        {"value without a key", TOP "= 5\n" GITHUB REPO, 3},
        {"key without a value", TOP "trust_ttl =\n" GITHUB REPO, 0},
        {"list for one value", TOP "trust_ttl = {1, 2}\n" GITHUB REPO, 3},
        {"section for a value", TOP "trust_ttl { }\n" GITHUB REPO, 3},
        {"value for a section", TOP "github = 5\n" REPO, 3},
        {"section without a name", TOP GITHUB "repo { }\n", 4},
    };
    char want[128];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct config *config = NULL;
        struct err err = {0};
        check_int(rows[i].name, "code", open_text(&config, rows[i].text, &err), ERR_REJECT);
        check_bool(rows[i].name, "config untouched", config == NULL, true);
        snprintf(want, sizeof want, "%s/prgate.conf:", dir);
        check_int(rows[i].name, "begins with the file", strncmp(err.text, want, strlen(want)), 0);
        if (rows[i].line > 0) {
            snprintf(want, sizeof want, "prgate.conf:%d: ", rows[i].line);
            check_contains(rows[i].name, "message", err.text, want);
        }
        check_contains(rows[i].name, "message", err.text, "see prgate.conf(5)");
    }
}

/* A file that was cut off must not count, with defaults in place of what is gone. */
static void test_a_file_that_ends_inside_a_section_is_refused(void **state)
{
    static const struct {
        const char *name, *text;
        bool good;
    } rows[] = {
        {"repo", TOP GITHUB "repo \"o/r\" {\n label = \"x\"\n", false},
        {"repo, no newline", TOP GITHUB "repo \"o/r\" {", false},
        {"repo, a comment behind", TOP GITHUB "repo \"o/r\" { # }", false},
        {"repo, a brace in a text", TOP GITHUB "repo \"o/r\" { label = \"}\"\n", false},
        {"second repo", TOP GITHUB REPO "repo \"o/s\" {\n", false},
        {"github", TOP REPO "github { token_file = \"@/token\"\n", false},
        {"closed, no newline", TOP GITHUB "repo \"o/r\" { }", true},
        {"closed, a comment behind", TOP GITHUB REPO "# {", true},
        {"closed, a brace in a text", TOP GITHUB "repo \"o/r\" { label = \"{\" }\n", true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct config *config = NULL;
        struct err err = {0};
        enum err_code code = open_text(&config, rows[i].text, &err);
        config_close(config);
        check_str(rows[i].name, "code", err_code_name(code), rows[i].good ? "ok" : "reject");
        if (!rows[i].good)
            check_contains(rows[i].name, "message", err.text,
                           "/prgate.conf: ends inside a section; close it with a brace");
    }
}

/* The one section is the last thing in it, so each cut falls in front of or into it. */
static void test_a_file_cut_off_anywhere_never_has_a_half_section(void **state)
{
    static const char whole[] =
        "state_dir = \"/s\"\nwebhook_secret_file = \"@/secret\"\ndry_run = true\n"
        "repo \"o/r\" { trusted_users = {\"a\", \"b\"} trusted_permission = \"\" label_id = 7 }\n";
    char text[sizeof whole];
    (void)state;
    for (size_t len = 0; len < sizeof whole - 2; len++) {
        struct config *config = NULL;
        struct err err = {0};
        memcpy(text, whole, len);
        text[len] = '\0';
        enum err_code code = open_text(&config, text, &err);
        config_close(config);
        if (code != ERR_REJECT)
            fail_msg("cut at %zu: got %s, want reject", len, err_code_name(code));
        check_contains("cut off", "message", err.text, "/prgate.conf:");
    }
    config_close(must_open("whole", whole));
}

/* ---- secrets ---- */

static void test_who_may_read_a_secret(void **state)
{
    static const struct {
        mode_t mode;
        bool good;
    } rows[] = {
        {0400, true},  {0600, true},  {0640, true},  {0660, true},  {0440, true},  {0700, true},
        {0604, false}, {0602, false}, {0601, false}, {0644, false}, {0666, false}, {0777, false},
    };
    char path[128];
    char row[16];
    (void)state;
    snprintf(path, sizeof path, "%s/modes", dir);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct config *config = NULL;
        struct err err = {0};
        write_file(dir, "modes", "hush\n");
        assert_int_equal(chmod(path, rows[i].mode), 0);
        snprintf(row, sizeof row, "%04o", (unsigned)rows[i].mode);
        check_int(row, "code", open_text(&config, SECRET("@/modes"), &err),
                  rows[i].good ? ERR_OK : ERR_REJECT);
        if (!rows[i].good)
            check_contains(row, "message", err.text, row);
        config_close(config);
    }
}

static void test_only_newlines_at_the_end_are_no_part_of_a_secret(void **state)
{
    static const struct {
        const char *name, *file, *want;
    } rows[] = {
        {"none", "hush", "hush"},
        {"one", "hush\n", "hush"},
        {"of another system", "hush\r\n", "hush"},
        {"several", "hush\n\n", "hush"},
        {"blanks belong to it", " hu sh \n", " hu sh "},
        {"inside belong to it", "hu\nsh\n", "hu\nsh"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        write_file(dir, "modes", rows[i].file);
        struct config *config = must_open(rows[i].name, SECRET("@/modes"));
        check_secret(rows[i].name, &config->webhook_secrets[0], rows[i].want);
        config_close(config);
    }
}

static void test_as_many_secrets_as_there_is_room_for(void **state)
{
    static const char eight[] = "state_dir = \"/s\"\nwebhook_secret_file = {\"@/old\", \"@/secret\", "
                                "\"@/secret\", \"@/secret\", \"@/secret\", \"@/secret\", \"@/secret\", "
                                "\"@/old\"}\n" GITHUB REPO;
    struct config *config = must_open("eight", eight);
    struct err err = {0};
    (void)state;
    check_u64("eight", "secrets", config->webhook_secret_count, CONFIG_SECRETS_MAX);
    check_secret("first", &config->webhook_secrets[0], "hush-hush");
    check_secret("second", &config->webhook_secrets[1], "hush");
    check_secret("last", &config->webhook_secrets[7], "hush-hush");
    config_close(config);
    config = NULL;
    setenv("PRGATE_WEBHOOK_SECRET", "ninth", 1);
    enum err_code code = open_text(&config, eight, &err);
    unsetenv("PRGATE_WEBHOOK_SECRET");
    check_int("nine", "code", code, ERR_REJECT);
    check_bool("nine", "config untouched", config == NULL, true);
    check_contains("nine", "message", err.text, "prgate.conf:2: webhook_secret_file: ");
    check_contains("nine", "message", err.text, "more than 8 secrets; drop one");
}

static void test_secrets_come_from_the_environment_too(void **state)
{
    (void)state;
    struct config *config;
    struct err err = {0};
    setenv("PRGATE_WEBHOOK_SECRET", "from-env", 1);
    setenv("PRGATE_GITHUB_TOKEN", "token-from-env", 1);
    enum err_code code = open_text(&config, "state_dir = \"/s\"\n" REPO, &err);
    unsetenv("PRGATE_WEBHOOK_SECRET");
    unsetenv("PRGATE_GITHUB_TOKEN");
    if (code != ERR_OK)
        fail_msg("%s", err.text);
    check_u64("environment", "secrets", config->webhook_secret_count, 1);
    check_secret("environment", &config->webhook_secrets[0], "from-env");
    assert_string_equal(config->token, "token-from-env");
    config_close(config);
}

static void test_secrets_are_wiped_from_the_environment(void **state)
{
    (void)state;
    static const char *const names[] = {"PRGATE_WEBHOOK_SECRET", "PRGATE_GITHUB_TOKEN",
                                        "PRGATE_APP_PRIVATE_KEY"};
    setenv("PRGATE_CONF", "/x/y.conf", 1);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        static char variable[64];
        static const char zeros[6];
        snprintf(variable, sizeof variable, "%s=secret", names[i]);
        putenv(variable); /* the text stays ours, as that of the first environment stays the kernel's */
        config_wipe_environment();
        check_bool(names[i], "is there", getenv(names[i]) != NULL, false);
        check_int(names[i], "what is left of the text",
                  memcmp(variable + strlen(names[i]) + 1, zeros, sizeof zeros), 0);
    }
    config_wipe_environment(); /* none is set */
    check_str("other variable", "value", getenv("PRGATE_CONF"), "/x/y.conf");
    unsetenv("PRGATE_CONF");
}

static void test_missing_file_is_named(void **state)
{
    (void)state;
    struct config *config;
    struct err err = {0};
    assert_int_equal(config_open(&config, "/nonexistent/prgate.conf", &err), ERR_REJECT);
    check_contains("missing", "message", err.text, "/nonexistent/prgate.conf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_key_can_be_set),
        cmocka_unit_test(test_triggers_and_permissions),
        cmocka_unit_test(test_the_shipped_file_is_good),
        cmocka_unit_test(test_the_shipped_file_s_examples_are_good),
        cmocka_unit_test(test_nearest_section_counts),
        cmocka_unit_test(test_a_repository_without_a_section_has_none),
        cmocka_unit_test(test_the_gate_label),
        cmocka_unit_test(test_mistakes_at_the_top_are_named),
        cmocka_unit_test(test_bad_secrets_are_named),
        cmocka_unit_test(test_mistakes_about_github_are_named),
        cmocka_unit_test(test_mistakes_about_repositories_are_named),
        cmocka_unit_test(test_what_cannot_be_parsed_is_refused),
        cmocka_unit_test(test_a_file_that_ends_inside_a_section_is_refused),
        cmocka_unit_test(test_a_file_cut_off_anywhere_never_has_a_half_section),
        cmocka_unit_test(test_who_may_read_a_secret),
        cmocka_unit_test(test_only_newlines_at_the_end_are_no_part_of_a_secret),
        cmocka_unit_test(test_as_many_secrets_as_there_is_room_for),
        cmocka_unit_test(test_secrets_come_from_the_environment_too),
        cmocka_unit_test(test_secrets_are_wiped_from_the_environment),
        cmocka_unit_test(test_app_dir_takes_the_place_of_all_that_it_holds),
        cmocka_unit_test(test_app_dir_that_is_not_there_is_awaited),
        cmocka_unit_test(test_app_dir_that_is_not_whole_is_refused),
        cmocka_unit_test(test_missing_file_is_named),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
