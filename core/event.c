/*
 * One pass checks what cJSON would let through or blame on something else (bytes
 * that are no UTF-8, NULs raw or escaped, which would cut C strings short), one
 * parses, and then members are looked up by path. All of it is linear in the body.
 */
#include "prgate/event.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/key.h"
#include "prgate/text.h"

/* JSON numbers are doubles to cJSON (and JavaScript): above this, neighbours are one value. */
#define ID_MAX ((UINT64_C(1) << 53) - 1)

enum { MEMBER_NAME_SIZE = 64, SHOWN_SIZE = 48 };

static const struct {
    enum event_action action;
    const char *name;
} actions[] = {
    {EVENT_OPENED, "opened"},
    {EVENT_REOPENED, "reopened"},
    {EVENT_READY_FOR_REVIEW, "ready_for_review"},
    {EVENT_SYNCHRONIZE, "synchronize"},
    {EVENT_LABELED, "labeled"},
    {EVENT_UNLABELED, "unlabeled"},
    {EVENT_CONVERTED_TO_DRAFT, "converted_to_draft"},
    {EVENT_EDITED, "edited"},
    {EVENT_CLOSED, "closed"},
    {EVENT_RERUN, "rerequested"},
};

enum { ACTION_COUNT = sizeof actions / sizeof actions[0] };

/* Where a re-run's payload has what. */
struct rerun_paths {
    const char *event; /* X-GitHub-Event */
    const char *name;  /* NULL: a suite has none, nor an external_id */
    const char *external_id;
    const char *app;
    const char *sha;
    const char *pulls;
};

static const struct rerun_paths reruns[] = {
    {"check_run", "check_run.name", "check_run.external_id", "check_run.app.id", "check_run.head_sha",
     "check_run.pull_requests"},
    {"check_suite", NULL, NULL, "check_suite.app.id", "check_suite.head_sha", "check_suite.pull_requests"},
};

enum { RERUN_COUNT = sizeof reruns / sizeof reruns[0] };

/* NULL: pull_request, or nothing that is known. */
static const struct rerun_paths *find_rerun(const char *name)
{
    for (size_t i = 0; i < RERUN_COUNT; i++)
        if (strcmp(reruns[i].event, name) == 0)
            return &reruns[i];
    return NULL;
}

bool event_is_of_concern(const char *name)
{
    return strcmp(name, "pull_request") == 0 || find_rerun(name) != NULL;
}

const char *event_action_name(enum event_action action)
{
    for (size_t i = 0; i < ACTION_COUNT; i++)
        if (actions[i].action == action)
            return actions[i].name;
    return "?";
}

bool event_action_from_number(unsigned number, enum event_action *out)
{
    for (size_t i = 0; i < ACTION_COUNT; i++) {
        if ((unsigned)actions[i].action == number) {
            *out = actions[i].action;
            return true;
        }
    }
    return false;
}

/* A re-run is of a check, all others are of a pull request. */
static bool action_from_name(const char *name, bool of_check, enum event_action *out)
{
    for (size_t i = 0; i < ACTION_COUNT; i++) {
        if (strcmp(actions[i].name, name) == 0 && (actions[i].action == EVENT_RERUN) == of_check) {
            *out = actions[i].action;
            return true;
        }
    }
    return false;
}

bool event_has_rule(const char *name, const char *action)
{
    enum event_action known;
    return event_is_of_concern(name) && action_from_name(action, find_rerun(name) != NULL, &known);
}

/* ---- from bytes to a tree ---- */

/* A backslash escapes the character after it, so escapes are stepped over in pairs: "\\u0000" is none. */
static bool has_escaped_nul(const char *body, size_t len)
{
    static const char nul[] = "u0000";
    const char *end = body + len;
    const char *at = body;
    while ((at = memchr(at, '\\', (size_t)(end - at))) != NULL) {
        at++;
        if ((size_t)(end - at) >= sizeof nul - 1 && memcmp(at, nul, sizeof nul - 1) == 0)
            return true;
        if (at < end)
            at++;
    }
    return false;
}

struct shape {
    size_t deepest; /* nesting of arrays and objects */
    size_t values;  /* at least as many as there are */
    bool open;      /* ends inside of one */
};

/* Brackets inside strings do not count. */
static struct shape shape_of(const char *body, size_t len)
{
    struct shape shape = {.values = 1};
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < len; i++) {
        bool opens = !in_string && (body[i] == '[' || body[i] == '{');
        if (body[i] == '"')
            in_string = !in_string;
        else if (in_string && body[i] == '\\')
            i++;
        else if (opens)
            depth++;
        else if (!in_string && (body[i] == ']' || body[i] == '}') && depth > 0)
            depth--;
        if (opens || (!in_string && body[i] == ','))
            shape.values++;
        shape.deepest = depth > shape.deepest ? depth : shape.deepest;
    }
    shape.open = depth > 0;
    return shape;
}

static bool only_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
        at++;
    return at == end;
}

static enum err_code refuse_nesting(struct err *err)
{
    return err_set(err, ERR_REJECT, 0, "body: nested more than %d levels deep", CJSON_NESTING_LIMIT);
}

/* Before anything is allocated for it. */
static enum err_code check_values(const char *body, size_t len, struct err *err)
{
    if (len <= EVENT_VALUES_MAX)
        return ERR_OK;
    struct shape shape = shape_of(body, len);
    if (shape.deepest > CJSON_NESTING_LIMIT)
        return refuse_nesting(err);
    if (shape.values > EVENT_VALUES_MAX)
        return err_set(err, ERR_REJECT, 0,
                       "body: more than %d JSON values, a hundred times what GitHub sends", EVENT_VALUES_MAX);
    return ERR_OK;
}

/* cJSON tells only where it stopped: says why. */
static enum err_code explain_failure(const char *body, size_t len, const char *stop, struct err *err)
{
    struct shape shape = shape_of(body, len);
    if (shape.deepest > CJSON_NESTING_LIMIT)
        return refuse_nesting(err);
    if (shape.open)
        return err_set(err, ERR_REJECT, 0, "body: cut off, or no JSON, after %zu bytes", len);
    return err_set(err, ERR_REJECT, 0, "body: no JSON at byte %zu", stop == NULL ? 0 : (size_t)(stop - body));
}

static enum err_code parse_json(const char *body, size_t len, cJSON **out, struct err *err)
{
    const char *stop = NULL;
    if (len == 0)
        return err_set(err, ERR_REJECT, 0, "body: empty");
    if (memchr(body, '\0', len) != NULL)
        return err_set(err, ERR_REJECT, 0, "body: contains a NUL byte");
    if (!text_utf8_valid(body, len))
        return err_set(err, ERR_REJECT, 0, "body: not UTF-8");
    if (has_escaped_nul(body, len))
        return err_set(err, ERR_REJECT, 0, "body: contains an escaped NUL (\\u0000)");
    if (check_values(body, len, err) != ERR_OK)
        return ERR_REJECT;
    cJSON *root = cJSON_ParseWithLengthOpts(body, len, &stop, 0);
    if (root == NULL)
        return explain_failure(body, len, stop, err);
    if (!only_blanks(stop, body + len))
        err_set(err, ERR_REJECT, 0, "body: something follows the JSON document at byte %zu",
                (size_t)(stop - body));
    else if (!cJSON_IsObject(root))
        err_set(err, ERR_REJECT, 0, "body: not a JSON object");
    else {
        *out = root;
        return ERR_OK;
    }
    cJSON_Delete(root);
    return ERR_REJECT;
}

/* ---- members by path ---- */

/* "pull_request.head.sha"; NULL when any part of it is absent or null. */
static const cJSON *find(const cJSON *object, const char *path)
{
    char name[MEMBER_NAME_SIZE];
    while (object != NULL) {
        size_t len = strcspn(path, ".");
        if (len >= sizeof name)
            return NULL;
        memcpy(name, path, len);
        name[len] = '\0';
        object = cJSON_GetObjectItemCaseSensitive(object, name);
        if (path[len] == '\0')
            break;
        path += len + 1;
    }
    return object == NULL || cJSON_IsNull(object) ? NULL : object;
}

static enum err_code reject(struct err *err, const char *path, const char *wrong)
{
    return err_set(err, ERR_REJECT, 0, "%s: %s", path, wrong);
}

static bool to_id(const cJSON *item, uint64_t *out)
{
    /* The comparison also refuses what no double can hold exactly: infinity and not-a-number. */
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 1 && item->valuedouble <= (double)ID_MAX))
        return false;
    uint64_t id = (uint64_t)item->valuedouble;
    if ((double)id < item->valuedouble)
        return false;
    *out = id;
    return true;
}

static enum err_code get_id(const cJSON *root, const char *path, uint64_t *out, struct err *err)
{
    const cJSON *item = find(root, path);
    if (item == NULL)
        return reject(err, path, "missing");
    return to_id(item, out) ? ERR_OK : reject(err, path, "not a whole number from 1 to 2^53 - 1");
}

/* *out is valid as long as the tree. */
static enum err_code get_text(const cJSON *root, const char *path, const char **out, struct err *err)
{
    const cJSON *item = find(root, path);
    if (item == NULL)
        return reject(err, path, "missing");
    if (!cJSON_IsString(item))
        return reject(err, path, "not a string");
    *out = item->valuestring;
    return ERR_OK;
}

/* Absent or null: "". */
static enum err_code get_optional_text(const cJSON *root, const char *path, const char **out, struct err *err)
{
    *out = "";
    return find(root, path) == NULL ? ERR_OK : get_text(root, path, out, err);
}

/* Absent or null: false. */
static enum err_code get_bool(const cJSON *root, const char *path, bool *out, struct err *err)
{
    const cJSON *item = find(root, path);
    *out = item != NULL && cJSON_IsTrue(item);
    return item == NULL || cJSON_IsBool(item) ? ERR_OK : reject(err, path, "not true or false");
}

struct user_paths {
    const char *whole;
    const char *id;
    const char *login;
    const char *type;
};

static const struct user_paths sender_paths = {"sender", "sender.id", "sender.login", "sender.type"};
static const struct user_paths author_paths = {"pull_request.user", "pull_request.user.id",
                                               "pull_request.user.login", "pull_request.user.type"};

/* Absent or null (a deleted account): nobody. */
static enum err_code get_user(const cJSON *root, const struct user_paths *paths, struct user *out,
                              struct err *err)
{
    const char *login = NULL;
    const char *type = NULL;
    enum err_code code;
    if (find(root, paths->whole) == NULL)
        return ERR_OK;
    if ((code = get_id(root, paths->id, &out->id, err)) != ERR_OK ||
        (code = get_text(root, paths->login, &login, err)) != ERR_OK ||
        (code = get_optional_text(root, paths->type, &type, err)) != ERR_OK)
        return code;
    if (!text_is_login(login) || !text_copy(out->login, sizeof out->login, login))
        return reject(err, paths->login, "not a GitHub login");
    out->bot = strcmp(type, "Bot") == 0;
    return ERR_OK;
}

static enum err_code get_ref(const cJSON *root, const char *path, char out[REF_SIZE], struct err *err)
{
    const char *ref;
    enum err_code code = get_text(root, path, &ref, err);
    if (code != ERR_OK)
        return code;
    return text_is_ref(ref) && text_copy(out, REF_SIZE, ref) ? ERR_OK
                                                             : reject(err, path, "not a valid ref name");
}

/* ---- which pull request ---- */

static enum err_code read_repo(struct event *out, const cJSON *root, struct err *err)
{
    static const char path[] = "repository.full_name";
    const char *name = "";
    enum err_code code = get_text(root, path, &name, err);
    if (code != ERR_OK)
        return code;
    return text_is_repo_name(name) && text_copy(out->repo, sizeof out->repo, name)
               ? ERR_OK
               : reject(err, path, "not an owner/name");
}

/* First, so that whatever is wrong with the rest can be logged with repository and number. */
static enum err_code read_identity(struct event *out, const cJSON *root, struct err *err)
{
    uint64_t number = 0;
    enum err_code code = read_repo(out, root, err);
    if (code != ERR_OK)
        return code;
    if ((code = get_id(root, "number", &out->key.number, err)) != ERR_OK ||
        (code = get_id(root, "repository.id", &out->key.repo_id, err)) != ERR_OK)
        return code;
    if ((code = get_id(root, "pull_request.number", &number, err)) != ERR_OK)
        return code;
    return number == out->key.number ? ERR_OK : reject(err, "pull_request.number", "differs from number");
}

static enum err_code read_concern(struct event *out, const cJSON *root, const struct policy *policy,
                                  bool of_check, struct err *err)
{
    const char *action = "";
    char shown[SHOWN_SIZE];
    if (policy == NULL)
        return err_set(err, ERR_NOT_FOUND, 0, "repository %s is not configured", out->repo);
    enum err_code code = get_text(root, "action", &action, err);
    if (code != ERR_OK || action_from_name(action, of_check, &out->action))
        return code;
    text_copy_cut(shown, sizeof shown, action);
    return err_set(err, ERR_NOT_FOUND, 0, "action %s has no rule", shown);
}

/* ---- how it looks ---- */

static enum err_code get_sha(const cJSON *root, const char *path, struct sha *out, struct err *err)
{
    const char *sha = "";
    enum err_code code = get_text(root, path, &sha, err);
    if (code != ERR_OK)
        return code;
    return sha_parse(out, sha) ? ERR_OK : reject(err, path, "not 40 or 64 hex digits");
}

static enum err_code read_head(struct snapshot *pr, const cJSON *root, struct err *err)
{
    enum err_code code = get_sha(root, "pull_request.head.sha", &pr->head, err);
    if (code != ERR_OK)
        return code;
    if ((code = get_ref(root, "pull_request.head.ref", pr->head_ref, err)) != ERR_OK)
        return code;
    return get_ref(root, "pull_request.base.ref", pr->base_ref, err);
}

static enum err_code read_state(struct snapshot *pr, const cJSON *root, struct err *err)
{
    static const char state_path[] = "pull_request.state";
    static const char time_path[] = "pull_request.updated_at";
    const char *text = "";
    enum err_code code = get_text(root, state_path, &text, err);
    if (code != ERR_OK)
        return code;
    pr->closed = strcmp(text, "closed") == 0;
    if (!pr->closed && strcmp(text, "open") != 0)
        return reject(err, state_path, "neither open nor closed");
    if ((code = get_text(root, time_path, &text, err)) != ERR_OK)
        return code;
    pr->updated_at = text_to_time(text);
    return pr->updated_at > 0 ? ERR_OK : reject(err, time_path, "not a time like 2024-01-31T12:00:00Z");
}

/* null: GitHub is still working it out. */
static enum err_code read_mergeable(struct snapshot *pr, const cJSON *root, struct err *err)
{
    static const char path[] = "pull_request.mergeable";
    bool mergeable;
    enum err_code code = get_bool(root, path, &mergeable, err);
    if (code != ERR_OK)
        return code;
    pr->mergeable = mergeable ? MERGEABLE_YES : MERGEABLE_NO;
    if (find(root, path) == NULL)
        pr->mergeable = MERGEABLE_UNKNOWN;
    return ERR_OK;
}

/* A label without an id cannot be a pinned one, which the id 0 says. */
static enum err_code read_labels(struct snapshot *pr, const cJSON *root, const struct policy *policy,
                                 struct err *err)
{
    static const char path[] = "pull_request.labels";
    const cJSON *labels = find(root, path);
    const cJSON *label;
    if (labels == NULL)
        return ERR_OK;
    if (!cJSON_IsArray(labels))
        return reject(err, path, "not an array");
    cJSON_ArrayForEach(label, labels)
    {
        uint64_t id = 0;
        const cJSON *name = find(label, "name");
        if (!cJSON_IsString(name))
            return reject(err, path, "a label without a name");
        to_id(find(label, "id"), &id);
        pr->labelled = pr->labelled || policy_is_gate_label(policy, name->valuestring, id);
    }
    return ERR_OK;
}

static enum err_code read_snapshot(struct snapshot *pr, const cJSON *root, const struct policy *policy,
                                   struct err *err)
{
    const char *title = NULL;
    enum err_code code;
    if ((code = read_head(pr, root, err)) != ERR_OK || (code = read_state(pr, root, err)) != ERR_OK ||
        (code = get_optional_text(root, "pull_request.title", &title, err)) != ERR_OK ||
        (code = get_user(root, &author_paths, &pr->author, err)) != ERR_OK ||
        (code = get_bool(root, "pull_request.draft", &pr->draft, err)) != ERR_OK ||
        (code = read_mergeable(pr, root, err)) != ERR_OK)
        return code;
    text_copy_cut(pr->title, sizeof pr->title, title);
    return read_labels(pr, root, policy, err);
}

/* ---- what happened ---- */

static enum err_code read_label(struct event *out, const cJSON *root, const struct policy *policy,
                                struct err *err)
{
    const char *name = NULL;
    enum err_code code;
    if ((code = get_text(root, "label.name", &name, err)) != ERR_OK ||
        (code = get_id(root, "label.id", &out->label_id, err)) != ERR_OK)
        return code;
    if (!text_is_label(name) || !text_copy(out->label, sizeof out->label, name))
        return reject(err, "label.name", "not 1 to 200 printable bytes");
    out->label_is_gate = policy_is_gate_label(policy, name, out->label_id);
    return ERR_OK;
}

static enum err_code read_action(struct event *out, const cJSON *root, const struct policy *policy,
                                 struct err *err)
{
    switch (out->action) {
    case EVENT_LABELED:
    case EVENT_UNLABELED:
        return read_label(out, root, policy, err);
    case EVENT_OPENED:
    case EVENT_REOPENED:
    case EVENT_READY_FOR_REVIEW:
    case EVENT_SYNCHRONIZE:
    case EVENT_CONVERTED_TO_DRAFT:
    case EVENT_EDITED:
    case EVENT_CLOSED:
    case EVENT_RERUN:
        return ERR_OK;
    }
    return ERR_OK;
}

static enum association association_from_name(const char *name)
{
    static const char *const insiders[] = {"OWNER", "MEMBER", "COLLABORATOR"};
    for (size_t i = 0; i < sizeof insiders / sizeof insiders[0]; i++)
        if (strcmp(insiders[i], name) == 0)
            return ASSOCIATION_INSIDER;
    return ASSOCIATION_OUTSIDER;
}

/* Repository hooks send no installation. */
static enum err_code read_installation(struct event *out, const cJSON *root, struct err *err)
{
    return find(root, "installation") == NULL ? ERR_OK
                                              : get_id(root, "installation.id", &out->installation, err);
}

static enum err_code read_event(struct event *out, const cJSON *root, const struct config *config,
                                struct err *err)
{
    const struct policy *policy = NULL;
    const char *association = NULL;
    enum err_code code = read_identity(out, root, err);
    if (code != ERR_OK)
        return code;
    policy = config_policy(config, out->repo);
    if ((code = read_concern(out, root, policy, false, err)) != ERR_OK ||
        (code = read_snapshot(&out->pr, root, policy, err)) != ERR_OK ||
        (code = get_user(root, &sender_paths, &out->sender, err)) != ERR_OK ||
        (code = read_installation(out, root, err)) != ERR_OK ||
        (code = get_optional_text(root, "pull_request.author_association", &association, err)) != ERR_OK)
        return code;
    out->association = association_from_name(association);
    return read_action(out, root, policy, err);
}

/* ---- a re-run ---- */

/* Of a member that is not there, or no id: 0, which is nobody's. */
static uint64_t id_or_0(const cJSON *root, const char *path)
{
    uint64_t id = 0;
    to_id(find(root, path), &id);
    return id;
}

/* Anybody may give a check the gate's name; only GitHub says whose App it is. */
static enum err_code read_owner(const struct rerun_paths *paths, const cJSON *root,
                                const struct config *config, const struct policy *policy, struct err *err)
{
    uint64_t app_id = id_or_0(root, paths->app);
    const char *name = "";
    if (policy->trigger == TRIGGER_NONE)
        return err_set(err, ERR_NOT_FOUND, 0,
                       "a re-run has nothing to send where the label itself starts CI: set it again");
    if (config->app_id != 0 && app_id != config->app_id)
        return err_set(err, ERR_NOT_FOUND, 0, "a re-run of another App's check");
    if (paths->name == NULL)
        return config->app_id != 0
                   ? ERR_OK
                   : err_set(err, ERR_NOT_FOUND, 0, "a re-run of a suite that is not prgate's");
    enum err_code code = get_text(root, paths->name, &name, err);
    if (code == ERR_OK && strcmp(name, policy->check_name) != 0)
        return err_set(err, ERR_NOT_FOUND, 0, "a re-run of a check that is not the gate's");
    return code;
}

/* GitHub also lists pull requests from this repository to another one. */
static bool is_meant(const cJSON *pull, const struct event *event)
{
    struct sha head;
    const cJSON *sha = find(pull, "head.sha");
    return cJSON_IsString(sha) && sha_parse(&head, sha->valuestring) && sha_equal(&head, &event->pr.head) &&
           id_or_0(pull, "base.repo.id") == event->key.repo_id && id_or_0(pull, "number") != 0;
}

static enum err_code read_listed(struct event *out, const cJSON *root, const char *path, struct err *err)
{
    const cJSON *pulls = find(root, path);
    const cJSON *pull;
    int count = 0;
    if (pulls != NULL && !cJSON_IsArray(pulls))
        return reject(err, path, "not an array");
    cJSON_ArrayForEach(pull, pulls)
    {
        if (!is_meant(pull, out))
            continue;
        out->key.number = id_or_0(pull, "number");
        count++;
    }
    if (count == 1)
        return ERR_OK;
    out->key.number = 0;
    return err_set(err, ERR_NOT_FOUND, 0,
                   count == 0
                       ? "the re-run names no pull request, as with those from forks: re-run the check"
                       : "the re-run names several pull requests of that commit: re-run the check of one");
}

static enum err_code read_rerun(struct event *out, const struct rerun_paths *paths, const cJSON *root,
                                const struct config *config, struct err *err)
{
    const char *external_id = "";
    enum err_code code = read_repo(out, root, err);
    if (code != ERR_OK)
        return code;
    const struct policy *policy = config_policy(config, out->repo);
    if ((code = read_concern(out, root, policy, true, err)) != ERR_OK ||
        (code = read_owner(paths, root, config, policy, err)) != ERR_OK ||
        (code = get_id(root, "repository.id", &out->key.repo_id, err)) != ERR_OK ||
        (code = get_sha(root, paths->sha, &out->pr.head, err)) != ERR_OK ||
        (code = get_user(root, &sender_paths, &out->sender, err)) != ERR_OK ||
        (code = read_installation(out, root, err)) != ERR_OK)
        return code;
    if (paths->external_id != NULL &&
        (code = get_optional_text(root, paths->external_id, &external_id, err)) != ERR_OK)
        return code;
    if (check_id_parse(external_id, out->key.repo_id, &out->pr.head, &out->key.number, &out->attempt))
        return ERR_OK;
    return read_listed(out, root, paths->pulls, err);
}

enum err_code event_parse(struct event *out, const char *name, const void *body, size_t len,
                          const struct config *config, struct err *err)
{
    cJSON *root = NULL;
    const struct rerun_paths *paths = find_rerun(name);
    *out = (struct event){0};
    enum err_code code = parse_json(body, len, &root, err);
    if (code == ERR_OK)
        code = paths != NULL ? read_rerun(out, paths, root, config, err) : read_event(out, root, config, err);
    cJSON_Delete(root);
    return code;
}

/* ---- people's rights ---- */

bool event_changes_trust(const char *name)
{
    return strcmp(name, "member") == 0 || strcmp(name, "membership") == 0 || strcmp(name, "team") == 0;
}

static enum err_code read_team(struct trust_change *out, const cJSON *root, struct err *err)
{
    static const char path[] = "organization.login";
    const char *name = "";
    enum err_code code = get_text(root, path, &name, err);
    if (code != ERR_OK)
        return code;
    if (!text_is_owner_name(name) || !text_copy(out->organization, sizeof out->organization, name))
        return reject(err, path, "not a GitHub organization");
    /* Without a repository the team may have given rights in any. */
    return find(root, "repository") == NULL ? ERR_OK : get_id(root, "repository.id", &out->repo_id, err);
}

static enum err_code read_member(struct trust_change *out, const cJSON *root, struct err *err)
{
    static const char path[] = "member.login";
    const char *login = "";
    enum err_code code = get_text(root, path, &login, err);
    if (code != ERR_OK)
        return code;
    return text_is_login(login) && text_copy(out->login, sizeof out->login, login)
               ? ERR_OK
               : reject(err, path, "not a GitHub login");
}

enum err_code event_parse_trust(struct trust_change *out, const char *name, const void *body, size_t len,
                                struct err *err)
{
    cJSON *root = NULL;
    *out = (struct trust_change){0};
    enum err_code code = parse_json(body, len, &root, err);
    if (code == ERR_OK)
        code = strcmp(name, "team") == 0 ? read_team(out, root, err) : read_member(out, root, err);
    cJSON_Delete(root);
    return code;
}
