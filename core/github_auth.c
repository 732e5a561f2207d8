/*
 * Installation tokens live for an hour and are shared by all processes of the pool
 * through `struct github_tokens`. What a handle does depends on how long the one it
 * knows of has left:
 *
 *     more than RENEW_BEFORE_S   use it, ask nobody
 *     more than SPARE_S          look for a newer one; whoever has the lease mints one;
 *                                everyone, also the minter that failed, uses the old one
 *     less                       whoever has the lease mints; the others wait for the result
 *
 * A token that GitHub answered with 401 counts as having nothing left. Dying anywhere
 * here leaves at most a lease, which ends by itself.
 */
#include <inttypes.h>
#include <string.h>

#include "github_internal.h"
#include "prgate/app_auth.h"
#include "prgate/log.h"
#include "prgate/text.h"

enum { RENEW_BEFORE_S = 600, SPARE_S = 60, WAIT_MS = 10000, POLL_MS = 50 };

static int64_t seconds_left(const struct github *github)
{
    const struct github_token *token = &github->token;
    if (token->text[0] == '\0' || token->installation != github->installation ||
        strcmp(token->text, github->refused) == 0)
        return 0;
    return token->expires_at - github_now_s(github);
}

/* For an answer that belongs to us and not to the call that the token is for. */
static enum err_code own_error(struct err *err, enum err_code code, const char *verb)
{
    if (err != NULL)
        err_wrap(err, verb);
    if (code == ERR_UNKNOWN)
        return github_turn(err, ERR_RETRY); /* a token too many does no harm */
    if (code == ERR_NOT_FOUND)
        return github_turn(err, ERR_REJECT);
    return code;
}

/* ---- which installation ---- */

static enum err_code ask_installation(struct github *github, const char *url, struct err *err)
{
    struct github_ask ask = {.method = "GET", .url = url};
    cJSON *reply = NULL;
    enum err_code code = github_read(github, GITHUB_ROLE_APP, url, &reply, err);
    if (code != ERR_OK)
        return own_error(err, code,
                         code == ERR_NOT_FOUND ? "the App is not installed on this repository"
                                               : "asking for the App's installation");
    if (!github_json_u64(reply, "id", &github->installation) || github->installation == 0) {
        github->installation = 0;
        code = github_odd_reply(github, &ask, "no id", err);
    }
    tree_free(reply);
    return code;
}

static enum err_code know_installation(struct github *github, struct err *err)
{
    if (github->installation != 0)
        return ERR_OK;
    struct buf url;
    buf_init(&url);
    github_add_repo(github, &url);
    buf_adds(&url, "/installation");
    enum err_code code = ask_installation(github, buf_text(&url), err);
    buf_release(&url);
    return code;
}

/* ---- minting ---- */

/* It becomes part of a header. An odd one must not get into the pool, where each call would fail with it. */
static bool is_token(const char *text)
{
    for (const char *at = text; *at != '\0'; at++)
        if (*at <= ' ' || *at > '~')
            return false;
    return text[0] != '\0';
}

static bool read_token(const cJSON *reply, struct github_token *token)
{
    const char *text = github_json_text(reply, "token");
    const char *expires_at = github_json_text(reply, "expires_at");
    if (text == NULL || expires_at == NULL || !is_token(text))
        return false;
    token->expires_at = text_to_time(expires_at);
    return token->expires_at >= 0 && text_copy(token->text, sizeof token->text, text);
}

/* The new token is good even if it cannot be shared: then the others mint, too. */
static void share(struct github *github, const struct github_token *token)
{
    struct err err = {0};
    if (github->tokens == NULL)
        return;
    if (github->tokens->put(github->tokens->arg, token->installation, token->text, token->expires_at, &err) !=
        ERR_OK)
        log_warning("installation token not shared", LOG_STR("error", err.text));
}

static enum err_code take_minted(struct github *github, const struct github_ask *ask,
                                 const struct http_reply *got, struct err *err)
{
    struct github_token token = {.installation = github->installation};
    cJSON *reply = NULL;
    enum err_code code = github_parse(github, ask, got, &reply, err);
    if (code != ERR_OK)
        return code;
    if (read_token(reply, &token)) {
        github->token = token;
        share(github, &token);
    } else {
        code = github_odd_reply(github, ask, "no valid token with expires_at", err);
    }
    tree_free(reply);
    return code;
}

/* Not github_write(): a dry run, too, needs a token for what it reads. */
static enum err_code mint(struct github *github, struct err *err)
{
    struct http_reply got;
    struct buf url;
    http_reply_init(&got);
    buf_init(&url);
    github_add_api(github, &url);
    buf_addf(&url, "/app/installations/%" PRIu64 "/access_tokens", github->installation);
    struct github_ask ask = {.method = "POST", .url = buf_text(&url), .role = GITHUB_ROLE_APP};
    enum err_code code = github_fetch(github, &ask, &got, err);
    if (code == ERR_OK)
        code = take_minted(github, &ask, &got, err);
    else if (code == ERR_NOT_FOUND)
        github->installation = 0; /* it is gone: installing the App again makes another */
    if (code != ERR_OK)
        code = own_error(err, code, "minting an installation token");
    http_reply_release(&got);
    buf_release(&url);
    return code;
}

/* ---- sharing ---- */

/* Takes over what the pool knows, if it is better than what the handle has. */
static enum err_code adopt(struct github *github, struct err *err)
{
    if (github->tokens == NULL)
        return ERR_OK;
    struct github_token token = {.installation = github->installation};
    enum err_code code =
        github->tokens->get(github->tokens->arg, token.installation, token.text, &token.expires_at, err);
    if (code == ERR_OK && strcmp(token.text, github->refused) != 0 &&
        (seconds_left(github) <= 0 || token.expires_at > github->token.expires_at))
        github->token = token;
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

/*
 * Mints if it is our turn and if, seen under the lease, no token has more than
 * `enough_s` left. *done: it was our turn.
 */
static enum err_code mint_in_turn(struct github *github, int64_t enough_s, bool *done, struct err *err)
{
    *done = false;
    if (github->tokens != NULL && !github->tokens->lease(github->tokens->arg, github->installation))
        return ERR_OK;
    enum err_code code = adopt(github, err);
    if (code == ERR_OK && seconds_left(github) <= enough_s)
        code = mint(github, err);
    *done = code == ERR_OK;
    return code;
}

/* The old token still works: nothing that goes wrong with a new one is worth failing for. */
static void renew_early(struct github *github)
{
    bool done;
    struct err err = {0};
    if (mint_in_turn(github, RENEW_BEFORE_S, &done, &err) != ERR_OK)
        log_warning("installation token not renewed, the old one is used", LOG_STR("error", err.text));
}

static enum err_code wait_for_token(struct github *github, struct err *err)
{
    int64_t give_up_ms = github->clock->now_ms() + WAIT_MS;
    for (;;) {
        bool done;
        enum err_code code = mint_in_turn(github, SPARE_S, &done, err);
        if (code != ERR_OK || done)
            return code;
        if (github->clock->now_ms() >= give_up_ms)
            return err_set(err, ERR_RETRY, 0,
                           "no installation token came from the process that is to mint it");
        github->clock->sleep_ms(POLL_MS);
        code = adopt(github, err);
        if (code != ERR_OK || seconds_left(github) > SPARE_S)
            return code;
    }
}

static enum err_code have_token(struct github *github, struct err *err)
{
    if (seconds_left(github) > RENEW_BEFORE_S)
        return ERR_OK;
    enum err_code code = adopt(github, err);
    if (code != ERR_OK || seconds_left(github) > RENEW_BEFORE_S)
        return code;
    if (seconds_left(github) <= SPARE_S)
        return wait_for_token(github, err);
    renew_early(github);
    return ERR_OK;
}

void github_refuse_token(struct github *github)
{
    memcpy(github->refused, github->token.text, sizeof github->refused);
    explicit_bzero(&github->token, sizeof github->token);
}

/* ---- the header ---- */

static enum err_code have_installation_token(struct github *github, struct err *err)
{
    enum err_code code = know_installation(github, err);
    return code == ERR_OK ? have_token(github, err) : code;
}

static enum err_code add_app_token(struct github *github, struct buf *header, struct err *err)
{
    bool was_known = github->installation != 0;
    enum err_code code = have_installation_token(github, err);
    /* A delivery may have waited here while the App was removed and installed again. */
    if (code == ERR_REJECT && was_known && github->installation == 0)
        code = have_installation_token(github, err);
    if (code == ERR_OK)
        buf_adds(header, github->token.text);
    return code;
}

static enum err_code add_jwt(const struct github *github, struct buf *header, struct err *err)
{
    const struct config *config = github->config;
    return app_jwt(config->app_key_pem, config->app_id, github_now_s(github), header, err);
}

enum err_code github_authorize(struct github *github, enum github_role role, struct buf *header,
                               struct err *err)
{
    buf_adds(header, "Authorization: Bearer ");
    switch (config_credentials(github->config)) {
    case CREDENTIALS_NONE:
        return err_set(err, ERR_REJECT, 0, "no credentials for GitHub are configured");
    case CREDENTIALS_TOKEN:
        buf_adds(header, github->config->token);
        return ERR_OK;
    case CREDENTIALS_APP:
        return role == GITHUB_ROLE_APP ? add_jwt(github, header, err) : add_app_token(github, header, err);
    }
    return ERR_OK;
}
