/*
 * codec: values to stored bytes and back.
 *
 * Numbers are big-endian, so that keys made of them sort as the numbers do;
 * text is a 32-bit length and its bytes. A decoder checks every length against
 * what is left and against the receiving field, and fails once for good: decode
 * everything, then ask decode_done(). Pure, thread-safe.
 */
#ifndef PRGATE_CODEC_H
#define PRGATE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "prgate/buf.h"
#include "prgate/pr.h"

void encode_u8(struct buf *out, unsigned value);
void encode_u32(struct buf *out, uint32_t value);
void encode_u64(struct buf *out, uint64_t value);
void encode_i64(struct buf *out, int64_t value);
void encode_bool(struct buf *out, bool value);
void encode_text(struct buf *out, const char *text);
void encode_bytes(struct buf *out, const void *bytes, size_t len); /* fixed length, none stored */
void encode_sha(struct buf *out, const struct sha *sha);
void encode_user(struct buf *out, const struct user *user);
void encode_snapshot(struct buf *out, const struct snapshot *snapshot);
void encode_pr_key(struct buf *out, const struct pr_key *key);

struct decoder {
    const unsigned char *at;
    size_t left;
    bool failed;
};

struct decoder decode_start(const void *bytes, size_t len);
bool decode_done(const struct decoder *d); /* nothing failed and nothing is left over */

uint8_t decode_u8(struct decoder *d);
uint32_t decode_u32(struct decoder *d);
uint64_t decode_u64(struct decoder *d);
int64_t decode_i64(struct decoder *d);
bool decode_bool(struct decoder *d);                        /* fails on anything but 0 and 1 */
unsigned decode_below(struct decoder *d, unsigned end);     /* a byte less than `end`, for enums */
void decode_text(struct decoder *d, char *to, size_t size); /* fails where it does not fit or holds a NUL */
void decode_bytes(struct decoder *d, void *to, size_t len);
void decode_sha(struct decoder *d, struct sha *sha);
void decode_user(struct decoder *d, struct user *user);
void decode_snapshot(struct decoder *d, struct snapshot *snapshot);
void decode_pr_key(struct decoder *d, struct pr_key *key);

#endif
