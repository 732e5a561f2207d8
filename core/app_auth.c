#include "prgate/app_auth.h"

#include <inttypes.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { ISSUED_BACK_S = 60, LIFETIME_S = 600 };

static const char jwt_header[] = "{\"alg\":\"RS256\",\"typ\":\"JWT\"}";

/* RFC 4648, 5: base64 with '-' and '_', without padding. */
static void add_base64url(struct buf *out, const unsigned char *bytes, size_t len)
{
    unsigned char *start = buf_reserve(out, (len + 2) / 3 * 4 + 1);
    int written = EVP_EncodeBlock(start, bytes, (int)len);
    for (int i = 0; i < written && start[i] != '='; i++) {
        if (start[i] == '+')
            start[i] = '-';
        else if (start[i] == '/')
            start[i] = '_';
        out->len++;
    }
}

/* Never a prompt: a daemon has nobody to ask for a pass phrase. */
static int no_passphrase(char *to, int size, int writing, void *asked)
{
    (void)to;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

/* OpenSSL's own reason for the last failure; also empties its queue, which is the thread's. */
static const char *openssl_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return reason == NULL ? "no reason given" : reason;
}

static enum err_code read_key(EVP_PKEY **out, const char *pem, struct err *err)
{
    bool asked = false;
    BIO *bio = BIO_new_mem_buf(pem, -1);
    if (bio == NULL)
        return err_set(err, ERR_RETRY, 0, "cannot read the App's private key: %s", openssl_reason());
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &asked);
    BIO_free(bio);
    if (asked) {
        ERR_clear_error();
        EVP_PKEY_free(key);
        return err_set(err, ERR_REJECT, 0,
                       "the App's private key has a pass phrase: use the file as GitHub made it");
    }
    if (key == NULL)
        return err_set(err, ERR_REJECT, 0, "the App's private key is not a PEM private key: %s",
                       openssl_reason());
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
        EVP_PKEY_free(key);
        return err_set(err, ERR_REJECT, 0, "the App's private key is not an RSA key, which RS256 needs");
    }
    *out = key;
    return ERR_OK;
}

/* Appends the signature of what *out already holds from `start` on. */
static enum err_code add_signature(struct buf *out, size_t start, EVP_PKEY *key, struct err *err)
{
    enum err_code code = ERR_OK;
    const unsigned char *signed_part = out->data + start;
    size_t signed_len = out->len - start;
    size_t len = (size_t)EVP_PKEY_get_size(key);
    unsigned char *signature = mem_alloc(len);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL || EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(context, signature, &len, signed_part, signed_len) != 1) {
        code = err_set(err, ERR_REJECT, 0, "the App's private key does not sign: %s", openssl_reason());
        goto out;
    }
    buf_addc(out, '.');
    add_base64url(out, signature, len);
out:
    EVP_MD_CTX_free(context);
    free(signature);
    return code;
}

enum err_code app_jwt(const char *pem, uint64_t app_id, int64_t now_s, struct buf *out, struct err *err)
{
    EVP_PKEY *key = NULL;
    enum err_code code = read_key(&key, pem, err);
    if (code != ERR_OK)
        return code;

    size_t start = out->len;
    int64_t issued = now_s - ISSUED_BACK_S;
    struct buf claims;
    buf_init(&claims);
    buf_addf(&claims, "{\"iat\":%" PRId64 ",\"exp\":%" PRId64 ",\"iss\":\"%" PRIu64 "\"}", issued,
             issued + LIFETIME_S, app_id);
    add_base64url(out, (const unsigned char *)jwt_header, sizeof jwt_header - 1);
    buf_addc(out, '.');
    add_base64url(out, claims.data, claims.len);
    buf_release(&claims);

    code = add_signature(out, start, key, err);
    if (code != ERR_OK)
        out->len = start;
    EVP_PKEY_free(key);
    return code;
}
