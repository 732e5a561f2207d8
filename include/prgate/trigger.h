/*
 * trigger: the ways to start CI for one commit.
 *
 * repository_dispatch: `event_type` as configured, `client_payload` with
 *   repository, number, head_sha, head_ref, base_ref, author, key.
 * workflow_dispatch: the same as string inputs (`workflow_ref`, else the base branch, runs).
 * http: POST of the same JSON object and `"action": "start"`, `Content-Type: application/json`,
 *   `X-Prgate-Key: KEY`, `X-Prgate-Event: trigger`, and with a secret
 *   `X-Hub-Signature-256` over the raw body. Any 2xx means taken. What was started by a key is cancelled by the same
 *   with `"action": "cancel"` and `X-Prgate-Event: cancel`. "Do you know key
 *   k?" is `GET` of the same URL with `X-Prgate-Key`: 200 yes, 404 no, and redirects are not followed; with a secret it
 *   carries X-Hub-Signature-256 over the key.
 * none: the label itself starts CI; nothing is sent.
 *
 * Errors as in github.h. Thread-safe as far as the github handle is.
 */
#ifndef PRGATE_TRIGGER_H
#define PRGATE_TRIGGER_H

#include "prgate/config.h"
#include "prgate/github.h"
#include "prgate/pr.h"

struct trigger {
    struct pr_key pr;
    const char *repo;
    struct sha head;
    const char *head_ref;
    const char *base_ref;
    const char *author;
    const char *key; /* see key.h */
};

enum err_code trigger_send(struct github *github, const struct policy *policy, const struct trigger *trigger,
                           struct err *err);

/*
 * Has the receiver seen this key? Only where policy->trigger_can_be_asked. `since`: Unix seconds, when it
 * was sent. For `none` the answer is yes: nothing was to arrive.
 */
enum err_code trigger_ask(struct github *github, const struct policy *policy, const struct trigger *trigger,
                          int64_t since, bool *known, struct err *err);

/*
 * Only for `http`: what was started by this key is to be cancelled. 404, 405, 410 and 501, in err.number, mean that the
 * receiver cannot, or does not know the key.
 */
enum err_code trigger_cancel(struct github *github, const struct policy *policy,
                             const struct trigger *trigger, struct err *err);

#endif
