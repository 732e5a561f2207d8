#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "prgate/fiber.h"
#include "prgate/http.h"
#include "prgate/http_hub.h"

enum { REQUESTS_MAX = 8, REQUEST_SIZE = 4096, CONNECTIONS_MAX = 8 };

/* ---- a server that does as it is told ---- */

enum then { KEEP, CLOSE, SILENCE };

struct step {
    const char *reply; /* NULL: none */
    enum then then;
    size_t filler; /* so many bytes behind `reply` */
};

struct connection {
    char text[REQUEST_SIZE];
    size_t len;
};

struct server {
    int listener;
    int stop[2];
    int port;
    pthread_t thread;
    const struct step *steps;
    size_t step_count;
    struct pollfd fds[2 + CONNECTIONS_MAX]; /* the stop pipe, the listener, connections */
    struct connection connections[CONNECTIONS_MAX];

    /* To be read after server_stop(). */
    int accepted;
    size_t request_count;
    char requests[REQUESTS_MAX][REQUEST_SIZE];
};

static int listen_on_loopback(int backlog, int *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    if (backlog >= 0)
        assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

/* How long the whole request is; 0: it is not all here yet. */
static size_t request_length(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    if (end == NULL)
        return 0;
    const char *length = strcasestr(text, "\r\nContent-Length:");
    size_t body =
        length == NULL || length > end ? 0 : strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
    size_t whole = (size_t)(end - text) + 4 + body;
    return strlen(text) < whole ? 0 : whole;
}

static void send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        bytes += sent;
        len -= (size_t)sent;
    }
}

static void send_filler(int fd, size_t len)
{
    static char block[65536];
    for (size_t sent = 0; sent < len; sent += sizeof block)
        send_all(fd, block, len - sent < sizeof block ? len - sent : sizeof block);
}

static void server_drop(struct server *server, size_t i)
{
    close(server->fds[2 + i].fd);
    server->fds[2 + i].fd = -1;
    server->connections[i].len = 0;
}

static void server_answer(struct server *server, size_t i, size_t len)
{
    static const struct step unexpected = {NULL, CLOSE, 0};
    struct connection *connection = &server->connections[i];
    const struct step *step =
        server->request_count < server->step_count ? &server->steps[server->request_count] : &unexpected;
    if (server->request_count < REQUESTS_MAX)
        memcpy(server->requests[server->request_count], connection->text, len);
    server->request_count++;
    connection->len = 0;
    if (step->reply != NULL)
        send_all(server->fds[2 + i].fd, step->reply, strlen(step->reply));
    send_filler(server->fds[2 + i].fd, step->filler);
    if (step->then == CLOSE)
        server_drop(server, i);
}

static void server_receive(struct server *server, size_t i)
{
    struct connection *connection = &server->connections[i];
    ssize_t got = recv(server->fds[2 + i].fd, connection->text + connection->len,
                       sizeof connection->text - connection->len - 1, 0);
    if (got <= 0) {
        server_drop(server, i);
        return;
    }
    connection->len += (size_t)got;
    connection->text[connection->len] = '\0';
    size_t len = request_length(connection->text);
    if (len > 0)
        server_answer(server, i, len);
}

static void server_accept(struct server *server)
{
    int fd = accept(server->listener, NULL, NULL);
    server->accepted++;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (server->fds[2 + i].fd < 0) {
            server->fds[2 + i] = (struct pollfd){.fd = fd, .events = POLLIN};
            return;
        }
    }
    close(fd);
}

static void *server_run(void *arg)
{
    struct server *server = arg;
    server->fds[0] = (struct pollfd){.fd = server->stop[0], .events = POLLIN};
    server->fds[1] = (struct pollfd){.fd = server->listener, .events = POLLIN};
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        server->fds[2 + i].fd = -1;
    while (poll(server->fds, 2 + CONNECTIONS_MAX, -1) > 0 && server->fds[0].revents == 0) {
        for (size_t i = 0; i < CONNECTIONS_MAX; i++)
            if (server->fds[2 + i].fd >= 0 && server->fds[2 + i].revents != 0)
                server_receive(server, i);
        if (server->fds[1].revents != 0)
            server_accept(server);
    }
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        if (server->fds[2 + i].fd >= 0)
            server_drop(server, i);
    return NULL;
}

static struct server *server_start(const struct step *steps, size_t count)
{
    struct server *server = mem_alloc(sizeof *server);
    *server = (struct server){.steps = steps, .step_count = count};
    server->listener = listen_on_loopback(16, &server->port);
    assert_int_equal(pipe(server->stop), 0);
    assert_int_equal(pthread_create(&server->thread, NULL, server_run, server), 0);
    return server;
}

static void server_stop(struct server *server)
{
    assert_int_equal(write(server->stop[1], "x", 1), 1);
    pthread_join(server->thread, NULL);
    close(server->listener);
    close(server->stop[0]);
    close(server->stop[1]);
}

/* ---- asking it ---- */

/* Every test runs twice: as prgatectl and CGI ask, and as a process that works on many pull requests at once does. */
static bool in_fibers;

struct client {
    struct http *http;
    struct fibers *fibers; /* NULL: the exchange holds the thread */
    struct http_hub *hub;
    struct http_request request; /* for the fiber, as is `code` */
    enum err_code code;
    struct http_reply reply;
    struct err err;
    char url[128];
};

static void client_open(struct client *client, int timeout_s)
{
    *client = (struct client){0};
    http_reply_init(&client->reply);
    assert_int_equal(http_open(&client->http, timeout_s, &client->err), ERR_OK);
    if (!in_fibers)
        return;
    client->fibers = fibers_new();
    assert_int_equal(http_hub_open(&client->hub, 4, 4, &client->err), ERR_OK);
    http_join(client->http, client->hub);
}

static void client_close(struct client *client)
{
    http_reply_release(&client->reply);
    http_close(client->http);
    http_hub_close(client->hub);
    fibers_free(client->fibers);
}

static void perform(void *arg)
{
    struct client *client = arg;
    client->code = client->http->perform(client->http, &client->request, &client->reply, &client->err);
}

static enum err_code ask_with(struct client *client, struct http_request request)
{
    client->request = request;
    if (client->fibers == NULL) {
        perform(client);
        return client->code;
    }
    assert_int_equal(fibers_start(client->fibers, perform, client, &client->err), ERR_OK);
    for (int wait_ms = fibers_run(client->fibers); fibers_count(client->fibers) > 0;
         wait_ms = fibers_run(client->fibers))
        http_hub_run(client->hub, wait_ms);
    return client->code;
}

static enum err_code ask(struct client *client, const char *method, int port, const char *path)
{
    snprintf(client->url, sizeof client->url, "http://127.0.0.1:%d%s", port, path);
    return ask_with(client, (struct http_request){.method = method, .url = client->url});
}

static void want_code(const char *name, enum err_code got, enum err_code want, const struct err *err)
{
    if (got != want)
        fail_msg("%s: got %s (%s), want %s", name, err_code_name(got), err->text, err_code_name(want));
}

static void want_number(const char *name, const char *what, int64_t got, int64_t want)
{
    if (got != want)
        fail_msg("%s: %s: got %lld, want %lld", name, what, (long long)got, (long long)want);
}

static void want_text(const char *name, const char *got, const char *want)
{
    if (strcmp(got, want) != 0)
        fail_msg("%s: got \"%s\", want \"%s\"", name, got, want);
}

static void want_part(const char *name, const char *got, const char *want)
{
    if (strstr(got, want) == NULL)
        fail_msg("%s: got \"%s\", want something with \"%s\"", name, got, want);
}

static void want_no_part(const char *name, const char *got, const char *unwanted)
{
    if (strstr(got, unwanted) != NULL)
        fail_msg("%s: got \"%s\", want nothing with \"%s\"", name, got, unwanted);
}

#define OK_REPLY "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- what goes out ---- */

static void test_request_as_sent(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct http_request request;
        const char *parts[5];
    } rows[] = {
        {"GET",
         {.method = "GET", .headers = {"Authorization: Bearer t"}},
         {"GET /a%20b/../c?x=%3E HTTP/1.1\r\n", "\r\nAuthorization: Bearer t\r\n"}},
        {"POST",
         {.method = "POST",
          .headers = {"Content-Type: application/json"},
          .body = "{\"a\":1}",
          .body_len = 7},
         {"POST /", "\r\nContent-Type: application/json\r\n", "\r\nContent-Length: 7\r\n",
          "\r\n\r\n{\"a\":1}"}},
        {"POST without body", {.method = "POST"}, {"POST /", "\r\nContent-Length: 0\r\n"}},
        {"POST once", {.method = "POST", .body = "x", .body_len = 1, .once = true}, {"POST /", "\r\n\r\nx"}},
        {"PATCH", {.method = "PATCH", .body = "{}", .body_len = 2}, {"PATCH /", "\r\n\r\n{}"}},
        {"DELETE", {.method = "DELETE"}, {"DELETE /a%20b/../c?x=%3E HTTP/1.1\r\n"}},
        {"GET after the others", {.method = "GET"}, {"GET /"}},
    };
    static const struct step steps[COUNT(rows)] = {
        {OK_REPLY, KEEP, 0}, {OK_REPLY, KEEP, 0}, {OK_REPLY, KEEP, 0}, {OK_REPLY, KEEP, 0},
        {OK_REPLY, KEEP, 0}, {OK_REPLY, KEEP, 0}, {OK_REPLY, KEEP, 0}};
    struct server *server = server_start(steps, COUNT(steps));
    struct client client;
    client_open(&client, 5);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct http_request request = rows[i].request;
        snprintf(client.url, sizeof client.url, "http://127.0.0.1:%d/a%%20b/../c?x=%%3E", server->port);
        request.url = client.url;
        want_code(rows[i].name, ask_with(&client, request), ERR_OK, &client.err);
        want_number(rows[i].name, "status", client.reply.status, 200);
        want_text(rows[i].name, buf_text(&client.reply.body), "ok");
    }
    client_close(&client);
    server_stop(server);
    for (size_t i = 0; i < COUNT(rows); i++)
        for (size_t part = 0; rows[i].parts[part] != NULL; part++)
            want_part(rows[i].name, server->requests[i], rows[i].parts[part]);
    want_no_part("what the last GET inherits", server->requests[COUNT(rows) - 1], "Content-");
    free(server);
}

static void test_header_with_line_break(void **state)
{
    (void)state;
    struct client client;
    client_open(&client, 1);
    struct http_request request = {
        .method = "GET", .url = "http://127.0.0.1:9/", .headers = {"Authorization: Bearer top\r\nX: secret"}};
    want_code("line break", ask_with(&client, request), ERR_REJECT, &client.err);
    want_part("line break", client.err.text, "Authorization");
    want_no_part("line break", client.err.text, "secret");
    client_close(&client);
}

/* ---- connections ---- */

static void test_keep_alive(void **state)
{
    (void)state;
    static const struct step steps[] = {{OK_REPLY, KEEP, 0}, {OK_REPLY, KEEP, 0}, {OK_REPLY, KEEP, 0}};
    struct server *server = server_start(steps, COUNT(steps));
    struct client client;
    client_open(&client, 5);
    want_code("first", ask(&client, "GET", server->port, "/1"), ERR_OK, &client.err);
    want_code("second", ask(&client, "DELETE", server->port, "/2"), ERR_OK, &client.err);
    want_code("third", ask(&client, "GET", server->port, "/3"), ERR_OK, &client.err);
    client_close(&client);
    server_stop(server);
    want_number("keep-alive", "connections", server->accepted, 1);
    free(server);
}

/* The server closed the kept connection while nobody looked. */
static void test_kept_connection_closed(void **state)
{
    (void)state;
    static const struct step steps[] = {{OK_REPLY, CLOSE, 0}, {OK_REPLY, KEEP, 0}};
    struct server *server = server_start(steps, COUNT(steps));
    struct client client;
    client_open(&client, 5);
    want_code("first", ask(&client, "GET", server->port, "/1"), ERR_OK, &client.err);
    want_code("second", ask(&client, "POST", server->port, "/2"), ERR_OK, &client.err);
    client_close(&client);
    server_stop(server);
    want_number("closed", "connections", server->accepted, 2);
    want_number("closed", "requests", (int64_t)server->request_count, 2);
    free(server);
}

/*
 * The kept connection breaks after the server got the request. libcurl repeats it, which
 * is right for all but what must not arrive twice.
 */
static void test_kept_connection_breaks(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *method;
        bool once;
        enum err_code want;
        int64_t want_requests;
    } rows[] = {
        {"GET", "GET", false, ERR_OK, 3},
        {"POST that may arrive twice", "POST", false, ERR_OK, 3},
        {"POST that must not", "POST", true, ERR_UNKNOWN, 2},
    };
    static const struct step steps[] = {{OK_REPLY, KEEP, 0}, {NULL, CLOSE, 0}, {OK_REPLY, KEEP, 0}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct server *server = server_start(steps, COUNT(steps));
        struct client client;
        client_open(&client, 5);
        want_code(rows[i].name, ask(&client, "GET", server->port, "/"), ERR_OK, &client.err);
        want_code(rows[i].name,
                  ask_with(&client, (struct http_request){.method = rows[i].method,
                                                          .url = client.url,
                                                          .once = rows[i].once}),
                  rows[i].want, &client.err);
        client_close(&client);
        server_stop(server);
        want_number(rows[i].name, "requests", (int64_t)server->request_count, rows[i].want_requests);
        free(server);
    }
}

/* ---- what may have arrived, and what cannot have ---- */

static void test_broken_replies(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct step step;
        enum err_code want;
        const char *text;
    } rows[] = {
        {"dropped without a reply", {NULL, CLOSE, 0}, ERR_UNKNOWN, "no reply: "},
        {"silence", {NULL, SILENCE, 0}, ERR_UNKNOWN, "no reply: "},
        {"silence after the status", {"HTTP/1.1 200 OK\r\n", SILENCE, 0}, ERR_UNKNOWN, "no reply: "},
        {"closed amid the headers", {"HTTP/1.1 200 OK\r\nContent-Le", CLOSE, 0}, ERR_UNKNOWN, "no reply: "},
        {"closed amid the body",
         {"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\nhalf", CLOSE, 0},
         ERR_UNKNOWN,
         "no reply: "},
        {"closed amid chunks",
         {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", CLOSE, 0},
         ERR_UNKNOWN,
         "no reply: "},
        {"no HTTP", {"SSH-2.0-OpenSSH_9.2\r\n", CLOSE, 0}, ERR_UNKNOWN, "no reply: "},
        {"no gzip",
         {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nfoo!", KEEP, 0},
         ERR_UNKNOWN,
         "no reply: "},
        {"too long",
         {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", CLOSE, HTTP_REPLY_MAX + 1},
         ERR_REJECT,
         "16777216 bytes"},
        {"just not too long",
         {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", CLOSE, HTTP_REPLY_MAX},
         ERR_OK,
         NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct server *server = server_start(&rows[i].step, 1);
        struct client client;
        client_open(&client, 1);
        want_code(rows[i].name, ask(&client, "POST", server->port, "/"), rows[i].want, &client.err);
        if (rows[i].want != ERR_OK)
            want_part(rows[i].name, client.err.text, rows[i].text);
        if (rows[i].want == ERR_UNKNOWN)
            want_number(rows[i].name, "status", client.reply.status, 0);
        client_close(&client);
        server_stop(server);
        want_number(rows[i].name, "requests", (int64_t)server->request_count, 1);
        free(server);
    }
}

static void test_timeout_lasts_as_told(void **state)
{
    (void)state;
    static const struct step steps[] = {{NULL, SILENCE, 0}};
    struct server *server = server_start(steps, COUNT(steps));
    struct client client;
    client_open(&client, 1);
    want_code("time-out", ask(&client, "GET", server->port, "/"), ERR_UNKNOWN, &client.err);
    if (client.reply.duration_ms < 900 || client.reply.duration_ms > 3000)
        fail_msg("got a time-out after %lld ms, want about 1000", (long long)client.reply.duration_ms);
    client_close(&client);
    server_stop(server);
    free(server);
}

static void *stop_soon(void *arg)
{
    atomic_bool *stop = arg;
    usleep(300000);
    atomic_store(stop, true);
    return NULL;
}

/* A time-out of a minute, for which nobody is kept waiting. */
static void test_exchange_is_broken_off_when_told(void **state)
{
    (void)state;
    static const struct step steps[] = {{NULL, SILENCE, 0}};
    struct server *server = server_start(steps, COUNT(steps));
    atomic_bool stop = false;
    pthread_t thread;
    struct client client;
    client_open(&client, 60);
    http_stop_when(client.http, &stop);
    assert_int_equal(pthread_create(&thread, NULL, stop_soon, &stop), 0);
    want_code("amid it", ask(&client, "GET", server->port, "/"), ERR_UNKNOWN, &client.err);
    if (client.reply.duration_ms > 5000) /* by itself it would end after 20 s, for connecting */
        fail_msg("got an end after %lld ms, want one soon", (long long)client.reply.duration_ms);
    pthread_join(thread, NULL);
    want_code("before it", ask(&client, "GET", server->port, "/"), ERR_RETRY, &client.err);
    client_close(&client);
    server_stop(server);
    free(server);
}

static void test_not_sent(void **state)
{
    (void)state;
    int closed_port;
    int silent_port;
    int closed = listen_on_loopback(-1, &closed_port); /* bound, so that nobody else listens there */
    int silent = listen_on_loopback(4, &silent_port);  /* connects, and never says a word */
    static const struct step steps[] = {{OK_REPLY, CLOSE, 0}};
    struct server *server = server_start(steps, COUNT(steps));
    const struct {
        const char *name;
        const char *format;
        int port;
        enum err_code want;
        const char *text;
    } rows[] = {
        {"refused", "http://127.0.0.1:%d/", closed_port, ERR_RETRY, "not sent: "},
        {"no such host", "http://nowhere.invalid:%d/", 80, ERR_RETRY, "not sent: "},
        {"TLS: no answer", "https://127.0.0.1:%d/", silent_port, ERR_RETRY, "not sent: "},
        {"file", "file:///etc/passwd?%d", 0, ERR_REJECT, "the URL cannot be used"},
        {"ftp", "ftp://127.0.0.1:%d/", silent_port, ERR_REJECT, "the URL cannot be used"},
        {"malformed", "http://127.0.0.1:%dx/", 80, ERR_REJECT, "the URL cannot be used"},
        {"no URL", "%.0d", 0, ERR_REJECT, "the URL cannot be used"},
    };
    struct client client;
    client_open(&client, 1);
    for (size_t i = 0; i < COUNT(rows); i++) {
        snprintf(client.url, sizeof client.url, rows[i].format, rows[i].port);
        struct http_request request = {
            .method = "POST", .url = client.url, .body = "{}", .body_len = 2, .once = true};
        want_code(rows[i].name, ask_with(&client, request), rows[i].want, &client.err);
        want_part(rows[i].name, client.err.text, rows[i].text);
    }
    client_close(&client);
    server_stop(server);
    free(server);
    close(closed);
    close(silent);
}

/* A server whose queue of connections is full lets the next one wait for its handshake. */
static void test_connect_timeout(void **state)
{
    (void)state;
    int port;
    int fillers[4];
    int listener = listen_on_loopback(0, &port);
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    for (size_t i = 0; i < COUNT(fillers); i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fillers[i], (struct sockaddr *)&at, sizeof at);
    }
    struct client client;
    client_open(&client, 3);
    want_code("connect", ask(&client, "POST", port, "/"), ERR_RETRY, &client.err);
    want_part("connect", client.err.text, "not sent: ");
    if (client.reply.duration_ms > 2000)
        fail_msg("got a time-out after %lld ms, want about 1000", (long long)client.reply.duration_ms);
    client_close(&client);
    for (size_t i = 0; i < COUNT(fillers); i++)
        close(fillers[i]);
    close(listener);
}

/* It speaks, but no TLS; the port is the server's, so it is there. */
static void test_no_tls(void **state)
{
    (void)state;
    int port;
    int listener = listen_on_loopback(4, &port);
    struct client client;
    client_open(&client, 2);
    snprintf(client.url, sizeof client.url, "https://127.0.0.1:%d/", port);
    pid_t child = fork();
    if (child == 0) {
        int fd = accept(listener, NULL, NULL);
        send_all(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
        char sink[1024];
        while (recv(fd, sink, sizeof sink, 0) > 0)
            continue;
        _exit(0);
    }
    want_code("no TLS", ask_with(&client, (struct http_request){.method = "POST", .url = client.url}),
              ERR_RETRY, &client.err);
    want_part("no TLS", client.err.text, "not sent: ");
    client_close(&client);
    close(listener);
    waitpid(child, NULL, 0);
}

/* ---- headers of the reply ---- */

struct header_row {
    const char *name;
    const char *headers;
    const char *next_url;
    int64_t retry_after_s;
    int64_t rate[3]; /* limit, remaining, reset */
};

static void check_headers(const struct header_row *row)
{
    char reply[4096];
    struct step step = {reply, CLOSE, 0};
    snprintf(reply, sizeof reply, "HTTP/1.1 403 Forbidden\r\n%sContent-Length: 0\r\n\r\n", row->headers);
    struct server *server = server_start(&step, 1);
    struct client client;
    client_open(&client, 5);
    want_code(row->name, ask(&client, "GET", server->port, "/"), ERR_OK, &client.err);
    want_number(row->name, "status", client.reply.status, 403);
    want_text(row->name, client.reply.next_url, row->next_url);
    want_number(row->name, "retry_after_s", client.reply.retry_after_s, row->retry_after_s);
    want_number(row->name, "rate_limit", client.reply.rate_limit, row->rate[0]);
    want_number(row->name, "rate_remaining", client.reply.rate_remaining, row->rate[1]);
    want_number(row->name, "rate_reset", client.reply.rate_reset, row->rate[2]);
    client_close(&client);
    server_stop(server);
    free(server);
}

static void test_reply_headers(void **state)
{
    (void)state;
    static const struct header_row rows[] = {
        {"none", "", "", -1, {-1, -1, -1}},
        {"rate",
         "X-RateLimit-Limit: 5000\r\nx-ratelimit-remaining:0\r\nX-RATELIMIT-RESET:  1700000000 \r\n",
         "",
         -1,
         {5000, 0, 1700000000}},
        {"odd rate",
         "X-RateLimit-Limit: many\r\nX-RateLimit-Remaining: -1\r\nX-RateLimit-Reset: \r\n",
         "",
         -1,
         {-1, -1, -1}},
        {"seconds", "Retry-After: 60\r\n", "", 60, {-1, -1, -1}},
        {"no seconds", "Retry-After: 0\r\n", "", 0, {-1, -1, -1}},
        {"a date gone by", "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\n", "", 0, {-1, -1, -1}},
        {"neither", "Retry-After: soon\r\n", "", -1, {-1, -1, -1}},
        {"GitHub's link",
         "Link: <https://h/r?page=1>; rel=\"prev\", <https://h/r?page=3>; rel=\"next\", "
         "<https://h/r?page=9>; rel=\"last\"\r\n",
         "https://h/r?page=3",
         -1,
         {-1, -1, -1}},
        {"last page",
         "Link: <https://h/r?page=1>; rel=\"prev\", <https://h/r?page=1>; rel=\"first\"\r\n",
         "",
         -1,
         {-1, -1, -1}},
        {"several relations",
         "link: <https://h/2>; title=\"a, <b>; rel=next\"; rel=\"last  Next\"\r\n",
         "https://h/2",
         -1,
         {-1, -1, -1}},
        {"bare word", "LINK: <https://h/a,b>;REL = next;x\r\n", "https://h/a,b", -1, {-1, -1, -1}},
        {"two headers",
         "Link: <https://h/1>; rel=first\r\nLink: <https://h/2>; rel=next\r\n",
         "https://h/2",
         -1,
         {-1, -1, -1}},
        {"another relation",
         "Link: <https://h/2>; rel=nextish, <https://h/3>; rev=next, <https://h/4>; xrel=next\r\n",
         "",
         -1,
         {-1, -1, -1}},
        {"unfinished", "Link: <https://h/2; rel=next\r\n", "", -1, {-1, -1, -1}},
        {"unfinished quote", "Link: <https://h/2>; rel=\"next\r\n", "https://h/2", -1, {-1, -1, -1}},
        {"odd lines", "Link:\r\nRetry-After:\r\n: nothing\r\n", "", -1, {-1, -1, -1}},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        check_headers(&rows[i]);
}

static void test_retry_after_date(void **state)
{
    (void)state;
    char reply[256];
    char date[64];
    struct tm at;
    time_t then = time(NULL) + 120;
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&then, &at));
    snprintf(reply, sizeof reply, "HTTP/1.1 429 Too Many\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n",
             date);
    struct step step = {reply, CLOSE, 0};
    struct server *server = server_start(&step, 1);
    struct client client;
    client_open(&client, 5);
    want_code("date", ask(&client, "GET", server->port, "/"), ERR_OK, &client.err);
    if (client.reply.retry_after_s < 110 || client.reply.retry_after_s > 120)
        fail_msg("got %lld s, want about 120", (long long)client.reply.retry_after_s);
    client_close(&client);
    server_stop(server);
    free(server);
}

static void test_next_url_too_long(void **state)
{
    (void)state;
    char reply[HTTP_URL_SIZE + 256];
    char path[HTTP_URL_SIZE];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    snprintf(reply, sizeof reply,
             "HTTP/1.1 200 OK\r\nLink: <https://h/%s>; rel=next\r\nContent-Length: 0\r\n\r\n", path);
    struct step step = {reply, CLOSE, 0};
    struct server *server = server_start(&step, 1);
    struct client client;
    client_open(&client, 5);
    want_code("long", ask(&client, "GET", server->port, "/"), ERR_REJECT, &client.err);
    want_part("long", client.err.text, "next page");
    client_close(&client);
    server_stop(server);
    free(server);
}

/* ---- redirects ---- */

static void test_redirect_of_get(void **state)
{
    (void)state;
    char redirect[256];
    static const struct step second_steps[] = {{OK_REPLY, CLOSE, 0}};
    struct server *second = server_start(second_steps, COUNT(second_steps));
    snprintf(redirect, sizeof redirect,
             "HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:%d/there\r\nLink: <http://h/2>; rel=next\r\n"
             "Retry-After: 9\r\nContent-Length: 5\r\n\r\nmoved",
             second->port);
    const struct step first_steps[] = {
        {"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n", KEEP, 0}, {redirect, CLOSE, 0}};
    struct server *first = server_start(first_steps, COUNT(first_steps));
    struct client client;
    client_open(&client, 5);
    snprintf(client.url, sizeof client.url, "http://127.0.0.1:%d/a", first->port);
    struct http_request request = {
        .method = "GET", .url = client.url, .headers = {"Authorization: Bearer secret"}};
    want_code("redirect", ask_with(&client, request), ERR_OK, &client.err);
    want_number("redirect", "status", client.reply.status, 200);
    want_text("redirect", buf_text(&client.reply.body), "ok");
    want_text("the redirect's link", client.reply.next_url, "");
    want_number("redirect", "the redirect's Retry-After", client.reply.retry_after_s, -1);
    client_close(&client);
    server_stop(first);
    server_stop(second);
    want_part("same server", first->requests[1], "GET /b ");
    want_part("same server", first->requests[1], "Bearer secret");
    want_part("other server", second->requests[0], "GET /there ");
    want_no_part("other server", second->requests[0], "secret");
    free(first);
    free(second);
}

static void test_redirect_not_followed_on_request(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n", KEEP, 0}};
    struct server *server = server_start(steps, COUNT(steps));
    struct client client;
    client_open(&client, 5);
    snprintf(client.url, sizeof client.url, "http://127.0.0.1:%d/a", server->port);
    struct http_request request = {.method = "GET", .url = client.url, .no_redirect = true};
    want_code("on request", ask_with(&client, request), ERR_OK, &client.err);
    want_number("on request", "status", client.reply.status, 302);
    client_close(&client);
    server_stop(server);
    want_number("on request", "requests", (int64_t)server->request_count, 1);
    free(server);
}

static void test_redirects_not_followed(void **state)
{
    (void)state;
    static const char *const methods[] = {"POST", "PATCH", "DELETE"};
    static const struct step steps[] = {
        {"HTTP/1.1 307 Moved\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n", KEEP, 0}};
    for (size_t i = 0; i < COUNT(methods); i++) {
        struct server *server = server_start(steps, COUNT(steps));
        struct client client;
        client_open(&client, 5);
        want_code(methods[i], ask(&client, methods[i], server->port, "/a"), ERR_OK, &client.err);
        want_number(methods[i], "status", client.reply.status, 307);
        client_close(&client);
        server_stop(server);
        want_number(methods[i], "requests", (int64_t)server->request_count, 1);
        free(server);
    }
}

static void test_redirect_to_a_file(void **state)
{
    (void)state;
    static const struct step steps[] = {
        {"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n", KEEP, 0}};
    struct server *server = server_start(steps, COUNT(steps));
    struct client client;
    client_open(&client, 5);
    want_code("file", ask(&client, "GET", server->port, "/a"), ERR_UNKNOWN, &client.err);
    want_number("file", "bytes", (int64_t)client.reply.body.len, 0);
    client_close(&client);
    server_stop(server);
    free(server);
}

/* ---- */

static int setup(void **state)
{
    (void)state;
    struct err err;
    /* A proxy from the environment would be asked for 127.0.0.1, too. */
    unsetenv("http_proxy");
    unsetenv("https_proxy");
    unsetenv("HTTPS_PROXY");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    return http_setup(&err) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    http_shutdown();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_as_sent),
        cmocka_unit_test(test_header_with_line_break),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_kept_connection_closed),
        cmocka_unit_test(test_kept_connection_breaks),
        cmocka_unit_test(test_broken_replies),
        cmocka_unit_test(test_timeout_lasts_as_told),
        cmocka_unit_test(test_exchange_is_broken_off_when_told),
        cmocka_unit_test(test_not_sent),
        cmocka_unit_test(test_connect_timeout),
        cmocka_unit_test(test_no_tls),
        cmocka_unit_test(test_reply_headers),
        cmocka_unit_test(test_retry_after_date),
        cmocka_unit_test(test_next_url_too_long),
        cmocka_unit_test(test_redirect_of_get),
        cmocka_unit_test(test_redirect_not_followed_on_request),
        cmocka_unit_test(test_redirects_not_followed),
        cmocka_unit_test(test_redirect_to_a_file),
    };
    int failed = cmocka_run_group_tests_name("http", tests, setup, teardown);
    in_fibers = true;
    return failed + cmocka_run_group_tests_name("http in fibers", tests, setup, teardown);
}
