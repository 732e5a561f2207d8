#include "status.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "door.h"
#include "prgate/report.h"
#include "prgate/text.h"

/* ---- replies ------------------------------------------------------------------ */

static void reply_store_error(struct reply *reply, const struct err *err)
{
    reply->retry_after_s = 1;
    door_message(reply, 503, "error", err->text);
}

/* ---- HTML ------------------------------------------------------------------------ */

static void begin_page(struct reply *reply, const char *title)
{
    reply->status = 200;
    reply->content_type = "text/html; charset=utf-8";
    buf_adds(&reply->body,
             "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
    text_add_html(&reply->body, title);
    buf_adds(&reply->body,
             " - prgate</title>\n<style>\n"
             ":root { color-scheme: light dark; }\n"
             "body { font: 1rem/1.5 system-ui, sans-serif; margin: 1.5rem auto; max-width: 70rem; padding: 0 "
             "1rem; }\n"
             "table { border-collapse: collapse; width: 100%; }\n"
             "th, td { text-align: left; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8884; "
             "vertical-align: top; }\n"
             "code { font-size: .9em; }\n"
             "code, time { white-space: nowrap; }\n"
             ".wide { overflow-x: auto; }\n"
             "</style></head>\n<body><main>\n<h1>");
    text_add_html(&reply->body, title);
    buf_adds(&reply->body, "</h1>\n");
}

static void end_page(struct reply *reply)
{
    buf_adds(&reply->body, "</main></body></html>\n");
}

static void add_cell(struct buf *out, const char *text)
{
    buf_adds(out, "<td>");
    text_add_html(out, text);
    buf_adds(out, "</td>");
}

static void add_time_cell(struct buf *out, int64_t ms)
{
    char text[TEXT_TIME_SIZE];
    text_from_time(ms / 1000, text);
    if (ms == 0)
        add_cell(out, "");
    else
        buf_addf(out, "<td><time datetime=\"%s\">%.10s %.5s</time></td>", text, text, text + 11);
}

static void add_sha_cell(struct buf *out, const char *sha)
{
    buf_addf(out, "<td><code>%.10s</code></td>", sha);
}

static void begin_table(struct buf *out, const char *heading, const char *const *columns)
{
    buf_addf(out, "<h2>%s</h2>\n<div class=\"wide\" tabindex=\"0\"><table><thead><tr>", heading);
    for (; *columns != NULL; columns++)
        buf_addf(out, "<th scope=\"col\">%s</th>", *columns);
    buf_adds(out, "</tr></thead><tbody>\n");
}

static void end_table(struct buf *out)
{
    buf_adds(out, "</tbody></table></div>\n");
}

static void add_pull_row(struct buf *out, const cJSON *pull)
{
    char number[24];
    snprintf(number, sizeof number, "%" PRId64, report_number(pull, "number"));
    buf_adds(out, "<tr><td><a href=\"status/");
    text_add_html(out, report_text(pull, "repository"));
    buf_addf(out, "/%s\">", number);
    text_add_html(out, report_text(pull, "repository"));
    buf_addf(out, "#%s</a></td>", number);
    add_cell(out, report_text(pull, "title"));
    add_cell(out, report_text(pull, "author"));
    add_cell(out, report_text(pull, "state"));
    add_cell(out, report_text(pull, "waits_for_text"));
    add_sha_cell(out, report_text(pull, "head"));
    add_time_cell(out, report_number(pull, "since"));
    buf_adds(out, "</tr>\n");
}

/* Behind what it waits for: until when, where that is known. */
static void add_until(struct buf *out, const cJSON *object)
{
    char time[TEXT_TIME_SIZE];
    if (report_number(object, "until") == 0)
        return;
    text_from_time((report_number(object, "until") + 999) / 1000, time);
    buf_addf(out, ", until %s", time);
}

static void render_overview(struct reply *reply, const cJSON *report)
{
    static const char *const columns[] = {"Pull request", "Title", "Author",      "State",
                                          "Waits for",    "Head",  "Since (UTC)", NULL};
    begin_page(reply, "Pull requests at the gate");
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(report, "dry_run")))
        buf_adds(&reply->body, "<p><strong>Dry run:</strong> nothing is written to GitHub.</p>\n");
    buf_addf(&reply->body,
             "<p>%" PRId64 " deliveries and %" PRId64 " actions are waiting to be worked on.</p>\n",
             report_number(report, "deliveries_waiting"), report_number(report, "intents_waiting"));
    begin_table(&reply->body, "Open", columns);
    const cJSON *pull;
    cJSON_ArrayForEach(pull, cJSON_GetObjectItemCaseSensitive(report, "pull_requests"))
        add_pull_row(&reply->body, pull);
    end_table(&reply->body);
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(report, "more")))
        buf_addf(&reply->body, "<p>Not all are shown: of each repository the newest, %d in all.</p>\n",
                 REPORT_PULLS_MAX);
    end_page(reply);
}

/* "tim (write), label" */
static void add_approval_cell(struct buf *out, const cJSON *head)
{
    struct buf text;
    buf_init(&text);
    const char *by = report_text(head, "approved_by");
    const char *permission = report_text(head, "approver_permission");
    buf_adds(&text, by);
    if (permission[0] != '\0')
        buf_addf(&text, " (%s)", permission);
    if (by[0] != '\0')
        buf_addf(&text, ", %s", report_text(head, "approved_with"));
    add_cell(out, buf_text(&text));
    buf_release(&text);
}

static void render_heads(struct buf *out, const cJSON *report)
{
    static const char *const columns[] = {"Commit",    "First seen (UTC)", "CI",
                                          "Waits for", "Approved by",      NULL};
    char ci[REPORT_CI_SIZE];
    begin_table(out, "Commits", columns);
    const cJSON *head;
    cJSON_ArrayForEach(head, cJSON_GetObjectItemCaseSensitive(report, "heads"))
    {
        buf_adds(out, "<tr>");
        add_sha_cell(out, report_text(head, "sha"));
        add_time_cell(out, report_number(head, "first_seen"));
        add_cell(out, report_ci(head, ci));
        add_cell(out, report_text(head, "waits_for_text"));
        add_approval_cell(out, head);
        buf_adds(out, "</tr>\n");
    }
    end_table(out);
}

static void add_ledger_row(struct buf *out, const cJSON *entry)
{
    bool decision = strcmp(report_text(entry, "kind"), "decision") == 0;
    buf_adds(out, "<tr>");
    add_time_cell(out, report_number(entry, "time"));
    add_cell(out, report_text(entry, decision ? "event" : "action"));
    add_cell(out, report_text(entry, "sender"));
    add_sha_cell(out, report_text(entry, "sha"));
    add_cell(out, report_text(entry, decision ? "sentence" : "outcome"));
    add_cell(out, report_text(entry, "answer"));
    buf_adds(out, "</tr>\n");
}

static void render_ledger(struct buf *out, const cJSON *report)
{
    static const char *const columns[] = {"Time",    "Event or action", "Sender", "Commit",
                                          "Outcome", "Answer",          NULL};
    begin_table(out, "What was decided and done", columns);
    const cJSON *entry;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(report, "ledger")) add_ledger_row(out, entry);
    end_table(out);
}

static void render_dead(struct buf *out, const cJSON *report)
{
    static const char *const columns[] = {"Given up (UTC)", "Action", "Commit", "Attempts", "Reason", NULL};
    const cJSON *letters = cJSON_GetObjectItemCaseSensitive(report, "dead"), *letter;
    if (cJSON_GetArraySize(letters) == 0)
        return;
    begin_table(out, "What was given up", columns);
    cJSON_ArrayForEach(letter, letters)
    {
        buf_adds(out, "<tr>");
        add_time_cell(out, report_number(letter, "given_up"));
        add_cell(out, report_text(letter, "action"));
        add_sha_cell(out, report_text(letter, "sha"));
        buf_addf(out, "<td>%" PRId64 "</td>", report_number(letter, "attempts"));
        add_cell(out, report_text(letter, "reason"));
        buf_adds(out, "</tr>\n");
    }
    end_table(out);
}

static void add_emergency(struct buf *out, const cJSON *report)
{
    char time[TEXT_TIME_SIZE];
    int64_t at_ms = report_number(report, "emergency_at");
    if (at_ms == 0)
        return;
    text_from_time(at_ms / 1000, time);
    buf_adds(out, "<br>emergency label accepted from ");
    text_add_html(out, report_text(report, "emergency_by"));
    buf_addf(out, ", last at %s", time);
}

static void render_pull(struct reply *reply, const cJSON *report)
{
    char title[REPO_NAME_SIZE + 32];
    snprintf(title, sizeof title, "%s#%" PRId64, report_text(report, "repository"),
             report_number(report, "number"));
    begin_page(reply, title);
    buf_adds(&reply->body, "<p>");
    text_add_html(&reply->body, report_text(report, "title"));
    buf_adds(&reply->body, "<br>by ");
    text_add_html(&reply->body, report_text(report, "author"));
    buf_addf(&reply->body, "; state: <strong>%s</strong>", report_text(report, "state"));
    if (report_text(report, "waits_for_text")[0] != '\0')
        buf_addf(&reply->body, ", waits for <strong>%s</strong>", report_text(report, "waits_for_text"));
    add_until(&reply->body, report);
    add_emergency(&reply->body, report);
    buf_adds(&reply->body, "</p>\n");
    render_heads(&reply->body, report);
    render_dead(&reply->body, report);
    render_ledger(&reply->body, report);
    end_page(reply);
}

/* ---- the pages ---------------------------------------------------------------------- */

void status_overview(struct gate *gate, bool json, struct reply *reply)
{
    struct err err = {0};
    cJSON *report;
    if (report_overview(gate, &report, &err) != ERR_OK) {
        reply_store_error(reply, &err);
        return;
    }
    if (json)
        reply_json(reply, 200, report);
    else
        render_overview(reply, report);
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

void status_pull(struct gate *gate, const char *path, bool json, struct reply *reply)
{
    struct err err = {0};
    char repo[REPO_NAME_SIZE];
    uint64_t number;
    cJSON *report;
    enum err_code code = ERR_NOT_FOUND;
    if (split_path(path, repo, &number))
        code = report_pull(gate, repo, number, &report, &err);
    if (code == ERR_NOT_FOUND) {
        door_message(reply, 404, "error", "no such pull request is known");
        return;
    }
    if (code != ERR_OK) {
        reply_store_error(reply, &err);
        return;
    }
    if (json)
        reply_json(reply, 200, report);
    else
        render_pull(reply, report);
    cJSON_Delete(report);
}
