/*
 * act: performs one intent on GitHub. Called by drain, under the claim, outside any transaction.
 *
 * Everything but a trigger looks before it acts, so repeating it is harmless:
 * whatever a crash leaves behind is simply done again. Where somebody died who may have sent it a moment ago, or no reply
 * came, a look that finds nothing is believed only once that call must be over. A trigger is marked as sent before
 * it is; what becomes of one whose outcome nobody knows is told in act_trigger().
 */
#ifndef PRGATE_ACT_H
#define PRGATE_ACT_H

#include "prgate/gate.h"
#include "prgate/intent.h"

enum act_outcome {
    ACT_DONE,
    ACT_AGAIN,  /* had no effect, or repeating does no harm: later */
    ACT_UNSURE, /* a trigger went out and may have arrived: ask later */
    ACT_LEFT,   /* a trigger may have arrived and is left at that */
    ACT_REFUSED /* the other side says no for good */
};

struct act_result {
    enum act_outcome outcome;
    int64_t retry_at_ms; /* ACT_AGAIN, ACT_UNSURE: not before; 0 = as the back-off says */
    bool waits; /* ACT_AGAIN, ACT_UNSURE: nothing failed, it is not known before retry_at_ms, which is set */
    bool never_arrived; /* ACT_AGAIN, a trigger: it may have been sent before, and was not */
    struct err err;     /* of all but ACT_DONE */
    bool shown;         /* ACT_DONE of a dry run: something would have been done; false: it was so already */
    uint64_t check_id;  /* of a check run that was written or found; 0 = not known */
};

/* Must a trigger be marked as sent before act_perform()? False: what it does first is to ask, or nothing. */
bool act_will_send(const struct policy *policy, const struct intent *intent);

/* `record` is a copy. `intent->sent_ms` is what it was before this attempt. */
struct act_result act_perform(struct worker *worker, const struct policy *policy, const struct record *record,
                              const struct intent *intent);

#endif
