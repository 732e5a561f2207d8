/*
 * log: one line per fact, to stderr or syslog.
 *
 *     log_info("delivery taken", LOG_STR("delivery", id), LOG_INT("seq", seq));
 *
 * gives, with log_format = "text" or "json":
 *
 *     2024-01-31T12:00:00.123Z info delivery taken pid=7 delivery=72d3162e seq=1
 *     {"time":"2024-01-31T12:00:00.123Z","level":"info","msg":"delivery taken","pid":7,...}
 *
 * syslog has time, level and pid of its own, so text leaves them out there.
 *
 * The severities mean one thing each: panic = our bug, the process aborts;
 * fatal = this process cannot go on; error = something asked for was not done;
 * warning = odd, dealt with; info = what happened; debug = how it happened.
 * Values are escaped, so no input can forge a line; values that would make it
 * longer than LOG_LINE_MAX are cut and end in "...". Thread-safe: a line is one
 * write(2), and never more than a pipe takes at once. errno is left as it was.
 */
#ifndef PRGATE_LOG_H
#define PRGATE_LOG_H

#include <stdbool.h>
#include <stdint.h>

/* Not LOG_INFO and so on: those are macros of <syslog.h>. */
enum log_level {
    LOG_LEVEL_PANIC,
    LOG_LEVEL_FATAL,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };
enum log_target { LOG_TARGET_STDERR, LOG_TARGET_SYSLOG };

enum { LOG_LINE_MAX = 4096 }; /* with its newline; Linux's PIPE_BUF */

struct log_field {
    const char *key;
    const char *text; /* NULL: "-" in text, null in JSON */
    int64_t number;
    bool is_number;
};

#define LOG_STR(name, value) ((struct log_field){.key = (name), .text = (value)})
#define LOG_INT(name, value)                                                                                 \
    ((struct log_field){.key = (name), .number = (int64_t)(value), .is_number = true})

/* Before other threads start. Until then lines of info and above go to stderr as text. */
void log_setup(enum log_level max_level, enum log_format format, enum log_target target);

/*
 * From here on this thread works on that delivery: each of its lines has `delivery`, behind its own fields, unless
 * it names one itself. NULL: on none. The text is copied.
 */
void log_about(const char *delivery);

/* What log_about() was told last in this thread, for whoever changes the task and comes back to it. */
enum { LOG_ABOUT_SIZE = 128 };
void log_get_about(char out[LOG_ABOUT_SIZE]);

/* `fields` ends with one whose key is NULL. LOG_LEVEL_PANIC aborts. */
void log_write(enum log_level level, const char *message, const struct log_field *fields);

const char *
log_level_name(enum log_level level); /* "info", as log_level in the configuration; valid for ever */

#define LOG_END ((struct log_field){.key = 0})
#define LOG_AT(level, message, ...) log_write((level), (message), (const struct log_field[]){__VA_ARGS__})

#define log_panic(...) LOG_AT(LOG_LEVEL_PANIC, __VA_ARGS__, LOG_END)
#define log_fatal(...) LOG_AT(LOG_LEVEL_FATAL, __VA_ARGS__, LOG_END)
#define log_error(...) LOG_AT(LOG_LEVEL_ERROR, __VA_ARGS__, LOG_END)
#define log_warning(...) LOG_AT(LOG_LEVEL_WARNING, __VA_ARGS__, LOG_END)
#define log_info(...) LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__, LOG_END)
#define log_debug(...) LOG_AT(LOG_LEVEL_DEBUG, __VA_ARGS__, LOG_END)

#endif
