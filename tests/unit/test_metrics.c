/*
 * Counters that processes share, and what a scraper reads of them.
 */
#include "check.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <pthread.h>

#include "fixture.h"
#include "prgate/metrics.h"

static struct metrics *open_other(const struct fixture *f)
{
    char path[128];
    struct metrics *other = NULL;
    struct err err = {0};
    snprintf(path, sizeof path, "%s/state", f->dir);
    if (metrics_open(&other, path, &err) != ERR_OK)
        fail_msg("metrics: %s", err.text);
    return other;
}

static void test_two_handles_count_together(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    struct metrics *other = open_other(&f);
    metrics_add(f.gate.metrics, METRIC_TAKEN);
    metrics_add(other, METRIC_TAKEN);
    metrics_set(other, METRIC_RATE_REMAINING, 4999);
    check_int("taken", "value", metrics_get(f.gate.metrics, METRIC_TAKEN), 2);
    check_int("duplicate", "value", metrics_get(f.gate.metrics, METRIC_DUPLICATE), 0);
    check_int("remaining", "value", metrics_get(f.gate.metrics, METRIC_RATE_REMAINING), 4999);
    metrics_set(f.gate.metrics, METRIC_RATE_REMAINING, 17); /* a gauge goes down, too */
    check_int("remaining", "value", metrics_get(other, METRIC_RATE_REMAINING), 17);
    metrics_close(other);
    fixture_close(&f);
}

static void test_counts_of_a_process_that_was_killed_stay(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        metrics_add(open_other(&f), METRIC_DECIDED);
        kill(getpid(), SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    check_int("decided", "value", metrics_get(f.gate.metrics, METRIC_DECIDED), 1);
    fixture_close(&f);
}

enum { THREADS = 4, ADDS = 20000 };

static void *add_many(void *arg)
{
    for (int i = 0; i < ADDS; i++)
        metrics_add(arg, METRIC_API_CALLS);
    return NULL;
}

static void test_threads_lose_no_count(void **state)
{
    (void)state;
    struct fixture f;
    pthread_t threads[THREADS];
    fixture_open(&f, "");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, f.gate.metrics), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    check_int("calls", "value", metrics_get(f.gate.metrics, METRIC_API_CALLS), THREADS * ADDS);
    fixture_close(&f);
}

static void test_counts_outlive_the_handle_and_a_file_of_another_size_is_mended(void **state)
{
    (void)state;
    struct fixture f;
    char path[128];
    fixture_open(&f, "");
    struct metrics *other = open_other(&f);
    metrics_add(other, METRIC_TAKEN);
    metrics_close(other);
    snprintf(path, sizeof path, "%s/state/metrics", f.dir);
    static const off_t sizes[] = {4096, 100000, 8};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        /* Not through the gate's own mapping: bytes of it that are beyond the end must not be touched. */
        assert_int_equal(truncate(path, sizes[i]), 0);
        other = open_other(&f);
        check_int("taken", "value", metrics_get(other, METRIC_TAKEN), 1);
        metrics_add(other, METRIC_RATE_BLOCKED_MS); /* the last one lies within the file */
        metrics_close(other);
    }
    fixture_close(&f);
}

static void test_file_that_cannot_be_made_is_named(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct metrics *metrics = NULL;
    struct err err = {0};
    char path[128];
    fixture_configure(&f, "", "");
    snprintf(path, sizeof path, "%s/token", f.dir); /* a file */
    assert_int_equal(metrics_open(&metrics, path, &err), ERR_FATAL);
    assert_null(metrics);
    check_contains("error", "text", err.text, path);
    check_int("error", "errno", err.number, ENOTDIR);
    fixture_close(&f);
}

/* ---- what is read ---------------------------------------------------------------- */

struct exposition {
    char families[METRIC_END][96];
    int family_count;
    bool typed; /* the family at hand has its TYPE */
    int samples;
};

static bool is_metric_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:");
    return len > 0 && name[len] == '\0' && !isdigit((unsigned char)name[0]);
}

static void read_help(struct exposition *e, const char *line)
{
    char name[96];
    int at = 0;
    assert_int_equal(sscanf(line, "# HELP %95s %n", name, &at), 1);
    check_bool(line, "a name", is_metric_name(name), true);
    check_bool(line, "a text", at > 0 && line[at] != '\0', true);
    for (int i = 0; i < e->family_count; i++)
        check_bool(line, "the first of its family", strcmp(e->families[i], name) != 0, true);
    strcpy(e->families[e->family_count++], name);
    e->typed = false;
}

static void read_type(struct exposition *e, const char *line)
{
    char name[96], type[16];
    assert_int_equal(sscanf(line, "# TYPE %95s %15s", name, type), 2);
    assert_true(e->family_count > 0);
    check_str(line, "family", name, e->families[e->family_count - 1]);
    check_bool(line, "the only one", e->typed, false);
    bool counter = strcmp(type, "counter") == 0;
    check_bool(line, "a known type", counter || strcmp(type, "gauge") == 0, true);
    size_t len = strlen(name);
    check_bool(line, "ends in _total", len > 6 && strcmp(name + len - 6, "_total") == 0, counter);
    e->typed = true;
}

static void read_sample(struct exposition *e, const char *line)
{
    char name[96], labels[96] = "", *end;
    const char *value = strrchr(line, ' ');
    assert_non_null(value);
    assert_true(e->family_count > 0);
    assert_true(sscanf(line, "%95[^{ ]%95[^ ]", name, labels) >= 1);
    check_str(line, "family", name, e->families[e->family_count - 1]);
    check_bool(line, "behind its TYPE", e->typed, true);
    size_t len = strlen(labels);
    if (len > 0)
        check_bool(line, "labels",
                   strncmp(labels, "{outcome=\"", 10) == 0 && strcmp(labels + len - 2, "\"}") == 0, true);
    check_int(line, "value", strtoll(value + 1, &end, 10), 1000 + e->samples);
    check_str(line, "behind the value", end, "");
    e->samples++;
}

static void test_text_is_what_prometheus_reads(void **state)
{
    (void)state;
    struct fixture f;
    struct buf text;
    struct exposition e = {.samples = 0};
    char *rest, *copy;
    fixture_open(&f, "");
    for (int i = 0; i < METRIC_END; i++)
        metrics_set(f.gate.metrics, (enum metric)i, 1000 + i);
    buf_init(&text);
    metrics_print(f.gate.metrics, &text);
    copy = mem_strdup(buf_text(&text));
    check_int("text", "last byte", text.data[text.len - 1], '\n');
    for (char *line = strtok_r(copy, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "# HELP ", 7) == 0)
            read_help(&e, line);
        else if (strncmp(line, "# TYPE ", 7) == 0)
            read_type(&e, line);
        else
            read_sample(&e, line);
    }
    check_int("text", "samples", e.samples, METRIC_END);
    free(copy);
    buf_release(&text);
    fixture_close(&f);
}

static void test_json_has_the_same_samples(void **state)
{
    (void)state;
    struct fixture f;
    struct buf json, text;
    const cJSON *item;
    int count = 0;
    fixture_open(&f, "");
    for (int i = 0; i < METRIC_END; i++)
        metrics_set(f.gate.metrics, (enum metric)i, i - 3);
    buf_init(&json);
    buf_init(&text);
    metrics_print_json(f.gate.metrics, &json);
    metrics_print(f.gate.metrics, &text);
    cJSON *tree = cJSON_Parse(buf_text(&json));
    assert_non_null(tree);
    cJSON_ArrayForEach(item, tree)
    {
        char line[160];
        snprintf(line, sizeof line, "\n%s %d\n", item->string, item->valueint);
        check_contains("text", "sample", buf_text(&text), line);
        count++;
    }
    check_int("json", "samples", count, METRIC_END);
    cJSON_Delete(tree);
    buf_release(&json);
    buf_release(&text);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_handles_count_together),
        cmocka_unit_test(test_counts_of_a_process_that_was_killed_stay),
        cmocka_unit_test(test_threads_lose_no_count),
        cmocka_unit_test(test_counts_outlive_the_handle_and_a_file_of_another_size_is_mended),
        cmocka_unit_test(test_file_that_cannot_be_made_is_named),
        cmocka_unit_test(test_text_is_what_prometheus_reads),
        cmocka_unit_test(test_json_has_the_same_samples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
