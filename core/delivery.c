#include "prgate/delivery.h"

#include "prgate/codec.h"

/* Version 1 had no re-runs, version 2 no commands. */
enum { DELIVERY_VERSION = 3 };

void delivery_encode(const struct event *event, struct buf *out)
{
    encode_u8(out, DELIVERY_VERSION);
    encode_u8(out, event->action);
    encode_text(out, event->delivery);
    encode_i64(out, event->received_ms);
    encode_pr_key(out, &event->key);
    encode_text(out, event->repo);
    encode_u64(out, event->installation);
    encode_user(out, &event->sender);
    encode_snapshot(out, &event->pr);
    encode_u8(out, event->association);
    encode_text(out, event->label);
    encode_u64(out, event->label_id);
    encode_bool(out, event->label_is_gate);
    encode_u32(out, event->attempt);
    encode_u8(out, event->command);
    encode_u64(out, event->comment);
    encode_text(out, event->sha_prefix);
    encode_bool(out, event->pr.same_repo);
}

enum err_code delivery_decode(struct event *event, const void *bytes, size_t len, struct err *err)
{
    struct decoder d = decode_start(bytes, len);
    unsigned version = decode_u8(&d);
    if (version < 1 || version > DELIVERY_VERSION)
        return err_set(err, ERR_CORRUPT, 0, "a delivery has an unknown version");
    *event = (struct event){0};
    bool known = event_action_from_number(decode_u8(&d), &event->action);
    decode_text(&d, event->delivery, sizeof event->delivery);
    event->received_ms = decode_i64(&d);
    decode_pr_key(&d, &event->key);
    decode_text(&d, event->repo, sizeof event->repo);
    event->installation = decode_u64(&d);
    decode_user(&d, &event->sender);
    decode_snapshot(&d, &event->pr);
    event->association = (enum association)decode_below(&d, ASSOCIATION_INSIDER + 1);
    decode_text(&d, event->label, sizeof event->label);
    event->label_id = decode_u64(&d);
    event->label_is_gate = decode_bool(&d);
    if (version > 1)
        event->attempt = decode_u32(&d);
    if (version > 2) {
        event->command = (enum command)decode_below(&d, COMMAND_END);
        event->comment = decode_u64(&d);
        decode_text(&d, event->sha_prefix, sizeof event->sha_prefix);
        event->pr.same_repo = decode_bool(&d);
    }
    if (!decode_done(&d) || !known)
        return err_set(err, ERR_CORRUPT, 0, "a delivery of %zu bytes is damaged", len);
    return ERR_OK;
}
