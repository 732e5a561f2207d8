#include "prgate/shared_tokens.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "prgate/clock.h"
#include "prgate/codec.h"
#include "prgate/text.h"

enum { LEASE_MS = 5000, NAME_SIZE = 64 };

struct token_row {
    char name[NAME_SIZE];
    char lease_name[NAME_SIZE];
    char token[GITHUB_TOKEN_SIZE];
    int64_t expires_at;
    bool leased;
};

static struct bytes row_key(const struct token_row *row)
{
    return (struct bytes){.data = row->name, .len = strlen(row->name)};
}

static void name_row(struct token_row *row, uint64_t installation)
{
    snprintf(row->name, sizeof row->name, "token/%" PRIu64, installation);
    snprintf(row->lease_name, sizeof row->lease_name, "lease/%" PRIu64, installation);
}

static struct bytes lease_key(const struct token_row *row)
{
    return (struct bytes){.data = row->lease_name, .len = strlen(row->lease_name)};
}

static enum err_code get_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct token_row *row = arg;
    struct buf value;
    buf_init(&value);
    enum err_code code = store_get(txn, TABLE_SHARED, row_key(row), STORE_READ, &value, err);
    if (code == ERR_OK) {
        struct decoder d = decode_start(value.data, value.len);
        row->expires_at = decode_i64(&d);
        decode_text(&d, row->token, sizeof row->token);
        /* A damaged token is no loss: another is minted over it. */
        if (!decode_done(&d))
            code = err_set(err, ERR_NOT_FOUND, 0, "the stored installation token is damaged");
    }
    buf_release(&value);
    return code;
}

static enum err_code get_token(void *arg, uint64_t installation, char token[GITHUB_TOKEN_SIZE],
                               int64_t *expires_at, struct err *err)
{
    struct token_row row = {0};
    name_row(&row, installation);
    enum err_code code = store_txn(arg, get_body, &row, err);
    if (code != ERR_OK)
        return code;
    text_copy(token, GITHUB_TOKEN_SIZE, row.token);
    *expires_at = row.expires_at;
    return ERR_OK;
}

static enum err_code put_body(struct store_txn *txn, void *arg, struct err *err)
{
    const struct token_row *row = arg;
    struct buf value;
    buf_init(&value);
    encode_i64(&value, row->expires_at);
    encode_text(&value, row->token);
    enum err_code code = store_put(txn, TABLE_SHARED, row_key(row), buf_bytes(&value), err);
    buf_release(&value);
    if (code != ERR_OK)
        return code;
    code = store_delete(txn, TABLE_SHARED, lease_key(row), err);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

static enum err_code put_token(void *arg, uint64_t installation, const char *token, int64_t expires_at,
                               struct err *err)
{
    struct token_row row = {.expires_at = expires_at};
    name_row(&row, installation);
    if (!text_copy(row.token, sizeof row.token, token))
        return err_set(err, ERR_REJECT, 0, "GitHub's token is longer than %d characters",
                       GITHUB_TOKEN_SIZE - 1);
    return store_txn(arg, put_body, &row, err);
}

static enum err_code lease_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct token_row *row = arg;
    int64_t now = clock_now_ms(), until = 0;
    struct buf value;
    buf_init(&value);
    enum err_code code = store_get(txn, TABLE_SHARED, lease_key(row), STORE_LOCK, &value, err);
    if (code == ERR_OK) {
        struct decoder d = decode_start(value.data, value.len);
        until = decode_i64(&d);
    }
    row->leased = false;
    if (code == ERR_NOT_FOUND || (code == ERR_OK && (until <= now || until > now + LEASE_MS))) {
        row->leased = true;
        buf_clear(&value);
        encode_i64(&value, now + LEASE_MS);
        code = store_put(txn, TABLE_SHARED, lease_key(row), buf_bytes(&value), err);
    }
    buf_release(&value);
    return code;
}

static bool take_lease(void *arg, uint64_t installation)
{
    struct err err;
    struct token_row row = {0};
    name_row(&row, installation);
    return store_txn(arg, lease_body, &row, &err) == ERR_OK && row.leased;
}

struct github_tokens shared_tokens(struct store *store)
{
    return (struct github_tokens){.arg = store, .get = get_token, .put = put_token, .lease = take_lease};
}
