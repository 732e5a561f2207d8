#include "prgate/manifest.h"

#include <stdio.h>
#include <string.h>

#include "prgate/github.h"
#include "prgate/needs.h"
#include "prgate/text.h"

enum { NAME_MAX_GITHUB = 34 }; /* characters, says GitHub */

bool manifest_is_url(const char *text)
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

static void add_needs(const struct config *config, cJSON *manifest)
{
    struct need needs[NEEDS_MAX];
    cJSON *permissions = cJSON_AddObjectToObject(manifest, "default_permissions");
    size_t count = needs_permissions(config, needs);
    for (size_t i = 0; i < count; i++)
        cJSON_AddStringToObject(permissions, needs[i].name, needs[i].access);
    cJSON *events = cJSON_AddArrayToObject(manifest, "default_events");
    count = needs_granted_events(config, needs);
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(events, cJSON_CreateString(needs[i].name));
}

cJSON *manifest_make(const struct config *config, const char *url, const char *redirect_url)
{
    struct buf hook;
    cJSON *manifest = cJSON_CreateObject();
    buf_init(&hook);
    buf_addf(&hook, "%s/webhook", url);
    add_name(manifest, url);
    cJSON_AddStringToObject(manifest, "url", url);
    if (redirect_url != NULL)
        cJSON_AddStringToObject(manifest, "redirect_url", redirect_url);
    cJSON *attributes = cJSON_AddObjectToObject(manifest, "hook_attributes");
    cJSON_AddStringToObject(attributes, "url", buf_text(&hook));
    cJSON_AddBoolToObject(attributes, "active", true);
    cJSON_AddBoolToObject(manifest, "public", false);
    add_needs(config, manifest);
    buf_release(&hook);
    return manifest;
}

void manifest_add_form_url(const struct config *config, const char *org, struct buf *out)
{
    github_add_web_of(config, out);
    if (org[0] != '\0') {
        buf_adds(out, "/organizations/");
        text_add_url(out, org);
    }
    buf_adds(out, "/settings/apps/new");
}
