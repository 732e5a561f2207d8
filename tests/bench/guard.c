/*
 * guard DIRECTORY: what tests/bench/guard.py counts the instructions of. DIRECTORY holds the configuration and the
 * payloads that guard.py made: of each round an untrusted pull request that is opened and then labelled, and one of
 * somebody trusted that is opened.
 *
 * Everything is real, from the request that the web server hands over to the page that shows the pull request, but GitHub,
 * the clock and the disk: GitHub is a function here, a second passes between two deliveries, and nothing is synced.
 * The first rounds are not counted: what is done once, and asked once, is done then. Prints the deliveries and the pages
 * that are.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/clock.h"
#include "prgate/drain.h"
#include "prgate/gate.h"
#include "prgate/http.h"
#include "prgate/log.h"
#include "prgate/signature.h"
#include "prgate/tree.h"
#include "routes.h"
#include "simulated.h"

enum { ROUNDS_BEFORE = 2, ROUNDS = 8, PATH_ROOM = 512 };

static const int64_t start_ms = INT64_C(1763116200000); /* later than what the payloads tell of */

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "guard: %s: %s\n", what, why);
    exit(1);
}

static void read_file(const char *dir, const char *name, unsigned round, struct buf *out)
{
    char path[PATH_ROOM], chunk[4096];
    size_t got;
    snprintf(path, sizeof path, "%s/%u.%s.json", dir, round, name);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        die(path, "cannot be read");
    buf_clear(out);
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0)
        buf_add(out, chunk, got);
    fclose(file);
}

/* ---- GitHub ------------------------------------------------------------------------- */

/* As little as can be, since it is counted, too: fixed replies, and the pull request as the payload has it. */
struct model {
    struct http http; /* first: perform() casts back */
    struct buf pull;
    unsigned triggers;
};

static const struct answer {
    const char *method, *part;
    int status;
    const char *body; /* NULL: the pull request */
} answers[] = {
    {"GET", "/pulls/", 200, NULL},
    {"GET", "/mara-lind/permission", 200, "{\"permission\":\"write\",\"role_name\":\"write\"}"},
    {"GET", "/permission", 200, "{\"permission\":\"read\",\"role_name\":\"read\"}"},
    {"GET", "/check-runs", 200, "{\"total_count\":0,\"check_runs\":[]}"},
    {"POST", "/check-runs", 201, "{\"id\":4}"},
    {"PATCH", "/check-runs/4", 200, "{\"id\":4}"},
    {"POST", "/labels", 200, "[{\"id\":1,\"name\":\"CICD\"}]"},
    {"POST", "/dispatches", 204, ""},
    {"POST", "/access_tokens", 201, "{\"token\":\"ghs_x\",\"expires_at\":\"2025-11-14T13:00:00Z\"}"},
    {"GET", "/app", 200, "{\"slug\":\"prgate\"}"},
};

static enum err_code perform(struct http *http, const struct http_request *request, struct http_reply *reply,
                             struct err *err)
{
    struct model *model = (struct model *)http;
    (void)err;
    http_reply_clear(reply);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        const struct answer *answer = &answers[i];
        if (strcmp(answer->method, request->method) != 0 || strstr(request->url, answer->part) == NULL)
            continue;
        reply->status = answer->status;
        if (answer->body != NULL)
            buf_adds(&reply->body, answer->body);
        else
            buf_add(&reply->body, model->pull.data, model->pull.len);
        model->triggers += answer->status == 204;
        return ERR_OK;
    }
    die(request->method, request->url);
}

/* ---- one of each --------------------------------------------------------------------- */

struct guard {
    const char *dir;
    struct config *config;
    struct gate gate;
    struct worker worker;
    struct model model;
    struct buf body;
    size_t sent; /* of the body */
    unsigned deliveries;
};

static size_t read_body(void *source, void *to, size_t len)
{
    struct guard *guard = source;
    size_t left = guard->body.len - guard->sent;
    size_t now = len < left ? len : left;
    memcpy(to, guard->body.data + guard->sent, now);
    guard->sent += now;
    return now;
}

/* These four are known by their names to guard.py: they are not inlined, and visible. */
void guard_measured(struct guard *guard);
void guard_deliver(struct guard *guard, const struct request *request, struct reply *reply);
void guard_drain(struct guard *guard, struct reply *reply);
void guard_page(struct guard *guard, const struct request *request, struct reply *reply);

__attribute__((noinline)) void guard_deliver(struct guard *guard, const struct request *request,
                                             struct reply *reply)
{
    routes_answer(&guard->gate, request, true, reply);
}

__attribute__((noinline)) void guard_drain(struct guard *guard, struct reply *reply)
{
    drain_start(&guard->worker, &reply->pr, &reply->claim, reply_take_briefing(reply));
}

__attribute__((noinline)) void guard_page(struct guard *guard, const struct request *request,
                                          struct reply *reply)
{
    routes_answer(&guard->gate, request, false, reply);
}

static void deliver(struct guard *guard, const char *what, unsigned round)
{
    char id[64], length[32], header[SIGNATURE_SIZE];
    struct reply reply;
    simulated_ms += 1000;
    read_file(guard->dir, what, round, &guard->body);
    read_file(guard->dir, strcmp(what, "trusted") == 0 ? "trusted_pull" : "pull", round, &guard->model.pull);
    guard->sent = 0;
    snprintf(id, sizeof id, "%08x-0000-11ef-8000-0123456789ab", ++guard->deliveries);
    snprintf(length, sizeof length, "%zu", guard->body.len);
    signature_make(&guard->config->webhook_secrets[0], guard->body.data, guard->body.len, header);
    struct request request = {.method = "POST",
                              .path_info = "/webhook",
                              .content_type = "application/json",
                              .content_length = length,
                              .remote_addr = "192.0.2.1",
                              .event = "pull_request",
                              .delivery = id,
                              .signature = header,
                              .read = read_body,
                              .source = guard};
    reply_init(&reply);
    guard_deliver(guard, &request, &reply);
    if (reply.status != 202 || !reply.has_work)
        die(what, buf_text(&reply.body));
    guard_drain(guard, &reply);
    reply_release(&reply);
}

static void show(struct guard *guard, unsigned round)
{
    char path[64];
    struct reply reply;
    snprintf(path, sizeof path, "/status/turning-widgets/rotor/%u", 1000 + round);
    struct request request = {.method = "GET", .path_info = path, .accept = "text/html"};
    reply_init(&reply);
    guard_page(guard, &request, &reply);
    if (reply.status != 200)
        die(path, buf_text(&reply.body));
    reply_release(&reply);
}

static void one_round(struct guard *guard, unsigned round)
{
    unsigned before = guard->model.triggers;
    deliver(guard, "opened", round);
    if (guard->model.triggers != before)
        die("opened", "CI was started for an untrusted author");
    deliver(guard, "labeled", round);
    deliver(guard, "trusted", round);
    if (guard->model.triggers != before + 2)
        die("labeled, trusted", "CI was not started for each");
    show(guard, round);
}

__attribute__((noinline)) void guard_measured(struct guard *guard)
{
    for (unsigned i = 0; i < ROUNDS; i++)
        one_round(guard, ROUNDS_BEFORE + i);
}

int main(int argc, char **argv)
{
    char path[PATH_ROOM];
    struct err err = {0};
    if (argc != 2)
        return 64;
    struct guard guard = {.dir = argv[1], .model.http.perform = perform};
    buf_init(&guard.body);
    buf_init(&guard.model.pull);
    clock_use(tell_simulated);
    simulated_ms = start_ms;
    tree_setup();
    log_setup(LOG_LEVEL_INFO, LOG_FORMAT_TEXT, LOG_TARGET_STDERR);
    snprintf(path, sizeof path, "%s/prgate.conf", guard.dir);
    if (config_open(&guard.config, path, &err) != ERR_OK ||
        gate_open(&guard.gate, guard.config, &err) != ERR_OK)
        die("opening", err.text);
    guard.worker = (struct worker){.gate = &guard.gate};
    if (github_open(&guard.worker.github, guard.config, &guard.model.http, NULL, &err) != ERR_OK)
        die("opening", err.text);
    for (unsigned i = 0; i < ROUNDS_BEFORE; i++)
        one_round(&guard, i);
    unsigned before = guard.deliveries;
    guard_measured(&guard);
    printf("%u %u\n", guard.deliveries - before, ROUNDS);
    github_close(guard.worker.github);
    gate_close(&guard.gate);
    config_close(guard.config);
    buf_release(&guard.body);
    buf_release(&guard.model.pull);
    return 0;
}
