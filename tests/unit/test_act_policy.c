/*
 * What the policies' intents do on GitHub, and what the changed files say: each looks first, and tells only of what was
 * done.
 */
#include "check.h"

#include "fixture.h"
#include "prgate/act.h"
#include "prgate/files.h"

#define KEYS                                                                                                 \
    "emergency_label = \"emergency\" emergency_check = \"tree-status\" tests_needed_for = {\"lib/**\"} "     \
    "tests_are = {\"test/**\"} tests_exempt = {\"lib/gen/**\"} base_wanted = \"main\" "                      \
    "base_wrong = {\"master\"} release_branches = {\"release-*\"} release_accounts = {\"roller\"} "          \
    "author_labels = {\"ann=one\", \"bob=no\", \"Ann=two\"} close_release_heads = true"

/* What GitHub has and says; tests set it. A NULL list is empty. */
static struct {
    const char *base, *comments, *labels, *reviews, *statuses, *files;
    bool closed;
    int status;          /* of calls to `failing` */
    const char *failing; /* "METHOD part-of-URL" */
    char written[8][600];
    int writes;
} github;

static void answer_pull(struct buf *out)
{
    buf_addf(
        out,
        "{\"number\":7,\"state\":\"%s\",\"draft\":false,\"title\":\"t\",\"updated_at\":"
        "\"2023-11-14T22:13:20Z\",\"mergeable\":true,\"labels\":[],\"user\":{\"id\":2,\"login\":\"ann\"},"
        "\"head\":{\"sha\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"ref\":\"topic\"},"
        "\"base\":{\"ref\":\"%s\"}}",
        github.closed ? "closed" : "open", github.base);
}

static bool is_failing(const struct http_request *request)
{
    size_t len = strlen(request->method);
    return github.failing != NULL && strncmp(github.failing, request->method, len) == 0 &&
           strstr(request->url, github.failing + len + 1) != NULL;
}

static enum err_code answer(const struct http_request *request, struct http_reply *reply, struct err *err)
{
    (void)err;
    const char *path = strstr(request->url, "/repos/octo/repo");
    const struct {
        const char *part, *list;
    } lists[] = {{"/comments", github.comments}, {"/labels", github.labels},     {"/reviews", github.reviews},
                 {"/files", github.files},       {"/statuses", github.statuses}, {"/pulls/7", NULL}};
    reply->status = is_failing(request) ? github.status : 200;
    if (strcmp(request->method, "GET") != 0 && github.writes < 8)
        snprintf(github.written[github.writes++], sizeof github.written[0], "%s %s %s", request->method, path,
                 request->body == NULL ? "" : request->body);
    if (path == NULL) {
        buf_adds(&reply->body, "{\"id\":99,\"login\":\"gatekeeper\",\"type\":\"User\"}");
        return ERR_OK;
    }
    if (strcmp(request->method, "GET") != 0 || reply->status != 200) {
        buf_adds(&reply->body, "{}");
        return ERR_OK;
    }
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        if (strstr(path, lists[i].part) == NULL)
            continue;
        if (i + 1 == COUNT_OF(lists))
            answer_pull(&reply->body);
        else
            buf_adds(&reply->body, lists[i].list == NULL ? "[]" : lists[i].list);
        return ERR_OK;
    }
    fail_msg("%s %s", request->method, request->url);
    return ERR_FATAL;
}

static void begin_with(struct fixture *f, const char *keys)
{
    fixture_open(f, keys);
    f->fake.answer = answer;
    memset(&github, 0, sizeof github);
    github.base = "master";
    github_use(f->worker.github, "octo/repo", 0);
}

static void begin(struct fixture *f)
{
    begin_with(f, KEYS);
}

static struct record make_record(void)
{
    struct record record;
    record_init(&record);
    record.key = (struct pr_key){.repo_id = 5, .number = 7};
    strcpy(record.repo, "octo/repo");
    record.view = (struct snapshot){.updated_at = 1700000000, .mergeable = MERGEABLE_YES};
    record.view.author = (struct user){.id = 2, .login = "ann"};
    sha_parse(&record.view.head, SHA_A);
    strcpy(record.view.head_ref, "release-`1");
    strcpy(record.view.base_ref, "master");
    return record;
}

static struct act_result perform(struct fixture *f, enum intent_kind kind, enum message message)
{
    struct record record = make_record();
    struct intent intent = {.kind = kind,
                            .message = message,
                            .sha = record.view.head,
                            .created_ms = 1700000000000,
                            .person = {.id = 3, .login = "tim"}};
    github.writes = 0;
    return act_perform(&f->worker, config_policy(f->config, "octo/repo"), &record, &intent);
}

static void check_done(struct fixture *f, enum intent_kind kind, enum message message)
{
    struct act_result result = perform(f, kind, message);
    check_int(intent_kind_name(kind), result.err.text, result.outcome, ACT_DONE);
}

/* The n-th writing call begins with `call` and has `part` in it. */
static void check_written(int n, const char *call, const char *part)
{
    if (n >= github.writes)
        fail_msg("%s: got %d writing calls", call, github.writes);
    check_int(github.written[n], call, strncmp(github.written[n], call, strlen(call)), 0);
    check_contains(call, "body", github.written[n], part);
}

#define PULL "/repos/octo/repo/pulls/7"
#define ISSUE "/repos/octo/repo/issues/7"

/* ---- the guard ----------------------------------------------------------- */

static void test_guard_is_completed_and_told_of(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    check_done(&f, INTENT_COMPLETE_GUARD, MESSAGE_EMERGENCY);
    check_int("guard", "writes", github.writes, 2);
    check_written(
        0, "POST /repos/octo/repo/statuses/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "\"state\":\"success\",\"context\":\"tree-status\",\"description\":\"Completed by the emergency "
        "label, set by tim\"");
    check_written(1, "POST " ISSUE "/comments", "@tim has set the label `emergency`, so the check");
    check_contains("comment", "commit", github.written[1], "`aaaaaaaaaaaa`");
    check_contains("comment", "marker", github.written[1], "<!-- prgate:emergency -->");
    fixture_close(&f);
}

static void test_guard_that_is_done_is_left(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    github.statuses = "[{\"context\":\"tree-status\",\"state\":\"success\",\"description\":"
                      "\"Completed by the emergency label, set by tim\"}]";
    github.comments = "[{\"body\":\"x <!-- prgate:emergency -->\",\"user\":{\"login\":\"gatekeeper\"}}]";
    check_done(&f, INTENT_COMPLETE_GUARD, MESSAGE_EMERGENCY);
    check_int("guard", "writes", github.writes, 0);
    github.statuses =
        "[{\"context\":\"tree-status\",\"state\":\"failure\",\"description\":\"The tree is red\"}]";
    check_done(&f, INTENT_COMPLETE_GUARD, MESSAGE_NONE);
    check_int("red", "writes", github.writes, 1);
    fixture_close(&f);
}

/* A comment that said so would be wrong. */
static void test_guard_that_is_refused_is_not_told_of(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    github.failing = "POST /statuses/";
    github.status = 422;
    check_int("guard", "outcome", perform(&f, INTENT_COMPLETE_GUARD, MESSAGE_EMERGENCY).outcome, ACT_REFUSED);
    check_int("guard", "writes", github.writes, 1);
    github.status = 500; /* it may have worked: all of it again */
    check_int("guard", "outcome", perform(&f, INTENT_COMPLETE_GUARD, MESSAGE_EMERGENCY).outcome, ACT_AGAIN);
    fixture_close(&f);
}

static void test_emergency_label_is_taken_off(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    check_done(&f, INTENT_REMOVE_EMERGENCY_LABEL, MESSAGE_NONE);
    check_written(0, "DELETE " ISSUE "/labels/emergency", "");
    github.failing = "DELETE /labels/";
    github.status = 404; /* gone already */
    check_done(&f, INTENT_REMOVE_EMERGENCY_LABEL, MESSAGE_NONE);
    fixture_close(&f);
}

static void test_refusal_is_told_to_each_person(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    github.comments =
        "[{\"body\":\"<!-- prgate:emergency_refused:4 -->\",\"user\":{\"login\":\"gatekeeper\"}}]";
    check_done(&f, INTENT_COMMENT, MESSAGE_EMERGENCY_REFUSED);
    check_written(0, "POST " ISSUE "/comments", "@tim, the label `emergency` makes a check count");
    check_contains("comment", "marker", github.written[0], "<!-- prgate:emergency_refused:3 -->");
    github.comments =
        "[{\"body\":\"<!-- prgate:emergency_refused:3 -->\",\"user\":{\"login\":\"gatekeeper\"}}]";
    check_done(&f, INTENT_COMMENT, MESSAGE_EMERGENCY_REFUSED);
    check_int("again", "writes", github.writes, 0);
    fixture_close(&f);
}

/* ---- branches ------------------------------------------------------------ */

static void test_base_is_changed_and_told_of(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    check_done(&f, INTENT_RETARGET, MESSAGE_RETARGETED);
    check_written(0, "PATCH " PULL " {\"base\":\"main\"}", "");
    check_written(1, "POST " ISSUE "/comments",
                  "opened to be merged into `master`, and changes go to `main`");
    check_int("retarget", "writes", github.writes, 2);
    fixture_close(&f);
}

/* After a crash behind the change only the comment is left to do. */
static void test_base_that_is_right_is_left(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    github.base = "main";
    check_done(&f, INTENT_RETARGET, MESSAGE_RETARGETED);
    check_written(0, "POST " ISSUE "/comments", "<!-- prgate:retargeted -->");
    github.base = "master";
    github.closed = true;
    github.comments = "[{\"body\":\"<!-- prgate:retargeted -->\",\"user\":{\"login\":\"gatekeeper\"}}]";
    check_done(&f, INTENT_RETARGET, MESSAGE_RETARGETED);
    check_int("closed", "writes", github.writes, 0);
    fixture_close(&f);
}

static void test_base_that_cannot_be_changed_is_not_told_of(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    github.failing = "PATCH /pulls/7";
    github.status = 422;
    check_int("retarget", "outcome", perform(&f, INTENT_RETARGET, MESSAGE_RETARGETED).outcome, ACT_REFUSED);
    check_int("retarget", "writes", github.writes, 1);
    fixture_close(&f);
}

static void test_close(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f);
    check_done(&f, INTENT_CLOSE, MESSAGE_NONE);
    check_written(0, "PATCH " PULL " {\"state\":\"closed\"}", "");
    check_done(&f, INTENT_COMMENT, MESSAGE_FROM_RELEASE_BRANCH);
    check_written(0, "POST " ISSUE "/comments", "comes from `` release-`1 ``, which is a release branch");
    fixture_close(&f);
}

/* ---- the review ---------------------------------------------------------- */

#define REVIEW(state, commit, login)                                                                         \
    "[{\"id\":1,\"state\":\"" state "\",\"commit_id\":\"" commit "\",\"user\":{\"login\":\"" login "\"}}]"
#define SHA_A_TEXT "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B_TEXT "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void test_review_is_made_once_for_that_commit(void **state)
{
    (void)state;
    static const struct {
        const char *row, *reviews;
        int writes;
    } rows[] = {
        {"none", NULL, 1},
        {"its own", REVIEW("APPROVED", SHA_A_TEXT, "gatekeeper"), 0},
        {"letter case", REVIEW("APPROVED", SHA_A_TEXT, "GateKeeper"), 0},
        {"dismissed by somebody", REVIEW("DISMISSED", SHA_A_TEXT, "gatekeeper"), 0},
        {"of another commit", REVIEW("APPROVED", SHA_B_TEXT, "gatekeeper"), 1},
        {"somebody else's", REVIEW("APPROVED", SHA_A_TEXT, "tim"), 1},
        {"no approval", REVIEW("COMMENTED", SHA_A_TEXT, "gatekeeper"), 1},
        {"a deleted account's",
         "[{\"id\":1,\"state\":\"APPROVED\",\"commit_id\":\"" SHA_A_TEXT "\",\"user\":null}]", 1},
    };
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        github.reviews = rows[i].reviews;
        check_done(&f, INTENT_APPROVE_REVIEW, MESSAGE_NONE);
        check_int(rows[i].row, "writes", github.writes, rows[i].writes);
    }
    check_written(0, "POST " PULL "/reviews {\"event\":\"APPROVE\",\"commit_id\":\"" SHA_A_TEXT "\"",
                  "@ann may release into `master`");
    fixture_close(&f);
}

/* ---- labels by author ---------------------------------------------------- */

static void test_labels_that_are_missing_are_added_in_one_call(void **state)
{
    (void)state;
    static const struct {
        const char *labels, *call; /* NULL: none */
    } rows[] = {
        {NULL, "POST " ISSUE "/labels {\"labels\":[\"one\",\"two\"]}"},
        {"[{\"id\":1,\"name\":\"x\"},{\"id\":2,\"name\":\"ONE\"}]",
         "POST " ISSUE "/labels {\"labels\":[\"two\"]}"},
        {"[{\"id\":1,\"name\":\"two\"},{\"id\":2,\"name\":\"one\"}]", NULL},
    };
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        github.labels = rows[i].labels;
        check_done(&f, INTENT_ADD_AUTHOR_LABELS, MESSAGE_NONE);
        check_int("labels", "writes", github.writes, rows[i].call != NULL);
        if (rows[i].call != NULL)
            check_str("labels", "call", github.written[0], rows[i].call);
    }
    fixture_close(&f);
}

/* ---- messages ------------------------------------------------------------ */

static void test_own_words(void **state)
{
    (void)state;
    static const struct {
        enum message message;
        const char *want;
    } rows[] = {
        {MESSAGE_MISSING_TESTS, "tests: @ann #7 {x}"},
        {MESSAGE_FROM_RELEASE_BRANCH, "release: `` release-`1 ``"},
        {MESSAGE_RETARGETED, "base: `master` to `main`"},
        {MESSAGE_NEW_COMMIT_NEEDED, "commit: `aaaaaaaaaaaa` of `octo/repo`"},
        {MESSAGE_EMERGENCY, "emergency: `emergency` by @tim"},
    };
    struct fixture f;
    begin_with(&f, KEYS
               " tests_message = \"tests: {author} #{number} {{x}}\" release_head_message = \"release: "
               "{head}\" base_message = \"base: {base} to {wanted_base}\" new_commit_message = \"commit: "
               "{sha} of {repo}\" emergency_message = \"emergency: {label} by {person}\" "
               "conflict_message = \"conflict: {label}\"");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        check_done(&f, INTENT_COMMENT, rows[i].message);
        check_written(0, "POST " ISSUE "/comments", rows[i].want);
    }
    check_done(&f, INTENT_COMMENT_CONFLICT, MESSAGE_NONE);
    check_written(0, "POST " ISSUE "/comments", "conflict: `CICD`");
    fixture_close(&f);
}

static void test_built_in_words_have_no_braces_left(void **state)
{
    (void)state;
    static const enum message messages[] = {MESSAGE_EMERGENCY,           MESSAGE_EMERGENCY_REFUSED,
                                            MESSAGE_MISSING_TESTS,       MESSAGE_RETARGETED,
                                            MESSAGE_FROM_RELEASE_BRANCH, MESSAGE_NEW_COMMIT_NEEDED};
    struct fixture f;
    begin(&f);
    for (size_t i = 0; i < COUNT_OF(messages); i++) {
        check_done(&f, INTENT_COMMENT, messages[i]);
        const char *body = strstr(github.written[0], "{\"body\":\"");
        assert_non_null(body);
        assert_null(strchr(body + 9, '{'));
        check_contains(message_name(messages[i]), "marker", github.written[0], "<!-- prgate:");
    }
    fixture_close(&f);
}

/* Decided with one configuration, done with another. */
static void test_what_is_not_configured_any_more_is_given_up(void **state)
{
    (void)state;
    static const enum intent_kind kinds[] = {INTENT_COMPLETE_GUARD, INTENT_RETARGET, INTENT_ADD_AUTHOR_LABELS,
                                             INTENT_REMOVE_EMERGENCY_LABEL};
    struct fixture f;
    begin_with(&f, "");
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct act_result result = perform(&f, kinds[i], MESSAGE_NONE);
        check_int(intent_kind_name(kinds[i]), "outcome", result.outcome, ACT_REFUSED);
        check_contains(intent_kind_name(kinds[i]), "text", result.err.text, "is not configured any more");
        check_int(intent_kind_name(kinds[i]), "writes", github.writes, 0);
    }
    fixture_close(&f);
}

/* ---- files --------------------------------------------------------------- */

#define FILE_OF(name, status, patch)                                                                         \
    "{\"filename\":\"" name "\",\"status\":\"" status                                                        \
    "\",\"additions\":1,\"deletions\":0,\"patch\":\"" patch "\"}"
#define CODE(name) FILE_OF(name, "modified", "@@ -1 +1 @@\\n+code();")

static enum err_code learn(struct fixture *f, unsigned failures, struct facts *facts)
{
    struct record record = make_record();
    struct err err = {0};
    record.failures = failures;
    *facts = (struct facts){0};
    return files_learn(&f->worker, config_policy(f->config, "octo/repo"), &record, facts, &err);
}

static void test_files(void **state)
{
    (void)state;
    static const struct {
        const char *row, *files;
        bool missing;
    } rows[] = {
        {"none", NULL, false},
        {"code", "[" CODE("lib/a.dart") "]", true},
        {"code and test", "[" CODE("lib/a.dart") "," CODE("test/a.dart") "]", false},
        {"test first", "[" CODE("test/a.dart") "," CODE("lib/a.dart") "]", false},
        {"elsewhere", "[" CODE("doc/a.dart") "]", false},
        {"exempt", "[" CODE("lib/gen/a.dart") "]", false},
        {"exempt, and code", "[" CODE("lib/gen/a.dart") "," CODE("lib/b.dart") "]", true},
        {"comment", "[" FILE_OF("lib/a.dart", "modified", "@@ -1 +1 @@\\n+// why") "]", false},
        {"comment, and code",
         "[" FILE_OF("lib/a.dart", "modified", "@@ -1 +1 @@\\n+// why") "," CODE("lib/b.dart") "]", true},
        {"a test that goes", "[" CODE("lib/a.dart") "," FILE_OF("test/a.dart", "removed", "") "]", true},
        {"binary",
         "[{\"filename\":\"lib/a.png\",\"status\":\"added\",\"additions\":0,\"deletions\":0,\"changes\":0}]",
         true},
    };
    struct fixture f;
    struct facts facts;
    begin(&f);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        github.files = rows[i].files;
        check_int(rows[i].row, "code", learn(&f, 0, &facts), ERR_OK);
        check_bool(rows[i].row, "missing", facts.tests_missing, rows[i].missing);
    }
    fixture_close(&f);
}

static void test_as_many_files_as_github_tells_of_are_not_all(void **state)
{
    (void)state;
    struct fixture f;
    struct facts facts;
    struct buf list;
    begin(&f);
    for (int count = 2999; count <= 3000; count++) {
        buf_init(&list);
        for (int i = 0; i < count; i++)
            buf_addf(&list, "%s" CODE("lib/a.dart"), i == 0 ? "[" : ",");
        buf_addc(&list, ']');
        github.files = buf_text(&list);
        check_int("many", "code", learn(&f, 0, &facts), ERR_OK);
        check_bool("many", "missing", facts.tests_missing, count < 3000);
        buf_release(&list);
    }
    fixture_close(&f);
}

/* A policy must not hold up the gate: what does not pass by itself is no answer. */
static void test_files_that_cannot_be_read(void **state)
{
    (void)state;
    static const struct {
        const char *row;
        int status;
        unsigned failures;
        enum err_code want;
    } rows[] = {
        {"forbidden", 403, 0, ERR_OK},     {"not there", 404, 0, ERR_OK},
        {"too large", 422, 0, ERR_OK},     {"broken for now", 502, 0, ERR_RETRY},
        {"still", 502, 2, ERR_RETRY},      {"for too long", 502, 3, ERR_OK},
        {"rate limit", 429, 0, ERR_RETRY}, {"rate limit, for long", 429, 50, ERR_RETRY},
    };
    struct fixture f;
    struct facts facts;
    begin(&f);
    github.files = "[" CODE("lib/a.dart") "]";
    github.failing = "GET /files";
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        github.status = rows[i].status;
        check_int(rows[i].row, "code", learn(&f, rows[i].failures, &facts), rows[i].want);
        check_bool(rows[i].row, "missing", facts.tests_missing, false);
    }
    github.failing = NULL;
    github.files = "[{\"filename\":\"lib/a.dart\"}]";
    check_int("odd", "code", learn(&f, 0, &facts), ERR_OK);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guard_is_completed_and_told_of),
        cmocka_unit_test(test_guard_that_is_done_is_left),
        cmocka_unit_test(test_guard_that_is_refused_is_not_told_of),
        cmocka_unit_test(test_emergency_label_is_taken_off),
        cmocka_unit_test(test_refusal_is_told_to_each_person),
        cmocka_unit_test(test_base_is_changed_and_told_of),
        cmocka_unit_test(test_base_that_is_right_is_left),
        cmocka_unit_test(test_base_that_cannot_be_changed_is_not_told_of),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_review_is_made_once_for_that_commit),
        cmocka_unit_test(test_labels_that_are_missing_are_added_in_one_call),
        cmocka_unit_test(test_own_words),
        cmocka_unit_test(test_built_in_words_have_no_braces_left),
        cmocka_unit_test(test_what_is_not_configured_any_more_is_given_up),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_as_many_files_as_github_tells_of_are_not_all),
        cmocka_unit_test(test_files_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
