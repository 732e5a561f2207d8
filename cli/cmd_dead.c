/*
 * prgatectl dead: lists what was given up, has it tried again, or drops it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "prgate/dead.h"
#include "prgate/tables.h"
#include "prgate/text.h"

typedef enum err_code change_fn(struct gate *gate, const struct pr_key *pr, uint64_t seq, struct err *err);

/* What the command line asks for, and how far it has got. */
struct work {
    struct gate gate;
    change_fn *change; /* NULL: only list */
    const char *name;  /* "OWNER/REPO#N", or NULL: all pull requests */
    char repo[REPO_NAME_SIZE];
    bool one_letter;
    uint64_t seq;

    struct pr_key pr;     /* the one that is looked at */
    struct record record; /* its; empty where it cannot be read */
    unsigned done, refused;
    cJSON *list; /* --json: the letters, or those that could not be changed, and why; NULL: printed */
};

/* ---- looking ------------------------------------------------------------------- */

static enum err_code find_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct work *work = arg;
    struct pr_key pr = work->pr;
    enum err_code code = table_next_queued(txn, TABLE_DEAD, &pr, err);
    if (code != ERR_OK)
        return code;
    work->pr = pr;
    code = table_get_record(txn, &pr, STORE_READ, &work->record, err);
    return code == ERR_NOT_FOUND || code == ERR_CORRUPT ? ERR_OK : code;
}

static enum err_code name_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct work *work = arg;
    return table_get_name(txn, work->repo, &work->pr.repo_id, err);
}

static void print_place(const struct work *work, FILE *out, uint64_t seq)
{
    fprintf(out, "%s#%" PRIu64 " %" PRIu64, work->record.repo[0] == '\0' ? "?" : work->record.repo,
            work->pr.number, seq);
}

static void add_letter(const struct work *work, uint64_t seq, const struct dead_letter *letter)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "repository", work->record.repo);
    cJSON_AddNumberToObject(object, "number", (double)work->pr.number);
    cJSON_AddNumberToObject(object, "seq", (double)seq);
    cJSON_AddBoolToObject(object, "damaged", letter == NULL);
    if (letter != NULL) {
        cJSON_AddStringToObject(object, "action", intent_kind_name(letter->intent.kind));
        cJSON_AddStringToObject(object, "sha", letter->intent.sha.hex);
        cJSON_AddNumberToObject(object, "attempts", letter->intent.attempts);
        cJSON_AddNumberToObject(object, "given_up", (double)letter->died_ms);
        cJSON_AddStringToObject(object, "reason", letter->reason);
    }
    cJSON_AddItemToArray(work->list, object);
}

static void print_letter(const struct work *work, uint64_t seq, const struct dead_letter *letter)
{
    char time[TEXT_TIME_SIZE];
    text_from_time(letter->died_ms / 1000, time);
    print_place(work, stdout, seq);
    printf("  %s %.10s, given up %s at attempt %" PRIu32 ": ", intent_kind_name(letter->intent.kind),
           letter->intent.sha.hex, time, letter->intent.attempts);
    cli_print(letter->reason);
    putchar('\n');
}

static void add_refusal(const struct work *work, uint64_t seq, const struct err *err)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "repository", work->record.repo);
    cJSON_AddNumberToObject(object, "number", (double)work->pr.number);
    cJSON_AddNumberToObject(object, "seq", (double)seq);
    cJSON_AddStringToObject(object, "error", err->text);
    cJSON_AddItemToArray(work->list, object);
}

/* One that makes no sense any more is complained of; the others are still done. */
static enum err_code change_letter(struct work *work, uint64_t seq, struct err *err)
{
    enum err_code code = work->change(&work->gate, &work->pr, seq, err);
    if (code == ERR_OK)
        work->done++;
    if (code != ERR_REJECT && code != ERR_CORRUPT)
        return code;
    work->refused++;
    if (work->list != NULL) {
        add_refusal(work, seq, err);
        return ERR_OK;
    }
    fputs("prgatectl: ", stderr);
    print_place(work, stderr, seq);
    fprintf(stderr, ": %s\n", err->text);
    return ERR_OK;
}

static enum err_code list_letter(struct work *work, uint64_t seq, const struct dead_letter *letter)
{
    if (work->list != NULL) {
        add_letter(work, seq, letter);
    } else if (letter != NULL) {
        print_letter(work, seq, letter);
    } else {
        print_place(work, stdout, seq);
        puts("  damaged: all that can be done is to drop it");
    }
    work->done++;
    return ERR_OK;
}

static enum err_code walk_letters(struct work *work, struct err *err)
{
    struct dead_letter letter;
    enum err_code code = ERR_OK;
    for (uint64_t seq = work->seq; code == ERR_OK; seq++) {
        code = dead_look(&work->gate, &work->pr, &seq, &letter, err);
        if (code == ERR_NOT_FOUND || (work->one_letter && seq != work->seq))
            return ERR_OK;
        if (code != ERR_OK && code != ERR_CORRUPT)
            return code;
        code = work->change != NULL ? change_letter(work, seq, err)
                                    : list_letter(work, seq, code == ERR_OK ? &letter : NULL);
        if (work->one_letter)
            break;
    }
    return code;
}

static enum err_code walk(struct work *work, struct err *err)
{
    enum err_code code = work->name == NULL ? ERR_OK : store_txn(work->gate.store, name_body, work, err);
    if (code == ERR_NOT_FOUND)
        return err_set(err, code, 0, "no webhook for %s has come in so far", work->name);
    struct pr_key wanted = work->pr;
    while (code == ERR_OK && (code = store_txn(work->gate.store, find_body, work, err)) == ERR_OK) {
        if (work->name != NULL && (work->pr.repo_id != wanted.repo_id || work->pr.number != wanted.number))
            break;
        code = walk_letters(work, err);
        work->pr.number++;
    }
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

/* ---- the command ------------------------------------------------------------------ */

static void tell(struct work *work, bool json, const char *verb)
{
    if (!json) {
        printf("%u %s\n", work->done, verb);
        return;
    }
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "what", verb);
    cJSON_AddNumberToObject(object, "count", work->done);
    cJSON_AddNumberToObject(object, "refused", work->refused);
    if (work->list != NULL)
        cJSON_AddItemToObject(object, work->change == NULL ? "dead" : "refusals", work->list);
    work->list = NULL;
    cli_print_json(object);
}

static enum exit_status run(struct work *work, const struct cli *cli, const char *verb)
{
    struct err err = {0};
    record_init(&work->record);
    work->list = cli->json ? cJSON_CreateArray() : NULL;
    enum err_code code = gate_open(&work->gate, cli->config, &err);
    if (code == ERR_OK)
        code = walk(work, &err);
    gate_close(&work->gate);
    record_release(&work->record);
    if (code == ERR_OK && !(work->one_letter && work->done + work->refused == 0))
        tell(work, cli->json, verb);
    cJSON_Delete(work->list);
    if (code != ERR_OK)
        return cli_complain(&err);
    if (work->one_letter && work->done + work->refused == 0) {
        fprintf(stderr, "prgatectl: %s has no dead letter %" PRIu64 "\n", work->name, work->seq);
        return EXIT_NOT_FOUND;
    }
    return work->refused == 0 ? EXIT_OK : EXIT_FAILED;
}

static bool parse(struct work *work, char **arguments)
{
    const char *name = arguments[0], *seq = name == NULL ? NULL : arguments[1];
    bool all = name == NULL || strcmp(name, "all") == 0;
    if (!all && !cli_split_name(name, work->repo, &work->pr.number))
        return false;
    work->name = all ? NULL : name;
    work->one_letter = seq != NULL;
    if (seq == NULL || (!all && text_to_u64(seq, INT64_MAX, &work->seq)))
        return true;
    fprintf(stderr, "prgatectl: \"%s\" is no letter of %s: see prgatectl dead list\n", seq, name);
    return false;
}

enum exit_status cmd_dead(const struct cli *cli)
{
    char **arguments = cli->arguments;
    static const struct {
        const char *name, *verb;
        change_fn *change;
    } actions[] = {
        {"list", "given up", NULL},
        {"retry", "to be tried again", dead_retry},
        {"drop", "dropped", dead_drop},
    };
    struct work work = {.seq = 0};
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        work.change = actions[i].change;
        if (strcmp(arguments[0], actions[i].name) != 0)
            continue;
        if (work.change != NULL && arguments[1] == NULL)
            break; /* what to change is always said, be it "all" */
        return parse(&work, arguments + 1) ? run(&work, cli, actions[i].verb) : EXIT_USAGE;
    }
    fputs("usage: prgatectl dead list [OWNER/REPO#N [SEQ]]\n"
          "       prgatectl dead retry|drop OWNER/REPO#N [SEQ]\n"
          "       prgatectl dead retry|drop all\n",
          stderr);
    return EXIT_USAGE;
}
