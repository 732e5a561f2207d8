/*
 * text: bounded copying, checking and escaping of strings that come from outside.
 *
 * Pure functions on the caller's storage, thread-safe, no allocation unless a
 * `struct buf` is passed. GitHub's limits: owner up to 39 characters of
 * [A-Za-z0-9-] (enterprise-managed users add `_`), repository up to 100 of
 * [A-Za-z0-9._-], label up to 50 characters, and refs by git-check-ref-format(1).
 */
#ifndef PRGATE_TEXT_H
#define PRGATE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* Copies with a closing NUL; false, and an empty string, when it does not fit. */
bool text_copy(char *to, size_t size, const char *from);

/* Copies what fits without cutting a UTF-8 sequence in two. */
void text_copy_cut(char *to, size_t size, const char *from);

/* How many of the first `max` bytes can be kept without cutting a UTF-8 sequence in two. */
size_t text_cut(const char *text, size_t max);

bool text_utf8_valid(const void *bytes, size_t len); /* RFC 3629: no surrogates, nothing overlong */
size_t text_utf8_count(const char *text);            /* code points; an invalid byte counts as one */

/* The blanks of JSON, RFC 8259; and the first other character from `at` on, or `end`. Inline: a webhook has thousands. */
static inline bool text_is_json_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static inline const char *text_skip_json_blanks(const char *at, const char *end)
{
    while (at < end && text_is_json_blank(*at))
        at++;
    return at;
}

bool text_is_repo_name(const char *text);           /* "owner/name" */
bool text_is_owner_name(const char *text);          /* its first part: a user or an organization */
bool text_is_login(const char *text);               /* "octocat", "dependabot[bot]" */
bool text_is_ref(const char *text);                 /* "main", "feature/x": UTF-8 of up to 255 bytes */
bool text_is_label(const char *text);               /* UTF-8 of 1 to 200 bytes without control characters */
bool text_is_delivery(const char *text);            /* X-GitHub-Delivery: [A-Za-z0-9-]{1,64} */
bool text_equal_fold(const char *a, const char *b); /* ASCII case ignored, as GitHub does with names */
void text_fold(char *text);                         /* to ASCII lower case, in place */

/* Whole decimal number without sign or blanks; false when it is anything else or over `max`. */
bool text_to_u64(const char *text, uint64_t max, uint64_t *out);

/* RFC 3339 in UTC as GitHub writes it, "2024-01-31T12:00:00Z", to Unix seconds; -1 when it is not that
 * (no fractions, no other zones, no leap seconds, no year before 1970). */
int64_t text_to_time(const char *text);

/* The reverse. What lies outside 1970 to 9999 is shown as the nearer end. */
enum { TEXT_TIME_SIZE = 32 };
void text_from_time(int64_t unix_seconds, char out[TEXT_TIME_SIZE]);

void text_hex(const void *bytes, size_t len, char *out); /* out: 2 * len + 1 bytes, lower case */
bool text_unhex(const char *hex, void *out, size_t len); /* exactly 2 * len digits, else *out is untouched */

/*
 * One escaper per context. Where bytes are not UTF-8, html and json put U+FFFD,
 * the log forms show them in hex.
 */

/* RFC 3986 percent-encoding of one path segment or value. "." and ".." stay what they are. */
void text_add_url(struct buf *out, const char *text);

/* Element content and quoted attribute values. */
void text_add_html(struct buf *out, const char *text);

/* The inside of a JSON string, without its quotes. */
void text_add_json(struct buf *out, const char *text);

/* For a terminal or a line of log: control and direction-changing characters, quotes and backslashes escaped. */
void text_add_printable(struct buf *out, const char *text);

/* A value of key=value: plain words as they are, anything else in quotes and escaped. */
void text_add_log(struct buf *out, const char *text);

/*
 * A number of JSON, which has no bounds: beyond 2^53, where doubles begin to skip numbers, it is that; 0 if it is not a number.
 * So sums of a few fit, whatever was read.
 */
#define TEXT_INT_MAX (INT64_C(1) << 53)
int64_t text_int64(double number);

#endif
