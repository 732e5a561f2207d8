#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
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

/* ---- walking ------------------------------------------------------------------- */

static const struct bytes walked[] = {
    {"\0", 1},        {"a", 1}, {"a\0", 2},  {"a\0\0", 3},    {"a\xff", 2},
    {"a\xff\xff", 3}, {"b", 1}, {"\xff", 1}, {"\xff\xff", 2}, {"\xff\xff\xff", 3},
};

static enum err_code put_walked_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    enum err_code code = ERR_OK;
    for (size_t i = COUNT_OF(walked); i-- > 0 && code == ERR_OK;)
        code = store_put(txn, TABLE_NAME, walked[i], (struct bytes){&"0123456789"[i], 1}, err);
    return code;
}

struct next {
    struct bytes from, prefix;
    char value[4];
    enum err_code code;
};

static enum err_code next_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct next *next = arg;
    struct buf key, value;
    buf_init(&key);
    buf_init(&value);
    buf_add(&key, next->from.data, next->from.len);
    next->code = store_next(txn, TABLE_NAME, next->prefix, &key, &value, err);
    snprintf(next->value, sizeof next->value, "%s", next->code == ERR_OK ? buf_text(&value) : "-");
    if (next->code == ERR_OK) {
        size_t at = (size_t)(next->value[0] - '0');
        check_u64("next", "length of the key", key.len, walked[at].len);
        assert_memory_equal(key.data, walked[at].data, key.len);
    }
    buf_release(&key);
    buf_release(&value);
    return ERR_OK;
}

static void test_next_is_the_first_from_the_key_on_and_below_the_prefix(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct bytes prefix, from;
        const char *want; /* which of `walked` */
    } rows[] = {
        {"all, from the start", {"", 0}, {"", 0}, "0"},
        {"all, from a key that is there", {"", 0}, {"a", 1}, "1"},
        {"all, behind it", {"", 0}, {"a\0", 2}, "2"},
        {"all, between two", {"", 0}, {"a\1", 2}, "4"},
        {"all, behind the last", {"", 0}, {"\xff\xff\xff\0", 4}, "-"},
        {"below a, from the start", {"a", 1}, {"", 0}, "1"},
        {"below a, from before it", {"a", 1}, {"A-longer-one", 12}, "1"},
        {"below a, from within", {"a", 1}, {"a\0\0\0", 4}, "4"},
        {"below a, from its end", {"a", 1}, {"a\xff\xff\0", 4}, "-"},
        {"below a, from behind it", {"a", 1}, {"b", 1}, "-"},
        {"below a zero", {"a\0", 2}, {"", 0}, "2"},
        {"below 0xff, from the start", {"\xff", 1}, {"", 0}, "7"},
        {"below 0xff, behind the first", {"\xff", 1}, {"\xff\0", 2}, "8"},
        {"below 0xff 0xff", {"\xff\xff", 2}, {"\xff", 1}, "8"},
        {"below 0xff 0xff 0xff", {"\xff\xff\xff", 3}, {"", 0}, "9"},
        {"below what is not there", {"a\1", 2}, {"", 0}, "-"},
        {"a shorter key behind a longer prefix", {"a\0\0", 3}, {"b", 1}, "-"},
    };
    char dir[64];
    struct store *store;
    struct err err = {0};
    make_dir(dir);
    assert_int_equal(store_open(&store, dir, &err), ERR_OK);
    assert_int_equal(store_txn(store, put_walked_body, NULL, &err), ERR_OK);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct next next = {.from = rows[i].from, .prefix = rows[i].prefix};
        assert_int_equal(store_txn(store, next_body, &next, &err), ERR_OK);
        check_str(rows[i].name, "found", next.value, rows[i].want);
        check_bool(rows[i].name, "not_found", next.code == ERR_NOT_FOUND, rows[i].want[0] == '-');
    }
    store_close(store);
    remove_dir(dir);
}

/* ---- what was written ------------------------------------------------------------ */

struct entry {
    enum store_table table;
    struct buf value;
};

static enum err_code put_entry_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct entry *entry = arg;
    return store_put(txn, entry->table, text("k"), buf_bytes(&entry->value), err);
}

static enum err_code get_entry_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct entry *entry = arg;
    buf_adds(&entry->value, "left over");
    return store_get(txn, entry->table, text("k"), STORE_READ, &entry->value, err);
}

/* From nothing to several pages, in every table, and still there after the store was closed. */
static void test_values_of_any_size_outlive_the_handle(void **state)
{
    (void)state;
    static const size_t sizes[TABLE_END] = {0, 1, 100, 1000, 4000, 4096, 5000, 65536, 300000, 17};
    char dir[64];
    struct store *store;
    struct err err = {0};
    make_dir(dir);
    assert_int_equal(store_open(&store, dir, &err), ERR_OK);
    for (int table = 0; table < TABLE_END; table++) {
        struct entry entry = {.table = (enum store_table)table};
        memset(buf_reserve(&entry.value, sizes[table] + 1), 'a' + table, sizes[table]);
        entry.value.len = sizes[table];
        assert_int_equal(store_txn(store, put_entry_body, &entry, &err), ERR_OK);
        buf_release(&entry.value);
    }
    store_close(store);
    assert_int_equal(store_open(&store, dir, &err), ERR_OK);
    for (int table = 0; table < TABLE_END; table++) {
        const char *row = store_table_name((enum store_table)table);
        struct entry entry = {.table = (enum store_table)table};
        assert_int_equal(store_txn(store, get_entry_body, &entry, &err), ERR_OK);
        check_u64(row, "size", entry.value.len, sizes[table]);
        for (size_t i = 0; i < entry.value.len; i++)
            if (entry.value.data[i] != 'a' + table)
                fail_msg("%s: byte %zu: got %d, want %d", row, i, entry.value.data[i], 'a' + table);
        buf_release(&entry.value);
    }
    store_close(store);
    remove_dir(dir);
}

static void test_tables_have_names_of_their_own(void **state)
{
    (void)state;
    for (int a = 0; a < TABLE_END; a++)
        for (int b = 0; b < a; b++)
            check_bool(store_table_name((enum store_table)a), "its own",
                       strcmp(store_table_name((enum store_table)a), store_table_name((enum store_table)b)) !=
                           0,
                       true);
    check_str("end", "name", store_table_name(TABLE_END), "?");
}

/* ---- what fails ------------------------------------------------------------------ */

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

static void test_full_disk_passes(void **state)
{
    (void)state;
    char dir[64];
    struct store *store;
    struct err err = {0};
    struct entry entry = {.table = TABLE_PR};
    make_dir(dir);
    assert_int_equal(store_open(&store, dir, &err), ERR_OK);
    buf_adds(&entry.value, "before");
    assert_int_equal(store_txn(store, put_entry_body, &entry, &err), ERR_OK);
    buf_clear(&entry.value);
    buf_adds(&entry.value, "lost");
    fill_disk();
    enum err_code code = store_txn(store, put_entry_body, &entry, &err);
    free_disk();
    check_str("full", "code", err_code_name(code), "retry");
    assert_int_equal(store_txn(store, get_entry_body, &entry, &err), ERR_OK);
    check_str("full", "value", buf_text(&entry.value), "before");
    buf_clear(&entry.value);
    buf_adds(&entry.value, "after");
    assert_int_equal(store_txn(store, put_entry_body, &entry, &err), ERR_OK);
    store_close(store);
    assert_int_equal(store_open(&store, dir, &err), ERR_OK);
    assert_int_equal(store_txn(store, get_entry_body, &entry, &err), ERR_OK);
    check_str("opened anew", "value", buf_text(&entry.value), "after");
    buf_release(&entry.value);
    store_close(store);
    remove_dir(dir);
}

/* ---- two that meet ----------------------------------------------------------------- */

struct meeting {
    struct store *store;
    atomic_bool holding, may_go;
    atomic_int runs;
};

static enum err_code hold_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct meeting *meeting = arg;
    struct buf value;
    buf_init(&value);
    enum err_code code = store_get(txn, TABLE_PR, text("m"), STORE_LOCK, &value, err);
    buf_release(&value);
    atomic_store(&meeting->holding, true);
    while (!atomic_load(&meeting->may_go))
        usleep(1000);
    return code == ERR_NOT_FOUND ? store_put(txn, TABLE_PR, text("m"), text("first"), err) : code;
}

static void *hold(void *arg)
{
    struct meeting *meeting = arg;
    return store_txn(meeting->store, hold_body, meeting, NULL) == ERR_OK ? NULL : arg;
}

/* Lets the holder go at its third run, and must find then what that one has written. */
static enum err_code meet_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct meeting *meeting = arg;
    struct buf value;
    buf_init(&value);
    if (atomic_fetch_add(&meeting->runs, 1) == 2)
        atomic_store(&meeting->may_go, true);
    enum err_code code = store_get(txn, TABLE_PR, text("m"), STORE_LOCK, &value, err);
    if (code == ERR_OK && strcmp(buf_text(&value), "first") != 0)
        code = err_set(err, ERR_CORRUPT, 0, "found \"%s\"", buf_text(&value));
    buf_release(&value);
    return code == ERR_OK ? store_put(txn, TABLE_PR, text("m"), text("second"), err) : code;
}

static void test_body_is_run_again_until_the_other_is_through(void **state)
{
    (void)state;
    char dir[64];
    struct meeting meeting = {.store = NULL};
    struct err err = {0};
    pthread_t holder;
    void *failed;
    make_dir(dir);
    assert_int_equal(store_open(&meeting.store, dir, &err), ERR_OK);
    assert_int_equal(pthread_create(&holder, NULL, hold, &meeting), 0);
    while (!atomic_load(&meeting.holding))
        usleep(1000);
    enum err_code code = store_txn(meeting.store, meet_body, &meeting, &err);
    pthread_join(holder, &failed);
    check_str(err.text, "code", err_code_name(code), "ok");
    assert_null(failed);
    check_bool("second", "ran again", atomic_load(&meeting.runs) > 2, true);
    check_bool("store", "counted it", store_get_stats(meeting.store).retries >= 2, true);
    check_u64("store", "commits", store_get_stats(meeting.store).commits, 2);
    check_u64("store", "recoveries", store_get_stats(meeting.store).recoveries, 0);
    store_close(meeting.store);
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

/* A process that opens the store when it is told to, says so, and waits to be killed. */
struct member {
    pid_t pid;
    int tell, hear;
};

static struct member start_waiting_member(const char *dir)
{
    int to[2], from[2];
    char byte;
    struct store *store;
    struct err err = {0};
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(60); /* should the test fail and forget it */
        if (read(to[0], &byte, 1) != 1 || store_open(&store, dir, &err) != ERR_OK ||
            write(from[1], "o", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(to[0]);
    close(from[1]);
    return (struct member){.pid = pid, .tell = to[1], .hear = from[0]};
}

static void let_open(const struct member *member)
{
    char byte;
    assert_int_equal(write(member->tell, "g", 1), 1);
    assert_int_equal(read(member->hear, &byte, 1), 1);
}

static void end_member(const struct member *member)
{
    kill(member->pid, SIGKILL);
    waitpid(member->pid, NULL, 0);
    close(member->tell);
    close(member->hear);
}

/* A newcomer finds a dead one registered and replaces the regions under everybody who has them open. */
static void test_handle_outlives_the_recovery_of_another_process(void **state)
{
    (void)state;
    char dir[64];
    struct store *store;
    struct err err = {0};
    struct count count = {.key = "s"};
    make_dir(dir);
    struct member dying = start_waiting_member(dir), newcomer = start_waiting_member(dir);
    assert_int_equal(store_open(&store, dir, &err), ERR_OK);
    assert_int_equal(store_txn(store, count_body, &count, &err), ERR_OK);
    let_open(&dying);
    end_member(&dying);
    check_u64("before", "recoveries", store_get_stats(store).recoveries, 0);
    let_open(&newcomer);
    for (uint64_t i = 2; i < 20; i++) {
        int64_t before = clock_now_ms();
        assert_int_equal(store_txn(store, count_body, &count, &err), ERR_OK);
        check_u64("after", "count", count.value, i);
        check_bool("after", "took less than 3 s", clock_now_ms() - before < 3000, true);
    }
    check_u64("after", "recoveries", store_get_stats(store).recoveries, 1);
    end_member(&newcomer);
    store_close(store);
    remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries_are_put_found_and_deleted),
        cmocka_unit_test(test_next_is_the_first_from_the_key_on_and_below_the_prefix),
        cmocka_unit_test(test_values_of_any_size_outlive_the_handle),
        cmocka_unit_test(test_tables_have_names_of_their_own),
        cmocka_unit_test(test_body_that_fails_leaves_nothing),
        cmocka_unit_test(test_directory_that_cannot_be_made_is_named),
        cmocka_unit_test(test_full_disk_passes),
        cmocka_unit_test(test_body_is_run_again_until_the_other_is_through),
        cmocka_unit_test(test_threads_that_meet_lose_nothing),
        cmocka_unit_test(test_handle_outlives_the_recovery_of_another_process),
        cmocka_unit_test(test_processes_that_are_killed_lose_nothing_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
