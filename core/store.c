/*
 * Berkeley DB in a pool of processes any of which may be killed at any instruction.
 *
 * A process that dies inside the library leaves locks, mutexes and half-written
 * pages in regions that the others share. What survives that, by measurement
 * (docs/architecture.md):
 *
 *  - A process that opens the environment and finds that another one died with it open (fence.h) replaces the regions
 *    and recovers from the log, once all the others have let go of it.
 *  - The first one after a boot (boot.h), and whoever finds no regions, recovers in any case.
 *  - Every transaction is DB_TXN_NOWAIT: nobody ever sleeps in a lock that lives in
 *    regions that may be replaced. In its place: abort, pause a little, again.
 *  - Transactions take turns (turn.h), those of one process in batches (batch.h), so that hardly any is run again. They
 *    end before their log is on disk, and are told of only after it: see begin_batch().
 *  - DB_RUNRECOVERY means that the regions are gone: close the handle, open anew.
 *  - A keeper looks whether somebody waits to recover, or whether __db.001 is not the file any more that was opened.
 *    Then it opens the environment anew.
 *  - A watchdog ends the process where a thread is stuck in the library for good, waiting for a mutex that
 *    a dead process holds: whoever started it starts another. It never calls the library, and it
 *    is there before the environment is opened for the first time.
 *  - The directory itself may be taken away. Commits would go on into files without a name, so each one that waits
 *    for the disk looks whether it is still there. While it is gone every transaction fails; when another stands in its
 *    place the process ends, because its mark in alive/ went with the old one.
 *
 * The handle is guarded by a rwlock: transactions hold it shared, re-opening exclusively.
 */
#include "store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "boot.h"
#include "prgate/clock.h"
#include "prgate/fiber.h"
#include "prgate/log.h"
#include "prgate/text.h"

enum {
    CACHE_BYTES = 768 * 1024, /* shared, and counted in each process; what it has not, the kernel has */
    LOG_FILE_BYTES = 1024 * 1024,
    LOCKS_MAX = 20000,
    LOCK_BUCKETS = 1021, /* not one for each of 20,000, on as many pages */
    TXNS_MAX = 1000,
    CHECKPOINT_KB = 1024,
    CHECKPOINT_MIN = 5,
    TXN_GIVE_UP_MS = 6000, /* GitHub hangs up after 10 s: answer 503 before it does, if the disk lets us */
    HOLDER_DEAD_MS = 1500, /* no transaction waits this long for a living one: somebody died holding locks */
    WATCHDOG_POLL_MS = 50,
    WATCHDOG_STUCK_MS = 500,  /* while others wait: a thread that most likely waits for the dead */
    WATCHDOG_IDLE_MS = 3000,  /* opening or closing without using processor time: longer than many syncs */
    REGION_MISSING_MS = 1000, /* nobody needs this long between taking regions away and making new ones */
    TABLE_EMPTY_BYTES = 2 * STORE_PAGE_SIZE /* a table has this many from its making on */
};

struct store_txn {
    struct store *store;
    DB_TXN *txn;
    bool wrote;
    bool need_not_wait;
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
    [TABLE_HEAD] = "head",     [TABLE_BUDGET] = "budget",
};

const char *store_table_name(enum store_table table)
{
    return table < TABLE_END ? table_names[table] : "?";
}

struct bytes buf_bytes(const struct buf *b)
{
    return (struct bytes){.data = b->data, .len = b->len};
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
const char *store_network_name(long type)
{
    static const struct {
        long magic;
        const char *name;
    } network[] = {
        {0x6969, "NFS"},      {0x517B, "SMB"},       {0xFF534D42, "CIFS"}, {0xFE534D42, "SMB2"},
        {0x5346414F, "AFS"},  {0x01021997, "9p"},    {0x00C36400, "Ceph"}, {0x0BD00BD0, "Lustre"},
        {0x47504653, "GPFS"}, {0x7461636F, "OCFS2"}, {0x01161970, "GFS2"}, {0x564C, "NCP"},
    };
    for (size_t i = 0; i < sizeof network / sizeof *network; i++)
        if ((type & 0xFFFFFFFFL) == (network[i].magic & 0xFFFFFFFFL))
            return network[i].name;
    return NULL;
}

enum err_code store_refuse_network(const char *dir, struct err *err)
{
    struct statfs fs;
    if (statfs(dir, &fs) != 0)
        return err_set(err, ERR_FATAL, errno, "cannot look at %s: %s", dir, strerror(errno));
    const char *name = store_network_name((long)fs.f_type);
    if (name == NULL)
        return ERR_OK;
    return err_set(err, ERR_FATAL, 0,
                   "%s lies on a network file system (%s), where Berkeley DB's shared regions do not "
                   "work: set state_dir to a directory on a local disk",
                   dir, name);
}

enum err_code store_make_dir(const char *dir, struct err *err)
{
    if (mkdir(dir, 0700) == 0 || errno == EEXIST)
        return ERR_OK;
    return err_set(err, ERR_FATAL, errno,
                   "cannot create %s: %s; create it and give it to the user that prgate runs as", dir,
                   strerror(errno));
}

unsigned long store_inode(const char *path, const char *name)
{
    struct buf full;
    buf_init(&full);
    buf_addf(&full, name == NULL ? "%s" : "%s/%s", path, name);
    struct stat st;
    unsigned long inode = stat(buf_text(&full), &st) == 0 ? st.st_ino : 0;
    buf_release(&full);
    return inode;
}

/*
 * Tells the directory from another one that came in its place, whose inode may have the same number: a file system
 * gives that of what was removed to what is made next. 0: there is none.
 */
static unsigned long directory_id(const char *home)
{
#ifdef STATX_BTIME
    struct statx st;
    if (statx(AT_FDCWD, home, 0, STATX_INO | STATX_BTIME, &st) != 0)
        return 0;
    unsigned long id = (unsigned long)st.stx_ino;
    if ((st.stx_mask & STATX_BTIME) != 0)
        id = (id ^ (unsigned long)st.stx_btime.tv_sec * 1000003UL ^
              (unsigned long)st.stx_btime.tv_nsec << 20) |
             1;
    return id;
#else
    return store_inode(home, NULL);
#endif
}

static unsigned long region_inode(const char *home)
{
    return store_inode(home, "__db.001");
}

/* False: it is gone, or another stands in its place. */
static bool home_is_there(struct store *store)
{
    return directory_id(store->home) == atomic_load(&store->directory);
}

static enum err_code say_lost(struct store *store, struct err *err)
{
    return err_set(
        err, ERR_FATAL, 0,
        "%s is gone, and with it all that prgate knows: stop the pool, then put it back or restore a "
        "backup (prgatectl restore)",
        store->home);
}

int store_lock_logs(const char *home, bool exclusive)
{
    struct buf path;
    buf_init(&path);
    buf_addf(&path, "%s/archive.lock", home);
    int fd = open(buf_text(&path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    buf_release(&path);
    if (fd >= 0 && flock(fd, exclusive ? LOCK_EX | LOCK_NB : LOCK_SH) != 0) {
        int number = errno;
        close(fd);
        errno = number;
        return -1;
    }
    return fd;
}

/* ---- opening and closing the handle ------------------------------------ */

static void on_db_message(const DB_ENV *env, const char *prefix, const char *message)
{
    (void)prefix;
    struct store *store = env->app_private;
    if (store != NULL) {
        pthread_mutex_lock(&store->message_mutex);
        if (store->message[0] == '\0')
            snprintf(store->message, sizeof store->message, "%s", message);
        pthread_mutex_unlock(&store->message_mutex);
    }
    /* Dozens of lines when regions are replaced; what matters comes back as an error, too. */
    log_debug("Berkeley DB", LOG_STR("message", message));
}

static const char *remedy_for(int code)
{
    switch (code) {
    case ENOSPC:
    case EDQUOT:
        return "make room there; it goes on by itself";
    case EACCES:
    case EPERM:
        return "it must belong to the user that prgate runs as, and so must all in it: chown -R";
    case EROFS:
        return "the file system can only be read: mount it for writing, or set state_dir elsewhere";
    case EMFILE:
    case ENFILE:
        return "allow more open files (ulimit -n, LimitNOFILE=)";
    default:
        return "it may be damaged: prgatectl check tells more; if it is, stop the pool and restore a backup";
    }
}

enum err_code store_fatal(struct store *store, int code, const char *verb, const char *what, struct err *err)
{
    char message[STORE_MESSAGE_SIZE] = "";
    if (store != NULL) {
        pthread_mutex_lock(&store->message_mutex);
        memcpy(message, store->message, sizeof message);
        store->message[0] = '\0';
        pthread_mutex_unlock(&store->message_mutex);
    }
    bool passes = code == ENOSPC || code == EDQUOT;
    return err_set(err, passes ? ERR_RETRY : ERR_FATAL, code, "%s %s: %s%s%s%s; %s", verb, what,
                   db_strerror(code), message[0] == '\0' ? "" : " (", message, message[0] == '\0' ? "" : ")",
                   remedy_for(code));
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
    /* Last: from here on others may take the regions away. */
    fence_leave(&store->fence);
    atomic_store(&store->held, false);
}

int store_configure(struct store *store, DB_ENV *env)
{
    env->app_private = store;
    env->set_errcall(env, on_db_message);
    int code = env->set_cachesize(env, 0, CACHE_BYTES, 1);
    if (code == 0)
        code = env->set_lg_max(env, LOG_FILE_BYTES);
    /*
     * A new file of the log is filled with zeros, so that a sync within it has no blocks and no length to note beside the
     * data. Who is killed amid that leaves a file without a header, which recovery ignores and fills anew.
     */
    if (code == 0)
        code = env->log_set_config(env, DB_LOG_ZERO, 1);
    if (code == 0)
        code = env->set_lk_max_locks(env, LOCKS_MAX);
    if (code == 0)
        code = env->set_lk_max_objects(env, LOCKS_MAX);
    if (code == 0)
        code = env->set_lk_max_lockers(env, LOCKS_MAX);
    if (code == 0)
        code = env->set_lk_tablesize(env, LOCK_BUCKETS);
    if (code == 0)
        code = env->set_tx_max(env, TXNS_MAX);
    /* A region is written when it is made, so that a full disk is an error then and no SIGBUS later. */
    if (code == 0)
        code = env->set_flags(env, DB_REGION_INIT, 1);
    return code;
}

/*
 * Regions grow while they are used, by a hole at the end of a mapped file: to touch one on a full disk is SIGBUS.
 * So the room is taken beforehand. File systems that cannot do that are left as they are.
 */
static enum err_code reserve_regions(struct store *store, struct err *err)
{
    static const struct {
        const char *name;
        off_t bytes;
    } regions[] = {{"__db.001", 3 << 20}, {"__db.002", 1 << 20}, {"__db.003", CACHE_BYTES + CACHE_BYTES / 4}};
    struct buf path;
    buf_init(&path);
    int number = 0;
    for (size_t i = 0; i < sizeof regions / sizeof *regions && number == 0; i++) {
        buf_clear(&path);
        buf_addf(&path, "%s/%s", store->home, regions[i].name);
        int fd = open(buf_text(&path), O_RDWR | O_CLOEXEC);
#ifdef FALLOC_FL_KEEP_SIZE
        struct stat st;
        bool reserved = fd >= 0 && fstat(fd, &st) == 0 && (off_t)st.st_blocks * 512 >= regions[i].bytes;
        if (fd >= 0 && !reserved && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, regions[i].bytes) != 0)
            number = errno;
#endif
        if (fd >= 0)
            close(fd);
    }
    buf_release(&path);
    return number == ENOSPC || number == EDQUOT
               ? store_fatal(NULL, number, "making room in", store->home, err)
               : ERR_OK;
}

/* `recover`: DB_RECOVER, or 0 to join those that have it open. */
static enum err_code open_env(struct store *store, u_int32_t recover, struct err *err)
{
    int code = db_env_create(&store->env, 0);
    store->message[0] = '\0';
    if (code != 0)
        return store_fatal(store, code, "creating a handle for", store->home, err);
    code = store_configure(store, store->env);
    if (code == 0)
        code = store->env->open(
            store->env, store->home,
            DB_CREATE | DB_THREAD | DB_INIT_TXN | DB_INIT_LOCK | DB_INIT_LOG | DB_INIT_MPOOL | recover, 0600);
    bool other_version = code == DB_VERSION_MISMATCH || code == DB_OLD_VERSION ||
                         (code != 0 && strstr(store->message, "version") != NULL);
    if (other_version)
        return err_set(err, ERR_FATAL, 0,
                       "%s was written by another version of Berkeley DB than %s (%s): with that version run "
                       "prgatectl dump, with this one prgatectl load",
                       store->home, db_version(NULL, NULL, NULL), store->message);
    if (code != 0)
        return store_fatal(store, code, "opening the Berkeley DB environment in", store->home, err);
    return reserve_regions(store, err);
}

enum { SYNCED_SIZE = 32 };

/*
 * How far the log was synced, as of the last checkpoint or end of a process: a recovery takes a log that was cut off for
 * one that ends there. Never further than what is on disk, so that it holds after a power cut, too. Not synced
 * itself: an older one is right as well.
 */
static void note_synced(struct store *store)
{
    DB_LOG_STAT *stat;
    struct buf path;
    char text[SYNCED_SIZE];
    if (store->env->log_stat(store->env, &stat, 0) != 0)
        return;
    snprintf(text, sizeof text, "%010u %010u\n", stat->st_disk_file, stat->st_disk_offset);
    free(stat);
    buf_init(&path);
    buf_addf(&path, "%s/synced", store->home);
    int fd = open(buf_text(&path), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || pwrite(fd, text, strlen(text), 0) < 0)
        log_debug("not noted how far the log is synced", LOG_STR("error", strerror(errno)));
    if (fd >= 0)
        close(fd);
    buf_release(&path);
}

/* As note_synced() writes it; anything else says nothing. */
static bool parse_synced(char text[SYNCED_SIZE], DB_LSN *out)
{
    uint64_t file, offset;
    char *blank = strchr(text, ' ');
    if (blank == NULL)
        return false;
    *blank = '\0';
    text[strcspn(blank + 1, "\n") + (size_t)(blank + 1 - text)] = '\0';
    if (!text_to_u64(text, UINT32_MAX, &file) || !text_to_u64(blank + 1, UINT32_MAX, &offset))
        return false;
    *out = (DB_LSN){.file = (u_int32_t)file, .offset = (u_int32_t)offset};
    return true;
}

/* The number of the newest log file, and its size. False: there is none, or it cannot be told. */
static bool find_newest_log(const char *home, u_int32_t *file, uint64_t *size)
{
    DIR *dir = opendir(home);
    const struct dirent *entry;
    uint64_t number;
    struct stat st;
    bool found = false;
    if (dir == NULL)
        return false;
    while ((entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, "log.", 4) != 0 || !text_to_u64(entry->d_name + 4, UINT32_MAX, &number) ||
            (found && number < *file) || fstatat(dirfd(dir), entry->d_name, &st, 0) != 0)
            continue;
        *file = (u_int32_t)number;
        *size = (uint64_t)st.st_size;
        found = true;
    }
    closedir(dir);
    return found;
}

/* The note may be behind, of a log file that was removed since; what it tells must not be ahead of what is there. */
static enum err_code check_synced(const char *home, struct err *err)
{
    char text[SYNCED_SIZE] = "";
    DB_LSN synced;
    u_int32_t file = 0;
    uint64_t size = 0;
    struct buf path;
    buf_init(&path);
    buf_addf(&path, "%s/synced", home);
    int fd = open(buf_text(&path), O_RDONLY | O_CLOEXEC);
    bool known = fd >= 0 && pread(fd, text, sizeof text - 1, 0) > 0 && parse_synced(text, &synced);
    if (fd >= 0)
        close(fd);
    buf_release(&path);
    if (!known)
        return ERR_OK;
    bool found = find_newest_log(home, &file, &size);
    if (found && (file > synced.file || (file == synced.file && size >= synced.offset)))
        return ERR_OK;
    return store_say_log_cut(home, &synced, "what was acknowledged", err);
}

/*
 * What was committed may be in the log alone though every process ended well: see boot.h. The same goes for
 * a directory without regions, be it that somebody removed them or that it comes out of a backup.
 */
static enum err_code must_recover(struct store *store, const struct boot_mark *mark, bool *out,
                                  struct err *err)
{
    *out = store->panicked || !boot_mark_is_set(mark) || region_inode(store->home) == 0 ||
           store_is_unsynced(store->home);
    return *out ? ERR_OK : fence_someone_died(&store->fence, out, err);
}

static enum err_code recover_env(struct store *store, const struct boot_mark *mark, int64_t give_up_ms,
                                 struct err *err)
{
    enum err_code code = fence_enter_alone(&store->fence, give_up_ms, err);
    if (code != ERR_OK)
        return code;
    code = boot_mark_clear(mark, err);
    bool unsynced = store_is_unsynced(store->home);
    /* From here on: on a disk that fails, which may be what others died of, a sync takes its time. */
    atomic_store(&store->alone, true);
    if (code == ERR_OK && unsynced)
        code = store_rewrite_files(store->home, err);
    /* A crash or a failure before the end leaves it cleared, and the next one begins anew. */
    if (code == ERR_OK)
        code = open_env(store, DB_RECOVER, err);
    atomic_store(&store->alone, false);
    if (code == ERR_OK && unsynced)
        code = store_end_unsynced(store->home, err);
    if (code != ERR_OK)
        return code;
    boot_mark_set(mark);
    store->panicked = false;
    fence_recovered(&store->fence);
    return ERR_OK;
}

static enum err_code join_env(struct store *store, struct err *err)
{
    enum err_code code = fence_enter(&store->fence, err);
    if (code != ERR_OK)
        return code;
    code = open_env(store, 0, err);
    /* Nobody died, and yet the environment is done for, as by a disk that was full: the next try recovers. */
    store->panicked = code != ERR_OK && err->number == DB_RUNRECOVERY;
    return code;
}

/* With fence_lock() held. */
static enum err_code open_recovered_env(struct store *store, int64_t give_up_ms, struct err *err)
{
    struct boot_mark mark;
    bool needed = false;
    enum err_code code = boot_mark_open(&mark, store->home, err);
    if (code == ERR_OK)
        code = check_synced(store->home, err);
    /* A failure that the mark does not tell of yet, or any more: rather one recovery too many. */
    if (code == ERR_OK && store_sync_failed())
        code = store_mark_unsynced(store->home, err);
    if (code == ERR_OK)
        code = must_recover(store, &mark, &needed, err);
    if (code == ERR_OK)
        code = needed ? recover_env(store, &mark, give_up_ms, err) : join_env(store, err);
    boot_mark_close(&mark);
    return code;
}

static void add_table_path(const struct store *store, int table, struct buf *out)
{
    buf_clear(out);
    buf_addf(out, "%s/%s.db", store->home, table_names[table]);
}

/*
 * A table is made in a store that is new and nowhere else, lest one that got lost is replaced by an empty one and
 * nobody notices. "pr" is made last: with it there, all of the others were. A later version
 * that adds a table makes it here in any case.
 */
static enum err_code check_table(const struct store *store, int table, struct err *err)
{
    struct buf path;
    struct stat st;
    buf_init(&path);
    add_table_path(store, TABLE_PR, &path);
    bool is_new = stat(buf_text(&path), &st) != 0 && !store->opened;
    add_table_path(store, table, &path);
    bool missing = stat(buf_text(&path), &st) != 0;
    enum err_code code = ERR_OK;
    if (missing && !is_new)
        code =
            err_set(err, ERR_FATAL, 0, "%s is missing: stop the pool and restore a backup", buf_text(&path));
    else if (is_new && !missing && st.st_size > TABLE_EMPTY_BYTES)
        code = err_set(err, ERR_FATAL, 0,
                       "%s/%s.db is missing though %s has entries: stop the pool and restore a backup",
                       store->home, table_names[TABLE_PR], buf_text(&path));
    else if (!missing && st.st_size < TABLE_EMPTY_BYTES)
        code = err_set(err, ERR_FATAL, 0,
                       "%s has only %lld bytes, it was cut off: stop the pool and restore a backup",
                       buf_text(&path), (long long)st.st_size);
    buf_release(&path);
    return code;
}

static enum err_code say_table_error(struct store *store, int code, const char *path, struct err *err)
{
    if (code == DB_OLD_VERSION || strstr(store->message, "version") != NULL)
        return err_set(err, ERR_FATAL, 0,
                       "%s was written by another version of Berkeley DB than %s (%s): with that version run "
                       "prgatectl dump, with this one prgatectl load",
                       path, db_version(NULL, NULL, NULL), store->message);
    if (strstr(store->message, "past end of log") != NULL)
        return err_set(
            err, ERR_FATAL, 0,
            "%s is newer than the log in %s (%s): log files were cut off or taken away; stop the pool "
            "and restore a backup",
            path, store->home, store->message);
    return store_fatal(store, code, "opening table", path, err);
}

static enum err_code open_table(struct store *store, int table, struct err *err)
{
    enum err_code result = check_table(store, table, err);
    if (result != ERR_OK)
        return result;
    struct buf path;
    char file[32];
    DB **db = &store->tables[table];
    store->message[0] = '\0';
    int code = db_create(db, store->env, 0);
    if (code == 0)
        code = (*db)->set_pagesize(*db, STORE_PAGE_SIZE);
    if (code == 0) {
        snprintf(file, sizeof file, "%s.db", table_names[table]);
        code = (*db)->open(*db, NULL, file, NULL, DB_BTREE, DB_CREATE | DB_THREAD | DB_AUTO_COMMIT, 0600);
    }
    if (code == 0)
        return ERR_OK;
    buf_init(&path);
    add_table_path(store, table, &path);
    result = say_table_error(store, code, buf_text(&path), err);
    buf_release(&path);
    return result;
}

bool store_log_reaches(const char *home, const DB_LSN *lsn, const DB_LSN *end)
{
    if (lsn->file > end->file || (lsn->file == end->file && lsn->offset > end->offset))
        return false;
    struct buf path;
    struct stat st;
    buf_init(&path);
    buf_addf(&path, "%s/log.%010u", home, lsn->file);
    /* One that is not there any more was not needed any more. */
    bool reaches = stat(buf_text(&path), &st) != 0 || (uint64_t)st.st_size >= lsn->offset;
    buf_release(&path);
    return reaches;
}

enum err_code store_say_log_cut(const char *home, const DB_LSN *lsn, const char *what, struct err *err)
{
    return err_set(
        err, ERR_FATAL, 0,
        "%s/log.%010u was cut off or taken away: it ends before byte %u, which %s needs; what came "
        "after is lost: stop the pool and restore a backup",
        home, lsn->file, lsn->offset, what);
}

/*
 * A table's pages are written after the log that tells of them. One that is newer than the log's end means that the
 * log was cut off: what it held is lost, and Berkeley DB would mix what comes now with what was.
 */
static enum err_code check_log_end(struct store *store, struct err *err)
{
    DB_LOG_STAT *stat;
    struct buf path;
    int code = store->env->log_stat(store->env, &stat, 0);
    if (code != 0)
        return store_fatal(store, code, "reading the log's end in", store->home, err);
    DB_LSN end = {.file = stat->st_cur_file, .offset = stat->st_cur_offset}, lsn;
    DB_LSN written = {.file = stat->st_disk_file, .offset = stat->st_disk_offset};
    free(stat);
    if (!store_log_reaches(store->home, &written, &end))
        return store_say_log_cut(store->home, &written, "the pool", err);
    enum err_code result = ERR_OK;
    buf_init(&path);
    for (int i = 0; i < TABLE_END && result == ERR_OK; i++) {
        add_table_path(store, i, &path);
        int fd = open(buf_text(&path), O_RDONLY | O_CLOEXEC);
        bool known = fd >= 0 && pread(fd, &lsn, sizeof lsn, 0) == (ssize_t)sizeof lsn;
        if (known && !store_log_reaches(store->home, &lsn, &end))
            result = store_say_log_cut(store->home, &lsn, buf_text(&path), err);
        if (fd >= 0)
            close(fd);
    }
    buf_release(&path);
    return result;
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

static enum err_code open_all(struct store *store, int64_t give_up_ms, struct err *err)
{
    enum err_code code = open_recovered_env(store, give_up_ms, err);
    /* "pr" last: see check_table(). */
    for (int i = TABLE_END; i-- > 0 && code == ERR_OK;)
        code = open_table(store, i, err);
    if (code == ERR_OK)
        code = check_log_end(store, err);
    if (code != ERR_OK)
        close_handle(store);
    return code;
}

/*
 * Another directory than the one that was opened, of somebody's restoring. Its mark in alive/ is gone with the old one:
 * others would take this process for dead and do its work. So it ends; nothing that it acknowledged was in the new one.
 */
static void end_if_replaced(struct store *store, unsigned long directory)
{
    if (directory == atomic_load(&store->directory))
        return;
    log_error("the state directory was replaced: this process ends, its successor uses the new one",
              LOG_STR("home", store->home));
    _exit(75);
}

static enum err_code try_to_open(struct store *store, int64_t give_up_ms, struct err *err)
{
    unsigned long directory = directory_id(store->home);
    if (directory == 0)
        return say_lost(store, err);
    if (store->opened)
        end_if_replaced(store, directory);
    enum err_code code = fence_lock(&store->fence, give_up_ms, err);
    if (code != ERR_OK)
        return code;
    code = open_all(store, give_up_ms, err);
    unsigned long region = region_inode(store->home);
    fence_unlock(&store->fence);
    if (code != ERR_OK)
        return code;
    store->opened = true;
    atomic_store(&store->region, region);
    atomic_store(&store->held, true);
    atomic_store(&store->directory, directory);
    atomic_store(&store->replaced, false);
    return ERR_OK;
}

static enum err_code open_handle(struct store *store, struct err *err)
{
    int64_t give_up = clock_monotonic_ms() + TXN_GIVE_UP_MS;
    for (;;) {
        struct err why = {0};
        enum err_code code = try_to_open(store, give_up, &why);
        if (code == ERR_OK)
            return ERR_OK;
        if (!passes_by_itself(why.number) || clock_monotonic_ms() > give_up) {
            *err = why;
            return code;
        }
        pause_us(1000 + jitter(20000));
    }
}

/* From here on the watchdog looks whether this thread gets anywhere. One at a time: guard held, or nobody else there. */
static void begin_handling(struct store *store)
{
    clockid_t clock = CLOCK_MONOTONIC;
    pthread_getcpuclockid(pthread_self(), &clock);
    atomic_store(&store->handler, clock);
    atomic_store(&store->handling, true);
}

static void end_handling(struct store *store)
{
    atomic_store(&store->handling, false);
}

/* The caller holds the guard exclusively. */
static enum err_code reopen_handle(struct store *store, struct err *err)
{
    begin_handling(store);
    /* Somebody died, and may have left mutexes that closing would wait for; nobody does in an environment that panicked. */
    if (store->env != NULL && fence_is_wanted(store->home))
        store->env->set_flags(store->env, DB_PANIC_ENVIRONMENT, 1);
    close_handle(store);
    enum err_code code = open_handle(store, err);
    if (code == ERR_OK)
        atomic_fetch_add(&store->recoveries, 1);
    end_handling(store);
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

/* ---- keeper and watchdog ------------------------------------------------ */

/* The regions were replaced by somebody's hand, or are about to be: who recovers waits for this process. */
static bool must_let_go(struct store *store)
{
    unsigned long now = region_inode(store->home);
    bool replaced = now != 0 && now != atomic_load(&store->region);
    return atomic_load(&store->held) && (replaced || fence_is_wanted(store->home));
}

/* Without waiting: a thread that is stuck in the library never lets the guard go. */
static void try_to_catch_up(struct store *store)
{
    struct err err = {0};
    if (pthread_rwlock_trywrlock(&store->guard) != 0)
        return;
    if (must_let_go(store) && reopen_handle(store, &err) != ERR_OK)
        log_warning("the store cannot be opened anew yet", LOG_STR("error", err.text));
    pthread_rwlock_unlock(&store->guard);
}

/*
 * The directory is gone, or emptied: every transaction fails until it is back. True: nothing else is to be done now.
 * *missing_since is negative once it was told.
 */
static bool watch_directory(struct store *store, int64_t *missing_since)
{
    unsigned long directory = directory_id(store->home);
    if (directory != 0)
        end_if_replaced(store, directory);
    if (directory != 0 && region_inode(store->home) != 0) {
        *missing_since = 0;
        return false;
    }
    int64_t now = clock_monotonic_ms();
    if (*missing_since == 0)
        *missing_since = now;
    /* Whoever recovers takes the regions away, too, for a moment, but never the directory. */
    if (directory != 0 && *missing_since > 0 && now - *missing_since < REGION_MISSING_MS)
        return true;
    bool told = *missing_since < 0;
    *missing_since = -now;
    atomic_store(&store->replaced, true);
    if (!told)
        log_error("the state directory is gone or was emptied: nothing is taken until it is back",
                  LOG_STR("home", store->home));
    return true;
}

/* A process with nothing to do catches up, too: it would keep the old regions' memory, and be late when needed. */
static void *keep_up(void *arg)
{
    struct store *store = arg;
    int64_t missing_since = 0;
    while (!atomic_load(&store->stopping)) {
        pause_us(WATCHDOG_POLL_MS * 1000L);
        if (watch_directory(store, &missing_since) || !must_let_go(store))
            continue;
        atomic_store(&store->replaced, true);
        try_to_catch_up(store);
    }
    return NULL;
}

/* Processor time of the thread that opens or closes, which a recovery uses up and a wait for the dead does not. */
static int64_t handler_ns(struct store *store)
{
    struct timespec t = {0};
    clock_gettime((clockid_t)atomic_load(&store->handler), &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/*
 * How long a thread may get nowhere. Amid opening or closing that may be a slow disk, unless another process has died
 * meanwhile: then it waits for what that one held, and holds up all others.
 */
static int patience_ms(struct store *store, bool handling)
{
    struct err err;
    bool died = false;
    if (!handling)
        return WATCHDOG_STUCK_MS;
    if (!atomic_load(&store->alone))
        fence_someone_died(&store->fence, &died, &err);
    return died ? WATCHDOG_STUCK_MS : WATCHDOG_IDLE_MS;
}

static void *watch(void *arg)
{
    struct store *store = arg;
    int64_t since = 0, spent_before = 0;
    while (!atomic_load(&store->closed)) {
        pause_us(WATCHDOG_POLL_MS * 1000L);
        bool handling = atomic_load(&store->handling);
        int64_t spent = handling ? handler_ns(store) : 0;
        bool suspicious = handling ? spent == spent_before : must_let_go(store);
        spent_before = spent;
        int64_t now = clock_monotonic_ms();
        if (!suspicious || since == 0)
            since = suspicious ? now : 0;
        if (!suspicious || now - since < WATCHDOG_STUCK_MS || now - since < patience_ms(store, handling))
            continue;
        /* Claims and intents are data and wait for whoever comes next: ending here loses nothing. */
        log_error("a thread is stuck in Berkeley DB for good: this process ends",
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

/* Those of transactions, below. */
static void set_up_batches(struct store *store);

/* ---- open and close ------------------------------------------------------ */

static void free_store(struct store *store)
{
    pthread_mutex_destroy(&store->message_mutex);
    pthread_rwlock_destroy(&store->guard);
    fence_release(&store->fence);
    turn_release(&store->turn);
    batches_release(&store->batches);
    free(store->home);
    free(store);
}

static void stop_watching(struct store *store)
{
    atomic_store(&store->closed, true);
    pthread_join(store->watchdog, NULL);
}

bool store_is_there(const char *state_dir)
{
    return store_inode(state_dir, "db/pr.db") != 0;
}

/* The watchdog comes first: another process may die amid its own opening and hold this one up for ever. */
static enum err_code start_watched(struct store *store, struct err *err)
{
    begin_handling(store);
    int failed = pthread_create(&store->watchdog, NULL, watch, store);
    if (failed != 0)
        return err_set(err, ERR_FATAL, failed, "cannot start the store's watchdog thread");
    enum err_code code = open_handle(store, err);
    end_handling(store);
    if (code == ERR_OK) {
        failed = pthread_create(&store->keeper, NULL, keep_up, store);
        if (failed == 0)
            return ERR_OK;
        code = err_set(err, ERR_FATAL, failed, "cannot start the store's keeper thread");
    }
    close_handle(store);
    stop_watching(store);
    return code;
}

enum err_code store_open(struct store **out, const char *state_dir, struct err *err)
{
    struct store *store = mem_alloc(sizeof *store);
    *store = (struct store){0};
    struct buf home;
    buf_init(&home);
    buf_addf(&home, "%s/db", state_dir);
    store->home = mem_strdup(buf_text(&home));
    buf_release(&home);
    fence_init(&store->fence, store->home);
    store_watch_syncs();
    init_guard(&store->guard);
    set_up_batches(store);
    pthread_mutex_init(&store->message_mutex, NULL);

    enum err_code code = store_make_dir(state_dir, err);
    if (code == ERR_OK)
        code = store_refuse_network(state_dir, err);
    if (code == ERR_OK)
        code = store_make_dir(store->home, err);
    if (code == ERR_OK)
        turn_init(&store->turn, store->home);
    if (code == ERR_OK)
        code = start_watched(store, err);
    if (code == ERR_OK)
        *out = store;
    else
        free_store(store);
    return code;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    atomic_store(&store->stopping, true);
    pthread_join(store->keeper, NULL);
    begin_handling(store);
    if (store->env != NULL && home_is_there(store))
        note_synced(store);
    close_handle(store);
    stop_watching(store);
    free_store(store);
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
    struct err why = {0};
    struct buf path;
    buf_init(&path);
    add_table_path(txn->store, (int)table, &path);
    store_fatal(txn->again || txn->recover ? NULL : txn->store, code, "table", buf_text(&path), &why);
    buf_release(&path);
    return err_set(err, ERR_RETRY, code, "%s", why.text);
}

enum attempt { ATTEMPT_DONE, ATTEMPT_AGAIN, ATTEMPT_RECOVER };

/* A job on its way. */
struct run {
    struct store_job *job;
    struct store_txn txn;
    enum attempt result; /* of its last run */
    bool suspects;       /* it had the environment opened anew, lest somebody died holding locks */
};

/* What one thread wants to be run, on its way through a batch. */
struct attempt_item {
    struct batch_item item; /* first: cast back */
    struct store *store;
    struct run runs[STORE_JOBS_MAX];
    size_t count;
    store_next_job *next; /* asked while there is room; NULL: no more come */
    void *arg;
    char about[LOG_ABOUT_SIZE]; /* what its thread's log lines are about */
};

static enum attempt commit_error(struct store *store, int db, struct store_job *job)
{
    struct err why = {0};
    if (db == 0)
        return ATTEMPT_DONE;
    store_fatal(NULL, db, "committing in", store->home, &why);
    job->code = err_set(&job->err, ERR_RETRY, db, "%s", why.text);
    return db == DB_RUNRECOVERY ? ATTEMPT_RECOVER : ATTEMPT_DONE;
}

/*
 * Begins, runs the body, and commits or aborts. What is committed is in force for all, and handed to the system, so that a
 * full disk undoes it; but it is not on disk yet.
 */
static enum attempt run_body(struct store_txn *txn, struct store_job *job)
{
    DB_ENV *env = txn->store->env;
    int db = env->txn_begin(env, NULL, &txn->txn, DB_TXN_NOWAIT);
    job->err = (struct err){0};
    if (db != 0) {
        job->code = err_set(&job->err, ERR_RETRY, db, "beginning a transaction: %s", db_strerror(db));
        return db == DB_RUNRECOVERY ? ATTEMPT_RECOVER : ATTEMPT_AGAIN;
    }
    fiber_hold(); /* page locks: who waits amid a body would stop the whole pool */
    job->code = job->body(txn, job->arg, &job->err);
    fiber_release();
    if (job->code != ERR_OK || txn->again || txn->recover) {
        db = txn->txn->abort(txn->txn);
        if (txn->recover || db == DB_RUNRECOVERY)
            return ATTEMPT_RECOVER;
        return txn->again ? ATTEMPT_AGAIN : ATTEMPT_DONE;
    }
    return commit_error(txn->store, txn->txn->commit(txn->txn, DB_TXN_WRITE_NOSYNC), job);
}

/* Where not even the mark can be made, none of this process's syncs succeeds all the same. */
static enum attempt break_off(struct store *store, struct store_job *job)
{
    job->code = store_mark_unsynced(store->home, &job->err);
    if (job->code != ERR_OK) {
        job->code = ERR_RETRY;
        return ATTEMPT_DONE;
    }
    store->env->set_flags(store->env, DB_PANIC_ENVIRONMENT, 1);
    return ATTEMPT_RECOVER;
}

/* A full disk, or a directory that is gone: what was committed counts as failed. */
static enum attempt check_commit(struct store *store, struct run *run, bool is_there)
{
    if (store_sync_failed())
        return break_off(store, run->job);
    if (run->result != ATTEMPT_DONE || run->job->code != ERR_OK)
        return run->result;
    if (!run->txn.need_not_wait && !is_there) { /* into files that have no name any more */
        atomic_store(&store->replaced, true);
        say_lost(store, &run->job->err);
        run->job->code = ERR_RETRY;
        return ATTEMPT_DONE;
    }
    atomic_fetch_add(&store->transactions, 1);
    if (run->txn.wrote)
        atomic_fetch_add(&store->commits, 1);
    return ATTEMPT_DONE;
}

/* False: none wants to, or there is no room for it. */
static bool add_job(struct attempt_item *item)
{
    struct store_job *job = NULL;
    if (item->next != NULL && item->count < STORE_JOBS_MAX)
        job = item->next(item->arg);
    if (job != NULL)
        item->runs[item->count++] = (struct run){.job = job};
    return job != NULL;
}

/*
 * Transactions of one process that come at the same time are run by one of its threads (batch.h), one after the other in
 * one turn, and wait for one sync.
 *
 * Page locks and the turn end with the commits, and the wait for the disk comes after them, so that those who come
 * next need not wait, and share one sync. They read what is not on disk yet, and may build upon it. That does no
 * harm, since nobody hears of it before it is: each waits, at the end of its own transaction, for the whole
 * log up to then, which has what it read, too, also where it wrote nothing. A crash before the sync takes from the log's
 * end, so never what somebody built upon without what he built. store_need_not_wait() is for bodies whose caller does
 * nothing outside before another transaction of his has waited, or that are harmless to lose whatever he does.
 *
 * Whoever waits for a batch holds the guard shared, as its leader does: the environment stays the same.
 */
static void begin_batch(void *arg)
{
    struct store *store = arg;
    store->turn_number = turn_take(&store->turn);
}

/* Those who come while the others are run are run, too. */
static void run_item(struct attempt_item *item)
{
    for (size_t i = 0; i < item->count || add_job(item); i++) {
        struct run *run = &item->runs[i];
        log_about(run->job->about == NULL ? item->about : run->job->about);
        run->txn = (struct store_txn){.store = item->store};
        run->result = run_body(&run->txn, run->job);
    }
}

static void run_batch(void *arg, struct batch_item *const *items, size_t count)
{
    (void)arg;
    char about[LOG_ABOUT_SIZE];
    log_get_about(about);
    for (size_t i = 0; i < count; i++)
        run_item((struct attempt_item *)items[i]);
    log_about(about);
}

static void end_batch(void *arg)
{
    struct store *store = arg;
    turn_pass(&store->turn, store->turn_number);
}

static bool must_wait(const struct run *run)
{
    return run->result == ATTEMPT_DONE && !run->txn.need_not_wait;
}

static bool any_must_wait(const struct attempt_item *item)
{
    for (size_t i = 0; i < item->count; i++)
        if (must_wait(&item->runs[i]))
            return true;
    return false;
}

/* For those who waited for it: log_flush()'s code, and whether there is a directory still. */
static void settle_item(struct store *store, struct attempt_item *item, int synced, bool is_there)
{
    for (size_t i = 0; i < item->count; i++) {
        struct run *run = &item->runs[i];
        if (must_wait(run))
            run->result = commit_error(store, synced, run->job);
        run->result = check_commit(store, run, is_there);
    }
    batch_tell(&item->item);
}

/* A crash before the sync undoes all of the bodies that wait for it, after it none. */
static void settle_batch(void *arg, struct batch_item *const *items, size_t count)
{
    struct store *store = arg;
    struct attempt_item *waiting[BATCH_MAX];
    size_t waiting_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct attempt_item *item = (struct attempt_item *)items[i];
        if (any_must_wait(item))
            waiting[waiting_count++] = item;
        else
            settle_item(store, item, 0, true);
    }
    if (waiting_count == 0)
        return;
    int synced = store->env->log_flush(store->env, NULL);
    bool is_there = home_is_there(store);
    for (size_t i = 0; i < waiting_count; i++)
        settle_item(store, waiting[i], synced, is_there);
}

static void set_up_batches(struct store *store)
{
    store->batches = (struct batches){
        .begin = begin_batch, .run = run_batch, .end = end_batch, .settle = settle_batch, .arg = store};
    batches_init(&store->batches);
}

/* The first retries come quickly, since the other transaction is short; then they spread out. */
static void back_off(unsigned tries)
{
    long ceiling = tries < 4 ? 200 : tries < 16 ? 2000 : 20000;
    pause_us(50 + jitter(ceiling));
}

static void give_up(struct store_job *job, int64_t waited_ms)
{
    struct err last = job->err;
    job->code = err_set(&job->err, ERR_RETRY, last.number, "no transaction got through in %d ms: %s",
                        (int)waited_ms, last.text);
}

/* What it takes before it is run again. Locks of a process that died stay until somebody opens the environment. */
static enum attempt need_of(struct run *run, int64_t waited_ms)
{
    if (run->result != ATTEMPT_AGAIN || run->suspects || waited_ms <= HOLDER_DEAD_MS)
        return run->result;
    run->suspects = true;
    return ATTEMPT_RECOVER;
}

/* Those that are over go back to whoever they belong to. What the others need. */
static enum attempt hand_back(struct attempt_item *item, store_job_done *done)
{
    enum attempt needed = ATTEMPT_DONE;
    size_t left = 0;
    int64_t now = clock_monotonic_ms();
    for (size_t i = 0; i < item->count; i++) {
        struct run run = item->runs[i];
        int64_t waited = now - run.job->since_ms;
        if (run.result != ATTEMPT_DONE && waited <= TXN_GIVE_UP_MS) {
            enum attempt need = need_of(&run, waited);
            needed = need > needed ? need : needed;
            item->runs[left++] = run;
            continue;
        }
        if (run.result != ATTEMPT_DONE)
            give_up(run.job, waited);
        done(run.job);
    }
    item->count = left;
    return needed;
}

/* The environment cannot be used, nor recovered. */
static void hand_back_all(struct attempt_item *item, store_job_done *done, const struct err *why)
{
    for (size_t i = 0; i < item->count; i++) {
        struct store_job *job = item->runs[i].job;
        job->code = err_set(&job->err, ERR_RETRY, why->number, "%s", why->text);
        done(job);
    }
    item->count = 0;
}

/* All share in the recovery, and none waits for one of its own. */
static void need_recovery(struct attempt_item *item)
{
    while (add_job(item))
        continue;
    for (size_t i = 0; i < item->count; i++)
        item->runs[i].result = ATTEMPT_RECOVER;
}

/* One run of each. *region: of which environment. */
static void attempt(struct store *store, struct attempt_item *item, unsigned long *region)
{
    pthread_rwlock_rdlock(&store->guard);
    *region = atomic_load(&store->region);
    bool usable = store->env != NULL && !atomic_load(&store->replaced);
    if (usable)
        batch_do(&store->batches, &item->item);
    pthread_rwlock_unlock(&store->guard);
    if (!usable)
        need_recovery(item);
}

/* Until all are over. */
static void run_jobs(struct store *store, struct attempt_item *item, store_job_done *done)
{
    log_get_about(item->about);
    for (unsigned tries = 0;; tries++) {
        struct err why = {0};
        unsigned long region;
        attempt(store, item, &region);
        enum attempt needed = hand_back(item, done);
        if (needed == ATTEMPT_DONE)
            return;
        if (needed == ATTEMPT_RECOVER && recover(store, region, &why) == ERR_FATAL) {
            hand_back_all(item, done, &why);
            return;
        }
        atomic_fetch_add(&store->retries, item->count);
        back_off(tries);
    }
}

static void keep(struct store_job *job)
{
    (void)job; /* store_txn() has it */
}

enum err_code store_txn(struct store *store, store_body *body, void *arg, struct err *err)
{
    struct store_job job = {.body = body, .arg = arg, .since_ms = clock_monotonic_ms()};
    struct attempt_item item = {.store = store, .count = 1};
    item.runs[0].job = &job;
    run_jobs(store, &item, keep);
    if (job.code != ERR_OK && err != NULL)
        *err = job.err;
    return job.code;
}

void store_txn_all(struct store *store, store_next_job *next, void *arg, store_job_done *done)
{
    struct attempt_item item = {.store = store, .next = next, .arg = arg};
    if (add_job(&item))
        run_jobs(store, &item, done);
}

void store_need_not_wait(struct store_txn *txn)
{
    txn->need_not_wait = true;
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

/* From the first entry that is not below *key one back; from the last where there is no such entry. */
static int go_back(DBC *cursor, struct bytes key, DBT *k, DBT *v)
{
    DBT start = borrowed(key);
    DBT none = {.flags = DB_DBT_PARTIAL}; /* no byte of it */
    void *given = mem_alloc(start.size == 0 ? 1 : start.size);
    *k = received();
    k->data = given;
    k->size = start.size;
    if (start.size > 0)
        memcpy(given, start.data, start.size);
    int code = cursor->get(cursor, k, &none, DB_SET_RANGE);
    if (k->data != given)
        free(given);
    free(k->data);
    *k = received();
    *v = received();
    if (code == 0)
        return cursor->get(cursor, k, v, DB_PREV);
    return code == DB_NOTFOUND ? cursor->get(cursor, k, v, DB_LAST) : code;
}

enum err_code store_prev(struct store_txn *txn, enum store_table table, struct bytes prefix, struct buf *key,
                         struct buf *value, struct err *err)
{
    DB *db = txn->store->tables[table];
    DBC *cursor;
    DBT k, v;
    int code = db->cursor(db, txn->txn, &cursor, 0);
    if (code != 0)
        return db_error(txn, code, table, err);
    code = go_back(cursor, buf_bytes(key), &k, &v);
    if (code == 0)
        code = accept_found(&k, &v, prefix, key, value);
    cursor->close(cursor);
    return db_error(txn, code, table, err);
}

bool store_keep_regions(struct store *store, void (*call)(void))
{
    if (pthread_rwlock_tryrdlock(&store->guard) != 0)
        return false;
    call();
    pthread_rwlock_unlock(&store->guard);
    return true;
}

/* The caller holds the guard. Log files that somebody copies at this moment stay. */
static int checkpoint(struct store *store)
{
    if (store->env == NULL || atomic_load(&store->replaced))
        return DB_RUNRECOVERY;
    int code = store->env->txn_checkpoint(store->env, CHECKPOINT_KB, CHECKPOINT_MIN, 0);
    note_synced(store);
    int lock = code == 0 ? store_lock_logs(store->home, true) : -1;
    if (lock >= 0) {
        code = store->env->log_archive(store->env, NULL, DB_ARCH_REMOVE);
        close(lock);
    }
    return code;
}

enum err_code store_checkpoint(struct store *store, struct err *err)
{
    struct err why = {0};
    pthread_rwlock_rdlock(&store->guard);
    int code = checkpoint(store);
    /* At once, for the process may end before a transaction of its finds that out. */
    if (code != 0 && store_sync_failed())
        store_mark_unsynced(store->home, &why);
    pthread_rwlock_unlock(&store->guard);
    if (code == 0)
        return ERR_OK;
    store_fatal(NULL, code, "writing a checkpoint in", store->home, &why);
    return err_set(err, ERR_RETRY, code, "%s", why.text);
}

struct store_stats store_get_stats(struct store *store)
{
    return (struct store_stats){.commits = atomic_load(&store->commits),
                                .transactions = atomic_load(&store->transactions),
                                .retries = atomic_load(&store->retries),
                                .recoveries = atomic_load(&store->recoveries)};
}
