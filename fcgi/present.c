#include "present.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "page.h"
#include "prgate/app_dir.h"
#include "prgate/github.h"
#include "prgate/record.h"
#include "prgate/report.h"
#include "prgate/text.h"

#ifndef PRGATE_VERSION
#define PRGATE_VERSION "0"
#endif

enum { FIELD_SIZE = 48, SHOWN_SHA = 10 };

static cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static bool has(const cJSON *object, const char *name)
{
    return report_text(object, name)[0] != '\0';
}

/* Replaces one that is there. */
static void set_text(cJSON *object, const char *name, const char *text)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, name);
    cJSON_AddStringToObject(object, name, text);
}

static void set_more(cJSON *object, const char *name, const char *suffix, const char *text)
{
    char field[FIELD_SIZE];
    snprintf(field, sizeof field, "%s%s", name, suffix);
    set_text(object, field, text);
}

/* ---- times, commits, names ------------------------------------------------------------- */

/* "3 h", "12 d"; how long ago, or until. */
static void tell_age(int64_t ms, char out[32])
{
    static const struct {
        int64_t s;
        const char *unit;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    int64_t s = (ms < 0 ? -ms : ms) / 1000;
    size_t i = 0;
    while (i < sizeof units / sizeof *units - 1 && s < units[i].s)
        i++;
    snprintf(out, 32, "%" PRId64 " %s", s / units[i].s, units[i].unit);
}

/* NAME_iso, NAME_utc, NAME_time (of the day) and NAME_age, where it has the time NAME. */
static void add_time(cJSON *object, const char *name, int64_t now_ms)
{
    char iso[TEXT_TIME_SIZE], text[TEXT_TIME_SIZE], age[32];
    int64_t ms = report_number(object, name);
    if (ms <= 0)
        return;
    text_from_time(ms / 1000, iso);
    set_more(object, name, "_iso", iso);
    snprintf(text, sizeof text, "%.10s %.5s", iso, iso + 11);
    set_more(object, name, "_utc", text);
    set_more(object, name, "_time", text + 11);
    tell_age(now_ms - ms, age);
    set_more(object, name, "_age", age);
}

/* What holds until then: the first whole minute that is not before it. */
static void add_until(cJSON *object, int64_t now_ms)
{
    int64_t minute = (report_number(object, "until") + 59999) / 60000;
    if (minute <= 0)
        return;
    cJSON_SetNumberHelper(member(object, "until"), (double)minute * 60000);
    add_time(object, "until", now_ms);
}

static void add_short(cJSON *object, const char *name)
{
    char text[SHOWN_SHA + 1];
    snprintf(text, sizeof text, "%.*s", SHOWN_SHA, report_text(object, name));
    set_more(object, name, "_short", text);
}

/* "owner/name" in the two parts that a URL has. */
static void add_parts(cJSON *object)
{
    char owner[REPO_NAME_SIZE];
    const char *repo = report_text(object, "repository"), *slash = strchr(repo, '/');
    snprintf(owner, sizeof owner, "%.*s", slash == NULL ? 0 : (int)(slash - repo), repo);
    set_text(object, "owner", owner);
    set_text(object, "repo_name", slash == NULL ? repo : slash + 1);
}

static const char *state_text(const char *state)
{
    return strcmp(state, record_state_name(RECORD_TRIGGERED)) == 0 ? "CI started" : state;
}

/* What CI is at tells more than the state does. */
static void add_state_text(cJSON *pull, bool dry_run)
{
    const char *text = state_text(report_text(pull, "state")), *ci = report_text(pull, "ci");
    bool triggered = strcmp(report_text(pull, "state"), record_state_name(RECORD_TRIGGERED)) == 0;
    if (triggered && (strcmp(ci, ci_state_name(CI_DECIDED)) == 0 || strcmp(ci, ci_state_name(CI_SENT)) == 0))
        text = "CI starting";
    else if (triggered && strcmp(ci, ci_state_name(CI_UNKNOWN)) == 0)
        text = "CI may have started";
    else if (triggered && dry_run)
        text = "CI would have started";
    cJSON_AddStringToObject(pull, "state_text", text);
}

void present_frame(cJSON *page, const struct config *config, const char *root, const char *title)
{
    struct buf web;
    char style[24];
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a: another sheet has another URL */
    buf_init(&web);
    github_add_web_of(config, &web);
    buf_addc(&web, '/');
    for (const char *at = templates_style(); *at != '\0'; at++)
        hash = (hash ^ (unsigned char)*at) * 0x100000001b3;
    snprintf(style, sizeof style, "%016" PRIx64, hash);
    /* A pull request has a title of its own. */
    if (has(page, "title"))
        set_text(page, "pull_title", report_text(page, "title"));
    set_text(page, "title", title);
    set_text(page, "root", root);
    set_text(page, "style", style);
    set_text(page, "github_url", buf_text(&web));
    set_text(page, "version", PRGATE_VERSION);
    cJSON_DeleteItemFromObjectCaseSensitive(page, "dry_run");
    cJSON_AddBoolToObject(page, "dry_run", config->dry_run);
    cJSON_AddBoolToObject(page, "awaits_app", config->awaits_app && !app_dir_is_there(config->app_dir));
    buf_release(&web);
}

/* ---- all of them ------------------------------------------------------------------------- */

static const struct {
    enum board_group group;
    const char *label, *hint;
} groups[] = {
    {BOARD_GROUP_END, "All", ""},
    {BOARD_TROUBLE, "Trouble", "Being retried, given up, refused by CI, or over a budget."},
    {BOARD_AWAITING, "Awaiting", "Held by the gate, the longest first."},
    {BOARD_RUNNING, "Running", "CI was started for the present commit, the newest first."},
};

enum { GROUPS = sizeof groups / sizeof *groups };

static double count_of(const cJSON *report, enum board_group group)
{
    const char *name = group == BOARD_GROUP_END ? "open" : board_group_name(group);
    return (double)report_number(member(report, "counts"), name);
}

static void add_states(cJSON *report, const struct board_query *query)
{
    cJSON *list = cJSON_AddArrayToObject(report, "states");
    for (int i = 0; i < GROUPS; i++) {
        cJSON *state = cJSON_CreateObject();
        cJSON_AddStringToObject(state, "value", board_group_name(groups[i].group));
        cJSON_AddStringToObject(state, "label", groups[i].label);
        cJSON_AddNumberToObject(state, "count", count_of(report, groups[i].group));
        cJSON_AddBoolToObject(state, "chosen", groups[i].group == query->group);
        cJSON_AddItemToArray(list, state);
    }
}

static void present_row(cJSON *pull, bool dry_run, int64_t now_ms)
{
    add_parts(pull);
    add_short(pull, "head");
    add_time(pull, "since", now_ms);
    add_until(pull, now_ms);
    add_state_text(pull, dry_run);
}

/* Moves the page's pull requests into the groups that they are in. */
static void add_groups(cJSON *report, int64_t now_ms)
{
    cJSON *list = cJSON_AddArrayToObject(report, "groups"), *pulls = member(report, "pull_requests");
    for (int i = 1; i < GROUPS; i++) {
        cJSON *group = cJSON_CreateObject(), *inside = cJSON_AddArrayToObject(group, "pulls");
        const char *name = board_group_name(groups[i].group);
        cJSON_AddStringToObject(group, "name", name);
        cJSON_AddStringToObject(group, "heading", groups[i].label);
        cJSON_AddStringToObject(group, "hint", groups[i].hint);
        cJSON_AddNumberToObject(group, "count", count_of(report, groups[i].group));
        while (pulls->child != NULL && strcmp(report_text(pulls->child, "group"), name) == 0) {
            cJSON *pull = cJSON_DetachItemFromArray(pulls, 0);
            present_row(pull, cJSON_IsTrue(member(report, "dry_run")), now_ms);
            cJSON_AddItemToArray(inside, pull);
        }
        if (inside->child != NULL)
            cJSON_AddItemToArray(list, group);
        else
            cJSON_Delete(group);
    }
}

static void add_pages(cJSON *report)
{
    int64_t page = report_number(report, "page"), pages = report_number(report, "pages");
    cJSON_AddBoolToObject(report, "several", pages > 1);
    cJSON_AddNumberToObject(report, "previous", (double)(page - 1));
    cJSON_AddNumberToObject(report, "next", page < pages ? (double)(page + 1) : 0);
}

static void present_health(cJSON *health, int64_t now_ms)
{
    add_time(health, "oldest_delivery", now_ms);
    add_time(health, "rate_reset", now_ms);
    add_time(health, "blocked_until", now_ms);
    cJSON_AddBoolToObject(health, "rate_known", cJSON_IsNumber(member(health, "rate_remaining")));
    cJSON_AddBoolToObject(health, "blocked", report_number(health, "blocked_until") > now_ms);
}

static void add_json_url(cJSON *report, const struct board_query *query)
{
    struct buf url;
    buf_init(&url);
    buf_adds(&url, "status.json?q=");
    text_add_url(&url, query->text);
    buf_addf(&url, "&state=%s&repo=", board_group_name(query->group));
    text_add_url(&url, query->repo);
    set_text(report, "json_url", buf_text(&url));
    buf_release(&url);
}

void present_board(cJSON *report, const struct board_query *query, int64_t now_ms)
{
    cJSON *repo;
    cJSON_AddStringToObject(report, "q", query->text);
    cJSON_AddStringToObject(report, "state", board_group_name(query->group));
    cJSON_AddStringToObject(report, "repo", query->repo);
    cJSON_AddBoolToObject(report, "filtered",
                          query->text[0] != '\0' || query->repo[0] != '\0' ||
                              query->group != BOARD_GROUP_END);
    present_health(member(report, "health"), now_ms);
    cJSON_ArrayForEach(repo, member(report, "repositories"))
    {
        cJSON_AddBoolToObject(repo, "chosen", text_equal_fold(report_text(repo, "repository"), query->repo));
    }
    cJSON_AddBoolToObject(report, "has_repositories", member(report, "repositories")->child != NULL);
    add_states(report, query);
    add_groups(report, now_ms);
    add_pages(report);
    add_json_url(report, query);
}

/* ---- one ------------------------------------------------------------------------------- */

static void add_part(cJSON *parts, const char *from, size_t len, bool strong)
{
    char text[1024];
    cJSON *part = cJSON_CreateObject();
    snprintf(text, sizeof text, "%.*s", (int)len, from);
    cJSON_AddStringToObject(part, "text", text);
    cJSON_AddBoolToObject(part, "strong", strong);
    cJSON_AddItemToArray(parts, part);
}

/* Markdown's *so* and **so**. */
static void split_emphasis(cJSON *step)
{
    cJSON *parts = cJSON_AddArrayToObject(step, "parts");
    const char *at = report_text(step, "what");
    for (bool strong = false; *at != '\0'; strong = !strong) {
        size_t len = strcspn(at, "*");
        if (len > 0)
            add_part(parts, at, len, strong);
        at += len;
        at += strspn(at, "*");
    }
}

static const char *ci_text(const char *ci, bool dry_run)
{
    static const struct {
        const char *ci, *text;
    } texts[] = {
        {"none", "not started"}, {"decided", "about to be started"}, {"sent", "being started"},
        {"started", "started"},  {"unknown", "may have started"},    {"refused", "refused to start"},
    };
    if (dry_run && strcmp(ci, ci_state_name(CI_STARTED)) == 0)
        return "would have been started";
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcmp(texts[i].ci, ci) == 0)
            return texts[i].text;
    return ci;
}

/* CI was started for it though nobody said yes: who pushed it is trusted. */
static bool is_cleared(const cJSON *head)
{
    static const enum ci_state cleared[] = {CI_DECIDED, CI_SENT, CI_STARTED, CI_UNKNOWN};
    for (size_t i = 0; i < sizeof cleared / sizeof *cleared; i++)
        if (strcmp(report_text(head, "ci"), ci_state_name(cleared[i])) == 0)
            return cJSON_IsTrue(member(head, "pusher_trusted"));
    return false;
}

static void present_heads(cJSON *report, int64_t now_ms)
{
    bool dry_run = cJSON_IsTrue(member(report, "dry_run"));
    cJSON *head;
    cJSON_ArrayForEach(head, member(report, "heads"))
    {
        bool is_head = strcmp(report_text(head, "sha"), report_text(report, "head")) == 0;
        /* What an older one once waited for is no news. */
        if (!is_head || strcmp(report_text(report, "state"), record_state_name(RECORD_TRIGGERED)) == 0)
            set_text(head, "waits_for_text", "");
        add_short(head, "sha");
        add_time(head, "first_seen", now_ms);
        add_time(head, "approved_at", now_ms);
        add_time(head, "ci_at", now_ms);
        add_until(head, now_ms);
        if (strcmp(report_text(head, "approved_with"), approval_means_name(MEANS_OPERATOR)) == 0) {
            cJSON_AddTrueToObject(head, "approved_by_operator"); /* no account of GitHub's to link to */
            set_text(head, "approved_with", "");
        }
        cJSON_AddStringToObject(head, "ci_text", ci_text(report_text(head, "ci"), dry_run));
        cJSON_AddBoolToObject(head, "is_head", is_head);
        cJSON_AddBoolToObject(head, "needed_no_approval", is_cleared(head));
    }
}

static void present_list(cJSON *list, int64_t now_ms)
{
    cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        add_short(item, "sha");
        add_time(item, "received", now_ms);
        add_time(item, "given_up", now_ms);
    }
}

/* The newest first: why it is as it is now. */
static void present_ledger(cJSON *report, int64_t now_ms)
{
    cJSON *entries = cJSON_AddArrayToObject(report, "entries"), *ledger = member(report, "ledger");
    while (ledger->child != NULL) {
        cJSON *entry = cJSON_DetachItemFromArray(ledger, 0), *told = member(entry, "told");
        add_short(entry, "sha");
        add_time(entry, "time", now_ms);
        cJSON_AddBoolToObject(told, "has_facts", cJSON_GetArraySize(member(told, "facts")) > 0);
        cJSON_InsertItemInArray(entries, 0, entry);
    }
    cJSON_AddBoolToObject(report, "has_ledger", entries->child != NULL);
}

/* For the diagram: {"way": {"new_awaiting": true}, "been": {"new": true}, "is": {"awaiting": true}}. */
static void present_way(cJSON *report, int64_t now_ms)
{
    const char *state = report_text(report, "state");
    cJSON *steps = cJSON_DetachItemFromObjectCaseSensitive(report, "way"), *step;
    cJSON *way = cJSON_AddObjectToObject(report, "way"), *been = cJSON_AddObjectToObject(report, "been");
    struct buf text;
    buf_init(&text);
    buf_adds(&text, "From new");
    cJSON_AddTrueToObject(been, "new");
    cJSON_ArrayForEach(step, steps)
    {
        char edge[FIELD_SIZE];
        const char *to = report_text(step, "to");
        snprintf(edge, sizeof edge, "%s_%s", report_text(step, "from"), to);
        if (member(way, edge) == NULL)
            cJSON_AddTrueToObject(way, edge);
        if (member(been, to) == NULL)
            cJSON_AddTrueToObject(been, to);
        buf_addf(&text, " to %s", state_text(to));
        cJSON_AddStringToObject(step, "to_text", state_text(to));
        add_time(step, "time", now_ms);
    }
    if (cJSON_GetArraySize(steps) == 0)
        buf_clear(&text);
    else
        buf_adds(&text, ". ");
    buf_addf(&text, "The state now: %s.", state_text(state));
    cJSON_AddTrueToObject(cJSON_AddObjectToObject(report, "is"), state);
    cJSON_AddStringToObject(report, "way_text", buf_text(&text));
    cJSON_AddBoolToObject(report, "has_way", cJSON_GetArraySize(steps) > 0);
    cJSON_AddItemToObject(report, "steps", steps);
    buf_release(&text);
}

void present_pull(cJSON *report, int64_t now_ms)
{
    cJSON *step, *dead = member(report, "dead");
    char url[48];
    add_parts(report);
    add_short(report, "head");
    add_time(report, "emergency_at", now_ms);
    add_state_text(report, cJSON_IsTrue(member(report, "dry_run")));
    cJSON_ArrayForEach(step, member(report, "next"))
    {
        split_emphasis(step);
    }
    cJSON_AddBoolToObject(report, "has_queue",
                          member(report, "deliveries")->child != NULL ||
                              member(report, "intents")->child != NULL);
    cJSON_AddBoolToObject(report, "has_dead", dead->child != NULL);
    present_heads(report, now_ms);
    present_list(member(report, "deliveries"), now_ms);
    present_list(member(report, "intents"), now_ms);
    present_list(dead, now_ms);
    present_way(report, now_ms);
    present_ledger(report, now_ms);
    snprintf(url, sizeof url, "%" PRId64 ".json", report_number(report, "number"));
    cJSON_AddStringToObject(report, "json_url", url);
}
