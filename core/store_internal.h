/*
 * store_internal: what the store*.c files share, and nobody else includes.
 *
 *   store.c          the environment, its recovery, transactions, access
 *   store_sync.c     a sync that failed stays failed
 *   store_backup.c   a copy of a store in use, recovered and verified; putting one in place
 */
#ifndef PRGATE_STORE_INTERNAL_H
#define PRGATE_STORE_INTERNAL_H

#include <db.h>
#include <pthread.h>
#include <stdatomic.h>

#include "fence.h"
#include "prgate/batch.h"
#include "prgate/store.h"
#include "turn.h"

enum { STORE_PAGE_SIZE = 4096, STORE_MESSAGE_SIZE = 200 };

struct store {
    char *home;             /* STATE_DIR/db */
    pthread_rwlock_t guard; /* of env and tables */
    DB_ENV *env;
    DB *tables[TABLE_END];
    struct fence fence;
    struct turn turn;
    uint32_t turn_number; /* of the batch that is run */
    struct batches batches;
    bool panicked; /* joining failed though nobody died: to be recovered */
    bool opened;   /* once: from then on no table is made */
    pthread_t watchdog, keeper;
    pthread_mutex_t message_mutex;
    char message[STORE_MESSAGE_SIZE]; /* the first of Berkeley DB's complaints not yet told */
    /* What the watchdog must be able to see and say while a stuck thread holds the guard. */
    atomic_ulong region;    /* inode of __db.001 when the environment was opened */
    atomic_ulong directory; /* inode of `home` itself */
    atomic_bool held;       /* the environment is open: who wants to recover waits for this process */
    atomic_bool replaced;   /* it is another by now, or gone: whoever comes opens anew */
    atomic_bool alone;      /* recovering: nobody else can hold anything up */
    atomic_bool handling;   /* a thread is opening or closing the environment */
    atomic_int handler;     /* and this clock runs when it does */
    atomic_bool closed;     /* nothing is left to watch */
    atomic_bool stopping;
    atomic_uint_fast64_t commits, transactions, retries, recoveries;
};

/* Of the file PATH/NAME, or of PATH itself where `name` is NULL; 0: there is none. */
unsigned long store_inode(const char *path, const char *name);

/* Page size, cache, sizes of log and locks; and messages to the store's log. `store` may be NULL. */
int store_configure(struct store *store, DB_ENV *env);

/* Berkeley DB's code as an error that names the file or directory and the remedy. `store` may be NULL. */
enum err_code store_fatal(struct store *store, int code, const char *verb, const char *what, struct err *err);

/* Refuses what Berkeley DB's regions do not work on; `dir` exists. */
enum err_code store_refuse_network(const char *dir, struct err *err);

/* Has Berkeley DB sync by way of store_sync.c, which see. For each store_open(). */
void store_watch_syncs(void);
bool store_sync_failed(void);

/* Of the mark that says so to all processes. Before the environment panics, so that who recovers finds it. */
enum err_code store_mark_unsynced(const char *home, struct err *err);
bool store_is_unsynced(const char *home);

/* While nobody has the environment open: the files of log and tables are on disk afterwards. ERR_FATAL: they are not. */
enum err_code store_rewrite_files(const char *home, struct err *err);
/* The recovery from them is over, too: takes the mark away. ERR_FATAL: a sync of it failed, the mark stays. */
enum err_code store_end_unsynced(const char *home, struct err *err);

/* Is all there of the log that a page with this number needs? `end`: where the log ends. */
bool store_log_reaches(const char *home, const DB_LSN *lsn, const DB_LSN *end);
enum err_code store_say_log_cut(const char *home, const DB_LSN *lsn, const char *what, struct err *err);

/*
 * The lock that keeps log files from being removed: shared by those who copy them, exclusive for who removes them.
 * The kernel lets it go with the process. -1: not to be had; errno says why.
 */
int store_lock_logs(const char *home, bool exclusive);

#endif
