#include "check.h"

#include <stdio.h>

#include "prgate/template.h"

static const struct {
    const char *text;
    unsigned names;
    const char *bad; /* NULL: it is fine */
} checks[] = {
    {"", TEMPLATE_COMMON, NULL},
    {"Thanks.", TEMPLATE_COMMON, NULL},
    {"{author} {number} {repo} {base} {head} {sha} {label}", TEMPLATE_COMMON, NULL},
    {"{wanted_base}", TEMPLATE_OF_BASE, NULL},
    {"{person}", TEMPLATE_OF_EMERGENCY, NULL},
    {"{person}", TEMPLATE_COMMON, "{person}"},
    {"{wanted_base}", TEMPLATE_OF_EMERGENCY, "{wanted_base}"},
    {"a {{b}} c", TEMPLATE_COMMON, NULL},
    {"{{author}}", TEMPLATE_COMMON, NULL},
    {"Hello {autor}!", TEMPLATE_COMMON, "{autor}"},
    {"{Author}", TEMPLATE_COMMON, "{Author}"},
    {"{}", TEMPLATE_COMMON, "{}"},
    {"{ author}", TEMPLATE_COMMON, "{"},
    {"{author", TEMPLATE_COMMON, "{"},
    {"author}", TEMPLATE_COMMON, "}"},
    {"{author}}", TEMPLATE_COMMON, "}"},
    {"{{author}", TEMPLATE_COMMON, "}"},
    {"{", TEMPLATE_COMMON, "{"},
};

static void test_check(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        char bad[TEMPLATE_BAD_SIZE] = "";
        bool fine = template_check(checks[i].text, checks[i].names, bad);
        if (fine != (checks[i].bad == NULL) || (!fine && strcmp(bad, checks[i].bad) != 0))
            fail_msg("\"%s\": got %d \"%s\", want \"%s\"", checks[i].text, fine, bad,
                     checks[i].bad == NULL ? "(fine)" : checks[i].bad);
    }
}

static void test_a_long_name_is_cut(void **state)
{
    (void)state;
    char text[200] = "{", bad[TEMPLATE_BAD_SIZE];
    memset(text + 1, 'x', 150);
    text[151] = '}';
    assert_false(template_check(text, TEMPLATE_COMMON, bad));
    assert_int_equal(strlen(bad), TEMPLATE_BAD_SIZE - 1);
}

static void test_names(void **state)
{
    (void)state;
    char names[TEMPLATE_NAMES_SIZE];
    template_names(TEMPLATE_OF_BASE, names);
    assert_string_equal(names, "{author}, {number}, {repo}, {base}, {head}, {sha}, {label}, {wanted_base}");
    template_names((1U << TEMPLATE_NAME_END) - 1, names);
    assert_non_null(strstr(names, "{person}")); /* all of them fit */
}

static void check_filled(const char *text, const struct template_values *values, const char *want)
{
    struct buf out;
    buf_init(&out);
    template_fill(text, values, &out);
    if (strcmp(buf_text(&out), want) != 0)
        fail_msg("\"%s\": got \"%s\", want \"%s\"", text, buf_text(&out), want);
    buf_release(&out);
}

static void test_fill(void **state)
{
    (void)state;
    const struct template_values values = {.of = {[TEMPLATE_AUTHOR] = "octocat",
                                                  [TEMPLATE_NUMBER] = "42",
                                                  [TEMPLATE_REPO] = "octo/repo",
                                                  [TEMPLATE_BASE] = "master",
                                                  [TEMPLATE_HEAD] = "feature/x",
                                                  [TEMPLATE_SHA] = "0123456789ab",
                                                  [TEMPLATE_LABEL] = "CICD",
                                                  [TEMPLATE_WANTED_BASE] = "main",
                                                  [TEMPLATE_PERSON] = "dependabot[bot]"}};
    check_filled("Thanks, {author}! #{number} of {repo}.", &values, "Thanks, @octocat! #42 of `octo/repo`.");
    check_filled("{base} {head} {sha} {label} {wanted_base}", &values,
                 "`master` `feature/x` `0123456789ab` `CICD` `main`");
    check_filled("{person}", &values, "@dependabot[bot]");
    check_filled("{{author}} {{{author}}}", &values, "{author} {@octocat}");
    check_filled("{author}{author}", &values, "@octocat@octocat");
    check_filled("{autor} {", &values, "{autor} {");
    check_filled("", &values, "");
}

static void test_what_is_not_known_is_left_out(void **state)
{
    (void)state;
    const struct template_values none = {0};
    check_filled("a{base}b {author}", &none, "ab somebody");
}

/* A value is data: a brace in it is no name, and Markdown sees nothing but a code span. */
static void test_values_cannot_break_out(void **state)
{
    (void)state;
    struct template_values values = {.of = {[TEMPLATE_BASE] = "{author}"}};
    check_filled("{base}", &values, "`{author}`");
    values.of[TEMPLATE_BASE] = "x`@everybody`y";
    check_filled("{base}", &values, "`` x`@everybody`y ``");
    values.of[TEMPLATE_BASE] = "``";
    check_filled("{base}", &values, "``` `` ```");
    values.of[TEMPLATE_BASE] = "a\n\nb";
    check_filled("{base}", &values, "`a  b`");
    values.of[TEMPLATE_AUTHOR] = "x [y](https://evil.example)";
    check_filled("{author}", &values, "`x [y](https://evil.example)`");
    values.of[TEMPLATE_LABEL] = "<img src=x> @octo/team";
    check_filled("{label}", &values, "`<img src=x> @octo/team`");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_a_long_name_is_cut),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_what_is_not_known_is_left_out),
        cmocka_unit_test(test_values_cannot_break_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
