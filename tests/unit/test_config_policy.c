/*
 * The keys of the policies beside the gate: what they become, what is wrong with them, and what is asked of them.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "prgate/buf.h"
#include "prgate/config.h"

static char dir[] = "/tmp/prgate-unit-XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL ? -1 : setenv("PRGATE_WEBHOOK_SECRET", "hush", 1);
}

static int remove_dir(void **state)
{
    char path[64];
    (void)state;
    snprintf(path, sizeof path, "%s/conf", dir);
    unlink(path);
    return rmdir(dir);
}

/* `keys` are from line 4 on. */
static enum err_code open_with(struct config **config, const char *keys, struct err *err)
{
    char path[64];
    snprintf(path, sizeof path, "%s/conf", dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "state_dir = \"/s\"\ndry_run = true\nrepo \"o/r\" {\n%s\n}\n", keys);
    fclose(file);
    *config = NULL;
    return config_open(config, path, err);
}

static const struct policy *open_fine(struct config **config, const char *keys)
{
    struct err err = {0};
    if (open_with(config, keys, &err) != ERR_OK)
        fail_msg("%s: %s", keys, err.text);
    return config_policy(*config, "o/r");
}

static void test_everything_is_off(void **state)
{
    (void)state;
    struct config *config;
    const struct policy *p = open_fine(&config, "");
    check_str("off", "emergency_label", p->emergency_label, "");
    check_str("off", "emergency_check", p->emergency_check, "");
    check_str("off", "emergency_message", p->emergency_message, "");
    check_int("off", "emergency_permission", p->emergency_permission, PERMISSION_WRITE);
    check_u64("off", "tests_needed_for", p->tests_needed_for.count, 0);
    check_u64("off", "tests_are", p->tests_are.count, 0);
    check_u64("off", "tests_exempt", p->tests_exempt.count, 0);
    check_str("off", "tests_message", p->tests_message, "");
    check_str("off", "base_wanted", p->base_wanted, "");
    check_u64("off", "base_wrong", p->base_wrong.count, 0);
    check_str("off", "base_message", p->base_message, "");
    check_u64("off", "release_branches", p->release_branches.count, 0);
    check_u64("off", "release_accounts", p->release_accounts.count, 0);
    check_bool("off", "close_release_heads", p->close_release_heads, false);
    check_str("off", "release_head_message", p->release_head_message, "");
    check_u64("off", "author_labels", p->author_labels.count, 0);
    check_bool("but for", "conflict_comment", p->conflict_comment, true);
    check_str("off", "conflict_message", p->conflict_message, "");
    check_bool("off", "new_commit_comment", p->new_commit_comment, false);
    check_str("off", "new_commit_message", p->new_commit_message, "");
    assert_false(policy_is_emergency_label(p, ""));
    config_close(config);
}

static const char all_keys[] =
    "emergency_label = \"urgent\" emergency_check = \"tree\"\n"
    "emergency_permission = \"maintain\" emergency_message = \"e {person}\"\n"
    "tests_needed_for = {\"lib/**\", \"bin/*.dart\"} tests_are = {\"**/*_test.dart\"}\n"
    "tests_exempt = {\"lib/gen/**\"} tests_message = \"t {author} {{x}}\"\n"
    "base_wanted = \"main\" base_wrong = {\"master\", \"old-*\"}\n"
    "base_message = \"b {base} {wanted_base}\"\n"
    "release_branches = {\"release-*\"} release_accounts = {\"roller[bot]\"}\n"
    "close_release_heads = true release_head_message = \"r {head}\"\n"
    "author_labels = {\"dependabot[bot]=dependencies\", \"ann=a=b\", \"ann=c\"}\n"
    "conflict_comment = false conflict_message = \"c {label}\"\n"
    "new_commit_comment = true new_commit_message = \"n {sha} {number} {repo}\"\n";

static void test_each_key_is_its_own(void **state)
{
    (void)state;
    struct config *config;
    const struct policy *p = open_fine(&config, all_keys);
    check_str("set", "emergency_label", p->emergency_label, "urgent");
    check_str("set", "emergency_check", p->emergency_check, "tree");
    check_int("set", "emergency_permission", p->emergency_permission, PERMISSION_MAINTAIN);
    check_str("set", "emergency_message", p->emergency_message, "e {person}");
    check_u64("set", "tests_needed_for", p->tests_needed_for.count, 2);
    check_str("set", "tests_needed_for", p->tests_needed_for.items[1], "bin/*.dart");
    check_str("set", "tests_are", p->tests_are.items[0], "**/*_test.dart");
    check_str("set", "tests_exempt", p->tests_exempt.items[0], "lib/gen/**");
    check_str("set", "tests_message", p->tests_message, "t {author} {{x}}");
    check_str("set", "base_wanted", p->base_wanted, "main");
    check_u64("set", "base_wrong", p->base_wrong.count, 2);
    check_str("set", "base_message", p->base_message, "b {base} {wanted_base}");
    check_str("set", "release_branches", p->release_branches.items[0], "release-*");
    check_str("set", "release_accounts", p->release_accounts.items[0], "roller[bot]");
    check_bool("set", "close_release_heads", p->close_release_heads, true);
    check_str("set", "release_head_message", p->release_head_message, "r {head}");
    check_u64("set", "author_labels", p->author_labels.count, 3);
    check_bool("set", "conflict_comment", p->conflict_comment, false);
    check_str("set", "conflict_message", p->conflict_message, "c {label}");
    check_bool("set", "new_commit_comment", p->new_commit_comment, true);
    check_str("set", "new_commit_message", p->new_commit_message, "n {sha} {number} {repo}");
    config_close(config);
}

static void test_asking(void **state)
{
    (void)state;
    struct config *config;
    const struct policy *p = open_fine(&config, all_keys);
    size_t at = 0;
    check_bool("label", "emergency", policy_is_emergency_label(p, "URGENT"), true);
    check_bool("label", "emergency", policy_is_emergency_label(p, "urgent2"), false);
    check_bool("globs", "second", policy_has_glob(&p->base_wrong, "old-1"), true);
    check_bool("globs", "none", policy_has_glob(&p->base_wrong, "main"), false);
    check_str("author", "first", policy_author_label(p, &at, "Ann"), "a=b");
    check_str("author", "second", policy_author_label(p, &at, "Ann"), "c");
    assert_null(policy_author_label(p, &at, "Ann"));
    assert_null(policy_author_label(p, &at, "Ann"));
    at = 0;
    assert_null(policy_author_label(p, &at, "an"));
    at = 0;
    assert_null(policy_author_label(p, &at, ""));
    config_close(config);
}

#define X100                                                                                                 \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void test_mistakes(void **state)
{
    (void)state;
    static const struct {
        const char *keys, *want;
    } rows[] = {
        {"emergency_label = \"x\"",
         ":4: emergency_label: needs to know which check it completes; set emergency_check"},
        {"emergency_check = \"x\"", ":4: emergency_check: no label completes it; set emergency_label"},
        {"emergency_check = \"x\"\nemergency_label = \"cicd\"", ":5: emergency_label: is the gate label"},
        {"label = \"go\" emergency_check = \"x\"\nemergency_label = \"GO\"",
         ":5: emergency_label: is the gate label"},
        {"emergency_label = \"x\"\nemergency_check = \"awaiting cicd LABEL\"",
         ":5: emergency_check: is the gate's own check"},
        {"emergency_label = \"" X100 "\"", ":4: emergency_label: \"" X100 "\" must be 1 to 50"},
        {"emergency_check = \"" X100 "x\"", ":4: emergency_check: "},
        {"emergency_permission = \"none\"",
         ":4: emergency_permission: must be one of read, triage, write, maintain, admin, not \"none\""},
        {"emergency_message = \"{person} {who}\"", ":4: emergency_message: \"{who}\" is none of {author}, "
                                                   "{number}, {repo}, {base}, {head}, {sha}, {label}, "
                                                   "{person}; write {{ and }} for braces"},
        {"\n\ntests_message = \"{person}\"", ":6: tests_message: \"{person}\" is none of {author},"},
        {"base_message = \"a } b\"", ":4: base_message: \"}\" is none of"},
        {"release_head_message = \"{wanted_base}\"", ":4: release_head_message: \"{wanted_base}\" is none"},
        {"conflict_message = \"{\"", ":4: conflict_message: \"{\" is none"},
        {"new_commit_message = \"{ sha}\"", ":4: new_commit_message: \"{\" is none"},
        {"tests_are = {\"t\"}", ":4: tests_are: does nothing by itself; set tests_needed_for"},
        {"tests_exempt = {\"t\"}", ":4: tests_exempt: does nothing by itself; set tests_needed_for"},
        {"tests_needed_for = {\"t\"}", ":4: tests_needed_for: needs to know what a test is; set tests_are"},
        {"tests_needed_for = {\"/lib\"}", ":4: tests_needed_for: \"/lib\" is no pattern"},
        {"tests_are = {\"a//b\"}", ":4: tests_are: \"a//b\" is no pattern"},
        {"tests_exempt = {\"\"}", ":4: tests_exempt: \"\" is no pattern"},
        {"base_wrong = {\"master\"}", ":4: base_wrong: needs to know which base is right; set base_wanted"},
        {"base_wanted = \"main\"", ":4: base_wanted: does nothing by itself; set base_wrong"},
        {"base_wanted = \"ma in\"", ":4: base_wanted: \"ma in\" is no valid branch"},
        {"base_wanted = \"main\"\nbase_wrong = {\"master\", \"m*\"}",
         ":5: base_wrong: takes base_wanted itself for wrong"},
        {"close_release_heads = true", ":4: close_release_heads: needs to know what a release branch is"},
        {"close_release_heads = maybe", ":4: close_release_heads: must be true or false"},
        {"release_branches = {\"r\"}", ":4: release_branches: does nothing by itself"},
        {"release_accounts = {\"no body\"}", ":4: release_accounts: \"no body\" is no GitHub login"},
        {"author_labels = {\"ann\"}", ":4: author_labels: \"ann\" is no login and label"},
        {"author_labels = {\"ann=\"}", ":4: author_labels: \"ann=\" is no login and label"},
        {"author_labels = {\"=x\"}", ":4: author_labels: \"=x\" is no login and label"},
        {"author_labels = {\"an n=x\"}", ":4: author_labels: \"an n=x\" is no login and label"},
        {"author_labels = {\"" X100 "=x\"}", ":4: author_labels: \""},
        {"author_labels = {\"ann=x\", \"ann=Cicd\"}", ":4: author_labels: sets the gate label"},
        {"emergency_label = \"e\" emergency_check = \"x\"\nauthor_labels = {\"ann=E\"}",
         ":5: author_labels: sets the emergency label"},
        {"conflict_comment = 2", ":4: conflict_comment: must be true or false"},
        {"new_commit_comment = \"\"", ":4: new_commit_comment: must be true or false"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct config *config;
        struct err err = {0};
        enum err_code code = open_with(&config, rows[i].keys, &err);
        check_int(rows[i].keys, "code", code, ERR_REJECT);
        check_contains(rows[i].keys, "text", err.text, rows[i].want);
    }
}

static void test_a_message_can_be_too_long(void **state)
{
    (void)state;
    struct buf keys;
    struct config *config;
    struct err err = {0};
    buf_init(&keys);
    buf_adds(&keys, "tests_message = \"");
    for (int i = 0; i < 100; i++)
        buf_adds(&keys, X100);
    struct buf longer;
    buf_init(&longer);
    buf_addf(&longer, "%sx\"", buf_text(&keys));
    buf_addc(&keys, '"');
    assert_int_equal(open_with(&config, buf_text(&keys), &err), ERR_OK);
    config_close(config);
    assert_int_equal(open_with(&config, buf_text(&longer), &err), ERR_REJECT);
    check_contains("longer", "text", err.text, ":4: tests_message: is longer than 10000 bytes; shorten it");
    buf_release(&keys);
    buf_release(&longer);
}

/* Each alone does something, or goes with what is there. */
static void test_what_goes_together(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "release_branches = {\"r\"} close_release_heads = true",
        "release_branches = {\"r\"} release_accounts = {\"ann\"}",
        "release_accounts = {\"ann\"}",
        "close_release_heads = false",
        "tests_needed_for = {\"a\"} tests_are = {\"b\"}",
        "author_labels = {\"ann=x\"}",
        "emergency_permission = \"admin\"",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct config *config;
        open_fine(&config, rows[i]);
        config_close(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_is_off),
        cmocka_unit_test(test_each_key_is_its_own),
        cmocka_unit_test(test_asking),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_a_message_can_be_too_long),
        cmocka_unit_test(test_what_goes_together),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
