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
        cmocka_unit_test(test_without),
    };
    return cmocka_run_group_tests_name("questions", tests, NULL, NULL);
}
