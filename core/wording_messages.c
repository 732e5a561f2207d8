/* What prgate's comments say. One function for each message. */
#include "prgate/wording.h"

#include <inttypes.h>

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

void wording_message(const struct policy *policy, const struct record *record, const struct intent *intent,
                     const char *web, struct buf *comment)
{
    switch (intent->message) {
    case MESSAGE_LOOK_AGAIN:
        look_again(policy, record, intent, web, comment);
        return;
    case MESSAGE_NOT_APPROVER:
        not_approver(policy, intent, comment);
        return;
    case MESSAGE_COMMAND_REFUSED:
    case MESSAGE_COMMAND_UNKNOWN:
    case MESSAGE_COMMAND_WRONG_SHA:
    case MESSAGE_HELP:
    case MESSAGE_STATUS:
        break;
    case MESSAGE_EMERGENCY:
    case MESSAGE_EMERGENCY_REFUSED:
    case MESSAGE_MISSING_TESTS:
    case MESSAGE_RETARGETED:
    case MESSAGE_FROM_RELEASE_BRANCH:
    case MESSAGE_NEW_COMMIT_NEEDED:
        wording_policy(policy, record, intent, comment);
        return;
    case MESSAGE_NONE:
    case MESSAGE_END:
        break;
    }
}

void wording_message_marker(const struct intent *intent, struct buf *marker)
{
    const char *name = message_name(intent->message);
    switch (intent->message) {
    case MESSAGE_LOOK_AGAIN: /* once per commit */
    case MESSAGE_NEW_COMMIT_NEEDED:
        buf_addf(marker, "%s:%s", name, intent->sha.hex);
        return;
    case MESSAGE_NOT_APPROVER: /* once per person */
    case MESSAGE_EMERGENCY_REFUSED:
        buf_addf(marker, "%s:%" PRIu64, name, intent->person.id);
        return;
    case MESSAGE_COMMAND_REFUSED: /* once per comment that is answered */
    case MESSAGE_COMMAND_UNKNOWN:
    case MESSAGE_COMMAND_WRONG_SHA:
    case MESSAGE_HELP:
    case MESSAGE_STATUS:
        buf_addf(marker, "%s:%" PRIu64, name, intent->target);
        return;
    case MESSAGE_EMERGENCY: /* once per pull request */
    case MESSAGE_MISSING_TESTS:
    case MESSAGE_RETARGETED:
    case MESSAGE_FROM_RELEASE_BRANCH:
    case MESSAGE_NONE:
    case MESSAGE_END:
        break;
    }
    buf_adds(marker, name);
}
