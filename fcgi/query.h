/*
 * query: what a page is asked, out of its URL: the filters of a status page, and single values.
 */
#ifndef PRGATE_QUERY_H
#define PRGATE_QUERY_H

#include <stdbool.h>
#include <stddef.h>

#include "prgate/board.h"

/*
 * Reads q, state, repo, page and per_page from a query string (application/x-www-form-urlencoded; NULL: none). What
 * is not understood counts as not given; text that is too long is cut. `out` keeps no pointer to it.
 */
void query_read(const char *query_string, unsigned per_page, struct board_query *out);

/* The first value of that name, decoded as above. False, and "": it is not given, is empty or does not fit. */
bool query_get(const char *query_string, const char *name, char *out, size_t size);

#endif
