/*
 * turn: transactions of all processes take turns, so that they do not meet in page locks and have to be run again.
 *
 * A courtesy, not a lock: nothing relies on it but speed, since page locks and retries keep what is right. So whoever
 * waited for long while one and the same holder had it goes on without him, be he dead, stopped, or at a long
 * walk. The state is one word of a file that every process maps, STATE_DIR/db/turn. Whatever stands in it, even after
 * a crash of the machine, holds nobody up for longer than that.
 *
 * Thread-safe, but turn_init() and turn_release().
 */
#ifndef PRGATE_TURN_H
#define PRGATE_TURN_H

#include <stdatomic.h>
#include <stdint.h>

struct turn {
    _Atomic uint32_t *word; /* NULL: there is none, everybody goes at once */
    int patience_ms;        /* with one holder; turn_init() sets it */
};

/* `home` exists. Where the file cannot be made or mapped, turn_take() never waits. */
void turn_init(struct turn *turn, const char *home);
void turn_release(struct turn *turn);

/* Waits for the others, but not for long. To be handed to turn_pass(). */
uint32_t turn_take(struct turn *turn);
void turn_pass(struct turn *turn, uint32_t mine);

#endif
