/*
 * routes: which path and method leads where.
 */
#ifndef PRGATE_ROUTES_H
#define PRGATE_ROUTES_H

#include "door.h"
#include "web.h"

/* Always leaves a whole reply. `may_claim` as in door_prepare(). Thread-safe. */
void routes_answer(struct gate *gate, const struct request *request, bool may_claim, struct reply *reply);

/* The same, but a delivery is not stored: see door_begin() for what becomes of *visit. Thread-safe. */
void routes_begin(struct gate *gate, const struct request *request, struct visit *visit, struct reply *reply);

#endif
