#include "door.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "prgate/clock.h"
#include "prgate/event.h"
#include "prgate/forget.h"
#include "prgate/json.h"
#include "prgate/log.h"
#include "prgate/text.h"

enum { RETRY_AFTER_S = 5 };

static void write_reply(struct visit *visit, int status, const char *name, const char *message)
{
    struct buf *body = &visit->reply->body;
    visit->reply->status = status;
    buf_clear(body);
    json_begin(body);
    json_text(body, "status", name);
    json_text(body, "message", message);
    json_text(body, "delivery", visit->delivery);
    json_text(body, "repository", visit->event.repo[0] == '\0' ? NULL : visit->event.repo);
    if (visit->event.key.number != 0)
        json_number(body, "pull_request", (int64_t)visit->event.key.number);
    json_end(body);
    buf_addc(body, '\n');
}

void door_message(struct reply *reply, int status, const char *name, const char *message)
{
    struct visit visit = {.reply = reply};
    write_reply(&visit, status, name, message);
}

static void log_visit(const struct visit *visit, enum log_level level, const char *what, const char *reason)
{
    LOG_AT(level, what, LOG_INT("status", visit->reply->status),
           LOG_STR("delivery", visit->request->delivery), LOG_STR("event", visit->request->event),
           LOG_STR("repo", visit->event.repo), LOG_INT("number", visit->event.key.number),
           LOG_STR("reason", reason), LOG_STR("remote", visit->request->remote_addr), LOG_END);
}

static void count(const struct visit *visit, enum metric outcome)
{
    metrics_count_delivery(visit->gate->metrics, outcome, visit->request->event);
}

static bool refuse(struct visit *visit, int status, enum metric metric, const char *reason)
{
    write_reply(visit, status, "refused", reason);
    count(visit, metric);
    log_visit(visit, LOG_LEVEL_WARNING, "webhook refused", reason);
    return false;
}

static bool ignore(struct visit *visit, const char *reason)
{
    write_reply(visit, 200, "ignored", reason);
    count(visit, METRIC_IGNORED);
    log_visit(visit, LOG_LEVEL_INFO, "webhook ignored", reason);
    return false;
}

/* ---- the steps; each returns false when it has written the reply ------------ */

static bool is_json(const char *content_type)
{
    static const char json[] = "application/json";
    size_t len = sizeof json - 1;
    if (content_type == NULL || strncasecmp(content_type, json, len) != 0)
        return false;
    return content_type[len] == '\0' || content_type[len] == ';' || content_type[len] == ' ';
}

static bool check_length(struct visit *visit, size_t *len)
{
    const char *text = visit->request->content_length;
    uint64_t value;
    if (text == NULL || text[0] == '\0')
        return refuse(visit, 411, METRIC_MALFORMED, "Content-Length is missing");
    if (strspn(text, "0123456789") != strlen(text))
        return refuse(visit, 400, METRIC_MALFORMED, "Content-Length is not a number");
    if (!text_to_u64(text, DOOR_BODY_MAX, &value))
        return refuse(visit, 413, METRIC_MALFORMED, "the body is over 25 MiB, more than GitHub sends");
    *len = (size_t)value;
    return true;
}

/*
 * A large body that arrives while others are in memory is told to come again, before any of it is read: it is
 * most likely not even signed. give_room() is due when the body has been released.
 */
static bool take_room(struct visit *visit, size_t len)
{
    atomic_size_t *used = &visit->gate->large_bodies;
    size_t now = atomic_load(used);
    do {
        if (len > DOOR_LARGE && now + len > DOOR_LARGE_AT_ONCE) {
            visit->reply->retry_after_s = RETRY_AFTER_S;
            return refuse(visit, 503, METRIC_NOT_STORED,
                          "too many bodies over 1 MiB at once, please deliver it again");
        }
    } while (len > DOOR_LARGE && !atomic_compare_exchange_weak(used, &now, now + len));
    return true;
}

static void give_room(struct gate *gate, size_t len)
{
    if (len > DOOR_LARGE)
        atomic_fetch_sub(&gate->large_bodies, len);
}

static bool read_body(struct visit *visit, size_t len, struct buf *body)
{
    unsigned char *at = buf_reserve(body, len + 1);
    while (body->len < len) {
        size_t got = visit->request->read(visit->request->source, at + body->len, len - body->len);
        if (got == 0)
            return refuse(visit, 400, METRIC_MALFORMED, "the body is shorter than Content-Length says");
        body->len += got;
    }
    return true;
}

static bool check_signature(struct visit *visit, const struct buf *body)
{
    switch (signature_check(visit->gate->webhook_keys, visit->request->signature, body->data, body->len)) {
    case SIGNATURE_GOOD:
        return true;
    case SIGNATURE_MISSING:
        return refuse(visit, 401, METRIC_UNSIGNED,
                      "X-Hub-Signature-256 is missing: set the webhook's secret on GitHub");
    case SIGNATURE_MALFORMED:
        return refuse(visit, 401, METRIC_UNSIGNED, "X-Hub-Signature-256 is not sha256= and 64 hex digits");
    case SIGNATURE_WRONG:
        break;
    }
    return refuse(visit, 401, METRIC_UNSIGNED, "X-Hub-Signature-256 does not match any configured secret");
}

/* There is no secret to check it with yet, and nobody to act as. GitHub's own ping at the App's birth ends here. */
static bool check_app(struct visit *visit)
{
    if (!visit->gate->config->awaits_app)
        return true;
    visit->reply->retry_after_s = RETRY_AFTER_S;
    return refuse(visit, 503, METRIC_NOT_STORED, "no GitHub App is set up yet: run prgatectl setup");
}

static bool check_names(struct visit *visit)
{
    const struct request *request = visit->request;
    if (visit->delivery == NULL)
        return refuse(visit, 400, METRIC_MALFORMED, "X-GitHub-Delivery is missing or malformed");
    if (request->event == NULL || request->event[0] == '\0')
        return refuse(visit, 400, METRIC_MALFORMED, "X-GitHub-Event is missing");
    if (strcmp(request->event, "ping") == 0)
        return ignore(visit, "pong: the webhook is set up");
    if (!event_is_of_concern(request->event) && !event_changes_trust(request->event))
        return ignore(visit, "an event of no concern");
    return true;
}

static bool parse(struct visit *visit, const struct buf *body)
{
    struct err err = {0};
    enum err_code code =
        event_parse(&visit->event, visit->request->event, body->data, body->len, visit->gate->config, &err);
    if (code == ERR_NOT_FOUND)
        return ignore(visit, err.text);
    if (code != ERR_OK)
        return refuse(visit, 400, METRIC_MALFORMED, err.text);
    visit->event.received_ms = clock_now_ms();
    text_copy(visit->event.delivery, sizeof visit->event.delivery, visit->delivery);
    return true;
}

static void refuse_for_now(struct visit *visit, const char *what, const struct err *err)
{
    visit->reply->retry_after_s = RETRY_AFTER_S;
    write_reply(visit, 503, "refused", "it could not be stored, please deliver it again");
    count(visit, METRIC_NOT_STORED);
    log_visit(visit, LOG_LEVEL_ERROR, what, err->text);
}

/* Somebody's rights changed: what GitHub said about them before is asked anew. */
static void drop_answers(struct visit *visit, const struct buf *body)
{
    struct err err = {0};
    struct trust_change change;
    char message[96];
    size_t dropped = 0;
    if (event_parse_trust(&change, visit->request->event, body->data, body->len, &err) != ERR_OK) {
        refuse(visit, 400, METRIC_MALFORMED, err.text);
        return;
    }
    if (forget_answers(visit->gate->store, &change, &dropped, &err) != ERR_OK) {
        refuse_for_now(visit, "answers about rights were not dropped", &err);
        return;
    }
    snprintf(message, sizeof message, "rights changed: %zu answers of GitHub are to be asked anew", dropped);
    write_reply(visit, 200, "noted", message);
    count(visit, METRIC_IGNORED); /* nothing of it is kept */
    log_visit(visit, LOG_LEVEL_INFO, "webhook noted", message);
}

/* An ordinary body gets that of an earlier one, which it overwrites. */
static void take_memory(struct spares *bodies, size_t len, struct buf *body)
{
    buf_init(body);
    if (bodies == NULL || len >= REQUEST_BODY_ROOM)
        return;
    body->data = spares_take(bodies);
    if (body->data == NULL)
        body->data = mem_alloc(REQUEST_BODY_ROOM);
    body->cap = REQUEST_BODY_ROOM;
}

static void give_memory(struct spares *bodies, struct buf *body)
{
    if (bodies == NULL || body->cap != REQUEST_BODY_ROOM || !spares_give(bodies, body->data))
        buf_release(body);
}

static void take_body(struct visit *visit, size_t len)
{
    struct spares *bodies = visit->request->bodies;
    struct buf body;
    take_memory(bodies, len, &body);
    if (read_body(visit, len, &body) && check_signature(visit, &body) && check_names(visit)) {
        if (event_changes_trust(visit->request->event))
            drop_answers(visit, &body);
        else
            visit->waits = parse(visit, &body);
    }
    give_memory(bodies, &body);
}

static void begin(struct visit *visit)
{
    size_t len = 0;
    if (!check_app(visit))
        return;
    if (!is_json(visit->request->content_type)) {
        refuse(visit, 415, METRIC_MALFORMED,
               "Content-Type is not application/json: choose it in the webhook's settings");
    } else if (check_length(visit, &len) && take_room(visit, len)) {
        take_body(visit, len);
        give_room(visit->gate, len);
    }
}

void door_begin(struct visit *visit, struct gate *gate, const struct request *request, struct reply *reply)
{
    visit->gate = gate;
    visit->request = request;
    visit->reply = reply;
    if (request->delivery != NULL && text_is_delivery(request->delivery))
        visit->delivery = request->delivery;
    log_about(visit->delivery);
    begin(visit);
    log_about(NULL);
}

void door_prepare(struct visit *visit, bool may_claim)
{
    inbox_begin(&visit->taking, visit->gate, &visit->event, may_claim);
}

static void tell_outcome(struct visit *visit, const struct receipt *receipt)
{
    if (receipt->duplicate) {
        write_reply(visit, 200, "duplicate", "this delivery was taken before");
        count(visit, METRIC_DUPLICATE);
        log_visit(visit, LOG_LEVEL_INFO, "webhook is a duplicate", NULL);
        return;
    }
    write_reply(visit, 202, "taken", NULL);
    count(visit, METRIC_TAKEN);
    log_visit(visit, LOG_LEVEL_INFO, "webhook taken", event_action_name(visit->event.action));
    visit->reply->has_work = receipt->claimed;
    visit->reply->pr = visit->event.key;
    visit->reply->claim = receipt->claim;
    visit->reply->briefing = receipt->briefing;
}

void door_end(struct visit *visit)
{
    struct receipt receipt;
    struct err err = {0};
    log_about(visit->delivery);
    visit->waits = false;
    if (inbox_end(&visit->taking, &receipt, &err) == ERR_OK)
        tell_outcome(visit, &receipt);
    else
        refuse_for_now(visit, "a delivery was not stored", &err);
    log_about(NULL);
}

void door_store(struct visit *visit)
{
    log_about(visit->delivery);
    inbox_run(&visit->taking);
    door_end(visit);
}
