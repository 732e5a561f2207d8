/*
 * A damaged record: what is kept of it, what is found again, and what never happens twice.
 */
#include "check.h"

#include "fixture.h"
#include "prgate/heads.h"
#include "prgate/ledger.h"
#include "prgate/salvage.h"
#include "prgate/sweep.h"

static const unsigned char key[16] = {[7] = 5, [15] = 7};
static const char damaged[] = {1, 'j', 'u', 'n', 'k'};

static const char *const shas[] = {
    "1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222",
    "3333333333333333333333333333333333333333", "4444444444444444444444444444444444444444",
    "5555555555555555555555555555555555555555", "6666666666666666666666666666666666666666"};

static enum err_code damage_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    return store_put(txn, TABLE_PR, (struct bytes){key, sizeof key}, (struct bytes){damaged, sizeof damaged},
                     err);
}

/* A life in the ledger, a trigger sent and one not sent in the queue, a dead letter, and the damage. */
static enum err_code fill_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct record *record = arg;
    static const char *const outcomes[] = {"done", "unknown", "dead", "dry_run"};
    struct intent intent = {.kind = INTENT_TRIGGER};
    struct event event = make_event(EVENT_OPENED, "d0");
    enum err_code code = ledger_add_note(txn, record, &event, "opened long ago", 1, err);
    for (size_t i = 0; i < COUNT_OF(outcomes) && code == ERR_OK; i++) {
        struct ledger_action action = {.intent = &intent, .outcome = outcomes[i], .answer = ""};
        sha_parse(&intent.sha, shas[i]);
        code = ledger_add_action(txn, record, &action, 1000 + (int64_t)i, err);
    }
    intent.kind = INTENT_ADD_LABEL; /* says nothing about CI */
    sha_parse(&intent.sha, SHA_A);
    struct ledger_action action = {.intent = &intent, .outcome = "done", .answer = ""};
    if (code == ERR_OK)
        code = ledger_add_action(txn, record, &action, 2000, err);
    intent.kind = INTENT_TRIGGER;
    for (size_t i = 4; i < 6 && code == ERR_OK; i++) {
        sha_parse(&intent.sha, shas[i]);
        intent.sent_ms = i == 4 ? 77 : 0;
        code = table_append_intent(txn, record, &intent, err);
    }
    struct dead_letter letter = {.intent = intent};
    letter.intent.seq = 40;
    if (code == ERR_OK)
        code = table_put_dead(txn, &record->key, &letter, err);
    return code == ERR_OK ? damage_body(txn, NULL, err) : code;
}

static void fill(struct fixture *f)
{
    struct err err = {0};
    struct event event = make_event(EVENT_EDITED, "d1");
    fixture_open(f, "");
    put_event(f, &event, false);
    struct record record = get_record(f);
    if (store_txn(f->gate.store, fill_body, &record, &err) != ERR_OK)
        fail_msg("filling: %s", err.text);
    record_release(&record);
}

static const char *ci_of(const struct record *record, const char *hex)
{
    struct sha sha;
    sha_parse(&sha, hex);
    const struct head *head = record_find_head(record, &sha);
    return head == NULL ? "no head" : ci_state_name(head->ci);
}

static void check_salvaged(struct fixture *f)
{
    static const char *const want[] = {"started", "unknown", "refused", "started", "sent", "decided"};
    struct record record = get_record(f);
    check_str("record", "repository", record.repo, "octo/repo");
    check_bool("record", "opened", record.opened, true);
    for (size_t i = 0; i < COUNT_OF(shas); i++)
        check_str(shas[i], "CI", ci_of(&record, shas[i]), want[i]);
    check_str("label", "CI", ci_of(&record, SHA_A), "no head");
    check_u64("record", "heads", record.head_count, COUNT_OF(shas));
    check_u64("record", "next intent", record.next_intent, 41);
    check_u64("record", "next ledger entry", record.next_ledger, 6);
    check_u64("record", "quarantine", count_table(f, TABLE_QUARANTINE), 1);
    check_int("metric", "quarantined", metrics_get(f->gate.metrics, METRIC_QUARANTINED), 1);
    record_release(&record);
}

static void test_delivery_finds_what_is_left_and_is_taken(void **state)
{
    (void)state;
    struct fixture f;
    fill(&f);
    struct event event = make_event(EVENT_EDITED, "d2");
    struct receipt receipt = put_event(&f, &event, true);
    check_bool("receipt", "claimed", receipt.claimed, true);
    check_salvaged(&f);
    struct record record = get_record(&f);
    check_u64("record", "next delivery", record.next_delivery, 2);
    check_u64("inbox", "entries", count_table(&f, TABLE_INBOX), 2);
    record_release(&record);
    fixture_close(&f);
}

static void test_delivery_that_was_taken_before_mends_it_too(void **state)
{
    (void)state;
    struct fixture f;
    fill(&f);
    struct event event = make_event(EVENT_EDITED, "d1");
    check_bool("receipt", "duplicate", put_event(&f, &event, true).duplicate, true);
    check_salvaged(&f);
    fixture_close(&f);
}

static void test_sweeper_claims_what_is_left(void **state)
{
    (void)state;
    struct fixture f;
    struct pr_key pr = {0};
    struct claim claim;
    fill(&f);
    assert_true(sweep_next(&f.gate, &pr, &claim));
    check_u64("swept", "number", pr.number, 7);
    check_salvaged(&f);
    struct record record = get_record(&f);
    check_bool("record", "claim", claim_equal(&record.claim, &claim), true);
    record_release(&record);
    fixture_close(&f);
}

enum { PUSHES = 200 };

/* More commits than a record keeps: most lie in a table of their own. */
static enum err_code push_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct record *record = arg;
    for (unsigned i = 0; i < PUSHES; i++) {
        struct sha sha;
        char hex[SHA_SIZE];
        snprintf(hex, sizeof hex, "%040x", i);
        sha_parse(&sha, hex);
        record_reserve_head(record);
        head_set_ci(record_add_head(record, &sha, i), CI_STARTED, i);
    }
    enum err_code code = heads_put_away(txn, record, err);
    return code == ERR_OK ? damage_body(txn, NULL, err) : code;
}

static void test_commits_that_were_put_away_are_known_again(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    unsigned started = 0;
    fixture_open(&f, "");
    struct event event = make_event(EVENT_EDITED, "d1");
    put_event(&f, &event, false);
    struct record record = get_record(&f);
    assert_int_equal(store_txn(f.gate.store, push_body, &record, &err), ERR_OK);
    size_t kept = record.head_count;
    record_release(&record);
    event = make_event(EVENT_EDITED, "d2");
    put_event(&f, &event, false);
    record = get_record(&f);
    for (size_t i = 0; i < record.head_count; i++)
        started += record.heads[i].ci == CI_STARTED;
    check_u64("salvaged", "started", started, PUSHES - kept); /* the others went with the record */
    record_release(&record);
    fixture_close(&f);
}

static enum err_code empty_inbox_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    struct pr_key pr = {.repo_id = 5, .number = 7};
    return table_remove_event(txn, &pr, 0, err);
}

/* The queue is empty: the name is found in the list of names, in lower case. */
/* Two starts of the first commit, a re-run that was refused, and one of a commit whose first start is not told any more. */
static enum err_code fill_reruns_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct record *record = arg;
    static const struct {
        int sha;
        unsigned run;
        const char *outcome;
    } rows[] = {{0, 1, "done"}, {0, 2, "unknown"}, {0, 3, "dead"}, {1, 5, "dead"}};
    struct intent intent = {.kind = INTENT_TRIGGER};
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < COUNT_OF(rows) && code == ERR_OK; i++) {
        struct ledger_action action = {
            .intent = &intent, .outcome = rows[i].outcome, .run = rows[i].run, .answer = ""};
        sha_parse(&intent.sha, shas[rows[i].sha]);
        code = ledger_add_action(txn, record, &action, 1000 + (int64_t)i, err);
    }
    return code == ERR_OK ? damage_body(txn, NULL, err) : code;
}

/* No key is used twice, and no refused re-run makes a commit look as if nothing had been started for it. */
static void test_reruns_are_known_again(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct record record;
    fixture_open(&f, "");
    record_init(&record);
    record.key = (struct pr_key){.repo_id = 5, .number = 7};
    if (store_txn(f.gate.store, fill_reruns_body, &record, &err) != ERR_OK)
        fail_msg("%s", err.text);
    record_release(&record);
    struct event event = make_event(EVENT_EDITED, "d2");
    put_event(&f, &event, false);
    record = get_record(&f);
    static const unsigned attempts[] = {3, 5};
    for (size_t i = 0; i < COUNT_OF(attempts); i++) {
        struct sha sha;
        sha_parse(&sha, shas[i]);
        const struct head *head = record_find_head(&record, &sha);
        assert_non_null(head);
        check_u64(shas[i], "attempt", head_attempt(head), attempts[i]);
        check_str(shas[i], "CI", ci_state_name(head->ci), "unknown");
    }
    record_release(&record);
    fixture_close(&f);
}

static void test_name_is_found_where_no_delivery_waits(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct pr_key pr = {0};
    struct claim claim;
    fill(&f);
    assert_int_equal(store_txn(f.gate.store, empty_inbox_body, NULL, &err), ERR_OK);
    assert_true(sweep_next(&f.gate, &pr, &claim));
    check_salvaged(&f);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivery_finds_what_is_left_and_is_taken),
        cmocka_unit_test(test_delivery_that_was_taken_before_mends_it_too),
        cmocka_unit_test(test_sweeper_claims_what_is_left),
        cmocka_unit_test(test_commits_that_were_put_away_are_known_again),
        cmocka_unit_test(test_reruns_are_known_again),
        cmocka_unit_test(test_name_is_found_where_no_delivery_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
