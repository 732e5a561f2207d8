#include "status.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "door.h"
#include "page.h"
#include "present.h"
#include "prgate/clock.h"
#include "prgate/log.h"
#include "prgate/narrate.h"
#include "prgate/report.h"
#include "prgate/tables.h"
#include "prgate/text.h"
#include "prgate/visible.h"
#include "query.h"

/* ---- replies ------------------------------------------------------------------ */

void status_page(const struct ask *ask, int status, const char *template, cJSON *page, const char *title,
                 struct reply *reply)
{
    struct err err = {0};
    present_frame(page, ask->gate->config, ask->root, title);
    buf_clear(&reply->body);
    reply->status = status;
    reply->content_type = "text/html; charset=utf-8";
    if (page_render(&reply->body, templates_find(template), page, &err) == ERR_OK)
        return;
    log_error("a page cannot be made", LOG_STR("error", err.text));
    reply->content_type = "application/json";
    buf_clear(&reply->body);
    door_message(reply, 500, "error", "the page cannot be made: see prgate's log");
}

static const char *title_of(int status)
{
    switch (status) {
    case 404:
        return "Not found";
    case 405:
        return "Not allowed";
    default:
        return "Not available";
    }
}

void status_error(const struct ask *ask, int status, const char *message, struct reply *reply)
{
    if (ask->json || !ask->html) {
        door_message(reply, status, "error", message);
        return;
    }
    struct buf sentence;
    cJSON *page = cJSON_CreateObject();
    buf_init(&sentence);
    buf_addf(&sentence, "%s.", message);
    if (sentence.data[0] >= 'a' && sentence.data[0] <= 'z')
        sentence.data[0] = (unsigned char)(sentence.data[0] - 'a' + 'A');
    cJSON_AddStringToObject(page, "message", buf_text(&sentence));
    status_page(ask, status, "error", page, title_of(status), reply);
    buf_release(&sentence);
    cJSON_Delete(page);
}

static void reply_store_error(const struct ask *ask, const struct err *err, struct reply *reply)
{
    reply->retry_after_s = 1;
    status_error(ask, 503, err->text, reply);
}

void status_style(struct reply *reply)
{
    reply->status = 200;
    reply->content_type = "text/css; charset=utf-8";
    reply->max_age_s = 86400; /* its URL has its hash */
    buf_adds(&reply->body, templates_style());
}

/* ---- the pages ---------------------------------------------------------------------- */

void status_overview(const struct ask *ask, struct reply *reply)
{
    struct err err = {0};
    struct board_query query;
    cJSON *report;
    query_read(ask->query, ask->json ? BOARD_PAGE_MAX : BOARD_PAGE, &query);
    query.show_private = ask->gate->config->status_private;
    if (board_report(ask->gate, &query, &report, &err) != ERR_OK) {
        reply_store_error(ask, &err, reply);
        return;
    }
    if (ask->json) {
        reply_json(reply, 200, report);
    } else {
        present_board(report, &query, clock_now_ms());
        status_page(ask, 200, "status", report, "Pull requests at the gate", reply);
    }
    cJSON_Delete(report);
}

/* "OWNER/REPO/N" */
static bool split_path(const char *path, char repo[REPO_NAME_SIZE], uint64_t *number)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash - path >= REPO_NAME_SIZE)
        return false;
    memcpy(repo, path, (size_t)(slash - path));
    repo[slash - path] = '\0';
    return text_is_repo_name(repo) && text_to_u64(slash + 1, INT64_MAX, number);
}

struct sight {
    const char *repo;
    bool public;
};

static enum err_code sight_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct sight *sight = arg;
    uint64_t repo_id;
    enum err_code code = table_get_name(txn, sight->repo, &repo_id, err);
    return code == ERR_OK ? visible_get(txn, repo_id, &sight->public, err) : code;
}

/* ERR_NOT_FOUND: not known, or not to be shown: nobody is to learn which. */
static enum err_code find_pull(struct gate *gate, const char *path, cJSON **report, struct err *err)
{
    char repo[REPO_NAME_SIZE];
    uint64_t number;
    if (!split_path(path, repo, &number))
        return ERR_NOT_FOUND;
    struct sight sight = {.repo = repo};
    enum err_code code = store_txn(gate->store, sight_body, &sight, err);
    if (code == ERR_OK && !sight.public && !gate->config->status_private)
        code = ERR_NOT_FOUND;
    if (code == ERR_OK)
        code = report_pull(gate, repo, number, report, err);
    if (code == ERR_OK)
        narrate_pull(*report, &(struct outlook){
                                  .policy = config_policy(gate->config, repo),
                                  .now_ms = clock_now_ms(),
                                  .blocked_until_ms = metrics_get(gate->metrics, METRIC_RATE_BLOCKED_MS),
                                  .dry_run = gate->config->dry_run,
                              });
    return code;
}

void status_pull(const struct ask *ask, const char *path, struct reply *reply)
{
    struct err err = {0};
    cJSON *report;
    enum err_code code = find_pull(ask->gate, path, &report, &err);
    if (code == ERR_NOT_FOUND) {
        status_error(ask, 404, "no such pull request is known", reply);
        return;
    }
    if (code != ERR_OK) {
        reply_store_error(ask, &err, reply);
        return;
    }
    if (ask->json) {
        reply_json(reply, 200, report);
    } else {
        char title[REPO_NAME_SIZE + 32];
        snprintf(title, sizeof title, "%s#%" PRId64, report_text(report, "repository"),
                 report_number(report, "number"));
        present_pull(report, clock_now_ms());
        status_page(ask, 200, "pull", report, title, reply);
    }
    cJSON_Delete(report);
}
