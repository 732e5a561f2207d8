/*
 * cli: what the commands of prgatectl have in common. Each command is a function in a cmd_*.c of its own and
 * an entry in the table of prgatectl.c.
 */
#ifndef PRGATE_CLI_H
#define PRGATE_CLI_H

#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdio.h>

#include "prgate/config.h"
#include "prgate/err.h"
#include "prgate/pr.h"
#include "prgate/record.h"
#include "prgate/store.h"

enum exit_status {
    EXIT_OK = 0,
    EXIT_FAILED = 1,     /* it was tried and did not work */
    EXIT_USAGE = 64,     /* sysexits.h: the command line is wrong */
    EXIT_NOT_FOUND = 66, /* no such pull request */
    EXIT_LATER = 75,     /* sysexits.h: it is stored, and will be done later */
    EXIT_CONFIG = 78     /* the configuration cannot be used */
};

/* What `simulate` is told instead of asking GitHub. */
enum assumed { ASSUMED_NOTHING, ASSUMED_NO, ASSUMED_YES };

/* One command line, understood. All of it is borrowed for the command's run. */
struct cli {
    const struct config *config; /* NULL: the command does without, as its arguments say */
    char **arguments;            /* behind the command's name, as many as its entry allows; NULL ends them */
    bool json;
    enum assumed trusted;     /* author and pusher */
    enum assumed may_approve; /* the event's sender */
    const char *org;          /* whose the App is to be; "" = the person's own */
    bool manual;              /* setup without the page */
};

typedef enum exit_status command_fn(const struct cli *cli);

command_fn cmd_app_manifest;
command_fn cmd_approve;
command_fn cmd_backup;
command_fn cmd_restore;
command_fn cmd_recover;
command_fn cmd_check;
command_fn cmd_dump;
command_fn cmd_load;
command_fn cmd_dead;
command_fn cmd_drain;
command_fn cmd_explain;
command_fn cmd_replay;
command_fn cmd_retrigger;
command_fn cmd_setup;
command_fn cmd_simulate;
command_fn cmd_status;
command_fn cmd_tail;

/* Prints the error and says what to exit with. */
enum exit_status cli_complain(const struct err *err);

/* To stdout, with control characters escaped: titles and logins come from strangers. */
void cli_print(const char *text);

/* One JSON value, spread over lines, and one on a line of its own. Both free it. */
void cli_print_json(cJSON *value);
void cli_print_json_line(cJSON *value);

/*
 * With --json: from begin to end what is complained of is noted. A command that fails with a complaint has no value of its
 * own on stdout: complaints_end() prints {"error", "status"}, and frees. One that fails without has told all in its value.
 */
struct complaints;
struct complaints *complaints_begin(void);
void complaints_end(struct complaints *complaints, enum exit_status status);

/* What a command has done: the sentence, or with --json the object, which is freed. */
void cli_print_done(const struct cli *cli, cJSON *object, const char *sentence);

enum color { COLOR_PLAIN, COLOR_BOLD, COLOR_GOOD, COLOR_WAITING, COLOR_BAD, COLOR_FAINT };

/* What switches stdout to that colour: "" unless it is a terminal, and neither NO_COLOR nor TERM=dumb forbids it. */
const char *cli_color(enum color color);
enum color cli_color_of_state(const char *record_state);

/*
 * Shows on stderr how far a long work has got, if that is a terminal. `total` 0: nobody knows. Start with
 * {.what = "dump", .unit = "entries"}.
 */
struct progress {
    const char *what, *unit;
    int64_t shown_ms;
};
void progress_show(struct progress *progress, uint64_t done, uint64_t total);
void progress_end(struct progress *progress); /* wipes it away */

/*
 * ERR_REJECT: the directory is another user's, and what this process makes there the pool could not open. Fine
 * where there is none yet.
 */
enum err_code cli_check_owner(const char *state_dir, struct err *err);

/* True, and it says so: there is no GitHub App to act as yet. */
bool cli_awaits_app(const struct config *config);

/* The store that is there: of the right user, and not made anew. */
enum err_code cli_open_store(struct store **out, const struct config *config, struct err *err);

/* "OWNER/REPO#N"; complains where it is not. */
bool cli_split_name(const char *name, char repo[REPO_NAME_SIZE], uint64_t *number);

/* The same with or without "#N"; *number is 0 without. */
bool cli_split_place(const char *name, char repo[REPO_NAME_SIZE], uint64_t *number);

/* What the record says, *record being initialised. ERR_NOT_FOUND: not known. */
enum err_code cli_read_record(struct store *store, const char *repo, uint64_t number, struct record *record,
                              struct err *err);

/* One entry of a ledger, as a line: the time, what happened, and why. */
void cli_print_entry(const cJSON *entry);

#endif
