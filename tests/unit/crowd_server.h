/*
 * crowd_server: an HTTP server in a thread, that answers all who have asked once enough of them have. So what is to be
 * under way at once is, however fast the machine. "GET /silent" is never answered. Include after cmocka's headers.
 */
#ifndef PRGATE_TESTS_CROWD_SERVER_H
#define PRGATE_TESTS_CROWD_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "prgate/buf.h"

enum { CROWD_MAX = 100 };

struct crowd_server {
    int listener;
    int port;
    int enough;        /* so many requests are there at once before any is answered */
    const char *reply; /* whole */
    atomic_bool stop;
    atomic_int accepted;
    atomic_int most; /* requests that were there at once */
    pthread_t thread;
    struct pollfd fds[1 + CROWD_MAX];
    int waiting[CROWD_MAX]; /* asked, and not answered yet */
    int waiting_count;
};

static inline void crowd_answer_all(struct crowd_server *server)
{
    if (server->waiting_count > atomic_load(&server->most))
        atomic_store(&server->most, server->waiting_count);
    if (server->waiting_count < server->enough)
        return;
    for (int i = 0; i < server->waiting_count; i++)
        send(server->waiting[i], server->reply, strlen(server->reply), MSG_NOSIGNAL);
    server->waiting_count = 0;
}

static inline void crowd_receive(struct crowd_server *server, struct pollfd *slot)
{
    char request[2048];
    ssize_t got = recv(slot->fd, request, sizeof request - 1, 0);
    if (got <= 0) {
        close(slot->fd);
        slot->fd = -1;
        return;
    }
    request[got] = '\0';
    if (strncmp(request, "GET /silent", 11) != 0)
        server->waiting[server->waiting_count++] = slot->fd;
}

static inline void crowd_take(struct crowd_server *server)
{
    int fd = accept(server->listener, NULL, NULL);
    atomic_fetch_add(&server->accepted, 1);
    for (int i = 1; i <= CROWD_MAX; i++) {
        if (server->fds[i].fd < 0) {
            server->fds[i] = (struct pollfd){.fd = fd, .events = POLLIN};
            return;
        }
    }
    close(fd);
}

static inline void *crowd_serve(void *arg)
{
    struct crowd_server *server = arg;
    server->fds[0] = (struct pollfd){.fd = server->listener, .events = POLLIN};
    for (int i = 1; i <= CROWD_MAX; i++)
        server->fds[i].fd = -1;
    while (!atomic_load(&server->stop)) {
        poll(server->fds, 1 + CROWD_MAX, 20);
        for (int i = 1; i <= CROWD_MAX; i++)
            if (server->fds[i].fd >= 0 && server->fds[i].revents != 0)
                crowd_receive(server, &server->fds[i]);
        if (server->fds[0].revents != 0)
            crowd_take(server);
        crowd_answer_all(server);
    }
    for (int i = 1; i <= CROWD_MAX; i++)
        if (server->fds[i].fd >= 0)
            close(server->fds[i].fd);
    return NULL;
}

static inline struct crowd_server *crowd_server_start(int enough, const char *reply)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    struct crowd_server *server = mem_alloc(sizeof *server);
    memset(server, 0, sizeof *server);
    server->enough = enough;
    server->reply = reply;
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(server->listener, CROWD_MAX), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&at, &len), 0);
    server->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, crowd_serve, server), 0);
    return server;
}

static inline void crowd_server_stop(struct crowd_server *server)
{
    atomic_store(&server->stop, true);
    pthread_join(server->thread, NULL);
    close(server->listener);
}

#endif
