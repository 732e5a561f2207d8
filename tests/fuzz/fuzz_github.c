/*
 * GitHub's replies. The input's first byte chooses the call, the second the credentials (t: token, a: App, w: App whose
 * token another process mints, d: dry run), the rest of the line is no matter. Then come the replies, one after the other,
 * each as on the wire and ended by a byte 0x1e; R, U or X in place of one is an error of the transport. Headers go
 * through the parser of core/http.c, which is why that file is part of this one.
 */
#include "../../core/http.c"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "fuzz.h"
#include "prgate/github.h"
#include "prgate/trigger.h"

#define HOST "https://api.example"
#define API HOST "/v3"
#define CI "https://ci.example/hook"
#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY "0123456789abcdef0123456789abcdef"
enum { END_OF_REPLY = 0x1e };

static int64_t now;
static char *key_pem;
static char api_url[] = API, token[] = "ghp_token", label[] = "CICD", http_url[] = CI,
            dispatch_event[] = "prgate-ci", workflow[] = "ci.yml", workflow_ref[] = "main";

static int64_t now_ms(void)
{
    return now;
}

static void sleep_ms(int ms)
{
    now += ms;
}

static const struct github_clock fake_clock = {now_ms, sleep_ms};

/* ---- the wire ---- */

struct wire {
    struct http http; /* first */
    const char *at;
    size_t left;
};

static size_t reply_length(const struct wire *wire)
{
    const char *end = memchr(wire->at, END_OF_REPLY, wire->left);
    return end == NULL ? wire->left : (size_t)(end - wire->at);
}

/* In memory of its exact size, so that reading past its end is seen. */
static void give_line(struct exchange *exchange, const char *line, size_t len)
{
    char *copy = mem_alloc(len);
    memcpy(copy, line, len);
    MUST(on_header(copy, 1, len, exchange) == len);
    free(copy);
}

static enum err_code give_reply(struct http_reply *reply, const char *text, size_t len, struct err *err)
{
    struct exchange exchange = {.reply = reply};
    while (len > 0 && !exchange.headers_done) {
        const char *end = memchr(text, '\n', len);
        size_t line = end == NULL ? len : (size_t)(end - text) + 1;
        give_line(&exchange, text, line);
        text += line;
        len -= line;
    }
    buf_release(&exchange.line);
    if (len > 0)
        MUST(on_body((char *)(uintptr_t)text, 1, len, &exchange) == len);
    MUST(strlen(reply->next_url) < HTTP_URL_SIZE);
    if (exchange.next_too_long)
        return err_set(err, ERR_REJECT, 0, "the next page's URL is too long");
    return ERR_OK;
}

/* Credentials are for GitHub's host, whatever a Link says, and a trigger for the CI. */
static void check_request(const struct http_request *request)
{
    bool authorized = false;
    for (size_t i = 0; i < HTTP_HEADERS_MAX && request->headers[i] != NULL; i++) {
        MUST(strpbrk(request->headers[i], "\r\n") == NULL);
        authorized = authorized || strncmp(request->headers[i], "Authorization:", 14) == 0;
    }
    if (strcmp(request->url, CI) == 0)
        MUST(!authorized);
    else
        MUST(authorized && strncasecmp(request->url, HOST, strlen(HOST)) == 0 &&
             strchr("/?", request->url[strlen(HOST)]) != NULL);
}

static enum err_code perform(struct http *http, const struct http_request *request, struct http_reply *reply,
                             struct err *err)
{
    struct wire *wire = (struct wire *)http;
    check_request(request);
    http_reply_clear(reply);
    size_t len = reply_length(wire);
    const char *text = wire->at;
    size_t past = len < wire->left ? len + 1 : len;
    wire->at += past;
    wire->left -= past;
    if (len == 0 || text[0] == 'R')
        return err_set(err, ERR_RETRY, 0, "not sent");
    if (text[0] == 'U')
        return err_set(err, ERR_UNKNOWN, 0, "no reply");
    if (text[0] == 'X' || len < 13 || strncmp(text, "HTTP/", 5) != 0)
        return err_set(err, ERR_REJECT, 0, "too large");
    int status = 100 * (text[9] - '0') + 10 * (text[10] - '0') + text[11] - '0';
    if (status < 100 || status > 999)
        return err_set(err, ERR_UNKNOWN, 0, "no status");
    enum err_code code = give_reply(reply, text, len, err);
    reply->status = status;
    return code;
}

/* ---- the pool's tokens ---- */

static enum err_code tokens_get(void *arg, uint64_t installation, char to[GITHUB_TOKEN_SIZE],
                                int64_t *expires_at, struct err *err)
{
    (void)arg, (void)installation, (void)to, (void)expires_at;
    return err_set(err, ERR_NOT_FOUND, 0, "no token");
}

static enum err_code tokens_put(void *arg, uint64_t installation, const char *text, int64_t expires_at,
                                struct err *err)
{
    (void)arg, (void)installation, (void)expires_at, (void)err;
    MUST(text[0] != '\0' && strlen(text) < GITHUB_TOKEN_SIZE);
    return ERR_OK;
}

static bool tokens_lease(void *arg, uint64_t installation)
{
    (void)installation;
    return !*(bool *)arg;
}

/* ---- the calls ---- */

static struct policy policy = {.label = label,
                               .http_url = http_url,
                               .dispatch_event = dispatch_event,
                               .workflow = workflow,
                               .workflow_ref = workflow_ref,
                               .trigger_can_be_asked = true};

static enum err_code call_pull(struct github *github, struct err *err)
{
    struct snapshot pull;
    enum err_code code = github_get_pull(github, 7, &policy, &pull, err);
    if (code != ERR_OK)
        return code;
    MUST(sha_is_set(&pull.head) && text_is_ref(pull.head_ref) && text_is_ref(pull.base_ref));
    MUST(text_utf8_valid(pull.title, strlen(pull.title)));
    MUST(pull.author.id == 0 || text_is_login(pull.author.login));
    return code;
}

static enum err_code call_whoami(struct github *github, struct err *err)
{
    struct user me;
    enum err_code code = github_whoami(github, &me, err);
    MUST(code != ERR_OK || text_is_login(me.login));
    return code;
}

static enum err_code call_permission(struct github *github, struct err *err)
{
    enum permission permission;
    enum err_code code = github_get_permission(github, "bob", &permission, err);
    MUST(code != ERR_OK || permission <= PERMISSION_ADMIN);
    return code;
}

static enum err_code call_team(struct github *github, struct err *err)
{
    bool member;
    return github_is_team_member(github, "octo/crew", "bob", &member, err);
}

static enum err_code call_has_label(struct github *github, struct err *err)
{
    bool there;
    return github_has_label(github, 7, &policy, &there, err);
}

static enum err_code call_add_label(struct github *github, struct err *err)
{
    return github_add_label(github, 7, &policy, err);
}

static enum err_code call_remove_label(struct github *github, struct err *err)
{
    return github_remove_label(github, 7, &policy, err);
}

static enum err_code put_check(struct github *github, bool completed, struct err *err)
{
    struct github_check check = {.name = "Awaiting CICD label",
                                 .external_id = KEY,
                                 .title = "waits",
                                 .summary = "for **somebody**",
                                 .details_url = "https://prgate.example/status/octo/repo/7",
                                 .completed = completed};
    sha_parse(&check.sha, SHA_A);
    return github_put_check(github, &check, err);
}

static enum err_code call_await(struct github *github, struct err *err)
{
    return put_check(github, false, err);
}

static enum err_code call_complete(struct github *github, struct err *err)
{
    return put_check(github, true, err);
}

static enum err_code call_comment(struct github *github, struct err *err)
{
    return github_comment_once(github, 7, "conflict", "a conflict", err);
}

static enum err_code run_trigger(struct github *github, enum trigger_kind kind, bool ask, struct err *err)
{
    struct trigger trigger = {.pr = {.repo_id = 5, .number = 7},
                              .repo = "octo/repo",
                              .head_ref = "topic",
                              .base_ref = "main",
                              .author = "bob",
                              .key = KEY};
    bool known;
    sha_parse(&trigger.head, SHA_A);
    policy.trigger = kind;
    return ask ? trigger_ask(github, &policy, &trigger, 1700000000, &known, err)
               : trigger_send(github, &policy, &trigger, err);
}

static enum err_code call_dispatch(struct github *github, struct err *err)
{
    return run_trigger(github, TRIGGER_REPOSITORY_DISPATCH, false, err);
}

static enum err_code call_workflow(struct github *github, struct err *err)
{
    return run_trigger(github, TRIGGER_WORKFLOW_DISPATCH, false, err);
}

static enum err_code call_http(struct github *github, struct err *err)
{
    return run_trigger(github, TRIGGER_HTTP, false, err);
}

static enum err_code call_find_run(struct github *github, struct err *err)
{
    return run_trigger(github, TRIGGER_REPOSITORY_DISPATCH, true, err);
}

static enum err_code call_ask_http(struct github *github, struct err *err)
{
    return run_trigger(github, TRIGGER_HTTP, true, err);
}

static enum err_code (*const calls[])(struct github *github, struct err *err) = {
    call_pull,      call_whoami,       call_permission, call_team,     call_has_label,
    call_add_label, call_remove_label, call_await,      call_complete, call_comment,
    call_dispatch,  call_workflow,     call_http,       call_find_run, call_ask_http};

/* ---- libFuzzer ---- */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_setup();
    EVP_PKEY *key = EVP_RSA_gen(1024); /* small, so that it is fast; it signs for nobody */
    BIO *bio = BIO_new(BIO_s_mem());
    MUST(key != NULL && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
    char *text;
    long len = BIO_get_mem_data(bio, &text);
    key_pem = mem_alloc((size_t)len + 1);
    memcpy(key_pem, text, (size_t)len);
    key_pem[len] = '\0';
    BIO_free(bio);
    EVP_PKEY_free(key);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *line_end = size == 0 ? NULL : memchr(data, '\n', size);
    if (line_end == NULL || line_end - (const char *)data < 2)
        return 0;
    size_t head = (size_t)(line_end - (const char *)data) + 1;
    struct wire wire = {.http.perform = perform, .at = line_end + 1, .left = size - head};
    bool is_app = data[1] == 'a' || data[1] == 'w';
    bool other_mints = data[1] == 'w';
    struct config config = {.api_url = api_url, .dry_run = data[1] == 'd', .request_timeout_s = 20};
    config.app_id = is_app ? 12345 : 0;
    config.app_key_pem = is_app ? key_pem : NULL;
    config.token = is_app ? NULL : token;
    struct github_tokens tokens = {
        .arg = &other_mints, .get = tokens_get, .put = tokens_put, .lease = tokens_lease};
    struct github *github;
    struct err err = {0};
    now = 1700000000000;
    MUST(github_open(&github, &config, &wire.http, &tokens, &err) == ERR_OK);
    github_set_clock(github, &fake_clock);
    github_use(github, "octo/repo", data[1] == 'a' ? 0 : 77);
    enum err_code code = calls[(unsigned)(data[0] - 'a') % (sizeof calls / sizeof *calls)](github, &err);
    if (code != ERR_OK)
        MUST(err.code == code && err.text[0] != '\0' && strlen(err.text) < ERR_TEXT_MAX);
    github_close(github);
    return 0;
}
