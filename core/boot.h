/*
 * Whether the store was recovered since the machine booted: the file STATE_DIR/db/boot.
 *
 * The fence (fence.h) tells that a process died while it had the environment open. It does not tell that the
 * machine went down after the last one had ended well, though then, too, commits may be in the synced log alone: the
 * regions and the tables' pages wait in the kernel's memory. So the store is recovered once in each boot.
 *
 * The file holds the kernel's id of the boot (/proc/sys/kernel/random/boot_id). All with fence_lock() held.
 */
#ifndef PRGATE_BOOT_H
#define PRGATE_BOOT_H

#include <stdbool.h>

#include "prgate/err.h"

enum { BOOT_ID_SIZE = 40 };

struct boot_mark {
    int fd;
    char now[BOOT_ID_SIZE]; /* this boot */
};

/* Opens the mark below `home`. boot_mark_close() it in any case. ERR_FATAL where the file or the boot's id cannot be read. */
enum err_code boot_mark_open(struct boot_mark *mark, const char *home, struct err *err);
void boot_mark_close(struct boot_mark *mark);

/* The store was recovered in this boot. */
bool boot_mark_is_set(const struct boot_mark *mark);

/* Before a recovery: one that fails or dies amid it leaves regions that must not be joined. */
enum err_code boot_mark_clear(const struct boot_mark *mark, struct err *err);

/* After the recovery. Where it fails, or a crash comes first, the next one recovers once more. */
void boot_mark_set(const struct boot_mark *mark);

#endif
