#include "prgate/files.h"

#include <string.h>

#include "prgate/log.h"
#include "prgate/patch.h"

enum {
    LISTED_MAX = 3000, /* files that GitHub tells of at most */
    FAILURES_MAX = 3   /* in a row, before the gate goes on without an answer */
};

struct looking {
    const struct policy *policy;
    unsigned seen;
    bool needed; /* some file needs tests */
    bool tested; /* some file is one */
};

static bool look(void *arg, const struct patch_file *file)
{
    struct looking *looking = arg;
    const struct policy *policy = looking->policy;
    bool is_test = policy_has_glob(&policy->tests_are, file->name);
    looking->seen++;
    looking->tested = is_test && strcmp(file->status, "removed") != 0;
    if (!looking->needed && !is_test && policy_has_glob(&policy->tests_needed_for, file->name) &&
        !policy_has_glob(&policy->tests_exempt, file->name))
        looking->needed = patch_counts(file);
    return !looking->tested;
}

/* Rate limits and what will be over soon are waited for, as for all that the gate asks. */
static bool will_pass(const struct record *record, const struct err *why)
{
    bool passes = why->code == ERR_RETRY || why->code == ERR_UNKNOWN;
    return passes && (why->retry_at_ms != 0 || record->failures < FAILURES_MAX);
}

enum err_code files_learn(struct worker *worker, const struct policy *policy, const struct record *record,
                          struct facts *facts, struct err *err)
{
    struct looking looking = {.policy = policy};
    struct err why = {0};
    if (!github_can_read(worker->github))
        return ERR_OK;
    enum err_code code = github_each_file(worker->github, record->key.number, look, &looking, &why);
    facts->tests_missing = code == ERR_OK && looking.needed && !looking.tested && looking.seen < LISTED_MAX;
    if (code == ERR_OK)
        return code;
    if (will_pass(record, &why) || code == ERR_FATAL) {
        *err = why;
        return code;
    }
    log_warning("whether a pull request has tests is not known", LOG_STR("repo", record->repo),
                LOG_INT("number", record->key.number), LOG_STR("error", why.text));
    return ERR_OK;
}
