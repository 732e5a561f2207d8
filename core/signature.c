#include "prgate/signature.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "prgate/log.h"
#include "prgate/text.h"

enum { DIGEST_SIZE = 32 };

static const char prefix[] = "sha256=";

/*
 * HMAC() fails only when libcrypto has no SHA-256 or no memory. Calling the
 * signature wrong then would turn a delivery away for good, and dying does not:
 * the sender sees an error and the delivery can be asked for again.
 */
static void digest(const struct secret *secret, const void *body, size_t len, unsigned char out[DIGEST_SIZE])
{
    unsigned out_len = 0;
    const void *key = secret->len == 0 ? "" : (const void *)secret->bytes;
    if (secret->len > INT_MAX ||
        HMAC(EVP_sha256(), key, (int)secret->len, body, len, out, &out_len) == NULL || out_len != DIGEST_SIZE)
        log_panic("libcrypto cannot compute HMAC-SHA-256");
}

enum signature_result signature_check(const struct secret *secrets, size_t count, const char *header,
                                      const void *body, size_t len)
{
    unsigned char want[DIGEST_SIZE];
    unsigned char got[DIGEST_SIZE];
    unsigned good = 0;

    if (header == NULL)
        return SIGNATURE_MISSING;
    if (strncmp(header, prefix, sizeof prefix - 1) != 0 ||
        !text_unhex(header + sizeof prefix - 1, got, sizeof got))
        return SIGNATURE_MALFORMED;
    for (size_t i = 0; i < count; i++) {
        digest(&secrets[i], body, len, want);
        unsigned equal = CRYPTO_memcmp(want, got, sizeof want) == 0;
        /* Anybody can sign with an empty secret. */
        good |= equal & (unsigned)(secrets[i].len > 0);
    }
    OPENSSL_cleanse(want, sizeof want);
    /* Without a branch: tests/security.sh counts the instructions, and wants one number for all. */
    static const enum signature_result results[] = {SIGNATURE_WRONG, SIGNATURE_GOOD};
    return results[good];
}

void signature_make(const struct secret *secret, const void *body, size_t len, char out[SIGNATURE_SIZE])
{
    unsigned char bytes[DIGEST_SIZE];
    digest(secret, body, len, bytes);
    memcpy(out, prefix, sizeof prefix - 1);
    text_hex(bytes, sizeof bytes, out + sizeof prefix - 1);
}
