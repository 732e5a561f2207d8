/*
 * spares: what is costly to make, kept for whoever needs one next.
 *
 *     void *one = spares_take(&spares);
 *     if (one == NULL)
 *         one = make();
 *     ...
 *     if (!spares_give(&spares, one))
 *         release(one);
 *
 * Nobody waits, and no more are kept than were ever in use at once. Thread-safe. Zeroed memory is one that keeps nothing.
 */
#ifndef PRGATE_SPARES_H
#define PRGATE_SPARES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum { SPARES_MAX = 8 }; /* kept at once */

struct spares {
    _Atomic(void *) kept[SPARES_MAX];
};

#define SPARES_NONE                                                                                          \
    {                                                                                                        \
        .kept = { NULL }                                                                                     \
    }

/* The one that was used last, if nobody comes between; the caller's from here on. NULL: none is kept. */
void *spares_take(struct spares *spares);

/* False: as many as can be are kept, so it stays the caller's. */
bool spares_give(struct spares *spares, void *one);

/* Releases what is kept. Others may take and give meanwhile. */
void spares_drop(struct spares *spares, void (*release)(void *one));

#endif
