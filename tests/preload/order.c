/*
 * For LD_PRELOAD: writes down, in the order in which they happen in a pool of processes, what is written to the store's log,
 * what is synced, and which deliveries are answered with 202. ORDER_FILE names the file; a line each:
 *
 *   W FILE OFFSET LENGTH     the log's bytes from OFFSET on were handed to the system, other than zeros
 *   B THREAD FILE            a sync of the log begins
 *   E THREAD FILE            and has ended well
 *   A DELIVERY               "202" is about to be written to the web server
 *
 * A line of W and E comes after what it tells of, one of B and A before: what the file says was in time was in time.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "db_log.h"

static int out = -1;
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_fdatasync)(int);

__attribute__((constructor)) static void set_up(void)
{
    const char *path = getenv("ORDER_FILE");
    *(void **)&real_write = dlsym(RTLD_NEXT, "write");
    *(void **)&real_pwrite = dlsym(RTLD_NEXT, "pwrite");
    *(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    if (path != NULL)
        out = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
}

static void note(const char *line, int len)
{
    if (out >= 0 && real_write(out, line, (size_t)len) != len)
        abort();
}

static void note_written(int fd, const void *data, off_t at, ssize_t len)
{
    char path[DB_LOG_PATH_SIZE], line[320];
    const char *name = len > 0 && !db_log_is_zeros(data, (size_t)len) ? db_log_name(fd, path) : NULL;
    if (name != NULL)
        note(line, snprintf(line, sizeof line, "W %s %lld %zd\n", name, (long long)at, len));
}

static void note_answer(const void *data, size_t len)
{
    static const char status[] = "Status: 202", id[] = "\"delivery\":\"";
    char line[160];
    const char *at = memmem(data, len, id, sizeof id - 1);
    if (at == NULL || memmem(data, len, status, sizeof status - 1) == NULL)
        return;
    at += sizeof id - 1;
    const char *end = memchr(at, '"', len - (size_t)(at - (const char *)data));
    if (end != NULL && end - at < 128)
        note(line, snprintf(line, sizeof line, "A %.*s\n", (int)(end - at), at));
}

ssize_t write(int fd, const void *data, size_t len)
{
    char path[DB_LOG_PATH_SIZE];
    bool to_log = db_log_name(fd, path) != NULL;
    off_t at = to_log ? lseek(fd, 0, SEEK_CUR) : 0;
    note_answer(data, len);
    ssize_t done = real_write(fd, data, len);
    if (to_log)
        note_written(fd, data, at, done);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    ssize_t done = real_pwrite(fd, data, len, at);
    note_written(fd, data, at, done);
    return done;
}

int fdatasync(int fd)
{
    char path[DB_LOG_PATH_SIZE], line[320];
    const char *name = db_log_name(fd, path);
    long thread = syscall(SYS_gettid);
    if (name != NULL)
        note(line, snprintf(line, sizeof line, "B %ld %s\n", thread, name));
    int code = real_fdatasync(fd);
    if (name != NULL && code == 0)
        note(line, snprintf(line, sizeof line, "E %ld %s\n", thread, name));
    return code;
}
