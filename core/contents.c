#include "prgate/contents.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/budget.h"
#include "prgate/codec.h"
#include "prgate/delivery.h"
#include "prgate/heads.h"
#include "prgate/intent.h"
#include "prgate/tables.h"
#include "prgate/text.h"
#include "prgate/tree.h"

enum { BATCH = 64, TOKEN_SIZE = 1024 };

/* ---- can it be read? ------------------------------------------------------------ */

static enum err_code damaged(const struct entry *entry, const char *what, struct err *err)
{
    return err_set(err, ERR_CORRUPT, 0, "%s in table %s", what, store_table_name(entry->table));
}

static bool key_fits(const struct entry *entry, const struct pr_key *pr)
{
    struct decoder d = decode_start(entry->key.data, entry->key.len);
    struct pr_key own;
    decode_pr_key(&d, &own);
    return !d.failed && own.repo_id == pr->repo_id && own.number == pr->number;
}

static enum err_code judge_record(const struct entry *entry, struct err *err)
{
    struct record record;
    record_init(&record);
    enum err_code code = record_decode(&record, entry->value.data, entry->value.len, err);
    if (code == ERR_OK && (entry->key.len != PR_KEY_LEN || !key_fits(entry, &record.key)))
        code = damaged(entry, "a record under another one's key", err);
    record_release(&record);
    return code;
}

static enum err_code judge_event(const struct entry *entry, struct err *err)
{
    struct event event;
    enum err_code code = delivery_decode(&event, entry->value.data, entry->value.len, err);
    if (code == ERR_OK && (entry->key.len != SEQ_KEY_LEN || !key_fits(entry, &event.key)))
        code = damaged(entry, "a delivery under another pull request's key", err);
    return code;
}

static enum err_code judge_seq(const struct entry *entry, uint64_t seq, struct err *err)
{
    struct decoder d = decode_start(entry->key.data, entry->key.len);
    struct pr_key pr;
    decode_pr_key(&d, &pr);
    bool fits = decode_u64(&d) == seq && decode_done(&d);
    return fits ? ERR_OK : damaged(entry, "an entry under another one's key", err);
}

static enum err_code judge_intent(const struct entry *entry, struct err *err)
{
    struct intent intent;
    enum err_code code = intent_decode(&intent, entry->value.data, entry->value.len, err);
    return code == ERR_OK ? judge_seq(entry, intent.seq, err) : code;
}

static enum err_code judge_dead(const struct entry *entry, struct err *err)
{
    struct dead_letter letter;
    enum err_code code = dead_letter_decode(&letter, entry->value.data, entry->value.len, err);
    return code == ERR_OK ? judge_seq(entry, letter.intent.seq, err) : code;
}

static enum err_code judge_ledger(const struct entry *entry, struct err *err)
{
    cJSON *json = tree_parse((const char *)entry->value.data, entry->value.len, NULL);
    bool good = entry->key.len == SEQ_KEY_LEN && cJSON_IsObject(json);
    tree_free(json);
    return good ? ERR_OK : damaged(entry, "an entry that is not a JSON object under a sequence number", err);
}

static enum err_code judge_head(const struct entry *entry, struct err *err)
{
    struct head head;
    bool good = heads_decode(buf_bytes(&entry->value), &head);
    size_t len = strlen(head.sha.hex);
    bool fits = good && entry->key.len == PR_KEY_LEN + len &&
                memcmp(entry->key.data + PR_KEY_LEN, head.sha.hex, len) == 0;
    return fits ? ERR_OK : damaged(entry, "a commit that cannot be decoded, or under another one's key", err);
}

/* What starts with a number, or a time, of eight bytes. */
static enum err_code judge_number(const struct entry *entry, struct err *err)
{
    struct decoder d = decode_start(entry->value.data, entry->value.len);
    decode_u64(&d);
    bool shared_token = entry->table == TABLE_SHARED && entry->value.len > 8;
    struct user user;
    char token[TOKEN_SIZE];
    if (entry->table == TABLE_TRUST)
        decode_user(&d, &user);
    if (shared_token)
        decode_text(&d, token, sizeof token);
    bool key_is_right = entry->table != TABLE_SEEN || entry->key.len > PR_KEY_LEN;
    return decode_done(&d) && key_is_right ? ERR_OK : damaged(entry, "an entry that cannot be decoded", err);
}

enum err_code contents_judge(const struct entry *entry, struct err *err)
{
    switch (entry->table) {
    case TABLE_PR:
        return judge_record(entry, err);
    case TABLE_INBOX:
        return judge_event(entry, err);
    case TABLE_INTENT:
        return judge_intent(entry, err);
    case TABLE_DEAD:
        return judge_dead(entry, err);
    case TABLE_LEDGER:
        return judge_ledger(entry, err);
    case TABLE_HEAD:
        return judge_head(entry, err);
    case TABLE_BUDGET:
        return budget_entry_is_sound(buf_bytes(&entry->key), buf_bytes(&entry->value))
                   ? ERR_OK
                   : damaged(entry, "a budget that cannot be decoded", err);
    case TABLE_SEEN:
    case TABLE_NAME:
    case TABLE_TRUST:
    case TABLE_SHARED:
        return judge_number(entry, err);
    case TABLE_QUARANTINE: /* that it cannot be read is why it is there */
    case TABLE_END:
        break;
    }
    return ERR_OK;
}

static bool belongs_to_pull(enum store_table table)
{
    switch (table) {
    case TABLE_PR:
    case TABLE_INBOX:
    case TABLE_SEEN:
    case TABLE_INTENT:
    case TABLE_DEAD:
    case TABLE_LEDGER:
    case TABLE_HEAD:
        return true;
    case TABLE_NAME:
    case TABLE_TRUST:
    case TABLE_SHARED:
    case TABLE_QUARANTINE:
    case TABLE_BUDGET:
    case TABLE_END:
        break;
    }
    return false;
}

static void name_pull(const unsigned char *bytes, size_t len, struct buf *out)
{
    struct decoder d = decode_start(bytes, len);
    struct pr_key pr;
    decode_pr_key(&d, &pr);
    if (d.failed)
        buf_addf(out, "a key of %zu bytes", len);
    else
        buf_addf(out, "repository %" PRIu64 " #%" PRIu64, pr.repo_id, pr.number);
    if (!d.failed && d.left == 8)
        buf_addf(out, " %" PRIu64, decode_u64(&d));
}

void contents_name(const struct entry *entry, struct buf *out)
{
    buf_clear(out);
    const unsigned char *key = entry->key.data;
    size_t len = entry->key.len;
    if (belongs_to_pull(entry->table)) {
        name_pull(key, len, out);
        return;
    }
    /* Quarantine: the table's name, a slash, and the key that the entry had there. */
    const unsigned char *slash = len == 0 ? NULL : memchr(key, '/', len);
    if (entry->table == TABLE_QUARANTINE && slash != NULL) {
        buf_add(out, key, (size_t)(slash - key));
        buf_addc(out, ' ');
        name_pull(slash + 1, len - (size_t)(slash - key) - 1, out);
        return;
    }
    buf_add(out, key, len);
}

/* ---- walking --------------------------------------------------------------------- */

struct list {
    struct entry *entries;
    size_t count, cap;
};

static struct entry *list_add(struct list *list)
{
    size_t before = list->cap;
    list->entries = mem_room(list->entries, list->count, &list->cap, sizeof *list->entries);
    if (list->cap > before)
        memset(list->entries + before, 0, (list->cap - before) * sizeof *list->entries);
    return &list->entries[list->count++];
}

static void list_release(struct list *list)
{
    for (size_t i = 0; i < list->cap; i++) {
        buf_release(&list->entries[i].key);
        buf_release(&list->entries[i].value);
    }
    free(list->entries);
}

static void set_bytes(struct buf *to, const struct buf *from)
{
    buf_clear(to);
    buf_add(to, from->data, from->len);
}

struct step {
    enum store_table table; /* of the walk through one table */
    struct buf from;        /* the first key that is not read yet */
    struct buf prefix;      /* of the pull request that was read */
    struct list list;
};

/* A part of a table: from one key on, with one beginning, and no more than so many. */
struct span {
    const struct buf *from;
    struct bytes prefix;
    size_t limit;
};

static enum err_code read_entries(struct store_txn *txn, enum store_table table, const struct span *span,
                                  struct list *list, struct err *err)
{
    struct buf key, value;
    buf_init(&key);
    buf_init(&value);
    set_bytes(&key, span->from);
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < span->limit; i++) {
        code = store_next(txn, table, span->prefix, &key, &value, err);
        if (code != ERR_OK)
            break;
        struct entry *entry = list_add(list);
        entry->table = table;
        set_bytes(&entry->key, &key);
        set_bytes(&entry->value, &value);
        buf_addc(&key, '\0');
    }
    buf_release(&key);
    buf_release(&value);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

static bool sorts_before(const struct buf *a, const struct buf *b)
{
    size_t shorter = a->len < b->len ? a->len : b->len;
    int order = shorter == 0 ? 0 : memcmp(a->data, b->data, shorter);
    return order < 0 || (order == 0 && a->len < b->len);
}

/* The least pull request that any of the tables has from step->from on. ERR_NOT_FOUND: none. */
static enum err_code find_pull(struct store_txn *txn, struct step *step, struct err *err)
{
    struct buf key;
    bool found = false;
    buf_init(&key);
    enum err_code code = ERR_OK;
    for (int table = 0; table < TABLE_END; table++) {
        if (!belongs_to_pull((enum store_table)table))
            continue;
        set_bytes(&key, &step->from);
        code = store_next(txn, (enum store_table)table, (struct bytes){0}, &key, NULL, err);
        if (code == ERR_NOT_FOUND)
            continue;
        if (code != ERR_OK)
            break;
        key.len = key.len < PR_KEY_LEN ? key.len : PR_KEY_LEN;
        if (!found || sorts_before(&key, &step->prefix))
            set_bytes(&step->prefix, &key);
        found = true;
    }
    buf_release(&key);
    if (code != ERR_OK && code != ERR_NOT_FOUND)
        return code;
    return found ? ERR_OK : ERR_NOT_FOUND;
}

static enum err_code pull_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct step *step = arg;
    step->list.count = 0;
    enum err_code code = find_pull(txn, step, err);
    struct span all = {.from = &step->prefix, .prefix = buf_bytes(&step->prefix), .limit = SIZE_MAX};
    for (int table = 0; table < TABLE_END && code == ERR_OK; table++)
        if (belongs_to_pull((enum store_table)table))
            code = read_entries(txn, (enum store_table)table, &all, &step->list, err);
    return code;
}

static enum err_code table_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct step *step = arg;
    struct span some = {.from = &step->from, .limit = BATCH};
    step->list.count = 0;
    return read_entries(txn, step->table, &some, &step->list, err);
}

static enum err_code visit_all(const struct list *list, contents_fn *visit, void *arg, struct err *err)
{
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < list->count && code == ERR_OK; i++)
        code = visit(arg, &list->entries[i], err);
    return code;
}

/* The least key behind all that start with `prefix`; false: there is none. */
static bool go_behind(struct buf *from, const struct buf *prefix)
{
    set_bytes(from, prefix);
    while (from->len > 0 && from->data[from->len - 1] == 0xFF)
        from->len--;
    if (from->len == 0)
        return false;
    from->data[from->len - 1]++;
    return true;
}

static enum err_code walk_pulls(struct store *store, struct step *step, contents_fn *visit, void *arg,
                                struct err *err)
{
    enum err_code code;
    while ((code = store_txn(store, pull_body, step, err)) == ERR_OK) {
        code = visit_all(&step->list, visit, arg, err);
        if (code != ERR_OK || !go_behind(&step->from, &step->prefix))
            return code;
    }
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

static enum err_code walk_table(struct store *store, struct step *step, contents_fn *visit, void *arg,
                                struct err *err)
{
    enum err_code code;
    buf_clear(&step->from);
    while ((code = store_txn(store, table_body, step, err)) == ERR_OK && step->list.count > 0) {
        code = visit_all(&step->list, visit, arg, err);
        if (code != ERR_OK)
            return code;
        set_bytes(&step->from, &step->list.entries[step->list.count - 1].key);
        buf_addc(&step->from, '\0');
    }
    return code;
}

enum err_code contents_walk(struct store *store, contents_fn *visit, void *arg, struct err *err)
{
    struct step step = {.table = TABLE_PR};
    enum err_code code = walk_pulls(store, &step, visit, arg, err);
    for (int table = 0; table < TABLE_END && code == ERR_OK; table++) {
        step.table = (enum store_table)table;
        if (!belongs_to_pull(step.table))
            code = walk_table(store, &step, visit, arg, err);
    }
    buf_release(&step.from);
    buf_release(&step.prefix);
    list_release(&step.list);
    return code;
}
