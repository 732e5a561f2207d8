#include "monitor.h"

#include <inttypes.h>
#include <stdio.h>

#include "prgate/budget.h"
#include "prgate/health.h"

static void add_number(cJSON *object, const char *name, int64_t value)
{
    cJSON_AddNumberToObject(object, name, (double)value);
}

/* Sets the reply's status, too. */
static void add_verdict(const struct gate *gate, const struct health_view *view, cJSON *object,
                        struct reply *reply)
{
    char message[128];
    int64_t age_s = view->oldest_delivery_ms / 1000;
    int max_age_s = gate->config->health_max_age_s;
    bool late = max_age_s > 0 && age_s > max_age_s;
    reply->status = view->works && !late ? 200 : 503;
    cJSON_AddStringToObject(object, "status", reply->status == 200 ? "ok" : "error");
    if (reply->status == 200)
        return;
    reply->retry_after_s = 1;
    cJSON_AddStringToObject(object, "reason", view->works ? "waiting" : "store");
    snprintf(message, sizeof message, "a delivery has been waiting for %" PRId64 " s; health_max_age is %d s",
             age_s, max_age_s);
    cJSON_AddStringToObject(object, "message", view->works ? message : view->why.text);
}

void monitor_health(struct gate *gate, bool exact, struct reply *reply)
{
    struct health_view view;
    if (exact)
        health_look(gate->store, &view);
    else
        health_get(gate->health, &view);
    cJSON *object = cJSON_CreateObject();
    add_verdict(gate, &view, object, reply);
    if (view.works) {
        add_number(object, "waiting", (int64_t)(view.deliveries + view.intents));
        add_number(object, "deliveries", (int64_t)view.deliveries);
        add_number(object, "intents", (int64_t)view.intents);
        add_number(object, "oldest_delivery_seconds", view.oldest_delivery_ms / 1000);
        add_number(object, "oldest_intent_seconds", view.oldest_intent_ms / 1000);
        add_number(object, "dead", (int64_t)view.dead);
    }
    reply_json(reply, reply->status, object);
    cJSON_Delete(object);
}

void monitor_metrics(struct gate *gate, bool json, struct reply *reply)
{
    struct health_view view;
    health_get(gate->health, &view);
    struct err err;
    size_t over_budget = 0;
    bool works =
        view.works && budget_count_waiting(gate->store, HEALTH_COUNT_MAX, &over_budget, &err) == ERR_OK;
    struct metrics_gauges gauges = {.store_works = works,
                                    .deliveries = view.deliveries,
                                    .intents = view.intents,
                                    .dead = view.dead,
                                    .over_budget = over_budget,
                                    .oldest_delivery_ms = view.oldest_delivery_ms,
                                    .oldest_intent_ms = view.oldest_intent_ms,
                                    .processes = alive_count(gate->alive)};
    reply->status = 200;
    if (json) {
        metrics_print_json(gate->metrics, &gauges, &reply->body);
        return;
    }
    reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_print(gate->metrics, &gauges, &reply->body);
}
