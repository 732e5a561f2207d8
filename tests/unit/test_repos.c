/*
 * Which repositories prgate can name by itself.
 */
#include "check.h"

#include "fixture.h"
#include "prgate/repos.h"

struct name {
    const char *repo;
    uint64_t id;
};

static enum err_code put_name_body(struct store_txn *txn, void *arg, struct err *err)
{
    const struct name *name = arg;
    return table_put_name(txn, name->repo, name->id, err);
}

static void put_name(struct fixture *f, const char *repo, uint64_t id)
{
    struct err err = {0};
    struct name name = {repo, id};
    assert_int_equal(store_txn(f->gate.store, put_name_body, &name, &err), ERR_OK);
}

/* A second section behind octo/repo's. */
static void open_with(struct fixture *f, const char *sections)
{
    char keys[512];
    *f = (struct fixture){0};
    snprintf(keys, sizeof keys, "}\n%s\nrepo \"last/*\" {", sections);
    fixture_configure(f, "", keys);
    fixture_open_gate(f);
}

static void expect_walk(struct fixture *f, const char *row, const char *const *want)
{
    char name[REPO_NAME_SIZE] = "";
    struct err err = {0};
    enum err_code code;
    size_t i = 0;
    while ((code = repos_next(&f->gate, name, &err)) == ERR_OK) {
        check_str(row, "next", name, want[i] == NULL ? "(no more)" : want[i]);
        i++;
    }
    check_str(row, "end", err_code_name(code), "not_found");
    check_bool(row, "all", want[i] == NULL, true);
}

static void test_configured_ones_are_named_whether_known_or_not(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "repo \"Acme/Rocket\" { }\nrepo \"zoo/a\" { }");
    expect_walk(&f, "not known", (const char *[]){"acme/rocket", "octo/repo", "zoo/a", NULL});
    put_name(&f, "octo/repo", 5);
    put_name(&f, "acme/ROCKET", 6);
    expect_walk(&f, "known", (const char *[]){"acme/rocket", "octo/repo", "zoo/a", NULL});
    fixture_close(&f);
}

static void test_those_of_a_star_are_named_once_they_are_known(void **state)
{
    (void)state;
    struct fixture f;
    open_with(&f, "repo \"acme/*\" { }");
    expect_walk(&f, "nothing known", (const char *[]){"octo/repo", NULL});
    put_name(&f, "acme/one", 5);
    put_name(&f, "last/two", 6);
    put_name(&f, "gone/three", 7); /* no section covers it any more */
    put_name(&f, "zoo/four", 8);
    expect_walk(&f, "known", (const char *[]){"acme/one", "last/two", "octo/repo", NULL});
    fixture_close(&f);
}

static enum err_code put_raw_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    return store_put(txn, TABLE_NAME, (struct bytes){"acme/aaa", 8}, (struct bytes){"junk", 4}, err);
}

static void test_damaged_entry_does_not_end_the_walk(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    open_with(&f, "repo \"acme/*\" { }");
    put_name(&f, "acme/one", 5);
    assert_int_equal(store_txn(f.gate.store, put_raw_body, NULL, &err), ERR_OK);
    expect_walk(&f, "damaged", (const char *[]){"acme/one", "octo/repo", NULL});
    fixture_close(&f);
}

static void test_ids_are_what_webhooks_told(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    struct repo_ids ids = repos_ids(&f.gate, "octo/repo");
    check_u64("not known", "repo", ids.repo, 0);
    check_u64("not known", "installation", ids.installation, 0);
    struct event event = make_event(EVENT_OPENED, "d1");
    put_event(&f, &event, false);
    struct record record = get_record(&f);
    record.installation = 77;
    put_record(&f, &record);
    record_release(&record);
    ids = repos_ids(&f.gate, "Octo/Repo");
    check_u64("known", "repo", ids.repo, 5);
    check_u64("known", "installation", ids.installation, 77);
    put_name(&f, "octo/none", 4); /* its neighbour's records are not its own */
    ids = repos_ids(&f.gate, "octo/none");
    check_u64("without records", "repo", ids.repo, 4);
    check_u64("without records", "installation", ids.installation, 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configured_ones_are_named_whether_known_or_not),
        cmocka_unit_test(test_those_of_a_star_are_named_once_they_are_known),
        cmocka_unit_test(test_damaged_entry_does_not_end_the_walk),
        cmocka_unit_test(test_ids_are_what_webhooks_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
