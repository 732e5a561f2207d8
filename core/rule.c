/* The rules' names, and what they say to people. */
#include "prgate/decide.h"

const char *rule_name(enum rule rule)
{
    switch (rule) {
    case RULE_LATER:
        return "later";
    case RULE_CLOSED:
        return "closed";
    case RULE_ALREADY:
        return "already";
    case RULE_OPENED:
        return "opened";
    case RULE_PUSHED:
        return "pushed";
    case RULE_APPROVED:
        return "approved";
    case RULE_CONFLICT:
        return "conflict";
    case RULE_STALE_APPROVAL:
        return "stale_approval";
    case RULE_NOT_APPROVER:
        return "not_approver";
    case RULE_WITHDRAWN:
        return "withdrawn";
    case RULE_WAIT_UNTRUSTED:
        return "wait_untrusted";
    case RULE_WAIT_DRAFT:
        return "wait_draft";
    case RULE_WAIT_NO_LABEL:
        return "wait_no_label";
    case RULE_WAIT_PUSHER:
        return "wait_pusher";
    case RULE_TRIGGER_REFUSED:
        return "trigger_refused";
    case RULE_RERUN:
        return "rerun";
    case RULE_RERUN_SAME:
        return "rerun_same";
    case RULE_RERUN_OLD:
        return "rerun_old";
    case RULE_RERUN_EARLY:
        return "rerun_early";
    case RULE_RERUN_REFUSED:
        return "rerun_refused";
    case RULE_WAIT_BUDGET:
        return "wait_budget";
    case RULE_RERUN_BUDGET:
        return "rerun_budget";
    case RULE_QUEUED:
        return "queued";
    case RULE_QUEUED_BEFORE:
        return "queued_before";
    case RULE_UNQUEUED:
        return "unqueued";
    case RULE_TOO_SOON:
        return "too_soon";
    case RULE_BEFORE_PUSH:
        return "before_push";
    case RULE_BUTTON_OLD:
        return "button_old";
    case RULE_BUTTON_REFUSED:
        return "button_refused";
    case RULE_CANCELLED:
        return "cancelled";
    case RULE_COMMAND:
        return "command";
    case RULE_COMMAND_UNKNOWN:
        return "command_unknown";
    case RULE_COMMAND_REFUSED:
        return "command_refused";
    case RULE_COMMAND_SEEN:
        return "command_seen";
    case RULE_COMMAND_OWN:
        return "command_own";
    }
    return "?";
}

const char *rule_sentence(enum rule rule)
{
    switch (rule) {
    case RULE_LATER:
        return "GitHub's answers disagree; asked again a little later";
    case RULE_CLOSED:
        return "the pull request is closed: no more CI, outstanding actions dropped";
    case RULE_ALREADY:
        return "CI was triggered for this commit before: never a second time";
    case RULE_OPENED:
        return "a trusted author opened, reopened or finished it: label added, CI started";
    case RULE_PUSHED:
        return "a trusted author pushed while the label was there: CI started";
    case RULE_APPROVED:
        return "somebody who may approve set the label for this very commit: CI started";
    case RULE_CONFLICT:
        return "CI is due, but the branch cannot be merged: waiting for the conflict to be resolved";
    case RULE_STALE_APPROVAL:
        return "the label was set for an older commit: it approves nothing";
    case RULE_NOT_APPROVER:
        return "the label was set by somebody who may not approve: it approves nothing";
    case RULE_WITHDRAWN:
        return "the label was set and taken off again: it approves nothing";
    case RULE_WAIT_UNTRUSTED:
        return "the author is not trusted: waiting for the label";
    case RULE_WAIT_DRAFT:
        return "it is a draft: waiting for the label or for the draft to be finished";
    case RULE_WAIT_NO_LABEL:
        return "a trusted author pushed, but the label is gone: waiting for it";
    case RULE_WAIT_PUSHER:
        return "who pushed it is not trusted, or not known: waiting for the label";
    case RULE_TRIGGER_REFUSED:
        return "the receiver refused to start CI: waiting for the label to be set again";
    case RULE_RERUN:
        return "somebody who may approve asked for a re-run: CI started once more";
    case RULE_RERUN_SAME:
        return "a re-run was asked for that is under way or done: it is that start";
    case RULE_RERUN_OLD:
        return "a re-run was asked for of a commit that is not the head: nothing";
    case RULE_RERUN_EARLY:
        return "a re-run was asked for of a commit that CI was never started for: it waits for what its "
               "check says";
    case RULE_RERUN_REFUSED:
        return "a re-run was asked for by somebody who may not approve: nothing";
    case RULE_WAIT_BUDGET:
        return "CI is due, but too many were started within the hour: waiting for its turn";
    case RULE_RERUN_BUDGET:
        return "a re-run was asked for, but too many were started within the hour: nothing";
    case RULE_QUEUED:
        return "a merge queue asks for the checks of its group: the gate's is reported, CI started where "
               "that is configured";
    case RULE_QUEUED_BEFORE:
        return "the checks of that merge group were asked for before, or it is no more: nothing";
    case RULE_UNQUEUED:
        return "the merge group is no more: what was started for it is cancelled, unless it was merged";
    case RULE_TOO_SOON:
        return "the label was set before anybody could have looked at the commit: taken off, approves "
               "nothing";
    case RULE_BEFORE_PUSH:
        return "the label was heard of before the push of its commit: the push tells when that came";
    case RULE_BUTTON_OLD:
        return "the button was pressed for a commit that is not the head: approves nothing";
    case RULE_BUTTON_REFUSED:
        return "the button was pressed by somebody who may not approve: approves nothing";
    case RULE_CANCELLED:
        return "somebody who may approve asked for CI to be cancelled";
    case RULE_COMMAND:
        return "a comment asked for help, or for the state: answered";
    case RULE_COMMAND_UNKNOWN:
        return "a comment has a command that nobody knows, or several: nothing but an explanation";
    case RULE_COMMAND_REFUSED:
        return "a comment's command was refused: nothing but an explanation";
    case RULE_COMMAND_SEEN:
        return "that comment was answered before, or is older than many that were: nothing";
    case RULE_COMMAND_OWN:
        return "prgate's own comment: nothing";
    }
    return "?";
}
