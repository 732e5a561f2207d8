/* Webhooks about comments: `issue_comment`. */
#include "event_internal.h"

#include <string.h>

#include "prgate/command.h"
#include "prgate/text.h"

static const struct user_paths author_paths = {"comment.user", "comment.user.id", "comment.user.login",
                                               "comment.user.type"};

static enum err_code of_no_concern(struct err *err, const char *why)
{
    return err_set(err, ERR_NOT_FOUND, 0, "%s", why);
}

/* Whoever speaks is a person, and speaks in their own name: the comment is its sender's, and no App's. */
static enum err_code read_people(struct event *out, const cJSON *root, struct err *err)
{
    struct user author = {0};
    enum err_code code = json_get_user(root, &event_sender_paths, &out->sender, err);
    if (code != ERR_OK || (code = json_get_user(root, &author_paths, &author, err)) != ERR_OK)
        return code;
    if (out->sender.bot || author.bot)
        return of_no_concern(err, "a comment by a bot");
    if (json_find(root, "comment.performed_via_github_app") != NULL)
        return of_no_concern(err, "a comment by an App");
    return author.id != 0 && author.id == out->sender.id
               ? ERR_OK
               : of_no_concern(err, "a comment that is not its sender's");
}

/* Commenting moves it, of the pull request as of the issue: a read that is of before is too old to be believed. */
static enum err_code read_time(struct event *out, const cJSON *root, struct err *err)
{
    static const char path[] = "issue.updated_at";
    const char *text = "";
    enum err_code code = json_get_optional_text(root, path, &text, err);
    if (code != ERR_OK || text[0] == '\0')
        return code;
    out->pr.updated_at = text_to_time(text);
    return out->pr.updated_at > 0 ? ERR_OK : json_reject(err, path, "not a time like 2024-01-31T12:00:00Z");
}

static enum err_code read_text(struct event *out, const cJSON *root, const struct policy *policy,
                               struct err *err)
{
    const char *body = NULL;
    struct command_line line;
    enum err_code code = json_get_optional_text(root, "comment.body", &body, err);
    if (code != ERR_OK)
        return code;
    command_parse(&line, policy, body, strlen(body));
    if (line.command == COMMAND_NONE)
        return of_no_concern(err, "a comment without a command");
    /* Where the label itself starts CI, there is nothing to send. */
    if (line.command == COMMAND_RERUN && policy->trigger == TRIGGER_NONE)
        line = (struct command_line){.command = COMMAND_UNKNOWN};
    out->command = line.command;
    memcpy(out->sha_prefix, line.sha_prefix, sizeof out->sha_prefix);
    return ERR_OK;
}

enum err_code event_read_comment(struct event *out, const char *name, const cJSON *root,
                                 const struct config *config, struct err *err)
{
    (void)name;
    const char *association = "";
    enum err_code code = event_read_repo(out, root, err);
    if (code != ERR_OK)
        return code;
    const struct policy *policy = config_policy(config, out->repo);
    if ((code = event_read_concern(out, root, policy, FROM_COMMENT, err)) != ERR_OK)
        return code;
    if (json_find(root, "issue.pull_request") == NULL)
        return of_no_concern(err, "a comment on an issue, which is no pull request");
    if ((code = json_get_id(root, "issue.number", &out->key.number, err)) != ERR_OK ||
        (code = json_get_id(root, "repository.id", &out->key.repo_id, err)) != ERR_OK ||
        (code = json_get_id(root, "comment.id", &out->comment, err)) != ERR_OK ||
        (code = read_people(out, root, err)) != ERR_OK ||
        (code = read_text(out, root, policy, err)) != ERR_OK ||
        (code = read_time(out, root, err)) != ERR_OK ||
        (code = event_read_installation(out, root, err)) != ERR_OK ||
        (code = json_get_optional_text(root, "comment.author_association", &association, err)) != ERR_OK)
        return code;
    out->association = event_association(association);
    return ERR_OK;
}
