/*
 * json: writes a JSON object member by member, without a tree, for what is written often.
 *
 *     json_begin(&out);
 *     json_text(&out, "delivery", delivery);
 *     json_number(&out, "time", now_ms);
 *     json_object(&out, "facts");
 *     json_bool(&out, "known", true);
 *     json_end(&out);
 *     json_end(&out);        {"delivery":"...","time":1700000000123,"facts":{"known":true}}
 *
 * Names are written as they are. Texts are escaped, and U+FFFD stands where they are not UTF-8. Not thread-safe.
 */
#ifndef PRGATE_JSON_H
#define PRGATE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "prgate/buf.h"

/* The outermost object: `out` may have something before it. */
void json_begin(struct buf *out);

/* Members of the object that was begun last: one must have been. A text that is NULL is none. */
void json_text(struct buf *out, const char *name, const char *text);
void json_number(struct buf *out, const char *name, int64_t number);
void json_bool(struct buf *out, const char *name, bool is_true);
void json_object(struct buf *out, const char *name);
void json_list(struct buf *out, const char *name);

/* An element of the list that was begun last. */
void json_element(struct buf *out, const char *text);

void json_end(struct buf *out);
void json_end_list(struct buf *out);

#endif
