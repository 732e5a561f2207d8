#include "prgate/intake.h"

#include "prgate/clock.h"

enum { PATIENCE_MS = 1000 /* the store is held up: who comes now is better off elsewhere in the pool */ };

void intake_init(struct intake *intake, struct store *store, store_job_done *done)
{
    *intake = (struct intake){.store = store, .done = done};
    intake->last = &intake->first;
    pthread_mutex_init(&intake->mutex, NULL);
}

void intake_release(struct intake *intake)
{
    pthread_mutex_destroy(&intake->mutex);
}

static struct store_job *next_job(void *arg)
{
    struct intake *intake = arg;
    pthread_mutex_lock(&intake->mutex);
    struct store_job *job = intake->first;
    if (job != NULL) {
        intake->first = job->next;
        intake->count--;
    }
    if (intake->first == NULL)
        intake->last = &intake->first;
    pthread_mutex_unlock(&intake->mutex);
    return job;
}

/* The caller holds the mutex. */
static bool has_room(const struct intake *intake, int64_t now_ms)
{
    return intake->count < INTAKE_MAX &&
           (intake->first == NULL || now_ms - intake->first->since_ms < PATIENCE_MS);
}

static void put(struct intake *intake, struct store_job *job)
{
    job->next = NULL;
    *intake->last = job;
    intake->last = &job->next;
    intake->count++;
}

/* In one step with seeing that nothing is left, so that no job comes between. */
static bool leave(struct intake *intake)
{
    pthread_mutex_lock(&intake->mutex);
    bool leaves = intake->first == NULL;
    if (leaves)
        intake->attended = false;
    pthread_mutex_unlock(&intake->mutex);
    return leaves;
}

bool intake_take(struct intake *intake, struct store_job *job)
{
    job->since_ms = clock_monotonic_ms();
    pthread_mutex_lock(&intake->mutex);
    bool taken = has_room(intake, job->since_ms);
    bool attends = taken && !intake->attended;
    if (taken)
        put(intake, job);
    if (attends)
        intake->attended = true;
    pthread_mutex_unlock(&intake->mutex);
    while (attends) {
        store_txn_all(intake->store, next_job, intake, intake->done);
        attends = !leave(intake);
    }
    return taken;
}
