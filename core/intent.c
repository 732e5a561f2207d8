#include "prgate/intent.h"

#include "prgate/codec.h"

/* Version 1 ends before the message. */
enum { INTENT_VERSION = 2, LETTER_VERSION = 2 };

static const struct {
    const char *name;
    enum message_family family;
    enum message_once once;
} messages[] = {
    [MESSAGE_NONE] = {"none", FAMILY_NONE, ONCE_PER_PULL},
    [MESSAGE_LOOK_AGAIN] = {"look_again", FAMILY_LABEL, ONCE_PER_COMMIT},
    [MESSAGE_NOT_APPROVER] = {"not_approver", FAMILY_LABEL, ONCE_PER_PERSON},
    [MESSAGE_HELP] = {"help", FAMILY_ANSWER, ONCE_PER_COMMENT},
    [MESSAGE_STATUS] = {"status", FAMILY_ANSWER, ONCE_PER_STATE},
    [MESSAGE_COMMAND_REFUSED] = {"command_refused", FAMILY_REFUSAL, ONCE_PER_COMMENT},
    [MESSAGE_COMMAND_UNKNOWN] = {"command_unknown", FAMILY_REFUSAL, ONCE_PER_COMMENT},
    [MESSAGE_COMMAND_WRONG_SHA] = {"command_wrong_sha", FAMILY_REFUSAL, ONCE_PER_COMMENT},
    [MESSAGE_COMMAND_SEVERAL] = {"command_several", FAMILY_REFUSAL, ONCE_PER_COMMENT},
    [MESSAGE_COMMAND_NO_SHA] = {"command_no_sha", FAMILY_REFUSAL, ONCE_PER_COMMENT},
    [MESSAGE_COMMAND_SHORT_SHA] = {"command_short_sha", FAMILY_REFUSAL, ONCE_PER_COMMENT},
    [MESSAGE_COMMAND_OLD_SHA] = {"command_old_sha", FAMILY_REFUSAL, ONCE_PER_COMMENT},
    [MESSAGE_COMMAND_AMBIGUOUS] = {"command_ambiguous", FAMILY_REFUSAL, ONCE_PER_COMMENT},
    [MESSAGE_COMMAND_EARLY] = {"command_early", FAMILY_REFUSAL, ONCE_PER_COMMENT},
    [MESSAGE_COMMAND_NOTHING] = {"command_nothing", FAMILY_REFUSAL, ONCE_PER_COMMENT},
    [MESSAGE_COMMAND_CLOSED] = {"command_closed", FAMILY_REFUSAL, ONCE_PER_COMMENT},
    [MESSAGE_COMMAND_BUDGET] = {"command_budget", FAMILY_REFUSAL, ONCE_PER_COMMENT},
    [MESSAGE_EMERGENCY] = {"emergency", FAMILY_POLICY, ONCE_PER_PULL},
    [MESSAGE_EMERGENCY_REFUSED] = {"emergency_refused", FAMILY_POLICY, ONCE_PER_PERSON},
    [MESSAGE_MISSING_TESTS] = {"missing_tests", FAMILY_POLICY, ONCE_PER_PULL},
    [MESSAGE_RETARGETED] = {"retargeted", FAMILY_POLICY, ONCE_PER_PULL},
    [MESSAGE_FROM_RELEASE_BRANCH] = {"from_release_branch", FAMILY_POLICY, ONCE_PER_PULL},
    [MESSAGE_NEW_COMMIT_NEEDED] = {"new_commit_needed", FAMILY_POLICY, ONCE_PER_COMMIT},
};
_Static_assert(sizeof messages / sizeof *messages == MESSAGE_END, "the newest message has no name");

const char *message_name(enum message message)
{
    return message < MESSAGE_END ? messages[message].name : "?";
}

enum message_family message_family(enum message message)
{
    return message < MESSAGE_END ? messages[message].family : FAMILY_NONE;
}

enum message_once message_once(enum message message)
{
    return message < MESSAGE_END ? messages[message].once : ONCE_PER_PULL;
}

const char *intent_kind_name(enum intent_kind kind)
{
    switch (kind) {
    case INTENT_TRIGGER:
        return "trigger";
    case INTENT_ADD_LABEL:
        return "add_label";
    case INTENT_REMOVE_LABEL:
        return "remove_label";
    case INTENT_CHECK_AWAITING:
        return "check_awaiting";
    case INTENT_CHECK_DONE:
        return "check_done";
    case INTENT_COMMENT_CONFLICT:
        return "comment_conflict";
    case INTENT_COMMENT:
        return "comment";
    case INTENT_REACT:
        return "react";
    case INTENT_CANCEL:
        return "cancel";
    case INTENT_RELEASE_RUNS:
        return "release_runs";
    case INTENT_REMOVE_QUEUE_LABEL:
        return "remove_queue_label";
    case INTENT_COMPLETE_GUARD:
        return "complete_guard";
    case INTENT_ADD_AUTHOR_LABELS:
        return "add_author_labels";
    case INTENT_RETARGET:
        return "retarget";
    case INTENT_CLOSE:
        return "close";
    case INTENT_APPROVE_REVIEW:
        return "approve_review";
    case INTENT_REMOVE_EMERGENCY_LABEL:
        return "remove_emergency_label";
    case INTENT_KIND_END:
        break;
    }
    return "?";
}

bool intent_is_check(enum intent_kind kind)
{
    return kind == INTENT_CHECK_AWAITING || kind == INTENT_CHECK_DONE;
}

bool intent_outlives_closing(enum intent_kind kind)
{
    return kind == INTENT_CANCEL || kind == INTENT_REMOVE_QUEUE_LABEL;
}

void intent_show_check(struct intent *intent, const struct head *head)
{
    bool done = head->check == CHECK_DONE;
    intent->kind = done ? INTENT_CHECK_DONE : INTENT_CHECK_AWAITING;
    intent->reason = done ? WAIT_NOTHING : head->check_reason;
}

static void encode_fields(const struct intent *intent, struct buf *out)
{
    encode_u64(out, intent->seq);
    encode_u8(out, intent->kind);
    encode_sha(out, &intent->sha);
    encode_u8(out, intent->reason);
    encode_text(out, intent->delivery);
    encode_i64(out, intent->created_ms);
    encode_u32(out, intent->attempts);
    encode_i64(out, intent->sent_ms);
    encode_u8(out, intent->message);
    encode_u8(out, intent->reaction);
    encode_u64(out, intent->target);
    encode_u32(out, intent->attempt);
    encode_user(out, &intent->person);
    encode_text(out, intent->ref);
}

static void decode_fields(struct decoder *d, unsigned version, struct intent *intent)
{
    *intent = (struct intent){0};
    intent->seq = decode_u64(d);
    intent->kind = (enum intent_kind)decode_below(d, INTENT_KIND_END);
    decode_sha(d, &intent->sha);
    intent->reason = (enum wait_reason)decode_below(d, WAIT_REASON_END);
    decode_text(d, intent->delivery, sizeof intent->delivery);
    intent->created_ms = decode_i64(d);
    intent->attempts = decode_u32(d);
    intent->sent_ms = decode_i64(d);
    if (version < 2)
        return;
    intent->message = (enum message)decode_below(d, MESSAGE_END);
    intent->reaction = (enum reaction)decode_below(d, REACTION_END);
    intent->target = decode_u64(d);
    intent->attempt = decode_u32(d);
    decode_user(d, &intent->person);
    decode_text(d, intent->ref, sizeof intent->ref);
}

void intent_encode(const struct intent *intent, struct buf *out)
{
    encode_u8(out, INTENT_VERSION);
    encode_fields(intent, out);
}

enum err_code intent_decode(struct intent *intent, const void *bytes, size_t len, struct err *err)
{
    struct decoder d = decode_start(bytes, len);
    unsigned version = decode_u8(&d);
    if (version < 1 || version > INTENT_VERSION)
        return err_set(err, ERR_CORRUPT, 0, "an intent has an unknown version");
    decode_fields(&d, version, intent);
    if (!decode_done(&d) || intent->kind < INTENT_TRIGGER)
        return err_set(err, ERR_CORRUPT, 0, "an intent of %zu bytes is damaged", len);
    return ERR_OK;
}

void dead_letter_encode(const struct dead_letter *letter, struct buf *out)
{
    encode_u8(out, LETTER_VERSION);
    encode_i64(out, letter->died_ms);
    encode_text(out, letter->reason);
    encode_fields(&letter->intent, out);
}

enum err_code dead_letter_decode(struct dead_letter *letter, const void *bytes, size_t len, struct err *err)
{
    struct decoder d = decode_start(bytes, len);
    unsigned version = decode_u8(&d);
    if (version < 1 || version > LETTER_VERSION)
        return err_set(err, ERR_CORRUPT, 0, "a dead letter has an unknown version");
    *letter = (struct dead_letter){0};
    letter->died_ms = decode_i64(&d);
    decode_text(&d, letter->reason, sizeof letter->reason);
    decode_fields(&d, version, &letter->intent);
    if (!decode_done(&d) || letter->intent.kind < INTENT_TRIGGER)
        return err_set(err, ERR_CORRUPT, 0, "a dead letter of %zu bytes is damaged", len);
    return ERR_OK;
}
