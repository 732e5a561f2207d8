#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "github_internal.h"
#include "prgate/clock.h"
#include "prgate/fiber.h"
#include "prgate/log.h"
#include "prgate/text.h"

/* GitHub's lists are shorter; what has more pages is a Link header that runs in circles. */
enum { PAGES_MAX = 200 };

static const char json_header[] = "Content-Type: application/json";

/* ---- the handle ---- */

static const struct github_clock system_clock = {clock_now_ms, fiber_sleep_ms};

enum err_code github_open(struct github **out, const struct config *config, struct http *http,
                          const struct github_tokens *tokens, struct err *err)
{
    if (strncasecmp(config->api_url, "https://", 8) != 0 && strncasecmp(config->api_url, "http://", 7) != 0)
        return err_set(err, ERR_REJECT, 0, "api_url %s is not a URL of http or https", config->api_url);
    struct github *github = mem_alloc(sizeof *github);
    *github = (struct github){.config = config, .http = http, .tokens = tokens, .clock = &system_clock};
    *out = github;
    return ERR_OK;
}

void github_close(struct github *github)
{
    if (github == NULL)
        return;
    explicit_bzero(github, sizeof *github);
    free(github);
}

void github_learn_from(struct github *github, const struct github *other)
{
    if (github->me.login[0] == '\0')
        github->me = other->me;
}

void github_set_clock(struct github *github, const struct github_clock *clock)
{
    github->clock = clock;
}

void github_on_call(struct github *github, github_call_fn *fn, void *arg)
{
    github->on_call = fn;
    github->on_call_arg = arg;
}

void github_use(struct github *github, const char *repo, uint64_t installation)
{
    bool same = strcmp(github->repo, repo) == 0;
    /* An installation that was asked for stays known while the repository is the same. */
    if (installation != 0 || !same)
        github->installation = installation;
    if (!same && !text_copy(github->repo, sizeof github->repo, repo))
        log_panic("a repository name that is too long was not refused at the door", LOG_STR("repo", repo));
}

void github_hold(struct github *github, int64_t until_ms)
{
    github->held_until_ms = until_ms;
    github->held_back = false;
}

bool github_held_back(const struct github *github)
{
    return github->held_back;
}

bool github_can_read(const struct github *github)
{
    return config_credentials(github->config) != CREDENTIALS_NONE;
}

int64_t github_now_s(const struct github *github)
{
    return github->clock->now_ms() / 1000;
}

enum err_code github_cannot_read(struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, 0, "nothing can be read from GitHub without credentials");
}

enum err_code github_turn(struct err *err, enum err_code code)
{
    if (err != NULL)
        err->code = code;
    return code;
}

/* ---- URLs ---- */

void github_add_api(const struct github *github, struct buf *url)
{
    buf_adds(url, github->config->api_url);
}

/* GitHub's API has a host of its own, GitHub Enterprise Server's a path. */
void github_add_web(const struct github *github, struct buf *url)
{
    github_add_web_of(github->config, url);
}

void github_add_web_of(const struct config *config, struct buf *url)
{
    static const char host[] = "://api.", path[] = "/api/v3";
    const char *api = config->api_url;
    const char *at = strstr(api, host);
    size_t len = strlen(api), path_len = sizeof path - 1;
    if (len > path_len && strcmp(api + len - path_len, path) == 0) {
        buf_add(url, api, len - path_len);
    } else if (at != NULL) {
        buf_add(url, api, (size_t)(at - api));
        buf_addf(url, "://%s", at + sizeof host - 1);
    } else {
        buf_adds(url, api);
    }
}

void github_add_repo(const struct github *github, struct buf *url)
{
    char owner[REPO_NAME_SIZE];
    size_t len = strcspn(github->repo, "/");
    memcpy(owner, github->repo, len);
    owner[len] = '\0';
    github_add_api(github, url);
    buf_adds(url, "/repos/");
    text_add_url(url, owner);
    buf_addc(url, '/');
    text_add_url(url, github->repo[len] == '/' ? github->repo + len + 1 : "");
}

const char *github_path(const struct github *github, const char *url)
{
    size_t len = strlen(github->config->api_url);
    return strncmp(url, github->config->api_url, len) == 0 ? url + len : url;
}

/* Scheme, host and port of the API: only there may the token go. */
static bool is_at_home(const struct github *github, const char *url)
{
    const char *api = github->config->api_url;
    const char *host = strstr(api, "://");
    size_t len = host == NULL ? strlen(api) : (size_t)(host - api) + 3;
    len += strcspn(api + len, "/");
    return strncasecmp(url, api, len) == 0 && (url[len] == '/' || url[len] == '?');
}

/* A URL without user, password and query, in which people put secrets. */
static void add_bare_url(struct buf *out, const char *url)
{
    const char *scheme_end = strstr(url, "://");
    const char *host = scheme_end == NULL ? url : scheme_end + 3;
    size_t host_len = strcspn(host, "/?#");
    const char *user_end = memrchr(host, '@', host_len);
    buf_add(out, url, (size_t)(host - url));
    if (user_end != NULL)
        host = user_end + 1;
    buf_add(out, host, strcspn(host, "?#"));
}

/* ---- one exchange ---- */

static void report(const struct github *github, const struct github_call *call)
{
    if (github->on_call != NULL)
        github->on_call(github->on_call_arg, call);
}

/*
 * Sends and judges. `call` says what may be shown of the request, and gets the rest
 * from the reply.
 */
static enum err_code exchange(struct github *github, const struct http_request *request,
                              struct github_call *call, struct http_reply *reply, struct err *err)
{
    struct err cause = {0};
    enum err_code code = github->http->perform(github->http, request, reply, &cause);
    call->status = code == ERR_OK ? reply->status : 0;
    call->duration_ms = reply->duration_ms;
    call->rate_limit = reply->rate_limit;
    call->rate_remaining = reply->rate_remaining;
    call->rate_reset = reply->rate_reset;
    report(github, call);
    if (code == ERR_OK)
        code = github_judge(github, call, reply, err);
    else
        err_set(err, code, cause.number, "%s %s: %s", call->method, github_path(github, call->url),
                cause.text);
    /* Reading has no effect that could have taken place. */
    if (code == ERR_UNKNOWN && strcmp(call->method, "GET") == 0)
        code = github_turn(err, ERR_RETRY);
    return code;
}

static void show_dry_run(struct github *github, const struct github_call *call)
{
    github->shown++;
    log_info("dry-run call", LOG_STR("method", call->method), LOG_STR("url", call->url),
             LOG_STR("body", call->body == NULL ? "" : call->body));
    report(github, call);
}

/* The body as text, yours to cJSON_free(); NULL = none. No request goes out without one it should have. */
static char *print_body(const struct github_ask *ask)
{
    if (ask->body == NULL)
        return NULL;
    char *body = cJSON_PrintUnformatted(ask->body);
    if (body == NULL)
        log_panic("out of memory");
    return body;
}

static struct github_call shown_call(const struct github_ask *ask, const char *body)
{
    return (struct github_call){.method = ask->method,
                                .url = ask->url,
                                .body = body,
                                .rate_limit = -1,
                                .rate_remaining = -1,
                                .rate_reset = -1};
}

static enum err_code fetch_once(struct github *github, const struct github_ask *ask, const char *body,
                                struct http_reply *reply, struct err *err)
{
    struct github_call call = shown_call(ask, body);
    struct buf authorization;
    buf_init(&authorization);
    http_reply_clear(reply);
    enum err_code code = github_authorize(github, ask->role, &authorization, err);
    if (code == ERR_OK) {
        struct http_request request = {
            .method = ask->method,
            .url = ask->url,
            .headers = {GITHUB_ACCEPT, GITHUB_VERSION, GITHUB_AGENT, buf_text(&authorization),
                        body == NULL ? NULL : json_header},
            .body = body,
            .body_len = body == NULL ? 0 : strlen(body),
            .once = ask->once,
        };
        code = exchange(github, &request, &call, reply, err);
    }
    if (authorization.data != NULL)
        explicit_bzero(authorization.data, authorization.cap);
    buf_release(&authorization);
    return code;
}

/* 401 to an installation token: it ended early (revoked, or our clock is wrong); another may do. */
static bool token_was_refused(const struct github *github, const struct github_ask *ask,
                              const struct http_reply *reply)
{
    return reply->status == 401 && ask->role == GITHUB_ROLE_REPO &&
           config_credentials(github->config) == CREDENTIALS_APP;
}

enum err_code github_fetch(struct github *github, const struct github_ask *ask, struct http_reply *reply,
                           struct err *err)
{
    if (ask->once && github->held_until_ms != 0) {
        err_set(err, ERR_RETRY, 0, "GitHub may be doing it already, and shows it only later");
        err->retry_at_ms = github->held_until_ms;
        github->held_back = true;
        return ERR_RETRY;
    }
    char *body = print_body(ask);
    enum err_code code = fetch_once(github, ask, body, reply, err);
    if (token_was_refused(github, ask, reply)) {
        github_refuse_token(github);
        code = fetch_once(github, ask, body, reply, err);
    }
    if (token_was_refused(github, ask, reply)) {
        github_refuse_token(github);
        code = github_turn(err, ERR_RETRY);
    }
    cJSON_free(body);
    return code;
}

enum err_code github_read(struct github *github, enum github_role role, const char *url, cJSON **reply,
                          struct err *err)
{
    if (!github_can_read(github))
        return github_cannot_read(err);
    struct github_ask ask = {.method = "GET", .url = url, .role = role};
    struct http_reply got;
    http_reply_init(&got);
    enum err_code code = github_fetch(github, &ask, &got, err);
    if (code == ERR_OK)
        code = github_parse(github, &ask, &got, reply, err);
    http_reply_release(&got);
    return code;
}

static void dry_run(struct github *github, const struct github_ask *ask)
{
    char *body = print_body(ask);
    struct github_call call = shown_call(ask, body);
    call.dry_run = true;
    show_dry_run(github, &call);
    cJSON_free(body);
}

enum err_code github_write(struct github *github, const struct github_ask *ask, cJSON **reply,
                           struct err *err)
{
    if (reply != NULL)
        *reply = NULL;
    if (github->config->dry_run) {
        dry_run(github, ask);
        return ERR_OK;
    }
    struct http_reply got;
    http_reply_init(&got);
    enum err_code code = github_fetch(github, ask, &got, err);
    if (code == ERR_OK && reply != NULL)
        code = github_parse(github, ask, &got, reply, err);
    http_reply_release(&got);
    return code;
}

/* ---- lists ---- */

static enum err_code each_on_page(struct github *github, const struct github_list *list, const cJSON *page,
                                  bool *enough, struct err *err)
{
    struct github_ask ask = {.method = "GET", .url = list->url};
    const cJSON *items = list->member == NULL ? page : tree_find(page, list->member);
    if (!cJSON_IsArray(items))
        return github_odd_reply(github, &ask, list->member == NULL ? "not a list" : "no list in it", err);
    for (const cJSON *item = items->child; item != NULL; item = item->next) {
        switch (list->item(list->arg, item)) {
        case GITHUB_GO_ON:
            break;
        case GITHUB_ENOUGH:
            *enough = true;
            return ERR_OK;
        case GITHUB_ODD:
            return github_odd_reply(github, &ask, list->odd, err);
        }
    }
    return ERR_OK;
}

/* Fetches the page at `url`, shows its items, and replaces `url` by the next page's; "" = no more. */
static enum err_code each_of_page(struct github *github, const struct github_list *list, struct buf *url,
                                  struct err *err)
{
    struct github_ask ask = {.method = "GET", .url = buf_text(url), .role = list->role};
    bool enough = false;
    cJSON *page = NULL;
    struct http_reply reply;
    http_reply_init(&reply);
    enum err_code code = github_fetch(github, &ask, &reply, err);
    if (list->long_ids)
        github_quote_long_numbers(&reply.body);
    if (code == ERR_OK)
        code = github_parse(github, &ask, &reply, &page, err);
    if (code == ERR_OK)
        code = each_on_page(github, list, page, &enough, err);
    /* A list that breaks off must not look complete. */
    if (code == ERR_OK && !enough && reply.next_url[0] != '\0' && !is_at_home(github, reply.next_url))
        code = github_odd_reply(github, &ask, "its next page is on another server", err);
    buf_clear(url);
    if (!enough)
        buf_adds(url, reply.next_url);
    tree_free(page);
    http_reply_release(&reply);
    return code;
}

enum err_code github_each(struct github *github, const struct github_list *list, struct err *err)
{
    if (!github_can_read(github))
        return github_cannot_read(err);
    enum err_code code = ERR_OK;
    struct buf url;
    buf_init(&url);
    buf_adds(&url, list->url);
    for (int pages = 0; code == ERR_OK && url.len > 0; pages++) {
        if (pages == PAGES_MAX)
            code = err_set(err, ERR_REJECT, 0, "GET %s: more than %d pages", github_path(github, list->url),
                           (int)PAGES_MAX);
        else
            code = each_of_page(github, list, &url, err);
    }
    buf_release(&url);
    return code;
}

unsigned github_shown(const struct github *github)
{
    return github->shown;
}

/* ---- elsewhere ---- */

static enum err_code call_shown(struct github *github, const struct http_request *request,
                                struct github_call *call, struct err *err)
{
    struct http_reply reply;
    http_reply_init(&reply);
    struct http_request with_agent = *request;
    size_t i = 0;
    while (i < HTTP_HEADERS_MAX && with_agent.headers[i] != NULL)
        i++;
    if (i < HTTP_HEADERS_MAX)
        with_agent.headers[i] = GITHUB_AGENT;
    enum err_code code = exchange(github, &with_agent, call, &reply, err);
    http_reply_release(&reply);
    return code;
}

enum err_code github_call_elsewhere(struct github *github, const struct http_request *request,
                                    struct err *err)
{
    bool reads = strcmp(request->method, "GET") == 0;
    enum err_code code = ERR_OK;
    struct buf url;
    buf_init(&url);
    add_bare_url(&url, request->url);
    struct github_call call = {.method = request->method,
                               .url = buf_text(&url),
                               .body = request->body,
                               .rate_remaining = -1,
                               .rate_reset = -1,
                               .dry_run = !reads && github->config->dry_run};
    if (call.dry_run)
        show_dry_run(github, &call);
    else if (github->config->dry_run && !github_can_read(github))
        code = github_cannot_read(err);
    else
        code = call_shown(github, request, &call, err);
    buf_release(&url);
    return code;
}
