/*
 * Berkeley DB in a pool of processes any of which may be killed at any instruction.
 *
 * A process that dies inside the library leaves locks, mutexes and half-written
 * pages in regions that the others share. What survives that, by measurement
 * (docs/architecture.md):
 *
 *  - DB_REGISTER | DB_RECOVER: a process that opens the environment and finds
 *    that a registered one has died replaces the regions and recovers from the log.
 *  - The first one after a boot (boot.h), and whoever finds no regions, recovers in any case.
 *  - Every transaction is DB_TXN_NOWAIT: nobody ever sleeps in a lock that lives in
 *    regions that may be replaced. In its place: abort, pause a little, again.
 *  - DB_RUNRECOVERY means that the regions are gone: close the handle, open anew.
 *  - A watchdog looks whether __db.001 is still the file that was opened. If not, it
 *    opens the environment anew, and if it cannot get at the handle because a thread is
 *    stuck in the library for good, it ends the process: whoever started it starts another.
 *
 * The handle is guarded by a rwlock: transactions hold it shared, re-opening exclusively.
 */
#include "prgate/store.h"

#include <db.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "boot.h"
#include "prgate/log.h"

enum {
    PAGE_SIZE = 4096,
    CACHE_BYTES = 8 * 1024 * 1024,
    LOG_FILE_BYTES = 4 * 1024 * 1024,
    LOCKS_MAX = 20000,
    TXNS_MAX = 1000,
    CHECKPOINT_KB = 1024,
    CHECKPOINT_MIN = 5,
    TXN_GIVE_UP_MS = 6000, /* GitHub hangs up after 10 s: answer 503 before it does */
    HOLDER_DEAD_MS = 1500, /* no transaction waits this long for a living one: somebody died holding locks */
    WATCHDOG_POLL_MS = 50,
    WATCHDOG_STUCK_MS = 1000,  /* longer than any sync of a healthy disk */
    WATCHDOG_REOPEN_MS = 10000 /* another process may be recovering a long log */
};

struct store {
    char *home;             /* STATE_DIR/db */
    pthread_rwlock_t guard; /* of env and tables */
    DB_ENV *env;
    DB *tables[TABLE_END];
    pthread_t watchdog;
    /* What the watchdog must be able to see and say while a stuck thread holds the guard. */
    atomic_ulong region;   /* inode of __db.001 when the environment was opened */
    atomic_bool replaced;  /* it is another by now: whoever comes opens anew */
    atomic_bool reopening; /* and somebody is at it */
    atomic_bool stopping;
    atomic_uint_fast64_t commits, retries, recoveries;
};

struct store_txn {
    struct store *store;
    DB_TXN *txn;
    bool wrote;
    bool again;   /* DB_LOCK_DEADLOCK or DB_LOCK_NOTGRANTED was met */
    bool recover; /* DB_RUNRECOVERY was met */
};

/* What a store on PostgreSQL or a newer Berkeley DB must be able to find again: never reorder. */
static const char *const table_names[TABLE_END] = {
    [TABLE_PR] = "pr",         [TABLE_INBOX] = "inbox",
    [TABLE_SEEN] = "seen",     [TABLE_INTENT] = "intent",
    [TABLE_DEAD] = "dead",     [TABLE_LEDGER] = "ledger",
    [TABLE_NAME] = "name",     [TABLE_TRUST] = "trust",
    [TABLE_SHARED] = "shared", [TABLE_QUARANTINE] = "quarantine",
    [TABLE_HEAD] = "head",
};

const char *store_table_name(enum store_table table)
{
    return table < TABLE_END ? table_names[table] : "?";
}

struct bytes buf_bytes(const struct buf *b)
{
    return (struct bytes){.data = b->data, .len = b->len};
}

static int64_t monotonic_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void pause_us(long us)
{
    struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    nanosleep(&t, NULL);
}

/* 0 to ceiling - 1: enough chance to keep processes from colliding in step. */
static long jitter(long ceiling)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return ((t.tv_nsec / 64 * 2654435761L + getpid() * 40503L) & 0x7fffffff) % ceiling;
}

/* ---- the directory ---------------------------------------------------- */

/* Shared memory regions are files mapped by every process: that does not work across a network. */
static enum err_code refuse_network(const char *dir, struct err *err)
{
    static const struct {
        long magic;
        const char *name;
    } network[] = {
        {0x6969, "NFS"},      {0x517B, "SMB"},       {0xFF534D42, "CIFS"}, {0xFE534D42, "SMB2"},
        {0x5346414F, "AFS"},  {0x01021997, "9p"},    {0x00C36400, "Ceph"}, {0x0BD00BD0, "Lustre"},
        {0x47504653, "GPFS"}, {0x7461636F, "OCFS2"}, {0x01161970, "GFS2"}, {0x564C, "NCP"},
    };
    struct statfs fs;
    if (statfs(dir, &fs) != 0)
        return err_set(err, ERR_FATAL, errno, "cannot look at %s: %s", dir, strerror(errno));
    for (size_t i = 0; i < sizeof network / sizeof *network; i++)
        if ((fs.f_type & 0xFFFFFFFFL) == (network[i].magic & 0xFFFFFFFFL))
            return err_set(err, ERR_FATAL, 0,
                           "%s lies on a network file system (%s), where Berkeley DB's shared regions do not "
                           "work: set state_dir to a directory on a local disk",
                           dir, network[i].name);
    return ERR_OK;
}

static enum err_code make_dir(const char *dir, struct err *err)
{
    if (mkdir(dir, 0700) == 0 || errno == EEXIST)
        return ERR_OK;
    return err_set(err, ERR_FATAL, errno,
                   "cannot create %s: %s; create it and give it to the user that prgate runs as", dir,
                   strerror(errno));
}

static unsigned long region_inode(const char *home)
{
    struct buf path;
    buf_init(&path);
    buf_addf(&path, "%s/__db.001", home);
    struct stat st;
    unsigned long inode = stat(buf_text(&path), &st) == 0 ? st.st_ino : 0;
    buf_release(&path);
    return inode;
}

/* ---- opening and closing the handle ------------------------------------ */

static void on_db_message(const DB_ENV *env, const char *prefix, const char *message)
{
    (void)env, (void)prefix;
    /* Dozens of lines when regions are replaced; what matters comes back as an error, too. */
    log_debug("Berkeley DB", LOG_STR("message", message));
}

static enum err_code fatal_db(struct err *err, int code, const char *verb, const char *what)
{
    if (code == ENOSPC)
        return err_set(err, ERR_RETRY, code, "%s %s: no space left on the disk", verb, what);
    return err_set(err, ERR_FATAL, code, "%s %s: %s", verb, what, db_strerror(code));
}

/* The handle is gone afterwards whatever the calls return: after DB_RUNRECOVERY they all complain. */
static void close_handle(struct store *store)
{
    for (int i = 0; i < TABLE_END; i++) {
        if (store->tables[i] != NULL)
            store->tables[i]->close(store->tables[i], DB_NOSYNC);
        store->tables[i] = NULL;
    }
    if (store->env != NULL)
        store->env->close(store->env, 0);
    store->env = NULL;
}

static int configure(DB_ENV *env)
{
    int code = env->set_cachesize(env, 0, CACHE_BYTES, 1);
    if (code == 0)
        code = env->set_lg_max(env, LOG_FILE_BYTES);
    if (code == 0)
        code = env->set_lk_max_locks(env, LOCKS_MAX);
    if (code == 0)
        code = env->set_lk_max_objects(env, LOCKS_MAX);
    if (code == 0)
        code = env->set_lk_max_lockers(env, LOCKS_MAX);
    if (code == 0)
        code = env->set_tx_max(env, TXNS_MAX);
    if (code == 0)
        code = env->log_set_config(env, DB_LOG_AUTO_REMOVE, 1);
    return code;
}

/* With DB_REGISTER: recovers if a registered process died. Without: recovers. */
static enum err_code open_env(struct store *store, u_int32_t registered, struct err *err)
{
    int code = db_env_create(&store->env, 0);
    if (code != 0)
        return fatal_db(err, code, "creating a handle for", store->home);
    store->env->set_errcall(store->env, on_db_message);
    code = configure(store->env);
    if (code == 0)
        code = store->env->open(store->env, store->home,
                                DB_CREATE | DB_THREAD | DB_INIT_TXN | DB_INIT_LOCK | DB_INIT_LOG |
                                    DB_INIT_MPOOL | DB_RECOVER | registered,
                                0600);
    if (code == DB_VERSION_MISMATCH)
        return err_set(
            err, ERR_FATAL, code,
            "%s was written by another version of Berkeley DB than %s: move it with that version's "
            "db5.3_dump and load it with this one's",
            store->home, db_version(NULL, NULL, NULL));
    if (code != 0)
        return fatal_db(err, code, "opening the Berkeley DB environment in", store->home);
    return ERR_OK;
}

/*
 * What was committed may be in the log alone though every process ended well: see boot.h. The same goes for
 * a directory without regions, be it that somebody removed them or that it comes out of a backup.
 */
static enum err_code recover_unless_done(struct store *store, struct boot_mark *mark, struct err *err)
{
    if (boot_mark_is_set(mark) && region_inode(store->home) != 0)
        return ERR_OK;
    enum err_code code = boot_mark_lock(mark, err);
    /* While we had no lock, another one may have done it. */
    if (code != ERR_OK || (boot_mark_is_set(mark) && region_inode(store->home) != 0))
        return code;
    code = open_env(store, 0, err);
    close_handle(store);
    if (code == ERR_OK)
        boot_mark_set(mark);
    return code;
}

static enum err_code open_recovered_env(struct store *store, struct err *err)
{
    struct boot_mark mark;
    enum err_code code = boot_mark_open(&mark, store->home, err);
    if (code == ERR_OK)
        code = recover_unless_done(store, &mark, err);
    if (code == ERR_OK)
        code = open_env(store, DB_REGISTER, err);
    boot_mark_close(&mark);
    return code;
}

static enum err_code open_table(struct store *store, int table, struct err *err)
{
    char file[32];
    DB **db = &store->tables[table];
    int code = db_create(db, store->env, 0);
    if (code == 0)
        code = (*db)->set_pagesize(*db, PAGE_SIZE);
    if (code == 0) {
        snprintf(file, sizeof file, "%s.db", table_names[table]);
        code = (*db)->open(*db, NULL, file, NULL, DB_BTREE, DB_CREATE | DB_THREAD | DB_AUTO_COMMIT, 0600);
    }
    return code == 0 ? ERR_OK : fatal_db(err, code, "opening table", table_names[table]);
}

/*
 * Opening can meet another process that is recovering at this moment, or whose
 * transaction creates the same table: then it is tried again.
 */
static bool passes_by_itself(int code)
{
    return code == DB_RUNRECOVERY || code == DB_LOCK_DEADLOCK || code == DB_LOCK_NOTGRANTED ||
           code == EAGAIN || code == EBUSY || code == ENOENT;
}

static enum err_code open_handle(struct store *store, struct err *err)
{
    int64_t give_up = monotonic_ms() + TXN_GIVE_UP_MS;
    for (;;) {
        struct err why = {0};
        enum err_code code = open_recovered_env(store, &why);
        for (int i = 0; i < TABLE_END && code == ERR_OK; i++)
            code = open_table(store, i, &why);
        if (code == ERR_OK) {
            atomic_store(&store->region, region_inode(store->home));
            atomic_store(&store->replaced, false);
            return ERR_OK;
        }
        close_handle(store);
        if (!passes_by_itself(why.number) || monotonic_ms() > give_up) {
            *err = why;
            return code;
        }
        pause_us(1000 + jitter(20000));
    }
}

/* The caller holds the guard exclusively. */
static enum err_code reopen_handle(struct store *store, struct err *err)
{
    atomic_store(&store->reopening, true);
    close_handle(store);
    enum err_code code = open_handle(store, err);
    if (code == ERR_OK)
        atomic_fetch_add(&store->recoveries, 1);
    atomic_store(&store->reopening, false);
    return code;
}

/* Opens anew unless another thread was quicker: `seen` is the region that was met broken. */
static enum err_code recover(struct store *store, unsigned long seen, struct err *err)
{
    pthread_rwlock_wrlock(&store->guard);
    enum err_code code = ERR_OK;
    if (store->env == NULL || atomic_load(&store->region) == seen || atomic_load(&store->replaced))
        code = reopen_handle(store, err);
    pthread_rwlock_unlock(&store->guard);
    return code == ERR_OK ? ERR_OK : err_wrap(err, "opening the store anew");
}

/* ---- the watchdog ------------------------------------------------------ */

static bool region_was_replaced(struct store *store)
{
    unsigned long now = region_inode(store->home);
    return now != 0 && now != atomic_load(&store->region);
}

/* Without waiting: a thread that is stuck in the library never lets the guard go. */
static void try_to_catch_up(struct store *store)
{
    struct err err = {0};
    if (pthread_rwlock_trywrlock(&store->guard) != 0)
        return;
    if (region_was_replaced(store) && reopen_handle(store, &err) != ERR_OK)
        log_warning("the store cannot be opened anew yet", LOG_STR("error", err.text));
    pthread_rwlock_unlock(&store->guard);
}

static void *watch(void *arg)
{
    struct store *store = arg;
    int64_t since = 0;
    while (!atomic_load(&store->stopping)) {
        pause_us(WATCHDOG_POLL_MS * 1000L);
        if (region_was_replaced(store)) {
            atomic_store(&store->replaced, true);
            try_to_catch_up(store);
        }
        if (!region_was_replaced(store)) {
            since = 0;
            continue;
        }
        int64_t now = monotonic_ms();
        if (since == 0)
            since = now;
        if (now - since < (atomic_load(&store->reopening) ? WATCHDOG_REOPEN_MS : WATCHDOG_STUCK_MS))
            continue;
        /* Claims and intents are data and wait for whoever comes next: ending here loses nothing. */
        log_error("a thread is stuck in Berkeley DB regions that were replaced: this process ends",
                  LOG_STR("home", store->home));
        _exit(75);
    }
    return NULL;
}

/* Re-opening must get in between transactions that never pause. */
static void init_guard(pthread_rwlock_t *guard)
{
    pthread_rwlockattr_t attr;
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(guard, &attr);
    pthread_rwlockattr_destroy(&attr);
}

/* ---- open and close ------------------------------------------------------ */

enum err_code store_open(struct store **out, const char *state_dir, struct err *err)
{
    struct store *store = mem_alloc(sizeof *store);
    *store = (struct store){0};
    struct buf home;
    buf_init(&home);
    buf_addf(&home, "%s/db", state_dir);
    store->home = mem_strdup(buf_text(&home));
    buf_release(&home);
    init_guard(&store->guard);

    enum err_code code = make_dir(state_dir, err);
    if (code == ERR_OK)
        code = refuse_network(state_dir, err);
    if (code == ERR_OK)
        code = make_dir(store->home, err);
    if (code == ERR_OK)
        code = open_handle(store, err);
    if (code == ERR_OK && pthread_create(&store->watchdog, NULL, watch, store) != 0)
        code = err_set(err, ERR_FATAL, errno, "cannot start the store's watchdog thread");
    if (code == ERR_OK) {
        *out = store;
        return ERR_OK;
    }
    close_handle(store);
    pthread_rwlock_destroy(&store->guard);
    free(store->home);
    free(store);
    return code;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    atomic_store(&store->stopping, true);
    pthread_join(store->watchdog, NULL);
    close_handle(store);
    pthread_rwlock_destroy(&store->guard);
    free(store->home);
    free(store);
}

/* ---- transactions ---------------------------------------------------------- */

/* Notes what Berkeley DB said and turns it into what the caller is to do. */
static enum err_code db_error(struct store_txn *txn, int code, enum store_table table, struct err *err)
{
    if (code == 0)
        return ERR_OK;
    if (code == DB_NOTFOUND)
        return err_set(err, ERR_NOT_FOUND, 0, "not in table %s", table_names[table]);
    if (code == DB_KEYEXIST)
        return err_set(err, ERR_CONFLICT, 0, "already in table %s", table_names[table]);
    if (code == DB_LOCK_DEADLOCK || code == DB_LOCK_NOTGRANTED)
        txn->again = true;
    if (code == DB_RUNRECOVERY)
        txn->recover = true;
    return err_set(err, ERR_RETRY, code, "table %s: %s", table_names[table], db_strerror(code));
}

enum attempt { ATTEMPT_DONE, ATTEMPT_AGAIN, ATTEMPT_RECOVER };

/* One run of the body. The caller holds the guard shared. */
static enum attempt attempt(struct store *store, store_body *body, void *arg, enum err_code *code,
                            struct err *err)
{
    struct store_txn txn = {.store = store};
    int db = store->env->txn_begin(store->env, NULL, &txn.txn, DB_TXN_NOWAIT);
    if (db != 0) {
        *code = err_set(err, ERR_RETRY, db, "beginning a transaction: %s", db_strerror(db));
        return db == DB_RUNRECOVERY ? ATTEMPT_RECOVER : ATTEMPT_AGAIN;
    }
    *code = body(&txn, arg, err);
    if (*code != ERR_OK || txn.again || txn.recover) {
        db = txn.txn->abort(txn.txn);
        if (txn.recover || db == DB_RUNRECOVERY)
            return ATTEMPT_RECOVER;
        return txn.again ? ATTEMPT_AGAIN : ATTEMPT_DONE;
    }
    /* A crash before the commit's log record is on disk undoes all of the body, after it none. */
    db = txn.txn->commit(txn.txn, DB_TXN_SYNC);
    if (db == 0) {
        if (txn.wrote)
            atomic_fetch_add(&store->commits, 1);
        return ATTEMPT_DONE;
    }
    *code = err_set(err, ERR_RETRY, db, "committing: %s", db_strerror(db));
    return db == DB_RUNRECOVERY ? ATTEMPT_RECOVER : ATTEMPT_DONE;
}

/* The first retries come quickly, since the other transaction is short; then they spread out. */
static void back_off(unsigned tries)
{
    long ceiling = tries < 4 ? 200 : tries < 16 ? 2000 : 20000;
    pause_us(50 + jitter(ceiling));
}

enum err_code store_txn(struct store *store, store_body *body, void *arg, struct err *err)
{
    int64_t start = monotonic_ms();
    bool suspected = false;
    for (unsigned tries = 0;; tries++) {
        struct err why = {0};
        enum err_code code = ERR_RETRY;
        pthread_rwlock_rdlock(&store->guard);
        unsigned long region = atomic_load(&store->region);
        bool usable = store->env != NULL && !atomic_load(&store->replaced);
        enum attempt result = usable ? attempt(store, body, arg, &code, &why) : ATTEMPT_RECOVER;
        pthread_rwlock_unlock(&store->guard);
        if (result == ATTEMPT_DONE) {
            if (code != ERR_OK && err != NULL)
                *err = why;
            return code;
        }
        int64_t waited = monotonic_ms() - start;
        if (waited > TXN_GIVE_UP_MS)
            return err_set(err, ERR_RETRY, why.number, "no transaction got through in %d ms: %s", (int)waited,
                           why.text);
        /* Locks of a process that died stay until somebody opens the environment and recovers it. */
        if (result == ATTEMPT_AGAIN && waited > HOLDER_DEAD_MS && !suspected) {
            suspected = true;
            result = ATTEMPT_RECOVER;
        }
        if (result == ATTEMPT_RECOVER && recover(store, region, &why) == ERR_FATAL)
            return err_set(err, ERR_RETRY, why.number, "%s", why.text);
        atomic_fetch_add(&store->retries, 1);
        back_off(tries);
    }
}

/* ---- access ------------------------------------------------------------------ */

static DBT borrowed(struct bytes bytes)
{
    DBT dbt = {0};
    /* The library's type is not const, but it does not write through a key or a value to put. */
    memcpy(&dbt.data, &bytes.data, sizeof dbt.data);
    dbt.size = (u_int32_t)bytes.len;
    return dbt;
}

/* Results are malloc()ed by the library and moved into the caller's buffer here, nowhere else. */
static DBT received(void)
{
    DBT dbt = {0};
    dbt.flags = DB_DBT_MALLOC;
    return dbt;
}

static void move_out(DBT *dbt, struct buf *to)
{
    if (dbt->data == NULL)
        return;
    if (to != NULL) {
        buf_clear(to);
        buf_add(to, dbt->data, dbt->size);
    }
    free(dbt->data);
    dbt->data = NULL;
}

enum err_code store_get(struct store_txn *txn, enum store_table table, struct bytes key,
                        enum store_access access, struct buf *value, struct err *err)
{
    DB *db = txn->store->tables[table];
    DBT k = borrowed(key), v = received();
    int code = db->get(db, txn->txn, &k, &v, access == STORE_LOCK ? DB_RMW : 0);
    if (code == 0) {
        buf_clear(value);
        move_out(&v, value);
    }
    return db_error(txn, code, table, err);
}

static enum err_code put(struct store_txn *txn, enum store_table table, struct bytes key, struct bytes value,
                         u_int32_t flags, struct err *err)
{
    DB *db = txn->store->tables[table];
    DBT k = borrowed(key), v = borrowed(value);
    txn->wrote = true;
    return db_error(txn, db->put(db, txn->txn, &k, &v, flags), table, err);
}

enum err_code store_put(struct store_txn *txn, enum store_table table, struct bytes key, struct bytes value,
                        struct err *err)
{
    return put(txn, table, key, value, 0, err);
}

enum err_code store_insert(struct store_txn *txn, enum store_table table, struct bytes key,
                           struct bytes value, struct err *err)
{
    return put(txn, table, key, value, DB_NOOVERWRITE, err);
}

enum err_code store_delete(struct store_txn *txn, enum store_table table, struct bytes key, struct err *err)
{
    DB *db = txn->store->tables[table];
    DBT k = borrowed(key);
    txn->wrote = true;
    return db_error(txn, db->del(db, txn->txn, &k, 0), table, err);
}

/* As the tables sort: byte by byte, and what ends first comes first. */
static bool sorts_before(struct bytes a, struct bytes b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);
    return order < 0 || (order == 0 && a.len < b.len);
}

static bool starts_with(const DBT *key, struct bytes prefix)
{
    return key->size >= prefix.len && memcmp(key->data, prefix.data, prefix.len) == 0;
}

/* Takes what a cursor found if it lies under the prefix. */
static int accept_found(DBT *k, DBT *v, struct bytes prefix, struct buf *key, struct buf *value)
{
    bool inside = prefix.len == 0 || starts_with(k, prefix);
    move_out(k, inside ? key : NULL);
    move_out(v, inside ? value : NULL);
    return inside ? 0 : DB_NOTFOUND;
}

enum err_code store_next(struct store_txn *txn, enum store_table table, struct bytes prefix, struct buf *key,
                         struct buf *value, struct err *err)
{
    DB *db = txn->store->tables[table];
    DBC *cursor;
    int code = db->cursor(db, txn->txn, &cursor, 0);
    if (code != 0)
        return db_error(txn, code, table, err);
    bool before = sorts_before(buf_bytes(key), prefix);
    DBT start = borrowed(before ? prefix : buf_bytes(key));
    DBT k = received(), v = received();
    /* DB_SET_RANGE reads the key it starts from and replaces it by the one it found. */
    k.data = mem_alloc(start.size);
    k.size = start.size;
    if (start.size > 0)
        memcpy(k.data, start.data, start.size);
    void *given = k.data;
    code = cursor->get(cursor, &k, &v, DB_SET_RANGE);
    if (k.data != given)
        free(given);
    if (code == 0)
        code = accept_found(&k, &v, prefix, key, value);
    else
        free(k.data);
    cursor->close(cursor);
    return db_error(txn, code, table, err);
}

enum err_code store_checkpoint(struct store *store, struct err *err)
{
    pthread_rwlock_rdlock(&store->guard);
    int code = store->env == NULL ? DB_RUNRECOVERY
                                  : store->env->txn_checkpoint(store->env, CHECKPOINT_KB, CHECKPOINT_MIN, 0);
    pthread_rwlock_unlock(&store->guard);
    if (code == 0)
        return ERR_OK;
    return err_set(err, ERR_RETRY, code, "writing a checkpoint: %s", db_strerror(code));
}

struct store_stats store_get_stats(struct store *store)
{
    return (struct store_stats){.commits = atomic_load(&store->commits),
                                .retries = atomic_load(&store->retries),
                                .recoveries = atomic_load(&store->recoveries)};
}
