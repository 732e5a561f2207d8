/*
 * event: one webhook delivery, parsed. The only module that knows webhook JSON.
 *
 * The payload's shape is GitHub's `pull_request` event
 * (docs.github.com/webhooks/webhook-events-and-payloads#pull_request). What
 * GitHub leaves out or sets to null in real payloads is tolerated: no
 * `installation` (repository hooks), `user` null (deleted account), `head.repo`
 * null (deleted fork), `mergeable` null. What identifies things (repository,
 * number, SHAs) must be there and well-formed.
 *
 * Of `check_run` and `check_suite`, action `rerequested`, and of `check_run`, action `requested_action`, as much is read as tells that they are the gate's own,
 * which pull request is meant and which commit: `pr` has the commit, and nothing else. A check run's external_id
 * names the pull request (key.h), since GitHub lists none for those from forks. A suite has none: there the list
 * has to name one.
 *
 * Of `merge_group`, `pr` has the group's commit and its branches, and `closed` where the group was merged. The branch's
 * name says which pull request the group is for.
 *
 * Of `issue_comment`, action `created`, what the comment asks prgate for (command.h), which comment of which pull
 * request it is, whose, and in pr.updated_at how new a read has to be to show what was there to comment on. Later edits
 * of a comment are no command, nor is what a bot or an App says.
 *
 * A struct event is a plain value. Thread-safe.
 */
#ifndef PRGATE_EVENT_H
#define PRGATE_EVENT_H

#include <stddef.h>

#include "prgate/command.h"
#include "prgate/config.h"
#include "prgate/err.h"
#include "prgate/pr.h"

/* Stored as numbers: append only, never renumber. */
enum event_action {
    EVENT_OPENED = 1,
    EVENT_REOPENED = 2,
    EVENT_READY_FOR_REVIEW = 3,
    EVENT_SYNCHRONIZE = 4,
    EVENT_LABELED = 5,
    EVENT_UNLABELED = 6,
    EVENT_CONVERTED_TO_DRAFT = 7,
    EVENT_EDITED = 8,
    EVENT_CLOSED = 9,
    EVENT_RERUN = 10,    /* "Re-run" was pressed at the gate's own check, or at the suite that it is in */
    EVENT_COMMAND = 11,  /* a comment was made that has a command for prgate */
    EVENT_BUTTON = 12,   /* "Approve CI" was pressed at the gate's own check */
    EVENT_QUEUED = 13,   /* a merge queue asks for checks on the commit of its group */
    EVENT_UNQUEUED = 14, /* that group is no more */
    EVENT_DEQUEUED = 15, /* the pull request left the merge queue */
    EVENT_WAKE = 16,     /* prgate's own: what the pull request waited for may be there now */
    EVENT_OPERATOR_APPROVE = 17,  /* prgatectl approve: for the commit in pr.head. See event_is_operators() */
    EVENT_OPERATOR_RETRIGGER = 18 /* prgatectl retrigger: of the start that `attempt` tells */
};

/* author_association, GitHub's rough and unreliable idea; used only where nothing can be asked. */
enum association { ASSOCIATION_OUTSIDER, ASSOCIATION_INSIDER };

struct event {
    enum event_action action;
    enum command command;         /* EVENT_COMMAND */
    char delivery[DELIVERY_SIZE]; /* X-GitHub-Delivery */
    char sha_prefix[SHA_SIZE];    /* EVENT_COMMAND: the commit that it names, lower-case hex digits, or "" */
    bool label_is_gate;           /* labeled, unlabeled: it is the policy's gate label */
    enum association association; /* of the pull request's author, or a comment's */
    enum visibility visibility;   /* of its repository; for the inbox, and not kept with the delivery */
    uint32_t attempt;    /* of a re-run: of which start it tells, head_attempt(); 0 = it does not say */
    int64_t received_ms; /* Unix time at the door */
    struct pr_key key;
    char repo[REPO_NAME_SIZE];
    uint64_t installation; /* 0: not an App's delivery */
    struct user sender;
    struct snapshot pr;     /* as it was when GitHub made the event */
    char label[LABEL_SIZE]; /* labeled, unlabeled: which; else "" */
    uint64_t label_id;
    uint64_t comment; /* EVENT_COMMAND: its comment's id */
};

/*
 * A payload of 25 kB has about 500 values. Parsed, each takes up to 40 times its bytes: 25 MiB of "1," would be
 * a gigabyte.
 */
enum { EVENT_VALUES_MAX = 50000 };

/* Is this X-GitHub-Event one that event_parse() understands? The others need not be parsed. */
bool event_is_of_concern(const char *name);

/* Would event_parse() find a rule for it? `action` is "" where the event has none. */
bool event_has_rule(const char *name, const char *action);

/* What a webhook says about people's rights: whose answers of GitHub, of which repository, are out of date. */
struct trust_change {
    char login[LOGIN_SIZE];            /* "": everybody's */
    uint64_t repo_id;                  /* 0: in any repository */
    char organization[REPO_NAME_SIZE]; /* "": in the teams of any */
};

/* Is this X-GitHub-Event one that event_parse_trust() understands: `member`, `membership` or `team`? */
bool event_changes_trust(const char *name);

/*
 * Parses a body of that event. Of one person it is about all that is kept of them; of a team, about everybody in its
 * repository, if it names one, and in the organization's teams. Errors: ERR_REJECT, malformed, the text says what.
 */
enum err_code event_parse_trust(struct trust_change *out, const char *name, const void *body, size_t len,
                                struct err *err);

/*
 * Parses a body of that event (X-GitHub-Event). The delivery id and time are left for the
 * caller. Errors: ERR_REJECT, malformed, the text says what and where; ERR_NOT_FOUND,
 * well-formed but of no concern (an action without a rule, a repository without a
 * section, somebody else's check, a re-run or a merge group of nobody knows what, a comment without a command), the
 * text says which. *out is undefined after an error, but for repo and key.number, which are set (or "" and 0) as far as
 * they were understood.
 */
enum err_code event_parse(struct event *out, const char *name, const void *body, size_t len,
                          const struct config *config, struct err *err);

/*
 * Does it show the pull request? Others tell of a commit at most, in pr.head: how the pull request looks, and whose it
 * is, a read alone tells.
 */
bool event_shows_pull(const struct event *event);

/*
 * Was it asked for on prgate's own host? Then the sender is the login of a user there, with id 0 (user_is_local()), who
 * may do what an approver may. No webhook is ever read as one of these.
 */
bool event_is_operators(const struct event *event);

const char *event_action_name(enum event_action action); /* "opened", ... */
bool event_action_from_number(unsigned number, enum event_action *out);

#endif
