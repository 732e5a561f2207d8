/*
 * repos: the repositories that prgate can name by itself: those with a section of their own in the
 * configuration, and those of a star's section that a webhook has come in for. Thread-safe.
 */
#ifndef PRGATE_REPOS_H
#define PRGATE_REPOS_H

#include "prgate/gate.h"

/*
 * The next one after `name` in the order of lower-case names, "" for the first: replaces `name`. ERR_NOT_FOUND:
 * there are no more.
 */
enum err_code repos_next(struct gate *gate, char name[REPO_NAME_SIZE], struct err *err);

/* Its id, and the App's installation on it, as far as a webhook has told; else 0. */
struct repo_ids {
    uint64_t repo;
    uint64_t installation;
};
struct repo_ids repos_ids(struct gate *gate, const char *name);

/* When prgate first heard of it, by a webhook or by this very call. */
enum err_code repos_known_since(struct gate *gate, const char *name, int64_t *since_ms, struct err *err);

#endif
