#include "prgate/board.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/alive.h"
#include "prgate/budget.h"
#include "prgate/clock.h"
#include "prgate/health.h"
#include "prgate/report.h"
#include "prgate/tables.h"
#include "prgate/text.h"
#include "prgate/visible.h"

#ifndef PRGATE_VERSION
#define PRGATE_VERSION "0"
#endif

/* What is kept of each that matches. */
struct row {
    struct pr_key pr;
    int64_t since_ms;
    enum board_group group;
    unsigned dead;
};

/* Who has dead letters, in the order of keys, and how many. */
struct dead_count {
    struct pr_key pr;
    unsigned count;
};

struct place {
    uint64_t repo_id;
    char repo[REPO_NAME_SIZE];
    size_t over_budget; /* wait for their turn */
    size_t budget_used; /* within the hour */
    size_t counts[BOARD_GROUP_END];
};

struct board {
    struct gate *gate;
    const struct board_query *query;
    struct dead_count *dead;
    size_t dead_count, dead_cap;
    struct row *rows; /* of the query, but for its group */
    size_t row_count, row_cap;
    struct place *places;
    size_t place_count, place_cap;
    size_t counts[BOARD_GROUP_END];
    bool more;
};

/* ---- groups ---------------------------------------------------------------------- */

static const char *const group_names[] = {"trouble", "awaiting", "running", ""};

const char *board_group_name(enum board_group group)
{
    return group_names[group];
}

enum board_group board_group_from_name(const char *name)
{
    for (int i = 0; i < BOARD_GROUP_END; i++)
        if (strcmp(group_names[i], name) == 0)
            return (enum board_group)i;
    return BOARD_GROUP_END;
}

static bool is_over_budget(const struct head *head)
{
    return head != NULL && head->check_reason == WAIT_BUDGET && !head_is_triggered(head);
}

/* NULL: nothing is wrong with it. */
static const char *trouble_of(const struct record *record, const struct head *head, unsigned dead)
{
    if (dead > 0)
        return "given up";
    if (record->failures > 0)
        return "being retried";
    if (head == NULL)
        return NULL;
    if (is_over_budget(head))
        return "over budget";
    if (head->ci == CI_REFUSED || head->rerun_failed)
        return "CI refused to start";
    return head->ci == CI_UNKNOWN ? "CI may not have started" : NULL;
}

static enum board_group group_of(const struct record *record, const struct head *head, unsigned dead)
{
    if (trouble_of(record, head, dead) != NULL)
        return BOARD_TROUBLE;
    return head != NULL && head_is_triggered(head) ? BOARD_RUNNING : BOARD_AWAITING;
}

static int64_t since_of(enum board_group group, const struct head *head)
{
    if (head == NULL)
        return INT64_MAX;
    return group == BOARD_RUNNING ? head->ci_at_ms : head->first_seen_ms;
}

/* ---- dead letters ------------------------------------------------------------------- */

struct dead_step {
    struct pr_key pr;
    unsigned count;
};

static enum err_code dead_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct dead_step *step = arg;
    struct dead_letter letter;
    struct pr_key pr = step->pr;
    enum err_code code = table_next_queued(txn, TABLE_DEAD, &pr, err);
    step->count = 0;
    for (uint64_t seq = 0; code == ERR_OK; seq++) {
        code = table_next_dead(txn, &pr, &seq, &letter, err);
        if (code == ERR_CORRUPT)
            code = ERR_OK;
        step->count += code == ERR_OK;
    }
    if (step->count == 0)
        return code;
    step->pr = pr;
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

/* The next key in order. */
static struct pr_key next_key(struct pr_key pr)
{
    if (++pr.number == 0)
        pr.repo_id++;
    return pr;
}

static enum err_code find_dead(struct board *board, struct err *err)
{
    struct dead_step step = {0};
    enum err_code code = ERR_OK;
    while (board->dead_count < REPORT_COUNT_MAX &&
           (code = store_txn(board->gate->store, dead_body, &step, err)) == ERR_OK) {
        board->dead = mem_room(board->dead, board->dead_count, &board->dead_cap, sizeof *board->dead);
        board->dead[board->dead_count++] = (struct dead_count){step.pr, step.count};
        step.pr = next_key(step.pr);
    }
    return board->dead_count == REPORT_COUNT_MAX || code == ERR_NOT_FOUND ? ERR_OK : code;
}

static int compare_keys(const struct pr_key *a, const struct pr_key *b)
{
    if (a->repo_id != b->repo_id)
        return a->repo_id < b->repo_id ? -1 : 1;
    return a->number == b->number ? 0 : a->number < b->number ? -1 : 1;
}

static int compare_dead(const void *a, const void *b)
{
    return compare_keys(&((const struct dead_count *)a)->pr, &((const struct dead_count *)b)->pr);
}

static unsigned count_dead(const struct board *board, const struct pr_key *pr)
{
    struct dead_count wanted = {.pr = *pr};
    const struct dead_count *found =
        board->dead == NULL ? NULL
                            : bsearch(&wanted, board->dead, board->dead_count, sizeof wanted, compare_dead);
    return found == NULL ? 0 : found->count;
}

/* ---- filters ------------------------------------------------------------------------ */

static bool contains_fold(const char *text, const char *word, size_t len)
{
    for (; *text != '\0'; text++)
        if (strncasecmp(text, word, len) == 0)
            return true;
    return false;
}

static bool matches_text(const struct board_query *query, const struct record *record, struct buf *scratch)
{
    if (query->text[0] == '\0')
        return true;
    buf_clear(scratch);
    buf_addf(scratch, "%s#%" PRIu64 " %s %s", record->repo, record->key.number, record->view.title,
             record->view.author.login);
    const char *text = buf_text(scratch), *word = query->text;
    while (*(word += strspn(word, " ")) != '\0') {
        size_t len = strcspn(word, " ");
        if (!contains_fold(text, word, len))
            return false;
        word += len;
    }
    return true;
}

static bool matches_repo(const struct board_query *query, const struct record *record)
{
    return query->repo[0] == '\0' || text_equal_fold(query->repo, record->repo);
}

/* ---- looking at them all ---------------------------------------------------------------- */

/* Some records of one repository, the newest first. */
struct batch {
    uint64_t repo_id;
    struct pr_key from, next; /* below `from`; where the next batch goes on */
    struct record records[BOARD_BATCH];
    size_t count;  /* of them */
    size_t looked; /* damaged ones, too */
    size_t max;
    bool over; /* there are no more */
};

static enum err_code batch_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct batch *batch = arg;
    store_need_not_wait(txn); /* a page to look at */
    batch->next = batch->from;
    batch->count = batch->looked = 0;
    batch->over = false;
    while (batch->looked < batch->max) {
        struct pr_key pr = batch->next;
        enum err_code code = table_prev_record(txn, &pr, &batch->records[batch->count], err);
        if (code != ERR_OK && code != ERR_CORRUPT && code != ERR_NOT_FOUND)
            return code;
        batch->over = code == ERR_NOT_FOUND || pr.repo_id != batch->repo_id;
        if (batch->over)
            return ERR_OK;
        batch->next = pr;
        batch->looked++;
        batch->count += code == ERR_OK && !batch->records[batch->count].view.closed;
    }
    return ERR_OK;
}

static void add_row(struct board *board, const struct record *record, struct place *place,
                    struct buf *scratch)
{
    const struct head *head = record_find_head(record, &record->view.head);
    unsigned dead = count_dead(board, &record->key);
    enum board_group group = group_of(record, head, dead);
    place->counts[group]++;
    place->over_budget += is_over_budget(head);
    if (place->repo[0] == '\0')
        memcpy(place->repo, record->repo, sizeof place->repo);
    if (!matches_repo(board->query, record) || !matches_text(board->query, record, scratch))
        return;
    board->counts[group]++;
    if (board->query->group != BOARD_GROUP_END && board->query->group != group)
        return;
    board->rows = mem_room(board->rows, board->row_count, &board->row_cap, sizeof *board->rows);
    board->rows[board->row_count++] = (struct row){record->key, since_of(group, head), group, dead};
}

static enum err_code look_at_repo(struct board *board, struct batch *batch, size_t looks, struct err *err)
{
    struct place place = {.repo_id = batch->repo_id};
    struct buf scratch;
    enum err_code code = ERR_OK;
    buf_init(&scratch);
    batch->over = false;
    batch->from = (struct pr_key){.repo_id = batch->repo_id, .number = UINT64_MAX};
    while (code == ERR_OK && !batch->over && looks > 0) {
        batch->max = looks < BOARD_BATCH ? looks : BOARD_BATCH;
        code = store_txn(board->gate->store, batch_body, batch, err);
        for (size_t i = 0; i < batch->count && code == ERR_OK; i++)
            add_row(board, &batch->records[i], &place, &scratch);
        looks -= batch->looked;
        batch->from = batch->next;
    }
    board->more = board->more || !batch->over;
    if (place.repo[0] != '\0') {
        board->places = mem_room(board->places, board->place_count, &board->place_cap, sizeof *board->places);
        board->places[board->place_count++] = place;
    }
    buf_release(&scratch);
    return code;
}

struct repo_step {
    struct pr_key pr; /* the first of the next repository is not before it */
    bool public;
};

static enum err_code next_repo_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct repo_step *step = arg;
    struct pr_key pr = step->pr;
    enum err_code code = table_next_queued(txn, TABLE_PR, &pr, err);
    if (code == ERR_OK)
        code = visible_get(txn, pr.repo_id, &step->public, err);
    if (code == ERR_OK)
        step->pr = pr;
    return code;
}

typedef enum err_code repo_fn(struct board *board, uint64_t repo_id, void *arg, struct err *err);

/* Calls it for each repository that may be shown. */
static enum err_code each_repo(struct board *board, repo_fn *function, void *arg, struct err *err)
{
    struct repo_step step = {0};
    enum err_code code;
    while ((code = store_txn(board->gate->store, next_repo_body, &step, err)) == ERR_OK) {
        if (step.public || board->query->show_private)
            code = function(board, step.pr.repo_id, arg, err);
        if (code != ERR_OK || step.pr.repo_id == UINT64_MAX)
            return code;
        step.pr = (struct pr_key){.repo_id = step.pr.repo_id + 1};
    }
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

static enum err_code count_repo(struct board *board, uint64_t repo_id, void *arg, struct err *err)
{
    (void)board, (void)repo_id, (void)err;
    ++*(size_t *)arg;
    return ERR_OK;
}

struct share {
    struct batch batch;
    size_t looks;
};

static enum err_code take_repo(struct board *board, uint64_t repo_id, void *arg, struct err *err)
{
    struct share *share = arg;
    share->batch.repo_id = repo_id;
    return look_at_repo(board, &share->batch, share->looks, err);
}

static enum err_code look_at_all(struct board *board, struct err *err)
{
    size_t repos = 0;
    enum err_code code = each_repo(board, count_repo, &repos, err);
    if (code != ERR_OK || repos == 0)
        return code;
    struct share *share = mem_alloc(sizeof *share);
    *share = (struct share){.looks = BOARD_LOOKS_MAX / repos};
    if (share->looks < BOARD_LOOKS_EACH)
        share->looks = BOARD_LOOKS_EACH;
    for (size_t i = 0; i < BOARD_BATCH; i++)
        record_init(&share->batch.records[i]);
    code = each_repo(board, take_repo, share, err);
    for (size_t i = 0; i < BOARD_BATCH; i++)
        record_release(&share->batch.records[i]);
    free(share);
    return code;
}

/* ---- a page of them ---------------------------------------------------------------------- */

static int compare_rows(const void *left, const void *right)
{
    const struct row *a = left, *b = right;
    if (a->group != b->group)
        return a->group < b->group ? -1 : 1;
    if (a->since_ms != b->since_ms)
        return (a->since_ms < b->since_ms) == (a->group != BOARD_RUNNING) ? -1 : 1;
    return compare_keys(&a->pr, &b->pr);
}

struct look {
    struct pr_key pr;
    struct record record;
};

static enum err_code look_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct look *look = arg;
    store_need_not_wait(txn);
    return table_get_record(txn, &look->pr, STORE_READ, &look->record, err);
}

/* It may have been closed, forgotten or damaged since: then it is left out. */
static enum err_code describe_row(struct board *board, const struct row *row, cJSON *pulls, struct err *err)
{
    struct look look = {.pr = row->pr};
    record_init(&look.record);
    enum err_code code = store_txn(board->gate->store, look_body, &look, err);
    if (code == ERR_OK && !look.record.view.closed) {
        const struct head *head = record_find_head(&look.record, &look.record.view.head);
        const char *trouble = trouble_of(&look.record, head, row->dead);
        cJSON *pull = report_record(&look.record);
        cJSON_AddStringToObject(pull, "group", group_names[row->group]);
        cJSON_AddStringToObject(pull, "trouble", trouble == NULL ? "" : trouble);
        cJSON_AddNumberToObject(pull, "dead", row->dead);
        cJSON_AddItemToArray(pulls, pull);
    }
    record_release(&look.record);
    return code == ERR_NOT_FOUND || code == ERR_CORRUPT ? ERR_OK : code;
}

static enum err_code add_page(struct board *board, cJSON *report, struct err *err)
{
    const struct board_query *query = board->query;
    size_t pages = board->row_count == 0 ? 1 : (board->row_count - 1) / query->per_page + 1;
    size_t page = query->page < 1 ? 1 : query->page > pages ? pages : (size_t)query->page;
    size_t first = (page - 1) * query->per_page;
    enum err_code code = ERR_OK;
    if (board->row_count > 0)
        qsort(board->rows, board->row_count, sizeof *board->rows, compare_rows);
    cJSON_AddNumberToObject(report, "matching", (double)board->row_count);
    cJSON_AddNumberToObject(report, "page", (double)page);
    cJSON_AddNumberToObject(report, "pages", (double)pages);
    cJSON_AddBoolToObject(report, "more", board->more);
    cJSON *pulls = cJSON_AddArrayToObject(report, "pull_requests");
    for (size_t i = first; i < first + query->per_page && i < board->row_count && code == ERR_OK; i++)
        code = describe_row(board, &board->rows[i], pulls, err);
    return code;
}

static void add_counts(cJSON *object, const size_t counts[BOARD_GROUP_END])
{
    size_t open = 0;
    for (int i = 0; i < BOARD_GROUP_END; i++)
        open += counts[i];
    cJSON_AddNumberToObject(object, "open", (double)open);
    for (int i = 0; i < BOARD_GROUP_END; i++)
        cJSON_AddNumberToObject(object, group_names[i], (double)counts[i]);
}

static int compare_places(const void *a, const void *b)
{
    return strcasecmp(((const struct place *)a)->repo, ((const struct place *)b)->repo);
}

static enum err_code used_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct place *place = arg;
    return budget_used(txn, place->repo_id, clock_now_ms(), &place->budget_used, err);
}

/* The repository's own; of authors' budgets only who waits. Where it cannot be read now, the page goes without. */
static void add_budget(struct board *board, struct place *place, cJSON *object)
{
    const struct policy *policy = config_policy(board->gate->config, place->repo);
    int limit = policy == NULL ? 0 : policy->repo_triggers_per_hour;
    struct err err;
    cJSON_AddNumberToObject(object, "over_budget", (double)place->over_budget);
    if (limit == 0 || store_txn(board->gate->store, used_body, place, &err) != ERR_OK)
        return;
    cJSON_AddNumberToObject(object, "budget", limit);
    cJSON_AddNumberToObject(object, "budget_used", (double)place->budget_used);
}

static void add_places(struct board *board, cJSON *report)
{
    cJSON *list = cJSON_AddArrayToObject(report, "repositories");
    if (board->place_count > 0)
        qsort(board->places, board->place_count, sizeof *board->places, compare_places);
    for (size_t i = 0; i < board->place_count; i++) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "repository", board->places[i].repo);
        add_counts(object, board->places[i].counts);
        add_budget(board, &board->places[i], object);
        cJSON_AddItemToArray(list, object);
    }
}

/* ---- health -------------------------------------------------------------------------- */

static void add_number(cJSON *object, const char *name, int64_t value)
{
    if (value != 0)
        cJSON_AddNumberToObject(object, name, (double)value);
    else
        cJSON_AddNullToObject(object, name);
}

/* GitHub's budget is told as known only once an answer had it. */
static void add_rate(cJSON *health, const struct metrics *metrics)
{
    int64_t reset_s = metrics_get(metrics, METRIC_RATE_RESET);
    if (reset_s != 0)
        cJSON_AddNumberToObject(health, "rate_remaining",
                                (double)metrics_get(metrics, METRIC_RATE_REMAINING));
    else
        cJSON_AddNullToObject(health, "rate_remaining");
    add_number(health, "rate_reset", reset_s * 1000);
    add_number(health, "blocked_until", metrics_get(metrics, METRIC_RATE_BLOCKED_MS));
}

static enum err_code add_health(struct board *board, cJSON *report, struct err *err)
{
    struct health_view view;
    health_look(board->gate->store, &view);
    if (!view.works) {
        *err = view.why;
        return view.why.code;
    }
    cJSON_AddStringToObject(report, "version", PRGATE_VERSION);
    cJSON_AddBoolToObject(report, "dry_run", board->gate->config->dry_run);
    cJSON_AddNumberToObject(report, "waiting", (double)(view.deliveries + view.intents));
    cJSON_AddNumberToObject(report, "deliveries_waiting", (double)view.deliveries);
    cJSON_AddNumberToObject(report, "intents_waiting", (double)view.intents);
    cJSON *health = cJSON_AddObjectToObject(report, "health");
    cJSON_AddNumberToObject(health, "processes", alive_count(board->gate->alive));
    add_number(health, "oldest_delivery", view.oldest_delivery_at_ms);
    cJSON_AddNumberToObject(health, "dead", (double)view.dead);
    add_rate(health, board->gate->metrics);
    return ERR_OK;
}

/* ---- all together -------------------------------------------------------------------- */

enum err_code board_report(struct gate *gate, const struct board_query *query, cJSON **out, struct err *err)
{
    struct board board = {.gate = gate, .query = query};
    cJSON *report = cJSON_CreateObject();
    enum err_code code = find_dead(&board, err);
    if (code == ERR_OK)
        code = look_at_all(&board, err);
    if (code == ERR_OK)
        code = add_health(&board, report, err);
    if (code == ERR_OK) {
        add_places(&board, report);
        add_counts(cJSON_AddObjectToObject(report, "counts"), board.counts);
        code = add_page(&board, report, err);
    }
    free(board.dead);
    free(board.rows);
    free(board.places);
    if (code == ERR_OK)
        *out = report;
    else
        cJSON_Delete(report);
    return code;
}
