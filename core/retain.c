#include "prgate/retain.h"

#include <string.h>

#include "prgate/budget.h"
#include "prgate/clock.h"
#include "prgate/codec.h"
#include "prgate/log.h"
#include "prgate/tables.h"
#include "prgate/text.h"
#include "prgate/tree.h"

enum {
    BATCH = 100, /* entries looked at in one transaction */
    KEY_HEX_SIZE = 1024,
    LONGEST_MS = 250 /* the thread that calls has other work to do */
};

static const int64_t hour_ms = INT64_C(3600) * 1000;
static const int64_t day_ms = INT64_C(86400) * 1000;

/* In the order of the walk: what a pull request waits for before it may go comes before it. */
static const enum store_table phases[] = {TABLE_SEEN,  TABLE_LEDGER, TABLE_DEAD,
                                          TABLE_TRUST, TABLE_BUDGET, TABLE_PR};
enum { PHASES = sizeof phases / sizeof *phases };

struct batch {
    struct gate *gate;
    int64_t now_ms;

    /* Where the walk stands: the row in the store. */
    unsigned phase;
    struct buf key; /* the first that was not looked at */
    int64_t due_ms;

    bool resting;
    unsigned looked;
    unsigned removed;
};

/* ---- where the walk stands --------------------------------------------------------- */

static const struct bytes row_key = {.data = "retain", .len = 6};

/* One that cannot be read is begun anew: looking twice is harmless. */
static enum err_code load_position(struct store_txn *txn, struct batch *batch, struct err *err)
{
    char hex[KEY_HEX_SIZE] = "";
    struct buf value;
    buf_init(&value);
    buf_clear(&batch->key);
    batch->phase = 0;
    batch->due_ms = 0;
    enum err_code code = store_get(txn, TABLE_SHARED, row_key, STORE_LOCK, &value, err);
    if (code == ERR_OK) {
        struct decoder d = decode_start(value.data, value.len);
        int64_t due_ms = decode_i64(&d);
        decode_text(&d, hex, sizeof hex);
        size_t len = strlen(hex);
        if (decode_done(&d) && len % 2 == 1 && hex[0] >= '0' && hex[0] < '0' + PHASES &&
            text_unhex(hex + 1, buf_reserve(&batch->key, len), len / 2)) {
            batch->key.len = len / 2;
            batch->phase = (unsigned)(hex[0] - '0');
            batch->due_ms = due_ms;
        }
    }
    buf_release(&value);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

static enum err_code save_position(struct store_txn *txn, const struct batch *batch, struct err *err)
{
    char hex[KEY_HEX_SIZE];
    struct buf value;
    hex[0] = (char)('0' + batch->phase);
    if (batch->key.len > (sizeof hex - 2) / 2)
        return err_set(err, ERR_CORRUPT, 0, "a key of %zu bytes", batch->key.len);
    text_hex(batch->key.data, batch->key.len, hex + 1);
    buf_init(&value);
    encode_i64(&value, batch->due_ms);
    encode_text(&value, hex);
    enum err_code code = store_put(txn, TABLE_SHARED, row_key, buf_bytes(&value), err);
    buf_release(&value);
    return code;
}

/* ---- is it old? --------------------------------------------------------------------- */

static bool is_older(const struct batch *batch, int64_t when_ms, int days)
{
    return when_ms > 0 && when_ms < batch->now_ms - days * day_ms;
}

static bool stamp_is_older(const struct batch *batch, const struct buf *value, int days)
{
    struct decoder d = decode_start(value->data, value->len);
    int64_t when_ms = decode_i64(&d);
    return !d.failed && is_older(batch, when_ms, days);
}

/* What was triggered stays as long as the pull request: a damaged record is made anew from it (salvage.h). */
static bool ledger_is_older(const struct batch *batch, const struct buf *value, int days)
{
    cJSON *entry = tree_parse((const char *)value->data, value->len, NULL);
    const cJSON *time = cJSON_GetObjectItemCaseSensitive(entry, "time");
    const char *action = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "action"));
    bool trigger = action != NULL && strcmp(action, intent_kind_name(INTENT_TRIGGER)) == 0;
    bool older = !trigger && cJSON_IsNumber(time) && is_older(batch, text_int64(time->valuedouble), days);
    tree_free(entry);
    return older;
}

static bool letter_is_older(const struct batch *batch, const struct buf *value, int days)
{
    struct dead_letter letter;
    struct err err;
    return dead_letter_decode(&letter, value->data, value->len, &err) == ERR_OK &&
           is_older(batch, letter.died_ms, days);
}

/* Closed, and for so long that nothing has come in or been asked since. */
static bool record_is_older(const struct batch *batch, const struct record *record, int days)
{
    int64_t last_ms = record->view.updated_at * 1000;
    if (record->read_ms > last_ms)
        last_ms = record->read_ms;
    return record->view.closed && is_older(batch, last_ms, days) &&
           claims_is_free(batch->gate->claims, &record->claim);
}

/* ---- a pull request as a whole -------------------------------------------------------- */

static enum err_code has_entry(struct store_txn *txn, enum store_table table, struct bytes pr, bool *has,
                               struct err *err)
{
    struct buf key;
    buf_init(&key);
    buf_add(&key, pr.data, pr.len);
    enum err_code code = store_next(txn, table, pr, &key, NULL, err);
    *has = *has || code == ERR_OK;
    buf_release(&key);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

/* These go first, over several batches if there are many; a crash in between leaves the rest with the record. */
static enum err_code drop_all(struct store_txn *txn, struct batch *batch, enum store_table table,
                              struct bytes pr, struct err *err)
{
    struct buf key;
    enum err_code code = ERR_OK;
    buf_init(&key);
    buf_add(&key, pr.data, pr.len);
    while (batch->looked < BATCH && (code = store_next(txn, table, pr, &key, NULL, err)) == ERR_OK) {
        code = store_delete(txn, table, buf_bytes(&key), err);
        if (code != ERR_OK)
            break;
        batch->looked++;
        batch->removed++;
    }
    buf_release(&key);
    return code; /* ERR_NOT_FOUND: none is left */
}

/* *stay: it is to be gone on with. The record is taken exclusively, so that nothing comes in meanwhile. */
static enum err_code look_at_pull(struct store_txn *txn, struct batch *batch, struct bytes key, bool *stay,
                                  struct err *err)
{
    static const enum store_table rest[] = {TABLE_INBOX, TABLE_INTENT, TABLE_DEAD, TABLE_SEEN};
    struct decoder d = decode_start(key.data, key.len);
    struct pr_key pr;
    struct record record;
    record_init(&record);
    decode_pr_key(&d, &pr);
    if (!decode_done(&d))
        return ERR_OK;
    enum err_code code = table_get_record(txn, &pr, STORE_LOCK, &record, err);
    bool old = code == ERR_OK && record_is_older(batch, &record, batch->gate->config->keep_closed_days);
    record_release(&record);
    if (code == ERR_CORRUPT || code == ERR_NOT_FOUND || (code == ERR_OK && !old))
        return ERR_OK;
    bool needed = false;
    for (size_t i = 0; i < sizeof rest / sizeof *rest && code == ERR_OK; i++)
        code = has_entry(txn, rest[i], key, &needed, err);
    if (code != ERR_OK || needed)
        return code;
    code = drop_all(txn, batch, TABLE_LEDGER, key, err);
    if (code == ERR_NOT_FOUND)
        code = drop_all(txn, batch, TABLE_HEAD, key, err);
    *stay = code == ERR_OK;
    if (code != ERR_NOT_FOUND)
        return code;
    batch->removed++;
    return store_delete(txn, TABLE_PR, key, err);
}

/* Cheap and without a lock: most are open, or not old. */
static bool may_be_old_pull(const struct batch *batch, const struct buf *value)
{
    struct record record;
    struct err err;
    record_init(&record);
    bool old = record_decode(&record, value->data, value->len, &err) == ERR_OK &&
               record_is_older(batch, &record, batch->gate->config->keep_closed_days);
    record_release(&record);
    return old;
}

/* ---- one batch -------------------------------------------------------------------------- */

static bool entry_is_old(const struct batch *batch, enum store_table table, const struct buf *value)
{
    enum { ANSWERS_DAYS = 2 }; /* the longest trust_ttl is one */
    const struct config *config = batch->gate->config;
    switch (table) {
    case TABLE_SEEN:
        return stamp_is_older(batch, value, config->keep_seen_days);
    case TABLE_LEDGER:
        return ledger_is_older(batch, value, config->keep_ledger_days);
    case TABLE_DEAD:
        return letter_is_older(batch, value, config->keep_ledger_days);
    case TABLE_TRUST:
        return stamp_is_older(batch, value, ANSWERS_DAYS);
    case TABLE_BUDGET:
        return budget_entry_is_stale(buf_bytes(&batch->key), buf_bytes(value), batch->now_ms);
    case TABLE_PR:
        return may_be_old_pull(batch, value);
    case TABLE_INBOX:
    case TABLE_INTENT:
    case TABLE_NAME:
    case TABLE_SHARED:
    case TABLE_QUARANTINE:
    case TABLE_HEAD:
    case TABLE_END:
        break;
    }
    return false;
}

static enum err_code look_at_entries(struct store_txn *txn, struct batch *batch, struct err *err)
{
    enum store_table table = phases[batch->phase];
    struct buf value;
    bool stay = false;
    enum err_code code = ERR_OK;
    buf_init(&value);
    while (batch->looked < BATCH && !stay) {
        code = store_next(txn, table, (struct bytes){0}, &batch->key, &value, err);
        if (code != ERR_OK)
            break;
        batch->looked++;
        if (entry_is_old(batch, table, &value)) {
            code = table == TABLE_PR ? look_at_pull(txn, batch, buf_bytes(&batch->key), &stay, err)
                                     : store_delete(txn, table, buf_bytes(&batch->key), err);
            batch->removed += code == ERR_OK && table != TABLE_PR;
        }
        if (code != ERR_OK)
            break;
        if (!stay)
            buf_addc(&batch->key, '\0');
    }
    buf_release(&value);
    return code;
}

static enum err_code batch_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct batch *batch = arg;
    batch->looked = batch->removed = 0;
    batch->now_ms = clock_now_ms();
    enum err_code code = load_position(txn, batch, err);
    if (code != ERR_OK)
        return code;
    /* A clock that was set back must not put it off for ever. */
    batch->resting = batch->due_ms > batch->now_ms && batch->due_ms <= batch->now_ms + hour_ms;
    if (batch->resting)
        return ERR_OK;
    code = look_at_entries(txn, batch, err);
    if (code == ERR_NOT_FOUND) { /* the end of the table */
        buf_clear(&batch->key);
        batch->phase = (batch->phase + 1) % PHASES;
        batch->due_ms = batch->phase == 0 ? batch->now_ms + hour_ms : 0;
        code = ERR_OK;
    }
    return code == ERR_OK ? save_position(txn, batch, err) : code;
}

unsigned retain_run(struct gate *gate, unsigned batches)
{
    struct batch batch = {.gate = gate};
    struct err err = {0};
    unsigned removed = 0;
    int64_t start_ms = clock_now_ms();
    buf_init(&batch.key);
    for (unsigned i = 0; i < batches && !atomic_load(&gate->stopping); i++) {
        if (store_txn(gate->store, batch_body, &batch, &err) != ERR_OK) {
            log_warning("old entries were not removed", LOG_STR("error", err.text));
            break;
        }
        removed += batch.removed;
        int64_t taken_ms = clock_now_ms() - start_ms;
        if (batch.resting || taken_ms < 0 || taken_ms > LONGEST_MS)
            break;
    }
    buf_release(&batch.key);
    if (removed > 0)
        log_debug("old entries removed", LOG_INT("count", removed));
    return removed;
}
