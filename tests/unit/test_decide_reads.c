/*
 * What decide() need not ask GitHub about, since it is known already or since nothing can come of it; and what it
 * needs to ask all the same.
 */
#include "check.h"

#include "prgate/decide.h"

static const char *const sha_a = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char *const sha_b = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

struct life {
    struct record record;
    struct snapshot github;
    bool trusted, is_prgate;
    unsigned asked; /* of the last delivery: enum fact, or-ed */
    struct decision decision;
};

static void begin(struct life *life, bool trusted)
{
    *life = (struct life){.trusted = trusted};
    life->github = (struct snapshot){.updated_at = 100, .mergeable = MERGEABLE_YES};
    sha_parse(&life->github.head, sha_a);
    record_init(&life->record);
}

static struct event event_now(const struct life *life, enum event_action action)
{
    struct event event = {.action = action, .received_ms = 900000, .pr = life->github};
    event.label_is_gate = action == EVENT_LABELED || action == EVENT_UNLABELED;
    event.sender = (struct user){.id = 7, .login = "sender"};
    return event;
}

static void deliver(struct life *life, const struct event *event)
{
    struct facts facts = {0};
    enum fact need;
    while ((need = decide_needs(&life->record, event, &facts, 1000000)) != 0) {
        facts.read = life->github;
        facts.read_ms = 800000;
        facts.author_trusted = life->trusted;
        facts.pusher_trusted = true;
        facts.sender_may_approve = true;
        facts.sender_is_prgate = life->is_prgate;
        facts.known |= (unsigned)need;
    }
    life->asked = facts.known;
    record_reserve_head(&life->record);
    decide(&life->record, event, &facts, 1000000, &life->decision);
}

static void happen(struct life *life, enum event_action action)
{
    struct event event = event_now(life, action);
    deliver(life, &event);
}

static bool does(const struct life *life, enum intent_kind kind)
{
    for (unsigned i = 0; i < life->decision.intent_count; i++)
        if (life->decision.intents[i].kind == kind)
            return true;
    return false;
}

/* The label that prgate set, told of in the second of the opening or later. */
static void test_the_echo_of_the_label_is_not_read(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t later;
        bool labelled, draft, read;
    } rows[] = {
        {"in the same second", 0, true, false, false},
        {"later", 1, true, false, false},
        {"in the same second, and something else has changed", 0, false, false, true},
        {"in the same second, and a draft", 0, true, true, true},
        {"earlier", -1, true, false, true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct life life;
        begin(&life, true);
        happen(&life, EVENT_OPENED);
        assert_true(does(&life, INTENT_ADD_LABEL));
        struct event echo = event_now(&life, EVENT_LABELED);
        echo.pr.updated_at += rows[i].later;
        echo.pr.labelled = rows[i].labelled;
        echo.pr.draft = rows[i].draft;
        life.is_prgate = true;
        life.github.labelled = true;
        deliver(&life, &echo);
        check_bool(rows[i].name, "read", (life.asked & FACT_READ) != 0, rows[i].read);
        if (!rows[i].read)
            check_u64(rows[i].name, "asked", life.asked, 0);
        check_int(rows[i].name, "intents", life.decision.intent_count, 0);
        record_release(&life.record);
    }
}

/* An untrusted author pushes onto a labelled pull request: prgate takes the label off, and GitHub tells of that. */
static void push_labelled(struct life *life)
{
    begin(life, false);
    happen(life, EVENT_OPENED);
    life->github.labelled = true;
    life->github.updated_at++;
    sha_parse(&life->github.head, sha_b);
    happen(life, EVENT_SYNCHRONIZE);
    assert_true(does(life, INTENT_REMOVE_LABEL));
    life->github.labelled = false;
}

static void test_the_echo_of_a_removal_is_not_read(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool approved, granted, owed, in_conflict, draft, older, read;
    } rows[] = {
        {.name = "nothing is owed"},
        {.name = "approved", .approved = true, .read = true},
        {.name = "a push is covered", .granted = true, .read = true},
        {.name = "an opening is owed", .owed = true, .read = true},
        {.name = "in conflict", .in_conflict = true, .read = true},
        {.name = "a draft by now", .draft = true, .read = true},
        {.name = "older than what is known", .older = true, .read = true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct life life;
        push_labelled(&life);
        struct head *head = record_find_head(&life.record, &life.github.head);
        assert_non_null(head);
        head->approved = rows[i].approved;
        head->label_granted = rows[i].granted;
        life.record.opening_owed = rows[i].owed;
        if (rows[i].in_conflict)
            head->check_reason = WAIT_CONFLICT;
        life.github.draft = rows[i].draft;
        struct event echo = event_now(&life, EVENT_UNLABELED);
        echo.pr.updated_at += rows[i].older ? -1 : 1;
        deliver(&life, &echo);
        check_bool(rows[i].name, "read", (life.asked & FACT_READ) != 0, rows[i].read);
        record_release(&life.record);
    }
}

static void test_somebody_else_s_unlabeled_is_read(void **state)
{
    (void)state;
    struct life life;
    begin(&life, false);
    happen(&life, EVENT_OPENED);
    life.github.updated_at++;
    happen(&life, EVENT_UNLABELED);
    check_bool("never labelled by prgate", "read", (life.asked & FACT_READ) != 0, true);
    record_release(&life.record);
}

/* Whether the label has to be added back once the commit is approved. */
static void test_a_label_that_was_set_after_the_removal_is_there(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool told, by_prgate;
        int64_t later;
        bool adds;
    } rows[] = {
        {"removal told of, label later", true, true, 1, false},
        {"removal told of, label in that second", true, true, 0, true},
        {"removal not told of", false, true, 1, true},
        {"taken off by somebody else", true, false, 1, true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct life life;
        push_labelled(&life);
        life.github.updated_at++;
        life.is_prgate = rows[i].by_prgate;
        if (rows[i].told)
            happen(&life, EVENT_UNLABELED);
        life.is_prgate = false;
        life.github.labelled = true;
        life.github.updated_at += rows[i].later;
        happen(&life, EVENT_LABELED);
        check_str(rows[i].name, "rule", rule_name(life.decision.rule), "approved");
        check_bool(rows[i].name, "adds the label", does(&life, INTENT_ADD_LABEL), rows[i].adds);
        record_release(&life.record);
    }
}

/* What was told of one removal says nothing of the next one. */
static void test_the_next_removal_is_another(void **state)
{
    (void)state;
    struct life life;
    push_labelled(&life);
    life.is_prgate = true;
    life.github.updated_at++;
    happen(&life, EVENT_UNLABELED);
    check_int("told", "unlabelled_at", life.record.unlabelled_at, life.github.updated_at);
    life.is_prgate = false;
    life.github.labelled = true;
    life.github.updated_at++;
    sha_parse(&life.github.head, sha_a);
    happen(&life, EVENT_SYNCHRONIZE);
    assert_true(does(&life, INTENT_REMOVE_LABEL));
    check_int("not told", "unlabelled_at", life.record.unlabelled_at, 0);
    record_release(&life.record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_echo_of_the_label_is_not_read),
        cmocka_unit_test(test_the_echo_of_a_removal_is_not_read),
        cmocka_unit_test(test_somebody_else_s_unlabeled_is_read),
        cmocka_unit_test(test_a_label_that_was_set_after_the_removal_is_there),
        cmocka_unit_test(test_the_next_removal_is_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
