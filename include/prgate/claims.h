/*
 * claims: who works on a pull request.
 *
 * A claim is part of the pull request's record, so that taking it and changing the
 * state are one commit. It has no time-out: an owner that lives keeps it however
 * slow GitHub is, a dead one's is free at once. Beside the record each process
 * keeps the list of the claims that one of its threads really works on, or has
 * queued, or is about to store: one that names this process but is not on the list was left over by an
 * error and is free, too. Thread-safe.
 */
#ifndef PRGATE_CLAIMS_H
#define PRGATE_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>

#include "prgate/alive.h"
#include "prgate/record.h"

struct claims;

/* `alive` is borrowed until claims_close(). */
void claims_open(struct claims **out, struct alive *alive);
void claims_close(struct claims *claims);

bool claims_is_free(struct claims *claims, const struct claim *claim);

/*
 * A new claim of this process, entered on its list. Whoever stores it in a record
 * and fails to commit calls claims_forget().
 */
struct claim claims_new(struct claims *claims);
void claims_forget(struct claims *claims, const struct claim *claim);

/* Is the one in the record still this very one? */
bool claim_equal(const struct claim *a, const struct claim *b);

/* How many pull requests this process holds. */
size_t claims_count(struct claims *claims);

#endif
