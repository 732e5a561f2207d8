/*
 * What the files of decide share: pure, like all of it, and for them alone.
 *
 * Each changes the record the way it will be once the intents are performed, since the next delivery may
 * be decided without another read.
 */
#ifndef PRGATE_DECIDE_INTERNAL_H
#define PRGATE_DECIDE_INTERNAL_H

#include "prgate/decide.h"

bool decide_knows(const struct facts *facts, enum fact fact);

/* Is the commit that the event tells of the one that GitHub shows as the head now? */
bool decide_is_about_head(const struct event *event, const struct snapshot *view);

/* The last of out->intents is then the one that was added. */
void decide_add_intent(struct decision *out, enum intent_kind kind, const struct sha *sha);

void decide_remove_label(struct record *record, const struct head *head, struct decision *out);

/* The check waits, and says for what; nothing where it says so already. */
void decide_await(struct head *head, enum wait_reason reason, struct decision *out);
void decide_complete_check(struct head *head, struct decision *out);

/* CI for the first time: trigger, label, check. */
void decide_start(struct record *record, struct head *head, int64_t now_ms, struct decision *out);

#endif
