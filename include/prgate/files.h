/*
 * files: do the files that a pull request changes lack tests? Beside trust.h, for the policies.
 */
#ifndef PRGATE_FILES_H
#define PRGATE_FILES_H

#include "prgate/decide.h"
#include "prgate/gate.h"

/*
 * Sets facts->tests_missing: by the patterns of the policy, some file needs tests and none is one. It is not certain,
 * and so false, where GitHub does not tell all (3,000 files at most), or does not answer: a policy must not hold up the
 * gate. Errors: those of github.h that will pass; each other is logged, and ERR_OK.
 */
enum err_code files_learn(struct worker *worker, const struct policy *policy, const struct record *record,
                          struct facts *facts, struct err *err);

#endif
