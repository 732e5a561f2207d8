/*
 * A sync that failed stays failed.
 *
 * When fdatasync() reports an error, the kernel takes the pages that it could not write for clean: called once more, it says
 * that all is well, and the bytes are on no disk. Berkeley DB calls it up to a hundred times on EIO. So all its
 * syncs come through here, and after one that failed none of this process succeeds any more; other processes have the
 * error from the kernel, once for each descriptor. The mark `db/unsynced` then says that what the files of log and tables
 * hold may be in memory only. Whoever opens the environment next, once all have let go of it, writes them once more, byte
 * for byte, and recovers. The tables, too: a recovery leaves pages alone that look new. Until that has succeeded nothing is
 * acknowledged. A backup's syncs are of this process as well: one that fails costs the pool a recovery.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "prgate/log.h"
#include "store_internal.h"

enum { CHUNK = 16 * 1024, STEP = 1024 * 1024 };

static const char mark[] = "unsynced";

/* Of the process, since Berkeley DB hands its hook nothing but a descriptor. */
static atomic_int failure; /* errno of the first sync that failed; 0 = none did */

/* Returns an errno: Berkeley DB hands on what it gets from here, and does not ask again. */
static int sync_file(int fd)
{
    int number = atomic_load(&failure);
    while (number == 0 && fdatasync(fd) != 0) {
        if (errno == EINTR)
            continue;
        number = errno;
        atomic_store(&failure, number);
        log_error("a sync failed: nothing is acknowledged until log and tables are written anew",
                  LOG_STR("error", strerror(number)));
    }
    return number;
}

static void set_hook(void)
{
    db_env_set_func_fsync(sync_file);
}

void store_watch_syncs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_hook);
}

bool store_sync_failed(void)
{
    return atomic_load(&failure) != 0;
}

static enum err_code say_failed(const char *home, const char *name, int number, struct err *err)
{
    return err_set(err, ERR_FATAL, number,
                   "%s/%s cannot be synced to disk (%s): see what the kernel says of the disk", home, name,
                   strerror(number));
}

enum err_code store_mark_unsynced(const char *home, struct err *err)
{
    struct buf path;
    buf_init(&path);
    buf_addf(&path, "%s/%s", home, mark);
    int fd = open(buf_text(&path), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    int number = errno;
    if (fd >= 0)
        close(fd);
    buf_release(&path);
    return fd >= 0 ? ERR_OK : say_failed(home, mark, number, err);
}

bool store_is_unsynced(const char *home)
{
    return store_inode(home, mark) != 0;
}

/*
 * Each byte in its place, so that a crash amid of it changes nothing. Synced in steps, lest the watchdog takes a long
 * sync for a stuck thread. Returns an errno.
 */
static int rewrite_file(int fd)
{
    char chunk[CHUNK];
    off_t at = 0;
    ssize_t got;
    while ((got = pread(fd, chunk, sizeof chunk, at)) > 0) {
        errno = EIO;
        if (pwrite(fd, chunk, (size_t)got, at) != got)
            return errno;
        at += got;
        if (at % STEP == 0 && fdatasync(fd) != 0)
            return errno;
    }
    return got == 0 && fdatasync(fd) == 0 ? 0 : errno;
}

static bool is_log_or_table(const char *name)
{
    size_t len = strlen(name);
    return strncmp(name, "log.", 4) == 0 || (len > 3 && strcmp(name + len - 3, ".db") == 0);
}

enum err_code store_rewrite_files(const char *home, struct err *err)
{
    DIR *dir = opendir(home);
    const struct dirent *entry;
    enum err_code code = ERR_OK;
    if (dir == NULL)
        return say_failed(home, "", errno, err);
    while (code == ERR_OK && (entry = readdir(dir)) != NULL) {
        if (!is_log_or_table(entry->d_name))
            continue;
        int fd = openat(dirfd(dir), entry->d_name, O_RDWR | O_CLOEXEC);
        int number = fd < 0 ? errno : rewrite_file(fd);
        if (fd >= 0)
            close(fd);
        if (number != 0)
            code = say_failed(home, entry->d_name, number, err);
    }
    closedir(dir);
    /* From here on syncs are believed again. */
    if (code == ERR_OK)
        atomic_store(&failure, 0);
    return code;
}

enum err_code store_end_unsynced(const char *home, struct err *err)
{
    struct buf path;
    buf_init(&path);
    buf_addf(&path, "%s/%s", home, mark);
    int number = atomic_load(&failure); /* the recovery's own */
    if (number == 0 && unlink(buf_text(&path)) != 0 && errno != ENOENT)
        number = errno;
    buf_release(&path);
    return number == 0 ? ERR_OK : say_failed(home, mark, number, err);
}
