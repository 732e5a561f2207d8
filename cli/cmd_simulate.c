/*
 * prgatectl simulate: what a webhook would lead to, offline and without writing anything.
 *
 * The payload is parsed as the door does it. The decision is made on what the store knows of the pull request, if there
 * is a store and it does, else on nothing; read in a transaction that is never committed. GitHub is not asked: what it
 * would say is assumed as in a dry run without credentials, or as the options say.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "prgate/budget.h"
#include "prgate/buf.h"
#include "prgate/clock.h"
#include "prgate/decide.h"
#include "prgate/event.h"
#include "prgate/gate.h"
#include "prgate/heads.h"
#include "prgate/tables.h"
#include "prgate/trust.h"
#include "prgate/wording.h"

enum { PAYLOAD_MAX = 25 * 1024 * 1024 };

struct simulation {
    const struct cli *cli;
    const struct policy *policy;
    struct event event;
    struct gate gate; /* .store NULL: there is none */
    struct record record;
    struct record after; /* as the decision leaves it */
    bool known;          /* the store had a record */
    struct facts facts;
    struct decision decision;
};

/* ---- the payload -------------------------------------------------------------------------------- */

static enum err_code read_stream(FILE *in, const char *path, struct buf *out, struct err *err)
{
    size_t got;
    do {
        got = fread(buf_reserve(out, BUFSIZ), 1, BUFSIZ, in);
        out->len += got;
    } while (got > 0 && out->len <= PAYLOAD_MAX);
    if (ferror(in))
        return err_set(err, ERR_REJECT, errno, "%s cannot be read: %s", path, strerror(errno));
    if (out->len > PAYLOAD_MAX)
        return err_set(err, ERR_REJECT, 0, "%s is over 25 MiB, more than GitHub sends", path);
    return ERR_OK;
}

static enum err_code read_payload(const char *path, struct buf *out, struct err *err)
{
    if (strcmp(path, "-") == 0)
        return read_stream(stdin, "standard input", out, err);
    FILE *in = fopen(path, "re");
    if (in == NULL)
        return err_set(err, ERR_REJECT, errno, "%s cannot be opened: %s", path, strerror(errno));
    enum err_code code = read_stream(in, path, out, err);
    fclose(in);
    return code;
}

/* ---- what is known ------------------------------------------------------------------------------ */

/* ERR_CONFLICT stands for success: so the transaction is given up, with whatever was written in it. */
static enum err_code look_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct simulation *s = arg;
    enum err_code code = table_get_record(txn, &s->event.key, STORE_READ, &s->record, err);
    s->known = code == ERR_OK;
    if (code == ERR_OK)
        code = heads_recall(txn, &s->record, &s->event.pr.head, err);
    if (code == ERR_OK)
        code = heads_recall(txn, &s->record, &s->record.view.head, err);
    return code == ERR_OK || code == ERR_NOT_FOUND ? ERR_CONFLICT : code;
}

static enum err_code look(struct simulation *s, struct err *err)
{
    const struct config *config = s->cli->config;
    enum err_code code = ERR_OK;
    if (store_is_there(config->state_dir)) {
        code = cli_check_owner(config->state_dir, err);
        if (code == ERR_OK)
            code = gate_open(&s->gate, config, err);
        if (code == ERR_OK && (code = store_txn(s->gate.store, look_body, s, err)) == ERR_CONFLICT)
            code = ERR_OK;
    }
    s->record.key = s->event.key;
    if (s->record.repo[0] == '\0')
        memcpy(s->record.repo, s->event.repo, sizeof s->record.repo);
    return code;
}

/* ---- what is assumed ------------------------------------------------------------------------------ */

/* Facts are learnt from a copy of the event, and of the policy, that say what the options do. */
static void assume(const struct simulation *s, struct event *event, struct policy *policy, char *names[2])
{
    names[0] = event->pr.author.login;
    names[1] = event->sender.login;
    if (s->cli->trusted == ASSUMED_YES) {
        policy->trusted_users = (struct string_list){.items = names, .count = 2};
    } else if (s->cli->trusted == ASSUMED_NO) {
        policy->trusted_users = policy->trusted_bots = (struct string_list){0};
        event->association = ASSOCIATION_OUTSIDER;
    }
    /* Whoever is not the author, and sets a label, may: that is the assumption. */
    if (s->cli->may_approve == ASSUMED_YES) {
        event->sender.id = event->pr.author.id + 1;
    } else if (s->cli->may_approve == ASSUMED_NO) {
        event->sender.id = event->pr.author.id;
        event->association = ASSOCIATION_OUTSIDER;
    }
}

static enum err_code learn(struct simulation *s, struct err *err)
{
    struct config offline = *s->cli->config;
    struct event event = s->event;
    struct policy policy = *s->policy;
    struct worker worker = {.gate = &s->gate};
    char *names[2];
    offline.app_id = 0;
    offline.app_key_pem = NULL;
    offline.token = NULL;
    offline.dry_run = true;
    s->gate.config = &offline;
    assume(s, &event, &policy, names);
    enum err_code code = http_open(&worker.http, offline.request_timeout_s, err);
    if (code == ERR_OK)
        code = github_open(&worker.github, &offline, worker.http, NULL, err);
    if (code == ERR_OK) {
        github_use(worker.github, event.repo, 0);
        code = trust_learn(&worker, &policy, &s->record, &event, &s->facts, err);
    }
    worker_close(&worker);
    s->gate.config = s->cli->config;
    return code;
}

/* ---- the decision ------------------------------------------------------------------------------------ */

static void start_anew(struct simulation *s)
{
    record_copy(&s->after, &s->record);
    record_reserve_head(&s->after);
    s->decision = (struct decision){.intent_count = 0};
}

/* Within budgets, whose counts are in the store: given up as in look_body(). */
static enum err_code decide_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct simulation *s = arg;
    start_anew(s);
    struct budget_case what = {.policy = s->policy,
                               .record = &s->after,
                               .event = &s->event,
                               .facts = &s->facts,
                               .now_ms = clock_now_ms(),
                               .decision = &s->decision};
    enum err_code code = budget_decide(txn, &what, err);
    return code == ERR_OK ? ERR_CONFLICT : code;
}

static enum err_code decide_it(struct simulation *s, struct err *err)
{
    if (s->gate.store == NULL) {
        start_anew(s);
        decide(&s->after, &s->event, &s->facts, clock_now_ms(), &s->decision);
        return ERR_OK;
    }
    enum err_code code = store_txn(s->gate.store, decide_body, s, err);
    return code == ERR_CONFLICT ? ERR_OK : code;
}

/* ---- showing ---------------------------------------------------------------------------------------- */

static void add_words(const struct simulation *s, const struct intent *intent, struct buf *title)
{
    struct buf summary;
    const struct head *head = record_find_head(&s->after, &intent->sha);
    buf_init(&summary);
    if (intent->kind == INTENT_CHECK_AWAITING)
        wording_awaiting(s->policy, head, intent->reason, title, &summary);
    else if (intent->kind == INTENT_CHECK_DONE && head != NULL)
        wording_done(s->policy, head, title, &summary);
    buf_release(&summary);
}

static cJSON *describe_facts(const struct facts *facts)
{
    cJSON *object = cJSON_CreateObject();
    if (facts->known & FACT_AUTHOR)
        cJSON_AddStringToObject(object, "author", facts->author_why);
    if (facts->known & FACT_PUSHER)
        cJSON_AddStringToObject(object, "pusher", facts->pusher_why);
    if (facts->known & FACT_SENDER)
        cJSON_AddStringToObject(object, "sender", facts->sender_why);
    return object;
}

static cJSON *describe(const struct simulation *s)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "repository", s->event.repo);
    cJSON_AddNumberToObject(object, "number", (double)s->event.key.number);
    cJSON_AddStringToObject(object, "event", event_action_name(s->event.action));
    cJSON_AddBoolToObject(object, "known", s->known);
    cJSON_AddStringToObject(object, "rule", rule_name(s->decision.rule));
    cJSON_AddStringToObject(object, "sentence", rule_sentence(s->decision.rule));
    cJSON_AddStringToObject(object, "state", record_state_name(record_state(&s->after)));
    cJSON_AddItemToObject(object, "facts", describe_facts(&s->facts));
    cJSON *actions = cJSON_AddArrayToObject(object, "actions");
    for (unsigned i = 0; i < s->decision.intent_count; i++) {
        const struct intent *intent = &s->decision.intents[i];
        struct buf title;
        cJSON *action = cJSON_CreateObject();
        buf_init(&title);
        add_words(s, intent, &title);
        cJSON_AddStringToObject(action, "action", intent_kind_name(intent->kind));
        cJSON_AddStringToObject(action, "sha", intent->sha.hex);
        cJSON_AddStringToObject(action, "says", buf_text(&title));
        cJSON_AddItemToArray(actions, action);
        buf_release(&title);
    }
    return object;
}

static void print_text(const cJSON *object)
{
    const cJSON *item;
    printf("%s#%.0f, %s, ", cJSON_GetObjectItem(object, "repository")->valuestring,
           cJSON_GetObjectItem(object, "number")->valuedouble,
           cJSON_GetObjectItem(object, "event")->valuestring);
    puts(cJSON_IsTrue(cJSON_GetObjectItem(object, "known")) ? "decided on what the store knows of it"
                                                            : "of which nothing is known");
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(object, "facts"))
    {
        printf("  %s: ", item->string);
        cli_print(item->valuestring);
        putchar('\n');
    }
    printf("%s%s%s: %s\n", cli_color(COLOR_BOLD), cJSON_GetObjectItem(object, "rule")->valuestring,
           cli_color(COLOR_PLAIN), cJSON_GetObjectItem(object, "sentence")->valuestring);
    int number = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(object, "actions"))
    {
        const char *says = cJSON_GetObjectItem(item, "says")->valuestring;
        printf("  %d. %s %.10s%s", ++number, cJSON_GetObjectItem(item, "action")->valuestring,
               cJSON_GetObjectItem(item, "sha")->valuestring, says[0] == '\0' ? "" : ": ");
        cli_print(says);
        putchar('\n');
    }
    if (number == 0)
        puts("  nothing is done");
}

/* What the door answers without a decision. */
static enum exit_status say_ignored(const struct cli *cli, const char *why)
{
    cJSON *object = cJSON_CreateObject();
    struct buf sentence;
    cJSON_AddStringToObject(object, "ignored", why);
    buf_init(&sentence);
    buf_adds(&sentence, "ignored: ");
    buf_adds(&sentence, why);
    cli_print_done(cli, object, buf_text(&sentence));
    buf_release(&sentence);
    return EXIT_OK;
}

/* ---- the command ------------------------------------------------------------------------------------- */

static enum err_code simulate(struct simulation *s, struct err *err)
{
    enum err_code code = look(s, err);
    if (code == ERR_OK)
        code = learn(s, err);
    if (code == ERR_OK)
        code = decide_it(s, err);
    if (code != ERR_OK)
        return code;
    cJSON *object = describe(s);
    if (s->cli->json) {
        cli_print_json(object);
    } else {
        print_text(object);
        cJSON_Delete(object);
    }
    return ERR_OK;
}

static enum err_code parse(struct simulation *s, const char *name, const struct buf *payload, struct err *err)
{
    enum err_code code = event_parse(&s->event, name, payload->data, payload->len, s->cli->config, err);
    if (code == ERR_REJECT) {
        struct err why = *err;
        return err_set(err, code, 0, "%s: %s; the webhook would be refused with 400", s->cli->arguments[1],
                       why.text);
    }
    s->event.received_ms = clock_now_ms();
    strcpy(s->event.delivery, "simulated");
    s->policy = config_policy(s->cli->config, s->event.repo);
    return code;
}

enum exit_status cmd_simulate(const struct cli *cli)
{
    const char *name = cli->arguments[0];
    struct simulation s = {.cli = cli};
    struct err err = {0};
    struct buf payload;
    enum exit_status status = EXIT_OK;
    if (event_changes_trust(name))
        return say_ignored(cli, "no decision: what GitHub said of somebody's rights is asked anew");
    if (!event_is_of_concern(name))
        return say_ignored(cli, "an event of no concern");
    buf_init(&payload);
    record_init(&s.record);
    record_init(&s.after);
    enum err_code code = read_payload(cli->arguments[1], &payload, &err);
    if (code == ERR_OK)
        code = parse(&s, name, &payload, &err);
    if (code == ERR_NOT_FOUND)
        status = say_ignored(cli, err.text);
    else if (code == ERR_OK)
        code = simulate(&s, &err);
    if (code != ERR_OK && code != ERR_NOT_FOUND)
        status = cli_complain(&err);
    if (s.gate.config != NULL)
        gate_close(&s.gate);
    record_release(&s.record);
    record_release(&s.after);
    buf_release(&payload);
    return status;
}
