/*
 * Runs of CI that have been started: cancelling them, and releasing those that wait for an approval.
 *
 * Both look for what there is to do at each try, so a crash at any point means that it is done again, or found done. A
 * run that was cancelled a moment ago may be listed as running still; cancelling it twice does no harm.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "act_internal.h"
#include "prgate/clock.h"
#include "prgate/key.h"

enum {
    RUNS_MAX = 64,    /* of one commit */
    ATTEMPTS_MAX = 8, /* of starting CI for it, the newest */
    /* No run of earlier is looked for: the list of all runs is long, and hardly one runs for that long. */
    LOOK_BACK_S = 3 * 24 * 3600,
    /* A run that could not be cancelled by then has ended, or is somebody's to look after. */
    CANCEL_PATIENCE_MS = 10 * 60 * 1000
};

static struct act_result done_with(const char *note)
{
    struct act_result result = {.outcome = ACT_DONE};
    err_set(&result.err, ERR_OK, 0, "%s", note);
    return result;
}

static struct act_result not_yet(const char *what)
{
    struct act_result result = {.outcome = ACT_AGAIN};
    err_set(&result.err, ERR_RETRY, 0, "%s", what);
    return result;
}

/* ---- looking for runs ---- */

struct hunt {
    char keys[ATTEMPTS_MAX][KEY_SIZE]; /* in the name of those that are meant */
    unsigned key_count;                /* 0: all are */
    uint64_t number;                   /* the pull request's, for runs that say whose they are */
    uint64_t ids[RUNS_MAX];            /* of those that have not ended */
    size_t id_count;
    bool seen; /* one at least is there, ended or not */
};

static bool is_meant(const struct hunt *hunt, const struct github_run *run)
{
    if (hunt->key_count == 0)
        return run->pull == 0 || run->pull == hunt->number;
    for (unsigned i = 0; i < hunt->key_count; i++)
        if (strstr(run->title, hunt->keys[i]) != NULL)
            return true;
    return false;
}

static bool note_run(void *arg, const struct github_run *run)
{
    struct hunt *hunt = arg;
    if (!is_meant(hunt, run))
        return true;
    hunt->seen = true;
    if (!run->completed && hunt->id_count < RUNS_MAX)
        hunt->ids[hunt->id_count++] = run->id;
    return true;
}

static void add_keys(struct hunt *hunt, const struct record *record, const struct intent *intent)
{
    for (unsigned attempt = intent->attempt; attempt > 0 && hunt->key_count < ATTEMPTS_MAX; attempt--)
        trigger_key(&record->key, &intent->sha, attempt, hunt->keys[hunt->key_count++]);
}

/* ---- cancelling, at GitHub Actions ---- */

/* A run of a dispatch belongs to the default branch: its name alone says what it is for. */
static enum err_code hunt_by_key(struct worker *worker, const struct record *record,
                                 const struct intent *intent, const char *event, struct hunt *hunt,
                                 struct err *err)
{
    const struct head *head = record_find_head(record, &intent->sha);
    int64_t now_s = clock_now_ms() / 1000;
    int64_t since = head == NULL ? 0 : head->first_seen_ms / 1000 - ACT_CLOCK_SKEW_S;
    struct github_run_filter filter = {.event = event,
                                       .since = since > now_s - LOOK_BACK_S ? since : now_s - LOOK_BACK_S};
    add_keys(hunt, record, intent);
    return github_each_run(worker->github, &filter, note_run, hunt, err);
}

/* A run that the label has started is the commit's own. */
static enum err_code hunt_by_sha(struct worker *worker, const struct intent *intent, struct hunt *hunt,
                                 struct err *err)
{
    static const char *const events[] = {"pull_request", "pull_request_target"};
    enum err_code code = ERR_OK;
    for (size_t i = 0; i < sizeof events / sizeof events[0] && code == ERR_OK; i++) {
        struct github_run_filter filter = {.event = events[i], .sha = &intent->sha};
        code = github_each_run(worker->github, &filter, note_run, hunt, err);
    }
    return code;
}

/* May runs still show up that are not in the list yet? */
static bool may_appear(const struct worker *worker, int64_t since_ms)
{
    return !worker->gate->config->dry_run && clock_now_ms() < since_ms + ACT_RUN_APPEARS_MS;
}

static struct act_result cancel_found(struct worker *worker, const struct hunt *hunt)
{
    struct err err = {0};
    char note[64];
    for (size_t i = 0; i < hunt->id_count; i++) {
        enum err_code code = github_cancel_run(worker->github, hunt->ids[i], &err);
        if (code != ERR_OK)
            return act_result_of(code, &err);
    }
    snprintf(note, sizeof note, "%zu run%s cancelled", hunt->id_count, hunt->id_count == 1 ? "" : "s");
    return done_with(hunt->id_count > 0 ? note : "nothing is left to cancel");
}

static struct act_result cancel_runs(struct worker *worker, const struct policy *policy,
                                     const struct record *record, const struct intent *intent)
{
    struct err err = {0};
    struct hunt hunt = {.number = record->key.number};
    enum err_code code = ERR_OK;
    if (policy->trigger != TRIGGER_NONE && !policy->trigger_can_be_asked)
        return done_with("not cancelled: without the key in run-name, and trigger_can_be_asked, nobody knows "
                         "which run it is");
    if (worker->gate->config->dry_run && policy->trigger != TRIGGER_NONE) {
        struct act_result result = done_with("its run would be looked for by its key");
        result.shown = true; /* there is none, since none was started */
        return result;
    }
    if (!github_can_read(worker->github))
        return done_with("not looked for: there are no credentials");
    if (policy->trigger == TRIGGER_NONE)
        code = hunt_by_sha(worker, intent, &hunt, &err);
    else
        code = hunt_by_key(worker, record, intent, trigger_kind_name(policy->trigger), &hunt, &err);
    if (code != ERR_OK)
        return act_result_of(code, &err);
    const struct head *head = record_find_head(record, &intent->sha);
    if (!hunt.seen && head != NULL && may_appear(worker, head->ci_at_ms))
        return not_yet("the run is not in the list of runs yet");
    return cancel_found(worker, &hunt);
}

/* ---- cancelling, at an own CI ---- */

/* Whoever answers like this does not know how to cancel, or not that key. */
static bool knows_no_cancelling(const struct err *err)
{
    return err->number == 404 || err->number == 405 || err->number == 410 || err->number == 501;
}

static struct act_result cancel_http(struct worker *worker, const struct policy *policy,
                                     const struct record *record, const struct intent *intent)
{
    unsigned least = intent->attempt > ATTEMPTS_MAX ? intent->attempt - ATTEMPTS_MAX : 0;
    bool taken = false;
    for (unsigned attempt = intent->attempt; attempt > least; attempt--) {
        struct err err = {0};
        struct act_trigger_text text;
        struct trigger trigger = act_describe_trigger(record, intent, attempt, &text);
        enum err_code code = trigger_cancel(worker->github, policy, &trigger, &err);
        taken = taken || code == ERR_OK;
        if (code != ERR_OK && !knows_no_cancelling(&err))
            return act_result_of(code, &err);
    }
    return done_with(taken ? "" : "not cancelled: the receiver does not know how, or not that key");
}

static struct act_result try_cancel(struct worker *worker, const struct policy *policy,
                                    const struct record *record, const struct intent *intent)
{
    switch (policy->trigger) {
    case TRIGGER_NONE:
    case TRIGGER_REPOSITORY_DISPATCH:
    case TRIGGER_WORKFLOW_DISPATCH:
        return cancel_runs(worker, policy, record, intent);
    case TRIGGER_HTTP:
        return cancel_http(worker, policy, record, intent);
    }
    return act_result_of(ERR_FATAL, &(struct err){.code = ERR_FATAL});
}

struct act_result act_cancel(struct worker *worker, const struct policy *policy, const struct record *record,
                             const struct intent *intent)
{
    struct act_result result = try_cancel(worker, policy, record, intent);
    if (result.outcome == ACT_AGAIN && clock_now_ms() > intent->created_ms + CANCEL_PATIENCE_MS)
        result.outcome = ACT_REFUSED; /* nothing else may wait for that any longer */
    return result;
}

/* ---- releasing ---- */

/*
 * A run is there a moment after the push that it is for. Where the label itself starts CI, it is there only after
 * the label.
 */
static int64_t runs_start_ms(const struct policy *policy, const struct record *record,
                             const struct intent *intent)
{
    const struct head *head = record_find_head(record, &intent->sha);
    return policy->trigger == TRIGGER_NONE || head == NULL ? intent->created_ms : head->first_seen_ms;
}

struct act_result act_release_runs(struct worker *worker, const struct policy *policy,
                                   const struct record *record, const struct intent *intent)
{
    struct err err = {0};
    char note[64];
    struct hunt hunt = {.number = record->key.number};
    struct github_run_filter filter = {
        .event = "pull_request", .status = "action_required", .sha = &intent->sha};
    if (!github_can_read(worker->github))
        return done_with("not looked for: there are no credentials");
    enum err_code code = github_each_run(worker->github, &filter, note_run, &hunt, &err);
    for (size_t i = 0; i < hunt.id_count && code == ERR_OK; i++)
        code = github_approve_run(worker->github, hunt.ids[i], &err);
    if (code != ERR_OK)
        return act_result_of(code, &err);
    if (!hunt.seen && may_appear(worker, runs_start_ms(policy, record, intent)))
        return not_yet("no run waits for an approval yet");
    snprintf(note, sizeof note, "%zu run%s released", hunt.id_count, hunt.id_count == 1 ? "" : "s");
    return done_with(note);
}
