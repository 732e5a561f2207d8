/*
 * A process's working threads: that each has many pull requests in progress at once, and what becomes of those that
 * wait in the queue.
 */
#include "check.h"

#include "crowd_server.h"
#include "fixture.h"
#include "prgate/crew.h"
#include "prgate/fiber.h"

static bool has_room(struct crew *crew)
{
    bool room = crew_hold_place(crew);
    if (room)
        crew_free_place(crew);
    return room;
}

static void test_threads_work_off_what_is_submitted(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct err err = {0};
    struct crew *crew;
    fixture_configure(&f, "dry_run = true", "");
    fixture_open_gate(&f);
    assert_int_equal(crew_open(&crew, &f.gate, 3, 128, &err), ERR_OK);
    assert_true(has_room(crew));
    for (int i = 0; i < 20; i++) {
        char delivery[16];
        snprintf(delivery, sizeof delivery, "d%d", i);
        struct event event = make_event(EVENT_CLOSED, delivery);
        event.key.number = (uint64_t)(i % 5 + 1);
        event.pr.updated_at += i; /* newer each time: nothing to ask GitHub */
        event.pr.closed = true;
        struct receipt receipt = put_event(&f, &event, true);
        if (receipt.claimed)
            crew_submit(crew, &event.key, &receipt.claim, NULL);
    }
    for (int i = 0; i < 500 && count_table(&f, TABLE_INBOX) > 0; i++)
        usleep(10000);
    crew_close(crew);
    assert_int_equal(count_table(&f, TABLE_INBOX), 0);
    assert_int_equal(count_table(&f, TABLE_LEDGER), 20);
    assert_int_equal(claims_count(f.gate.claims), 0);
    fixture_close(&f);
}

static void test_stopping_threads_give_up_what_is_queued_and_claim_no_more(void **state)
{
    (void)state;
    struct err err = {0};
    struct fixture f = {0};
    struct crew *crew;
    fixture_open(&f, "");
    struct event event = make_event(EVENT_OPENED, "d1");
    struct receipt receipt = put_event(&f, &event, true);
    assert_true(receipt.claimed);
    assert_int_equal(crew_open(&crew, &f.gate, 2, 128, &err), ERR_OK);
    atomic_store(&f.gate.stopping, true);
    assert_false(has_room(crew));
    /* One that was claimed just before; there may be as many of these as threads that accept. */
    crew_submit(crew, &event.key, &receipt.claim, NULL);
    crew_wait(crew);
    struct record record = get_record(&f);
    check_bool("record", "claimed", record.claim.held, false);
    check_u64("process", "claims", claims_count(f.gate.claims), 0);
    check_u64("inbox", "deliveries", count_table(&f, TABLE_INBOX), 1);
    record_release(&record);
    crew_close(crew);
    crew_wait(NULL);
    fixture_close(&f);
}

static void test_waiting_ends_where_no_thread_can_work(void **state)
{
    (void)state;
    struct err err = {0};
    struct fixture f = {0};
    struct crew *crew;
    fixture_open(&f, "");
    assert_int_equal(crew_open(&crew, &f.gate, 0, 128, &err), ERR_OK);
    struct pr_key pr = {.repo_id = 5, .number = 7};
    struct claim claim = claims_new(f.gate.claims);
    crew_submit(crew, &pr, &claim, NULL);
    alarm(20);
    crew_wait(crew);
    alarm(0);
    crew_close(crew);
    fixture_close(&f);
}

static struct briefing *new_briefing(void)
{
    struct briefing *briefing = mem_alloc(sizeof *briefing);
    *briefing = (struct briefing){.seq = 0};
    record_init(&briefing->record);
    record_reserve_head(&briefing->record);
    return briefing;
}

static void count_room(void *arg)
{
    ++*(int *)arg;
}

/* A place that is held is nobody else's, whether or not something is submitted for it. */
static void test_place_that_is_held_is_taken(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct crew *crew;
    int told = 0;
    struct pr_key pr = {.repo_id = 5, .number = 1};
    fixture_open(&f, "");
    assert_int_equal(crew_open(&crew, &f.gate, 0, 4, &err), ERR_OK);
    crew_on_room(crew, count_room, &told);
    for (int i = 0; i < 4; i++)
        assert_true(crew_hold_place(crew));
    check_bool("all held", "room", has_room(crew), false);
    struct claim claim = claims_new(f.gate.claims);
    crew_submit(crew, &pr, &claim, NULL);
    crew_free_place(crew);
    check_bool("three held, one submitted", "room", has_room(crew), false);
    check_int("three held, one submitted", "told of room", told, 0);
    crew_free_place(crew);
    check_int("two held, one submitted", "told of room", told, 1);
    check_bool("two held, one submitted", "room", has_room(crew), true);
    crew_free_place(crew);
    crew_free_place(crew);
    crew_on_room(crew, NULL, NULL);
    crew_close(crew);
    fixture_close(&f);
}

/* No thread takes anything off: the queue fills up. Each briefing is freed, be it here, there, or in the end. */
static void test_claim_that_finds_no_place_in_the_queue_is_free_again(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct crew *crew;
    struct claim claims[400];
    size_t room = 0, kept = 0;
    fixture_open(&f, "");
    assert_int_equal(crew_open(&crew, &f.gate, 0, 128, &err), ERR_OK);
    for (size_t i = 0; i < COUNT_OF(claims); i++) {
        struct pr_key pr = {.repo_id = 5, .number = i + 1};
        room += has_room(crew);
        claims[i] = claims_new(f.gate.claims);
        crew_submit(crew, &pr, &claims[i], new_briefing());
        kept += !claims_is_free(f.gate.claims, &claims[i]);
    }
    check_u64("queue", "kept, and there was room", kept, room);
    check_bool("queue", "was full", kept < COUNT_OF(claims), true);
    check_u64("process", "claims", claims_count(f.gate.claims), kept);
    check_bool("first", "free", claims_is_free(f.gate.claims, &claims[0]), false);
    check_bool("last", "free", claims_is_free(f.gate.claims, &claims[COUNT_OF(claims) - 1]), true);
    crew_close(crew);
    fixture_close(&f);
}

/* ---- many at once ---- */

static const char NOT_YET[] =
    "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

/* A GitHub over sockets. It answers nobody until so many ask. */
static struct crowd_server *open_with_server(struct fixture *f, int enough)
{
    struct err err = {0};
    char url[64];
    struct crowd_server *server = crowd_server_start(enough, NOT_YET);
    assert_int_equal(http_setup(&err), ERR_OK);
    fixture_open(f, "");
    snprintf(url, sizeof url, "http://127.0.0.1:%d", server->port);
    free(f->config->api_url);
    f->config->api_url = mem_strdup(url);
    return server;
}

static void close_with_server(struct fixture *f, struct crowd_server *server)
{
    free(server);
    fixture_close(f);
    http_shutdown();
}

static void submit(struct fixture *f, struct crew *crew, uint64_t number)
{
    struct event event = make_event(EVENT_OPENED, "d1");
    event.key.number = number;
    struct receipt receipt = put_event(f, &event, true);
    assert_true(receipt.claimed);
    crew_submit(crew, &event.key, &receipt.claim, NULL);
}

static void test_one_thread_has_many_in_progress(void **state)
{
    (void)state;
    enum { PULLS = 60 };
    struct fixture f;
    struct err err = {0};
    struct crew *crew;
    struct crowd_server *server = open_with_server(&f, PULLS);
    assert_int_equal(crew_open(&crew, &f.gate, 1, PULLS, &err), ERR_OK);
    for (uint64_t i = 1; i <= PULLS; i++) {
        check_bool("before the last", "room", has_room(crew), true);
        submit(&f, crew, i);
    }
    crew_close(crew);
    crowd_server_stop(server);
    check_int("at once", "calls", atomic_load(&server->most), PULLS);
    check_u64("put off", "deliveries", count_table(&f, TABLE_INBOX), PULLS);
    check_u64("put off", "claims", claims_count(f.gate.claims), 0);
    close_with_server(&f, server);
}

/* As deep as cJSON follows it, each level a frame or two: it fits into a fiber's stack. */
static void test_deep_reply_fits_the_stack(void **state)
{
    (void)state;
    enum { DEEP = 999 };
    struct fixture f;
    struct err err = {0};
    struct crew *crew;
    char body[2 * DEEP + 1], reply[2 * DEEP + 200];
    memset(body, '[', DEEP);
    memset(body + DEEP, ']', DEEP);
    body[2 * (size_t)DEEP] = '\0';
    snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", 2 * DEEP, body);
    struct crowd_server *server = open_with_server(&f, 1);
    server->reply = reply;
    assert_int_equal(crew_open(&crew, &f.gate, 1, 4, &err), ERR_OK);
    submit(&f, crew, 1);
    crew_close(crew);
    crowd_server_stop(server);
    check_int("asked", "calls", atomic_load(&server->most), 1);
    check_u64("an odd reply", "deliveries put off", count_table(&f, TABLE_INBOX), 1);
    check_u64("an odd reply", "claims", claims_count(f.gate.claims), 0);
    close_with_server(&f, server);
}

/* ---- what must not wait ---- */

static enum err_code wait_in_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)txn, (void)arg, (void)err;
    fiber_sleep_ms(1);
    return ERR_OK;
}

static void wait_in_transaction(void *arg)
{
    struct fixture *f = arg;
    struct err err = {0};
    store_txn(f->gate.store, wait_in_body, NULL, &err);
}

/* The next fiber of the thread might want the same page, and never get it. */
static void test_no_fiber_waits_within_a_transaction(void **state)
{
    (void)state;
    struct fixture f = {0};
    int status;
    fixture_configure(&f, "", "");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct err err = {0};
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        fixture_open_gate(&f);
        struct fibers *fibers = fibers_new();
        fibers_start(fibers, wait_in_transaction, &f, &err);
        fibers_run(fibers);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    check_bool("within a transaction", "is a panic", WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
               true);
    fixture_open_gate(&f);
    fixture_close(&f);
}

/* ---- room ---- */

static void count_call(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static void ask(struct crowd_server *server)
{
    char url[64];
    struct err err = {0};
    struct http *http;
    struct http_reply reply;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/", server->port);
    http_reply_init(&reply);
    assert_int_equal(http_open(&http, 30, &err), ERR_OK);
    struct http_request request = {.method = "GET", .url = url};
    assert_int_equal(http->perform(http, &request, &reply, &err), ERR_OK);
    http_reply_release(&reply);
    http_close(http);
}

static void test_who_was_refused_is_told_once_there_is_room(void **state)
{
    (void)state;
    static const bool rows[] = {false, true, false};
    struct fixture f;
    struct err err = {0};
    struct crew *crew;
    atomic_int calls = 0;
    struct crowd_server *server = open_with_server(&f, 2); /* the other one is this test */
    assert_int_equal(crew_open(&crew, &f.gate, 1, 1, &err), ERR_OK);
    crew_on_room(crew, count_call, &calls);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        atomic_store(&calls, 0);
        submit(&f, crew, i + 1);
        if (rows[i])
            check_bool("the only place is taken", "room", has_room(crew), false);
        ask(server);
        crew_wait(crew);
        check_int(rows[i] ? "refused" : "not refused", "calls", atomic_load(&calls), rows[i]);
    }
    crew_on_room(crew, NULL, NULL);
    crew_close(crew);
    crowd_server_stop(server);
    close_with_server(&f, server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_work_off_what_is_submitted),
        cmocka_unit_test(test_stopping_threads_give_up_what_is_queued_and_claim_no_more),
        cmocka_unit_test(test_waiting_ends_where_no_thread_can_work),
        cmocka_unit_test(test_place_that_is_held_is_taken),
        cmocka_unit_test(test_claim_that_finds_no_place_in_the_queue_is_free_again),
        cmocka_unit_test(test_one_thread_has_many_in_progress),
        cmocka_unit_test(test_deep_reply_fits_the_stack),
        cmocka_unit_test(test_no_fiber_waits_within_a_transaction),
        cmocka_unit_test(test_who_was_refused_is_told_once_there_is_room),
    };
    return cmocka_run_group_tests_name("crew", tests, NULL, NULL);
}
