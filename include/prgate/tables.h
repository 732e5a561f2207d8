/*
 * tables: typed access to the store's tables, inside a transaction.
 *
 * Keys start with the pull request (repository id, number), so all that belongs to one
 * lies together. Every function is for use in a store_body and returns its error as it is.
 */
#ifndef PRGATE_TABLES_H
#define PRGATE_TABLES_H

#include <stdint.h>

#include "prgate/event.h"
#include "prgate/intent.h"
#include "prgate/record.h"
#include "prgate/store.h"

/* Bytes of a key: a pull request's, and with a sequence number behind. */
enum { PR_KEY_LEN = 16, SEQ_KEY_LEN = 24 };

/* ---- records ---- */

/* ERR_NOT_FOUND: there is none; *record then is empty but for its key. */
enum err_code table_get_record(struct store_txn *txn, const struct pr_key *pr, enum store_access access,
                               struct record *record, struct err *err);
enum err_code table_put_record(struct store_txn *txn, const struct record *record, struct err *err);

/* The first record whose key is not less than *pr; sets *pr. ERR_NOT_FOUND: none. */
enum err_code table_next_record(struct store_txn *txn, struct pr_key *pr, struct record *record,
                                struct err *err);

/* The last record whose key is less than *pr; sets *pr. ERR_NOT_FOUND: none. */
enum err_code table_prev_record(struct store_txn *txn, struct pr_key *pr, struct record *record,
                                struct err *err);

/* ---- repository names ---- */

/*
 * When prgate first heard of the repository: *since_ms is that time; `now_ms` if it is now. What was there before then
 * is not for prgate to start by itself.
 */
enum err_code table_note_repo(struct store_txn *txn, const char *repo, int64_t now_ms, int64_t *since_ms,
                              struct err *err);

/* The repository goes by that name now. Writes nothing where that is known. */
enum err_code table_put_name(struct store_txn *txn, const char *repo, uint64_t repo_id, struct err *err);
/* By its id, for when nothing else tells it: looks through all names. ERR_OK with "" where there is none. */
enum err_code table_find_name(struct store_txn *txn, uint64_t repo_id, char repo[REPO_NAME_SIZE],
                              struct err *err);
enum err_code table_get_name(struct store_txn *txn, const char *repo, uint64_t *repo_id, struct err *err);

/*
 * The next one after `name` in the order of lower-case names, "" for the first: replaces `name` and sets *repo_id.
 * ERR_NOT_FOUND: none. ERR_CORRUPT: the entry is damaged; `name` is set, so that a walk goes on behind it.
 */
enum err_code table_next_name(struct store_txn *txn, char name[REPO_NAME_SIZE], uint64_t *repo_id,
                              struct err *err);

/* ---- delivery ids ---- */

/* ERR_CONFLICT: it was seen before. */
enum err_code table_see_delivery(struct store_txn *txn, const struct pr_key *pr, const char *delivery,
                                 int64_t now_ms, struct err *err);

/* When it came, Unix time in ms. ERR_NOT_FOUND: it is not known (any more), or damaged. */
enum err_code table_when_seen(struct store_txn *txn, const struct pr_key *pr, const char *delivery,
                              int64_t *came_ms, struct err *err);

/* ---- the two queues of a pull request: deliveries to decide, intents to perform ---- */

enum err_code table_append_event(struct store_txn *txn, struct record *record, const struct event *event,
                                 struct err *err);
/*
 * The first with a sequence number of at least *seq; sets *seq. ERR_CORRUPT: it cannot be
 * decoded; *seq tells which, for table_quarantine().
 */
enum err_code table_next_event(struct store_txn *txn, const struct pr_key *pr, uint64_t *seq,
                               struct event *event, struct err *err);
enum err_code table_remove_event(struct store_txn *txn, const struct pr_key *pr, uint64_t seq,
                                 struct err *err);

enum err_code table_append_intent(struct store_txn *txn, struct record *record, struct intent *intent,
                                  struct err *err);
enum err_code table_put_intent(struct store_txn *txn, const struct pr_key *pr, const struct intent *intent,
                               struct err *err);
enum err_code table_next_intent(struct store_txn *txn, const struct pr_key *pr, uint64_t *seq,
                                struct intent *intent, struct err *err);
enum err_code table_remove_intent(struct store_txn *txn, const struct pr_key *pr, uint64_t seq,
                                  struct err *err);
/* All but those that a closing does not end: see intent_outlives_closing(). */
enum err_code table_drop_intents(struct store_txn *txn, const struct pr_key *pr, struct err *err);

/* Moves an entry of a queue, or a record, out of the way, byte for byte. */
enum err_code table_quarantine(struct store_txn *txn, enum store_table table, const struct pr_key *pr,
                               uint64_t seq, struct err *err);
enum err_code table_quarantine_key(struct store_txn *txn, enum store_table table, struct bytes key,
                                   struct err *err);
enum err_code table_quarantine_record(struct store_txn *txn, const struct pr_key *pr, struct err *err);

/*
 * The next pull request, from *pr on, that has an entry in that queue. It may be
 * done by the time you look: a hint, not a promise. ERR_NOT_FOUND: none.
 */
enum err_code table_next_queued(struct store_txn *txn, enum store_table queue, struct pr_key *pr,
                                struct err *err);

/* Has this one an entry there? */
enum err_code table_is_queued(struct store_txn *txn, enum store_table queue, const struct pr_key *pr,
                              bool *out, struct err *err);

/* How many entries a queue has in all, counted no further than `limit`. */
enum err_code table_count(struct store *store, enum store_table table, size_t limit, size_t *out,
                          struct err *err);

/* ---- dead letters, under the sequence number that their intent had ---- */

enum err_code table_put_dead(struct store_txn *txn, const struct pr_key *pr, const struct dead_letter *letter,
                             struct err *err);
/* As table_next_event(). */
enum err_code table_next_dead(struct store_txn *txn, const struct pr_key *pr, uint64_t *seq,
                              struct dead_letter *letter, struct err *err);
enum err_code table_remove_dead(struct store_txn *txn, const struct pr_key *pr, uint64_t seq,
                                struct err *err);

/* ---- text under a sequence number: the ledger ---- */

enum err_code table_put_text(struct store_txn *txn, enum store_table table, const struct pr_key *pr,
                             uint64_t seq, const char *text, struct err *err);
enum err_code table_next_text(struct store_txn *txn, enum store_table table, const struct pr_key *pr,
                              uint64_t *seq, struct buf *text, struct err *err);

#endif
