/*
 * fiber: tasks that take turns in one thread, so that many can wait without a thread each.
 *
 *     struct fibers *fibers = fibers_new();
 *     fibers_start(fibers, work, arg, &err);     runs work(arg) on a stack of its own
 *     while (fibers_count(fibers) > 0) {
 *         int wait_ms = fibers_run(fibers);      each that can go on, until it waits or ends
 *         ... wait for what they wait for, wait_ms at most; fiber_wake() those that have it
 *     }
 *     fibers_free(fibers);
 *
 * A fiber runs until it waits: nothing is ever taken from it. Until then no other fiber of the thread runs, so what
 * they share among themselves needs no lock. A lock, or a transaction, must not be held while waiting: the next fiber
 * of the same thread would wait for it for ever. fiber_hold() makes that a panic instead.
 *
 * A fiber stays in its thread. All functions are for that thread alone. A thread has one `struct fibers` at a time.
 */
#ifndef PRGATE_FIBER_H
#define PRGATE_FIBER_H

#include <stddef.h>

#include "prgate/err.h"

/*
 * What a fiber's stack may grow to; more ends the process by a page that cannot be touched. Only what is used of it
 * takes up memory. JSON that is nested as deep as cJSON allows takes the most.
 */
enum { FIBER_STACK_SIZE = 512 * 1024 };

struct fiber;
struct fibers;
typedef void fiber_fn(void *arg);

struct fibers *fibers_new(void);

/* None may be left that has not ended. NULL is allowed. */
void fibers_free(struct fibers *fibers);

/* It runs at the next fibers_run(). ERR_RETRY: there is no memory for its stack. */
enum err_code fibers_start(struct fibers *fibers, fiber_fn *fn, void *arg, struct err *err);

/*
 * Lets each fiber that can go on do so once. Returns for how many milliseconds none will be able to by
 * itself: 0 = one is already; -1 = none is asleep.
 */
int fibers_run(struct fibers *fibers);

/* The same, for the one of them whose turn it is: for whoever has to look at other things in between. */
int fibers_step(struct fibers *fibers);

/* How many have been started and have not ended. */
size_t fibers_count(const struct fibers *fibers);

/* How many of those can go on. */
size_t fibers_ready(const struct fibers *fibers);

/* ---- within a fiber ---- */

/* Which one is this? NULL: none. */
struct fiber *fiber_self(void);

/* Until fiber_wake(), which may be called for other reasons, too: look whether it is there, and wait again. */
void fiber_wait(void);
void fiber_wake(struct fiber *fiber);

/* Lets the others run meanwhile; without a fiber the thread sleeps. */
void fiber_sleep_ms(int ms);

/* From here to fiber_release() this thread holds something that forbids waiting: to do so is a panic. They nest. */
void fiber_hold(void);
void fiber_release(void);

#endif
