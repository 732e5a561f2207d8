/*
 * status: what the gate knows, for people (HTML) and for programs (JSON).
 *
 * All of it only reads. Errors of the store become a 503. Private repositories are not there, in lists and by name,
 * unless the configuration shows them. Thread-safe.
 */
#ifndef PRGATE_STATUS_H
#define PRGATE_STATUS_H

#include "web.h"

/* What a page was asked for. */
struct ask {
    struct gate *gate;
    const char *query; /* the query string, or NULL */
    const char *root;  /* from the page's URL to where prgate is mounted: "", "../", ... */
    bool json;         /* the path ended in ".json" */
    bool html;         /* the client is one that shows HTML: so are errors told */
};

void status_overview(const struct ask *ask, struct reply *reply);

/* `path` is "OWNER/REPO/N". */
void status_pull(const struct ask *ask, const char *path, struct reply *reply);

/* A page of that template; what every page has is added to the tree. */
void status_page(const struct ask *ask, int status, const char *template, cJSON *page, const char *title,
                 struct reply *reply);

void status_style(struct reply *reply);

/* An error as a page where one is wanted, else door_message()'s JSON. `message` is a sentence without a full stop. */
void status_error(const struct ask *ask, int status, const char *message, struct reply *reply);

#endif
