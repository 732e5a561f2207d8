#include "cli.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prgate/buf.h"
#include "prgate/text.h"

enum exit_status cli_complain(const struct err *err)
{
    fprintf(stderr, "prgatectl: %s\n", err->text);
    return err->code == ERR_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_FAILED;
}

void cli_print(const char *text)
{
    struct buf escaped;
    buf_init(&escaped);
    text_add_printable(&escaped, text);
    fputs(buf_text(&escaped), stdout);
    buf_release(&escaped);
}

bool cli_split_name(const char *name, char repo[REPO_NAME_SIZE], uint64_t *number)
{
    const char *hash = strchr(name, '#');
    if (hash != NULL && hash - name < REPO_NAME_SIZE) {
        memcpy(repo, name, (size_t)(hash - name));
        repo[hash - name] = '\0';
        if (text_is_repo_name(repo) && text_to_u64(hash + 1, INT64_MAX, number))
            return true;
    }
    fprintf(stderr, "prgatectl: \"%s\" is not OWNER/REPO#NUMBER\n", name);
    return false;
}

enum err_code cli_check_owner(const char *state_dir, struct err *err)
{
    struct stat st;
    if (stat(state_dir, &st) != 0 || st.st_uid == geteuid())
        return ERR_OK;
    const struct passwd *owner = getpwuid(st.st_uid);
    const char *name = owner == NULL ? "its owner" : owner->pw_name;
    return err_set(
        err, ERR_REJECT, 0,
        "%s belongs to user %s (%u), this is user %u, whose files the pool could not open: run it as "
        "runuser -u %s -- prgatectl ...",
        state_dir, name, (unsigned)st.st_uid, (unsigned)geteuid(), name);
}

enum err_code cli_open_store(struct store **out, const struct config *config, struct err *err)
{
    enum err_code code = cli_check_owner(config->state_dir, err);
    if (code == ERR_OK && !store_is_there(config->state_dir))
        code = err_set(err, ERR_REJECT, 0,
                       "there is no store in %s: it was never used, or it is lost: then restore a backup",
                       config->state_dir);
    return code == ERR_OK ? store_open(out, config->state_dir, err) : code;
}
