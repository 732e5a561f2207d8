/*
 * run_again: what happens between a commit whose success is hidden and the next run of its body.
 */
#ifndef PRGATE_TESTS_RUN_AGAIN_H
#define PRGATE_TESTS_RUN_AGAIN_H

#include <stdbool.h>

/*
 * While it is set, each transaction of prgate's is committed, then this is called, then its body is run again; until it
 * returns false. For one thread.
 */
extern bool (*after_hidden_commit)(void *arg);
extern void *after_hidden_commit_arg;

#endif
