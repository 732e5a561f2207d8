#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "prgate/codec.h"
#include "prgate/intent.h"

static struct intent make_intent(void)
{
    struct intent intent = {.seq = UINT64_C(5000000000),
                            .kind = INTENT_CHECK_AWAITING,
                            .reason = WAIT_STALE_APPROVAL,
                            .delivery = "72d3162e-cc78-11e3-81ab-4c9367dc0958",
                            .created_ms = INT64_C(1700000000123),
                            .attempts = 3,
                            .sent_ms = -1,
                            .message = MESSAGE_COMMAND_UNKNOWN,
                            .reaction = REACTION_REFUSED,
                            .target = 7,
                            .attempt = 5,
                            .person = {.id = 9, .login = "tim"},
                            .ref = "queue/1"};
    memset(intent.sha.hex, 'a', 40);
    return intent;
}

/* Exactly as long as it says, on the heap: reading on is caught. */
static enum err_code decode_copy(struct intent *intent, const struct buf *bytes, size_t len)
{
    struct err err = {0};
    unsigned char *copy = mem_alloc(len + (len == 0));
    if (len > 0)
        memcpy(copy, bytes->data, len);
    enum err_code code = intent_decode(intent, copy, len, &err);
    free(copy);
    check_bool("decoding", "text", err.text[0] != '\0', code != ERR_OK);
    return code;
}

static void test_intent_comes_back_field_by_field(void **state)
{
    (void)state;
    for (unsigned kind = INTENT_TRIGGER; kind < INTENT_KIND_END; kind++) {
        struct intent want = make_intent(), got;
        struct buf bytes;
        const char *row = intent_kind_name((enum intent_kind)kind);
        want.kind = (enum intent_kind)kind;
        memset(&got, 0x55, sizeof got);
        buf_init(&bytes);
        intent_encode(&want, &bytes);
        check_int(row, "code", decode_copy(&got, &bytes, bytes.len), ERR_OK);
        check_u64(row, "seq", got.seq, want.seq);
        check_int(row, "kind", got.kind, want.kind);
        check_str(row, "sha", got.sha.hex, want.sha.hex);
        check_int(row, "reason", got.reason, want.reason);
        check_str(row, "delivery", got.delivery, want.delivery);
        check_int(row, "created_ms", got.created_ms, want.created_ms);
        check_u64(row, "attempts", got.attempts, want.attempts);
        check_int(row, "sent_ms", got.sent_ms, want.sent_ms);
        check_int(row, "message", got.message, want.message);
        check_int(row, "reaction", got.reaction, want.reaction);
        check_u64(row, "target", got.target, want.target);
        check_u64(row, "attempt", got.attempt, want.attempt);
        check_u64(row, "person", got.person.id, want.person.id);
        check_str(row, "person", got.person.login, want.person.login);
        check_str(row, "ref", got.ref, want.ref);
        buf_release(&bytes);
    }
}

/* What an installed version has written must be read by the next one. */
static void test_stored_bytes_stay_as_they_are(void **state)
{
    (void)state;
    static const unsigned char want[] = "\2\0\0\0\1\x2a\5\xf2\0\4\0\0\0\x28"
                                        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                        "\2\0\0\0\x24"
                                        "72d3162e-cc78-11e3-81ab-4c9367dc0958"
                                        "\0\0\1\x8b\xcf\xe5\x68\x7b\0\0\0\3\xff\xff\xff\xff\xff\xff\xff\xff"
                                        "\4\2\0\0\0\0\0\0\0\7\0\0\0\5"
                                        "\0\0\0\0\0\0\0\x9\0\0\0\3tim\0"
                                        "\0\0\0\7queue/1";
    enum { ADDED = 1 + 1 + 8 + 4 + 8 + 4 + 3 + 1 + 4 + 7 };
    struct intent intent = make_intent();
    struct buf bytes;
    buf_init(&bytes);
    intent_encode(&intent, &bytes);
    check_u64("intent", "length", bytes.len, sizeof want - 1);
    assert_memory_equal(bytes.data, want, sizeof want - 1);
    /* Version 1 ends before the message. */
    struct intent back;
    bytes.data[0] = 1;
    check_int("version 1", "code", decode_copy(&back, &bytes, bytes.len - ADDED), ERR_OK);
    check_int("version 1", "sent_ms", back.sent_ms, intent.sent_ms);
    check_int("version 1", "message", back.message, MESSAGE_NONE);
    check_int("version 1", "one byte more", decode_copy(&back, &bytes, bytes.len - ADDED + 1), ERR_CORRUPT);
    buf_release(&bytes);
}

static void test_dead_letter_comes_back_field_by_field_and_no_cut_of_it_does(void **state)
{
    (void)state;
    static const unsigned char head[] = "\2\0\0\1\x8b\xcf\xe5\x68\x7b\0\0\0\2no";
    struct dead_letter want = {.intent = make_intent(), .died_ms = 1700000000123, .reason = "no"}, got;
    struct buf bytes;
    struct err err = {0};
    buf_init(&bytes);
    dead_letter_encode(&want, &bytes);
    assert_memory_equal(bytes.data, head, sizeof head - 1);
    assert_int_equal(dead_letter_decode(&got, bytes.data, bytes.len, &err), ERR_OK);
    check_int("letter", "died_ms", got.died_ms, want.died_ms);
    check_str("letter", "reason", got.reason, want.reason);
    check_u64("letter", "seq", got.intent.seq, want.intent.seq);
    check_int("letter", "kind", got.intent.kind, want.intent.kind);
    check_str("letter", "sha", got.intent.sha.hex, want.intent.sha.hex);
    check_int("letter", "reason to wait", got.intent.reason, want.intent.reason);
    check_str("letter", "delivery", got.intent.delivery, want.intent.delivery);
    check_int("letter", "created_ms", got.intent.created_ms, want.intent.created_ms);
    check_u64("letter", "attempts", got.intent.attempts, want.intent.attempts);
    check_int("letter", "sent_ms", got.intent.sent_ms, want.intent.sent_ms);
    for (size_t len = 0; len < bytes.len; len++)
        assert_int_equal(dead_letter_decode(&got, bytes.data, len, &err), ERR_CORRUPT);
    buf_addc(&bytes, 0);
    assert_int_equal(dead_letter_decode(&got, bytes.data, bytes.len, &err), ERR_CORRUPT);
    bytes.data[0] = 3;
    assert_int_equal(dead_letter_decode(&got, bytes.data, bytes.len - 1, &err), ERR_CORRUPT);
    buf_release(&bytes);
}

static void test_every_cut_of_an_intent_is_corrupt(void **state)
{
    (void)state;
    struct intent intent = make_intent(), back;
    struct buf bytes;
    buf_init(&bytes);
    intent_encode(&intent, &bytes);
    for (size_t len = 0; len < bytes.len; len++)
        if (decode_copy(&back, &bytes, len) != ERR_CORRUPT)
            fail_msg("cut at %zu of %zu was taken", len, bytes.len);
    buf_addc(&bytes, '\0');
    check_int("one byte more", "code", decode_copy(&back, &bytes, bytes.len), ERR_CORRUPT);
    buf_release(&bytes);
}

/* Where a byte stands in the encoding: version, sequence, kind, SHA with its length, reason. */
enum { VERSION_AT = 0, KIND_AT = 9, REASON_AT = 10 + 4 + 40 };

static void test_bytes_that_mean_nothing_are_corrupt(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t at;
        unsigned low, high; /* what may stand there */
    } rows[] = {
        {"version", VERSION_AT, 2, 2},
        {"kind", KIND_AT, INTENT_TRIGGER, INTENT_KIND_END - 1},
        {"reason", REASON_AT, WAIT_NOTHING, WAIT_REASON_END - 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (unsigned value = 0; value < 256; value++) {
            struct intent intent = make_intent(), back;
            struct buf bytes;
            char row[32];
            bool known = value >= rows[i].low && value <= rows[i].high;
            snprintf(row, sizeof row, "%s %u", rows[i].name, value);
            buf_init(&bytes);
            intent_encode(&intent, &bytes);
            bytes.data[rows[i].at] = (unsigned char)value;
            check_int(row, "code", decode_copy(&back, &bytes, bytes.len), known ? ERR_OK : ERR_CORRUPT);
            buf_release(&bytes);
        }
}

/* What is taken in spite of it is a whole intent: it can be written and read again. */
static void test_changed_bytes_are_corrupt_or_another_intent(void **state)
{
    (void)state;
    struct intent intent = make_intent(), back;
    struct buf bytes, again;
    buf_init(&bytes);
    buf_init(&again);
    intent_encode(&intent, &bytes);
    for (size_t i = 0; i < bytes.len; i++)
        for (unsigned change = 1; change < 256; change++) {
            bytes.data[i] ^= (unsigned char)change;
            enum err_code code = decode_copy(&back, &bytes, bytes.len);
            if (code == ERR_OK) {
                buf_clear(&again);
                intent_encode(&back, &again);
                check_u64("another intent", "length", again.len, bytes.len);
                check_int("another intent", "code", decode_copy(&back, &again, again.len), ERR_OK);
            } else if (code != ERR_CORRUPT) {
                fail_msg("byte %zu: got %s, want corrupt", i, err_code_name(code));
            }
            bytes.data[i] ^= (unsigned char)change;
        }
    buf_release(&bytes);
    buf_release(&again);
}

static void test_kinds_have_names_of_their_own(void **state)
{
    (void)state;
    for (unsigned a = INTENT_TRIGGER; a < INTENT_KIND_END; a++) {
        const char *name = intent_kind_name((enum intent_kind)a);
        check_bool(name, "named", strcmp(name, "?") != 0 && name[0] != '\0', true);
        for (unsigned b = INTENT_TRIGGER; b < a; b++)
            check_bool(name, "its own", strcmp(name, intent_kind_name((enum intent_kind)b)) != 0, true);
    }
    check_str("end", "name", intent_kind_name(INTENT_KIND_END), "?");
    for (unsigned a = MESSAGE_NONE; a < MESSAGE_END; a++)
        for (unsigned b = MESSAGE_NONE; b < a; b++)
            check_bool(message_name((enum message)a), "its own",
                       strcmp(message_name((enum message)a), message_name((enum message)b)) != 0, true);
    check_str("end of messages", "name", message_name(MESSAGE_END), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_intent_comes_back_field_by_field),
        cmocka_unit_test(test_stored_bytes_stay_as_they_are),
        cmocka_unit_test(test_dead_letter_comes_back_field_by_field_and_no_cut_of_it_does),
        cmocka_unit_test(test_every_cut_of_an_intent_is_corrupt),
        cmocka_unit_test(test_bytes_that_mean_nothing_are_corrupt),
        cmocka_unit_test(test_changed_bytes_are_corrupt_or_another_intent),
        cmocka_unit_test(test_kinds_have_names_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
