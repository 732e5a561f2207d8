/*
 * query: the filters of a status page, out of its URL.
 */
#ifndef PRGATE_QUERY_H
#define PRGATE_QUERY_H

#include "prgate/board.h"

/*
 * Reads q, state, repo, page and per_page from a query string (application/x-www-form-urlencoded; NULL: none). What
 * is not understood counts as not given; text that is too long is cut. `out` keeps no pointer to it.
 */
void query_read(const char *query_string, unsigned per_page, struct board_query *out);

#endif
