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
    struct schedule live;  /* each in time and in order */
    struct outcome expected;
    struct outcome
        in_time; /* after `live`; the same as far as people rely on it, unless something was taken back */
    struct outcome got;
    bool open; /* it depends on when the gate heard of what was taken back */
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

/* Lines of `from` that are in neither of the others. */
static void print_missing(const char *sign, const char *from, const char *in, const char *or_in)
{
    for (const char *at = from; *at != '\0'; at += strcspn(at, "\n") + 1) {
        size_t len = strcspn(at, "\n");
        if (!has_line(in, at, len) && !has_line(or_in, at, len))
            printf("  %s %.*s\n", sign, (int)len, at);
    }
}

static bool all_lines_in(const char *from, const char *in, const char *or_in)
{
    for (const char *at = from; *at != '\0'; at += strcspn(at, "\n") + 1) {
        size_t len = strcspn(at, "\n");
        if (!has_line(in, at, len) && !has_line(or_in, at, len))
            return false;
    }
    return true;
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
    print_missing("-", buf_text(want), buf_text(have), "");
    print_missing("+", buf_text(have), buf_text(want), "");
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
    if (!run(c, schedule, &c->got))
        return false;
    struct buf *want = schedule->delayed ? &c->expected.relied : &c->expected.all;
    struct buf *have = schedule->delayed ? &c->got.relied : &c->got.all;
    const char *or_want = schedule->delayed ? buf_text(&c->in_time.relied) : "";
    if (all_lines_in(buf_text(have), buf_text(want), or_want) && have->len > 0 &&
        (schedule->delayed || have->len == want->len))
        return true;
    report_difference(c, schedule, want, have);
    return false;
}

/*
 * The two ends that there can be: had the gate heard of nothing before all was over, and had it heard of each
 * at once. They may differ only where somebody took a permission back.
 */
static bool try_ends(struct comparison *c)
{
    size_t order[REPLAY_EVENTS_MAX], seen[REPLAY_EVENTS_MAX];
    for (size_t i = 0; i < c->recording->count; i++) {
        order[i] = i;
        seen[i] = i + 1;
    }
    plan_after(&c->first, c->recording, order, PLAN_SLOWLY, &c->dice);
    plan_delayed(&c->live, c->recording, order, seen, false, &c->dice);
    if (!run(c, &c->first, &c->expected) || !run(c, &c->live, &c->in_time))
        return false;
    c->open = strcmp(buf_text(&c->expected.relied), buf_text(&c->in_time.relied)) != 0;
    if (!c->open || c->recording->taken_back != NULL)
        return true;
    report_difference(c, &c->live, &c->expected.relied, &c->in_time.relied);
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
    if (!try_ends(c))
        return false;
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
    bool more = try_ends(c);
    for (int i = 0; more && i < ROLLED_ORDERS; i++) {
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
    if (!c->open)
        return true;
    printf("left open by the rules: %s took back what had been allowed; had the gate heard of everything at "
           "once:\n",
           c->recording->taken_back);
    print_missing(" ", buf_text(&c->in_time.relied), buf_text(&c->expected.relied), "");
    return true;
}

bool replay_compare(struct replay *replay, const struct recording *recording, const char *dir, uint64_t seed)
{
    struct comparison c = {.replay = replay, .recording = recording, .dice = {.state = seed}, .seed = seed};
    bool every = recording->count <= REPLAY_EXHAUSTIVE;
    double began = now_s();
    outcome_init(&c.expected);
    outcome_init(&c.in_time);
    outcome_init(&c.got);
    printf("%s#%" PRIu64 ", %zu events, seed %" PRIu64 "\n", recording->repo, recording->key.number,
           recording->count, seed);
    print_people(replay, recording);
    fflush(stdout);
    if (every)
        try_every(&c);
    else
        try_some(&c);
    bool good = print_verdict(&c, dir, every, now_s() - began);
    outcome_release(&c.expected);
    outcome_release(&c.in_time);
    outcome_release(&c.got);
    return good;
}
