/*
 * Does a pull request's branch belong to the repository itself? Both in webhooks and in what is read, by the
 * repositories' ids: a fork may be called anything.
 */
#include "check.h"

#include "fixture.h"

static const struct {
    const char *row, *head_repo;
    bool same;
} rows[] = {
    {"its own", ",\"repo\":{\"id\":5,\"full_name\":\"octo/repo\"}", true},
    {"a fork", ",\"repo\":{\"id\":6,\"full_name\":\"octo/repo\"}", false},
    {"a deleted fork", ",\"repo\":null", false},
    {"nothing said", "", false},
    {"no id", ",\"repo\":{\"full_name\":\"octo/repo\"}", false},
};

/* A pull request's JSON. */
static void add_pull(struct buf *out, const char *head_repo)
{
    buf_addf(
        out,
        "{\"number\":7,\"state\":\"open\",\"draft\":false,\"title\":\"t\",\"updated_at\":"
        "\"2023-11-14T22:13:20Z\",\"mergeable\":true,\"labels\":[],\"user\":{\"id\":2,\"login\":\"ann\"},"
        "\"head\":{\"sha\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"ref\":\"topic\"%s},"
        "\"base\":{\"ref\":\"main\",\"repo\":{\"id\":5}}}",
        head_repo);
}

static const char *answered; /* what is in the reply's head */

static enum err_code answer(const struct http_request *request, struct http_reply *reply, struct err *err)
{
    (void)request, (void)err;
    reply->status = 200;
    add_pull(&reply->body, answered);
    return ERR_OK;
}

static void test_read(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    f.fake.answer = answer;
    github_use(f.worker.github, "octo/repo", 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct snapshot snapshot;
        struct err err = {0};
        answered = rows[i].head_repo;
        check_int(rows[i].row, "code",
                  github_get_pull(f.worker.github, 7, config_policy(f.config, "octo/repo"), &snapshot, &err),
                  ERR_OK);
        check_bool(rows[i].row, "same", snapshot.same_repo, rows[i].same);
    }
    fixture_close(&f);
}

static void test_webhook(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct event event;
        struct err err = {0};
        struct buf body;
        buf_init(&body);
        buf_adds(&body,
                 "{\"action\":\"opened\",\"number\":7,\"repository\":{\"id\":5,\"full_name\":\"octo/repo\"},"
                 "\"sender\":{\"id\":2,\"login\":\"ann\"},\"pull_request\":");
        add_pull(&body, rows[i].head_repo);
        buf_addc(&body, '}');
        if (event_parse(&event, "pull_request", body.data, body.len, f.config, &err) != ERR_OK)
            fail_msg("%s: %s", rows[i].row, err.text);
        check_bool(rows[i].row, "same", event.pr.same_repo, rows[i].same);
        buf_release(&body);
    }
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_webhook),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
