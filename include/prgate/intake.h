/*
 * intake: what threads bring to the store, and need not wait for.
 *
 * Who brings a job while another thread is at the store leaves it there, and may bring the next one. The other thread has it run
 * with what it has already, or next, and does what is to be done once it is on disk. Who finds nobody at the store goes there
 * himself, until nothing is left. So with one client a job is its thread's own, as with store_txn(); with many, hardly any thread
 * sleeps, and a sync serves all that came during the one before.
 *
 *     intake_init(&intake, store, answer);
 *     ...
 *     if (!intake_take(&intake, &job))
 *         ...                                  too many wait, or for too long: store_txn(), which waits
 *
 * Thread-safe, but intake_init() and intake_release().
 */
#ifndef PRGATE_INTAKE_H
#define PRGATE_INTAKE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "prgate/store.h"

enum { INTAKE_MAX = 2 * STORE_JOBS_MAX /* left there; STORE_JOBS_MAX more may be at the store */ };

/* For this module alone to look into. */
struct intake {
    struct store *store;
    store_job_done *done;
    pthread_mutex_t mutex; /* of what follows */
    struct store_job *first, **last;
    size_t count;
    bool attended; /* a thread is at the store */
};

/* `done` is called once for each job that was taken, by any of the threads that call intake_take(). */
void intake_init(struct intake *intake, struct store *store, store_job_done *done);
/* Nobody is in intake_take(): then nothing is left. */
void intake_release(struct intake *intake);

/*
 * Its body, and what else done() needs, is set. The job stays the caller's if it returns false, else it is done()'s, which was
 * perhaps called already.
 */
bool intake_take(struct intake *intake, struct store_job *job);

#endif
