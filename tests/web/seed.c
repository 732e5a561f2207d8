/*
 * seed CONF COUNT: fills a state directory for the browser tests: COUNT open pull requests in three public repositories,
 * one in a private one, one with a life of its own, octo/widgets#7, and one in each state; see states.h. Everything
 * through the modules that prgate uses.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/clock.h"
#include "prgate/gate.h"
#include "prgate/ledger.h"
#include "prgate/tables.h"
#include "prgate/text.h"
#include "prgate/visible.h"
#include "states.h"

static const int64_t minute_ms = 60000;

static void stop(const struct err *err)
{
    fprintf(stderr, "seed: %s\n", err->text);
    exit(1);
}

void make_sha(struct sha *sha, uint64_t number)
{
    char hex[SHA_SIZE];
    uint64_t mixed = (number + 1) * 0x9e3779b97f4a7c15u;
    snprintf(hex, sizeof hex, "%016" PRIx64 "%016" PRIx64 "%08" PRIx32, mixed, mixed ^ 0x5bd1e9955bd1e995u,
             (uint32_t)(mixed >> 7));
    sha_parse(sha, hex);
}

/* ---- many ----------------------------------------------------------------------------- */

static const struct {
    uint64_t id;
    const char *name;
} repos[] = {{11, "octo/widgets"}, {12, "octo/gadgets"}, {13, "acme/rocket-science"}};

static const char *const titles[] = {
    "Fix a crash when the cache is empty",
    "Add a German translation",
    "Speed up parsing of large files",
    "Document the retry policy",
    "Do not leak a descriptor on time-out",
    "Update the build for clang 16",
    "Teach the scheduler about leap seconds",
    "Remove the deprecated option --fast",
    "Explain what happens on a full disk \u2013 and how to see it",
    "Bump libfoo from 1.2 to 1.3",
};
static const char *const authors[] = {"ann", "bob", "carla", "dependabot[bot]", "erik", "fatima"};

#define ONE_OF(list, n) ((list)[(n) % (sizeof(list) / sizeof *(list))])

struct many {
    uint64_t from, to;
    int64_t now_ms;
};

static void make_one(struct record *record, uint64_t n, int64_t now_ms)
{
    size_t repo = n % 3;
    record->key = (struct pr_key){repos[repo].id, 100 + n / 3};
    snprintf(record->repo, sizeof record->repo, "%s", repos[repo].name);
    snprintf(record->view.title, sizeof record->view.title, "%s", ONE_OF(titles, n * 7 + n / 3));
    snprintf(record->view.author.login, sizeof record->view.author.login, "%s", ONE_OF(authors, n * 5));
    record->view.updated_at = now_ms / 1000 - (int64_t)n;
    make_sha(&record->view.head, n);
    record_reserve_head(record);
    struct head *head =
        record_add_head(record, &record->view.head, now_ms - (int64_t)(n + 1) * 7 * minute_ms);
    if (n % 5 < 2) {
        head_set_ci(head, CI_STARTED, head->first_seen_ms + minute_ms);
        return;
    }
    static const enum wait_reason reasons[] = {WAIT_UNTRUSTED, WAIT_NO_LABEL, WAIT_DRAFT, WAIT_CONFLICT,
                                               WAIT_STALE_APPROVAL};
    head->check_reason = ONE_OF(reasons, n / 5);
    head->check = CHECK_AWAITING;
    record->view.draft = head->check_reason == WAIT_DRAFT;
    if (n % 997 == 2)
        head->check_reason = WAIT_BUDGET;
    if (n % 1499 == 3) {
        record->failures = 3;
        record->due_ms = now_ms + 4 * minute_ms;
    }
}

static enum err_code many_body(struct store_txn *txn, void *arg, struct err *err)
{
    const struct many *many = arg;
    enum err_code code = ERR_OK;
    for (uint64_t n = many->from; n < many->to && code == ERR_OK; n++) {
        struct record record;
        record_init(&record);
        make_one(&record, n, many->now_ms);
        code = table_put_record(txn, &record, err);
        record_release(&record);
    }
    return code;
}

/* ---- names, and one that is private ------------------------------------------------------ */

static enum err_code name_repo(struct store_txn *txn, const char *name, uint64_t id,
                               enum visibility visibility, struct err *err)
{
    struct event event = {.key = {.repo_id = id}, .visibility = visibility};
    enum err_code code = table_put_name(txn, name, id, err);
    return code == ERR_OK ? visible_note(txn, &event, err) : code;
}

static enum err_code names_body(struct store_txn *txn, void *arg, struct err *err)
{
    const int64_t *now_ms = arg;
    enum err_code code = name_repo(txn, "octo/secret", 14, VISIBILITY_PRIVATE, err);
    for (size_t i = 0; i < sizeof repos / sizeof *repos && code == ERR_OK; i++)
        code = name_repo(txn, repos[i].name, repos[i].id, VISIBILITY_PUBLIC, err);
    if (code == ERR_OK)
        code = name_repo(txn, "octo/states", STATES_REPO_ID, VISIBILITY_PUBLIC, err);
    if (code == ERR_OK)
        code = name_repo(txn, "gone/repo", GONE_REPO_ID, VISIBILITY_PUBLIC, err);
    if (code == ERR_OK)
        code = states_put(txn, *now_ms, err);
    struct record record;
    record_init(&record);
    make_one(&record, 1, *now_ms);
    record.key = (struct pr_key){14, 1};
    snprintf(record.repo, sizeof record.repo, "octo/secret");
    snprintf(record.view.title, sizeof record.view.title, "What nobody is to know");
    if (code == ERR_OK)
        code = table_put_record(txn, &record, err);
    record_release(&record);
    return code;
}

/* ---- one with a life ----------------------------------------------------------------------- */

struct life {
    struct store_txn *txn;
    struct record *record;
    struct err *err;
    int64_t now_ms;
    enum err_code code;
};

static void decide_it(struct life *life, enum event_action action, const char *sender, struct facts facts,
                      struct decision decision)
{
    static int count;
    struct event event = {.action = action, .pr = life->record->view};
    snprintf(event.sender.login, sizeof event.sender.login, "%s", sender);
    snprintf(event.delivery, sizeof event.delivery, "8d2f3c%02d-6b1e-11ee-8c99-0242ac120002", ++count);
    if (action == EVENT_LABELED)
        snprintf(event.label, sizeof event.label, "CICD");
    if (life->code == ERR_OK)
        life->code =
            ledger_add_decision(life->txn, life->record, &(struct ledger_decision){&event, &facts, &decision},
                                life->now_ms, life->err);
    life->now_ms += 400;
}

static void did(struct life *life, enum intent_kind kind, const char *outcome, const char *answer, int64_t ms)
{
    struct intent intent = {.kind = kind, .sha = life->record->view.head};
    if (life->code == ERR_OK)
        life->code =
            ledger_add_action(life->txn, life->record,
                              &(struct ledger_action){
                                  .intent = &intent, .outcome = outcome, .answer = answer, .duration_ms = ms},
                              life->now_ms, life->err);
    life->now_ms += ms + 100;
}

static struct head *push(struct life *life, uint64_t n)
{
    make_sha(&life->record->view.head, n);
    record_reserve_head(life->record);
    return record_add_head(life->record, &life->record->view.head, life->now_ms);
}

/* A stranger opens it, a maintainer approves, the stranger pushes once more. */
static void live(struct life *life)
{
    struct record *record = life->record;
    struct facts stranger = {.known = FACT_READ | FACT_AUTHOR, .author_why = "permission read"};
    struct facts approver = {.known = FACT_READ | FACT_IDENTITY | FACT_SENDER,
                             .sender_may_approve = true,
                             .sender_why = "permission maintain"};
    struct head *head = push(life, 70001);
    head->check_reason = WAIT_UNTRUSTED;
    stranger.read = approver.read = record->view;
    decide_it(life, EVENT_OPENED, "bob", stranger,
              (struct decision){.rule = RULE_WAIT_UNTRUSTED,
                                .intent_count = 1,
                                .intents = {{.kind = INTENT_CHECK_AWAITING}}});
    did(life, INTENT_CHECK_AWAITING, "done", "", 212);
    life->now_ms += 130 * minute_ms;
    head_set_ci(head, CI_STARTED, life->now_ms);
    head->approved = true;
    head->means = MEANS_LABEL;
    head->approved_at_ms = life->now_ms;
    snprintf(head->approver.login, sizeof head->approver.login, "tim");
    decide_it(life, EVENT_LABELED, "tim", approver,
              (struct decision){.rule = RULE_APPROVED,
                                .intent_count = 2,
                                .intents = {{.kind = INTENT_CHECK_DONE}, {.kind = INTENT_TRIGGER}}});
    did(life, INTENT_CHECK_DONE, "done", "", 187);
    did(life, INTENT_TRIGGER, "done", "", 341);
    life->now_ms += 45 * minute_ms;
    record->view.labelled = false;
    head = push(life, 70002);
    head->check_reason = WAIT_UNTRUSTED;
    stranger.read = record->view;
    decide_it(life, EVENT_SYNCHRONIZE, "bob", stranger,
              (struct decision){.rule = RULE_WAIT_UNTRUSTED,
                                .intent_count = 2,
                                .intents = {{.kind = INTENT_REMOVE_LABEL}, {.kind = INTENT_CHECK_AWAITING}}});
    did(life, INTENT_REMOVE_LABEL, "done", "", 164);
    did(life, INTENT_CHECK_AWAITING, "done", "", 203);
}

static const char hostile[] =
    "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp; \u202egnp.exe javascript:alert(3)";

static enum err_code life_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct record record;
    record_init(&record);
    record.key = (struct pr_key){11, 7};
    snprintf(record.repo, sizeof record.repo, "octo/widgets");
    snprintf(record.view.title, sizeof record.view.title, "Retry the upload when the connection is reset");
    snprintf(record.view.author.login, sizeof record.view.author.login, "bob");
    struct life life = {txn, &record, err, *(int64_t *)arg - 200 * minute_ms, ERR_OK};
    live(&life);
    if (life.code == ERR_OK)
        life.code = table_put_record(txn, &record, err);
    /* Another one's title wants to be more than a title; and something of it was given up. */
    record.key.number = 8;
    snprintf(record.view.title, sizeof record.view.title, "%s", hostile);
    struct dead_letter letter = {
        .intent = {.kind = INTENT_TRIGGER, .sha = record.view.head, .attempts = 9, .seq = 4},
        .died_ms = life.now_ms};
    snprintf(letter.reason, sizeof letter.reason, "HTTP 422: Unexpected <b>inputs</b> provided: [\"key\"]");
    if (life.code == ERR_OK)
        life.code = table_put_dead(txn, &record.key, &letter, err);
    if (life.code == ERR_OK)
        life.code = table_put_record(txn, &record, err);
    record_release(&record);
    return life.code;
}

int main(int argc, char **argv)
{
    struct config *config;
    struct gate gate;
    struct err err = {0};
    uint64_t count;
    if (argc != 3 || !text_to_u64(argv[2], 1000000, &count)) {
        fputs("usage: seed CONF COUNT\n", stderr);
        return 2;
    }
    if (config_open(&config, argv[1], &err) != ERR_OK || gate_open(&gate, config, &err) != ERR_OK)
        stop(&err);
    int64_t now_ms = clock_now_ms();
    if (store_txn(gate.store, names_body, &now_ms, &err) != ERR_OK ||
        store_txn(gate.store, life_body, &now_ms, &err) != ERR_OK)
        stop(&err);
    for (struct many many = {.now_ms = now_ms}; many.from < count; many.from = many.to) {
        many.to = many.from + 250 < count ? many.from + 250 : count;
        if (store_txn(gate.store, many_body, &many, &err) != ERR_OK)
            stop(&err);
    }
    metrics_set(gate.metrics, METRIC_RATE_REMAINING, 4731);
    metrics_set(gate.metrics, METRIC_RATE_RESET, now_ms / 1000 + 1860);
    gate_close(&gate);
    config_close(config);
    return 0;
}
