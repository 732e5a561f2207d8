#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "replay.h"

enum {
    ROLLED_ORDERS = 400,  /* of a recording too long for all orders, each in every variant */
    ROLLED_DELAYS = 800,  /* and so many ways to deliver late */
    RUNS_PER_STORE = 2000 /* then it is made anew, so that a small /dev/shm does */
};

/* ---- comparing ------------------------------------------------------------------------ */

struct comparison {
    struct replay *replay;
    const struct recording *recording;
    struct dice dice;
    uint64_t seed;
    unsigned long runs;
    struct schedule first; /* all has happened, in order: what the others are compared with */
    struct outcome expected;
    struct outcome
        in_time; /* after `live`; the same as far as people rely on it, unless something was taken back */
    struct outcome got;
    bool differs;
    struct err err; /* the machinery failed */
};

static bool has_line(const char *text, const char *line, size_t len)
{
    for (const char *at = text; *at != '\0'; at += strcspn(at, "\n") + 1)
        if (strcspn(at, "\n") == len && strncmp(at, line, len) == 0)
            return true;
    return false;
}

static void print_missing(const char *sign, const char *from, const char *in)
{
    for (const char *at = from; *at != '\0'; at += strcspn(at, "\n") + 1) {
        size_t len = strcspn(at, "\n");
        if (!has_line(in, at, len))
            printf("  %s %.*s\n", sign, (int)len, at);
    }
}

/* Runs it once more, for its ledger. */
static void explain(struct comparison *c, unsigned long number, const struct schedule *schedule)
{
    struct outcome again;
    struct buf text;
    struct err err = {0};
    outcome_init(&again);
    buf_init(&text);
    printf("schedule %lu:\n", number);
    enum err_code code = replay_run(c->replay, c->recording, schedule, &again, &err);
    if (code == ERR_OK)
        code = replay_explain(c->replay, c->recording, schedule, &text, &err);
    fputs(buf_text(&text), stdout);
    if (code != ERR_OK)
        printf("  %s\n", err.text);
    buf_release(&text);
    outcome_release(&again);
}

static void report_difference(struct comparison *c, const struct schedule *schedule, struct buf *want,
                              struct buf *have)
{
    c->differs = true;
    printf("DIFFERENT FINAL STATES (- after schedule 1, + after schedule %lu):\n", c->runs);
    print_missing("-", buf_text(want), buf_text(have));
    print_missing("+", buf_text(have), buf_text(want));
    explain(c, 1, &c->first);
    explain(c, c->runs, schedule);
}

/* false: enough, something is wrong. */
static bool run(struct comparison *c, const struct schedule *schedule, struct outcome *out)
{
    if (*c->replay->interrupted != 0)
        return false;
    if (c->runs > 0 && c->runs % RUNS_PER_STORE == 0) {
        replay_close(c->replay);
        if (replay_open(c->replay, &c->err) != ERR_OK)
            return false;
    }
    c->runs++;
    progress_show(&c->replay->progress, c->runs, 0);
    if (replay_run(c->replay, c->recording, schedule, out, &c->err) != ERR_OK)
        return false;
    if (out->wrong.len == 0)
        return true;
    c->differs = true;
    printf("WHAT MUST NEVER BE, after schedule %lu:\n  %s", c->runs, buf_text(&out->wrong));
    explain(c, c->runs, schedule);
    return false;
}

static bool try(struct comparison *c, const struct schedule *schedule)
{
    bool first = c->runs == 0;
    if (!run(c, schedule, first ? &c->expected : &c->got))
        return false;
    if (first) {
        c->first = *schedule;
        return true;
    }
    bool loosely = schedule->delayed || c->recording->redrafted != NULL;
    struct buf *want = loosely ? &c->expected.relied : &c->expected.all;
    struct buf *have = loosely ? &c->got.relied : &c->got.all;
    if (strcmp(buf_text(want), buf_text(have)) == 0)
        return true;
    report_difference(c, schedule, want, have);
    return false;
}

static bool try_order(struct comparison *c, const size_t *order)
{
    struct schedule schedule;
    for (int variant = 0; variant < PLAN_VARIANT_END; variant++) {
        plan_after(&schedule, c->recording, order, (enum plan_variant)variant, &c->dice);
        if (!try(c, &schedule))
            return false;
    }
    return true;
}

static bool try_late(void *arg, const size_t *order, const size_t *seen)
{
    struct comparison *c = arg;
    struct schedule schedule;
    plan_delayed(&schedule, c->recording, order, seen, false, &c->dice);
    if (!try(c, &schedule))
        return false;
    plan_delayed(&schedule, c->recording, order, seen, true, &c->dice);
    return try(c, &schedule);
}

static bool try_every(struct comparison *c)
{
    size_t order[REPLAY_EVENTS_MAX];
    for (size_t i = 0; i < c->recording->count; i++)
        order[i] = i;
    do {
        if (!try_order(c, order))
            return false;
    } while (plan_next_order(order, c->recording->count));
    return plan_each_late(c->recording, try_late, c);
}

static bool try_some(struct comparison *c)
{
    size_t order[REPLAY_EVENTS_MAX], seen[REPLAY_EVENTS_MAX];
    for (size_t i = 0; i < c->recording->count; i++)
        order[i] = i;
    bool more = try_order(c, order); /* as it happened: the one to compare with */
    for (int i = 1; more && i < ROLLED_ORDERS; i++) {
        plan_roll_order(c->recording, &c->dice, order);
        more = try_order(c, order);
    }
    for (int i = 0; more && i < ROLLED_DELAYS; i++) {
        plan_roll_late(c->recording, &c->dice, order, seen);
        more = try_late(c, order, seen);
    }
    return more;
}

/* ---- one recording --------------------------------------------------------------------- */

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void print_people(const struct replay *replay, const struct recording *recording)
{
    const struct recordings *all = replay->world.recordings;
    const char *author = recording->events[0].event.pr.author.login;
    printf("  author %s: %s; prgate itself: %s\n", author[0] == '\0' ? "(deleted account)" : author,
           replay_is_trusted(all, recording->policy, author) ? "trusted" : "not trusted", all->gate.login);
}

static void print_state(const struct buf *state)
{
    struct buf copy = *state;
    for (const char *at = buf_text(&copy); *at != '\0'; at += strcspn(at, "\n") + 1)
        printf("  %.*s\n", (int)strcspn(at, "\n"), at);
}

/* See "What the rules leave open" in docs/cicd_flowchart.md. */
static void print_left_open(const struct recording *recording)
{
    if (recording->redrafted != NULL)
        printf("left open by the rules: %s made it a draft again while the label of an earlier draft was on; "
               "whether that\n  covers a push depends on whether the gate had heard of it\n",
               recording->redrafted);
    if (recording->overpushed != NULL)
        printf(
            "left open by the rules: %s pushed on top of somebody who is not trusted; whether the label was "
            "still there\n  depends on whether the gate had heard of the first push in time\n",
            recording->overpushed);
    if (recording->taken_back != NULL)
        printf(
            "left open by the rules: %s took back what had been allowed; whether CI had started by then, and "
            "the label,\n  depend on when the gate heard of it\n",
            recording->taken_back);
}

static bool print_verdict(struct comparison *c, const char *dir, bool every, double took_s)
{
    if (*c->replay->interrupted != 0) {
        printf("interrupted after %lu schedules\n", c->runs);
        return false;
    }
    if (c->err.code != ERR_OK) {
        printf("after %lu schedules the replay itself failed: %s\n", c->runs, c->err.text);
        return false;
    }
    if (c->differs) {
        printf("to repeat it: prgatectl replay %s %" PRIu64 "\n", dir, c->seed);
        return false;
    }
    printf("%lu schedules in %.1f s, %s: one final state:\n", c->runs, took_s,
           every ? "every order" : "orders at random");
    print_state(&c->expected.all);
    print_left_open(c->recording);
    return true;
}

bool replay_compare(struct replay *replay, const struct recording *recording, const char *dir, uint64_t seed)
{
    struct comparison c = {.replay = replay, .recording = recording, .dice = {.state = seed}, .seed = seed};
    bool every = recording->count <= REPLAY_EXHAUSTIVE;
    double began = now_s();
    outcome_init(&c.expected);
    outcome_init(&c.got);
    printf("%s#%" PRIu64 ", %zu events, seed %" PRIu64 "\n", recording->repo, recording->key.number,
           recording->count, seed);
    print_people(replay, recording);
    fflush(stdout);
    if (every)
        try_every(&c);
    else
        try_some(&c);
    progress_end(&replay->progress);
    bool good = print_verdict(&c, dir, every, now_s() - began);
    outcome_release(&c.expected);
    outcome_release(&c.got);
    return good;
}
