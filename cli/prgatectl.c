/*
 * prgatectl: the operator's door to a gate's state.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "prgate/buf.h"
#include "prgate/http.h"
#include "prgate/log.h"
#include "prgate/secrecy.h"

#ifndef PRGATE_VERSION
#define PRGATE_VERSION "0"
#endif

/* ---- the table -------------------------------------------------------------------- */

struct command {
    const char *name;
    const char *arguments; /* as the usage shows them */
    int min, max;          /* how many there may be */
    const char *help;
    command_fn *run;
};

static const struct command commands[] = {
    {"check", "", 0, 0, "look whether all is in place and whole", cmd_check},
    {"drain", "", 0, 0, "work off everything that is due, once (from cron, in CGI mode)", cmd_drain},
    {"dead", "list|retry|drop [WHICH [SEQ]]", 1, 3, "what was given up: list it, try it again, drop it",
     cmd_dead},
    {"backup", "DIR", 1, 1, "copy the store to DIR, verified, while the pool runs", cmd_backup},
    {"restore", "DIR", 1, 1, "put a backup in place, with the pool stopped", cmd_restore},
    {"dump", "", 0, 0, "write all entries to stdout, as lines of JSON", cmd_dump},
    {"load", "", 0, 0, "make a store from a dump on stdin", cmd_load},
    {"status", "[OWNER/REPO#N]", 0, 1, "show all open pull requests, or one and its ledger", cmd_status},
    {"json", "[OWNER/REPO#N]", 0, 1, "the same as JSON", cmd_json},
    {"replay", "DIR [SEED]", 1, 2, "deliver a recording in many orders, compare the ends", cmd_replay},
};

static void print_usage(FILE *out)
{
    fputs("usage: prgatectl [-c CONFIGURATION] COMMAND\n\n", out);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(out, "  %-7s %-32s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
    fprintf(out,
            "\n  -c FILE  the configuration; else $PRGATE_CONF, else %s\n  -V       print the version\n"
            "  -h       print this\n\n"
            "Exit status: 0 done, 1 failed, 64 wrong usage, 66 no such pull request, 78 configuration.\n",
            CONFIG_DEFAULT_PATH);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static enum exit_status run(const struct command *command, const char *path, char **arguments)
{
    struct config *config;
    struct err err = {0};
    enum err_code code = config_open(&config, path, &err);
    config_wipe_environment();
    if (code != ERR_OK) {
        cli_complain(&err);
        return EXIT_CONFIG;
    }
    log_setup(config->log_level, config->log_format, config->log_target);
    enum exit_status status = EXIT_FAILED;
    if (http_setup(&err) == ERR_OK)
        status = command->run(config, arguments);
    else
        cli_complain(&err);
    http_shutdown();
    config_close(config);
    return status;
}

int main(int argc, char **argv)
{
    const char *path = config_path();
    secrecy_setup();
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = mem_alloc, .free_fn = free});
    int option;
    while ((option = getopt(argc, argv, "+c:hV")) != -1) {
        switch (option) {
        case 'c':
            path = optarg;
            break;
        case 'h':
            print_usage(stdout);
            return EXIT_OK;
        case 'V':
            puts("prgatectl " PRGATE_VERSION);
            return EXIT_OK;
        default:
            print_usage(stderr);
            return EXIT_USAGE;
        }
    }
    const struct command *command = optind < argc ? find_command(argv[optind]) : NULL;
    int count = argc - optind - 1;
    if (command == NULL || count < command->min || count > command->max) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    return (int)run(command, path, argv + optind + 1);
}
