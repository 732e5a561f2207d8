/*
 * prgatectl status, prgatectl json: what the status pages show, on a terminal and for programs.
 */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "prgate/gate.h"
#include "prgate/report.h"
#include "prgate/text.h"

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
        cli_print(report_text(pull, "title"));
        putchar('\n');
    }
}

/* A re-run that was refused has a time, too, and waits for nothing. */
static void print_wait(const cJSON *item)
{
    char time[TEXT_TIME_SIZE];
    if (report_text(item, "waits_for_text")[0] == '\0')
        return;
    printf(", waits for %s", report_text(item, "waits_for_text"));
    if (report_number(item, "until") == 0)
        return;
    text_from_time((report_number(item, "until") + 999) / 1000, time);
    printf(", until %s", time);
}

static void print_pull(const cJSON *report)
{
    printf("%s#%" PRId64 ": %s\n", report_text(report, "repository"), report_number(report, "number"),
           report_text(report, "state"));
    char ci[REPORT_CI_SIZE];
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(report, "heads"))
    {
        printf("  commit %s: CI %s", report_text(item, "sha"), report_ci(item, ci));
        print_wait(item);
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
            cli_print(report_text(item, "sender"));
        }
        printf(": %s", report_text(item, decision ? "sentence" : "outcome"));
        if (!decision && report_text(item, "answer")[0] != '\0') {
            fputs(": ", stdout);
            cli_print(report_text(item, "answer"));
        }
        putchar('\n');
    }
}

static enum exit_status show(const struct config *config, const char *argument, bool json)
{
    char repo[REPO_NAME_SIZE];
    uint64_t number;
    if (argument != NULL && !cli_split_name(argument, repo, &number))
        return EXIT_USAGE;
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
    return code == ERR_OK ? EXIT_OK : cli_complain(&err);
}

enum exit_status cmd_status(const struct config *config, char **arguments)
{
    return show(config, arguments[0], false);
}

enum exit_status cmd_json(const struct config *config, char **arguments)
{
    return show(config, arguments[0], true);
}
