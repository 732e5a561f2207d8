#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "prgate/codec.h"
#include "prgate/delivery.h"

/* Every field with a value of its own, text as long as its field takes. */
static struct event make_event(void)
{
    struct event event = {.action = EVENT_LABELED,
                          .received_ms = INT64_C(1700000000123),
                          .key = {.repo_id = UINT64_C(5000000000), .number = 7},
                          .installation = 77,
                          .sender = {.id = 3, .login = "tim"},
                          .association = ASSOCIATION_INSIDER,
                          .label_id = UINT64_C(10404216443),
                          .label_is_gate = true,
                          .attempt = 4000000000,
                          .command = COMMAND_STATUS,
                          .comment = 5000000000};
    memset(event.delivery, 'd', sizeof event.delivery - 1);
    memset(event.repo, 'r', sizeof event.repo - 1);
    memset(event.label, 'l', sizeof event.label - 1);
    memset(event.sha_prefix, 'f', sizeof event.sha_prefix - 1);
    memset(event.pr.title, 't', sizeof event.pr.title - 1);
    memset(event.pr.head_ref, 'h', sizeof event.pr.head_ref - 1);
    memset(event.pr.base_ref, 'b', sizeof event.pr.base_ref - 1);
    memset(event.pr.head.hex, 'a', 64);
    memset(event.pr.author.login, 'u', sizeof event.pr.author.login - 1);
    event.pr.author.bot = event.pr.draft = event.pr.labelled = event.pr.same_repo = true;
    event.pr.updated_at = 1700000000;
    event.pr.mergeable = MERGEABLE_NO;
    return event;
}

/* Exactly as long as it says, on the heap: reading on is caught. */
static enum err_code decode_copy(struct event *event, const struct buf *bytes, size_t len)
{
    struct err err = {0};
    unsigned char *copy = mem_alloc(len + (len == 0));
    if (len > 0)
        memcpy(copy, bytes->data, len);
    enum err_code code = delivery_decode(event, copy, len, &err);
    free(copy);
    check_bool("decoding", "text", err.text[0] != '\0', code != ERR_OK);
    return code;
}

static void encode(const struct event *event, struct buf *out)
{
    buf_init(out);
    delivery_encode(event, out);
}

static void test_delivery_comes_back_field_by_field(void **state)
{
    (void)state;
    struct event want = make_event(), got;
    struct buf bytes;
    memset(&got, 0x55, sizeof got);
    encode(&want, &bytes);
    check_int("delivery", "code", decode_copy(&got, &bytes, bytes.len), ERR_OK);
    check_int("delivery", "action", got.action, want.action);
    check_str("delivery", "id", got.delivery, want.delivery);
    check_int("delivery", "received_ms", got.received_ms, want.received_ms);
    check_u64("delivery", "repo_id", got.key.repo_id, want.key.repo_id);
    check_u64("delivery", "number", got.key.number, want.key.number);
    check_str("delivery", "repo", got.repo, want.repo);
    check_u64("delivery", "installation", got.installation, want.installation);
    check_u64("delivery", "sender's id", got.sender.id, want.sender.id);
    check_str("delivery", "sender", got.sender.login, want.sender.login);
    check_bool("delivery", "sender is a bot", got.sender.bot, false);
    check_int("delivery", "updated_at", got.pr.updated_at, want.pr.updated_at);
    check_bool("delivery", "author is a bot", got.pr.author.bot, true);
    check_bool("delivery", "draft", got.pr.draft, true);
    check_bool("delivery", "closed", got.pr.closed, false);
    check_bool("delivery", "labelled", got.pr.labelled, true);
    check_bool("delivery", "same_repo", got.pr.same_repo, true);
    check_str("delivery", "title", got.pr.title, want.pr.title);
    check_str("delivery", "head", got.pr.head.hex, want.pr.head.hex);
    check_str("delivery", "head_ref", got.pr.head_ref, want.pr.head_ref);
    check_str("delivery", "base_ref", got.pr.base_ref, want.pr.base_ref);
    check_str("delivery", "author", got.pr.author.login, want.pr.author.login);
    check_int("delivery", "mergeable", got.pr.mergeable, want.pr.mergeable);
    check_int("delivery", "association", got.association, want.association);
    check_str("delivery", "label", got.label, want.label);
    check_u64("delivery", "label_id", got.label_id, want.label_id);
    check_bool("delivery", "label_is_gate", got.label_is_gate, true);
    check_u64("delivery", "attempt", got.attempt, want.attempt);
    check_int("delivery", "command", got.command, want.command);
    check_u64("delivery", "comment", got.comment, want.comment);
    check_str("delivery", "sha_prefix", got.sha_prefix, want.sha_prefix);
    buf_release(&bytes);
}

/* What an installed version has put into the inbox must be read by the next one. */
static void test_stored_bytes_stay_as_they_are(void **state)
{
    (void)state;
    static const unsigned char want[] = "\3\5\0\0\0\1d"       /* version, action, delivery */
                                        "\0\0\0\0\0\0\0\2"    /* received */
                                        "\0\0\0\0\0\0\0\3"    /* repository */
                                        "\0\0\0\0\0\0\0\4"    /* number */
                                        "\0\0\0\3o/r"         /* its name */
                                        "\0\0\0\0\0\0\0\6"    /* installation */
                                        "\0\0\0\0\0\0\0\7"    /* sender */
                                        "\0\0\0\1s\1"         /* login, a bot */
                                        "\0\0\0\0\0\0\0\x8"   /* updated_at */
                                        "\0\0\0\0\0\0\0\1h"   /* no head, its branch */
                                        "\0\0\0\1b\0\0\0\1t"  /* base, title */
                                        "\0\0\0\0\0\0\0\x9"   /* author */
                                        "\0\0\0\1a\0"         /* login, no bot */
                                        "\1\0\0\2\1"          /* draft, open, no label, mergeable; insider */
                                        "\0\0\0\1l"           /* label */
                                        "\0\0\0\0\0\0\0\xa\1" /* its id, the gate's */
                                        "\0\0\0\xb\2"         /* attempt, command */
                                        "\0\0\0\0\0\0\0\xc"   /* comment */
                                        "\0\0\0\2"
                                        "ab\1"; /* commit, the same repository */
    enum { ADDED = 1 + 8 + 4 + 2 + 1 };
    struct event event = {.action = EVENT_LABELED,
                          .delivery = "d",
                          .received_ms = 2,
                          .key = {.repo_id = 3, .number = 4},
                          .repo = "o/r",
                          .installation = 6,
                          .sender = {.id = 7, .login = "s", .bot = true},
                          .association = ASSOCIATION_INSIDER,
                          .label = "l",
                          .label_id = 10,
                          .label_is_gate = true,
                          .attempt = 11,
                          .command = COMMAND_RERUN,
                          .comment = 12,
                          .sha_prefix = "ab"};
    event.pr = (struct snapshot){.updated_at = 8,
                                 .head_ref = "h",
                                 .base_ref = "b",
                                 .title = "t",
                                 .author = {.id = 9, .login = "a"},
                                 .draft = true,
                                 .same_repo = true,
                                 .mergeable = MERGEABLE_YES};
    struct buf bytes;
    encode(&event, &bytes);
    check_u64("delivery", "length", bytes.len, sizeof want - 1);
    assert_memory_equal(bytes.data, want, sizeof want - 1);
    /* Version 1 ends before the attempt. */
    struct event back;
    bytes.data[0] = 1;
    check_int("version 1", "code", decode_copy(&back, &bytes, bytes.len - ADDED - 4), ERR_OK);
    check_str("version 1", "label", back.label, "l");
    check_u64("version 1", "attempt", back.attempt, 0);
    check_int("version 1", "one byte more", decode_copy(&back, &bytes, bytes.len - ADDED - 3), ERR_CORRUPT);
    bytes.data[0] = 2;
    check_int("version 2", "code", decode_copy(&back, &bytes, bytes.len - ADDED), ERR_OK);
    check_u64("version 2", "attempt", back.attempt, 11);
    check_int("version 2", "command", back.command, COMMAND_NONE);
    check_int("version 2", "one byte more", decode_copy(&back, &bytes, bytes.len - ADDED + 1), ERR_CORRUPT);
    buf_release(&bytes);
}

static void test_every_action_comes_back_and_no_other_is_taken(void **state)
{
    (void)state;
    struct event event = make_event(), back;
    struct buf bytes;
    encode(&event, &bytes);
    for (unsigned number = 0; number < 256; number++) {
        char row[32];
        bool known = number >= EVENT_OPENED && number <= EVENT_OPERATOR_RETRIGGER;
        snprintf(row, sizeof row, "action %u", number);
        bytes.data[1] = (unsigned char)number; /* behind the version */
        check_int(row, "code", decode_copy(&back, &bytes, bytes.len), known ? ERR_OK : ERR_CORRUPT);
        if (known)
            check_u64(row, "action", back.action, number);
    }
    buf_release(&bytes);
}

/* Counted from the end: a label's id, whether it is the gate's, and before them the label. */
static void test_choice_that_nobody_knows_is_corrupt(void **state)
{
    (void)state;
    enum {
        SAME_REPO = 1,
        COMMAND = SAME_REPO + 1 + 8 + 4 + SHA_SIZE - 1,
        GATE = COMMAND + 1 + 4,
        ASSOCIATION = GATE + 8 + (LABEL_SIZE - 1) + 4 + 1
    };
    static const struct {
        const char *name;
        size_t from_end;
        unsigned end;
    } rows[] = {
        {"same_repo", SAME_REPO, 2},
        {"command", COMMAND, COMMAND_END},
        {"label_is_gate", GATE, 2},
        {"association", ASSOCIATION, ASSOCIATION_INSIDER + 1},
        {"mergeable", ASSOCIATION + 1, MERGEABLE_YES + 1},
    };
    struct event event = make_event(), back;
    struct buf bytes;
    encode(&event, &bytes);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned char *at = bytes.data + bytes.len - rows[i].from_end, before = *at;
        for (unsigned value = 0; value < 256; value++) {
            *at = (unsigned char)value;
            check_int(rows[i].name, "code", decode_copy(&back, &bytes, bytes.len),
                      value < rows[i].end ? ERR_OK : ERR_CORRUPT);
        }
        *at = before;
    }
    buf_release(&bytes);
}

static void test_other_versions_are_corrupt(void **state)
{
    (void)state;
    struct event event = make_event(), back;
    struct buf bytes;
    encode(&event, &bytes);
    for (unsigned version = 0; version < 256; version++) {
        bytes.data[0] = (unsigned char)version;
        check_int("version", "code", decode_copy(&back, &bytes, bytes.len),
                  version == 3 ? ERR_OK : ERR_CORRUPT);
    }
    buf_release(&bytes);
}

static void test_every_cut_of_a_delivery_is_corrupt(void **state)
{
    (void)state;
    struct event event = make_event(), back;
    struct buf bytes;
    encode(&event, &bytes);
    for (size_t len = 0; len < bytes.len; len++)
        if (decode_copy(&back, &bytes, len) != ERR_CORRUPT)
            fail_msg("cut at %zu of %zu was taken", len, bytes.len);
    buf_addc(&bytes, '\0');
    check_int("one byte more", "code", decode_copy(&back, &bytes, bytes.len), ERR_CORRUPT);
    buf_release(&bytes);
}

/* What is taken in spite of it is a whole delivery: it can be written and read again. */
static void test_changed_bytes_are_corrupt_or_another_delivery(void **state)
{
    (void)state;
    struct event event = make_event(), back;
    struct buf bytes, again;
    int taken = 0, refused = 0;
    encode(&event, &bytes);
    buf_init(&again);
    for (size_t i = 0; i < bytes.len; i++)
        for (unsigned flip = 1; flip < 256; flip <<= 1) {
            bytes.data[i] ^= (unsigned char)flip;
            enum err_code code = decode_copy(&back, &bytes, bytes.len);
            if (code == ERR_OK) {
                taken++;
                buf_clear(&again);
                delivery_encode(&back, &again);
                check_u64("another delivery", "length", again.len, bytes.len);
                check_int("another delivery", "code", decode_copy(&back, &again, again.len), ERR_OK);
            } else {
                refused++;
                check_str("changed byte", "code", err_code_name(code), "corrupt");
            }
            bytes.data[i] ^= (unsigned char)flip;
        }
    assert_true(taken > 100);
    assert_true(refused > 100);
    buf_release(&bytes);
    buf_release(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delivery_comes_back_field_by_field),
        cmocka_unit_test(test_stored_bytes_stay_as_they_are),
        cmocka_unit_test(test_every_action_comes_back_and_no_other_is_taken),
        cmocka_unit_test(test_choice_that_nobody_knows_is_corrupt),
        cmocka_unit_test(test_other_versions_are_corrupt),
        cmocka_unit_test(test_every_cut_of_a_delivery_is_corrupt),
        cmocka_unit_test(test_changed_bytes_are_corrupt_or_another_delivery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
