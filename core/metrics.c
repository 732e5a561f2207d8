#include "prgate/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "prgate/buf.h"
#include "prgate/text.h"

/* Lock-free 64-bit atomics work between processes as between threads. */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "shared counters need lock-free 64-bit atomics");

enum { FILE_SIZE = 4096 };
_Static_assert(METRIC_END * sizeof(atomic_int_least64_t) <= FILE_SIZE, "the file has room for every metric");

struct metrics {
    atomic_int_least64_t *values;
};

static const struct {
    const char *name; /* with labels */
    const char *type;
    const char *help;
} descriptions[METRIC_END] = {
    [METRIC_TAKEN] = {"prgate_deliveries_total{outcome=\"taken\"}", "counter",
                      "Webhook deliveries by outcome."},
    [METRIC_DUPLICATE] = {"prgate_deliveries_total{outcome=\"duplicate\"}", "counter", NULL},
    [METRIC_IGNORED] = {"prgate_deliveries_total{outcome=\"ignored\"}", "counter", NULL},
    [METRIC_MALFORMED] = {"prgate_deliveries_total{outcome=\"malformed\"}", "counter", NULL},
    [METRIC_UNSIGNED] = {"prgate_deliveries_total{outcome=\"unsigned\"}", "counter", NULL},
    [METRIC_NOT_STORED] = {"prgate_deliveries_total{outcome=\"not_stored\"}", "counter", NULL},
    [METRIC_DECIDED] = {"prgate_decisions_total{outcome=\"decided\"}", "counter", "Decisions by outcome."},
    [METRIC_DECIDED_LATER] = {"prgate_decisions_total{outcome=\"later\"}", "counter", NULL},
    [METRIC_INTENTS_DONE] = {"prgate_intents_total{outcome=\"done\"}", "counter", "Intents by outcome."},
    [METRIC_INTENTS_RETRIED] = {"prgate_intents_total{outcome=\"retried\"}", "counter", NULL},
    [METRIC_INTENTS_DEAD] = {"prgate_intents_total{outcome=\"dead\"}", "counter", NULL},
    [METRIC_TRIGGERS] = {"prgate_triggers_total{outcome=\"started\"}", "counter", "CI triggers by outcome."},
    [METRIC_TRIGGERS_UNKNOWN] = {"prgate_triggers_total{outcome=\"unknown\"}", "counter", NULL},
    [METRIC_API_CALLS] = {"prgate_api_calls_total{outcome=\"answered\"}", "counter",
                          "GitHub API calls by outcome."},
    [METRIC_API_ERRORS] = {"prgate_api_calls_total{outcome=\"failed\"}", "counter", NULL},
    [METRIC_API_DRY_RUN] = {"prgate_api_calls_total{outcome=\"dry_run\"}", "counter", NULL},
    [METRIC_CLAIMS_TAKEN_OVER] = {"prgate_claims_taken_over_total", "counter",
                                  "Claims taken over from processes that died."},
    [METRIC_RECOVERIES] = {"prgate_store_recoveries_total", "counter",
                           "Times a process opened the store anew after another one died."},
    [METRIC_QUARANTINED] = {"prgate_quarantined_total", "counter",
                            "Stored entries that could not be decoded."},
    [METRIC_RATE_REMAINING] = {"prgate_rate_limit_remaining", "gauge",
                               "GitHub's x-ratelimit-remaining, last seen."},
    [METRIC_RATE_RESET] = {"prgate_rate_limit_reset_seconds", "gauge",
                           "When GitHub's rate limit starts anew."},
    [METRIC_RATE_BLOCKED_MS] = {"prgate_rate_limit_blocked_until_milliseconds", "gauge",
                                "GitHub asked not to be called before this time."},
    [METRIC_COMMITS] =
        {"prgate_store_transactions_total{outcome=\"committed\"}", "counter",
         "Transactions of the store that were synced to disk, and such as had to be run again."},
    [METRIC_TXN_RETRIES] = {"prgate_store_transactions_total{outcome=\"retried\"}", "counter", NULL},
    [METRIC_CUT] = {"prgate_connections_cut_total", "counter",
                    "Connections from the web server that took too long and were ended."},
    [METRIC_REDELIVERIES] = {"prgate_redeliveries_total", "counter",
                             "Failed deliveries that GitHub was asked to send again."},
    [METRIC_RECONCILED] = {"prgate_reconciled_total", "counter",
                           "Pull requests that differed from GitHub without a webhook having told."},
};

enum err_code metrics_open(struct metrics **out, const char *state_dir, struct err *err)
{
    struct buf path;
    buf_init(&path);
    buf_addf(&path, "%s/metrics", state_dir);
    void *map = MAP_FAILED;
    int fd = open(buf_text(&path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && ftruncate(fd, FILE_SIZE) == 0)
        map = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    enum err_code code = ERR_OK;
    if (map == MAP_FAILED)
        code = err_set(err, ERR_FATAL, errno, "cannot map %s: %s", buf_text(&path), strerror(errno));
    if (fd >= 0)
        close(fd);
    buf_release(&path);
    if (code != ERR_OK)
        return code;
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

void metrics_add(struct metrics *metrics, enum metric metric)
{
    atomic_fetch_add_explicit(&metrics->values[metric], 1, memory_order_relaxed);
}

void metrics_add_many(struct metrics *metrics, enum metric metric, uint64_t count)
{
    atomic_fetch_add_explicit(&metrics->values[metric], (int64_t)count, memory_order_relaxed);
}

void metrics_set(struct metrics *metrics, enum metric metric, int64_t value)
{
    atomic_store_explicit(&metrics->values[metric], value, memory_order_relaxed);
}

int64_t metrics_get(const struct metrics *metrics, enum metric metric)
{
    return atomic_load_explicit(&metrics->values[metric], memory_order_relaxed);
}

void metrics_print(const struct metrics *metrics, struct buf *out)
{
    for (int i = 0; i < METRIC_END; i++) {
        const char *name = descriptions[i].name;
        int family = (int)strcspn(name, "{");
        if (descriptions[i].help != NULL)
            buf_addf(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", family, name, descriptions[i].help, family,
                     name, descriptions[i].type);
        buf_addf(out, "%s %" PRId64 "\n", name, metrics_get(metrics, (enum metric)i));
    }
}

void metrics_print_json(const struct metrics *metrics, struct buf *out)
{
    buf_addc(out, '{');
    for (int i = 0; i < METRIC_END; i++) {
        buf_adds(out, i == 0 ? "\"" : ",\"");
        text_add_json(out, descriptions[i].name);
        buf_addf(out, "\":%" PRId64, metrics_get(metrics, (enum metric)i));
    }
    buf_adds(out, "}\n");
}
