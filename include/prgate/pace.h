/*
 * pace: what the processes of a pool do one at a time, and not too often.
 *
 *     pace_join(gate, PACE_RECONCILE, true);              once, when a process of the pool starts
 *     if (pace_take(gate, PACE_RECONCILE, interval_s, &turn)) {
 *         ... pace_note(gate, &turn, cursor) as far as it got ...
 *         pace_end(gate, &turn, PACE_DONE);
 *     }
 *
 * A chore's row in the store has who is at it, when it was last done and how far it got, so
 * pace and cursor outlive restarts. Who is at it holds it as a claim is held: as long as the process
 * lives, and not a moment longer. Whoever dies, or fails, leaves the chore to be done
 * again from the last cursor. Thread-safe, but one thread per process for one chore.
 */
#ifndef PRGATE_PACE_H
#define PRGATE_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "prgate/gate.h"

#define PACE_REDELIVER "redeliver"
#define PACE_RECONCILE "reconcile"

enum { PACE_CURSOR_SIZE = REPO_NAME_SIZE };

struct turn {
    const char *name; /* borrowed */
    /* As the last pace_note() of any process left them, "" at first; a start of the pool makes both the cursor. */
    char cursor[PACE_CURSOR_SIZE];
    char begun[PACE_CURSOR_SIZE]; /* of a chore that goes round: it is over when it comes by here again */
};

/*
 * This process is of the pool. `starting`: it has just begun; if no other of the pool lives, the whole pool was
 * away, and the chore is due at once. Later calls, cheap, keep a member that lives on record.
 */
void pace_join(struct gate *gate, const char *name, bool starting);

/* Is it due, and nobody at it? Then this process is, until pace_end(). False as well where the store fails. */
bool pace_take(struct gate *gate, const char *name, int interval_s, struct turn *out);

/*
 * Keeps the cursor, and turn->begun, which is the caller's to set. False: not kept, for the pool has started since
 * the turn was taken; the chore is due again as soon as the turn ends, with whatever result. True does not say that it was
 * kept: where the store fails, the log tells.
 */
bool pace_note(struct gate *gate, struct turn *turn, const char *cursor);

enum pace_result {
    PACE_DONE,   /* nothing came of it */
    PACE_EFFECT, /* done, and something came of it */
    PACE_FAILED  /* on the way: due again after a while that grows with each failure */
};
void pace_end(struct gate *gate, struct turn *turn, enum pace_result result);

/*
 * Nothing is to be waited for: it is not due, nobody has just begun it, and what last came of it is a while ago. For
 * a chore that comes after another.
 */
bool pace_is_settled(struct gate *gate, const char *name, int interval_s);

#endif
