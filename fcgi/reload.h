/*
 * reload: the configuration of a running process, read anew.
 *
 * All of the file counts from then on, secrets included. Not so what stands outside of it: the
 * environment is that of the start, and so is the file's name.
 */
#ifndef PRGATE_RELOAD_H
#define PRGATE_RELOAD_H

#include "prgate/config.h"

/*
 * Reads the file that `now` came from. *out is the caller's to close; untouched on error. ERR_REJECT: the file cannot be
 * used, or changes a key that needs a restart; the text is meant for the operator. For the thread that
 * called config_open(), while others use `now`.
 */
enum err_code reload_config(struct config **out, const struct config *now, struct err *err);

#endif
