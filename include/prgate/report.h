/*
 * report: what the gate knows, as JSON, for the status page and prgatectl.
 *
 * Each function builds a tree that is the caller's to cJSON_Delete(), with small reading
 * transactions, so that it never stands in a delivery's way. A report is a view of a
 * moving thing: its parts may be a moment apart. Errors are the store's.
 */
#ifndef PRGATE_REPORT_H
#define PRGATE_REPORT_H

#include <cjson/cJSON.h>

#include "prgate/gate.h"

enum {
    REPORT_PULLS_MAX = 1000,
    REPORT_LEDGER_MAX = 1000,
    REPORT_COUNT_MAX = 10000,
    REPORT_LOOKS_MAX = 10000, /* records that one overview looks at, shared out among the repositories */
    REPORT_LOOKS_EACH = 100   /* but of none fewer than this */
};

/* Deliveries and intents not yet done, counted no further than REPORT_COUNT_MAX each. */
enum err_code report_waiting(struct gate *gate, size_t *deliveries, size_t *intents, struct err *err);

/*
 * {"waiting", "deliveries_waiting", "intents_waiting", "dry_run", "version", "pull_requests": [...], "more"};
 * open pull requests by repository, the newest first, REPORT_PULLS_MAX at most; "more": there may be others, that many
 * were open, or older than what was looked at.
 */
enum err_code report_overview(struct gate *gate, cJSON **out, struct err *err);

/* What one record says: "repository", "number", "title", "author", "state", "head", "waits_for", "since", ... */
cJSON *report_record(const struct record *record);

/*
 * {"repository", "number", "state", "head", ..., "heads": [...], "deliveries": [...], "intents": [...],
 * "dead": [...], "ledger": [...]}; the newest REPORT_LEDGER_MAX entries, oldest first. ERR_NOT_FOUND: not known.
 */
enum err_code report_pull(struct gate *gate, const char *repo, uint64_t number, cJSON **out, struct err *err);

/* A member of a report: "" or 0 where there is none. Text is valid as long as the tree. */
const char *report_text(const cJSON *object, const char *name);
int64_t report_number(const cJSON *object, const char *name);

/* Of one of "heads", for people: "started, cancelled". Returns `out`. */
enum { REPORT_CI_SIZE = 64 };
const char *report_ci(const cJSON *head, char out[REPORT_CI_SIZE]);

#endif
