#include "prgate/json.h"

#include "prgate/text.h"

/* A comma, unless it is the first of its object or list. */
static void separate(struct buf *out)
{
    unsigned char last = out->data[out->len - 1];
    if (last != '{' && last != '[')
        buf_addc(out, ',');
}

static void add_name(struct buf *out, const char *name)
{
    separate(out);
    buf_addc(out, '"');
    buf_adds(out, name);
    buf_adds(out, "\":");
}

static void add_string(struct buf *out, const char *text)
{
    buf_addc(out, '"');
    text_add_json(out, text);
    buf_addc(out, '"');
}

void json_begin(struct buf *out)
{
    buf_addc(out, '{');
}

void json_text(struct buf *out, const char *name, const char *text)
{
    if (text == NULL)
        return;
    add_name(out, name);
    add_string(out, text);
}

void json_number(struct buf *out, const char *name, int64_t number)
{
    add_name(out, name);
    buf_addi(out, number);
}

void json_bool(struct buf *out, const char *name, bool is_true)
{
    add_name(out, name);
    buf_adds(out, is_true ? "true" : "false");
}

void json_object(struct buf *out, const char *name)
{
    add_name(out, name);
    buf_addc(out, '{');
}

void json_list(struct buf *out, const char *name)
{
    add_name(out, name);
    buf_addc(out, '[');
}

void json_element(struct buf *out, const char *text)
{
    separate(out);
    add_string(out, text);
}

void json_end(struct buf *out)
{
    buf_addc(out, '}');
}

void json_end_list(struct buf *out)
{
    buf_addc(out, ']');
}
