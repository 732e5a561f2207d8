/*
 * The table's rows, by key:
 *
 *     author/REPOSITORY/USER          a line: starts within the hour, and who waits, first come first
 *     repo/REPOSITORY                 the same
 *     wake/TIME/REPOSITORY/NUMBER     to be woken then
 *
 * A pull request has a wake row as long as its head says until when it waits (head.budget_until_ms), under that time.
 */
#include "prgate/budget.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/codec.h"
#include "prgate/log.h"
#include "prgate/tables.h"

enum { BUDGET_VERSION = 1, WAITING_MAX = 1000, KEY_TEXT_SIZE = 96 };

static const int64_t hour_ms = INT64_C(3600) * 1000;
static const char wake_prefix[] = "wake/";

/* ---- a line ------------------------------------------------------------------- */

struct place {
    uint64_t number; /* of the pull request */
    int64_t until_ms;
};

struct line {
    int64_t starts[CONFIG_BUDGET_MAX]; /* oldest first */
    size_t start_count;
    struct place waiting[WAITING_MAX]; /* first come first */
    size_t waiting_count;
};

static void encode_line(const struct line *line, struct buf *out)
{
    encode_u8(out, BUDGET_VERSION);
    encode_u32(out, (uint32_t)line->start_count);
    for (size_t i = 0; i < line->start_count; i++)
        encode_i64(out, line->starts[i]);
    encode_u32(out, (uint32_t)line->waiting_count);
    for (size_t i = 0; i < line->waiting_count; i++) {
        encode_u64(out, line->waiting[i].number);
        encode_i64(out, line->waiting[i].until_ms);
    }
}

static bool decode_line(struct bytes value, struct line *line)
{
    struct decoder d = decode_start(value.data, value.len);
    if (decode_u8(&d) != BUDGET_VERSION)
        return false;
    line->start_count = decode_u32(&d);
    if (line->start_count > CONFIG_BUDGET_MAX)
        return false;
    for (size_t i = 0; i < line->start_count; i++)
        line->starts[i] = decode_i64(&d);
    line->waiting_count = decode_u32(&d);
    if (line->waiting_count > WAITING_MAX)
        return false;
    for (size_t i = 0; i < line->waiting_count; i++) {
        line->waiting[i].number = decode_u64(&d);
        line->waiting[i].until_ms = decode_i64(&d);
    }
    return decode_done(&d);
}

/* Starts that are an hour old, and who did not come. What lies in the future is of a clock that was set back. */
static void prune(struct line *line, int64_t now_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < line->start_count; i++)
        if (line->starts[i] + hour_ms > now_ms && line->starts[i] <= now_ms + hour_ms)
            line->starts[kept++] = line->starts[i];
    line->start_count = kept;
    kept = 0;
    for (size_t i = 0; i < line->waiting_count; i++)
        if (line->waiting[i].until_ms + hour_ms > now_ms)
            line->waiting[kept++] = line->waiting[i];
    line->waiting_count = kept;
}

/* waiting_count: it has no place. */
static size_t find_place(const struct line *line, uint64_t number)
{
    size_t i = 0;
    while (i < line->waiting_count && line->waiting[i].number != number)
        i++;
    return i;
}

/* False: it had no place. */
static bool leave_line(struct line *line, uint64_t number)
{
    size_t i = find_place(line, number);
    if (i == line->waiting_count)
        return false;
    line->waiting_count--;
    memmove(&line->waiting[i], &line->waiting[i + 1], (line->waiting_count - i) * sizeof *line->waiting);
    return true;
}

/* In a line that is full it has no place: it is told the time behind the last, and asks again then. */
static void stand_in_line(struct line *line, uint64_t number, int64_t until_ms)
{
    size_t i = find_place(line, number);
    if (i == line->waiting_count && line->waiting_count == WAITING_MAX)
        return;
    if (i == line->waiting_count)
        line->waiting_count++;
    line->waiting[i] = (struct place){.number = number, .until_ms = until_ms};
}

static void add_start(struct line *line, int64_t now_ms)
{
    if (line->start_count == CONFIG_BUDGET_MAX) /* more than any budget allows: the oldest matters least */
        memmove(line->starts, line->starts + 1, --line->start_count * sizeof *line->starts);
    size_t at = line->start_count++;
    for (; at > 0 && line->starts[at - 1] > now_ms; at--)
        line->starts[at] = line->starts[at - 1];
    line->starts[at] = now_ms;
}

/*
 * When that pull request may start, if all in front of it start as soon as they may: each an hour after the one that
 * is `limit` before it.
 */
static int64_t turn_of(const struct line *line, size_t limit, uint64_t number, int64_t now_ms)
{
    size_t ahead = find_place(line, number), count = line->start_count;
    int64_t *taken = mem_alloc((count + ahead + 1) * sizeof *taken);
    int64_t at = now_ms;
    if (count > 0)
        memcpy(taken, line->starts, count * sizeof *taken);
    for (size_t i = 0; i <= ahead; i++) {
        if (count >= limit && taken[count - limit] + hour_ms > at)
            at = taken[count - limit] + hour_ms;
        taken[count++] = at;
    }
    free(taken);
    return at;
}

/* ---- in the store -------------------------------------------------------------- */

enum line_kind { LINE_AUTHOR, LINE_REPO, LINE_KIND_END };

/* Both lines that a pull request may stand in, held exclusively once they are loaded. */
struct lines {
    const struct budget_case *what;
    struct line line[LINE_KIND_END];
    bool loaded[LINE_KIND_END];
};

static uint32_t limit_of(const struct budget_case *what, enum line_kind kind)
{
    return (uint32_t)(kind == LINE_AUTHOR ? what->policy->author_triggers_per_hour
                                          : what->policy->repo_triggers_per_hour);
}

static struct bytes line_key(const struct budget_case *what, enum line_kind kind, char out[KEY_TEXT_SIZE])
{
    const struct record *record = what->record;
    if (kind == LINE_AUTHOR)
        snprintf(out, KEY_TEXT_SIZE, "author/%" PRIu64 "/%" PRIu64, record->key.repo_id,
                 record->view.author.id);
    else
        snprintf(out, KEY_TEXT_SIZE, "repo/%" PRIu64, record->key.repo_id);
    return (struct bytes){.data = out, .len = strlen(out)};
}

/* One that cannot be read counts as empty: a budget that is overdrawn once does less harm than one that never opens. */
static enum err_code load_line(struct store_txn *txn, struct lines *lines, enum line_kind kind,
                               struct err *err)
{
    char text[KEY_TEXT_SIZE];
    struct bytes key = line_key(lines->what, kind, text);
    struct line *line = &lines->line[kind];
    struct buf value;
    if (lines->loaded[kind])
        return ERR_OK;
    buf_init(&value);
    line->start_count = line->waiting_count = 0;
    enum err_code code = store_get(txn, TABLE_BUDGET, key, STORE_LOCK, &value, err);
    if (code == ERR_OK && !decode_line(buf_bytes(&value), line)) {
        log_error("a stored budget cannot be decoded: moved to quarantine, and begun anew",
                  LOG_STR("key", text));
        line->start_count = line->waiting_count = 0;
        code = table_quarantine_key(txn, TABLE_BUDGET, key, err);
    }
    buf_release(&value);
    prune(line, lines->what->now_ms);
    lines->loaded[kind] = code == ERR_OK || code == ERR_NOT_FOUND;
    return lines->loaded[kind] ? ERR_OK : code;
}

static enum err_code save_line(struct store_txn *txn, const struct lines *lines, enum line_kind kind,
                               struct err *err)
{
    char text[KEY_TEXT_SIZE];
    struct buf value;
    buf_init(&value);
    encode_line(&lines->line[kind], &value);
    enum err_code code =
        store_put(txn, TABLE_BUDGET, line_key(lines->what, kind, text), buf_bytes(&value), err);
    buf_release(&value);
    return code;
}

/* ---- whose turn is when ----------------------------------------------------------- */

static uint64_t number_of(const struct lines *lines)
{
    return lines->what->record->key.number;
}

/* *until_ms is 0 if it is now. *blocker is the line to stand in otherwise. */
static enum err_code find_turn(struct store_txn *txn, struct lines *lines, int64_t *until_ms,
                               enum line_kind *blocker, struct err *err)
{
    int64_t now_ms = lines->what->now_ms;
    *until_ms = 0;
    for (enum line_kind kind = LINE_AUTHOR; kind < LINE_KIND_END; kind++) {
        uint32_t limit = limit_of(lines->what, kind);
        if (limit == 0)
            continue;
        enum err_code code = load_line(txn, lines, kind, err);
        if (code != ERR_OK)
            return code;
        int64_t turn = turn_of(&lines->line[kind], limit, number_of(lines), now_ms);
        *blocker = kind;
        if (turn > now_ms) {
            *until_ms = turn;
            return ERR_OK;
        }
    }
    return ERR_OK;
}

/* What has come of it, for the lines. */
struct outcome {
    unsigned starts;
    int64_t until_ms; /* it waits for its turn; 0 = it does not */
    enum line_kind blocker;
    bool waited; /* it may have a place to give up */
};

/* A line that is not configured any more still has the places of those that stood in it. */
static enum err_code settle_lines(struct store_txn *txn, struct lines *lines, const struct outcome *outcome,
                                  struct err *err)
{
    enum err_code code = ERR_OK;
    for (enum line_kind kind = LINE_AUTHOR; kind < LINE_KIND_END && code == ERR_OK; kind++) {
        bool counts = limit_of(lines->what, kind) > 0;
        bool stands = outcome->until_ms != 0 && kind <= outcome->blocker && counts;
        bool changed = stands || (counts && outcome->starts > 0);
        if (!outcome->waited && !changed)
            continue;
        code = load_line(txn, lines, kind, err);
        if (code != ERR_OK)
            return code;
        if (stands)
            stand_in_line(&lines->line[kind], number_of(lines), outcome->until_ms);
        else if (leave_line(&lines->line[kind], number_of(lines)))
            changed = true;
        for (unsigned i = 0; i < outcome->starts && counts; i++)
            add_start(&lines->line[kind], lines->what->now_ms);
        code = changed ? save_line(txn, lines, kind, err) : ERR_OK;
    }
    return code;
}

/* ---- waking ----------------------------------------------------------------------- */

static struct bytes wake_key(const struct budget_wake *wake, char out[KEY_TEXT_SIZE])
{
    snprintf(out, KEY_TEXT_SIZE, "%s%019" PRId64 "/%020" PRIu64 "/%020" PRIu64, wake_prefix, wake->at_ms,
             wake->pr.repo_id, wake->pr.number);
    return (struct bytes){.data = out, .len = strlen(out)};
}

static bool decode_wake(struct bytes value, struct budget_wake *wake)
{
    struct decoder d = decode_start(value.data, value.len);
    bool known = decode_u8(&d) == BUDGET_VERSION;
    wake->at_ms = decode_i64(&d);
    decode_pr_key(&d, &wake->pr);
    wake->author_limit = decode_u32(&d);
    wake->repo_limit = decode_u32(&d);
    decode_text(&d, wake->repo, sizeof wake->repo);
    return decode_done(&d) && known;
}

static enum err_code put_wake(struct store_txn *txn, const struct budget_wake *wake, struct err *err)
{
    char text[KEY_TEXT_SIZE];
    struct buf value;
    buf_init(&value);
    encode_u8(&value, BUDGET_VERSION);
    encode_i64(&value, wake->at_ms);
    encode_pr_key(&value, &wake->pr);
    encode_u32(&value, wake->author_limit);
    encode_u32(&value, wake->repo_limit);
    encode_text(&value, wake->repo);
    enum err_code code = store_put(txn, TABLE_BUDGET, wake_key(wake, text), buf_bytes(&value), err);
    buf_release(&value);
    return code;
}

enum err_code budget_drop_wake(struct store_txn *txn, const struct budget_wake *wake, struct err *err)
{
    char text[KEY_TEXT_SIZE];
    enum err_code code = store_delete(txn, TABLE_BUDGET, wake_key(wake, text), err);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

enum err_code budget_next_wake(struct store_txn *txn, struct budget_wake *wake, struct err *err)
{
    char text[KEY_TEXT_SIZE];
    struct bytes prefix = {.data = wake_prefix, .len = sizeof wake_prefix - 1};
    struct bytes from = wake_key(wake, text);
    struct buf key, value;
    enum err_code code;
    buf_init(&key);
    buf_init(&value);
    if (wake->at_ms == 0) {
        buf_adds(&key, wake_prefix);
    } else {
        buf_add(&key, from.data, from.len);
        buf_addc(&key, '\0');
    }
    while ((code = store_next(txn, TABLE_BUDGET, prefix, &key, &value, err)) == ERR_OK &&
           !decode_wake(buf_bytes(&value), wake)) {
        log_error("a stored time to wake a pull request cannot be decoded: moved to quarantine",
                  LOG_STR("key", buf_text(&key)));
        code = table_quarantine_key(txn, TABLE_BUDGET, buf_bytes(&key), err);
        if (code != ERR_OK)
            break;
        buf_addc(&key, '\0');
    }
    buf_release(&key);
    buf_release(&value);
    return code;
}

/* As the head says it: under the old time no more, under the new one with the budgets of now. */
static enum err_code settle_wake(struct store_txn *txn, const struct budget_case *what, int64_t before_ms,
                                 int64_t until_ms, struct err *err)
{
    struct budget_wake wake = {.at_ms = before_ms,
                               .pr = what->record->key,
                               .author_limit = limit_of(what, LINE_AUTHOR),
                               .repo_limit = limit_of(what, LINE_REPO)};
    enum err_code code = ERR_OK;
    if (before_ms != 0 && before_ms != until_ms)
        code = budget_drop_wake(txn, &wake, err);
    if (code != ERR_OK || until_ms == 0)
        return code;
    wake.at_ms = until_ms;
    memcpy(wake.repo, what->record->repo, sizeof wake.repo);
    return put_wake(txn, &wake, err);
}

/* ---- deciding --------------------------------------------------------------------- */

/* Of a pull request that waits for its turn; 0 = it does not. */
static int64_t waits_until(const struct record *record)
{
    for (size_t i = 0; i < record->head_count; i++)
        if (record->heads[i].budget_until_ms != 0 && !head_is_triggered(&record->heads[i]))
            return record->heads[i].budget_until_ms;
    return 0;
}

static unsigned count_starts(const struct decision *decision)
{
    unsigned count = 0;
    for (unsigned i = 0; i < decision->intent_count; i++)
        count += decision->intents[i].kind == INTENT_TRIGGER;
    return count;
}

static void decide_once(const struct budget_case *what)
{
    record_reserve_head(what->record);
    decide(what->record, what->event, what->facts, what->now_ms, what->decision);
}

/*
 * Whether it starts anything is known once it is decided: only then are the counts looked at, which all pull requests
 * of the repository meet at. If its turn has not come, it is decided once more, with that fact.
 */
static enum err_code decide_in_line(struct store_txn *txn, struct lines *lines, const struct record *before,
                                    struct err *err)
{
    const struct budget_case *what = lines->what;
    struct outcome outcome = {.waited = waits_until(before) != 0};
    int64_t turn_ms = 0;
    decide_once(what);
    if (what->decision->rule == RULE_LATER)
        return ERR_OK;
    if (count_starts(what->decision) > 0) {
        enum err_code code = find_turn(txn, lines, &turn_ms, &outcome.blocker, err);
        if (code != ERR_OK)
            return code;
    }
    if (turn_ms != 0) {
        what->facts->budget_until_ms = turn_ms;
        record_copy(what->record, before);
        decide_once(what);
    }
    outcome.starts = count_starts(what->decision);
    outcome.until_ms = waits_until(what->record);
    enum err_code code = settle_lines(txn, lines, &outcome, err);
    return code == ERR_OK ? settle_wake(txn, what, waits_until(before), outcome.until_ms, err) : code;
}

enum err_code budget_decide(struct store_txn *txn, const struct budget_case *what, struct err *err)
{
    bool limited = limit_of(what, LINE_AUTHOR) > 0 || limit_of(what, LINE_REPO) > 0;
    what->facts->budget_until_ms = 0;
    if (!limited && waits_until(what->record) == 0) {
        decide_once(what);
        return ERR_OK;
    }
    struct record before;
    struct lines *lines = mem_alloc(sizeof *lines);
    lines->what = what;
    memset(lines->loaded, 0, sizeof lines->loaded);
    record_init(&before);
    record_copy(&before, what->record);
    enum err_code code = decide_in_line(txn, lines, &before, err);
    record_release(&before);
    free(lines);
    return code;
}

/* ---- for people --------------------------------------------------------------------- */

enum err_code budget_used(struct store_txn *txn, uint64_t repo_id, int64_t now_ms, size_t *out,
                          struct err *err)
{
    char text[KEY_TEXT_SIZE];
    struct line *line = mem_alloc(sizeof *line);
    struct buf value;
    buf_init(&value);
    *out = 0;
    snprintf(text, sizeof text, "repo/%" PRIu64, repo_id);
    enum err_code code = store_get(txn, TABLE_BUDGET, (struct bytes){.data = text, .len = strlen(text)},
                                   STORE_READ, &value, err);
    if (code == ERR_OK && decode_line(buf_bytes(&value), line)) {
        prune(line, now_ms);
        *out = line->start_count;
    }
    buf_release(&value);
    free(line);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

enum { WAKES_EACH = 256 };

struct count {
    struct budget_wake from, at; /* before the batch, and behind it */
    size_t count;                /* of the batch */
    bool is_over;
};

static enum err_code count_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct count *count = arg;
    enum err_code code = ERR_OK;
    store_need_not_wait(txn); /* numbers to look at */
    count->at = count->from;
    for (count->count = 0; count->count < WAKES_EACH; count->count++)
        if ((code = budget_next_wake(txn, &count->at, err)) != ERR_OK)
            break;
    count->is_over = code == ERR_NOT_FOUND;
    return count->is_over ? ERR_OK : code; /* what goes to quarantine is to be committed at the end, too */
}

enum err_code budget_count_waiting(struct store *store, size_t max, size_t *out, struct err *err)
{
    struct count count = {0};
    enum err_code code = ERR_OK;
    for (*out = 0; code == ERR_OK && !count.is_over && *out < max; count.from = count.at) {
        code = store_txn(store, count_body, &count, err);
        if (code == ERR_OK)
            *out += count.count;
    }
    if (*out > max)
        *out = max;
    return code;
}

/* ---- for the store's keepers -------------------------------------------------------- */

static bool is_wake(struct bytes key)
{
    return key.len >= sizeof wake_prefix - 1 && memcmp(key.data, wake_prefix, sizeof wake_prefix - 1) == 0;
}

static bool wake_is_sound(struct bytes key, struct bytes value)
{
    struct budget_wake wake;
    char text[KEY_TEXT_SIZE];
    if (!decode_wake(value, &wake))
        return false;
    struct bytes own = wake_key(&wake, text);
    return own.len == key.len && memcmp(own.data, key.data, key.len) == 0;
}

bool budget_entry_is_sound(struct bytes key, struct bytes value)
{
    if (is_wake(key))
        return wake_is_sound(key, value);
    struct line *line = mem_alloc(sizeof *line);
    bool sound = decode_line(value, line);
    free(line);
    return sound;
}

/* Who is to be woken is, however late. */
bool budget_entry_is_stale(struct bytes key, struct bytes value, int64_t now_ms)
{
    if (is_wake(key))
        return false;
    struct line *line = mem_alloc(sizeof *line);
    bool sound = decode_line(value, line);
    if (sound)
        prune(line, now_ms);
    bool stale = sound && line->start_count == 0 && line->waiting_count == 0;
    free(line);
    return stale;
}
