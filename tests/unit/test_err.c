#include "prgate/err.h"

#include <errno.h>

#include "check.h"

static void set_fills_all_and_returns_the_code(void **state)
{
    struct err err = {.retry_at_ms = 99};
    (void)state;
    check_int("set", "code", err_set(&err, ERR_RETRY, EAGAIN, "cannot read %s", "x"), ERR_RETRY);
    check_int("set", "err.code", err.code, ERR_RETRY);
    check_int("set", "number", err.number, EAGAIN);
    check_int("set", "retry_at_ms", err.retry_at_ms, 0);
    check_str("set", "text", err.text, "cannot read x");
}

static void set_needs_no_err(void **state)
{
    (void)state;
    check_int("NULL", "code", err_set(NULL, ERR_FATAL, 0, "nobody reads this"), ERR_FATAL);
}

static void set_cuts_long_texts(void **state)
{
    struct err err;
    (void)state;
    err_set(&err, ERR_REJECT, 0, "%0*d", 2 * ERR_TEXT_MAX, 0);
    check_u64("long", "length", strlen(err.text), ERR_TEXT_MAX - 1);
}

static void set_can_use_its_own_old_number(void **state)
{
    struct err err;
    (void)state;
    err_set(&err, ERR_REJECT, 5, "first");
    err_set(&err, ERR_CORRUPT, err.number, "second");
    check_int("again", "number", err.number, 5);
    check_int("again", "code", err.code, ERR_CORRUPT);
}

static void wrap_puts_the_verb_first(void **state)
{
    struct err err;
    (void)state;
    err_set(&err, ERR_CONFLICT, 3, "it is there");
    check_int("wrap", "code", err_wrap(&err, "writing"), ERR_CONFLICT);
    check_int("wrap twice", "code", err_wrap(&err, "opening the store"), ERR_CONFLICT);
    check_str("wrap twice", "text", err.text, "opening the store: writing: it is there");
    check_int("wrap twice", "number", err.number, 3);
}

static void wrap_cuts_at_the_end(void **state)
{
    struct err err;
    char verb[2 * ERR_TEXT_MAX];
    (void)state;
    err_set(&err, ERR_REJECT, 0, "%0*d", ERR_TEXT_MAX - 1, 0);
    err_wrap(&err, "verb");
    check_u64("long text", "length", strlen(err.text), ERR_TEXT_MAX - 1);
    check_int("long text", "start", strncmp(err.text, "verb: 000", 9), 0);
    memset(verb, 'v', sizeof verb - 1);
    verb[sizeof verb - 1] = '\0';
    check_int("long verb", "code", err_wrap(&err, verb), ERR_REJECT);
    check_u64("long verb", "length", strlen(err.text), ERR_TEXT_MAX - 1);
}

static void every_code_has_its_name(void **state)
{
    static const struct {
        enum err_code code;
        const char *name;
    } rows[] = {
        {ERR_OK, "ok"},           {ERR_RETRY, "retry"},       {ERR_UNKNOWN, "unknown"},
        {ERR_REJECT, "reject"},   {ERR_CONFLICT, "conflict"}, {ERR_NOT_FOUND, "not_found"},
        {ERR_CORRUPT, "corrupt"}, {ERR_FATAL, "fatal"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_str(rows[i].name, "name", err_code_name(rows[i].code), rows[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_fills_all_and_returns_the_code),
        cmocka_unit_test(set_needs_no_err),
        cmocka_unit_test(set_cuts_long_texts),
        cmocka_unit_test(set_can_use_its_own_old_number),
        cmocka_unit_test(wrap_puts_the_verb_first),
        cmocka_unit_test(wrap_cuts_at_the_end),
        cmocka_unit_test(every_code_has_its_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
