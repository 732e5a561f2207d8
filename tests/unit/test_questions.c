/*
 * Questions that several have at the same moment: one asks, the others wait for its answer.
 */
#include "check.h"

#include <stdio.h>

#include "prgate/fiber.h"
#include "prgate/questions.h"

struct asker {
    struct questions *questions;
    struct fiber *fiber;
    const char *question;
    bool first;
    bool done;
};

static void ask(void *arg)
{
    struct asker *asker = arg;
    asker->fiber = fiber_self();
    asker->first = questions_begin(asker->questions, asker->question);
    if (asker->first) {
        fiber_wait(); /* for GitHub */
        questions_end(asker->questions, asker->question);
    }
    asker->done = true;
}

static void test_one_asks_and_the_others_wait(void **state)
{
    (void)state;
    struct err err = {0};
    struct questions *questions = questions_open();
    struct fibers *fibers = fibers_new();
    struct asker askers[20];
    for (int i = 0; i < 20; i++) {
        askers[i] = (struct asker){.questions = questions, .question = i % 2 == 0 ? "even" : "odd"};
        assert_int_equal(fibers_start(fibers, ask, &askers[i], &err), ERR_OK);
    }
    fibers_run(fibers);
    for (int i = 0; i < 20; i++) {
        check_bool("asks", "first", askers[i].first, i < 2);
        check_bool("waits", "done", askers[i].done, false);
    }
    fiber_wake(askers[0].fiber);
    for (int wait_ms = fibers_run(fibers); fibers_count(fibers) > 10; wait_ms = fibers_run(fibers))
        fiber_sleep_ms(wait_ms);
    for (int i = 0; i < 20; i++)
        check_bool(askers[i].question, "done", askers[i].done, i % 2 == 0);
    check_bool("ended", "may be asked again", questions_begin(questions, "even"), true);
    questions_end(questions, "even");
    questions_end(questions, "even"); /* once more does nothing */
    fiber_wake(askers[1].fiber);
    for (int wait_ms = fibers_run(fibers); fibers_count(fibers) > 0; wait_ms = fibers_run(fibers))
        fiber_sleep_ms(wait_ms);
    fibers_free(fibers);
    questions_close(questions);
}

/* Where GitHub does not answer, one asker may follow the other: nobody waits for all of them. */
static void test_who_waits_does_not_wait_for_the_next_one(void **state)
{
    (void)state;
    enum { FIRST, WAITS, NEXT, ALL };
    struct err err = {0};
    struct questions *questions = questions_open();
    struct fibers *fibers = fibers_new();
    struct asker askers[ALL];
    for (int i = 0; i < ALL; i++)
        askers[i] = (struct asker){.questions = questions, .question = "same"};
    assert_int_equal(fibers_start(fibers, ask, &askers[FIRST], &err), ERR_OK);
    assert_int_equal(fibers_start(fibers, ask, &askers[WAITS], &err), ERR_OK);
    fibers_run(fibers);
    fiber_wake(askers[FIRST].fiber);
    assert_int_equal(fibers_start(fibers, ask, &askers[NEXT], &err), ERR_OK);
    int wait_ms = fibers_run(fibers);
    for (int looks = 0; looks < 5 && wait_ms >= 0; looks++, wait_ms = fibers_run(fibers))
        fiber_sleep_ms(wait_ms);
    check_bool("ended", "done", askers[FIRST].done, true);
    check_bool("next", "first", askers[NEXT].first, true);
    check_bool("next", "done", askers[NEXT].done, false);
    check_bool("waited", "done", askers[WAITS].done, true);
    fiber_wake(askers[NEXT].fiber);
    fibers_run(fibers);
    check_int("all", "left", (int)fibers_count(fibers), 0);
    fibers_free(fibers);
    questions_close(questions);
}

static void test_without(void **state)
{
    (void)state;
    check_bool("NULL", "first", questions_begin(NULL, "even"), true);
    check_bool("NULL", "first", questions_begin(NULL, "even"), true);
    questions_end(NULL, "even");
    questions_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_asks_and_the_others_wait),
        cmocka_unit_test(test_who_waits_does_not_wait_for_the_next_one),
        cmocka_unit_test(test_without),
    };
    return cmocka_run_group_tests_name("questions", tests, NULL, NULL);
}
