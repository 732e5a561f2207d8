#include "prgate/inbox.h"

#include <stdlib.h>
#include <string.h>

#include "prgate/heads.h"
#include "prgate/log.h"
#include "prgate/salvage.h"
#include "prgate/visible.h"

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

static enum err_code add_events(struct store_txn *txn, struct taking *taking, struct record *record,
                                struct err *err)
{
    for (size_t i = 0; i < taking->count; i++) {
        enum err_code code = add_event(txn, record, &taking->events[i], err);
        if (code == ERR_OK)
            taking->is_new = true;
        else if (code != ERR_CONFLICT)
            return code;
    }
    taking->receipt.duplicate = !taking->is_new;
    return ERR_OK;
}

static void take_claim(struct taking *taking, struct record *record)
{
    /* A closing does not wait for the failing work that it voids. */
    bool due = record->due_ms <= taking->events[0].received_ms || taking->events[0].action == EVENT_CLOSED;
    /* By an earlier run of the body, whose commit went through although it seemed not to. */
    bool has_it = taking->may_claim && claim_equal(&record->claim, &taking->claim);
    if (!has_it && (!taking->may_claim || !due || !claims_is_free(taking->gate->claims, &record->claim)))
        return;
    if (!has_it)
        taking->taken_over = record->claim.held;
    record->claim = taking->claim;
    taking->receipt.claimed = true;
    taking->receipt.claim = taking->claim;
    taking->receipt.claim.taken_over = taking->taken_over;
}

void briefing_free(struct briefing *briefing)
{
    if (briefing == NULL)
        return;
    record_release(&briefing->record);
    free(briefing);
}

/* Intents come first, and what cannot be decoded is not dealt with here: then there is none. */
static enum err_code find_first(struct store_txn *txn, struct taking *taking, struct record *record,
                                bool *found, struct err *err)
{
    struct briefing *briefing = taking->briefing;
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

static enum err_code brief(struct store_txn *txn, struct taking *taking, struct record *record,
                           struct err *err)
{
    bool found;
    enum err_code code = find_first(txn, taking, record, &found, err);
    if (code != ERR_OK || !found)
        return code;
    record_copy(&taking->briefing->record, record);
    taking->receipt.briefing = taking->briefing;
    return ERR_OK;
}

static enum err_code put_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct taking *taking = arg;
    taking->receipt = (struct receipt){0};
    struct record record;
    record_init(&record);
    enum err_code code = salvage_get_record(txn, &taking->events[0].key, &record, &taking->salvaged, err);
    if (code == ERR_OK || code == ERR_NOT_FOUND)
        code = add_events(txn, taking, &record, err);
    if (code == ERR_OK && !taking->receipt.duplicate)
        take_claim(taking, &record);
    if (code == ERR_OK && (taking->salvaged || !taking->receipt.duplicate))
        code = table_put_record(txn, &record, err);
    if (code == ERR_OK && taking->briefing != NULL && taking->receipt.claimed)
        code = brief(txn, taking, &record, err);
    record_release(&record);
    return code;
}

static void begin(struct taking *taking)
{
    if (taking->may_claim)
        taking->claim = claims_new(taking->gate->claims);
    taking->job = (struct store_job){.body = put_body, .arg = taking, .about = taking->events[0].delivery};
}

static enum err_code end(struct taking *taking, struct receipt *out, struct err *err)
{
    struct gate *gate = taking->gate;
    enum err_code code = taking->job.code;
    if (taking->may_claim && (code != ERR_OK || !taking->receipt.claimed))
        claims_forget(gate->claims, &taking->claim);
    if (code != ERR_OK) {
        *err = taking->job.err;
        return err_wrap(err, "storing the delivery");
    }
    if (taking->salvaged)
        salvage_tell(gate->metrics, &taking->events[0].key);
    if (taking->receipt.claimed && taking->taken_over)
        metrics_add(gate->metrics, METRIC_CLAIMS_TAKEN_OVER);
    *out = taking->receipt;
    return ERR_OK;
}

void inbox_run(struct taking *taking)
{
    struct store_job *job = &taking->job;
    job->code = store_txn(taking->gate->store, job->body, job->arg, &job->err);
}

enum err_code inbox_put_all(struct gate *gate, const struct event *events, size_t count, bool may_claim,
                            struct receipt *out, struct err *err)
{
    struct taking taking = {.gate = gate, .events = events, .count = count, .may_claim = may_claim};
    begin(&taking);
    inbox_run(&taking);
    return end(&taking, out, err);
}

enum err_code inbox_put(struct gate *gate, const struct event *event, bool may_claim, struct receipt *out,
                        struct err *err)
{
    return inbox_put_all(gate, event, 1, may_claim, out, err);
}

void inbox_begin(struct taking *taking, struct gate *gate, const struct event *event, bool may_claim)
{
    *taking = (struct taking){.gate = gate, .events = event, .count = 1, .may_claim = may_claim};
    if (may_claim) {
        taking->briefing = mem_alloc(sizeof *taking->briefing);
        record_init(&taking->briefing->record);
    }
    begin(taking);
}

enum err_code inbox_end(struct taking *taking, struct receipt *out, struct err *err)
{
    enum err_code code = end(taking, out, err);
    if (code != ERR_OK || out->briefing == NULL)
        briefing_free(taking->briefing);
    return code;
}
