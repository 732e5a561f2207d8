/*
 * What the files of act share, and nobody else includes.
 */
#ifndef PRGATE_ACT_INTERNAL_H
#define PRGATE_ACT_INTERNAL_H

#include "prgate/act.h"

/* For actions that look before they act: what a call's code means for the intent. */
struct act_result act_result_of(enum err_code code, const struct err *err);

/* The comment of intent->message, once. */
struct act_result act_say(struct worker *worker, const struct policy *policy, const struct record *record,
                          const struct intent *intent);

/* The status page of the pull request, for a check; nothing where that is not known. */
void act_add_details_url(const struct worker *worker, const struct record *record, struct buf *url);

/* The policies' intents (act_policy.c). */
struct act_result act_policy(struct worker *worker, const struct policy *policy, const struct record *record,
                             const struct intent *intent);

#endif
