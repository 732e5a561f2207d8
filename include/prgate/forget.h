/*
 * forget: drops GitHub's answers about people's rights that trust.h keeps, when a webhook says that they changed.
 *
 * An answer that GitHub is still to give then is one about rights as they may have been before. So the store counts the
 * changes: whoever asks reads the count before, and keeps the answer in a transaction that finds it unchanged.
 * An answer that is not dropped counts until trust_ttl is over. Thread-safe.
 */
#ifndef PRGATE_FORGET_H
#define PRGATE_FORGET_H

#include <stddef.h>
#include <stdint.h>

#include "prgate/event.h"
#include "prgate/store.h"

/* How many changes were heard of, by the whole pool. For use in a store_body. */
enum err_code forget_count(struct store_txn *txn, uint64_t *changes, struct err *err);

/*
 * Counts the change, then drops. *dropped: how many. In transactions of a few rows each, so that nobody waits for it; after an error, as ERR_RETRY,
 * some may be gone, and doing it again drops the rest.
 */
enum err_code forget_answers(struct store *store, const struct trust_change *change, size_t *dropped,
                             struct err *err);

#endif
