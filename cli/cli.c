#include "cli.h"

#include <stdio.h>
#include <string.h>

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
