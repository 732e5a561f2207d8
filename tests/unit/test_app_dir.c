/*
 * The App's directory: whole or not at all, its owner's alone, and never replaced.
 */
#include "check.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prgate/app_dir.h"
#include "prgate/log.h"

static char key_text[] = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n";
static char secret_text[] = "hush";
static char url_text[] = "https://github.com/apps/prgate";
static const struct app APP = {
    .id = 12345, .private_key = key_text, .webhook_secret = secret_text, .url = url_text};

struct place {
    char parent[64];
    char dir[96];
    char new[96];
};

static void make(struct place *place)
{
    strcpy(place->parent, "/tmp/prgate-unit-XXXXXX");
    assert_non_null(mkdtemp(place->parent));
    snprintf(place->dir, sizeof place->dir, "%s/app", place->parent);
    snprintf(place->new, sizeof place->new, "%s/app.new", place->parent);
    log_setup(LOG_LEVEL_PANIC, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

static void unmake(const struct place *place)
{
    nftw(place->parent, remove_one, 4, FTW_DEPTH | FTW_PHYS);
}

static enum err_code store(const struct place *place)
{
    struct err err = {0};
    enum err_code code = app_dir_prepare(place->dir, &err);
    return code == ERR_OK ? app_dir_put(place->dir, &APP, &err) : code;
}

static void check_file(const struct place *place, const char *name, const char *want)
{
    char path[160], text[256];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", place->dir, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t len = fread(text, 1, sizeof text - 1, file);
    text[len] = '\0';
    assert_int_equal(fstat(fileno(file), &st), 0);
    fclose(file);
    check_str(name, "text", text, want);
    check_int(name, "mode", st.st_mode & 07777, 0600);
}

static void test_set_is_whole_and_its_owners_alone(void **state)
{
    (void)state;
    struct place place;
    struct stat st;
    struct buf url;
    make(&place);
    mode_t mask = umask(0);
    check_int("set", "stored", store(&place), ERR_OK);
    umask(mask);
    check_file(&place, "app_id", "12345\n");
    check_file(&place, "private-key.pem", key_text);
    check_file(&place, "webhook.secret", "hush\n");
    check_file(&place, "url", "https://github.com/apps/prgate\n");
    assert_int_equal(stat(place.dir, &st), 0);
    check_int("directory", "mode", st.st_mode & 07777, 0700);
    check_int("what it was made as", "there", access(place.new, F_OK), -1);
    buf_init(&url);
    app_dir_add_url(place.dir, &url);
    check_str("url", "read", buf_text(&url), url_text);
    buf_release(&url);
    unmake(&place);
}

static void test_what_is_there_is_never_replaced(void **state)
{
    (void)state;
    struct place place;
    struct err err = {0};
    make(&place);
    assert_int_equal(app_dir_prepare(place.dir, &err), ERR_OK);
    assert_int_equal(mkdir(place.dir, 0700), 0); /* somebody else came first */
    check_int("a race", "code", app_dir_put(place.dir, &APP, &err), ERR_CONFLICT);
    check_int("its own", "there", access(place.new, F_OK), -1);
    check_int("later", "code", store(&place), ERR_CONFLICT);
    assert_int_equal(rmdir(place.dir), 0); /* nothing was put into it */
    assert_int_equal(symlink("/nowhere", place.dir), 0);
    check_int("a link to nowhere", "code", store(&place), ERR_CONFLICT);
    unmake(&place);
}

/* As on a disk with so much room, until end_room(). */
static struct rlimit begin_room(rlim_t room)
{
    struct rlimit before;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit less = {.rlim_cur = room, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
    return before;
}

static void end_room(struct rlimit before)
{
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

/* The disk is full at every place in turn: no set, and nothing left of it. */
static void test_set_that_cannot_be_written_whole_leaves_nothing(void **state)
{
    (void)state;
    struct place place;
    struct err err = {0};
    make(&place);
    for (rlim_t room = 0; room < sizeof key_text - 1; room++) {
        char row[32];
        snprintf(row, sizeof row, "%u bytes", (unsigned)room);
        assert_int_equal(app_dir_prepare(place.dir, &err), ERR_OK);
        struct rlimit before = begin_room(room);
        enum err_code code = app_dir_put(place.dir, &APP, &err);
        end_room(before);
        check_int(row, "code", code, ERR_FATAL);
        check_int(row, "set", access(place.dir, F_OK), -1);
        check_int(row, "left", access(place.new, F_OK), -1);
    }
    unmake(&place);
}

static void test_full_disk_shows_before(void **state)
{
    (void)state;
    struct place place;
    struct err err = {0};
    make(&place);
    struct rlimit before = begin_room(4096);
    enum err_code code = app_dir_prepare(place.dir, &err);
    end_room(before);
    check_int("prepare", "code", code, ERR_FATAL);
    check_int("left", "there", access(place.new, F_OK), -1);
    unmake(&place);
}

/* What somebody who died left is in nobody's way, and counts for nothing. */
static void test_leftover_is_removed(void **state)
{
    (void)state;
    struct place place;
    char path[160];
    make(&place);
    assert_int_equal(mkdir(place.new, 0700), 0);
    snprintf(path, sizeof path, "%s/private-key.pem", place.new);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    check_bool("leftover", "counts", app_dir_is_there(place.dir), false);
    check_int("set", "stored", store(&place), ERR_OK);
    check_file(&place, "private-key.pem", key_text);
    unmake(&place);
}

static void test_directory_that_others_may_write_is_refused(void **state)
{
    (void)state;
    struct place place;
    make(&place);
    assert_int_equal(chmod(place.parent, 0770), 0);
    check_int("others may write", "code", store(&place), ERR_REJECT);
    assert_int_equal(chmod(place.parent, 0700), 0);
    snprintf(place.dir, sizeof place.dir, "%s/missing/app", place.parent);
    check_int("missing", "code", store(&place), ERR_REJECT);
    unmake(&place);
}

static void test_release_leaves_nothing(void **state)
{
    (void)state;
    struct app app = {
        .id = 1, .private_key = mem_strdup("k"), .webhook_secret = mem_strdup("s"), .url = mem_strdup("u")};
    app_release(&app);
    assert_null(app.private_key);
    assert_null(app.webhook_secret);
    check_u64("released", "id", app.id, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_is_whole_and_its_owners_alone),
        cmocka_unit_test(test_what_is_there_is_never_replaced),
        cmocka_unit_test(test_set_that_cannot_be_written_whole_leaves_nothing),
        cmocka_unit_test(test_full_disk_shows_before),
        cmocka_unit_test(test_leftover_is_removed),
        cmocka_unit_test(test_directory_that_others_may_write_is_refused),
        cmocka_unit_test(test_release_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
