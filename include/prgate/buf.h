/*
 * buf: a growable run of bytes.
 *
 *     struct buf b;
 *     buf_init(&b);
 *     buf_addf(&b, "%s#%d", repo, number);
 *     use(buf_text(&b));
 *     buf_release(&b);
 *
 * The struct is the caller's storage, its data is the heap's until
 * buf_release(). Running out of memory ends the process: prgate keeps nothing
 * in memory that is not in the store, so dying is always safe and a
 * half-built reply never is. Not thread-safe.
 */
#ifndef PRGATE_BUF_H
#define PRGATE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    unsigned char *data;
    size_t len;
    size_t cap;
};

void buf_init(struct buf *b);
void buf_release(struct buf *b);

/* Empties it and keeps the memory. */
void buf_clear(struct buf *b);

/* Room for `more` bytes behind the present ones; returns where they start. Does not change len. */
unsigned char *buf_reserve(struct buf *b, size_t more);

void buf_add(struct buf *b, const void *bytes, size_t len);

/* The same for what will be held for long: at most an eighth of the memory is left over, else up to half. */
void buf_add_tightly(struct buf *b, const void *bytes, size_t len);

void buf_adds(struct buf *b, const char *text);
void buf_addc(struct buf *b, char c);
void buf_addi(struct buf *b, int64_t number); /* in decimal, without the cost of a format */
void buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_addv(struct buf *b, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

/* The content with a NUL behind it that does not count; valid until the next change. */
const char *buf_text(struct buf *b);

/* malloc() and realloc() that never return NULL. */
void *mem_alloc(size_t size);
void *mem_grow(void *old, size_t size);
/* A list of `count` elements, with room for one more: `list`, or where it is now. *cap is how many there is room for. */
void *mem_room(void *list, size_t count, size_t *cap, size_t size);
char *mem_strdup(const char *text);

#endif
