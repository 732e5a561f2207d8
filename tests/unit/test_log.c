#include "check.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "prgate/log.h"

static char line[3 * LOG_LINE_MAX];

/* What `say` writes to standard error. */
static const char *capture(void (*say)(void))
{
    int ends[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    say();
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t got = read(ends[0], line, sizeof line - 1);
    close(ends[0]);
    line[got < 0 ? 0 : got] = '\0';
    return line;
}

static void say_hostile(void)
{
    log_info("taken", LOG_STR("title", "a \"b\"\n\x1b[31m c"), LOG_INT("n", -5), LOG_STR("none", NULL));
}

static void say_long(void)
{
    static char text[3 * LOG_LINE_MAX];
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa9", 2);
    log_info("long", LOG_STR("text", text));
}

static void say_debug(void)
{
    log_debug("detail");
}

static void test_value_cannot_forge_a_line(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    const char *text = capture(say_hostile);
    assert_int_equal(strcspn(text, "\n"), strlen(text) - 1);
    assert_null(strchr(text, '\x1b'));
    check_contains("text", "line", text, " info taken ");
    check_contains("text", "line", text, " n=-5");
    check_contains("text", "line", text, "title=\"a \\\"b\\\"");
}

static void test_json_is_json(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
    cJSON *object = cJSON_Parse(capture(say_hostile));
    assert_non_null(object);
    check_str("json", "msg", cJSON_GetStringValue(cJSON_GetObjectItem(object, "msg")), "taken");
    check_str("json", "title", cJSON_GetStringValue(cJSON_GetObjectItem(object, "title")),
              "a \"b\"\n\x1b[31m c");
    assert_int_equal(cJSON_GetObjectItem(object, "n")->valueint, -5);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(object, "none")));
    cJSON_Delete(object);
    object = cJSON_Parse(capture(say_long));
    assert_non_null(object);
    cJSON_Delete(object);
}

static void test_long_line_is_cut(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    const char *text = capture(say_long);
    assert_true(strlen(text) <= LOG_LINE_MAX);
    assert_int_equal(text[strlen(text) - 1], '\n');
}

static void test_level_holds_back_what_lies_below(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    assert_string_equal(capture(say_debug), "");
    log_setup(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    check_contains("debug", "line", capture(say_debug), " debug detail");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value_cannot_forge_a_line),
        cmocka_unit_test(test_json_is_json),
        cmocka_unit_test(test_long_line_is_cut),
        cmocka_unit_test(test_level_holds_back_what_lies_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
