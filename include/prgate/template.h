/*
 * template: a message of the configuration, with values in braces.
 *
 *     template_check("Thanks, {author}!", TEMPLATE_COMMON, bad)                         true
 *     values.of[TEMPLATE_AUTHOR] = "octocat";
 *     template_fill("Thanks, {author}!", &values, &out);                               "Thanks, @octocat!"
 *
 * "{{" and "}}" are braces. What people chose is written so that it is nothing but itself in Markdown: branches and
 * labels become code spans, logins that are none (and nothing else could hide in a login) too. Pure, thread-safe.
 */
#ifndef PRGATE_TEMPLATE_H
#define PRGATE_TEMPLATE_H

#include <stdbool.h>

#include "prgate/buf.h"

enum template_name {
    TEMPLATE_AUTHOR, /* login of the pull request's author; "@octocat" */
    TEMPLATE_NUMBER,
    TEMPLATE_REPO,        /* "owner/name" */
    TEMPLATE_BASE,        /* the branch that it is to be merged into */
    TEMPLATE_HEAD,        /* the branch that it comes from */
    TEMPLATE_SHA,         /* the commit, its first 12 digits */
    TEMPLATE_LABEL,       /* the gate label; in messages about the emergency label, that one */
    TEMPLATE_WANTED_BASE, /* base_wanted */
    TEMPLATE_PERSON,      /* who set the emergency label */
    TEMPLATE_NAME_END
};

/* Which names a template may have. */
enum {
    TEMPLATE_COMMON = (1 << TEMPLATE_AUTHOR) | (1 << TEMPLATE_NUMBER) | (1 << TEMPLATE_REPO) |
                      (1 << TEMPLATE_BASE) | (1 << TEMPLATE_HEAD) | (1 << TEMPLATE_SHA) |
                      (1 << TEMPLATE_LABEL),
    TEMPLATE_OF_BASE = TEMPLATE_COMMON | (1 << TEMPLATE_WANTED_BASE),
    TEMPLATE_OF_EMERGENCY = TEMPLATE_COMMON | (1 << TEMPLATE_PERSON)
};

enum { TEMPLATE_BAD_SIZE = 48, TEMPLATE_NAMES_SIZE = 160 };

struct template_values {
    const char *of[TEMPLATE_NAME_END]; /* NULL: not known, "" is written */
};

/* false: `bad` is the first that is wrong, as it stands there ("{autor}", "{"), perhaps cut. */
bool template_check(const char *text, unsigned allowed, char bad[TEMPLATE_BAD_SIZE]);

/* "{author}, {number}, ...". */
void template_names(unsigned allowed, char out[TEMPLATE_NAMES_SIZE]);

/* `text` is one that template_check() took; anything else stays as it stands there. */
void template_fill(const char *text, const struct template_values *values, struct buf *out);

/* A code span that shows just that text, whatever is in it. */
void template_add_code(struct buf *out, const char *text);

/* "@octocat", or a code span for what is no login; "somebody" for "". */
void template_add_login(struct buf *out, const char *login);

#endif
