#include "prgate/buf.h"

#include <stdlib.h>

#include "check.h"

static void starts_empty(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b);
    check_u64("new", "len", b.len, 0);
    check_str("new", "text", buf_text(&b), "");
    buf_release(&b);
    check_bool("released", "data", b.data == NULL, true);
}

static void grows_across_its_first_size(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b);
    for (int i = 0; i < 10000; i++)
        buf_addc(&b, (char)('a' + i % 26));
    check_u64("grown", "len", b.len, 10000);
    for (int i = 0; i < 10000; i++)
        check_int("grown", "byte", b.data[i], 'a' + i % 26);
    buf_release(&b);
}

static void tight_one_leaves_little_over(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b);
    for (int i = 0; i < 10000; i += 10) {
        buf_add_tightly(&b, "0123456789", 10);
        check_bool("tight", "little is left", b.cap - b.len <= b.len / 8, true);
    }
    check_u64("tight", "len", b.len, 10000);
    check_int("tight", "start", memcmp(b.data, "01234567890123456789", 20), 0);
    check_int("tight", "end", b.data[9999], '9');
    buf_release(&b);
}

static void keeps_any_bytes(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b);
    buf_add(&b, "a\0b", 3);
    buf_add(&b, NULL, 0);
    buf_adds(&b, "c");
    check_u64("bytes", "len", b.len, 4);
    check_int("bytes", "difference", memcmp(b.data, "a\0bc", 4), 0);
    buf_release(&b);
}

static void numbers(void **state)
{
    static const struct {
        int64_t number;
        const char *want;
    } rows[] = {
        {0, "0"},
        {9, "9"},
        {10, "10"},
        {-1, "-1"},
        {INT64_C(1234567890123), "1234567890123"},
        {INT64_MAX, "9223372036854775807"},
        {INT64_MIN, "-9223372036854775808"},
    };
    struct buf b;
    (void)state;
    buf_init(&b);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        buf_clear(&b);
        buf_addi(&b, rows[i].number);
        check_str(rows[i].want, "text", buf_text(&b), rows[i].want);
    }
    buf_release(&b);
}

static void formats(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b);
    buf_addf(&b, "%s#%d", "octo/widget", 7);
    buf_addf(&b, "%s", "");
    buf_addf(&b, "%0300d", 1);
    check_u64("format", "len", b.len, strlen("octo/widget#7") + 300);
    check_int("format", "start", strncmp(buf_text(&b), "octo/widget#7000", 16), 0);
    check_int("format", "end", b.data[b.len - 1], '1');
    buf_release(&b);
}

static void text_does_not_count_its_nul(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b);
    buf_adds(&b, "ab");
    check_str("first", "text", buf_text(&b), "ab");
    buf_adds(&b, "cd");
    check_str("second", "text", buf_text(&b), "abcd");
    check_u64("second", "len", b.len, 4);
    buf_release(&b);
}

static void clear_keeps_the_memory(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b);
    buf_adds(&b, "something");
    size_t cap = b.cap;
    buf_clear(&b);
    check_u64("cleared", "len", b.len, 0);
    check_u64("cleared", "cap", b.cap, cap);
    check_str("cleared", "text", buf_text(&b), "");
    buf_release(&b);
}

static void reserve_does_not_change_the_length(void **state)
{
    struct buf b;
    (void)state;
    buf_init(&b);
    buf_adds(&b, "ab");
    memset(buf_reserve(&b, 1000), 'x', 1000);
    check_u64("reserved", "len", b.len, 2);
    check_bool("reserved", "room", b.cap >= 1002, true);
    buf_release(&b);
}

static void memory(void **state)
{
    (void)state;
    char *copy = mem_strdup("text");
    check_str("mem_strdup", "copy", copy, "text");
    copy = mem_grow(copy, 100);
    check_str("mem_grow", "kept", copy, "text");
    free(copy);
    void *none = mem_alloc(0);
    check_bool("mem_alloc", "of nothing", none != NULL, true);
    free(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_empty),
        cmocka_unit_test(grows_across_its_first_size),
        cmocka_unit_test(tight_one_leaves_little_over),
        cmocka_unit_test(keeps_any_bytes),
        cmocka_unit_test(numbers),
        cmocka_unit_test(formats),
        cmocka_unit_test(text_does_not_count_its_nul),
        cmocka_unit_test(clear_keeps_the_memory),
        cmocka_unit_test(reserve_does_not_change_the_length),
        cmocka_unit_test(memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
