#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "github_internal.h"
#include "prgate/buf.h"
#include "prgate/links.h"
#include "prgate/text.h"

enum {
    LIMIT_WAIT_S = 60, /* a rate limit that says nothing of its end; GitHub asks for a minute at least */
    LIMIT_WAIT_MAX_S = 3600, /* limits are by the hour: looking again after one is no hammering */
    MESSAGE_SIZE = 320
};

/* 2^53: up to here a double, which is what cJSON keeps, counts exactly. */
static const double number_max = 9007199254740992.0;

/* ---- what a status means ---- */

/*
 * What is not UTF-8 is no JSON, though cJSON lets it through: it would end in the store and on the pages. Whoever is to read
 * another address of GitHub's than a check's or a status's makes links.h keep it.
 */
static cJSON *parse_body(const struct http_reply *reply)
{
    const char *body = (const char *)reply->body.data;
    size_t len = reply->body.len;
    if (len == 0 || !text_utf8_valid(body, len))
        return NULL;
    char *text = mem_alloc(len);
    cJSON *json = tree_parse(text, links_leave_out(body, len, text), NULL);
    free(text);
    return json;
}

/*
 * GitHub's own words: {"message": "...", "errors": [...]}. The errors are what tells one
 * "Validation Failed" from another. "" where the reply is not of that form.
 */
static void read_message(const struct http_reply *reply, char out[MESSAGE_SIZE])
{
    cJSON *json = parse_body(reply);
    const char *message = github_json_text(json, "message");
    const cJSON *errors = tree_find(json, "errors");
    char *details = errors == NULL ? NULL : cJSON_PrintUnformatted(errors);
    struct buf text;
    buf_init(&text);
    buf_adds(&text, message == NULL ? "" : message);
    if (message != NULL && details != NULL)
        buf_addf(&text, ": %s", details);
    text_copy_cut(out, MESSAGE_SIZE, buf_text(&text));
    buf_release(&text);
    cJSON_free(details);
    tree_free(json);
}

/* 403 is what GitHub says both to who may not and to who should wait. */
static bool is_rate_limit(const struct http_reply *reply, const char *message)
{
    if (reply->status == 429)
        return true;
    return reply->status == 403 &&
           (reply->retry_after_s >= 0 || reply->rate_remaining == 0 ||
            strcasestr(message, "rate limit") != NULL || strcasestr(message, "abuse detection") != NULL);
}

static enum err_code code_of_status(int status)
{
    switch (status) {
    case 404:
    case 410:
        return ERR_NOT_FOUND;
    case 408: /* the request did not arrive whole */
    case 503:
        return ERR_RETRY;
    }
    return status >= 500 ? ERR_UNKNOWN : ERR_REJECT;
}

/*
 * When to come back after a rate limit. x-ratelimit-reset is in every reply; it says when
 * the hourly budget is new, so it counts only where that budget is what ran out.
 */
static int64_t limit_ends_ms(int64_t now_ms, const struct http_reply *reply)
{
    int64_t wait_s = LIMIT_WAIT_S;
    if (reply->retry_after_s >= 0)
        wait_s = reply->retry_after_s;
    else if (reply->rate_reset >= 0 && reply->rate_remaining <= 0)
        wait_s = reply->rate_reset - now_ms / 1000;
    if (wait_s < 1)
        wait_s = 1;
    if (wait_s > LIMIT_WAIT_MAX_S)
        wait_s = LIMIT_WAIT_MAX_S;
    return now_ms + wait_s * 1000;
}

enum err_code github_judge(const struct github *github, const struct github_call *call,
                           const struct http_reply *reply, struct err *err)
{
    char message[MESSAGE_SIZE];
    if (reply->status >= 200 && reply->status < 300)
        return ERR_OK;
    read_message(reply, message);
    bool limited = is_rate_limit(reply, message);
    enum err_code code = limited ? ERR_RETRY : code_of_status(reply->status);
    err_set(err, code, reply->status, "%s %s: HTTP %d%s%s%s", call->method, github_path(github, call->url),
            reply->status, reply->status == 401 ? ", bad credentials" : "", message[0] != '\0' ? ": " : "",
            message);
    if (err != NULL && (limited || (code == ERR_RETRY && reply->retry_after_s >= 0)))
        err->retry_at_ms = limit_ends_ms(github->clock->now_ms(), reply);
    return code;
}

/* ---- JSON ---- */

enum err_code github_odd_reply(const struct github *github, const struct github_ask *ask, const char *what,
                               struct err *err)
{
    return err_set(err, ERR_REJECT, 0, "GitHub's reply to %s %s: %s", ask->method,
                   github_path(github, ask->url), what);
}

enum err_code github_parse(const struct github *github, const struct github_ask *ask,
                           const struct http_reply *reply, cJSON **out, struct err *err)
{
    cJSON *json = parse_body(reply);
    if (json == NULL)
        return github_odd_reply(github, ask, "not JSON", err);
    *out = json;
    return ERR_OK;
}

const char *github_json_text(const cJSON *object, const char *path)
{
    const cJSON *member = tree_find(object, path);
    return cJSON_IsString(member) ? member->valuestring : NULL;
}

bool github_json_u64(const cJSON *object, const char *path, uint64_t *out)
{
    const cJSON *member = tree_find(object, path);
    if (!cJSON_IsNumber(member))
        return false;
    double number = member->valuedouble;
    if (!(number >= 0 && number <= number_max) || (double)(uint64_t)number != number)
        return false;
    *out = (uint64_t)number;
    return true;
}

bool github_json_id(const cJSON *object, const char *path, uint64_t *out)
{
    const char *text = github_json_text(object, path);
    return text == NULL ? github_json_u64(object, path, out) : text_to_u64(text, INT64_MAX, out);
}

void github_quote_long_numbers(struct buf *json)
{
    enum { LONG_DIGITS = 16 };
    struct buf quoted;
    buf_init(&quoted);
    const char *text = buf_text(json);
    for (size_t i = 0; i < json->len;) {
        size_t len = 1;
        if (text[i] == '"') {
            while (i + len < json->len && text[i + len] != '"')
                len += text[i + len] == '\\' ? 2 : 1;
            len++;
        } else if (text[i] >= '0' && text[i] <= '9') {
            len = strspn(text + i, "0123456789");
        }
        if (len > json->len - i)
            len = json->len - i;
        bool whole = (i == 0 || strchr("+-.eE", text[i - 1]) == NULL) &&
                     (text[i + len] == '\0' || strchr(".eE", text[i + len]) == NULL);
        bool quote = text[i] != '"' && len >= LONG_DIGITS && whole;
        buf_adds(&quoted, quote ? "\"" : "");
        buf_add(&quoted, text + i, len);
        buf_adds(&quoted, quote ? "\"" : "");
        i += len;
    }
    buf_release(json);
    *json = quoted;
}

bool github_json_user(const cJSON *user, struct user *out)
{
    if (user == NULL || cJSON_IsNull(user))
        return true;
    const char *login = github_json_text(user, "login");
    const char *type = github_json_text(user, "type");
    out->bot = type != NULL && strcmp(type, "Bot") == 0;
    return login != NULL && text_is_login(login) && text_copy(out->login, sizeof out->login, login) &&
           github_json_u64(user, "id", &out->id);
}

bool github_json_label(const cJSON *item, const struct policy *policy, bool *is_gate)
{
    uint64_t id = 0; /* stays 0 where it is not told, which no pinned id equals */
    const char *name = github_json_text(item, "name");
    if (name == NULL)
        return false;
    github_json_u64(item, "id", &id);
    *is_gate = policy_is_gate_label(policy, name, id);
    return true;
}
