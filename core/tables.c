#include "prgate/tables.h"

#include <string.h>

#include "prgate/codec.h"
#include "prgate/delivery.h"
#include "prgate/text.h"

static void make_key(const struct pr_key *pr, struct buf *out)
{
    buf_init(out);
    encode_pr_key(out, pr);
}

static void make_seq_key(const struct pr_key *pr, uint64_t seq, struct buf *out)
{
    make_key(pr, out);
    encode_u64(out, seq);
}

static struct pr_key pr_of_key(const struct buf *key)
{
    struct decoder d = decode_start(key->data, key->len);
    struct pr_key pr;
    decode_pr_key(&d, &pr);
    return pr;
}

/* ---- records ------------------------------------------------------------- */

enum err_code table_get_record(struct store_txn *txn, const struct pr_key *pr, enum store_access access,
                               struct record *record, struct err *err)
{
    struct buf key, value;
    make_key(pr, &key);
    buf_init(&value);
    enum err_code code = store_get(txn, TABLE_PR, buf_bytes(&key), access, &value, err);
    if (code == ERR_OK)
        code = record_decode(record, value.data, value.len, err);
    if (code != ERR_OK)
        record_release(record);
    if (code == ERR_NOT_FOUND)
        record->key = *pr;
    buf_release(&key);
    buf_release(&value);
    return code;
}

enum err_code table_put_record(struct store_txn *txn, const struct record *record, struct err *err)
{
    struct buf key, value;
    make_key(&record->key, &key);
    buf_init(&value);
    record_encode(record, &value);
    enum err_code code = store_put(txn, TABLE_PR, buf_bytes(&key), buf_bytes(&value), err);
    buf_release(&key);
    buf_release(&value);
    return code;
}

/* store_next() or store_prev() */
typedef enum err_code step_fn(struct store_txn *txn, enum store_table table, struct bytes prefix,
                              struct buf *key, struct buf *value, struct err *err);

static enum err_code step_record(struct store_txn *txn, step_fn *step, struct pr_key *pr,
                                 struct record *record, struct err *err)
{
    struct buf key, value;
    make_key(pr, &key);
    buf_init(&value);
    enum err_code code = step(txn, TABLE_PR, (struct bytes){0}, &key, &value, err);
    if (code == ERR_OK) {
        *pr = pr_of_key(&key);
        code = record_decode(record, value.data, value.len, err);
    }
    buf_release(&key);
    buf_release(&value);
    return code;
}

enum err_code table_next_record(struct store_txn *txn, struct pr_key *pr, struct record *record,
                                struct err *err)
{
    return step_record(txn, store_next, pr, record, err);
}

enum err_code table_prev_record(struct store_txn *txn, struct pr_key *pr, struct record *record,
                                struct err *err)
{
    return step_record(txn, store_prev, pr, record, err);
}

/* ---- repository names ---------------------------------------------------- */

static struct bytes fold_name(const char *repo, char folded[REPO_NAME_SIZE])
{
    text_copy(folded, REPO_NAME_SIZE, repo);
    text_fold(folded);
    return (struct bytes){.data = folded, .len = strlen(folded)};
}

/* A number and a text, as all rows of that table. */
enum err_code table_note_repo(struct store_txn *txn, const char *repo, int64_t now_ms, int64_t *since_ms,
                              struct err *err)
{
    char folded[REPO_NAME_SIZE];
    struct bytes name = fold_name(repo, folded);
    struct buf key, value;
    buf_init(&key);
    buf_init(&value);
    buf_adds(&key, "since/");
    buf_add(&key, name.data, name.len);
    enum err_code code = store_get(txn, TABLE_SHARED, buf_bytes(&key), STORE_READ, &value, err);
    if (code == ERR_OK) {
        struct decoder d = decode_start(value.data, value.len);
        *since_ms = decode_i64(&d);
    } else if (code == ERR_NOT_FOUND) {
        *since_ms = now_ms;
        buf_clear(&value);
        encode_i64(&value, now_ms);
        encode_text(&value, "");
        code = store_put(txn, TABLE_SHARED, buf_bytes(&key), buf_bytes(&value), err);
    }
    buf_release(&key);
    buf_release(&value);
    return code;
}

static bool decode_name(const struct buf *value, uint64_t *repo_id)
{
    struct decoder d = decode_start(value->data, value->len);
    *repo_id = decode_u64(&d);
    return decode_done(&d);
}

enum err_code table_get_name(struct store_txn *txn, const char *repo, uint64_t *repo_id, struct err *err)
{
    char folded[REPO_NAME_SIZE];
    struct buf value;
    buf_init(&value);
    enum err_code code = store_get(txn, TABLE_NAME, fold_name(repo, folded), STORE_READ, &value, err);
    if (code == ERR_OK && !decode_name(&value, repo_id))
        code = err_set(err, ERR_CORRUPT, 0, "the entry of repository %s is damaged", repo);
    buf_release(&value);
    return code;
}

enum err_code table_put_name(struct store_txn *txn, const char *repo, uint64_t repo_id, struct err *err)
{
    char folded[REPO_NAME_SIZE];
    struct buf value;
    uint64_t named = 0;
    enum err_code code = table_get_name(txn, repo, &named, err);
    bool is_known = code == ERR_OK && named == repo_id; /* but for a repository's first pull request it is */
    if (is_known || (code != ERR_OK && code != ERR_NOT_FOUND && code != ERR_CORRUPT))
        return code;
    buf_init(&value);
    encode_u64(&value, repo_id);
    code = store_put(txn, TABLE_NAME, fold_name(repo, folded), buf_bytes(&value), err);
    buf_release(&value);
    return code;
}

enum err_code table_find_name(struct store_txn *txn, uint64_t repo_id, char repo[REPO_NAME_SIZE],
                              struct err *err)
{
    struct buf name, value;
    uint64_t found;
    enum err_code code;
    repo[0] = '\0';
    buf_init(&name);
    buf_init(&value);
    while ((code = store_next(txn, TABLE_NAME, (struct bytes){0}, &name, &value, err)) == ERR_OK) {
        if (decode_name(&value, &found) && found == repo_id) {
            text_copy(repo, REPO_NAME_SIZE, buf_text(&name));
            break;
        }
        buf_addc(&name, '\0');
    }
    buf_release(&name);
    buf_release(&value);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

enum err_code table_next_name(struct store_txn *txn, char name[REPO_NAME_SIZE], uint64_t *repo_id,
                              struct err *err)
{
    struct buf key, value;
    buf_init(&key);
    buf_init(&value);
    buf_adds(&key, name);
    if (key.len > 0)
        buf_addc(&key, '\0');
    enum err_code code = store_next(txn, TABLE_NAME, (struct bytes){0}, &key, &value, err);
    if (code == ERR_OK) {
        if (!decode_name(&value, repo_id) || !text_copy(name, REPO_NAME_SIZE, buf_text(&key)))
            code = err_set(err, ERR_CORRUPT, 0, "the entry of repository %s is damaged", buf_text(&key));
        text_copy_cut(name, REPO_NAME_SIZE, buf_text(&key));
    }
    buf_release(&key);
    buf_release(&value);
    return code;
}

/* ---- delivery ids -------------------------------------------------------- */

enum err_code table_see_delivery(struct store_txn *txn, const struct pr_key *pr, const char *delivery,
                                 int64_t now_ms, struct err *err)
{
    struct buf key, value;
    make_key(pr, &key);
    buf_adds(&key, delivery);
    buf_init(&value);
    encode_i64(&value, now_ms);
    enum err_code code = store_insert(txn, TABLE_SEEN, buf_bytes(&key), buf_bytes(&value), err);
    buf_release(&key);
    buf_release(&value);
    return code;
}

enum err_code table_when_seen(struct store_txn *txn, const struct pr_key *pr, const char *delivery,
                              int64_t *came_ms, struct err *err)
{
    struct buf key, value;
    make_key(pr, &key);
    buf_adds(&key, delivery);
    buf_init(&value);
    enum err_code code = store_get(txn, TABLE_SEEN, buf_bytes(&key), STORE_READ, &value, err);
    if (code == ERR_OK) {
        struct decoder decoder = decode_start(value.data, value.len);
        *came_ms = decode_i64(&decoder);
        if (!decode_done(&decoder))
            code = err_set(err, ERR_NOT_FOUND, 0, "it is damaged when the delivery came");
    }
    buf_release(&key);
    buf_release(&value);
    return code;
}

/* ---- queues -------------------------------------------------------------- */

static enum err_code put_entry(struct store_txn *txn, enum store_table table, const struct pr_key *pr,
                               uint64_t seq, struct bytes value, struct err *err)
{
    struct buf key;
    make_seq_key(pr, seq, &key);
    enum err_code code = store_put(txn, table, buf_bytes(&key), value, err);
    buf_release(&key);
    return code;
}

static enum err_code remove_entry(struct store_txn *txn, enum store_table table, const struct pr_key *pr,
                                  uint64_t seq, struct err *err)
{
    struct buf key;
    make_seq_key(pr, seq, &key);
    enum err_code code = store_delete(txn, table, buf_bytes(&key), err);
    buf_release(&key);
    return code;
}

static enum err_code next_entry(struct store_txn *txn, enum store_table table, const struct pr_key *pr,
                                uint64_t *seq, struct buf *value, struct err *err)
{
    struct buf key;
    make_seq_key(pr, *seq, &key);
    unsigned char prefix[PR_KEY_LEN];
    memcpy(prefix, key.data, sizeof prefix);
    enum err_code code =
        store_next(txn, table, (struct bytes){.data = prefix, .len = sizeof prefix}, &key, value, err);
    if (code == ERR_OK && key.len == SEQ_KEY_LEN) {
        struct decoder d = decode_start(key.data + PR_KEY_LEN, key.len - PR_KEY_LEN);
        *seq = decode_u64(&d);
    } else if (code == ERR_OK) {
        code =
            err_set(err, ERR_CORRUPT, 0, "a key of %zu bytes in table %s", key.len, store_table_name(table));
    }
    buf_release(&key);
    return code;
}

enum err_code table_append_event(struct store_txn *txn, struct record *record, const struct event *event,
                                 struct err *err)
{
    struct buf value;
    buf_init(&value);
    delivery_encode(event, &value);
    enum err_code code =
        put_entry(txn, TABLE_INBOX, &record->key, record->next_delivery++, buf_bytes(&value), err);
    buf_release(&value);
    return code;
}

enum err_code table_next_event(struct store_txn *txn, const struct pr_key *pr, uint64_t *seq,
                               struct event *event, struct err *err)
{
    struct buf value;
    buf_init(&value);
    enum err_code code = next_entry(txn, TABLE_INBOX, pr, seq, &value, err);
    if (code == ERR_OK)
        code = delivery_decode(event, value.data, value.len, err);
    buf_release(&value);
    return code;
}

enum err_code table_remove_event(struct store_txn *txn, const struct pr_key *pr, uint64_t seq,
                                 struct err *err)
{
    return remove_entry(txn, TABLE_INBOX, pr, seq, err);
}

enum err_code table_put_intent(struct store_txn *txn, const struct pr_key *pr, const struct intent *intent,
                               struct err *err)
{
    struct buf value;
    buf_init(&value);
    intent_encode(intent, &value);
    enum err_code code = put_entry(txn, TABLE_INTENT, pr, intent->seq, buf_bytes(&value), err);
    buf_release(&value);
    return code;
}

enum err_code table_append_intent(struct store_txn *txn, struct record *record, struct intent *intent,
                                  struct err *err)
{
    intent->seq = record->next_intent++;
    return table_put_intent(txn, &record->key, intent, err);
}

enum err_code table_next_intent(struct store_txn *txn, const struct pr_key *pr, uint64_t *seq,
                                struct intent *intent, struct err *err)
{
    struct buf value;
    buf_init(&value);
    enum err_code code = next_entry(txn, TABLE_INTENT, pr, seq, &value, err);
    if (code == ERR_OK)
        code = intent_decode(intent, value.data, value.len, err);
    buf_release(&value);
    return code;
}

enum err_code table_remove_intent(struct store_txn *txn, const struct pr_key *pr, uint64_t seq,
                                  struct err *err)
{
    return remove_entry(txn, TABLE_INTENT, pr, seq, err);
}

enum err_code table_drop_intents(struct store_txn *txn, const struct pr_key *pr, struct err *err)
{
    struct intent intent;
    struct buf value;
    buf_init(&value);
    enum err_code code;
    for (uint64_t seq = 0; (code = next_entry(txn, TABLE_INTENT, pr, &seq, &value, err)) == ERR_OK; seq++) {
        if (intent_decode(&intent, value.data, value.len, NULL) == ERR_OK &&
            intent_outlives_closing(intent.kind))
            continue;
        code = remove_entry(txn, TABLE_INTENT, pr, seq, err);
        if (code != ERR_OK)
            break;
    }
    buf_release(&value);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

enum err_code table_put_dead(struct store_txn *txn, const struct pr_key *pr, const struct dead_letter *letter,
                             struct err *err)
{
    struct buf value;
    buf_init(&value);
    dead_letter_encode(letter, &value);
    enum err_code code = put_entry(txn, TABLE_DEAD, pr, letter->intent.seq, buf_bytes(&value), err);
    buf_release(&value);
    return code;
}

enum err_code table_next_dead(struct store_txn *txn, const struct pr_key *pr, uint64_t *seq,
                              struct dead_letter *letter, struct err *err)
{
    struct buf value;
    buf_init(&value);
    enum err_code code = next_entry(txn, TABLE_DEAD, pr, seq, &value, err);
    if (code == ERR_OK)
        code = dead_letter_decode(letter, value.data, value.len, err);
    buf_release(&value);
    return code;
}

enum err_code table_remove_dead(struct store_txn *txn, const struct pr_key *pr, uint64_t seq, struct err *err)
{
    return remove_entry(txn, TABLE_DEAD, pr, seq, err);
}

enum err_code table_quarantine_key(struct store_txn *txn, enum store_table table, struct bytes key,
                                   struct err *err)
{
    struct buf to, value;
    buf_init(&to);
    buf_init(&value);
    buf_addf(&to, "%s/", store_table_name(table));
    buf_add(&to, key.data, key.len);
    enum err_code code = store_get(txn, table, key, STORE_LOCK, &value, err);
    if (code == ERR_OK)
        code = store_put(txn, TABLE_QUARANTINE, buf_bytes(&to), buf_bytes(&value), err);
    if (code == ERR_OK)
        code = store_delete(txn, table, key, err);
    buf_release(&to);
    buf_release(&value);
    return code;
}

enum err_code table_quarantine(struct store_txn *txn, enum store_table table, const struct pr_key *pr,
                               uint64_t seq, struct err *err)
{
    struct buf from;
    make_seq_key(pr, seq, &from);
    enum err_code code = table_quarantine_key(txn, table, buf_bytes(&from), err);
    buf_release(&from);
    return code;
}

enum err_code table_quarantine_record(struct store_txn *txn, const struct pr_key *pr, struct err *err)
{
    struct buf from;
    make_key(pr, &from);
    enum err_code code = table_quarantine_key(txn, TABLE_PR, buf_bytes(&from), err);
    buf_release(&from);
    return code;
}

enum err_code table_next_queued(struct store_txn *txn, enum store_table queue, struct pr_key *pr,
                                struct err *err)
{
    struct buf key;
    make_key(pr, &key);
    enum err_code code = store_next(txn, queue, (struct bytes){0}, &key, NULL, err);
    if (code == ERR_OK)
        *pr = pr_of_key(&key);
    buf_release(&key);
    return code;
}

enum err_code table_is_queued(struct store_txn *txn, enum store_table queue, const struct pr_key *pr,
                              bool *out, struct err *err)
{
    struct pr_key found = *pr;
    enum err_code code = table_next_queued(txn, queue, &found, err);
    *out = code == ERR_OK && found.repo_id == pr->repo_id && found.number == pr->number;
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

struct count_step {
    enum store_table table;
    struct buf key;
    struct buf found;
};

/* One entry a transaction: a count must not hold pages that deliveries wait for. */
static enum err_code count_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct count_step *step = arg;
    buf_clear(&step->found);
    buf_add(&step->found, step->key.data, step->key.len);
    return store_next(txn, step->table, (struct bytes){0}, &step->found, NULL, err);
}

enum err_code table_count(struct store *store, enum store_table table, size_t limit, size_t *out,
                          struct err *err)
{
    struct count_step step = {.table = table};
    enum err_code code = ERR_OK;
    size_t count = 0;
    while (count < limit && (code = store_txn(store, count_body, &step, err)) == ERR_OK) {
        count++;
        buf_clear(&step.key);
        buf_add(&step.key, step.found.data, step.found.len);
        buf_addc(&step.key, '\0');
    }
    buf_release(&step.key);
    buf_release(&step.found);
    if (code != ERR_OK && code != ERR_NOT_FOUND)
        return code;
    *out = count;
    return ERR_OK;
}

/* ---- text ------------------------------------------------------------------ */

enum err_code table_put_text(struct store_txn *txn, enum store_table table, const struct pr_key *pr,
                             uint64_t seq, const char *text, struct err *err)
{
    return put_entry(txn, table, pr, seq, (struct bytes){.data = text, .len = strlen(text)}, err);
}

enum err_code table_next_text(struct store_txn *txn, enum store_table table, const struct pr_key *pr,
                              uint64_t *seq, struct buf *text, struct err *err)
{
    return next_entry(txn, table, pr, seq, text, err);
}
