/*
 * prgatectl: the operator's door to a gate's state.
 */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "prgate/config.h"
#include "prgate/http.h"
#include "prgate/log.h"
#include "prgate/report.h"
#include "prgate/sweep.h"
#include "prgate/text.h"

#ifndef PRGATE_VERSION
#define PRGATE_VERSION "0"
#endif

enum exit_status {
    EXIT_OK = 0,
    EXIT_FAILED = 1,     /* it was tried and did not work */
    EXIT_USAGE = 64,     /* sysexits.h: the command line is wrong */
    EXIT_NOT_FOUND = 66, /* no such pull request */
    EXIT_CONFIG = 78     /* the configuration cannot be used */
};

struct command {
    const char *name;
    const char *arguments;
    const char *help;
    enum exit_status (*run)(const struct config *config, const char *argument);
};

static enum exit_status complain(const struct err *err)
{
    fprintf(stderr, "prgatectl: %s\n", err->text);
    return err->code == ERR_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_FAILED;
}

/* Escapes: titles and logins come from strangers. */
static void print(const char *text)
{
    struct buf escaped;
    buf_init(&escaped);
    text_add_printable(&escaped, text);
    fputs(buf_text(&escaped), stdout);
    buf_release(&escaped);
}

/* ---- check -------------------------------------------------------------------- */

static enum exit_status run_check(const struct config *config, const char *argument)
{
    (void)argument;
    struct gate gate;
    struct err err = {0};
    enum err_code code = gate_open(&gate, config, &err);
    gate_close(&gate);
    if (code != ERR_OK)
        return complain(&err);
    printf("%s: fine, %zu repository sections%s\n%s: the store opens\n", config->path, config->policy_count,
           config->dry_run ? ", dry run" : "", config->state_dir);
    return EXIT_OK;
}

/* ---- drain --------------------------------------------------------------------- */

static enum exit_status run_drain(const struct config *config, const char *argument)
{
    (void)argument;
    struct gate gate;
    struct worker worker = {0};
    struct err err = {0};
    enum exit_status status = EXIT_OK;
    if (gate_open(&gate, config, &err) != ERR_OK || worker_open(&worker, &gate, &err) != ERR_OK) {
        status = complain(&err);
    } else {
        sweep_run(&worker);
        if (store_checkpoint(gate.store, &err) != ERR_OK)
            status = complain(&err);
        alive_sweep(gate.alive);
    }
    worker_close(&worker);
    gate_close(&gate);
    return status;
}

/* ---- status --------------------------------------------------------------------- */

static void print_json(const cJSON *report)
{
    char *text = cJSON_Print(report);
    puts(text);
    cJSON_free(text);
}

static void print_overview(const cJSON *report)
{
    printf("%" PRId64 " deliveries and %" PRId64 " actions waiting%s\n",
           report_number(report, "deliveries_waiting"), report_number(report, "intents_waiting"),
           cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(report, "dry_run")) ? " (dry run)" : "");
    const cJSON *pull;
    cJSON_ArrayForEach(pull, cJSON_GetObjectItemCaseSensitive(report, "pull_requests"))
    {
        printf("%s#%" PRId64 "  %s", report_text(pull, "repository"), report_number(pull, "number"),
               report_text(pull, "state"));
        if (report_text(pull, "waits_for_text")[0] != '\0')
            printf(", waits for %s", report_text(pull, "waits_for_text"));
        printf("  %.10s  ", report_text(pull, "head"));
        print(report_text(pull, "title"));
        putchar('\n');
    }
}

static void print_pull(const cJSON *report)
{
    printf("%s#%" PRId64 ": %s\n", report_text(report, "repository"), report_number(report, "number"),
           report_text(report, "state"));
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(report, "heads"))
    {
        printf("  commit %s: CI %s", report_text(item, "sha"), report_text(item, "ci"));
        if (report_text(item, "waits_for_text")[0] != '\0')
            printf(", waits for %s", report_text(item, "waits_for_text"));
        putchar('\n');
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(report, "ledger"))
    {
        char time[TEXT_TIME_SIZE];
        bool decision = strcmp(report_text(item, "kind"), "decision") == 0;
        text_from_time(report_number(item, "time") / 1000, time);
        printf("  %s  %s %.10s", time, report_text(item, decision ? "event" : "action"),
               report_text(item, "sha"));
        if (decision) {
            fputs(" by ", stdout);
            print(report_text(item, "sender"));
        }
        printf(": %s", report_text(item, decision ? "sentence" : "outcome"));
        if (!decision && report_text(item, "answer")[0] != '\0') {
            fputs(": ", stdout);
            print(report_text(item, "answer"));
        }
        putchar('\n');
    }
}

/* "OWNER/REPO#N" */
static bool split_name(const char *name, char repo[REPO_NAME_SIZE], uint64_t *number)
{
    const char *hash = strchr(name, '#');
    if (hash == NULL || hash - name >= REPO_NAME_SIZE)
        return false;
    memcpy(repo, name, (size_t)(hash - name));
    repo[hash - name] = '\0';
    return text_is_repo_name(repo) && text_to_u64(hash + 1, INT64_MAX, number);
}

static enum exit_status show(const struct config *config, const char *argument, bool json)
{
    char repo[REPO_NAME_SIZE];
    uint64_t number;
    if (argument != NULL && !split_name(argument, repo, &number)) {
        fprintf(stderr, "prgatectl: \"%s\" is not OWNER/REPO#NUMBER\n", argument);
        return EXIT_USAGE;
    }
    struct gate gate;
    struct err err = {0};
    cJSON *report = NULL;
    enum err_code code = gate_open(&gate, config, &err);
    if (code == ERR_OK && argument == NULL)
        code = report_overview(&gate, &report, &err);
    else if (code == ERR_OK)
        code = report_pull(&gate, repo, number, &report, &err);
    if (code == ERR_NOT_FOUND)
        err_set(&err, ERR_NOT_FOUND, 0, "no webhook for %s has come in so far", argument);
    if (code == ERR_OK && json)
        print_json(report);
    else if (code == ERR_OK)
        (argument == NULL ? print_overview : print_pull)(report);
    cJSON_Delete(report);
    gate_close(&gate);
    return code == ERR_OK ? EXIT_OK : complain(&err);
}

static enum exit_status run_status(const struct config *config, const char *argument)
{
    return show(config, argument, false);
}

static enum exit_status run_json(const struct config *config, const char *argument)
{
    return show(config, argument, true);
}

/* ---- the table -------------------------------------------------------------------- */

static const struct command commands[] = {
    {"check", "", "read the configuration and open the store", run_check},
    {"drain", "", "work off everything that is due, once (from cron, in CGI mode)", run_drain},
    {"status", "[OWNER/REPO#N]", "show all open pull requests, or one and its ledger", run_status},
    {"json", "[OWNER/REPO#N]", "the same as JSON", run_json},
};

static void print_usage(FILE *out)
{
    fputs("usage: prgatectl [-c CONFIGURATION] COMMAND\n\n", out);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(out, "  %-7s %-15s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
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

static enum exit_status run(const struct command *command, const char *path, const char *argument)
{
    struct config *config;
    struct err err = {0};
    if (config_open(&config, path, &err) != ERR_OK) {
        complain(&err);
        return EXIT_CONFIG;
    }
    log_setup(config->log_level, config->log_format, config->log_target);
    enum exit_status status = EXIT_FAILED;
    if (http_setup(&err) == ERR_OK)
        status = command->run(config, argument);
    else
        complain(&err);
    http_shutdown();
    config_close(config);
    return status;
}

int main(int argc, char **argv)
{
    const char *path = config_path();
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
    int arguments = argc - optind - 1;
    if (command == NULL || arguments > (command->arguments[0] == '\0' ? 0 : 1)) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    return (int)run(command, path, arguments == 1 ? argv[optind + 1] : NULL);
}
