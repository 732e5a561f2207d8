/*
 * prgatectl: the operator's door to a gate's state.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "prgate/buf.h"
#include "prgate/http.h"
#include "prgate/log.h"
#include "prgate/secrecy.h"
#include "prgate/tree.h"

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
    bool needs_config; /* even where it has an argument */
};

static const struct command commands[] = {
    {"status", "[OWNER/REPO[#N]]", 0, 1, "open pull requests, of all or of one; or one and its ledger",
     cmd_status, true},
    {"explain", "OWNER/REPO#N", 1, 1, "why CI is not running, and who can do what next", cmd_explain, true},
    {"tail", "[OWNER/REPO[#N]]", 0, 1, "decisions and actions as they are made, until Ctrl-C", cmd_tail,
     true},
    {"check", "[configuration]", 0, 1, "look whether all is in place and whole, here and on GitHub",
     cmd_check, true},
    {"drain", "", 0, 0, "work off everything that is due, once (from cron, in CGI mode)", cmd_drain, true},
    {"approve", "OWNER/REPO#N [SHA]", 1, 2, "let CI run for the head, or for SHA if that is the head",
     cmd_approve, true},
    {"retrigger", "OWNER/REPO#N", 1, 1, "start CI once more for the head that it was started for",
     cmd_retrigger, true},
    {"dead", "list|retry|drop [WHICH [SEQ]]", 1, 3, "what was given up: list it, try it again, drop it",
     cmd_dead, true},
    {"simulate", "EVENT FILE", 2, 2, "what a webhook would lead to, offline; FILE has its payload",
     cmd_simulate, true},
    {"replay", "DIR [SEED]", 1, 2, "deliver a recording in many orders, compare the ends", cmd_replay, true},
    {"backup", "DIR", 1, 1, "copy the store to DIR, verified, while the pool runs", cmd_backup, true},
    {"restore", "DIR", 1, 1, "put a backup in place, with the pool stopped", cmd_restore, true},
    {"recover", "", 0, 0, "recover the store from its log, with the pool stopped", cmd_recover, true},
    {"dump", "", 0, 0, "write all entries to stdout, as lines of JSON", cmd_dump, true},
    {"load", "", 0, 0, "make a store from a dump on stdin", cmd_load, true},
    {"setup", "[--manual FORM.html]", 0, 1, "make the GitHub App, in a browser", cmd_setup, true},
    {"app-manifest", "[URL]", 0, 1, "the manifest to make the GitHub App from", cmd_app_manifest, false},
    {"json", "[OWNER/REPO[#N]]", 0, 1, "the same as status --json", cmd_status, true},
};

static void print_usage(FILE *out)
{
    fputs("usage: prgatectl [OPTION]... COMMAND [ARGUMENT]...\n\n", out);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(out, "  %-12s %-30s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
    fprintf(out,
            "\n  -c, --config FILE  the configuration; else $PRGATE_CONF, else %s\n"
            "  -j, --json         what is printed to stdout is JSON\n"
            "      --trusted, --untrusted, --may-approve, --may-not-approve\n"
            "                     simulate: what GitHub would say of author and pusher, and of the sender\n"
            "      --org ORG      setup: the App is to belong to that organization\n"
            "      --manual       setup: without prgate's page; the form is written to FORM.html\n"
            "  -V, --version      print the version\n"
            "  -h, --help         print this\n\n"
            "Exit status: 0 done, 1 failed, 64 wrong usage, 66 no such pull request, 75 not done yet, 78 "
            "configuration.\n",
            CONFIG_DEFAULT_PATH);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static enum exit_status run_with(const struct command *command, struct cli *cli, const char *path)
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
    cli->config = config;
    if (http_setup(&err) == ERR_OK)
        status = command->run(cli);
    else
        cli_complain(&err);
    http_shutdown();
    config_close(config);
    return status;
}

/* What was printed and did not get through, to a full disk, was not done. */
static enum exit_status flushed(enum exit_status status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    fputs("prgatectl: the output cannot be written\n", stderr);
    return status == EXIT_OK ? EXIT_FAILED : status;
}

/* ---- the command line ---------------------------------------------------------------- */

enum {
    OPTION_TRUSTED = 256,
    OPTION_UNTRUSTED,
    OPTION_MAY_APPROVE,
    OPTION_MAY_NOT_APPROVE,
    OPTION_ORG,
    OPTION_MANUAL
};

static const struct option options[] = {
    {"config", required_argument, NULL, 'c'},
    {"json", no_argument, NULL, 'j'},
    {"trusted", no_argument, NULL, OPTION_TRUSTED},
    {"untrusted", no_argument, NULL, OPTION_UNTRUSTED},
    {"may-approve", no_argument, NULL, OPTION_MAY_APPROVE},
    {"may-not-approve", no_argument, NULL, OPTION_MAY_NOT_APPROVE},
    {"org", required_argument, NULL, OPTION_ORG},
    {"manual", no_argument, NULL, OPTION_MANUAL},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* True: it is known, and *done says whether that was all there is to do. */
static bool take_option(int option, struct cli *cli, const char **path, bool *done)
{
    switch (option) {
    case 'c':
        *path = optarg;
        return true;
    case 'j':
        cli->json = true;
        return true;
    case OPTION_TRUSTED:
    case OPTION_UNTRUSTED:
        cli->trusted = option == OPTION_TRUSTED ? ASSUMED_YES : ASSUMED_NO;
        return true;
    case OPTION_MAY_APPROVE:
    case OPTION_MAY_NOT_APPROVE:
        cli->may_approve = option == OPTION_MAY_APPROVE ? ASSUMED_YES : ASSUMED_NO;
        return true;
    case OPTION_ORG:
        cli->org = optarg;
        return true;
    case OPTION_MANUAL:
        cli->manual = true;
        return true;
    case 'h':
        print_usage(stdout);
        *done = true;
        return true;
    case 'V':
        puts("prgatectl " PRGATE_VERSION);
        *done = true;
        return true;
    default:
        return false;
    }
}

static bool fits(const struct command *command, const struct cli *cli, int count)
{
    bool assumes = cli->trusted != ASSUMED_NOTHING || cli->may_approve != ASSUMED_NOTHING;
    bool sets_up = cli->manual || cli->org[0] != '\0';
    return count >= command->min && count <= command->max && (!assumes || command->run == cmd_simulate) &&
           (!sets_up || command->run == cmd_setup);
}

static enum exit_status run_line(int argc, char **argv)
{
    const char *path = config_path();
    struct cli cli = {.org = ""};
    bool done = false;
    int option;
    while ((option = getopt_long(argc, argv, "c:jhV", options, NULL)) != -1) {
        if (!take_option(option, &cli, &path, &done)) {
            print_usage(stderr);
            return EXIT_USAGE;
        }
        if (done)
            return EXIT_OK;
    }
    const struct command *command = optind < argc ? find_command(argv[optind]) : NULL;
    int count = argc - optind - 1;
    if (command == NULL || !fits(command, &cli, count)) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    cli.arguments = argv + optind + 1;
    cli.json = cli.json || strcmp(command->name, "json") == 0;
    return !command->needs_config && count > 0 ? command->run(&cli) : run_with(command, &cli, path);
}

/* Known before the rest of the line is, which may be wrong. */
static bool wants_json(char **argv)
{
    for (char **word = argv + 1; argv[0] != NULL && *word != NULL && strcmp(*word, "--") != 0; word++)
        if (strcmp(*word, "--json") == 0 || strcmp(*word, "-j") == 0 || strcmp(*word, "json") == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    secrecy_setup();
    tree_setup();
    struct complaints *complaints = wants_json(argv) ? complaints_begin() : NULL;
    enum exit_status status = run_line(argc, argv);
    if (complaints != NULL)
        complaints_end(complaints, status);
    return (int)flushed(status);
}
