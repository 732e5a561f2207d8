#include "prgate/inbox.h"

#include <string.h>

#include "prgate/log.h"
#include "prgate/salvage.h"

struct put {
    struct gate *gate;
    const struct event *event;
    bool may_claim;
    struct claim claim; /* made beforehand, so that no other thread takes the record's for left over */
    struct receipt receipt;
    bool taken_over;
    bool salvaged; /* the record was damaged, and is made anew */
};

/* The repository is new here, or goes by another name by now. A late delivery must not bring the old one back. */
static enum err_code note_name(struct store_txn *txn, struct record *record, const struct event *event,
                               struct err *err)
{
    bool late = event->pr.updated_at < record->view.updated_at;
    if (late || strcmp(record->repo, event->repo) == 0)
        return ERR_OK;
    memcpy(record->repo, event->repo, sizeof record->repo);
    return table_put_name(txn, record->repo, record->key.repo_id, err);
}

static enum err_code put_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct put *put = arg;
    put->receipt = (struct receipt){0};
    put->taken_over = false;
    struct record record;
    record_init(&record);

    enum err_code code = salvage_get_record(txn, &put->event->key, &record, &put->salvaged, err);
    if (code == ERR_OK || code == ERR_NOT_FOUND)
        code = note_name(txn, &record, put->event, err);
    if (code == ERR_OK)
        code = table_see_delivery(txn, &record.key, put->event->delivery, put->event->received_ms, err);
    if (code == ERR_CONFLICT) {
        put->receipt.duplicate = true;
        code = put->salvaged ? table_put_record(txn, &record, err) : ERR_OK;
        goto done;
    }
    if (code != ERR_OK)
        goto done;

    code = table_append_event(txn, &record, put->event, err);
    if (code != ERR_OK)
        goto done;
    /* A closing does not wait for the failing work that it voids. */
    bool due = record.due_ms <= put->event->received_ms || put->event->action == EVENT_CLOSED;
    if (put->may_claim && due && claims_is_free(put->gate->claims, &record.claim)) {
        put->taken_over = record.claim.held;
        record.claim = put->claim;
        put->receipt.claimed = true;
        put->receipt.claim = put->claim;
    }
    code = table_put_record(txn, &record, err);
done:
    record_release(&record);
    return code;
}

enum err_code inbox_put(struct gate *gate, const struct event *event, bool may_claim, struct receipt *out,
                        struct err *err)
{
    struct put put = {.gate = gate, .event = event, .may_claim = may_claim};
    if (may_claim)
        put.claim = claims_new(gate->claims);
    enum err_code code = store_txn(gate->store, put_body, &put, err);
    if (may_claim && (code != ERR_OK || !put.receipt.claimed))
        claims_forget(gate->claims, &put.claim);
    if (code != ERR_OK)
        return err_wrap(err, "storing the delivery");
    if (put.salvaged)
        salvage_tell(gate->metrics, &event->key);
    if (put.taken_over)
        metrics_add(gate->metrics, METRIC_CLAIMS_TAKEN_OVER);
    *out = put.receipt;
    return ERR_OK;
}
