/*
 * The gate's rules.
 *
 *          opened, pushed                     label by an approver,
 *   NEW ------------------> AWAITING <---+    trusted and labelled,
 *    |                       |    |      |    trusted and opened
 *    |                       |    +------|----------------------------+
 *    |      cannot be merged v           | new head                   v
 *    +-------------------> CONFLICT -----+------ mergeable ----> TRIGGERED
 *    |                                   ^                         |  |
 *    |                                   +-------- new head -------+  |
 *    +--> CLOSED <---------------- closed, from anywhere -------------+
 *           |
 *           +-- reopened: judged as NEW, remembering which heads were triggered
 *
 * What holds in each state, for the head H that GitHub shows now:
 *   AWAITING   H is not triggered; its check waits and says why
 *   CONFLICT   the same; whoever had to has agreed, but GitHub cannot merge H
 *              (AWAITING for a budget is alike: agreed, and it starts by itself when its turn comes)
 *   TRIGGERED  H is marked as triggered, the intent to do so was written with the mark
 *   CLOSED     no intent is outstanding and none is made
 *
 * A re-run is the one way to start CI for a commit once more. It leads from TRIGGERED to TRIGGERED, and changes
 * nothing elsewhere.
 */
#include "decide_internal.h"

enum {
    /* GitHub's reads lag behind its webhooks by this much at most where both carry the same second. */
    SETTLE_MS = 2000,
    /* How long, and how often, to wait for GitHub's background job that works out `mergeable`. */
    MERGEABLE_WAIT_MS = 30000,
    MERGEABLE_POLL_MS = 3000,
    /* How long a read that is provably older than the payload is waited for, where it matters. */
    CATCH_UP_MS = 60000,
    CATCH_UP_POLL_MS = 1000
};

bool decide_knows(const struct facts *facts, enum fact fact)
{
    return (facts->known & (unsigned)fact) != 0;
}

static int64_t later_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Alike in all that the rules look at? */
static bool same_state(const struct snapshot *a, const struct snapshot *b)
{
    return sha_equal(&a->head, &b->head) && a->draft == b->draft && a->closed == b->closed &&
           a->labelled == b->labelled;
}

bool decide_is_about_head(const struct event *event, const struct snapshot *view)
{
    return sha_equal(&event->pr.head, &view->head);
}

static bool is_nobody(const struct user *user)
{
    return user->id == 0 && user->login[0] == '\0';
}

static bool is_push_of_head(const struct event *event, const struct snapshot *view)
{
    return event->action == EVENT_SYNCHRONIZE && decide_is_about_head(event, view);
}

static bool is_rerun(const struct event *event)
{
    return event->action == EVENT_RERUN || event->action == EVENT_OPERATOR_RETRIGGER;
}

static bool is_button(const struct event *event)
{
    return event->action == EVENT_BUTTON;
}

/* Somebody says yes to the commit that the event names, otherwise than by the label or a comment. */
static bool is_named_yes(const struct event *event)
{
    return is_button(event) || event->action == EVENT_OPERATOR_APPROVE;
}

static bool is_gate_labeled(const struct event *event)
{
    return event->action == EVENT_LABELED && event->label_is_gate;
}

static bool is_gate_unlabeled(const struct event *event)
{
    return event->action == EVENT_UNLABELED && event->label_is_gate;
}

/* An opening that was not handled before, under whatever delivery id. */
static bool is_new_opening(const struct record *record, const struct event *event)
{
    switch (event->action) {
    case EVENT_OPENED:
        return !record->opened;
    case EVENT_READY_FOR_REVIEW:
        return event->pr.updated_at > record->ready_at;
    case EVENT_REOPENED:
        return event->pr.updated_at > record->reopened_at;
    case EVENT_SYNCHRONIZE:
    case EVENT_LABELED:
    case EVENT_UNLABELED:
    case EVENT_CONVERTED_TO_DRAFT:
    case EVENT_EDITED:
    case EVENT_CLOSED:
    case EVENT_RERUN:
    case EVENT_COMMAND:
    case EVENT_BUTTON:
    case EVENT_QUEUED:
    case EVENT_UNQUEUED:
    case EVENT_DEQUEUED:
    case EVENT_WAKE:
    case EVENT_OPERATOR_APPROVE:
    case EVENT_OPERATOR_RETRIGGER:
        return false;
    }
    return false;
}

/* One of those that claim to show the pull request at its newest, or NULL when they differ in what they show. */
static const struct snapshot *agreed(const struct snapshot *const *shown, size_t count, int64_t newest)
{
    const struct snapshot *first = NULL;
    for (size_t i = 0; i < count; i++) {
        if (shown[i]->updated_at != newest)
            continue;
        if (first == NULL)
            first = shown[i];
        else if (!same_state(first, shown[i]))
            return NULL;
    }
    return first;
}

/*
 * A read made since agrees with the payload against what an earlier delivery of the same second had shown: so
 * that was before. Not where it would take back a newer head or a reopening, should both lag.
 */
static bool confirms(const struct record *record, const struct event *event, const struct facts *facts,
                     int64_t newest)
{
    return facts->read.updated_at == newest && event->pr.updated_at == newest &&
           same_state(&facts->read, &event->pr) && sha_equal(&facts->read.head, &record->view.head) &&
           !(event->pr.closed && record->reopened_at == newest);
}

/*
 * Several carry the same second and differ. The read decides, unless it was made so soon that it may lag, and
 * NULL says to read again; a read cannot be older than the pull request's opening. A read
 * that is of an earlier second lags for certain, and is given time to catch up.
 */
static const struct snapshot *arbitrate(const struct record *record, const struct event *event,
                                        const struct facts *facts, int64_t newest, int64_t now_ms)
{
    bool have_read = decide_knows(facts, FACT_READ);
    if (have_read && event_shows_pull(event) && confirms(record, event, facts, newest))
        return &facts->read;
    if (have_read && facts->read.updated_at == newest &&
        (facts->read_ms >= event->received_ms + SETTLE_MS || event->action == EVENT_OPENED))
        return &facts->read;
    if (have_read && now_ms < event->received_ms + CATCH_UP_MS)
        return NULL;
    return event_shows_pull(event) ? &event->pr : &facts->read;
}

/* The newest of read, payload and what was known; false: not to be told yet. */
bool decide_view(const struct record *record, const struct event *event, const struct facts *facts,
                 int64_t now_ms, struct snapshot *view)
{
    bool have_read = decide_knows(facts, FACT_READ);
    const struct snapshot *shown[3];
    size_t count = 0;
    if (event_shows_pull(event))
        shown[count++] = &event->pr;
    shown[count++] = &record->view;
    if (have_read)
        shown[count++] = &facts->read;
    int64_t newest = record->view.updated_at;
    if (have_read)
        newest = later_of(newest, facts->read.updated_at);
    if (have_read || event_shows_pull(event)) /* a read may be too old for what shows nothing itself */
        newest = later_of(newest, event->pr.updated_at);
    const struct snapshot *chosen = agreed(shown, count, newest);
    if (chosen == NULL)
        chosen = arbitrate(record, event, facts, newest, now_ms);
    if (chosen == NULL)
        return false;
    *view = *chosen;
    /* Working out `mergeable` does not move updated_at, so the last read knows best, if it was for an earlier
     * delivery of the same batch, too. */
    if (have_read && sha_equal(&facts->read.head, &view->head))
        view->mergeable = facts->read.mergeable;
    else if (record->read_ms > event->received_ms && sha_equal(&record->view.head, &view->head))
        view->mergeable = record->view.mergeable;
    return true;
}

bool decide_label_stands(const struct record *record, const struct snapshot *view)
{
    return view->labelled || (sha_is_set(&view->head) && sha_equal(&record->label_removed, &view->head));
}

/* The label was set for the very commit that is the head, and is there: it depends on who did it. */
static bool may_approve_head(const struct record *record, const struct event *event,
                             const struct snapshot *view)
{
    return is_gate_labeled(event) && decide_is_about_head(event, view) && decide_label_stands(record, view);
}

/* Of a closed draft: a push, or the label that such a push came before. Others start by the reopening alone. */
static bool may_cover_draft(const struct event *event, const struct snapshot *view)
{
    return view->draft && view->labelled && (event->action == EVENT_SYNCHRONIZE || is_gate_labeled(event));
}

static bool pushed_by_trusted(const struct record *record)
{
    const struct head *head = record_find_head(record, &record->view.head);
    return head != NULL && head->pusher == PUSHER_TRUSTED;
}

/* Does it tell who brought the head here, where that is not known for good? */
static bool tells_pusher(const struct record *record, const struct event *event, const struct snapshot *view)
{
    const struct head *head = record_find_head(record, &view->head);
    return (event->action == EVENT_SYNCHRONIZE || event->action == EVENT_OPENED) &&
           decide_is_about_head(event, view) && !is_nobody(&event->sender) &&
           (head == NULL || (head->pusher != PUSHER_TRUSTED && !head_is_triggered(head)));
}

/* prgate took the label off, and reckons with that already; and nobody has allowed this head or is owed an opening. */
static bool is_echo_of_removal(const struct record *record, const struct event *event)
{
    const struct snapshot *view = &record->view;
    const struct head *head = record_find_head(record, &view->head);
    bool is_waiting = head != NULL && head->check == CHECK_AWAITING && head->check_reason != WAIT_CONFLICT &&
                      !head->approved && !head->label_granted && !record->opening_owed;
    return is_gate_unlabeled(event) && is_waiting && sha_equal(&record->label_removed, &view->head) &&
           event->pr.updated_at >= view->updated_at && same_state(&event->pr, view);
}

static bool needs_read(const struct record *record, const struct event *event)
{
    const struct snapshot *view = &record->view;
    if (event->action == EVENT_COMMAND && !decide_command_reads(event) && view->updated_at != 0)
        return false;
    bool newer = event->pr.updated_at > view->updated_at;
    bool older = event->pr.updated_at < view->updated_at;
    /* GitHub was asked since this delivery came in, and what it said then is not in doubt. */
    if (record->read_ms > event->received_ms && (older || (!newer && same_state(&event->pr, view))))
        return false;
    if (newer && event->action == EVENT_CLOSED)
        return false;
    /* Nothing can come of it, whatever a read shows: what else has happened has its own delivery. */
    bool is_known = newer || (!older && same_state(&event->pr, view));
    const struct head *head = record_find_head(record, &event->pr.head);
    bool settled = head != NULL && head_is_triggered(head) && decide_is_about_head(event, view);
    if (is_known && settled && !is_new_opening(record, event))
        return false;
    return !is_echo_of_removal(record, event);
}

static enum fact unless_known(const struct facts *facts, enum fact fact)
{
    return decide_knows(facts, fact) ? (enum fact)0 : fact;
}

/* Whether or not it matters now: no later event tells it again. An untrusted author's commit waits in any case. */
static enum fact needs_pusher(const struct record *record, const struct event *event,
                              const struct snapshot *view, const struct facts *facts)
{
    if (!tells_pusher(record, event, view))
        return (enum fact)0;
    if (!decide_knows(facts, FACT_AUTHOR))
        return FACT_AUTHOR;
    return event->action == EVENT_SYNCHRONIZE && facts->author_trusted ? unless_known(facts, FACT_PUSHER)
                                                                       : (enum fact)0;
}

/*
 * RULE_RERUN: it depends on the sender. Until a trigger's outcome is on disk, what is asked for is what is being done;
 * the same press of a button may be told of twice, by the run and by the suite.
 */
enum rule decide_judge_again(const struct head *head, const struct event *event)
{
    if (head == NULL || !head_is_triggered(head))
        return RULE_RERUN_EARLY;
    /* The check tells of an earlier start: that it be repeated was asked for, and done. */
    bool repeated = event->attempt != 0 && event->attempt < head_attempt(head);
    bool under_way = head->ci == CI_DECIDED || head->ci == CI_SENT;
    return repeated || under_way || event->received_ms <= head->ci_at_ms ? RULE_RERUN_SAME : RULE_RERUN;
}

static enum rule judge_rerun(const struct record *record, const struct event *event,
                             const struct snapshot *view)
{
    return decide_is_about_head(event, view)
               ? decide_judge_again(record_find_head(record, &view->head), event)
               : RULE_RERUN_OLD;
}

/* From then on a label that GitHub shows on this head was set anew. It depends on who took it off. */
static bool may_tell_of_removal(const struct record *record, const struct event *event,
                                const struct snapshot *view)
{
    return is_gate_unlabeled(event) && decide_is_about_head(event, view) && !event->pr.labelled &&
           sha_equal(&record->label_removed, &view->head) && !is_nobody(&event->sender);
}

/* As it will be judged: nothing is known of a commit that has only just become the head. */
static bool is_settled_label(const struct record *record, const struct event *event,
                             const struct facts *facts)
{
    const struct head *head = record_find_head(record, &event->pr.head);
    bool known = head != NULL && decide_is_about_head(event, &record->view);
    return facts->settle_s == 0 || (known && decide_is_settled(head, event->pr.updated_at, facts));
}

static enum fact needs_sender(const struct event *event, const struct facts *facts)
{
    return event_is_operators(event) ? (enum fact)0 : unless_known(facts, FACT_SENDER);
}

static enum fact gate_needs(const struct record *record, const struct event *event, const struct facts *facts,
                            int64_t now_ms)
{
    struct snapshot view;
    if (!decide_knows(facts, FACT_READ) && needs_read(record, event))
        return FACT_READ;
    if (!decide_view(record, event, facts, now_ms, &view))
        return (enum fact)0;
    if (event->action == EVENT_COMMAND)
        return decide_command_needs(record, event, facts);
    if (is_rerun(event))
        return !view.closed && judge_rerun(record, event, &view) == RULE_RERUN ? needs_sender(event, facts)
                                                                               : (enum fact)0;
    const struct head *head = record_find_head(record, &view.head);
    if (head != NULL && head_is_triggered(head)) {
        bool may_want_label = is_new_opening(record, event) && !view.closed && !view.draft && !view.labelled;
        return may_want_label ? unless_known(facts, FACT_AUTHOR) : (enum fact)0;
    }
    if (may_approve_head(record, event, &view)) {
        if (!decide_knows(facts, FACT_IDENTITY))
            return FACT_IDENTITY;
        if (!facts->sender_is_prgate && !decide_knows(facts, FACT_SENDER))
            return FACT_SENDER;
        if (!facts->sender_is_prgate && facts->sender_may_approve && is_settled_label(record, event, facts))
            return (enum fact)0; /* approved: the author does not matter */
        if (!facts->sender_is_prgate && view.labelled && !decide_knows(facts, FACT_LABEL))
            return FACT_LABEL;
    }
    if (is_named_yes(event)) {
        bool counts = decide_is_about_head(event, &view);
        enum fact sender = counts ? needs_sender(event, facts) : (enum fact)0;
        if (sender != 0 || !counts || decide_may_approve(event, facts) || view.closed)
            return sender;
    }
    enum fact need = needs_pusher(record, event, &view, facts);
    if (need == 0 && may_tell_of_removal(record, event, &view))
        need = unless_known(facts, FACT_IDENTITY);
    if (need != 0)
        return need;
    if (view.closed)
        return may_cover_draft(event, &view) ? unless_known(facts, FACT_AUTHOR) : (enum fact)0;
    /* The author does not matter then, but for an opening, which may be owed for longer than the approval lasts. */
    if (head != NULL && head->approved && decide_label_stands(record, &view) &&
        !is_new_opening(record, event))
        return (enum fact)0;
    return unless_known(facts, FACT_AUTHOR);
}

static enum fact needs(const struct record *record, const struct event *event, const struct facts *facts,
                       int64_t now_ms)
{
    struct snapshot view;
    if (decide_is_queue(event))
        return (enum fact)0;
    enum fact need = gate_needs(record, event, facts, now_ms);
    if (need != 0 || !decide_view(record, event, facts, now_ms, &view))
        return need;
    return decide_policy_needs(record, event, facts, &view);
}

enum fact decide_needs(const struct record *record, const struct event *event, const struct facts *facts,
                       int64_t now_ms)
{
    if (!decide_has_shadow(record, event, facts))
        return needs(record, event, facts, now_ms);
    struct event shown = *event;
    struct facts known = *facts;
    decide_shadow(record, &shown, &known);
    return needs(record, &shown, &known, now_ms);
}

void decide_add_intent(struct decision *out, enum intent_kind kind, const struct sha *sha)
{
    out->intents[out->intent_count++] = (struct intent){.kind = kind, .sha = *sha};
}

/*
 * Intents are performed before the next delivery is decided, and that may come
 * without another read: the view is what GitHub will show by then.
 */
void decide_add_label(struct record *record, const struct head *head, struct decision *out)
{
    decide_add_intent(out, INTENT_ADD_LABEL, &head->sha);
    record->view.labelled = true;
}

void decide_remove_label(struct record *record, const struct head *head, struct decision *out)
{
    decide_add_intent(out, INTENT_REMOVE_LABEL, &head->sha);
    record->view.labelled = false;
    record->label_removed = head->sha;
    record->unlabelled_at = 0;
}

/* What the event tells that no later read would. */
static void remember(struct record *record, const struct event *event, const struct facts *facts,
                     const struct snapshot *view)
{
    int64_t at = event->pr.updated_at;
    if (is_new_opening(record, event))
        record->opening_owed = true;
    record->opened |= event->action == EVENT_OPENED;
    if (event->action == EVENT_READY_FOR_REVIEW)
        record->ready_at = later_of(record->ready_at, at);
    if (event->action == EVENT_REOPENED)
        record->reopened_at = later_of(record->reopened_at, at);
    if (event->action == EVENT_CONVERTED_TO_DRAFT)
        record->drafted_at = later_of(record->drafted_at, at);
    if (is_gate_labeled(event) && event->pr.draft)
        record->draft_label_at = later_of(record->draft_label_at, at);
    if (may_tell_of_removal(record, event, view) && facts->sender_is_prgate)
        record->unlabelled_at = later_of(record->unlabelled_at, at);
    if (decide_knows(facts, FACT_READ))
        record->read_ms = facts->read_ms;
    if (event->installation != 0)
        record->installation = event->installation;
    record->view = *view;
}

/* The opener brings the first commit; nothing else tells of that one. */
static void note_pusher(struct record *record, const struct event *event, const struct facts *facts,
                        int64_t now_ms)
{
    enum fact fact = event->action == EVENT_OPENED ? FACT_AUTHOR : FACT_PUSHER;
    if (!tells_pusher(record, event, &record->view) || !decide_knows(facts, fact) || !facts->author_trusted)
        return;
    struct head *head = record_add_head(record, &record->view.head, now_ms);
    head->pusher = fact == FACT_AUTHOR || facts->pusher_trusted ? PUSHER_TRUSTED : PUSHER_UNTRUSTED;
    head->pushed_by = event->sender;
}

/* Judges a gate label set by somebody else than prgate. RULE_LATER: there is nothing to say about it. */
static enum rule judge_label(struct record *record, struct head *head, const struct event *event,
                             const struct facts *facts, int64_t now_ms)
{
    if (!is_gate_labeled(event) || head_is_triggered(head))
        return RULE_LATER;
    if (!decide_is_about_head(event, &record->view)) {
        const struct head *meant = record_find_head(record, &event->pr.head);
        if (meant != NULL && (meant->approved || head_is_triggered(meant)))
            return RULE_LATER; /* it did its work when that commit was the head */
        head->stale_approval = true;
        return RULE_STALE_APPROVAL;
    }
    if (!decide_label_stands(record, &record->view))
        return RULE_WITHDRAWN;
    if (facts->sender_is_prgate) {
        head->own_label = true;
        return RULE_LATER;
    }
    return decide_label(record, head, event, facts, now_ms);
}

/* What the event says of an approval, or lets be known of one that waited. */
static enum rule judge_approval(struct record *record, struct head *head, const struct event *event,
                                const struct facts *facts, int64_t now_ms)
{
    enum rule rule = judge_label(record, head, event, facts, now_ms);
    if (is_named_yes(event)) {
        rule = decide_approve(record, head, event, facts, is_button(event) ? MEANS_BUTTON : MEANS_OPERATOR,
                              now_ms);
        if (rule == RULE_NOT_APPROVER)
            rule = RULE_BUTTON_REFUSED;
    }
    return rule == RULE_LATER && !head_is_triggered(head) ? decide_waiting_label(record, head, facts, now_ms)
                                                          : rule;
}

/*
 * The label lets a trusted author's commits through that somebody trusted pushed. As long as nobody has told
 * who pushed, nothing is covered: the push itself, when it is heard of, tells and covers. On a draft only if it was set
 * since it became one: converting to a draft puts later commits back to waiting.
 * A push may come before the label that was set on that draft for an earlier commit.
 */
static bool covering_label_stands(const struct record *record, const struct snapshot *view)
{
    const struct head *head = record_find_head(record, &view->head);
    /* What prgate took off was not what had covered anything. */
    bool was_refused = head != NULL && (head->refused_approval || head->too_soon);
    return view->labelled || (!was_refused && decide_label_stands(record, view));
}

static bool label_covers_push(const struct record *record, const struct event *event,
                              const struct facts *facts)
{
    const struct snapshot *view = &record->view;
    bool pushed = event->action == EVENT_SYNCHRONIZE ||
                  (is_gate_labeled(event) && facts->sender_is_prgate); /* a push overtook our own label */
    bool overtook = is_gate_labeled(event) && event->pr.draft && view->draft;
    /* Within one second: the payload says that it was a draft when the label was set, so the label came last. */
    bool set_on_draft = record->draft_label_at > 0 && record->draft_label_at >= record->drafted_at;
    return (decide_is_about_head(event, view) ? pushed : overtook) && facts->author_trusted &&
           pushed_by_trusted(record) && covering_label_stands(record, view) && (!view->draft || set_on_draft);
}

/* After the receiver has said no for good, somebody has to ask again: prgate's own echo and mere edits do not. */
static bool asks_again(const struct record *record, const struct event *event, enum rule judged)
{
    return judged == RULE_APPROVED || record->opening_owed || is_push_of_head(event, &record->view);
}

/* Why CI may run on this head, or RULE_LATER: it may not. */
static enum rule find_grant(struct record *record, struct head *head, const struct event *event,
                            const struct facts *facts, enum rule judged)
{
    if (head->ci == CI_REFUSED && !asks_again(record, event, judged))
        return RULE_LATER;
    /* What is owed or covered must not depend on whether an approval or an opening came before or after. */
    if (record->view.draft || (decide_knows(facts, FACT_AUTHOR) && !facts->author_trusted) ||
        head->pusher == PUSHER_UNTRUSTED)
        record->opening_owed = false;
    if (label_covers_push(record, event, facts))
        head->label_granted = true;
    if (head->approved && decide_label_stands(record, &record->view))
        return RULE_APPROVED;
    record->opening_owed = record->opening_owed && facts->author_trusted;
    /* Else it stays owed until the push that is not heard of yet tells whose the head is. */
    if (record->opening_owed && head->pusher == PUSHER_TRUSTED)
        return RULE_OPENED;
    if (head->label_granted && decide_label_stands(record, &record->view))
        return RULE_PUSHED;
    return RULE_LATER;
}

void decide_await(struct head *head, enum wait_reason reason, struct decision *out)
{
    if (head->check == CHECK_AWAITING && head->check_reason == reason)
        return;
    head->check = CHECK_AWAITING;
    head->check_reason = reason;
    decide_add_intent(out, INTENT_CHECK_AWAITING, &head->sha);
    out->intents[out->intent_count - 1].reason = reason;
}

void decide_complete_check(struct head *head, struct decision *out)
{
    decide_add_intent(out, INTENT_CHECK_DONE, &head->sha);
    head->check = CHECK_DONE;
    head->check_reason = WAIT_NOTHING;
}

/*
 * No more CI. What allows it is remembered all the same: it may be of before the closing and have come late,
 * and counts for this commit should the pull request be reopened with the label on. But for the operator's yes, which
 * says at once what came of it.
 */
static void decide_closed(struct record *record, const struct event *event, const struct facts *facts,
                          int64_t now_ms, struct decision *out)
{
    if (may_approve_head(record, event, &record->view))
        judge_label(record, record_add_head(record, &record->view.head, now_ms), event, facts, now_ms);
    if (may_cover_draft(event, &record->view) && label_covers_push(record, event, facts))
        record_add_head(record, &record->view.head, now_ms)->label_granted = true;
    if (is_button(event) && decide_is_about_head(event, &record->view))
        decide_approve(record, record_add_head(record, &record->view.head, now_ms), event, facts,
                       MEANS_BUTTON, now_ms);
    out->rule = RULE_CLOSED;
    out->drop_intents = true;
    record->opening_owed = false;
    /* What policies wanted may be among the dropped: should it reopen, look again. No comment is made twice. What
     * somebody may have undone is not done again. */
    record->policies_done &= ~(uint32_t)(POLICY_TESTS_TOLD | POLICY_EMERGENCY_TOLD);
    for (size_t i = 0; i < record->head_count; i++) {
        struct head *head = &record->heads[i];
        /* A trigger that was never sent is undone; one that was may have arrived. */
        if (head->ci == CI_DECIDED)
            head_set_ci(head, head->ci_before, now_ms);
        if (head->ci == CI_SENT)
            head_set_ci(head, CI_UNKNOWN, now_ms);
        if (head->queued)
            continue; /* its group is void; another one has another commit */
        /* The write of this check may be among the dropped: should it reopen, look again. */
        head->check = CHECK_NONE;
        head->check_reason = WAIT_NOTHING;
        head->policies_done = 0;
    }
}

static void decide_again(struct record *record, struct head *head, const struct facts *facts,
                         struct decision *out)
{
    out->rule = RULE_ALREADY;
    if (record->opening_owed && facts->author_trusted && !record->view.draft && !record->view.labelled)
        decide_add_label(record, head, out);
    record->opening_owed = false;
    if (head->check != CHECK_DONE)
        decide_complete_check(head, out);
}

/* A read that lags may still show the label that prgate has taken off; not once GitHub has told that it is off. */
static bool label_is_on(const struct record *record, const struct head *head)
{
    const struct snapshot *view = &record->view;
    bool set_anew = record->unlabelled_at != 0 && view->updated_at > record->unlabelled_at;
    return view->labelled && (set_anew || !sha_equal(&record->label_removed, &head->sha));
}

void decide_start(struct record *record, struct head *head, int64_t now_ms, struct decision *out)
{
    decide_add_intent(out, INTENT_TRIGGER, &head->sha);
    if (!label_is_on(record, head))
        decide_add_label(record, head, out);
    decide_complete_check(head, out);
    head->ci_before = CI_NONE;
    head->budget_until_ms = 0;
    head_set_ci(head, CI_DECIDED, now_ms);
    record->opening_owed = false;
}

void decide_start_again(struct head *head, const struct event *event, int64_t now_ms, struct decision *out)
{
    if (head->reruns + 1 < event->attempt) /* what was known of it is lost: no key is to be used twice */
        head->reruns = event->attempt - 1;
    head->reruns++;
    head->rerun_by = event->sender;
    head->rerun_refused = head->rerun_failed = false;
    head->budget_until_ms = 0;
    head->ci_before = head->ci;
    head_set_ci(head, CI_DECIDED, now_ms);
    decide_add_intent(out, INTENT_TRIGGER, &head->sha);
    decide_complete_check(head, out);
}

/* The check has the button: what came of it is to be read there. */
static void decide_rerun(struct record *record, const struct event *event, const struct facts *facts,
                         int64_t now_ms, struct decision *out)
{
    struct head *head = record_find_head(record, &record->view.head);
    out->rule = judge_rerun(record, event, &record->view);
    if (out->rule != RULE_RERUN)
        return;
    if (decide_may_approve(event, facts)) {
        if (facts->budget_until_ms != 0)
            decide_rerun_budget(head, facts, out);
        else
            decide_start_again(head, event, now_ms, out);
        return;
    }
    out->rule = RULE_RERUN_REFUSED;
    if (!head->rerun_refused)
        decide_complete_check(head, out);
    head->rerun_refused = true;
}

static void decide_conflict(struct record *record, struct head *head, const struct facts *facts,
                            struct decision *out)
{
    out->rule = RULE_CONFLICT;
    bool wanted = facts->policy == NULL || facts->policy->conflict_comment;
    if (wanted && !record->conflict_commented)
        decide_add_intent(out, INTENT_COMMENT_CONFLICT, &head->sha);
    record->conflict_commented |= wanted;
    decide_await(head, WAIT_CONFLICT, out);
}

/* Whoever takes the label off from here on takes the approval back. */
static void show_approval(struct record *record, const struct head *head, enum rule grant,
                          struct decision *out)
{
    bool shown = record->view.labelled || grant != RULE_APPROVED || head->means == MEANS_LABEL;
    if (shown || head->means == MEANS_NONE)
        return;
    decide_add_label(record, head, out);
    record->label_removed = (struct sha){0};
}

static enum rule rule_of_wait(enum wait_reason reason)
{
    switch (reason) {
    case WAIT_NOTHING:
    case WAIT_NO_LABEL:
    case WAIT_REASON_END:
        return RULE_WAIT_NO_LABEL;
    case WAIT_TRIGGER_FAILED:
        return RULE_TRIGGER_REFUSED;
    case WAIT_CONFLICT:
        return RULE_CONFLICT;
    case WAIT_STALE_APPROVAL:
        return RULE_STALE_APPROVAL;
    case WAIT_NOT_APPROVER:
        return RULE_NOT_APPROVER;
    case WAIT_UNTRUSTED:
        return RULE_WAIT_UNTRUSTED;
    case WAIT_DRAFT:
        return RULE_WAIT_DRAFT;
    case WAIT_PUSHER:
    case WAIT_PUSHER_UNKNOWN:
        return RULE_WAIT_PUSHER;
    case WAIT_TOO_SOON:
        return RULE_TOO_SOON;
    case WAIT_BUDGET:
        return RULE_WAIT_BUDGET;
    }
    return RULE_WAIT_NO_LABEL;
}

/* A function of state alone, not of the event at hand, so that the last word is the same in any order. */
static enum wait_reason why_waiting(const struct record *record, const struct head *head,
                                    const struct facts *facts)
{
    if (head->ci == CI_REFUSED)
        return WAIT_TRIGGER_FAILED;
    if (head->stale_approval)
        return WAIT_STALE_APPROVAL;
    if (head->refused_approval)
        return WAIT_NOT_APPROVER;
    if (head->too_soon || (head->label_at != 0 && decide_label_stands(record, &record->view)))
        return WAIT_TOO_SOON;
    if (!facts->author_trusted)
        return WAIT_UNTRUSTED;
    if (head->pusher == PUSHER_UNTRUSTED)
        return WAIT_PUSHER;
    if (record->view.draft)
        return WAIT_DRAFT;
    return head->pusher == PUSHER_TRUSTED ? WAIT_NO_LABEL : WAIT_PUSHER_UNKNOWN;
}

/*
 * Only a label from before an untrusted push goes: one that was set since was meant for this commit. A push that was
 * heard of while the pull request was closed has left the label on: reopening makes up for it. prgate's own label,
 * set for the commit before, may come to GitHub after the push, and be heard of before it or after.
 */
static bool is_left_over(const struct record *record, const struct head *head, const struct event *event,
                         const struct facts *facts)
{
    if (!decide_is_about_head(event, &record->view))
        return false;
    bool pushed = event->action == EVENT_SYNCHRONIZE;
    bool stranger = !facts->author_trusted || head->pusher == PUSHER_UNTRUSTED ||
                    (pushed && head->pusher == PUSHER_UNKNOWN);
    if (event->pr.labelled && (pushed || event->action == EVENT_REOPENED))
        return stranger;
    return head->pusher == PUSHER_UNTRUSTED && head->own_label && record->view.labelled;
}

/* One that counts for nothing has been taken off with the same event. */
static bool removes_label(const struct decision *out)
{
    for (unsigned i = 0; i < out->intent_count; i++)
        if (out->intents[i].kind == INTENT_REMOVE_LABEL)
            return true;
    return false;
}

static void decide_wait(struct record *record, struct head *head, const struct event *event,
                        const struct facts *facts, struct decision *out)
{
    if (is_left_over(record, head, event, facts) && !removes_label(out))
        decide_remove_label(record, head, out);
    enum wait_reason reason = why_waiting(record, head, facts);
    if (out->rule == RULE_LATER)
        out->rule = rule_of_wait(reason);
    decide_await(head, reason, out);
}

void decide_follow(struct record *record, struct head *head, const struct event *event,
                   const struct facts *facts, int64_t now_ms, struct decision *out)
{
    enum rule grant = find_grant(record, head, event, facts, out->rule);
    if (grant == RULE_LATER) {
        decide_wait(record, head, event, facts, out);
        return;
    }
    out->rule = grant;
    enum mergeable mergeable = record->view.mergeable;
    bool in_conflict =
        mergeable == MERGEABLE_NO || (head->check_reason == WAIT_CONFLICT && mergeable == MERGEABLE_UNKNOWN);
    if (in_conflict || facts->budget_until_ms != 0)
        show_approval(record, head, grant, out);
    if (in_conflict)
        decide_conflict(record, head, facts, out);
    else if (facts->budget_until_ms != 0)
        decide_budget(head, facts, out);
    else
        decide_start(record, head, now_ms, out);
}

/* What can start CI does not take "not known yet" for a conflict that is still there. */
static bool asks_for_mergeable(const struct event *event)
{
    return event->action == EVENT_COMMAND ? event->command == COMMAND_APPROVE : !is_rerun(event);
}

/* Waiting for a conflict to go away, and GitHub has not worked out whether it has. */
static bool is_mergeable_open(const struct record *record, const struct event *event,
                              const struct snapshot *view, int64_t now_ms)
{
    const struct head *head = record_find_head(record, &view->head);
    return head != NULL && !head_is_triggered(head) && head->check_reason == WAIT_CONFLICT && !view->closed &&
           view->mergeable == MERGEABLE_UNKNOWN && now_ms < event->received_ms + MERGEABLE_WAIT_MS;
}

/* What the record shows is up to date: what comes of it. */
static void decide_open(struct record *record, const struct event *event, const struct facts *facts,
                        int64_t now_ms, struct decision *out)
{
    const struct snapshot *view = &record->view;
    if (is_named_yes(event) && !decide_is_about_head(event, view)) {
        out->rule = is_button(event) ? RULE_BUTTON_OLD : RULE_OPERATOR_OLD;
        return;
    }
    struct head *head = record_add_head(record, &view->head, now_ms);
    out->rule = judge_approval(record, head, event, facts, now_ms);
    if (head_is_triggered(head)) {
        decide_again(record, head, facts, out);
        return;
    }
    decide_refuse(record, head, event, out->rule, out);
    decide_follow(record, head, event, facts, now_ms, out);
    if (out->rule == RULE_APPROVED && event->action == EVENT_OPERATOR_APPROVE)
        out->rule = RULE_OPERATOR;
}

static void decide_gate(struct record *record, const struct event *event, const struct facts *facts,
                        int64_t now_ms, struct decision *out)
{
    *out = (struct decision){.rule = RULE_LATER};
    struct snapshot view;
    if (!decide_view(record, event, facts, now_ms, &view)) {
        out->later_ms = later_of(event->received_ms + SETTLE_MS, now_ms + CATCH_UP_POLL_MS);
        return;
    }
    if (asks_for_mergeable(event) && is_mergeable_open(record, event, &view, now_ms)) {
        out->later_ms = now_ms + MERGEABLE_POLL_MS;
        return;
    }
    decide_note_coming(record, event, &view, now_ms);
    remember(record, event, facts, &view);
    note_pusher(record, event, facts, now_ms);
    if (view.closed)
        decide_closed(record, event, facts, now_ms, out);
    if (event->action == EVENT_COMMAND)
        decide_command(record, event, facts, now_ms, out);
    else if (is_rerun(event) && !view.closed)
        decide_rerun(record, event, facts, now_ms, out);
    else if (!view.closed)
        decide_open(record, event, facts, now_ms, out);
    decide_end_budget_waits(record);
}

/* What follows from the judgement comes behind its intents: nothing of it may hold up the start of CI. */
static void decide_beside(struct record *record, const struct event *event, const struct facts *facts,
                          int64_t now_ms, struct decision *out)
{
    decide_dequeued(record, event, facts, out);
    decide_release(record, facts, out);
    decide_cancel_superseded(record, facts, now_ms, out);
    decide_policies(record, event, facts, now_ms, out);
}

static void decide_shown(struct record *record, const struct event *event, const struct facts *facts,
                         int64_t now_ms, struct decision *out)
{
    struct snapshot view;
    if (decide_is_queue(event)) {
        *out = (struct decision){.rule = RULE_QUEUED};
        decide_queue(record, event, facts, now_ms, out);
        return;
    }
    *out = (struct decision){.rule = RULE_LATER, .later_ms = now_ms};
    /* Since the facts were learnt it may have become clear what GitHub shows, and the policies need others now. */
    if (decide_view(record, event, facts, now_ms, &view) &&
        decide_policy_needs(record, event, facts, &view) != 0)
        return;
    decide_gate(record, event, facts, now_ms, out);
    if (out->rule != RULE_LATER)
        decide_beside(record, event, facts, now_ms, out);
}

void decide(struct record *record, const struct event *event, const struct facts *facts, int64_t now_ms,
            struct decision *out)
{
    if (decide_has_shadow(record, event, facts)) {
        struct event shown = *event;
        struct facts known = *facts;
        decide_shadow(record, &shown, &known);
        decide_shown(record, &shown, &known, now_ms, out);
        return;
    }
    decide_shown(record, event, facts, now_ms, out);
    if (record->shadow_label != SHADOW_NONE && out->rule != RULE_LATER)
        decide_end_shadow(record);
}
