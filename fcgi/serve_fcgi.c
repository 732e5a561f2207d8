#include <fcgiapp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "connections.h"
#include "footprint.h"
#include "prgate/app_dir.h"
#include "prgate/clock.h"
#include "prgate/crew.h"
#include "prgate/intake.h"
#include "prgate/log.h"
#include "prgate/spares.h"
#include "prgate/sweep.h"
#include "reload.h"
#include "routes.h"
#include "serve.h"
#include "web.h"

struct server {
    struct gate gate;
    struct crew *crew;
    struct sweep *sweep;
    struct connections *connections;
    struct intake intake; /* of deliveries, to the store */
    struct footprint footprint;
    struct spares bodies; /* room for them */
    pthread_t *acceptors;
    int acceptor_count;
    bool looks_for_app; /* the configuration awaits one: to be read anew when it comes */
    atomic_int acceptors_left;
    atomic_bool closing; /* accept nothing more */
};

/* A request, from its first byte to its reply. */
struct caller {
    struct server *server;
    FCGX_Request fcgi;
    int slot; /* of its connection */
    int64_t accepted_us;
    bool holds_place; /* in the crew */
    struct request request;
    struct reply reply;
    struct visit visit;
};

bool serve_is_fcgi(void)
{
    return !FCGX_IsCGI();
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

/*
 * Whether nothing of the request is to come any more. Only what libfcgi has got is looked at: without a descriptor it reads
 * nothing, so this never waits, and "no" may mean "not yet".
 */
static bool has_read_all(FCGX_Request *fcgi)
{
    char more;
    int fd = fcgi->ipcFd;
    fcgi->ipcFd = -1;
    bool ended = FCGX_GetStr(&more, 1, fcgi->in) == 0 && FCGX_GetError(fcgi->in) == 0;
    fcgi->ipcFd = fd;
    return ended;
}

/*
 * To close a socket that has unread bytes takes back the reply. So libfcgi ends a connection by saying that nothing more
 * comes, and waits for the web server to hang up, reading what it still sends. That takes three system calls and a
 * sleep, and is not needed where the web server has sent all it had to say.
 */
static void finish(FCGX_Request *fcgi)
{
    if (!fcgi->keepConnection && has_read_all(fcgi))
        FCGX_Detach(fcgi);
    FCGX_Finish_r(fcgi);
}

/* No request, or one that was answered. */
static void hang_up(struct caller *caller)
{
    FCGX_Free(&caller->fcgi, 1);
    connections_done(caller->server->connections, caller->slot);
    free(caller);
}

static void answer(struct caller *caller)
{
    struct server *server = caller->server;
    struct reply *reply = &caller->reply;
    send_reply(&caller->fcgi, reply);
    /* GitHub has its answer, and the delivery is on disk, before anything else happens. */
    finish(&caller->fcgi);
    if (reply->is_acknowledgement)
        metrics_observe(server->gate.metrics, HISTOGRAM_ACKNOWLEDGEMENT,
                        clock_monotonic_us() - caller->accepted_us);
    if (reply->has_work)
        crew_submit(server->crew, &reply->pr, &reply->claim, reply_take_briefing(reply));
    if (caller->holds_place)
        crew_free_place(server->crew);
    reply_release(reply);
    hang_up(caller);
}

static void answer_stored(struct store_job *job)
{
    struct caller *caller = job->owner;
    door_end(&caller->visit);
    answer(caller);
}

/*
 * libfcgi is handed each connection, and never accepts one by itself: its FCGX_Accept_r() takes no
 * listening socket here (-1) and works on the connection that the request holds already, which
 * it leaves open at first if that is marked as kept. In the end each is closed, even where the web server would
 * keep it: a kept one would hold a thread. NULL: no request came.
 */
static struct caller *receive(struct server *server)
{
    int slot, fd = connections_accept(server->connections, STDIN_FILENO, &slot);
    if (fd < 0)
        return NULL;
    struct caller *caller = mem_alloc(sizeof *caller);
    FCGX_Request *fcgi = &caller->fcgi;
    caller->server = server;
    caller->slot = slot;
    caller->accepted_us = clock_monotonic_us();
    FCGX_InitRequest(fcgi, -1, FCGI_FAIL_ACCEPT_ON_INTR);
    fcgi->ipcFd = fd;
    fcgi->keepConnection = 1;
    FCGX_Attach(fcgi);
    if (FCGX_Accept_r(fcgi) == 0)
        return caller;
    hang_up(caller);
    return NULL;
}

/*
 * To others it may be left if nothing has to be waited for in the end but the reply's last byte: the thread at the store has
 * more to do. See finish().
 */
static bool leave_to_store(struct caller *caller)
{
    if (caller->fcgi.keepConnection || !has_read_all(&caller->fcgi))
        return false;
    caller->visit.taking.job.owner = caller;
    return intake_take(&caller->server->intake, &caller->visit.taking.job);
}

/* A delivery is perhaps stored and answered by another thread: *caller is not to be touched any more. */
static void serve(struct caller *caller)
{
    struct server *server = caller->server;
    caller->request = (struct request){.read = read_body, .source = &caller->fcgi, .bodies = &server->bodies};
    caller->visit = (struct visit){.waits = false};
    caller->holds_place = false;
    request_fill(&caller->request, caller->fcgi.envp);
    reply_init(&caller->reply);
    routes_begin(&server->gate, &caller->request, &caller->visit, &caller->reply);
    if (caller->visit.waits) {
        caller->holds_place = crew_hold_place(server->crew);
        door_prepare(&caller->visit, caller->holds_place);
        if (leave_to_store(caller))
            return;
        door_store(&caller->visit);
    }
    answer(caller);
}

static void *accept_requests(void *arg)
{
    struct server *server = arg;
    while (!atomic_load(&server->closing)) {
        struct caller *caller = receive(server);
        if (caller != NULL)
            serve(caller);
    }
    atomic_fetch_sub(&server->acceptors_left, 1);
    return NULL;
}

/* Only there to make accept(2) return EINTR. */
static void on_wake(int signal)
{
    (void)signal;
}

/* Also after a failure stop() is to be called. */
static bool start(struct server *server, const struct config *config, struct err *err)
{
    *server = (struct server){.looks_for_app = config->awaits_app};
    log_setup(config->log_level, config->log_format, config->log_target);
    if (gate_open(&server->gate, config, err) != ERR_OK ||
        crew_open(&server->crew, &server->gate, config->drain_threads, config->pulls_in_progress, err) !=
            ERR_OK)
        return false;
    /* What is due waits until there is an App to do it as. */
    if (!config->awaits_app &&
        sweep_open(&server->sweep, &server->gate, server->crew, config->sweep_interval_s, err) != ERR_OK)
        return false;
    intake_init(&server->intake, server->gate.store, answer_stored);
    server->connections = connections_new(config->accept_threads + INTAKE_MAX + STORE_JOBS_MAX);
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
    if (config->awaits_app)
        log_warning("no GitHub App is set up yet, webhooks are answered with 503: run prgatectl setup",
                    LOG_STR("app_dir", config->app_dir));
    footprint_trim(server->gate.store);
    log_info("ready", LOG_INT("accept_threads", config->accept_threads),
             LOG_INT("drain_threads", config->drain_threads),
             LOG_INT("pulls_in_progress", config->pulls_in_progress),
             LOG_STR("state_dir", config->state_dir));
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

/* A thread may look at `closing` just before and call accept(2) just after a signal: so again until all are out. */
static void stop_accepting(struct server *server)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    atomic_store(&server->closing, true);
    while (atomic_load(&server->acceptors_left) > 0) {
        for (int i = 0; i < server->acceptor_count; i++)
            pthread_kill(server->acceptors[i], CONNECTIONS_WAKE);
        cut_overdue(server);
        nanosleep(&pause, NULL);
    }
    for (int i = 0; i < server->acceptor_count; i++)
        pthread_join(server->acceptors[i], NULL);
}

/*
 * The work ends first, since a call to GitHub may take its time. Until it has ended, deliveries
 * are still taken, stored and answered; nobody claims them, so whoever starts next, here or in another process, does.
 */
static void stop(struct server *server)
{
    atomic_store(&server->gate.stopping, true);
    sweep_close(server->sweep);
    crew_wait(server->crew);
    stop_accepting(server);
    if (server->connections != NULL)
        intake_release(&server->intake);
    crew_close(server->crew);
    gate_close(&server->gate);
    spares_drop(&server->bodies, free);
    connections_free(server->connections);
    free(server->acceptors);
}

/* ---- signals ------------------------------------------------------------------------ */

/* SIGUSR1 is what FastCGI process managers send to retire a process; SIGUSR2 is all that multiwatch hands on. */
static sigset_t awaited_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR2);
    return set;
}

void serve_hold_signals(void)
{
    sigset_t held = awaited_signals();
    pthread_sigmask(SIG_BLOCK, &held, NULL); /* inherited by every thread that is started from here on */
}

static void set_up_signals(void)
{
    struct sigaction wake = {.sa_handler = on_wake};
    sigset_t blocked;
    sigaction(CONNECTIONS_WAKE, &wake, NULL); /* without SA_RESTART */
    signal(SIGPIPE, SIG_IGN);
    serve_hold_signals();
    sigemptyset(&blocked);
    sigaddset(&blocked, CONNECTIONS_WAKE);
    pthread_sigmask(SIG_BLOCK, &blocked, NULL);
}

/* Once: an App that cannot be used is complained of, and then waits for a signal. */
static bool app_has_come(struct server *server)
{
    if (!server->looks_for_app || !app_dir_is_there(server->gate.config->app_dir))
        return false;
    server->looks_for_app = false;
    return true;
}

static void give_memory_back(struct server *server)
{
    if (!footprint_look(&server->footprint))
        return;
    spares_drop(&server->bodies, free);
    footprint_trim(server->gate.store);
}

/* True: read the configuration anew. False: end. */
static bool wait_for_reload(struct server *server)
{
    const struct timespec poll = {.tv_sec = 1};
    const sigset_t awaited = awaited_signals();
    int number;
    while ((number = sigtimedwait(&awaited, NULL, &poll)) <= 0) {
        cut_overdue(server);
        give_memory_back(server);
        if (app_has_come(server)) {
            log_info("a GitHub App was set up: reloading", LOG_STR("app_dir", server->gate.config->app_dir));
            return true;
        }
    }
    bool reload = number == SIGHUP || number == SIGUSR2;
    log_info(reload ? "reloading" : "stopping", LOG_INT("signal", number));
    return reload;
}

/* ---- reloading ---------------------------------------------------------------------- */

/*
 * All threads end and start anew, so none of them ever sees two configurations. The listening socket stays
 * open: who comes meanwhile waits in its backlog, or is taken by another process. False: nothing runs.
 */
static bool change_over(struct server *server, struct config **config, struct config *next)
{
    struct err err = {0};
    stop(server);
    if (start(server, next, &err)) {
        config_close(*config);
        *config = next;
        return true;
    }
    log_error("the new configuration cannot be put to use, the old one stays in force",
              LOG_STR("error", err.text));
    stop(server);
    config_close(next);
    if (start(server, *config, &err))
        return true;
    log_fatal("cannot start", LOG_STR("error", err.text));
    return false;
}

static bool reload(struct server *server, struct config **config)
{
    struct err err = {0};
    struct config *next;
    if (reload_config(&next, *config, &err) != ERR_OK) {
        log_error("the new configuration is refused, the old one stays in force", LOG_STR("error", err.text));
        return true;
    }
    return change_over(server, config, next);
}

int serve_fcgi(struct config **config)
{
    struct server server;
    struct err err = {0};
    FCGX_Init();
    set_up_signals();
    bool running = start(&server, *config, &err);
    if (!running)
        log_fatal("cannot start", LOG_STR("error", err.text));
    while (running && wait_for_reload(&server))
        running = reload(&server, config);
    stop(&server);
    return running ? 0 : 1;
}
