/*
 * prgatectl explain: why is CI not running? What the pull request waits for, who can do what next, what stands in the
 * way here, and the last decisions.
 */
#include <inttypes.h>
#include <string.h>

#include "cli.h"
#include "prgate/alive.h"
#include "prgate/buf.h"
#include "prgate/clock.h"
#include "prgate/gate.h"
#include "prgate/narrate.h"
#include "prgate/report.h"
#include "prgate/text.h"
#include "prgate/wording.h"

enum { DECISIONS_SHOWN = 5 };

struct explanation {
    const struct config *config;
    const struct policy *policy; /* NULL: the repository has no section any more */
    const cJSON *report;         /* with what narrate.h adds */
    const struct record *record;
    const struct head *head; /* NULL: no commit was decided on yet */
    int64_t rate_blocked_ms;
    bool pool_runs;
    cJSON *next, *obstacles, *decisions; /* each a list */
};

/* The check's words, and next.h's, are Markdown. */
static void add_plain(struct buf *out, const char *markdown)
{
    for (const char *at = markdown; *at != '\0'; at++)
        if (*at != '*' && *at != '`')
            buf_add(out, at, 1);
}

/* ---- how it stands ------------------------------------------------------------------------- */

static const char *of_ci(enum ci_state ci)
{
    switch (ci) {
    case CI_DECIDED:
        return "CI is about to be started";
    case CI_SENT:
        return "CI is being started, and no answer is known yet";
    case CI_STARTED:
        return "CI was started";
    case CI_UNKNOWN:
        return "CI may have been started: the request went out, and no answer came back";
    case CI_REFUSED:
        return "CI was not started: the CI system refused";
    case CI_NONE:
    case CI_STATE_END:
        break;
    }
    return "CI was not started";
}

/* `cleared`: why CI may run; stays empty while it may not. */
static void describe(const struct explanation *e, struct buf *answer, struct buf *cleared)
{
    struct buf title, summary;
    buf_init(&title);
    buf_init(&summary);
    if (e->record->view.closed) {
        buf_adds(answer, "the pull request is closed: no CI is started any more");
    } else if (e->head == NULL) {
        buf_adds(answer, "nothing was decided for its head yet");
    } else if (e->policy == NULL) {
        buf_adds(answer, of_ci(e->head->ci));
    } else if (head_is_triggered(e->head) && e->head->check_reason == WAIT_NOTHING) {
        wording_done(e->policy, e->head, &title, &summary);
        buf_adds(answer, of_ci(e->head->ci));
        add_plain(cleared, buf_text(&summary));
    } else {
        wording_awaiting(e->policy, e->head, e->head->check_reason, &title, &summary);
        add_plain(answer, buf_text(&title));
    }
    buf_release(&title);
    buf_release(&summary);
}

/* As the status page has it, without the emphasis. */
static cJSON *plain_next(const cJSON *report)
{
    cJSON *all = cJSON_CreateArray();
    const cJSON *step;
    struct buf what;
    buf_init(&what);
    cJSON_ArrayForEach(step, cJSON_GetObjectItemCaseSensitive(report, "next"))
    {
        cJSON *plain = cJSON_CreateObject();
        buf_clear(&what);
        add_plain(&what, report_text(step, "what"));
        cJSON_AddStringToObject(plain, "what", buf_text(&what));
        cJSON_AddStringToObject(plain, "who", report_text(step, "who"));
        cJSON_AddItemToArray(all, plain);
    }
    buf_release(&what);
    return all;
}

/* ---- what stands in the way here ------------------------------------------------------------------ */

static void add_obstacle(struct explanation *e, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void add_obstacle(struct explanation *e, const char *format, ...)
{
    struct buf text;
    va_list args;
    buf_init(&text);
    va_start(args, format);
    buf_addv(&text, format, args);
    va_end(args);
    cJSON_AddItemToArray(e->obstacles, cJSON_CreateString(buf_text(&text)));
    buf_release(&text);
}

static void add_queue(struct explanation *e, const char *list, const char *what, const char *name)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(e->report, list))
    {
        int64_t attempts = report_number(item, "attempts");
        if (attempts > 0)
            add_obstacle(e, "%s: %s of %.10s, tried %" PRId64 " times", what, report_text(item, name),
                         report_text(item, "sha"), attempts);
        else
            add_obstacle(e, "%s: %s of %.10s", what, report_text(item, name), report_text(item, "sha"));
    }
}

static void add_given_up(struct explanation *e)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(e->report, "dead"))
        add_obstacle(e, "given up: %s of %.10s: %s; see prgatectl dead", report_text(item, "action"),
                     report_text(item, "sha"), report_text(item, "reason"));
}

static bool has_items(const cJSON *report, const char *list)
{
    return cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(report, list)) > 0;
}

static void find_obstacles(struct explanation *e)
{
    char time[TEXT_TIME_SIZE];
    int64_t now_ms = clock_now_ms();
    bool waits = has_items(e->report, "deliveries") || has_items(e->report, "intents");
    add_queue(e, "deliveries", "not decided yet", "event");
    add_queue(e, "intents", "not done yet", "action");
    add_given_up(e);
    if (waits && !e->pool_runs)
        add_obstacle(e, "no process of a pool is running: start it, or, with CGI, see to it that cron runs "
                        "prgatectl drain");
    if (waits && e->record->due_ms > now_ms) {
        text_from_time(e->record->due_ms / 1000, time);
        if (e->record->failures > 0)
            add_obstacle(e, "put off until %s, after %" PRIu32 " failures in a row", time,
                         e->record->failures);
        else
            add_obstacle(e, "put off until %s, when more is known", time);
    }
    if (e->rate_blocked_ms > now_ms) {
        text_from_time(e->rate_blocked_ms / 1000, time);
        add_obstacle(e, "GitHub's rate limit is used up: nothing is asked or done before %s", time);
    }
    if (e->config->dry_run)
        add_obstacle(e, "dry_run is set: everything is decided, and nothing is done on GitHub");
}

/* ---- the last decisions ---------------------------------------------------------------------------- */

static cJSON *last_decisions(const cJSON *report)
{
    cJSON *all = cJSON_CreateArray();
    const cJSON *entry;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(report, "ledger"))
    {
        if (strcmp(report_text(entry, "kind"), "decision") != 0)
            continue;
        cJSON_AddItemToArray(all, cJSON_Duplicate(entry, true));
        if (cJSON_GetArraySize(all) > DECISIONS_SHOWN)
            cJSON_DeleteItemFromArray(all, 0);
    }
    return all;
}

/* Why somebody counts as trusted or not, as the decision had it. */
static void print_facts(const cJSON *entry)
{
    static const struct {
        const char *why, *who;
    } facts[] = {{"author_why", "author"}, {"pusher_why", "who pushed"}, {"sender_why", "sender"}};
    const cJSON *known = cJSON_GetObjectItemCaseSensitive(entry, "facts");
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        if (report_text(known, facts[i].why)[0] == '\0')
            continue;
        printf("      %s: ", facts[i].who);
        cli_print(report_text(known, facts[i].why));
        putchar('\n');
    }
}

/* ---- the command -------------------------------------------------------------------------------------- */

static void print_next(const cJSON *next)
{
    const cJSON *step;
    puts("What has to happen next, and who can do it:");
    cJSON_ArrayForEach(step, next)
    {
        fputs("  ", stdout);
        cli_print(report_text(step, "what"));
        fputs("\n      who: ", stdout);
        cli_print(report_text(step, "who"));
        putchar('\n');
    }
}

static void print_obstacles(const cJSON *obstacles)
{
    const cJSON *item;
    if (cJSON_GetArraySize(obstacles) > 0)
        puts("What stands in the way here:");
    cJSON_ArrayForEach(item, obstacles)
    {
        printf("  %s", cli_color(COLOR_WAITING));
        cli_print(item->valuestring);
        printf("%s\n", cli_color(COLOR_PLAIN));
    }
}

static void print_text(const struct explanation *e, const char *answer, const char *cleared)
{
    const cJSON *item;
    const char *state = report_text(e->report, "state");
    printf("%s%s#%" PRIu64 "%s, ", cli_color(COLOR_BOLD), e->record->repo, e->record->key.number,
           cli_color(COLOR_PLAIN));
    printf("commit %.10s: %s", e->record->view.head.hex, cli_color(cli_color_of_state(state)));
    cli_print(answer);
    printf("%s\n", cli_color(COLOR_PLAIN));
    if (cleared[0] != '\0') {
        printf("  ");
        cli_print(cleared);
        putchar('\n');
    }
    print_next(e->next);
    print_obstacles(e->obstacles);
    puts("The last decisions:");
    cJSON_ArrayForEach(item, e->decisions)
    {
        fputs("  ", stdout);
        cli_print_entry(item);
        print_facts(item);
    }
}

static void print_explanation(struct explanation *e, bool json)
{
    struct buf answer, cleared;
    buf_init(&answer);
    buf_init(&cleared);
    e->obstacles = cJSON_CreateArray();
    describe(e, &answer, &cleared);
    find_obstacles(e);
    e->next = plain_next(e->report);
    e->decisions = last_decisions(e->report);
    if (json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "repository", e->record->repo);
        cJSON_AddNumberToObject(object, "number", (double)e->record->key.number);
        cJSON_AddStringToObject(object, "head", e->record->view.head.hex);
        cJSON_AddStringToObject(object, "state", report_text(e->report, "state"));
        cJSON_AddStringToObject(object, "waits_for", report_text(e->report, "waits_for"));
        cJSON_AddStringToObject(object, "answer", buf_text(&answer));
        cJSON_AddStringToObject(object, "cleared", buf_text(&cleared));
        cJSON_AddItemToObject(object, "next", e->next);
        cJSON_AddItemToObject(object, "obstacles", e->obstacles);
        cJSON_AddItemToObject(object, "decisions", e->decisions);
        cli_print_json(object);
    } else {
        print_text(e, buf_text(&answer), buf_text(&cleared));
        cJSON_Delete(e->next);
        cJSON_Delete(e->obstacles);
        cJSON_Delete(e->decisions);
    }
    buf_release(&answer);
    buf_release(&cleared);
}

enum exit_status cmd_explain(const struct cli *cli)
{
    char repo[REPO_NAME_SIZE];
    uint64_t number;
    if (!cli_split_name(cli->arguments[0], repo, &number))
        return EXIT_USAGE;
    struct gate gate = {0};
    struct err err = {0};
    struct record record;
    cJSON *report = NULL;
    record_init(&record);
    /* Before this process is one itself that has the state directory open. */
    bool pool_runs = alive_refuse_pool(cli->config->state_dir, &err) != ERR_OK;
    enum err_code code = gate_open(&gate, cli->config, &err);
    if (code == ERR_OK)
        code = report_pull(&gate, repo, number, &report, &err);
    if (code == ERR_OK)
        code = cli_read_record(gate.store, repo, number, &record, &err);
    if (code == ERR_NOT_FOUND)
        err_set(&err, ERR_NOT_FOUND, 0, "no webhook for %s has come in so far", cli->arguments[0]);
    if (code == ERR_OK) {
        struct explanation e = {.config = cli->config,
                                .policy = config_policy(cli->config, record.repo),
                                .report = report,
                                .record = &record,
                                .head = record_find_head(&record, &record.view.head),
                                .rate_blocked_ms = metrics_get(gate.metrics, METRIC_RATE_BLOCKED_MS),
                                .pool_runs = pool_runs};
        narrate_pull(report, &(struct outlook){.policy = e.policy,
                                               .now_ms = clock_now_ms(),
                                               .blocked_until_ms = e.rate_blocked_ms,
                                               .dry_run = cli->config->dry_run});
        print_explanation(&e, cli->json);
    }
    cJSON_Delete(report);
    record_release(&record);
    gate_close(&gate);
    return code == ERR_OK ? EXIT_OK : cli_complain(&err);
}
