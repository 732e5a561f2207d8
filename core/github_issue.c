#include <inttypes.h>
#include <string.h>

#include "github_internal.h"
#include "prgate/text.h"

/* ".../issues/{n}" and what follows it. */
static void add_issue(const struct github *github, struct buf *url, uint64_t number, const char *rest)
{
    github_add_repo(github, url);
    buf_addf(url, "/issues/%" PRIu64 "%s", number, rest);
}

/* ---- labels ---- */

struct label_search {
    const struct policy *policy;
    bool found;
};

static enum github_seen seek_label(void *arg, const cJSON *item)
{
    struct label_search *search = arg;
    if (!github_json_label(item, search->policy, &search->found))
        return GITHUB_ODD;
    return search->found ? GITHUB_ENOUGH : GITHUB_GO_ON;
}

enum err_code github_has_label(struct github *github, uint64_t number, const struct policy *policy, bool *out,
                               struct err *err)
{
    struct label_search search = {.policy = policy};
    struct buf url;
    buf_init(&url);
    add_issue(github, &url, number, "/labels?per_page=100");
    struct github_list list = {
        .url = buf_text(&url), .odd = "a label without name", .item = seek_label, .arg = &search};
    enum err_code code = github_each(github, &list, err);
    if (code == ERR_OK)
        *out = search.found;
    buf_release(&url);
    return code;
}

struct name_search {
    const char *name;
    bool found;
};

static enum github_seen seek_name(void *arg, const cJSON *item)
{
    struct name_search *search = arg;
    const char *name = github_json_text(item, "name");
    if (name == NULL)
        return GITHUB_ODD;
    search->found = text_equal_fold(name, search->name);
    return search->found ? GITHUB_ENOUGH : GITHUB_GO_ON;
}

/* A dry run: is the label `name` there, or not there, as it is to be? Without a look, not. */
static enum err_code is_so_already(struct github *github, uint64_t number, const char *name, bool wanted,
                                   bool *out, struct err *err)
{
    struct name_search search = {.name = name};
    struct buf url;
    *out = false;
    if (!github->config->dry_run || !github_can_read(github))
        return ERR_OK;
    buf_init(&url);
    add_issue(github, &url, number, "/labels?per_page=100");
    struct github_list list = {
        .url = buf_text(&url), .odd = "a label without name", .item = seek_name, .arg = &search};
    enum err_code code = github_each(github, &list, err);
    *out = code == ERR_OK && search.found == wanted;
    buf_release(&url);
    return code;
}

/* The reply to adding is all the labels that the issue has now. */
static enum err_code check_added(const struct github *github, const cJSON *labels,
                                 const struct policy *policy, struct err *err)
{
    struct label_search search = {.policy = policy};
    if (!cJSON_IsArray(labels))
        return err_set(err, ERR_REJECT, 0, "GitHub's reply to adding label \"%s\": not a list",
                       policy->label);
    for (const cJSON *label = labels->child; label != NULL && !search.found; label = label->next)
        if (seek_label(&search, label) == GITHUB_ODD)
            return err_set(err, ERR_REJECT, 0, "GitHub's reply to adding label \"%s\": a label without name",
                           policy->label);
    if (search.found)
        return ERR_OK;
    if (policy->label_id != 0)
        return err_set(err, ERR_REJECT, 0,
                       "label \"%s\" of %s does not have the id that label_id pins, %" PRIu64, policy->label,
                       github->repo, policy->label_id);
    return err_set(err, ERR_REJECT, 0, "label \"%s\" is not on the issue after it was added", policy->label);
}

enum err_code github_add_label(struct github *github, uint64_t number, const struct policy *policy,
                               struct err *err)
{
    bool is_there;
    enum err_code code = is_so_already(github, number, policy->label, true, &is_there, err);
    if (code != ERR_OK || is_there)
        return code;
    cJSON *reply = NULL;
    cJSON *body = cJSON_CreateObject();
    struct buf url;
    buf_init(&url);
    add_issue(github, &url, number, "/labels");
    cJSON_AddItemToArray(cJSON_AddArrayToObject(body, "labels"), cJSON_CreateString(policy->label));
    struct github_ask ask = {.method = "POST", .url = buf_text(&url), .body = body};
    code = github_write(github, &ask, &reply, err);
    if (code == ERR_OK && reply != NULL)
        code = check_added(github, reply, policy, err);
    tree_free(reply);
    cJSON_Delete(body);
    buf_release(&url);
    return code;
}

enum err_code github_remove_named_label(struct github *github, uint64_t number, const char *name,
                                        struct err *err)
{
    bool is_gone;
    enum err_code code = is_so_already(github, number, name, false, &is_gone, err);
    if (code != ERR_OK || is_gone)
        return code;
    struct buf url;
    buf_init(&url);
    add_issue(github, &url, number, "/labels/");
    text_add_url(&url, name);
    struct github_ask ask = {.method = "DELETE", .url = buf_text(&url)};
    code = github_write(github, &ask, NULL, err);
    buf_release(&url);
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

enum err_code github_remove_label(struct github *github, uint64_t number, const struct policy *policy,
                                  struct err *err)
{
    return github_remove_named_label(github, number, policy->label, err);
}

enum err_code github_remove_queue_label(struct github *github, uint64_t number, const struct policy *policy,
                                        struct err *err)
{
    return github_remove_named_label(github, number, policy->queue_label, err);
}

/* ---- who set the label ---- */

struct label_history {
    const struct policy *policy;
    struct github_label_event *out;
};

/* What moves a branch other than forward. */
static bool moves_head(const char *name)
{
    static const char *const names[] = {"head_ref_force_pushed", "head_ref_deleted", "head_ref_restored"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* The events of labels tell a label's name, not its id; of one name there is one label at a time. */
static bool is_gate_name(const struct policy *policy, const cJSON *item)
{
    const char *label = github_json_text(item, "label.name");
    return label != NULL && text_equal_fold(policy->label, label);
}

static enum github_seen see_issue_event(void *arg, const cJSON *item)
{
    struct label_history *history = arg;
    struct github_label_event *out = history->out;
    const char *name = github_json_text(item, "event");
    const char *time = github_json_text(item, "created_at");
    int64_t at = time == NULL ? -1 : text_to_time(time);
    if (name == NULL || at < 0)
        return GITHUB_ODD;
    bool labeled = strcmp(name, "labeled") == 0;
    if (moves_head(name) && at >= out->moved_at) {
        out->moved_twice = at == out->moved_at;
        out->moved_at = at;
    }
    if ((labeled || strcmp(name, "unlabeled") == 0) && is_gate_name(history->policy, item)) {
        out->set = labeled;
        out->set_at = at;
        out->actor = (struct user){0};
        if (!github_json_user(tree_find(item, "actor"), &out->actor))
            return GITHUB_ODD;
    }
    return GITHUB_GO_ON;
}

enum err_code github_get_label_event(struct github *github, uint64_t number, const struct policy *policy,
                                     struct github_label_event *out, struct err *err)
{
    struct github_label_event event = {0};
    struct label_history history = {.policy = policy, .out = &event};
    struct buf url;
    buf_init(&url);
    add_issue(github, &url, number, "/events?per_page=100");
    struct github_list list = {.url = buf_text(&url),
                               .odd = "an event without name or time",
                               .item = see_issue_event,
                               .arg = &history};
    enum err_code code = github_each(github, &list, err);
    if (code == ERR_OK)
        *out = event;
    buf_release(&url);
    return code;
}

/* ---- comments ---- */

struct comment_search {
    const char *mark;     /* the whole hidden line */
    uint64_t app_id;      /* 0: written as a user */
    const char *my_login; /* where app_id is 0 */
    bool found;
};

/* Anybody can write our marker into a comment; only our own counts. */
static bool is_ours(const struct comment_search *search, const cJSON *comment)
{
    uint64_t app_id;
    const char *login = github_json_text(comment, "user.login");
    if (search->app_id != 0)
        return github_json_u64(comment, "performed_via_github_app.id", &app_id) && app_id == search->app_id;
    return login != NULL && text_equal_fold(login, search->my_login);
}

static enum github_seen seek_comment(void *arg, const cJSON *item)
{
    struct comment_search *search = arg;
    const char *body = github_json_text(item, "body");
    if (!cJSON_IsObject(item))
        return GITHUB_ODD;
    search->found = body != NULL && strstr(body, search->mark) != NULL && is_ours(search, item);
    return search->found ? GITHUB_ENOUGH : GITHUB_GO_ON;
}

static enum err_code has_comment(struct github *github, uint64_t number, const char *mark, bool *out,
                                 struct err *err)
{
    struct user me = {0};
    struct comment_search search = {.mark = mark, .my_login = me.login};
    enum err_code code = ERR_OK;
    if (config_credentials(github->config) == CREDENTIALS_APP)
        search.app_id = github->config->app_id;
    else
        code = github_whoami(github, &me, err);
    if (code != ERR_OK)
        return code;

    struct buf url;
    buf_init(&url);
    add_issue(github, &url, number, "/comments?per_page=100");
    struct github_list list = {
        .url = buf_text(&url), .odd = "a comment that is no object", .item = seek_comment, .arg = &search};
    code = github_each(github, &list, err);
    if (code == ERR_OK)
        *out = search.found;
    buf_release(&url);
    return code;
}

static enum err_code post_comment(struct github *github, uint64_t number, const char *text, struct err *err)
{
    cJSON *body = cJSON_CreateObject();
    struct buf url;
    buf_init(&url);
    add_issue(github, &url, number, "/comments");
    cJSON_AddStringToObject(body, "body", text);
    struct github_ask ask = {.method = "POST", .url = buf_text(&url), .body = body, .once = true};
    enum err_code code = github_write(github, &ask, NULL, err);
    cJSON_Delete(body);
    buf_release(&url);
    return code;
}

/* A crash between looking and posting repeats both; after posting, the next look finds it. */
enum err_code github_comment_once(struct github *github, uint64_t number, const char *marker,
                                  const char *text, struct err *err)
{
    enum err_code code = ERR_OK;
    bool found = false;
    struct buf mark;
    struct buf comment;
    buf_init(&mark);
    buf_init(&comment);
    buf_addf(&mark, "<!-- prgate:%s -->", marker);
    buf_addf(&comment, "%s\n\n%s", text, buf_text(&mark));
    if (github_can_read(github))
        code = has_comment(github, number, buf_text(&mark), &found, err);
    if (code == ERR_OK && !found)
        code = post_comment(github, number, buf_text(&comment), err);
    buf_release(&comment);
    buf_release(&mark);
    return code;
}
