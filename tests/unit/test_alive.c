/*
 * Who lives, who has the claim, what the processes share.
 */
#include "check.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>

#include "fixture.h"
#include "prgate/alive.h"
#include "prgate/claims.h"
#include "prgate/metrics.h"
#include "prgate/shared_tokens.h"

static int count_files(const char *dir)
{
    char path[128];
    snprintf(path, sizeof path, "%s/state/alive", dir);
    DIR *list = opendir(path);
    assert_non_null(list);
    int count = 0;
    while (readdir(list) != NULL)
        count++;
    closedir(list);
    return count - 2; /* . and .. */
}

static void test_process_is_alive_until_it_is_killed(void **state)
{
    (void)state;
    struct fixture f;
    struct process_id id;
    int ends[2], status;
    fixture_open(&f, "");
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct alive *alive;
        struct err err = {0};
        char path[128];
        snprintf(path, sizeof path, "%s/state", f.dir);
        if (alive_open(&alive, path, &err) != ERR_OK ||
            write(ends[1], alive_self(alive), sizeof id) != (ssize_t)sizeof id)
            _exit(1);
        pause();
        _exit(1);
    }
    assert_int_equal(read(ends[0], &id, sizeof id), sizeof id);
    assert_true(alive_is(f.gate.alive, &id));
    assert_true(alive_is(f.gate.alive, alive_self(f.gate.alive)));
    assert_int_equal(alive_sweep(f.gate.alive), 0);
    assert_int_equal(count_files(f.dir), 2);
    struct claim claim = {.held = true, .owner = id};
    assert_false(claims_is_free(f.gate.claims, &claim));
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    assert_false(alive_is(f.gate.alive, &id));
    assert_true(claims_is_free(f.gate.claims, &claim));
    assert_int_equal(alive_sweep(f.gate.alive), 1);
    assert_int_equal(count_files(f.dir), 1);
    close(ends[0]);
    close(ends[1]);
    fixture_close(&f);
}

static void test_claim_is_of_one_thread_or_free(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    struct claim none = {0}, first = claims_new(f.gate.claims), second = claims_new(f.gate.claims);
    assert_true(claims_is_free(f.gate.claims, &none));
    assert_false(claims_is_free(f.gate.claims, &first));
    assert_false(claim_equal(&first, &second));
    assert_false(claim_equal(&none, &none));
    claims_forget(f.gate.claims, &first);
    assert_true(claims_is_free(f.gate.claims, &first));
    assert_false(claims_is_free(f.gate.claims, &second));
    assert_int_equal(claims_count(f.gate.claims), 1);
    fixture_close(&f);
}

static void test_metrics_are_shared_and_well_formed(void **state)
{
    (void)state;
    struct fixture f;
    struct metrics *other;
    struct err err = {0};
    struct buf text;
    char path[128], *line, *rest;
    fixture_open(&f, "");
    snprintf(path, sizeof path, "%s/state", f.dir);
    assert_int_equal(metrics_open(&other, path, &err), ERR_OK);
    metrics_add(f.gate.metrics, METRIC_TAKEN);
    metrics_add(other, METRIC_TAKEN);
    assert_int_equal(metrics_get(f.gate.metrics, METRIC_TAKEN), 2);
    buf_init(&text);
    metrics_print(other, &text);
    check_contains("metrics", "text", buf_text(&text), "\nprgate_deliveries_total{outcome=\"taken\"} 2\n");
    char family[128] = "";
    for (line = strtok_r((char *)(uintptr_t)buf_text(&text), "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "# TYPE ", 7) == 0)
            sscanf(line + 7, "%127s", family);
        else if (line[0] != '#' && strncmp(line, family, strlen(family)) != 0)
            fail_msg("\"%s\" stands under the TYPE of %s", line, family);
    }
    buf_release(&text);
    metrics_close(other);
    fixture_close(&f);
}

static void test_one_process_mints_a_token_for_all(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    char token[GITHUB_TOKEN_SIZE];
    int64_t expires;
    fixture_open(&f, "");
    struct github_tokens tokens = shared_tokens(f.gate.store);
    assert_int_equal(tokens.get(tokens.arg, 7, token, &expires, &err), ERR_NOT_FOUND);
    assert_true(tokens.lease(tokens.arg, 7));
    assert_false(tokens.lease(tokens.arg, 7));
    assert_true(tokens.lease(tokens.arg, 8)); /* another installation is another matter */
    assert_int_equal(tokens.put(tokens.arg, 7, "ghs_x", 1234, &err), ERR_OK);
    assert_int_equal(tokens.get(tokens.arg, 7, token, &expires, &err), ERR_OK);
    assert_string_equal(token, "ghs_x");
    assert_int_equal(expires, 1234);
    assert_true(tokens.lease(tokens.arg, 7)); /* putting ended it */
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_process_is_alive_until_it_is_killed),
        cmocka_unit_test(test_claim_is_of_one_thread_or_free),
        cmocka_unit_test(test_metrics_are_shared_and_well_formed),
        cmocka_unit_test(test_one_process_mints_a_token_for_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
