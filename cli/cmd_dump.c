/*
 * prgatectl dump, prgatectl load: the store as lines of JSON, to move it to another host or version.
 */
#include <stdio.h>
#include <unistd.h>

#include "cli.h"
#include "prgate/dump.h"

enum exit_status cmd_dump(const struct config *config, char **arguments)
{
    (void)arguments;
    struct store *store = NULL;
    struct err err = {0};
    enum err_code code = cli_open_store(&store, config, &err);
    if (code == ERR_OK)
        code = dump_write(store, stdout, &err);
    store_close(store);
    return code == ERR_OK ? EXIT_OK : cli_complain(&err);
}

enum exit_status cmd_load(const struct config *config, char **arguments)
{
    (void)arguments;
    struct err err = {0};
    size_t entries = 0;
    enum err_code code = cli_check_owner(config->state_dir, &err);
    if (code == ERR_OK)
        code = dump_load(config->state_dir, stdin, &entries, &err);
    if (code != ERR_OK)
        return cli_complain(&err);
    printf("%s: %zu entries loaded\n", config->state_dir, entries);
    return EXIT_OK;
}
