/*
 * What is made of a difference between the store and GitHub: by itself, case by case; and in a whole pass, with
 * a GitHub that is a function.
 */
#include "check.h"

#include "fixture.h"
#include "prgate/reconcile.h"
#include "prgate/visible.h"

enum { V = 1700000000, NOW_MS = 7 }; /* the time of the record's view */

/* ---- the comparison ---------------------------------------------------------------- */

/* State of a pull request in letters: H or N the known or another head, D draft, L labelled, C closed. */
struct row {
    const char *name;
    const char *known; /* NULL: not known */
    bool not_opened;   /* the record has not seen an opening */
    bool triggered, approved, taken_off;
    bool waits_for_push; /* the label was heard of before the push of its commit */
    const char *now;
    int64_t at; /* updated_at less V */
    bool asked; /* who set the label is known */
    int64_t set_at, moved_at;
    bool unset, moved_twice;
    bool older;       /* was there before prgate */
    const char *want; /* the actions, in order */
};

static struct snapshot make_snapshot(const char *state, int64_t at)
{
    struct snapshot snapshot = {.updated_at = V + at, .author = {.id = 2, .login = "bob"}};
    sha_parse(&snapshot.head,
              strchr(state, 'N') != NULL ? "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb" : SHA_A);
    snapshot.draft = strchr(state, 'D') != NULL;
    snapshot.labelled = strchr(state, 'L') != NULL;
    snapshot.closed = strchr(state, 'C') != NULL;
    return snapshot;
}

static void make_record(const struct row *row, struct record *record)
{
    record_init(record);
    record->view = make_snapshot(row->known, 0);
    record->opened = !row->not_opened;
    struct sha head;
    sha_parse(&head, SHA_A);
    record_reserve_head(record);
    struct head *known = record_add_head(record, &head, 1);
    known->ci = row->triggered ? CI_STARTED : CI_NONE;
    known->approved = row->approved;
    known->label_at = row->waits_for_push ? V - 5 : 0;
    if (row->taken_off)
        record->label_removed = head;
}

static void run_row(const struct row *row)
{
    static const struct policy policy = {.label = (char *)"CICD", .label_id = 9};
    struct github_pull pull = {
        .key = {5, 7}, .repo = "octo/repo", .snapshot = make_snapshot(row->now, row->at)};
    struct github_label_event label = {.set = !row->unset,
                                       .set_at = V + row->set_at,
                                       .actor = {.id = 3, .login = "tim"},
                                       .moved_at = row->moved_at == 0 ? 0 : V + row->moved_at,
                                       .moved_twice = row->moved_twice};
    struct record record = {0};
    if (row->known != NULL)
        make_record(row, &record);
    struct reconcile_view view = {.policy = &policy,
                                  .record = row->known == NULL ? NULL : &record,
                                  .pull = &pull,
                                  .label = row->asked ? &label : NULL,
                                  .since_ms = row->older ? 1000 : 999,
                                  .now_ms = NOW_MS};
    struct event events[RECONCILE_EVENTS_MAX];
    char got[256] = "";
    size_t count = reconcile_compare(&view, events);
    for (size_t i = 0; i < count; i++) {
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i == 0 ? "" : " ",
                 event_action_name(events[i].action));
        check_int(row->name, "received", events[i].received_ms, NOW_MS);
        check_str(row->name, "repo", events[i].repo, "octo/repo");
        check_bool(row->name, "head", sha_equal(&events[i].pr.head, &pull.snapshot.head), true);
        check_bool(row->name, "gate label",
                   events[i].label_is_gate && events[i].label_id == 9 && strcmp(events[i].label, "CICD") == 0,
                   events[i].action == EVENT_LABELED || events[i].action == EVENT_UNLABELED);
        if (events[i].action == EVENT_LABELED)
            check_str(row->name, "sender", events[i].sender.login, "tim");
    }
    check_str(row->name, "events", got, row->want);
    if (row->asked)
        check_bool(row->name, "needs the label's story", reconcile_needs_label(&view), true);
    record_release(&record);
}

/* A dry run's record says how the label would be; the list is compared with how GitHub is known to show it. */
static void test_in_a_shadow_only_what_somebody_has_changed_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *name, *known, *now, *want;
        enum shadow_label shadow;
    } rows[] = {
        {"would be there, and is not", "HL", "H", "", SHADOW_SET},
        {"is not there any more", "HL", "H", "unlabeled", SHADOW_NONE},
        {"would be off, and is there", "H", "HL", "", SHADOW_OFF},
        {"would be off, and somebody has taken it off", "H", "H", "unlabeled", SHADOW_OFF},
    };
    static const struct policy policy = {.label = (char *)"CICD", .label_id = 9};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct row row = {.known = rows[i].known, .triggered = true};
        struct github_pull pull = {
            .key = {5, 7}, .repo = "octo/repo", .snapshot = make_snapshot(rows[i].now, 9)};
        struct record record = {0};
        struct reconcile_view view = {
            .policy = &policy, .record = &record, .pull = &pull, .since_ms = 999, .now_ms = NOW_MS};
        struct event events[RECONCILE_EVENTS_MAX];
        make_record(&row, &record);
        record.shadow_label = rows[i].shadow;
        size_t count = reconcile_compare(&view, events);
        check_str(rows[i].name, "events", count == 0 ? "" : event_action_name(events[0].action),
                  rows[i].want);
        record_release(&record);
    }
}

static void run_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        run_row(&rows[i]);
}

static void test_nothing_differs(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {.name = "the same", .known = "H", .now = "H", .want = ""},
        {.name = "a comment", .known = "H", .now = "H", .at = 9, .want = ""},
        {.name = "labelled and triggered",
         .known = "HL",
         .triggered = true,
         .now = "HL",
         .at = 9,
         .want = ""},
        {.name = "labelled, approved, in conflict",
         .known = "HL",
         .approved = true,
         .now = "HL",
         .at = 9,
         .want = ""},
        {.name = "draft", .known = "HD", .now = "HD", .at = 9, .want = ""},
        {.name = "closed", .known = "HC", .now = "HC", .at = 9, .want = ""},
        {.name = "closed before it was known", .now = "HC", .want = ""},
        {.name = "a list that lags", .known = "H", .now = "NL", .at = -1, .want = ""},
        {.name = "a closing that is older than a reopening", .known = "H", .now = "HC", .at = -1, .want = ""},
    };
    run_rows(rows, COUNT_OF(rows));
}

static void test_label_that_waits_for_a_lost_push_is_told_of_one(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {.name = "waits", .known = "HL", .waits_for_push = true, .now = "HL", .want = "synchronize"},
        {.name = "waits, later",
         .known = "HL",
         .waits_for_push = true,
         .now = "HL",
         .at = 9,
         .want = "synchronize"},
        {.name = "started",
         .known = "HL",
         .waits_for_push = true,
         .triggered = true,
         .now = "HL",
         .want = ""},
        {.name = "taken off", .known = "H", .waits_for_push = true, .now = "H", .want = ""},
        {.name = "closed", .known = "HL", .waits_for_push = true, .now = "HLC", .at = 9, .want = "closed"},
    };
    run_rows(rows, COUNT_OF(rows));
}

static void test_what_a_list_shows_by_itself(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {.name = "not known", .now = "H", .want = "opened"},
        {.name = "not known, a draft", .now = "HD", .want = "opened"},
        {.name = "known, but not its opening",
         .known = "H",
         .not_opened = true,
         .now = "H",
         .want = "opened"},
        {.name = "older than prgate", .older = true, .now = "H", .want = "edited"},
        {.name = "older than prgate, a draft", .older = true, .now = "HD", .want = "edited"},
        {.name = "older than prgate, and known by now",
         .older = true,
         .known = "H",
         .not_opened = true,
         .now = "H",
         .at = 5,
         .want = ""},
        {.name = "older than prgate, and pushed",
         .older = true,
         .known = "H",
         .not_opened = true,
         .now = "N",
         .at = 5,
         .want = "synchronize"},
        {.name = "older than prgate, and reopened",
         .older = true,
         .known = "HC",
         .not_opened = true,
         .now = "H",
         .at = 5,
         .want = "reopened"},
        {.name = "pushed", .known = "H", .now = "N", .at = 5, .want = "synchronize"},
        {.name = "pushed in the same second", .known = "H", .now = "N", .want = "synchronize"},
        {.name = "closed", .known = "H", .now = "HC", .at = 5, .want = "closed"},
        {.name = "pushed and closed", .known = "H", .now = "NC", .at = 5, .want = "closed"},
        {.name = "reopened", .known = "HC", .now = "H", .at = 5, .want = "reopened"},
        {.name = "reopened, the opening not known",
         .known = "HC",
         .not_opened = true,
         .now = "H",
         .at = 5,
         .want = "opened"},
        {.name = "pushed and reopened", .known = "HC", .now = "N", .at = 5, .want = "reopened synchronize"},
        {.name = "made ready", .known = "HD", .now = "H", .at = 5, .want = "ready_for_review"},
        {.name = "made ready and pushed",
         .known = "HD",
         .now = "N",
         .at = 5,
         .want = "ready_for_review synchronize"},
        {.name = "made a draft", .known = "H", .now = "HD", .at = 5, .want = "converted_to_draft"},
        {.name = "made a draft and pushed",
         .known = "H",
         .now = "ND",
         .at = 5,
         .want = "converted_to_draft synchronize"},
        {.name = "label taken off", .known = "HL", .now = "H", .at = 5, .want = "unlabeled"},
        {.name = "label taken off and pushed",
         .known = "HL",
         .now = "N",
         .at = 5,
         .want = "unlabeled synchronize"},
        {.name = "label taken off, triggered",
         .known = "HL",
         .triggered = true,
         .now = "H",
         .at = 5,
         .want = "unlabeled"},
    };
    run_rows(rows, COUNT_OF(rows));
}

/* The head is the record's: what counts is whether the label was set since the record's view. */
static void test_label_on_a_known_head(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {.name = "set since",
         .known = "H",
         .now = "HL",
         .at = 5,
         .asked = true,
         .set_at = 3,
         .want = "labeled"},
        {.name = "and then a comment",
         .known = "H",
         .now = "HL",
         .at = 50,
         .asked = true,
         .set_at = 3,
         .want = "labeled"},
        {.name = "in the second of the view", .known = "H", .now = "HL", .asked = true, .want = "labeled"},
        {.name = "the same, and prgate took it off then",
         .known = "H",
         .taken_off = true,
         .now = "HL",
         .asked = true,
         .want = "edited"},
        {.name = "older than the view",
         .known = "H",
         .now = "HL",
         .at = 5,
         .asked = true,
         .set_at = -1,
         .want = "edited"},
        {.name = "set again",
         .known = "HL",
         .now = "HL",
         .at = 5,
         .asked = true,
         .set_at = 3,
         .want = "labeled"},
        {.name = "told of before", .known = "HL", .now = "HL", .at = 5, .asked = true, .want = ""},
        {.name = "on one that is triggered",
         .known = "H",
         .triggered = true,
         .now = "HL",
         .at = 5,
         .asked = true,
         .set_at = 3,
         .want = "labeled"},
        {.name = "and made ready",
         .known = "HD",
         .now = "HL",
         .at = 5,
         .asked = true,
         .set_at = 3,
         .want = "labeled ready_for_review"},
        {.name = "after the list",
         .known = "H",
         .now = "HL",
         .at = 5,
         .asked = true,
         .set_at = 6,
         .want = "edited"},
        {.name = "taken off after the list",
         .known = "H",
         .now = "HL",
         .at = 5,
         .asked = true,
         .unset = true,
         .set_at = 6,
         .want = "edited"},
        {.name = "nobody may say who set it", .known = "H", .now = "HL", .at = 5, .want = "edited"},
        {.name = "the branch was moved long before",
         .known = "H",
         .now = "HL",
         .at = 5,
         .asked = true,
         .set_at = 3,
         .moved_at = -9,
         .want = "labeled"},
        {.name = "the move is what the view shows",
         .known = "H",
         .now = "HL",
         .at = 5,
         .asked = true,
         .set_at = 3,
         .moved_at = -1,
         .want = "labeled"},
        {.name = "moved away and back, labelled in between",
         .known = "H",
         .now = "HL",
         .at = 5,
         .asked = true,
         .set_at = 3,
         .moved_at = 4,
         .want = "synchronize"},
        {.name = "moved before the label",
         .known = "H",
         .now = "HL",
         .at = 5,
         .asked = true,
         .set_at = 3,
         .moved_at = 2,
         .want = "synchronize"},
        {.name = "moved before the label, which is the last",
         .known = "H",
         .now = "HL",
         .at = 5,
         .asked = true,
         .set_at = 5,
         .moved_at = 2,
         .want = "labeled"},
        {.name = "moved twice in the second before the view",
         .known = "H",
         .now = "HL",
         .at = 5,
         .asked = true,
         .set_at = 3,
         .moved_at = -1,
         .moved_twice = true,
         .want = "labeled"},
    };
    run_rows(rows, COUNT_OF(rows));
}

/* Nobody can say when the head was pushed: the push counts as the later, unless the label is the last that happened. */
static void test_label_on_a_head_that_is_new(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {.name = "pushed, then labelled",
         .known = "H",
         .now = "NL",
         .at = 5,
         .asked = true,
         .set_at = 5,
         .want = "labeled"},
        {.name = "something came after the label",
         .known = "H",
         .now = "NL",
         .at = 5,
         .asked = true,
         .set_at = 4,
         .want = "synchronize"},
        {.name = "labelled in the second of a force push",
         .known = "H",
         .now = "NL",
         .at = 5,
         .asked = true,
         .set_at = 5,
         .moved_at = 5,
         .want = "synchronize"},
        {.name = "labelled before it was known",
         .known = "HL",
         .now = "NL",
         .at = 5,
         .asked = true,
         .set_at = -5,
         .want = "synchronize"},
        {.name = "the label is as old as the view",
         .known = "HL",
         .now = "NL",
         .asked = true,
         .set_at = 0,
         .want = "synchronize"},
        {.name = "nobody may say who set it", .known = "H", .now = "NL", .at = 5, .want = "synchronize"},
        {.name = "not known, labelled last", .now = "HL", .asked = true, .want = "labeled opened"},
        {.name = "older than prgate, labelled last",
         .older = true,
         .now = "HL",
         .asked = true,
         .want = "labeled"},
        {.name = "older than prgate, something came after",
         .older = true,
         .now = "HL",
         .at = 5,
         .asked = true,
         .set_at = 4,
         .want = "edited"},
        {.name = "not known, something came after",
         .now = "HL",
         .at = 5,
         .asked = true,
         .set_at = 4,
         .want = "opened synchronize"},
        {.name = "not known, no telling", .now = "HL", .want = "opened synchronize"},
        {.name = "reopened and labelled last",
         .known = "HC",
         .now = "NL",
         .at = 5,
         .asked = true,
         .set_at = 5,
         .want = "labeled reopened"},
    };
    run_rows(rows, COUNT_OF(rows));
}

static void test_move_in_the_second_of_the_view(void **state)
{
    (void)state;
    struct row row = {
        .name = "once", .known = "H", .now = "HL", .at = 5, .asked = true, .set_at = 3, .want = "labeled"};
    /* moved_at 0 means none to the row, so the view's second is reached by way of the label's fields. */
    struct github_pull pull = {
        .key = {5, 7}, .repo = "octo/repo", .snapshot = make_snapshot(row.now, row.at)};
    static const struct policy policy = {.label = (char *)"CICD"};
    struct github_label_event label = {.set = true, .set_at = V + 3, .moved_at = V};
    struct event events[RECONCILE_EVENTS_MAX];
    struct record record;
    make_record(&row, &record);
    struct reconcile_view view = {.policy = &policy, .record = &record, .pull = &pull, .label = &label};
    assert_int_equal(reconcile_compare(&view, events), 1);
    check_str("once", "event", event_action_name(events[0].action), "labeled");
    label.moved_twice = true;
    assert_int_equal(reconcile_compare(&view, events), 1);
    check_str("twice", "event", event_action_name(events[0].action), "synchronize");
    record_release(&record);
}

static void test_ids_say_what_they_are_made_of(void **state)
{
    (void)state;
    static const struct policy policy = {.label = (char *)"CICD"};
    struct row row = {.known = "HD"};
    struct github_pull pull = {.key = {5, 7}, .repo = "octo/repo", .snapshot = make_snapshot("HL", 5)};
    struct github_label_event label = {.set = true, .set_at = V + 3};
    struct event events[RECONCILE_EVENTS_MAX];
    struct record record;
    make_record(&row, &record);
    struct reconcile_view view = {.policy = &policy, .record = &record, .pull = &pull, .label = &label};
    for (int round = 0; round < 2; round++) {
        pull.visibility = round == 0 ? VISIBILITY_PRIVATE : VISIBILITY_PUBLIC;
        assert_int_equal(reconcile_compare(&view, events), 2);
        check_int("labeled", "visibility", events[0].visibility, pull.visibility);
        check_str("labeled", "id", events[0].delivery, "reconcile-labeled-1700000003-aaaaaaaaaaaa");
        check_str("ready", "id", events[1].delivery, "reconcile-ready-for-review-1700000005-aaaaaaaaaaaa");
        view.now_ms++; /* the time of day is no part of it */
    }
    record_release(&record);
}

/* ---- a pass -------------------------------------------------------------------------- */

#define TIME "2023-11-14T22:13:20Z"
#define LATER "2023-11-14T22:14:20Z"
#define CREATED "2099-01-01T00:00:00Z" /* after prgate first heard of the repository */
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define PULL(number, state, sha, time, labels)                                                               \
    "{\"number\":" #number ",\"state\":\"" state                                                             \
    "\",\"title\":\"t\",\"draft\":false,\"created_at\":\"" CREATED "\",\"updated_at\":\"" time               \
    "\",\"user\":{\"id\":2,\"login\":\"bob\"},\"head\":{\"sha\":\"" sha "\",\"ref\":\"topic\"},"             \
    "\"base\":{\"ref\":\"main\",\"repo\":{\"id\":5,\"full_name\":\"" REPO_NAME "\"}},\"labels\":[" labels    \
    "]}"
#define REPO_NAME "octo/Repo"
#define LABEL "{\"id\":1,\"name\":\"CICD\"}"

/* What GitHub answers: the first whose part is in the path. */
static struct {
    const char *part;
    int status;
    const char *body;
    const char *next;
    bool stop; /* the process is told to end meanwhile */
} answers[8];
static struct gate *answering_gate;

static enum err_code answer(const struct http_request *request, struct http_reply *reply, struct err *err)
{
    for (size_t i = 0; i < COUNT_OF(answers) && answers[i].part != NULL; i++) {
        if (strstr(request->url, answers[i].part) == NULL)
            continue;
        reply->status = answers[i].status;
        buf_adds(&reply->body, answers[i].body);
        if (answers[i].next != NULL)
            snprintf(reply->next_url, sizeof reply->next_url, "%s", answers[i].next);
        if (answers[i].stop)
            atomic_store(&answering_gate->stopping, true);
        return ERR_OK;
    }
    return err_set(err, ERR_RETRY, 0, "not expected");
}

static void answer_with(size_t i, const char *part, int status, const char *body)
{
    answers[i].part = part;
    answers[i].status = status;
    answers[i].body = body;
}

static void open_pass(struct fixture *f, const char *sections)
{
    memset(answers, 0, sizeof answers);
    *f = (struct fixture){0};
    fixture_configure(f, "reconcile_interval = 1", sections);
    fixture_open_gate(f);
    fixture_open_worker(f);
    f->fake.answer = answer;
    answering_gate = &f->gate;
}

/* 5#7 is known, its head SHA_A seen at TIME, and has no work to do. */
static void know(struct fixture *f, uint64_t number, bool closed)
{
    struct record record;
    record_init(&record);
    record.key = (struct pr_key){5, number};
    strcpy(record.repo, REPO_NAME);
    record.opened = true;
    record.view = make_snapshot(closed ? "HC" : "H", 0);
    put_record(f, &record);
    record_release(&record);
}

static enum err_code name_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    return table_put_name(txn, "octo/repo", 5, err);
}

static void know_name(struct fixture *f)
{
    struct err err = {0};
    assert_int_equal(store_txn(f->gate.store, name_body, NULL, &err), ERR_OK);
}

struct outcome {
    bool done;
    unsigned told;
};

static struct outcome run_pass(struct fixture *f)
{
    struct turn turn;
    struct outcome outcome = {0};
    assert_true(pace_take(&f->gate, PACE_RECONCILE, 0, &turn));
    f->fake.count = 0;
    outcome.done = reconcile_pass(&f->worker, &turn, &outcome.told);
    pace_end(&f->gate, &turn, PACE_DONE);
    return outcome;
}

static void expect_pass(struct fixture *f, const char *row, bool done, unsigned told)
{
    struct outcome outcome = run_pass(f);
    check_bool(row, "done", outcome.done, done);
    check_int(row, "told", outcome.told, told);
}

/* The actions that wait to be decided, of all pull requests in order. */
struct queue {
    struct pr_key pr;
    uint64_t seq;
    struct event event;
};

static enum err_code queue_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct queue *queue = arg;
    return table_next_event(txn, &queue->pr, &queue->seq, &queue->event, err);
}

static void expect_queue(struct fixture *f, const char *row, uint64_t number, const char *want)
{
    struct queue queue = {.pr = {5, number}};
    struct err err = {0};
    char got[256] = "";
    while (store_txn(f->gate.store, queue_body, &queue, &err) == ERR_OK) {
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", got[0] == '\0' ? "" : " ",
                 event_action_name(queue.event.action));
        queue.seq++;
    }
    check_str(row, "queue", got, want);
}

static void test_pass_over_what_agrees_costs_a_call_and_writes_nothing(void **state)
{
    (void)state;
    struct fixture f;
    open_pass(&f, "");
    know_name(&f);
    know(&f, 7, false);
    know(&f, 8, true);
    answer_with(0, "/pulls?", 200,
                "[" PULL(7, "open", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", LATER, "") "]");
    expect_pass(&f, "agrees", true, 0);
    check_int("agrees", "calls", f.fake.count, 1);
    check_str("agrees", "call", f.fake.calls[0],
              "GET /repos/octo/repo/pulls?state=open&sort=created&direction=asc&per_page=100");
    check_int("agrees", "inbox", (int64_t)count_table(&f, TABLE_INBOX), 0);
    check_int("agrees", "seen", (int64_t)count_table(&f, TABLE_SEEN), 0);
    check_int("agrees", "ledger", (int64_t)count_table(&f, TABLE_LEDGER), 0);
    fixture_close(&f);
}

/* On the day that it is installed: whoever looked after them before has seen to their CI. */
static void test_first_pass_starts_nothing_that_was_there_before(void **state)
{
    (void)state;
    struct fixture f;
    open_pass(&f, "");
    answer_with(
        0, "/pulls?", 200,
        "[{\"number\":7,\"state\":\"open\",\"title\":\"t\",\"draft\":false,\"created_at\":\"" TIME
        "\",\"updated_at\":\"" LATER "\",\"user\":{\"id\":2,\"login\":\"ann\"},\"head\":{\"sha\":\"" SHA_B
        "\",\"ref\":\"topic\"},\"base\":{\"ref\":\"main\",\"repo\":{\"id\":5,\"full_name\":\"" REPO_NAME
        "\"}},\"labels\":[]}," PULL(8, "open", SHA_B, LATER, "") "]");
    expect_pass(&f, "first", true, 2);
    expect_queue(&f, "there before", 7, "edited");
    expect_queue(&f, "opened since", 8, "opened");
    fixture_close(&f);
}

static enum err_code visible_body(struct store_txn *txn, void *arg, struct err *err)
{
    return visible_get(txn, 5, arg, err);
}

/* So that the status page shows a repository whose webhooks are all lost. */
static void test_pass_learns_whether_the_repository_is_public(void **state)
{
    (void)state;
    static const struct {
        const char *name, *said;
        bool want;
    } rows[] = {{"public", ",\"private\":false", true},
                {"private", ",\"private\":true", false},
                {"not said", "", false}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        struct err err = {0};
        char list[800];
        bool public = !rows[i].want;
        open_pass(&f, "");
        snprintf(
            list, sizeof list,
            "[{\"number\":7,\"state\":\"open\",\"title\":\"t\",\"draft\":false,\"created_at\":\"" TIME
            "\",\"updated_at\":\"" LATER "\",\"user\":{\"id\":2,\"login\":\"ann\"},\"head\":{\"sha\":\"" SHA_B
            "\",\"ref\":\"topic\"},\"base\":{\"ref\":\"main\",\"repo\":{\"id\":5,\"full_name\":\"" REPO_NAME
            "\"%s}},\"labels\":[]}]",
            rows[i].said);
        answer_with(0, "/pulls?", 200, list);
        expect_pass(&f, rows[i].name, true, 1);
        assert_int_equal(store_txn(f.gate.store, visible_body, &public, &err), ERR_OK);
        check_bool(rows[i].name, "public", public, rows[i].want);
        fixture_close(&f);
    }
}

static void test_pass_tells_each_difference_once(void **state)
{
    (void)state;
    struct fixture f;
    open_pass(&f, "");
    know_name(&f);
    know(&f, 7, false);
    know(&f, 9, false);
    answer_with(0, "/pulls?", 200,
                "[" PULL(8, "open", SHA_B, TIME, "") "," PULL(7, "open", SHA_B, LATER, "") "]");
    answer_with(1, "/pulls/9", 200, PULL(9, "closed", SHA_B, LATER, ""));
    expect_pass(&f, "first", true, 3);
    check_int("first", "calls", f.fake.count, 2);
    expect_queue(&f, "pushed", 7, "synchronize");
    expect_queue(&f, "not known", 8, "opened");
    expect_queue(&f, "closed", 9, "closed");
    check_int("first", "metric", metrics_get(f.gate.metrics, METRIC_RECONCILED), 3);
    expect_pass(&f, "again", true, 0); /* in the queue, or a duplicate */
    check_int("again", "inbox", (int64_t)count_table(&f, TABLE_INBOX), 3);
    check_int("again", "metric", metrics_get(f.gate.metrics, METRIC_RECONCILED), 3);
    fixture_close(&f);
}

static void test_label_is_asked_about_only_where_it_matters(void **state)
{
    (void)state;
    struct fixture f;
    open_pass(&f, "");
    know(&f, 7, false);
    answer_with(0, "/pulls?", 200,
                "[" PULL(7, "open", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", LATER, LABEL) "]");
    answer_with(1, "/issues/7/events", 200,
                "[{\"event\":\"labeled\",\"created_at\":\"" LATER "\",\"label\":{\"name\":\"cicd\"},"
                "\"actor\":{\"id\":3,\"login\":\"tim\"}}]");
    expect_pass(&f, "set", true, 1);
    check_int("set", "calls", f.fake.count, 2);
    expect_queue(&f, "set", 7, "labeled");
    fixture_close(&f);
}

static void test_who_may_not_ask_about_labels_waits_and_says_so_once(void **state)
{
    (void)state;
    struct fixture f;
    open_pass(&f, "");
    answer_with(0, "/pulls?", 200,
                "[" PULL(7, "open", SHA_B, LATER, LABEL) "," PULL(8, "open", SHA_B, LATER, LABEL) "]");
    answer_with(1, "/events", 403, "{\"message\":\"Resource not accessible by integration\"}");
    expect_pass(&f, "refused", true, 2);
    expect_queue(&f, "refused", 7, "opened synchronize");
    assert_true(atomic_load(&f.gate.told_of_events));
    fixture_close(&f);
}

/* The record is about to change: but a closing voids work that hangs. */
static void test_busy_ones_are_left_alone_unless_they_are_closed(void **state)
{
    (void)state;
    struct fixture f;
    open_pass(&f, "");
    know_name(&f);
    know(&f, 7, false);
    struct event event = make_event(EVENT_EDITED, "d1");
    put_event(&f, &event, false);
    answer_with(0, "/pulls?", 200, "[" PULL(7, "open", SHA_B, LATER, "") "]");
    expect_pass(&f, "busy", true, 0);
    answer_with(0, "/pulls?", 200, "[]");
    answer_with(1, "/pulls/7", 200, PULL(7, "closed", SHA_B, LATER, ""));
    expect_pass(&f, "busy, closed", true, 1);
    expect_queue(&f, "busy, closed", 7, "edited closed");
    fixture_close(&f);
}

static void test_missing_in_the_list_is_asked_for_by_itself(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int status;
        const char *body;
        bool done;
        unsigned told;
    } rows[] = {{"still open", 200, PULL(7, "open", SHA_B, LATER, ""), true, 0},
                {"gone", 404, "{}", true, 0},
                {"fails", 502, "{}", false, 0},
                {"closed", 200, PULL(7, "closed", SHA_B, LATER, ""), true, 1}};
    struct fixture f;
    open_pass(&f, "");
    know_name(&f);
    know(&f, 7, false);
    answer_with(0, "/pulls?", 200, "[]");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        answer_with(1, "/pulls/7", rows[i].status, rows[i].body);
        expect_pass(&f, rows[i].name, rows[i].done, rows[i].told);
    }
    fixture_close(&f);
}

/* A list that breaks off is no proof that what it does not show is closed. */
static void test_list_that_breaks_off_closes_nothing(void **state)
{
    (void)state;
    struct fixture f;
    open_pass(&f, "");
    know_name(&f);
    know(&f, 7, false);
    answer_with(0, "page=2", 502, "{}");
    answer_with(1, "/pulls?", 200, "[" PULL(8, "open", SHA_B, LATER, "") "]");
    answers[1].next = "http://127.0.0.1:1/repos/octo/repo/pulls?page=2";
    answer_with(2, "/pulls/7", 200, PULL(7, "closed", SHA_B, LATER, ""));
    expect_pass(&f, "second page fails", false, 0);
    check_int("second page fails", "calls", f.fake.count, 2);
    fixture_close(&f);
}

static void test_one_repository_that_fails_holds_up_no_other(void **state)
{
    (void)state;
    struct fixture f;
    open_pass(&f, "}\nrepo \"aaa/one\" { }\nrepo \"bbb/two\" { }\nrepo \"zzz/last\" {");
    answer_with(0, "aaa/one/pulls?", 502, "{}");
    answer_with(1, "bbb/two/pulls?", 404, "{}");
    answer_with(2, "octo/repo/pulls?", 200, "[" PULL(7, "open", SHA_B, LATER, "") "]");
    answer_with(3, "zzz/last/pulls?", 200, "[]");
    expect_pass(&f, "one fails", false, 1);
    check_int("one fails", "calls", f.fake.count, 4);
    answer_with(0, "aaa/one/pulls?", 200, "[]");
    expect_pass(&f, "one is not there", true, 0);
    fixture_close(&f);
}

static void test_pass_goes_on_where_it_was_interrupted(void **state)
{
    (void)state;
    struct fixture f;
    open_pass(&f, "}\nrepo \"aaa/one\" { }\nrepo \"bbb/two\" {");
    answer_with(0, "/pulls?", 200, "[]");
    answers[1] = answers[0];
    answer_with(0, "bbb/two/pulls?", 429, "{\"message\":\"slow down\"}");
    expect_pass(&f, "limited", false, 0);
    check_int("limited", "calls", f.fake.count, 2);
    check_bool("limited", "blocked", gate_is_rate_blocked(&f.gate, clock_now_ms()), true);
    expect_pass(&f, "while it lasts", false, 0);
    check_int("while it lasts", "calls", f.fake.count, 0);
    metrics_set(f.gate.metrics, METRIC_RATE_BLOCKED_MS, 0);
    answer_with(0, "bbb/two/pulls?", 200, "[]");
    expect_pass(&f, "over", true, 0);
    check_int("over", "calls", f.fake.count, 2);
    check_contains("over", "first", f.fake.calls[0], "/repos/bbb/two/");
    check_contains("over", "second", f.fake.calls[1], "/repos/octo/repo/");
    expect_pass(&f, "the next pass", true, 0);
    check_int("the next pass", "calls", f.fake.count, 3);
    fixture_close(&f);
}

static void test_process_that_stops_breaks_off(void **state)
{
    (void)state;
    struct fixture f;
    open_pass(&f, "}\nrepo \"aaa/one\" {");
    answer_with(0, "/pulls?", 200, "[" PULL(7, "open", SHA_B, LATER, "") "]");
    answers[0].stop = true;
    expect_pass(&f, "stopping", false, 0);
    check_int("stopping", "calls", f.fake.count, 1);
    check_int("stopping", "inbox", (int64_t)count_table(&f, TABLE_INBOX), 0);
    fixture_close(&f);
}

static void test_repository_of_another_name_is_left_alone(void **state)
{
    (void)state;
    struct fixture f;
    open_pass(&f, "}\nrepo \"old/name\" {");
    answer_with(0, "/pulls?", 200, "[" PULL(7, "open", SHA_B, LATER, "") "]"); /* to both: octo/Repo */
    expect_pass(&f, "renamed", true, 1);
    expect_queue(&f, "renamed", 7, "opened");
    fixture_close(&f);
}

static void test_it_is_wanted_where_it_can_read(void **state)
{
    (void)state;
    struct fixture f;
    open_pass(&f, "");
    check_bool("as configured", "wanted", reconcile_is_wanted(f.config), true);
    f.config->dry_run = true;
    check_bool("dry run", "wanted", reconcile_is_wanted(f.config), true);
    f.config->reconcile_interval_s = 0;
    check_bool("off", "wanted", reconcile_is_wanted(f.config), false);
    f.config->reconcile_interval_s = 1;
    char *token = f.config->token;
    f.config->token = NULL;
    check_bool("no credentials", "wanted", reconcile_is_wanted(f.config), false);
    f.config->token = token;
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_differs),
        cmocka_unit_test(test_in_a_shadow_only_what_somebody_has_changed_is_told),
        cmocka_unit_test(test_what_a_list_shows_by_itself),
        cmocka_unit_test(test_label_that_waits_for_a_lost_push_is_told_of_one),
        cmocka_unit_test(test_label_on_a_known_head),
        cmocka_unit_test(test_label_on_a_head_that_is_new),
        cmocka_unit_test(test_move_in_the_second_of_the_view),
        cmocka_unit_test(test_ids_say_what_they_are_made_of),
        cmocka_unit_test(test_pass_over_what_agrees_costs_a_call_and_writes_nothing),
        cmocka_unit_test(test_first_pass_starts_nothing_that_was_there_before),
        cmocka_unit_test(test_pass_learns_whether_the_repository_is_public),
        cmocka_unit_test(test_pass_tells_each_difference_once),
        cmocka_unit_test(test_label_is_asked_about_only_where_it_matters),
        cmocka_unit_test(test_who_may_not_ask_about_labels_waits_and_says_so_once),
        cmocka_unit_test(test_busy_ones_are_left_alone_unless_they_are_closed),
        cmocka_unit_test(test_missing_in_the_list_is_asked_for_by_itself),
        cmocka_unit_test(test_list_that_breaks_off_closes_nothing),
        cmocka_unit_test(test_one_repository_that_fails_holds_up_no_other),
        cmocka_unit_test(test_pass_goes_on_where_it_was_interrupted),
        cmocka_unit_test(test_process_that_stops_breaks_off),
        cmocka_unit_test(test_repository_of_another_name_is_left_alone),
        cmocka_unit_test(test_it_is_wanted_where_it_can_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
