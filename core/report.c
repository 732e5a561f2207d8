#include "prgate/report.h"

#include <stdio.h>
#include <string.h>

#include "prgate/tables.h"
#include "prgate/text.h"

#ifndef PRGATE_VERSION
#define PRGATE_VERSION "0"
#endif

enum err_code report_waiting(struct gate *gate, size_t *deliveries, size_t *intents, struct err *err)
{
    enum err_code code = table_count(gate->store, TABLE_INBOX, REPORT_COUNT_MAX, deliveries, err);
    if (code == ERR_OK)
        code = table_count(gate->store, TABLE_INTENT, REPORT_COUNT_MAX, intents, err);
    return code;
}

/* ---- one record ------------------------------------------------------------ */

static void add_time(cJSON *object, const char *name, int64_t ms)
{
    if (ms != 0)
        cJSON_AddNumberToObject(object, name, (double)ms);
    else
        cJSON_AddNullToObject(object, name);
}

static void add_wait(cJSON *object, enum wait_reason reason)
{
    cJSON_AddStringToObject(object, "waits_for", wait_reason_name(reason));
    cJSON_AddStringToObject(object, "waits_for_text", wait_reason_phrase(reason));
}

static cJSON *describe_head(const struct head *head)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "sha", head->sha.hex);
    add_time(object, "first_seen", head->first_seen_ms);
    add_time(object, "came", head->came_at > INT64_MAX / 1000 ? 0 : head->came_at * 1000);
    cJSON_AddStringToObject(object, "pushed_by", head->pushed_by.login);
    cJSON_AddBoolToObject(object, "pusher_trusted", head->pusher == PUSHER_TRUSTED);
    cJSON_AddStringToObject(object, "ci", ci_state_name(head->ci));
    add_time(object, "ci_at", head->ci_at_ms);
    if (head->cancelled > 0 && head->cancelled >= head_attempt(head))
        cJSON_AddTrueToObject(object, "cancelled");
    if (head->queued)
        cJSON_AddTrueToObject(object, "merge_queue");
    add_wait(object, head->check_reason);
    add_time(object, "until", head->budget_until_ms);
    if (head->approved) {
        cJSON_AddStringToObject(object, "approved_by", head->approver.login);
        add_time(object, "approved_at", head->approved_at_ms);
        cJSON_AddStringToObject(object, "approved_with", approval_means_name(head->means));
        if (head->approver_permission != PERMISSION_NONE) /* not asked, or of before it was kept */
            cJSON_AddStringToObject(object, "approver_permission",
                                    permission_name(head->approver_permission));
    }
    if (head->reruns > 0) {
        cJSON_AddNumberToObject(object, "reruns", head->reruns);
        cJSON_AddStringToObject(object, "rerun_by", head->rerun_by.login);
        if (user_is_local(&head->rerun_by))
            cJSON_AddTrueToObject(object, "rerun_by_operator");
    }
    if (head->rerun_failed)
        cJSON_AddTrueToObject(object, "rerun_failed");
    if (head->rerun_refused)
        cJSON_AddTrueToObject(object, "rerun_refused");
    return object;
}

static const char *mergeable_name(enum mergeable mergeable)
{
    switch (mergeable) {
    case MERGEABLE_UNKNOWN:
        return "unknown";
    case MERGEABLE_NO:
        return "no";
    case MERGEABLE_YES:
        return "yes";
    }
    return "?";
}

cJSON *report_record(const struct record *record)
{
    cJSON *object = cJSON_CreateObject();
    const struct head *head = record_find_head(record, &record->view.head);
    cJSON_AddStringToObject(object, "repository", record->repo);
    cJSON_AddNumberToObject(object, "number", (double)record->key.number);
    cJSON_AddStringToObject(object, "title", record->view.title);
    cJSON_AddStringToObject(object, "author", record->view.author.login);
    cJSON_AddStringToObject(object, "state", record_state_name(record_state(record)));
    cJSON_AddStringToObject(object, "head", record->view.head.hex);
    cJSON_AddStringToObject(object, "ci", ci_state_name(head == NULL ? CI_NONE : head->ci));
    add_wait(object, head == NULL ? WAIT_NOTHING : head->check_reason);
    add_time(object, "until", head == NULL ? 0 : head->budget_until_ms);
    cJSON_AddBoolToObject(object, "draft", record->view.draft);
    cJSON_AddBoolToObject(object, "labelled", record->view.labelled);
    cJSON_AddStringToObject(object, "mergeable", mergeable_name(record->view.mergeable));
    cJSON_AddBoolToObject(object, "being_worked_on", record->claim.held);
    add_time(object, "put_off_until", record->due_ms);
    cJSON_AddNumberToObject(object, "failures", record->failures);
    if (sha_is_set(&record->approved_head))
        cJSON_AddStringToObject(object, "approved_head", record->approved_head.hex);
    add_time(object, "since", head == NULL ? 0 : head->first_seen_ms);
    if (record->emergency_at_ms != 0) {
        cJSON_AddStringToObject(object, "emergency_by", record->emergency_by.login);
        add_time(object, "emergency_at", record->emergency_at_ms);
    }
    return object;
}

/* ---- all of them ------------------------------------------------------------- */

/*
 * Closed ones are kept for a while, and there may be a million of them. So the newest are looked at first, in each
 * repository, and no more than its share of REPORT_LOOKS_MAX.
 */
struct walk {
    struct pr_key last; /* walk_body(): the next one comes before it */
    struct pr_key pr;
    struct record record;
    int shown;
    bool more;
};

static enum err_code next_repo_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct walk *walk = arg;
    struct pr_key pr = walk->pr;
    enum err_code code = table_next_queued(txn, TABLE_PR, &pr, err);
    if (code == ERR_OK)
        walk->pr = pr;
    return code;
}

/* The first pull request of the next repository, from walk->pr on. */
static bool next_repo(struct gate *gate, struct walk *walk, enum err_code *code, struct err *err)
{
    *code = store_txn(gate->store, next_repo_body, walk, err);
    return *code == ERR_OK;
}

static enum err_code count_repos(struct gate *gate, int *count, struct err *err)
{
    struct walk walk = {0};
    enum err_code code;
    for (*count = 0; next_repo(gate, &walk, &code, err) && walk.pr.repo_id < UINT64_MAX; ++*count)
        walk.pr = (struct pr_key){.repo_id = walk.pr.repo_id + 1};
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

static enum err_code walk_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct walk *walk = arg;
    walk->pr = walk->last;
    return table_prev_record(txn, &walk->pr, &walk->record, err);
}

/* Newest first. */
static enum err_code add_repo(struct gate *gate, struct walk *walk, int looks, cJSON *pulls, struct err *err)
{
    uint64_t repo_id = walk->pr.repo_id;
    walk->pr.number = UINT64_MAX;
    for (int i = 0;; i++) {
        walk->last = walk->pr;
        enum err_code code = store_txn(gate->store, walk_body, walk, err);
        if (code == ERR_NOT_FOUND || ((code == ERR_OK || code == ERR_CORRUPT) && walk->pr.repo_id != repo_id))
            return ERR_OK;
        if (code != ERR_OK && code != ERR_CORRUPT)
            return code;
        bool open = code == ERR_OK && !walk->record.view.closed;
        if (i == looks || (open && walk->shown == REPORT_PULLS_MAX)) {
            walk->more = true;
            return ERR_OK;
        }
        if (!open)
            continue;
        cJSON_AddItemToArray(pulls, report_record(&walk->record));
        walk->shown++;
    }
}

static enum err_code add_pulls(struct gate *gate, cJSON *report, struct err *err)
{
    cJSON *pulls = cJSON_AddArrayToObject(report, "pull_requests");
    struct walk walk = {0};
    int repos;
    enum err_code code = count_repos(gate, &repos, err);
    int looks = repos == 0 ? 0 : REPORT_LOOKS_MAX / repos;
    record_init(&walk.record);
    while (code == ERR_OK && next_repo(gate, &walk, &code, err)) {
        uint64_t repo_id = walk.pr.repo_id;
        code = add_repo(gate, &walk, looks < REPORT_LOOKS_EACH ? REPORT_LOOKS_EACH : looks, pulls, err);
        if (repo_id == UINT64_MAX)
            break;
        walk.pr = (struct pr_key){.repo_id = repo_id + 1};
    }
    cJSON_AddBoolToObject(report, "more", walk.more);
    record_release(&walk.record);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

enum err_code report_overview(struct gate *gate, cJSON **out, struct err *err)
{
    size_t deliveries, intents;
    enum err_code code = report_waiting(gate, &deliveries, &intents, err);
    if (code != ERR_OK)
        return code;
    cJSON *report = cJSON_CreateObject();
    cJSON_AddStringToObject(report, "version", PRGATE_VERSION);
    cJSON_AddBoolToObject(report, "dry_run", gate->config->dry_run);
    cJSON_AddNumberToObject(report, "waiting", (double)(deliveries + intents));
    cJSON_AddNumberToObject(report, "deliveries_waiting", (double)deliveries);
    cJSON_AddNumberToObject(report, "intents_waiting", (double)intents);
    code = add_pulls(gate, report, err);
    if (code == ERR_OK)
        *out = report;
    else
        cJSON_Delete(report);
    return code;
}

/* ---- one whole --------------------------------------------------------------- */

struct look {
    const char *repo;
    struct pr_key pr;
    struct record record;
    cJSON *deliveries, *intents, *dead, *ledger;
};

static void forget_lists(struct look *look)
{
    cJSON_Delete(look->deliveries);
    cJSON_Delete(look->intents);
    cJSON_Delete(look->dead);
    cJSON_Delete(look->ledger);
    look->deliveries = look->intents = look->dead = look->ledger = NULL;
}

/* One that cannot be decoded waits to be moved to quarantine: the rest is worth seeing all the more. */
static void add_damaged(cJSON *list)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddTrueToObject(object, "damaged");
    cJSON_AddItemToArray(list, object);
}

static enum err_code list_deliveries(struct store_txn *txn, struct look *look, struct err *err)
{
    struct event event;
    look->deliveries = cJSON_CreateArray();
    for (uint64_t seq = 0;; seq++) {
        enum err_code code = table_next_event(txn, &look->pr, &seq, &event, err);
        if (code == ERR_CORRUPT) {
            add_damaged(look->deliveries);
            continue;
        }
        if (code != ERR_OK)
            return code;
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "delivery", event.delivery);
        cJSON_AddStringToObject(object, "event", event_action_name(event.action));
        if (event.label[0] != '\0')
            cJSON_AddStringToObject(object, "label", event.label);
        if (event.action == EVENT_COMMAND)
            cJSON_AddStringToObject(object, "command", command_name(event.command));
        cJSON_AddStringToObject(object, "sender", event.sender.login);
        cJSON_AddStringToObject(object, "sha", event.pr.head.hex);
        add_time(object, "received", event.received_ms);
        cJSON_AddItemToArray(look->deliveries, object);
    }
}

static enum err_code list_intents(struct store_txn *txn, struct look *look, struct err *err)
{
    struct intent intent;
    look->intents = cJSON_CreateArray();
    for (uint64_t seq = 0;; seq++) {
        enum err_code code = table_next_intent(txn, &look->pr, &seq, &intent, err);
        if (code == ERR_CORRUPT) {
            add_damaged(look->intents);
            continue;
        }
        if (code != ERR_OK)
            return code;
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "action", intent_kind_name(intent.kind));
        cJSON_AddStringToObject(object, "sha", intent.sha.hex);
        cJSON_AddStringToObject(object, "delivery", intent.delivery);
        cJSON_AddNumberToObject(object, "attempts", intent.attempts);
        add_time(object, "sent", intent.sent_ms);
        cJSON_AddItemToArray(look->intents, object);
    }
}

static enum err_code list_dead(struct store_txn *txn, struct look *look, struct err *err)
{
    struct dead_letter letter;
    look->dead = cJSON_CreateArray();
    for (uint64_t seq = 0;; seq++) {
        enum err_code code = table_next_dead(txn, &look->pr, &seq, &letter, err);
        if (code == ERR_CORRUPT) {
            add_damaged(look->dead);
            continue;
        }
        if (code != ERR_OK)
            return code;
        cJSON *object = cJSON_CreateObject();
        cJSON_AddNumberToObject(object, "seq", (double)seq);
        cJSON_AddStringToObject(object, "action", intent_kind_name(letter.intent.kind));
        cJSON_AddStringToObject(object, "sha", letter.intent.sha.hex);
        cJSON_AddStringToObject(object, "delivery", letter.intent.delivery);
        cJSON_AddNumberToObject(object, "attempts", letter.intent.attempts);
        add_time(object, "created", letter.intent.created_ms);
        add_time(object, "given_up", letter.died_ms);
        cJSON_AddStringToObject(object, "reason", letter.reason);
        cJSON_AddItemToArray(look->dead, object);
    }
}

static enum err_code list_ledger(struct store_txn *txn, struct look *look, struct err *err)
{
    struct buf text;
    buf_init(&text);
    enum err_code code;
    uint64_t next = look->record.next_ledger;
    look->ledger = cJSON_CreateArray();
    for (uint64_t seq = next > REPORT_LEDGER_MAX ? next - REPORT_LEDGER_MAX : 0;
         (code = table_next_text(txn, TABLE_LEDGER, &look->pr, &seq, &text, err)) == ERR_OK; seq++) {
        cJSON *entry = cJSON_ParseWithLength((const char *)text.data, text.len);
        if (entry != NULL)
            cJSON_AddItemToArray(look->ledger, entry);
    }
    buf_release(&text);
    return code;
}

/* Each list ends with ERR_NOT_FOUND, behind its last entry. */
static enum err_code look_at_lists(struct store_txn *txn, struct look *look, struct err *err)
{
    static enum err_code (*const lists[])(struct store_txn *, struct look *, struct err *) = {
        list_deliveries, list_intents, list_dead, list_ledger};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        enum err_code code = lists[i](txn, look, err);
        if (code != ERR_NOT_FOUND)
            return code;
    }
    return ERR_OK;
}

static enum err_code look_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct look *look = arg;
    store_need_not_wait(txn); /* a page to look at */
    forget_lists(look);
    enum err_code code = table_get_name(txn, look->repo, &look->pr.repo_id, err);
    if (code == ERR_OK)
        code = table_get_record(txn, &look->pr, STORE_READ, &look->record, err);
    return code == ERR_OK ? look_at_lists(txn, look, err) : code;
}

enum err_code report_pull(struct gate *gate, const char *repo, uint64_t number, cJSON **out, struct err *err)
{
    struct look look = {.repo = repo, .pr = {.number = number}};
    record_init(&look.record);
    enum err_code code = store_txn(gate->store, look_body, &look, err);
    if (code == ERR_OK) {
        cJSON *report = report_record(&look.record);
        cJSON_AddBoolToObject(report, "dry_run", gate->config->dry_run);
        cJSON *heads = cJSON_AddArrayToObject(report, "heads");
        for (size_t i = 0; i < look.record.head_count; i++)
            cJSON_AddItemToArray(heads, describe_head(&look.record.heads[i]));
        cJSON_AddItemToObject(report, "deliveries", look.deliveries);
        cJSON_AddItemToObject(report, "intents", look.intents);
        cJSON_AddItemToObject(report, "dead", look.dead);
        cJSON_AddItemToObject(report, "ledger", look.ledger);
        *out = report;
    } else {
        forget_lists(&look);
    }
    record_release(&look.record);
    return code;
}

const char *report_text(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return text == NULL ? "" : text;
}

int64_t report_number(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(item) ? text_int64(item->valuedouble) : 0;
}

const char *report_ci(const cJSON *head, char out[REPORT_CI_SIZE])
{
    bool cancelled = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(head, "cancelled"));
    bool queued = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(head, "merge_queue"));
    snprintf(out, REPORT_CI_SIZE, "%s%s%s", report_text(head, "ci"), cancelled ? ", cancelled" : "",
             queued ? ", for the merge queue" : "");
    return out;
}
