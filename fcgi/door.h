/*
 * door: POST /webhook, from the bytes on the wire to the delivery on disk.
 *
 * In this order, each step cheaper or more decisive than the next: media type, length,
 * signature over the raw bytes, event's name, and only then parsing. Nothing is stored
 * unless all of it holds.
 */
#ifndef PRGATE_DOOR_H
#define PRGATE_DOOR_H

#include "prgate/event.h"
#include "prgate/inbox.h"
#include "web.h"

enum {
    DOOR_BODY_MAX = 25 * 1024 * 1024, /* GitHub's own limit for a payload */

    /*
     * What the bodies of one process take at most, whatever arrives and however many threads accept.
     * Ordinary payloads (20 to 30 kB) are never held up: only those over DOOR_LARGE count.
     */
    DOOR_LARGE = 1024 * 1024,
    DOOR_LARGE_AT_ONCE = 2 * DOOR_BODY_MAX
};

/* What one webhook request has come to so far. */
struct visit {
    struct gate *gate;
    const struct request *request;
    struct reply *reply;
    const char *delivery; /* NULL until it is known to be well-formed */
    struct event event;   /* repo "" and number 0 until parsed */
    struct taking taking;
    bool waits; /* to be stored */
};

/*
 * *visit is {0}. Either the reply is whole afterwards, or visit->waits. Then door_prepare() is due, and the delivery is stored, by
 * door_store(), or by somebody who has visit->taking.job run and calls door_end(). The request, the reply and *visit
 * itself stay where they are until then.
 */
void door_begin(struct visit *visit, struct gate *gate, const struct request *request, struct reply *reply);
/* `may_claim`: this process has room to work on one more pull request. */
void door_prepare(struct visit *visit, bool may_claim);
void door_store(struct visit *visit);
void door_end(struct visit *visit);

/* A JSON object {"status": ..., "message": ...} as the reply's body. */
void door_message(struct reply *reply, int status, const char *name, const char *message);

#endif
