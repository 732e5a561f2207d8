#include "routes.h"

#include <stdio.h>
#include <string.h>

#include "door.h"
#include "monitor.h"
#include "status.h"

/* A request on its way to a handler. */
struct call {
    struct gate *gate;
    const struct request *request;
    bool may_claim;
    const char *rest; /* of the path, behind the route's own */
    bool json;        /* the path ended in ".json" */
};

typedef void handler(const struct call *call, struct reply *reply);

static void answer_webhook(const struct call *call, struct reply *reply)
{
    reply->is_acknowledgement = true;
    door_webhook(call->gate, call->request, call->may_claim, reply);
}

static void answer_health(const struct call *call, struct reply *reply)
{
    monitor_health(call->gate, call->json, reply);
}

static void answer_metrics(const struct call *call, struct reply *reply)
{
    monitor_metrics(call->gate, call->json, reply);
}

static void answer_overview(const struct call *call, struct reply *reply)
{
    status_overview(call->gate, call->json, reply);
}

static void answer_pull(const struct call *call, struct reply *reply)
{
    status_pull(call->gate, call->rest, call->json, reply);
}

enum route_bits {
    ROUTE_GET = 1,  /* GET and HEAD; without it POST */
    ROUTE_JSON = 2, /* also under the same path with ".json" behind */
    ROUTE_REST = 4  /* more path must follow; without it none may */
};

static const struct route {
    const char *path;
    unsigned bits;
    handler *handle;
} routes[] = {
    {"/webhook", 0, answer_webhook},
    {"/healthz", ROUTE_GET | ROUTE_JSON, answer_health},
    {"/metrics", ROUTE_GET | ROUTE_JSON, answer_metrics},
    {"/status", ROUTE_GET | ROUTE_JSON, answer_overview},
    {"/status/", ROUTE_GET | ROUTE_JSON | ROUTE_REST, answer_pull},
};

enum { PATH_SIZE = 512 };

static bool matches(const struct route *route, const char *path, struct call *call)
{
    size_t len = strlen(route->path);
    if (strncmp(path, route->path, len) != 0)
        return false;
    call->rest = path + len;
    return (call->rest[0] != '\0') == ((route->bits & ROUTE_REST) != 0);
}

static const struct route *find_route(char *path, struct call *call)
{
    static const char suffix[] = ".json";
    size_t len = strlen(path), cut = sizeof suffix - 1;
    call->json = len > cut && strcmp(path + len - cut, suffix) == 0;
    if (call->json)
        path[len - cut] = '\0';
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (matches(&routes[i], path, call) && (!call->json || (routes[i].bits & ROUTE_JSON)))
            return &routes[i];
    return NULL;
}

static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

static const struct route *route_path(const char *front, const char *rest, char path[PATH_SIZE],
                                      struct call *call)
{
    int len = snprintf(path, PATH_SIZE, "%s%s", front, rest);
    return len >= 0 && len < PATH_SIZE ? find_route(path, call) : NULL;
}

/*
 * Servers cut a path into SCRIPT_NAME and PATH_INFO in different places: mounted below a prefix, be it
 * one that is called like a page of ours, PATH_INFO is ours; mounted at the root the two together are.
 */
static const struct route *route_request(const struct request *request, char path[PATH_SIZE],
                                         struct call *call)
{
    const char *script = or_empty(request->script_name), *info = or_empty(request->path_info);
    const struct route *route = route_path("", info, path, call);
    return route != NULL ? route : route_path(script, info, path, call);
}

static bool allows(const struct route *route, const char *method)
{
    if (route->bits & ROUTE_GET)
        return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    return strcmp(method, "POST") == 0;
}

void routes_answer(struct gate *gate, const struct request *request, bool may_claim, struct reply *reply)
{
    char path[PATH_SIZE];
    struct call call = {.gate = gate, .request = request, .may_claim = may_claim};
    const struct route *route = route_request(request, path, &call);
    const char *method = or_empty(request->method);
    if (route == NULL) {
        door_message(reply, 404, "error", "there is no such page");
    } else if (!allows(route, method)) {
        reply->allow = (route->bits & ROUTE_GET) ? "GET, HEAD" : "POST";
        door_message(reply, 405, "error", "this method is not allowed here");
    } else {
        route->handle(&call, reply);
    }
    if (strcmp(method, "HEAD") == 0) {
        reply->unsent = reply->body.len;
        buf_clear(&reply->body);
    }
}
