/*
 * trust: who is trusted, who may approve, who is prgate itself.
 *
 * Answers of GitHub are kept in the store for the configuration's trust_ttl,
 * shared by all pull requests of a repository and all processes: somebody with ten
 * open pull requests is asked about once.
 */
#ifndef PRGATE_TRUST_H
#define PRGATE_TRUST_H

#include <stdbool.h>

#include "prgate/decide.h"
#include "prgate/gate.h"

/*
 * Learns what decide() needs for this event, one fact after the other, under the
 * claim and outside any transaction. Errors: ERR_RETRY, to be tried again as it says;
 * ERR_NOT_FOUND, GitHub knows no such pull request; ERR_REJECT, GitHub refuses
 * to tell, which only an operator can mend.
 */
enum err_code trust_learn(struct worker *worker, const struct policy *policy, const struct record *record,
                          const struct event *event, struct facts *facts, struct err *err);

#endif
