/* What prgate's comments say. One function for each message. */
#include "prgate/wording.h"

#include <inttypes.h>

#include "prgate/command.h"

static const char *permission_of(const struct policy *policy)
{
    return permission_name(policy->approver_permission);
}

/* Where the new commit is seen: compared with what was approved last, or all that the pull request changes. */
static void add_changes_url(const struct record *record, const struct intent *intent, const char *web,
                            struct buf *out)
{
    const struct sha *seen = &record->approved_head;
    if (sha_is_set(seen) && !sha_equal(seen, &intent->sha))
        buf_addf(out, "%s/%s/compare/%s...%s", web, record->repo, seen->hex, intent->sha.hex);
    else
        buf_addf(out, "%s/%s/pull/%" PRIu64 "/files", web, record->repo, record->key.number);
}

static void look_again(const struct policy *policy, const struct record *record, const struct intent *intent,
                       const char *web, struct buf *out)
{
    struct buf url;
    buf_init(&url);
    add_changes_url(record, intent, web, &url);
    buf_addf(out,
             "@%s, the label **%s** was set only moments after the commit %s had come, so it was most likely "
             "meant "
             "for the one before. It has been taken off again, and CI has not been started.\n\n"
             "Please look at [what that commit changes](%s), and then set the label again.",
             intent->person.login, policy->label, intent->sha.hex, buf_text(&url));
    buf_release(&url);
}

static void not_approver(const struct policy *policy, const struct intent *intent, struct buf *out)
{
    buf_addf(out,
             "@%s, you may not approve CI here: that takes at least *%s* permission for this repository. "
             "CI has not been started, and the label **%s** does not stay on when you set it.\n\n"
             "Somebody who has that permission can look at the commits and set the label.",
             intent->person.login, permission_of(policy), policy->label);
}

/* ---- commands: in code spans, so that no comment of prgate's, quoted or not, has one ---- */

static void add_command(const struct policy *policy, enum command command, const char *rest, struct buf *out)
{
    buf_addf(out, "`%s %s%s`", policy->command_prefix, command_word(policy, command), rest);
}

static void add_help(const struct policy *policy, struct buf *out)
{
    buf_adds(out, "A command stands alone on a line, one in a comment:\n\n- ");
    add_command(policy, COMMAND_APPROVE, " SHA", out);
    buf_addf(
        out,
        ": CI may run for that commit, which has to be the head. At least %d digits; all of them where it "
        "matters.\n- ",
        COMMAND_SHA_MIN);
    if (policy->trigger != TRIGGER_NONE) {
        add_command(policy, COMMAND_RERUN, "", out);
        buf_adds(out, ": CI once more for the head.\n- ");
    }
    add_command(policy, COMMAND_CANCEL, "", out);
    buf_adds(out, ": CI for the head is cancelled, or with a SHA behind it for that commit.\n- ");
    add_command(policy, COMMAND_STATUS, "", out);
    buf_adds(out, ": what prgate is waiting for.\n- ");
    add_command(policy, COMMAND_HELP, "", out);
    buf_addf(out,
             ": this text.\n\nAll but the last two take at least *%s* permission. Code, quotations and later "
             "edits "
             "of a comment are not read.",
             permission_of(policy));
}

static void add_how_to_approve(const struct policy *policy, struct buf *out)
{
    buf_addf(out, "Somebody with at least *%s* permission sets the label **%s**, or comments ",
             permission_of(policy), policy->label);
    add_command(policy, COMMAND_APPROVE, " SHA", out);
    buf_adds(out, ".");
}

static void status(const struct policy *policy, const struct record *record, struct buf *out)
{
    const struct head *head = record_find_head(record, &record->view.head);
    struct buf title, summary;
    if (record->view.closed) {
        buf_addf(out, "This pull request is closed: no more CI. The head is %s.", record->view.head.hex);
        return;
    }
    if (head == NULL || (head->check == CHECK_NONE && !head_is_triggered(head))) {
        buf_addf(out, "The head is %s. CI has not been started for it. ", record->view.head.hex);
        add_how_to_approve(policy, out);
        return;
    }
    buf_init(&title);
    buf_init(&summary);
    if (head_is_triggered(head))
        wording_done(policy, head, &title, &summary);
    else
        wording_awaiting(policy, head, head->check_reason, &title, &summary);
    buf_addf(out, "**%s.** The head is %s.\n\n%s", buf_text(&title), head->sha.hex, buf_text(&summary));
    if (!head_is_triggered(head)) {
        buf_adds(out, "\n\nIn place of the label, ");
        add_command(policy, COMMAND_APPROVE, " SHA", out);
        buf_adds(out, " in a comment will do.");
    }
    buf_release(&title);
    buf_release(&summary);
}

/* What takes no more words than these, and perhaps which commit the head is. */
static const struct {
    const char *text;
    enum message message;
    bool names_head;
} refusals[] = {
    {"an approval names the commit that was looked at, as its SHA behind the command.",
     MESSAGE_COMMAND_NO_SHA, true},
    {"that SHA is too short: at least 7 digits are needed, all of them are best.", MESSAGE_COMMAND_SHORT_SHA,
     true},
    {"that commit is not the head any more: look at what has changed.", MESSAGE_COMMAND_OLD_SHA, true},
    {"several commits of this pull request begin like that: give all digits.", MESSAGE_COMMAND_AMBIGUOUS,
     true},
    {"no commit of this pull request that prgate has seen begins like that.", MESSAGE_COMMAND_WRONG_SHA,
     true},
    {"CI was never started for the head, so it cannot run again: it takes an approval.",
     MESSAGE_COMMAND_EARLY, true},
    {"there is nothing to cancel: CI was not started for that commit, or is cancelled already.",
     MESSAGE_COMMAND_NOTHING, false},
    {"this pull request is closed. Once it is open again, comment again.", MESSAGE_COMMAND_CLOSED, false},
    {"CI was started as often as the repository's budget allows. The check says from when on you can ask "
     "again.",
     MESSAGE_COMMAND_BUDGET, false},
    {"there is more than one command in your comment, and none of them was obeyed.", MESSAGE_COMMAND_SEVERAL,
     false},
    {"prgate does not understand that command, and nothing was done.", MESSAGE_COMMAND_UNKNOWN, false},
};

static void add_why_refused(const struct policy *policy, const struct intent *intent, struct buf *out)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (refusals[i].message != intent->message)
            continue;
        buf_adds(out, refusals[i].text);
        if (refusals[i].names_head)
            buf_addf(out, " The head is %s.", intent->sha.hex);
        return;
    }
    buf_addf(
        out,
        "that command takes at least *%s* permission for this repository, and nothing was done. Somebody "
        "who has it can comment, or set the label **%s**.",
        permission_of(policy), policy->label);
}

static void refuse_command(const struct policy *policy, const struct intent *intent, struct buf *out)
{
    buf_addf(out, "@%s, ", intent->person.login);
    add_why_refused(policy, intent, out);
    if (intent->message == MESSAGE_COMMAND_SEVERAL || intent->message == MESSAGE_COMMAND_UNKNOWN) {
        buf_adds(out, " ");
        add_help(policy, out);
    } else if (intent->message == MESSAGE_COMMAND_NO_SHA || intent->message == MESSAGE_COMMAND_EARLY) {
        buf_adds(out, " The command is ");
        add_command(policy, COMMAND_APPROVE, " SHA", out);
        buf_adds(out, ".");
    }
}

void wording_message(const struct policy *policy, const struct record *record, const struct intent *intent,
                     const char *web, struct buf *comment)
{
    switch (message_family(intent->message)) {
    case FAMILY_LABEL:
        if (intent->message == MESSAGE_LOOK_AGAIN)
            look_again(policy, record, intent, web, comment);
        else
            not_approver(policy, intent, comment);
        return;
    case FAMILY_ANSWER:
        if (intent->message == MESSAGE_HELP)
            add_help(policy, comment);
        else
            status(policy, record, comment);
        return;
    case FAMILY_REFUSAL:
        refuse_command(policy, intent, comment);
        return;
    case FAMILY_POLICY:
        wording_policy(policy, record, intent, comment);
        return;
    case FAMILY_NONE:
        return;
    }
}

void wording_message_marker(const struct intent *intent, struct buf *marker)
{
    buf_adds(marker, message_name(intent->message));
    switch (message_once(intent->message)) {
    case ONCE_PER_PULL:
        return;
    case ONCE_PER_COMMIT:
        buf_addf(marker, ":%s", intent->sha.hex);
        return;
    case ONCE_PER_PERSON:
        buf_addf(marker, ":%" PRIu64, intent->person.id);
        return;
    case ONCE_PER_COMMENT:
        buf_addf(marker, ":%" PRIu64, intent->target);
        return;
    case ONCE_PER_STATE:
        buf_addf(marker, ":%s:%" PRIu32 ":%s", intent->sha.hex, intent->attempt,
                 wait_reason_name(intent->reason));
        return;
    }
}
