#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
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
    static const size_t sizes[TABLE_END] = {0, 1, 100, 1000, 4000, 4096, 5000, 65536, 300000, 17, 100};
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

static enum err_code before_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    assert_int_equal(store_put(txn, TABLE_PR, text("changed"), text("before"), err), ERR_OK);
    assert_int_equal(store_put(txn, TABLE_INBOX, text("deleted"), text("there"), err), ERR_OK);
    return ERR_OK;
}

static enum err_code fail_body(struct store_txn *txn, void *arg, struct err *err)
{
    const bool *ends_well = arg;
    assert_int_equal(store_put(txn, TABLE_PR, text("new"), text("1"), err), ERR_OK);
    assert_int_equal(store_put(txn, TABLE_PR, text("changed"), text("after"), err), ERR_OK);
    assert_int_equal(store_insert(txn, TABLE_SEEN, text("inserted"), text("1"), err), ERR_OK);
    assert_int_equal(store_delete(txn, TABLE_INBOX, text("deleted"), err), ERR_OK);
    return *ends_well ? ERR_OK : err_set(err, ERR_REJECT, 42, "no");
}

/* Appends "table/key=value " of all that there is. */
static enum err_code list_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct buf *list = arg, key, value;
    buf_init(&key);
    buf_init(&value);
    buf_clear(list);
    enum err_code code = ERR_NOT_FOUND;
    for (int table = 0; table < TABLE_END && code == ERR_NOT_FOUND; table++) {
        buf_clear(&key);
        while ((code = store_next(txn, (enum store_table)table, text(""), &key, &value, err)) == ERR_OK) {
            buf_addf(list, "%s/%s=", store_table_name((enum store_table)table), buf_text(&key));
            buf_addf(list, "%s ", buf_text(&value));
            buf_addc(&key, '\0');
        }
    }
    buf_release(&key);
    buf_release(&value);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
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
    struct buf list;
    bool ends_well = false;
    buf_init(&list);
    make_dir(dir);
    assert_int_equal(store_open(&store, dir, &err), ERR_OK);
    assert_int_equal(store_txn(store, before_body, NULL, &err), ERR_OK);
    assert_int_equal(store_txn(store, fail_body, &ends_well, &err), ERR_REJECT);
    assert_int_equal(err.number, 42);
    assert_int_equal(store_txn(store, list_body, &list, &err), ERR_OK);
    check_str("failed", "entries", buf_text(&list), "pr/changed=before inbox/deleted=there ");
    ends_well = true; /* the same without the failure leaves its mark */
    assert_int_equal(store_txn(store, fail_body, &ends_well, &err), ERR_OK);
    assert_int_equal(store_txn(store, list_body, &list, &err), ERR_OK);
    check_str("ended well", "entries", buf_text(&list), "pr/changed=after pr/new=1 seen/inserted=1 ");
    buf_release(&list);
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
    struct store *store, *other; /* those of one never meet: they are run in batches */
    atomic_bool holding, may_go;
    atomic_int runs;
    bool careless; /* the second body takes no notice of the conflict */
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
    return store_txn(meeting->other, hold_body, meeting, NULL) == ERR_OK ? NULL : arg;
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
    if (meeting->careless && code != ERR_OK)
        return ERR_OK;
    return code == ERR_OK ? store_put(txn, TABLE_PR, text("m"), text("second"), err) : code;
}

static void let_meet(bool careless)
{
    char dir[64];
    struct meeting meeting = {.careless = careless};
    struct err err = {0};
    pthread_t holder;
    void *failed;
    make_dir(dir);
    assert_int_equal(store_open(&meeting.store, dir, &err), ERR_OK);
    assert_int_equal(store_open(&meeting.other, dir, &err), ERR_OK);
    assert_int_equal(pthread_create(&holder, NULL, hold, &meeting), 0);
    while (!atomic_load(&meeting.holding))
        usleep(1000);
    enum err_code code = store_txn(meeting.store, meet_body, &meeting, &err);
    atomic_store(&meeting.may_go, true); /* should it not have come to a third run */
    pthread_join(holder, &failed);
    check_str(err.text, "code", err_code_name(code), "ok");
    assert_null(failed);
    check_bool("second", "ran again", atomic_load(&meeting.runs) > 2, true);
    check_bool("store", "counted it", store_get_stats(meeting.store).retries >= 2, true);
    check_u64("store", "commits", store_get_stats(meeting.store).commits, 1);
    check_u64("other", "commits", store_get_stats(meeting.other).commits, 1);
    check_u64("store", "recoveries", store_get_stats(meeting.store).recoveries, 0);
    store_close(meeting.other);
    store_close(meeting.store);
    remove_dir(dir);
}

static void test_body_is_run_again_until_the_other_is_through(void **state)
{
    (void)state;
    let_meet(false);
}

/* What it wrote without what was locked must not be committed, whatever it says. */
static void test_body_that_takes_no_notice_is_run_again_all_the_same(void **state)
{
    (void)state;
    let_meet(true);
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

enum { THREAD_COUNTS = 500, KEYS = 5, MEMBERS = 4, KILLS = 50, GET_ON_MS = 20000 };

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

/* A pool whose members count for ever, and a pipe for what they acknowledge: one byte, member and key. */
struct pool {
    char dir[64];
    int ends[2];
    pid_t members[MEMBERS];
    uint64_t acknowledged[MEMBERS][KEYS];
    int ended; /* by themselves, as the watchdog has it where a thread is stuck */
};

static void count_as_member(const struct pool *pool, unsigned member)
{
    struct store *store;
    struct err err = {0};
    alarm(120); /* should the test fail and forget it */
    close(pool->ends[0]);
    if (store_open(&store, pool->dir, &err) != ERR_OK) {
        dprintf(STDERR_FILENO, "a member cannot open the store: %s\n", err.text);
        _exit(2);
    }
    for (unsigned i = (unsigned)getpid();; i++) {
        struct count count = {.key = {(char)('a' + i % KEYS)}};
        unsigned char byte = (unsigned char)(member * KEYS + i % KEYS);
        enum err_code code = store_txn(store, count_body, &count, &err);
        if (code != ERR_OK && code != ERR_RETRY)
            _exit(3);
        if (code == ERR_OK && write(pool->ends[1], &byte, 1) != 1)
            _exit(4);
    }
}

static void start_pool_member(struct pool *pool, unsigned member)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        count_as_member(pool, member);
    pool->members[member] = pid;
}

static void read_acknowledged(struct pool *pool)
{
    unsigned char bytes[4096];
    ssize_t got;
    while ((got = read(pool->ends[0], bytes, sizeof bytes)) > 0)
        for (ssize_t i = 0; i < got; i++)
            pool->acknowledged[bytes[i] / KEYS][bytes[i] % KEYS]++;
}

static void check_end(struct pool *pool, int status)
{
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    bool by_watchdog = WIFEXITED(status) && WEXITSTATUS(status) == 75;
    if (!killed && !by_watchdog)
        fail_msg("a member ended with wait status %#x", (unsigned)status);
    pool->ended += by_watchdog;
}

static void kill_member(struct pool *pool, unsigned member)
{
    int status;
    kill(pool->members[member], SIGKILL);
    assert_int_equal(waitpid(pool->members[member], &status, 0), pool->members[member]);
    check_end(pool, status);
}

/* As whoever started them does: one that has ended is started again. Reads on for that long. */
static void tend_pool(struct pool *pool, int64_t ms)
{
    for (int64_t end = clock_now_ms() + ms; clock_now_ms() < end; usleep(5000)) {
        read_acknowledged(pool);
        for (unsigned i = 0; i < MEMBERS; i++) {
            int status;
            if (waitpid(pool->members[i], &status, WNOHANG) != pool->members[i])
                continue;
            check_end(pool, status);
            start_pool_member(pool, i);
        }
    }
}

static uint64_t acknowledged_by(const struct pool *pool, unsigned member)
{
    uint64_t sum = 0;
    for (unsigned key = 0; key < KEYS; key++)
        sum += pool->acknowledged[member][key];
    return sum;
}

/*
 * None hangs: when whoever was stuck has ended, each counts again, though on a busy machine it may be its turn only
 * after a while, since they all want the same page.
 */
static void check_all_get_on(struct pool *pool)
{
    uint64_t before[MEMBERS];
    unsigned got_on = 0;
    tend_pool(pool, 1500);
    for (unsigned i = 0; i < MEMBERS; i++)
        before[i] = acknowledged_by(pool, i);
    for (int64_t end = clock_now_ms() + GET_ON_MS; got_on < MEMBERS && clock_now_ms() < end;) {
        tend_pool(pool, 100);
        got_on = 0;
        for (unsigned i = 0; i < MEMBERS; i++)
            got_on += acknowledged_by(pool, i) >= before[i] + 3;
    }
    for (unsigned i = 0; i < MEMBERS; i++)
        if (acknowledged_by(pool, i) < before[i] + 3)
            fail_msg("member %u: %" PRIu64 " counts in %d s, want 3", i, acknowledged_by(pool, i) - before[i],
                     GET_ON_MS / 1000);
}

/*
 * Nothing acknowledged is lost. What is stored beyond it are commits that the end of a process kept from being
 * acknowledged, its own or, run again, another's whose success the recovery hid: far fewer than one each.
 */
static void check_counters(struct pool *pool)
{
    const uint64_t ends = (uint64_t)(KILLS + MEMBERS + pool->ended);
    uint64_t sum = 0, all = 0;
    struct store *store;
    struct err err = {0};
    assert_int_equal(store_open(&store, pool->dir, &err), ERR_OK);
    for (unsigned key = 0; key < KEYS; key++) {
        struct count count = {.key = {(char)('a' + key)}};
        uint64_t acknowledged = 0;
        for (unsigned i = 0; i < MEMBERS; i++)
            acknowledged += pool->acknowledged[i][key];
        assert_int_equal(store_txn(store, count_body, &count, &err), ERR_OK);
        if (count.value - 1 < acknowledged)
            fail_msg("counter %s: stored %" PRIu64 ", acknowledged %" PRIu64, count.key, count.value - 1,
                     acknowledged);
        sum += count.value - 1;
        all += acknowledged;
    }
    if (sum > all + ends)
        fail_msg("all: stored %" PRIu64 ", acknowledged %" PRIu64, sum, all);
    store_close(store);
}

static void test_processes_that_are_killed_lose_nothing_acknowledged(void **state)
{
    (void)state;
    struct pool pool = {.ended = 0};
    unsigned short seed[3] = {1, 2, 3};
    make_dir(pool.dir);
    assert_int_equal(pipe2(pool.ends, O_NONBLOCK), 0);
    fcntl(pool.ends[1], F_SETFL, 0); /* the same pipe's writing end blocks: nothing acknowledged is dropped */
    for (unsigned i = 0; i < MEMBERS; i++)
        start_pool_member(&pool, i);
    for (int i = 0; i < KILLS; i++) {
        unsigned member = (unsigned)nrand48(seed) % MEMBERS;
        tend_pool(&pool, 20 + nrand48(seed) % 120);
        kill_member(&pool, member);
        start_pool_member(&pool, member);
    }
    check_all_get_on(&pool);
    for (unsigned i = 0; i < MEMBERS; i++)
        kill_member(&pool, i);
    close(pool.ends[1]);
    read_acknowledged(&pool);
    close(pool.ends[0]);
    check_counters(&pool);
    remove_dir(pool.dir);
}

/* ---- what another process does ------------------------------------------------------- */

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

/* ---- a transaction that is under way when somebody has to recover ---- */

enum { AMID_MS = 200 }; /* less than the watchdog waits */

struct amid {
    struct store *store;
    struct count count;
    int inside[2]; /* a byte comes out when the body runs */
    int64_t body_done_ms;
    enum err_code code;
};

static enum err_code slow_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct amid *amid = arg;
    enum err_code code = count_body(txn, &amid->count, err);
    if (write(amid->inside[1], "i", 1) != 1)
        abort();
    usleep(AMID_MS * 1000);
    amid->body_done_ms = clock_now_ms();
    return code;
}

static void *be_amid(void *arg)
{
    struct amid *amid = arg;
    struct err err = {0};
    amid->code = store_txn(amid->store, slow_body, amid, &err);
    return NULL;
}

/*
 * Would the newcomer not wait, it would read the log to its end while this one is about to write there: what is
 * acknowledged then is lost.
 */
static void test_recovery_waits_for_a_transaction_that_is_under_way(void **state)
{
    (void)state;
    char dir[64], byte;
    struct err err = {0};
    struct amid amid = {.count = {.key = "a"}};
    pthread_t thread;
    make_dir(dir);
    struct member dying = start_waiting_member(dir), newcomer = start_waiting_member(dir);
    assert_int_equal(store_open(&amid.store, dir, &err), ERR_OK);
    assert_int_equal(pipe(amid.inside), 0);
    let_open(&dying);
    end_member(&dying);
    assert_int_equal(pthread_create(&thread, NULL, be_amid, &amid), 0);
    assert_int_equal(read(amid.inside[0], &byte, 1), 1);
    let_open(&newcomer);
    int64_t open_ms = clock_now_ms();
    pthread_join(thread, NULL);
    check_int("amid", "code", amid.code, ERR_OK);
    check_bool("newcomer", "opened after it", open_ms >= amid.body_done_ms, true);
    struct count count = {.key = "a"};
    assert_int_equal(store_txn(amid.store, count_body, &count, &err), ERR_OK);
    check_u64("after", "count", count.value, 2);
    end_member(&newcomer);
    store_close(amid.store);
    close(amid.inside[0]);
    close(amid.inside[1]);
    remove_dir(dir);
}

/* Nobody uses it and meets the change: the watchdog does. Were it not to open anew, it would end this process. */
static void test_idle_handle_catches_up_by_itself(void **state)
{
    (void)state;
    char dir[64];
    struct store *store;
    struct err err = {0};
    struct count count = {.key = "i"};
    make_dir(dir);
    struct member dying = start_waiting_member(dir), newcomer = start_waiting_member(dir);
    assert_int_equal(store_open(&store, dir, &err), ERR_OK);
    assert_int_equal(store_txn(store, count_body, &count, &err), ERR_OK);
    let_open(&dying);
    end_member(&dying);
    let_open(&newcomer);
    for (int i = 0; i < 400 && store_get_stats(store).recoveries == 0; i++)
        usleep(10000);
    check_u64("idle", "recoveries", store_get_stats(store).recoveries, 1);
    assert_int_equal(store_txn(store, count_body, &count, &err), ERR_OK);
    check_u64("idle", "count", count.value, 2);
    check_u64("idle", "recoveries", store_get_stats(store).recoveries, 1);
    end_member(&newcomer);
    store_close(store);
    remove_dir(dir);
}

/* Holds the lock that count_body() wants until it is killed. */
static enum err_code keep_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct buf value;
    buf_init(&value);
    if (store_get(txn, TABLE_PR, text("k"), STORE_LOCK, &value, err) != ERR_NOT_FOUND ||
        write(*(const int *)arg, "l", 1) != 1)
        _exit(1);
    for (;;)
        pause();
}

static pid_t start_keeper(const char *dir)
{
    int ends[2];
    char byte;
    struct store *store;
    struct err err = {0};
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(60); /* should the test fail and forget it */
        if (store_open(&store, dir, &err) == ERR_OK)
            store_txn(store, keep_body, &ends[1], &err);
        _exit(1);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return pid;
}

/* GitHub hangs up after 10 s: whoever waits is told before. With its holder, the lock goes. */
static void test_lock_that_a_living_process_keeps_is_given_up(void **state)
{
    (void)state;
    char dir[64];
    struct store *store;
    struct err err = {0};
    struct count count = {.key = "k"};
    make_dir(dir);
    pid_t keeper = start_keeper(dir);
    assert_int_equal(store_open(&store, dir, &err), ERR_OK);
    int64_t start = clock_now_ms();
    enum err_code code = store_txn(store, count_body, &count, &err);
    int64_t waited = clock_now_ms() - start;
    check_str("kept", "code", err_code_name(code), "retry");
    check_contains("kept", "text", err.text, "no transaction got through");
    check_bool("kept", "was waited for", waited >= 3000, true);
    check_bool("kept", "took less than 9 s", waited < 9000, true);
    kill_process(keeper);
    assert_int_equal(store_txn(store, count_body, &count, &err), ERR_OK);
    check_u64("let go", "count", count.value, 1);
    store_close(store);
    remove_dir(dir);
}

/* ---- the log ------------------------------------------------------------------------- */

static int count_logs(const char *dir)
{
    char path[96];
    int count = 0;
    for (int i = 1; i < 100; i++) {
        snprintf(path, sizeof path, "%s/db/log.%010d", dir, i);
        count += access(path, F_OK) == 0;
    }
    return count;
}

static void test_checkpoint_removes_logs_that_no_recovery_needs(void **state)
{
    (void)state;
    char dir[64];
    struct store *store;
    struct err err = {0};
    struct entry entry = {.table = TABLE_LEDGER};
    make_dir(dir);
    assert_int_equal(store_open(&store, dir, &err), ERR_OK);
    memset(buf_reserve(&entry.value, 500001), 'x', 500000);
    entry.value.len = 500000;
    for (int i = 0; i < 40; i++)
        assert_int_equal(store_txn(store, put_entry_body, &entry, &err), ERR_OK);
    check_bool("before", "several logs", count_logs(dir) > 3, true);
    for (int i = 0; i < 2; i++) { /* the second one finds what the first has made superfluous */
        assert_int_equal(store_checkpoint(store, &err), ERR_OK);
        assert_int_equal(store_txn(store, put_entry_body, &entry, &err), ERR_OK);
        assert_int_equal(store_txn(store, put_entry_body, &entry, &err), ERR_OK);
        assert_int_equal(store_txn(store, put_entry_body, &entry, &err), ERR_OK);
    }
    assert_int_equal(store_checkpoint(store, &err), ERR_OK);
    check_bool("after", "few logs", count_logs(dir) <= 2, true);
    buf_release(&entry.value);
    store_close(store);
    remove_dir(dir);
}

/* ---- a machine that goes down ------------------------------------------------------ */

static void run_shell(const char *format, const char *dir)
{
    char command[512];
    snprintf(command, sizeof command, format, dir, dir, dir);
    assert_int_equal(system(command), 0);
}

/* As a CGI process does it: opens, commits once, ends well. */
static void count_once(const char *dir, uint64_t want)
{
    struct store *store;
    struct err err = {0};
    struct count count = {.key = "s"};
    enum err_code code = store_open(&store, dir, &err);
    check_str(err.text, "code", err_code_name(code), "ok");
    assert_int_equal(store_txn(store, count_body, &count, &err), ERR_OK);
    check_u64(dir, "count", count.value, want);
    store_close(store);
}

static void test_commits_outlive_the_loss_of_the_regions(void **state)
{
    (void)state;
    char dir[64];
    make_dir(dir);
    count_once(dir, 1);
    run_shell("rm %s/db/__db.0*", dir);
    count_once(dir, 2);
    remove_dir(dir);
}

/* Every process has ended well, but only the log, which is synced, has reached the disk. */
static void test_commits_outlive_a_power_cut_after_a_clean_end(void **state)
{
    (void)state;
    char dir[64];
    make_dir(dir);
    count_once(dir, 1);
    run_shell("cp -a %s/db %s/disk", dir);
    for (uint64_t i = 2; i < 10; i++)
        count_once(dir, i);
    run_shell("cp %s/db/log.* %s/disk && rm -r %s/db", dir);
    run_shell("mv %s/disk %s/db && echo the-boot-before >%s/db/boot", dir);
    count_once(dir, 10);
    count_once(dir, 11);
    remove_dir(dir);
}

static unsigned long region_of(const char *dir)
{
    char path[128];
    struct stat st;
    snprintf(path, sizeof path, "%s/db/__db.001", dir);
    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

/* Opens the store, says so, waits for a byte and counts. Ends with 0 if all went well. */
static pid_t start_holder(const char *dir, int from_holder[2], int to_holder[2])
{
    struct store *store;
    struct err err = {0};
    struct count count = {.key = "s"};
    char byte = 1;
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    alarm(60);
    if (store_open(&store, dir, &err) != ERR_OK || write(from_holder[1], &byte, 1) != 1 ||
        read(to_holder[0], &byte, 1) != 1 || store_txn(store, count_body, &count, &err) != ERR_OK)
        _exit(1);
    store_close(store);
    _exit(0);
}

/* Recovering takes the regions from everybody else: once in a boot, not at each open, and they catch up. */
static void test_store_is_recovered_once_in_a_boot(void **state)
{
    (void)state;
    char dir[64], byte = 1;
    int from_holder[2], to_holder[2], status;
    make_dir(dir);
    count_once(dir, 1);
    unsigned long region = region_of(dir);
    assert_int_equal(pipe(from_holder), 0);
    assert_int_equal(pipe(to_holder), 0);
    pid_t holder = start_holder(dir, from_holder, to_holder); /* keeps the inode from being used again */
    assert_int_equal(read(from_holder[0], &byte, 1), 1);
    count_once(dir, 2);
    check_u64(dir, "region", region_of(dir), region);
    run_shell("echo the-boot-before >%s/db/boot", dir);
    count_once(dir, 3);
    check_bool(dir, "recovered", region_of(dir) != region, true);
    region = region_of(dir);
    count_once(dir, 4);
    check_u64(dir, "region", region_of(dir), region);
    assert_int_equal(write(to_holder[1], &byte, 1), 1);
    assert_int_equal(waitpid(holder, &status, 0), holder);
    check_int(dir, "holder's end", status, 0);
    count_once(dir, 6);
    for (int i = 0; i < 2; i++) {
        close(from_holder[i]);
        close(to_holder[i]);
    }
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
        cmocka_unit_test(test_body_that_takes_no_notice_is_run_again_all_the_same),
        cmocka_unit_test(test_lock_that_a_living_process_keeps_is_given_up),
        cmocka_unit_test(test_checkpoint_removes_logs_that_no_recovery_needs),
        cmocka_unit_test(test_threads_that_meet_lose_nothing),
        cmocka_unit_test(test_handle_outlives_the_recovery_of_another_process),
        cmocka_unit_test(test_recovery_waits_for_a_transaction_that_is_under_way),
        cmocka_unit_test(test_idle_handle_catches_up_by_itself),
        cmocka_unit_test(test_processes_that_are_killed_lose_nothing_acknowledged),
        cmocka_unit_test(test_commits_outlive_the_loss_of_the_regions),
        cmocka_unit_test(test_commits_outlive_a_power_cut_after_a_clean_end),
        cmocka_unit_test(test_store_is_recovered_once_in_a_boot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
