/*
 * alive: is the process that wrote this id still running?
 *
 * Each process keeps STATE_DIR/alive/ID open under an exclusive open-file-description
 * lock. The kernel drops the lock the moment the process ends, however it ends,
 * so the answer is exact: it does not depend on time, on pids that are used again, or on
 * containers that share the directory. A forked child shares the
 * lock: open it in the process that is meant. Thread-safe.
 */
#ifndef PRGATE_ALIVE_H
#define PRGATE_ALIVE_H

#include <stdbool.h>

#include "prgate/err.h"
#include "prgate/record.h"

struct alive;

/* *out is the caller's to close. */
enum err_code alive_open(struct alive **out, const char *state_dir, struct err *err);
void alive_close(struct alive *alive);

const struct process_id *alive_self(const struct alive *alive); /* valid until alive_close() */

/* Asks the kernel each time; the files of a few processes that were asked about stay open for that. */
bool alive_is(struct alive *alive, const struct process_id *id);

/*
 * For what must not be done beside a pool. ERR_REJECT: processes have the state directory open, this one not counted
 * unless it has, too.
 */
enum err_code alive_refuse_pool(const char *state_dir, struct err *err);

/* Processes that have the state directory open, this one included. */
unsigned alive_count(const struct alive *alive);

/* Removes the files of the dead; returns how many there were. */
unsigned alive_sweep(const struct alive *alive);

#endif
