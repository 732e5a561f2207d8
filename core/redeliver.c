/*
 * GitHub lists attempts, newest first, and says of each whether it was answered with success. Those of one event
 * share a guid. The cursor is a time: before it, every event was delivered (or is older than GitHub
 * remembers). It stays at the oldest event that is still open, so a pass costs no
 * more than what happened since.
 */
#include "prgate/redeliver.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "prgate/clock.h"
#include "prgate/event.h"
#include "prgate/log.h"
#include "prgate/repos.h"
#include "prgate/text.h"

enum {
    KEPT_S = 3 * 86400,   /* GitHub forgets deliveries then */
    LATE_S = 300,         /* one that timed out is listed later than its time says */
    ASK_AGAIN_S = 300,    /* after the second attempt; twice as long after each further one */
    ATTEMPTS_MAX = 20000, /* of one webhook in one pass */
    GONE_MAX = 3,         /* 404s in one webhook */
    UNPACED_MAX = 20,     /* GitHub wants a second between writing calls where there are many */
    PAUSE_MS = 1000,
    PAUSE_SLICE_MS = 100
};

struct attempt {
    char guid[DELIVERY_SIZE];
    uint64_t id;
    int64_t at; /* Unix seconds */
    bool good;
};

/* One webhook's attempts, and what the pass has come to. */
struct pass {
    struct worker *worker;
    struct gate *gate;
    int64_t now_s;
    int64_t from_s;   /* older ones are of no interest */
    int64_t newest_s; /* of all that were seen; 0: none */
    int64_t open_s;   /* the oldest that no attempt has delivered; INT64_MAX: none */
    unsigned asked;
    bool failed;

    bool broke_off; /* the list is not whole */
    uint64_t hook;
    struct attempt *attempts;
    size_t count;
    size_t cap;
};

bool redeliver_is_wanted(const struct config *config)
{
    return config->redeliver_interval_s > 0 && !config->dry_run &&
           config_credentials(config) != CREDENTIALS_NONE;
}

static bool may_go_on(const struct pass *pass)
{
    return gate_may_call(pass->gate);
}

/* ---- listing ---- */

static bool see(void *arg, const struct github_delivery *delivery)
{
    struct pass *pass = arg;
    if (delivery->delivered_at > pass->newest_s)
        pass->newest_s = delivery->delivered_at;
    pass->broke_off = !may_go_on(pass);
    if (pass->broke_off || delivery->delivered_at < pass->from_s || pass->count == ATTEMPTS_MAX)
        return false;
    if (!event_has_rule(delivery->event, delivery->action))
        return true;
    pass->attempts = mem_room(pass->attempts, pass->count, &pass->cap, sizeof *pass->attempts);
    struct attempt *attempt = &pass->attempts[pass->count++];
    *attempt = (struct attempt){.id = delivery->id,
                                .at = delivery->delivered_at,
                                .good = delivery->status >= 200 && delivery->status < 300};
    memcpy(attempt->guid, delivery->guid, sizeof attempt->guid);
    return true;
}

static int by_event(const void *a, const void *b)
{
    const struct attempt *left = a, *right = b;
    int order = strcmp(left->guid, right->guid);
    if (order != 0)
        return order;
    return left->at < right->at ? -1 : left->at > right->at;
}

static int by_time(const void *a, const void *b)
{
    const struct attempt *left = a, *right = b;
    if (left->at != right->at)
        return left->at < right->at ? -1 : 1;
    return left->id < right->id ? -1 : left->id > right->id;
}

/* Attempts of one event, oldest first. Is it time for another? */
static bool is_due(const struct pass *pass, const struct attempt *attempts, size_t count)
{
    int64_t wait_s = 0;
    if (count > 1)
        wait_s = ASK_AGAIN_S;
    for (size_t i = 2; i < count && wait_s < KEPT_S; i++)
        wait_s *= 2;
    return pass->now_s - attempts[count - 1].at >= wait_s;
}

/*
 * Leaves of each event that is to be asked for its latest attempt, in the order in which the
 * events happened: they are told again as they were told first.
 */
static void keep_those_due(struct pass *pass)
{
    struct attempt *all = pass->attempts;
    size_t kept = 0, count;
    if (pass->count > 0)
        qsort(all, pass->count, sizeof *all, by_event);
    for (size_t i = 0; i < pass->count; i += count) {
        bool good = false;
        for (count = 0; i + count < pass->count && strcmp(all[i].guid, all[i + count].guid) == 0; count++)
            good = good || all[i + count].good;
        if (good)
            continue;
        if (all[i].at < pass->open_s)
            pass->open_s = all[i].at;
        if (!is_due(pass, &all[i], count))
            continue;
        struct attempt asked = all[i + count - 1];
        asked.at = all[i].at;
        all[kept++] = asked;
    }
    pass->count = kept;
    if (kept > 0)
        qsort(all, kept, sizeof *all, by_time);
}

/* ---- asking ---- */

static void pause_between(const struct pass *pass)
{
    const struct timespec slice = {.tv_nsec = PAUSE_SLICE_MS * 1000000L};
    for (int ms = 0; pass->asked >= UNPACED_MAX && ms < PAUSE_MS && may_go_on(pass); ms += PAUSE_SLICE_MS)
        nanosleep(&slice, NULL);
}

/* Only an operator can mend it, and need not be told every few minutes. */
static void tell_refusal(struct pass *pass, const struct err *err)
{
    if (atomic_exchange(&pass->gate->told_of_hooks, true))
        return;
    if (config_credentials(pass->gate->config) == CREDENTIALS_APP)
        log_warning(
            "missed deliveries cannot be asked for: the App's webhook is not active, or GitHub refuses",
            LOG_STR("error", err->text));
    else
        log_warning(
            "missed deliveries cannot be asked for: the token needs admin:repo_hook, or the permission "
            "Webhooks: read and write, and a user who administers the repository",
            LOG_STR("error", err->text));
}

/* False: no more of this webhook. */
static bool note_error(struct pass *pass, enum err_code code, const struct err *err)
{
    gate_heed_rate_limit(pass->gate, err);
    switch (code) {
    case ERR_OK:
        return true;
    case ERR_NOT_FOUND: /* what one may not see is not there */
    case ERR_REJECT:
    case ERR_CONFLICT:
        tell_refusal(pass, err);
        return false;
    case ERR_RETRY:
    case ERR_UNKNOWN:
    case ERR_CORRUPT:
    case ERR_FATAL:
        break;
    }
    pass->failed = true;
    if (may_go_on(pass))
        log_warning("looking for missed deliveries failed", LOG_STR("error", err->text));
    return false;
}

/* False: no more of this webhook. */
static bool ask_for(struct pass *pass, const struct attempt *attempt, unsigned *gone)
{
    struct err err = {0};
    enum err_code code = github_redeliver(pass->worker->github, pass->hook, attempt->id, &err);
    if (code == ERR_OK) {
        pass->asked++;
        metrics_add(pass->gate->metrics, METRIC_REDELIVERIES);
        log_info("asked GitHub to deliver again", LOG_STR("delivery", attempt->guid));
        return true;
    }
    /* One may be too old by now. Several in a row are what who may only look is told. */
    if (code == ERR_NOT_FOUND && ++*gone < GONE_MAX)
        return true;
    return note_error(pass, code, &err);
}

static void ask(struct pass *pass)
{
    unsigned gone = 0;
    for (size_t i = 0; i < pass->count; i++) {
        pause_between(pass);
        if (!may_go_on(pass)) {
            pass->failed = true;
            return;
        }
        if (!ask_for(pass, &pass->attempts[i], &gone))
            return;
    }
}

static void look_at(struct pass *pass, uint64_t hook)
{
    struct err err = {0};
    pass->hook = hook;
    pass->count = 0;
    pass->broke_off = false;
    enum err_code code = github_each_delivery(pass->worker->github, hook, see, pass, &err);
    if (!note_error(pass, code, &err))
        return;
    if (pass->broke_off) {
        pass->failed = true;
        return;
    }
    keep_those_due(pass);
    ask(pass);
}

static void look_at_repo(struct pass *pass, const char *name)
{
    struct err err = {0};
    uint64_t hook = 0;
    char url[2100] = "";
    const char *base = pass->gate->config->public_url;
    if (base != NULL && base[0] != '\0')
        snprintf(url, sizeof url, "%s/webhook", base);
    github_use(pass->worker->github, name, 0);
    enum err_code code = github_find_hook(pass->worker->github, url, &hook, &err);
    if (note_error(pass, code, &err))
        look_at(pass, hook);
}

static void look_at_repos(struct pass *pass)
{
    struct err err = {0};
    char name[REPO_NAME_SIZE] = "";
    enum err_code code;
    while ((code = repos_next(pass->gate, name, &err)) == ERR_OK && may_go_on(pass))
        look_at_repo(pass, name);
    if (code != ERR_NOT_FOUND)
        pass->failed = true;
}

/* ---- one pass ---- */

static int64_t start_from(const struct turn *turn, int64_t now_s)
{
    uint64_t cursor = 0;
    int64_t kept = now_s - KEPT_S;
    text_to_u64(turn->cursor, INT64_MAX, &cursor);
    return (int64_t)cursor > kept ? (int64_t)cursor : kept;
}

static void move_cursor(struct pass *pass, struct turn *turn)
{
    char text[PACE_CURSOR_SIZE];
    int64_t next = pass->newest_s - LATE_S < pass->open_s ? pass->newest_s - LATE_S : pass->open_s;
    if (pass->failed || next <= pass->from_s)
        return;
    snprintf(text, sizeof text, "%" PRId64, next);
    pace_note(pass->gate, turn, text);
}

bool redeliver_pass(struct worker *worker, struct turn *turn, unsigned *asked)
{
    struct pass pass = {.worker = worker, .gate = worker->gate, .open_s = INT64_MAX};
    pass.now_s = clock_now_ms() / 1000;
    pass.from_s = start_from(turn, pass.now_s);
    if (config_credentials(worker->gate->config) == CREDENTIALS_APP)
        look_at(&pass, GITHUB_APP_HOOK);
    else
        look_at_repos(&pass);
    move_cursor(&pass, turn);
    free(pass.attempts);
    if (pass.asked > 0)
        log_info("missed deliveries asked for", LOG_INT("count", pass.asked));
    *asked = pass.asked;
    return !pass.failed;
}
