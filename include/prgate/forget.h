/*
 * forget: drops GitHub's answers about people's rights that trust.h keeps, when a webhook says that they changed.
 *
 * Nothing depends on it: an answer that is not dropped counts until trust_ttl is over. Thread-safe.
 */
#ifndef PRGATE_FORGET_H
#define PRGATE_FORGET_H

#include <stddef.h>

#include "prgate/event.h"
#include "prgate/store.h"

/*
 * *dropped: how many. In transactions of a few rows each, so that nobody waits for it; after an error, as ERR_RETRY,
 * some may be gone, and doing it again drops the rest.
 */
enum err_code forget_answers(struct store *store, const struct trust_change *change, size_t *dropped,
                             struct err *err);

#endif
