/* What comes of a command in a comment: each refusal, duplicates, and the order in which comments arrive. */
#include "check.h"

#include <stdio.h>

#include "prgate/decide.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SHA_LIKE_A "aaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

enum { THEN = 100, NOW = 200, NOW_MS = 1000000, EARLIER_MS = 900000 };

/* What GitHub and the people would answer. */
struct world {
    struct snapshot shown;
    bool may, is_prgate;
    int64_t budget_until_ms; /* known from the start */
    unsigned asked;          /* enum fact, or-ed */
};

static struct sha sha(const char *hex)
{
    struct sha sha;
    assert_true(sha_parse(&sha, hex));
    return sha;
}

static struct world make_world(const char *head)
{
    struct world world = {.may = true};
    world.shown = (struct snapshot){.updated_at = NOW, .head = sha(head), .mergeable = MERGEABLE_YES};
    return world;
}

/* It waits for the label, with A as its head. */
static void make_record(struct record *record)
{
    record_init(record);
    record->key = (struct pr_key){.repo_id = 1, .number = 2};
    record->opened = true;
    record->view = (struct snapshot){.updated_at = THEN, .head = sha(SHA_A), .mergeable = MERGEABLE_YES};
    record_reserve_head(record);
    struct head *head = record_add_head(record, &record->view.head, EARLIER_MS);
    head->check = CHECK_AWAITING;
    head->check_reason = WAIT_UNTRUSTED;
}

static struct head *add_head(struct record *record, const char *hex)
{
    struct sha added = sha(hex);
    record_reserve_head(record);
    return record_add_head(record, &added, EARLIER_MS);
}

static void start(struct record *record)
{
    struct head *head = record_find_head(record, &record->view.head);
    head_set_ci(head, CI_STARTED, EARLIER_MS - 1000);
    head->check = CHECK_DONE;
    head->check_reason = WAIT_NOTHING;
    record->view.labelled = true;
}

static struct event say(enum command command, const char *prefix, uint64_t comment)
{
    struct event event = {.action = EVENT_COMMAND,
                          .command = command,
                          .comment = comment,
                          .received_ms = EARLIER_MS,
                          .pr = {.updated_at = NOW},
                          .sender = {.id = 7, .login = "tim"}};
    snprintf(event.sha_prefix, sizeof event.sha_prefix, "%s", prefix);
    return event;
}

static void learn(struct world *world, enum fact fact, struct facts *facts)
{
    world->asked |= (unsigned)fact;
    facts->known |= (unsigned)fact;
    facts->read = world->shown;
    facts->read_ms = NOW_MS;
    facts->sender_is_prgate = world->is_prgate;
    facts->sender_may_approve = world->may;
    facts->sender_permission = world->may ? PERMISSION_WRITE : PERMISSION_READ;
}

static struct decision tell(struct record *record, struct world *world, const struct event *event)
{
    struct decision decision;
    struct facts facts = {.budget_until_ms = world->budget_until_ms};
    enum fact need;
    world->asked = 0;
    while ((need = decide_needs(record, event, &facts, NOW_MS)) != 0) {
        assert_false(facts.known & (unsigned)need);
        learn(world, need, &facts);
    }
    record_reserve_head(record);
    decide(record, event, &facts, NOW_MS, &decision);
    return decision;
}

/* "trigger add_label check_done react:1" */
static const char *told(const struct decision *decision)
{
    static char text[512];
    text[0] = '\0';
    for (unsigned i = 0; i < decision->intent_count; i++) {
        const struct intent *intent = &decision->intents[i];
        size_t len = strlen(text);
        snprintf(text + len, sizeof text - len, "%s%s", i == 0 ? "" : " ", intent_kind_name(intent->kind));
        len = strlen(text);
        if (intent->kind == INTENT_REACT)
            snprintf(text + len, sizeof text - len, ":%d", (int)intent->reaction);
        if (intent->kind == INTENT_COMMENT)
            snprintf(text + len, sizeof text - len, ":%s", message_name(intent->message));
    }
    return text;
}

static void check_decision(const char *row, const struct decision *decision, enum rule rule,
                           const char *intents)
{
    check_str(row, "rule", rule_name(decision->rule), rule_name(rule));
    check_str(row, "intents", told(decision), intents);
}

/* Each answers the comment, and says whom. */
static void check_answers(const char *row, const struct decision *decision, const struct event *event)
{
    for (unsigned i = 0; i < decision->intent_count; i++) {
        const struct intent *intent = &decision->intents[i];
        if (intent->kind != INTENT_REACT && intent->kind != INTENT_COMMENT)
            continue;
        check_u64(row, "target", intent->target, event->comment);
        check_str(row, "person", intent->person.login, event->sender.login);
        check_str(row, "sha", intent->sha.hex, SHA_A);
    }
}

#define STARTED "trigger add_label check_done react:1"

/* ---- approve ---- */

static void test_approve(void **state)
{
    (void)state;
    static const char *const prefixes[] = {SHA_A, "aaaaaaa", "aaaaaaaaaaaa"};
    for (size_t i = 0; i < COUNT_OF(prefixes); i++) {
        struct record record;
        struct world world = make_world(SHA_A);
        struct event event = say(COMMAND_APPROVE, prefixes[i], 50);
        make_record(&record);
        struct decision decision = tell(&record, &world, &event);
        check_decision(prefixes[i], &decision, RULE_APPROVED, STARTED);
        check_answers(prefixes[i], &decision, &event);
        const struct head *head = record_find_head(&record, &record.view.head);
        assert_true(head->approved && head_is_triggered(head));
        check_int(prefixes[i], "means", head->means, MEANS_COMMAND);
        check_str(prefixes[i], "approver", head->approver.login, "tim");
        check_int(prefixes[i], "permission", head->approver_permission, PERMISSION_WRITE);
        check_str(prefixes[i], "approved head", record.approved_head.hex, SHA_A);
        check_int(prefixes[i], "asked", world.asked, FACT_READ | FACT_IDENTITY | FACT_SENDER);
        record_release(&record);
    }
}

struct refusal {
    const char *name;
    enum command command;
    const char *prefix;
    const char *intents;
};

/* B is the head, A was; nothing has been started. */
static void check_refusal(const struct refusal *row)
{
    struct record record;
    struct world world = make_world(SHA_A);
    struct event event = say(row->command, row->prefix, 50);
    make_record(&record);
    add_head(&record, SHA_B);
    struct decision decision = tell(&record, &world, &event);
    check_decision(row->name, &decision, RULE_COMMAND_REFUSED, row->intents);
    check_answers(row->name, &decision, &event);
    const struct head *head = record_find_head(&record, &record.view.head);
    check_bool(row->name, "approved", head->approved, false);
    check_bool(row->name, "triggered", head_is_triggered(head), false);
    check_int(row->name, "what the check says", head->check_reason, WAIT_UNTRUSTED);
    check_u64(row->name, "explained", record.explained, 0); /* to whoever may approve, always */
    record_release(&record);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct refusal rows[] = {
        {"no SHA", COMMAND_APPROVE, "", "react:2 comment:command_no_sha"},
        {"one digit", COMMAND_APPROVE, "a", "react:2 comment:command_short_sha"},
        {"six digits", COMMAND_APPROVE, "aaaaaa", "react:2 comment:command_short_sha"},
        {"an older head", COMMAND_APPROVE, SHA_B, "react:2 comment:command_old_sha"},
        {"an older head, seven digits", COMMAND_APPROVE, "bbbbbbb", "react:2 comment:command_old_sha"},
        {"no commit of it", COMMAND_APPROVE, "ccccccc", "react:2 comment:command_wrong_sha"},
        {"longer than the head", COMMAND_APPROVE, SHA_A "a", "react:2 comment:command_wrong_sha"},
        {"a re-run, and nothing ran", COMMAND_RERUN, "", "react:2 comment:command_early"},
        {"a re-run of an older head", COMMAND_RERUN, "bbbbbbb", "react:2 comment:command_old_sha"},
        {"a re-run of no commit of it", COMMAND_RERUN, "ccccccc", "react:2 comment:command_wrong_sha"},
        {"a re-run, six digits", COMMAND_RERUN, "aaaaaa", "react:2 comment:command_short_sha"},
        {"nothing to cancel", COMMAND_CANCEL, "", "react:2 comment:command_nothing"},
        {"nothing to cancel of it", COMMAND_CANCEL, "bbbbbbb", "react:2 comment:command_nothing"},
        {"to cancel no commit of it", COMMAND_CANCEL, "ccccccc", "react:2 comment:command_wrong_sha"},
        {"to cancel, six digits", COMMAND_CANCEL, "aaaaaa", "react:2 comment:command_short_sha"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_refusal(&rows[i]);
}

/* Whatever the SHA is; and the check's text is not theirs to change. */
static void test_whoever_may_not_is_refused(void **state)
{
    (void)state;
    static const struct {
        enum command command;
        const char *prefix;
        bool started;
    } rows[] = {{COMMAND_APPROVE, SHA_A, false},     {COMMAND_APPROVE, "", false},
                {COMMAND_APPROVE, "ccccccc", false}, {COMMAND_RERUN, "", true},
                {COMMAND_CANCEL, "", true},          {COMMAND_CANCEL, "a", true}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct record record;
        struct world world = make_world(SHA_A);
        struct event event = say(rows[i].command, rows[i].prefix, 50);
        const char *row = command_name(rows[i].command);
        world.may = false;
        make_record(&record);
        if (rows[i].started)
            start(&record);
        struct head before = *record_find_head(&record, &record.view.head);
        struct decision decision = tell(&record, &world, &event);
        check_decision(row, &decision, RULE_COMMAND_REFUSED, "react:2 comment:command_refused");
        check_answers(row, &decision, &event);
        assert_memory_equal(record_find_head(&record, &record.view.head), &before, sizeof before);
        check_u64(row, "explained", record.explained, 1);
        record_release(&record);
    }
}

/* Two commits can be made to begin alike: who named one may have meant, and seen, the other. */
static void test_an_ambiguous_prefix_approves_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *prefix;
        enum rule rule;
        const char *intents;
    } rows[] = {{"aaaaaaa", RULE_COMMAND_REFUSED, "react:2 comment:command_ambiguous"},
                {"aaaaaaab", RULE_COMMAND_REFUSED, "react:2 comment:command_old_sha"},
                {"aaaaaaaa", RULE_APPROVED, STARTED},
                {SHA_A, RULE_APPROVED, STARTED}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct record record;
        struct world world = make_world(SHA_A);
        struct event event = say(COMMAND_APPROVE, rows[i].prefix, 50);
        make_record(&record);
        add_head(&record, SHA_LIKE_A);
        struct decision decision = tell(&record, &world, &event);
        check_decision(rows[i].prefix, &decision, rows[i].rule, rows[i].intents);
        record_release(&record);
    }
    /* prgate has seen the first, and hears of the second by this very read. */
    struct record record;
    struct world world = make_world(SHA_LIKE_A);
    struct event event = say(COMMAND_APPROVE, "aaaaaaa", 50);
    make_record(&record);
    struct decision decision = tell(&record, &world, &event);
    check_decision("new head", &decision, RULE_COMMAND_REFUSED, "react:2 comment:command_ambiguous");
    record_release(&record);
}

static void test_approve_what_was_started(void **state)
{
    (void)state;
    struct record record;
    struct world world = make_world(SHA_A);
    struct event event = say(COMMAND_APPROVE, SHA_A, 50);
    make_record(&record);
    start(&record);
    struct decision decision = tell(&record, &world, &event);
    check_decision("started", &decision, RULE_ALREADY, "react:1");
    record_release(&record);
}

/* The comment may be heard of before the push, and before the opening: the read tells. */
static void test_approve_before_the_push_is_heard_of(void **state)
{
    (void)state;
    struct record record;
    struct world world = make_world(SHA_B);
    struct event event = say(COMMAND_APPROVE, SHA_B, 50);
    make_record(&record);
    struct decision decision = tell(&record, &world, &event);
    check_decision("pushed", &decision, RULE_APPROVED, STARTED);
    record_release(&record);

    record_init(&record);
    decision = tell(&record, &world, &event);
    check_decision("opened", &decision, RULE_APPROVED, STARTED);
    record_release(&record);
}

/* A read that is older than the comment may show an older head: it is asked again. */
static void test_a_read_from_before_the_comment_is_not_believed(void **state)
{
    (void)state;
    struct record record;
    struct world world = make_world(SHA_A);
    struct event event = say(COMMAND_APPROVE, SHA_B, 50);
    make_record(&record);
    world.shown.updated_at = NOW - 1;
    event.received_ms = NOW_MS - 5000;
    struct decision decision = tell(&record, &world, &event);
    check_decision("lagging", &decision, RULE_LATER, "");
    assert_true(decision.later_ms > NOW_MS);
    assert_false(record_has_comment(&record, 50));
    world = make_world(SHA_B);
    decision = tell(&record, &world, &event);
    check_decision("caught up", &decision, RULE_APPROVED, STARTED);
    record_release(&record);
}

static void test_approve_a_draft_and_a_conflict(void **state)
{
    (void)state;
    struct record record;
    struct world world = make_world(SHA_A);
    struct event event = say(COMMAND_APPROVE, SHA_A, 50);
    make_record(&record);
    world.shown.draft = true;
    struct decision decision = tell(&record, &world, &event);
    check_decision("draft", &decision, RULE_APPROVED, STARTED);
    record_release(&record);

    make_record(&record);
    world = make_world(SHA_A);
    world.shown.mergeable = MERGEABLE_NO;
    decision = tell(&record, &world, &event);
    check_str("conflict", "rule", rule_name(decision.rule), "conflict");
    assert_true(strstr(told(&decision), "trigger") == NULL);
    assert_true(strstr(told(&decision), "comment_conflict check_awaiting react:1") != NULL);
    assert_true(record_find_head(&record, &record.view.head)->approved);

    /* Once it is resolved by the base branch, CI starts without another word. */
    struct event edited = {.action = EVENT_EDITED, .received_ms = NOW_MS, .pr = world.shown};
    edited.pr.updated_at = NOW + 10;
    edited.pr.labelled = record.view.labelled;
    edited.pr.mergeable = MERGEABLE_YES;
    world.shown = edited.pr;
    decision = tell(&record, &world, &edited);
    check_str("resolved", "rule", rule_name(decision.rule), "approved");
    assert_true(strstr(told(&decision), "trigger") != NULL);
    record_release(&record);
}

/* Whether a conflict is over GitHub works out in the background. */
static void test_approve_waits_for_mergeable(void **state)
{
    (void)state;
    struct record record;
    struct world world = make_world(SHA_A);
    struct event event = say(COMMAND_APPROVE, SHA_A, 50);
    make_record(&record);
    record_find_head(&record, &record.view.head)->check_reason = WAIT_CONFLICT;
    world.shown.mergeable = MERGEABLE_UNKNOWN;
    event.received_ms = NOW_MS - 1000;
    struct decision decision = tell(&record, &world, &event);
    check_decision("approve", &decision, RULE_LATER, "");
    event = say(COMMAND_STATUS, "", 51);
    event.received_ms = NOW_MS - 1000;
    decision = tell(&record, &world, &event);
    check_decision("status", &decision, RULE_COMMAND, "react:1 comment:status");
    record_release(&record);
}

/* ---- rerun ---- */

static void test_rerun(void **state)
{
    (void)state;
    static const char *const prefixes[] = {"", "aaaaaaa", SHA_A};
    for (size_t i = 0; i < COUNT_OF(prefixes); i++) {
        struct record record;
        struct world world = make_world(SHA_A);
        struct event event = say(COMMAND_RERUN, prefixes[i], 50);
        make_record(&record);
        start(&record);
        struct decision decision = tell(&record, &world, &event);
        check_decision(prefixes[i], &decision, RULE_RERUN, "trigger check_done react:1");
        const struct head *head = record_find_head(&record, &record.view.head);
        check_u64(prefixes[i], "reruns", head->reruns, 1);
        check_str(prefixes[i], "by", head->rerun_by.login, "tim");
        check_int(prefixes[i], "ci before", head->ci_before, CI_STARTED);
        record_release(&record);
    }
}

static void test_a_rerun_once_for_each_comment(void **state)
{
    (void)state;
    struct record record;
    struct world world = make_world(SHA_A);
    struct event event = say(COMMAND_RERUN, "", 50);
    make_record(&record);
    start(&record);
    tell(&record, &world, &event);
    struct head *head = record_find_head(&record, &record.view.head);
    head_set_ci(head, CI_STARTED, NOW_MS);

    /* Under another delivery's id, and much later. */
    strcpy(event.delivery, "another");
    event.received_ms = NOW_MS + 60000;
    struct decision decision = tell(&record, &world, &event);
    check_decision("again", &decision, RULE_COMMAND_SEEN, "");
    check_int("again", "asked", world.asked & (FACT_IDENTITY | FACT_SENDER), 0);
    check_u64("again", "reruns", head->reruns, 1);

    event = say(COMMAND_RERUN, "", 51);
    event.received_ms = NOW_MS + 60000;
    decision = tell(&record, &world, &event);
    check_decision("another comment", &decision, RULE_RERUN, "trigger check_done react:1");
    check_u64("another comment", "reruns", record_find_head(&record, &record.view.head)->reruns, 2);
    record_release(&record);
}

/* Of two at the same time, in either order, one starts it. */
static void test_two_reruns_at_once_start_it_once(void **state)
{
    (void)state;
    for (int reversed = 0; reversed < 2; reversed++) {
        struct record record;
        struct world world = make_world(SHA_A);
        struct event first = say(COMMAND_RERUN, "", reversed ? 51 : 50);
        struct event second = say(COMMAND_RERUN, "", reversed ? 50 : 51);
        make_record(&record);
        start(&record);
        struct decision decision = tell(&record, &world, &first);
        check_decision("first", &decision, RULE_RERUN, "trigger check_done react:1");
        decision = tell(&record, &world, &second);
        check_decision("under way", &decision, RULE_RERUN_SAME, "react:1");
        check_u64("under way", "reruns", record_find_head(&record, &record.view.head)->reruns, 1);
        record_release(&record);
    }
}

/* An approval waits for its turn, and starts by itself; a re-run is to be asked for again. */
static void test_a_budget_that_is_used_up(void **state)
{
    (void)state;
    struct record record;
    struct world world = make_world(SHA_A);
    struct event event = say(COMMAND_APPROVE, SHA_A, 50);
    make_record(&record);
    world.budget_until_ms = NOW_MS + 60000;
    struct decision decision = tell(&record, &world, &event);
    check_decision("approve", &decision, RULE_WAIT_BUDGET, "add_label check_awaiting react:1");
    assert_true(record_find_head(&record, &record.view.head)->approved);
    record_release(&record);

    make_record(&record);
    start(&record);
    event = say(COMMAND_RERUN, "", 50);
    decision = tell(&record, &world, &event);
    check_decision("rerun", &decision, RULE_RERUN_BUDGET, "check_done react:2 comment:command_budget");
    check_u64("rerun", "reruns", record_find_head(&record, &record.view.head)->reruns, 0);
    record_release(&record);
}

/* ---- cancel ---- */

static void test_cancel(void **state)
{
    (void)state;
    static const struct {
        const char *name, *prefix, *sha;
    } rows[] = {
        {"the head", "", SHA_A}, {"the head, named", "aaaaaaa", SHA_A}, {"an older one", "bbbbbbb", SHA_B}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct record record;
        struct world world = make_world(SHA_A);
        struct event event = say(COMMAND_CANCEL, rows[i].prefix, 50);
        make_record(&record);
        head_set_ci(add_head(&record, SHA_B), CI_STARTED, EARLIER_MS);
        start(&record);
        struct decision decision = tell(&record, &world, &event);
        check_str(rows[i].name, "rule", rule_name(decision.rule), "cancelled");
        check_int(rows[i].name, "intent", decision.intents[0].kind, INTENT_CANCEL);
        check_str(rows[i].name, "sha", decision.intents[0].sha.hex, rows[i].sha);
        check_u64(rows[i].name, "attempt", decision.intents[0].attempt, 1);
        assert_true(strstr(told(&decision), "react:1") != NULL);
        struct sha named = sha(rows[i].sha);
        check_u64(rows[i].name, "cancelled", record_find_head(&record, &named)->cancelled, 1);

        event.comment = 51;
        decision = tell(&record, &world, &event);
        check_decision(rows[i].name, &decision, RULE_COMMAND_REFUSED, "react:2 comment:command_nothing");
        record_release(&record);
    }
}

/* ---- of a closed pull request ---- */

static void test_closed(void **state)
{
    (void)state;
    static const struct {
        enum command command;
        const char *prefix, *intents;
    } rows[] = {{COMMAND_APPROVE, SHA_A, "react:2 comment:command_closed"},
                {COMMAND_RERUN, "", "react:2 comment:command_closed"},
                {COMMAND_STATUS, "", "react:1 comment:status"},
                {COMMAND_HELP, "", "react:1 comment:help"},
                {COMMAND_UNKNOWN, "", "react:3 comment:command_unknown"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct record record;
        struct world world = make_world(SHA_A);
        struct event event = say(rows[i].command, rows[i].prefix, 50);
        make_record(&record);
        record.view.closed = world.shown.closed = true;
        struct decision decision = tell(&record, &world, &event);
        check_decision(command_name(rows[i].command), &decision, RULE_CLOSED, rows[i].intents);
        assert_false(record_find_head(&record, &record.view.head)->approved);
        record_release(&record);
    }
    struct record record;
    struct world world = make_world(SHA_A);
    struct event event = say(COMMAND_CANCEL, "", 50);
    make_record(&record);
    start(&record);
    record.view.closed = world.shown.closed = true;
    struct decision decision = tell(&record, &world, &event);
    check_decision("it may run on", &decision, RULE_CANCELLED, "cancel react:1");
    record_release(&record);
}

/* ---- what anybody may ask ---- */

static void test_questions(void **state)
{
    (void)state;
    static const struct {
        enum command command;
        enum rule rule;
        const char *intents;
        unsigned asked;
    } rows[] = {
        {COMMAND_STATUS, RULE_COMMAND, "react:1 comment:status", FACT_READ | FACT_IDENTITY},
        {COMMAND_HELP, RULE_COMMAND, "react:1 comment:help", FACT_IDENTITY},
        {COMMAND_UNKNOWN, RULE_COMMAND_UNKNOWN, "react:3 comment:command_unknown", FACT_IDENTITY},
        {COMMAND_SEVERAL, RULE_COMMAND_UNKNOWN, "react:3 comment:command_several", FACT_IDENTITY},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct record record;
        struct world world = make_world(SHA_A);
        struct event event = say(rows[i].command, "", 50);
        const char *row = command_name(rows[i].command);
        world.may = false;
        make_record(&record);
        struct decision decision = tell(&record, &world, &event);
        check_decision(row, &decision, rows[i].rule, rows[i].intents);
        check_answers(row, &decision, &event);
        check_int(row, "asked", world.asked, rows[i].asked);
        check_str(row, "head", record.view.head.hex,
                  SHA_A); /* nothing that is known is lost by not reading */
        decision = tell(&record, &world, &event);
        check_decision(row, &decision, RULE_COMMAND_SEEN, "");
        record_release(&record);
    }
}

static void test_a_status_says_of_what_it_is(void **state)
{
    (void)state;
    struct record record;
    struct world world = make_world(SHA_A);
    struct event event = say(COMMAND_STATUS, "", 50);
    make_record(&record);
    struct decision decision = tell(&record, &world, &event);
    check_int("waits", "reason", decision.intents[1].reason, WAIT_UNTRUSTED);
    check_u64("waits", "attempt", decision.intents[1].attempt, 1);
    start(&record);
    record_find_head(&record, &record.view.head)->reruns = 2;
    event.comment = 51;
    decision = tell(&record, &world, &event);
    check_int("runs", "reason", decision.intents[1].reason, WAIT_NOTHING);
    check_u64("runs", "attempt", decision.intents[1].attempt, 3);
    world.shown.closed = true;
    world.shown.updated_at++;
    event.comment = 52;
    decision = tell(&record, &world, &event);
    check_u64("closed", "attempt", decision.intents[1].attempt, 0);
    record_release(&record);
}

/* Strangers cannot make prgate comment without end; who may approve is always told why not. */
static void test_explanations_have_an_end(void **state)
{
    (void)state;
    struct record record;
    struct world world = make_world(SHA_A);
    static const enum command commands[] = {COMMAND_HELP, COMMAND_UNKNOWN, COMMAND_SEVERAL, COMMAND_APPROVE};
    unsigned comments = 0;
    make_record(&record);
    world.may = false;
    for (uint64_t id = 50; id < 150; id++) {
        struct event event = say(commands[id % COUNT_OF(commands)], SHA_A, id);
        struct decision decision = tell(&record, &world, &event);
        assert_int_equal(decision.intents[0].kind, INTENT_REACT);
        comments += decision.intent_count - 1;
    }
    check_u64("strangers", "comments", comments, 20);
    world.may = true;
    struct event event = say(COMMAND_APPROVE, "", 200);
    struct decision decision = tell(&record, &world, &event);
    check_decision("an approver", &decision, RULE_COMMAND_REFUSED, "react:2 comment:command_no_sha");
    record_release(&record);
}

static void test_prgate_does_not_obey_itself(void **state)
{
    (void)state;
    static const enum command commands[] = {COMMAND_APPROVE, COMMAND_HELP, COMMAND_UNKNOWN, COMMAND_STATUS};
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        struct record record;
        struct world world = make_world(SHA_A);
        struct event event = say(commands[i], commands[i] == COMMAND_APPROVE ? SHA_A : "", 50);
        world.is_prgate = true;
        make_record(&record);
        struct decision decision = tell(&record, &world, &event);
        check_decision(command_name(commands[i]), &decision, RULE_COMMAND_OWN, "");
        check_int(command_name(commands[i]), "asked", world.asked & FACT_SENDER, 0);
        record_release(&record);
    }
}

/* An approval that comes after a newer command is obeyed all the same; one that is told of again is not. */
static void test_comments_in_any_order(void **state)
{
    (void)state;
    enum { COUNT = 3 };
    static const int orders[][COUNT] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t i = 0; i < COUNT_OF(orders); i++) {
        struct record record;
        struct world world = make_world(SHA_A);
        const struct event comments[COUNT] = {say(COMMAND_HELP, "", 50), say(COMMAND_APPROVE, SHA_A, 51),
                                              say(COMMAND_STATUS, "", 52)};
        unsigned triggers = 0, reactions = 0;
        make_record(&record);
        for (int round = 0; round < 2; round++) {
            for (int j = 0; j < COUNT; j++) {
                struct decision decision = tell(&record, &world, &comments[orders[i][j]]);
                for (unsigned k = 0; k < decision.intent_count; k++) {
                    triggers += decision.intents[k].kind == INTENT_TRIGGER;
                    reactions += decision.intents[k].kind == INTENT_REACT;
                }
            }
        }
        char row[16];
        snprintf(row, sizeof row, "order %zu", i);
        check_u64(row, "triggers", triggers, 1);
        check_u64(row, "reactions", reactions, COUNT);
        record_release(&record);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_approve),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_whoever_may_not_is_refused),
        cmocka_unit_test(test_an_ambiguous_prefix_approves_nothing),
        cmocka_unit_test(test_approve_what_was_started),
        cmocka_unit_test(test_approve_before_the_push_is_heard_of),
        cmocka_unit_test(test_a_read_from_before_the_comment_is_not_believed),
        cmocka_unit_test(test_approve_a_draft_and_a_conflict),
        cmocka_unit_test(test_approve_waits_for_mergeable),
        cmocka_unit_test(test_rerun),
        cmocka_unit_test(test_a_rerun_once_for_each_comment),
        cmocka_unit_test(test_two_reruns_at_once_start_it_once),
        cmocka_unit_test(test_a_budget_that_is_used_up),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_a_status_says_of_what_it_is),
        cmocka_unit_test(test_explanations_have_an_end),
        cmocka_unit_test(test_prgate_does_not_obey_itself),
        cmocka_unit_test(test_comments_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
