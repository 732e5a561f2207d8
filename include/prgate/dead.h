/*
 * dead: what an operator may do about dead letters, and what the check says of them.
 *
 * A dead letter is an intent that was given up. It waits in its pull request's list until somebody
 * has mended the cause and has it tried again, or drops it. Thread-safe; to be used beside a running pool.
 */
#ifndef PRGATE_DEAD_H
#define PRGATE_DEAD_H

#include "prgate/gate.h"
#include "prgate/intent.h"

/*
 * Puts the letter's action at the end of its pull request's queue, where the pool finds it, as if it had just been
 * decided. ERR_NOT_FOUND: no such letter. ERR_REJECT: it would do harm by now, as the text says: the pull request
 * is closed, has another head, or CI was started for the commit meanwhile.
 */
enum err_code dead_retry(struct gate *gate, const struct pr_key *pr, uint64_t seq, struct err *err);

/* ERR_NOT_FOUND: no such letter. Noted in the ledger, as a retry is. */
enum err_code dead_drop(struct gate *gate, const struct pr_key *pr, uint64_t seq, struct err *err);

/*
 * What one letter is: to be called again and again, counting *seq up. ERR_NOT_FOUND: there is none from *seq
 * on. ERR_CORRUPT: *seq tells which cannot be read; it can be dropped.
 */
enum err_code dead_look(struct gate *gate, const struct pr_key *pr, uint64_t *seq, struct dead_letter *letter,
                        struct err *err);

#endif
