/*
 * clock: the time of day. Everything that decides takes it as an argument; this is where it comes from.
 */
#ifndef PRGATE_CLOCK_H
#define PRGATE_CLOCK_H

#include <stdint.h>

int64_t clock_now_ms(void); /* Unix time. Thread-safe. */

#endif
