#include "prgate/needs.h"

#include <string.h>

static bool starts_by(const struct config *config, enum trigger_kind trigger)
{
    if (config == NULL)
        return trigger == TRIGGER_REPOSITORY_DISPATCH;
    for (size_t i = 0; i < config->policy_count; i++)
        if (config->policies[i].trigger == trigger)
            return true;
    return false;
}

static bool asks_for_runs(const struct config *config)
{
    for (size_t i = 0; config != NULL && i < config->policy_count; i++)
        if (config->policies[i].trigger == TRIGGER_REPOSITORY_DISPATCH &&
            config->policies[i].trigger_can_be_asked)
            return true;
    return false;
}

/* Acts on workflow runs: cancels them, or lets them go. */
static bool changes_runs(const struct config *config)
{
    for (size_t i = 0; config != NULL && i < config->policy_count; i++) {
        const struct policy *policy = &config->policies[i];
        bool cancels = policy->trigger != TRIGGER_HTTP && (policy->cancel_on_push || policy->cancel_on_close);
        if (cancels || policy->release_runs)
            return true;
    }
    return false;
}

static bool asks_for_teams(const struct config *config)
{
    for (size_t i = 0; config != NULL && i < config->policy_count; i++)
        if (config->policies[i].trusted_teams.count > 0)
            return true;
    return false;
}

size_t needs_permissions(const struct config *config, struct need out[NEEDS_MAX])
{
    size_t count = 0;
    out[count++] = (struct need){"metadata", "read", "who has which permission", false};
    out[count++] = (struct need){"checks", "write", "the check that waits", false};
    out[count++] =
        (struct need){"pull_requests", "write", "reading pull requests; their labels and comments", false};
    if (starts_by(config, TRIGGER_REPOSITORY_DISPATCH))
        out[count++] = (struct need){"contents", "write", "trigger = \"repository_dispatch\"", false};
    if (starts_by(config, TRIGGER_WORKFLOW_DISPATCH))
        out[count++] = (struct need){"actions", "write", "trigger = \"workflow_dispatch\"", false};
    else if (changes_runs(config))
        out[count++] = (struct need){"actions", "write", "cancelling and releasing runs", false};
    else if (asks_for_runs(config))
        out[count++] = (struct need){"actions", "read", "trigger_can_be_asked", false};
    if (asks_for_teams(config))
        out[count++] = (struct need){"members", "read", "trusted_teams", false};
    out[count++] = (struct need){"merge_queues", "read", "where a branch has a merge queue", true};
    out[count++] = (struct need){"issues", "read",
                                 "commands in comments; in private repositories, who set a label", true};
    return count;
}

size_t needs_events(struct need out[NEEDS_MAX])
{
    static const struct need events[] = {
        {"pull_request", NULL, "everything", false},
        {"issue_comment", NULL, "commands in comments", true},
        {"member", NULL, "somebody's new rights count at once, not when trust_ttl is over", true},
        {"membership", NULL, "the same of members of a team", true},
        {"team", NULL, "the same of a team", true},
        {"merge_group", NULL, "where a branch has a merge queue", true},
    };
    memcpy(out, events, sizeof events);
    return sizeof events / sizeof *events;
}

/* By GitHub's description of its webhooks. */
static const char *permission_of(const char *event)
{
    static const struct {
        const char *event, *permission;
    } rows[] = {
        {"pull_request", "pull_requests"}, {"issue_comment", "issues"}, {"member", "members"},
        {"membership", "members"},         {"team", "members"},         {"merge_group", "merge_queues"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].event, event) == 0)
            return rows[i].permission;
    return "";
}

static bool has(const struct need *needs, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(needs[i].name, name) == 0)
            return true;
    return false;
}

size_t needs_granted_events(const struct config *config, struct need out[NEEDS_MAX])
{
    struct need permissions[NEEDS_MAX], events[NEEDS_MAX];
    size_t granted = 0, permission_count = needs_permissions(config, permissions);
    size_t event_count = needs_events(events);
    for (size_t i = 0; i < event_count; i++)
        if (has(permissions, permission_count, permission_of(events[i].name)))
            out[granted++] = events[i];
    return granted;
}

static int rank(const char *access)
{
    static const char *const names[] = {"read", "write", "admin"};
    for (int i = 0; i < 3; i++)
        if (access != NULL && strcmp(access, names[i]) == 0)
            return i + 1;
    return 0;
}

bool needs_is_enough(const char *given, const char *wanted)
{
    return rank(given) > 0 && rank(given) >= rank(wanted);
}
