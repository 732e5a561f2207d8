#include "query.h"

#include <string.h>

#include "prgate/buf.h"
#include "prgate/text.h"

/* "%41" in what is left of the text. */
static bool unescape(const char *from, size_t left, char *c)
{
    unsigned char byte;
    char digits[3];
    if (*from != '%' || left < 3)
        return false;
    memcpy(digits, from + 1, 2);
    digits[2] = '\0';
    if (!text_unhex(digits, &byte, 1))
        return false;
    memcpy(c, &byte, 1);
    return true;
}

/* A '%' that no two digits follow is one. A control character, as a NUL that would hide the rest, becomes a blank. */
static void decode(const char *from, size_t len, char *to, size_t size)
{
    struct buf text;
    buf_init(&text);
    for (size_t i = 0; i < len; i++) {
        char c = from[i];
        if (unescape(from + i, len - i, &c))
            i += 2;
        else if (c == '+')
            c = ' ';
        if ((unsigned char)c < ' ')
            c = ' ';
        buf_addc(&text, c);
    }
    text_copy_cut(to, size, buf_text(&text));
    buf_release(&text);
}

static void take(struct board_query *out, const char *name, size_t name_len, const char *value, size_t len)
{
    char number[24], state[16];
    uint64_t parsed;
    if (name_len == 1 && *name == 'q') {
        decode(value, len, out->text, sizeof out->text);
    } else if (name_len == 4 && strncmp(name, "repo", 4) == 0) {
        decode(value, len, out->repo, sizeof out->repo);
    } else if (name_len == 5 && strncmp(name, "state", 5) == 0) {
        decode(value, len, state, sizeof state);
        out->group = board_group_from_name(state);
    } else if (name_len == 4 && strncmp(name, "page", 4) == 0) {
        decode(value, len, number, sizeof number);
        if (text_to_u64(number, INT64_MAX, &parsed) && parsed > 0)
            out->page = parsed;
    } else if (name_len == 8 && strncmp(name, "per_page", 8) == 0) {
        decode(value, len, number, sizeof number);
        if (text_to_u64(number, BOARD_PAGE_MAX, &parsed) && parsed > 0)
            out->per_page = (unsigned)parsed;
    }
}

void query_read(const char *query_string, unsigned per_page, struct board_query *out)
{
    *out = (struct board_query){.group = BOARD_GROUP_END, .page = 1, .per_page = per_page};
    const char *at = query_string == NULL ? "" : query_string;
    while (*at != '\0') {
        size_t len = strcspn(at, "&"), name_len = strcspn(at, "=&");
        if (name_len < len)
            take(out, at, name_len, at + name_len + 1, len - name_len - 1);
        at += len + (at[len] == '&');
    }
}

bool query_get(const char *query_string, const char *name, char *out, size_t size)
{
    const char *at = query_string == NULL ? "" : query_string;
    size_t wanted = strlen(name);
    out[0] = '\0';
    while (*at != '\0') {
        size_t len = strcspn(at, "&"), name_len = strcspn(at, "=&");
        if (name_len < len && name_len == wanted && strncmp(at, name, wanted) == 0) {
            /* What is decoded is no longer than before. */
            if (len - name_len - 1 < size)
                decode(at + name_len + 1, len - name_len - 1, out, size);
            return out[0] != '\0';
        }
        at += len + (at[len] == '&');
    }
    return false;
}
