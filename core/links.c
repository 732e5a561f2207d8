/*
 * A quote that a backslash does not precede begins or ends a string. In JSON only a name can end before a colon, so the
 * bytes _url": are the end of a name wherever they stand, and the quote before them is its beginning.
 */
#include "prgate/links.h"

#include <stdbool.h>
#include <string.h>

#include "prgate/text.h"

static const char name_end[] = "_url\"";

enum { NAME_END_SIZE = sizeof name_end - 1 };

/* Where a string that begins here ends; NULL: none does, or it has a backslash. */
static const char *skip_string(const char *at, const char *end)
{
    if (at == end || *at != '"')
        return NULL;
    at++;
    const char *close = memchr(at, '"', (size_t)(end - at));
    if (close == NULL || memchr(at, '\\', (size_t)(close - at)) != NULL)
        return NULL;
    return close + 1;
}

static bool is_read(const char *name, size_t len)
{
    static const char details[] = "\"details_url\"", target[] = "\"target_url\"";
    return (len == sizeof details - 1 && memcmp(name, details, len) == 0) ||
           (len == sizeof target - 1 && memcmp(name, target, len) == 0);
}

/* Where a member to be left out ends, whose comma is here; NULL: none begins here. */
static const char *skip_link(const char *comma, const char *end)
{
    if (comma == end || *comma != ',')
        return NULL;
    const char *name = text_skip_json_blanks(comma + 1, end);
    const char *at = skip_string(name, end);
    if (at == NULL || at - name <= NAME_END_SIZE ||
        memcmp(at - NAME_END_SIZE, name_end, NAME_END_SIZE) != 0 || is_read(name, (size_t)(at - name)))
        return NULL;
    at = text_skip_json_blanks(at, end);
    return at < end && *at == ':' ? skip_string(text_skip_json_blanks(at + 1, end), end) : NULL;
}

/* The comma before the name that ends here, as far back as `from`; NULL: there is none. */
static const char *find_comma(const char *from, const char *ends)
{
    const char *at = memrchr(from, '"', (size_t)(ends - from));
    while (at != NULL && at > from) {
        at--;
        if (*at == ',')
            return at;
        if (!text_is_json_blank(*at))
            return NULL;
    }
    return NULL;
}

/* A value stands before the comma, so that it was one of a list or an object. */
static bool ends_with_value(const char *out, const char *to)
{
    while (to > out && text_is_json_blank(to[-1]))
        to--;
    return to > out && to[-1] != ',' && to[-1] != '{' && to[-1] != '[';
}

static bool goes_on(const char *at, const char *end)
{
    at = text_skip_json_blanks(at, end);
    return at < end && (*at == ',' || *at == '}');
}

size_t links_leave_out(const char *text, size_t len, char *out)
{
    const char *at = text, *end = text + len;
    char *to = out;
    while (at < end) {
        const char *found = memmem(at, (size_t)(end - at), name_end, NAME_END_SIZE);
        const char *keep_to = found == NULL ? end : found + NAME_END_SIZE, *next = keep_to;
        const char *comma = found == NULL ? NULL : find_comma(at, found);
        const char *past = comma == NULL ? NULL : skip_link(comma, end);
        if (past != NULL)
            keep_to = comma;
        for (; past != NULL;
             past = skip_link(text_skip_json_blanks(past, end), end)) /* most stand in a row */
            next = past;
        memcpy(to, at, (size_t)(keep_to - at));
        to += keep_to - at;
        if (next > keep_to &&
            !(ends_with_value(out, to) && goes_on(next, end))) { /* no JSON, and to stay none */
            memcpy(to, keep_to, (size_t)(next - keep_to));
            to += next - keep_to;
        }
        at = next;
    }
    return (size_t)(to - out);
}
