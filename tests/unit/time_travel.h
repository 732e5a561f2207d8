/*
 * time_travel: the wall clock as a test wants it. In libc's place for the whole program; waiting goes by the monotonic
 * clock or in real time and is not touched. Include in the test's one file.
 */
#ifndef PRGATE_TESTS_TIME_TRAVEL_H
#define PRGATE_TESTS_TIME_TRAVEL_H

#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Thread_local int64_t travelled_s; /* of the test's thread alone */

int clock_gettime(clockid_t id, struct timespec *out)
{
    int code = (int)syscall(SYS_clock_gettime, id, out);
    if (id == CLOCK_REALTIME)
        out->tv_sec += travelled_s;
    return code;
}

static inline void travel_days(double days)
{
    travelled_s += (int64_t)(days * 86400);
}

#endif
