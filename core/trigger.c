#include "prgate/trigger.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "prgate/buf.h"
#include "prgate/log.h"
#include "prgate/signature.h"

static const char json_header[] = "Content-Type: application/json";
static const char start_header[] = "X-Prgate-Event: trigger";
static const char cancel_header[] = "X-Prgate-Event: cancel";

/* ---- what is sent ---- */

enum number_as { NUMBER_AS_NUMBER, NUMBER_AS_TEXT };

/*
 * The seven members of trigger.h, and what is to be done where the receiver has to be told; a workflow's inputs are
 * all strings. Yours to cJSON_free().
 */
static char *describe(const struct trigger *trigger, enum number_as number_as, const char *action)
{
    char number[24];
    cJSON *json = cJSON_CreateObject();
    if (action != NULL)
        cJSON_AddStringToObject(json, "action", action);
    snprintf(number, sizeof number, "%" PRIu64, trigger->pr.number);
    cJSON_AddStringToObject(json, "repository", trigger->repo);
    switch (number_as) {
    case NUMBER_AS_NUMBER:
        cJSON_AddRawToObject(json, "number", number);
        break;
    case NUMBER_AS_TEXT:
        cJSON_AddStringToObject(json, "number", number);
        break;
    }
    cJSON_AddStringToObject(json, "head_sha", trigger->head.hex);
    cJSON_AddStringToObject(json, "head_ref", trigger->head_ref);
    cJSON_AddStringToObject(json, "base_ref", trigger->base_ref);
    cJSON_AddStringToObject(json, "author", trigger->author);
    cJSON_AddStringToObject(json, "key", trigger->key);
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    if (text == NULL)
        log_panic("out of memory");
    return text;
}

/* ---- repository_dispatch, workflow_dispatch ---- */

static enum err_code send_repository_dispatch(struct github *github, const struct policy *policy,
                                              const struct trigger *trigger, struct err *err)
{
    char *payload = describe(trigger, NUMBER_AS_NUMBER, NULL);
    enum err_code code = github_repository_dispatch(github, policy->dispatch_event, payload, err);
    cJSON_free(payload);
    return code;
}

static enum err_code send_workflow_dispatch(struct github *github, const struct policy *policy,
                                            const struct trigger *trigger, struct err *err)
{
    char *inputs = describe(trigger, NUMBER_AS_TEXT, NULL);
    const char *ref = policy->workflow_ref[0] != '\0' ? policy->workflow_ref : trigger->base_ref;
    enum err_code code = github_workflow_dispatch(github, policy->workflow, ref, inputs, err);
    cJSON_free(inputs);
    return code;
}

/* ---- http ---- */

static const char start_action[] = "start";
static const char cancel_action[] = "cancel";

/* The headers that depend on the trigger, as text that outlives the request. */
struct http_headers {
    char key[sizeof "X-Prgate-Key: " + KEY_SIZE];
    char signature[sizeof "X-Hub-Signature-256: " + SIGNATURE_SIZE];
};

/* Appends them to those that the request has already; signed over `signed_text` where there is a secret. */
static void add_headers(struct http_request *request, struct http_headers *headers,
                        const struct policy *policy, const char *key, const char *signed_text)
{
    size_t i = 0;
    while (request->headers[i] != NULL)
        i++;
    snprintf(headers->key, sizeof headers->key, "X-Prgate-Key: %s", key);
    request->headers[i++] = headers->key;
    if (policy->http_secret.len == 0)
        return;
    char signature[SIGNATURE_SIZE];
    signature_make(&policy->http_secret, signed_text, strlen(signed_text), signature);
    snprintf(headers->signature, sizeof headers->signature, "X-Hub-Signature-256: %s", signature);
    request->headers[i] = headers->signature;
}

/* The headers are not signed, so what is to be done is told in the body as well. */
static enum err_code send_http(struct github *github, const struct policy *policy,
                               const struct trigger *trigger, const char *action, struct err *err)
{
    bool cancels = strcmp(action, cancel_action) == 0;
    char *body = describe(trigger, NUMBER_AS_NUMBER, action);
    struct http_headers headers;
    struct http_request request = {.method = "POST",
                                   .url = policy->http_url,
                                   .headers = {json_header, cancels ? cancel_header : start_header},
                                   .body = body,
                                   .body_len = strlen(body),
                                   .once = true};
    add_headers(&request, &headers, policy, trigger->key, body);
    enum err_code code = github_call_elsewhere(github, &request, err);
    cJSON_free(body);
    return code;
}

static enum err_code ask_http(struct github *github, const struct policy *policy,
                              const struct trigger *trigger, bool *known, struct err *err)
{
    struct err cause = {0};
    struct http_headers headers;
    struct http_request request = {.method = "GET", .url = policy->http_url, .no_redirect = true};
    add_headers(&request, &headers, policy, trigger->key, trigger->key);
    enum err_code code = github_call_elsewhere(github, &request, &cause);
    if (code == ERR_OK) {
        *known = true;
        return ERR_OK;
    }
    /* 404 is the answer "no". 410, or no request at all, is none. */
    if (code == ERR_NOT_FOUND && cause.number == 404) {
        *known = false;
        return ERR_OK;
    }
    if (err != NULL)
        *err = cause;
    return code;
}

/* ---- all of them ---- */

enum err_code trigger_send(struct github *github, const struct policy *policy, const struct trigger *trigger,
                           struct err *err)
{
    switch (policy->trigger) {
    case TRIGGER_NONE:
        return ERR_OK;
    case TRIGGER_REPOSITORY_DISPATCH:
        return send_repository_dispatch(github, policy, trigger, err);
    case TRIGGER_WORKFLOW_DISPATCH:
        return send_workflow_dispatch(github, policy, trigger, err);
    case TRIGGER_HTTP:
        return send_http(github, policy, trigger, start_action, err);
    }
    log_panic("a trigger of no kind", LOG_INT("kind", policy->trigger));
    return ERR_FATAL;
}

enum err_code trigger_ask(struct github *github, const struct policy *policy, const struct trigger *trigger,
                          int64_t since, bool *known, struct err *err)
{
    switch (policy->trigger) {
    case TRIGGER_NONE:
        *known = true; /* nothing was to arrive */
        return ERR_OK;
    case TRIGGER_REPOSITORY_DISPATCH:
        return github_find_run(github, "repository_dispatch", trigger->key, since, known, err);
    case TRIGGER_WORKFLOW_DISPATCH:
        return github_find_run(github, "workflow_dispatch", trigger->key, since, known, err);
    case TRIGGER_HTTP:
        return ask_http(github, policy, trigger, known, err);
    }
    log_panic("a trigger of no kind", LOG_INT("kind", policy->trigger));
    return ERR_FATAL;
}

enum err_code trigger_cancel(struct github *github, const struct policy *policy,
                             const struct trigger *trigger, struct err *err)
{
    return send_http(github, policy, trigger, cancel_action, err);
}
