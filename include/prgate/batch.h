/*
 * batch: threads that come at the same time have what they want done by one of them.
 *
 * Each would have to sleep until it may begin, and most again until it is done. So who comes while another one is at it only
 * says what is wanted, and sleeps once. The thread that has done a batch hands the lead to the first of those whom it has not
 * done; nobody leads for longer than its own batch.
 *
 *     struct wish { struct batch_item item; ... };       // lies on the stack of its thread
 *     batch_do(&batches, &wish.item);                    // returns once it was settled
 *
 * A batch is done in four steps, each a function of the owner's, called by the thread that leads:
 *
 *   begin   what all need before; who comes until it returns is part of the batch, while there is room
 *   run     the items, in the order they came, and then those who came meanwhile, while there is room for them. No other
 *           batch is begun or run from begin to end
 *   end     what begin has begun
 *   settle  the rest, while the next batch is begun and run by another thread. Calls batch_tell() for each item, which
 *           is not to be touched any more from then on
 *
 * Thread-safe, but batches_init() and batches_release().
 */
#ifndef PRGATE_BATCH_H
#define PRGATE_BATCH_H

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>

enum { BATCH_MAX = 8 /* items; more wait for the next one, lest the first to come wait for all others */ };

/* For this module alone to look into. */
struct batch_item {
    struct batch_item *next;
    sem_t told;
    bool leads;
};

typedef void batch_fn(void *arg, struct batch_item *const *items, size_t count);

struct batches {
    void (*begin)(void *arg);
    batch_fn *run;
    void (*end)(void *arg);
    batch_fn *settle;
    void *arg;
    pthread_mutex_t mutex; /* of what follows */
    struct batch_item *first, **last;
    bool led;
};

/* The functions are set; *batches stays where it is until batches_release(). */
void batches_init(struct batches *batches);
void batches_release(struct batches *batches);

void batch_do(struct batches *batches, struct batch_item *item);
void batch_tell(struct batch_item *item);

#endif
