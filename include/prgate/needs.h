/*
 * needs: which permissions and events a GitHub App needs for a configuration.
 *
 * One table for `prgatectl app-manifest`, which makes the App, and for `prgatectl check`, which looks whether it has
 * them; a test compares README.md's with it. Pure, thread-safe.
 */
#ifndef PRGATE_NEEDS_H
#define PRGATE_NEEDS_H

#include <stdbool.h>
#include <stddef.h>

#include "prgate/config.h"

struct need {
    const char *name;   /* as GitHub's API has it: "pull_requests" */
    const char *access; /* of a permission: "read", "write"; of an event NULL */
    const char *why;    /* for people: what does not work without */
    bool optional;      /* it works without, and not as well */
};

enum { NEEDS_MAX = 16 };

/*
 * Each permission once, with the most that is needed of it; returns how many. `config` NULL: as if one repository had a
 * section with nothing in it.
 */
size_t needs_permissions(const struct config *config, struct need out[NEEDS_MAX]);

/* Event subscriptions; those that GitHub sends to each App without asking are none. */
size_t needs_events(struct need out[NEEDS_MAX]);

/*
 * Those of them that an App with needs_permissions() can subscribe to. GitHub ties each to a permission, and takes no manifest
 * with an event whose permission it does not ask for.
 */
size_t needs_granted_events(const struct config *config, struct need out[NEEDS_MAX]);

/* Does somebody who was given `given` have what `wanted` stands for? */
bool needs_is_enough(const char *given, const char *wanted);

#endif
