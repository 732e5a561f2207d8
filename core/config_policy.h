/*
 * config_policy: do the keys of the policies about pull requests fit together? Only config.c includes this.
 *
 * Pure functions, thread-safe.
 */
#ifndef PRGATE_CONFIG_POLICY_H
#define PRGATE_CONFIG_POLICY_H

#include "prgate/config.h"

/* NULL: they do. Else what is wrong and what to do about it, valid for ever; *key is the key that it is about. */
const char *config_policy_wrong(const struct policy *policy, const char **key);

#endif
