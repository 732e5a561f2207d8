/*
 * A request's variables and a reply's header, as CGI and FastCGI have them.
 */
#include "check.h"

#include <stdio.h>

#include "web.h"

static const struct {
    const char *name, *value;
} variables[] = {
    {"REQUEST_METHOD", "POST"},
    {"SCRIPT_NAME", "/gate"},
    {"PATH_INFO", "/webhook"},
    {"CONTENT_TYPE", "application/json"},
    {"CONTENT_LENGTH", "17"},
    {"REMOTE_ADDR", "192.0.2.1"},
    {"HTTP_X_GITHUB_EVENT", "pull_request"},
    {"HTTP_X_GITHUB_DELIVERY", "d-1"},
    {"HTTP_X_HUB_SIGNATURE_256", "sha256=00"},
};

/* A list of them, but for the one of that number; and what a list may hold besides. */
static void list_variables(size_t missing, char text[][64], char *list[])
{
    static char before[] = "HTTP_X_GITHUB_DELIVER=y", empty[] = "", no_value[] = "PATH_INFO",
                behind[] = "PATH_INFOS=z";
    size_t count = 0;
    list[count++] = before;
    list[count++] = empty;
    list[count++] = no_value;
    for (size_t i = 0; i < COUNT_OF(variables); i++) {
        if (i == missing)
            continue;
        snprintf(text[i], sizeof text[i], "%s=%s", variables[i].name, variables[i].value);
        list[count++] = text[i];
    }
    list[count++] = behind;
    list[count] = NULL;
}

static void test_request_takes_each_variable_and_stands_its_absence(void **state)
{
    (void)state;
    for (size_t missing = 0; missing <= COUNT_OF(variables); missing++) {
        char text[COUNT_OF(variables)][64];
        char *list[COUNT_OF(variables) + 5];
        struct request request = {0};
        list_variables(missing, text, list);
        request_fill(&request, list);
        const char *const got[COUNT_OF(variables)] = {
            request.method,       request.script_name,    request.path_info,
            request.content_type, request.content_length, request.remote_addr,
            request.event,        request.delivery,       request.signature};
        for (size_t i = 0; i < COUNT_OF(variables); i++)
            check_str(variables[i].name, "value", got[i] == NULL ? "(none)" : got[i],
                      i == missing ? "(none)" : variables[i].value);
    }
}

static void test_the_first_of_a_name_counts(void **state)
{
    (void)state;
    char first[] = "HTTP_X_GITHUB_EVENT=", second[] = "HTTP_X_GITHUB_EVENT=ping";
    char *list[] = {first, second, NULL};
    struct request request = {0};
    request_fill(&request, list);
    check_str("first", "event", request.event, "");
}

static void check_header(const char *row, const struct reply *reply, const char *want)
{
    struct buf head;
    buf_init(&head);
    reply_head(reply, &head);
    check_str(row, "header", buf_text(&head), want);
    buf_release(&head);
}

#define PLAIN "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"

static void test_header_says_no_more_than_the_reply(void **state)
{
    (void)state;
    struct reply reply;
    reply_init(&reply);
    check_header("nothing was answered", &reply,
                 "Status: 500 Internal Server Error\r\nContent-Type: application/json\r\n"
                 "Content-Length: 0\r\n" PLAIN "\r\n");
    reply.status = 405;
    reply.allow = "POST";
    buf_adds(&reply.body, "{}\n");
    check_header("405", &reply,
                 "Status: 405 Method Not Allowed\r\nContent-Type: application/json\r\n"
                 "Content-Length: 3\r\n" PLAIN "Allow: POST\r\n\r\n");
    reply.status = 503;
    reply.allow = NULL;
    reply.retry_after_s = 5;
    reply.unsent = 4;
    check_header("503", &reply,
                 "Status: 503 Service Unavailable\r\nContent-Type: application/json\r\n"
                 "Content-Length: 7\r\n" PLAIN "Retry-After: 5\r\n\r\n");
    reply_release(&reply);
}

/* A page's policy, and what may be kept. */
static void test_page_may_do_next_to_nothing(void **state)
{
    (void)state;
    struct reply reply;
    reply_init(&reply);
    reply.status = 200;
    reply.content_type = "text/html; charset=utf-8";
    check_header("page", &reply,
                 "Status: 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 0\r\n" PLAIN
                 "Content-Security-Policy: default-src 'none'; style-src 'self'; base-uri 'none'; "
                 "form-action 'self'; frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n\r\n");
    strcpy(reply.form_action, "https://github.com");
    check_header(
        "page with a form that leads elsewhere", &reply,
        "Status: 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 0\r\n" PLAIN
        "Content-Security-Policy: default-src 'none'; style-src 'self'; base-uri 'none'; "
        "form-action https://github.com; frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n\r\n");
    reply.content_type = "text/css; charset=utf-8";
    reply.max_age_s = 60;
    check_header("sheet", &reply,
                 "Status: 200 OK\r\nContent-Type: text/css; charset=utf-8\r\nContent-Length: 0\r\n"
                 "Cache-Control: private, max-age=60\r\nX-Content-Type-Options: nosniff\r\n\r\n");
    reply_release(&reply);
}

static void test_every_status_of_the_contract_has_its_phrase(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *line;
    } rows[] = {
        {200, "Status: 200 OK\r\n"},
        {202, "Status: 202 Accepted\r\n"},
        {400, "Status: 400 Bad Request\r\n"},
        {401, "Status: 401 Unauthorized\r\n"},
        {404, "Status: 404 Not Found\r\n"},
        {405, "Status: 405 Method Not Allowed\r\n"},
        {411, "Status: 411 Length Required\r\n"},
        {413, "Status: 413 Content Too Large\r\n"},
        {415, "Status: 415 Unsupported Media Type\r\n"},
        {502, "Status: 502 Bad Gateway\r\n"},
        {503, "Status: 503 Service Unavailable\r\n"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct reply reply;
        struct buf head;
        reply_init(&reply);
        buf_init(&head);
        reply.status = rows[i].status;
        reply_head(&reply, &head);
        check_bool(rows[i].line, "comes first",
                   strncmp(buf_text(&head), rows[i].line, strlen(rows[i].line)) == 0, true);
        buf_release(&head);
        reply_release(&reply);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_takes_each_variable_and_stands_its_absence),
        cmocka_unit_test(test_the_first_of_a_name_counts),
        cmocka_unit_test(test_header_says_no_more_than_the_reply),
        cmocka_unit_test(test_page_may_do_next_to_nothing),
        cmocka_unit_test(test_every_status_of_the_contract_has_its_phrase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
