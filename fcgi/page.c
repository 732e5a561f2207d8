#include "page.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "prgate/text.h"

enum { NAME_SIZE = 64, ATTRIBUTE_SIZE = 24, DEPTH_MAX = 32 };

/* Where in the HTML the next byte stands. */
enum place { IN_TEXT, IN_TAG, IN_VALUE };

/* The items that a name is looked for in, the innermost first. */
struct view {
    const cJSON *item;
    const struct view *outer;
};

struct page {
    struct buf *out;
    struct err *err;
    enum place place;
    char attribute[ATTRIBUTE_SIZE]; /* whose value it is, or is going to be */
    size_t attribute_len;
    bool named; /* that attribute's "=" has been seen */
    bool begun; /* something of the value is there already */
    int depth;
};

/* {{...}} */
struct tag {
    char kind; /* '#', '^', '/', '>', '!', '%', or '=' for a plain one */
    char name[NAME_SIZE];
    const char *start, *end; /* in the template, braces and all */
};

/* ---- where in the HTML ---------------------------------------------------------- */

static void follow_tag(struct page *page, char c)
{
    bool of_name = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
    if (c == '>') {
        page->place = IN_TEXT;
    } else if (c == '"' && page->named) {
        page->place = IN_VALUE;
        page->begun = false;
    } else if (c == '=') {
        page->named = true;
        return;
    } else if (of_name && page->attribute_len < sizeof page->attribute - 1) {
        page->attribute[page->attribute_len++] = c;
        page->attribute[page->attribute_len] = '\0';
        return;
    }
    page->named = false;
    if (page->place != IN_VALUE)
        page->attribute_len = 0;
}

static void follow(struct page *page, char c)
{
    switch (page->place) {
    case IN_TEXT:
        if (c == '<') {
            page->place = IN_TAG;
            page->attribute_len = 0;
            page->named = false;
        }
        return;
    case IN_TAG:
        follow_tag(page, c);
        return;
    case IN_VALUE:
        page->begun = true;
        if (c == '"') {
            page->place = IN_TAG;
            page->attribute_len = 0;
        }
        return;
    }
}

static void add_text(struct page *page, const char *from, const char *to)
{
    buf_add(page->out, from, (size_t)(to - from));
    for (; from < to; from++)
        follow(page, *from);
}

/* ---- values ------------------------------------------------------------------- */

static const cJSON *member(const cJSON *object, const char *name, size_t len)
{
    char text[NAME_SIZE];
    memcpy(text, name, len);
    text[len] = '\0';
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, text) : NULL;
}

/* NULL: nothing has that name. */
static const cJSON *find(const struct view *view, const char *name)
{
    const cJSON *item = NULL;
    if (strcmp(name, ".") == 0)
        return view->item;
    size_t len = strcspn(name, ".");
    for (; view != NULL && item == NULL; view = view->outer)
        item = member(view->item, name, len);
    while (item != NULL && name[len] == '.') {
        name += len + 1;
        len = strcspn(name, ".");
        item = member(item, name, len);
    }
    return item;
}

static bool is_empty(const cJSON *item)
{
    if (cJSON_IsString(item))
        return item->valuestring[0] == '\0';
    if (cJSON_IsNumber(item))
        return item->valuedouble == 0;
    if (cJSON_IsArray(item))
        return item->child == NULL;
    return !cJSON_IsTrue(item) && !cJSON_IsObject(item);
}

static const char *text_of(const cJSON *item, char number[32])
{
    if (cJSON_IsString(item))
        return item->valuestring;
    number[0] = '\0';
    if (cJSON_IsNumber(item))
        snprintf(number, 32, "%" PRId64, text_int64(item->valuedouble));
    return number;
}

/* Relative, or by the two schemes that lead to a page. "//host" is as good as a scheme. */
static bool is_safe_url(const char *url)
{
    if (strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0)
        return true;
    return url[0] != '/' && url[strcspn(url, ":/?#")] != ':';
}

static enum err_code complain(struct page *page, const char *what, const struct tag *tag)
{
    return err_set(page->err, ERR_FATAL, 0, "template: %s: {{%s}}", what, tag->name);
}

static bool holds_url(const char *attribute)
{
    return strcmp(attribute, "href") == 0 || strcmp(attribute, "action") == 0;
}

/* What a browser would run, or fetch without being asked. */
static bool holds_more(const char *attribute)
{
    return strncmp(attribute, "on", 2) == 0 || strcmp(attribute, "style") == 0 ||
           strcmp(attribute, "src") == 0 || strcmp(attribute, "srcdoc") == 0 ||
           strcmp(attribute, "srcset") == 0 || strcmp(attribute, "formaction") == 0;
}

static enum err_code add_value(struct page *page, const struct tag *tag, const struct view *view)
{
    char number[32];
    const char *text = text_of(find(view, tag->name), number);
    bool in_url = page->place == IN_VALUE && holds_url(page->attribute);
    if (page->place == IN_TAG)
        return complain(page, "a value inside of a tag, but in no quoted attribute", tag);
    if (page->place == IN_VALUE && holds_more(page->attribute))
        return complain(page, "a value in an attribute that takes none", tag);
    if (tag->kind == '%')
        text_add_url(page->out, text);
    else if (!in_url)
        text_add_html(page->out, text);
    else if (page->begun)
        return complain(page, "a part of a URL that is not marked with %", tag);
    else
        text_add_html(page->out, is_safe_url(text) ? text : "#");
    page->begun = true;
    return ERR_OK;
}

/* ---- tags --------------------------------------------------------------------- */

/* ERR_NOT_FOUND: no more tags. */
static enum err_code next_tag(struct page *page, const char *at, const char *end, struct tag *tag)
{
    static const char kinds[] = "#^/>!%";
    *tag = (struct tag){.kind = '='};
    tag->start = memmem(at, (size_t)(end - at), "{{", 2);
    if (tag->start == NULL)
        return ERR_NOT_FOUND;
    const char *name = tag->start + 2;
    const char *close = memmem(name, (size_t)(end - name), "}}", 2);
    if (close == NULL)
        return complain(page, "no end of a tag", tag);
    tag->end = close + 2;
    if (name < close && strchr(kinds, *name) != NULL)
        tag->kind = *name++;
    if (tag->kind == '!')
        return ERR_OK;
    if (name == close || (size_t)(close - name) >= sizeof tag->name)
        return complain(page, "a name that is empty or too long", tag);
    memcpy(tag->name, name, (size_t)(close - name));
    return ERR_OK;
}

/* The tag that ends the section which begins behind `open`. */
static enum err_code find_close(struct page *page, const struct tag *open, const char *end, struct tag *close)
{
    int depth = 1;
    const char *at = open->end;
    while (depth > 0) {
        enum err_code code = next_tag(page, at, end, close);
        if (code == ERR_NOT_FOUND)
            return complain(page, "a section without an end", open);
        if (code != ERR_OK)
            return code;
        if (close->kind == '#' || close->kind == '^')
            depth++;
        else if (close->kind == '/')
            depth--;
        at = close->end;
    }
    return strcmp(open->name, close->name) == 0 ? ERR_OK : complain(page, "ends another section", close);
}

static enum err_code render(struct page *page, const char *at, const char *end, const struct view *view);

static enum err_code render_section(struct page *page, const struct tag *open, const struct tag *close,
                                    const struct view *view)
{
    const cJSON *value = find(view, open->name);
    enum err_code code = ERR_OK;
    if (open->kind == '^')
        return is_empty(value) ? render(page, open->end, close->start, view) : ERR_OK;
    if (is_empty(value))
        return ERR_OK;
    if (!cJSON_IsArray(value))
        return render(page, open->end, close->start, &(struct view){value, view});
    for (const cJSON *item = value->child; item != NULL && code == ERR_OK; item = item->next)
        code = render(page, open->end, close->start, &(struct view){item, view});
    return code;
}

static enum err_code render_partial(struct page *page, const struct tag *tag, const struct view *view)
{
    const char *text = templates_find(tag->name);
    if (text == NULL)
        return complain(page, "no such template", tag);
    return render(page, text, text + strlen(text), view);
}

/* What one tag stands for; *at is set behind it, or behind its section. */
static enum err_code render_tag(struct page *page, const struct tag *tag, const char *end,
                                const struct view *view, const char **at)
{
    struct tag close;
    enum err_code code = ERR_OK;
    *at = tag->end;
    switch (tag->kind) {
    case '!':
        return ERR_OK;
    case '/':
        return complain(page, "ends a section that does not begin", tag);
    case '>':
        return render_partial(page, tag, view);
    case '#':
    case '^':
        code = find_close(page, tag, end, &close);
        if (code != ERR_OK)
            return code;
        *at = close.end;
        return render_section(page, tag, &close, view);
    default:
        return add_value(page, tag, view);
    }
}

static enum err_code render(struct page *page, const char *at, const char *end, const struct view *view)
{
    struct tag tag;
    enum err_code code;
    if (++page->depth > DEPTH_MAX)
        return err_set(page->err, ERR_FATAL, 0, "template: nested too deep");
    while ((code = next_tag(page, at, end, &tag)) == ERR_OK) {
        add_text(page, at, tag.start);
        code = render_tag(page, &tag, end, view, &at);
        if (code != ERR_OK)
            return code;
    }
    if (code != ERR_NOT_FOUND)
        return code;
    add_text(page, at, end);
    page->depth--;
    return ERR_OK;
}

enum err_code page_render(struct buf *out, const char *text, const cJSON *data, struct err *err)
{
    struct page page = {.out = out, .err = err};
    struct view view = {.item = data};
    return render(&page, text, text + strlen(text), &view);
}
