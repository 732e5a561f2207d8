/*
 * A copy of a store that is in use.
 *
 * As Berkeley DB's manual has it: the tables first, page by page, then the log, of which nothing is removed meanwhile;
 * then the copy is recovered from all of that log (DB_RECOVER_FATAL), which mends what the tables' copies are ahead
 * or behind of each other, and each table is verified. So what lies in a backup is a whole store already, and
 * opening it needs no more than any store does.
 *
 * DB_ENV->backup() is not used: it keeps a mark in the shared regions that stops others from writing pages, and which
 * stays there when the copying process is killed.
 *
 *  - A page that is being written while it is read may be torn: each is read until two readings agree. (With Berkeley
 *    DB's checksums one damaged page would be a panic of the whole environment, again at each reading.)
 *  - When another process recovers the store in the middle of it, the copy is begun anew.
 *  - All of it is made under the name "incomplete" and renamed to "db" when it is verified and synced: a crash leaves
 *    a directory that nobody takes for a backup or for a store.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_internal.h"

enum { ATTEMPTS = 5, READINGS = 1000, COPY_SIZE = 65536 };

static const char log_prefix[] = "log.0";

/* ---- files ------------------------------------------------------------------- */

static void join(struct buf *out, const char *dir, const char *name)
{
    buf_clear(out);
    buf_addf(out, "%s/%s", dir, name);
}

static enum err_code file_error(const char *verb, const char *path, struct err *err)
{
    return store_fatal(NULL, errno, verb, path, err);
}

static enum err_code sync_path(const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    enum err_code code = synced ? ERR_OK : file_error("syncing", path, err);
    if (fd >= 0)
        close(fd);
    return code;
}

static bool is_table_file(const char *name)
{
    for (int i = 0; i < TABLE_END; i++) {
        size_t len = strlen(store_table_name((enum store_table)i));
        if (strncmp(name, store_table_name((enum store_table)i), len) == 0 && strcmp(name + len, ".db") == 0)
            return true;
    }
    return false;
}

/* Only what a store's directory can hold, and no directories in it. */
static void remove_store_dir(const char *dir)
{
    DIR *open_dir = opendir(dir);
    if (open_dir == NULL)
        return;
    const struct dirent *entry;
    while ((entry = readdir(open_dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(open_dir), entry->d_name, 0);
    closedir(open_dir);
    rmdir(dir);
}

typedef enum err_code file_fn(void *arg, const char *dir, const char *name, struct err *err);

/* Every file of the directory that starts with `prefix`, sorted by name. */
static enum err_code each_file(const char *dir, const char *prefix, file_fn *visit, void *arg,
                               struct err *err)
{
    struct dirent **names;
    enum err_code code = ERR_OK;
    int count = scandir(dir, &names, NULL, alphasort);
    if (count < 0)
        return file_error("reading", dir, err);
    for (int i = 0; i < count; i++) {
        bool wanted = names[i]->d_name[0] != '.' && strncmp(names[i]->d_name, prefix, strlen(prefix)) == 0;
        if (wanted && code == ERR_OK)
            code = visit(arg, dir, names[i]->d_name, err);
        free(names[i]);
    }
    free(names);
    return code;
}

static enum err_code sync_file(void *arg, const char *dir, const char *name, struct err *err)
{
    (void)arg;
    struct buf path;
    buf_init(&path);
    join(&path, dir, name);
    enum err_code code = sync_path(buf_text(&path), err);
    buf_release(&path);
    return code;
}

static bool write_all(int fd, const unsigned char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t put = write(fd, bytes, len);
        if (put < 0)
            return false;
        bytes += put;
        len -= (size_t)put;
    }
    return true;
}

/* ---- copying ------------------------------------------------------------------- */

struct copy {
    const char *to;
    bool pages; /* of a table in use: page by page */
    DB_LSN newest;
    struct buf newest_in; /* the table with the page that is newer than all others */
};

static void note_lsn(struct copy *copy, const unsigned char *page, const char *path)
{
    DB_LSN lsn;
    memcpy(&lsn, page, sizeof lsn);
    if (lsn.file < copy->newest.file || (lsn.file == copy->newest.file && lsn.offset <= copy->newest.offset))
        return;
    copy->newest = lsn;
    buf_clear(&copy->newest_in);
    buf_adds(&copy->newest_in, path);
}

/* Until two readings agree: a page that somebody writes at this moment may be torn. 0 at the end. */
static ssize_t read_page(int fd, off_t at, unsigned char page[STORE_PAGE_SIZE])
{
    unsigned char again[STORE_PAGE_SIZE];
    for (int i = 0; i < READINGS; i++) {
        ssize_t got = pread(fd, page, STORE_PAGE_SIZE, at);
        if (got <= 0)
            return got;
        if (got == STORE_PAGE_SIZE && pread(fd, again, STORE_PAGE_SIZE, at) == STORE_PAGE_SIZE &&
            memcmp(page, again, STORE_PAGE_SIZE) == 0)
            return got;
    }
    errno = EIO; /* half a page at the file's end, or one that never comes to rest */
    return -1;
}

static bool copy_pages(struct copy *copy, int from, int to, const char *path)
{
    unsigned char page[STORE_PAGE_SIZE];
    ssize_t got;
    for (off_t at = 0; (got = read_page(from, at, page)) > 0; at += got) {
        note_lsn(copy, page, path);
        if (!write_all(to, page, (size_t)got))
            return false;
    }
    return got == 0;
}

static bool copy_bytes(int from, int to)
{
    unsigned char bytes[COPY_SIZE];
    ssize_t got;
    while ((got = read(from, bytes, sizeof bytes)) > 0)
        if (!write_all(to, bytes, (size_t)got))
            return false;
    return got == 0;
}

static enum err_code copy_file(void *arg, const char *dir, const char *name, struct err *err)
{
    struct copy *copy = arg;
    struct buf from_path, to_path;
    buf_init(&from_path);
    buf_init(&to_path);
    join(&from_path, dir, name);
    join(&to_path, copy->to, name);
    enum err_code code = ERR_OK;
    int from = open(buf_text(&from_path), O_RDONLY | O_CLOEXEC), to = -1;
    if (from < 0)
        code = file_error("reading", buf_text(&from_path), err);
    else if ((to = open(buf_text(&to_path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
        code = file_error("making", buf_text(&to_path), err);
    else if (!(copy->pages ? copy_pages(copy, from, to, buf_text(&from_path)) : copy_bytes(from, to)))
        code = file_error("copying", buf_text(&from_path), err);
    if (from >= 0)
        close(from);
    if (to >= 0 && close(to) != 0 && code == ERR_OK)
        code = file_error("writing", buf_text(&to_path), err);
    buf_release(&from_path);
    buf_release(&to_path);
    return code;
}

/* Backups of before there were budgets have none, and a store makes itself the table. */
static bool is_of_before(const char *dir, enum store_table table, const char *name)
{
    return table == TABLE_BUDGET && store_inode(dir, name) == 0;
}

static enum err_code copy_tables(struct copy *copy, const char *home, struct err *err)
{
    enum err_code code = ERR_OK;
    char name[32];
    for (int i = 0; i < TABLE_END && code == ERR_OK; i++) {
        snprintf(name, sizeof name, "%s.db", store_table_name((enum store_table)i));
        if (!is_of_before(home, (enum store_table)i, name))
            code = copy_file(copy, home, name, err);
    }
    return code;
}

/* Is the log that the newest page needs all there? Damage that a recovery would take for the log's end. */
static enum err_code check_newest(struct store *store, struct copy *copy, struct err *err)
{
    DB_LOG_STAT *stat;
    pthread_rwlock_rdlock(&store->guard);
    int code = store->env == NULL ? DB_RUNRECOVERY : store->env->log_stat(store->env, &stat, 0);
    pthread_rwlock_unlock(&store->guard);
    if (code != 0)
        return store_fatal(NULL, code, "reading the log's end in", store->home, err);
    DB_LSN end = {.file = stat->st_cur_file, .offset = stat->st_cur_offset};
    free(stat);
    if (store_log_reaches(store->home, &copy->newest, &end))
        return ERR_OK;
    return store_say_log_cut(store->home, &copy->newest, buf_text(&copy->newest_in), err);
}

/* ---- recovering and verifying the copy ----------------------------------------------- */

static enum err_code verify_tables(struct store *marks, DB_ENV *env, const char *dir, const char *told_as,
                                   struct err *err)
{
    enum err_code result = ERR_OK;
    for (int i = 0; i < TABLE_END && result == ERR_OK; i++) {
        char name[32];
        DB *db;
        snprintf(name, sizeof name, "%s.db", store_table_name((enum store_table)i));
        if (is_of_before(dir, (enum store_table)i, name))
            continue;
        int code = db_create(&db, env, 0);
        if (code == 0) /* whatever it returns, the handle is gone */
            code = db->verify(db, name, NULL, NULL, 0);
        if (code == 0)
            continue;
        struct buf path;
        buf_init(&path);
        join(&path, told_as, name);
        result =
            code == DB_VERIFY_BAD
                ? err_set(err, ERR_CORRUPT, code, "%s is damaged (%s): stop the pool and restore a backup",
                          buf_text(&path), marks->message[0] == '\0' ? "DB_VERIFY_BAD" : marks->message)
                : store_fatal(marks, code, "verifying", buf_text(&path), err);
        if (result == ERR_RETRY)
            err_wrap(err, dir);
        buf_release(&path);
    }
    return result;
}

/*
 * With all of the log there is, since a copy may be behind of what the last checkpoint wrote. Afterwards the tables are
 * complete by themselves, and what they need of the log is its last file.
 */
static enum err_code recover_copy(const char *dir, const char *told_as, struct err *err)
{
    struct store marks = {.home = NULL};
    DB_ENV *env = NULL;
    enum err_code result = ERR_OK;
    pthread_mutex_init(&marks.message_mutex, NULL);
    int code = db_env_create(&env, 0);
    if (code == 0)
        code = store_configure(&marks, env);
    if (code == 0)
        code = env->open(env, dir,
                         DB_CREATE | DB_PRIVATE | DB_INIT_TXN | DB_INIT_LOCK | DB_INIT_LOG | DB_INIT_MPOOL |
                             DB_RECOVER_FATAL,
                         0600);
    if (code == 0)
        code = env->txn_checkpoint(env, 0, 0, DB_FORCE);
    if (code != 0)
        result = store_fatal(&marks, code, "recovering the copy of", told_as, err);
    if (result == ERR_OK)
        result = verify_tables(&marks, env, dir, told_as, err);
    if (result == ERR_OK && (code = env->log_archive(env, NULL, DB_ARCH_REMOVE)) != 0)
        result = store_fatal(&marks, code, "removing old log files of", dir, err);
    if (env != NULL && (code = env->close(env, 0)) != 0 && result == ERR_OK)
        result = store_fatal(&marks, code, "closing the copy in", dir, err);
    pthread_mutex_destroy(&marks.message_mutex);
    return result;
}

/* Everything in it is on disk before it gets the name that makes it count. */
static enum err_code put_in_place(const char *parent, const char *made, struct err *err)
{
    struct buf final;
    buf_init(&final);
    join(&final, parent, "db");
    enum err_code code = each_file(made, "", sync_file, NULL, err);
    if (code == ERR_OK)
        code = sync_path(made, err);
    if (code == ERR_OK && rename(made, buf_text(&final)) != 0)
        code = file_error("renaming to", buf_text(&final), err);
    if (code == ERR_OK)
        code = sync_path(parent, err);
    buf_release(&final);
    return code;
}

/* ---- the backup ------------------------------------------------------------------- */

static enum err_code copy_once(struct store *store, const char *to, struct err *err)
{
    struct copy copy = {.to = to, .pages = true};
    remove_store_dir(to);
    if (mkdir(to, 0700) != 0)
        return file_error("making", to, err);
    enum err_code code = copy_tables(&copy, store->home, err);
    if (code == ERR_OK)
        code = check_newest(store, &copy, err);
    copy.pages = false;
    if (code == ERR_OK)
        code = each_file(store->home, log_prefix, copy_file, &copy, err);
    if (code == ERR_OK)
        code = recover_copy(to, store->home, err);
    buf_release(&copy.newest_in);
    return code;
}

/* Again where another process recovered the store meanwhile: pages of before and after do not fit together. */
static enum err_code copy_all(struct store *store, const char *to, struct err *err)
{
    for (int i = 0; i < ATTEMPTS; i++) {
        unsigned long region = store_inode(store->home, "__db.001");
        enum err_code code = copy_once(store, to, err);
        if (region != 0 && region == store_inode(store->home, "__db.001"))
            return code;
    }
    return err_set(err, ERR_RETRY, 0, "processes that use %s die all the time: it could not be copied",
                   store->home);
}

/* mkdir, or there and empty. */
static enum err_code make_empty_dir(const char *dir, bool *made, struct err *err)
{
    *made = mkdir(dir, 0700) == 0;
    if (!*made && errno != EEXIST)
        return file_error("making", dir, err);
    struct dirent **names;
    int count = scandir(dir, &names, NULL, alphasort);
    if (count < 0)
        return file_error("reading", dir, err);
    bool empty = count <= 2;
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
    if (empty)
        return ERR_OK;
    return err_set(err, ERR_REJECT, 0, "%s is not empty: name a directory that is, or that does not exist",
                   dir);
}

enum err_code store_backup(struct store *store, const char *dir, struct err *err)
{
    bool made = false;
    struct buf to;
    enum err_code code = make_empty_dir(dir, &made, err);
    if (code != ERR_OK)
        return code;
    int lock = store_lock_logs(store->home, false);
    if (lock < 0)
        return file_error("locking the log files in", store->home, err);
    buf_init(&to);
    join(&to, dir, "incomplete");
    code = copy_all(store, buf_text(&to), err);
    close(lock);
    if (code == ERR_OK)
        code = put_in_place(dir, buf_text(&to), err);
    if (code != ERR_OK) {
        remove_store_dir(buf_text(&to));
        if (made)
            rmdir(dir);
    }
    buf_release(&to);
    return code;
}

/* ---- the log --------------------------------------------------------------------- */

/* The caller holds the guard. A cursor each time, since another process may recover the store in between. */
static int read_log(struct store *store, DB_LSN *at, uint64_t *records)
{
    enum { AT_A_TIME = 1000 };
    DB_LOGC *cursor;
    DBT record = {.flags = DB_DBT_REALLOC};
    if (store->env == NULL)
        return DB_RUNRECOVERY;
    int code = store->env->log_cursor(store->env, &cursor, 0);
    if (code != 0)
        return code;
    if (at->file != 0)
        code = cursor->get(cursor, at, &record, DB_SET);
    for (int i = 0; i < AT_A_TIME && code == 0; i++) {
        code = cursor->get(cursor, at, &record, at->file == 0 ? DB_FIRST : DB_NEXT);
        *records += code == 0;
    }
    cursor->close(cursor, 0);
    free(record.data);
    return code;
}

enum err_code store_check_log(struct store *store, uint64_t *records, struct err *err)
{
    DB_LSN at = {0};
    int code;
    *records = 0;
    int lock = store_lock_logs(store->home, false);
    do {
        pthread_rwlock_rdlock(&store->guard);
        code = read_log(store, &at, records);
        pthread_rwlock_unlock(&store->guard);
    } while (code == 0);
    if (lock >= 0)
        close(lock);
    if (code == DB_NOTFOUND)
        return ERR_OK;
    return err_set(
        err, ERR_FATAL, code,
        "the log in %s cannot be read behind log.%010u, byte %u (%s): stop the pool and restore a backup",
        store->home, at.file, at.offset, db_strerror(code));
}

/* ---- putting a store in place ----------------------------------------------------------- */

static enum err_code refuse_table(void *arg, const char *dir, const char *name, struct err *err)
{
    (void)arg;
    if (!is_table_file(name))
        return ERR_OK;
    return err_set(err, ERR_REJECT, 0, "%s holds a store already: stop the pool and move it away first", dir);
}

/* What is left without tables, as of a lost store that somebody opened, goes. */
static enum err_code clear_place(const char *state_dir, struct err *err)
{
    struct buf path;
    buf_init(&path);
    join(&path, state_dir, "db");
    enum err_code code = ERR_OK;
    if (store_inode(buf_text(&path), NULL) != 0)
        code = each_file(buf_text(&path), "", refuse_table, NULL, err);
    if (code == ERR_OK)
        remove_store_dir(buf_text(&path));
    buf_release(&path);
    return code;
}

static enum err_code copy_backup(const char *backup, const char *to, struct err *err)
{
    struct copy copy = {.to = to};
    struct buf from;
    buf_init(&from);
    join(&from, backup, "db");
    enum err_code code = ERR_OK;
    remove_store_dir(to);
    if (store_inode(buf_text(&from), "pr.db") == 0)
        code =
            err_set(err, ERR_REJECT, 0, "%s is no backup, or one that was not finished: %s/pr.db is missing",
                    backup, buf_text(&from));
    else if (mkdir(to, 0700) != 0)
        code = file_error("making", to, err);
    if (code == ERR_OK)
        code = copy_tables(&copy, buf_text(&from), err);
    if (code == ERR_OK)
        code = each_file(buf_text(&from), log_prefix, copy_file, &copy, err);
    if (code == ERR_OK)
        code = recover_copy(to, buf_text(&from), err);
    buf_release(&from);
    buf_release(&copy.newest_in);
    return code;
}

enum err_code store_restore(const char *state_dir, const char *backup, struct err *err)
{
    struct buf to;
    enum err_code code = store_make_dir(state_dir, err);
    if (code == ERR_OK)
        code = store_refuse_network(state_dir, err);
    if (code == ERR_OK)
        code = clear_place(state_dir, err);
    if (code != ERR_OK)
        return code;
    buf_init(&to);
    join(&to, state_dir, "incomplete");
    code = copy_backup(backup, buf_text(&to), err);
    if (code == ERR_OK)
        code = put_in_place(state_dir, buf_text(&to), err);
    if (code != ERR_OK)
        remove_store_dir(buf_text(&to));
    buf_release(&to);
    return code;
}

/* ---- removing ----------------------------------------------------------------------- */

static enum err_code empty_body(struct store_txn *txn, void *arg, struct err *err)
{
    enum store_table *table = arg;
    struct buf key;
    buf_init(&key);
    enum err_code code = store_next(txn, *table, (struct bytes){0}, &key, NULL, err);
    buf_release(&key);
    return code;
}

static enum err_code refuse_entries(const char *state_dir, struct err *err)
{
    struct store *store;
    enum err_code code = store_open(&store, state_dir, err);
    if (code != ERR_OK)
        return code;
    for (int i = 0; i < TABLE_END && code == ERR_OK; i++) {
        enum store_table table = (enum store_table)i;
        if (table == TABLE_SHARED)
            continue;
        code = store_txn(store, empty_body, &table, err);
        if (code == ERR_OK)
            code = err_set(err, ERR_REJECT, 0,
                           "%s/db has entries (table %s): stop the pool and move it away first", state_dir,
                           store_table_name(table));
        else if (code == ERR_NOT_FOUND)
            code = ERR_OK;
    }
    store_close(store);
    return code;
}

enum err_code store_remove_empty(const char *state_dir, struct err *err)
{
    struct buf path;
    buf_init(&path);
    join(&path, state_dir, "db");
    enum err_code code = ERR_OK;
    if (store_inode(buf_text(&path), "pr.db") != 0)
        code = refuse_entries(state_dir, err);
    if (code == ERR_OK)
        remove_store_dir(buf_text(&path));
    buf_release(&path);
    return code;
}

enum err_code store_remove(const char *state_dir, struct err *err)
{
    struct buf path;
    buf_init(&path);
    join(&path, state_dir, "incomplete");
    remove_store_dir(buf_text(&path));
    join(&path, state_dir, "db");
    remove_store_dir(buf_text(&path));
    buf_release(&path);
    if (rmdir(state_dir) == 0 || errno == ENOENT)
        return ERR_OK;
    return file_error("removing", state_dir, err);
}
