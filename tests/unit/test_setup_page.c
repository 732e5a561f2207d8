/*
 * /setup: whom it is there for, and what the page may do. That it makes an App, test_setup.py shows.
 */
#include "check.h"

#include "fixture.h"
#include "prgate/app_dir.h"
#include "prgate/setup.h"
#include "routes.h"

struct stage {
    struct fixture f;
    char app_dir[96];
    char code[SETUP_CODE_SIZE];
    char query[128];
};

/* A gate that awaits its App, and an open set-up. */
static void make(struct stage *stage)
{
    struct err err = {0};
    fixture_open(&stage->f, "");
    snprintf(stage->app_dir, sizeof stage->app_dir, "%s/app", stage->f.dir);
    free(stage->f.config->app_dir);
    free(stage->f.config->public_url);
    stage->f.config->app_dir = mem_strdup(stage->app_dir);
    stage->f.config->public_url = mem_strdup("https://gate.example");
    stage->f.config->awaits_app = true;
    assert_int_equal(setup_open(stage->f.config->state_dir, "", clock_now_ms() / 1000, stage->code, &err),
                     ERR_OK);
    snprintf(stage->query, sizeof stage->query, "code=%s", stage->code);
}

static int ask(struct stage *stage, const char *path, const char *query, struct buf *head)
{
    struct reply reply;
    struct request request = {.method = "GET", .path_info = path, .query = query, .accept = "text/html"};
    reply_init(&reply);
    routes_answer(&stage->f.gate, &request, false, &reply);
    int status = reply.status;
    if (head != NULL) {
        reply_head(&reply, head);
        buf_add(head, reply.body.data, reply.body.len);
    }
    reply_release(&reply);
    return status;
}

static void test_page_is_for_who_has_the_code(void **state)
{
    (void)state;
    struct stage stage;
    struct buf page;
    make(&stage);
    buf_init(&page);
    check_int("no code", "status", ask(&stage, "/setup", NULL, NULL), 404);
    check_int("wrong", "status", ask(&stage, "/setup", "code=0123456789abcdef0123456789abcdef", NULL), 404);
    check_int("right", "status", ask(&stage, "/setup", stage.query, &page), 200);
    check_contains("right", "policy", buf_text(&page), "form-action http://127.0.0.1:1;");
    check_contains("right", "policy", buf_text(&page), "default-src 'none'");
    check_contains("right", "referrer", buf_text(&page), "Referrer-Policy: no-referrer");
    check_contains("right", "cache", buf_text(&page), "Cache-Control: no-store");
    check_contains("right", "form", buf_text(&page), "action=\"http://127.0.0.1:1/settings/apps/new?state=");
    check_contains("right", "manifest", buf_text(&page),
                   "&quot;redirect_url&quot;:&quot;https://gate.example/setup/done&quot;");
    check_bool("right", "script", strstr(buf_text(&page), "<script") != NULL, false);
    check_bool("right", "code on the page", strstr(buf_text(&page), stage.code) != NULL, false);
    buf_release(&page);
    fixture_close(&stage.f);
}

/* Closed, it does not differ from what is not there at all. */
static void check_closed(struct stage *stage, const char *row)
{
    struct buf closed, nothing;
    char state[SETUP_STATE_SIZE], query[160];
    setup_state(stage->code, state);
    snprintf(query, sizeof query, "code=abc&state=%s", state);
    buf_init(&closed);
    buf_init(&nothing);
    check_int(row, "status", ask(stage, "/setup", stage->query, &closed), 404);
    ask(stage, "/nothin", stage->query, &nothing);
    check_str(row, "reply", buf_text(&closed), buf_text(&nothing));
    check_int(row, "status of the end", ask(stage, "/setup/done", query, NULL), 404);
    buf_release(&closed);
    buf_release(&nothing);
}

static void test_page_is_closed_without_a_set_up(void **state)
{
    (void)state;
    struct stage stage;
    make(&stage);
    setup_close(stage.f.config->state_dir);
    check_closed(&stage, "no code is open");
    fixture_close(&stage.f);
}

static void test_page_is_closed_once_there_is_an_app(void **state)
{
    (void)state;
    struct stage stage;
    make(&stage);
    assert_int_equal(mkdir(stage.app_dir, 0700), 0);
    check_closed(&stage, "another process has stored one");
    assert_int_equal(rmdir(stage.app_dir), 0);
    stage.f.config->awaits_app = false;
    check_closed(&stage, "it is configured");
    fixture_close(&stage.f);
}

static void test_end_wants_a_code_of_github_s_and_room_to_store(void **state)
{
    (void)state;
    struct stage stage;
    char word[SETUP_STATE_SIZE], query[160];
    make(&stage);
    setup_state(stage.code, word);
    snprintf(query, sizeof query, "state=%s", word);
    check_int("no code", "status", ask(&stage, "/setup/done", query, NULL), 400);
    snprintf(query, sizeof query, "state=%s&code=a/b", word);
    check_int("odd code", "status", ask(&stage, "/setup/done", query, NULL), 400);
    snprintf(query, sizeof query, "state=%s&code=abc", word);
    assert_int_equal(chmod(stage.f.dir, 0777), 0);
    check_int("nowhere to store it", "status", ask(&stage, "/setup/done", query, NULL), 500);
    assert_int_equal(chmod(stage.f.dir, 0700), 0);
    check_int("no GitHub", "status", ask(&stage, "/setup/done", query, NULL), 502);
    check_bool("no GitHub", "stored", app_dir_is_there(stage.app_dir), false);
    fixture_close(&stage.f);
}

static void test_page_is_busy_while_somebody_is_at_it(void **state)
{
    (void)state;
    struct stage stage;
    struct setup_lock lock;
    struct err err = {0};
    make(&stage);
    assert_int_equal(setup_lock(&lock, stage.f.config->state_dir, true, &err), ERR_OK);
    check_int("held", "status", ask(&stage, "/setup", stage.query, NULL), 503);
    setup_unlock(&lock);
    check_int("free", "status", ask(&stage, "/setup", stage.query, NULL), 200);
    fixture_close(&stage.f);
}

static void test_every_page_says_that_there_is_no_app(void **state)
{
    (void)state;
    struct stage stage;
    struct buf page;
    make(&stage);
    buf_init(&page);
    check_int("status", "status", ask(&stage, "/status", NULL, &page), 200);
    check_contains("status", "page", buf_text(&page), "No GitHub App yet");
    buf_clear(&page);
    assert_int_equal(mkdir(stage.app_dir, 0700), 0);
    ask(&stage, "/status", NULL, &page);
    check_bool("with one", "said", strstr(buf_text(&page), "No GitHub App yet") != NULL, false);
    buf_release(&page);
    fixture_close(&stage.f);
}

static void test_webhooks_are_put_off(void **state)
{
    (void)state;
    struct stage stage;
    struct reply reply;
    make(&stage);
    struct request request = {.method = "POST", .path_info = "/webhook", .content_type = "application/json"};
    reply_init(&reply);
    routes_answer(&stage.f.gate, &request, false, &reply);
    check_int("webhook", "status", reply.status, 503);
    check_bool("webhook", "to be sent again", reply.retry_after_s > 0, true);
    check_contains("webhook", "message", buf_text(&reply.body), "run prgatectl setup");
    reply_release(&reply);
    fixture_close(&stage.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_is_for_who_has_the_code),
        cmocka_unit_test(test_page_is_closed_without_a_set_up),
        cmocka_unit_test(test_page_is_closed_once_there_is_an_app),
        cmocka_unit_test(test_end_wants_a_code_of_github_s_and_room_to_store),
        cmocka_unit_test(test_page_is_busy_while_somebody_is_at_it),
        cmocka_unit_test(test_every_page_says_that_there_is_no_app),
        cmocka_unit_test(test_webhooks_are_put_off),
    };
    int failed = http_setup(NULL) == ERR_OK ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
    http_shutdown();
    return failed;
}
