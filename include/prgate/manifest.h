/*
 * manifest: what GitHub makes an App of prgate's from
 * (docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest).
 *
 *     cJSON *manifest = manifest_make(config, "https://gate.example", NULL);
 *
 * Pure, thread-safe.
 */
#ifndef PRGATE_MANIFEST_H
#define PRGATE_MANIFEST_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "prgate/buf.h"
#include "prgate/config.h"

/* Is it a URL that others can be added to: "https://prgate.example"? */
bool manifest_is_url(const char *text);

/*
 * `url` is one, without a slash at its end. `config` may be NULL, as for needs_permissions(). `redirect_url` is where
 * GitHub leads the browser with the code for the App, NULL: none. The caller's to cJSON_Delete().
 */
cJSON *manifest_make(const struct config *config, const char *url, const char *redirect_url);

/* Appends the URL of GitHub's form for it: of the organization's Apps, or where `org` is "", of the person's own. */
void manifest_add_form_url(const struct config *config, const char *org, struct buf *out);

#endif
