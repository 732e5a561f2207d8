/*
 * A dump holds everything and comes back as it was; a damaged one is refused whole, with the line.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fixture.h"
#include "prgate/codec.h"
#include "prgate/dump.h"
#include "prgate/ledger.h"

/* ---- a store with an entry of every kind ------------------------------------------------- */

static enum err_code fill_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct gate *gate = arg;
    struct event event = make_event(EVENT_OPENED, "d1");
    struct record record = {.key = event.key, .repo = "octo/repo", .view = event.pr};
    struct intent intent = {.kind = INTENT_ADD_LABEL, .created_ms = 5};
    struct dead_letter letter = {.intent = {.seq = 3, .kind = INTENT_TRIGGER}, .died_ms = 7, .reason = "no"};
    static const unsigned char junk[] = {0, 1, 0xFF, 0x80, 0};
    struct bytes bytes = {junk, sizeof junk};
    record.claim = claims_new(gate->claims);
    strcpy(record.view.title, "\"quotes\", \\ and \xc3\xa9\n");
    enum err_code code = table_append_event(txn, &record, &event, err);
    code = code != ERR_OK ? code : table_append_intent(txn, &record, &intent, err);
    code = code != ERR_OK ? code : table_put_dead(txn, &record.key, &letter, err);
    code =
        code != ERR_OK ? code : ledger_add_note(txn, &record, &event, "a \"note\"\t\xf0\x9f\x9a\x80", 9, err);
    code = code != ERR_OK ? code : table_see_delivery(txn, &record.key, "d1", 11, err);
    code = code != ERR_OK ? code : table_put_name(txn, "octo/repo", 5, err);
    code = code != ERR_OK ? code : table_put_record(txn, &record, err);
    code = code != ERR_OK ? code : store_put(txn, TABLE_TRUST, (struct bytes){"identity", 8}, bytes, err);
    code = code != ERR_OK ? code : store_put(txn, TABLE_SHARED, (struct bytes){"token/77", 8}, bytes, err);
    code = code != ERR_OK ? code : store_put(txn, TABLE_QUARANTINE, bytes, (struct bytes){"", 0}, err);
    /* One that nobody can decode, in the middle of those that can be. */
    record.key.number = 8;
    struct buf key;
    buf_init(&key);
    encode_pr_key(&key, &record.key);
    code = code != ERR_OK ? code : store_put(txn, TABLE_PR, buf_bytes(&key), bytes, err);
    buf_release(&key);
    return code;
}

static void fill(struct fixture *f)
{
    struct err err = {0};
    fixture_open(f, "");
    if (store_txn(f->gate.store, fill_body, &f->gate, &err) != ERR_OK)
        fail_msg("filling: %s", err.text);
}

/* The caller frees it. */
static char *dump(struct store *store)
{
    char *text = NULL;
    size_t size = 0;
    struct err err = {0};
    FILE *out = open_memstream(&text, &size);
    if (dump_write(store, out, &err) != ERR_OK)
        fail_msg("dump: %s", err.text);
    fclose(out);
    return text;
}

static enum err_code load(const char *state_dir, const char *text, size_t len, size_t *entries,
                          struct err *err)
{
    FILE *in = fmemopen((void *)(uintptr_t)text, len, "r");
    enum err_code code = dump_load(state_dir, in, entries, err);
    fclose(in);
    return code;
}

static size_t count_in(struct store *store, enum store_table table)
{
    struct err err = {0};
    size_t count = 0;
    assert_int_equal(table_count(store, table, 100, &count, &err), ERR_OK);
    return count;
}

static enum err_code claim_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct record *record = arg;
    struct pr_key key = {.repo_id = 5, .number = 7};
    return table_get_record(txn, &key, STORE_READ, record, err);
}

/* ---- there and back ---------------------------------------------------------------------- */

static void test_everything_comes_back(void **state)
{
    (void)state;
    struct fixture f;
    struct store *store;
    struct record record;
    struct err err = {0};
    char fresh[96];
    size_t entries = 0;
    fill(&f);
    snprintf(fresh, sizeof fresh, "%s/fresh", f.dir);
    char *first = dump(f.gate.store);
    enum err_code code = load(fresh, first, strlen(first), &entries, &err);
    check_str(err.text, "code", err_code_name(code), "ok");
    check_u64("load", "entries", entries, 10);
    assert_int_equal(store_open(&store, fresh, &err), ERR_OK);
    char *second = dump(store);
    check_str("dump, load, dump", "text", second, first);
    for (int i = 0; i < TABLE_END; i++)
        check_u64(store_table_name((enum store_table)i), "count", count_in(store, (enum store_table)i),
                  i == TABLE_SHARED ? 0 : count_table(&f, (enum store_table)i));
    record_init(&record);
    assert_int_equal(store_txn(store, claim_body, &record, &err), ERR_OK);
    check_bool("claim", "held", record.claim.held, false);
    check_str("record", "title", record.view.title, "\"quotes\", \\ and \xc3\xa9\n");
    record_release(&record);
    store_close(store);
    free(first);
    free(second);
    fixture_close(&f);
}

static void test_dump_tells_no_secret_and_can_be_read(void **state)
{
    (void)state;
    struct fixture f;
    fill(&f);
    char *text = dump(f.gate.store);
    check_contains("dump", "first line", text, "{\"prgate_dump\":1,");
    check_contains("dump", "ledger", text, "a \\\\\\\"note");
    check_contains("dump", "name of the record", text, "\"about\":\"octo/repo#7\"");
    check_contains("dump", "last line", text, "{\"end\":true,\"entries\":10}\n");
    check_bool("dump", "tokens", strstr(text, "\"shared\"") != NULL, false);
    check_bool("dump", "token's key", strstr(text, "746f6b656e2f3737") != NULL, false);
    free(text);
    fixture_close(&f);
}

/* ---- what is refused ------------------------------------------------------------------------ */

/* Line `number` of the text, counted from 1. */
static char *line_of(char *text, int number)
{
    for (; number > 1; number--)
        text = strchr(text, '\n') + 1;
    return text;
}

static void expect_nothing(const char *row, const char *state_dir)
{
    char path[128];
    check_bool(row, "no store", store_is_there(state_dir), false);
    snprintf(path, sizeof path, "%s/loading", state_dir);
    check_bool(row, "nothing left", access(path, F_OK) == 0, false);
}

/* One byte of each line, in the middle of its key, and other mischief. */
static void test_damaged_line_is_refused_with_its_number(void **state)
{
    (void)state;
    struct fixture f;
    char fresh[96], want[32];
    fill(&f);
    snprintf(fresh, sizeof fresh, "%s/fresh", f.dir);
    char *good = dump(f.gate.store);
    for (int line = 1; line <= 12; line++) {
        static const int places[] = {3, 30, 60};
        for (size_t i = 0; i < COUNT_OF(places); i++) {
            if (line == 1 && i > 0) /* the version of the program that wrote it: for readers */
                continue;
            struct err err = {0};
            size_t entries;
            char *bad = mem_strdup(good), *at = line_of(bad, line);
            size_t len = strcspn(at, "\n"), place = (size_t)places[i] < len ? (size_t)places[i] : len / 2;
            at[place] = at[place] == '1' ? '2' : '1';
            snprintf(want, sizeof want, "line %d: ", line);
            check_str(want, at, err_code_name(load(fresh, bad, strlen(bad), &entries, &err)), "reject");
            check_contains(want, "text", err.text, want);
            check_contains(want, "text", err.text, "nothing was loaded");
            expect_nothing(want, fresh);
            free(bad);
        }
    }
    free(good);
    fixture_close(&f);
}

static void test_dump_that_is_not_whole_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int drop, repeat; /* lines */
        const char *want;
    } rows[] = {
        {"cut off", 12, 0, "closing line is missing"},
        {"a line less", 5, 0, "lines are missing"},
        {"no beginning", 1, 0, "line 1: "},
        {"a line twice", 0, 5, "line 6: the same key came before"},
        {"two ends", 0, 12, "line 13: more lines"},
    };
    struct fixture f;
    char fresh[96];
    fill(&f);
    snprintf(fresh, sizeof fresh, "%s/fresh", f.dir);
    char *good = dump(f.gate.store);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct err err = {0};
        struct buf bad;
        size_t entries;
        buf_init(&bad);
        for (int line = 1; line <= 12; line++) {
            char *at = line_of(good, line);
            int times = line == rows[i].drop ? 0 : line == rows[i].repeat ? 2 : 1;
            for (; times > 0; times--)
                buf_add(&bad, at, strcspn(at, "\n") + 1);
        }
        enum err_code code = load(fresh, buf_text(&bad), bad.len, &entries, &err);
        check_str(rows[i].name, "code", err_code_name(code), "reject");
        check_contains(rows[i].name, "text", err.text, rows[i].want);
        expect_nothing(rows[i].name, fresh);
        buf_release(&bad);
    }
    free(good);
    fixture_close(&f);
}

static void test_only_an_empty_store_is_loaded(void **state)
{
    (void)state;
    struct fixture f;
    struct store *store;
    struct err err = {0};
    char state_dir[96];
    size_t entries;
    fill(&f);
    snprintf(state_dir, sizeof state_dir, "%s/state", f.dir);
    char *text = dump(f.gate.store);
    assert_int_equal(load(state_dir, text, strlen(text), &entries, &err), ERR_REJECT);
    check_contains("in use", "text", err.text, "stop the pool");
    gate_close(&f.gate);
    assert_int_equal(load(state_dir, text, strlen(text), &entries, &err), ERR_REJECT);
    check_contains("not empty", "text", err.text, "has entries");
    assert_int_equal(store_open(&store, state_dir, &err), ERR_OK);
    check_u64("not empty", "stays as it is", count_in(store, TABLE_SHARED), 1);
    store_close(store);
    snprintf(state_dir, sizeof state_dir, "%s/new", f.dir);
    assert_int_equal(store_open(&store, state_dir, &err), ERR_OK); /* made, and never written to */
    store_close(store);
    enum err_code code = load(state_dir, text, strlen(text), &entries, &err);
    check_str(err.text, "empty", err_code_name(code), "ok");
    free(text);
    fixture_open_gate(&f);
    fixture_close(&f);
}

static void test_dump_that_cannot_be_written_is_an_error(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    fill(&f);
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    assert_int_equal(dump_write(f.gate.store, full, &err), ERR_FATAL);
    check_contains("full", "text", err.text, "incomplete");
    fclose(full);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_comes_back),
        cmocka_unit_test(test_dump_tells_no_secret_and_can_be_read),
        cmocka_unit_test(test_damaged_line_is_refused_with_its_number),
        cmocka_unit_test(test_dump_that_is_not_whole_is_refused),
        cmocka_unit_test(test_only_an_empty_store_is_loaded),
        cmocka_unit_test(test_dump_that_cannot_be_written_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
