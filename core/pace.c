#include "prgate/pace.h"

#include <stdio.h>
#include <string.h>

#include "prgate/clock.h"
#include "prgate/codec.h"
#include "prgate/log.h"
#include "prgate/text.h"

enum {
    PACE_VERSION = 2,
    NAME_SIZE = 32,
    ROW_HEX_SIZE = 2 * (2 * PACE_CURSOR_SIZE + 80) + 1,
    RETRY_FIRST_MS = 15000,
    RETRY_DOUBLINGS = 8,
    BEGUN_MS = 60000,  /* for so long who follows waits for its end */
    EFFECT_MS = 30000, /* and so long for what comes of it */
};

struct row {
    struct process_id holder; /* all zero: nobody is at it */
    struct process_id member; /* a process of the pool, alive when it was last looked at */
    int64_t taken_ms;         /* when the holder began */
    int64_t effect_ms;        /* when something last came of it; 0: never */
    int64_t done_ms;          /* when it was last done; 0: never, or it is due at once */
    int64_t failed_ms;        /* when it last failed */
    uint32_t failures;        /* in a row */
    char cursor[PACE_CURSOR_SIZE];
    char begun[PACE_CURSOR_SIZE]; /* the cursor at which the round began */
    bool anew;                    /* the pool has started since a turn was last taken */
};

struct visit {
    struct gate *gate;
    const char *name;
    char key[NAME_SIZE];
    struct row row;
    bool changed;
    bool taken;

    bool starting;
    int interval_s;
    bool settled;
    enum pace_result result;
    const char *cursor;
    const char *begun;
    bool refused; /* the note */
};

static bool is_set(const struct process_id *id)
{
    static const struct process_id none = {{0}};
    return memcmp(id, &none, sizeof none) != 0;
}

static bool is_self(const struct visit *visit, const struct process_id *id)
{
    return memcmp(id, alive_self(visit->gate->alive), sizeof *id) == 0;
}

/* ---- the row ---- */

static struct bytes row_key(const struct visit *visit)
{
    return (struct bytes){.data = visit->key, .len = strlen(visit->key)};
}

/* What rows of this table have in common is a number and a text: the rest is in that, in hexadecimal digits. */
static void encode_row(const struct row *row, struct buf *out)
{
    char hex[ROW_HEX_SIZE];
    struct buf rest;
    buf_init(&rest);
    encode_u8(&rest, PACE_VERSION);
    encode_bytes(&rest, row->holder.bytes, sizeof row->holder.bytes);
    encode_bytes(&rest, row->member.bytes, sizeof row->member.bytes);
    encode_i64(&rest, row->taken_ms);
    encode_i64(&rest, row->effect_ms);
    encode_i64(&rest, row->failed_ms);
    encode_u32(&rest, row->failures);
    encode_text(&rest, row->cursor);
    encode_text(&rest, row->begun);
    encode_bool(&rest, row->anew);
    text_hex(rest.data, rest.len, hex);
    encode_i64(out, row->done_ms);
    encode_text(out, hex);
    buf_release(&rest);
}

static bool decode_rest(const char *hex, struct row *row)
{
    unsigned char bytes[ROW_HEX_SIZE / 2];
    size_t len = strlen(hex) / 2;
    if (!text_unhex(hex, bytes, len))
        return false;
    struct decoder d = decode_start(bytes, len);
    unsigned version = decode_u8(&d);
    decode_bytes(&d, row->holder.bytes, sizeof row->holder.bytes);
    decode_bytes(&d, row->member.bytes, sizeof row->member.bytes);
    row->taken_ms = decode_i64(&d);
    row->effect_ms = decode_i64(&d);
    row->failed_ms = decode_i64(&d);
    row->failures = decode_u32(&d);
    decode_text(&d, row->cursor, sizeof row->cursor);
    if (version > 1) {
        decode_text(&d, row->begun, sizeof row->begun);
        row->anew = decode_bool(&d);
    }
    return version >= 1 && version <= PACE_VERSION && decode_done(&d);
}

/* One that is missing, or damaged, is as if the chore had never been done: at worst it is done once more. */
static enum err_code read_row(struct store_txn *txn, struct visit *visit, enum store_access access,
                              struct err *err)
{
    char hex[ROW_HEX_SIZE];
    struct buf value;
    struct row *row = &visit->row;
    buf_init(&value);
    *row = (struct row){0};
    enum err_code code = store_get(txn, TABLE_SHARED, row_key(visit), access, &value, err);
    if (code == ERR_OK) {
        struct decoder d = decode_start(value.data, value.len);
        row->done_ms = decode_i64(&d);
        decode_text(&d, hex, sizeof hex);
        if (!decode_done(&d) || !decode_rest(hex, row))
            *row = (struct row){0};
    }
    buf_release(&value);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

static enum err_code write_row(struct store_txn *txn, const struct visit *visit, struct err *err)
{
    struct buf value;
    buf_init(&value);
    encode_row(&visit->row, &value);
    enum err_code code = store_put(txn, TABLE_SHARED, row_key(visit), buf_bytes(&value), err);
    buf_release(&value);
    return code;
}

/* ---- what is done to it; each sets visit->changed where the row is to be written ---- */

static void make_due(struct row *row)
{
    row->done_ms = 0;
    row->failures = 0;
}

static void join(struct visit *visit)
{
    struct row *row = &visit->row;
    if (is_set(&row->member) && alive_is(visit->gate->alive, &row->member))
        return;
    row->member = *alive_self(visit->gate->alive);
    visit->changed = true;
    if (!visit->starting)
        return;
    row->anew = true;
    make_due(row);
}

/* Times of the future come from a clock that was set back. */
static bool is_over(int64_t since_ms, int64_t wait_ms, int64_t now_ms)
{
    return now_ms - since_ms >= wait_ms || since_ms > now_ms;
}

static bool is_due(const struct row *row, int interval_s, int64_t now_ms)
{
    uint32_t doublings = row->failures < RETRY_DOUBLINGS ? row->failures : RETRY_DOUBLINGS;
    if (row->failures > 0)
        return is_over(row->failed_ms, RETRY_FIRST_MS * (INT64_C(1) << (doublings - 1)), now_ms);
    return is_over(row->done_ms, interval_s * INT64_C(1000), now_ms);
}

static bool is_held(const struct visit *visit)
{
    return is_set(&visit->row.holder) && alive_is(visit->gate->alive, &visit->row.holder);
}

/* What this process holds itself was left over by an error. */
static void take(struct visit *visit)
{
    struct row *row = &visit->row;
    int64_t now_ms = clock_now_ms();
    bool free = !is_held(visit) || is_self(visit, &row->holder);
    visit->taken = visit->changed = free && is_due(row, visit->interval_s, now_ms);
    if (!visit->taken)
        return;
    row->holder = *alive_self(visit->gate->alive);
    row->taken_ms = now_ms;
    if (row->anew)
        text_copy(row->begun, sizeof row->begun, row->cursor);
    row->anew = false;
}

static void look(struct visit *visit)
{
    const struct row *row = &visit->row;
    int64_t now_ms = clock_now_ms();
    bool begun = is_held(visit) && !is_over(row->taken_ms, BEGUN_MS, now_ms);
    bool due = !is_held(visit) && is_due(row, visit->interval_s, now_ms);
    visit->settled = !begun && !due && is_over(row->effect_ms, EFFECT_MS, now_ms);
}

static void note(struct visit *visit)
{
    struct row *row = &visit->row;
    visit->refused = row->anew;
    visit->changed = is_self(visit, &row->holder) && !visit->refused;
    text_copy(row->cursor, sizeof row->cursor, visit->cursor);
    text_copy(row->begun, sizeof row->begun, visit->begun);
}

static void end(struct visit *visit)
{
    struct row *row = &visit->row;
    int64_t now_ms = clock_now_ms();
    visit->changed = is_self(visit, &row->holder);
    row->holder = (struct process_id){{0}};
    switch (visit->result) {
    case PACE_EFFECT:
        row->effect_ms = now_ms;
        row->done_ms = now_ms;
        row->failures = 0;
        break;
    case PACE_DONE:
        row->done_ms = now_ms;
        row->failures = 0;
        break;
    case PACE_FAILED:
        row->failed_ms = now_ms;
        row->failures++;
        break;
    }
    if (row->anew)
        make_due(row);
}

/* ---- transactions ---- */

struct work {
    struct visit *visit;
    void (*change)(struct visit *visit);
    enum store_access access;
};

static enum err_code body(struct store_txn *txn, void *arg, struct err *err)
{
    struct work *work = arg;
    struct visit *visit = work->visit;
    visit->changed = visit->taken = false;
    enum err_code code = read_row(txn, visit, work->access, err);
    if (code != ERR_OK)
        return code;
    work->change(visit);
    return visit->changed && work->access == STORE_LOCK ? write_row(txn, visit, err) : ERR_OK;
}

/* Most looks change nothing: only one that would is made again, exclusively. */
static bool visit_row(struct visit *visit, void (*change)(struct visit *visit))
{
    struct err err = {0};
    struct work look = {.visit = visit, .change = change, .access = STORE_READ};
    struct work write = {.visit = visit, .change = change, .access = STORE_LOCK};
    snprintf(visit->key, sizeof visit->key, "pace/%s", visit->name);
    enum err_code code = store_txn(visit->gate->store, body, &look, &err);
    if (code == ERR_OK && visit->changed)
        code = store_txn(visit->gate->store, body, &write, &err);
    if (code != ERR_OK)
        log_warning("the pool's pace cannot be kept", LOG_STR("chore", visit->name),
                    LOG_STR("error", err.text));
    return code == ERR_OK;
}

void pace_join(struct gate *gate, const char *name, bool starting)
{
    struct visit visit = {.gate = gate, .name = name, .starting = starting};
    visit_row(&visit, join);
}

bool pace_take(struct gate *gate, const char *name, int interval_s, struct turn *out)
{
    struct visit visit = {.gate = gate, .name = name, .interval_s = interval_s};
    if (!visit_row(&visit, take) || !visit.taken)
        return false;
    *out = (struct turn){.name = name};
    text_copy(out->cursor, sizeof out->cursor, visit.row.cursor);
    text_copy(out->begun, sizeof out->begun, visit.row.begun);
    return true;
}

bool pace_note(struct gate *gate, struct turn *turn, const char *cursor)
{
    struct visit visit = {.gate = gate, .name = turn->name, .cursor = cursor, .begun = turn->begun};
    text_copy(turn->cursor, sizeof turn->cursor, cursor);
    visit_row(&visit, note);
    return !visit.refused;
}

void pace_end(struct gate *gate, struct turn *turn, enum pace_result result)
{
    struct visit visit = {.gate = gate, .name = turn->name, .result = result};
    visit_row(&visit, end);
}

bool pace_is_settled(struct gate *gate, const char *name, int interval_s)
{
    struct visit visit = {.gate = gate, .name = name, .interval_s = interval_s};
    return visit_row(&visit, look) && visit.settled;
}
