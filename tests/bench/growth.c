/*
 * growth: what a store of many pull requests costs, and that it does not grow for ever.
 *
 *     growth [-s] [N...]      -s: the short form, 1,000 and 10,000, with its assertions; else 1,000 100,000 1,000,000
 *
 * Each pull request is opened, CI is started, and all but one in a hundred are closed: two deliveries through inbox_put()
 * and drain_run(), as in a dry run without credentials, so that everything is real but GitHub. The directory is
 * made below TMPDIR. The clock is simulated, so that months pass, and fsync() and fdatasync() are replaced by
 * what does nothing: what is measured is the store, not the disk. Assertions are about counts and sizes, never times.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "prgate/clock.h"
#include "prgate/drain.h"
#include "prgate/http.h"
#include "prgate/inbox.h"
#include "prgate/log.h"
#include "prgate/report.h"
#include "prgate/retain.h"
#include "prgate/sweep.h"
#include "prgate/tables.h"
#include "prgate/tree.h"
#include "simulated.h"

enum { OPEN_ONE_IN = 100, CHECKPOINT_EVERY = 1000, SAMPLE_MIN = 500, REPO_ID = 5 };

static const int64_t day_ms = INT64_C(86400) * 1000;
static const int64_t log_limit =
    24 << 20; /* six files: a checkpoint comes after 1 MB, and a look for one often */
static unsigned failures;

struct bench {
    char dir[200];
    struct config *config;
    struct gate gate;
    struct worker worker;
    uint64_t deliveries;
    uint64_t next_number;
    int64_t largest_log;
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what, const struct err *err)
{
    fprintf(stderr, "growth: %s: %s\n", what, err->text);
    exit(1);
}

static void expect(bool true_, const char *what, double got, double limit)
{
    if (true_)
        return;
    failures++;
    printf("FAILED: %s: got %.0f, against %.0f\n", what, got, limit);
}

/* ---- the store ------------------------------------------------------------------- */

static void open_bench(struct bench *bench)
{
    char path[512];
    struct err err = {0};
    const char *parent = getenv("TMPDIR");
    snprintf(bench->dir, sizeof bench->dir, "%s/prgate-growth-XXXXXX", parent == NULL ? "/tmp" : parent);
    if (mkdtemp(bench->dir) == NULL) {
        perror(bench->dir);
        exit(1);
    }
    snprintf(path, sizeof path, "%s/conf", bench->dir);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    fprintf(file, "state_dir = \"%s/state\"\ndry_run = true\nrepo \"octo/repo\" { }\n", bench->dir);
    fclose(file);
    setenv("PRGATE_WEBHOOK_SECRET", "hush", 1);
    log_setup(LOG_LEVEL_FATAL, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    if (config_open(&bench->config, path, &err) != ERR_OK || http_setup(&err) != ERR_OK ||
        gate_open(&bench->gate, bench->config, &err) != ERR_OK ||
        worker_open(&bench->worker, &bench->gate, &err) != ERR_OK)
        die("opening", &err);
}

static void close_bench(struct bench *bench)
{
    char command[512];
    worker_close(&bench->worker);
    gate_close(&bench->gate);
    config_close(bench->config);
    snprintf(command, sizeof command, "rm -rf '%s'", bench->dir);
    if (system(command) != 0)
        fprintf(stderr, "growth: %s stays\n", bench->dir);
}

static int64_t file_size(const struct bench *bench, const char *name)
{
    char path[512];
    struct stat st;
    snprintf(path, sizeof path, "%s/state/db/%s", bench->dir, name);
    return stat(path, &st) == 0 ? st.st_size : 0;
}

static int64_t table_size(const struct bench *bench, enum store_table table)
{
    char name[32];
    snprintf(name, sizeof name, "%s.db", store_table_name(table));
    return file_size(bench, name);
}

static int64_t all_tables(const struct bench *bench)
{
    int64_t sum = 0;
    for (int i = 0; i < TABLE_END; i++)
        sum += table_size(bench, (enum store_table)i);
    return sum;
}

static int64_t all_logs(const struct bench *bench)
{
    char path[512];
    int64_t sum = 0;
    snprintf(path, sizeof path, "%s/state/db", bench->dir);
    DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (strncmp(entry->d_name, "log.0", 5) == 0)
            sum += file_size(bench, entry->d_name);
    if (dir != NULL)
        closedir(dir);
    return sum;
}

static void checkpoint(struct bench *bench)
{
    struct err err = {0};
    if (store_checkpoint(bench->gate.store, &err) != ERR_OK)
        die("checkpoint", &err);
    int64_t logs = all_logs(bench);
    if (logs > bench->largest_log)
        bench->largest_log = logs;
}

/* ---- pull requests ------------------------------------------------------------------- */

static void deliver(struct bench *bench, enum event_action action, uint64_t number)
{
    struct event event = {
        .action = action, .key = {.repo_id = REPO_ID, .number = number}, .repo = "octo/repo"};
    char sha[SHA_SIZE];
    struct receipt receipt;
    struct err err = {0};
    simulated_ms += 1000;
    event.received_ms = simulated_ms;
    event.association = ASSOCIATION_INSIDER;
    event.sender = (struct user){.id = 3, .login = "a-login-of-20-letters"};
    event.pr = (struct snapshot){.updated_at = simulated_ms / 1000, .mergeable = MERGEABLE_YES};
    event.pr.author = event.sender;
    event.pr.closed = action == EVENT_CLOSED;
    snprintf(sha, sizeof sha, "%040" PRIx64, number * UINT64_C(0x9E3779B97F4A7C15));
    sha_parse(&event.pr.head, sha);
    strcpy(event.pr.head_ref, "somebody/a-branch-of-theirs");
    strcpy(event.pr.base_ref, "main");
    snprintf(event.pr.title, sizeof event.pr.title, "Change %" PRIu64 " and what comes with it, as titles go",
             number);
    snprintf(event.delivery, sizeof event.delivery, "%08x-0000-11ef-%04x-%012" PRIx64,
             (unsigned)(number * 2654435761U), (unsigned)action, number);
    if (inbox_put(&bench->gate, &event, true, &receipt, &err) != ERR_OK)
        die("inbox", &err);
    if (!receipt.claimed)
        die("inbox", &(struct err){.text = "the claim was not free"});
    drain_run(&bench->worker, &event.key, &receipt.claim);
    bench->deliveries++;
}

/* Up to `count` more; returns the seconds that one delivery took, of the last tenth, or of the last 500 pull requests. */
static double add_pulls(struct bench *bench, uint64_t count)
{
    uint64_t sample = count / 10 > SAMPLE_MIN ? count / 10 : count < SAMPLE_MIN ? count : SAMPLE_MIN;
    uint64_t mark = count - sample, since = 0;
    double start = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t number = ++bench->next_number;
        if (i == mark) {
            start = now_s();
            since = bench->deliveries;
        }
        deliver(bench, EVENT_OPENED, number);
        if (number % OPEN_ONE_IN != 0)
            deliver(bench, EVENT_CLOSED, number);
        if (i % CHECKPOINT_EVERY == 0)
            checkpoint(bench);
    }
    double per_delivery = (now_s() - start) / (double)(bench->deliveries - since);
    checkpoint(bench);
    return per_delivery;
}

static uint64_t count(struct bench *bench, enum store_table table)
{
    struct err err = {0};
    size_t found = 0;
    if (table_count(bench->gate.store, table, SIZE_MAX, &found, &err) != ERR_OK)
        die("count", &err);
    return found;
}

/* ---- what is done now and then ---------------------------------------------------------- */

/* Returns how many transactions one page takes: what it looks at. */
static uint64_t look_at_overview(struct bench *bench, double *ms)
{
    struct err err = {0};
    cJSON *report;
    uint64_t before = store_get_stats(bench->gate.store).transactions;
    double start = now_s();
    if (report_overview(&bench->gate, &report, &err) != ERR_OK)
        die("overview", &err);
    *ms = (now_s() - start) * 1000;
    cJSON_Delete(report);
    return store_get_stats(bench->gate.store).transactions - before;
}

/* What /healthz and /metrics cost: nothing waits, so it is the ends of three tables, however many pull requests there are. */
static void expect_cheap_health(struct bench *bench)
{
    struct health_view view;
    uint64_t before = store_get_stats(bench->gate.store).transactions;
    health_look(bench->gate.store, &view);
    uint64_t looks = store_get_stats(bench->gate.store).transactions - before;
    expect(view.works && looks <= 3, "transactions of a look at the health", (double)looks, 3);
}

/* A whole pass, with all the pauses left out: each call is what a sweeper does in ten seconds. */
static unsigned retain_all(struct bench *bench, unsigned *calls)
{
    unsigned removed = 0, idle = 0;
    *calls = 0;
    simulated_ms += INT64_C(2) * 3600 * 1000;
    while (idle < 3) {
        uint64_t before = store_get_stats(bench->gate.store).transactions;
        removed += retain_run(&bench->gate, 25);
        ++*calls;
        /* Resting is one transaction. */
        idle = store_get_stats(bench->gate.store).transactions - before == 1 ? idle + 1 : 0;
        checkpoint(bench);
    }
    return removed;
}

static void print_heading(void)
{
    printf("%9s %10s %8s %8s %8s %8s %8s %8s %10s %12s\n", "PRs", "deliveries", "pr MB", "seen MB",
           "ledger MB", "tables MB", "log MB", "us/deliv", "page looks", "page ms");
}

static void print_row(struct bench *bench, double per_delivery)
{
    double ms;
    uint64_t looks = look_at_overview(bench, &ms);
    printf("%9" PRIu64 " %10" PRIu64 " %8.1f %8.1f %8.1f %8.1f %8.1f %8.0f %10" PRIu64 " %12.1f\n",
           bench->next_number, bench->deliveries, (double)table_size(bench, TABLE_PR) / 1e6,
           (double)table_size(bench, TABLE_SEEN) / 1e6, (double)table_size(bench, TABLE_LEDGER) / 1e6,
           (double)all_tables(bench) / 1e6, (double)bench->largest_log / 1e6, per_delivery * 1e6, looks, ms);
    fflush(stdout);
    expect(looks <= REPORT_LOOKS_MAX + 20, "looks for one page", (double)looks, REPORT_LOOKS_MAX + 20);
    expect_cheap_health(bench);
}

static void expect_contents(struct bench *bench, uint64_t pulls)
{
    uint64_t open = pulls / OPEN_ONE_IN;
    expect(count(bench, TABLE_PR) == pulls, "records", (double)count(bench, TABLE_PR), (double)pulls);
    expect(count(bench, TABLE_SEEN) == 2 * pulls - open, "ids seen", (double)count(bench, TABLE_SEEN),
           (double)(2 * pulls - open));
    expect(count(bench, TABLE_INBOX) + count(bench, TABLE_INTENT) == 0, "waiting", 1, 0);
    expect(count(bench, TABLE_LEDGER) >= 2 * pulls - open, "ledger", (double)count(bench, TABLE_LEDGER),
           (double)(2 * pulls - open));
}

/* After the days that things are kept, what is left are the pull requests that are open. */
static void expect_retention(struct bench *bench)
{
    unsigned calls;
    uint64_t open = bench->next_number / OPEN_ONE_IN;
    int64_t before = all_tables(bench);
    unsigned removed = retain_all(bench, &calls);
    expect(removed == 0, "nothing is old yet: removed", removed, 0);
    simulated_ms += 8 * day_ms;
    retain_all(bench, &calls);
    expect(count(bench, TABLE_SEEN) == 0, "ids after 8 days", (double)count(bench, TABLE_SEEN), 0);
    expect(count(bench, TABLE_PR) == bench->next_number, "records after 8 days",
           (double)count(bench, TABLE_PR), (double)bench->next_number);
    simulated_ms += 90 * day_ms + (int64_t)bench->deliveries * 1000;
    double start = now_s();
    removed = retain_all(bench, &calls);
    printf("retention removed %u entries in %u looks of 25 batches, %.1f s\n", removed, calls,
           now_s() - start);
    expect(count(bench, TABLE_PR) == open, "records after 98 days", (double)count(bench, TABLE_PR),
           (double)open);
    /* Of each its trigger. */
    expect(count(bench, TABLE_LEDGER) == open, "ledger after 98 days", (double)count(bench, TABLE_LEDGER),
           (double)open);
    add_pulls(bench, bench->next_number);
    expect((double)all_tables(bench) < 1.15 * (double)before, "bytes when filled again",
           (double)all_tables(bench), 1.15 * (double)before);
    printf("filled again: %.1f MB, and %.1f MB before\n", (double)all_tables(bench) / 1e6,
           (double)before / 1e6);
}

int main(int argc, char **argv)
{
    static const uint64_t short_form[] = {1000, 10000}, long_form[] = {1000, 100000, 1000000};
    bool is_short = argc > 1 && strcmp(argv[1], "-s") == 0;
    struct bench bench = {.largest_log = 0};
    int64_t last_size = 0;
    uint64_t last = 0;
    simulated_ms = INT64_C(1700000000000);
    clock_use(tell_simulated);
    int given = argc - (is_short ? 2 : 1), steps = given > 0 ? given : is_short ? 2 : 3;
    tree_setup();
    open_bench(&bench);
    print_heading();
    for (int i = 0; i < steps; i++) {
        uint64_t pulls = is_short ? short_form[i % 2] : long_form[i % 3];
        if (given > 0)
            pulls = strtoull(argv[argc - given + i], NULL, 10);
        if (pulls <= last)
            continue;
        print_row(&bench, add_pulls(&bench, pulls - last));
        if (is_short)
            expect_contents(&bench, pulls);
        double growth = (double)pulls / (double)(last == 0 ? pulls : last);
        double size = (double)all_tables(&bench);
        if (last != 0)
            expect(size < 1.25 * growth * (double)last_size, "bytes, were it to grow with the number", size,
                   1.25 * growth * (double)last_size);
        last_size = all_tables(&bench);
        last = pulls;
    }
    if (is_short)
        expect_retention(&bench);
    expect(bench.largest_log <= log_limit, "bytes of log", (double)bench.largest_log, (double)log_limit);
    close_bench(&bench);
    printf("%s\n", failures == 0 ? "growth: fine" : "growth: FAILED");
    return failures == 0 ? 0 : 1;
}
