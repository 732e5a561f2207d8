/*
 * What the files of decide share: pure, like all of it, and for them alone.
 *
 * Each changes the record the way it will be once the intents are performed, since the next delivery may
 * be decided without another read.
 */
#ifndef PRGATE_DECIDE_INTERNAL_H
#define PRGATE_DECIDE_INTERNAL_H

#include "prgate/decide.h"

bool decide_knows(const struct facts *facts, enum fact fact);

/* Is the commit that the event tells of the one that GitHub shows as the head now? */
bool decide_is_about_head(const struct event *event, const struct snapshot *view);

/* The last of out->intents is then the one that was added. */
void decide_add_intent(struct decision *out, enum intent_kind kind, const struct sha *sha);

/* May the event's sender approve, and ask for re-runs? The operator may; of others FACT_SENDER tells. */
bool decide_may_approve(const struct event *event, const struct facts *facts);

/* The label is on the pull request, or would be had prgate not taken it off itself. */
bool decide_label_stands(const struct record *record, const struct snapshot *view);

void decide_add_label(struct record *record, const struct head *head, struct decision *out);
void decide_remove_label(struct record *record, const struct head *head, struct decision *out);

/*
 * The event's sender says yes to `head`, which GitHub shows as the head now, by `means`; decide_may_approve() is known.
 * Whatever the means, this is the one place where an approval is noted. RULE_APPROVED: noted, with the permission that
 * the sender has now; find what follows in decide(): CI, or a conflict. RULE_ALREADY: CI was triggered, and
 * nothing changes. RULE_NOT_APPROVER: the sender may not, which the check is to say; the rest, a comment, is the caller's.
 * By other means than the label, the label is owed from here on: it is added with CI, or while a conflict is waited for.
 */
enum rule decide_approve(struct record *record, struct head *head, const struct event *event,
                         const struct facts *facts, enum approval_means means, int64_t now_ms);

/*
 * What the record is to know before the event is judged: when the commit that is the head now came. `view` is the
 * newest, and record->view the one before.
 */
void decide_note_coming(struct record *record, const struct event *event, const struct snapshot *view,
                        int64_t now_ms);

/* Did a label set at that second of GitHub's come late enough for somebody to have looked at the commit? */
bool decide_is_settled(const struct head *head, int64_t label_at, const struct facts *facts);

/* The gate label was set for the head, and stands, by somebody else than prgate. */
enum rule decide_label(struct record *record, struct head *head, const struct event *event,
                       const struct facts *facts, int64_t now_ms);

/* A label that waited for the push: RULE_LATER, it still does, or there is none. */
enum rule decide_waiting_label(struct record *record, struct head *head, const struct facts *facts,
                               int64_t now_ms);

/* What a label or a button that approves nothing leads to, besides the check's text. */
void decide_refuse(struct record *record, struct head *head, const struct event *event, enum rule rule,
                   struct decision *out);

/* A comment of that kind, about the event's sender. */
void decide_comment(struct decision *out, enum message message, const struct head *head,
                    const struct user *person);

/* The check waits, and says for what; nothing where it says so already. */
void decide_await(struct head *head, enum wait_reason reason, struct decision *out);
void decide_complete_check(struct head *head, struct decision *out);

/* CI is due, and the budget is used up: it waits for its turn, and what is owed stays owed. */
void decide_budget(struct head *head, const struct facts *facts, struct decision *out);

/* The same of a re-run, which is not remembered: the check says when to ask again. */
void decide_rerun_budget(struct head *head, const struct facts *facts, struct decision *out);

/* Last of all: only the head, and only while it waits for a budget, has been told when its turn is. */
void decide_end_budget_waits(struct record *record);
/* What GitHub shows now, as decide() sees it; false: not to be told yet. */
bool decide_view(const struct record *record, const struct event *event, const struct facts *facts,
                 int64_t now_ms, struct snapshot *view);

/*
 * A dry run (decide_shadow.c): would the gate label be another than GitHub shows? Then decide_shadow() makes event and
 * facts, copies, show it as it would be; else whatever the record says of it is over.
 */
bool decide_has_shadow(const struct record *record, const struct event *event, const struct facts *facts);
void decide_shadow(const struct record *record, struct event *event, struct facts *facts);
void decide_end_shadow(struct record *record);

/* The policies beside the gate (decide_policy.c): what they need to know, and, once the gate has decided, what they do. */
enum fact decide_policy_needs(const struct record *record, const struct event *event,
                              const struct facts *facts, const struct snapshot *view);
void decide_policies(struct record *record, const struct event *event, const struct facts *facts,
                     int64_t now_ms, struct decision *out);

/*
 * Of a commit that GitHub shows as the head: RULE_RERUN: CI may be started once more, which is for the sender's
 * permission to decide; RULE_RERUN_SAME: what is asked for is what was done, or is being done; RULE_RERUN_EARLY.
 */
enum rule decide_judge_again(const struct head *head, const struct event *event);
void decide_start_again(struct head *head, const struct event *event, int64_t now_ms, struct decision *out);

/* An open pull request's head was judged, out->rule says how: CI, or why it waits. */
void decide_follow(struct record *record, struct head *head, const struct event *event,
                   const struct facts *facts, int64_t now_ms, struct decision *out);

/* EVENT_COMMAND (decide_command.c): what is to be learnt for it, and what comes of it. */
enum fact decide_command_needs(const struct record *record, const struct event *event,
                               const struct facts *facts);
void decide_command(struct record *record, const struct event *event, const struct facts *facts,
                    int64_t now_ms, struct decision *out);

/* Does the command ask how the pull request looks on GitHub now? */
bool decide_command_reads(const struct event *event);

/* CI for the first time: trigger, label, check. */
void decide_start(struct record *record, struct head *head, int64_t now_ms, struct decision *out);

/*
 * Cancels what was started last for that commit (decide_cancel.c). False: nothing was, or it is cancelled already. A
 * re-run since can be cancelled anew. The check stays done; that of the present head is written anew to say so.
 */
bool decide_cancel(struct record *record, struct head *head, struct decision *out);

/* Cancels, where the repository wants it, what runs for commits that have been pushed over, or for a closed pull request. */
void decide_cancel_superseded(struct record *record, const struct facts *facts, int64_t now_ms,
                              struct decision *out);

/*
 * Where somebody's approval starts CI, the repository's runs that wait for a first-time contributor's approval are
 * released with it, if it wants that. Not for trusted authors: nobody has looked at their commit.
 */
void decide_release(const struct record *record, const struct facts *facts, struct decision *out);

/* A merge queue's group (decide_queue.c): the event tells of its commit, and shows no pull request. */
bool decide_is_queue(const struct event *event);
void decide_queue(struct record *record, const struct event *event, const struct facts *facts, int64_t now_ms,
                  struct decision *out);

/* The pull request has left the queue: the label that put it there comes off, once each time. */
void decide_dequeued(struct record *record, const struct event *event, const struct facts *facts,
                     struct decision *out);

#endif
