#include "check.h"

#include "fixture.h"
#include "prgate/event.h"
#include "prgate/text.h"

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
    enum err_code code = event_parse(event, "pull_request", body.data, body.len, shared.config, err);
    buf_release(&body);
    return code;
}

static void test_visibility_is_what_the_repository_says(void **state)
{
    (void)state;
    static const struct {
        const char *name, *by;
        enum visibility want;
    } rows[] = {
        {"not said", "octo/repo\"", VISIBILITY_UNKNOWN},
        {"public", "octo/repo\",\"private\":false", VISIBILITY_PUBLIC},
        {"private", "octo/repo\",\"private\":true", VISIBILITY_PRIVATE},
        {"null", "octo/repo\",\"private\":null", VISIBILITY_UNKNOWN},
        {"no boolean", "octo/repo\",\"private\":\"false\"", VISIBILITY_UNKNOWN},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        assert_int_equal(parse(&event, "octo/repo\"", rows[i].by, &err), ERR_OK);
        check_int(rows[i].name, "visibility", event.visibility, rows[i].want);
    }
}

static void test_all_that_counts_is_read(void **state)
{
    (void)state;
    struct event event;
    struct err err = {0};
    assert_int_equal(event_parse(&event, "pull_request", base, strlen(base), shared.config, &err), ERR_OK);
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
        {"empty", base, "", "body: empty"},
        {"trailing garbage", base, "{} x", "byte 2"},
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
        if (event_parse(&event, "pull_request", body, len, shared.config, &err) != ERR_REJECT)
            fail_msg("cut at %zu: got %s", len, err_code_name(err.code));
        free(body);
    }
}

static void test_a_nul_byte_is_refused_anywhere(void **state)
{
    char body[sizeof base];
    (void)state;
    for (size_t at = 0; at < strlen(base); at++) {
        struct event event;
        struct err err = {0};
        memcpy(body, base, sizeof base);
        body[at] = '\0';
        check_int("NUL byte", "code",
                  event_parse(&event, "pull_request", body, strlen(base), shared.config, &err), ERR_REJECT);
        check_str("NUL byte", "reason", err.text, "body: contains a NUL byte");
    }
}

/* Of JSON without such characters in its strings. */
static size_t count_values(const char *json)
{
    size_t count = 1;
    for (; *json != '\0'; json++)
        count += *json == ',' || *json == '[' || *json == '{';
    return count;
}

/* Each takes 80 bytes and more once it is parsed. */
static void test_values_without_number_are_refused(void **state)
{
    static const struct {
        const char *name, *start, *each, *end;
        size_t values; /* of `each` */
    } rows[] = {
        {"numbers", "[0", ",1", "]", 1},
        {"lists", "[0", ",[]", "]", 2},
        {"members", "{\"a\":0", ",\"\":1", "}", 1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf by;
        struct event event;
        struct err err = {0};
        buf_init(&by);
        /* What stands in strings does not count; a comma and a bracket come with it. */
        buf_addf(&by, "\"body\":\"[,{\\\"[,{\",\"filling\":%s", rows[i].start);
        for (size_t n = count_values(base) + 2; n + rows[i].values <= EVENT_VALUES_MAX; n += rows[i].values)
            buf_adds(&by, rows[i].each);
        size_t full = by.len;
        buf_adds(&by, rows[i].end);
        check_int(rows[i].name, "at the limit", parse(&event, "\"body\":null", buf_text(&by), &err), ERR_OK);
        by.len = full;
        buf_addf(&by, "%s%s", rows[i].each, rows[i].end);
        check_int(rows[i].name, "over it", parse(&event, "\"body\":null", buf_text(&by), &err), ERR_REJECT);
        check_str(rows[i].name, "reason", err.text,
                  "body: more than 50000 JSON values, a hundred times what GitHub sends");
        buf_release(&by);
    }
}

static void test_deep_nesting_is_refused(void **state)
{
    static const struct {
        const char *name, *open, *close;
    } rows[] = {{"arrays", "[", "]"}, {"objects", "{\"a\":", "}"}, {"never closed", "[", ""}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf by;
        buf_init(&by);
        buf_adds(&by, "\"body\":");
        for (int depth = 0; depth < 10000; depth++)
            buf_adds(&by, rows[i].open);
        buf_adds(&by, "1");
        for (int depth = 0; depth < 10000; depth++)
            buf_adds(&by, rows[i].close);
        struct event event;
        struct err err = {0};
        check_int(rows[i].name, "code", parse(&event, "\"body\":null", buf_text(&by), &err), ERR_REJECT);
        check_contains(rows[i].name, "reason", err.text, "body: nested more than 1000 levels deep");
        buf_release(&by);
    }
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
    assert_true(event_has_rule("pull_request", "labeled"));
    assert_false(event_has_rule("pull_request", "assigned"));
    assert_false(event_has_rule("pull_request", ""));
    assert_false(event_has_rule("push", "labeled"));
    assert_false(event_has_rule("pull_request", "rerequested"));
    for (int i = 0; i < 2; i++) {
        const char *name = i == 0 ? "check_run" : "check_suite";
        assert_true(event_is_of_concern(name));
        assert_true(event_has_rule(name, "rerequested"));
        assert_false(event_has_rule(name, "completed"));
        assert_false(event_has_rule(name, "labeled"));
    }
}

/* They have names, for the ledger, and no webhook has an action of such a name. */
static void test_no_webhook_is_the_operator_s_word(void **state)
{
    (void)state;
    static const char *const webhooks[] = {"pull_request", "check_run", "check_suite", "merge_group",
                                           "issue_comment"};
    static const enum event_action own[] = {EVENT_OPERATOR_APPROVE, EVENT_OPERATOR_RETRIGGER, EVENT_WAKE};
    for (size_t i = 0; i < COUNT_OF(webhooks); i++)
        for (size_t k = 0; k < COUNT_OF(own); k++)
            check_bool(webhooks[i], event_action_name(own[k]),
                       event_has_rule(webhooks[i], event_action_name(own[k])), false);
    check_str("the operator's", "name", event_action_name(EVENT_OPERATOR_APPROVE), "operator_approve");
}

/* ---- re-runs ---- */

#define RERUN_SHA "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define OTHER_SHA "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
/* Of octo/repo#7 at RERUN_SHA: trigger_key() of the second attempt. */
#define RERUN_KEY "a2d2f4ebf9b88561c76a6a332c6c5661"
#define AROUND                                                                                               \
    "\"repository\":{\"id\":5000000000,\"full_name\":\"octo/repo\"},\"installation\":{\"id\":77},"           \
    "\"sender\":{\"id\":3,\"login\":\"tim\",\"type\":\"User\"}}"
#define LISTED(number, sha, repo)                                                                            \
    "{\"number\":" number ",\"head\":{\"sha\":\"" sha "\"},\"base\":{\"repo\":{\"id\":" repo "}}}"
#define HERE "5000000000"

static const char run_base[] =
    "{\"action\":\"rerequested\",\"check_run\":{\"id\":1,\"name\":\"Awaiting CICD label\",\"head_sha\":"
    "\"" RERUN_SHA "\",\"external_id\":\"7/2/" RERUN_KEY "\",\"app\":{\"id\":12345},"
    "\"pull_requests\":[]}," AROUND;
static const char suite_base[] =
    "{\"action\":\"rerequested\",\"check_suite\":{\"id\":1,\"head_sha\":\"" RERUN_SHA
    "\",\"app\":{\"id\":12345},\"pull_requests\":[" LISTED("7", RERUN_SHA, HERE) "]}," AROUND;

static enum event_action action_wanted = EVENT_RERUN;

struct rerun_row {
    const char *name, *part, *by;
    enum err_code code;
    const char *says; /* in the error's text */
};

/* Each replaces one part of the base. */
static void check_rerun(const char *event_name, const char *from, const struct rerun_row *row)
{
    struct event event;
    struct err err = {0};
    struct buf body;
    const char *at = strstr(from, row->part);
    buf_init(&body);
    if (at == NULL)
        fail_msg("%s: the base has no %s", row->name, row->part);
    buf_add(&body, from, (size_t)(at - from));
    buf_adds(&body, row->by);
    buf_adds(&body, at + strlen(row->part));
    check_str(row->name, "code",
              err_code_name(event_parse(&event, event_name, body.data, body.len, shared.config, &err)),
              err_code_name(row->code));
    if (row->code == ERR_OK) {
        check_int(row->name, "action", event.action, action_wanted);
        check_u64(row->name, "number", event.key.number, 7);
        check_u64(row->name, "repository", event.key.repo_id, 5000000000);
        check_str(row->name, "name", event.repo, "octo/repo");
        check_str(row->name, "head", event.pr.head.hex, RERUN_SHA);
        check_str(row->name, "sender", event.sender.login, "tim");
        check_u64(row->name, "installation", event.installation, 77);
        check_int(row->name, "updated_at", event.pr.updated_at, 0);
    } else {
        check_contains(row->name, "text", err.text, row->says);
        check_str(row->name, "repository", event.repo, "octo/repo");
    }
    buf_release(&body);
}

/* A token makes no check runs; then the name alone has to do. */
static void open_for_app(uint64_t app_id)
{
    shared.config->app_id = app_id;
}

static void test_rerun_of_the_check(void **state)
{
    (void)state;
    static const char no_pulls[] = "\"pull_requests\":[]";
    static const char by_id[] =
        "\"external_id\":\"7/2/" RERUN_KEY "\",\"app\":{\"id\":12345},\"pull_requests\":[]";
#define UNNAMED(id, pulls) "\"external_id\":" id ",\"app\":{\"id\":12345},\"pull_requests\":[" pulls "]"
    static const struct rerun_row rows[] = {
        {"by its external_id", no_pulls, no_pulls, ERR_OK, NULL},
        {"that counts, not the list", no_pulls, "\"pull_requests\":[" LISTED("8", RERUN_SHA, HERE) "]",
         ERR_OK, NULL},
        {"no list",
         ","
         "\"pull_requests\":[]",
         "", ERR_OK, NULL},
        {"by the list", by_id, UNNAMED("null", LISTED("7", RERUN_SHA, HERE)), ERR_OK, NULL},
        {"by the list, somebody else's id", by_id, UNNAMED("\"7\"", LISTED("7", RERUN_SHA, HERE)), ERR_OK,
         NULL},
        {"by the only one of the list", by_id,
         UNNAMED("\"\"", LISTED("8", OTHER_SHA, HERE) "," LISTED("7", RERUN_SHA,
                                                                 HERE) "," LISTED("9", RERUN_SHA, "6") ",7"),
         ERR_OK, NULL},
        {"another number", "7/2/", "8/2/", ERR_NOT_FOUND, "names no pull request"},
        {"another attempt", "7/2/", "7/3/", ERR_NOT_FOUND, "names no pull request"},
        {"a number of its own kind", "7/2/", "07/2/", ERR_NOT_FOUND, "names no pull request"},
        {"a longer one", "\",\"app\"", "0\",\"app\"", ERR_NOT_FOUND, "names no pull request"},
        {"another repository", "\"id\":5000000000", "\"id\":5000000001", ERR_NOT_FOUND,
         "names no pull request"},
        {"another commit", RERUN_SHA, OTHER_SHA, ERR_NOT_FOUND, "names no pull request"},
        {"two of a list", by_id,
         UNNAMED("\"\"", LISTED("7", RERUN_SHA, HERE) "," LISTED("8", RERUN_SHA, HERE)), ERR_NOT_FOUND,
         "several pull requests"},
        {"another App's", "12345", "12346", ERR_NOT_FOUND, "another App"},
        {"nobody's", "\"id\":12345", "\"id\":\"12345\"", ERR_NOT_FOUND, "another App"},
        {"another check", "Awaiting CICD label", "ci", ERR_NOT_FOUND, "not the gate's"},
        {"no name", "\"name\":\"Awaiting CICD label\"", "\"name\":7", ERR_REJECT, "check_run.name"},
        {"another action", "rerequested", "completed", ERR_NOT_FOUND, "completed"},
        {"a pull request's action", "rerequested", "opened", ERR_NOT_FOUND, "opened"},
        {"no commit", RERUN_SHA, "main", ERR_REJECT, "check_run.head_sha"},
        {"an id that is no text", "\"7/2/" RERUN_KEY "\"", "7", ERR_REJECT, "check_run.external_id"},
        {"a list that is none", by_id, "\"app\":{\"id\":12345},\"pull_requests\":{}", ERR_REJECT,
         "check_run.pull_requests"},
        {"a sender that is none", "\"tim\"", "\"\"", ERR_REJECT, "sender.login"},
    };
    open_for_app(12345);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_rerun("check_run", run_base, &rows[i]);
    open_for_app(0);
    check_rerun("check_run", run_base, &rows[0]);
}

static void test_rerun_of_the_suite(void **state)
{
    (void)state;
    static const char list[] = "\"pull_requests\":[" LISTED("7", RERUN_SHA, HERE) "]";
    static const struct rerun_row rows[] = {
        {"by the list", "7", "7", ERR_OK, NULL},
        {"of a fork", list, "\"pull_requests\":[]", ERR_NOT_FOUND, "from forks"},
        {"an external_id is nothing here", list, "\"pull_requests\":[],\"external_id\":\"7/2/" RERUN_KEY "\"",
         ERR_NOT_FOUND, "from forks"},
        {"several", list,
         "\"pull_requests\":[" LISTED("7", RERUN_SHA, HERE) "," LISTED("8", RERUN_SHA, HERE) "]",
         ERR_NOT_FOUND, "several"},
        {"another App's", "12345", "12346", ERR_NOT_FOUND, "another App"},
        {"another action", "rerequested", "requested", ERR_NOT_FOUND, "requested"},
        {"no commit", "\"head_sha\"", "\"head\"", ERR_REJECT, "check_suite.head_sha"},
    };
    open_for_app(12345);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_rerun("check_suite", suite_base, &rows[i]);
    open_for_app(0);
    static const struct rerun_row token = {"without an App", "7", "7", ERR_NOT_FOUND, "not prgate's"};
    check_rerun("check_suite", suite_base, &token);
}

static const char button_base[] =
    "{\"action\":\"requested_action\",\"requested_action\":{\"identifier\":\"approve-ci\"},"
    "\"check_run\":{\"id\":1,\"name\":\"Awaiting CICD label\",\"head_sha\":\"" RERUN_SHA
    "\",\"external_id\":\"7/2/" RERUN_KEY "\",\"app\":{\"id\":12345},\"pull_requests\":[]}," AROUND;

static void test_button_of_the_check(void **state)
{
    (void)state;
    static const char no_pulls[] = "\"pull_requests\":[]";
    static const struct rerun_row rows[] = {
        {"by its external_id", no_pulls, no_pulls, ERR_OK, NULL},
        {"that counts, not the list", no_pulls, "\"pull_requests\":[" LISTED("8", RERUN_SHA, HERE) "]",
         ERR_OK, NULL},
        {"no id, but a list",
         "\"external_id\":\"7/2/" RERUN_KEY "\",\"app\":{\"id\":12345},"
         "\"pull_requests\":[]",
         "\"app\":{\"id\":12345},\"pull_requests\":[" LISTED("7", RERUN_SHA, HERE) "]", ERR_NOT_FOUND,
         "not of a check that prgate has written"},
        {"another number", "7/2/", "8/2/", ERR_NOT_FOUND, "not of a check that prgate has written"},
        {"another commit", RERUN_SHA, OTHER_SHA, ERR_NOT_FOUND, "not of a check that prgate has written"},
        {"another button", "approve-ci", "deploy", ERR_NOT_FOUND, "no button of prgate's"},
        {"no button", "\"identifier\"", "\"id\"", ERR_REJECT, "requested_action.identifier"},
        {"another App's", "12345", "12346", ERR_NOT_FOUND, "another App"},
        {"another check", "Awaiting CICD label", "ci", ERR_NOT_FOUND, "not the gate's"},
        {"no commit", RERUN_SHA, "main", ERR_REJECT, "check_run.head_sha"},
        {"a sender that is none", "\"tim\"", "\"\"", ERR_REJECT, "sender.login"},
    };
    action_wanted = EVENT_BUTTON;
    open_for_app(12345);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_rerun("check_run", button_base, &rows[i]);
    static const struct rerun_row suite = {"of a suite", "rerequested", "requested_action", ERR_NOT_FOUND,
                                           "a suite has no buttons"};
    check_rerun("check_suite", suite_base, &suite);
    struct fixture saved = shared;
    fixture_configure(&shared, "", "trigger = \"none\"");
    open_for_app(12345);
    check_rerun("check_run", button_base, &rows[0]); /* adds the label, which starts it */
    config_close(shared.config);
    shared = saved;
    open_for_app(0);
    action_wanted = EVENT_RERUN;
}

/* The label itself starts CI there, and nothing would be sent. */
static void test_rerun_has_nothing_to_send_without_a_trigger(void **state)
{
    (void)state;
    static const struct rerun_row row = {"no trigger", "rerequested", "rerequested", ERR_NOT_FOUND,
                                         "set it again"};
    static const struct rerun_row other = {"other repository", "octo/repo", "octo/other", ERR_NOT_FOUND,
                                           "not configured"};
    struct fixture saved = shared;
    fixture_configure(&shared, "", "trigger = \"none\"");
    check_rerun("check_run", run_base, &row);
    fixture_close(&shared);
    shared = saved;
    struct event event;
    struct err err = {0};
    struct buf body;
    buf_init(&body);
    const char *at = strstr(run_base, other.part);
    buf_add(&body, run_base, (size_t)(at - run_base));
    buf_adds(&body, other.by);
    buf_adds(&body, at + strlen(other.part));
    check_int(other.name, "code", event_parse(&event, "check_run", body.data, body.len, shared.config, &err),
              other.code);
    check_contains(other.name, "text", err.text, other.says);
    buf_release(&body);
}

/* ---- actions ---- */

static const struct {
    const char *name;
    enum event_action action;
    unsigned number; /* as stored: may never change */
} action_rows[] = {
    {"opened", EVENT_OPENED, 1},
    {"reopened", EVENT_REOPENED, 2},
    {"ready_for_review", EVENT_READY_FOR_REVIEW, 3},
    {"synchronize", EVENT_SYNCHRONIZE, 4},
    {"labeled", EVENT_LABELED, 5},
    {"unlabeled", EVENT_UNLABELED, 6},
    {"converted_to_draft", EVENT_CONVERTED_TO_DRAFT, 7},
    {"edited", EVENT_EDITED, 8},
    {"closed", EVENT_CLOSED, 9},
};

static void test_actions(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(action_rows); i++) {
        const char *name = action_rows[i].name;
        bool has_label = action_rows[i].action == EVENT_LABELED || action_rows[i].action == EVENT_UNLABELED;
        enum event_action back = EVENT_OPENED;
        char by[32];
        struct event event;
        struct err err = {0};
        snprintf(by, sizeof by, "\"%s\"", name);
        check_int(name, "code", parse(&event, "\"labeled\"", by, &err), ERR_OK);
        check_int(name, "action", event.action, action_rows[i].action);
        check_str(name, "name", event_action_name(action_rows[i].action), name);
        check_str(name, "label", event.label, has_label ? "CICD" : "");
        check_bool(name, "label_is_gate", event.label_is_gate, has_label);
        check_bool(name, "stored number is known", event_action_from_number(action_rows[i].number, &back),
                   true);
        check_int(name, "of the stored number", back, action_rows[i].action);
    }
}

static void test_numbers_of_no_action_are_refused(void **state)
{
    static const unsigned numbers[] = {0, EVENT_OPERATOR_RETRIGGER + 1, 255, 256 + 1, UINT32_MAX};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        enum event_action untouched = EVENT_EDITED;
        check_bool("no action", "known", event_action_from_number(numbers[i], &untouched), false);
        check_int("no action", "*out", untouched, EVENT_EDITED);
    }
}

/* ---- what identifies, or is acted upon, must be there and of its type ---- */

/* One value of each JSON type: N = null, b = boolean, n = number, and so on. */
static const struct {
    const char *name;
    const char *value;
    char type;
} one_of_each[] = {
    {"null", "null", 'N'},    {"true", "true", 'b'},     {"number", "5", 'n'},
    {"string", "\"x\"", 's'}, {"array", "[\"x\"]", 'a'}, {"object", "{\"id\":1}", 'o'},
};

/* Where each stands in the base: its name (with as much in front as makes it the only one) and value. */
static const struct {
    const char *path;
    const char *name;
    const char *value;
    const char
        *good; /* the types that are not wrong here; "" also where the base's own one has another form */
} members[] = {
    {"repository.full_name", "\"full_name\":", "\"octo/repo\"", ""},
    {"repository.id", "\"repository\":{\"id\":", "5000000000", "n"},
    {"number", "\"labeled\",\"number\":", "7", "n"},
    {"pull_request.number", "\"pull_request\":{\"number\":", "7", ""},
    {"pull_request.head.sha", "\"sha\":", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", ""},
    {"pull_request.head.ref", "\"ref\":", "\"topic\"", "s"},
    {"pull_request.base.ref", "\"base\":{\"ref\":", "\"main\"", "s"},
    {"pull_request.state", "\"state\":", "\"open\"", ""},
    {"pull_request.updated_at", "\"updated_at\":", "\"2024-01-31T12:00:00Z\"", ""},
    {"pull_request.title", "\"title\":", "\"t\"", "sN"},
    {"pull_request.draft", "\"draft\":", "false", "bN"},
    {"pull_request.mergeable", "\"mergeable\":", "null", "bN"},
    {"pull_request.author_association", "\"author_association\":", "\"MEMBER\"", "sN"},
    {"pull_request.user.id", "\"user\":{\"id\":", "2", "n"},
    {"pull_request.user.login", "\"id\":2,\"login\":", "\"ann\"", "s"},
    {"sender.id", "\"sender\":{\"id\":", "3", "n"},
    {"sender.login", "\"id\":3,\"login\":", "\"tim\"", "s"},
    {"installation.id", "\"installation\":{\"id\":", "77", "n"},
    {"label.id", "\"label\":{\"id\":", "10404216443", "n"},
    {"label.name", "\"label\":{\"id\":10404216443,\"name\":", "\"CICD\"", "s"},
    {"action", "\"action\":", "\"labeled\"", "s"},
};

static void check_rejected_at(const char *row, const char *path, const char *part, const char *by)
{
    struct event event;
    struct err err = {0};
    char want[64];
    enum err_code code = parse(&event, part, by, &err);
    if (code != ERR_REJECT)
        fail_msg("%s of %s: got %s, want reject", row, path, err_code_name(code));
    check_int(path, "code in err", err.code, ERR_REJECT);
    snprintf(want, sizeof want, "%s: ", path);
    if (strncmp(err.text, want, strlen(want)) != 0)
        fail_msg("%s of %s: got \"%s\"", row, path, err.text);
}

static void test_members_of_the_wrong_type_are_named(void **state)
{
    char part[128];
    char by[128];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        snprintf(part, sizeof part, "%s%s", members[i].name, members[i].value);
        for (size_t j = 0; j < COUNT_OF(one_of_each); j++) {
            if (strchr(members[i].good, one_of_each[j].type) != NULL)
                continue;
            snprintf(by, sizeof by, "%s%s", members[i].name, one_of_each[j].value);
            check_rejected_at(one_of_each[j].name, members[i].path, part, by);
        }
    }
}

static void test_missing_members_are_named(void **state)
{
    char part[128];
    char by[128];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        if (strchr(members[i].good, 'N') != NULL)
            continue;
        /* Another name for the same value: "number": becomes "numberX":. */
        snprintf(part, sizeof part, "%s%s", members[i].name, members[i].value);
        snprintf(by, sizeof by, "%.*sX\":%s", (int)strlen(members[i].name) - 2, members[i].name,
                 members[i].value);
        check_rejected_at("absence", members[i].path, part, by);
    }
}

static void test_numbers_that_are_no_id(void **state)
{
    static const char *const numbers[] = {
        "0",
        "-0",
        "-1",
        "1.5",
        "0.9999",
        "9007199254740992",
        "9007199254740993",
        "18446744073709551616",
        "1e16",
        "1e400",
        "-1e400",
        "4294967296.5",
        "1e-400",
    };
    char part[128];
    char by[128];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        if (strcmp(members[i].good, "n") != 0)
            continue;
        snprintf(part, sizeof part, "%s%s", members[i].name, members[i].value);
        for (size_t j = 0; j < COUNT_OF(numbers); j++) {
            snprintf(by, sizeof by, "%s%s", members[i].name, numbers[j]);
            check_rejected_at(numbers[j], members[i].path, part, by);
        }
    }
}

static void test_ids_are_exact(void **state)
{
    static const struct {
        const char *text;
        uint64_t want;
    } rows[] = {
        {"1", 1},
        {"2147483648", UINT64_C(2147483648)},
        {"4294967297", UINT64_C(4294967297)},
        {"9007199254740991", UINT64_C(9007199254740991)},
        {"12.0", 12},
        {"5e3", 5000},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        check_int(rows[i].text, "code", parse(&event, "5000000000", rows[i].text, &err), ERR_OK);
        check_u64(rows[i].text, "repository.id", event.key.repo_id, rows[i].want);
    }
}

/* ---- names and times ---- */

static void test_names_that_are_none(void **state)
{
    static const struct {
        const char *name, *path, *part, *by;
    } rows[] = {
        {"no slash", "repository.full_name", "octo/repo", "octo"},
        {"climbing", "repository.full_name", "octo/repo", "octo/.."},
        {"two slashes", "repository.full_name", "octo/repo", "octo/re/po"},
        {"line break", "repository.full_name", "octo/repo", "octo/repo\\n"},
        {"blank", "repository.full_name", "octo/repo", "octo/re po"},
        {"other letters", "repository.full_name", "octo/repo", "octo/r\xc3\xa9po"},
        {"empty", "repository.full_name", "octo/repo", ""},
        {"quote", "sender.login", "\"tim\"", "\"t\\\"im\""},
        {"line break", "sender.login", "\"tim\"", "\"tim\\r\\nx: y\""},
        {"empty", "sender.login", "\"tim\"", "\"\""},
        {"climbing", "pull_request.user.login", "\"ann\"", "\"../ann\""},
        {"two dots", "pull_request.head.ref", "\"topic\"", "\"to..pic\""},
        {"line break", "pull_request.base.ref", "\"main\"", "\"main\\n\""},
        {"empty", "pull_request.base.ref", "\"main\"", "\"\""},
        {"empty", "label.name", "\"name\":\"CICD\"},\"pull", "\"name\":\"\"},\"pull"},
        {"line break", "label.name", "\"name\":\"CICD\"},\"pull", "\"name\":\"CI\\nCD\"},\"pull"},
        {"41 digits", "pull_request.head.sha", "\"sha\":\"", "\"sha\":\"a"},
        {"no digit", "pull_request.head.sha", "\"sha\":\"a", "\"sha\":\"g"},
        {"fraction", "pull_request.updated_at", "12:00:00Z", "12:00:00.5Z"},
        {"zone", "pull_request.updated_at", "12:00:00Z", "12:00:00+01:00"},
        {"30 February", "pull_request.updated_at", "01-31", "02-30"},
        {"epoch, which means never", "pull_request.updated_at", "2024-01-31T12", "1970-01-01T00"},
        {"upper case", "pull_request.state", "\"open\"", "\"OPEN\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_rejected_at(rows[i].name, rows[i].path, rows[i].part, rows[i].by);
}

static void test_names_of_10_kb_are_refused(void **state)
{
    static const struct {
        const char *path, *value;
    } rows[] = {
        {"repository.full_name", "octo/repo"},
        {"sender.login", "tim"},
        {"pull_request.user.login", "ann"},
        {"pull_request.head.ref", "topic"},
        {"pull_request.base.ref", "main"},
        {"pull_request.head.sha", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
        {"pull_request.updated_at", "2024-01-31T12:00:00Z"},
        {"pull_request.state", "open"},
        {"label.name", "CICD"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf by;
        buf_init(&by);
        buf_adds(&by, rows[i].value);
        while (by.len < 10000)
            buf_addc(&by, 'a');
        check_rejected_at("10 kB", rows[i].path, rows[i].value, buf_text(&by));
        buf_release(&by);
    }
}

/* ---- the pull request ---- */

static void test_people(void **state)
{
    static const struct {
        const char *name, *by;
        uint64_t id;
        const char *login;
        bool bot;
    } rows[] = {
        {"user", "{\"id\":2209114417,\"login\":\"ann\",\"type\":\"User\"}", UINT64_C(2209114417), "ann",
         false},
        {"bot", "{\"id\":9,\"login\":\"dependabot[bot]\",\"type\":\"Bot\"}", 9, "dependabot[bot]", true},
        {"no type", "{\"id\":9,\"login\":\"ann\"}", 9, "ann", false},
        {"deleted account", "null", 0, "", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        check_int(rows[i].name, "code",
                  parse(&event, "{\"id\":2,\"login\":\"ann\",\"type\":\"User\"}", rows[i].by, &err), ERR_OK);
        check_u64(rows[i].name, "author's id", event.pr.author.id, rows[i].id);
        check_str(rows[i].name, "author", event.pr.author.login, rows[i].login);
        check_bool(rows[i].name, "author is a bot", event.pr.author.bot, rows[i].bot);
        check_int(rows[i].name, "code",
                  parse(&event, "{\"id\":3,\"login\":\"tim\",\"type\":\"User\"}", rows[i].by, &err), ERR_OK);
        check_u64(rows[i].name, "sender's id", event.sender.id, rows[i].id);
        check_str(rows[i].name, "sender", event.sender.login, rows[i].login);
        check_bool(rows[i].name, "sender is a bot", event.sender.bot, rows[i].bot);
    }
}

static void test_states(void **state)
{
    static const struct {
        const char *name, *part, *by;
        bool draft, closed;
        enum mergeable mergeable;
        enum association association;
    } rows[] = {
        {"as it is", "\"t\"", "\"u\"", false, false, MERGEABLE_UNKNOWN, ASSOCIATION_INSIDER},
        {"closed", "\"open\"", "\"closed\"", false, true, MERGEABLE_UNKNOWN, ASSOCIATION_INSIDER},
        {"draft", "\"draft\":false", "\"draft\":true", true, false, MERGEABLE_UNKNOWN, ASSOCIATION_INSIDER},
        {"mergeable", "\"mergeable\":null", "\"mergeable\":true", false, false, MERGEABLE_YES,
         ASSOCIATION_INSIDER},
        {"not mergeable", "\"mergeable\":null", "\"mergeable\":false", false, false, MERGEABLE_NO,
         ASSOCIATION_INSIDER},
        {"mergeable not sent", "\"mergeable\":null,", "", false, false, MERGEABLE_UNKNOWN,
         ASSOCIATION_INSIDER},
        {"owner", "MEMBER", "OWNER", false, false, MERGEABLE_UNKNOWN, ASSOCIATION_INSIDER},
        {"collaborator", "MEMBER", "COLLABORATOR", false, false, MERGEABLE_UNKNOWN, ASSOCIATION_INSIDER},
        {"contributor", "MEMBER", "CONTRIBUTOR", false, false, MERGEABLE_UNKNOWN, ASSOCIATION_OUTSIDER},
        {"first time", "MEMBER", "FIRST_TIME_CONTRIBUTOR", false, false, MERGEABLE_UNKNOWN,
         ASSOCIATION_OUTSIDER},
        {"none", "MEMBER", "NONE", false, false, MERGEABLE_UNKNOWN, ASSOCIATION_OUTSIDER},
        {"lower case", "MEMBER", "member", false, false, MERGEABLE_UNKNOWN, ASSOCIATION_OUTSIDER},
        {"no association", "\"author_association\":\"MEMBER\",", "", false, false, MERGEABLE_UNKNOWN,
         ASSOCIATION_OUTSIDER},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        check_int(rows[i].name, "code", parse(&event, rows[i].part, rows[i].by, &err), ERR_OK);
        check_bool(rows[i].name, "draft", event.pr.draft, rows[i].draft);
        check_bool(rows[i].name, "closed", event.pr.closed, rows[i].closed);
        check_int(rows[i].name, "mergeable", event.pr.mergeable, rows[i].mergeable);
        check_int(rows[i].name, "association", event.association, rows[i].association);
    }
}

static void test_labels_of_the_pull_request(void **state)
{
    static const struct {
        const char *name, *by;
        bool labelled;
    } rows[] = {
        {"none", "[]", false},
        {"null", "null", false},
        {"the gate label", "[{\"id\":10404216443,\"name\":\"CICD\"}]", true},
        {"other letter case", "[{\"id\":10404216443,\"name\":\"cicd\"}]", true},
        {"last of three",
         "[{\"id\":1,\"name\":\"a\"},{\"id\":2,\"name\":\"b\"},{\"id\":10404216443,\"name\":\"CICD\"}]",
         true},
        {"first of two", "[{\"id\":10404216443,\"name\":\"CICD\"},{\"id\":1,\"name\":\"a\"}]", true},
        {"emoji and quotes", "[{\"id\":10404216443,\"name\":\"\xf0\x9f\x9a\x80 \\\"CICD\\\"\"}]", false},
        {"same name, another id", "[{\"id\":10404216444,\"name\":\"CICD\"}]", false},
        {"same name, no id", "[{\"name\":\"CICD\"}]", false},
        {"same name, id as text", "[{\"id\":\"10404216443\",\"name\":\"CICD\"}]", false},
        {"same id, another name", "[{\"id\":10404216443,\"name\":\"other\"}]", false},
        {"begins alike", "[{\"id\":10404216443,\"name\":\"CICD2\"}]", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        check_int(rows[i].name, "code",
                  parse(&event, "[{\"id\":10404216443,\"name\":\"CICD\"}]", rows[i].by, &err), ERR_OK);
        check_bool(rows[i].name, "labelled", event.pr.labelled, rows[i].labelled);
    }
}

static void test_the_label_s_name_is_kept_as_it_is(void **state)
{
    static const struct {
        const char *json, *want;
    } rows[] = {
        {"CICD", "CICD"},
        {"\\ud83d\\ude80 \\\"go\\\" \\\\o/", "\xf0\x9f\x9a\x80 \"go\" \\o/"},
        {"\xf0\x9f\x9a\x80", "\xf0\x9f\x9a\x80"},
        {"<b>&amp;", "<b>&amp;"},
    };
    char by[128];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        snprintf(by, sizeof by, "\"name\":\"%s\"},\"pull", rows[i].json);
        check_int(rows[i].json, "code", parse(&event, "\"name\":\"CICD\"},\"pull", by, &err), ERR_OK);
        check_str(rows[i].json, "label", event.label, rows[i].want);
        check_u64(rows[i].json, "label_id", event.label_id, UINT64_C(10404216443));
    }
}

static void test_a_body_of_64_kb_is_read(void **state)
{
    static const char *const pieces[] = {
        "x", "\\n", "\\\"", "\\\\", "\\ud83d\\ude80", "\xf0\x9f\x9a\x80", "{[", "\\\\u0000"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        struct event event;
        struct err err = {0};
        struct buf by;
        buf_init(&by);
        buf_adds(&by, "\"body\":\"");
        while (by.len < 65536)
            buf_adds(&by, pieces[i]);
        buf_adds(&by, "\"");
        check_int(pieces[i], "code", parse(&event, "\"body\":null", buf_text(&by), &err), ERR_OK);
        check_bool(pieces[i], "what follows is read", event.pr.labelled, true);
        buf_release(&by);
    }
}

static void test_an_escaped_nul_is_refused_anywhere(void **state)
{
    static const struct {
        const char *name, *part, *by;
    } rows[] = {
        {"in a title", "\"t\"", "\"a\\u0000b\""},
        {"in a name", "octo/repo", "octo/repo\\u0000x"},
        {"in a key", "\"title\"", "\"tit\\u0000le\""},
        {"behind an escaped backslash", "\"t\"", "\"\\\\\\u0000\""},
        {"in what is not looked at", "\"body\":null", "\"body\":\"\\u0000\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_rejected_at(rows[i].name, "body", rows[i].part, rows[i].by);
}

static void test_what_only_looks_like_an_escaped_nul_is_kept(void **state)
{
    static const struct {
        const char *json, *want;
    } rows[] = {
        {"\\\\u0000", "\\u0000"}, {"\\\\\\\\u0000", "\\\\u0000"}, {"u0000", "u0000"}, {"\\u0001", "\x01"},
        {"\\u00001", ""},
    };
    char by[64];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        bool is_nul = rows[i].want[0] == '\0';
        snprintf(by, sizeof by, "\"%s\"", rows[i].json);
        check_int(rows[i].json, "code", parse(&event, "\"t\"", by, &err), is_nul ? ERR_REJECT : ERR_OK);
        if (!is_nul)
            check_str(rows[i].json, "title", event.pr.title, rows[i].want);
    }
}

/* ---- which pull request it was about is known even when the rest is not understood ---- */

static void test_errors_leave_repository_and_number(void **state)
{
    static const struct {
        const char *name, *part, *by;
        enum err_code code;
        const char *repo;
        uint64_t number;
    } rows[] = {
        {"another repository", "octo/repo", "octo/other", ERR_NOT_FOUND, "octo/other", 7},
        {"an action without a rule", "\"labeled\"", "\"assigned\"", ERR_NOT_FOUND, "octo/repo", 7},
        {"an action in upper case", "\"labeled\"", "\"LABELED\"", ERR_NOT_FOUND, "octo/repo", 7},
        {"bad state", "\"open\"", "\"ajar\"", ERR_REJECT, "octo/repo", 7},
        {"bad label", "\"name\":\"CICD\"},\"pull", "\"name\":\"\"},\"pull", ERR_REJECT, "octo/repo", 7},
        {"bad repository.id", "5000000000", "-1", ERR_REJECT, "octo/repo", 7},
        {"bad number", "\"labeled\",\"number\":7", "\"labeled\",\"number\":-7", ERR_REJECT, "octo/repo", 0},
        {"bad name", "octo/repo", "octo", ERR_REJECT, "", 0},
        {"no JSON", "{\"action\"", "{action", ERR_REJECT, "", 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        memset(&event, 0xee, sizeof event);
        check_int(rows[i].name, "code", parse(&event, rows[i].part, rows[i].by, &err), rows[i].code);
        check_int(rows[i].name, "code in err", err.code, rows[i].code);
        check_str(rows[i].name, "repo", event.repo, rows[i].repo);
        check_u64(rows[i].name, "number", event.key.number, rows[i].number);
    }
}

/* Otherwise one delivery could fill the log. */
static void test_a_long_action_is_shown_in_part(void **state)
{
    struct event event;
    struct err err = {0};
    struct buf by;
    (void)state;
    buf_init(&by);
    buf_adds(&by, "\"");
    while (by.len < 10000)
        buf_adds(&by, "\xf0\x9f\x9a\x80");
    buf_adds(&by, "\"");
    check_int("long action", "code", parse(&event, "\"labeled\"", buf_text(&by), &err), ERR_NOT_FOUND);
    check_bool("long action", "UTF-8", text_utf8_valid(err.text, strlen(err.text)), true);
    check_contains("long action", "error", err.text, "has no rule");
    check_bool("long action", "short", strlen(err.text) < 100, true);
    buf_release(&by);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_visibility_is_what_the_repository_says),
        cmocka_unit_test(test_all_that_counts_is_read),
        cmocka_unit_test(test_what_github_really_leaves_out_is_tolerated),
        cmocka_unit_test(test_label_counts_by_name_and_pinned_id),
        cmocka_unit_test(test_malformed_is_refused_with_a_reason),
        cmocka_unit_test(test_every_cut_is_refused),
        cmocka_unit_test(test_a_nul_byte_is_refused_anywhere),
        cmocka_unit_test(test_deep_nesting_is_refused),
        cmocka_unit_test(test_values_without_number_are_refused),
        cmocka_unit_test(test_of_no_concern_is_told_apart_from_malformed),
        cmocka_unit_test(test_rerun_of_the_check),
        cmocka_unit_test(test_rerun_of_the_suite),
        cmocka_unit_test(test_no_webhook_is_the_operator_s_word),
        cmocka_unit_test(test_button_of_the_check),
        cmocka_unit_test(test_rerun_has_nothing_to_send_without_a_trigger),
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_numbers_of_no_action_are_refused),
        cmocka_unit_test(test_members_of_the_wrong_type_are_named),
        cmocka_unit_test(test_missing_members_are_named),
        cmocka_unit_test(test_numbers_that_are_no_id),
        cmocka_unit_test(test_ids_are_exact),
        cmocka_unit_test(test_names_that_are_none),
        cmocka_unit_test(test_names_of_10_kb_are_refused),
        cmocka_unit_test(test_people),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_labels_of_the_pull_request),
        cmocka_unit_test(test_the_label_s_name_is_kept_as_it_is),
        cmocka_unit_test(test_a_body_of_64_kb_is_read),
        cmocka_unit_test(test_an_escaped_nul_is_refused_anywhere),
        cmocka_unit_test(test_what_only_looks_like_an_escaped_nul_is_kept),
        cmocka_unit_test(test_errors_leave_repository_and_number),
        cmocka_unit_test(test_a_long_action_is_shown_in_part),
    };
    return cmocka_run_group_tests(tests, open_shared, close_shared);
}
