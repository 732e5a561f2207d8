#include "prgate/shared_tokens.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/clock.h"
#include "prgate/codec.h"
#include "prgate/text.h"

/* Who waits asks each 50 ms (github_auth.c); hundreds of pull requests may wait at once. */
enum { LEASE_MS = 5000, NAME_SIZE = 64, ASK_EACH_MS = 45, REMEMBERED = 16 };

struct shared_tokens {
    struct store *store;
    pthread_mutex_t mutex; /* of what follows */
    struct {
        uint64_t installation; /* 0: none */
        int64_t asked_ms;      /* the store, for its lease; monotonic */
    } asked[REMEMBERED];
    size_t next; /* to be forgotten */
};

struct token_row {
    char name[NAME_SIZE];
    char lease_name[NAME_SIZE];
    char token[GITHUB_TOKEN_SIZE];
    int64_t expires_at;
    bool leased;
    int64_t until_ms; /* of the lease that an earlier run of the body took */
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
    store_need_not_wait(txn); /* tokens and leases: lost, another is asked for */
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
    struct shared_tokens *tokens = arg;
    struct token_row row = {0};
    name_row(&row, installation);
    enum err_code code = store_txn(tokens->store, get_body, &row, err);
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
    store_need_not_wait(txn);
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

/* ---- one that asks for all ---- */

/* The caller holds the mutex. */
static size_t find_asked(struct shared_tokens *tokens, uint64_t installation)
{
    for (size_t i = 0; i < REMEMBERED; i++)
        if (tokens->asked[i].installation == installation)
            return i;
    tokens->next = (tokens->next + 1) % REMEMBERED;
    tokens->asked[tokens->next].installation = 0;
    return tokens->next;
}

static bool may_ask(struct shared_tokens *tokens, uint64_t installation)
{
    int64_t now = clock_monotonic_ms();
    pthread_mutex_lock(&tokens->mutex);
    size_t i = find_asked(tokens, installation);
    bool may = tokens->asked[i].installation == 0 || now - tokens->asked[i].asked_ms >= ASK_EACH_MS;
    if (may) {
        tokens->asked[i].installation = installation;
        tokens->asked[i].asked_ms = now;
    }
    pthread_mutex_unlock(&tokens->mutex);
    return may;
}

/* The lease is over: whoever comes next may ask at once. */
static void forget_asked(struct shared_tokens *tokens, uint64_t installation)
{
    pthread_mutex_lock(&tokens->mutex);
    tokens->asked[find_asked(tokens, installation)].installation = 0;
    pthread_mutex_unlock(&tokens->mutex);
}

/* ---- what github asks for ---- */

static enum err_code put_token(void *arg, uint64_t installation, const char *token, int64_t expires_at,
                               struct err *err)
{
    struct shared_tokens *tokens = arg;
    struct token_row row = {.expires_at = expires_at};
    name_row(&row, installation);
    if (!text_copy(row.token, sizeof row.token, token))
        return err_set(err, ERR_REJECT, 0, "GitHub's token is longer than %d characters",
                       GITHUB_TOKEN_SIZE - 1);
    enum err_code code = store_txn(tokens->store, put_body, &row, err);
    forget_asked(tokens, installation);
    return code;
}

static enum err_code lease_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct token_row *row = arg;
    int64_t now = clock_now_ms(), until = 0;
    struct buf value;
    store_need_not_wait(txn);
    buf_init(&value);
    enum err_code code = store_get(txn, TABLE_SHARED, lease_key(row), STORE_LOCK, &value, err);
    if (code == ERR_OK) {
        struct decoder d = decode_start(value.data, value.len);
        until = decode_i64(&d);
    }
    /* The lease that is there may be this one: then its commit went through. */
    row->leased = code == ERR_OK && row->until_ms != 0 && until == row->until_ms;
    bool is_free = code == ERR_NOT_FOUND || (code == ERR_OK && (until <= now || until > now + LEASE_MS));
    if (is_free && !row->leased) {
        row->leased = true;
        row->until_ms = now + LEASE_MS;
        buf_clear(&value);
        encode_i64(&value, row->until_ms);
        code = store_put(txn, TABLE_SHARED, lease_key(row), buf_bytes(&value), err);
    }
    buf_release(&value);
    return code;
}

static bool take_lease(void *arg, uint64_t installation)
{
    struct shared_tokens *tokens = arg;
    struct err err;
    struct token_row row = {0};
    if (!may_ask(tokens, installation))
        return false;
    name_row(&row, installation);
    return store_txn(tokens->store, lease_body, &row, &err) == ERR_OK && row.leased;
}

struct shared_tokens *shared_tokens_open(struct store *store)
{
    struct shared_tokens *tokens = mem_alloc(sizeof *tokens);
    *tokens = (struct shared_tokens){.store = store};
    pthread_mutex_init(&tokens->mutex, NULL);
    return tokens;
}

void shared_tokens_close(struct shared_tokens *tokens)
{
    if (tokens == NULL)
        return;
    pthread_mutex_destroy(&tokens->mutex);
    free(tokens);
}

struct github_tokens shared_tokens_use(struct shared_tokens *tokens)
{
    return (struct github_tokens){.arg = tokens, .get = get_token, .put = put_token, .lease = take_lease};
}
