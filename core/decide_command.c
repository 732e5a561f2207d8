/*
 * The rules of commands in comments.
 *
 * Each comment is decided about once, whatever its delivery's id is and however often it is told of: the record keeps the
 * newest ids. So the order in which two of them arrive does not matter: an approval and a cancelling name what they are
 * about or mean the head that GitHub shows, and of two that ask for a re-run at the same time whichever comes second
 * finds it under way. A command is answered by a reaction, and where it was not obeyed by one comment.
 */
#include <string.h>

#include "decide_internal.h"

/*
 * Anybody at all can ask for help, or for what they may not have. So many comments of prgate's come of that in one pull
 * request; then there are only reactions.
 */
enum { EXPLAINED_MAX = 20 };

/* Starts or ends something: by somebody who may approve. */
static bool needs_permission(const struct event *event)
{
    return event->command == COMMAND_APPROVE || event->command == COMMAND_RERUN ||
           event->command == COMMAND_CANCEL;
}

bool decide_command_reads(const struct event *event)
{
    return needs_permission(event) || event->command == COMMAND_STATUS;
}

static bool may(const struct facts *facts)
{
    return decide_knows(facts, FACT_SENDER) && facts->sender_may_approve;
}

enum fact decide_command_needs(const struct record *record, const struct event *event,
                               const struct facts *facts)
{
    if (record_has_comment(record, event->comment))
        return (enum fact)0;
    if (!decide_knows(facts, FACT_IDENTITY))
        return FACT_IDENTITY;
    bool asks = needs_permission(event) && !facts->sender_is_prgate && !decide_knows(facts, FACT_SENDER);
    return asks ? FACT_SENDER : (enum fact)0;
}

/* ---- answers ---- */

static struct intent *add_answer(const struct record *record, const struct event *event,
                                 enum intent_kind kind, struct decision *out)
{
    decide_add_intent(out, kind, &record->view.head);
    struct intent *intent = &out->intents[out->intent_count - 1];
    intent->target = event->comment;
    intent->person = event->sender;
    return intent;
}

static void react(const struct record *record, const struct event *event, enum reaction reaction,
                  struct decision *out)
{
    add_answer(record, event, INTENT_REACT, out)->reaction = reaction;
}

static void comment(const struct record *record, const struct event *event, enum message message,
                    struct decision *out)
{
    add_answer(record, event, INTENT_COMMENT, out)->message = message;
}

static void explain(struct record *record, const struct event *event, const struct facts *facts,
                    enum message message, struct decision *out)
{
    if (!may(facts) && record->explained >= EXPLAINED_MAX)
        return;
    record->explained += may(facts) ? 0 : 1;
    comment(record, event, message, out);
}

static void refuse(struct record *record, const struct event *event, const struct facts *facts,
                   enum message message, struct decision *out)
{
    if (out->rule != RULE_CLOSED)
        out->rule = RULE_COMMAND_REFUSED;
    react(record, event, REACTION_REFUSED, out);
    explain(record, event, facts, message, out);
}

/* ---- which commit ---- */

/*
 * MESSAGE_NONE: the head that GitHub shows, or another commit of this pull request, *head; NULL where nothing is known of
 * the head yet. Two commits can be made to begin alike: where both are known, neither is meant.
 */
static enum message find_named(const struct record *record, const struct event *event, struct head **head)
{
    const char *prefix = event->sha_prefix;
    const struct sha *shown = &record->view.head;
    size_t len = strlen(prefix);
    bool several = false;
    *head = record_find_head(record, shown);
    if (len == 0)
        return MESSAGE_NONE;
    if (len < COMMAND_SHA_MIN)
        return MESSAGE_COMMAND_SHORT_SHA;
    struct head *found = record_find_prefix(record, prefix, &several);
    bool is_shown = strncmp(shown->hex, prefix, len) == 0;
    if (several || (is_shown && found != NULL && !sha_equal(&found->sha, shown)))
        return MESSAGE_COMMAND_AMBIGUOUS;
    if (is_shown)
        return MESSAGE_NONE;
    *head = found;
    return found == NULL ? MESSAGE_COMMAND_WRONG_SHA : MESSAGE_NONE;
}

/* What is only for the head. */
static enum message find_head(const struct record *record, const struct event *event, struct head **head)
{
    enum message wrong = find_named(record, event, head);
    bool is_old = wrong == MESSAGE_NONE && *head != NULL && !sha_equal(&(*head)->sha, &record->view.head);
    return is_old ? MESSAGE_COMMAND_OLD_SHA : wrong;
}

/* ---- the commands ---- */

static void approve(struct record *record, const struct event *event, const struct facts *facts,
                    int64_t now_ms, struct decision *out)
{
    struct head *head;
    enum message wrong =
        event->sha_prefix[0] == '\0' ? MESSAGE_COMMAND_NO_SHA : find_head(record, event, &head);
    if (wrong != MESSAGE_NONE) {
        refuse(record, event, facts, wrong, out);
        return;
    }
    head = record_add_head(record, &record->view.head, now_ms);
    out->rule = decide_approve(record, head, event, facts, MEANS_COMMAND, now_ms);
    if (out->rule == RULE_APPROVED)
        decide_follow(record, head, event, facts, now_ms, out);
    react(record, event, REACTION_TAKEN, out);
}

static void rerun(struct record *record, const struct event *event, const struct facts *facts, int64_t now_ms,
                  struct decision *out)
{
    struct head *head;
    enum message wrong = find_head(record, event, &head);
    out->rule = decide_judge_again(head, event);
    if (wrong == MESSAGE_NONE && out->rule == RULE_RERUN_EARLY)
        wrong = MESSAGE_COMMAND_EARLY;
    if (wrong != MESSAGE_NONE) {
        refuse(record, event, facts, wrong, out);
        return;
    }
    if (out->rule == RULE_RERUN && facts->budget_until_ms != 0) {
        decide_rerun_budget(head, facts, out);
        react(record, event, REACTION_REFUSED, out);
        explain(record, event, facts, MESSAGE_COMMAND_BUDGET, out);
        return;
    }
    if (out->rule == RULE_RERUN)
        decide_start_again(head, event, now_ms, out);
    react(record, event, REACTION_TAKEN, out);
}

/* Of a closed pull request, too: it may run on. */
static void cancel(struct record *record, const struct event *event, const struct facts *facts,
                   struct decision *out)
{
    struct head *head;
    enum message wrong = find_named(record, event, &head);
    if (wrong == MESSAGE_NONE && (head == NULL || !decide_cancel(record, head, out)))
        wrong = MESSAGE_COMMAND_NOTHING;
    if (wrong != MESSAGE_NONE) {
        refuse(record, event, facts, wrong, out);
        return;
    }
    out->rule = RULE_CANCELLED;
    react(record, event, REACTION_TAKEN, out);
}

/* As the pull request is now: whoever asks for the same state finds the answer that is there. */
static void tell_status(const struct record *record, const struct event *event, struct decision *out)
{
    const struct head *head = record_find_head(record, &record->view.head);
    react(record, event, REACTION_TAKEN, out);
    struct intent *intent = add_answer(record, event, INTENT_COMMENT, out);
    intent->message = MESSAGE_STATUS;
    intent->attempt = record->view.closed ? 0 : head_attempt(head);
    intent->reason = head == NULL ? WAIT_NOTHING : head->check_reason;
}

static void obey(struct record *record, const struct event *event, const struct facts *facts, int64_t now_ms,
                 struct decision *out)
{
    if (!may(facts))
        refuse(record, event, facts, MESSAGE_COMMAND_REFUSED, out);
    else if (event->command == COMMAND_CANCEL)
        cancel(record, event, facts, out);
    else if (record->view.closed)
        refuse(record, event, facts, MESSAGE_COMMAND_CLOSED, out);
    else if (event->command == COMMAND_APPROVE)
        approve(record, event, facts, now_ms, out);
    else
        rerun(record, event, facts, now_ms, out);
}

static void answer(struct record *record, const struct event *event, const struct facts *facts,
                   struct decision *out)
{
    bool closed = out->rule == RULE_CLOSED;
    bool unknown = event->command == COMMAND_UNKNOWN || event->command == COMMAND_SEVERAL;
    if (!closed)
        out->rule = unknown ? RULE_COMMAND_UNKNOWN : RULE_COMMAND;
    if (event->command == COMMAND_STATUS) {
        tell_status(record, event, out);
        return;
    }
    react(record, event, unknown ? REACTION_CONFUSED : REACTION_TAKEN, out);
    explain(record, event, facts,
            event->command == COMMAND_HELP      ? MESSAGE_HELP
            : event->command == COMMAND_SEVERAL ? MESSAGE_COMMAND_SEVERAL
                                                : MESSAGE_COMMAND_UNKNOWN,
            out);
}

void decide_command(struct record *record, const struct event *event, const struct facts *facts,
                    int64_t now_ms, struct decision *out)
{
    if (record_has_comment(record, event->comment)) {
        out->rule = RULE_COMMAND_SEEN;
        return;
    }
    if (decide_knows(facts, FACT_IDENTITY) && facts->sender_is_prgate) {
        out->rule = RULE_COMMAND_OWN;
        return;
    }
    record_add_comment(record, event->comment);
    if (needs_permission(event))
        obey(record, event, facts, now_ms, out);
    else
        answer(record, event, facts, out);
}
