/*
 * salvage: a pull request whose record can no longer be decoded.
 *
 * The bytes go to quarantine, and the record is made anew from what lies beside it: the ledger and the queues tell
 * for which commits CI was started or may have been, so none is started twice, and who the pull request is. All
 * else is read from GitHub with the next delivery. Approvals are not brought back: somebody has to approve again.
 */
#ifndef PRGATE_SALVAGE_H
#define PRGATE_SALVAGE_H

#include "prgate/metrics.h"
#include "prgate/tables.h"

/*
 * As table_get_record() with STORE_LOCK, but where the record is damaged *record is what could be salvaged, and it is to
 * be put in the same transaction. *salvaged, false at first, becomes true then, and is never set back, so that it outlasts a
 * body that is run again. A record of a version that this prgate does not know is
 * not damaged: ERR_CORRUPT, and it stays as it is.
 */
enum err_code salvage_get_record(struct store_txn *txn, const struct pr_key *pr, struct record *record,
                                 bool *salvaged, struct err *err);

/* To the log and the counters, once that transaction is committed. */
void salvage_tell(struct metrics *metrics, const struct pr_key *pr);

#endif
