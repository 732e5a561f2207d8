/*
 * wake: tells pull requests that what they waited for may be there now.
 *
 * Whose turn has come (budget.h) gets a delivery of prgate's own making, EVENT_WAKE, into its inbox, and is decided
 * like any other: read, judged, and started if the budget is free.
 */
#ifndef PRGATE_WAKE_H
#define PRGATE_WAKE_H

#include <stdbool.h>

#include "prgate/gate.h"

/*
 * All whose time has come; with `starting`, those too whose time was reckoned with other budgets than are configured
 * now. Any process, any time: the same wake has the same delivery id.
 */
void wake_those_due(struct gate *gate, bool starting);

#endif
