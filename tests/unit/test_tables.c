/*
 * Keys of the tables: what belongs to one pull request, in which order, and never its neighbour's.
 */
#include "check.h"

#include "fixture.h"
#include "prgate/codec.h"

/* Runs `body` with a gate of its own; what it checks, it checks itself. */
static void in_transaction(store_body *body)
{
    struct fixture f;
    struct err err = {0};
    fixture_open(&f, "");
    if (store_txn(f.gate.store, body, NULL, &err) != ERR_OK)
        fail_msg("transaction: %s", err.text);
    fixture_close(&f);
}

static void check_code(const char *what, enum err_code got, enum err_code want)
{
    check_str(what, "code", err_code_name(got), err_code_name(want));
}

static struct record record_of(uint64_t repo_id, uint64_t number)
{
    struct record record;
    record_init(&record);
    record.key = (struct pr_key){.repo_id = repo_id, .number = number};
    return record;
}

static enum err_code put_raw(struct store_txn *txn, enum store_table table, const struct pr_key *pr,
                             const uint64_t *seq, struct err *err)
{
    struct buf key;
    buf_init(&key);
    encode_pr_key(&key, pr);
    if (seq != NULL)
        encode_u64(&key, *seq);
    enum err_code code = store_put(txn, table, buf_bytes(&key), (struct bytes){"junk", 4}, err);
    buf_release(&key);
    return code;
}

/* ---- records -------------------------------------------------------------------- */

static enum err_code missing_record_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    struct pr_key pr = {.repo_id = 5, .number = 7};
    struct record record = record_of(1, 2);
    strcpy(record.repo, "left/over");
    record_reserve_head(&record);
    record_add_head(&record, &(struct sha){"aa"}, 1);
    check_code("missing", table_get_record(txn, &pr, STORE_LOCK, &record, err), ERR_NOT_FOUND);
    check_u64("missing", "repo_id", record.key.repo_id, 5);
    check_u64("missing", "number", record.key.number, 7);
    check_str("missing", "repo", record.repo, "");
    check_u64("missing", "heads", record.head_count, 0);
    return ERR_OK;
}

static void test_record_that_is_not_there_is_empty_but_for_its_key(void **state)
{
    (void)state;
    in_transaction(missing_record_body);
}

static enum err_code walk_records_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    static const struct pr_key sorted[] = {{5, 7}, {5, 255}, {5, 256}, {255, 1}, {256, 1}, {1ULL << 40, 9}};
    for (size_t i = COUNT_OF(sorted); i-- > 0;) {
        struct record record = record_of(sorted[i].repo_id, sorted[i].number);
        check_code("put", table_put_record(txn, &record, err), ERR_OK);
    }
    struct record record = record_of(0, 0);
    struct pr_key pr = {0};
    for (size_t i = 0; i < COUNT_OF(sorted); i++, pr.number++) {
        check_code("next", table_next_record(txn, &pr, &record, err), ERR_OK);
        check_u64("walk", "repo_id", pr.repo_id, sorted[i].repo_id);
        check_u64("walk", "number", pr.number, sorted[i].number);
        check_u64("walk", "record's number", record.key.number, sorted[i].number);
    }
    check_code("behind the last", table_next_record(txn, &pr, &record, err), ERR_NOT_FOUND);
    record_release(&record);
    return ERR_OK;
}

static void test_records_are_walked_in_the_order_of_their_numbers(void **state)
{
    (void)state;
    in_transaction(walk_records_body);
}

static enum err_code damaged_record_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    struct pr_key damaged = {.repo_id = 5, .number = 7}, pr = {0};
    struct record record = record_of(5, 8);
    check_code("put", table_put_record(txn, &record, err), ERR_OK);
    check_code("put junk", put_raw(txn, TABLE_PR, &damaged, NULL, err), ERR_OK);
    check_code("get", table_get_record(txn, &damaged, STORE_READ, &record, err), ERR_CORRUPT);
    check_code("next", table_next_record(txn, &pr, &record, err), ERR_CORRUPT);
    check_u64("next", "number", pr.number, 7); /* so that a walk can go on behind it */
    pr.number++;
    check_code("the one behind", table_next_record(txn, &pr, &record, err), ERR_OK);
    check_u64("the one behind", "number", record.key.number, 8);
    record_release(&record);
    return ERR_OK;
}

static void test_damaged_record_is_named_and_can_be_passed(void **state)
{
    (void)state;
    in_transaction(damaged_record_body);
}

/* ---- names and delivery ids ----------------------------------------------------- */

static enum err_code names_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    uint64_t id = 0;
    check_code("unknown", table_get_name(txn, "octo/repo", &id, err), ERR_NOT_FOUND);
    check_code("put", table_put_name(txn, "Octo/Repo", 5, err), ERR_OK);
    check_code("put another", table_put_name(txn, "octo/repo2", 6, err), ERR_OK);
    check_code("get", table_get_name(txn, "oCTO/rEPO", &id, err), ERR_OK);
    check_u64("get", "id", id, 5);
    check_code("put anew", table_put_name(txn, "octo/repo", 9, err), ERR_OK); /* made again on GitHub */
    check_code("get anew", table_get_name(txn, "Octo/Repo", &id, err), ERR_OK);
    check_u64("get anew", "id", id, 9);
    check_code("spoil",
               store_put(txn, TABLE_NAME, (struct bytes){"octo/repo", 9}, (struct bytes){"12345", 5}, err),
               ERR_OK);
    check_code("get spoilt", table_get_name(txn, "octo/repo", &id, err), ERR_CORRUPT);
    return ERR_OK;
}

static void expect_name(struct store_txn *txn, char name[REPO_NAME_SIZE], const char *want, uint64_t want_id)
{
    uint64_t id = 0;
    struct err err = {0};
    enum err_code want_code = want == NULL ? ERR_NOT_FOUND : want_id == 0 ? ERR_CORRUPT : ERR_OK;
    check_code("next", table_next_name(txn, name, &id, &err), want_code);
    if (want != NULL)
        check_str("next", "name", name, want);
    if (want_id != 0)
        check_u64("next", "id", id, want_id);
}

static enum err_code walk_names_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    char name[REPO_NAME_SIZE] = "";
    expect_name(txn, name, NULL, 0);
    table_put_name(txn, "octo/repo-2", 7, err);
    table_put_name(txn, "Octo/Repo", 5, err);
    table_put_name(txn, "acme/x", 6, err);
    store_put(txn, TABLE_NAME, (struct bytes){"octo/bad", 8}, (struct bytes){"12345", 5}, err);
    expect_name(txn, name, "acme/x", 6);
    expect_name(txn, name, "octo/bad", 0);
    expect_name(txn, name, "octo/repo", 5);
    expect_name(txn, name, "octo/repo-2", 7);
    expect_name(txn, name, NULL, 0);
    snprintf(name, sizeof name, "octo/m"); /* a name that is not there will do */
    expect_name(txn, name, "octo/repo", 5);
    return ERR_OK;
}

static void test_names_are_walked_in_their_order(void **state)
{
    (void)state;
    in_transaction(walk_names_body);
}

static void test_names_know_no_case(void **state)
{
    (void)state;
    in_transaction(names_body);
}

static enum err_code seen_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    static const struct {
        const char *name;
        struct pr_key pr;
        const char *delivery;
        enum err_code want;
    } rows[] = {
        {"first", {5, 7}, "d1", ERR_OK},
        {"again", {5, 7}, "d1", ERR_CONFLICT},
        {"and again", {5, 7}, "d1", ERR_CONFLICT},
        {"starts like it", {5, 7}, "d10", ERR_OK},
        {"the start of it", {5, 7}, "d", ERR_OK},
        {"another case", {5, 7}, "D1", ERR_OK},
        {"another pull request", {5, 8}, "d1", ERR_OK},
        {"another repository", {6, 7}, "d1", ERR_OK},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_code(rows[i].name,
                   table_see_delivery(txn, &rows[i].pr, rows[i].delivery, 1000 + (int64_t)i, err),
                   rows[i].want);
    return ERR_OK;
}

static void test_delivery_is_seen_once_for_each_pull_request(void **state)
{
    (void)state;
    in_transaction(seen_body);
}

/* ---- deliveries ----------------------------------------------------------------- */

static enum err_code events_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    struct record one = record_of(5, 255), neighbour = record_of(5, 256);
    struct event event, found;
    uint64_t seq = 0;
    one.next_delivery = 254; /* across the border of a byte */
    for (int i = 0; i < 3; i++) {
        char id[8];
        snprintf(id, sizeof id, "d%d", i);
        event = make_event(EVENT_EDITED, id);
        check_code("append", table_append_event(txn, &one, &event, err), ERR_OK);
        check_code("append", table_append_event(txn, &neighbour, &event, err), ERR_OK);
    }
    check_u64("record", "next_delivery", one.next_delivery, 257);
    for (uint64_t i = 0; i < 3; i++, seq++) {
        check_code("next", table_next_event(txn, &one.key, &seq, &found, err), ERR_OK);
        check_u64("next", "seq", seq, 254 + i);
        check_int("next", "delivery", found.delivery[1], '0' + (int)i);
    }
    check_code("behind the last", table_next_event(txn, &one.key, &seq, &found, err), ERR_NOT_FOUND);
    check_code("remove", table_remove_event(txn, &one.key, 255, err), ERR_OK);
    check_code("remove again", table_remove_event(txn, &one.key, 255, err), ERR_NOT_FOUND);
    seq = 255;
    check_code("next to it", table_next_event(txn, &one.key, &seq, &found, err), ERR_OK);
    check_u64("next to it", "seq", seq, 256);
    return ERR_OK;
}

static void test_deliveries_of_one_pull_request_come_in_order(void **state)
{
    (void)state;
    in_transaction(events_body);
}

/* ---- intents -------------------------------------------------------------------- */

static enum err_code intents_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    struct record one = record_of(5, 7), neighbour = record_of(5, 8), before = record_of(5, 6);
    struct intent intent = {.kind = INTENT_TRIGGER}, found;
    uint64_t seq = 0;
    before.next_intent = UINT64_MAX;
    one.next_intent = 3;
    check_code("append", table_append_intent(txn, &one, &intent, err), ERR_OK);
    check_u64("append", "seq", intent.seq, 3);
    intent.attempts = 9;
    check_code("put", table_put_intent(txn, &one.key, &intent, err), ERR_OK); /* in its place */
    check_code("append", table_append_intent(txn, &one, &intent, err), ERR_OK);
    check_code("append", table_append_intent(txn, &neighbour, &intent, err), ERR_OK);
    check_code("append", table_append_intent(txn, &neighbour, &intent, err), ERR_OK);
    check_code("append", table_append_intent(txn, &before, &intent, err), ERR_OK);
    check_u64("record", "next_intent", one.next_intent, 5);
    check_code("next", table_next_intent(txn, &one.key, &seq, &found, err), ERR_OK);
    check_u64("next", "seq", seq, 3);
    check_u64("next", "attempts", found.attempts, 9);
    check_code("remove", table_remove_intent(txn, &one.key, 3, err), ERR_OK);
    check_code("remove again", table_remove_intent(txn, &one.key, 3, err), ERR_NOT_FOUND);
    check_code("drop", table_drop_intents(txn, &one.key, err), ERR_OK);
    check_code("drop none", table_drop_intents(txn, &one.key, err), ERR_OK);
    seq = 0;
    check_code("dropped", table_next_intent(txn, &one.key, &seq, &found, err), ERR_NOT_FOUND);
    for (uint64_t i = 0; i < 2; i++, seq++) {
        check_code("neighbour's", table_next_intent(txn, &neighbour.key, &seq, &found, err), ERR_OK);
        check_u64("neighbour's", "seq", seq, i);
    }
    check_code("no more", table_next_intent(txn, &neighbour.key, &seq, &found, err), ERR_NOT_FOUND);
    seq = 0;
    check_code("the one before's", table_next_intent(txn, &before.key, &seq, &found, err), ERR_OK);
    check_u64("the one before's", "seq", seq, UINT64_MAX);
    return ERR_OK;
}

static void test_intents_are_dropped_for_one_pull_request_only(void **state)
{
    (void)state;
    in_transaction(intents_body);
}

static enum err_code drop_damaged_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    struct pr_key pr = {.repo_id = 5, .number = 7};
    struct intent found;
    uint64_t seq = 4;
    check_code("put junk", put_raw(txn, TABLE_INTENT, &pr, &seq, err), ERR_OK);
    seq = 0;
    check_code("next", table_next_intent(txn, &pr, &seq, &found, err), ERR_CORRUPT);
    check_u64("next", "seq", seq, 4);
    check_code("drop", table_drop_intents(txn, &pr, err), ERR_OK);
    seq = 0;
    check_code("dropped", table_next_intent(txn, &pr, &seq, &found, err), ERR_NOT_FOUND);
    return ERR_OK;
}

static void test_damaged_intent_is_dropped_like_any(void **state)
{
    (void)state;
    in_transaction(drop_damaged_body);
}

/* ---- quarantine ----------------------------------------------------------------- */

static enum err_code quarantine_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    struct record record = record_of(5, 7);
    struct event event = make_event(EVENT_OPENED, "d1"), found;
    struct buf key, value;
    uint64_t seq = 0, first = 0;
    buf_init(&key);
    buf_init(&value);
    check_code("put junk", put_raw(txn, TABLE_INBOX, &record.key, &seq, err), ERR_OK);
    record.next_delivery = 1;
    check_code("append", table_append_event(txn, &record, &event, err), ERR_OK);
    check_code("next", table_next_event(txn, &record.key, &seq, &found, err), ERR_CORRUPT);
    check_code("move", table_quarantine(txn, TABLE_INBOX, &record.key, seq, err), ERR_OK);
    check_code("next", table_next_event(txn, &record.key, &seq, &found, err), ERR_OK);
    check_u64("next", "seq", seq, 1);
    buf_adds(&key, "inbox/");
    encode_pr_key(&key, &record.key);
    encode_u64(&key, first);
    check_code("kept", store_get(txn, TABLE_QUARANTINE, buf_bytes(&key), STORE_READ, &value, err), ERR_OK);
    check_str("kept", "bytes", buf_text(&value), "junk");
    check_code("nothing there", table_quarantine(txn, TABLE_INTENT, &record.key, 0, err), ERR_NOT_FOUND);
    buf_release(&key);
    buf_release(&value);
    return ERR_OK;
}

static void test_damaged_entry_is_moved_byte_for_byte(void **state)
{
    (void)state;
    in_transaction(quarantine_body);
}

static enum err_code quarantine_missing_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    struct record record = record_of(5, 7);
    struct event event = make_event(EVENT_OPENED, "d1"), found;
    struct buf key;
    uint64_t seq = 0;
    buf_init(&key);
    record.next_delivery = 3;
    check_code("append", table_append_event(txn, &record, &event, err), ERR_OK);
    check_code("the one before", table_quarantine(txn, TABLE_INBOX, &record.key, 2, err), ERR_NOT_FOUND);
    check_code("the one behind", table_quarantine(txn, TABLE_INBOX, &record.key, 4, err), ERR_NOT_FOUND);
    check_code("still there", table_next_event(txn, &record.key, &seq, &found, err), ERR_OK);
    check_u64("still there", "seq", seq, 3);
    check_code("quarantine", store_next(txn, TABLE_QUARANTINE, (struct bytes){0}, &key, NULL, err),
               ERR_NOT_FOUND);
    buf_release(&key);
    return ERR_OK;
}

static void test_entry_that_is_not_there_leaves_its_neighbour_in_the_queue(void **state)
{
    (void)state;
    in_transaction(quarantine_missing_body);
}

static enum err_code quarantine_bytes_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    struct pr_key pr = {.repo_id = 5, .number = 7};
    struct buf queued, kept, value, found;
    buf_init(&queued);
    buf_init(&kept);
    buf_init(&value);
    buf_init(&found);
    encode_pr_key(&queued, &pr);
    encode_u64(&queued, UINT64_MAX);
    buf_adds(&kept, "intent/");
    buf_add(&kept, queued.data, queued.len);
    for (int i = 0; i < 10000; i++) /* over several pages, and every byte there is */
        buf_addc(&value, (char)(i % 256));
    check_code("put", store_put(txn, TABLE_INTENT, buf_bytes(&queued), buf_bytes(&value), err), ERR_OK);
    check_code("move", table_quarantine(txn, TABLE_INTENT, &pr, UINT64_MAX, err), ERR_OK);
    check_code("queue", store_get(txn, TABLE_INTENT, buf_bytes(&queued), STORE_READ, &found, err),
               ERR_NOT_FOUND);
    check_code("kept", store_get(txn, TABLE_QUARANTINE, buf_bytes(&kept), STORE_READ, &found, err), ERR_OK);
    check_u64("kept", "length", found.len, value.len);
    assert_memory_equal(found.data, value.data, value.len);
    buf_release(&queued);
    buf_release(&kept);
    buf_release(&value);
    buf_release(&found);
    return ERR_OK;
}

static void test_any_bytes_at_all_are_kept(void **state)
{
    (void)state;
    in_transaction(quarantine_bytes_body);
}

/* ---- across pull requests --------------------------------------------------------- */

static enum err_code queued_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    static const struct pr_key keys[] = {{5, 7}, {5, 300}, {6, 1}};
    struct pr_key pr = {0};
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        struct record record = record_of(keys[i].repo_id, keys[i].number);
        struct event event = make_event(EVENT_OPENED, "d1");
        check_code("append", table_append_event(txn, &record, &event, err), ERR_OK);
        check_code("append", table_append_event(txn, &record, &event, err), ERR_OK);
    }
    for (size_t i = 0; i < COUNT_OF(keys); i++, pr.number++) {
        check_code("next", table_next_queued(txn, TABLE_INBOX, &pr, err), ERR_OK);
        check_u64("next", "repo_id", pr.repo_id, keys[i].repo_id);
        check_u64("next", "number", pr.number, keys[i].number);
    }
    check_code("behind the last", table_next_queued(txn, TABLE_INBOX, &pr, err), ERR_NOT_FOUND);
    pr = (struct pr_key){0};
    check_code("other queue", table_next_queued(txn, TABLE_INTENT, &pr, err), ERR_NOT_FOUND);
    return ERR_OK;
}

static void test_each_queued_pull_request_is_found_once(void **state)
{
    (void)state;
    in_transaction(queued_body);
}

static void test_entries_are_counted_up_to_the_limit(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    static const struct {
        size_t limit, want;
    } rows[] = {{0, 0}, {1, 1}, {4, 4}, {5, 5}, {6, 5}, {1000, 5}};
    fixture_open(&f, "");
    check_u64("empty", "count", count_table(&f, TABLE_INBOX), 0);
    for (int i = 0; i < 5; i++) {
        char id[8];
        snprintf(id, sizeof id, "d%d", i);
        struct event event = make_event(EVENT_EDITED, id);
        event.key.number += (uint64_t)i / 2;
        put_event(&f, &event, false);
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t count = 99;
        check_code("count", table_count(f.gate.store, TABLE_INBOX, rows[i].limit, &count, &err), ERR_OK);
        check_u64("limited", "count", count, rows[i].want);
    }
    fixture_close(&f);
}

static enum err_code text_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    struct pr_key pr = {.repo_id = 5, .number = 7}, neighbour = {.repo_id = 5, .number = 8};
    struct buf text;
    uint64_t seq = 0;
    buf_init(&text);
    check_code("put", table_put_text(txn, TABLE_LEDGER, &pr, 2, "two", err), ERR_OK);
    check_code("put", table_put_text(txn, TABLE_LEDGER, &pr, 10, "", err), ERR_OK);
    check_code("put", table_put_text(txn, TABLE_LEDGER, &neighbour, 3, "theirs", err), ERR_OK);
    check_code("next", table_next_text(txn, TABLE_LEDGER, &pr, &seq, &text, err), ERR_OK);
    check_u64("next", "seq", seq, 2);
    check_str("next", "text", buf_text(&text), "two");
    seq++;
    check_code("next", table_next_text(txn, TABLE_LEDGER, &pr, &seq, &text, err), ERR_OK);
    check_u64("next", "seq", seq, 10);
    check_str("next", "text", buf_text(&text), "");
    seq++;
    check_code("behind the last", table_next_text(txn, TABLE_LEDGER, &pr, &seq, &text, err), ERR_NOT_FOUND);
    buf_release(&text);
    return ERR_OK;
}

static void test_text_is_kept_under_its_number(void **state)
{
    (void)state;
    in_transaction(text_body);
}

static enum err_code when_seen_body(struct store_txn *txn, void *arg, struct err *err)
{
    static const struct pr_key pr = {.repo_id = 5, .number = 7}, other = {.repo_id = 5, .number = 8};
    int64_t came_ms = 0;
    struct buf key;
    (void)arg;
    check_code("seen", table_see_delivery(txn, &pr, "d1", 1700000000123, err), ERR_OK);
    check_code("seen", table_when_seen(txn, &pr, "d1", &came_ms, err), ERR_OK);
    check_int("seen", "when", came_ms, 1700000000123);
    check_code("never seen", table_when_seen(txn, &pr, "d2", &came_ms, err), ERR_NOT_FOUND);
    check_code("another's", table_when_seen(txn, &other, "d1", &came_ms, err), ERR_NOT_FOUND);
    buf_init(&key);
    encode_pr_key(&key, &pr);
    buf_adds(&key, "d1");
    check_code("damaged", store_put(txn, TABLE_SEEN, buf_bytes(&key), (struct bytes){"?", 1}, err), ERR_OK);
    check_code("damaged", table_when_seen(txn, &pr, "d1", &came_ms, err), ERR_NOT_FOUND);
    buf_release(&key);
    return ERR_OK;
}

static void test_when_a_delivery_came_is_known(void **state)
{
    (void)state;
    in_transaction(when_seen_body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_that_is_not_there_is_empty_but_for_its_key),
        cmocka_unit_test(test_records_are_walked_in_the_order_of_their_numbers),
        cmocka_unit_test(test_damaged_record_is_named_and_can_be_passed),
        cmocka_unit_test(test_names_know_no_case),
        cmocka_unit_test(test_names_are_walked_in_their_order),
        cmocka_unit_test(test_delivery_is_seen_once_for_each_pull_request),
        cmocka_unit_test(test_deliveries_of_one_pull_request_come_in_order),
        cmocka_unit_test(test_intents_are_dropped_for_one_pull_request_only),
        cmocka_unit_test(test_damaged_intent_is_dropped_like_any),
        cmocka_unit_test(test_damaged_entry_is_moved_byte_for_byte),
        cmocka_unit_test(test_entry_that_is_not_there_leaves_its_neighbour_in_the_queue),
        cmocka_unit_test(test_any_bytes_at_all_are_kept),
        cmocka_unit_test(test_each_queued_pull_request_is_found_once),
        cmocka_unit_test(test_entries_are_counted_up_to_the_limit),
        cmocka_unit_test(test_text_is_kept_under_its_number),
        cmocka_unit_test(test_when_a_delivery_came_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
