/* Cancelling, releasing and merge queues: what decide() makes of them, in any order. */
#include "check.h"

#include <stdio.h>
#include <string.h>

#include "prgate/buf.h"
#include "prgate/decide.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SHA_C "cccccccccccccccccccccccccccccccccccccccc"
#define SHA_Q "dddddddddddddddddddddddddddddddddddddddd"

static const char branch[] = "gh-readonly-queue/main/pr-7-" SHA_C;

enum { NOW_MS = 1000000000, DAY_MS = 24 * 3600 * 1000 };

struct life {
    struct record record;
    struct snapshot github;
    struct policy policy;
    struct facts facts; /* of everybody in it */
    int64_t now_ms;
    struct decision decision;
};

static struct sha sha(const char *hex)
{
    struct sha sha;
    assert_true(sha_parse(&sha, hex));
    return sha;
}

static char label[] = "queued", nothing[] = "";

static void begin(struct life *life)
{
    *life =
        (struct life){.now_ms = NOW_MS,
                      .facts = {.sender_may_approve = true, .author_trusted = true, .pusher_trusted = true},
                      .policy = {.label = label,
                                 .emergency_label = nothing,
                                 .emergency_check = nothing,
                                 .base_wanted = nothing,
                                 .conflict_comment = true,
                                 .cancel_on_close = true,
                                 .cancel_on_push = true,
                                 .release_runs = true,
                                 .queue_trigger = true,
                                 .queue_label = label},
                      .github = {.updated_at = 100,
                                 .head = sha(SHA_A),
                                 .labelled = true,
                                 .mergeable = MERGEABLE_YES,
                                 .author = {.id = 2, .login = "ann"}}};
    record_init(&life->record);
    life->record.key = (struct pr_key){.repo_id = 5, .number = 7};
}

static struct event event_now(const struct life *life, enum event_action action)
{
    struct event event = {.action = action,
                          .received_ms = life->now_ms,
                          .key = life->record.key,
                          .label_is_gate = action == EVENT_LABELED,
                          .pr = life->github};
    event.sender = (struct user){.id = 3, .login = "tim"};
    return event;
}

static void deliver(struct life *life, const struct event *event)
{
    struct facts facts = life->facts;
    enum fact need;
    facts.policy = &life->policy;
    life->now_ms += 1000;
    while ((need = decide_needs(&life->record, event, &facts, life->now_ms)) != 0) {
        facts.known |= (unsigned)need;
        if (need == FACT_READ) {
            facts.read = life->github;
            facts.read_ms = life->now_ms + 10000; /* no read lags here */
        }
    }
    record_reserve_head(&life->record);
    decide(&life->record, event, &facts, life->now_ms, &life->decision);
}

static void happen(struct life *life, enum event_action action)
{
    life->github.updated_at++;
    struct event event = event_now(life, action);
    deliver(life, &event);
}

static void push(struct life *life, const char *head)
{
    life->github.head = sha(head);
    happen(life, EVENT_SYNCHRONIZE);
}

static struct head *head_of(const struct life *life, const char *hex)
{
    struct sha wanted = sha(hex);
    struct head *head = record_find_head(&life->record, &wanted);
    assert_non_null(head);
    return head;
}

/* As the worker does once a trigger went through. */
static void start(struct life *life, const char *hex)
{
    head_set_ci(head_of(life, hex), CI_STARTED, life->now_ms);
}

/* Where of the decision's intents that one is; -1: nowhere. */
static int find(const struct life *life, enum intent_kind kind, const char *hex)
{
    for (unsigned i = 0; i < life->decision.intent_count; i++)
        if (life->decision.intents[i].kind == kind && strcmp(life->decision.intents[i].sha.hex, hex) == 0)
            return (int)i;
    return -1;
}

static void expect(const char *when, const struct life *life, enum intent_kind kind, const char *hex,
                   bool want)
{
    bool got = find(life, kind, hex) >= 0;
    if (got != want)
        fail_msg("%s: %s of %.4s: got %d, want %d", when, intent_kind_name(kind), hex, got, want);
}

static void expect_rule(const char *when, const struct life *life, enum rule want)
{
    check_str(when, "rule", rule_name(life->decision.rule), rule_name(want));
}

static void open_started(struct life *life)
{
    begin(life);
    happen(life, EVENT_OPENED);
    expect("opened", life, INTENT_TRIGGER, SHA_A, true);
    start(life, SHA_A);
}

/* ---- cancelling -------------------------------------------------------------------- */

static void test_push_cancels_what_it_supersedes_once_and_last(void **state)
{
    (void)state;
    struct life life;
    open_started(&life);
    push(&life, SHA_B);
    expect("pushed", &life, INTENT_TRIGGER, SHA_B, true);
    expect("pushed", &life, INTENT_CANCEL, SHA_A, true);
    expect("pushed", &life, INTENT_CANCEL, SHA_B, false);
    check_int("cancel", "place", find(&life, INTENT_CANCEL, SHA_A), (int)life.decision.intent_count - 1);
    check_u64("cancel", "attempt", life.decision.intents[life.decision.intent_count - 1].attempt, 1);
    start(&life, SHA_B);
    happen(&life, EVENT_EDITED);
    expect("edited", &life, INTENT_CANCEL, SHA_A, false);
    push(&life, SHA_A); /* back: never a second time by itself, and the check is to say why nothing runs */
    expect_rule("back", &life, RULE_ALREADY);
    expect("back", &life, INTENT_TRIGGER, SHA_A, false);
    expect("back", &life, INTENT_CHECK_DONE, SHA_A, true);
    expect("back", &life, INTENT_CANCEL, SHA_B, true);
    record_release(&life.record);
}

static void test_nothing_is_cancelled_unasked(void **state)
{
    (void)state;
    struct life life;
    open_started(&life);
    life.policy.cancel_on_push = life.policy.cancel_on_close = false;
    push(&life, SHA_B);
    expect("pushed", &life, INTENT_CANCEL, SHA_A, false);
    start(&life, SHA_B);
    life.github.closed = true;
    happen(&life, EVENT_CLOSED);
    expect("closed", &life, INTENT_CANCEL, SHA_A, false);
    expect("closed", &life, INTENT_CANCEL, SHA_B, false);
    record_release(&life.record);
}

/* Each key for itself. */
static void test_pushing_and_closing_are_asked_for_apart(void **state)
{
    (void)state;
    struct life life;
    open_started(&life);
    life.policy.cancel_on_push = false;
    push(&life, SHA_B);
    expect("pushed", &life, INTENT_CANCEL, SHA_A, false);
    start(&life, SHA_B);
    life.github.closed = true;
    happen(&life, EVENT_CLOSED);
    expect("closed", &life, INTENT_CANCEL, SHA_A, true);
    expect("closed", &life, INTENT_CANCEL, SHA_B, true);
    record_release(&life.record);
}

/* Whichever event shows the new head first. */
static void test_any_event_of_the_new_head_cancels_the_old_one(void **state)
{
    (void)state;
    struct life life;
    open_started(&life);
    life.github.head = sha(SHA_B);
    life.github.updated_at++;
    struct event pushed = event_now(&life, EVENT_SYNCHRONIZE);
    happen(&life, EVENT_EDITED);
    expect("edited", &life, INTENT_CANCEL, SHA_A, true);
    deliver(&life, &pushed);
    expect("pushed", &life, INTENT_CANCEL, SHA_A, false);
    expect("pushed", &life, INTENT_TRIGGER, SHA_B, true);
    record_release(&life.record);
}

static void test_old_event_cancels_nothing_of_the_present(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    struct event opened = event_now(&life, EVENT_OPENED);
    push(&life, SHA_B);
    expect("pushed", &life, INTENT_TRIGGER, SHA_B, true);
    start(&life, SHA_B);
    deliver(&life, &opened);
    expect("opened late", &life, INTENT_CANCEL, SHA_B, false);
    record_release(&life.record);
}

static void test_closing_cancels_once_and_a_second_closing_nothing(void **state)
{
    (void)state;
    struct life life;
    open_started(&life);
    life.github.closed = true;
    life.github.updated_at++;
    struct event closed = event_now(&life, EVENT_CLOSED);
    for (int i = 0; i < 3; i++) {
        deliver(&life, &closed);
        expect_rule("closed", &life, RULE_CLOSED);
        expect("closed", &life, INTENT_CANCEL, SHA_A, i == 0);
    }
    assert_true(intent_outlives_closing(INTENT_CANCEL));
    assert_true(intent_outlives_closing(INTENT_REMOVE_QUEUE_LABEL));
    assert_false(intent_outlives_closing(INTENT_TRIGGER));
    record_release(&life.record);
}

/* What was decided and never sent is undone, and has nothing to be cancelled; what may have arrived has. */
static void test_closing_cancels_what_may_have_been_sent(void **state)
{
    (void)state;
    static const struct {
        enum ci_state ci, before;
        bool want;
    } rows[] = {{CI_DECIDED, CI_NONE, false},   {CI_SENT, CI_NONE, true},      {CI_UNKNOWN, CI_NONE, true},
                {CI_STARTED, CI_NONE, true},    {CI_REFUSED, CI_NONE, false},  {CI_NONE, CI_NONE, false},
                {CI_DECIDED, CI_STARTED, true}, {CI_DECIDED, CI_UNKNOWN, true}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct life life;
        open_started(&life);
        head_of(&life, SHA_A)->ci = rows[i].ci;
        head_of(&life, SHA_A)->ci_before = rows[i].before;
        life.github.closed = true;
        happen(&life, EVENT_CLOSED);
        expect(ci_state_name(rows[i].ci), &life, INTENT_CANCEL, SHA_A, rows[i].want);
        assert_true(life.decision.drop_intents);
        record_release(&life.record);
    }
}

/* A re-run since is another start. */
static void test_rerun_can_be_cancelled_anew(void **state)
{
    (void)state;
    struct life life;
    open_started(&life);
    life.github.closed = true;
    happen(&life, EVENT_CLOSED);
    expect("closed", &life, INTENT_CANCEL, SHA_A, true);
    life.github.closed = false;
    happen(&life, EVENT_REOPENED);
    expect("reopened", &life, INTENT_CHECK_DONE, SHA_A, true);
    life.now_ms += 1000;
    struct event rerun = {.action = EVENT_RERUN, .received_ms = life.now_ms, .pr = {.head = sha(SHA_A)}};
    rerun.sender = (struct user){.id = 3, .login = "tim"};
    deliver(&life, &rerun);
    expect_rule("rerun", &life, RULE_RERUN);
    start(&life, SHA_A);
    life.github.closed = true;
    happen(&life, EVENT_CLOSED);
    int at = find(&life, INTENT_CANCEL, SHA_A);
    assert_true(at >= 0);
    check_u64("cancel", "attempt", life.decision.intents[at].attempt, 2);
    record_release(&life.record);
}

/* A decision has room for so many; the others are for the next delivery. What is days old has ended. */
static void test_cancels_are_bounded_by_number_and_age(void **state)
{
    (void)state;
    struct life life;
    int total = 0;
    open_started(&life);
    for (int i = 0; i < 20; i++) {
        char hex[41];
        snprintf(hex, sizeof hex, "%040d", i + 1);
        struct sha old = sha(hex);
        record_reserve_head(&life.record);
        struct head *head = record_add_head(&life.record, &old, life.now_ms);
        head_set_ci(head, CI_STARTED, i < 5 ? life.now_ms - 4 * (int64_t)DAY_MS : life.now_ms);
    }
    for (int round = 0; round < 5; round++) {
        happen(&life, EVENT_EDITED);
        assert_true(life.decision.intent_count <= DECISION_INTENTS_MAX);
        for (unsigned i = 0; i < life.decision.intent_count; i++)
            total += life.decision.intents[i].kind == INTENT_CANCEL;
        if (round == 0)
            assert_true(total > 0 && total < 15);
    }
    check_int("cancels", "of those that are not days old", total, 15);
    record_release(&life.record);
}

/* ---- releasing ---------------------------------------------------------------------- */

static void test_persons_approval_releases_runs(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool trusted, wanted, want;
    } rows[] = {{"approved", false, true, true},
                {"approved, not wanted", false, false, false},
                {"trusted author", true, true, false}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct life life;
        begin(&life);
        life.facts.author_trusted = rows[i].trusted;
        life.policy.release_runs = rows[i].wanted;
        life.github.labelled = false;
        happen(&life, EVENT_OPENED);
        expect("opened", &life, INTENT_RELEASE_RUNS, SHA_A, false);
        life.github.labelled = true;
        if (!rows[i].trusted)
            happen(&life, EVENT_LABELED);
        expect(rows[i].name, &life, INTENT_TRIGGER, SHA_A, true);
        expect(rows[i].name, &life, INTENT_RELEASE_RUNS, SHA_A, rows[i].want);
        if (rows[i].want) /* it may have to wait for runs to appear */
            check_int("release", "place", find(&life, INTENT_RELEASE_RUNS, SHA_A),
                      (int)life.decision.intent_count - 1);
        start(&life, SHA_A);
        happen(&life, EVENT_EDITED);
        expect("edited", &life, INTENT_RELEASE_RUNS, SHA_A, false);
        record_release(&life.record);
    }
}

/* ---- merge queues ------------------------------------------------------------------- */

static struct event group_event(const struct life *life, enum event_action action, bool merged)
{
    struct event event = {.action = action,
                          .received_ms = life->now_ms,
                          .key = life->record.key,
                          .installation = 11,
                          .pr = {.head = sha(SHA_Q), .base_ref = "main", .closed = merged}};
    memcpy(event.pr.head_ref, branch, sizeof branch);
    return event;
}

static void queue(struct life *life, enum event_action action, bool merged)
{
    struct event event = group_event(life, action, merged);
    assert_int_equal(decide_needs(&life->record, &event, &life->facts, life->now_ms), 0);
    deliver(life, &event);
}

static void test_group_is_checked_and_started_once(void **state)
{
    (void)state;
    struct life life;
    open_started(&life);
    struct snapshot before = life.record.view;
    queue(&life, EVENT_QUEUED, false);
    expect_rule("queued", &life, RULE_QUEUED);
    int at = find(&life, INTENT_TRIGGER, SHA_Q);
    check_int("trigger", "place", at, 0);
    check_int("check", "place", find(&life, INTENT_CHECK_DONE, SHA_Q), 1);
    check_int("queued", "intents", life.decision.intent_count, 2);
    check_str("trigger", "ref", life.decision.intents[0].ref, branch);
    assert_true(head_of(&life, SHA_Q)->queued);
    assert_memory_equal(&before, &life.record.view, sizeof before);
    check_u64("record", "installation", life.record.installation, 11);
    start(&life, SHA_Q);
    queue(&life, EVENT_QUEUED, false);
    expect_rule("again", &life, RULE_QUEUED_BEFORE);
    check_int("again", "intents", life.decision.intent_count, 0);
    record_release(&life.record);
}

static void test_group_is_only_checked_where_no_start_is_wanted(void **state)
{
    (void)state;
    struct life life;
    begin(&life); /* a pull request that nothing was heard of */
    life.policy.queue_trigger = false;
    queue(&life, EVENT_QUEUED, false);
    expect("queued", &life, INTENT_CHECK_DONE, SHA_Q, true);
    check_int("queued", "intents", life.decision.intent_count, 1);
    check_str("record", "state", record_state_name(record_state(&life.record)), "new");
    queue(&life, EVENT_UNQUEUED, false);
    expect("destroyed", &life, INTENT_CANCEL, SHA_Q, false);
    happen(&life, EVENT_OPENED); /* and it is opened as if there had been none */
    expect_rule("opened", &life, RULE_OPENED);
    record_release(&life.record);
}

static void test_destroyed_group_is_cancelled_unless_it_was_merged(void **state)
{
    (void)state;
    for (int merged = 0; merged < 2; merged++) {
        struct life life;
        open_started(&life);
        queue(&life, EVENT_QUEUED, false);
        start(&life, SHA_Q);
        queue(&life, EVENT_UNQUEUED, merged);
        expect_rule("destroyed", &life, RULE_UNQUEUED);
        expect(merged ? "merged" : "destroyed", &life, INTENT_CANCEL, SHA_Q, !merged);
        if (!merged)
            check_str("cancel", "ref", life.decision.intents[0].ref, branch);
        queue(&life, EVENT_UNQUEUED, merged);
        expect("again", &life, INTENT_CANCEL, SHA_Q, false);
        queue(&life, EVENT_QUEUED, false);
        check_int("asked for again", "intents", life.decision.intent_count, 0);
        record_release(&life.record);
    }
}

static void test_destroying_may_come_first(void **state)
{
    (void)state;
    for (int merged = 0; merged < 2; merged++) {
        struct life life;
        open_started(&life);
        queue(&life, EVENT_UNQUEUED, merged);
        check_int("destroyed", "intents", life.decision.intent_count, 0);
        queue(&life, EVENT_QUEUED, false);
        expect_rule("late", &life, RULE_QUEUED_BEFORE);
        check_int("late", "intents", life.decision.intent_count, 0);
        record_release(&life.record);
    }
}

/* Pushing and closing are about the pull request's own commits; a refused start is not tried again by a duplicate. */
static void test_group_lives_by_itself(void **state)
{
    (void)state;
    struct life life;
    open_started(&life);
    queue(&life, EVENT_QUEUED, false);
    start(&life, SHA_Q);
    push(&life, SHA_B);
    expect("pushed", &life, INTENT_CANCEL, SHA_Q, false);
    expect("pushed", &life, INTENT_CANCEL, SHA_A, true);
    life.github.closed = true;
    happen(&life, EVENT_CLOSED);
    expect("closed", &life, INTENT_CANCEL, SHA_Q, false);
    check_int("closed", "check", head_of(&life, SHA_Q)->check, CHECK_DONE);
    queue(&life, EVENT_QUEUED, false);
    check_int("asked again", "intents", life.decision.intent_count, 0);
    head_of(&life, SHA_Q)->ci = CI_REFUSED;
    head_of(&life, SHA_Q)->check = CHECK_AWAITING;
    queue(&life, EVENT_QUEUED, false);
    check_int("refused", "intents", life.decision.intent_count, 0);
    record_release(&life.record);
}

/* A branch that was queued as it is has the pull request's own commit: what its check says holds. */
static void test_own_head_is_no_group(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    life.facts.author_trusted = false;
    life.github.labelled = false;
    life.github.head = sha(SHA_Q);
    happen(&life, EVENT_OPENED);
    queue(&life, EVENT_QUEUED, false);
    expect_rule("queued", &life, RULE_QUEUED_BEFORE);
    check_int("queued", "intents", life.decision.intent_count, 0);
    assert_false(head_of(&life, SHA_Q)->queued);
    record_release(&life.record);
}

static void test_leaving_the_queue_takes_the_label_off_once_each_time(void **state)
{
    (void)state;
    struct life life;
    open_started(&life);
    life.github.updated_at++;
    struct event left = event_now(&life, EVENT_DEQUEUED);
    for (int i = 0; i < 3; i++) {
        deliver(&life, &left);
        expect("dequeued", &life, INTENT_REMOVE_QUEUE_LABEL, SHA_A, i == 0);
    }
    happen(&life, EVENT_DEQUEUED);
    expect("once more", &life, INTENT_REMOVE_QUEUE_LABEL, SHA_A, true);
    deliver(&life, &left);
    expect("the first, late", &life, INTENT_REMOVE_QUEUE_LABEL, SHA_A, false);
    life.policy.queue_label = nothing;
    happen(&life, EVENT_DEQUEUED);
    expect("no label", &life, INTENT_REMOVE_QUEUE_LABEL, SHA_A, false);
    record_release(&life.record);
}

/* Closing and leaving come together; the order does not matter. */
static void test_closing_does_not_keep_the_queue_label_on(void **state)
{
    (void)state;
    struct life life;
    open_started(&life);
    life.github.updated_at++;
    struct event left = event_now(&life, EVENT_DEQUEUED);
    life.github.closed = true;
    happen(&life, EVENT_CLOSED);
    deliver(&life, &left);
    expect_rule("dequeued", &life, RULE_CLOSED);
    expect("dequeued", &life, INTENT_REMOVE_QUEUE_LABEL, SHA_A, true);
    record_release(&life.record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_push_cancels_what_it_supersedes_once_and_last),
        cmocka_unit_test(test_nothing_is_cancelled_unasked),
        cmocka_unit_test(test_pushing_and_closing_are_asked_for_apart),
        cmocka_unit_test(test_any_event_of_the_new_head_cancels_the_old_one),
        cmocka_unit_test(test_old_event_cancels_nothing_of_the_present),
        cmocka_unit_test(test_closing_cancels_once_and_a_second_closing_nothing),
        cmocka_unit_test(test_closing_cancels_what_may_have_been_sent),
        cmocka_unit_test(test_rerun_can_be_cancelled_anew),
        cmocka_unit_test(test_cancels_are_bounded_by_number_and_age),
        cmocka_unit_test(test_persons_approval_releases_runs),
        cmocka_unit_test(test_group_is_checked_and_started_once),
        cmocka_unit_test(test_group_is_only_checked_where_no_start_is_wanted),
        cmocka_unit_test(test_destroyed_group_is_cancelled_unless_it_was_merged),
        cmocka_unit_test(test_destroying_may_come_first),
        cmocka_unit_test(test_group_lives_by_itself),
        cmocka_unit_test(test_own_head_is_no_group),
        cmocka_unit_test(test_leaving_the_queue_takes_the_label_off_once_each_time),
        cmocka_unit_test(test_closing_does_not_keep_the_queue_label_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
