/*
 * http_hub: the exchanges of many fibers at once, in their one thread, over libcurl's multi interface.
 *
 *     struct http_hub *hub;
 *     http_hub_open(&hub, exchanges_max, kept_max, &err);
 *     http_join(http, hub);                 from here on its exchanges in fibers go through the hub
 *     ... fibers that use `http`, each of them one of its own
 *     while (fibers_count(fibers) > 0)
 *         http_hub_run(hub, fibers_run(fibers));
 *     http_close(http);
 *     http_hub_close(hub);
 *
 * Connections belong to the hub and are kept for whoever asks the same server next. All but http_hub_rouse() is for the
 * thread of the fibers.
 *
 * libcurl starts a thread for each name that it looks up. So of those that ask the same host one goes ahead, until
 * the name is known; should it not be found, the others fail with it.
 */
#ifndef PRGATE_HTTP_HUB_H
#define PRGATE_HTTP_HUB_H

#include "prgate/err.h"

struct http_hub;

/*
 * There are never more connections than `exchanges_max`, those that nobody uses included, and of those none is kept while
 * there are more than `kept_max` in all. *out is yours to close.
 */
enum err_code http_hub_open(struct http_hub **out, int exchanges_max, int kept_max, struct err *err);

/* No exchange may be under way. NULL is allowed. */
void http_hub_close(struct http_hub *hub);

/*
 * Waits until anything happens, or http_hub_rouse() was called since the last time, for wait_ms at most (-1: as long as it
 * takes), and wakes those fibers whose exchange is over.
 */
void http_hub_run(struct http_hub *hub, int wait_ms);

/* http_hub_run() returns, or does so at once the next time. Thread-safe. */
void http_hub_rouse(struct http_hub *hub);

#endif
