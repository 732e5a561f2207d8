/*
 * prgatectl tail: the ledger's new entries, as they are committed.
 *
 * Each second it looks at the counters that the pool shares; where they stand still, nothing was done. Else, and every
 * ten seconds in any case, it walks through the records, which tell how long each ledger is. So a quiet gate costs
 * nothing, however large it is, and in one of a hundred thousand pull requests a line may take a second or two. Only
 * reads, in small transactions.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "prgate/buf.h"
#include "prgate/clock.h"
#include "prgate/gate.h"
#include "prgate/report.h"
#include "prgate/tables.h"
#include "prgate/text.h"

enum { LOOK_EACH_MS = 500, WALK_AT_LEAST_EACH_MS = 10000, RECORDS_EACH = 200 };

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

/* How far the ledger of one pull request was shown. Sorted by key, as the table is. */
struct mark {
    struct pr_key pr;
    uint64_t next;
};

struct tail {
    struct gate gate;
    char repo[REPO_NAME_SIZE]; /* "": all */
    uint64_t number;           /* 0: all of them */
    struct mark *marks, *now;  /* of the last walk, and of this one */
    size_t mark_count, now_count, now_cap;
    bool first;   /* what is there already is passed over */
    cJSON *found; /* new entries */

    /* one transaction's */
    struct pr_key at, next; /* where it begins, and the one behind it */
    struct record record;
    size_t seen;
    cJSON *batch;
};

/* ---- one walk ------------------------------------------------------------------------------------ */

static bool is_wanted(const struct tail *tail)
{
    return (tail->repo[0] == '\0' || text_equal_fold(tail->repo, tail->record.repo)) &&
           (tail->number == 0 || tail->number == tail->record.key.number);
}

static int compare_keys(const void *a, const void *b)
{
    const struct mark *one = a, *other = b;
    if (one->pr.repo_id != other->pr.repo_id)
        return one->pr.repo_id < other->pr.repo_id ? -1 : 1;
    return (one->pr.number > other->pr.number) - (one->pr.number < other->pr.number);
}

/* One that was not there at the last walk is new, with all that it has. */
static uint64_t shown_until(const struct tail *tail)
{
    struct mark wanted = {.pr = tail->record.key};
    const struct mark *mark = tail->mark_count == 0 ? NULL
                                                    : bsearch(&wanted, tail->marks, tail->mark_count,
                                                              sizeof *tail->marks, compare_keys);
    if (mark != NULL)
        return mark->next;
    return tail->first ? tail->record.next_ledger : 0;
}

static void note_mark(struct tail *tail)
{
    if (tail->now_count == tail->now_cap) {
        tail->now_cap = tail->now_cap == 0 ? RECORDS_EACH : 2 * tail->now_cap;
        tail->now = mem_grow(tail->now, tail->now_cap * sizeof *tail->now);
    }
    tail->now[tail->now_count++] = (struct mark){.pr = tail->record.key, .next = tail->record.next_ledger};
}

static enum err_code add_entries(struct store_txn *txn, struct tail *tail, struct err *err)
{
    struct buf text;
    enum err_code code = ERR_OK;
    buf_init(&text);
    for (uint64_t seq = shown_until(tail); seq < tail->record.next_ledger; seq++) {
        code = table_next_text(txn, TABLE_LEDGER, &tail->record.key, &seq, &text, err);
        if (code != ERR_OK)
            break;
        cJSON *entry = cJSON_ParseWithLength((const char *)text.data, text.len);
        if (!cJSON_IsObject(entry)) {
            cJSON_Delete(entry);
            continue;
        }
        cJSON_AddStringToObject(entry, "repository", tail->record.repo);
        cJSON_AddNumberToObject(entry, "number", (double)tail->record.key.number);
        cJSON_AddItemToArray(tail->batch, entry);
    }
    buf_release(&text);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

/* RECORDS_EACH from tail->at on; ERR_NOT_FOUND behind the last. Run again, it starts anew. */
static enum err_code walk_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct tail *tail = arg;
    struct pr_key pr = tail->at;
    enum err_code code = ERR_OK;
    tail->now_count = tail->seen;
    cJSON_Delete(tail->batch);
    tail->batch = cJSON_CreateArray();
    for (int i = 0; i < RECORDS_EACH; i++, pr.number++) {
        code = table_next_record(txn, &pr, &tail->record, err);
        if (code == ERR_CORRUPT)
            continue;
        if (code == ERR_OK && is_wanted(tail)) {
            code = add_entries(txn, tail, err);
            note_mark(tail);
        }
        if (code != ERR_OK)
            return code;
    }
    tail->next = pr;
    return ERR_OK;
}

static void take_batch(struct tail *tail)
{
    cJSON *entry;
    while ((entry = cJSON_DetachItemFromArray(tail->batch, 0)) != NULL)
        cJSON_AddItemToArray(tail->found, entry);
    tail->seen = tail->now_count;
    tail->at = tail->next;
}

static enum err_code walk(struct tail *tail, struct err *err)
{
    enum err_code code;
    tail->at = (struct pr_key){0};
    tail->seen = 0;
    do {
        code = store_txn(tail->gate.store, walk_body, tail, err);
        if (code == ERR_OK || code == ERR_NOT_FOUND)
            take_batch(tail);
    } while (code == ERR_OK && interrupted == 0);
    if (code != ERR_NOT_FOUND && code != ERR_OK)
        return code;
    struct mark *old = tail->marks;
    tail->marks = tail->now;
    tail->mark_count = tail->seen;
    tail->now = old;
    tail->now_cap = 0;
    free(tail->now);
    tail->now = NULL;
    if (tail->first) /* what comes from here on is shown */
        fprintf(stderr, "prgatectl: following %zu pull requests and what is new; Ctrl-C ends\n",
                tail->mark_count);
    tail->first = false;
    return ERR_OK;
}

/* ---- showing --------------------------------------------------------------------------------------- */

struct found {
    int64_t time_ms;
    cJSON *entry;
};

static int by_time(const void *a, const void *b)
{
    const struct found *one = a, *other = b;
    return (one->time_ms > other->time_ms) - (one->time_ms < other->time_ms);
}

static void print_one(const cJSON *entry, bool json)
{
    if (json) {
        cli_print_json_line(cJSON_Duplicate(entry, true));
        return;
    }
    printf("%s%s#%" PRId64 "%s ", cli_color(COLOR_BOLD), report_text(entry, "repository"),
           report_number(entry, "number"), cli_color(COLOR_PLAIN));
    cli_print_entry(entry);
}

/* In the order of time, though they were found in that of pull requests. False: nobody reads any more. */
static bool print_found(struct tail *tail, bool json)
{
    size_t count = 0, size = (size_t)cJSON_GetArraySize(tail->found);
    struct found *all = mem_alloc((size + 1) * sizeof *all);
    cJSON *entry;
    while ((entry = cJSON_DetachItemFromArray(tail->found, 0)) != NULL)
        all[count++] = (struct found){.time_ms = report_number(entry, "time"), .entry = entry};
    qsort(all, count, sizeof *all, by_time);
    for (size_t i = 0; i < count; i++) {
        print_one(all[i].entry, json);
        cJSON_Delete(all[i].entry);
    }
    free(all);
    return fflush(stdout) == 0 && !ferror(stdout);
}

/* ---- going on ---------------------------------------------------------------------------------------- */

static int64_t sum_of_counters(const struct metrics *metrics)
{
    uint64_t sum = 0;
    for (int i = 0; i < METRIC_END; i++)
        sum += (uint64_t)metrics_get(metrics, (enum metric)i);
    return (int64_t)(sum & INT64_MAX);
}

static enum err_code follow(struct tail *tail, bool json, struct err *err)
{
    int64_t sum = -1, walked_ms = 0;
    bool read = true;
    enum err_code code = ERR_OK;
    while (code == ERR_OK && read && interrupted == 0) {
        int64_t now = sum_of_counters(tail->gate.metrics), now_ms = clock_monotonic_ms();
        if (now != sum || now_ms - walked_ms >= WALK_AT_LEAST_EACH_MS) {
            sum = now;
            walked_ms = now_ms;
            code = walk(tail, err);
            read = print_found(tail, json);
        } else {
            nanosleep(&(struct timespec){.tv_nsec = LOOK_EACH_MS * 1000000L}, NULL);
        }
    }
    return code;
}

static void catch_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}

enum exit_status cmd_tail(const struct cli *cli)
{
    struct tail tail = {.first = true};
    struct err err = {0};
    if (cli->arguments[0] != NULL && !cli_split_place(cli->arguments[0], tail.repo, &tail.number))
        return EXIT_USAGE;
    record_init(&tail.record);
    tail.found = cJSON_CreateArray();
    catch_signals();
    enum err_code code = gate_open(&tail.gate, cli->config, &err);
    if (code == ERR_OK)
        code = follow(&tail, cli->json, &err);
    gate_close(&tail.gate);
    record_release(&tail.record);
    cJSON_Delete(tail.found);
    cJSON_Delete(tail.batch);
    free(tail.marks);
    free(tail.now);
    return code == ERR_OK ? EXIT_OK : cli_complain(&err);
}
