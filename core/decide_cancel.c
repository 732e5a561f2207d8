/* The rules about runs: cancelling what nobody needs any more, releasing what waits for the approval that was given. */
#include "decide_internal.h"

enum {
    /* A decision has room for other intents, too; whoever is left over is for the next delivery. */
    CANCELS_MAX = 6,
    /* What was started longer ago than this has ended, or is not found any more: see act_cancel.c. */
    CANCEL_AGE_MS = 3 * 24 * 3600 * 1000
};

bool decide_cancel(struct record *record, struct head *head, struct decision *out)
{
    if (!head_is_triggered(head) || head->cancelled >= head_attempt(head) ||
        out->intent_count + 2 > DECISION_INTENTS_MAX)
        return false;
    decide_add_intent(out, INTENT_CANCEL, &head->sha);
    out->intents[out->intent_count - 1].attempt = head_attempt(head);
    head->cancelled = head_attempt(head);
    bool is_shown = sha_equal(&head->sha, &record->view.head) && !record->view.closed;
    if (is_shown && head->check == CHECK_DONE)
        decide_complete_check(head, out);
    else if (!head->queued)
        head->check = CHECK_NONE; /* should it be the head again, its check is to say so */
    return true;
}

/* The present head of an open pull request is what CI is for; a merge queue's commits have an end of their own. */
static bool is_superseded(const struct record *record, const struct head *head)
{
    return !head->queued && (record->view.closed || !sha_equal(&head->sha, &record->view.head));
}

void decide_cancel_superseded(struct record *record, const struct facts *facts, int64_t now_ms,
                              struct decision *out)
{
    unsigned left = CANCELS_MAX;
    const struct policy *policy = facts->policy;
    if (policy == NULL || !(record->view.closed ? policy->cancel_on_close : policy->cancel_on_push))
        return;
    for (size_t i = record->head_count; i-- > 0 && left > 0;) {
        struct head *head = &record->heads[i];
        if (is_superseded(record, head) && now_ms - head->ci_at_ms < CANCEL_AGE_MS &&
            decide_cancel(record, head, out))
            left--;
    }
}

void decide_release(const struct record *record, const struct facts *facts, struct decision *out)
{
    const struct head *head = record_find_head(record, &record->view.head);
    if (facts->policy == NULL || !facts->policy->release_runs || head == NULL || !head->approved ||
        out->intent_count == DECISION_INTENTS_MAX)
        return;
    for (unsigned i = 0; i < out->intent_count; i++) {
        if (out->intents[i].kind == INTENT_TRIGGER && sha_equal(&out->intents[i].sha, &head->sha)) {
            decide_add_intent(out, INTENT_RELEASE_RUNS, &head->sha);
            return;
        }
    }
}
