/*
 * intent: something that prgate has decided to do on GitHub and not yet done.
 *
 * Written in the same commit as the decision, performed afterwards in order,
 * removed in the commit of the result, which also finds the one that comes next. A plain value.
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
    INTENT_COMMENT = 7,       /* `message`; with a target it answers that comment */
    INTENT_REACT = 8,         /* `reaction` to the comment `target` */
    INTENT_CANCEL = 9,        /* what was started for `sha` by `attempt` */
    INTENT_RELEASE_RUNS = 10, /* runs for `sha` that wait for a first-time contributor's approval */
    INTENT_REMOVE_QUEUE_LABEL = 11,
    INTENT_COMPLETE_GUARD = 12, /* the check that the emergency label stands in for */
    INTENT_ADD_AUTHOR_LABELS = 13,
    INTENT_RETARGET = 14, /* to the base branch that the policy wants */
    INTENT_CLOSE = 15,
    INTENT_APPROVE_REVIEW = 16,
    INTENT_REMOVE_EMERGENCY_LABEL = 17,
    INTENT_KIND_END
};

/* What a comment of prgate's says; wording.h has the words. Stored as numbers: append only, never renumber. */
enum message {
    MESSAGE_NONE = 0,
    MESSAGE_LOOK_AGAIN = 1, /* the label was set too soon after the push */
    MESSAGE_NOT_APPROVER = 2,
    MESSAGE_COMMAND_REFUSED = 3,
    MESSAGE_COMMAND_UNKNOWN = 4,
    MESSAGE_COMMAND_WRONG_SHA = 5,
    MESSAGE_HELP = 6,
    MESSAGE_STATUS = 7,
    MESSAGE_EMERGENCY = 8,
    MESSAGE_MISSING_TESTS = 9,
    MESSAGE_RETARGETED = 10,
    MESSAGE_FROM_RELEASE_BRANCH = 11,
    MESSAGE_NEW_COMMIT_NEEDED = 12,
    MESSAGE_COMMAND_SEVERAL = 13,
    MESSAGE_COMMAND_NO_SHA = 14, /* an approval that names no commit */
    MESSAGE_COMMAND_SHORT_SHA = 15,
    MESSAGE_COMMAND_OLD_SHA = 16, /* of this pull request, and not the head */
    MESSAGE_COMMAND_AMBIGUOUS = 17,
    MESSAGE_COMMAND_EARLY = 18,   /* a re-run, and CI was never started */
    MESSAGE_COMMAND_NOTHING = 19, /* to be cancelled */
    MESSAGE_COMMAND_CLOSED = 20,
    MESSAGE_COMMAND_BUDGET = 21,    /* a re-run, and too many were started */
    MESSAGE_EMERGENCY_REFUSED = 22, /* the emergency label was set by somebody who may not */
    MESSAGE_END
};

/* Who a message comes from; see wording.h. */
enum message_family {
    FAMILY_NONE,
    FAMILY_LABEL,   /* about a label that approves nothing */
    FAMILY_ANSWER,  /* to a command that asks for one */
    FAMILY_REFUSAL, /* of a command */
    FAMILY_POLICY   /* of a policy beside the gate */
};

/* How often it may be said. */
enum message_once {
    ONCE_PER_PULL,
    ONCE_PER_COMMIT,
    ONCE_PER_PERSON,
    ONCE_PER_COMMENT, /* that is answered */
    ONCE_PER_STATE    /* per commit and what there is to say about it, whoever asks and however often */
};

enum reaction {
    REACTION_NONE = 0,
    REACTION_TAKEN = 1,
    REACTION_REFUSED = 2,
    REACTION_CONFUSED = 3,
    REACTION_END
};

struct intent {
    uint64_t seq;
    enum intent_kind kind;
    struct sha sha;               /* the commit it is about */
    enum wait_reason reason;      /* INTENT_CHECK_AWAITING */
    char delivery[DELIVERY_SIZE]; /* which delivery led to it */
    int64_t created_ms;
    uint32_t attempts;
    enum message message;
    enum reaction reaction;
    uint64_t target;    /* a comment's id */
    uint32_t attempt;   /* INTENT_CANCEL: head_attempt() of what is to be cancelled */
    struct user person; /* whom a message is about */
    char ref[REF_SIZE]; /* of a merge queue's commit: its branch; else "" */
    /*
     * When a request went out whose outcome is not known; 0 = none did. Of what is no INTENT_TRIGGER also when it was found
     * that somebody had died who may have been performing it.
     */
    int64_t sent_ms;
    bool untried; /* not stored: whoever performs it has made it, so nobody can have tried before */
};

const char *message_name(enum message message); /* "look_again": part of a comment's hidden marker */
enum message_family message_family(enum message message);
enum message_once message_once(enum message message);
const char *intent_kind_name(enum intent_kind kind);
bool intent_is_check(enum intent_kind kind);

/* Is it to be done even if the pull request is closed meanwhile? */
bool intent_outlives_closing(enum intent_kind kind);

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
