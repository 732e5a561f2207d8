/*
 * Installation tokens that a pool shares: one process mints, all find it.
 */
#include "check.h"

#include <pthread.h>

#include "fixture.h"
#include "prgate/codec.h"
#include "prgate/shared_tokens.h"

static struct github_tokens open_tokens(struct fixture *f)
{
    fixture_open(f, "");
    return shared_tokens_use(f->gate.tokens);
}

static bool lease(const struct github_tokens *tokens, uint64_t installation)
{
    return tokens->lease(tokens->arg, installation);
}

static void put(const struct github_tokens *tokens, uint64_t installation, const char *token, int64_t expires)
{
    struct err err = {0};
    if (tokens->put(tokens->arg, installation, token, expires, &err) != ERR_OK)
        fail_msg("put: %s", err.text);
}

static void expect_token(const struct github_tokens *tokens, uint64_t installation, const char *want,
                         int64_t want_expires)
{
    struct err err = {0};
    char token[GITHUB_TOKEN_SIZE] = "";
    int64_t expires = -1;
    enum err_code code = tokens->get(tokens->arg, installation, token, &expires, &err);
    check_str("get", "code", err_code_name(code), want == NULL ? "not_found" : "ok");
    check_str("get", "token", token, want == NULL ? "" : want);
    check_int("get", "expires", expires, want == NULL ? -1 : want_expires);
}

struct raw {
    const char *name;
    struct buf value;
};

static enum err_code put_raw_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct raw *raw = arg;
    return store_put(txn, TABLE_SHARED, (struct bytes){raw->name, strlen(raw->name)}, buf_bytes(&raw->value),
                     err);
}

static void put_raw(struct fixture *f, struct raw *raw)
{
    struct err err = {0};
    assert_int_equal(store_txn(f->gate.store, put_raw_body, raw, &err), ERR_OK);
    buf_release(&raw->value);
}

/* As if a lease that ends then had been taken, and nobody here had asked for it yet. */
static void put_lease(struct fixture *f, int64_t until_ms, struct github_tokens *tokens)
{
    struct raw raw = {.name = "lease/7"};
    encode_i64(&raw.value, until_ms);
    put_raw(f, &raw);
    shared_tokens_close(f->gate.tokens);
    f->gate.tokens = shared_tokens_open(f->gate.store);
    *tokens = shared_tokens_use(f->gate.tokens);
}

static void test_token_is_found_by_all_until_another_replaces_it(void **state)
{
    (void)state;
    struct fixture f;
    struct github_tokens tokens = open_tokens(&f), others = shared_tokens_use(f.gate.tokens);
    expect_token(&tokens, 7, NULL, 0);
    put(&tokens, 7, "ghs_first", 1234);
    expect_token(&others, 7, "ghs_first", 1234);
    expect_token(&others, 70, NULL, 0); /* another installation, though it starts alike */
    put(&others, 7, "ghs_second", 5678);
    expect_token(&tokens, 7, "ghs_second", 5678);
    fixture_close(&f);
}

static void test_one_at_a_time_has_the_lease_and_putting_ends_it(void **state)
{
    (void)state;
    struct fixture f;
    struct github_tokens tokens = open_tokens(&f), others = shared_tokens_use(f.gate.tokens);
    check_bool("first", "lease", lease(&tokens, 7), true);
    check_bool("second", "lease", lease(&others, 7), false);
    check_bool("holder again", "lease", lease(&tokens, 7), false);
    check_bool("another installation", "lease", lease(&others, 8), true);
    put(&tokens, 7, "ghs_x", 1234);
    check_bool("after putting", "lease", lease(&others, 7), true);
    check_bool("the other is untouched", "lease", lease(&tokens, 8), false);
    fixture_close(&f);
}

static void test_lease_ends_by_itself(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t from_now_ms;
        bool taken;
    } rows[] = {
        {"about to end", 2000, false},
        {"just taken", 4900, false},
        {"over", -1, true},
        {"long over", -3600000, true},
        {"from a clock that was set back", 3600000, true},
    };
    struct fixture f;
    struct github_tokens tokens = open_tokens(&f);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        put_lease(&f, clock_now_ms() + rows[i].from_now_ms, &tokens);
        check_bool(rows[i].name, "lease", lease(&tokens, 7), rows[i].taken);
        if (rows[i].taken)
            check_bool(rows[i].name, "a second one", lease(&tokens, 7), false);
    }
    fixture_close(&f);
}

static void test_damaged_rows_are_minted_over(void **state)
{
    (void)state;
    struct fixture f;
    struct github_tokens tokens = open_tokens(&f);
    struct raw token = {.name = "token/7"}, taken = {.name = "lease/7"};
    put(&tokens, 7, "ghs_x", 1234);
    buf_adds(&token.value, "junk");
    put_raw(&f, &token);
    expect_token(&tokens, 7, NULL, 0);
    buf_adds(&taken.value, "junk");
    put_raw(&f, &taken);
    check_bool("damaged lease", "lease", lease(&tokens, 7), true);
    put(&tokens, 7, "ghs_y", 5678);
    expect_token(&tokens, 7, "ghs_y", 5678);
    fixture_close(&f);
}

static void test_token_that_does_not_fit_is_refused_whole(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    char text[GITHUB_TOKEN_SIZE + 1];
    struct github_tokens tokens = open_tokens(&f);
    memset(text, 'x', sizeof text);
    text[GITHUB_TOKEN_SIZE] = '\0';
    assert_int_equal(tokens.put(tokens.arg, 7, text, 1234, &err), ERR_REJECT);
    assert_null(strstr(err.text, "xxx")); /* it is a secret all the same */
    expect_token(&tokens, 7, NULL, 0);
    text[GITHUB_TOKEN_SIZE - 1] = '\0';
    put(&tokens, 7, text, 1234);
    expect_token(&tokens, 7, text, 1234);
    fixture_close(&f);
}

/* Hundreds may wait for a token: the store is not asked for each of them each time. */
static void test_one_asks_the_store_for_all_who_wait(void **state)
{
    (void)state;
    skip_if_run_again();
    struct fixture f;
    struct github_tokens tokens = open_tokens(&f);
    put_lease(&f, clock_now_ms() + 4000, &tokens);
    for (int round = 1; round <= 2; round++) {
        uint64_t before = store_get_stats(f.gate.store).transactions;
        int64_t start_ms = clock_monotonic_ms();
        for (int i = 0; i < 100; i++)
            check_bool("taken", "lease", lease(&tokens, 7), false);
        uint64_t asked = store_get_stats(f.gate.store).transactions - before;
        uint64_t at_most = (uint64_t)(clock_monotonic_ms() - start_ms) / 45 + 1;
        check_bool("asked", "at all", asked >= 1, true);
        check_bool("asked", "no more often than once in a while", asked <= at_most, true);
        usleep(50000);
    }
    fixture_close(&f);
}

static void *take_lease(void *arg)
{
    return lease(arg, 7) ? arg : NULL;
}

static void test_one_of_many_threads_gets_the_lease(void **state)
{
    (void)state;
    struct fixture f;
    pthread_t threads[8];
    struct github_tokens tokens = open_tokens(&f);
    int taken = 0;
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_lease, &tokens), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        void *got;
        pthread_join(threads[i], &got);
        taken += got != NULL;
    }
    check_int("threads", "leases", taken, 1);
    fixture_close(&f);
}

static void take_lease_and_die(struct fixture *f)
{
    struct github_tokens tokens = shared_tokens_use(f->gate.tokens);
    if (lease(&tokens, 7))
        kill(getpid(), SIGKILL);
}

static void test_lease_of_the_dead_holds_until_its_end_and_no_longer(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open_after_kill(&f, take_lease_and_die);
    struct github_tokens tokens = shared_tokens_use(f.gate.tokens);
    check_bool("at once", "lease", lease(&tokens, 7), false);
    put_lease(&f, clock_now_ms() - 1, &tokens); /* as if its time were over */
    check_bool("later", "lease", lease(&tokens, 7), true);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_is_found_by_all_until_another_replaces_it),
        cmocka_unit_test(test_one_at_a_time_has_the_lease_and_putting_ends_it),
        cmocka_unit_test(test_lease_ends_by_itself),
        cmocka_unit_test(test_damaged_rows_are_minted_over),
        cmocka_unit_test(test_token_that_does_not_fit_is_refused_whole),
        cmocka_unit_test(test_one_asks_the_store_for_all_who_wait),
        cmocka_unit_test(test_one_of_many_threads_gets_the_lease),
        cmocka_unit_test(test_lease_of_the_dead_holds_until_its_end_and_no_longer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
