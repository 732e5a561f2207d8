/*
 * setup: the one-time code that opens the page /setup, and that page's state parameter.
 *
 *     char code[SETUP_CODE_SIZE];
 *     setup_open(state_dir, "", clock_now_ms() / 1000, code, &err);   prgatectl: shows the code
 *     ...
 *     setup_check(state_dir, SETUP_CODE, given, now_s, org, &err);    the page
 *     ...
 *     setup_close(state_dir);
 *
 * The file STATE_DIR/setup (0600) holds hashes, the time at which they expire, and how many wrong guesses are left. It
 * is replaced by a rename: a crash leaves the old one or the new one, and a ".setup.new" that is written over. A file that
 * cannot be read whole counts as none.
 *
 * The state that goes to GitHub and comes back with the App's code is derived from the one-time code: who was not shown
 * the code cannot have a browser finish a set-up that it did not begin, and the state does not open the page.
 */
#ifndef PRGATE_SETUP_H
#define PRGATE_SETUP_H

#include <stdbool.h>
#include <stdint.h>

#include "prgate/err.h"
#include "prgate/pr.h"

enum {
    SETUP_CODE_SIZE = 33, /* 128 random bits, hexadecimal, and a NUL */
    SETUP_STATE_SIZE = 65,
    SETUP_LIFE_S = 15 * 60,
    SETUP_GUESSES = 5 /* wrong ones, of either kind; then the code is void */
};

enum setup_word { SETUP_CODE, SETUP_STATE };

/*
 * Held while the code is checked and used, by one process and thread at a time. `wait` false: ERR_RETRY where somebody
 * else has it. The operating system lets go of it when its holder dies.
 */
struct setup_lock {
    int fd;
};
enum err_code setup_lock(struct setup_lock *lock, const char *state_dir, bool wait, struct err *err);
void setup_unlock(struct setup_lock *lock);

/* A new code; one before it is void. `org`: whose Apps are meant, "" = the person's own. ERR_FATAL: not to be written. */
enum err_code setup_open(const char *state_dir, const char *org, int64_t now_s, char code[SETUP_CODE_SIZE],
                         struct err *err);

/* The code's state. */
void setup_state(const char *code, char state[SETUP_STATE_SIZE]);

/* Is there a code that has not expired and is not void? */
bool setup_is_open(const char *state_dir, int64_t now_s);

/* Is it this one? For whoever made it: nothing is counted. */
bool setup_is_open_by(const char *state_dir, const char *code, int64_t now_s);

/*
 * ERR_OK: it is the one, and `org` is filled in. ERR_NOT_FOUND: there is none, or this is not it, which is counted and on
 * the disk before the answer. What no code can look like is not counted. With the lock held.
 */
enum err_code setup_check(const char *state_dir, enum setup_word word, const char *text, int64_t now_s,
                          char org[LOGIN_SIZE], struct err *err);

void setup_close(const char *state_dir);

#endif
