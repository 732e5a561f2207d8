#include "fence.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "prgate/clock.h"
#include "store_internal.h"

enum { PAUSE_MS = 2, ID_BYTES = 8 };

static const char user_prefix[] = "user.", recovering_name[] = "recovering";

void fence_init(struct fence *fence, const char *home)
{
    *fence = (struct fence){.opening_fd = -1, .use_fd = -1, .user_fd = -1};
    buf_init(&fence->home);
    buf_init(&fence->user);
    buf_adds(&fence->home, home);
}

void fence_release(struct fence *fence)
{
    buf_release(&fence->home);
    buf_release(&fence->user);
}

static void path_of(const struct fence *fence, const char *name, struct buf *out)
{
    buf_clear(out);
    buf_add(out, fence->home.data, fence->home.len);
    buf_addf(out, "/%s", name);
}

static void let_go(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static enum err_code open_lock(const char *path, int flags, int *fd, struct err *err)
{
    *fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC | flags, 0600);
    return *fd >= 0 ? ERR_OK : store_fatal(NULL, errno, "opening", path, err);
}

/* Not flock()'s own waiting, which nothing could end. */
static enum err_code wait_for_lock(int fd, int kind, int64_t give_up_ms, const char *who, struct err *err)
{
    while (flock(fd, kind | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_set(err, ERR_FATAL, errno, "locking the store: %s", strerror(errno));
        if (clock_monotonic_ms() >= give_up_ms)
            return err_set(err, ERR_RETRY, EBUSY, "the store cannot be opened yet: another process %s", who);
        struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
    return ERR_OK;
}

static enum err_code open_named(const struct fence *fence, const char *name, int *fd, struct err *err)
{
    struct buf path;
    buf_init(&path);
    path_of(fence, name, &path);
    enum err_code code = open_lock(buf_text(&path), 0, fd, err);
    buf_release(&path);
    return code;
}

enum err_code fence_lock(struct fence *fence, int64_t give_up_ms, struct err *err)
{
    enum err_code code = open_named(fence, "opening", &fence->opening_fd, err);
    if (code == ERR_OK)
        code = wait_for_lock(fence->opening_fd, LOCK_EX, give_up_ms, "is opening it", err);
    if (code != ERR_OK)
        let_go(&fence->opening_fd);
    return code;
}

void fence_unlock(struct fence *fence)
{
    let_go(&fence->opening_fd);
}

/* ---- marks ---- */

/*
 * Marks are made and removed by their owners, and of the dead by who recovers: with fence_lock() held, none appears.
 * Without, one that is being made looks dead for a moment.
 */
static bool is_dead(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno != ENOENT; /* one that cannot be looked at: better one recovery too many */
    /* Shared: two that look at once must not take each other for the owner. */
    bool dead = flock(fd, LOCK_SH | LOCK_NB) == 0;
    close(fd);
    return dead;
}

/* Finds the dead; removes their marks, too, where that is asked for. */
static enum err_code each_dead(struct fence *fence, bool remove, bool *found, struct err *err)
{
    DIR *dir = opendir(buf_text(&fence->home));
    const struct dirent *entry;
    *found = false;
    if (dir == NULL)
        return store_fatal(NULL, errno, "reading", buf_text(&fence->home), err);
    while ((entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, user_prefix, sizeof user_prefix - 1) != 0 ||
            !is_dead(dirfd(dir), entry->d_name))
            continue;
        *found = true;
        if (remove)
            unlinkat(dirfd(dir), entry->d_name, 0);
    }
    closedir(dir);
    return ERR_OK;
}

enum err_code fence_someone_died(struct fence *fence, bool *out, struct err *err)
{
    return each_dead(fence, false, out, err);
}

static enum err_code make_mark(struct fence *fence, struct err *err)
{
    unsigned char id[ID_BYTES];
    if (getrandom(id, sizeof id, 0) != (ssize_t)sizeof id)
        return err_set(err, ERR_FATAL, errno, "no random numbers: %s", strerror(errno));
    path_of(fence, user_prefix, &fence->user);
    for (size_t i = 0; i < sizeof id; i++)
        buf_addf(&fence->user, "%02x", id[i]);
    enum err_code code = open_lock(buf_text(&fence->user), O_EXCL, &fence->user_fd, err);
    if (code == ERR_OK && flock(fence->user_fd, LOCK_EX | LOCK_NB) != 0)
        code = store_fatal(NULL, errno, "locking", buf_text(&fence->user), err);
    return code;
}

static void remove_recovering(const struct fence *fence)
{
    struct buf path;
    buf_init(&path);
    path_of(fence, recovering_name, &path);
    unlink(buf_text(&path));
    buf_release(&path);
}

/* ---- in and out ---- */

enum err_code fence_enter(struct fence *fence, struct err *err)
{
    enum err_code code = make_mark(fence, err);
    if (code == ERR_OK)
        code = open_named(fence, "use", &fence->use_fd, err);
    /* Nobody has it exclusively but with fence_lock() held. */
    if (code == ERR_OK && flock(fence->use_fd, LOCK_SH | LOCK_NB) != 0)
        code =
            err_set(err, ERR_RETRY, EBUSY, "the store's lock is held by somebody else: %s", strerror(errno));
    if (code == ERR_OK)
        remove_recovering(fence); /* of one who died waiting: his reason is gone, or is found anew */
    else
        fence_leave(fence);
    return code;
}

static enum err_code say_recovering(const struct fence *fence, struct err *err)
{
    int fd = -1;
    enum err_code code = open_named(fence, recovering_name, &fd, err);
    let_go(&fd);
    return code;
}

enum err_code fence_enter_alone(struct fence *fence, int64_t give_up_ms, struct err *err)
{
    enum err_code code = make_mark(fence, err);
    if (code == ERR_OK)
        code = open_named(fence, "use", &fence->use_fd, err);
    if (code == ERR_OK)
        code = say_recovering(fence, err);
    if (code == ERR_OK)
        code = wait_for_lock(fence->use_fd, LOCK_EX, give_up_ms,
                             "that has it open does not let go, though it must be recovered", err);
    if (code == ERR_OK)
        return ERR_OK;
    remove_recovering(fence);
    fence_leave(fence);
    return code;
}

void fence_recovered(struct fence *fence)
{
    bool found;
    struct err err;
    each_dead(fence, true, &found, &err);
    remove_recovering(fence);
    flock(fence->use_fd, LOCK_SH | LOCK_NB);
}

void fence_leave(struct fence *fence)
{
    if (fence->user_fd >= 0)
        unlink(buf_text(&fence->user));
    let_go(&fence->user_fd);
    let_go(&fence->use_fd);
}

bool fence_is_wanted(const char *home)
{
    return store_inode(home, recovering_name) != 0;
}
