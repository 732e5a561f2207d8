/*
 * replay: a recorded pull request, delivered again in many orders to the real gate.
 *
 *   replay_load.c   DIR -> recordings, one for each pull request
 *   replay_people.c who may do what in them
 *   replay_world.c  GitHub as it was at each time of a recording, changed by what the gate does in the replay
 *   replay_api.c    the same as replies to HTTP requests
 *   replay_plan.c   schedules: which delivery comes when
 *   replay_store.c  the temporary store
 *   replay_run.c    one schedule through inbox, drain, decide and act, and what came of it
 *   replay_compare.c  all schedules of a recording, compared
 *
 * One thread, no network. Time is the recording's: it goes on only when the replay says so.
 */
#ifndef PRGATE_REPLAY_H
#define PRGATE_REPLAY_H

#include <cjson/cJSON.h>
#include <signal.h>

#include "cli.h"
#include "prgate/buf.h"
#include "prgate/config.h"
#include "prgate/event.h"
#include "prgate/gate.h"

enum {
    REPLAY_EVENTS_MAX = 64, /* of one pull request: what a bit mask of 64 holds */
    REPLAY_EXHAUSTIVE = 6,  /* up to as many events every order is tried */
    REPLAY_STEPS_MAX = 4 * REPLAY_EVENTS_MAX
};

/* ---- what was recorded ---- */

struct replay_event {
    char *file; /* its name, the heap's */
    struct event event;
    struct snapshot view; /* the pull request right after it, also where the event does not show that */
    int64_t at_s;         /* in which second, Unix time */
    int64_t happened_ms;  /* in that second, after those before it */
    bool
        changes_label; /* the gate label was set or taken off by it, or by something before it that is missing */
    enum mergeable worked_out; /* what GitHub's background job found for the commit that is the head then */
};

/* One pull request's, in the order in which things happened. */
struct recording {
    struct pr_key key;
    char repo[REPO_NAME_SIZE];
    const struct policy *policy;
    struct replay_event *events;
    size_t count;
    /* The file of the event that did it, NULL: none. What it means for the comparison is in replay_load.c. */
    const char *redrafted;
    const char *overpushed; /* a push on top of one by somebody who is not trusted */
    const char *taken_back;
};

struct person {
    char login[LOGIN_SIZE];
    bool is_gate; /* "self" */
    enum permission permission;
    char **teams; /* "org/team-slug" */
    size_t team_count;
    bool all_teams; /* an insider of whom nobody said which */
};

struct recordings {
    struct recording *pulls;
    size_t count;
    struct person *people;
    size_t person_count;
    struct user gate; /* who prgate itself is in the recording */
    char **notes;     /* for people: files passed over, gaps */
    size_t note_count;
};

/* Beside the deliveries, and none itself. */
#define REPLAY_PEOPLE_FILE "people.json"

/* An object, which is the caller's to cJSON_Delete(). ERR_REJECT: the text names the file and what is wrong with it. */
enum err_code replay_read_json(const char *dir, const char *file, cJSON **out, struct err *err);

/* Of recordings whose events are there. ERR_REJECT as above. */
enum err_code replay_know_people(struct recordings *all, const char *dir, const struct config *config,
                                 struct err *err);

/* Was the gate label set or taken off? */
bool replay_touches_label(const struct event *event);

/* ERR_REJECT: the text names the file and what is wrong with it. replay_unload() also after an error. */
enum err_code replay_load(struct recordings *out, const char *dir, const struct config *config,
                          struct err *err);
void replay_unload(struct recordings *recordings);

const struct person *replay_person(const struct recordings *recordings,
                                   const char *login); /* NULL: unknown */
bool replay_is_trusted(const struct recordings *recordings, const struct policy *policy, const char *login);
/* The same, and the gate itself. */
bool replay_may_push(const struct recordings *recordings, const struct policy *policy, const char *login);
/* Does that event say, by label, button or comment, that CI may run for that commit, and may its sender? */
bool replay_approves(const struct recordings *recordings, const struct recording *recording,
                     const struct event *event, const struct sha *sha);
bool replay_is_member(const struct recordings *recordings, const char *login, const char *team);
enum permission replay_permission(const struct recordings *recordings, const char *login);

/* ---- GitHub ---- */

struct world_check {
    struct sha sha;
    uint64_t id;
    bool completed;
    char *title;
    char *summary; /* NULL: a commit status */
    char *external_id;
    char *details_url;
};

struct world_trigger {
    struct sha sha;
    char key[KEY_SIZE];
    unsigned count;
};

struct world {
    struct http http; /* first: perform() casts back */
    const struct config *config;
    const struct recordings *recordings;
    const struct recording *recording;
    uint64_t number; /* the pull request's, in this schedule */
    size_t happened; /* so many of the recording's events */
    bool labelled;
    struct user label_by; /* who set it last, and when */
    int64_t label_set_s;
    bool label_at[REPLAY_EVENTS_MAX]; /* with the gate label, right after that event */
    int64_t written_s; /* the gate's newest change of the label; 0 = none since the last event */
    struct world_check *checks;
    size_t check_count;
    struct world_trigger *triggers;
    size_t trigger_count;
    char **comments;
    size_t comment_count;
    struct event *echoes; /* what the gate's own changes of the label make GitHub send */
    size_t echo_count;
    char trouble[ERR_TEXT_MAX]; /* a request that no GitHub would get from prgate; "" = none */
};

/* The replay's time, for clock_use(). */
int64_t world_now_ms(void);

void world_init(struct world *world, const struct config *config, const struct recordings *recordings);
void world_release(struct world *world);

/* Begins anew, right after the first event. */
void world_start(struct world *world, const struct recording *recording, uint64_t number);

/* Time goes on to `ms`, never back, and what happened until then has happened. */
void world_advance(struct world *world, int64_t ms);

/* The pull request as a read would show it now. */
struct snapshot world_view(const struct world *world);

void world_set_label(struct world *world, bool on);
struct world_check *world_find_check(struct world *world, const struct sha *sha);
struct world_check *world_add_check(struct world *world, const struct sha *sha);
void world_set_text(char **to, const char *text);
void world_trigger(struct world *world, const char *sha, const char *key);
void world_comment(struct world *world, const char *text);

/* The transport: struct http's perform(). */
enum err_code world_perform(struct http *http, const struct http_request *request, struct http_reply *reply,
                            struct err *err);

/* ---- schedules ---- */

struct step {
    size_t event;  /* of the recording */
    unsigned copy; /* 0: as recorded; else the same event under another delivery id */
    int64_t at_ms; /* not before; steps of the same time are all in the queue before one is decided */
};

struct schedule {
    const char *kind; /* "one by one" */
    bool delayed;     /* begins with the first event, not with the end of all */
    struct step steps[REPLAY_STEPS_MAX];
    size_t count;
};

/* Splitmix64: the same numbers for the same seed everywhere. */
struct dice {
    uint64_t state;
};
uint64_t dice_roll(struct dice *dice, uint64_t below);

/* How the deliveries of one order come; the order is of all events, what is dropped included. */
enum plan_variant { PLAN_SLOWLY, PLAN_AT_ONCE, PLAN_REPEATED, PLAN_DROPPED, PLAN_VARIANT_END };

/* All has happened before the first delivery. */
void plan_after(struct schedule *out, const struct recording *recording, const size_t *order,
                enum plan_variant variant, struct dice *dice);

/* `order[i]` comes once the first `seen[i]` events have happened; seen[] does not fall. */
void plan_delayed(struct schedule *out, const struct recording *recording, const size_t *order,
                  const size_t *seen, bool repeated, struct dice *dice);

bool plan_next_order(size_t *order, size_t count); /* the next permutation; false: that was the last */

/* Calls `fn` for every way to deliver late; stops when it returns false, and returns that. */
typedef bool plan_late_fn(void *arg, const size_t *order, const size_t *seen);
bool plan_each_late(const struct recording *recording, plan_late_fn *fn, void *arg);
void plan_roll_order(const struct recording *recording, struct dice *dice, size_t *order);
void plan_roll_late(const struct recording *recording, struct dice *dice, size_t *order, size_t *seen);

/* ---- running ---- */

struct outcome {
    struct buf all;    /* "name: value" lines: everything that must be the same when reads saw the end */
    struct buf relied; /* those that must be the same in any case */
    struct buf wrong;  /* what must never be, whatever the order; "" = nothing */
};

void outcome_init(struct outcome *outcome);
void outcome_release(struct outcome *outcome);

struct replay {
    struct config config; /* the operator's, with another state directory */
    struct gate gate;
    struct worker worker;
    struct world world;
    uint64_t next_number;
    const volatile sig_atomic_t *interrupted; /* not 0: a signal asks to stop */
    struct progress progress;
};

/* replay->config, world, next_number and interrupted are the caller's to set. replay_close() also after an error. */
enum err_code replay_open(struct replay *replay, struct err *err);
void replay_close(struct replay *replay);

/* ERR_FATAL: the machinery failed, which says nothing about the rules. */
enum err_code replay_run(struct replay *replay, const struct recording *recording,
                         const struct schedule *schedule, struct outcome *out, struct err *err);

/* What the gate decided in the last run, one line for each delivery. */
enum err_code replay_explain(struct replay *replay, const struct recording *recording,
                             const struct schedule *schedule, struct buf *out, struct err *err);

/* ---- comparing ---- */

/* All schedules of one recording; prints what it finds, and is false when they do not end in one state. */
bool replay_compare(struct replay *replay, const struct recording *recording, const char *dir, uint64_t seed);

#endif
