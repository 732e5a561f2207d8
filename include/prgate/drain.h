/*
 * drain: works off one pull request's queues, in order, under its claim.
 *
 *           +--> an intent is due -----> act, commit the result ---+
 *   claim --+--> a delivery waits -----> learn, decide, commit ----+--> again
 *           +--> neither, or later ----> give the claim up: done
 *
 * Intents come first, so that a delivery is decided on what its predecessor's
 * intents left on GitHub. Only `closed` overtakes intents that wait for GitHub
 * to recover: it voids them. Each step is one transaction; a crash between two
 * leaves the claim to be taken over and the step to be done, or found done.
 *
 * struct drain is a process's threads for this and their queue. Thread-safe.
 */
#ifndef PRGATE_DRAIN_H
#define PRGATE_DRAIN_H

#include <stdbool.h>

#include "prgate/gate.h"

/* Works on one pull request until it has nothing due, in the caller's thread. Takes the claim over. */
void drain_run(struct worker *worker, const struct pr_key *pr, const struct claim *claim);

struct drain;

enum err_code drain_open(struct drain **out, struct gate *gate, int threads, struct err *err);

/* With gate->stopping set: waits until no call is under way and what is queued is given up. NULL is allowed. */
void drain_wait(struct drain *drain);

/* Waits until every thread is done. With gate->stopping set, that is after its step, and what is queued is given up. */
void drain_close(struct drain *drain);

/* False also while stopping: what comes in is for whoever works next. */
bool drain_has_room(struct drain *drain);
void drain_submit(struct drain *drain, const struct pr_key *pr, const struct claim *claim);

#endif
