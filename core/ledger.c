#include "prgate/ledger.h"

#include <string.h>

#include "prgate/json.h"
#include "prgate/text.h"
#include "prgate/tree.h"

enum {
    LEDGER_VERSION = 1,
    ENTRY_SIZE = 1024 /* of most */
};

static void begin(struct buf *entry, const char *kind, const char *delivery, int64_t now_ms)
{
    buf_init(entry);
    buf_reserve(entry, ENTRY_SIZE);
    json_begin(entry);
    json_number(entry, "v", LEDGER_VERSION);
    json_number(entry, "time", now_ms);
    json_text(entry, "kind", kind);
    json_text(entry, "delivery", delivery);
}

static enum err_code append(struct store_txn *txn, struct record *record, struct buf *entry, struct err *err)
{
    json_end(entry);
    enum err_code code =
        table_put_text(txn, TABLE_LEDGER, &record->key, record->next_ledger++, buf_text(entry), err);
    buf_release(entry);
    return code;
}

static void add_event(struct buf *entry, const struct event *event)
{
    json_text(entry, "event", event_action_name(event->action));
    if (event->label[0] != '\0')
        json_text(entry, "label", event->label);
    if (event->action == EVENT_COMMAND) {
        json_text(entry, "command", command_name(event->command));
        json_text(entry, "named", event->sha_prefix);
        json_number(entry, "comment", (int64_t)event->comment);
    }
    json_text(entry, "sender", event->sender.login);
    json_text(entry, "sha", event->pr.head.hex);
}

static void add_facts(struct buf *entry, const struct facts *facts)
{
    json_object(entry, "facts");
    if (facts->known & FACT_READ)
        json_text(entry, "read_head", facts->read.head.hex);
    if (facts->known & FACT_IDENTITY)
        json_bool(entry, "sender_is_prgate", facts->sender_is_prgate);
    if (facts->known & FACT_SENDER) {
        json_bool(entry, "sender_may_approve", facts->sender_may_approve);
        json_text(entry, "sender_why", facts->sender_why);
    }
    if (facts->known & FACT_AUTHOR) {
        json_bool(entry, "author_trusted", facts->author_trusted);
        json_text(entry, "author_why", facts->author_why);
    }
    if (facts->known & FACT_PUSHER) {
        json_bool(entry, "pusher_trusted", facts->pusher_trusted);
        json_text(entry, "pusher_why", facts->pusher_why);
    }
    if (facts->known & FACT_EMERGENCY) {
        json_bool(entry, "sender_may_emergency", facts->sender_may_emergency);
        json_text(entry, "emergency_why", facts->emergency_why);
    }
    if (facts->known & FACT_FILES)
        json_bool(entry, "tests_missing", facts->tests_missing);
    json_end(entry);
}

static void add_run(struct buf *entry, unsigned run)
{
    if (run > 1)
        json_number(entry, "run", run);
}

/* Of a yes that this decision noted: who said it to which commit, by what means, with which permission at that time. */
static void add_approval(struct buf *entry, const struct head *head, int64_t now_ms)
{
    if (head == NULL || !head->approved || head->approved_at_ms != now_ms)
        return;
    json_object(entry, "approval");
    json_text(entry, "sha", head->sha.hex);
    json_text(entry, "by", head->approver.login);
    json_number(entry, "by_id", (int64_t)head->approver.id);
    json_text(entry, "with", approval_means_name(head->means));
    json_text(entry, "permission", permission_name(head->approver_permission));
    json_end(entry);
}

enum err_code ledger_add_decision(struct store_txn *txn, struct record *record,
                                  const struct ledger_decision *what, int64_t now_ms, struct err *err)
{
    const struct decision *decision = what->decision;
    struct buf entry;
    begin(&entry, "decision", what->event->delivery, now_ms);
    add_event(&entry, what->event);
    json_text(&entry, "head", record->view.head.hex);
    json_text(&entry, "state", record_state_name(record_state(record)));
    json_bool(&entry, "draft", record->view.draft);
    json_bool(&entry, "labelled", record->view.labelled);
    json_text(&entry, "rule", rule_name(decision->rule));
    json_text(&entry, "sentence", rule_sentence(decision->rule));
    if (decision->rule == RULE_RERUN)
        add_run(&entry, head_attempt(record_find_head(record, &record->view.head)));
    add_facts(&entry, what->facts);
    add_approval(&entry, record_find_head(record, &record->view.head), now_ms);
    if (what->facts->dry_run)
        json_bool(&entry, "dry_run", true);
    json_list(&entry, "intents");
    for (unsigned i = 0; i < decision->intent_count; i++)
        json_element(&entry, intent_kind_name(decision->intents[i].kind));
    json_end_list(&entry);
    return append(txn, record, &entry, err);
}

enum err_code ledger_add_note(struct store_txn *txn, struct record *record, const struct event *event,
                              const char *sentence, int64_t now_ms, struct err *err)
{
    struct buf entry;
    begin(&entry, "decision", event->delivery, now_ms);
    add_event(&entry, event);
    json_text(&entry, "rule", "none");
    json_text(&entry, "sentence", sentence);
    return append(txn, record, &entry, err);
}

enum err_code ledger_add_action(struct store_txn *txn, struct record *record,
                                const struct ledger_action *action, int64_t now_ms, struct err *err)
{
    struct buf entry;
    begin(&entry, "action", action->intent->delivery, now_ms);
    json_text(&entry, "action", intent_kind_name(action->intent->kind));
    json_text(&entry, "sha", action->intent->sha.hex);
    add_run(&entry, action->run);
    json_text(&entry, "outcome", action->outcome);
    json_text(&entry, "answer", action->answer);
    json_number(&entry, "attempts", (int64_t)action->intent->attempts + 1);
    json_number(&entry, "duration_ms", action->duration_ms);
    return append(txn, record, &entry, err);
}

/* ---- reading it back ------------------------------------------------------- */

static const char *text_of(const cJSON *entry, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, name));
    return text == NULL ? "" : text;
}

/* A key that was sent once must not be another re-run's; what became of it is told by the action. */
static void restore_run(struct record *record, const cJSON *entry)
{
    const cJSON *run = cJSON_GetObjectItemCaseSensitive(entry, "run");
    struct sha sha;
    if (!cJSON_IsNumber(run) || run->valuedouble < 2 || run->valuedouble > UINT32_MAX ||
        !sha_parse(&sha, text_of(entry, "sha")))
        return;
    record_reserve_head(record);
    struct head *head = record_add_head(record, &sha, 0);
    uint32_t reruns = (uint32_t)run->valuedouble - 1;
    if (head->reruns < reruns)
        head->reruns = reruns;
    if (head->ci == CI_NONE) /* there are re-runs only of what was started; that entry is gone */
        head->ci = CI_UNKNOWN;
}

/* A re-run that was refused leaves what was before it. */
static bool is_rerun(const cJSON *entry)
{
    return cJSON_GetObjectItemCaseSensitive(entry, "run") != NULL;
}

static void restore_action(struct record *record, const cJSON *entry)
{
    static const struct {
        const char *outcome;
        enum ci_state ci;
    } outcomes[] = {{"done", CI_STARTED},
                    {"dry_run", CI_STARTED},
                    {"nothing", CI_STARTED},
                    {"unknown", CI_UNKNOWN},
                    {"dead", CI_REFUSED}};
    struct sha sha;
    if (strcmp(text_of(entry, "action"), "trigger") != 0 || !sha_parse(&sha, text_of(entry, "sha")))
        return;
    const cJSON *time = cJSON_GetObjectItemCaseSensitive(entry, "time");
    int64_t at_ms = cJSON_IsNumber(time) ? text_int64(time->valuedouble) : 0;
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
        if (strcmp(text_of(entry, "outcome"), outcomes[i].outcome) != 0)
            continue;
        if (outcomes[i].ci == CI_REFUSED && is_rerun(entry))
            continue;
        record_reserve_head(record);
        head_set_ci(record_add_head(record, &sha, at_ms), outcomes[i].ci, at_ms);
    }
}

enum err_code ledger_restore(struct store_txn *txn, struct record *record, struct err *err)
{
    struct buf text;
    enum err_code code;
    buf_init(&text);
    for (uint64_t seq = 0;; seq++) {
        code = table_next_text(txn, TABLE_LEDGER, &record->key, &seq, &text, err);
        if (code != ERR_OK)
            break;
        cJSON *entry = tree_parse((const char *)text.data, text.len, NULL);
        restore_action(record, entry);
        restore_run(record, entry);
        if (strcmp(text_of(entry, "event"), "opened") == 0)
            record->opened = true;
        tree_free(entry);
    }
    buf_release(&text);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}
