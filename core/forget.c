#include "prgate/forget.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "prgate/codec.h"
#include "prgate/text.h"

enum { ROWS_AT_ONCE = 64, PREFIX_SIZE = 160 };

/* ---- the count of changes -------------------------------------------------- */

static const struct bytes count_key = {.data = "rights", .len = 6};

/* None, or a damaged one, is zero: the next change makes it anew. */
enum err_code forget_count(struct store_txn *txn, uint64_t *changes, struct err *err)
{
    struct buf value;
    buf_init(&value);
    *changes = 0;
    enum err_code code = store_get(txn, TABLE_SHARED, count_key, STORE_READ, &value, err);
    if (code == ERR_OK) {
        struct decoder d = decode_start(value.data, value.len);
        uint64_t count = decode_u64(&d);
        *changes = decode_done(&d) ? count : 0;
    }
    buf_release(&value);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

static enum err_code count_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct buf value;
    uint64_t changes;
    (void)arg;
    enum err_code code = forget_count(txn, &changes, err);
    if (code != ERR_OK)
        return code;
    buf_init(&value);
    encode_u64(&value, changes + 1);
    code = store_put(txn, TABLE_SHARED, count_key, buf_bytes(&value), err);
    buf_release(&value);
    return code;
}

/* ---- the answers ----------------------------------------------------------- */

/* One walk over the answers whose question starts with `prefix`: see trust.c for the keys. */
struct walk {
    char prefix[PREFIX_SIZE];
    const char *login; /* whose; "": everybody's */
    struct buf from;   /* where the next transaction begins */
    struct buf at;     /* where this one has come to */
    size_t dropped;    /* by this one */
    bool done;
};

/* The last part of the question is whom it is about. */
static bool is_about(const struct buf *key, const char *login)
{
    size_t len = strlen(login);
    if (len == 0)
        return true;
    return key->len > len && key->data[key->len - len - 1] == '/' &&
           memcmp(key->data + key->len - len, login, len) == 0;
}

static enum err_code walk_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct walk *walk = arg;
    const struct bytes prefix = {walk->prefix, strlen(walk->prefix)};
    walk->dropped = 0;
    walk->done = false;
    buf_clear(&walk->at);
    buf_add(&walk->at, walk->from.data, walk->from.len);
    for (int i = 0; i < ROWS_AT_ONCE; i++) {
        enum err_code code = store_next(txn, TABLE_TRUST, prefix, &walk->at, NULL, err);
        if (code == ERR_NOT_FOUND) {
            walk->done = true;
            return ERR_OK;
        }
        bool drops = code == ERR_OK && is_about(&walk->at, walk->login);
        if (drops)
            code = store_delete(txn, TABLE_TRUST, buf_bytes(&walk->at), err);
        if (code != ERR_OK)
            return code;
        walk->dropped += drops ? 1 : 0;
        buf_addc(&walk->at, '\0');
    }
    return ERR_OK;
}

/* A crash between two transactions leaves the rest until trust_ttl is over. */
static enum err_code drop(struct store *store, struct walk *walk, size_t *dropped, struct err *err)
{
    enum err_code code = ERR_OK;
    buf_init(&walk->from);
    buf_init(&walk->at);
    text_fold(walk->prefix);
    buf_adds(&walk->from, walk->prefix);
    walk->done = false;
    while (code == ERR_OK && !walk->done) {
        code = store_txn(store, walk_body, walk, err);
        if (code != ERR_OK)
            break;
        *dropped += walk->dropped;
        buf_clear(&walk->from);
        buf_add(&walk->from, walk->at.data, walk->at.len);
    }
    buf_release(&walk->from);
    buf_release(&walk->at);
    return code;
}

enum err_code forget_answers(struct store *store, const struct trust_change *change, size_t *dropped,
                             struct err *err)
{
    char login[LOGIN_SIZE];
    struct walk permissions = {.prefix = "permission/", .login = login};
    struct walk teams = {.prefix = "team/", .login = login};
    text_copy(login, sizeof login, change->login);
    text_fold(login);
    if (change->repo_id != 0)
        snprintf(permissions.prefix, sizeof permissions.prefix, "permission/%" PRIu64 "/", change->repo_id);
    if (change->organization[0] != '\0')
        snprintf(teams.prefix, sizeof teams.prefix, "team/%s/", change->organization);
    *dropped = 0;
    /* First the count: what was asked before is kept before it, and dropped below, or not at all. */
    enum err_code code = store_txn(store, count_body, NULL, err);
    if (code == ERR_OK)
        code = drop(store, &permissions, dropped, err);
    return code == ERR_OK ? drop(store, &teams, dropped, err) : code;
}
