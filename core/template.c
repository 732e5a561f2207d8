#include "prgate/template.h"

#include <stdio.h>
#include <string.h>

#include "prgate/text.h"

static const char *const names[TEMPLATE_NAME_END] = {
    [TEMPLATE_AUTHOR] = "author", [TEMPLATE_NUMBER] = "number", [TEMPLATE_REPO] = "repo",
    [TEMPLATE_BASE] = "base",     [TEMPLATE_HEAD] = "head",     [TEMPLATE_SHA] = "sha",
    [TEMPLATE_LABEL] = "label",   [TEMPLATE_PERSON] = "person", [TEMPLATE_WANTED_BASE] = "wanted_base",
};

/* `text` is behind the opening brace. Returns what is behind the closing one, or NULL: it is no name. */
static const char *read_name(const char *text, enum template_name *out)
{
    for (enum template_name name = 0; name < TEMPLATE_NAME_END; name++) {
        size_t len = strlen(names[name]);
        if (strncmp(text, names[name], len) == 0 && text[len] == '}') {
            *out = name;
            return text + len + 1;
        }
    }
    return NULL;
}

static bool is_doubled(const char *text)
{
    return (text[0] == '{' || text[0] == '}') && text[1] == text[0];
}

/* "{name}" as it stands there, or the brace alone where no name follows. */
static void show_bad(const char *text, char bad[TEMPLATE_BAD_SIZE])
{
    size_t len = 1 + (text[0] == '{' ? strcspn(text + 1, "{} \n") : 0);
    bool closed = text[0] == '{' && text[len] == '}';
    char shown[TEMPLATE_BAD_SIZE];
    snprintf(shown, sizeof shown, "%.*s", (int)(closed ? len + 1 : 1), text);
    text_copy_cut(bad, TEMPLATE_BAD_SIZE, shown);
}

bool template_check(const char *text, unsigned allowed, char bad[TEMPLATE_BAD_SIZE])
{
    while (*text != '\0') {
        enum template_name name;
        if (is_doubled(text)) {
            text += 2;
        } else if (*text != '{' && *text != '}') {
            text++;
        } else {
            const char *behind = *text == '{' ? read_name(text + 1, &name) : NULL;
            if (behind == NULL || (allowed & (1U << name)) == 0) {
                show_bad(text, bad);
                return false;
            }
            text = behind;
        }
    }
    return true;
}

void template_names(unsigned allowed, char out[TEMPLATE_NAMES_SIZE])
{
    size_t len = 0;
    out[0] = '\0';
    for (enum template_name name = 0; name < TEMPLATE_NAME_END; name++)
        if ((allowed & (1U << name)) != 0 && len < TEMPLATE_NAMES_SIZE)
            len += (size_t)snprintf(out + len, TEMPLATE_NAMES_SIZE - len, "%s{%s}", len == 0 ? "" : ", ",
                                    names[name]);
}

static size_t longest_run(const char *text, char of)
{
    size_t longest = 0, run = 0;
    for (; *text != '\0'; text++) {
        run = *text == of ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

static void add_times(struct buf *out, char c, size_t times)
{
    while (times-- > 0)
        buf_addc(out, c);
}

/* A fence longer than any in the text, and a blank that Markdown takes off where the text could touch the fence. */
void template_add_code(struct buf *out, const char *text)
{
    size_t fence = longest_run(text, '`') + 1;
    const char *pad = fence > 1 ? " " : "";
    if (text[0] == '\0')
        return;
    add_times(out, '`', fence);
    buf_adds(out, pad);
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < ' ')
            buf_addc(out, ' '); /* an empty line would end the span */
        else
            buf_addc(out, *at);
    }
    buf_adds(out, pad);
    add_times(out, '`', fence);
}

void template_add_login(struct buf *out, const char *login)
{
    if (login[0] == '\0')
        buf_adds(out, "somebody");
    else if (text_is_login(login))
        buf_addf(out, "@%s", login);
    else
        template_add_code(out, login);
}

static void add_value(struct buf *out, enum template_name name, const char *value)
{
    switch (name) {
    case TEMPLATE_AUTHOR:
    case TEMPLATE_PERSON:
        template_add_login(out, value);
        return;
    case TEMPLATE_BASE:
    case TEMPLATE_HEAD:
    case TEMPLATE_LABEL:
    case TEMPLATE_WANTED_BASE:
    case TEMPLATE_REPO:
    case TEMPLATE_SHA:
        template_add_code(out, value);
        return;
    case TEMPLATE_NUMBER:
    case TEMPLATE_NAME_END:
        break;
    }
    buf_adds(out, value);
}

void template_fill(const char *text, const struct template_values *values, struct buf *out)
{
    while (*text != '\0') {
        enum template_name name;
        const char *behind = *text == '{' && !is_doubled(text) ? read_name(text + 1, &name) : NULL;
        if (behind != NULL) {
            add_value(out, name, values->of[name] == NULL ? "" : values->of[name]);
            text = behind;
        } else {
            buf_addc(out, *text);
            text += is_doubled(text) ? 2 : 1;
        }
    }
}
