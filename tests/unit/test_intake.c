/*
 * Whoever brings a job while another thread is at the store need not wait; all that came meanwhile shares a sync, and
 * nobody hears of it before.
 */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fixture.h"
#include "prgate/intake.h"

enum { MANY = INTAKE_MAX + 1 };

/* ---- in the place of libc's --------------------------------------------------------- */

static atomic_int syncs;
static atomic_bool hold; /* calls wait while this is set... */
static atomic_bool held; /* ... and one does */

int fdatasync(int fd)
{
    while (atomic_load(&hold)) {
        atomic_store(&held, true);
        sched_yield();
    }
    int code = (int)syscall(SYS_fdatasync, fd);
    atomic_fetch_add(&syncs, 1);
    return code;
}

/* ---- an intake, and what is brought to it --------------------------------------------- */

struct place {
    char dir[32];
    struct store *store;
    struct intake intake;
    atomic_int over; /* errands */
};

struct errand {
    struct store_job job;
    struct place *place;
    enum store_table table;
    char key[16];
    atomic_int runs, dones;
    int nth;         /* of those that are over */
    int syncs;       /* before it was over */
    pthread_t ended; /* by this thread */
    void (*then)(struct errand *errand);
};

static void end(struct store_job *job)
{
    struct errand *errand = job->owner;
    errand->nth = atomic_fetch_add(&errand->place->over, 1) + 1;
    errand->syncs = atomic_load(&syncs);
    errand->ended = pthread_self();
    atomic_fetch_add(&errand->dones, 1);
    if (errand->then != NULL)
        errand->then(errand);
}

static void place_open(struct place *place)
{
    struct err err = {0};
    *place = (struct place){.dir = "/tmp/prgate-unit-XXXXXX"};
    assert_non_null(mkdtemp(place->dir));
    log_setup(LOG_LEVEL_PANIC, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    assert_int_equal(store_open(&place->store, place->dir, &err), ERR_OK);
    intake_init(&place->intake, place->store, end);
    atomic_store(&syncs, 0);
    atomic_store(&held, false);
}

static void place_close(struct place *place)
{
    assert_null(place->intake.first);
    assert_false(place->intake.attended);
    intake_release(&place->intake);
    store_close(place->store);
    nftw(place->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct bytes text(const char *s)
{
    return (struct bytes){.data = s, .len = strlen(s)};
}

static enum err_code put_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct errand *errand = arg;
    atomic_fetch_add(&errand->runs, 1);
    return store_put(txn, errand->table, text(errand->key), text("value"), err);
}

static void prepare(struct errand *errand, struct place *place, int number)
{
    *errand = (struct errand){.place = place, .table = TABLE_NAME};
    snprintf(errand->key, sizeof errand->key, "key %d", number);
    errand->job = (struct store_job){.body = put_body, .arg = errand, .owner = errand};
}

static bool bring(struct errand *errand)
{
    return intake_take(&errand->place->intake, &errand->job);
}

static enum err_code find_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct errand *errand = arg;
    struct buf value;
    buf_init(&value);
    enum err_code code = store_get(txn, errand->table, text(errand->key), STORE_READ, &value, err);
    buf_release(&value);
    return code;
}

static void check_done(struct errand *errand, struct place *place)
{
    check_int(errand->key, "times over", atomic_load(&errand->dones), 1);
    check_str(errand->key, "code", err_code_name(errand->job.code), "ok");
    check_str(errand->key, "stored", err_code_name(store_txn(place->store, find_body, errand, NULL)), "ok");
}

/* ---- one after the other ----------------------------------------------------------------- */

static void test_who_finds_nobody_does_it_himself(void **state)
{
    (void)state;
    struct place place;
    struct errand errands[2];
    place_open(&place);
    for (int i = 0; i < 2; i++) {
        prepare(&errands[i], &place, i);
        assert_true(bring(&errands[i]));
        check_int(errands[i].key, "times over", atomic_load(&errands[i].dones), 1);
        check_int(errands[i].key, "syncs before", errands[i].syncs, i + 1);
        check_done(&errands[i], &place);
    }
    place_close(&place);
}

/* ---- while somebody is at the store -------------------------------------------------------- */

static void *bring_one(void *arg)
{
    return bring(arg) ? NULL : arg;
}

/* In the order they came, STORE_JOBS_MAX to a sync, by the thread that is there; one too many is refused. */
static void test_who_finds_somebody_leaves_it_there(void **state)
{
    (void)state;
    struct place place;
    struct errand first, *left = calloc(MANY, sizeof *left);
    pthread_t thread;
    void *refused;
    assert_non_null(left);
    place_open(&place);
    prepare(&first, &place, 100);
    atomic_store(&hold, true);
    assert_int_equal(pthread_create(&thread, NULL, bring_one, &first), 0);
    while (!atomic_load(&held))
        sched_yield();
    for (int i = 0; i < MANY; i++) {
        prepare(&left[i], &place, i);
        check_bool(left[i].key, "taken", bring(&left[i]), i < INTAKE_MAX);
        check_int(left[i].key, "times over, while the disk is slow", atomic_load(&left[i].dones), 0);
    }
    check_int("the first", "times over, while the disk is slow", atomic_load(&first.dones), 0);
    atomic_store(&hold, false);
    pthread_join(thread, &refused);
    assert_null(refused);
    check_done(&first, &place);
    check_int("the first", "syncs before", first.syncs, 1);
    for (int i = 0; i < INTAKE_MAX; i++) {
        check_done(&left[i], &place);
        check_int(left[i].key, "place", left[i].nth, i + 2);
        check_int(left[i].key, "syncs before", left[i].syncs, 2 + i / STORE_JOBS_MAX);
        check_bool(left[i].key, "by the thread that is there", pthread_equal(left[i].ended, first.ended) != 0,
                   true);
    }
    check_int("one too many", "runs", atomic_load(&left[INTAKE_MAX].runs), 0);
    check_int("one too many", "times over", atomic_load(&left[INTAKE_MAX].dones), 0);
    place_close(&place);
    free(left);
}

/* The store is held up: others of the pool may be better off. */
static void test_who_comes_late_to_a_slow_store_is_refused(void **state)
{
    (void)state;
    struct place place;
    struct errand first, left, late;
    const struct timespec pause = {.tv_sec = 1, .tv_nsec = 100000000};
    pthread_t thread;
    void *refused;
    place_open(&place);
    prepare(&first, &place, 0);
    prepare(&left, &place, 1);
    prepare(&late, &place, 2);
    atomic_store(&hold, true);
    assert_int_equal(pthread_create(&thread, NULL, bring_one, &first), 0);
    while (!atomic_load(&held))
        sched_yield();
    assert_true(bring(&left));
    nanosleep(&pause, NULL);
    check_bool(late.key, "taken", bring(&late), false);
    atomic_store(&hold, false);
    pthread_join(thread, &refused);
    assert_null(refused);
    check_done(&first, &place);
    check_done(&left, &place);
    check_int(late.key, "runs", atomic_load(&late.runs), 0);
    assert_true(bring(&late));
    check_done(&late, &place);
    place_close(&place);
}

/* ---- those that need longer ------------------------------------------------------------------ */

/* Another handle's, so that they meet: those of one are run in batches. */
struct obstacle {
    struct store *store;
    atomic_bool stands, may_go;
};

static struct obstacle obstacle;

static enum err_code stand_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    struct buf value;
    buf_init(&value);
    store_get(txn, TABLE_PR, text("key 1"), STORE_LOCK, &value, err);
    buf_release(&value);
    atomic_store(&obstacle.stands, true);
    while (!atomic_load(&obstacle.may_go))
        usleep(1000);
    return ERR_OK;
}

static void *stand(void *arg)
{
    return store_txn(obstacle.store, stand_body, NULL, NULL) == ERR_OK ? NULL : arg;
}

static void clear_the_way(struct errand *errand)
{
    (void)errand;
    atomic_store(&obstacle.may_go, true);
}

static struct errand *behind; /* brought by the first, all at once */

static void bring_those_behind(struct errand *errand)
{
    (void)errand;
    for (int i = 0; i < 3; i++)
        assert_true(bring(&behind[i]));
}

static enum err_code refuse_body(struct store_txn *txn, void *arg, struct err *err)
{
    put_body(txn, arg, err);
    return err_set(err, ERR_CONFLICT, 7, "somebody was first");
}

static void test_those_that_are_over_do_not_wait_for_the_others(void **state)
{
    (void)state;
    struct place place;
    struct errand first, errands[3];
    struct err err = {0};
    pthread_t thread;
    void *failed;
    place_open(&place);
    behind = errands;
    prepare(&first, &place, 0);
    first.then = bring_those_behind;
    for (int i = 0; i < 3; i++)
        prepare(&errands[i], &place, i + 1);
    errands[0].table = TABLE_PR;
    errands[1].job.body = refuse_body;
    errands[2].then = clear_the_way;
    assert_int_equal(store_open(&obstacle.store, place.dir, &err), ERR_OK);
    assert_int_equal(pthread_create(&thread, NULL, stand, &obstacle), 0);
    while (!atomic_load(&obstacle.stands))
        usleep(1000);
    assert_true(bring(&first));
    pthread_join(thread, &failed);
    assert_null(failed);
    check_done(&errands[0], &place);
    check_done(&errands[2], &place);
    check_int("in the way", "place", errands[0].nth, 4);
    check_bool("in the way", "ran again", atomic_load(&errands[0].runs) > 1, true);
    check_int("not in the way", "runs", atomic_load(&errands[2].runs), 1);
    check_str("refused", "code", err_code_name(errands[1].job.code), "conflict");
    check_str("refused", "text", errands[1].job.err.text, "somebody was first");
    check_int("refused", "number", errands[1].job.err.number, 7);
    check_int("refused", "times over", atomic_load(&errands[1].dones), 1);
    check_str("refused", "stored", err_code_name(store_txn(place.store, find_body, &errands[1], &err)),
              "not_found");
    store_close(obstacle.store);
    place_close(&place);
}

/* Nothing is run where there is no store, and everybody hears of it. */
static void test_all_hear_of_it_when_the_directory_is_gone(void **state)
{
    (void)state;
    struct place place;
    struct errand errands[4];
    char from[64], to[64];
    place_open(&place);
    behind = errands + 1;
    for (int i = 0; i < 4; i++)
        prepare(&errands[i], &place, i);
    errands[0].then = bring_those_behind;
    snprintf(from, sizeof from, "%s/db", place.dir);
    snprintf(to, sizeof to, "%s/elsewhere", place.dir);
    assert_int_equal(rename(from, to), 0);
    assert_true(bring(&errands[0]));
    for (int i = 0; i < 4; i++) {
        check_int(errands[i].key, "times over", atomic_load(&errands[i].dones), 1);
        check_str(errands[i].key, "code", err_code_name(errands[i].job.code), "retry");
        check_contains(errands[i].key, "text", errands[i].job.err.text, "is gone");
    }
    assert_int_equal(rename(to, from), 0);
    place_close(&place);
}

/* ---- many threads ------------------------------------------------------------------------------- */

enum { THREADS = 8, EACH = 200 };

static void *bring_many(void *arg)
{
    struct errand *errands = arg;
    for (int i = 0; i < EACH; i++)
        while (!bring(&errands[i]))
            sched_yield();
    return NULL;
}

static void test_each_of_many_is_done_once(void **state)
{
    (void)state;
    struct place place;
    struct errand *errands = calloc((size_t)THREADS * EACH, sizeof *errands);
    pthread_t threads[THREADS];
    assert_non_null(errands);
    place_open(&place);
    for (int i = 0; i < THREADS * EACH; i++)
        prepare(&errands[i], &place, i);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, bring_many, errands + i * EACH), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS * EACH; i++)
        check_done(&errands[i], &place);
    check_int("all", "over", atomic_load(&place.over), THREADS * EACH);
    check_u64("all", "commits", store_get_stats(place.store).commits, (uint64_t)THREADS * EACH);
    place_close(&place);
    free(errands);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_finds_nobody_does_it_himself),
        cmocka_unit_test(test_who_finds_somebody_leaves_it_there),
        cmocka_unit_test(test_who_comes_late_to_a_slow_store_is_refused),
        cmocka_unit_test(test_those_that_are_over_do_not_wait_for_the_others),
        cmocka_unit_test(test_all_hear_of_it_when_the_directory_is_gone),
        cmocka_unit_test(test_each_of_many_is_done_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
