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

void reply_head(const struct reply *reply, struct buf *out)
{
    buf_addf(out, "Status: %d %s\r\n", reply->status, phrase(reply->status));
    buf_addf(out, "Content-Type: %s\r\n", reply->content_type);
    buf_addf(out, "Content-Length: %zu\r\n", reply->body.len + reply->unsent);
    if (reply->max_age_s > 0)
        buf_addf(out, "Cache-Control: private, max-age=%d\r\n", reply->max_age_s);
    else
        buf_adds(out, "Cache-Control: no-store\r\n");
    buf_adds(out, "X-Content-Type-Options: nosniff\r\n");
    /* Pages need their own style sheet and filters, and nothing else: no script runs, wherever it came from. */
    if (strncmp(reply->content_type, "text/html", 9) == 0)
        buf_addf(out,
                 "Content-Security-Policy: default-src 'none'; style-src 'self'; base-uri 'none'; "
                 "form-action %s; frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n",
                 reply->form_action[0] == '\0' ? "'self'" : reply->form_action);
    if (reply->allow != NULL)
        buf_addf(out, "Allow: %s\r\n", reply->allow);
    if (reply->retry_after_s > 0)
        buf_addf(out, "Retry-After: %d\r\n", reply->retry_after_s);
    buf_adds(out, "\r\n");
}

void request_fill(struct request *request, const char *(*get)(void *arg, const char *name), void *arg)
{
    request->method = get(arg, "REQUEST_METHOD");
    request->script_name = get(arg, "SCRIPT_NAME");
    request->path_info = get(arg, "PATH_INFO");
    request->query = get(arg, "QUERY_STRING");
    request->accept = get(arg, "HTTP_ACCEPT");
    request->content_type = get(arg, "CONTENT_TYPE");
    request->content_length = get(arg, "CONTENT_LENGTH");
    request->remote_addr = get(arg, "REMOTE_ADDR");
    request->event = get(arg, "HTTP_X_GITHUB_EVENT");
    request->delivery = get(arg, "HTTP_X_GITHUB_DELIVERY");
    request->signature = get(arg, "HTTP_X_HUB_SIGNATURE_256");
}
