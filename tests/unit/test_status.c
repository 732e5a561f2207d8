/*
 * The pages: what they say to people and to programs, and that nothing on them can be forged.
 */
#include "check.h"

#include <cjson/cJSON.h>

#include "fixture.h"
#include "prgate/report.h"
#include "prgate/visible.h"
#include "routes.h"
#include "status.h"

static void get(struct fixture *f, const char *path, struct reply *reply)
{
    reply_init(reply);
    routes_answer(&f->gate, &(struct request){.method = "GET", .path_info = path}, false, reply);
}

static void check_page(const char *row, struct fixture *f, const char *path, const char *part)
{
    struct reply reply;
    get(f, path, &reply);
    check_int(row, path, reply.status, 200);
    check_contains(row, path, buf_text(&reply.body), part);
    reply_release(&reply);
}

static void header_of(const struct reply *reply, struct buf *out)
{
    buf_init(out);
    reply_head(reply, out);
}

/* ---- health and metrics -------------------------------------------------------------- */

static enum err_code add_intent_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    struct record record = {.key = {.repo_id = 5, .number = 9}};
    struct intent intent = {.kind = INTENT_TRIGGER};
    return table_append_intent(txn, &record, &intent, err);
}

static void test_health_counts_what_waits(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    fixture_open(&f, "");
    check_page("nothing", &f, "/healthz.json",
               "{\"status\":\"ok\",\"waiting\":0,\"deliveries\":0,\"intents\":0,");
    struct event first = make_event(EVENT_OPENED, "d1"), second = make_event(EVENT_EDITED, "d2");
    put_event(&f, &first, false);
    put_event(&f, &second, false);
    assert_int_equal(store_txn(f.gate.store, add_intent_body, NULL, &err), ERR_OK);
    check_page("three", &f, "/healthz.json",
               "{\"status\":\"ok\",\"waiting\":3,\"deliveries\":2,\"intents\":1,");
    check_page("three", &f, "/status", "<dt>Webhooks waiting</dt><dd>2 <small>oldest ");
    check_page("three", &f, "/status", "<dt>Actions waiting</dt><dd>1</dd>");
    check_page("three", &f, "/status.json", "\"waiting\":3,\"deliveries_waiting\":2,\"intents_waiting\":1");
    fixture_close(&f);
}

static void test_metrics_are_those_of_the_gate(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    metrics_set(f.gate.metrics, METRIC_CUT, 41);
    check_page("text", &f, "/metrics", "\nprgate_connections_cut_total 41\n");
    check_page("JSON", &f, "/metrics.json", "\"prgate_connections_cut_total\":41");
    check_page("JSON", &f, "/metrics.json",
               "\"prgate_deliveries_total{event=\\\"other\\\",outcome=\\\"taken\\\"}\":0");
    fixture_close(&f);
}

/* ---- what is shown --------------------------------------------------------------------- */

static enum err_code add_to_ledger_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct record *record = arg;
    static const char *const entries[] = {
        "{\"time\":1700000000000,\"kind\":\"decision\",\"event\":\"opened\",\"sender\":\"<i>eve</i>\","
        "\"sha\":\"aaaaaaaaaaaaaaaa\",\"state\":\"awaiting\",\"sentence\":\"<u>no</u>\"}",
        "{\"time\":1700000001000,\"kind\":\"action\",\"action\":\"add_label\",\"sha\":\"aaaaaaaaaaaaaaaa\","
        "\"outcome\":\"dead\",\"answer\":\"<img src=x onerror=alert(1)>\"}",
    };
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < COUNT_OF(entries) && code == ERR_OK; i++)
        code = table_put_text(txn, TABLE_LEDGER, &record->key, record->next_ledger++, entries[i], err);
    return code == ERR_OK ? table_put_record(txn, record, err) : code;
}

/* A pull request all of whose text is hostile. */
static void fill(struct fixture *f)
{
    struct err err = {0};
    fixture_open(f, "");
    struct event event = make_event(EVENT_OPENED, "d1");
    put_event(f, &event, false);
    struct record record = get_record(f);
    record.view.head = event.pr.head;
    strcpy(record.view.title, "</title><script>alert(1)</script>\"'&\x01\xff");
    strcpy(record.view.author.login, "<b onclick='x'>");
    record_reserve_head(&record);
    struct head *head = record_add_head(&record, &event.pr.head, 1700000000000);
    head->check_reason = WAIT_UNTRUSTED;
    head->approved = true;
    head->means = MEANS_COMMAND;
    head->approver_permission = PERMISSION_MAINTAIN;
    strcpy(head->approver.login, "<a href=\"//evil\">");
    if (store_txn(f->gate.store, add_to_ledger_body, &record, &err) != ERR_OK)
        fail_msg("filling: %s", err.text);
    record_release(&record);
}

static void test_page_tells_people_what_is_known(void **state)
{
    (void)state;
    static const struct {
        const char *path, *part;
    } rows[] = {
        {"/status", "<a href=\"status/octo/repo/7\">octo/repo#7</a>"},
        {"/status", "<span class=\"badge awaiting\">awaiting</span>"},
        {"/status", "waits for the label: the author is not trusted"},
        {"/status",
         "/octo/repo/commit/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"><code>aaaaaaaaaa</code></a>"},
        {"/status", "<time datetime=\"2023-11-14T22:13:20Z\">2023-11-14 22:13</time>"},
        {"/status/octo/repo/7", "<h1>octo/repo#7 <span class=\"badge awaiting\">awaiting</span></h1>"},
        {"/status/octo/repo/7", "<link rel=\"stylesheet\" href=\"../../../status/style.css?v="},
        {"/status/octo/repo/7", "<strong>triage</strong> permission sets the label <strong>CICD</strong>"},
        {"/status/octo/repo/7",
         "<p class=\"quiet\">Who can do it: anybody with triage permission or more</p>"},
        {"/status/octo/repo/7", "<li>To decide: Opened by tim, <time datetime=\""},
        {"/status/octo/repo/7", "data-label=\"Waits for\">the label: the author is not trusted</td>"},
        {"/status/octo/repo/7", "<time datetime=\"2023-11-14T22:13:21Z\">2023-11-14 22:13</time>\n"
                                "<p class=\"what\">Setting the label <code>aaaaaaaaaa</code></p>\n"
                                "<p class=\"done\">Given up: "},
        {"/status/octo/repo/7", "<g class=\"node been current\"><rect x=\"218\" y=\"44\""},
        {"/status/octo/repo/7",
         "<desc id=\"diagram-text\">From new to awaiting. The state now: awaiting.</desc>"},
        {"/status/octo/repo/7.json", "\"state\":\"awaiting\""},
        {"/status.json", "\"repository\":\"octo/repo\",\"number\":7"},
    };
    struct fixture f;
    fill(&f);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_page("page", &f, rows[i].path, rows[i].part);
    fixture_close(&f);
}

/* Every tag on the page is one that the page itself has. */
static void check_tags(const char *path, const char *html)
{
    static const char *const known[] = {
        "!doctype html", "html",   "head",   "meta",    "title", "link",   "body",
        "main",          "header", "footer", "nav",     "form",  "label",  "input",
        "select",        "option", "button", "section", "h1",    "h2",     "p",
        "div",           "dl",     "dt",     "dd",      "ul",    "ol",     "li",
        "table",         "thead",  "tbody",  "tr",      "th",    "td",     "a",
        "code",          "time",   "strong", "small",   "span",  "figure", "svg",
        "figcaption",    "desc",   "defs",   "marker",  "path",  "g",      "rect",
        "text"};
    for (const char *at = strchr(html, '<'); at != NULL; at = strchr(at + 1, '<')) {
        const char *name = at[1] == '/' ? at + 2 : at + 1;
        bool is_known = false;
        for (size_t i = 0; i < COUNT_OF(known) && !is_known; i++) {
            size_t len = strlen(known[i]);
            is_known = strncmp(name, known[i], len) == 0 && strchr(" >", name[len]) != NULL;
        }
        if (!is_known)
            fail_msg("%s: got a tag of somebody else's: %.40s", path, at);
    }
}

static void test_hostile_text_is_escaped_everywhere(void **state)
{
    (void)state;
    static const char *const paths[] = {"/status", "/status/octo/repo/7"};
    static const char *const never[] = {"<script", "<img",      "onclick='", "<i>",
                                        "<u>",     "href=\"//", "\x01",      "\xff"};
    struct fixture f;
    fill(&f);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct reply reply;
        get(&f, paths[i], &reply);
        for (size_t j = 0; j < COUNT_OF(never); j++)
            check_bool(paths[i], never[j], strstr(buf_text(&reply.body), never[j]) != NULL, false);
        check_contains(paths[i], "title", buf_text(&reply.body),
                       "&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;");
        check_contains(paths[i], "login", buf_text(&reply.body), "&lt;b onclick=&#39;x&#39;&gt;");
        check_tags(paths[i], buf_text(&reply.body));
        reply_release(&reply);
    }
    fixture_close(&f);
}

/* The page of one pull request has more of other people's text than the overview. */
static void test_pull_requests_page_escapes_what_it_alone_shows(void **state)
{
    (void)state;
    static const char *const parts[] = {
        ">&lt;a href=&quot;//evil&quot;&gt;</a>",
        "/%3Ca%20href%3D%22%2F%2Fevil%22%3E\">",
        "Opened by &lt;i&gt;eve&lt;/i&gt;",
        "<p>&lt;u&gt;no&lt;/u&gt;.</p>",
        "Given up: &lt;img src=x onerror=alert(1)&gt;.",
    };
    struct fixture f;
    fill(&f);
    for (size_t i = 0; i < COUNT_OF(parts); i++)
        check_page("escaped", &f, "/status/octo/repo/7", parts[i]);
    fixture_close(&f);
}

/* To programs text is told as it is: escaping is for whoever shows it. */
static void test_json_tells_text_as_it_is(void **state)
{
    (void)state;
    struct fixture f;
    struct reply reply;
    fill(&f);
    get(&f, "/status/octo/repo/7.json", &reply);
    cJSON *tree = cJSON_Parse(buf_text(&reply.body));
    const cJSON *head = cJSON_GetArrayItem(cJSON_GetObjectItem(tree, "heads"), 0);
    const cJSON *entry = cJSON_GetArrayItem(cJSON_GetObjectItem(tree, "ledger"), 1);
    check_str("pull request", "title", report_text(tree, "title"),
              "</title><script>alert(1)</script>\"'&\x01\xff");
    check_str("pull request", "author", report_text(tree, "author"), "<b onclick='x'>");
    check_str("pull request", "approver", report_text(head, "approved_by"), "<a href=\"//evil\">");
    check_str("pull request", "answer", report_text(entry, "answer"), "<img src=x onerror=alert(1)>");
    cJSON_Delete(tree);
    reply_release(&reply);
    fixture_close(&f);
}

static void test_unknown_pull_request_is_said_to_be_unknown(void **state)
{
    (void)state;
    static const char *const paths[] = {"/status/octo/repo/8", "/status/octo/repo/8.json",
                                        "/status/octo/other/7", "/status/<script>/repo/7"};
    struct fixture f;
    fill(&f);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct reply reply;
        get(&f, paths[i], &reply);
        check_int(paths[i], "status", reply.status, 404);
        check_str(paths[i], "type", reply.content_type, "application/json");
        check_str(paths[i], "body", buf_text(&reply.body),
                  "{\"status\":\"error\",\"message\":\"no such pull request is known\"}\n");
        reply_release(&reply);
    }
    fixture_close(&f);
}

/* By list, by name, and to programs as well: nobody learns that there is one. */
static void test_private_repository_is_not_there(void **state)
{
    (void)state;
    static const char *const paths[] = {"/status/octo/repo/7", "/status/octo/repo/7.json",
                                        "/status/Octo/Repo/7"};
    for (int shown = 0; shown < 2; shown++) {
        struct fixture f = {0};
        struct reply reply;
        fixture_configure(&f, shown ? "status_private = true" : "", "");
        fixture_open_gate(&f);
        struct event event = make_event(EVENT_OPENED, "d1");
        event.visibility = VISIBILITY_PRIVATE;
        put_event(&f, &event, false);
        for (size_t i = 0; i < COUNT_OF(paths); i++) {
            get(&f, paths[i], &reply);
            check_int(paths[i], "status", reply.status, shown ? 200 : 404);
            if (!shown)
                check_str(paths[i], "body", buf_text(&reply.body),
                          "{\"status\":\"error\",\"message\":\"no such pull request is known\"}\n");
            reply_release(&reply);
        }
        get(&f, "/status", &reply);
        check_bool("/status", "names it", strstr(buf_text(&reply.body), "octo/repo") != NULL, shown == 1);
        reply_release(&reply);
        get(&f, "/status.json", &reply);
        check_bool("/status.json", "names it", strstr(buf_text(&reply.body), "octo/repo") != NULL,
                   shown == 1);
        reply_release(&reply);
        fixture_close(&f);
    }
}

static void test_json_is_whole(void **state)
{
    (void)state;
    static const char *const paths[] = {"/status.json", "/status/octo/repo/7.json", "/metrics.json",
                                        "/healthz"};
    struct fixture f;
    fill(&f);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct reply reply;
        const char *end = "";
        get(&f, paths[i], &reply);
        cJSON *tree = cJSON_ParseWithOpts(buf_text(&reply.body), &end, false);
        check_bool(paths[i], "is an object", cJSON_IsObject(tree), true);
        check_str(paths[i], "behind it", end, "\n");
        cJSON_Delete(tree);
        reply_release(&reply);
    }
    fixture_close(&f);
}

static void test_dry_run_is_said(void **state)
{
    (void)state;
    static const bool modes[] = {false, true};
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        struct fixture f = {0};
        struct reply reply;
        fixture_configure(&f, modes[i] ? "dry_run = true" : "", "");
        fixture_open_gate(&f);
        get(&f, "/status", &reply);
        check_bool("page", "says so", strstr(buf_text(&reply.body), "Dry run") != NULL, modes[i]);
        reply_release(&reply);
        check_page("JSON", &f, "/status.json", modes[i] ? "\"dry_run\":true" : "\"dry_run\":false");
        fixture_close(&f);
    }
}

static enum err_code put_many_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    enum err_code code = ERR_OK;
    struct event event = make_event(EVENT_OPENED, "d1");
    code = visible_note(txn, &event, err);
    for (uint64_t number = 1; number <= 1001 && code == ERR_OK; number++) {
        struct record record = {.key = {.repo_id = 5, .number = number}, .repo = "octo/repo"};
        code = table_put_record(txn, &record, err);
    }
    return code;
}

static void test_page_shows_some_of_many_and_says_so(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    fixture_open(&f, "");
    assert_int_equal(store_txn(f.gate.store, put_many_body, NULL, &err), ERR_OK);
    check_page("many", &f, "/status", "<span>Page 1 of 21</span>");
    check_page("many", &f, "/status", "<span class=\"count\">1001</span>");
    check_page("many", &f, "/status", "<a rel=\"next\" href=\"?q=&amp;state=&amp;repo=&amp;page=2\">");
    check_page("many", &f, "/status.json", "\"matching\":1001,\"page\":1,\"pages\":2,\"more\":false");
    fixture_close(&f);
}

/* ---- headers and failures ------------------------------------------------------------- */

static void test_headers_keep_pages_from_being_used_against_their_readers(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool page;
    } rows[] = {
        {"/status", true}, {"/status/octo/repo/7", true}, {"/status.json", false}, {"/nothing", false}};
    struct fixture f;
    fill(&f);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct reply reply;
        struct buf head;
        char length[64];
        get(&f, rows[i].path, &reply);
        header_of(&reply, &head);
        snprintf(length, sizeof length, "\r\nContent-Length: %zu\r\n", reply.body.len);
        check_contains(rows[i].path, "header", buf_text(&head), length);
        check_contains(rows[i].path, "header", buf_text(&head), "\r\nX-Content-Type-Options: nosniff\r\n");
        check_contains(rows[i].path, "header", buf_text(&head), "\r\nCache-Control: no-store\r\n");
        check_bool(rows[i].path, "policy",
                   strstr(buf_text(&head), "\r\nContent-Security-Policy: default-src 'none';") != NULL,
                   rows[i].page);
        check_str(rows[i].path, "its end", buf_text(&head) + head.len - 4, "\r\n\r\n");
        buf_release(&head);
        reply_release(&reply);
    }
    fixture_close(&f);
}

/* Enough of the log for a checkpoint. */
static enum err_code put_much_body(struct store_txn *txn, void *arg, struct err *err)
{
    return store_put(txn, TABLE_SHARED, (struct bytes){"much", 4}, buf_bytes(arg), err);
}

/*
 * Spoils the tables behind their first page, and takes away what is cached of the rest: reading them fails. A
 * checkpoint before it, so that no recovery mends them from the log.
 */
static void spoil_store(struct fixture *f)
{
    static const char *const tables[] = {"inbox.db", "pr.db", "name.db"};
    char path[160];
    struct err err = {0};
    struct buf much;
    buf_init(&much);
    memset(buf_reserve(&much, 2000000), 'x', 2000000);
    much.len = 2000000;
    assert_int_equal(store_txn(f->gate.store, put_much_body, &much, &err), ERR_OK);
    assert_int_equal(store_checkpoint(f->gate.store, &err), ERR_OK);
    buf_release(&much);
    gate_close(&f->gate);
    for (int i = 1; i < 10; i++) {
        snprintf(path, sizeof path, "%s/state/db/__db.%03d", f->dir, i);
        remove(path);
    }
    for (size_t i = 0; i < COUNT_OF(tables); i++) {
        snprintf(path, sizeof path, "%s/state/db/%s", f->dir, tables[i]);
        FILE *file = fopen(path, "r+");
        assert_non_null(file);
        assert_int_equal(fseek(file, 4096, SEEK_SET), 0);
        for (int at = 0; at < 4096; at++)
            fputc(at < 8 ? 0 : 0xEE, file);
        assert_int_equal(fclose(file), 0);
    }
    fixture_open_gate(f);
}

static void test_store_that_cannot_be_read_makes_a_503(void **state)
{
    (void)state;
    static const char *const paths[] = {"/healthz", "/status", "/status.json", "/status/octo/repo/7",
                                        "/status/octo/repo/7.json"};
    struct fixture f;
    fill(&f);
    spoil_store(&f);
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        struct reply reply;
        struct buf head;
        get(&f, paths[i], &reply);
        header_of(&reply, &head);
        check_int(paths[i], "status", reply.status, 503);
        check_str(paths[i], "type", reply.content_type, "application/json");
        check_contains(paths[i], "body", buf_text(&reply.body), "{\"status\":\"error\"");
        check_contains(paths[i], "header", buf_text(&head), "\r\nRetry-After: 1\r\n");
        buf_release(&head);
        reply_release(&reply);
    }
    check_page("counters are in a file of their own", &f, "/metrics", "prgate_");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health_counts_what_waits),
        cmocka_unit_test(test_metrics_are_those_of_the_gate),
        cmocka_unit_test(test_page_tells_people_what_is_known),
        cmocka_unit_test(test_hostile_text_is_escaped_everywhere),
        cmocka_unit_test(test_pull_requests_page_escapes_what_it_alone_shows),
        cmocka_unit_test(test_json_tells_text_as_it_is),
        cmocka_unit_test(test_unknown_pull_request_is_said_to_be_unknown),
        cmocka_unit_test(test_private_repository_is_not_there),
        cmocka_unit_test(test_json_is_whole),
        cmocka_unit_test(test_dry_run_is_said),
        cmocka_unit_test(test_page_shows_some_of_many_and_says_so),
        cmocka_unit_test(test_headers_keep_pages_from_being_used_against_their_readers),
        cmocka_unit_test(test_store_that_cannot_be_read_makes_a_503),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
