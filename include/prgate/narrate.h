/*
 * narrate: what a report says of a pull request, in sentences for people.
 *
 * Works on report_pull()'s tree and adds to it; reads nothing else. Thread-safe.
 */
#ifndef PRGATE_NARRATE_H
#define PRGATE_NARRATE_H

#include <cjson/cJSON.h>

#include "prgate/next.h"

/*
 * Adds
 *   to each entry of "ledger" "told": {"what", "facts": [...], "why", "done"}, plain sentences, "" where there is nothing;
 *   to each of "deliveries" "event_text", of "intents" and "dead" "action_text";
 *   "way": [{"from", "to", "time", "what"}], the states that the ledger's decisions led through, in order;
 *   "next": see next.h.
 */
void narrate_pull(cJSON *report, const struct outlook *outlook);

#endif
