#include "check.h"

#include "fixture.h"

static char dir[64];

static int make_files(void **state)
{
    (void)state;
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

static void test_defaults(void **state)
{
    (void)state;
    struct config *config;
    struct err err = {0};
    if (open_text(&config, TOP GITHUB REPO, &err) != ERR_OK)
        fail_msg("%s", err.text);
    assert_string_equal(config->state_dir, "/s");
    assert_int_equal(config->webhook_secret_count, 1);
    assert_int_equal(config->webhook_secrets[0].len, 4); /* without its newline */
    assert_false(config->dry_run);
    assert_int_equal(config->trust_ttl_s, 300);
    assert_int_equal(config->accept_threads, 4);
    assert_int_equal(config->drain_threads, 8);
    assert_int_equal(config->sweep_interval_s, 1);
    assert_int_equal(config->request_timeout_s, 20);
    assert_string_equal(config->api_url, "https://api.github.com");
    assert_string_equal(config->token, "ghp_token");
    assert_int_equal(config_credentials(config), CREDENTIALS_TOKEN);
    const struct policy *policy = config_policy(config, "o/r");
    assert_non_null(policy);
    assert_string_equal(policy->label, "CICD");
    assert_int_equal(policy->label_id, 0);
    assert_true(policy->permission_trusts);
    assert_int_equal(policy->trusted_permission, PERMISSION_WRITE);
    assert_int_equal(policy->approver_permission, PERMISSION_TRIAGE);
    assert_string_equal(policy->check_name, "Awaiting CICD label");
    assert_int_equal(policy->trigger, TRIGGER_REPOSITORY_DISPATCH);
    assert_string_equal(policy->dispatch_event, "prgate-ci");
    assert_int_equal(policy->guarantee, GUARANTEE_AT_MOST_ONCE);
    assert_false(policy->trigger_can_be_asked);
    config_close(config);
}

static void test_every_key_can_be_set(void **state)
{
    (void)state;
    struct config *config;
    struct err err = {0};
    if (open_text(
            &config,
            "state_dir = \"/s\"\nwebhook_secret_file = {\"@/secret\", \"@/old\"}\ndry_run = true\n"
            "public_url = \"https://p.example\"\ntrust_ttl = 1\naccept_threads = 2\ndrain_threads = 3\n"
            "sweep_interval = 5\nlog_level = \"debug\"\nlog_format = \"json\"\nlog_target = \"syslog\"\n"
            "github { api_url = \"https://ghe.example/api/v3\" app_id = 5000000000 private_key_file = "
            "\"@/key\" request_timeout = 7 }\n"
            "repo \"o/r\" { label = \"go\" label_id = 10404216443 trusted_users = {\"a\", \"b[bot]\"} "
            "trusted_teams = {\"o/t\"} trusted_permission = \"\" approver_permission = \"write\" "
            "check_name = \"gate\" trigger = \"http\" http_url = \"https://ci.example/hook\" "
            "http_secret_file = \"@/secret\" trigger_can_be_asked = true "
            "trigger_guarantee = \"at_least_once\" }\n"
            "repo \"o/w\" { trigger = \"workflow_dispatch\" workflow = \"ci.yml\" workflow_ref = \"main\" }\n"
            "repo \"o/n\" { trigger = \"none\" dispatch_event = \"e\" }\n",
            &err) != ERR_OK)
        fail_msg("%s", err.text);
    assert_int_equal(config->webhook_secret_count, 2);
    assert_true(config->dry_run);
    assert_int_equal(config->app_id, 5000000000);
    assert_int_equal(config_credentials(config), CREDENTIALS_APP);
    assert_int_equal(config->log_level, LOG_LEVEL_DEBUG);
    const struct policy *policy = config_policy(config, "o/r");
    assert_int_equal(policy->label_id, 10404216443);
    assert_int_equal(policy->trusted_users.count, 2);
    assert_true(string_list_has(&policy->trusted_users, "B[bot]"));
    assert_false(policy->permission_trusts);
    assert_int_equal(policy->trigger, TRIGGER_HTTP);
    assert_int_equal(policy->http_secret.len, 4);
    assert_int_equal(policy->guarantee, GUARANTEE_AT_LEAST_ONCE);
    assert_string_equal(config_policy(config, "o/w")->workflow, "ci.yml");
    assert_int_equal(config_policy(config, "o/n")->trigger, TRIGGER_NONE);
    config_close(config);
}

static void test_nearest_section_counts(void **state)
{
    (void)state;
    struct config *config;
    struct err err = {0};
    if (open_text(&config,
                  TOP GITHUB "repo \"*\" { label = \"all\" }\nrepo \"o/*\" { label = \"owner\" }\n"
                             "repo \"O/R\" { label = \"one\" }\n",
                  &err) != ERR_OK)
        fail_msg("%s", err.text);
    assert_string_equal(config_policy(config, "o/r")->label, "one");
    assert_string_equal(config_policy(config, "O/other")->label, "owner");
    assert_string_equal(config_policy(config, "x/y")->label, "all");
    config_close(config);
    assert_int_equal(open_text(&config, TOP GITHUB REPO, &err), ERR_OK);
    assert_null(config_policy(config, "x/y"));
    config_close(config);
}

static void test_mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *says;
    } rows[] = {
        {"unknown key", TOP "colour = 1\n" GITHUB REPO, ":3: colour"},
        {"unknown section", TOP "gitlab { }\n" GITHUB REPO, ":3: gitlab"},
        {"key in the wrong section", TOP "github { token_file = \"@/token\" label = \"x\" }\n" REPO, "label"},
        {"no state_dir", "webhook_secret_file = \"@/secret\"\n" GITHUB REPO, "state_dir"},
        {"relative state_dir", "state_dir = \"s\"\nwebhook_secret_file = \"@/secret\"\n" GITHUB REPO,
         ":1: state_dir"},
        {"no secret", "state_dir = \"/s\"\n" GITHUB REPO, "webhook_secret_file"},
        {"missing secret", "state_dir = \"/s\"\nwebhook_secret_file = \"@/none\"\n" GITHUB REPO,
         ":2: webhook_secret_file"},
        {"empty secret", "state_dir = \"/s\"\nwebhook_secret_file = \"@/empty\"\n" GITHUB REPO, "empty"},
        {"readable secret", "state_dir = \"/s\"\nwebhook_secret_file = \"@/open\"\n" GITHUB REPO, "chmod"},
        {"directory as secret", "state_dir = \"/s\"\nwebhook_secret_file = \"@\"\n" GITHUB REPO,
         "regular file"},
        {"not a number", TOP "trust_ttl = \"soon\"\n" GITHUB REPO, ":3: trust_ttl"},
        {"out of range", TOP "accept_threads = 0\n" GITHUB REPO, ":3: accept_threads"},
        {"not a boolean", TOP "dry_run = \"maybe\"\n" GITHUB REPO, ":3: dry_run"},
        {"http to a stranger",
         TOP "github { api_url = \"http://api.github.com\" token_file = \"@/token\" }\n" REPO, "api_url"},
        {"App and token",
         TOP "github { app_id = 1 private_key_file = \"@/key\" token_file = \"@/token\" }\n" REPO,
         "app_id: a token is given as well"},
        {"App without a key", TOP "github { app_id = 1 }\n" REPO, "private_key_file"},
        {"key that is none", TOP "github { app_id = 1 private_key_file = \"@/nokey\" }\n" REPO,
         "private_key_file"},
        {"no credentials", TOP REPO, "github"},
        {"no repository", TOP GITHUB, "repo"},
        {"bad pattern", TOP GITHUB "repo \"o\" { }\n", "\"o\""},
        {"a section twice", TOP GITHUB REPO REPO, "o/r"},
        {"bad team", TOP GITHUB "repo \"o/r\" { trusted_teams = {\"t\"} }\n", "trusted_teams"},
        {"bad permission", TOP GITHUB "repo \"o/r\" { approver_permission = \"boss\" }\n",
         "approver_permission"},
        {"bad trigger", TOP GITHUB "repo \"o/r\" { trigger = \"bell\" }\n", "trigger"},
        {"no workflow", TOP GITHUB "repo \"o/r\" { trigger = \"workflow_dispatch\" }\n", "workflow"},
        {"no http_url", TOP GITHUB "repo \"o/r\" { trigger = \"http\" }\n", "http_url"},
        {"empty label", TOP GITHUB "repo \"o/r\" { label = \"\" }\n", "label"},
        {"cut off", TOP GITHUB "repo \"o/r\" { label = \"x", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct config *config = NULL;
        struct err err = {0};
        enum err_code code = open_text(&config, rows[i].text, &err);
        check_str(rows[i].name, "code", err_code_name(code), "reject");
        check_contains(rows[i].name, "message", err.text, rows[i].says);
        check_contains(rows[i].name, "message", err.text, "prgate.conf");
        assert_null(config);
    }
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
    assert_int_equal(config->webhook_secrets[0].len, strlen("from-env"));
    assert_string_equal(config->token, "token-from-env");
    config_close(config);
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
        cmocka_unit_test(test_nearest_section_counts),
        cmocka_unit_test(test_mistakes_are_named),
        cmocka_unit_test(test_secrets_come_from_the_environment_too),
        cmocka_unit_test(test_missing_file_is_named),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
