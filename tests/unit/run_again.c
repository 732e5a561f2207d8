/*
 * Linked into every unit test in the place of store_txn(). A body is to bear being run again: after an abort, and after a
 * commit that went through although its success was lost, as when another process dies and the store is recovered.
 * With RUN_AGAIN=aborted or RUN_AGAIN=committed in the environment that happens to each transaction.
 */
#include <stdlib.h>
#include <string.h>

#include "prgate/store.h"

enum err_code __real_store_txn(struct store *store, store_body *body, void *arg, struct err *err);
enum err_code __wrap_store_txn(struct store *store, store_body *body, void *arg, struct err *err);

struct doomed {
    store_body *body;
    void *arg;
};

static enum err_code run_and_abort(struct store_txn *txn, void *arg, struct err *err)
{
    const struct doomed *doomed = arg;
    enum err_code code = doomed->body(txn, doomed->arg, err);
    return code != ERR_OK ? code : err_set(err, ERR_RETRY, 0, "to be run again");
}

enum err_code __wrap_store_txn(struct store *store, store_body *body, void *arg, struct err *err)
{
    const char *after = getenv("RUN_AGAIN");
    struct err ignored = {0};
    if (after != NULL && strcmp(after, "aborted") == 0)
        __real_store_txn(store, run_and_abort, &(struct doomed){.body = body, .arg = arg}, &ignored);
    /* A body that fails is not committed. */
    if (after != NULL && strcmp(after, "committed") == 0) {
        enum err_code code = __real_store_txn(store, body, arg, err);
        if (code != ERR_OK)
            return code;
    }
    return __real_store_txn(store, body, arg, err);
}
