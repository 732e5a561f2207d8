/*
 * github_manifest: the last step of GitHub's manifest flow: the code that the browser brought back, for the new App.
 */
#ifndef PRGATE_GITHUB_MANIFEST_H
#define PRGATE_GITHUB_MANIFEST_H

#include "prgate/app_dir.h"
#include "prgate/config.h"
#include "prgate/http.h"

/* Can it be a code of GitHub's? */
bool github_is_manifest_code(const char *code);

/*
 * POST /app-manifests/{code}/conversions, without credentials. A code is good for an hour and for one call: GitHub tells the
 * key and the secret once. *out is {0} before, and the caller's to app_release(). ERR_NOT_FOUND: GitHub does not know the code,
 * or not any more. ERR_RETRY: it was not asked. ERR_UNKNOWN: perhaps it was; asking again may do. ERR_REJECT: it gave another
 * answer, or an App that cannot be used; the text says so. No text has anything of the secrets in it.
 */
enum err_code github_convert_manifest(const struct config *config, struct http *http, const char *code,
                                      struct app *out, struct err *err);

#endif
