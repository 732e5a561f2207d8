/*
 * What people read on a pull request: it names the label, says what to do, and fits where it goes.
 */
#include "check.h"

#include <stdio.h>

#include "prgate/wording.h"

enum { STATUS_MAX = 140 }; /* of a commit status's description */

static char label[LABEL_SIZE];

static struct policy make_policy(void)
{
    strcpy(label, "CI/CD ok");
    return (struct policy){
        .label = label, .approver_permission = PERMISSION_TRIAGE, .trigger = TRIGGER_REPOSITORY_DISPATCH};
}

struct texts {
    struct buf title, summary;
};

static void begin(struct texts *texts)
{
    buf_init(&texts->title);
    buf_init(&texts->summary);
}

static void end(struct texts *texts)
{
    buf_release(&texts->title);
    buf_release(&texts->summary);
}

static void test_waiting_says_what_for_and_what_to_do(void **state)
{
    (void)state;
    static const struct {
        enum wait_reason reason;
        const char *title, *summary;
        bool names_both; /* the label, and who may set it: all but what needs no label */
    } rows[] = {
        {WAIT_NOTHING, "Waiting for the label", "CI starts when somebody", true},
        {WAIT_CONFLICT, "conflicts", "by itself once the conflicts", false},
        {WAIT_STALE_APPROVAL, "older commit", "counts for the commit that was seen", true},
        {WAIT_NOT_APPROVER, "may not approve", "approves nothing", true},
        {WAIT_UNTRUSTED, "maintainer's approval", "CI starts when somebody", true},
        {WAIT_DRAFT, "draft", "ready for review", true},
        {WAIT_NO_LABEL, "Waiting for the label", "CI starts when somebody", true},
        {WAIT_TRIGGER_FAILED, "could not be started", "Once that is mended", true},
        {WAIT_PUSHER, "who pushed is not trusted", "somebody else pushed", true},
        {WAIT_PUSHER_UNKNOWN, "who pushed is not known", "nobody knows who pushed", true},
        {WAIT_TOO_SOON, "before anybody could have looked", "has looked at the present commit", true},
        {WAIT_BUDGET, "too often within an hour", "starts by itself", false},
    };
    static const struct {
        const char *label, *named;
        enum permission permission;
        const char *permission_named;
    } policies[] = {
        {"CI/CD ok", "**CI/CD ok**", PERMISSION_TRIAGE, "*triage* permission"},
        {"x", "**x**", PERMISSION_ADMIN, "*admin* permission"},
    };
    assert_int_equal(COUNT_OF(rows), WAIT_REASON_END);
    for (size_t i = 0; i < COUNT_OF(rows) * COUNT_OF(policies); i++) {
        const size_t r = i % COUNT_OF(rows), p = i / COUNT_OF(rows);
        const char *row = wait_reason_name(rows[r].reason);
        struct policy policy = make_policy();
        struct head head = {.check = CHECK_NONE};
        struct texts texts, with_head;
        snprintf(label, sizeof label, "%s", policies[p].label);
        policy.approver_permission = policies[p].permission;
        begin(&texts);
        begin(&with_head);
        wording_awaiting(&policy, NULL, rows[r].reason, &texts.title, &texts.summary);
        wording_awaiting(&policy, &head, rows[r].reason, &with_head.title, &with_head.summary);
        const char *summary = buf_text(&texts.summary);
        check_contains(row, "title", buf_text(&texts.title), rows[r].title);
        check_contains(row, "summary", summary, rows[r].summary);
        check_bool(row, "names the label", strstr(summary, policies[p].named) != NULL, rows[r].names_both);
        check_bool(row, "names the permission", strstr(summary, policies[p].permission_named) != NULL,
                   rows[r].names_both);
        check_bool(row, "title fits a status", texts.title.len < STATUS_MAX, true);
        check_str(row, "title with a head", buf_text(&with_head.title), buf_text(&texts.title));
        check_str(row, "summary with a head", buf_text(&with_head.summary), summary);
        end(&texts);
        end(&with_head);
    }
}

static void test_pusher_is_named_only_where_it_is_he_who_is_not_trusted(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum wait_reason reason;
        const char *login;
        bool named;
    } rows[] = {
        {"untrusted", WAIT_PUSHER, "bob", true},
        {"not known", WAIT_PUSHER_UNKNOWN, "", false},
        {"no label", WAIT_NO_LABEL, "bob", false},
    };
    struct policy policy = make_policy();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct head head = {.pushed_by = {.id = 4}};
        strcpy(head.pushed_by.login, rows[i].login);
        struct texts texts;
        begin(&texts);
        wording_awaiting(&policy, &head, rows[i].reason, &texts.title, &texts.summary);
        const char *want = "Pushed by @bob, who is not trusted: waiting for the label";
        check_bool(rows[i].name, "names who pushed", strcmp(buf_text(&texts.title), want) == 0,
                   rows[i].named);
        end(&texts);
    }
}

static void test_approver_is_named_only_where_an_approval_waits(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool approved;
        enum wait_reason reason;
        bool named;
    } rows[] = {
        {"approved, conflict", true, WAIT_CONFLICT, true},
        {"not approved, conflict", false, WAIT_CONFLICT, false},
        {"approved, over budget", true, WAIT_BUDGET, true},
        {"approved, CI refused", true, WAIT_TRIGGER_FAILED, false},
    };
    struct policy policy = make_policy();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct head head = {.approved = rows[i].approved, .approver = {.id = 3, .login = "tim"}};
        struct texts texts;
        begin(&texts);
        wording_awaiting(&policy, &head, rows[i].reason, &texts.title, &texts.summary);
        check_bool(rows[i].name, "names the approver", strstr(buf_text(&texts.summary), "@tim") != NULL,
                   rows[i].named);
        end(&texts);
    }
}

/* A whole minute, and none that is too early. */
static void test_until_when_it_waits_is_told(void **state)
{
    (void)state;
    static const struct {
        int64_t until_ms;
        const char *title, *summary;
    } rows[] = {
        {1795541400000, ", until 2026-11-24 17:30 UTC", "Its turn is at 2026-11-24 17:30 UTC at the latest."},
        {1795541400001, ", until 2026-11-24 17:31 UTC", "Its turn is at 2026-11-24 17:31 UTC at the latest."},
        {1795541339999, ", until 2026-11-24 17:29 UTC", "2026-11-24 17:29 UTC at the latest."},
        {0, "within an hour", "starts by itself"},
    };
    struct policy policy = make_policy();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct head head = {.budget_until_ms = rows[i].until_ms};
        struct texts texts;
        begin(&texts);
        wording_awaiting(&policy, &head, WAIT_BUDGET, &texts.title, &texts.summary);
        check_contains(rows[i].title, "title", buf_text(&texts.title), rows[i].title);
        check_contains(rows[i].title, "summary", buf_text(&texts.summary), rows[i].summary);
        check_bool(rows[i].title, "fits a status", texts.title.len <= STATUS_MAX, true);
        end(&texts);
    }
}

static void test_done_never_says_more_than_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum ci_state ci;
        enum trigger_kind trigger;
        bool approved;
        const char *title, *summary;
    } rows[] = {
        {"trusted", CI_STARTED, TRIGGER_REPOSITORY_DISPATCH, false, "CI was started",
         "The author is trusted."},
        {"approved", CI_STARTED, TRIGGER_HTTP, true, "CI was started",
         "Approved by @tim (write) with the label **CI/CD ok**."},
        {"the label starts it", CI_STARTED, TRIGGER_NONE, true, "Cleared to run", "Approved by @tim"},
        {"unknown", CI_UNKNOWN, TRIGGER_WORKFLOW_DISPATCH, true, "CI may have been started",
         "start CI for `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` by hand"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct policy policy = make_policy();
        struct head head = {
            .ci = rows[i].ci, .approved = rows[i].approved, .approver = {.id = 3, .login = "tim"}};
        head.means = MEANS_LABEL;
        head.approver_permission = PERMISSION_WRITE;
        struct texts texts;
        policy.trigger = rows[i].trigger;
        memset(head.sha.hex, 'a', 40);
        begin(&texts);
        wording_done(&policy, &head, &texts.title, &texts.summary);
        check_str(rows[i].name, "title", buf_text(&texts.title), rows[i].title);
        check_contains(rows[i].name, "summary", buf_text(&texts.summary), rows[i].summary);
        check_bool(rows[i].name, "claims that CI runs", strstr(buf_text(&texts.title), "was started") != NULL,
                   rows[i].ci == CI_STARTED && rows[i].trigger != TRIGGER_NONE);
        check_bool(rows[i].name, "title fits a status", texts.title.len < STATUS_MAX, true);
        end(&texts);
    }
}

static void test_conflict_names_branch_and_label(void **state)
{
    (void)state;
    struct policy policy = make_policy();
    struct record record = {.view = {.base_ref = "release/2.0"}};
    struct buf comment;
    buf_init(&comment);
    wording_conflict(&policy, &record, &comment);
    check_contains("conflict", "comment", buf_text(&comment), "`release/2.0`");
    check_contains("conflict", "comment", buf_text(&comment), "**CI/CD ok**");
    check_contains("conflict", "comment", buf_text(&comment), "CI has not been started");
    buf_release(&comment);
}

static void test_approval_is_told_with_its_means_and_permission(void **state)
{
    (void)state;
    static const struct {
        enum approval_means means;
        enum permission permission;
        const char *summary;
    } rows[] = {
        {MEANS_LABEL, PERMISSION_TRIAGE, "Approved by @tim (triage) with the label **CI/CD ok**."},
        {MEANS_BUTTON, PERMISSION_ADMIN, "Approved by @tim (admin) with the button of this check."},
        {MEANS_COMMAND, PERMISSION_WRITE, "Approved by @tim (write) with a comment."},
        {MEANS_LABEL, PERMISSION_NONE, "Approved by @tim with the label **CI/CD ok**."},
        {MEANS_OPERATOR, PERMISSION_NONE, "Approved by prgate's operator (`tim`)."},
    };
    struct policy policy = make_policy();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct head head = {.ci = CI_STARTED,
                            .approved = true,
                            .approver = {.id = rows[i].means == MEANS_OPERATOR ? 0 : 3, .login = "tim"},
                            .means = rows[i].means,
                            .approver_permission = rows[i].permission};
        struct texts done, waiting;
        begin(&done);
        begin(&waiting);
        wording_done(&policy, &head, &done.title, &done.summary);
        wording_awaiting(&policy, &head, WAIT_CONFLICT, &waiting.title, &waiting.summary);
        check_str(rows[i].summary, "done", buf_text(&done.summary), rows[i].summary);
        check_contains(rows[i].summary, "waiting", buf_text(&waiting.summary), rows[i].summary);
        end(&done);
        end(&waiting);
    }
}

static void test_button_is_offered_where_an_approval_helps(void **state)
{
    (void)state;
    struct policy policy = make_policy();
    for (int reason = WAIT_NOTHING; reason < WAIT_REASON_END; reason++) {
        struct texts texts;
        begin(&texts);
        wording_awaiting(&policy, NULL, (enum wait_reason)reason, &texts.title, &texts.summary);
        check_bool(wait_reason_name((enum wait_reason)reason), "offers the button",
                   strstr(buf_text(&texts.summary), "*Approve CI*") != NULL,
                   reason != WAIT_CONFLICT && reason != WAIT_BUDGET);
        end(&texts);
    }
}

static void check_message(enum message message, const char *approved_head, const char *marker,
                          const char *part)
{
    struct policy policy = make_policy();
    struct record record = {.repo = "octo/repo", .key = {.repo_id = 5, .number = 7}};
    struct intent intent = {.message = message, .target = 99, .person = {.id = 3, .login = "tim"}};
    struct buf text, mark;
    memset(intent.sha.hex, 'b', 40);
    strcpy(record.approved_head.hex, approved_head);
    buf_init(&text);
    buf_init(&mark);
    wording_message(&policy, &record, &intent, "https://ghe.example", &text);
    wording_message_marker(&intent, &mark);
    check_str(part, "marker", buf_text(&mark), marker);
    check_contains(part, "text", buf_text(&text), part);
    check_contains(part, "text", buf_text(&text), "@tim");
    check_contains(part, "text", buf_text(&text), "**CI/CD ok**");
    buf_release(&text);
    buf_release(&mark);
}

#define A40 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B40 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void test_messages_say_what_to_do_once(void **state)
{
    (void)state;
    check_message(MESSAGE_LOOK_AGAIN, A40, "look_again:" B40,
                  "(https://ghe.example/octo/repo/compare/" A40 "..." B40 ")");
    check_message(MESSAGE_LOOK_AGAIN, "", "look_again:" B40, "(https://ghe.example/octo/repo/pull/7/files)");
    check_message(MESSAGE_LOOK_AGAIN, B40, "look_again:" B40, "(https://ghe.example/octo/repo/pull/7/files)");
    check_message(MESSAGE_NOT_APPROVER, "", "not_approver:3", "at least *triage* permission");
}

/* The caller's buffers may hold something already. */
static void test_text_is_appended(void **state)
{
    (void)state;
    struct policy policy = make_policy();
    struct head head = {.ci = CI_STARTED};
    struct texts texts;
    begin(&texts);
    buf_adds(&texts.title, "gate: ");
    buf_adds(&texts.summary, "> ");
    wording_done(&policy, &head, &texts.title, &texts.summary);
    check_str("appended", "title", buf_text(&texts.title), "gate: CI was started");
    check_str("appended", "summary", buf_text(&texts.summary), "> The author is trusted.");
    end(&texts);
}

static void test_reruns_are_told(void **state)
{
    (void)state;
    static const struct {
        struct head head;
        const char *title, *summary;
    } rows[] = {
        {{.ci = CI_STARTED, .reruns = 2, .rerun_by = {.id = 3, .login = "tim"}},
         "CI was started again",
         "The author is trusted.\n\nRe-run 2 was asked for by @tim."},
        {{.ci = CI_STARTED, .reruns = 1, .rerun_by = {.id = 3, .login = "tim"}, .rerun_failed = true},
         "CI was started; the re-run could not be started",
         "Re-run 1 was asked for by @tim, and the CI system refused to start."},
        {{.ci = CI_STARTED, .reruns = 1, .rerun_by.login = "root"}, /* not GitHub's account of that name */
         "CI was started again",
         "Re-run 1 was asked for by prgate's operator (`root`)."},
        {{.ci = CI_STARTED, .rerun_refused = true},
         "CI was started; a re-run was refused",
         "at least *triage* permission"},
        {{.ci = CI_STARTED, .reruns = 1, .rerun_by = {.id = 3, .login = "tim"}, .rerun_refused = true},
         "CI was started again; a re-run was refused",
         "Re-run 1 was asked for by @tim."},
        {{.ci = CI_UNKNOWN, .reruns = 1, .rerun_by = {.id = 3, .login = "tim"}},
         "CI may have been started again",
         "@tim"},
        {{.ci = CI_UNKNOWN, .rerun_refused = true},
         "CI may have been started; a re-run was refused",
         "**Refused:**"},
        {{.ci = CI_STARTED, .budget_until_ms = 1795541400000},
         "CI was started; a re-run has to wait until 2026-11-24 17:30 UTC",
         "Ask for it again from 2026-11-24 17:30 UTC on."},
    };
    struct policy policy = make_policy();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct texts texts;
        begin(&texts);
        wording_done(&policy, &rows[i].head, &texts.title, &texts.summary);
        check_str(rows[i].title, "title", buf_text(&texts.title), rows[i].title);
        check_contains(rows[i].title, "summary", buf_text(&texts.summary), rows[i].summary);
        check_bool(rows[i].title, "fits a status", texts.title.len <= STATUS_MAX, true);
        end(&texts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waiting_says_what_for_and_what_to_do),
        cmocka_unit_test(test_pusher_is_named_only_where_it_is_he_who_is_not_trusted),
        cmocka_unit_test(test_approver_is_named_only_where_an_approval_waits),
        cmocka_unit_test(test_until_when_it_waits_is_told),
        cmocka_unit_test(test_done_never_says_more_than_is_known),
        cmocka_unit_test(test_conflict_names_branch_and_label),
        cmocka_unit_test(test_reruns_are_told),
        cmocka_unit_test(test_text_is_appended),
        cmocka_unit_test(test_approval_is_told_with_its_means_and_permission),
        cmocka_unit_test(test_button_is_offered_where_an_approval_helps),
        cmocka_unit_test(test_messages_say_what_to_do_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
