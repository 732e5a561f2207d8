#include "prgate/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "prgate/buf.h"
#include "prgate/text.h"

#ifndef PRGATE_VERSION
#define PRGATE_VERSION "0"
#endif

/* Lock-free 64-bit atomics work between processes as between threads. */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "shared counters need lock-free 64-bit atomics");

/* Where in the file what begins. The room of each is for what is appended to it; the file is full with that. */
enum {
    FILE_SIZE = 4096,
    METRIC_ROOM = 64,
    EVENT_ROOM = 16,
    DELIVERY_OUTCOMES = 8,
    KIND_ROOM = 32,
    INTENT_OUTCOMES = 4,
    HISTOGRAM_ROOM = 8,
    HISTOGRAM_SLOTS = 24,
    SLOT_DELIVERIES = METRIC_ROOM,
    SLOT_INTENTS = SLOT_DELIVERIES + EVENT_ROOM * DELIVERY_OUTCOMES,
    SLOT_HISTOGRAMS = SLOT_INTENTS + KIND_ROOM * INTENT_OUTCOMES,
    SLOT_END = SLOT_HISTOGRAMS + HISTOGRAM_ROOM * HISTOGRAM_SLOTS,
    SUM = HISTOGRAM_SLOTS - 1 /* of a histogram's slots: all durations in microseconds */
};
_Static_assert((int)METRIC_END <= METRIC_ROOM, "there is room for every metric");
_Static_assert((int)INTENT_KIND_END <= KIND_ROOM, "there is room for every kind of intent");
_Static_assert((int)HISTOGRAM_END <= HISTOGRAM_ROOM, "there is room for every histogram");
_Static_assert(SLOT_END * sizeof(atomic_int_least64_t) <= FILE_SIZE, "all of it is within the file");

/* X-GitHub-Event. Append only; the first stands for all others. */
static const char *const events[] = {
    "other",  "pull_request", "check_run", "check_suite", "issue_comment", "merge_group",
    "member", "membership",   "team",      "ping",        "workflow_run",
};
enum { EVENT_OTHER = 0, EVENT_COUNT = sizeof events / sizeof events[0] };
_Static_assert((int)EVENT_COUNT <= EVENT_ROOM, "there is room for every event");

/* Append only. */
static const enum metric delivery_outcomes[] = {METRIC_TAKEN,     METRIC_DUPLICATE, METRIC_IGNORED,
                                                METRIC_MALFORMED, METRIC_UNSIGNED,  METRIC_NOT_STORED};
enum { DELIVERY_OUTCOME_COUNT = sizeof delivery_outcomes / sizeof delivery_outcomes[0] };
_Static_assert((int)DELIVERY_OUTCOME_COUNT <= DELIVERY_OUTCOMES, "there is room for every outcome");

static const enum metric intent_outcomes[] = {METRIC_INTENTS_DONE, METRIC_INTENTS_RETRIED,
                                              METRIC_INTENTS_DEAD, METRIC_INTENTS_LEFT};
enum { INTENT_OUTCOME_COUNT = sizeof intent_outcomes / sizeof intent_outcomes[0] };
_Static_assert((int)INTENT_OUTCOME_COUNT <= INTENT_OUTCOMES, "there is room for every outcome");

/* Upper bounds; one more bucket has what is above. */
static const struct {
    int64_t us;
    const char *seconds;
} bounds[] = {
    {1000, "0.001"},    {2500, "0.0025"},   {5000, "0.005"},  {10000, "0.01"},  {25000, "0.025"},
    {50000, "0.05"},    {100000, "0.1"},    {250000, "0.25"}, {500000, "0.5"},  {1000000, "1"},
    {2500000, "2.5"},   {5000000, "5"},     {10000000, "10"}, {30000000, "30"}, {60000000, "60"},
    {120000000, "120"}, {300000000, "300"},
};
enum { BOUND_COUNT = sizeof bounds / sizeof bounds[0] };
_Static_assert((int)BOUND_COUNT < SUM, "there is room for every bucket");

struct metrics {
    atomic_int_least64_t *values;
};

/* ---- the file -------------------------------------------------------------- */

/*
 * Never shorter than it is: a process of another version may have more of it mapped. And no hole: to touch one on a
 * full disk is SIGBUS.
 */
static int make_room(int fd)
{
    int code = posix_fallocate(fd, 0, FILE_SIZE);
    if (code != EINVAL && code != EOPNOTSUPP)
        return code;
    off_t size = lseek(fd, 0, SEEK_END); /* the file system cannot reserve */
    return size < 0 || (size < FILE_SIZE && ftruncate(fd, FILE_SIZE) != 0) ? errno : 0;
}

enum err_code metrics_open(struct metrics **out, const char *state_dir, struct err *err)
{
    struct buf path;
    buf_init(&path);
    buf_addf(&path, "%s/metrics", state_dir);
    void *map = MAP_FAILED;
    int fd = open(buf_text(&path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int code = fd < 0 ? errno : make_room(fd);
    if (code == 0) {
        map = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        code = map == MAP_FAILED ? errno : 0;
    }
    if (fd >= 0)
        close(fd);
    if (code != 0)
        err_set(err, ERR_FATAL, code, "cannot map %s: %s", buf_text(&path), strerror(code));
    buf_release(&path);
    if (code != 0)
        return ERR_FATAL;
    struct metrics *metrics = mem_alloc(sizeof *metrics);
    metrics->values = map;
    *out = metrics;
    return ERR_OK;
}

void metrics_close(struct metrics *metrics)
{
    if (metrics == NULL)
        return;
    munmap(metrics->values, FILE_SIZE);
    free(metrics);
}

/* ---- counting -------------------------------------------------------------- */

static void add_to_slot(struct metrics *metrics, size_t slot, int64_t count)
{
    atomic_fetch_add_explicit(&metrics->values[slot], count, memory_order_relaxed);
}

static int64_t slot_value(const struct metrics *metrics, size_t slot)
{
    return atomic_load_explicit(&metrics->values[slot], memory_order_relaxed);
}

void metrics_add(struct metrics *metrics, enum metric metric)
{
    add_to_slot(metrics, metric, 1);
}

void metrics_add_many(struct metrics *metrics, enum metric metric, uint64_t count)
{
    add_to_slot(metrics, metric, (int64_t)count);
}

void metrics_set(struct metrics *metrics, enum metric metric, int64_t value)
{
    atomic_store_explicit(&metrics->values[metric], value, memory_order_relaxed);
}

static size_t find_outcome(const enum metric *outcomes, size_t count, enum metric metric)
{
    size_t i = 0;
    while (i < count && outcomes[i] != metric)
        i++;
    return i;
}

static size_t find_event(const char *event)
{
    for (size_t i = 1; event != NULL && i < EVENT_COUNT; i++)
        if (strcmp(events[i], event) == 0)
            return i;
    return EVENT_OTHER;
}

const char *metrics_event_label(const char *event)
{
    return events[find_event(event)];
}

static size_t delivery_slot(size_t event, size_t outcome)
{
    return SLOT_DELIVERIES + event * DELIVERY_OUTCOMES + outcome;
}

static size_t intent_slot(size_t kind, size_t outcome)
{
    return SLOT_INTENTS + kind * INTENT_OUTCOMES + outcome;
}

void metrics_count_delivery(struct metrics *metrics, enum metric outcome, const char *event)
{
    size_t i = find_outcome(delivery_outcomes, DELIVERY_OUTCOME_COUNT, outcome);
    add_to_slot(metrics, i < DELIVERY_OUTCOME_COUNT ? delivery_slot(find_event(event), i) : outcome, 1);
}

void metrics_count_intent(struct metrics *metrics, enum metric outcome, enum intent_kind kind)
{
    size_t i = find_outcome(intent_outcomes, INTENT_OUTCOME_COUNT, outcome);
    add_to_slot(metrics, i < INTENT_OUTCOME_COUNT ? intent_slot(kind, i) : outcome, 1);
}

int64_t metrics_get(const struct metrics *metrics, enum metric metric)
{
    int64_t sum = slot_value(metrics, metric);
    size_t delivery = find_outcome(delivery_outcomes, DELIVERY_OUTCOME_COUNT, metric);
    size_t intent = find_outcome(intent_outcomes, INTENT_OUTCOME_COUNT, metric);
    for (size_t i = 0; delivery < DELIVERY_OUTCOME_COUNT && i < EVENT_ROOM; i++)
        sum += slot_value(metrics, delivery_slot(i, delivery));
    for (size_t i = 0; intent < INTENT_OUTCOME_COUNT && i < KIND_ROOM; i++)
        sum += slot_value(metrics, intent_slot(i, intent));
    return sum;
}

static size_t histogram_slot(enum histogram histogram)
{
    return SLOT_HISTOGRAMS + (size_t)histogram * HISTOGRAM_SLOTS;
}

void metrics_observe(struct metrics *metrics, enum histogram histogram, int64_t duration_us)
{
    size_t bucket = 0, slot = histogram_slot(histogram);
    int64_t us = duration_us < 0 ? 0 : duration_us; /* somebody set the clock back */
    while (bucket < BOUND_COUNT && us > bounds[bucket].us)
        bucket++;
    add_to_slot(metrics, slot + SUM, us);
    add_to_slot(metrics, slot + bucket, 1);
}

uint64_t metrics_observed(const struct metrics *metrics, enum histogram histogram)
{
    int64_t count = 0;
    for (size_t i = 0; i <= BOUND_COUNT; i++)
        count += slot_value(metrics, histogram_slot(histogram) + i);
    return (uint64_t)count;
}

/* ---- what is told ------------------------------------------------------------ */

/* Where samples go. */
struct sink {
    struct buf *out;
    bool json;
    bool first;
    const char *family;
};

static void add_family(struct sink *sink, const char *name, const char *type, const char *help)
{
    sink->family = name;
    if (!sink->json)
        buf_addf(sink->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* `labels` without braces, "": none. The value is `value` / `scale`; `suffix` is a histogram's. */
static void add_sample(struct sink *sink, const char *suffix, const char *labels, int64_t value, int scale)
{
    char name[160], number[48];
    const char *open = labels[0] == '\0' ? "" : "{", *close = labels[0] == '\0' ? "" : "}";
    snprintf(name, sizeof name, "%s%s%s%s%s", sink->family, suffix, open, labels, close);
    if (scale == 1)
        snprintf(number, sizeof number, "%" PRId64, value);
    else
        snprintf(number, sizeof number, "%.6f", (double)value / scale);
    if (!sink->json) {
        buf_addf(sink->out, "%s %s\n", name, number);
        return;
    }
    buf_adds(sink->out, sink->first ? "\"" : ",\"");
    text_add_json(sink->out, name);
    buf_addf(sink->out, "\":%s", number);
    sink->first = false;
}

/* What has a slot to itself. NULL for help: of the family above. */
static const struct {
    enum metric metric;
    int scale;
    const char *family;
    const char *labels;
    const char *type;
    const char *help;
} singles[] = {
    {METRIC_DECIDED, 1, "prgate_decisions_total", "outcome=\"decided\"", "counter", "Decisions by outcome."},
    {METRIC_DECIDED_LATER, 1, NULL, "outcome=\"later\"", NULL, NULL},
    {METRIC_TRIGGERS, 1, "prgate_triggers_total", "outcome=\"started\"", "counter",
     "CI triggers by outcome."},
    {METRIC_TRIGGERS_UNKNOWN, 1, NULL, "outcome=\"unknown\"", NULL, NULL},
    {METRIC_API_CALLS, 1, "prgate_api_calls_total", "outcome=\"answered\"", "counter",
     "GitHub API calls by outcome."},
    {METRIC_API_ERRORS, 1, NULL, "outcome=\"failed\"", NULL, NULL},
    {METRIC_API_DRY_RUN, 1, NULL, "outcome=\"dry_run\"", NULL, NULL},
    {METRIC_RATE_LIMIT, 1, "prgate_rate_limit", "", "gauge", "GitHub's x-ratelimit-limit, last seen."},
    {METRIC_RATE_REMAINING, 1, "prgate_rate_limit_remaining", "", "gauge",
     "GitHub's x-ratelimit-remaining, last seen."},
    {METRIC_RATE_RESET, 1, "prgate_rate_limit_reset_seconds", "", "gauge",
     "When GitHub's rate limit starts anew, Unix time."},
    {METRIC_RATE_BLOCKED_MS, 1000, "prgate_rate_limit_blocked_until_seconds", "", "gauge",
     "GitHub asked not to be called before this Unix time."},
    {METRIC_CLAIMS_TAKEN_OVER, 1, "prgate_claims_taken_over_total", "", "counter",
     "Claims taken over from processes that died."},
    {METRIC_RECOVERIES, 1, "prgate_store_recoveries_total", "", "counter",
     "Times a process opened the store anew after another one died."},
    {METRIC_QUARANTINED, 1, "prgate_quarantined_total", "", "counter",
     "Stored entries that could not be decoded."},
    {METRIC_COMMITS, 1, "prgate_store_transactions_total", "outcome=\"committed\"", "counter",
     "Transactions of the store that were committed, and such as had to be run again."},
    {METRIC_TXN_RETRIES, 1, NULL, "outcome=\"retried\"", NULL, NULL},
    {METRIC_CUT, 1, "prgate_connections_cut_total", "", "counter",
     "Connections from the web server that took too long and were ended."},
    {METRIC_REDELIVERIES, 1, "prgate_redeliveries_total", "", "counter",
     "Failed deliveries that GitHub was asked to send again."},
    {METRIC_RECONCILED, 1, "prgate_reconciled_total", "", "counter",
     "Pull requests that differed from GitHub without a webhook having told."},
};

static void tell_singles(struct sink *sink, const struct metrics *metrics)
{
    for (size_t i = 0; i < sizeof singles / sizeof singles[0]; i++) {
        if (singles[i].family != NULL)
            add_family(sink, singles[i].family, singles[i].type, singles[i].help);
        add_sample(sink, "", singles[i].labels, slot_value(metrics, singles[i].metric), singles[i].scale);
    }
}

/* By metric; in the order of the outcomes' tables. */
static const char *const delivery_outcome_names[] = {"taken",     "duplicate", "ignored",
                                                     "malformed", "unsigned",  "not_stored"};
_Static_assert(sizeof delivery_outcome_names / sizeof(char *) == DELIVERY_OUTCOME_COUNT, "each has a name");
static const char *const intent_outcome_names[] = {"done", "retried", "dead", "unknown"};
_Static_assert(sizeof intent_outcome_names / sizeof(char *) == INTENT_OUTCOME_COUNT, "each has a name");

/* What a process of a version before these counted stands in the outcome's own slot: of whatever event. */
static void tell_deliveries(struct sink *sink, const struct metrics *metrics)
{
    char labels[96];
    add_family(sink, "prgate_deliveries_total", "counter", "Webhook deliveries by event and outcome.");
    for (size_t event = 0; event < EVENT_COUNT; event++) {
        for (size_t i = 0; i < DELIVERY_OUTCOME_COUNT; i++) {
            int64_t count = slot_value(metrics, delivery_slot(event, i));
            if (event == EVENT_OTHER)
                count += slot_value(metrics, delivery_outcomes[i]);
            snprintf(labels, sizeof labels, "event=\"%s\",outcome=\"%s\"", events[event],
                     delivery_outcome_names[i]);
            add_sample(sink, "", labels, count, 1);
        }
    }
}

static void tell_intents(struct sink *sink, const struct metrics *metrics)
{
    char labels[96];
    add_family(sink, "prgate_intents_total", "counter", "Actions on GitHub by kind and outcome.");
    for (size_t kind = 0; kind < INTENT_KIND_END; kind++) {
        for (size_t i = 0; i < INTENT_OUTCOME_COUNT; i++) {
            int64_t count = slot_value(metrics, kind == 0 ? intent_outcomes[i] : intent_slot(kind, i));
            const char *name = kind == 0 ? "other" : intent_kind_name((enum intent_kind)kind);
            snprintf(labels, sizeof labels, "kind=\"%s\",outcome=\"%s\"", name, intent_outcome_names[i]);
            add_sample(sink, "", labels, count, 1);
        }
    }
}

static const struct {
    const char *name;
    const char *help;
} histograms[HISTOGRAM_END] = {
    [HISTOGRAM_ACKNOWLEDGEMENT] = {"prgate_acknowledgement_seconds",
                                   "From a webhook's connection accepted to its reply written."},
    [HISTOGRAM_DECISION] = {"prgate_decision_seconds",
                            "From a delivery being next to its decision committed."},
    [HISTOGRAM_TRIGGER] = {"prgate_webhook_to_trigger_seconds",
                           "From a delivery received to the CI trigger that it led to sent."},
    [HISTOGRAM_API_CALL] = {"prgate_api_call_seconds", "GitHub API calls."},
};

/* The count is the buckets' sum, so that the two always agree, whoever is at it meanwhile. */
static void tell_histogram(struct sink *sink, const struct metrics *metrics, enum histogram histogram)
{
    size_t slot = histogram_slot(histogram);
    int64_t count = 0;
    char label[32];
    add_family(sink, histograms[histogram].name, "histogram", histograms[histogram].help);
    for (size_t i = 0; i <= BOUND_COUNT; i++) {
        count += slot_value(metrics, slot + i);
        snprintf(label, sizeof label, "le=\"%s\"", i < BOUND_COUNT ? bounds[i].seconds : "+Inf");
        add_sample(sink, "_bucket", label, count, 1);
    }
    add_sample(sink, "_sum", "", slot_value(metrics, slot + SUM), 1000000);
    add_sample(sink, "_count", "", count, 1);
}

static void tell_queues(struct sink *sink, const struct metrics_gauges *gauges)
{
    add_family(sink, "prgate_queue_depth", "gauge", "What waits, counted up to 10000.");
    add_sample(sink, "", "queue=\"deliveries\"", (int64_t)gauges->deliveries, 1);
    add_sample(sink, "", "queue=\"intents\"", (int64_t)gauges->intents, 1);
    add_family(sink, "prgate_queue_oldest_seconds", "gauge", "How long the oldest that waits has waited.");
    add_sample(sink, "", "queue=\"deliveries\"", gauges->oldest_delivery_ms, 1000);
    add_sample(sink, "", "queue=\"intents\"", gauges->oldest_intent_ms, 1000);
    add_family(sink, "prgate_budget_waiting", "gauge",
               "Pull requests that wait for their turn in a budget, counted up to 10000.");
    add_sample(sink, "", "", (int64_t)gauges->over_budget, 1);
    add_family(sink, "prgate_dead_letters", "gauge", "Actions that were given up, counted up to 10000.");
    add_sample(sink, "", "", (int64_t)gauges->dead, 1);
}

static void tell_gauges(struct sink *sink, const struct metrics_gauges *gauges)
{
    add_family(sink, "prgate_build_info", "gauge", "1, with the version of the process that answers.");
    add_sample(sink, "", "version=\"" PRGATE_VERSION "\"", 1, 1);
    add_family(sink, "prgate_processes", "gauge", "Processes that have the state directory open.");
    add_sample(sink, "", "", gauges->processes, 1);
    add_family(sink, "prgate_store_up", "gauge", "1 if the store can be read and written.");
    add_sample(sink, "", "", gauges->store_works ? 1 : 0, 1);
    if (gauges->store_works)
        tell_queues(sink, gauges);
}

static void tell(struct sink *sink, const struct metrics *metrics, const struct metrics_gauges *gauges)
{
    tell_deliveries(sink, metrics);
    tell_intents(sink, metrics);
    tell_singles(sink, metrics);
    for (int i = 0; i < HISTOGRAM_END; i++)
        tell_histogram(sink, metrics, (enum histogram)i);
    if (gauges != NULL)
        tell_gauges(sink, gauges);
}

void metrics_print(const struct metrics *metrics, const struct metrics_gauges *gauges, struct buf *out)
{
    struct sink sink = {.out = out};
    tell(&sink, metrics, gauges);
}

void metrics_print_json(const struct metrics *metrics, const struct metrics_gauges *gauges, struct buf *out)
{
    struct sink sink = {.out = out, .json = true, .first = true};
    buf_addc(out, '{');
    tell(&sink, metrics, gauges);
    buf_adds(out, "}\n");
}
