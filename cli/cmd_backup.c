/*
 * prgatectl backup, prgatectl restore: a copy of the store in use, and back.
 */
#include <stdio.h>

#include "cli.h"
#include "prgate/alive.h"
#include "prgate/store.h"

enum exit_status cmd_backup(const struct config *config, char **arguments)
{
    struct store *store = NULL;
    struct err err = {0};
    enum err_code code = cli_open_store(&store, config, &err);
    if (code == ERR_OK)
        code = store_backup(store, arguments[0], &err);
    store_close(store);
    if (code != ERR_OK)
        return cli_complain(&err);
    printf("%s: a verified backup of %s\n", arguments[0], config->state_dir);
    return EXIT_OK;
}

enum exit_status cmd_restore(const struct config *config, char **arguments)
{
    struct err err = {0};
    enum err_code code = cli_check_owner(config->state_dir, &err);
    if (code == ERR_OK)
        code = alive_refuse_pool(config->state_dir, &err);
    if (code == ERR_OK)
        code = store_restore(config->state_dir, arguments[0], &err);
    if (code != ERR_OK)
        return cli_complain(&err);
    printf("%s: restored from %s; redeliver on GitHub what came in since that backup\n", config->state_dir,
           arguments[0]);
    return EXIT_OK;
}
