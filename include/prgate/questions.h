/*
 * questions: what of GitHub a process is asking at this moment, so that hundreds of pull requests do not ask the same.
 *
 *     if (questions_begin(questions, "permission/42/octocat")) {
 *         ... ask, and put the answer where the others look
 *         questions_end(questions, "permission/42/octocat");
 *     } else {
 *         ... somebody has asked meanwhile: look whether the answer is there; if not, ask yourself
 *     }
 *
 * Whoever waits, waits for one asker at most: where GitHub does not answer they do not all wait for each other. Thread-safe;
 * a fiber gives its thread away while it waits.
 */
#ifndef PRGATE_QUESTIONS_H
#define PRGATE_QUESTIONS_H

#include <stdbool.h>

struct questions;

struct questions *questions_open(void);
void questions_close(struct questions *questions); /* NULL is allowed */

/* True: nobody is asking that, and now you are. False: somebody was, and has ended. NULL: always true. */
bool questions_begin(struct questions *questions, const char *question);
void questions_end(struct questions *questions, const char *question);

#endif
