#include "prgate/repos.h"

#include <string.h>

#include "prgate/clock.h"
#include "prgate/log.h"
#include "prgate/tables.h"
#include "prgate/text.h"

struct name_step {
    const char *last; /* the next one comes behind it */
    char name[REPO_NAME_SIZE];
    uint64_t repo_id;
};

static enum err_code next_name_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct name_step *step = arg;
    text_copy(step->name, sizeof step->name, step->last);
    return table_next_name(txn, step->name, &step->repo_id, err);
}

/* Of the store's, the next one that the configuration still covers. */
static enum err_code next_known(struct gate *gate, char name[REPO_NAME_SIZE], struct err *err)
{
    char last[REPO_NAME_SIZE];
    struct name_step step = {.last = last};
    enum err_code code;
    text_copy(step.name, sizeof step.name, name);
    do {
        text_copy(last, sizeof last, step.name);
        code = store_txn(gate->store, next_name_body, &step, err);
    } while (code == ERR_CORRUPT || (code == ERR_OK && config_policy(gate->config, step.name) == NULL));
    if (code == ERR_OK)
        text_copy(name, REPO_NAME_SIZE, step.name);
    return code;
}

/* The configuration's next one; false: no more. */
static bool next_configured(const struct config *config, const char *name, char out[REPO_NAME_SIZE])
{
    bool found = false;
    for (size_t i = 0; i < config->policy_count; i++) {
        char folded[REPO_NAME_SIZE];
        if (strchr(config->policies[i].pattern, '*') != NULL ||
            !text_copy(folded, sizeof folded, config->policies[i].pattern))
            continue;
        text_fold(folded);
        if (strcmp(folded, name) > 0 && (!found || strcmp(folded, out) < 0))
            found = text_copy(out, REPO_NAME_SIZE, folded);
    }
    return found;
}

enum err_code repos_next(struct gate *gate, char name[REPO_NAME_SIZE], struct err *err)
{
    char configured[REPO_NAME_SIZE];
    bool have_configured = next_configured(gate->config, name, configured);
    enum err_code code = next_known(gate, name, err);
    if (have_configured && (code == ERR_NOT_FOUND || (code == ERR_OK && strcmp(configured, name) < 0))) {
        text_copy(name, REPO_NAME_SIZE, configured);
        code = ERR_OK;
    }
    return code;
}

struct id_step {
    const char *name;
    struct repo_ids ids;
};

static enum err_code ids_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct id_step *step = arg;
    struct record record;
    step->ids = (struct repo_ids){0};
    enum err_code code = table_get_name(txn, step->name, &step->ids.repo, err);
    if (code != ERR_OK)
        return code;
    record_init(&record);
    struct pr_key pr = {.repo_id = step->ids.repo};
    if (table_next_record(txn, &pr, &record, err) == ERR_OK && pr.repo_id == step->ids.repo)
        step->ids.installation = record.installation;
    record_release(&record);
    return ERR_OK;
}

struct repo_ids repos_ids(struct gate *gate, const char *name)
{
    struct err err = {0};
    struct id_step step = {.name = name};
    enum err_code code = store_txn(gate->store, ids_body, &step, &err);
    if (code != ERR_OK && code != ERR_NOT_FOUND)
        log_warning("what is known of a repository cannot be read", LOG_STR("repo", name),
                    LOG_STR("error", err.text));
    return code == ERR_OK ? step.ids : (struct repo_ids){0};
}

struct since_step {
    const char *name;
    int64_t now_ms;
    int64_t since_ms;
};

static enum err_code since_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct since_step *step = arg;
    return table_note_repo(txn, step->name, step->now_ms, &step->since_ms, err);
}

enum err_code repos_known_since(struct gate *gate, const char *name, int64_t *since_ms, struct err *err)
{
    struct since_step step = {.name = name, .now_ms = clock_now_ms()};
    enum err_code code = store_txn(gate->store, since_body, &step, err);
    *since_ms = step.since_ms;
    return code;
}
