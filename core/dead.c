#include "prgate/dead.h"

#include <inttypes.h>

#include "prgate/clock.h"
#include "prgate/ledger.h"
#include "prgate/tables.h"

/* ---- one letter ------------------------------------------------------------ */

struct look {
    const struct pr_key *pr;
    uint64_t from;
    uint64_t seq;
    struct dead_letter *letter;
};

static enum err_code look_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct look *look = arg;
    look->seq = look->from;
    store_need_not_wait(txn); /* to be shown */
    return table_next_dead(txn, look->pr, &look->seq, look->letter, err);
}

enum err_code dead_look(struct gate *gate, const struct pr_key *pr, uint64_t *seq, struct dead_letter *letter,
                        struct err *err)
{
    struct look look = {.pr = pr, .from = *seq, .letter = letter};
    enum err_code code = store_txn(gate->store, look_body, &look, err);
    *seq = look.seq;
    return code;
}

/* ---- retry and drop ---------------------------------------------------------- */

struct change {
    struct gate *gate;
    const struct pr_key *pr;
    uint64_t seq;
    bool retry;
    bool made; /* by an earlier run of the body */
    struct record record;
    struct dead_letter letter;
};

/* Is there still sense in it? Whatever happened since was decided without it. */
static enum err_code check_sense(const struct record *record, const struct intent *intent, struct err *err)
{
    const struct head *head = record_find_head(record, &intent->sha);
    if (intent_outlives_closing(intent->kind))
        return ERR_OK;
    if (record->view.closed)
        return err_set(err, ERR_REJECT, 0, "the pull request is closed: drop it");
    if (head == NULL || !(head->queued || sha_equal(&record->view.head, &intent->sha)))
        return err_set(err, ERR_REJECT, 0, "%.10s is not the head any more: drop it", intent->sha.hex);
    if (intent->kind == INTENT_TRIGGER && head_is_triggered(head) && !head->rerun_failed)
        return err_set(err, ERR_REJECT, 0, "CI was started for %.10s meanwhile: drop it", intent->sha.hex);
    if (intent->kind == INTENT_REMOVE_LABEL && (head->approved || head_is_triggered(head)))
        return err_set(err, ERR_REJECT, 0, "somebody has approved %.10s meanwhile: drop it", intent->sha.hex);
    return ERR_OK;
}

/* As decide() leaves a head that it starts. The check, which says that CI was refused, is done anew. */
static enum err_code append_start(struct store_txn *txn, struct change *change, struct intent again,
                                  struct err *err)
{
    struct head *head = record_find_head(&change->record, &again.sha);
    bool label_too = again.kind == INTENT_ADD_LABEL;
    head->ci_before = head_is_triggered(head) ? head->ci : CI_NONE;
    head->rerun_failed = false;
    head_set_ci(head, CI_DECIDED, again.created_ms);
    head->check = CHECK_DONE;
    head->check_reason = WAIT_NOTHING;
    again.kind = INTENT_TRIGGER;
    enum err_code code = table_append_intent(txn, &change->record, &again, err);
    again.kind = INTENT_ADD_LABEL;
    if (code == ERR_OK && label_too)
        code = table_append_intent(txn, &change->record, &again, err);
    again.kind = INTENT_CHECK_DONE;
    return code == ERR_OK ? table_append_intent(txn, &change->record, &again, err) : code;
}

/* Where the label itself starts CI, setting it is starting CI. */
static bool starts_ci(const struct change *change, const struct intent *intent, const struct head *head)
{
    const struct policy *policy = config_policy(change->gate->config, change->record.repo);
    bool by_label = intent->kind == INTENT_ADD_LABEL && head->ci == CI_REFUSED && policy != NULL &&
                    policy->trigger == TRIGGER_NONE;
    return intent->kind == INTENT_TRIGGER || by_label;
}

static enum err_code append(struct store_txn *txn, struct change *change, struct err *err)
{
    struct intent again = change->letter.intent;
    struct head *head = record_find_head(&change->record, &again.sha);
    again.attempts = 0;
    again.created_ms = clock_now_ms();
    if (again.kind != INTENT_TRIGGER)
        again.sent_ms = 0; /* a call whose outcome was not known is over by now */
    if (intent_is_check(again.kind))
        intent_show_check(&again, head);
    again.seq = 0;
    record_end_back_off(&change->record);
    if (starts_ci(change, &again, head))
        return append_start(txn, change, again, err);
    return table_append_intent(txn, &change->record, &again, err);
}

static enum err_code note(struct store_txn *txn, struct change *change, struct err *err)
{
    struct ledger_action action = {.intent = &change->letter.intent,
                                   .outcome = change->retry ? "retried" : "dropped",
                                   .answer = "by prgatectl"};
    return ledger_add_action(txn, &change->record, &action, clock_now_ms(), err);
}

static enum err_code change_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct change *change = arg;
    enum err_code code = table_get_record(txn, change->pr, STORE_LOCK, &change->record, err);
    if (code != ERR_OK)
        return code;
    uint64_t seq = change->seq;
    code = table_next_dead(txn, change->pr, &seq, &change->letter, err);
    bool gone = code == ERR_NOT_FOUND || seq != change->seq;
    if (gone && change->made) /* its commit went through */
        return ERR_OK;
    if (gone)
        return err_set(err, ERR_NOT_FOUND, 0, "there is no dead letter %" PRIu64, change->seq);
    /* What cannot be read can be dropped, but there is nothing to note of it. */
    if (code == ERR_CORRUPT && !change->retry) {
        change->made = true;
        return table_remove_dead(txn, change->pr, seq, err);
    }
    if (code == ERR_OK && change->retry)
        code = check_sense(&change->record, &change->letter.intent, err);
    if (code == ERR_OK)
        code = table_remove_dead(txn, change->pr, seq, err);
    if (code == ERR_OK && change->retry)
        code = append(txn, change, err);
    if (code == ERR_OK)
        code = note(txn, change, err);
    change->made = change->made || code == ERR_OK;
    return code == ERR_OK ? table_put_record(txn, &change->record, err) : code;
}

static enum err_code apply(struct gate *gate, const struct pr_key *pr, uint64_t seq, bool retry,
                           struct err *err)
{
    struct change change = {.gate = gate, .pr = pr, .seq = seq, .retry = retry};
    record_init(&change.record);
    enum err_code code = store_txn(gate->store, change_body, &change, err);
    record_release(&change.record);
    return code;
}

enum err_code dead_retry(struct gate *gate, const struct pr_key *pr, uint64_t seq, struct err *err)
{
    return apply(gate, pr, seq, true, err);
}

enum err_code dead_drop(struct gate *gate, const struct pr_key *pr, uint64_t seq, struct err *err)
{
    return apply(gate, pr, seq, false, err);
}
