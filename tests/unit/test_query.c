/* The filters in a URL: what is understood, and that nothing else does any harm. */
#include "check.h"

#include "query.h"

static void test_query_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *name, *query, *text, *repo;
        enum board_group group;
        uint64_t page;
        unsigned per_page;
    } rows[] = {
        {"none", NULL, "", "", BOARD_GROUP_END, 1, 50},
        {"empty", "", "", "", BOARD_GROUP_END, 1, 50},
        {"all", "q=a+b%20c&state=awaiting&repo=octo%2Frepo&page=3&per_page=7", "a b c", "octo/repo",
         BOARD_AWAITING, 3, 7},
        {"each group", "state=trouble", "", "", BOARD_TROUBLE, 1, 50},
        {"each group", "state=running", "", "", BOARD_RUNNING, 1, 50},
        {"not a group", "state=closed&state", "", "", BOARD_GROUP_END, 1, 50},
        {"empty ones", "q=&state=&repo=&page=", "", "", BOARD_GROUP_END, 1, 50},
        {"not numbers", "page=0&per_page=-1", "", "", BOARD_GROUP_END, 1, 50},
        {"too many", "per_page=1001&page=99999999999999999999", "", "", BOARD_GROUP_END, 1, 50},
        {"half an escape", "q=100%&repo=%2&page=%32", "100%", "%2", BOARD_GROUP_END, 2, 50},
        {"no escape", "q=%zz%4", "%zz%4", "", BOARD_GROUP_END, 1, 50},
        {"control characters", "q=a%00b%0ac%09d", "a b c d", "", BOARD_GROUP_END, 1, 50},
        {"others", "x=1&&=&=y&qq=z&q=w", "w", "", BOARD_GROUP_END, 1, 50},
        {"the last counts", "q=a&q=b", "b", "", BOARD_GROUP_END, 1, 50},
        {"an equals sign", "q=a=b", "a=b", "", BOARD_GROUP_END, 1, 50},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct board_query query;
        query_read(rows[i].query, 50, &query);
        check_str(rows[i].name, "q", query.text, rows[i].text);
        check_str(rows[i].name, "repo", query.repo, rows[i].repo);
        check_int(rows[i].name, "state", query.group, rows[i].group);
        check_u64(rows[i].name, "page", query.page, rows[i].page);
        check_u64(rows[i].name, "per_page", query.per_page, rows[i].per_page);
        check_bool(rows[i].name, "private", query.show_private, false);
    }
}

static void test_long_text_is_cut_between_characters(void **state)
{
    (void)state;
    char query[2000] = "q=";
    struct board_query out;
    for (int i = 0; i < 300; i++)
        strcat(query, "%C3%BC");
    query_read(query, 50, &out);
    check_u64("long", "length", strlen(out.text), (BOARD_TEXT_SIZE - 1) / 2 * 2);
    check_int("long", "last byte", (unsigned char)out.text[strlen(out.text) - 1], 0xbc);
}

static void test_single_value(void **state)
{
    (void)state;
    static const struct {
        const char *name, *query, *want;
    } rows[] = {
        {"none", NULL, ""},
        {"empty", "", ""},
        {"alone", "code=abc", "abc"},
        {"among others", "xcode=1&codex=2&code=abc&state=d", "abc"},
        {"the first counts", "code=a&code=b", "a"},
        {"given as nothing", "code=&code=b", ""},
        {"without a value", "code&x=1", ""},
        {"decoded", "code=%61+b", "a b"},
        {"as long as it fits", "code=1234567", "1234567"},
        {"too long", "code=12345678", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char got[8] = "before";
        check_bool(rows[i].name, "given", query_get(rows[i].query, "code", got, sizeof got),
                   rows[i].want[0] != '\0');
        check_str(rows[i].name, "value", got, rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_query_is_read),
        cmocka_unit_test(test_single_value),
        cmocka_unit_test(test_long_text_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
