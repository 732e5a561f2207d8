/*
 * cli: what the commands of prgatectl have in common. Each command is a function in a cmd_*.c of its own and
 * an entry in the table of prgatectl.c.
 */
#ifndef PRGATE_CLI_H
#define PRGATE_CLI_H

#include <stdint.h>

#include "prgate/config.h"
#include "prgate/err.h"
#include "prgate/pr.h"
#include "prgate/store.h"

enum exit_status {
    EXIT_OK = 0,
    EXIT_FAILED = 1,     /* it was tried and did not work */
    EXIT_USAGE = 64,     /* sysexits.h: the command line is wrong */
    EXIT_NOT_FOUND = 66, /* no such pull request */
    EXIT_CONFIG = 78     /* the configuration cannot be used */
};

/* `arguments` are those behind the command's name, as many as its entry in the table allows; NULL ends them. */
typedef enum exit_status command_fn(const struct config *config, char **arguments);

command_fn cmd_backup;
command_fn cmd_restore;
command_fn cmd_check;
command_fn cmd_dump;
command_fn cmd_load;
command_fn cmd_dead;
command_fn cmd_drain;
command_fn cmd_replay;
command_fn cmd_status;
command_fn cmd_json;

/* Prints the error and says what to exit with. */
enum exit_status cli_complain(const struct err *err);

/* To stdout, with control characters escaped: titles and logins come from strangers. */
void cli_print(const char *text);

/*
 * ERR_REJECT: the directory is another user's, and what this process makes there the pool could not open. Fine
 * where there is none yet.
 */
enum err_code cli_check_owner(const char *state_dir, struct err *err);

/* The store that is there: of the right user, and not made anew. */
enum err_code cli_open_store(struct store **out, const struct config *config, struct err *err);

/* "OWNER/REPO#N"; complains where it is not. */
bool cli_split_name(const char *name, char repo[REPO_NAME_SIZE], uint64_t *number);

#endif
