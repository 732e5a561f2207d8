/*
 * serve: the two ways a web server runs prgate.
 *
 * serve_fcgi(): a FastCGI process, the listening socket on file descriptor 0. Threads accept
 * and acknowledge, other threads drain, one sweeps. Returns after SIGTERM, SIGINT or SIGUSR1,
 * with every request answered and every claim given up. SIGHUP and SIGUSR2 make it read
 * the configuration anew, see reload.h.
 *
 * serve_cgi(): one request, from the environment and standard input, as in RFC 3875.
 */
#ifndef PRGATE_SERVE_H
#define PRGATE_SERVE_H

#include <stdbool.h>

#include "prgate/config.h"

/* Is file descriptor 0 a listening socket? */
bool serve_is_fcgi(void);

/* From here on serve_fcgi()'s signals wait for it. To be called first: until then they end the process. */
void serve_hold_signals(void);

/* The process's exit status. *config is replaced by each reload; what it is in the end stays the caller's to close. */
int serve_fcgi(struct config **config);
int serve_cgi(const struct config *config);

#endif
