/*
 * monitor: what load balancers and Prometheus ask for. Thread-safe.
 */
#ifndef PRGATE_MONITOR_H
#define PRGATE_MONITOR_H

#include "web.h"

/*
 * 200 {"status": "ok", ...} if the store can be read and written and no delivery waits for longer than
 * health_max_age; else 503 {"status": "error", "reason": "store" or "waiting", ...}. What it says is up to a second
 * old, however often it is asked. `exact`: of this moment, and without writing.
 */
void monitor_health(struct gate *gate, bool exact, struct reply *reply);

void monitor_metrics(struct gate *gate, bool json, struct reply *reply);

#endif
