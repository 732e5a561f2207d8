/*
 * The lists that catching up reads: what is understood, and what is refused rather than misunderstood.
 */
#include "check.h"

#include "fixture.h"
#include "prgate/text.h"

static const char *pages[2];
static int page_status;

static enum err_code answer(const struct http_request *request, struct http_reply *reply, struct err *err)
{
    (void)err;
    bool second = strstr(request->url, "page=2") != NULL || strstr(request->url, "cursor=") != NULL;
    reply->status = page_status;
    buf_adds(&reply->body, pages[second ? 1 : 0]);
    if (!second && pages[1] != NULL)
        snprintf(reply->next_url, sizeof reply->next_url, "%s&page=2", request->url);
    return ERR_OK;
}

static void open_with(struct fixture *f, const char *first, const char *second)
{
    fixture_open(f, "");
    f->fake.answer = answer;
    pages[0] = first;
    pages[1] = second;
    page_status = 200;
    github_use(f->worker.github, "octo/repo", 0);
}

/* ---- deliveries ---- */

static bool add_delivery(void *arg, const struct github_delivery *delivery)
{
    char *got = arg;
    snprintf(got + strlen(got), 256 - strlen(got), "[%llu %s %s/%s %lld %d]",
             (unsigned long long)delivery->id, delivery->guid, delivery->event, delivery->action,
             (long long)delivery->delivered_at, delivery->status);
    return strcmp(delivery->guid, "enough") != 0;
}

#define ATTEMPT(id, guid, time, status, more)                                                                \
    "{\"id\":" id ",\"guid\":\"" guid "\",\"delivered_at\":\"" time "\",\"status_code\":" status more "}"
#define TIME "2023-11-14T22:13:20Z"
#define EVENT ",\"event\":\"pull_request\",\"action\":\"opened\""

static void test_deliveries(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *first, *second;
        enum err_code code;
        const char *want; /* what was seen, or a part of the error */
    } rows[] = {
        {"none", "[]", NULL, ERR_OK, ""},
        {"one", "[" ATTEMPT("7", "g", TIME, "202", EVENT) "]", NULL, ERR_OK,
         "[7 g pull_request/opened 1700000000 202]"},
        {"a fraction of a second", "[" ATTEMPT("7", "g", "2023-11-14T22:13:20.123Z", "202", EVENT) "]", NULL,
         ERR_OK, "[7 g pull_request/opened 1700000000 202]"},
        {"an event without an action",
         "[" ATTEMPT("7", "g", TIME, "0", ",\"event\":\"push\",\"action\":null") "]", NULL, ERR_OK,
         "[7 g push/ 1700000000 0]"},
        {"a long id", "[" ATTEMPT("9223372036854775807", "g", TIME, "202", EVENT) "]", NULL, ERR_OK,
         "[9223372036854775807 g pull_request/opened 1700000000 202]"},
        {"digits in text stay text",
         "[" ATTEMPT("7", "1234567890123456789", TIME, "202",
                     EVENT ",\"x\":\"a \\\" 12345678901234567890\"") "]",
         NULL, ERR_OK, "[7 1234567890123456789 pull_request/opened 1700000000 202]"},
        {"two pages", "[" ATTEMPT("7", "g", TIME, "202", EVENT) "]",
         "[" ATTEMPT("6", "h", TIME, "503", EVENT) "]", ERR_OK,
         "[7 g pull_request/opened 1700000000 202][6 h pull_request/opened 1700000000 503]"},
        {"enough on the first", "[" ATTEMPT("7", "enough", TIME, "202", EVENT) "]",
         "[" ATTEMPT("6", "h", TIME, "503", EVENT) "]", ERR_OK,
         "[7 enough pull_request/opened 1700000000 202]"},
        {"no id", "[{\"guid\":\"g\"}]", NULL, ERR_REJECT, "a delivery without id"},
        {"no status", "[" ATTEMPT("7", "g", TIME, "null", EVENT) "]", NULL, ERR_REJECT, "status_code"},
        {"no event", "[" ATTEMPT("7", "g", TIME, "202", "") "]", NULL, ERR_REJECT, "event"},
        {"no time", "[" ATTEMPT("7", "g", "yesterday", "202", EVENT) "]", NULL, ERR_REJECT, "delivered_at"},
        {"no list", "{}", NULL, ERR_REJECT, "not a list"},
        {"a number that never ends", "[12345678901234567890", NULL, ERR_REJECT, "not JSON"},
        {"a text that never ends", "[\"1234567890123456789\\", NULL, ERR_REJECT, "not JSON"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        struct err err = {0};
        char got[256] = "";
        open_with(&f, rows[i].first, rows[i].second);
        enum err_code code = github_each_delivery(f.worker.github, 44, add_delivery, got, &err);
        check_str(rows[i].name, "code", err_code_name(code), err_code_name(rows[i].code));
        if (rows[i].code == ERR_OK)
            check_str(rows[i].name, "seen", got, rows[i].want);
        else
            check_contains(rows[i].name, "error", err.text, rows[i].want);
        check_str(rows[i].name, "call", f.fake.calls[0],
                  "GET /repos/octo/repo/hooks/44/deliveries?per_page=100");
        fixture_close(&f);
    }
}

static void test_app_has_a_webhook_of_its_own(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    char got[256] = "";
    open_with(&f, "[]", NULL);
    assert_int_equal(github_each_delivery(f.worker.github, GITHUB_APP_HOOK, add_delivery, got, &err), ERR_OK);
    check_str("list", "call", f.fake.calls[0], "GET /app/hook/deliveries?per_page=100");
    page_status = 202;
    assert_int_equal(github_redeliver(f.worker.github, GITHUB_APP_HOOK, 7, &err), ERR_OK);
    check_str("attempt", "call", f.fake.calls[1], "POST /app/hook/deliveries/7/attempts");
    fixture_close(&f);
}

/* ---- who set the label ---- */

#define ISSUE_EVENT(event, time, more)                                                                       \
    "{\"event\":\"" event "\",\"created_at\":\"2023-11-14T22:13:" time "Z\"" more "}"
#define SET(time, login)                                                                                     \
    ISSUE_EVENT("labeled", time,                                                                             \
                ",\"label\":{\"name\":\"cicd\"},\"actor\":{\"id\":3,\"login\":\"" login "\"}")
#define UNSET(time)                                                                                          \
    ISSUE_EVENT("unlabeled", time, ",\"label\":{\"name\":\"CICD\"},\"actor\":{\"id\":3,\"login\":\"tim\"}")
#define OTHER(time)                                                                                          \
    ISSUE_EVENT("labeled", time, ",\"label\":{\"name\":\"bug\"},\"actor\":{\"id\":3,\"login\":\"tim\"}")
#define MOVED(time) ISSUE_EVENT("head_ref_force_pushed", time, ",\"actor\":null")

static void test_label_events(void **state)
{
    (void)state;
    enum { AT = 1700000000 - 20 }; /* 22:13:00 */
    static const struct {
        const char *name;
        const char *first, *second;
        bool set;
        int64_t set_at;
        const char *actor;
        int64_t moved_at;
        bool moved_twice;
    } rows[] = {
        {"nothing", "[]", NULL, false, 0, "", 0, false},
        {"set", "[" SET("21", "tim") "," OTHER("22") "]", NULL, true, AT + 21, "tim", 0, false},
        {"set twice: the later", "[" SET("21", "tim") "," UNSET("22") "," SET("23", "ann") "]", NULL, true,
         AT + 23, "ann", 0, false},
        {"taken off", "[" SET("21", "tim") "," UNSET("22") "]", NULL, false, AT + 22, "tim", 0, false},
        {"on the second page", "[" SET("21", "tim") "]", "[" UNSET("22") "," SET("23", "ann") "]", true,
         AT + 23, "ann", 0, false},
        {"by a deleted account",
         "[" ISSUE_EVENT("labeled", "21", ",\"label\":{\"name\":\"CICD\"},\"actor\":null") "]", NULL, true,
         AT + 21, "", 0, false},
        {"moved", "[" MOVED("21") "," SET("22", "tim") "," MOVED("23") "]", NULL, true, AT + 22, "tim",
         AT + 23, false},
        {"moved twice in a second", "[" MOVED("20") "," MOVED("23") "," MOVED("23") "]", NULL, false, 0, "",
         AT + 23, true},
        {"moved twice, and then again", "[" MOVED("20") "," MOVED("20") "," MOVED("23") "]", NULL, false, 0,
         "", AT + 23, false},
        {"the branch was deleted", "[" ISSUE_EVENT("head_ref_deleted", "21", "") "]", NULL, false, 0, "",
         AT + 21, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        struct err err = {0};
        struct github_label_event got = {0};
        open_with(&f, rows[i].first, rows[i].second);
        const struct policy *policy = config_policy(f.config, "octo/repo");
        enum err_code code = github_get_label_event(f.worker.github, 7, policy, &got, &err);
        check_str(rows[i].name, "code", err_code_name(code), "ok");
        check_bool(rows[i].name, "set", got.set, rows[i].set);
        check_int(rows[i].name, "set at", got.set_at, rows[i].set_at);
        check_str(rows[i].name, "actor", got.actor.login, rows[i].actor);
        check_int(rows[i].name, "moved at", got.moved_at, rows[i].moved_at);
        check_bool(rows[i].name, "moved twice", got.moved_twice, rows[i].moved_twice);
        check_str(rows[i].name, "call", f.fake.calls[0], "GET /repos/octo/repo/issues/7/events?per_page=100");
        fixture_close(&f);
    }
}

static void test_label_events_that_are_odd(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *first;
    } rows[] = {{"no time", "[{\"event\":\"labeled\"}]"},
                {"no name", "[{\"created_at\":\"" TIME "\"}]"},
                {"no object", "[7]"},
                {"an actor that is none",
                 "[" ISSUE_EVENT("labeled", "21",
                                 ",\"label\":{\"name\":\"CICD\"},\"actor\":{\"login\":\"a b\"}") "]"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        struct err err = {0};
        struct github_label_event got = {.set_at = 99};
        open_with(&f, rows[i].first, NULL);
        const struct policy *policy = config_policy(f.config, "octo/repo");
        enum err_code code = github_get_label_event(f.worker.github, 7, policy, &got, &err);
        check_str(rows[i].name, "code", err_code_name(code), "reject");
        check_int(rows[i].name, "untouched", got.set_at, 99);
        fixture_close(&f);
    }
}

/* ---- open pull requests ---- */

static bool add_pull(void *arg, const struct github_pull *pull)
{
    char *got = arg;
    snprintf(got + strlen(got), 256 - strlen(got), "[%s %llu#%llu %s%s]", pull->repo,
             (unsigned long long)pull->key.repo_id, (unsigned long long)pull->key.number,
             pull->snapshot.labelled ? "L" : "", pull->snapshot.mergeable == MERGEABLE_UNKNOWN ? "?" : "");
    return true;
}

#define OPEN(number, base)                                                                                   \
    "{\"number\":" number ",\"state\":\"open\",\"title\":\"t\",\"draft\":false,\"updated_at\":\"" TIME       \
    "\",\"user\":null,\"head\":{\"sha\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"ref\":\"x\"},"        \
    "\"base\":"                                                                                              \
    "{\"ref\":\"main\"" base "},\"labels\":[{\"id\":1,\"name\":\"CICD\"}]}"
#define BASE ",\"repo\":{\"id\":5,\"full_name\":\"octo/repo\"}"

static void test_open_pulls(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *first, *second;
        enum err_code code;
        const char *want;
    } rows[] = {
        {"none", "[]", NULL, ERR_OK, ""},
        {"two pages", "[" OPEN("7", BASE) "]", "[" OPEN("8", BASE) "]", ERR_OK,
         "[octo/repo 5#7 L?][octo/repo 5#8 L?]"},
        {"no base repository", "[" OPEN("7", "") "]", NULL, ERR_REJECT, "base repository"},
        {"no number", "[" OPEN("null", BASE) "]", NULL, ERR_REJECT, "number"},
        {"no pull request", "[{}]", NULL, ERR_REJECT, "number"},
        {"one that is odd is passed over",
         "[{\"number\":6,\"base\":{\"ref\":\"main\"" BASE "}}," OPEN("7", BASE) "]", NULL, ERR_OK,
         "[octo/repo 5#7 L?]"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        struct err err = {0};
        char got[256] = "";
        open_with(&f, rows[i].first, rows[i].second);
        const struct policy *policy = config_policy(f.config, "octo/repo");
        enum err_code code = github_each_open_pull(f.worker.github, policy, add_pull, got, &err);
        check_str(rows[i].name, "code", err_code_name(code), err_code_name(rows[i].code));
        check_contains(rows[i].name, "result", rows[i].code == ERR_OK ? got : err.text, rows[i].want);
        fixture_close(&f);
    }
}

static void test_without_credentials_nothing_is_listed(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    char got[256] = "";
    uint64_t hook;
    open_with(&f, "[]", NULL);
    char *token = f.config->token;
    f.config->token = NULL;
    check_str("deliveries", "code",
              err_code_name(github_each_delivery(f.worker.github, 44, add_delivery, got, &err)), "not_found");
    check_str("webhooks", "code", err_code_name(github_find_hook(f.worker.github, "", &hook, &err)),
              "not_found");
    check_int("both", "calls", f.fake.count, 0);
    f.config->token = token;
    fixture_close(&f);
}

static void test_dry_run_asks_for_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    open_with(&f, "[]", NULL);
    f.config->dry_run = true;
    assert_int_equal(github_redeliver(f.worker.github, 44, 7, &err), ERR_OK);
    check_int("dry run", "calls", f.fake.count, 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deliveries),
        cmocka_unit_test(test_app_has_a_webhook_of_its_own),
        cmocka_unit_test(test_label_events),
        cmocka_unit_test(test_label_events_that_are_odd),
        cmocka_unit_test(test_open_pulls),
        cmocka_unit_test(test_without_credentials_nothing_is_listed),
        cmocka_unit_test(test_dry_run_asks_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
