/*
 * The JSON that is written member by member.
 */
#include "check.h"

#include <cjson/cJSON.h>

#include "prgate/json.h"

static void test_objects_and_lists(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out);
    buf_adds(&out, "before ");
    json_begin(&out);
    json_text(&out, "text", "a");
    json_text(&out, "none", NULL);
    json_number(&out, "least", INT64_MIN);
    json_object(&out, "object");
    json_bool(&out, "yes", true);
    json_bool(&out, "no", false);
    json_object(&out, "empty");
    json_end(&out);
    json_end(&out);
    json_list(&out, "empty list");
    json_end_list(&out);
    json_list(&out, "list");
    json_element(&out, "");
    json_element(&out, "[");
    json_element(&out, "b");
    json_end_list(&out);
    json_text(&out, "last", "{");
    json_number(&out, "number", 0);
    json_end(&out);
    check_str("all", "text", buf_text(&out),
              "before {\"text\":\"a\",\"least\":-9223372036854775808,"
              "\"object\":{\"yes\":true,\"no\":false,\"empty\":{}},"
              "\"empty list\":[],\"list\":[\"\",\"[\",\"b\"],\"last\":\"{\",\"number\":0}");
    buf_release(&out);
}

static void test_empty_and_none_first(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out);
    json_begin(&out);
    json_text(&out, "none", NULL);
    json_end(&out);
    check_str("empty", "text", buf_text(&out), "{}");
    buf_release(&out);
}

/* What was written is read back as it was, or with U+FFFD in the place of what is not UTF-8. */
static void test_texts_are_read_back(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *want;
    } rows[] = {
        {"plain", "labeled", "labeled"},
        {"quotes and backslashes", "say \"no\" \\ \\\"", "say \"no\" \\ \\\""},
        {"control characters", "a\tb\nc\x01\x1f\x7f", "a\tb\nc\x01\x1f\x7f"},
        {"beyond ASCII", "\xc3\xa4\xf0\x9f\x9a\x80", "\xc3\xa4\xf0\x9f\x9a\x80"},
        {"not UTF-8",
         "a\xff"
         "b",
         "a\xef\xbf\xbd"
         "b"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out;
        buf_init(&out);
        json_begin(&out);
        json_text(&out, "text", rows[i].text);
        json_list(&out, "list");
        json_element(&out, rows[i].text);
        json_end_list(&out);
        json_end(&out);
        cJSON *tree = cJSON_Parse(buf_text(&out));
        check_str(rows[i].name, "member", cJSON_GetStringValue(cJSON_GetObjectItem(tree, "text")),
                  rows[i].want);
        check_str(rows[i].name, "element",
                  cJSON_GetStringValue(cJSON_GetArrayItem(cJSON_GetObjectItem(tree, "list"), 0)),
                  rows[i].want);
        cJSON_Delete(tree);
        buf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects_and_lists),
        cmocka_unit_test(test_empty_and_none_first),
        cmocka_unit_test(test_texts_are_read_back),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
