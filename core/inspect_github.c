#include "prgate/inspect_github.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "prgate/buf.h"
#include "prgate/github.h"
#include "prgate/github_app.h"
#include "prgate/http.h"
#include "prgate/needs.h"
#include "prgate/text.h"

enum { REPOS_MAX = 50 };

struct inspection {
    const struct config *config;
    struct github *github;
    inspect_fn *tell;
    void *arg;
    unsigned errors;
    bool unreachable; /* the rest would only take time to say the same */
};

static void tell(struct inspection *in, enum finding finding, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void tell(struct inspection *in, enum finding finding, const char *format, ...)
{
    struct buf text;
    va_list args;
    buf_init(&text);
    va_start(args, format);
    buf_addv(&text, format, args);
    va_end(args);
    in->errors += finding == FINDING_ERROR;
    in->tell(in->arg, finding, buf_text(&text));
    buf_release(&text);
}

static void tell_failure(struct inspection *in, const char *what, enum err_code code, const struct err *err)
{
    if (code == ERR_RETRY || code == ERR_UNKNOWN) {
        in->unreachable = true;
        tell(in, FINDING_WARNING, "GitHub could not be asked %s: %s", what, err->text);
    } else {
        tell(in, FINDING_ERROR, "asking GitHub %s: %s", what, err->text);
    }
}

/* ---- permissions and events ------------------------------------------------------------------- */

struct grants {
    struct need needs[2 * NEEDS_MAX];
    bool enough[2 * NEEDS_MAX];
    size_t count;
};

static void list_needs(const struct config *config, struct grants *grants)
{
    *grants = (struct grants){.count = 0};
    grants->count = needs_permissions(config, grants->needs);
    grants->count += needs_events(grants->needs + grants->count);
}

static void see_grant(void *arg, const char *name, const char *access)
{
    struct grants *grants = arg;
    for (size_t i = 0; i < grants->count; i++) {
        const struct need *need = &grants->needs[i];
        bool same_kind = (need->access == NULL) == (access == NULL);
        if (same_kind && strcmp(need->name, name) == 0 &&
            (access == NULL || needs_is_enough(access, need->access)))
            grants->enough[i] = true;
    }
}

static void tell_missing(struct inspection *in, const char *whose, const char *remedy,
                         const struct grants *grants)
{
    unsigned missing = 0;
    for (size_t i = 0; i < grants->count; i++) {
        const struct need *need = &grants->needs[i];
        if (grants->enough[i])
            continue;
        missing += !need->optional;
        tell(in, need->optional ? FINDING_FINE : FINDING_ERROR, "%s %s %s%s%s, for: %s; %s", whose,
             need->optional ? "goes without" : "lacks",
             need->access == NULL ? "the event " : "the permission ", need->name,
             need->access == NULL           ? ""
             : strcmp(need->access, "read") ? " (read and write)"
                                            : " (read)",
             need->why, need->optional ? "optional" : remedy);
    }
    if (missing == 0)
        tell(in, FINDING_FINE, "%s has all permissions and events that are needed", whose);
}

static void look_at_app(struct inspection *in)
{
    struct err err = {0};
    struct grants grants;
    list_needs(in->config, &grants);
    enum err_code code = github_each_app_grant(in->github, see_grant, &grants, &err);
    if (code != ERR_OK)
        tell_failure(in, "about the App", code, &err);
    else
        tell_missing(in, "the App", "add it under the App's permissions and events on GitHub", &grants);
}

/* ---- the webhook ------------------------------------------------------------------------------------- */

static void add_own_url(const struct config *config, struct buf *url)
{
    if (config->public_url[0] != '\0')
        buf_addf(url, "%s/webhook", config->public_url);
}

static void judge_hook(struct inspection *in, const struct github_hook_config *hook)
{
    struct buf own;
    buf_init(&own);
    add_own_url(in->config, &own);
    if (strcmp(hook->url, buf_text(&own)) != 0)
        tell(in, FINDING_ERROR,
             "the App's webhook goes to %s, and public_url says that prgate is at %s: correct one of the two",
             hook->url[0] == '\0' ? "no URL at all" : hook->url, buf_text(&own));
    else
        tell(in, FINDING_FINE, "the App's webhook goes to %s", hook->url);
    if (strcmp(hook->content_type, "json") != 0)
        tell(in, FINDING_ERROR,
             "the App's webhook has the content type \"%s\": choose application/json on GitHub",
             hook->content_type);
    if (!hook->has_secret)
        tell(in, FINDING_ERROR,
             "the App's webhook has no secret: enter the one in webhook_secret_file on GitHub");
    if (hook->insecure)
        tell(in, FINDING_WARNING, "GitHub does not verify the certificate of the App's webhook");
    buf_release(&own);
}

static bool keep_first(void *arg, const struct github_delivery *delivery)
{
    struct github_delivery *newest = arg;
    *newest = *delivery;
    return false;
}

static void look_at_newest_delivery(struct inspection *in)
{
    struct err err = {0};
    struct github_delivery newest = {0};
    char time[TEXT_TIME_SIZE];
    enum err_code code = github_each_delivery(in->github, GITHUB_APP_HOOK, keep_first, &newest, &err);
    if (code != ERR_OK) {
        tell_failure(in, "for the webhook's deliveries", code, &err);
        return;
    }
    if (newest.guid[0] == '\0') {
        tell(in, FINDING_WARNING,
             "GitHub shows no delivery of the last days: redeliver the ping to see it arrive");
        return;
    }
    text_from_time(newest.delivered_at, time);
    bool good = newest.status >= 200 && newest.status < 300;
    tell(in, good ? FINDING_FINE : FINDING_WARNING, "the newest delivery, %s at %s, was answered with %d%s",
         newest.event, time, newest.status,
         good                 ? ""
         : newest.status == 0 ? ": this host could not be reached from GitHub"
                              : ": see the log, and the delivery on GitHub");
}

static void look_at_app_hook(struct inspection *in)
{
    struct err err = {0};
    struct github_hook_config hook;
    if (in->config->public_url[0] == '\0') {
        tell(in, FINDING_WARNING,
             "public_url is not set: whether the App's webhook comes here cannot be told, and checks have no "
             "link");
        return;
    }
    enum err_code code = github_get_app_hook(in->github, &hook, &err);
    if (code != ERR_OK)
        tell_failure(in, "where the App's webhook goes", code, &err);
    else
        judge_hook(in, &hook);
    if (!in->unreachable)
        look_at_newest_delivery(in);
}

/* ---- one repository ------------------------------------------------------------------------------------ */

static void look_at_installation(struct inspection *in, const char *repo)
{
    struct err err = {0};
    struct grants grants;
    list_needs(in->config, &grants);
    enum err_code code = github_each_installation_grant(in->github, see_grant, &grants, &err);
    if (code == ERR_NOT_FOUND)
        tell(in, FINDING_ERROR, "%s: the App is not installed there, or there is no such repository", repo);
    else if (code != ERR_OK)
        tell_failure(in, repo, code, &err);
    else
        tell_missing(in, repo, "its owner has to agree to what the App asks for, under Installed GitHub Apps",
                     &grants);
}

static void look_at_repo_hook(struct inspection *in, const char *repo)
{
    struct err err = {0};
    struct buf url;
    uint64_t hook;
    buf_init(&url);
    add_own_url(in->config, &url);
    enum err_code code = github_find_hook(in->github, buf_text(&url), &hook, &err);
    if (code == ERR_OK)
        tell(in, FINDING_FINE, "%s: webhook %" PRIu64 " delivers pull requests", repo, hook);
    else if (code == ERR_NOT_FOUND && err.number == 0)
        tell(in, FINDING_ERROR, "%s: add one under Settings > Webhooks", err.text);
    else if (code == ERR_NOT_FOUND || code == ERR_REJECT)
        tell(in, FINDING_WARNING, "%s: its webhooks are not for this token to see", repo);
    else if (code == ERR_CONFLICT)
        tell(in, FINDING_WARNING, "%s", err.text);
    else
        tell_failure(in, repo, code, &err);
    buf_release(&url);
}

static void look_at_token_rights(struct inspection *in, const char *repo, const struct user *me)
{
    struct err err = {0};
    enum permission permission;
    enum err_code code = github_get_permission(in->github, me->login, &permission, &err);
    if (code != ERR_OK)
        tell_failure(in, repo, code, &err);
    else if (permission < PERMISSION_WRITE)
        tell(in, FINDING_ERROR, "%s: %s has the permission %s there, and needs write", repo, me->login,
             permission_name(permission));
    else
        tell(in, FINDING_FINE, "%s: %s has the permission %s", repo, me->login, permission_name(permission));
}

static void look_at_repos(struct inspection *in, const struct user *me)
{
    size_t looked = 0;
    for (size_t i = 0; i < in->config->policy_count && !in->unreachable; i++) {
        const char *repo = in->config->policies[i].pattern;
        if (strchr(repo, '*') != NULL)
            continue;
        if (looked++ == REPOS_MAX) {
            tell(in, FINDING_WARNING, "only the first %d repositories were looked at", REPOS_MAX);
            return;
        }
        github_use(in->github, repo, 0);
        if (me == NULL) {
            look_at_installation(in, repo);
            continue;
        }
        look_at_token_rights(in, repo, me);
        if (!in->unreachable)
            look_at_repo_hook(in, repo);
    }
}

/* ---- all of it ------------------------------------------------------------------------------------------- */

static void look(struct inspection *in)
{
    struct err err = {0};
    struct user me;
    if (config_credentials(in->config) == CREDENTIALS_APP) {
        look_at_app(in);
        if (!in->unreachable)
            look_at_app_hook(in);
        if (!in->unreachable)
            look_at_repos(in, NULL);
        return;
    }
    enum err_code code = github_whoami(in->github, &me, &err);
    if (code != ERR_OK) {
        tell_failure(in, "whose the token is", code, &err);
        return;
    }
    tell(in, FINDING_FINE, "the token is that of %s", me.login);
    look_at_repos(in, &me);
}

unsigned inspect_github(const struct config *config, inspect_fn *tell_fn, void *arg)
{
    struct inspection in = {.config = config, .tell = tell_fn, .arg = arg};
    struct http *http = NULL;
    struct err err = {0};
    if (config->awaits_app) {
        tell(&in, FINDING_ERROR, "no GitHub App is set up yet, %s is not there: run prgatectl setup",
             config->app_dir);
        return in.errors;
    }
    if (config_credentials(config) == CREDENTIALS_NONE) {
        tell(&in, FINDING_FINE, "no credentials for GitHub: it is not asked anything");
        return in.errors;
    }
    enum err_code code = http_open(&http, config->request_timeout_s, &err);
    if (code == ERR_OK)
        code = github_open(&in.github, config, http, NULL, &err);
    if (code == ERR_OK)
        look(&in);
    else
        tell(&in, FINDING_ERROR, "%s", err.text);
    github_close(in.github);
    http_close(http);
    return in.errors;
}
