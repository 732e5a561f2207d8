/*
 * next: what has to happen next to a pull request, and who can do it.
 *
 * Works on report_pull()'s tree and adds to it; reads nothing else. Whatever state the pull request is in, something is
 * said. Thread-safe.
 */
#ifndef PRGATE_NEXT_H
#define PRGATE_NEXT_H

#include <cjson/cJSON.h>

#include "prgate/config.h"

/* What the report does not say. */
struct outlook {
    const struct policy *policy; /* the repository's, borrowed; NULL: it is not configured any more */
    int64_t now_ms;
    int64_t blocked_until_ms; /* GitHub asked not to be called before; 0: it did not */
    bool dry_run;
};

/*
 * Adds "next": [{"what", "who"}], the most pressing first; never empty. "what" may hold Markdown's emphasis, as the check
 * on GitHub has. Each of "dead" has its "action_text" already: see narrate.h.
 */
void next_tell(cJSON *report, const struct outlook *outlook);

#endif
