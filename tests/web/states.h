/* states: one pull request of octo/states for each state that a page can show, and one of a repository that is not configured. */
#ifndef PRGATE_TESTS_WEB_STATES_H
#define PRGATE_TESTS_WEB_STATES_H

#include "prgate/pr.h"
#include "prgate/store.h"

enum { STATES_REPO_ID = 15, GONE_REPO_ID = 16 };

/* The repositories are named already. */
enum err_code states_put(struct store_txn *txn, int64_t now_ms, struct err *err);

void make_sha(struct sha *sha, uint64_t number); /* seed.c's */

#endif
