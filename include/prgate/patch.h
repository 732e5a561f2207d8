/*
 * patch: is what a pull request does to a file more than words and blanks?
 *
 * Read from the hunks that GitHub shows, which is a part of the file only. So whatever is not certain counts. Pure, but
 * for the heap's memory while it works; thread-safe.
 */
#ifndef PRGATE_PATCH_H
#define PRGATE_PATCH_H

#include <stdbool.h>
#include <stdint.h>

/* As GitHub lists it; borrowed. */
struct patch_file {
    const char *name;   /* its path, behind a renaming */
    const char *status; /* "added", "modified", "removed", "renamed", ... */
    uint64_t additions;
    uint64_t deletions;
    const char
        *patch; /* unified hunks without file headers; NULL: GitHub shows none (binary, or too large) */
};

/*
 * false: it only
 *   - deletes or renames, or
 *   - adds blank lines and comments, in a language whose comments are known by the file's name, or
 *   - has each added line among the deleted ones, blanks aside: re-indented, re-wrapped blanks, moved.
 *     Where indentation is the program (Python, YAML, Makefiles), what a line begins with is no blank.
 * A comment that was begun outside of what the patch shows is not known to be one.
 */
bool patch_counts(const struct patch_file *file);

#endif
