/*
 * visible: which repositories everybody may see.
 *
 * Learnt from the webhooks' `repository.private`, per repository, so that one that turns private is hidden with
 * all its pull requests at its next webhook. What nobody has told of is not public.
 */
#ifndef PRGATE_VISIBLE_H
#define PRGATE_VISIBLE_H

#include <stdbool.h>

#include "prgate/event.h"
#include "prgate/store.h"

/*
 * Keeps what the event says of its repository, if it says anything. "Private" always counts; "public" only from an
 * event that is not older than the last that said "private": a late delivery must not show what was hidden since.
 */
enum err_code visible_note(struct store_txn *txn, const struct event *event, struct err *err);

/* Inside a transaction. */
enum err_code visible_get(struct store_txn *txn, uint64_t repo_id, bool *public, struct err *err);

/* Is it such a row of table `shared`? The others are of the processes of one host, and of no use to another one. */
bool visible_is_row(struct bytes key);

#endif
