/* Webhooks about people's rights: `member`, `membership` and `team`. */
#include "event_internal.h"

#include <string.h>

#include "prgate/text.h"

bool event_changes_trust(const char *name)
{
    return strcmp(name, "member") == 0 || strcmp(name, "membership") == 0 || strcmp(name, "team") == 0;
}

static enum err_code read_team(struct trust_change *out, const cJSON *root, struct err *err)
{
    static const char path[] = "organization.login";
    const char *name = "";
    enum err_code code = json_get_text(root, path, &name, err);
    if (code != ERR_OK)
        return code;
    if (!text_is_owner_name(name) || !text_copy(out->organization, sizeof out->organization, name))
        return json_reject(err, path, "not a GitHub organization");
    /* Without a repository the team may have given rights in any. */
    return json_find(root, "repository") == NULL ? ERR_OK
                                                 : json_get_id(root, "repository.id", &out->repo_id, err);
}

static enum err_code read_member(struct trust_change *out, const cJSON *root, struct err *err)
{
    static const char path[] = "member.login";
    const char *login = "";
    enum err_code code = json_get_text(root, path, &login, err);
    if (code != ERR_OK)
        return code;
    return text_is_login(login) && text_copy(out->login, sizeof out->login, login)
               ? ERR_OK
               : json_reject(err, path, "not a GitHub login");
}

enum err_code event_parse_trust(struct trust_change *out, const char *name, const void *body, size_t len,
                                struct err *err)
{
    cJSON *root = NULL;
    *out = (struct trust_change){0};
    enum err_code code = json_parse(body, len, &root, err);
    if (code == ERR_OK)
        code = strcmp(name, "team") == 0 ? read_team(out, root, err) : read_member(out, root, err);
    tree_free(root);
    return code;
}
