/*
 * prgatectl drain: the sweeper's part where no process of the pool stays (CGI), once.
 */
#include "cli.h"
#include "prgate/retain.h"
#include "prgate/sweep.h"

enum { RETAIN_BATCHES = 200 }; /* it runs once a minute or so */

enum exit_status cmd_drain(const struct cli *cli)
{
    struct gate gate;
    struct worker worker = {0};
    struct err err = {0};
    enum exit_status status = EXIT_OK;
    if (cli_awaits_app(cli->config))
        return EXIT_FAILED;
    if (gate_open(&gate, cli->config, &err) != ERR_OK || worker_open(&worker, &gate, &err) != ERR_OK) {
        status = cli_complain(&err);
    } else {
        sweep_run(&worker);
        if (sweep_catch_up(&worker) > 0)
            sweep_run(&worker);
        retain_run(&gate, RETAIN_BATCHES);
        if (store_checkpoint(gate.store, &err) != ERR_OK)
            status = cli_complain(&err);
        alive_sweep(gate.alive);
    }
    worker_close(&worker);
    gate_close(&gate);
    if (status == EXIT_OK && cli->json) { /* without, it says nothing: cron would mail it */
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "done", "drain");
        cli_print_json_line(object);
    }
    return status;
}
