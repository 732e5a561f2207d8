/* The rules' names, and what they say to people. */
#include <stddef.h>

#include "prgate/decide.h"

static const struct {
    const char *name, *sentence;
} rules[] = {
    [RULE_LATER] = {"later", "GitHub's answers disagree; asked again a little later"},
    [RULE_CLOSED] = {"closed", "the pull request is closed: no more CI, outstanding actions dropped"},
    [RULE_ALREADY] = {"already", "CI was triggered for this commit before: never a second time"},
    [RULE_OPENED] = {"opened", "a trusted author opened, reopened or finished it: label added, CI started"},
    [RULE_PUSHED] = {"pushed", "a trusted author pushed while the label was there: CI started"},
    [RULE_APPROVED] = {"approved", "somebody who may approve set the label for this very commit: CI started"},
    [RULE_CONFLICT] = {"conflict",
                       "CI is due, but the branch cannot be merged: waiting for the conflict to be resolved"},
    [RULE_STALE_APPROVAL] = {"stale_approval", "the label was set for an older commit: it approves nothing"},
    [RULE_NOT_APPROVER] = {"not_approver",
                           "the label was set by somebody who may not approve: it approves nothing"},
    [RULE_WITHDRAWN] = {"withdrawn", "the label was set and taken off again: it approves nothing"},
    [RULE_WAIT_UNTRUSTED] = {"wait_untrusted", "the author is not trusted: waiting for the label"},
    [RULE_WAIT_DRAFT] = {"wait_draft",
                         "it is a draft: waiting for the label or for the draft to be finished"},
    [RULE_WAIT_NO_LABEL] = {"wait_no_label",
                            "a trusted author pushed, but the label is gone: waiting for it"},
    [RULE_WAIT_PUSHER] = {"wait_pusher", "who pushed it is not trusted, or not known: waiting for the label"},
    [RULE_TRIGGER_REFUSED] = {"trigger_refused",
                              "the receiver refused to start CI: waiting for the label to be set again"},
    [RULE_RERUN] = {"rerun", "somebody who may approve asked for a re-run: CI started once more"},
    [RULE_RERUN_SAME] = {"rerun_same", "a re-run was asked for that is under way or done: it is that start"},
    [RULE_RERUN_OLD] = {"rerun_old", "a re-run was asked for of a commit that is not the head: nothing"},
    [RULE_RERUN_EARLY] = {"rerun_early", "a re-run was asked for of a commit that CI was never started for: "
                                         "it waits for what its check says"},
    [RULE_RERUN_REFUSED] = {"rerun_refused",
                            "a re-run was asked for by somebody who may not approve: nothing"},
    [RULE_WAIT_BUDGET] = {"wait_budget",
                          "CI is due, but too many were started within the hour: waiting for its turn"},
    [RULE_RERUN_BUDGET] = {"rerun_budget",
                           "a re-run was asked for, but too many were started within the hour: nothing"},
    [RULE_QUEUED] = {"queued", "a merge queue asks for the checks of its group: the gate's is reported, CI "
                               "started where that is configured"},
    [RULE_QUEUED_BEFORE] =
        {"queued_before", "the checks of that merge group were asked for before, or it is no more: nothing"},
    [RULE_UNQUEUED] =
        {"unqueued",
         "the merge group is no more: what was started for it is cancelled, unless it was merged"},
    [RULE_TOO_SOON] =
        {"too_soon",
         "the label was set before anybody could have looked at the commit: taken off, approves nothing"},
    [RULE_BEFORE_PUSH] =
        {"before_push",
         "the label was heard of before the push of its commit: the push tells when that came"},
    [RULE_BUTTON_OLD] = {"button_old",
                         "the button was pressed for a commit that is not the head: approves nothing"},
    [RULE_BUTTON_REFUSED] = {"button_refused",
                             "the button was pressed by somebody who may not approve: approves nothing"},
    [RULE_CANCELLED] = {"cancelled", "somebody who may approve asked for CI to be cancelled"},
    [RULE_COMMAND] = {"command", "a comment asked for help, or for the state: answered"},
    [RULE_COMMAND_UNKNOWN] =
        {"command_unknown",
         "a comment has a command that nobody knows, or several: nothing but an explanation"},
    [RULE_COMMAND_REFUSED] = {"command_refused",
                              "a comment's command was refused: nothing but an explanation"},
    [RULE_COMMAND_SEEN] = {"command_seen",
                           "that comment was answered before, or is older than many that were: nothing"},
    [RULE_COMMAND_OWN] = {"command_own", "prgate's own comment: nothing"},
    [RULE_OPERATOR] = {"operator", "prgate's operator approved this very commit: CI started"},
    [RULE_OPERATOR_OLD] = {"operator_old",
                           "the operator named a commit that is not the head: approves nothing"},
};

static const size_t rule_count = sizeof rules / sizeof rules[0];
_Static_assert(sizeof rules / sizeof rules[0] == (size_t)RULE_OPERATOR_OLD + 1,
               "the newest rule has no words");

static bool is_known(enum rule rule)
{
    return (size_t)rule < rule_count && rules[rule].name != NULL;
}

const char *rule_name(enum rule rule)
{
    return is_known(rule) ? rules[rule].name : "?";
}

const char *rule_sentence(enum rule rule)
{
    return is_known(rule) ? rules[rule].sentence : "?";
}
