#include "config_policy.h"

#include <string.h>

#include "prgate/glob.h"
#include "prgate/text.h"

static const char *wrong_at(const char **key, const char *name, const char *wrong)
{
    *key = name;
    return wrong;
}

static const char *wrong_emergency(const struct policy *policy, const char **key)
{
    bool label = policy->emergency_label[0] != '\0';
    bool check = policy->emergency_check[0] != '\0';
    if (label && !check)
        return wrong_at(key, "emergency_label",
                        "needs to know which check it completes; set emergency_check");
    if (check && !label)
        return wrong_at(key, "emergency_check", "no label completes it; set emergency_label");
    if (!label)
        return NULL;
    if (text_equal_fold(policy->emergency_label, policy->label))
        return wrong_at(key, "emergency_label",
                        "is the gate label, which starts CI (letter case does not count); take another one");
    if (text_equal_fold(policy->emergency_check, policy->check_name))
        return wrong_at(key, "emergency_check",
                        "is the gate's own check, which only an approval completes; name another one");
    return NULL;
}

static const char *wrong_tests(const struct policy *policy, const char **key)
{
    static const char alone[] = "does nothing by itself; set tests_needed_for to say what needs tests";
    if (policy->tests_needed_for.count == 0 && policy->tests_are.count > 0)
        return wrong_at(key, "tests_are", alone);
    if (policy->tests_needed_for.count == 0 && policy->tests_exempt.count > 0)
        return wrong_at(key, "tests_exempt", alone);
    if (policy->tests_needed_for.count > 0 && policy->tests_are.count == 0)
        return wrong_at(key, "tests_needed_for", "needs to know what a test is; set tests_are");
    return NULL;
}

static const char *wrong_base(const struct policy *policy, const char **key)
{
    bool wanted = policy->base_wanted[0] != '\0';
    if (!wanted && policy->base_wrong.count > 0)
        return wrong_at(key, "base_wrong", "needs to know which base is right; set base_wanted");
    if (wanted && policy->base_wrong.count == 0)
        return wrong_at(key, "base_wanted",
                        "does nothing by itself; set base_wrong to say which bases are wrong");
    if (wanted && policy_has_glob(&policy->base_wrong, policy->base_wanted))
        return wrong_at(key, "base_wrong", "takes base_wanted itself for wrong; make the patterns narrower");
    return NULL;
}

static const char *wrong_release(const struct policy *policy, const char **key)
{
    bool branches = policy->release_branches.count > 0;
    if (policy->close_release_heads && !branches)
        return wrong_at(key, "close_release_heads",
                        "needs to know what a release branch is; set release_branches");
    if (branches && !policy->close_release_heads && policy->release_accounts.count == 0)
        return wrong_at(key, "release_branches",
                        "does nothing by itself; set close_release_heads or release_accounts");
    return NULL;
}

static const char *wrong_author_labels(const struct policy *policy, const char **key)
{
    for (size_t i = 0; i < policy->author_labels.count; i++) {
        const char *label = strchr(policy->author_labels.items[i], '=') + 1;
        if (text_equal_fold(label, policy->label))
            return wrong_at(key, "author_labels",
                            "sets the gate label, which is for people to set; trust the author instead, with "
                            "trusted_users");
        if (policy->emergency_label[0] != '\0' && text_equal_fold(label, policy->emergency_label))
            return wrong_at(key, "author_labels", "sets the emergency label, which is for people to set");
    }
    return NULL;
}

const char *config_policy_wrong(const struct policy *policy, const char **key)
{
    const char *(*const checks[])(const struct policy *, const char **) = {
        wrong_emergency, wrong_tests, wrong_base, wrong_release, wrong_author_labels};
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        const char *wrong = checks[i](policy, key);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

/* ---- asking ---- */

struct policy policy_gate_only(const struct policy *policy)
{
    static char none[] = "";
    const struct string_list nobody = {0};
    struct policy gate = *policy;
    gate.emergency_label = gate.emergency_check = gate.base_wanted = none;
    gate.tests_needed_for = gate.base_wrong = gate.release_branches = gate.release_accounts = nobody;
    gate.author_labels = nobody;
    gate.close_release_heads = gate.new_commit_comment = false;
    return gate;
}

bool policy_has_glob(const struct string_list *globs, const char *text)
{
    for (size_t i = 0; i < globs->count; i++)
        if (glob_fits(globs->items[i], text))
            return true;
    return false;
}

bool policy_is_emergency_label(const struct policy *policy, const char *name)
{
    return policy->emergency_label[0] != '\0' && text_equal_fold(policy->emergency_label, name);
}

const char *policy_author_label(const struct policy *policy, size_t *at, const char *login)
{
    while (login[0] != '\0' && *at < policy->author_labels.count) {
        const char *item = policy->author_labels.items[(*at)++];
        char known[LOGIN_SIZE];
        size_t len = (size_t)(strchr(item, '=') - item);
        memcpy(known, item, len); /* config_check_by_author() took it for a login */
        known[len] = '\0';
        if (text_equal_fold(known, login))
            return item + len + 1;
    }
    return NULL;
}
