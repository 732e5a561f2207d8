/*
 * prgatectl check: is all that prgate needs in place?
 */
#include <stdio.h>

#include "cli.h"
#include "prgate/gate.h"

enum exit_status cmd_check(const struct config *config, char **arguments)
{
    (void)arguments;
    struct gate gate;
    struct err err = {0};
    enum err_code code = gate_open(&gate, config, &err);
    gate_close(&gate);
    if (code != ERR_OK)
        return cli_complain(&err);
    printf("%s: fine, %zu repository sections%s\n%s: the store opens\n", config->path, config->policy_count,
           config->dry_run ? ", dry run" : "", config->state_dir);
    return EXIT_OK;
}
