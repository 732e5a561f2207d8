/*
 * What the policies want done. Each looks before it acts, or sets what may be set twice; so does the comment that an
 * intent may have with it, which is made last. A crash in between leaves the intent, and all of it is done again.
 */
#include "act_internal.h"

#include <stddef.h>

#include "prgate/wording.h"

enum { AUTHOR_LABELS_MAX = 100 }; /* GitHub's own limit for an issue */

/* The configuration was changed since it was decided. */
static struct act_result gone(const char *key)
{
    struct err err = {0};
    err_set(&err, ERR_REJECT, 0, "%s is not configured any more", key);
    return (struct act_result){.outcome = ACT_REFUSED, .err = err};
}

/* And tells of it, where that is the intent's to do. */
static struct act_result and_say(struct worker *worker, const struct policy *policy,
                                 const struct record *record, const struct intent *intent,
                                 struct act_result result)
{
    return result.outcome == ACT_DONE && intent->message != MESSAGE_NONE
               ? act_say(worker, policy, record, intent)
               : result;
}

static struct act_result complete_guard(struct worker *worker, const struct policy *policy,
                                        const struct record *record, const struct intent *intent)
{
    struct err err = {0};
    struct buf title, summary, url;
    if (policy->emergency_check[0] == '\0')
        return gone("emergency_check");
    buf_init(&title);
    buf_init(&summary);
    buf_init(&url);
    wording_guard(policy, record, intent, &title, &summary);
    act_add_details_url(worker, record, &url);
    /* The id is none that a re-run of the gate's own check could be taken for. */
    struct github_check check = {.sha = intent->sha,
                                 .name = policy->emergency_check,
                                 .external_id = "emergency",
                                 .title = buf_text(&title),
                                 .summary = buf_text(&summary),
                                 .details_url = buf_text(&url),
                                 .completed = true};
    enum err_code code = github_put_check(worker->github, &check, &err);
    buf_release(&title);
    buf_release(&summary);
    buf_release(&url);
    return act_result_of(code, &err);
}

/* Somebody may have done it meanwhile, or closed the pull request, whose base nobody may change then. */
static struct act_result retarget(struct worker *worker, const struct policy *policy,
                                  const struct record *record)
{
    struct err err = {0};
    struct snapshot now = record->view;
    enum err_code code = ERR_OK;
    if (policy->base_wanted[0] == '\0')
        return gone("base_wanted");
    if (github_can_read(worker->github))
        code = github_get_pull(worker->github, record->key.number, policy, &now, &err);
    if (code == ERR_OK && !now.closed && policy_has_glob(&policy->base_wrong, now.base_ref))
        code = github_set_base(worker->github, record->key.number, policy->base_wanted, &err);
    return act_result_of(code, &err);
}

static struct act_result close_pull(struct worker *worker, const struct record *record)
{
    struct err err = {0};
    enum err_code code = github_close_pull(worker->github, record->key.number, &err);
    return act_result_of(code, &err);
}

static struct act_result approve(struct worker *worker, const struct record *record,
                                 const struct intent *intent)
{
    struct err err = {0};
    struct buf text;
    buf_init(&text);
    wording_review(record, intent, &text);
    enum err_code code =
        github_approve_once(worker->github, record->key.number, &intent->sha, buf_text(&text), &err);
    buf_release(&text);
    return act_result_of(code, &err);
}

static struct act_result add_author_labels(struct worker *worker, const struct policy *policy,
                                           const struct record *record)
{
    struct err err = {0};
    const char *labels[AUTHOR_LABELS_MAX];
    const char *label;
    size_t count = 0, at = 0;
    while (count < AUTHOR_LABELS_MAX &&
           (label = policy_author_label(policy, &at, record->view.author.login)) != NULL)
        labels[count++] = label;
    if (count == 0)
        return gone("author_labels");
    enum err_code code = github_add_labels(worker->github, record->key.number, labels, count, &err);
    return act_result_of(code, &err);
}

static struct act_result remove_emergency_label(struct worker *worker, const struct policy *policy,
                                                const struct record *record)
{
    struct err err = {0};
    if (policy->emergency_label[0] == '\0')
        return gone("emergency_label");
    enum err_code code =
        github_remove_named_label(worker->github, record->key.number, policy->emergency_label, &err);
    return act_result_of(code, &err);
}

struct act_result act_policy(struct worker *worker, const struct policy *policy, const struct record *record,
                             const struct intent *intent)
{
    struct err err = {0};
    switch (intent->kind) {
    case INTENT_COMPLETE_GUARD:
        return and_say(worker, policy, record, intent, complete_guard(worker, policy, record, intent));
    case INTENT_RETARGET:
        return and_say(worker, policy, record, intent, retarget(worker, policy, record));
    case INTENT_CLOSE:
        return close_pull(worker, record);
    case INTENT_APPROVE_REVIEW:
        return approve(worker, record, intent);
    case INTENT_ADD_AUTHOR_LABELS:
        return add_author_labels(worker, policy, record);
    case INTENT_REMOVE_EMERGENCY_LABEL:
        return remove_emergency_label(worker, policy, record);
    case INTENT_TRIGGER:
    case INTENT_ADD_LABEL:
    case INTENT_REMOVE_LABEL:
    case INTENT_CHECK_AWAITING:
    case INTENT_CHECK_DONE:
    case INTENT_COMMENT_CONFLICT:
    case INTENT_COMMENT:
    case INTENT_REACT:
    case INTENT_CANCEL:
    case INTENT_RELEASE_RUNS:
    case INTENT_REMOVE_QUEUE_LABEL:
    case INTENT_KIND_END:
        break;
    }
    err_set(&err, ERR_REJECT, (int)intent->kind, "no policy's intent");
    return (struct act_result){.outcome = ACT_REFUSED, .err = err};
}
