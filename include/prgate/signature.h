/*
 * signature: HMAC-SHA-256 as GitHub signs its webhooks with it.
 *
 * `X-Hub-Signature-256: sha256=<64 hex digits>` is the HMAC of the raw body,
 * keyed with the webhook's secret
 * (docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries).
 * The older `X-Hub-Signature` is SHA-1 and never looked at. Thread-safe.
 */
#ifndef PRGATE_SIGNATURE_H
#define PRGATE_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>

struct secret {
    unsigned char *bytes; /* owned by whoever filled it */
    size_t len;
};

enum { SIGNATURE_SIZE = 7 + 64 + 1 }; /* "sha256=", the digits, NUL */

enum signature_result { SIGNATURE_GOOD, SIGNATURE_MISSING, SIGNATURE_MALFORMED, SIGNATURE_WRONG };

/* Secrets to check with, several during a rotation. What HMAC takes of a secret is worked out once and kept. */
struct signature_keys;

/*
 * The secrets are borrowed, and to stay as they are until signature_keys_close(). Never NULL. It costs nothing yet:
 * libcrypto is first asked by signature_check().
 */
struct signature_keys *signature_keys_open(const struct secret *secrets, size_t count);
void signature_keys_close(struct signature_keys *keys); /* overwrites what was kept; NULL is fine */

/*
 * Checks `header` (NULL when it was not sent) against each secret. Every secret
 * is tried and compared in constant time, so that the duration tells neither
 * where a digest differs nor which secret was right.
 */
enum signature_result signature_check(struct signature_keys *keys, const char *header, const void *body,
                                      size_t len);

/* Writes the header's value for `body`: what prgate's own `http` trigger is signed with. */
void signature_make(const struct secret *secret, const void *body, size_t len, char out[SIGNATURE_SIZE]);

#endif
