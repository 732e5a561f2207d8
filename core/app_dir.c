#include "prgate/app_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <openssl/crypto.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prgate/log.h"

/* More than a set takes: a key of 4096 bits has 3.2 kB. */
enum { ROOM_NEEDED = 16 * 1024, URL_MAX = 1024 };

static const char room_file[] = "room";
static const char *const files[] = {"app_id", "private-key.pem", "webhook.secret", "url", room_file};

static void wipe(char *text)
{
    if (text != NULL)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

void app_release(struct app *app)
{
    wipe(app->private_key);
    wipe(app->webhook_secret);
    free(app->url);
    *app = (struct app){0};
}

static void add_new(const char *dir, struct buf *path)
{
    buf_init(path);
    buf_addf(path, "%s.new", dir);
}

bool app_dir_is_there(const char *dir)
{
    struct stat st;
    return lstat(dir, &st) == 0 || errno != ENOENT;
}

/* ---- before ------------------------------------------------------------------------ */

static enum err_code check_parent(const char *dir, struct err *err)
{
    enum err_code code = ERR_OK;
    struct stat st;
    char *copy = mem_strdup(dir);
    const char *parent = dirname(copy);
    if (stat(parent, &st) != 0) {
        code = err_set(err, ERR_REJECT, errno, "%s, which is to hold app_dir: %s", parent, strerror(errno));
    } else if (st.st_uid != geteuid()) {
        const struct passwd *owner = getpwuid(st.st_uid);
        const char *name = owner == NULL ? "its owner" : owner->pw_name;
        code =
            err_set(err, ERR_REJECT, 0,
                    "%s, which is to hold app_dir, belongs to user %s (%u), and this is user %u: run it as "
                    "runuser -u %s -- prgatectl ...",
                    parent, name, (unsigned)st.st_uid, (unsigned)geteuid(), name);
    } else if ((st.st_mode & 0022) != 0) {
        code = err_set(err, ERR_REJECT, 0,
                       "%s, which is to hold app_dir, can be written by others (mode %04o): chmod go-w it",
                       parent, (unsigned)st.st_mode & 07777);
    }
    free(copy);
    return code;
}

/* Only what a set consists of: a directory of that name with anything else in it is somebody's. */
static void remove_new(const char *path)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        unlinkat(dir, files[i], 0);
    close(dir);
    rmdir(path);
}

void app_dir_abandon(const char *dir)
{
    struct buf path;
    add_new(dir, &path);
    remove_new(buf_text(&path));
    buf_release(&path);
}

/* A file of its own, that was not there and that nobody else may read, with all of the text in it on the disk. */
static bool write_file(int dir, const char *name, const void *bytes, size_t len)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    size_t done = 0;
    while (fd >= 0 && done < len) {
        ssize_t put = write(fd, (const char *)bytes + done, len - done);
        if (put < 0 && errno != EINTR)
            break;
        done += put < 0 ? 0 : (size_t)put;
    }
    bool good = fd >= 0 && done == len && fsync(fd) == 0;
    int number = errno;
    if (fd >= 0 && close(fd) != 0 && good) {
        good = false;
        number = errno;
    }
    errno = number;
    return good;
}

/* Is there room? GitHub gives the key once: a full disk must show before. */
static bool try_room(int dir)
{
    static const char zeros[ROOM_NEEDED];
    return write_file(dir, room_file, zeros, sizeof zeros) && unlinkat(dir, room_file, 0) == 0;
}

static enum err_code make_new(const char *path, struct err *err)
{
    int dir = -1;
    enum err_code code = ERR_OK;
    remove_new(path);
    if (mkdir(path, 0700) == 0)
        dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0 || !try_room(dir))
        code = err_set(err, ERR_FATAL, errno, "cannot write %s: %s", path, strerror(errno));
    if (dir >= 0)
        close(dir);
    if (code != ERR_OK)
        remove_new(path);
    return code;
}

enum err_code app_dir_prepare(const char *dir, struct err *err)
{
    struct buf path;
    if (app_dir_is_there(dir))
        return err_set(err, ERR_CONFLICT, 0,
                       "%s is there already: to make another App, move it away and reload prgate", dir);
    enum err_code code = check_parent(dir, err);
    if (code != ERR_OK)
        return code;
    add_new(dir, &path);
    code = make_new(buf_text(&path), err);
    buf_release(&path);
    return code;
}

/* ---- storing ----------------------------------------------------------------------- */

static bool write_line(int dir, const char *name, const char *text)
{
    struct buf line;
    buf_init(&line);
    buf_adds(&line, text);
    if (line.len == 0 || line.data[line.len - 1] != '\n')
        buf_addc(&line, '\n');
    bool good = write_file(dir, name, line.data, line.len);
    int number = errno;
    OPENSSL_cleanse(line.data, line.cap);
    buf_release(&line);
    errno = number;
    return good;
}

static bool write_set(int dir, const struct app *app)
{
    char id[24];
    snprintf(id, sizeof id, "%" PRIu64, app->id);
    return write_line(dir, "app_id", id) && write_line(dir, "private-key.pem", app->private_key) &&
           write_line(dir, "webhook.secret", app->webhook_secret) && write_line(dir, "url", app->url) &&
           fsync(dir) == 0;
}

/* Where the file system knows no RENAME_NOREPLACE: rename() itself does not replace a directory that has files. */
static bool rename_to_new_name(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return true;
    return (errno == EINVAL || errno == ENOSYS) && rename(from, to) == 0;
}

static bool sync_parent(const char *dir)
{
    char *copy = mem_strdup(dir);
    int parent = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = parent >= 0 && fsync(parent) == 0;
    if (parent >= 0)
        close(parent);
    free(copy);
    return good;
}

/*
 * Dying before the rename leaves DIR.new, whole or in part; the App is then on GitHub, and its key nowhere that counts.
 * Dying behind it leaves the set; should the machine go down before the parent is synced, either.
 */
enum err_code app_dir_put(const char *dir, const struct app *app, struct err *err)
{
    struct buf path;
    enum err_code code = ERR_OK;
    add_new(dir, &path);
    int new = open(buf_text(&path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool written = new >= 0 && write_set(new, app);
    if (!written || !rename_to_new_name(buf_text(&path), dir)) {
        bool taken = written && (errno == EEXIST || errno == ENOTEMPTY);
        code =
            err_set(err, taken ? ERR_CONFLICT : ERR_FATAL, errno, "cannot make %s: %s", dir, strerror(errno));
        remove_new(buf_text(&path));
    } else if (!sync_parent(dir)) {
        log_warning("the App's directory may not outlive a power failure now", LOG_STR("app_dir", dir),
                    LOG_STR("error", strerror(errno)));
    }
    if (new >= 0)
        close(new);
    buf_release(&path);
    return code;
}

void app_dir_add_url(const char *dir, struct buf *out)
{
    struct buf path;
    char text[URL_MAX];
    buf_init(&path);
    buf_addf(&path, "%s/url", dir);
    int fd = open(buf_text(&path), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (len > 0) {
        text[len] = '\0';
        text[strcspn(text, "\r\n")] = '\0';
        buf_adds(out, text);
    }
    if (fd >= 0)
        close(fd);
    buf_release(&path);
}
