#include "cli.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prgate/buf.h"
#include "prgate/clock.h"
#include "prgate/report.h"
#include "prgate/tables.h"
#include "prgate/text.h"
#include "prgate/wording.h"

enum { PROGRESS_EACH_MS = 200 };

enum exit_status cli_complain(const struct err *err)
{
    fprintf(stderr, "prgatectl: %s\n", err->text);
    return err->code == ERR_NOT_FOUND ? EXIT_NOT_FOUND : EXIT_FAILED;
}

void cli_print(const char *text)
{
    struct buf escaped;
    buf_init(&escaped);
    text_add_printable(&escaped, text);
    fputs(buf_text(&escaped), stdout);
    buf_release(&escaped);
}

void cli_print_json(cJSON *value)
{
    char *text = cJSON_Print(value);
    puts(text);
    cJSON_free(text);
    cJSON_Delete(value);
}

void cli_print_json_line(cJSON *value)
{
    char *text = cJSON_PrintUnformatted(value);
    puts(text);
    cJSON_free(text);
    cJSON_Delete(value);
}

void cli_print_done(const struct cli *cli, cJSON *object, const char *sentence)
{
    if (cli->json) {
        cli_print_json_line(object);
        return;
    }
    cJSON_Delete(object);
    puts(sentence);
}

/* ---- terminals --------------------------------------------------------------------- */

static bool is_terminal(int fd)
{
    const char *kind = getenv("TERM");
    return isatty(fd) && kind != NULL && strcmp(kind, "dumb") != 0;
}

const char *cli_color(enum color color)
{
    static const char *const codes[] = {
        [COLOR_PLAIN] = "\033[0m",    [COLOR_BOLD] = "\033[1m", [COLOR_GOOD] = "\033[32m",
        [COLOR_WAITING] = "\033[33m", [COLOR_BAD] = "\033[31m", [COLOR_FAINT] = "\033[2m"};
    const char *no_color = getenv("NO_COLOR");
    bool wanted = no_color == NULL || no_color[0] == '\0';
    return wanted && is_terminal(STDOUT_FILENO) ? codes[color] : "";
}

enum color cli_color_of_state(const char *record_state)
{
    if (strcmp(record_state, record_state_name(RECORD_TRIGGERED)) == 0)
        return COLOR_GOOD;
    if (strcmp(record_state, record_state_name(RECORD_CONFLICT)) == 0)
        return COLOR_BAD;
    return strcmp(record_state, record_state_name(RECORD_AWAITING)) == 0 ? COLOR_WAITING : COLOR_PLAIN;
}

void progress_show(struct progress *progress, uint64_t done, uint64_t total)
{
    int64_t now_ms = clock_monotonic_ms();
    if ((progress->shown_ms != 0 && now_ms - progress->shown_ms < PROGRESS_EACH_MS) ||
        !is_terminal(STDERR_FILENO))
        return;
    progress->shown_ms = now_ms;
    fprintf(stderr, "\r%s: ", progress->what);
    if (total > 0) {
        char bar[] = "####################";
        size_t full =
            done < total ? (size_t)((double)done / (double)total * (sizeof bar - 1)) : sizeof bar - 1;
        memset(bar + full, '.', sizeof bar - 1 - full);
        fprintf(stderr, "[%s] %d%% of ", bar, (int)(done < total ? (double)done / (double)total * 100 : 100));
    }
    fprintf(stderr, "%llu %s\033[K", (unsigned long long)(total > 0 ? total : done), progress->unit);
}

void progress_end(struct progress *progress)
{
    if (progress->shown_ms != 0)
        fputs("\r\033[K", stderr);
    progress->shown_ms = 0;
}

/* ---- what a command line names ----------------------------------------------------- */

bool cli_split_place(const char *name, char repo[REPO_NAME_SIZE], uint64_t *number)
{
    *number = 0;
    if (strchr(name, '#') != NULL)
        return cli_split_name(name, repo, number);
    if (text_is_repo_name(name) && text_copy(repo, REPO_NAME_SIZE, name))
        return true;
    fprintf(stderr, "prgatectl: \"%s\" is neither OWNER/REPO nor OWNER/REPO#NUMBER\n", name);
    return false;
}

struct read_record {
    const char *repo;
    struct record *record;
    struct pr_key pr;
};

static enum err_code read_record_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct read_record *read = arg;
    enum err_code code = table_get_name(txn, read->repo, &read->pr.repo_id, err);
    return code == ERR_OK ? table_get_record(txn, &read->pr, STORE_READ, read->record, err) : code;
}

enum err_code cli_read_record(struct store *store, const char *repo, uint64_t number, struct record *record,
                              struct err *err)
{
    struct read_record read = {.repo = repo, .record = record, .pr = {.number = number}};
    return store_txn(store, read_record_body, &read, err);
}

/* "start CI", of an action of a dry run. */
static const char *would_do(const cJSON *entry)
{
    const char *name = report_text(entry, "action");
    for (int kind = INTENT_TRIGGER; kind < INTENT_KIND_END; kind++)
        if (strcmp(intent_kind_name((enum intent_kind)kind), name) == 0)
            return wording_would((enum intent_kind)kind);
    return name;
}

void cli_print_entry(const cJSON *entry)
{
    char time[TEXT_TIME_SIZE];
    bool decision = strcmp(report_text(entry, "kind"), "decision") == 0;
    text_from_time(report_number(entry, "time") / 1000, time);
    bool would = !decision && strcmp(report_text(entry, "outcome"), "dry_run") == 0;
    printf("%s%s%s  %s%s %.10s", cli_color(COLOR_FAINT), time, cli_color(COLOR_PLAIN), would ? "would " : "",
           would ? would_do(entry) : report_text(entry, decision ? "event" : "action"),
           report_text(entry, "sha"));
    if (decision) {
        fputs(" by ", stdout);
        cli_print(report_text(entry, "sender"));
    }
    printf(": %s", report_text(entry, decision ? "sentence" : "outcome"));
    if (!decision && report_text(entry, "answer")[0] != '\0') {
        fputs(": ", stdout);
        cli_print(report_text(entry, "answer"));
    }
    putchar('\n');
}

bool cli_split_name(const char *name, char repo[REPO_NAME_SIZE], uint64_t *number)
{
    const char *hash = strchr(name, '#');
    if (hash != NULL && hash - name < REPO_NAME_SIZE) {
        memcpy(repo, name, (size_t)(hash - name));
        repo[hash - name] = '\0';
        if (text_is_repo_name(repo) && text_to_u64(hash + 1, INT64_MAX, number))
            return true;
    }
    fprintf(stderr, "prgatectl: \"%s\" is not OWNER/REPO#NUMBER\n", name);
    return false;
}

enum err_code cli_check_owner(const char *state_dir, struct err *err)
{
    struct stat st;
    if (stat(state_dir, &st) != 0 || st.st_uid == geteuid())
        return ERR_OK;
    const struct passwd *owner = getpwuid(st.st_uid);
    const char *name = owner == NULL ? "its owner" : owner->pw_name;
    return err_set(
        err, ERR_REJECT, 0,
        "%s belongs to user %s (%u), this is user %u, whose files the pool could not open: run it as "
        "runuser -u %s -- prgatectl ...",
        state_dir, name, (unsigned)st.st_uid, (unsigned)geteuid(), name);
}

bool cli_awaits_app(const struct config *config)
{
    if (config->awaits_app)
        fputs("prgatectl: no GitHub App is set up yet: run prgatectl setup\n", stderr);
    return config->awaits_app;
}

enum err_code cli_open_store(struct store **out, const struct config *config, struct err *err)
{
    enum err_code code = cli_check_owner(config->state_dir, err);
    if (code == ERR_OK && !store_is_there(config->state_dir))
        code = err_set(err, ERR_REJECT, 0,
                       "there is no store in %s: it was never used, or it is lost: then restore a backup",
                       config->state_dir);
    return code == ERR_OK ? store_open(out, config->state_dir, err) : code;
}
