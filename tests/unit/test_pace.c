/*
 * Chores that a pool does one process at a time: when they are due, who is at them, and what outlives whom.
 */
#include "check.h"

#include <pthread.h>

#include "fixture.h"
#include "prgate/codec.h"
#include "prgate/pace.h"
#include "prgate/text.h"

enum { HOUR_S = 3600 };

static bool take(struct fixture *f, struct turn *turn)
{
    return pace_take(&f->gate, PACE_RECONCILE, HOUR_S, turn);
}

/* ---- the row as another process left it, of a version that did not know where a round began ---- */

struct row {
    struct process_id holder;
    struct process_id member;
    int64_t taken_ms, effect_ms, done_ms, failed_ms;
    uint32_t failures;
    const char *cursor;
};

static enum err_code put_row_body(struct store_txn *txn, void *arg, struct err *err)
{
    return store_put(txn, TABLE_SHARED, (struct bytes){"pace/reconcile", 14}, buf_bytes(arg), err);
}

static void put_bytes(struct fixture *f, struct buf *value)
{
    struct err err = {0};
    assert_int_equal(store_txn(f->gate.store, put_row_body, value, &err), ERR_OK);
    buf_release(value);
}

static void put_row(struct fixture *f, const struct row *row)
{
    char hex[512];
    struct buf rest, value;
    buf_init(&rest);
    buf_init(&value);
    encode_u8(&rest, 1);
    encode_bytes(&rest, row->holder.bytes, sizeof row->holder.bytes);
    encode_bytes(&rest, row->member.bytes, sizeof row->member.bytes);
    encode_i64(&rest, row->taken_ms);
    encode_i64(&rest, row->effect_ms);
    encode_i64(&rest, row->failed_ms);
    encode_u32(&rest, row->failures);
    encode_text(&rest, row->cursor == NULL ? "" : row->cursor);
    text_hex(rest.data, rest.len, hex);
    encode_i64(&value, row->done_ms);
    encode_text(&value, hex);
    put_bytes(f, &value);
    buf_release(&rest);
}

/* ---- tests ---- */

static void test_it_is_due_by_its_interval(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t done_ago_ms; /* -1: never */
        bool due;
    } rows[] = {{"never done", -1, true},
                {"just done", 0, false},
                {"almost", HOUR_S * 1000 - 5000, false},
                {"over", HOUR_S * 1000, true},
                {"in the future, by a clock that was set back", -60000, true}};
    struct fixture f;
    struct turn turn;
    fixture_open(&f, "");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t now_ms = clock_now_ms();
        struct row row = {.done_ms = rows[i].done_ago_ms == -1 ? 0 : now_ms - rows[i].done_ago_ms};
        put_row(&f, &row);
        check_bool(rows[i].name, "due", take(&f, &turn), rows[i].due);
        if (rows[i].due)
            pace_end(&f.gate, &turn, PACE_DONE);
        check_bool(rows[i].name, "due again", take(&f, &turn), false);
    }
    fixture_close(&f);
}

static void test_failures_come_again_sooner_and_ever_later(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t failures;
        int64_t failed_ago_ms;
        bool due;
    } rows[] = {{"first, at once", 1, 0, false},         {"first, later", 1, 15000, true},
                {"second, too soon", 2, 15000, false},   {"second, later", 2, 30000, true},
                {"tenth, too soon", 10, 1800000, false}, {"tenth, later", 10, 1920000, true}};
    struct fixture f;
    struct turn turn;
    fixture_open(&f, "");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t now_ms = clock_now_ms();
        struct row row = {.failures = rows[i].failures, .failed_ms = now_ms - rows[i].failed_ago_ms};
        put_row(&f, &row);
        check_bool(rows[i].name, "due", take(&f, &turn), rows[i].due);
    }
    pace_end(&f.gate, &turn, PACE_FAILED);
    check_bool("failed", "due", take(&f, &turn), false);
    fixture_close(&f);
}

static void test_who_is_at_it_keeps_it_while_it_lives(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct turn turn;
    struct row row = {0};
    fixture_configure(&f, "", "");
    pid_t child = start_process(&f, &row.holder);
    fixture_open_gate(&f);
    put_row(&f, &row);
    check_bool("another lives", "taken", take(&f, &turn), false);
    kill_process(child);
    check_bool("it died", "taken", take(&f, &turn), true);
    fixture_close(&f);
}

static void test_what_an_error_left_to_this_process_is_taken_again(void **state)
{
    (void)state;
    struct fixture f;
    struct turn turn;
    fixture_open(&f, "");
    assert_true(take(&f, &turn));
    assert_true(take(&f, &turn));
    fixture_close(&f);
}

static void test_cursor_outlives_who_dies_on_the_way(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct turn turn;
    struct row row = {.cursor = "octo/a"};
    fixture_configure(&f, "", "");
    pid_t child = start_process(&f, &row.holder);
    fixture_open_gate(&f);
    put_row(&f, &row);
    kill_process(child);
    assert_true(take(&f, &turn));
    check_str("taken over", "cursor", turn.cursor, "octo/a");
    pace_note(&f.gate, &turn, "octo/b");
    check_str("noted", "cursor", turn.cursor, "octo/b");
    gate_close(&f.gate); /* it ends, too */
    fixture_open_gate(&f);
    assert_true(take(&f, &turn));
    check_str("the next life", "cursor", turn.cursor, "octo/b");
    fixture_close(&f);
}

static void test_who_does_not_have_it_changes_nothing(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct turn turn = {.name = PACE_RECONCILE};
    struct row row = {.cursor = "octo/a"};
    fixture_configure(&f, "", "");
    pid_t child = start_process(&f, &row.holder);
    fixture_open_gate(&f);
    put_row(&f, &row);
    pace_note(&f.gate, &turn, "octo/z");
    pace_end(&f.gate, &turn, PACE_DONE);
    check_bool("still theirs", "taken", take(&f, &turn), false);
    kill_process(child);
    assert_true(take(&f, &turn));
    check_str("still theirs", "cursor", turn.cursor, "octo/a");
    fixture_close(&f);
}

/* The pool was away, and is back: whatever the interval says. One process that joins others is no such case. */
static void test_start_of_a_pool_makes_it_due(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct turn turn;
    struct row row = {.cursor = "octo/a"};
    fixture_configure(&f, "", "");
    pid_t child = start_process(&f, &row.member);
    fixture_open_gate(&f);
    row.done_ms = clock_now_ms();
    put_row(&f, &row);
    pace_join(&f.gate, PACE_RECONCILE, true);
    check_bool("another lives", "due", take(&f, &turn), false);
    kill_process(child);
    pace_join(&f.gate, PACE_RECONCILE, false);
    check_bool("a survivor notices", "due", take(&f, &turn), false);
    pace_join(&f.gate, PACE_RECONCILE, true);
    check_bool("one more, the survivor lives", "due", take(&f, &turn), false);
    gate_close(&f.gate);
    fixture_open_gate(&f);
    pace_join(&f.gate, PACE_RECONCILE, true);
    check_bool("all were away", "due", take(&f, &turn), true);
    check_str("all were away", "cursor", turn.cursor, "octo/a");
    check_str("all were away", "begun", turn.begun, "octo/a");
    fixture_close(&f);
}

/* What the turn has done since may be of no use to the pool that has just started. */
static void test_start_during_a_turn_makes_it_due_after_that(void **state)
{
    (void)state;
    static const enum pace_result results[] = {PACE_DONE, PACE_EFFECT, PACE_FAILED};
    static const char *const names[] = {"done", "effect", "failed"};
    for (size_t i = 0; i < COUNT_OF(results); i++) {
        struct fixture f;
        struct turn turn, next;
        struct row row = {.cursor = "octo/a"};
        fixture_open(&f, "");
        put_row(&f, &row);
        assert_true(take(&f, &turn));
        check_str(names[i], "begun", turn.begun, "");
        check_bool(names[i], "noted", pace_note(&f.gate, &turn, "octo/b"), true);
        pace_join(&f.gate, PACE_RECONCILE, true);
        check_bool(names[i], "noted after the start", pace_note(&f.gate, &turn, "octo/c"), false);
        pace_end(&f.gate, &turn, results[i]);
        check_bool(names[i], "due", take(&f, &next), true);
        check_str(names[i], "cursor", next.cursor, "octo/b");
        check_str(names[i], "begun", next.begun, "octo/b");
        pace_end(&f.gate, &next, PACE_DONE);
        check_bool(names[i], "due once", take(&f, &next), false);
        fixture_close(&f);
    }
}

static void test_where_a_round_began_outlives_who_dies_on_the_way(void **state)
{
    (void)state;
    struct fixture f;
    struct turn turn;
    char cursor[PACE_CURSOR_SIZE], begun[PACE_CURSOR_SIZE];
    memset(cursor, 'c', sizeof cursor - 1);
    memset(begun, 'b', sizeof begun - 1);
    cursor[sizeof cursor - 1] = begun[sizeof begun - 1] = '\0';
    fixture_open(&f, "");
    assert_true(take(&f, &turn));
    memcpy(turn.begun, begun, sizeof begun);
    pace_note(&f.gate, &turn, cursor);
    gate_close(&f.gate);
    fixture_open_gate(&f);
    pace_join(&f.gate, PACE_RECONCILE, false);
    assert_true(take(&f, &turn));
    check_str("the next life", "cursor", turn.cursor, cursor);
    check_str("the next life", "begun", turn.begun, begun);
    fixture_close(&f);
}

static void test_start_ends_the_wait_after_failures(void **state)
{
    (void)state;
    struct fixture f;
    struct turn turn;
    struct row row = {.failures = 9};
    fixture_open(&f, "");
    row.done_ms = row.failed_ms = clock_now_ms();
    put_row(&f, &row);
    check_bool("before", "due", take(&f, &turn), false);
    pace_join(&f.gate, PACE_RECONCILE, true);
    check_bool("after", "due", take(&f, &turn), true);
    fixture_close(&f);
}

static void test_who_follows_waits_for_what_comes_of_it(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t done_ago_ms, effect_ago_ms; /* -1: never */
        bool settled;
    } rows[] = {{"due", -1, -1, false},
                {"done, for nothing", 1000, -1, true},
                {"done, and something comes", 1000, 1000, false},
                {"done, and it came", 40000, 40000, true}};
    struct fixture f;
    fixture_open(&f, "");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t now_ms = clock_now_ms();
        struct row row = {.done_ms = rows[i].done_ago_ms < 0 ? 0 : now_ms - rows[i].done_ago_ms,
                          .effect_ms = rows[i].effect_ago_ms < 0 ? 0 : now_ms - rows[i].effect_ago_ms};
        put_row(&f, &row);
        check_bool(rows[i].name, "settled", pace_is_settled(&f.gate, PACE_RECONCILE, HOUR_S),
                   rows[i].settled);
    }
    struct turn turn;
    put_row(&f, &(struct row){0});
    assert_true(take(&f, &turn));
    check_bool("begun", "settled", pace_is_settled(&f.gate, PACE_RECONCILE, HOUR_S), false);
    pace_end(&f.gate, &turn, PACE_EFFECT);
    check_bool("ended with an effect", "settled", pace_is_settled(&f.gate, PACE_RECONCILE, HOUR_S), false);
    put_row(&f, &(struct row){.holder = *alive_self(f.gate.alive), .taken_ms = clock_now_ms() - 61000});
    check_bool("begun long ago", "settled", pace_is_settled(&f.gate, PACE_RECONCILE, HOUR_S), true);
    fixture_close(&f);
}

static void test_damaged_row_counts_as_never_done(void **state)
{
    (void)state;
    struct fixture f;
    struct turn turn;
    struct buf junk;
    fixture_open(&f, "");
    buf_init(&junk);
    buf_adds(&junk, "junk");
    put_bytes(&f, &junk);
    assert_true(take(&f, &turn));
    check_str("damaged", "cursor", turn.cursor, "");
    fixture_close(&f);
}

static void test_chores_do_not_share_their_pace(void **state)
{
    (void)state;
    struct fixture f;
    struct turn turn;
    fixture_open(&f, "");
    assert_true(take(&f, &turn));
    pace_end(&f.gate, &turn, PACE_DONE);
    assert_true(pace_take(&f.gate, PACE_REDELIVER, HOUR_S, &turn));
    fixture_close(&f);
}

/* Looks are frequent: they must not write. */
static void test_look_that_changes_nothing_writes_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct turn turn;
    struct row row = {0};
    fixture_open(&f, "");
    row.done_ms = clock_now_ms();
    row.member = *alive_self(f.gate.alive);
    put_row(&f, &row);
    char path[128];
    struct stat before, after;
    snprintf(path, sizeof path, "%s/state/db/log.0000000001", f.dir);
    assert_int_equal(stat(path, &before), 0);
    for (int i = 0; i < 50; i++) {
        pace_join(&f.gate, PACE_RECONCILE, false);
        assert_false(take(&f, &turn));
    }
    assert_int_equal(stat(path, &after), 0);
    assert_true(before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
                before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_is_due_by_its_interval),
        cmocka_unit_test(test_failures_come_again_sooner_and_ever_later),
        cmocka_unit_test(test_who_is_at_it_keeps_it_while_it_lives),
        cmocka_unit_test(test_what_an_error_left_to_this_process_is_taken_again),
        cmocka_unit_test(test_cursor_outlives_who_dies_on_the_way),
        cmocka_unit_test(test_who_does_not_have_it_changes_nothing),
        cmocka_unit_test(test_start_of_a_pool_makes_it_due),
        cmocka_unit_test(test_start_during_a_turn_makes_it_due_after_that),
        cmocka_unit_test(test_where_a_round_began_outlives_who_dies_on_the_way),
        cmocka_unit_test(test_start_ends_the_wait_after_failures),
        cmocka_unit_test(test_who_follows_waits_for_what_comes_of_it),
        cmocka_unit_test(test_damaged_row_counts_as_never_done),
        cmocka_unit_test(test_chores_do_not_share_their_pace),
        cmocka_unit_test(test_look_that_changes_nothing_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
