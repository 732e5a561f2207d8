/* What prgate answers to commands: it says what to do, and has no command itself, whoever quotes it. */
#include "check.h"

#include <stdio.h>

#include "prgate/command.h"
#include "prgate/wording.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static char label[] = "CICD", prefix[] = "/ci", word_approve[] = "approve", word_rerun[] = "rerun",
            word_cancel[] = "cancel", word_status[] = "status", word_help[] = "help";

static struct policy make_policy(void)
{
    return (struct policy){.label = label,
                           .approver_permission = PERMISSION_TRIAGE,
                           .trigger = TRIGGER_REPOSITORY_DISPATCH,
                           .command_prefix = prefix,
                           .command_approve = word_approve,
                           .command_rerun = word_rerun,
                           .command_cancel = word_cancel,
                           .command_status = word_status,
                           .command_help = word_help};
}

static void make_record(struct record *record)
{
    struct sha sha;
    record_init(record);
    strcpy(record->repo, "octo/repo");
    record->key = (struct pr_key){.repo_id = 5, .number = 7};
    assert_true(sha_parse(&sha, SHA_A));
    record->view.head = sha;
    record_reserve_head(record);
    struct head *head = record_add_head(record, &sha, 1);
    head->check = CHECK_AWAITING;
    head->check_reason = WAIT_UNTRUSTED;
}

static struct intent make_intent(enum message message)
{
    struct intent intent = {.kind = INTENT_COMMENT, .message = message, .target = 50, .attempt = 1};
    intent.person = (struct user){.id = 3, .login = "tim"};
    strcpy(intent.sha.hex, SHA_A);
    return intent;
}

static void say(const struct policy *policy, const struct record *record, enum message message,
                struct buf *out)
{
    struct intent intent = make_intent(message);
    buf_init(out);
    wording_message(policy, record, &intent, "https://github.com", out);
}

/* Neither the text nor what somebody makes of it by quoting or copying. */
static void check_is_no_command(const char *row, const struct policy *policy, struct buf *text)
{
    struct command_line line;
    struct buf quoted;
    command_parse(&line, policy, buf_text(text), text->len);
    check_str(row, "command", command_name(line.command), "none");
    buf_init(&quoted);
    buf_adds(&quoted, "> ");
    for (const char *at = buf_text(text); *at != '\0'; at++) {
        buf_addc(&quoted, *at);
        if (*at == '\n')
            buf_adds(&quoted, "> ");
    }
    buf_adds(&quoted, "\n\nthanks");
    command_parse(&line, policy, buf_text(&quoted), quoted.len);
    check_str(row, "quoted", command_name(line.command), "none");
    buf_release(&quoted);
}

static void test_refusals_say_what_to_do(void **state)
{
    (void)state;
    static const struct {
        enum message message;
        const char *says;
        bool names_head;
    } rows[] = {
        {MESSAGE_COMMAND_REFUSED, "at least *triage* permission", false},
        {MESSAGE_COMMAND_UNKNOWN, "`/ci help`", false},
        {MESSAGE_COMMAND_SEVERAL, "none of them was obeyed", false},
        {MESSAGE_COMMAND_WRONG_SHA, "no commit of this pull request", true},
        {MESSAGE_COMMAND_NO_SHA, "`/ci approve SHA`", true},
        {MESSAGE_COMMAND_SHORT_SHA, "at least 7 digits", true},
        {MESSAGE_COMMAND_OLD_SHA, "not the head any more", true},
        {MESSAGE_COMMAND_AMBIGUOUS, "give all digits", true},
        {MESSAGE_COMMAND_EARLY, "never started", true},
        {MESSAGE_COMMAND_NOTHING, "nothing to cancel", false},
        {MESSAGE_COMMAND_CLOSED, "closed", false},
        {MESSAGE_COMMAND_BUDGET, "budget allows", false},
    };
    struct policy policy = make_policy();
    struct record record;
    make_record(&record);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf text;
        const char *row = message_name(rows[i].message);
        say(&policy, &record, rows[i].message, &text);
        check_contains(row, "text", buf_text(&text), "@tim, ");
        check_contains(row, "text", buf_text(&text), rows[i].says);
        check_bool(row, "names the head", strstr(buf_text(&text), SHA_A) != NULL, rows[i].names_head);
        check_is_no_command(row, &policy, &text);
        buf_release(&text);
    }
    record_release(&record);
}

static void test_help_has_every_command(void **state)
{
    (void)state;
    static char other_prefix[] = "@gate", go[] = "go";
    struct policy policy = make_policy();
    struct record record;
    struct buf text;
    make_record(&record);
    policy.command_prefix = other_prefix;
    policy.command_approve = go;
    say(&policy, &record, MESSAGE_HELP, &text);
    static const char *const commands[] = {"`@gate go SHA`", "`@gate rerun`", "`@gate cancel`",
                                           "`@gate status`", "`@gate help`",  "*triage*"};
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        check_contains("help", "text", buf_text(&text), commands[i]);
    check_is_no_command("help", &policy, &text);
    buf_release(&text);
    policy.trigger = TRIGGER_NONE;
    say(&policy, &record, MESSAGE_HELP, &text);
    assert_null(strstr(buf_text(&text), "rerun"));
    buf_release(&text);
    record_release(&record);
}

static void test_status_in_each_state(void **state)
{
    (void)state;
    struct policy policy = make_policy();
    struct record record;
    struct buf text;
    make_record(&record);
    struct head *head = &record.heads[0];
    for (enum wait_reason reason = WAIT_NOTHING; reason < WAIT_REASON_END; reason++) {
        head->check_reason = reason;
        say(&policy, &record, MESSAGE_STATUS, &text);
        check_contains(wait_reason_name(reason), "text", buf_text(&text), SHA_A);
        check_contains(wait_reason_name(reason), "text", buf_text(&text), "`/ci approve SHA`");
        check_is_no_command(wait_reason_name(reason), &policy, &text);
        buf_release(&text);
    }
    head->ci = CI_STARTED;
    head->check = CHECK_DONE;
    say(&policy, &record, MESSAGE_STATUS, &text);
    check_contains("started", "text", buf_text(&text), "CI was started");
    buf_release(&text);
    record.view.closed = true;
    say(&policy, &record, MESSAGE_STATUS, &text);
    check_contains("closed", "text", buf_text(&text), "closed");
    buf_release(&text);
    record.view.closed = false;
    record.head_count = 0;
    say(&policy, &record, MESSAGE_STATUS, &text);
    check_contains("nothing known", "text", buf_text(&text), "has not been started");
    check_is_no_command("nothing known", &policy, &text);
    buf_release(&text);
    record_release(&record);
}

/* An answer is given once for a comment; a state is told once, whoever asks. */
static void test_markers(void **state)
{
    (void)state;
    static const enum message once_for_a_comment[] = {MESSAGE_COMMAND_REFUSED,
                                                      MESSAGE_COMMAND_UNKNOWN,
                                                      MESSAGE_COMMAND_WRONG_SHA,
                                                      MESSAGE_COMMAND_SEVERAL,
                                                      MESSAGE_COMMAND_NO_SHA,
                                                      MESSAGE_COMMAND_SHORT_SHA,
                                                      MESSAGE_COMMAND_OLD_SHA,
                                                      MESSAGE_COMMAND_AMBIGUOUS,
                                                      MESSAGE_COMMAND_EARLY,
                                                      MESSAGE_COMMAND_NOTHING,
                                                      MESSAGE_COMMAND_CLOSED,
                                                      MESSAGE_COMMAND_BUDGET,
                                                      MESSAGE_HELP};
    struct buf marker;
    char want[128];
    buf_init(&marker);
    for (size_t i = 0; i < COUNT_OF(once_for_a_comment); i++) {
        struct intent intent = make_intent(once_for_a_comment[i]);
        snprintf(want, sizeof want, "%s:50", message_name(intent.message));
        buf_clear(&marker);
        wording_message_marker(&intent, &marker);
        check_str(message_name(intent.message), "marker", buf_text(&marker), want);
    }
    struct intent intent = make_intent(MESSAGE_STATUS);
    intent.reason = WAIT_UNTRUSTED;
    buf_clear(&marker);
    wording_message_marker(&intent, &marker);
    check_str("status", "marker", buf_text(&marker), "status:" SHA_A ":1:untrusted");
    buf_release(&marker);
}

/* Whoever may say a message, it is not empty. */
static void test_every_message_has_words(void **state)
{
    (void)state;
    struct policy policy = make_policy();
    struct record record;
    struct buf text;
    make_record(&record);
    policy.emergency_label = policy.base_wanted = label;
    for (unsigned i = MESSAGE_NONE + 1; i < MESSAGE_END; i++) {
        const char *name = message_name((enum message)i);
        check_bool(name, "is somebody's", message_family((enum message)i) != FAMILY_NONE, true);
        say(&policy, &record, (enum message)i, &text);
        check_bool(name, "has words", text.len > 40, true);
        buf_release(&text);
    }
    say(&policy, &record, MESSAGE_NONE, &text);
    check_int("none", "words", (int64_t)text.len, 0);
    buf_release(&text);
    record_release(&record);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals_say_what_to_do), cmocka_unit_test(test_help_has_every_command),
        cmocka_unit_test(test_status_in_each_state),    cmocka_unit_test(test_markers),
        cmocka_unit_test(test_every_message_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
