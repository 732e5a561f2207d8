#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/key.h"
#include "prgate/log.h"
#include "prgate/signature.h"
#include "prgate/text.h"
#include "prgate/trigger.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define KEY "0123456789abcdef0123456789abcdef"

/* ---- a transport that remembers the last request ---- */

struct fake {
    struct http http; /* first */
    int status;       /* 0: nobody knows what became of it */
    const char *reply;
    int count;
    char method[16];
    char url[512];
    char body[1024];
    bool once;
    bool no_redirect;
    char headers[1024]; /* one a line */
};

static enum err_code fake_perform(struct http *http, const struct http_request *request,
                                  struct http_reply *reply, struct err *err)
{
    struct fake *fake = (struct fake *)http;
    fake->count++;
    fake->once = request->once;
    fake->no_redirect = request->no_redirect;
    text_copy(fake->method, sizeof fake->method, request->method);
    text_copy(fake->url, sizeof fake->url, request->url);
    text_copy(fake->body, sizeof fake->body, request->body == NULL ? "" : request->body);
    fake->headers[0] = '\0';
    for (size_t i = 0; i < HTTP_HEADERS_MAX && request->headers[i] != NULL; i++) {
        size_t len = strlen(fake->headers);
        snprintf(fake->headers + len, sizeof fake->headers - len, "%s\n", request->headers[i]);
    }
    http_reply_clear(reply);
    if (fake->status == 0)
        return err_set(err, ERR_UNKNOWN, 0, "the wire broke");
    reply->status = fake->status;
    buf_adds(&reply->body, fake->reply == NULL ? "" : fake->reply);
    return ERR_OK;
}

struct world {
    struct fake fake;
    struct config config;
    struct policy policy;
    struct github *github;
    struct err err;
};

static char api_url[] = "https://ghe.example";
static char token[] = "ghp_token";
static char event_type[] = "prgate-ci";
static char workflow[] = "ci.yml";
static char no_ref[] = "";
static char fixed_ref[] = "trunk";
static char http_url[] = "https://ci.example/hook?x=1";
static unsigned char secret[] = "It's a Secret";

static const struct trigger the_trigger = {.pr = {7000000000, 42},
                                           .repo = "flutter/flutter",
                                           .head = {SHA_A},
                                           .head_ref = "fix/\"quotes\"",
                                           .base_ref = "main",
                                           .author = "dependabot[bot]",
                                           .key = KEY};

static void world_open(struct world *world, enum trigger_kind kind, int status)
{
    *world = (struct world){
        .fake = {.http.perform = fake_perform, .status = status},
        .config = {.api_url = api_url, .token = token},
        .policy = {.trigger = kind,
                   .dispatch_event = event_type,
                   .workflow = workflow,
                   .workflow_ref = no_ref,
                   .http_url = http_url},
    };
    assert_int_equal(github_open(&world->github, &world->config, &world->fake.http, NULL, &world->err),
                     ERR_OK);
    github_use(world->github, "flutter/flutter", 0);
}

static void want_code(const char *name, enum err_code got, enum err_code want, const struct err *err)
{
    if (got != want)
        fail_msg("%s: got %s (%s), want %s", name, err_code_name(got), err->text, err_code_name(want));
}

static void want_text(const char *name, const char *got, const char *want)
{
    if (strcmp(got, want) != 0)
        fail_msg("%s: got %s, want %s", name, got, want);
}

static void want_line(const char *name, const char *lines, const char *line)
{
    char whole[256];
    snprintf(whole, sizeof whole, "%s\n", line);
    if (strstr(lines, whole) == NULL)
        fail_msg("%s: got \"%s\", want the line \"%s\" in it", name, lines, line);
}

static void want_json(const char *name, const char *got, const char *want)
{
    cJSON *got_json = cJSON_Parse(got);
    cJSON *want_parsed = cJSON_Parse(want);
    assert_non_null(want_parsed);
    bool same = got_json != NULL && cJSON_Compare(got_json, want_parsed, true);
    cJSON_Delete(got_json);
    cJSON_Delete(want_parsed);
    if (!same)
        fail_msg("%s: got %s, want %s", name, got, want);
}

/* ---- the key ---- */

static void test_key(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct pr_key pr;
        struct sha head;
        unsigned attempt;
        const char *want;
    } rows[] = {
        {"the first attempt", {7000000000, 42}, {SHA_A}, 0, "37d147e5ef8951b0e453240d10c55bd8"},
        {"the second attempt", {7000000000, 42}, {SHA_A}, 1, "204934013b0ae8e5b6ab193050a7f43e"},
        {"another commit", {7000000000, 42}, {SHA_B}, 0, "93e951b5c58c8c8f2022a1a42cc36a02"},
        {"another pull request", {7000000000, 4}, {SHA_A}, 0, "bc2add69090930064eea2dc082f40242"},
        {"another repository", {700000000, 42}, {SHA_A}, 0, "418a5fd4d185f8fa6f5e1627f550d621"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char got[KEY_SIZE];
        trigger_key(&rows[i].pr, &rows[i].head, rows[i].attempt, got);
        want_text(rows[i].name, got, rows[i].want);
    }
}

/* ---- sending ---- */

#define DESCRIBED(number) "{" FIELDS(number)
#define TOLD(action) "{\"action\":\"" action "\"," FIELDS("42")
#define FIELDS(number)                                                                                       \
    "\"repository\":\"flutter/flutter\",\"number\":" number ",\"head_sha\":\"" SHA_A                         \
    "\",\"head_ref\":\"fix/"                                                                                 \
    "\\\"quotes\\\"\",\"base_ref\":\"main\",\"author\":\"dependabot[bot]\",\"key\":\"" KEY "\"}"

static void test_send(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum trigger_kind kind;
        char *workflow_ref;
        const char *url;
        const char *body;
    } rows[] = {
        {"repository_dispatch", TRIGGER_REPOSITORY_DISPATCH, no_ref,
         "https://ghe.example/repos/flutter/flutter/dispatches",
         "{\"event_type\":\"prgate-ci\",\"client_payload\":" DESCRIBED("42") "}"},
        {"workflow_dispatch on the base", TRIGGER_WORKFLOW_DISPATCH, no_ref,
         "https://ghe.example/repos/flutter/flutter/actions/workflows/ci.yml/dispatches",
         "{\"ref\":\"main\",\"inputs\":" DESCRIBED("\"42\"") "}"},
        {"workflow_dispatch on a fixed ref", TRIGGER_WORKFLOW_DISPATCH, fixed_ref,
         "https://ghe.example/repos/flutter/flutter/actions/workflows/ci.yml/dispatches",
         "{\"ref\":\"trunk\",\"inputs\":" DESCRIBED("\"42\"") "}"},
        {"http", TRIGGER_HTTP, no_ref, http_url, TOLD("start")},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct world world;
        world_open(&world, rows[i].kind, 204);
        world.policy.workflow_ref = rows[i].workflow_ref;
        want_code(rows[i].name, trigger_send(world.github, &world.policy, &the_trigger, &world.err), ERR_OK,
                  &world.err);
        want_text(rows[i].name, world.fake.method, "POST");
        want_text(rows[i].name, world.fake.url, rows[i].url);
        want_json(rows[i].name, world.fake.body, rows[i].body);
        if (!world.fake.once || world.fake.count != 1)
            fail_msg("%s: got %d requests, once %d, want one that must not arrive twice", rows[i].name,
                     world.fake.count, world.fake.once);
        github_close(world.github);
    }
}

/* The signature among the headers must be that of `signed_text`. */
static void want_signed(const char *name, const struct world *world, const char *signed_text)
{
    char signature[SIGNATURE_SIZE];
    char line[128];
    signature_make(&world->policy.http_secret, signed_text, strlen(signed_text), signature);
    snprintf(line, sizeof line, "X-Hub-Signature-256: %s", signature);
    want_line(name, world->fake.headers, line);
}

/* The same headers and members, so that whoever starts can tell what is meant; the body is what is signed. */
static void test_cancel(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, TRIGGER_HTTP, 202);
    world.policy.http_secret = (struct secret){secret, sizeof secret - 1};
    want_code("cancel", trigger_cancel(world.github, &world.policy, &the_trigger, &world.err), ERR_OK,
              &world.err);
    want_text("cancel", world.fake.method, "POST");
    want_text("cancel", world.fake.url, http_url);
    want_json("cancel", world.fake.body, TOLD("cancel"));
    want_line("cancel", world.fake.headers, "X-Prgate-Event: cancel");
    want_line("cancel", world.fake.headers, "X-Prgate-Key: " KEY);
    want_signed("cancel", &world, world.fake.body);
    github_close(world.github);
}

static void test_cancel_fails(void **state)
{
    (void)state;
    static const struct {
        int status;
        enum err_code want;
    } rows[] = {{0, ERR_UNKNOWN},     {500, ERR_UNKNOWN}, {501, ERR_UNKNOWN}, {404, ERR_NOT_FOUND},
                {410, ERR_NOT_FOUND}, {405, ERR_REJECT},  {422, ERR_REJECT},  {429, ERR_RETRY}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct world world;
        char name[32];
        snprintf(name, sizeof name, "%d", rows[i].status);
        world_open(&world, TRIGGER_HTTP, rows[i].status);
        want_code(name, trigger_cancel(world.github, &world.policy, &the_trigger, &world.err), rows[i].want,
                  &world.err);
        assert_int_equal(world.err.number, rows[i].status);
        github_close(world.github);
    }
}

static void test_send_nothing(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, TRIGGER_NONE, 500);
    want_code("none", trigger_send(world.github, &world.policy, &the_trigger, &world.err), ERR_OK,
              &world.err);
    assert_int_equal(world.fake.count, 0);
    github_close(world.github);
}

static void test_send_fails(void **state)
{
    (void)state;
    static const enum trigger_kind kinds[] = {TRIGGER_REPOSITORY_DISPATCH, TRIGGER_WORKFLOW_DISPATCH,
                                              TRIGGER_HTTP};
    static const struct {
        int status;
        enum err_code want;
    } rows[] = {{0, ERR_UNKNOWN},     {500, ERR_UNKNOWN}, {503, ERR_RETRY},  {429, ERR_RETRY},
                {404, ERR_NOT_FOUND}, {422, ERR_REJECT},  {302, ERR_REJECT}, {401, ERR_REJECT}};
    for (size_t kind = 0; kind < COUNT(kinds); kind++) {
        for (size_t i = 0; i < COUNT(rows); i++) {
            struct world world;
            char name[64];
            snprintf(name, sizeof name, "%s, %d", trigger_kind_name(kinds[kind]), rows[i].status);
            world_open(&world, kinds[kind], rows[i].status);
            want_code(name, trigger_send(world.github, &world.policy, &the_trigger, &world.err), rows[i].want,
                      &world.err);
            assert_int_equal(world.fake.count, 1);
            github_close(world.github);
        }
    }
}

static void test_http_headers(void **state)
{
    (void)state;
    struct world world;
    world_open(&world, TRIGGER_HTTP, 200);
    want_code("unsigned", trigger_send(world.github, &world.policy, &the_trigger, &world.err), ERR_OK,
              &world.err);
    want_line("unsigned", world.fake.headers, "Content-Type: application/json");
    want_line("unsigned", world.fake.headers, "X-Prgate-Key: " KEY);
    want_line("unsigned", world.fake.headers, "X-Prgate-Event: trigger");
    assert_null(strstr(world.fake.headers, "X-Hub-Signature"));
    assert_null(strstr(world.fake.headers, "Authorization"));
    github_close(world.github);
}

static void test_http_signature(void **state)
{
    (void)state;
    struct world world;
    bool known = false;
    world_open(&world, TRIGGER_HTTP, 200);
    world.policy.http_secret = (struct secret){secret, sizeof secret - 1};
    want_code("send", trigger_send(world.github, &world.policy, &the_trigger, &world.err), ERR_OK,
              &world.err);
    want_signed("send", &world, world.fake.body);
    want_code("ask", trigger_ask(world.github, &world.policy, &the_trigger, 0, &known, &world.err), ERR_OK,
              &world.err);
    want_signed("ask", &world, KEY);
    github_close(world.github);
}

/* ---- asking ---- */

#define RUNS "https://ghe.example/repos/flutter/flutter/actions/runs?event="
#define SINCE "&created=%3E%3D2023-11-14T22%3A08%3A20Z&per_page=100"
#define RUN "{\"workflow_runs\":[{\"display_title\":\"CI " KEY "\"}]}"
#define NO_RUN "{\"workflow_runs\":[{\"display_title\":\"CI " SHA_A "\"}]}"

static void test_ask(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum trigger_kind kind;
        int status;
        const char *reply;
        const char *url;
        enum err_code want;
        bool want_known;
    } rows[] = {
        {"run", TRIGGER_REPOSITORY_DISPATCH, 200, RUN, RUNS "repository_dispatch" SINCE, ERR_OK, true},
        {"no run", TRIGGER_REPOSITORY_DISPATCH, 200, NO_RUN, RUNS "repository_dispatch" SINCE, ERR_OK, false},
        {"workflow's run", TRIGGER_WORKFLOW_DISPATCH, 200, RUN, RUNS "workflow_dispatch" SINCE, ERR_OK, true},
        {"no answer", TRIGGER_WORKFLOW_DISPATCH, 0, NULL, RUNS "workflow_dispatch" SINCE, ERR_RETRY, false},
        {"http yes", TRIGGER_HTTP, 200, NULL, http_url, ERR_OK, true},
        {"http no", TRIGGER_HTTP, 404, NULL, http_url, ERR_OK, false},
        {"http gone", TRIGGER_HTTP, 410, NULL, http_url, ERR_NOT_FOUND, false},
        {"http broken", TRIGGER_HTTP, 500, NULL, http_url, ERR_RETRY, false},
        {"http not allowed", TRIGGER_HTTP, 403, NULL, http_url, ERR_REJECT, false},
        {"http elsewhere", TRIGGER_HTTP, 302, NULL, http_url, ERR_REJECT, false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct world world;
        bool known = !rows[i].want_known;
        world_open(&world, rows[i].kind, rows[i].status);
        world.fake.reply = rows[i].reply;
        want_code(rows[i].name,
                  trigger_ask(world.github, &world.policy, &the_trigger, 1700000000, &known, &world.err),
                  rows[i].want, &world.err);
        if (rows[i].want == ERR_OK && known != rows[i].want_known)
            fail_msg("%s: got known %d, want %d", rows[i].name, known, rows[i].want_known);
        want_text(rows[i].name, world.fake.method, "GET");
        want_text(rows[i].name, world.fake.url, rows[i].url);
        /* GitHub moves repositories; a CI that sends prgate elsewhere is up to no good. */
        if (world.fake.no_redirect != (rows[i].kind == TRIGGER_HTTP))
            fail_msg("%s: got no_redirect %d", rows[i].name, world.fake.no_redirect);
        if (rows[i].want != ERR_OK && world.err.code != rows[i].want)
            fail_msg("%s: got %s in err, want %s", rows[i].name, err_code_name(world.err.code),
                     err_code_name(rows[i].want));
        github_close(world.github);
    }
}

static void test_ask_nobody(void **state)
{
    (void)state;
    struct world world;
    bool known = false;
    world_open(&world, TRIGGER_NONE, 500);
    want_code("none", trigger_ask(world.github, &world.policy, &the_trigger, 0, &known, &world.err), ERR_OK,
              &world.err);
    assert_true(known);
    assert_int_equal(world.fake.count, 0);
    github_close(world.github);
}

static void test_dry_run(void **state)
{
    (void)state;
    static const enum trigger_kind kinds[] = {TRIGGER_REPOSITORY_DISPATCH, TRIGGER_WORKFLOW_DISPATCH,
                                              TRIGGER_HTTP};
    for (size_t i = 0; i < COUNT(kinds); i++) {
        struct world world;
        world_open(&world, kinds[i], 204);
        world.config.dry_run = true;
        want_code(trigger_kind_name(kinds[i]),
                  trigger_send(world.github, &world.policy, &the_trigger, &world.err), ERR_OK, &world.err);
        assert_int_equal(world.fake.count, 0);
        github_close(world.github);
    }
}

static int setup(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_FATAL, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key),          cmocka_unit_test(test_send),
        cmocka_unit_test(test_send_nothing), cmocka_unit_test(test_send_fails),
        cmocka_unit_test(test_http_headers), cmocka_unit_test(test_http_signature),
        cmocka_unit_test(test_ask),          cmocka_unit_test(test_ask_nobody),
        cmocka_unit_test(test_dry_run),      cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_fails),
    };
    return cmocka_run_group_tests_name("trigger", tests, setup, NULL);
}
