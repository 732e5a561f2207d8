#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "fixture.h"
#include "prgate/codec.h"
#include "prgate/store.h"

static void make_dir(char dir[64])
{
    snprintf(dir, 64, "/tmp/prgate-unit-XXXXXX");
    assert_non_null(mkdtemp(dir));
    log_setup(LOG_LEVEL_PANIC, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
}

static void remove_dir(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct bytes text(const char *s)
{
    return (struct bytes){.data = s, .len = strlen(s)};
}

/* ---- access -------------------------------------------------------------------- */

static enum err_code access_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    struct buf value;
    buf_init(&value);
    assert_int_equal(store_get(txn, TABLE_PR, text("a"), STORE_LOCK, &value, err), ERR_NOT_FOUND);
    assert_int_equal(store_put(txn, TABLE_PR, text("a"), text("1"), err), ERR_OK);
    assert_int_equal(store_insert(txn, TABLE_PR, text("a"), text("2"), err), ERR_CONFLICT);
    assert_int_equal(store_get(txn, TABLE_PR, text("a"), STORE_READ, &value, err), ERR_OK);
    assert_string_equal(buf_text(&value), "1");
    assert_int_equal(store_delete(txn, TABLE_PR, text("a"), err), ERR_OK);
    assert_int_equal(store_delete(txn, TABLE_PR, text("a"), err), ERR_NOT_FOUND);
    buf_release(&value);
    return ERR_OK;
}

static enum err_code walk_body(struct store_txn *txn, void *arg, struct err *err)
{
    static const char *const keys[] = {"p/a", "p/b", "p\xff", "p\xff\xff", "q"};
    struct buf *found = arg, key, value;
    buf_init(&key);
    buf_init(&value);
    buf_clear(found);
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        assert_int_equal(store_put(txn, TABLE_NAME, text(keys[i]), text("v"), err), ERR_OK);
    while (store_next(txn, TABLE_NAME, text("p"), &key, &value, err) == ERR_OK) {
        buf_addf(found, "%zu ", key.len);
        assert_string_equal(buf_text(&value), "v");
        buf_addc(&key, '\0');
    }
    buf_release(&key);
    buf_release(&value);
    return ERR_OK;
}

static enum err_code fail_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    assert_int_equal(store_put(txn, TABLE_PR, text("x"), text("1"), err), ERR_OK);
    return err_set(err, ERR_REJECT, 42, "no");
}

static enum err_code get_body(struct store_txn *txn, void *arg, struct err *err)
{
    return store_get(txn, TABLE_PR, text("x"), STORE_READ, arg, err);
}

static void test_entries_are_put_found_and_deleted(void **state)
{
    (void)state;
    char dir[64];
    struct store *store;
    struct err err = {0};
    struct buf found;
    buf_init(&found);
    make_dir(dir);
    assert_int_equal(store_open(&store, dir, &err), ERR_OK);
    assert_int_equal(store_txn(store, access_body, NULL, &err), ERR_OK);
    assert_int_equal(store_txn(store, walk_body, &found, &err), ERR_OK);
    assert_string_equal(buf_text(&found), "3 3 2 3 ");
    assert_int_equal(store_checkpoint(store, &err), ERR_OK);
    buf_release(&found);
    store_close(store);
    remove_dir(dir);
}

static void test_body_that_fails_leaves_nothing(void **state)
{
    (void)state;
    char dir[64];
    struct store *store;
    struct err err = {0};
    struct buf value;
    buf_init(&value);
    make_dir(dir);
    assert_int_equal(store_open(&store, dir, &err), ERR_OK);
    assert_int_equal(store_txn(store, fail_body, NULL, &err), ERR_REJECT);
    assert_int_equal(err.number, 42);
    assert_int_equal(store_txn(store, get_body, &value, &err), ERR_NOT_FOUND);
    buf_release(&value);
    store_close(store);
    remove_dir(dir);
}

static void test_directory_that_cannot_be_made_is_named(void **state)
{
    (void)state;
    char dir[64], below[96];
    struct store *store = NULL;
    struct err err = {0};
    make_dir(dir);
    write_file(dir, "file", "");
    snprintf(below, sizeof below, "%s/file/state", dir);
    assert_int_equal(store_open(&store, below, &err), ERR_FATAL);
    check_contains("error", "text", err.text, below);
    assert_null(store);
    remove_dir(dir);
}

/* ---- counting, by threads and by processes that get killed ------------------------- */

struct count {
    char key[16];
    uint64_t value;
};

static enum err_code count_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct count *count = arg;
    struct buf value;
    buf_init(&value);
    count->value = 0;
    enum err_code code = store_get(txn, TABLE_PR, text(count->key), STORE_LOCK, &value, err);
    if (code == ERR_OK) {
        struct decoder d = decode_start(value.data, value.len);
        count->value = decode_u64(&d);
    }
    if (code == ERR_OK || code == ERR_NOT_FOUND) {
        buf_clear(&value);
        encode_u64(&value, ++count->value);
        code = store_put(txn, TABLE_PR, text(count->key), buf_bytes(&value), err);
    }
    buf_release(&value);
    return code;
}

enum { THREAD_COUNTS = 300, MEMBERS = 4, KILLS = 40 };

static void *count_in_thread(void *arg)
{
    struct store *store = arg;
    struct count count = {.key = "t"};
    uintptr_t failures = 0;
    for (int i = 0; i < THREAD_COUNTS; i++)
        failures += store_txn(store, count_body, &count, NULL) != ERR_OK;
    return (void *)failures;
}

static void test_threads_that_meet_lose_nothing(void **state)
{
    (void)state;
    char dir[64];
    struct store *store;
    struct err err = {0};
    pthread_t threads[3];
    make_dir(dir);
    assert_int_equal(store_open(&store, dir, &err), ERR_OK);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_in_thread, store), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        void *failures;
        pthread_join(threads[i], &failures);
        assert_null(failures);
    }
    struct count count = {.key = "t"};
    assert_int_equal(store_txn(store, count_body, &count, &err), ERR_OK);
    assert_int_equal(count.value, COUNT_OF(threads) * THREAD_COUNTS + 1);
    assert_true(store_get_stats(store).commits > COUNT_OF(threads) * THREAD_COUNTS);
    store_close(store);
    remove_dir(dir);
}

/* Counts for ever and acknowledges each by its key's letter. */
static void count_as_member(const char *dir, int acknowledge)
{
    struct store *store;
    struct err err = {0};
    if (store_open(&store, dir, &err) != ERR_OK)
        _exit(2);
    for (unsigned i = (unsigned)getpid();; i++) {
        struct count count = {0};
        count.key[0] = (char)('a' + i % 5);
        if (store_txn(store, count_body, &count, &err) == ERR_OK && write(acknowledge, count.key, 1) != 1)
            _exit(3);
    }
}

static pid_t start_member(const char *dir, const int ends[2])
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        count_as_member(dir, ends[1]);
    }
    return pid;
}

static void read_acknowledged(int from, uint64_t acknowledged[5])
{
    char letters[4096];
    ssize_t got;
    while ((got = read(from, letters, sizeof letters)) > 0)
        for (ssize_t i = 0; i < got; i++)
            acknowledged[letters[i] - 'a']++;
}

static void test_processes_that_are_killed_lose_nothing_acknowledged(void **state)
{
    (void)state;
    char dir[64];
    int ends[2];
    pid_t members[MEMBERS];
    uint64_t acknowledged[5] = {0};
    make_dir(dir);
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    fcntl(ends[1], F_SETFL, 0); /* the same pipe's writing end blocks: nothing acknowledged is dropped */
    for (int i = 0; i < MEMBERS; i++)
        members[i] = start_member(dir, ends);
    for (int i = 0; i < KILLS; i++) {
        usleep(20000 + (useconds_t)(i * 7919 % 80000));
        read_acknowledged(ends[0], acknowledged);
        kill(members[i % MEMBERS], SIGKILL);
        waitpid(members[i % MEMBERS], NULL, 0);
        members[i % MEMBERS] = start_member(dir, ends);
    }
    uint64_t before = 0, after = 0;
    for (int i = 0; i < 5; i++)
        before += acknowledged[i];
    usleep(2500000); /* whoever is stuck has ended by now */
    read_acknowledged(ends[0], acknowledged);
    for (int i = 0; i < MEMBERS; i++) {
        kill(members[i], SIGKILL);
        waitpid(members[i], NULL, 0);
    }
    close(ends[1]);
    read_acknowledged(ends[0], acknowledged);
    close(ends[0]);
    for (int i = 0; i < 5; i++)
        after += acknowledged[i];
    assert_true(after > before + 100); /* they still got on at the end */

    struct store *store;
    struct err err = {0};
    assert_int_equal(store_open(&store, dir, &err), ERR_OK);
    for (int i = 0; i < 5; i++) {
        struct count count = {0};
        count.key[0] = (char)('a' + i);
        assert_int_equal(store_txn(store, count_body, &count, &err), ERR_OK);
        uint64_t stored = count.value - 1;
        if (stored < acknowledged[i] || stored > acknowledged[i] + KILLS + MEMBERS)
            fail_msg("counter %s: stored %llu, acknowledged %llu", count.key, (unsigned long long)stored,
                     (unsigned long long)acknowledged[i]);
    }
    store_close(store);
    remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_are_put_found_and_deleted),
        cmocka_unit_test(test_body_that_fails_leaves_nothing),
        cmocka_unit_test(test_directory_that_cannot_be_made_is_named),
        cmocka_unit_test(test_threads_that_meet_lose_nothing),
        cmocka_unit_test(test_processes_that_are_killed_lose_nothing_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
