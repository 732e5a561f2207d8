/*
 * metrics: counters that all processes of a pool share.
 *
 * They live in a file that every process maps, STATE_DIR/metrics, and are bumped with
 * atomic adds, so a scrape of any process tells of the whole pool. They are no
 * part of the gate's state: lost with the file, they start from zero. Thread-safe.
 */
#ifndef PRGATE_METRICS_H
#define PRGATE_METRICS_H

#include <stdint.h>

#include "prgate/buf.h"
#include "prgate/err.h"

/* The file's layout: append only. */
enum metric {
    METRIC_TAKEN,
    METRIC_DUPLICATE,
    METRIC_IGNORED,
    METRIC_MALFORMED,
    METRIC_UNSIGNED,
    METRIC_NOT_STORED,
    METRIC_DECIDED,
    METRIC_DECIDED_LATER,
    METRIC_INTENTS_DONE,
    METRIC_INTENTS_RETRIED,
    METRIC_INTENTS_DEAD,
    METRIC_TRIGGERS,
    METRIC_TRIGGERS_UNKNOWN,
    METRIC_API_CALLS,
    METRIC_API_ERRORS,
    METRIC_API_DRY_RUN,
    METRIC_CLAIMS_TAKEN_OVER,
    METRIC_RECOVERIES,
    METRIC_QUARANTINED,
    METRIC_RATE_REMAINING,  /* gauge */
    METRIC_RATE_RESET,      /* gauge, Unix seconds */
    METRIC_RATE_BLOCKED_MS, /* gauge: no calls before this Unix time in ms */
    METRIC_COMMITS,         /* by processes that stay */
    METRIC_TXN_RETRIES,
    METRIC_CUT,
    METRIC_REDELIVERIES, /* failed deliveries that GitHub was asked to send again */
    METRIC_RECONCILED,   /* pull requests that differed from GitHub without a webhook having told */
    METRIC_END
};

struct metrics;

/* *out is the caller's to close. */
enum err_code metrics_open(struct metrics **out, const char *state_dir, struct err *err);
void metrics_close(struct metrics *metrics);

void metrics_add(struct metrics *metrics, enum metric metric);
void metrics_add_many(struct metrics *metrics, enum metric metric, uint64_t count);
void metrics_set(struct metrics *metrics, enum metric metric, int64_t value);
int64_t metrics_get(const struct metrics *metrics, enum metric metric);

/* All of them as Prometheus' text format, version 0.0.4. */
void metrics_print(const struct metrics *metrics, struct buf *out);

/* The same as one JSON object, the sample's name with its labels as key. */
void metrics_print_json(const struct metrics *metrics, struct buf *out);

#endif
