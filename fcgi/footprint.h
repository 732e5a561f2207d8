/*
 * footprint: what only the start, or a load, needed of programs and libraries does not stay in this process's memory.
 *
 * To start, the linker and each library's set-up touch most of what is mapped, some ten MiB, and the kernel maps what lies
 * beside it. All of that is in the page cache, for all processes at once, but counts for each of them (RSS), and limits
 * on shared hosts go by that. Given back, what is needed again is mapped again, without reading the disk.
 */
#ifndef PRGATE_FOOTPRINT_H
#define PRGATE_FOOTPRINT_H

#include <stdbool.h>
#include <stdint.h>

#include "prgate/store.h"

/* Once everything is set up, and the store is open. Other threads may run. */
void footprint_trim(struct store *store);

/* What was seen of this process so far; {0} at first. One thread's. */
struct footprint {
    int64_t cpu_us;
    int64_t faults; /* when it was last trimmed */
    unsigned rest;  /* looks in a row that found it at rest */
};

/*
 * Whether it is to be trimmed: it has been at rest for several looks, and much was mapped since the last time. `cpu_us`
 * and `faults` are what it has used since its start. Only counts.
 */
bool footprint_is_due(struct footprint *footprint, int64_t cpu_us, int64_t faults);

/* Since the last footprint_is_due(). */
bool footprint_is_busy(const struct footprint *footprint, int64_t cpu_us);

/*
 * About once a second: whether what a load has left behind is to be trimmed, since the process is at rest. While it is busy,
 * code and constants are given back here: what it goes on using is back after some hundred faults, what was used once is not.
 */
bool footprint_look(struct footprint *footprint);

#endif
