#include "prgate/signature.h"

#include <pthread.h>

#include "check.h"

#define GITHUB_SECRET "It's a Secret to Everybody"
#define GITHUB_BODY "Hello, World!"
/* The example in GitHub's "Validating webhook deliveries". */
#define GITHUB_SIGNATURE "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct secret secret_of(const char *text)
{
    static unsigned char bytes[4][64];
    static size_t next;
    unsigned char *place = bytes[next++ % 4];
    memcpy(place, text, strlen(text));
    return (struct secret){.bytes = place, .len = strlen(text)};
}

/* The keys are made, used a second time, and gone: both times must say the same. */
static enum signature_result check(const struct secret *secrets, size_t count, const char *header,
                                   const void *body, size_t len)
{
    struct signature_keys *keys = signature_keys_open(secrets, count);
    enum signature_result first = signature_check(keys, header, body, len);
    check_int("again", "result", signature_check(keys, header, body, len), first);
    signature_keys_close(keys);
    return first;
}

static void github_s_own_example(void **state)
{
    struct secret secret = secret_of(GITHUB_SECRET);
    char made[SIGNATURE_SIZE];
    (void)state;
    signature_make(&secret, GITHUB_BODY, strlen(GITHUB_BODY), made);
    check_str("example", "made", made, GITHUB_SIGNATURE);
    check_int("example", "result", check(&secret, 1, GITHUB_SIGNATURE, GITHUB_BODY, strlen(GITHUB_BODY)),
              SIGNATURE_GOOD);
}

/* RFC 4231, the cases that a short key, bytes over 127 and a long key make. */
static void rfc_4231(void **state)
{
    static const struct {
        const char *name;
        int key_byte;
        size_t key_len;
        int body_byte;
        size_t body_len;
        const char *body;
        const char *want;
    } rows[] = {
        {"case 1", 0x0b, 20, 0, 8, "Hi There",
         "sha256=b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"case 3", 0xaa, 20, 0xdd, 50, NULL,
         "sha256=773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {"case 6, key longer than a block", 0xaa, 131, 0, 54,
         "Test Using Larger Than Block-Size Key - Hash Key First",
         "sha256=60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned char key[131];
        unsigned char body[64];
        char made[SIGNATURE_SIZE];
        struct secret secret = {.bytes = key, .len = rows[i].key_len};
        memset(key, rows[i].key_byte, sizeof key);
        memset(body, rows[i].body_byte, sizeof body);
        if (rows[i].body != NULL)
            memcpy(body, rows[i].body, rows[i].body_len);
        signature_make(&secret, body, rows[i].body_len, made);
        check_str(rows[i].name, "made", made, rows[i].want);
        check_int(rows[i].name, "result", check(&secret, 1, rows[i].want, body, rows[i].body_len),
                  SIGNATURE_GOOD);
    }
}

static void headers(void **state)
{
    static const struct {
        const char *name;
        const char *header;
        enum signature_result want;
    } rows[] = {
        {"good", GITHUB_SIGNATURE, SIGNATURE_GOOD},
        {"digits in upper case", "sha256=757107EA0EB2509FC211221CCE984B8A37570B6D7586C22C46F4379C8B043E17",
         SIGNATURE_GOOD},
        {"not sent", NULL, SIGNATURE_MISSING},
        {"empty", "", SIGNATURE_MALFORMED},
        {"only the prefix", "sha256=", SIGNATURE_MALFORMED},
        {"no prefix", HEX64, SIGNATURE_MALFORMED},
        {"SHA-1", "sha1=0123456789abcdef0123456789abcdef01234567", SIGNATURE_MALFORMED},
        {"prefix in upper case", "SHA256=" HEX64, SIGNATURE_MALFORMED},
        {"one digit short", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1",
         SIGNATURE_MALFORMED},
        {"one digit long", GITHUB_SIGNATURE "0", SIGNATURE_MALFORMED},
        {"blank behind", GITHUB_SIGNATURE " ", SIGNATURE_MALFORMED},
        {"no digit", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e1g",
         SIGNATURE_MALFORMED},
        {"another digest", "sha256=" HEX64, SIGNATURE_WRONG},
        {"last digit differs", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e16",
         SIGNATURE_WRONG},
    };
    struct secret secret = secret_of(GITHUB_SECRET);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_int(rows[i].name, "result", check(&secret, 1, rows[i].header, GITHUB_BODY, strlen(GITHUB_BODY)),
                  rows[i].want);
}

static void any_of_the_secrets_will_do(void **state)
{
    struct secret secrets[] = {secret_of("old"), secret_of(GITHUB_SECRET), secret_of("older")};
    static const struct {
        const char *name;
        size_t from;
        size_t count;
        enum signature_result want;
    } rows[] = {
        {"in the middle", 0, 3, SIGNATURE_GOOD},
        {"first", 1, 2, SIGNATURE_GOOD},
        {"last", 0, 2, SIGNATURE_GOOD},
        {"not among them", 2, 1, SIGNATURE_WRONG},
        {"no secret at all", 0, 0, SIGNATURE_WRONG},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_int(
            rows[i].name, "result",
            check(secrets + rows[i].from, rows[i].count, GITHUB_SIGNATURE, GITHUB_BODY, strlen(GITHUB_BODY)),
            rows[i].want);
}

static void an_empty_secret_lets_nobody_in(void **state)
{
    struct secret empty = {0};
    char made[SIGNATURE_SIZE];
    (void)state;
    signature_make(&empty, "x", 1, made);
    check_int("empty secret", "result", check(&empty, 1, made, "x", 1), SIGNATURE_WRONG);
}

static void every_byte_of_the_body_counts(void **state)
{
    struct secret secret = secret_of("s");
    char body[] = "a\0b\xff";
    size_t len = sizeof body - 1;
    char made[SIGNATURE_SIZE];
    (void)state;
    signature_make(&secret, body, len, made);
    check_int("as signed", "result", check(&secret, 1, made, body, len), SIGNATURE_GOOD);
    check_int("shorter", "result", check(&secret, 1, made, body, len - 1), SIGNATURE_WRONG);
    for (size_t i = 0; i < len; i++) {
        body[i] = (char)(body[i] ^ 1);
        check_int("changed", "result", check(&secret, 1, made, body, len), SIGNATURE_WRONG);
        body[i] = (char)(body[i] ^ 1);
    }
}

static void an_empty_body_can_be_signed(void **state)
{
    struct secret secret = secret_of("s");
    char made[SIGNATURE_SIZE];
    (void)state;
    signature_make(&secret, "", 0, made);
    check_int("empty body", "result", check(&secret, 1, made, "", 0), SIGNATURE_GOOD);
}

enum { CHECKERS = 12, CHECKS = 200, BODY_SIZE = 4096 };

/* One of more threads than there are contexts kept; each has a body of its own. */
struct checker {
    pthread_t thread;
    struct signature_keys *keys;
    unsigned char body[BODY_SIZE];
    char signature[SIGNATURE_SIZE];
    unsigned mistaken;
};

static void *check_often(void *arg)
{
    struct checker *self = arg;
    for (int i = 0; i < CHECKS; i++) {
        self->mistaken +=
            signature_check(self->keys, self->signature, self->body, sizeof self->body) != SIGNATURE_GOOD;
        self->mistaken +=
            signature_check(self->keys, GITHUB_SIGNATURE, self->body, sizeof self->body) != SIGNATURE_WRONG;
    }
    return NULL;
}

static void threads_check_at_once(void **state)
{
    static struct checker checkers[CHECKERS];
    struct secret secrets[] = {secret_of("old"), secret_of(GITHUB_SECRET)};
    struct signature_keys *keys = signature_keys_open(secrets, COUNT_OF(secrets));
    (void)state;
    for (size_t i = 0; i < CHECKERS; i++) {
        checkers[i].keys = keys;
        memset(checkers[i].body, (int)i, BODY_SIZE);
        signature_make(&secrets[i % 2], checkers[i].body, BODY_SIZE, checkers[i].signature);
    }
    for (size_t i = 0; i < CHECKERS; i++)
        assert_int_equal(pthread_create(&checkers[i].thread, NULL, check_often, &checkers[i]), 0);
    for (size_t i = 0; i < CHECKERS; i++) {
        assert_int_equal(pthread_join(checkers[i].thread, NULL), 0);
        check_u64("at once", "mistaken", checkers[i].mistaken, 0);
    }
    signature_keys_close(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(github_s_own_example),
        cmocka_unit_test(rfc_4231),
        cmocka_unit_test(headers),
        cmocka_unit_test(any_of_the_secrets_will_do),
        cmocka_unit_test(an_empty_secret_lets_nobody_in),
        cmocka_unit_test(every_byte_of_the_body_counts),
        cmocka_unit_test(an_empty_body_can_be_signed),
        cmocka_unit_test(threads_check_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
