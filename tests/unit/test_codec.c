/*
 * Values to bytes and back: known bytes, every cut, and what no encoder of ours would write.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "prgate/codec.h"

/* Exactly as long as it says, on the heap: reading on is caught. */
static unsigned char *copy_of(const struct buf *bytes, size_t len)
{
    unsigned char *copy = mem_alloc(len + (len == 0));
    if (len > 0)
        memcpy(copy, bytes->data, len);
    return copy;
}

static struct sha sha_of(char digit, size_t digits)
{
    struct sha sha = {0};
    memset(sha.hex, digit, digits);
    return sha;
}

/* ---- numbers ------------------------------------------------------------------- */

static void test_numbers_are_big_endian(void **state)
{
    (void)state;
    static const unsigned char want[] = {0x7f, 0x01, 0x02, 0x03, 0x04, 1, 2, 3, 4, 5, 6, 7, 8, 1, 0};
    struct buf bytes;
    buf_init(&bytes);
    encode_u8(&bytes, 0x7f);
    encode_u32(&bytes, 0x01020304);
    encode_u64(&bytes, UINT64_C(0x0102030405060708));
    encode_bool(&bytes, true);
    encode_bool(&bytes, false);
    check_u64("numbers", "length", bytes.len, sizeof want);
    assert_memory_equal(bytes.data, want, sizeof want);
    buf_release(&bytes);
}

static void test_numbers_come_back(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0,          1,          127,        128,        255,
                                       256,        0x7fffffff, 0x80000000, 0xffffffff, 1ULL << 32,
                                       1ULL << 53, INT64_MAX,  1ULL << 63, UINT64_MAX};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        char row[32];
        struct buf bytes;
        snprintf(row, sizeof row, "%" PRIu64, numbers[i]);
        buf_init(&bytes);
        encode_u8(&bytes, (unsigned)(numbers[i] & 0xff));
        encode_u32(&bytes, (uint32_t)numbers[i]);
        encode_u64(&bytes, numbers[i]);
        encode_i64(&bytes, (int64_t)numbers[i]);
        struct decoder d = decode_start(bytes.data, bytes.len);
        check_u64(row, "u8", decode_u8(&d), numbers[i] & 0xff);
        check_u64(row, "u32", decode_u32(&d), numbers[i] & 0xffffffff);
        check_u64(row, "u64", decode_u64(&d), numbers[i]);
        check_int(row, "i64", decode_i64(&d), (int64_t)numbers[i]);
        check_bool(row, "done", decode_done(&d), true);
        buf_release(&bytes);
    }
}

/* A table's keys are compared byte by byte: repository first, then number, then what follows. */
static void test_keys_sort_as_their_numbers_do(void **state)
{
    (void)state;
    static const struct pr_key keys[] = {{0, 1},   {1, 0},          {1, 255}, {1, 256},
                                         {1, 257}, {1, UINT64_MAX}, {256, 0}, {1ULL << 40, 7}};
    for (size_t i = 1; i < COUNT_OF(keys); i++) {
        char row[64];
        struct buf low, high;
        snprintf(row, sizeof row, "key %zu", i);
        buf_init(&low);
        buf_init(&high);
        encode_pr_key(&low, &keys[i - 1]);
        encode_pr_key(&high, &keys[i]);
        check_u64(row, "length", high.len, low.len);
        check_bool(row, "sorts behind", memcmp(low.data, high.data, low.len) < 0, true);
        buf_release(&low);
        buf_release(&high);
    }
}

/* ---- text ---------------------------------------------------------------------- */

static void test_text_is_checked_against_its_field_and_what_is_left(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *bytes;
        size_t len;
        size_t size;      /* of the field */
        const char *want; /* NULL: refused */
    } rows[] = {
        {"empty", "\0\0\0\0", 4, 1, ""},
        {"fits with its NUL", "\0\0\0\3abc", 7, 4, "abc"},
        {"UTF-8", "\0\0\0\2\xc3\xa9", 6, 8, "\xc3\xa9"},
        {"one longer than the field", "\0\0\0\4abcd", 8, 4, NULL},
        {"NUL inside", "\0\0\0\3a\0c", 7, 8, NULL},
        {"NUL at its end", "\0\0\0\3ab\0", 7, 8, NULL},
        {"longer than what is left", "\0\0\0\4abc", 7, 8, NULL},
        {"longest length",
         "\xff\xff\xff\xff"
         "abc",
         7, 8, NULL},
        {"cut in its length", "\0\0\0", 3, 8, NULL},
        {"nothing", "", 0, 8, NULL},
        {"something behind it", "\0\0\0\1ab", 6, 8, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char field[16];
        memset(field, '#', sizeof field);
        struct decoder d = decode_start(rows[i].bytes, rows[i].len);
        decode_text(&d, field, rows[i].size);
        check_bool(rows[i].name, "done", decode_done(&d), rows[i].want != NULL);
        if (rows[i].want != NULL)
            check_str(rows[i].name, "text", field, rows[i].want);
        check_bool(rows[i].name, "has an end", memchr(field, '\0', rows[i].size) != NULL, true);
        check_int(rows[i].name, "byte behind the field", field[rows[i].size], '#');
    }
}

static void test_text_of_any_length_comes_back(void **state)
{
    (void)state;
    char text[TITLE_SIZE], back[TITLE_SIZE];
    for (size_t len = 0; len < sizeof text; len++) {
        struct buf bytes;
        memset(text, 'x', len);
        text[len] = '\0';
        buf_init(&bytes);
        encode_text(&bytes, text);
        struct decoder d = decode_start(bytes.data, bytes.len);
        decode_text(&d, back, sizeof back);
        assert_true(decode_done(&d));
        check_str("length", "text", back, text);
        buf_release(&bytes);
    }
}

/* ---- choices ------------------------------------------------------------------- */

static void test_choice_out_of_range_is_refused(void **state)
{
    (void)state;
    for (unsigned value = 0; value < 256; value++) {
        char row[32];
        unsigned char byte = (unsigned char)value;
        snprintf(row, sizeof row, "byte %u", value);
        struct decoder choice = decode_start(&byte, 1), truth = decode_start(&byte, 1);
        check_u64(row, "choice", decode_below(&choice, 7), value < 7 ? value : 0);
        check_bool(row, "choice done", decode_done(&choice), value < 7);
        check_bool(row, "bool", decode_bool(&truth), value == 1);
        check_bool(row, "bool done", decode_done(&truth), value < 2);
    }
}

static void test_sha_is_checked(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t digits;
        char digit;
        bool good;
    } rows[] = {
        {"none", 0, 'a', true},        {"SHA-1", 40, 'a', true},     {"SHA-256", 64, '0', true},
        {"one short", 39, 'a', false}, {"one over", 41, 'a', false}, {"between", 63, 'a', false},
        {"no digit", 40, 'g', false},  {"a quote", 40, '"', false},  {"upper case", 40, 'A', true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf bytes;
        struct sha sha, back;
        memset(&back, '#', sizeof back);
        sha = sha_of(rows[i].digit, rows[i].digits);
        buf_init(&bytes);
        encode_sha(&bytes, &sha);
        struct decoder d = decode_start(bytes.data, bytes.len);
        decode_sha(&d, &back);
        check_bool(rows[i].name, "done", decode_done(&d), rows[i].good);
        check_u64(rows[i].name, "digits", strlen(back.hex), rows[i].good ? rows[i].digits : 0);
        buf_release(&bytes);
    }
}

/* ---- whole values -------------------------------------------------------------- */

static struct snapshot make_snapshot(void)
{
    struct snapshot snapshot = {.updated_at = -1, .head = sha_of('c', 64), .mergeable = MERGEABLE_YES};
    strcpy(snapshot.head_ref, "feature/\xe2\x98\x83");
    strcpy(snapshot.base_ref, "main");
    strcpy(snapshot.title, "\"quotes\" and <tags>\n");
    snapshot.author = (struct user){.id = UINT64_C(5000000000), .login = "dependabot[bot]", .bot = true};
    snapshot.closed = snapshot.labelled = true;
    return snapshot;
}

static void encode_all(struct buf *out)
{
    const struct snapshot snapshot = make_snapshot();
    const struct pr_key key = {.repo_id = 5, .number = 7};
    buf_init(out);
    encode_snapshot(out, &snapshot);
    encode_pr_key(out, &key);
    encode_bytes(out, "fixed", 5);
}

static bool decode_all(const unsigned char *bytes, size_t len, struct snapshot *snapshot)
{
    struct pr_key key;
    char fixed[5];
    struct decoder d = decode_start(bytes, len);
    decode_snapshot(&d, snapshot);
    decode_pr_key(&d, &key);
    decode_bytes(&d, fixed, sizeof fixed);
    return decode_done(&d) && key.repo_id == 5 && key.number == 7 && memcmp(fixed, "fixed", 5) == 0;
}

static void test_snapshot_comes_back_field_by_field(void **state)
{
    (void)state;
    struct buf bytes;
    struct snapshot want = make_snapshot(), got;
    memset(&got, 0x55, sizeof got);
    encode_all(&bytes);
    assert_true(decode_all(bytes.data, bytes.len, &got));
    check_int("snapshot", "updated_at", got.updated_at, want.updated_at);
    check_str("snapshot", "head", got.head.hex, want.head.hex);
    check_str("snapshot", "head_ref", got.head_ref, want.head_ref);
    check_str("snapshot", "base_ref", got.base_ref, want.base_ref);
    check_str("snapshot", "title", got.title, want.title);
    check_u64("snapshot", "author's id", got.author.id, want.author.id);
    check_str("snapshot", "author", got.author.login, want.author.login);
    check_bool("snapshot", "author is a bot", got.author.bot, true);
    check_bool("snapshot", "draft", got.draft, false);
    check_bool("snapshot", "closed", got.closed, true);
    check_bool("snapshot", "labelled", got.labelled, true);
    check_int("snapshot", "mergeable", got.mergeable, MERGEABLE_YES);
    buf_release(&bytes);
}

/* One at a time, so that none can be mistaken for its neighbour. */
static void test_flags_come_back_each_in_its_place(void **state)
{
    (void)state;
    for (unsigned flag = 0; flag < 5; flag++) {
        struct snapshot want = {.author.bot = flag == 0, .draft = flag == 1, .closed = flag == 2}, got;
        struct buf bytes;
        char row[32];
        want.labelled = flag == 3;
        want.mergeable = flag == 4 ? MERGEABLE_NO : MERGEABLE_UNKNOWN;
        snprintf(row, sizeof row, "flag %u", flag);
        memset(&got, 0x55, sizeof got);
        buf_init(&bytes);
        encode_snapshot(&bytes, &want);
        struct decoder d = decode_start(bytes.data, bytes.len);
        decode_snapshot(&d, &got);
        check_bool(row, "done", decode_done(&d), true);
        check_bool(row, "author is a bot", got.author.bot, flag == 0);
        check_bool(row, "draft", got.draft, flag == 1);
        check_bool(row, "closed", got.closed, flag == 2);
        check_bool(row, "labelled", got.labelled, flag == 3);
        check_int(row, "mergeable", got.mergeable, want.mergeable);
        buf_release(&bytes);
    }
}

static void test_mergeable_out_of_range_is_refused(void **state)
{
    (void)state;
    struct buf bytes;
    struct snapshot snapshot = make_snapshot(), back;
    buf_init(&bytes);
    encode_snapshot(&bytes, &snapshot);
    for (unsigned value = 0; value < 256; value++) {
        bytes.data[bytes.len - 1] = (unsigned char)value; /* it is the last field */
        struct decoder d = decode_start(bytes.data, bytes.len);
        decode_snapshot(&d, &back);
        check_bool("mergeable", "done", decode_done(&d), value <= MERGEABLE_YES);
    }
    buf_release(&bytes);
}

static void test_every_cut_fails(void **state)
{
    (void)state;
    struct buf bytes;
    struct snapshot snapshot;
    encode_all(&bytes);
    for (size_t len = 0; len <= bytes.len; len++) {
        unsigned char *copy = copy_of(&bytes, len);
        if (decode_all(copy, len, &snapshot) != (len == bytes.len))
            fail_msg("cut at %zu of %zu: got the opposite of what was wanted", len, bytes.len);
        free(copy);
    }
    buf_addc(&bytes, '\0');
    assert_false(decode_all(bytes.data, bytes.len, &snapshot));
    buf_release(&bytes);
}

static void test_decoder_that_failed_stays_failed_and_gives_nothing(void **state)
{
    (void)state;
    static const unsigned char bytes[32] = {[0] = 9, [4] = 1, [8] = 1, [31] = 1};
    char text[8], fixed[4] = "####";
    struct sha sha;
    struct user user;
    struct decoder d = decode_start(bytes, sizeof bytes);
    decode_below(&d, 2); /* 9 is not */
    check_u64("failed", "u8", decode_u8(&d), 0);
    check_u64("failed", "u32", decode_u32(&d), 0);
    check_u64("failed", "u64", decode_u64(&d), 0);
    check_bool("failed", "bool", decode_bool(&d), false);
    decode_text(&d, text, sizeof text);
    check_str("failed", "text", text, "");
    decode_sha(&d, &sha);
    check_str("failed", "sha", sha.hex, "");
    decode_user(&d, &user);
    check_str("failed", "login", user.login, "");
    decode_bytes(&d, fixed, sizeof fixed);
    assert_memory_equal(fixed, "\0\0\0\0", sizeof fixed);
    check_bool("failed", "done", decode_done(&d), false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_are_big_endian),
        cmocka_unit_test(test_numbers_come_back),
        cmocka_unit_test(test_keys_sort_as_their_numbers_do),
        cmocka_unit_test(test_text_is_checked_against_its_field_and_what_is_left),
        cmocka_unit_test(test_text_of_any_length_comes_back),
        cmocka_unit_test(test_choice_out_of_range_is_refused),
        cmocka_unit_test(test_sha_is_checked),
        cmocka_unit_test(test_snapshot_comes_back_field_by_field),
        cmocka_unit_test(test_flags_come_back_each_in_its_place),
        cmocka_unit_test(test_mergeable_out_of_range_is_refused),
        cmocka_unit_test(test_every_cut_fails),
        cmocka_unit_test(test_decoder_that_failed_stays_failed_and_gives_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
