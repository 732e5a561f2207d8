/*
 * The status pages: the first line of the input is a URL's query, and every name, title and filter on the pages; the
 * rest is a ledger, a JSON array. The pages can always be made, and nothing of it becomes a tag, a script or a link that runs one.
 */
#include "fuzz.h"
#include "page.h"
#include "present.h"
#include "prgate/narrate.h"
#include "query.h"

static struct config *config;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    fuzz_setup();
    config = fuzz_config();
    return 0;
}

static void check_page(const char *template, cJSON *page)
{
    static const char *const never[] = {
        "<script", "<img", "<!--", "<iframe", "href=\"javascript:", "href=\"//"};
    struct buf html;
    struct err err = {0};
    buf_init(&html);
    present_frame(page, config, "../", "title");
    MUST(page_render(&html, templates_find(template), page, &err) == ERR_OK);
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        MUST(strcasestr(buf_text(&html), never[i]) == NULL);
    buf_release(&html);
}

static void check_pull(const char *text, const char *ledger, size_t len)
{
    static const char *const lists[] = {"heads", "deliveries", "intents", "dead"};
    static const char *const texts[] = {"repository", "title",     "author",        "state",
                                        "head",       "waits_for", "waits_for_text"};
    cJSON *report = cJSON_CreateObject(), *entries = cJSON_ParseWithLength(ledger, len);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cJSON_AddStringToObject(report, texts[i], text);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "sha", text);
        cJSON_AddStringToObject(item, "approved_by", text);
        cJSON_AddStringToObject(item, "action", text);
        cJSON_AddStringToObject(item, "reason", text);
        cJSON_AddItemToArray(cJSON_AddArrayToObject(report, lists[i]), item);
    }
    if (!cJSON_IsArray(entries)) {
        cJSON_Delete(entries);
        entries = cJSON_CreateArray();
    }
    cJSON_AddItemToObject(report, "ledger", entries);
    narrate_pull(report, &(struct outlook){.policy = &config->policies[0], .now_ms = 1700000000000});
    present_pull(report, 1700000000000);
    check_page("pull", report);
    cJSON_Delete(report);
}

static void check_board(const char *text)
{
    struct board_query query;
    query_read(text, BOARD_PAGE, &query);
    MUST(query.page >= 1 && query.per_page >= 1 && query.per_page <= BOARD_PAGE_MAX);
    cJSON *report = cJSON_CreateObject(), *pull = cJSON_CreateObject(), *repo = cJSON_CreateObject();
    cJSON_AddObjectToObject(report, "health");
    cJSON_AddObjectToObject(report, "counts");
    cJSON_AddStringToObject(repo, "repository", text);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(report, "repositories"), repo);
    cJSON_AddStringToObject(pull, "group", "awaiting");
    cJSON_AddStringToObject(pull, "repository", text);
    cJSON_AddStringToObject(pull, "title", text);
    cJSON_AddStringToObject(pull, "author", text);
    cJSON_AddStringToObject(pull, "head", text);
    cJSON_AddItemToArray(cJSON_AddArrayToObject(report, "pull_requests"), pull);
    cJSON_AddNumberToObject(report, "page", 2);
    cJSON_AddNumberToObject(report, "pages", 3);
    present_board(report, &query, 1700000000000);
    check_page("status", report);
    cJSON_Delete(report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf text;
    const uint8_t *end = size == 0 ? NULL : memchr(data, '\n', size);
    size_t len = end == NULL ? size : (size_t)(end - data);
    buf_init(&text);
    buf_add(&text, data, len);
    check_board(buf_text(&text));
    check_pull(buf_text(&text), (const char *)data + len, size - len);
    buf_release(&text);
    return 0;
}
