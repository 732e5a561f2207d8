/*
 * What the sweeper finds, in which order, and what it leaves alone.
 */
#include "check.h"

#include "fixture.h"
#include "prgate/intent.h"
#include "prgate/sweep.h"
#include "prgate/text.h"

/* ---- pull requests with work ---------------------------------------------------- */

/* No section of the configuration fits: working it off needs no GitHub. */
static struct event event_of(uint64_t repo_id, uint64_t number)
{
    struct event event = make_event(EVENT_EDITED, "d1");
    event.key = (struct pr_key){.repo_id = repo_id, .number = number};
    strcpy(event.repo, "octo/gone");
    return event;
}

static void put_off_work(struct fixture *f, uint64_t repo_id, uint64_t number)
{
    struct event event = event_of(repo_id, number);
    assert_false(put_event(f, &event, false).claimed);
}

static enum err_code put_intent_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct record *record = arg;
    struct intent intent = {.kind = INTENT_ADD_LABEL};
    record->next_intent = 0;
    enum err_code code = table_append_intent(txn, record, &intent, err);
    return code == ERR_OK ? table_put_record(txn, record, err) : code;
}

/* A pull request that has decided work left, and no delivery. */
static void put_intent_work(struct fixture *f, uint64_t repo_id, uint64_t number)
{
    struct err err = {0};
    struct record record;
    record_init(&record);
    record.key = (struct pr_key){.repo_id = repo_id, .number = number};
    strcpy(record.repo, "octo/gone");
    assert_int_equal(store_txn(f->gate.store, put_intent_body, &record, &err), ERR_OK);
    record_release(&record);
}

/* Of 5#7. */
static void set_claim(struct fixture *f, const struct claim *claim)
{
    struct record record = get_record(f);
    record.claim = *claim;
    put_record(f, &record);
    record_release(&record);
}

static void set_due(struct fixture *f, int64_t due_ms)
{
    struct record record = get_record(f);
    record.due_ms = due_ms;
    put_record(f, &record);
    record_release(&record);
}

/* From the very first pull request on. */
static bool find_first(struct fixture *f, struct claim *claim)
{
    struct pr_key pr = {0};
    return sweep_next(&f->gate, &pr, claim);
}

static void expect_nothing(struct fixture *f)
{
    struct claim claim;
    size_t before = claims_count(f->gate.claims);
    assert_false(find_first(f, &claim));
    assert_int_equal(claims_count(f->gate.claims), before);
}

/* ---- one look ------------------------------------------------------------------- */

static void test_nothing_is_found_where_no_work_waits(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    expect_nothing(&f);
    fixture_close(&f);
}

static void test_what_is_found_is_claimed(void **state)
{
    (void)state;
    struct fixture f;
    struct claim claim;
    fixture_open(&f, "");
    put_off_work(&f, 5, 7);
    assert_true(find_first(&f, &claim));
    struct record record = get_record(&f);
    assert_true(claim_equal(&record.claim, &claim));
    assert_false(claims_is_free(f.gate.claims, &claim));
    assert_int_equal(metrics_get(f.gate.metrics, METRIC_CLAIMS_TAKEN_OVER), 0);
    expect_nothing(&f);
    record_release(&record);
    fixture_close(&f);
}

/* Numbers count as numbers, whatever their bytes, and both queues are one. */
static void test_pull_requests_come_in_the_order_of_their_keys(void **state)
{
    (void)state;
    struct fixture f;
    struct claim claim;
    static const struct pr_key want[] = {{4, 300}, {5, 7}, {5, 255},
                                         {5, 256}, {6, 1}, {UINT64_C(1) << 40, 2}};
    struct pr_key pr = {0};
    fixture_open(&f, "");
    put_off_work(&f, want[5].repo_id, want[5].number);
    put_off_work(&f, 5, 256);
    put_intent_work(&f, 5, 255);
    put_intent_work(&f, 4, 300);
    put_off_work(&f, 5, 7);
    put_intent_work(&f, 6, 1);
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        assert_true(sweep_next(&f.gate, &pr, &claim));
        check_u64("walk", "repository", pr.repo_id, want[i].repo_id);
        check_u64("walk", "number", pr.number, want[i].number);
        pr.number++;
    }
    assert_false(sweep_next(&f.gate, &pr, &claim));
    assert_int_equal(claims_count(f.gate.claims), COUNT_OF(want));
    fixture_close(&f);
}

static void test_work_that_was_put_off_is_found_when_it_is_due(void **state)
{
    (void)state;
    struct fixture f;
    struct claim claim;
    fixture_open(&f, "");
    put_off_work(&f, 5, 7);
    set_due(&f, clock_now_ms() + 60000);
    expect_nothing(&f);
    set_due(&f, clock_now_ms());
    assert_true(find_first(&f, &claim));
    fixture_close(&f);
}

static void test_those_that_are_skipped_do_not_hide_the_next(void **state)
{
    (void)state;
    struct fixture f;
    struct claim claim;
    struct pr_key pr = {0};
    fixture_open(&f, "");
    put_off_work(&f, 5, 7);
    set_due(&f, clock_now_ms() + 60000);
    struct event claimed = event_of(5, 8);
    assert_true(put_event(&f, &claimed, true).claimed);
    put_off_work(&f, 5, 9);
    assert_true(sweep_next(&f.gate, &pr, &claim));
    check_u64("skipped", "number", pr.number, 9);
    fixture_close(&f);
}

static void test_claim_of_another_process_is_respected_until_it_dies(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct claim theirs = {.held = true, .token = {1}}, ours;
    fixture_configure(&f, "", "");
    pid_t child = start_process(&f, &theirs.owner);
    fixture_open_gate(&f);
    put_off_work(&f, 5, 7);
    set_claim(&f, &theirs);
    expect_nothing(&f);
    kill_process(child);
    assert_true(find_first(&f, &ours));
    assert_int_equal(metrics_get(f.gate.metrics, METRIC_CLAIMS_TAKEN_OVER), 1);
    struct record record = get_record(&f);
    assert_true(claim_equal(&record.claim, &ours));
    record_release(&record);
    fixture_close(&f);
}

static void test_claim_that_this_process_left_over_is_taken(void **state)
{
    (void)state;
    struct fixture f;
    struct claim again;
    fixture_open(&f, "");
    struct event event = event_of(5, 7);
    struct receipt receipt = put_event(&f, &event, true);
    expect_nothing(&f);
    claims_forget(f.gate.claims, &receipt.claim);
    assert_true(find_first(&f, &again));
    assert_false(claim_equal(&again, &receipt.claim));
    fixture_close(&f);
}

static enum err_code orphan_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct intent intent = {.kind = INTENT_ADD_LABEL};
    return table_put_intent(txn, arg, &intent, err);
}

static void test_entry_without_a_record_is_passed_over(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct claim claim;
    struct pr_key orphan = {.repo_id = 5, .number = 7}, pr = {0};
    fixture_open(&f, "");
    assert_int_equal(store_txn(f.gate.store, orphan_body, &orphan, &err), ERR_OK);
    expect_nothing(&f);
    put_off_work(&f, 5, 8);
    assert_true(sweep_next(&f.gate, &pr, &claim));
    check_u64("after the orphan", "number", pr.number, 8);
    fixture_close(&f);
}

static void test_process_that_stops_takes_nothing_on(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    put_off_work(&f, 5, 7);
    atomic_store(&f.gate.stopping, true);
    expect_nothing(&f);
    fixture_close(&f);
}

/* ---- all of them ------------------------------------------------------------------ */

static void test_run_works_off_all_that_are_due(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    put_off_work(&f, 5, 7);
    set_due(&f, clock_now_ms() + 60000);
    put_off_work(&f, 5, 8);
    put_intent_work(&f, 6, 1);
    assert_int_equal(sweep_run(&f.worker), 2);
    assert_int_equal(count_table(&f, TABLE_INBOX), 1);
    assert_int_equal(count_table(&f, TABLE_INTENT), 0);
    assert_int_equal(claims_count(f.gate.claims), 0);
    assert_int_equal(sweep_run(&f.worker), 0);
    fixture_close(&f);
}

/* The thread looks once before it first waits, so closing it at once is one look. */
static void look_once(struct fixture *f)
{
    struct err err = {0};
    struct crew *crew;
    struct sweep *sweep;
    assert_int_equal(crew_open(&crew, &f->gate, 2, 128, &err), ERR_OK);
    assert_int_equal(sweep_open(&sweep, &f->gate, crew, 3600, &err), ERR_OK);
    sweep_close(sweep);
    crew_close(crew);
}

static void test_thread_hands_out_what_it_finds(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    for (uint64_t i = 1; i <= 20; i++)
        put_off_work(&f, 5, i);
    look_once(&f);
    assert_int_equal(count_table(&f, TABLE_INBOX), 0);
    assert_int_equal(count_table(&f, TABLE_LEDGER), 20);
    assert_int_equal(claims_count(f.gate.claims), 0);
    fixture_close(&f);
}

static enum err_code put_off_many_body(struct store_txn *txn, void *arg, struct err *err)
{
    int64_t due_ms = clock_now_ms() + 3600000;
    enum err_code code = ERR_OK;
    (void)arg;
    for (uint64_t number = 1; number <= 1500 && code == ERR_OK; number++) {
        struct event event = event_of(5, number);
        struct record record = {.key = event.key, .repo = "octo/gone", .due_ms = number == 1500 ? 0 : due_ms};
        code = table_append_event(txn, &record, &event, err);
        if (code == ERR_OK)
            code = table_put_record(txn, &record, err);
    }
    return code;
}

/* Many that are not due are not all looked at in one go, and hide none behind them for long. */
static void test_thread_looks_at_a_part_and_goes_on_there(void **state)
{
    (void)state;
    skip_if_run_again();
    struct fixture f;
    struct err err = {0};
    struct crew *crew;
    struct sweep *sweep;
    fixture_open(&f, "");
    assert_int_equal(store_txn(f.gate.store, put_off_many_body, NULL, &err), ERR_OK);
    uint64_t before = store_get_stats(f.gate.store).transactions;
    look_once(&f);
    check_bool("one look", "is bounded", store_get_stats(f.gate.store).transactions - before < 3200, true);
    check_u64("one look", "ledger", count_table(&f, TABLE_LEDGER), 0);
    assert_int_equal(crew_open(&crew, &f.gate, 1, 128, &err), ERR_OK);
    assert_int_equal(sweep_open(&sweep, &f.gate, crew, 1, &err), ERR_OK);
    for (int i = 0; i < 300 && count_table(&f, TABLE_LEDGER) == 0; i++)
        usleep(50000);
    check_u64("next look", "ledger", count_table(&f, TABLE_LEDGER), 1);
    sweep_close(sweep);
    crew_close(crew);
    fixture_close(&f);
}

static void test_thread_waits_while_github_has_blocked_the_pool(void **state)
{
    (void)state;
    skip_if_run_again();
    struct fixture f;
    fixture_open(&f, "");
    put_off_work(&f, 5, 7);
    metrics_set(f.gate.metrics, METRIC_RATE_BLOCKED_MS, clock_now_ms() + 60000);
    struct store_stats before = store_get_stats(f.gate.store);
    look_once(&f);
    assert_int_equal(store_get_stats(f.gate.store).commits, before.commits); /* no claim is taken in vain */
    /* Nor is anything looked for but those whose turn has come. */
    assert_int_equal(store_get_stats(f.gate.store).transactions, before.transactions + 1);
    assert_int_equal(count_table(&f, TABLE_INBOX), 1);
    metrics_set(f.gate.metrics, METRIC_RATE_BLOCKED_MS, clock_now_ms() - 1);
    look_once(&f);
    assert_int_equal(count_table(&f, TABLE_INBOX), 0);
    fixture_close(&f);
}

static void test_thread_tells_the_pool_what_the_store_did(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    for (uint64_t i = 1; i <= 20; i++)
        put_off_work(&f, 5, i);
    uint64_t before = store_get_stats(f.gate.store).commits;
    assert_true(before >= 20);
    look_once(&f);
    /* The drain went on for a while after the sweeper's last word. */
    struct store_stats now = store_get_stats(f.gate.store);
    assert_in_range(metrics_get(f.gate.metrics, METRIC_COMMITS), before + 1, now.commits);
    assert_in_range(metrics_get(f.gate.metrics, METRIC_TXN_RETRIES), 0, now.retries);
    assert_int_equal(metrics_get(f.gate.metrics, METRIC_RECOVERIES), 0);
    fixture_close(&f);
}

static void test_thread_looks_again_after_its_interval(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct crew *crew;
    struct sweep *sweep;
    fixture_open(&f, "");
    assert_int_equal(crew_open(&crew, &f.gate, 1, 128, &err), ERR_OK);
    assert_int_equal(sweep_open(&sweep, &f.gate, crew, 1, &err), ERR_OK);
    for (int round = 0; round < 2; round++) { /* whichever it finds at once, the other is found later */
        put_off_work(&f, 5, (uint64_t)round + 1);
        for (int i = 0; i < 1000 && count_table(&f, TABLE_INBOX) > 0; i++)
            usleep(10000);
        assert_int_equal(count_table(&f, TABLE_INBOX), 0);
    }
    sweep_close(sweep);
    crew_close(crew);
    fixture_close(&f);
}

static void test_thread_tidies_up_after_the_dead(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct process_id id;
    fixture_configure(&f, "", "");
    pid_t child = start_process(&f, &id);
    fixture_open_gate(&f);
    kill_process(child);
    look_once(&f);
    assert_int_equal(alive_sweep(f.gate.alive), 0); /* it is done */
    fixture_close(&f);
}

/* ---- catching up ------------------------------------------------------------------ */

static int list_status, hooks_status;

/* A webhook at which one delivery failed, and a list with one pull request that nobody has told of. */
static enum err_code answer(const struct http_request *request, struct http_reply *reply, struct err *err)
{
    (void)err;
    char time[TEXT_TIME_SIZE];
    text_from_time(clock_now_ms() / 1000 - 60, time);
    reply->status = 200;
    if (strcmp(request->method, "POST") == 0) {
        reply->status = 202;
        buf_adds(&reply->body, "{}");
    } else if (strstr(request->url, "/deliveries") != NULL) {
        buf_addf(&reply->body,
                 "[{\"id\":1,\"guid\":\"g\",\"delivered_at\":\"%s\",\"status_code\":503,"
                 "\"event\":\"pull_request\",\"action\":\"opened\"}]",
                 time);
    } else if (strstr(request->url, "/hooks") != NULL) {
        reply->status = hooks_status;
        buf_adds(&reply->body, "[{\"id\":44,\"active\":true,\"events\":[\"*\"],\"config\":{\"url\":"
                               "\"https://p.example/webhook\"}}]");
    } else {
        reply->status = list_status;
        buf_addf(&reply->body,
                 "[{\"number\":7,\"state\":\"open\",\"title\":\"t\",\"draft\":false,\"updated_at\":\"%s\","
                 "\"user\":null,\"head\":{\"sha\":\"%s\",\"ref\":\"x\"},\"base\":{\"ref\":\"main\",\"repo\":"
                 "{\"id\":5,\"full_name\":\"octo/repo\"}},\"labels\":[]}]",
                 time, SHA_A);
    }
    return ERR_OK;
}

static void open_catching_up(struct fixture *f, const char *top_keys)
{
    *f = (struct fixture){0};
    list_status = hooks_status = 200;
    fixture_configure(f, top_keys, "");
    fixture_open_gate(f);
    fixture_open_worker(f);
    f->fake.answer = answer;
}

static void expect_catch_up(struct fixture *f, const char *row, unsigned told, int calls)
{
    f->fake.count = 0;
    check_int(row, "told", sweep_catch_up(&f->worker), told);
    check_int(row, "calls", f->fake.count, calls);
}

static void test_missed_deliveries_come_before_the_comparison(void **state)
{
    (void)state;
    struct fixture f;
    open_catching_up(&f, "redeliver_interval = 300\nreconcile_interval = 300");
    expect_catch_up(&f, "asked for", 0, 3); /* webhook, list, attempt; and now what was asked for comes */
    expect_catch_up(&f, "it is on its way", 0, 0);
    check_u64("it is on its way", "inbox", count_table(&f, TABLE_INBOX), 0);
    fixture_close(&f);
}

static void test_comparison_does_not_wait_for_what_nobody_may_ask_for(void **state)
{
    (void)state;
    struct fixture f;
    open_catching_up(&f, "redeliver_interval = 300\nreconcile_interval = 300");
    hooks_status = 404;
    expect_catch_up(&f, "not permitted", 1, 2);
    check_u64("not permitted", "inbox", count_table(&f, TABLE_INBOX), 1);
    expect_catch_up(&f, "not due", 0, 0);
    fixture_close(&f);
}

static void test_each_can_be_switched_off(void **state)
{
    (void)state;
    struct fixture f;
    open_catching_up(&f, "redeliver_interval = 0\nreconcile_interval = 300");
    expect_catch_up(&f, "comparison alone", 1, 1);
    fixture_close(&f);
    open_catching_up(&f, "redeliver_interval = 300\nreconcile_interval = 0");
    expect_catch_up(&f, "deliveries alone", 0, 3);
    fixture_close(&f);
    open_catching_up(&f, "redeliver_interval = 0\nreconcile_interval = 0");
    expect_catch_up(&f, "neither", 0, 0);
    fixture_close(&f);
}

static void test_dry_run_asks_for_nothing_and_compares(void **state)
{
    (void)state;
    struct fixture f;
    open_catching_up(&f, "dry_run = true\nredeliver_interval = 300\nreconcile_interval = 300");
    expect_catch_up(&f, "dry run", 1, 1);
    fixture_close(&f);
}

static void test_failed_comparison_comes_again_later(void **state)
{
    (void)state;
    struct fixture f;
    open_catching_up(&f, "redeliver_interval = 0\nreconcile_interval = 1");
    list_status = 502;
    expect_catch_up(&f, "fails", 0, 1);
    expect_catch_up(&f, "not at once", 0, 0);
    fixture_close(&f);
}

static void test_nothing_is_called_while_github_has_blocked_the_pool(void **state)
{
    (void)state;
    struct fixture f;
    open_catching_up(&f, "redeliver_interval = 300\nreconcile_interval = 300");
    metrics_set(f.gate.metrics, METRIC_RATE_BLOCKED_MS, clock_now_ms() + 60000);
    expect_catch_up(&f, "blocked", 0, 0);
    metrics_set(f.gate.metrics, METRIC_RATE_BLOCKED_MS, 0);
    atomic_store(&f.gate.stopping, true);
    expect_catch_up(&f, "stopping", 0, 0);
    atomic_store(&f.gate.stopping, false);
    expect_catch_up(&f, "free", 0, 3);
    fixture_close(&f);
}

/* Nothing listens where GitHub should be: the thread fails, and neither the hand-out nor the end waits for it. */
static void test_threads_end_while_github_is_away(void **state)
{
    (void)state;
    struct fixture f = {0};
    fixture_configure(&f, "redeliver_interval = 1\nreconcile_interval = 1", "");
    fixture_open_gate(&f);
    put_off_work(&f, 5, 1);
    look_once(&f);
    assert_int_equal(count_table(&f, TABLE_INBOX), 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_found_where_no_work_waits),
        cmocka_unit_test(test_what_is_found_is_claimed),
        cmocka_unit_test(test_pull_requests_come_in_the_order_of_their_keys),
        cmocka_unit_test(test_work_that_was_put_off_is_found_when_it_is_due),
        cmocka_unit_test(test_those_that_are_skipped_do_not_hide_the_next),
        cmocka_unit_test(test_claim_of_another_process_is_respected_until_it_dies),
        cmocka_unit_test(test_claim_that_this_process_left_over_is_taken),
        cmocka_unit_test(test_entry_without_a_record_is_passed_over),
        cmocka_unit_test(test_process_that_stops_takes_nothing_on),
        cmocka_unit_test(test_run_works_off_all_that_are_due),
        cmocka_unit_test(test_thread_hands_out_what_it_finds),
        cmocka_unit_test(test_thread_looks_at_a_part_and_goes_on_there),
        cmocka_unit_test(test_thread_waits_while_github_has_blocked_the_pool),
        cmocka_unit_test(test_thread_tells_the_pool_what_the_store_did),
        cmocka_unit_test(test_thread_looks_again_after_its_interval),
        cmocka_unit_test(test_thread_tidies_up_after_the_dead),
        cmocka_unit_test(test_missed_deliveries_come_before_the_comparison),
        cmocka_unit_test(test_comparison_does_not_wait_for_what_nobody_may_ask_for),
        cmocka_unit_test(test_each_can_be_switched_off),
        cmocka_unit_test(test_dry_run_asks_for_nothing_and_compares),
        cmocka_unit_test(test_failed_comparison_comes_again_later),
        cmocka_unit_test(test_nothing_is_called_while_github_has_blocked_the_pool),
        cmocka_unit_test(test_threads_end_while_github_is_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
