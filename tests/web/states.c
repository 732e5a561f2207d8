/* A pull request in each state that a page can show. check.mjs knows their titles, and what each page has to say. */
#include "states.h"

#include <stdio.h>

#include "prgate/ledger.h"
#include "prgate/tables.h"

enum { MINUTE = 60000 };

enum more {
    UNKNOWN_HEAD = 1, /* no commit was decided on */
    CLOSED = 2,
    CANCELLED = 4,
    RERUN = 8,
    RERUN_FAILED = 16,
    RERUN_REFUSED = 32,
    UNTIL = 64, /* a budget holds it */
    SETTLING = 128,
    RETRIED = 256,
    LATER = 512,
    DELIVERY = 1024,
    INTENT = 2048,
    DAMAGED = 4096,
    DEAD = 8192,
    APPROVED = 16384,
    EMERGENCY = 32768,
    QUEUED = 65536, /* and a merge queue's commit */
    HELD = 131072,
    OPERATOR = 262144, /* says yes, and asks for re-runs */
    TRUSTED = 524288,
    SHADOW = 1048576, /* decided in a dry run */
};

static const struct state {
    const char *title;
    enum ci_state ci;
    enum wait_reason reason;
    enum mergeable mergeable;
    unsigned more;
    enum ci_state queue_ci;
} states[] = {
    {.title = "nothing decided yet", .more = UNKNOWN_HEAD | DELIVERY | LATER},
    {.title = "the author is not trusted", .reason = WAIT_UNTRUSTED},
    {.title = "the label is gone", .reason = WAIT_NO_LABEL},
    {.title = "a draft", .reason = WAIT_DRAFT},
    {.title = "conflicts", .reason = WAIT_CONFLICT, .mergeable = MERGEABLE_NO, .more = APPROVED},
    {.title = "an old label", .reason = WAIT_STALE_APPROVAL},
    {.title = "labelled by a stranger", .reason = WAIT_NOT_APPROVER},
    {.title = "pushed by a stranger", .reason = WAIT_PUSHER},
    {.title = "pushed by nobody knows whom", .reason = WAIT_PUSHER_UNKNOWN},
    {.title = "labelled too soon", .reason = WAIT_TOO_SOON, .more = SETTLING},
    {.title = "over the budget", .reason = WAIT_BUDGET, .more = UNTIL | APPROVED},
    {.title = "refused by CI", .ci = CI_REFUSED, .reason = WAIT_TRIGGER_FAILED, .more = APPROVED},
    {.title = "about to start", .ci = CI_DECIDED, .more = APPROVED | INTENT | LATER | HELD},
    {.title = "being started", .ci = CI_SENT, .more = APPROVED | INTENT | RETRIED},
    {.title = "started", .ci = CI_STARTED, .mergeable = MERGEABLE_YES, .more = APPROVED | EMERGENCY},
    {.title = "nobody knows whether it started", .ci = CI_UNKNOWN, .more = APPROVED},
    {.title = "cancelled", .ci = CI_STARTED, .more = APPROVED | CANCELLED},
    {.title = "started again", .ci = CI_STARTED, .more = APPROVED | RERUN},
    {.title = "a re-run that CI refused", .ci = CI_STARTED, .more = APPROVED | RERUN | RERUN_FAILED},
    {.title = "a re-run that a stranger asked for", .ci = CI_STARTED, .more = APPROVED | RERUN_REFUSED},
    {.title = "a re-run over the budget", .ci = CI_STARTED, .more = APPROVED | UNTIL},
    {.title = "given up", .ci = CI_STARTED, .more = APPROVED | DEAD},
    {.title = "damaged entries", .reason = WAIT_UNTRUSTED, .more = DAMAGED | LATER},
    {.title = "merging, and CI starts", .ci = CI_STARTED, .more = APPROVED | QUEUED, .queue_ci = CI_SENT},
    {.title = "merging, and CI runs", .ci = CI_STARTED, .more = APPROVED | QUEUED, .queue_ci = CI_STARTED},
    {.title = "merging, and nobody knows",
     .ci = CI_STARTED,
     .more = APPROVED | QUEUED,
     .queue_ci = CI_UNKNOWN},
    {.title = "merging, and CI refused", .ci = CI_STARTED, .more = APPROVED | QUEUED, .queue_ci = CI_REFUSED},
    {.title = "by the operator", .ci = CI_STARTED, .more = APPROVED | RERUN | OPERATOR},
    {.title = "trusted", .ci = CI_STARTED, .more = TRUSTED | SHADOW},
    {.title = "closed", .ci = CI_STARTED, .more = APPROVED | CLOSED},
};

static void name_user(struct user *user, uint64_t id, const char *login)
{
    user->id = id;
    snprintf(user->login, sizeof user->login, "%s", login);
}

/* ---- the commit -------------------------------------------------------------------------- */

/* Who is not GitHub's has no number. */
static void name_approver(struct user *user, const struct state *state)
{
    if (state->more & OPERATOR)
        name_user(user, 0, "root");
    else
        name_user(user, 8, "tim");
}

static void add_commit(struct record *record, const struct state *state, int64_t now_ms)
{
    record_reserve_head(record);
    struct head *head = record_add_head(record, &record->view.head, now_ms - 30 * MINUTE);
    head->check_reason = state->reason;
    head->check = state->reason == WAIT_NOTHING ? CHECK_DONE : CHECK_AWAITING;
    name_user(&head->pushed_by, 7, state->reason == WAIT_PUSHER_UNKNOWN ? "" : "bob");
    head->pusher = state->reason == WAIT_PUSHER_UNKNOWN ? PUSHER_UNKNOWN : PUSHER_UNTRUSTED;
    if (state->more & TRUSTED)
        head->pusher = PUSHER_TRUSTED;
    head->came_at = now_ms / 1000 - (state->more & SETTLING ? -86400 : 30 * 60);
    head->came_known = true;
    if (state->ci != CI_NONE)
        head_set_ci(head, state->ci, now_ms - 20 * MINUTE);
    if (state->more & APPROVED) {
        head->approved = true;
        head->means = state->more & OPERATOR ? MEANS_OPERATOR : MEANS_COMMAND;
        head->approved_at_ms = now_ms - 21 * MINUTE;
        head->approver_permission = PERMISSION_WRITE;
        name_approver(&head->approver, state);
        record->approved_head = head->sha;
    }
    if (state->more & RERUN) {
        head->reruns = 2;
        name_approver(&head->rerun_by, state);
    }
    head->rerun_failed = state->more & RERUN_FAILED;
    head->rerun_refused = state->more & RERUN_REFUSED;
    head->cancelled = state->more & CANCELLED ? head_attempt(head) : 0;
    head->budget_until_ms = state->more & UNTIL ? now_ms + 25 * MINUTE : 0;
}

static void add_queued_commit(struct record *record, const struct state *state, int64_t now_ms)
{
    struct sha sha;
    make_sha(&sha, 80000 + record->key.number);
    record_reserve_head(record);
    struct head *head = record_add_head(record, &sha, now_ms - 5 * MINUTE);
    head->queued = true;
    head->check = CHECK_DONE;
    head_set_ci(head, state->queue_ci, now_ms - 4 * MINUTE);
}

/* ---- what is queued -------------------------------------------------------------------------- */

static enum err_code put_queues(struct store_txn *txn, struct record *record, const struct state *state,
                                int64_t now_ms, struct err *err)
{
    struct event event = {.action = EVENT_LABELED, .received_ms = now_ms - MINUTE, .pr = record->view};
    struct intent intent = {.kind = INTENT_TRIGGER,
                            .sha = record->view.head,
                            .created_ms = now_ms - 2 * MINUTE,
                            .sent_ms = state->more & RETRIED ? now_ms - MINUTE : 0,
                            .attempts = state->more & RETRIED ? 3 : 0,
                            .delivery = "8d2f3c77-6b1e-11ee-8c99-0242ac120002"};
    struct dead_letter letter = {
        .intent = intent, .died_ms = now_ms - MINUTE, .reason = "HTTP 404: Not Found"};
    enum err_code code = ERR_OK;
    snprintf(event.delivery, sizeof event.delivery, "8d2f3c88-6b1e-11ee-8c99-0242ac120002");
    snprintf(event.label, sizeof event.label, "CICD");
    name_user(&event.sender, 8, "tim");
    letter.intent.attempts = 9;
    letter.intent.seq = 3;
    if (state->more & DELIVERY)
        code = table_append_event(txn, record, &event, err);
    event.action = EVENT_COMMAND;
    event.command = COMMAND_CANCEL;
    if (code == ERR_OK && state->more & DELIVERY)
        code = table_append_event(txn, record, &event, err);
    if (code == ERR_OK && state->more & INTENT)
        code = table_append_intent(txn, record, &intent, err);
    if (code == ERR_OK && state->more & DEAD)
        code = table_put_dead(txn, &record->key, &letter, err);
    static const enum store_table damaged[] = {TABLE_INBOX, TABLE_INTENT, TABLE_DEAD};
    for (size_t i = 0; i < 3 && code == ERR_OK && state->more & DAMAGED; i++)
        code = table_put_text(txn, damaged[i], &record->key, 900, "what was here cannot be read", err);
    return code;
}

/* ---- what the ledger says ------------------------------------------------------------------------ */

static enum err_code put_ledger(struct store_txn *txn, struct record *record, const struct state *state,
                                int64_t now_ms, struct err *err)
{
    const struct head *head = record_find_head(record, &record->view.head);
    int64_t at_ms = head == NULL || !head->approved ? now_ms - 25 * MINUTE : head->approved_at_ms;
    struct event event = {.action = EVENT_COMMAND,
                          .command = COMMAND_APPROVE,
                          .comment = 4711,
                          .pr = record->view,
                          .delivery = "8d2f3c99-6b1e-11ee-8c99-0242ac120002"};
    struct facts facts = {.known = FACT_READ | FACT_IDENTITY | FACT_SENDER | FACT_AUTHOR | FACT_PUSHER |
                                   FACT_EMERGENCY | FACT_FILES,
                          .read = record->view,
                          .sender_may_approve = true,
                          .sender_why = "permission write",
                          .author_why = "permission read",
                          .pusher_why = "permission read",
                          .emergency_why = "permission write",
                          .tests_missing = true,
                          .dry_run = state->more & SHADOW};
    struct decision decision = {
        .rule = state->more & APPROVED ? RULE_APPROVED : RULE_WAIT_UNTRUSTED,
        .intent_count = 1,
        .intents = {{.kind = state->more & APPROVED ? INTENT_TRIGGER : INTENT_CHECK_AWAITING,
                     .sha = record->view.head}}};
    struct intent intent = decision.intents[0];
    snprintf(event.sha_prefix, sizeof event.sha_prefix, "%.10s", record->view.head.hex);
    name_user(&event.sender, 8, "tim");
    if (state->more & UNKNOWN_HEAD)
        return ERR_OK;
    decision.rule = state->more & RERUN ? RULE_RERUN : decision.rule;
    enum err_code code =
        ledger_add_decision(txn, record, &(struct ledger_decision){&event, &facts, &decision}, at_ms, err);
    if (code == ERR_OK)
        code = ledger_add_action(
            txn, record,
            &(struct ledger_action){.intent = &intent,
                                    .outcome = state->more & DEAD     ? "dead"
                                               : state->more & SHADOW ? "dry_run"
                                                                      : "done",
                                    .run = state->more & RERUN ? 3 : 1,
                                    .answer = state->more & DEAD ? "HTTP 404: Not Found" : "",
                                    .duration_ms = 187},
            at_ms + 1000, err);
    event.action = EVENT_LABELED;
    snprintf(event.label, sizeof event.label, "docs");
    if (code == ERR_OK)
        code = ledger_add_note(txn, record, &event, "another label: nothing", at_ms + 2000, err);
    return code;
}

/* ---- all of it ------------------------------------------------------------------------------------- */

static void describe(struct record *record, const struct state *state, int64_t now_ms)
{
    snprintf(record->view.title, sizeof record->view.title, "%s", state->title);
    name_user(&record->view.author, 7, "bob");
    record->view.updated_at = now_ms / 1000 - 60;
    record->view.mergeable = state->mergeable;
    record->view.closed = state->more & CLOSED;
    record->view.draft = state->reason == WAIT_DRAFT;
    record->view.labelled = state->more & APPROVED;
    record->failures = state->more & RETRIED ? 3 : 0;
    record->due_ms = state->more & (RETRIED | LATER) ? now_ms + 600 * MINUTE : 0;
    record->claim.held = state->more & HELD;
    make_sha(&record->view.head, 60000 + record->key.repo_id * 100 + record->key.number);
    if (state->more & EMERGENCY) {
        name_user(&record->emergency_by, 9, "eva");
        record->emergency_at_ms = now_ms - 10 * MINUTE;
    }
    if (!(state->more & UNKNOWN_HEAD))
        add_commit(record, state, now_ms);
    if (state->more & QUEUED)
        add_queued_commit(record, state, now_ms);
}

static enum err_code put_one(struct store_txn *txn, struct pr_key key, const char *repo,
                             const struct state *state, int64_t now_ms, struct err *err)
{
    struct record record;
    record_init(&record);
    record.key = key;
    snprintf(record.repo, sizeof record.repo, "%s", repo);
    describe(&record, state, now_ms);
    enum err_code code = put_queues(txn, &record, state, now_ms, err);
    if (code == ERR_OK)
        code = put_ledger(txn, &record, state, now_ms, err);
    if (code == ERR_OK)
        code = table_put_record(txn, &record, err);
    record_release(&record);
    return code;
}

enum err_code states_put(struct store_txn *txn, int64_t now_ms, struct err *err)
{
    static const struct state gone = {.title = "of a repository that is not configured",
                                      .reason = WAIT_UNTRUSTED};
    enum err_code code = put_one(txn, (struct pr_key){GONE_REPO_ID, 1}, "gone/repo", &gone, now_ms, err);
    for (size_t i = 0; i < sizeof states / sizeof *states && code == ERR_OK; i++)
        code = put_one(txn, (struct pr_key){STATES_REPO_ID, i + 1}, "octo/states", &states[i], now_ms, err);
    return code;
}
