/*
 * prgatectl approve, retrigger: the operator's own word, which takes the way of every webhook. It is put into the pull
 * request's inbox, decided under the claim, and told of in the ledger; here is only waited for what comes of it.
 *
 * Where a pool runs, that does the work, so that nothing hangs on this process: ended at any time, it leaves a
 * delivery that is decided all the same. Where none runs, or takes it up, this process works off what is due, as
 * `drain` does; ended amid that, it leaves what any process does.
 */
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "prgate/alive.h"
#include "prgate/clock.h"
#include "prgate/command.h"
#include "prgate/gate.h"
#include "prgate/inbox.h"
#include "prgate/report.h"
#include "prgate/sweep.h"
#include "prgate/text.h"

enum {
    LOOK_EACH_MS = 50,
    WAIT_MS = 60000,
    PATIENCE_MS = 3000 /* with the others: they may be no pool, but CGI processes, or a `tail` */
};

struct order {
    const struct cli *cli;
    const char *word; /* "approve" */
    enum event_action action;
    char repo[REPO_NAME_SIZE];
    struct gate gate;
    struct worker worker;
    bool works;           /* this process does: the worker is open */
    struct record record; /* as it was when the order was given */
    struct event event;
    cJSON *report;            /* of the pull request, as it is now */
    const cJSON *decision;    /* the order's entry in its ledger; NULL: none yet */
    bool is_working, is_over; /* something of it is yet to be done; it is decided, and nothing is */
};

/* ---- who, and which commit -------------------------------------------------------------- */

/*
 * Whoever logged in, also behind sudo, where the system tells; else the user that this process runs as. It is shown
 * to people on GitHub, so whatever would mean something in Markdown is left out.
 */
static void name_user(char login[LOGIN_SIZE])
{
    static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const struct passwd *entry;
    if (getlogin_r(login, LOGIN_SIZE) != 0 || login[0] == '\0') {
        entry = getpwuid(geteuid());
        if (entry != NULL)
            text_copy_cut(login, LOGIN_SIZE, entry->pw_name);
        else
            snprintf(login, LOGIN_SIZE, "user-%u", (unsigned)geteuid());
    }
    for (char *at = login; *(at += strspn(at, fine)) != '\0';)
        *at = '_';
}

static bool is_commit(const char *named)
{
    size_t len = strlen(named);
    bool fits = len >= COMMAND_SHA_MIN && len < SHA_SIZE && strspn(named, "0123456789abcdefABCDEF") == len;
    if (!fits)
        fprintf(stderr, "prgatectl: \"%s\" is no commit: at least %d digits of its SHA\n", named,
                COMMAND_SHA_MIN);
    return fits;
}

/* All digits, or as many as only one commit of the pull request begins with. */
static enum err_code find_commit(const struct order *order, const char *named, struct sha *out,
                                 struct err *err)
{
    bool several = false;
    char prefix[SHA_SIZE];
    if (named == NULL) {
        *out = order->record.view.head;
        return sha_is_set(out)
                   ? ERR_OK
                   : err_set(err, ERR_CONFLICT, 0, "nothing was decided for it yet: name the commit");
    }
    if (sha_parse(out, named))
        return ERR_OK;
    text_copy_cut(prefix, sizeof prefix, named);
    text_fold(prefix);
    const struct head *head = record_find_prefix(&order->record, prefix, &several);
    if (head == NULL)
        return err_set(err, ERR_CONFLICT, 0,
                       several ? "several commits of it begin with %s: name all digits"
                               : "no commit of it that is known begins with %s: name all digits",
                       prefix);
    *out = head->sha;
    return ERR_OK;
}

static enum err_code refuse_in_vain(const struct order *order, struct err *err)
{
    const struct policy *policy = config_policy(order->cli->config, order->record.repo);
    if (policy == NULL)
        return err_set(err, ERR_CONFLICT, 0, "the configuration has no section for %s", order->record.repo);
    if (order->action == EVENT_OPERATOR_RETRIGGER && policy->trigger == TRIGGER_NONE)
        return err_set(err, ERR_CONFLICT, 0,
                       "the label itself starts CI in %s, there is nothing to send: set it again",
                       order->record.repo);
    return ERR_OK;
}

/* ---- the order ---------------------------------------------------------------------------- */

static enum err_code make_event(struct order *order, struct err *err)
{
    struct event *event = &order->event;
    uint64_t random = 0;
    *event = (struct event){.action = order->action,
                            .received_ms = clock_now_ms(),
                            .key = order->record.key,
                            .installation = order->record.installation};
    memcpy(event->repo, order->record.repo, sizeof event->repo);
    name_user(event->sender.login);
    enum err_code code = find_commit(order, order->cli->arguments[1], &event->pr.head, err);
    if (code != ERR_OK)
        return code;
    /* Given twice at a time, the second finds that start repeated. */
    if (order->action == EVENT_OPERATOR_RETRIGGER)
        event->attempt = head_attempt(record_find_head(&order->record, &event->pr.head));
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return err_set(err, ERR_FATAL, 0, "no random number is to be had");
    snprintf(event->delivery, sizeof event->delivery, "operator-%s-%" PRId64 "-%016" PRIx64, order->word,
             event->received_ms, random);
    return ERR_OK;
}

static enum err_code give_order(struct order *order, uint64_t number, struct err *err)
{
    struct receipt receipt;
    enum err_code code = cli_read_record(order->gate.store, order->repo, number, &order->record, err);
    if (code == ERR_NOT_FOUND)
        err_set(err, ERR_NOT_FOUND, 0, "no webhook for %s has come in so far", order->cli->arguments[0]);
    if (code == ERR_OK)
        code = refuse_in_vain(order, err);
    if (code == ERR_OK)
        code = make_event(order, err);
    return code == ERR_OK ? inbox_put(&order->gate, &order->event, false, &receipt, err) : code;
}

/* ---- what comes of it ------------------------------------------------------------------------ */

static bool is_of_order(const struct order *order, const cJSON *item)
{
    return strcmp(report_text(item, "delivery"), order->event.delivery) == 0;
}

static const cJSON *list(const struct order *order, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(order->report, name);
}

/* Looks how far it has got. */
static enum err_code look(struct order *order, struct err *err)
{
    const cJSON *item;
    cJSON_Delete(order->report);
    order->report = NULL;
    order->decision = NULL;
    order->is_working = false;
    enum err_code code = report_pull(&order->gate, order->repo, order->event.key.number, &order->report, err);
    if (code != ERR_OK)
        return code;
    cJSON_ArrayForEach(item, list(order, "ledger"))
    {
        if (is_of_order(order, item) && strcmp(report_text(item, "kind"), "decision") == 0)
            order->decision = item;
    }
    cJSON_ArrayForEach(item, list(order, "intents")) order->is_working |= is_of_order(order, item);
    order->is_over = order->decision != NULL && !order->is_working;
    return ERR_OK;
}

/* It is put off: nobody knows for how long, and it is done by itself. */
static bool is_put_off(const struct order *order)
{
    int64_t now_ms = clock_now_ms();
    return gate_is_rate_blocked(&order->gate, now_ms) ||
           (report_number(order->report, "failures") > 0 &&
            report_number(order->report, "put_off_until") > now_ms);
}

/* What is due, unless a pool does it. */
static enum err_code work(struct order *order, int64_t waited_ms, struct err *err)
{
    bool is_alone = alive_count(order->gate.alive) <= 1;
    if (!order->works && !is_alone && waited_ms < PATIENCE_MS)
        return ERR_OK;
    if (!order->works) {
        enum err_code code = worker_open(&order->worker, &order->gate, err);
        if (code != ERR_OK)
            return code;
        order->works = true;
    }
    sweep_run(&order->worker);
    return ERR_OK;
}

static enum err_code wait_for_end(struct order *order, struct err *err)
{
    int64_t start_ms = clock_monotonic_ms();
    for (;;) {
        int64_t waited_ms = clock_monotonic_ms() - start_ms;
        enum err_code code = work(order, waited_ms, err);
        if (code == ERR_OK)
            code = look(order, err);
        if (code != ERR_OK || order->is_over || is_put_off(order) || waited_ms > WAIT_MS)
            return code;
        nanosleep(&(struct timespec){.tv_nsec = LOOK_EACH_MS * 1000000L}, NULL);
    }
}

/* ---- the verdict ------------------------------------------------------------------------------ */

struct verdict {
    const char *rule; /* of the decision; or the outcome of the action that starts CI */
    enum exit_status status;
    const char *text;
};

static const struct verdict of_rule[] = {
    {"already", EXIT_OK, "nothing to do: CI was started for this commit before"},
    {"rerun_same", EXIT_OK, "nothing to do: another re-run of the same start came first"},
    {"conflict", EXIT_OK, "approved: CI starts by itself once the conflict is resolved"},
    {"wait_budget", EXIT_OK, "approved: CI starts by itself when its turn in the budget has come"},
    {"closed", EXIT_FAILED, "refused: the pull request is closed"},
    {"operator_old", EXIT_FAILED, "refused: this commit is not the head"},
    {"rerun_old", EXIT_FAILED, "refused: this commit is not the head"},
    {"rerun_early", EXIT_FAILED,
     "refused: CI was never started for this commit; prgatectl approve does that"},
    {"rerun_budget", EXIT_FAILED,
     "refused: too many were started within the hour; the check says until when"},
    /* It was to be started, and there is no word of that: closing drops what is not done yet. */
    {"operator", EXIT_FAILED, "approved, and CI was not started: the pull request was closed before"},
    {"rerun", EXIT_FAILED, "CI was not started: the pull request was closed before"},
};

static const struct verdict of_start[] = {
    {"done", EXIT_OK, "CI was started"},
    {"nothing", EXIT_OK, "cleared: the label starts CI"},
    {"dry_run", EXIT_OK, "CI would have been started: this is a dry run"},
    {"unknown", EXIT_FAILED, "CI may have been started: the request went out, and no answer came back"},
    {"dead", EXIT_FAILED, "CI was not started: it was given up, see prgatectl dead"},
};

static const struct verdict *find(const struct verdict *verdicts, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(verdicts[i].rule, name) == 0)
            return &verdicts[i];
    return NULL;
}

static const char *outcome_of(const struct order *order, const char *action)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list(order, "ledger"))
    {
        if (is_of_order(order, item) && strcmp(report_text(item, "action"), action) == 0)
            return report_text(item, "outcome");
    }
    return "";
}

/* Where the label itself starts CI, it is the label's, unless that was there already. */
static const char *outcome_of_start(const struct order *order)
{
    const struct policy *policy = config_policy(order->cli->config, order->record.repo);
    const char *start = outcome_of(order, "trigger"), *label = outcome_of(order, "add_label");
    if (start[0] == '\0' || policy == NULL || policy->trigger != TRIGGER_NONE)
        return start;
    return label[0] == '\0' ? "nothing" : label;
}

static struct verdict judge(const struct order *order)
{
    static const struct verdict later = {
        "", EXIT_LATER, "stored, and not done yet: that comes by itself; see prgatectl explain"};
    const struct verdict *found;
    if (!order->is_over)
        return later;
    found = find(of_start, sizeof of_start / sizeof *of_start, outcome_of_start(order));
    if (found == NULL)
        found = find(of_rule, sizeof of_rule / sizeof *of_rule, report_text(order->decision, "rule"));
    if (found != NULL)
        return *found;
    return (struct verdict){"", EXIT_FAILED, report_text(order->decision, "sentence")};
}

static cJSON *describe(const struct order *order, const struct verdict *verdict)
{
    cJSON *object = cJSON_CreateObject(), *entries;
    const cJSON *item;
    cJSON_AddStringToObject(object, "command", order->word);
    cJSON_AddStringToObject(object, "repository", report_text(order->report, "repository"));
    cJSON_AddNumberToObject(object, "number", (double)order->event.key.number);
    cJSON_AddStringToObject(object, "sha", order->event.pr.head.hex);
    cJSON_AddStringToObject(object, "by", order->event.sender.login);
    cJSON_AddStringToObject(object, "delivery", order->event.delivery);
    cJSON_AddStringToObject(object, "rule", report_text(order->decision, "rule"));
    cJSON_AddStringToObject(object, "state", report_text(order->report, "state"));
    cJSON_AddStringToObject(object, "verdict", verdict->text);
    cJSON_AddNumberToObject(object, "status", verdict->status);
    entries = cJSON_AddArrayToObject(object, "ledger");
    cJSON_ArrayForEach(item, list(order, "ledger"))
    {
        if (is_of_order(order, item))
            cJSON_AddItemToArray(entries, cJSON_Duplicate(item, true));
    }
    return object;
}

static void print_entries(const struct order *order)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list(order, "ledger"))
    {
        if (!is_of_order(order, item))
            continue;
        fputs("  ", stdout);
        cli_print_entry(item);
    }
}

static enum exit_status tell(const struct order *order)
{
    struct verdict verdict = judge(order);
    if (order->cli->json) {
        cli_print_json(describe(order, &verdict));
        return verdict.status;
    }
    bool is_head = strcmp(report_text(order->report, "head"), order->event.pr.head.hex) == 0;
    printf("%s#%" PRIu64 ", commit %s%s\n", report_text(order->report, "repository"), order->event.key.number,
           order->event.pr.head.hex, is_head ? ", which is the head" : "");
    print_entries(order);
    printf("%s%s%s\n", cli_color(verdict.status == EXIT_OK ? COLOR_GOOD : COLOR_BAD), verdict.text,
           cli_color(COLOR_PLAIN));
    return verdict.status;
}

/* ---- the commands --------------------------------------------------------------------------------- */

static enum err_code run(struct order *order, uint64_t number, struct err *err)
{
    enum err_code code = cli_check_owner(order->cli->config->state_dir, err);
    if (code == ERR_OK)
        code = gate_open(&order->gate, order->cli->config, err);
    if (code == ERR_OK)
        code = give_order(order, number, err);
    return code == ERR_OK ? wait_for_end(order, err) : code;
}

static enum exit_status operate(const struct cli *cli, const char *word, enum event_action action)
{
    if (cli_awaits_app(cli->config))
        return EXIT_FAILED;
    struct order *order = mem_alloc(sizeof *order);
    *order = (struct order){.cli = cli, .word = word, .action = action};
    struct err err = {0};
    uint64_t number;
    record_init(&order->record);
    enum exit_status status = EXIT_USAGE;
    const char *named = cli->arguments[1]; /* of retrigger none */
    if (cli_split_name(cli->arguments[0], order->repo, &number) && (named == NULL || is_commit(named)))
        status = run(order, number, &err) == ERR_OK ? tell(order) : cli_complain(&err);
    worker_close(&order->worker);
    gate_close(&order->gate);
    record_release(&order->record);
    cJSON_Delete(order->report);
    free(order);
    return status;
}

enum exit_status cmd_approve(const struct cli *cli)
{
    return operate(cli, "approve", EVENT_OPERATOR_APPROVE);
}

enum exit_status cmd_retrigger(const struct cli *cli)
{
    return operate(cli, "retrigger", EVENT_OPERATOR_RETRIGGER);
}
