/*
 * Fibers: whose turn it is, what each keeps to itself, and what must not be held while waiting.
 */
#include "check.h"

#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "prgate/clock.h"
#include "prgate/fiber.h"
#include "prgate/log.h"

enum { MANY = 300 };

/* What the fibers of a test did, in order. */
struct diary {
    char text[512];
    struct fiber *fibers[8];
};

struct part {
    struct diary *diary;
    char name;
};

static void note(struct diary *diary, char name, char what)
{
    size_t len = strlen(diary->text);
    snprintf(diary->text + len, sizeof diary->text - len, "%c%c ", name, what);
}

static void start(struct fibers *fibers, fiber_fn *fn, void *arg)
{
    struct err err = {0};
    if (fibers_start(fibers, fn, arg, &err) != ERR_OK)
        fail_msg("start: %s", err.text);
}

static void wait_twice(void *arg)
{
    struct part *part = arg;
    part->diary->fibers[part->name - 'a'] = fiber_self();
    for (char i = '1'; i <= '2'; i++) {
        note(part->diary, part->name, i);
        fiber_wait();
    }
    note(part->diary, part->name, '3');
}

static void test_turns(void **state)
{
    (void)state;
    struct diary diary = {.text = ""};
    struct part a = {&diary, 'a'}, b = {&diary, 'b'}, c = {&diary, 'c'};
    struct fibers *fibers = fibers_new();
    check_u64("none", "ready", fibers_ready(fibers), 0);
    start(fibers, wait_twice, &a);
    start(fibers, wait_twice, &b);
    check_u64("both", "ready", fibers_ready(fibers), 2);
    check_str("before the first run", "diary", diary.text, "");
    check_int("all", "wait", fibers_run(fibers), -1);
    check_str("until they wait", "diary", diary.text, "a1 b1 ");
    check_u64("both wait", "ready", fibers_ready(fibers), 0);
    fibers_run(fibers);
    check_str("nobody is woken", "diary", diary.text, "a1 b1 ");
    fiber_wake(diary.fibers[1]);
    fiber_wake(diary.fibers[0]);
    fiber_wake(diary.fibers[1]); /* once more: it has its turn already */
    start(fibers, wait_twice, &c);
    check_u64("two woken, one new", "ready", fibers_ready(fibers), 3);
    fibers_run(fibers);
    check_str("in the order of waking", "diary", diary.text, "a1 b1 b2 a2 c1 ");
    fiber_wake(diary.fibers[0]);
    fibers_run(fibers);
    check_int("one has ended", "count", (int64_t)fibers_count(fibers), 2);
    for (int i = 0; i < 3 && fibers_count(fibers) > 0; i++) {
        fiber_wake(diary.fibers[1]);
        fiber_wake(diary.fibers[2]);
        fibers_run(fibers);
    }
    check_str("all have", "diary", diary.text, "a1 b1 b2 a2 c1 a3 b3 c2 c3 ");
    check_int("all have", "count", (int64_t)fibers_count(fibers), 0);
    fibers_free(fibers);
}

static void test_step_is_one_turn(void **state)
{
    (void)state;
    struct diary diary = {.text = ""};
    struct part parts[] = {{&diary, 'a'}, {&diary, 'b'}};
    struct fibers *fibers = fibers_new();
    check_int("nobody", "wait", fibers_step(fibers), -1);
    for (int i = 0; i < 2; i++)
        start(fibers, wait_twice, &parts[i]);
    check_int("one is left", "wait", fibers_step(fibers), 0);
    check_str("one", "diary", diary.text, "a1 ");
    check_int("none is left", "wait", fibers_step(fibers), -1);
    check_str("both", "diary", diary.text, "a1 b1 ");
    for (int turns = 0; turns < 4; turns++) {
        fiber_wake(diary.fibers[turns % 2]);
        fibers_step(fibers);
    }
    check_str("to their end", "diary", diary.text, "a1 b1 a2 b2 a3 b3 ");
    check_int("all", "count", (int64_t)fibers_count(fibers), 0);
    fibers_free(fibers);
}

static void test_outside(void **state)
{
    (void)state;
    assert_null(fiber_self());
    struct fibers *fibers = fibers_new();
    assert_null(fiber_self());
    int64_t start_ms = clock_monotonic_ms();
    fiber_sleep_ms(2);
    assert_true(clock_monotonic_ms() - start_ms >= 1);
    fibers_free(fibers);
    fibers_free(NULL);
}

/* ---- sleeping ---- */

struct sleeper {
    struct diary *diary;
    int ms;
    char name;
};

static void sleep_once(void *arg)
{
    struct sleeper *sleeper = arg;
    fiber_sleep_ms(sleeper->ms);
    note(sleeper->diary, sleeper->name, '!');
}

static void test_sleep(void **state)
{
    (void)state;
    struct diary diary = {.text = ""};
    struct sleeper late = {&diary, 60, 'l'}, soon = {&diary, 20, 's'}, at_once = {&diary, 0, 'o'};
    struct fibers *fibers = fibers_new();
    start(fibers, sleep_once, &late);
    start(fibers, sleep_once, &soon);
    start(fibers, sleep_once, &at_once);
    check_int("one can go on", "wait", fibers_run(fibers), 0);
    for (int wait_ms = 0; wait_ms >= 0; wait_ms = fibers_run(fibers)) {
        assert_in_range(wait_ms, 0, 60);
        fiber_sleep_ms(wait_ms);
    }
    check_str("by time", "diary", diary.text, "o! s! l! ");
    check_int("all", "count", (int64_t)fibers_count(fibers), 0);
    fibers_free(fibers);
}

/* ---- what is one fiber's own ---- */

static void keep_about(void *arg)
{
    struct part *part = arg;
    char name[] = {part->name, '\0'}, about[LOG_ABOUT_SIZE];
    part->diary->fibers[part->name - 'a'] = fiber_self();
    log_get_about(about);
    check_str("a new fiber", "about", about, "");
    log_about(name);
    fiber_wait();
    log_get_about(about);
    check_str("after others", "about", about, name);
}

static void test_log_line_is_about_the_fibers_delivery(void **state)
{
    (void)state;
    struct diary diary = {.text = ""};
    struct part parts[] = {{&diary, 'a'}, {&diary, 'b'}};
    char about[LOG_ABOUT_SIZE];
    struct fibers *fibers = fibers_new();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2; i++)
            start(fibers, keep_about, &parts[i]);
        fibers_run(fibers);
        for (int i = 0; i < 2; i++)
            fiber_wake(diary.fibers[i]);
        fibers_run(fibers);
        log_get_about(about);
        check_str("the thread itself", "about", about, "");
    }
    fibers_free(fibers);
}

struct adder {
    struct fiber *fiber;
    int number;
    int64_t sum;
    bool done;
};

/* Numbers on the stack, in registers, and in floating point, over many turns of others. */
static void add_up(void *arg)
{
    struct adder *adder = arg;
    volatile char bulk[4096];
    double halves = 0;
    adder->fiber = fiber_self();
    for (size_t i = 0; i < sizeof bulk; i++)
        bulk[i] = (char)adder->number;
    for (int i = 0; i < 20; i++) {
        halves += adder->number / 2.0;
        fiber_wait();
    }
    for (size_t i = 0; i < sizeof bulk; i++)
        adder->sum += bulk[i] == (char)adder->number;
    adder->sum += (int64_t)(halves * 2);
    adder->done = true;
}

static void test_many(void **state)
{
    (void)state;
    static struct adder adders[MANY];
    struct fibers *fibers = fibers_new();
    for (int round = 0; round < 3; round++) { /* from the second on with stacks that were used before */
        for (int i = 0; i < MANY; i++) {
            adders[i] = (struct adder){.number = i};
            start(fibers, add_up, &adders[i]);
        }
        for (fibers_run(fibers); fibers_count(fibers) > 0; fibers_run(fibers))
            for (int i = 0; i < MANY; i++)
                if (!adders[i].done)
                    fiber_wake(adders[i].fiber);
        for (int i = 0; i < MANY; i++)
            check_int("sum", "of one", adders[i].sum, 4096 + 20 * i);
    }
    fibers_free(fibers);
}

/* Each frame is used after the one below it is gone: no compiler makes a loop of this. */
static int dig(int depth, volatile char *above)
{
    volatile char bulk[1024];
    bulk[0] = bulk[sizeof bulk - 1] = (char)depth;
    int below = depth == 0 ? 0 : dig(depth - 1, bulk);
    above[0]++;
    return below + (bulk[sizeof bulk - 1] == (char)depth);
}

static void dig_deep(void *arg)
{
    volatile char top[1] = {0};
    *(int *)arg = dig(*(int *)arg, top);
}

static void test_deep_stack(void **state)
{
    (void)state;
    int depth = 200;
    struct fibers *fibers = fibers_new();
    start(fibers, dig_deep, &depth);
    fibers_run(fibers);
    check_int("all the way", "frames", depth, 201);
    fibers_free(fibers);
}

/* ---- what ends the process ---- */

/* One that went deep, and then waits near the top of its stack. */
struct diver {
    struct fiber *fiber;
    char *deepest;
    bool came_back;
};

static __attribute__((noinline)) int dive(struct diver *diver, int levels)
{
    volatile char room[1024];
    room[0] = room[sizeof room - 1] = (char)levels;
    diver->deepest = __builtin_frame_address(0);
    int below = levels == 0 ? 0 : dive(diver, levels - 1);
    return below + room[levels % 2 == 0 ? 0 : sizeof room - 1];
}

static void dive_and_wait(void *arg)
{
    struct diver *diver = arg;
    int sum = dive(diver, 50);
    diver->fiber = fiber_self();
    fiber_wait();
    diver->came_back = sum == 50 * 51 / 2;
}

static bool is_memory(char *address)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char resident = 0;
    char *start = address - (uintptr_t)address % page;
    if (mincore(start, page, &resident) != 0)
        fail_msg("mincore fails");
    return (resident & 1) != 0;
}

static void test_many_that_wait_hold_what_they_use_of_their_stacks(void **state)
{
    (void)state;
    enum { FEW = 8, DIVERS = 20 };
    struct diver divers[DIVERS] = {{.fiber = NULL}};
    struct fibers *fibers = fibers_new();
    for (int i = 0; i < FEW; i++)
        start(fibers, dive_and_wait, &divers[i]);
    fibers_run(fibers);
    for (int i = 0; i < FEW; i++)
        check_bool("few", "the stack is kept", is_memory(divers[i].deepest), true);
    for (int i = FEW; i < DIVERS; i++)
        start(fibers, dive_and_wait, &divers[i]);
    fibers_run(fibers);
    for (int i = FEW; i < DIVERS; i++)
        check_bool("many", "the stack is kept", is_memory(divers[i].deepest), false);
    for (int i = 0; i < DIVERS; i++)
        fiber_wake(divers[i].fiber);
    fibers_run(fibers);
    for (int i = 0; i < DIVERS; i++)
        check_bool("diver", "came back", divers[i].came_back, true);
    check_u64("all", "left", fibers_count(fibers), 0);
    fibers_free(fibers);
}

static void wait_while_holding(void *arg)
{
    (void)arg;
    fiber_hold();
    fiber_hold();
    fiber_release();
    fiber_wait();
}

static void wait_after_releasing(void *arg)
{
    *(struct fiber **)arg = fiber_self();
    fiber_hold();
    fiber_release();
    fiber_wait();
}

static void end_while_holding(void *arg)
{
    (void)arg;
    fiber_hold();
}

static void overflow(void *arg)
{
    (void)arg;
    volatile char top[1] = {0};
    dig(FIBER_STACK_SIZE / 1024 + 16, top);
}

/* The signal that ended a process in which `fn` ran in a fiber; 0: it went on. */
static int how_it_ends(fiber_fn *fn)
{
    int status;
    struct fiber *fiber = NULL;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        log_setup(LOG_LEVEL_PANIC, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        close(STDERR_FILENO);
        struct fibers *fibers = fibers_new();
        start(fibers, fn, &fiber);
        fibers_run(fibers);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_holding_forbids_waiting(void **state)
{
    (void)state;
    check_int("held", "signal", how_it_ends(wait_while_holding), SIGABRT);
    check_int("released", "signal", how_it_ends(wait_after_releasing), 0);
    check_int("held to the end", "signal", how_it_ends(end_while_holding), SIGABRT);
}

static void test_overflow_meets_a_guard(void **state)
{
    (void)state;
    check_int("too deep", "signal", how_it_ends(overflow), SIGSEGV);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_step_is_one_turn),
        cmocka_unit_test(test_outside),
        cmocka_unit_test(test_sleep),
        cmocka_unit_test(test_log_line_is_about_the_fibers_delivery),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_deep_stack),
        cmocka_unit_test(test_many_that_wait_hold_what_they_use_of_their_stacks),
        cmocka_unit_test(test_holding_forbids_waiting),
        cmocka_unit_test(test_overflow_meets_a_guard),
    };
    return cmocka_run_group_tests_name("fiber", tests, NULL, NULL);
}
