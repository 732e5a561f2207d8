/*
 * syslog.h defines LOG_INFO and the like as macros; log.h therefore avoids these names.
 *
 * The set-up lives in file scope, since a log handle handed through every call
 * would be the longest argument in the program. It is written by log_setup()
 * before other threads start and only read afterwards.
 */
#include "prgate/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "prgate/buf.h"
#include "prgate/text.h"

static struct {
    enum log_level max_level;
    enum log_format format;
    enum log_target target;
} setup = {LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TARGET_STDERR};

/* One thread works on one delivery at a time, and what it calls does not know on which. */
static _Thread_local char about[LOG_ABOUT_SIZE];

/*
 * A value may not use the last RESERVE bytes of a line unless it is short: so
 * one long value does not push the later ones out.
 */
enum { RESERVE = 1024, VALUE_MIN = 32, FIELD_OVERHEAD = 16 };

const char *log_level_name(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_PANIC:
        return "panic";
    case LOG_LEVEL_FATAL:
        return "fatal";
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        return "debug";
    }
    return "?";
}

static int syslog_priority(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_PANIC:
        return LOG_ALERT;
    case LOG_LEVEL_FATAL:
        return LOG_CRIT;
    case LOG_LEVEL_ERROR:
        return LOG_ERR;
    case LOG_LEVEL_WARNING:
        return LOG_WARNING;
    case LOG_LEVEL_INFO:
        return LOG_INFO;
    case LOG_LEVEL_DEBUG:
        return LOG_DEBUG;
    }
    return LOG_ERR;
}

void log_setup(enum log_level max_level, enum log_format format, enum log_target target)
{
    setup.max_level = max_level;
    setup.format = format;
    setup.target = target;
    if (target == LOG_TARGET_SYSLOG)
        openlog("prgate", LOG_PID, LOG_DAEMON);
}

void log_about(const char *delivery)
{
    text_copy_cut(about, sizeof about, delivery == NULL ? "" : delivery);
}

void log_get_about(char out[LOG_ABOUT_SIZE])
{
    memcpy(out, about, sizeof about);
}

typedef void escape_fn(struct buf *out, const char *text);

static size_t room_for_value(const struct buf *line)
{
    size_t used = line->len + RESERVE;
    return used + VALUE_MIN < LOG_LINE_MAX ? LOG_LINE_MAX - used : VALUE_MIN;
}

static bool has_room(const struct buf *line, const struct log_field *field)
{
    return line->len + strlen(field->key) + VALUE_MIN + FIELD_OVERHEAD < LOG_LINE_MAX;
}

/* The first `len` bytes, and dots to show that there was more. */
static void add_part(struct buf *line, const char *text, size_t len, escape_fn *escape)
{
    char part[LOG_LINE_MAX];
    size_t cut = text_cut(text, len < sizeof part - 4 ? len : sizeof part - 4);
    memcpy(part, text, cut);
    memcpy(part + cut, "...", 4);
    escape(line, part);
}

/*
 * Escaping makes text up to six times as long, so whether it fits is known only
 * afterwards: then half of it is tried, and so on.
 */
static void add_cut(struct buf *line, const char *text, escape_fn *escape)
{
    size_t start = line->len;
    size_t room = room_for_value(line);
    if (strnlen(text, room + 1) <= room) {
        escape(line, text);
        if (line->len - start <= room)
            return;
    }
    for (size_t keep = room - 8; keep > 0; keep /= 2) { /* 8: quotes and dots */
        line->len = start;
        add_part(line, text, keep, escape);
        if (line->len - start <= room)
            return;
    }
}

static void add_time(struct buf *line)
{
    struct timespec now = {0};
    char text[TEXT_TIME_SIZE];
    clock_gettime(CLOCK_REALTIME, &now);
    text_from_time(now.tv_sec, text);
    const char *end = strchr(text, 'Z');
    int64_t ms = now.tv_nsec / 1000000;
    buf_add(line, text, (size_t)(end - text));
    buf_adds(line, ms < 10 ? ".00" : ms < 100 ? ".0" : ".");
    buf_addi(line, ms);
    buf_addc(line, 'Z');
}

static void add_text_field(struct buf *line, const struct log_field *field)
{
    buf_addc(line, ' ');
    buf_adds(line, field->key);
    buf_addc(line, '=');
    if (field->is_number)
        buf_addi(line, field->number);
    else if (field->text == NULL)
        buf_addc(line, '-');
    else
        add_cut(line, field->text, text_add_log);
}

static void add_json_field(struct buf *line, const struct log_field *field)
{
    buf_adds(line, ",\"");
    buf_adds(line, field->key);
    buf_adds(line, "\":");
    if (field->is_number) {
        buf_addi(line, field->number);
    } else if (field->text == NULL) {
        buf_adds(line, "null");
    } else {
        buf_addc(line, '"');
        add_cut(line, field->text, text_add_json);
        buf_addc(line, '"');
    }
}

typedef void add_field_fn(struct buf *line, const struct log_field *field);

/* Fields that find no room are left out whole. */
static void add_fields(struct buf *line, const struct log_field *fields, add_field_fn *add)
{
    static const char key[] = "delivery";
    const struct log_field context = LOG_STR(key, about);
    bool told = about[0] == '\0';
    for (; fields->key != NULL && has_room(line, fields); fields++) {
        add(line, fields);
        told = told || strcmp(fields->key, key) == 0;
    }
    if (!told && has_room(line, &context))
        add(line, &context);
}

static void format_text(struct buf *line, enum log_level level, const char *message,
                        const struct log_field *fields)
{
    bool bare = setup.target == LOG_TARGET_SYSLOG;
    if (!bare) {
        add_time(line);
        buf_addc(line, ' ');
        buf_adds(line, log_level_name(level));
        buf_addc(line, ' ');
    }
    add_cut(line, message, text_add_printable);
    if (!bare) {
        buf_adds(line, " pid=");
        buf_addi(line, getpid());
    }
    add_fields(line, fields, add_text_field);
}

static void format_json(struct buf *line, enum log_level level, const char *message,
                        const struct log_field *fields)
{
    buf_adds(line, "{\"time\":\"");
    add_time(line);
    buf_adds(line, "\",\"level\":\"");
    buf_adds(line, log_level_name(level));
    buf_adds(line, "\",\"msg\":\"");
    add_cut(line, message, text_add_json);
    buf_adds(line, "\",\"pid\":");
    buf_addi(line, getpid());
    add_fields(line, fields, add_json_field);
    buf_addc(line, '}');
}

static void emit(enum log_level level, struct buf *line)
{
    switch (setup.target) {
    case LOG_TARGET_SYSLOG:
        syslog(syslog_priority(level), "%s", buf_text(line));
        return;
    case LOG_TARGET_STDERR:
        buf_addc(line, '\n');
        /* A log that cannot be written has nobody to complain to. */
        while (write(STDERR_FILENO, line->data, line->len) < 0 && errno == EINTR)
            continue;
        return;
    }
}

void log_write(enum log_level level, const char *message, const struct log_field *fields)
{
    int saved_errno = errno;
    if (level <= setup.max_level) {
        struct buf line;
        buf_init(&line);
        switch (setup.format) {
        case LOG_FORMAT_TEXT:
            format_text(&line, level, message, fields);
            break;
        case LOG_FORMAT_JSON:
            format_json(&line, level, message, fields);
            break;
        }
        emit(level, &line);
        buf_release(&line);
    }
    if (level == LOG_LEVEL_PANIC)
        abort();
    errno = saved_errno;
}
