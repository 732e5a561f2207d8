#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/app_auth.h"

struct key {
    EVP_PKEY *pkey;
    char *pem;
};

static char *pem_of(EVP_PKEY *pkey, const char *passphrase)
{
    char *bytes;
    BIO *bio = BIO_new(BIO_s_mem());
    const EVP_CIPHER *cipher = passphrase == NULL ? NULL : EVP_aes_128_cbc();
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, pkey, cipher, passphrase,
                                                   passphrase == NULL ? 0 : (int)strlen(passphrase), NULL,
                                                   NULL),
                     1);
    long len = BIO_get_mem_data(bio, &bytes);
    char *pem = mem_alloc((size_t)len + 1);
    memcpy(pem, bytes, (size_t)len);
    pem[len] = '\0';
    BIO_free(bio);
    return pem;
}

static int make_key(void **state)
{
    struct key *key = mem_alloc(sizeof *key);
    key->pkey = EVP_RSA_gen(2048);
    key->pem = pem_of(key->pkey, NULL);
    *state = key;
    return 0;
}

static int drop_key(void **state)
{
    struct key *key = *state;
    EVP_PKEY_free(key->pkey);
    free(key->pem);
    free(key);
    return 0;
}

/* Decodes one part of a token; *len is what came out. Yours to free. */
static unsigned char *decode(const char *part, size_t part_len, size_t *len)
{
    size_t padded = (part_len + 3) / 4 * 4;
    unsigned char *text = mem_alloc(padded + 1);
    unsigned char *bytes = mem_alloc(padded + 1);
    memset(text, '=', padded);
    for (size_t i = 0; i < part_len; i++) {
        if (strchr("+/=", part[i]) != NULL)
            fail_msg("got '%c' in a base64url text, want none of it", part[i]);
        text[i] = (unsigned char)(part[i] == '-' ? '+' : part[i] == '_' ? '/' : part[i]);
    }
    int decoded = EVP_DecodeBlock(bytes, text, (int)padded);
    assert_true(decoded >= 0);
    *len = (size_t)decoded - (padded - part_len);
    bytes[*len] = '\0';
    free(text);
    return bytes;
}

static cJSON *decode_json(const char *part, size_t part_len)
{
    size_t len;
    unsigned char *bytes = decode(part, part_len, &len);
    cJSON *json = cJSON_Parse((const char *)bytes);
    free(bytes);
    assert_non_null(json);
    return json;
}

static void want_text(const cJSON *json, const char *name, const char *want)
{
    const char *got = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, name));
    if (got == NULL || strcmp(got, want) != 0)
        fail_msg("%s: got %s, want %s", name, got == NULL ? "nothing" : got, want);
}

static void want_number(const cJSON *json, const char *name, double want)
{
    const cJSON *got = cJSON_GetObjectItemCaseSensitive(json, name);
    if (!cJSON_IsNumber(got) || got->valuedouble < want || got->valuedouble > want)
        fail_msg("%s: got %f, want %f", name, got == NULL ? -1 : got->valuedouble, want);
}

static void test_claims(void **state)
{
    struct key *key = *state;
    struct err err = {0};
    struct buf jwt;
    buf_init(&jwt);
    assert_int_equal(app_jwt(key->pem, 9876543210, 1700000000, &jwt, &err), ERR_OK);
    const char *text = buf_text(&jwt);
    size_t first = strcspn(text, ".");
    size_t second = strcspn(text + first + 1, ".");
    cJSON *header = decode_json(text, first);
    cJSON *claims = decode_json(text + first + 1, second);
    want_text(header, "alg", "RS256");
    want_text(header, "typ", "JWT");
    want_text(claims, "iss", "9876543210");
    want_number(claims, "iat", 1699999940);
    want_number(claims, "exp", 1700000540);
    cJSON_Delete(header);
    cJSON_Delete(claims);
    buf_release(&jwt);
}

static void test_signature(void **state)
{
    struct key *key = *state;
    struct err err = {0};
    struct buf jwt;
    size_t len;
    buf_init(&jwt);
    buf_adds(&jwt, "Bearer ");
    assert_int_equal(app_jwt(key->pem, 1, 1700000000, &jwt, &err), ERR_OK);
    const char *token = buf_text(&jwt) + strlen("Bearer ");
    const char *dot = strrchr(token, '.');
    unsigned char *signature = decode(dot + 1, strlen(dot + 1), &len);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key->pkey), 1);
    assert_int_equal(
        EVP_DigestVerify(context, signature, len, (const unsigned char *)token, (size_t)(dot - token)), 1);
    EVP_MD_CTX_free(context);
    free(signature);
    buf_release(&jwt);
}

static void want_reject(const char *name, const char *pem, const char *text)
{
    struct err err = {0};
    struct buf jwt;
    buf_init(&jwt);
    buf_adds(&jwt, "before");
    enum err_code code = app_jwt(pem, 1, 1700000000, &jwt, &err);
    if (code != ERR_REJECT)
        fail_msg("%s: got %s, want %s", name, err_code_name(code), err_code_name(ERR_REJECT));
    if (strstr(err.text, text) == NULL)
        fail_msg("%s: got \"%s\", want something with \"%s\"", name, err.text, text);
    assert_string_equal(buf_text(&jwt), "before");
    buf_release(&jwt);
}

static void test_keys_that_do_not_do(void **state)
{
    struct key *key = *state;
    EVP_PKEY *curve = EVP_EC_gen("P-256");
    char *curve_pem = pem_of(curve, NULL);
    char *locked_pem = pem_of(key->pkey, "hush");
    char *cut_pem = mem_strdup(key->pem);
    cut_pem[strlen(cut_pem) / 2] = '\0';
    want_reject("empty", "", "not a PEM private key");
    want_reject("no PEM", "ghp_notakey", "not a PEM private key");
    want_reject("cut off", cut_pem, "not a PEM private key");
    want_reject("a certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "not a PEM private key");
    want_reject("elliptic curve", curve_pem, "not an RSA key");
    want_reject("pass phrase", locked_pem, "pass phrase");
    EVP_PKEY_free(curve);
    free(curve_pem);
    free(locked_pem);
    free(cut_pem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_keys_that_do_not_do),
    };
    return cmocka_run_group_tests_name("app_auth", tests, make_key, drop_key);
}
