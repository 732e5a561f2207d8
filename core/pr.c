#include "prgate/pr.h"

#include <ctype.h>
#include <string.h>

bool sha_parse(struct sha *sha, const char *hex)
{
    size_t len = strlen(hex);
    if ((len != 40 && len != 64) || strspn(hex, "0123456789abcdefABCDEF") != len)
        return false;
    for (size_t i = 0; i <= len; i++)
        sha->hex[i] = (char)tolower((unsigned char)hex[i]);
    return true;
}

bool sha_equal(const struct sha *a, const struct sha *b)
{
    return strcmp(a->hex, b->hex) == 0;
}

bool sha_is_set(const struct sha *sha)
{
    return sha->hex[0] != '\0';
}
