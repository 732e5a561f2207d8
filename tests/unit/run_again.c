/*
 * Linked into every unit test in the place of store_txn(). A body is to bear being run again: after an abort, and after a
 * commit that went through although its success was lost, as when another process dies and the store is recovered.
 * With RUN_AGAIN=aborted or RUN_AGAIN=committed in the environment that happens to each transaction.
 */
#include "run_again.h"

#include <stdlib.h>
#include <string.h>

#include "prgate/store.h"

enum err_code __real_store_txn(struct store *store, store_body *body, void *arg, struct err *err);
enum err_code __wrap_store_txn(struct store *store, store_body *body, void *arg, struct err *err);

bool (*after_hidden_commit)(void *arg);
void *after_hidden_commit_arg;

struct doomed {
    store_body *body;
    void *arg;
    enum err_code code; /* the body's */
};

static enum err_code abort_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct doomed *doomed = arg;
    doomed->code = doomed->body(txn, doomed->arg, err);
    return doomed->code != ERR_OK ? doomed->code : err_set(err, ERR_RETRY, 0, "to be run again");
}

/* What the body itself returned: where that is an error it is not run again. */
static enum err_code run_and_abort(struct store *store, store_body *body, void *arg, struct err *err)
{
    struct doomed doomed = {.body = body, .arg = arg, .code = ERR_RETRY};
    __real_store_txn(store, abort_body, &doomed, err);
    return doomed.code;
}

/* What it does itself is heard of. */
static void call_after_hidden_commit(void)
{
    bool (*call)(void *arg) = after_hidden_commit;
    after_hidden_commit = NULL;
    if (call(after_hidden_commit_arg))
        after_hidden_commit = call;
}

enum err_code __wrap_store_txn(struct store *store, store_body *body, void *arg, struct err *err)
{
    const char *after = getenv("RUN_AGAIN");
    bool committed = after_hidden_commit != NULL || (after != NULL && strcmp(after, "committed") == 0);
    enum err_code code = ERR_OK;
    if (committed)
        code = __real_store_txn(store, body, arg, err);
    if (code == ERR_OK && after_hidden_commit != NULL)
        call_after_hidden_commit();
    if (code == ERR_OK && after != NULL)
        code = run_and_abort(store, body, arg, err);
    return code == ERR_OK ? __real_store_txn(store, body, arg, err) : code;
}
