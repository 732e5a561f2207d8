/* What a report says in sentences: the ledger, and the way. */
#include "check.h"

#include "fixture.h"
#include "prgate/event.h"
#include "prgate/narrate.h"
#include "prgate/record.h"
#include "prgate/report.h"

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* The rest of a report around what a row has. The caller deletes it. */
static cJSON *narrate(struct fixture *f, const char *parts)
{
    struct buf text;
    buf_init(&text);
    buf_addf(&text, "{\"repository\":\"octo/repo\",\"number\":7,\"author\":\"ann\",%s}", parts);
    cJSON *report = cJSON_Parse(buf_text(&text));
    if (report == NULL)
        fail_msg("no JSON: %s", buf_text(&text));
    buf_release(&text);
    narrate_pull(report, &(struct outlook){.policy = config_policy(f->config, "octo/repo")});
    return report;
}

/* "what | facts; ... | why | done" */
static void check_entry(struct fixture *f, const char *entry, const char *want)
{
    struct buf parts, got;
    buf_init(&parts);
    buf_init(&got);
    buf_addf(&parts, "\"ledger\":[%s]", entry);
    cJSON *report = narrate(f, buf_text(&parts));
    const cJSON *told = member(member(report, "ledger")->child, "told"), *fact;
    buf_addf(&got, "%s | ", report_text(told, "what"));
    cJSON_ArrayForEach(fact, member(told, "facts"))
    {
        buf_addf(&got, "%s; ", fact->valuestring);
    }
    buf_addf(&got, "| %s | %s", report_text(told, "why"), report_text(told, "done"));
    check_str(entry, "told", buf_text(&got), want);
    buf_release(&parts);
    buf_release(&got);
    cJSON_Delete(report);
}

static void test_entry_is_told_in_sentences(void **state)
{
    (void)state;
    static const struct {
        const char *entry, *want;
    } rows[] = {
        {"{\"kind\":\"decision\",\"event\":\"opened\",\"sender\":\"bob\",\"sentence\":\"the author is not "
         "trusted\","
         "\"facts\":{\"author_trusted\":false,\"author_why\":\"permission "
         "read\",\"read_head\":\"aaaaaaaaaaaaaaaa\"},"
         "\"intents\":[\"check_awaiting\",\"remove_label\"]}",
         "Opened by bob | the author ann is not trusted (permission read); GitHub showed aaaaaaaaaa as the "
         "head; "
         "| The author is not trusted | To do: making the check wait, taking the label off"},
        {"{\"kind\":\"decision\",\"event\":\"labeled\",\"label\":\"CI*CD\",\"sender\":\"tim\",\"sentence\":"
         "\"CI\","
         "\"facts\":{\"sender_may_approve\":true,\"sender_why\":\"permission "
         "admin\",\"sender_is_prgate\":false}}",
         "Label CI*CD set by tim | tim may approve (permission admin); tim is not prgate itself; | CI | "},
        {"{\"kind\":\"decision\",\"event\":\"unlabeled\",\"label\":\"x\",\"sender\":\"tim\"}",
         "Label x taken off by tim | |  | "},
        {"{\"kind\":\"decision\",\"event\":\"synchronize\",\"sender\":\"\",\"facts\":{\"pusher_trusted\":"
         "false}}",
         "Pushed to by nobody known | nobody known is not trusted; |  | "},
        {"{\"kind\":\"decision\",\"event\":\"created\",\"command\":\"approve\",\"named\":"
         "\"0123456789abcdef\","
         "\"sender\":\"tim\",\"facts\":{\"sender_may_emergency\":true,\"emergency_why\":\"permission admin\","
         "\"tests_missing\":true},\"approval\":{\"sha\":\"aaaaaaaaaaaaaaaa\",\"by\":\"tim\",\"with\":"
         "\"command\","
         "\"permission\":\"write\"}}",
         "Command approve 0123456789 in a comment by tim | tim may use the emergency label (permission "
         "admin); "
         "its files have code without tests; noted as tim's approval of aaaaaaaaaa by command, with write "
         "permission; |  | "},
        {"{\"kind\":\"decision\",\"event\":\"created\",\"sender\":\"tim\",\"approval\":{\"by\":\"tim\"}}",
         "Command in a comment by tim | noted as tim's approval of  by ; |  | "},
        {"{\"kind\":\"decision\",\"event\":\"juggled\",\"sender\":\"x\",\"facts\":{\"new\":1,\"other\":"
         "\"so\",\"flag\":true}}",
         "Juggled by x | new: 1; other: so; flag: yes; |  | "},
        {"{\"kind\":\"action\",\"action\":\"trigger\",\"outcome\":\"done\",\"answer\":\"\",\"attempts\":1,"
         "\"duration_ms\":120}",
         "Starting CI | |  | Done: GitHub took it; took 120 ms"},
        {"{\"kind\":\"action\",\"action\":\"trigger\",\"run\":2,\"outcome\":\"dead\",\"answer\":\"HTTP "
         "404\",\"attempts\":9}",
         "Starting CI, run 2 | |  | Given up: HTTP 404; attempt 9"},
        {"{\"kind\":\"action\",\"action\":\"check_done\",\"outcome\":\"dry_run\"}",
         "Would complete the check | |  | Only shown, since this is a dry run"},
        {"{\"kind\":\"action\",\"action\":\"add_label\",\"outcome\":\"nothing\"}",
         "Setting the label | |  | Nothing to do: it is so already"},
        {"{\"kind\":\"decision\",\"event\":\"edited\",\"sender\":\"ann\",\"dry_run\":true,"
         "\"intents\":[\"trigger\",\"check_done\"]}",
         "Edited by ann | |  | Would start CI, complete the check"},
        {"{\"kind\":\"action\",\"action\":\"juggle\",\"outcome\":\"odd\"}", "Juggle | |  | Odd"},
        {"{}", " | |  | "},
    };
    struct fixture f = {0};
    fixture_configure(&f, "", "");
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_entry(&f, rows[i].entry, rows[i].want);
    fixture_close(&f);
}

/* Every event that there is has words of its own, in the ledger and in the queue. */
static void test_every_event_has_words(void **state)
{
    (void)state;
    struct fixture f = {0};
    enum event_action action;
    fixture_configure(&f, "", "");
    for (unsigned number = EVENT_OPENED; event_action_from_number(number, &action); number++) {
        char parts[200];
        const char *name = event_action_name(action);
        snprintf(parts, sizeof parts,
                 "\"ledger\":[{\"kind\":\"decision\",\"event\":\"%s\"}],\"deliveries\":[{\"event\":\"%s\"}]",
                 name, name);
        cJSON *report = narrate(&f, parts);
        const char *what = report_text(member(member(report, "ledger")->child, "told"), "what");
        check_bool(name, "has words",
                   strchr(what, '_') == NULL && strcasestr(what, "created") == NULL && what[0] != '\0', true);
        check_str(name, "queued", report_text(member(report, "deliveries")->child, "event_text"), what);
        cJSON_Delete(report);
    }
    fixture_close(&f);
}

/* Every action that there is has words of its own. */
static void test_every_action_has_words(void **state)
{
    (void)state;
    struct fixture f = {0};
    fixture_configure(&f, "", "");
    for (int kind = INTENT_TRIGGER; kind < INTENT_KIND_END; kind++) {
        char parts[160];
        const char *name = intent_kind_name((enum intent_kind)kind);
        snprintf(parts, sizeof parts, "\"intents\":[{\"action\":\"%s\"}]", name);
        cJSON *report = narrate(&f, parts);
        const char *text = report_text(member(report, "intents")->child, "action_text");
        check_bool(name, "has words",
                   text[0] != '\0' && strcmp(text, name) != 0 && strstr(text, "this check") == NULL, true);
        cJSON_Delete(report);
    }
    fixture_close(&f);
}

static void test_way_is_that_of_the_states(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct buf got;
    const cJSON *step;
    buf_init(&got);
    fixture_configure(&f, "", "");
    cJSON *report = narrate(
        &f,
        "\"ledger\":[{\"kind\":\"decision\",\"state\":\"awaiting\",\"event\":\"opened\",\"sender\":\"a\"},"
        "{\"kind\":\"action\"},{\"kind\":\"decision\",\"state\":\"awaiting\"},"
        "{\"kind\":\"decision\",\"state\":\"triggered\",\"time\":5},{\"kind\":\"decision\",\"state\":"
        "\"closed\"}]");
    cJSON_ArrayForEach(step, member(report, "way"))
    {
        buf_addf(&got, "%s-%s %s;", report_text(step, "from"), report_text(step, "to"),
                 report_text(step, "what"));
    }
    check_str(
        "way", "steps", buf_text(&got),
        "new-awaiting Opened by a;awaiting-triggered  by nobody known;triggered-closed  by nobody known;");
    buf_release(&got);
    cJSON_Delete(report);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entry_is_told_in_sentences),
        cmocka_unit_test(test_every_event_has_words),
        cmocka_unit_test(test_every_action_has_words),
        cmocka_unit_test(test_way_is_that_of_the_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
