/*
 * What is left out of GitHub's JSON before it is parsed, and that nothing else is.
 */
#include "check.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "payload.h"
#include "prgate/links.h"

static const struct {
    const char *what, *text, *left;
} rows[] = {
    {"nothing", "", ""},
    {"no member", "{}", "{}"},
    {"in the middle", "{\"id\":1,\"git_url\":\"x\",\"n\":2}", "{\"id\":1,\"n\":2}"},
    {"last", "{\"id\":1,\"git_url\":\"x\"}", "{\"id\":1}"},
    {"first, which a comma would have to follow", "{\"git_url\":\"x\",\"n\":2}",
     "{\"git_url\":\"x\",\"n\":2}"},
    {"in a row", "{\"id\":1,\"a_url\":\"x\",\"b_url\":\"\",\"c_url\":\"z\",\"n\":2}", "{\"id\":1,\"n\":2}"},
    {"with blanks", "{ \"id\": 1,\r\n\t\"a_url\" :\n\"x\" , \"b_url\" : \"y\" , \"n\" : 2 }",
     "{ \"id\": 1 , \"n\" : 2 }"},
    {"deep", "[{\"o\":[{\"id\":1,\"a_url\":\"x\"}]},3]", "[{\"o\":[{\"id\":1}]},3]"},
    {"between others", "{\"id\":1,\"a_url\":\"x\",\"m\":0,\"b_url\":\"y\",\"n\":2}",
     "{\"id\":1,\"m\":0,\"n\":2}"},
    {"null", "{\"id\":1,\"mirror_url\":null}", "{\"id\":1,\"mirror_url\":null}"},
    {"an object", "{\"id\":1,\"a_url\":{\"b\":1}}", "{\"id\":1,\"a_url\":{\"b\":1}}"},
    {"\"url\" alone", "{\"id\":1,\"url\":\"x\"}", "{\"id\":1,\"url\":\"x\"}"},
    {"\"_url\" alone", "{\"id\":1,\"_url\":\"x\"}", "{\"id\":1}"},
    {"of a check", "{\"id\":1,\"details_url\":\"x\",\"a_url\":\"y\"}", "{\"id\":1,\"details_url\":\"x\"}"},
    {"of a status", "{\"id\":1,\"a_url\":\"y\",\"target_url\":\"x\"}", "{\"id\":1,\"target_url\":\"x\"}"},
    {"a name that only ends like a check's", "{\"id\":1,\"my_details_url\":\"x\"}", "{\"id\":1}"},
    {"a backslash in the value", "{\"id\":1,\"a_url\":\"x\\\"y\",\"n\":2}",
     "{\"id\":1,\"a_url\":\"x\\\"y\",\"n\":2}"},
    {"a backslash in the name", "{\"id\":1,\"a\\\"b_url\":\"x\"}", "{\"id\":1,\"a\\\"b_url\":\"x\"}"},
    {"a quoted comma before the name's end", "{\"id\":1,\"a,\\\"b_url\":\"x\"}",
     "{\"id\":1,\"a,\\\"b_url\":\"x\"}"},
    {"a value that looks like a name", "{\"t\":\"a, b_url\",\"n\":2}", "{\"t\":\"a, b_url\",\"n\":2}"},
    {"text that looks like a member", "{\"t\":\"x,\\\"a_url\\\":\\\"y\\\"\"}",
     "{\"t\":\"x,\\\"a_url\\\":\\\"y\\\"\"}"},
    {"a backslash that ends a value", "{\"t\":\"x\\\\\",\"a_url\":\"y\",\"n\":2}",
     "{\"t\":\"x\\\\\",\"n\":2}"},
    {"in a list", "[1,\"a_url\",\"b\"]", "[1,\"a_url\",\"b\"]"},
    {"cut off in the name", "{\"id\":1,\"a_url\"", "{\"id\":1,\"a_url\""},
    {"cut off at the colon", "{\"id\":1,\"a_url\":", "{\"id\":1,\"a_url\":"},
    {"cut off in the value", "{\"id\":1,\"a_url\":\"x", "{\"id\":1,\"a_url\":\"x"},
    {"no quote before", "_url\":\"x\"", "_url\":\"x\""},
    {"no comma before", "\"a_url\":\"x\"", "\"a_url\":\"x\""},
    {"a comma at the very start", ",\"a_url\":\"x\"", ",\"a_url\":\"x\""},
    {"a comma at the very start, and more", ",\"a_url\":\"x\"}", ",\"a_url\":\"x\"}"},
    {"a comma after a brace", "{,\"a_url\":\"x\"}", "{,\"a_url\":\"x\"}"},
    {"a comma after a bracket", "[ ,\"a_url\":\"x\"}", "[ ,\"a_url\":\"x\"}"},
    {"two commas", "{\"n\":1,\n,\"a_url\":\"x\"}", "{\"n\":1,\n,\"a_url\":\"x\"}"},
    {"behind the end", "{\"n\":1},\"a_url\":\"x\"", "{\"n\":1},\"a_url\":\"x\""},
    {"two values", "{\"n\":1,\"a_url\":\"x\"2}", "{\"n\":1,\"a_url\":\"x\"2}"},
    {"a quote too many", "{\"t\":\"x,\"a_url\":\"y\"\",\"n\":1}", "{\"t\":\"x,\"a_url\":\"y\"\",\"n\":1}"},
    {"blanks and no comma", "  \"a_url\":\"x\"", "  \"a_url\":\"x\""},
};

/* In memory of just that size, so that a byte too many is noticed. */
static char *leave_out(const char *text, size_t len, size_t *left)
{
    char *exact = malloc(len == 0 ? 1 : len), *out = malloc(len == 0 ? 1 : len);
    assert_non_null(exact);
    assert_non_null(out);
    memcpy(exact, text, len);
    *left = links_leave_out(exact, len, out);
    assert_true(*left <= len);
    free(exact);
    return out;
}

static void test_links_are_left_out_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t left;
        char *out = leave_out(rows[i].text, strlen(rows[i].text), &left);
        char text[128] = "";
        memcpy(text, out, left);
        check_str(rows[i].what, "left", text, rows[i].left);
        free(out);
    }
}

/* Takes from the tree what links.h says is left out. */
static void take_links(cJSON *value)
{
    cJSON *next;
    for (cJSON *one = value->child; one != NULL; one = next) {
        next = one->next;
        size_t len = one->string == NULL ? 0 : strlen(one->string);
        bool link = len > 4 && strcmp(one->string + len - 4, "_url") == 0 && cJSON_IsString(one);
        bool stays =
            link && (strcmp(one->string, "details_url") == 0 || strcmp(one->string, "target_url") == 0);
        if (link && !stays && one != value->child)
            cJSON_Delete(cJSON_DetachItemViaPointer(value, one));
        else
            take_links(one);
    }
}

/* Whatever is left of a payload is what a parser makes of the whole, without these members. */
static void test_payloads_keep_all_the_rest(void **state)
{
    (void)state;
    static const char *const names[] = {"opened_fork", "labeled_gate", "synchronize", "closed_ghost"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct buf text;
        size_t left;
        read_payload(names[i], &text);
        char *out = leave_out(buf_text(&text), text.len, &left);
        cJSON *whole = cJSON_ParseWithLength(buf_text(&text), text.len),
              *rest = cJSON_ParseWithLength(out, left);
        assert_non_null(whole);
        assert_non_null(rest);
        assert_true(left < text.len / 2);
        assert_false(cJSON_Compare(whole, rest, true));
        take_links(whole);
        assert_true(cJSON_Compare(whole, rest, true));
        cJSON_Delete(whole);
        cJSON_Delete(rest);
        free(out);
        buf_release(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_links_are_left_out_and_nothing_else),
        cmocka_unit_test(test_payloads_keep_all_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
