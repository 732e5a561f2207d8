/*
 * web: a request and its reply, whichever protocol they travel by.
 *
 * The serving side (serve_fcgi.c, serve_cgi.c) fills a struct request, calls
 * routes_answer(), or routes_begin() and what that leaves to it, and sends the struct reply. Values are borrowed for the length of the
 * request; the reply's body is released by whoever initialised it.
 */
#ifndef PRGATE_WEB_H
#define PRGATE_WEB_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "prgate/buf.h"
#include "prgate/gate.h"
#include "prgate/inbox.h"
#include "prgate/spares.h"

enum { REQUEST_BODY_ROOM = 64 * 1024 }; /* an ordinary payload is half of that */

struct request {
    /* CGI meta-variables (RFC 3875, section 4.1), NULL where not given. */
    const char *method;
    const char *script_name;
    const char *path_info;
    const char *query; /* QUERY_STRING */
    const char *accept;
    const char *content_type;
    const char *content_length;
    const char *remote_addr;
    const char *event;     /* X-GitHub-Event */
    const char *delivery;  /* X-GitHub-Delivery */
    const char *signature; /* X-Hub-Signature-256 */

    /* Reads up to `len` bytes of the body; 0 = no more will come. */
    size_t (*read)(void *source, void *to, size_t len);
    void *source;
    struct spares
        *bodies; /* malloc()'s, of REQUEST_BODY_ROOM each, for bodies that fit; NULL: none are kept */
};

struct reply {
    int status;
    const char *content_type;
    const char *allow;     /* NULL, or the methods that a 405 names */
    int retry_after_s;     /* 0 = none */
    int max_age_s;         /* how long a client may keep it; 0 = not at all */
    char form_action[256]; /* where the page's form may lead: an origin; "" = to prgate itself */
    struct buf body;
    size_t unsent; /* HEAD: how much body GET would have got */

    bool is_acknowledgement; /* to GitHub: how long it took is counted */

    /* Work that the request left behind, to be started once the reply has gone out. */
    bool has_work;
    struct pr_key pr;
    struct claim claim;
    struct briefing *briefing; /* NULL: none; see reply_take_briefing() */
};

void reply_init(struct reply *reply);
/* Makes the tree, on one line, the body. */
void reply_json(struct reply *reply, int status, const cJSON *tree);
void reply_release(struct reply *reply);

/* For whoever does the work: it is his now. */
struct briefing *reply_take_briefing(struct reply *reply);

/* The reply's header block as CGI and FastCGI want it, with the empty line that ends it. */
void reply_head(const struct reply *reply, struct buf *out);

/*
 * Fills a request that is {0} from CGI meta-variables, each "NAME=VALUE", with NULL behind the last. Of a name that is there
 * twice the first counts. The values stay borrowed from there.
 */
void request_fill(struct request *request, char *const *variables);

#endif
