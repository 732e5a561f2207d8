/*
 * What load balancers are told: that the store works, what waits, and for how long; and what asking costs.
 */
#include "check.h"

#include <pthread.h>

#include "fixture.h"
#include "prgate/health.h"
#include "routes.h"

static int64_t now_ms;

static int64_t tell_now(void)
{
    return now_ms;
}

/* Time stands still, but for the monotonic clock. */
static void open_at(struct fixture *f, const char *top_keys)
{
    *f = (struct fixture){0};
    now_ms = INT64_C(1700000000000);
    clock_use(tell_now);
    fixture_configure(f, top_keys, "");
    fixture_open_gate(f);
}

static void close_it(struct fixture *f)
{
    fixture_close(f);
    clock_use(NULL);
}

static void put_delivery(struct fixture *f, uint64_t number, const char *delivery, int64_t received_ms)
{
    struct event event = make_event(EVENT_OPENED, delivery);
    event.key.number = number;
    event.received_ms = received_ms;
    put_event(f, &event, false);
}

static enum err_code put_waiting_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct record record = {.key = {.repo_id = 5, .number = 9}};
    struct intent intent = {.kind = INTENT_ADD_LABEL, .created_ms = now_ms - 7000};
    struct dead_letter letter = {.intent = {.kind = INTENT_ADD_LABEL}, .died_ms = now_ms};
    (void)arg;
    enum err_code code = table_append_intent(txn, &record, &intent, err);
    return code == ERR_OK ? table_put_dead(txn, &record.key, &letter, err) : code;
}

static void put_waiting(struct fixture *f)
{
    struct err err = {0};
    assert_int_equal(store_txn(f->gate.store, put_waiting_body, NULL, &err), ERR_OK);
}

/* ---- what is seen ------------------------------------------------------------------ */

static void test_view_tells_how_much_waits_and_for_how_long(void **state)
{
    (void)state;
    struct fixture f;
    struct health_view view;
    open_at(&f, "");
    health_look(f.gate.store, &view);
    check_bool("empty", "works", view.works, true);
    check_u64("empty", "deliveries", view.deliveries, 0);
    check_int("empty", "oldest", view.oldest_delivery_ms, 0);
    /* The oldest is neither the first nor the last of them. */
    put_delivery(&f, 1, "d1", now_ms - 1000);
    put_delivery(&f, 2, "d2", now_ms - 90000);
    put_delivery(&f, 3, "d3", now_ms - 2000);
    put_waiting(&f);
    health_look(f.gate.store, &view);
    check_bool("full", "works", view.works, true);
    check_u64("full", "deliveries", view.deliveries, 3);
    check_u64("full", "intents", view.intents, 1);
    check_u64("full", "dead", view.dead, 1);
    check_int("full", "oldest delivery", view.oldest_delivery_ms, 90000);
    check_int("full", "oldest intent", view.oldest_intent_ms, 7000);
    close_it(&f);
}

/* Batches end in the middle of it, at its last entry, and behind that. */
static void test_every_entry_is_counted_once(void **state)
{
    (void)state;
    struct fixture f;
    struct health_view view;
    open_at(&f, "");
    for (uint64_t i = 1; i <= 50; i++) {
        char delivery[16];
        snprintf(delivery, sizeof delivery, "d%" PRIu64, i);
        put_delivery(&f, i, delivery, now_ms - (int64_t)i * 1000);
        health_look(f.gate.store, &view);
        check_u64(delivery, "deliveries", view.deliveries, i);
        check_int(delivery, "oldest", view.oldest_delivery_ms, (int64_t)i * 1000);
    }
    close_it(&f);
}

static enum err_code damage_body(struct store_txn *txn, void *arg, struct err *err)
{
    static const char key[] = "\0\0\0\0\0\0\0\5\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\7";
    (void)arg;
    return store_put(txn, TABLE_INBOX, (struct bytes){.data = key, .len = 24},
                     (struct bytes){.data = "?", .len = 1}, err);
}

static void test_entry_that_cannot_be_decoded_counts_and_has_no_age(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct health_view view;
    open_at(&f, "");
    assert_int_equal(store_txn(f.gate.store, damage_body, NULL, &err), ERR_OK);
    health_look(f.gate.store, &view);
    check_bool("damaged", "works", view.works, true);
    check_u64("damaged", "deliveries", view.deliveries, 1);
    check_int("damaged", "oldest", view.oldest_delivery_ms, 0);
    close_it(&f);
}

/* ---- what it costs -------------------------------------------------------------------- */

static uint64_t transactions(struct fixture *f)
{
    return store_get_stats(f->gate.store).transactions;
}

static void test_flood_of_questions_costs_one_look(void **state)
{
    (void)state;
    struct fixture f;
    struct health_view view;
    open_at(&f, "");
    int64_t start = clock_monotonic_ms();
    health_get(f.gate.health, &view);
    uint64_t after_one = transactions(&f);
    for (int i = 0; i < 1000; i++)
        health_get(f.gate.health, &view);
    uint64_t seconds = (uint64_t)(clock_monotonic_ms() - start) / HEALTH_KEPT_MS;
    check_bool("flood", "looks no more than once a second", transactions(&f) <= after_one + 5 * seconds,
               true);
    close_it(&f);
}

static void wait_until_stale(void)
{
    int64_t start = clock_monotonic_ms();
    while (clock_monotonic_ms() - start <= HEALTH_KEPT_MS)
        usleep(20000);
}

static void test_it_is_seen_anew_after_a_second(void **state)
{
    (void)state;
    struct fixture f;
    struct health_view view;
    open_at(&f, "");
    health_get(f.gate.health, &view);
    check_u64("before", "deliveries", view.deliveries, 0);
    put_delivery(&f, 1, "d1", now_ms);
    wait_until_stale();
    health_get(f.gate.health, &view);
    check_u64("after", "deliveries", view.deliveries, 1);
    close_it(&f);
}

/* The probe leaves no entry; while others write, there is none. */
static void test_writing_is_tried_where_nobody_writes(void **state)
{
    (void)state;
    skip_if_run_again();
    struct fixture f;
    struct health_view view;
    open_at(&f, "");
    health_get(f.gate.health, &view);
    uint64_t before = store_get_stats(f.gate.store).commits;
    wait_until_stale();
    health_get(f.gate.health, &view);
    check_bool("idle", "works", view.works, true);
    check_u64("idle", "commits", store_get_stats(f.gate.store).commits, before + 1);
    check_u64("idle", "entries", count_table(&f, TABLE_SHARED), 0);
    put_delivery(&f, 1, "d1", now_ms);
    before = store_get_stats(f.gate.store).commits;
    wait_until_stale();
    health_get(f.gate.health, &view);
    check_u64("busy", "commits", store_get_stats(f.gate.store).commits, before);
    close_it(&f);
}

static void *ask_often(void *arg)
{
    struct health_view view;
    for (int i = 0; i < 200; i++) {
        health_get(arg, &view);
        if (!view.works)
            return arg;
    }
    return NULL;
}

static void test_threads_ask_at_once(void **state)
{
    (void)state;
    struct fixture f;
    pthread_t threads[4];
    open_at(&f, "");
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, f.gate.health), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    close_it(&f);
}

/* ---- what is told --------------------------------------------------------------------- */

static void check_reply(const char *row, struct fixture *f, const char *path, int status, const char *part)
{
    struct reply reply;
    reply_init(&reply);
    routes_answer(&f->gate, &(struct request){.method = "GET", .path_info = path}, false, &reply);
    check_int(row, "status", reply.status, status);
    check_contains(row, path, buf_text(&reply.body), part);
    check_bool(row, "Retry-After", reply.retry_after_s > 0, status == 503);
    reply_release(&reply);
}

static void test_delivery_that_waits_too_long_is_failing(void **state)
{
    (void)state;
    static const struct {
        const char *name, *keys;
        int64_t age_s;
        int status;
        const char *part;
    } rows[] = {
        {"an hour by default", "", 3600, 200, "\"status\":\"ok\",\"waiting\":1"},
        {"more than that", "", 3601, 503,
         "{\"status\":\"error\",\"reason\":\"waiting\",\"message\":\"a delivery has been waiting for 3601 "
         "s; health_max_age is 3600 s\",\"waiting\":1"},
        {"as configured", "health_max_age = 60\n", 60, 200, "\"oldest_delivery_seconds\":60"},
        {"more than configured", "health_max_age = 60\n", 61, 503, "\"reason\":\"waiting\""},
        {"not looked at", "health_max_age = 0\n", 1000000, 200, "\"oldest_delivery_seconds\":1000000"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        open_at(&f, rows[i].keys);
        put_delivery(&f, 1, "d1", now_ms - rows[i].age_s * 1000);
        check_reply(rows[i].name, &f, "/healthz", rows[i].status, rows[i].part);
        check_reply(rows[i].name, &f, "/healthz.json", rows[i].status, rows[i].part);
        close_it(&f);
    }
}

/* An action that waits is for the alerts: it may wait for days, and the door is no worse for it. */
static void test_action_that_waits_is_not(void **state)
{
    (void)state;
    struct fixture f;
    open_at(&f, "health_max_age = 1\n");
    put_waiting(&f);
    check_reply("action", &f, "/healthz", 200, "\"intents\":1,\"oldest_delivery_seconds\":0");
    check_reply("action", &f, "/healthz", 200, "\"oldest_intent_seconds\":7,\"dead\":1");
    close_it(&f);
}

static void test_full_disk_is_told(void **state)
{
    (void)state;
    struct fixture f;
    struct health_view view;
    open_at(&f, "");
    health_get(f.gate.health, &view);
    wait_until_stale();
    fill_disk();
    check_reply("full", &f, "/healthz", 503, "{\"status\":\"error\",\"reason\":\"store\",\"message\":");
    check_reply("full", &f, "/metrics", 200, "\nprgate_store_up 0\n");
    free_disk();
    wait_until_stale();
    check_reply("room again", &f, "/healthz", 200, "\"status\":\"ok\"");
    check_reply("room again", &f, "/metrics", 200, "\nprgate_store_up 1\n");
    close_it(&f);
}

static void test_gauges_are_those_of_the_store(void **state)
{
    (void)state;
    static const char *const samples[] = {
        "\nprgate_queue_depth{queue=\"deliveries\"} 2\n",
        "\nprgate_queue_depth{queue=\"intents\"} 1\n",
        "\nprgate_queue_oldest_seconds{queue=\"deliveries\"} 90.000000\n",
        "\nprgate_queue_oldest_seconds{queue=\"intents\"} 7.000000\n",
        "\nprgate_dead_letters 1\n",
        "\nprgate_budget_waiting 0\n",
        "\nprgate_processes 1\n",
        "\nprgate_store_up 1\n",
    };
    struct fixture f;
    open_at(&f, "");
    put_delivery(&f, 1, "d1", now_ms - 1000);
    put_delivery(&f, 2, "d2", now_ms - 90000);
    put_waiting(&f);
    for (size_t i = 0; i < COUNT_OF(samples); i++)
        check_reply("gauge", &f, "/metrics", 200, samples[i]);
    close_it(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view_tells_how_much_waits_and_for_how_long),
        cmocka_unit_test(test_every_entry_is_counted_once),
        cmocka_unit_test(test_entry_that_cannot_be_decoded_counts_and_has_no_age),
        cmocka_unit_test(test_flood_of_questions_costs_one_look),
        cmocka_unit_test(test_it_is_seen_anew_after_a_second),
        cmocka_unit_test(test_writing_is_tried_where_nobody_writes),
        cmocka_unit_test(test_threads_ask_at_once),
        cmocka_unit_test(test_delivery_that_waits_too_long_is_failing),
        cmocka_unit_test(test_action_that_waits_is_not),
        cmocka_unit_test(test_full_disk_is_told),
        cmocka_unit_test(test_gauges_are_those_of_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
