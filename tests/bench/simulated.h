/*
 * simulated: the clock and the disk of a program that counts. Time goes on only when the program says so, and nothing is
 * synced: what is counted is prgate, not the disk. For one file of a program.
 */
#ifndef PRGATE_BENCH_SIMULATED_H
#define PRGATE_BENCH_SIMULATED_H

#include <stdint.h>

static int64_t simulated_ms; /* Unix time */

/* For clock_use(). */
static inline int64_t tell_simulated(void)
{
    return simulated_ms;
}

/* In the place of the C library's: Berkeley DB calls these. */
int fsync(int fd)
{
    (void)fd;
    return 0;
}

int fdatasync(int fd)
{
    (void)fd;
    return 0;
}

#endif
