/* The merge queue's webhook, and the branch's name that it tells. */
#include "check.h"

#include <stdio.h>

#include "fixture.h"
#include "prgate/event.h"

#define BASE "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define BRANCH "gh-readonly-queue/main/pr-104-" BASE

/* As GitHub sends it; %s: action, members, the commit, head_ref, more members. */
static const char form[] =
    "{\"action\":\"%s\"%s,\"merge_group\":{\"head_sha\":\"%s\",\"head_ref\":\"%s\",\"base_sha\":\"" BASE
    "\",\"base_ref\":\"refs/heads/main\",\"head_commit\":{\"id\":\"aa\",\"message\":\"Merge "
    "pull request #104\"}},\"repository\":{\"id\":5,\"full_name\":\"octo/repo\"},\"sender\":{\"id\":9,"
    "\"login\":\"github-merge-queue[bot]\",\"type\":\"Bot\"}%s}";

static struct fixture shared;

struct row {
    const char *name, *action, *members, *sha, *head_ref, *more;
    enum err_code want;
    const char *text;
};

static enum err_code parse(const struct row *row, struct event *event, struct err *err)
{
    char body[4096];
    snprintf(body, sizeof body, form, row->action, row->members == NULL ? "" : row->members,
             row->sha == NULL ? SHA_A : row->sha,
             row->head_ref == NULL ? "refs/heads/" BRANCH : row->head_ref,
             row->more == NULL ? "" : row->more);
    return event_parse(event, "merge_group", body, strlen(body), shared.config, err);
}

static void test_group_is_read(void **state)
{
    (void)state;
    static const struct {
        struct row row;
        enum event_action action;
        bool merged;
        uint64_t installation;
    } rows[] = {
        {{"asked", "checks_requested", NULL, NULL, NULL, ",\"installation\":{\"id\":11}", 0, NULL},
         EVENT_QUEUED,
         false,
         11},
        {{"a short branch", "checks_requested", NULL, NULL, BRANCH, NULL, 0, NULL}, EVENT_QUEUED, false, 0},
        {{"merged", "destroyed", ",\"reason\":\"merged\"", NULL, NULL, NULL, 0, NULL},
         EVENT_UNQUEUED,
         true,
         0},
        {{"invalidated", "destroyed", ",\"reason\":\"invalidated\"", NULL, NULL, NULL, 0, NULL},
         EVENT_UNQUEUED,
         false,
         0},
        {{"no reason", "destroyed", ",\"reason\":null", NULL, NULL, NULL, 0, NULL}, EVENT_UNQUEUED, false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        const char *name = rows[i].row.name;
        if (parse(&rows[i].row, &event, &err) != ERR_OK)
            fail_msg("%s: %s", name, err.text);
        check_int(name, "action", event.action, rows[i].action);
        check_u64(name, "number", event.key.number, 104);
        check_u64(name, "repository", event.key.repo_id, 5);
        check_str(name, "head", event.pr.head.hex, SHA_A);
        check_str(name, "head_ref", event.pr.head_ref, BRANCH);
        check_str(name, "base_ref", event.pr.base_ref, "main");
        check_str(name, "sender", event.sender.login, "github-merge-queue[bot]");
        check_bool(name, "merged", event.pr.closed, rows[i].merged);
        check_u64(name, "installation", event.installation, rows[i].installation);
    }
    assert_true(event_has_rule("merge_group", "checks_requested"));
    assert_true(event_has_rule("merge_group", "destroyed"));
    assert_false(event_has_rule("merge_group", "dequeued"));
    assert_true(event_has_rule("pull_request", "dequeued"));
    assert_false(event_has_rule("pull_request", "destroyed"));
}

static void test_what_is_wrong_is_told(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"another action", "merged", NULL, NULL, NULL, NULL, ERR_NOT_FOUND, "no rule"},
        {"a commit that is none", "destroyed", NULL, "main", NULL, NULL, ERR_REJECT, "merge_group.head_sha"},
        {"another branch", "checks_requested", NULL, NULL, "refs/heads/main", NULL, ERR_NOT_FOUND,
         "\"main\" names no pull request"},
        {"no number", "checks_requested", NULL, NULL, "refs/heads/gh-readonly-queue/main/pr-x-" BASE, NULL,
         ERR_NOT_FOUND, "names no pull request"},
        {"a reason that is no text", "destroyed", ",\"reason\":7", NULL, NULL, NULL, ERR_REJECT, "reason"},
        {"no branch", "destroyed", NULL, NULL, "", NULL, ERR_REJECT, "merge_group.head_ref"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        check_int(rows[i].name, "code", parse(&rows[i], &event, &err), rows[i].want);
        check_contains(rows[i].name, "text", err.text, rows[i].text);
    }
}

static void test_branch_of_a_queue(void **state)
{
    (void)state;
    static const struct {
        const char *ref;
        uint64_t number;
        const char *base;
    } rows[] = {{BRANCH, 104, "main"},
                {"gh-readonly-queue/release/1.0/pr-7-" BASE, 7, "release/1.0"},
                {"gh-readonly-queue/pr-1-x/pr-7-" BASE, 7, "pr-1-x"},
                {"gh-readonly-queue/main/pr-999999999999999999-" BASE, 999999999999999999, "main"},
                {"gh-readonly-queue/main/pr-9999999999999999999-" BASE, 0, NULL},
                {"gh-readonly-queue/main/pr-0-" BASE, 0, NULL},
                {"gh-readonly-queue/main/pr--" BASE, 0, NULL},
                {"gh-readonly-queue/main/pr-7", 0, NULL},
                {"gh-readonly-queue/main/pr-7-bbbb", 0, NULL},
                {"gh-readonly-queue/main/7-" BASE, 0, NULL},
                {"gh-readonly-queue/pr-7-" BASE, 0, NULL},
                {"gh-readonly-queue//pr-7-" BASE, 0, NULL},
                {"topic/main/pr-7-" BASE, 0, NULL},
                {"", 0, NULL}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t number = 0;
        char base[REF_SIZE] = "untouched";
        check_bool(rows[i].ref, "is one", queue_ref_parse(rows[i].ref, &number, base), rows[i].base != NULL);
        check_u64(rows[i].ref, "number", number, rows[i].number);
        check_str(rows[i].ref, "base", base, rows[i].base == NULL ? "untouched" : rows[i].base);
    }
}

static int setup(void **state)
{
    (void)state;
    fixture_open(&shared, "");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_close(&shared);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_group_is_read),
        cmocka_unit_test(test_what_is_wrong_is_told),
        cmocka_unit_test(test_branch_of_a_queue),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
