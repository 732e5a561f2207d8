/*
 * Who said yes to which commit, by what means, and with which permission; and a yes that is none.
 *
 * A label on a commit that was pushed a moment ago was most likely meant for the one before. It counts if it was set
 * settle_seconds after the commit came. Both times are GitHub's, of the label's webhook and of the push's, so that it
 * does not matter when, and in which order, prgate hears of them. A label that is heard of first waits for the
 * push. Not asked is what a commit that replaced none was opened with, nor one of a trusted author's that
 * somebody trusted pushed: with the label there that one starts without anybody's look.
 */
#include "decide_internal.h"

static void note_approval(struct record *record, struct head *head, enum approval_means means, int64_t now_ms)
{
    head->approved = true;
    head->approved_at_ms = now_ms;
    head->means = means;
    head->label_at = 0;
    record->approved_head = head->sha;
}

bool decide_may_approve(const struct event *event, const struct facts *facts)
{
    return event_is_operators(event) || (decide_knows(facts, FACT_SENDER) && facts->sender_may_approve);
}

enum rule decide_approve(struct record *record, struct head *head, const struct event *event,
                         const struct facts *facts, enum approval_means means, int64_t now_ms)
{
    if (head_is_triggered(head))
        return RULE_ALREADY;
    if (!decide_may_approve(event, facts)) {
        head->refused_approval = true;
        return RULE_NOT_APPROVER;
    }
    /* Over one that somebody has taken back by taking the label off, too. */
    if (!head->approved || !decide_label_stands(record, &record->view)) {
        head->approver = event->sender;
        head->approver_permission = facts->sender_permission;
        note_approval(record, head, means, now_ms);
    }
    /* As if prgate had taken it off itself: an approval counts as long as nobody else does. */
    if (means != MEANS_LABEL && !record->view.labelled)
        record->label_removed = head->sha;
    return RULE_APPROVED;
}

/* ---- when a commit came ---- */

/* Of the same commit pushed twice, with another in between, the newer counts: that is when it was last new. */
static void note_push(struct head *head, int64_t at)
{
    if (!head->came_known || at > head->came_at)
        head->came_at = at;
    head->came_known = true;
}

static bool has_just_come(const struct record *record, const struct snapshot *view)
{
    return !sha_equal(&record->view.head, &view->head) || record_find_head(record, &view->head) == NULL;
}

void decide_note_coming(struct record *record, const struct event *event, const struct snapshot *view,
                        int64_t now_ms)
{
    if (!event_shows_pull(event))
        return;
    bool is_new = has_just_come(record, view);
    bool tells = decide_is_about_head(event, view) &&
                 (event->action == EVENT_SYNCHRONIZE || event->action == EVENT_OPENED);
    /* Of a closed one nothing but what no later event tells: once reopened, the head is looked at anew. */
    if (!tells && (!is_new || view->closed))
        return;
    struct head *head = record_add_head(record, &view->head, now_ms);
    /* By now at the latest; its push, should that be heard of later, tells exactly. */
    if (is_new) {
        head->came_at = view->updated_at;
        head->came_known = false;
    }
    if (tells)
        note_push(head, event->action == EVENT_OPENED ? 0 : event->pr.updated_at);
}

bool decide_is_settled(const struct head *head, int64_t label_at, const struct facts *facts)
{
    return facts->settle_s == 0 || head->approved || head->pusher == PUSHER_TRUSTED ||
           label_at - head->came_at >= facts->settle_s;
}

/* ---- the label ---- */

/*
 * The label that is there now was set by somebody else, or later, than the event tells: that one has an event
 * of its own. GitHub's list and its webhook may differ by a second.
 */
static bool is_superseded(const struct event *event, const struct facts *facts)
{
    return decide_knows(facts, FACT_LABEL) && facts->label_is_set &&
           (facts->label_set_by.id != event->sender.id || facts->label_set_at > event->pr.updated_at + 1);
}

enum rule decide_label(struct record *record, struct head *head, const struct event *event,
                       const struct facts *facts, int64_t now_ms)
{
    int64_t at = event->pr.updated_at;
    bool may = decide_knows(facts, FACT_SENDER) && facts->sender_may_approve;
    bool settled = may && decide_is_settled(head, at, facts);
    if (!settled && is_superseded(event, facts))
        return RULE_WITHDRAWN;
    if (!may || settled)
        return decide_approve(record, head, event, facts, MEANS_LABEL, now_ms);
    if (at > head->label_at) {
        head->label_at = at;
        head->approver = event->sender;
        head->approver_permission = facts->sender_permission;
    }
    return head->came_known ? RULE_TOO_SOON : RULE_BEFORE_PUSH;
}

enum rule decide_waiting_label(struct record *record, struct head *head, const struct facts *facts,
                               int64_t now_ms)
{
    if (head->label_at == 0 || !decide_label_stands(record, &record->view))
        return RULE_LATER;
    if (decide_is_settled(head, head->label_at, facts)) {
        note_approval(record, head, MEANS_LABEL, now_ms);
        return RULE_APPROVED;
    }
    return head->came_known ? RULE_TOO_SOON : RULE_LATER;
}

/*
 * The label that is there is the refused one: whatever it stood for before was over when somebody took it off, so that
 * it could be set again.
 */
static void end_what_the_label_allowed(struct head *head)
{
    head->approved = head->label_granted = false;
    head->means = MEANS_NONE;
    head->label_at = 0;
}

void decide_refuse(struct record *record, struct head *head, const struct event *event, enum rule rule,
                   struct decision *out)
{
    bool refused = rule == RULE_NOT_APPROVER || rule == RULE_BUTTON_REFUSED;
    if (!refused && rule != RULE_TOO_SOON)
        return;
    /* Where the label is off already, a push has taken it along, and the check tells enough. */
    bool seen = rule == RULE_BUTTON_REFUSED || record->view.labelled;
    if (rule != RULE_BUTTON_REFUSED) {
        end_what_the_label_allowed(head);
        if (record->view.labelled)
            decide_remove_label(record, head, out);
    }
    /* A crash before it is written leaves the intent; one after it, and the comment's marker says that it is there. */
    if (refused && seen)
        decide_comment(out, MESSAGE_NOT_APPROVER, head, &event->sender);
    if (!refused && seen && !head->too_soon)
        decide_comment(out, MESSAGE_LOOK_AGAIN, head, &head->approver);
    head->too_soon = head->too_soon || rule == RULE_TOO_SOON;
}

void decide_comment(struct decision *out, enum message message, const struct head *head,
                    const struct user *person)
{
    decide_add_intent(out, INTENT_COMMENT, &head->sha);
    struct intent *intent = &out->intents[out->intent_count - 1];
    intent->message = message;
    intent->person = *person;
}
