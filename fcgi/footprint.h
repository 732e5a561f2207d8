/*
 * footprint: what only the start needed of programs and libraries does not stay in this process's memory.
 *
 * To start, the linker and each library's set-up touch most of what is mapped, some ten MiB, and the kernel maps what lies
 * beside it. All of that is in the page cache, for all processes at once, but counts for each of them (RSS), and limits
 * on shared hosts go by that. Given back, what is needed again is mapped again, without reading the disk.
 */
#ifndef PRGATE_FOOTPRINT_H
#define PRGATE_FOOTPRINT_H

/* Once everything is set up, and the store is open. Other threads may run. */
void footprint_trim(void);

#endif
