#include "prgate/text.h"

#include <math.h>

#include "check.h"
#include "prgate/buf.h"

#define X10 "xxxxxxxxxx"
#define X39 X10 X10 X10 "xxxxxxxxx"
#define X50 X10 X10 X10 X10 X10
#define X100 X50 X50
#define X200 X100 X100

static void copying(void **state)
{
    static const struct {
        const char *name;
        const char *from;
        size_t size;
        bool fits;
        const char *copied;
        const char *cut;
    } rows[] = {
        {"empty", "", 4, true, "", ""},
        {"exactly", "abc", 4, true, "abc", "abc"},
        {"one too long", "abcd", 4, false, "", "abc"},
        {"room for the NUL only", "a", 1, false, "", ""},
        {"two-byte sequence at the end", "ab\xc3\xa9", 4, false, "", "ab"},
        {"two-byte sequence fits", "a\xc3\xa9z", 4, false, "", "a\xc3\xa9"},
        {"three-byte sequence, one byte missing", "a\xe2\x82\xac", 4, false, "", "a"},
        {"four-byte sequence, one byte missing", "\xf0\x9f\x9a\x80", 4, false, "", ""},
        {"four-byte sequence fits", "\xf0\x9f\x9a\x80z", 5, false, "", "\xf0\x9f\x9a\x80"},
        {"only continuation bytes", "\x80\x80\x80\x80\x80\x80", 4, false, "", "\x80\x80\x80"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char to[16] = "untouched";
        check_bool(rows[i].name, "text_copy", text_copy(to, rows[i].size, rows[i].from), rows[i].fits);
        check_str(rows[i].name, "text_copy's text", to, rows[i].copied);
        text_copy_cut(to, rows[i].size, rows[i].from);
        check_str(rows[i].name, "text_copy_cut", to, rows[i].cut);
    }
}

static void copying_to_nothing_touches_nothing(void **state)
{
    char to[] = "x";
    (void)state;
    assert_false(text_copy(to, 0, "a"));
    text_copy_cut(to, 0, "a");
    check_str("size 0", "to", to, "x");
}

static void utf8(void **state)
{
    static const struct {
        const char *name;
        const char *bytes;
        size_t len;
        bool valid;
        size_t count;
    } rows[] = {
        {"empty", "", 0, true, 0},
        {"ASCII", "abc", 3, true, 3},
        {"NUL is a character", "a\0b", 3, true, 1},
        {"smallest of two bytes", "\xc2\x80", 2, true, 1},
        {"largest of two bytes", "\xdf\xbf", 2, true, 1},
        {"smallest of three bytes", "\xe0\xa0\x80", 3, true, 1},
        {"before the surrogates", "\xed\x9f\xbf", 3, true, 1},
        {"first surrogate", "\xed\xa0\x80", 3, false, 3},
        {"last surrogate", "\xed\xbf\xbf", 3, false, 3},
        {"after the surrogates", "\xee\x80\x80", 3, true, 1},
        {"largest of three bytes", "\xef\xbf\xbf", 3, true, 1},
        {"smallest of four bytes", "\xf0\x90\x80\x80", 4, true, 1},
        {"largest", "\xf4\x8f\xbf\xbf", 4, true, 1},
        {"above the largest", "\xf4\x90\x80\x80", 4, false, 4},
        {"five-byte lead", "\xf8\x88\x80\x80\x80", 5, false, 5},
        {"overlong slash, two bytes", "\xc0\xaf", 2, false, 2},
        {"overlong slash, three bytes", "\xe0\x80\xaf", 3, false, 3},
        {"overlong, four bytes", "\xf0\x80\x80\xaf", 4, false, 4},
        {"lone continuation", "\x80", 1, false, 1},
        {"cut after one of two", "a\xc3", 2, false, 2},
        {"cut after three of four", "\xf0\x9f\x9a", 3, false, 3},
        {"lead followed by ASCII", "\xc3(", 2, false, 2},
        {"0xff", "\xff", 1, false, 1},
        {"Latin-1", "caf\xe9", 4, false, 4},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        check_bool(rows[i].name, "valid", text_utf8_valid(rows[i].bytes, rows[i].len), rows[i].valid);
        check_u64(rows[i].name, "count", text_utf8_count(rows[i].bytes), rows[i].count);
    }
}

/* ASCII is stepped over eight bytes at a time: whatever is not must be seen wherever it stands, and to the last byte. */
static void utf8_amid_ascii(void **state)
{
    static const struct {
        const char *name;
        const char *bytes;
        bool valid;
    } rows[] = {{"two bytes", "\xc3\xa9", true},
                {"four bytes", "\xf0\x9f\x9a\x80", true},
                {"lone continuation", "\x80", false},
                {"Latin-1", "\xe9", false}};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t len = strlen(rows[i].bytes);
        for (size_t at = 0; at + len <= 32; at++)
            for (size_t end = at + len; end <= 32; end++) {
                char text[32];
                memset(text, 'a', sizeof text);
                memcpy(text + at, rows[i].bytes, len);
                check_bool(rows[i].name, "valid", text_utf8_valid(text, end), rows[i].valid);
            }
    }
}

typedef bool predicate(const char *text);

struct predicate_row {
    const char *name;
    const char *text;
    bool want;
};

static void check_rows(predicate *is, const struct predicate_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        check_bool(rows[i].name, rows[i].text, is(rows[i].text), rows[i].want);
}

static void repo_names(void **state)
{
    static const struct predicate_row rows[] = {
        {"plain", "octo-labs/widget", true},
        {"all kinds of characters", "A-9/a.B_c-1", true},
        {"managed user's underscore", "jane_corp/x", true},
        {"longest", X39 "/" X100, true},
        {"owner too long", X39 "x/a", false},
        {"name too long", "a/" X100 "x", false},
        {"empty", "", false},
        {"no slash", "widget", false},
        {"no owner", "/widget", false},
        {"no name", "octo/", false},
        {"two slashes", "octo/a/b", false},
        {"climbs", "octo/..", false},
        {"climbs from the owner", "../etc", false},
        {"stays", "octo/.", false},
        {"starts with a dot", "octo/.github", true},
        {"blank", "octo/a b", false},
        {"line break", "octo/a\r\nX: y", false},
        {"quote", "octo/a\"b", false},
        {"percent", "octo/%2e%2e", false},
        {"not ASCII", "octo/caf\xc3\xa9", false},
        {"star", "octo/*", false},
    };
    (void)state;
    check_rows(text_is_repo_name, rows, COUNT_OF(rows));
}

static void owners_and_logins(void **state)
{
    static const struct predicate_row owners[] = {
        {"plain", "octo-labs", true},      {"longest", X39, true},
        {"too long", X39 "x", false},      {"empty", "", false},
        {"slash", "a/b", false},           {"dot", "a.b", false},
        {"bot's suffix", "a[bot]", false},
    };
    static const struct predicate_row logins[] = {
        {"plain", "octocat", true},
        {"bot", "dependabot[bot]", true},
        {"managed user", "jane_corp", true},
        {"only the suffix", "[bot]", false},
        {"suffix twice", "a[bot][bot]", false},
        {"suffix inside", "a[bot]b", false},
        {"longest", X50 "xxxxxxxxxxxxxx", true},
        {"too long", X50 "xxxxxxxxxxxxxxx", false},
        {"empty", "", false},
        {"climbs", "../admin", false},
        {"line break", "a\nb", false},
        {"blank", "a b", false},
    };
    (void)state;
    check_rows(text_is_owner_name, owners, COUNT_OF(owners));
    check_rows(text_is_login, logins, COUNT_OF(logins));
}

static void refs(void **state)
{
    static const struct predicate_row rows[] = {
        {"plain", "main", true},
        {"directories", "feature/a/b", true},
        {"not ASCII", "f\xc3\xbcr/alle", true},
        {"at inside", "a@b", true},
        {"dash first", "-x", true},
        {"dollar and quotes", "$(id)'\"", true},
        {"longest", X200 X50 "xxxxx", true},
        {"too long", X200 X50 "xxxxxx", false},
        {"empty", "", false},
        {"only at", "@", false},
        {"at brace", "a@{1}", false},
        {"two dots", "a..b", false},
        {"dot last", "a.", false},
        {"dot first", ".a", false},
        {"dot first in a part", "a/.b", false},
        {"lock", "a.lock", false},
        {"lock in a part", "a.lock/b", false},
        {"lock alone", "lock", true},
        {"slash first", "/a", false},
        {"slash last", "a/", false},
        {"two slashes", "a//b", false},
        {"blank", "a b", false},
        {"line break", "a\r\nb", false},
        {"DEL", "a\x7f", false},
        {"tilde", "a~1", false},
        {"caret", "a^", false},
        {"colon", "a:b", false},
        {"question mark", "a?", false},
        {"star", "a*", false},
        {"bracket", "a[0]", false},
        {"backslash", "a\\b", false},
        {"not UTF-8", "a\xff", false},
    };
    (void)state;
    check_rows(text_is_ref, rows, COUNT_OF(rows));
}

static void labels_and_deliveries(void **state)
{
    static const struct predicate_row labels[] = {
        {"plain", "CICD", true},
        {"blanks, quotes, emoji", "say \"go\" \xf0\x9f\x9a\x80", true},
        {"longest", X200, true},
        {"too long", X200 "x", false},
        {"empty", "", false},
        {"line break", "a\nb", false},
        {"tab", "a\tb", false},
        {"DEL", "\x7f", false},
        {"C1 control", "a\xc2\x85", false},
        {"no-break space", "a\xc2\xa0", true},
        {"not UTF-8", "a\xc3", false},
    };
    static const struct predicate_row deliveries[] = {
        {"GUID", "72d3162e-cc78-11e3-81ab-4c9367dc0958", true},
        {"longest", X50 "xxxxxxxxxxxxxx", true},
        {"too long", X50 "xxxxxxxxxxxxxxx", false},
        {"empty", "", false},
        {"underscore", "a_b", false},
        {"line break", "a\n", false},
        {"path", "../x", false},
    };
    (void)state;
    check_rows(text_is_label, labels, COUNT_OF(labels));
    check_rows(text_is_delivery, deliveries, COUNT_OF(deliveries));
}

static void folding(void **state)
{
    static const struct {
        const char *name;
        const char *a;
        const char *b;
        bool equal;
    } rows[] = {
        {"same", "abc", "abc", true},
        {"case", "CiCd", "cIcD", true},
        {"empty", "", "", true},
        {"prefix", "abc", "abcd", false},
        {"longer", "abcd", "abc", false},
        {"neighbours of letters", "@[", "`{", false},
        {"not ASCII keeps its case", "\xc3\x84", "\xc3\xa4", false},
        {"not ASCII, same", "\xc3\x84X", "\xc3\x84x", true},
    };
    char text[] = "MiXed-09@[\xc3\x84";
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_bool(rows[i].name, "text_equal_fold", text_equal_fold(rows[i].a, rows[i].b), rows[i].equal);
    text_fold(text);
    check_str("text_fold", "text", text, "mixed-09@[\xc3\x84");
}

static void numbers(void **state)
{
    static const struct {
        const char *name;
        const char *text;
        uint64_t max;
        bool good;
        uint64_t value;
    } rows[] = {
        {"zero", "0", 10, true, 0},
        {"at the limit", "10", 10, true, 10},
        {"over the limit", "11", 10, false, 0},
        {"limit below a digit", "9", 5, false, 0},
        {"leading zeros", "007", 10, true, 7},
        {"over 2^31", "10404216443", UINT64_MAX, true, UINT64_C(10404216443)},
        {"largest", "18446744073709551615", UINT64_MAX, true, UINT64_MAX},
        {"one over the largest", "18446744073709551616", UINT64_MAX, false, 0},
        {"far over the largest", "99999999999999999999999", UINT64_MAX, false, 0},
        {"empty", "", 10, false, 0},
        {"plus", "+1", 10, false, 0},
        {"minus", "-1", 10, false, 0},
        {"blank before", " 1", 10, false, 0},
        {"blank behind", "1 ", 10, false, 0},
        {"hex", "0x1", 10, false, 0},
        {"fraction", "1.0", 10, false, 0},
        {"only zero allowed", "0", 0, true, 0},
        {"only zero allowed, one", "1", 0, false, 0},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t value = 4711;
        check_bool(rows[i].name, "good", text_to_u64(rows[i].text, rows[i].max, &value), rows[i].good);
        check_u64(rows[i].name, "value", value, rows[i].good ? rows[i].value : 4711);
    }
}

static void times(void **state)
{
    static const struct {
        const char *name;
        const char *text;
        int64_t seconds;
    } rows[] = {
        {"epoch", "1970-01-01T00:00:00Z", 0},
        {"billion", "2001-09-09T01:46:40Z", 1000000000},
        {"leap day", "2024-02-29T23:59:59Z", 1709251199},
        {"day after", "2024-03-01T00:00:00Z", 1709251200},
        {"leap day of a fourth century", "2000-02-29T12:00:00Z", 951825600},
        {"end of a year", "2023-12-31T23:59:59Z", 1704067199},
        {"after 2^31", "2038-01-19T03:14:08Z", INT64_C(2147483648)},
        {"after 2100-02-28", "2100-03-01T00:00:00Z", INT64_C(4107542400)},
        {"last", "9999-12-31T23:59:59Z", INT64_C(253402300799)},
        {"no leap day in 2023", "2023-02-29T00:00:00Z", -1},
        {"no leap day in 2100", "2100-02-29T00:00:00Z", -1},
        {"April 31st", "2024-04-31T00:00:00Z", -1},
        {"month 0", "2024-00-01T00:00:00Z", -1},
        {"month 13", "2024-13-01T00:00:00Z", -1},
        {"day 0", "2024-01-00T00:00:00Z", -1},
        {"hour 24", "2024-01-01T24:00:00Z", -1},
        {"minute 60", "2024-01-01T00:60:00Z", -1},
        {"second 60", "2016-12-31T23:59:60Z", -1},
        {"before the epoch", "1969-12-31T23:59:59Z", -1},
        {"fraction", "2024-01-31T12:00:00.5Z", -1},
        {"zone", "2024-01-31T12:00:00+00:00", -1},
        {"no Z", "2024-01-31T12:00:00", -1},
        {"lower case", "2024-01-31t12:00:00z", -1},
        {"blank for T", "2024-01-31 12:00:00Z", -1},
        {"signs for digits", "2024-+1-31T12:00:00Z", -1},
        {"something behind", "2024-01-31T12:00:00Zx", -1},
        {"empty", "", -1},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char back[TEXT_TIME_SIZE];
        check_int(rows[i].name, "text_to_time", text_to_time(rows[i].text), rows[i].seconds);
        if (rows[i].seconds < 0)
            continue;
        text_from_time(rows[i].seconds, back);
        check_str(rows[i].name, "text_from_time", back, rows[i].text);
    }
}

static void every_day_survives_the_round_trip(void **state)
{
    (void)state;
    for (int64_t day = 0; day < 2932897; day++) { /* up to the end of 9999 */
        char text[TEXT_TIME_SIZE];
        int64_t seconds = day * 86400 + day % 86400;
        text_from_time(seconds, text);
        check_int(text, "seconds", text_to_time(text), seconds);
    }
}

static void times_out_of_range_are_clamped(void **state)
{
    char text[TEXT_TIME_SIZE];
    (void)state;
    text_from_time(INT64_MIN, text);
    check_str("smallest", "text", text, "1970-01-01T00:00:00Z");
    text_from_time(INT64_MAX, text);
    check_str("largest", "text", text, "9999-12-31T23:59:59Z");
}

static void hex(void **state)
{
    static const unsigned char bytes[] = {0x00, 0x7f, 0x80, 0xff, 0xa5};
    static const struct {
        const char *name;
        const char *hex;
        bool good;
    } rows[] = {
        {"lower case", "007f80ffa5", true},
        {"upper case", "007F80FFA5", true},
        {"one digit short", "007f80ffa", false},
        {"a byte short", "007f80ff", false},
        {"a byte long", "007f80ffa500", false},
        {"no digit", "007f80ffag", false},
        {"empty", "", false},
    };
    char text[2 * sizeof bytes + 1];
    (void)state;
    text_hex(bytes, sizeof bytes, text);
    check_str("text_hex", "text", text, "007f80ffa5");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned char got[sizeof bytes] = {1, 1, 1, 1, 1};
        static const unsigned char untouched[sizeof bytes] = {1, 1, 1, 1, 1};
        check_bool(rows[i].name, "good", text_unhex(rows[i].hex, got, sizeof got), rows[i].good);
        check_int(rows[i].name, "difference", memcmp(got, rows[i].good ? bytes : untouched, sizeof got), 0);
    }
}

typedef void escaper(struct buf *out, const char *text);

struct escape_row {
    const char *name;
    const char *text;
    const char *want;
};

static void check_escapes(escaper *add, const struct escape_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct buf out;
        buf_init(&out);
        add(&out, rows[i].text);
        check_str(rows[i].name, "escaped", buf_text(&out), rows[i].want);
        buf_release(&out);
    }
}

static void url_escapes(void **state)
{
    static const struct escape_row rows[] = {
        {"unreserved", "AZaz09-._~", "AZaz09-._~"},
        {"separators", "a/b?c#d&e=f+g", "a%2Fb%3Fc%23d%26e%3Df%2Bg"},
        {"blank, percent, quote", " %\"", "%20%25%22"},
        {"UTF-8", "\xf0\x9f\x9a\x80", "%F0%9F%9A%80"},
        {"line break", "\r\n", "%0D%0A"},
        {"empty", "", ""},
    };
    (void)state;
    check_escapes(text_add_url, rows, COUNT_OF(rows));
}

static void html_escapes(void **state)
{
    static const struct escape_row rows[] = {
        {"markup", "<a href=\"x\" b='y'>&</a>", "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;&lt;/a&gt;"},
        {"blanks stay", "a\t\r\nb", "a\t\r\nb"},
        {"UTF-8 stays", "\xc3\xa9", "\xc3\xa9"},
        {"controls", "\x01\x7f\xc2\x85", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"not UTF-8",
         "a\xff"
         "b",
         "a\xef\xbf\xbd"
         "b"},
    };
    (void)state;
    check_escapes(text_add_html, rows, COUNT_OF(rows));
}

static void json_escapes(void **state)
{
    static const struct escape_row rows[] = {
        {"quote and backslash", "a\"b\\c", "a\\\"b\\\\c"},
        {"blanks", "\t\r\n", "\\t\\r\\n"},
        {"controls", "\x01\x1f\x7f", "\\u0001\\u001f\\u007f"},
        {"slash and angle stay", "</>", "</>"},
        {"UTF-8 stays", "\xc3\xa9", "\xc3\xa9"},
        {"line separator", "\xe2\x80\xa8", "\\u2028"},
        {"not UTF-8", "\xc3", "\xef\xbf\xbd"},
    };
    (void)state;
    check_escapes(text_add_json, rows, COUNT_OF(rows));
}

static void log_escapes(void **state)
{
    static const struct escape_row rows[] = {
        {"plain word", "octo-labs/widget#7", "octo-labs/widget#7"},
        {"bot", "dependabot[bot]", "dependabot[bot]"},
        {"empty", "", "\"\""},
        {"blank", "a b", "\"a b\""},
        {"would add a field", "x level=error", "\"x level=error\""},
        {"equal sign", "a=b", "\"a=b\""},
        {"quote and backslash", "a\"\\", "\"a\\\"\\\\\""},
        {"would add a line", "a\nb", "\"a\\nb\""},
        {"escape sequence", "\x1b[2J", "\"\\u001b[2J\""},
        {"C1 control", "\xc2\x9b", "\"\\u009b\""},
        {"reverses text",
         "a\xe2\x80\xae"
         "b",
         "\"a\\u202eb\""},
        {"UTF-8", "caf\xc3\xa9", "\"caf\xc3\xa9\""},
        {"not UTF-8", "a\xff", "\"a\\xff\""},
    };
    (void)state;
    check_escapes(text_add_log, rows, COUNT_OF(rows));
}

static void numbers_of_json(void **state)
{
    static const struct {
        double number;
        int64_t want;
    } rows[] = {
        {0, 0},
        {-1.9, -1},
        {1764547200000.0, 1764547200000},
        {1e101, TEXT_INT_MAX},
        {-1e101, -TEXT_INT_MAX},
        {9007199254740991.0, 9007199254740991},
        {9007199254740992.0, TEXT_INT_MAX},
        {9007199254740994.0, TEXT_INT_MAX},
        {NAN, 0},
        {INFINITY, TEXT_INT_MAX},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(text_int64(rows[i].number), rows[i].want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copying),
        cmocka_unit_test(copying_to_nothing_touches_nothing),
        cmocka_unit_test(utf8),
        cmocka_unit_test(utf8_amid_ascii),
        cmocka_unit_test(repo_names),
        cmocka_unit_test(owners_and_logins),
        cmocka_unit_test(refs),
        cmocka_unit_test(labels_and_deliveries),
        cmocka_unit_test(folding),
        cmocka_unit_test(numbers),
        cmocka_unit_test(numbers_of_json),
        cmocka_unit_test(times),
        cmocka_unit_test(every_day_survives_the_round_trip),
        cmocka_unit_test(times_out_of_range_are_clamped),
        cmocka_unit_test(hex),
        cmocka_unit_test(url_escapes),
        cmocka_unit_test(html_escapes),
        cmocka_unit_test(json_escapes),
        cmocka_unit_test(log_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
