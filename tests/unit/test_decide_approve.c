/*
 * Approvals by label and by button: bound to a commit, to a person and to a means; a label that came too soon after the
 * push, one by somebody who may not set it, and that no order of arrival matters.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "check.h"
#include "prgate/decide.h"

static const char *const sha_a = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char *const sha_b = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

enum { START = 1000000, SETTLE_S = 10, EVENTS_MAX = 8 };

static const struct user author = {.id = 1, .login = "ann"};
static const struct user approver = {.id = 2, .login = "tim"};
static const struct user nobody_special = {.id = 3, .login = "eve"};
static const struct user operator= {.login = "root"};
static const struct user gate = {.id = 9, .login = "prgate[bot]", .bot = true};

/* A pull request on GitHub, what has happened to it, and what prgate knows of it. */
struct life {
    struct record record;
    struct snapshot github;
    struct user label_by;
    int64_t label_at;
    bool trusted, pusher_trusted, label_is_told;
    int settle_s;
    struct event events[EVENTS_MAX];
    int count;
    struct decision decision;
    unsigned asked; /* facts, of the last delivery */
    int triggers, look_again, not_approver, removals;
};

static struct sha sha(const char *hex)
{
    struct sha sha;
    assert_true(sha_parse(&sha, hex));
    return sha;
}

static void begin(struct life *life)
{
    *life = (struct life){.settle_s = SETTLE_S, .label_is_told = true};
    record_init(&life->record);
    life->record.key = (struct pr_key){.repo_id = 1, .number = 2};
    life->github = (struct snapshot){
        .updated_at = START, .head = sha(sha_a), .author = author, .mergeable = MERGEABLE_YES};
}

/* It happens at that second; its delivery is events[count - 1]. */
static struct event *happen(struct life *life, enum event_action action, const struct user *sender,
                            int64_t at)
{
    struct event *event = &life->events[life->count++];
    assert_true(life->count <= EVENTS_MAX);
    life->github.updated_at = START + at;
    if (action == EVENT_LABELED || action == EVENT_UNLABELED)
        life->github.labelled = action == EVENT_LABELED;
    if (action == EVENT_LABELED) {
        life->label_by = *sender;
        life->label_at = START + at;
    }
    *event = (struct event){.action = action,
                            .received_ms = (START + at) * INT64_C(1000),
                            .pr = life->github,
                            .sender = *sender,
                            .label_is_gate = action == EVENT_LABELED || action == EVENT_UNLABELED};
    if (action == EVENT_BUTTON || action == EVENT_OPERATOR_APPROVE)
        event->pr = (struct snapshot){.head = life->github.head};
    return event;
}

static void push(struct life *life, const char *head, const struct user *sender, int64_t at)
{
    life->github.head = sha(head);
    happen(life, EVENT_SYNCHRONIZE, sender, at);
}

static void learn(struct life *life, const struct event *event, enum fact fact, struct facts *facts)
{
    switch (fact) {
    case FACT_READ:
        facts->read = life->github;
        facts->read_ms = (life->github.updated_at + 3) * 1000;
        break;
    case FACT_IDENTITY:
        facts->sender_is_prgate = event->sender.id == gate.id;
        break;
    case FACT_SENDER:
        facts->sender_may_approve = event->sender.id == approver.id;
        facts->sender_permission = facts->sender_may_approve ? PERMISSION_MAINTAIN : PERMISSION_READ;
        break;
    case FACT_AUTHOR:
        facts->author_trusted = life->trusted;
        break;
    case FACT_PUSHER:
        facts->pusher_trusted = life->pusher_trusted;
        break;
    case FACT_LABEL:
        facts->label_is_set = life->label_is_told && life->github.labelled;
        facts->label_set_by = life->label_by;
        facts->label_set_at = life->label_at;
        break;
    case FACT_EMERGENCY: /* without policies beside the gate nobody asks */
    case FACT_FILES:
        fail_msg("fact %d", (int)fact);
    }
    facts->known |= (unsigned)fact;
}

/* As act would, on GitHub; without the echoes. */
static void perform(struct life *life)
{
    for (unsigned i = 0; i < life->decision.intent_count; i++) {
        const struct intent *intent = &life->decision.intents[i];
        life->triggers += intent->kind == INTENT_TRIGGER;
        life->look_again += intent->kind == INTENT_COMMENT && intent->message == MESSAGE_LOOK_AGAIN;
        life->not_approver += intent->kind == INTENT_COMMENT && intent->message == MESSAGE_NOT_APPROVER;
        life->removals += intent->kind == INTENT_REMOVE_LABEL;
        if (intent->kind == INTENT_REMOVE_LABEL || intent->kind == INTENT_ADD_LABEL)
            life->github.labelled = intent->kind == INTENT_ADD_LABEL;
        if (intent->kind == INTENT_ADD_LABEL)
            life->label_by = gate;
    }
}

static void deliver(struct life *life, const struct event *event)
{
    struct facts facts = {.settle_s = life->settle_s};
    int64_t now_ms = (life->github.updated_at + 3) * 1000;
    enum fact need;
    while ((need = decide_needs(&life->record, event, &facts, now_ms)) != 0)
        learn(life, event, need, &facts);
    record_reserve_head(&life->record);
    decide(&life->record, event, &facts, now_ms, &life->decision);
    life->asked = facts.known;
    perform(life);
}

static void deliver_last(struct life *life)
{
    deliver(life, &life->events[life->count - 1]);
}

static const struct head *head_now(const struct life *life)
{
    const struct head *head = record_find_head(&life->record, &life->github.head);
    assert_non_null(head);
    return head;
}

static bool does(const struct life *life, enum intent_kind kind)
{
    for (unsigned i = 0; i < life->decision.intent_count; i++)
        if (life->decision.intents[i].kind == kind)
            return true;
    return false;
}

static void expect(const struct life *life, enum rule rule)
{
    assert_string_equal(rule_name(life->decision.rule), rule_name(rule));
}

/* Opened, and pushed to at second 100, by an author whose commits wait. */
static void begin_pushed(struct life *life)
{
    begin(life);
    happen(life, EVENT_OPENED, &author, 0);
    deliver_last(life);
    push(life, sha_b, &author, 100);
    deliver_last(life);
    expect(life, RULE_WAIT_UNTRUSTED);
}

/* ---- every order ---- */

typedef void outcome_fn(const struct life *life, const char *row);

/* Delivers what has happened since `from` in each order, to as many copies of what was known then. */
static void deliver_in_every_order(const struct life *life, int from, outcome_fn *check)
{
    int order[EVENTS_MAX], n = life->count - from;
    for (int code = 0, all = 1;; code++) {
        char row[32];
        int rest = code, used = 0;
        all = 1;
        for (int i = n; i > 1; i--)
            all *= i;
        if (code == all)
            return;
        for (int i = 0; i < n; i++) {
            int pick = rest % (n - i), at = 0;
            rest /= n - i;
            while ((used >> at & 1) != 0 || pick-- > 0)
                at++;
            used |= 1 << at;
            order[i] = from + at;
        }
        struct life copy = *life;
        record_init(&copy.record);
        record_copy(&copy.record, &life->record);
        for (int i = 0; i < n; i++)
            deliver(&copy, &copy.events[order[i]]);
        snprintf(row, sizeof row, "order %d of %d", code, all);
        check(&copy, row);
        record_release(&copy.record);
    }
}

/* ---- the label's time ---- */

static void test_label_counts_from_the_settle_time_on(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int settle_s, after_s;
        bool counts;
    } rows[] = {
        {"at once", 10, 0, false},      {"9 s", 10, 9, false}, {"10 s", 10, 10, true},
        {"later", 10, 500, true},       {"off", 0, 0, true},   {"long", 600, 599, false},
        {"long, over", 600, 600, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct life life;
        begin_pushed(&life);
        life.settle_s = rows[i].settle_s;
        happen(&life, EVENT_LABELED, &approver, 100 + rows[i].after_s);
        deliver_last(&life);
        const struct head *head = head_now(&life);
        check_str(rows[i].name, "rule", rule_name(life.decision.rule),
                  rule_name(rows[i].counts ? RULE_APPROVED : RULE_TOO_SOON));
        check_int(rows[i].name, "triggers", life.triggers, rows[i].counts);
        check_bool(rows[i].name, "label", life.github.labelled, rows[i].counts);
        check_int(rows[i].name, "comments", life.look_again, !rows[i].counts);
        check_bool(rows[i].name, "approved", head->approved, rows[i].counts);
        check_bool(rows[i].name, "too soon", head->too_soon, !rows[i].counts);
        check_str(rows[i].name, "check", wait_reason_name(head->check_reason),
                  rows[i].counts ? "nothing" : "too_soon");
        record_release(&life.record);
    }
}

static void test_look_again_is_about_the_new_commit_and_whoever_set_the_label(void **state)
{
    (void)state;
    struct life life;
    begin_pushed(&life);
    happen(&life, EVENT_LABELED, &approver, 101);
    deliver_last(&life);
    const struct intent *comment = &life.decision.intents[1];
    assert_int_equal(life.decision.intents[0].kind, INTENT_REMOVE_LABEL);
    assert_int_equal(comment->kind, INTENT_COMMENT);
    assert_string_equal(comment->sha.hex, sha_b);
    assert_string_equal(comment->person.login, "tim");
    record_release(&life.record);
}

static bool late_enough;

static void expect_by_time(const struct life *life, const char *row)
{
    const struct head *head = head_now(life);
    check_int(row, "triggers", life->triggers, late_enough);
    check_bool(row, "label", life->github.labelled, late_enough);
    check_int(row, "look again", life->look_again, !late_enough);
    check_bool(row, "approved", head->approved, late_enough);
    check_str(row, "approver", head->approver.login, "tim");
    check_int(row, "permission", head->approver_permission, PERMISSION_MAINTAIN);
    check_int(row, "means", head->means, late_enough ? MEANS_LABEL : MEANS_NONE);
    check_str(row, "approved head", life->record.approved_head.hex, late_enough ? sha_b : "");
    check_str(row, "waits for", wait_reason_name(head->check_reason), late_enough ? "nothing" : "too_soon");
}

/* Opening, push and label, the label first, too: it waits for the push. */
static void test_no_order_makes_a_label_sooner_or_later(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct life life;
        begin(&life);
        late_enough = late;
        happen(&life, EVENT_OPENED, &author, 0);
        push(&life, sha_b, &author, 100);
        happen(&life, EVENT_LABELED, &approver, late ? 110 : 109);
        deliver_in_every_order(&life, 0, expect_by_time);
        record_release(&life.record);
    }
}

static void expect_second_label_counts(const struct life *life, const char *row)
{
    check_int(row, "triggers", life->triggers, 1);
    check_bool(row, "label", life->github.labelled, true);
    check_bool(row, "comments at most once", life->look_again <= 1, true);
    check_str(row, "approved head", life->record.approved_head.hex, sha_b);
}

static void test_a_second_label_after_the_settle_time_approves(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    happen(&life, EVENT_OPENED, &author, 0);
    push(&life, sha_b, &author, 100);
    happen(&life, EVENT_LABELED, &approver, 102);
    happen(&life, EVENT_UNLABELED, &approver, 104);
    happen(&life, EVENT_LABELED, &approver, 120);
    deliver_in_every_order(&life, 0, expect_second_label_counts);
    record_release(&life.record);
}

static void test_two_labels_too_soon_are_one_comment(void **state)
{
    (void)state;
    struct life life;
    begin_pushed(&life);
    for (int64_t at = 101; at < 104; at++) {
        happen(&life, EVENT_LABELED, &approver, at);
        deliver_last(&life);
        expect(&life, RULE_TOO_SOON);
        assert_false(life.github.labelled);
        deliver_last(&life); /* and again, under another id */
        assert_false(does(&life, INTENT_COMMENT) || does(&life, INTENT_REMOVE_LABEL));
    }
    assert_int_equal(life.look_again, 1);
    assert_int_equal(life.removals, 3);
    happen(&life, EVENT_UNLABELED, &gate, 105);
    deliver_last(&life);
    assert_int_equal(life.decision.intent_count, 0);
    record_release(&life.record);
}

static void expect_started_with_the_opening(const struct life *life, const char *row)
{
    check_int(row, "triggers", life->triggers, 1);
    check_int(row, "look again", life->look_again, 0);
    check_bool(row, "label", life->github.labelled, true);
}

/* Opened with the label, GitHub sends `labeled` at once: no other commit can have been meant. */
static void test_a_commit_that_replaced_none_needs_no_time(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    happen(&life, EVENT_OPENED, &author, 0);
    happen(&life, EVENT_LABELED, &approver, 0);
    life.events[0].pr.labelled = true;
    deliver_in_every_order(&life, 0, expect_started_with_the_opening);
    record_release(&life.record);
}

/* It would start with the label there without anybody's look. */
static void test_trusted_push_of_a_trusted_author_needs_no_time(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    life.trusted = life.pusher_trusted = true;
    happen(&life, EVENT_OPENED, &author, 0);
    deliver_last(&life);
    life.github.labelled = false;
    happen(&life, EVENT_UNLABELED, &approver, 50);
    deliver_last(&life);
    int from = life.count;
    life.triggers = 0;
    push(&life, sha_b, &author, 100);
    happen(&life, EVENT_LABELED, &approver, 101);
    deliver_in_every_order(&life, from, expect_started_with_the_opening);
    record_release(&life.record);
}

static void test_stranger_s_push_to_a_trusted_author_s_needs_time(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    life.trusted = true;
    happen(&life, EVENT_OPENED, &author, 0);
    deliver_last(&life);
    life.github.labelled = false;
    push(&life, sha_b, &nobody_special, 100);
    deliver_last(&life);
    happen(&life, EVENT_LABELED, &approver, 105);
    deliver_last(&life);
    expect(&life, RULE_TOO_SOON);
    assert_int_equal(life.triggers, 1); /* the opening's */
    record_release(&life.record);
}

static void test_label_on_a_started_commit_is_never_too_soon(void **state)
{
    (void)state;
    struct life life;
    begin_pushed(&life);
    happen(&life, EVENT_LABELED, &approver, 110);
    deliver_last(&life);
    happen(&life, EVENT_UNLABELED, &approver, 111);
    deliver_last(&life);
    life.record.heads[1].came_at = START + 112;
    happen(&life, EVENT_LABELED, &approver, 113);
    deliver_last(&life);
    expect(&life, RULE_ALREADY);
    assert_int_equal(life.decision.intent_count, 0);
    record_release(&life.record);
}

static void test_own_label_is_never_too_soon(void **state)
{
    (void)state;
    struct life life;
    begin_pushed(&life);
    happen(&life, EVENT_LABELED, &gate, 100);
    deliver_last(&life);
    assert_false(head_now(&life)->too_soon);
    assert_int_equal(life.look_again, 0);
    assert_false(head_now(&life)->approved);
    record_release(&life.record);
}

static void test_label_that_waits_for_the_push_is_over_when_it_is_taken_off(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    happen(&life, EVENT_OPENED, &author, 0);
    deliver_last(&life);
    push(&life, sha_b, &author, 100);
    happen(&life, EVENT_LABELED, &approver, 150);
    deliver_last(&life);
    expect(&life, RULE_BEFORE_PUSH);
    assert_int_equal(life.decision.intents[0].reason, WAIT_TOO_SOON);
    assert_true(life.github.labelled);
    happen(&life, EVENT_UNLABELED, &approver, 160);
    deliver_last(&life);
    expect(&life, RULE_WAIT_UNTRUSTED);
    deliver(&life, &life.events[1]);
    assert_int_equal(life.triggers, 0);
    assert_false(head_now(&life)->approved);
    record_release(&life.record);
}

/* Made up for one that was lost for good, by nobody: when it was nobody can say, so somebody is to look again. */
static void test_label_that_waits_for_a_lost_push_is_to_be_set_again(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    happen(&life, EVENT_OPENED, &author, 0);
    deliver_last(&life);
    life.github.head = sha(sha_b);
    happen(&life, EVENT_LABELED, &approver, 150);
    deliver_last(&life);
    expect(&life, RULE_BEFORE_PUSH);
    happen(&life, EVENT_SYNCHRONIZE, &(struct user){0}, 160);
    deliver_last(&life);
    expect(&life, RULE_TOO_SOON);
    assert_int_equal(life.look_again, 1);
    assert_int_equal(life.removals, 1);
    happen(&life, EVENT_LABELED, &approver, 170);
    deliver_last(&life);
    expect(&life, RULE_APPROVED);
    record_release(&life.record);
}

/* Its return is a push like any other: that it was there once does not make it known. */
static void test_commit_that_comes_back_is_new_again(void **state)
{
    (void)state;
    struct life life;
    begin_pushed(&life);
    push(&life, sha_a, &author, 200);
    deliver_last(&life);
    happen(&life, EVENT_LABELED, &approver, 203);
    deliver_last(&life);
    expect(&life, RULE_TOO_SOON);
    happen(&life, EVENT_LABELED, &approver, 210);
    deliver_last(&life);
    expect(&life, RULE_APPROVED);
    record_release(&life.record);
}

/* Seen since long, though its push was lost: then it need not be waited for. */
static void test_commit_whose_push_was_lost_is_known_from_when_it_was_seen(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    happen(&life, EVENT_EDITED, &author, 50);
    deliver_last(&life);
    happen(&life, EVENT_LABELED, &approver, 60);
    deliver_last(&life);
    expect(&life, RULE_APPROVED);
    record_release(&life.record);
}

/* ---- somebody who may not ---- */

static void test_refused_label_is_taken_off_with_a_comment(void **state)
{
    (void)state;
    struct life life;
    begin_pushed(&life);
    happen(&life, EVENT_LABELED, &nobody_special, 150);
    deliver_last(&life);
    expect(&life, RULE_NOT_APPROVER);
    assert_false(life.github.labelled);
    assert_int_equal(life.not_approver, 1);
    assert_string_equal(life.decision.intents[1].person.login, "eve");
    assert_int_equal(head_now(&life)->check_reason, WAIT_NOT_APPROVER);
    happen(&life, EVENT_UNLABELED, &gate, 151);
    deliver_last(&life);
    assert_int_equal(life.decision.intent_count, 0);
    record_release(&life.record);
}

static void expect_approved_by_tim(const struct life *life, const char *row)
{
    check_int(row, "triggers", life->triggers, 1);
    check_bool(row, "label", life->github.labelled, true);
    check_str(row, "approver", head_now(life)->approver.login, "tim");
    check_str(row, "approved head", life->record.approved_head.hex, sha_b);
}

static void happen_refused_then_approved(struct life *life)
{
    begin_pushed(life);
    happen(life, EVENT_LABELED, &nobody_special, 150);
    happen(life, EVENT_UNLABELED, &nobody_special, 151);
    happen(life, EVENT_LABELED, &approver, 152);
}

/* Whether GitHub tells whose label it is, or not. */
static void test_refused_label_and_then_an_approver_s_in_every_order(void **state)
{
    (void)state;
    for (int told = 0; told < 2; told++) {
        struct life life;
        happen_refused_then_approved(&life);
        life.label_is_told = told;
        deliver_in_every_order(&life, 2, expect_approved_by_tim);
        record_release(&life.record);
    }
}

static void test_late_refused_label_leaves_the_approver_s_on(void **state)
{
    (void)state;
    struct life life;
    happen_refused_then_approved(&life);
    deliver(&life, &life.events[2]);
    expect(&life, RULE_WITHDRAWN);
    assert_int_equal(life.removals, 0);
    assert_true(life.github.labelled);
    record_release(&life.record);
}

/* GitHub did not tell whose it is: the wrong one goes, and comes back with its own event. */
static void test_label_that_was_taken_for_the_refused_one_comes_back(void **state)
{
    (void)state;
    struct life life;
    happen_refused_then_approved(&life);
    life.label_is_told = false;
    deliver(&life, &life.events[2]);
    expect(&life, RULE_NOT_APPROVER);
    assert_false(life.github.labelled);
    deliver(&life, &life.events[4]);
    expect(&life, RULE_APPROVED);
    assert_true(does(&life, INTENT_ADD_LABEL));
    record_release(&life.record);
}

/* Approved, in conflict, taken back; then somebody who may not sets the label. */
static void test_refused_label_does_not_bring_an_old_approval_back(void **state)
{
    (void)state;
    struct life life;
    begin_pushed(&life);
    life.github.mergeable = MERGEABLE_NO;
    happen(&life, EVENT_LABELED, &approver, 150);
    deliver_last(&life);
    expect(&life, RULE_CONFLICT);
    happen(&life, EVENT_UNLABELED, &approver, 160);
    deliver_last(&life);
    life.github.mergeable = MERGEABLE_YES;
    happen(&life, EVENT_LABELED, &nobody_special, 170);
    deliver_last(&life);
    expect(&life, RULE_NOT_APPROVER);
    happen(&life, EVENT_EDITED, &author, 180);
    deliver_last(&life);
    assert_int_equal(life.triggers, 0);
    record_release(&life.record);
}

/* A trusted author's push waits since the label was taken off: that prgate takes another off, does not let it through. */
static void test_refused_label_covers_no_push(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    life.trusted = life.pusher_trusted = true;
    happen(&life, EVENT_OPENED, &author, 0);
    deliver_last(&life);
    happen(&life, EVENT_UNLABELED, &approver, 50);
    deliver_last(&life);
    push(&life, sha_b, &author, 100);
    deliver_last(&life);
    expect(&life, RULE_WAIT_NO_LABEL);
    happen(&life, EVENT_LABELED, &nobody_special, 150);
    deliver_last(&life);
    expect(&life, RULE_NOT_APPROVER);
    deliver(&life, &life.events[2]); /* once more, under another id */
    assert_int_equal(life.triggers, 1);
    record_release(&life.record);
}

static void test_whose_label_it_is_is_asked_only_where_it_would_go(void **state)
{
    (void)state;
    struct life life;
    begin_pushed(&life);
    happen(&life, EVENT_LABELED, &approver, 150);
    deliver_last(&life);
    assert_int_equal(life.asked & FACT_LABEL, 0);
    assert_int_equal(life.asked & FACT_AUTHOR, 0);
    push(&life, sha_a, &author, 200);
    deliver_last(&life);
    happen(&life, EVENT_LABELED, &nobody_special, 250);
    deliver_last(&life);
    assert_int_equal(life.asked & FACT_LABEL, FACT_LABEL);
    record_release(&life.record);
}

/* ---- the button ---- */

static void test_button_approves_the_commit_that_it_names(void **state)
{
    (void)state;
    struct life life;
    begin_pushed(&life);
    happen(&life, EVENT_BUTTON, &approver, 100); /* at once: it says which commit was seen */
    deliver_last(&life);
    expect(&life, RULE_APPROVED);
    const struct head *head = head_now(&life);
    assert_int_equal(head->means, MEANS_BUTTON);
    assert_int_equal(head->approver_permission, PERMISSION_MAINTAIN);
    assert_string_equal(head->approver.login, "tim");
    assert_string_equal(life.record.approved_head.hex, sha_b);
    assert_int_equal(life.decision.intent_count, 3);
    assert_int_equal(life.decision.intents[0].kind, INTENT_TRIGGER);
    assert_int_equal(life.decision.intents[1].kind, INTENT_ADD_LABEL);
    assert_int_equal(life.decision.intents[2].kind, INTENT_CHECK_DONE);
    deliver_last(&life);
    expect(&life, RULE_ALREADY);
    assert_int_equal(life.decision.intent_count, 0);
    happen(&life, EVENT_LABELED, &gate, 101);
    deliver_last(&life);
    assert_int_equal(life.decision.intent_count, 0);
    record_release(&life.record);
}

static void expect_new_commit_waits(const struct life *life, const char *row)
{
    check_int(row, "triggers", life->triggers, 0);
    check_bool(row, "approved", head_now(life)->approved, false);
    check_bool(row, "label", life->github.labelled, false);
    check_str(row, "waits for", wait_reason_name(head_now(life)->check_reason), "untrusted");
}

/* A yes of that kind to a commit that is the head no more, in whatever order it and the push come. */
static void check_old_commit_stays_unapproved(enum event_action yes, const struct user *who, enum rule rule)
{
    struct life life;
    begin_pushed(&life);
    int from = life.count;
    happen(&life, yes, who, 150);
    push(&life, sha_a, &author, 151);
    deliver_in_every_order(&life, from, expect_new_commit_waits);
    deliver(&life, &life.events[from]);
    expect(&life, rule);
    assert_int_equal(life.decision.intent_count, 0);
    record_release(&life.record);
}

static void test_button_of_an_old_commit_approves_nothing(void **state)
{
    (void)state;
    check_old_commit_stays_unapproved(EVENT_BUTTON, &approver, RULE_BUTTON_OLD);
}

static void test_button_by_somebody_who_may_not_is_told(void **state)
{
    (void)state;
    struct life life;
    begin_pushed(&life);
    happen(&life, EVENT_BUTTON, &nobody_special, 150);
    deliver_last(&life);
    expect(&life, RULE_BUTTON_REFUSED);
    assert_int_equal(life.not_approver, 1);
    assert_false(does(&life, INTENT_REMOVE_LABEL));
    assert_int_equal(head_now(&life)->check_reason, WAIT_NOT_APPROVER);
    happen(&life, EVENT_BUTTON, &approver, 160);
    deliver_last(&life);
    expect(&life, RULE_APPROVED);
    record_release(&life.record);
}

static void expect_started_once(const struct life *life, const char *row)
{
    check_int(row, "triggers", life->triggers, 1);
    check_bool(row, "approved", head_now(life)->approved, true);
}

/* Pressed before it was closed, heard of at any time: it counts once it is open again. */
static void test_button_counts_when_reopened(void **state)
{
    (void)state;
    struct life life;
    begin_pushed(&life);
    life.github.closed = true;
    happen(&life, EVENT_CLOSED, &author, 160);
    deliver_last(&life);
    happen(&life, EVENT_BUTTON, &approver, 150);
    deliver_last(&life);
    expect(&life, RULE_CLOSED);
    assert_int_equal(life.decision.intent_count, 0);
    life.github.closed = false;
    happen(&life, EVENT_REOPENED, &author, 170);
    deliver_last(&life);
    expect(&life, RULE_APPROVED);
    assert_true(life.github.labelled);
    expect_started_once(&life, "reopened");
    record_release(&life.record);
}

/* The label shows that it is approved, and takes the approval back when it is taken off. */
static void test_button_in_a_conflict_is_shown_by_the_label(void **state)
{
    (void)state;
    for (int taken_back = 0; taken_back < 2; taken_back++) {
        struct life life;
        begin_pushed(&life);
        life.github.mergeable = MERGEABLE_NO;
        happen(&life, EVENT_BUTTON, &approver, 150);
        deliver_last(&life);
        expect(&life, RULE_CONFLICT);
        assert_true(life.github.labelled);
        if (taken_back) {
            happen(&life, EVENT_UNLABELED, &approver, 155);
            deliver_last(&life);
        }
        life.github.mergeable = MERGEABLE_YES;
        happen(&life, EVENT_EDITED, &author, 160);
        deliver_last(&life);
        assert_int_equal(life.triggers, !taken_back);
        record_release(&life.record);
    }
}

/* ---- the operator ---- */

static void test_operator_approves_and_nobody_is_asked(void **state)
{
    (void)state;
    struct life life;
    begin_pushed(&life);
    happen(&life, EVENT_OPERATOR_APPROVE, &operator, 100);
    deliver_last(&life);
    expect(&life, RULE_OPERATOR);
    assert_int_equal(life.asked & ~(unsigned)FACT_READ, 0);
    const struct head *head = head_now(&life);
    assert_int_equal(head->means, MEANS_OPERATOR);
    assert_int_equal(head->approver_permission, PERMISSION_NONE);
    assert_true(user_is_local(&head->approver));
    assert_string_equal(head->approver.login, "root");
    assert_true(life.github.labelled);
    deliver_last(&life);
    expect(&life, RULE_ALREADY);
    expect_started_once(&life, "twice");
    record_release(&life.record);
}

static void test_operator_s_yes_to_an_old_commit_approves_nothing(void **state)
{
    (void)state;
    check_old_commit_stays_unapproved(EVENT_OPERATOR_APPROVE, &operator, RULE_OPERATOR_OLD);
}

/* Refused, and said so at once: it does not come back later. */
static void test_operator_s_yes_while_it_is_closed_is_not_kept(void **state)
{
    (void)state;
    struct life life;
    begin_pushed(&life);
    life.github.closed = true;
    happen(&life, EVENT_CLOSED, &author, 160);
    deliver_last(&life);
    happen(&life, EVENT_OPERATOR_APPROVE, &operator, 165);
    deliver_last(&life);
    expect(&life, RULE_CLOSED);
    life.github.closed = false;
    happen(&life, EVENT_REOPENED, &author, 170);
    deliver_last(&life);
    assert_false(head_now(&life)->approved);
    assert_int_equal(life.triggers, 0);
    record_release(&life.record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_label_counts_from_the_settle_time_on),
        cmocka_unit_test(test_look_again_is_about_the_new_commit_and_whoever_set_the_label),
        cmocka_unit_test(test_no_order_makes_a_label_sooner_or_later),
        cmocka_unit_test(test_a_second_label_after_the_settle_time_approves),
        cmocka_unit_test(test_two_labels_too_soon_are_one_comment),
        cmocka_unit_test(test_a_commit_that_replaced_none_needs_no_time),
        cmocka_unit_test(test_trusted_push_of_a_trusted_author_needs_no_time),
        cmocka_unit_test(test_stranger_s_push_to_a_trusted_author_s_needs_time),
        cmocka_unit_test(test_label_on_a_started_commit_is_never_too_soon),
        cmocka_unit_test(test_own_label_is_never_too_soon),
        cmocka_unit_test(test_label_that_waits_for_the_push_is_over_when_it_is_taken_off),
        cmocka_unit_test(test_label_that_waits_for_a_lost_push_is_to_be_set_again),
        cmocka_unit_test(test_commit_that_comes_back_is_new_again),
        cmocka_unit_test(test_commit_whose_push_was_lost_is_known_from_when_it_was_seen),
        cmocka_unit_test(test_refused_label_is_taken_off_with_a_comment),
        cmocka_unit_test(test_refused_label_and_then_an_approver_s_in_every_order),
        cmocka_unit_test(test_late_refused_label_leaves_the_approver_s_on),
        cmocka_unit_test(test_label_that_was_taken_for_the_refused_one_comes_back),
        cmocka_unit_test(test_refused_label_does_not_bring_an_old_approval_back),
        cmocka_unit_test(test_refused_label_covers_no_push),
        cmocka_unit_test(test_whose_label_it_is_is_asked_only_where_it_would_go),
        cmocka_unit_test(test_button_approves_the_commit_that_it_names),
        cmocka_unit_test(test_button_of_an_old_commit_approves_nothing),
        cmocka_unit_test(test_button_by_somebody_who_may_not_is_told),
        cmocka_unit_test(test_button_counts_when_reopened),
        cmocka_unit_test(test_button_in_a_conflict_is_shown_by_the_label),
        cmocka_unit_test(test_operator_approves_and_nobody_is_asked),
        cmocka_unit_test(test_operator_s_yes_to_an_old_commit_approves_nothing),
        cmocka_unit_test(test_operator_s_yes_while_it_is_closed_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
