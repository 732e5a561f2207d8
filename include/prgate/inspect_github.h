/*
 * inspect_github: is GitHub set up for this configuration?
 *
 * With App credentials: are they taken, has the App the permissions and events that needs.h lists, does its webhook
 * point here, how was the newest delivery answered, and for each repository that is configured by its full name, is the
 * App installed and what did the owner agree to. With a token: whose it is, and for each such repository its permission
 * and its webhook. Reads only, a few calls.
 */
#ifndef PRGATE_INSPECT_GITHUB_H
#define PRGATE_INSPECT_GITHUB_H

#include "prgate/inspect.h"

/* Tells each finding; returns how many are errors. That GitHub cannot be reached is a warning, and ends it. */
unsigned inspect_github(const struct config *config, inspect_fn *tell, void *arg);

#endif
