#include "check.h"

#include <stdio.h>

#include "prgate/glob.h"

static const struct {
    const char *pattern;
    const char *text;
    bool fits;
} rows[] = {
    {"main", "main", true},
    {"main", "Main", false},
    {"main", "main2", false},
    {"main", "mai", false},
    {"", "", true},
    {"", "a", false},
    {"a", "", false},
    {"*", "", true},
    {"*", "abc", true},
    {"*", "a/b", false},
    {"?", "a", true},
    {"?", "/", false},
    {"?", "", false},
    {"a?c", "abc", true},
    {"*.c", "x.c", true},
    {"*.c", "x.cc", false},
    {"*.c", "core/x.c", false},
    {"core/*.c", "core/x.c", true},
    {"core/*.c", "core/deep/x.c", false},
    {"release-*", "release-1.2", true},
    {"release-*", "release-", true},
    {"release-*", "my-release-1", false},
    {"release/*", "release/1", true},
    {"release/*", "release/1/2", false},
    {"flutter-*-candidate.*", "flutter-3.10-candidate.1", true},
    {"flutter-*-candidate.*", "flutter-3.10-candidate", false},
    {"*a*b*", "xxaxxbxx", true},
    {"*a*b*", "xxbxxaxx", false},
    {"*ab", "aab", true},
    {"*aab", "aaaab", true},
    {"**", "a/b/c", true},
    {"**", "", true},
    {"**/x.c", "x.c", true},
    {"**/x.c", "a/x.c", true},
    {"**/x.c", "a/b/x.c", true},
    {"**/x.c", "a/bx.c", false},
    {"**/x.c", "x.c/y", false},
    {"lib/**", "lib/a", true},
    {"lib/**", "lib/a/b/c", true},
    {"lib/**", "lib", false},
    {"lib/**", "libs/a", false},
    {"lib/**/*.dart", "lib/a.dart", true},
    {"lib/**/*.dart", "lib/a/b/c.dart", true},
    {"lib/**/*.dart", "lib/a/b/c.dart.txt", false},
    {"lib/**/test/**/*_t.c", "lib/test/a_t.c", true},
    {"lib/**/test/**/*_t.c", "lib/x/y/test/z/w/a_t.c", true},
    {"lib/**/test/**/*_t.c", "lib/x/y/tests/z/w/a_t.c", false},
    {"lib/**/test/**/*_t.c", "lib/test/test/a_t.c/test/b_t.c", true},
    {"**/a/b", "a/a/b", true},
    {"**/a*/b", "a/b/ax/b", true},
    {"**/a*/b", "ab/c/b", false},
    {"a**b", "axxb", true}, /* no component by itself: as one star */
    {"a**b", "ax/xb", false},
    {"**b", "ab", true},
    {"**b", "a/b", false},
    {"a/**b", "a/c/b", false},
    {"[id].js", "[id].js", true}, /* brackets are no classes */
    {"[id].js", "i.js", false},
    {"a\\*", "a\\x", true}, /* and backslashes escape nothing */
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (glob_fits(rows[i].pattern, rows[i].text) != rows[i].fits)
            fail_msg("\"%s\" and \"%s\": got %d, want %d", rows[i].pattern, rows[i].text, !rows[i].fits,
                     rows[i].fits);
}

/* What the header says, letter by letter, and as slow as it comes. */
static bool fits_slowly(const char *whole, const char *pattern, const char *text)
{
    bool starts = pattern == whole || pattern[-1] == '/';
    if (*pattern == '\0')
        return *text == '\0';
    if (starts && strncmp(pattern, "**/", 3) == 0) {
        if (fits_slowly(whole, pattern + 3, text))
            return true;
        const char *slash = strchr(text, '/');
        return slash != NULL && fits_slowly(whole, pattern, slash + 1);
    }
    if (starts && strcmp(pattern, "**") == 0)
        return true;
    if (*pattern == '*')
        return fits_slowly(whole, pattern + 1, text) ||
               (*text != '\0' && *text != '/' && fits_slowly(whole, pattern, text + 1));
    return *text != '\0' && (*pattern == *text || (*pattern == '?' && *text != '/')) &&
           fits_slowly(whole, pattern + 1, text + 1);
}

static void from_number(unsigned number, const char *letters, unsigned count, char *out)
{
    for (; number > 0; number = (number - 1) / count)
        *out++ = letters[(number - 1) % count];
    *out = '\0';
}

/* Every pattern of up to 6 and every text of up to 6 letters: what going back forgets was not needed. */
static void test_against_the_definition(void **state)
{
    (void)state;
    char pattern[16], text[16];
    unsigned fitting = 0;
    for (unsigned p = 0; p < 1365; p++) { /* 4^0 + ... + 4^5 */
        from_number(p, "a/*?", 4, pattern);
        for (unsigned t = 0; t < 127; t++) {
            from_number(t, "a/", 2, text);
            bool want = fits_slowly(pattern, pattern, text);
            fitting += want ? 1 : 0;
            if (glob_fits(pattern, text) != want)
                fail_msg("\"%s\" and \"%s\": got %d, want %d", pattern, text, !want, want);
        }
    }
    assert_true(fitting > 1000);
}

/* With the time growing exponentially this would never end. */
static void test_many_stars(void **state)
{
    (void)state;
    char pattern[256] = "", text[4096];
    for (int i = 0; i < 60; i++)
        strcat(pattern, "*a");
    strcat(pattern, "b");
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_false(glob_fits(pattern, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_against_the_definition),
        cmocka_unit_test(test_many_stars),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
