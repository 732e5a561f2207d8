/*
 * routes: which path and method leads where.
 */
#ifndef PRGATE_ROUTES_H
#define PRGATE_ROUTES_H

#include "web.h"

/* Always leaves a whole reply. `may_claim` as in door_webhook(). Thread-safe. */
void routes_answer(struct gate *gate, const struct request *request, bool may_claim, struct reply *reply);

#endif
