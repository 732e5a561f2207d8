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

struct shared_tokens;

/* `store` is borrowed until shared_tokens_close(). */
struct shared_tokens *shared_tokens_open(struct store *store);
void shared_tokens_close(struct shared_tokens *tokens); /* NULL is allowed */

/*
 * For any number of handles, which borrow `tokens`. Thread-safe. Of all that wait for a token, one asks the store for
 * the lease, twenty times a second; the others get a no without.
 */
struct github_tokens shared_tokens_use(struct shared_tokens *tokens);

#endif
