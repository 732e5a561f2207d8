/*
 * What the check finds, and that it finds nothing where nothing is wrong.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "fixture.h"
#include "prgate/codec.h"
#include "prgate/inspect.h"
#include "time_travel.h"

/* ---- a disk as a test wants it: in the place of libc's ------------------------------------ */

static long pretended_type = 0xEF53;
static unsigned long free_blocks = 1 << 20, free_inodes = 1 << 20;

int statfs(const char *path, struct statfs *out)
{
    (void)path;
    *out = (struct statfs){0};
    out->f_type = (__typeof__(out->f_type))pretended_type;
    return 0;
}

int statvfs(const char *path, struct statvfs *out)
{
    (void)path;
    *out = (struct statvfs){
        .f_frsize = 4096, .f_bavail = free_blocks, .f_files = 1 << 20, .f_favail = free_inodes};
    return 0;
}

/* ---- findings ------------------------------------------------------------------------------- */

struct findings {
    struct buf text; /* "error: ...\n" and so on */
    unsigned errors;
};

static void note_finding(void *arg, enum finding finding, const char *text)
{
    static const char *const words[] = {
        [FINDING_FINE] = "fine", [FINDING_WARNING] = "warning", [FINDING_ERROR] = "error"};
    struct findings *findings = arg;
    buf_addf(&findings->text, "%s: %s\n", words[finding], text);
}

static struct findings inspect(const struct fixture *f)
{
    struct findings findings = {0};
    buf_init(&findings.text);
    findings.errors = inspect_state(f->config, f->dir, note_finding, &findings);
    return findings;
}

/* `want`: a line's beginning and something further on in the same line. */
static void expect_line(const char *row, struct findings *findings, const char *begin, const char *part)
{
    char line[1024];
    for (const char *at = buf_text(&findings->text); *at != '\0'; at += strcspn(at, "\n") + 1) {
        snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
        if (strncmp(line, begin, strlen(begin)) == 0 && strstr(line, part) != NULL)
            return;
    }
    fail_msg("%s: no line \"%s...%s\" in:\n%s", row, begin, part, buf_text(&findings->text));
}

static void expect(const char *row, const struct fixture *f, const char *begin, const char *part,
                   bool is_error)
{
    struct findings findings = inspect(f);
    expect_line(row, &findings, begin, part);
    check_bool(buf_text(&findings.text), row, findings.errors > 0, is_error);
    buf_release(&findings.text);
}

/* A store that was used and is closed. */
static void make_used(struct fixture *f)
{
    fixture_open(f, "");
    struct event event = make_event(EVENT_OPENED, "d1");
    put_event(f, &event, false);
    github_close(f->worker.github);
    f->worker.github = NULL;
    gate_close(&f->gate);
}

static void run_in_state(const struct fixture *f, const char *command)
{
    char line[512];
    snprintf(line, sizeof line, "cd %s/state && %s", f->dir, command);
    assert_int_equal(system(line), 0);
}

static void test_nothing_is_found_where_nothing_is_wrong(void **state)
{
    (void)state;
    struct fixture f;
    make_used(&f);
    struct findings findings = inspect(&f);
    check_u64(buf_text(&findings.text), "errors", findings.errors, 0);
    check_bool(buf_text(&findings.text), "warning", strstr(buf_text(&findings.text), "warning") != NULL,
               false);
    expect_line("used", &findings, "fine: ", "the store opens");
    expect_line("used", &findings, "fine: the log: ", "records");
    expect_line("used", &findings, "fine: table pr: 1 entries", "");
    expect_line("used", &findings, "fine: table inbox: 1 entries", "");
    expect_line("used", &findings, "fine: table quarantine: 0 entries", "");
    expect_line("used", &findings, "fine: each table's file is sound", "");
    buf_release(&findings.text);
    char command[200]; /* and the copy is gone */
    snprintf(command, sizeof command, "test -z \"$(ls -d %s/prgate-check-* 2>/dev/null)\"", f.dir);
    assert_int_equal(system(command), 0);
    fixture_close(&f);
}

static void test_directory_and_files_that_are_wrong_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *name, *command, *begin, *part;
        bool is_error;
    } rows[] = {
        {"lost", "rm -r ../state", "error: ", "/state does not exist", true},
        {"emptied", "rm -r db alive metrics", "warning: ", "/state held no store", false},
        {"a file", "cd .. && rm -r state && touch state", "error: ", "/state is no directory", true},
        {"writable for others", "chmod 777 .", "warning: ", "/state has mode 0777", false},
        {"readable for others", "chmod 644 db/pr.db", "warning: ", "/db/pr.db has mode 0644", false},
        {"something else", "touch notes", "warning: ", "/state/notes is nothing of prgate's", false},
        {"something else", "touch db/notes", "warning: ", "/db/notes is nothing of prgate's", false},
        {"left over", "mkdir loading", "warning: ", "/loading was left by", false},
        {"table gone", "rm db/seen.db", "error: ", "/db/seen.db is missing", true},
        {"table cut off", "truncate -s 4096 db/pr.db", "error: ", "/db/pr.db has only 4096 bytes", true},
        {"log cut off", "truncate -s 100 db/log.0*", "error: ", "/db/log.0000000001 was cut off", true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        make_used(&f);
        run_in_state(&f, rows[i].command);
        expect(rows[i].name, &f, rows[i].begin, rows[i].part, rows[i].is_error);
        fixture_close(&f);
    }
}

/* And nothing is opened, since that would leave files of the wrong owner. */
static void test_other_user_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *command, *part;
    } rows[] = {{"chown 65534 .", "/state belongs to user nobody"},
                {"chown 65534 db/seen.db", "/db/seen.db belongs"}};
    if (geteuid() != 0)
        skip();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        make_used(&f);
        run_in_state(&f, rows[i].command);
        struct findings findings = inspect(&f);
        expect_line("owner", &findings, "error: ", rows[i].part);
        expect_line("owner", &findings, "error: ", "runuser -u nobody -- prgatectl");
        check_bool("owner", "opened", strstr(buf_text(&findings.text), "the store opens") != NULL, false);
        buf_release(&findings.text);
        fixture_close(&f);
    }
}

static void test_disk_and_clock_are_looked_at(void **state)
{
    (void)state;
    struct fixture f;
    make_used(&f);
    pretended_type = 0x6969;
    expect("network", &f, "error: ", "network file system (NFS)", true);
    pretended_type = 0xEF53;
    free_blocks = 100;
    expect("full", &f, "error: ", "no space left on the disk", true);
    free_blocks = 4096 * 5; /* 80 MB */
    expect("nearly full", &f, "warning: ", "80 MB are free", false);
    free_blocks = 4200; /* 16 MB: less than a copy needs, with a file of the log */
    expect("no room for a copy", &f, "warning: the files were not verified", "TMPDIR", false);
    free_blocks = 1 << 20;
    free_inodes = 3;
    expect("inodes", &f, "error: ", "inodes", true);
    free_inodes = 1 << 20;
    travelled_s = 1500000000 - (int64_t)time(NULL);
    expect("clock", &f, "warning: the clock", "before 2020", false);
    travelled_s = 0;
    fixture_close(&f);
}

/* ---- entries ------------------------------------------------------------------------------------ */

struct misplaced {
    enum store_table table;
    const char *key;
};

static enum err_code put_junk_body(struct store_txn *txn, void *arg, struct err *err)
{
    const struct misplaced *junk = arg;
    struct bytes key = {junk->key, strlen(junk->key)};
    return store_put(txn, junk->table, key, (struct bytes){"\x09junk", 5}, err);
}

static void test_entries_that_cannot_be_decoded_are_named(void **state)
{
    (void)state;
    static const enum store_table tables[] = {TABLE_PR,     TABLE_INBOX, TABLE_SEEN,
                                              TABLE_INTENT, TABLE_DEAD,  TABLE_LEDGER,
                                              TABLE_NAME,   TABLE_TRUST, TABLE_HEAD};
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        struct fixture f;
        struct err err = {0};
        char begin[64];
        struct misplaced junk = {.table = tables[i], .key = "AAAAAAABAAAAAAACAAAAAAAD"};
        make_used(&f);
        fixture_open_gate(&f);
        assert_int_equal(store_txn(f.gate.store, put_junk_body, &junk, &err), ERR_OK);
        gate_close(&f.gate);
        snprintf(begin, sizeof begin, "error: table %s: ", store_table_name(tables[i]));
        expect(begin, &f, begin, "", true);
        fixture_close(&f);
    }
}

static enum err_code misplace_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct event event = make_event(EVENT_OPENED, "d2");
    struct record record = {.key = {.repo_id = 5, .number = 9}, .repo = "octo/repo"};
    struct buf key, value;
    (void)arg;
    buf_init(&key);
    buf_init(&value);
    encode_pr_key(&key, &record.key);
    record.key.number = 8;
    record_encode(&record, &value);
    enum err_code code = store_put(txn, TABLE_PR, buf_bytes(&key), buf_bytes(&value), err);
    buf_release(&key);
    buf_release(&value);
    return code == ERR_OK ? table_append_event(txn, &record, &event, err) : code;
}

/* They can be decoded, and are somebody else's. */
static void test_entries_under_another_key_are_named(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    make_used(&f);
    fixture_open_gate(&f);
    assert_int_equal(store_txn(f.gate.store, misplace_body, NULL, &err), ERR_OK);
    gate_close(&f.gate);
    expect("record", &f, "error: table pr: repository 5 #9: a record under another", "", true);
    expect("delivery", &f, "error: table inbox: repository 5 #8 0: a delivery under another", "", true);
    fixture_close(&f);
}

static enum err_code put_remains_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct pr_key pr = {.repo_id = 5, .number = 7};
    struct dead_letter letter = {.intent = {.seq = 4, .kind = INTENT_TRIGGER, .delivery = "d"},
                                 .died_ms = 1,
                                 .reason = "No such event"};
    (void)arg;
    enum err_code code = table_put_dead(txn, &pr, &letter, err);
    return code == ERR_OK ? table_quarantine(txn, TABLE_INBOX, &pr, 0, err) : code;
}

static void test_dead_letters_and_quarantine_are_counted_and_named(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    make_used(&f);
    fixture_open_gate(&f);
    if (store_txn(f.gate.store, put_remains_body, NULL, &err) != ERR_OK)
        fail_msg("%s", err.text);
    gate_close(&f.gate);
    struct findings findings = inspect(&f);
    expect_line("dead", &findings, "warning: given up: repository 5 #7 4: trigger", "No such event");
    expect_line("dead", &findings, "warning: 1 actions were given up", "");
    expect_line("quarantine", &findings, "warning: in quarantine: inbox repository 5 #7 0", "bytes");
    expect_line("quarantine", &findings, "warning: 1 entries are in quarantine", "");
    check_u64("remains", "errors", findings.errors, 0);
    buf_release(&findings.text);
    fixture_close(&f);
}

static void test_page_that_is_damaged_is_found(void **state)
{
    (void)state;
    struct fixture f;
    char path[128];
    make_used(&f);
    snprintf(path, sizeof path, "%s/state/db/trust.db", f.dir);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, 4096 + 8, SEEK_SET), 0);
    for (int i = 8; i < 4096; i++)
        fputc(0xEE, file);
    assert_int_equal(fclose(file), 0);
    expect("damaged", &f, "error: ", "/db/trust.db", true);
    fixture_close(&f);
}

/* The list of free pages begins with one that is in use: only who writes next would stumble over it. */
static void test_damage_that_no_reader_meets_is_found_on_the_copy(void **state)
{
    (void)state;
    struct fixture f;
    char path[128];
    make_used(&f);
    snprintf(path, sizeof path, "%s/state/db/trust.db", f.dir);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, 28, SEEK_SET), 0);
    fputc(1, file);
    assert_int_equal(fclose(file), 0);
    expect("walked", &f, "fine: table trust: 0 entries", "", true);
    expect("verified", &f, "error: ", "/db/trust.db is damaged", true);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_found_where_nothing_is_wrong),
        cmocka_unit_test(test_directory_and_files_that_are_wrong_are_named),
        cmocka_unit_test(test_other_user_is_refused),
        cmocka_unit_test(test_disk_and_clock_are_looked_at),
        cmocka_unit_test(test_entries_that_cannot_be_decoded_are_named),
        cmocka_unit_test(test_entries_under_another_key_are_named),
        cmocka_unit_test(test_dead_letters_and_quarantine_are_counted_and_named),
        cmocka_unit_test(test_page_that_is_damaged_is_found),
        cmocka_unit_test(test_damage_that_no_reader_meets_is_found_on_the_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
