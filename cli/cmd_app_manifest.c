/*
 * prgatectl app-manifest: the manifest to make prgate's GitHub App from
 * (docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest).
 *
 * With a URL it does without a configuration, which cannot be complete before there is an App.
 */
#include <string.h>

#include "cli.h"
#include "prgate/buf.h"
#include "prgate/needs.h"

enum { NAME_MAX_GITHUB = 34 }; /* characters, says GitHub */

static bool is_url(const char *text)
{
    const char *host = strncmp(text, "https://", 8) == 0  ? text + 8
                       : strncmp(text, "http://", 7) == 0 ? text + 7
                                                          : "";
    return host[0] != '\0' && host[0] != '/' && strpbrk(host, "?# \t\n\"\\") == NULL;
}

/* Names are unique on all of GitHub: hence the host's. */
static void add_name(cJSON *manifest, const char *url)
{
    const char *host = strstr(url, "://") + 3;
    char name[NAME_MAX_GITHUB + 1];
    snprintf(name, sizeof name, "prgate %.*s", (int)strcspn(host, "/:"), host);
    cJSON_AddStringToObject(manifest, "name", name);
}

static cJSON *make_manifest(const struct config *config, const char *url)
{
    struct need needs[NEEDS_MAX];
    struct buf hook;
    cJSON *manifest = cJSON_CreateObject();
    buf_init(&hook);
    buf_addf(&hook, "%s/webhook", url);
    add_name(manifest, url);
    cJSON_AddStringToObject(manifest, "url", url);
    cJSON *attributes = cJSON_AddObjectToObject(manifest, "hook_attributes");
    cJSON_AddStringToObject(attributes, "url", buf_text(&hook));
    cJSON_AddBoolToObject(attributes, "active", true);
    cJSON_AddBoolToObject(manifest, "public", false);
    cJSON *permissions = cJSON_AddObjectToObject(manifest, "default_permissions");
    size_t count = needs_permissions(config, needs);
    for (size_t i = 0; i < count; i++)
        cJSON_AddStringToObject(permissions, needs[i].name, needs[i].access);
    cJSON *events = cJSON_AddArrayToObject(manifest, "default_events");
    count = needs_events(needs);
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(events, cJSON_CreateString(needs[i].name));
    buf_release(&hook);
    return manifest;
}

enum exit_status cmd_app_manifest(const struct cli *cli)
{
    struct buf url;
    enum exit_status status = EXIT_OK;
    buf_init(&url);
    buf_adds(&url, cli->arguments[0] != NULL ? cli->arguments[0] : cli->config->public_url);
    while (url.len > 0 && url.data[url.len - 1] == '/')
        url.len--;
    if (url.len == 0) {
        fputs("prgatectl: the App needs the URL of this host: set public_url, or give it as an argument\n",
              stderr);
        status = EXIT_FAILED;
    } else if (!is_url(buf_text(&url))) {
        fprintf(stderr, "prgatectl: \"%s\" is not a URL as https://prgate.example\n", buf_text(&url));
        status = EXIT_USAGE;
    } else {
        cli_print_json(make_manifest(cli->config, buf_text(&url)));
    }
    buf_release(&url);
    return status;
}
