#include "prgate/visible.h"

#include <inttypes.h>
#include <string.h>

#include "prgate/codec.h"

/* The row: a number and a text, as all of that table. */
static const char is_public[] = "public", is_private[] = "private";

static const char prefix[] = "visible/";

bool visible_is_row(struct bytes key)
{
    return key.len > sizeof prefix - 1 && memcmp(key.data, prefix, sizeof prefix - 1) == 0;
}

static void make_key(uint64_t repo_id, struct buf *key)
{
    buf_init(key);
    buf_addf(key, "%s%" PRIu64, prefix, repo_id);
}

/* Damaged or not there: not public, since the beginning of time. */
static enum err_code read_row(struct store_txn *txn, uint64_t repo_id, bool *known, bool *public,
                              int64_t *said_at, struct err *err)
{
    struct buf key, value;
    make_key(repo_id, &key);
    buf_init(&value);
    *public = *known = false;
    *said_at = 0;
    enum err_code code = store_get(txn, TABLE_SHARED, buf_bytes(&key), STORE_READ, &value, err);
    if (code == ERR_OK) {
        char text[sizeof is_private];
        struct decoder d = decode_start(value.data, value.len);
        int64_t at = decode_i64(&d);
        decode_text(&d, text, sizeof text);
        if (decode_done(&d)) {
            *known = true;
            *said_at = at;
            *public = strcmp(text, is_public) == 0;
        }
    }
    buf_release(&key);
    buf_release(&value);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

enum err_code visible_get(struct store_txn *txn, uint64_t repo_id, bool *public, struct err *err)
{
    bool known;
    int64_t said_at;
    return read_row(txn, repo_id, &known, public, &said_at, err);
}

enum err_code visible_note(struct store_txn *txn, const struct event *event, struct err *err)
{
    bool known, was_public, now_public = event->visibility == VISIBILITY_PUBLIC;
    int64_t said_at;
    if (event->visibility == VISIBILITY_UNKNOWN)
        return ERR_OK;
    enum err_code code = read_row(txn, event->key.repo_id, &known, &was_public, &said_at, err);
    bool late = known && event->pr.updated_at < said_at;
    if (code != ERR_OK || (known && now_public == was_public) || (late && now_public))
        return code;
    struct buf key, value;
    make_key(event->key.repo_id, &key);
    buf_init(&value);
    encode_i64(&value, late ? said_at : event->pr.updated_at);
    encode_text(&value, now_public ? is_public : is_private);
    code = store_put(txn, TABLE_SHARED, buf_bytes(&key), buf_bytes(&value), err);
    buf_release(&key);
    buf_release(&value);
    return code;
}
