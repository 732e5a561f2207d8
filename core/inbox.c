#include "prgate/inbox.h"

#include <stdlib.h>
#include <string.h>

#include "prgate/heads.h"
#include "prgate/log.h"
#include "prgate/salvage.h"
#include "prgate/visible.h"

struct put {
    struct gate *gate;
    const struct event *events; /* of one pull request */
    size_t count;
    bool may_claim;
    struct claim claim; /* made beforehand, so that no other thread takes the record's for left over */
    struct receipt receipt;
    struct briefing *briefing; /* room for one; NULL: none is asked for */
    bool is_new;               /* one of them was, as this run of the body found, or an earlier one */
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
    int64_t since_ms;
    enum err_code code = table_note_repo(txn, record->repo, event->received_ms, &since_ms, err);
    return code == ERR_OK ? table_put_name(txn, record->repo, record->key.repo_id, err) : code;
}

/* ERR_CONFLICT: it was seen before. */
static enum err_code add_event(struct store_txn *txn, struct record *record, const struct event *event,
                               struct err *err)
{
    enum err_code code = note_name(txn, record, event, err);
    if (code == ERR_OK)
        code = visible_note(txn, event, err);
    if (code == ERR_OK)
        code = table_see_delivery(txn, &record->key, event->delivery, event->received_ms, err);
    return code == ERR_OK ? table_append_event(txn, record, event, err) : code;
}

static enum err_code add_events(struct store_txn *txn, struct put *put, struct record *record,
                                struct err *err)
{
    for (size_t i = 0; i < put->count; i++) {
        enum err_code code = add_event(txn, record, &put->events[i], err);
        if (code == ERR_OK)
            put->is_new = true;
        else if (code != ERR_CONFLICT)
            return code;
    }
    put->receipt.duplicate = !put->is_new;
    return ERR_OK;
}

static void take_claim(struct put *put, struct record *record)
{
    /* A closing does not wait for the failing work that it voids. */
    bool due = record->due_ms <= put->events[0].received_ms || put->events[0].action == EVENT_CLOSED;
    /* By an earlier run of the body, whose commit went through although it seemed not to. */
    bool has_it = put->may_claim && claim_equal(&record->claim, &put->claim);
    if (!has_it && (!put->may_claim || !due || !claims_is_free(put->gate->claims, &record->claim)))
        return;
    if (!has_it)
        put->taken_over = record->claim.held;
    record->claim = put->claim;
    put->receipt.claimed = true;
    put->receipt.claim = put->claim;
    put->receipt.claim.taken_over = put->taken_over;
}

void briefing_free(struct briefing *briefing)
{
    if (briefing == NULL)
        return;
    record_release(&briefing->record);
    free(briefing);
}

/* Intents come first, and what cannot be decoded is not dealt with here: then there is none. */
static enum err_code find_first(struct store_txn *txn, struct put *put, struct record *record, bool *found,
                                struct err *err)
{
    struct briefing *briefing = put->briefing;
    bool intents = false;
    *found = false;
    enum err_code code = table_is_queued(txn, TABLE_INTENT, &record->key, &intents, err);
    if (code != ERR_OK || intents)
        return code;
    briefing->seq = 0;
    code = table_next_event(txn, &record->key, &briefing->seq, &briefing->event, err);
    bool is_decided = code == ERR_NOT_FOUND; /* it was stored by an earlier run of the body */
    if (code == ERR_CORRUPT || is_decided)
        return ERR_OK;
    if (code == ERR_OK)
        code = heads_recall_for(txn, record, &briefing->event, err);
    *found = code == ERR_OK;
    return code;
}

static enum err_code brief(struct store_txn *txn, struct put *put, struct record *record, struct err *err)
{
    bool found;
    enum err_code code = find_first(txn, put, record, &found, err);
    if (code != ERR_OK || !found)
        return code;
    record_copy(&put->briefing->record, record);
    put->receipt.briefing = put->briefing;
    return ERR_OK;
}

static enum err_code put_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct put *put = arg;
    put->receipt = (struct receipt){0};
    struct record record;
    record_init(&record);
    enum err_code code = salvage_get_record(txn, &put->events[0].key, &record, &put->salvaged, err);
    if (code == ERR_OK || code == ERR_NOT_FOUND)
        code = add_events(txn, put, &record, err);
    if (code == ERR_OK && !put->receipt.duplicate)
        take_claim(put, &record);
    if (code == ERR_OK && (put->salvaged || !put->receipt.duplicate))
        code = table_put_record(txn, &record, err);
    if (code == ERR_OK && put->briefing != NULL && put->receipt.claimed)
        code = brief(txn, put, &record, err);
    record_release(&record);
    return code;
}

static enum err_code run(struct put *put, struct receipt *out, struct err *err)
{
    struct gate *gate = put->gate;
    if (put->may_claim)
        put->claim = claims_new(gate->claims);
    enum err_code code = store_txn(gate->store, put_body, put, err);
    if (put->may_claim && (code != ERR_OK || !put->receipt.claimed))
        claims_forget(gate->claims, &put->claim);
    if (code != ERR_OK)
        return err_wrap(err, "storing the delivery");
    if (put->salvaged)
        salvage_tell(gate->metrics, &put->events[0].key);
    if (put->receipt.claimed && put->taken_over)
        metrics_add(gate->metrics, METRIC_CLAIMS_TAKEN_OVER);
    *out = put->receipt;
    return ERR_OK;
}

enum err_code inbox_put_all(struct gate *gate, const struct event *events, size_t count, bool may_claim,
                            struct receipt *out, struct err *err)
{
    struct put put = {.gate = gate, .events = events, .count = count, .may_claim = may_claim};
    return run(&put, out, err);
}

enum err_code inbox_put(struct gate *gate, const struct event *event, bool may_claim, struct receipt *out,
                        struct err *err)
{
    return inbox_put_all(gate, event, 1, may_claim, out, err);
}

enum err_code inbox_take(struct gate *gate, const struct event *event, bool may_claim, struct receipt *out,
                         struct err *err)
{
    struct put put = {.gate = gate, .events = event, .count = 1, .may_claim = may_claim};
    if (may_claim) {
        put.briefing = mem_alloc(sizeof *put.briefing);
        record_init(&put.briefing->record);
    }
    enum err_code code = run(&put, out, err);
    if (code != ERR_OK || out->briefing == NULL)
        briefing_free(put.briefing);
    return code;
}
