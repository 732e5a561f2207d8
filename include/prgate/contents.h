/*
 * contents: every entry of every table, as bytes, in order, and whether it can be read.
 *
 * For dumps and checks. All that belongs to one pull request is read in one transaction, so that it fits together
 * though a pool goes on working; between two pull requests nothing is promised. Never stands in a
 * delivery's way for longer than one pull request's entries take to be read.
 */
#ifndef PRGATE_CONTENTS_H
#define PRGATE_CONTENTS_H

#include "prgate/store.h"

struct entry {
    enum store_table table;
    struct buf key;
    struct buf value;
};

/* `entry` is borrowed for the call. An error ends the walk and is handed on. */
typedef enum err_code contents_fn(void *arg, const struct entry *entry, struct err *err);

/* Pull request by pull request, then the tables that belong to none. What is read and what comes meanwhile may differ. */
enum err_code contents_walk(struct store *store, contents_fn *visit, void *arg, struct err *err);

/* Can this program read it? ERR_CORRUPT: no, and the text says what is wrong. Pure. */
enum err_code contents_judge(const struct entry *entry, struct err *err);

/* "octo/repo#7" or what else there is to say of a key: for people. Replaces *out. */
void contents_name(const struct entry *entry, struct buf *out);

#endif
