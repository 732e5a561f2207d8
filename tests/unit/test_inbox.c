#include "check.h"

#include "fixture.h"

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
