#include "check.h"

#include "fixture.h"
#include "prgate/event.h"

/* A small valid payload. Rows change it by replacing a part. */
static const char base[] =
    "{\"action\":\"labeled\",\"number\":7,\"label\":{\"id\":10404216443,\"name\":\"CICD\"},"
    "\"pull_request\":{\"number\":7,\"state\":\"open\",\"draft\":false,\"title\":\"t\",\"body\":null,"
    "\"updated_at\":\"2024-01-31T12:00:00Z\",\"mergeable\":null,\"author_association\":\"MEMBER\","
    "\"user\":{\"id\":2,\"login\":\"ann\",\"type\":\"User\"},\"labels\":[{\"id\":10404216443,\"name\":"
    "\"CICD\"}],"
    "\"head\":{\"sha\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"ref\":\"topic\",\"repo\":null},"
    "\"base\":{\"ref\":\"main\"}},\"repository\":{\"id\":5000000000,\"full_name\":\"octo/repo\"},"
    "\"installation\":{\"id\":77},\"sender\":{\"id\":3,\"login\":\"tim\",\"type\":\"User\"}}";

static struct fixture shared;

static int open_shared(void **state)
{
    (void)state;
    fixture_configure(&shared, "", "label_id = 10404216443");
    return 0;
}

static int close_shared(void **state)
{
    (void)state;
    fixture_close(&shared);
    return 0;
}

static void replace(struct buf *out, const char *part, const char *by)
{
    const char *at = strstr(base, part);
    if (at == NULL)
        fail_msg("the base has no %s", part);
    buf_add(out, base, (size_t)(at - base));
    buf_adds(out, by);
    buf_adds(out, at + strlen(part));
}

static enum err_code parse(struct event *event, const char *part, const char *by, struct err *err)
{
    struct buf body;
    buf_init(&body);
    replace(&body, part, by);
    enum err_code code = event_parse(event, body.data, body.len, shared.config, err);
    buf_release(&body);
    return code;
}

static void test_all_that_counts_is_read(void **state)
{
    (void)state;
    struct event event;
    struct err err = {0};
    assert_int_equal(event_parse(&event, base, strlen(base), shared.config, &err), ERR_OK);
    assert_int_equal(event.action, EVENT_LABELED);
    assert_int_equal(event.key.repo_id, 5000000000);
    assert_int_equal(event.key.number, 7);
    assert_string_equal(event.repo, "octo/repo");
    assert_int_equal(event.installation, 77);
    assert_string_equal(event.sender.login, "tim");
    assert_string_equal(event.pr.author.login, "ann");
    assert_string_equal(event.pr.head.hex, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_string_equal(event.pr.head_ref, "topic");
    assert_string_equal(event.pr.base_ref, "main");
    assert_int_equal(event.pr.updated_at, 1706702400);
    assert_int_equal(event.pr.mergeable, MERGEABLE_UNKNOWN);
    assert_true(event.pr.labelled);
    assert_true(event.label_is_gate);
    assert_false(event.pr.draft);
    assert_false(event.pr.closed);
    assert_int_equal(event.association, ASSOCIATION_INSIDER);
}

static void test_what_github_really_leaves_out_is_tolerated(void **state)
{
    (void)state;
    static const struct {
        const char *name, *part, *by;
    } rows[] = {
        {"repository hook", ",\"installation\":{\"id\":77}", ""},
        {"deleted author", "{\"id\":2,\"login\":\"ann\",\"type\":\"User\"}", "null"},
        {"no labels", "[{\"id\":10404216443,\"name\":\"CICD\"}]", "[]"},
        {"emoji in a label", "\"labels\":[",
         "\"labels\":[{\"id\":1,\"name\":\"\\ud83d\\ude80 \\\"go\\\"\"},"},
        {"mergeable false", "\"mergeable\":null", "\"mergeable\":false"},
        {"escaped backslash before u0000", "\"title\":\"t\"", "\"title\":\"\\\\u0000\""},
        {"unknown keys", "{\"action\"", "{\"brand_new\":{\"a\":[1,2]},\"action\""},
        {"SHA-256", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        if (parse(&event, rows[i].part, rows[i].by, &err) != ERR_OK)
            fail_msg("%s: %s", rows[i].name, err.text);
    }
}

static void test_label_counts_by_name_and_pinned_id(void **state)
{
    (void)state;
    static const char label[] = "\"label\":{\"id\":10404216443,\"name\":\"CICD\"}";
    static const struct {
        const char *name, *by;
        bool gate;
    } rows[] = {
        {"other case", "\"label\":{\"id\":10404216443,\"name\":\"cicd\"}", true},
        {"another id", "\"label\":{\"id\":10404216444,\"name\":\"CICD\"}", false},
        {"another name", "\"label\":{\"id\":10404216443,\"name\":\"CI\"}", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        assert_int_equal(parse(&event, label, rows[i].by, &err), ERR_OK);
        check_bool(rows[i].name, "is the gate label", event.label_is_gate, rows[i].gate);
    }
}

static void test_malformed_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *name, *part, *by, *reason;
    } rows[] = {
        {"not an object", base, "[1]", "object"},
        {"empty", base, "", ""},
        {"trailing garbage", base, "{} x", ""},
        {"NUL escape", "\"title\":\"t\"", "\"title\":\"\\u0000\"", "u0000"},
        {"invalid UTF-8", "\"title\":\"t\"", "\"title\":\"\xff\"", "UTF-8"},
        {"no number", "\"number\":7,\"label\"", "\"label\"", "number"},
        {"negative number", "\"number\":7,\"label\"", "\"number\":-7,\"label\"", "number"},
        {"fraction", "\"number\":7,\"label\"", "\"number\":7.5,\"label\"", "number"},
        {"out of range", "\"number\":7,\"label\"", "\"number\":1e400,\"label\"", "number"},
        {"2^53", "\"id\":5000000000", "\"id\":9007199254740992", "repository.id"},
        {"text as id", "\"id\":5000000000", "\"id\":\"5\"", "repository.id"},
        {"two numbers", "\"pull_request\":{\"number\":7", "\"pull_request\":{\"number\":8",
         "pull_request.number"},
        {"path in a name", "octo/repo", "../etc/passwd", "full_name"},
        {"CR LF in a name", "octo/repo", "octo/re\\r\\npo", "full_name"},
        {"quotes in a name", "octo/repo", "octo/re\\\"po", "full_name"},
        {"short SHA", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaa", "head.sha"},
        {"no time", "2024-01-31T12:00:00Z", "yesterday", "updated_at"},
        {"strange state", "\"state\":\"open\"", "\"state\":\"ajar\"", "state"},
        {"labeled without a label", "\"label\":{\"id\":10404216443,\"name\":\"CICD\"},", "", "label"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        enum err_code code = parse(&event, rows[i].part, rows[i].by, &err);
        check_str(rows[i].name, "code", err_code_name(code), "reject");
        check_contains(rows[i].name, "reason", err.text, rows[i].reason);
    }
}

static void test_every_cut_is_refused(void **state)
{
    (void)state;
    for (size_t len = 0; len < strlen(base); len++) {
        struct event event;
        struct err err = {0};
        char *body = mem_alloc(len); /* exactly that long: reading on is caught */
        memcpy(body, base, len);
        if (event_parse(&event, body, len, shared.config, &err) != ERR_REJECT)
            fail_msg("cut at %zu: got %s", len, err_code_name(err.code));
        free(body);
    }
}

static void test_deep_nesting_and_long_names_are_refused(void **state)
{
    (void)state;
    struct event event;
    struct err err = {0};
    struct buf body;
    buf_init(&body);
    for (int i = 0; i < 10000; i++)
        buf_addc(&body, '[');
    assert_int_equal(event_parse(&event, body.data, body.len, shared.config, &err), ERR_REJECT);
    buf_clear(&body);
    buf_adds(&body, "octo/");
    for (int i = 0; i < 10000; i++)
        buf_addc(&body, 'x');
    assert_int_equal(parse(&event, "octo/repo", buf_text(&body), &err), ERR_REJECT);
    buf_release(&body);
}

static void test_of_no_concern_is_told_apart_from_malformed(void **state)
{
    (void)state;
    struct event event;
    struct err err = {0};
    assert_int_equal(parse(&event, "octo/repo", "octo/other", &err), ERR_NOT_FOUND);
    check_contains("repository", "reason", err.text, "octo/other is not configured");
    assert_int_equal(event.key.number, 7);
    assert_int_equal(parse(&event, "\"labeled\"", "\"assigned\"", &err), ERR_NOT_FOUND);
    check_contains("action", "reason", err.text, "assigned");
    assert_true(event_is_of_concern("pull_request"));
    assert_false(event_is_of_concern("push"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_that_counts_is_read),
        cmocka_unit_test(test_what_github_really_leaves_out_is_tolerated),
        cmocka_unit_test(test_label_counts_by_name_and_pinned_id),
        cmocka_unit_test(test_malformed_is_refused_with_a_reason),
        cmocka_unit_test(test_every_cut_is_refused),
        cmocka_unit_test(test_deep_nesting_and_long_names_are_refused),
        cmocka_unit_test(test_of_no_concern_is_told_apart_from_malformed),
    };
    return cmocka_run_group_tests(tests, open_shared, close_shared);
}
