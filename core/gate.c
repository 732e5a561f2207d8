#include "prgate/gate.h"

#include "prgate/clock.h"
#include "prgate/log.h"

enum { RATE_WAIT_AT_MOST_MS = 3600000 }; /* no answer is believed beyond this */

enum err_code gate_open(struct gate *gate, const struct config *config, struct err *err)
{
    *gate = (struct gate){.config = config};
    gate->webhook_keys = signature_keys_open(config->webhook_secrets, config->webhook_secret_count);
    bool is_new = !store_is_there(config->state_dir);
    enum err_code code = store_open(&gate->store, config->state_dir, err);
    if (code == ERR_OK && is_new)
        log_warning(
            "the state directory held no store: a new one was made; if prgate ran here before, stop the "
            "pool and restore a backup",
            LOG_STR("state_dir", config->state_dir));
    if (code == ERR_OK)
        gate->health = health_open(gate->store);
    if (code == ERR_OK)
        gate->tokens = shared_tokens_open(gate->store);
    if (code == ERR_OK)
        gate->questions = questions_open();
    if (code == ERR_OK)
        code = alive_open(&gate->alive, config->state_dir, err);
    if (code == ERR_OK)
        code = metrics_open(&gate->metrics, config->state_dir, err);
    if (code == ERR_OK)
        claims_open(&gate->claims, gate->alive);
    return code;
}

void gate_close(struct gate *gate)
{
    claims_close(gate->claims);
    metrics_close(gate->metrics);
    questions_close(gate->questions);
    shared_tokens_close(gate->tokens);
    health_close(gate->health);
    store_close(gate->store);
    /* Last: until here this process's claims must not look free. */
    alive_close(gate->alive);
    signature_keys_close(gate->webhook_keys);
    *gate = (struct gate){0};
}

void gate_heed_rate_limit(struct gate *gate, const struct err *err)
{
    bool limited = (err->number == 403 || err->number == 429) && err->retry_at_ms > 0;
    if (!limited)
        return;
    int64_t latest = clock_now_ms() + RATE_WAIT_AT_MOST_MS;
    int64_t until = err->retry_at_ms < latest ? err->retry_at_ms : latest;
    if (until <= metrics_get(gate->metrics, METRIC_RATE_BLOCKED_MS))
        return;
    metrics_set(gate->metrics, METRIC_RATE_BLOCKED_MS, until);
    log_warning("GitHub's rate limit is used up", LOG_INT("blocked_until_ms", until),
                LOG_STR("error", err->text));
}

bool gate_may_call(const struct gate *gate)
{
    return !atomic_load(&gate->stopping) && !gate_is_rate_blocked(gate, clock_now_ms());
}

bool gate_is_rate_blocked(const struct gate *gate, int64_t now_ms)
{
    return metrics_get(gate->metrics, METRIC_RATE_BLOCKED_MS) > now_ms;
}

/* Counts each call and tells the whole pool what GitHub said of its rate limit. */
static void note_call(void *arg, const struct github_call *call)
{
    struct metrics *metrics = arg;
    if (call->dry_run)
        metrics_add(metrics, METRIC_API_DRY_RUN);
    else
        metrics_add(metrics, call->status == 0 || call->status >= 500 ? METRIC_API_ERRORS : METRIC_API_CALLS);
    if (!call->dry_run)
        metrics_observe(metrics, HISTOGRAM_API_CALL, call->duration_ms * 1000);
    if (call->rate_limit >= 0)
        metrics_set(metrics, METRIC_RATE_LIMIT, call->rate_limit);
    if (call->rate_remaining >= 0)
        metrics_set(metrics, METRIC_RATE_REMAINING, call->rate_remaining);
    if (call->rate_reset >= 0)
        metrics_set(metrics, METRIC_RATE_RESET, call->rate_reset);
}

enum err_code worker_open(struct worker *worker, struct gate *gate, struct err *err)
{
    *worker = (struct worker){.gate = gate, .tokens = shared_tokens_use(gate->tokens)};
    enum err_code code = http_open(&worker->http, gate->config->request_timeout_s, err);
    if (code == ERR_OK)
        code = github_open(&worker->github, gate->config, worker->http, &worker->tokens, err);
    if (code == ERR_OK)
        github_on_call(worker->github, note_call, gate->metrics);
    return code;
}

void worker_close(struct worker *worker)
{
    github_close(worker->github);
    http_close(worker->http);
    worker->github = NULL;
    worker->http = NULL;
}
