/*
 * Counters that processes share, and what a scraper reads of them.
 */
#include "check.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

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

/* ---- by event, by kind ------------------------------------------------------------- */

static void printed(const struct fixture *f, struct buf *text)
{
    buf_init(text);
    metrics_print(f->gate.metrics, NULL, text);
}

static void check_sample(const char *row, const struct fixture *f, const char *sample)
{
    struct buf text;
    char line[160];
    printed(f, &text);
    snprintf(line, sizeof line, "\n%s\n", sample);
    check_contains(row, "text", buf_text(&text), line);
    buf_release(&text);
}

static void test_deliveries_are_told_apart_by_event(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    metrics_count_delivery(f.gate.metrics, METRIC_TAKEN, "pull_request");
    metrics_count_delivery(f.gate.metrics, METRIC_TAKEN, "pull_request");
    metrics_count_delivery(f.gate.metrics, METRIC_TAKEN, "check_run");
    metrics_count_delivery(f.gate.metrics, METRIC_UNSIGNED, NULL);
    metrics_count_delivery(f.gate.metrics, METRIC_UNSIGNED, "a stranger's idea of an event\" 1\n");
    check_sample("taken", &f, "prgate_deliveries_total{event=\"pull_request\",outcome=\"taken\"} 2");
    check_sample("taken", &f, "prgate_deliveries_total{event=\"check_run\",outcome=\"taken\"} 1");
    check_sample("unsigned", &f, "prgate_deliveries_total{event=\"other\",outcome=\"unsigned\"} 2");
    check_int("sum", "taken", metrics_get(f.gate.metrics, METRIC_TAKEN), 3);
    check_int("sum", "unsigned", metrics_get(f.gate.metrics, METRIC_UNSIGNED), 2);
    check_int("sum", "ignored", metrics_get(f.gate.metrics, METRIC_IGNORED), 0);
    fixture_close(&f);
}

static void test_intents_are_told_apart_by_kind(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    for (int kind = 1; kind < INTENT_KIND_END; kind++) {
        char sample[128];
        for (int i = 0; i < kind; i++)
            metrics_count_intent(f.gate.metrics, METRIC_INTENTS_DEAD, (enum intent_kind)kind);
        snprintf(sample, sizeof sample, "prgate_intents_total{kind=\"%s\",outcome=\"dead\"} %d",
                 intent_kind_name((enum intent_kind)kind), kind);
        check_sample("kind", &f, sample);
    }
    check_int("sum", "dead", metrics_get(f.gate.metrics, METRIC_INTENTS_DEAD),
              INTENT_KIND_END * (INTENT_KIND_END - 1) / 2);
    check_int("sum", "done", metrics_get(f.gate.metrics, METRIC_INTENTS_DONE), 0);
    fixture_close(&f);
}

/* ---- the version before ---------------------------------------------------------------- */

/* What it does: it cuts the file to its own size, knows 27 slots, and counts outcomes without events. */
static void count_as_the_version_before(const struct fixture *f)
{
    char path[128];
    snprintf(path, sizeof path, "%s/state/metrics", f->dir);
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 4096), 0);
    atomic_int_least64_t *values = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(values != MAP_FAILED);
    for (int i = 0; i < 27; i++)
        atomic_fetch_add(&values[i], 100 + i);
    munmap(values, 4096);
    close(fd);
}

static void test_pool_of_two_versions_counts_together(void **state)
{
    (void)state;
    struct fixture f = {0};
    char path[128];
    fixture_configure(&f, "", "");
    snprintf(path, sizeof path, "%s/state", f.dir);
    assert_int_equal(mkdir(path, 0700), 0);
    count_as_the_version_before(&f); /* its file is there first */
    fixture_open_gate(&f);
    metrics_count_delivery(f.gate.metrics, METRIC_TAKEN, "pull_request");
    metrics_count_intent(f.gate.metrics, METRIC_INTENTS_DONE, INTENT_TRIGGER);
    metrics_observe(f.gate.metrics, HISTOGRAM_API_CALL, 1);
    count_as_the_version_before(&f); /* and one starts beside us */
    check_sample("old", &f, "prgate_deliveries_total{event=\"other\",outcome=\"taken\"} 200");
    check_sample("new", &f, "prgate_deliveries_total{event=\"pull_request\",outcome=\"taken\"} 1");
    check_sample("old", &f, "prgate_intents_total{kind=\"other\",outcome=\"done\"} 216");
    check_sample("new", &f, "prgate_intents_total{kind=\"trigger\",outcome=\"done\"} 1");
    check_sample("both", &f, "prgate_reconciled_total 252");
    check_sample("new", &f, "prgate_api_call_seconds_count 1");
    check_int("both", "taken", metrics_get(f.gate.metrics, METRIC_TAKEN), 201);
    fixture_close(&f);
}

/* A later version may have more of the file mapped: to cut it would kill that process. */
static void test_file_is_never_cut(void **state)
{
    (void)state;
    struct fixture f;
    struct stat st;
    char path[128];
    fixture_open(&f, "");
    snprintf(path, sizeof path, "%s/state/metrics", f.dir);
    assert_int_equal(stat(path, &st), 0);
    check_int("new", "size", st.st_size, 4096);
    check_bool("new", "no hole", st.st_blocks > 0, true);
    assert_int_equal(truncate(path, 12288), 0);
    metrics_close(open_other(&f));
    assert_int_equal(stat(path, &st), 0);
    check_int("longer", "size", st.st_size, 12288);
    fixture_close(&f);
}

/* ---- durations --------------------------------------------------------------------------- */

static void test_durations_fall_into_buckets(void **state)
{
    (void)state;
    static const int64_t durations[] = {
        0, 1000, 1001, 2500, 999999, 1000001, 300000000, 300000001, INT64_C(1) << 40, -5};
    static const char *const samples[] = {
        "prgate_decision_seconds_bucket{le=\"0.001\"} 3",
        "prgate_decision_seconds_bucket{le=\"0.0025\"} 5",
        "prgate_decision_seconds_bucket{le=\"0.5\"} 5",
        "prgate_decision_seconds_bucket{le=\"1\"} 6",
        "prgate_decision_seconds_bucket{le=\"2.5\"} 7",
        "prgate_decision_seconds_bucket{le=\"120\"} 7",
        "prgate_decision_seconds_bucket{le=\"300\"} 8",
        "prgate_decision_seconds_bucket{le=\"+Inf\"} 10",
        "prgate_decision_seconds_count 10",
        "prgate_decision_seconds_sum 1100113.632278",
        "prgate_acknowledgement_seconds_count 0",
        "prgate_webhook_to_trigger_seconds_sum 0.000000",
    };
    struct fixture f;
    fixture_open(&f, "");
    for (size_t i = 0; i < COUNT_OF(durations); i++)
        metrics_observe(f.gate.metrics, HISTOGRAM_DECISION, durations[i]);
    for (size_t i = 0; i < COUNT_OF(samples); i++)
        check_sample("bucket", &f, samples[i]);
    check_u64("observed", "count", metrics_observed(f.gate.metrics, HISTOGRAM_DECISION), COUNT_OF(durations));
    fixture_close(&f);
}

/* ---- what is read ---------------------------------------------------------------- */

enum { FAMILIES_MAX = 64 };

struct exposition {
    char families[FAMILIES_MAX][96];
    int family_count;
    char type[16]; /* of the family at hand, "" before its TYPE */
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
    assert_true(e->family_count < FAMILIES_MAX);
    strcpy(e->families[e->family_count++], name);
    e->type[0] = '\0';
}

static void read_type(struct exposition *e, const char *line)
{
    char name[96], type[16];
    assert_int_equal(sscanf(line, "# TYPE %95s %15s", name, type), 2);
    assert_true(e->family_count > 0);
    check_str(line, "family", name, e->families[e->family_count - 1]);
    check_str(line, "the only one", e->type, "");
    bool counter = strcmp(type, "counter") == 0;
    check_bool(line, "a known type", counter || strcmp(type, "gauge") == 0 || strcmp(type, "histogram") == 0,
               true);
    size_t len = strlen(name);
    check_bool(line, "ends in _total", len > 6 && strcmp(name + len - 6, "_total") == 0, counter);
    strcpy(e->type, type);
}

/* The name of a histogram's sample has one of three suffixes. */
static void check_family(const struct exposition *e, const char *line, const char *name)
{
    const char *family = e->families[e->family_count - 1];
    size_t len = strlen(family);
    check_bool(line, "of its family", strncmp(name, family, len) == 0, true);
    bool suffix = strcmp(name + len, "_bucket") == 0 || strcmp(name + len, "_sum") == 0 ||
                  strcmp(name + len, "_count") == 0;
    check_bool(line, "a suffix", suffix, strcmp(e->type, "histogram") == 0);
    check_bool(line, "a name", suffix || name[len] == '\0', true);
}

static void read_sample(struct exposition *e, const char *line)
{
    char name[96], labels[96] = "", *end;
    const char *value = strrchr(line, ' ');
    assert_non_null(value);
    assert_true(e->family_count > 0);
    assert_true(sscanf(line, "%95[^{ ]%95[^ ]", name, labels) >= 1);
    check_bool(line, "behind its TYPE", e->type[0] != '\0', true);
    check_family(e, line, name);
    size_t len = strlen(labels);
    if (len > 0)
        check_bool(line, "labels", labels[0] == '{' && strcmp(labels + len - 2, "\"}") == 0, true);
    strtod(value + 1, &end);
    check_bool(line, "a value", end != value + 1, true);
    check_str(line, "behind the value", end, "");
    e->samples++;
}

static const struct metrics_gauges some_gauges = {.store_works = true, .deliveries = 3, .processes = 2};

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
    metrics_print(f.gate.metrics, &some_gauges, &text);
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
    check_bool("text", "every number has its place", e.samples > METRIC_END, true);
    for (int i = 0; i < METRIC_END; i++) {
        char value[32];
        snprintf(value, sizeof value, i == METRIC_RATE_BLOCKED_MS ? " 1.%03d000\n" : " 1%03d\n", i);
        check_contains("text", "a slot's value", buf_text(&text), value);
    }
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
    int count = 0, lines = 0;
    fixture_open(&f, "");
    for (int i = 0; i < METRIC_END; i++)
        metrics_set(f.gate.metrics, (enum metric)i, i + 1);
    metrics_observe(f.gate.metrics, HISTOGRAM_TRIGGER, 1500000);
    buf_init(&json);
    buf_init(&text);
    metrics_print_json(f.gate.metrics, &some_gauges, &json);
    metrics_print(f.gate.metrics, &some_gauges, &text);
    cJSON *tree = cJSON_Parse(buf_text(&json));
    assert_non_null(tree);
    cJSON_ArrayForEach(item, tree)
    {
        char name[160];
        snprintf(name, sizeof name, "\n%s ", item->string);
        const char *line = strstr(buf_text(&text), name);
        if (line == NULL)
            fail_msg("text: no sample %s", item->string);
        else if (strtod(line + strlen(name), NULL) != item->valuedouble)
            fail_msg("%s: got %f in JSON, want as in the text", item->string, item->valuedouble);
        count++;
    }
    for (const char *at = buf_text(&text); *at != '\0'; at += strcspn(at, "\n") + 1)
        lines += *at == '#' ? 0 : 1;
    check_int("json", "samples", count, lines);
    cJSON_Delete(tree);
    buf_release(&json);
    buf_release(&text);
    fixture_close(&f);
}

/* Where the store does not work nothing is known of the queues: no number is better than a wrong one. */
static void test_unknown_gauges_are_left_out(void **state)
{
    (void)state;
    struct fixture f;
    struct buf text;
    fixture_open(&f, "");
    buf_init(&text);
    metrics_print(f.gate.metrics, &(struct metrics_gauges){.processes = 2, .deliveries = 9}, &text);
    check_contains("down", "text", buf_text(&text), "\nprgate_store_up 0\n");
    check_contains("down", "text", buf_text(&text), "\nprgate_processes 2\n");
    check_bool("down", "queues", strstr(buf_text(&text), "prgate_queue") != NULL, false);
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
        cmocka_unit_test(test_deliveries_are_told_apart_by_event),
        cmocka_unit_test(test_intents_are_told_apart_by_kind),
        cmocka_unit_test(test_pool_of_two_versions_counts_together),
        cmocka_unit_test(test_file_is_never_cut),
        cmocka_unit_test(test_durations_fall_into_buckets),
        cmocka_unit_test(test_text_is_what_prometheus_reads),
        cmocka_unit_test(test_json_has_the_same_samples),
        cmocka_unit_test(test_unknown_gauges_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
