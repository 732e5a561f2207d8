#include "prgate/salvage.h"

#include <string.h>

#include "prgate/heads.h"
#include "prgate/ledger.h"
#include "prgate/log.h"

/* The number behind the last one; entries that cannot be decoded count, too. */
static enum err_code end_of(struct store_txn *txn, enum store_table table, const struct pr_key *pr,
                            uint64_t *end, struct err *err)
{
    struct buf value;
    uint64_t seq = 0;
    enum err_code code;
    buf_init(&value);
    while ((code = table_next_text(txn, table, pr, &seq, &value, err)) == ERR_OK) {
        seq++;
        if (*end < seq)
            *end = seq;
    }
    buf_release(&value);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

/* Where the queue is empty the name is found by the next delivery. */
static enum err_code learn_name(struct store_txn *txn, struct record *record, struct err *err)
{
    struct event event;
    uint64_t seq = 0;
    enum err_code code;
    while ((code = table_next_event(txn, &record->key, &seq, &event, err)) == ERR_CORRUPT)
        seq++;
    if (code == ERR_OK) {
        memcpy(record->repo, event.repo, sizeof record->repo);
        record->installation = event.installation;
        return ERR_OK;
    }
    return code == ERR_NOT_FOUND ? table_find_name(txn, record->key.repo_id, record->repo, err) : code;
}

/* A trigger that still stands in the queue. */
static enum err_code learn_intents(struct store_txn *txn, struct record *record, struct err *err)
{
    struct intent intent;
    enum err_code code;
    for (uint64_t seq = 0;; seq++) {
        code = table_next_intent(txn, &record->key, &seq, &intent, err);
        if (code != ERR_OK && code != ERR_CORRUPT)
            return code == ERR_NOT_FOUND ? ERR_OK : code;
        if (code == ERR_CORRUPT || intent.kind != INTENT_TRIGGER)
            continue;
        record_reserve_head(record);
        struct head *head = record_add_head(record, &intent.sha, intent.created_ms);
        head_set_ci(head, intent.sent_ms == 0 ? CI_DECIDED : CI_SENT, intent.created_ms);
        head->check = CHECK_DONE;
    }
}

static enum err_code rebuild(struct store_txn *txn, struct record *record, struct err *err)
{
    const struct pr_key *pr = &record->key;
    enum err_code code = end_of(txn, TABLE_INBOX, pr, &record->next_delivery, err);
    if (code == ERR_OK)
        code = end_of(txn, TABLE_INTENT, pr, &record->next_intent, err);
    if (code == ERR_OK) /* a letter keeps its intent's number */
        code = end_of(txn, TABLE_DEAD, pr, &record->next_intent, err);
    if (code == ERR_OK)
        code = end_of(txn, TABLE_LEDGER, pr, &record->next_ledger, err);
    if (code == ERR_OK)
        code = ledger_restore(txn, record, err);
    if (code == ERR_OK)
        code = heads_restore(txn, record, err);
    if (code == ERR_OK)
        code = learn_intents(txn, record, err);
    return code == ERR_OK ? learn_name(txn, record, err) : code;
}

enum err_code salvage_get_record(struct store_txn *txn, const struct pr_key *pr, struct record *record,
                                 bool *salvaged, struct err *err)
{
    struct err why = {0};
    enum err_code code = table_get_record(txn, pr, STORE_LOCK, record, &why);
    if (code != ERR_CORRUPT || why.number != 0) {
        if (code != ERR_OK && err != NULL)
            *err = why;
        return code;
    }
    record_release(record);
    record->key = *pr;
    code = table_quarantine_record(txn, pr, err);
    if (code == ERR_OK)
        code = rebuild(txn, record, err);
    *salvaged = *salvaged || code == ERR_OK;
    return code;
}

void salvage_tell(struct metrics *metrics, const struct pr_key *pr)
{
    log_error("a pull request's record was damaged: it is in quarantine, and was made anew from the ledger",
              LOG_INT("repo_id", pr->repo_id), LOG_INT("number", pr->number));
    metrics_add(metrics, METRIC_QUARANTINED);
}
