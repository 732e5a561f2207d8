/*
 * How a check is named to GitHub, and what is made of the names that come back.
 */
#include "check.h"

#include <stdio.h>

#include "prgate/key.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define KEY_2                                                                                                \
    "a2d2f4ebf9b88561c76a6a332c6c5661" /* octo/repo is 5000000000, the second attempt for number 7 */

static void test_id_is_what_it_says(void **state)
{
    (void)state;
    static const struct pr_key pulls[] = {{5000000000, 7}, {1, 1}, {UINT64_MAX, UINT64_MAX}};
    static const unsigned attempts[] = {1, 2, UINT32_MAX};
    const struct sha head = {SHA_A};
    char id[CHECK_ID_SIZE];
    check_id_make(&pulls[0], &head, 2, id);
    check_str("pinned", "id", id, "7/2/" KEY_2);
    for (size_t i = 0; i < COUNT_OF(pulls); i++)
        for (size_t j = 0; j < COUNT_OF(attempts); j++) {
            uint64_t number = 0;
            uint32_t attempt = 0;
            check_id_make(&pulls[i], &head, attempts[j], id);
            check_bool(id, "is taken", check_id_parse(id, pulls[i].repo_id, &head, &number, &attempt), true);
            check_u64(id, "number", number, pulls[i].number);
            check_u64(id, "attempt", attempt, attempts[j]);
        }
}

static void test_no_other_is_taken(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        uint64_t repo_id;
        const char *head;
    } rows[] = {
        {"empty", "", 5000000000, SHA_A},
        {"a key alone", KEY_2, 5000000000, SHA_A},
        {"no key", "7/2/", 5000000000, SHA_A},
        {"no attempt", "7/" KEY_2, 5000000000, SHA_A},
        {"no number", "/2/" KEY_2, 5000000000, SHA_A},
        {"another number", "8/2/" KEY_2, 5000000000, SHA_A},
        {"another attempt", "7/1/" KEY_2, 5000000000, SHA_A},
        {"another repository", "7/2/" KEY_2, 5000000001, SHA_A},
        {"another commit", "7/2/" KEY_2, 5000000000, SHA_B},
        {"zeros in front", "07/2/" KEY_2, 5000000000, SHA_A},
        {"a sign", "+7/2/" KEY_2, 5000000000, SHA_A},
        {"a blank", " 7/2/" KEY_2, 5000000000, SHA_A},
        {"something behind it", "7/2/" KEY_2 "/", 5000000000, SHA_A},
        {"64 bits and more", "18446744073709551623/2/" KEY_2, 5000000000, SHA_A},
        {"32 bits and more", "7/4294967298/" KEY_2, 5000000000, SHA_A},
        {"a longer number than any", "000000000000000000000000000007/2/" KEY_2, 5000000000, SHA_A},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct sha head;
        uint64_t number = 99;
        uint32_t attempt = 98;
        assert_true(sha_parse(&head, rows[i].head));
        check_bool(rows[i].name, "is taken",
                   check_id_parse(rows[i].text, rows[i].repo_id, &head, &number, &attempt), false);
        check_u64(rows[i].name, "number", number, 99);
        check_u64(rows[i].name, "attempt", attempt, 98);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_id_is_what_it_says),
        cmocka_unit_test(test_no_other_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
