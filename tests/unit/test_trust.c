#include "check.h"

#include "fixture.h"
#include "prgate/codec.h"
#include "prgate/forget.h"
#include "prgate/trust.h"
#include "time_travel.h"

/* What GitHub says; tests set it. */
static const char *role, *base_role, *team_state, *second_team_state;
static int pull_status, role_status, app_status, label_status, pull_calls, role_calls, team_calls, user_calls,
    app_calls;

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
    } else if (strstr(request->url, "/issues/7/events") != NULL) {
        reply->status = label_status;
        buf_adds(&reply->body,
                 "[{\"event\":\"labeled\",\"created_at\":\"2023-11-14T22:13:20Z\",\"label\":"
                 "{\"name\":\"CICD\"},\"actor\":{\"id\":8,\"login\":\"max\",\"type\":\"User\"}}]");
    } else if (strstr(request->url, "/permission") != NULL) {
        role_calls++;
        reply->status = role == NULL ? 404 : role_status;
        if (role != NULL)
            buf_addf(&reply->body, "{\"permission\":\"%s\",\"role_name\":\"%s\"}", base_role, role);
    } else if (strstr(request->url, "/memberships/") != NULL) {
        const char *member = strstr(request->url, "/second/") != NULL ? second_team_state : team_state;
        team_calls++;
        reply->status = member == NULL ? 404 : 200;
        if (member != NULL)
            buf_addf(&reply->body, "{\"state\":\"%s\",\"role\":\"member\"}", member);
    } else if (strstr(request->url, "/apps/") != NULL) {
        app_calls++;
        reply->status = strstr(request->url, "/apps/roller") != NULL ? app_status : 404;
        buf_adds(&reply->body, "{\"id\":2740,\"slug\":\"roller\"}");
    } else if (strstr(request->url, "/user") != NULL) {
        user_calls++;
        buf_adds(&reply->body, "{\"id\":99,\"login\":\"gatekeeper\",\"type\":\"User\"}");
    }
    return ERR_OK;
}

static void begin_with(struct fixture *f, const char *top_keys, const char *repo_keys, bool credentials)
{
    *f = (struct fixture){0};
    fixture_configure(f, top_keys, repo_keys);
    if (!credentials) {
        free(f->config->token);
        f->config->token = NULL;
    }
    fixture_open_gate(f);
    fixture_open_worker(f);
    f->fake.answer = answer;
    role = team_state = second_team_state = NULL;
    base_role = "read";
    pull_status = role_status = app_status = label_status = 200;
    pull_calls = role_calls = team_calls = user_calls = app_calls = 0;
    github_use(f->worker.github, "octo/repo", 0);
}

static void begin(struct fixture *f, const char *repo_keys)
{
    begin_with(f, "", repo_keys, true);
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

static const char bobs_answer[] = "permission/5/bob";

struct kept {
    int64_t learnt_ms;
    struct user user;
};

/* As if it had been learnt that much earlier. */
static enum err_code make_older_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct kept kept;
    struct buf value;
    const struct bytes key = {bobs_answer, strlen(bobs_answer)};
    buf_init(&value);
    enum err_code code = store_get(txn, TABLE_TRUST, key, STORE_LOCK, &value, err);
    if (code == ERR_OK) {
        struct decoder d = decode_start(value.data, value.len);
        kept.learnt_ms = decode_i64(&d) - *(const int64_t *)arg;
        decode_user(&d, &kept.user);
        buf_clear(&value);
        encode_i64(&value, kept.learnt_ms);
        encode_user(&value, &kept.user);
        code = store_put(txn, TABLE_TRUST, key, buf_bytes(&value), err);
    }
    buf_release(&value);
    return code;
}

static enum err_code spoil_answer_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    return store_put(txn, TABLE_TRUST, (struct bytes){bobs_answer, strlen(bobs_answer)},
                     (struct bytes){"junk", 4}, err);
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

/* The two thresholds are the section's, each its own. */
static void test_permission_below_at_and_above_what_is_asked_for(void **state)
{
    (void)state;
    static const char *const roles[] = {"none", "read", "triage", "write", "maintain", "admin"};
    static const struct {
        const char *keys;
        size_t trusted_from, approver_from; /* indices into roles */
    } rows[] = {
        {"trusted_permission = \"admin\" approver_permission = \"read\"", 5, 1},
        {"trusted_permission = \"read\" approver_permission = \"admin\"", 1, 5},
        {"trusted_permission = \"triage\" approver_permission = \"maintain\"", 2, 4},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t j = 0; j < COUNT_OF(roles); j++) {
            char row[128];
            struct fixture f;
            begin(&f, rows[i].keys);
            base_role = role = roles[j];
            snprintf(row, sizeof row, "%s: %s", rows[i].keys, role);
            struct event opened = by_stranger(EVENT_OPENED), labeled = by_stranger(EVENT_LABELED);
            check_bool(row, "trusted", learn(&f, &opened, ERR_OK).author_trusted, j >= rows[i].trusted_from);
            check_bool(row, "may approve", learn(&f, &labeled, ERR_OK).sender_may_approve,
                       j >= rows[i].approver_from);
            fixture_close(&f);
        }
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
    begin(&f, "settle_seconds = 0");
    role = "triage";
    struct event event = by_stranger(EVENT_LABELED);
    struct facts facts = learn(&f, &event, ERR_OK);
    assert_true(facts.sender_may_approve);
    assert_int_equal(facts.known & FACT_AUTHOR, 0); /* approved: nobody asks about the author */
    check_contains("sender", "why", facts.sender_why, "triage");
    assert_int_equal(facts.sender_permission, PERMISSION_TRIAGE);
    strcpy(event.sender.login, "GateKeeper");
    facts = learn(&f, &event, ERR_OK);
    assert_true(facts.sender_is_prgate);
    assert_int_equal(facts.known & FACT_SENDER, 0);
    assert_int_equal(user_calls, 1);
    fixture_close(&f);
}

/* Whose label is there is asked only where it may have to go, and no answer is as good as none. */
static void test_whose_label_it_is_is_asked_about_a_refused_one(void **state)
{
    (void)state;
    static const struct {
        const char *role;
        int status;
        unsigned asked;
        bool told;
    } rows[] = {{"triage", 200, 0, false}, {"read", 200, FACT_LABEL, true}, {"read", 403, FACT_LABEL, false}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        begin(&f, "settle_seconds = 0");
        role = rows[i].role;
        label_status = rows[i].status;
        struct event event = by_stranger(EVENT_LABELED);
        struct facts facts = learn(&f, &event, ERR_OK);
        assert_int_equal(facts.known & FACT_LABEL, rows[i].asked);
        assert_int_equal(facts.label_is_set, rows[i].told);
        assert_string_equal(facts.label_set_by.login, rows[i].told ? "max" : "");
        assert_int_equal(facts.settle_s, 0);
        fixture_close(&f);
    }
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

/* One of the two is left: whoever it is, is asked about, and the other is not. */
static void test_deleted_account_leaves_the_other_one_as_it_is(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "trusted_teams = {\"octo/hackers\"}");
    role = "write";
    struct event event = by_stranger(EVENT_LABELED);
    event.sender = (struct user){0};
    struct facts facts = learn(&f, &event, ERR_OK);
    check_bool("no sender", "is prgate", facts.sender_is_prgate, false);
    check_bool("no sender", "may approve", facts.sender_may_approve, false);
    check_bool("no sender", "author trusted", facts.author_trusted, true);
    check_str("no sender", "why", facts.sender_why, "sender is a deleted account");
    check_int("no sender", "permissions asked", role_calls, 1);
    event = by_stranger(EVENT_LABELED);
    event.pr.author = (struct user){0};
    facts = learn(&f, &event, ERR_OK);
    check_bool("no author", "may approve", facts.sender_may_approve, true);
    check_int("no author", "permissions asked", role_calls, 2);
    event.action = EVENT_OPENED;
    facts = learn(&f, &event, ERR_OK);
    check_bool("no author", "author trusted", facts.author_trusted, false);
    check_str("no author", "why", facts.author_why, "author is a deleted account");
    check_int("no author, opened", "permissions asked", role_calls, 2);
    check_int("no author, opened", "teams asked", team_calls, 1);
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

/* GitHub tells an organization's own role by the one that it is built on. */
static void test_role_of_an_organizations_own_making_counts_as_what_it_is_built_on(void **state)
{
    (void)state;
    static const struct {
        const char *name, *base, *role;
        bool trusted, may_approve;
    } rows[] = {
        {"built on read", "read", "security-reader", false, false},
        {"built on write", "write", "release-manager", true, true},
        {"built on admin", "admin", "owner-ish", true, true},
        {"triage is told as read", "read", "triage", false, true},
        {"maintain is told as write", "write", "maintain", true, true},
        {"none", "none", "none", false, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        begin(&f, "");
        base_role = rows[i].base;
        role = rows[i].role;
        struct event opened = by_stranger(EVENT_OPENED), labeled = by_stranger(EVENT_LABELED);
        check_bool(rows[i].name, "trusted", learn(&f, &opened, ERR_OK).author_trusted, rows[i].trusted);
        check_bool(rows[i].name, "may approve", learn(&f, &labeled, ERR_OK).sender_may_approve,
                   rows[i].may_approve);
        fixture_close(&f);
    }
}

static void test_answer_counts_for_its_time_and_for_whom_it_was_asked(void **state)
{
    (void)state;
    static const struct {
        const char *name, *top_keys;
        const char *login; /* of the second event's author */
        uint64_t repo_id;
        int64_t older_by_ms; /* the first answer, when the second event comes */
        int calls;
    } rows[] = {
        {"the same", "trust_ttl = 60", "bob", 5, 0, 1},
        {"the same in another case", "trust_ttl = 60", "BOB", 5, 0, 1},
        {"just fresh enough", "trust_ttl = 60", "bob", 5, 50000, 1},
        {"too old", "trust_ttl = 60", "bob", 5, 60000, 2},
        {"from the future", "trust_ttl = 60", "bob", 5, -5000, 2},
        {"somebody else", "trust_ttl = 60", "bobby", 5, 0, 2},
        {"another repository", "trust_ttl = 60", "bob", 6, 0, 2},
        {"nothing is kept", "trust_ttl = 0", "bob", 5, 0, 2},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        struct err err = {0};
        begin_with(&f, rows[i].top_keys, "", true);
        role = "write";
        struct event event = by_stranger(EVENT_OPENED);
        check_bool(rows[i].name, "first", learn(&f, &event, ERR_OK).author_trusted, true);
        assert_int_equal(
            store_txn(f.gate.store, make_older_body, (void *)(uintptr_t)&rows[i].older_by_ms, &err), ERR_OK);
        role = "read";
        strcpy(event.pr.author.login, rows[i].login);
        event.key.repo_id = rows[i].repo_id;
        check_bool(rows[i].name, "second", learn(&f, &event, ERR_OK).author_trusted, rows[i].calls == 1);
        check_int(rows[i].name, "calls", role_calls, rows[i].calls);
        fixture_close(&f);
    }
}

/* Called while GitHub is asked. */
static struct change {
    struct fixture *f;
    const char *login; /* whose rights change at this moment; NULL: nobody's */
    uint64_t repo_id;
    const char *role; /* what they are from then on */
} change;

static enum err_code answer_and_change(const struct http_request *request, struct http_reply *reply,
                                       struct err *err)
{
    enum err_code code = answer(request, reply, err);
    bool asks = strstr(request->url, "/permission") != NULL || strstr(request->url, "/memberships/") != NULL;
    if (asks && change.login != NULL) {
        struct trust_change heard = {.repo_id = change.repo_id};
        size_t dropped;
        strcpy(heard.login, change.login);
        assert_int_equal(forget_answers(change.f->gate.store, &heard, &dropped, err), ERR_OK);
        change.login = NULL;
        role = change.role;
        team_state = NULL;
    }
    return code;
}

/* GitHub's answer was under way when the webhook came: it decides this once, and no more. */
static void test_answer_that_a_change_of_rights_overtook_is_not_kept(void **state)
{
    (void)state;
    static const struct {
        const char *name, *keys, *role, *team, *login;
        int roles, teams;
        bool still_trusted;
    } rows[] = {
        {"permission", "", "write", NULL, "bob", 2, 0, false},
        {"of everybody", "", "write", NULL, "", 2, 0, false},
        {"team", "trusted_teams = {\"octo/first\"} trusted_permission = \"\"", "read", "active", "bob", 0, 2,
         false},
        {"no change", "", "write", NULL, NULL, 1, 0, true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        begin(&f, rows[i].keys);
        f.fake.answer = answer_and_change;
        role = rows[i].role;
        team_state = rows[i].team;
        change = (struct change){.f = &f, .login = rows[i].login, .role = "read"};
        struct event event = by_stranger(EVENT_OPENED);
        check_bool(rows[i].name, "first", learn(&f, &event, ERR_OK).author_trusted, true);
        event.key.number = 8;
        for (int again = 0; again < 2; again++) /* the new answer is kept */
            check_bool(rows[i].name, "then", learn(&f, &event, ERR_OK).author_trusted, rows[i].still_trusted);
        check_int(rows[i].name, "permissions asked", role_calls, rows[i].roles);
        check_int(rows[i].name, "teams asked", team_calls, rows[i].teams);
        fixture_close(&f);
    }
}

static size_t count_calls(const struct fixture *f, const char *call)
{
    size_t count = 0;
    for (int i = 0; i < f->fake.count; i++)
        count += strcmp(f->fake.calls[i], call) == 0 ? 1 : 0;
    return count;
}

/* Each pull request is read each time; what is known of people and teams, once. */
static void test_ten_pull_requests_of_one_author_ask_about_him_once(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "trusted_teams = {\"octo/hackers\"}");
    role = "read";
    for (uint64_t number = 1; number <= 10; number++) {
        char call[64];
        struct event event = by_stranger(EVENT_OPENED);
        event.key.number = number;
        assert_false(learn(&f, &event, ERR_OK).author_trusted);
        snprintf(call, sizeof call, "GET /repos/octo/repo/pulls/%" PRIu64, number);
        check_u64(call, "calls", count_calls(&f, call), 1);
    }
    check_u64("team", "calls", count_calls(&f, "GET /orgs/octo/teams/hackers/memberships/bob"), 1);
    check_u64("permission", "calls", count_calls(&f, "GET /repos/octo/repo/collaborators/bob/permission"), 1);
    check_int("all", "calls", f.fake.count, 12);
    fixture_close(&f);
}

static void test_damaged_answer_is_asked_for_anew(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    begin(&f, "");
    role = "write";
    assert_int_equal(store_txn(f.gate.store, spoil_answer_body, NULL, &err), ERR_OK);
    struct event event = by_stranger(EVENT_OPENED);
    assert_true(learn(&f, &event, ERR_OK).author_trusted);
    assert_true(learn(&f, &event, ERR_OK).author_trusted);
    check_int("damaged", "calls", role_calls, 1);
    fixture_close(&f);
}

static void test_failure_to_tell_is_not_kept(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "");
    role = "write";
    role_status = 502;
    struct event event = by_stranger(EVENT_OPENED);
    learn(&f, &event, ERR_RETRY);
    role_status = 200;
    assert_true(learn(&f, &event, ERR_OK).author_trusted);
    check_int("failure", "calls", role_calls, 2);
    fixture_close(&f);
}

static void test_any_team_makes_trusted_and_permission_is_asked_for_last(void **state)
{
    (void)state;
    static const struct {
        const char *name, *first, *second, *role;
        bool trusted;
        int team_calls, role_calls;
        const char *why;
    } rows[] = {
        {"member of the first", "active", NULL, "read", true, 1, 0, "member of octo/first"},
        {"member of the second", NULL, "active", "read", true, 2, 0, "member of octo/second"},
        {"invited to both", "pending", "pending", "read", false, 2, 1, "permission read"},
        {"of none, but may write", NULL, NULL, "write", true, 2, 1, "permission write"},
        {"of none, a stranger", NULL, NULL, NULL, false, 2, 1, "permission none"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        begin(&f, "trusted_teams = {\"octo/first\", \"octo/second\"}");
        team_state = rows[i].first;
        second_team_state = rows[i].second;
        role = rows[i].role;
        struct event event = by_stranger(EVENT_OPENED);
        for (int round = 0; round < 2; round++) {
            struct facts facts = learn(&f, &event, ERR_OK);
            check_bool(rows[i].name, "trusted", facts.author_trusted, rows[i].trusted);
            check_str(rows[i].name, "why", facts.author_why, rows[i].why);
        }
        check_int(rows[i].name, "team calls of both rounds", team_calls, rows[i].team_calls);
        check_int(rows[i].name, "role calls of both rounds", role_calls, rows[i].role_calls);
        fixture_close(&f);
    }
}

static void test_prgate_asks_once_who_it_is(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "");
    role = "admin";
    struct event event = by_stranger(EVENT_LABELED);
    for (uint64_t number = 7; number < 10; number++) {
        event.key.number = number;
        assert_false(learn(&f, &event, ERR_OK).sender_is_prgate);
    }
    strcpy(event.sender.login, "gatekeeper");
    assert_true(learn(&f, &event, ERR_OK).sender_is_prgate);
    /* Another process's handle has not asked, and need not. */
    struct err err = {0};
    github_close(f.worker.github);
    assert_int_equal(github_open(&f.worker.github, f.config, &f.fake.http, NULL, &err), ERR_OK);
    github_use(f.worker.github, "octo/repo", 0);
    assert_true(learn(&f, &event, ERR_OK).sender_is_prgate);
    check_int("identity", "calls", user_calls, 1);
    fixture_close(&f);
}

/* It changes with the credentials, not with anybody's rights: kept for an hour, whatever trust_ttl says. */
static void test_who_prgate_is_depends_on_its_credentials(void **state)
{
    (void)state;
    static const struct {
        const char *name, *token;
        int64_t later_s;
        int calls;
    } rows[] = {
        {"at first", "ghp_token", 0, 1},
        {"after trust_ttl", "ghp_token", 3000, 1},
        {"with another token", "ghp_other", 3000, 2},
        {"with the first again", "ghp_token", 3000, 2},
        {"after an hour", "ghp_token", 3601, 3},
    };
    struct fixture f;
    begin(&f, "");
    role = "admin";
    char *token = f.config->token;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char other[16];
        strcpy(other, rows[i].token);
        travelled_s = rows[i].later_s;
        f.config->token = other;
        struct err err = {0}; /* each time another process's handle, since a handle remembers by itself */
        github_close(f.worker.github);
        assert_int_equal(github_open(&f.worker.github, f.config, &f.fake.http, NULL, &err), ERR_OK);
        github_use(f.worker.github, "octo/repo", 0);
        struct event event = by_stranger(EVENT_LABELED);
        learn(&f, &event, ERR_OK);
        check_int(rows[i].name, "calls", user_calls, rows[i].calls);
        f.config->token = token;
    }
    travelled_s = 0;
    fixture_close(&f);
}

/* Nothing can be asked: the payload is believed, as far as it says anything. */
static void test_dry_run_without_credentials_believes_the_payload(void **state)
{
    (void)state;
    static const struct {
        const char *name, *author;
        enum association association;
        bool sender_is_author, trusted, may_approve;
    } rows[] = {
        {"a stranger's, approved by another", "bob", ASSOCIATION_OUTSIDER, false, false, true},
        {"a stranger's, by himself", "bob", ASSOCIATION_OUTSIDER, true, false, false},
        {"a member's, by himself", "bob", ASSOCIATION_INSIDER, true, true, true},
        {"a configured user's", "ann", ASSOCIATION_OUTSIDER, false, true, true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        begin_with(&f, "dry_run = true", "trusted_teams = {\"octo/first\"}", false);
        struct event opened = by_stranger(EVENT_OPENED);
        strcpy(opened.pr.author.login, rows[i].author);
        opened.association = rows[i].association;
        if (rows[i].sender_is_author)
            opened.sender = opened.pr.author;
        struct event labeled = opened;
        labeled.action = EVENT_LABELED;
        labeled.label_is_gate = true;
        check_bool(rows[i].name, "trusted", learn(&f, &opened, ERR_OK).author_trusted, rows[i].trusted);
        struct facts facts = learn(&f, &labeled, ERR_OK);
        check_bool(rows[i].name, "may approve", facts.sender_may_approve, rows[i].may_approve);
        check_bool(rows[i].name, "is prgate", facts.sender_is_prgate, false);
        check_contains(rows[i].name, "why", facts.sender_why, "assumed without credentials");
        check_int(rows[i].name, "calls", f.fake.count, 0);
        fixture_close(&f);
    }
}

/* Anybody can comment: only whom GitHub calls an insider may, and what is known of the pull request is how it looks. */
static void test_dry_run_without_credentials_and_a_command(void **state)
{
    (void)state;
    for (int insider = 0; insider < 2; insider++) {
        struct fixture f;
        struct err err = {0};
        struct facts facts;
        struct record record;
        begin_with(&f, "dry_run = true", "", false);
        struct event opened = by_stranger(EVENT_OPENED);
        struct event said = by_stranger(EVENT_COMMAND);
        said.pr = (struct snapshot){.updated_at = opened.pr.updated_at + 5};
        said.command = COMMAND_APPROVE;
        said.comment = 50;
        said.association = insider ? ASSOCIATION_INSIDER : ASSOCIATION_OUTSIDER;
        record_init(&record);
        record.view = opened.pr;
        assert_int_equal(trust_learn(&f.worker, &f.config->policies[0], &record, &said, &facts, &err),
                         ERR_OK);
        check_bool("command", "may approve", facts.sender_may_approve, insider);
        check_str("command", "head", facts.read.head.hex, opened.pr.head.hex);
        check_int("command", "as new as the comment", facts.read.updated_at, said.pr.updated_at);
        check_int("command", "calls", f.fake.count, 0);
        record_release(&record);
        fixture_close(&f);
    }
}

/* Reading writes nothing: a dry run with credentials decides on what GitHub says. */
static void test_dry_run_with_credentials_asks(void **state)
{
    (void)state;
    struct fixture f;
    begin_with(&f, "dry_run = true", "", true);
    role = "write";
    struct event event = by_stranger(EVENT_OPENED);
    assert_true(learn(&f, &event, ERR_OK).author_trusted);
    check_int("dry run", "reads", pull_calls, 1);
    check_int("dry run", "questions", role_calls, 1);
    fixture_close(&f);
}

/* Who pushed is trusted by the same means as an author, and by his own name. */
static void test_pusher_is_trusted_by_the_same_means(void **state)
{
    (void)state;
    static const struct {
        const char *login, *role, *team, *why;
        bool bot, trusted;
        int roles, users;
    } rows[] = {
        {"bob", "read", NULL, "permission read", false, false, 1, 0},
        {"bob", "write", NULL, "permission write", false, true, 1, 0},
        {"bob", "read", "active", "member of octo/first", false, true, 0, 0},
        {"ann", "read", NULL, "trusted_users has ann", false, true, 0, 0},
        {"ann", "none", NULL, "trusted_users has ann", true, true, 0,
         1}, /* as a bot's login would be named */
        {"renovate[bot]", "read", NULL, "permission read", true, false, 1, 1},
        {"gatekeeper", "none", NULL, "sender is prgate itself", true, true, 0, 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        begin(&f, "trusted_teams = {\"octo/first\"}");
        role = rows[i].role;
        team_state = rows[i].team;
        struct event pushed = make_event(EVENT_SYNCHRONIZE, "d1"); /* the author is ann */
        pushed.sender = (struct user){.id = 99, .bot = rows[i].bot};
        strcpy(pushed.sender.login, rows[i].login);
        pushed.pr.labelled = true; /* as the read shows it */
        struct facts facts = learn(&f, &pushed, ERR_OK);
        check_bool(rows[i].login, "trusted", facts.pusher_trusted, rows[i].trusted);
        check_str(rows[i].login, "why", facts.pusher_why, rows[i].why);
        check_int(rows[i].login, "permissions asked", role_calls, rows[i].roles);
        check_int(rows[i].login, "identity asked", user_calls, rows[i].users);
        check_bool(rows[i].login, "known", (facts.known & FACT_PUSHER) != 0, true);
        fixture_close(&f);
    }
}

/* A number pins the App: another one that has taken over the name is a stranger. */
static void test_bot_is_trusted_by_its_name_and_number(void **state)
{
    (void)state;
    static const struct {
        const char *name, *login, *why;
        bool bot, trusted;
        int calls, roles;
    } rows[] = {
        {"its number", "roller[bot]", "trusted_bots has roller[bot]", true, true, 1, 0},
        {"of any number", "any[bot]", "trusted_bots has any[bot]", true, true, 0, 0},
        {"another number", "Roller-2[bot]", "permission none", true, false, 1, 1},
        {"no such App", "gone[bot]", "permission none", true, false, 1, 1},
        {"no bot", "roller[bot]", "permission none", false, false, 0, 1},
        {"not named", "other[bot]", "permission none", true, false, 0, 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        begin(&f,
              "trusted_bots = {\"roller[bot]:2740\", \"any[bot]\", \"roller-2[bot]:7\", \"gone[bot]:8\"}");
        for (int again = 0; again < 2; again++) { /* the answer is kept */
            struct event opened = by_stranger(EVENT_OPENED);
            opened.pr.author.bot = rows[i].bot;
            strcpy(opened.pr.author.login, rows[i].login);
            struct facts facts = learn(&f, &opened, ERR_OK);
            check_bool(rows[i].name, "trusted", facts.author_trusted, rows[i].trusted);
            check_str(rows[i].name, "why", facts.author_why, rows[i].why);
        }
        check_int(rows[i].name, "Apps asked", app_calls, rows[i].calls);
        check_int(rows[i].name, "permissions asked", role_calls, rows[i].roles);
        fixture_close(&f);
    }
}

static void test_app_that_cannot_be_asked_for_is_asked_again(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "trusted_bots = {\"roller[bot]:2740\"}");
    struct event opened = by_stranger(EVENT_OPENED);
    opened.pr.author.bot = true;
    strcpy(opened.pr.author.login, "roller[bot]");
    app_status = 503;
    learn(&f, &opened, ERR_RETRY);
    app_status = 200;
    assert_true(learn(&f, &opened, ERR_OK).author_trusted);
    check_int("App", "asked", app_calls, 2);
    fixture_close(&f);
}

static void test_dry_run_believes_an_author_who_pushed_and_nobody_else(void **state)
{
    (void)state;
    for (int own = 0; own < 2; own++) {
        struct fixture f;
        begin_with(&f, "dry_run = true", "", false);
        struct event pushed = by_stranger(EVENT_SYNCHRONIZE);
        pushed.association = ASSOCIATION_INSIDER;
        pushed.sender = own ? pushed.pr.author : (struct user){.id = 99, .login = "max"};
        check_bool("dry run", "trusted", learn(&f, &pushed, ERR_OK).pusher_trusted, own);
        check_int("dry run", "calls", f.fake.count, 0);
        fixture_close(&f);
    }
}

/* Its own threshold, of the sender, and only for that label. */
static void test_emergency_needs_its_own_permission(void **state)
{
    (void)state;
    static const struct {
        const char *role, *label;
        bool asked, may;
    } rows[] = {
        {"triage", "emergency", true, false},  {"write", "emergency", true, false},
        {"maintain", "Emergency", true, true}, {"admin", "emergency", true, true},
        {NULL, "emergency", true, false},      {"admin", "bug", false, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        begin(
            &f,
            "emergency_label = \"emergency\" emergency_check = \"tree\" emergency_permission = \"maintain\"");
        role = rows[i].role;
        struct event event = make_event(EVENT_LABELED, "d1");
        event.label_is_gate = false;
        event.pr.labelled = true; /* as the read shows it */
        strcpy(event.label, rows[i].label);
        struct facts facts = learn(&f, &event, ERR_OK);
        check_bool(rows[i].label, "asked", (facts.known & FACT_EMERGENCY) != 0, rows[i].asked);
        check_bool(rows[i].role == NULL ? "none" : rows[i].role, "may", facts.sender_may_emergency,
                   rows[i].may);
        if (rows[i].asked)
            check_contains("why", "text", facts.emergency_why, "permission ");
        fixture_close(&f);
    }
}

static void test_emergency_by_a_deleted_account(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "emergency_label = \"emergency\" emergency_check = \"tree\"");
    struct event event = make_event(EVENT_LABELED, "d1");
    event.label_is_gate = false;
    event.pr.labelled = true;
    event.sender = (struct user){0};
    strcpy(event.label, "emergency");
    struct facts facts = learn(&f, &event, ERR_OK);
    check_bool("deleted", "may", facts.sender_may_emergency, false);
    check_str("deleted", "why", facts.emergency_why, "sender is a deleted account");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configured_user_costs_no_question),
        cmocka_unit_test(test_permission_decides_and_is_kept),
        cmocka_unit_test(test_permission_below_at_and_above_what_is_asked_for),
        cmocka_unit_test(test_team_counts_only_when_active),
        cmocka_unit_test(test_sender_must_be_somebody_else_with_enough_rights),
        cmocka_unit_test(test_whose_label_it_is_is_asked_about_a_refused_one),
        cmocka_unit_test(test_deleted_accounts_are_nobody),
        cmocka_unit_test(test_deleted_account_leaves_the_other_one_as_it_is),
        cmocka_unit_test(test_failures_are_told_apart),
        cmocka_unit_test(test_role_of_an_organizations_own_making_counts_as_what_it_is_built_on),
        cmocka_unit_test(test_answer_counts_for_its_time_and_for_whom_it_was_asked),
        cmocka_unit_test(test_answer_that_a_change_of_rights_overtook_is_not_kept),
        cmocka_unit_test(test_ten_pull_requests_of_one_author_ask_about_him_once),
        cmocka_unit_test(test_damaged_answer_is_asked_for_anew),
        cmocka_unit_test(test_failure_to_tell_is_not_kept),
        cmocka_unit_test(test_any_team_makes_trusted_and_permission_is_asked_for_last),
        cmocka_unit_test(test_prgate_asks_once_who_it_is),
        cmocka_unit_test(test_who_prgate_is_depends_on_its_credentials),
        cmocka_unit_test(test_dry_run_without_credentials_believes_the_payload),
        cmocka_unit_test(test_dry_run_with_credentials_asks),
        cmocka_unit_test(test_dry_run_without_credentials_and_a_command),
        cmocka_unit_test(test_pusher_is_trusted_by_the_same_means),
        cmocka_unit_test(test_bot_is_trusted_by_its_name_and_number),
        cmocka_unit_test(test_app_that_cannot_be_asked_for_is_asked_again),
        cmocka_unit_test(test_dry_run_believes_an_author_who_pushed_and_nobody_else),
        cmocka_unit_test(test_emergency_needs_its_own_permission),
        cmocka_unit_test(test_emergency_by_a_deleted_account),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
