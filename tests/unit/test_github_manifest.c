/*
 * The code for the new App: what is asked of GitHub, and which answers make an App.
 */
#include "check.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>

#include "prgate/github_manifest.h"
#include "prgate/log.h"

static char pem[4096];          /* a key */
static char pem_json[2 * 4096]; /* the same inside of a JSON string */

struct fake {
    struct http http; /* first: perform() casts back */
    int status;
    const char *body;
    enum err_code code;
    char url[256];
    bool asked_as_it_should;
};

static enum err_code perform(struct http *http, const struct http_request *request, struct http_reply *reply,
                             struct err *err)
{
    struct fake *fake = (struct fake *)http;
    snprintf(fake->url, sizeof fake->url, "%s %s", request->method, request->url);
    fake->asked_as_it_should = request->once && request->no_redirect && request->body == NULL;
    for (int i = 0; i < HTTP_HEADERS_MAX && request->headers[i] != NULL; i++)
        fake->asked_as_it_should &= strncmp(request->headers[i], "Authorization", 13) != 0;
    if (fake->code != ERR_OK)
        return err_set(err, fake->code, 0, "no way");
    http_reply_clear(reply);
    reply->status = fake->status;
    buf_adds(&reply->body, fake->body);
    return ERR_OK;
}

static int make_key(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_RSA_gen(2048);
    BIO *out = BIO_new(BIO_s_mem());
    if (key == NULL || PEM_write_bio_PrivateKey_traditional(out, key, NULL, NULL, 0, NULL, NULL) != 1)
        return -1;
    int len = BIO_read(out, pem, sizeof pem - 1);
    BIO_free(out);
    EVP_PKEY_free(key);
    if (len <= 0)
        return -1;
    char *to = pem_json;
    for (const char *at = pem; *at != '\0'; at++) {
        if (*at == '\n') {
            *to++ = '\\';
            *to++ = 'n';
        } else {
            *to++ = *at;
        }
    }
    log_setup(LOG_LEVEL_PANIC, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    return 0;
}

static char api_url[] = "https://api.github.com";
static const struct config CONFIG = {.api_url = api_url};

static enum err_code convert(struct fake *fake, struct app *app, struct err *err)
{
    fake->http.perform = perform;
    *app = (struct app){0};
    return github_convert_manifest(&CONFIG, &fake->http, "abc", app, err);
}

static void test_whole_answer_is_an_app(void **state)
{
    (void)state;
    char body[3 * 4096];
    struct app app;
    struct err err = {0};
    snprintf(body, sizeof body,
             "{\"id\":5000000001,\"slug\":\"prgate\",\"pem\":\"%s\",\"webhook_secret\":\"hush\","
             "\"client_secret\":\"x\",\"html_url\":\"https://github.com/apps/prgate\"}",
             pem_json);
    struct fake fake = {.status = 201, .body = body};
    check_int("whole", "code", convert(&fake, &app, &err), ERR_OK);
    check_str("whole", "call", fake.url, "POST https://api.github.com/app-manifests/abc/conversions");
    check_bool("whole", "asked as it should be", fake.asked_as_it_should, true);
    check_u64("whole", "id", app.id, UINT64_C(5000000001));
    check_str("whole", "key", app.private_key, pem);
    check_str("whole", "secret", app.webhook_secret, "hush");
    check_str("whole", "url", app.url, "https://github.com/apps/prgate");
    app_release(&app);
}

#define WITH(id, pem, secret) "{\"id\":" id ",\"pem\":" pem ",\"webhook_secret\":" secret "}"

static void test_anything_else_is_none(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int status;
        const char *body; /* KEY stands for a good one */
        enum err_code code;
        const char *part;
    } rows[] = {
        {"used", 404, "{\"message\":\"Not Found\"}", ERR_NOT_FOUND, "an hour is over"},
        {"refused", 422, "{}", ERR_REJECT, "422"},
        {"redirect", 302, "", ERR_REJECT, "302"},
        {"down", 503, "", ERR_UNKNOWN, "503"},
        {"no JSON", 201, "<html>", ERR_REJECT, "no JSON object"},
        {"a list", 201, "[]", ERR_REJECT, "no JSON object"},
        {"no id", 201, "{\"pem\":\"KEY\",\"webhook_secret\":\"s\"}", ERR_REJECT, "its number"},
        {"id of 0", 201, WITH("0", "\"KEY\"", "\"s\""), ERR_REJECT, "its number"},
        {"id is text", 201, WITH("\"1\"", "\"KEY\"", "\"s\""), ERR_REJECT, "its number"},
        {"no key", 201, WITH("1", "null", "\"s\""), ERR_REJECT, "no private key"},
        {"key that is none", 201, WITH("1", "\"x\"", "\"s\""), ERR_REJECT, "private key"},
        {"no secret", 201, WITH("1", "\"KEY\"", "null"), ERR_REJECT, "no webhook secret"},
        {"empty secret", 201, WITH("1", "\"KEY\"", "\"\""), ERR_REJECT, "no webhook secret"},
        {"secret of two lines", 201, WITH("1", "\"KEY\"", "\"a\\nb\""), ERR_REJECT, "no webhook secret"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char body[3 * 4096] = "";
        struct app app;
        struct err err = {0};
        const char *key = strstr(rows[i].body, "KEY");
        if (key == NULL)
            strcpy(body, rows[i].body);
        else
            snprintf(body, sizeof body, "%.*s%s%s", (int)(key - rows[i].body), rows[i].body, pem_json,
                     key + 3);
        struct fake fake = {.status = rows[i].status, .body = body};
        check_int(rows[i].name, "code", convert(&fake, &app, &err), rows[i].code);
        check_contains(rows[i].name, "message", err.text, rows[i].part);
        check_bool(rows[i].name, "key left", app.private_key != NULL, false);
        check_bool(rows[i].name, "secret in the message", strstr(err.text, "BEGIN") != NULL, false);
    }
}

static void test_call_that_fails_says_so(void **state)
{
    (void)state;
    struct app app;
    struct err err = {0};
    struct fake fake = {.code = ERR_UNKNOWN};
    check_int("lost", "code", convert(&fake, &app, &err), ERR_UNKNOWN);
    check_str("lost", "message", err.text, "no way");
}

/* It becomes a link, and a line of a file. */
static void test_url_that_leads_elsewhere_is_not_kept(void **state)
{
    (void)state;
    static const char *const urls[] = {"https://evil.example/apps/x", "https://github.com.evil.example/",
                                       "javascript:alert(1)", "https://github.com/apps/x\\ny"};
    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        char body[3 * 4096];
        struct app app;
        struct err err = {0};
        snprintf(body, sizeof body, "{\"id\":1,\"pem\":\"%s\",\"webhook_secret\":\"s\",\"html_url\":\"%s\"}",
                 pem_json, urls[i]);
        struct fake fake = {.status = 201, .body = body};
        check_int(urls[i], "code", convert(&fake, &app, &err), ERR_OK);
        check_str(urls[i], "url", app.url, "");
        app_release(&app);
    }
}

static void test_code_of_github_s(void **state)
{
    (void)state;
    char longest[130] = "";
    memset(longest, 'a', 128);
    check_bool("usual", "is one", github_is_manifest_code("a180b1a3d263c81bc6441d7b990bae27d4c10679"), true);
    check_bool("longest", "is one", github_is_manifest_code(longest), true);
    longest[128] = 'a';
    check_bool("too long", "is one", github_is_manifest_code(longest), false);
    check_bool("empty", "is one", github_is_manifest_code(""), false);
    check_bool("a path", "is one", github_is_manifest_code("../user"), false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_answer_is_an_app),
        cmocka_unit_test(test_anything_else_is_none),
        cmocka_unit_test(test_call_that_fails_says_so),
        cmocka_unit_test(test_url_that_leads_elsewhere_is_not_kept),
        cmocka_unit_test(test_code_of_github_s),
    };
    return cmocka_run_group_tests(tests, make_key, NULL);
}
