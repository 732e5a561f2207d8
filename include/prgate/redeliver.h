/*
 * redeliver: asks GitHub to send again what did not arrive.
 *
 * GitHub does not repeat a delivery that failed, but keeps it for three days and sends it again when
 * asked. A redelivery has the same id (guid), so the inbox knows it: asking once too often does
 * no harm, and a pass that dies on the way is simply made again.
 */
#ifndef PRGATE_REDELIVER_H
#define PRGATE_REDELIVER_H

#include <stdbool.h>

#include "prgate/pace.h"

/* Is there anything to be done at all: it is switched on, there are credentials, it is no dry run? */
bool redeliver_is_wanted(const struct config *config);

/*
 * One pass over the App's webhook, or those of the repositories: asks for each event of concern none of
 * whose attempts succeeded; the first time at once, then after 5 minutes, 10, 20 and so on. *asked: how many.
 * The cursor is how far back the next pass has to look. False: it failed on the way and is to be made again.
 */
bool redeliver_pass(struct worker *worker, struct turn *turn, unsigned *asked);

#endif
