/*
 * What the files of event share: one file for each kind of webhook, one for its JSON, and for them alone.
 *
 * Readers return ERR_REJECT for what is malformed and ERR_NOT_FOUND for what is of no concern, as event_parse() does.
 */
#ifndef PRGATE_EVENT_INTERNAL_H
#define PRGATE_EVENT_INTERNAL_H

#include "prgate/event.h"
#include "prgate/tree.h"

/* Which webhook has an action of that name. */
enum source {
    FROM_NOTHING, /* no webhook is read for it */
    FROM_PULL,
    FROM_CHECK,
    FROM_QUEUE,
    FROM_COMMENT
};

/* Of an object, where GitHub has an id; a tree is as long as what is read from it. */
struct user_paths {
    const char *whole;
    const char *id;
    const char *login;
    const char *type;
};

extern const struct user_paths event_sender_paths;

/* author_association's; of whatever else, ASSOCIATION_OUTSIDER. */
enum association event_association(const char *name);

/* Bytes to a tree, which is the caller's to tree_free(). */
enum err_code json_parse(const char *body, size_t len, cJSON **out, struct err *err);

/* "pull_request.head.sha"; NULL when any part of it is absent or null. */
const cJSON *json_find(const cJSON *object, const char *path);
enum err_code json_reject(struct err *err, const char *path, const char *wrong);
bool json_to_id(const cJSON *item, uint64_t *out);
uint64_t json_id_or_0(const cJSON *root, const char *path);
enum err_code json_get_id(const cJSON *root, const char *path, uint64_t *out, struct err *err);
enum err_code json_get_text(const cJSON *root, const char *path, const char **out, struct err *err);
enum err_code json_get_optional_text(const cJSON *root, const char *path, const char **out, struct err *err);
enum err_code json_get_bool(const cJSON *root, const char *path, bool *out, struct err *err);
enum err_code json_get_user(const cJSON *root, const struct user_paths *paths, struct user *out,
                            struct err *err);
enum err_code json_get_ref(const cJSON *root, const char *path, char out[REF_SIZE], struct err *err);
enum err_code json_get_sha(const cJSON *root, const char *path, struct sha *out, struct err *err);

enum err_code event_read_repo(struct event *out, const cJSON *root, struct err *err);
enum err_code event_read_concern(struct event *out, const cJSON *root, const struct policy *policy,
                                 enum source source, struct err *err);
enum err_code event_read_installation(struct event *out, const cJSON *root, struct err *err);

/* Of webhooks that are not `pull_request`. `name` is X-GitHub-Event. */
enum err_code event_read_check(struct event *out, const char *name, const cJSON *root,
                               const struct config *config, struct err *err);
enum err_code event_read_comment(struct event *out, const char *name, const cJSON *root,
                                 const struct config *config, struct err *err);

enum err_code event_read_queue(struct event *out, const char *name, const cJSON *root,
                               const struct config *config, struct err *err);

#endif
