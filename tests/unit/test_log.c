#include "prgate/log.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "prgate/buf.h"

/* ---- syslog, replaced: what would be sent is kept here. <syslog.h> would collide with these. ---- */

void openlog(const char *ident, int option, int facility);
void syslog(int priority, const char *format, ...);
void __syslog_chk(int priority, int flag, const char *format, ...);

static struct {
    char ident[32];
    int priority;
    char line[LOG_LINE_MAX + 1];
} sent;

static void send_line(int priority, const char *format, va_list args)
{
    sent.priority = priority;
    vsnprintf(sent.line, sizeof sent.line, format, args);
}

void openlog(const char *ident, int option, int facility)
{
    (void)option;
    (void)facility;
    snprintf(sent.ident, sizeof sent.ident, "%s", ident);
}

void syslog(int priority, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    send_line(priority, format, args);
    va_end(args);
}

/* What glibc's headers make of syslog() where _FORTIFY_SOURCE is on. */
void __syslog_chk(int priority, int flag, const char *format, ...)
{
    va_list args;
    (void)flag;
    va_start(args, format);
    send_line(priority, format, args);
    va_end(args);
}

/* ---- stderr, captured ---- */

struct capture {
    int saved;
    int file;
};

static struct capture capture_begin(void)
{
    char path[] = "/tmp/prgate-test-log-XXXXXX";
    struct capture capture = {.saved = dup(STDERR_FILENO), .file = mkstemp(path)};
    assert_true(capture.saved >= 0 && capture.file >= 0);
    unlink(path);
    assert_true(dup2(capture.file, STDERR_FILENO) >= 0);
    return capture;
}

static void capture_end(const struct capture *capture, struct buf *out)
{
    dup2(capture->saved, STDERR_FILENO);
    close(capture->saved);
    off_t size = lseek(capture->file, 0, SEEK_END);
    buf_init(out);
    assert_int_equal(pread(capture->file, buf_reserve(out, (size_t)size + 1), (size_t)size, 0), size);
    out->len = (size_t)size;
    close(capture->file);
}

/* One line with one field. */
static void line_of(enum log_format format, const char *message, const char *value, struct buf *out)
{
    struct capture capture = capture_begin();
    log_setup(LOG_LEVEL_DEBUG, format, LOG_TARGET_STDERR);
    log_info(message, LOG_STR("value", value));
    capture_end(&capture, out);
}

/* ---- tests ---- */

static void a_text_line(void **state)
{
    struct buf out;
    char tail[128];
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    struct capture capture = capture_begin();
    log_info("delivery taken", LOG_STR("delivery", "72d3162e"), LOG_INT("seq", 1), LOG_STR("none", NULL));
    capture_end(&capture, &out);
    const char *line = buf_text(&out);
    snprintf(tail, sizeof tail, "Z info delivery taken pid=%ld delivery=72d3162e seq=1 none=-\n",
             (long)getpid());
    check_str("text", "line behind the milliseconds", line + strlen("2024-01-31T12:00:00.123"), tail);
    check_int("text", "dot", line[19], '.');
    buf_release(&out);
}

static void a_json_line(void **state)
{
    struct buf out;
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
    struct capture capture = capture_begin();
    log_warning("odd", LOG_STR("who", "a \"b\"\n"), LOG_INT("n", INT64_MIN), LOG_STR("none", NULL));
    capture_end(&capture, &out);
    cJSON *line = cJSON_Parse(buf_text(&out));
    assert_non_null(line);
    check_str("json", "msg", cJSON_GetStringValue(cJSON_GetObjectItem(line, "msg")), "odd");
    check_str("json", "level", cJSON_GetStringValue(cJSON_GetObjectItem(line, "level")), "warning");
    check_str("json", "who", cJSON_GetStringValue(cJSON_GetObjectItem(line, "who")), "a \"b\"\n");
    check_bool("json", "none", cJSON_IsNull(cJSON_GetObjectItem(line, "none")), true);
    check_int("json", "pid", (int64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(line, "pid")), getpid());
    check_contains("json", "line", buf_text(&out), "\"n\":-9223372036854775808");
    cJSON_Delete(line);
    buf_release(&out);
}

static void a_message_without_fields(void **state)
{
    struct buf out;
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    struct capture capture = capture_begin();
    log_error("alone");
    capture_end(&capture, &out);
    check_contains("alone", "line", buf_text(&out), "Z error alone pid=");
    buf_release(&out);
}

static void levels_are_filtered(void **state)
{
    static const struct {
        const char *name;
        enum log_level max;
        enum log_level level;
        bool written;
    } rows[] = {
        {"as severe as asked for", LOG_LEVEL_INFO, LOG_LEVEL_INFO, true},
        {"more severe", LOG_LEVEL_INFO, LOG_LEVEL_FATAL, true},
        {"less severe", LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, false},
        {"everything", LOG_LEVEL_DEBUG, LOG_LEVEL_DEBUG, true},
        {"errors only", LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out;
        struct capture capture = capture_begin();
        log_setup(rows[i].max, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
        LOG_AT(rows[i].level, "x", LOG_END);
        capture_end(&capture, &out);
        check_bool(rows[i].name, "written", out.len > 0, rows[i].written);
        buf_release(&out);
    }
}

static void no_input_forges_a_line(void **state)
{
    static const struct {
        const char *name;
        const char *text;
    } rows[] = {
        {"line break", "x\n2024-01-31T12:00:00.123Z fatal forged"},
        {"carriage return", "x\rforged"},
        {"ends the quotes", "x\" level=fatal"},
        {"ends the JSON", "\"}\n{\"level\":\"fatal\"}"},
        {"backslash last", "x\\"},
        {"escape sequence", "\x1b]0;title\x07"},
        {"not UTF-8", "\xff\xfe\x80"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out;
        for (int as_message = 0; as_message < 2; as_message++) {
            const char *message = as_message != 0 ? rows[i].text : "message";
            line_of(LOG_FORMAT_JSON, message, rows[i].text, &out);
            cJSON *line = cJSON_Parse(buf_text(&out));
            check_bool(rows[i].name, "is JSON", line != NULL, true);
            check_str(rows[i].name, "level", cJSON_GetStringValue(cJSON_GetObjectItem(line, "level")),
                      "info");
            cJSON_Delete(line);
            buf_release(&out);

            line_of(LOG_FORMAT_TEXT, message, rows[i].text, &out);
            for (size_t at = 0; at < out.len - 1; at++)
                check_bool(rows[i].name, "control character", out.data[at] < 0x20, false);
            check_int(rows[i].name, "last byte", out.data[out.len - 1], '\n');
            buf_release(&out);
        }
    }
}

/* 20 kB of something, of which each piece escapes differently. Yours to free. */
static char *long_text(const char *piece)
{
    struct buf text;
    buf_init(&text);
    while (text.len < 20000)
        buf_adds(&text, piece);
    char *copy = mem_strdup(buf_text(&text));
    buf_release(&text);
    return copy;
}

static void long_values_are_cut(void **state)
{
    static const struct {
        const char *name;
        const char *piece;
    } rows[] = {
        {"plain", "a"},
        {"quotes", "\""},
        {"control characters", "\x01"},
        {"emoji", "\xf0\x9f\x9a\x80"},
        {"not UTF-8", "\xff"},
        {"mixed", "ab\x01\xf0\x9f\x9a\x80\xc3\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *value = long_text(rows[i].piece);
        struct buf out;
        line_of(LOG_FORMAT_JSON, "m", value, &out);
        cJSON *line = cJSON_Parse(buf_text(&out));
        check_bool(rows[i].name, "length", out.len <= LOG_LINE_MAX && out.len > LOG_LINE_MAX / 4, true);
        check_bool(rows[i].name, "is JSON", line != NULL, true);
        const char *got = cJSON_GetStringValue(cJSON_GetObjectItem(line, "value"));
        check_str(rows[i].name, "end", got + strlen(got) - 3, "...");
        cJSON_Delete(line);
        buf_release(&out);
        free(value);
    }
}

static void a_long_value_leaves_room_for_the_others(void **state)
{
    char *value = long_text("x");
    struct buf out;
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    struct capture capture = capture_begin();
    log_info(value, LOG_STR("a", value), LOG_STR("b", value), LOG_STR("c", value), LOG_INT("last", 7));
    capture_end(&capture, &out);
    check_bool("all long", "length", out.len <= LOG_LINE_MAX, true);
    check_contains("all long", "line", buf_text(&out), " last=7\n");
    buf_release(&out);
    free(value);
}

static void too_many_fields_are_dropped(void **state)
{
    struct log_field fields[2001] = {{0}};
    struct buf out;
    (void)state;
    for (size_t i = 0; i < 2000; i++)
        fields[i] = LOG_STR("key", "value");
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
    struct capture capture = capture_begin();
    log_write(LOG_LEVEL_INFO, "many", fields);
    capture_end(&capture, &out);
    cJSON *line = cJSON_Parse(buf_text(&out));
    check_bool("many fields", "is JSON", line != NULL, true);
    check_bool("many fields", "length", out.len <= LOG_LINE_MAX, true);
    cJSON_Delete(line);
    buf_release(&out);
}

static void syslog_gets_priority_and_text(void **state)
{
    static const struct {
        const char *name;
        enum log_level level;
        int priority; /* syslog(3): LOG_CRIT 2, LOG_ERR 3, LOG_WARNING 4, LOG_INFO 6, LOG_DEBUG 7 */
    } rows[] = {
        {"fatal", LOG_LEVEL_FATAL, 2}, {"error", LOG_LEVEL_ERROR, 3}, {"warning", LOG_LEVEL_WARNING, 4},
        {"info", LOG_LEVEL_INFO, 6},   {"debug", LOG_LEVEL_DEBUG, 7},
    };
    (void)state;
    log_setup(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT, LOG_TARGET_SYSLOG);
    check_str("syslog", "ident", sent.ident, "prgate");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        LOG_AT(rows[i].level, "it %s happened", LOG_STR("who", "a b"), LOG_END);
        check_int(rows[i].name, "priority", sent.priority, rows[i].priority);
        check_str(rows[i].name, "line", sent.line, "it %s happened who=\"a b\"");
    }
}

static void names(void **state)
{
    static const struct {
        enum log_level level;
        const char *name;
    } rows[] = {
        {LOG_LEVEL_PANIC, "panic"},     {LOG_LEVEL_FATAL, "fatal"}, {LOG_LEVEL_ERROR, "error"},
        {LOG_LEVEL_WARNING, "warning"}, {LOG_LEVEL_INFO, "info"},   {LOG_LEVEL_DEBUG, "debug"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_str(rows[i].name, "name", log_level_name(rows[i].level), rows[i].name);
}

static void errno_survives(void **state)
{
    struct buf out;
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    struct capture capture = capture_begin();
    close(STDERR_FILENO); /* so that the write fails */
    errno = ENOENT;
    log_info("nobody sees this");
    int after = errno;
    capture_end(&capture, &out);
    check_int("closed stderr", "errno", after, ENOENT);
    buf_release(&out);
}

static void panic_aborts(void **state)
{
    int status = 0;
    (void)state;
    log_setup(LOG_LEVEL_PANIC, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);
        log_panic("our bug");
        _exit(0);
    }
    waitpid(child, &status, 0);
    check_bool("panic", "signalled", WIFSIGNALED(status), true);
    check_int("panic", "signal", WTERMSIG(status), SIGABRT);
}

enum { THREADS = 4, LINES = 200 };

static void *write_lines(void *arg)
{
    for (int i = 0; i < LINES; i++)
        log_info("from a thread", LOG_STR("fill", arg), LOG_INT("i", i));
    return NULL;
}

static void lines_of_threads_stay_whole(void **state)
{
    char *value = long_text("y z ");
    pthread_t threads[THREADS];
    struct buf out;
    int lines = 0;
    (void)state;
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_JSON, LOG_TARGET_STDERR);
    struct capture capture = capture_begin();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, value), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    capture_end(&capture, &out);
    char *rest = (char *)buf_reserve(&out, 1) - out.len;
    rest[out.len] = '\0';
    for (char *line = strtok_r(rest, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        cJSON *json = cJSON_Parse(line);
        check_bool("thread", "is JSON", json != NULL, true);
        cJSON_Delete(json);
        lines++;
    }
    check_int("threads", "lines", lines, THREADS * LINES);
    buf_release(&out);
    free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_line),
        cmocka_unit_test(a_json_line),
        cmocka_unit_test(a_message_without_fields),
        cmocka_unit_test(levels_are_filtered),
        cmocka_unit_test(no_input_forges_a_line),
        cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(a_long_value_leaves_room_for_the_others),
        cmocka_unit_test(too_many_fields_are_dropped),
        cmocka_unit_test(syslog_gets_priority_and_text),
        cmocka_unit_test(names),
        cmocka_unit_test(errno_survives),
        cmocka_unit_test(panic_aborts),
        cmocka_unit_test(lines_of_threads_stay_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
