/*
 * present: makes of a report what the templates of fcgi/templates show.
 *
 * Adds to the report's tree, under names of the page's own: times as text, names cut where a URL needs their parts,
 * what a choice is called. No HTML and no escaping: that is page.h's.
 */
#ifndef PRGATE_PRESENT_H
#define PRGATE_PRESENT_H

#include <cjson/cJSON.h>

#include "prgate/board.h"

/* What every page has. `root` leads from the page to where prgate is mounted: "", "../", "../../../". */
void present_frame(cJSON *page, const struct config *config, const char *root, const char *title);

/* The overview: board_report()'s tree. */
void present_board(cJSON *report, const struct board_query *query, int64_t now_ms);

/* One pull request: report_pull()'s tree after narrate_pull(). */
void present_pull(cJSON *report, int64_t now_ms);

#endif
