#include "prgate/narrate.h"

#include <inttypes.h>
#include <string.h>

#include "prgate/event.h"
#include "prgate/intent.h"
#include "prgate/record.h"
#include "prgate/report.h"
#include "prgate/text.h"
#include "prgate/wording.h"

static cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static bool has(const cJSON *object, const char *name)
{
    return report_text(object, name)[0] != '\0';
}

static void add_sentence(cJSON *object, const char *name, struct buf *sentence)
{
    if (sentence->len > 0 && sentence->data[0] >= 'a' && sentence->data[0] <= 'z')
        sentence->data[0] = (unsigned char)(sentence->data[0] - 'a' + 'A');
    cJSON_AddStringToObject(object, name, buf_text(sentence));
    buf_clear(sentence);
}

/* ---- events ------------------------------------------------------------------------ */

/* In front of who did it. Events that are not here are told by their name. */
static const struct {
    const char *event, *before;
} events[] = {
    {"opened", "Opened by "},
    {"reopened", "Reopened by "},
    {"ready_for_review", "Marked as ready for review by "},
    {"synchronize", "Pushed to by "},
    {"converted_to_draft", "Made a draft by "},
    {"edited", "Edited by "},
    {"closed", "Closed by "},
    {"rerequested", "Re-run asked for by "},
    {"requested_action", "Button of the check pressed by "},
    {"checks_requested", "Checks asked for by the merge queue, for "},
    {"destroyed", "The merge queue's group is gone, by "},
    {"dequeued", "Taken out of the merge queue by "},
    {"wake", "prgate looked again, after "},
    {"operator_approve", "Approved with prgatectl by the operator, "},
    {"operator_retrigger", "CI asked for once more with prgatectl by the operator, "},
};

static void tell_label(const cJSON *entry, struct buf *out)
{
    bool set = strcmp(report_text(entry, "event"), "labeled") == 0;
    buf_addf(out, "Label %s %s by ", report_text(entry, "label"), set ? "set" : "taken off");
}

/* "Command approve 1a2b3c4 in a comment by ". */
static void tell_command(const cJSON *entry, struct buf *out)
{
    const char *command = report_text(entry, "command");
    buf_addf(out, "Command%s%s", command[0] == '\0' ? "" : " ", command);
    if (has(entry, "named"))
        buf_addf(out, " %.10s", report_text(entry, "named"));
    buf_adds(out, " in a comment by ");
}

static void tell_event(const cJSON *entry, struct buf *out)
{
    const char *event = report_text(entry, "event");
    const char *sender = has(entry, "sender") ? report_text(entry, "sender") : "nobody known";
    size_t before = out->len;
    if (strcmp(event, "labeled") == 0 || strcmp(event, "unlabeled") == 0)
        tell_label(entry, out);
    if (strcmp(event, event_action_name(EVENT_COMMAND)) == 0)
        tell_command(entry, out);
    for (size_t i = 0; i < sizeof events / sizeof *events && out->len == before; i++)
        if (strcmp(events[i].event, event) == 0)
            buf_adds(out, events[i].before);
    if (out->len == before)
        buf_addf(out, "%s by ", event);
    buf_adds(out, sender);
}

/* ---- facts ------------------------------------------------------------------------- */

enum about { THE_SENDER, THE_AUTHOR, NOBODY };

static const struct {
    const char *name, *why;
    enum about about;
    const char *yes, *no;
} facts[] = {
    {"sender_may_approve", "sender_why", THE_SENDER, "may approve", "may not approve"},
    {"author_trusted", "author_why", THE_AUTHOR, "is trusted", "is not trusted"},
    {"pusher_trusted", "pusher_why", THE_SENDER, "is trusted", "is not trusted"},
    {"sender_is_prgate", "", THE_SENDER, "is prgate itself", "is not prgate itself"},
    {"sender_may_emergency", "emergency_why", THE_SENDER, "may use the emergency label",
     "may not use the emergency label"},
    {"tests_missing", "", NOBODY, "its files have code without tests",
     "its files have the tests that they need"},
};

static bool is_known_fact(const char *name)
{
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        if (strcmp(name, facts[i].name) == 0 || strcmp(name, facts[i].why) == 0)
            return true;
    return strcmp(name, "read_head") == 0;
}

/* One that has no sentence here: "name: value". */
static void tell_other_fact(const cJSON *fact, struct buf *out)
{
    buf_addf(out, "%s: ", fact->string);
    if (cJSON_IsString(fact))
        buf_adds(out, fact->valuestring);
    else if (cJSON_IsBool(fact))
        buf_adds(out, cJSON_IsTrue(fact) ? "yes" : "no");
    else if (cJSON_IsNumber(fact))
        buf_addf(out, "%" PRId64, text_int64(fact->valuedouble));
}

static void add_fact(cJSON *list, struct buf *sentence)
{
    cJSON_AddItemToArray(list, cJSON_CreateString(buf_text(sentence)));
    buf_clear(sentence);
}

static void tell_person(const cJSON *entry, const char *author, enum about about, struct buf *out)
{
    switch (about) {
    case THE_AUTHOR:
        buf_addf(out, "the author %s ", author);
        return;
    case THE_SENDER:
        buf_addf(out, "%s ", has(entry, "sender") ? report_text(entry, "sender") : "nobody known");
        return;
    case NOBODY:
        return;
    }
}

/* A yes that was noted with this decision, and what the person was allowed then. */
static void tell_approval(const cJSON *entry, cJSON *list, struct buf *sentence)
{
    const cJSON *approval = member(entry, "approval");
    if (!has(approval, "by"))
        return;
    buf_addf(sentence, "noted as %s's approval of %.10s by %s", report_text(approval, "by"),
             report_text(approval, "sha"), report_text(approval, "with"));
    if (has(approval, "permission") && strcmp(report_text(approval, "permission"), "none") != 0)
        buf_addf(sentence, ", with %s permission", report_text(approval, "permission"));
    add_fact(list, sentence);
}

static void tell_facts(const cJSON *entry, const char *author, cJSON *list, struct buf *sentence)
{
    const cJSON *known = member(entry, "facts"), *fact;
    if (!cJSON_IsObject(known))
        return;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        const cJSON *value = member(known, facts[i].name);
        if (!cJSON_IsBool(value))
            continue;
        tell_person(entry, author, facts[i].about, sentence);
        buf_adds(sentence, cJSON_IsTrue(value) ? facts[i].yes : facts[i].no);
        if (has(known, facts[i].why))
            buf_addf(sentence, " (%s)", report_text(known, facts[i].why));
        add_fact(list, sentence);
    }
    if (has(known, "read_head")) {
        buf_addf(sentence, "GitHub showed %.10s as the head", report_text(known, "read_head"));
        add_fact(list, sentence);
    }
    cJSON_ArrayForEach(fact, known)
    {
        if (is_known_fact(fact->string))
            continue;
        tell_other_fact(fact, sentence);
        add_fact(list, sentence);
    }
}

/* ---- actions ----------------------------------------------------------------------- */

/* By intent_kind_name(). On the check itself it is "this check". One that nobody knows is told by its name. */
static const char *action_text(const char *name)
{
    if (strcmp(name, intent_kind_name(INTENT_CHECK_AWAITING)) == 0)
        return "making the check wait";
    if (strcmp(name, intent_kind_name(INTENT_CHECK_DONE)) == 0)
        return "completing the check";
    for (int kind = INTENT_TRIGGER; kind < INTENT_KIND_END; kind++)
        if (strcmp(intent_kind_name((enum intent_kind)kind), name) == 0)
            return wording_action((enum intent_kind)kind);
    return name;
}

/* Of a dry run: "start CI". */
static const char *would_text(const char *name)
{
    for (int kind = INTENT_TRIGGER; kind < INTENT_KIND_END; kind++)
        if (strcmp(intent_kind_name((enum intent_kind)kind), name) == 0)
            return wording_would((enum intent_kind)kind);
    return name;
}

static void tell_intents(const cJSON *entry, struct buf *out)
{
    bool dry_run = cJSON_IsTrue(member(entry, "dry_run"));
    const cJSON *intents = member(entry, "intents"), *intent;
    if (cJSON_GetArraySize(intents) == 0)
        return;
    buf_adds(out, dry_run ? "Would " : "To do: ");
    cJSON_ArrayForEach(intent, intents)
    {
        if (intent->prev != NULL && intent != intents->child)
            buf_adds(out, ", ");
        if (cJSON_IsString(intent))
            buf_adds(out, (dry_run ? would_text : action_text)(intent->valuestring));
        else
            buf_addc(out, '?');
    }
}

static const struct {
    const char *outcome, *text;
} outcomes[] = {
    {"done", "done"}, /* with what GitHub answered, where that is worth a word */
    {"dry_run", "only shown, since this is a dry run"},
    {"nothing", "nothing to do: it is so already"},
    {"unknown", "sent, and no answer came back"},
    {"dead", "given up"},
};

static void tell_outcome(const cJSON *entry, struct buf *out)
{
    const char *outcome = report_text(entry, "outcome"), *text = outcome;
    int64_t attempts = report_number(entry, "attempts"), ms = report_number(entry, "duration_ms");
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++)
        if (strcmp(outcomes[i].outcome, outcome) == 0)
            text = outcomes[i].text;
    buf_adds(out, text);
    if (has(entry, "answer"))
        buf_addf(out, ": %s", report_text(entry, "answer"));
    else if (strcmp(outcome, "done") == 0)
        buf_adds(out, ": GitHub took it");
    if (ms > 0)
        buf_addf(out, "; took %" PRId64 " ms", ms);
    if (attempts > 1)
        buf_addf(out, "; attempt %" PRId64, attempts);
}

static void tell_action(const cJSON *entry, struct buf *out)
{
    const char *action = report_text(entry, "action");
    if (strcmp(report_text(entry, "outcome"), "dry_run") == 0)
        buf_addf(out, "would %s", would_text(action));
    else
        buf_adds(out, action_text(action));
    if (report_number(entry, "run") > 1)
        buf_addf(out, ", run %" PRId64, report_number(entry, "run"));
}

static void tell_entry(cJSON *entry, const char *author, struct buf *sentence)
{
    bool is_decision = strcmp(report_text(entry, "kind"), "decision") == 0;
    cJSON *told = cJSON_CreateObject();
    (is_decision ? tell_event : tell_action)(entry, sentence);
    add_sentence(told, "what", sentence);
    cJSON *list = cJSON_AddArrayToObject(told, "facts");
    tell_facts(entry, author, list, sentence);
    tell_approval(entry, list, sentence);
    buf_adds(sentence, report_text(entry, "sentence"));
    add_sentence(told, "why", sentence);
    (is_decision ? tell_intents : tell_outcome)(entry, sentence);
    add_sentence(told, "done", sentence);
    cJSON_DeleteItemFromObjectCaseSensitive(entry, "told");
    cJSON_AddItemToObject(entry, "told", told);
}

static void tell_actions(cJSON *list)
{
    cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        cJSON_AddStringToObject(item, "action_text", action_text(report_text(item, "action")));
    }
}

static void tell_deliveries(cJSON *list, struct buf *sentence)
{
    cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (has(item, "event"))
            tell_event(item, sentence);
        add_sentence(item, "event_text", sentence);
    }
}

/* ---- the way ------------------------------------------------------------------------ */

static void tell_way(cJSON *report)
{
    cJSON *way = cJSON_AddArrayToObject(report, "way"), *entry;
    const char *from = "new";
    cJSON_ArrayForEach(entry, member(report, "ledger"))
    {
        const char *to = report_text(entry, "state");
        if (to[0] == '\0' || strcmp(from, to) == 0)
            continue;
        cJSON *step = cJSON_CreateObject();
        cJSON_AddStringToObject(step, "from", from);
        cJSON_AddStringToObject(step, "to", to);
        cJSON_AddNumberToObject(step, "time", (double)report_number(entry, "time"));
        cJSON_AddStringToObject(step, "what", report_text(member(entry, "told"), "what"));
        cJSON_AddItemToArray(way, step);
        from = to;
    }
}

/* What is no entry, whatever it is, is left out. */
static void tell_ledger(cJSON *report, struct buf *sentence)
{
    cJSON *ledger = member(report, "ledger");
    cJSON *entry = ledger == NULL ? NULL : ledger->child, *next;
    for (; entry != NULL; entry = next) {
        next = entry->next;
        if (cJSON_IsObject(entry))
            tell_entry(entry, report_text(report, "author"), sentence);
        else
            cJSON_Delete(cJSON_DetachItemViaPointer(ledger, entry));
    }
}

void narrate_pull(cJSON *report, const struct outlook *outlook)
{
    struct buf sentence;
    buf_init(&sentence);
    tell_ledger(report, &sentence);
    tell_deliveries(member(report, "deliveries"), &sentence);
    buf_release(&sentence);
    tell_actions(member(report, "intents"));
    tell_actions(member(report, "dead"));
    tell_way(report);
    next_tell(report, outlook);
}
