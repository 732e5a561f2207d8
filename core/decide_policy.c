/*
 * The policies beside the gate: what a repository asks of pull requests other than when their CI runs.
 *
 * Each looks at what GitHub shows now, does its thing once, and notes that in the same commit: for the pull request
 * where somebody may undo it (who does that wins), for the commit where the next one is to be judged anew. None of them
 * starts, holds up or ends CI.
 */
#include "decide_internal.h"

/* What all of them look at. */
struct policing {
    const struct policy *policy;
    struct record *record;
    struct head *head; /* the present one */
    const struct event *event;
    const struct facts *facts;
    struct decision *out;
};

static bool head_has(const struct head *head, enum policy_mark mark)
{
    return head != NULL && (head->policies_done & (uint32_t)mark) != 0;
}

static bool record_has(const struct record *record, enum policy_mark mark)
{
    return (record->policies_done & (uint32_t)mark) != 0;
}

/* What a policy does is done for its author or not at all. */
static bool is_release_account(const struct policy *policy, const struct user *user)
{
    return user->login[0] != '\0' && string_list_has(&policy->release_accounts, user->login);
}

/* ---- the emergency label ---- */

/*
 * Set for the very commit that is the head, which nobody has done yet. What was meant for another commit does
 * nothing for this one: whoever means this one takes the label off and sets it again.
 */
static bool is_emergency(const struct policy *policy, const struct event *event, const struct snapshot *view,
                         const struct head *head)
{
    return event->action == EVENT_LABELED && policy_is_emergency_label(policy, event->label) &&
           decide_is_about_head(event, view) && !head_has(head, POLICY_GUARD_DONE);
}

static void heed_emergency(const struct policing *p, int64_t now_ms)
{
    const struct user *sender = &p->event->sender;
    if (!is_emergency(p->policy, p->event, &p->record->view, p->head))
        return;
    if (!p->facts->sender_may_emergency) {
        decide_add_intent(p->out, INTENT_REMOVE_EMERGENCY_LABEL, &p->head->sha);
        decide_comment(p->out, MESSAGE_EMERGENCY_REFUSED, p->head, sender);
        return;
    }
    decide_add_intent(p->out, INTENT_COMPLETE_GUARD, &p->head->sha);
    struct intent *intent = &p->out->intents[p->out->intent_count - 1];
    intent->person = *sender;
    if (!record_has(p->record, POLICY_EMERGENCY_TOLD))
        intent->message = MESSAGE_EMERGENCY;
    p->record->policies_done |= POLICY_EMERGENCY_TOLD;
    p->head->policies_done |= POLICY_GUARD_DONE;
    p->record->emergency_by = *sender;
    p->record->emergency_at_ms = now_ms;
}

/* ---- branches ---- */

static bool is_from_release_branch(const struct policy *policy, const struct snapshot *view)
{
    return policy->close_release_heads && view->same_repo && !is_release_account(policy, &view->author) &&
           policy_has_glob(&policy->release_branches, view->head_ref);
}

/* The comment first: what is outstanding when the closing is heard of is dropped. */
static bool close_release_head(const struct policing *p)
{
    const struct snapshot *view = &p->record->view;
    if (!is_from_release_branch(p->policy, view) || record_has(p->record, POLICY_CLOSED))
        return false;
    decide_comment(p->out, MESSAGE_FROM_RELEASE_BRANCH, p->head, &view->author);
    decide_add_intent(p->out, INTENT_CLOSE, &p->head->sha);
    p->record->policies_done |= POLICY_CLOSED;
    return true;
}

/* The comment is the intent's own: it is made once the change was, not if GitHub refuses that. */
static void retarget(const struct policing *p)
{
    const struct snapshot *view = &p->record->view;
    if (p->policy->base_wanted[0] == '\0' || record_has(p->record, POLICY_RETARGETED) ||
        is_release_account(p->policy, &view->author) ||
        !policy_has_glob(&p->policy->base_wrong, view->base_ref))
        return;
    decide_add_intent(p->out, INTENT_RETARGET, &p->head->sha);
    struct intent *intent = &p->out->intents[p->out->intent_count - 1];
    intent->message = MESSAGE_RETARGETED;
    intent->person = view->author;
    p->record->policies_done |= POLICY_RETARGETED;
}

/* Nobody else's commit on a release account's branch: by its push or opening, or by somebody the gate trusts. */
static bool is_pushed_for_release(const struct policing *p)
{
    const struct event *event = p->event;
    bool brings = (event->action == EVENT_OPENED || event->action == EVENT_SYNCHRONIZE) &&
                  decide_is_about_head(event, &p->record->view);
    return (brings && is_release_account(p->policy, &event->sender)) || p->head->pusher == PUSHER_TRUSTED ||
           is_release_account(p->policy, &p->head->pushed_by);
}

static void approve_release(const struct policing *p)
{
    const struct snapshot *view = &p->record->view;
    if (!is_release_account(p->policy, &view->author) || head_has(p->head, POLICY_REVIEWED) ||
        !policy_has_glob(&p->policy->release_branches, view->base_ref) || !is_pushed_for_release(p))
        return;
    decide_add_intent(p->out, INTENT_APPROVE_REVIEW, &p->head->sha);
    p->head->policies_done |= POLICY_REVIEWED;
}

/* ---- labels and comments ---- */

static void label_for_author(const struct policing *p)
{
    size_t at = 0;
    if (p->event->action != EVENT_OPENED || record_has(p->record, POLICY_AUTHOR_LABELS) ||
        policy_author_label(p->policy, &at, p->record->view.author.login) == NULL)
        return;
    decide_add_intent(p->out, INTENT_ADD_AUTHOR_LABELS, &p->head->sha);
    p->record->policies_done |= POLICY_AUTHOR_LABELS;
}

/* Only what can bring code, or an end of a draft: everything else finds the commit looked at. */
static bool may_lack_tests(const struct policy *policy, const struct record *record,
                           const struct event *event, const struct snapshot *view)
{
    bool brings = event->action == EVENT_OPENED || event->action == EVENT_REOPENED ||
                  event->action == EVENT_READY_FOR_REVIEW || event->action == EVENT_SYNCHRONIZE;
    return brings && policy->tests_needed_for.count > 0 && !view->draft &&
           !is_from_release_branch(policy, view) && !record_has(record, POLICY_TESTS_TOLD) &&
           !head_has(record_find_head(record, &view->head), POLICY_TESTS_SEEN);
}

static void ask_for_tests(const struct policing *p)
{
    if (!may_lack_tests(p->policy, p->record, p->event, &p->record->view))
        return;
    p->head->policies_done |= POLICY_TESTS_SEEN;
    if (!p->facts->tests_missing)
        return;
    decide_comment(p->out, MESSAGE_MISSING_TESTS, p->head, &p->record->view.author);
    p->record->policies_done |= POLICY_TESTS_TOLD;
}

/*
 * CI ran before the reopening: not because of an approval that was heard of first, nor of the same reopening told twice.
 */
static void ask_for_new_commit(const struct policing *p)
{
    const struct event *event = p->event;
    if (!p->policy->new_commit_comment || event->action != EVENT_REOPENED || p->out->rule != RULE_ALREADY ||
        !decide_is_about_head(event, &p->record->view) || head_has(p->head, POLICY_NEW_COMMIT_TOLD) ||
        p->head->ci_at_ms >= event->pr.updated_at * 1000)
        return;
    decide_comment(p->out, MESSAGE_NEW_COMMIT_NEEDED, p->head, &p->record->view.author);
    p->head->policies_done |= POLICY_NEW_COMMIT_TOLD;
}

enum fact decide_policy_needs(const struct record *record, const struct event *event,
                              const struct facts *facts, const struct snapshot *view)
{
    const struct policy *policy = facts->policy;
    if (policy == NULL || view->closed || !event_shows_pull(event))
        return (enum fact)0;
    if (!decide_knows(facts, FACT_EMERGENCY) &&
        is_emergency(policy, event, view, record_find_head(record, &view->head)))
        return FACT_EMERGENCY;
    if (!decide_knows(facts, FACT_FILES) && may_lack_tests(policy, record, event, view))
        return FACT_FILES;
    return (enum fact)0;
}

void decide_policies(struct record *record, const struct event *event, const struct facts *facts,
                     int64_t now_ms, struct decision *out)
{
    const struct policing p = {.policy = facts->policy,
                               .record = record,
                               .head = record_find_head(record, &record->view.head),
                               .event = event,
                               .facts = facts,
                               .out = out};
    if (p.policy == NULL || p.head == NULL || record->view.closed || !event_shows_pull(event))
        return;
    heed_emergency(&p, now_ms);
    if (close_release_head(&p))
        return;
    label_for_author(&p);
    retarget(&p);
    approve_release(&p);
    ask_for_tests(&p);
    ask_for_new_commit(&p);
}
