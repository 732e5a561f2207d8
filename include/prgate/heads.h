/*
 * heads: the commits that a pull request has left behind.
 *
 * A record is read and written whole with each delivery, so it keeps only the newest commits. The others
 * lie in a table of their own, one entry each, and none is ever forgotten: a commit that comes back as the head after
 * thousands of pushes is still known as one that CI was started for.
 *
 * Before decide() is asked, whatever commit it may ask about is recalled; when the record is put, the
 * oldest are put away. Both belong into the transaction that holds the record.
 */
#ifndef PRGATE_HEADS_H
#define PRGATE_HEADS_H

#include "prgate/event.h"
#include "prgate/record.h"
#include "prgate/store.h"

/* A record with more than HEADS_MAX is cut down to HEADS_KEPT: seldom, then, and several at a time. */
enum { HEADS_MAX = 64, HEADS_KEPT = 32 };

/*
 * Makes `sha` one of the record's heads if it was put away; as the oldest, so that it is the next to go. ERR_OK also where
 * no such head is known. An entry that cannot be decoded moves to quarantine, and counts as one for which CI may
 * have been started.
 */
enum err_code heads_recall(struct store_txn *txn, struct record *record, const struct sha *sha,
                           struct err *err);

/* The same for whichever begin so, two at most: that is how many it takes to be in doubt. */
enum err_code heads_recall_prefix(struct store_txn *txn, struct record *record, const char *prefix,
                                  struct err *err);

/* Both, for the commits that a decision about the event begins with. */
enum err_code heads_recall_for(struct store_txn *txn, struct record *record, const struct event *event,
                               struct err *err);

/*
 * Puts the oldest away if there are too many: not the present head, nor one whose trigger is under way. What the
 * check of such a commit says is forgotten; should it be the head again, it is looked at anew.
 */
enum err_code heads_put_away(struct store_txn *txn, struct record *record, struct err *err);

/* Adds all that were put away, for a record that is made anew (salvage.h). What cannot be decoded stays away. */
enum err_code heads_restore(struct store_txn *txn, struct record *record, struct err *err);

/* What the table keeps under one commit's key. False: damaged, or of a version that is not known. */
bool heads_decode(struct bytes value, struct head *head);

#endif
