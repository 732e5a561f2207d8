/*
 * The thread's own stack is the scheduler's: each switch leads from there to a fiber, or back.
 *
 *     IDLE --fibers_start()--> READY --fibers_run()--> RUNNING --fn returns--> IDLE
 *                                ^                        |
 *                                +-- fiber_wake() ----- WAITING
 *                                +-- its time comes --- ASLEEP
 *
 * Stacks are kept for the next fiber. Those beyond a few give their memory back and keep the addresses.
 *
 * Sanitizers and valgrind take a stack pointer that jumps for a mistake, so each of them is told.
 */
#include "prgate/fiber.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "prgate/buf.h"
#include "prgate/clock.h"
#include "prgate/log.h"

#if defined __has_feature
#if __has_feature(address_sanitizer)
#define FIBER_ASAN
#endif
#if __has_feature(thread_sanitizer)
#define FIBER_TSAN
#endif
#endif
#if defined __SANITIZE_ADDRESS__ && !defined FIBER_ASAN
#define FIBER_ASAN
#endif
#if defined __SANITIZE_THREAD__ && !defined FIBER_TSAN
#define FIBER_TSAN
#endif

#ifdef FIBER_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef FIBER_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if defined __has_include
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif
#endif

enum { KEPT_WARM = 8 }; /* idle stacks that keep their memory */

enum fiber_state { FIBER_IDLE, FIBER_READY, FIBER_RUNNING, FIBER_WAITING, FIBER_ASLEEP };

/* Where execution goes on, and what the tools want to know of it. */
struct place {
    ucontext_t context;
    void *asan_frames;  /* its fake stack while another place is executed */
    const void *bottom; /* of its stack */
    size_t size;
    void *tsan;
};

struct fiber {
    struct fibers *home;
    enum fiber_state state;
    struct place place;
    char *mapping; /* a page that cannot be touched, and the stack behind it */
    unsigned valgrind_id;
    fiber_fn *fn;
    void *arg;
    int64_t wakes_ms;   /* ASLEEP: until then */
    struct fiber *next; /* in the one list that its state has */
    char about[LOG_ABOUT_SIZE];
};

struct list {
    struct fiber *first, **end;
};

struct fibers {
    struct place scheduler;
    struct fiber *running;
    struct list ready;
    size_t ready_count;
    struct fiber *asleep;
    struct fiber *idle;
    size_t idle_count;
    size_t count; /* neither idle nor ended */
};

/* A fiber must find its way back to the thread that runs it, and swapcontext() hands nothing on. */
static _Thread_local struct fibers *here;
static _Thread_local unsigned holds;

/* ---- switching ---- */

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* From here on the tools count what is executed as `to`'s. `ends`: `from` is never to be executed again. */
static void tell_switch(struct place *from, const struct place *to, bool ends)
{
    (void)from;
    (void)to;
    (void)ends;
#ifdef FIBER_ASAN
    __sanitizer_start_switch_fiber(ends ? NULL : &from->asan_frames, to->bottom, to->size);
#endif
#ifdef FIBER_TSAN
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
}

/* `at` is executed now; `from` was before, and its stack is learnt in passing. */
static void tell_arrival(struct place *at, struct place *from)
{
    (void)at;
    (void)from;
#ifdef FIBER_ASAN
    __sanitizer_finish_switch_fiber(at->asan_frames, &from->bottom, &from->size);
    at->asan_frames = NULL;
#endif
}

static void go(struct place *from, struct place *to)
{
    tell_switch(from, to, false);
    if (swapcontext(&from->context, &to->context) != 0)
        log_panic("a fiber cannot be switched to");
    tell_arrival(from, to);
}

static void run_fiber(struct fibers *fibers, struct fiber *fiber)
{
    fibers->running = fiber;
    fiber->state = FIBER_RUNNING;
    log_about(fiber->about);
    go(&fibers->scheduler, &fiber->place);
    fibers->running = NULL;
    log_about(NULL);
}

/*
 * The store and the parser of JSON go deeper than what waits for GitHub. While many wait, what they leave behind below the
 * stack pointer is a page or two of each. The margin is for this function and madvise().
 */
static void give_back_below(const struct fiber *fiber)
{
    enum { MARGIN = 1024 };
    char *bottom = fiber->mapping + page_size();
    size_t left = (size_t)((char *)__builtin_frame_address(0) - bottom);
    if (left > MARGIN)
        (void)madvise(bottom, (left - MARGIN) / page_size() * page_size(), MADV_DONTNEED);
}

static void leave(struct fiber *fiber, enum fiber_state state)
{
    struct fibers *fibers = fiber->home;
    if (holds > 0)
        log_panic("a fiber waits while it holds a transaction or a lock");
    fiber->state = state;
    log_get_about(fiber->about);
    if (fibers->count > KEPT_WARM)
        give_back_below(fiber);
    go(&fiber->place, &fibers->scheduler);
}

/* The first and last frame of each fiber's stack. */
static void begin(void)
{
    struct fibers *fibers = here;
    struct fiber *fiber = fibers->running;
    tell_arrival(&fiber->place, &fibers->scheduler);
    fiber->fn(fiber->arg);
    if (holds > 0)
        log_panic("a fiber ends while it holds a transaction or a lock");
    fiber->state = FIBER_IDLE;
    tell_switch(&fiber->place, &fibers->scheduler, true);
    setcontext(&fibers->scheduler.context);
}

/* ---- stacks ---- */

static struct fiber *make_fiber(struct fibers *fibers, struct err *err)
{
    size_t guard = page_size();
    char *mapping = mmap(NULL, guard + FIBER_STACK_SIZE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (mapping == MAP_FAILED || mprotect(mapping, guard, PROT_NONE) != 0) {
        int number = errno;
        if (mapping != MAP_FAILED)
            munmap(mapping, guard + FIBER_STACK_SIZE);
        err_set(err, ERR_RETRY, number, "no stack for another task: %s", strerror(number));
        return NULL;
    }
    struct fiber *fiber = mem_alloc(sizeof *fiber);
    *fiber = (struct fiber){.home = fibers, .mapping = mapping};
    fiber->place.bottom = mapping + guard;
    fiber->place.size = FIBER_STACK_SIZE;
#ifdef VALGRIND_STACK_REGISTER
    fiber->valgrind_id = VALGRIND_STACK_REGISTER(mapping + guard, mapping + guard + FIBER_STACK_SIZE);
#endif
    return fiber;
}

static void free_fiber(struct fiber *fiber)
{
#ifdef VALGRIND_STACK_DEREGISTER
    VALGRIND_STACK_DEREGISTER(fiber->valgrind_id);
#endif
#ifdef FIBER_ASAN
    __asan_unpoison_memory_region(fiber->place.bottom, fiber->place.size);
#endif
    munmap(fiber->mapping, page_size() + FIBER_STACK_SIZE);
    free(fiber);
}

/* Its end leaves frames behind that nobody returned from. */
static void set_out(struct fiber *fiber)
{
    struct place *place = &fiber->place;
#ifdef FIBER_ASAN
    __asan_unpoison_memory_region(place->bottom, place->size);
#endif
#ifdef FIBER_TSAN
    place->tsan = __tsan_create_fiber(0);
#endif
    if (getcontext(&place->context) != 0)
        log_panic("a fiber cannot be set up");
    place->context.uc_stack.ss_sp = fiber->mapping + page_size();
    place->context.uc_stack.ss_size = FIBER_STACK_SIZE;
    place->context.uc_link = NULL;
    makecontext(&place->context, begin, 0);
}

static void put_away(struct fibers *fibers, struct fiber *fiber)
{
#ifdef FIBER_TSAN
    __tsan_destroy_fiber(fiber->place.tsan);
#endif
    if (fibers->idle_count >= KEPT_WARM)
        madvise(fiber->mapping + page_size(), FIBER_STACK_SIZE, MADV_DONTNEED);
    fiber->next = fibers->idle;
    fibers->idle = fiber;
    fibers->idle_count++;
    fibers->count--;
}

/* ---- lists ---- */

static void make_ready(struct fibers *fibers, struct fiber *fiber)
{
    fiber->state = FIBER_READY;
    fiber->next = NULL;
    *fibers->ready.end = fiber;
    fibers->ready.end = &fiber->next;
    fibers->ready_count++;
}

static struct fiber *take_ready(struct fibers *fibers)
{
    struct fiber *first = fibers->ready.first;
    if (first == NULL)
        return NULL;
    fibers->ready.first = first->next;
    if (fibers->ready.first == NULL)
        fibers->ready.end = &fibers->ready.first;
    fibers->ready_count--;
    return first;
}

/* Those whose time has come become ready. Returns how long the next one still sleeps; -1: none does. */
static int rouse(struct fibers *fibers)
{
    int64_t now = clock_monotonic_ms(), next = INT64_MAX;
    struct fiber **at = &fibers->asleep;
    while (*at != NULL) {
        struct fiber *fiber = *at;
        if (fiber->wakes_ms <= now) {
            *at = fiber->next;
            make_ready(fibers, fiber);
            continue;
        }
        if (fiber->wakes_ms < next)
            next = fiber->wakes_ms;
        at = &fiber->next;
    }
    return next == INT64_MAX ? -1 : (int)(next - now);
}

/* ---- the thread's side ---- */

struct fibers *fibers_new(void)
{
    if (here != NULL)
        log_panic("a thread has one set of fibers");
    struct fibers *fibers = mem_alloc(sizeof *fibers);
    *fibers = (struct fibers){0};
    fibers->ready.end = &fibers->ready.first;
#ifdef FIBER_TSAN
    fibers->scheduler.tsan = __tsan_get_current_fiber();
#endif
    here = fibers;
    return fibers;
}

void fibers_free(struct fibers *fibers)
{
    if (fibers == NULL)
        return;
    if (fibers->count > 0)
        log_panic("fibers are given up that have not ended");
    while (fibers->idle != NULL) {
        struct fiber *fiber = fibers->idle;
        fibers->idle = fiber->next;
        free_fiber(fiber);
    }
    free(fibers);
    here = NULL;
}

enum err_code fibers_start(struct fibers *fibers, fiber_fn *fn, void *arg, struct err *err)
{
    struct fiber *fiber = fibers->idle;
    if (fiber != NULL) {
        fibers->idle = fiber->next;
        fibers->idle_count--;
    } else {
        fiber = make_fiber(fibers, err);
    }
    if (fiber == NULL)
        return ERR_RETRY;
    fiber->fn = fn;
    fiber->arg = arg;
    fiber->about[0] = '\0';
    set_out(fiber);
    fibers->count++;
    make_ready(fibers, fiber);
    return ERR_OK;
}

int fibers_step(struct fibers *fibers)
{
    rouse(fibers);
    struct fiber *fiber = take_ready(fibers);
    if (fiber != NULL) {
        run_fiber(fibers, fiber);
        if (fiber->state == FIBER_IDLE)
            put_away(fibers, fiber);
    }
    int wait_ms = rouse(fibers);
    return fibers->ready.first != NULL ? 0 : wait_ms;
}

int fibers_run(struct fibers *fibers)
{
    rouse(fibers);
    size_t turns = fibers->ready_count;
    int wait_ms = fibers_step(fibers);
    while (turns-- > 1)
        wait_ms = fibers_step(fibers);
    return wait_ms;
}

size_t fibers_count(const struct fibers *fibers)
{
    return fibers->count;
}

size_t fibers_ready(const struct fibers *fibers)
{
    return fibers->ready_count;
}

/* ---- the fiber's side ---- */

struct fiber *fiber_self(void)
{
    return here == NULL ? NULL : here->running;
}

void fiber_wait(void)
{
    struct fiber *self = fiber_self();
    if (self != NULL)
        leave(self, FIBER_WAITING);
    else
        log_panic("only a fiber waits for a fiber's turn");
}

void fiber_wake(struct fiber *fiber)
{
    if (fiber->state == FIBER_WAITING)
        make_ready(fiber->home, fiber);
}

void fiber_sleep_ms(int ms)
{
    struct fiber *self = fiber_self();
    if (self == NULL) {
        struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
        nanosleep(&wait, NULL);
        return;
    }
    self->wakes_ms = clock_monotonic_ms() + ms;
    self->next = self->home->asleep;
    self->home->asleep = self;
    leave(self, FIBER_ASLEEP);
}

void fiber_hold(void)
{
    holds++;
}

void fiber_release(void)
{
    holds--;
}
