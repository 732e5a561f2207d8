/*
 * prgatectl check: is all that prgate needs in place, and whole?
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "prgate/inspect.h"

static void print_finding(void *arg, enum finding finding, const char *text)
{
    static const char *const words[] = {
        [FINDING_FINE] = "fine", [FINDING_WARNING] = "warning", [FINDING_ERROR] = "ERROR"};
    (void)arg;
    printf("%-8s ", words[finding]);
    cli_print(text);
    putchar('\n');
}

enum exit_status cmd_check(const struct config *config, char **arguments)
{
    (void)arguments;
    const char *scratch_dir = getenv("TMPDIR");
    printf("%-8s %s: %zu repository sections%s\n", "fine", config->path, config->policy_count,
           config->dry_run ? ", dry run" : "");
    unsigned errors = inspect_state(config, scratch_dir == NULL ? "/tmp" : scratch_dir, print_finding, NULL);
    if (errors == 0)
        return EXIT_OK;
    printf("%u errors\n", errors);
    return EXIT_FAILED;
}
