/*
 * board: the open pull requests as the status page shows them: in groups, filtered, a page at a time; and how pool
 * and queues are.
 *
 * Looks at every open pull request, with reading transactions of BOARD_BATCH records each, but keeps no
 * more of each than what it is sorted by; only those of one page are described.
 */
#ifndef PRGATE_BOARD_H
#define PRGATE_BOARD_H

#include <cjson/cJSON.h>

#include "prgate/gate.h"

enum {
    BOARD_TEXT_SIZE = 128,
    BOARD_PAGE = 50,       /* pull requests on a page for people */
    BOARD_PAGE_MAX = 1000, /* and for programs */
    BOARD_BATCH = 64,      /* records in one transaction */
    BOARD_LOOKS_MAX =
        50000,             /* records, closed ones too, shared out among the repositories; the newest first */
    BOARD_LOOKS_EACH = 100 /* but of none fewer than this */
};

/* In the order in which they are shown. */
enum board_group {
    BOARD_TROUBLE,  /* being retried, given up, refused, or held by a budget */
    BOARD_AWAITING, /* longest first */
    BOARD_RUNNING,  /* CI was started for the head; newest first */
    BOARD_GROUP_END /* in a query: all */
};

struct board_query {
    char text
        [BOARD_TEXT_SIZE]; /* each of its words is in "owner/name#number title author", whatever its case; "" = all */
    char repo[REPO_NAME_SIZE]; /* "" = all */
    enum board_group group;
    uint64_t page;     /* from 1 on; one behind the last shows the last */
    unsigned per_page; /* 1 to BOARD_PAGE_MAX */
    bool show_private; /* and such of which it is not known whether they are */
};

const char *board_group_name(enum board_group group);     /* "trouble", ...; "" for BOARD_GROUP_END */
enum board_group board_group_from_name(const char *name); /* BOARD_GROUP_END: none of them */

/*
 * *out, the caller's to cJSON_Delete(), is
 * {"version", "dry_run", "waiting", "deliveries_waiting", "intents_waiting",
 *  "health": {"processes", "oldest_delivery", "dead", "rate_remaining", "rate_reset", "blocked_until"},
 *  "repositories": [{"repository", "open", "trouble", "awaiting", "running"}],        whatever the filters
 *  "counts": {"open", "trouble", "awaiting", "running"},                    by all filters but the group's
 *  "matching", "page", "pages", "more": not all were looked at,
 *  "pull_requests": [report_record()'s, and "group", "trouble": why, "dead": how many were given up]}.
 * Times are Unix ms, null where there is none. Errors are the store's. Thread-safe.
 */
enum err_code board_report(struct gate *gate, const struct board_query *query, cJSON **out, struct err *err);

#endif
