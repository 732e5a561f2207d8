/* Which webhooks there are, and `pull_request`. */
#include "event_internal.h"

#include <string.h>

#include "prgate/text.h"

enum { SHOWN_SIZE = 48 };

static const struct {
    enum event_action action;
    enum source source;
    const char *name;
} actions[] = {
    {EVENT_OPENED, FROM_PULL, "opened"},
    {EVENT_REOPENED, FROM_PULL, "reopened"},
    {EVENT_READY_FOR_REVIEW, FROM_PULL, "ready_for_review"},
    {EVENT_SYNCHRONIZE, FROM_PULL, "synchronize"},
    {EVENT_LABELED, FROM_PULL, "labeled"},
    {EVENT_UNLABELED, FROM_PULL, "unlabeled"},
    {EVENT_CONVERTED_TO_DRAFT, FROM_PULL, "converted_to_draft"},
    {EVENT_EDITED, FROM_PULL, "edited"},
    {EVENT_CLOSED, FROM_PULL, "closed"},
    {EVENT_RERUN, FROM_CHECK, "rerequested"},
    {EVENT_COMMAND, FROM_COMMENT, "created"},
    {EVENT_BUTTON, FROM_CHECK, "requested_action"},
    {EVENT_QUEUED, FROM_QUEUE, "checks_requested"},
    {EVENT_UNQUEUED, FROM_QUEUE, "destroyed"},
    {EVENT_DEQUEUED, FROM_PULL, "dequeued"},
    {EVENT_WAKE, FROM_NOTHING, "wake"},
    {EVENT_OPERATOR_APPROVE, FROM_NOTHING, "operator_approve"},
    {EVENT_OPERATOR_RETRIGGER, FROM_NOTHING, "operator_retrigger"},
};

enum { ACTION_COUNT = sizeof actions / sizeof actions[0] };

static enum err_code read_pull(struct event *out, const char *name, const cJSON *root,
                               const struct config *config, struct err *err);

/* By X-GitHub-Event. */
static const struct webhook {
    const char *name;
    enum source source;
    enum err_code (*read)(struct event *out, const char *name, const cJSON *root, const struct config *config,
                          struct err *err);
} webhooks[] = {
    {"pull_request", FROM_PULL, read_pull},
    {"check_run", FROM_CHECK, event_read_check},
    {"check_suite", FROM_CHECK, event_read_check},
    {"merge_group", FROM_QUEUE, event_read_queue},
    {"issue_comment", FROM_COMMENT, event_read_comment},
};

enum { WEBHOOK_COUNT = sizeof webhooks / sizeof webhooks[0] };

static const struct webhook *find_webhook(const char *name)
{
    for (size_t i = 0; i < WEBHOOK_COUNT; i++)
        if (strcmp(webhooks[i].name, name) == 0)
            return &webhooks[i];
    return NULL;
}

bool event_is_of_concern(const char *name)
{
    return find_webhook(name) != NULL;
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

bool event_shows_pull(const struct event *event)
{
    switch (event->action) {
    case EVENT_RERUN:
    case EVENT_COMMAND:
    case EVENT_BUTTON:
    case EVENT_QUEUED:
    case EVENT_UNQUEUED:
    case EVENT_WAKE:
    case EVENT_OPERATOR_APPROVE:
    case EVENT_OPERATOR_RETRIGGER:
        return false;
    case EVENT_OPENED:
    case EVENT_REOPENED:
    case EVENT_READY_FOR_REVIEW:
    case EVENT_SYNCHRONIZE:
    case EVENT_LABELED:
    case EVENT_UNLABELED:
    case EVENT_CONVERTED_TO_DRAFT:
    case EVENT_EDITED:
    case EVENT_CLOSED:
    case EVENT_DEQUEUED:
        return true;
    }
    return true;
}

bool event_is_operators(const struct event *event)
{
    return event->action == EVENT_OPERATOR_APPROVE || event->action == EVENT_OPERATOR_RETRIGGER;
}

static bool action_from_name(const char *name, enum source source, enum event_action *out)
{
    for (size_t i = 0; i < ACTION_COUNT; i++) {
        if (strcmp(actions[i].name, name) == 0 && actions[i].source == source) {
            *out = actions[i].action;
            return true;
        }
    }
    return false;
}

bool event_has_rule(const char *name, const char *action)
{
    enum event_action known;
    const struct webhook *webhook = find_webhook(name);
    return webhook != NULL && action_from_name(action, webhook->source, &known);
}

static const struct user_paths author_paths = {"pull_request.user", "pull_request.user.id",
                                               "pull_request.user.login", "pull_request.user.type"};

/* ---- which pull request ---- */

/* First, so that whatever is wrong with the rest can be logged with repository and number. */
static enum err_code read_identity(struct event *out, const cJSON *root, struct err *err)
{
    uint64_t number = 0;
    enum err_code code = event_read_repo(out, root, err);
    if (code != ERR_OK)
        return code;
    if ((code = json_get_id(root, "number", &out->key.number, err)) != ERR_OK ||
        (code = json_get_id(root, "repository.id", &out->key.repo_id, err)) != ERR_OK)
        return code;
    if ((code = json_get_id(root, "pull_request.number", &number, err)) != ERR_OK)
        return code;
    return number == out->key.number ? ERR_OK
                                     : json_reject(err, "pull_request.number", "differs from number");
}

enum err_code event_read_repo(struct event *out, const cJSON *root, struct err *err)
{
    static const char path[] = "repository.full_name";
    const char *name = "";
    enum err_code code = json_get_text(root, path, &name, err);
    if (code != ERR_OK)
        return code;
    return text_is_repo_name(name) && text_copy(out->repo, sizeof out->repo, name)
               ? ERR_OK
               : json_reject(err, path, "not an owner/name");
}

enum err_code event_read_concern(struct event *out, const cJSON *root, const struct policy *policy,
                                 enum source source, struct err *err)
{
    const char *action = "";
    char shown[SHOWN_SIZE];
    if (policy == NULL)
        return err_set(err, ERR_NOT_FOUND, 0, "repository %s is not configured", out->repo);
    enum err_code code = json_get_text(root, "action", &action, err);
    if (code != ERR_OK || action_from_name(action, source, &out->action))
        return code;
    text_copy_cut(shown, sizeof shown, action);
    return err_set(err, ERR_NOT_FOUND, 0, "action %s has no rule", shown);
}

/* ---- how it looks ---- */

static enum err_code read_head(struct snapshot *pr, const cJSON *root, struct err *err)
{
    enum err_code code = json_get_sha(root, "pull_request.head.sha", &pr->head, err);
    if (code != ERR_OK)
        return code;
    if ((code = json_get_ref(root, "pull_request.head.ref", pr->head_ref, err)) != ERR_OK)
        return code;
    /* Of a deleted fork there is none. */
    uint64_t from = json_id_or_0(root, "pull_request.head.repo.id");
    pr->same_repo = from != 0 && from == json_id_or_0(root, "repository.id");
    return json_get_ref(root, "pull_request.base.ref", pr->base_ref, err);
}

static enum err_code read_state(struct snapshot *pr, const cJSON *root, struct err *err)
{
    static const char state_path[] = "pull_request.state";
    static const char time_path[] = "pull_request.updated_at";
    const char *text = "";
    enum err_code code = json_get_text(root, state_path, &text, err);
    if (code != ERR_OK)
        return code;
    pr->closed = strcmp(text, "closed") == 0;
    if (!pr->closed && strcmp(text, "open") != 0)
        return json_reject(err, state_path, "neither open nor closed");
    if ((code = json_get_text(root, time_path, &text, err)) != ERR_OK)
        return code;
    pr->updated_at = text_to_time(text);
    return pr->updated_at > 0 ? ERR_OK : json_reject(err, time_path, "not a time like 2024-01-31T12:00:00Z");
}

/* null: GitHub is still working it out. */
static enum err_code read_mergeable(struct snapshot *pr, const cJSON *root, struct err *err)
{
    static const char path[] = "pull_request.mergeable";
    bool mergeable;
    enum err_code code = json_get_bool(root, path, &mergeable, err);
    if (code != ERR_OK)
        return code;
    pr->mergeable = mergeable ? MERGEABLE_YES : MERGEABLE_NO;
    if (json_find(root, path) == NULL)
        pr->mergeable = MERGEABLE_UNKNOWN;
    return ERR_OK;
}

/* A label without an id cannot be a pinned one, which the id 0 says. */
static enum err_code read_labels(struct snapshot *pr, const cJSON *root, const struct policy *policy,
                                 struct err *err)
{
    static const char path[] = "pull_request.labels";
    const cJSON *labels = json_find(root, path);
    const cJSON *label;
    if (labels == NULL)
        return ERR_OK;
    if (!cJSON_IsArray(labels))
        return json_reject(err, path, "not an array");
    cJSON_ArrayForEach(label, labels)
    {
        uint64_t id = 0;
        const cJSON *name = json_find(label, "name");
        if (!cJSON_IsString(name))
            return json_reject(err, path, "a label without a name");
        json_to_id(json_find(label, "id"), &id);
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
        (code = json_get_optional_text(root, "pull_request.title", &title, err)) != ERR_OK ||
        (code = json_get_user(root, &author_paths, &pr->author, err)) != ERR_OK ||
        (code = json_get_bool(root, "pull_request.draft", &pr->draft, err)) != ERR_OK ||
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
    if ((code = json_get_text(root, "label.name", &name, err)) != ERR_OK ||
        (code = json_get_id(root, "label.id", &out->label_id, err)) != ERR_OK)
        return code;
    if (!text_is_label(name) || !text_copy(out->label, sizeof out->label, name))
        return json_reject(err, "label.name", "not 1 to 200 printable bytes");
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
    case EVENT_COMMAND:
    case EVENT_BUTTON:
    case EVENT_QUEUED:
    case EVENT_UNQUEUED:
    case EVENT_DEQUEUED:
    case EVENT_WAKE:
    case EVENT_OPERATOR_APPROVE:
    case EVENT_OPERATOR_RETRIGGER:
        return ERR_OK;
    }
    return ERR_OK;
}

enum association event_association(const char *name)
{
    static const char *const insiders[] = {"OWNER", "MEMBER", "COLLABORATOR"};
    for (size_t i = 0; i < sizeof insiders / sizeof insiders[0]; i++)
        if (strcmp(insiders[i], name) == 0)
            return ASSOCIATION_INSIDER;
    return ASSOCIATION_OUTSIDER;
}

/* What is no boolean says nothing, and hides. */
static enum visibility read_visibility(const cJSON *root)
{
    const cJSON *private = json_find(root, "repository.private");
    if (!cJSON_IsBool(private))
        return VISIBILITY_UNKNOWN;
    return cJSON_IsTrue(private) ? VISIBILITY_PRIVATE : VISIBILITY_PUBLIC;
}

static enum err_code read_pull(struct event *out, const char *name, const cJSON *root,
                               const struct config *config, struct err *err)
{
    (void)name;
    const struct policy *policy = NULL;
    const char *association = NULL;
    enum err_code code = read_identity(out, root, err);
    if (code != ERR_OK)
        return code;
    policy = config_policy(config, out->repo);
    if ((code = event_read_concern(out, root, policy, FROM_PULL, err)) != ERR_OK ||
        (code = read_snapshot(&out->pr, root, policy, err)) != ERR_OK ||
        (code = json_get_user(root, &event_sender_paths, &out->sender, err)) != ERR_OK ||
        (code = event_read_installation(out, root, err)) != ERR_OK ||
        (code = json_get_optional_text(root, "pull_request.author_association", &association, err)) != ERR_OK)
        return code;
    out->association = event_association(association);
    out->visibility = read_visibility(root);
    return read_action(out, root, policy, err);
}

/* Repository hooks send no installation. */
enum err_code event_read_installation(struct event *out, const cJSON *root, struct err *err)
{
    return json_find(root, "installation") == NULL
               ? ERR_OK
               : json_get_id(root, "installation.id", &out->installation, err);
}

enum err_code event_parse(struct event *out, const char *name, const void *body, size_t len,
                          const struct config *config, struct err *err)
{
    cJSON *root = NULL;
    const struct webhook *webhook = find_webhook(name);
    *out = (struct event){0};
    enum err_code code = json_parse(body, len, &root, err);
    if (code == ERR_OK && webhook == NULL)
        code = err_set(err, ERR_NOT_FOUND, 0, "no webhook of concern");
    else if (code == ERR_OK)
        code = webhook->read(out, name, root, config, err);
    tree_free(root);
    return code;
}
