/*
 * What the gate tells of itself: all pull requests, and one whole.
 */
#include "check.h"

#include "fixture.h"
#include "prgate/codec.h"
#include "prgate/report.h"

static cJSON *overview(struct fixture *f)
{
    struct err err = {0};
    cJSON *report = NULL;
    if (report_overview(&f->gate, &report, &err) != ERR_OK)
        fail_msg("overview: %s", err.text);
    return report;
}

static cJSON *pull(struct fixture *f, const char *repo, uint64_t number)
{
    struct err err = {0};
    cJSON *report = NULL;
    if (report_pull(&f->gate, repo, number, &report, &err) != ERR_OK)
        fail_msg("%s#%" PRIu64 ": %s", repo, number, err.text);
    return report;
}

/* A tree's member as it stands in the JSON; the tree is released. */
static void check_json(const char *row, cJSON *tree, const char *want)
{
    char *got = cJSON_PrintUnformatted(tree);
    assert_non_null(got);
    check_str(row, "JSON", got, want);
    cJSON_free(got);
    cJSON_Delete(tree);
}

static cJSON *member(const cJSON *report, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(report, name);
}

static int size_of(const cJSON *report, const char *name)
{
    return cJSON_GetArraySize(member(report, name));
}

static bool is_true(const cJSON *report, const char *name)
{
    return cJSON_IsTrue(member(report, name));
}

/* ---- all ------------------------------------------------------------------------- */

static void test_overview_of_nothing_is_empty(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    check_json("nothing", overview(&f),
               "{\"version\":\"" PRGATE_VERSION "\",\"dry_run\":false,\"waiting\":0,"
               "\"deliveries_waiting\":0,\"intents_waiting\":0,\"pull_requests\":[],\"more\":false}");
    fixture_close(&f);
}

static void test_overview_says_when_nothing_is_really_sent(void **state)
{
    (void)state;
    struct fixture f = {0};
    fixture_configure(&f, "dry_run = true", "");
    fixture_open_gate(&f);
    cJSON *report = overview(&f);
    check_bool("overview", "dry_run", is_true(report, "dry_run"), true);
    cJSON_Delete(report);
    fixture_close(&f);
}

/* One more than is counted, and fewer of the other kind. */
static enum err_code put_waiting_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    enum err_code code = ERR_OK;
    for (uint64_t i = 0; i <= REPORT_COUNT_MAX && code == ERR_OK; i++) {
        struct buf key;
        buf_init(&key);
        encode_u64(&key, i);
        code = store_put(txn, TABLE_INBOX, buf_bytes(&key), (struct bytes){"", 0}, err);
        if (code == ERR_OK && i < 3)
            code = store_put(txn, TABLE_INTENT, buf_bytes(&key), (struct bytes){"", 0}, err);
        buf_release(&key);
    }
    return code;
}

static void test_waiting_is_counted_no_further_than_the_limit(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    size_t deliveries = 99, intents = 99;
    fixture_open(&f, "");
    assert_int_equal(report_waiting(&f.gate, &deliveries, &intents, &err), ERR_OK);
    check_u64("none", "deliveries", deliveries, 0);
    check_u64("none", "intents", intents, 0);
    if (store_txn(f.gate.store, put_waiting_body, NULL, &err) != ERR_OK)
        fail_msg("entries: %s", err.text);
    assert_int_equal(report_waiting(&f.gate, &deliveries, &intents, &err), ERR_OK);
    check_u64("many", "deliveries", deliveries, REPORT_COUNT_MAX);
    check_u64("many", "intents", intents, 3);
    fixture_close(&f);
}

struct many {
    uint64_t count;
    bool closed;
};

static enum err_code put_many_body(struct store_txn *txn, void *arg, struct err *err)
{
    const struct many *many = arg;
    enum err_code code = ERR_OK;
    for (uint64_t number = 1; number <= many->count && code == ERR_OK; number++) {
        struct record record = {.key = {.repo_id = 5, .number = number}, .repo = "octo/repo"};
        record.view.closed = many->closed;
        code = table_put_record(txn, &record, err);
    }
    return code;
}

static void put_many(struct fixture *f, uint64_t count, bool closed)
{
    struct many many = {.count = count, .closed = closed};
    struct err err = {0};
    if (store_txn(f->gate.store, put_many_body, &many, &err) != ERR_OK)
        fail_msg("records: %s", err.text);
}

static void test_overview_says_when_it_is_not_all(void **state)
{
    (void)state;
    static const struct {
        uint64_t count;
        bool closed;
        int shown;
        bool more;
    } rows[] = {
        {REPORT_PULLS_MAX + 1, true, 0, false}, /* closed ones are not shown and do not count */
        {REPORT_PULLS_MAX, false, REPORT_PULLS_MAX, false},
        {REPORT_PULLS_MAX + 1, false, REPORT_PULLS_MAX, true},
    };
    struct fixture f;
    fixture_open(&f, "");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char row[32];
        snprintf(row, sizeof row, "%" PRIu64 " %s", rows[i].count, rows[i].closed ? "closed" : "open");
        put_many(&f, rows[i].count, rows[i].closed);
        cJSON *report = overview(&f);
        check_int(row, "shown", size_of(report, "pull_requests"), rows[i].shown);
        check_bool(row, "more", is_true(report, "more"), rows[i].more);
        cJSON_Delete(report);
    }
    fixture_close(&f);
}

static enum err_code put_junk_body(struct store_txn *txn, void *arg, struct err *err)
{
    const struct pr_key *pr = arg;
    struct buf key;
    buf_init(&key);
    encode_pr_key(&key, pr);
    enum err_code code = store_put(txn, TABLE_PR, buf_bytes(&key), (struct bytes){"junk", 4}, err);
    encode_u64(&key, 0);
    if (code == ERR_OK)
        code = store_put(txn, TABLE_INBOX, buf_bytes(&key), (struct bytes){"junk", 4}, err);
    if (code == ERR_OK)
        code = store_put(txn, TABLE_INTENT, buf_bytes(&key), (struct bytes){"junk", 4}, err);
    buf_release(&key);
    return code;
}

static void put_junk(struct fixture *f, uint64_t number)
{
    struct pr_key pr = {.repo_id = 5, .number = number};
    struct err err = {0};
    assert_int_equal(store_txn(f->gate.store, put_junk_body, &pr, &err), ERR_OK);
}

static void test_damaged_record_hides_no_other(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    put_many(&f, 3, false);
    put_junk(&f, 2);
    cJSON *report = overview(&f);
    check_int("overview", "shown", size_of(report, "pull_requests"), 2);
    check_int("overview", "first",
              report_number(cJSON_GetArrayItem(member(report, "pull_requests"), 0), "number"), 3);
    check_int("overview", "second",
              report_number(cJSON_GetArrayItem(member(report, "pull_requests"), 1), "number"), 1);
    check_int("overview", "deliveries", report_number(report, "deliveries_waiting"), 1);
    check_int("overview", "intents", report_number(report, "intents_waiting"), 1);
    check_int("overview", "waiting", report_number(report, "waiting"), 2);
    cJSON_Delete(report);
    fixture_close(&f);
}

/* ---- one ------------------------------------------------------------------------- */

#define SHA_A_TEXT "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B_TEXT "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static enum err_code add_work_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct record *record = arg;
    struct intent intent = {
        .kind = INTENT_TRIGGER, .attempts = 2, .sent_ms = 1700000000456, .delivery = "d0"};
    sha_parse(&intent.sha, SHA_B_TEXT);
    enum err_code code = table_append_intent(txn, record, &intent, err);
    struct dead_letter letter = {.intent = intent, .died_ms = 1700000000789, .reason = "No such event"};
    letter.intent.seq = 9;
    letter.intent.created_ms = 1700000000001;
    if (code == ERR_OK)
        code = table_put_dead(txn, &record->key, &letter, err);
    if (code == ERR_OK)
        code = table_put_text(txn, TABLE_LEDGER, &record->key, record->next_ledger++, "{\"kind\":\"action\"}",
                              err);
    if (code == ERR_OK)
        code = table_put_text(txn, TABLE_LEDGER, &record->key, record->next_ledger++, "not JSON", err);
    return code == ERR_OK ? table_put_record(txn, record, err) : code;
}

/* octo/repo#7 with two heads, a delivery, an intent, a dead letter and a ledger. */
static void fill(struct fixture *f)
{
    struct err err = {0};
    struct event event = make_event(EVENT_LABELED, "d1");
    event.received_ms = 1700000000123;
    put_event(f, &event, false);
    struct record record = get_record(f);
    static const char *const shas[] = {SHA_A_TEXT, SHA_B_TEXT};
    for (int i = 0; i < 2; i++) {
        sha_parse(&record.view.head, shas[i]);
        record_reserve_head(&record);
        record_add_head(&record, &record.view.head, 1700000000000 + i);
    }
    record.heads[0].ci = CI_STARTED;
    record.heads[0].ci_at_ms = 1700000000005;
    record.heads[0].approved = true;
    record.heads[0].approver = (struct user){.id = 3, .login = "tim"};
    record.heads[0].approved_at_ms = 1700000000004;
    record.heads[0].means = MEANS_BUTTON;
    record.heads[0].approver_permission = PERMISSION_WRITE;
    record.approved_head = record.heads[0].sha;
    record.heads[1].check_reason = WAIT_CONFLICT;
    record.view.mergeable = MERGEABLE_NO;
    record.view.labelled = true;
    strcpy(record.view.title, "a \"title\"");
    strcpy(record.view.author.login, "ann");
    record.failures = 2;
    record.due_ms = 1700000009999;
    record.emergency_by = (struct user){.id = 4, .login = "eva"};
    record.emergency_at_ms = 1700000000006;
    if (store_txn(f->gate.store, add_work_body, &record, &err) != ERR_OK)
        fail_msg("filling: %s", err.text);
    record_release(&record);
}

static void test_pull_request_is_told_whole(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    fill(&f);
    check_json(
        "pull request", pull(&f, "octo/repo", 7),
        "{\"repository\":\"octo/repo\",\"number\":7,\"title\":\"a \\\"title\\\"\",\"author\":\"ann\","
        "\"state\":\"conflict\",\"head\":\"" SHA_B_TEXT "\",\"ci\":\"none\",\"waits_for\":\"conflict\","
        "\"waits_for_text\":\"conflicts to be resolved\",\"until\":null,\"draft\":false,\"labelled\":true,"
        "\"mergeable\":\"no\",\"being_worked_on\":false,\"put_off_until\":1700000009999,\"failures\":2,"
        "\"approved_head\":\"" SHA_A_TEXT "\",\"since\":1700000000001,\"emergency_by\":\"eva\",\"emergency_"
        "at\":1700000000006,\"dry_run\":false,\"heads\":["
        "{\"sha\":\"" SHA_A_TEXT "\",\"first_seen\":1700000000000,\"came\":null,\"pushed_by\":\"\",\"pusher_"
        "trusted\":false,\"ci\":\"started\","
        "\"ci_at\":1700000000005,\"waits_for\":\"nothing\",\"waits_for_text\":\"\",\"until\":null,"
        "\"approved_by\":\"tim\",\"approved_at\":1700000000004,"
        "\"approved_with\":\"button\",\"approver_permission\":\"write\"},"
        "{\"sha\":\"" SHA_B_TEXT "\",\"first_seen\":1700000000001,\"came\":null,\"pushed_by\":\"\",\"pusher_"
        "trusted\":false,\"ci\":\"none\",\"ci_at\":null,"
        "\"waits_for\":\"conflict\",\"waits_for_text\":\"conflicts to be resolved\",\"until\":null}],"
        "\"deliveries\":[{\"delivery\":\"d1\",\"event\":\"labeled\",\"sender\":\"tim\","
        "\"sha\":\"" SHA_A_TEXT "\",\"received\":1700000000123}],"
        "\"intents\":[{\"action\":\"trigger\",\"sha\":\"" SHA_B_TEXT "\",\"delivery\":\"d0\","
        "\"attempts\":2,\"sent\":1700000000456}],"
        "\"dead\":[{\"seq\":9,\"action\":\"trigger\",\"sha\":\"" SHA_B_TEXT "\",\"delivery\":\"d0\","
        "\"attempts\":2,\"created\":1700000000001,\"given_up\":1700000000789,"
        "\"reason\":\"No such event\"}],\"ledger\":[{\"kind\":\"action\"}]}");
    fixture_close(&f);
}

static void test_until_when_is_told(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    fill(&f);
    struct record record = get_record(&f);
    record.heads[1].check_reason = WAIT_BUDGET;
    record.heads[1].budget_until_ms = 1700003600000;
    put_record(&f, &record);
    record_release(&record);
    cJSON *report = pull(&f, "octo/repo", 7);
    check_str("over budget", "state", report_text(report, "state"), "awaiting");
    check_int("over budget", "until", report_number(report, "until"), 1700003600000);
    const cJSON *heads = cJSON_GetObjectItemCaseSensitive(report, "heads");
    check_int("its head", "until", report_number(cJSON_GetArrayItem(heads, 1), "until"), 1700003600000);
    check_int("the other head", "until", report_number(cJSON_GetArrayItem(heads, 0), "until"), 0);
    cJSON_Delete(report);
    fixture_close(&f);
}

static void test_states_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *want;
        enum ci_state ci;
        enum wait_reason reason;
        enum mergeable mergeable;
        const char *mergeable_name;
        bool closed, held;
    } rows[] = {
        {"awaiting", CI_NONE, WAIT_UNTRUSTED, MERGEABLE_UNKNOWN, "unknown", false, true},
        {"conflict", CI_NONE, WAIT_CONFLICT, MERGEABLE_NO, "no", false, false},
        {"triggered", CI_UNKNOWN, WAIT_NOTHING, MERGEABLE_YES, "yes", false, false},
        {"closed", CI_STARTED, WAIT_NOTHING, MERGEABLE_YES, "yes", true, false},
    };
    struct fixture f;
    fixture_open(&f, "");
    fill(&f);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct record record = get_record(&f);
        record.heads[1].ci = rows[i].ci;
        record.heads[1].check_reason = rows[i].reason;
        record.view.mergeable = rows[i].mergeable;
        record.view.closed = rows[i].closed;
        record.claim.held = rows[i].held;
        put_record(&f, &record);
        record_release(&record);
        cJSON *report = pull(&f, "octo/repo", 7);
        check_str(rows[i].want, "state", report_text(report, "state"), rows[i].want);
        check_str(rows[i].want, "waits_for", report_text(report, "waits_for"),
                  wait_reason_name(rows[i].reason));
        check_str(rows[i].want, "mergeable", report_text(report, "mergeable"), rows[i].mergeable_name);
        check_bool(rows[i].want, "being_worked_on", is_true(report, "being_worked_on"), rows[i].held);
        cJSON_Delete(report);
    }
    fixture_close(&f);
}

static void test_only_what_is_known_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *name, *repo;
        uint64_t number;
        enum err_code want;
    } rows[] = {
        {"known", "octo/repo", 7, ERR_OK},
        {"another case", "OCTO/Repo", 7, ERR_OK},
        {"another number", "octo/repo", 8, ERR_NOT_FOUND},
        {"another repository", "octo/rep", 7, ERR_NOT_FOUND},
        {"nothing", "", 0, ERR_NOT_FOUND},
    };
    struct fixture f;
    fixture_open(&f, "");
    fill(&f);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct err err = {0};
        cJSON *report = NULL;
        enum err_code code = report_pull(&f.gate, rows[i].repo, rows[i].number, &report, &err);
        check_str(rows[i].name, "code", err_code_name(code), err_code_name(rows[i].want));
        check_bool(rows[i].name, "a report", report != NULL, rows[i].want == ERR_OK);
        cJSON_Delete(report);
    }
    fixture_close(&f);
}

static enum err_code damage_queues_body(struct store_txn *txn, void *arg, struct err *err)
{
    enum err_code code = put_junk_body(txn, arg, err);
    struct record record = {.key = *(const struct pr_key *)arg, .repo = "octo/repo"};
    return code == ERR_OK ? table_put_record(txn, &record, err) : code;
}

/* Until it is decided, which may be put off for long, a damaged entry stands in its queue. */
static void test_damaged_entries_of_the_queues_are_shown_as_such(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct pr_key pr = {.repo_id = 5, .number = 7};
    fixture_open(&f, "");
    struct event event = make_event(EVENT_OPENED, "d0"), second = make_event(EVENT_EDITED, "d1");
    put_event(&f, &event, false);
    put_event(&f, &second, false);
    assert_int_equal(store_txn(f.gate.store, damage_queues_body, &pr, &err), ERR_OK);
    cJSON *report = pull(&f, "octo/repo", 7);
    const cJSON *deliveries = member(report, "deliveries");
    check_int("queue", "deliveries", cJSON_GetArraySize(deliveries), 2);
    check_bool("first", "damaged", is_true(cJSON_GetArrayItem(deliveries, 0), "damaged"), true);
    check_str("second", "delivery", report_text(cJSON_GetArrayItem(deliveries, 1), "delivery"), "d1");
    check_bool("intent", "damaged", is_true(cJSON_GetArrayItem(member(report, "intents"), 0), "damaged"),
               true);
    cJSON_Delete(report);
    fixture_close(&f);
}

static enum err_code long_ledger_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct record *record = arg;
    enum err_code code = ERR_OK;
    for (int i = 0; i < REPORT_LEDGER_MAX + 5 && code == ERR_OK; i++) {
        char text[32];
        snprintf(text, sizeof text, "{\"n\":%d}", i);
        code = table_put_text(txn, TABLE_LEDGER, &record->key, record->next_ledger++, text, err);
    }
    return code == ERR_OK ? table_put_record(txn, record, err) : code;
}

static void test_newest_of_a_long_ledger_are_told_oldest_first(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    fixture_open(&f, "");
    struct event event = make_event(EVENT_OPENED, "d1");
    put_event(&f, &event, false);
    struct record record = get_record(&f);
    assert_int_equal(store_txn(f.gate.store, long_ledger_body, &record, &err), ERR_OK);
    record_release(&record);
    cJSON *report = pull(&f, "octo/repo", 7);
    const cJSON *ledger = member(report, "ledger");
    check_int("ledger", "entries", cJSON_GetArraySize(ledger), REPORT_LEDGER_MAX);
    check_int("ledger", "first", report_number(cJSON_GetArrayItem(ledger, 0), "n"), 5);
    check_int("ledger", "last", report_number(cJSON_GetArrayItem(ledger, REPORT_LEDGER_MAX - 1), "n"),
              REPORT_LEDGER_MAX + 4);
    cJSON_Delete(report);
    fixture_close(&f);
}

static void test_member_that_is_not_there_is_empty(void **state)
{
    (void)state;
    cJSON *object = cJSON_Parse("{\"text\":\"a\",\"number\":9007199254740991,\"null\":null}");
    check_str("text", "text", report_text(object, "text"), "a");
    check_int("number", "number", report_number(object, "number"), INT64_C(9007199254740991));
    check_str("number", "text", report_text(object, "number"), "");
    check_int("text", "number", report_number(object, "text"), 0);
    check_int("null", "number", report_number(object, "null"), 0);
    check_str("missing", "text", report_text(object, "missing"), "");
    check_str("other case", "text", report_text(object, "Text"), "");
    check_int("missing", "number", report_number(object, "missing"), 0);
    check_str("no object", "text", report_text(NULL, "text"), "");
    cJSON_Delete(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overview_of_nothing_is_empty),
        cmocka_unit_test(test_overview_says_when_nothing_is_really_sent),
        cmocka_unit_test(test_waiting_is_counted_no_further_than_the_limit),
        cmocka_unit_test(test_overview_says_when_it_is_not_all),
        cmocka_unit_test(test_damaged_record_hides_no_other),
        cmocka_unit_test(test_pull_request_is_told_whole),
        cmocka_unit_test(test_until_when_is_told),
        cmocka_unit_test(test_states_are_named),
        cmocka_unit_test(test_only_what_is_known_is_found),
        cmocka_unit_test(test_damaged_entries_of_the_queues_are_shown_as_such),
        cmocka_unit_test(test_newest_of_a_long_ledger_are_told_oldest_first),
        cmocka_unit_test(test_member_that_is_not_there_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
