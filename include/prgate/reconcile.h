/*
 * reconcile: compares the open pull requests of the repositories with what GitHub shows, so that one whose
 * webhooks all got lost ends as it should.
 *
 * Where the store's record and GitHub's list differ, events are made that tell the
 * difference as webhooks would have told it, and go through the inbox like those: it is
 * decided on them in order and under the claim, on what GitHub shows then. Their ids say what they are made
 * of, so the same difference seen twice is a duplicate. Where nothing differs nothing is written, and a
 * repository costs one call for each hundred open pull requests.
 * docs/architecture.md tells what is made of which difference.
 */
#ifndef PRGATE_RECONCILE_H
#define PRGATE_RECONCILE_H

#include <stdbool.h>

#include "prgate/event.h"
#include "prgate/pace.h"
#include "prgate/record.h"

/* Is there anything to be done at all: it is switched on, and there are credentials to read with? */
bool reconcile_is_wanted(const struct config *config);

/*
 * One pass over all repositories, from behind the cursor on, which is the last one that was finished, to the end,
 * and then from the first one to where the round began: so the round after a start of the pool has each of them,
 * wherever an earlier one was broken off. *told: for how many pull requests events were made. False: it failed
 * on the way, and is to be made again, or is not finished.
 */
bool reconcile_pass(struct worker *worker, struct turn *turn, unsigned *told);

/* ---- the comparison by itself: pure ---- */

enum { RECONCILE_EVENTS_MAX = 6 };

struct reconcile_view {
    const struct policy *policy;
    const struct record *record;            /* NULL: not known */
    const struct github_pull *pull;         /* as GitHub lists or shows it now */
    const struct github_label_event *label; /* NULL: not asked for, or not to be had */
    int64_t since_ms;                       /* when prgate first heard of the repository */
    int64_t now_ms;
};

/* Would who set the label, and when, matter? */
bool reconcile_needs_label(const struct reconcile_view *view);

/* Returns how many events it made, in the order in which they are to be decided. */
size_t reconcile_compare(const struct reconcile_view *view, struct event events[RECONCILE_EVENTS_MAX]);

#endif
