/*
 * Every cell of (state x event x trusted x draft x label x mergeable) against the table in
 * docs/cicd_flowchart.md, and what the table leaves out, one test each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "prgate/buf.h"
#include "prgate/decide.h"

/* ---- what is decided about ---------------------------------------------------- */

static const char *const sha_old = "0000000000000000000000000000000000000000";
static const char *const sha_a = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char *const sha_b = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
static const char *const sha_c = "cccccccccccccccccccccccccccccccccccccccc";

enum { SETTLE_S = 10 };
enum { THEN = 100, NOW = 200, NOW_MS = 1000000, EARLIER_MS = 900000 };

enum cell_event {
    CELL_OPENED,
    CELL_REOPENED,
    CELL_READY,
    CELL_SYNCHRONIZE,
    CELL_SYNCHRONIZE_STRANGER,
    CELL_SYNCHRONIZE_UNKNOWN,
    CELL_SYNCHRONIZE_OLDER,
    CELL_LABELED,
    CELL_LABELED_REFUSED,
    CELL_LABELED_SOON,
    CELL_LABELED_OLDER,
    CELL_LABELED_OTHER,
    CELL_UNLABELED,
    CELL_CONVERTED,
    CELL_EDITED,
    CELL_RERUN,
    CELL_RERUN_REFUSED,
    CELL_RERUN_OLDER,
    CELL_BUTTON,
    CELL_BUTTON_REFUSED,
    CELL_BUTTON_OLDER,
    CELL_OPERATOR,
    CELL_OPERATOR_OLDER,
    CELL_RETRIGGER,
    CELL_RETRIGGER_OLDER,
    CELL_CLOSED,
    CELL_EVENT_END
};

static const struct {
    const char *name;
    enum event_action action;
} cell_events[CELL_EVENT_END] = {
    [CELL_OPENED] = {"opened", EVENT_OPENED},
    [CELL_REOPENED] = {"reopened", EVENT_REOPENED},
    [CELL_READY] = {"ready_for_review", EVENT_READY_FOR_REVIEW},
    [CELL_SYNCHRONIZE] = {"synchronize", EVENT_SYNCHRONIZE},
    [CELL_SYNCHRONIZE_STRANGER] = {"synchronize:stranger", EVENT_SYNCHRONIZE},
    [CELL_SYNCHRONIZE_UNKNOWN] = {"synchronize:unknown", EVENT_SYNCHRONIZE},
    [CELL_SYNCHRONIZE_OLDER] = {"synchronize:older", EVENT_SYNCHRONIZE},
    [CELL_LABELED] = {"labeled", EVENT_LABELED},
    [CELL_LABELED_REFUSED] = {"labeled:refused", EVENT_LABELED},
    [CELL_LABELED_SOON] = {"labeled:soon", EVENT_LABELED},
    [CELL_LABELED_OLDER] = {"labeled:older", EVENT_LABELED},
    [CELL_LABELED_OTHER] = {"labeled:other", EVENT_LABELED},
    [CELL_UNLABELED] = {"unlabeled", EVENT_UNLABELED},
    [CELL_CONVERTED] = {"converted_to_draft", EVENT_CONVERTED_TO_DRAFT},
    [CELL_EDITED] = {"edited", EVENT_EDITED},
    [CELL_RERUN] = {"rerun", EVENT_RERUN},
    [CELL_RERUN_REFUSED] = {"rerun:refused", EVENT_RERUN},
    [CELL_RERUN_OLDER] = {"rerun:older", EVENT_RERUN},
    [CELL_BUTTON] = {"button", EVENT_BUTTON},
    [CELL_BUTTON_REFUSED] = {"button:refused", EVENT_BUTTON},
    [CELL_BUTTON_OLDER] = {"button:older", EVENT_BUTTON},
    [CELL_OPERATOR] = {"operator", EVENT_OPERATOR_APPROVE},
    [CELL_OPERATOR_OLDER] = {"operator:older", EVENT_OPERATOR_APPROVE},
    [CELL_RETRIGGER] = {"retrigger", EVENT_OPERATOR_RETRIGGER},
    [CELL_RETRIGGER_OLDER] = {"retrigger:older", EVENT_OPERATOR_RETRIGGER},
    [CELL_CLOSED] = {"closed", EVENT_CLOSED},
};

struct cell {
    enum record_state state;
    enum cell_event event;
    bool trusted, draft, label, mergeable;
};

enum { CELLS = 5 * CELL_EVENT_END * 16 };

static struct cell cell_of(int i)
{
    struct cell cell = {.trusted = i & 1, .draft = i & 2, .label = i & 4, .mergeable = i & 8};
    cell.event = (enum cell_event)(i / 16 % CELL_EVENT_END);
    cell.state = (enum record_state)(i / 16 / CELL_EVENT_END);
    return cell;
}

static const char *name_cell(const struct cell *cell)
{
    static char name[160];
    snprintf(name, sizeof name, "%s x %s, trusted %s, draft %s, label %s, mergeable %s",
             record_state_name(cell->state), cell_events[cell->event].name, cell->trusted ? "yes" : "no",
             cell->draft ? "yes" : "no", cell->label ? "yes" : "no", cell->mergeable ? "yes" : "no");
    return name;
}

static struct sha sha(const char *hex)
{
    struct sha sha;
    assert_true(sha_parse(&sha, hex));
    return sha;
}

static struct snapshot snapshot(const struct cell *cell, int64_t at, const char *head)
{
    struct snapshot s = {.updated_at = at,
                         .head = sha(head),
                         .draft = cell->draft,
                         .labelled = cell->label,
                         .mergeable = cell->mergeable ? MERGEABLE_YES : MERGEABLE_NO};
    s.closed = cell->event == CELL_CLOSED || (cell->state == RECORD_CLOSED && cell->event != CELL_REOPENED);
    return s;
}

/* A record that went through what leads to that state, for commit A. */
static void make_record(struct record *record, const struct cell *cell)
{
    record_init(record);
    record->key = (struct pr_key){.repo_id = 1, .number = 2};
    if (cell->state == RECORD_NEW)
        return;
    record->opened = true;
    record->view = snapshot(cell, THEN, sha_a);
    record->view.closed = cell->state == RECORD_CLOSED;
    record_reserve_head(record);
    struct head *head = record_add_head(record, &record->view.head, EARLIER_MS);
    head->pusher = cell->event == CELL_LABELED_SOON ? PUSHER_UNTRUSTED : PUSHER_TRUSTED;
    head->came_known = true;
    head->came_at = NOW - SETTLE_S + 1;
    switch (cell->state) {
    case RECORD_NEW:
    case RECORD_CLOSED:
        break;
    case RECORD_AWAITING:
        head->check = CHECK_AWAITING;
        head->check_reason = !cell->trusted                     ? WAIT_UNTRUSTED
                             : cell->event == CELL_LABELED_SOON ? WAIT_PUSHER
                             : cell->draft                      ? WAIT_DRAFT
                                                                : WAIT_NO_LABEL;
        break;
    case RECORD_CONFLICT:
        head->approved = true;
        head->check = CHECK_AWAITING;
        head->check_reason = WAIT_CONFLICT;
        record->conflict_commented = true;
        break;
    case RECORD_TRIGGERED:
        head->ci = CI_STARTED;
        head->check = CHECK_DONE;
        break;
    }
}

static struct event make_event(const struct cell *cell)
{
    struct event event = {.action = cell_events[cell->event].action, .received_ms = EARLIER_MS};
    bool pushed = event.action == EVENT_SYNCHRONIZE && cell->event != CELL_SYNCHRONIZE_OLDER &&
                  cell->state != RECORD_NEW;
    event.pr = snapshot(cell, NOW, pushed ? sha_b : sha_a);
    event.sender = (struct user){.id = 7, .login = "sender"};
    if (cell->event == CELL_SYNCHRONIZE_UNKNOWN)
        event.sender = (struct user){0};
    event.label_is_gate = event.action == EVENT_LABELED && cell->event != CELL_LABELED_OTHER;
    if (cell->event == CELL_SYNCHRONIZE_OLDER || cell->event == CELL_LABELED_OLDER) {
        event.pr.head = sha(sha_old);
        event.pr.updated_at = THEN - 1;
    }
    bool older = cell->event == CELL_RERUN_OLDER || cell->event == CELL_BUTTON_OLDER ||
                 cell->event == CELL_OPERATOR_OLDER || cell->event == CELL_RETRIGGER_OLDER;
    if (event_is_operators(&event))
        event.sender.id = 0;
    if (!event_shows_pull(&event))
        event.pr = (struct snapshot){.head = sha(older ? sha_old : sha_a)};
    return event;
}

/* What GitHub and the people would answer; only what decide_needs() asks for is told. */
static void learn(const struct cell *cell, enum fact fact, const struct event *event, struct facts *facts)
{
    switch (fact) {
    case FACT_READ:
        facts->read = event->pr;
        facts->read.updated_at = NOW;
        facts->read_ms = NOW_MS;
        if (!event_shows_pull(event))
            facts->read = snapshot(cell, NOW, sha_a);
        if (cell->event == CELL_SYNCHRONIZE_OLDER || cell->event == CELL_LABELED_OLDER)
            facts->read.head = sha(sha_a);
        break;
    case FACT_IDENTITY:
        facts->sender_is_prgate = false;
        break;
    case FACT_SENDER:
        if (event_is_operators(event))
            fail_msg("GitHub is asked about the operator");
        facts->sender_may_approve = cell->event != CELL_LABELED_REFUSED &&
                                    cell->event != CELL_RERUN_REFUSED && cell->event != CELL_BUTTON_REFUSED;
        break;
    case FACT_AUTHOR:
        facts->author_trusted = cell->trusted;
        break;
    case FACT_PUSHER:
        facts->pusher_trusted = cell->event != CELL_SYNCHRONIZE_STRANGER;
        break;
    case FACT_EMERGENCY: /* without policies beside the gate nobody asks */
    case FACT_FILES:
        fail_msg("fact %d", (int)fact);
    case FACT_LABEL:
        facts->label_is_set = cell->label;
        facts->label_set_at = NOW;
        facts->label_set_by = event->sender;
        break;
    }
    facts->known |= (unsigned)fact;
}

static void run_cell(const struct cell *cell, struct record *record, struct decision *decision)
{
    struct facts facts = {.settle_s = cell->event == CELL_LABELED_SOON ? SETTLE_S : 0};
    struct event event = make_event(cell);
    make_record(record, cell);
    enum fact need;
    while ((need = decide_needs(record, &event, &facts, NOW_MS)) != 0)
        learn(cell, need, &event, &facts);
    record_reserve_head(record);
    decide(record, &event, &facts, NOW_MS, decision);
}

/* ---- the table --------------------------------------------------------------------- */

enum { COLUMNS = 9, ROWS_MAX = 96 };
enum column { STATE, EVENT, TRUSTED, DRAFT, LABEL, MERGEABLE, RULE, ACTIONS, NEXT };

struct row {
    char *columns[COLUMNS];
    int used;
};

struct table {
    char *text;
    struct row rows[ROWS_MAX];
    int count;
};

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    struct buf text;
    buf_init(&text);
    size_t got;
    char chunk[4096];
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        buf_add(&text, chunk, got);
    fclose(file);
    char *copy = mem_strdup(buf_text(&text));
    buf_release(&text);
    return copy;
}

static char *trim(char *text)
{
    text += strspn(text, " ");
    for (size_t len = strlen(text); len > 0 && text[len - 1] == ' '; len--)
        text[len - 1] = '\0';
    return text;
}

static void parse_row(struct row *row, char *line)
{
    char *at = strchr(line, '|') + 1;
    for (int i = 0; i < COLUMNS; i++) {
        char *end = strchr(at, '|');
        assert_non_null(end);
        *end = '\0';
        row->columns[i] = trim(at);
        at = end + 1;
    }
}

static void read_table(struct table *table)
{
    *table = (struct table){.text = read_file(TEST_SOURCE_DIR "/../docs/cicd_flowchart.md")};
    char *begin = strstr(table->text, "<!-- table:begin -->");
    char *end = strstr(table->text, "<!-- table:end -->");
    assert_non_null(begin);
    assert_non_null(end);
    *end = '\0';
    char *rest, *line;
    strtok_r(begin, "\n", &rest); /* the marker */
    for (int i = 0; (line = strtok_r(NULL, "\n", &rest)) != NULL; i++) {
        if (i < 2)
            continue; /* headings and their rule */
        assert_true(table->count < ROWS_MAX);
        parse_row(&table->rows[table->count++], line);
    }
    assert_true(table->count > 20);
}

/* Is `value` one of the cell's, separated by ", "? */
static bool fits(const char *column, const char *value)
{
    size_t len = strlen(value);
    if (strcmp(column, "any") == 0)
        return true;
    for (const char *at = column; at != NULL; at = strstr(at, ", "), at = at == NULL ? NULL : at + 2)
        if (strncmp(at, value, len) == 0 && (at[len] == ',' || at[len] == '\0'))
            return true;
    return false;
}

static const char *yes_no(bool value)
{
    return value ? "yes" : "no";
}

static struct row *find_row(struct table *table, const struct cell *cell)
{
    for (int i = 0; i < table->count; i++) {
        char **c = table->rows[i].columns;
        if (fits(c[STATE], record_state_name(cell->state)) && fits(c[EVENT], cell_events[cell->event].name) &&
            fits(c[TRUSTED], yes_no(cell->trusted)) && fits(c[DRAFT], yes_no(cell->draft)) &&
            fits(c[LABEL], yes_no(cell->label)) && fits(c[MERGEABLE], yes_no(cell->mergeable)))
            return &table->rows[i];
    }
    return NULL;
}

static void join_actions(const struct decision *decision, char *out, size_t size)
{
    out[0] = '\0';
    for (unsigned i = 0; i < decision->intent_count; i++) {
        size_t len = strlen(out);
        snprintf(out + len, size - len, "%s%s", i == 0 ? "" : ", ",
                 intent_kind_name(decision->intents[i].kind));
    }
    if (decision->intent_count == 0)
        snprintf(out, size, "none");
}

static bool equal(const struct cell *cell, const char *what, const char *got, const char *want)
{
    if (strcmp(got, want) == 0)
        return true;
    print_error("%s: %s: got \"%s\", want \"%s\"\n", name_cell(cell), what, got, want);
    return false;
}

static bool check_cell(struct table *table, const struct cell *cell)
{
    struct record record;
    struct decision decision;
    char actions[256];
    struct row *row = find_row(table, cell);
    if (row == NULL) {
        print_error("%s: no row of the table fits\n", name_cell(cell));
        return false;
    }
    row->used++;
    run_cell(cell, &record, &decision);
    join_actions(&decision, actions, sizeof actions);
    bool ok = equal(cell, "rule", rule_name(decision.rule), row->columns[RULE]);
    ok &= equal(cell, "actions", actions, row->columns[ACTIONS]);
    ok &= equal(cell, "next state", record_state_name(record_state(&record)), row->columns[NEXT]);
    record_release(&record);
    return ok;
}

static void test_every_cell_is_as_the_table_says(void **state)
{
    (void)state;
    struct table table;
    int wrong = 0;
    read_table(&table);
    for (int i = 0; i < CELLS; i++) {
        struct cell cell = cell_of(i);
        wrong += !check_cell(&table, &cell);
    }
    for (int i = 0; i < table.count; i++)
        if (table.rows[i].used == 0) {
            print_error("row %d (%s, %s) fits nothing\n", i + 1, table.rows[i].columns[STATE],
                        table.rows[i].columns[EVENT]);
            wrong++;
        }
    free(table.text);
    assert_int_equal(wrong, 0);
}

/* Whatever the cell: deciding the same event again changes nothing more, and triggers nothing more. */
static void test_a_second_time_adds_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < CELLS; i++) {
        struct cell cell = cell_of(i);
        struct record record;
        struct decision first, second;
        run_cell(&cell, &record, &first);
        struct facts facts = {.settle_s = cell.event == CELL_LABELED_SOON ? SETTLE_S : 0};
        struct event event = make_event(&cell);
        enum fact need;
        while ((need = decide_needs(&record, &event, &facts, NOW_MS)) != 0)
            learn(&cell, need, &event, &facts);
        record_reserve_head(&record);
        decide(&record, &event, &facts, NOW_MS, &second);
        for (unsigned k = 0; k < second.intent_count; k++) {
            enum intent_kind kind = second.intents[k].kind;
            /* The read still shows the label: looks, and finds it gone; or finds the comment there. */
            bool harmless = kind == INTENT_REMOVE_LABEL || kind == INTENT_COMMENT;
            if (!harmless)
                fail_msg("%s: decided again: %s", name_cell(&cell), intent_kind_name(kind));
        }
        record_release(&record);
    }
}

/* ---- what the table leaves out ------------------------------------------------------ */

/* A pull request in the hands of one test. */
struct life {
    struct record record;
    struct snapshot github; /* as GitHub shows it */
    bool trusted, may_approve, is_prgate, pusher_trusted;
    int64_t received_ms, now_ms, read_ms;
    struct decision decision;
};

static void begin(struct life *life, bool trusted)
{
    *life = (struct life){.trusted = trusted,
                          .may_approve = true,
                          .pusher_trusted = true,
                          .received_ms = EARLIER_MS,
                          .now_ms = NOW_MS,
                          .read_ms = NOW_MS};
    record_init(&life->record);
    life->github = (struct snapshot){.updated_at = THEN, .head = sha(sha_a), .mergeable = MERGEABLE_YES};
}

static struct event event_now(const struct life *life, enum event_action action)
{
    struct event event = {.action = action, .received_ms = life->received_ms, .pr = life->github};
    event.label_is_gate = action == EVENT_LABELED || action == EVENT_UNLABELED;
    event.sender = (struct user){.id = 7, .login = "sender"};
    return event;
}

static void deliver(struct life *life, const struct event *event)
{
    struct facts facts = {0};
    enum fact need;
    while ((need = decide_needs(&life->record, event, &facts, life->now_ms)) != 0) {
        facts.read = life->github;
        facts.read_ms = life->read_ms;
        facts.author_trusted = life->trusted;
        facts.pusher_trusted = life->pusher_trusted;
        facts.sender_may_approve = life->may_approve;
        facts.sender_is_prgate = life->is_prgate;
        facts.known |= (unsigned)need;
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

static bool does(const struct life *life, enum intent_kind kind)
{
    for (unsigned i = 0; i < life->decision.intent_count; i++)
        if (life->decision.intents[i].kind == kind)
            return true;
    return false;
}

static void expect(const struct life *life, enum rule rule)
{
    if (life->decision.rule != rule)
        fail_msg("got %s, want %s", rule_name(life->decision.rule), rule_name(rule));
}

static void test_label_set_on_a_draft_lets_later_pushes_through(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    life.github.draft = true;
    happen(&life, EVENT_OPENED);
    expect(&life, RULE_WAIT_DRAFT);
    life.github.labelled = true;
    happen(&life, EVENT_LABELED);
    expect(&life, RULE_APPROVED);
    push(&life, sha_b);
    expect(&life, RULE_PUSHED);
    record_release(&life.record);
}

static void test_converting_to_draft_puts_later_pushes_back(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    happen(&life, EVENT_OPENED);
    expect(&life, RULE_OPENED);
    life.github.labelled = true; /* prgate's own */
    life.github.draft = true;
    happen(&life, EVENT_CONVERTED_TO_DRAFT);
    expect(&life, RULE_ALREADY);
    push(&life, sha_b);
    expect(&life, RULE_WAIT_DRAFT);
    life.github.draft = false;
    happen(&life, EVENT_READY_FOR_REVIEW);
    expect(&life, RULE_OPENED);
    record_release(&life.record);
}

/* The push is heard of first, then the label that had been set on the draft for the commit before. */
static void test_push_that_overtakes_the_label_on_a_draft_goes_through(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    life.github.draft = true;
    happen(&life, EVENT_OPENED);
    life.github.labelled = true;
    life.github.updated_at++;
    struct event labeled = event_now(&life, EVENT_LABELED);
    push(&life, sha_b);
    expect(&life, RULE_WAIT_DRAFT);
    deliver(&life, &labeled);
    expect(&life, RULE_PUSHED);
    assert_true(does(&life, INTENT_TRIGGER));
    record_release(&life.record);
}

/* The label of before it became a draft covers nothing, in any order; one of the same second is of the draft. */
static void test_label_from_before_the_draft_does_not_cover_a_push(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    life.github.labelled = true;
    life.github.updated_at++;
    struct event labeled = event_now(&life, EVENT_LABELED);
    life.github.draft = true;
    push(&life, sha_b);
    expect(&life, RULE_WAIT_DRAFT);
    deliver(&life, &labeled);
    expect(&life, RULE_STALE_APPROVAL);
    happen(&life, EVENT_CONVERTED_TO_DRAFT);
    labeled.pr.draft = true;
    labeled.pr.updated_at = life.github.updated_at;
    deliver(&life, &labeled);
    life.github.updated_at++;
    push(&life, sha_c);
    expect(&life, RULE_PUSHED);
    record_release(&life.record);
}

/* It was given before the closing and comes while the pull request is closed. */
static void test_approval_that_comes_after_the_closing_counts_when_reopened(void **state)
{
    (void)state;
    struct life life;
    begin(&life, false);
    happen(&life, EVENT_OPENED);
    life.github.labelled = true;
    life.github.updated_at++;
    struct event labeled = event_now(&life, EVENT_LABELED);
    life.github.closed = true;
    happen(&life, EVENT_CLOSED);
    deliver(&life, &labeled);
    expect(&life, RULE_CLOSED);
    assert_int_equal(life.decision.intent_count, 0);
    life.github.closed = false;
    happen(&life, EVENT_REOPENED);
    expect(&life, RULE_APPROVED);
    record_release(&life.record);
}

/* The push was heard of while the pull request was closed: reopening takes off the label that it left on. */
static void test_reopening_takes_off_the_label_of_before_the_push(void **state)
{
    (void)state;
    struct life life;
    begin(&life, false);
    life.github.labelled = true;
    life.github.closed = true;
    happen(&life, EVENT_CLOSED);
    push(&life, sha_b);
    expect(&life, RULE_CLOSED);
    life.github.closed = false;
    happen(&life, EVENT_REOPENED);
    expect(&life, RULE_WAIT_UNTRUSTED);
    assert_true(does(&life, INTENT_REMOVE_LABEL));
    record_release(&life.record);
}

/* A trusted author's push on a labelled draft, heard of while it is closed, before the label is or after. */
static void test_covered_push_on_a_closed_draft_counts_when_reopened(void **state)
{
    (void)state;
    struct life life;
    for (int i = 0; i < 2; i++) {
        begin(&life, true);
        life.github.draft = true;
        life.github.labelled = true;
        struct event labeled = event_now(&life, EVENT_LABELED);
        if (i == 0)
            deliver(&life, &labeled);
        life.github.closed = true;
        happen(&life, EVENT_CLOSED);
        push(&life, sha_b);
        expect(&life, RULE_CLOSED);
        if (i == 1)
            deliver(&life, &labeled);
        expect(&life, RULE_CLOSED);
        life.github.closed = false;
        happen(&life, EVENT_REOPENED);
        expect(&life, RULE_PUSHED);
        record_release(&life.record);
    }
}

/* Nobody who may has agreed: closed or not. */
static void test_refused_label_on_a_closed_one_approves_nothing_when_reopened(void **state)
{
    (void)state;
    struct life life;
    begin(&life, false);
    life.may_approve = false;
    happen(&life, EVENT_OPENED);
    life.github.closed = true;
    happen(&life, EVENT_CLOSED);
    life.github.labelled = true;
    happen(&life, EVENT_LABELED);
    expect(&life, RULE_CLOSED);
    life.github.closed = false;
    happen(&life, EVENT_REOPENED);
    expect(&life, RULE_NOT_APPROVER);
    assert_false(does(&life, INTENT_TRIGGER));
    record_release(&life.record);
}

/* An untrusted author's opening, or that of a draft, is owed nothing, though an approval was heard of first. */
static void test_opening_that_comes_after_the_approval_is_owed_only_to_the_trusted(void **state)
{
    (void)state;
    struct life life;
    for (int i = 0; i < 3; i++) {
        begin(&life, i > 0);
        life.github.draft = i == 1;
        life.github.mergeable = MERGEABLE_NO;
        struct event opened = event_now(&life, EVENT_OPENED);
        life.github.labelled = true;
        happen(&life, EVENT_LABELED);
        expect(&life, RULE_CONFLICT);
        deliver(&life, &opened);
        expect(&life, RULE_CONFLICT);
        assert_int_equal(life.record.opening_owed, i == 2);
        record_release(&life.record);
    }
}

/* Pushed while the label was there: that counts on though the opening, too, would have let it through. */
static void test_push_is_covered_whether_the_opening_came_before_or_after_it(void **state)
{
    (void)state;
    struct life life;
    for (int i = 0; i < 2; i++) {
        begin(&life, true);
        life.github.mergeable = MERGEABLE_NO;
        life.github.labelled = true;
        struct event opened = event_now(&life, EVENT_OPENED);
        if (i == 0)
            deliver(&life, &opened);
        push(&life, sha_b);
        if (i == 1)
            deliver(&life, &opened);
        expect(&life, RULE_CONFLICT);
        struct sha b = sha(sha_b);
        assert_true(record_find_head(&life.record, &b)->label_granted);
        record_release(&life.record);
    }
}

/* Of the same second, and taken before the last read: its payload's word on mergeable is the older one. */
static void test_last_read_knows_best_about_mergeable_for_the_whole_queue(void **state)
{
    (void)state;
    struct life life;
    begin(&life, false);
    happen(&life, EVENT_OPENED);
    life.github.labelled = true;
    life.github.updated_at++;
    struct event labeled = event_now(&life, EVENT_LABELED);
    struct event edited = event_now(&life, EVENT_EDITED);
    labeled.pr.mergeable = MERGEABLE_NO;
    deliver(&life, &edited);
    deliver(&life, &labeled);
    expect(&life, RULE_APPROVED);
    record_release(&life.record);
}

static void test_unlabeling_puts_later_pushes_back(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    happen(&life, EVENT_OPENED);
    life.github.labelled = false;
    happen(&life, EVENT_UNLABELED);
    expect(&life, RULE_ALREADY);
    push(&life, sha_b);
    expect(&life, RULE_WAIT_NO_LABEL);
    record_release(&life.record);
}

static void test_own_label_approves_nothing(void **state)
{
    (void)state;
    struct life life;
    begin(&life, false);
    life.is_prgate = true;
    life.github.labelled = true;
    happen(&life, EVENT_LABELED);
    expect(&life, RULE_WAIT_UNTRUSTED);
    assert_false(does(&life, INTENT_TRIGGER));
    record_release(&life.record);
}

/* GitHub's read lags: the push's payload and the read show no label yet, our own echo then does. */
static void test_own_label_overtaken_by_a_push_counts_as_that_push(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    happen(&life, EVENT_OPENED);
    push(&life, sha_b);
    expect(&life, RULE_WAIT_NO_LABEL);
    life.github.labelled = true;
    life.is_prgate = true;
    happen(&life, EVENT_LABELED);
    expect(&life, RULE_PUSHED);
    record_release(&life.record);
}

static void test_label_set_anew_after_the_push_survives_its_removal(void **state)
{
    (void)state;
    struct life life;
    begin(&life, false);
    happen(&life, EVENT_OPENED);
    life.github.labelled = true;
    push(&life, sha_b);
    assert_true(does(&life, INTENT_REMOVE_LABEL));
    struct event labeled = event_now(&life, EVENT_LABELED); /* set for B before prgate removed it */
    labeled.pr.updated_at++;
    life.github.labelled = false;
    life.github.updated_at += 2;
    deliver(&life, &labeled);
    expect(&life, RULE_APPROVED);
    assert_true(does(&life, INTENT_ADD_LABEL));
    record_release(&life.record);
}

/* Both deliveries had come in before the only read, and a second one lags: the removal must not be forgotten. */
static void test_label_removed_by_prgate_is_put_back_though_a_read_still_shows_it(void **state)
{
    (void)state;
    struct life life;
    begin(&life, false);
    happen(&life, EVENT_OPENED);
    life.github.labelled = true;
    life.github.head = sha(sha_b);
    life.github.updated_at++;
    struct event pushed = event_now(&life, EVENT_SYNCHRONIZE);
    life.github.updated_at++;
    struct event labeled = event_now(&life, EVENT_LABELED);
    deliver(&life, &pushed);
    assert_true(does(&life, INTENT_REMOVE_LABEL));
    deliver(&life, &labeled);
    expect(&life, RULE_APPROVED);
    assert_true(does(&life, INTENT_ADD_LABEL));
    record_release(&life.record);
}

static void test_label_for_the_new_head_that_arrives_before_the_push(void **state)
{
    (void)state;
    struct life life;
    begin(&life, false);
    happen(&life, EVENT_OPENED);
    life.github.head = sha(sha_b);
    life.github.updated_at++;
    struct event pushed = event_now(&life, EVENT_SYNCHRONIZE);
    life.github.labelled = true;
    happen(&life, EVENT_LABELED);
    expect(&life, RULE_APPROVED);
    deliver(&life, &pushed);
    expect(&life, RULE_ALREADY);
    assert_int_equal(life.decision.intent_count, 0);
    record_release(&life.record);
}

static void test_older_event_never_rolls_the_head_back(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    struct event opened = event_now(&life, EVENT_OPENED);
    life.github.labelled = true;
    push(&life, sha_b);
    expect(&life, RULE_PUSHED);
    deliver(&life, &opened);
    expect(&life, RULE_ALREADY);
    assert_string_equal(life.record.view.head.hex, sha_b);
    record_release(&life.record);
}

static void test_back_to_an_old_commit_never_triggers_it_again(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    happen(&life, EVENT_OPENED);
    life.github.labelled = true;
    push(&life, sha_b);
    expect(&life, RULE_PUSHED);
    push(&life, sha_a);
    expect(&life, RULE_ALREADY);
    assert_false(does(&life, INTENT_TRIGGER));
    record_release(&life.record);
}

static void test_conflict_comments_once_and_starts_when_it_is_gone(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    life.github.mergeable = MERGEABLE_NO;
    happen(&life, EVENT_OPENED);
    expect(&life, RULE_CONFLICT);
    assert_true(does(&life, INTENT_COMMENT_CONFLICT));
    assert_false(does(&life, INTENT_ADD_LABEL));
    push(&life, sha_b);
    expect(&life, RULE_CONFLICT);
    assert_false(does(&life, INTENT_COMMENT_CONFLICT));
    life.github.mergeable = MERGEABLE_YES;
    happen(&life, EVENT_EDITED);
    expect(&life, RULE_OPENED);
    assert_true(does(&life, INTENT_TRIGGER));
    record_release(&life.record);
}

static void test_conflict_with_mergeable_unknown_is_asked_again_for_a_while(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    life.github.mergeable = MERGEABLE_NO;
    happen(&life, EVENT_OPENED);
    life.github.mergeable = MERGEABLE_UNKNOWN;
    life.received_ms = life.now_ms - 1000;
    happen(&life, EVENT_EDITED);
    expect(&life, RULE_LATER);
    assert_true(life.decision.later_ms > life.now_ms);
    life.now_ms += 60000;
    struct event again = event_now(&life, EVENT_EDITED);
    deliver(&life, &again);
    expect(&life, RULE_CONFLICT);
    record_release(&life.record);
}

static void test_mergeable_unknown_is_not_a_conflict(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    life.github.mergeable = MERGEABLE_UNKNOWN;
    happen(&life, EVENT_OPENED);
    expect(&life, RULE_OPENED);
    record_release(&life.record);
}

/* The payload's `mergeable` is null as a rule. What a read that came later said is not forgotten for it. */
static void test_conflict_that_a_later_read_showed_outlives_a_payload_that_does_not_know(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    life.github.labelled = true;
    struct event pushed = event_now(&life, EVENT_SYNCHRONIZE);
    pushed.pr.mergeable = MERGEABLE_UNKNOWN;
    life.github.mergeable = MERGEABLE_NO;
    struct event unlabeled = event_now(&life, EVENT_UNLABELED); /* decided first, and covers nothing */
    deliver(&life, &unlabeled);
    expect(&life, RULE_WAIT_PUSHER); /* nobody has told of the push yet */
    assert_int_equal(decide_needs(&life.record, &pushed, &(struct facts){0}, life.now_ms), FACT_AUTHOR);
    deliver(&life, &pushed);
    expect(&life, RULE_CONFLICT);
    assert_true(does(&life, INTENT_COMMENT_CONFLICT));
    assert_false(does(&life, INTENT_TRIGGER));
    record_release(&life.record);
}

static void test_disagreement_within_a_second_is_asked_again(void **state)
{
    (void)state;
    struct life life;
    begin(&life, false);
    happen(&life, EVENT_OPENED);
    life.github.labelled = true;
    life.github.updated_at++;
    struct event labeled = event_now(&life, EVENT_LABELED);
    life.github.labelled = false; /* a read that lags, or somebody was quick */
    life.read_ms = life.received_ms + 100;
    life.now_ms = life.received_ms + 200;
    struct record before;
    record_init(&before);
    record_copy(&before, &life.record);
    deliver(&life, &labeled);
    expect(&life, RULE_LATER);
    assert_int_equal(before.view.updated_at, life.record.view.updated_at);
    life.github.labelled = true;
    life.read_ms = life.received_ms + 5000;
    life.now_ms = life.received_ms + 5100;
    deliver(&life, &labeled);
    expect(&life, RULE_APPROVED);
    record_release(&before);
    record_release(&life.record);
}

/* A second ago GitHub showed the label, this push came in the same second, and reads are older than both. */
static void test_read_that_is_older_than_the_payload_is_given_time_to_catch_up(void **state)
{
    (void)state;
    struct life life;
    begin(&life, false);
    happen(&life, EVENT_OPENED);
    struct snapshot before = life.github;
    life.github.labelled = true;
    happen(&life, EVENT_LABELED);
    expect(&life, RULE_APPROVED);
    life.github.head = sha(sha_b);
    struct event pushed = event_now(&life, EVENT_SYNCHRONIZE); /* the same updated_at as the label's */
    struct snapshot after = life.github;
    life.github = before;
    life.now_ms = life.received_ms + 300;
    deliver(&life, &pushed);
    expect(&life, RULE_LATER);
    life.github = after;
    life.read_ms = life.now_ms = life.received_ms + 3000;
    deliver(&life, &pushed);
    expect(&life, RULE_WAIT_UNTRUSTED);
    assert_string_equal(life.record.view.head.hex, sha_b);
    record_release(&life.record);
}

/* Some time after the last; `at_ms` is when the door took it. */
static void ask_again(struct life *life, const char *head, int64_t at_ms)
{
    struct event event = {.action = EVENT_RERUN, .received_ms = at_ms, .pr = {.head = sha(head)}};
    event.sender = (struct user){.id = 8, .login = "max"};
    life->now_ms = life->read_ms = at_ms + 100;
    deliver(life, &event);
}

static void expect_start(const struct life *life, unsigned attempt)
{
    assert_int_equal(life->decision.rule, RULE_RERUN);
    assert_int_equal(life->decision.intents[0].kind, INTENT_TRIGGER);
    assert_int_equal(head_attempt(&life->record.heads[0]), attempt);
    assert_int_equal(life->record.heads[0].ci, CI_DECIDED);
    assert_string_equal(life->record.heads[0].rerun_by.login, "max");
}

static void test_each_rerun_is_another_attempt(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    happen(&life, EVENT_OPENED);
    life.github.labelled = true; /* by prgate */
    expect(&life, RULE_OPENED);
    struct head *head = &life.record.heads[0];
    assert_int_equal(head_attempt(head), 1);
    for (unsigned attempt = 2; attempt < 5; attempt++) {
        int64_t started_ms = NOW_MS + attempt * INT64_C(10000);
        head_set_ci(head, attempt == 3 ? CI_UNKNOWN : CI_STARTED, started_ms);
        ask_again(&life, sha_a, started_ms); /* before its outcome was known */
        expect(&life, RULE_RERUN_SAME);
        ask_again(&life, sha_a, started_ms + 1);
        expect_start(&life, attempt);
        ask_again(&life, sha_a, started_ms + 200); /* and while the next is under way */
        expect(&life, RULE_RERUN_SAME);
        head->ci = CI_SENT;
        ask_again(&life, sha_a, started_ms + 300);
        expect(&life, RULE_RERUN_SAME);
        assert_int_equal(head_attempt(head), attempt);
    }
    record_release(&life.record);
}

static void test_rerun_by_somebody_who_may_not_is_told_once(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    happen(&life, EVENT_OPENED);
    life.github.labelled = true; /* by prgate */
    head_set_ci(&life.record.heads[0], CI_STARTED, NOW_MS);
    life.may_approve = false;
    for (int i = 0; i < 2; i++) {
        ask_again(&life, sha_a, NOW_MS + 1 + i);
        expect(&life, RULE_RERUN_REFUSED);
        assert_int_equal(life.decision.intent_count, i == 0);
        assert_true(life.record.heads[0].rerun_refused);
        assert_int_equal(life.record.heads[0].ci, CI_STARTED);
    }
    life.may_approve = true;
    ask_again(&life, sha_a, NOW_MS + 3);
    expect_start(&life, 2);
    assert_false(life.record.heads[0].rerun_refused);
    record_release(&life.record);
}

/* A trigger that was not sent is undone; that CI was started before is not. */
static void test_closing_takes_back_a_rerun_and_not_what_was_before(void **state)
{
    (void)state;
    static const enum ci_state before[] = {CI_STARTED, CI_UNKNOWN};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        struct life life;
        begin(&life, true);
        happen(&life, EVENT_OPENED);
        life.github.labelled = true; /* by prgate */
        head_set_ci(&life.record.heads[0], before[i], NOW_MS);
        ask_again(&life, sha_a, NOW_MS + 1);
        expect_start(&life, 2);
        life.github.closed = true;
        happen(&life, EVENT_CLOSED);
        expect(&life, RULE_CLOSED);
        assert_true(life.decision.drop_intents);
        assert_int_equal(life.record.heads[0].ci, before[i]);
        ask_again(&life, sha_a, life.now_ms + 1000);
        expect(&life, RULE_CLOSED);
        assert_int_equal(life.decision.intent_count, 0);
        life.github.closed = false;
        happen(&life, EVENT_REOPENED);
        expect(&life, RULE_ALREADY);
        ask_again(&life, sha_a, life.now_ms + 1000);
        expect_start(&life, 3);
        record_release(&life.record);
    }
}

/* The same press under another delivery's id, later: its check tells of a start that was repeated already. */
static void test_rerun_of_an_earlier_start_is_the_same_wish(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    happen(&life, EVENT_OPENED);
    life.github.labelled = true;
    struct head *head = &life.record.heads[0];
    struct event event = {.action = EVENT_RERUN, .pr = {.head = sha(sha_a)}, .attempt = 1};
    event.sender = (struct user){.id = 8, .login = "max"};
    for (unsigned attempt = 1; attempt < 4; attempt++) {
        head_set_ci(head, CI_STARTED, life.now_ms);
        life.now_ms = life.read_ms = event.received_ms = life.now_ms + 1000;
        event.attempt = attempt;
        deliver(&life, &event);
        expect_start(&life, attempt + 1);
        head_set_ci(head, CI_STARTED, life.now_ms);
        for (event.attempt = 1; event.attempt <= attempt; event.attempt++) {
            life.now_ms = life.read_ms = event.received_ms = life.now_ms + 1000;
            deliver(&life, &event);
            expect(&life, RULE_RERUN_SAME);
        }
    }
    event.attempt = 9; /* a record that was lost */
    life.now_ms = life.read_ms = event.received_ms = life.now_ms + 1000;
    deliver(&life, &event);
    expect_start(&life, 10);
    record_release(&life.record);
}

/* It shows no pull request: what it finds is what GitHub shows, and what is known stays known. */
static void test_rerun_believes_github_alone(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    happen(&life, EVENT_OPENED);
    life.github.labelled = true; /* by prgate */
    head_set_ci(&life.record.heads[0], CI_STARTED, NOW_MS);
    life.github.head = sha(sha_b); /* the push is not heard of yet */
    life.github.updated_at++;
    ask_again(&life, sha_a, NOW_MS + 1);
    expect(&life, RULE_RERUN_OLD);
    assert_string_equal(life.record.view.head.hex, sha_b);
    ask_again(&life, sha_b, NOW_MS + 1000);
    expect(&life, RULE_RERUN_EARLY);
    assert_int_equal(life.record.head_count, 1);
    happen(&life, EVENT_SYNCHRONIZE);
    assert_int_equal(life.record.head_count, 2);
    record_release(&life.record);
}

/* What GitHub showed a moment ago and what it shows now carry the same second: the read is repeated. */
static void test_rerun_waits_where_reads_disagree(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    happen(&life, EVENT_OPENED);
    life.github.labelled = true; /* by prgate */
    head_set_ci(&life.record.heads[0], CI_STARTED, NOW_MS);
    life.github.head = sha(sha_b);
    struct event event = {.action = EVENT_RERUN, .received_ms = NOW_MS + 1, .pr = {.head = sha(sha_a)}};
    life.now_ms = life.read_ms = NOW_MS + 2;
    deliver(&life, &event);
    expect(&life, RULE_LATER);
    life.now_ms = life.read_ms = NOW_MS + 3000;
    deliver(&life, &event);
    expect(&life, RULE_RERUN_OLD);
    life.github.head = sha(sha_a); /* and once more, found out too late to ask again */
    event.received_ms = NOW_MS + 3000;
    life.read_ms = NOW_MS + 3001;
    life.now_ms = NOW_MS + 70000;
    deliver(&life, &event);
    expect(&life, RULE_RERUN);
    record_release(&life.record);
}

static void test_refused_trigger_is_not_tried_again_by_an_echo_or_an_edit(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    happen(&life, EVENT_OPENED);
    life.record.heads[0].ci = CI_REFUSED;
    life.github.labelled = true;
    life.is_prgate = true;
    happen(&life, EVENT_LABELED);
    expect(&life, RULE_TRIGGER_REFUSED);
    happen(&life, EVENT_EDITED);
    expect(&life, RULE_TRIGGER_REFUSED);
    record_release(&life.record);
}

static void test_late_duplicate_of_a_used_label_leaves_the_new_head_alone(void **state)
{
    (void)state;
    struct life life;
    begin(&life, false);
    happen(&life, EVENT_OPENED);
    life.github.labelled = true;
    life.github.updated_at++;
    struct event labeled = event_now(&life, EVENT_LABELED);
    deliver(&life, &labeled);
    expect(&life, RULE_APPROVED);
    push(&life, sha_b);
    expect(&life, RULE_WAIT_UNTRUSTED);
    deliver(&life, &labeled);
    expect(&life, RULE_WAIT_UNTRUSTED);
    assert_int_equal(life.decision.intent_count, 0);
    record_release(&life.record);
}

static void test_closing_undoes_a_trigger_that_was_not_sent(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    happen(&life, EVENT_OPENED);
    life.github.closed = true;
    happen(&life, EVENT_CLOSED);
    expect(&life, RULE_CLOSED);
    assert_true(life.decision.drop_intents);
    life.github.closed = false;
    happen(&life, EVENT_REOPENED);
    expect(&life, RULE_OPENED);
    assert_true(does(&life, INTENT_TRIGGER));
    record_release(&life.record);
}

static void test_closing_keeps_a_trigger_that_may_have_arrived(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    happen(&life, EVENT_OPENED);
    life.record.heads[0].ci = CI_SENT;
    life.github.closed = true;
    happen(&life, EVENT_CLOSED);
    assert_int_equal(life.record.heads[0].ci, CI_UNKNOWN);
    life.github.closed = false;
    happen(&life, EVENT_REOPENED);
    expect(&life, RULE_ALREADY);
    assert_false(does(&life, INTENT_TRIGGER));
    record_release(&life.record);
}

static void test_closing_in_the_second_of_the_opening_is_decided_at_once(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    happen(&life, EVENT_OPENED);
    life.github.closed = true;
    struct event closed = event_now(&life, EVENT_CLOSED); /* updated_at as before */
    life.read_ms = life.now_ms = life.received_ms + 10;
    deliver(&life, &closed);
    expect(&life, RULE_CLOSED);
    record_release(&life.record);
}

static void test_late_closing_does_not_undo_a_reopening_of_the_same_second(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    happen(&life, EVENT_OPENED);
    struct event reopened = event_now(&life, EVENT_REOPENED);
    life.record.opened = true;
    deliver(&life, &reopened);
    life.github.closed = true; /* a read that lags, or so it may be */
    struct event closed = event_now(&life, EVENT_CLOSED);
    life.read_ms = life.now_ms = life.received_ms + 10;
    deliver(&life, &closed);
    expect(&life, RULE_LATER);
    record_release(&life.record);
}

static void test_refused_trigger_may_be_tried_again(void **state)
{
    (void)state;
    struct life life;
    begin(&life, false);
    happen(&life, EVENT_OPENED);
    life.github.labelled = true;
    happen(&life, EVENT_LABELED);
    life.record.heads[0].ci = CI_REFUSED;
    happen(&life, EVENT_LABELED);
    expect(&life, RULE_APPROVED);
    assert_true(does(&life, INTENT_TRIGGER));
    record_release(&life.record);
}

static void test_known_facts_are_not_asked_for_again(void **state)
{
    (void)state;
    struct life life;
    begin(&life, true);
    happen(&life, EVENT_OPENED);
    life.github.labelled = true;
    life.github.updated_at++;
    struct facts none = {0};
    struct event echo = event_now(&life, EVENT_LABELED);
    assert_int_equal(decide_needs(&life.record, &echo, &none, life.now_ms), 0);
    record_release(&life.record);
}

/* ---- who pushed ---- */

/* Opened by a trusted author, started and labelled. */
static void begin_labelled(struct life *life)
{
    begin(life, true);
    happen(life, EVENT_OPENED);
    expect(life, RULE_OPENED);
    life->github.labelled = true;
}

static const struct head *head_now(const struct life *life)
{
    const struct head *head = record_find_head(&life->record, &life->github.head);
    assert_non_null(head);
    return head;
}

static void test_stranger_s_push_waits_until_the_label_is_set_anew(void **state)
{
    (void)state;
    struct life life;
    begin_labelled(&life);
    life.pusher_trusted = false;
    push(&life, sha_b);
    expect(&life, RULE_WAIT_PUSHER);
    assert_true(does(&life, INTENT_REMOVE_LABEL));
    assert_false(does(&life, INTENT_TRIGGER));
    assert_string_equal(head_now(&life)->pushed_by.login, "sender");
    life.github.labelled = false;
    happen(&life, EVENT_UNLABELED);
    happen(&life, EVENT_EDITED);
    expect(&life, RULE_WAIT_PUSHER);
    life.github.labelled = true;
    happen(&life, EVENT_LABELED);
    expect(&life, RULE_APPROVED);
    record_release(&life.record);
}

/* An event that shows the new head before its push is heard of starts nothing, and the push then decides. */
static void test_what_overtakes_a_push_waits_for_it_to_tell_who_pushed(void **state)
{
    (void)state;
    static const enum event_action first[] = {EVENT_EDITED, EVENT_LABELED, EVENT_REOPENED,
                                              EVENT_READY_FOR_REVIEW, EVENT_OPENED};
    for (size_t i = 0; i < 2 * sizeof first / sizeof *first; i++) {
        struct life life;
        begin(&life, true);
        bool trusted = i % 2 == 0;
        struct event overtaking = event_now(&life, first[i / 2]); /* an opening is of the commit before */
        life.is_prgate = true;
        life.github.labelled = true;
        life.github.head = sha(sha_b);
        life.github.updated_at++;
        struct event pushed = event_now(&life, EVENT_SYNCHRONIZE);
        if (first[i / 2] != EVENT_OPENED)
            overtaking.pr = life.github;
        deliver(&life, &overtaking);
        expect(&life, RULE_WAIT_PUSHER);
        assert_false(does(&life, INTENT_TRIGGER));
        assert_false(does(&life, INTENT_REMOVE_LABEL));
        life.pusher_trusted = trusted;
        deliver(&life, &pushed);
        assert_int_equal(does(&life, INTENT_TRIGGER), trusted);
        assert_int_equal(does(&life, INTENT_REMOVE_LABEL), !trusted);
        record_release(&life.record);
    }
}

/* Without the label, too, what the opening is owed waits for the push, and is void when a stranger pushed. */
static void test_opening_stays_owed_until_the_push_tells_who_pushed(void **state)
{
    (void)state;
    for (int trusted = 0; trusted < 2; trusted++) {
        struct life life;
        begin(&life, true);
        struct event opened = event_now(&life, EVENT_OPENED);
        life.github.head = sha(sha_b);
        life.github.updated_at++;
        struct event pushed = event_now(&life, EVENT_SYNCHRONIZE);
        deliver(&life, &opened);
        assert_true(life.record.opening_owed);
        life.pusher_trusted = trusted;
        deliver(&life, &pushed);
        expect(&life, trusted ? RULE_OPENED : RULE_WAIT_PUSHER);
        assert_false(life.record.opening_owed);
        record_release(&life.record);
    }
}

static void test_stranger_s_push_is_not_started_by_an_opening(void **state)
{
    (void)state;
    static const enum event_action openings[] = {EVENT_REOPENED, EVENT_READY_FOR_REVIEW, EVENT_OPENED};
    for (size_t i = 0; i < sizeof openings / sizeof *openings; i++) {
        struct life life;
        begin(&life, true);
        struct event opening = event_now(&life, openings[i]);
        life.pusher_trusted = false;
        push(&life, sha_b);
        if (openings[i] != EVENT_OPENED)
            opening = event_now(&life, openings[i]);
        opening.pr.updated_at++;
        deliver(&life, &opening);
        expect(&life, RULE_WAIT_PUSHER);
        record_release(&life.record);
    }
}

/* A push that was made up, without a sender, waits; its own event, late, tells, and the label comes back. */
static void test_push_by_nobody_waits_for_its_own_event(void **state)
{
    (void)state;
    for (int trusted = 0; trusted < 2; trusted++) {
        struct life life;
        begin_labelled(&life);
        life.github.head = sha(sha_b);
        life.github.updated_at++;
        struct event pushed = event_now(&life, EVENT_SYNCHRONIZE), made_up = pushed;
        made_up.sender = (struct user){0};
        deliver(&life, &made_up);
        expect(&life, RULE_WAIT_PUSHER);
        assert_true(does(&life, INTENT_REMOVE_LABEL));
        life.github.labelled = false;
        life.pusher_trusted = trusted;
        happen(&life, EVENT_UNLABELED);
        deliver(&life, &pushed);
        expect(&life, trusted ? RULE_PUSHED : RULE_WAIT_PUSHER);
        assert_int_equal(does(&life, INTENT_ADD_LABEL), trusted);
        record_release(&life.record);
    }
}

/* prgate set it for the commit before, and it came to GitHub after the push: whichever is heard of first. */
static void test_own_label_that_a_stranger_s_push_overtook_is_taken_off(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct life life;
        begin(&life, true);
        happen(&life, EVENT_OPENED);
        life.pusher_trusted = false;
        life.github.head = sha(sha_b);
        life.github.updated_at++;
        struct event pushed = event_now(&life, EVENT_SYNCHRONIZE);
        life.github.labelled = true;
        life.github.updated_at++;
        struct event echo = event_now(&life, EVENT_LABELED);
        life.is_prgate = true;
        deliver(&life, i == 0 ? &pushed : &echo);
        deliver(&life, i == 0 ? &echo : &pushed);
        expect(&life, RULE_WAIT_PUSHER);
        assert_true(does(&life, INTENT_REMOVE_LABEL));
        record_release(&life.record);
    }
}

static void test_stranger_s_push_on_a_closed_one_waits_when_reopened(void **state)
{
    (void)state;
    struct life life;
    begin_labelled(&life);
    life.github.closed = true;
    happen(&life, EVENT_CLOSED);
    life.pusher_trusted = false;
    push(&life, sha_b);
    expect(&life, RULE_CLOSED);
    life.github.closed = false;
    happen(&life, EVENT_REOPENED);
    expect(&life, RULE_WAIT_PUSHER);
    assert_true(does(&life, INTENT_REMOVE_LABEL));
    record_release(&life.record);
}

/* Nobody asks who pushed where nothing depends on it. */
static void test_pusher_of_an_untrusted_author_s_commit_is_not_asked_about(void **state)
{
    (void)state;
    struct life life;
    begin(&life, false);
    struct event pushed = event_now(&life, EVENT_SYNCHRONIZE);
    struct facts facts = {.known = FACT_READ | FACT_AUTHOR, .read = life.github, .read_ms = NOW_MS};
    assert_int_equal(decide_needs(&life.record, &pushed, &facts, NOW_MS), 0);
    facts.author_trusted = true;
    assert_int_equal(decide_needs(&life.record, &pushed, &facts, NOW_MS), FACT_PUSHER);
    record_release(&life.record);
}

static void test_every_rule_has_words_of_its_own(void **state)
{
    (void)state;
    for (unsigned a = RULE_LATER; a <= RULE_OPERATOR_OLD; a++) {
        const char *name = rule_name((enum rule)a);
        assert_string_not_equal(name, "?");
        assert_true(strlen(rule_sentence((enum rule)a)) > 5);
        for (unsigned b = RULE_LATER; b < a; b++)
            assert_string_not_equal(name, rule_name((enum rule)b));
    }
    assert_string_equal(rule_name((enum rule)(RULE_OPERATOR_OLD + 1)), "?");
    assert_string_equal(rule_sentence((enum rule)(RULE_OPERATOR_OLD + 1)), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_rule_has_words_of_its_own),
        cmocka_unit_test(test_every_cell_is_as_the_table_says),
        cmocka_unit_test(test_a_second_time_adds_nothing),
        cmocka_unit_test(test_label_set_on_a_draft_lets_later_pushes_through),
        cmocka_unit_test(test_converting_to_draft_puts_later_pushes_back),
        cmocka_unit_test(test_push_that_overtakes_the_label_on_a_draft_goes_through),
        cmocka_unit_test(test_label_from_before_the_draft_does_not_cover_a_push),
        cmocka_unit_test(test_approval_that_comes_after_the_closing_counts_when_reopened),
        cmocka_unit_test(test_reopening_takes_off_the_label_of_before_the_push),
        cmocka_unit_test(test_covered_push_on_a_closed_draft_counts_when_reopened),
        cmocka_unit_test(test_refused_label_on_a_closed_one_approves_nothing_when_reopened),
        cmocka_unit_test(test_opening_that_comes_after_the_approval_is_owed_only_to_the_trusted),
        cmocka_unit_test(test_push_is_covered_whether_the_opening_came_before_or_after_it),
        cmocka_unit_test(test_last_read_knows_best_about_mergeable_for_the_whole_queue),
        cmocka_unit_test(test_unlabeling_puts_later_pushes_back),
        cmocka_unit_test(test_own_label_approves_nothing),
        cmocka_unit_test(test_own_label_overtaken_by_a_push_counts_as_that_push),
        cmocka_unit_test(test_label_set_anew_after_the_push_survives_its_removal),
        cmocka_unit_test(test_label_removed_by_prgate_is_put_back_though_a_read_still_shows_it),
        cmocka_unit_test(test_label_for_the_new_head_that_arrives_before_the_push),
        cmocka_unit_test(test_older_event_never_rolls_the_head_back),
        cmocka_unit_test(test_back_to_an_old_commit_never_triggers_it_again),
        cmocka_unit_test(test_conflict_comments_once_and_starts_when_it_is_gone),
        cmocka_unit_test(test_conflict_with_mergeable_unknown_is_asked_again_for_a_while),
        cmocka_unit_test(test_mergeable_unknown_is_not_a_conflict),
        cmocka_unit_test(test_conflict_that_a_later_read_showed_outlives_a_payload_that_does_not_know),
        cmocka_unit_test(test_disagreement_within_a_second_is_asked_again),
        cmocka_unit_test(test_read_that_is_older_than_the_payload_is_given_time_to_catch_up),
        cmocka_unit_test(test_each_rerun_is_another_attempt),
        cmocka_unit_test(test_rerun_by_somebody_who_may_not_is_told_once),
        cmocka_unit_test(test_closing_takes_back_a_rerun_and_not_what_was_before),
        cmocka_unit_test(test_rerun_of_an_earlier_start_is_the_same_wish),
        cmocka_unit_test(test_rerun_believes_github_alone),
        cmocka_unit_test(test_rerun_waits_where_reads_disagree),
        cmocka_unit_test(test_refused_trigger_is_not_tried_again_by_an_echo_or_an_edit),
        cmocka_unit_test(test_late_duplicate_of_a_used_label_leaves_the_new_head_alone),
        cmocka_unit_test(test_closing_undoes_a_trigger_that_was_not_sent),
        cmocka_unit_test(test_closing_keeps_a_trigger_that_may_have_arrived),
        cmocka_unit_test(test_closing_in_the_second_of_the_opening_is_decided_at_once),
        cmocka_unit_test(test_late_closing_does_not_undo_a_reopening_of_the_same_second),
        cmocka_unit_test(test_refused_trigger_may_be_tried_again),
        cmocka_unit_test(test_known_facts_are_not_asked_for_again),
        cmocka_unit_test(test_stranger_s_push_waits_until_the_label_is_set_anew),
        cmocka_unit_test(test_what_overtakes_a_push_waits_for_it_to_tell_who_pushed),
        cmocka_unit_test(test_opening_stays_owed_until_the_push_tells_who_pushed),
        cmocka_unit_test(test_stranger_s_push_is_not_started_by_an_opening),
        cmocka_unit_test(test_push_by_nobody_waits_for_its_own_event),
        cmocka_unit_test(test_own_label_that_a_stranger_s_push_overtook_is_taken_off),
        cmocka_unit_test(test_stranger_s_push_on_a_closed_one_waits_when_reopened),
        cmocka_unit_test(test_pusher_of_an_untrusted_author_s_commit_is_not_asked_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
