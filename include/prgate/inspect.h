/*
 * inspect: is the state directory in order, and all that is in it whole?
 *
 * Looks at clock, directory, owner, modes, free space and kind of file system; opens the store; reads the log and
 * every entry of every table, and judges it; and verifies a copy of the tables' files, since those that are open
 * cannot be verified. Safe beside a running pool. As the user that the pool runs as: whoever opens a store leaves
 * files there.
 */
#ifndef PRGATE_INSPECT_H
#define PRGATE_INSPECT_H

#include "prgate/config.h"

enum finding {
    FINDING_FINE,
    FINDING_WARNING, /* it works, but somebody should know */
    FINDING_ERROR    /* it does not work, or something is lost */
};

typedef void inspect_fn(void *arg, enum finding finding, const char *text);

/* Tells each finding, in the order of looking; returns how many are errors. The copy is made below `scratch_dir`. */
unsigned inspect_state(const struct config *config, const char *scratch_dir, inspect_fn *tell, void *arg);

#endif
