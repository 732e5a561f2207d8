#include "prgate/ledger.h"

#include <string.h>

#include "prgate/text.h"
#include "prgate/tree.h"

enum { LEDGER_VERSION = 1 };

static cJSON *new_entry(const char *kind, const char *delivery, int64_t now_ms)
{
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddNumberToObject(entry, "v", LEDGER_VERSION);
    cJSON_AddNumberToObject(entry, "time", (double)now_ms);
    cJSON_AddStringToObject(entry, "kind", kind);
    cJSON_AddStringToObject(entry, "delivery", delivery);
    return entry;
}

static enum err_code append(struct store_txn *txn, struct record *record, cJSON *entry, struct err *err)
{
    char *text = cJSON_PrintUnformatted(entry);
    enum err_code code = ERR_FATAL;
    if (text != NULL)
        code = table_put_text(txn, TABLE_LEDGER, &record->key, record->next_ledger++, text, err);
    else
        err_set(err, ERR_FATAL, 0, "out of memory for a ledger entry");
    cJSON_free(text);
    cJSON_Delete(entry);
    return code;
}

static void add_event(cJSON *entry, const struct event *event)
{
    cJSON_AddStringToObject(entry, "event", event_action_name(event->action));
    if (event->label[0] != '\0')
        cJSON_AddStringToObject(entry, "label", event->label);
    if (event->action == EVENT_COMMAND) {
        cJSON_AddStringToObject(entry, "command", command_name(event->command));
        cJSON_AddStringToObject(entry, "named", event->sha_prefix);
        cJSON_AddNumberToObject(entry, "comment", (double)event->comment);
    }
    cJSON_AddStringToObject(entry, "sender", event->sender.login);
    cJSON_AddStringToObject(entry, "sha", event->pr.head.hex);
}

static void add_facts(cJSON *entry, const struct facts *facts)
{
    cJSON *object = cJSON_AddObjectToObject(entry, "facts");
    if (facts->known & FACT_READ)
        cJSON_AddStringToObject(object, "read_head", facts->read.head.hex);
    if (facts->known & FACT_IDENTITY)
        cJSON_AddBoolToObject(object, "sender_is_prgate", facts->sender_is_prgate);
    if (facts->known & FACT_SENDER) {
        cJSON_AddBoolToObject(object, "sender_may_approve", facts->sender_may_approve);
        cJSON_AddStringToObject(object, "sender_why", facts->sender_why);
    }
    if (facts->known & FACT_AUTHOR) {
        cJSON_AddBoolToObject(object, "author_trusted", facts->author_trusted);
        cJSON_AddStringToObject(object, "author_why", facts->author_why);
    }
    if (facts->known & FACT_PUSHER) {
        cJSON_AddBoolToObject(object, "pusher_trusted", facts->pusher_trusted);
        cJSON_AddStringToObject(object, "pusher_why", facts->pusher_why);
    }
    if (facts->known & FACT_EMERGENCY) {
        cJSON_AddBoolToObject(object, "sender_may_emergency", facts->sender_may_emergency);
        cJSON_AddStringToObject(object, "emergency_why", facts->emergency_why);
    }
    if (facts->known & FACT_FILES)
        cJSON_AddBoolToObject(object, "tests_missing", facts->tests_missing);
}

static void add_run(cJSON *entry, unsigned run)
{
    if (run > 1)
        cJSON_AddNumberToObject(entry, "run", run);
}

/* Of a yes that this decision noted: who said it to which commit, by what means, with which permission at that time. */
static void add_approval(cJSON *entry, const struct head *head, int64_t now_ms)
{
    if (head == NULL || !head->approved || head->approved_at_ms != now_ms)
        return;
    cJSON *approval = cJSON_AddObjectToObject(entry, "approval");
    cJSON_AddStringToObject(approval, "sha", head->sha.hex);
    cJSON_AddStringToObject(approval, "by", head->approver.login);
    cJSON_AddNumberToObject(approval, "by_id", (double)head->approver.id);
    cJSON_AddStringToObject(approval, "with", approval_means_name(head->means));
    cJSON_AddStringToObject(approval, "permission", permission_name(head->approver_permission));
}

enum err_code ledger_add_decision(struct store_txn *txn, struct record *record,
                                  const struct ledger_decision *what, int64_t now_ms, struct err *err)
{
    const struct decision *decision = what->decision;
    cJSON *entry = new_entry("decision", what->event->delivery, now_ms);
    add_event(entry, what->event);
    cJSON_AddStringToObject(entry, "head", record->view.head.hex);
    cJSON_AddStringToObject(entry, "state", record_state_name(record_state(record)));
    cJSON_AddBoolToObject(entry, "draft", record->view.draft);
    cJSON_AddBoolToObject(entry, "labelled", record->view.labelled);
    cJSON_AddStringToObject(entry, "rule", rule_name(decision->rule));
    cJSON_AddStringToObject(entry, "sentence", rule_sentence(decision->rule));
    if (decision->rule == RULE_RERUN)
        add_run(entry, head_attempt(record_find_head(record, &record->view.head)));
    add_facts(entry, what->facts);
    add_approval(entry, record_find_head(record, &record->view.head), now_ms);
    if (what->facts->dry_run)
        cJSON_AddTrueToObject(entry, "dry_run");
    cJSON *intents = cJSON_AddArrayToObject(entry, "intents");
    for (unsigned i = 0; i < decision->intent_count; i++)
        cJSON_AddItemToArray(intents, cJSON_CreateString(intent_kind_name(decision->intents[i].kind)));
    return append(txn, record, entry, err);
}

enum err_code ledger_add_note(struct store_txn *txn, struct record *record, const struct event *event,
                              const char *sentence, int64_t now_ms, struct err *err)
{
    cJSON *entry = new_entry("decision", event->delivery, now_ms);
    add_event(entry, event);
    cJSON_AddStringToObject(entry, "rule", "none");
    cJSON_AddStringToObject(entry, "sentence", sentence);
    return append(txn, record, entry, err);
}

enum err_code ledger_add_action(struct store_txn *txn, struct record *record,
                                const struct ledger_action *action, int64_t now_ms, struct err *err)
{
    cJSON *entry = new_entry("action", action->intent->delivery, now_ms);
    cJSON_AddStringToObject(entry, "action", intent_kind_name(action->intent->kind));
    cJSON_AddStringToObject(entry, "sha", action->intent->sha.hex);
    add_run(entry, action->run);
    cJSON_AddStringToObject(entry, "outcome", action->outcome);
    cJSON_AddStringToObject(entry, "answer", action->answer);
    cJSON_AddNumberToObject(entry, "attempts", action->intent->attempts + 1.0);
    cJSON_AddNumberToObject(entry, "duration_ms", (double)action->duration_ms);
    return append(txn, record, entry, err);
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
