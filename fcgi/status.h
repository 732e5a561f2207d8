/*
 * status: what the gate knows, for people (HTML) and for programs (JSON).
 *
 * All of it only reads. Errors of the store become a 503. Thread-safe.
 */
#ifndef PRGATE_STATUS_H
#define PRGATE_STATUS_H

#include "web.h"

void status_overview(struct gate *gate, bool json, struct reply *reply);

/* `path` is "OWNER/REPO/N". */
void status_pull(struct gate *gate, const char *path, bool json, struct reply *reply);

#endif
