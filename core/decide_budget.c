/*
 * Whoever had to has agreed, but the author or the repository has had too many starts within the hour.
 *
 * What was granted stays in the record, as in a conflict: an approval, what an opening is owed, a covered push. So
 * the head starts by itself with the next event that finds the budget free. budget.h sees to it that one comes when
 * its turn is there (EVENT_WAKE).
 */
#include "decide_internal.h"

void decide_budget(struct head *head, const struct facts *facts, struct decision *out)
{
    out->rule = RULE_WAIT_BUDGET;
    /* The check says until when, so it is written anew where that has moved. */
    if (head->check_reason == WAIT_BUDGET && head->budget_until_ms != facts->budget_until_ms)
        head->check = CHECK_NONE;
    head->budget_until_ms = facts->budget_until_ms;
    decide_await(head, WAIT_BUDGET, out);
}

void decide_rerun_budget(struct head *head, const struct facts *facts, struct decision *out)
{
    out->rule = RULE_RERUN_BUDGET;
    if (head->budget_until_ms != facts->budget_until_ms)
        decide_complete_check(head, out);
    head->budget_until_ms = facts->budget_until_ms;
}

void decide_end_budget_waits(struct record *record)
{
    for (size_t i = 0; i < record->head_count; i++) {
        struct head *head = &record->heads[i];
        bool waits = head->check_reason == WAIT_BUDGET && sha_equal(&head->sha, &record->view.head);
        if (!waits && !head_is_triggered(head))
            head->budget_until_ms = 0;
    }
}
