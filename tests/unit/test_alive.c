/*
 * Who lives, who is dead, and whose file is swept away.
 */
#include "check.h"

#include <dirent.h>
#include <sys/time.h>
#include <time.h>

#include "fixture.h"
#include "prgate/alive.h"
#include "prgate/text.h"

static void alive_path(const struct fixture *f, const char *name, char path[256])
{
    snprintf(path, 256, "%s/state/alive/%s", f->dir, name);
}

static int count_files(const struct fixture *f)
{
    char path[256];
    alive_path(f, "", path);
    DIR *list = opendir(path);
    assert_non_null(list);
    int count = 0;
    while (readdir(list) != NULL)
        count++;
    closedir(list);
    return count - 2; /* . and .. */
}

static bool has_file(const struct fixture *f, const char *name)
{
    char path[256];
    alive_path(f, name, path);
    return access(path, F_OK) == 0;
}

static bool has_file_of(const struct fixture *f, const struct process_id *id)
{
    char hex[2 * PROCESS_ID_SIZE + 1];
    text_hex(id->bytes, sizeof id->bytes, hex);
    return has_file(f, hex);
}

static void make_old_file(const struct fixture *f, const char *name, int age_s)
{
    char path[256];
    time_t then = time(NULL) - age_s;
    struct timeval times[2] = {{.tv_sec = then}, {.tv_sec = then}};
    alive_path(f, "", path);
    write_file(path, name, "");
    alive_path(f, name, path);
    assert_int_equal(utimes(path, times), 0);
}

static void test_process_is_alive_until_it_is_killed(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct process_id id;
    fixture_configure(&f, "", "");
    pid_t child = start_process(&f, &id);
    fixture_open_gate(&f);
    assert_true(alive_is(f.gate.alive, &id));
    assert_int_equal(alive_count(f.gate.alive), 2);
    kill_process(child);
    assert_false(alive_is(f.gate.alive, &id));
    assert_int_equal(alive_count(f.gate.alive), 1); /* its file is still there */
    fixture_close(&f);
}

/* More than whose files stay open: each question is answered by its own file. */
static void test_each_of_many_is_told_from_the_others(void **state)
{
    (void)state;
    enum { MANY = 10 };
    struct fixture f;
    struct alive *others[MANY];
    struct process_id ids[MANY];
    struct err err = {0};
    char path[128];
    fixture_open(&f, "");
    snprintf(path, sizeof path, "%s/state", f.dir);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(alive_open(&others[i], path, &err), ERR_OK);
        ids[i] = *alive_self(others[i]);
    }
    for (int times = 0; times < 2; times++)
        for (int i = 0; i < MANY; i++)
            assert_true(alive_is(f.gate.alive, &ids[i]));
    for (int i = 0; i < MANY; i += 2)
        alive_close(others[i]);
    for (int times = 0; times < 2; times++)
        for (int i = 0; i < MANY; i++)
            assert_int_equal(alive_is(f.gate.alive, &ids[i]), i % 2 == 1);
    for (int i = 1; i < MANY; i += 2)
        alive_close(others[i]);
    fixture_close(&f);
}

static void test_process_knows_itself_alive_and_strangers_dead(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    struct process_id stranger = *alive_self(f.gate.alive);
    assert_true(alive_is(f.gate.alive, &stranger));
    stranger.bytes[PROCESS_ID_SIZE - 1] ^= 1;
    assert_false(alive_is(f.gate.alive, &stranger));
    fixture_close(&f);
}

static void test_sweep_removes_files_of_the_dead_only(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct process_id dying, living;
    fixture_configure(&f, "", "");
    pid_t first = start_process(&f, &dying), second = start_process(&f, &living);
    fixture_open_gate(&f);
    assert_int_equal(alive_sweep(f.gate.alive), 0);
    assert_int_equal(count_files(&f), 3);
    assert_int_equal(alive_count(f.gate.alive), 3);
    kill_process(first);
    assert_true(has_file_of(&f, &dying));
    assert_int_equal(alive_count(f.gate.alive), 2);
    assert_int_equal(alive_sweep(f.gate.alive), 1);
    assert_false(has_file_of(&f, &dying));
    assert_true(has_file_of(&f, &living));
    assert_true(has_file_of(&f, alive_self(f.gate.alive)));
    assert_int_equal(alive_sweep(f.gate.alive), 0);
    kill_process(second);
    fixture_close(&f);
}

/* What a crash between creating and renaming leaves behind; one that is young may be about to be locked. */
static void test_sweep_removes_unfinished_files_once_they_are_old(void **state)
{
    (void)state;
    struct fixture f;
    const char *old = ".00000000000000000000000000000001", *young = ".00000000000000000000000000000002";
    fixture_open(&f, "");
    make_old_file(&f, old, 3600);
    make_old_file(&f, young, 0);
    make_old_file(&f, "README", 3600); /* not ours */
    assert_int_equal(alive_sweep(f.gate.alive), 1);
    assert_false(has_file(&f, old));
    assert_true(has_file(&f, young));
    assert_true(has_file(&f, "README"));
    fixture_close(&f);
}

static void test_process_that_closes_leaves_no_file(void **state)
{
    (void)state;
    struct fixture f;
    struct alive *other;
    struct err err = {0};
    char path[128];
    fixture_open(&f, "");
    snprintf(path, sizeof path, "%s/state", f.dir);
    assert_int_equal(alive_open(&other, path, &err), ERR_OK);
    struct process_id id = *alive_self(other);
    assert_true(alive_is(f.gate.alive, &id));
    alive_close(other);
    assert_false(alive_is(f.gate.alive, &id));
    assert_int_equal(count_files(&f), 1);
    fixture_close(&f);
}

static void test_directory_that_cannot_be_made_is_named(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct alive *alive = NULL;
    struct err err = {0};
    char path[128];
    fixture_configure(&f, "", "");
    snprintf(path, sizeof path, "%s/token/state", f.dir); /* "token" is a file */
    assert_int_equal(alive_open(&alive, path, &err), ERR_FATAL);
    assert_null(alive);
    check_contains("directory", "text", err.text, path);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_process_is_alive_until_it_is_killed),
        cmocka_unit_test(test_each_of_many_is_told_from_the_others),
        cmocka_unit_test(test_process_knows_itself_alive_and_strangers_dead),
        cmocka_unit_test(test_sweep_removes_files_of_the_dead_only),
        cmocka_unit_test(test_sweep_removes_unfinished_files_once_they_are_old),
        cmocka_unit_test(test_process_that_closes_leaves_no_file),
        cmocka_unit_test(test_directory_that_cannot_be_made_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
