/*
 * The rules of the merge queue.
 *
 * A group is a commit on a branch of its own, which is merged if its checks succeed. Whoever queues a pull request has
 * to have passed the gate before, and may merge: so the gate's check succeeds on it, without a look at the pull request.
 * The commit is a head of the pull request's record, never its own head, and the view is not touched.
 */
#include <string.h>

#include "decide_internal.h"

bool decide_is_queue(const struct event *event)
{
    return event->action == EVENT_QUEUED || event->action == EVENT_UNQUEUED;
}

/* The last intent is about the group's branch, which no view shows. */
static void name_branch(const struct event *event, struct decision *out)
{
    struct intent *intent = &out->intents[out->intent_count - 1];
    memcpy(intent->ref, event->pr.head_ref, sizeof intent->ref);
}

static void queued(struct head *head, const struct event *event, const struct facts *facts, int64_t now_ms,
                   struct decision *out)
{
    out->rule = RULE_QUEUED;
    if (facts->policy != NULL && facts->policy->queue_trigger && !head_is_triggered(head)) {
        decide_add_intent(out, INTENT_TRIGGER, &head->sha);
        name_branch(event, out);
        head->ci_before = CI_NONE;
        head_set_ci(head, CI_DECIDED, now_ms);
    }
    decide_complete_check(head, out);
}

/* What was merged has passed its checks: whatever else still runs for it runs for the base branch's new head. */
static void unqueued(struct record *record, struct head *head, const struct event *event,
                     struct decision *out)
{
    out->rule = RULE_UNQUEUED;
    if (!event->pr.closed && decide_cancel(record, head, out))
        name_branch(event, out);
    if (head->check == CHECK_NONE)
        head->check = CHECK_DONE; /* should the asking come only now, it is answered */
}

void decide_queue(struct record *record, const struct event *event, const struct facts *facts, int64_t now_ms,
                  struct decision *out)
{
    if (event->installation != 0)
        record->installation = event->installation;
    struct head *head = record_add_head(record, &event->pr.head, now_ms);
    if (sha_equal(&head->sha, &record->view.head)) {
        out->rule = RULE_QUEUED_BEFORE; /* the head itself is what its own check says */
        return;
    }
    head->queued = true;
    if (event->action == EVENT_UNQUEUED)
        unqueued(record, head, event, out);
    else if (head->check == CHECK_NONE)
        queued(head, event, facts, now_ms, out);
    else
        out->rule = RULE_QUEUED_BEFORE;
}

void decide_dequeued(struct record *record, const struct event *event, const struct facts *facts,
                     struct decision *out)
{
    if (event->action != EVENT_DEQUEUED || event->pr.updated_at <= record->dequeued_at)
        return;
    record->dequeued_at = event->pr.updated_at;
    bool has_label = facts->policy != NULL && facts->policy->queue_label[0] != '\0';
    if (has_label && out->intent_count < DECISION_INTENTS_MAX)
        decide_add_intent(out, INTENT_REMOVE_QUEUE_LABEL, &event->pr.head);
}
