/*
 * Nobody hears of what is not on disk, and a sync that failed is not forgotten.
 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fixture.h"
#include "prgate/store.h"

/* ---- in the place of libc's --------------------------------------------------------- */

static atomic_int fail_next; /* so many calls fail with EIO */
static atomic_int calls;
static atomic_bool hold;       /* calls wait while this is set... */
static atomic_bool held;       /* ... and one does */
static atomic_ulong step;      /* of what is told apart by its order */
static atomic_ulong synced_at; /* the first since it was set to 0 */

int fdatasync(int fd)
{
    atomic_fetch_add(&calls, 1);
    while (atomic_load(&hold)) {
        atomic_store(&held, true);
        sched_yield();
    }
    int left = atomic_load(&fail_next);
    while (left > 0 && !atomic_compare_exchange_weak(&fail_next, &left, left - 1))
        continue;
    if (left > 0) {
        errno = EIO;
        return -1;
    }
    int code = (int)syscall(SYS_fdatasync, fd);
    unsigned long none = 0;
    atomic_compare_exchange_strong(&synced_at, &none, atomic_fetch_add(&step, 1) + 1);
    return code;
}

/* ---- a store ------------------------------------------------------------------------ */

struct place {
    char dir[32];
    struct store *store;
};

static void place_open(struct place *place)
{
    struct err err = {0};
    *place = (struct place){.dir = "/tmp/prgate-unit-XXXXXX"};
    assert_non_null(mkdtemp(place->dir));
    log_setup(LOG_LEVEL_PANIC, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    assert_int_equal(store_open(&place->store, place->dir, &err), ERR_OK);
}

static void place_close(struct place *place)
{
    store_close(place->store);
    nftw(place->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static bool is_marked(const struct place *place)
{
    char path[64];
    snprintf(path, sizeof path, "%s/db/unsynced", place->dir);
    return access(path, F_OK) == 0;
}

static struct bytes text(const char *s)
{
    return (struct bytes){.data = s, .len = strlen(s)};
}

static enum err_code put_body(struct store_txn *txn, void *arg, struct err *err)
{
    return store_put(txn, TABLE_PR, text("key"), text(arg), err);
}

static enum err_code put(struct place *place, const char *value, struct err *err)
{
    char copy[16];
    snprintf(copy, sizeof copy, "%s", value);
    return store_txn(place->store, put_body, copy, err);
}

struct look {
    struct buf value;
    atomic_bool seen; /* the body has read it */
};

static enum err_code look_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct look *look = arg;
    enum err_code code = store_get(txn, TABLE_PR, text("key"), STORE_READ, &look->value, err);
    atomic_store(&look->seen, true);
    return code;
}

static void check_stored(struct place *place, const char *want)
{
    struct look look = {0};
    struct err err = {0};
    buf_init(&look.value);
    assert_int_equal(store_txn(place->store, look_body, &look, &err), ERR_OK);
    check_str("stored", "value", buf_text(&look.value), want);
    buf_release(&look.value);
}

/* ---- on disk first ------------------------------------------------------------------ */

static void *put_new(void *arg)
{
    return put(arg, "new", NULL) == ERR_OK ? NULL : arg;
}

struct reader {
    struct place *place;
    struct look look;
    enum err_code code;
    unsigned long returned_at;
};

static void *read_new(void *arg)
{
    struct reader *reader = arg;
    reader->code = store_txn(reader->place->store, look_body, &reader->look, NULL);
    reader->returned_at = atomic_fetch_add(&step, 1) + 1;
    return NULL;
}

/* It only reads, but what it reads is on its way to the disk: a duplicate's answer must not be out before. */
static void test_reader_does_not_return_before_what_it_read_is_on_disk(void **state)
{
    (void)state;
    struct place place;
    struct err err = {0};
    pthread_t writing, reading;
    void *failed;
    place_open(&place);
    assert_int_equal(put(&place, "old", &err), ERR_OK);
    struct reader reader = {.place = &place};
    buf_init(&reader.look.value);
    atomic_store(&synced_at, 0);
    atomic_store(&held, false);
    atomic_store(&hold, true);
    assert_int_equal(pthread_create(&writing, NULL, put_new, &place), 0);
    while (!atomic_load(&held))
        sched_yield();
    assert_int_equal(pthread_create(&reading, NULL, read_new, &reader), 0);
    while (!atomic_load(&reader.look.seen))
        sched_yield();
    for (int i = 0; i < 1000; i++)
        sched_yield(); /* a chance to return too early */
    atomic_store(&hold, false);
    pthread_join(writing, &failed);
    assert_null(failed);
    pthread_join(reading, NULL);
    assert_int_equal(reader.code, ERR_OK);
    check_str("read", "value", buf_text(&reader.look.value), "new");
    assert_true(reader.returned_at > atomic_load(&synced_at));
    buf_release(&reader.look.value);
    place_close(&place);
}

/* ---- a sync that fails -------------------------------------------------------------- */

/* Berkeley DB would ask again, and the kernel then says that all is well. */
static void test_sync_that_failed_once_has_all_written_anew(void **state)
{
    (void)state;
    struct place place;
    struct err err = {0};
    place_open(&place);
    assert_int_equal(put(&place, "old", &err), ERR_OK);
    int before = atomic_load(&calls);
    atomic_store(&fail_next, 1);
    assert_int_equal(put(&place, "new", &err), ERR_OK);
    assert_int_equal(store_get_stats(place.store).recoveries, 1);
    /* Each table and the log, at least. */
    assert_true(atomic_load(&calls) - before > (int)TABLE_END);
    assert_false(is_marked(&place));
    check_stored(&place, "new");
    place_close(&place);
}

static void test_nothing_is_acknowledged_while_syncs_fail(void **state)
{
    (void)state;
    struct place place;
    struct err err = {0};
    struct look look = {0};
    buf_init(&look.value);
    place_open(&place);
    assert_int_equal(put(&place, "old", &err), ERR_OK);
    atomic_store(&fail_next, 1000000);
    check_str("failing", "write", err_code_name(put(&place, "new", &err)), "retry");
    check_contains("failing", "text", err.text, strerror(EIO));
    check_contains("failing", "text", err.text, place.dir);
    assert_true(is_marked(&place));
    check_str("failing", "read", err_code_name(store_txn(place.store, look_body, &look, &err)), "retry");
    atomic_store(&fail_next, 0);
    assert_int_equal(put(&place, "after", &err), ERR_OK);
    assert_false(is_marked(&place));
    check_stored(&place, "after");
    buf_release(&look.value);
    place_close(&place);
}

static enum err_code fill_body(struct store_txn *txn, void *arg, struct err *err)
{
    static char value[2 * 1024 * 1024];
    (void)arg;
    return store_put(txn, TABLE_LEDGER, text("large"), (struct bytes){.data = value, .len = sizeof value},
                     err);
}

/* Of a table: no transaction waits for it, and the process may end before the next one. */
static void test_checkpoint_that_fails_is_told_to_all(void **state)
{
    (void)state;
    struct place place;
    struct err err = {0};
    place_open(&place);
    assert_int_equal(store_txn(place.store, fill_body, NULL, &err), ERR_OK);
    atomic_store(&fail_next, 1);
    check_str("failing", "checkpoint", err_code_name(store_checkpoint(place.store, &err)), "retry");
    check_contains("failing", "text", err.text, strerror(EIO));
    assert_true(is_marked(&place));
    assert_int_equal(put(&place, "after", &err), ERR_OK);
    assert_false(is_marked(&place));
    assert_int_equal(store_checkpoint(place.store, &err), ERR_OK);
    place_close(&place);
}

/* A process found the mark of one that ended before it could recover. */
static void test_mark_of_another_process_has_all_written_anew(void **state)
{
    (void)state;
    struct place place;
    struct err err = {0};
    char path[64];
    place_open(&place);
    assert_int_equal(put(&place, "old", &err), ERR_OK);
    store_close(place.store);
    snprintf(path, sizeof path, "%s/db/unsynced", place.dir);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
    atomic_store(&fail_next, 1);
    check_str("failing", "open", err_code_name(store_open(&place.store, place.dir, &err)), "fatal");
    check_contains("failing", "text", err.text, strerror(EIO));
    assert_true(is_marked(&place));
    assert_int_equal(store_open(&place.store, place.dir, &err), ERR_OK);
    assert_false(is_marked(&place));
    check_stored(&place, "old");
    place_close(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reader_does_not_return_before_what_it_read_is_on_disk),
        cmocka_unit_test(test_sync_that_failed_once_has_all_written_anew),
        cmocka_unit_test(test_nothing_is_acknowledged_while_syncs_fail),
        cmocka_unit_test(test_checkpoint_that_fails_is_told_to_all),
        cmocka_unit_test(test_mark_of_another_process_has_all_written_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
