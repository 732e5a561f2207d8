/*
 * prgatectl check: is all that prgate needs in place, and whole?
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "prgate/buf.h"
#include "prgate/inspect.h"
#include "prgate/inspect_github.h"

/* Printed as it is found, or collected for one object at the end. */
struct findings {
    cJSON *list; /* NULL: printed */
};

static void add_finding(void *arg, enum finding finding, const char *text)
{
    static const struct {
        const char *word, *name;
        enum color color;
    } kinds[] = {[FINDING_FINE] = {"fine", "fine", COLOR_GOOD},
                 [FINDING_WARNING] = {"warning", "warning", COLOR_WAITING},
                 [FINDING_ERROR] = {"ERROR", "error", COLOR_BAD}};
    const struct findings *findings = arg;
    if (findings->list != NULL) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "finding", kinds[finding].name);
        cJSON_AddStringToObject(object, "text", text);
        cJSON_AddItemToArray(findings->list, object);
        return;
    }
    printf("%s%-8s%s ", cli_color(kinds[finding].color), kinds[finding].word, cli_color(COLOR_PLAIN));
    cli_print(text);
    putchar('\n');
}

static unsigned inspect(const struct config *config, bool all, struct findings *findings)
{
    const char *scratch_dir = getenv("TMPDIR");
    struct buf text;
    buf_init(&text);
    buf_addf(&text, "%s: %zu repository sections%s", config->path, config->policy_count,
             config->dry_run ? ", dry run" : "");
    add_finding(findings, FINDING_FINE, buf_text(&text));
    buf_release(&text);
    if (!all)
        return 0;
    unsigned errors =
        inspect_state(config, scratch_dir == NULL ? "/tmp" : scratch_dir, add_finding, findings);
    return errors + inspect_github(config, add_finding, findings);
}

enum exit_status cmd_check(const struct cli *cli)
{
    bool all = cli->arguments[0] == NULL;
    if (!all && strcmp(cli->arguments[0], "configuration") != 0) {
        fputs("usage: prgatectl check [configuration]\n", stderr);
        return EXIT_USAGE;
    }
    struct findings findings = {.list = cli->json ? cJSON_CreateArray() : NULL};
    unsigned errors = inspect(cli->config, all, &findings);
    if (cli->json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddNumberToObject(object, "errors", errors);
        cJSON_AddItemToObject(object, "findings", findings.list);
        cli_print_json(object);
    } else if (errors > 0) {
        printf("%u errors\n", errors);
    }
    return errors == 0 ? EXIT_OK : EXIT_FAILED;
}
