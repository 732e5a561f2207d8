#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/buf.h"
#include "prgate/tree.h"

static void test_reads_what_cjson_reads(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1,2.5,{\"b\":\"\\u00e9\\n\"}],\"\":null,\"c\":true} tail";
    const char *stop;
    cJSON *root = tree_parse(text, sizeof text - 1, &stop);
    assert_non_null(root);
    assert_string_equal(stop, " tail");
    char *printed = cJSON_PrintUnformatted(root);
    assert_string_equal(printed, "{\"a\":[1,2.5,{\"b\":\"\xc3\xa9\\n\"}],\"\":null,\"c\":true}");
    free(printed);
    tree_free(root);
    tree_free(NULL);
}

static void test_what_is_no_json_leaves_nothing_behind(void **state)
{
    (void)state;
    static const char *const rows[] = {"",    "{",    "[1,{\"a\":\"b\"},", "{\"a\":\"\\ud800\"}", "[\"abc",
                                       "nul", "[1 2]"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *stop = NULL;
        assert_null(tree_parse(rows[i], strlen(rows[i]), &stop));
        assert_null(tree_parse(rows[i], strlen(rows[i]), NULL));
    }
}

/* Blocks end amid values, and a string longer than a block has one to itself. */
static void test_larger_than_a_block(void **state)
{
    (void)state;
    enum { VALUES = 5000, LONG = 300000 };
    struct buf text;
    buf_init(&text);
    buf_addc(&text, '[');
    for (int i = 0; i < VALUES; i++)
        buf_addf(&text, "{\"name\":\"value %d\",\"at\":%d},", i, i);
    buf_addc(&text, '"');
    for (int i = 0; i < LONG; i++)
        buf_addc(&text, (char)('a' + i % 26));
    buf_adds(&text, "\",\"last\"]");

    cJSON *root = tree_parse((const char *)text.data, text.len, NULL);
    assert_int_equal(cJSON_GetArraySize(root), VALUES + 2);
    int at = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, root)
    {
        char want[32];
        snprintf(want, sizeof want, "value %d", at);
        if (at < VALUES) {
            assert_string_equal(cJSON_GetObjectItemCaseSensitive(item, "name")->valuestring, want);
            assert_int_equal(cJSON_GetObjectItemCaseSensitive(item, "at")->valueint, at);
        }
        at++;
    }
    const char *letters = cJSON_GetArrayItem(root, VALUES)->valuestring;
    assert_int_equal(strlen(letters), LONG);
    assert_int_equal(letters[LONG - 1], 'a' + (LONG - 1) % 26);
    assert_string_equal(cJSON_GetArrayItem(root, VALUES + 1)->valuestring, "last");
    tree_free(root);
    buf_release(&text);
}

static void test_members_are_found_by_path(void **state)
{
    (void)state;
    static const char text[] =
        "{\"head\":{\"sha\":\"a\",\"shadow\":1,\"repo\":null},\"heading\":2,\"list\":[{\"x\":1}],\"he\":3}";
    static const struct {
        const char *path, *printed; /* NULL: none */
    } rows[] = {
        {"head.sha", "\"a\""},  {"head.shadow", "1"}, {"head.repo", "null"},
        {"heading", "2"},       {"he", "3"},          {"h", NULL},
        {"head.s", NULL},       {"head.Sha", NULL},   {"list.x", NULL},
        {"head.repo.id", NULL}, {"head.sha.x", NULL}, {"", NULL},
        {"head.", NULL},        {".head", NULL},      {"heads", NULL},
    };
    cJSON *root = tree_parse(text, sizeof text - 1, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const cJSON *found = tree_find(root, rows[i].path);
        char *printed = found == NULL ? NULL : cJSON_PrintUnformatted(found);
        if (rows[i].printed == NULL)
            assert_null(printed);
        else
            assert_string_equal(printed, rows[i].printed);
        free(printed);
    }
    assert_null(tree_find(NULL, "head"));
    tree_free(root);
}

/* Between parsings, cJSON's own trees are made, changed and deleted as ever, and printed text is free()'s. */
static void test_built_trees_are_cjsons(void **state)
{
    (void)state;
    tree_setup();
    cJSON *read = tree_parse("{\"a\":1}", 7, NULL);
    cJSON *built = cJSON_CreateObject();
    cJSON_AddStringToObject(built, "text", "kept");
    cJSON_AddItemToObject(built, "copy", cJSON_Duplicate(read, 1));
    tree_free(read);
    cJSON_DeleteItemFromObject(built, "text");
    char *printed = cJSON_PrintUnformatted(built);
    assert_string_equal(printed, "{\"copy\":{\"a\":1}}");
    free(printed);
    cJSON_Delete(built);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_cjson_reads),
        cmocka_unit_test(test_what_is_no_json_leaves_nothing_behind),
        cmocka_unit_test(test_larger_than_a_block),
        cmocka_unit_test(test_members_are_found_by_path),
        cmocka_unit_test(test_built_trees_are_cjsons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
