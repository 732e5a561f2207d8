/*
 * The gate's rules where a budget is used up: what was allowed waits, and starts by itself.
 */
#include "check.h"

#include <stdio.h>

#include "prgate/decide.h"

enum { UNTIL_MS = 5000000, LATER_MS = 6000000 };

static const char *const sha_a = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char *const sha_b = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

struct life {
    struct record record;
    struct snapshot github;
    bool trusted;
    int64_t until_ms; /* 0: the budget is free */
    struct decision decision;
};

static void begin(struct life *life, bool trusted, int64_t until_ms)
{
    *life = (struct life){.trusted = trusted, .until_ms = until_ms};
    life->github = (struct snapshot){.updated_at = 100, .mergeable = MERGEABLE_YES};
    sha_parse(&life->github.head, sha_a);
    record_init(&life->record);
}

static void happen(struct life *life, enum event_action action)
{
    struct facts facts = {.budget_until_ms = life->until_ms};
    enum fact need;
    if (action != EVENT_WAKE)
        life->github.updated_at++;
    struct event event = {.action = action, .received_ms = 900000, .pr = life->github};
    event.label_is_gate = action == EVENT_LABELED || action == EVENT_UNLABELED;
    if (action != EVENT_WAKE)
        event.sender = (struct user){.id = 7, .login = "sender"};
    if (action == EVENT_RERUN)
        event.pr = (struct snapshot){.head = life->github.head};
    while ((need = decide_needs(&life->record, &event, &facts, 1000000)) != 0) {
        facts.read = life->github;
        facts.read_ms = 1000000;
        facts.author_trusted = life->trusted;
        facts.pusher_trusted = true;
        facts.sender_may_approve = true;
        facts.known |= (unsigned)need;
    }
    record_reserve_head(&life->record);
    decide(&life->record, &event, &facts, 1000000, &life->decision);
}

static void push(struct life *life, const char *hex)
{
    sha_parse(&life->github.head, hex);
    happen(life, EVENT_SYNCHRONIZE);
}

static void label(struct life *life, bool on)
{
    life->github.labelled = on;
    happen(life, on ? EVENT_LABELED : EVENT_UNLABELED);
}

static struct head *head_of(const struct life *life, const char *hex)
{
    struct sha sha;
    sha_parse(&sha, hex);
    struct head *head = record_find_head(&life->record, &sha);
    assert_non_null(head);
    return head;
}

static void expect(const char *row, const struct life *life, enum rule rule, const char *actions)
{
    char got[256] = "";
    for (unsigned i = 0; i < life->decision.intent_count; i++) {
        size_t len = strlen(got);
        snprintf(got + len, sizeof got - len, "%s%s", i == 0 ? "" : ", ",
                 intent_kind_name(life->decision.intents[i].kind));
    }
    check_str(row, "rule", rule_name(life->decision.rule), rule_name(rule));
    check_str(row, "actions", got, actions);
}

/* Whatever allowed it. */
static void test_what_is_allowed_waits_and_starts_by_itself(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool trusted;
        enum rule rule;
        const char *actions;
    } rows[] = {
        {"opened by somebody trusted", true, RULE_OPENED, "trigger, add_label, check_done"},
        {"approved", false, RULE_APPROVED, "trigger, check_done"},
        {"pushed by somebody trusted", true, RULE_PUSHED, "trigger, check_done"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct life life;
        const char *head = sha_a;
        begin(&life, rows[i].trusted, rows[i].rule == RULE_PUSHED ? 0 : UNTIL_MS);
        happen(&life, EVENT_OPENED);
        if (rows[i].rule == RULE_APPROVED)
            label(&life, true);
        if (rows[i].rule == RULE_PUSHED) {
            life.until_ms = UNTIL_MS;
            life.github.labelled = true;
            push(&life, head = sha_b);
        }
        expect(rows[i].name, &life, RULE_WAIT_BUDGET, "check_awaiting");
        check_int(rows[i].name, "until", head_of(&life, head)->budget_until_ms, UNTIL_MS);
        check_str(rows[i].name, "state", record_state_name(record_state(&life.record)), "awaiting");
        happen(&life, EVENT_WAKE);
        expect("still used up", &life, RULE_WAIT_BUDGET, "");
        life.until_ms = 0;
        happen(&life, EVENT_WAKE);
        expect(rows[i].name, &life, rows[i].rule, rows[i].actions);
        check_int(rows[i].name, "until, started", head_of(&life, head)->budget_until_ms, 0);
        happen(&life, EVENT_WAKE);
        expect("never twice", &life, RULE_ALREADY, "");
        record_release(&life.record);
    }
}

static void test_the_check_says_a_time_that_has_moved(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true, UNTIL_MS);
    happen(&life, EVENT_OPENED);
    life.until_ms = LATER_MS;
    happen(&life, EVENT_EDITED);
    expect("moved", &life, RULE_WAIT_BUDGET, "check_awaiting");
    check_int("moved", "reason", life.decision.intents[0].reason, WAIT_BUDGET);
    check_int("moved", "until", head_of(&life, sha_a)->budget_until_ms, LATER_MS);
    happen(&life, EVENT_EDITED);
    expect("not moved", &life, RULE_WAIT_BUDGET, "");
    record_release(&life.record);
}

static void test_a_new_head_is_judged_by_itself(void **state)
{
    (void)state;
    struct life life;
    begin(&life, false, UNTIL_MS);
    happen(&life, EVENT_OPENED);
    label(&life, true);
    push(&life, sha_b);
    expect("untrusted push", &life, RULE_WAIT_UNTRUSTED, "remove_label, check_awaiting");
    check_int("older head", "until", head_of(&life, sha_a)->budget_until_ms, 0);
    check_int("new head", "until", head_of(&life, sha_b)->budget_until_ms, 0);
    life.until_ms = 0;
    life.github.labelled = false;
    happen(&life, EVENT_WAKE);
    expect("nothing of the older head's", &life, RULE_WAIT_UNTRUSTED, "");
    record_release(&life.record);
}

static void test_what_ends_the_wait(void **state)
{
    (void)state;
    struct life life;
    begin(&life, false, UNTIL_MS);
    happen(&life, EVENT_OPENED);
    label(&life, true);
    label(&life, false);
    expect("label off", &life, RULE_WAIT_UNTRUSTED, "check_awaiting");
    check_int("label off", "until", head_of(&life, sha_a)->budget_until_ms, 0);
    label(&life, true);
    expect("label on", &life, RULE_WAIT_BUDGET, "check_awaiting");
    life.github.closed = true;
    happen(&life, EVENT_CLOSED);
    expect("closed", &life, RULE_CLOSED, "");
    check_int("closed", "until", head_of(&life, sha_a)->budget_until_ms, 0);
    record_release(&life.record);
}

/* Two things stand in the way: the conflict is told, since somebody has to do something about it. */
static void test_a_conflict_comes_first(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true, UNTIL_MS);
    life.github.mergeable = MERGEABLE_NO;
    happen(&life, EVENT_OPENED);
    expect("conflict", &life, RULE_CONFLICT, "comment_conflict, check_awaiting");
    check_int("conflict", "until", head_of(&life, sha_a)->budget_until_ms, 0);
    life.github.mergeable = MERGEABLE_YES;
    happen(&life, EVENT_EDITED);
    expect("resolved", &life, RULE_WAIT_BUDGET, "check_awaiting");
    life.github.mergeable = MERGEABLE_NO;
    happen(&life, EVENT_EDITED);
    expect("conflict again", &life, RULE_CONFLICT, "check_awaiting");
    check_int("conflict again", "until", head_of(&life, sha_a)->budget_until_ms, 0);
    record_release(&life.record);
}

static void test_a_rerun_is_refused_until_then(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true, 0);
    happen(&life, EVENT_OPENED);
    head_of(&life, sha_a)->ci = CI_STARTED;
    head_of(&life, sha_a)->ci_at_ms = 800000;
    life.until_ms = UNTIL_MS;
    happen(&life, EVENT_RERUN);
    expect("refused", &life, RULE_RERUN_BUDGET, "check_done");
    check_int("refused", "reruns", head_of(&life, sha_a)->reruns, 0);
    check_int("refused", "until", head_of(&life, sha_a)->budget_until_ms, UNTIL_MS);
    happen(&life, EVENT_RERUN);
    expect("told already", &life, RULE_RERUN_BUDGET, "");
    life.until_ms = 0;
    happen(&life, EVENT_RERUN);
    expect("free", &life, RULE_RERUN, "trigger, check_done");
    check_int("free", "until", head_of(&life, sha_a)->budget_until_ms, 0);
    record_release(&life.record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_allowed_waits_and_starts_by_itself),
        cmocka_unit_test(test_the_check_says_a_time_that_has_moved),
        cmocka_unit_test(test_a_new_head_is_judged_by_itself),
        cmocka_unit_test(test_what_ends_the_wait),
        cmocka_unit_test(test_a_conflict_comes_first),
        cmocka_unit_test(test_a_rerun_is_refused_until_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
