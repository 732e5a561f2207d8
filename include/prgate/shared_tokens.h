/*
 * shared_tokens: installation tokens, kept in the store so that the pool mints one and not one each.
 *
 * GitHub limits how often tokens may be minted, and they live for an hour. The
 * lease that lets one process mint is a row with an end of its own: at worst,
 * when its holder dies, another process mints 5 s later.
 */
#ifndef PRGATE_SHARED_TOKENS_H
#define PRGATE_SHARED_TOKENS_H

#include "prgate/github.h"
#include "prgate/store.h"

/* `store` is borrowed by the result. Thread-safe. */
struct github_tokens shared_tokens(struct store *store);

#endif
