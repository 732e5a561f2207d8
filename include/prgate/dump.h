/*
 * dump: a store as lines of JSON, and back, to move it to another host or another version of Berkeley DB.
 *
 *     {"prgate_dump":1,"version":"0.1.0"}
 *     {"table":"pr","key":"HEX","value":"HEX","sum":"HEX","about":"octo/repo#7"}
 *     {"table":"ledger","key":"HEX","text":"{...}","sum":"HEX","about":"..."}
 *     ...
 *     {"end":true,"entries":N}
 *
 * Key and value are the stored bytes, in hex; "text" takes the place of "value" where they are UTF-8. "sum" is the start
 * of the SHA-256 of table, key and value: a line that was changed or damaged is refused. "about" is for
 * readers. The closing line tells a whole dump from the beginning of one.
 *
 * Installation tokens are left out: they are secrets, and minted anew. So are the claims on pull requests, which
 * belong to processes that will not be there.
 */
#ifndef PRGATE_DUMP_H
#define PRGATE_DUMP_H

#include <stdio.h>

#include "prgate/store.h"

/* Beside a running pool each pull request is one moment's, but not all of them the same moment's: stop it to move. */
enum err_code dump_write(struct store *store, FILE *out, struct err *err);

/*
 * Reads all of `in` and then puts a store made of it in place below `state_dir`, at once: what goes wrong before, a
 * crash too, leaves nothing but STATE_DIR/loading, which the next attempt removes. ERR_REJECT: a line is damaged, the
 * text names it; or there is a store with entries already, or a process has it open.
 */
enum err_code dump_load(const char *state_dir, FILE *in, size_t *entries, struct err *err);

#endif
