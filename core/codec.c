#include "prgate/codec.h"

#include <string.h>

void encode_u8(struct buf *out, unsigned value)
{
    buf_addc(out, (char)(unsigned char)value);
}

void encode_u64(struct buf *out, uint64_t value)
{
    unsigned char bytes[8];
    for (int i = 7; i >= 0; i--, value >>= 8)
        bytes[i] = (unsigned char)(value & 0xff);
    buf_add(out, bytes, sizeof bytes);
}

void encode_u32(struct buf *out, uint32_t value)
{
    unsigned char bytes[4];
    for (int i = 3; i >= 0; i--, value >>= 8)
        bytes[i] = (unsigned char)(value & 0xff);
    buf_add(out, bytes, sizeof bytes);
}

void encode_i64(struct buf *out, int64_t value)
{
    encode_u64(out, (uint64_t)value);
}

void encode_bool(struct buf *out, bool value)
{
    encode_u8(out, value ? 1 : 0);
}

void encode_text(struct buf *out, const char *text)
{
    size_t len = strlen(text);
    encode_u32(out, (uint32_t)len);
    buf_add(out, text, len);
}

void encode_bytes(struct buf *out, const void *bytes, size_t len)
{
    buf_add(out, bytes, len);
}

void encode_sha(struct buf *out, const struct sha *sha)
{
    encode_text(out, sha->hex);
}

void encode_user(struct buf *out, const struct user *user)
{
    encode_u64(out, user->id);
    encode_text(out, user->login);
    encode_bool(out, user->bot);
}

void encode_snapshot(struct buf *out, const struct snapshot *snapshot)
{
    encode_i64(out, snapshot->updated_at);
    encode_sha(out, &snapshot->head);
    encode_text(out, snapshot->head_ref);
    encode_text(out, snapshot->base_ref);
    encode_text(out, snapshot->title);
    encode_user(out, &snapshot->author);
    encode_bool(out, snapshot->draft);
    encode_bool(out, snapshot->closed);
    encode_bool(out, snapshot->labelled);
    encode_u8(out, snapshot->mergeable);
}

void encode_pr_key(struct buf *out, const struct pr_key *key)
{
    encode_u64(out, key->repo_id);
    encode_u64(out, key->number);
}

struct decoder decode_start(const void *bytes, size_t len)
{
    return (struct decoder){.at = bytes, .left = len};
}

bool decode_done(const struct decoder *d)
{
    return !d->failed && d->left == 0;
}

/* The next `len` bytes, or NULL and failed for good. */
static const unsigned char *take(struct decoder *d, size_t len)
{
    if (d->failed || len > d->left) {
        d->failed = true;
        return NULL;
    }
    const unsigned char *at = d->at;
    d->at += len;
    d->left -= len;
    return at;
}

static uint64_t take_number(struct decoder *d, size_t len)
{
    const unsigned char *at = take(d, len);
    uint64_t value = 0;
    for (size_t i = 0; at != NULL && i < len; i++)
        value = value << 8 | at[i];
    return value;
}

uint8_t decode_u8(struct decoder *d)
{
    return (uint8_t)take_number(d, 1);
}

uint32_t decode_u32(struct decoder *d)
{
    return (uint32_t)take_number(d, 4);
}

uint64_t decode_u64(struct decoder *d)
{
    return take_number(d, 8);
}

int64_t decode_i64(struct decoder *d)
{
    return (int64_t)take_number(d, 8);
}

unsigned decode_below(struct decoder *d, unsigned end)
{
    unsigned value = decode_u8(d);
    if (value < end)
        return value;
    d->failed = true;
    return 0;
}

bool decode_bool(struct decoder *d)
{
    return decode_below(d, 2) == 1;
}

void decode_text(struct decoder *d, char *to, size_t size)
{
    uint32_t len = decode_u32(d);
    to[0] = '\0';
    if (len >= size)
        d->failed = true;
    const unsigned char *at = take(d, len);
    if (at == NULL)
        return;
    if (memchr(at, '\0', len) != NULL) {
        d->failed = true;
        return;
    }
    memcpy(to, at, len);
    to[len] = '\0';
}

void decode_bytes(struct decoder *d, void *to, size_t len)
{
    const unsigned char *at = take(d, len);
    if (at != NULL)
        memcpy(to, at, len);
    else
        memset(to, 0, len);
}

void decode_sha(struct decoder *d, struct sha *sha)
{
    char hex[SHA_SIZE];
    decode_text(d, hex, sizeof hex);
    *sha = (struct sha){0};
    if (hex[0] != '\0' && !sha_parse(sha, hex))
        d->failed = true;
}

void decode_user(struct decoder *d, struct user *user)
{
    user->id = decode_u64(d);
    decode_text(d, user->login, sizeof user->login);
    user->bot = decode_bool(d);
}

void decode_snapshot(struct decoder *d, struct snapshot *snapshot)
{
    snapshot->updated_at = decode_i64(d);
    decode_sha(d, &snapshot->head);
    decode_text(d, snapshot->head_ref, sizeof snapshot->head_ref);
    decode_text(d, snapshot->base_ref, sizeof snapshot->base_ref);
    decode_text(d, snapshot->title, sizeof snapshot->title);
    decode_user(d, &snapshot->author);
    snapshot->draft = decode_bool(d);
    snapshot->closed = decode_bool(d);
    snapshot->labelled = decode_bool(d);
    snapshot->mergeable = (enum mergeable)decode_below(d, MERGEABLE_YES + 1);
}

void decode_pr_key(struct decoder *d, struct pr_key *key)
{
    key->repo_id = decode_u64(d);
    key->number = decode_u64(d);
}
