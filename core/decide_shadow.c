/*
 * A dry run beside a gate that really acts: the rules look at the gate label as it would be, had prgate done what it
 * would have done.
 *
 * GitHub shows the label as others have left it, in payloads and reads alike. Once an action that would have changed
 * it was only shown, the record says so (shadow_label), and from then on payloads and reads are taken as if it had been.
 * That ends when somebody really sets the label or takes it off, or when GitHub shows it as it would be. Older news than
 * the decision that it followed from changes nothing, so that late webhooks do not bring an old label back.
 */
#include "decide_internal.h"

static bool is_real_change(const struct event *event)
{
    return (event->action == EVENT_LABELED || event->action == EVENT_UNLABELED) && event->label_is_gate;
}

/* What is left of the shadow, once this is known. */
static enum shadow_label shadow_left(const struct record *record, const struct event *event,
                                     const struct facts *facts)
{
    bool set = record->shadow_label == SHADOW_SET;
    if (!facts->dry_run || record->shadow_label == SHADOW_NONE)
        return SHADOW_NONE;
    if (is_real_change(event) && event->pr.updated_at > record->shadow_at)
        return SHADOW_NONE;
    if (event_shows_pull(event) && event->pr.updated_at >= record->shadow_at && event->pr.labelled == set)
        return SHADOW_NONE;
    if (decide_knows(facts, FACT_READ) && facts->read.updated_at >= record->shadow_at &&
        facts->read.labelled == set)
        return SHADOW_NONE;
    return record->shadow_label;
}

bool decide_has_shadow(const struct record *record, const struct event *event, const struct facts *facts)
{
    return shadow_left(record, event, facts) != SHADOW_NONE;
}

void decide_shadow(const struct record *record, struct event *event, struct facts *facts)
{
    bool set = record->shadow_label == SHADOW_SET;
    if (event_shows_pull(event) && event->pr.updated_at >= record->shadow_at)
        event->pr.labelled = set;
    if (decide_knows(facts, FACT_READ) && facts->read.updated_at >= record->shadow_at)
        facts->read.labelled = set;
}

void decide_end_shadow(struct record *record)
{
    record->shadow_label = SHADOW_NONE;
    record->shadow_at = 0;
}
