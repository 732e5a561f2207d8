#include "prgate/wording.h"

#include <inttypes.h>
#include <stdbool.h>

#include "prgate/text.h"

/* "2026-11-24 17:30 UTC": the first whole minute that is not before it. */
static void add_time(struct buf *out, int64_t ms)
{
    char time[TEXT_TIME_SIZE];
    text_from_time((ms + 59999) / 60000 * 60, time);
    buf_addf(out, "%.10s %.5s UTC", time, time + 11);
}

static const char *title_of_wait(enum wait_reason reason)
{
    switch (reason) {
    case WAIT_CONFLICT:
        return "Approved, waiting: the branch has conflicts";
    case WAIT_STALE_APPROVAL:
        return "Waiting: the label was set for an older commit";
    case WAIT_NOT_APPROVER:
        return "Waiting: somebody who may not approve has tried to";
    case WAIT_UNTRUSTED:
        return "Waiting for a maintainer's approval";
    case WAIT_DRAFT:
        return "Waiting: this is a draft";
    case WAIT_TRIGGER_FAILED:
        return "CI could not be started";
    case WAIT_PUSHER:
        return "Waiting for the label: who pushed is not trusted";
    case WAIT_PUSHER_UNKNOWN:
        return "Waiting for the label: who pushed is not known";
    case WAIT_TOO_SOON:
        return "Waiting: the label was set before anybody could have looked";
    case WAIT_BUDGET:
        return "Waiting: CI was started too often within an hour";
    case WAIT_NOTHING:
    case WAIT_NO_LABEL:
    case WAIT_REASON_END:
        break;
    }
    return "Waiting for the label";
}

/* Around the permission that it takes, and around the label; without the latter two nobody need do anything there. */
static const struct next_step {
    const char *before, *between, *after;
} next_steps[WAIT_REASON_END] = {
    [WAIT_NOTHING] = {"CI starts when somebody with at least *", "* permission sets the label **", "**."},
    [WAIT_NO_LABEL] = {"CI starts when somebody with at least *", "* permission sets the label **", "**."},
    [WAIT_UNTRUSTED] = {"CI starts when somebody with at least *", "* permission sets the label **", "**."},
    [WAIT_CONFLICT] = {"CI starts by itself once the conflicts with the base branch are resolved.", NULL,
                       NULL},
    [WAIT_STALE_APPROVAL] =
        {"The label was set while another commit was the head, and an approval counts for the "
         "commit that was seen. CI starts when somebody with at least *",
         "* permission has looked at the present one, takes the label **", "** off and sets it again."},
    [WAIT_NOT_APPROVER] = {"That approves nothing. CI starts when somebody with at least *",
                           "* permission sets the label **", "**."},
    [WAIT_DRAFT] = {"CI starts when the pull request is marked as ready for review, or when somebody with at "
                    "least *",
                    "* permission sets the label **", "**."},
    [WAIT_TRIGGER_FAILED] =
        {"The CI system refused to start. Once that is mended, CI starts when somebody with "
         "at least *",
         "* permission sets the label **", "** again."},
    [WAIT_PUSHER] =
        {"The author is trusted, but a commit that somebody else pushed needs an approval: CI starts "
         "when somebody with at least *",
         "* permission looks at it and sets the label **", "**, having taken it off first if it is there."},
    [WAIT_PUSHER_UNKNOWN] =
        {"The author is trusted, but a commit that nobody knows who pushed needs an approval: "
         "CI starts when somebody with at least *",
         "* permission looks at it and sets the label **", "**, having taken it off first if it is there."},
    [WAIT_TOO_SOON] =
        {"The label was set so soon after the present commit had come that it was most likely meant "
         "for the one before. CI starts when somebody with at least *",
         "* permission has looked at the present commit and sets the label **", "** again."},
    [WAIT_BUDGET] =
        {"CI was started as often within an hour as is allowed, for this author's pull requests or for "
         "the repository's. It starts by itself; the label need not be set again.",
         NULL, NULL},
};

static void add_next_step(const struct policy *policy, enum wait_reason reason, struct buf *summary)
{
    const struct next_step *step = &next_steps[reason < WAIT_REASON_END ? reason : WAIT_NOTHING];
    buf_adds(summary, step->before);
    if (step->between != NULL)
        buf_addf(summary, "%s%s%s%s", permission_name(policy->approver_permission), step->between,
                 policy->label, step->after);
}

void wording_next(const struct policy *policy, enum wait_reason reason, struct buf *out)
{
    add_next_step(policy, reason, out);
}

/* Only check runs have a button, and a summary. */
static bool may_be_approved(enum wait_reason reason)
{
    return reason != WAIT_CONFLICT && reason != WAIT_BUDGET;
}

/* Nobody on GitHub, and no account of that name there is to be told. */
static void add_person(const struct user *user, struct buf *out)
{
    if (user_is_local(user))
        buf_addf(out, "prgate's operator (`%s`)", user->login);
    else
        buf_addf(out, "@%s", user->login);
}

/* "Approved by @tim (write) with the label **CI**." */
static void add_approval(const struct policy *policy, const struct head *head, struct buf *summary)
{
    buf_adds(summary, "Approved by ");
    add_person(&head->approver, summary);
    if (head->approver_permission != PERMISSION_NONE)
        buf_addf(summary, " (%s)", permission_name(head->approver_permission));
    switch (head->means) {
    case MEANS_LABEL:
        buf_addf(summary, " with the label **%s**", policy->label);
        break;
    case MEANS_BUTTON:
        buf_adds(summary, " with the button of this check");
        break;
    case MEANS_COMMAND:
        buf_adds(summary, " with a comment");
        break;
    case MEANS_OPERATOR: /* the person says so */
    case MEANS_NONE:
    case MEANS_END:
        break;
    }
    buf_addc(summary, '.');
}

void wording_awaiting(const struct policy *policy, const struct head *head, enum wait_reason reason,
                      struct buf *title, struct buf *summary)
{
    if (head != NULL && head->queued) { /* its start was refused, else its check would be done */
        buf_adds(title, title_of_wait(WAIT_TRIGGER_FAILED));
        buf_adds(summary,
                 "The CI system refused to start for the merge queue. Once that is mended, take the pull "
                 "request out of the queue, and queue it again.");
        return;
    }
    bool names_pusher = reason == WAIT_PUSHER && head != NULL && head->pushed_by.login[0] != '\0';
    bool names_time = reason == WAIT_BUDGET && head != NULL && head->budget_until_ms != 0;
    if (names_pusher)
        buf_addf(title, "Pushed by @%s, who is not trusted: waiting for the label", head->pushed_by.login);
    else
        buf_adds(title, title_of_wait(reason));
    if (names_time) {
        buf_adds(title, ", until ");
        add_time(title, head->budget_until_ms);
    }
    add_next_step(policy, reason, summary);
    if (names_time) {
        buf_adds(summary, " Its turn is at ");
        add_time(summary, head->budget_until_ms);
        buf_adds(summary, " at the latest.");
    }
    if (may_be_approved(reason))
        buf_adds(summary, " The button *Approve CI* of this check counts the same, for exactly this commit.");
    else if (head != NULL && head->approved) {
        buf_adds(summary, "\n\n");
        add_approval(policy, head, summary);
    }
}

/* What the button "Re-run" came to. */
static void add_reruns(const struct policy *policy, const struct head *head, struct buf *title,
                       struct buf *summary)
{
    if (head->reruns > 0) {
        buf_addf(summary, "\n\nRe-run %" PRIu32 " was asked for by ", head->reruns);
        add_person(&head->rerun_by, summary);
        buf_adds(summary, head->rerun_failed ? ", and the CI system refused to start." : ".");
    }
    if (head->rerun_failed)
        buf_adds(title, "; the re-run could not be started");
    if (head->budget_until_ms != 0) {
        buf_adds(title, "; a re-run has to wait until ");
        add_time(title, head->budget_until_ms);
        buf_adds(summary,
                 "\n\n**Not started:** a re-run. CI was started as often within an hour as is allowed. Ask "
                 "for it again from ");
        add_time(summary, head->budget_until_ms);
        buf_adds(summary, " on.");
    }
    if (!head->rerun_refused)
        return;
    buf_adds(title, "; a re-run was refused");
    buf_addf(summary,
             "\n\n**Refused:** a re-run that was asked for by somebody who may not approve. CI runs again "
             "when somebody with at least *%s* permission asks for it.",
             permission_name(policy->approver_permission));
}

/* The newest start; what a later one does is not cancelled. */
static bool is_cancelled(const struct head *head)
{
    return head->cancelled != 0 && head->cancelled >= head_attempt(head);
}

/* What came of it the ledger tells: a run that is not found has ended, or never came. */
static void add_cancelled(const struct policy *policy, struct buf *title, struct buf *summary)
{
    bool is_dispatch =
        policy->trigger == TRIGGER_REPOSITORY_DISPATCH || policy->trigger == TRIGGER_WORKFLOW_DISPATCH;
    if (is_dispatch && !policy->trigger_can_be_asked) {
        buf_adds(title, "; it could not be cancelled");
        buf_adds(summary,
                 "\n\nIt was to be cancelled, but its run cannot be told from others: for that the "
                 "workflow's `run-name` needs the key, and the configuration `trigger_can_be_asked`.");
        return;
    }
    buf_adds(title, "; cancelled since");
    buf_adds(summary, "\n\nWhat still ran of it was cancelled since. This check stays as it is; ");
    if (policy->trigger == TRIGGER_NONE)
        buf_adds(summary, "whoever needs the result runs the cancelled workflows again.");
    else
        buf_addf(summary,
                 "CI runs again when somebody with at least *%s* permission asks for a re-run of this check.",
                 permission_name(policy->approver_permission));
}

/* The commit of a merge queue's group. */
static void describe_queued(const struct head *head, struct buf *title, struct buf *summary)
{
    if (head->ci == CI_UNKNOWN)
        buf_adds(title, "Cleared for the merge queue, CI may have been started");
    else if (head_is_triggered(head))
        buf_adds(title, "CI was started for the merge queue");
    else
        buf_adds(title, "Cleared for the merge queue");
    buf_adds(summary,
             "What is merged here was cleared as the pull request's own commit before it was queued.");
    if (head->ci == CI_UNKNOWN)
        buf_addf(
            summary,
            " The request to start CI for `%s` went out, but no answer came back, and it is not repeated so "
            "that CI does not run twice. If nothing runs, take the pull request out of the queue, and "
            "queue it again.",
            head->sha.hex);
}

void wording_done(const struct policy *policy, const struct head *head, struct buf *title,
                  struct buf *summary)
{
    bool again = head->reruns > 0 && !head->rerun_failed;
    if (head->queued) {
        describe_queued(head, title, summary);
        return;
    }
    if (head->ci == CI_UNKNOWN) {
        buf_adds(title, again ? "CI may have been started again" : "CI may have been started");
        buf_addf(summary,
                 "The request to start CI went out, but no answer came back, and it is not repeated so that "
                 "CI does "
                 "not run twice. If nothing runs, start CI for `%s` by hand.",
                 head->sha.hex);
        if (is_cancelled(head))
            add_cancelled(policy, title, summary);
        add_reruns(policy, head, title, summary);
        return;
    }
    if (policy->trigger == TRIGGER_NONE)
        buf_adds(title, "Cleared to run");
    else
        buf_adds(title, again ? "CI was started again" : "CI was started");
    if (head->approved)
        add_approval(policy, head, summary);
    else
        buf_adds(summary, "The author is trusted.");
    if (is_cancelled(head))
        add_cancelled(policy, title, summary);
    add_reruns(policy, head, title, summary);
}

const char *wording_action(enum intent_kind kind)
{
    switch (kind) {
    case INTENT_TRIGGER:
        return "starting CI";
    case INTENT_ADD_LABEL:
        return "setting the label";
    case INTENT_REMOVE_LABEL:
        return "taking the label off";
    case INTENT_COMMENT_CONFLICT:
        return "commenting on the conflicts";
    case INTENT_COMMENT:
        return "commenting";
    case INTENT_REACT:
        return "reacting to a comment";
    case INTENT_CANCEL:
        return "cancelling CI";
    case INTENT_RELEASE_RUNS:
        return "releasing runs that wait for an approval";
    case INTENT_REMOVE_QUEUE_LABEL:
        return "taking the merge queue's label off";
    case INTENT_COMPLETE_GUARD:
        return "completing the guard check";
    case INTENT_ADD_AUTHOR_LABELS:
        return "setting the labels for the author";
    case INTENT_RETARGET:
        return "changing the base branch";
    case INTENT_CLOSE:
        return "closing the pull request";
    case INTENT_APPROVE_REVIEW:
        return "approving the pull request";
    case INTENT_REMOVE_EMERGENCY_LABEL:
        return "taking the emergency label off";
    case INTENT_CHECK_AWAITING:
    case INTENT_CHECK_DONE:
    case INTENT_KIND_END:
        break;
    }
    return "writing this check";
}

const char *wording_would(enum intent_kind kind)
{
    switch (kind) {
    case INTENT_TRIGGER:
        return "start CI";
    case INTENT_ADD_LABEL:
        return "add the label";
    case INTENT_REMOVE_LABEL:
        return "take the label off";
    case INTENT_CHECK_AWAITING:
        return "make the check wait";
    case INTENT_CHECK_DONE:
        return "complete the check";
    case INTENT_COMMENT_CONFLICT:
        return "comment on the conflicts";
    case INTENT_COMMENT:
        return "comment";
    case INTENT_REACT:
        return "react to a comment";
    case INTENT_CANCEL:
        return "cancel CI";
    case INTENT_RELEASE_RUNS:
        return "release runs that wait for an approval";
    case INTENT_REMOVE_QUEUE_LABEL:
        return "take the merge queue's label off";
    case INTENT_COMPLETE_GUARD:
        return "complete the guard check";
    case INTENT_ADD_AUTHOR_LABELS:
        return "add the labels for the author";
    case INTENT_RETARGET:
        return "change the base branch";
    case INTENT_CLOSE:
        return "close the pull request";
    case INTENT_APPROVE_REVIEW:
        return "approve the pull request";
    case INTENT_REMOVE_EMERGENCY_LABEL:
        return "take the emergency label off";
    case INTENT_KIND_END:
        break;
    }
    return "?";
}

void wording_undone(const struct dead_letter *letter, struct buf *title, struct buf *summary)
{
    const char *action = wording_action(letter->intent.kind);
    if (letter->intent.kind != INTENT_TRIGGER) /* the title of one that was not started says so */
        buf_addf(title, "; not done: %s", action);
    buf_addf(summary, "\n\n**Not done:** %s (`", action);
    /* Somebody else's words: nothing in them may end the code span or the line. */
    for (const char *at = letter->reason; *at != '\0'; at++) {
        if (*at == '`' || (unsigned char)*at < ' ')
            buf_addc(summary, '\'');
        else
            buf_addc(summary, *at);
    }
    buf_adds(summary, "`).");
}

void wording_conflict(const struct policy *policy, const struct record *record, struct buf *comment)
{
    if (wording_own(policy, policy->conflict_message, record, comment))
        return;
    buf_addf(
        comment,
        "This pull request cannot be merged into `%s` because of conflicts, so CI has not been started.\n\n"
        "Please resolve them. CI starts by itself afterwards; the label **%s** need not be set again unless "
        "the resolution is a new commit by somebody whose commits need approval.",
        record->view.base_ref, policy->label);
}
