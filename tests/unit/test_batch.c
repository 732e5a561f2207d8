#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "prgate/batch.h"

enum { THREADS = 24, EACH = 400 };

/* What threads wish for: a number from a counter that nothing but the batches guards. */
struct wish {
    struct batch_item item;
    int number;
    int settled;
};

struct shop {
    struct batches batches;
    bool begun;
    int next;
    int run, largest; /* items, of the batch at hand and of the largest */
    int ends;
    atomic_int at_it;
    atomic_bool hold, held;         /* begin() waits while `hold` is set */
    atomic_bool hold_run, held_run; /* so does the first run() */
};

static void begin(void *arg)
{
    struct shop *shop = arg;
    assert_int_equal(atomic_fetch_add(&shop->at_it, 1), 0);
    assert_false(shop->begun);
    shop->begun = true;
    while (atomic_load(&shop->hold)) {
        atomic_store(&shop->held, true);
        sched_yield();
    }
}

static void run(void *arg, struct batch_item *const *items, size_t count)
{
    struct shop *shop = arg;
    assert_true(shop->begun);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++)
        ((struct wish *)items[i])->number = shop->next++;
    shop->run += (int)count;
    while (atomic_load(&shop->hold_run)) {
        atomic_store(&shop->held_run, true);
        sched_yield();
    }
}

static void end(void *arg)
{
    struct shop *shop = arg;
    assert_true(shop->begun);
    assert_in_range(shop->run, 1, BATCH_MAX);
    if (shop->run > shop->largest)
        shop->largest = shop->run;
    shop->begun = false;
    shop->run = 0;
    shop->ends++;
    assert_int_equal(atomic_fetch_sub(&shop->at_it, 1), 1);
}

static void settle(void *arg, struct batch_item *const *items, size_t count)
{
    (void)arg;
    for (size_t i = count; i-- > 0;) { /* in whatever order */
        ((struct wish *)items[i])->settled++;
        batch_tell(items[i]);
    }
}

static void open_shop(struct shop *shop)
{
    *shop = (struct shop){.batches = {.begin = begin, .run = run, .end = end, .settle = settle, .arg = shop}};
    batches_init(&shop->batches);
}

static void *wish_often(void *arg)
{
    struct shop *shop = arg;
    intptr_t wrong = 0;
    int before = -1;
    for (int i = 0; i < EACH; i++) {
        struct wish wish = {.number = -1};
        batch_do(&shop->batches, &wish.item);
        wrong += wish.settled != 1 || wish.number <= before;
        before = wish.number;
    }
    return (void *)wrong;
}

static void join_all(const pthread_t *threads, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
}

static void test_each_is_run_and_settled_once(void **state)
{
    (void)state;
    struct shop shop;
    pthread_t threads[THREADS];
    open_shop(&shop);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wish_often, &shop), 0);
    join_all(threads, THREADS);
    assert_int_equal(shop.next, THREADS * EACH);
    assert_false(shop.batches.led);
    assert_null(shop.batches.first);
    batches_release(&shop.batches);
}

static void *wish_once(void *arg)
{
    struct shop *shop = arg;
    struct wish wish = {.number = -1};
    batch_do(&shop->batches, &wish.item);
    return wish.settled == 1 ? NULL : arg;
}

static size_t queued(struct batches *batches)
{
    size_t count = 0;
    pthread_mutex_lock(&batches->mutex);
    for (const struct batch_item *item = batches->first; item != NULL; item = item->next)
        count++;
    pthread_mutex_unlock(&batches->mutex);
    return count;
}

/* Who comes while the first one begins is in its batch; who is too many, in the next one. */
static void test_those_who_come_meanwhile_are_done_together(void **state)
{
    (void)state;
    enum { COME = BATCH_MAX + 3 };
    struct shop shop;
    pthread_t threads[COME];
    open_shop(&shop);
    atomic_store(&shop.hold, true);
    for (size_t i = 0; i < COME; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wish_once, &shop), 0);
    while (!atomic_load(&shop.held) || queued(&shop.batches) < COME)
        sched_yield();
    atomic_store(&shop.hold, false);
    join_all(threads, COME);
    assert_int_equal(shop.largest, BATCH_MAX);
    assert_int_equal(shop.ends, 2);
    batches_release(&shop.batches);
}

/* Who comes while others are run is in their batch, too, where there is room; who is too many, in the next one. */
static void test_those_who_come_while_it_runs_are_done_with_it(void **state)
{
    (void)state;
    enum { COME = BATCH_MAX + 2 };
    struct shop shop;
    pthread_t threads[COME];
    open_shop(&shop);
    atomic_store(&shop.hold_run, true);
    assert_int_equal(pthread_create(&threads[0], NULL, wish_once, &shop), 0);
    while (!atomic_load(&shop.held_run))
        sched_yield();
    for (size_t i = 1; i < COME; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wish_once, &shop), 0);
    while (queued(&shop.batches) < COME - 1)
        sched_yield();
    atomic_store(&shop.hold_run, false);
    join_all(threads, COME);
    assert_int_equal(shop.largest, BATCH_MAX);
    assert_int_equal(shop.ends, 2);
    batches_release(&shop.batches);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_is_run_and_settled_once),
        cmocka_unit_test(test_those_who_come_meanwhile_are_done_together),
        cmocka_unit_test(test_those_who_come_while_it_runs_are_done_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
