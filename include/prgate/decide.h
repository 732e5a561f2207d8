/*
 * decide: the gate's rules. Pure: no I/O, no clock, no allocation.
 *
 *     while ((need = decide_needs(&record, &event, &facts, now_ms)) != 0)
 *         learn(need, &facts);
 *     record_reserve_head(&record);
 *     decide(&record, &event, &facts, now_ms, &decision);
 *
 * (record, event, facts, now) -> (record, intents, rule). Rules look at what
 * GitHub shows now, the newer of payload and read, and use the event only for
 * what no read can tell: that somebody set the label, and for which commit, and who
 * pushed a commit. So the order in which events arrive, and how often, does not matter.
 * docs/cicd_flowchart.md has the table of states; a unit test compares each cell.
 */
#ifndef PRGATE_DECIDE_H
#define PRGATE_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "prgate/event.h"
#include "prgate/intent.h"
#include "prgate/record.h"

/* What costs a call to learn. Bits, cheapest and most decisive first. */
enum fact {
    FACT_READ = 1,         /* the pull request as GitHub shows it now */
    FACT_IDENTITY = 2,     /* is the event's sender prgate itself? */
    FACT_SENDER = 4,       /* may the sender approve? */
    FACT_AUTHOR = 8,       /* is the author trusted? */
    FACT_PUSHER = 16,      /* of a push: is the sender, who pushed, trusted? */
    FACT_LABEL = 32,       /* who set the label that is there now, and when */
    FACT_EMERGENCY = 1024, /* may the sender set the emergency label? */
    FACT_FILES = 2048      /* do the changed files lack tests? */
};

enum { FACT_WHY_SIZE = 160 };

struct facts {
    unsigned known; /* enum fact, or-ed */
    struct snapshot read;
    int64_t read_ms; /* when that read began */
    bool sender_is_prgate;
    bool sender_may_approve;
    enum permission sender_permission; /* PERMISSION_NONE where it was not asked, without credentials */
    int settle_s;                      /* of the policy: known always */
    bool dry_run;                      /* of the configuration: known always; see decide_shadow() */
    char sender_why[FACT_WHY_SIZE];    /* "permission triage", for the ledger */
    bool author_trusted;
    char author_why[FACT_WHY_SIZE];
    bool pusher_trusted;
    char pusher_why[FACT_WHY_SIZE];
    int64_t budget_until_ms; /* no budget allows another start before then; 0 = now. See budget.h */
    bool label_is_set;       /* false: it is not, or GitHub does not tell */
    int64_t label_set_at;
    struct user label_set_by;

    const struct policy
        *policy; /* the repository's section, borrowed; NULL: nothing that is off by default */
    bool sender_may_emergency;
    char emergency_why[FACT_WHY_SIZE];
    bool tests_missing;
};

enum rule {
    RULE_LATER,          /* GitHub's answers disagree: to be decided a little later */
    RULE_CLOSED,         /* closed: no more CI */
    RULE_ALREADY,        /* CI was triggered for this commit before */
    RULE_OPENED,         /* trusted author opened, reopened, made ready: label and CI */
    RULE_PUSHED,         /* trusted author pushed, label there: CI */
    RULE_APPROVED,       /* the label was set for this commit by somebody who may: CI */
    RULE_CONFLICT,       /* CI is due but GitHub cannot merge it */
    RULE_STALE_APPROVAL, /* the label was meant for an older commit */
    RULE_NOT_APPROVER,   /* the label was set by somebody who may not */
    RULE_WITHDRAWN,      /* the label was set, and is gone again */
    RULE_WAIT_UNTRUSTED,
    RULE_WAIT_DRAFT,
    RULE_WAIT_NO_LABEL,
    RULE_WAIT_PUSHER,     /* somebody else than a trusted one pushed it, or nobody knows who */
    RULE_TRIGGER_REFUSED, /* the receiver said no for good: somebody has to ask again */
    RULE_RERUN,           /* somebody who may has asked for CI once more: CI */
    RULE_RERUN_SAME,    /* asked for before the last start was over, or of an earlier one: it was that one */
    RULE_RERUN_OLD,     /* of a commit that is not the head */
    RULE_RERUN_EARLY,   /* of a commit that CI was never started for */
    RULE_RERUN_REFUSED, /* by somebody who may not approve */
    RULE_WAIT_BUDGET,   /* CI is due, but the budget is used up: starts by itself later */
    RULE_RERUN_BUDGET,  /* asked for when the budget was used up: to be asked for again */
    RULE_QUEUED, /* a merge queue asks for checks on its group's commit: reported, CI where configured */
    RULE_QUEUED_BEFORE,  /* it was asked for before, or the group is no more */
    RULE_UNQUEUED,       /* the group is no more: what was started for it is cancelled */
    RULE_TOO_SOON,       /* the label was set so soon after the commit had come that nobody can have looked */
    RULE_BEFORE_PUSH,    /* the label was heard of before the push of its commit, which will tell */
    RULE_BUTTON_OLD,     /* "Approve CI" of a commit that is not the head */
    RULE_BUTTON_REFUSED, /* by somebody who may not approve */
    RULE_CANCELLED,      /* somebody who may has asked for what runs to be cancelled */
    RULE_COMMAND,        /* somebody has asked prgate something, and is answered */
    RULE_COMMAND_UNKNOWN, /* nobody knows what for */
    RULE_COMMAND_REFUSED, /* by somebody who may not, or nothing that could be done now */
    RULE_COMMAND_SEEN,    /* that comment was answered before, or newer ones too long ago */
    RULE_COMMAND_OWN,     /* prgate's own comment */
    RULE_OPERATOR,        /* prgate's operator has approved this very commit: CI */
    RULE_OPERATOR_OLD     /* the operator named a commit that is not the head */
};

enum { DECISION_INTENTS_MAX = 32 };

struct decision {
    enum rule rule;
    int64_t later_ms;  /* RULE_LATER: not before this Unix time, and with FACT_READ asked anew */
    bool drop_intents; /* outstanding intents of this pull request are void */
    struct intent intents[DECISION_INTENTS_MAX]; /* seq, delivery and created_ms are the caller's to fill */
    unsigned intent_count;
};

/* The next fact that decide() would need, 0 when it has all. */
enum fact decide_needs(const struct record *record, const struct event *event, const struct facts *facts,
                       int64_t now_ms);

/*
 * `record` has room for one more head. On RULE_LATER it is unchanged; otherwise it is
 * what must be stored together with the intents.
 */
void decide(struct record *record, const struct event *event, const struct facts *facts, int64_t now_ms,
            struct decision *out);

const char *rule_name(enum rule rule);     /* "pushed" */
const char *rule_sentence(enum rule rule); /* for people */

#endif
