/*
 * wording: every sentence that prgate writes on a pull request.
 */
#ifndef PRGATE_WORDING_H
#define PRGATE_WORDING_H

#include <stdbool.h>

#include "prgate/buf.h"
#include "prgate/config.h"
#include "prgate/intent.h"
#include "prgate/record.h"

/* Title and summary of the check while the head waits. `head` may be NULL. */
void wording_awaiting(const struct policy *policy, const struct head *head, enum wait_reason reason,
                      struct buf *title, struct buf *summary);

/* Title and summary of the check once CI was triggered (or may have been). */
void wording_done(const struct policy *policy, const struct head *head, struct buf *title,
                  struct buf *summary);

void wording_conflict(const struct policy *policy, const struct record *record, struct buf *comment);

/*
 * The comment of an INTENT_COMMENT, and the marker that tells it from others: MESSAGE's name and what it is once for,
 * as the commit's SHA. `web` is where people see GitHub, "https://github.com".
 */
void wording_message(const struct policy *policy, const struct record *record, const struct intent *intent,
                     const char *web, struct buf *comment);
void wording_message_marker(const struct intent *intent, struct buf *marker);

/* Of the policies' messages; "" is appended to for any other. */
void wording_policy(const struct policy *policy, const struct record *record, const struct intent *intent,
                    struct buf *comment);

/* The repository's own words for the commit that is the head, if it has some (`text` is neither NULL nor ""). */
bool wording_own(const struct policy *policy, const char *text, const struct record *record,
                 struct buf *comment);

/* Title and summary of the check that the emergency label completes. */
void wording_guard(const struct policy *policy, const struct record *record, const struct intent *intent,
                   struct buf *title, struct buf *summary);

/* The text of a review that approves. */
void wording_review(const struct record *record, const struct intent *intent, struct buf *text);

/* What has to happen, in Markdown, for what waits because of `reason`; and what an action is called: "starting CI". */
void wording_next(const struct policy *policy, enum wait_reason reason, struct buf *out);
const char *wording_action(enum intent_kind kind);

/* The same of what a dry run would do: "start CI". */
const char *wording_would(enum intent_kind kind);

/* Appends to a check's title and summary that something was given up, and why. */
void wording_undone(const struct dead_letter *letter, struct buf *title, struct buf *summary);

#endif
