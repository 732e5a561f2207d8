/*
 * app_auth: how a GitHub App proves who it is: a short-lived JSON Web Token,
 * signed with the App's private key (RS256).
 *
 *     struct buf jwt;
 *     buf_init(&jwt);
 *     if (app_jwt(pem, app_id, now_s, &jwt, &err) == ERR_OK)
 *         use(buf_text(&jwt));
 *     buf_release(&jwt);
 *
 * It says "issued a minute ago", for a clock that is ahead of GitHub's, and is
 * good for ten minutes from then, the most that GitHub takes
 * (docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app).
 * It buys installation tokens and the answers about the App itself, nothing else.
 * Pure: no clock, no file, no state. Thread-safe.
 */
#ifndef PRGATE_APP_AUTH_H
#define PRGATE_APP_AUTH_H

#include <stdint.h>

#include "prgate/buf.h"
#include "prgate/err.h"

/*
 * Appends the token to *out. ERR_REJECT: the PEM is not a private RSA key without a
 * pass phrase, the text says what is wrong with it; *out is then as it was.
 */
enum err_code app_jwt(const char *pem, uint64_t app_id, int64_t now_s, struct buf *out, struct err *err);

#endif
