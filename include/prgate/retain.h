/*
 * retain: what has grown old is removed, a little at a time.
 *
 * A walk through the tables that all processes share: where it stands is a row in the store, taken exclusively for each
 * batch, so two processes never do the same piece, and whoever comes next goes on there. When it has
 * been through all of them it rests for an hour. A batch is a transaction of its own and small, so no delivery waits
 * for it longer than for another delivery.
 *
 * Removed are, each by the configuration's days: ids of deliveries seen, ledger entries (but for triggers, from which a
 * damaged record is made anew: they stay as long as their pull request), dead letters, answers about
 * people, and pull requests that were closed long ago. A pull request goes when nothing waits in its queues,
 * nobody has its claim, and neither dead letters nor ids of deliveries are left, both of which go by their own age. What
 * cannot be decoded is never removed.
 */
#ifndef PRGATE_RETAIN_H
#define PRGATE_RETAIN_H

#include "prgate/gate.h"

/* Up to `batches` of them, as long as gate->stopping is not set. Returns how many entries were removed. */
unsigned retain_run(struct gate *gate, unsigned batches);

#endif
