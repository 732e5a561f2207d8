#include "prgate/spares.h"

#include <pthread.h>

#include "check.h"

static unsigned released;

static void note_release(void *one)
{
    (void)one;
    released++;
}

static void takes_what_was_given(void **state)
{
    struct spares spares = SPARES_NONE;
    int one = 1, other = 2;
    (void)state;
    check_bool("new", "none", spares_take(&spares) == NULL, true);
    assert_true(spares_give(&spares, &one));
    assert_true(spares_give(&spares, &other));
    int *first = spares_take(&spares), *second = spares_take(&spares);
    check_int("two", "sum", *first + *second, 3);
    check_bool("two", "no more", spares_take(&spares) == NULL, true);
}

static void keeps_so_many_and_no_more(void **state)
{
    struct spares spares = SPARES_NONE;
    int things[SPARES_MAX + 1] = {0};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(things); i++)
        check_bool("given", "kept", spares_give(&spares, &things[i]), i < SPARES_MAX);
    released = 0;
    spares_drop(&spares, note_release);
    check_u64("dropped", "released", released, SPARES_MAX);
    spares_drop(&spares, note_release);
    check_u64("dropped again", "released", released, SPARES_MAX);
}

enum { THREADS = SPARES_MAX + 4, ROUNDS = 2000 };

static struct spares shared;
static int in_use[THREADS]; /* one for each thread; without a lock, so that two that hold the same are seen */

static void *use_often(void *arg)
{
    int *own = arg;
    for (int i = 0; i < ROUNDS; i++) {
        int *one = spares_take(&shared);
        if (one == NULL)
            one = own;
        if (one == NULL)
            continue;
        own = one == own ? NULL : own;
        if (++*one != 1)
            return arg;
        --*one;
        if (!spares_give(&shared, one))
            own = one;
    }
    return NULL;
}

static void nobody_has_what_another_has(void **state)
{
    pthread_t threads[THREADS];
    void *found;
    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_often, &in_use[i]), 0);
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], &found), 0);
        check_bool("at once", "two had the same", found != NULL, false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_was_given),
        cmocka_unit_test(keeps_so_many_and_no_more),
        cmocka_unit_test(nobody_has_what_another_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
