/*
 * What is old goes, what is needed stays, a little at a time.
 */
#include "check.h"

#include "fixture.h"
#include "prgate/codec.h"
#include "prgate/drain.h"
#include "prgate/heads.h"
#include "prgate/ledger.h"
#include "prgate/retain.h"
#include "time_travel.h"

/* ---- a closed pull request, and what it may have --------------------------------------- */

enum extra {
    NO_EXTRA,
    STILL_OPEN,
    CLOSED_LATELY,
    READ_LATELY,
    CLAIMED,
    CLAIMED_BY_THE_DEAD,
    DELIVERY_WAITS,
    INTENT_WAITS,
    LETTER_IS_THERE,
    ID_WAS_SEEN_LATELY
};

struct old_pull {
    struct gate *gate;
    uint64_t number;
    enum extra extra;
    unsigned ledger;
};

static enum err_code put_extra(struct store_txn *txn, const struct old_pull *pull, struct record *record,
                               struct err *err)
{
    struct event event = make_event(EVENT_EDITED, "waits");
    struct intent intent = {.kind = INTENT_ADD_LABEL};
    struct dead_letter letter = {.intent = {.kind = INTENT_TRIGGER}, .died_ms = clock_now_ms()};
    event.key = record->key;
    switch (pull->extra) {
    case STILL_OPEN:
        record->view.closed = false;
        break;
    case CLOSED_LATELY:
        record->view.updated_at = clock_now_ms() / 1000 - 89 * 86400;
        break;
    case READ_LATELY:
        record->read_ms = clock_now_ms() - 89 * INT64_C(86400000);
        break;
    case CLAIMED:
        record->claim = claims_new(pull->gate->claims);
        break;
    case CLAIMED_BY_THE_DEAD:
        record->claim = (struct claim){.held = true, .owner.bytes = "nobody"};
        break;
    case DELIVERY_WAITS:
        return table_append_event(txn, record, &event, err);
    case INTENT_WAITS:
        return table_append_intent(txn, record, &intent, err);
    case LETTER_IS_THERE:
        return table_put_dead(txn, &record->key, &letter, err);
    case ID_WAS_SEEN_LATELY:
        return table_see_delivery(txn, &record->key, "lately", clock_now_ms(), err);
    case NO_EXTRA:
        break;
    }
    return ERR_OK;
}

static enum err_code put_pull_body(struct store_txn *txn, void *arg, struct err *err)
{
    const struct old_pull *pull = arg;
    struct event event = make_event(EVENT_CLOSED, "d1");
    struct record record = {
        .key = {.repo_id = 5, .number = pull->number}, .repo = "octo/repo", .view = event.pr};
    record.view.closed = true;
    record.view.updated_at = clock_now_ms() / 1000 - 91 * 86400;
    enum err_code code = put_extra(txn, pull, &record, err);
    for (unsigned i = 0; i < pull->ledger && code == ERR_OK; i++)
        code = ledger_add_note(txn, &record, &event, "noted", clock_now_ms(), err);
    /* More commits than a record keeps: the others lie in a table of their own. */
    for (unsigned i = 0; pull->ledger > 100 && i < HEADS_MAX + 50; i++) {
        struct sha sha;
        char hex[SHA_SIZE];
        snprintf(hex, sizeof hex, "%040x", i);
        sha_parse(&sha, hex);
        record_reserve_head(&record);
        record_add_head(&record, &sha, 1);
    }
    code = code == ERR_OK ? heads_put_away(txn, &record, err) : code;
    code = code == ERR_OK ? table_put_record(txn, &record, err) : code;
    free(record.heads);
    return code;
}

static void put_pull(struct fixture *f, uint64_t number, enum extra extra, unsigned ledger)
{
    struct old_pull pull = {.gate = &f->gate, .number = number, .extra = extra, .ledger = ledger};
    struct err err = {0};
    if (store_txn(f->gate.store, put_pull_body, &pull, &err) != ERR_OK)
        fail_msg("pull request: %s", err.text);
}

/* A whole pass, however long the last one's rest would be. */
static unsigned pass(struct fixture *f)
{
    unsigned removed = 0;
    travel_days(2.0 / 24);
    for (int i = 0; i < 20; i++)
        removed += retain_run(&f->gate, 1000);
    return removed;
}

static void test_closed_pull_request_goes_when_nothing_needs_it(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum extra extra;
        unsigned left;
    } rows[] = {
        {"closed long ago", NO_EXTRA, 0},
        {"open", STILL_OPEN, 1},
        {"closed lately", CLOSED_LATELY, 1},
        {"read lately", READ_LATELY, 1},
        {"claimed", CLAIMED, 1},
        {"claimed by the dead", CLAIMED_BY_THE_DEAD, 0},
        {"a delivery waits", DELIVERY_WAITS, 1},
        {"an intent waits", INTENT_WAITS, 1},
        {"a letter is there", LETTER_IS_THERE, 1},
        {"an id was seen", ID_WAS_SEEN_LATELY, 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        fixture_open(&f, "");
        put_pull(&f, 7, rows[i].extra, 3);
        pass(&f);
        check_u64(rows[i].name, "records", count_table(&f, TABLE_PR), rows[i].left);
        check_u64(rows[i].name, "ledger", count_table(&f, TABLE_LEDGER), 3 * rows[i].left);
        fixture_close(&f);
    }
}

static void test_long_ledger_goes_in_several_batches_and_the_record_last(void **state)
{
    (void)state;
    skip_if_run_again();
    struct fixture f;
    fixture_open(&f, "");
    put_pull(&f, 7, NO_EXTRA, 250);
    put_pull(&f, 8, NO_EXTRA, 1);
    put_pull(&f, 9, STILL_OPEN, 1);
    size_t before = count_table(&f, TABLE_LEDGER);
    assert_true(count_table(&f, TABLE_HEAD) > 50);
    for (int i = 0; i < 100 && count_table(&f, TABLE_PR) == 3; i++) {
        retain_run(&f.gate, 1);
        size_t now = count_table(&f, TABLE_LEDGER);
        check_bool("batch", "is small", before - now <= 100, true);
        check_bool("record", "is there as long as its ledger", now == 1 || count_table(&f, TABLE_PR) >= 2,
                   true);
        before = now;
    }
    pass(&f);
    assert_int_equal(count_table(&f, TABLE_PR), 1);
    assert_int_equal(count_table(&f, TABLE_LEDGER), 1);
    assert_int_equal(count_table(&f, TABLE_HEAD), 0);
    fixture_close(&f);
}

/* ---- each table by its own days ------------------------------------------------------------ */

static enum err_code put_dated_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct fixture *f = arg;
    struct event event = make_event(EVENT_EDITED, "d1");
    struct record record = {.key = event.key, .repo = "octo/repo", .view = event.pr};
    struct dead_letter letter = {.intent = {.kind = INTENT_TRIGGER}, .died_ms = clock_now_ms()};
    struct buf answer;
    buf_init(&answer);
    encode_i64(&answer, clock_now_ms());
    encode_user(&answer, &event.sender);
    (void)f;
    enum err_code code = table_see_delivery(txn, &record.key, "d1", clock_now_ms(), err);
    code = code != ERR_OK ? code : ledger_add_note(txn, &record, &event, "noted", clock_now_ms(), err);
    code = code != ERR_OK ? code : table_put_dead(txn, &record.key, &letter, err);
    code =
        code != ERR_OK ? code : store_put(txn, TABLE_TRUST, (struct bytes){"q", 1}, buf_bytes(&answer), err);
    code = code != ERR_OK ? code : table_put_record(txn, &record, err);
    buf_release(&answer);
    return code;
}

static void test_each_kind_goes_by_its_own_days(void **state)
{
    (void)state;
    static const enum store_table tables[] = {TABLE_SEEN, TABLE_LEDGER, TABLE_DEAD, TABLE_TRUST, TABLE_PR};
    static const struct {
        double days; /* to travel on */
        unsigned left[COUNT_OF(tables)];
    } rows[] = {
        {0, {1, 1, 1, 1, 1}},   {1.8, {1, 1, 1, 1, 1}}, {0.2, {1, 1, 1, 0, 1}},  {4.4, {1, 1, 1, 0, 1}},
        {0.5, {0, 1, 1, 0, 1}}, {13, {0, 0, 0, 0, 1}},  {1000, {0, 0, 0, 0, 1}},
    };
    struct fixture f = {0};
    struct err err = {0};
    fixture_configure(&f, "keep_seen_days = 7\nkeep_ledger_days = 20", "");
    fixture_open_gate(&f);
    assert_int_equal(store_txn(f.gate.store, put_dated_body, &f, &err), ERR_OK);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char row[32];
        snprintf(row, sizeof row, "row %zu", i);
        travel_days(rows[i].days);
        pass(&f);
        for (size_t k = 0; k < COUNT_OF(tables); k++)
            check_u64(row, store_table_name(tables[k]), count_table(&f, tables[k]), rows[i].left[k]);
    }
    fixture_close(&f);
}

static enum err_code put_trigger_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct event event = make_event(EVENT_EDITED, "d1");
    struct record record = {.key = event.key, .repo = "octo/repo", .view = event.pr};
    struct intent trigger = {.kind = INTENT_TRIGGER, .sha = event.pr.head},
                  label = {.kind = INTENT_ADD_LABEL};
    struct ledger_action action = {.intent = &trigger, .outcome = "done", .answer = ""};
    (void)arg;
    enum err_code code = ledger_add_action(txn, &record, &action, clock_now_ms(), err);
    action.intent = &label;
    code = code != ERR_OK ? code : ledger_add_action(txn, &record, &action, clock_now_ms(), err);
    return code != ERR_OK ? code : table_put_record(txn, &record, err);
}

/* A record that is damaged is made anew from them. */
static void test_triggers_stay_in_the_ledger_of_what_is_open(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    fixture_open(&f, "");
    assert_int_equal(store_txn(f.gate.store, put_trigger_body, NULL, &err), ERR_OK);
    travel_days(1000);
    pass(&f);
    assert_int_equal(count_table(&f, TABLE_LEDGER), 1);
    fixture_close(&f);
}

static enum err_code put_junk_body(struct store_txn *txn, void *arg, struct err *err)
{
    static const enum store_table tables[] = {TABLE_SEEN, TABLE_LEDGER, TABLE_DEAD, TABLE_TRUST, TABLE_PR};
    enum err_code code = ERR_OK;
    (void)arg;
    for (size_t i = 0; i < COUNT_OF(tables) && code == ERR_OK; i++)
        code = store_put(txn, tables[i], (struct bytes){"junk", 4}, (struct bytes){"bad", 3}, err);
    return code;
}

static void test_what_cannot_be_decoded_is_kept(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    fixture_open(&f, "");
    assert_int_equal(store_txn(f.gate.store, put_junk_body, NULL, &err), ERR_OK);
    put_pull(&f, 7, NO_EXTRA, 1);
    travel_days(5000);
    pass(&f);
    assert_int_equal(count_table(&f, TABLE_SEEN), 1);
    assert_int_equal(count_table(&f, TABLE_LEDGER), 1);
    assert_int_equal(count_table(&f, TABLE_DEAD), 1);
    assert_int_equal(count_table(&f, TABLE_TRUST), 1);
    assert_int_equal(count_table(&f, TABLE_PR), 1); /* and hides nothing that comes behind it */
    fixture_close(&f);
}

/* ---- the walk ------------------------------------------------------------------------------- */

static enum err_code see_many_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct pr_key pr = {.repo_id = 5, .number = 7};
    enum err_code code = ERR_OK;
    (void)arg;
    for (int i = 0; i < 450 && code == ERR_OK; i++) {
        char id[16];
        snprintf(id, sizeof id, "d%04d", i);
        code = table_see_delivery(txn, &pr, id, clock_now_ms(), err);
    }
    return code;
}

static uint64_t transactions_of_a_run(struct fixture *f, unsigned batches)
{
    uint64_t before = store_get_stats(f->gate.store).transactions;
    retain_run(&f->gate, batches);
    return store_get_stats(f->gate.store).transactions - before;
}

/* One batch, one transaction; another process goes on where the last one stopped; then all of them rest. */
static void test_walk_goes_on_where_it_stopped_and_then_rests(void **state)
{
    (void)state;
    skip_if_run_again();
    struct fixture f;
    struct err err = {0};
    fixture_open(&f, "");
    assert_int_equal(store_txn(f.gate.store, see_many_body, NULL, &err), ERR_OK);
    travel_days(8);
    for (size_t left = 350;; left -= 100) {
        assert_int_equal(retain_run(&f.gate, 1), 100);
        check_u64("batch", "left", count_table(&f, TABLE_SEEN), left);
        if (left < 100)
            break;
        gate_close(&f.gate);
        fixture_open_gate(&f);
    }
    pass(&f);
    check_u64("pass", "left", count_table(&f, TABLE_SEEN), 0);
    check_u64("resting", "transactions", transactions_of_a_run(&f, 1000), 1);
    assert_int_equal(store_txn(f.gate.store, see_many_body, NULL, &err), ERR_OK);
    travel_days(8);
    check_bool("rested", "walks again", transactions_of_a_run(&f, 2) == 2, true);
    check_u64("rested", "left", count_table(&f, TABLE_SEEN), 250);
    /* A clock that is set back does not put it off. */
    travel_days(-100);
    check_bool("set back", "walks", transactions_of_a_run(&f, 2) == 2, true);
    fixture_close(&f);
}

static void test_walk_stops_with_the_process(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    atomic_store(&f.gate.stopping, true);
    check_u64("stopping", "transactions", transactions_of_a_run(&f, 10), 0);
    fixture_close(&f);
}

/* ---- afterwards ------------------------------------------------------------------------------ */

static enum err_code closed_on_github(const struct http_request *request, struct http_reply *reply,
                                      struct err *err)
{
    (void)err;
    reply->status = 200;
    if (strstr(request->url, "/pulls/7") != NULL)
        buf_adds(
            &reply->body,
            "{\"number\":7,\"state\":\"closed\",\"draft\":false,\"title\":\"t\",\"updated_at\":"
            "\"2023-11-14T22:13:20Z\",\"mergeable\":true,\"labels\":[],\"user\":{\"id\":2,\"login\":\"ann\","
            "\"type\":\"User\"},\"head\":{\"sha\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"ref\":"
            "\"topic\"},\"base\":{\"ref\":\"main\"}}");
    else
        buf_adds(&reply->body, "[]");
    return ERR_OK;
}

/* An opening that comes half a year late: GitHub is asked, and says that it is closed. */
static void test_late_delivery_for_a_pull_request_that_is_gone_starts_nothing(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    f.fake.answer = closed_on_github;
    put_pull(&f, 7, NO_EXTRA, 1);
    pass(&f);
    assert_int_equal(count_table(&f, TABLE_PR), 0);
    struct event event = make_event(EVENT_OPENED, "late");
    struct receipt receipt = put_event(&f, &event, true);
    assert_true(receipt.claimed);
    drain_run(&f.worker, &event.key, &receipt.claim);
    assert_int_equal(count_table(&f, TABLE_INBOX), 0);
    assert_int_equal(count_table(&f, TABLE_LEDGER), 1);
    bool asked = false;
    for (int i = 0; i < f.fake.count; i++) {
        check_bool(f.fake.calls[i], "writes", strncmp(f.fake.calls[i], "GET ", 4) != 0, false);
        asked = asked || strstr(f.fake.calls[i], "/pulls/7") != NULL;
    }
    assert_true(asked);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed_pull_request_goes_when_nothing_needs_it),
        cmocka_unit_test(test_long_ledger_goes_in_several_batches_and_the_record_last),
        cmocka_unit_test(test_each_kind_goes_by_its_own_days),
        cmocka_unit_test(test_triggers_stay_in_the_ledger_of_what_is_open),
        cmocka_unit_test(test_what_cannot_be_decoded_is_kept),
        cmocka_unit_test(test_walk_goes_on_where_it_stopped_and_then_rests),
        cmocka_unit_test(test_walk_stops_with_the_process),
        cmocka_unit_test(test_late_delivery_for_a_pull_request_that_is_gone_starts_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
