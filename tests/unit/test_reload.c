#include "check.h"

#include "fixture.h"
#include "reload.h"

/* Replaces what the fixture wrote; "@" stands for its directory. */
static void rewrite(const struct fixture *f, const char *text)
{
    struct buf file;
    buf_init(&file);
    for (; *text != '\0'; text++) {
        if (*text == '@')
            buf_adds(&file, f->dir);
        else
            buf_addc(&file, *text);
    }
    write_file(f->dir, "prgate.conf", buf_text(&file));
    buf_release(&file);
}

#define TOP "webhook_secret_file = \"@/secret\"\n"
#define GITHUB "github { token_file = \"@/token\" }\n"

static void test_what_the_file_says_now_counts(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct err err = {0};
    struct config *next = NULL;
    fixture_configure(&f, "", "");
    write_file(f.dir, "secret", "another\n");
    rewrite(&f, "state_dir = \"@/state/\"\n" TOP GITHUB "accept_threads = 2\ndrain_threads = 3\n"
                "repo \"octo/new\" { label = \"go\" }\n");
    if (reload_config(&next, f.config, &err) != ERR_OK)
        fail_msg("refused: %s", err.text);
    check_str("next", "path", next->path, f.config->path);
    check_str("next", "state_dir", next->state_dir, f.config->state_dir);
    check_u64("next", "length of the secret", next->webhook_secrets[0].len, strlen("another"));
    check_int("next", "accept_threads", next->accept_threads, 2);
    check_int("next", "drain_threads", next->drain_threads, 3);
    check_str("next", "label", config_policy(next, "octo/new")->label, "go");
    check_bool("next", "the old section is gone", config_policy(next, "octo/repo") == NULL, true);
    check_bool("old one", "untouched", config_policy(f.config, "octo/repo") != NULL, true);
    check_u64("old one", "length of the secret", f.config->webhook_secrets[0].len, strlen("hush"));
    config_close(next);
    fixture_close(&f);
}

/* The variables are wiped after the start. */
static void test_secrets_from_variables_stay(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct err err = {0};
    struct config *next = NULL, *third = NULL;
    setenv("PRGATE_WEBHOOK_SECRET", "from the environment", 1);
    fixture_configure(&f, "", "");
    config_wipe_environment();
    if (reload_config(&next, f.config, &err) != ERR_OK || reload_config(&third, next, &err) != ERR_OK)
        fail_msg("refused: %s", err.text);
    check_u64("third", "secrets", third->webhook_secret_count, 2);
    check_int("third", "secret",
              memcmp(third->webhook_secrets[1].bytes, "from the environment", strlen("from the environment")),
              0);
    config_close(third);
    config_close(next);
    fixture_close(&f);
}

static void test_what_cannot_be_used_is_refused_and_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *text;
        const char *want[3]; /* all are in the error */
    } rows[] = {
        {"unknown key", "state_dir = \"@/state\"\n" TOP GITHUB "colour = 1\n", {"prgate.conf:4", "colour"}},
        {"out of range",
         "state_dir = \"@/state\"\n" TOP GITHUB "drain_threads = 0\n",
         {"prgate.conf:4", "drain_threads"}},
        {"missing secret",
         "state_dir = \"@/state\"\nwebhook_secret_file = \"@/none\"\n" GITHUB,
         {"prgate.conf:2", "webhook_secret_file", "/none"}},
        {"cut off", "state_dir = \"@/state\"\n" TOP "github {", {"prgate.conf"}},
        {"another state_dir",
         "state_dir = \"@/elsewhere\"\n" TOP GITHUB "repo \"o/r\" { }\n",
         {"state_dir", "/elsewhere", "restart it"}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f = {0};
        struct err err = {0};
        struct config *next = NULL;
        fixture_configure(&f, "", "");
        rewrite(&f, rows[i].text);
        check_int(rows[i].name, "code", reload_config(&next, f.config, &err), ERR_REJECT);
        check_bool(rows[i].name, "nothing was handed out", next == NULL, true);
        for (size_t j = 0; j < COUNT_OF(rows[i].want) && rows[i].want[j] != NULL; j++)
            check_contains(rows[i].name, "error", err.text, rows[i].want[j]);
        fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_file_says_now_counts),
        cmocka_unit_test(test_secrets_from_variables_stay),
        cmocka_unit_test(test_what_cannot_be_used_is_refused_and_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
