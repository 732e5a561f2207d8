#include "check.h"

#include <link.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "footprint.h"

/* Of files that are mapped, shared ones included. */
static unsigned long mapped_kb(void)
{
    unsigned long kb = 0, shared = 0;
    char line[160];
    FILE *status = fopen("/proc/self/status", "r");
    if (status == NULL)
        return 0;
    while (fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, "RssFile:", 8) == 0)
            kb = strtoul(line + 8, NULL, 10);
        if (strncmp(line, "RssShmem:", 9) == 0)
            shared = strtoul(line + 9, NULL, 10);
    }
    fclose(status);
    return kb + shared;
}

static void digest(unsigned char out[EVP_MAX_MD_SIZE])
{
    unsigned int len = 0;
    assert_int_equal(EVP_Digest("text", 4, out, &len, EVP_sha256(), NULL), 1);
    assert_int_equal(len, 32);
}

static void test_less_is_mapped_and_all_works_on(void **state)
{
    (void)state;
    struct fixture f;
    unsigned char before[EVP_MAX_MD_SIZE], after[EVP_MAX_MD_SIZE];
    struct err err = {0};
    fixture_open(&f, "");
    struct event event = make_event(EVENT_OPENED, "d1");
    struct receipt receipt;
    digest(before);
    unsigned long mapped = mapped_kb();
    if (mapped == 0)
        skip(); /* elsewhere than on Linux */
    footprint_trim(f.gate.store);
    assert_true(mapped_kb() < mapped);
    digest(after);
    assert_memory_equal(before, after, 32);
    assert_int_equal(inbox_put(&f.gate, &event, true, &receipt, &err), ERR_OK);
    check_u64("after", "inbox", count_table(&f, TABLE_INBOX), 1);
    fixture_close(&f);
}

/* Of libraries whose beginning is mapped: how many have none of it in memory, in hundredths; -1: that is not told here. */
static int beginnings_away_percent(void)
{
    char line[4400];
    unsigned away = 0, all = 0;
    bool is_beginning = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    if (maps == NULL)
        return -1;
    while (fgets(line, sizeof line, maps) != NULL) {
        if (strstr(line, " r--p 00000000 ") != NULL && strstr(line, ".so") != NULL)
            is_beginning = true;
        if (!is_beginning || strncmp(line, "Rss:", 4) != 0)
            continue;
        is_beginning = false;
        all++;
        away += strtoul(line + 4, NULL, 10) == 0;
    }
    fclose(maps);
    return all == 0 ? -1 : (int)(100 * away / all);
}

static void test_giving_back_does_not_map_it_again(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    footprint_trim(f.gate.store);
    int away = beginnings_away_percent();
    fixture_close(&f);
    if (away < 0)
        skip();
    assert_true(away >= 50); /* some are needed to look at all */
}

/* How many of `looks`, a second apart, find that it is due. */
static unsigned count_due(struct footprint *footprint, unsigned looks, int64_t *cpu_us, int64_t cpu_each_us,
                          int64_t faults)
{
    unsigned due = 0;
    for (unsigned i = 0; i < looks; i++)
        due += footprint_is_due(footprint, *cpu_us += cpu_each_us, faults);
    return due;
}

static void test_trimmed_once_after_a_load(void **state)
{
    (void)state;
    struct footprint footprint = {0};
    int64_t cpu_us = 0;
    check_u64("under load", "due", count_due(&footprint, 20, &cpu_us, 100000, 5000), 0);
    check_u64("just after it", "due", count_due(&footprint, 4, &cpu_us, 1000, 5000), 0);
    check_u64("at rest", "due", count_due(&footprint, 1, &cpu_us, 1000, 5000), 1);
    check_u64("at rest, for long", "due", count_due(&footprint, 20, &cpu_us, 1000, 5100), 0);
    check_u64("after a second load", "due", count_due(&footprint, 20, &cpu_us, 1000, 9000), 1);
    check_u64("under a third", "due", count_due(&footprint, 1, &cpu_us, 100000, 20000), 0);
    check_u64("hardly at rest", "due", count_due(&footprint, 4, &cpu_us, 1000, 20000), 0);
    check_u64("a fourth", "due", count_due(&footprint, 1, &cpu_us, 100000, 20000), 0);
    check_u64("rest begins anew", "due", count_due(&footprint, 4, &cpu_us, 1000, 20000), 0);
}

static void test_busy_is_a_tenth_of_a_second(void **state)
{
    (void)state;
    struct footprint footprint = {0};
    footprint_is_due(&footprint, 5000000, 1000);
    check_bool("at rest", "busy", footprint_is_busy(&footprint, 5003000), false);
    check_bool("some work", "busy", footprint_is_busy(&footprint, 5099999), false);
    check_bool("a load", "busy", footprint_is_busy(&footprint, 5100000), true);
    footprint_is_due(&footprint, 5100000, 1000);
    check_bool("after it", "busy", footprint_is_busy(&footprint, 5100000), false);
}

/* The table of segments lies at an object's beginning. */
static int read_beginning(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size, (void)arg;
    return info->dlpi_phdr[0].p_type == PT_NULL;
}

static void test_code_of_a_busy_process_is_given_back(void **state)
{
    (void)state;
    struct footprint footprint = {.cpu_us = -1000000}; /* whatever this test has used: it is busy */
    dl_iterate_phdr(read_beginning, NULL);
    int before = beginnings_away_percent();
    assert_false(footprint_look(&footprint));
    int away = beginnings_away_percent();
    if (before < 0)
        skip();
    assert_true(before < 50 && away >= 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_less_is_mapped_and_all_works_on),
        cmocka_unit_test(test_giving_back_does_not_map_it_again),
        cmocka_unit_test(test_trimmed_once_after_a_load),
        cmocka_unit_test(test_busy_is_a_tenth_of_a_second),
        cmocka_unit_test(test_code_of_a_busy_process_is_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
