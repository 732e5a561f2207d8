/*
 * One pull request's queues, worked off against a GitHub that is a function.
 */
#include "check.h"

#include "fixture.h"
#include "prgate/drain.h"
#include "prgate/sweep.h"

/* ---- GitHub ------------------------------------------------------------------ */

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

static const char pull_json[] =
    "{\"number\":7,\"state\":\"open\",\"draft\":false,\"title\":\"t\",\"updated_at\":\"2023-11-14T22:13:"
    "20Z\","
    "\"mergeable\":true,\"labels\":[],\"user\":{\"id\":2,\"login\":\"ann\",\"type\":\"User\"},"
    "\"head\":{\"sha\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"ref\":\"topic\"},\"base\":{\"ref\":"
    "\"main\"}}";

/* All is well. */
static enum err_code good(const struct http_request *request, struct http_reply *reply, struct err *err)
{
    (void)err;
    if (is(request, "GET", "/pulls/7"))
        return say(reply, 200, pull_json);
    if (is(request, "GET", "/labels"))
        return say(reply, 200, "[]");
    if (is(request, "POST", "/labels"))
        return say(reply, 200, "[{\"id\":9,\"name\":\"CICD\"}]");
    if (is(request, "GET", "/statuses"))
        return say(reply, 200, "[]");
    if (is(request, "POST", "/statuses/"))
        return say(reply, 201, "{}");
    if (is(request, "POST", "/dispatches"))
        return say(reply, 204, "");
    if (is(request, "GET", "/actions/runs"))
        return say(reply, 200, "{\"total_count\":0,\"workflow_runs\":[]}");
    if (is(request, "GET", "/user"))
        return say(reply, 200, "{\"id\":99,\"login\":\"gatekeeper\",\"type\":\"User\"}");
    return say(reply, 404, "{\"message\":\"Not Found\"}");
}

static enum err_code down(const struct http_request *request, struct http_reply *reply, struct err *err)
{
    (void)request, (void)reply;
    return err_set(err, ERR_RETRY, 0, "connection refused");
}

static enum err_code dispatch_lost(const struct http_request *request, struct http_reply *reply,
                                   struct err *err)
{
    if (is(request, "POST", "/dispatches"))
        return err_set(err, ERR_UNKNOWN, 0, "connection lost");
    return good(request, reply, err);
}

static enum err_code dispatch_refused(const struct http_request *request, struct http_reply *reply,
                                      struct err *err)
{
    if (is(request, "POST", "/dispatches"))
        return say(reply, 422, "{\"message\":\"No such event\"}");
    return good(request, reply, err);
}

static enum err_code dispatch_busy(const struct http_request *request, struct http_reply *reply,
                                   struct err *err)
{
    if (!is(request, "POST", "/dispatches"))
        return good(request, reply, err);
    reply->retry_after_s = 120;
    return say(reply, 429, "{\"message\":\"slow down\"}");
}

static enum err_code dispatch_kills(const struct http_request *request, struct http_reply *reply,
                                    struct err *err)
{
    if (is(request, "POST", "/dispatches"))
        kill(getpid(), SIGKILL);
    return good(request, reply, err);
}

static int count_calls(const struct fixture *f, const char *part)
{
    int count = 0;
    for (int i = 0; i < f->fake.count; i++)
        count += strstr(f->fake.calls[i], part) != NULL;
    return count;
}

/* ---- helpers ------------------------------------------------------------------ */

static void open_with(struct fixture *f, const char *repo_keys, const struct github_fake *fake)
{
    fixture_open(f, repo_keys);
    f->fake.answer = fake->answer;
}

static void deliver(struct fixture *f, enum event_action action, const char *delivery)
{
    struct event event = make_event(action, delivery);
    event.pr.closed = action == EVENT_CLOSED;
    if (action == EVENT_CLOSED)
        event.pr.updated_at++;
    struct receipt receipt = put_event(f, &event, true);
    if (receipt.claimed)
        drain_run(&f->worker, &event.key, &receipt.claim);
}

/* As if the time until it is due had passed. */
static void run_again(struct fixture *f)
{
    struct record record = get_record(f);
    record.due_ms = 0;
    put_record(f, &record);
    record_release(&record);
    sweep_run(&f->worker);
}

static enum ci_state ci_of_head(struct fixture *f)
{
    struct record record = get_record(f);
    struct sha sha;
    sha_parse(&sha, SHA_A);
    const struct head *head = record_find_head(&record, &sha);
    enum ci_state ci = head == NULL ? CI_NONE : head->ci;
    record_release(&record);
    return ci;
}

static void expect_idle(struct fixture *f)
{
    struct record record = get_record(f);
    assert_int_equal(count_table(f, TABLE_INBOX), 0);
    assert_int_equal(count_table(f, TABLE_INTENT), 0);
    assert_false(record.claim.held);
    assert_int_equal(claims_count(f->gate.claims), 0);
    record_release(&record);
}

/* ---- tests ---------------------------------------------------------------------- */

static void test_opened_by_a_trusted_author_is_done_in_order(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = good});
    deliver(&f, EVENT_OPENED, "d1");
    expect_idle(&f);
    const char *want[] = {"GET /repos/octo/repo/pulls/7",         "POST /repos/octo/repo/dispatches",
                          "GET /repos/octo/repo/issues/7/labels", "POST /repos/octo/repo/issues/7/labels",
                          "GET /repos/octo/repo/commits/",        "POST /repos/octo/repo/statuses/"};
    assert_int_equal(f.fake.count, COUNT_OF(want));
    for (size_t i = 0; i < COUNT_OF(want); i++)
        check_contains("call", want[i], f.fake.calls[i], want[i]);
    assert_int_equal(ci_of_head(&f), CI_STARTED);
    assert_int_equal(count_table(&f, TABLE_LEDGER), 4);
    fixture_close(&f);
}

static void test_failing_github_puts_off_longer_each_time_and_loses_nothing(void **state)
{
    (void)state;
    struct fixture f;
    int64_t waits[4];
    open_with(&f, "", &(struct github_fake){.answer = down});
    deliver(&f, EVENT_OPENED, "d1");
    for (size_t i = 0; i < COUNT_OF(waits); i++) {
        struct record record = get_record(&f);
        assert_int_equal(record.failures, i + 1);
        assert_false(record.claim.held);
        waits[i] = record.due_ms - clock_now_ms();
        record_release(&record);
        run_again(&f);
    }
    assert_true(waits[0] > 500 && waits[0] < 1500);
    assert_true(waits[3] > 2 * waits[0]);
    assert_int_equal(count_table(&f, TABLE_INBOX), 1);
    f.fake.answer = good;
    run_again(&f);
    expect_idle(&f);
    assert_int_equal(ci_of_head(&f), CI_STARTED);
    fixture_close(&f);
}

static void test_retry_after_is_heeded_by_the_whole_pool(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = dispatch_busy});
    int64_t before = clock_now_ms();
    deliver(&f, EVENT_OPENED, "d1");
    struct record record = get_record(&f);
    assert_true(record.due_ms >= before + 119000);
    assert_true(metrics_get(f.gate.metrics, METRIC_RATE_BLOCKED_MS) >= before + 119000);
    assert_int_equal(ci_of_head(&f), CI_DECIDED); /* it is as if it had not been sent */
    record_release(&record);
    fixture_close(&f);
}

static void test_closed_overtakes_what_waits_for_github(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = dispatch_busy});
    deliver(&f, EVENT_OPENED, "d1");
    assert_int_equal(count_table(&f, TABLE_INTENT), 3);
    deliver(&f, EVENT_CLOSED, "d2");
    expect_idle(&f);
    assert_int_equal(ci_of_head(&f), CI_NONE);
    fixture_close(&f);
}

static void test_refused_trigger_goes_to_the_dead_letters_and_the_check_says_so(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = dispatch_refused});
    deliver(&f, EVENT_OPENED, "d1");
    expect_idle(&f);
    assert_int_equal(ci_of_head(&f), CI_REFUSED);
    assert_int_equal(count_table(&f, TABLE_DEAD), 1);
    struct record record = get_record(&f);
    assert_int_equal(record.heads[0].check_reason, WAIT_TRIGGER_FAILED);
    record_release(&record);
    fixture_close(&f);
}

static void test_lost_trigger_is_left_where_at_most_once_is_asked_for(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = dispatch_lost});
    deliver(&f, EVENT_OPENED, "d1");
    assert_int_equal(ci_of_head(&f), CI_SENT);
    f.fake.answer = good;
    run_again(&f);
    expect_idle(&f);
    assert_int_equal(ci_of_head(&f), CI_UNKNOWN);
    assert_int_equal(count_calls(&f, "/dispatches"), 1);
    fixture_close(&f);
}

static void test_lost_trigger_is_repeated_where_at_least_once_is_asked_for(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "trigger_guarantee = \"at_least_once\"", &(struct github_fake){.answer = dispatch_lost});
    deliver(&f, EVENT_OPENED, "d1");
    f.fake.answer = good;
    run_again(&f);
    expect_idle(&f);
    assert_int_equal(ci_of_head(&f), CI_STARTED);
    assert_int_equal(count_calls(&f, "/dispatches"), 2);
    fixture_close(&f);
}

static void test_lost_trigger_is_asked_for_where_it_can_be(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "trigger_can_be_asked = true", &(struct github_fake){.answer = dispatch_lost});
    deliver(&f, EVENT_OPENED, "d1");
    f.fake.answer = good;
    run_again(&f);
    assert_int_equal(count_calls(&f, "/actions/runs"), 1);
    assert_int_equal(count_calls(&f, "/dispatches"), 1); /* a run may appear yet */
    assert_int_equal(ci_of_head(&f), CI_SENT);
    fixture_close(&f);
}

static void die_while_sending(struct fixture *f)
{
    f->fake.answer = dispatch_kills;
    deliver(f, EVENT_OPENED, "d1");
}

/* Whoever takes over never sends it a second time. */
static void test_process_killed_while_sending_leaves_a_trigger_that_is_not_repeated(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open_after_kill(&f, die_while_sending);
    f.fake.answer = good;
    assert_int_equal(ci_of_head(&f), CI_SENT);
    assert_int_equal(sweep_run(&f.worker), 1);
    expect_idle(&f);
    assert_int_equal(ci_of_head(&f), CI_UNKNOWN);
    assert_int_equal(count_calls(&f, "/dispatches"), 0);
    fixture_close(&f);
}

static void test_lost_claim_stops_the_work(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = good});
    struct event event = make_event(EVENT_OPENED, "d1");
    struct receipt receipt = put_event(&f, &event, true);
    struct record record = get_record(&f);
    record.claim = claims_new(f.gate.claims);
    put_record(&f, &record);
    drain_run(&f.worker, &event.key, &receipt.claim);
    assert_int_equal(f.fake.count, 0);
    assert_int_equal(count_table(&f, TABLE_INBOX), 1);
    record_release(&record);
    fixture_close(&f);
}

static enum err_code damage_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    static const unsigned char key[24] = {[7] = 5, [15] = 7};
    return store_put(txn, TABLE_INBOX, (struct bytes){key, sizeof key}, (struct bytes){"junk", 4}, err);
}

static void test_entry_that_cannot_be_decoded_is_set_aside_and_the_rest_goes_on(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    open_with(&f, "", &(struct github_fake){.answer = good});
    struct event first = make_event(EVENT_OPENED, "d1");
    put_event(&f, &first, false);
    assert_int_equal(store_txn(f.gate.store, damage_body, NULL, &err), ERR_OK);
    deliver(&f, EVENT_REOPENED, "d2");
    expect_idle(&f);
    assert_int_equal(count_table(&f, TABLE_QUARANTINE), 1);
    assert_int_equal(ci_of_head(&f), CI_STARTED);
    fixture_close(&f);
}

static void test_sweeper_leaves_alone_what_is_claimed_or_not_due(void **state)
{
    (void)state;
    struct fixture f;
    struct pr_key pr = {0};
    struct claim claim;
    open_with(&f, "", &(struct github_fake){.answer = good});
    struct event event = make_event(EVENT_OPENED, "d1");
    struct receipt receipt = put_event(&f, &event, true);
    assert_false(sweep_next(&f.gate, &pr, &claim));
    claims_forget(f.gate.claims, &receipt.claim);
    struct record record = get_record(&f);
    record.due_ms = clock_now_ms() + 60000;
    put_record(&f, &record);
    pr = (struct pr_key){0};
    assert_false(sweep_next(&f.gate, &pr, &claim));
    record.due_ms = 0;
    put_record(&f, &record);
    pr = (struct pr_key){0};
    assert_true(sweep_next(&f.gate, &pr, &claim));
    assert_int_equal(pr.repo_id, 5);
    assert_int_equal(pr.number, 7);
    record_release(&record);
    fixture_close(&f);
}

static void test_threads_work_off_what_is_submitted(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct err err = {0};
    struct drain *drain;
    fixture_configure(&f, "dry_run = true", "");
    fixture_open_gate(&f);
    assert_int_equal(drain_open(&drain, &f.gate, 3, &err), ERR_OK);
    assert_true(drain_has_room(drain));
    for (int i = 0; i < 20; i++) {
        char delivery[16];
        snprintf(delivery, sizeof delivery, "d%d", i);
        struct event event = make_event(EVENT_CLOSED, delivery);
        event.key.number = (uint64_t)(i % 5 + 1);
        event.pr.updated_at += i; /* newer each time: nothing to ask GitHub */
        event.pr.closed = true;
        struct receipt receipt = put_event(&f, &event, true);
        if (receipt.claimed)
            drain_submit(drain, &event.key, &receipt.claim);
    }
    for (int i = 0; i < 500 && count_table(&f, TABLE_INBOX) > 0; i++)
        usleep(10000);
    drain_close(drain);
    assert_int_equal(count_table(&f, TABLE_INBOX), 0);
    assert_int_equal(count_table(&f, TABLE_LEDGER), 20);
    assert_int_equal(claims_count(f.gate.claims), 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opened_by_a_trusted_author_is_done_in_order),
        cmocka_unit_test(test_failing_github_puts_off_longer_each_time_and_loses_nothing),
        cmocka_unit_test(test_retry_after_is_heeded_by_the_whole_pool),
        cmocka_unit_test(test_closed_overtakes_what_waits_for_github),
        cmocka_unit_test(test_refused_trigger_goes_to_the_dead_letters_and_the_check_says_so),
        cmocka_unit_test(test_lost_trigger_is_left_where_at_most_once_is_asked_for),
        cmocka_unit_test(test_lost_trigger_is_repeated_where_at_least_once_is_asked_for),
        cmocka_unit_test(test_lost_trigger_is_asked_for_where_it_can_be),
        cmocka_unit_test(test_process_killed_while_sending_leaves_a_trigger_that_is_not_repeated),
        cmocka_unit_test(test_lost_claim_stops_the_work),
        cmocka_unit_test(test_entry_that_cannot_be_decoded_is_set_aside_and_the_rest_goes_on),
        cmocka_unit_test(test_sweeper_leaves_alone_what_is_claimed_or_not_due),
        cmocka_unit_test(test_threads_work_off_what_is_submitted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
