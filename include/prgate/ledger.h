/*
 * ledger: what was decided and done for a pull request, and why. Append only.
 *
 * An entry is one JSON object with "v", "time" (Unix ms) and "kind":
 *   "decision": delivery, event, sender, sha, head, state, rule, sentence, facts, intents
 *   "action":   delivery, action, sha, outcome, answer, attempts, duration_ms
 * of a dry run "dry_run", true, too; and "run", where CI is started or was to be for other than the first time: 2 for the first re-run,
 * written in the same transaction as what it tells of.
 */
#ifndef PRGATE_LEDGER_H
#define PRGATE_LEDGER_H

#include <stdint.h>

#include "prgate/decide.h"
#include "prgate/tables.h"

struct ledger_decision {
    const struct event *event;
    const struct facts *facts;
    const struct decision *decision;
};

enum err_code ledger_add_decision(struct store_txn *txn, struct record *record,
                                  const struct ledger_decision *what, int64_t now_ms, struct err *err);

/* A delivery that no rule was asked about: `sentence` says why. */
enum err_code ledger_add_note(struct store_txn *txn, struct record *record, const struct event *event,
                              const char *sentence, int64_t now_ms, struct err *err);

struct ledger_action {
    const struct intent *intent;
    /* "done", "unknown", "dead"; of a dry run "dry_run", it would have been done, or "nothing", it was so already */
    const char *outcome;
    unsigned run;       /* of a trigger: head_attempt() */
    const char *answer; /* GitHub's, or why it was given up; "" = nothing to say */
    int64_t duration_ms;
};

enum err_code ledger_add_action(struct store_txn *txn, struct record *record,
                                const struct ledger_action *action, int64_t now_ms, struct err *err);

/*
 * What it tells of a record that was lost: for which commits CI was started or may have been, and
 * whether `opened` was handled. Adds to *record; see salvage.h.
 */
enum err_code ledger_restore(struct store_txn *txn, struct record *record, struct err *err);

#endif
