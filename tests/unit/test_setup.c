/*
 * The one-time code: when it opens, when no longer, and what of it is on the disk.
 */
#include "check.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prgate/setup.h"

static const int64_t NOW = 1700000000;

struct place {
    char dir[64];
    char file[96];
    char code[SETUP_CODE_SIZE];
    char state[SETUP_STATE_SIZE];
};

static void make(struct place *place)
{
    struct err err = {0};
    strcpy(place->dir, "/tmp/prgate-unit-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    snprintf(place->file, sizeof place->file, "%s/setup", place->dir);
    assert_int_equal(setup_open(place->dir, "octo-org", NOW, place->code, &err), ERR_OK);
    setup_state(place->code, place->state);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

static void unmake(const struct place *place)
{
    nftw(place->dir, remove_one, 4, FTW_DEPTH | FTW_PHYS);
}

static enum err_code try_word(const struct place *place, enum setup_word word, const char *text,
                              int64_t now_s)
{
    char org[LOGIN_SIZE] = "";
    struct err err = {0};
    enum err_code code = setup_check(place->dir, word, text, now_s, org, &err);
    check_str("try", "organization", org, code == ERR_OK ? "octo-org" : "");
    return code;
}

static size_t read_file(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t len = fread(text, 1, size - 1, file);
    text[len] = '\0';
    fclose(file);
    return len;
}

static void test_each_word_is_good_for_its_own_kind_only(void **state)
{
    (void)state;
    struct place place;
    make(&place);
    check_int("code", "is it", try_word(&place, SETUP_CODE, place.code, NOW), ERR_OK);
    check_int("state", "is it", try_word(&place, SETUP_STATE, place.state, NOW), ERR_OK);
    check_int("code as state", "is it", try_word(&place, SETUP_STATE, place.code, NOW), ERR_NOT_FOUND);
    check_int("state as code", "is it", try_word(&place, SETUP_CODE, place.state, NOW), ERR_NOT_FOUND);
    check_int("code", "still", try_word(&place, SETUP_CODE, place.code, NOW), ERR_OK);
    unmake(&place);
}

static void test_code_expires(void **state)
{
    (void)state;
    struct place place;
    make(&place);
    check_int("last second", "is it", try_word(&place, SETUP_CODE, place.code, NOW + SETUP_LIFE_S - 1),
              ERR_OK);
    check_int("behind it", "is it", try_word(&place, SETUP_CODE, place.code, NOW + SETUP_LIFE_S),
              ERR_NOT_FOUND);
    check_int("state", "is it", try_word(&place, SETUP_STATE, place.state, NOW + SETUP_LIFE_S),
              ERR_NOT_FOUND);
    check_int("clock set back", "is it", try_word(&place, SETUP_CODE, place.code, NOW - 1), ERR_NOT_FOUND);
    check_bool("last second", "open", setup_is_open(place.dir, NOW + SETUP_LIFE_S - 1), true);
    check_bool("behind it", "open", setup_is_open(place.dir, NOW + SETUP_LIFE_S), false);
    unmake(&place);
}

static void test_wrong_guesses_void_the_code(void **state)
{
    (void)state;
    struct place place;
    char guess[SETUP_CODE_SIZE];
    make(&place);
    for (int i = 0; i < SETUP_GUESSES; i++) {
        check_int("before", "good", try_word(&place, SETUP_CODE, place.code, NOW), ERR_OK);
        snprintf(guess, sizeof guess, "%032x", (unsigned)i);
        check_int(guess, "is it", try_word(&place, SETUP_CODE, guess, NOW), ERR_NOT_FOUND);
    }
    check_int("after", "good", try_word(&place, SETUP_CODE, place.code, NOW), ERR_NOT_FOUND);
    check_bool("after", "open", setup_is_open(place.dir, NOW), false);
    check_int("after", "file", access(place.file, F_OK), -1);
    unmake(&place);
}

static void test_what_no_code_looks_like_costs_no_guess(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "x", "0123456789abcdef0123456789abcde",
                                        "0123456789abcdef0123456789abcdef0",
                                        "0123456789ABCDEF0123456789ABCDEF"};
    struct place place;
    make(&place);
    for (size_t n = 0; n < 3; n++)
        for (size_t i = 0; i < COUNT_OF(texts); i++)
            check_int(texts[i], "is it", try_word(&place, SETUP_CODE, texts[i], NOW), ERR_NOT_FOUND);
    check_int("after", "good", try_word(&place, SETUP_CODE, place.code, NOW), ERR_OK);
    unmake(&place);
}

/* Where the count cannot be kept, a guess costs all of them. */
static void test_guess_that_cannot_be_counted_voids_the_code(void **state)
{
    (void)state;
    struct place place;
    char path[128];
    make(&place);
    snprintf(path, sizeof path, "%s/.setup.new", place.dir);
    assert_int_equal(mkdir(path, 0700), 0);
    try_word(&place, SETUP_CODE, "0123456789abcdef0123456789abcdef", NOW);
    check_bool("after", "open", setup_is_open(place.dir, NOW), false);
    unmake(&place);
}

static void test_file_has_hashes_only_and_is_for_its_owner(void **state)
{
    (void)state;
    struct place place;
    struct stat st;
    char text[1024];
    make(&place);
    assert_int_equal(stat(place.file, &st), 0);
    check_int("file", "mode", st.st_mode & 07777, 0600);
    read_file(place.file, text, sizeof text);
    check_bool("file", "code in it", strstr(text, place.code) != NULL, false);
    check_bool("file", "state in it", strstr(text, place.state) != NULL, false);
    unmake(&place);
}

/* Cut anywhere, as by a disk that lost its end: no code. */
static void test_file_that_is_not_whole_opens_nothing(void **state)
{
    (void)state;
    struct place place;
    char text[1024], row[64];
    make(&place);
    size_t len = read_file(place.file, text, sizeof text);
    for (size_t cut = len; cut-- > 0;) {
        assert_int_equal(truncate(place.file, (off_t)cut), 0);
        snprintf(row, sizeof row, "%zu of %zu bytes", cut, len);
        check_bool(row, "open", setup_is_open(place.dir, NOW), false);
    }
    unmake(&place);
}

static void test_new_code_voids_the_one_before(void **state)
{
    (void)state;
    struct place place;
    struct err err = {0};
    char second[SETUP_CODE_SIZE];
    make(&place);
    assert_int_equal(setup_open(place.dir, "octo-org", NOW, second, &err), ERR_OK);
    check_bool("codes", "differ", strcmp(place.code, second) != 0, true);
    check_int("first", "good", try_word(&place, SETUP_CODE, place.code, NOW), ERR_NOT_FOUND);
    check_int("second", "good", try_word(&place, SETUP_CODE, second, NOW), ERR_OK);
    check_bool("first", "open by it", setup_is_open_by(place.dir, place.code, NOW), false);
    check_bool("second", "open by it", setup_is_open_by(place.dir, second, NOW), true);
    check_bool("expired", "open by it", setup_is_open_by(place.dir, second, NOW + SETUP_LIFE_S), false);
    setup_close(place.dir);
    check_bool("closed", "open by it", setup_is_open_by(place.dir, second, NOW), false);
    check_int("closed", "good", try_word(&place, SETUP_CODE, second, NOW), ERR_NOT_FOUND);
    unmake(&place);
}

static void test_one_at_a_time_has_the_lock(void **state)
{
    (void)state;
    struct place place;
    struct setup_lock first, second;
    struct err err = {0};
    make(&place);
    check_int("first", "lock", setup_lock(&first, place.dir, false, &err), ERR_OK);
    check_int("second", "lock", setup_lock(&second, place.dir, false, &err), ERR_RETRY);
    setup_unlock(&first);
    check_int("then", "lock", setup_lock(&second, place.dir, false, &err), ERR_OK);
    setup_unlock(&second);
    unmake(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_word_is_good_for_its_own_kind_only),
        cmocka_unit_test(test_code_expires),
        cmocka_unit_test(test_wrong_guesses_void_the_code),
        cmocka_unit_test(test_what_no_code_looks_like_costs_no_guess),
        cmocka_unit_test(test_guess_that_cannot_be_counted_voids_the_code),
        cmocka_unit_test(test_file_has_hashes_only_and_is_for_its_owner),
        cmocka_unit_test(test_file_that_is_not_whole_opens_nothing),
        cmocka_unit_test(test_new_code_voids_the_one_before),
        cmocka_unit_test(test_one_at_a_time_has_the_lock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
