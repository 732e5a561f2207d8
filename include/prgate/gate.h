/*
 * gate: what one process holds open to do the gate's work, and what each that calls GitHub has of it.
 *
 *     struct gate gate;
 *     gate_open(&gate, config, &err);
 *     struct worker worker;            one per thread, or fiber, that talks to GitHub
 *     worker_open(&worker, &gate, &err);
 *     ...
 *     worker_close(&worker);
 *     gate_close(&gate);
 *
 * After a fork only the process that called gate_open() may use it.
 */
#ifndef PRGATE_GATE_H
#define PRGATE_GATE_H

#include <stdatomic.h>

#include "prgate/claims.h"
#include "prgate/config.h"
#include "prgate/github.h"
#include "prgate/health.h"
#include "prgate/metrics.h"
#include "prgate/questions.h"
#include "prgate/shared_tokens.h"
#include "prgate/signature.h"
#include "prgate/store.h"

/* Shared by all threads of the process. */
struct gate {
    const struct config *config; /* borrowed */
    struct store *store;
    struct health *health;
    struct shared_tokens *tokens;
    struct questions *questions;
    struct alive *alive;
    struct claims *claims;
    struct metrics *metrics;
    struct signature_keys *webhook_keys;
    atomic_bool stopping;       /* finish the step at hand, give up claims, return */
    atomic_size_t large_bodies; /* bytes of large bodies in memory: see door.h */
    atomic_bool told_of_hooks;  /* the log says already that webhooks' deliveries are not to be seen */
    atomic_bool told_of_events; /* the same of pull requests' events */
};

enum err_code gate_open(struct gate *gate, const struct config *config, struct err *err);
void gate_close(struct gate *gate); /* also after a failed gate_open() */

/*
 * After a call that failed: if GitHub said to wait, nobody in the pool calls before then, at most for an
 * hour. Thread-safe.
 */
void gate_heed_rate_limit(struct gate *gate, const struct err *err);
bool gate_is_rate_blocked(const struct gate *gate, int64_t now_ms);

/* Neither told to end nor to wait: another call may be begun. */
bool gate_may_call(const struct gate *gate);

/* What a thread, or a pull request in progress, needs to call GitHub. */
struct worker {
    struct gate *gate;
    struct http *http;
    struct github *github;
    struct github_tokens tokens;
};

enum err_code worker_open(struct worker *worker, struct gate *gate, struct err *err);
void worker_close(struct worker *worker); /* also after a failed worker_open() */

#endif
