#include "prgate/intent.h"

#include "prgate/codec.h"

enum { INTENT_VERSION = 1 };

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
    case INTENT_KIND_END:
        break;
    }
    return "?";
}

void intent_encode(const struct intent *intent, struct buf *out)
{
    encode_u8(out, INTENT_VERSION);
    encode_u64(out, intent->seq);
    encode_u8(out, intent->kind);
    encode_sha(out, &intent->sha);
    encode_u8(out, intent->reason);
    encode_text(out, intent->delivery);
    encode_i64(out, intent->created_ms);
    encode_u32(out, intent->attempts);
    encode_i64(out, intent->sent_ms);
}

enum err_code intent_decode(struct intent *intent, const void *bytes, size_t len, struct err *err)
{
    struct decoder d = decode_start(bytes, len);
    if (decode_u8(&d) != INTENT_VERSION)
        return err_set(err, ERR_CORRUPT, 0, "an intent has an unknown version");
    *intent = (struct intent){0};
    intent->seq = decode_u64(&d);
    intent->kind = (enum intent_kind)decode_below(&d, INTENT_KIND_END);
    decode_sha(&d, &intent->sha);
    intent->reason = (enum wait_reason)decode_below(&d, WAIT_REASON_END);
    decode_text(&d, intent->delivery, sizeof intent->delivery);
    intent->created_ms = decode_i64(&d);
    intent->attempts = decode_u32(&d);
    intent->sent_ms = decode_i64(&d);
    if (!decode_done(&d) || intent->kind < INTENT_TRIGGER)
        return err_set(err, ERR_CORRUPT, 0, "an intent of %zu bytes is damaged", len);
    return ERR_OK;
}
