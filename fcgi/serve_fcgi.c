#include <fcgiapp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "connections.h"
#include "prgate/drain.h"
#include "prgate/log.h"
#include "prgate/sweep.h"
#include "routes.h"
#include "serve.h"
#include "web.h"

struct server {
    struct gate gate;
    struct drain *drain;
    struct sweep *sweep;
    struct connections *connections;
    struct acceptor *acceptors;
    int acceptor_count;
    atomic_int acceptors_left;
};

/* One thread that accepts. */
struct acceptor {
    struct server *server;
    pthread_t thread;
    int slot;
};

bool serve_is_fcgi(void)
{
    return !FCGX_IsCGI();
}

static const char *get_param(void *arg, const char *name)
{
    FCGX_Request *fcgi = arg;
    return FCGX_GetParam(name, fcgi->envp);
}

static size_t read_body(void *source, void *to, size_t len)
{
    FCGX_Request *fcgi = source;
    int got = FCGX_GetStr(to, (int)len, fcgi->in);
    return got < 0 ? 0 : (size_t)got;
}

static void send_reply(FCGX_Request *fcgi, const struct reply *reply)
{
    struct buf head;
    buf_init(&head);
    reply_head(reply, &head);
    FCGX_PutStr((const char *)head.data, (int)head.len, fcgi->out);
    FCGX_PutStr((const char *)reply->body.data, (int)reply->body.len, fcgi->out);
    buf_release(&head);
}

static void answer(struct server *server, FCGX_Request *fcgi)
{
    struct request request = {.read = read_body, .source = fcgi};
    struct reply reply;
    request_fill(&request, get_param, fcgi);
    reply_init(&reply);
    routes_answer(&server->gate, &request, drain_has_room(server->drain), &reply);
    send_reply(fcgi, &reply);
    /* GitHub has its answer, and the delivery is on disk, before anything else happens. */
    FCGX_Finish_r(fcgi);
    if (reply.has_work)
        drain_submit(server->drain, &reply.pr, &reply.claim);
    reply_release(&reply);
}

/*
 * libfcgi is handed each connection, and never accepts one by itself: its FCGX_Accept_r() takes no
 * listening socket here (-1) and works on the connection that the request holds already, which
 * it leaves open at first if that is marked as kept. In the end each is closed, even where the web server would
 * keep it: a kept one would hold this thread.
 */
static void serve_connection(struct server *server, FCGX_Request *fcgi, int fd)
{
    fcgi->ipcFd = fd;
    fcgi->keepConnection = 1;
    if (FCGX_Accept_r(fcgi) == 0)
        answer(server, fcgi);
    FCGX_Free(fcgi, 1);
}

static void *accept_requests(void *arg)
{
    struct acceptor *self = arg;
    struct server *server = self->server;
    FCGX_Request fcgi;
    FCGX_InitRequest(&fcgi, -1, FCGI_FAIL_ACCEPT_ON_INTR);
    while (!atomic_load(&server->gate.stopping)) {
        int fd = connections_accept(server->connections, self->slot, STDIN_FILENO);
        if (fd < 0)
            continue;
        serve_connection(server, &fcgi, fd);
        connections_done(server->connections, self->slot);
    }
    atomic_fetch_sub(&server->acceptors_left, 1);
    return NULL;
}

/* Only there to make accept(2) return EINTR. */
static void on_wake(int signal)
{
    (void)signal;
}

static bool start(struct server *server, const struct config *config, struct err *err)
{
    if (gate_open(&server->gate, config, err) != ERR_OK ||
        drain_open(&server->drain, &server->gate, config->drain_threads, err) != ERR_OK ||
        sweep_open(&server->sweep, &server->gate, server->drain, config->sweep_interval_s, err) != ERR_OK)
        return false;
    server->connections = connections_new(config->accept_threads);
    server->acceptors = mem_alloc((size_t)config->accept_threads * sizeof *server->acceptors);
    for (; server->acceptor_count < config->accept_threads; server->acceptor_count++) {
        struct acceptor *acceptor = &server->acceptors[server->acceptor_count];
        *acceptor = (struct acceptor){.server = server, .slot = server->acceptor_count};
        atomic_fetch_add(&server->acceptors_left, 1);
        int code = pthread_create(&acceptor->thread, NULL, accept_requests, acceptor);
        if (code != 0) {
            atomic_fetch_sub(&server->acceptors_left, 1);
            err_set(err, ERR_FATAL, code, "cannot start a thread: %s", strerror(code));
            return false;
        }
    }
    return true;
}

static void cut_overdue(struct server *server)
{
    size_t count = connections_cut(server->connections, CONNECTION_MAX_MS);
    metrics_add_many(server->gate.metrics, METRIC_CUT, count);
    if (count > 0)
        log_warning("connections from the web server were cut: they took too long", LOG_INT("count", count),
                    LOG_INT("limit_ms", CONNECTION_MAX_MS));
}

/* A thread may look at `stopping` just before and call accept(2) just after a signal: so again until all are out. */
static void stop_accepting(struct server *server)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    atomic_store(&server->gate.stopping, true);
    while (atomic_load(&server->acceptors_left) > 0) {
        for (int i = 0; i < server->acceptor_count; i++)
            pthread_kill(server->acceptors[i].thread, CONNECTIONS_WAKE);
        cut_overdue(server);
        nanosleep(&pause, NULL);
    }
    for (int i = 0; i < server->acceptor_count; i++)
        pthread_join(server->acceptors[i].thread, NULL);
}

static void stop(struct server *server)
{
    stop_accepting(server);
    sweep_close(server->sweep);
    drain_close(server->drain);
    gate_close(&server->gate);
    connections_free(server->connections);
    free(server->acceptors);
}

static void set_up_signals(sigset_t *ends)
{
    struct sigaction wake = {.sa_handler = on_wake};
    sigset_t blocked;
    sigaction(CONNECTIONS_WAKE, &wake, NULL); /* without SA_RESTART */
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(ends);
    sigaddset(ends, SIGTERM);
    sigaddset(ends, SIGINT);
    sigaddset(ends, SIGUSR1); /* what FastCGI process managers send to retire a process */
    blocked = *ends;
    sigaddset(&blocked, CONNECTIONS_WAKE);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL); /* inherited by every thread that is started from here on */
}

/* The signal that came. */
static int wait_for_end(struct server *server, const sigset_t *ends)
{
    const struct timespec poll = {.tv_sec = 1};
    for (;;) {
        int signal_number = sigtimedwait(ends, NULL, &poll);
        if (signal_number > 0)
            return signal_number;
        cut_overdue(server);
    }
}

int serve_fcgi(const struct config *config)
{
    struct server server = {.acceptor_count = 0};
    struct err err = {0};
    sigset_t ends;
    FCGX_Init();
    set_up_signals(&ends);
    bool started = start(&server, config, &err);
    if (started) {
        log_info("ready", LOG_INT("accept_threads", config->accept_threads),
                 LOG_INT("drain_threads", config->drain_threads), LOG_STR("state_dir", config->state_dir));
        log_info("stopping", LOG_INT("signal", wait_for_end(&server, &ends)));
    } else {
        log_fatal("cannot start", LOG_STR("error", err.text));
    }
    stop(&server);
    return started ? 0 : 1;
}
