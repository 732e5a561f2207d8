/*
 * err: what went wrong, and what the caller is to do about it.
 *
 * Calling sequence:
 *
 *     enum err_code store_open(..., struct err *err)
 *     {
 *         if (mkdir(dir, 0700) != 0)
 *             return err_set(err, ERR_FATAL, errno, "cannot create %s: %s", dir, strerror(errno));
 *         if (table_open(..., err) != ERR_OK)
 *             return err_wrap(err, "opening the store");
 *         return ERR_OK;
 *     }
 *
 * A function that can fail returns `enum err_code` and takes a trailing
 * `struct err *`, which it leaves untouched on success. The code tells what
 * to do, the text is for a person, the number is errno's, HTTP's or Berkeley
 * DB's own. Plain values without ownership; a `struct err` belongs to one thread.
 */
#ifndef PRGATE_ERR_H
#define PRGATE_ERR_H

#include <stdbool.h>
#include <stdint.h>

enum err_code {
    ERR_OK = 0,
    ERR_RETRY,     /* passes by itself: try again, not before retry_at_ms where that is set */
    ERR_UNKNOWN,   /* a request went out and nobody knows whether it took effect */
    ERR_REJECT,    /* the input is wrong; trying again changes nothing */
    ERR_CONFLICT,  /* it is there already, or somebody else was first */
    ERR_NOT_FOUND, /* it is not there */
    ERR_CORRUPT,   /* stored bytes cannot be decoded: quarantine them */
    ERR_FATAL      /* this process cannot go on */
};

enum { ERR_TEXT_MAX = 512 };

struct err {
    enum err_code code;
    int number;          /* errno, HTTP status or Berkeley DB's code; 0 where there is none */
    int64_t retry_at_ms; /* ERR_RETRY: Unix time before which it is pointless; 0 = not known */
    char text[ERR_TEXT_MAX];
};

/* Fills *err, which may be NULL, and returns `code`. The text is cut at ERR_TEXT_MAX - 1 bytes. */
enum err_code err_set(struct err *err, enum err_code code, int number, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "VERB: " before the text and returns the code that *err already has. */
enum err_code err_wrap(struct err *err, const char *verb);

/* The code's name in lower case, for logs: "retry". Valid for ever. */
const char *err_code_name(enum err_code code);

#endif
