/*
 * db_log: what is written to the files of Berkeley DB's log, for the libraries that look on.
 */
#ifndef PRGATE_TESTS_DB_LOG_H
#define PRGATE_TESTS_DB_LOG_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { DB_LOG_PATH_SIZE = 512 };

/* "log.0000000001", within `path`, or NULL where the descriptor is none of the log's files. */
static inline const char *db_log_name(int fd, char path[DB_LOG_PATH_SIZE])
{
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, DB_LOG_PATH_SIZE - 1);
    if (len <= 0)
        return NULL;
    path[len] = '\0';
    const char *name = strrchr(path, '/');
    return name != NULL && strncmp(name + 1, "log.", 4) == 0 ? name + 1 : NULL;
}

/* A new file is full of them, and they are nobody's entry. */
static inline bool db_log_is_zeros(const char *bytes, size_t len)
{
    return len > 0 && bytes[0] == '\0' && memcmp(bytes, bytes + 1, len - 1) == 0;
}

#endif
