#include "prgate/github_manifest.h"

#include <openssl/crypto.h>
#include <string.h>

#include "github_internal.h"
#include "prgate/app_auth.h"
#include "prgate/clock.h"
#include "prgate/text.h"

enum { CODE_MAX = 128, SECRET_MAX = 1000 };

bool github_is_manifest_code(const char *code)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t len = strnlen(code, CODE_MAX + 1);
    return len > 0 && len <= CODE_MAX && strspn(code, allowed) == len;
}

/* cJSON's copies of what must not stay in memory. */
static void wipe_tree(cJSON *tree)
{
    static const char *const names[] = {"pem", "webhook_secret", "client_secret"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        cJSON *item = cJSON_GetObjectItemCaseSensitive(tree, names[i]);
        if (cJSON_IsString(item))
            OPENSSL_cleanse(item->valuestring, strlen(item->valuestring));
    }
    tree_free(tree);
}

static enum err_code check_key(const struct app *app, struct err *err)
{
    struct buf jwt;
    buf_init(&jwt);
    enum err_code code = app_jwt(app->private_key, app->id, clock_now_ms() / 1000, &jwt, err);
    if (jwt.data != NULL)
        OPENSSL_cleanse(jwt.data, jwt.cap);
    buf_release(&jwt);
    return code;
}

/* One line without control characters, so that the file that it goes to holds it as it is. */
static bool is_secret(const char *text)
{
    size_t len = text == NULL ? 0 : strnlen(text, SECRET_MAX + 1);
    for (size_t i = 0; i < len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    return len > 0 && len <= SECRET_MAX;
}

/* It becomes a link: it must lead to where GitHub is. */
static bool is_own_url(const struct config *config, const char *url)
{
    struct buf web;
    buf_init(&web);
    github_add_web_of(config, &web);
    buf_addc(&web, '/');
    bool own =
        url != NULL && strncmp(url, buf_text(&web), web.len) == 0 && strpbrk(url, " \t\r\n\"<>") == NULL;
    buf_release(&web);
    return own;
}

static enum err_code take_app(const struct config *config, const cJSON *tree, struct app *out,
                              struct err *err)
{
    const char *pem = github_json_text(tree, "pem"), *secret = github_json_text(tree, "webhook_secret");
    const char *url = github_json_text(tree, "html_url");
    if (!github_json_u64(tree, "id", &out->id) || out->id == 0)
        return err_set(err, ERR_REJECT, 0, "GitHub made an App and did not tell its number");
    if (pem == NULL)
        return err_set(err, ERR_REJECT, 0, "GitHub made an App and gave no private key");
    if (!is_secret(secret))
        return err_set(err, ERR_REJECT, 0, "GitHub made an App and gave no webhook secret");
    out->private_key = mem_strdup(pem);
    out->webhook_secret = mem_strdup(secret);
    out->url = mem_strdup(is_own_url(config, url) ? url : "");
    return check_key(out, err);
}

static enum err_code judge(const struct config *config, struct http_reply *reply, struct app *out,
                           struct err *err)
{
    if (reply->status == 404)
        return err_set(err, ERR_NOT_FOUND, 404,
                       "GitHub does not know the code: it was used, or an hour is over");
    if (reply->status != 201 && reply->status != 200)
        return err_set(err, reply->status >= 500 ? ERR_UNKNOWN : ERR_REJECT, reply->status,
                       "GitHub answered the code with %d", reply->status);
    /* As it came: html_url is read, and links.h knows nothing of that. */
    cJSON *tree = tree_parse((const char *)reply->body.data, reply->body.len, NULL);
    enum err_code code = cJSON_IsObject(tree)
                             ? take_app(config, tree, out, err)
                             : err_set(err, ERR_REJECT, 0, "GitHub's answer to the code is no JSON object");
    wipe_tree(tree);
    if (code != ERR_OK)
        app_release(out);
    return code;
}

enum err_code github_convert_manifest(const struct config *config, struct http *http, const char *code,
                                      struct app *out, struct err *err)
{
    struct buf url;
    struct http_reply reply;
    buf_init(&url);
    http_reply_init(&reply);
    buf_addf(&url, "%s/app-manifests/", config->api_url);
    text_add_url(&url, code);
    buf_adds(&url, "/conversions");
    struct http_request request = {.method = "POST",
                                   .url = buf_text(&url),
                                   .headers = {GITHUB_ACCEPT, GITHUB_VERSION, GITHUB_AGENT},
                                   .once = true,
                                   .no_redirect = true};
    enum err_code result = http->perform(http, &request, &reply, err);
    if (result == ERR_OK)
        result = judge(config, &reply, out, err);
    if (reply.body.data != NULL)
        OPENSSL_cleanse(reply.body.data, reply.body.cap);
    http_reply_release(&reply);
    buf_release(&url);
    return result;
}
