/*
 * delivery: a parsed webhook as the inbox keeps it. Versioned, length-checked.
 */
#ifndef PRGATE_DELIVERY_H
#define PRGATE_DELIVERY_H

#include <stddef.h>

#include "prgate/buf.h"
#include "prgate/err.h"
#include "prgate/event.h"

void delivery_encode(const struct event *event, struct buf *out);
enum err_code delivery_decode(struct event *event, const void *bytes, size_t len, struct err *err);

#endif
