/*
 * One pull request's queues, worked off against a GitHub that is a function.
 */
#include "check.h"

#include <sys/syscall.h>

#include "fixture.h"
#include "prgate/codec.h"
#include "prgate/drain.h"
#include "prgate/key.h"
#include "prgate/sweep.h"
#include "prgate/text.h"
#include "run_again.h"

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

static enum err_code lose(struct err *err)
{
    return err_set(err, ERR_UNKNOWN, 0, "connection lost");
}

static enum err_code dispatch_lost(const struct http_request *request, struct http_reply *reply,
                                   struct err *err)
{
    return is(request, "POST", "/dispatches") ? lose(err) : good(request, reply, err);
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

/* ---- the disk ---------------------------------------------------------------- */

static struct github_fake *watched; /* among its calls stand the syncs of the log, too */

/* Berkeley DB's: this program's own function comes before the C library's. */
int fdatasync(int fd)
{
    if (watched != NULL && watched->count < CALLS_MAX)
        snprintf(watched->calls[watched->count++], sizeof watched->calls[0], "sync");
    return (int)syscall(SYS_fdatasync, fd);
}

static void expect_calls(const struct github_fake *fake, const char *const *want, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_contains("call", want[i], fake->calls[i], want[i]);
    assert_int_equal(fake->count, count);
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

static enum err_code first_intent_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct pr_key pr = {.repo_id = 5, .number = 7};
    uint64_t seq = 0;
    return table_next_intent(txn, &pr, &seq, arg, err);
}

static struct intent first_intent(struct fixture *f)
{
    struct err err = {0};
    struct intent intent = {0};
    if (store_txn(f->gate.store, first_intent_body, &intent, &err) != ERR_OK)
        fail_msg("intent: %s", err.text);
    return intent;
}

static enum err_code put_intent_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct pr_key pr = {.repo_id = 5, .number = 7};
    return table_put_intent(txn, &pr, arg, err);
}

static void put_intent(struct fixture *f, struct intent *intent)
{
    struct err err = {0};
    assert_int_equal(store_txn(f->gate.store, put_intent_body, intent, &err), ERR_OK);
}

/* The call's time is over, as if it had passed. */
static void let_the_call_end(struct fixture *f)
{
    struct intent first = first_intent(f);
    first.sent_ms -= 10000;
    put_intent(f, &first);
}

/* ---- tests ---------------------------------------------------------------------- */

static void test_opened_by_a_trusted_author_is_done_in_order(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = good});
    deliver(&f, EVENT_OPENED, "d1");
    expect_idle(&f);
    const char *want[] = {"GET /repos/octo/repo/pulls/7", "POST /repos/octo/repo/dispatches",
                          "POST /repos/octo/repo/issues/7/labels", "POST /repos/octo/repo/statuses/"};
    expect_calls(&f.fake, want, COUNT_OF(want));
    assert_int_equal(ci_of_head(&f), CI_STARTED);
    assert_int_equal(count_table(&f, TABLE_LEDGER), 4);
    fixture_close(&f);
}

/* The delivery, the decision with its mark, and what came of the trigger are on disk before what comes next. The rest can be lost. */
static void test_only_what_must_not_be_lost_waits_for_the_disk(void **state)
{
    (void)state;
    skip_if_run_again();
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = good});
    watched = &f.fake;
    deliver(&f, EVENT_OPENED, "d1");
    const char *opened[] = {"sync",
                            "GET /repos",
                            "sync",
                            "POST /repos/octo/repo/dispatches",
                            "sync",
                            "POST /repos/octo/repo/issues/7/labels",
                            "POST /repos/octo/repo/statuses/"};
    expect_calls(&f.fake, opened, COUNT_OF(opened));
    f.fake.count = 0;
    deliver(&f, EVENT_OPENED, "d2"); /* leads to nothing */
    const char *nothing[] = {"sync", "GET /repos"};
    expect_calls(&f.fake, nothing, COUNT_OF(nothing));
    watched = NULL;
    expect_idle(&f);
    fixture_close(&f);
}

/* Done again, it would start CI again, should somebody have taken it off meanwhile. */
static void test_label_that_starts_ci_waits_for_the_disk(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "trigger = \"none\"", &(struct github_fake){.answer = good});
    watched = &f.fake;
    deliver(&f, EVENT_OPENED, "d1");
    watched = NULL;
    for (int i = 0; i + 1 < f.fake.count; i++)
        if (strstr(f.fake.calls[i], "/labels") != NULL)
            assert_string_equal(f.fake.calls[i + 1], "sync");
    assert_int_equal(count_calls(&f, "POST /repos/octo/repo/issues/7/labels"), 1);
    expect_idle(&f);
    fixture_close(&f);
}

static void check_counted(const char *row, const struct fixture *f, const char *sample)
{
    struct buf text;
    char line[160];
    buf_init(&text);
    metrics_print(f->gate.metrics, NULL, &text);
    snprintf(line, sizeof line, "\n%s\n", sample);
    check_contains(row, "metrics", buf_text(&text), line);
    buf_release(&text);
}

static void test_what_was_done_and_how_long_it_took_is_counted(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = good});
    struct event event = make_event(EVENT_OPENED, "d1");
    event.received_ms -= 45000; /* it waited for whoever worked before */
    struct receipt receipt = put_event(&f, &event, true);
    drain_run(&f.worker, &event.key, &receipt.claim);
    expect_idle(&f);
    check_counted("done", &f, "prgate_intents_total{kind=\"trigger\",outcome=\"done\"} 1");
    check_counted("done", &f, "prgate_intents_total{kind=\"add_label\",outcome=\"done\"} 1");
    check_counted("done", &f, "prgate_triggers_total{outcome=\"started\"} 1");
    check_counted("decided", &f, "prgate_decision_seconds_count 1");
    /* From the webhook on, not from the decision. */
    check_counted("sent", &f, "prgate_webhook_to_trigger_seconds_bucket{le=\"30\"} 0");
    check_counted("sent", &f, "prgate_webhook_to_trigger_seconds_count 1");
    fixture_close(&f);
    open_with(&f, "", &(struct github_fake){.answer = down});
    deliver(&f, EVENT_OPENED, "d1");
    check_counted("down", &f, "prgate_decision_seconds_count 0");
    f.fake.answer = dispatch_refused;
    run_again(&f);
    check_counted("refused", &f, "prgate_intents_total{kind=\"trigger\",outcome=\"dead\"} 1");
    check_counted("refused", &f, "prgate_webhook_to_trigger_seconds_count 0");
    fixture_close(&f);
    open_with(&f, "", &(struct github_fake){.answer = dispatch_lost});
    deliver(&f, EVENT_OPENED, "d1");
    run_again(&f);
    check_counted("lost", &f, "prgate_intents_total{kind=\"trigger\",outcome=\"retried\"} 1");
    check_counted("lost", &f, "prgate_intents_total{kind=\"trigger\",outcome=\"unknown\"} 1");
    fixture_close(&f);
    open_with(&f, "trigger = \"none\"", &(struct github_fake){.answer = good});
    deliver(&f, EVENT_OPENED, "d1");
    check_counted("none", &f, "prgate_webhook_to_trigger_seconds_count 0");
    fixture_close(&f);
}

static enum err_code status_lost(const struct http_request *request, struct http_reply *reply,
                                 struct err *err)
{
    return is(request, "POST", "/statuses/") ? lose(err) : good(request, reply, err);
}

/* An attempt whose outcome is not known, or another process's, is looked for before it is made again. */
static void test_a_check_that_may_be_there_is_looked_for(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = status_lost});
    deliver(&f, EVENT_OPENED, "d1");
    check_int("first", "looks", count_calls(&f, "GET /repos/octo/repo/commits/"), 0);
    run_again(&f);
    check_int("again", "looks", count_calls(&f, "GET /repos/octo/repo/commits/"), 1);
    f.fake.answer = good;
    run_again(&f);
    expect_idle(&f);
    check_int("in the end", "looks", count_calls(&f, "GET /repos/octo/repo/commits/"), 2);
    fixture_close(&f);
}

static enum err_code status_kills(const struct http_request *request, struct http_reply *reply,
                                  struct err *err)
{
    if (is(request, "POST", "/statuses/"))
        kill(getpid(), SIGKILL);
    return good(request, reply, err);
}

static void open_and_die_writing(struct fixture *f)
{
    f->fake.answer = status_kills;
    deliver(f, EVENT_OPENED, "d1");
}

static void test_a_check_that_a_dead_process_may_have_written_is_looked_for(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open_after_kill(&f, open_and_die_writing);
    f.fake.answer = good;
    run_again(&f);
    expect_idle(&f);
    check_int("after the crash", "looks", count_calls(&f, "GET /repos/octo/repo/commits/"), 1);
    check_int("after the crash", "writes", count_calls(&f, "POST /repos/octo/repo/statuses/"), 1);
    fixture_close(&f);
}

/* Twice as long each time, give or take a quarter. */
static void test_failing_github_puts_off_longer_each_time_and_loses_nothing(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = down});
    for (int i = 0; i < 5; i++) {
        int64_t before = clock_now_ms();
        if (i == 0)
            deliver(&f, EVENT_OPENED, "d1");
        else
            run_again(&f);
        int64_t after = clock_now_ms();
        struct record record = get_record(&f);
        assert_int_equal(record.failures, i + 1);
        assert_false(record.claim.held);
        assert_true(record.due_ms >= before + (750 << i));
        assert_true(record.due_ms <= after + (1250 << i));
        record_release(&record);
    }
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

/* Not with one of its own, which each delivery would wait for. */
static void test_claim_is_given_up_with_the_last_thing_that_is_done(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = good});
    deliver(&f, EVENT_OPENED, "d1");
    struct event event = make_event(EVENT_EDITED, "d2");
    struct receipt receipt = put_event(&f, &event, true);
    assert_true(receipt.claimed);
    uint64_t before = store_get_stats(f.gate.store).commits;
    drain_run(&f.worker, &event.key, &receipt.claim);
    check_u64("a delivery that changes nothing", "commits", store_get_stats(f.gate.store).commits - before,
              1);
    expect_idle(&f);
    fixture_close(&f);
}

/* The first is looked for, and each decision finds the next one. */
static void test_deliveries_that_wait_take_a_transaction_each(void **state)
{
    (void)state;
    skip_if_run_again();
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = good});
    deliver(&f, EVENT_OPENED, "d1");
    struct event second = make_event(EVENT_EDITED, "d2"), third = make_event(EVENT_EDITED, "d3"),
                 fourth = make_event(EVENT_EDITED, "d4");
    struct receipt receipt = put_event(&f, &second, true);
    put_event(&f, &third, true);
    put_event(&f, &fourth, true);
    uint64_t before = store_get_stats(f.gate.store).transactions;
    drain_run(&f.worker, &second.key, &receipt.claim);
    check_u64("three that change nothing", "transactions",
              store_get_stats(f.gate.store).transactions - before, 1 + 3);
    expect_idle(&f);
    assert_int_equal(count_table(&f, TABLE_INBOX), 0);
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

/* `arg`: the number in the pull request's queue. */
static enum err_code damage_body(struct store_txn *txn, void *arg, struct err *err)
{
    unsigned char key[24] = {[7] = 5, [15] = 7, [23] = *(const unsigned char *)arg};
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
    assert_int_equal(store_txn(f.gate.store, damage_body, &(unsigned char){0}, &err), ERR_OK);
    deliver(&f, EVENT_OPENED, "d2");
    expect_idle(&f);
    assert_int_equal(count_table(&f, TABLE_QUARANTINE), 1);
    assert_int_equal(ci_of_head(&f), CI_STARTED);
    fixture_close(&f);
}

/* The transaction that decides the one before it comes upon it. */
static void test_entry_between_others_that_cannot_be_decoded_is_set_aside(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    open_with(&f, "", &(struct github_fake){.answer = good});
    struct event first = make_event(EVENT_EDITED, "d1"), second = make_event(EVENT_EDITED, "d2"),
                 third = make_event(EVENT_OPENED, "d3");
    struct receipt receipt = put_event(&f, &first, true);
    put_event(&f, &second, true);
    put_event(&f, &third, true);
    assert_int_equal(count_table(&f, TABLE_INBOX), 3);
    struct record record = get_record(&f);
    unsigned char between = (unsigned char)(record.next_delivery - 2);
    record_release(&record);
    assert_int_equal(store_txn(f.gate.store, damage_body, &between, &err), ERR_OK);
    assert_int_equal(count_table(&f, TABLE_INBOX), 3);
    drain_run(&f.worker, &first.key, &receipt.claim);
    expect_idle(&f);
    assert_int_equal(count_table(&f, TABLE_QUARANTINE), 1);
    assert_int_equal(ci_of_head(&f), CI_STARTED);
    check_counted("those that can be read", &f, "prgate_decisions_total{outcome=\"decided\"} 2");
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

/* ---- what a dead process may have sent a moment ago ---- */

static bool comment_shows; /* GitHub has come to it */

static enum err_code conflicting(const struct http_request *request, struct http_reply *reply,
                                 struct err *err)
{
    if (is(request, "GET", "/pulls/7")) {
        const char *mergeable = strstr(pull_json, "true,\"labels\"");
        buf_addf(&reply->body, "%.*sfalse%s", (int)(mergeable - pull_json), pull_json, mergeable + 4);
        return say(reply, 200, "");
    }
    if (is(request, "POST", "/comments"))
        return say(reply, 201, "{}");
    if (is(request, "GET", "/comments") && comment_shows)
        return say(reply, 200,
                   "[{\"body\":\"<!-- prgate:conflict -->\",\"user\":{\"login\":\"gatekeeper\"}}]");
    if (is(request, "GET", "/comments"))
        return say(reply, 200, "[]");
    return good(request, reply, err);
}

static enum err_code comment_kills(const struct http_request *request, struct http_reply *reply,
                                   struct err *err)
{
    if (is(request, "POST", "/comments"))
        kill(getpid(), SIGKILL);
    return conflicting(request, reply, err);
}

static void die_commenting(struct fixture *f)
{
    f->fake.answer = comment_kills;
    deliver(f, EVENT_OPENED, "d1");
}

static bool has_marked_intent(struct fixture *f)
{
    return count_table(f, TABLE_INTENT) > 0 && first_intent(f).sent_ms != 0;
}

static bool stop_once_marked(void *arg)
{
    struct fixture *f = arg;
    if (has_marked_intent(f))
        atomic_store(&f->gate.stopping, true);
    return true;
}

/* It looks as if it had been sent, to whoever comes next, until this run takes that back. */
static void test_mark_of_a_hidden_commit_is_taken_back_where_nothing_is_sent(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = good});
    after_hidden_commit = stop_once_marked;
    after_hidden_commit_arg = &f;
    deliver(&f, EVENT_OPENED, "d1");
    after_hidden_commit = NULL;
    assert_true(atomic_load(&f.gate.stopping));
    check_int("stopped", "sent", count_calls(&f, "/dispatches"), 0);
    check_bool("stopped", "marked", has_marked_intent(&f), false);
    check_int("stopped", "ci", ci_of_head(&f), CI_DECIDED);
    atomic_store(&f.gate.stopping, false);
    sweep_run(&f.worker);
    expect_idle(&f);
    check_int("goes on", "sent", count_calls(&f, "/dispatches"), 1);
    check_int("goes on", "ci", ci_of_head(&f), CI_STARTED);
    fixture_close(&f);
}

static bool close_once_marked(void *arg)
{
    struct fixture *f = arg;
    if (!has_marked_intent(f))
        return true;
    struct event event = make_event(EVENT_CLOSED, "d2");
    event.pr.closed = true;
    event.pr.updated_at++;
    put_event(f, &event, false);
    metrics_set(f->gate.metrics, METRIC_RATE_BLOCKED_MS, clock_now_ms() + 60000);
    return false;
}

static void test_closing_voids_what_a_hidden_commit_marked(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = good});
    after_hidden_commit = close_once_marked;
    after_hidden_commit_arg = &f;
    deliver(&f, EVENT_OPENED, "d1");
    assert_null(after_hidden_commit);
    check_int("closed", "sent", count_calls(&f, "/dispatches"), 0);
    check_int("closed", "ci", ci_of_head(&f), CI_NONE);
    check_u64("closed", "intents", count_table(&f, TABLE_INTENT), 0);
    fixture_close(&f);
}

static void end_the_wait(struct fixture *f, const char *name, bool shows, int posts)
{
    comment_shows = shows;
    let_the_call_end(f);
    run_again(f);
    expect_idle(f);
    check_int(name, "comments", count_calls(f, "POST /repos/octo/repo/issues/7/"), posts);
}

/* What GitHub still handles shows only later: nobody does it a second time before that. */
static void test_what_a_dead_process_may_have_sent_is_waited_for(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool shows, one_stops; /* another process takes it over first, and is told to end */
        int posts;
    } rows[] = {
        {"it comes", true, false, 0},
        {"it was never sent", false, false, 1},
        {"it comes, after one that ends", true, true, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        comment_shows = false;
        fixture_open_after_kill(&f, die_commenting);
        f.fake.answer = conflicting;
        if (rows[i].one_stops) {
            struct event event = make_event(EVENT_EDITED, "d2");
            struct receipt receipt = put_event(&f, &event, true);
            assert_true(receipt.claimed);
            atomic_store(&f.gate.stopping, true);
            drain_run(&f.worker, &event.key, &receipt.claim);
            atomic_store(&f.gate.stopping, false);
            check_int(rows[i].name, "calls while it ends", f.fake.count, 0);
        }
        sweep_run(&f.worker);
        check_int(rows[i].name, "looks at first", count_calls(&f, "GET /repos/octo/repo/issues/7/comments"),
                  1);
        check_int(rows[i].name, "comments at first", count_calls(&f, "POST /repos/octo/repo/issues/7/"), 0);
        struct record record = get_record(&f);
        check_bool(rows[i].name, "put off", record.due_ms > clock_now_ms(), true);
        check_int(rows[i].name, "failures", record.failures, 0);
        record_release(&record);
        check_int(rows[i].name, "attempts", first_intent(&f).attempts, 0);
        end_the_wait(&f, rows[i].name, rows[i].shows, rows[i].posts);
        fixture_close(&f);
    }
}

static enum err_code comment_lost(const struct http_request *request, struct http_reply *reply,
                                  struct err *err)
{
    return is(request, "POST", "/comments") ? lose(err) : conflicting(request, reply, err);
}

/* No more than what a dead process sent. */
static void test_what_was_sent_without_a_reply_is_waited_for(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool shows;
        int posts;
    } rows[] = {{"it comes", true, 1}, {"it did not arrive", false, 2}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        comment_shows = false;
        open_with(&f, "", &(struct github_fake){.answer = comment_lost});
        deliver(&f, EVENT_OPENED, "d1");
        check_int(rows[i].name, "attempts", first_intent(&f).attempts, 1);
        f.fake.answer = conflicting;
        run_again(&f);
        check_int(rows[i].name, "looks a moment later",
                  count_calls(&f, "GET /repos/octo/repo/issues/7/comments"), 2);
        check_int(rows[i].name, "comments a moment later", count_calls(&f, "POST /repos/octo/repo/issues/7/"),
                  1);
        check_int(rows[i].name, "attempts a moment later", first_intent(&f).attempts, 1);
        end_the_wait(&f, rows[i].name, rows[i].shows, rows[i].posts);
        fixture_close(&f);
    }
}

static enum err_code comments_down(const struct http_request *request, struct http_reply *reply,
                                   struct err *err)
{
    return is(request, "GET", "/comments") ? down(request, reply, err) : conflicting(request, reply, err);
}

/* Who gave the claim up has nothing under way. */
static void test_what_was_given_up_with_the_claim_is_not_waited_for(void **state)
{
    (void)state;
    struct fixture f;
    comment_shows = false;
    open_with(&f, "", &(struct github_fake){.answer = comments_down});
    deliver(&f, EVENT_OPENED, "d1");
    f.fake.answer = conflicting;
    run_again(&f);
    expect_idle(&f);
    check_int("given up", "comments", count_calls(&f, "POST /repos/octo/repo/issues/7/"), 1);
    fixture_close(&f);
}

struct all_text {
    enum store_table table;
    struct buf text; /* one entry a line, with blanks for the zeros of what is no text */
};

static enum err_code all_text_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct all_text *all = arg;
    struct pr_key pr = {.repo_id = 5, .number = 7};
    uint64_t seq = 0;
    struct buf line;
    enum err_code code;
    buf_init(&line);
    buf_clear(&all->text);
    for (; (code = table_next_text(txn, all->table, &pr, &seq, &line, err)) == ERR_OK; seq++)
        for (size_t i = 0; i <= line.len; i++)
            buf_addc(&all->text, i == line.len ? '\n' : line.data[i] == 0 ? ' ' : (char)line.data[i]);
    buf_release(&line);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

static void expect_text(struct fixture *f, enum store_table table, const char *part)
{
    struct err err = {0};
    struct all_text all = {.table = table};
    buf_init(&all.text);
    assert_int_equal(store_txn(f->gate.store, all_text_body, &all, &err), ERR_OK);
    check_contains("entries", store_table_name(table), buf_text(&all.text), part);
    buf_release(&all.text);
}

/* ---- more of GitHub ------------------------------------------------------------------ */

static char status_body[4096]; /* of the last status that was written */

static enum err_code keep_status(const struct http_request *request, struct http_reply *reply,
                                 struct err *err)
{
    if (is(request, "POST", "/statuses/"))
        snprintf(status_body, sizeof status_body, "%s", request->body);
    return good(request, reply, err);
}

static enum err_code refuse_and_keep_status(const struct http_request *request, struct http_reply *reply,
                                            struct err *err)
{
    if (is(request, "POST", "/dispatches"))
        return dispatch_refused(request, reply, err);
    return keep_status(request, reply, err);
}

static int dispatch_status;

static enum err_code dispatch_says(const struct http_request *request, struct http_reply *reply,
                                   struct err *err)
{
    if (is(request, "POST", "/dispatches"))
        return say(reply, dispatch_status, "{\"message\":\"so it is\"}");
    return good(request, reply, err);
}

static enum err_code busy_for_two_minutes(const struct http_request *request, struct http_reply *reply,
                                          struct err *err)
{
    (void)request, (void)err;
    reply->retry_after_s = 120;
    return say(reply, 503, "{}");
}

static enum err_code hook_busy(const struct http_request *request, struct http_reply *reply, struct err *err)
{
    if (!is(request, "POST", "//ci.example/hook"))
        return good(request, reply, err);
    reply->retry_after_s = 120;
    return say(reply, 429, "{}");
}

static enum err_code pull_missing(const struct http_request *request, struct http_reply *reply,
                                  struct err *err)
{
    if (is(request, "GET", "/pulls/7"))
        return say(reply, 404, "{\"message\":\"Not Found\"}");
    return good(request, reply, err);
}

static enum err_code run_is_known_by(const struct http_request *request, struct http_reply *reply,
                                     unsigned attempt, struct err *err)
{
    char key[KEY_SIZE], body[256];
    struct pr_key pr = {.repo_id = 5, .number = 7};
    struct sha sha;
    if (!is(request, "GET", "/actions/runs"))
        return good(request, reply, err);
    sha_parse(&sha, SHA_A);
    trigger_key(&pr, &sha, attempt, key);
    snprintf(body, sizeof body, "{\"total_count\":1,\"workflow_runs\":[{\"display_title\":\"CI %s\"}]}", key);
    return say(reply, 200, body);
}

static enum err_code run_is_known(const struct http_request *request, struct http_reply *reply,
                                  struct err *err)
{
    return run_is_known_by(request, reply, 1, err);
}

static enum err_code runs_unavailable(const struct http_request *request, struct http_reply *reply,
                                      struct err *err)
{
    if (is(request, "GET", "/actions/runs"))
        return say(reply, 502, "");
    return good(request, reply, err);
}

/* ---- being put off --------------------------------------------------------------------- */

static void test_back_off_ends_at_minutes_and_success_ends_it(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = down});
    deliver(&f, EVENT_OPENED, "d1");
    struct record record = get_record(&f);
    record.failures = UINT32_MAX / 2;
    put_record(&f, &record);
    record_release(&record);
    run_again(&f);
    int64_t now = clock_now_ms();
    record = get_record(&f);
    assert_true(record.due_ms > now + 200000);
    assert_true(record.due_ms < now + 400000);
    record_release(&record);
    f.fake.answer = good;
    run_again(&f);
    record = get_record(&f);
    assert_int_equal(record.failures, 0);
    assert_int_equal(record.due_ms, 0);
    record_release(&record);
    expect_idle(&f);
    fixture_close(&f);
}

/* A 503 says when to come back, but not that everybody has to wait. */
static void test_retry_after_of_an_outage_concerns_one_pull_request(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = busy_for_two_minutes});
    int64_t before = clock_now_ms();
    deliver(&f, EVENT_OPENED, "d1");
    struct record record = get_record(&f);
    assert_true(record.due_ms >= before + 120000);
    assert_true(record.due_ms <= clock_now_ms() + 120000);
    assert_int_equal(metrics_get(f.gate.metrics, METRIC_RATE_BLOCKED_MS), 0);
    record_release(&record);
    fixture_close(&f);
}

static void test_limit_of_an_own_ci_does_not_block_calls_to_github(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "trigger = \"http\" http_url = \"https://ci.example/hook\"",
              &(struct github_fake){.answer = hook_busy});
    int64_t before = clock_now_ms();
    deliver(&f, EVENT_OPENED, "d1");
    struct record record = get_record(&f);
    assert_int_equal(count_calls(&f, "/hook"), 1);
    assert_true(record.due_ms >= before + 120000);
    assert_int_equal(metrics_get(f.gate.metrics, METRIC_RATE_BLOCKED_MS), 0);
    record_release(&record);
    fixture_close(&f);
}

static void test_nothing_is_called_while_the_pool_is_blocked(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = good});
    metrics_set(f.gate.metrics, METRIC_RATE_BLOCKED_MS, clock_now_ms() + 60000);
    deliver(&f, EVENT_OPENED, "d1");
    assert_int_equal(f.fake.count, 0);
    assert_int_equal(count_table(&f, TABLE_INBOX), 1);
    assert_int_equal(claims_count(f.gate.claims), 0);
    metrics_set(f.gate.metrics, METRIC_RATE_BLOCKED_MS, 0);
    run_again(&f);
    expect_idle(&f);
    fixture_close(&f);
}

static void test_process_that_stops_gives_its_claim_up(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = good});
    atomic_store(&f.gate.stopping, true);
    deliver(&f, EVENT_OPENED, "d1");
    struct record record = get_record(&f);
    assert_int_equal(f.fake.count, 0);
    assert_false(record.claim.held);
    assert_int_equal(claims_count(f.gate.claims), 0);
    assert_int_equal(count_table(&f, TABLE_INBOX), 1);
    record_release(&record);
    fixture_close(&f);
}

/* Its payload tells enough: it is decided with GitHub down, and what came before it then, too. */
static void test_closed_overtakes_deliveries_that_wait_for_github(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = down});
    deliver(&f, EVENT_OPENED, "d1");
    assert_int_equal(count_table(&f, TABLE_INBOX), 1);
    deliver(&f, EVENT_CLOSED, "d2");
    struct record record = get_record(&f);
    assert_true(record.view.closed);
    record_release(&record);
    expect_text(&f, TABLE_LEDGER, "\"delivery\":\"d2\"");
    f.fake.answer = good;
    f.fake.count = 0;
    run_again(&f);
    expect_idle(&f);
    assert_int_equal(count_calls(&f, "POST"), 0);
    fixture_close(&f);
}

static void test_closed_that_needs_github_is_tried_no_more_than_twice_in_a_run(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = good});
    deliver(&f, EVENT_OPENED, "d1");
    f.fake.answer = down;
    f.fake.count = 0;
    struct event event = make_event(EVENT_CLOSED, "d2");
    event.pr.closed = true;
    event.pr.updated_at--; /* older than what is known: in doubt */
    struct receipt receipt = put_event(&f, &event, true);
    drain_run(&f.worker, &event.key, &receipt.claim);
    assert_in_range(f.fake.count, 1, 2);
    assert_int_equal(count_table(&f, TABLE_INBOX), 1);
    assert_int_equal(claims_count(f.gate.claims), 0);
    fixture_close(&f);
}

static void test_pull_request_that_is_not_to_be_read_yet_is_waited_for(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = pull_missing});
    deliver(&f, EVENT_OPENED, "d1");
    assert_int_equal(count_table(&f, TABLE_INBOX), 1);
    f.fake.answer = good;
    run_again(&f);
    expect_idle(&f);
    assert_int_equal(ci_of_head(&f), CI_STARTED);
    fixture_close(&f);
}

static void test_pull_request_that_does_not_appear_is_noted_and_left(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = pull_missing});
    struct event event = make_event(EVENT_OPENED, "d1");
    event.received_ms -= 61000;
    struct receipt receipt = put_event(&f, &event, true);
    drain_run(&f.worker, &event.key, &receipt.claim);
    expect_idle(&f);
    expect_text(&f, TABLE_LEDGER, "GitHub knows no such pull request");
    fixture_close(&f);
}

/* ---- triggers ------------------------------------------------------------------------------ */

static const char labelled_json[] =
    "{\"number\":7,\"state\":\"open\",\"draft\":false,\"title\":\"t\",\"updated_at\":\"2023-11-14T22:13:"
    "21Z\","
    "\"mergeable\":true,\"labels\":[{\"id\":9,\"name\":\"CICD\"}],\"user\":{\"id\":2,\"login\":\"ann\","
    "\"type\":\"User\"},\"head\":{\"sha\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"ref\":\"topic\"},"
    "\"base\":{\"ref\":\"main\"}}";

/* What a request to start CI carries, newest last. */
static char sent_keys[8][KEY_SIZE];
static int sent_count;
static int dispatch_status;

static enum err_code dispatch_counted(const struct http_request *request, struct http_reply *reply,
                                      struct err *err)
{
    if (is(request, "GET", "/pulls/7") && sent_count > 0) /* prgate's label moved it on */
        return say(reply, 200, labelled_json);
    if (is(request, "GET", "/actions/runs"))
        return run_is_known_by(request, reply, 2, err);
    if (!is(request, "POST", "/dispatches"))
        return good(request, reply, err);
    struct buf body;
    buf_init(&body);
    buf_add(&body, request->body, request->body_len);
    const char *at = strstr(buf_text(&body), "\"key\":\"");
    assert_non_null(at);
    assert_in_range(sent_count, 0, COUNT_OF(sent_keys) - 1);
    snprintf(sent_keys[sent_count++], KEY_SIZE, "%s", at + strlen("\"key\":\""));
    buf_release(&body);
    if (dispatch_status == 0)
        return err_set(err, ERR_UNKNOWN, 0, "connection lost");
    return say(reply, dispatch_status, "");
}

static void open_counting(struct fixture *f, const char *repo_keys)
{
    sent_count = 0;
    dispatch_status = 204;
    open_with(f, repo_keys, &(struct github_fake){.answer = dispatch_counted});
}

/* What GitHub last said of tim, who presses the button. */
static enum err_code trust_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct buf value;
    buf_init(&value);
    encode_i64(&value, clock_now_ms());
    encode_user(&value, &(struct user){.id = *(const uint64_t *)arg});
    static const char key[] = "permission/5/tim";
    enum err_code code =
        store_put(txn, TABLE_TRUST, (struct bytes){key, sizeof key - 1}, buf_bytes(&value), err);
    buf_release(&value);
    return code;
}

static void set_permission(struct fixture *f, uint64_t permission)
{
    struct err err = {0};
    assert_int_equal(store_txn(f->gate.store, trust_body, &permission, &err), ERR_OK);
}

static struct event rerun_event(const char *delivery)
{
    struct event event = make_event(EVENT_RERUN, delivery);
    struct sha head = event.pr.head;
    event.pr = (struct snapshot){.head = head};
    return event;
}

static bool ask_again(struct fixture *f, const char *delivery)
{
    struct event event = rerun_event(delivery);
    while (clock_now_ms() <= event.received_ms) /* later than what the last one came to */
        ;
    event.received_ms = clock_now_ms();
    struct receipt receipt = put_event(f, &event, true);
    if (receipt.claimed)
        drain_run(&f->worker, &event.key, &receipt.claim);
    return !receipt.duplicate;
}

static void expect_keys(int count)
{
    struct pr_key pr = {.repo_id = 5, .number = 7};
    struct sha sha;
    sha_parse(&sha, SHA_A);
    assert_int_equal(sent_count, count);
    for (int i = 0; i < count; i++) {
        char want[KEY_SIZE];
        trigger_key(&pr, &sha, (unsigned)i + 1, want);
        check_str("trigger", "key", sent_keys[i], want);
    }
}

static void test_each_rerun_is_sent_once_with_a_key_of_its_own(void **state)
{
    (void)state;
    struct fixture f;
    open_counting(&f, "");
    deliver(&f, EVENT_OPENED, "d1");
    set_permission(&f, PERMISSION_WRITE);
    assert_true(ask_again(&f, "d2"));
    expect_keys(2);
    assert_false(ask_again(&f, "d2"));
    expect_keys(2);
    assert_true(ask_again(&f, "d3"));
    expect_keys(3);
    expect_idle(&f);
    expect_text(&f, TABLE_LEDGER, "\"rule\":\"rerun\"");
    expect_text(&f, TABLE_LEDGER, "\"run\":3");
    assert_int_equal(ci_of_head(&f), CI_STARTED);
    set_permission(&f, PERMISSION_READ);
    assert_true(ask_again(&f, "d4"));
    expect_keys(3);
    expect_text(&f, TABLE_LEDGER, "rerun_refused");
    expect_idle(&f);
    fixture_close(&f);
}

/* Two that came in before either was decided: the first's trigger is over only after the second arrived. */
static void test_two_wishes_at_once_are_one(void **state)
{
    (void)state;
    struct fixture f;
    open_counting(&f, "");
    deliver(&f, EVENT_OPENED, "d1");
    set_permission(&f, PERMISSION_WRITE);
    struct event first = rerun_event("d2"), second = rerun_event("d3");
    while (clock_now_ms() <= first.received_ms)
        ;
    first.received_ms = second.received_ms = clock_now_ms();
    put_event(&f, &first, false);
    struct receipt receipt = put_event(&f, &second, true);
    drain_run(&f.worker, &second.key, &receipt.claim);
    expect_keys(2);
    expect_text(&f, TABLE_LEDGER, "rerun_same");
    expect_idle(&f);
    fixture_close(&f);
}

/* What was started before stays so; nothing starts it but another wish, or prgatectl. */
static void test_refused_rerun_leaves_what_was_started(void **state)
{
    (void)state;
    struct fixture f;
    open_counting(&f, "");
    deliver(&f, EVENT_OPENED, "d1");
    set_permission(&f, PERMISSION_WRITE);
    dispatch_status = 422;
    ask_again(&f, "d2");
    expect_keys(2);
    assert_int_equal(ci_of_head(&f), CI_STARTED);
    assert_int_equal(count_table(&f, TABLE_DEAD), 1);
    struct record record = get_record(&f);
    assert_true(record.heads[0].rerun_failed);
    assert_int_equal(record.heads[0].check, CHECK_DONE);
    record_release(&record);
    dispatch_status = 204;
    deliver(&f, EVENT_SYNCHRONIZE, "d3");
    deliver(&f, EVENT_LABELED, "d4");
    expect_keys(2);
    ask_again(&f, "d5");
    expect_keys(3);
    record = get_record(&f);
    assert_false(record.heads[0].rerun_failed);
    record_release(&record);
    expect_idle(&f);
    fixture_close(&f);
}

/* Nobody can say whether it arrived: never sent a second time, and still only asked for by people. */
static void test_lost_rerun_is_left(void **state)
{
    (void)state;
    struct fixture f;
    open_counting(&f, "");
    deliver(&f, EVENT_OPENED, "d1");
    set_permission(&f, PERMISSION_WRITE);
    dispatch_status = 0;
    ask_again(&f, "d2");
    run_again(&f);
    run_again(&f);
    expect_keys(2);
    assert_int_equal(ci_of_head(&f), CI_UNKNOWN);
    expect_idle(&f);
    fixture_close(&f);
}

/* GitHub knows the second run: it is asked by the second key, not by the first. */
static void test_lost_rerun_is_asked_for_by_its_own_key(void **state)
{
    (void)state;
    struct fixture f;
    open_counting(&f, "trigger_can_be_asked = true");
    deliver(&f, EVENT_OPENED, "d1");
    set_permission(&f, PERMISSION_WRITE);
    dispatch_status = 0;
    ask_again(&f, "d2");
    assert_int_equal(ci_of_head(&f), CI_SENT);
    run_again(&f);
    expect_keys(2);
    assert_int_equal(ci_of_head(&f), CI_STARTED);
    expect_idle(&f);
    fixture_close(&f);
}

static void test_answer_to_the_trigger_decides_what_becomes_of_it(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int status;
        enum ci_state ci;
        size_t intents, dead;
        bool sent;
    } rows[] = {
        {"204 taken", 204, CI_STARTED, 0, 0, false},
        {"401 credentials are for the operator to mend", 401, CI_DECIDED, 3, 0, false},
        {"403 may not", 403, CI_REFUSED, 0, 1, false},
        {"404 unknown there", 404, CI_REFUSED, 0, 1, false},
        {"422 refused", 422, CI_REFUSED, 0, 1, false},
        {"429 later", 429, CI_DECIDED, 3, 0, false},
        {"500 may have arrived", 500, CI_SENT, 3, 0, true},
        {"502 may have arrived", 502, CI_SENT, 3, 0, true},
        {"503 did not arrive", 503, CI_DECIDED, 3, 0, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        dispatch_status = rows[i].status;
        open_with(&f, "", &(struct github_fake){.answer = dispatch_says});
        deliver(&f, EVENT_OPENED, "d1");
        check_str(rows[i].name, "CI", ci_state_name(ci_of_head(&f)), ci_state_name(rows[i].ci));
        check_u64(rows[i].name, "intents", count_table(&f, TABLE_INTENT), rows[i].intents);
        check_u64(rows[i].name, "dead letters", count_table(&f, TABLE_DEAD), rows[i].dead);
        if (rows[i].intents > 0) {
            struct intent intent = first_intent(&f);
            check_bool(rows[i].name, "sent", intent.sent_ms != 0, rows[i].sent);
            check_int(rows[i].name, "attempts", intent.attempts, 1);
        }
        fixture_close(&f);
    }
}

static void test_check_and_dead_letter_say_that_the_trigger_was_refused(void **state)
{
    (void)state;
    struct fixture f;
    status_body[0] = '\0';
    open_with(&f, "", &(struct github_fake){.answer = refuse_and_keep_status});
    deliver(&f, EVENT_OPENED, "d1");
    check_contains("refused", "status", status_body, "\"CI could not be started\"");
    check_contains("refused", "status", status_body, "\"pending\"");
    expect_text(&f, TABLE_DEAD, "No such event");
    expect_text(&f, TABLE_LEDGER, "No such event");
    fixture_close(&f);
}

/* A second later, when the label is there. */
static void deliver_later(struct fixture *f, enum event_action action, const char *delivery)
{
    struct event event = make_event(action, delivery);
    event.pr.labelled = true;
    event.pr.updated_at++;
    struct receipt receipt = put_event(f, &event, true);
    assert_true(receipt.claimed);
    drain_run(&f->worker, &event.key, &receipt.claim);
}

static void test_lost_trigger_is_never_sent_again_whatever_comes(void **state)
{
    (void)state;
    struct fixture f;
    status_body[0] = '\0';
    open_with(&f, "", &(struct github_fake){.answer = dispatch_lost});
    deliver(&f, EVENT_OPENED, "d1");
    assert_true(first_intent(&f).sent_ms != 0);
    f.fake.answer = keep_status;
    run_again(&f);
    deliver_later(&f, EVENT_LABELED, "d2");
    deliver_later(&f, EVENT_REOPENED, "d3");
    expect_idle(&f);
    assert_int_equal(ci_of_head(&f), CI_UNKNOWN);
    assert_int_equal(count_calls(&f, "/dispatches"), 1);
    check_contains("unknown", "status", status_body, "\"CI may have been started\"");
    fixture_close(&f);
}

static void test_lost_trigger_that_the_receiver_knows_is_done(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "trigger_can_be_asked = true", &(struct github_fake){.answer = dispatch_lost});
    deliver(&f, EVENT_OPENED, "d1");
    f.fake.answer = run_is_known;
    run_again(&f);
    expect_idle(&f);
    assert_int_equal(ci_of_head(&f), CI_STARTED);
    assert_int_equal(count_calls(&f, "/dispatches"), 1);
    fixture_close(&f);
}

static void test_lost_trigger_that_the_receiver_never_saw_is_sent_once_more(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "trigger_can_be_asked = true", &(struct github_fake){.answer = dispatch_lost});
    deliver(&f, EVENT_OPENED, "d1");
    struct intent intent = first_intent(&f);
    intent.sent_ms -= 31000;
    put_intent(&f, &intent);
    f.fake.answer = good;
    run_again(&f);
    expect_idle(&f);
    assert_int_equal(ci_of_head(&f), CI_STARTED);
    assert_int_equal(count_calls(&f, "/actions/runs"), 1);
    assert_int_equal(count_calls(&f, "/dispatches"), 2);
    fixture_close(&f);
}

/* Each has its own time to appear. */
static void test_trigger_that_is_lost_twice_is_asked_for_twice(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "trigger_can_be_asked = true", &(struct github_fake){.answer = dispatch_lost});
    deliver(&f, EVENT_OPENED, "d1");
    struct intent intent = first_intent(&f);
    intent.sent_ms -= 31000;
    put_intent(&f, &intent);
    run_again(&f);
    check_int("sent again", "sent", count_calls(&f, "/dispatches"), 2);
    check_int("sent again", "ci", ci_of_head(&f), CI_SENT);
    for (int i = 0; i < 3; i++)
        run_again(&f);
    check_int("asked for", "asked", count_calls(&f, "/actions/runs"), 4);
    check_int("asked for", "sent", count_calls(&f, "/dispatches"), 2);
    check_int("asked for", "attempts", first_intent(&f).attempts, 2);
    fixture_close(&f);
}

static void test_lost_trigger_waits_while_the_receiver_does_not_answer(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "trigger_can_be_asked = true", &(struct github_fake){.answer = dispatch_lost});
    deliver(&f, EVENT_OPENED, "d1");
    struct intent intent = first_intent(&f);
    intent.sent_ms -= 3600000;
    put_intent(&f, &intent);
    f.fake.answer = runs_unavailable;
    run_again(&f);
    assert_int_equal(count_calls(&f, "/actions/runs"), 1);
    assert_int_equal(count_calls(&f, "/dispatches"), 1);
    assert_int_equal(first_intent(&f).sent_ms, intent.sent_ms);
    assert_int_equal(ci_of_head(&f), CI_SENT);
    fixture_close(&f);
}

static void test_label_alone_starts_ci_where_there_is_no_trigger(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "trigger = \"none\"", &(struct github_fake){.answer = good});
    deliver(&f, EVENT_OPENED, "d1");
    expect_idle(&f);
    assert_int_equal(count_calls(&f, "/dispatches"), 0);
    assert_int_equal(count_calls(&f, "POST /repos/octo/repo/issues/7/labels"), 1);
    assert_int_equal(ci_of_head(&f), CI_STARTED);
    fixture_close(&f);
}

/* ---- crashes between the mark and the result ------------------------------------------------- */

enum { DIED_SENDING = 42 };

static enum err_code dispatch_exits(const struct http_request *request, struct http_reply *reply,
                                    struct err *err)
{
    if (is(request, "POST", "/dispatches"))
        _exit(DIED_SENDING);
    return good(request, reply, err);
}

/* Another process decides, marks the trigger as sent, and ends before it knows the outcome. */
static void open_after_death_while_sending(struct fixture *f, const char *repo_keys)
{
    int status;
    *f = (struct fixture){0};
    fixture_configure(f, "", repo_keys);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fixture_open_gate(f);
        fixture_open_worker(f);
        f->fake.answer = dispatch_exits;
        deliver(f, EVENT_OPENED, "d1");
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), DIED_SENDING);
    fixture_open_gate(f);
    fixture_open_worker(f);
    f->fake.answer = good;
}

static void test_death_while_sending_leaves_the_mark(void **state)
{
    (void)state;
    struct fixture f;
    int64_t before = clock_now_ms();
    open_after_death_while_sending(&f, "");
    struct intent intent = first_intent(&f);
    assert_int_equal(intent.kind, INTENT_TRIGGER);
    assert_true(intent.sent_ms >= before && intent.sent_ms <= clock_now_ms());
    assert_int_equal(ci_of_head(&f), CI_SENT);
    assert_int_equal(count_table(&f, TABLE_INTENT), 3);
    struct record record = get_record(&f);
    assert_true(record.claim.held);
    record_release(&record);
    fixture_close(&f);
}

static void test_next_delivery_takes_over_and_sends_nothing_again(void **state)
{
    (void)state;
    struct fixture f;
    open_after_death_while_sending(&f, "");
    deliver_later(&f, EVENT_EDITED, "d2");
    assert_int_equal(metrics_get(f.gate.metrics, METRIC_CLAIMS_TAKEN_OVER), 1);
    expect_idle(&f);
    assert_int_equal(ci_of_head(&f), CI_UNKNOWN);
    assert_int_equal(count_calls(&f, "/dispatches"), 0);
    assert_int_equal(count_calls(&f, "POST /repos/octo/repo/issues/7/labels"), 1); /* the rest is done */
    fixture_close(&f);
}

static void test_trigger_of_the_dead_is_repeated_where_at_least_once_is_asked_for(void **state)
{
    (void)state;
    struct fixture f;
    open_after_death_while_sending(&f, "trigger_guarantee = \"at_least_once\"");
    assert_int_equal(sweep_run(&f.worker), 1);
    expect_idle(&f);
    assert_int_equal(ci_of_head(&f), CI_STARTED);
    assert_int_equal(count_calls(&f, "/dispatches"), 1);
    fixture_close(&f);
}

static void test_trigger_of_the_dead_is_asked_for_where_it_can_be(void **state)
{
    (void)state;
    struct fixture f;
    open_after_death_while_sending(&f, "trigger_can_be_asked = true");
    f.fake.answer = run_is_known;
    assert_int_equal(sweep_run(&f.worker), 1);
    expect_idle(&f);
    assert_int_equal(ci_of_head(&f), CI_STARTED);
    assert_int_equal(count_calls(&f, "/actions/runs"), 1);
    assert_int_equal(count_calls(&f, "/dispatches"), 0);
    fixture_close(&f);
}

/* ---- losing the claim ---------------------------------------------------------------------------- */

static struct fixture *robbed;

static enum err_code dispatch_is_robbed(const struct http_request *request, struct http_reply *reply,
                                        struct err *err)
{
    if (is(request, "POST", "/dispatches")) {
        struct record record = get_record(robbed);
        record.claim.token[0] ^= 1;
        put_record(robbed, &record);
        record_release(&record);
    }
    return good(request, reply, err);
}

static void test_claim_lost_while_acting_leaves_the_result_to_the_new_owner(void **state)
{
    (void)state;
    struct fixture f;
    robbed = &f;
    open_with(&f, "", &(struct github_fake){.answer = dispatch_is_robbed});
    deliver(&f, EVENT_OPENED, "d1");
    check_contains("robbed", "last call", f.fake.calls[f.fake.count - 1], "/dispatches");
    assert_int_equal(count_table(&f, TABLE_INTENT), 3);
    assert_int_equal(count_table(&f, TABLE_LEDGER), 1);
    assert_true(first_intent(&f).sent_ms != 0);
    struct record record = get_record(&f);
    assert_true(record.claim.held);
    assert_int_equal(claims_count(f.gate.claims), 0);
    record_release(&record);
    fixture_close(&f);
}

/* ---- what cannot be worked on ------------------------------------------------------------------------ */

static enum err_code damage_intent_body(struct store_txn *txn, void *arg, struct err *err)
{
    static const unsigned char key[24] = {[7] = 5, [15] = 7};
    (void)arg;
    return store_put(txn, TABLE_INTENT, (struct bytes){key, sizeof key}, (struct bytes){"junk", 4}, err);
}

static enum err_code read_quarantine_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct buf key;
    buf_init(&key);
    enum err_code code = store_next(txn, TABLE_QUARANTINE, (struct bytes){0}, &key, arg, err);
    buf_release(&key);
    return code;
}

static void test_intent_that_cannot_be_decoded_is_kept_byte_for_byte_and_the_rest_goes_on(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct buf kept;
    open_with(&f, "", &(struct github_fake){.answer = dispatch_busy});
    deliver(&f, EVENT_OPENED, "d1");
    assert_int_equal(store_txn(f.gate.store, damage_intent_body, NULL, &err), ERR_OK);
    metrics_set(f.gate.metrics, METRIC_RATE_BLOCKED_MS, 0);
    f.fake.answer = good;
    f.fake.count = 0;
    run_again(&f);
    expect_idle(&f);
    assert_int_equal(count_calls(&f, "/dispatches"), 0); /* it was the trigger */
    assert_int_equal(count_calls(&f, "POST /repos/octo/repo/issues/7/labels"), 1);
    assert_int_equal(count_table(&f, TABLE_QUARANTINE), 1);
    assert_int_equal(metrics_get(f.gate.metrics, METRIC_QUARANTINED), 1);
    buf_init(&kept);
    assert_int_equal(store_txn(f.gate.store, read_quarantine_body, &kept, &err), ERR_OK);
    check_str("quarantine", "value", buf_text(&kept), "junk");
    buf_release(&kept);
    fixture_close(&f);
}

static void test_delivery_of_a_repository_without_a_section_is_noted(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = good});
    struct event event = make_event(EVENT_OPENED, "d1");
    strcpy(event.repo, "octo/gone");
    struct receipt receipt = put_event(&f, &event, true);
    drain_run(&f.worker, &event.key, &receipt.claim);
    expect_idle(&f);
    assert_int_equal(f.fake.count, 0);
    expect_text(&f, TABLE_LEDGER, "not configured any more");
    fixture_close(&f);
}

/* As if the section had been taken out of the configuration. */
static void take_the_section_away(struct fixture *f)
{
    struct record record = get_record(f);
    strcpy(record.repo, "octo/gone");
    put_record(f, &record);
    record_release(&record);
}

static void take_the_section_away_between_runs(struct fixture *f)
{
    take_the_section_away(f);
    metrics_set(f->gate.metrics, METRIC_RATE_BLOCKED_MS, 0);
    f->fake.answer = good;
    f->fake.count = 0;
}

static void test_intents_of_a_repository_without_a_section_become_dead_letters(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = dispatch_busy});
    deliver(&f, EVENT_OPENED, "d1");
    take_the_section_away_between_runs(&f);
    run_again(&f);
    expect_idle(&f);
    assert_int_equal(f.fake.count, 0);
    assert_int_equal(count_table(&f, TABLE_DEAD), 3);
    expect_text(&f, TABLE_DEAD, "not configured any more");
    assert_int_equal(ci_of_head(&f), CI_REFUSED);
    fixture_close(&f);
}

/* It may have arrived, and nobody may be led to believe that it can be sent again. */
static void test_lost_trigger_of_a_repository_without_a_section_stays_unknown(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = dispatch_lost});
    deliver(&f, EVENT_OPENED, "d1");
    take_the_section_away_between_runs(&f);
    run_again(&f);
    expect_idle(&f);
    assert_int_equal(ci_of_head(&f), CI_UNKNOWN);
    fixture_close(&f);
}

/* What is known of the time is when the call was given up; the run may be older by as long as a call may take. */
static void test_runs_are_sought_from_before_the_call_began(void **state)
{
    (void)state;
    struct fixture f;
    struct buf latest;
    char time[TEXT_TIME_SIZE];
    open_with(&f, "trigger_can_be_asked = true", &(struct github_fake){.answer = dispatch_lost});
    f.config->request_timeout_s = 600;
    deliver(&f, EVENT_OPENED, "d1");
    text_from_time(first_intent(&f).sent_ms / 1000 - 600, time);
    buf_init(&latest);
    buf_adds(&latest, "created=");
    text_add_url(&latest, ">=");
    text_add_url(&latest, time);
    f.fake.answer = good;
    run_again(&f);
    assert_int_equal(count_calls(&f, "/actions/runs"), 1);
    const char *call = f.fake.calls[f.fake.count - 1], *created = strstr(call, "created=");
    assert_non_null(created);
    if (strncmp(created, buf_text(&latest), strlen(buf_text(&latest))) > 0)
        fail_msg("got %s, want no later than %s", created, buf_text(&latest));
    buf_release(&latest);
    fixture_close(&f);
}

/* ---- limits ---------------------------------------------------------------------- */

static enum err_code busy_for_a_week(const struct http_request *request, struct http_reply *reply,
                                     struct err *err)
{
    (void)request, (void)err;
    reply->retry_after_s = 7 * 24 * 3600;
    return say(reply, 429, "{}");
}

static void test_retry_after_is_not_believed_beyond_an_hour(void **state)
{
    (void)state;
    struct fixture f;
    enum { HOUR_MS = 3600000 };
    open_with(&f, "", &(struct github_fake){.answer = busy_for_a_week});
    int64_t before = clock_now_ms();
    deliver(&f, EVENT_OPENED, "d1");
    int64_t after = clock_now_ms(), blocked = metrics_get(f.gate.metrics, METRIC_RATE_BLOCKED_MS);
    struct record record = get_record(&f);
    check_bool("pull request", "an hour",
               record.due_ms >= before + HOUR_MS && record.due_ms <= after + HOUR_MS, true);
    check_bool("pool", "an hour", blocked >= before + HOUR_MS && blocked <= after + HOUR_MS, true);
    record_release(&record);
    fixture_close(&f);
}

/* As if another worker had been told of a longer wait while this one's call was under way. */
static struct metrics *told_meanwhile;
static int64_t told_until_ms;

static enum err_code busy_while_another_is_told(const struct http_request *request, struct http_reply *reply,
                                                struct err *err)
{
    metrics_set(told_meanwhile, METRIC_RATE_BLOCKED_MS, told_until_ms);
    return dispatch_busy(request, reply, err);
}

static void test_longer_block_of_the_pool_is_not_cut_short(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "trigger = \"repository_dispatch\"",
              &(struct github_fake){.answer = busy_while_another_is_told});
    told_meanwhile = f.gate.metrics;
    told_until_ms = 0; /* not while it reads the pull request */
    deliver(&f, EVENT_OPENED, "d1");
    check_bool("first", "blocked", metrics_get(f.gate.metrics, METRIC_RATE_BLOCKED_MS) > clock_now_ms(),
               true);
    metrics_set(f.gate.metrics, METRIC_RATE_BLOCKED_MS, 0);
    told_until_ms = clock_now_ms() + 3000000; /* longer than dispatch_busy() says */
    run_again(&f);
    check_int("second", "blocked until", metrics_get(f.gate.metrics, METRIC_RATE_BLOCKED_MS), told_until_ms);
    fixture_close(&f);
}

static enum err_code dispatch_down(const struct http_request *request, struct http_reply *reply,
                                   struct err *err)
{
    if (is(request, "POST", "/dispatches"))
        return say(reply, 503, "{}");
    return good(request, reply, err);
}

static void test_intent_that_is_done_at_last_ends_the_back_off(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "", &(struct github_fake){.answer = dispatch_down});
    deliver(&f, EVENT_OPENED, "d1");
    run_again(&f);
    struct record record = get_record(&f);
    check_u64("down", "failures", record.failures, 2);
    check_bool("down", "put off", record.due_ms > clock_now_ms(), true);
    record_release(&record);
    f.fake.answer = good;
    run_again(&f);
    expect_idle(&f);
    record = get_record(&f);
    check_u64("up", "failures", record.failures, 0);
    check_int("up", "due_ms", record.due_ms, 0);
    record_release(&record);
    fixture_close(&f);
}

/* ---- from a briefing ---- */

static struct receipt open_and_take(struct fixture *f, struct event *event)
{
    struct err err = {0};
    struct receipt receipt;
    open_with(f, "", &(struct github_fake){.answer = good});
    *event = make_event(EVENT_OPENED, "d1");
    struct taking taking;
    inbox_begin(&taking, &f->gate, event, true);
    inbox_run(&taking);
    assert_int_equal(inbox_end(&taking, &receipt, &err), ERR_OK);
    assert_non_null(receipt.briefing);
    return receipt;
}

static void test_briefed_work_is_the_same(void **state)
{
    (void)state;
    struct fixture f;
    struct event event;
    struct receipt receipt = open_and_take(&f, &event);
    drain_start(&f.worker, &event.key, &receipt.claim, receipt.briefing);
    expect_idle(&f);
    assert_int_equal(ci_of_head(&f), CI_STARTED);
    assert_int_equal(f.fake.count, 4);
    fixture_close(&f);
}

/* What the briefing says was true when the claim was taken; whether there is to be work at all is looked at anew. */
static void test_briefed_work_waits_while_the_process_stops(void **state)
{
    (void)state;
    struct fixture f;
    struct event event;
    struct receipt receipt = open_and_take(&f, &event);
    atomic_store(&f.gate.stopping, true);
    drain_start(&f.worker, &event.key, &receipt.claim, receipt.briefing);
    assert_int_equal(f.fake.count, 0);
    assert_int_equal(count_table(&f, TABLE_INBOX), 1);
    struct record record = get_record(&f);
    assert_false(record.claim.held);
    record_release(&record);
    fixture_close(&f);
}

/* Somebody else has the claim by now: nothing is written. */
static void test_briefed_work_ends_where_the_claim_was_lost(void **state)
{
    (void)state;
    struct fixture f;
    struct event event;
    struct receipt receipt = open_and_take(&f, &event);
    struct record record = get_record(&f);
    record.claim.token[0] ^= 1;
    put_record(&f, &record);
    record_release(&record);
    drain_start(&f.worker, &event.key, &receipt.claim, receipt.briefing);
    assert_int_equal(count_calls(&f, "POST "), 0);
    assert_int_equal(count_table(&f, TABLE_INBOX), 1);
    fixture_close(&f);
}

/* ---- what happens while the first of two is decided ---- */

static struct fixture *amid;
static void (*happens)(struct fixture *f);

/* Once, while the pull request is read. */
static enum err_code good_and_something_happens(const struct http_request *request, struct http_reply *reply,
                                                struct err *err)
{
    if (amid != NULL && is(request, "GET", "/pulls/7")) {
        happens(amid);
        amid = NULL;
    }
    return good(request, reply, err);
}

/* Two deliveries that change nothing wait; how many are decided? The other is left, or noted. */
static void expect_first_alone_to_be_read(struct fixture *f, void (*happening)(struct fixture *f))
{
    open_with(f, "", &(struct github_fake){.answer = good_and_something_happens});
    deliver(f, EVENT_OPENED, "d1");
    f->fake.count = 0;
    struct event second = make_event(EVENT_OPENED, "d2"), third = make_event(EVENT_OPENED, "d3");
    struct receipt receipt = put_event(f, &second, true);
    put_event(f, &third, true);
    amid = f;
    happens = happening;
    drain_run(&f->worker, &second.key, &receipt.claim);
    assert_null(amid);
    assert_int_equal(count_calls(f, "GET /repos/octo/repo/pulls/7"), 1);
    struct record record = get_record(f);
    assert_false(record.claim.held);
    record_release(&record);
}

static void stop_the_process(struct fixture *f)
{
    atomic_store(&f->gate.stopping, true);
}

static void test_process_that_stops_leaves_the_delivery_that_comes_next(void **state)
{
    (void)state;
    struct fixture f;
    expect_first_alone_to_be_read(&f, stop_the_process);
    assert_int_equal(count_table(&f, TABLE_INBOX), 1);
    fixture_close(&f);
}

static void block_the_pool(struct fixture *f)
{
    metrics_set(f->gate.metrics, METRIC_RATE_BLOCKED_MS, clock_now_ms() + 60000);
}

static void test_delivery_that_comes_next_waits_while_the_pool_is_blocked(void **state)
{
    (void)state;
    struct fixture f;
    expect_first_alone_to_be_read(&f, block_the_pool);
    assert_int_equal(count_table(&f, TABLE_INBOX), 1);
    fixture_close(&f);
}

static void test_delivery_that_comes_next_goes_by_the_new_name_of_the_repository(void **state)
{
    (void)state;
    struct fixture f;
    expect_first_alone_to_be_read(&f, take_the_section_away);
    expect_idle(&f);
    expect_text(&f, TABLE_LEDGER, "not configured any more");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opened_by_a_trusted_author_is_done_in_order),
        cmocka_unit_test(test_only_what_must_not_be_lost_waits_for_the_disk),
        cmocka_unit_test(test_label_that_starts_ci_waits_for_the_disk),
        cmocka_unit_test(test_what_was_done_and_how_long_it_took_is_counted),
        cmocka_unit_test(test_a_check_that_may_be_there_is_looked_for),
        cmocka_unit_test(test_a_check_that_a_dead_process_may_have_written_is_looked_for),
        cmocka_unit_test(test_failing_github_puts_off_longer_each_time_and_loses_nothing),
        cmocka_unit_test(test_retry_after_is_heeded_by_the_whole_pool),
        cmocka_unit_test(test_closed_overtakes_what_waits_for_github),
        cmocka_unit_test(test_refused_trigger_goes_to_the_dead_letters_and_the_check_says_so),
        cmocka_unit_test(test_lost_trigger_is_left_where_at_most_once_is_asked_for),
        cmocka_unit_test(test_lost_trigger_is_repeated_where_at_least_once_is_asked_for),
        cmocka_unit_test(test_lost_trigger_is_asked_for_where_it_can_be),
        cmocka_unit_test(test_process_killed_while_sending_leaves_a_trigger_that_is_not_repeated),
        cmocka_unit_test(test_mark_of_a_hidden_commit_is_taken_back_where_nothing_is_sent),
        cmocka_unit_test(test_closing_voids_what_a_hidden_commit_marked),
        cmocka_unit_test(test_what_a_dead_process_may_have_sent_is_waited_for),
        cmocka_unit_test(test_what_was_sent_without_a_reply_is_waited_for),
        cmocka_unit_test(test_what_was_given_up_with_the_claim_is_not_waited_for),
        cmocka_unit_test(test_deliveries_that_wait_take_a_transaction_each),
        cmocka_unit_test(test_lost_claim_stops_the_work),
        cmocka_unit_test(test_claim_is_given_up_with_the_last_thing_that_is_done),
        cmocka_unit_test(test_entry_that_cannot_be_decoded_is_set_aside_and_the_rest_goes_on),
        cmocka_unit_test(test_entry_between_others_that_cannot_be_decoded_is_set_aside),
        cmocka_unit_test(test_sweeper_leaves_alone_what_is_claimed_or_not_due),
        cmocka_unit_test(test_back_off_ends_at_minutes_and_success_ends_it),
        cmocka_unit_test(test_retry_after_of_an_outage_concerns_one_pull_request),
        cmocka_unit_test(test_limit_of_an_own_ci_does_not_block_calls_to_github),
        cmocka_unit_test(test_nothing_is_called_while_the_pool_is_blocked),
        cmocka_unit_test(test_process_that_stops_gives_its_claim_up),
        cmocka_unit_test(test_closed_overtakes_deliveries_that_wait_for_github),
        cmocka_unit_test(test_closed_that_needs_github_is_tried_no_more_than_twice_in_a_run),
        cmocka_unit_test(test_pull_request_that_is_not_to_be_read_yet_is_waited_for),
        cmocka_unit_test(test_pull_request_that_does_not_appear_is_noted_and_left),
        cmocka_unit_test(test_each_rerun_is_sent_once_with_a_key_of_its_own),
        cmocka_unit_test(test_two_wishes_at_once_are_one),
        cmocka_unit_test(test_refused_rerun_leaves_what_was_started),
        cmocka_unit_test(test_lost_rerun_is_left),
        cmocka_unit_test(test_lost_rerun_is_asked_for_by_its_own_key),
        cmocka_unit_test(test_answer_to_the_trigger_decides_what_becomes_of_it),
        cmocka_unit_test(test_check_and_dead_letter_say_that_the_trigger_was_refused),
        cmocka_unit_test(test_lost_trigger_is_never_sent_again_whatever_comes),
        cmocka_unit_test(test_lost_trigger_that_the_receiver_knows_is_done),
        cmocka_unit_test(test_lost_trigger_that_the_receiver_never_saw_is_sent_once_more),
        cmocka_unit_test(test_trigger_that_is_lost_twice_is_asked_for_twice),
        cmocka_unit_test(test_lost_trigger_waits_while_the_receiver_does_not_answer),
        cmocka_unit_test(test_label_alone_starts_ci_where_there_is_no_trigger),
        cmocka_unit_test(test_death_while_sending_leaves_the_mark),
        cmocka_unit_test(test_next_delivery_takes_over_and_sends_nothing_again),
        cmocka_unit_test(test_trigger_of_the_dead_is_repeated_where_at_least_once_is_asked_for),
        cmocka_unit_test(test_trigger_of_the_dead_is_asked_for_where_it_can_be),
        cmocka_unit_test(test_claim_lost_while_acting_leaves_the_result_to_the_new_owner),
        cmocka_unit_test(test_intent_that_cannot_be_decoded_is_kept_byte_for_byte_and_the_rest_goes_on),
        cmocka_unit_test(test_delivery_of_a_repository_without_a_section_is_noted),
        cmocka_unit_test(test_intents_of_a_repository_without_a_section_become_dead_letters),
        cmocka_unit_test(test_lost_trigger_of_a_repository_without_a_section_stays_unknown),
        cmocka_unit_test(test_runs_are_sought_from_before_the_call_began),
        cmocka_unit_test(test_retry_after_is_not_believed_beyond_an_hour),
        cmocka_unit_test(test_longer_block_of_the_pool_is_not_cut_short),
        cmocka_unit_test(test_intent_that_is_done_at_last_ends_the_back_off),
        cmocka_unit_test(test_briefed_work_is_the_same),
        cmocka_unit_test(test_briefed_work_waits_while_the_process_stops),
        cmocka_unit_test(test_briefed_work_ends_where_the_claim_was_lost),
        cmocka_unit_test(test_process_that_stops_leaves_the_delivery_that_comes_next),
        cmocka_unit_test(test_delivery_that_comes_next_waits_while_the_pool_is_blocked),
        cmocka_unit_test(test_delivery_that_comes_next_goes_by_the_new_name_of_the_repository),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
