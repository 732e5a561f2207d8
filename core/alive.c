#include "prgate/alive.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef F_OFD_SETLK
#include <sys/file.h>
#endif

#include "prgate/buf.h"
#include "prgate/text.h"

enum { ID_HEX_SIZE = 2 * PROCESS_ID_SIZE + 1, PEERS_KEPT = 8 };

/* Another process, and its file: whether that is locked is all that changes, so it need not be opened for each question. */
struct peer {
    struct process_id id;
    int fd; /* -1: none */
};

struct alive {
    char *dir;
    struct process_id self;
    int fd;
    pthread_mutex_t mutex; /* of what follows */
    struct peer peers[PEERS_KEPT];
    size_t oldest; /* whose place the next one gets where none is free, in turns */
};

#ifdef F_OFD_SETLK
static bool lock_file(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

static bool file_is_locked(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}
#else
static bool lock_file(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static bool file_is_locked(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB) != 0;
}
#endif

static void add_path(const struct alive *alive, const char *prefix, const char *name, struct buf *out)
{
    buf_clear(out);
    buf_addf(out, "%s/%s%s", alive->dir, prefix, name);
}

/*
 * Locked under a name that nobody looks at, then renamed: at no moment does a file of a
 * living process stand there unlocked. A crash in between leaves a dotted
 * file that alive_sweep() removes.
 */
static enum err_code make_file(struct alive *alive, struct err *err)
{
    char hex[ID_HEX_SIZE];
    struct buf hidden, final;
    buf_init(&hidden);
    buf_init(&final);
    text_hex(alive->self.bytes, sizeof alive->self.bytes, hex);
    add_path(alive, ".", hex, &hidden);
    add_path(alive, "", hex, &final);

    enum err_code code = ERR_OK;
    alive->fd = open(buf_text(&hidden), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (alive->fd < 0 || !lock_file(alive->fd) || rename(buf_text(&hidden), buf_text(&final)) != 0)
        code = err_set(err, ERR_FATAL, errno, "cannot create and lock %s: %s", buf_text(&final),
                       strerror(errno));
    buf_release(&hidden);
    buf_release(&final);
    return code;
}

enum err_code alive_open(struct alive **out, const char *state_dir, struct err *err)
{
    struct alive *alive = mem_alloc(sizeof *alive);
    struct buf dir;
    buf_init(&dir);
    buf_addf(&dir, "%s/alive", state_dir);
    *alive = (struct alive){.dir = mem_strdup(buf_text(&dir)), .fd = -1};
    buf_release(&dir);
    pthread_mutex_init(&alive->mutex, NULL);
    for (size_t i = 0; i < PEERS_KEPT; i++)
        alive->peers[i].fd = -1;

    enum err_code code = ERR_OK;
    if (mkdir(state_dir, 0700) != 0 && errno != EEXIST)
        code = err_set(err, ERR_FATAL, errno, "cannot create %s: %s", state_dir, strerror(errno));
    else if (mkdir(alive->dir, 0700) != 0 && errno != EEXIST)
        code = err_set(err, ERR_FATAL, errno, "cannot create %s: %s", alive->dir, strerror(errno));
    else if (RAND_bytes(alive->self.bytes, sizeof alive->self.bytes) != 1)
        code = err_set(err, ERR_FATAL, 0, "no random bytes to be had");
    else
        code = make_file(alive, err);
    if (code == ERR_OK)
        *out = alive;
    else
        alive_close(alive);
    return code;
}

static void forget_peer(struct peer *peer)
{
    if (peer->fd >= 0)
        close(peer->fd);
    peer->fd = -1;
}

void alive_close(struct alive *alive)
{
    if (alive == NULL)
        return;
    if (alive->fd >= 0) {
        char hex[ID_HEX_SIZE];
        struct buf path;
        buf_init(&path);
        text_hex(alive->self.bytes, sizeof alive->self.bytes, hex);
        add_path(alive, "", hex, &path);
        unlink(buf_text(&path));
        buf_release(&path);
        close(alive->fd);
    }
    for (size_t i = 0; i < PEERS_KEPT; i++)
        forget_peer(&alive->peers[i]);
    pthread_mutex_destroy(&alive->mutex);
    free(alive->dir);
    free(alive);
}

const struct process_id *alive_self(const struct alive *alive)
{
    return &alive->self;
}

/* -1: see errno. */
static int open_file(const struct alive *alive, const char *name)
{
    struct buf path;
    buf_init(&path);
    add_path(alive, "", name, &path);
    int fd = open(buf_text(&path), O_RDWR | O_CLOEXEC);
    int number = errno;
    buf_release(&path);
    errno = number;
    return fd;
}

/* One that cannot be opened for want of descriptors says nothing of its owner, who then counts as alive. */
static bool unopened_is_alive(void)
{
    return errno != ENOENT;
}

static bool name_is_alive(const struct alive *alive, const char *name)
{
    int fd = open_file(alive, name);
    if (fd < 0)
        return unopened_is_alive();
    bool locked = file_is_locked(fd);
    close(fd);
    return locked;
}

/* The caller holds the mutex. */
static struct peer *place_for_peer(struct alive *alive)
{
    for (size_t i = 0; i < PEERS_KEPT; i++)
        if (alive->peers[i].fd < 0)
            return &alive->peers[i];
    struct peer *peer = &alive->peers[alive->oldest];
    alive->oldest = (alive->oldest + 1) % PEERS_KEPT;
    forget_peer(peer);
    return peer;
}

/* The caller holds the mutex. NULL: see errno. */
static struct peer *find_peer(struct alive *alive, const struct process_id *id)
{
    for (size_t i = 0; i < PEERS_KEPT; i++)
        if (alive->peers[i].fd >= 0 && memcmp(alive->peers[i].id.bytes, id->bytes, sizeof id->bytes) == 0)
            return &alive->peers[i];
    char hex[ID_HEX_SIZE];
    text_hex(id->bytes, sizeof id->bytes, hex);
    int fd = open_file(alive, hex);
    if (fd < 0)
        return NULL;
    struct peer *peer = place_for_peer(alive);
    *peer = (struct peer){.id = *id, .fd = fd};
    return peer;
}

bool alive_is(struct alive *alive, const struct process_id *id)
{
    if (memcmp(id->bytes, alive->self.bytes, sizeof id->bytes) == 0)
        return true;
    pthread_mutex_lock(&alive->mutex);
    struct peer *peer = find_peer(alive, id);
    bool locked = peer == NULL ? unopened_is_alive() : file_is_locked(peer->fd);
    if (peer != NULL && !locked)
        forget_peer(peer); /* for good: ids are not used again */
    pthread_mutex_unlock(&alive->mutex);
    return locked;
}

/* Old enough that its maker is not between creating and locking it. */
static bool is_old(int dir, const char *name)
{
    struct stat st;
    return fstatat(dir, name, &st, 0) == 0 && time(NULL) - st.st_mtime > 60;
}

unsigned alive_sweep(const struct alive *alive)
{
    DIR *dir = opendir(alive->dir);
    if (dir == NULL)
        return 0;
    unsigned removed = 0;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        bool hidden = name[0] == '.';
        if (strlen(name) != ID_HEX_SIZE - 1 + (hidden ? 1U : 0U))
            continue;
        if (hidden && !is_old(dirfd(dir), name))
            continue;
        if (!name_is_alive(alive, name) && unlinkat(dirfd(dir), name, 0) == 0)
            removed++;
    }
    closedir(dir);
    return removed;
}

unsigned alive_count(const struct alive *alive)
{
    DIR *dir = opendir(alive->dir);
    unsigned living = 0;
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (strlen(entry->d_name) == ID_HEX_SIZE - 1 && name_is_alive(alive, entry->d_name))
            living++;
    if (dir != NULL)
        closedir(dir);
    return living;
}

enum err_code alive_refuse_pool(const char *state_dir, struct err *err)
{
    struct buf path;
    buf_init(&path);
    buf_addf(&path, "%s/alive", state_dir);
    struct alive alive = {.dir = mem_strdup(buf_text(&path)), .fd = -1};
    buf_release(&path);
    unsigned living = alive_count(&alive);
    free(alive.dir);
    if (living == 0)
        return ERR_OK;
    return err_set(err, ERR_REJECT, 0, "%u processes have %s open: stop the pool first", living, state_dir);
}
