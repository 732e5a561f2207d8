/*
 * Which deliveries GitHub is asked to send again, in which order, and how far back each pass looks. GitHub is a
 * function here: its webhook's list is what a row says.
 */
#include "check.h"

#include "fixture.h"
#include "prgate/redeliver.h"
#include "prgate/text.h"

enum { LISTED_MAX = 8 };

/* One attempt, as GitHub lists it: newest first. */
struct listed {
    const char *guid;
    int64_t ago_s;
    int status;
    const char *event;
    const char *action;
};

#define AT(id, ago, code)                                                                                    \
    {                                                                                                        \
        (id), (ago), (code), "pull_request", "opened"                                                        \
    }

static struct {
    const struct listed *list;
    size_t count;
    int hooks_status;
    int list_status;
    int attempt_status;
    const char *hooks;
    struct gate *stop; /* ends with the first attempt that is asked for */
    struct gate *stop_at_list;
} github;

static const char one_hook[] =
    "[{\"id\":44,\"active\":true,\"events\":[\"pull_request\"],\"config\":{\"url\":"
    "\"https://p.example/webhook\"}}]";

static void add_list(struct buf *body)
{
    int64_t now_s = clock_now_ms() / 1000;
    for (size_t i = 0; i < github.count; i++) {
        const struct listed *one = &github.list[i];
        char time[TEXT_TIME_SIZE];
        text_from_time(now_s - one->ago_s, time);
        buf_addf(body,
                 "%s{\"id\":%zu,\"guid\":\"%s\",\"delivered_at\":\"%s\",\"status_code\":%d,\"event\":\"%s\","
                 "\"action\":\"%s\"}",
                 i == 0 ? "[" : ",", 100 + i, one->guid, time, one->status, one->event, one->action);
    }
    buf_adds(body, github.count == 0 ? "[]" : "]");
}

static enum err_code answer(const struct http_request *request, struct http_reply *reply, struct err *err)
{
    (void)err;
    if (strcmp(request->method, "POST") == 0) {
        reply->status = github.attempt_status;
        buf_adds(&reply->body, "{}");
        if (github.stop != NULL)
            atomic_store(&github.stop->stopping, true);
    } else if (strstr(request->url, "/deliveries") != NULL) {
        reply->status = github.list_status;
        if (github.stop_at_list != NULL)
            atomic_store(&github.stop_at_list->stopping, true);
        if (github.list_status == 200)
            add_list(&reply->body);
        else
            buf_adds(&reply->body, "{}");
    } else {
        reply->status = github.hooks_status;
        buf_adds(&reply->body, github.hooks);
    }
    return ERR_OK;
}

static void open_pass(struct fixture *f, const char *top_keys, const char *sections)
{
    github.list = NULL;
    github.count = 0;
    github.hooks_status = github.list_status = 200;
    github.attempt_status = 202;
    github.hooks = one_hook;
    github.stop = NULL;
    github.stop_at_list = NULL;
    *f = (struct fixture){0};
    fixture_configure(f, top_keys, sections);
    fixture_open_gate(f);
    fixture_open_worker(f);
    f->fake.answer = answer;
}

static bool run_pass(struct fixture *f, struct turn *turn, unsigned *asked)
{
    f->fake.count = 0;
    return redeliver_pass(&f->worker, turn, asked);
}

/* "guid guid": those that were asked for, by the ids in the calls. */
static void expect_asked(struct fixture *f, const char *row, const char *want)
{
    char got[256] = "";
    for (int i = 0; i < f->fake.count; i++) {
        unsigned id;
        if (sscanf(f->fake.calls[i], "POST /repos/octo/repo/hooks/44/deliveries/%u/attempts", &id) == 1)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", got[0] == '\0' ? "" : " ",
                     github.list[id - 100].guid);
    }
    check_str(row, "asked for", got, want);
}

enum { MINUTE = 60, HOUR = 3600, DAY = 86400 };

static void test_what_is_asked_for(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct listed list[LISTED_MAX];
        const char *want;
    } rows[] = {
        {"nothing listed", {{0}}, ""},
        {"all delivered", {AT("a", 10, 202), AT("b", 20, 200), AT("c", 30, 204)}, ""},
        {"one failed", {AT("a", 10, 202), AT("b", 20, 503)}, "b"},
        {"no answer", {AT("a", 10, 0)}, "a"},
        {"refused", {AT("a", 10, 401), AT("b", 20, 400)}, "b a"},
        {"redirected", {AT("a", 10, 302)}, "a"},
        {"oldest first", {AT("a", 10, 502), AT("b", 20, 502), AT("c", 30, 502)}, "c b a"},
        {"it got through later", {AT("a", 10, 202), AT("b", 15, 202), AT("a", 20, 503)}, ""},
        {"it got through before", {AT("a", 10, 503), AT("a", 20, 202)}, ""},
        {"others' events", {{"a", 10, 503, "push", ""}, {"b", 11, 503, "issue_comment", "edited"}}, ""},
        {"an action without a rule",
         {{"a", 10, 503, "pull_request", "assigned"}, {"b", 9, 503, "pull_request", "labeled"}},
         "b"},
        {"failed twice, just now", {AT("a", 4 * MINUTE, 503), AT("a", HOUR, 503)}, ""},
        {"failed twice, a while ago", {AT("a", 6 * MINUTE, 503), AT("a", HOUR, 503)}, "a"},
        {"failed three times, just now",
         {AT("a", 9 * MINUTE, 503), AT("a", HOUR, 503), AT("a", 2 * HOUR, 503)},
         ""},
        {"failed three times, a while ago",
         {AT("a", 11 * MINUTE, 503), AT("a", HOUR, 503), AT("a", 2 * HOUR, 503)},
         "a"},
        {"order is the first attempts'",
         {AT("b", 6 * MINUTE, 503), AT("a", HOUR, 503), AT("b", 2 * HOUR, 503)},
         "b a"},
        {"too old", {AT("a", 10, 202), AT("b", 3 * DAY + MINUTE, 503)}, ""},
        {"almost too old", {AT("a", 10, 202), AT("b", 3 * DAY - MINUTE, 503)}, "b"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        struct turn turn = {.name = PACE_REDELIVER};
        unsigned asked = 0, want = 0;
        open_pass(&f, "redeliver_interval = 1", "");
        github.list = rows[i].list;
        while (github.count < LISTED_MAX && rows[i].list[github.count].guid != NULL)
            github.count++;
        for (const char *c = rows[i].want; *c != '\0'; c++)
            want += *c != ' ';
        check_bool(rows[i].name, "done", run_pass(&f, &turn, &asked), true);
        expect_asked(&f, rows[i].name, rows[i].want);
        check_int(rows[i].name, "count", asked, want);
        check_int(rows[i].name, "metric", metrics_get(f.gate.metrics, METRIC_REDELIVERIES), want);
        fixture_close(&f);
    }
}

static int64_t cursor_ago(const struct turn *turn)
{
    uint64_t cursor = 0;
    assert_true(text_to_u64(turn->cursor, INT64_MAX, &cursor));
    return clock_now_ms() / 1000 - (int64_t)cursor;
}

static void expect_cursor(const char *row, const struct turn *turn, int64_t want_ago)
{
    int64_t ago = cursor_ago(turn);
    if (ago < want_ago || ago > want_ago + 5)
        fail_msg("%s: cursor: got %lld s ago, want %lld", row, (long long)ago, (long long)want_ago);
}

/* It stays at what is still open; what came before it need not be looked at again. */
static void test_cursor_follows_what_was_delivered(void **state)
{
    (void)state;
    static const struct listed all_good[] = {AT("a", MINUTE, 202), AT("b", HOUR, 202)};
    static const struct listed one_open[] = {AT("a", MINUTE, 202), AT("b", HOUR, 503), AT("c", DAY, 202)};
    static const struct listed behind[] = {AT("a", MINUTE, 202), AT("b", 2 * HOUR, 503)};
    struct fixture f;
    struct turn turn = {0};
    unsigned asked;
    open_pass(&f, "redeliver_interval = 1", "");
    assert_true(pace_take(&f.gate, PACE_REDELIVER, 0, &turn));
    github.list = one_open;
    github.count = COUNT_OF(one_open);
    assert_true(run_pass(&f, &turn, &asked));
    expect_cursor("one is open", &turn, HOUR);
    github.list = all_good;
    github.count = COUNT_OF(all_good);
    assert_true(run_pass(&f, &turn, &asked));
    expect_cursor("all is delivered", &turn, MINUTE + 300);
    github.list = behind;
    github.count = COUNT_OF(behind);
    assert_true(run_pass(&f, &turn, &asked));
    check_int("older than the cursor", "asked", asked, 0);
    pace_end(&f.gate, &turn, PACE_DONE);
    struct turn next;
    assert_true(pace_take(&f.gate, PACE_REDELIVER, 0, &next));
    check_str("kept", "cursor", next.cursor, turn.cursor);
    fixture_close(&f);
}

static void test_failed_pass_leaves_the_cursor(void **state)
{
    (void)state;
    static const struct listed list[] = {AT("a", MINUTE, 202), AT("b", HOUR, 503), AT("c", 2 * HOUR, 503)};
    static const struct {
        const char *name;
        int list_status, attempt_status;
        bool stop;
        bool done;
        int calls;
    } rows[] = {
        {"the list fails", 502, 202, false, false, 2},
        {"the list is not for us", 403, 202, false, true, 2},
        {"the list is not there", 404, 202, false, true, 2},
        {"asking fails", 200, 503, false, false, 3},
        {"asking is limited", 200, 429, false, false, 3},
        {"asking is not for us", 200, 403, false, true, 3},
        {"what is asked for is gone", 200, 404, false, true, 4},
        {"the process stops", 200, 202, true, false, 3},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        struct turn turn = {0};
        unsigned asked;
        open_pass(&f, "redeliver_interval = 1", "");
        assert_true(pace_take(&f.gate, PACE_REDELIVER, 0, &turn));
        github.list = list;
        github.count = COUNT_OF(list);
        github.list_status = rows[i].list_status;
        github.attempt_status = rows[i].attempt_status;
        github.stop = rows[i].stop ? &f.gate : NULL;
        check_bool(rows[i].name, "done", run_pass(&f, &turn, &asked), rows[i].done);
        check_int(rows[i].name, "calls", f.fake.count, rows[i].calls);
        check_int(rows[i].name, "asked", asked, rows[i].stop ? 1 : 0);
        if (!rows[i].done || rows[i].list_status != 200)
            check_str(rows[i].name, "cursor", turn.cursor, "");
        else
            expect_cursor(rows[i].name, &turn, 2 * HOUR);
        bool refused =
            rows[i].list_status == 403 || rows[i].list_status == 404 || rows[i].attempt_status == 403;
        check_bool(rows[i].name, "told", atomic_load(&f.gate.told_of_hooks), refused);
        check_bool(rows[i].name, "blocked", gate_is_rate_blocked(&f.gate, clock_now_ms()),
                   rows[i].attempt_status == 429);
        fixture_close(&f);
    }
}

/* What it has not seen may have failed. */
static void test_list_that_is_not_read_whole_leaves_the_cursor(void **state)
{
    (void)state;
    static const struct listed list[] = {AT("a", MINUTE, 202), AT("b", HOUR, 202)};
    struct fixture f;
    struct turn turn = {0};
    unsigned asked;
    open_pass(&f, "redeliver_interval = 1", "");
    assert_true(pace_take(&f.gate, PACE_REDELIVER, 0, &turn));
    github.list = list;
    github.count = COUNT_OF(list);
    github.stop_at_list = &f.gate;
    check_bool("stopping", "done", run_pass(&f, &turn, &asked), false);
    check_str("stopping", "cursor", turn.cursor, "");
    fixture_close(&f);
}

static void test_whose_webhook_it_is(void **state)
{
    (void)state;
#define HOOK(id, active, event, url)                                                                         \
    "{\"id\":" #id ",\"active\":" #active ",\"events\":[\"" event "\"],\"config\":{\"url\":\"" url "\"}}"
    static const struct {
        const char *name;
        const char *public_url;
        const char *hooks;
        const char *want; /* "": none */
    } rows[] = {
        {"the only one", "", "[" HOOK(7, true, "pull_request", "https://p.example/webhook") "]", "7"},
        {"for all events", "", "[" HOOK(7, true, "*", "https://p.example/webhook?x=1") "]", "7"},
        {"not active", "", "[" HOOK(7, false, "*", "https://p.example/webhook") "]", ""},
        {"for other events", "", "[" HOOK(7, true, "push", "https://p.example/webhook") "]", ""},
        {"at another path", "", "[" HOOK(7, true, "*", "https://p.example/hook") "]", ""},
        {"others beside it", "",
         "[" HOOK(6, true, "*", "https://ci.example/github") "," HOOK(7, true, "*",
                                                                      "https://p.example/webhook") "]",
         "7"},
        {"two that may be it", "",
         "[" HOOK(6, true, "*", "https://q.example/webhook") "," HOOK(7, true, "*",
                                                                      "https://p.example/webhook") "]",
         ""},
        {"two, and one is where prgate is", "https://p.example/",
         "[" HOOK(6, true, "*", "https://q.example/webhook") "," HOOK(7, true, "*",
                                                                      "https://p.example/webhook") "]",
         "7"},
        {"one, though it is elsewhere", "https://status.example",
         "[" HOOK(7, true, "*", "https://p.example/webhook") "]", "7"},
        {"an id beyond what doubles hold", "",
         "[" HOOK(9007199254740993, true, "*", "https://p.example/webhook") "]", "9007199254740993"},
        {"none at all", "", "[]", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        struct turn turn = {.name = PACE_REDELIVER};
        unsigned asked;
        char keys[128], want[128];
        snprintf(keys, sizeof keys, "redeliver_interval = 1\npublic_url = \"%s\"", rows[i].public_url);
        open_pass(&f, keys, "");
        github.hooks = rows[i].hooks;
        assert_true(run_pass(&f, &turn, &asked));
        check_str(rows[i].name, "first call", f.fake.calls[0], "GET /repos/octo/repo/hooks?per_page=100");
        check_int(rows[i].name, "calls", f.fake.count, rows[i].want[0] == '\0' ? 1 : 2);
        snprintf(want, sizeof want, "GET /repos/octo/repo/hooks/%s/deliveries?per_page=100", rows[i].want);
        if (rows[i].want[0] != '\0')
            check_str(rows[i].name, "second call", f.fake.calls[1], want);
        fixture_close(&f);
    }
}

static void test_each_repository_has_its_webhook(void **state)
{
    (void)state;
    struct fixture f;
    struct turn turn = {.name = PACE_REDELIVER};
    unsigned asked;
    open_pass(&f, "redeliver_interval = 1", "}\nrepo \"aaa/one\" { }\nrepo \"star/*\" {");
    assert_true(run_pass(&f, &turn, &asked));
    check_int("two", "calls", f.fake.count, 4);
    check_str("two", "first", f.fake.calls[0], "GET /repos/aaa/one/hooks?per_page=100");
    check_str("two", "third", f.fake.calls[2], "GET /repos/octo/repo/hooks?per_page=100");
    github.hooks_status = 404;
    assert_true(run_pass(&f, &turn, &asked));
    check_int("neither to be seen", "calls", f.fake.count, 2);
    fixture_close(&f);
}

/* The ids of attempts are numbers of up to 19 digits. */
static void test_long_ids_are_kept_to_the_digit(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    fixture_open(&f, "");
    f.fake.answer = answer;
    github.attempt_status = 202;
    github_use(f.worker.github, "octo/repo", 0);
    assert_int_equal(github_redeliver(f.worker.github, 44, UINT64_C(9223372036854775807), &err), ERR_OK);
    check_str("attempt", "call", f.fake.calls[0],
              "POST /repos/octo/repo/hooks/44/deliveries/9223372036854775807/attempts");
    fixture_close(&f);
}

static void test_it_is_wanted_where_it_may_write(void **state)
{
    (void)state;
    struct fixture f;
    open_pass(&f, "redeliver_interval = 1", "");
    check_bool("as configured", "wanted", redeliver_is_wanted(f.config), true);
    f.config->dry_run = true;
    check_bool("dry run", "wanted", redeliver_is_wanted(f.config), false);
    f.config->dry_run = false;
    f.config->redeliver_interval_s = 0;
    check_bool("off", "wanted", redeliver_is_wanted(f.config), false);
    f.config->redeliver_interval_s = 1;
    char *token = f.config->token;
    f.config->token = NULL;
    check_bool("no credentials", "wanted", redeliver_is_wanted(f.config), false);
    f.config->token = token;
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_asked_for),
        cmocka_unit_test(test_cursor_follows_what_was_delivered),
        cmocka_unit_test(test_failed_pass_leaves_the_cursor),
        cmocka_unit_test(test_list_that_is_not_read_whole_leaves_the_cursor),
        cmocka_unit_test(test_whose_webhook_it_is),
        cmocka_unit_test(test_each_repository_has_its_webhook),
        cmocka_unit_test(test_long_ids_are_kept_to_the_digit),
        cmocka_unit_test(test_it_is_wanted_where_it_may_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
