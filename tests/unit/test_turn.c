#include "check.h"

#include <ftw.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../core/turn.h"
#include "fixture.h"

enum { THREADS = 3, ROUNDS = 2000, FOREVER_MS = 600000 };

/* What only the turn protects. */
struct shared {
    unsigned long count;
};

static struct turn patient(const char *dir)
{
    struct turn turn;
    turn_init(&turn, dir);
    assert_non_null(turn.word);
    turn.patience_ms = FOREVER_MS;
    return turn;
}

struct counter {
    struct turn *turn;
    struct shared *shared;
};

static void *count(void *arg)
{
    struct counter *counter = arg;
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t mine = turn_take(counter->turn);
        unsigned long seen = counter->shared->count;
        if (i % 16 == 0)
            sched_yield(); /* let the others have a try */
        counter->shared->count = seen + 1;
        turn_pass(counter->turn, mine);
    }
    return NULL;
}

static void count_in_threads(const char *dir, struct shared *shared)
{
    struct turn turn = patient(dir);
    struct counter counter = {.turn = &turn, .shared = shared};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, &counter), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    turn_release(&turn);
}

static void test_one_at_a_time_in_all_threads_of_all_processes(void **state)
{
    (void)state;
    char dir[] = "/tmp/prgate-unit-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(shared, MAP_FAILED);
    pid_t child = fork();
    if (child == 0) {
        count_in_threads(dir, shared);
        _exit(0);
    }
    count_in_threads(dir, shared);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(shared->count, 2UL * THREADS * ROUNDS);
    munmap(shared, sizeof *shared);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* It would hang else. */
static void test_who_died_with_it_holds_nobody_up(void **state)
{
    (void)state;
    char dir[] = "/tmp/prgate-unit-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct turn turn = patient(dir);
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        turn_take(&turn);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_not_equal(atomic_load(turn.word), 0);
    turn.patience_ms = 1;
    uint32_t mine = turn_take(&turn);
    turn_pass(&turn, mine);
    assert_int_equal(atomic_load(turn.word), 0);
    turn_release(&turn);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void test_who_lost_it_meanwhile_passes_nothing(void **state)
{
    (void)state;
    char dir[] = "/tmp/prgate-unit-XXXXXX";
    assert_non_null(mkdtemp(dir));
    struct turn turn = patient(dir);
    turn.patience_ms = 0;
    uint32_t slow = turn_take(&turn);
    uint32_t next = turn_take(&turn);
    turn_pass(&turn, slow);
    assert_int_not_equal(atomic_load(turn.word), 0);
    turn_pass(&turn, next);
    assert_int_equal(atomic_load(turn.word), 0);
    turn_release(&turn);
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void test_without_a_file_nobody_waits(void **state)
{
    (void)state;
    struct turn turn;
    turn_init(&turn, "/nowhere/at/all");
    assert_null(turn.word);
    uint32_t mine = turn_take(&turn);
    turn_take(&turn);
    turn_pass(&turn, mine);
    turn_release(&turn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_at_a_time_in_all_threads_of_all_processes),
        cmocka_unit_test(test_who_died_with_it_holds_nobody_up),
        cmocka_unit_test(test_who_lost_it_meanwhile_passes_nothing),
        cmocka_unit_test(test_without_a_file_nobody_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
