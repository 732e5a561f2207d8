#include "reload.h"

#include <string.h>

enum err_code reload_config(struct config **out, const struct config *now, struct err *err)
{
    struct config *next;
    enum err_code code = config_reopen(&next, now, err);
    if (code != ERR_OK)
        return code;
    /* What waits in the old one would be left to nobody, and the pool would work on two at a time. */
    if (strcmp(next->state_dir, now->state_dir) != 0) {
        code = err_set(
            err, ERR_REJECT, 0,
            "%s: state_dir: cannot change from %s to %s while prgate runs; restart it, or change it back",
            now->path, now->state_dir, next->state_dir);
        config_close(next);
        return code;
    }
    *out = next;
    return ERR_OK;
}
