/*
 * crew: a process's threads that work off pull requests, and the queue of those that it has claimed.
 *
 *     struct crew *crew;
 *     crew_open(&crew, gate, threads, pulls, &err);
 *     if (crew_hold_place(crew)) {
 *         ... claim a pull request
 *         crew_submit(crew, &pr, &claim, NULL);
 *         crew_free_place(crew);
 *     }
 *     crew_close(crew);
 *
 * Each thread has many pull requests in progress, each in a fiber: while one waits for GitHub the thread goes on with another.
 * So `pulls`, which bounds them, costs memory and connections, but no threads. Thread-safe.
 */
#ifndef PRGATE_CREW_H
#define PRGATE_CREW_H

#include <stdbool.h>

#include "prgate/gate.h"

struct briefing;

struct crew;

/* *out is yours to close, and is to be closed before the gate. */
enum err_code crew_open(struct crew **out, struct gate *gate, int threads, int pulls, struct err *err);

/* With gate->stopping set: waits until no call is under way and what is queued is given up. NULL is allowed. */
void crew_wait(struct crew *crew);

/*
 * Waits until all that was submitted is worked off. With gate->stopping set, that is after the step that each is at, and
 * what is queued is given up. NULL is allowed.
 */
void crew_close(struct crew *crew);

/*
 * May another pull request be claimed? Only one that can be worked on at once, so that none waits here while another
 * process of the pool has nothing to do. False also while stopping: what comes in is for whoever works next. True: its place
 * is kept until crew_free_place(), which is due behind crew_submit(), or when nothing was claimed.
 */
bool crew_hold_place(struct crew *crew);
void crew_free_place(struct crew *crew);

/* Takes the claim over. One for which no place was held may find none: then it is free again. */
void crew_submit(struct crew *crew, const struct pr_key *pr, const struct claim *claim,
                 struct briefing *briefing);

/*
 * Once crew_hold_place() has said no, `fn` is called when a quarter of all places is free again: there may be work that
 * nobody has claimed. It must not call the crew. NULL: nobody is called from the return on.
 */
void crew_on_room(struct crew *crew, void (*fn)(void *arg), void *arg);

#endif
