/*
 * The web edge without a web server: status codes, bodies, routing, and that nothing refused is stored.
 */
#include "check.h"

#include <stdlib.h>

#include "door.h"
#include "fixture.h"
#include "prgate/signature.h"
#include "routes.h"
#include "web.h"

static const char payload[] =
    "{\"action\":\"opened\",\"number\":7,\"pull_request\":{\"number\":7,\"state\":\"open\",\"draft\":false,"
    "\"title\":\"<script>alert(1)</script>\",\"updated_at\":\"2024-01-31T12:00:00Z\",\"mergeable\":null,"
    "\"user\":{\"id\":2,\"login\":\"ann\"},\"labels\":[],"
    "\"head\":{\"sha\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"ref\":\"topic\"},\"base\":{\"ref\":"
    "\"main\"}},"
    "\"repository\":{\"id\":5,\"full_name\":\"octo/repo\"},\"sender\":{\"id\":3,\"login\":\"tim\"}}";

/* A body that comes in pieces of at most `step` bytes and may end early. */
struct source {
    const char *at;
    size_t left;
    size_t step;
};

static size_t read_source(void *arg, void *to, size_t len)
{
    struct source *source = arg;
    size_t take = len < source->step ? len : source->step;
    take = take < source->left ? take : source->left;
    memcpy(to, source->at, take);
    source->at += take;
    source->left -= take;
    return take;
}

struct post {
    const char *name;
    int status;
    const char *says;
    const char *body, *length, *type, *event, *delivery, *signature, *secret;
    size_t sent; /* 0: all of the body */
};

static void post(struct fixture *f, const struct post *row, struct reply *reply)
{
    const char *body = row->body == NULL ? payload : row->body;
    struct source source = {.at = body, .left = row->sent != 0 ? row->sent : strlen(body), .step = 7};
    char length[32], signature[SIGNATURE_SIZE];
    char secret_text[32];
    snprintf(secret_text, sizeof secret_text, "%s", row->secret == NULL ? "hush" : row->secret);
    struct secret secret = {.bytes = (unsigned char *)secret_text, .len = strlen(secret_text)};
    snprintf(length, sizeof length, "%zu", strlen(body));
    signature_make(&secret, body, strlen(body), signature);
    struct request request = {.method = "POST",
                              .path_info = "/webhook",
                              .content_type = row->type == NULL ? "application/json" : row->type,
                              .content_length = row->length == NULL ? length : row->length,
                              .event = row->event == NULL ? "pull_request" : row->event,
                              .delivery = row->delivery == NULL ? "d-1" : row->delivery,
                              .signature = row->signature == NULL ? signature : row->signature,
                              .read = read_source,
                              .source = &source};
    reply_init(reply);
    routes_answer(&f->gate, &request, false, reply);
}

static void test_what_is_refused_is_told_why_and_not_stored(void **state)
{
    (void)state;
    static const struct post rows[] = {
        {.name = "media type", .status = 415, .says = "application/json", .type = "text/plain"},
        {.name = "form",
         .status = 415,
         .says = "application/json",
         .type = "application/x-www-form-urlencoded"},
        {.name = "no length", .status = 411, .says = "Content-Length", .length = ""},
        {.name = "odd length", .status = 400, .says = "Content-Length", .length = "12x"},
        {.name = "negative length", .status = 400, .says = "Content-Length", .length = "-1"},
        {.name = "over 25 MiB", .status = 413, .says = "25 MiB", .length = "26214401"},
        {.name = "huge length", .status = 413, .says = "25 MiB", .length = "99999999999999999999999"},
        {.name = "short body", .status = 400, .says = "shorter", .sent = 20},
        {.name = "empty signature", .status = 401, .says = "sha256=", .signature = ""},
        {.name = "SHA-1",
         .status = 401,
         .says = "sha256",
         .signature = "sha1=0123456789012345678901234567890123456789"},
        {.name = "wrong secret", .status = 401, .says = "match", .secret = "guess"},
        {.name = "no delivery", .status = 400, .says = "X-GitHub-Delivery", .delivery = ""},
        {.name = "odd delivery", .status = 400, .says = "X-GitHub-Delivery", .delivery = "a b\r\n"},
        {.name = "no event", .status = 400, .says = "X-GitHub-Event", .event = ""},
        {.name = "not JSON", .status = 400, .says = "", .body = "nonsense"},
        {.name = "ping", .status = 200, .says = "pong", .event = "ping", .body = "{}"},
        {.name = "another event", .status = 200, .says = "no concern", .event = "push", .body = "{}"},
    };
    struct fixture f;
    fixture_open(&f, "");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct reply reply;
        post(&f, &rows[i], &reply);
        check_int(rows[i].name, "status", reply.status, rows[i].status);
        check_contains(rows[i].name, "body", buf_text(&reply.body), rows[i].says);
        check_contains(rows[i].name, "body", buf_text(&reply.body), "\"status\":");
        check_bool(rows[i].name, "has work", reply.has_work, false);
        reply_release(&reply);
    }
    assert_int_equal(count_table(&f, TABLE_INBOX), 0);
    assert_int_equal(count_table(&f, TABLE_PR), 0);
    assert_int_equal(count_table(&f, TABLE_SEEN), 0);
    assert_int_equal(metrics_get(f.gate.metrics, METRIC_IGNORED), 2);
    assert_int_equal(metrics_get(f.gate.metrics, METRIC_UNSIGNED), 3);
    fixture_close(&f);
}

static void test_good_one_is_taken_once(void **state)
{
    (void)state;
    struct fixture f;
    struct reply reply;
    fixture_open(&f, "");
    post(&f, &(struct post){.type = "Application/JSON; charset=utf-8"}, &reply);
    assert_int_equal(reply.status, 202);
    assert_string_equal(buf_text(&reply.body), "{\"status\":\"taken\",\"delivery\":\"d-1\","
                                               "\"repository\":\"octo/repo\",\"pull_request\":7}\n");
    reply_release(&reply);
    post(&f, &(struct post){0}, &reply);
    assert_int_equal(reply.status, 200);
    check_contains("again", "body", buf_text(&reply.body), "duplicate");
    reply_release(&reply);
    assert_int_equal(count_table(&f, TABLE_INBOX), 1);
    fixture_close(&f);
}

static void get(struct fixture *f, const struct request *request, struct reply *reply)
{
    reply_init(reply);
    routes_answer(&f->gate, request, false, reply);
}

static void test_paths_lead_where_they_should(void **state)
{
    (void)state;
    static const struct {
        const char *name, *method, *script, *path;
        int status;
        const char *type;
    } rows[] = {
        {"health", "GET", "", "/healthz", 200, "application/json"},
        {"health as JSON", "GET", NULL, "/healthz.json", 200, "application/json"},
        {"all in SCRIPT_NAME", "GET", "/healthz", NULL, 200, "application/json"},
        {"split", "GET", "/status", "/octo/repo/7.json", 200, "application/json"},
        {"below a prefix", "GET", "/cgi-bin/prgate.fcgi", "/status/octo/repo/7", 200,
         "text/html; charset=utf-8"},
        {"metrics", "GET", "", "/metrics", 200, "text/plain; version=0.0.4; charset=utf-8"},
        {"metrics as JSON", "GET", "", "/metrics.json", 200, "application/json"},
        {"overview", "GET", "", "/status", 200, "text/html; charset=utf-8"},
        {"other case of a name", "GET", "", "/status/Octo/REPO/7.json", 200, "application/json"},
        {"unknown pull request", "GET", "", "/status/octo/repo/8", 404, "application/json"},
        {"no number", "GET", "", "/status/octo/repo", 404, "application/json"},
        {"path tricks", "GET", "", "/status/../../7", 404, "application/json"},
        {"unknown", "GET", "", "/", 404, "application/json"},
        {"longer than a route", "GET", "", "/healthzz", 404, "application/json"},
        {"webhook as JSON", "POST", "", "/webhook.json", 404, "application/json"},
        {"wrong method", "GET", "", "/webhook", 405, "application/json"},
        {"wrong method on a page", "POST", "", "/status", 405, "application/json"},
    };
    struct fixture f;
    struct reply reply;
    fixture_open(&f, "");
    struct event event = make_event(EVENT_OPENED, "d1");
    put_event(&f, &event, false);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct request request = {
            .method = rows[i].method, .script_name = rows[i].script, .path_info = rows[i].path};
        get(&f, &request, &reply);
        check_int(rows[i].name, "status", reply.status, rows[i].status);
        check_str(rows[i].name, "type", reply.content_type, rows[i].type);
        check_bool(rows[i].name, "Allow", reply.allow != NULL, rows[i].status == 405);
        assert_true(reply.body.len > 0);
        reply_release(&reply);
    }
    struct request head = {.method = "HEAD", .path_info = "/status"};
    get(&f, &head, &reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body.len, 0);
    reply_release(&reply);
    fixture_close(&f);
}

static void test_hostile_title_is_escaped(void **state)
{
    (void)state;
    struct fixture f;
    struct reply reply;
    struct buf header;
    fixture_open(&f, "");
    struct event event = make_event(EVENT_OPENED, "d1");
    put_event(&f, &event, false);
    struct record record = get_record(&f);
    strcpy(record.view.title, "<script>alert(1)</script>\"'&");
    strcpy(record.view.author.login, "<b>");
    put_record(&f, &record);
    struct request request = {.method = "GET", .path_info = "/status"};
    get(&f, &request, &reply);
    assert_null(strstr(buf_text(&reply.body), "<script"));
    assert_null(strstr(buf_text(&reply.body), "<b>"));
    check_contains("page", "title", buf_text(&reply.body), "&lt;script&gt;");
    buf_init(&header);
    reply_head(&reply, &header);
    check_contains("page", "header", buf_text(&header), "Content-Security-Policy: default-src 'none'");
    check_contains("page", "header", buf_text(&header), "Status: 200 OK\r\n");
    buf_release(&header);
    reply_release(&reply);
    record_release(&record);
    fixture_close(&f);
}

static void test_waiting_is_counted(void **state)
{
    (void)state;
    struct fixture f;
    struct reply reply;
    fixture_open(&f, "");
    struct event first = make_event(EVENT_OPENED, "d1"), second = make_event(EVENT_EDITED, "d2");
    put_event(&f, &first, false);
    put_event(&f, &second, false);
    struct request request = {.method = "GET", .path_info = "/healthz"};
    get(&f, &request, &reply);
    assert_string_equal(buf_text(&reply.body),
                        "{\"status\":\"ok\",\"waiting\":2,\"deliveries\":2,\"intents\":0}\n");
    reply_release(&reply);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_refused_is_told_why_and_not_stored),
        cmocka_unit_test(test_good_one_is_taken_once),
        cmocka_unit_test(test_paths_lead_where_they_should),
        cmocka_unit_test(test_hostile_title_is_escaped),
        cmocka_unit_test(test_waiting_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
