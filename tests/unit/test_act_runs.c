/* Cancelling and releasing runs, against a GitHub and an own CI that are a function. */
#include "check.h"

#include "fixture.h"
#include "prgate/act.h"
#include "prgate/dead.h"
#include "prgate/heads.h"
#include "prgate/key.h"
#include "prgate/report.h"
#include "prgate/wording.h"

/* What is listed, and what is answered to what is done with it. */
static struct {
    char runs[2048]; /* of /actions/runs, for any query that has `event` */
    const char *event;
    int list_status;
    int post_status; /* of /cancel and /approve */
    int hook_status; /* of the own CI */
    char bodies[4][1024];
    int body_count;
} world;

static enum err_code answer(const struct http_request *request, struct http_reply *reply, struct err *err)
{
    (void)err;
    bool post = strcmp(request->method, "POST") == 0;
    char event[64];
    reply->status = 404;
    if (strstr(request->url, "/hook") != NULL) {
        reply->status = world.hook_status;
        if (world.body_count < (int)COUNT_OF(world.bodies))
            snprintf(world.bodies[world.body_count++], sizeof world.bodies[0], "%.*s", (int)request->body_len,
                     (const char *)request->body);
    } else if (post) {
        reply->status = world.post_status;
        buf_adds(&reply->body, "{}");
    } else if (strstr(request->url, "/actions/runs?") != NULL) {
        snprintf(event, sizeof event, "event=%s&", world.event);
        reply->status = world.list_status;
        bool listed = strstr(request->url, event) != NULL;
        buf_addf(&reply->body, "{\"workflow_runs\":[%s]}", listed ? world.runs : "");
    }
    return ERR_OK;
}

static struct sha sha_a(void)
{
    struct sha sha;
    assert_true(sha_parse(&sha, SHA_A));
    return sha;
}

struct case_of {
    struct fixture f;
    struct record record;
    struct intent intent;
};

static void begin(struct case_of *c, const char *keys, const char *event)
{
    memset(&world, 0, sizeof world);
    world.event = event;
    world.list_status = 200;
    world.post_status = 202;
    world.hook_status = 202;
    fixture_open(&c->f, keys);
    c->f.fake.answer = answer;
    record_init(&c->record);
    c->record.key = (struct pr_key){.repo_id = 5, .number = 7};
    strcpy(c->record.repo, "octo/repo");
    strcpy(c->record.view.head_ref, "topic");
    strcpy(c->record.view.base_ref, "main");
    struct sha sha = sha_a();
    record_reserve_head(&c->record);
    struct head *head = record_add_head(&c->record, &sha, clock_now_ms() - 3600000);
    head_set_ci(head, CI_STARTED, clock_now_ms() - 1800000);
    c->intent =
        (struct intent){.kind = INTENT_CANCEL, .sha = sha, .attempt = 1, .created_ms = clock_now_ms()};
}

static void end(struct case_of *c)
{
    record_release(&c->record);
    fixture_close(&c->f);
}

static struct act_result perform(struct case_of *c)
{
    const struct policy *policy = config_policy(c->f.config, "octo/repo");
    c->f.fake.count = 0;
    return act_perform(&c->f.worker, policy, &c->record, &c->intent);
}

static void add_run(const char *id, const char *title, const char *status, const char *more)
{
    size_t len = strlen(world.runs);
    snprintf(world.runs + len, sizeof world.runs - len,
             "%s{\"id\":%s,\"display_title\":\"%s\",\"status\":\"%s\"%s}", len > 0 ? "," : "", id, title,
             status, more);
}

static void add_run_of(const struct case_of *c, unsigned attempt, const char *id, const char *status)
{
    char key[KEY_SIZE], title[64];
    trigger_key(&c->record.key, &c->intent.sha, attempt, key);
    snprintf(title, sizeof title, "CI (%s)", key);
    add_run(id, title, status, "");
}

static int calls(const struct case_of *c, const char *part)
{
    int count = 0;
    for (int i = 0; i < c->f.fake.count; i++)
        count += strstr(c->f.fake.calls[i], part) != NULL;
    return count;
}

static void expect(const char *row, const struct act_result *got, enum act_outcome outcome, const char *text)
{
    check_int(row, "outcome", got->outcome, outcome);
    check_contains(row, "answer", got->err.text, text);
}

/* ---- cancelling at GitHub Actions ---------------------------------------------------- */

static void test_runs_with_the_key_are_cancelled_and_no_others(void **state)
{
    (void)state;
    static const struct {
        const char *keys, *event;
    } rows[] = {{"trigger_can_be_asked = true", "repository_dispatch"},
                {"trigger = \"workflow_dispatch\" workflow = \"ci.yml\" trigger_can_be_asked = true",
                 "workflow_dispatch"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct case_of c;
        begin(&c, rows[i].keys, rows[i].event);
        c.intent.attempt = 2; /* both starts are of this commit */
        add_run("900719925474099312", "CI of another", "in_progress", "");
        add_run_of(&c, 2, "900719925474099311", "in_progress");
        add_run_of(&c, 1, "12", "queued");
        add_run_of(&c, 1, "13", "completed");
        add_run_of(&c, 3, "14", "queued"); /* a later one is not meant */
        struct act_result result = perform(&c);
        expect(rows[i].event, &result, ACT_DONE, "2 runs cancelled");
        check_int(rows[i].event, "cancels", calls(&c, "/cancel"), 2);
        check_int(rows[i].event, "first",
                  calls(&c, "POST /repos/octo/repo/actions/runs/900719925474099311/cancel"), 1);
        check_int(rows[i].event, "second", calls(&c, "POST /repos/octo/repo/actions/runs/12/cancel"), 1);
        check_int(rows[i].event, "created", calls(&c, "created=%3E%3D"), 1);
        end(&c);
    }
}

static void test_run_that_cannot_be_told_apart_is_left(void **state)
{
    (void)state;
    struct case_of c;
    begin(&c, "", "repository_dispatch");
    add_run_of(&c, 1, "12", "queued");
    struct act_result result = perform(&c);
    expect("not asked", &result, ACT_DONE, "trigger_can_be_asked");
    check_int("not asked", "calls", c.f.fake.count, 0);
    end(&c);
}

static void test_run_that_is_not_listed_yet_is_waited_for(void **state)
{
    (void)state;
    struct case_of c;
    begin(&c, "trigger_can_be_asked = true", "repository_dispatch");
    struct head *head = &c.record.heads[0];
    head->ci_at_ms = clock_now_ms() - 1000;
    struct act_result result = perform(&c);
    expect("a second ago", &result, ACT_AGAIN, "not in the list of runs yet");
    head->ci_at_ms = clock_now_ms() - 31000;
    result = perform(&c);
    expect("half a minute ago", &result, ACT_DONE, "nothing is left to cancel");
    head->ci_at_ms = clock_now_ms() - 1000;
    add_run_of(&c, 1, "12", "completed");
    result = perform(&c);
    expect("it has ended", &result, ACT_DONE, "nothing is left to cancel");
    end(&c);
}

static void test_answer_to_cancelling(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int list, post;
        int64_t age_ms;
        enum act_outcome want;
        const char *text;
    } rows[] = {{"accepted", 200, 202, 0, ACT_DONE, "1 run cancelled"},
                {"ended meanwhile", 200, 409, 0, ACT_DONE, "1 run cancelled"},
                {"deleted", 200, 404, 0, ACT_DONE, "1 run cancelled"},
                {"may not", 200, 403, 0, ACT_REFUSED, "HTTP 403"},
                {"may not list", 403, 202, 0, ACT_REFUSED, "HTTP 403"},
                {"broken", 200, 500, 0, ACT_AGAIN, "HTTP 500"},
                {"list broken", 502, 202, 0, ACT_AGAIN, "HTTP 502"},
                {"broken for long", 200, 500, 601000, ACT_REFUSED, "HTTP 500"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct case_of c;
        begin(&c, "trigger_can_be_asked = true", "repository_dispatch");
        add_run_of(&c, 1, "12", "in_progress");
        world.list_status = rows[i].list;
        world.post_status = rows[i].post;
        c.intent.created_ms -= rows[i].age_ms;
        struct act_result result = perform(&c);
        expect(rows[i].name, &result, rows[i].want, rows[i].text);
        end(&c);
    }
}

/* What the label has started is the commit's own, unless GitHub says that it is another pull request's. */
static void test_runs_of_the_label_are_found_by_commit(void **state)
{
    (void)state;
    static const char *const events[] = {"pull_request", "pull_request_target"};
    for (size_t i = 0; i < COUNT_OF(events); i++) {
        struct case_of c;
        begin(&c, "trigger = \"none\"", events[i]);
        add_run("12", "a fork's", "in_progress", ",\"pull_requests\":[]");
        add_run("13", "ours", "queued", ",\"pull_requests\":[{\"number\":7}]");
        add_run("14", "another's", "queued", ",\"pull_requests\":[{\"number\":8}]");
        add_run("15", "shared", "waiting", ",\"pull_requests\":[{\"number\":8},{\"number\":7}]");
        struct act_result result = perform(&c);
        expect(events[i], &result, ACT_DONE, "3 runs cancelled");
        check_int(events[i], "another's", calls(&c, "/runs/14/"), 0);
        check_int(events[i], "lists", calls(&c, "head_sha=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), 2);
        end(&c);
    }
}

/* ---- cancelling at an own CI ----------------------------------------------------------- */

static void test_own_ci_is_told_by_key(void **state)
{
    (void)state;
    struct case_of c;
    char key[KEY_SIZE], member[64];
    begin(&c, "trigger = \"http\" http_url = \"https://ci.example/hook\"", "");
    c.intent.attempt = 2;
    struct act_result result = perform(&c);
    expect("cancel", &result, ACT_DONE, "");
    check_int("cancel", "messages", world.body_count, 2);
    for (int i = 0; i < 2; i++) {
        trigger_key(&c.record.key, &c.intent.sha, 2 - (unsigned)i, key);
        snprintf(member, sizeof member, "\"key\":\"%s\"", key);
        check_contains("cancel", "key", world.bodies[i], member);
        check_contains("cancel", "action", world.bodies[i], "\"action\":\"cancel\"");
        check_contains("cancel", "head_ref", world.bodies[i], "\"head_ref\":\"topic\"");
    }
    end(&c);
}

static void test_own_ci_need_not_know_how(void **state)
{
    (void)state;
    static const struct {
        int status;
        enum act_outcome want;
        const char *text;
    } rows[] = {{404, ACT_DONE, "does not know how"}, {410, ACT_DONE, "does not know how"},
                {405, ACT_DONE, "does not know how"}, {501, ACT_DONE, "does not know how"},
                {400, ACT_REFUSED, "HTTP 400"},       {422, ACT_REFUSED, "HTTP 422"},
                {500, ACT_AGAIN, "HTTP 500"},         {503, ACT_AGAIN, "HTTP 503"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct case_of c;
        char name[16];
        snprintf(name, sizeof name, "%d", rows[i].status);
        begin(&c, "trigger = \"http\" http_url = \"https://ci.example/hook\"", "");
        world.hook_status = rows[i].status;
        struct act_result result = perform(&c);
        expect(name, &result, rows[i].want, rows[i].text);
        end(&c);
    }
}

/* The commit of a merge queue's group is on a branch of its own. */
static void test_group_is_told_with_its_own_branches(void **state)
{
    (void)state;
    static const enum intent_kind kinds[] = {INTENT_TRIGGER, INTENT_CANCEL};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct case_of c;
        begin(&c, "trigger = \"http\" http_url = \"https://ci.example/hook\"", "");
        c.intent.kind = kinds[i];
        snprintf(c.intent.ref, sizeof c.intent.ref, "gh-readonly-queue/release/1/pr-7-%s", SHA_A);
        struct act_result result = perform(&c);
        expect("group", &result, ACT_DONE, "");
        check_contains("group", "head_ref", world.bodies[0],
                       "\"head_ref\":\"gh-readonly-queue/release/1/pr-7-aaaa");
        check_contains("group", "base_ref", world.bodies[0], "\"base_ref\":\"release/1\"");
        end(&c);
    }
}

/* ---- releasing --------------------------------------------------------------------------- */

static const char waits[] = ",\"conclusion\":\"action_required\"";

static void test_runs_that_wait_are_approved(void **state)
{
    (void)state;
    struct case_of c;
    begin(&c, "release_first_time_runs = true", "pull_request");
    c.intent.kind = INTENT_RELEASE_RUNS;
    world.post_status = 201;
    add_run("12", "CI", "completed", waits);
    add_run("13", "lint", "completed", waits);
    add_run("14", "another's", "completed",
            ",\"conclusion\":\"action_required\",\"pull_requests\":[{\"number\":8}]");
    struct act_result result = perform(&c);
    expect("release", &result, ACT_DONE, "2 runs released");
    check_int("release", "list",
              calls(&c, "event=pull_request&head_sha=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa&status=action_"
                        "required"),
              1);
    check_int("release", "first", calls(&c, "POST /repos/octo/repo/actions/runs/12/approve"), 1);
    check_int("release", "second", calls(&c, "POST /repos/octo/repo/actions/runs/13/approve"), 1);
    check_int("release", "another's", calls(&c, "/runs/14/"), 0);
    world.post_status = 403;
    result = perform(&c);
    expect("may not", &result, ACT_REFUSED, "HTTP 403");
    end(&c);
}

static void test_runs_that_are_yet_to_come_are_waited_for(void **state)
{
    (void)state;
    static const struct {
        const char *name, *keys;
        int64_t seen_ago_ms, made_ago_ms;
        enum act_outcome want;
    } rows[] = {{"just pushed", "", 1000, 0, ACT_AGAIN},
                {"pushed a while ago", "", 31000, 0, ACT_DONE},
                {"the label starts them", "trigger = \"none\"", 31000, 0, ACT_AGAIN},
                {"the label is a while ago", "trigger = \"none\"", 31000, 31000, ACT_DONE}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct case_of c;
        begin(&c, rows[i].keys, "pull_request");
        c.intent.kind = INTENT_RELEASE_RUNS;
        c.record.heads[0].first_seen_ms = clock_now_ms() - rows[i].seen_ago_ms;
        c.intent.created_ms = clock_now_ms() - rows[i].made_ago_ms;
        struct act_result result = perform(&c);
        expect(rows[i].name, &result, rows[i].want, rows[i].want == ACT_DONE ? "0 runs released" : "yet");
        end(&c);
    }
}

/* ---- the queue's label -------------------------------------------------------------------- */

static void test_queue_label_is_taken_off(void **state)
{
    (void)state;
    struct case_of c;
    begin(&c, "queue_label = \"auto submit\"", "");
    c.intent.kind = INTENT_REMOVE_QUEUE_LABEL;
    struct act_result result = perform(&c); /* 404: it is off already */
    expect("label", &result, ACT_DONE, "");
    check_int("label", "calls", calls(&c, "DELETE /repos/octo/repo/issues/7/labels/auto%20submit"), 1);
    end(&c);
    begin(&c, "", "");
    c.intent.kind = INTENT_REMOVE_QUEUE_LABEL;
    result = perform(&c);
    expect("not configured any more", &result, ACT_DONE, "");
    check_int("not configured any more", "calls", c.f.fake.count, 0);
    end(&c);
}

/* ---- what is kept of it -------------------------------------------------------------------- */

static enum err_code append_and_drop_body(struct store_txn *txn, void *arg, struct err *err)
{
    static const enum intent_kind kinds[] = {INTENT_TRIGGER, INTENT_CANCEL, INTENT_CHECK_DONE,
                                             INTENT_REMOVE_QUEUE_LABEL, INTENT_RELEASE_RUNS};
    struct case_of *c = arg;
    struct intent found;
    uint64_t seq = 0;
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct intent intent = {.kind = kinds[i], .sha = sha_a()};
        assert_int_equal(table_append_intent(txn, &c->record, &intent, err), ERR_OK);
    }
    assert_int_equal(table_drop_intents(txn, &c->record.key, err), ERR_OK);
    assert_int_equal(table_next_intent(txn, &c->record.key, &seq, &found, err), ERR_OK);
    check_int("first", "kind", found.kind, INTENT_CANCEL);
    seq++;
    assert_int_equal(table_next_intent(txn, &c->record.key, &seq, &found, err), ERR_OK);
    check_int("second", "kind", found.kind, INTENT_REMOVE_QUEUE_LABEL);
    seq++;
    assert_int_equal(table_next_intent(txn, &c->record.key, &seq, &found, err), ERR_NOT_FOUND);
    return ERR_OK;
}

static void test_closing_drops_no_cancel(void **state)
{
    (void)state;
    struct case_of c;
    struct err err = {0};
    begin(&c, "", "");
    assert_int_equal(store_txn(c.f.gate.store, append_and_drop_body, &c, &err), ERR_OK);
    end(&c);
}

static enum err_code put_letter_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct case_of *c = arg;
    struct dead_letter letter = {.intent = c->intent, .reason = "HTTP 403"};
    assert_int_equal(table_put_record(txn, &c->record, err), ERR_OK);
    return table_put_dead(txn, &c->record.key, &letter, err);
}

/* The commit is not the head any more, and the pull request may be closed: that is why it is to be cancelled. */
static void test_cancel_that_was_refused_can_be_retried(void **state)
{
    (void)state;
    struct case_of c;
    struct err err = {0};
    begin(&c, "", "");
    c.record.view.closed = true;
    assert_int_equal(store_txn(c.f.gate.store, put_letter_body, &c, &err), ERR_OK);
    if (dead_retry(&c.f.gate, &c.record.key, 0, &err) != ERR_OK)
        fail_msg("retry: %s", err.text);
    check_u64("retried", "intents", count_table(&c.f, TABLE_INTENT), 1);
    check_u64("retried", "letters", count_table(&c.f, TABLE_DEAD), 0);
    end(&c);
}

static enum err_code put_away_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct case_of *c = arg;
    struct sha group = sha_a();
    c->record.heads[0].queued = true;
    c->record.heads[0].check = CHECK_DONE;
    for (int i = 0; i <= HEADS_MAX; i++) {
        char hex[41];
        struct sha sha;
        snprintf(hex, sizeof hex, "%040d", i);
        assert_true(sha_parse(&sha, hex));
        record_reserve_head(&c->record);
        record_add_head(&c->record, &sha, 1)->check = CHECK_DONE;
    }
    assert_int_equal(heads_put_away(txn, &c->record, err), ERR_OK);
    assert_null(record_find_head(&c->record, &group));
    assert_int_equal(heads_recall(txn, &c->record, &group, err), ERR_OK);
    const struct head *head = record_find_head(&c->record, &group);
    assert_non_null(head);
    assert_true(head->queued);
    check_int("group", "check", head->check, CHECK_DONE);
    return ERR_OK;
}

/* A duplicate of what a queue asked long ago finds that it was answered. */
static void test_group_of_long_ago_is_still_known(void **state)
{
    (void)state;
    struct case_of c;
    struct err err = {0};
    begin(&c, "", "");
    assert_int_equal(store_txn(c.f.gate.store, put_away_body, &c, &err), ERR_OK);
    end(&c);
}

/* ---- what people are told ------------------------------------------------------------------- */

static void test_check_tells_of_it(void **state)
{
    (void)state;
    static const struct {
        const char *name, *keys;
        struct head head;
        const char *title, *summary;
    } rows[] = {
        {"cancelled",
         "trigger_can_be_asked = true",
         {.ci = CI_STARTED, .cancelled = 1},
         "CI was started; cancelled since",
         "asks for a re-run of this check"},
        {"started again since",
         "trigger_can_be_asked = true",
         {.ci = CI_STARTED, .cancelled = 1, .reruns = 1},
         "CI was started again",
         "Re-run 1"},
        {"may have been started",
         "trigger_can_be_asked = true",
         {.ci = CI_UNKNOWN, .cancelled = 1},
         "CI may have been started; cancelled since",
         "cancelled since"},
        {"cannot be told apart",
         "",
         {.ci = CI_STARTED, .cancelled = 1},
         "CI was started; it could not be cancelled",
         "`trigger_can_be_asked`"},
        {"the label's",
         "trigger = \"none\"",
         {.ci = CI_STARTED, .cancelled = 1},
         "Cleared to run; cancelled since",
         "runs the cancelled workflows again"},
        {"group", "", {.ci = CI_NONE, .queued = true}, "Cleared for the merge queue", "before it was queued"},
        {"group, started",
         "",
         {.ci = CI_STARTED, .queued = true},
         "CI was started for the merge queue",
         "before it was queued"},
        {"group, unknown",
         "",
         {.ci = CI_UNKNOWN, .queued = true},
         "Cleared for the merge queue, CI may have been started",
         "queue it again"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct case_of c;
        struct buf title, summary;
        begin(&c, rows[i].keys, "");
        buf_init(&title);
        buf_init(&summary);
        wording_done(config_policy(c.f.config, "octo/repo"), &rows[i].head, &title, &summary);
        check_str(rows[i].name, "title", buf_text(&title), rows[i].title);
        check_contains(rows[i].name, "summary", buf_text(&summary), rows[i].summary);
        buf_release(&title);
        buf_release(&summary);
        end(&c);
    }
}

static void test_group_that_was_refused_says_what_to_do(void **state)
{
    (void)state;
    struct case_of c;
    struct buf title, summary;
    struct head head = {.ci = CI_REFUSED, .queued = true};
    begin(&c, "", "");
    buf_init(&title);
    buf_init(&summary);
    wording_awaiting(config_policy(c.f.config, "octo/repo"), &head, WAIT_TRIGGER_FAILED, &title, &summary);
    check_str("refused", "title", buf_text(&title), "CI could not be started");
    check_contains("refused", "summary", buf_text(&summary), "queue it again");
    buf_release(&title);
    buf_release(&summary);
    end(&c);
}

static void test_status_tells_of_it(void **state)
{
    (void)state;
    static const struct {
        const char *head, *want;
    } rows[] = {{"{\"ci\":\"started\"}", "started"},
                {"{\"ci\":\"started\",\"cancelled\":true}", "started, cancelled"},
                {"{\"ci\":\"none\",\"merge_queue\":true}", "none, for the merge queue"},
                {"{\"ci\":\"started\",\"cancelled\":true,\"merge_queue\":true}",
                 "started, cancelled, for the merge queue"}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[REPORT_CI_SIZE];
        cJSON *head = cJSON_Parse(rows[i].head);
        check_str(rows[i].head, "text", report_ci(head, text), rows[i].want);
        cJSON_Delete(head);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_with_the_key_are_cancelled_and_no_others),
        cmocka_unit_test(test_run_that_cannot_be_told_apart_is_left),
        cmocka_unit_test(test_run_that_is_not_listed_yet_is_waited_for),
        cmocka_unit_test(test_answer_to_cancelling),
        cmocka_unit_test(test_runs_of_the_label_are_found_by_commit),
        cmocka_unit_test(test_own_ci_is_told_by_key),
        cmocka_unit_test(test_own_ci_need_not_know_how),
        cmocka_unit_test(test_group_is_told_with_its_own_branches),
        cmocka_unit_test(test_runs_that_wait_are_approved),
        cmocka_unit_test(test_runs_that_are_yet_to_come_are_waited_for),
        cmocka_unit_test(test_queue_label_is_taken_off),
        cmocka_unit_test(test_closing_drops_no_cancel),
        cmocka_unit_test(test_cancel_that_was_refused_can_be_retried),
        cmocka_unit_test(test_group_of_long_ago_is_still_known),
        cmocka_unit_test(test_check_tells_of_it),
        cmocka_unit_test(test_group_that_was_refused_says_what_to_do),
        cmocka_unit_test(test_status_tells_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
