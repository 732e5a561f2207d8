/*
 * A record, stored and read back, and what happens to damaged ones.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "prgate/buf.h"
#include "prgate/codec.h"
#include "prgate/record.h"
#include "prgate/text.h"

static struct sha sha_of(char digit)
{
    struct sha sha;
    char hex[41];
    memset(hex, digit, 40);
    hex[40] = '\0';
    assert_true(sha_parse(&sha, hex));
    return sha;
}

/* Every field with a value of its own, so that no two can be mistaken for each other. */
static void make_record(struct record *record)
{
    record_init(record);
    record->key = (struct pr_key){.repo_id = UINT64_C(5000000000), .number = 7};
    strcpy(record->repo, "octo/repo");
    record->installation = 77;
    record->view = (struct snapshot){.updated_at = 1700000000, .head = sha_of('b'), .labelled = true};
    strcpy(record->view.title, "h\xc3\xa9llo");
    record->view.author = (struct user){.id = 2, .login = "dependabot[bot]", .bot = true};
    record->read_ms = 101;
    record->opened = true;
    record->ready_at = 102;
    record->reopened_at = 103;
    record->drafted_at = 104;
    record->draft_label_at = 105;
    record->label_removed = sha_of('c');
    record->claim = (struct claim){.held = true, .owner = {{1, 2, 3}}, .token = {4, 5, 6}};
    record->next_delivery = 9;
    record->next_intent = 10;
    record->next_ledger = 11;
    record->due_ms = -1;
    record->failures = 12;
    memset(record->approved_head.hex, 'a', 40);
    record->policies_done = 5;
    record->emergency_by = (struct user){.id = 3, .login = "tim"};
    record->emergency_at_ms = 106;
    record->dequeued_at = 107;
    record->view.same_repo = true;
    record->unlabelled_at = 108;
    record->comments[RECORD_COMMENTS - 2] = 107;
    record->comments[RECORD_COMMENTS - 1] = UINT64_C(5000000001);
    record->explained = 13;
    record->shadow_label = SHADOW_OFF;
    record->shadow_at = 110;
    for (char digit = 'a'; digit <= 'e'; digit++) {
        struct sha sha = sha_of(digit);
        record_reserve_head(record);
        struct head *head = record_add_head(record, &sha, digit);
        head->ci = CI_STARTED;
        head->ci_at_ms = 1000 + digit;
        head->check = CHECK_DONE;
        head->check_reason = WAIT_DRAFT;
        head->approved = digit == 'a' || digit == 'b';
        head->approver = (struct user){.id = 3, .login = "tim"};
        head->approved_at_ms = 2000 + digit;
        head->label_granted = digit == 'b' || digit == 'c';
        head->stale_approval = digit == 'c' || digit == 'd';
        head->refused_approval = digit == 'd' || digit == 'e';
        head->pusher = digit == 'a' ? PUSHER_UNKNOWN : digit == 'b' ? PUSHER_UNTRUSTED : PUSHER_TRUSTED;
        if (digit != 'a')
            head->pushed_by = (struct user){.id = 4, .login = "bob"};
        head->own_label = digit == 'a' || digit == 'e';
        head->reruns = (uint32_t)digit;
        head->ci_before = CI_REFUSED;
        head->rerun_by = (struct user){.id = 4, .login = "max"};
        head->rerun_refused = digit == 'a' || digit == 'd';
        head->rerun_failed = digit == 'b' || digit == 'd';
        head->means = head->approved ? MEANS_BUTTON : MEANS_NONE;
        head->approver_permission = head->approved ? PERMISSION_MAINTAIN : PERMISSION_NONE;
        head->too_soon = digit == 'b' || digit == 'e';
        head->cancelled = (uint32_t)digit - 1;
        head->budget_until_ms = 2000 + digit;
        head->queued = digit == 'a' || digit == 'c';
        head->policies_done = 0x100 * (uint32_t)digit;
        head->came_at = 3000 + digit;
        head->came_known = digit == 'b' || digit == 'c';
        head->label_at = 4000 + digit;
        head->check_id = 5000000000 + (uint64_t)digit;
    }
}

#define SHA_A_HEX "61616161616161616161616161616161616161616161616161616161616161616161616161616161"
#define SHA_B_HEX "62626262626262626262626262626262626262626262626262626262626262626262626262626262"
#define SHA_C_HEX "63636363636363636363636363636363636363636363636363636363636363636363636363636363"

#define NO_COMMENT "0000000000000000"
#define NO_COMMENTS NO_COMMENT NO_COMMENT NO_COMMENT NO_COMMENT NO_COMMENT NO_COMMENT NO_COMMENT

/* make_record() with its first two heads. */
static const struct {
    const char *name, *hex;
} stored[] = {
    {"version, key", "04000000012a05f2000000000000000007"},
    {"repository, installation", "000000096f63746f2f7265706f000000000000004d"},
    {"updated_at", "000000006553f100"},
    {"head", "00000028" SHA_B_HEX},
    {"branches, title", "00000000000000000000000668c3a96c6c6f"},
    {"author", "00000000000000020000000f646570656e6461626f745b626f745d01"},
    {"draft, closed, labelled, mergeable", "00000100"},
    {"read_ms, opened, opening_owed", "00000000000000650100"},
    {"ready_at, reopened_at", "00000000000000660000000000000067"},
    {"drafted_at, draft_label_at", "00000000000000680000000000000069"},
    {"label_removed", "00000028" SHA_C_HEX},
    {"conflict_commented", "00"},
    {"claim", "010102030000000000000000000000000004050600000000000000000000000000"},
    {"next_delivery, next_intent, next_ledger", "0000000000000009000000000000000a000000000000000b"},
    {"due_ms, failures", "ffffffffffffffff0000000c"},
    {"version 3: approved_head", "00000028" SHA_A_HEX},
    {"version 3: policies_done, emergency_by", "0000000500000000000000030000000374696d00"},
    {"version 3: emergency_at_ms", "000000000000006a"},
    {"version 3: dequeued_at", "000000000000006b"},
    {"version 3: same_repo", "01"},
    {"version 3: unlabelled_at", "000000000000006c"},
    {"version 3: comments that do not exist, first half", NO_COMMENTS},
    {"version 3: comments that do not exist, second half", NO_COMMENTS},
    {"version 3: comments, explained", "000000000000006b000000012a05f2010000000d"},
    {"version 4: shadow_label, shadow_at", "02000000000000006e"},
    {"number of heads", "00000002"},
    {"first head", "00000028" SHA_A_HEX},
    {"first head: first_seen_ms, ci, ci_at_ms", "0000000000000061030000000000000449"},
    {"first head: check, reason", "0205"},
    {"first head: approval", "0100000000000000030000000374696d000000000000000831"},
    {"first head: label_granted, stale and refused approval", "000000"},
    {"first head: pusher, own_label", "000000000000000000000000000001"},
    {"first head: reruns, ci before, by whom, refused, failed",
     "00000061050000000000000004000000036d6178000100"},
    {"version 3: first head: means, permission, too_soon", "020400"},
    {"version 3: first head: cancelled, budget_until_ms, queued", "00000060000000000000083101"},
    {"version 3: first head: policies_done", "00006100"},
    {"version 3: first head: came_at, came_known, label_at", "0000000000000c19000000000000001001"},
    {"version 3: first head: check_id", "000000012a05f261"},
    {"second head", "00000028" SHA_B_HEX},
    {"second head: first_seen_ms, ci, ci_at_ms", "000000000000006203000000000000044a"},
    {"second head: check, reason", "0205"},
    {"second head: approval", "0100000000000000030000000374696d000000000000000832"},
    {"second head: label_granted, stale and refused approval", "010000"},
    {"second head: pusher, own_label", "01000000000000000400000003626f620000"},
    {"second head: reruns, ci before, by whom, refused, failed",
     "00000062050000000000000004000000036d6178000001"},
    {"version 3: second head: means, permission, too_soon", "020401"},
    {"version 3: second head: cancelled, budget_until_ms, queued", "00000061000000000000083200"},
    {"version 3: second head: policies_done", "00006200"},
    {"version 3: second head: came_at, came_known, label_at", "0000000000000c1a010000000000001002"},
    {"version 3: second head: check_id", "000000012a05f262"},
};

static void encode(const struct record *record, struct buf *out)
{
    buf_init(out);
    record_encode(record, out);
}

static void check_head(const struct head *got, const struct head *want)
{
    const char *row = want->sha.hex;
    check_str(row, "sha", got->sha.hex, want->sha.hex);
    check_int(row, "first_seen_ms", got->first_seen_ms, want->first_seen_ms);
    check_int(row, "ci", got->ci, want->ci);
    check_int(row, "ci_at_ms", got->ci_at_ms, want->ci_at_ms);
    check_int(row, "check", got->check, want->check);
    check_int(row, "check_reason", got->check_reason, want->check_reason);
    check_bool(row, "approved", got->approved, want->approved);
    check_int(row, "means", got->means, want->means);
    check_int(row, "approver's permission", got->approver_permission, want->approver_permission);
    check_bool(row, "too_soon", got->too_soon, want->too_soon);
    check_u64(row, "cancelled", got->cancelled, want->cancelled);
    check_int(row, "budget_until_ms", got->budget_until_ms, want->budget_until_ms);
    check_bool(row, "queued", got->queued, want->queued);
    check_u64(row, "policies_done", got->policies_done, want->policies_done);
    check_int(row, "came_at", got->came_at, want->came_at);
    check_bool(row, "came_known", got->came_known, want->came_known);
    check_int(row, "label_at", got->label_at, want->label_at);
    check_u64(row, "check_id", got->check_id, want->check_id);
    check_u64(row, "approver's id", got->approver.id, want->approver.id);
    check_str(row, "approver", got->approver.login, want->approver.login);
    check_int(row, "approved_at_ms", got->approved_at_ms, want->approved_at_ms);
    check_bool(row, "label_granted", got->label_granted, want->label_granted);
    check_bool(row, "stale_approval", got->stale_approval, want->stale_approval);
    check_bool(row, "refused_approval", got->refused_approval, want->refused_approval);
    check_int(row, "pusher", got->pusher, want->pusher);
    check_u64(row, "pusher's id", got->pushed_by.id, want->pushed_by.id);
    check_str(row, "pusher", got->pushed_by.login, want->pushed_by.login);
    check_bool(row, "own_label", got->own_label, want->own_label);
    check_u64(row, "reruns", got->reruns, want->reruns);
    check_int(row, "ci_before", got->ci_before, want->ci_before);
    check_u64(row, "who asked's id", got->rerun_by.id, want->rerun_by.id);
    check_str(row, "who asked", got->rerun_by.login, want->rerun_by.login);
    check_bool(row, "rerun_refused", got->rerun_refused, want->rerun_refused);
    check_bool(row, "rerun_failed", got->rerun_failed, want->rerun_failed);
}

static void check_record(const struct record *got, const struct record *want)
{
    check_u64("record", "repo_id", got->key.repo_id, want->key.repo_id);
    check_u64("record", "number", got->key.number, want->key.number);
    check_str("record", "repo", got->repo, want->repo);
    check_u64("record", "installation", got->installation, want->installation);
    check_str("record", "head", got->view.head.hex, want->view.head.hex);
    check_str("record", "title", got->view.title, want->view.title);
    check_str("record", "author", got->view.author.login, want->view.author.login);
    check_int("record", "read_ms", got->read_ms, want->read_ms);
    check_bool("record", "opened", got->opened, want->opened);
    check_bool("record", "opening_owed", got->opening_owed, want->opening_owed);
    check_int("record", "ready_at", got->ready_at, want->ready_at);
    check_int("record", "reopened_at", got->reopened_at, want->reopened_at);
    check_int("record", "drafted_at", got->drafted_at, want->drafted_at);
    check_int("record", "draft_label_at", got->draft_label_at, want->draft_label_at);
    check_str("record", "label_removed", got->label_removed.hex, want->label_removed.hex);
    check_bool("record", "conflict_commented", got->conflict_commented, want->conflict_commented);
    check_bool("record", "claim", got->claim.held, want->claim.held);
    assert_memory_equal(&got->claim.owner, &want->claim.owner, sizeof got->claim.owner);
    assert_memory_equal(got->claim.token, want->claim.token, sizeof got->claim.token);
    check_u64("record", "next_delivery", got->next_delivery, want->next_delivery);
    check_u64("record", "next_intent", got->next_intent, want->next_intent);
    check_u64("record", "next_ledger", got->next_ledger, want->next_ledger);
    check_int("record", "due_ms", got->due_ms, want->due_ms);
    check_u64("record", "failures", got->failures, want->failures);
    check_str("record", "approved_head", got->approved_head.hex, want->approved_head.hex);
    check_u64("record", "policies_done", got->policies_done, want->policies_done);
    check_str("record", "emergency_by", got->emergency_by.login, want->emergency_by.login);
    check_bool("record", "same_repo", got->view.same_repo, want->view.same_repo);
    check_int("record", "emergency_at_ms", got->emergency_at_ms, want->emergency_at_ms);
    check_int("record", "dequeued_at", got->dequeued_at, want->dequeued_at);
    check_int("record", "unlabelled_at", got->unlabelled_at, want->unlabelled_at);
    check_u64("record", "explained", got->explained, want->explained);
    check_int("record", "shadow_label", (int)got->shadow_label, (int)want->shadow_label);
    check_int("record", "shadow_at", got->shadow_at, want->shadow_at);
    assert_memory_equal(got->comments, want->comments, sizeof got->comments);
    check_u64("record", "heads", got->head_count, want->head_count);
    for (size_t i = 0; i < want->head_count; i++)
        check_head(&got->heads[i], &want->heads[i]);
}

static void test_record_comes_back_field_by_field(void **state)
{
    (void)state;
    struct record before, after;
    struct buf bytes;
    struct err err = {0};
    make_record(&before);
    record_init(&after);
    for (int round = 0; round < 4; round++) {
        before.opened = round & 1;
        before.opening_owed = before.conflict_commented = round & 2;
        before.conflict_commented ^= before.opened;
        encode(&before, &bytes);
        /* Into what an earlier one left. */
        assert_int_equal(record_decode(&after, bytes.data, bytes.len, &err), ERR_OK);
        check_record(&after, &before);
        buf_release(&bytes);
    }
    record_release(&before);
    record_release(&after);
}

static void test_record_without_heads_comes_back(void **state)
{
    (void)state;
    struct record before = {.key = {.repo_id = 5, .number = 7}}, after;
    struct buf bytes;
    struct err err = {0};
    make_record(&after);
    encode(&before, &bytes);
    assert_int_equal(record_decode(&after, bytes.data, bytes.len, &err), ERR_OK);
    check_record(&after, &before);
    record_release(&after);
    buf_release(&bytes);
}

/* Exactly as long as it says, on the heap: reading on is caught. */
static enum err_code decode_copy(const unsigned char *bytes, size_t len)
{
    struct record record;
    struct err err = {0};
    record_init(&record);
    unsigned char *copy = mem_alloc(len + (len == 0));
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

/* What is taken in spite of it is a whole record: it can be written and read again. */
static enum err_code decode_changed(const struct buf *bytes)
{
    struct record record, again;
    struct buf written;
    struct err err = {0};
    record_init(&record);
    record_init(&again);
    buf_init(&written);
    enum err_code code = record_decode(&record, bytes->data, bytes->len, &err);
    if (code == ERR_OK) {
        record_encode(&record, &written);
        check_u64("another record", "length", written.len, bytes->len);
        check_int("another record", "code", record_decode(&again, written.data, written.len, &err), ERR_OK);
    } else {
        check_str("changed record", "code", err_code_name(code), "corrupt");
        check_u64("changed record", "heads", record.head_count, 0);
    }
    record_release(&record);
    record_release(&again);
    buf_release(&written);
    return code;
}

static void test_changed_bytes_are_corrupt_or_another_record(void **state)
{
    (void)state;
    struct record record;
    struct buf bytes;
    uint64_t refused = 0, taken = 0;
    make_record(&record);
    encode(&record, &bytes);
    for (size_t i = 0; i < bytes.len; i++)
        for (unsigned change = 1; change < 256; change++) {
            bytes.data[i] ^= (unsigned char)change;
            refused += decode_copy(bytes.data, bytes.len) == ERR_CORRUPT;
            taken += decode_changed(&bytes) == ERR_OK;
            bytes.data[i] ^= (unsigned char)change;
        }
    check_u64("changes", "refused or taken", refused + taken, bytes.len * 255);
    assert_true(refused > 1000);
    assert_true(taken > 1000);
    record_release(&record);
    buf_release(&bytes);
}

/* A number of heads costs no more than the heads that are there. */
static void test_more_heads_than_there_are_bytes_is_corrupt(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 2, 0x10000, 0x7fffffff, 0xffffffff};
    struct record record = {.key = {.repo_id = 5, .number = 7}};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        struct buf bytes;
        char row[32];
        snprintf(row, sizeof row, "%" PRIu32 " heads", counts[i]);
        encode(&record, &bytes);
        bytes.len -= 4; /* none, the last field */
        encode_u32(&bytes, counts[i]);
        check_str(row, "code", err_code_name(decode_copy(bytes.data, bytes.len)), "corrupt");
        buf_release(&bytes);
    }
}

/* What an installed version has stored must be read by the next one. */
static void test_stored_bytes_stay_as_they_are(void **state)
{
    (void)state;
    struct record record;
    struct buf bytes;
    size_t at = 0;
    make_record(&record);
    record.head_count = 2;
    encode(&record, &bytes);
    for (size_t i = 0; i < COUNT_OF(stored); i++) {
        char hex[128] = "";
        size_t len = strlen(stored[i].hex) / 2;
        for (size_t j = 0; j < len && at < bytes.len; j++)
            snprintf(hex + 2 * j, sizeof hex - 2 * j, "%02x", bytes.data[at++]);
        check_str(stored[i].name, "bytes", hex, stored[i].hex);
    }
    check_u64("record", "length", bytes.len, at);
    record_release(&record);
    buf_release(&bytes);
}

static void add_hex(struct buf *out, const char *hex)
{
    for (; *hex != '\0'; hex += 2) {
        char digits[3] = {hex[0], hex[1], '\0'};
        buf_addc(out, (char)strtoul(digits, NULL, 16));
    }
}

/* Did that version have the row? */
static bool had(unsigned version, const char *row)
{
    if ((version < 3 && strncmp(row, "version 3:", 10) == 0) ||
        (version < 4 && strncmp(row, "version 4:", 10) == 0))
        return false;
    return version > 1 || (strstr(row, "reruns") == NULL && strstr(row, "own_label") == NULL);
}

static void forget_version_3(struct record *record)
{
    record->approved_head = (struct sha){0};
    record->policies_done = 0;
    record->emergency_by = (struct user){0};
    record->emergency_at_ms = 0;
    record->dequeued_at = 0;
    record->view.same_repo = false;
    record->unlabelled_at = 0;
    memset(record->comments, 0, sizeof record->comments);
    record->explained = 0;
    for (size_t i = 0; i < record->head_count; i++) {
        struct head *head = &record->heads[i];
        head->means = head->approved ? MEANS_LABEL : MEANS_NONE; /* there was no other */
        head->approver_permission = PERMISSION_NONE;
        head->too_soon = head->queued = head->came_known = false;
        head->came_at = head->label_at = 0;
        head->cancelled = 0;
        head->budget_until_ms = 0;
        head->policies_done = 0;
        head->check_id = 0;
    }
}

static void check_old_version(unsigned version, const struct record *want)
{
    struct record got;
    struct buf bytes;
    struct err err = {0};
    buf_init(&bytes);
    for (size_t i = 0; i < COUNT_OF(stored); i++)
        if (had(version, stored[i].name))
            add_hex(&bytes, stored[i].hex);
    bytes.data[0] = (unsigned char)version;
    make_record(&got); /* nothing of what was there before stays */
    if (record_decode(&got, bytes.data, bytes.len, &err) != ERR_OK)
        fail_msg("version %u: %s", version, err.text);
    check_record(&got, want);
    check_u64("first head", "attempt", head_attempt(&got.heads[0]), want->heads[0].reruns + 1);
    assert_int_equal(decode_copy(bytes.data, bytes.len - 1), ERR_CORRUPT);
    record_release(&got);
    buf_release(&bytes);
}

/* Of before there were re-runs none was asked for, and the next trigger is the second. */
static void test_old_versions_are_read(void **state)
{
    (void)state;
    struct record want;
    make_record(&want);
    want.head_count = 2;
    want.shadow_label = SHADOW_NONE;
    want.shadow_at = 0;
    check_old_version(3, &want);
    forget_version_3(&want);
    check_old_version(2, &want);
    for (size_t i = 0; i < want.head_count; i++) {
        struct head *head = &want.heads[i];
        head->pusher = PUSHER_UNKNOWN;
        head->pushed_by = (struct user){0};
        head->own_label = false;
        head->reruns = 0;
        head->ci_before = CI_NONE;
        head->rerun_by = (struct user){0};
        head->rerun_refused = head->rerun_failed = false;
    }
    check_old_version(1, &want);
    record_release(&want);
}

/* The last head's fields, counted from the end: what no encoder of ours would write. */
static void test_choice_that_nobody_knows_is_corrupt(void **state)
{
    (void)state;
    enum {
        CHECK_ID = 8,
        VERSION_3 = CHECK_ID + 1 + 1 + 1 + 4 + 8 + 1 + 4 + 8 + 1 + 8,
        ASKED = VERSION_3 + 8 + 4 + 3 + 1 + 2,
        BEFORE = ASKED + 1,
        RERUNS = BEFORE + 4
    };
    enum { PUSHER = RERUNS + 1 + 8 + 4 + 3 + 1 + 1, FLAGS = 3 + PUSHER, APPROVER = 8 + 4 + 3 + 1, TIME = 8 };
    enum { REASON = FLAGS + TIME + APPROVER + 1 + 1, CHECK = REASON + 1, CI = CHECK + TIME + 1 };
    static const struct {
        const char *name;
        size_t from_end;
        unsigned end;
    } rows[] = {
        {"ci", CI, CI_STATE_END},
        {"check", CHECK, CHECK_STATE_END},
        {"reason", REASON, WAIT_REASON_END},
        {"approved", REASON - 1, 2},
        {"refused_approval", PUSHER + 1, 2},
        {"pusher", PUSHER, PUSHER_STATE_END},
        {"own_label", RERUNS + 1, 2},
        {"ci before", BEFORE, CI_STATE_END},
        {"rerun_refused", VERSION_3 + 2, 2},
        {"rerun_failed", VERSION_3 + 1, 2},
        {"means", VERSION_3, MEANS_END},
        {"permission", VERSION_3 - 1, PERMISSION_END},
        {"too_soon", VERSION_3 - 2, 2},
        {"queued", CHECK_ID + 4 + 18, 2},
        {"came_known", CHECK_ID + 9, 2},
    };
    struct record record;
    struct buf bytes;
    make_record(&record);
    encode(&record, &bytes);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        unsigned char *at = bytes.data + bytes.len - rows[i].from_end, before = *at;
        for (unsigned value = 0; value < 256; value++) {
            *at = (unsigned char)value;
            check_int(rows[i].name, "code", decode_copy(bytes.data, bytes.len),
                      value < rows[i].end ? ERR_OK : ERR_CORRUPT);
        }
        *at = before;
    }
    record_release(&record);
    buf_release(&bytes);
}

static void test_unknown_version_is_corrupt_and_leaves_an_empty_record(void **state)
{
    (void)state;
    struct record record;
    struct buf bytes;
    struct err err = {0};
    make_record(&record);
    encode(&record, &bytes);
    bytes.data[0] = 5;
    assert_int_equal(record_decode(&record, bytes.data, bytes.len, &err), ERR_CORRUPT);
    check_contains("version", "text", err.text, "version 5");
    check_u64("record", "heads", record.head_count, 0);
    check_str("record", "repository", record.repo, "");
    bytes.data[0] = 0;
    assert_int_equal(decode_copy(bytes.data, bytes.len), ERR_CORRUPT);
    assert_int_equal(decode_copy(bytes.data, 0), ERR_CORRUPT);
    record_release(&record);
    buf_release(&bytes);
}

static void test_copy_is_equal_and_has_heads_of_its_own(void **state)
{
    (void)state;
    struct record record, copy;
    make_record(&record);
    record_init(&copy);
    record_copy(&copy, &record);
    check_record(&copy, &record);
    record.heads[0].ci = CI_REFUSED;
    assert_int_equal(copy.heads[0].ci, CI_STARTED);
    record_release(&record);
    assert_string_equal(copy.heads[4].sha.hex, sha_of('e').hex);
    record_release(&copy);
}

/* The target keeps its memory, be it too small, too large or not needed. */
static void test_copy_replaces_what_was_there(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 5, 0, 3, 5, 2};
    struct record record, copy;
    make_record(&record);
    record_init(&copy);
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        struct sha sha = sha_of('f');
        record.head_count = counts[i];
        record.next_ledger = i;
        record_copy(&copy, &record);
        check_record(&copy, &record);
        assert_true(copy.head_cap >= copy.head_count);
        record_reserve_head(&copy); /* its room is its own, too */
        record_add_head(&copy, &sha, 1);
        check_u64("copy", "heads", copy.head_count, counts[i] + 1);
        assert_null(record_find_head(&record, &sha));
    }
    record_release(&record);
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
        {CI_NONE, WAIT_NOTHING, false, RECORD_AWAITING},
        {CI_NONE, WAIT_STALE_APPROVAL, false, RECORD_AWAITING},
        {CI_NONE, WAIT_NOT_APPROVER, false, RECORD_AWAITING},
        {CI_NONE, WAIT_DRAFT, false, RECORD_AWAITING},
        {CI_NONE, WAIT_NO_LABEL, false, RECORD_AWAITING},
        {CI_DECIDED, WAIT_NOTHING, false, RECORD_TRIGGERED},
        {CI_SENT, WAIT_NOTHING, false, RECORD_TRIGGERED},
        {CI_STARTED, WAIT_NOTHING, false, RECORD_TRIGGERED},
        {CI_STARTED, WAIT_CONFLICT, false, RECORD_TRIGGERED},
        {CI_UNKNOWN, WAIT_NOTHING, false, RECORD_TRIGGERED},
        {CI_REFUSED, WAIT_TRIGGER_FAILED, false, RECORD_AWAITING},
        {CI_NONE, WAIT_CONFLICT, true, RECORD_CLOSED},
        {CI_STARTED, WAIT_NOTHING, true, RECORD_CLOSED},
    };
    struct record record;
    record_init(&record);
    assert_int_equal(record_state(&record), RECORD_NEW);
    record.view.closed = true; /* closed before anything else was heard of it */
    assert_int_equal(record_state(&record), RECORD_CLOSED);
    record.view.closed = false;
    record.view.head = sha_of('a');
    assert_int_equal(record_state(&record), RECORD_NEW); /* nothing is known of that head */
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

/* ---- names ----------------------------------------------------------------------- */

static void test_states_and_reasons_have_names_of_their_own(void **state)
{
    (void)state;
    for (unsigned a = 0; a < CI_STATE_END; a++)
        for (unsigned b = 0; b <= a; b++)
            check_bool(ci_state_name((enum ci_state)a), "equal names",
                       strcmp(ci_state_name((enum ci_state)a), ci_state_name((enum ci_state)b)) == 0, a == b);
    for (unsigned a = 0; a < WAIT_REASON_END; a++) {
        const char *name = wait_reason_name((enum wait_reason)a);
        for (unsigned b = 0; b < a; b++)
            check_bool(name, "its own", strcmp(name, wait_reason_name((enum wait_reason)b)) != 0, true);
        check_bool(name, "has a phrase", wait_reason_phrase((enum wait_reason)a)[0] != '\0',
                   a != WAIT_NOTHING);
    }
    for (unsigned a = RECORD_NEW; a <= RECORD_CLOSED; a++)
        for (unsigned b = RECORD_NEW; b < a; b++)
            check_bool(
                record_state_name((enum record_state)a), "its own",
                strcmp(record_state_name((enum record_state)a), record_state_name((enum record_state)b)) != 0,
                true);
}

static void test_only_ci_that_may_run_counts_as_triggered(void **state)
{
    (void)state;
    static const bool want[CI_STATE_END] = {
        [CI_DECIDED] = true, [CI_SENT] = true, [CI_STARTED] = true, [CI_UNKNOWN] = true};
    for (unsigned ci = 0; ci < CI_STATE_END; ci++) {
        struct head head = {.ci = (enum ci_state)ci};
        check_bool(ci_state_name(head.ci), "triggered", head_is_triggered(&head), want[ci]);
    }
}

static void test_head_is_added_once_and_found_again(void **state)
{
    (void)state;
    struct record record;
    struct sha a = sha_of('a'), b = sha_of('b');
    record_init(&record);
    assert_null(record_find_head(&record, &a));
    for (int round = 0; round < 3; round++) {
        record_reserve_head(&record);
        record_add_head(&record, &a, 10 + round);
        record_reserve_head(&record);
        record_add_head(&record, &b, 20 + round);
    }
    check_u64("record", "heads", record.head_count, 2);
    check_int("a", "first_seen_ms", record_find_head(&record, &a)->first_seen_ms, 10);
    check_int("b", "first_seen_ms", record_find_head(&record, &b)->first_seen_ms, 20);
    record_release(&record);
}

static void test_comments_are_known_again(void **state)
{
    (void)state;
    struct record record;
    record_init(&record);
    /* Later ones first, each twice. */
    for (uint64_t id = 200; id > 200 - RECORD_COMMENTS; id--) {
        assert_false(record_has_comment(&record, id));
        record_add_comment(&record, id);
        record_add_comment(&record, id);
        assert_true(record_has_comment(&record, id));
    }
    for (size_t i = 0; i < RECORD_COMMENTS; i++)
        check_u64("rising", "id", record.comments[i], 201 - RECORD_COMMENTS + i);
    /* What would be the oldest may have been forgotten: it counts as known, and pushes nothing out. */
    assert_true(record_has_comment(&record, 100));
    record_add_comment(&record, 100);
    check_u64("an old one", "lowest", record.comments[0], 201 - RECORD_COMMENTS);
    /* A newer one makes room for itself. */
    assert_false(record_has_comment(&record, 300));
    record_add_comment(&record, 300);
    check_u64("a new one", "lowest", record.comments[0], 202 - RECORD_COMMENTS);
    check_u64("a new one", "highest", record.comments[RECORD_COMMENTS - 1], 300);
    /* And one in between. */
    record_add_comment(&record, 250);
    check_u64("between", "id", record.comments[RECORD_COMMENTS - 2], 250);
    assert_true(record_has_comment(&record, 300) && record_has_comment(&record, 200));
    record_release(&record);
}

static void test_heads_are_found_by_a_prefix(void **state)
{
    (void)state;
    static const char *const heads[] = {"aaaaaaa0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                        "aaaaaaa1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                                        "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"};
    static const struct {
        const char *prefix;
        int found; /* -1: none */
        bool several;
    } rows[] = {{"bbbbbbb", 2, false},   {"aaaaaaa", -1, true},  {"aaaaaaa1", 1, false},
                {"aaaaaaa2", -1, false}, {"ccccccc", -1, false}, {"", -1, true}};
    struct record record;
    record_init(&record);
    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        struct sha sha;
        assert_true(sha_parse(&sha, heads[i]));
        record_reserve_head(&record);
        record_add_head(&record, &sha, 1);
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        bool several = !rows[i].several;
        const struct head *head = record_find_prefix(&record, rows[i].prefix, &several);
        check_str(rows[i].prefix, "head", head == NULL ? "" : head->sha.hex,
                  rows[i].found < 0 ? "" : heads[rows[i].found]);
        check_bool(rows[i].prefix, "several", several, rows[i].several);
    }
    record_release(&record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comments_are_known_again),
        cmocka_unit_test(test_heads_are_found_by_a_prefix),
        cmocka_unit_test(test_record_comes_back_field_by_field),
        cmocka_unit_test(test_record_without_heads_comes_back),
        cmocka_unit_test(test_every_cut_of_a_record_is_corrupt),
        cmocka_unit_test(test_changed_bytes_are_corrupt_or_another_record),
        cmocka_unit_test(test_more_heads_than_there_are_bytes_is_corrupt),
        cmocka_unit_test(test_stored_bytes_stay_as_they_are),
        cmocka_unit_test(test_old_versions_are_read),
        cmocka_unit_test(test_choice_that_nobody_knows_is_corrupt),
        cmocka_unit_test(test_unknown_version_is_corrupt_and_leaves_an_empty_record),
        cmocka_unit_test(test_copy_is_equal_and_has_heads_of_its_own),
        cmocka_unit_test(test_copy_replaces_what_was_there),
        cmocka_unit_test(test_state_has_a_name),
        cmocka_unit_test(test_states_and_reasons_have_names_of_their_own),
        cmocka_unit_test(test_only_ci_that_may_run_counts_as_triggered),
        cmocka_unit_test(test_head_is_added_once_and_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
