#include "prgate/http.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http_internal.h"
#include "prgate/clock.h"
#include "prgate/fiber.h"
#include "prgate/text.h"

#if LIBCURL_VERSION_NUM < 0x075500
#error "prgate needs libcurl 7.85.0 or later"
#endif

enum {
    REDIRECTS_MAX = 5,
    READ_SIZE = 2048 /* at once; libcurl holds that much for each exchange, 16 kB if not told */
};

struct http_curl {
    struct http http; /* first: a `struct http *` is a pointer to the whole */
    CURL *curl;
    long timeout_ms;
    const atomic_bool *stop; /* NULL: nothing but the time-out ends an exchange */
    struct http_hub *hub;    /* NULL: each exchange holds the thread */
    char error[CURL_ERROR_SIZE];
};

/* One exchange under way: what libcurl's callbacks get to see. */
struct exchange {
    struct http_reply *reply;
    struct buf line;    /* the header at hand, closed by a NUL */
    bool sent;          /* libcurl was about to write the request: from here on it may have arrived */
    bool headers_done;  /* their blank line came */
    bool too_large;     /* the body passed HTTP_REPLY_MAX */
    bool next_too_long; /* the next page's URL does not fit: the list must not look complete */
};

/* ---- the reply's headers ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *text)
{
    while (is_blank(*text))
        text++;
    return text;
}

/* Is `word` one of the blank-separated words of text[0..len)? */
static bool has_word(const char *text, size_t len, const char *word)
{
    size_t word_len = strlen(word);
    for (size_t i = 0; i < len;) {
        size_t start = i;
        while (i < len && !is_blank(text[i]))
            i++;
        if (i - start == word_len && strncasecmp(text + start, word, word_len) == 0)
            return true;
        while (i < len && is_blank(text[i]))
            i++;
    }
    return false;
}

/*
 * Reads one parameter of a link, from behind its semicolon: `rel="next last"`.
 * Returns where it ends and sets *next if it makes the link one to the next page.
 */
static const char *link_parameter(const char *at, bool *next)
{
    at = skip_blanks(at);
    size_t name_len = strcspn(at, "=;, \t");
    bool is_rel = name_len == 3 && strncasecmp(at, "rel", 3) == 0;
    at = skip_blanks(at + name_len);
    if (*at != '=')
        return at;
    at = skip_blanks(at + 1);
    bool quoted = *at == '"';
    if (quoted)
        at++;
    size_t len = strcspn(at, quoted ? "\"" : ";, \t");
    if (is_rel && has_word(at, len, "next"))
        *next = true;
    at += len;
    return quoted && *at == '"' ? at + 1 : at;
}

/* RFC 8288: <target>; parameter; parameter="value", <target>; ... */
static void parse_link(struct exchange *exchange, const char *value)
{
    const char *at = value;
    while ((at = strchr(at, '<')) != NULL) {
        const char *target = at + 1;
        size_t len = strcspn(target, ">");
        bool next = false;
        at = target + len;
        while (*at != '\0' && *at != ',')
            at = *at == ';' ? link_parameter(at + 1, &next) : at + 1;
        if (!next)
            continue;
        if (len >= sizeof exchange->reply->next_url) {
            exchange->next_too_long = true;
            return;
        }
        memcpy(exchange->reply->next_url, target, len);
        exchange->reply->next_url[len] = '\0';
        return;
    }
}

/* Leaves *out alone when it is not a whole number. */
static void parse_number(const char *value, int64_t *out)
{
    uint64_t number;
    if (text_to_u64(value, INT64_MAX, &number))
        *out = (int64_t)number;
}

/* RFC 9110, 10.2.3: seconds, or a date. */
static void parse_retry_after(struct exchange *exchange, const char *value)
{
    parse_number(value, &exchange->reply->retry_after_s);
    if (exchange->reply->retry_after_s >= 0)
        return;
    time_t at = curl_getdate(value, NULL);
    time_t now = time(NULL);
    if (at >= 0)
        exchange->reply->retry_after_s = at > now ? (int64_t)(at - now) : 0;
}

static void parse_rate_limit(struct exchange *exchange, const char *value)
{
    parse_number(value, &exchange->reply->rate_limit);
}

static void parse_rate_remaining(struct exchange *exchange, const char *value)
{
    parse_number(value, &exchange->reply->rate_remaining);
}

static void parse_rate_reset(struct exchange *exchange, const char *value)
{
    parse_number(value, &exchange->reply->rate_reset);
}

static const struct {
    const char *name;
    void (*parse)(struct exchange *exchange, const char *value);
} header_rules[] = {
    {"link", parse_link},
    {"retry-after", parse_retry_after},
    {"x-ratelimit-limit", parse_rate_limit},
    {"x-ratelimit-remaining", parse_rate_remaining},
    {"x-ratelimit-reset", parse_rate_reset},
};

/* `line` is one "Name: value" that this may write into. */
static void parse_header(struct exchange *exchange, char *line)
{
    char *colon = strchr(line, ':');
    if (colon == NULL)
        return;
    *colon = '\0';
    const char *value = skip_blanks(colon + 1);
    for (size_t i = 0; i < sizeof header_rules / sizeof header_rules[0]; i++)
        if (strcasecmp(line, header_rules[i].name) == 0)
            header_rules[i].parse(exchange, value);
}

static size_t on_header(char *bytes, size_t size, size_t count, void *arg)
{
    struct exchange *exchange = arg;
    size_t len = size * count;
    size_t kept = len;
    while (kept > 0 && (bytes[kept - 1] == '\r' || bytes[kept - 1] == '\n' || is_blank(bytes[kept - 1])))
        kept--;
    buf_clear(&exchange->line);
    buf_add(&exchange->line, bytes, kept);
    buf_addc(&exchange->line, '\0');
    char *line = (char *)exchange->line.data;
    /* A status line begins a reply: what a redirect or a "100 Continue" said before it is void. */
    if (strncmp(line, "HTTP/", 5) == 0) {
        http_reply_clear(exchange->reply);
        exchange->next_too_long = false;
        exchange->headers_done = false;
    } else if (line[0] == '\0') {
        exchange->headers_done = true;
    } else {
        parse_header(exchange, line);
    }
    return len;
}

/* ---- the other callbacks ---- */

static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct exchange *exchange = arg;
    size_t len = size * count;
    if (len > HTTP_REPLY_MAX - exchange->reply->body.len) {
        exchange->too_large = true;
        return CURL_WRITEFUNC_ERROR;
    }
    buf_add_tightly(&exchange->reply->body, bytes, len); /* many replies wait for their fibers' turns */
    return len;
}

/*
 * Called when the connection stands, TLS and proxy included, and just before the
 * first byte of the request goes out: the one line between "not sent" and "nobody
 * knows" that no error code of libcurl's draws by itself.
 */
static int on_send(void *arg, char *peer_ip, char *own_ip, int peer_port, int own_port)
{
    (void)peer_ip;
    (void)own_ip;
    (void)peer_port;
    (void)own_port;
    struct exchange *exchange = arg;
    exchange->sent = true;
    return CURL_PREREQFUNC_OK;
}

/*
 * Called about once a second, also while nothing moves, but for an exchange of a hub, which looks itself; not 0 breaks the
 * exchange off.
 */
static int on_progress(void *arg, curl_off_t to_get, curl_off_t got, curl_off_t to_put, curl_off_t put)
{
    (void)to_get;
    (void)got;
    (void)to_put;
    (void)put;
    const atomic_bool *stop = arg;
    return atomic_load(stop) ? 1 : 0;
}

/* ---- one exchange ---- */

/* `ok` is a variable of the function around it. */
#define SET(option, value) (ok = ok && curl_easy_setopt(curl, (option), (value)) == CURLE_OK)

static bool set_limits(struct http_curl *self, const char *url)
{
    CURL *curl = self->curl;
    bool ok = true;
    bool secure = strncasecmp(url, "https:", 6) == 0;
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TIMEOUT_MS, self->timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS, self->timeout_ms / 3);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
    SET(CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    /* A segment ".." that came from outside must not climb to another resource. */
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_ACCEPT_ENCODING, "gzip");
#if LIBCURL_VERSION_NUM >= 0x075700
    /* When a look-up takes too long, libcurl leaves its thread alone, and does not hold up all fibers until it ends. */
    SET(CURLOPT_QUICK_EXIT, 1L);
#endif
    SET(CURLOPT_ERRORBUFFER, self->error);
    return ok;
}

/*
 * Options go, connections stay: no exchange inherits a body or a header from the one before.
 *
 * After an exchange that failed libcurl may hold on to what it reads into, and then refuses any size, the same one
 * included: such a handle has done its duty.
 */
static bool renew(struct http_curl *self)
{
    curl_easy_reset(self->curl);
    if (curl_easy_setopt(self->curl, CURLOPT_BUFFERSIZE, (long)READ_SIZE) == CURLE_OK)
        return true;
    CURL *next = curl_easy_init();
    if (next == NULL)
        return false;
    curl_easy_cleanup(self->curl);
    self->curl = next;
    return curl_easy_setopt(next, CURLOPT_BUFFERSIZE, (long)READ_SIZE) == CURLE_OK;
}

static bool set_callbacks(CURL *curl, struct exchange *exchange)
{
    bool ok = true;
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, exchange);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, exchange);
    SET(CURLOPT_PREREQFUNCTION, on_send);
    SET(CURLOPT_PREREQDATA, exchange);
    return ok;
}

static bool set_stop(CURL *curl, const atomic_bool *stop)
{
    bool ok = true;
    if (stop == NULL)
        return true;
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, stop);
    return ok;
}

static bool set_request(CURL *curl, const struct http_request *request, struct curl_slist *headers)
{
    bool ok = true;
    bool is_get = strcmp(request->method, "GET") == 0;
    bool has_body = request->body != NULL || strcmp(request->method, "POST") == 0;
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_HTTPHEADER, headers);
    if (has_body) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(request->body == NULL ? 0 : request->body_len));
        SET(CURLOPT_POSTFIELDS, request->body == NULL ? "" : request->body);
    }
    if (!is_get || has_body)
        SET(CURLOPT_CUSTOMREQUEST, request->method);
    SET(CURLOPT_FOLLOWLOCATION, is_get && !request->no_redirect ? 1L : 0L);
    SET(CURLOPT_FRESH_CONNECT, request->once ? 1L : 0L);
    return ok;
}

#undef SET

static enum err_code add_headers(struct curl_slist **list, const struct http_request *request,
                                 struct err *err)
{
    for (size_t i = 0; i < HTTP_HEADERS_MAX && request->headers[i] != NULL; i++) {
        const char *header = request->headers[i];
        if (strpbrk(header, "\r\n") != NULL)
            return err_set(err, ERR_REJECT, 0, "the header %.*s has a line break in it",
                           (int)strcspn(header, ":\r\n"), header);
        struct curl_slist *longer = curl_slist_append(*list, header);
        if (longer == NULL)
            return err_set(err, ERR_RETRY, 0, "libcurl is out of memory");
        *list = longer;
    }
    return ERR_OK;
}

static enum err_code failed(const struct http_curl *self, const struct exchange *exchange, CURLcode result,
                            struct err *err)
{
    const char *reason = self->error[0] != '\0' ? self->error : curl_easy_strerror(result);
    if (exchange->too_large)
        return err_set(err, ERR_REJECT, 0, "the reply has more than %d bytes", (int)HTTP_REPLY_MAX);
    if (exchange->sent)
        return err_set(err, ERR_UNKNOWN, 0, "no reply: %s", reason);
    if (result == CURLE_URL_MALFORMAT || result == CURLE_UNSUPPORTED_PROTOCOL)
        return err_set(err, ERR_REJECT, 0, "the URL cannot be used: %s", reason);
    return err_set(err, ERR_RETRY, 0, "not sent: %s", reason);
}

static enum err_code succeeded(const struct http_curl *self, const struct exchange *exchange, struct err *err)
{
    long status = 0;
    if (curl_easy_getinfo(self->curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status <= 0)
        return err_set(err, ERR_UNKNOWN, 0, "no reply: it has no status");
    /* For libcurl a connection that closes amid the headers is a reply that is complete. */
    if (!exchange->headers_done)
        return err_set(err, ERR_UNKNOWN, 0, "no reply: it breaks off amid its headers");
    exchange->reply->status = (int)status;
    if (exchange->next_too_long)
        return err_set(err, ERR_REJECT, 0, "the next page's URL has more than %d bytes", HTTP_URL_SIZE - 1);
    return ERR_OK;
}

static CURLcode run(const struct http_curl *self, const char *url)
{
    if (self->hub == NULL || fiber_self() == NULL)
        return curl_easy_perform(self->curl);
    return http_hub_perform(self->hub, self->curl, url, self->stop);
}

static enum err_code http_perform(struct http *http, const struct http_request *request,
                                  struct http_reply *reply, struct err *err)
{
    struct http_curl *self = (struct http_curl *)http;
    struct exchange exchange = {.reply = reply};
    struct curl_slist *headers = NULL;
    http_reply_clear(reply);
    self->error[0] = '\0';
    enum err_code code = add_headers(&headers, request, err);
    if (code != ERR_OK)
        goto out;
    if (!renew(self) || !set_limits(self, request->url) || !set_callbacks(self->curl, &exchange) ||
        !set_stop(self->curl, self->stop) || !set_request(self->curl, request, headers)) {
        code = err_set(err, ERR_RETRY, 0, "libcurl refuses an option, or is out of memory");
        goto out;
    }
    int64_t started = clock_monotonic_ms();
    CURLcode result = run(self, request->url);
    code = result == CURLE_OK ? succeeded(self, &exchange, err) : failed(self, &exchange, result, err);
    reply->duration_ms = clock_monotonic_ms() - started;
out:
    curl_slist_free_all(headers);
    buf_release(&exchange.line);
    return code;
}

/* ---- handles ---- */

static void ignore_sigpipe(void)
{
    struct sigaction now;
    if (sigaction(SIGPIPE, NULL, &now) != 0 || now.sa_handler != SIG_DFL)
        return;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);
}

/* While it connects to an https server, 7.87.0 tells nobody of its socket: https://github.com/curl/curl/issues/10146. */
static bool is_usable(const curl_version_info_data *version)
{
    return version->version_num != 0x075700;
}

enum err_code http_setup(struct err *err)
{
    const curl_version_info_data *version = curl_version_info(CURLVERSION_NOW);
    if (!is_usable(version))
        return err_set(err, ERR_FATAL, 0, "libcurl %s cannot be used: any other from 7.85 on can",
                       version->version);
    CURLcode result = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (result != CURLE_OK)
        return err_set(err, ERR_FATAL, 0, "cannot set libcurl up: %s", curl_easy_strerror(result));
    ignore_sigpipe();
    return ERR_OK;
}

void http_shutdown(void)
{
    curl_global_cleanup();
}

enum err_code http_open(struct http **out, int timeout_s, struct err *err)
{
    CURL *curl = curl_easy_init();
    if (curl == NULL)
        return err_set(err, ERR_FATAL, 0, "libcurl gives no handle");
    struct http_curl *self = mem_alloc(sizeof *self);
    *self = (struct http_curl){
        .http.perform = http_perform,
        .curl = curl,
        .timeout_ms = timeout_s * 1000L,
    };
    *out = &self->http;
    return ERR_OK;
}

void http_close(struct http *http)
{
    struct http_curl *self = (struct http_curl *)http;
    if (self == NULL)
        return;
    curl_easy_cleanup(self->curl);
    free(self);
}

void http_stop_when(struct http *http, const atomic_bool *stop)
{
    struct http_curl *self = (struct http_curl *)http;
    self->stop = stop;
}

void http_join(struct http *http, struct http_hub *hub)
{
    struct http_curl *self = (struct http_curl *)http;
    self->hub = hub;
}

void http_reply_init(struct http_reply *reply)
{
    *reply = (struct http_reply){0};
    http_reply_clear(reply);
}

void http_reply_clear(struct http_reply *reply)
{
    struct buf body = reply->body;
    buf_clear(&body);
    *reply = (struct http_reply){
        .body = body, .retry_after_s = -1, .rate_limit = -1, .rate_remaining = -1, .rate_reset = -1};
}

void http_reply_release(struct http_reply *reply)
{
    buf_release(&reply->body);
}
