/*
 * Who said yes to which commit, by what means, and with which permission.
 */
#include "decide_internal.h"

enum rule decide_approve(struct record *record, struct head *head, const struct event *event,
                         const struct facts *facts, enum approval_means means, int64_t now_ms)
{
    if (head_is_triggered(head))
        return RULE_ALREADY;
    if (!decide_knows(facts, FACT_SENDER) || !facts->sender_may_approve) {
        head->refused_approval = true;
        return RULE_NOT_APPROVER;
    }
    if (!head->approved) {
        head->approved = true;
        head->approver = event->sender;
        head->approved_at_ms = now_ms;
        head->means = means;
        head->approver_permission = facts->sender_permission;
        record->approved_head = head->sha;
    }
    /* As if prgate had taken it off itself: an approval counts as long as nobody else does. */
    if (means != MEANS_LABEL && !record->view.labelled)
        record->label_removed = head->sha;
    return RULE_APPROVED;
}

void decide_comment(struct decision *out, enum message message, const struct head *head,
                    const struct user *person)
{
    decide_add_intent(out, INTENT_COMMENT, &head->sha);
    struct intent *intent = &out->intents[out->intent_count - 1];
    intent->message = message;
    intent->person = *person;
}
