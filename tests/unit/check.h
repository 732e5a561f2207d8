/*
 * check: assertions for table-driven tests. Each takes the row's name, so that a
 * failure reads "row: what: got X, want Y". Include after the module under test.
 */
#ifndef PRGATE_TESTS_CHECK_H
#define PRGATE_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static inline void check_int(const char *row, const char *what, int64_t got, int64_t want)
{
    if (got != want)
        fail_msg("%s: %s: got %" PRId64 ", want %" PRId64, row, what, got, want);
}

static inline void check_u64(const char *row, const char *what, uint64_t got, uint64_t want)
{
    if (got != want)
        fail_msg("%s: %s: got %" PRIu64 ", want %" PRIu64, row, what, got, want);
}

static inline void check_bool(const char *row, const char *what, bool got, bool want)
{
    if (got != want)
        fail_msg("%s: %s: got %s, want %s", row, what, got ? "true" : "false", want ? "true" : "false");
}

static inline void check_str(const char *row, const char *what, const char *got, const char *want)
{
    if (strcmp(got, want) != 0)
        fail_msg("%s: %s: got \"%s\", want \"%s\"", row, what, got, want);
}

static inline void check_contains(const char *row, const char *what, const char *got, const char *part)
{
    if (strstr(got, part) == NULL)
        fail_msg("%s: %s: got \"%s\", want something with \"%s\"", row, what, got, part);
}

#endif
