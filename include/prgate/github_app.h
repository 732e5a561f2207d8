/*
 * github_app: what GitHub knows of the App that prgate is. With App credentials only.
 *
 * Errors and threads as in github.h. Each function reads, and changes nothing.
 */
#ifndef PRGATE_GITHUB_APP_H
#define PRGATE_GITHUB_APP_H

#include "prgate/github.h"

/* A permission and its access ("read", "write", "admin"), or an event and NULL. Borrowed for the call. */
typedef void github_grant_fn(void *arg, const char *name, const char *access);

/* GET /app: what the App asks for. */
enum err_code github_each_app_grant(struct github *github, github_grant_fn *fn, void *arg, struct err *err);

/*
 * GET /repos/{o}/{r}/installation: what the owner has agreed to, which stays behind when the App asks for more later.
 * ERR_NOT_FOUND: the App is not installed there.
 */
enum err_code github_each_installation_grant(struct github *github, github_grant_fn *fn, void *arg,
                                             struct err *err);

struct github_hook_config {
    char url[1024]; /* cut where it is longer */
    char content_type[16];
    bool has_secret;
    bool insecure; /* certificates are not verified */
};

/* GET /app/hook/config: where GitHub delivers, and how. */
enum err_code github_get_app_hook(struct github *github, struct github_hook_config *out, struct err *err);

#endif
