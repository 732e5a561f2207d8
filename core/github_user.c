#include <stdio.h>
#include <string.h>

#include "github_internal.h"
#include "prgate/text.h"

/* ---- prgate itself ---- */

static bool read_app(const cJSON *app, struct user *me)
{
    const char *slug = github_json_text(app, "slug");
    if (slug == NULL || slug[0] == '\0')
        return false;
    int len = snprintf(me->login, sizeof me->login, "%s[bot]", slug);
    me->bot = true;
    return len > 0 && (size_t)len < sizeof me->login && text_is_login(me->login);
}

static bool read_user(const cJSON *user, struct user *me)
{
    const char *login = github_json_text(user, "login");
    const char *type = github_json_text(user, "type");
    me->bot = type != NULL && strcmp(type, "Bot") == 0;
    return login != NULL && text_is_login(login) && text_copy(me->login, sizeof me->login, login) &&
           github_json_u64(user, "id", &me->id);
}

static enum err_code ask_whoami(struct github *github, const char *url, struct err *err)
{
    bool app = config_credentials(github->config) == CREDENTIALS_APP;
    struct github_ask ask = {.method = "GET", .url = url};
    struct user me = {0};
    cJSON *reply = NULL;
    enum err_code code = github_read(github, app ? GITHUB_ROLE_APP : GITHUB_ROLE_REPO, url, &reply, err);
    if (code != ERR_OK)
        return code;
    if (app ? read_app(reply, &me) : read_user(reply, &me))
        github->me = me;
    else
        code = github_odd_reply(github, &ask, app ? "no valid slug" : "no valid login, or no id", err);
    tree_free(reply);
    return code;
}

enum err_code github_whoami(struct github *github, struct user *out, struct err *err)
{
    enum err_code code = ERR_OK;
    if (github->me.login[0] == '\0') {
        struct buf url;
        buf_init(&url);
        github_add_api(github, &url);
        buf_adds(&url, config_credentials(github->config) == CREDENTIALS_APP ? "/app" : "/user");
        code = ask_whoami(github, buf_text(&url), err);
        buf_release(&url);
    }
    if (code == ERR_OK)
        *out = github->me;
    return code;
}

/* ---- others ---- */

/*
 * `permission` knows no triage and no maintain, `role_name` may be of an organization's
 * own making: the higher of what is understood. false: nothing is.
 */
static bool read_permission(const cJSON *reply, enum permission *out)
{
    static const char *const members[] = {"permission", "role_name"};
    bool known = false;
    *out = PERMISSION_NONE;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        const char *name = github_json_text(reply, members[i]);
        enum permission permission;
        if (name == NULL || !permission_parse(name, &permission))
            continue;
        known = true;
        if (permission > *out)
            *out = permission;
    }
    return known;
}

static enum err_code get_permission(struct github *github, const char *url, enum permission *out,
                                    struct err *err)
{
    struct github_ask ask = {.method = "GET", .url = url};
    enum permission permission;
    cJSON *reply = NULL;
    enum err_code code = github_read(github, GITHUB_ROLE_REPO, url, &reply, err);
    if (code == ERR_NOT_FOUND) {
        *out = PERMISSION_NONE;
        return ERR_OK;
    }
    if (code != ERR_OK)
        return code;
    if (read_permission(reply, &permission))
        *out = permission;
    else
        code = github_odd_reply(github, &ask, "no permission", err);
    tree_free(reply);
    return code;
}

enum err_code github_get_permission(struct github *github, const char *login, enum permission *out,
                                    struct err *err)
{
    if (!github_can_read(github))
        return github_cannot_read(err);
    struct buf url;
    buf_init(&url);
    github_add_repo(github, &url);
    buf_adds(&url, "/collaborators/");
    text_add_url(&url, login);
    buf_adds(&url, "/permission");
    enum err_code code = get_permission(github, buf_text(&url), out, err);
    buf_release(&url);
    return code;
}

static enum err_code get_app_id(struct github *github, const char *url, uint64_t *out, struct err *err)
{
    struct github_ask ask = {.method = "GET", .url = url};
    cJSON *reply = NULL;
    enum err_code code = github_read(github, GITHUB_ROLE_REPO, url, &reply, err);
    if (code == ERR_NOT_FOUND)
        return ERR_OK;
    if (code != ERR_OK)
        return code;
    if (!github_json_u64(reply, "id", out))
        code = github_odd_reply(github, &ask, "no id", err);
    tree_free(reply);
    return code;
}

enum err_code github_get_app_id(struct github *github, const char *login, uint64_t *out, struct err *err)
{
    const char *end = strstr(login, "[bot]");
    char slug[LOGIN_SIZE] = "";
    *out = 0;
    if (!github_can_read(github))
        return github_cannot_read(err);
    if (end == NULL || (size_t)(end - login) >= sizeof slug)
        return ERR_OK; /* no App has such a login */
    memcpy(slug, login, (size_t)(end - login));

    struct buf url;
    buf_init(&url);
    github_add_api(github, &url);
    buf_adds(&url, "/apps/");
    text_add_url(&url, slug);
    enum err_code code = get_app_id(github, buf_text(&url), out, err);
    buf_release(&url);
    return code;
}

static enum err_code get_membership(struct github *github, const char *url, bool *out, struct err *err)
{
    struct github_ask ask = {.method = "GET", .url = url};
    cJSON *reply = NULL;
    enum err_code code = github_read(github, GITHUB_ROLE_REPO, url, &reply, err);
    if (code == ERR_NOT_FOUND) {
        *out = false;
        return ERR_OK;
    }
    if (code != ERR_OK)
        return code;
    const char *state = github_json_text(reply, "state");
    if (state != NULL)
        *out = strcmp(state, "active") == 0;
    else
        code = github_odd_reply(github, &ask, "no state", err);
    tree_free(reply);
    return code;
}

enum err_code github_is_team_member(struct github *github, const char *team, const char *login, bool *out,
                                    struct err *err)
{
    const char *slash = strchr(team, '/');
    char org[REPO_NAME_SIZE];
    if (slash == NULL || slash == team || slash[1] == '\0' || (size_t)(slash - team) >= sizeof org)
        return err_set(err, ERR_REJECT, 0, "team \"%s\" is not of the form org/slug", team);
    if (!github_can_read(github))
        return github_cannot_read(err);
    memcpy(org, team, (size_t)(slash - team));
    org[slash - team] = '\0';

    struct buf url;
    buf_init(&url);
    github_add_api(github, &url);
    buf_adds(&url, "/orgs/");
    text_add_url(&url, org);
    buf_adds(&url, "/teams/");
    text_add_url(&url, slash + 1);
    buf_adds(&url, "/memberships/");
    text_add_url(&url, login);
    enum err_code code = get_membership(github, buf_text(&url), out, err);
    buf_release(&url);
    return code;
}
