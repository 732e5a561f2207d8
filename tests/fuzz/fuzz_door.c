/*
 * A request, from its headers to what is stored and shown. The input looks like HTTP:
 *
 *     POST /webhook
 *     Event: pull_request
 *     Delivery: d-1
 *     Type: application/json
 *     Sign: 1
 *
 *     {"action": ...}
 *
 * Length and Signature give a header any value; "Sign: 1" and "Sign: 2" sign with the first or second secret. The script
 * name ends, and the path begins, at a "|" in the path.
 */
#include "door.h"
#include "fuzz.h"
#include "prgate/report.h"
#include "prgate/signature.h"
#include "routes.h"

enum { LINE_SIZE = 1024, RUNS_PER_STORE = 256 };

static struct config *config;
static struct gate gate;
static unsigned runs;

static void open_gate(void)
{
    struct err err = {0};
    if (gate_open(&gate, config, &err) != ERR_OK) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
}

/* A store that has all of the past in it is slow, and its past is no part of the input. */
static void renew_store(void)
{
    char path[128];
    gate_close(&gate);
    snprintf(path, sizeof path, "%s/state", scratch);
    nftw(path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    open_gate();
}

static void close_gate(void)
{
    gate_close(&gate);
    config_close(config);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_setup();
    config = fuzz_config();
    open_gate();
    atexit(close_gate);
    return 0;
}

/* The text of a request, cut into its parts. */
struct input {
    const char *at;
    size_t left;
    char method[LINE_SIZE], script[LINE_SIZE], path[LINE_SIZE];
    char event[LINE_SIZE], delivery[LINE_SIZE], type[LINE_SIZE], length[LINE_SIZE], signature[LINE_SIZE],
        sign[LINE_SIZE];
};

static size_t read_body(void *source, void *to, size_t len)
{
    struct input *input = source;
    size_t take = len < input->left ? len : input->left;
    if (take > 0)
        memcpy(to, input->at, take);
    input->at += take;
    input->left -= take;
    return take;
}

/* False: the input is at its end. A NUL ends a header, as it does in a web server. */
static bool next_line(struct input *input, char line[LINE_SIZE])
{
    size_t len = 0;
    if (input->left == 0)
        return false;
    while (input->left > 0 && *input->at != '\n') {
        if (len < LINE_SIZE - 1)
            line[len++] = *input->at;
        input->at++;
        input->left--;
    }
    if (input->left > 0) {
        input->at++;
        input->left--;
    }
    line[len] = '\0';
    return true;
}

static void take_header(const char *line, const char *name, char *to)
{
    size_t len = strlen(name);
    if (strncmp(line, name, len) == 0)
        snprintf(to, LINE_SIZE, "%s", line + len);
}

static void split(struct input *input)
{
    char line[LINE_SIZE];
    if (next_line(input, line)) {
        char *blank = strchr(line, ' ');
        char *path = blank == NULL ? line + strlen(line) : blank + 1;
        if (blank != NULL)
            *blank = '\0';
        snprintf(input->method, LINE_SIZE, "%s", line);
        char *bar = strchr(path, '|');
        if (bar != NULL)
            *bar = '\0';
        snprintf(input->script, LINE_SIZE, "%s", bar == NULL ? "" : path);
        snprintf(input->path, LINE_SIZE, "%s", bar == NULL ? path : bar + 1);
    }
    while (next_line(input, line) && line[0] != '\0') {
        take_header(line, "Event: ", input->event);
        take_header(line, "Delivery: ", input->delivery);
        take_header(line, "Type: ", input->type);
        take_header(line, "Length: ", input->length);
        take_header(line, "Signature: ", input->signature);
        take_header(line, "Sign: ", input->sign);
    }
}

static const char *or_null(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

/* Pages are made of these and of escaped text, and of nothing else. */
static void check_page(const struct buf *body)
{
    static const char *const tags[] = {
        "!doctype", "html",       "head", "meta", "title", "link",   "body",  "main",   "header", "footer",
        "nav",      "section",    "h1",   "h2",   "p",     "div",    "span",  "small",  "strong", "code",
        "time",     "a",          "ul",   "ol",   "li",    "dl",     "dt",    "dd",     "table",  "thead",
        "tbody",    "tr",         "th",   "td",   "form",  "label",  "input", "select", "option", "button",
        "figure",   "figcaption", "svg",  "desc", "defs",  "marker", "path",  "rect",   "g",      "text"};
    const char *text = buf_text((struct buf *)(uintptr_t)body);
    MUST(strlen(text) == body->len);
    for (const char *at = text; (at = strchr(at, '<')) != NULL;) {
        at += at[1] == '/' ? 2 : 1;
        bool known = false;
        for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
            size_t len = strlen(tags[i]);
            known = known || (strncmp(at, tags[i], len) == 0 && (at[len] == ' ' || at[len] == '>'));
        }
        MUST(known);
    }
}

static void check_json(const struct reply *reply)
{
    const char *end = NULL;
    const char *text = buf_text((struct buf *)(uintptr_t)&reply->body);
    cJSON *object = cJSON_ParseWithOpts(text, &end, false);
    MUST(cJSON_IsObject(object) && strcmp(end, "\n") == 0 && strlen(text) == reply->body.len);
    if (reply->status == 202)
        MUST(strcmp(report_text(object, "status"), "taken") == 0);
    cJSON_Delete(object);
}

static void check_reply(const struct reply *reply, bool is_head, bool may_be_signed)
{
    static const int statuses[] = {200, 202, 400, 401, 404, 405, 411, 413, 415};
    struct buf head;
    bool known = false;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        known = known || reply->status == statuses[i];
    MUST(known);
    MUST(reply->status != 202 || may_be_signed);
    MUST(!reply->has_work || reply->status == 202);
    if (is_head)
        MUST(reply->body.len == 0);
    else if (strncmp(reply->content_type, "text/html", 9) == 0)
        check_page(&reply->body);
    else if (strcmp(reply->content_type, "application/json") == 0)
        check_json(reply);
    /* Whatever came in, the reply's head is the reply's own. */
    buf_init(&head);
    reply_head(reply, &head);
    const char *text = buf_text(&head);
    MUST(strncmp(text, "Status: ", 8) == 0 && strstr(text, "\r\n\r\n") == text + head.len - 4);
    buf_release(&head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.at = (const char *)data, .left = size};
    char length[32], signature[SIGNATURE_SIZE];
    struct reply reply;
    split(&input);
    snprintf(length, sizeof length, "%zu", input.left);
    size_t which = input.sign[0] == '1' ? 0 : 1;
    bool is_signed = input.sign[0] == '1' || input.sign[0] == '2';
    if (is_signed)
        signature_make(&config->webhook_secrets[which], input.at, input.left, signature);
    struct request request = {.method = or_null(input.method),
                              .script_name = or_null(input.script),
                              .path_info = or_null(input.path),
                              .content_type = or_null(input.type),
                              .content_length = input.length[0] == '\0' ? length : input.length,
                              .event = or_null(input.event),
                              .delivery = or_null(input.delivery),
                              .signature = is_signed ? signature : or_null(input.signature),
                              .read = read_body,
                              .source = &input};
    reply_init(&reply);
    routes_answer(&gate, &request, true, &reply);
    check_reply(&reply, strcmp(input.method, "HEAD") == 0, is_signed);
    if (reply.has_work)
        claims_forget(gate.claims, &reply.claim);
    reply_release(&reply);
    /* What was taken is shown, too. */
    if (reply.status == 202) {
        request =
            (struct request){.method = "GET", .path_info = "/status", .read = read_body, .source = &input};
        reply_init(&reply);
        routes_answer(&gate, &request, true, &reply);
        MUST(reply.status == 200);
        check_page(&reply.body);
        reply_release(&reply);
    }
    if (++runs % RUNS_PER_STORE == 0)
        renew_store();
    return 0;
}
