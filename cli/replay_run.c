#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/clock.h"
#include "prgate/drain.h"
#include "prgate/inbox.h"
#include "prgate/report.h"
#include "prgate/sweep.h"
#include "prgate/tables.h"
#include "prgate/text.h"
#include "replay.h"

enum { REST_MAX = 1000 /* rounds in which a gate that does come to rest has long done so */ };

void outcome_init(struct outcome *outcome)
{
    buf_init(&outcome->all);
    buf_init(&outcome->relied);
    buf_init(&outcome->wrong);
}

void outcome_release(struct outcome *outcome)
{
    buf_release(&outcome->all);
    buf_release(&outcome->relied);
    buf_release(&outcome->wrong);
}

/* ---- one run ---- */

struct look {
    struct pr_key pr;
    struct record record;
    bool waits; /* it has a delivery or an intent */
};

static enum err_code look_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct look *look = arg;
    struct event event;
    struct intent intent;
    uint64_t seq = 0;
    look->waits = false;
    enum err_code code = table_get_record(txn, &look->pr, STORE_READ, &look->record, err);
    if (code != ERR_OK)
        return code;
    code = table_next_event(txn, &look->pr, &seq, &event, err);
    seq = 0;
    if (code == ERR_NOT_FOUND)
        code = table_next_intent(txn, &look->pr, &seq, &intent, err);
    look->waits = code == ERR_OK;
    return code == ERR_NOT_FOUND ? ERR_OK : code;
}

/* ERR_NOT_FOUND: no delivery has come so far. *look must be initialised, and its record released. */
static enum err_code look_at(struct replay *replay, struct look *look, struct err *err)
{
    look->pr =
        (struct pr_key){.repo_id = replay->world.recording->key.repo_id, .number = replay->world.number};
    return store_txn(replay->gate.store, look_body, look, err);
}

/* Works off what was put off and is due by `until_ms`, when its time comes. */
static enum err_code work_until(struct replay *replay, int64_t until_ms, struct err *err)
{
    struct look look = {0};
    enum err_code code = ERR_OK;
    for (int round = 0; code == ERR_OK; round++) {
        code = look_at(replay, &look, err);
        if (code != ERR_OK || !look.waits || look.record.due_ms > until_ms)
            break;
        if (round == REST_MAX) {
            code = err_set(err, ERR_FATAL, 0, "the gate does not come to rest: %d attempts", REST_MAX);
            break;
        }
        world_advance(&replay->world, look.record.due_ms);
        struct claim claim;
        struct pr_key pr = look.pr;
        if (!sweep_next(&replay->gate, &pr, &claim))
            code = err_set(err, ERR_FATAL, 0, "work is due, and its claim cannot be taken");
        else
            drain_run(&replay->worker, &pr, &claim);
    }
    record_release(&look.record);
    if (code != ERR_NOT_FOUND)
        return code;
    *err = (struct err){0}; /* nothing has come so far */
    return ERR_OK;
}

/* An id of full length loses its tail, never what tells the copies apart. */
static void name_copy(char out[DELIVERY_SIZE], const char *delivery, unsigned copy)
{
    struct buf name;
    buf_init(&name);
    if (copy > 0)
        buf_addf(&name, "again%u-", copy);
    buf_adds(&name, delivery);
    text_copy_cut(out, DELIVERY_SIZE, buf_text(&name));
    buf_release(&name);
}

static enum err_code put(struct replay *replay, struct event *event, struct claim *claim, bool *claimed,
                         struct err *err)
{
    struct receipt receipt;
    event->received_ms = clock_now_ms();
    enum err_code code = inbox_put(&replay->gate, event, true, &receipt, err);
    if (code != ERR_OK || !receipt.claimed)
        return code;
    *claim = receipt.claim;
    *claimed = true;
    return ERR_OK;
}

/* Puts all steps of one time; returns how many. */
static enum err_code deliver(struct replay *replay, const struct schedule *schedule, size_t *at,
                             struct err *err)
{
    struct world *world = &replay->world;
    const struct recording *recording = world->recording;
    struct pr_key pr = {.repo_id = recording->key.repo_id, .number = world->number};
    struct claim claim;
    bool claimed = false;
    int64_t now = schedule->steps[*at].at_ms;
    enum err_code code = ERR_OK;
    world_advance(world, now);
    for (; code == ERR_OK && *at < schedule->count && schedule->steps[*at].at_ms == now; ++*at) {
        const struct step *step = &schedule->steps[*at];
        struct event event = recording->events[step->event].event;
        event.key.number = world->number;
        if (event_shows_pull(&event))
            event.pr.labelled = world->label_at[step->event];
        name_copy(event.delivery, recording->events[step->event].event.delivery, step->copy);
        code = put(replay, &event, &claim, &claimed, err);
    }
    if (claimed)
        drain_run(&replay->worker, &pr, &claim);
    return code;
}

/* What the gate's own changes of the label made GitHub send comes last; it may lead to more. */
static enum err_code deliver_echoes(struct replay *replay, struct err *err)
{
    struct pr_key pr = {.repo_id = replay->world.recording->key.repo_id, .number = replay->world.number};
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < replay->world.echo_count && code == ERR_OK; i++) {
        struct event event = replay->world.echoes[i];
        struct claim claim;
        bool claimed = false;
        if (i == REST_MAX)
            return err_set(err, ERR_FATAL, 0, "the gate does not stop changing the label");
        snprintf(event.delivery, sizeof event.delivery, "echo-%zu", i + 1);
        code = put(replay, &event, &claim, &claimed, err);
        if (claimed)
            drain_run(&replay->worker, &pr, &claim);
        if (code == ERR_OK)
            code = work_until(replay, INT64_MAX, err);
    }
    return code;
}

/* ---- what came of it ---- */

static const char *yes_no(bool yes)
{
    return yes ? "yes" : "no";
}

static int by_sha(const void *a, const void *b)
{
    return strcmp(((const struct head *)a)->sha.hex, ((const struct head *)b)->sha.hex);
}

static unsigned started(const struct world *world, const struct sha *sha)
{
    for (size_t i = 0; i < world->trigger_count; i++)
        if (sha_equal(&world->triggers[i].sha, sha))
            return world->triggers[i].count;
    return 0;
}

static const char *check_of(struct world *world, const struct sha *sha)
{
    const struct world_check *check = world_find_check(world, sha);
    if (check == NULL)
        return "none";
    return check->completed ? "done" : check->title;
}

/* A commit's line. Who approved, and other flags, count only while it is not triggered: nothing asks afterwards. */
static void tell_head(struct world *world, const struct head *head, struct buf *out)
{
    buf_addf(out, "commit %.12s: ci %s, started %u times, check \"%s\"", head->sha.hex,
             ci_state_name(head->ci), started(world, &head->sha), check_of(world, &head->sha));
    if (!head_is_triggered(head))
        buf_addf(out, ", waits for %s, allowed by %s", wait_reason_name(head->check_reason),
                 head->approved        ? "an approval"
                 : head->label_granted ? "the label"
                                       : "nobody");
    buf_addc(out, '\n');
}

/* Those about a label that was taken off depend on whether it was still there: see "What the rules leave open". */
static size_t lasting_comments(const struct world *world)
{
    size_t count = 0;
    for (size_t i = 0; i < world->comment_count; i++)
        count += strstr(world->comments[i], "<!-- prgate:look_again:") == NULL &&
                 strstr(world->comments[i], "<!-- prgate:not_approver:") == NULL;
    return count;
}

static void tell_all(struct world *world, struct record *record, struct buf *out)
{
    struct snapshot view = world_view(world);
    buf_addf(out, "state: %s\n", record_state_name(record_state(record)));
    buf_addf(out, "head: %.12s\n", view.head.hex);
    buf_addf(out, "label: %s\n", view.labelled ? "on" : "off");
    buf_addf(out, "comments: %zu\n", lasting_comments(world));
    buf_addf(out, "record: head %.12s, draft %s, closed %s, label %s\n", record->view.head.hex,
             yes_no(record->view.draft), yes_no(record->view.closed), record->view.labelled ? "on" : "off");
    buf_addf(out, "openings: opened %s, owed %s, ready at %" PRId64 ", reopened at %" PRId64 "\n",
             yes_no(record->opened), yes_no(record->opening_owed), record->ready_at, record->reopened_at);
    buf_addf(out, "drafts: since %" PRId64 ", conflict comment %s\n", record->drafted_at,
             yes_no(record->conflict_commented));
    if (record->head_count > 1)
        qsort(record->heads, record->head_count, sizeof *record->heads, by_sha);
    for (size_t i = 0; i < record->head_count; i++)
        tell_head(world, &record->heads[i], out);
    for (size_t i = 0; i < world->trigger_count; i++)
        if (record_find_head(record, &world->triggers[i].sha) == NULL)
            buf_addf(out, "commit %.12s: started %u times, and the record does not know it\n",
                     world->triggers[i].sha.hex, world->triggers[i].count);
    for (size_t i = 0; i < world->check_count; i++)
        if (record_find_head(record, &world->checks[i].sha) == NULL)
            buf_addf(out, "commit %.12s: check \"%s\", and the record does not know it\n",
                     world->checks[i].sha.hex, check_of(world, &world->checks[i].sha));
}

/*
 * What people rely on. Of a closed pull request it depends on the time how far CI had come; of one in conflict,
 * whether an earlier commit got the label. Of the check only whether it waits: what it says of the reason
 * depends on what the gate has seen, that a label did its work or was for an older commit.
 */
static void tell_relied(struct world *world, const struct record *record, struct buf *out)
{
    struct snapshot view = world_view(world);
    const struct world_check *check = world_find_check(world, &view.head);
    bool open = world->recording->taken_back != NULL || world->recording->overpushed != NULL;
    bool conflict = !open && record_state(record) == RECORD_CONFLICT;
    buf_addf(out, "state: %s\n", view.closed ? "closed" : conflict ? "open, in conflict" : "open");
    buf_addf(out, "head: %.12s\n", view.head.hex);
    if (view.closed)
        return;
    if (!conflict && !open)
        buf_addf(out, "label: %s\n", view.labelled ? "on" : "off");
    if (!open)
        buf_addf(out, "commit %.12s: started %u times\n", view.head.hex, started(world, &view.head));
    bool agrees = check != NULL && check->completed == (started(world, &view.head) > 0);
    buf_addf(out, "check: %s\n", agrees ? "says whether CI was started" : "WRONG, or missing");
}

/* ---- what must never be ---- */

/* Somebody who may approve did so for this very commit. */
static bool was_approved(const struct world *world, const struct sha *sha)
{
    const struct recording *recording = world->recording;
    for (size_t i = 0; i < recording->count; i++) {
        if (replay_approves(world->recordings, recording, &recording->events[i].event, sha))
            return true;
    }
    return false;
}

/* The author opened it with this commit, or somebody trusted pushed it. */
static bool was_brought(const struct world *world, const struct sha *sha)
{
    const struct recording *recording = world->recording;
    for (size_t i = 0; i < recording->count; i++) {
        const struct event *event = &recording->events[i].event;
        bool pushed = event->action == EVENT_SYNCHRONIZE &&
                      replay_may_push(world->recordings, recording->policy, event->sender.login);
        if (sha_equal(&event->pr.head, sha) && (pushed || event->action == EVENT_OPENED))
            return true;
    }
    return false;
}

/*
 * The author is trusted, and had opened or finished it, or the label was there while it was the head; and so is
 * whoever brought it.
 */
static bool is_covered(const struct world *world, const struct sha *sha)
{
    const struct recording *recording = world->recording;
    bool opened = false, labelled = false;
    for (size_t i = 0; i < recording->count; i++) {
        const struct event *event = &recording->events[i].event;
        bool opening = event->action == EVENT_OPENED || event->action == EVENT_REOPENED ||
                       event->action == EVENT_READY_FOR_REVIEW;
        opened |= opening && !event->pr.draft;
        labelled |= sha_equal(&recording->events[i].view.head, sha) &&
                    (recording->events[i].view.labelled || world->label_at[i]);
    }
    return (opened || labelled) && was_brought(world, sha) &&
           replay_is_trusted(world->recordings, recording->policy,
                             recording->events[0].event.pr.author.login);
}

static void tell_wrong(const struct world *world, const struct look *look, struct buf *out)
{
    for (size_t i = 0; i < world->trigger_count; i++) {
        const struct world_trigger *trigger = &world->triggers[i];
        if (trigger->count > 1)
            buf_addf(out, "commit %.12s was started %u times\n", trigger->sha.hex, trigger->count);
        if (!was_approved(world, &trigger->sha) && !is_covered(world, &trigger->sha))
            buf_addf(out, "commit %.12s was started, and nobody who may had agreed to it\n",
                     trigger->sha.hex);
    }
    if (look->record.view.closed != world_view(world).closed)
        buf_adds(out, "the record and GitHub disagree whether it is closed\n");
    if (look->record.claim.held || look->waits)
        buf_adds(out, "the claim is held, or something waits, though nothing is to come\n");
    for (size_t i = 1; i < world->comment_count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(world->comments[i], world->comments[k]) == 0)
                buf_adds(out, "the same comment was made twice\n");
    struct snapshot view = world_view(world);
    if (!sha_equal(&look->record.view.head, &view.head))
        buf_addf(out, "the record has another head than GitHub: %.12s\n", look->record.view.head.hex);
}

enum err_code replay_run(struct replay *replay, const struct recording *recording,
                         const struct schedule *schedule, struct outcome *out, struct err *err)
{
    struct world *world = &replay->world;
    struct look look = {0};
    enum err_code code = ERR_OK;
    buf_clear(&out->all);
    buf_clear(&out->relied);
    buf_clear(&out->wrong);
    world_start(world, recording, replay->next_number++);
    for (size_t at = 0; code == ERR_OK && at < schedule->count;) {
        code = work_until(replay, schedule->steps[at].at_ms, err);
        if (code == ERR_OK)
            code = deliver(replay, schedule, &at, err);
    }
    if (code == ERR_OK)
        code = work_until(replay, INT64_MAX, err);
    if (code == ERR_OK)
        code = deliver_echoes(replay, err);
    if (code == ERR_OK)
        code = look_at(replay, &look, err);
    if (code == ERR_OK && world->trouble[0] != '\0')
        code = err_set(err, ERR_FATAL, 0, "%s", world->trouble);
    if (code == ERR_OK) {
        tell_all(world, &look.record, &out->all);
        tell_relied(world, &look.record, &out->relied);
        tell_wrong(world, &look, &out->wrong);
    }
    record_release(&look.record);
    return code;
}

/* ---- why ---- */

static const char *file_of(const struct recording *recording, const char *delivery)
{
    for (size_t i = 0; i < recording->count; i++)
        if (strcmp(recording->events[i].event.delivery, delivery) == 0)
            return recording->events[i].file;
    return delivery;
}

static void explain_entry(const struct recording *recording, const cJSON *entry, struct buf *out)
{
    const char *delivery = report_text(entry, "delivery");
    const char *again = strncmp(delivery, "again", 5) == 0 ? strchr(delivery, '-') : NULL;
    buf_addf(out, "    %s%s: ", file_of(recording, again == NULL ? delivery : again + 1),
             again == NULL ? "" : " under another id");
    if (strcmp(report_text(entry, "kind"), "decision") == 0)
        buf_addf(out, "%s, head %.12s\n", report_text(entry, "rule"), report_text(entry, "head"));
    else
        buf_addf(out, "%s %.12s %s\n", report_text(entry, "action"), report_text(entry, "sha"),
                 report_text(entry, "outcome"));
}

static void add_plan(const struct recording *recording, const struct schedule *schedule, struct buf *out)
{
    int64_t last = recording->events[recording->count - 1].happened_ms;
    buf_addf(out, "  %s\n  deliveries, in seconds after the last event:\n", schedule->kind);
    for (size_t i = 0; i < schedule->count; i++) {
        const struct step *step = &schedule->steps[i];
        buf_addf(out, "    %+.3f %s%s\n", (double)(step->at_ms - last) / 1000.0,
                 recording->events[step->event].file, step->copy == 0 ? "" : " under another id");
    }
}

enum err_code replay_explain(struct replay *replay, const struct recording *recording,
                             const struct schedule *schedule, struct buf *out, struct err *err)
{
    cJSON *report = NULL;
    add_plan(recording, schedule, out);
    enum err_code code = report_pull(&replay->gate, recording->repo, replay->world.number, &report, err);
    if (code != ERR_OK)
        return code;
    buf_adds(out, "  what the gate made of them:\n");
    const cJSON *entry;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(report, "ledger"))
        explain_entry(recording, entry, out);
    cJSON_Delete(report);
    return ERR_OK;
}
