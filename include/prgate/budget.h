/*
 * budget: how often CI may be started within an hour, for one author's pull requests in a repository and for all of
 * the repository's.
 *
 * A start is counted in the transaction that decides it, so the count is exact whatever dies and however many
 * processes there are. Where no budget is configured nothing is counted.
 *
 * Who finds it used up stands in line. Whose turn is when follows from the starts of the last hour and from who
 * stands in front, so a newcomer never overtakes. A pull request has one place, whichever commit is its head, and
 * gives it up by waiting for something else or by being closed. In the repository's line it stands only
 * once the author's budget is free: an author's many pull requests hold nobody else up.
 *
 * It is told when its turn is, as late as that may be, and is woken then (wake.h). Who does not come within an hour
 * of that loses the place.
 */
#ifndef PRGATE_BUDGET_H
#define PRGATE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "prgate/config.h"
#include "prgate/decide.h"
#include "prgate/store.h"

/* One delivery to be decided. */
struct budget_case {
    const struct policy *policy;
    struct record *record;
    const struct event *event;
    struct facts *facts; /* budget_until_ms is filled in here */
    int64_t now_ms;
    struct decision *decision;
};

/*
 * decide(), within budgets: what it starts is counted, and what may not be started yet waits. Inside the transaction
 * that holds the record and stores the decision. Errors are the store's; *record and *decision are undefined then.
 */
enum err_code budget_decide(struct store_txn *txn, const struct budget_case *what, struct err *err);

/* Who is to be woken when, and by which budgets that was reckoned. */
struct budget_wake {
    int64_t at_ms;
    struct pr_key pr;
    uint32_t author_limit;
    uint32_t repo_limit;
    char repo[REPO_NAME_SIZE];
};

/* The first one behind *wake, in the order of time; {0} comes before all. ERR_NOT_FOUND: none. */
enum err_code budget_next_wake(struct store_txn *txn, struct budget_wake *wake, struct err *err);

/* ERR_OK also where it is gone. */
enum err_code budget_drop_wake(struct store_txn *txn, const struct budget_wake *wake, struct err *err);

/* How often CI was started within the hour in all of the repository; 0 where no budget of it is configured, or was. */
enum err_code budget_used(struct store_txn *txn, uint64_t repo_id, int64_t now_ms, size_t *out,
                          struct err *err);

/* How many pull requests wait for their turn, counted no further than `max`. With transactions of its own. */
enum err_code budget_count_waiting(struct store *store, size_t max, size_t *out, struct err *err);

/* Of an entry of the table: can it be read? Is it of no use any more? */
bool budget_entry_is_sound(struct bytes key, struct bytes value);
bool budget_entry_is_stale(struct bytes key, struct bytes value, int64_t now_ms);

#endif
