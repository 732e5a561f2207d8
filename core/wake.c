#include "prgate/wake.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "prgate/budget.h"
#include "prgate/clock.h"
#include "prgate/inbox.h"
#include "prgate/log.h"
#include "prgate/tables.h"

struct look {
    struct budget_wake last; /* the next one comes behind it */
    struct budget_wake wake;
    bool is_over; /* there is none */
    struct record record;
    bool found; /* its record */
};

static enum err_code next_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct look *look = arg;
    store_need_not_wait(txn); /* what is lost is put into quarantine once more */
    look->wake = look->last;
    enum err_code code = budget_next_wake(txn, &look->wake, err);
    look->is_over = code == ERR_NOT_FOUND;
    return look->is_over ? ERR_OK : code; /* what goes to quarantine is to be committed at the end, too */
}

static enum err_code record_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct look *look = arg;
    enum err_code code = table_get_record(txn, &look->wake.pr, STORE_READ, &look->record, err);
    look->found = code == ERR_OK;
    return code == ERR_NOT_FOUND || code == ERR_CORRUPT ? ERR_OK : code;
}

static enum err_code drop_body(struct store_txn *txn, void *arg, struct err *err)
{
    return budget_drop_wake(txn, arg, err);
}

/* They may start earlier now, or only later: the check is to say so. */
static bool has_other_budgets(const struct gate *gate, const struct budget_wake *wake)
{
    const struct policy *policy = config_policy(gate->config, wake->repo);
    return policy != NULL && ((uint32_t)policy->author_triggers_per_hour != wake->author_limit ||
                              (uint32_t)policy->repo_triggers_per_hour != wake->repo_limit);
}

/* It shows what is known: how things are, the read tells. */
static struct event make_event(const struct gate *gate, const struct look *look, bool due)
{
    const struct record *record = &look->record;
    const struct policy *policy = config_policy(gate->config, look->wake.repo);
    struct event event = {.action = EVENT_WAKE,
                          .received_ms = clock_now_ms(),
                          .key = record->key,
                          .installation = record->installation,
                          .pr = record->view};
    memcpy(event.repo, record->repo, sizeof event.repo);
    if (due || policy == NULL)
        snprintf(event.delivery, sizeof event.delivery, "wake-%" PRId64 "-%.12s", look->wake.at_ms,
                 record->view.head.hex);
    else
        snprintf(event.delivery, sizeof event.delivery, "wake-%" PRId64 "-%d-%d-%.12s", look->wake.at_ms,
                 policy->author_triggers_per_hour, policy->repo_triggers_per_hour, record->view.head.hex);
    return event;
}

/*
 * A crash behind the delivery leaves the row: the same delivery is made again, and is a duplicate. One that
 * is woken before its time keeps the row until it is decided anew. One without a record is nobody's turn.
 */
static enum err_code wake_one(struct gate *gate, struct look *look, bool due, struct err *err)
{
    struct receipt receipt;
    enum err_code code = store_txn(gate->store, record_body, look, err);
    if (code == ERR_OK && look->found) {
        struct event event = make_event(gate, look, due);
        code = inbox_put(gate, &event, false, &receipt, err);
        if (code == ERR_CORRUPT) /* of another version of prgate: not this one's to wake */
            return ERR_OK;
    }
    if (code == ERR_OK && due)
        code = store_txn(gate->store, drop_body, &look->wake, err);
    return code;
}

void wake_those_due(struct gate *gate, bool starting)
{
    struct look look = {0};
    struct err err = {0};
    record_init(&look.record);
    while (!atomic_load(&gate->stopping) && store_txn(gate->store, next_body, &look, &err) == ERR_OK &&
           !look.is_over) {
        look.last = look.wake;
        bool due = look.wake.at_ms <= clock_now_ms();
        if (!due && !starting)
            break;
        if (!due && !has_other_budgets(gate, &look.wake))
            continue;
        if (wake_one(gate, &look, due, &err) != ERR_OK) {
            log_warning("a pull request that waits for its turn was not woken",
                        LOG_INT("repo_id", look.wake.pr.repo_id), LOG_INT("number", look.wake.pr.number),
                        LOG_STR("error", err.text));
            break;
        }
    }
    record_release(&look.record);
}
