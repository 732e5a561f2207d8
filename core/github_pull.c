#include <inttypes.h>
#include <string.h>

#include "github_internal.h"
#include "prgate/log.h"
#include "prgate/text.h"

static bool read_sha(const cJSON *pull, struct sha *out)
{
    const char *hex = github_json_text(pull, "head.sha");
    return hex != NULL && sha_parse(out, hex);
}

static bool read_ref(const cJSON *pull, const char *path, char out[REF_SIZE])
{
    const char *ref = github_json_text(pull, path);
    return ref != NULL && text_is_ref(ref) && text_copy(out, REF_SIZE, ref);
}

static bool read_state(const cJSON *pull, struct snapshot *out)
{
    const char *state = github_json_text(pull, "state");
    const char *updated_at = github_json_text(pull, "updated_at");
    const cJSON *draft = tree_find(pull, "draft");
    if (state == NULL || updated_at == NULL || !cJSON_IsBool(draft))
        return false;
    out->draft = cJSON_IsTrue(draft);
    out->closed = strcmp(state, "closed") == 0;
    out->updated_at = text_to_time(updated_at);
    return out->updated_at >= 0;
}

/* null, and absent: GitHub has not worked it out yet. That is not "no". */
static enum mergeable read_mergeable(const cJSON *pull)
{
    const cJSON *mergeable = tree_find(pull, "mergeable");
    if (!cJSON_IsBool(mergeable))
        return MERGEABLE_UNKNOWN;
    return cJSON_IsTrue(mergeable) ? MERGEABLE_YES : MERGEABLE_NO;
}

static bool read_labels(const cJSON *pull, const struct policy *policy, bool *labelled)
{
    const cJSON *labels = tree_find(pull, "labels");
    if (!cJSON_IsArray(labels))
        return false;
    for (const cJSON *label = labels->child; label != NULL; label = label->next) {
        bool is_gate;
        if (!github_json_label(label, policy, &is_gate))
            return false;
        *labelled = *labelled || is_gate;
    }
    return true;
}

/* head.repo is null where the fork was deleted. */
static bool is_same_repo(const cJSON *pull)
{
    uint64_t from, to;
    return github_json_u64(pull, "head.repo.id", &from) && github_json_u64(pull, "base.repo.id", &to) &&
           from == to;
}

/* NULL: all well; else what is wrong with it. */
static const char *read_pull(const cJSON *pull, const struct policy *policy, struct snapshot *out)
{
    const char *title = github_json_text(pull, "title");
    if (!read_sha(pull, &out->head))
        return "no head.sha";
    if (!read_ref(pull, "head.ref", out->head_ref))
        return "no valid head.ref";
    if (!read_ref(pull, "base.ref", out->base_ref))
        return "no valid base.ref";
    if (title == NULL)
        return "no title";
    if (!github_json_user(tree_find(pull, "user"), &out->author))
        return "no valid user.login, or no user.id";
    if (!read_state(pull, out))
        return "no state, draft or updated_at";
    if (!read_labels(pull, policy, &out->labelled))
        return "no labels, or one without name";
    text_copy_cut(out->title, sizeof out->title, title);
    out->mergeable = read_mergeable(pull);
    out->same_repo = is_same_repo(pull);
    return NULL;
}

static enum err_code get_pull(struct github *github, const char *url, const struct policy *policy,
                              struct snapshot *out, struct err *err)
{
    struct github_ask ask = {.method = "GET", .url = url};
    cJSON *pull = NULL;
    enum err_code code = github_read(github, GITHUB_ROLE_REPO, url, &pull, err);
    if (code != ERR_OK)
        return code;
    struct snapshot snapshot = {0};
    const char *odd = read_pull(pull, policy, &snapshot);
    if (odd == NULL)
        *out = snapshot;
    else
        code = github_odd_reply(github, &ask, odd, err);
    tree_free(pull);
    return code;
}

enum err_code github_get_pull(struct github *github, uint64_t number, const struct policy *policy,
                              struct snapshot *out, struct err *err)
{
    struct buf url;
    buf_init(&url);
    github_add_repo(github, &url);
    buf_addf(&url, "/pulls/%" PRIu64, number);
    enum err_code code = get_pull(github, buf_text(&url), policy, out, err);
    buf_release(&url);
    return code;
}

/* ---- all that are open ---- */

struct open_pulls {
    const struct policy *policy;
    github_pull_fn *fn;
    void *arg;
};

static enum github_seen see_pull(void *arg, const cJSON *item)
{
    struct open_pulls *pulls = arg;
    struct github_pull pull = {0};
    const char *repo = github_json_text(item, "base.repo.full_name");
    const char *created_at = github_json_text(item, "created_at");
    pull.created_at = created_at == NULL ? -1 : text_to_time(created_at);
    if (repo == NULL || !text_copy(pull.repo, sizeof pull.repo, repo) ||
        !github_json_u64(item, "number", &pull.key.number) ||
        !github_json_u64(item, "base.repo.id", &pull.key.repo_id))
        return GITHUB_ODD;
    const cJSON *private = tree_find(item, "base.repo.private");
    if (cJSON_IsBool(private))
        pull.visibility = cJSON_IsTrue(private) ? VISIBILITY_PRIVATE : VISIBILITY_PUBLIC;
    /* One that is odd would be refused at the door, too: the others are not to suffer for it. */
    const char *odd = read_pull(item, pulls->policy, &pull.snapshot);
    if (odd != NULL) {
        log_warning("a pull request in GitHub's list is passed over", LOG_STR("repo", pull.repo),
                    LOG_INT("number", pull.key.number), LOG_STR("reason", odd));
        return GITHUB_GO_ON;
    }
    return pulls->fn(pulls->arg, &pull) ? GITHUB_GO_ON : GITHUB_ENOUGH;
}

/* Oldest first, so that one which is opened meanwhile moves no other to a page that was read already. */
enum err_code github_each_open_pull(struct github *github, const struct policy *policy, github_pull_fn *fn,
                                    void *arg, struct err *err)
{
    struct open_pulls pulls = {.policy = policy, .fn = fn, .arg = arg};
    struct buf url;
    buf_init(&url);
    github_add_repo(github, &url);
    buf_adds(&url, "/pulls?state=open&sort=created&direction=asc&per_page=100");
    struct github_list list = {.url = buf_text(&url),
                               .odd = "a pull request without number or base repository",
                               .item = see_pull,
                               .arg = &pulls};
    enum err_code code = github_each(github, &list, err);
    buf_release(&url);
    return code;
}
