/*
 * Who may start CI how often within an hour, and whose turn comes when: several pull requests, each worked off against
 * a GitHub that is a function, in an hour that passes as the test wants it.
 */
#include "check.h"

#include <unistd.h>

#include <pthread.h>

#include "fixture.h"
#include "prgate/budget.h"
#include "prgate/codec.h"
#include "prgate/drain.h"
#include "prgate/sweep.h"
#include "prgate/text.h"
#include "prgate/wake.h"
#include "time_travel.h"

static const int64_t hour_ms = 3600000;

static void travel_minutes(double minutes)
{
    travelled_s += (int64_t)(minutes * 60);
}

/* ---- GitHub ------------------------------------------------------------------ */

/* Who opened which: 1 to 9 ann, 11 to 19 ben, 21 to 29 somebody whose account is gone. */
static struct user author_of(uint64_t number)
{
    static const struct user authors[] = {{2, "ann", false}, {4, "ben", false}, {0, "", false}};
    return authors[number / 10];
}

static struct sha head_of(uint64_t number, unsigned pushes)
{
    struct sha sha;
    char hex[SHA_SIZE];
    snprintf(hex, sizeof hex, "%020u%020u", (unsigned)number, pushes);
    sha_parse(&sha, hex);
    return sha;
}

/* What the world is like; the same for all threads. */
static struct {
    unsigned pushes[32];
    bool labelled[32];
    bool closed[32];
    int64_t changes;    /* moves updated_at */
    atomic_int started; /* how often CI was */
    bool dying;         /* when asked to start CI */
} world;

static bool is(const struct http_request *request, const char *method, const char *part)
{
    return strcmp(request->method, method) == 0 && strstr(request->url, part) != NULL;
}

static enum err_code say(struct http_reply *reply, int status, const char *body)
{
    reply->status = status;
    buf_adds(&reply->body, body);
    return ERR_OK;
}

static enum err_code show_pull(const struct http_request *request, struct http_reply *reply)
{
    uint64_t number = (uint64_t)atoi(strstr(request->url, "/pulls/") + 7);
    struct user author = author_of(number);
    char time[TEXT_TIME_SIZE], user[192] = "null";
    text_from_time(1700000000 + world.changes, time);
    if (author.id != 0)
        snprintf(user, sizeof user, "{\"id\":%" PRIu64 ",\"login\":\"%s\",\"type\":\"User\"}", author.id,
                 author.login);
    reply->status = 200;
    buf_addf(&reply->body,
             "{\"number\":%" PRIu64 ",\"state\":\"%s\",\"draft\":false,\"title\":\"t\",\"updated_at\":\"%s\","
             "\"mergeable\":true,\"labels\":[%s],\"user\":%s,\"head\":{\"sha\":\"%s\",\"ref\":\"topic\"},"
             "\"base\":{\"ref\":\"main\"}}",
             number, world.closed[number] ? "closed" : "open", time,
             world.labelled[number] ? "{\"id\":9,\"name\":\"CICD\"}" : "", user,
             head_of(number, world.pushes[number]).hex);
    return ERR_OK;
}

static enum err_code github(const struct http_request *request, struct http_reply *reply, struct err *err)
{
    (void)err;
    if (is(request, "GET", "/pulls/"))
        return show_pull(request, reply);
    if (is(request, "POST", "/dispatches") && world.dying)
        kill(getpid(), SIGKILL);
    if (is(request, "POST", "/dispatches")) {
        atomic_fetch_add(&world.started, 1);
        return say(reply, 204, "");
    }
    if (is(request, "GET", "/permission"))
        return say(reply, 200, "{\"permission\":\"admin\",\"role_name\":\"admin\"}");
    if (is(request, "GET", "/user"))
        return say(reply, 200, "{\"id\":99,\"login\":\"gatekeeper\",\"type\":\"User\"}");
    if (is(request, "POST", "/labels"))
        return say(reply, 200, "[{\"id\":9,\"name\":\"CICD\"}]");
    if (is(request, "GET", ""))
        return say(reply, 200, "[]");
    return say(reply, 201, "{}");
}

/* ---- helpers ------------------------------------------------------------------ */

static void begin(struct fixture *f, const char *repo_keys)
{
    memset(&world, 0, sizeof world);
    travelled_s = 0;
    fixture_open(f, repo_keys);
    f->fake.answer = github;
}

static struct event make(enum event_action action, uint64_t number)
{
    static unsigned deliveries;
    char delivery[32];
    snprintf(delivery, sizeof delivery, "d%u", ++deliveries);
    struct event event = make_event(action, delivery);
    event.key.number = number;
    event.pr.updated_at = 1700000000 + world.changes;
    event.pr.author = author_of(number);
    event.pr.head = head_of(number, world.pushes[number]);
    event.pr.labelled = world.labelled[number];
    event.pr.closed = world.closed[number];
    if (action == EVENT_OPENED || action == EVENT_SYNCHRONIZE)
        event.sender = event.pr.author;
    if (action == EVENT_RERUN)
        event.pr = (struct snapshot){.head = event.pr.head};
    return event;
}

static void deliver(struct fixture *f, const struct event *event)
{
    struct receipt receipt = put_event(f, event, true);
    if (receipt.claimed)
        drain_run(&f->worker, &event->key, &receipt.claim);
}

static void happen(struct fixture *f, enum event_action action, uint64_t number)
{
    world.changes++;
    world.pushes[number] += action == EVENT_SYNCHRONIZE;
    world.closed[number] |= action == EVENT_CLOSED;
    if (action == EVENT_LABELED || action == EVENT_UNLABELED)
        world.labelled[number] = action == EVENT_LABELED;
    if (action == EVENT_RERUN)
        usleep(2000); /* asked for in the very millisecond of a start, it is taken for that start */
    struct event event = make(action, number);
    deliver(f, &event);
}

/* A copy of the head that GitHub shows. */
static struct head look(struct fixture *f, uint64_t number)
{
    struct err err = {0};
    struct record record;
    record_init(&record);
    record.key = (struct pr_key){.repo_id = 5, .number = number};
    if (store_txn(f->gate.store, read_record_body, &record, &err) != ERR_OK)
        fail_msg("record of %u: %s", (unsigned)number, err.text);
    struct sha sha = head_of(number, world.pushes[number]);
    const struct head *head = record_find_head(&record, &sha);
    assert_non_null(head);
    struct head copy = *head;
    record_release(&record);
    return copy;
}

static void expect_started(struct fixture *f, const char *row, uint64_t number)
{
    struct head head = look(f, number);
    check_int(row, "ci", head.ci, CI_STARTED);
    check_int(row, "check", head.check, CHECK_DONE);
    check_int(row, "until", head.budget_until_ms, 0);
}

static void expect_waits(struct fixture *f, const char *row, uint64_t number, int64_t until_ms)
{
    struct head head = look(f, number);
    check_int(row, "ci", head.ci, CI_NONE);
    check_str(row, "waits for", wait_reason_name(head.check_reason), "budget");
    check_int(row, "until", head.budget_until_ms, until_ms);
}

static int64_t started_at(struct fixture *f, uint64_t number)
{
    struct head head = look(f, number);
    check_int("started", "ci", head.ci, CI_STARTED);
    return head.ci_at_ms;
}

/* How much later than the start was decided its result was stored: nothing, to the minute. */
static int64_t minute_of(int64_t ms)
{
    return (ms + 30000) / 60000;
}

static void expect_waits_minutes(struct fixture *f, const char *row, uint64_t number, int64_t after_ms,
                                 int64_t minutes)
{
    struct head head = look(f, number);
    check_int(row, "ci", head.ci, CI_NONE);
    check_str(row, "waits for", wait_reason_name(head.check_reason), "budget");
    check_int(row, "minutes until", minute_of(head.budget_until_ms - after_ms), minutes);
}

static void use_other_budgets(struct fixture *f, const char *repo_keys)
{
    char path[256], text[2048], kept[2048] = "";
    struct err err = {0};
    snprintf(path, sizeof path, "%s/prgate.conf", f->dir);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t len = fread(kept, 1, sizeof kept - 1, file);
    fclose(file);
    kept[len] = '\0';
    *strstr(kept, "trusted_users") = '\0';
    snprintf(text, sizeof text, "%strusted_users = {\"ann\"} %s }\n", kept, repo_keys);
    write_file(f->dir, "prgate.conf", text);
    struct config *other;
    if (config_open(&other, path, &err) != ERR_OK)
        fail_msg("configuration: %s", err.text);
    github_close(f->worker.github);
    config_close(f->config);
    f->config = other;
    f->gate.config = other;
    fixture_open_worker(f);
    f->fake.answer = github;
}

/* ---- tests ---------------------------------------------------------------------- */

static void test_without_budgets_nothing_is_counted(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "");
    for (uint64_t n = 1; n < 6; n++)
        happen(&f, EVENT_OPENED, n);
    check_int("no budgets", "started", world.started, 5);
    check_u64("no budgets", "rows", count_table(&f, TABLE_BUDGET), 0);
    fixture_close(&f);
}

static void test_the_hour_slides(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "author_triggers_per_hour = 2");
    happen(&f, EVENT_OPENED, 1);
    int64_t first = started_at(&f, 1);
    travel_minutes(20);
    happen(&f, EVENT_OPENED, 2);
    travel_minutes(10);
    happen(&f, EVENT_OPENED, 3);
    expect_waits_minutes(&f, "third", 3, first, 60);
    check_int("third", "started", world.started, 2);
    travel_minutes(29);
    sweep_run(&f.worker);
    expect_waits_minutes(&f, "a minute early", 3, first, 60);
    travel_minutes(1);
    sweep_run(&f.worker);
    expect_started(&f, "its turn", 3);
    happen(&f, EVENT_OPENED, 4);
    expect_waits_minutes(&f, "fourth", 4, first, 80);
    travel_minutes(20);
    sweep_run(&f.worker);
    expect_started(&f, "its turn, too", 4);
    check_int("all", "started", world.started, 4);
    fixture_close(&f);
}

static void test_until_when_is_to_the_millisecond(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "repo_triggers_per_hour = 1");
    int64_t before = clock_now_ms();
    happen(&f, EVENT_OPENED, 1);
    int64_t after = clock_now_ms();
    happen(&f, EVENT_OPENED, 2);
    int64_t until = look(&f, 2).budget_until_ms;
    assert_in_range(until, before + hour_ms, after + hour_ms);
    expect_waits(&f, "second", 2, until);
    happen(&f, EVENT_EDITED, 2);
    expect_waits(&f, "edited", 2, until);
    fixture_close(&f);
}

static void test_whose_starts_count_for_whom(void **state)
{
    (void)state;
    static const struct {
        const char *name, *keys;
        uint64_t first, second;
        bool waits;
    } rows[] = {
        {"one author", "author_triggers_per_hour = 1", 1, 2, true},
        {"two authors", "author_triggers_per_hour = 1", 1, 11, false},
        {"accounts that are gone are one author", "author_triggers_per_hour = 1", 21, 22, true},
        {"two authors, one repository", "repo_triggers_per_hour = 1", 1, 11, true},
        {"both budgets, two authors", "author_triggers_per_hour = 1 repo_triggers_per_hour = 2", 1, 11,
         false},
        {"both budgets, one author", "author_triggers_per_hour = 1 repo_triggers_per_hour = 2", 1, 2, true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        begin(&f, rows[i].keys);
        for (int j = 0; j < 2; j++) {
            happen(&f, EVENT_OPENED, j == 0 ? rows[i].first : rows[i].second);
            if (author_of(rows[i].first).id == 0)
                happen(&f, EVENT_LABELED, j == 0 ? rows[i].first : rows[i].second);
        }
        expect_started(&f, rows[i].name, rows[i].first);
        if (rows[i].waits)
            expect_waits_minutes(&f, rows[i].name, rows[i].second, started_at(&f, rows[i].first), 60);
        else
            expect_started(&f, rows[i].name, rows[i].second);
        fixture_close(&f);
    }
}

static void test_a_newcomer_does_not_overtake(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "repo_triggers_per_hour = 1");
    happen(&f, EVENT_OPENED, 1);
    int64_t first = started_at(&f, 1);
    for (uint64_t n = 2; n < 5; n++) {
        happen(&f, EVENT_OPENED, n);
        expect_waits_minutes(&f, "in line", n, first, (int64_t)(n - 1) * 60);
    }
    travel_minutes(60); /* the budget is free, and nobody has been woken yet */
    happen(&f, EVENT_OPENED, 11);
    expect_waits_minutes(&f, "newcomer", 11, first, 240);
    sweep_run(&f.worker);
    expect_started(&f, "first in line", 2);
    expect_waits_minutes(&f, "second in line", 3, first, 120);
    for (int i = 0; i < 3; i++) {
        travel_minutes(61);
        sweep_run(&f.worker);
    }
    expect_started(&f, "in the end", 3);
    expect_started(&f, "in the end", 4);
    expect_started(&f, "in the end", 11);
    check_int("all", "started", world.started, 5);
    fixture_close(&f);
}

/* One author's many pull requests stand in the author's line alone. */
static void test_an_author_over_budget_holds_nobody_else_up(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "author_triggers_per_hour = 1 repo_triggers_per_hour = 3");
    for (uint64_t n = 1; n < 8; n++)
        happen(&f, EVENT_OPENED, n);
    happen(&f, EVENT_OPENED, 11);
    expect_started(&f, "another author", 11);
    check_int("all", "started", world.started, 2);
    fixture_close(&f);
}

static void test_a_push_keeps_the_place_and_a_closing_gives_it_up(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "repo_triggers_per_hour = 1");
    happen(&f, EVENT_OPENED, 1);
    int64_t first = started_at(&f, 1);
    happen(&f, EVENT_OPENED, 2);
    happen(&f, EVENT_OPENED, 3);
    happen(&f, EVENT_OPENED, 4);
    struct sha before = head_of(2, 0);
    happen(&f, EVENT_SYNCHRONIZE, 2);
    happen(&f, EVENT_LABELED, 2); /* the push alone is not covered: prgate has not set the label yet */
    expect_waits_minutes(&f, "pushed", 2, first, 60);
    struct err err = {0};
    struct record record;
    record_init(&record);
    record.key = (struct pr_key){.repo_id = 5, .number = 2};
    assert_int_equal(store_txn(f.gate.store, read_record_body, &record, &err), ERR_OK);
    check_int("pushed", "the older head's", record_find_head(&record, &before)->budget_until_ms, 0);
    record_release(&record);
    happen(&f, EVENT_CLOSED, 3);
    happen(&f, EVENT_EDITED, 4);
    expect_waits_minutes(&f, "behind the closed one", 4, first, 120);
    travel_minutes(60);
    sweep_run(&f.worker);
    expect_started(&f, "the pushed one", 2);
    travel_minutes(60);
    sweep_run(&f.worker);
    expect_started(&f, "the last", 4);
    check_int("all", "started", world.started, 3);
    check_u64("all", "wakes and lines", count_table(&f, TABLE_BUDGET), 1);
    fixture_close(&f);
}

static void test_what_takes_the_wait_away(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum event_action action;
        bool told_again;
    } rows[] = {
        {"label taken off", EVENT_UNLABELED, false},
        {"closed", EVENT_CLOSED, false},
        {"edited", EVENT_EDITED, true},
        {"pushed by an untrusted author", EVENT_SYNCHRONIZE, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        begin(&f, "author_triggers_per_hour = 1 trusted_permission = \"\"");
        for (uint64_t n = 11; n < 13; n++) {
            happen(&f, EVENT_OPENED, n);
            happen(&f, EVENT_LABELED, n);
        }
        expect_waits_minutes(&f, rows[i].name, 12, started_at(&f, 11), 60);
        check_u64(rows[i].name, "rows", count_table(&f, TABLE_BUDGET), 2);
        happen(&f, rows[i].action, 12);
        check_bool(rows[i].name, "waits", look(&f, 12).budget_until_ms != 0, rows[i].told_again);
        check_u64(rows[i].name, "rows after", count_table(&f, TABLE_BUDGET), rows[i].told_again ? 2 : 1);
        travel_minutes(61);
        sweep_run(&f.worker);
        check_int(rows[i].name, "started", world.started, rows[i].told_again ? 2 : 1);
        fixture_close(&f);
    }
}

static void test_other_budgets_count_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *name, *keys;
        int started;
        int64_t minutes; /* the last one's; 0: started, too */
    } rows[] = {
        {"raised by one", "repo_triggers_per_hour = 3", 3, 60},
        {"raised by many", "repo_triggers_per_hour = 1000", 4, 0},
        {"turned off", "", 4, 0},
        {"another budget in its place", "author_triggers_per_hour = 5", 4, 0},
        {"lowered", "repo_triggers_per_hour = 1", 2, 120},
        {"the same", "repo_triggers_per_hour = 2 label = \"cicd\"", 2, 60},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        begin(&f, "repo_triggers_per_hour = 2");
        for (uint64_t n = 1; n < 5; n++)
            happen(&f, EVENT_OPENED, n);
        int64_t first = started_at(&f, 1);
        use_other_budgets(&f, rows[i].keys);
        sweep_run(&f.worker);
        check_int(rows[i].name, "started", world.started, rows[i].started);
        if (rows[i].minutes != 0)
            expect_waits_minutes(&f, rows[i].name, 4, first, rows[i].minutes);
        sweep_run(&f.worker);
        check_int(rows[i].name, "started after another look", world.started, rows[i].started);
        travel_minutes(62);
        sweep_run(&f.worker);
        travel_minutes(62);
        sweep_run(&f.worker);
        check_int(rows[i].name, "started in the end", world.started, 4);
        check_u64(rows[i].name, "deliveries left", count_table(&f, TABLE_INBOX), 0);
        fixture_close(&f);
    }
}

static void test_reruns_count_and_are_refused_with_the_time(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "author_triggers_per_hour = 2");
    happen(&f, EVENT_OPENED, 1);
    int64_t first = started_at(&f, 1);
    happen(&f, EVENT_RERUN, 1);
    check_int("within the budget", "started", world.started, 2);
    happen(&f, EVENT_RERUN, 1);
    check_int("over the budget", "started", world.started, 2);
    struct head head = look(&f, 1);
    check_int("over the budget", "ci", head.ci, CI_STARTED);
    check_int("over the budget", "minutes", minute_of(head.budget_until_ms - first), 60);
    check_u64("over the budget", "rows: nobody waits", count_table(&f, TABLE_BUDGET), 1);
    travel_minutes(61);
    sweep_run(&f.worker);
    check_int("not by itself", "started", world.started, 2);
    happen(&f, EVENT_RERUN, 1);
    check_int("asked for again", "started", world.started, 3);
    check_int("asked for again", "until", look(&f, 1).budget_until_ms, 0);
    fixture_close(&f);
}

static void open_first(struct fixture *f)
{
    f->fake.answer = github;
    world.dying = true;
    happen(f, EVENT_OPENED, 1);
}

static void test_a_start_is_counted_once_though_its_process_dies(void **state)
{
    (void)state;
    struct fixture f;
    memset(&world, 0, sizeof world);
    travelled_s = 0;
    fixture_open_after_kill(&f, open_first);
    use_other_budgets(&f, "author_triggers_per_hour = 2");
    sweep_run(&f.worker); /* budgets were off when it was decided */
    happen(&f, EVENT_OPENED, 2);
    happen(&f, EVENT_OPENED, 3);
    expect_started(&f, "not counted before", 3);
    happen(&f, EVENT_OPENED, 4);
    expect_waits_minutes(&f, "two are counted", 4, started_at(&f, 2), 60);
    fixture_close(&f);
}

static void open_in_budget(struct fixture *f)
{
    use_other_budgets(f, "author_triggers_per_hour = 1 trigger_guarantee = \"at_least_once\"");
    open_first(f);
}

static void test_a_start_that_is_repeated_after_a_crash_is_not_counted_again(void **state)
{
    (void)state;
    struct fixture f;
    memset(&world, 0, sizeof world);
    travelled_s = 0;
    fixture_open_after_kill(&f, open_in_budget);
    use_other_budgets(&f, "author_triggers_per_hour = 2 trigger_guarantee = \"at_least_once\"");
    sweep_run(&f.worker);
    check_int("repeated", "started", world.started, 1);
    happen(&f, EVENT_OPENED, 2);
    expect_started(&f, "second", 2);
    happen(&f, EVENT_OPENED, 3);
    check_str("third", "waits for", wait_reason_name(look(&f, 3).check_reason), "budget");
    fixture_close(&f);
}

struct row {
    struct buf key, value;
};

static enum err_code keep_wake_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct row *row = arg;
    buf_clear(&row->key);
    buf_adds(&row->key, "wake/");
    return store_next(txn, TABLE_BUDGET, (struct bytes){"wake/", 5}, &row->key, &row->value, err);
}

static enum err_code put_row_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct row *row = arg;
    return store_put(txn, TABLE_BUDGET, buf_bytes(&row->key), buf_bytes(&row->value), err);
}

/* A crash between the delivery and the row's removal leaves the row. */
static void test_a_wake_that_is_repeated_does_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct row row = {0};
    begin(&f, "author_triggers_per_hour = 1");
    happen(&f, EVENT_OPENED, 1);
    happen(&f, EVENT_OPENED, 2);
    assert_int_equal(store_txn(f.gate.store, keep_wake_body, &row, &err), ERR_OK);
    travel_minutes(61);
    for (int i = 0; i < 3; i++) {
        wake_those_due(&f.gate, i == 1);
        check_u64("woken", "deliveries", count_table(&f, TABLE_INBOX), 1);
        check_u64("woken", "rows: the line's", count_table(&f, TABLE_BUDGET), 1);
        assert_int_equal(store_txn(f.gate.store, put_row_body, &row, &err), ERR_OK);
    }
    sweep_run(&f.worker);
    expect_started(&f, "woken", 2);
    sweep_run(&f.worker);
    check_int("woken", "started", world.started, 2);
    check_u64("in the end", "rows", count_table(&f, TABLE_BUDGET), 1);
    buf_release(&row.key);
    buf_release(&row.value);
    fixture_close(&f);
}

static enum err_code damage_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    enum err_code code =
        store_put(txn, TABLE_BUDGET, (struct bytes){"author/5/2", 10}, (struct bytes){"junk", 4}, err);
    return code == ERR_OK
               ? store_put(txn, TABLE_BUDGET, (struct bytes){"wake/0", 6}, (struct bytes){"junk", 4}, err)
               : code;
}

static void test_what_is_damaged_is_begun_anew(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    begin(&f, "author_triggers_per_hour = 1");
    assert_int_equal(store_txn(f.gate.store, damage_body, NULL, &err), ERR_OK);
    happen(&f, EVENT_OPENED, 1);
    expect_started(&f, "damaged", 1);
    happen(&f, EVENT_OPENED, 2);
    expect_waits_minutes(&f, "counted again", 2, started_at(&f, 1), 60);
    sweep_run(&f.worker);
    check_u64("damaged", "quarantine", count_table(&f, TABLE_QUARANTINE), 2);
    fixture_close(&f);
}

/* A line is dropped with its last start, a wake never. */
static void test_which_rows_are_of_no_use(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct row wake = {0}, line = {0};
    begin(&f, "author_triggers_per_hour = 1");
    happen(&f, EVENT_OPENED, 1);
    happen(&f, EVENT_OPENED, 2);
    assert_int_equal(store_txn(f.gate.store, keep_wake_body, &wake, &err), ERR_OK);
    struct bytes prefix = {"author/5/2", 10};
    buf_adds(&line.key, "author/5/2");
    check_bool("wake", "sound", budget_entry_is_sound(buf_bytes(&wake.key), buf_bytes(&wake.value)), true);
    check_bool("wake", "sound under another key",
               budget_entry_is_sound((struct bytes){"wake/1", 6}, buf_bytes(&wake.value)), false);
    check_bool("line", "sound", budget_entry_is_sound(prefix, buf_bytes(&wake.value)), false);
    int64_t now = clock_now_ms();
    check_bool("wake", "stale",
               budget_entry_is_stale(buf_bytes(&wake.key), buf_bytes(&wake.value), now + 100 * hour_ms),
               false);
    struct buf fresh;
    buf_init(&fresh);
    encode_u8(&fresh, 1);
    encode_u32(&fresh, 1);
    encode_i64(&fresh, now);
    encode_u32(&fresh, 0);
    check_bool("line", "sound", budget_entry_is_sound(prefix, buf_bytes(&fresh)), true);
    check_bool("line", "stale", budget_entry_is_stale(prefix, buf_bytes(&fresh), now + hour_ms - 1), false);
    check_bool("line", "stale", budget_entry_is_stale(prefix, buf_bytes(&fresh), now + hour_ms), true);
    buf_addc(&fresh, 'x');
    check_bool("line", "longer", budget_entry_is_sound(prefix, buf_bytes(&fresh)), false);
    buf_release(&fresh);
    buf_release(&wake.key);
    buf_release(&wake.value);
    buf_release(&line.key);
    fixture_close(&f);
}

/* The count is exact, whoever decides at the same time. */
static void *open_some(void *arg)
{
    struct fixture *f = arg;
    static atomic_uint next;
    struct fixture own = *f;
    fixture_open_worker(&own);
    own.worker.gate = &f->gate;
    own.fake.answer = github;
    unsigned number;
    while ((number = atomic_fetch_add(&next, 1) + 1) < 20) {
        char delivery[32];
        struct event event = make_event(EVENT_OPENED, "");
        snprintf(delivery, sizeof delivery, "t%u", number);
        memcpy(event.delivery, delivery, sizeof delivery);
        event.key.number = number;
        event.pr.author = author_of(number);
        event.pr.head = head_of(number, 0);
        event.sender = event.pr.author;
        struct err err = {0};
        struct receipt receipt;
        if (inbox_put(&f->gate, &event, true, &receipt, &err) == ERR_OK && receipt.claimed)
            drain_run(&own.worker, &event.key, &receipt.claim);
    }
    github_close(own.worker.github);
    return NULL;
}

static void test_the_count_is_exact_among_threads(void **state)
{
    (void)state;
    struct fixture f;
    pthread_t threads[4];
    begin(&f, "author_triggers_per_hour = 4 repo_triggers_per_hour = 6");
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_some, &f), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    check_int("four threads", "started", world.started, 6);
    travel_minutes(61);
    sweep_run(&f.worker);
    check_int("an hour later", "started", world.started, 12);
    fixture_close(&f);
}

struct used {
    size_t count;
};

static enum err_code used_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct used *used = arg;
    return budget_used(txn, 5, clock_now_ms(), &used->count, err);
}

static void expect_use(struct fixture *f, const char *row, size_t used, size_t waiting)
{
    struct err err = {0};
    struct used got = {0};
    size_t waits = 99;
    assert_int_equal(store_txn(f->gate.store, used_body, &got, &err), ERR_OK);
    assert_int_equal(budget_count_waiting(f->gate.store, 1000, &waits, &err), ERR_OK);
    check_u64(row, "used", got.count, used);
    check_u64(row, "waiting", waits, waiting);
    assert_int_equal(budget_count_waiting(f->gate.store, 1, &waits, &err), ERR_OK);
    check_u64(row, "waiting, counted to 1", waits, waiting > 0);
}

static void test_how_much_of_it_is_used(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "repo_triggers_per_hour = 2");
    expect_use(&f, "nothing yet", 0, 0);
    for (uint64_t number = 1; number <= 4; number++)
        happen(&f, EVENT_OPENED, number);
    expect_use(&f, "used up", 2, 2);
    travel_minutes(61);
    expect_use(&f, "an hour later", 0, 2);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_budgets_nothing_is_counted),
        cmocka_unit_test(test_the_hour_slides),
        cmocka_unit_test(test_until_when_is_to_the_millisecond),
        cmocka_unit_test(test_whose_starts_count_for_whom),
        cmocka_unit_test(test_a_newcomer_does_not_overtake),
        cmocka_unit_test(test_an_author_over_budget_holds_nobody_else_up),
        cmocka_unit_test(test_a_push_keeps_the_place_and_a_closing_gives_it_up),
        cmocka_unit_test(test_what_takes_the_wait_away),
        cmocka_unit_test(test_other_budgets_count_at_once),
        cmocka_unit_test(test_reruns_count_and_are_refused_with_the_time),
        cmocka_unit_test(test_a_start_is_counted_once_though_its_process_dies),
        cmocka_unit_test(test_a_start_that_is_repeated_after_a_crash_is_not_counted_again),
        cmocka_unit_test(test_a_wake_that_is_repeated_does_nothing),
        cmocka_unit_test(test_what_is_damaged_is_begun_anew),
        cmocka_unit_test(test_which_rows_are_of_no_use),
        cmocka_unit_test(test_the_count_is_exact_among_threads),
        cmocka_unit_test(test_how_much_of_it_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
