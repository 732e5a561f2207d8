#include "check.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "prgate/buf.h"
#include "prgate/log.h"
#include "prgate/text.h"

/* What went to standard error: its bytes, and in how many writes. */
static struct {
    char text[1 << 17];
    size_t len;
    int writes;
} said;

/* A socket that keeps writes apart, so that they can be counted. */
static void capture(void (*say)(void))
{
    int ends[2];
    int saved = dup(STDERR_FILENO);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    say();
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    close(saved);
    memset(&said, 0, sizeof said);
    for (;;) {
        ssize_t got = recv(ends[0], said.text + said.len, sizeof said.text - said.len - 1, MSG_DONTWAIT);
        if (got <= 0)
            break;
        said.len += (size_t)got;
        said.writes++;
    }
    close(ends[0]);
}

/* Each row of the tables below is said in both formats. */
static const struct {
    const char *name;
    enum log_format format;
} formats[] = {{"text", LOG_FORMAT_TEXT}, {"json", LOG_FORMAT_JSON}};

static void check_one_line(const char *row)
{
    check_int(row, "writes", said.writes, 1);
    check_int(row, "NUL bytes", (int64_t)(said.len - strlen(said.text)), 0);
    check_u64(row, "where the newline is", strcspn(said.text, "\n"), said.len - 1);
    check_bool(row, "UTF-8", text_utf8_valid(said.text, said.len), true);
    if (said.len > LOG_LINE_MAX)
        fail_msg("%s: got %zu bytes, want at most %d", row, said.len, LOG_LINE_MAX);
}

/* The caller deletes it. */
static cJSON *parse_line(const char *row)
{
    cJSON *object = cJSON_ParseWithOpts(said.text, NULL, 0);
    if (!cJSON_IsObject(object))
        fail_msg("%s: no JSON object: %s", row, said.text);
    return object;
}

static const char *member(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text == NULL ? "(no text)" : text;
}

/* ---- what a line looks like ---- */

static void say_taken(void)
{
    log_info("delivery taken", LOG_STR("delivery", "72d3162e"), LOG_INT("seq", 1));
}

static void check_time(const char *row, const char *text)
{
    static const char form[] = "0000-00-00T00:00:00.000Z";
    for (size_t i = 0; i < sizeof form - 1; i++)
        if (form[i] == '0' ? strchr("0123456789", text[i]) == NULL || text[i] == '\0' : text[i] != form[i])
            fail_msg("%s: got \"%.24s\", want a time like %s", row, text, form);
}

static void test_text_line(void **state)
{
    char want[128];
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    capture(say_taken);
    check_one_line("text");
    check_time("text", said.text);
    snprintf(want, sizeof want, " info delivery taken pid=%ld delivery=72d3162e seq=1\n", (long)getpid());
    check_str("text", "behind the time", said.text + 24, want);
}

static void test_json_line(void **state)
{
    char want[128];
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
    capture(say_taken);
    check_one_line("json");
    check_int("json", "begins with the time", strncmp(said.text, "{\"time\":\"", 9), 0);
    check_time("json", said.text + 9);
    snprintf(
        want, sizeof want,
        "\",\"level\":\"info\",\"msg\":\"delivery taken\",\"pid\":%ld,\"delivery\":\"72d3162e\",\"seq\":1}\n",
        (long)getpid());
    check_str("json", "behind the time", said.text + 33, want);
}

/* LOG_PERROR has syslog(3) copy to standard error what it sends. */
static void test_syslog_is_told_only_what_it_does_not_know(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TARGET_SYSLOG);
    closelog();
    openlog("prgate-test", LOG_PERROR, LOG_DAEMON);
    capture(say_taken);
    closelog();
    check_str("syslog", "line", said.text, "prgate-test: delivery taken delivery=72d3162e seq=1\n");
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOG_TARGET_SYSLOG);
    closelog();
    openlog("prgate-test", LOG_PERROR, LOG_DAEMON);
    capture(say_taken);
    closelog();
    check_str("syslog", "start", strncmp(said.text, "prgate-test: {", 14) == 0 ? "{" : said.text, "{");
    check_contains("syslog", "JSON", said.text, ",\"delivery\":\"72d3162e\",\"seq\":1}\n");
}

static void say_numbers(void)
{
    log_info("numbers", LOG_INT("min", INT64_MIN), LOG_INT("max", INT64_MAX), LOG_INT("zero", 0));
}

static void test_numbers(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    capture(say_numbers);
    check_contains("text", "line", said.text, " min=-9223372036854775808 max=9223372036854775807 zero=0\n");
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
    capture(say_numbers);
    check_contains("json", "line", said.text,
                   ",\"min\":-9223372036854775808,\"max\":9223372036854775807,\"zero\":0}\n");
}

/* ---- escaping ---- */

static const char *value;

static void say_value(void)
{
    log_info("m", LOG_STR("v", value), LOG_STR("last", "x"));
}

static void say_as_message(void)
{
    log_info(value);
}

/* What each value becomes, in text and inside JSON's quotes. */
static const struct escape_row {
    const char *name;
    const char *value;
    const char *text;
    const char *json;
} escape_rows[] = {
    {"word", "octo/repo#7", "octo/repo#7", "octo/repo#7"},
    {"empty", "", "\"\"", ""},
    {"blank", "a b", "\"a b\"", "a b"},
    {"equals sign", "a=b", "\"a=b\"", "a=b"},
    {"newline", "a\nlevel=fatal", "\"a\\nlevel=fatal\"", "a\\nlevel=fatal"},
    {"carriage return and tab", "a\r\tb", "\"a\\r\\tb\"", "a\\r\\tb"},
    {"quote", "a\" b=\"c", "\"a\\\" b=\\\"c\"", "a\\\" b=\\\"c"},
    {"backslash", "a\\nb", "\"a\\\\nb\"", "a\\\\nb"},
    {"backslash at the end", "a\\", "\"a\\\\\"", "a\\\\"},
    {"terminal escape", "\x1b[31m", "\"\\u001b[31m\"", "\\u001b[31m"},
    {"lowest control character", "\x01", "\"\\u0001\"", "\\u0001"},
    {"delete", "\x7f", "\"\\u007f\"", "\\u007f"},
    {"eight-bit control character", "\xc2\x9b", "\"\\u009b\"", "\\u009b"},
    {"line separator", "\xe2\x80\xa8", "\"\\u2028\"", "\\u2028"},
    {"right-to-left override", "\xe2\x80\xae", "\"\\u202e\"", "\xe2\x80\xae"},
    {"emoji", "\xf0\x9f\x9a\x80", "\"\xf0\x9f\x9a\x80\"", "\xf0\x9f\x9a\x80"},
    {"Latin-1", "caf\xe9", "\"caf\\xe9\"", "caf\xef\xbf\xbd"},
    {"cut sequence", "\xf0\x9f", "\"\\xf0\\x9f\"", "\xef\xbf\xbd\xef\xbf\xbd"},
};

static void test_values_are_escaped(void **state)
{
    char want[128];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(escape_rows); i++) {
        const struct escape_row *row = &escape_rows[i];
        value = row->value;
        log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
        capture(say_value);
        check_one_line(row->name);
        snprintf(want, sizeof want, " v=%s last=x\n", row->text);
        check_contains(row->name, "text", said.text, want);
        log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
        capture(say_value);
        check_one_line(row->name);
        snprintf(want, sizeof want, ",\"v\":\"%s\",\"last\":\"x\"}\n", row->json);
        check_contains(row->name, "json", said.text, want);
        cJSON_Delete(parse_line(row->name));
    }
}

static void test_messages_are_escaped(void **state)
{
    char want[128];
    (void)state;
    for (size_t i = 0; i < COUNT_OF(escape_rows); i++) {
        const struct escape_row *row = &escape_rows[i];
        value = row->value;
        log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
        capture(say_as_message);
        check_one_line(row->name);
        bool quoted = row->text[0] == '"';
        snprintf(want, sizeof want, "Z info %.*s pid=", (int)(strlen(row->text) - (quoted ? 2 : 0)),
                 row->text + (quoted ? 1 : 0));
        check_contains(row->name, "text", said.text, want);
        log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
        capture(say_as_message);
        check_one_line(row->name);
        snprintf(want, sizeof want, "\"msg\":\"%s\",\"pid\"", row->json);
        check_contains(row->name, "json", said.text, want);
    }
}

static void test_no_value_is_told_apart_from_an_empty_one(void **state)
{
    (void)state;
    value = NULL;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    capture(say_value);
    check_contains("text", "line", said.text, " v=- last=x\n");
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
    capture(say_value);
    check_contains("json", "line", said.text, ",\"v\":null,\"last\":\"x\"}\n");
}

/* ---- length ---- */

/* What is repeated until it is long. */
static const struct {
    const char *name;
    const char *piece;
} fillings[] = {
    {"letters", "x"},
    {"quotes", "\""},
    {"control characters", "\x01"},
    {"two bytes each", "\xc3\xa9"},
    {"three bytes each", "\xe2\x82\xac"},
    {"four bytes each", "\xf0\x9f\x9a\x80"},
    {"no UTF-8", "\xff"},
    {"letters, then emoji", "xyz\xf0\x9f\x9a\x80"},
};

static void fill(struct buf *out, const char *piece, size_t len)
{
    buf_clear(out);
    while (out->len < len)
        buf_adds(out, piece);
    value = buf_text(out);
}

static void say_long_values(void)
{
    log_info("m", LOG_STR("first", value), LOG_STR("second", value), LOG_STR("last", "here"),
             LOG_INT("n", 7));
}

static void say_long_message(void)
{
    log_info(value, LOG_STR("last", "here"), LOG_INT("n", 7));
}

static void check_ends_in_dots(const char *row, const char *text)
{
    size_t len = strlen(text);
    if (len < 3 || strcmp(text + len - 3, "...") != 0)
        fail_msg("%s: got \"%s\", want dots at its end", row, text);
}

/* Lengths around each limit, and a few far above. */
static const size_t lengths[] = {1,    31,   32,   33,   500,  1000, 1020, 1024, 2000, 2990,  3000,
                                 3010, 3030, 3050, 3072, 3100, 4000, 4080, 4096, 4100, 20000, 100000};

static void test_lines_of_any_length_are_whole(void **state)
{
    struct buf text;
    char row[96];
    (void)state;
    buf_init(&text);
    for (size_t f = 0; f < COUNT_OF(formats); f++) {
        log_setup(LOG_LEVEL_INFO, formats[f].format, LOG_TARGET_STDERR);
        for (size_t i = 0; i < COUNT_OF(fillings); i++) {
            for (size_t j = 0; j < COUNT_OF(lengths); j++) {
                snprintf(row, sizeof row, "%s, %zu of %s", formats[f].name, lengths[j], fillings[i].name);
                fill(&text, fillings[i].piece, lengths[j]);
                capture(say_long_values);
                check_one_line(row);
                if (formats[f].format == LOG_FORMAT_JSON)
                    cJSON_Delete(parse_line(row));
                capture(say_long_message);
                check_one_line(row);
                check_contains(row, "line", said.text, "here");
                if (formats[f].format == LOG_FORMAT_JSON)
                    cJSON_Delete(parse_line(row));
            }
        }
    }
    buf_release(&text);
}

static void test_what_is_cut_says_so(void **state)
{
    struct buf text;
    (void)state;
    buf_init(&text);
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
    for (size_t i = 0; i < COUNT_OF(fillings); i++) {
        fill(&text, fillings[i].piece, 20000);
        capture(say_long_values);
        cJSON *object = parse_line(fillings[i].name);
        check_ends_in_dots(fillings[i].name, member(object, "first"));
        check_ends_in_dots(fillings[i].name, member(object, "second"));
        cJSON_Delete(object);
    }
    fill(&text, "x", 2000);
    capture(say_value);
    cJSON *object = parse_line("2000 letters");
    check_str("2000 letters", "not cut", member(object, "v"), value);
    cJSON_Delete(object);
    buf_release(&text);
}

/* One long value must not push out those behind it, which say what it was about. */
static void test_a_long_value_leaves_room_for_the_next(void **state)
{
    struct buf text;
    (void)state;
    buf_init(&text);
    fill(&text, "x", 100000);
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    capture(say_long_values);
    check_contains("text", "line", said.text, " second=xxxx");
    check_contains("text", "line", said.text, "... last=here n=7\n");
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
    capture(say_long_values);
    check_contains("json", "line", said.text, "...\",\"last\":\"here\",\"n\":7}\n");
    buf_release(&text);
}

static void say_many_fields(void)
{
    struct log_field fields[300];
    for (size_t i = 0; i < COUNT_OF(fields) - 1; i++)
        fields[i] = LOG_STR("twenty_letters_long_", "\x01\x01\x01\x01\x01\x01\x01\x01");
    fields[COUNT_OF(fields) - 1] = LOG_END;
    log_write(LOG_LEVEL_INFO, "m", fields);
}

static void test_fields_that_find_no_room_are_left_out_whole(void **state)
{
    (void)state;
    for (size_t f = 0; f < COUNT_OF(formats); f++) {
        log_setup(LOG_LEVEL_INFO, formats[f].format, LOG_TARGET_STDERR);
        capture(say_many_fields);
        check_one_line(formats[f].name);
        if (said.len < LOG_LINE_MAX - 200)
            fail_msg("%s: only %zu bytes were used", formats[f].name, said.len);
    }
    cJSON_Delete(parse_line("json"));
}

/* ---- levels ---- */

static enum log_level level;

static void say_at_level(void)
{
    log_write(level, "m", (const struct log_field[]){LOG_END});
}

static void test_levels(void **state)
{
    static const char *const names[] = {"panic", "fatal", "error", "warning", "info", "debug"};
    char want[32];
    (void)state;
    check_str("panic", "name", log_level_name(LOG_LEVEL_PANIC), names[LOG_LEVEL_PANIC]);
    for (level = LOG_LEVEL_FATAL; level <= LOG_LEVEL_DEBUG; level++) {
        check_str(names[level], "name", log_level_name(level), names[level]);
        for (enum log_level max = LOG_LEVEL_PANIC; max <= LOG_LEVEL_DEBUG; max++) {
            log_setup(max, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
            capture(say_at_level);
            check_int(names[level], names[max], said.writes, level <= max ? 1 : 0);
            snprintf(want, sizeof want, "Z %s m pid=", names[level]);
            if (level <= max)
                check_contains(names[level], "text", said.text, want);
        }
        log_setup(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
        capture(say_at_level);
        snprintf(want, sizeof want, "\"level\":\"%s\"", names[level]);
        check_contains(names[level], "json", said.text, want);
    }
}

static void say_each_macro(void)
{
    log_fatal("1");
    log_error("2");
    log_warning("3");
    log_info("4");
    log_debug("5");
}

static void test_macros_name_their_level(void **state)
{
    static const char *const parts[] = {"Z fatal 1 ", "Z error 2 ", "Z warning 3 ", "Z info 4 ",
                                        "Z debug 5 "};
    (void)state;
    log_setup(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    capture(say_each_macro);
    check_int("all five", "writes", said.writes, 5);
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        check_contains("all five", "text", said.text, parts[i]);
}

static int panic_status;

static void panic_in_a_child(void)
{
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        log_panic("impossible", LOG_STR("why", "test"));
        _exit(0);
    }
    waitpid(child, &panic_status, 0);
}

static void test_panic_says_why_and_aborts(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_PANIC, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    capture(panic_in_a_child);
    check_bool("panic", "died of a signal", WIFSIGNALED(panic_status), true);
    check_int("panic", "signal", WTERMSIG(panic_status), SIGABRT);
    check_contains("panic", "line", said.text, "Z panic impossible pid=");
    check_contains("panic", "line", said.text, " why=test\n");
}

/* ---- the delivery that a thread works on ---- */

static void say_plainly(void)
{
    log_info("m", LOG_STR("v", "x"));
}

static void say_of_another(void)
{
    log_info("m", LOG_STR("delivery", "d-2"), LOG_STR("v", "x"));
}

static void say_of_none(void)
{
    log_info("m", LOG_STR("delivery", NULL));
}

static void *say_elsewhere(void *arg)
{
    say_plainly();
    return arg;
}

static void say_in_another_thread(void)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, say_elsewhere, NULL), 0);
    pthread_join(thread, NULL);
}

static void test_each_line_names_the_delivery_that_is_worked_on(void **state)
{
    static const struct {
        const char *name, *about;
        void (*say)(void);
        const char *text, *json;
    } rows[] = {
        {"none", NULL, say_plainly, " v=x\n", ",\"v\":\"x\"}\n"},
        {"one", "d-1", say_plainly, " v=x delivery=d-1\n", ",\"v\":\"x\",\"delivery\":\"d-1\"}\n"},
        {"hostile", "d\n\"1", say_plainly, " v=x delivery=\"d\\n\\\"1\"\n",
         ",\"v\":\"x\",\"delivery\":\"d\\n\\\"1\"}\n"},
        {"named in the line", "d-1", say_of_another, " delivery=d-2 v=x\n",
         "\"delivery\":\"d-2\",\"v\":\"x\"}\n"},
        {"not known in the line", "d-1", say_of_none, " delivery=-\n", ",\"delivery\":null}\n"},
        {"another thread", "d-1", say_in_another_thread, " v=x\n", ",\"v\":\"x\"}\n"},
        {"ended", NULL, say_plainly, " v=x\n", ",\"v\":\"x\"}\n"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        log_about(rows[i].about);
        log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
        capture(rows[i].say);
        check_one_line(rows[i].name);
        check_contains(rows[i].name, "text", said.text, rows[i].text);
        log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
        capture(rows[i].say);
        check_one_line(rows[i].name);
        check_contains(rows[i].name, "json", said.text, rows[i].json);
        cJSON_Delete(parse_line(rows[i].name));
        log_about(NULL);
    }
}

/* ---- what goes on around it ---- */

static void test_errno_stays(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    int saved = dup(STDERR_FILENO);
    close(STDERR_FILENO);
    errno = ENOSPC;
    log_info("nobody can hear this");
    int after_failure = errno;
    dup2(saved, STDERR_FILENO);
    close(saved);
    check_int("standard error is closed", "errno", after_failure, ENOSPC);
    errno = EAGAIN;
    log_debug("held back");
    check_int("held back", "errno", errno, EAGAIN);
}

enum { THREADS = 4, LINES = 40 };

static void *say_in_thread(void *arg)
{
    for (int i = 0; i < LINES; i++)
        log_info("m", LOG_STR("v", value), LOG_INT("last", (intptr_t)arg));
    return NULL;
}

static void say_from_threads(void)
{
    pthread_t threads[THREADS];
    for (intptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, say_in_thread, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void test_threads_do_not_mix_their_lines(void **state)
{
    struct buf text;
    int last[THREADS] = {0};
    (void)state;
    buf_init(&text);
    fill(&text, "x", 200);
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
    capture(say_from_threads);
    check_int("threads", "writes", said.writes, THREADS * LINES);
    for (char *at = strtok(said.text, "\n"); at != NULL; at = strtok(NULL, "\n")) {
        cJSON *object = cJSON_ParseWithOpts(at, NULL, 1);
        const cJSON *from = cJSON_GetObjectItemCaseSensitive(object, "last");
        if (!cJSON_IsNumber(from) || from->valueint < 0 || from->valueint >= THREADS)
            fail_msg("threads: a broken line: %s", at);
        check_str("threads", "value", member(object, "v"), value);
        last[from->valueint]++;
        cJSON_Delete(object);
    }
    for (int i = 0; i < THREADS; i++)
        check_int("threads", "lines of one", last[i], LINES);
    buf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_line),
        cmocka_unit_test(test_json_line),
        cmocka_unit_test(test_syslog_is_told_only_what_it_does_not_know),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_values_are_escaped),
        cmocka_unit_test(test_messages_are_escaped),
        cmocka_unit_test(test_no_value_is_told_apart_from_an_empty_one),
        cmocka_unit_test(test_lines_of_any_length_are_whole),
        cmocka_unit_test(test_what_is_cut_says_so),
        cmocka_unit_test(test_a_long_value_leaves_room_for_the_next),
        cmocka_unit_test(test_fields_that_find_no_room_are_left_out_whole),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_macros_name_their_level),
        cmocka_unit_test(test_panic_says_why_and_aborts),
        cmocka_unit_test(test_each_line_names_the_delivery_that_is_worked_on),
        cmocka_unit_test(test_errno_stays),
        cmocka_unit_test(test_threads_do_not_mix_their_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
