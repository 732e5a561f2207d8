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
#include "prgate/tables.h"
#include "prgate/text.h"

static bool is_true(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static void print_overview(const cJSON *report)
{
    printf("%" PRId64 " deliveries and %" PRId64 " actions waiting%s\n",
           report_number(report, "deliveries_waiting"), report_number(report, "intents_waiting"),
           is_true(report, "dry_run") ? " (dry run)" : "");
    const cJSON *pull;
    cJSON_ArrayForEach(pull, cJSON_GetObjectItemCaseSensitive(report, "pull_requests"))
    {
        const char *state = report_text(pull, "state");
        printf("%s#%" PRId64 "  %s%s%s", report_text(pull, "repository"), report_number(pull, "number"),
               cli_color(cli_color_of_state(state)), state, cli_color(COLOR_PLAIN));
        if (report_text(pull, "waits_for_text")[0] != '\0')
            printf(", waits for %s", report_text(pull, "waits_for_text"));
        printf("  %.10s  ", report_text(pull, "head"));
        cli_print(report_text(pull, "title"));
        putchar('\n');
    }
    if (is_true(report, "more"))
        puts("there may be more: not all were looked at");
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
    const char *state = report_text(report, "state");
    printf("%s%s#%" PRId64 "%s: %s%s%s\n", cli_color(COLOR_BOLD), report_text(report, "repository"),
           report_number(report, "number"), cli_color(COLOR_PLAIN), cli_color(cli_color_of_state(state)),
           state, cli_color(COLOR_PLAIN));
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
        fputs("  ", stdout);
        cli_print_entry(item);
    }
}

/* ---- one repository ------------------------------------------------------------------ */

static enum err_code name_body(struct store_txn *txn, void *arg, struct err *err)
{
    uint64_t repo_id;
    return table_get_name(txn, arg, &repo_id, err);
}

static void keep_only(cJSON *report, const char *repo)
{
    cJSON *pulls = cJSON_GetObjectItemCaseSensitive(report, "pull_requests");
    cJSON *pull = pulls == NULL ? NULL : pulls->child;
    while (pull != NULL) {
        cJSON *next = pull->next;
        if (!text_equal_fold(report_text(pull, "repository"), repo))
            cJSON_Delete(cJSON_DetachItemViaPointer(pulls, pull));
        pull = next;
    }
}

static enum err_code look_at_repo(struct gate *gate, char *repo, cJSON **report, struct err *err)
{
    enum err_code code = store_txn(gate->store, name_body, repo, err);
    if (code == ERR_OK)
        code = report_overview(gate, report, err);
    if (code == ERR_OK)
        keep_only(*report, repo);
    return code;
}

/* ---- the command ------------------------------------------------------------------------ */

enum exit_status cmd_status(const struct cli *cli)
{
    const char *argument = cli->arguments[0];
    char repo[REPO_NAME_SIZE];
    uint64_t number = 0;
    if (argument != NULL && !cli_split_place(argument, repo, &number))
        return EXIT_USAGE;
    struct gate gate;
    struct err err = {0};
    cJSON *report = NULL;
    enum err_code code = gate_open(&gate, cli->config, &err);
    if (code == ERR_OK && argument == NULL)
        code = report_overview(&gate, &report, &err);
    else if (code == ERR_OK && number == 0)
        code = look_at_repo(&gate, repo, &report, &err);
    else if (code == ERR_OK)
        code = report_pull(&gate, repo, number, &report, &err);
    if (code == ERR_NOT_FOUND)
        err_set(&err, ERR_NOT_FOUND, 0, "no webhook for %s has come in so far", argument);
    gate_close(&gate);
    if (code != ERR_OK)
        return cli_complain(&err);
    if (cli->json) {
        cli_print_json(report);
        return EXIT_OK;
    }
    (number == 0 ? print_overview : print_pull)(report);
    cJSON_Delete(report);
    return EXIT_OK;
}
