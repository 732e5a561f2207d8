/*
 * record: all that the gate knows of one pull request, and the claim on it.
 *
 *     struct record record;
 *     record_init(&record);
 *     if (record_decode(&record, bytes, len, &err) == ERR_OK)
 *         ...;
 *     record_release(&record);
 *
 * The struct is the caller's storage; its list of heads is the heap's until
 * record_release(). Stored with a version in front, every field length-checked.
 */
#ifndef PRGATE_RECORD_H
#define PRGATE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "prgate/err.h"
#include "prgate/pr.h"

struct buf;
struct decoder;

/* Stored as numbers: append only, never renumber. */
enum ci_state {
    CI_NONE = 0,    /* not triggered */
    CI_DECIDED = 1, /* the intent stands, nothing was sent yet */
    CI_SENT = 2,    /* sending, or sent and the outcome not known yet */
    CI_STARTED = 3, /* the receiver took it */
    CI_UNKNOWN = 4, /* sent, nobody can say whether it arrived, and left at that */
    CI_REFUSED = 5, /* the receiver said no for good: nothing runs */
    CI_STATE_END
};

enum check_state { CHECK_NONE = 0, CHECK_AWAITING = 1, CHECK_DONE = 2, CHECK_STATE_END };

/* What a dry run would have made of the gate label. */
enum shadow_label { SHADOW_NONE = 0, SHADOW_SET = 1, SHADOW_OFF = 2, SHADOW_END };

/* Why a commit waits, the more telling one where several hold. */
enum wait_reason {
    WAIT_NOTHING = 0,
    WAIT_CONFLICT = 1,
    WAIT_STALE_APPROVAL = 2,
    WAIT_NOT_APPROVER = 3,
    WAIT_UNTRUSTED = 4,
    WAIT_DRAFT = 5,
    WAIT_NO_LABEL = 6,
    WAIT_TRIGGER_FAILED = 7,
    WAIT_PUSHER = 8, /* who pushed is not trusted */
    WAIT_PUSHER_UNKNOWN = 9,
    WAIT_TOO_SOON = 10, /* the label was set before anybody could have looked at the commit */
    WAIT_BUDGET = 11,   /* the author or the repository has started too many lately */
    WAIT_REASON_END
};

/* Who brought a commit to the pull request: the opener, or the sender of a push. */
enum pusher_state {
    PUSHER_UNKNOWN = 0, /* not heard of, or nobody knows: not trusted, but for later news */
    PUSHER_UNTRUSTED = 1,
    PUSHER_TRUSTED = 2, /* once is enough: somebody trusted has vouched for this very commit */
    PUSHER_STATE_END
};

/* By what somebody said yes to a commit. */
enum approval_means {
    MEANS_NONE = 0, /* nobody did */
    MEANS_LABEL = 1,
    MEANS_BUTTON = 2,   /* of the awaiting check */
    MEANS_COMMAND = 3,  /* in a comment */
    MEANS_OPERATOR = 4, /* on prgate's own host: the approver is local */
    MEANS_END
};

/* What a policy has done, or found not to be needed. Stored as bits: append only, never renumber. */
enum policy_mark {
    /* Of a pull request: record.policies_done. */
    POLICY_TESTS_TOLD = 1,
    POLICY_RETARGETED = 2,
    POLICY_CLOSED = 4,
    POLICY_AUTHOR_LABELS = 8,
    POLICY_EMERGENCY_TOLD = 16,
    /* Of a commit: head.policies_done. */
    POLICY_TESTS_SEEN = 256, /* its files were looked at */
    POLICY_NEW_COMMIT_TOLD = 512,
    POLICY_REVIEWED = 1024,
    POLICY_GUARD_DONE = 2048 /* by the emergency label */
};

/* One commit that was this pull request's head, or that of a merge queue's group for it, while prgate looked. */
struct head {
    struct sha sha;
    int64_t first_seen_ms;
    int64_t ci_at_ms;
    int64_t approved_at_ms;
    struct user approver;
    struct user pushed_by;   /* nobody while PUSHER_UNKNOWN */
    struct user rerun_by;    /* who asked for the newest re-run */
    int64_t budget_until_ms; /* WAIT_BUDGET: when the next one may be started */
    int64_t came_at;         /* GitHub's second of its newest push; 0 = the pull request was opened with it */
    int64_t label_at;        /* GitHub's second of a label that waits for came_known; 0 = none does */
    enum ci_state ci;
    enum ci_state ci_before; /* while a trigger is under way: what holds if nothing comes of it */
    enum check_state check;
    enum wait_reason check_reason;
    enum pusher_state pusher;
    enum approval_means means;           /* of `approved` */
    enum permission approver_permission; /* what the approver had when saying yes */
    uint32_t cancelled;                  /* the newest head_attempt() that was to be cancelled; 0 = none */
    uint32_t reruns;                     /* how often CI was to be started again, on purpose */
    bool approved;
    bool label_granted;     /* a trusted author pushed it while the label was there */
    bool stale_approval;    /* a label meant for an older commit arrived while this was the head */
    bool refused_approval;  /* somebody who may not approve set the label */
    bool own_label;         /* prgate's own label, meant for an older commit, came when this was the head */
    bool rerun_refused;     /* somebody who may not approve has asked for a re-run since */
    bool rerun_failed;      /* the receiver said no for good to the newest */
    bool too_soon;          /* the label was set before anybody could have looked, and taken off */
    bool queued;            /* the commit of a merge queue's group, never the pull request's own head */
    uint32_t policies_done; /* enum policy_mark, or-ed */
    bool came_known;   /* its push or the opening was heard of; else it had come by came_at at the latest */
    uint64_t check_id; /* the check run that says all this, as far as prgate knows; 0 = to be looked for */
};

/* More than a person writes while one delivery is late. */
enum { RECORD_COMMENTS = 16 };

enum { PROCESS_ID_SIZE = 16, CLAIM_TOKEN_SIZE = 16 };

/* A process's own random id; alive.h tells whether it lives. */
struct process_id {
    unsigned char bytes[PROCESS_ID_SIZE];
};

struct claim {
    bool held;
    struct process_id owner;
    unsigned char token[CLAIM_TOKEN_SIZE];
    bool taken_over; /* not stored: the one before it was never given up, as of a process that died */
};

struct record {
    struct pr_key key;
    char repo[REPO_NAME_SIZE];
    uint64_t installation;
    struct snapshot view; /* the newest that is known of the pull request */
    int64_t read_ms;      /* when GitHub was last asked for it, at the start of the call; 0 = never */
    struct head *heads;   /* oldest first; the newest of them: see heads.h */
    size_t head_count;
    size_t head_cap;

    /* What came of the events so far. Times are GitHub's, so that order of arrival does not matter. */
    bool opened;              /* `opened` was handled */
    bool opening_owed;        /* an opening is granted, but something (a conflict) holds it up */
    int64_t ready_at;         /* newest ready_for_review handled */
    int64_t reopened_at;      /* newest reopened handled */
    int64_t drafted_at;       /* newest converted_to_draft */
    int64_t draft_label_at;   /* newest approval while it was a draft */
    struct sha label_removed; /* head for which prgate itself took the label off */
    bool conflict_commented;
    struct sha approved_head; /* the newest commit that somebody said yes to */
    uint32_t policies_done;   /* enum policy_mark, or-ed */
    struct user emergency_by; /* who completed the guard check by the emergency label; nobody: it was not */
    int64_t emergency_at_ms;
    int64_t dequeued_at;   /* newest dequeued handled */
    int64_t unlabelled_at; /* when GitHub carried out that removal, as its webhook told; 0 = not told yet */
    /* Ids of the newest comments with a command that were decided about, rising; 0 stands before the first. */
    uint64_t comments[RECORD_COMMENTS];
    uint32_t explained; /* comments of prgate's that anybody at all could ask for */
    /* A dry run would have changed the gate label, and it is not as it would be; shadow_at is of view.updated_at then. */
    enum shadow_label shadow_label;
    int64_t shadow_at;

    struct claim claim;
    uint64_t next_delivery; /* sequence numbers to come */
    uint64_t next_intent;
    uint64_t next_ledger;
    int64_t due_ms;    /* not to be worked on before; 0 = at once */
    uint32_t failures; /* in a row */
};

void record_init(struct record *record);
void record_release(struct record *record);
void record_copy(struct record *to, const struct record *from); /* `to` is initialised */

/* NULL when that commit was never the head. Valid until a head is added. */
struct head *record_find_head(const struct record *record, const struct sha *sha);

/* Makes room for one more, so that record_add_head() need not allocate. */
void record_reserve_head(struct record *record);
struct head *record_add_head(struct record *record, const struct sha *sha, int64_t now_ms);

/*
 * Was that comment decided about? Ids of comments rise, so one that is older than all that are kept counts as one that
 * was: twice is worse than too late.
 */
bool record_has_comment(const struct record *record, uint64_t comment);
void record_add_comment(struct record *record, uint64_t comment);

/* The only head whose SHA begins so. NULL: none does, or several do, *several. */
struct head *record_find_prefix(const struct record *record, const char *prefix, bool *several);

/* Due at once again, as if nothing had failed. */
void record_end_back_off(struct record *record);

void head_set_ci(struct head *head, enum ci_state ci, int64_t now_ms);

/* Would starting CI on this head be a second time? */
bool head_is_triggered(const struct head *head);

/* The number of the newest trigger, 1 for the first: what its key is made of. NULL: nothing is known of that commit. */
unsigned head_attempt(const struct head *head);

/* The version of what record_encode() and head_encode() write; all from 1 on can be read. */
enum { RECORD_VERSION = 4 };

/* One head's part of it, for those that lie elsewhere. Version 1 knew neither who pushed nor re-runs,
 * version 2 no means of approval, cancelling, budgets, queues and policies, version 3 no shadow of a dry run. */
void head_encode(struct buf *out, const struct head *head);
void head_decode(struct decoder *d, unsigned version, struct head *head);

void record_encode(const struct record *record, struct buf *out);

/* ERR_CORRUPT when the bytes are not a record; *record is initialised and then empty. */
enum err_code record_decode(struct record *record, const void *bytes, size_t len, struct err *err);

/* What a person would call the state that the record is in. */
enum record_state { RECORD_NEW, RECORD_AWAITING, RECORD_CONFLICT, RECORD_TRIGGERED, RECORD_CLOSED };
enum record_state record_state(const struct record *record);
const char *record_state_name(enum record_state state);
const char *ci_state_name(enum ci_state state);
const char *approval_means_name(enum approval_means means);
const char *wait_reason_name(enum wait_reason reason);
const char *wait_reason_phrase(enum wait_reason reason); /* for people, "" for WAIT_NOTHING */

#endif
