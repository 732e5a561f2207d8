/*
 * What is wrong with the disk is said, with the file and the remedy, and nothing is acknowledged that is not there.
 */
#include "check.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "prgate/store.h"

/* ---- a file system of another kind -------------------------------------------------- */

static long pretended_type; /* 0: the real one */

/* In the place of libc's. */
int statfs(const char *path, struct statfs *out)
{
    int code = fstatfs(STDERR_FILENO, out);
    (void)path;
    if (code != 0)
        *out = (struct statfs){0};
    out->f_type = (__typeof__(out->f_type))(pretended_type == 0 ? 0xEF53 : pretended_type);
    return 0;
}

static void test_network_file_system_is_refused(void **state)
{
    (void)state;
    static const struct {
        long type;
        const char *name;
    } rows[] = {{0x6969, "NFS"}, {0xFF534D42, "CIFS"}, {0x01021997, "9p"}, {0x00C36400, "Ceph"}};
    char dir[] = "/tmp/prgate-unit-XXXXXX";
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct store *store = NULL;
        struct err err = {0};
        pretended_type = rows[i].type;
        check_str(rows[i].name, "code", err_code_name(store_open(&store, dir, &err)), "fatal");
        pretended_type = 0;
        check_contains(rows[i].name, "text", err.text, rows[i].name);
        check_contains(rows[i].name, "directory", err.text, dir);
        check_contains(rows[i].name, "remedy", err.text, "local disk");
        assert_null(store);
    }
    assert_int_equal(rmdir(dir), 0); /* nothing was made in it */
}

/* ---- a store with something in it ---------------------------------------------------- */

static enum err_code fill_body(struct store_txn *txn, void *arg, struct err *err)
{
    const unsigned *from = arg;
    char value[900];
    memset(value, 'x', sizeof value);
    enum err_code code = ERR_OK;
    for (unsigned i = *from; i < *from + 200 && code == ERR_OK; i++) {
        char key[32];
        snprintf(key, sizeof key, "%08u", i);
        struct bytes k = {key, 8}, v = {value, sizeof value};
        code = store_put(txn, TABLE_PR, k, v, err);
        if (code == ERR_OK)
            code = store_put(txn, TABLE_SEEN, k, v, err);
    }
    return code;
}

static void fill(struct store *store, unsigned from, unsigned to)
{
    struct err err = {0};
    for (; from < to; from += 200)
        if (store_txn(store, fill_body, &from, &err) != ERR_OK)
            fail_msg("filling: %s", err.text);
}

/* Pages on disk, of which the newest need the log's last file. */
static void make_store(char dir[64])
{
    struct store *store;
    struct err err = {0};
    snprintf(dir, 64, "/tmp/prgate-unit-XXXXXX");
    assert_non_null(mkdtemp(dir));
    if (store_open(&store, dir, &err) != ERR_OK)
        fail_msg("store: %s", err.text);
    fill(store, 0, 2000);
    assert_int_equal(store_checkpoint(store, &err), ERR_OK);
    store_close(store);
}

static void remove_dir(const char *dir)
{
    nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void run_in(const char *dir, const char *command)
{
    char line[600];
    snprintf(line, sizeof line, "cd %s/db && %s", dir, command);
    assert_int_equal(system(line), 0);
}

#define SET_BYTE(file, at, octal)                                                                            \
    "printf '\\" octal "' | dd of=" file " bs=1 seek=" at " conv=notrunc 2>/dev/null"
#define EACH_LOG(command) "for log in log.0*; do " command "; done"

static void test_damage_is_found_when_the_store_is_opened(void **state)
{
    (void)state;
    static const struct {
        const char *name, *command, *file, *what;
    } rows[] = {
        {"a table is gone", "rm seen.db", "/db/seen.db", "is missing"},
        {"the first table is gone", "rm pr.db", "/db/pr.db", "is missing though"},
        {"a table is empty", "truncate -s 0 pr.db", "/db/pr.db", "was cut off"},
        {"a table is one page", "truncate -s 4096 pr.db", "/db/pr.db", "was cut off"},
        {"the log is cut off", EACH_LOG("truncate -s 1000 $log") "; rm __db*", "/db/log.0",
         "cut off or taken away"},
        {"the pages tell, too", EACH_LOG("truncate -s 1000 $log") "; rm __db* synced", ".db",
         "cut off or taken away"},
        {"the regions tell, too", EACH_LOG("truncate -s 1000 $log") "; rm synced", "/db/log.0",
         "cut off or taken away"},
        {"the log is gone", "rm log.0* __db*", "/db/log.0", "cut off or taken away"},
        {"the log is gone, say pages", "rm log.0* __db* synced", ".db", "cut off or taken away"},
        {"a table of a later version", SET_BYTE("pr.db", "16", "012"), "/db/pr.db", "another version"},
        {"a table of an earlier version", SET_BYTE("pr.db", "16", "007"), "/db/pr.db", "another version"},
        {"a log of a later version", EACH_LOG(SET_BYTE("$log", "16", "024")) "; rm __db*", "/db ",
         "another version"},
        {"regions of a later version", SET_BYTE("__db.001", "8", "006"), "/db ", "another version"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char dir[64];
        struct store *store = NULL;
        struct err err = {0};
        make_store(dir);
        run_in(dir, rows[i].command);
        enum err_code code = store_open(&store, dir, &err);
        store_close(store);
        check_str(rows[i].name, "code", err_code_name(code), "fatal");
        check_contains(rows[i].name, "directory", err.text, dir);
        check_contains(rows[i].name, "file", err.text, rows[i].file);
        check_contains(rows[i].name, "what", err.text, rows[i].what);
        bool remedy =
            strstr(err.text, "restore a backup") != NULL || strstr(err.text, "prgatectl load") != NULL;
        check_bool(rows[i].name, "remedy", remedy, true);
        remove_dir(dir);
    }
}

/* So little that no page was written yet: all is in two files of the log, whose length the regions alone know. */
static void test_log_that_is_cut_off_before_any_page_is_written(void **state)
{
    (void)state;
    char dir[64];
    struct store *store = NULL;
    struct err err = {0};
    snprintf(dir, sizeof dir, "/tmp/prgate-unit-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(store_open(&store, dir, &err), ERR_OK);
    fill(store, 0, 200);
    store_close(store);
    store = NULL;
    run_in(dir, EACH_LOG("truncate -s 1000 $log") "; rm synced");
    check_str("cut off", "code", err_code_name(store_open(&store, dir, &err)), "fatal");
    check_contains("cut off", "text", err.text, "/db/log.0000000002 was cut off");
    store_close(store);
    remove_dir(dir);
}

static enum err_code read_all_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct buf key;
    enum err_code code;
    buf_init(&key);
    (void)arg;
    while ((code = store_next(txn, TABLE_PR, (struct bytes){0}, &key, NULL, err)) == ERR_OK)
        buf_addc(&key, '\0');
    buf_release(&key);
    return code;
}

/* Opening does not read all of a table: its second half is missed when it is wanted. */
static void test_table_that_is_cut_off_is_named_when_it_is_read(void **state)
{
    (void)state;
    char dir[64];
    struct store *store;
    struct err err = {0};
    make_store(dir);
    run_in(dir, "rm __db*; size=$(stat -c %s pr.db); truncate -s $((size / 8192 * 4096)) pr.db");
    assert_int_equal(store_open(&store, dir, &err), ERR_OK);
    check_str("read", "code", err_code_name(store_txn(store, read_all_body, NULL, &err)), "retry");
    check_contains("read", "file", err.text, "/db/pr.db");
    check_contains("read", "remedy", err.text, "restore a backup");
    store_close(store);
    remove_dir(dir);
}

/* A crash while the very first process made the tables leaves some of them: the next one makes the rest. */
static void test_making_of_a_store_may_be_broken_off(void **state)
{
    (void)state;
    char dir[64];
    struct store *store;
    struct err err = {0};
    snprintf(dir, sizeof dir, "/tmp/prgate-unit-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_false(store_is_there(dir));
    assert_int_equal(store_open(&store, dir, &err), ERR_OK);
    store_close(store);
    run_in(dir, "rm pr.db inbox.db __db* log.0* synced");
    assert_false(store_is_there(dir));
    enum err_code code = store_open(&store, dir, &err);
    check_str(err.text, "code", err_code_name(code), "ok");
    fill(store, 0, 200);
    store_close(store);
    assert_true(store_is_there(dir));
    remove_dir(dir);
}

static void test_wrong_owner_is_told_from_damage(void **state)
{
    (void)state;
    char dir[64];
    if (geteuid() != 0) /* root alone can give files away */
        skip();
    make_store(dir);
    run_in(dir, "chown -R 65534 . .. && chown 0 seen.db");
    pid_t child = fork();
    if (child == 0) {
        struct store *store;
        struct err err = {0};
        if (setgid(65534) != 0 || setuid(65534) != 0 || store_open(&store, dir, &err) != ERR_FATAL)
            _exit(1);
        _exit(strstr(err.text, "/db/seen.db") != NULL && strstr(err.text, "chown") != NULL ? 0 : 2);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    check_int("wrong owner", "status", status, 0);
    remove_dir(dir);
}

/* ---- a store that is taken away -------------------------------------------------------- */

static enum err_code try_to_fill(struct store *store, struct err *err)
{
    unsigned from = 0;
    return store_txn(store, fill_body, &from, err);
}

static void test_nothing_is_committed_into_a_directory_that_is_gone(void **state)
{
    (void)state;
    char dir[64];
    struct store *store;
    struct err err = {0};
    make_store(dir);
    assert_int_equal(store_open(&store, dir, &err), ERR_OK);
    fill(store, 0, 200);
    run_in(dir, "rm -r ../db");
    int64_t start = clock_now_ms();
    for (int i = 0; i < 3; i++) {
        err = (struct err){0};
        check_str("gone", "code", err_code_name(try_to_fill(store, &err)), "retry");
        check_contains("gone", "directory", err.text, dir);
        check_contains("gone", "remedy", err.text, "restore a backup");
    }
    check_bool("gone", "is said at once", clock_now_ms() - start < 5000, true);
    assert_int_not_equal(store_checkpoint(store, &err), ERR_OK);
    assert_false(store_is_there(dir));
    store_close(store);
    remove_dir(dir);
}

static void test_emptied_directory_is_not_filled_with_a_new_store(void **state)
{
    (void)state;
    char dir[64];
    struct store *store;
    struct err err = {0};
    enum err_code code = ERR_OK;
    make_store(dir);
    assert_int_equal(store_open(&store, dir, &err), ERR_OK);
    run_in(dir, "rm *");
    /* Regions are missing for a moment, too, when another process recovers. */
    for (int i = 0; i < 100 && code == ERR_OK; i++) {
        usleep(50000);
        code = try_to_fill(store, &err);
    }
    check_str("emptied", "code", err_code_name(code), "retry");
    check_contains("emptied", "text", err.text, "is missing: stop the pool and restore a backup");
    assert_false(store_is_there(dir));
    store_close(store);
    remove_dir(dir);
}

/* Its mark in alive/ went with the old one. */
static void test_process_ends_when_another_directory_takes_the_place(void **state)
{
    (void)state;
    char dir[64], byte = 1;
    int ready[2], status;
    make_store(dir);
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct store *store;
        struct err err = {0};
        alarm(30);
        log_setup(LOG_LEVEL_PANIC, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
        if (store_open(&store, dir, &err) != ERR_OK || write(ready[1], &byte, 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    run_in(dir, "cp -a ../db ../copy && mv ../db ../old && mv ../copy ../db");
    assert_int_equal(waitpid(child, &status, 0), child);
    check_bool("process", "ended by itself", WIFEXITED(status), true);
    check_int("process", "status", WEXITSTATUS(status), 75);
    close(ready[0]);
    close(ready[1]);
    remove_dir(dir);
}

/* ---- walking backwards -------------------------------------------------------------------- */

struct back {
    const char *from;
    const char *prefix;
    char found[32];
};

static enum err_code back_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct back *back = arg;
    static const char *const keys[] = {"a1", "a2", "b1"};
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        if (store_put(txn, TABLE_NAME, (struct bytes){keys[i], 2}, (struct bytes){"v", 1}, err) != ERR_OK)
            return ERR_FATAL;
    struct buf key, value;
    buf_init(&key);
    buf_init(&value);
    buf_adds(&key, back->from);
    struct bytes prefix = {back->prefix, strlen(back->prefix)};
    enum err_code code = store_prev(txn, TABLE_NAME, prefix, &key, &value, err);
    snprintf(back->found, sizeof back->found, "%s%s", code == ERR_OK ? buf_text(&key) : "none",
             code == ERR_OK && strcmp(buf_text(&value), "v") != 0 ? " without its value" : "");
    buf_release(&key);
    buf_release(&value);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

static void test_prev_is_the_last_before_the_key_and_below_the_prefix(void **state)
{
    (void)state;
    static const struct {
        const char *from, *prefix, *want;
    } rows[] = {{"z", "", "b1"},   {"b1", "", "a2"},   {"b1", "b", "none"}, {"b2", "b", "b1"},
                {"a15", "", "a1"}, {"a1", "", "none"}, {"", "", "none"},    {"z", "a", "none"}};
    char dir[64];
    struct store *store;
    struct err err = {0};
    make_store(dir);
    assert_int_equal(store_open(&store, dir, &err), ERR_OK);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct back back = {.from = rows[i].from, .prefix = rows[i].prefix};
        assert_int_equal(store_txn(store, back_body, &back, &err), ERR_OK);
        check_str(rows[i].from, rows[i].prefix, back.found, rows[i].want);
    }
    store_close(store);
    remove_dir(dir);
}

int main(void)
{
    log_setup(LOG_LEVEL_PANIC, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_network_file_system_is_refused),
        cmocka_unit_test(test_damage_is_found_when_the_store_is_opened),
        cmocka_unit_test(test_log_that_is_cut_off_before_any_page_is_written),
        cmocka_unit_test(test_table_that_is_cut_off_is_named_when_it_is_read),
        cmocka_unit_test(test_making_of_a_store_may_be_broken_off),
        cmocka_unit_test(test_wrong_owner_is_told_from_damage),
        cmocka_unit_test(test_nothing_is_committed_into_a_directory_that_is_gone),
        cmocka_unit_test(test_emptied_directory_is_not_filled_with_a_new_store),
        cmocka_unit_test(test_process_ends_when_another_directory_takes_the_place),
        cmocka_unit_test(test_prev_is_the_last_before_the_key_and_below_the_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
