/*
 * Which repositories a pass compares, and in which order, when passes are broken off, processes die, and pools
 * start: with the four repositories a/a, b/b, c/c and octo/repo, told by their first letters.
 */
#include "check.h"

#include "fixture.h"
#include "prgate/reconcile.h"

enum { HOUR_S = 3600, CALLS_SIZE = 16 };
#define FOUR "}\nrepo \"a/a\" { }\nrepo \"b/b\" { }\nrepo \"c/c\" {"

enum who {
    SAME,    /* it has not ended */
    POOL,    /* the first process of a pool that was away */
    ANOTHER, /* of a pool that went on */
    CRON,    /* of no pool */
    STEPS_MAX = 5
};

/* One process makes a pass, and something happens at a repository, by its letter; 0: none. */
struct step {
    enum who who;
    char broken_off; /* the process is to stop: its call comes to nothing */
    char stop;       /* the process is to stop, but the call's answer is there */
    char fails;      /* the call, by itself */
    char start;      /* a pool starts meanwhile, while this process goes on */
    bool killed;     /* it has no time to end its turn */
    const char *want;
};

struct row {
    const char *name;
    const char *cursor; /* a repository that is gone by now; NULL: none */
    struct step steps[STEPS_MAX];
};

static const struct step *under_way;
static struct fixture *fixture;

static char letter_of(const char *url)
{
    return strstr(url, "/repos/")[strlen("/repos/")];
}

static enum err_code answer(const struct http_request *request, struct http_reply *reply, struct err *err)
{
    char letter = letter_of(request->url);
    bool is_endless = fixture->fake.count == CALLS_SIZE;
    if (letter == under_way->broken_off || letter == under_way->stop || is_endless)
        atomic_store(&fixture->gate.stopping, true);
    if (letter == under_way->start)
        pace_join(&fixture->gate, PACE_RECONCILE, true);
    if (letter == under_way->broken_off)
        return err_set(err, ERR_RETRY, 0, "broken off");
    reply->status = letter == under_way->fails ? 502 : 200;
    buf_adds(&reply->body, letter == under_way->fails ? "{}" : "[]");
    return ERR_OK;
}

static void begin(struct fixture *f, enum who who)
{
    if (who == SAME)
        return;
    github_close(f->worker.github);
    gate_close(&f->gate);
    fixture_open_gate(f);
    fixture_open_worker(f);
    if (who != CRON)
        pace_join(&f->gate, PACE_RECONCILE, who == POOL);
}

static void run_step(struct fixture *f, const char *name, const struct step *step)
{
    struct turn turn;
    unsigned told;
    char got[CALLS_SIZE] = "";
    begin(f, step->who);
    /* For another the interval is over by now; to the same one it is due at once, or not at all. */
    assert_true(pace_take(&f->gate, PACE_RECONCILE, step->who == SAME ? HOUR_S : 0, &turn));
    f->fake.count = 0;
    under_way = step;
    bool done = reconcile_pass(&f->worker, &turn, &told);
    if (!step->killed)
        pace_end(&f->gate, &turn, done ? PACE_DONE : PACE_FAILED);
    for (int i = 0; i < f->fake.count && i < CALLS_SIZE - 1; i++)
        got[i] = letter_of(f->fake.calls[i]);
    check_str(name, "calls", got, step->want);
}

/* As a pass left it that was broken off behind this one. */
static void put_cursor(struct fixture *f, const char *cursor)
{
    struct turn turn;
    assert_true(pace_take(&f->gate, PACE_RECONCILE, 0, &turn));
    pace_note(&f->gate, &turn, cursor);
}

static void run_row(const struct row *row)
{
    struct fixture f = {0};
    fixture_configure(&f, "reconcile_interval = 1", FOUR);
    fixture_open_gate(&f);
    fixture_open_worker(&f);
    f.fake.answer = answer;
    fixture = &f;
    if (row->cursor != NULL)
        put_cursor(&f, row->cursor);
    for (size_t i = 0; i < STEPS_MAX && row->steps[i].want != NULL; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s, step %zu", row->name, i + 1);
        run_step(&f, name, &row->steps[i]);
    }
    fixture_close(&f);
}

static void run_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        run_row(&rows[i]);
}

static void test_pool_that_starts_compares_every_repository_once(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"nothing was broken off", NULL, {{POOL, .want = "abco"}, {POOL, .want = "abco"}}},
        {"broken off in the middle",
         NULL,
         {{POOL, .broken_off = 'c', .want = "abc"}, {POOL, .want = "coab"}, {POOL, .want = "abco"}}},
        {"killed in the middle",
         NULL,
         {{POOL, .broken_off = 'c', .killed = true, .want = "abc"}, {POOL, .want = "coab"}}},
        {"stopped between two", NULL, {{POOL, .stop = 'b', .want = "ab"}, {POOL, .want = "coab"}}},
        {"at the first", NULL, {{POOL, .broken_off = 'a', .want = "a"}, {POOL, .want = "abco"}}},
        {"at the last", NULL, {{POOL, .broken_off = 'o', .want = "abco"}, {POOL, .want = "oabc"}}},
        {"stopped behind the last", NULL, {{POOL, .stop = 'o', .want = "abco"}, {POOL, .want = "abco"}}},
    };
    run_rows(rows, COUNT_OF(rows));
}

/* However often it is broken off: each repository has its turn, and none has two. */
static void test_round_that_is_broken_off_goes_on_where_it_was(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"before the end, by the same pool",
         NULL,
         {{POOL, .broken_off = 'c', .killed = true, .want = "abc"}, {ANOTHER, .want = "co"}}},
        {"behind the last, by the same pool",
         NULL,
         {{POOL, .stop = 'o', .killed = true, .want = "abco"},
          {ANOTHER, .want = ""},
          {ANOTHER, .want = "abco"}}},
        {"before it came round, by the same pool",
         NULL,
         {{POOL, .broken_off = 'c', .want = "abc"},
          {POOL, .broken_off = 'o', .killed = true, .want = "co"},
          {ANOTHER, .want = "oab"},
          {ANOTHER, .want = "abco"}}},
        {"after it came round, by the same pool",
         NULL,
         {{POOL, .broken_off = 'c', .want = "abc"},
          {POOL, .broken_off = 'b', .killed = true, .want = "coab"},
          {ANOTHER, .want = "b"},
          {ANOTHER, .want = "abco"}}},
        {"after it came round, and a pool starts",
         NULL,
         {{POOL, .broken_off = 'c', .want = "abc"},
          {POOL, .broken_off = 'b', .want = "coab"},
          {POOL, .want = "bcoa"}}},
        {"stopped where it began",
         NULL,
         {{POOL, .broken_off = 'c', .want = "abc"},
          {POOL, .stop = 'b', .want = "coab"},
          {ANOTHER, .want = "abco"}}},
        {"each time after one",
         NULL,
         {{POOL, .stop = 'a', .want = "a"},
          {POOL, .stop = 'b', .want = "b"},
          {POOL, .stop = 'c', .want = "c"},
          {POOL, .stop = 'o', .want = "o"},
          {POOL, .want = "abco"}}},
    };
    run_rows(rows, COUNT_OF(rows));
}

static void test_repository_of_the_cursor_may_be_gone(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"in the middle", "b/gone", {{POOL, .want = "coab"}, {ANOTHER, .want = "abco"}}},
        {"before the first", "0/gone", {{POOL, .want = "abco"}}},
        {"behind the last", "z/gone", {{POOL, .want = "abco"}}},
        {"and it is broken off again",
         "b/gone",
         {{POOL, .broken_off = 'b', .killed = true, .want = "coab"}, {ANOTHER, .want = "b"}}},
    };
    run_rows(rows, COUNT_OF(rows));
}

/* Cron is at it, or the last process of the pool that ends, when the next pool starts. */
static void test_pool_that_starts_meanwhile_has_a_round_of_its_own(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"in the middle", NULL, {{CRON, .start = 'c', .want = "abc"}, {SAME, .want = "coab"}}},
        {"at the last", NULL, {{CRON, .start = 'o', .want = "abco"}, {SAME, .want = "oabc"}}},
        {"where it came round",
         NULL,
         {{POOL, .broken_off = 'c', .want = "abc"},
          {POOL, .broken_off = 'b', .killed = true, .want = "coab"},
          {CRON, .start = 'b', .want = "b"},
          {SAME, .want = "bcoa"}}},
    };
    run_rows(rows, COUNT_OF(rows));
}

/* Who takes it up does not know what failed before. */
static void test_one_that_failed_is_not_forgotten_when_the_rest_is_broken_off(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"before",
         NULL,
         {{POOL, .fails = 'a', .broken_off = 'c', .killed = true, .want = "abc"}, {ANOTHER, .want = "coa"}}},
        {"just before",
         NULL,
         {{POOL, .fails = 'b', .broken_off = 'c', .killed = true, .want = "abc"}, {ANOTHER, .want = "coab"}}},
        {"nothing is broken off", NULL, {{POOL, .fails = 'b', .want = "abco"}, {POOL, .want = "abco"}}},
    };
    run_rows(rows, COUNT_OF(rows));
}

static void test_without_repositories_a_round_is_over_at_once(void **state)
{
    (void)state;
    static const struct step nothing = {.want = ""};
    struct fixture f = {0};
    fixture_configure(&f, "reconcile_interval = 1", "");
    fixture_open_gate(&f);
    fixture_open_worker(&f);
    size_t count = f.config->policy_count;
    f.config->policy_count = 0;
    run_step(&f, "never", &nothing);
    put_cursor(&f, "b/gone");
    pace_join(&f.gate, PACE_RECONCILE, true);
    run_step(&f, "all are gone", &nothing);
    check_bool("all are gone", "due", pace_take(&f.gate, PACE_RECONCILE, HOUR_S, &(struct turn){0}), false);
    f.config->policy_count = count;
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_that_starts_compares_every_repository_once),
        cmocka_unit_test(test_round_that_is_broken_off_goes_on_where_it_was),
        cmocka_unit_test(test_repository_of_the_cursor_may_be_gone),
        cmocka_unit_test(test_pool_that_starts_meanwhile_has_a_round_of_its_own),
        cmocka_unit_test(test_one_that_failed_is_not_forgotten_when_the_rest_is_broken_off),
        cmocka_unit_test(test_without_repositories_a_round_is_over_at_once),
    };
    return cmocka_run_group_tests_name("rounds", tests, NULL, NULL);
}
