/*
 * connections: accepting from the FastCGI socket, with an end for each connection.
 *
 *     int slot, fd = connections_accept(connections, listener, &slot);
 *     if (fd >= 0) {
 *         ...                                  read, answer, close(fd), in this thread or another one
 *         connections_done(connections, slot);
 *     }
 *
 * libfcgi reads and writes without a time-out, so a peer that stops in the middle, or sends a byte
 * now and then, would hold its thread for good, and a handful of those the whole pool. So
 * somebody calls connections_cut() now and then: what is older than it may be is shut down, whichever
 * read or write its thread sits in, and that returns. Thread-safe.
 */
#ifndef PRGATE_CONNECTIONS_H
#define PRGATE_CONNECTIONS_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CONNECTION_MAX_MS = 10000, /* GitHub hangs up after 10 s: nobody waits for a later reply */
    CONNECTIONS_WAKE = SIGURG  /* sent to a thread in connections_accept() makes it return */
};

struct connections;

/* `slots`: so many are open at once at most. Who may connect is as the environment says now. The caller's to free; never NULL. */
struct connections *connections_new(int slots);
void connections_free(struct connections *connections); /* NULL is fine */

/*
 * Waits for a connection. Its descriptor is the caller's to close, and *slot his until connections_done(). -1: interrupted, turned away or failed; try
 * again. CONNECTIONS_WAKE must have a handler and be blocked in the calling thread: it is let through only
 * while there is nothing to interrupt.
 */
int connections_accept(struct connections *connections, int listener, int *slot);

/* Call it after the descriptor was closed. */
void connections_done(struct connections *connections, int slot);

/* Shuts down what was accepted `max_ms` ago or earlier; how many that were. */
size_t connections_cut(struct connections *connections, int64_t max_ms);

#endif
