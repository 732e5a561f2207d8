#include "prgate/signature.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/buf.h"
#include "prgate/log.h"
#include "prgate/spares.h"
#include "prgate/text.h"

enum { DIGEST_SIZE = 32 };

/*
 * To find HMAC and SHA-256 in libcrypto, by their names and under its locks, and to digest the key costs more than
 * a small body. A context that has done so is kept, and begins anew with the key that it has.
 */
struct keyed {
    const struct secret *secret;
    struct spares contexts; /* of EVP_MAC_CTX */
};

struct signature_keys {
    size_t count;
    struct keyed keyed[];
};

static const char prefix[] = "sha256=";

/*
 * HMAC fails only when libcrypto has no SHA-256 or no memory. Calling the
 * signature wrong then would turn a delivery away for good, and dying does not:
 * the sender sees an error and the delivery can be asked for again.
 */
static void must(bool works)
{
    if (!works)
        log_panic("libcrypto cannot compute HMAC-SHA-256");
}

static const unsigned char *key_of(const struct secret *secret)
{
    return secret->len == 0 ? (const unsigned char *)"" : secret->bytes;
}

struct signature_keys *signature_keys_open(const struct secret *secrets, size_t count)
{
    struct signature_keys *keys = mem_alloc(sizeof *keys + count * sizeof keys->keyed[0]);
    keys->count = count;
    for (size_t i = 0; i < count; i++)
        keys->keyed[i] = (struct keyed){.secret = &secrets[i]};
    return keys;
}

/* libcrypto overwrites what was made of the secret. */
static void release_context(void *context)
{
    EVP_MAC_CTX_free(context);
}

void signature_keys_close(struct signature_keys *keys)
{
    for (size_t i = 0; keys != NULL && i < keys->count; i++)
        spares_drop(&keys->keyed[i].contexts, release_context);
    free(keys);
}

static EVP_MAC_CTX *make_context(const struct secret *secret)
{
    char name[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                                 OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac); /* the context holds it */
    must(context != NULL && EVP_MAC_init(context, key_of(secret), secret->len, params) == 1);
    return context;
}

static EVP_MAC_CTX *take_context(struct keyed *keyed)
{
    EVP_MAC_CTX *context = spares_take(&keyed->contexts);
    if (context == NULL)
        return make_context(keyed->secret);
    must(EVP_MAC_init(context, NULL, 0, NULL) == 1);
    return context;
}

static void digest(struct keyed *keyed, const void *body, size_t len, unsigned char out[DIGEST_SIZE])
{
    size_t out_len = 0;
    EVP_MAC_CTX *context = take_context(keyed);
    must(EVP_MAC_update(context, body, len) == 1 && EVP_MAC_final(context, out, &out_len, DIGEST_SIZE) == 1 &&
         out_len == DIGEST_SIZE);
    if (!spares_give(&keyed->contexts, context))
        EVP_MAC_CTX_free(context);
}

enum signature_result signature_check(struct signature_keys *keys, const char *header, const void *body,
                                      size_t len)
{
    unsigned char want[DIGEST_SIZE];
    unsigned char got[DIGEST_SIZE];
    unsigned good = 0;

    if (header == NULL)
        return SIGNATURE_MISSING;
    if (strncmp(header, prefix, sizeof prefix - 1) != 0 ||
        !text_unhex(header + sizeof prefix - 1, got, sizeof got))
        return SIGNATURE_MALFORMED;
    for (size_t i = 0; i < keys->count; i++) {
        digest(&keys->keyed[i], body, len, want);
        unsigned equal = CRYPTO_memcmp(want, got, sizeof want) == 0;
        /* Anybody can sign with an empty secret. */
        good |= equal & (unsigned)(keys->keyed[i].secret->len > 0);
    }
    OPENSSL_cleanse(want, sizeof want);
    /* Without a branch: tests/security.sh counts the instructions, and wants one number for all. */
    static const enum signature_result results[] = {SIGNATURE_WRONG, SIGNATURE_GOOD};
    return results[good];
}

void signature_make(const struct secret *secret, const void *body, size_t len, char out[SIGNATURE_SIZE])
{
    unsigned char bytes[DIGEST_SIZE];
    unsigned bytes_len = 0;
    must(secret->len <= INT_MAX &&
         HMAC(EVP_sha256(), key_of(secret), (int)secret->len, body, len, bytes, &bytes_len) != NULL &&
         bytes_len == DIGEST_SIZE);
    memcpy(out, prefix, sizeof prefix - 1);
    text_hex(bytes, sizeof bytes, out + sizeof prefix - 1);
}
