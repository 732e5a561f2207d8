/*
 * sweep: finds pull requests with work that is due and a claim that is free.
 *
 * Those are what a process that died left behind, what was put off until now,
 * and what came in while every thread was busy. Also tidies up: files of
 * the dead, checkpoints.
 */
#ifndef PRGATE_SWEEP_H
#define PRGATE_SWEEP_H

#include <stdbool.h>

#include "prgate/drain.h"
#include "prgate/gate.h"

/* Takes the claim of the next one from *pr on and sets *pr to it; false: there is none. */
bool sweep_next(struct gate *gate, struct pr_key *pr, struct claim *claim);

/* Works on all there are in the caller's thread, until none is due. Returns how many pull requests it worked on. */
unsigned sweep_run(struct worker *worker);

struct sweep;

/* A thread that looks every `interval_s` seconds and hands what it finds to `drain`. */
enum err_code sweep_open(struct sweep **out, struct gate *gate, struct drain *drain, int interval_s,
                         struct err *err);
void sweep_close(struct sweep *sweep);

#endif
