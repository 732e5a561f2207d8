#include "prgate/intake.h"

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
    pthread_mutex_lock(&intake->mutex);
    bool taken = intake->count < INTAKE_MAX;
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
