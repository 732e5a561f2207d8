/*
 * Every row is a small script: what to call, which requests are to go out one after
 * another with which replies coming back, and what is to come of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/github.h"
#include "prgate/log.h"
#include "prgate/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define API "https://ghe.example/api/v3"
#define REPO "/repos/flutter/flutter"
#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LABEL "CI/CD \"go\" \xf0\x9f\x9a\x80"
#define LABEL_JSON "CI/CD \\\"go\\\" \xf0\x9f\x9a\x80"
#define LABEL_URL "CI%2FCD%20%22go%22%20%F0%9F%9A%80"

enum { STEPS_MAX = 6, INSTALLATION = 77, APP_ID = 12345, PINNED_ID = 99 };
static const int64_t start_ms = 1700000000123; /* 2023-11-14T22:13:20.123Z */

/* ---- the world around a handle ---- */

struct step {
    const char *method;
    const char *url;  /* from "/" on: behind API; else whole */
    const char *body; /* JSON; NULL: none */
    const char *auth; /* NULL: the credentials' usual one; "jwt": a JSON Web Token */
    bool once;

    enum err_code fails; /* ERR_OK: a reply comes */
    int status;
    const char *reply;
    const char *next;
    int64_t retry_after_s; /* 0: not sent */
    int64_t rate_reset;    /* 0: not sent */
    bool spent;            /* x-ratelimit-remaining: 0 */
};

struct fake {
    struct http http; /* first */
    const char *name; /* the row's */
    const struct step *steps;
    size_t count;
    size_t done;
    const char *usual_auth;
};

/* The pool's store of tokens. */
struct shared {
    char token[GITHUB_TOKEN_SIZE]; /* "" = none */
    int64_t expires_at;
    bool lease;
    bool broken;
    bool crossed;       /* another process puts "ghs_other" just before we get the lease */
    int64_t appears_ms; /* at this time another process has put "ghs_other"; 0: never */
    int gets;
    int puts;
    int leases;
};

struct calls {
    int count;
    int dry;
    struct github_call last;
    char url[512];
};

struct world {
    struct fake fake;
    struct shared shared;
    struct calls calls;
    struct config config;
    struct policy policy;
    struct github_tokens tokens;
    struct github *github;
    struct err err;
};

static int64_t fake_now_ms = 0;

static int64_t now_ms(void)
{
    return fake_now_ms;
}

static void sleep_ms(int ms)
{
    fake_now_ms += ms;
}

static const struct github_clock fake_clock = {now_ms, sleep_ms};

static bool same_json(const char *a, const char *b)
{
    cJSON *json_a = cJSON_Parse(a);
    cJSON *json_b = cJSON_Parse(b);
    bool same = json_a != NULL && json_b != NULL && cJSON_Compare(json_a, json_b, true);
    cJSON_Delete(json_a);
    cJSON_Delete(json_b);
    return same;
}

static bool has_header(const struct http_request *request, const char *want)
{
    for (size_t i = 0; i < HTTP_HEADERS_MAX && request->headers[i] != NULL; i++)
        if (strncmp(request->headers[i], want, strlen(want)) == 0)
            return true;
    return false;
}

static void check_headers(const struct fake *fake, const struct step *step,
                          const struct http_request *request)
{
    static const char *const always[] = {"Accept: application/vnd.github+json",
                                         "X-GitHub-Api-Version: 2022-11-28", "User-Agent: prgate/"};
    char auth[GITHUB_TOKEN_SIZE + 64];
    for (size_t i = 0; i < COUNT(always); i++)
        if (!has_header(request, always[i]))
            fail_msg("%s: request %zu: got no header \"%s\"", fake->name, fake->done, always[i]);
    const char *want = step->auth == NULL ? fake->usual_auth : step->auth;
    snprintf(auth, sizeof auth, "Authorization: Bearer %s", strcmp(want, "jwt") == 0 ? "eyJ" : want);
    if (!has_header(request, auth))
        fail_msg("%s: request %zu: got no header \"%s\"", fake->name, fake->done, auth);
    if (has_header(request, "Content-Type: application/json") != (step->body != NULL))
        fail_msg("%s: request %zu: got a Content-Type that does not fit", fake->name, fake->done);
}

static void check_request(const struct fake *fake, const struct step *step,
                          const struct http_request *request)
{
    char url[512];
    snprintf(url, sizeof url, "%s%s", step->url[0] == '/' ? API : "", step->url);
    if (strcmp(request->method, step->method) != 0 || strcmp(request->url, url) != 0)
        fail_msg("%s: request %zu: got %s %s, want %s %s", fake->name, fake->done, request->method,
                 request->url, step->method, url);
    bool body_fits = step->body == NULL ? request->body == NULL
                                        : request->body != NULL && same_json(request->body, step->body);
    if (!body_fits)
        fail_msg("%s: request %zu: got body %s, want %s", fake->name, fake->done,
                 request->body == NULL ? "none" : request->body, step->body == NULL ? "none" : step->body);
    if (request->body != NULL && request->body_len != strlen(request->body))
        fail_msg("%s: request %zu: got length %zu, want %zu", fake->name, fake->done, request->body_len,
                 strlen(request->body));
    if (request->once != step->once)
        fail_msg("%s: request %zu: got once %d, want %d", fake->name, fake->done, request->once, step->once);
    check_headers(fake, step, request);
}

static enum err_code fake_perform(struct http *http, const struct http_request *request,
                                  struct http_reply *reply, struct err *err)
{
    struct fake *fake = (struct fake *)http;
    if (fake->done >= fake->count)
        fail_msg("%s: got request %s %s, want none any more", fake->name, request->method, request->url);
    const struct step *step = &fake->steps[fake->done];
    check_request(fake, step, request);
    fake->done++;
    http_reply_clear(reply);
    reply->duration_ms = 5;
    if (step->fails != ERR_OK)
        return err_set(err, step->fails, 0, "the wire broke");
    reply->status = step->status;
    buf_adds(&reply->body, step->reply == NULL ? "" : step->reply);
    text_copy(reply->next_url, sizeof reply->next_url, step->next == NULL ? "" : step->next);
    reply->retry_after_s = step->retry_after_s == 0 ? -1 : step->retry_after_s;
    reply->rate_reset = step->rate_reset == 0 ? -1 : step->rate_reset;
    reply->rate_remaining = step->spent ? 0 : 4999;
    return ERR_OK;
}

static enum err_code tokens_get(void *arg, uint64_t installation, char token[GITHUB_TOKEN_SIZE],
                                int64_t *expires_at, struct err *err)
{
    struct shared *shared = arg;
    shared->gets++;
    if (shared->broken)
        return err_set(err, ERR_FATAL, 5, "the store is gone");
    if (shared->appears_ms != 0 && fake_now_ms >= shared->appears_ms) {
        text_copy(shared->token, sizeof shared->token, "ghs_other");
        shared->expires_at = fake_now_ms / 1000 + 3600;
    }
    if (shared->token[0] == '\0' || installation != INSTALLATION)
        return err_set(err, ERR_NOT_FOUND, 0, "no token");
    text_copy(token, GITHUB_TOKEN_SIZE, shared->token);
    *expires_at = shared->expires_at;
    return ERR_OK;
}

static enum err_code tokens_put(void *arg, uint64_t installation, const char *token, int64_t expires_at,
                                struct err *err)
{
    struct shared *shared = arg;
    shared->puts++;
    if (shared->broken || installation != INSTALLATION)
        return err_set(err, ERR_FATAL, 5, "the store is gone");
    text_copy(shared->token, sizeof shared->token, token);
    shared->expires_at = expires_at;
    return ERR_OK;
}

static bool tokens_lease(void *arg, uint64_t installation)
{
    struct shared *shared = arg;
    (void)installation;
    shared->leases++;
    if (shared->crossed) {
        text_copy(shared->token, sizeof shared->token, "ghs_other");
        shared->expires_at = fake_now_ms / 1000 + 3600;
    }
    return shared->lease;
}

static void on_call(void *arg, const struct github_call *call)
{
    struct calls *calls = arg;
    calls->count++;
    calls->dry += call->dry_run ? 1 : 0;
    calls->last = *call;
    text_copy_cut(calls->url, sizeof calls->url, call->url);
}

static char api_url[] = API;
static char token[] = "ghp_token";
static char label[] = LABEL;
static char *key_pem;

static void world_open(struct world *world, enum credentials as)
{
    *world = (struct world){
        .fake = {.http.perform = fake_perform, .usual_auth = as == CREDENTIALS_APP ? "ghs_shared" : token},
        .shared = {.token = "ghs_shared", .expires_at = start_ms / 1000 + 3000, .lease = true},
        .config = {.api_url = api_url},
        .policy = {.label = label},
        .tokens = {.arg = &world->shared, .get = tokens_get, .put = tokens_put, .lease = tokens_lease},
    };
    fake_now_ms = start_ms;
    world->config.app_id = as == CREDENTIALS_APP ? APP_ID : 0;
    world->config.app_key_pem = as == CREDENTIALS_APP ? key_pem : NULL;
    world->config.token = as == CREDENTIALS_TOKEN ? token : NULL;
    assert_int_equal(
        github_open(&world->github, &world->config, &world->fake.http, &world->tokens, &world->err), ERR_OK);
    github_set_clock(world->github, &fake_clock);
    github_on_call(world->github, on_call, &world->calls);
    github_use(world->github, "flutter/flutter", INSTALLATION);
}

static void world_script(struct world *world, const char *name, const struct step *steps)
{
    world->fake.name = name;
    world->fake.steps = steps;
    world->fake.done = 0;
    world->fake.count = 0;
    while (world->fake.count < STEPS_MAX && steps[world->fake.count].method != NULL)
        world->fake.count++;
}

static void want_number(const char *name, const char *what, int64_t got, int64_t want)
{
    if (got != want)
        fail_msg("%s: %s: got %lld, want %lld", name, what, (long long)got, (long long)want);
}

static void want_code(const char *name, enum err_code got, enum err_code want, const struct err *err)
{
    if (got != want)
        fail_msg("%s: got %s (%s), want %s", name, err_code_name(got), err->text, err_code_name(want));
    if (want != ERR_OK && err->code != want)
        fail_msg("%s: got %s returned and %s in err", name, err_code_name(got), err_code_name(err->code));
}

static void want_part(const char *name, const char *got, const char *want)
{
    if (strstr(got, want) == NULL)
        fail_msg("%s: got \"%s\", want something with \"%s\"", name, got, want);
}

/* ---- rows ---- */

struct row {
    const char *name;
    enum credentials as; /* NONE stands for TOKEN here: most rows do not care */
    enum err_code (*act)(struct world *world, int64_t *value);
    struct step steps[STEPS_MAX];
    enum err_code want;
    const char *want_text; /* in err.text */
    int want_number;       /* err.number */
    int64_t want_retry_at; /* err.retry_at_ms */
    int64_t want_value;
    bool pinned;
};

static void run_row(const struct row *row)
{
    struct world world;
    int64_t value = -1;
    world_open(&world, row->as == CREDENTIALS_NONE ? CREDENTIALS_TOKEN : row->as);
    world.policy.label_id = row->pinned ? PINNED_ID : 0;
    world_script(&world, row->name, row->steps);
    want_code(row->name, row->act(&world, &value), row->want, &world.err);
    want_number(row->name, "requests", (int64_t)world.fake.done, (int64_t)world.fake.count);
    want_number(row->name, "calls reported", world.calls.count, (int64_t)world.fake.count);
    if (row->want == ERR_OK) {
        want_number(row->name, "value", value, row->want_value);
    } else {
        want_number(row->name, "err.number", world.err.number, row->want_number);
        want_number(row->name, "err.retry_at_ms", world.err.retry_at_ms, row->want_retry_at);
        want_part(row->name, world.err.text, row->want_text == NULL ? "" : row->want_text);
    }
    github_close(world.github);
}

static void run_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        run_row(&rows[i]);
}

/* ---- the pull request ---- */

static enum err_code act_pull(struct world *world, int64_t *value)
{
    struct snapshot snapshot;
    enum err_code code = github_get_pull(world->github, 42, &world->policy, &snapshot, &world->err);
    if (code == ERR_OK)
        *value = (snapshot.labelled ? 1 : 0) + (snapshot.draft ? 2 : 0) + (snapshot.closed ? 4 : 0) +
                 (snapshot.mergeable == MERGEABLE_YES ? 8 : 0) +
                 (snapshot.mergeable == MERGEABLE_NO ? 16 : 0);
    return code;
}

#define PULL_1                                                                                               \
    "{\"number\":42,\"state\":\"open\",\"title\":\"Fix it\",\"updated_at\":\"2023-11-14T22:13:20Z\","
#define PULL_2 "\"draft\":false,\"user\":{\"id\":5000000000,\"login\":\"dependabot[bot]\",\"type\":\"Bot\"},"
#define PULL_3 "\"head\":{\"sha\":\"" SHA_A "\",\"ref\":\"fix\",\"repo\":null},\"base\":{\"ref\":\"main\"}"
#define PULL_URL "GET", REPO "/pulls/42"
#define PULL(more)                                                                                           \
    .method = "GET", .url = REPO "/pulls/42", .status = 200, .reply = PULL_1 PULL_2 PULL_3 more "}"

static void test_pull_rows(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {.name = "mergeable null",
         .act = act_pull,
         .steps = {{PULL(",\"labels\":[],\"mergeable\":null")}},
         .want_value = 0},
        {.name = "mergeable absent", .act = act_pull, .steps = {{PULL(",\"labels\":[]")}}, .want_value = 0},
        {.name = "mergeable",
         .act = act_pull,
         .steps = {{PULL(",\"labels\":[],\"mergeable\":true")}},
         .want_value = 8},
        {.name = "conflict",
         .act = act_pull,
         .steps = {{PULL(",\"labels\":[],\"mergeable\":false")}},
         .want_value = 16},
        {.name = "labelled",
         .act = act_pull,
         .steps = {{PULL(",\"labels\":[{\"id\":1,\"name\":\"x\"},{\"id\":2,\"name\":\"" LABEL_JSON
                         "\"},{\"id\":3,\"name\":\"y\"}]")}},
         .want_value = 1},
        {.name = "label of another case",
         .act = act_pull,
         .steps = {{PULL(",\"labels\":[{\"id\":2,\"name\":\"ci/cd \\\"GO\\\" \xf0\x9f\x9a\x80\"}]")}},
         .want_value = 1},
        {.name = "pinned label",
         .act = act_pull,
         .pinned = true,
         .steps = {{PULL(",\"labels\":[{\"id\":99,\"name\":\"" LABEL_JSON "\"}]")}},
         .want_value = 1},
        {.name = "label that is not the pinned one",
         .act = act_pull,
         .pinned = true,
         .steps = {{PULL(",\"labels\":[{\"id\":98,\"name\":\"" LABEL_JSON "\"}]")}},
         .want_value = 0},
        {.name = "draft and closed",
         .act = act_pull,
         .steps = {{PULL_URL, .status = 200,
                    .reply = "{\"state\":\"closed\",\"title\":\"\",\"updated_at\":\"2023-11-14T22:13:20Z\","
                             "\"draft\":true,\"user\":null," PULL_3 ",\"labels\":[]}"}},
         .want_value = 6},
        {.name = "no head",
         .act = act_pull,
         .steps = {{PULL_URL, .status = 200,
                    .reply = PULL_1 PULL_2 "\"base\":{\"ref\":\"main\"},\"labels\":[]}"}},
         .want = ERR_REJECT,
         .want_text = "GitHub's reply to GET " REPO "/pulls/42: no head.sha"},
        {.name = "head is text",
         .act = act_pull,
         .steps = {{PULL_URL, .status = 200, .reply = PULL_1 PULL_2 "\"head\":\"x\",\"labels\":[]}"}},
         .want = ERR_REJECT,
         .want_text = "no head.sha"},
        {.name = "short SHA",
         .act = act_pull,
         .steps = {{PULL_URL, .status = 200,
                    .reply = PULL_1 PULL_2 "\"head\":{\"sha\":\"abc\",\"ref\":\"a\"},\"labels\":[]}"}},
         .want = ERR_REJECT,
         .want_text = "no head.sha"},
        {.name = "odd ref",
         .act = act_pull,
         .steps = {{PULL_URL, .status = 200,
                    .reply =
                        PULL_1 PULL_2 "\"head\":{\"sha\":\"" SHA_A "\",\"ref\":\"a..b\"},\"labels\":[]}"}},
         .want = ERR_REJECT,
         .want_text = "head.ref"},
        {.name = "no base",
         .act = act_pull,
         .steps = {{PULL_URL, .status = 200,
                    .reply = PULL_1 PULL_2 "\"head\":{\"sha\":\"" SHA_A "\",\"ref\":\"a\"},\"labels\":[]}"}},
         .want = ERR_REJECT,
         .want_text = "base.ref"},
        {.name = "no title",
         .act = act_pull,
         .steps = {{PULL_URL, .status = 200, .reply = "{\"title\":7," PULL_3 "}"}},
         .want = ERR_REJECT,
         .want_text = "no title"},
        {.name = "odd user",
         .act = act_pull,
         .steps = {{PULL_URL, .status = 200,
                    .reply = PULL_1 "\"draft\":false,\"user\":{\"id\":1.5,\"login\":\"a\"}," PULL_3
                                    ",\"labels\":[]}"}},
         .want = ERR_REJECT,
         .want_text = "user"},
        {.name = "odd time",
         .act = act_pull,
         .steps = {{PULL_URL, .status = 200,
                    .reply = "{\"state\":\"open\",\"title\":\"\",\"updated_at\":\"today\",\"draft\":true,"
                             "\"user\":null," PULL_3 ",\"labels\":[]}"}},
         .want = ERR_REJECT,
         .want_text = "updated_at"},
        {.name = "no labels",
         .act = act_pull,
         .steps = {{PULL("")}},
         .want = ERR_REJECT,
         .want_text = "no labels"},
        {.name = "odd label",
         .act = act_pull,
         .steps = {{PULL(",\"labels\":[{\"id\":1}]")}},
         .want = ERR_REJECT,
         .want_text = "no labels"},
        {.name = "a list",
         .act = act_pull,
         .steps = {{PULL_URL, .status = 200, .reply = "[]"}},
         .want = ERR_REJECT,
         .want_text = "no head.sha"},
        {.name = "no JSON",
         .act = act_pull,
         .steps = {{PULL_URL, .status = 200, .reply = "<html>"}},
         .want = ERR_REJECT,
         .want_text = "not JSON"},
        {.name = "no UTF-8",
         .act = act_pull,
         .steps = {{PULL(",\"body\":\"\x9d\"")}},
         .want = ERR_REJECT,
         .want_text = "not JSON"},
        {.name = "empty",
         .act = act_pull,
         .steps = {{PULL_URL, .status = 200}},
         .want = ERR_REJECT,
         .want_text = "not JSON"},
        {.name = "gone",
         .act = act_pull,
         .steps = {{PULL_URL, .status = 404, .reply = "{\"message\":\"Not Found\"}"}},
         .want = ERR_NOT_FOUND,
         .want_number = 404,
         .want_text = "GET " REPO "/pulls/42: HTTP 404: Not Found"},
    };
    run_rows(rows, COUNT(rows));
}

static void test_pull_whole(void **state)
{
    (void)state;
    static const struct step steps[STEPS_MAX] = {{PULL(",\"labels\":[],\"mergeable\":true")}};
    struct world world;
    struct snapshot got;
    world_open(&world, CREDENTIALS_APP);
    world_script(&world, "whole", steps);
    want_code("whole", github_get_pull(world.github, 42, &world.policy, &got, &world.err), ERR_OK,
              &world.err);
    assert_int_equal(got.updated_at, 1700000000);
    assert_string_equal(got.head.hex, SHA_A);
    assert_string_equal(got.head_ref, "fix");
    assert_string_equal(got.base_ref, "main");
    assert_string_equal(got.title, "Fix it");
    assert_string_equal(got.author.login, "dependabot[bot]");
    assert_true(got.author.id == 5000000000 && got.author.bot);
    assert_int_equal(world.calls.last.status, 200);
    assert_int_equal(world.calls.last.duration_ms, 5);
    assert_int_equal(world.calls.last.rate_remaining, 4999);
    assert_string_equal(world.calls.url, API REPO "/pulls/42");
    github_close(world.github);
}

/* ---- what a status means; on a reading and on a writing call ---- */

static enum err_code act_dispatch(struct world *world, int64_t *value)
{
    *value = 0;
    return github_repository_dispatch(world->github, "prgate-ci", "{\"key\":\"k\"}", &world->err);
}

#define DISPATCH                                                                                             \
    .method = "POST", .url = REPO "/dispatches",                                                             \
    .body = "{\"event_type\":\"prgate-ci\",\"client_payload\":{\"key\":\"k\"}}", .once = true
#define GET_PULL .method = "GET", .url = REPO "/pulls/42"

static void test_statuses(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {.name = "dispatch", .act = act_dispatch, .steps = {{DISPATCH, .status = 204}}, .want_value = 0},
        {.name = "not sent",
         .act = act_dispatch,
         .steps = {{DISPATCH, .fails = ERR_RETRY}},
         .want = ERR_RETRY,
         .want_text = "POST " REPO "/dispatches: the wire broke"},
        {.name = "nobody knows",
         .act = act_dispatch,
         .steps = {{DISPATCH, .fails = ERR_UNKNOWN}},
         .want = ERR_UNKNOWN,
         .want_text = "the wire broke"},
        {.name = "too large",
         .act = act_dispatch,
         .steps = {{DISPATCH, .fails = ERR_REJECT}},
         .want = ERR_REJECT},
        {.name = "500",
         .act = act_dispatch,
         .steps = {{DISPATCH, .status = 500}},
         .want = ERR_UNKNOWN,
         .want_number = 500},
        {.name = "502",
         .act = act_dispatch,
         .steps = {{DISPATCH, .status = 502, .reply = "<html>"}},
         .want = ERR_UNKNOWN,
         .want_number = 502},
        {.name = "504",
         .act = act_dispatch,
         .steps = {{DISPATCH, .status = 504}},
         .want = ERR_UNKNOWN,
         .want_number = 504},
        {.name = "503",
         .act = act_dispatch,
         .steps = {{DISPATCH, .status = 503}},
         .want = ERR_RETRY,
         .want_number = 503},
        {.name = "503 with Retry-After",
         .act = act_dispatch,
         .steps = {{DISPATCH, .status = 503, .retry_after_s = 7}},
         .want = ERR_RETRY,
         .want_number = 503,
         .want_retry_at = start_ms + 7000},
        {.name = "408",
         .act = act_dispatch,
         .steps = {{DISPATCH, .status = 408}},
         .want = ERR_RETRY,
         .want_number = 408},
        {.name = "404",
         .act = act_dispatch,
         .steps = {{DISPATCH, .status = 404}},
         .want = ERR_NOT_FOUND,
         .want_number = 404},
        {.name = "410",
         .act = act_dispatch,
         .steps = {{DISPATCH, .status = 410}},
         .want = ERR_NOT_FOUND,
         .want_number = 410},
        {.name = "redirect",
         .act = act_dispatch,
         .steps = {{DISPATCH, .status = 307, .reply = "{\"message\":\"Moved\"}"}},
         .want = ERR_REJECT,
         .want_number = 307,
         .want_text = "HTTP 307: Moved"},
        {.name = "422",
         .act = act_dispatch,
         .steps = {{DISPATCH, .status = 422,
                    .reply = "{\"message\":\"Validation Failed\",\"errors\":[{\"code\":\"custom\"}]}"}},
         .want = ERR_REJECT,
         .want_number = 422,
         .want_text = "HTTP 422: Validation Failed: [{\"code\":\"custom\"}]"},
        {.name = "403",
         .act = act_dispatch,
         .steps = {{DISPATCH, .status = 403,
                    .reply = "{\"message\":\"Resource not accessible by integration\"}"}},
         .want = ERR_REJECT,
         .want_number = 403,
         .want_text = "Resource not accessible"},
        {.name = "bad credentials",
         .act = act_dispatch,
         .steps = {{DISPATCH, .status = 401, .reply = "{\"message\":\"Bad credentials\"}"}},
         .want = ERR_REJECT,
         .want_number = 401,
         .want_text = "bad credentials"},
        {.name = "reading: not sent",
         .act = act_pull,
         .steps = {{GET_PULL, .fails = ERR_RETRY}},
         .want = ERR_RETRY},
        {.name = "reading: nobody knows",
         .act = act_pull,
         .steps = {{GET_PULL, .fails = ERR_UNKNOWN}},
         .want = ERR_RETRY,
         .want_text = "the wire broke"},
        {.name = "reading: 500",
         .act = act_pull,
         .steps = {{GET_PULL, .status = 500}},
         .want = ERR_RETRY,
         .want_number = 500},
        {.name = "reading: 504",
         .act = act_pull,
         .steps = {{GET_PULL, .status = 504}},
         .want = ERR_RETRY,
         .want_number = 504},
    };
    run_rows(rows, COUNT(rows));
}

static void test_rate_limits(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {.name = "429",
         .act = act_dispatch,
         .steps = {{DISPATCH, .status = 429}},
         .want = ERR_RETRY,
         .want_number = 429,
         .want_retry_at = start_ms + 60000},
        {.name = "429 with Retry-After",
         .act = act_dispatch,
         .steps = {{DISPATCH, .status = 429, .retry_after_s = 30, .spent = true, .rate_reset = 1700000900}},
         .want = ERR_RETRY,
         .want_number = 429,
         .want_retry_at = start_ms + 30000},
        {.name = "403 with Retry-After",
         .act = act_dispatch,
         .steps = {{DISPATCH, .status = 403, .retry_after_s = 90}},
         .want = ERR_RETRY,
         .want_number = 403,
         .want_retry_at = start_ms + 90000},
        {.name = "403, budget spent",
         .act = act_pull,
         .steps = {{GET_PULL, .status = 403, .spent = true, .rate_reset = 1700000900}},
         .want = ERR_RETRY,
         .want_number = 403,
         .want_retry_at = start_ms + 900000},
        {.name = "403, budget spent, no reset",
         .act = act_pull,
         .steps = {{GET_PULL, .status = 403, .spent = true}},
         .want = ERR_RETRY,
         .want_number = 403,
         .want_retry_at = start_ms + 60000},
        {.name = "403, reset gone by",
         .act = act_pull,
         .steps = {{GET_PULL, .status = 403, .spent = true, .rate_reset = 1600000000}},
         .want = ERR_RETRY,
         .want_number = 403,
         .want_retry_at = start_ms + 1000},
        {.name = "403, secondary, budget left",
         .act = act_pull,
         .steps = {{GET_PULL, .status = 403, .rate_reset = 1700003000,
                    .reply = "{\"message\":\"You have exceeded a secondary Rate Limit.\"}"}},
         .want = ERR_RETRY,
         .want_number = 403,
         .want_retry_at = start_ms + 60000,
         .want_text = "secondary"},
        {.name = "403, abuse",
         .act = act_pull,
         .steps = {{GET_PULL, .status = 403,
                    .reply = "{\"message\":\"You have triggered an abuse detection mechanism\"}"}},
         .want = ERR_RETRY,
         .want_number = 403,
         .want_retry_at = start_ms + 60000},
        {.name = "an age",
         .act = act_pull,
         .steps = {{GET_PULL, .status = 429, .retry_after_s = 999999999999}},
         .want = ERR_RETRY,
         .want_number = 429,
         .want_retry_at = start_ms + 3600000},
        {.name = "budget spent, but no 403",
         .act = act_dispatch,
         .steps = {{DISPATCH, .status = 422, .spent = true, .rate_reset = 1700000900}},
         .want = ERR_REJECT,
         .want_number = 422},
    };
    run_rows(rows, COUNT(rows));
}

/* ---- who ---- */

static enum err_code act_whoami_twice(struct world *world, int64_t *value)
{
    struct user me = {0};
    enum err_code code = github_whoami(world->github, &me, &world->err);
    if (code == ERR_OK)
        code = github_whoami(world->github, &me, &world->err); /* answered from memory */
    *value = (int64_t)me.id + (me.bot ? 1000000 : 0) + (int64_t)strlen(me.login);
    return code;
}

static enum err_code act_permission(struct world *world, int64_t *value)
{
    enum permission permission;
    enum err_code code = github_get_permission(world->github, "dependabot[bot]", &permission, &world->err);
    if (code == ERR_OK)
        *value = permission;
    return code;
}

static enum err_code act_app_id(struct world *world, int64_t *value)
{
    uint64_t id;
    enum err_code code = github_get_app_id(world->github, "engine roller[bot]", &id, &world->err);
    if (code == ERR_OK)
        *value = (int64_t)id;
    return code;
}

static enum err_code act_nobodys_app(struct world *world, int64_t *value)
{
    uint64_t id;
    enum err_code code = github_get_app_id(world->github, "ann", &id, &world->err);
    *value = (int64_t)id;
    return code;
}

static enum err_code act_team(struct world *world, int64_t *value)
{
    bool member = false;
    enum err_code code =
        github_is_team_member(world->github, "flutter/flutter-hackers", "a b", &member, &world->err);
    *value = member;
    return code;
}

static enum err_code act_odd_team(struct world *world, int64_t *value)
{
    bool member;
    (void)value;
    return github_is_team_member(world->github, "flutter-hackers", "a", &member, &world->err);
}

#define PERMISSION .method = "GET", .url = REPO "/collaborators/dependabot%5Bbot%5D/permission"
#define APP_BY_SLUG .method = "GET", .url = "/apps/engine%20roller"
#define TEAM .method = "GET", .url = "/orgs/flutter/teams/flutter-hackers/memberships/a%20b"

static void test_people(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {.name = "user",
         .act = act_whoami_twice,
         .steps = {{.method = "GET",
                    .url = "/user",
                    .status = 200,
                    .reply = "{\"login\":\"gate\",\"id\":7,\"type\":\"User\"}"}},
         .want_value = 7 + 4},
        {.name = "machine user",
         .act = act_whoami_twice,
         .steps = {{.method = "GET",
                    .url = "/user",
                    .status = 200,
                    .reply = "{\"login\":\"gate\",\"id\":7,\"type\":\"Bot\"}"}},
         .want_value = 7 + 4 + 1000000},
        {.name = "user without id",
         .act = act_whoami_twice,
         .steps = {{.method = "GET", .url = "/user", .status = 200, .reply = "{\"login\":\"gate\"}"}},
         .want = ERR_REJECT,
         .want_text = "GET /user: no valid login, or no id"},
        {.name = "user whose login is none",
         .act = act_whoami_twice,
         .steps = {{.method = "GET",
                    .url = "/user",
                    .status = 200,
                    .reply = "{\"login\":\"gate\\r\\n\",\"id\":7}"}},
         .want = ERR_REJECT,
         .want_text = "GET /user: no valid login, or no id"},
        {.name = "App whose slug is none",
         .as = CREDENTIALS_APP,
         .act = act_whoami_twice,
         .steps =
             {{.method = "GET", .url = "/app", .auth = "jwt", .status = 200, .reply = "{\"slug\":\"a/b\"}"}},
         .want = ERR_REJECT,
         .want_text = "GET /app: no valid slug"},
        {.name = "App",
         .as = CREDENTIALS_APP,
         .act = act_whoami_twice,
         .steps = {{.method = "GET",
                    .url = "/app",
                    .auth = "jwt",
                    .status = 200,
                    .reply = "{\"slug\":\"prgate\",\"id\":12345}"}},
         .want_value = 11 + 1000000},
        {.name = "App without slug",
         .as = CREDENTIALS_APP,
         .act = act_whoami_twice,
         .steps =
             {{.method = "GET", .url = "/app", .auth = "jwt", .status = 200, .reply = "{\"slug\":\"\"}"}},
         .want = ERR_REJECT,
         .want_text = "GET /app: no valid slug"},
        {.name = "App, JWT refused",
         .as = CREDENTIALS_APP,
         .act = act_whoami_twice,
         .steps = {{.method = "GET",
                    .url = "/app",
                    .auth = "jwt",
                    .status = 401,
                    .reply = "{\"message\":\"A JSON web token could not be decoded\"}"}},
         .want = ERR_REJECT,
         .want_number = 401,
         .want_text = "could not be decoded"},

        {.name = "triage folded into read",
         .act = act_permission,
         .steps = {{PERMISSION, .status = 200,
                    .reply = "{\"permission\":\"read\",\"role_name\":\"triage\"}"}},
         .want_value = PERMISSION_TRIAGE},
        {.name = "maintain folded into write",
         .act = act_permission,
         .steps = {{PERMISSION, .status = 200,
                    .reply = "{\"permission\":\"write\",\"role_name\":\"maintain\"}"}},
         .want_value = PERMISSION_MAINTAIN},
        {.name = "role of one's own",
         .act = act_permission,
         .steps = {{PERMISSION, .status = 200,
                    .reply = "{\"permission\":\"write\",\"role_name\":\"doctor\"}"}},
         .want_value = PERMISSION_WRITE},
        {.name = "role below the permission",
         .act = act_permission,
         .steps = {{PERMISSION, .status = 200, .reply = "{\"permission\":\"admin\",\"role_name\":\"read\"}"}},
         .want_value = PERMISSION_ADMIN},
        {.name = "no role",
         .act = act_permission,
         .steps = {{PERMISSION, .status = 200, .reply = "{\"permission\":\"admin\"}"}},
         .want_value = PERMISSION_ADMIN},
        {.name = "none",
         .act = act_permission,
         .steps = {{PERMISSION, .status = 200, .reply = "{\"permission\":\"none\",\"role_name\":\"\"}"}},
         .want_value = PERMISSION_NONE},
        {.name = "not a collaborator",
         .act = act_permission,
         .steps = {{PERMISSION, .status = 404}},
         .want_value = PERMISSION_NONE},
        {.name = "odd permission",
         .act = act_permission,
         .steps = {{PERMISSION, .status = 200, .reply = "{\"permission\":true}"}},
         .want = ERR_REJECT,
         .want_text = "no permission"},
        {.name = "may not ask",
         .act = act_permission,
         .steps = {{PERMISSION, .status = 403}},
         .want = ERR_REJECT,
         .want_number = 403},
        {.name = "not installed is no answer",
         .as = CREDENTIALS_APP,
         .act = act_permission,
         .steps =
             {{PERMISSION, .status = 401},
              {.method = "POST", .url = "/app/installations/77/access_tokens", .auth = "jwt", .status = 404},
              {.method = "GET", .url = REPO "/installation", .auth = "jwt", .status = 404}},
         .want = ERR_REJECT,
         .want_number = 404,
         .want_text = "not installed"},

        {.name = "member",
         .act = act_team,
         .steps = {{TEAM, .status = 200, .reply = "{\"state\":\"active\",\"role\":\"member\"}"}},
         .want_value = 1},
        {.name = "invited",
         .act = act_team,
         .steps = {{TEAM, .status = 200, .reply = "{\"state\":\"pending\"}"}},
         .want_value = 0},
        {.name = "no member", .act = act_team, .steps = {{TEAM, .status = 404}}, .want_value = 0},
        {.name = "no state",
         .act = act_team,
         .steps = {{TEAM, .status = 200, .reply = "{}"}},
         .want = ERR_REJECT,
         .want_text = "no state"},
        {.name = "unreachable",
         .act = act_team,
         .steps = {{TEAM, .status = 502}},
         .want = ERR_RETRY,
         .want_number = 502},
        {.name = "App",
         .act = act_app_id,
         .steps = {{APP_BY_SLUG, .status = 200, .reply = "{\"id\":2740,\"slug\":\"engine roller\"}"}},
         .want_value = 2740},
        {.name = "no App", .act = act_app_id, .steps = {{APP_BY_SLUG, .status = 404}}, .want_value = 0},
        {.name = "nobody's App", .act = act_nobodys_app, .want_value = 0},
        {.name = "App without a number",
         .act = act_app_id,
         .steps = {{APP_BY_SLUG, .status = 200, .reply = "{\"id\":\"2740\"}"}},
         .want = ERR_REJECT,
         .want_text = "no id"},
        {.name = "odd team", .act = act_odd_team, .want = ERR_REJECT, .want_text = "org/slug"},
    };
    run_rows(rows, COUNT(rows));
}

/* ---- labels ---- */

static enum err_code act_has_label(struct world *world, int64_t *value)
{
    bool has = false;
    enum err_code code = github_has_label(world->github, 42, &world->policy, &has, &world->err);
    *value = has;
    return code;
}

static enum err_code act_add_label(struct world *world, int64_t *value)
{
    *value = 0;
    return github_add_label(world->github, 42, &world->policy, &world->err);
}

static enum err_code act_remove_label(struct world *world, int64_t *value)
{
    *value = 0;
    return github_remove_label(world->github, 42, &world->policy, &world->err);
}

#define LABELS .method = "GET", .url = REPO "/issues/42/labels?per_page=100"
#define PAGE_2 API "/repositories/1/issues/42/labels?per_page=100&page=2"
#define ADD .method = "POST", .url = REPO "/issues/42/labels", .body = "{\"labels\":[\"" LABEL_JSON "\"]}"
#define REMOVE .method = "DELETE", .url = REPO "/issues/42/labels/" LABEL_URL
#define THE_LABEL(id) "{\"id\":" #id ",\"name\":\"" LABEL_JSON "\"}"

static void test_labels(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {.name = "has",
         .act = act_has_label,
         .steps = {{LABELS, .status = 200, .reply = "[{\"id\":1,\"name\":\"x\"}," THE_LABEL(2) "]",
                    .next = PAGE_2}},
         .want_value = 1},
        {.name = "has not",
         .act = act_has_label,
         .steps = {{LABELS, .status = 200, .reply = "[]"}},
         .want_value = 0},
        {.name = "has on page two",
         .act = act_has_label,
         .steps = {{LABELS, .status = 200, .reply = "[{\"name\":\"x\"}]", .next = PAGE_2},
                   {.method = "GET", .url = PAGE_2, .status = 200, .reply = "[" THE_LABEL(2) "]"}},
         .want_value = 1},
        {.name = "page two fails",
         .act = act_has_label,
         .steps = {{LABELS, .status = 200, .reply = "[]", .next = PAGE_2},
                   {.method = "GET", .url = PAGE_2, .status = 500}},
         .want = ERR_RETRY,
         .want_number = 500},
        {.name = "next page elsewhere",
         .act = act_has_label,
         .steps = {{LABELS, .status = 200, .reply = "[]", .next = "https://evil.example/api/v3/x"}},
         .want = ERR_REJECT,
         .want_text = "next page is on another server"},
        {.name = "next page in clear text",
         .act = act_has_label,
         .steps = {{LABELS, .status = 200, .reply = "[]", .next = "http://ghe.example/api/v3/x"}},
         .want = ERR_REJECT,
         .want_text = "another server"},
        {.name = "next page on a longer host",
         .act = act_has_label,
         .steps = {{LABELS, .status = 200, .reply = "[]", .next = "https://ghe.example.evil/"}},
         .want = ERR_REJECT,
         .want_text = "another server"},
        {.name = "next page behind a user",
         .act = act_has_label,
         .steps = {{LABELS, .status = 200, .reply = "[]", .next = "https://ghe.example@evil/"}},
         .want = ERR_REJECT,
         .want_text = "another server"},
        {.name = "next page on a port",
         .act = act_has_label,
         .steps = {{LABELS, .status = 200, .reply = "[]", .next = "https://ghe.example:8443/"}},
         .want = ERR_REJECT,
         .want_text = "another server"},
        {.name = "next page by path only",
         .act = act_has_label,
         .steps = {{LABELS, .status = 200, .reply = "[]", .next = "/api/v3/x"}},
         .want = ERR_REJECT,
         .want_text = "another server"},
        {.name = "host in capitals",
         .act = act_has_label,
         .steps = {{LABELS, .status = 200, .reply = "[]", .next = "HTTPS://GHE.example/x"},
                   {.method = "GET", .url = "HTTPS://GHE.example/x", .status = 200, .reply = "[]"}},
         .want_value = 0},
        {.name = "pinned",
         .act = act_has_label,
         .pinned = true,
         .steps = {{LABELS, .status = 200, .reply = "[" THE_LABEL(99) "]"}},
         .want_value = 1},
        {.name = "not the pinned one",
         .act = act_has_label,
         .pinned = true,
         .steps = {{LABELS, .status = 200, .reply = "[" THE_LABEL(98) "]"}},
         .want_value = 0},
        {.name = "pinned, id not told",
         .act = act_has_label,
         .pinned = true,
         .steps = {{LABELS, .status = 200, .reply = "[{\"name\":\"" LABEL_JSON "\"}]"}},
         .want_value = 0},
        {.name = "no list",
         .act = act_has_label,
         .steps = {{LABELS, .status = 200, .reply = "{}"}},
         .want = ERR_REJECT,
         .want_text = "labels?per_page=100: not a list"},
        {.name = "odd label",
         .act = act_has_label,
         .steps = {{LABELS, .status = 200, .reply = "[\"x\"]"}},
         .want = ERR_REJECT,
         .want_text = "a label without name"},

        {.name = "add",
         .act = act_add_label,
         .steps = {{ADD, .status = 200, .reply = "[{\"id\":1,\"name\":\"x\"}," THE_LABEL(2) "]"}}},
        {.name = "add pinned",
         .act = act_add_label,
         .pinned = true,
         .steps = {{ADD, .status = 200, .reply = "[" THE_LABEL(99) "]"}}},
        {.name = "add, another id",
         .act = act_add_label,
         .pinned = true,
         .steps = {{ADD, .status = 200, .reply = "[" THE_LABEL(98) "]"}},
         .want = ERR_REJECT,
         .want_text = "label_id pins, 99"},
        {.name = "add without effect",
         .act = act_add_label,
         .steps = {{ADD, .status = 200, .reply = "[]"}},
         .want = ERR_REJECT,
         .want_text = "not on the issue"},
        {.name = "add, no list",
         .act = act_add_label,
         .steps = {{ADD, .status = 200, .reply = "{}"}},
         .want = ERR_REJECT,
         .want_text = "not a list"},
        {.name = "add, odd list",
         .act = act_add_label,
         .steps = {{ADD, .status = 200, .reply = "[{}]"}},
         .want = ERR_REJECT,
         .want_text = "without name"},
        {.name = "add, no JSON",
         .act = act_add_label,
         .steps = {{ADD, .status = 200, .reply = "ok"}},
         .want = ERR_REJECT,
         .want_text = "not JSON"},
        {.name = "add, nobody knows",
         .act = act_add_label,
         .steps = {{ADD, .fails = ERR_UNKNOWN}},
         .want = ERR_UNKNOWN},
        {.name = "add to nothing",
         .act = act_add_label,
         .steps = {{ADD, .status = 404}},
         .want = ERR_NOT_FOUND,
         .want_number = 404},

        {.name = "remove", .act = act_remove_label, .steps = {{REMOVE, .status = 200, .reply = "[]"}}},
        {.name = "already gone", .act = act_remove_label, .steps = {{REMOVE, .status = 404}}},
        {.name = "may not remove",
         .act = act_remove_label,
         .steps = {{REMOVE, .status = 403}},
         .want = ERR_REJECT,
         .want_number = 403},
        {.name = "remove, not installed",
         .as = CREDENTIALS_APP,
         .act = act_remove_label,
         .steps =
             {{REMOVE, .status = 401},
              {.method = "POST", .url = "/app/installations/77/access_tokens", .auth = "jwt", .status = 404},
              {.method = "GET", .url = REPO "/installation", .auth = "jwt", .status = 404}},
         .want = ERR_REJECT,
         .want_number = 404,
         .want_text = "not installed"},
    };
    run_rows(rows, COUNT(rows));
}

static void test_list_without_end(void **state)
{
    (void)state;
    static struct step steps[200];
    struct world world;
    int64_t value;
    for (size_t i = 0; i < COUNT(steps); i++)
        steps[i] =
            (struct step){.method = "GET", .url = PAGE_2, .status = 200, .reply = "[]", .next = PAGE_2};
    steps[0].url = REPO "/issues/42/labels?per_page=100";
    world_open(&world, CREDENTIALS_TOKEN);
    world_script(&world, "without end", steps);
    world.fake.count = COUNT(steps);
    want_code("without end", act_has_label(&world, &value), ERR_REJECT, &world.err);
    want_part("without end", world.err.text, "more than 200 pages");
    github_close(world.github);
}

/* ---- comments ---- */

static enum err_code act_comment(struct world *world, int64_t *value)
{
    *value = 0;
    return github_comment_once(world->github, 42, "conflict", "Does \"not\" merge.", &world->err);
}

#define ME                                                                                                   \
    {                                                                                                        \
        .method = "GET", .url = "/user", .status = 200, .reply = "{\"login\":\"Gate\",\"id\":7}"             \
    }
#define COMMENTS .method = "GET", .url = REPO "/issues/42/comments?per_page=100"
#define COMMENTS_2 API "/repositories/1/issues/42/comments?page=2"
#define POST_COMMENT                                                                                         \
    .method = "POST", .url = REPO "/issues/42/comments",                                                     \
    .body = "{\"body\":\"Does \\\"not\\\" merge.\\n\\n<!-- prgate:conflict -->\"}", .once = true
#define COMMENT(login, app, text)                                                                            \
    "{\"body\":\"" text "\",\"user\":{\"login\":\"" login "\"},\"performed_via_github_app\":" app "}"

#define REACT                                                                                                \
    .method = "POST", .url = REPO "/issues/comments/6000000000/reactions", .body = "{\"content\":\"+1\"}"

static enum err_code act_react(struct world *world, int64_t *value)
{
    *value = 0;
    return github_react(world->github, UINT64_C(6000000000), "+1", &world->err);
}

static void test_reactions(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {.name = "made", .act = act_react, .steps = {{REACT, .status = 201, .reply = "{}"}}},
        {.name = "there already", .act = act_react, .steps = {{REACT, .status = 200, .reply = "{}"}}},
        {.name = "App",
         .as = CREDENTIALS_APP,
         .act = act_react,
         .steps = {{REACT, .status = 201, .reply = "{}"}}},
        {.name = "comment deleted",
         .act = act_react,
         .steps = {{REACT, .status = 404}},
         .want = ERR_NOT_FOUND,
         .want_number = 404},
        {.name = "gone",
         .act = act_react,
         .steps = {{REACT, .status = 410}},
         .want = ERR_NOT_FOUND,
         .want_number = 410},
        {.name = "locked",
         .act = act_react,
         .steps = {{REACT, .status = 403}},
         .want = ERR_REJECT,
         .want_number = 403},
        {.name = "lost", .act = act_react, .steps = {{REACT, .fails = ERR_UNKNOWN}}, .want = ERR_UNKNOWN},
    };
    run_rows(rows, COUNT(rows));
}

static void test_comments(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {.name = "first",
         .act = act_comment,
         .steps = {ME,
                   {COMMENTS, .status = 200, .reply = "[]"},
                   {POST_COMMENT, .status = 201, .reply = "{}"}}},
        {.name = "there already",
         .act = act_comment,
         .steps = {ME,
                   {COMMENTS, .status = 200,
                    .reply = "[" COMMENT("gate", "null", "old\\n\\n<!-- prgate:conflict -->") "]"}}},
        {.name = "on page two",
         .act = act_comment,
         .steps = {ME,
                   {COMMENTS, .status = 200, .reply = "[{\"body\":null,\"user\":null}]", .next = COMMENTS_2},
                   {.method = "GET",
                    .url = COMMENTS_2,
                    .status = 200,
                    .reply = "[" COMMENT("gate", "null", "<!-- prgate:conflict -->") "]"}}},
        {.name = "somebody else's marker",
         .act = act_comment,
         .steps = {ME,
                   {COMMENTS, .status = 200,
                    .reply = "[" COMMENT("mallory", "{\"id\":12345}", "<!-- prgate:conflict -->") "]"},
                   {POST_COMMENT, .status = 201}}},
        {.name = "another marker",
         .act = act_comment,
         .steps = {ME,
                   {COMMENTS, .status = 200,
                    .reply = "[" COMMENT("gate", "null", "<!-- prgate:other --> prgate:conflict") "]"},
                   {POST_COMMENT, .status = 201}}},
        {.name = "App: there already",
         .as = CREDENTIALS_APP,
         .act = act_comment,
         .steps = {{COMMENTS, .status = 200,
                    .reply = "[" COMMENT("prgate[bot]", "{\"id\":12345}", "<!-- prgate:conflict -->") "]"}}},
        {.name = "App: another App's marker",
         .as = CREDENTIALS_APP,
         .act = act_comment,
         .steps = {{COMMENTS, .status = 200,
                    .reply = "[" COMMENT("prgate[bot]", "{\"id\":4}", "<!-- prgate:conflict -->") "," COMMENT(
                        "x", "null", "<!-- prgate:conflict -->") "]"},
                   {POST_COMMENT, .status = 201}}},
        {.name = "look fails",
         .act = act_comment,
         .steps = {ME, {COMMENTS, .status = 502}},
         .want = ERR_RETRY,
         .want_number = 502},
        {.name = "whoami fails",
         .act = act_comment,
         .steps = {{.method = "GET", .url = "/user", .status = 403}},
         .want = ERR_REJECT,
         .want_number = 403},
        {.name = "odd list",
         .act = act_comment,
         .steps = {ME, {COMMENTS, .status = 200, .reply = "[7]"}},
         .want = ERR_REJECT,
         .want_text = "a comment that is no object"},
        {.name = "post fails",
         .act = act_comment,
         .steps = {ME, {COMMENTS, .status = 200, .reply = "[]"}, {POST_COMMENT, .fails = ERR_UNKNOWN}},
         .want = ERR_UNKNOWN},
    };
    run_rows(rows, COUNT(rows));
}

/* ---- checks ---- */

static const struct github_check waiting = {.sha = {SHA_A},
                                            .name = "gate & co",
                                            .external_id = "k1",
                                            .title = "Awaiting",
                                            .summary = "Somebody must look.",
                                            .details_url = "https://gate.example/42",
                                            .has_button = true};

static enum err_code act_wait(struct world *world, int64_t *value)
{
    *value = 0;
    return github_put_check(world->github, &waiting, &world->err);
}

static enum err_code act_complete(struct world *world, int64_t *value)
{
    struct github_check check = waiting;
    check.completed = true;
    check.title = "Go";
    *value = 0;
    return github_put_check(world->github, &check, &world->err);
}

static enum err_code act_wait_for_another_key(struct world *world, int64_t *value)
{
    struct github_check check = waiting;
    check.external_id = "k2";
    *value = 0;
    return github_put_check(world->github, &check, &world->err);
}

static enum err_code act_wait_without_link(struct world *world, int64_t *value)
{
    struct github_check check = waiting;
    check.details_url = "";
    *value = 0;
    return github_put_check(world->github, &check, &world->err);
}

/* What is known of the check beforehand saves the look. */
static uint64_t written_id;

static enum err_code put_known(struct world *world, int64_t *value, uint64_t id, bool is_first)
{
    struct github_check check = waiting;
    check.completed = true;
    check.title = "Go";
    check.id = id;
    check.untried = check.is_first = is_first;
    written_id = 0;
    check.written_id = &written_id;
    enum err_code code = github_put_check(world->github, &check, &world->err);
    *value = (int64_t)written_id;
    return code;
}

static enum err_code act_complete_known(struct world *world, int64_t *value)
{
    return put_known(world, value, 8, false);
}

static enum err_code act_complete_first(struct world *world, int64_t *value)
{
    return put_known(world, value, 0, true);
}

static enum err_code act_complete_unknown(struct world *world, int64_t *value)
{
    return put_known(world, value, 0, false);
}

/* It may be done by now, for another pull request with the same commit: never without a look. */
static enum err_code act_wait_known(struct world *world, int64_t *value)
{
    struct github_check check = waiting;
    check.id = 8;
    check.untried = check.is_first = true;
    *value = 0;
    return github_put_check(world->github, &check, &world->err);
}

#define RUNS                                                                                                 \
    .method = "GET", .url = REPO                                                                             \
                     "/commits/" SHA_A                                                                       \
                     "/check-runs?check_name=gate%20%26%20co&filter=latest&app_id=12345&per_page=100"
#define RUN(id, app, name, state, title, link)                                                               \
    "{\"id\":" #id ",\"name\":\"" name "\",\"app\":{\"id\":" #app "}," state                                 \
    ",\"external_id\":\"k1\",\"details_url\":\"" link "\","                                                  \
    "\"output\":{\"title\":\"" title "\",\"summary\":\"Somebody must look.\"}}"
#define OURS(id, state, title) RUN(id, 12345, "gate & co", state, title, "https://gate.example/42")
#define IN_PROGRESS "\"status\":\"in_progress\",\"conclusion\":null"
#define DONE(conclusion) "\"status\":\"completed\",\"conclusion\":\"" conclusion "\""
#define FOUND(runs) .status = 200, .reply = "{\"total_count\":1,\"check_runs\":[" runs "]}"
#define OUTPUT(title) "\"output\":{\"title\":\"" title "\",\"summary\":\"Somebody must look.\"}"
#define BUTTON                                                                                               \
    ",\"actions\":[{\"label\":\"Approve CI\",\"description\":\"Start CI for exactly this commit\","          \
    "\"identifier\":\"approve-ci\"}]"
#define WAITING                                                                                              \
    "\"name\":\"gate & "                                                                                     \
    "co\",\"status\":\"in_progress\",\"external_id\":\"k1\",\"details_url\":\"https://gate.example/"         \
    "42\"," OUTPUT("Awaiting") BUTTON
#define COMPLETED                                                                                            \
    "\"name\":\"gate & "                                                                                     \
    "co\",\"status\":\"completed\",\"conclusion\":\"success\",\"completed_at\":\"2023-11-14T22:13:20Z\","    \
    "\"external_id\":\"k1\",\"details_url\":\"https://gate.example/42\"," OUTPUT("Go") ",\"actions\":[]"
#define CREATE(fields)                                                                                       \
    .method = "POST", .url = REPO "/check-runs", .body = "{\"head_sha\":\"" SHA_A "\"," fields "}",          \
    .once = true
#define CHANGE(id, fields) .method = "PATCH", .url = REPO "/check-runs/" #id, .body = "{" fields "}"

static void test_check_runs(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {.name = "create waiting",
         .as = CREDENTIALS_APP,
         .act = act_wait,
         .steps = {{RUNS, FOUND("")}, {CREATE(WAITING), .status = 201, .reply = "{}"}}},
        {.name = "complete the known one",
         .as = CREDENTIALS_APP,
         .act = act_complete_known,
         .want_value = 8,
         .steps = {{CHANGE(8, COMPLETED), .status = 200, .reply = "{\"id\":8}"}}},
        {.name = "the known one is gone",
         .as = CREDENTIALS_APP,
         .act = act_complete_known,
         .want_value = 9,
         .steps = {{CHANGE(8, COMPLETED), .status = 404, .reply = "{\"message\":\"Not Found\"}"},
                   {RUNS, FOUND("")},
                   {CREATE(COMPLETED), .status = 201, .reply = "{\"id\":9}"}}},
        {.name = "the known one is another App's",
         .as = CREDENTIALS_APP,
         .act = act_complete_known,
         .want_value = 7,
         .steps = {{CHANGE(8, COMPLETED), .status = 403, .reply = "{\"message\":\"Invalid app_id\"}"},
                   {RUNS, FOUND(OURS(7, IN_PROGRESS, "Awaiting"))},
                   {CHANGE(7, COMPLETED), .status = 200, .reply = "{\"id\":7}"}}},
        {.name = "complete the first",
         .as = CREDENTIALS_APP,
         .act = act_complete_first,
         .want_value = 9,
         .steps = {{CREATE(COMPLETED), .status = 201, .reply = "{\"id\":9}"}}},
        {.name = "a reply that tells no id is no failure",
         .as = CREDENTIALS_APP,
         .act = act_complete_first,
         .steps = {{CREATE(COMPLETED), .status = 201, .reply = "gone"}}},
        {.name = "complete one that is not known",
         .as = CREDENTIALS_APP,
         .act = act_complete_unknown,
         .want_value = 7,
         .steps = {{RUNS, FOUND(OURS(7, IN_PROGRESS, "Awaiting"))}, {CHANGE(7, COMPLETED), .status = 200}}},
        {.name = "found as it is to be",
         .as = CREDENTIALS_APP,
         .act = act_complete_unknown,
         .want_value = 7,
         .steps = {{RUNS, FOUND(OURS(7, DONE("success"), "Go"))}}},
        {.name = "known, and not done",
         .as = CREDENTIALS_APP,
         .act = act_wait_known,
         .steps = {{RUNS, FOUND(OURS(8, DONE("success"), "Go"))}}},
        {.name = "create completed",
         .as = CREDENTIALS_APP,
         .act = act_complete,
         .steps = {{RUNS, FOUND("")}, {CREATE(COMPLETED), .status = 201}}},
        {.name = "waits already",
         .as = CREDENTIALS_APP,
         .act = act_wait,
         .steps = {{RUNS, FOUND(OURS(6000000000, IN_PROGRESS, "Awaiting"))}}},
        {.name = "waits under another title",
         .as = CREDENTIALS_APP,
         .act = act_wait,
         .steps = {{RUNS, FOUND(OURS(6000000000, IN_PROGRESS, "Hm"))},
                   {CHANGE(6000000000, WAITING), .status = 200}}},
        {.name = "waits with another link",
         .as = CREDENTIALS_APP,
         .act = act_wait,
         .steps = {{RUNS, FOUND(RUN(8, 12345, "gate & co", IN_PROGRESS, "Awaiting", "https://old.example"))},
                   {CHANGE(8, WAITING), .status = 200}}},
        {.name = "waits for another key",
         .as = CREDENTIALS_APP,
         .act = act_wait_for_another_key,
         .steps = {{RUNS, FOUND(OURS(8, IN_PROGRESS, "Awaiting"))},
                   {.method = "PATCH",
                    .url = REPO "/check-runs/8",
                    .body = "{\"name\":\"gate & "
                            "co\",\"status\":\"in_progress\",\"external_id\":\"k2\",\"details_url\":\"https:/"
                            "/gate.example/42\"," OUTPUT("Awaiting") BUTTON "}",
                    .status = 200}}},
        {.name = "any link will do",
         .as = CREDENTIALS_APP,
         .act = act_wait_without_link,
         .steps = {{RUNS, FOUND(OURS(8, IN_PROGRESS, "Awaiting"))}}},
        {.name = "queued by GitHub",
         .as = CREDENTIALS_APP,
         .act = act_wait,
         .steps = {{RUNS, FOUND(OURS(8, "\"status\":\"queued\"", "Awaiting"))},
                   {CHANGE(8, WAITING), .status = 200}}},
        {.name = "complete",
         .as = CREDENTIALS_APP,
         .act = act_complete,
         .steps = {{RUNS, FOUND(OURS(8, IN_PROGRESS, "Awaiting"))}, {CHANGE(8, COMPLETED), .status = 200}}},
        {.name = "completed already",
         .as = CREDENTIALS_APP,
         .act = act_complete,
         .steps = {{RUNS, FOUND(OURS(8, DONE("success"), "Go"))}}},
        {.name = "completed, but not so",
         .as = CREDENTIALS_APP,
         .act = act_complete,
         .steps = {{RUNS, FOUND(OURS(8, DONE("cancelled"), "Go"))}, {CHANGE(8, COMPLETED), .status = 200}}},
        {.name = "never back to waiting",
         .as = CREDENTIALS_APP,
         .act = act_wait,
         .steps = {{RUNS, FOUND(OURS(8, DONE("success"), "Go"))}}},
        {.name = "another App's",
         .as = CREDENTIALS_APP,
         .act = act_wait,
         .steps = {{RUNS, FOUND(RUN(8, 4, "gate & co", IN_PROGRESS, "Awaiting", ""))},
                   {CREATE(WAITING), .status = 201}}},
        {.name = "another name",
         .as = CREDENTIALS_APP,
         .act = act_wait,
         .steps = {{RUNS, FOUND(RUN(8, 12345, "gate", IN_PROGRESS, "Awaiting", ""))},
                   {CREATE(WAITING), .status = 201}}},
        {.name = "the newest counts",
         .as = CREDENTIALS_APP,
         .act = act_complete,
         .steps = {{RUNS, FOUND(OURS(7, IN_PROGRESS, "x") "," OURS(9, IN_PROGRESS,
                                                                   "x") "," OURS(8, DONE("success"), "Go"))},
                   {CHANGE(9, COMPLETED), .status = 200}}},
        {.name = "run without output",
         .as = CREDENTIALS_APP,
         .act = act_wait,
         .steps = {{RUNS, FOUND("{\"id\":8,\"name\":\"gate & "
                                "co\",\"app\":{\"id\":12345},\"status\":\"in_progress\",\"output\":null}")},
                   {CHANGE(8, WAITING), .status = 200}}},
        {.name = "no list",
         .as = CREDENTIALS_APP,
         .act = act_wait,
         .steps = {{RUNS, .status = 200, .reply = "[]"}},
         .want = ERR_REJECT,
         .want_text = "no list in it"},
        {.name = "odd run",
         .as = CREDENTIALS_APP,
         .act = act_wait,
         .steps = {{RUNS, FOUND("{\"id\":\"8\"}")}},
         .want = ERR_REJECT,
         .want_text = "a check run without id or name"},
        {.name = "look fails",
         .as = CREDENTIALS_APP,
         .act = act_wait,
         .steps = {{RUNS, .fails = ERR_UNKNOWN}},
         .want = ERR_RETRY},
        {.name = "create fails",
         .as = CREDENTIALS_APP,
         .act = act_wait,
         .steps = {{RUNS, FOUND("")}, {CREATE(WAITING), .fails = ERR_UNKNOWN}},
         .want = ERR_UNKNOWN},
        {.name = "no such commit",
         .as = CREDENTIALS_APP,
         .act = act_wait,
         .steps = {{RUNS, FOUND("")},
                   {CREATE(WAITING), .status = 422, .reply = "{\"message\":\"No commit found\"}"}},
         .want = ERR_REJECT,
         .want_number = 422,
         .want_text = "No commit found"},
    };
    run_rows(rows, COUNT(rows));
}

#define TEN(x) x x x x x x x x x x
#define E_ACUTE "\xc3\xa9"

static enum err_code act_long_title(struct world *world, int64_t *value)
{
    struct github_check check = waiting;
    check.title = TEN(TEN(E_ACUTE)) TEN("abcd") "beyond";
    check.details_url = "";
    *value = 0;
    return github_put_check(world->github, &check, &world->err);
}

#define STATUSES .method = "GET", .url = REPO "/commits/" SHA_A "/statuses?per_page=100"
#define STATUS(state, context, text)                                                                         \
    "{\"state\":\"" state "\",\"context\":\"" context "\",\"description\":\"" text                           \
    "\",\"target_url\":\"https://gate.example/42\"}"
#define SET(state, text)                                                                                     \
    .method = "POST", .url = REPO "/statuses/" SHA_A,                                                        \
    .body = "{\"state\":\"" state "\",\"context\":\"gate & co\",\"description\":\"" text                     \
            "\",\"target_url\":\"https://gate.example/42\"}"

static void test_statuses_of_a_commit(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {.name = "first",
         .act = act_wait,
         .steps = {{STATUSES, .status = 200, .reply = "[]"}, {SET("pending", "Awaiting"), .status = 201}}},
        {.name = "complete, not tried before",
         .act = act_complete_first,
         .steps = {{SET("success", "Go"), .status = 201}}},
        {.name = "complete, perhaps tried before",
         .act = act_complete_unknown,
         .steps = {{STATUSES, .status = 200, .reply = "[]"}, {SET("success", "Go"), .status = 201}}},
        {.name = "not done, not tried before",
         .act = act_wait_known,
         .steps = {{STATUSES, .status = 200, .reply = "[" STATUS("success", "gate & co", "Go") "]"}}},
        {.name = "waits already",
         .act = act_wait,
         .steps = {{STATUSES, .status = 200,
                    .reply = "[" STATUS("failure", "other", "") "," STATUS(
                        "pending", "Gate & Co", "Awaiting") "," STATUS("success", "gate & co", "Go") "]"}}},
        {.name = "another text",
         .act = act_wait,
         .steps = {{STATUSES, .status = 200, .reply = "[" STATUS("pending", "gate & co", "Hm") "]"},
                   {SET("pending", "Awaiting"), .status = 201}}},
        {.name = "complete",
         .act = act_complete,
         .steps = {{STATUSES, .status = 200, .reply = "[" STATUS("pending", "gate & co", "Awaiting") "]"},
                   {SET("success", "Go"), .status = 201}}},
        {.name = "completed already",
         .act = act_complete,
         .steps = {{STATUSES, .status = 200, .reply = "[" STATUS("success", "gate & co", "Go") "]"}}},
        {.name = "never back to waiting",
         .act = act_wait,
         .steps = {{STATUSES, .status = 200, .reply = "[" STATUS("success", "gate & co", "Go") "]"}}},
        {.name = "long title",
         .act = act_long_title,
         .steps = {{STATUSES, .status = 200, .reply = "[]"},
                   {.method = "POST",
                    .url = REPO "/statuses/" SHA_A,
                    .body = "{\"state\":\"pending\",\"context\":\"gate & co\",\"description\":\"" TEN(
                        TEN(E_ACUTE)) TEN("abcd") "\"}",
                    .status = 201}}},
        {.name = "odd status",
         .act = act_wait,
         .steps = {{STATUSES, .status = 200, .reply = "[{}]"}},
         .want = ERR_REJECT,
         .want_text = "a status without context or state"},
        {.name = "look fails",
         .act = act_wait,
         .steps = {{STATUSES, .status = 500}},
         .want = ERR_RETRY,
         .want_number = 500},
    };
    run_rows(rows, COUNT(rows));
}

/* ---- dispatches and runs ---- */

static enum err_code act_workflow(struct world *world, int64_t *value)
{
    *value = 0;
    return github_workflow_dispatch(world->github, "ci/gate 1.yml", "release/1", "{\"key\":\"k\"}",
                                    &world->err);
}

static enum err_code act_odd_payload(struct world *world, int64_t *value)
{
    *value = 0;
    return github_repository_dispatch(world->github, "x", "[]", &world->err);
}

static enum err_code act_odd_inputs(struct world *world, int64_t *value)
{
    *value = 0;
    return github_workflow_dispatch(world->github, "x", "main", "{", &world->err);
}

static enum err_code act_find_run(struct world *world, int64_t *value)
{
    bool found = false;
    enum err_code code =
        github_find_run(world->github, "repository_dispatch", "k1", 1700000000, &found, &world->err);
    *value = found;
    return code;
}

#define WORKFLOW                                                                                             \
    .method = "POST", .url = REPO "/actions/workflows/ci%2Fgate%201.yml/dispatches",                         \
    .body = "{\"ref\":\"release/1\",\"inputs\":{\"key\":\"k\"}}", .once = true
#define ACTIONS                                                                                              \
    .method = "GET",                                                                                         \
    .url =                                                                                                   \
        REPO "/actions/runs?event=repository_dispatch&created=%3E%3D2023-11-14T22%3A08%3A20Z&per_page=100"
#define ACTIONS_2 API "/repositories/1/actions/runs?page=2"

static void test_actions(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {.name = "workflow", .act = act_workflow, .steps = {{WORKFLOW, .status = 204}}},
        {.name = "workflow without trigger",
         .act = act_workflow,
         .steps = {{WORKFLOW, .status = 422,
                    .reply = "{\"message\":\"Workflow does not have 'workflow_dispatch' trigger\"}"}},
         .want = ERR_REJECT,
         .want_number = 422,
         .want_text = "trigger"},
        {.name = "workflow, nobody knows",
         .act = act_workflow,
         .steps = {{WORKFLOW, .status = 500}},
         .want = ERR_UNKNOWN,
         .want_number = 500},
        {.name = "odd payload", .act = act_odd_payload, .want = ERR_REJECT, .want_text = "client_payload"},
        {.name = "odd inputs", .act = act_odd_inputs, .want = ERR_REJECT, .want_text = "inputs"},
        {.name = "run",
         .act = act_find_run,
         .steps =
             {{ACTIONS, .status = 200,
               .reply =
                   "{\"workflow_runs\":[{\"display_title\":\"a\"},{\"display_title\":\"CI k1 of #42\"}]}"}},
         .want_value = 1},
        {.name = "run on page two",
         .act = act_find_run,
         .steps = {{ACTIONS, .status = 200, .reply = "{\"workflow_runs\":[{\"display_title\":\"a\"}]}",
                    .next = ACTIONS_2},
                   {.method = "GET",
                    .url = ACTIONS_2,
                    .status = 200,
                    .reply = "{\"workflow_runs\":[{\"display_title\":\"k1\"}]}"}},
         .want_value = 1},
        {.name = "no run",
         .act = act_find_run,
         .steps = {{ACTIONS, .status = 200, .reply = "{\"total_count\":0,\"workflow_runs\":[]}"}},
         .want_value = 0},
        {.name = "odd run",
         .act = act_find_run,
         .steps = {{ACTIONS, .status = 200, .reply = "{\"workflow_runs\":[{\"name\":\"k1\"}]}"}},
         .want = ERR_REJECT,
         .want_text = "a run without display_title"},
        {.name = "look fails",
         .act = act_find_run,
         .steps = {{ACTIONS, .fails = ERR_UNKNOWN}},
         .want = ERR_RETRY},
        {.name = "Actions are off",
         .act = act_find_run,
         .steps = {{ACTIONS, .status = 404}},
         .want = ERR_NOT_FOUND,
         .want_number = 404},
    };
    run_rows(rows, COUNT(rows));
}

/* ---- installation tokens ---- */

#define MINT .method = "POST", .url = "/app/installations/77/access_tokens", .auth = "jwt"
#define MINTED .status = 201, .reply = "{\"token\":\"ghs_new\",\"expires_at\":\"2023-11-14T23:13:20Z\"}"
#define OK_PULL(as)                                                                                          \
    {                                                                                                        \
        GET_PULL, .auth = (as), .status = 200, .reply = PULL_1 PULL_2 PULL_3 ",\"labels\":[]}"               \
    }

struct token_row {
    const char *name;
    struct shared before;
    struct step steps[STEPS_MAX];
    enum err_code want;
    const char *want_text;
    int want_puts;
    int64_t want_waited_ms;
};

static void run_token_row(const struct token_row *row)
{
    struct world world;
    int64_t value;
    world_open(&world, CREDENTIALS_APP);
    world.shared = row->before;
    if (world.shared.expires_at != 0)
        world.shared.expires_at += start_ms / 1000;
    if (world.shared.appears_ms != 0)
        world.shared.appears_ms += start_ms;
    world_script(&world, row->name, row->steps);
    want_code(row->name, act_pull(&world, &value), row->want, &world.err);
    if (row->want != ERR_OK)
        want_part(row->name, world.err.text, row->want_text);
    want_number(row->name, "requests", (int64_t)world.fake.done, (int64_t)world.fake.count);
    want_number(row->name, "puts", world.shared.puts, row->want_puts);
    want_number(row->name, "waited", fake_now_ms - start_ms, row->want_waited_ms);
    github_close(world.github);
}

static void test_tokens(void **state)
{
    (void)state;
    static const struct token_row rows[] = {
        {.name = "good for long",
         .before = {.token = "ghs_a", .expires_at = 601},
         .steps = {OK_PULL("ghs_a")}},
        {.name = "ends soon, somebody else's lease",
         .before = {.token = "ghs_a", .expires_at = 61},
         .steps = {OK_PULL("ghs_a")}},
        {.name = "ends soon, our lease",
         .before = {.token = "ghs_a", .expires_at = 600, .lease = true},
         .steps = {{MINT, MINTED}, OK_PULL("ghs_new")},
         .want_puts = 1},
        {.name = "ends soon, cannot mint",
         .before = {.token = "ghs_a", .expires_at = 61, .lease = true},
         .steps = {{MINT, .status = 500}, OK_PULL("ghs_a")}},
        {.name = "ended, our lease",
         .before = {.token = "ghs_a", .expires_at = 60, .lease = true},
         .steps = {{MINT, MINTED}, OK_PULL("ghs_new")},
         .want_puts = 1},
        {.name = "none, our lease",
         .before = {.lease = true},
         .steps = {{MINT, MINTED}, OK_PULL("ghs_new")},
         .want_puts = 1},
        {.name = "none, another was quicker",
         .before = {.lease = true, .crossed = true},
         .steps = {OK_PULL("ghs_other")}},
        {.name = "ends soon, another was quicker",
         .before = {.token = "ghs_a", .expires_at = 300, .lease = true, .crossed = true},
         .steps = {OK_PULL("ghs_other")}},
        {.name = "none, another brings one",
         .before = {.appears_ms = 320},
         .steps = {OK_PULL("ghs_other")},
         .want_waited_ms = 350},
        {.name = "none, nobody brings one",
         .before = {.expires_at = 0},
         .want = ERR_RETRY,
         .want_text = "no installation token came",
         .want_waited_ms = 10000},
        {.name = "ended, nobody brings one",
         .before = {.token = "ghs_a", .expires_at = 60},
         .want = ERR_RETRY,
         .want_text = "no installation token came",
         .want_waited_ms = 10000},
        {.name = "minting: nobody knows",
         .before = {.lease = true},
         .steps = {{MINT, .fails = ERR_UNKNOWN}},
         .want = ERR_RETRY,
         .want_text = "minting an installation token: "},
        {.name = "minting: not sent",
         .before = {.lease = true},
         .steps = {{MINT, .fails = ERR_RETRY}},
         .want = ERR_RETRY,
         .want_text = "the wire broke"},
        {.name = "minting: rate limit",
         .before = {.lease = true},
         .steps = {{MINT, .status = 403, .retry_after_s = 9}},
         .want = ERR_RETRY,
         .want_text = "HTTP 403"},
        {.name = "minting: key refused",
         .before = {.lease = true},
         .steps = {{MINT, .status = 401, .reply = "{\"message\":\"exp too far\"}"}},
         .want = ERR_REJECT,
         .want_text = "exp too far"},
        {.name = "minting: suspended",
         .before = {.lease = true},
         .steps = {{MINT, .status = 403, .reply = "{\"message\":\"suspended\"}"}},
         .want = ERR_REJECT,
         .want_text = "suspended"},
        {.name = "minting: no token",
         .before = {.lease = true},
         .steps = {{MINT, .status = 201, .reply = "{\"expires_at\":\"2023-11-14T23:13:20Z\"}"}},
         .want = ERR_REJECT,
         .want_text = "no valid token"},
        {.name = "minting: a token with a line break",
         .before = {.lease = true},
         .steps = {{MINT, .status = 201,
                    .reply = "{\"token\":\"a\\nb\",\"expires_at\":\"2023-11-14T23:13:20Z\"}"}},
         .want = ERR_REJECT,
         .want_text = "no valid token"},
        {.name = "minting: an empty token",
         .before = {.lease = true},
         .steps = {{MINT, .status = 201,
                    .reply = "{\"token\":\"\",\"expires_at\":\"2023-11-14T23:13:20Z\"}"}},
         .want = ERR_REJECT,
         .want_text = "no valid token"},
        {.name = "minting: no time",
         .before = {.lease = true},
         .steps = {{MINT, .status = 201, .reply = "{\"token\":\"x\",\"expires_at\":\"soon\"}"}},
         .want = ERR_REJECT,
         .want_text = "no valid token"},
        {.name = "minting: no JSON",
         .before = {.lease = true},
         .steps = {{MINT, .status = 201, .reply = ""}},
         .want = ERR_REJECT,
         .want_text = "not JSON"},
        {.name = "store is gone",
         .before = {.lease = true, .broken = true},
         .want = ERR_FATAL,
         .want_text = "the store is gone"},
        {.name = "401, our lease",
         .before = {.token = "ghs_a", .expires_at = 3000, .lease = true},
         .steps = {{GET_PULL, .auth = "ghs_a", .status = 401}, {MINT, MINTED}, OK_PULL("ghs_new")},
         .want_puts = 1},
        {.name = "401, another brings one",
         .before = {.token = "ghs_a", .expires_at = 3000, .appears_ms = 100},
         .steps = {{GET_PULL, .auth = "ghs_a", .status = 401}, OK_PULL("ghs_other")},
         .want_waited_ms = 100},
        {.name = "401, nobody brings one",
         .before = {.token = "ghs_a", .expires_at = 3000},
         .steps = {{GET_PULL, .auth = "ghs_a", .status = 401}},
         .want = ERR_RETRY,
         .want_text = "no installation token came",
         .want_waited_ms = 10000},
        {.name = "401 twice",
         .before = {.token = "ghs_a", .expires_at = 3000, .lease = true},
         .steps = {{GET_PULL, .auth = "ghs_a", .status = 401},
                   {MINT, MINTED},
                   {GET_PULL, .auth = "ghs_new", .status = 401}},
         .want = ERR_RETRY,
         .want_text = "HTTP 401",
         .want_puts = 1},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        run_token_row(&rows[i]);
}

/* While a token is good for long, the pool's store is left alone. */
static void test_token_kept(void **state)
{
    (void)state;
    static const struct step steps[STEPS_MAX] = {OK_PULL("ghs_shared"), OK_PULL("ghs_shared"),
                                                 OK_PULL("ghs_shared")};
    struct world world;
    int64_t value;
    world_open(&world, CREDENTIALS_APP);
    world_script(&world, "kept", steps);
    for (int i = 0; i < 3; i++) {
        want_code("kept", act_pull(&world, &value), ERR_OK, &world.err);
        github_use(world.github, "flutter/flutter", INSTALLATION);
    }
    want_number("kept", "gets", world.shared.gets, 1);
    want_number("kept", "leases", world.shared.leases, 0);
    github_close(world.github);
}

/* The store fails after the token was minted: it is used all the same. */
static void test_token_not_shared(void **state)
{
    (void)state;
    static const struct step steps[STEPS_MAX] = {{MINT, MINTED}, OK_PULL("ghs_new"), OK_PULL("ghs_new")};
    struct world world;
    int64_t value;
    world_open(&world, CREDENTIALS_APP);
    github_close(world.github);
    assert_int_equal(github_open(&world.github, &world.config, &world.fake.http, NULL, &world.err), ERR_OK);
    github_set_clock(world.github, &fake_clock);
    github_use(world.github, "flutter/flutter", INSTALLATION);
    world_script(&world, "not shared", steps);
    want_code("first", act_pull(&world, &value), ERR_OK, &world.err);
    want_code("second", act_pull(&world, &value), ERR_OK, &world.err);
    github_close(world.github);
}

static void test_installation_asked_for(void **state)
{
    (void)state;
    static const struct step steps[STEPS_MAX] = {
        {.method = "GET",
         .url = "/repos/flutter/engine/installation",
         .auth = "jwt",
         .status = 200,
         .reply = "{\"id\":77}"},
        {.method = "GET", .url = "/repos/flutter/engine/pulls/42", .status = 404},
        {.method = "GET", .url = "/repos/flutter/engine/pulls/42", .status = 404},
        {.method = "GET",
         .url = REPO "/installation",
         .auth = "jwt",
         .status = 200,
         .reply = "{\"id\":\"77\"}"},
        {.method = "GET", .url = REPO "/installation", .auth = "jwt", .status = 404},
    };
    struct world world;
    int64_t value;
    world_open(&world, CREDENTIALS_APP);
    world_script(&world, "asked for", steps);
    github_use(world.github, "flutter/engine", 0);
    want_code("asked", act_pull(&world, &value), ERR_NOT_FOUND, &world.err);
    github_use(world.github, "flutter/engine", 0);
    want_code("remembered", act_pull(&world, &value), ERR_NOT_FOUND, &world.err);
    github_use(world.github, "flutter/flutter", 0);
    want_code("odd answer", act_pull(&world, &value), ERR_REJECT, &world.err);
    want_part("odd answer", world.err.text, "installation: no id");
    want_code("not installed", act_pull(&world, &value), ERR_REJECT, &world.err);
    want_part("not installed", world.err.text, "the App is not installed on this repository");
    want_number("not installed", "number", world.err.number, 404);
    github_close(world.github);
}

/* The delivery waited while the App was removed and installed again. */
static void test_installation_replaced(void **state)
{
    (void)state;
    static const struct step steps[STEPS_MAX] = {
        {.method = "POST", .url = "/app/installations/5/access_tokens", .auth = "jwt", .status = 404},
        {.method = "GET", .url = REPO "/installation", .auth = "jwt", .status = 200, .reply = "{\"id\":77}"},
        OK_PULL("ghs_shared"),
    };
    struct world world;
    int64_t value;
    world_open(&world, CREDENTIALS_APP);
    world_script(&world, "replaced", steps);
    github_use(world.github, "flutter/flutter", 5);
    want_code("replaced", act_pull(&world, &value), ERR_OK, &world.err);
    github_close(world.github);
}

static void test_bad_key(void **state)
{
    (void)state;
    static char no_key[] = "not a key";
    struct world world;
    int64_t value;
    world_open(&world, CREDENTIALS_APP);
    world.config.app_key_pem = no_key;
    world.shared.token[0] = '\0';
    world_script(&world, "bad key", (const struct step[STEPS_MAX]){{0}});
    want_code("bad key", act_pull(&world, &value), ERR_REJECT, &world.err);
    want_part("bad key", world.err.text, "not a PEM private key");
    github_close(world.github);
}

/* ---- dry runs ---- */

typedef enum err_code act_fn(struct world *world, int64_t *value);

static void run_dry(enum credentials as, const char *name, act_fn *act, const struct step *steps)
{
    struct world world;
    int64_t value;
    world_open(&world, as);
    world.config.dry_run = true;
    world_script(&world, name, steps);
    want_code(name, act(&world, &value), ERR_OK, &world.err);
    want_number(name, "requests", (int64_t)world.fake.done, (int64_t)world.fake.count);
    want_number(name, "dry calls", world.calls.dry, 1);
    want_number(name, "calls", world.calls.count, (int64_t)world.fake.count + 1);
    github_close(world.github);
}

static void test_dry_run_without_credentials(void **state)
{
    (void)state;
    static const struct step none[STEPS_MAX] = {{0}};
    static const struct {
        const char *name;
        act_fn *act;
    } writes[] = {{"add label", act_add_label}, {"remove label", act_remove_label},
                  {"wait", act_wait},           {"complete", act_complete},
                  {"comment", act_comment},     {"dispatch", act_dispatch},
                  {"workflow", act_workflow}};
    static const struct {
        const char *name;
        act_fn *act;
    } reads[] = {{"pull", act_pull},        {"whoami", act_whoami_twice}, {"permission", act_permission},
                 {"team", act_team},        {"App", act_app_id},          {"has label", act_has_label},
                 {"find run", act_find_run}};
    for (size_t i = 0; i < COUNT(writes); i++)
        run_dry(CREDENTIALS_NONE, writes[i].name, writes[i].act, none);
    for (size_t i = 0; i < COUNT(reads); i++) {
        struct world world;
        int64_t value;
        world_open(&world, CREDENTIALS_NONE);
        world.config.dry_run = true;
        world_script(&world, reads[i].name, none);
        assert_false(github_can_read(world.github));
        want_code(reads[i].name, reads[i].act(&world, &value), ERR_NOT_FOUND, &world.err);
        want_number(reads[i].name, "err.number", world.err.number, 0);
        want_number(reads[i].name, "calls", world.calls.count, 0);
        github_close(world.github);
    }
}

static void test_dry_run_with_credentials(void **state)
{
    (void)state;
    static const struct step look_at_runs[STEPS_MAX] = {{MINT, MINTED}, {RUNS, .auth = "ghs_new", FOUND("")}};
    static const struct step look_at_comments[STEPS_MAX] = {ME, {COMMENTS, .status = 200, .reply = "[]"}};
    static const struct step none[STEPS_MAX] = {{0}};
    struct world world;
    int64_t value;
    run_dry(CREDENTIALS_TOKEN, "comment", act_comment, look_at_comments);
    run_dry(CREDENTIALS_APP, "dispatch", act_dispatch, none);
    world_open(&world, CREDENTIALS_APP);
    world.config.dry_run = true;
    world.shared.token[0] = '\0';
    world_script(&world, "check", look_at_runs);
    want_code("check", act_wait(&world, &value), ERR_OK, &world.err);
    want_number("check", "dry calls", world.calls.dry, 1);
    want_number("check", "puts", world.shared.puts, 1);
    assert_string_equal(world.calls.last.method, "POST");
    assert_string_equal(world.calls.url, API REPO "/check-runs");
    assert_int_equal(world.calls.last.status, 0);
    assert_int_equal(world.calls.last.rate_remaining, -1);
    github_close(world.github);
}

static void test_no_credentials_and_no_dry_run(void **state)
{
    (void)state;
    struct world world;
    int64_t value;
    world_open(&world, CREDENTIALS_NONE);
    world_script(&world, "none", (const struct step[STEPS_MAX]){{0}});
    want_code("none", act_dispatch(&world, &value), ERR_REJECT, &world.err);
    want_part("none", world.err.text, "no credentials");
    github_close(world.github);
}

/* ---- elsewhere ---- */

struct elsewhere {
    struct http http; /* first */
    int status;
    int count;
    bool had_agent;
    bool had_authorization;
};

static enum err_code elsewhere_perform(struct http *http, const struct http_request *request,
                                       struct http_reply *reply, struct err *err)
{
    struct elsewhere *elsewhere = (struct elsewhere *)http;
    elsewhere->count++;
    elsewhere->had_agent = has_header(request, "User-Agent: prgate/");
    elsewhere->had_authorization = has_header(request, "Authorization");
    http_reply_clear(reply);
    if (elsewhere->status == 0)
        return err_set(err, ERR_UNKNOWN, 0, "the wire broke");
    reply->status = elsewhere->status;
    buf_adds(&reply->body, "sure");
    return ERR_OK;
}

static void test_elsewhere(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *method;
        int status;
        bool dry_run;
        bool token;
        enum err_code want;
        int want_requests;
    } rows[] = {
        {"taken", "POST", 202, false, true, ERR_OK, 1},
        {"nobody knows", "POST", 0, false, true, ERR_UNKNOWN, 1},
        {"asked, broke", "GET", 0, false, true, ERR_RETRY, 1},
        {"known", "GET", 200, false, true, ERR_OK, 1},
        {"not known", "GET", 404, false, true, ERR_NOT_FOUND, 1},
        {"not allowed", "POST", 401, false, true, ERR_REJECT, 1},
        {"busy", "POST", 429, false, true, ERR_RETRY, 1},
        {"dry", "POST", 200, true, true, ERR_OK, 0},
        {"dry, asked", "GET", 200, true, true, ERR_OK, 1},
        {"dry without credentials", "POST", 200, true, false, ERR_OK, 0},
        {"dry without credentials, asked", "GET", 200, true, false, ERR_NOT_FOUND, 0},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct world world;
        struct elsewhere elsewhere = {.http.perform = elsewhere_perform, .status = rows[i].status};
        struct http_request request = {.method = rows[i].method,
                                       .url = "https://me:pw@ci.example/hook/x?secret=1#f",
                                       .headers = {"A: b"}};
        world_open(&world, rows[i].token ? CREDENTIALS_TOKEN : CREDENTIALS_NONE);
        github_close(world.github);
        world.config.dry_run = rows[i].dry_run;
        assert_int_equal(github_open(&world.github, &world.config, &elsewhere.http, NULL, &world.err),
                         ERR_OK);
        github_on_call(world.github, on_call, &world.calls);
        want_code(rows[i].name, github_call_elsewhere(world.github, &request, &world.err), rows[i].want,
                  &world.err);
        want_number(rows[i].name, "requests", elsewhere.count, rows[i].want_requests);
        want_number(rows[i].name, "user agent", elsewhere.had_agent, rows[i].want_requests);
        want_number(rows[i].name, "credentials", elsewhere.had_authorization, false);
        if (world.calls.count > 0)
            assert_string_equal(world.calls.url, "https://ci.example/hook/x");
        if (strstr(world.err.text, "secret") != NULL || strstr(world.err.text, "pw") != NULL)
            fail_msg("%s: got \"%s\", want no secret in it", rows[i].name, world.err.text);
        github_close(world.github);
    }
}

/* ---- */

static void test_open_refuses_odd_url(void **state)
{
    (void)state;
    static char odd[] = "ghe.example/api/v3";
    struct config config = {.api_url = odd};
    struct github *github = NULL;
    struct err err = {0};
    want_code("odd URL", github_open(&github, &config, NULL, NULL, &err), ERR_REJECT, &err);
    assert_null(github);
    github_close(NULL);
}

/* A caller that does not care why may pass no err. */
static void test_without_err(void **state)
{
    (void)state;
    static const struct step steps[STEPS_MAX] = {{GET_PULL, .status = 500}, {MINT, .fails = ERR_UNKNOWN}};
    struct world world;
    struct snapshot snapshot;
    world_open(&world, CREDENTIALS_APP);
    world_script(&world, "no err", steps);
    assert_int_equal(github_get_pull(world.github, 42, &world.policy, &snapshot, NULL), ERR_RETRY);
    fake_now_ms += 3600000;
    assert_int_equal(github_get_pull(world.github, 42, &world.policy, &snapshot, NULL), ERR_RETRY);
    github_close(world.github);
}

static int make_key(void **state)
{
    (void)state;
    char *bytes;
    EVP_PKEY *pkey = EVP_RSA_gen(2048);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
    size_t len = (size_t)BIO_get_mem_data(bio, &bytes);
    key_pem = mem_alloc(len + 1);
    memcpy(key_pem, bytes, len);
    key_pem[len] = '\0';
    BIO_free(bio);
    EVP_PKEY_free(pkey);
    log_setup(LOG_LEVEL_FATAL, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    return 0;
}

static int drop_key(void **state)
{
    (void)state;
    free(key_pem);
    return 0;
}

static void test_web_is_where_people_see_it(void **state)
{
    (void)state;
    static const struct {
        const char *api, *web;
    } rows[] = {
        {"https://api.github.com", "https://github.com"},
        {"https://ghe.example/api/v3", "https://ghe.example"},
        {"https://api.octo.ghe.com", "https://octo.ghe.com"},
        {"https://api.example/api/v3", "https://api.example"},
        {"http://127.0.0.1:1234", "http://127.0.0.1:1234"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct world world;
        struct buf url;
        buf_init(&url);
        world_open(&world, CREDENTIALS_TOKEN);
        world.config.api_url = (char *)(uintptr_t)rows[i].api;
        github_add_web(world.github, &url);
        assert_string_equal(buf_text(&url), rows[i].web);
        github_close(world.github);
        buf_release(&url);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pull_rows),
        cmocka_unit_test(test_web_is_where_people_see_it),
        cmocka_unit_test(test_pull_whole),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_rate_limits),
        cmocka_unit_test(test_people),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_list_without_end),
        cmocka_unit_test(test_comments),
        cmocka_unit_test(test_reactions),
        cmocka_unit_test(test_check_runs),
        cmocka_unit_test(test_statuses_of_a_commit),
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_token_kept),
        cmocka_unit_test(test_token_not_shared),
        cmocka_unit_test(test_installation_asked_for),
        cmocka_unit_test(test_installation_replaced),
        cmocka_unit_test(test_bad_key),
        cmocka_unit_test(test_dry_run_without_credentials),
        cmocka_unit_test(test_dry_run_with_credentials),
        cmocka_unit_test(test_no_credentials_and_no_dry_run),
        cmocka_unit_test(test_elsewhere),
        cmocka_unit_test(test_open_refuses_odd_url),
        cmocka_unit_test(test_without_err),
    };
    return cmocka_run_group_tests_name("github", tests, make_key, drop_key);
}
