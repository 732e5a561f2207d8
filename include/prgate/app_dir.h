/*
 * app_dir: the directory with what prgate needs to be its GitHub App: `app_dir` of the configuration.
 *
 *     app_dir_prepare(dir, &err);          before GitHub is asked: nothing must be in the way then
 *     ...
 *     app_dir_put(dir, &app, &err);
 *
 * It is there whole or not at all. It is made beside, as "DIR.new", synced, and renamed: whoever dies before
 * leaves a DIR.new that nobody reads and that the next app_dir_prepare() removes. One that is there is never
 * replaced, by whatever race. Its files, each with mode 0600 in a directory with 0700:
 *
 *     app_id           the App's number
 *     private-key.pem  the key that it proves itself with
 *     webhook.secret   what GitHub signs webhooks with
 *     url              the App's page on GitHub, for people
 *
 * config.c reads the first three. One caller at a time: see setup_lock().
 */
#ifndef PRGATE_APP_DIR_H
#define PRGATE_APP_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include "prgate/buf.h"
#include "prgate/err.h"

/* An App, as GitHub hands it over once. Start with {0}. */
struct app {
    uint64_t id;
    char *private_key; /* PEM */
    char *webhook_secret;
    char *url; /* https://github.com/apps/NAME */
};
void app_release(struct app *app); /* wipes the secrets, and leaves {0} */

/* Is there a directory, or anything else of that name? Also where it cannot be looked at. */
bool app_dir_is_there(const char *dir);

/*
 * ERR_OK: a set can be stored. ERR_CONFLICT: there is one already. ERR_REJECT: the directory that it is to lie in is missing
 * or another user's, the text says what to do. ERR_FATAL: it cannot be written, or the disk is full.
 */
enum err_code app_dir_prepare(const char *dir, struct err *err);

/* After app_dir_prepare(). ERR_CONFLICT: there is one now. ERR_FATAL: nothing was stored. */
enum err_code app_dir_put(const char *dir, const struct app *app, struct err *err);

/* Takes back what app_dir_prepare() made. After app_dir_put() it does nothing. */
void app_dir_abandon(const char *dir);

/* Appends the text of the file `url`; nothing where there is none. */
void app_dir_add_url(const char *dir, struct buf *out);

#endif
