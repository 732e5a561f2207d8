/* The merge queue's webhook: `merge_group`. */
#include "event_internal.h"

#include <string.h>

#include "prgate/text.h"

enum { SHOWN_SIZE = 80 };

static const char branch_prefix[] = "refs/heads/";

/* GitHub gives whole names of branches here, and those of pull requests short. */
static enum err_code read_branch(const cJSON *root, const char *path, char out[REF_SIZE], struct err *err)
{
    char whole[REF_SIZE];
    enum err_code code = json_get_ref(root, path, whole, err);
    if (code != ERR_OK)
        return code;
    bool has_prefix = strncmp(whole, branch_prefix, sizeof branch_prefix - 1) == 0;
    const char *name = has_prefix ? whole + sizeof branch_prefix - 1 : whole;
    return text_copy(out, REF_SIZE, name) ? ERR_OK : json_reject(err, path, "too long");
}

/* The group's commit is worked on with the pull request that its branch names. */
static enum err_code read_group(struct event *out, const cJSON *root, struct err *err)
{
    char base_ref[REF_SIZE];
    char shown[SHOWN_SIZE];
    enum err_code code = read_branch(root, "merge_group.head_ref", out->pr.head_ref, err);
    if (code != ERR_OK || (code = read_branch(root, "merge_group.base_ref", out->pr.base_ref, err)) != ERR_OK)
        return code;
    if (queue_ref_parse(out->pr.head_ref, &out->key.number, base_ref))
        return ERR_OK;
    text_copy_cut(shown, sizeof shown, out->pr.head_ref);
    return err_set(err, ERR_NOT_FOUND, 0,
                   "merge_group.head_ref \"%s\" names no pull request, as in gh-readonly-queue/main/pr-1-SHA",
                   shown);
}

enum err_code event_read_queue(struct event *out, const char *name, const cJSON *root,
                               const struct config *config, struct err *err)
{
    (void)name;
    const char *reason = NULL;
    enum err_code code = event_read_repo(out, root, err);
    if (code != ERR_OK)
        return code;
    const struct policy *policy = config_policy(config, out->repo);
    if ((code = event_read_concern(out, root, policy, FROM_QUEUE, err)) != ERR_OK ||
        (code = json_get_id(root, "repository.id", &out->key.repo_id, err)) != ERR_OK ||
        (code = json_get_sha(root, "merge_group.head_sha", &out->pr.head, err)) != ERR_OK ||
        (code = read_group(out, root, err)) != ERR_OK ||
        (code = json_get_user(root, &event_sender_paths, &out->sender, err)) != ERR_OK ||
        (code = event_read_installation(out, root, err)) != ERR_OK ||
        (code = json_get_optional_text(root, "reason", &reason, err)) != ERR_OK)
        return code;
    out->pr.closed = out->action == EVENT_UNQUEUED && reason != NULL && strcmp(reason, "merged") == 0;
    return ERR_OK;
}
