/*
 * sweep: finds pull requests with work that is due and a claim that is free.
 *
 * Those are what a process that died left behind, what was put off until now,
 * and what came in while every thread was busy. Also tidies up: files of
 * the dead, checkpoints. And it catches up with what never came in: see redeliver.h and reconcile.h. That
 * calls GitHub, so it has a thread of its own: handing out work never waits for it.
 */
#ifndef PRGATE_SWEEP_H
#define PRGATE_SWEEP_H

#include <stdbool.h>

#include "prgate/crew.h"
#include "prgate/gate.h"

/* Takes the claim of the next one from *pr on and sets *pr to it; false: there is none. */
bool sweep_next(struct gate *gate, struct pr_key *pr, struct claim *claim);

/* Works on all there are in the caller's thread, until none is due. Returns how many pull requests it worked on. */
unsigned sweep_run(struct worker *worker);

/*
 * Asks for missed deliveries and compares open pull requests with GitHub, each if it is due and no other process is
 * at it. The comparison waits for half a minute after GitHub was asked for something: a webhook tells more than
 * a list. Returns how many pull requests it put work in for.
 */
unsigned sweep_catch_up(struct worker *worker);

struct sweep;

/* Threads that look every `interval_s` seconds and hand what they find to `drain`, and that catch up. */
enum err_code sweep_open(struct sweep **out, struct gate *gate, struct crew *crew, int interval_s,
                         struct err *err);
void sweep_close(struct sweep *sweep);

#endif
