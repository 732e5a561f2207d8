/*
 * A delivery is on disk once, in its turn, and one at most is told to work on it.
 */
#include "check.h"

#include <pthread.h>

#include "fixture.h"
#include "run_again.h"

static void test_delivery_is_stored_and_claimed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    struct event event = make_event(EVENT_OPENED, "d1");
    struct receipt receipt = put_event(&f, &event, true);
    assert_false(receipt.duplicate);
    assert_true(receipt.claimed);
    struct record record = get_record(&f);
    assert_true(claim_equal(&record.claim, &receipt.claim));
    assert_string_equal(record.repo, "octo/repo");
    assert_int_equal(count_table(&f, TABLE_INBOX), 1);
    record_release(&record);
    fixture_close(&f);
}

static void test_duplicate_is_not_stored_again(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    struct event event = make_event(EVENT_OPENED, "d1");
    put_event(&f, &event, true);
    struct receipt second = put_event(&f, &event, true);
    assert_true(second.duplicate);
    assert_false(second.claimed);
    assert_int_equal(count_table(&f, TABLE_INBOX), 1);
    assert_int_equal(claims_count(f.gate.claims), 1);
    fixture_close(&f);
}

static void test_living_owner_keeps_the_claim(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    struct event first = make_event(EVENT_OPENED, "d1"), second = make_event(EVENT_EDITED, "d2");
    struct receipt receipt = put_event(&f, &first, true);
    assert_false(put_event(&f, &second, true).claimed);
    struct record record = get_record(&f);
    assert_true(claim_equal(&record.claim, &receipt.claim));
    assert_int_equal(record.next_delivery, 2);
    record_release(&record);
    fixture_close(&f);
}

static void test_claim_of_this_process_that_nobody_works_on_is_free(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    struct event first = make_event(EVENT_OPENED, "d1"), second = make_event(EVENT_EDITED, "d2");
    struct receipt receipt = put_event(&f, &first, true);
    claims_forget(f.gate.claims, &receipt.claim);
    struct receipt again = put_event(&f, &second, true);
    assert_true(again.claimed);
    assert_false(claim_equal(&again.claim, &receipt.claim));
    fixture_close(&f);
}

static void claim_and_die(struct fixture *f)
{
    struct event event = make_event(EVENT_OPENED, "d1");
    if (put_event(f, &event, true).claimed)
        kill(getpid(), SIGKILL);
}

static void test_claim_of_a_dead_process_is_taken_over(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open_after_kill(&f, claim_and_die);
    struct record before = get_record(&f);
    assert_true(before.claim.held);
    struct event event = make_event(EVENT_EDITED, "d2");
    assert_true(put_event(&f, &event, true).claimed);
    assert_int_equal(metrics_get(f.gate.metrics, METRIC_CLAIMS_TAKEN_OVER), 1);
    assert_int_equal(count_table(&f, TABLE_INBOX), 2);
    record_release(&before);
    fixture_close(&f);
}

static enum err_code name_body(struct store_txn *txn, void *arg, struct err *err)
{
    return table_get_name(txn, "Octo/New-Name", arg, err);
}

static void test_renamed_repository_keeps_its_records(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    uint64_t repo_id = 0;
    fixture_open(&f, "");
    struct event before = make_event(EVENT_OPENED, "d1"), after = make_event(EVENT_EDITED, "d2");
    strcpy(after.repo, "octo/new-name");
    put_event(&f, &before, false);
    put_event(&f, &after, false);
    struct record record = get_record(&f);
    assert_string_equal(record.repo, "octo/new-name");
    assert_int_equal(store_txn(f.gate.store, name_body, &repo_id, &err), ERR_OK);
    assert_int_equal(repo_id, 5);
    record.view.updated_at = before.pr.updated_at + 1;
    put_record(&f, &record);
    struct event late = make_event(EVENT_EDITED, "d3");
    put_event(&f, &late, false);
    record_release(&record);
    record = get_record(&f);
    assert_string_equal(record.repo, "octo/new-name");
    record_release(&record);
    fixture_close(&f);
}

static void test_process_without_room_leaves_the_claim_free(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    struct event event = make_event(EVENT_OPENED, "d1");
    assert_false(put_event(&f, &event, false).claimed);
    struct record record = get_record(&f);
    assert_false(record.claim.held);
    assert_int_equal(count_table(&f, TABLE_INBOX), 1);
    record_release(&record);
    fixture_close(&f);
}

static void test_only_closed_claims_what_was_put_off(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    struct event event = make_event(EVENT_OPENED, "d1");
    put_event(&f, &event, false);
    struct record record = get_record(&f);
    record.due_ms = clock_now_ms() + 60000;
    put_record(&f, &record);
    struct event edited = make_event(EVENT_EDITED, "d2"), closed = make_event(EVENT_CLOSED, "d3");
    assert_false(put_event(&f, &edited, true).claimed);
    assert_true(put_event(&f, &closed, true).claimed);
    record_release(&record);
    fixture_close(&f);
}

static void test_living_process_keeps_the_claim_until_it_dies(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct claim theirs = {.held = true, .token = {1}};
    fixture_configure(&f, "", "");
    pid_t child = start_process(&f, &theirs.owner);
    fixture_open_gate(&f);
    struct event first = make_event(EVENT_OPENED, "d1"), closed = make_event(EVENT_CLOSED, "d2"),
                 third = make_event(EVENT_EDITED, "d3");
    put_event(&f, &first, false);
    struct record record = get_record(&f);
    record.claim = theirs;
    put_record(&f, &record);
    record_release(&record);
    assert_false(put_event(&f, &closed, true).claimed); /* not even this one: the owner will see it */
    record = get_record(&f);
    assert_true(claim_equal(&record.claim, &theirs));
    record_release(&record);
    assert_int_equal(count_table(&f, TABLE_INBOX), 2);
    assert_int_equal(claims_count(f.gate.claims), 0);
    assert_int_equal(metrics_get(f.gate.metrics, METRIC_CLAIMS_TAKEN_OVER), 0);
    kill_process(child);
    assert_true(put_event(&f, &third, true).claimed);
    assert_int_equal(metrics_get(f.gate.metrics, METRIC_CLAIMS_TAKEN_OVER), 1);
    fixture_close(&f);
}

static void test_duplicate_takes_no_claim_even_where_it_is_free(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    struct event event = make_event(EVENT_CLOSED, "d1");
    put_event(&f, &event, false);
    struct receipt second = put_event(&f, &event, true);
    assert_true(second.duplicate);
    assert_false(second.claimed);
    struct record record = get_record(&f);
    assert_false(record.claim.held);
    assert_int_equal(record.next_delivery, 1);
    assert_int_equal(claims_count(f.gate.claims), 0);
    record_release(&record);
    fixture_close(&f);
}

static enum err_code empty_inbox_body(struct store_txn *txn, void *arg, struct err *err)
{
    return table_remove_event(txn, arg, 0, err);
}

/* GitHub may repeat a delivery long after it was decided. */
static void test_duplicate_is_known_after_it_was_worked_off(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    fixture_open(&f, "");
    struct event event = make_event(EVENT_OPENED, "d1");
    put_event(&f, &event, false);
    assert_int_equal(store_txn(f.gate.store, empty_inbox_body, &event.key, &err), ERR_OK);
    assert_true(put_event(&f, &event, true).duplicate);
    assert_int_equal(count_table(&f, TABLE_INBOX), 0);
    fixture_close(&f);
}

static void test_same_id_is_another_delivery_for_another_pull_request(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    struct event first = make_event(EVENT_OPENED, "d1"), second = first;
    second.key.number++;
    assert_true(put_event(&f, &first, true).claimed);
    struct receipt receipt = put_event(&f, &second, true);
    assert_false(receipt.duplicate);
    assert_true(receipt.claimed);
    assert_int_equal(count_table(&f, TABLE_INBOX), 2);
    fixture_close(&f);
}

static void test_what_was_put_off_until_now_is_claimed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    struct event first = make_event(EVENT_OPENED, "d1"), second = make_event(EVENT_EDITED, "d2");
    put_event(&f, &first, false);
    struct record record = get_record(&f);
    record.due_ms = second.received_ms;
    put_record(&f, &record);
    assert_true(put_event(&f, &second, true).claimed);
    record_release(&record);
    fixture_close(&f);
}

struct queue {
    struct pr_key pr;
    struct event events[4];
    uint64_t seqs[4];
    size_t count;
};

static enum err_code read_queue_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct queue *queue = arg;
    uint64_t seq = 0;
    queue->count = 0;
    for (; queue->count < COUNT_OF(queue->events); seq++) {
        enum err_code code = table_next_event(txn, &queue->pr, &seq, &queue->events[queue->count], err);
        if (code != ERR_OK)
            return code == ERR_NOT_FOUND ? ERR_OK : code;
        queue->seqs[queue->count++] = seq;
    }
    return ERR_OK;
}

/* Of arrival, whatever the ids, and whatever GitHub's times say. */
static void test_deliveries_are_queued_in_order_of_arrival(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    static const char *const ids[] = {"zzz", "mmm", "aaa"};
    struct queue queue = {.pr = {.repo_id = 5, .number = 7}};
    fixture_open(&f, "");
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        struct event event = make_event(EVENT_EDITED, ids[i]);
        event.pr.updated_at -= (int64_t)i;
        put_event(&f, &event, i == 1); /* claimed or not */
    }
    assert_int_equal(store_txn(f.gate.store, read_queue_body, &queue, &err), ERR_OK);
    assert_int_equal(queue.count, COUNT_OF(ids));
    for (size_t i = 0; i < COUNT_OF(ids); i++) {
        check_str("queue", "delivery", queue.events[i].delivery, ids[i]);
        check_u64("queue", "sequence", queue.seqs[i], i);
        check_int("queue", "updated_at", queue.events[i].pr.updated_at, 1700000000 - (int64_t)i);
    }
    fixture_close(&f);
}

static enum err_code get_name_body(struct store_txn *txn, void *arg, struct err *err)
{
    return table_get_name(txn, "Octo/REPO", arg, err);
}

static void test_first_delivery_makes_the_repository_known_by_name(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    uint64_t repo_id = 0;
    fixture_open(&f, "");
    assert_int_equal(store_txn(f.gate.store, get_name_body, &repo_id, &err), ERR_NOT_FOUND);
    struct event event = make_event(EVENT_OPENED, "d1");
    put_event(&f, &event, false);
    assert_int_equal(store_txn(f.gate.store, get_name_body, &repo_id, &err), ERR_OK);
    assert_int_equal(repo_id, 5);
    fixture_close(&f);
}

struct rush {
    struct fixture *f;
    int number;
    int claimed;
    int failed;
};

static void *put_many(void *arg)
{
    struct rush *rush = arg;
    for (int i = 0; i < 10; i++) {
        char id[16];
        struct err err = {0};
        struct receipt receipt;
        snprintf(id, sizeof id, "%d-%d", rush->number, i);
        struct event event = make_event(EVENT_EDITED, id);
        if (inbox_put(&rush->f->gate, &event, true, &receipt, &err) != ERR_OK)
            rush->failed++;
        else
            rush->claimed += receipt.claimed;
    }
    return NULL;
}

/* Two threads of one process must not both believe that they have it. */
static void test_one_of_many_threads_gets_the_claim(void **state)
{
    (void)state;
    struct fixture f;
    struct rush rushes[4];
    pthread_t threads[4];
    int claimed = 0;
    fixture_open(&f, "");
    for (int i = 0; i < 4; i++) {
        rushes[i] = (struct rush){.f = &f, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, put_many, &rushes[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(rushes[i].failed, 0);
        claimed += rushes[i].claimed;
    }
    assert_int_equal(claimed, 1);
    assert_int_equal(count_table(&f, TABLE_INBOX), 40);
    assert_int_equal(claims_count(f.gate.claims), 1);
    struct record record = get_record(&f);
    assert_int_equal(record.next_delivery, 40);
    record_release(&record);
    fixture_close(&f);
}

/* Nothing of it is there afterwards: not the delivery, not its id, not the claim. */
static void test_delivery_that_could_not_be_stored_can_come_again(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct receipt receipt = {.claimed = true};
    fixture_open(&f, "");
    struct event event = make_event(EVENT_OPENED, "d1");
    fill_disk();
    enum err_code code = inbox_put(&f.gate, &event, true, &receipt, &err);
    free_disk();
    check_str("full disk", "code", err_code_name(code), "retry");
    check_contains("full disk", "text", err.text, "storing the delivery: ");
    check_u64("full disk", "inbox", count_table(&f, TABLE_INBOX), 0);
    check_u64("full disk", "seen", count_table(&f, TABLE_SEEN), 0);
    check_u64("full disk", "claims", claims_count(f.gate.claims), 0);
    receipt = put_event(&f, &event, true);
    check_bool("again", "duplicate", receipt.duplicate, false);
    check_bool("again", "claimed", receipt.claimed, true);
    fixture_close(&f);
}

static enum err_code spoil_record_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    static const unsigned char key[16] = {[7] = 5, [15] = 7};
    return store_put(txn, TABLE_PR, (struct bytes){key, sizeof key}, (struct bytes){"junk", 4}, err);
}

/* As a later version of prgate would have left it, before somebody went back to this one. */
static void test_record_of_a_later_version_refuses_the_delivery_and_stays(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct receipt receipt;
    fixture_open(&f, "");
    assert_int_equal(store_txn(f.gate.store, spoil_record_body, NULL, &err), ERR_OK);
    struct event event = make_event(EVENT_OPENED, "d1");
    enum err_code code = inbox_put(&f.gate, &event, true, &receipt, &err);
    check_str("damaged", "code", err_code_name(code), "corrupt");
    check_u64("damaged", "inbox", count_table(&f, TABLE_INBOX), 0);
    check_u64("damaged", "claims", claims_count(f.gate.claims), 0);
    check_u64("damaged", "quarantine", count_table(&f, TABLE_QUARANTINE), 0);
    fixture_close(&f);
}

static void expect_order(struct fixture *f, const char *const *want)
{
    struct err err = {0};
    struct queue queue = {.pr = {5, 7}};
    assert_int_equal(store_txn(f->gate.store, read_queue_body, &queue, &err), ERR_OK);
    for (size_t i = 0; i < queue.count; i++, want++)
        check_str("queue", "delivery", queue.events[i].delivery, *want == NULL ? "(no more)" : *want);
    assert_null(*want);
}

static void test_several_are_stored_together_without_their_duplicates(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct receipt receipt;
    fixture_open(&f, "");
    struct event first[] = {make_event(EVENT_LABELED, "d1"), make_event(EVENT_OPENED, "d2")};
    assert_int_equal(inbox_put_all(&f.gate, first, 2, true, &receipt, &err), ERR_OK);
    check_bool("both new", "duplicate", receipt.duplicate, false);
    check_bool("both new", "claimed", receipt.claimed, true);
    struct event second[] = {make_event(EVENT_OPENED, "d2"), make_event(EVENT_EDITED, "d3")};
    assert_int_equal(inbox_put_all(&f.gate, second, 2, true, &receipt, &err), ERR_OK);
    check_bool("one new", "duplicate", receipt.duplicate, false);
    check_bool("one new", "claimed", receipt.claimed, false);
    assert_int_equal(inbox_put_all(&f.gate, second, 2, true, &receipt, &err), ERR_OK);
    check_bool("none new", "duplicate", receipt.duplicate, true);
    expect_order(&f, (const char *[]){"d1", "d2", "d3", NULL});
    fixture_close(&f);
}

static void test_several_are_all_stored_or_none(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct receipt receipt;
    fixture_open(&f, "");
    struct event events[] = {make_event(EVENT_LABELED, "d1"), make_event(EVENT_OPENED, "d2")};
    fill_disk();
    assert_int_equal(inbox_put_all(&f.gate, events, 2, false, &receipt, &err), ERR_RETRY);
    free_disk();
    check_u64("full disk", "inbox", count_table(&f, TABLE_INBOX), 0);
    check_u64("full disk", "seen", count_table(&f, TABLE_SEEN), 0);
    assert_int_equal(inbox_put_all(&f.gate, events, 2, false, &receipt, &err), ERR_OK);
    expect_order(&f, (const char *[]){"d1", "d2", NULL});
    fixture_close(&f);
}

/* ---- briefings ---------------------------------------------------------------------- */

static struct receipt take(struct fixture *f, const struct event *event, bool may_claim)
{
    struct receipt receipt;
    struct err err = {0};
    struct taking taking;
    inbox_begin(&taking, &f->gate, event, may_claim);
    inbox_run(&taking);
    if (inbox_end(&taking, &receipt, &err) != ERR_OK)
        fail_msg("inbox_end: %s", err.text);
    return receipt;
}

static void test_briefing_has_the_delivery_that_comes_first(void **state)
{
    (void)state;
    struct fixture f;
    struct event first = make_event(EVENT_OPENED, "d1"), second = make_event(EVENT_EDITED, "d2");
    fixture_open(&f, "");
    assert_null(take(&f, &first, false).briefing); /* nobody is to work on it */
    struct receipt receipt = take(&f, &second, true);
    assert_true(receipt.claimed);
    assert_non_null(receipt.briefing);
    assert_string_equal(receipt.briefing->event.delivery, "d1");
    assert_int_equal(receipt.briefing->seq, 0);
    assert_true(claim_equal(&receipt.briefing->record.claim, &receipt.claim));
    assert_int_equal(receipt.briefing->record.next_delivery, 2);
    assert_null(take(&f, &second, true).briefing); /* a duplicate */
    briefing_free(receipt.briefing);
    briefing_free(NULL);
    fixture_close(&f);
}

struct meanwhile {
    struct fixture *f;
    struct claim claim;
};

static enum err_code empty_both_body(struct store_txn *txn, void *arg, struct err *err)
{
    const struct record *record = arg;
    enum err_code code = table_remove_event(txn, &record->key, 0, err);
    return code == ERR_OK ? table_remove_event(txn, &record->key, 1, err) : code;
}

/* Whoever has the claim works everything off. */
static bool work_off(void *arg)
{
    struct meanwhile *meanwhile = arg;
    struct err err = {0};
    struct record record = get_record(meanwhile->f);
    assert_int_equal(store_txn(meanwhile->f->gate.store, empty_both_body, &record, &err), ERR_OK);
    record.claim = (struct claim){0};
    put_record(meanwhile->f, &record);
    record_release(&record);
    claims_forget(meanwhile->f->gate.claims, &meanwhile->claim);
    return false;
}

static void test_delivery_that_is_decided_before_its_commit_is_heard_of_is_taken(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    struct event first = make_event(EVENT_OPENED, "d1"), second = make_event(EVENT_EDITED, "d2");
    struct meanwhile meanwhile = {.f = &f, .claim = put_event(&f, &first, true).claim};
    after_hidden_commit = work_off;
    after_hidden_commit_arg = &meanwhile;
    struct receipt receipt = take(&f, &second, true);
    assert_null(after_hidden_commit);
    assert_false(receipt.duplicate);
    assert_true(receipt.claimed);
    assert_null(receipt.briefing);
    assert_int_equal(count_table(&f, TABLE_INBOX), 0);
    fixture_close(&f);
}

static enum err_code append_intent_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct intent intent = {.kind = INTENT_TRIGGER};
    sha_parse(&intent.sha, SHA_A);
    enum err_code code = table_append_intent(txn, arg, &intent, err);
    return code == ERR_OK ? table_put_record(txn, arg, err) : code;
}

/* Intents come before deliveries. */
static void test_no_briefing_where_an_intent_waits(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct event event = make_event(EVENT_OPENED, "d1"), other = make_event(EVENT_OPENED, "d2");
    fixture_open(&f, "");
    put_event(&f, &event, false);
    struct record record = get_record(&f);
    assert_int_equal(store_txn(f.gate.store, append_intent_body, &record, &err), ERR_OK);
    record_release(&record);
    struct receipt receipt = take(&f, &other, true);
    assert_true(receipt.claimed);
    assert_null(receipt.briefing);
    /* That of another pull request is no hindrance. */
    other = make_event(EVENT_OPENED, "d3");
    other.key.number--;
    receipt = take(&f, &other, true);
    assert_non_null(receipt.briefing);
    briefing_free(receipt.briefing);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivery_is_stored_and_claimed),
        cmocka_unit_test(test_duplicate_is_not_stored_again),
        cmocka_unit_test(test_living_owner_keeps_the_claim),
        cmocka_unit_test(test_claim_of_this_process_that_nobody_works_on_is_free),
        cmocka_unit_test(test_claim_of_a_dead_process_is_taken_over),
        cmocka_unit_test(test_renamed_repository_keeps_its_records),
        cmocka_unit_test(test_process_without_room_leaves_the_claim_free),
        cmocka_unit_test(test_only_closed_claims_what_was_put_off),
        cmocka_unit_test(test_living_process_keeps_the_claim_until_it_dies),
        cmocka_unit_test(test_duplicate_takes_no_claim_even_where_it_is_free),
        cmocka_unit_test(test_duplicate_is_known_after_it_was_worked_off),
        cmocka_unit_test(test_same_id_is_another_delivery_for_another_pull_request),
        cmocka_unit_test(test_what_was_put_off_until_now_is_claimed),
        cmocka_unit_test(test_deliveries_are_queued_in_order_of_arrival),
        cmocka_unit_test(test_first_delivery_makes_the_repository_known_by_name),
        cmocka_unit_test(test_one_of_many_threads_gets_the_claim),
        cmocka_unit_test(test_delivery_that_could_not_be_stored_can_come_again),
        cmocka_unit_test(test_record_of_a_later_version_refuses_the_delivery_and_stays),
        cmocka_unit_test(test_several_are_stored_together_without_their_duplicates),
        cmocka_unit_test(test_several_are_all_stored_or_none),
        cmocka_unit_test(test_briefing_has_the_delivery_that_comes_first),
        cmocka_unit_test(test_delivery_that_is_decided_before_its_commit_is_heard_of_is_taken),
        cmocka_unit_test(test_no_briefing_where_an_intent_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
