#include "prgate/sweep.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "prgate/clock.h"
#include "prgate/drain.h"
#include "prgate/log.h"
#include "prgate/reconcile.h"
#include "prgate/redeliver.h"
#include "prgate/retain.h"
#include "prgate/salvage.h"
#include "prgate/wake.h"

enum {
    TIDY_EVERY_MS = 10000,
    RETAIN_BATCHES = 25, /* each time */
    /* Pull requests with work that is not due, or claimed, in one go: the next one goes on there. */
    LOOKS_MAX = 1000
};

/* ---- finding ----------------------------------------------------------------- */

struct find {
    enum store_table queue;
    struct pr_key pr;
};

static enum err_code find_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct find *find = arg;
    struct pr_key pr = find->pr;
    store_need_not_wait(txn); /* who takes the claim does */
    enum err_code code = table_next_queued(txn, find->queue, &pr, err);
    if (code == ERR_OK)
        find->pr = pr;
    return code;
}

static bool comes_before(const struct pr_key *a, const struct pr_key *b)
{
    return a->repo_id < b->repo_id || (a->repo_id == b->repo_id && a->number < b->number);
}

/* The next pull request that has anything in either queue. */
static bool find_queued(struct gate *gate, struct pr_key *pr)
{
    struct err err;
    struct find event = {.queue = TABLE_INBOX, .pr = *pr}, intent = {.queue = TABLE_INTENT, .pr = *pr};
    bool have_event = store_txn(gate->store, find_body, &event, &err) == ERR_OK;
    bool have_intent = store_txn(gate->store, find_body, &intent, &err) == ERR_OK;
    if (!have_event && !have_intent)
        return false;
    *pr = have_event && (!have_intent || comes_before(&event.pr, &intent.pr)) ? event.pr : intent.pr;
    return true;
}

/* ---- claiming ---------------------------------------------------------------- */

struct take {
    struct gate *gate;
    struct pr_key pr;
    struct claim claim;
    bool taken;
    bool taken_over;
    bool salvaged; /* the record was damaged, and is made anew */
};

static enum err_code take_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct take *take = arg;
    struct record record;
    record_init(&record);
    enum err_code code = salvage_get_record(txn, &take->pr, &record, &take->salvaged, err);
    /* It may have it already, by a commit whose success was hidden. */
    take->taken = code == ERR_OK && claim_equal(&record.claim, &take->claim);
    if (code == ERR_OK && !take->taken && record.due_ms <= clock_now_ms() &&
        claims_is_free(take->gate->claims, &record.claim)) {
        take->taken = true;
        take->taken_over = record.claim.held;
        record.claim = take->claim;
    }
    if (code == ERR_OK && (take->taken || take->salvaged))
        code = table_put_record(txn, &record, err);
    record_release(&record);
    return code;
}

static bool take_claim(struct gate *gate, const struct pr_key *pr, struct claim *claim)
{
    struct err err;
    struct take take = {.gate = gate, .pr = *pr, .claim = claims_new(gate->claims)};
    enum err_code code = store_txn(gate->store, take_body, &take, &err);
    if (code == ERR_OK && take.salvaged)
        salvage_tell(gate->metrics, pr);
    if (code != ERR_OK || !take.taken) {
        claims_forget(gate->claims, &take.claim);
        return false;
    }
    if (take.taken_over)
        metrics_add(gate->metrics, METRIC_CLAIMS_TAKEN_OVER);
    *claim = take.claim;
    claim->taken_over = take.taken_over;
    return true;
}

/* *looks counts those that were found and left alone; at the limit *pr is where to go on. */
static bool next_due(struct gate *gate, struct pr_key *pr, struct claim *claim, unsigned *looks)
{
    while (!atomic_load(&gate->stopping) && *looks < LOOKS_MAX && find_queued(gate, pr)) {
        if (take_claim(gate, pr, claim))
            return true;
        pr->number++;
        ++*looks;
    }
    return false;
}

bool sweep_next(struct gate *gate, struct pr_key *pr, struct claim *claim)
{
    unsigned looks;
    do {
        looks = 0;
        if (next_due(gate, pr, claim, &looks))
            return true;
    } while (looks == LOOKS_MAX);
    return false;
}

unsigned sweep_run(struct worker *worker)
{
    struct pr_key pr = {0};
    struct claim claim;
    unsigned worked = 0;
    wake_those_due(worker->gate, true);
    while (sweep_next(worker->gate, &pr, &claim)) {
        drain_run(worker, &pr, &claim);
        pr.number++;
        worked++;
    }
    return worked;
}

/* ---- catching up --------------------------------------------------------------- */

static enum pace_result result_of(bool done, unsigned count)
{
    if (!done)
        return PACE_FAILED;
    return count > 0 ? PACE_EFFECT : PACE_DONE;
}

static void ask_for_missed(struct worker *worker)
{
    struct gate *gate = worker->gate;
    struct turn turn;
    unsigned asked = 0;
    if (!redeliver_is_wanted(gate->config) ||
        !pace_take(gate, PACE_REDELIVER, gate->config->redeliver_interval_s, &turn))
        return;
    bool done = redeliver_pass(worker, &turn, &asked);
    pace_end(gate, &turn, result_of(done, asked));
}

static unsigned compare_with_github(struct worker *worker)
{
    const struct config *config = worker->gate->config;
    struct turn turn;
    unsigned told = 0;
    if (!reconcile_is_wanted(config) ||
        !pace_take(worker->gate, PACE_RECONCILE, config->reconcile_interval_s, &turn))
        return 0;
    bool done = reconcile_pass(worker, &turn, &told);
    pace_end(worker->gate, &turn, result_of(done, told));
    return told;
}

/* A webhook tells more than a list: what GitHub was asked for comes first. */
static bool missed_are_in(struct gate *gate)
{
    return !redeliver_is_wanted(gate->config) ||
           pace_is_settled(gate, PACE_REDELIVER, gate->config->redeliver_interval_s);
}

unsigned sweep_catch_up(struct worker *worker)
{
    if (gate_may_call(worker->gate))
        ask_for_missed(worker);
    if (gate_may_call(worker->gate) && missed_are_in(worker->gate))
        return compare_with_github(worker);
    return 0;
}

/* ---- the threads -------------------------------------------------------------- */

struct sweep {
    struct gate *gate;
    struct crew *crew;
    int interval_s;
    pthread_t thread;
    pthread_t catch_up_thread;
    bool catches_up; /* there is such a thread */
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool closing;
    bool has_room;      /* the crew has, after it had none */
    struct pr_key from; /* where the last look ended, if it did not come to the end */
    int64_t tidied_ms;
    struct store_stats told; /* what of the store's counts the pool's have by now */
};

static void hand_out(struct sweep *sweep)
{
    struct pr_key pr = sweep->from;
    struct claim claim;
    unsigned looks = 0;
    bool found = true;
    if (gate_is_rate_blocked(sweep->gate, clock_now_ms()))
        return;
    while (found && crew_hold_place(sweep->crew)) {
        found = next_due(sweep->gate, &pr, &claim, &looks);
        if (found) {
            crew_submit(sweep->crew, &pr, &claim, NULL);
            pr.number++;
        }
        crew_free_place(sweep->crew);
    }
    bool at_the_end = !found && looks < LOOKS_MAX;
    sweep->from = at_the_end ? (struct pr_key){0} : pr;
}

static void tidy(struct sweep *sweep)
{
    struct err err;
    if (store_checkpoint(sweep->gate->store, &err) != ERR_OK)
        log_warning("no checkpoint", LOG_STR("error", err.text));
    unsigned dead = alive_sweep(sweep->gate->alive);
    if (dead > 0)
        log_info("processes ended without a goodbye", LOG_INT("count", dead));
}

static void tell_counts(struct sweep *sweep)
{
    struct metrics *metrics = sweep->gate->metrics;
    struct store_stats now = store_get_stats(sweep->gate->store);
    metrics_add_many(metrics, METRIC_COMMITS, now.commits - sweep->told.commits);
    metrics_add_many(metrics, METRIC_TXN_RETRIES, now.retries - sweep->told.retries);
    metrics_add_many(metrics, METRIC_RECOVERIES, now.recoveries - sweep->told.recoveries);
    sweep->told = now;
}

/* False: the process is closing. `called`, if not NULL, ends the wait early and is reset. */
static bool wait_for_turn(struct sweep *sweep, bool *called)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += sweep->interval_s;
    pthread_mutex_lock(&sweep->mutex);
    int code = 0;
    while (!sweep->closing && code != ETIMEDOUT && (called == NULL || !*called))
        code = pthread_cond_timedwait(&sweep->wake, &sweep->mutex, &until);
    if (called != NULL)
        *called = false;
    bool closing = sweep->closing;
    pthread_mutex_unlock(&sweep->mutex);
    return !closing;
}

static void on_room(void *arg)
{
    struct sweep *sweep = arg;
    pthread_mutex_lock(&sweep->mutex);
    sweep->has_room = true;
    pthread_cond_broadcast(&sweep->wake);
    pthread_mutex_unlock(&sweep->mutex);
}

static void *run_sweep(void *arg)
{
    struct sweep *sweep = arg;
    bool starting = true; /* with a configuration that may have other budgets */
    do {
        wake_those_due(sweep->gate, starting);
        starting = false;
        hand_out(sweep);
        if (clock_now_ms() - sweep->tidied_ms >= TIDY_EVERY_MS) {
            tidy(sweep);
            /* Not at the start, when there is other work to be caught up with. */
            if (sweep->tidied_ms != 0)
                retain_run(sweep->gate, RETAIN_BATCHES);
            sweep->tidied_ms = clock_now_ms();
        }
        tell_counts(sweep);
    } while (wait_for_turn(sweep, &sweep->has_room));
    tell_counts(sweep);
    return NULL;
}

static void join_pool(struct gate *gate, bool starting)
{
    if (redeliver_is_wanted(gate->config))
        pace_join(gate, PACE_REDELIVER, starting);
    if (reconcile_is_wanted(gate->config))
        pace_join(gate, PACE_RECONCILE, starting);
}

static void *run_catch_up(void *arg)
{
    struct sweep *sweep = arg;
    struct err err = {0};
    struct worker worker;
    if (worker_open(&worker, sweep->gate, &err) != ERR_OK) {
        log_error("the thread that catches up cannot start", LOG_STR("error", err.text));
        worker_close(&worker);
        return NULL;
    }
    /* It only reads, or asks for what may be asked for twice: a call need not be waited for. */
    http_stop_when(worker.http, &sweep->gate->stopping);
    for (bool starting = true; starting || wait_for_turn(sweep, NULL); starting = false) {
        join_pool(sweep->gate, starting);
        sweep_catch_up(&worker);
    }
    worker_close(&worker);
    return NULL;
}

static int start_threads(struct sweep *sweep)
{
    const struct config *config = sweep->gate->config;
    int code = pthread_create(&sweep->thread, NULL, run_sweep, sweep);
    if (code != 0 || !(redeliver_is_wanted(config) || reconcile_is_wanted(config)))
        return code;
    code = pthread_create(&sweep->catch_up_thread, NULL, run_catch_up, sweep);
    sweep->catches_up = code == 0;
    /* The gate works without: said, and not a reason to refuse deliveries. */
    if (code != 0)
        log_error("the thread that catches up cannot start", LOG_STR("error", strerror(code)));
    return 0;
}

enum err_code sweep_open(struct sweep **out, struct gate *gate, struct crew *crew, int interval_s,
                         struct err *err)
{
    struct sweep *sweep = mem_alloc(sizeof *sweep);
    *sweep = (struct sweep){.gate = gate, .crew = crew, .interval_s = interval_s};
    pthread_mutex_init(&sweep->mutex, NULL);
    pthread_cond_init(&sweep->wake, NULL);
    int code = start_threads(sweep);
    if (code != 0) {
        free(sweep);
        return err_set(err, ERR_FATAL, code, "cannot start the sweeper: %s", strerror(code));
    }
    crew_on_room(crew, on_room, sweep);
    *out = sweep;
    return ERR_OK;
}

void sweep_close(struct sweep *sweep)
{
    if (sweep == NULL)
        return;
    crew_on_room(sweep->crew, NULL, NULL);
    pthread_mutex_lock(&sweep->mutex);
    sweep->closing = true;
    pthread_cond_broadcast(&sweep->wake);
    pthread_mutex_unlock(&sweep->mutex);
    pthread_join(sweep->thread, NULL);
    if (sweep->catches_up)
        pthread_join(sweep->catch_up_thread, NULL);
    pthread_cond_destroy(&sweep->wake);
    pthread_mutex_destroy(&sweep->mutex);
    free(sweep);
}
