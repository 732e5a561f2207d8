/*
 * health: does the store work, and how much waits for how long?
 *
 * Looking costs a walk through the two queues and the dead letters, of HEALTH_COUNT_MAX entries each at most; how
 * many pull requests are stored does not matter. health_get() does it once a second at most, however often it is
 * asked; health_look() does it now. Thread-safe.
 */
#ifndef PRGATE_HEALTH_H
#define PRGATE_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "prgate/err.h"
#include "prgate/store.h"

enum { HEALTH_COUNT_MAX = 10000, HEALTH_KEPT_MS = 1000 };

struct health_view {
    bool works;     /* the store could be read, and by health_get() written; else `why` says what happened */
    struct err why; /* only the first is then certain */
    size_t deliveries; /* each counted no further than HEALTH_COUNT_MAX */
    size_t intents;
    size_t dead;
    int64_t oldest_delivery_ms; /* how long they have waited, among those that were counted; 0: none waits */
    int64_t oldest_intent_ms;
    int64_t oldest_delivery_at_ms; /* Unix time; 0: none waits */
};

struct health;

struct health *health_open(struct store *store); /* the store is borrowed; the caller's to close */
void health_close(struct health *health);

/*
 * Also writes, unless this process has written since the last look: an entry that is put and removed in one
 * transaction, which is synced as any other. While one thread looks, others get what was seen before.
 */
void health_get(struct health *health, struct health_view *out);

/* Only reads. */
void health_look(struct store *store, struct health_view *out);

#endif
