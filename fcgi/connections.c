#include "connections.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "prgate/buf.h"
#include "prgate/clock.h"
#include "prgate/log.h"

enum { ACCEPT_PAUSE_MS = 50 };

struct slot {
    int fd; /* a descriptor of our own for the connection: stays good whatever the thread closes; -1 = none */
    int64_t since_ms;
    bool cut;
};

struct connections {
    const char *allowed;   /* FCGI_WEB_SERVER_ADDRS; NULL: all may connect */
    pthread_mutex_t mutex; /* of the slots */
    int count;
    struct slot slots[];
};

struct connections *connections_new(int slots)
{
    size_t size = sizeof(struct connections) + (size_t)slots * sizeof(struct slot);
    struct connections *connections = mem_alloc(size);
    connections->allowed = getenv("FCGI_WEB_SERVER_ADDRS");
    pthread_mutex_init(&connections->mutex, NULL);
    connections->count = slots;
    for (int i = 0; i < slots; i++)
        connections->slots[i] = (struct slot){.fd = -1};
    return connections;
}

void connections_free(struct connections *connections)
{
    if (connections == NULL)
        return;
    pthread_mutex_destroy(&connections->mutex);
    free(connections);
}

static const char *peer_address(int fd, char out[INET6_ADDRSTRLEN])
{
    struct sockaddr_storage peer = {0};
    socklen_t len = sizeof peer;
    if (getpeername(fd, (struct sockaddr *)&peer, &len) != 0)
        return NULL;
    if (peer.ss_family == AF_INET)
        return inet_ntop(AF_INET, &((struct sockaddr_in *)&peer)->sin_addr, out, INET6_ADDRSTRLEN);
    if (peer.ss_family == AF_INET6)
        return inet_ntop(AF_INET6, &((struct sockaddr_in6 *)&peer)->sin6_addr, out, INET6_ADDRSTRLEN);
    return NULL;
}

/*
 * FCGI_WEB_SERVER_ADDRS, of the FastCGI specification: the addresses that may connect, with commas between
 * them; not set, all may. A Unix socket's peers have none: there the file's permissions say who may.
 */
static bool may_connect(const char *allowed, int fd)
{
    char address[INET6_ADDRSTRLEN];
    const char *peer = allowed == NULL ? NULL : peer_address(fd, address);
    if (peer == NULL)
        return true;
    for (const char *at = allowed; *at != '\0';) {
        at += strspn(at, " ,");
        size_t len = strcspn(at, " ,");
        if (len > 0 && len == strlen(peer) && memcmp(at, peer, len) == 0)
            return true;
        at += len;
    }
    log_warning("a connection was refused: FCGI_WEB_SERVER_ADDRS does not list its peer",
                LOG_STR("peer", peer));
    return false;
}

/* A listening socket that does not block (some supervisor's), or no descriptors left: no reason to spin. */
static void wait_after(int error, int listener)
{
    struct pollfd ready = {.fd = listener, .events = POLLIN};
    if (error == EAGAIN)
        poll(&ready, 1, -1);
    else if (error != EINTR && error != ECONNABORTED)
        poll(NULL, 0, ACCEPT_PAUSE_MS);
}

/* The signal comes through here alone: it must not cut short what a request reads or writes. */
static int accept_one(int listener)
{
    sigset_t wake;
    sigemptyset(&wake);
    sigaddset(&wake, CONNECTIONS_WAKE);
    pthread_sigmask(SIG_UNBLOCK, &wake, NULL);
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        wait_after(errno, listener);
    pthread_sigmask(SIG_BLOCK, &wake, NULL);
    return fd;
}

/* -1: none is free. */
static int take_slot(struct connections *connections, int fd)
{
    int slot = 0;
    pthread_mutex_lock(&connections->mutex);
    while (slot < connections->count && connections->slots[slot].fd >= 0)
        slot++;
    if (slot < connections->count)
        connections->slots[slot] = (struct slot){.fd = fd, .since_ms = clock_monotonic_ms()};
    pthread_mutex_unlock(&connections->mutex);
    return slot < connections->count ? slot : -1;
}

int connections_accept(struct connections *connections, int listener, int *slot)
{
    int fd = accept_one(listener);
    if (fd < 0)
        return -1;
    int own = may_connect(connections->allowed, fd) ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    *slot = own < 0 ? -1 : take_slot(connections, own);
    if (*slot >= 0)
        return fd;
    if (own >= 0)
        close(own);
    close(fd);
    return -1;
}

void connections_done(struct connections *connections, int slot)
{
    pthread_mutex_lock(&connections->mutex);
    int own = connections->slots[slot].fd;
    connections->slots[slot].fd = -1;
    pthread_mutex_unlock(&connections->mutex);
    close(own);
}

size_t connections_cut(struct connections *connections, int64_t max_ms)
{
    size_t count = 0;
    int64_t oldest = clock_monotonic_ms() - max_ms;
    pthread_mutex_lock(&connections->mutex);
    for (int i = 0; i < connections->count; i++) {
        struct slot *slot = &connections->slots[i];
        if (slot->fd < 0 || slot->cut || slot->since_ms > oldest)
            continue;
        shutdown(slot->fd, SHUT_RDWR);
        slot->cut = true;
        count++;
    }
    pthread_mutex_unlock(&connections->mutex);
    return count;
}
