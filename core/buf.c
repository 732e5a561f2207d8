#include "prgate/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *mem_grow(void *old, size_t size)
{
    void *grown = realloc(old, size == 0 ? 1 : size);
    if (grown == NULL) {
        static const char message[] = "prgate: out of memory\n";
        fwrite(message, 1, sizeof message - 1, stderr);
        abort();
    }
    return grown;
}

void *mem_alloc(size_t size)
{
    return mem_grow(NULL, size);
}

void *mem_room(void *list, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return list;
    *cap = *cap == 0 ? 4 : 2 * *cap;
    return mem_grow(list, *cap * size);
}

char *mem_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(mem_alloc(size), text, size);
}

void buf_init(struct buf *b)
{
    *b = (struct buf){0};
}

void buf_release(struct buf *b)
{
    free(b->data);
    buf_init(b);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
}

static void set_cap(struct buf *b, size_t cap)
{
    b->data = mem_grow(b->data, cap);
    b->cap = cap;
}

unsigned char *buf_reserve(struct buf *b, size_t more)
{
    size_t need = b->len + more;
    if (need > b->cap) {
        size_t cap = b->cap == 0 ? 256 : b->cap;
        while (cap < need)
            cap *= 2;
        set_cap(b, cap);
    }
    return b->data == NULL ? NULL : b->data + b->len;
}

void buf_add_tightly(struct buf *b, const void *bytes, size_t len)
{
    size_t need = b->len + len;
    if (need > b->cap)
        set_cap(b, need + b->len / 8);
    buf_add(b, bytes, len);
}

void buf_add(struct buf *b, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    memcpy(buf_reserve(b, len), bytes, len);
    b->len += len;
}

void buf_adds(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_addc(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_addi(struct buf *b, int64_t number)
{
    char digits[20];
    char *at = digits + sizeof digits;
    uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do
        *--at = (char)('0' + left % 10);
    while ((left /= 10) > 0);
    if (number < 0)
        *--at = '-';
    buf_add(b, at, (size_t)(digits + sizeof digits - at));
}

void buf_addv(struct buf *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    if (len > 0) {
        size_t size = (size_t)len + 1;
        vsnprintf((char *)buf_reserve(b, size), size, format, again);
        b->len += (size_t)len;
    }
    va_end(again);
}

void buf_addf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_addv(b, format, args);
    va_end(args);
}

const char *buf_text(struct buf *b)
{
    *buf_reserve(b, 1) = '\0';
    return (const char *)b->data;
}
