/* Webhooks about comments: which have a command, whose it is, and which are passed over. */
#include "check.h"

#include "fixture.h"
#include "payload.h"
#include "prgate/event.h"
#include "prgate/text.h"

#define SHA "0123456789abcdef0123456789abcdef01234567"

/* Rows change it by replacing a part. */
static const char base[] =
    "{\"action\":\"created\",\"issue\":{\"number\":7,\"state\":\"open\",\"updated_at\":\"2024-01-31T12:00:"
    "00Z\","
    "\"user\":{\"id\":2,\"login\":\"ann\",\"type\":\"User\"},"
    "\"pull_request\":{\"url\":\"https://api.github.com/repos/octo/repo/pulls/7\"},\"body\":\"/ci cancel\"},"
    "\"comment\":{\"id\":6000000000,\"user\":{\"id\":3,\"login\":\"tim\",\"type\":\"User\"},"
    "\"author_association\":\"MEMBER\",\"performed_via_github_app\":null,"
    "\"body\":\"Fine.\\r\\n\\r\\n/ci approve " SHA "\\r\\n\"},"
    "\"repository\":{\"id\":5000000000,\"full_name\":\"octo/repo\"},"
    "\"installation\":{\"id\":77},\"sender\":{\"id\":3,\"login\":\"tim\",\"type\":\"User\"}}";

static struct fixture shared;

static int open_shared(void **state)
{
    (void)state;
    fixture_configure(&shared, "", "");
    return 0;
}

static int close_shared(void **state)
{
    (void)state;
    fixture_close(&shared);
    return 0;
}

static enum err_code parse(struct event *event, const char *part, const char *by, struct err *err)
{
    struct buf body;
    const char *at = strstr(base, part);
    if (at == NULL)
        fail_msg("the base has no %s", part);
    buf_init(&body);
    buf_add(&body, base, (size_t)(at - base));
    buf_adds(&body, by);
    buf_adds(&body, at + strlen(part));
    enum err_code code = event_parse(event, "issue_comment", body.data, body.len, shared.config, err);
    buf_release(&body);
    return code;
}

static void test_all_that_counts_is_read(void **state)
{
    (void)state;
    struct event event;
    struct err err = {0};
    assert_true(event_is_of_concern("issue_comment"));
    assert_true(event_has_rule("issue_comment", "created"));
    assert_false(event_has_rule("issue_comment", "edited"));
    assert_false(event_has_rule("pull_request", "created"));
    assert_int_equal(event_parse(&event, "issue_comment", base, strlen(base), shared.config, &err), ERR_OK);
    assert_int_equal(event.action, EVENT_COMMAND);
    assert_false(event_shows_pull(&event));
    assert_int_equal(event.command, COMMAND_APPROVE);
    assert_string_equal(event.sha_prefix, SHA);
    assert_int_equal(event.comment, 6000000000);
    assert_int_equal(event.key.repo_id, 5000000000);
    assert_int_equal(event.key.number, 7);
    assert_string_equal(event.repo, "octo/repo");
    assert_int_equal(event.installation, 77);
    assert_int_equal(event.sender.id, 3);
    assert_string_equal(event.sender.login, "tim");
    assert_int_equal(event.association, ASSOCIATION_INSIDER);
    assert_int_equal(event.pr.updated_at, 1706702400);
    assert_string_equal(event.pr.head.hex, "");
    assert_string_equal(event.pr.author.login, "");
    assert_int_equal(event.attempt, 0);
}

static void test_bodies(void **state)
{
    (void)state;
    static const char body[] = "Fine.\\r\\n\\r\\n/ci approve " SHA "\\r\\n";
    static const struct {
        const char *name, *by;
        enum command command;
        const char *sha;
    } rows[] = {
        {"rerun", "/ci rerun", COMMAND_RERUN, ""},
        {"cancel of", "/ci cancel abcdef0", COMMAND_CANCEL, "abcdef0"},
        {"status", "/ci status", COMMAND_STATUS, ""},
        {"help", "/ci help", COMMAND_HELP, ""},
        {"too short", "/ci approve abc", COMMAND_APPROVE, "abc"},
        {"unknown", "/ci make it so", COMMAND_UNKNOWN, ""},
        {"several", "/ci help\\n/ci help", COMMAND_SEVERAL, ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        if (parse(&event, body, rows[i].by, &err) != ERR_OK)
            fail_msg("%s: %s", rows[i].name, err.text);
        check_str(rows[i].name, "command", command_name(event.command), command_name(rows[i].command));
        check_str(rows[i].name, "sha", event.sha_prefix, rows[i].sha);
    }
}

static void test_what_is_passed_over(void **state)
{
    (void)state;
    static const char body[] = "\"Fine.\\r\\n\\r\\n/ci approve " SHA "\\r\\n\"";
    static const char author[] =
        "\"comment\":{\"id\":6000000000,\"user\":{\"id\":3,\"login\":\"tim\",\"type\":\"User\"}";
    static const char sender[] = "\"sender\":{\"id\":3,\"login\":\"tim\",\"type\":\"User\"}";
    static const struct {
        const char *name, *part, *by, *says;
    } rows[] = {
        {"edited", "\"created\"", "\"edited\"", "action edited has no rule"},
        {"deleted", "\"created\"", "\"deleted\"", "action deleted has no rule"},
        {"an issue", "\"pull_request\":{\"url\":\"https://api.github.com/repos/octo/repo/pulls/7\"},", "",
         "no pull request"},
        {"an issue, null", "{\"url\":\"https://api.github.com/repos/octo/repo/pulls/7\"}", "null",
         "no pull request"},
        {"a bot", sender, "\"sender\":{\"id\":3,\"login\":\"tim[bot]\",\"type\":\"Bot\"}", "by a bot"},
        {"a bot's comment", author,
         "\"comment\":{\"id\":6,\"user\":{\"id\":3,\"login\":\"tim\",\"type\":\"Bot\"}", "by a bot"},
        {"an App", "\"performed_via_github_app\":null", "\"performed_via_github_app\":{\"id\":1}",
         "by an App"},
        {"another sender", sender, "\"sender\":{\"id\":4,\"login\":\"max\",\"type\":\"User\"}",
         "not its sender's"},
        {"a deleted account", author, "\"comment\":{\"id\":6,\"user\":null", "not its sender's"},
        {"nobody", sender, "\"sender\":null", "not its sender's"},
        {"no command", body, "\"Looks good.\"", "without a command"},
        {"no text", body, "\"\"", "without a command"},
        {"null", body, "null", "without a command"},
        {"quoted", body, "\"> /ci help\\nthanks\"", "without a command"},
        {"code", body, "\"`/ci help`\"", "without a command"},
        {"another repository", "octo/repo\"}", "octo/other\"}", "not configured"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        check_str(rows[i].name, "code", err_code_name(parse(&event, rows[i].part, rows[i].by, &err)),
                  err_code_name(ERR_NOT_FOUND));
        check_contains(rows[i].name, "text", err.text, rows[i].says);
    }
}

static void test_malformed_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *name, *part, *by, *says;
    } rows[] = {
        {"no number", "\"number\":7,", "", "issue.number: missing"},
        {"number 0", "\"number\":7,", "\"number\":0,", "issue.number: "},
        {"no repository", "\"id\":5000000000,", "", "repository.id: missing"},
        {"no comment's id", "\"id\":6000000000,", "", "comment.id: missing"},
        {"comment's id of text", "\"id\":6000000000,", "\"id\":\"6\",", "comment.id: "},
        {"body of a number", "\"Fine.\\r\\n\\r\\n/ci approve " SHA "\\r\\n\"", "7",
         "comment.body: not a string"},
        {"sender's login", "\"sender\":{\"id\":3,\"login\":\"tim\"",
         "\"sender\":{\"id\":3,\"login\":\"t i m\"", "sender.login: "},
        {"time", "2024-01-31T12:00:00Z", "yesterday", "issue.updated_at: "},
        {"installation", "\"installation\":{\"id\":77}", "\"installation\":{\"id\":-1}", "installation.id: "},
        {"association", "\"MEMBER\"", "7", "comment.author_association: "},
        {"no action", "\"action\":\"created\",", "", "action: missing"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        check_str(rows[i].name, "code", err_code_name(parse(&event, rows[i].part, rows[i].by, &err)),
                  err_code_name(ERR_REJECT));
        check_contains(rows[i].name, "text", err.text, rows[i].says);
    }
}

static void test_what_github_may_leave_out_is_tolerated(void **state)
{
    (void)state;
    static const struct {
        const char *name, *part, *by;
    } rows[] = {
        {"a repository hook", ",\"installation\":{\"id\":77}", ""},
        {"no App's member", "\"performed_via_github_app\":null,", ""},
        {"no association", "\"author_association\":\"MEMBER\",", ""},
        {"no time", "\"updated_at\":\"2024-01-31T12:00:00Z\",", ""},
        {"a deleted author", "\"user\":{\"id\":2,\"login\":\"ann\",\"type\":\"User\"}", "\"user\":null"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        if (parse(&event, rows[i].part, rows[i].by, &err) != ERR_OK)
            fail_msg("%s: %s", rows[i].name, err.text);
        check_str(rows[i].name, "command", command_name(event.command), "approve");
    }
    struct event event;
    struct err err = {0};
    assert_int_equal(parse(&event, "\"MEMBER\"", "\"CONTRIBUTOR\"", &err), ERR_OK);
    assert_int_equal(event.association, ASSOCIATION_OUTSIDER);
}

/* Of a body of 64k characters nothing is kept but the command. */
static void test_a_body_of_64k_characters(void **state)
{
    (void)state;
    struct buf body;
    struct event event;
    struct err err = {0};
    buf_init(&body);
    for (int i = 0; i < 65000; i++)
        buf_adds(&body, "\xf0\x9f\x9a\x80");
    buf_adds(&body, "\\n\\n/ci rerun");
    assert_int_equal(parse(&event, "Fine.\\r\\n\\r\\n/ci approve " SHA "\\r\\n", buf_text(&body), &err),
                     ERR_OK);
    assert_int_equal(event.command, COMMAND_RERUN);
    buf_release(&body);
}

static void test_a_rerun_has_nothing_to_send_without_a_trigger(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct event event;
    struct err err = {0};
    fixture_configure(&f, "", "trigger = \"none\"");
    struct fixture kept = shared;
    shared = f;
    assert_int_equal(parse(&event, "approve " SHA, "rerun", &err), ERR_OK);
    assert_int_equal(event.command, COMMAND_UNKNOWN);
    assert_int_equal(parse(&event, "approve " SHA, "cancel", &err), ERR_OK);
    assert_int_equal(event.command, COMMAND_CANCEL);
    shared = kept;
    fixture_close(&f);
}

static void test_comments_are_not_read_without_a_prefix(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct event event;
    struct err err = {0};
    fixture_configure(&f, "", "command_prefix = \"\"");
    assert_int_equal(event_parse(&event, "issue_comment", base, strlen(base), f.config, &err), ERR_NOT_FOUND);
    check_contains("off", "text", err.text, "without a command");
    fixture_close(&f);
}

/* As large and as wordy as GitHub's own, with a quotation and a fence before the command. */
static void test_a_whole_payload(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct buf body;
    struct event event;
    struct err err = {0};
    fixture_configure(&f, "", "} repo \"turning-widgets/rotor\" {");
    read_payload("issue_comment_created", &body);
    if (event_parse(&event, "issue_comment", body.data, body.len, f.config, &err) != ERR_OK)
        fail_msg("%s", err.text);
    check_str("payload", "command", command_name(event.command), "approve");
    check_str("payload", "sha", event.sha_prefix, "3f1c9ad0e27b5684c1d9f0ab37e6528d4c90b1fe");
    check_str("payload", "repository", event.repo, "turning-widgets/rotor");
    check_u64("payload", "repository's id", event.key.repo_id, UINT64_C(3123456789));
    check_u64("payload", "number", event.key.number, 91);
    check_u64("payload", "comment", event.comment, UINT64_C(5000123456789));
    check_str("payload", "sender", event.sender.login, "mara-lind");
    check_u64("payload", "installation", event.installation, 71234567);
    check_int("payload", "association", event.association, ASSOCIATION_INSIDER);
    check_int("payload", "time", event.pr.updated_at, text_to_time("2025-11-14T10:40:00Z"));
    for (size_t len = 1; len < body.len; len += 97)
        assert_int_equal(event_parse(&event, "issue_comment", body.data, len, f.config, &err), ERR_REJECT);
    buf_release(&body);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_that_counts_is_read),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_a_whole_payload),
        cmocka_unit_test(test_what_is_passed_over),
        cmocka_unit_test(test_malformed_is_refused_with_a_reason),
        cmocka_unit_test(test_what_github_may_leave_out_is_tolerated),
        cmocka_unit_test(test_a_body_of_64k_characters),
        cmocka_unit_test(test_a_rerun_has_nothing_to_send_without_a_trigger),
        cmocka_unit_test(test_comments_are_not_read_without_a_prefix),
    };
    return cmocka_run_group_tests(tests, open_shared, close_shared);
}
