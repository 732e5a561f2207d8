/*
 * fence: nobody recovers the store while another process has it open.
 *
 * A recovery replaces the regions that all processes share, reads the log to its end and goes on writing there. A
 * process that is still amid a commit then, with the old regions, would write to the log, too: what it acknowledges
 * is lost, and what others have written since is overwritten. So who recovers waits until all others have let go.
 *
 * The files, below STATE_DIR/db; locks are flock(2)'s, gone with the process that holds them:
 *   opening      locked by the one that is opening the environment
 *   use          locked shared by each that has it open, exclusively by the one that recovers
 *   user.ID      one for each that has it open, locked; one that is not locked is of a process that died meanwhile
 *   recovering   is there while somebody waits to recover: who has the environment open closes it and opens it anew
 *
 *     fence_lock() -> fence_someone_died() ? fence_enter_alone(), recover, fence_recovered() : fence_enter(), join
 *     -> fence_unlock() -> work -> close -> fence_leave()
 *
 * Berkeley DB's own way, DB_REGISTER, finds the dead, too, but does not wait for the living.
 */
#ifndef PRGATE_FENCE_H
#define PRGATE_FENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "prgate/buf.h"
#include "prgate/err.h"

struct fence {
    struct buf home;
    struct buf user;                 /* path of the own mark */
    int opening_fd, use_fd, user_fd; /* -1: not held */
};

/* `home` exists or not. Nothing is held. */
void fence_init(struct fence *fence, const char *home);
void fence_release(struct fence *fence);

/*
 * Waits until no other process is opening the environment, at most until this time of clock_monotonic_ms(), without
 * being idle for long: see the store's watchdog. ERR_RETRY: it took too long; else as store_fatal() says.
 */
enum err_code fence_lock(struct fence *fence, int64_t give_up_ms, struct err *err);
void fence_unlock(struct fence *fence);

/* All that follows: with fence_lock() held. */

/*
 * Somebody had the environment open and died: what he was amid is to be undone. A hint where fence_lock() is not held, as
 * by the watchdog: any thread, at any time.
 */
enum err_code fence_someone_died(struct fence *fence, bool *out, struct err *err);

/* To join those that have it open. A crash from here on is found by fence_someone_died(). */
enum err_code fence_enter(struct fence *fence, struct err *err);

/* To recover: waits until nobody else has it open. */
enum err_code fence_enter_alone(struct fence *fence, int64_t give_up_ms, struct err *err);

/* The store is whole again: the dead are forgotten, and the others may join. */
void fence_recovered(struct fence *fence);

/* The environment is closed, or was never opened. Without any lock. */
void fence_leave(struct fence *fence);

/* Is somebody waiting to recover? Any thread, at any time. */
bool fence_is_wanted(const char *home);

#endif
