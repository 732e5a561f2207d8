/*
 * metrics: counters that all processes of a pool share.
 *
 * They live in a file that every process maps, STATE_DIR/metrics, and are bumped with
 * atomic adds, so a scrape of any process tells of the whole pool. They are no
 * part of the gate's state: lost with the file, they start from zero. Thread-safe.
 *
 * The file has one slot of 64 bits per number, and a place in it never changes its meaning: what is new gets a slot
 * that was free. So processes of different versions share one file, each knows the slots of its own version, and
 * none has to make it anew. It is never made shorter, since others have it mapped. What cannot be added like that
 * belongs in a file of another name.
 */
#ifndef PRGATE_METRICS_H
#define PRGATE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "prgate/buf.h"
#include "prgate/err.h"
#include "prgate/intent.h"

/* Slots of the file: append only. */
enum metric {
    METRIC_TAKEN, /* from here to METRIC_NOT_STORED: an outcome of deliveries, see metrics_count_delivery() */
    METRIC_DUPLICATE,
    METRIC_IGNORED,
    METRIC_MALFORMED,
    METRIC_UNSIGNED,
    METRIC_NOT_STORED,
    METRIC_DECIDED,
    METRIC_DECIDED_LATER,
    METRIC_INTENTS_DONE, /* these three and METRIC_INTENTS_LEFT: of intents, see metrics_count_intent() */
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
    METRIC_RATE_LIMIT,   /* gauge */
    METRIC_INTENTS_LEFT, /* a trigger of which nobody knows whether it arrived */
    METRIC_END
};

/* How long things take. Append only. */
enum histogram {
    HISTOGRAM_ACKNOWLEDGEMENT, /* a webhook's connection accepted, to its reply written */
    HISTOGRAM_DECISION,        /* a delivery being next, to its decision committed */
    HISTOGRAM_TRIGGER,         /* a delivery received, to the trigger that it led to sent */
    HISTOGRAM_API_CALL,
    HISTOGRAM_END
};

struct metrics;

/* *out is the caller's to close. */
enum err_code metrics_open(struct metrics **out, const char *state_dir, struct err *err);
void metrics_close(struct metrics *metrics);

void metrics_add(struct metrics *metrics, enum metric metric);
void metrics_add_many(struct metrics *metrics, enum metric metric, uint64_t count);
void metrics_set(struct metrics *metrics, enum metric metric, int64_t value);

/* Of an outcome it is the sum over all events, or kinds. */
int64_t metrics_get(const struct metrics *metrics, enum metric metric);

/* `event` is X-GitHub-Event as it came, or NULL: one that prgate does not know counts as "other". */
void metrics_count_delivery(struct metrics *metrics, enum metric outcome, const char *event);
void metrics_count_intent(struct metrics *metrics, enum metric outcome, enum intent_kind kind);

/* The value of the label `event` for it. Valid for ever. */
const char *metrics_event_label(const char *event);

void metrics_observe(struct metrics *metrics, enum histogram histogram, int64_t duration_us);
uint64_t metrics_observed(const struct metrics *metrics, enum histogram histogram); /* how many */

/* What is not counted, but looked up when somebody asks. */
struct metrics_gauges {
    bool store_works; /* else the rest, but for `processes`, is not known */
    size_t deliveries, intents, dead;
    size_t over_budget;                           /* pull requests that wait for their turn */
    int64_t oldest_delivery_ms, oldest_intent_ms; /* how long they have been waiting */
    unsigned processes;
};

/* All of them as Prometheus' text format, version 0.0.4. `gauges` NULL: without those. */
void metrics_print(const struct metrics *metrics, const struct metrics_gauges *gauges, struct buf *out);

/* The same as one JSON object, the sample's name with its labels as key. */
void metrics_print_json(const struct metrics *metrics, const struct metrics_gauges *gauges, struct buf *out);

#endif
