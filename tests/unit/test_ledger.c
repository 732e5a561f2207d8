/*
 * What the ledger says of a decision, a delivery that was not decided, and an action.
 */
#include "check.h"

#include <cjson/cJSON.h>

#include "fixture.h"
#include "prgate/ledger.h"

/* One entry to be written, and the text that was. */
struct entry {
    struct record record;
    struct event event;
    struct facts facts;
    struct decision decision;
    const char *note;            /* instead of the decision */
    struct ledger_action action; /* with an intent: instead of both */
    struct buf text;
};

static enum err_code add(struct store_txn *txn, struct entry *entry, struct err *err)
{
    struct ledger_decision decision = {
        .event = &entry->event, .facts = &entry->facts, .decision = &entry->decision};
    if (entry->action.intent != NULL)
        return ledger_add_action(txn, &entry->record, &entry->action, 1700000000123, err);
    if (entry->note != NULL)
        return ledger_add_note(txn, &entry->record, &entry->event, entry->note, 1700000000123, err);
    return ledger_add_decision(txn, &entry->record, &decision, 1700000000123, err);
}

static enum err_code write_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct entry *entry = arg;
    uint64_t seq = entry->record.next_ledger, want = seq;
    enum err_code code = add(txn, entry, err);
    if (code == ERR_OK)
        code = table_next_text(txn, TABLE_LEDGER, &entry->record.key, &seq, &entry->text, err);
    check_u64("entry", "seq", seq, want);
    check_u64("record", "next_ledger", entry->record.next_ledger, want + 1);
    return code;
}

static void check_entry(const char *row, struct entry *entry, const char *want)
{
    struct fixture f;
    struct err err = {0};
    fixture_open(&f, "");
    if (store_txn(f.gate.store, write_body, entry, &err) != ERR_OK)
        fail_msg("%s: %s", row, err.text);
    check_str(row, "entry", buf_text(&entry->text), want);
    cJSON *tree = cJSON_Parse(buf_text(&entry->text));
    check_bool(row, "is JSON", tree != NULL, true);
    cJSON_Delete(tree);
    buf_release(&entry->text);
    fixture_close(&f);
}

static struct entry make_entry(enum event_action action)
{
    struct entry entry = {.event = make_event(action, "d-1")};
    record_init(&entry.record);
    buf_init(&entry.text);
    entry.record.key = entry.event.key;
    entry.record.next_ledger = 41;
    entry.record.view = entry.event.pr;
    return entry;
}

#define SHA_A_TEXT "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B_TEXT "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void test_decision_is_told_with_all_that_led_to_it(void **state)
{
    (void)state;
    struct entry entry = make_entry(EVENT_LABELED);
    strcpy(entry.event.label, "CICD");
    sha_parse(&entry.record.view.head, SHA_B_TEXT);
    entry.record.view.draft = entry.record.view.labelled = true;
    entry.facts.known = FACT_READ | FACT_IDENTITY | FACT_SENDER | FACT_AUTHOR;
    sha_parse(&entry.facts.read.head, SHA_B_TEXT);
    entry.facts.sender_may_approve = true;
    strcpy(entry.facts.sender_why, "permission triage");
    strcpy(entry.facts.author_why, "permission read");
    entry.decision.rule = RULE_APPROVED;
    entry.decision.intents[0].kind = INTENT_TRIGGER;
    entry.decision.intents[1].kind = INTENT_CHECK_DONE;
    entry.decision.intent_count = 2;
    char want[2048];
    snprintf(want, sizeof want,
             "{\"v\":1,\"time\":1700000000123,\"kind\":\"decision\",\"delivery\":\"d-1\","
             "\"event\":\"labeled\",\"label\":\"CICD\",\"sender\":\"tim\",\"sha\":\"" SHA_A_TEXT "\","
             "\"head\":\"" SHA_B_TEXT
             "\",\"state\":\"new\",\"draft\":true,\"labelled\":true,\"rule\":\"%s\",\"sentence\":\"%s\","
             "\"facts\":{\"read_head\":\"" SHA_B_TEXT "\",\"sender_is_prgate\":false,"
             "\"sender_may_approve\":true,\"sender_why\":\"permission triage\","
             "\"author_trusted\":false,\"author_why\":\"permission read\"},"
             "\"intents\":[\"trigger\",\"check_done\"]}",
             rule_name(RULE_APPROVED), rule_sentence(RULE_APPROVED));
    check_entry("decision", &entry, want);
}

static void test_fact_that_was_not_learnt_is_not_told(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned known;
        const char *facts;
    } rows[] = {
        {"none", 0, "{}"},
        {"identity", FACT_IDENTITY, "{\"sender_is_prgate\":true}"},
        {"read", FACT_READ, "{\"read_head\":\"" SHA_B_TEXT "\"}"},
        {"author", FACT_AUTHOR, "{\"author_trusted\":true,\"author_why\":\"member of o/t\"}"},
        {"pusher", FACT_PUSHER, "{\"pusher_trusted\":true,\"pusher_why\":\"permission admin\"}"},
        {"emergency", FACT_EMERGENCY,
         "{\"sender_may_emergency\":true,\"emergency_why\":\"permission maintain\"}"},
        {"files", FACT_FILES, "{\"tests_missing\":true}"},
        {"sender", FACT_SENDER, "{\"sender_may_approve\":true,\"sender_why\":\"permission write\"}"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct entry entry = make_entry(EVENT_OPENED);
        entry.facts = (struct facts){.known = rows[i].known,
                                     .sender_is_prgate = true,
                                     .sender_may_approve = true,
                                     .sender_why = "permission write",
                                     .author_trusted = true,
                                     .author_why = "member of o/t",
                                     .pusher_trusted = true,
                                     .pusher_why = "permission admin",
                                     .sender_may_emergency = true,
                                     .emergency_why = "permission maintain",
                                     .tests_missing = true};
        sha_parse(&entry.facts.read.head, SHA_B_TEXT);
        entry.decision.rule = RULE_ALREADY;
        char want[2048];
        snprintf(want, sizeof want,
                 "{\"v\":1,\"time\":1700000000123,\"kind\":\"decision\",\"delivery\":\"d-1\","
                 "\"event\":\"opened\",\"sender\":\"tim\",\"sha\":\"" SHA_A_TEXT "\",\"head\":\"" SHA_A_TEXT
                 "\","
                 "\"state\":\"new\",\"draft\":false,\"labelled\":false,\"rule\":\"%s\",\"sentence\":\"%s\","
                 "\"facts\":%s,"
                 "\"intents\":[]}",
                 rule_name(RULE_ALREADY), rule_sentence(RULE_ALREADY), rows[i].facts);
        check_entry(rows[i].name, &entry, want);
    }
}

/* Once: where it was noted, and not where it counts later. */
static void test_approval_is_told_where_it_was_noted(void **state)
{
    (void)state;
    for (int noted = 0; noted < 2; noted++) {
        struct entry entry = make_entry(EVENT_LABELED);
        record_reserve_head(&entry.record);
        struct head *head = record_add_head(&entry.record, &entry.event.pr.head, 1);
        head->approved = true;
        head->approver = (struct user){.id = 3, .login = "tim"};
        head->approver_permission = PERMISSION_TRIAGE;
        head->means = MEANS_BUTTON;
        head->approved_at_ms = 1700000000123 - !noted;
        entry.decision.rule = RULE_APPROVED;
        char want[2048];
        snprintf(want, sizeof want,
                 "{\"v\":1,\"time\":1700000000123,\"kind\":\"decision\",\"delivery\":\"d-1\","
                 "\"event\":\"labeled\",\"sender\":\"tim\",\"sha\":\"" SHA_A_TEXT "\",\"head\":\"" SHA_A_TEXT
                 "\",\"state\":\"awaiting\",\"draft\":false,\"labelled\":false,\"rule\":\"approved\","
                 "\"sentence\":\"%s\",\"facts\":{},"
                 "%s\"intents\":[]}",
                 rule_sentence(RULE_APPROVED),
                 noted ? "\"approval\":{\"sha\":\"" SHA_A_TEXT
                         "\",\"by\":\"tim\",\"by_id\":3,\"with\":\"button\",\"permission\":\"triage\"},"
                       : "");
        check_entry(noted ? "noted" : "counts later", &entry, want);
        record_release(&entry.record);
    }
}

static void test_hostile_text_cannot_leave_its_string(void **state)
{
    (void)state;
    struct entry entry = make_entry(EVENT_LABELED);
    strcpy(entry.event.label, "\",\"rule\":\"approved\n\\");
    strcpy(entry.event.sender.login, "a\"b");
    entry.note = "no\tsuch \"thing\"";
    check_entry(
        "note", &entry,
        "{\"v\":1,\"time\":1700000000123,\"kind\":\"decision\",\"delivery\":\"d-1\","
        "\"event\":\"labeled\",\"label\":\"\\\",\\\"rule\\\":\\\"approved\\n\\\\\",\"sender\":\"a\\\"b\","
        "\"sha\":\"" SHA_A_TEXT "\",\"rule\":\"none\",\"sentence\":\"no\\tsuch \\\"thing\\\"\"}");
}

static void test_action_is_told_with_its_outcome(void **state)
{
    (void)state;
    struct intent intent = {.kind = INTENT_ADD_LABEL, .delivery = "d-0", .attempts = 2};
    sha_parse(&intent.sha, SHA_A_TEXT);
    struct entry entry = make_entry(EVENT_OPENED);
    entry.action = (struct ledger_action){
        .intent = &intent, .outcome = "dead", .answer = "Not Found", .duration_ms = 87};
    check_entry("action", &entry,
                "{\"v\":1,\"time\":1700000000123,\"kind\":\"action\",\"delivery\":\"d-0\","
                "\"action\":\"add_label\",\"sha\":\"" SHA_A_TEXT "\",\"outcome\":\"dead\","
                "\"answer\":\"Not Found\",\"attempts\":3,\"duration_ms\":87}");
}

static enum err_code add_then_fail_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct entry *entry = arg;
    assert_int_equal(add(txn, entry, err), ERR_OK);
    return err_set(err, ERR_REJECT, 0, "no");
}

static void test_entry_shares_the_fate_of_its_transaction(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct entry entry = make_entry(EVENT_OPENED);
    entry.note = "never mind";
    fixture_open(&f, "");
    assert_int_equal(store_txn(f.gate.store, add_then_fail_body, &entry, &err), ERR_REJECT);
    check_u64("ledger", "entries", count_table(&f, TABLE_LEDGER), 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decision_is_told_with_all_that_led_to_it),
        cmocka_unit_test(test_fact_that_was_not_learnt_is_not_told),
        cmocka_unit_test(test_approval_is_told_where_it_was_noted),
        cmocka_unit_test(test_hostile_text_cannot_leave_its_string),
        cmocka_unit_test(test_action_is_told_with_its_outcome),
        cmocka_unit_test(test_entry_shares_the_fate_of_its_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
