/*
 * intent: something that prgate has decided to do on GitHub and not yet done.
 *
 * Written in the same commit as the decision, performed afterwards in order,
 * removed in a commit of its own with the result. A plain value.
 */
#ifndef PRGATE_INTENT_H
#define PRGATE_INTENT_H

#include <stdint.h>

#include "prgate/buf.h"
#include "prgate/err.h"
#include "prgate/record.h"

/* Stored as numbers: append only, never renumber. */
enum intent_kind {
    INTENT_TRIGGER = 1,
    INTENT_ADD_LABEL = 2,
    INTENT_REMOVE_LABEL = 3,
    INTENT_CHECK_AWAITING = 4,
    INTENT_CHECK_DONE = 5,
    INTENT_COMMENT_CONFLICT = 6,
    INTENT_KIND_END
};

struct intent {
    uint64_t seq;
    enum intent_kind kind;
    struct sha sha;               /* the commit it is about */
    enum wait_reason reason;      /* INTENT_CHECK_AWAITING */
    char delivery[DELIVERY_SIZE]; /* which delivery led to it */
    int64_t created_ms;
    uint32_t attempts;
    int64_t sent_ms; /* INTENT_TRIGGER: when a request went out whose outcome is not known; 0 = none did */
};

const char *intent_kind_name(enum intent_kind kind);
bool intent_is_check(enum intent_kind kind);

/* Makes it the writing of the check as it is to be now. */
void intent_show_check(struct intent *intent, const struct head *head);

void intent_encode(const struct intent *intent, struct buf *out);
enum err_code intent_decode(struct intent *intent, const void *bytes, size_t len, struct err *err);

/* An intent that was given up: refused for good, or failing for too long. Kept until somebody retries or drops it. */
struct dead_letter {
    struct intent intent; /* as it was at its last attempt; its sequence number is the letter's */
    int64_t died_ms;
    char reason[ERR_TEXT_MAX];
};

void dead_letter_encode(const struct dead_letter *letter, struct buf *out);
enum err_code dead_letter_decode(struct dead_letter *letter, const void *bytes, size_t len, struct err *err);

#endif
