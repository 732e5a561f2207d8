/*
 * http: one HTTP exchange. It and http_hub are the only modules that know libcurl.
 *
 *     struct http *http;
 *     http_open(&http, timeout_s, &err);
 *     struct http_request request = {.method = "GET", .url = url};
 *     struct http_reply reply;
 *     http_reply_init(&reply);
 *     if (http->perform(http, &request, &reply, &err) == ERR_OK)
 *         use(reply.status, reply.body);
 *     http_reply_release(&reply);
 *     http_close(http);
 *
 * A handle keeps its connections alive between exchanges, verifies TLS and
 * follows no redirects but those of GET, and on request not even those. Proxies
 * come from libcurl's environment variables. One handle belongs to one thread at a
 * time. `perform` is a member so that a test can put its own transport in place.
 */
#ifndef PRGATE_HTTP_H
#define PRGATE_HTTP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "prgate/buf.h"
#include "prgate/err.h"

enum { HTTP_HEADERS_MAX = 8, HTTP_REPLY_MAX = 16 * 1024 * 1024, HTTP_URL_SIZE = 1024 };

struct http_request {
    const char *method; /* "GET", "POST", "PATCH", "DELETE" */
    const char *url;
    const char *headers[HTTP_HEADERS_MAX]; /* "Name: value", the first NULL ends it */
    const char *body;                      /* NULL: none */
    size_t body_len;
    /*
     * It must not reach the server twice. When a kept connection breaks before
     * the reply, libcurl repeats the request on a new one by itself, whatever the
     * method, since the server most likely closed it before the request came.
     * "Most likely" does not do for starting CI: such a request gets a connection
     * of its own, which is kept for others afterwards.
     */
    bool once;
    /* A redirect is the reply, and is not followed: whoever answers must not choose whom prgate asks next. */
    bool no_redirect;
};

/* What of a reply matters, whatever its status. */
struct http_reply {
    int status; /* 0: none came */
    struct buf body;
    char next_url[HTTP_URL_SIZE]; /* RFC 8288 Link header, rel="next"; "" = last page */
    int64_t retry_after_s;        /* Retry-After in seconds; -1 = not sent */
    int64_t rate_limit;           /* x-ratelimit-limit; -1 = not sent */
    int64_t rate_remaining;       /* x-ratelimit-remaining; -1 = not sent */
    int64_t rate_reset;           /* x-ratelimit-reset, Unix seconds; -1 = not sent */
    int64_t duration_ms;
};

struct http {
    /*
     * ERR_OK: a reply came, of any status. ERR_RETRY: the request did not reach
     * the server (name look-up, connect, proxy, TLS). ERR_UNKNOWN: it may have:
     * time-out, connection lost or an unintelligible reply after it was sent.
     * ERR_REJECT: the URL or a header is malformed, the protocol is not http or
     * https, or the reply is over the limits (HTTP_REPLY_MAX, HTTP_URL_SIZE).
     * *reply must be initialised; what an earlier exchange left in it is replaced,
     * so one reply may serve several. Its duration counts after an error, too.
     */
    enum err_code (*perform)(struct http *http, const struct http_request *request, struct http_reply *reply,
                             struct err *err);
};

/*
 * curl_global_init(): once per process, before threads; http_shutdown() undoes it.
 * Also has SIGPIPE ignored if nobody handles it: OpenSSL writes to sockets whose
 * other end is gone, and libcurl leaves that signal alone in programs with threads.
 */
enum err_code http_setup(struct err *err);
void http_shutdown(void);

/* *out is the caller's to close. The time-out covers one exchange whole; connecting gets a third of it. */
enum err_code http_open(struct http **out, int timeout_s, struct err *err);
void http_close(struct http *http);

/*
 * From here on an exchange is broken off, within about a second, when *stop becomes true: as if it had timed out.
 * For reading, or where nothing is lost. `stop` is borrowed until http_close().
 */
void http_stop_when(struct http *http, const atomic_bool *stop);

/*
 * From here on an exchange that is made in a fiber gives way to the thread's other fibers until it is over: see http_hub.h.
 * `hub` is borrowed until http_close().
 */
struct http_hub;
void http_join(struct http *http, struct http_hub *hub);

void http_reply_init(struct http_reply *reply);
void http_reply_clear(struct http_reply *reply); /* as initialised, but keeps the body's memory */
void http_reply_release(struct http_reply *reply);

#endif
