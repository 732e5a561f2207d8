/*
 * inbox: the one transaction between a delivery's arrival and its acknowledgement.
 *
 * It takes the pull request's record exclusively, looks whether the delivery was
 * seen before, appends it at the end of the queue and, when nobody holds the
 * claim, takes it. When inbox_put() returns ERR_OK the delivery is on disk and will be
 * decided, whatever dies. Thread-safe.
 */
#ifndef PRGATE_INBOX_H
#define PRGATE_INBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "prgate/event.h"
#include "prgate/gate.h"
#include "prgate/store.h"

/*
 * What the transaction that took the claim saw: the delivery that comes first. Whoever works on it need not look again before
 * he asks GitHub: what others may change meanwhile, a name or a queue, the decision's transaction reads anew.
 */
struct briefing {
    struct record record;
    uint64_t seq;
    struct event event;
};

void briefing_free(struct briefing *briefing); /* NULL is let be */

struct receipt {
    bool duplicate;
    bool claimed; /* this process now has the claim and must work on it: crew_submit() or drain_start() */
    struct claim claim;
    struct briefing *briefing; /* of inbox_end() alone, and the caller's; NULL: there is none */
};

/* `may_claim`: this process has room to work on one more. ERR_RETRY: not stored, the sender should try again. */
enum err_code inbox_put(struct gate *gate, const struct event *event, bool may_claim, struct receipt *out,
                        struct err *err);

/*
 * The same as inbox_put() for `count` of one pull request that belong together, in that order: all are stored or none is. A
 * duplicate among them is left out; out->duplicate: all were.
 */
enum err_code inbox_put_all(struct gate *gate, const struct event *events, size_t count, bool may_claim,
                            struct receipt *out, struct err *err);

/* What inbox_put_all() does, in steps. */
struct taking {
    struct store_job job; /* to be run in the gate's store */
    /* For this module alone: */
    struct gate *gate;
    const struct event *events; /* of one pull request */
    size_t count;
    bool may_claim;
    struct claim claim; /* made beforehand, so that no other thread takes the record's for left over */
    struct receipt receipt;
    struct briefing *briefing; /* room for one; NULL: none is asked for */
    bool is_new;               /* one of them was, as this run of the body found, or an earlier one */
    bool taken_over;
    bool salvaged; /* the record was damaged, and is made anew */
};

/*
 * The same as inbox_put(), with a briefing where there can be one, and for who need not wait: between begin and end inbox_run()
 * is called, or somebody else has `job` run. *taking and *event stay where they are until then.
 */
void inbox_begin(struct taking *taking, struct gate *gate, const struct event *event, bool may_claim);
void inbox_run(struct taking *taking);
enum err_code inbox_end(struct taking *taking, struct receipt *out, struct err *err);

#endif
