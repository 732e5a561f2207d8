/*
 * Which path and method leads where, however the server has cut the path.
 */
#include "check.h"

#include "fixture.h"
#include "routes.h"

static const char json_type[] = "application/json";
static const char html_type[] = "text/html; charset=utf-8";
static const char text_type[] = "text/plain; version=0.0.4; charset=utf-8";

/* A gate that knows octo/repo#7. */
static void open_gate(struct fixture *f)
{
    fixture_open(f, "");
    struct event event = make_event(EVENT_OPENED, "d1");
    put_event(f, &event, false);
}

static void ask(struct fixture *f, const struct request *request, struct reply *reply)
{
    reply_init(reply);
    routes_answer(&f->gate, request, false, reply);
}

/* The status; the rest of the reply is let go. */
static int status_of(struct fixture *f, const char *method, const char *script, const char *path)
{
    struct reply reply;
    ask(f, &(struct request){.method = method, .script_name = script, .path_info = path}, &reply);
    int status = reply.status;
    reply_release(&reply);
    return status;
}

static const struct page {
    const char *path;
    bool post;
    int status; /* with the right method */
    const char *type;
} pages[] = {
    {"/webhook", true, 415, json_type}, /* the door was asked, and wants JSON */
    {"/healthz", false, 200, json_type},
    {"/healthz.json", false, 200, json_type},
    {"/metrics", false, 200, text_type},
    {"/metrics.json", false, 200, json_type},
    {"/status", false, 200, html_type},
    {"/status.json", false, 200, json_type},
    {"/status/style.css", false, 200, "text/css; charset=utf-8"},
    {"/status/octo/repo/7", false, 200, html_type},
    {"/status/octo/repo/7.json", false, 200, json_type},
    {"/status/Octo/REPO/7.json", false, 200, json_type},
    {"/status/octo/repo/8", false, 404, json_type},
    {"/status/octo/other/7", false, 404, json_type},
    {"/nothing", false, 404, json_type},
};

static void test_page_is_found_wherever_the_path_is_cut(void **state)
{
    (void)state;
    struct fixture f;
    open_gate(&f);
    for (size_t i = 0; i < COUNT_OF(pages); i++) {
        const char *path = pages[i].path, *method = pages[i].post ? "POST" : "GET";
        for (size_t cut = 0; cut <= strlen(path); cut++) {
            char row[160], script[64];
            struct reply reply;
            snprintf(script, sizeof script, "%.*s", (int)cut, path);
            snprintf(row, sizeof row, "\"%s\" and \"%s\"", script, path + cut);
            struct request request = {.method = method, .script_name = script, .path_info = path + cut};
            ask(&f, &request, &reply);
            check_int(row, "status", reply.status, pages[i].status);
            check_str(row, "type", reply.content_type, pages[i].type);
            check_bool(row, "has a body", reply.body.len > 0, true);
            check_bool(row, "Allow", reply.allow != NULL, false);
            reply_release(&reply);
        }
    }
    fixture_close(&f);
}

/* A browser is told in HTML, in a page that finds its style sheet from wherever it is. */
static void test_browser_is_told_of_errors_in_html(void **state)
{
    (void)state;
    static const struct {
        const char *path, *accept, *type, *part;
    } rows[] = {
        {"/nothing", "text/html,*/*;q=0.8", html_type, "href=\"status/style.css?"},
        {"/nothing/at/all", "text/html", html_type, "href=\"../../status/style.css?"},
        {"/status/", "text/html", html_type, "href=\"../status/style.css?"},
        {"/status/octo/repo/8", "text/html", html_type, "href=\"../../../status/style.css?"},
        {"/status/octo/repo/8", "text/html", html_type, "<p>No such pull request is known.</p>"},
        {"/status/octo/repo/8.json", "text/html", json_type, "no such pull request is known"},
        {"/nothing", "application/json", json_type, "there is no such page"},
        {"/nothing", "*/*", json_type, "there is no such page"},
        {"/nothing", NULL, json_type, "there is no such page"},
    };
    struct fixture f;
    open_gate(&f);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct reply reply;
        struct request request = {.method = "GET", .path_info = rows[i].path, .accept = rows[i].accept};
        ask(&f, &request, &reply);
        check_int(rows[i].path, "status", reply.status, 404);
        check_str(rows[i].path, "type", reply.content_type, rows[i].type);
        check_contains(rows[i].path, "body", buf_text(&reply.body), rows[i].part);
        reply_release(&reply);
    }
    fixture_close(&f);
}

static void test_filters_come_from_the_query(void **state)
{
    (void)state;
    struct fixture f;
    open_gate(&f);
    struct reply reply;
    struct request request = {.method = "GET", .path_info = "/status", .query = "q=%3Cb%3E&state=running"};
    ask(&f, &request, &reply);
    check_contains("page", "search", buf_text(&reply.body), "value=\"&lt;b&gt;\"");
    check_contains("page", "state", buf_text(&reply.body), "<option value=\"running\" selected>");
    check_contains("page", "links", buf_text(&reply.body),
                   "href=\"?q=%3Cb%3E&amp;state=awaiting&amp;repo=\"");
    check_contains("page", "none", buf_text(&reply.body), "No open pull request matches");
    reply_release(&reply);
    fixture_close(&f);
}

static void test_part_that_is_missing_counts_as_empty(void **state)
{
    (void)state;
    static const struct {
        const char *name, *script, *path;
        int status;
    } rows[] = {
        {"no SCRIPT_NAME", NULL, "/healthz", 200},
        {"no PATH_INFO", "/healthz", NULL, 200},
        {"neither", NULL, NULL, 404},
        {"both empty", "", "", 404},
    };
    struct fixture f;
    open_gate(&f);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_int(rows[i].name, "status", status_of(&f, "GET", rows[i].script, rows[i].path), rows[i].status);
    fixture_close(&f);
}

static void test_prefix_that_it_is_mounted_below_does_not_matter(void **state)
{
    (void)state;
    static const char *const prefixes[] = {"/cgi-bin/prgate.fcgi", "/gate", "/webhook", "/status",
                                           "/a b/%2e"};
    struct fixture f;
    open_gate(&f);
    for (size_t i = 0; i < COUNT_OF(prefixes); i++)
        for (size_t j = 0; j < COUNT_OF(pages); j++) {
            const char *method = pages[j].post ? "POST" : "GET";
            check_int(prefixes[i], pages[j].path, status_of(&f, method, prefixes[i], pages[j].path),
                      pages[j].status);
        }
    fixture_close(&f);
}

static void test_path_that_only_resembles_a_page_is_none(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "/",
        "//",
        "//healthz",
        "/healthz/",
        "/healthzz",
        "/health",
        "/HEALTHZ",
        "healthz",
        "/healthz.json.json",
        "/healthz.JSON",
        "/healthz.txt",
        "/.json",
        ".json",
        "/webhook/",
        "/webhook.json",
        "/status/",
        "/status/.json",
        "/status/octo",
        "/status/octo/repo",
        "/status/octo/repo/",
        "/status/octo/repo/7/",
        "/status/octo/repo/07x",
        "/status/octo/repo/-7",
        "/status/octo/repo/+7",
        "/status/octo/repo/ 7",
        "/status/octo/repo/99999999999999999999",
        "/status/octo/repo/x/7",
        "/status/../../7",
        "/status/octo/../7",
        "/status//octo/repo/7",
        "/status/octo//7",
        "/status/oct<o>/repo/7",
    };
    struct fixture f;
    open_gate(&f);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        check_int(paths[i], "GET", status_of(&f, "GET", "", paths[i]), 404);
        /* What may follow "/status/" is for its page to judge, and that is not for POST. */
        bool of_pulls = strncmp(paths[i], "/status/", 8) == 0 && strcmp(paths[i] + 8, ".json") != 0 &&
                        paths[i][8] != '\0';
        check_int(paths[i], "POST", status_of(&f, "POST", "", paths[i]), of_pulls ? 405 : 404);
    }
    fixture_close(&f);
}

/* Longer than any page of ours, and longer than room was made for. */
static void test_long_path_is_no_page(void **state)
{
    (void)state;
    static const size_t lengths[] = {200, 510, 511, 512, 513, 5000, 70000};
    struct fixture f;
    open_gate(&f);
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        char row[32];
        struct buf path;
        buf_init(&path);
        buf_adds(&path, "/status/octo/");
        while (path.len < lengths[i])
            buf_addc(&path, 'x');
        snprintf(row, sizeof row, "%zu bytes", lengths[i]);
        check_int(row, "status", status_of(&f, "GET", NULL, buf_text(&path)), 404);
        check_int(row, "status below a prefix", status_of(&f, "GET", "/prefix", buf_text(&path)), 404);
        path.data[1] = 'S'; /* nothing of ours, but a prefix like any */
        check_int(row, "status below it", status_of(&f, "GET", buf_text(&path), "/healthz"), 200);
        buf_release(&path);
    }
    fixture_close(&f);
}

/* What there is room for would be a page of ours: the path as a whole is none. */
static void test_long_path_is_not_cut_down_to_a_page(void **state)
{
    (void)state;
    struct fixture f;
    struct buf path;
    open_gate(&f);
    buf_init(&path);
    buf_adds(&path, "/status/octo/repo/");
    while (path.len < 510)
        buf_addc(&path, '0');
    buf_addc(&path, '7');
    check_int("all that there is room for", "status", status_of(&f, "GET", NULL, buf_text(&path)), 200);
    check_int("cut in two", "status", status_of(&f, "GET", buf_text(&path), ""), 200);
    check_int("more in PATH_INFO", "status", status_of(&f, "GET", buf_text(&path), "/x"), 404);
    check_int("a digit more in PATH_INFO", "status", status_of(&f, "GET", buf_text(&path), "1"), 404);
    buf_addc(&path, '1');
    check_int("a digit more", "status", status_of(&f, "GET", NULL, buf_text(&path)), 404);
    check_int("a digit more below a prefix", "status", status_of(&f, "GET", "/prefix", buf_text(&path)), 404);
    buf_release(&path);
    fixture_close(&f);
}

static void test_other_methods_are_told_which_are_allowed(void **state)
{
    (void)state;
    static const char *const methods[] = {"GET",     "HEAD",  "POST",    "PUT", "PATCH", "DELETE",
                                          "OPTIONS", "TRACE", "CONNECT", "get", "",      NULL};
    struct fixture f;
    open_gate(&f);
    for (size_t i = 0; i < COUNT_OF(pages); i++)
        for (size_t j = 0; j < COUNT_OF(methods); j++) {
            char row[64];
            struct reply reply;
            const char *method = methods[j] == NULL ? "none" : methods[j];
            bool get = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
            bool right = pages[i].post ? strcmp(method, "POST") == 0 : get;
            bool unknown = strcmp(pages[i].path, "/nothing") == 0;
            snprintf(row, sizeof row, "%s %s", method, pages[i].path);
            struct request request = {.method = methods[j], .path_info = pages[i].path};
            ask(&f, &request, &reply);
            check_int(row, "status", reply.status, right || unknown ? pages[i].status : 405);
            check_str(row, "Allow", reply.allow == NULL ? "" : reply.allow,
                      right || unknown ? ""
                      : pages[i].post  ? "POST"
                                       : "GET, HEAD");
            check_bool(row, "has work", reply.has_work, false);
            reply_release(&reply);
        }
    check_u64("inbox", "deliveries", count_table(&f, TABLE_INBOX), 1);
    fixture_close(&f);
}

static void header_of(const struct reply *reply, struct buf *out)
{
    buf_init(out);
    reply_head(reply, out);
}

/* RFC 9110, section 9.3.2: the same header, its Content-Length too, and no body. */
static void test_head_gets_the_header_of_get_and_no_body(void **state)
{
    (void)state;
    struct fixture f;
    open_gate(&f);
    for (size_t i = 0; i < COUNT_OF(pages); i++) {
        struct reply got, asked;
        struct buf got_header, asked_header;
        ask(&f, &(struct request){.method = "GET", .path_info = pages[i].path}, &got);
        ask(&f, &(struct request){.method = "HEAD", .path_info = pages[i].path}, &asked);
        header_of(&got, &got_header);
        header_of(&asked, &asked_header);
        check_str(pages[i].path, "header", buf_text(&asked_header), buf_text(&got_header));
        check_u64(pages[i].path, "body", asked.body.len, 0);
        check_bool(pages[i].path, "GET's body", got.body.len > 0, true);
        buf_release(&got_header);
        buf_release(&asked_header);
        reply_release(&got);
        reply_release(&asked);
    }
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_is_found_wherever_the_path_is_cut),
        cmocka_unit_test(test_browser_is_told_of_errors_in_html),
        cmocka_unit_test(test_filters_come_from_the_query),
        cmocka_unit_test(test_part_that_is_missing_counts_as_empty),
        cmocka_unit_test(test_prefix_that_it_is_mounted_below_does_not_matter),
        cmocka_unit_test(test_path_that_only_resembles_a_page_is_none),
        cmocka_unit_test(test_long_path_is_no_page),
        cmocka_unit_test(test_long_path_is_not_cut_down_to_a_page),
        cmocka_unit_test(test_other_methods_are_told_which_are_allowed),
        cmocka_unit_test(test_head_gets_the_header_of_get_and_no_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
