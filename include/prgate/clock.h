/*
 * clock: the time of day, and how long something takes. Everything that decides takes it as an argument; this is where it comes from.
 */
#ifndef PRGATE_CLOCK_H
#define PRGATE_CLOCK_H

#include <stdint.h>

int64_t clock_now_ms(void); /* Unix time. Thread-safe. */

/* For durations: never set back or forth, from no particular time on. clock_use() does not change it. */
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_us(void);

/*
 * From here on `now_ms` tells the time to all of this process; NULL: the system does. For a
 * replay, in which days pass in no time. Call it before other threads start.
 */
void clock_use(int64_t (*now_ms)(void));

#endif
