/*
 * What is stored and read back: records, deliveries, intents, and what happens to damaged ones.
 */
#include "check.h"

#include <stdlib.h>

#include "prgate/codec.h"
#include "prgate/delivery.h"
#include "prgate/intent.h"
#include "prgate/record.h"

static struct sha sha_of(char digit)
{
    struct sha sha;
    char hex[41];
    memset(hex, digit, 40);
    hex[40] = '\0';
    assert_true(sha_parse(&sha, hex));
    return sha;
}

static void make_record(struct record *record)
{
    record_init(record);
    record->key = (struct pr_key){.repo_id = UINT64_C(5000000000), .number = 7};
    strcpy(record->repo, "octo/repo");
    record->installation = 77;
    record->view = (struct snapshot){.updated_at = 1700000000, .head = sha_of('b'), .labelled = true};
    strcpy(record->view.title, "h\xc3\xa9llo");
    record->view.author = (struct user){.id = 2, .login = "dependabot[bot]", .bot = true};
    record->opened = true;
    record->drafted_at = 5;
    record->label_removed = sha_of('b');
    record->claim = (struct claim){.held = true, .owner = {{1, 2, 3}}, .token = {4, 5, 6}};
    record->next_delivery = 9;
    record->due_ms = -1;
    for (char digit = 'a'; digit <= 'e'; digit++) {
        struct sha sha = sha_of(digit);
        record_reserve_head(record);
        struct head *head = record_add_head(record, &sha, digit);
        head->ci = CI_STARTED;
        head->approved = digit == 'b';
        head->approver = (struct user){.id = 3, .login = "tim"};
        head->check_reason = WAIT_DRAFT;
    }
}

static void encode(const struct record *record, struct buf *out)
{
    buf_init(out);
    record_encode(record, out);
}

static void test_record_comes_back_as_it_was(void **state)
{
    (void)state;
    struct record before, after;
    struct buf first, second;
    struct err err = {0};
    make_record(&before);
    encode(&before, &first);
    record_init(&after);
    assert_int_equal(record_decode(&after, first.data, first.len, &err), ERR_OK);
    encode(&after, &second);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    assert_int_equal(after.head_count, 5);
    assert_string_equal(after.view.title, "h\xc3\xa9llo");
    assert_true(after.claim.held);
    assert_int_equal(after.due_ms, -1);
    struct sha b = sha_of('b');
    assert_true(record_find_head(&after, &b)->approved);
    record_release(&before);
    record_release(&after);
    buf_release(&first);
    buf_release(&second);
}

/* Exactly as long as it says, on the heap: reading on is caught. */
static enum err_code decode_copy(const unsigned char *bytes, size_t len)
{
    struct record record;
    struct err err = {0};
    record_init(&record);
    unsigned char *copy = mem_alloc(len);
    memcpy(copy, bytes, len);
    enum err_code code = record_decode(&record, copy, len, &err);
    free(copy);
    record_release(&record);
    return code;
}

static void test_every_cut_of_a_record_is_corrupt(void **state)
{
    (void)state;
    struct record record;
    struct buf bytes;
    make_record(&record);
    encode(&record, &bytes);
    for (size_t len = 0; len < bytes.len; len++)
        if (decode_copy(bytes.data, len) != ERR_CORRUPT)
            fail_msg("cut at %zu of %zu was taken", len, bytes.len);
    buf_addc(&bytes, 'x');
    assert_int_equal(decode_copy(bytes.data, bytes.len), ERR_CORRUPT);
    record_release(&record);
    buf_release(&bytes);
}

static void test_changed_bytes_are_taken_or_refused_but_never_overread(void **state)
{
    (void)state;
    struct record record;
    struct buf bytes;
    int refused = 0;
    make_record(&record);
    encode(&record, &bytes);
    for (size_t i = 0; i < bytes.len; i++)
        for (unsigned flip = 1; flip < 256; flip <<= 1) {
            bytes.data[i] ^= (unsigned char)flip;
            enum err_code code = decode_copy(bytes.data, bytes.len);
            refused += code == ERR_CORRUPT;
            if (code != ERR_OK && code != ERR_CORRUPT)
                fail_msg("byte %zu, bit %u: got %s", i, flip, err_code_name(code));
            bytes.data[i] ^= (unsigned char)flip;
        }
    assert_true(refused > 100);
    record_release(&record);
    buf_release(&bytes);
}

static void test_unknown_version_is_corrupt(void **state)
{
    (void)state;
    static const unsigned char next[] = {2, 0, 0};
    struct record record;
    struct err err = {0};
    record_init(&record);
    assert_int_equal(record_decode(&record, next, sizeof next, &err), ERR_CORRUPT);
    check_contains("version", "text", err.text, "version 2");
}

static void test_copy_has_heads_of_its_own(void **state)
{
    (void)state;
    struct record record, copy;
    make_record(&record);
    record_init(&copy);
    record_copy(&copy, &record);
    record.heads[0].ci = CI_REFUSED;
    assert_int_equal(copy.heads[0].ci, CI_STARTED);
    assert_int_equal(copy.head_count, record.head_count);
    record_release(&record);
    assert_string_equal(copy.heads[4].sha.hex, sha_of('e').hex);
    record_release(&copy);
}

static void test_state_has_a_name(void **state)
{
    (void)state;
    static const struct {
        enum ci_state ci;
        enum wait_reason reason;
        bool closed;
        enum record_state want;
    } rows[] = {
        {CI_NONE, WAIT_UNTRUSTED, false, RECORD_AWAITING},
        {CI_NONE, WAIT_CONFLICT, false, RECORD_CONFLICT},
        {CI_DECIDED, WAIT_NOTHING, false, RECORD_TRIGGERED},
        {CI_UNKNOWN, WAIT_NOTHING, false, RECORD_TRIGGERED},
        {CI_REFUSED, WAIT_TRIGGER_FAILED, false, RECORD_AWAITING},
        {CI_STARTED, WAIT_NOTHING, true, RECORD_CLOSED},
    };
    struct record record;
    record_init(&record);
    assert_int_equal(record_state(&record), RECORD_NEW);
    record.view.head = sha_of('a');
    record_reserve_head(&record);
    struct head *head = record_add_head(&record, &record.view.head, 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        head->ci = rows[i].ci;
        head->check_reason = rows[i].reason;
        record.view.closed = rows[i].closed;
        check_str("state", "name", record_state_name(record_state(&record)), record_state_name(rows[i].want));
    }
    record_release(&record);
}

static void test_delivery_comes_back_and_cuts_are_corrupt(void **state)
{
    (void)state;
    struct event event = {.action = EVENT_LABELED, .received_ms = 5, .label_is_gate = true, .label_id = 9};
    struct event back;
    struct buf first, second;
    struct err err = {0};
    strcpy(event.label, "CICD");
    strcpy(event.delivery, "72d3162e");
    event.pr.head = sha_of('a');
    buf_init(&first);
    buf_init(&second);
    delivery_encode(&event, &first);
    assert_int_equal(delivery_decode(&back, first.data, first.len, &err), ERR_OK);
    delivery_encode(&back, &second);
    assert_memory_equal(first.data, second.data, first.len);
    for (size_t len = 0; len < first.len; len++)
        assert_int_equal(delivery_decode(&back, first.data, len, &err), ERR_CORRUPT);
    first.data[1] = 200; /* an action that nobody knows */
    assert_int_equal(delivery_decode(&back, first.data, first.len, &err), ERR_CORRUPT);
    buf_release(&first);
    buf_release(&second);
}

static void test_intent_comes_back_and_cuts_are_corrupt(void **state)
{
    (void)state;
    struct intent intent = {
        .seq = 3, .kind = INTENT_TRIGGER, .sha = sha_of('a'), .attempts = 2, .sent_ms = 8};
    struct intent back;
    struct buf bytes;
    struct err err = {0};
    buf_init(&bytes);
    intent_encode(&intent, &bytes);
    assert_int_equal(intent_decode(&back, bytes.data, bytes.len, &err), ERR_OK);
    assert_int_equal(back.seq, 3);
    assert_int_equal(back.kind, INTENT_TRIGGER);
    assert_int_equal(back.attempts, 2);
    assert_int_equal(back.sent_ms, 8);
    assert_true(sha_equal(&back.sha, &intent.sha));
    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(intent_decode(&back, bytes.data, len, &err), ERR_CORRUPT);
    buf_release(&bytes);
}

static void test_text_that_does_not_fit_fails_the_decoder(void **state)
{
    (void)state;
    struct buf bytes;
    char small[4];
    buf_init(&bytes);
    encode_text(&bytes, "four");
    struct decoder d = decode_start(bytes.data, bytes.len);
    decode_text(&d, small, sizeof small);
    assert_false(decode_done(&d));
    assert_string_equal(small, "");
    buf_clear(&bytes);
    encode_u32(&bytes, 2);
    buf_add(&bytes, "a\0", 2);
    d = decode_start(bytes.data, bytes.len);
    decode_text(&d, small, sizeof small);
    assert_false(decode_done(&d));
    buf_release(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_comes_back_as_it_was),
        cmocka_unit_test(test_every_cut_of_a_record_is_corrupt),
        cmocka_unit_test(test_changed_bytes_are_taken_or_refused_but_never_overread),
        cmocka_unit_test(test_unknown_version_is_corrupt),
        cmocka_unit_test(test_copy_has_heads_of_its_own),
        cmocka_unit_test(test_state_has_a_name),
        cmocka_unit_test(test_delivery_comes_back_and_cuts_are_corrupt),
        cmocka_unit_test(test_intent_comes_back_and_cuts_are_corrupt),
        cmocka_unit_test(test_text_that_does_not_fit_fails_the_decoder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
