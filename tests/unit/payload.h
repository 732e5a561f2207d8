/* A whole webhook of tests/payloads, as large and as wordy as GitHub's own. */
#ifndef PRGATE_TEST_PAYLOAD_H
#define PRGATE_TEST_PAYLOAD_H

#include "check.h"

#include <stdio.h>

#include "prgate/buf.h"

/* `name` is without ".json". *out is the caller's to release. */
static inline void read_payload(const char *name, struct buf *out)
{
    char path[512];
    snprintf(path, sizeof path, "%s/payloads/%s.json", TEST_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("%s: cannot be opened", path);
    buf_init(out);
    size_t got;
    do {
        got = fread(buf_reserve(out, 65536), 1, 65536, file);
        out->len += got;
    } while (got > 0);
    fclose(file);
}

#endif
