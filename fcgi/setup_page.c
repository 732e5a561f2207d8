#include "setup_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/app_dir.h"
#include "prgate/clock.h"
#include "prgate/github_manifest.h"
#include "prgate/log.h"
#include "prgate/manifest.h"
#include "prgate/needs.h"
#include "prgate/setup.h"
#include "query.h"

/* The web server is waiting, and hangs up after CONNECTION_MAX_MS. */
enum { EXCHANGE_MAX_S = 8, WORD_SIZE = 256 };

/* As of any page that there is not: nobody is to learn whether a set-up is going on. */
static void reply_closed(const struct ask *ask, struct reply *reply)
{
    status_error(ask, 404, "there is no such page", reply);
}

/* By another process of the pool it may be there already, a moment before this one reloads. */
static bool awaits_app(const struct config *config)
{
    return config->awaits_app && !app_dir_is_there(config->app_dir);
}

/* Somebody who has the word of the open set-up. */
struct admission {
    struct setup_lock lock;
    char word[WORD_SIZE];
    char org[LOGIN_SIZE];
};

/* True: *in is filled in, and its lock held. False: the reply is there. */
static bool admit(const struct ask *ask, const struct request *request, enum setup_word word,
                  struct admission *in, struct reply *reply)
{
    const struct config *config = ask->gate->config;
    int64_t now_s = clock_now_ms() / 1000;
    struct err err = {0};
    const char *name = word == SETUP_CODE ? "code" : "state";
    if (!awaits_app(config) || !query_get(ask->query, name, in->word, sizeof in->word) ||
        !setup_is_open(config->state_dir, now_s)) {
        reply_closed(ask, reply);
        return false;
    }
    if (setup_lock(&in->lock, config->state_dir, false, &err) != ERR_OK) {
        reply->retry_after_s = 1;
        status_error(ask, 503, "this page is busy: try again in a moment", reply);
        return false;
    }
    if (setup_check(config->state_dir, word, in->word, now_s, in->org, &err) == ERR_OK)
        return true;
    log_warning("the set-up page was refused", LOG_STR("reason", err.text),
                LOG_STR("remote", request->remote_addr));
    setup_unlock(&in->lock);
    reply_closed(ask, reply);
    return false;
}

/* ---- /setup ------------------------------------------------------------------------ */

static void add_needs(cJSON *page, const char *name, const struct need *needs, size_t count)
{
    cJSON *list = cJSON_AddArrayToObject(page, name);
    for (size_t i = 0; i < count; i++) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "name", needs[i].name);
        cJSON_AddStringToObject(item, "access", needs[i].access == NULL ? "" : needs[i].access);
        cJSON_AddStringToObject(item, "why", needs[i].why);
        cJSON_AddItemToArray(list, item);
    }
}

static void add_manifest(cJSON *page, const struct config *config)
{
    struct buf redirect;
    buf_init(&redirect);
    buf_addf(&redirect, "%s/setup/done", config->public_url);
    cJSON *manifest = manifest_make(config, config->public_url, buf_text(&redirect));
    char *text = cJSON_PrintUnformatted(manifest);
    cJSON_AddStringToObject(page, "manifest", text);
    cJSON_AddStringToObject(page, "name", cJSON_GetObjectItem(manifest, "name")->valuestring);
    cJSON_free(text);
    cJSON_Delete(manifest);
    buf_release(&redirect);
}

static cJSON *make_page(const struct config *config, const char *code, const char *org)
{
    struct need needs[NEEDS_MAX];
    struct buf form;
    char state[SETUP_STATE_SIZE];
    cJSON *page = cJSON_CreateObject();
    buf_init(&form);
    manifest_add_form_url(config, org, &form);
    setup_state(code, state);
    cJSON_AddStringToObject(page, "form_url", buf_text(&form));
    cJSON_AddStringToObject(page, "state", state);
    cJSON_AddStringToObject(page, "org", org);
    cJSON_AddStringToObject(page, "public_url", config->public_url);
    cJSON_AddStringToObject(page, "app_dir", config->app_dir);
    add_manifest(page, config);
    add_needs(page, "permissions", needs, needs_permissions(config, needs));
    add_needs(page, "events", needs, needs_granted_events(config, needs));
    buf_release(&form);
    return page;
}

/* "https://github.com": as far as a policy for forms can be narrowed down where the answer is a redirect. */
static void allow_form(const char *url, struct reply *reply)
{
    const char *host = strstr(url, "://") + 3;
    snprintf(reply->form_action, sizeof reply->form_action, "%.*s%.*s", (int)(host - url), url,
             (int)strcspn(host, "/"), host);
}

void setup_page_begin(const struct ask *ask, const struct request *request, struct reply *reply)
{
    struct admission in;
    if (!admit(ask, request, SETUP_CODE, &in, reply))
        return;
    setup_unlock(&in.lock);
    log_info("the set-up page was opened", LOG_STR("remote", request->remote_addr));
    cJSON *page = make_page(ask->gate->config, in.word, in.org);
    allow_form(cJSON_GetObjectItem(page, "form_url")->valuestring, reply);
    status_page(ask, 200, "setup", page, "Make the GitHub App", reply);
    cJSON_Delete(page);
}

/* ---- /setup/done ------------------------------------------------------------------- */

/* What the log and the person are told; the sentence has no full stop. */
static void reply_failure(const struct ask *ask, int status, const char *what, const struct err *err,
                          struct reply *reply)
{
    struct buf message;
    buf_init(&message);
    buf_addf(&message, "%s: %s", what, err->text);
    log_error("the GitHub App was not set up", LOG_STR("error", buf_text(&message)));
    status_error(ask, status, buf_text(&message), reply);
    buf_release(&message);
}

static enum err_code convert(const struct config *config, const char *code, struct app *app, struct err *err)
{
    struct http *http = NULL;
    int timeout_s = config->request_timeout_s < EXCHANGE_MAX_S ? config->request_timeout_s : EXCHANGE_MAX_S;
    enum err_code result = http_open(&http, timeout_s, err);
    if (result == ERR_OK)
        result = github_convert_manifest(config, http, code, app, err);
    http_close(http);
    return result;
}

static void tell_conversion_failed(const struct ask *ask, enum err_code code, const struct err *err,
                                   struct reply *reply)
{
    if (code == ERR_RETRY || code == ERR_UNKNOWN)
        reply_failure(ask, 502, "GitHub could not be asked for the App; load this page again", err, reply);
    else
        reply_failure(ask, 502,
                      "prgate did not get the App; if it is on GitHub now, delete it there, and begin anew "
                      "with prgatectl setup",
                      err, reply);
}

static void reply_done(const struct ask *ask, const struct app *app, struct reply *reply)
{
    cJSON *page = cJSON_CreateObject();
    struct buf install;
    buf_init(&install);
    if (app->url[0] != '\0')
        buf_addf(&install, "%s/installations/new", app->url);
    cJSON_AddStringToObject(page, "app_dir", ask->gate->config->app_dir);
    cJSON_AddStringToObject(page, "app_url", app->url);
    cJSON_AddStringToObject(page, "install_url", buf_text(&install));
    cJSON_AddNumberToObject(page, "app_id", (double)app->id);
    status_page(ask, 200, "setup-done", page, "The GitHub App is set up", reply);
    cJSON_Delete(page);
    buf_release(&install);
}

/*
 * Dying before GitHub is asked leaves all as it was, but for a DIR.new that is removed next time; while it is asked or
 * before app_dir_put() is through: an App on GitHub whose key nobody has, to be deleted there. Behind that, the set is there and
 * this page closed, whether or not the code was taken away.
 */
static void finish(const struct ask *ask, const char *code, struct reply *reply)
{
    const struct config *config = ask->gate->config;
    struct err err = {0};
    struct app app = {0};
    enum err_code result = app_dir_prepare(config->app_dir, &err);
    if (result != ERR_OK) {
        reply_failure(ask, 500, "nothing was asked of GitHub", &err, reply);
        return;
    }
    result = convert(config, code, &app, &err);
    if (result != ERR_OK) {
        app_dir_abandon(config->app_dir);
        tell_conversion_failed(ask, result, &err, reply);
    } else if (app_dir_put(config->app_dir, &app, &err) != ERR_OK) {
        reply_failure(ask, 500, "the App is on GitHub, but could not be stored; delete it there", &err,
                      reply);
    } else {
        setup_close(config->state_dir);
        log_info("the GitHub App is set up", LOG_INT("app_id", app.id), LOG_STR("url", app.url),
                 LOG_STR("app_dir", config->app_dir));
        reply_done(ask, &app, reply);
    }
    app_release(&app);
}

void setup_page_finish(const struct ask *ask, const struct request *request, struct reply *reply)
{
    struct admission in;
    char code[WORD_SIZE];
    if (strcmp(request->method, "GET") != 0) { /* HEAD changes nothing */
        reply_closed(ask, reply);
        return;
    }
    if (!admit(ask, request, SETUP_STATE, &in, reply))
        return;
    if (!query_get(ask->query, "code", code, sizeof code) || !github_is_manifest_code(code))
        status_error(ask, 400, "the address lacks the code that GitHub gives", reply);
    else
        finish(ask, code, reply);
    setup_unlock(&in.lock);
}
