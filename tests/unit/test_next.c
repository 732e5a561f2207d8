/* What has to happen next, and who can do it, for every state that a pull request can be in. */
#include "check.h"

#include "fixture.h"
#include "prgate/next.h"
#include "prgate/record.h"
#include "prgate/report.h"

static const int64_t now_ms = 1700000000000; /* 2023-11-14 22:13:20 UTC */

/* With a head "aa" that has the members of `head`. The caller deletes it. */
static cJSON *next_of(const struct outlook *outlook, const char *head, const char *parts)
{
    struct buf text;
    buf_init(&text);
    buf_addf(
        &text,
        "{\"repository\":\"octo/repo\",\"number\":7,\"author\":\"ann\",\"head\":\"aa\",\"heads\":[{\"sha\":"
        "\"bb\",\"ci\":\"started\"},{\"sha\":\"aa\",%s}],%s}",
        head, parts);
    cJSON *report = cJSON_Parse(buf_text(&text));
    if (report == NULL)
        fail_msg("no JSON: %s", buf_text(&text));
    buf_release(&text);
    next_tell(report, outlook);
    return report;
}

static const cJSON *steps_of(const cJSON *report)
{
    return cJSON_GetObjectItemCaseSensitive(report, "next");
}

#define AWAITING(reason) "\"state\":\"awaiting\",\"waits_for\":\"" reason "\""
#define TRIGGERED "\"state\":\"triggered\",\"waits_for\":\"nothing\""
#define CLOSED "\"state\":\"closed\""
#define QUEUED(ci) "\"ci\":\"started\"},{\"sha\":\"0123456789abcdef\",\"merge_queue\":true,\"ci\":\"" ci "\""

enum flags { NOT_CONFIGURED = 1, DRY_RUN = 2, BLOCKED = 4 };

struct row {
    const char *name, *head, *parts, *what, *who;
    int index;
    int flags;
};

static void check_rows(const struct row *rows, size_t count)
{
    struct fixture f = {0};
    fixture_configure(&f, "", "");
    for (size_t i = 0; i < count; i++) {
        const struct policy *policy = config_policy(f.config, "octo/repo");
        const struct outlook outlook = {
            .policy = rows[i].flags & NOT_CONFIGURED ? NULL : policy,
            .now_ms = now_ms,
            .blocked_until_ms = rows[i].flags & BLOCKED ? now_ms + 90000 : now_ms - 1,
            .dry_run = rows[i].flags & DRY_RUN,
        };
        cJSON *report = next_of(&outlook, rows[i].head, rows[i].parts);
        const cJSON *step = cJSON_GetArrayItem(steps_of(report), rows[i].index);
        check_contains(rows[i].name, "what", report_text(step, "what"), rows[i].what);
        check_contains(rows[i].name, "who", report_text(step, "who"), rows[i].who);
        cJSON_Delete(report);
    }
    fixture_close(&f);
}

static void test_one_that_waits(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"untrusted", "\"ci\":\"none\"", AWAITING("untrusted"),
         "CI starts when somebody with at least *triage* permission sets the label **CICD**.",
         "anybody with triage permission or more", 0, 0},
        {"settling", "\"came\":1699999995000", AWAITING("too_soon"),
         "A label counts from 2023-11-14 22:13:25 UTC on", "anybody with triage", 0, 0},
        {"draft", "\"ci\":\"none\"", AWAITING("draft"), "ready for review", "ann, or anybody with triage", 0,
         0},
        {"conflict", "\"ci\":\"none\"", "\"state\":\"conflict\",\"waits_for\":\"conflict\"",
         "once the conflicts", "ann, or whoever may push to the branch", 0, 0},
        {"budget", "\"ci\":\"none\"", AWAITING("budget"), "by itself", "prgate, by itself", 0, 0},
        {"budget until", "\"ci\":\"none\"", AWAITING("budget") ",\"until\":1700000001000",
         "Its turn is at 2023-11-14 22:14 UTC at the latest.", "prgate, by itself", 0, 0},
        {"refused", "\"ci\":\"refused\"", AWAITING("trigger_failed"), "refused to start",
         "whoever runs the CI system, then anybody with triage", 0, 0},
        {"new", "\"ci\":\"none\"", "\"state\":\"new\",\"waits_for\":\"nothing\"", "Nothing was decided",
         "prgate, by itself", 0, 0},
        {"not configured", "\"ci\":\"none\"", AWAITING("untrusted"), "no section in the configuration",
         "prgate's operator", 0, NOT_CONFIGURED},
        {"dry run", "\"ci\":\"none\"", AWAITING("untrusted"), "This is a dry run",
         "setting dry_run = false and another state_dir", 1, DRY_RUN},
    };
    check_rows(rows, COUNT_OF(rows));
}

static void test_one_that_ci_was_started_for(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"decided", "\"ci\":\"decided\"", TRIGGERED, "about to be started", "prgate, by itself", 0, 0},
        {"sent", "\"ci\":\"sent\"", TRIGGERED, "is being started", "prgate, by itself", 0, 0},
        {"started", "\"ci\":\"started\"", TRIGGERED, "Nothing at the gate: CI was started", "the CI system",
         0, 0},
        {"started, dry", "\"ci\":\"started\"", TRIGGERED, "Were it not a dry run", "nobody", 0, DRY_RUN},
        {"unknown", "\"ci\":\"unknown\"", TRIGGERED, "See whether CI runs", "whoever may start CI by hand", 0,
         0},
        {"cancelled", "\"ci\":\"started\",\"cancelled\":true", TRIGGERED, "was cancelled. It runs again",
         "anybody with triage", 0, 0},
        {"cancelled, and begun again", "\"ci\":\"sent\",\"cancelled\":true", TRIGGERED, "is being started",
         "prgate, by itself", 0, 0},
        {"re-run refused by CI", "\"ci\":\"started\",\"rerun_failed\":true", TRIGGERED,
         "refused to start the re-run", "whoever runs the CI system, then anybody with triage", 1, 0},
        {"re-run over the budget", "\"ci\":\"started\",\"until\":1700000001000", TRIGGERED,
         "ask again from 2023-11-14 22:14 UTC on", "anybody with triage", 1, 0},
        {"re-run by a stranger", "\"ci\":\"started\",\"rerun_refused\":true", TRIGGERED,
         "somebody asked for who may not", "anybody with triage", 1, 0},
        {"merge queue, decided", QUEUED("decided"), TRIGGERED,
         "being started for the merge queue's commit 0123456789.", "prgate, by itself", 1, 0},
        {"merge queue, unknown", QUEUED("unknown"), TRIGGERED, "take the pull request out of the queue",
         "whoever may merge", 1, 0},
        {"merge queue, refused", QUEUED("refused"), TRIGGERED,
         "refused to start for the merge queue's commit", "whoever may merge", 1, 0},
        {"closed", "\"ci\":\"started\"", CLOSED, "Nothing: the pull request is closed.", "reopen", 0, 0},
        {"closed, not configured", "\"ci\":\"started\"", CLOSED, "closed", "reopen", 0, NOT_CONFIGURED},
    };
    check_rows(rows, COUNT_OF(rows));
}

static void test_one_in_trouble(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"given up", "\"ci\":\"none\"",
         CLOSED ",\"dead\":[{\"seq\":9,\"action\":\"trigger\",\"action_text\":\"starting CI\"}]",
         "Given up: starting CI. Once the cause is mended, prgatectl dead retry octo/repo#7 9, or dead drop.",
         "prgate's operator", 0, 0},
        {"given up, damaged", "\"ci\":\"none\"", CLOSED ",\"dead\":[{\"damaged\":true}]", "cannot be read",
         "prgate's operator", 0, 0},
        {"queued", "\"ci\":\"none\"", CLOSED ",\"deliveries\":[{},{}],\"intents\":[{}]",
         "Webhooks to decide: 2, actions to do: 1.", "prgate, by itself", 0, 0},
        {"queued, damaged", "\"ci\":\"none\"", CLOSED ",\"intents\":[{},{\"damaged\":true}]",
         "Of these 1 cannot be read", "prgate, by itself", 0, 0},
        {"worked on", "\"ci\":\"none\"", CLOSED ",\"being_worked_on\":true,\"intents\":[{}]",
         "A process is at it.", "prgate, by itself", 0, 0},
        {"retried", "\"ci\":\"none\"",
         CLOSED ",\"failures\":2,\"put_off_until\":1700000007000,\"intents\":[{}]",
         "failed in a row: 2. The next attempt is at 2023-11-14 22:13:27 UTC.", "prgate, by itself", 0, 0},
        {"retried, with nothing queued", "\"ci\":\"none\"", CLOSED ",\"failures\":2", "failed in a row: 2.",
         "prgate, by itself", 0, 0},
        {"GitHub lags", "\"ci\":\"none\"", CLOSED ",\"put_off_until\":1700000007000,\"deliveries\":[{}]",
         "did not agree yet. The next attempt is at 2023-11-14 22:13:27 UTC.", "prgate, by itself", 0, 0},
        {"a call without a reply", "\"ci\":\"none\"",
         CLOSED ",\"put_off_until\":1700000007000,\"intents\":[{}]",
         "What came of a call is not known yet. The next attempt is at 2023-11-14 22:13:27 UTC.",
         "prgate, by itself", 0, 0},
        {"GitHub asked to wait", "\"ci\":\"none\"", CLOSED ",\"deliveries\":[{}]",
         "GitHub asked not to be called before 2023-11-14 22:14:50 UTC.", "prgate, by itself", 0, BLOCKED},
        {"all of it", "\"ci\":\"none\"", CLOSED ",\"intents\":[{}],\"dead\":[{}]", "closed", "reopen", 2, 0},
    };
    check_rows(rows, COUNT_OF(rows));
}

/* What is over is not waited for any more. */
static void test_past_times_are_not_told(void **state)
{
    (void)state;
    static const char *const parts[] = {
        AWAITING("budget") ",\"until\":1699999999000",
        AWAITING("too_soon"),
        TRIGGERED ",\"until\":1699999999000",
        CLOSED ",\"failures\":1,\"put_off_until\":1699999999000",
    };
    struct fixture f = {0};
    fixture_configure(&f, "", "");
    const struct outlook outlook = {.policy = config_policy(f.config, "octo/repo"), .now_ms = now_ms};
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        cJSON *report = next_of(&outlook, "\"ci\":\"started\",\"came\":1699999990000", parts[i]);
        char *text = cJSON_PrintUnformatted(steps_of(report));
        check_bool(parts[i], "tells a time", strstr(text, "UTC") != NULL, false);
        cJSON_free(text);
        cJSON_Delete(report);
    }
    fixture_close(&f);
}

static void check_total(const struct outlook *outlook, const char *state, const char *reason, const char *ci,
                        const char *more)
{
    char head[128], parts[256];
    snprintf(head, sizeof head, "\"ci\":\"%s\"%s", ci, more);
    snprintf(parts, sizeof parts, "\"state\":\"%s\",\"waits_for\":\"%s\"", state, reason);
    cJSON *report = next_of(outlook, head, parts);
    const cJSON *step = steps_of(report)->child;
    check_bool(parts, head, strlen(report_text(step, "what")) > 20 && strlen(report_text(step, "who")) > 5,
               true);
    cJSON_Delete(report);
}

/* Of every state, whatever it waits for, whatever CI is at, and whatever the policy: something is said, and who. */
static void test_every_state_has_a_next_step(void **state)
{
    (void)state;
    static const char *const triggers[] = {"repository_dispatch", "none"};
    static const char *const more[] = {"", ",\"cancelled\":true", ",\"merge_queue\":true",
                                       ",\"rerun_failed\":true"};
    for (int flags = 0; flags < 8; flags++) {
        struct fixture f = {0};
        char keys[64];
        snprintf(keys, sizeof keys, "trigger = \"%s\"", triggers[flags & 1]);
        fixture_configure(&f, "", keys);
        const struct policy *policy = config_policy(f.config, "octo/repo");
        const struct outlook outlook = {
            .policy = flags & 4 ? NULL : policy, .now_ms = now_ms, .dry_run = flags & 2};
        for (int s = RECORD_NEW; s <= RECORD_CLOSED; s++)
            for (int r = WAIT_NOTHING; r < WAIT_REASON_END; r++)
                for (int c = CI_NONE; c < CI_STATE_END; c++)
                    for (size_t m = 0; m < COUNT_OF(more); m++)
                        check_total(&outlook, record_state_name((enum record_state)s),
                                    wait_reason_name((enum wait_reason)r), ci_state_name((enum ci_state)c),
                                    more[m]);
        fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_that_waits),
        cmocka_unit_test(test_one_that_ci_was_started_for),
        cmocka_unit_test(test_one_in_trouble),
        cmocka_unit_test(test_past_times_are_not_told),
        cmocka_unit_test(test_every_state_has_a_next_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
