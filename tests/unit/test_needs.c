/*
 * What an App needs for a configuration, and how GitHub says what it has.
 */
#include "check.h"

#include "fixture.h"
#include "prgate/github_app.h"
#include "prgate/needs.h"

static char *team[] = {"octo/team"};

static void list(const struct config *config, char out[256])
{
    struct need needs[NEEDS_MAX];
    size_t count = needs_permissions(config, needs);
    out[0] = '\0';
    for (size_t i = 0; i < count; i++)
        snprintf(out + strlen(out), 256 - strlen(out), "%s%s:%s ", needs[i].optional ? "~" : "",
                 needs[i].name, needs[i].access);
}

static void test_permissions_follow_from_the_policies(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct policy policies[2];
        size_t count;
        const char *want;
    } rows[] = {
        {"dispatch", {{.trigger = TRIGGER_REPOSITORY_DISPATCH}}, 1, "contents:write "},
        {"dispatch that can be asked",
         {{.trigger = TRIGGER_REPOSITORY_DISPATCH, .trigger_can_be_asked = true}},
         1,
         "contents:write actions:read "},
        {"workflow", {{.trigger = TRIGGER_WORKFLOW_DISPATCH}}, 1, "actions:write "},
        {"both, and each once",
         {{.trigger = TRIGGER_WORKFLOW_DISPATCH},
          {.trigger = TRIGGER_REPOSITORY_DISPATCH, .trigger_can_be_asked = true}},
         2,
         "contents:write actions:write "},
        {"own CI that can be asked", {{.trigger = TRIGGER_HTTP, .trigger_can_be_asked = true}}, 1, ""},
        {"cancelling",
         {{.trigger = TRIGGER_REPOSITORY_DISPATCH, .trigger_can_be_asked = true, .cancel_on_push = true}},
         1,
         "contents:write actions:write "},
        {"releasing", {{.trigger = TRIGGER_NONE, .release_runs = true}}, 1, "actions:write "},
        {"teams", {{.trigger = TRIGGER_NONE, .trusted_teams = {team, 1}}}, 1, "members:read "},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct policy policies[2] = {rows[i].policies[0], rows[i].policies[1]};
        struct config config = {.policies = policies, .policy_count = rows[i].count};
        char got[256], want[256];
        list(&config, got);
        snprintf(want, sizeof want,
                 "metadata:read checks:write pull_requests:write %s~merge_queues:read ~issues:read ",
                 rows[i].want);
        check_str(rows[i].name, "permissions", got, want);
    }
    char got[256];
    list(NULL, got);
    check_str(
        "no configuration", "permissions", got,
        "metadata:read checks:write pull_requests:write contents:write ~merge_queues:read ~issues:read ");
}

static void test_more_is_enough_and_nonsense_is_not(void **state)
{
    (void)state;
    static const struct {
        const char *given, *wanted;
        bool enough;
    } rows[] = {{"read", "read", true},   {"write", "read", true}, {"admin", "write", true},
                {"read", "write", false}, {"none", "read", false}, {"", "read", false},
                {NULL, "read", false}};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_int(rows[i].given == NULL ? "nothing" : rows[i].given, rows[i].wanted,
                  needs_is_enough(rows[i].given, rows[i].wanted), rows[i].enough);
}

static void test_only_the_pull_request_event_is_indispensable(void **state)
{
    (void)state;
    struct need needs[NEEDS_MAX];
    size_t count = needs_events(needs);
    for (size_t i = 0; i < count; i++)
        check_int(needs[i].name, "optional", needs[i].optional, strcmp(needs[i].name, "pull_request") != 0);
    assert_int_equal(count, 6);
}

/* ---- what GitHub says ---- */

static const char *body;

static enum err_code answer(const struct http_request *request, struct http_reply *reply, struct err *err)
{
    (void)request, (void)err;
    reply->status = 200;
    buf_adds(&reply->body, body);
    return ERR_OK;
}

static void add_grant(void *arg, const char *name, const char *access)
{
    char *got = arg;
    snprintf(got + strlen(got), 256 - strlen(got), "[%s %s]", name, access == NULL ? "-" : access);
}

/* GitHub refuses a manifest with an event whose permission the App does not ask for. */
static void test_events_are_those_that_the_permissions_allow(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t teams;
        const char *want;
    } rows[] = {
        {"without teams", 0, "pull_request issue_comment merge_group "},
        {"with teams", 1, "pull_request issue_comment member membership team merge_group "},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct policy policy = {.trigger = TRIGGER_NONE, .trusted_teams = {team, rows[i].teams}};
        struct config config = {.policies = &policy, .policy_count = 1};
        struct need needs[NEEDS_MAX];
        char got[256] = "";
        size_t count = needs_granted_events(&config, needs);
        for (size_t j = 0; j < count; j++)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s ", needs[j].name);
        check_str(rows[i].name, "events", got, rows[i].want);
    }
}

static void test_grants(void **state)
{
    (void)state;
    static const struct {
        const char *name, *body;
        enum err_code code;
        const char *want;
    } rows[] = {
        {"both", "{\"permissions\":{\"checks\":\"write\"},\"events\":[\"member\"]}", ERR_OK,
         "[checks write][member -]"},
        {"what is no text", "{\"permissions\":{\"a\":1,\"b\":null},\"events\":[7,\"x\"]}", ERR_OK, "[x -]"},
        {"no permissions", "{\"events\":[]}", ERR_REJECT, "no permissions, or no events"},
        {"no list of events", "{\"permissions\":{},\"events\":{}}", ERR_REJECT,
         "no permissions, or no events"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        struct err err = {0};
        char got[256] = "";
        fixture_open(&f, "");
        f.fake.answer = answer;
        body = rows[i].body;
        enum err_code code = github_each_app_grant(f.worker.github, add_grant, got, &err);
        check_str(rows[i].name, "code", err_code_name(code), err_code_name(rows[i].code));
        check_contains(rows[i].name, "said", code == ERR_OK ? got : err.text, rows[i].want);
        check_str(rows[i].name, "call", f.fake.calls[0], "GET /app");
        fixture_close(&f);
    }
}

static void test_webhook(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct github_hook_config hook;
    fixture_open(&f, "");
    f.fake.answer = answer;
    body = "{\"url\":\"https://a/"
           "webhook\",\"content_type\":\"form\",\"secret\":\"****\",\"insecure_ssl\":\"1\"}";
    assert_int_equal(github_get_app_hook(f.worker.github, &hook, &err), ERR_OK);
    check_str("all", "call", f.fake.calls[0], "GET /app/hook/config");
    check_str("all", "url", hook.url, "https://a/webhook");
    check_str("all", "type", hook.content_type, "form");
    assert_true(hook.has_secret && hook.insecure);
    body = "{\"insecure_ssl\":0,\"url\":null}";
    assert_int_equal(github_get_app_hook(f.worker.github, &hook, &err), ERR_OK);
    check_str("nothing", "url", hook.url, "");
    assert_false(hook.has_secret || hook.insecure);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_permissions_follow_from_the_policies),
        cmocka_unit_test(test_more_is_enough_and_nonsense_is_not),
        cmocka_unit_test(test_only_the_pull_request_event_is_indispensable),
        cmocka_unit_test(test_events_are_those_that_the_permissions_allow),
        cmocka_unit_test(test_grants),
        cmocka_unit_test(test_webhook),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
