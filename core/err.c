#include "prgate/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum err_code err_set(struct err *err, enum err_code code, int number, const char *format, ...)
{
    if (err == NULL)
        return code;
    va_list args;
    va_start(args, format);
    err->code = code;
    err->number = number;
    err->retry_at_ms = 0;
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return code;
}

enum err_code err_wrap(struct err *err, const char *verb)
{
    char inner[ERR_TEXT_MAX];
    memcpy(inner, err->text, sizeof inner);
    int cut = snprintf(err->text, sizeof err->text, "%s: %s", verb, inner);
    return cut < 0 ? ERR_FATAL : err->code;
}

const char *err_code_name(enum err_code code)
{
    switch (code) {
    case ERR_OK:
        return "ok";
    case ERR_RETRY:
        return "retry";
    case ERR_UNKNOWN:
        return "unknown";
    case ERR_REJECT:
        return "reject";
    case ERR_CONFLICT:
        return "conflict";
    case ERR_NOT_FOUND:
        return "not_found";
    case ERR_CORRUPT:
        return "corrupt";
    case ERR_FATAL:
        return "fatal";
    }
    return "?";
}
