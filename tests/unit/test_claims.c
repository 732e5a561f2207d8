/*
 * When a claim is free. The case of an owner that dies while it works is in test_inbox.c and test_drain.c.
 */
#include "check.h"

#include <pthread.h>

#include "fixture.h"
#include "prgate/claims.h"

static void test_claim_that_nobody_holds_is_free(void **state)
{
    (void)state;
    struct fixture f;
    struct claim none = {0};
    fixture_open(&f, "");
    assert_true(claims_is_free(f.gate.claims, &none));
    none.owner = *alive_self(f.gate.alive); /* who held it last does not matter */
    assert_true(claims_is_free(f.gate.claims, &none));
    fixture_close(&f);
}

static void test_claim_of_another_process_is_free_once_it_is_dead(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct claim claim = {.held = true, .token = {1}};
    fixture_configure(&f, "", "");
    pid_t child = start_process(&f, &claim.owner);
    fixture_open_gate(&f);
    assert_false(claims_is_free(f.gate.claims, &claim));
    kill_process(child);
    assert_true(claims_is_free(f.gate.claims, &claim));
    fixture_close(&f);
}

static void test_claim_of_another_process_is_not_freed_by_forgetting_it(void **state)
{
    (void)state;
    struct fixture f = {0};
    struct claim claim = {.held = true, .token = {1}};
    fixture_configure(&f, "", "");
    pid_t child = start_process(&f, &claim.owner);
    fixture_open_gate(&f);
    claims_new(f.gate.claims);
    claims_forget(f.gate.claims, &claim);
    assert_false(claims_is_free(f.gate.claims, &claim));
    assert_int_equal(claims_count(f.gate.claims), 1);
    kill_process(child);
    fixture_close(&f);
}

static void test_own_claim_is_held_until_it_is_forgotten(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    struct claim first = claims_new(f.gate.claims), second = claims_new(f.gate.claims);
    assert_false(claims_is_free(f.gate.claims, &first));
    claims_forget(f.gate.claims, &first);
    assert_true(claims_is_free(f.gate.claims, &first));
    assert_false(claims_is_free(f.gate.claims, &second));
    assert_int_equal(claims_count(f.gate.claims), 1);
    claims_forget(f.gate.claims, &first); /* a second time is one time */
    assert_int_equal(claims_count(f.gate.claims), 1);
    fixture_close(&f);
}

static void test_own_claim_that_is_not_on_the_list_was_left_over(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    struct claim left_over = claims_new(f.gate.claims);
    left_over.token[0] ^= 1;
    assert_true(claims_is_free(f.gate.claims, &left_over));
    fixture_close(&f);
}

static void test_claims_are_equal_by_token_and_only_when_held(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    struct claim claim = claims_new(f.gate.claims), copy = claim, other = claims_new(f.gate.claims);
    assert_true(claim.held);
    assert_memory_equal(&claim.owner, alive_self(f.gate.alive), sizeof claim.owner);
    assert_true(claim_equal(&claim, &copy));
    assert_false(claim_equal(&claim, &other));
    copy.held = false;
    assert_false(claim_equal(&claim, &copy));
    assert_false(claim_equal(&copy, &claim));
    assert_false(claim_equal(&copy, &copy));
    fixture_close(&f);
}

/* More than the list has room for at first; taken off in another order than they came. */
/* More than a byte counts, so that a carry is among them. */
static void test_no_two_claims_are_equal(void **state)
{
    (void)state;
    enum { MADE = 600 };
    static struct claim made[2 * MADE];
    struct fixture f;
    struct claims *others; /* as another process would have */
    fixture_open(&f, "");
    claims_open(&others, f.gate.alive);
    for (int i = 0; i < 2 * MADE; i++)
        made[i] = claims_new(i < MADE ? f.gate.claims : others);
    for (int i = 0; i < 2 * MADE; i++)
        for (int k = 0; k < i; k++)
            assert_false(claim_equal(&made[i], &made[k]));
    claims_close(others);
    fixture_close(&f);
}

static void test_list_grows_and_shrinks_in_any_order(void **state)
{
    (void)state;
    struct fixture f;
    struct claim all[50];
    fixture_open(&f, "");
    for (size_t i = 0; i < COUNT_OF(all); i++)
        all[i] = claims_new(f.gate.claims);
    assert_int_equal(claims_count(f.gate.claims), COUNT_OF(all));
    for (size_t i = 0; i < COUNT_OF(all); i += 2)
        claims_forget(f.gate.claims, &all[i]);
    for (size_t i = 0; i < COUNT_OF(all); i++)
        check_bool("every second one", "free", claims_is_free(f.gate.claims, &all[i]), i % 2 == 0);
    assert_int_equal(claims_count(f.gate.claims), COUNT_OF(all) / 2);
    fixture_close(&f);
}

static void *take_and_forget(void *arg)
{
    struct claims *claims = arg;
    for (int i = 0; i < 500; i++) {
        struct claim claim = claims_new(claims);
        if (claims_is_free(claims, &claim))
            return arg;
        claims_forget(claims, &claim);
        if (!claims_is_free(claims, &claim))
            return arg;
    }
    return NULL;
}

static void test_threads_share_the_list(void **state)
{
    (void)state;
    struct fixture f;
    pthread_t threads[4];
    void *failed;
    fixture_open(&f, "");
    struct claim kept = claims_new(f.gate.claims);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_forget, f.gate.claims), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(claims_count(f.gate.claims), 1);
    assert_false(claims_is_free(f.gate.claims, &kept));
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claim_that_nobody_holds_is_free),
        cmocka_unit_test(test_claim_of_another_process_is_free_once_it_is_dead),
        cmocka_unit_test(test_claim_of_another_process_is_not_freed_by_forgetting_it),
        cmocka_unit_test(test_own_claim_is_held_until_it_is_forgotten),
        cmocka_unit_test(test_own_claim_that_is_not_on_the_list_was_left_over),
        cmocka_unit_test(test_claims_are_equal_by_token_and_only_when_held),
        cmocka_unit_test(test_no_two_claims_are_equal),
        cmocka_unit_test(test_list_grows_and_shrinks_in_any_order),
        cmocka_unit_test(test_threads_share_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
