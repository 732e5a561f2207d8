/*
 * status: what the gate knows, for people (HTML) and for programs (JSON, Prometheus text).
 *
 * All of it only reads. Errors of the store become a 503. Thread-safe.
 */
#ifndef PRGATE_STATUS_H
#define PRGATE_STATUS_H

#include "web.h"

/* {"status": "ok", "waiting": deliveries and intents not yet done}; 503 when the store cannot be read. */
void status_health(struct gate *gate, struct reply *reply);

void status_metrics(struct gate *gate, bool json, struct reply *reply);
void status_overview(struct gate *gate, bool json, struct reply *reply);

/* `path` is "OWNER/REPO/N". */
void status_pull(struct gate *gate, const char *path, bool json, struct reply *reply);

#endif
