/*
 * links: the addresses in what GitHub sends, which are left out before it is parsed.
 *
 * Two thirds of a webhook, and of a pull request's JSON, are members like "commits_url": "https://...". Nothing reads
 * them, and a parser would copy each. They stand in every repository and user object:
 * https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request
 *
 * A member is left out if its name ends in "_url", its value is a string, neither has a backslash, and it is not the
 * first one of its object. The addresses of a check and a status ("details_url", "target_url") stay: they are read.
 * JSON is JSON afterwards, with all its other members. What is none is none afterwards, but for such a member in a
 * list, which has no members: it is left out there, too. Thread-safe.
 */
#ifndef PRGATE_LINKS_H
#define PRGATE_LINKS_H

#include <stddef.h>

/* `text` need not end in a NUL; `out` has room for `len` bytes. Returns how many were written. Linear. */
size_t links_leave_out(const char *text, size_t len, char *out);

#endif
