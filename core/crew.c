/*
 * One mutex guards the queue and the counts, and is never held while a fiber runs. A thread without work waits in its
 * hub; whoever has work for it rouses it there.
 */
#include "prgate/crew.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/drain.h"
#include "prgate/fiber.h"
#include "prgate/http_hub.h"
#include "prgate/inbox.h"
#include "prgate/log.h"

/* So many may wait with a briefing, of 4 kB each; the others look themselves once they begin. */
enum { BRIEFED_MAX = 16 };

/*
 * With so many that can go on, and hold GitHub's replies meanwhile, a thread begins nothing new: it would only wait, too.
 * Whoever declines a job for that does not sleep, so the job is not forgotten.
 */
enum { READY_MAX = 8 };

struct job {
    struct pr_key pr;
    struct claim claim;
    struct briefing *briefing;
};

/* What one pull request in progress needs, kept for the next one. */
struct task {
    struct member *member;
    struct worker worker;
    struct job job;
    struct task *next; /* idle */
};

/* One thread. */
struct member {
    struct crew *crew;
    pthread_t thread;
    struct http_hub *hub;
    struct fibers *fibers;
    struct task *idle;
    struct github *example; /* of the task that worked last: what it learnt others need not ask for */
    /* Under the crew's mutex: */
    int busy;
    bool sleeps; /* it found no work, and nobody has roused it since */
};

struct crew {
    struct gate *gate;
    pthread_mutex_t mutex;
    pthread_cond_t idle;
    size_t pulls;      /* in progress at once */
    struct job *queue; /* ring, of as many */
    size_t first, count;
    size_t busy;  /* in progress */
    size_t held;  /* places, see crew_hold_place() */
    bool refused; /* a place, since on_room was last called */
    void (*on_room)(void *arg);
    void *on_room_arg;
    bool closing;
    struct member *members;
    int member_count;
    int pulls_each;
};

/* ---- handing out ---- */

/* The caller holds the mutex. */
static void rouse(struct member *member)
{
    if (member->sleeps)
        http_hub_rouse(member->hub);
    member->sleeps = false;
}

/* The least busy thread gets to look at the queue. The caller holds the mutex. */
static void rouse_one(struct crew *crew)
{
    struct member *best = NULL;
    for (int i = 0; i < crew->member_count; i++) {
        struct member *member = &crew->members[i];
        if (member->busy < crew->pulls_each && (best == NULL || member->busy < best->busy))
            best = member;
    }
    if (best != NULL)
        rouse(best);
}

/* One at a time: the others are to have their share. */
static bool next_job(struct member *member, struct job *job)
{
    struct crew *crew = member->crew;
    pthread_mutex_lock(&crew->mutex);
    bool found = crew->count > 0 && member->busy < crew->pulls_each;
    member->sleeps = !found;
    if (found) {
        *job = crew->queue[crew->first];
        crew->first = (crew->first + 1) % crew->pulls;
        crew->count--;
        crew->busy++;
        member->busy++;
        if (crew->count > 0)
            rouse_one(crew);
    }
    pthread_mutex_unlock(&crew->mutex);
    return found;
}

/* Places. The caller holds the mutex. */
static size_t count_taken(const struct crew *crew)
{
    return crew->busy + crew->count + crew->held;
}

/* The caller holds the mutex. */
static void tell_of_room(struct crew *crew)
{
    if (!crew->refused || crew->on_room == NULL || count_taken(crew) > crew->pulls - crew->pulls / 4)
        return;
    crew->refused = false;
    crew->on_room(crew->on_room_arg);
}

static void job_is_done(struct member *member)
{
    struct crew *crew = member->crew;
    pthread_mutex_lock(&crew->mutex);
    member->busy--;
    crew->busy--;
    if (crew->count > 0)
        rouse(member);
    if (crew->busy == 0 && crew->count == 0)
        pthread_cond_broadcast(&crew->idle);
    tell_of_room(crew);
    pthread_mutex_unlock(&crew->mutex);
}

/* ---- one thread ---- */

static void free_task(struct task *task)
{
    worker_close(&task->worker);
    free(task);
}

static struct task *take_task(struct member *member, struct err *err)
{
    struct task *task = member->idle;
    if (task != NULL) {
        member->idle = task->next;
        return task;
    }
    task = mem_alloc(sizeof *task);
    *task = (struct task){.member = member};
    if (worker_open(&task->worker, member->crew->gate, err) != ERR_OK) {
        free_task(task);
        return NULL;
    }
    http_join(task->worker.http, member->hub);
    return task;
}

/* The fiber's whole life. */
static void work_on(void *arg)
{
    struct task *task = arg;
    struct member *member = task->member;
    if (member->example != NULL)
        github_learn_from(task->worker.github, member->example);
    /* While stopping, drain_start() gives a claim up without working on it. */
    drain_start(&task->worker, &task->job.pr, &task->job.claim, task->job.briefing);
    member->example = task->worker.github;
    task->next = member->idle;
    member->idle = task;
    job_is_done(member);
}

static void begin(struct member *member, const struct job *job)
{
    struct err err = {0};
    struct task *task = take_task(member, &err);
    if (task != NULL) {
        task->job = *job;
        if (fibers_start(member->fibers, work_on, task, &err) == ERR_OK)
            return;
        task->next = member->idle;
        member->idle = task;
    }
    /* Off the list the claim in the record is free: the sweeper of any process finds it. */
    log_error("a pull request cannot be worked on now", LOG_STR("error", err.text));
    claims_forget(member->crew->gate->claims, &job->claim);
    briefing_free(job->briefing);
    job_is_done(member);
}

/* Nothing more comes, and nothing is left. */
static bool is_over(struct member *member)
{
    struct crew *crew = member->crew;
    pthread_mutex_lock(&crew->mutex);
    bool over = crew->closing && crew->count == 0 && member->busy == 0;
    pthread_mutex_unlock(&crew->mutex);
    return over;
}

static void *work(void *arg)
{
    struct member *member = arg;
    struct job job;
    member->fibers = fibers_new();
    while (!is_over(member)) {
        bool found = fibers_ready(member->fibers) < READY_MAX && next_job(member, &job);
        if (found)
            begin(member, &job);
        /*
         * One at a time: where the disk hangs each may take seconds, and meanwhile nobody reads the replies of the others,
         * whose time-outs go on.
         */
        int wait_ms = fibers_step(member->fibers);
        if (!is_over(member))
            http_hub_run(member->hub, found ? 0 : wait_ms);
    }
    fibers_free(member->fibers);
    while (member->idle != NULL) {
        struct task *task = member->idle;
        member->idle = task->next;
        free_task(task);
    }
    return NULL;
}

/* ---- all of them ---- */

static enum err_code start_member(struct crew *crew, struct err *err)
{
    struct member *member = &crew->members[crew->member_count];
    *member = (struct member){.crew = crew};
    enum err_code code = http_hub_open(&member->hub, crew->pulls_each, crew->pulls_each, err);
    if (code != ERR_OK)
        return code;
    int number = pthread_create(&member->thread, NULL, work, member);
    if (number != 0) {
        http_hub_close(member->hub);
        return err_set(err, ERR_FATAL, number, "cannot start a working thread: %s", strerror(number));
    }
    pthread_mutex_lock(&crew->mutex);
    crew->member_count++;
    pthread_mutex_unlock(&crew->mutex);
    return ERR_OK;
}

enum err_code crew_open(struct crew **out, struct gate *gate, int threads, int pulls, struct err *err)
{
    struct crew *crew = mem_alloc(sizeof *crew);
    *crew = (struct crew){.gate = gate, .pulls = (size_t)pulls};
    crew->pulls_each = threads == 0 ? 0 : (pulls + threads - 1) / threads;
    pthread_mutex_init(&crew->mutex, NULL);
    pthread_cond_init(&crew->idle, NULL);
    crew->queue = mem_alloc(crew->pulls * sizeof *crew->queue);
    crew->members = mem_alloc((size_t)threads * sizeof *crew->members);
    enum err_code code = ERR_OK;
    while (code == ERR_OK && crew->member_count < threads)
        code = start_member(crew, err);
    if (code == ERR_OK)
        *out = crew;
    else
        crew_close(crew);
    return code;
}

void crew_wait(struct crew *crew)
{
    if (crew == NULL)
        return;
    pthread_mutex_lock(&crew->mutex);
    while (crew->busy > 0 || (crew->count > 0 && crew->member_count > 0))
        pthread_cond_wait(&crew->idle, &crew->mutex);
    pthread_mutex_unlock(&crew->mutex);
}

void crew_close(struct crew *crew)
{
    if (crew == NULL)
        return;
    pthread_mutex_lock(&crew->mutex);
    crew->closing = true;
    for (int i = 0; i < crew->member_count; i++)
        http_hub_rouse(crew->members[i].hub);
    pthread_mutex_unlock(&crew->mutex);
    for (int i = 0; i < crew->member_count; i++)
        pthread_join(crew->members[i].thread, NULL);
    /* Only now: until the last one was done it may have roused the others. */
    for (int i = 0; i < crew->member_count; i++)
        http_hub_close(crew->members[i].hub);
    for (; crew->count > 0; crew->count--, crew->first++) /* without threads */
        briefing_free(crew->queue[crew->first % crew->pulls].briefing);
    pthread_cond_destroy(&crew->idle);
    pthread_mutex_destroy(&crew->mutex);
    free(crew->members);
    free(crew->queue);
    free(crew);
}

bool crew_hold_place(struct crew *crew)
{
    pthread_mutex_lock(&crew->mutex);
    bool open = !crew->closing && !atomic_load(&crew->gate->stopping);
    bool room = count_taken(crew) < crew->pulls;
    if (open && room)
        crew->held++;
    else if (open)
        crew->refused = true;
    pthread_mutex_unlock(&crew->mutex);
    return open && room;
}

void crew_free_place(struct crew *crew)
{
    pthread_mutex_lock(&crew->mutex);
    crew->held--;
    tell_of_room(crew);
    pthread_mutex_unlock(&crew->mutex);
}

void crew_submit(struct crew *crew, const struct pr_key *pr, const struct claim *claim,
                 struct briefing *briefing)
{
    pthread_mutex_lock(&crew->mutex);
    bool fits = crew->count < crew->pulls, is_briefed = crew->count < BRIEFED_MAX;
    if (fits) {
        crew->queue[(crew->first + crew->count++) % crew->pulls] =
            (struct job){.pr = *pr, .claim = *claim, .briefing = is_briefed ? briefing : NULL};
        rouse_one(crew);
    }
    pthread_mutex_unlock(&crew->mutex);
    if (!is_briefed)
        briefing_free(briefing);
    /* Off the list the claim in the record is free: the sweeper of any process finds it. */
    if (!fits)
        claims_forget(crew->gate->claims, claim);
}

void crew_on_room(struct crew *crew, void (*fn)(void *arg), void *arg)
{
    pthread_mutex_lock(&crew->mutex);
    crew->on_room = fn;
    crew->on_room_arg = arg;
    pthread_mutex_unlock(&crew->mutex);
}
