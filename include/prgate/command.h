/*
 * command: what a comment on a pull request asks prgate for.
 *
 *     struct command_line line;
 *     command_parse(&line, policy, body, len);
 *     if (line.command != COMMAND_NONE)
 *         ...;
 *
 * A command stands alone on a line of its own, with up to three spaces before it. What only shows or quotes a command is
 * none: block quotes and the lines that continue them, code of every kind, HTML comments, and HTML elements that show
 * code or quotations. Where a reader of Markdown could be in doubt there is no command: a comment that is passed over is
 * written once more, and one that is acted upon by accident has started something.
 *
 * Pure, no allocation, linear in the body. Thread-safe.
 */
#ifndef PRGATE_COMMAND_H
#define PRGATE_COMMAND_H

#include <stddef.h>

#include "prgate/config.h"
#include "prgate/pr.h"

/* What a comment asks for. Stored as numbers: append only, never renumber. */
enum command {
    COMMAND_NONE = 0,
    COMMAND_APPROVE = 1,
    COMMAND_RERUN = 2,
    COMMAND_CANCEL = 3,
    COMMAND_STATUS = 4,
    COMMAND_HELP = 5,
    COMMAND_UNKNOWN = 6, /* it is for prgate, and nobody knows what */
    COMMAND_SEVERAL = 7, /* more than one in a comment: none of them is obeyed */
    COMMAND_END
};

/* Seven digits are the fewest that GitHub shows of a commit. */
enum { COMMAND_SHA_MIN = 7 };

struct command_line {
    enum command command;
    /* The commit that it names, lower-case hex digits, or "". Fewer than COMMAND_SHA_MIN are kept: to be refused. */
    char sha_prefix[SHA_SIZE];
};

/* COMMAND_NONE also where the policy has no commands. */
void command_parse(struct command_line *out, const struct policy *policy, const char *body, size_t len);

const char *command_name(enum command command); /* "approve", whatever the policy calls it */

/* What the policy calls it; "" for what is no word. */
const char *command_word(const struct policy *policy, enum command command);

#endif
