#include "prgate/heads.h"

#include <inttypes.h>
#include <string.h>

#include "prgate/codec.h"
#include "prgate/command.h"
#include "prgate/log.h"
#include "prgate/tables.h"

static void make_key(const struct pr_key *pr, const struct sha *sha, struct buf *out)
{
    buf_init(out);
    encode_pr_key(out, pr);
    buf_adds(out, sha->hex);
}

static void encode(const struct head *head, struct buf *out)
{
    buf_init(out);
    encode_u8(out, RECORD_VERSION);
    head_encode(out, head);
}

bool heads_decode(struct bytes value, struct head *head)
{
    struct decoder d = decode_start(value.data, value.len);
    unsigned version = decode_u8(&d);
    head_decode(&d, version, head);
    return version >= 1 && version <= RECORD_VERSION && decode_done(&d);
}

static bool decode(const struct buf *value, const struct sha *sha, struct head *head)
{
    return heads_decode(buf_bytes(value), head) && sha_equal(&head->sha, sha);
}

static enum err_code put_one(struct store_txn *txn, const struct pr_key *pr, const struct head *head,
                             struct err *err)
{
    struct buf key, value;
    make_key(pr, &head->sha, &key);
    encode(head, &value);
    enum err_code code = store_put(txn, TABLE_HEAD, buf_bytes(&key), buf_bytes(&value), err);
    buf_release(&key);
    buf_release(&value);
    return code;
}

/* Whether CI was started nobody can tell any more, and a second time must not be: that is written in its place. */
static enum err_code set_aside(struct store_txn *txn, const struct pr_key *pr, struct bytes key,
                               const struct head *head, struct err *err)
{
    log_error("a stored commit cannot be decoded: moved to quarantine, and not started again",
              LOG_INT("repo_id", pr->repo_id), LOG_INT("number", pr->number), LOG_STR("sha", head->sha.hex));
    enum err_code code = table_quarantine_key(txn, TABLE_HEAD, key, err);
    return code == ERR_OK ? put_one(txn, pr, head, err) : code;
}

static void insert_oldest(struct record *record, const struct head *head)
{
    record_reserve_head(record);
    memmove(record->heads + 1, record->heads, record->head_count * sizeof *record->heads);
    record->heads[0] = *head;
    record->head_count++;
}

enum err_code heads_recall(struct store_txn *txn, struct record *record, const struct sha *sha,
                           struct err *err)
{
    struct buf key, value;
    struct head head;
    /* A record that ever put one away has kept this many. */
    if (record->head_count < HEADS_KEPT || !sha_is_set(sha) || record_find_head(record, sha) != NULL)
        return ERR_OK;
    make_key(&record->key, sha, &key);
    buf_init(&value);
    enum err_code code = store_get(txn, TABLE_HEAD, buf_bytes(&key), STORE_LOCK, &value, err);
    bool found = code == ERR_OK;
    if (found && !decode(&value, sha, &head)) {
        head = (struct head){.sha = *sha, .ci = CI_UNKNOWN};
        code = set_aside(txn, &record->key, buf_bytes(&key), &head, err);
    }
    if (found && code == ERR_OK)
        insert_oldest(record, &head);
    buf_release(&key);
    buf_release(&value);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

enum err_code heads_recall_prefix(struct store_txn *txn, struct record *record, const char *prefix,
                                  struct err *err)
{
    struct buf start, key, value;
    enum err_code code = ERR_NOT_FOUND;
    size_t found = 0;
    if (record->head_count < HEADS_KEPT || strlen(prefix) < COMMAND_SHA_MIN)
        return ERR_OK;
    buf_init(&start);
    buf_init(&key);
    buf_init(&value);
    encode_pr_key(&start, &record->key);
    size_t key_len = start.len;
    buf_adds(&start, prefix);
    while (found < 2 &&
           (code = store_next(txn, TABLE_HEAD, buf_bytes(&start), &key, &value, err)) == ERR_OK) {
        struct sha sha;
        const char *hex = buf_text(&key) + key_len;
        if (sha_parse(&sha, hex) && (code = heads_recall(txn, record, &sha, err)) != ERR_OK)
            break;
        found++;
        buf_addc(&key, '\0');
    }
    buf_release(&start);
    buf_release(&key);
    buf_release(&value);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

enum err_code heads_recall_for(struct store_txn *txn, struct record *record, const struct event *event,
                               struct err *err)
{
    enum err_code code = heads_recall(txn, record, &event->pr.head, err);
    return code == ERR_OK ? heads_recall_prefix(txn, record, event->sha_prefix, err) : code;
}

static bool may_go(const struct record *record, const struct head *head)
{
    bool under_way = head->ci == CI_DECIDED || head->ci == CI_SENT;
    return !under_way && !sha_equal(&head->sha, &record->view.head);
}

static enum err_code put_away(struct store_txn *txn, const struct record *record, const struct head *head,
                              struct err *err)
{
    struct head kept = *head;
    if (!kept.queued) { /* a merge group's is written once, whoever asks again */
        kept.check = CHECK_NONE;
        kept.check_reason = WAIT_NOTHING;
    }
    return put_one(txn, &record->key, &kept, err);
}

enum err_code heads_put_away(struct store_txn *txn, struct record *record, struct err *err)
{
    if (record->head_count <= HEADS_MAX)
        return ERR_OK;
    enum err_code code = ERR_OK;
    size_t count = record->head_count, left = 0;
    for (size_t i = 0; i < count && code == ERR_OK; i++) {
        const struct head *head = &record->heads[i];
        /* `left` are kept so far, `count - i` are still to come. */
        if (left + (count - i) > HEADS_KEPT && may_go(record, head))
            code = put_away(txn, record, head, err);
        else
            record->heads[left++] = *head;
    }
    if (code == ERR_OK)
        record->head_count = left;
    return code;
}

enum err_code heads_restore(struct store_txn *txn, struct record *record, struct err *err)
{
    struct buf prefix, key, value;
    enum err_code code;
    buf_init(&prefix);
    buf_init(&key);
    buf_init(&value);
    encode_pr_key(&prefix, &record->key);
    while ((code = store_next(txn, TABLE_HEAD, buf_bytes(&prefix), &key, &value, err)) == ERR_OK) {
        struct head head;
        if (heads_decode(buf_bytes(&value), &head) && record_find_head(record, &head.sha) == NULL)
            insert_oldest(record, &head);
        buf_addc(&key, '\0');
    }
    buf_release(&prefix);
    buf_release(&key);
    buf_release(&value);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}
