/*
 * drain: works off one pull request's queues, in order, under its claim.
 *
 *           +--> an intent is due -----> act, commit the result ---+
 *   claim --+--> a delivery waits -----> learn, decide, commit ----+--> again
 *           +--> neither, or later ----> give the claim up: done
 *
 * Intents come first, so that a delivery is decided on what its predecessor's
 * intents left on GitHub. Only `closed` overtakes intents that wait for GitHub
 * to recover: it voids them. Each commit ends a step and finds the intent that comes next, so there is one for each; a crash
 * between two leaves the claim to be taken over and the step to be done, or found done.
 *
 * No transaction spans a call to GitHub, so a fiber may wait in each of them.
 */
#ifndef PRGATE_DRAIN_H
#define PRGATE_DRAIN_H

#include "prgate/gate.h"

struct briefing;

/* Works on one pull request until it has nothing due, in the caller's thread or fiber. Takes the claim over. */
void drain_run(struct worker *worker, const struct pr_key *pr, const struct claim *claim);

/* The same with inbox_end()'s briefing, or NULL. Takes it over, too. */
void drain_start(struct worker *worker, const struct pr_key *pr, const struct claim *claim,
                 struct briefing *briefing);

#endif
