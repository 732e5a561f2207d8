#include <fcgiapp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
    pthread_t *acceptors;
    int acceptor_count;
    atomic_int acceptors_left;
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

static void *accept_requests(void *arg)
{
    struct server *server = arg;
    FCGX_Request fcgi;
    FCGX_InitRequest(&fcgi, 0, FCGI_FAIL_ACCEPT_ON_INTR);
    while (!atomic_load(&server->gate.stopping))
        if (FCGX_Accept_r(&fcgi) == 0)
            answer(server, &fcgi);
    FCGX_Free(&fcgi, 1);
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
    server->acceptors = mem_alloc((size_t)config->accept_threads * sizeof *server->acceptors);
    for (; server->acceptor_count < config->accept_threads; server->acceptor_count++) {
        atomic_fetch_add(&server->acceptors_left, 1);
        int code = pthread_create(&server->acceptors[server->acceptor_count], NULL, accept_requests, server);
        if (code != 0) {
            atomic_fetch_sub(&server->acceptors_left, 1);
            err_set(err, ERR_FATAL, code, "cannot start a thread: %s", strerror(code));
            return false;
        }
    }
    return true;
}

/* A thread may look at `stopping` just before and call accept(2) just after a signal: so again until all are out. */
static void stop_accepting(struct server *server)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    atomic_store(&server->gate.stopping, true);
    while (atomic_load(&server->acceptors_left) > 0) {
        for (int i = 0; i < server->acceptor_count; i++)
            pthread_kill(server->acceptors[i], SIGUSR2);
        nanosleep(&pause, NULL);
    }
    for (int i = 0; i < server->acceptor_count; i++)
        pthread_join(server->acceptors[i], NULL);
}

static void stop(struct server *server)
{
    stop_accepting(server);
    sweep_close(server->sweep);
    drain_close(server->drain);
    gate_close(&server->gate);
    free(server->acceptors);
}

static void set_up_signals(sigset_t *ends)
{
    struct sigaction wake = {.sa_handler = on_wake};
    sigaction(SIGUSR2, &wake, NULL); /* without SA_RESTART */
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(ends);
    sigaddset(ends, SIGTERM);
    sigaddset(ends, SIGINT);
    sigaddset(ends, SIGUSR1);               /* what FastCGI process managers send to retire a process */
    pthread_sigmask(SIG_BLOCK, ends, NULL); /* inherited by every thread that is started from here on */
}

int serve_fcgi(const struct config *config)
{
    struct server server = {.acceptor_count = 0};
    struct err err = {0};
    sigset_t ends;
    int signal_number = 0;
    FCGX_Init();
    set_up_signals(&ends);
    bool started = start(&server, config, &err);
    if (started) {
        log_info("ready", LOG_INT("accept_threads", config->accept_threads),
                 LOG_INT("drain_threads", config->drain_threads), LOG_STR("state_dir", config->state_dir));
        sigwait(&ends, &signal_number);
        log_info("stopping", LOG_INT("signal", signal_number));
    } else {
        log_fatal("cannot start", LOG_STR("error", err.text));
    }
    stop(&server);
    return started ? 0 : 1;
}
