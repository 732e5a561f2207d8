/*
 * What the files of act share: one file for each group of intents, and for them alone.
 *
 * Each looks before it acts; what a crash leaves behind is done again.
 */
#ifndef PRGATE_ACT_INTERNAL_H
#define PRGATE_ACT_INTERNAL_H

#include "prgate/act.h"
#include "prgate/trigger.h"

enum {
    ACT_RUN_APPEARS_MS = 30000, /* a run shows up in the list of runs within this time */
    ACT_CLOCK_SKEW_S = 60
};

/* For actions that look before they act: not knowing whether it worked is the same as knowing that it did not. */
struct act_result act_result_of(enum err_code code, const struct err *err);

/* A trigger, and the text that it points to. */
struct act_trigger_text {
    char key[KEY_SIZE];
    char base_ref[REF_SIZE];
};

/* What is told of the intent's commit to whoever runs CI, for that attempt. Valid as long as record, intent and text. */
struct trigger act_describe_trigger(const struct record *record, const struct intent *intent,
                                    unsigned attempt, struct act_trigger_text *text);

/* INTENT_CANCEL, INTENT_RELEASE_RUNS (act_runs.c). */
struct act_result act_cancel(struct worker *worker, const struct policy *policy, const struct record *record,
                             const struct intent *intent);
struct act_result act_release_runs(struct worker *worker, const struct policy *policy,
                                   const struct record *record, const struct intent *intent);

/* The comment of intent->message, once. */
struct act_result act_say(struct worker *worker, const struct policy *policy, const struct record *record,
                          const struct intent *intent);

/* The status page of the pull request, for a check; nothing where that is not known. */
void act_add_details_url(const struct worker *worker, const struct record *record, struct buf *url);

/* The policies' intents (act_policy.c). */
struct act_result act_policy(struct worker *worker, const struct policy *policy, const struct record *record,
                             const struct intent *intent);

#endif
