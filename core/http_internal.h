/*
 * http_internal: what http.c and http_hub.c share, and nobody else includes.
 *
 *   http.c       one exchange: the request, the reply's headers, what an error means
 *   http_hub.c   the exchanges of many fibers at once
 */
#ifndef PRGATE_HTTP_INTERNAL_H
#define PRGATE_HTTP_INTERNAL_H

#include <curl/curl.h>
#include <stdatomic.h>

#include "prgate/http_hub.h"

/*
 * As curl_easy_perform(), for a handle whose options are set. Within a fiber; the others run meanwhile. Once libcurl has it,
 * it is CURLE_ABORTED_BY_CALLBACK within half a second of *stop becoming true; `stop` may be NULL.
 */
CURLcode http_hub_perform(struct http_hub *hub, CURL *easy, const char *url, const atomic_bool *stop);

#endif
