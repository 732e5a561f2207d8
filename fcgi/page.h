/*
 * page: HTML from a template and a JSON tree.
 *
 *     struct buf html;
 *     if (page_render(&html, templates_find("status"), tree, &err) != ERR_OK)
 *         ...;                                    our bug: the template is malformed
 *
 * Templates hold no logic, in Mustache's spelling:
 *
 *     {{name}}            the member's text or number, escaped; {{.}} is the item itself; {{a.b}} goes down
 *     {{%name}}           the same as one component of a URL
 *     {{#name}}..{{/name}}  for each item of an array; once for anything else that is not empty
 *     {{^name}}..{{/name}}  once where it is missing, null, false, 0, "" or an empty array
 *     {{>name}}           another template
 *     {{!text}}           nothing
 *
 * A name that an item lacks is looked for in what is around it. Nothing is ever put out as it is. The renderer follows the
 * HTML around each value, and escapes by where it stands: text and quoted attributes as such; in href and action
 * a value at the start must be a whole URL, relative or of http or https (else it becomes "#"), and one behind
 * it must be marked with %. A value in any other place (a tag's or an attribute's name, an attribute without quotes, one that
 * holds a script or style) is an error, not a guess.
 */
#ifndef PRGATE_PAGE_H
#define PRGATE_PAGE_H

#include <cjson/cJSON.h>

#include "prgate/buf.h"
#include "prgate/err.h"

/* The template of that name, compiled in from fcgi/templates; NULL: there is none. Valid for ever. */
const char *templates_find(const char *name);

/* The style sheet. */
const char *templates_style(void);

/*
 * Appends to `out`. ERR_FATAL: the template is malformed; what is in `out` then is not to be used. Thread-safe.
 */
enum err_code page_render(struct buf *out, const char *text, const cJSON *data, struct err *err);

#endif
