#include "web.h"

#include <stdio.h>
#include <string.h>

void reply_init(struct reply *reply)
{
    *reply = (struct reply){.status = 500, .content_type = "application/json"};
    buf_init(&reply->body);
}

void reply_json(struct reply *reply, int status, const cJSON *tree)
{
    char *text = cJSON_PrintUnformatted(tree);
    reply->status = status;
    buf_clear(&reply->body);
    buf_adds(&reply->body, text == NULL ? "{}" : text);
    buf_addc(&reply->body, '\n');
    cJSON_free(text);
}

void reply_release(struct reply *reply)
{
    buf_release(&reply->body);
    briefing_free(reply->briefing);
}

struct briefing *reply_take_briefing(struct reply *reply)
{
    struct briefing *briefing = reply->briefing;
    reply->briefing = NULL;
    return briefing;
}

static const char *phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {200, "OK"},
        {202, "Accepted"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {500, "Internal Server Error"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
    };
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "Unknown";
}

static void add_number(struct buf *out, const char *before, int64_t number)
{
    buf_adds(out, before);
    buf_addi(out, number);
}

void reply_head(const struct reply *reply, struct buf *out)
{
    add_number(out, "Status: ", reply->status);
    buf_addc(out, ' ');
    buf_adds(out, phrase(reply->status));
    buf_adds(out, "\r\nContent-Type: ");
    buf_adds(out, reply->content_type);
    add_number(out, "\r\nContent-Length: ", (int64_t)(reply->body.len + reply->unsent));
    buf_adds(out, "\r\nCache-Control: ");
    if (reply->max_age_s > 0)
        add_number(out, "private, max-age=", reply->max_age_s);
    else
        buf_adds(out, "no-store");
    buf_adds(out, "\r\nX-Content-Type-Options: nosniff\r\n");
    /* Pages need their own style sheet and filters, and nothing else: no script runs, wherever it came from. */
    if (strncmp(reply->content_type, "text/html", 9) == 0)
        buf_addf(out,
                 "Content-Security-Policy: default-src 'none'; style-src 'self'; base-uri 'none'; "
                 "form-action %s; frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n",
                 reply->form_action[0] == '\0' ? "'self'" : reply->form_action);
    if (reply->allow != NULL)
        buf_addf(out, "Allow: %s\r\n", reply->allow);
    if (reply->retry_after_s > 0)
        add_number(out, "Retry-After: ", reply->retry_after_s);
    buf_adds(out, reply->retry_after_s > 0 ? "\r\n\r\n" : "\r\n");
}

#define VARIABLE(name, field)                                                                                \
    {                                                                                                        \
        name, sizeof(name) - 1, &request->field                                                              \
    }

void request_fill(struct request *request, char *const *variables)
{
    const struct {
        const char *name;
        size_t len;
        const char **value;
    } known[] = {
        VARIABLE("REQUEST_METHOD", method),
        VARIABLE("SCRIPT_NAME", script_name),
        VARIABLE("PATH_INFO", path_info),
        VARIABLE("QUERY_STRING", query),
        VARIABLE("HTTP_ACCEPT", accept),
        VARIABLE("CONTENT_TYPE", content_type),
        VARIABLE("CONTENT_LENGTH", content_length),
        VARIABLE("REMOTE_ADDR", remote_addr),
        VARIABLE("HTTP_X_GITHUB_EVENT", event),
        VARIABLE("HTTP_X_GITHUB_DELIVERY", delivery),
        VARIABLE("HTTP_X_HUB_SIGNATURE_256", signature),
    };
    for (; *variables != NULL; variables++) {
        size_t len = strcspn(*variables, "=");
        if ((*variables)[len] == '\0')
            continue;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (known[i].len == len && *known[i].value == NULL && memcmp(*variables, known[i].name, len) == 0)
                *known[i].value = *variables + len + 1;
    }
}
