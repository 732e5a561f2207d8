#include "boot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "prgate/buf.h"
#include "prgate/log.h"

static const char id_file[] = "/proc/sys/kernel/random/boot_id";

static bool read_id(int fd, char id[BOOT_ID_SIZE])
{
    ssize_t got = pread(fd, id, BOOT_ID_SIZE - 1, 0);
    id[got < 0 ? 0 : got] = '\0';
    return got > 0;
}

static enum err_code read_boot(char id[BOOT_ID_SIZE], struct err *err)
{
    int fd = open(id_file, O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && read_id(fd, id);
    int number = errno;
    if (fd >= 0)
        close(fd);
    if (good)
        return ERR_OK;
    return err_set(err, ERR_FATAL, number,
                   "cannot read %s (%s), which tells whether the store must be recovered: mount /proc, and "
                   "under systemd leave ProcSubset= at \"all\"",
                   id_file, strerror(number));
}

enum err_code boot_mark_open(struct boot_mark *mark, const char *home, struct err *err)
{
    struct buf path;
    *mark = (struct boot_mark){.fd = -1};
    enum err_code code = read_boot(mark->now, err);
    if (code != ERR_OK)
        return code;
    buf_init(&path);
    buf_addf(&path, "%s/boot", home);
    mark->fd = open(buf_text(&path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (mark->fd < 0)
        code = err_set(err, ERR_FATAL, errno,
                       "cannot open %s: %s; the state directory must belong to the user that prgate "
                       "runs as",
                       buf_text(&path), strerror(errno));
    buf_release(&path);
    return code;
}

void boot_mark_close(struct boot_mark *mark)
{
    if (mark->fd >= 0)
        close(mark->fd);
    mark->fd = -1;
}

bool boot_mark_is_set(const struct boot_mark *mark)
{
    char last[BOOT_ID_SIZE];
    return read_id(mark->fd, last) && strcmp(last, mark->now) == 0;
}

enum err_code boot_mark_clear(const struct boot_mark *mark, struct err *err)
{
    if (ftruncate(mark->fd, 0) == 0)
        return ERR_OK;
    return err_set(err, ERR_FATAL, errno, "cannot write the store's boot mark: %s", strerror(errno));
}

void boot_mark_set(const struct boot_mark *mark)
{
    size_t len = strlen(mark->now);
    if (ftruncate(mark->fd, 0) != 0 || pwrite(mark->fd, mark->now, len, 0) != (ssize_t)len)
        log_warning("the next process recovers the store once more", LOG_STR("error", strerror(errno)));
}
