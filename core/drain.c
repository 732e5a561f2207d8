#include "prgate/drain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/act.h"
#include "prgate/budget.h"
#include "prgate/clock.h"
#include "prgate/heads.h"
#include "prgate/inbox.h"
#include "prgate/ledger.h"
#include "prgate/log.h"
#include "prgate/tables.h"
#include "prgate/text.h"
#include "prgate/trust.h"

enum {
    BACKOFF_FIRST_MS = 1000,
    BACKOFF_LAST_MS = 300000,
    RETRY_AT_MOST_MS = 3600000, /* no Retry-After is believed beyond this */
    APPEARS_MS = 60000,         /* a pull request is to be read this long after its webhook at the latest */
    ATTEMPTS_AT_LEAST = 5       /* before an intent that is old already, since nobody ran, is given up */
};

enum step_kind {
    STEP_RELEASED, /* nothing is due: the claim was given up */
    STEP_AGAIN,    /* to be found out in a transaction of its own */
    STEP_ACT,
    STEP_DECIDE
};

/* One drain_start(). Record, event and intent are copies of what the last transaction saw, or the inbox's for the briefing. */
struct run {
    struct worker *worker;
    struct gate *gate;
    struct pr_key pr;
    struct claim claim;
    /* A `closed` may be decided before its turn; only once, lest it spin while GitHub is down. */
    bool may_overtake, overtakes;

    enum step_kind step;
    bool step_is_known; /* it was found by the transaction before it */
    struct record record;
    const struct policy *policy; /* NULL: the repository is not configured any more */
    uint64_t seq;                /* of the event */
    struct event event;
    struct event *coming; /* of a STEP_DECIDE that is known; NULL: `event` is it already */
    uint64_t coming_seq;
    struct intent intent;
    struct intent next; /* STEP_ACT: the intent to come */
    bool must_wait;     /* the transaction at hand, for the disk */
    int64_t marked_ms;  /* when this run marked the intent to come as sent; 0 = it did not */
    bool took_back;     /* the transaction at hand, that mark */
    /* For bodies that find their own work done, after a commit that seemed to fail. Of this step: */
    bool decided;             /* an earlier run of the body did */
    int64_t put_off_until_ms; /* by an earlier run of the body; 0 = it did not */
    struct {
        bool found;
        enum store_table table;
        uint64_t seq;
        struct err why;
    } undecodable; /* in this step: moved to quarantine */
    /* Intents with these numbers were made by this run's last decision. An operator may add others behind them. */
    uint64_t made_from, made_to;
    int64_t now_ms;
    int64_t received_ms; /* INTENT_TRIGGER: when the delivery came that led to it; 0 = not known any more */
    int64_t step_us;     /* when this step began, clock_monotonic_us() */

    struct facts facts;
    struct decision *decision; /* in decide_learnt() only: too large to be held while GitHub is asked */
    struct act_result result;
    int64_t duration_ms;
    const char *note;
};

enum { PR_NAME_SIZE = REPO_NAME_SIZE + 24 };

static const char *pr_name(const struct run *run, char out[PR_NAME_SIZE])
{
    snprintf(out, PR_NAME_SIZE, "%s#%" PRIu64, run->record.repo, run->pr.number);
    return out;
}

/* Exponential, capped, spread by a quarter so that pull requests do not come back all at once. */
static int64_t back_off_ms(uint32_t failures, const struct pr_key *pr)
{
    int64_t wait = BACKOFF_FIRST_MS;
    for (uint32_t i = 0; i < failures && wait < BACKOFF_LAST_MS; i++)
        wait *= 2;
    if (wait > BACKOFF_LAST_MS)
        wait = BACKOFF_LAST_MS;
    uint64_t spread = (uint64_t)wait / 4;
    uint64_t mixed = pr->number * UINT64_C(2654435761) + failures * UINT64_C(40503);
    return wait - (int64_t)spread + (int64_t)(mixed % (2 * spread));
}

/* As run->result says, and in one step no more than once. A wait is no failure: it leaves the back-off alone. */
static void put_off(struct run *run, int64_t now_ms)
{
    struct record *record = &run->record;
    int64_t due = run->result.retry_at_ms;
    if (run->put_off_until_ms != 0 && record->due_ms == run->put_off_until_ms)
        return;
    if (!run->result.waits) {
        int64_t backed_off = now_ms + back_off_ms(record->failures, &record->key);
        due = due > backed_off ? due : backed_off;
        record->failures++;
    }
    record->due_ms = due < now_ms + RETRY_AT_MOST_MS ? due : now_ms + RETRY_AT_MOST_MS;
    run->put_off_until_ms = record->due_ms;
}

/*
 * Every transaction below starts like this. ERR_CONFLICT: the claim is somebody else's,
 * or the record is gone; then nothing may be written.
 */
static enum err_code lock_record(struct store_txn *txn, struct run *run, struct err *err)
{
    enum err_code code = table_get_record(txn, &run->pr, STORE_LOCK, &run->record, err);
    if (code == ERR_NOT_FOUND || (code == ERR_OK && !claim_equal(&run->record.claim, &run->claim)))
        return err_set(err, ERR_CONFLICT, 0, "the claim is not this process's any more");
    return code;
}

static void drop_coming(struct run *run)
{
    free(run->coming);
    run->coming = NULL;
}

/* What the transaction before, or this one when it was run before, found. */
static void forget_step(struct run *run)
{
    run->step_is_known = false;
    drop_coming(run);
}

/*
 * For a body that may give the claim up with what it does, see go_on(). ERR_NOT_FOUND: it did, in a commit whose
 * success was hidden, after which it is run again.
 */
static enum err_code lock_unless_done(struct store_txn *txn, struct run *run, struct err *err)
{
    bool released = run->step == STEP_RELEASED;
    forget_step(run);
    enum err_code code = lock_record(txn, run, err);
    if (code == ERR_OK)
        run->step = STEP_AGAIN;
    return code == ERR_CONFLICT && released ? err_set(err, ERR_NOT_FOUND, 0, "it is done") : code;
}

/* Whoever's body found its own work done, with ERR_NOT_FOUND, has committed it. */
static enum err_code commit(struct run *run, store_body *body, struct err *err)
{
    enum err_code code = store_txn(run->gate->store, body, run, err);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

/* ---- what is next -------------------------------------------------------- */

/* With the record, which the caller writes. */
static void give_up_claim(struct run *run)
{
    run->step = STEP_RELEASED;
    run->record.claim = (struct claim){0};
}

static enum err_code set_aside(struct store_txn *txn, struct run *run, enum store_table table, uint64_t seq,
                               struct err *err)
{
    run->undecodable.found = true;
    run->undecodable.table = table;
    run->undecodable.seq = seq;
    run->undecodable.why = *err;
    run->step = STEP_AGAIN;
    run->must_wait = true;
    return table_quarantine(txn, table, &run->pr, seq, err);
}

static void tell_of_undecodable(const struct run *run)
{
    char name[PR_NAME_SIZE];
    if (!run->undecodable.found)
        return;
    log_error("a stored entry cannot be decoded: moved to quarantine", LOG_STR("pr", pr_name(run, name)),
              LOG_STR("delivery", NULL), LOG_STR("table", store_table_name(run->undecodable.table)),
              LOG_INT("seq", run->undecodable.seq), LOG_STR("error", run->undecodable.why.text));
    metrics_add(run->gate->metrics, METRIC_QUARANTINED);
}

/*
 * A trigger is marked as sent in a commit before it is. A crash from here until the result is committed leaves "sent,
 * outcome unknown"; never does one that was sent look as if it had not been. The record is the caller's to write.
 */
static enum err_code mark_sent(struct store_txn *txn, struct run *run, struct err *err)
{
    struct intent marked = run->next;
    struct head *head = record_find_head(&run->record, &marked.sha);
    marked.sent_ms = run->marked_ms = run->now_ms;
    if (head != NULL)
        head->ci = CI_SENT;
    run->must_wait = true;
    return table_put_intent(txn, &run->pr, &marked, err);
}

static bool is_own(const struct run *run, const struct intent *intent)
{
    return intent->seq >= run->made_from && intent->seq < run->made_to;
}

/*
 * Whoever had the claim and died may have been at an intent: GitHub may still be handling what it was sent, and show it
 * later. The first is meant, or a later one where the machine failed and took results that did not wait for the disk.
 * A trigger has a mark already. A crash before this commit leaves a claim that is taken over as this one was.
 */
static enum err_code mark_left_over(struct store_txn *txn, struct run *run, struct err *err)
{
    struct intent left;
    enum err_code code = ERR_OK;
    for (uint64_t seq = 0; code == ERR_OK || code == ERR_CORRUPT; seq++) {
        code = table_next_intent(txn, &run->pr, &seq, &left, err);
        if (code != ERR_OK || left.kind == INTENT_TRIGGER)
            continue;
        left.sent_ms = run->now_ms;
        code = table_put_intent(txn, &run->pr, &left, err);
    }
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

static enum err_code next_intent(struct store_txn *txn, struct run *run, struct err *err)
{
    uint64_t seq = 0;
    struct intent *next = &run->next;
    enum err_code code = table_next_intent(txn, &run->pr, &seq, next, err);
    if (code == ERR_CORRUPT)
        return set_aside(txn, run, TABLE_INTENT, seq, err);
    if (code == ERR_OK) /* the check's text tells of it */
        code = heads_recall(txn, &run->record, &next->sha, err);
    if (code != ERR_OK)
        return code;
    run->step = STEP_ACT;
    if (!is_own(run, next)) /* else the decision that made it waits, or has */
        run->must_wait = true;
    /* Made since the claim was taken: whoever else tried it would have had to take it first. */
    next->untried = is_own(run, next) && next->attempts == 0 && next->sent_ms == 0;
    /* After a commit whose success was hidden: the mark is this run's own, and nothing went out yet. */
    if (run->marked_ms != 0 && next->sent_ms == run->marked_ms) {
        next->sent_ms = 0;
        run->must_wait = true;
        return ERR_OK;
    }
    return run->policy != NULL && act_will_send(run->policy, next) ? mark_sent(txn, run, err) : ERR_OK;
}

static enum err_code next_event(struct store_txn *txn, struct run *run, uint64_t *seq, struct event *event,
                                struct err *err)
{
    *seq = 0;
    enum err_code code = table_next_event(txn, &run->pr, seq, event, err);
    if (code == ERR_CORRUPT)
        return set_aside(txn, run, TABLE_INBOX, *seq, err);
    if (code == ERR_OK)
        code = heads_recall_for(txn, &run->record, event, err);
    if (code == ERR_OK)
        run->step = STEP_DECIDE;
    return code;
}

/* Beside the event at hand, which is still needed once this transaction is over. */
static enum err_code coming_event(struct store_txn *txn, struct run *run, struct err *err)
{
    run->coming = mem_alloc(sizeof *run->coming);
    return next_event(txn, run, &run->coming_seq, run->coming, err);
}

/* The first `closed` in the queue, wherever it stands. */
static enum err_code next_closed(struct store_txn *txn, struct run *run, struct err *err)
{
    enum err_code code;
    for (run->seq = 0;; run->seq++) {
        code = table_next_event(txn, &run->pr, &run->seq, &run->event, err);
        if (code != ERR_OK && code != ERR_CORRUPT)
            return code;
        if (code == ERR_OK && run->event.action == EVENT_CLOSED)
            break;
    }
    run->step = STEP_DECIDE;
    run->overtakes = true;
    return ERR_OK;
}

static bool may_work(const struct run *run)
{
    return !atomic_load(&run->gate->stopping) && run->record.due_ms <= run->now_ms &&
           !gate_is_rate_blocked(run->gate, run->now_ms);
}

/* After a commit whose success was hidden: nothing went out, and nothing will by this run. */
static enum err_code take_back_mark(struct store_txn *txn, struct run *run, struct err *err)
{
    uint64_t seq = 0;
    struct intent first;
    if (run->marked_ms == 0)
        return ERR_OK;
    enum err_code code = table_next_intent(txn, &run->pr, &seq, &first, err);
    if (code == ERR_NOT_FOUND || code == ERR_CORRUPT)
        return ERR_OK;
    if (code == ERR_OK && first.sent_ms == run->marked_ms)
        code = heads_recall(txn, &run->record, &first.sha, err);
    if (code != ERR_OK || first.sent_ms != run->marked_ms)
        return code;
    struct head *head = record_find_head(&run->record, &first.sha);
    if (head != NULL)
        head->ci = CI_DECIDED;
    first.sent_ms = 0;
    run->took_back = run->must_wait = true;
    return table_put_intent(txn, &run->pr, &first, err);
}

static enum err_code find_next(struct store_txn *txn, struct run *run, struct err *err)
{
    enum err_code code = ERR_NOT_FOUND;
    if (may_work(run)) {
        code = next_intent(txn, run, err);
        if (code == ERR_NOT_FOUND)
            code = next_event(txn, run, &run->seq, &run->event, err);
    } else {
        code = take_back_mark(txn, run, err);
        bool may_overtake = !atomic_load(&run->gate->stopping) && run->may_overtake;
        if (code == ERR_OK)
            code = may_overtake ? next_closed(txn, run, err) : ERR_NOT_FOUND;
    }
    if (code != ERR_NOT_FOUND)
        return code;
    give_up_claim(run); /* lost, it is a dead process's claim, and free as well */
    return ERR_OK;
}

/* What a decision is prepared from can be lost: the decision waits, or is lost with it. */
static enum err_code next_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct run *run = arg;
    run->must_wait = run->overtakes = run->took_back = false;
    enum err_code code = lock_unless_done(txn, run, err);
    if (code != ERR_OK)
        return code;
    run->now_ms = clock_now_ms();
    run->policy = config_policy(run->gate->config, run->record.repo);
    if (run->claim.taken_over)
        code = mark_left_over(txn, run, err);
    if (code == ERR_OK)
        code = find_next(txn, run, err);
    bool marks = run->step == STEP_ACT && run->marked_ms == run->now_ms;
    if (code == ERR_OK && (run->step == STEP_RELEASED || marks || run->took_back))
        code = table_put_record(txn, &run->record, err);
    if (!run->must_wait)
        store_need_not_wait(txn);
    return code;
}

/*
 * The end of a transaction that has done something: the same one finds the step that comes next, or that there is nothing
 * more, which saves another one. Not where the repository goes by another name since, with a policy of its own. The
 * record is the caller's to write.
 */
static enum err_code go_on(struct store_txn *txn, struct run *run, struct err *err)
{
    bool renamed = config_policy(run->gate->config, run->record.repo) != run->policy;
    enum err_code code = may_work(run) && !renamed ? next_intent(txn, run, err) : ERR_OK;
    if (code == ERR_NOT_FOUND)
        code = coming_event(txn, run, err);
    if (code == ERR_NOT_FOUND) {
        give_up_claim(run);
        code = ERR_OK;
    }
    run->step_is_known = code == ERR_OK && (run->step == STEP_ACT || run->step == STEP_DECIDE);
    if (run->step != STEP_DECIDE)
        drop_coming(run); /* there is none, or it could not be decoded */
    if (!run->must_wait)
        store_need_not_wait(txn);
    return code;
}

/* ---- putting off ----------------------------------------------------------- */

static enum err_code postpone_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct run *run = arg;
    enum err_code code = lock_record(txn, run, err);
    if (code != ERR_OK)
        return code;
    put_off(run, clock_now_ms());
    return table_put_record(txn, &run->record, err);
}

static enum err_code postpone_failure(struct run *run, const struct err *why, struct err *err)
{
    char name[PR_NAME_SIZE];
    gate_heed_rate_limit(run->gate, why);
    run->result = (struct act_result){.retry_at_ms = why->retry_at_ms};
    enum err_code code = store_txn(run->gate->store, postpone_body, run, err);
    log_warning("put off", LOG_STR("pr", pr_name(run, name)), LOG_STR("delivery", run->event.delivery),
                LOG_INT("failures", run->record.failures), LOG_INT("due_ms", run->record.due_ms),
                LOG_STR("error", why->text));
    return code;
}

/* ---- decide ---------------------------------------------------------------- */

static enum err_code append_intents(struct store_txn *txn, struct run *run, struct err *err)
{
    enum err_code code = ERR_OK;
    for (unsigned i = 0; i < run->decision->intent_count && code == ERR_OK; i++) {
        struct intent *intent = &run->decision->intents[i];
        memcpy(intent->delivery, run->event.delivery, sizeof intent->delivery);
        intent->created_ms = run->now_ms;
        code = table_append_intent(txn, &run->record, intent, err);
    }
    return code;
}

static enum err_code add_to_ledger(struct store_txn *txn, struct run *run, struct err *err)
{
    struct ledger_decision entry = {.event = &run->event, .facts = &run->facts, .decision = run->decision};
    return ledger_add_decision(txn, &run->record, &entry, run->now_ms, err);
}

/* ERR_NOT_FOUND: it was taken; the commit that did it survived a crash that hid its success. */
static enum err_code take_event(struct store_txn *txn, struct run *run, struct err *err)
{
    return table_remove_event(txn, &run->pr, run->seq, err);
}

/* Every commit that decide() may ask about. */
static enum err_code recall_heads(struct store_txn *txn, struct run *run, struct err *err)
{
    enum err_code code = heads_recall_for(txn, &run->record, &run->event, err);
    if (code == ERR_OK)
        code = heads_recall(txn, &run->record, &run->facts.read.head, err);
    return code == ERR_OK ? heads_recall(txn, &run->record, &run->record.view.head, err) : code;
}

/* ERR_NOT_FOUND: it is decided already. */
static enum err_code check_undecided(struct store_txn *txn, const struct run *run, struct err *err)
{
    struct buf text;
    uint64_t seq = run->seq;
    if (!run->decided)
        return ERR_OK;
    buf_init(&text);
    enum err_code code = table_next_text(txn, TABLE_INBOX, &run->pr, &seq, &text, err);
    buf_release(&text);
    return code == ERR_OK && seq != run->seq ? err_set(err, ERR_NOT_FOUND, 0, "it is decided") : code;
}

static enum err_code decide_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct run *run = arg;
    enum err_code code = lock_unless_done(txn, run, err);
    if (code == ERR_OK)
        code = check_undecided(txn, run, err);
    if (code != ERR_OK)
        return code;
    run->decided = false;
    run->made_from = run->made_to = 0;
    code = recall_heads(txn, run, err);
    if (code != ERR_OK)
        return code;
    run->now_ms = clock_now_ms();
    code = budget_decide(txn,
                         &(struct budget_case){.policy = run->policy,
                                               .record = &run->record,
                                               .event = &run->event,
                                               .facts = &run->facts,
                                               .now_ms = run->now_ms,
                                               .decision = run->decision},
                         err);
    if (code != ERR_OK)
        return code;
    /* Where nothing outside follows it can be lost: the event is decided again. */
    run->must_wait = run->decision->intent_count > 0;
    if (run->decision->rule == RULE_LATER) {
        store_need_not_wait(txn);
        run->record.due_ms = run->decision->later_ms;
        return table_put_record(txn, &run->record, err);
    }
    run->made_from = run->record.next_intent;
    code = take_event(txn, run, err);
    if (code == ERR_OK && run->decision->drop_intents)
        code = table_drop_intents(txn, &run->pr, err);
    if (code == ERR_OK)
        code = append_intents(txn, run, err);
    run->made_to = run->record.next_intent;
    if (code == ERR_OK)
        code = add_to_ledger(txn, run, err);
    if (code == ERR_OK)
        code = heads_put_away(txn, &run->record, err);
    record_end_back_off(&run->record);
    if (code == ERR_OK)
        code = go_on(txn, run, err);
    if (code == ERR_OK)
        code = table_put_record(txn, &run->record, err);
    run->decided = code == ERR_OK;
    return code;
}

/* For deliveries that no rule is asked about. */
static enum err_code note_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct run *run = arg;
    enum err_code code = lock_record(txn, run, err);
    if (code == ERR_OK)
        code = take_event(txn, run, err);
    if (code == ERR_OK)
        code = ledger_add_note(txn, &run->record, &run->event, run->note, clock_now_ms(), err);
    if (code != ERR_OK)
        return code;
    record_end_back_off(&run->record);
    return table_put_record(txn, &run->record, err);
}

static enum err_code set_down(struct run *run, const char *note, struct err *err)
{
    char name[PR_NAME_SIZE];
    run->note = note;
    log_warning("not decided", LOG_STR("pr", pr_name(run, name)), LOG_STR("delivery", run->event.delivery),
                LOG_STR("reason", note));
    return commit(run, note_body, err);
}

static void tell_decision(const struct run *run)
{
    char name[PR_NAME_SIZE];
    bool later = run->decision->rule == RULE_LATER;
    log_info("decided", LOG_STR("pr", pr_name(run, name)), LOG_STR("delivery", run->event.delivery),
             LOG_STR("event", event_action_name(run->event.action)),
             LOG_STR("sender", run->event.sender.login), LOG_STR("rule", rule_name(run->decision->rule)),
             LOG_STR("head", run->record.view.head.hex), LOG_INT("intents", run->decision->intent_count));
    metrics_add(run->gate->metrics, later ? METRIC_DECIDED_LATER : METRIC_DECIDED);
    if (!later)
        metrics_observe(run->gate->metrics, HISTOGRAM_DECISION, clock_monotonic_us() - run->step_us);
}

static enum err_code recall_read_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct run *run = arg;
    return heads_recall(txn, &run->record, &run->facts.read.head, err);
}

/* Should GitHub show a commit of long ago as the head, what is known of it says what else is to be learnt. */
static enum err_code learn_facts(struct run *run, struct err *err)
{
    size_t known;
    enum err_code code;
    do {
        known = run->record.head_count;
        code = trust_learn(run->worker, run->policy, &run->record, &run->event, &run->facts, err);
        if (code == ERR_OK && known >= HEADS_KEPT)
            code = store_txn(run->gate->store, recall_read_body, run, err);
    } while (code == ERR_OK && run->record.head_count > known);
    return code;
}

/* Once all facts are learnt. */
static enum err_code decide_learnt(struct run *run, struct err *err)
{
    run->decision = mem_alloc(sizeof *run->decision);
    enum err_code code = commit(run, decide_body, err);
    if (code == ERR_OK)
        tell_decision(run);
    free(run->decision);
    run->decision = NULL;
    return code;
}

static enum err_code decide_event(struct run *run, struct err *err)
{
    if (run->policy == NULL)
        return set_down(run, "the repository is not configured any more", err);
    struct err why = {0};
    github_use(run->worker->github, run->record.repo,
               run->event.installation != 0 ? run->event.installation : run->record.installation);
    switch (learn_facts(run, &why)) {
    case ERR_OK:
        break;
    case ERR_NOT_FOUND:
        /* Reads lag behind webhooks: one that is new may not be there yet. */
        if (clock_now_ms() < run->event.received_ms + APPEARS_MS)
            return postpone_failure(run, &why, err);
        return set_down(run, "GitHub knows no such pull request (404)", err);
    case ERR_RETRY:
    case ERR_UNKNOWN:
    case ERR_REJECT:
    case ERR_CONFLICT:
    case ERR_CORRUPT:
    case ERR_FATAL:
        return postpone_failure(run, &why, err);
    }
    return decide_learnt(run, err);
}

/* ---- act --------------------------------------------------------------------- */

static const char *outcome_name(enum act_outcome outcome)
{
    switch (outcome) {
    case ACT_DONE:
        return "done";
    case ACT_AGAIN:
        return "again";
    case ACT_UNSURE:
        return "unsure";
    case ACT_LEFT:
        return "unknown";
    case ACT_REFUSED:
        return "dead";
    }
    return "?";
}

/* For log and ledger. */
static const char *told_outcome(const struct run *run)
{
    if (run->gate->config->dry_run && run->result.outcome == ACT_DONE)
        return run->result.shown ? "dry_run" : "nothing";
    return outcome_name(run->result.outcome);
}

/* Where the label itself starts CI, one that is refused is a trigger that is. */
static bool starts_ci(const struct run *run, enum ci_state ci)
{
    if (run->intent.kind == INTENT_ADD_LABEL)
        return ci == CI_REFUSED && run->policy != NULL && run->policy->trigger == TRIGGER_NONE;
    return run->intent.kind == INTENT_TRIGGER;
}

static void set_ci(struct run *run, enum ci_state ci)
{
    struct head *head = record_find_head(&run->record, &run->intent.sha);
    if (head == NULL || !starts_ci(run, ci))
        return;
    if (ci == CI_REFUSED && head->ci_before != CI_NONE) {
        /* A re-run of what CI was started for before: that still holds, and its check stays done. */
        head_set_ci(head, head->ci_before, run->now_ms);
        head->rerun_failed = true;
        return;
    }
    head_set_ci(head, ci, run->now_ms);
    if (ci != CI_REFUSED)
        return;
    /* The check that is written next says so. */
    head->check = CHECK_AWAITING;
    head->check_reason = WAIT_TRIGGER_FAILED;
}

static bool check_is_queued(struct store_txn *txn, const struct run *run, struct err *err)
{
    struct intent queued;
    uint64_t seq = 0;
    enum err_code code;
    while ((code = table_next_intent(txn, &run->pr, &seq, &queued, err)) == ERR_OK || code == ERR_CORRUPT) {
        if (code == ERR_OK && intent_is_check(queued.kind) && sha_equal(&queued.sha, &run->intent.sha))
            return true;
        seq++;
    }
    return false;
}

/* On the list, and on the check: one that is queued says so when it is written, else there must be another. */
static enum err_code add_dead_letter(struct store_txn *txn, struct run *run, struct err *err)
{
    struct dead_letter letter = {.intent = run->intent, .died_ms = run->now_ms};
    text_copy_cut(letter.reason, sizeof letter.reason, run->result.err.text);
    letter.intent.attempts++;
    enum err_code code = table_put_dead(txn, &run->pr, &letter, err);
    const struct head *head = record_find_head(&run->record, &run->intent.sha);
    bool can_be_told = run->policy != NULL && head != NULL && head->check != CHECK_NONE;
    if (code != ERR_OK || !can_be_told || intent_is_check(run->intent.kind) || check_is_queued(txn, run, err))
        return code;
    struct intent check = {.sha = head->sha, .created_ms = run->now_ms};
    intent_show_check(&check, head);
    memcpy(check.delivery, run->intent.delivery, sizeof check.delivery);
    return table_append_intent(txn, &run->record, &check, err);
}

static enum err_code recall_receipt(struct store_txn *txn, struct run *run, struct err *err)
{
    run->received_ms = 0;
    if (run->intent.kind != INTENT_TRIGGER)
        return ERR_OK;
    enum err_code code = table_when_seen(txn, &run->pr, run->intent.delivery, &run->received_ms, err);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

static void note_check(struct run *run)
{
    struct head *head = record_find_head(&run->record, &run->intent.sha);
    if (head != NULL && intent_is_check(run->intent.kind) && run->result.check_id != 0)
        head->check_id = run->result.check_id;
}

/* Of a dry run: the label stays as it is on GitHub, and is from here on looked at as if it had been changed. */
static void note_shadow(struct run *run)
{
    bool adds = run->intent.kind == INTENT_ADD_LABEL;
    if (!adds && run->intent.kind != INTENT_REMOVE_LABEL)
        return;
    enum shadow_label would_be = adds ? SHADOW_SET : SHADOW_OFF;
    run->record.shadow_label = run->result.shown ? would_be : SHADOW_NONE;
    run->record.shadow_at = run->result.shown ? run->record.view.updated_at : 0;
}

/* The intent is over and done with, in one way or another. */
static enum err_code finish(struct store_txn *txn, struct run *run, enum ci_state ci, struct err *err)
{
    set_ci(run, ci);
    note_check(run);
    note_shadow(run);
    record_end_back_off(&run->record);
    enum err_code code = table_remove_intent(txn, &run->pr, run->intent.seq, err);
    const struct head *head = record_find_head(&run->record, &run->intent.sha);
    struct ledger_action action = {.intent = &run->intent,
                                   .outcome = told_outcome(run),
                                   .run = run->intent.kind == INTENT_TRIGGER ? head_attempt(head) : 1,
                                   .answer = run->result.err.text,
                                   .duration_ms = run->duration_ms};
    if (code == ERR_OK)
        code = ledger_add_action(txn, &run->record, &action, run->now_ms, err);
    if (code == ERR_OK && run->result.outcome == ACT_REFUSED)
        code = add_dead_letter(txn, run, err);
    if (code == ERR_OK)
        code = recall_receipt(txn, run, err);
    return code;
}

/* It stays first in its queue. A trigger that had no effect is as if it had not been sent. */
static enum err_code keep(struct store_txn *txn, struct run *run, struct err *err)
{
    struct intent kept = run->intent;
    kept.attempts += run->result.waits ? 0 : 1;
    if (kept.sent_ms == 0 && run->result.outcome == ACT_UNSURE)
        kept.sent_ms = run->now_ms;
    /* GitHub may still be handling it, and shows it later: as what a dead process sent, see act_perform(). */
    if (kept.kind != INTENT_TRIGGER && run->result.err.code == ERR_UNKNOWN)
        kept.sent_ms = run->now_ms;
    if (run->result.never_arrived)
        kept.sent_ms = 0;
    set_ci(run, kept.sent_ms == 0 ? CI_DECIDED : CI_SENT);
    put_off(run, run->now_ms);
    return table_put_intent(txn, &run->pr, &kept, err);
}

/*
 * What is lost with the machine is done again, and looks first whether it is done. A trigger would be of an unknown outcome;
 * a label that starts CI might be set again after somebody has taken it off; and a cancelling that is done again would end what
 * somebody has started since.
 */
static bool can_be_lost(const struct run *run)
{
    bool starts =
        run->intent.kind == INTENT_TRIGGER || (run->intent.kind == INTENT_ADD_LABEL &&
                                               (run->policy == NULL || run->policy->trigger == TRIGGER_NONE));
    return run->result.outcome == ACT_DONE && !starts && run->intent.kind != INTENT_CANCEL;
}

static enum err_code result_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct run *run = arg;
    enum err_code code = lock_unless_done(txn, run, err);
    if (code != ERR_OK)
        return code;
    run->now_ms = clock_now_ms();
    run->must_wait = !can_be_lost(run);
    switch (run->result.outcome) {
    case ACT_DONE:
        code = finish(txn, run, CI_STARTED, err);
        break;
    case ACT_LEFT:
        code = finish(txn, run, CI_UNKNOWN, err);
        break;
    case ACT_REFUSED:
        code = finish(txn, run, CI_REFUSED, err);
        break;
    case ACT_AGAIN:
    case ACT_UNSURE:
        code = keep(txn, run, err);
        break;
    }
    if (code == ERR_OK)
        code = go_on(txn, run, err);
    return code == ERR_OK ? table_put_record(txn, &run->record, err) : code;
}

/* In a dry run, and where the label is what starts CI, none is sent. */
static bool trigger_was_sent(const struct run *run)
{
    return run->intent.kind == INTENT_TRIGGER && run->result.outcome == ACT_DONE && run->policy != NULL &&
           run->policy->trigger != TRIGGER_NONE && !run->gate->config->dry_run;
}

static void count_result(const struct run *run)
{
    struct metrics *metrics = run->gate->metrics;
    enum intent_kind kind = run->intent.kind;
    switch (run->result.outcome) {
    case ACT_DONE:
        metrics_count_intent(metrics, METRIC_INTENTS_DONE, kind);
        if (kind == INTENT_TRIGGER)
            metrics_add(metrics, METRIC_TRIGGERS);
        break;
    case ACT_AGAIN:
    case ACT_UNSURE:
        if (!run->result.waits)
            metrics_count_intent(metrics, METRIC_INTENTS_RETRIED, kind);
        break;
    case ACT_LEFT:
        metrics_count_intent(metrics, METRIC_INTENTS_LEFT, kind);
        metrics_add(metrics, METRIC_TRIGGERS_UNKNOWN);
        break;
    case ACT_REFUSED:
        metrics_count_intent(metrics, METRIC_INTENTS_DEAD, kind);
        break;
    }
    if (run->received_ms != 0 && trigger_was_sent(run))
        metrics_observe(metrics, HISTOGRAM_TRIGGER, (clock_now_ms() - run->received_ms) * 1000);
}

static void log_result(const struct run *run)
{
    char name[PR_NAME_SIZE];
    enum log_level level = LOG_LEVEL_WARNING;
    if (run->result.outcome == ACT_DONE || run->result.waits)
        level = LOG_LEVEL_INFO;
    if (run->result.outcome == ACT_REFUSED || run->result.outcome == ACT_LEFT)
        level = LOG_LEVEL_ERROR;
    LOG_AT(level, "acted", LOG_STR("pr", pr_name(run, name)), LOG_STR("delivery", run->intent.delivery),
           LOG_STR("action", intent_kind_name(run->intent.kind)), LOG_STR("sha", run->intent.sha.hex),
           LOG_STR("outcome", told_outcome(run)), LOG_INT("attempt", run->intent.attempts + 1),
           LOG_INT("duration_ms", run->duration_ms), LOG_STR("answer", run->result.err.text), LOG_END);
}

/* An own CI that says 429 speaks for itself, not for GitHub. */
static bool is_for_own_ci(const struct run *run)
{
    bool is_call = run->intent.kind == INTENT_TRIGGER || run->intent.kind == INTENT_CANCEL;
    return is_call && run->policy != NULL && run->policy->trigger == TRIGGER_HTTP;
}

/* A trigger that may have arrived must not look as if it could be sent again. */
static enum act_outcome given_up(const struct intent *intent, bool may_have_arrived)
{
    return intent->kind == INTENT_TRIGGER && may_have_arrived ? ACT_LEFT : ACT_REFUSED;
}

static struct act_result give_up_unconfigured(const struct intent *intent)
{
    struct act_result result = {.outcome = given_up(intent, intent->sent_ms != 0)};
    err_set(&result.err, ERR_REJECT, 0, "the repository is not configured any more");
    return result;
}

/* What has been failing for too long is given up, with the last failure for its reason. */
static void lose_patience(struct run *run, int64_t now_ms)
{
    int64_t patience_ms = (int64_t)run->gate->config->give_up_after_s * 1000;
    bool unsure = run->result.outcome == ACT_UNSURE;
    bool failing = (unsure || run->result.outcome == ACT_AGAIN) && !run->result.waits;
    if (!failing || run->intent.attempts + 1 < ATTEMPTS_AT_LEAST ||
        now_ms - run->intent.created_ms < patience_ms)
        return;
    struct err last = run->result.err;
    run->result.outcome = given_up(&run->intent, unsure || run->intent.sent_ms != 0);
    err_set(&run->result.err, last.code, last.number, "given up after %d s: %s",
            run->gate->config->give_up_after_s, last.text);
}

static enum err_code perform_intent(struct run *run, struct err *err)
{
    int64_t start_ms = clock_now_ms();
    run->marked_ms = 0; /* from here on it may have gone out */
    if (run->policy != NULL)
        run->result = act_perform(run->worker, run->policy, &run->record, &run->intent);
    else
        run->result = give_up_unconfigured(&run->intent);
    run->duration_ms = clock_now_ms() - start_ms;
    if (!is_for_own_ci(run))
        gate_heed_rate_limit(run->gate, &run->result.err);
    lose_patience(run, start_ms);
    /* A crash here, before the result is committed, repeats the intent: see act.h for why that is harmless. */
    enum err_code code = commit(run, result_body, err);
    if (code != ERR_OK)
        return code;
    count_result(run);
    log_result(run);
    return ERR_OK;
}

/* ---- one run ----------------------------------------------------------------- */

static void put_in_place(struct run *run)
{
    if (run->coming == NULL)
        return;
    run->event = *run->coming;
    run->seq = run->coming_seq;
    drop_coming(run);
}

static enum err_code take_step(struct run *run, struct err *err)
{
    enum err_code code = ERR_OK;
    run->step_us = clock_monotonic_us();
    run->decided = false;
    run->put_off_until_ms = 0;
    run->undecodable.found = false;
    if (!run->step_is_known)
        code = commit(run, next_body, err);
    run->step_is_known = false;
    if (code != ERR_OK)
        return code;
    run->claim.taken_over = false; /* marked, where there was something to mark */
    run->may_overtake = run->may_overtake && !run->overtakes;
    switch (run->step) {
    case STEP_RELEASED:
    case STEP_AGAIN:
        return ERR_OK;
    case STEP_ACT:
        run->intent = run->next;
        log_about(run->intent.delivery);
        return perform_intent(run, err);
    case STEP_DECIDE:
        put_in_place(run);
        log_about(run->event.delivery);
        return decide_event(run, err);
    }
    return ERR_OK;
}

/* It was seen by the transaction that took the claim. */
static void begin_with(struct run *run, struct briefing *briefing)
{
    run->record = briefing->record;
    record_init(&briefing->record);
    run->seq = briefing->seq;
    run->event = briefing->event;
    run->now_ms = clock_now_ms();
    run->policy = config_policy(run->gate->config, run->record.repo);
    run->step_is_known = may_work(run);
    if (run->step_is_known)
        run->step = STEP_DECIDE;
}

void drain_start(struct worker *worker, const struct pr_key *pr, const struct claim *claim,
                 struct briefing *briefing)
{
    struct err err = {0};
    struct run run = {.worker = worker,
                      .gate = worker->gate,
                      .pr = *pr,
                      .claim = *claim,
                      .may_overtake = true,
                      .step = STEP_AGAIN};
    record_init(&run.record);
    if (briefing != NULL)
        begin_with(&run, briefing);
    briefing_free(briefing);
    enum err_code code;
    do {
        code = take_step(&run, &err);
        if (code == ERR_OK)
            tell_of_undecodable(&run);
    } while (code == ERR_OK && run.step != STEP_RELEASED);
    char name[PR_NAME_SIZE];
    if (code == ERR_CONFLICT)
        log_warning("the claim was lost while working", LOG_STR("pr", pr_name(&run, name)));
    else if (code != ERR_OK)
        log_error("stopped working on a pull request", LOG_STR("pr", pr_name(&run, name)),
                  LOG_STR("error", err.text));
    log_about(NULL);
    drop_coming(&run);
    record_release(&run.record);
    /* Off the list last: a claim that an error left in the record is free from here on. */
    claims_forget(worker->gate->claims, claim);
}

void drain_run(struct worker *worker, const struct pr_key *pr, const struct claim *claim)
{
    drain_start(worker, pr, claim, NULL);
}
