/* Which repositories everybody may see, whatever order webhooks come in. */
#include "check.h"

#include "fixture.h"
#include "prgate/visible.h"

enum { REPO = 5 };

struct telling {
    enum visibility visibility;
    int64_t updated_at;
};

static enum err_code tell_body(struct store_txn *txn, void *arg, struct err *err)
{
    const struct telling *telling = arg;
    struct event event = {.key = {.repo_id = REPO}, .visibility = telling->visibility};
    event.pr.updated_at = telling->updated_at;
    return visible_note(txn, &event, err);
}

static enum err_code get_body(struct store_txn *txn, void *arg, struct err *err)
{
    return visible_get(txn, REPO, arg, err);
}

static bool is_public(struct fixture *f)
{
    struct err err = {0};
    bool public = true;
    assert_int_equal(store_txn(f->gate.store, get_body, &public, &err), ERR_OK);
    return public;
}

static void test_newest_word_counts_and_doubt_hides(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct telling told[4];
        bool want;
    } rows[] = {
        {"nobody told", {{VISIBILITY_UNKNOWN, 0}}, false},
        {"public", {{VISIBILITY_PUBLIC, 10}}, true},
        {"private", {{VISIBILITY_PRIVATE, 10}}, false},
        {"says nothing about it", {{VISIBILITY_PUBLIC, 10}, {VISIBILITY_UNKNOWN, 20}}, true},
        {"turned private", {{VISIBILITY_PUBLIC, 10}, {VISIBILITY_PRIVATE, 20}}, false},
        {"turned private, late news", {{VISIBILITY_PUBLIC, 30}, {VISIBILITY_PRIVATE, 20}}, false},
        {"turned public", {{VISIBILITY_PRIVATE, 10}, {VISIBILITY_PUBLIC, 20}}, true},
        {"in the same second", {{VISIBILITY_PRIVATE, 10}, {VISIBILITY_PUBLIC, 10}}, true},
        {"an old word does not show it", {{VISIBILITY_PRIVATE, 20}, {VISIBILITY_PUBLIC, 10}}, false},
        {"not after a late one either",
         {{VISIBILITY_PUBLIC, 30}, {VISIBILITY_PRIVATE, 20}, {VISIBILITY_PUBLIC, 25}},
         false},
        {"but a new one does",
         {{VISIBILITY_PUBLIC, 30}, {VISIBILITY_PRIVATE, 20}, {VISIBILITY_PUBLIC, 31}},
         true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        struct err err = {0};
        fixture_open(&f, "");
        for (size_t j = 0; j < COUNT_OF(rows[i].told); j++)
            assert_int_equal(store_txn(f.gate.store, tell_body, (void *)(uintptr_t)&rows[i].told[j], &err),
                             ERR_OK);
        check_bool(rows[i].name, "public", is_public(&f), rows[i].want);
        fixture_close(&f);
    }
}

static enum err_code damage_body(struct store_txn *txn, void *arg, struct err *err)
{
    (void)arg;
    return store_put(txn, TABLE_SHARED, (struct bytes){"visible/5", 9}, (struct bytes){"junk", 4}, err);
}

static void test_damaged_row_hides_until_told_anew(void **state)
{
    (void)state;
    struct fixture f;
    struct err err = {0};
    struct telling telling = {VISIBILITY_PUBLIC, 10};
    fixture_open(&f, "");
    assert_int_equal(store_txn(f.gate.store, damage_body, NULL, &err), ERR_OK);
    check_bool("damaged", "public", is_public(&f), false);
    assert_int_equal(store_txn(f.gate.store, tell_body, &telling, &err), ERR_OK);
    check_bool("told anew", "public", is_public(&f), true);
    fixture_close(&f);
}

/* A webhook's word is kept as it comes in, and by a duplicate's too. */
static void test_door_keeps_what_a_webhook_says(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, "");
    struct event event = make_event(EVENT_OPENED, "d1");
    event.visibility = VISIBILITY_UNKNOWN;
    put_event(&f, &event, false);
    check_bool("unknown", "public", is_public(&f), false);
    event = make_event(EVENT_EDITED, "d2");
    put_event(&f, &event, false);
    check_bool("public", "public", is_public(&f), true);
    event = make_event(EVENT_EDITED, "d3");
    event.visibility = VISIBILITY_PRIVATE;
    put_event(&f, &event, false);
    check_bool("private", "public", is_public(&f), false);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newest_word_counts_and_doubt_hides),
        cmocka_unit_test(test_damaged_row_hides_until_told_anew),
        cmocka_unit_test(test_door_keeps_what_a_webhook_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
