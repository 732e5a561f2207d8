/*
 * Templates: what they put out for what tree, that every value is escaped by where it stands, and that a malformed one is
 * an error.
 */
#include "check.h"

#include "page.h"

static const char values[] =
    "{\"a\":\"<b>\\\"'&\",\"n\":42,\"zero\":0,\"empty\":\"\",\"yes\":true,\"no\":false,\"nothing\":null,"
    "\"list\":[{\"a\":\"one\"},{\"b\":\"two\"}],\"words\":[\"x\",\"<y>\"],\"none\":[],\"o\":{\"a\":\"inner\","
    "\"p\":{\"q\":\"deep\"}},"
    "\"url\":\"https://x/?a=1&b=2\",\"js\":\"javascript:alert(1)\",\"data\":\" "
    "data:text/html,x\",\"host\":\"//evil\","
    "\"up\":\"../\",\"path\":\"a b/c?d&e=\\\"\",\"long\":\"JAVASCRIPT:x\",\"tab\":\"java\\tscript:x\"}";

static enum err_code render(const char *template, struct buf *out, struct err *err)
{
    cJSON *tree = cJSON_Parse(values);
    assert_non_null(tree);
    buf_init(out);
    enum err_code code = page_render(out, template, tree, err);
    cJSON_Delete(tree);
    return code;
}

static void test_template_puts_out_what_the_tree_has(void **state)
{
    (void)state;
    static const struct {
        const char *template, *want;
    } rows[] = {
        {"", ""},
        {"plain { } text", "plain { } text"},
        {"{{n}}", "42"},
        {"[{{missing}}{{nothing}}{{list}}{{yes}}]", "[]"},
        {"{{o.a}} {{o.p.q}} {{o.x}}.", "inner deep ."},
        {"{{!a comment}}x", "x"},
        {"{{#list}}[{{a}}{{b}}]{{/list}}", "[one][&lt;b&gt;&quot;&#39;&amp;two]"},
        {"{{#words}}{{.}},{{/words}}", "x,&lt;y&gt;,"},
        {"{{#o}}{{a}} {{p.q}} {{n}}{{/o}}", "inner deep 42"},
        {"{{#yes}}y{{/yes}}{{#no}}n{{/no}}{{#n}}N{{/n}}{{#o}}o{{/o}}", "yNo"},
        {"{{#zero}}0{{/zero}}{{#empty}}e{{/empty}}{{#none}}l{{/none}}{{#nothing}}x{{/"
         "nothing}}{{#missing}}m{{/missing}}",
         ""},
        {"{{^zero}}0{{/zero}}{{^empty}}e{{/empty}}{{^none}}l{{/none}}{{^nothing}}x{{/"
         "nothing}}{{^missing}}m{{/missing}}",
         "0elxm"},
        {"{{^yes}}y{{/yes}}{{^list}}l{{/list}}", ""},
        {"{{#list}}{{#yes}}{{^b}}-{{/b}}{{/yes}}{{/list}}", "-"},
        {"{{#a}}{{#a}}twice{{/a}}{{/a}}", "twice"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out;
        struct err err = {0};
        if (render(rows[i].template, &out, &err) != ERR_OK)
            fail_msg("%s: %s", rows[i].template, err.text);
        check_str(rows[i].template, "page", buf_text(&out), rows[i].want);
        buf_release(&out);
    }
}

static void test_value_is_escaped_by_where_it_stands(void **state)
{
    (void)state;
    static const struct {
        const char *template, *want;
    } rows[] = {
        {"<p>{{a}}</p>", "<p>&lt;b&gt;&quot;&#39;&amp;</p>"},
        {"<p title=\"{{a}}\">", "<p title=\"&lt;b&gt;&quot;&#39;&amp;\">"},
        {"<p class=\"x{{#yes}} y{{/yes}}\" title=\"{{a}}\">{{a}}",
         "<p class=\"x y\" title=\"&lt;b&gt;&quot;&#39;&amp;\">&lt;b&gt;&quot;&#39;&amp;"},
        {"<a href=\"/x?q={{%path}}\">", "<a href=\"/x?q=a%20b%2Fc%3Fd%26e%3D%22\">"},
        {"{{%path}}", "a%20b%2Fc%3Fd%26e%3D%22"},
        {"<a href=\"{{url}}\">", "<a href=\"https://x/?a=1&amp;b=2\">"},
        {"<a href=\"{{up}}x/{{%n}}\">", "<a href=\"../x/42\">"},
        {"<a href=\"{{empty}}x\">", "<a href=\"x\">"},
        {"<a href=\"{{js}}\">", "<a href=\"#\">"},
        {"<a href=\"{{long}}\">", "<a href=\"#\">"},
        {"<a href=\"{{tab}}\">", "<a href=\"#\">"},
        {"<a href=\"{{data}}\">", "<a href=\"#\">"},
        {"<a href=\"{{host}}\">", "<a href=\"#\">"},
        {"<form action=\"{{js}}\">", "<form action=\"#\">"},
        {"<a href=\"x\" title=\"{{js}}\">{{js}}",
         "<a href=\"x\" title=\"javascript:alert(1)\">javascript:alert(1)"},
        {"<a href=\"#\">{{url}}</a>", "<a href=\"#\">https://x/?a=1&amp;b=2</a>"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out;
        struct err err = {0};
        if (render(rows[i].template, &out, &err) != ERR_OK)
            fail_msg("%s: %s", rows[i].template, err.text);
        check_str(rows[i].template, "page", buf_text(&out), rows[i].want);
        buf_release(&out);
    }
}

static void test_malformed_template_is_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *template, *want;
    } rows[] = {
        {"{{a", "no end of a tag"},
        {"{{}}", "a name that is empty or too long"},
        {"{{#}}{{/}}", "a name that is empty or too long"},
        {"{{aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}}", "too long"},
        {"{{#a}}", "a section without an end: {{a}}"},
        {"{{#a}}{{/n}}", "ends another section: {{n}}"},
        {"{{/a}}", "ends a section that does not begin: {{a}}"},
        {"{{>nowhere}}", "no such template: {{nowhere}}"},
        {"<{{a}}>", "inside of a tag"},
        {"<p {{a}}>", "inside of a tag"},
        {"<p title={{a}}>", "inside of a tag"},
        {"<p title='{{a}}'>", "inside of a tag"},
        {"<p onclick=\"{{a}}\">", "an attribute that takes none"},
        {"<p style=\"{{a}}\">", "an attribute that takes none"},
        {"<img src=\"{{url}}\">", "an attribute that takes none"},
        {"<a href=\"/{{a}}\">", "not marked with %: {{a}}"},
        {"<a href=\"{{up}}{{a}}\">", "not marked with %: {{a}}"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out;
        struct err err = {0};
        check_int(rows[i].template, "code", render(rows[i].template, &out, &err), ERR_FATAL);
        check_contains(rows[i].template, "error", err.text, rows[i].want);
        buf_release(&out);
    }
}

/* All of them, with every section that can be left out: an empty tree, and one that has everything of the same name. */
static void test_own_templates_are_well_formed(void **state)
{
    (void)state;
    static const char *const names[] = {"diagram", "error", "foot", "head", "pull", "rows", "status"};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct buf out;
        struct err err = {0};
        const char *text = templates_find(names[i]);
        assert_non_null(text);
        if (render(text, &out, &err) != ERR_OK)
            fail_msg("%s: %s", names[i], err.text);
        buf_release(&out);
        check_bool(names[i], "has a style or script of its own",
                   strstr(text, "<style") != NULL || strstr(text, "<script") != NULL ||
                       strstr(text, " style=") != NULL,
                   false);
        check_bool(names[i], "leads to somebody else", strstr(text, "//") != NULL, false);
    }
    assert_null(templates_find("nowhere"));
    check_contains("style", "sheet", templates_style(), "prefers-color-scheme: dark");
    check_bool("style", "leads to somebody else", strstr(templates_style(), "url(") != NULL, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_template_puts_out_what_the_tree_has),
        cmocka_unit_test(test_value_is_escaped_by_where_it_stands),
        cmocka_unit_test(test_malformed_template_is_an_error),
        cmocka_unit_test(test_own_templates_are_well_formed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
