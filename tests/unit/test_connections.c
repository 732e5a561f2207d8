/*
 * Accepting with an end for each connection: who is let in, what is cut, and when a wake-up gets through.
 */
#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "connections.h"
#include "prgate/log.h"

static void on_wake(int number)
{
    (void)number;
}

static int set_up(void **state)
{
    (void)state;
    struct sigaction wake = {.sa_handler = on_wake};
    sigset_t blocked;
    log_setup(LOG_LEVEL_PANIC, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    sigemptyset(&blocked);
    sigaddset(&blocked, CONNECTIONS_WAKE);
    return sigaction(CONNECTIONS_WAKE, &wake, NULL) != 0 || pthread_sigmask(SIG_BLOCK, &blocked, NULL) != 0;
}

/* On the loopback; *port tells where. */
static int listen_tcp(in_port_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    *port = address.sin_port;
    return fd;
}

static int connect_tcp(in_port_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = port};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int count_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

static bool has_ended(int fd)
{
    char byte;
    return recv(fd, &byte, 1, 0) <= 0;
}

static void test_old_connections_are_cut_once_and_new_ones_are_not(void **state)
{
    (void)state;
    in_port_t port;
    char byte;
    int before = count_descriptors();
    int listener = listen_tcp(&port);
    struct connections *connections = connections_new(2);
    int old_peer = connect_tcp(port);
    int old_slot, slot, old = connections_accept(connections, listener, &old_slot);
    assert_true(old >= 0);
    const struct timespec pause = {.tv_nsec = 300000000};
    nanosleep(&pause, NULL);
    int new_peer = connect_tcp(port);
    int fresh = connections_accept(connections, listener, &slot);
    assert_true(fresh >= 0);
    assert_true(slot != old_slot);
    check_u64("nothing is older than a minute", "cut", connections_cut(connections, 60000), 0);
    check_u64("one is", "cut", connections_cut(connections, 250), 1);
    check_u64("again", "cut", connections_cut(connections, 250), 0);
    check_bool("cut", "reads an end", recv(old, &byte, 1, 0) == 0, true);
    check_bool("cut", "the peer reads an end", has_ended(old_peer), true);
    check_bool("the other", "still sends", send(fresh, "x", 1, 0) == 1 && recv(new_peer, &byte, 1, 0) == 1,
               true);
    close(old);
    close(fresh);
    connections_done(connections, old_slot);
    connections_done(connections, slot);
    check_bool("done", "the peer reads an end", has_ended(new_peer), true);
    connections_free(connections);
    close(old_peer);
    close(new_peer);
    close(listener);
    check_int("all", "descriptors", count_descriptors(), before);
}

/* A thread may have closed its descriptor, and somebody else opened one of the same number. */
static void test_cut_does_not_touch_a_descriptor_that_was_closed(void **state)
{
    (void)state;
    in_port_t port;
    char byte;
    int ends[2];
    int listener = listen_tcp(&port);
    struct connections *connections = connections_new(1);
    int peer = connect_tcp(port);
    int slot, fd = connections_accept(connections, listener, &slot);
    close(fd);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_true(ends[0] == fd || ends[1] == fd);
    check_u64("closed", "cut", connections_cut(connections, 0), 1);
    check_bool("the new one", "works", send(ends[0], "x", 1, 0) == 1 && recv(ends[1], &byte, 1, 0) == 1,
               true);
    connections_done(connections, slot);
    check_u64("done", "cut", connections_cut(connections, 0), 0);
    connections_free(connections);
    close(ends[0]);
    close(ends[1]);
    close(peer);
    close(listener);
}

static void test_only_listed_web_servers_may_connect(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        bool allowed;
    } rows[] = {
        {NULL, true}, {"127.0.0.1", true}, {"10.0.0.1,127.0.0.1", true},   {"10.0.0.1, 127.0.0.1 ", true},
        {"", false},  {"10.0.0.1", false}, {"127.0.0.10,27.0.0.1", false},
    };
    in_port_t port;
    int listener = listen_tcp(&port);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *name = rows[i].list == NULL ? "not set" : rows[i].list;
        unsetenv("FCGI_WEB_SERVER_ADDRS");
        if (rows[i].list != NULL)
            setenv("FCGI_WEB_SERVER_ADDRS", rows[i].list, 1);
        struct connections *connections = connections_new(1);
        int peer = connect_tcp(port);
        int slot, fd = connections_accept(connections, listener, &slot);
        check_bool(name, "allowed", fd >= 0, rows[i].allowed);
        if (fd >= 0) {
            close(fd);
            connections_done(connections, slot);
        }
        check_bool(name, "the peer reads an end", has_ended(peer), true);
        connections_free(connections);
        close(peer);
    }
    unsetenv("FCGI_WEB_SERVER_ADDRS");
    close(listener);
}

static void test_one_too_many_is_turned_away(void **state)
{
    (void)state;
    in_port_t port;
    int listener = listen_tcp(&port);
    struct connections *connections = connections_new(1);
    int before = count_descriptors(), slot;
    for (int i = 0; i < 2; i++) {
        int peer = connect_tcp(port), other_peer = connect_tcp(port), other_slot;
        int fd = connections_accept(connections, listener, &slot);
        assert_true(fd >= 0);
        check_int("no slot is free", "accepted", connections_accept(connections, listener, &other_slot), -1);
        check_bool("no slot is free", "the peer reads an end", has_ended(other_peer), true);
        close(fd);
        connections_done(connections, slot);
        close(peer);
        close(other_peer);
    }
    check_int("all", "descriptors", count_descriptors(), before);
    connections_free(connections);
    close(listener);
}

struct waiter {
    struct connections *connections;
    int listener;
    int slot;
    int fd;
};

static void *wait_for_one(void *arg)
{
    struct waiter *waiter = arg;
    waiter->fd = connections_accept(waiter->connections, waiter->listener, &waiter->slot);
    return NULL;
}

/* Also where the listening socket does not block, as some supervisor may have it. */
static void test_a_wake_up_ends_the_waiting_and_nothing_else(void **state)
{
    (void)state;
    for (int flags = 0; flags <= O_NONBLOCK; flags += O_NONBLOCK) {
        in_port_t port;
        pthread_t thread;
        struct waiter waiter = {.connections = connections_new(1), .listener = listen_tcp(&port)};
        assert_int_equal(fcntl(waiter.listener, F_SETFL, flags), 0);
        assert_int_equal(pthread_create(&thread, NULL, wait_for_one, &waiter), 0);
        int joined;
        do {
            const struct timespec pause = {.tv_nsec = 10000000};
            pthread_kill(thread, CONNECTIONS_WAKE);
            nanosleep(&pause, NULL);
            joined = pthread_tryjoin_np(thread, NULL);
        } while (joined == EBUSY);
        assert_int_equal(joined, 0);
        check_int(flags == 0 ? "blocking" : "not blocking", "accepted", waiter.fd, -1);

        /* One that comes while something is read waits until that is done. */
        int ends[2];
        char byte;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        pthread_kill(pthread_self(), CONNECTIONS_WAKE);
        struct timeval limit = {.tv_usec = 100000};
        assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
        errno = 0;
        assert_int_equal(read(ends[0], &byte, 1), -1);
        check_int("reading", "ended by its time-out", errno, EAGAIN);
        close(ends[0]);
        close(ends[1]);

        int peer = connect_tcp(port);
        int fd;
        do
            fd = connections_accept(waiter.connections, waiter.listener, &waiter.slot);
        while (fd < 0);
        close(fd);
        connections_done(waiter.connections, waiter.slot);
        connections_free(waiter.connections);
        close(peer);
        close(waiter.listener);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_old_connections_are_cut_once_and_new_ones_are_not),
        cmocka_unit_test(test_cut_does_not_touch_a_descriptor_that_was_closed),
        cmocka_unit_test(test_one_too_many_is_turned_away),
        cmocka_unit_test(test_only_listed_web_servers_may_connect),
        cmocka_unit_test(test_a_wake_up_ends_the_waiting_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
