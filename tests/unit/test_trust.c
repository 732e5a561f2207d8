#include "check.h"

#include "fixture.h"
#include "prgate/trust.h"

/* What GitHub says; tests set it. */
static const char *role, *team_state;
static int pull_status, pull_calls, role_calls, team_calls, user_calls;

static enum err_code answer(const struct http_request *request, struct http_reply *reply, struct err *err)
{
    (void)err;
    reply->status = 200;
    if (strstr(request->url, "/pulls/") != NULL) {
        pull_calls++;
        reply->status = pull_status;
        buf_adds(
            &reply->body,
            "{\"number\":7,\"state\":\"open\",\"draft\":false,\"title\":\"t\",\"updated_at\":"
            "\"2023-11-14T22:13:20Z\",\"mergeable\":true,\"labels\":[{\"id\":1,\"name\":\"CICD\"}],"
            "\"user\":{\"id\":2,\"login\":\"bob\",\"type\":\"User\"},\"head\":{\"sha\":"
            "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"ref\":\"topic\"},\"base\":{\"ref\":\"main\"}}");
    } else if (strstr(request->url, "/permission") != NULL) {
        role_calls++;
        if (role == NULL)
            reply->status = 404;
        else
            buf_addf(&reply->body, "{\"permission\":\"read\",\"role_name\":\"%s\"}", role);
    } else if (strstr(request->url, "/memberships/") != NULL) {
        team_calls++;
        if (team_state == NULL)
            reply->status = 404;
        else
            buf_addf(&reply->body, "{\"state\":\"%s\",\"role\":\"member\"}", team_state);
    } else if (strstr(request->url, "/user") != NULL) {
        user_calls++;
        buf_adds(&reply->body, "{\"id\":99,\"login\":\"gatekeeper\",\"type\":\"User\"}");
    }
    return ERR_OK;
}

static void begin(struct fixture *f, const char *repo_keys)
{
    fixture_open(f, repo_keys);
    f->fake.answer = answer;
    role = team_state = NULL;
    pull_status = 200;
    pull_calls = role_calls = team_calls = user_calls = 0;
    github_use(f->worker.github, "octo/repo", 0);
}

static struct facts learn(struct fixture *f, const struct event *event, enum err_code want)
{
    struct err err = {0};
    struct facts facts;
    struct record record;
    record_init(&record);
    enum err_code code =
        trust_learn(&f->worker, config_policy(f->config, "octo/repo"), &record, event, &facts, &err);
    check_str(err.text, "code", err_code_name(code), err_code_name(want));
    record_release(&record);
    return facts;
}

static struct event by_stranger(enum event_action action)
{
    struct event event = make_event(action, "d1");
    strcpy(event.pr.author.login, "bob");
    event.pr.labelled = true; /* as the read shows it */
    return event;
}

static void test_configured_user_costs_no_question(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "");
    struct event event = make_event(EVENT_OPENED, "d1");
    event.pr.author.login[0] = 'A'; /* GitHub's names know no case */
    struct facts facts = learn(&f, &event, ERR_OK);
    assert_true(facts.author_trusted);
    assert_int_equal(role_calls + team_calls + user_calls, 0);
    assert_int_equal(pull_calls, 1);
    fixture_close(&f);
}

static void test_permission_decides_and_is_kept(void **state)
{
    (void)state;
    static const struct {
        const char *role;
        bool trusted;
    } rows[] = {{NULL, false},   {"read", false},    {"triage", false},
                {"write", true}, {"maintain", true}, {"admin", true}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        begin(&f, "");
        role = rows[i].role;
        struct event event = by_stranger(EVENT_OPENED);
        check_bool(role == NULL ? "none" : role, "trusted", learn(&f, &event, ERR_OK).author_trusted,
                   rows[i].trusted);
        role = "admin"; /* the answer of a moment ago still counts, for another pull request too */
        event.key.number = 8;
        check_bool("kept", "trusted", learn(&f, &event, ERR_OK).author_trusted, rows[i].trusted);
        assert_int_equal(role_calls, 1);
        fixture_close(&f);
    }
}

static void test_team_counts_only_when_active(void **state)
{
    (void)state;
    static const struct {
        const char *state;
        bool trusted;
    } rows[] = {{NULL, false}, {"pending", false}, {"active", true}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        begin(&f, "trusted_teams = {\"octo/hackers\"} trusted_permission = \"\"");
        team_state = rows[i].state;
        struct event event = by_stranger(EVENT_OPENED);
        struct facts facts = learn(&f, &event, ERR_OK);
        check_bool(team_state == NULL ? "none" : team_state, "trusted", facts.author_trusted,
                   rows[i].trusted);
        assert_int_equal(team_calls, 1);
        assert_int_equal(role_calls, 0);
        fixture_close(&f);
    }
}

static void test_sender_must_be_somebody_else_with_enough_rights(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "");
    role = "triage";
    struct event event = by_stranger(EVENT_LABELED);
    struct facts facts = learn(&f, &event, ERR_OK);
    assert_true(facts.sender_may_approve);
    assert_int_equal(facts.known & FACT_AUTHOR, 0); /* approved: nobody asks about the author */
    check_contains("sender", "why", facts.sender_why, "triage");
    strcpy(event.sender.login, "GateKeeper");
    facts = learn(&f, &event, ERR_OK);
    assert_true(facts.sender_is_prgate);
    assert_int_equal(facts.known & FACT_SENDER, 0);
    assert_int_equal(user_calls, 1);
    fixture_close(&f);
}

static void test_deleted_accounts_are_nobody(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "");
    struct event event = by_stranger(EVENT_LABELED);
    event.sender = event.pr.author = (struct user){0};
    struct facts facts = learn(&f, &event, ERR_OK);
    assert_false(facts.sender_may_approve);
    assert_false(facts.author_trusted);
    assert_int_equal(role_calls, 0);
    fixture_close(&f);
}

static void test_failures_are_told_apart(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "");
    struct event event = by_stranger(EVENT_OPENED);
    pull_status = 500;
    learn(&f, &event, ERR_RETRY);
    pull_status = 404;
    learn(&f, &event, ERR_NOT_FOUND);
    pull_status = 401;
    learn(&f, &event, ERR_REJECT);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configured_user_costs_no_question),
        cmocka_unit_test(test_permission_decides_and_is_kept),
        cmocka_unit_test(test_team_counts_only_when_active),
        cmocka_unit_test(test_sender_must_be_somebody_else_with_enough_rights),
        cmocka_unit_test(test_deleted_accounts_are_nobody),
        cmocka_unit_test(test_failures_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
