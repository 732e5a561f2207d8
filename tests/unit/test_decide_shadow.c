/* A dry run beside a gate that acts: the label is looked at as it would be, until somebody really changes it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "prgate/decide.h"

static const char *const shas[] = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                   "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
                                   "cccccccccccccccccccccccccccccccccccccccc"};

enum { START = 1000000 };

/* A pull request as GitHub really shows it, and what prgate makes of it. */
struct life {
    struct record record;
    struct snapshot github;
    bool dry_run, trusted, pusher_trusted;
    struct decision decision;
};

static void begin(struct life *life, bool trusted)
{
    *life = (struct life){.dry_run = true, .trusted = trusted, .pusher_trusted = trusted};
    record_init(&life->record);
    life->github = (struct snapshot){.updated_at = START, .mergeable = MERGEABLE_YES};
    assert_true(sha_parse(&life->github.head, shas[0]));
}

/* What act and drain make of the label: shown only, so that GitHub stays as it is. */
static void perform(struct life *life)
{
    for (unsigned i = 0; i < life->decision.intent_count; i++) {
        enum intent_kind kind = life->decision.intents[i].kind;
        if (kind != INTENT_ADD_LABEL && kind != INTENT_REMOVE_LABEL)
            continue;
        bool adds = kind == INTENT_ADD_LABEL, shown = life->github.labelled != adds;
        life->record.shadow_label = !shown ? SHADOW_NONE : adds ? SHADOW_SET : SHADOW_OFF;
        life->record.shadow_at = shown ? life->record.view.updated_at : 0;
    }
}

static void deliver(struct life *life, const struct event *event)
{
    struct facts facts = {.dry_run = life->dry_run};
    int64_t now_ms = (life->github.updated_at + 5) * 1000;
    enum fact need;
    while ((need = decide_needs(&life->record, event, &facts, now_ms)) != 0) {
        facts.read = life->github;
        facts.read_ms = now_ms;
        facts.author_trusted = life->trusted;
        facts.pusher_trusted = life->pusher_trusted;
        facts.sender_may_approve = true;
        facts.known |= (unsigned)need;
    }
    record_reserve_head(&life->record);
    decide(&life->record, event, &facts, now_ms, &life->decision);
    perform(life);
}

static struct event make(const struct life *life, enum event_action action)
{
    return (struct event){.action = action,
                          .received_ms = life->github.updated_at * 1000,
                          .pr = life->github,
                          .sender = {.id = 7, .login = "sender"},
                          .label_is_gate = action == EVENT_LABELED || action == EVENT_UNLABELED};
}

static void happen(struct life *life, enum event_action action)
{
    life->github.updated_at += 100;
    if (action == EVENT_LABELED || action == EVENT_UNLABELED)
        life->github.labelled = action == EVENT_LABELED;
    struct event event = make(life, action);
    deliver(life, &event);
}

static void push(struct life *life, int head)
{
    assert_true(sha_parse(&life->github.head, shas[head]));
    happen(life, EVENT_SYNCHRONIZE);
}

static void expect(const struct life *life, const char *what, enum rule rule)
{
    check_str(what, "rule", rule_name(life->decision.rule), rule_name(rule));
}

static void test_label_that_would_be_set_lets_the_next_push_through(void **state)
{
    (void)state;
    for (int dry_run = 0; dry_run < 2; dry_run++) {
        struct life life;
        begin(&life, true);
        happen(&life, EVENT_OPENED);
        expect(&life, "opened", RULE_OPENED);
        check_int("opened", "shadow", (int)life.record.shadow_label, SHADOW_SET);
        life.dry_run = dry_run != 0; /* else what GitHub shows counts */
        push(&life, 1);
        expect(&life, "pushed", dry_run ? RULE_PUSHED : RULE_WAIT_NO_LABEL);
        check_bool("pushed", "labelled", life.record.view.labelled, dry_run != 0);
        check_int("pushed", "shadow", (int)life.record.shadow_label, dry_run ? SHADOW_SET : SHADOW_NONE);
        record_release(&life.record);
    }
}

static void test_label_that_would_be_off_covers_nothing(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    happen(&life, EVENT_LABELED);
    life.pusher_trusted = false;
    push(&life, 1);
    expect(&life, "stranger", RULE_WAIT_PUSHER);
    check_int("stranger", "shadow", (int)life.record.shadow_label, SHADOW_OFF);
    life.pusher_trusted = true;
    push(&life, 2);
    expect(&life, "trusted", RULE_WAIT_NO_LABEL);
    assert_true(life.github.labelled); /* really it is there all the time */
    record_release(&life.record);
}

static void test_somebody_s_label_counts_as_it_is(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    happen(&life, EVENT_OPENED);
    happen(&life, EVENT_LABELED); /* the other gate's */
    expect(&life, "labeled", RULE_ALREADY);
    check_int("labeled", "shadow", (int)life.record.shadow_label, SHADOW_NONE);
    happen(&life, EVENT_UNLABELED);
    push(&life, 1);
    expect(&life, "taken off", RULE_WAIT_NO_LABEL);
    record_release(&life.record);
}

/* Heard of late, it is no news of the label. */
static void test_label_of_before_the_shadow_does_not_end_it(void **state)
{
    (void)state;
    struct life life;
    begin(&life, false);
    happen(&life, EVENT_OPENED);
    life.github.updated_at += 100;
    life.github.labelled = true;
    struct event late = make(&life, EVENT_LABELED);
    push(&life, 1);
    expect(&life, "pushed", RULE_WAIT_UNTRUSTED);
    check_int("pushed", "shadow", (int)life.record.shadow_label, SHADOW_OFF);
    deliver(&life, &late);
    expect(&life, "late", RULE_STALE_APPROVAL);
    check_int("late", "shadow", (int)life.record.shadow_label, SHADOW_OFF);
    check_bool("late", "labelled", life.record.view.labelled, false);
    happen(&life, EVENT_UNLABELED); /* the other gate does the same a little later */
    check_int("agreed", "shadow", (int)life.record.shadow_label, SHADOW_NONE);
    happen(&life, EVENT_LABELED);
    expect(&life, "anew", RULE_APPROVED);
    record_release(&life.record);
}

/* Any payload or read that shows the label as it would be. */
static void test_shadow_ends_where_github_agrees(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    happen(&life, EVENT_OPENED);
    life.github.labelled = true; /* its webhook is lost */
    happen(&life, EVENT_EDITED);
    check_int("edited", "shadow", (int)life.record.shadow_label, SHADOW_NONE);
    check_bool("edited", "labelled", life.record.view.labelled, true);
    life.github.labelled = false;
    push(&life, 1);
    expect(&life, "pushed", RULE_WAIT_NO_LABEL);
    record_release(&life.record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_label_that_would_be_set_lets_the_next_push_through),
        cmocka_unit_test(test_label_that_would_be_off_covers_nothing),
        cmocka_unit_test(test_somebody_s_label_counts_as_it_is),
        cmocka_unit_test(test_label_of_before_the_shadow_does_not_end_it),
        cmocka_unit_test(test_shadow_ends_where_github_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
