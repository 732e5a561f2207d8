/*
 * A backup holds what was acknowledged before it began, whoever writes or dies meanwhile; and it is whole, or it is none.
 */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "prgate/store.h"

struct place {
    char dir[64];
    char state[96], backup[96], fresh[96];
};

static void make_place(struct place *place)
{
    snprintf(place->dir, sizeof place->dir, "/tmp/prgate-unit-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    snprintf(place->state, sizeof place->state, "%s/state", place->dir);
    snprintf(place->backup, sizeof place->backup, "%s/backup", place->dir);
    snprintf(place->fresh, sizeof place->fresh, "%s/fresh", place->dir);
}

static void remove_place(const struct place *place)
{
    nftw(place->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct store *must_open(const char *state)
{
    struct store *store;
    struct err err = {0};
    if (store_open(&store, state, &err) != ERR_OK)
        fail_msg("%s: %s", state, err.text);
    return store;
}

/* ---- entries ---------------------------------------------------------------------- */

struct numbered {
    unsigned number;
    bool found;
};

static const enum store_table written[] = {TABLE_PR, TABLE_SEEN, TABLE_INBOX};

/* In three tables and all over their pages, in one commit. */
static struct bytes key_of(unsigned number, char key[16])
{
    snprintf(key, 16, "%08x", number * 2654435761U);
    return (struct bytes){key, 8};
}

static enum err_code put_body(struct store_txn *txn, void *arg, struct err *err)
{
    const struct numbered *numbered = arg;
    char key[16], value[400];
    memset(value, 'a' + (int)(numbered->number % 26), sizeof value);
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < COUNT_OF(written) && code == ERR_OK; i++)
        code = store_put(txn, written[i], key_of(numbered->number, key), (struct bytes){value, sizeof value},
                         err);
    return code;
}

static enum err_code find_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct numbered *numbered = arg;
    char key[16];
    struct buf value;
    buf_init(&value);
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < COUNT_OF(written) && code == ERR_OK; i++)
        code = store_get(txn, written[i], key_of(numbered->number, key), STORE_READ, &value, err);
    numbered->found = code == ERR_OK && value.len == 400 && value.data[399] == 'a' + numbered->number % 26;
    buf_release(&value);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

struct range {
    unsigned from, to;
};

static enum err_code put_range_body(struct store_txn *txn, void *arg, struct err *err)
{
    const struct range *range = arg;
    enum err_code code = ERR_OK;
    for (struct numbered one = {.number = range->from}; one.number < range->to && code == ERR_OK;
         one.number++)
        code = put_body(txn, &one, err);
    return code;
}

/* In few commits: they are synced. */
static void put_numbers(struct store *store, unsigned from, unsigned to)
{
    struct err err = {0};
    for (struct range range = {.from = from}; range.from < to; range.from = range.to) {
        range.to = range.from + 200 < to ? range.from + 200 : to;
        if (store_txn(store, put_range_body, &range, &err) != ERR_OK)
            fail_msg("put: %s", err.text);
    }
}

static void put_number(struct store *store, unsigned number)
{
    put_numbers(store, number, number + 1);
}

static bool has_number(struct store *store, unsigned number)
{
    struct numbered numbered = {.number = number};
    struct err err = {0};
    if (store_txn(store, find_body, &numbered, &err) != ERR_OK)
        fail_msg("find: %s", err.text);
    return numbered.found;
}

/* ---- under load --------------------------------------------------------------------- */

/* Writes on and on, and says in shared memory how far it got. */
static pid_t start_writer(const struct place *place, atomic_uint *acknowledged, unsigned first)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    alarm(250); /* should nobody end it */
    struct store *store;
    struct err err = {0};
    if (store_open(&store, place->state, &err) != ERR_OK)
        _exit(1);
    for (unsigned i = first;; i++) {
        struct numbered numbered = {.number = i};
        if (store_txn(store, put_body, &numbered, &err) != ERR_OK)
            _exit(2);
        atomic_store(acknowledged, i + 1);
        if (i % 200 == 0)
            (void)store_checkpoint(store, &err);
    }
}

static void wait_for(const atomic_uint *acknowledged, unsigned number)
{
    for (int i = 0; i < 60000 && atomic_load(acknowledged) < number; i++)
        usleep(1000);
    assert_true(atomic_load(acknowledged) >= number);
}

static void expect_files_for_the_owner_alone(const char *backup)
{
    char path[300];
    struct stat st;
    struct dirent **names;
    snprintf(path, sizeof path, "%s/db", backup);
    int count = scandir(path, &names, NULL, alphasort);
    assert_true(count > 2);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/db/%.40s", backup, names[i]->d_name);
        assert_int_equal(stat(path, &st), 0);
        if (S_ISREG(st.st_mode))
            check_int(path, "mode", st.st_mode & 07777, 0600);
        check_bool(path, "no regions", strstr(path, "__db") == NULL, true);
        free(names[i]);
    }
    free(names);
    snprintf(path, sizeof path, "%s/incomplete", backup);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void expect_all(const char *state, unsigned count)
{
    struct store *store = must_open(state);
    for (unsigned i = 0; i < count; i++)
        if (!has_number(store, i))
            fail_msg("%s: number %u of %u acknowledged is missing", state, i, count);
    store_close(store);
}

static void test_backup_has_all_that_was_acknowledged_before_it(void **state)
{
    (void)state;
    struct place place;
    struct err err = {0};
    atomic_uint *acknowledged =
        mmap(NULL, sizeof *acknowledged, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    make_place(&place);
    store_close(must_open(place.state));
    atomic_store(acknowledged, 0);
    pid_t writer = start_writer(&place, acknowledged, 0);
    for (unsigned round = 1; round <= 3; round++) {
        char backup[128], fresh[128];
        snprintf(backup, sizeof backup, "%s-%u", place.backup, round);
        snprintf(fresh, sizeof fresh, "%s-%u", place.fresh, round);
        wait_for(acknowledged, 600 * round);
        struct store *store = must_open(place.state);
        unsigned before = atomic_load(acknowledged);
        enum err_code code = store_backup(store, backup, &err);
        store_close(store);
        check_str(err.text, "code", err_code_name(code), "ok");
        expect_files_for_the_owner_alone(backup);
        code = store_restore(fresh, backup, &err);
        check_str(err.text, "restore", err_code_name(code), "ok");
        expect_all(fresh, before);
        /* As it stands, without restore: what was copied is a store. */
        expect_all(backup, before);
        if (round == 2) { /* and another one is recovered and goes on */
            kill_process(writer);
            writer = start_writer(&place, acknowledged, atomic_load(acknowledged));
        }
    }
    kill_process(writer);
    munmap(acknowledged, sizeof *acknowledged);
    remove_place(&place);
}

/*
 * Has a process back the store up, and stops it amid the copying. It may be at the end by then, or hold a mutex of the store
 * that others need for an instant: false, and nothing is known. Otherwise whether the writer goes on.
 */
static bool writer_goes_on_while_a_backup_stands_still(const struct place *place, const char *backup,
                                                       const atomic_uint *acknowledged)
{
    char incomplete[160];
    snprintf(incomplete, sizeof incomplete, "%s/incomplete", backup);
    pid_t copying = fork();
    if (copying == 0) {
        struct store *store;
        struct err err = {0};
        bool made =
            store_open(&store, place->state, &err) == ERR_OK && store_backup(store, backup, &err) == ERR_OK;
        _exit(made ? 0 : 1);
    }
    for (int i = 0; i < 20000 && access(incomplete, F_OK) != 0; i++)
        usleep(100);
    kill(copying, SIGSTOP);
    int status;
    assert_int_equal(waitpid(copying, &status, WUNTRACED), copying);
    if (!WIFSTOPPED(status)) {
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        return false;
    }
    bool amid = access(incomplete, F_OK) == 0;
    unsigned before = atomic_load(acknowledged);
    for (int i = 0; amid && i < 2000 && atomic_load(acknowledged) < before + 10; i++)
        usleep(1000);
    bool went_on = amid && atomic_load(acknowledged) >= before + 10;
    kill(copying, SIGCONT);
    assert_int_equal(waitpid(copying, &status, 0), copying);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return went_on;
}

static void test_writers_go_on_while_a_backup_is_made(void **state)
{
    (void)state;
    struct place place;
    atomic_uint *acknowledged =
        mmap(NULL, sizeof *acknowledged, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    make_place(&place);
    struct store *store = must_open(place.state);
    put_numbers(store, 0, 3000);
    store_close(store);
    atomic_store(acknowledged, 0);
    pid_t writer = start_writer(&place, acknowledged, 3000);
    wait_for(acknowledged, 3001);
    bool went_on = false;
    for (int i = 0; i < 20 && !went_on; i++) {
        char backup[128];
        snprintf(backup, sizeof backup, "%s-%d", place.backup, i);
        went_on = writer_goes_on_while_a_backup_stands_still(&place, backup, acknowledged);
    }
    check_bool("a backup that stands still", "writer went on", went_on, true);
    kill_process(writer);
    munmap(acknowledged, sizeof *acknowledged);
    remove_place(&place);
}

/* ---- all or nothing -------------------------------------------------------------------- */

static void test_backup_goes_into_an_empty_directory_only(void **state)
{
    (void)state;
    struct place place;
    struct err err = {0};
    char path[160];
    make_place(&place);
    struct store *store = must_open(place.state);
    put_number(store, 1);
    assert_int_equal(mkdir(place.backup, 0700), 0);
    write_file(place.backup, "mine", "x");
    check_str("full", "code", err_code_name(store_backup(store, place.backup, &err)), "reject");
    check_contains("full", "text", err.text, "is not empty");
    snprintf(path, sizeof path, "%s/mine", place.backup);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(store_backup(store, place.backup, &err), ERR_OK);
    snprintf(path, sizeof path, "%s/no/such", place.dir);
    assert_int_equal(store_backup(store, path, &err), ERR_FATAL);
    check_contains("no parent", "text", err.text, path);
    store_close(store);
    remove_place(&place);
}

static void test_backup_of_a_damaged_store_names_the_file_and_leaves_nothing(void **state)
{
    (void)state;
    struct place place;
    struct err err = {0};
    char path[160];
    make_place(&place);
    struct store *store = must_open(place.state);
    put_numbers(store, 0, 3000);
    assert_int_equal(store_checkpoint(store, &err), ERR_OK);
    snprintf(path, sizeof path, "%s/db/seen.db", place.state);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    for (long page = 20; page < 60; page++) {
        assert_int_equal(fseek(file, page * 4096 + 8, SEEK_SET), 0); /* behind the log's number */
        for (int i = 0; i < 4000; i++)
            fputc(0xEE, file);
    }
    assert_int_equal(fclose(file), 0);
    enum err_code code = store_backup(store, place.backup, &err);
    check_bool(err_code_name(code), "refused", code == ERR_CORRUPT || code == ERR_FATAL, true);
    check_contains("damaged", "text", err.text, code == ERR_CORRUPT ? path : place.state);
    check_contains("damaged", "remedy", err.text, "restore a backup");
    assert_int_not_equal(access(place.backup, F_OK), 0);
    store_close(store);
    remove_place(&place);
}

static void test_killed_backup_is_no_backup(void **state)
{
    (void)state;
    struct place place;
    struct err err = {0};
    char incomplete[160], done[160];
    make_place(&place);
    struct store *store = must_open(place.state);
    put_numbers(store, 0, 3000);
    store_close(store);
    snprintf(incomplete, sizeof incomplete, "%s/incomplete/seen.db", place.backup);
    snprintf(done, sizeof done, "%s/db", place.backup);
    pid_t child = fork();
    if (child == 0) {
        store = must_open(place.state);
        store_backup(store, place.backup, &err);
        pause();
    }
    for (int i = 0; i < 20000 && access(incomplete, F_OK) != 0; i++)
        usleep(100);
    kill_process(child);
    assert_int_equal(access(incomplete, F_OK), 0);
    assert_int_not_equal(access(done, F_OK), 0);
    check_str("restore", "code", err_code_name(store_restore(place.fresh, place.backup, &err)), "reject");
    check_contains("restore", "text", err.text, "not finished");
    assert_false(store_is_there(place.fresh));
    /* The store itself does not mind. */
    expect_all(place.state, 3000);
    remove_place(&place);
}

static void test_restore_never_touches_a_store(void **state)
{
    (void)state;
    struct place place;
    struct err err = {0};
    make_place(&place);
    struct store *store = must_open(place.state);
    put_number(store, 1);
    assert_int_equal(store_backup(store, place.backup, &err), ERR_OK);
    put_number(store, 2);
    store_close(store);
    check_str("there", "code", err_code_name(store_restore(place.state, place.backup, &err)), "reject");
    check_contains("there", "text", err.text, "move it away");
    store = must_open(place.state);
    assert_true(has_number(store, 2));
    store_close(store);
    remove_place(&place);
}

static void test_damaged_backup_is_not_restored(void **state)
{
    (void)state;
    struct place place;
    struct err err = {0};
    char path[160];
    struct stat st;
    make_place(&place);
    struct store *store = must_open(place.state);
    put_numbers(store, 0, 3000);
    assert_int_equal(store_backup(store, place.backup, &err), ERR_OK);
    store_close(store);
    snprintf(path, sizeof path, "%s/db/seen.db", place.backup);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size / 8192 * 4096), 0);
    assert_int_not_equal(store_restore(place.fresh, place.backup, &err), ERR_OK);
    check_contains("damaged", "text", err.text, "seen.db");
    assert_false(store_is_there(place.fresh));
    snprintf(path, sizeof path, "%s/incomplete", place.fresh);
    assert_int_not_equal(access(path, F_OK), 0);
    remove_place(&place);
}

/* Of before there was such a table. Any other that is missing is a loss. */
static void test_backup_of_before_there_were_budgets_is_restored(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        bool good;
    } rows[] = {{"budget.db", true}, {"seen.db", false}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct place place;
        struct err err = {0};
        char path[160];
        make_place(&place);
        struct store *store = must_open(place.state);
        put_number(store, 1);
        assert_int_equal(store_backup(store, place.backup, &err), ERR_OK);
        store_close(store);
        snprintf(path, sizeof path, "%s/db/%s", place.backup, rows[i].file);
        assert_int_equal(unlink(path), 0);
        enum err_code code = store_restore(place.fresh, place.backup, &err);
        check_bool(rows[i].file, "restored", code == ERR_OK, rows[i].good);
        if (rows[i].good) {
            store = must_open(place.fresh);
            assert_true(has_number(store, 1));
            store_close(store);
        } else {
            check_contains(rows[i].file, "text", err.text, rows[i].file);
        }
        remove_place(&place);
    }
}

/* ---- the log ------------------------------------------------------------------------------ */

static int count_logs(const char *state)
{
    char path[160];
    int count = 0;
    for (int i = 1; i < 100; i++) {
        snprintf(path, sizeof path, "%s/db/log.%010d", state, i);
        count += access(path, F_OK) == 0;
    }
    return count;
}

/* A backup that takes long must find all of the log that its first page needs. */
static void test_log_files_stay_while_somebody_copies_them(void **state)
{
    (void)state;
    struct place place;
    struct err err = {0};
    char path[160];
    make_place(&place);
    struct store *store = must_open(place.state);
    put_number(store, 0);
    snprintf(path, sizeof path, "%s/db/archive.lock", place.state);
    int lock = open(path, O_RDWR | O_CREAT, 0600);
    assert_int_equal(flock(lock, LOCK_SH), 0);
    for (unsigned i = 0; i < 6; i++) {
        put_numbers(store, i * 1000, i * 1000 + 1000);
        assert_int_equal(store_checkpoint(store, &err), ERR_OK);
    }
    int held = count_logs(place.state);
    check_bool("copied", "all are there", held > 3 && access(path, F_OK) == 0, true);
    snprintf(path, sizeof path, "%s/db/log.0000000001", place.state);
    assert_int_equal(access(path, F_OK), 0);
    close(lock);
    put_numbers(store, 0, 3000);
    assert_int_equal(store_checkpoint(store, &err), ERR_OK);
    assert_int_equal(store_checkpoint(store, &err), ERR_OK);
    check_bool("let go", "they are removed", count_logs(place.state) < held, true);
    assert_int_not_equal(access(path, F_OK), 0);
    store_close(store);
    remove_place(&place);
}

static void test_log_is_read_from_end_to_end(void **state)
{
    (void)state;
    struct place place;
    struct err err = {0};
    uint64_t records = 0, more = 0;
    char path[160];
    make_place(&place);
    struct store *store = must_open(place.state);
    put_numbers(store, 0, 500);
    assert_int_equal(store_check_log(store, &records, &err), ERR_OK);
    check_bool("log", "has a record for each entry", records > 1500, true);
    put_number(store, 500);
    assert_int_equal(store_check_log(store, &more, &err), ERR_OK);
    check_bool("log", "has more", more > records, true);
    snprintf(path, sizeof path, "%s/db/log.0000000001", place.state);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, 500000, SEEK_SET), 0);
    fputs("damage that a checksum finds", file);
    assert_int_equal(fclose(file), 0);
    check_str("damaged", "code", err_code_name(store_check_log(store, &records, &err)), "fatal");
    check_contains("damaged", "text", err.text, "log.0000000001");
    store_close(store);
    remove_place(&place);
}

int main(void)
{
    log_setup(LOG_LEVEL_PANIC, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backup_has_all_that_was_acknowledged_before_it),
        cmocka_unit_test(test_writers_go_on_while_a_backup_is_made),
        cmocka_unit_test(test_backup_goes_into_an_empty_directory_only),
        cmocka_unit_test(test_backup_of_a_damaged_store_names_the_file_and_leaves_nothing),
        cmocka_unit_test(test_killed_backup_is_no_backup),
        cmocka_unit_test(test_restore_never_touches_a_store),
        cmocka_unit_test(test_damaged_backup_is_not_restored),
        cmocka_unit_test(test_backup_of_before_there_were_budgets_is_restored),
        cmocka_unit_test(test_log_files_stay_while_somebody_copies_them),
        cmocka_unit_test(test_log_is_read_from_end_to_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
