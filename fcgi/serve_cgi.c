/*
 * CGI: a process for each request.
 *
 * A web server ends a CGI program soon after its reply (Apache: SIGTERM, and SIGKILL 3 s
 * later), but the work starts only then. So the process splits in two before the
 * store is opened, since locks do not survive a fork: the child, in a session of
 * its own, stores, replies, closes the server's pipes and drains; the parent waits until
 * the reply has gone out and leaves. Killed at any point, the child leaves a claim that
 * `prgatectl drain` or the next request takes over.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "door.h"
#include "prgate/clock.h"
#include "prgate/drain.h"
#include "prgate/log.h"
#include "prgate/text.h"
#include "routes.h"
#include "serve.h"
#include "web.h"

enum { REST_MAX = 64 * 1024 * 1024 }; /* of a body that is refused */

/* What of the body is still to come, by CONTENT_LENGTH. */
struct body {
    uint64_t left;
};

static size_t read_stdin(void *source, void *to, size_t len)
{
    struct body *body = source;
    ssize_t got;
    do
        got = read(STDIN_FILENO, to, len < body->left ? len : (size_t)body->left);
    while (got < 0 && errno == EINTR);
    if (got <= 0)
        body->left = 0;
    else
        body->left -= (uint64_t)got;
    return got < 0 ? 0 : (size_t)got;
}

/* A server that is left sitting on the rest of a body that was refused loses the reply. */
static void read_rest(struct body *body)
{
    char rest[65536];
    while (body->left > 0 && read_stdin(body, rest, sizeof rest) > 0)
        continue;
}

static void write_all(const struct buf *bytes)
{
    size_t done = 0;
    while (done < bytes->len) {
        ssize_t put = write(STDOUT_FILENO, bytes->data + done, bytes->len - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return; /* the server has gone; what was stored stays stored */
        done += (size_t)put;
    }
}

static void send_reply(const struct reply *reply)
{
    struct buf head;
    buf_init(&head);
    reply_head(reply, &head);
    buf_add(&head, reply->body.data, reply->body.len);
    write_all(&head);
    buf_release(&head);
}

static void send_failure(void)
{
    struct reply reply;
    reply_init(&reply);
    reply.retry_after_s = 5;
    door_message(&reply, 503, "error", "prgate could not answer: see its log");
    send_reply(&reply);
    reply_release(&reply);
}

/* The server waits for the end of its pipes. The log goes nowhere from here unless it is syslog. */
static void let_server_go(int replied)
{
    int null = open("/dev/null", O_RDWR);
    if (null >= 0)
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
            dup2(null, fd);
    if (null > STDERR_FILENO)
        close(null);
    (void)!write(replied, "r", 1);
    close(replied);
}

static void drain_one(struct gate *gate, struct reply *reply)
{
    struct worker worker;
    struct err err = {0};
    if (worker_open(&worker, gate, &err) == ERR_OK)
        drain_start(&worker, &reply->pr, &reply->claim, reply_take_briefing(reply));
    else
        log_error("cannot work on what came in", LOG_STR("error", err.text));
    worker_close(&worker);
}

static int serve_child(const struct config *config, int replied, int64_t started_us)
{
    struct gate gate;
    struct err err = {0};
    struct reply reply;
    struct body body = {0};
    struct request request = {.read = read_stdin, .source = &body};
    if (gate_open(&gate, config, &err) != ERR_OK) {
        log_fatal("cannot start", LOG_STR("error", err.text));
        gate_close(&gate);
        return 1;
    }
    request_fill(&request, environ);
    if (request.content_length != NULL)
        text_to_u64(request.content_length, REST_MAX, &body.left);
    reply_init(&reply);
    routes_answer(&gate, &request, true, &reply);
    send_reply(&reply);
    if (reply.is_acknowledgement)
        metrics_observe(gate.metrics, HISTOGRAM_ACKNOWLEDGEMENT, clock_monotonic_us() - started_us);
    read_rest(&body);
    let_server_go(replied);
    if (reply.has_work)
        drain_one(&gate, &reply);
    reply_release(&reply);
    gate_close(&gate);
    return 0;
}

/* Until the child has replied, or has died without. */
static int wait_for_reply(int replied, pid_t child)
{
    char byte;
    ssize_t got;
    do
        got = read(replied, &byte, 1);
    while (got < 0 && errno == EINTR);
    if (got == 1)
        return 0;
    waitpid(child, NULL, 0);
    send_failure();
    return 1;
}

int serve_cgi(const struct config *config)
{
    int ends[2];
    int64_t started_us = clock_monotonic_us();
    signal(SIGPIPE, SIG_IGN);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        send_failure();
        return 1;
    }
    pid_t child = fork();
    if (child < 0) {
        log_fatal("cannot fork", LOG_STR("error", strerror(errno)));
        send_failure();
        return 1;
    }
    if (child == 0) {
        close(ends[0]);
        setsid();
        return serve_child(config, ends[1], started_us);
    }
    close(ends[1]);
    return wait_for_reply(ends[0], child);
}
