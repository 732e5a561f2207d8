/* Webhooks about the gate's own checks: `check_run` and `check_suite`. */
#include "event_internal.h"

#include <string.h>

#include "prgate/key.h"

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

/* Anybody may give a check the gate's name; only GitHub says whose App it is. */
static enum err_code read_owner(const struct event *out, const struct rerun_paths *paths, const cJSON *root,
                                const struct config *config, struct err *err)
{
    const struct policy *policy = config_policy(config, out->repo);
    uint64_t app_id = json_id_or_0(root, paths->app);
    const char *name = "";
    if (policy->trigger == TRIGGER_NONE && out->action == EVENT_RERUN)
        return err_set(err, ERR_NOT_FOUND, 0,
                       "a re-run has nothing to send where the label itself starts CI: set it again");
    if (config->app_id != 0 && app_id != config->app_id)
        return err_set(err, ERR_NOT_FOUND, 0, "it is another App's check");
    if (paths->name == NULL)
        return config->app_id != 0
                   ? ERR_OK
                   : err_set(err, ERR_NOT_FOUND, 0, "a re-run of a suite that is not prgate's");
    enum err_code code = json_get_text(root, paths->name, &name, err);
    if (code == ERR_OK && strcmp(name, policy->check_name) != 0)
        return err_set(err, ERR_NOT_FOUND, 0, "it is a check that is not the gate's");
    return code;
}

/* GitHub also lists pull requests from this repository to another one. */
static bool is_meant(const cJSON *pull, const struct event *event)
{
    struct sha head;
    const cJSON *sha = json_find(pull, "head.sha");
    return cJSON_IsString(sha) && sha_parse(&head, sha->valuestring) && sha_equal(&head, &event->pr.head) &&
           json_id_or_0(pull, "base.repo.id") == event->key.repo_id && json_id_or_0(pull, "number") != 0;
}

static enum err_code read_listed(struct event *out, const cJSON *root, const char *path, struct err *err)
{
    const cJSON *pulls = json_find(root, path);
    const cJSON *pull;
    int count = 0;
    if (pulls != NULL && !cJSON_IsArray(pulls))
        return json_reject(err, path, "not an array");
    cJSON_ArrayForEach(pull, pulls)
    {
        if (!is_meant(pull, out))
            continue;
        out->key.number = json_id_or_0(pull, "number");
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

/* A button of the gate's own check: of which commit the external_id tells, and nothing else does. */
static enum err_code read_button(const struct rerun_paths *paths, const cJSON *root, struct err *err)
{
    const char *identifier = "";
    if (paths->name == NULL)
        return err_set(err, ERR_NOT_FOUND, 0, "a suite has no buttons");
    enum err_code code = json_get_text(root, "requested_action.identifier", &identifier, err);
    if (code == ERR_OK && strcmp(identifier, APPROVE_BUTTON_ID) != 0)
        return err_set(err, ERR_NOT_FOUND, 0, "no button of prgate's");
    return code;
}

enum err_code event_read_check(struct event *out, const char *name, const cJSON *root,
                               const struct config *config, struct err *err)
{
    const struct rerun_paths *paths = strcmp(name, reruns[0].event) == 0 ? &reruns[0] : &reruns[1];
    const char *external_id = "";
    enum err_code code = event_read_repo(out, root, err);
    if (code != ERR_OK)
        return code;
    const struct policy *policy = config_policy(config, out->repo);
    if ((code = event_read_concern(out, root, policy, FROM_CHECK, err)) != ERR_OK ||
        (code = read_owner(out, paths, root, config, err)) != ERR_OK ||
        (code = json_get_id(root, "repository.id", &out->key.repo_id, err)) != ERR_OK ||
        (code = json_get_sha(root, paths->sha, &out->pr.head, err)) != ERR_OK ||
        (code = json_get_user(root, &event_sender_paths, &out->sender, err)) != ERR_OK ||
        (code = event_read_installation(out, root, err)) != ERR_OK)
        return code;
    if (paths->external_id != NULL &&
        (code = json_get_optional_text(root, paths->external_id, &external_id, err)) != ERR_OK)
        return code;
    if (out->action == EVENT_BUTTON && (code = read_button(paths, root, err)) != ERR_OK)
        return code;
    if (check_id_parse(external_id, out->key.repo_id, &out->pr.head, &out->key.number, &out->attempt))
        return ERR_OK;
    if (out->action == EVENT_BUTTON)
        return err_set(err, ERR_NOT_FOUND, 0,
                       "the button is not of a check that prgate has written for that commit");
    return read_listed(out, root, paths->pulls, err);
}
