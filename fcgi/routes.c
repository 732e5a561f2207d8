#include "routes.h"

#include <stdio.h>
#include <string.h>

#include "door.h"
#include "monitor.h"
#include "setup_page.h"
#include "status.h"

/* A request on its way to a handler. */
struct call {
    struct gate *gate;
    const struct request *request;
    struct visit *visit;
    const char *rest; /* of the path, behind the route's own */
    struct ask ask;
};

typedef void handler(const struct call *call, struct reply *reply);

static void answer_webhook(const struct call *call, struct reply *reply)
{
    reply->is_acknowledgement = true;
    door_begin(call->visit, call->gate, call->request, reply);
}

static void answer_health(const struct call *call, struct reply *reply)
{
    monitor_health(call->gate, call->ask.json, reply);
}

static void answer_metrics(const struct call *call, struct reply *reply)
{
    monitor_metrics(call->gate, call->ask.json, reply);
}

static void answer_overview(const struct call *call, struct reply *reply)
{
    status_overview(&call->ask, reply);
}

static void answer_style(const struct call *call, struct reply *reply)
{
    (void)call;
    status_style(reply);
}

static void answer_pull(const struct call *call, struct reply *reply)
{
    status_pull(&call->ask, call->rest, reply);
}

static void answer_setup(const struct call *call, struct reply *reply)
{
    setup_page_begin(&call->ask, call->request, reply);
}

static void answer_setup_done(const struct call *call, struct reply *reply)
{
    setup_page_finish(&call->ask, call->request, reply);
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
    {"/status/style.css", ROUTE_GET, answer_style},
    {"/status/", ROUTE_GET | ROUTE_JSON | ROUTE_REST, answer_pull},
    {"/setup", ROUTE_GET, answer_setup},
    {"/setup/done", ROUTE_GET, answer_setup_done},
};

enum { PATH_SIZE = 512, ROOT_SIZE = 64 };

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
    call->ask.json = len > cut && strcmp(path + len - cut, suffix) == 0;
    if (call->ask.json)
        path[len - cut] = '\0';
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (matches(&routes[i], path, call) && (!call->ask.json || (routes[i].bits & ROUTE_JSON)))
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

/*
 * From the page that a browser takes that path for, to where prgate is mounted. Relative, since no server tells where that
 * is; one step for each slash behind the first.
 */
static void lead_back(const char *path, char root[ROOT_SIZE])
{
    size_t len = 0;
    root[0] = '\0';
    for (const char *at = *path == '/' ? path + 1 : path; *at != '\0' && len + 4 < ROOT_SIZE; at++)
        if (*at == '/') {
            memcpy(root + len, "../", 4);
            len += 3;
        }
}

/* A browser names it first; others take anything, or JSON. */
static bool wants_html(const struct request *request)
{
    return strstr(or_empty(request->accept), "text/html") != NULL;
}

static bool allows(const struct route *route, const char *method)
{
    if (route->bits & ROUTE_GET)
        return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    return strcmp(method, "POST") == 0;
}

void routes_begin(struct gate *gate, const struct request *request, struct visit *visit, struct reply *reply)
{
    char path[PATH_SIZE], root[ROOT_SIZE];
    struct call call = {.gate = gate, .request = request, .visit = visit};
    call.ask = (struct ask){.gate = gate, .query = request->query, .html = wants_html(request), .root = root};
    const struct route *route = route_request(request, path, &call);
    const char *method = or_empty(request->method);
    lead_back(route != NULL ? path : or_empty(request->path_info), root);
    if (route == NULL) {
        status_error(&call.ask, 404, "there is no such page", reply);
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

void routes_answer(struct gate *gate, const struct request *request, bool may_claim, struct reply *reply)
{
    struct visit visit = {0};
    routes_begin(gate, request, &visit, reply);
    if (!visit.waits)
        return;
    door_prepare(&visit, may_claim);
    door_store(&visit);
}
