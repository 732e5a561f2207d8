/*
 * The world as GitHub's REST API, for the calls that prgate makes. Anything else is answered with 501 and
 * noted as trouble: a replay must not prove something about a gate that was told nonsense.
 */
#include <stdio.h>
#include <string.h>

#include "prgate/text.h"
#include "replay.h"

enum { ARGS_MAX = 4, ARG_SIZE = 256, TOKEN_S = 3600, GATE_LABEL_ID = 1 };

struct call {
    struct world *world;
    const struct http_request *request;
    char args[ARGS_MAX][ARG_SIZE]; /* what the stars of the pattern stand for, decoded */
    cJSON *body;                   /* NULL: none */
    cJSON *reply;                  /* NULL: none */
    int status;
};

typedef void answer_fn(struct call *call);

static void reply_with(struct call *call, int status, cJSON *reply)
{
    call->status = status;
    call->reply = reply;
}

static void not_found(struct call *call)
{
    cJSON *reply = cJSON_CreateObject();
    cJSON_AddStringToObject(reply, "message", "Not Found");
    reply_with(call, 404, reply);
}

static const char *body_text(const struct call *call, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(call->body, name));
}

/* Says what was asked wrongly, and answers as GitHub would. */
static void trouble(struct call *call, int status, const char *what)
{
    snprintf(call->world->trouble, sizeof call->world->trouble, "%s %.300s: %s", call->request->method,
             call->request->url, what);
    reply_with(call, status, NULL);
}

static bool is_this_pull(struct call *call, const char *number)
{
    char own[24];
    snprintf(own, sizeof own, "%llu", (unsigned long long)call->world->number);
    if (strcmp(own, number) == 0)
        return true;
    trouble(call, 404, "it is about another pull request");
    return false;
}

/* ---- the pull request ---- */

static cJSON *user_json(const struct user *user)
{
    if (user->login[0] == '\0')
        return cJSON_CreateNull();
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "login", user->login);
    cJSON_AddNumberToObject(json, "id", (double)user->id);
    cJSON_AddStringToObject(json, "type", user->bot ? "Bot" : "User");
    return json;
}

static cJSON *labels_json(const struct world *world)
{
    cJSON *labels = cJSON_CreateArray();
    if (world->labelled) {
        const struct policy *policy = world->recording->policy;
        cJSON *label = cJSON_CreateObject();
        cJSON_AddNumberToObject(label, "id",
                                policy->label_id == 0 ? GATE_LABEL_ID : (double)policy->label_id);
        cJSON_AddStringToObject(label, "name", policy->label);
        cJSON_AddItemToArray(labels, label);
    }
    return labels;
}

static void get_pull(struct call *call)
{
    if (!is_this_pull(call, call->args[2]))
        return;
    char time[TEXT_TIME_SIZE];
    struct snapshot view = world_view(call->world);
    cJSON *pull = cJSON_CreateObject();
    text_from_time(view.updated_at, time);
    cJSON_AddNumberToObject(pull, "number", (double)call->world->number);
    cJSON_AddStringToObject(pull, "title", view.title);
    cJSON_AddStringToObject(pull, "state", view.closed ? "closed" : "open");
    cJSON_AddBoolToObject(pull, "draft", view.draft);
    cJSON_AddStringToObject(pull, "updated_at", time);
    cJSON_AddItemToObject(pull, "user", user_json(&view.author));
    cJSON_AddItemToObject(pull, "labels", labels_json(call->world));
    if (view.mergeable == MERGEABLE_UNKNOWN)
        cJSON_AddNullToObject(pull, "mergeable");
    else
        cJSON_AddBoolToObject(pull, "mergeable", view.mergeable == MERGEABLE_YES);
    cJSON *head = cJSON_AddObjectToObject(pull, "head");
    cJSON_AddStringToObject(head, "sha", view.head.hex);
    cJSON_AddStringToObject(head, "ref", view.head_ref);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(pull, "base"), "ref", view.base_ref);
    reply_with(call, 200, pull);
}

/* ---- the label ---- */

static void list_labels(struct call *call)
{
    if (is_this_pull(call, call->args[2]))
        reply_with(call, 200, labels_json(call->world));
}

static void add_labels(struct call *call)
{
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(call->body, "labels");
    const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(labels, 0));
    if (!is_this_pull(call, call->args[2]))
        return;
    if (name == NULL || cJSON_GetArraySize(labels) != 1 ||
        !text_equal_fold(name, call->world->recording->policy->label)) {
        trouble(call, 422, "not the gate label alone");
        return;
    }
    world_set_label(call->world, true);
    reply_with(call, 200, labels_json(call->world));
}

static void remove_label(struct call *call)
{
    if (!is_this_pull(call, call->args[2]))
        return;
    if (!text_equal_fold(call->args[3], call->world->recording->policy->label)) {
        trouble(call, 404, "not the gate label");
    } else if (!call->world->labelled) {
        not_found(call);
    } else {
        world_set_label(call->world, false);
        reply_with(call, 200, labels_json(call->world));
    }
}

/* Of the label's history the last event, which is all that counts. */
static void list_issue_events(struct call *call)
{
    const struct world *world = call->world;
    if (!is_this_pull(call, call->args[2]))
        return;
    cJSON *list = cJSON_CreateArray();
    if (world->labelled) {
        char time[TEXT_TIME_SIZE];
        cJSON *event = cJSON_CreateObject();
        text_from_time(world->label_set_s, time);
        cJSON_AddStringToObject(event, "event", "labeled");
        cJSON_AddStringToObject(event, "created_at", time);
        cJSON_AddItemToObject(event, "actor", user_json(&world->label_by));
        cJSON *label = cJSON_AddObjectToObject(event, "label");
        cJSON_AddStringToObject(label, "name", world->recording->policy->label);
        cJSON_AddItemToArray(list, event);
    }
    reply_with(call, 200, list);
}

/* ---- comments ---- */

static void list_comments(struct call *call)
{
    const struct world *world = call->world;
    if (!is_this_pull(call, call->args[2]))
        return;
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < world->comment_count; i++) {
        cJSON *comment = cJSON_CreateObject();
        cJSON_AddStringToObject(comment, "body", world->comments[i]);
        cJSON_AddItemToObject(comment, "user", user_json(&world->recordings->gate));
        cJSON *app = cJSON_AddObjectToObject(comment, "performed_via_github_app");
        cJSON_AddNumberToObject(app, "id", (double)world->config->app_id);
        cJSON_AddItemToArray(list, comment);
    }
    reply_with(call, 200, list);
}

static void add_comment(struct call *call)
{
    const char *text = body_text(call, "body");
    if (!is_this_pull(call, call->args[2]))
        return;
    if (text == NULL || text[0] == '\0') {
        trouble(call, 422, "a comment without text");
        return;
    }
    world_comment(call->world, text);
    reply_with(call, 201, cJSON_CreateObject());
}

static void react(struct call *call)
{
    reply_with(call, 201, cJSON_CreateObject());
}

/* ---- checks ---- */

static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

static cJSON *run_json(const struct world *world, const struct world_check *check)
{
    cJSON *run = cJSON_CreateObject();
    cJSON_AddNumberToObject(run, "id", (double)check->id);
    cJSON_AddStringToObject(run, "name", world->recording->policy->check_name);
    cJSON_AddStringToObject(run, "status", check->completed ? "completed" : "in_progress");
    if (check->completed)
        cJSON_AddStringToObject(run, "conclusion", "success");
    else
        cJSON_AddNullToObject(run, "conclusion");
    cJSON_AddStringToObject(run, "external_id", or_empty(check->external_id));
    cJSON_AddStringToObject(run, "details_url", or_empty(check->details_url));
    cJSON *output = cJSON_AddObjectToObject(run, "output");
    cJSON_AddStringToObject(output, "title", or_empty(check->title));
    cJSON_AddStringToObject(output, "summary", or_empty(check->summary));
    cJSON_AddNumberToObject(cJSON_AddObjectToObject(run, "app"), "id", (double)world->config->app_id);
    return run;
}

static void list_runs(struct call *call)
{
    struct sha sha;
    cJSON *reply = cJSON_CreateObject();
    cJSON *runs = cJSON_AddArrayToObject(reply, "check_runs");
    const struct world_check *check = NULL;
    if (sha_parse(&sha, call->args[2]))
        check = world_find_check(call->world, &sha);
    if (check != NULL)
        cJSON_AddItemToArray(runs, run_json(call->world, check));
    reply_with(call, 200, reply);
}

static void write_run(struct call *call, struct world_check *check, int status)
{
    const cJSON *output = cJSON_GetObjectItemCaseSensitive(call->body, "output");
    const char *state = body_text(call, "status");
    check->completed = state != NULL && strcmp(state, "completed") == 0;
    world_set_text(&check->external_id, body_text(call, "external_id"));
    world_set_text(&check->details_url, body_text(call, "details_url"));
    world_set_text(&check->title, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(output, "title")));
    world_set_text(&check->summary,
                   cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(output, "summary")));
    reply_with(call, status, run_json(call->world, check));
}

static void create_run(struct call *call)
{
    struct sha sha;
    const char *hex = body_text(call, "head_sha");
    if (hex == NULL || !sha_parse(&sha, hex))
        trouble(call, 422, "a check run without head_sha");
    else if (world_find_check(call->world, &sha) != NULL)
        trouble(call, 422, "a second check run of one name for one commit");
    else
        write_run(call, world_add_check(call->world, &sha), 201);
}

static void update_run(struct call *call)
{
    uint64_t id;
    if (text_to_u64(call->args[2], call->world->check_count, &id) && id > 0)
        write_run(call, &call->world->checks[id - 1], 200);
    else
        trouble(call, 404, "no such check run");
}

static void list_statuses(struct call *call)
{
    struct sha sha;
    cJSON *list = cJSON_CreateArray();
    const struct world_check *check = NULL;
    if (sha_parse(&sha, call->args[2]))
        check = world_find_check(call->world, &sha);
    if (check != NULL) {
        cJSON *status = cJSON_CreateObject();
        cJSON_AddStringToObject(status, "context", call->world->recording->policy->check_name);
        cJSON_AddStringToObject(status, "state", check->completed ? "success" : "pending");
        cJSON_AddStringToObject(status, "description", or_empty(check->title));
        cJSON_AddStringToObject(status, "target_url", or_empty(check->details_url));
        cJSON_AddItemToArray(list, status);
    }
    reply_with(call, 200, list);
}

static void create_status(struct call *call)
{
    struct sha sha;
    const char *state = body_text(call, "state");
    if (state == NULL || !sha_parse(&sha, call->args[2])) {
        trouble(call, 422, "a status without state or commit");
        return;
    }
    struct world_check *check = world_find_check(call->world, &sha);
    if (check == NULL)
        check = world_add_check(call->world, &sha);
    check->completed = strcmp(state, "success") == 0;
    world_set_text(&check->title, body_text(call, "description"));
    world_set_text(&check->details_url, body_text(call, "target_url"));
    reply_with(call, 201, cJSON_CreateObject());
}

/* ---- people ---- */

static void get_permission(struct call *call)
{
    const char *name = permission_name(replay_permission(call->world->recordings, call->args[2]));
    cJSON *reply = cJSON_CreateObject();
    cJSON_AddStringToObject(reply, "permission", name);
    cJSON_AddStringToObject(reply, "role_name", name);
    reply_with(call, 200, reply);
}

static void get_membership(struct call *call)
{
    char team[2 * ARG_SIZE];
    snprintf(team, sizeof team, "%s/%s", call->args[0], call->args[1]);
    if (!replay_is_member(call->world->recordings, call->args[2], team)) {
        not_found(call);
        return;
    }
    cJSON *reply = cJSON_CreateObject();
    cJSON_AddStringToObject(reply, "state", "active");
    reply_with(call, 200, reply);
}

static void get_user(struct call *call)
{
    reply_with(call, 200, user_json(&call->world->recordings->gate));
}

static void get_app(struct call *call)
{
    char slug[LOGIN_SIZE];
    cJSON *reply = cJSON_CreateObject();
    text_copy(slug, sizeof slug, call->world->recordings->gate.login);
    slug[strcspn(slug, "[")] = '\0';
    cJSON_AddStringToObject(reply, "slug", slug);
    reply_with(call, 200, reply);
}

static void get_installation(struct call *call)
{
    cJSON *reply = cJSON_CreateObject();
    cJSON_AddNumberToObject(reply, "id", 1);
    reply_with(call, 200, reply);
}

static void create_token(struct call *call)
{
    char time[TEXT_TIME_SIZE];
    cJSON *reply = cJSON_CreateObject();
    text_from_time(world_now_ms() / 1000 + TOKEN_S, time);
    cJSON_AddStringToObject(reply, "token", "replay");
    cJSON_AddStringToObject(reply, "expires_at", time);
    reply_with(call, 201, reply);
}

/* ---- CI ---- */

static void take_trigger(struct call *call, const cJSON *described, int status)
{
    const char *sha = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(described, "head_sha"));
    const char *key = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(described, "key"));
    if (sha == NULL || key == NULL) {
        trouble(call, 422, "a trigger without head_sha or key");
        return;
    }
    world_trigger(call->world, sha, key);
    reply_with(call, status, NULL);
}

static void repository_dispatch(struct call *call)
{
    take_trigger(call, cJSON_GetObjectItemCaseSensitive(call->body, "client_payload"), 204);
}

static void workflow_dispatch(struct call *call)
{
    take_trigger(call, cJSON_GetObjectItemCaseSensitive(call->body, "inputs"), 204);
}

static void list_workflow_runs(struct call *call)
{
    cJSON *reply = cJSON_CreateObject();
    cJSON *runs = cJSON_AddArrayToObject(reply, "workflow_runs");
    for (size_t i = 0; i < call->world->trigger_count; i++) {
        cJSON *run = cJSON_CreateObject();
        cJSON_AddStringToObject(run, "display_title", call->world->triggers[i].key);
        cJSON_AddItemToArray(runs, run);
    }
    reply_with(call, 200, reply);
}

/* Nothing is ever lost on the way here, so nobody need ask: only a trigger comes. */
static void own_ci(struct call *call)
{
    if (strcmp(call->request->method, "POST") == 0)
        take_trigger(call, call->body, 202);
    else
        not_found(call);
}

/* ---- which call is it ---- */

struct route {
    const char *method;
    const char *pattern;
    answer_fn *answer;
};

static const struct route routes[] = {
    {"GET", "/repos/*/*/pulls/*", get_pull},
    {"GET", "/repos/*/*/issues/*/labels", list_labels},
    {"POST", "/repos/*/*/issues/*/labels", add_labels},
    {"DELETE", "/repos/*/*/issues/*/labels/*", remove_label},
    {"GET", "/repos/*/*/issues/*/events", list_issue_events},
    {"GET", "/repos/*/*/issues/*/comments", list_comments},
    {"POST", "/repos/*/*/issues/*/comments", add_comment},
    {"POST", "/repos/*/*/issues/comments/*/reactions", react},
    {"GET", "/repos/*/*/commits/*/check-runs", list_runs},
    {"POST", "/repos/*/*/check-runs", create_run},
    {"PATCH", "/repos/*/*/check-runs/*", update_run},
    {"GET", "/repos/*/*/commits/*/statuses", list_statuses},
    {"POST", "/repos/*/*/statuses/*", create_status},
    {"GET", "/repos/*/*/collaborators/*/permission", get_permission},
    {"GET", "/orgs/*/teams/*/memberships/*", get_membership},
    {"GET", "/user", get_user},
    {"GET", "/app", get_app},
    {"GET", "/repos/*/*/installation", get_installation},
    {"POST", "/app/installations/*/access_tokens", create_token},
    {"POST", "/repos/*/*/dispatches", repository_dispatch},
    {"POST", "/repos/*/*/actions/workflows/*/dispatches", workflow_dispatch},
    {"GET", "/repos/*/*/actions/runs", list_workflow_runs},
};

/* One path segment, percent-decoded. */
static bool decode(const char *from, size_t len, char out[ARG_SIZE])
{
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        char hex[3] = {0};
        if (used + 1 >= ARG_SIZE)
            return false;
        out[used] = from[i];
        if (from[i] == '%' && i + 2 < len) {
            memcpy(hex, from + i + 1, 2);
            if (!text_unhex(hex, &out[used], 1))
                return false;
            i += 2;
        } else if (from[i] == '%') {
            return false;
        }
        used++;
    }
    out[used] = '\0';
    return true;
}

/* Segment by segment; what follows a question mark does not count. */
static bool matches(const char *pattern, const char *path, char args[ARGS_MAX][ARG_SIZE])
{
    size_t end = strcspn(path, "?");
    size_t stars = 0;
    while (*pattern == '/' && end > 0 && *path == '/') {
        size_t want = 1 + strcspn(pattern + 1, "/");
        size_t have = 1 + strcspn(path + 1, "/?");
        if (want == 2 && pattern[1] == '*') {
            if (stars == ARGS_MAX || !decode(path + 1, have - 1, args[stars++]))
                return false;
        } else if (want != have || strncmp(pattern, path, want) != 0) {
            return false;
        }
        pattern += want;
        path += have;
        end -= have;
    }
    return *pattern == '\0' && end == 0;
}

static void answer_call(struct call *call)
{
    const char *url = call->request->url;
    size_t api = strlen(call->world->config->api_url);
    const struct policy *policy = call->world->recording->policy;
    if (policy->trigger == TRIGGER_HTTP && strcmp(url, policy->http_url) == 0) {
        own_ci(call);
        return;
    }
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (strcmp(routes[i].method, call->request->method) == 0 &&
            strncmp(url, call->world->config->api_url, api) == 0 &&
            matches(routes[i].pattern, url + api, call->args)) {
            routes[i].answer(call);
            return;
        }
    }
    trouble(call, 501, "the replay's GitHub does not know this call");
}

enum err_code world_perform(struct http *http, const struct http_request *request, struct http_reply *reply,
                            struct err *err)
{
    (void)err;
    struct call call = {.world = (struct world *)http, .request = request};
    http_reply_clear(reply);
    /* A call takes a moment, in which something may happen. */
    world_advance(call.world, world_now_ms() + 1);
    if (request->body != NULL)
        call.body = cJSON_ParseWithLength(request->body, request->body_len);
    answer_call(&call);
    reply->status = call.status;
    if (call.reply != NULL) {
        char *text = cJSON_PrintUnformatted(call.reply);
        buf_adds(&reply->body, text);
        cJSON_free(text);
    }
    cJSON_Delete(call.reply);
    cJSON_Delete(call.body);
    return ERR_OK;
}
