/*
 * serve: the two ways a web server runs prgate.
 *
 * serve_fcgi(): a FastCGI process, the listening socket on file descriptor 0. Threads accept
 * and acknowledge, other threads drain, one sweeps. Returns after SIGTERM or SIGINT,
 * with every request answered and every claim given up.
 *
 * serve_cgi(): one request, from the environment and standard input, as in RFC 3875.
 */
#ifndef PRGATE_SERVE_H
#define PRGATE_SERVE_H

#include <stdbool.h>

#include "prgate/config.h"

/* Is file descriptor 0 a listening socket? */
bool serve_is_fcgi(void);

/* The process's exit status. */
int serve_fcgi(const struct config *config);
int serve_cgi(const struct config *config);

#endif
