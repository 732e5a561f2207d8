/*
 * The open pull requests in groups: who is in which, in what order, by which filters, and on which page.
 */
#include "check.h"

#include "fixture.h"
#include "prgate/board.h"
#include "prgate/codec.h"
#include "prgate/report.h"
#include "prgate/visible.h"

static const struct board_query all = {.group = BOARD_GROUP_END, .page = 1, .per_page = 50};

static cJSON *board(struct fixture *f, const struct board_query *query)
{
    struct err err = {0};
    cJSON *report = NULL;
    if (board_report(&f->gate, query, &report, &err) != ERR_OK)
        fail_msg("board: %s", err.text);
    return report;
}

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* "trouble 7, awaiting 8": what is on the page, in order. */
static void check_page(const char *row, struct fixture *f, const struct board_query *query, const char *want)
{
    struct buf got;
    cJSON *report = board(f, query);
    const cJSON *pull;
    buf_init(&got);
    cJSON_ArrayForEach(pull, member(report, "pull_requests"))
    {
        buf_addf(&got, "%s%s %" PRId64, got.len > 0 ? ", " : "", report_text(pull, "group"),
                 report_number(pull, "number"));
    }
    check_str(row, "page", buf_text(&got), want);
    buf_release(&got);
    cJSON_Delete(report);
}

struct put {
    uint64_t repo_id;
    const char *repo;
    enum visibility visibility;
};

static enum err_code name_body(struct store_txn *txn, void *arg, struct err *err)
{
    const struct put *put = arg;
    struct event event = {.key = {.repo_id = put->repo_id}, .visibility = put->visibility};
    return visible_note(txn, &event, err);
}

static void tell_visibility(struct fixture *f, uint64_t repo_id, enum visibility visibility)
{
    struct put put = {.repo_id = repo_id, .visibility = visibility};
    struct err err = {0};
    assert_int_equal(store_txn(f->gate.store, name_body, &put, &err), ERR_OK);
}

/* One whose head waits since `since`. The caller changes and puts it. */
static struct record make(uint64_t repo_id, const char *repo, uint64_t number, int64_t since)
{
    struct record record;
    record_init(&record);
    record.key = (struct pr_key){.repo_id = repo_id, .number = number};
    snprintf(record.repo, sizeof record.repo, "%s", repo);
    sha_parse(&record.view.head, SHA_A);
    record_reserve_head(&record);
    record_add_head(&record, &record.view.head, since)->check_reason = WAIT_UNTRUSTED;
    return record;
}

static void put(struct fixture *f, struct record record)
{
    put_record(f, &record);
    record_release(&record);
}

static void put_started(struct fixture *f, uint64_t number, int64_t at)
{
    struct record record = make(5, "octo/repo", number, 1);
    head_set_ci(&record.heads[0], CI_STARTED, at);
    put(f, record);
}

static enum err_code dead_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct dead_letter letter = {.intent = {.kind = INTENT_TRIGGER, .seq = 3}};
    enum err_code code = table_put_dead(txn, arg, &letter, err);
    letter.intent.seq = 4;
    return code == ERR_OK ? table_put_dead(txn, arg, &letter, err) : code;
}

static void test_each_is_in_its_group(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum ci_state ci;
        enum wait_reason reason;
        unsigned failures;
        bool dead, rerun_failed;
        const char *group, *trouble;
    } rows[] = {
        {"waits", CI_NONE, WAIT_UNTRUSTED, 0, false, false, "awaiting", ""},
        {"conflict", CI_NONE, WAIT_CONFLICT, 0, false, false, "awaiting", ""},
        {"started", CI_STARTED, WAIT_UNTRUSTED, 0, false, false, "running", ""},
        {"decided", CI_DECIDED, WAIT_NOTHING, 0, false, false, "running", ""},
        {"retried", CI_NONE, WAIT_UNTRUSTED, 2, false, false, "trouble", "being retried"},
        {"retried, though started", CI_STARTED, WAIT_NOTHING, 2, false, false, "trouble", "being retried"},
        {"given up", CI_NONE, WAIT_UNTRUSTED, 0, true, false, "trouble", "given up"},
        {"given up before retried", CI_NONE, WAIT_UNTRUSTED, 2, true, false, "trouble", "given up"},
        {"over budget", CI_NONE, WAIT_BUDGET, 0, false, false, "trouble", "over budget"},
        {"was over budget", CI_STARTED, WAIT_BUDGET, 0, false, false, "running", ""},
        {"refused", CI_REFUSED, WAIT_TRIGGER_FAILED, 0, false, false, "trouble", "CI refused to start"},
        {"re-run refused", CI_STARTED, WAIT_NOTHING, 0, false, true, "trouble", "CI refused to start"},
        {"unknown", CI_UNKNOWN, WAIT_NOTHING, 0, false, false, "trouble", "CI may not have started"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        struct err err = {0};
        fixture_open(&f, "");
        tell_visibility(&f, 5, VISIBILITY_PUBLIC);
        struct record record = make(5, "octo/repo", 7, 1000);
        record.heads[0].ci = rows[i].ci;
        record.heads[0].check_reason = rows[i].reason;
        record.heads[0].rerun_failed = rows[i].rerun_failed;
        record.failures = rows[i].failures;
        struct pr_key pr = record.key;
        put(&f, record);
        if (rows[i].dead)
            assert_int_equal(store_txn(f.gate.store, dead_body, &pr, &err), ERR_OK);
        cJSON *report = board(&f, &all);
        const cJSON *pull = cJSON_GetArrayItem(member(report, "pull_requests"), 0);
        check_str(rows[i].name, "group", report_text(pull, "group"), rows[i].group);
        check_str(rows[i].name, "trouble", report_text(pull, "trouble"), rows[i].trouble);
        check_int(rows[i].name, "dead", report_number(pull, "dead"), rows[i].dead ? 2 : 0);
        check_int(rows[i].name, "dead in all", report_number(member(report, "health"), "dead"),
                  rows[i].dead ? 2 : 0);
        check_int(rows[i].name, "count", report_number(member(report, "counts"), rows[i].group), 1);
        cJSON_Delete(report);
        fixture_close(&f);
    }
}

/* Three that wait, two that run, one in trouble, one closed, one damaged. */
static void fill(struct fixture *f)
{
    fixture_open(f, "");
    tell_visibility(f, 5, VISIBILITY_PUBLIC);
    tell_visibility(f, 6, VISIBILITY_PRIVATE);
    put(f, make(5, "octo/repo", 1, 3000));
    struct record second = make(5, "octo/repo", 2, 1000);
    strcpy(second.view.title, "Teach the parser GERMAN");
    strcpy(second.view.author.login, "ann");
    put(f, second);
    put(f, make(5, "octo/repo", 13, 2000));
    put_started(f, 4, 500);
    put_started(f, 5, 900);
    struct record sixth = make(5, "octo/repo", 6, 4000);
    sixth.failures = 1;
    put(f, sixth);
    struct record closed = make(5, "octo/repo", 7, 1);
    closed.view.closed = true;
    put(f, closed);
    put(f, make(6, "octo/secret", 8, 1));
    put(f, make(7, "octo/never-told-of", 9, 1));
}

static void test_groups_come_in_order_and_so_do_those_in_them(void **state)
{
    (void)state;
    struct fixture f;
    fill(&f);
    check_page("all", &f, &all, "trouble 6, awaiting 2, awaiting 13, awaiting 1, running 5, running 4");
    cJSON *report = board(&f, &all);
    const cJSON *repos = member(report, "repositories");
    check_int("repositories", "count", cJSON_GetArraySize(repos), 1);
    check_str("repositories", "name", report_text(repos->child, "repository"), "octo/repo");
    check_int("repositories", "open", report_number(repos->child, "open"), 6);
    check_int("repositories", "awaiting", report_number(repos->child, "awaiting"), 3);
    check_int("health", "processes", report_number(member(report, "health"), "processes"), 1);
    cJSON_Delete(report);
    fixture_close(&f);
}

static void test_filters_leave_what_matches(void **state)
{
    (void)state;
    static const struct {
        const char *text, *repo;
        enum board_group group;
        bool show_private;
        const char *want;
    } rows[] = {
        {"german", "", BOARD_GROUP_END, false, "awaiting 2"},
        {"Ann pars", "", BOARD_GROUP_END, false, "awaiting 2"},
        {"  ann  ", "", BOARD_GROUP_END, false, "awaiting 2"},
        {"ann nobody", "", BOARD_GROUP_END, false, ""},
        {"#1", "", BOARD_GROUP_END, false, "awaiting 13, awaiting 1"},
        {"OCTO/repo#13", "", BOARD_GROUP_END, false, "awaiting 13"},
        {"", "Octo/Repo", BOARD_RUNNING, false, "running 5, running 4"},
        {"", "octo/rep", BOARD_GROUP_END, false, ""},
        {"", "", BOARD_TROUBLE, false, "trouble 6"},
        {"german", "", BOARD_RUNNING, false, ""},
        {"secret", "", BOARD_GROUP_END, false, ""},
        {"", "octo/secret", BOARD_GROUP_END, false, ""},
        {"", "octo/secret", BOARD_GROUP_END, true, "awaiting 8"},
        {"never", "", BOARD_GROUP_END, false, ""},
        {"never", "", BOARD_GROUP_END, true, "awaiting 9"},
    };
    struct fixture f;
    fill(&f);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct board_query query = all;
        char row[80];
        strcpy(query.text, rows[i].text);
        strcpy(query.repo, rows[i].repo);
        query.group = rows[i].group;
        query.show_private = rows[i].show_private;
        snprintf(row, sizeof row, "\"%s\", \"%s\", %s", rows[i].text, rows[i].repo,
                 board_group_name(rows[i].group));
        check_page(row, &f, &query, rows[i].want);
    }
    fixture_close(&f);
}

static void test_counts_are_those_of_the_filters_but_the_groups(void **state)
{
    (void)state;
    struct fixture f;
    struct board_query query = all;
    fill(&f);
    query.group = BOARD_RUNNING;
    strcpy(query.text, "octo/repo#1");
    cJSON *report = board(&f, &query);
    check_int("counts", "open", report_number(member(report, "counts"), "open"), 2);
    check_int("counts", "awaiting", report_number(member(report, "counts"), "awaiting"), 2);
    check_int("counts", "running", report_number(member(report, "counts"), "running"), 0);
    check_int("counts", "matching", report_number(report, "matching"), 0);
    check_int("repository", "open", report_number(member(report, "repositories")->child, "open"), 6);
    cJSON_Delete(report);
    fixture_close(&f);
}

static void test_page_is_cut_out(void **state)
{
    (void)state;
    static const struct {
        uint64_t page;
        unsigned per_page;
        int64_t shown_page, pages;
        const char *want;
    } rows[] = {
        {1, 2, 1, 3, "trouble 6, awaiting 2"},
        {2, 2, 2, 3, "awaiting 13, awaiting 1"},
        {3, 2, 3, 3, "running 5, running 4"},
        {4, 2, 3, 3, "running 5, running 4"},
        {UINT64_MAX, 4, 2, 2, "running 5, running 4"},
        {1, 6, 1, 1, "trouble 6, awaiting 2, awaiting 13, awaiting 1, running 5, running 4"},
        {2, 5, 2, 2, "running 4"},
    };
    struct fixture f;
    fill(&f);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct board_query query = all;
        char row[48];
        query.page = rows[i].page;
        query.per_page = rows[i].per_page;
        snprintf(row, sizeof row, "page %" PRIu64 " of %u each", rows[i].page, rows[i].per_page);
        check_page(row, &f, &query, rows[i].want);
        cJSON *report = board(&f, &query);
        check_int(row, "page", report_number(report, "page"), rows[i].shown_page);
        check_int(row, "pages", report_number(report, "pages"), rows[i].pages);
        cJSON_Delete(report);
    }
    fixture_close(&f);
}

static enum err_code junk_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct buf key;
    buf_init(&key);
    encode_pr_key(&key, arg);
    enum err_code code = store_put(txn, TABLE_PR, buf_bytes(&key), (struct bytes){"junk", 4}, err);
    encode_u64(&key, 0);
    if (code == ERR_OK)
        code = store_put(txn, TABLE_DEAD, buf_bytes(&key), (struct bytes){"junk", 4}, err);
    if (code == ERR_OK)
        code = store_put(txn, TABLE_INBOX, buf_bytes(&key), (struct bytes){"junk", 4}, err);
    buf_release(&key);
    return code;
}

static void test_damaged_one_hides_no_other(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct pr_key pr = {.repo_id = 5, .number = 13};
    fill(&f);
    assert_int_equal(store_txn(f.gate.store, junk_body, &pr, &err), ERR_OK);
    check_page("all", &f, &all, "trouble 6, awaiting 2, awaiting 1, running 5, running 4");
    fixture_close(&f);
}

/* More than one transaction reads, and one more than is looked at of a repository. */
static enum err_code many_body(struct store_txn *txn, void *arg, struct err *err)
{
    const uint64_t *count = arg;
    enum err_code code = ERR_OK;
    for (uint64_t number = 1; number <= *count && code == ERR_OK; number++) {
        struct record record = {.key = {.repo_id = 5, .number = number}, .repo = "octo/repo"};
        record.view.closed = number % 2 == 0;
        code = table_put_record(txn, &record, err);
    }
    return code;
}

static void test_many_are_looked_at_in_batches(void **state)
{
    (void)state;
    static const uint64_t counts[] = {BOARD_BATCH - 1, BOARD_BATCH, BOARD_BATCH + 1, 5 * BOARD_BATCH + 3};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        struct fixture f;
        struct err err = {0};
        char row[32];
        uint64_t count = counts[i];
        fixture_open(&f, "");
        tell_visibility(&f, 5, VISIBILITY_PUBLIC);
        assert_int_equal(store_txn(f.gate.store, many_body, &count, &err), ERR_OK);
        snprintf(row, sizeof row, "%" PRIu64, count);
        cJSON *report = board(&f, &all);
        check_int(row, "open", report_number(member(report, "counts"), "open"), (int64_t)((count + 1) / 2));
        check_bool(row, "more", cJSON_IsTrue(member(report, "more")), false);
        cJSON_Delete(report);
        fixture_close(&f);
    }
}

static void test_health_tells_of_queues_and_budget(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    cJSON *report = board(&f, &all);
    check_bool("nothing yet", "oldest", cJSON_IsNull(member(member(report, "health"), "oldest_delivery")),
               true);
    check_bool("nothing yet", "rate", cJSON_IsNull(member(member(report, "health"), "rate_remaining")), true);
    cJSON_Delete(report);
    struct event event = make_event(EVENT_OPENED, "d1");
    event.received_ms = 7000;
    put_event(&f, &event, false);
    event.key.number = 8;
    strcpy(event.delivery, "d2");
    event.received_ms = 5000;
    put_event(&f, &event, false);
    metrics_set(f.gate.metrics, METRIC_RATE_RESET, 12);
    report = board(&f, &all);
    const cJSON *health = member(report, "health");
    check_int("two", "deliveries", report_number(report, "deliveries_waiting"), 2);
    check_int("two", "oldest", report_number(health, "oldest_delivery"), 5000);
    check_bool("used up", "rate", cJSON_IsNumber(member(health, "rate_remaining")), true);
    check_int("used up", "reset", report_number(health, "rate_reset"), 12000);
    cJSON_Delete(report);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_in_its_group),
        cmocka_unit_test(test_groups_come_in_order_and_so_do_those_in_them),
        cmocka_unit_test(test_filters_leave_what_matches),
        cmocka_unit_test(test_counts_are_those_of_the_filters_but_the_groups),
        cmocka_unit_test(test_page_is_cut_out),
        cmocka_unit_test(test_damaged_one_hides_no_other),
        cmocka_unit_test(test_many_are_looked_at_in_batches),
        cmocka_unit_test(test_health_tells_of_queues_and_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
