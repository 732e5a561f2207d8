/*
 * What is given up, what the check says of it, and what an operator may do about it.
 */
#include "check.h"

#include "fixture.h"
#include "prgate/dead.h"
#include "prgate/drain.h"
#include "prgate/sweep.h"

/* ---- a GitHub that says no to some calls ---------------------------------------- */

static const char *refused_call; /* a part of "METHOD URL"; NULL: all goes well */
static int refused_status;
static char last_status[4096]; /* body of the last commit status */
static int dispatches;
static bool is_draft;

#define PULL(draft)                                                                                          \
    "{\"number\":7,\"state\":\"open\",\"draft\":" draft ",\"title\":\"t\",\"mergeable\":true,"               \
    "\"updated_at\":\"2023-11-14T22:13:20Z\",\"labels\":[],"                                                 \
    "\"user\":{\"id\":2,\"login\":\"ann\",\"type\":\"User\"},\"head\":{\"sha\":"                             \
    "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"ref\":\"topic\"},\"base\":{\"ref\":\"main\"}}"

static enum err_code say(struct http_reply *reply, int status, const char *body)
{
    reply->status = status;
    buf_adds(&reply->body, body);
    return ERR_OK;
}

static enum err_code answer(const struct http_request *request, struct http_reply *reply, struct err *err)
{
    char call[1024];
    snprintf(call, sizeof call, "%s %s", request->method, request->url);
    bool refuse = refused_call != NULL && strstr(call, refused_call) != NULL;
    if (refuse && refused_status == 0)
        return err_set(err, ERR_UNKNOWN, 0, "connection lost");
    if (refuse)
        return say(reply, refused_status, "{\"message\":\"it has `no` right\"}");
    if (strstr(call, "/dispatches") != NULL) {
        dispatches++;
        return say(reply, 204, "");
    }
    if (strstr(call, "POST") == call && strstr(call, "/statuses/") != NULL) {
        snprintf(last_status, sizeof last_status, "%s", request->body);
        return say(reply, 201, "{}");
    }
    if (strstr(call, "GET") == call && strstr(call, "/pulls/7") != NULL)
        return say(reply, 200, is_draft ? PULL("true") : PULL("false"));
    if (strstr(call, "POST") == call && strstr(call, "/labels") != NULL)
        return say(reply, 200, "[{\"id\":9,\"name\":\"CICD\"}]");
    if (strstr(call, "GET") == call)
        return say(reply, 200, "[]");
    return say(reply, 404, "{\"message\":\"Not Found\"}");
}

/* ---- helpers ----------------------------------------------------------------------- */

static void open_refusing(struct fixture *f, const char *repo_keys, const char *call, int status)
{
    refused_call = call;
    refused_status = status;
    last_status[0] = '\0';
    dispatches = 0;
    is_draft = false;
    fixture_open(f, repo_keys);
    f->fake.answer = answer;
}

static void deliver(struct fixture *f, enum event_action action, const char *delivery)
{
    struct event event = make_event(action, delivery);
    event.pr.closed = action == EVENT_CLOSED;
    event.pr.updated_at += action == EVENT_CLOSED;
    struct receipt receipt = put_event(f, &event, true);
    if (receipt.claimed)
        drain_run(&f->worker, &event.key, &receipt.claim);
}

/* Works on what is there, due or not. */
static void work_on(struct fixture *f)
{
    struct record record = get_record(f);
    record.due_ms = 0;
    put_record(f, &record);
    record_release(&record);
    metrics_set(f->gate.metrics, METRIC_RATE_BLOCKED_MS, 0);
    sweep_run(&f->worker);
}

static enum ci_state ci_of_head(struct fixture *f)
{
    struct record record = get_record(f);
    enum ci_state ci = record.heads[0].ci;
    record_release(&record);
    return ci;
}

static const struct pr_key pull = {.repo_id = 5, .number = 7};

static struct dead_letter get_letter(struct fixture *f, uint64_t *seq)
{
    struct err err = {0};
    struct dead_letter letter;
    *seq = 0;
    if (dead_look(&f->gate, &pull, seq, &letter, &err) != ERR_OK)
        fail_msg("letter: %s", err.text);
    return letter;
}

static void expect_code(const char *what, enum err_code code, enum err_code want, const struct err *err)
{
    if (code != want)
        fail_msg("%s: got %s (%s), want %s", what, err_code_name(code), err->text, err_code_name(want));
}

/* ---- giving up ----------------------------------------------------------------------- */

static void test_letter_tells_what_was_refused_and_the_pull_request_goes_on(void **state)
{
    (void)state;
    static const int statuses[] = {403, 404, 422};
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        struct fixture f;
        uint64_t seq;
        open_refusing(&f, "", "POST http://127.0.0.1:1/repos/octo/repo/issues/7/labels", statuses[i]);
        int64_t before = clock_now_ms();
        deliver(&f, EVENT_OPENED, "d1");
        struct dead_letter letter = get_letter(&f, &seq);
        check_str("letter", "action", intent_kind_name(letter.intent.kind), "add_label");
        check_str("letter", "sha", letter.intent.sha.hex, SHA_A);
        check_str("letter", "delivery", letter.intent.delivery, "d1");
        check_u64("letter", "seq", letter.intent.seq, seq);
        check_u64("letter", "attempts", letter.intent.attempts, 1);
        check_contains("letter", "reason", letter.reason, "it has `no` right");
        check_bool("letter", "died just now", letter.died_ms >= before && letter.died_ms <= clock_now_ms(),
                   true);
        check_int("others", "dispatches", dispatches, 1);
        check_str("others", "CI", ci_state_name(ci_of_head(&f)), "started");
        check_contains("check", "title", last_status, "CI was started; not done: setting the label");
        check_u64("others", "intents", count_table(&f, TABLE_INTENT), 0);
        fixture_close(&f);
    }
}

/* Nothing else would write the check again after the comment. */
static void test_check_is_written_once_more_where_none_is_queued(void **state)
{
    (void)state;
    struct fixture f;
    open_refusing(&f, "", "/issues/7/labels", 403);
    deliver(&f, EVENT_OPENED, "d1");
    uint64_t seq;
    get_letter(&f, &seq);
    last_status[0] = '\0';
    struct err err = {0};
    expect_code("retry", dead_retry(&f.gate, &pull, seq, &err), ERR_OK, &err);
    work_on(&f); /* only the label is queued, and it is refused again */
    check_contains("check", "title", last_status, "not done: setting the label");
    check_u64("letters", "count", count_table(&f, TABLE_DEAD), 1);
    fixture_close(&f);
}

static void test_label_that_starts_ci_and_is_refused_is_ci_refused(void **state)
{
    (void)state;
    struct fixture f;
    uint64_t seq;
    struct err err = {0};
    open_refusing(&f, "trigger = \"none\"", "POST http://127.0.0.1:1/repos/octo/repo/issues/7/labels", 403);
    deliver(&f, EVENT_OPENED, "d1");
    check_str("label", "CI", ci_state_name(ci_of_head(&f)), "refused");
    check_contains("check", "status", last_status, "\"pending\"");
    check_contains("check", "title", last_status, "CI could not be started; not done: setting the label");
    refused_call = NULL;
    get_letter(&f, &seq);
    expect_code("retry", dead_retry(&f.gate, &pull, seq, &err), ERR_OK, &err);
    work_on(&f);
    check_str("label", "CI", ci_state_name(ci_of_head(&f)), "started");
    check_contains("check", "status", last_status, "\"success\"");
    check_u64("letters", "count", count_table(&f, TABLE_DEAD), 0);
    fixture_close(&f);
}

static void make_old(struct fixture *f, int64_t ms)
{
    f->config->give_up_after_s = (int)(ms / 1000);
    usleep(1000);
}

static void test_what_keeps_failing_is_given_up_once_it_is_old(void **state)
{
    (void)state;
    struct fixture f;
    open_refusing(&f, "", "/dispatches", 503);
    make_old(&f, 3600000);
    deliver(&f, EVENT_OPENED, "d1");
    for (int i = 0; i < 20; i++)
        work_on(&f);
    check_u64("young", "letters", count_table(&f, TABLE_DEAD), 0);
    check_u64("young", "intents", count_table(&f, TABLE_INTENT), 3);
    make_old(&f, 0);
    work_on(&f);
    uint64_t seq;
    struct dead_letter letter = get_letter(&f, &seq);
    check_contains("old", "reason", letter.reason, "given up after 0 s: ");
    check_contains("old", "reason", letter.reason, "it has `no` right");
    check_u64("old", "attempts", letter.intent.attempts, 22);
    check_str("old", "CI", ci_state_name(ci_of_head(&f)), "refused");
    check_u64("old", "intents", count_table(&f, TABLE_INTENT), 0);
    check_contains("old", "check", last_status, "CI could not be started");
    fixture_close(&f);
}

/* It is old because nobody ran: that is no reason to give it up at the first hiccup. */
static void test_old_one_is_tried_five_times(void **state)
{
    (void)state;
    struct fixture f;
    open_refusing(&f, "", "/dispatches", 503);
    make_old(&f, 0);
    deliver(&f, EVENT_OPENED, "d1");
    for (int i = 2; i <= 4; i++) {
        work_on(&f);
        check_u64("attempts", "letters", count_table(&f, TABLE_DEAD), 0);
    }
    work_on(&f);
    check_u64("fifth", "letters", count_table(&f, TABLE_DEAD), 1);
    fixture_close(&f);
}

/* A letter could be retried; this one may have arrived. */
static void test_trigger_that_may_have_arrived_is_left_and_not_given_up(void **state)
{
    (void)state;
    struct fixture f;
    open_refusing(&f, "trigger_guarantee = \"at_least_once\"", "/dispatches", 0);
    make_old(&f, 0);
    deliver(&f, EVENT_OPENED, "d1");
    for (int i = 0; i < 6; i++)
        work_on(&f);
    check_str("lost", "CI", ci_state_name(ci_of_head(&f)), "unknown");
    check_u64("lost", "letters", count_table(&f, TABLE_DEAD), 0);
    check_contains("lost", "check", last_status, "CI may have been started");
    fixture_close(&f);
}

/* ---- retry and drop ------------------------------------------------------------------- */

static void test_retried_trigger_starts_ci_and_completes_the_check(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    uint64_t seq;
    open_refusing(&f, "", "/dispatches", 422);
    deliver(&f, EVENT_OPENED, "d1");
    check_contains("refused", "check", last_status, "\"pending\"");
    refused_call = NULL;
    get_letter(&f, &seq);
    expect_code("retry", dead_retry(&f.gate, &pull, seq, &err), ERR_OK, &err);
    check_u64("retried", "letters", count_table(&f, TABLE_DEAD), 0);
    expect_code("once more", dead_retry(&f.gate, &pull, seq, &err), ERR_NOT_FOUND, &err);
    sweep_run(&f.worker);
    check_int("retried", "dispatches", dispatches, 1);
    check_str("retried", "CI", ci_state_name(ci_of_head(&f)), "started");
    check_contains("retried", "check", last_status, "\"success\"");
    fixture_close(&f);
}

/* A re-run that was refused can be retried, once; what was started before it is no reason not to. */
static void test_refused_rerun_can_be_retried(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    uint64_t seq;
    open_refusing(&f, "", "/dispatches", 422);
    deliver(&f, EVENT_OPENED, "d1");
    struct record record = get_record(&f);
    struct head *head = &record.heads[0];
    head->ci = CI_UNKNOWN; /* as the refusal of a re-run leaves it */
    head->check = CHECK_DONE;
    head->check_reason = WAIT_NOTHING;
    head->reruns = 1;
    head->ci_before = CI_UNKNOWN;
    head->rerun_failed = true;
    put_record(&f, &record);
    record_release(&record);
    for (int row = 0; row < 2; row++) { /* refused again, and back to what was before; then not */
        get_letter(&f, &seq);
        expect_code("retry", dead_retry(&f.gate, &pull, seq, &err), ERR_OK, &err);
        record = get_record(&f);
        assert_int_equal(record.heads[0].ci, CI_DECIDED);
        assert_int_equal(record.heads[0].ci_before, CI_UNKNOWN);
        assert_false(record.heads[0].rerun_failed);
        record_release(&record);
        if (row == 1)
            refused_call = NULL;
        sweep_run(&f.worker);
        check_str("CI", "row", ci_state_name(ci_of_head(&f)), row == 0 ? "unknown" : "started");
        check_contains("check", "row", last_status, row == 0 ? "could not be started" : "started again");
        check_contains("check", "row", last_status, "\"success\"");
        check_u64("letters", "row", count_table(&f, TABLE_DEAD), row == 0);
    }
    check_int("retried", "dispatches", dispatches, 1);
    fixture_close(&f);
}

static void test_retry_that_would_do_harm_is_refused_and_the_letter_stays(void **state)
{
    (void)state;
    enum { CLOSED, PUSHED, STARTED, ROWS };
    static const char *const parts[ROWS] = {"closed", "not the head", "CI was started"};
    for (int row = 0; row < ROWS; row++) {
        struct fixture f;
        struct err err = {0};
        uint64_t seq;
        open_refusing(&f, "", "/dispatches", 422);
        deliver(&f, EVENT_OPENED, "d1");
        if (row == CLOSED)
            deliver(&f, EVENT_CLOSED, "d2");
        struct record record = get_record(&f);
        if (row == PUSHED)
            memset(record.view.head.hex, 'b', 40);
        if (row == STARTED)
            record.heads[0].ci = CI_STARTED;
        put_record(&f, &record);
        record_release(&record);
        get_letter(&f, &seq);
        expect_code(parts[row], dead_retry(&f.gate, &pull, seq, &err), ERR_REJECT, &err);
        check_contains("retry", "error", err.text, parts[row]);
        check_u64(parts[row], "letters", count_table(&f, TABLE_DEAD), 1);
        check_u64(parts[row], "intents", count_table(&f, TABLE_INTENT), 0);
        expect_code("drop", dead_drop(&f.gate, &pull, seq, &err), ERR_OK, &err);
        check_u64(parts[row], "letters", count_table(&f, TABLE_DEAD), 0);
        fixture_close(&f);
    }
}

/* It says what is so by now, not what was so when it was given up. */
static void test_retried_check_shows_the_present_state(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    uint64_t seq;
    open_refusing(&f, "", "/statuses/", 403);
    struct event event = make_event(EVENT_OPENED, "d1");
    event.pr.draft = is_draft = true;
    struct receipt receipt = put_event(&f, &event, true);
    drain_run(&f.worker, &event.key, &receipt.claim);
    struct dead_letter letter = get_letter(&f, &seq);
    struct record record = get_record(&f);
    record.heads[0].ci = CI_STARTED;
    record.heads[0].check = CHECK_DONE;
    put_record(&f, &record);
    record_release(&record);
    check_str("letter", "action", intent_kind_name(letter.intent.kind), "check_awaiting");
    refused_call = NULL;
    expect_code("retry", dead_retry(&f.gate, &pull, seq, &err), ERR_OK, &err);
    sweep_run(&f.worker);
    check_contains("retried", "check", last_status, "\"success\"");
    fixture_close(&f);
}

static enum err_code damage_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    static const unsigned char key[24] = {[7] = 5, [15] = 7, [23] = 9};
    return store_put(txn, TABLE_DEAD, (struct bytes){key, sizeof key}, (struct bytes){"junk", 4}, err);
}

static void test_damaged_letter_can_be_dropped_and_not_retried(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct dead_letter letter;
    uint64_t seq = 0;
    open_refusing(&f, "", NULL, 0);
    deliver(&f, EVENT_OPENED, "d1");
    assert_int_equal(store_txn(f.gate.store, damage_body, NULL, &err), ERR_OK);
    expect_code("look", dead_look(&f.gate, &pull, &seq, &letter, &err), ERR_CORRUPT, &err);
    check_u64("look", "seq", seq, 9);
    expect_code("retry", dead_retry(&f.gate, &pull, 9, &err), ERR_CORRUPT, &err);
    expect_code("drop another", dead_drop(&f.gate, &pull, 8, &err), ERR_NOT_FOUND, &err);
    expect_code("drop", dead_drop(&f.gate, &pull, 9, &err), ERR_OK, &err);
    check_u64("dropped", "letters", count_table(&f, TABLE_DEAD), 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_letter_tells_what_was_refused_and_the_pull_request_goes_on),
        cmocka_unit_test(test_check_is_written_once_more_where_none_is_queued),
        cmocka_unit_test(test_label_that_starts_ci_and_is_refused_is_ci_refused),
        cmocka_unit_test(test_what_keeps_failing_is_given_up_once_it_is_old),
        cmocka_unit_test(test_old_one_is_tried_five_times),
        cmocka_unit_test(test_trigger_that_may_have_arrived_is_left_and_not_given_up),
        cmocka_unit_test(test_retried_trigger_starts_ci_and_completes_the_check),
        cmocka_unit_test(test_refused_rerun_can_be_retried),
        cmocka_unit_test(test_retry_that_would_do_harm_is_refused_and_the_letter_stays),
        cmocka_unit_test(test_retried_check_shows_the_present_state),
        cmocka_unit_test(test_damaged_letter_can_be_dropped_and_not_retried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
