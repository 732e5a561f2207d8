#include <inttypes.h>
#include <string.h>

#include "github_internal.h"
#include "prgate/text.h"

static enum github_role role_of(const struct github *github, uint64_t hook)
{
    bool app = hook == GITHUB_APP_HOOK && config_credentials(github->config) == CREDENTIALS_APP;
    return app ? GITHUB_ROLE_APP : GITHUB_ROLE_REPO;
}

/* ".../deliveries" */
static void add_deliveries(const struct github *github, uint64_t hook, struct buf *url)
{
    if (hook == GITHUB_APP_HOOK) {
        github_add_api(github, url);
        buf_adds(url, "/app/hook/deliveries");
        return;
    }
    github_add_repo(github, url);
    buf_addf(url, "/hooks/%" PRIu64 "/deliveries", hook);
}

/* ---- deliveries ---- */

struct delivery_walk {
    github_delivery_fn *fn;
    void *arg;
};

/* RFC 3339, at times with a fraction of a second. */
static int64_t read_time(const char *text)
{
    char whole[TEXT_TIME_SIZE] = "";
    size_t len = text == NULL ? 0 : strcspn(text, ".");
    if (len == 0 || len + 2 > sizeof whole)
        return -1;
    memcpy(whole, text, len);
    if (text[len] == '.')
        whole[len] = 'Z';
    return text_to_time(whole);
}

static bool read_delivery(const cJSON *item, struct github_delivery *out)
{
    uint64_t status;
    const char *guid = github_json_text(item, "guid");
    const char *event = github_json_text(item, "event");
    const char *action = github_json_text(item, "action");
    out->delivered_at = read_time(github_json_text(item, "delivered_at"));
    if (guid == NULL || event == NULL || !text_copy(out->guid, sizeof out->guid, guid) ||
        out->delivered_at < 0 || !github_json_id(item, "id", &out->id) ||
        !github_json_u64(item, "status_code", &status))
        return false;
    out->status = status < 1000 ? (int)status : 0;
    text_copy_cut(out->event, sizeof out->event, event);
    text_copy_cut(out->action, sizeof out->action, action == NULL ? "" : action);
    return true;
}

static enum github_seen see_delivery(void *arg, const cJSON *item)
{
    const struct delivery_walk *walk = arg;
    struct github_delivery delivery = {0};
    if (!read_delivery(item, &delivery))
        return GITHUB_ODD;
    return walk->fn(walk->arg, &delivery) ? GITHUB_GO_ON : GITHUB_ENOUGH;
}

enum err_code github_each_delivery(struct github *github, uint64_t hook, github_delivery_fn *fn, void *arg,
                                   struct err *err)
{
    struct delivery_walk walk = {.fn = fn, .arg = arg};
    struct buf url;
    buf_init(&url);
    add_deliveries(github, hook, &url);
    buf_adds(&url, "?per_page=100");
    struct github_list list = {.url = buf_text(&url),
                               .role = role_of(github, hook),
                               .odd = "a delivery without id, guid, event, status_code or delivered_at",
                               .long_ids = true,
                               .item = see_delivery,
                               .arg = &walk};
    enum err_code code = github_each(github, &list, err);
    buf_release(&url);
    return code;
}

/* The webhook that comes of it is known by its guid: asking twice does no harm. */
enum err_code github_redeliver(struct github *github, uint64_t hook, uint64_t delivery, struct err *err)
{
    struct buf url;
    buf_init(&url);
    add_deliveries(github, hook, &url);
    buf_addf(&url, "/%" PRIu64 "/attempts", delivery);
    struct github_ask ask = {.method = "POST", .url = buf_text(&url), .role = role_of(github, hook)};
    enum err_code code = github_write(github, &ask, NULL, err);
    buf_release(&url);
    return code;
}

/* ---- which webhook ---- */

struct hook_search {
    const char *url;
    uint64_t exact; /* 0: not seen */
    uint64_t likely;
    unsigned likely_count;
};

static bool is_for_pulls(const cJSON *hook)
{
    const cJSON *event;
    cJSON_ArrayForEach(event, tree_find(hook, "events"))
    {
        if (cJSON_IsString(event) &&
            (strcmp(event->valuestring, "pull_request") == 0 || strcmp(event->valuestring, "*") == 0))
            return true;
    }
    return false;
}

static bool ends_in_webhook(const char *url)
{
    static const char end[] = "/webhook";
    size_t len = strcspn(url, "?#");
    return len >= sizeof end - 1 && strncmp(url + len - (sizeof end - 1), end, sizeof end - 1) == 0;
}

static enum github_seen see_hook(void *arg, const cJSON *item)
{
    struct hook_search *search = arg;
    const char *url = github_json_text(item, "config.url");
    uint64_t id;
    if (!github_json_id(item, "id", &id) || id == 0)
        return GITHUB_ODD;
    if (url == NULL || !cJSON_IsTrue(tree_find(item, "active")) || !is_for_pulls(item))
        return GITHUB_GO_ON;
    if (search->url[0] != '\0' && strcmp(search->url, url) == 0)
        search->exact = id;
    if (ends_in_webhook(url)) {
        search->likely = id;
        search->likely_count++;
    }
    return search->exact != 0 ? GITHUB_ENOUGH : GITHUB_GO_ON;
}

static enum err_code choose(const struct github *github, const struct hook_search *search, uint64_t *hook,
                            struct err *err)
{
    if (search->exact == 0 && search->likely_count == 0)
        return err_set(err, ERR_NOT_FOUND, 0, "%s has no active webhook for pull requests at .../webhook",
                       github->repo);
    if (search->exact == 0 && search->likely_count > 1)
        return err_set(err, ERR_CONFLICT, 0,
                       "%s has %u webhooks at .../webhook: set public_url, to tell which is prgate's",
                       github->repo, search->likely_count);
    *hook = search->exact != 0 ? search->exact : search->likely;
    return ERR_OK;
}

enum err_code github_find_hook(struct github *github, const char *url, uint64_t *hook, struct err *err)
{
    struct hook_search search = {.url = url};
    struct buf hooks;
    buf_init(&hooks);
    github_add_repo(github, &hooks);
    buf_adds(&hooks, "/hooks?per_page=100");
    struct github_list list = {.url = buf_text(&hooks),
                               .odd = "a webhook without id",
                               .long_ids = true,
                               .item = see_hook,
                               .arg = &search};
    enum err_code code = github_each(github, &list, err);
    if (code == ERR_OK)
        code = choose(github, &search, hook, err);
    buf_release(&hooks);
    return code;
}
