/*
 * The policies beside the gate: each does its thing once, in whatever order and however often events are told.
 */
#include "check.h"

#include <stdio.h>

#include "prgate/decide.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static const int64_t NOW = 1700000000;

static char gate_label[] = "CICD", emergency[] = "emergency", guard[] = "tree-status", wanted[] = "main";
static char any_code[] = "lib/**", any_test[] = "test/**", wrong_base[] = "master", releases[] = "release-*";
static char roller[] = "roller", by_bot[] = "dependabot[bot]=dependencies", nothing[] = "";
static char *code_items[] = {any_code}, *test_items[] = {any_test}, *wrong_items[] = {wrong_base};
static char *release_items[] = {releases}, *account_items[] = {roller}, *author_items[] = {by_bot};

/* All of them on. */
static struct policy all_policies(void)
{
    return (struct policy){.label = gate_label,
                           .emergency_label = emergency,
                           .emergency_check = guard,
                           .emergency_permission = PERMISSION_WRITE,
                           .tests_needed_for = {code_items, 1},
                           .tests_are = {test_items, 1},
                           .base_wanted = wanted,
                           .queue_label = nothing,
                           .base_wrong = {wrong_items, 1},
                           .release_branches = {release_items, 1},
                           .release_accounts = {account_items, 1},
                           .author_labels = {author_items, 1},
                           .close_release_heads = true,
                           .conflict_comment = true,
                           .new_commit_comment = true};
}

static struct policy no_policies(void)
{
    return (struct policy){.label = gate_label,
                           .emergency_label = nothing,
                           .emergency_check = nothing,
                           .base_wanted = nothing,
                           .queue_label = nothing};
}

/* One pull request, as GitHub shows it, and what it would answer. */
struct life {
    struct policy policy;
    struct record record;
    struct snapshot github;
    bool trusted, pusher_trusted, may_approve, may_emergency, tests_missing;
    int asked_for_files, asked_for_emergency;
    int64_t now_ms;
    struct user sender;
    struct decision decision;
};

static void begin(struct life *life)
{
    *life = (struct life){.policy = all_policies(),
                          .may_approve = true,
                          .may_emergency = true,
                          .pusher_trusted = true,
                          .now_ms = NOW * 1000 + 500,
                          .sender = {.id = 3, .login = "tim"}};
    record_init(&life->record);
    life->github = (struct snapshot){.updated_at = NOW, .head = {SHA_A}, .mergeable = MERGEABLE_YES};
    strcpy(life->github.head_ref, "topic");
    strcpy(life->github.base_ref, "main");
    life->github.author = (struct user){.id = 2, .login = "ann"};
}

static void end(struct life *life)
{
    record_release(&life->record);
}

static void learn(struct life *life, enum fact need, struct facts *facts)
{
    facts->read = life->github;
    facts->read_ms = life->now_ms;
    facts->author_trusted = life->trusted;
    facts->pusher_trusted = life->pusher_trusted;
    facts->sender_may_approve = life->may_approve;
    if (need == FACT_EMERGENCY) {
        life->asked_for_emergency++;
        facts->sender_may_emergency = life->may_emergency;
    }
    if (need == FACT_FILES) {
        life->asked_for_files++;
        facts->tests_missing = life->tests_missing;
    }
    facts->known |= (unsigned)need;
}

static void deliver(struct life *life, const struct event *event)
{
    struct facts facts = {.policy = &life->policy};
    enum fact need;
    while ((need = decide_needs(&life->record, event, &facts, life->now_ms)) != 0)
        learn(life, need, &facts);
    record_reserve_head(&life->record);
    decide(&life->record, event, &facts, life->now_ms, &life->decision);
    assert_int_not_equal(life->decision.rule, RULE_LATER);
}

static struct event event_now(const struct life *life, enum event_action action)
{
    return (struct event){
        .action = action, .received_ms = life->now_ms - 1, .pr = life->github, .sender = life->sender};
}

/* A moment later, and told at once. */
static struct event happen(struct life *life, enum event_action action)
{
    life->github.updated_at += 2;
    life->now_ms += 2000;
    struct event event = event_now(life, action);
    deliver(life, &event);
    return event;
}

static void set_label(struct life *life, const char *label)
{
    life->github.updated_at += 2;
    life->now_ms += 2000;
    struct event event = event_now(life, EVENT_LABELED);
    strcpy(event.label, label);
    deliver(life, &event);
}

static void push(struct life *life, const char *sha)
{
    assert_true(sha_parse(&life->github.head, sha));
    happen(life, EVENT_SYNCHRONIZE);
}

static const struct intent *find(const struct life *life, enum intent_kind kind, enum message message)
{
    for (unsigned i = 0; i < life->decision.intent_count; i++) {
        const struct intent *intent = &life->decision.intents[i];
        if (intent->kind == kind && (kind != INTENT_COMMENT || intent->message == message))
            return intent;
    }
    return NULL;
}

static void check_did(const struct life *life, const char *row, enum intent_kind kind, bool want)
{
    check_bool(row, intent_kind_name(kind), find(life, kind, MESSAGE_NONE) != NULL, want);
}

static void check_said(const struct life *life, const char *row, enum message message, bool want)
{
    check_bool(row, message_name(message), find(life, INTENT_COMMENT, message) != NULL, want);
}

/* Nothing beyond what the gate does. */
static void check_quiet(const struct life *life, const char *row)
{
    static const enum intent_kind kinds[] = {
        INTENT_COMMENT, INTENT_COMPLETE_GUARD, INTENT_ADD_AUTHOR_LABELS,     INTENT_RETARGET,
        INTENT_CLOSE,   INTENT_APPROVE_REVIEW, INTENT_REMOVE_EMERGENCY_LABEL};
    for (unsigned i = 0; i < life->decision.intent_count; i++)
        for (size_t j = 0; j < COUNT_OF(kinds); j++)
            if (life->decision.intents[i].kind == kinds[j])
                fail_msg("%s: %s", row, intent_kind_name(kinds[j]));
}

/* ---- off by default ----------------------------------------------------- */

static void test_nothing_is_done_that_is_not_configured(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    life.policy = no_policies();
    life.tests_missing = true;
    life.github.author = (struct user){.id = 9, .login = "dependabot[bot]", .bot = true};
    strcpy(life.github.base_ref, "master");
    strcpy(life.github.head_ref, "release-1");
    life.github.same_repo = true;
    happen(&life, EVENT_OPENED);
    check_quiet(&life, "opened");
    set_label(&life, "emergency");
    check_quiet(&life, "labeled");
    set_label(&life, "");
    check_quiet(&life, "labeled with nothing");
    check_int("files", "asked", life.asked_for_files, 0);
    check_int("emergency", "asked", life.asked_for_emergency, 0);
    end(&life);
}

/* ---- the emergency label ------------------------------------------------ */

static void test_emergency_completes_the_guard_of_that_commit_once(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    happen(&life, EVENT_OPENED);
    set_label(&life, "EMERGENCY"); /* letter case does not count */
    const struct intent *intent = find(&life, INTENT_COMPLETE_GUARD, MESSAGE_NONE);
    assert_non_null(intent);
    check_str("guard", "commit", intent->sha.hex, SHA_A);
    check_str("guard", "person", intent->person.login, "tim");
    check_int("guard", "message", intent->message, MESSAGE_EMERGENCY);
    check_str("record", "by", life.record.emergency_by.login, "tim");
    check_int("record", "at", life.record.emergency_at_ms, life.now_ms);
    check_did(&life, "CI", INTENT_TRIGGER, false);
    check_bool("gate", "approved", record_find_head(&life.record, &life.github.head)->approved, false);
    set_label(&life, "emergency");
    check_quiet(&life, "told again");
    check_int("emergency", "asked", life.asked_for_emergency, 1);
    end(&life);
}

/* It does not leak to the next commit, and the comment is one for all. */
static void test_each_commit_needs_the_label_anew(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    happen(&life, EVENT_OPENED);
    set_label(&life, "emergency");
    push(&life, SHA_B);
    check_did(&life, "pushed", INTENT_COMPLETE_GUARD, false);
    happen(&life, EVENT_EDITED);
    check_did(&life, "edited", INTENT_COMPLETE_GUARD, false);
    set_label(&life, "emergency");
    const struct intent *intent = find(&life, INTENT_COMPLETE_GUARD, MESSAGE_NONE);
    assert_non_null(intent);
    check_str("second", "commit", intent->sha.hex, SHA_B);
    check_int("second", "message", intent->message, MESSAGE_NONE);
    end(&life);
}

/* Set for A, and heard of when B is the head: whoever set it has not seen B. */
static void test_label_for_an_older_commit_does_nothing(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    happen(&life, EVENT_OPENED);
    life.github.updated_at += 2;
    struct event late = event_now(&life, EVENT_LABELED);
    strcpy(late.label, "emergency");
    push(&life, SHA_B);
    deliver(&life, &late);
    check_quiet(&life, "late");
    check_int("emergency", "asked", life.asked_for_emergency, 0);
    check_int("record", "at", life.record.emergency_at_ms, 0);
    end(&life);
}

static void test_emergency_by_somebody_who_may_not(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    happen(&life, EVENT_OPENED);
    life.may_emergency = false;
    set_label(&life, "emergency");
    check_did(&life, "refused", INTENT_COMPLETE_GUARD, false);
    check_did(&life, "refused", INTENT_REMOVE_EMERGENCY_LABEL, true);
    const struct intent *said = find(&life, INTENT_COMMENT, MESSAGE_EMERGENCY_REFUSED);
    assert_non_null(said);
    check_u64("refused", "person", said->person.id, 3); /* the marker is by person */
    check_int("record", "at", life.record.emergency_at_ms, 0);
    life.may_emergency = true;
    set_label(&life, "emergency");
    check_did(&life, "by somebody who may", INTENT_COMPLETE_GUARD, true);
    life.may_emergency = false;
    set_label(&life, "emergency"); /* the first one's, told late once more: the label stays */
    check_quiet(&life, "late");
    end(&life);
}

/* `labeled` may reach one process before `opened` reaches another. */
static void test_emergency_before_opened(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    set_label(&life, "emergency");
    check_did(&life, "first", INTENT_COMPLETE_GUARD, true);
    struct event opened = event_now(&life, EVENT_OPENED);
    deliver(&life, &opened);
    check_did(&life, "second", INTENT_COMPLETE_GUARD, false);
    end(&life);
}

static void test_emergency_of_a_closed_one(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    happen(&life, EVENT_OPENED);
    life.github.closed = true;
    happen(&life, EVENT_CLOSED);
    set_label(&life, "emergency");
    check_quiet(&life, "closed");
    end(&life);
}

/* What the closing has dropped can be asked for again. */
static void test_emergency_after_reopening(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    happen(&life, EVENT_OPENED);
    set_label(&life, "emergency");
    life.github.closed = true;
    happen(&life, EVENT_CLOSED);
    assert_true(life.decision.drop_intents);
    life.github.closed = false;
    happen(&life, EVENT_REOPENED);
    check_did(&life, "reopened", INTENT_COMPLETE_GUARD, false);
    set_label(&life, "emergency");
    check_did(&life, "set again", INTENT_COMPLETE_GUARD, true);
    check_int("set again", "message", find(&life, INTENT_COMPLETE_GUARD, MESSAGE_NONE)->message,
              MESSAGE_EMERGENCY); /* which looks for its marker */
    end(&life);
}

/* ---- tests --------------------------------------------------------------- */

static void test_missing_tests_are_told_once(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    life.tests_missing = true;
    struct event opened = happen(&life, EVENT_OPENED);
    check_said(&life, "opened", MESSAGE_MISSING_TESTS, true);
    check_str("opened", "person", find(&life, INTENT_COMMENT, MESSAGE_MISSING_TESTS)->person.login, "ann");
    deliver(&life, &opened);
    check_quiet(&life, "told again");
    push(&life, SHA_B);
    check_quiet(&life, "pushed");
    check_int("files", "asked", life.asked_for_files, 1);
    end(&life);
}

/* A call per commit, not per event. */
static void test_files_are_asked_for_once_per_commit(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    struct event opened = happen(&life, EVENT_OPENED);
    check_quiet(&life, "opened");
    deliver(&life, &opened);
    happen(&life, EVENT_EDITED);
    set_label(&life, "whatever");
    check_int("first", "asked", life.asked_for_files, 1);
    life.tests_missing = true;
    push(&life, SHA_B);
    check_said(&life, "second", MESSAGE_MISSING_TESTS, true);
    check_int("second", "asked", life.asked_for_files, 2);
    end(&life);
}

static void test_drafts_and_closed_ones_need_no_tests(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    life.tests_missing = true;
    life.github.draft = true;
    happen(&life, EVENT_OPENED);
    push(&life, SHA_B);
    check_quiet(&life, "draft");
    life.github.closed = true;
    happen(&life, EVENT_CLOSED);
    check_int("files", "asked", life.asked_for_files, 0);
    life.github.closed = life.github.draft = false;
    happen(&life, EVENT_REOPENED);
    check_said(&life, "reopened, no draft", MESSAGE_MISSING_TESTS, true);
    end(&life);
}

static void test_end_of_a_draft_needs_tests(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    life.tests_missing = life.github.draft = true;
    happen(&life, EVENT_OPENED);
    life.github.draft = false;
    happen(&life, EVENT_READY_FOR_REVIEW);
    check_said(&life, "ready", MESSAGE_MISSING_TESTS, true);
    end(&life);
}

/* Should the closing have dropped the comment: its marker is looked for before it is made. */
static void test_reopening_looks_again(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    life.tests_missing = true;
    happen(&life, EVENT_OPENED);
    life.github.closed = true;
    happen(&life, EVENT_CLOSED);
    life.github.closed = false;
    happen(&life, EVENT_REOPENED);
    check_said(&life, "reopened", MESSAGE_MISSING_TESTS, true);
    end(&life);
}

/* ---- branches ------------------------------------------------------------ */

static void test_wrong_base_is_changed_once(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    strcpy(life.github.base_ref, "master");
    struct event opened = happen(&life, EVENT_OPENED);
    const struct intent *intent = find(&life, INTENT_RETARGET, MESSAGE_NONE);
    assert_non_null(intent);
    check_int("retarget", "message", intent->message, MESSAGE_RETARGETED);
    deliver(&life, &opened);
    check_did(&life, "told again", INTENT_RETARGET, false);
    happen(&life, EVENT_EDITED); /* somebody has set it back */
    check_did(&life, "set back", INTENT_RETARGET, false);
    life.github.closed = true;
    happen(&life, EVENT_CLOSED);
    life.github.closed = false;
    happen(&life, EVENT_REOPENED);
    check_did(&life, "reopened", INTENT_RETARGET, false);
    end(&life);
}

static void test_base_that_is_not_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *base, *author;
    } rows[] = {{"main", "ann"}, {"master2", "ann"}, {"release-1", "ann"}, {"master", "roller"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct life life;
        begin(&life);
        strcpy(life.github.base_ref, rows[i].base);
        strcpy(life.github.author.login, rows[i].author);
        happen(&life, EVENT_OPENED);
        check_did(&life, rows[i].base, INTENT_RETARGET, false);
        end(&life);
    }
}

static void test_base_that_becomes_wrong(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    happen(&life, EVENT_OPENED);
    check_did(&life, "opened", INTENT_RETARGET, false);
    strcpy(life.github.base_ref, "master");
    happen(&life, EVENT_EDITED);
    check_did(&life, "edited", INTENT_RETARGET, true);
    end(&life);
}

static void test_from_a_release_branch_is_closed_once(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    strcpy(life.github.head_ref, "release-1.2");
    strcpy(life.github.base_ref, "master");
    life.github.same_repo = life.tests_missing = true;
    happen(&life, EVENT_OPENED);
    check_said(&life, "opened", MESSAGE_FROM_RELEASE_BRANCH, true);
    check_did(&life, "opened", INTENT_CLOSE, true);
    check_did(&life, "opened", INTENT_RETARGET, false); /* nothing else is done to it */
    check_said(&life, "opened", MESSAGE_MISSING_TESTS, false);
    check_int("files", "asked", life.asked_for_files, 0);
    /* What a closing drops must not be the comment. */
    check_bool("opened", "comment first",
               find(&life, INTENT_COMMENT, MESSAGE_FROM_RELEASE_BRANCH) <
                   find(&life, INTENT_CLOSE, MESSAGE_NONE),
               true);
    life.github.closed = true;
    happen(&life, EVENT_CLOSED);
    life.github.closed = false;
    happen(&life, EVENT_REOPENED); /* by a maintainer, who wins */
    check_did(&life, "reopened", INTENT_CLOSE, false);
    check_said(&life, "reopened", MESSAGE_FROM_RELEASE_BRANCH, false);
    end(&life);
}

static void test_what_is_not_from_a_release_branch_stays_open(void **state)
{
    (void)state;
    static const struct {
        const char *row, *head, *author;
        bool same_repo;
    } rows[] = {{"a fork's branch of that name", "release-1.2", "ann", false},
                {"another branch", "topic", "ann", true},
                {"a release account", "release-1.2", "Roller", true}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct life life;
        begin(&life);
        strcpy(life.github.head_ref, rows[i].head);
        strcpy(life.github.author.login, rows[i].author);
        life.github.same_repo = rows[i].same_repo;
        happen(&life, EVENT_OPENED);
        check_did(&life, rows[i].row, INTENT_CLOSE, false);
        end(&life);
    }
}

/* ---- the review ---------------------------------------------------------- */

/* By the release account, to a release branch. */
static void begin_release(struct life *life)
{
    begin(life);
    life->github.author = life->sender = (struct user){.id = 8, .login = "roller", .bot = true};
    strcpy(life->github.base_ref, "release-1.2");
}

static void test_release_is_approved_once_per_commit(void **state)
{
    (void)state;
    struct life life;
    begin_release(&life);
    struct event opened = happen(&life, EVENT_OPENED);
    const struct intent *intent = find(&life, INTENT_APPROVE_REVIEW, MESSAGE_NONE);
    assert_non_null(intent);
    check_str("opened", "commit", intent->sha.hex, SHA_A);
    deliver(&life, &opened);
    check_did(&life, "told again", INTENT_APPROVE_REVIEW, false);
    push(&life, SHA_B);
    intent = find(&life, INTENT_APPROVE_REVIEW, MESSAGE_NONE);
    assert_non_null(intent);
    check_str("pushed", "commit", intent->sha.hex, SHA_B);
    end(&life);
}

/* Somebody else's commit on that branch is nobody's release. */
static void test_a_strangers_commit_is_not_approved(void **state)
{
    (void)state;
    struct life life;
    begin_release(&life);
    struct event opened = happen(&life, EVENT_OPENED);
    life.sender = (struct user){.id = 66, .login = "mallory"};
    push(&life, SHA_B);
    check_did(&life, "pushed", INTENT_APPROVE_REVIEW, false);
    happen(&life, EVENT_EDITED);
    check_did(&life, "edited", INTENT_APPROVE_REVIEW, false);
    life.sender = opened.sender;
    happen(&life, EVENT_EDITED); /* by the account itself: that is no push */
    check_did(&life, "edited by the account", INTENT_APPROVE_REVIEW, false);
    deliver(&life, &opened); /* late: of another commit */
    check_did(&life, "opened, late", INTENT_APPROVE_REVIEW, false);
    end(&life);
}

static void test_a_trusted_pushers_commit_is_approved(void **state)
{
    (void)state;
    struct life life;
    begin_release(&life);
    life.trusted = true; /* the author, so that who pushed is asked for */
    happen(&life, EVENT_OPENED);
    life.sender = (struct user){.id = 5, .login = "tess"};
    push(&life, SHA_B);
    check_did(&life, "pushed", INTENT_APPROVE_REVIEW, true);
    life.pusher_trusted = false;
    push(&life, "cccccccccccccccccccccccccccccccccccccccc");
    check_did(&life, "pushed by a stranger", INTENT_APPROVE_REVIEW, false);
    end(&life);
}

static void test_what_is_no_release_is_not_approved(void **state)
{
    (void)state;
    static const struct {
        const char *row, *base, *author;
    } rows[] = {{"another base", "main", "roller"}, {"another author", "release-1.2", "ann"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct life life;
        begin_release(&life);
        strcpy(life.github.base_ref, rows[i].base);
        strcpy(life.github.author.login, rows[i].author);
        happen(&life, EVENT_OPENED);
        check_did(&life, rows[i].row, INTENT_APPROVE_REVIEW, false);
        end(&life);
    }
}

/* ---- labels by author ---------------------------------------------------- */

static void test_labels_by_author(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    life.github.author = (struct user){.id = 9, .login = "Dependabot[bot]", .bot = true};
    set_label(&life, "early");
    check_did(&life, "before opened", INTENT_ADD_AUTHOR_LABELS, false);
    struct event opened = event_now(&life, EVENT_OPENED);
    deliver(&life, &opened);
    check_did(&life, "opened", INTENT_ADD_AUTHOR_LABELS, true);
    deliver(&life, &opened);
    check_did(&life, "told again", INTENT_ADD_AUTHOR_LABELS, false);
    end(&life);
    begin(&life);
    happen(&life, EVENT_OPENED);
    check_did(&life, "another author", INTENT_ADD_AUTHOR_LABELS, false);
    end(&life);
}

/* ---- reopened ------------------------------------------------------------ */

static void close_and_reopen(struct life *life)
{
    life->github.closed = true;
    happen(life, EVENT_CLOSED);
    life->github.closed = false;
    happen(life, EVENT_REOPENED);
}

static void test_reopened_after_ci_needs_a_new_commit(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    life.trusted = true;
    happen(&life, EVENT_OPENED);
    check_did(&life, "opened", INTENT_TRIGGER, true);
    life.record.heads[0].ci = CI_STARTED;
    close_and_reopen(&life);
    check_int("reopened", "rule", life.decision.rule, RULE_ALREADY);
    check_said(&life, "reopened", MESSAGE_NEW_COMMIT_NEEDED, true);
    happen(&life, EVENT_REOPENED);
    check_said(&life, "told again", MESSAGE_NEW_COMMIT_NEEDED, false);
    end(&life);
}

/* CI starts because of the reopening, or of an approval that came with it: there is nothing to ask for. */
static void test_reopened_before_ci_needs_none(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    life.trusted = life.github.draft = true;
    happen(&life, EVENT_OPENED);
    life.github.draft = false;
    close_and_reopen(&life);
    check_did(&life, "reopened", INTENT_TRIGGER, true);
    check_said(&life, "reopened", MESSAGE_NEW_COMMIT_NEEDED, false);
    struct event again = event_now(&life, EVENT_REOPENED);
    deliver(&life, &again); /* under another id */
    check_said(&life, "told again", MESSAGE_NEW_COMMIT_NEEDED, false);
    end(&life);
}

static void test_reopened_while_it_waits_needs_none(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    happen(&life, EVENT_OPENED);
    close_and_reopen(&life);
    check_int("reopened", "rule", life.decision.rule, RULE_WAIT_UNTRUSTED);
    check_said(&life, "reopened", MESSAGE_NEW_COMMIT_NEEDED, false);
    end(&life);
}

static void test_reopened_with_a_label_that_is_heard_of_first(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    happen(&life, EVENT_OPENED);
    life.github.closed = true;
    happen(&life, EVENT_CLOSED);
    life.github.closed = false;
    life.github.updated_at += 2;
    life.now_ms += 2000;
    struct event reopened = event_now(&life, EVENT_REOPENED);
    life.github.labelled = true;
    struct event labeled = event_now(&life, EVENT_LABELED);
    labeled.label_is_gate = true;
    deliver(&life, &labeled);
    check_did(&life, "labeled", INTENT_TRIGGER, true);
    reopened.pr.labelled = true;
    deliver(&life, &reopened);
    check_int("reopened", "rule", life.decision.rule, RULE_ALREADY);
    check_said(&life, "reopened", MESSAGE_NEW_COMMIT_NEEDED, false);
    end(&life);
}

/* ---- the conflict's comment ---------------------------------------------- */

static void test_conflict_comment_can_be_off(void **state)
{
    (void)state;
    for (int on = 0; on < 2; on++) {
        struct life life;
        begin(&life);
        life.policy.conflict_comment = on;
        life.trusted = true;
        life.github.mergeable = MERGEABLE_NO;
        happen(&life, EVENT_OPENED);
        check_int("conflict", "rule", life.decision.rule, RULE_CONFLICT);
        check_did(&life, on ? "on" : "off", INTENT_COMMENT_CONFLICT, on);
        check_bool(on ? "on" : "off", "commented", life.record.conflict_commented, on);
        end(&life);
    }
}

/* ---- facts --------------------------------------------------------------- */

/* What the policies have to know is not left out because it became clear only now that they do. */
static void test_a_missing_fact_is_learnt_before_anything_is_decided(void **state)
{
    (void)state;
    struct life life;
    begin(&life);
    life.github.updated_at += 2;
    struct event opened = event_now(&life, EVENT_OPENED);
    struct facts facts = {.policy = &life.policy};
    enum fact need;
    while ((need = decide_needs(&life.record, &opened, &facts, life.now_ms)) != FACT_FILES) {
        assert_int_not_equal(need, 0);
        learn(&life, need, &facts);
    }
    record_reserve_head(&life.record);
    decide(&life.record, &opened, &facts, life.now_ms, &life.decision);
    check_int("without", "rule", life.decision.rule, RULE_LATER);
    check_int("without", "later", life.decision.later_ms, life.now_ms);
    check_u64("without", "heads", life.record.head_count, 0);
    learn(&life, FACT_FILES, &facts);
    decide(&life.record, &opened, &facts, life.now_ms, &life.decision);
    check_int("with", "rule", life.decision.rule, RULE_WAIT_UNTRUSTED);
    end(&life);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_done_that_is_not_configured),
        cmocka_unit_test(test_emergency_completes_the_guard_of_that_commit_once),
        cmocka_unit_test(test_each_commit_needs_the_label_anew),
        cmocka_unit_test(test_label_for_an_older_commit_does_nothing),
        cmocka_unit_test(test_emergency_by_somebody_who_may_not),
        cmocka_unit_test(test_emergency_before_opened),
        cmocka_unit_test(test_emergency_of_a_closed_one),
        cmocka_unit_test(test_emergency_after_reopening),
        cmocka_unit_test(test_missing_tests_are_told_once),
        cmocka_unit_test(test_files_are_asked_for_once_per_commit),
        cmocka_unit_test(test_drafts_and_closed_ones_need_no_tests),
        cmocka_unit_test(test_end_of_a_draft_needs_tests),
        cmocka_unit_test(test_reopening_looks_again),
        cmocka_unit_test(test_wrong_base_is_changed_once),
        cmocka_unit_test(test_base_that_is_not_wrong),
        cmocka_unit_test(test_base_that_becomes_wrong),
        cmocka_unit_test(test_from_a_release_branch_is_closed_once),
        cmocka_unit_test(test_what_is_not_from_a_release_branch_stays_open),
        cmocka_unit_test(test_release_is_approved_once_per_commit),
        cmocka_unit_test(test_a_strangers_commit_is_not_approved),
        cmocka_unit_test(test_a_trusted_pushers_commit_is_approved),
        cmocka_unit_test(test_what_is_no_release_is_not_approved),
        cmocka_unit_test(test_labels_by_author),
        cmocka_unit_test(test_reopened_after_ci_needs_a_new_commit),
        cmocka_unit_test(test_reopened_before_ci_needs_none),
        cmocka_unit_test(test_reopened_while_it_waits_needs_none),
        cmocka_unit_test(test_reopened_with_a_label_that_is_heard_of_first),
        cmocka_unit_test(test_conflict_comment_can_be_off),
        cmocka_unit_test(test_a_missing_fact_is_learnt_before_anything_is_decided),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
