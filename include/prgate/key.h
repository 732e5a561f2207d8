/*
 * key: how a trigger is named to its receiver, and a check to GitHub.
 *
 * Both are functions of what they name, so that whoever holds one can be asked about it, and one that
 * comes back is compared with what prgate itself would have written. Thread-safe.
 */
#ifndef PRGATE_KEY_H
#define PRGATE_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "prgate/pr.h"

enum { CHECK_ID_SIZE = 20 + 1 + 10 + 1 + KEY_SIZE };

/* What GitHub sends back when the button of the awaiting check is pressed, beside the check's external_id. */
#define APPROVE_BUTTON_ID "approve-ci"

/* The idempotency key: the same for the same (repository, pull request, commit, attempt), 32 hex digits. */
void trigger_key(const struct pr_key *pr, const struct sha *head, unsigned attempt, char out[KEY_SIZE]);

/* A check's external_id: "NUMBER/ATTEMPT/KEY". GitHub sends it back when somebody asks for a re-run. */
void check_id_make(const struct pr_key *pr, const struct sha *head, unsigned attempt,
                   char out[CHECK_ID_SIZE]);

/*
 * Number and attempt out of it. False: prgate has not written that for this commit of this repository; *number and
 * *attempt are untouched then.
 */
bool check_id_parse(const char *text, uint64_t repo_id, const struct sha *head, uint64_t *number,
                    uint32_t *attempt);

#endif
