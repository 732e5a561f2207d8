/*
 * store: durable tables with serializable transactions. The only module that
 * knows Berkeley DB; a store on PostgreSQL is to fit behind the same functions.
 *
 *     static enum err_code body(struct store_txn *txn, void *arg, struct err *err)
 *     {
 *         struct append *append = arg;
 *         enum err_code code = store_get(txn, TABLE_PR, append->key, STORE_LOCK, &append->value, err);
 *         if (code != ERR_OK)
 *             return code;
 *         ...
 *         return store_put(txn, TABLE_PR, append->key, buf_bytes(&append->value), err);
 *     }
 *     ...
 *     if (store_txn(store, body, &append, &err) != ERR_OK)
 *         ...;
 *
 * store_txn() and store_txn_all() alone begin, commit, abort and try again. store_txn() commits when the body returns ERR_OK, else it aborts and
 * hands the body's error on. When it returns, all that the body wrote and read is synced to disk. It runs the body again
 * when another transaction was in the way or the environment had to be recovered: a body must set its results anew each
 * time, never begin behind what it set (a walk keeps where it is apart from what it finds), touch nothing outside but them
 * (a log line may come twice), and stand finding its own work done, since a commit whose success a crash hid is run
 * again: `make check-run-again` has both happen to every transaction. Never wait for anything inside a body.
 *
 * Any thread of any process may use a store; a handle is shared by all threads of a
 * process and must not be carried over a fork.
 */
#ifndef PRGATE_STORE_H
#define PRGATE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "prgate/buf.h"
#include "prgate/err.h"

struct store;
struct store_txn;

/* One file each under STATE_DIR/db. The comment says: key -> value. */
enum store_table {
    TABLE_PR,         /* pull request -> struct record */
    TABLE_INBOX,      /* pull request, sequence -> struct event taken and not yet decided */
    TABLE_SEEN,       /* pull request, delivery id -> when it came */
    TABLE_INTENT,     /* pull request, sequence -> struct intent not yet done */
    TABLE_DEAD,       /* pull request, intent's sequence -> struct dead_letter: given up, and why */
    TABLE_LEDGER,     /* pull request, sequence -> what was decided or done and why, JSON */
    TABLE_NAME,       /* repository's name in lower case -> its id */
    TABLE_TRUST,      /* repository, what was asked about whom -> answer and when it was learnt */
    TABLE_SHARED,     /* name -> what the processes of a pool share, as installation tokens */
    TABLE_QUARANTINE, /* table, key -> bytes that could not be decoded */
    TABLE_HEAD,       /* pull request, SHA -> struct head that its record keeps no more */
    TABLE_BUDGET, /* whose budget -> when CI was started and what waits; a time -> what is to be woken then */
    TABLE_END
};

struct bytes {
    const void *data;
    size_t len;
};

struct bytes buf_bytes(const struct buf *b);

/*
 * Opens the environment below `state_dir` (made where it is missing), recovering it when a
 * process died in it. ERR_FATAL: it cannot be used; the text says why and what to do. *out is the caller's to
 * close. Starts a thread that notices when another process has replaced the
 * environment's regions: it opens them anew, and ends this process with _exit()
 * if a thread is stuck inside the library and it cannot.
 */
enum err_code store_open(struct store **out, const char *state_dir, struct err *err);
void store_close(struct store *store);

/* Is there one already? store_open() else makes it. */
bool store_is_there(const char *state_dir);

/*
 * Calls `call` while no thread opens or closes the environment: the regions stay mapped where they are. False: one does at this
 * moment, and nothing was called. Never waits.
 */
bool store_keep_regions(struct store *store, void (*call)(void));

typedef enum err_code store_body(struct store_txn *txn, void *arg, struct err *err);

/* ERR_RETRY: no transaction got through for seconds, or the disk is full. */
enum err_code store_txn(struct store *store, store_body *body, void *arg, struct err *err);

/* What is to be done in a transaction of its own, though not by a thread of its own. */
struct store_job {
    store_body *body;
    void *arg;
    const char *about; /* as for log_about(), while the body runs; NULL: as the thread's */
    int64_t since_ms;  /* since when it waits, by the monotonic clock: after 6 s store_txn_all() gives up */
    /* When it is over, as store_txn() would return it. */
    enum err_code code;
    struct err err;
    /* For whoever has it at the time. */
    void *owner;
    struct store_job *next;
};

enum { STORE_JOBS_MAX = 16 /* at once; a transaction takes a tenth of a millisecond */ };

/* NULL: there is none now. Called by whichever thread is at it, which others wait for: it must not wait itself. */
typedef struct store_job *store_next_job(void *arg);
typedef void store_job_done(struct store_job *job);

/*
 * As store_txn(), for each job that next() gives until there is none, or there are STORE_JOBS_MAX: those who come while others
 * are run are run behind them, and all wait for the disk at once. Calls done() for each in the thread that called this, not
 * always in their order: with the first of them that have to be run again the others do not wait.
 */
void store_txn_all(struct store *store, store_next_job *next, void *arg, store_job_done *done);

/*
 * Called by a body: store_txn() does not wait for the disk this time. A crash of the machine may take what it wrote, and what
 * it read, though others will never see the one without the other. For what is harmless to lose, and for reads that nothing
 * is done upon outside of prgate before another transaction has waited. It holds for this run of the body alone.
 */
void store_need_not_wait(struct store_txn *txn);

enum store_access {
    STORE_READ,
    STORE_LOCK /* exclusively: nobody else reads it for update until this transaction ends */
};

/* Replaces the content of *value. ERR_NOT_FOUND: no such key; with STORE_LOCK its place is locked all the same. */
enum err_code store_get(struct store_txn *txn, enum store_table table, struct bytes key,
                        enum store_access access, struct buf *value, struct err *err);
enum err_code store_put(struct store_txn *txn, enum store_table table, struct bytes key, struct bytes value,
                        struct err *err);
/* ERR_CONFLICT: there is one already, and it stays. */
enum err_code store_insert(struct store_txn *txn, enum store_table table, struct bytes key,
                           struct bytes value, struct err *err);
/* ERR_NOT_FOUND: no such key. */
enum err_code store_delete(struct store_txn *txn, enum store_table table, struct bytes key, struct err *err);

/*
 * The first entry whose key is not less than *key and starts with `prefix`: replaces *key and, if it is not
 * NULL, *value. ERR_NOT_FOUND: none. To walk on, add a zero byte to the key that was found.
 */
enum err_code store_next(struct store_txn *txn, enum store_table table, struct bytes prefix, struct buf *key,
                         struct buf *value, struct err *err);

/*
 * The last entry whose key is less than *key and starts with `prefix`: replaces *key and, if it is not NULL, *value.
 * ERR_NOT_FOUND: none, or the last one below *key lies elsewhere.
 */
enum err_code store_prev(struct store_txn *txn, enum store_table table, struct bytes prefix, struct buf *key,
                         struct buf *value, struct err *err);

/* Writes a checkpoint when enough was logged, and removes logs that no recovery needs. Any process, any time. */
enum err_code store_checkpoint(struct store *store, struct err *err);

/*
 * Copies the store, which may be in use, to DIR/db, and verifies the copy: it holds all that was committed before
 * the call. `dir` is made, or exists and is empty. After an error, or a crash, there is no DIR/db. ERR_CORRUPT, or
 * ERR_FATAL: the store is damaged, the text names the file.
 */
enum err_code store_backup(struct store *store, const char *dir, struct err *err);

/* Reads the log from end to end, with its checksums. ERR_FATAL: it is damaged, the text says where. */
enum err_code store_check_log(struct store *store, uint64_t *records, struct err *err);

/*
 * Puts a backup in place as STATE_DIR/db, which must hold no store. All of it or nothing; the backup stays as it is.
 * ERR_REJECT: there is one, or `backup` is none. For when no process has the state directory open.
 */
enum err_code store_restore(const char *state_dir, const char *backup, struct err *err);

/* The directory, where it is missing; its parent must be there. */
enum err_code store_make_dir(const char *dir, struct err *err);

/* Removes STATE_DIR/db if it has no entry but installation tokens. ERR_REJECT: it has. For when nobody has it open. */
enum err_code store_remove_empty(const char *state_dir, struct err *err);

/* Removes `state_dir` and the store in it, whatever that holds, and nothing else. ERR_OK: it is not there (any more). */
enum err_code store_remove(const char *state_dir, struct err *err);

/* Why Berkeley DB cannot work on file systems of this kind (statfs(2)'s f_type); NULL: it can. Valid for ever. */
const char *store_network_name(long type);

struct store_stats {
    uint64_t commits;      /* by this process, of transactions that wrote something */
    uint64_t transactions; /* and of those that only read, too */
    uint64_t retries;      /* transactions run again because another was in the way */
    uint64_t recoveries;   /* environments opened anew since the start */
};
struct store_stats store_get_stats(struct store *store);

const char *store_table_name(enum store_table table);

#endif
