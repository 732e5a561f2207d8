#include "prgate/pr.h"

#include <ctype.h>
#include <stdlib.h>
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

bool user_is_local(const struct user *user)
{
    return user->id == 0 && user->login[0] != '\0';
}

bool queue_ref_parse(const char *ref, uint64_t *number, char base_ref[REF_SIZE])
{
    static const char prefix[] = "gh-readonly-queue/";
    struct sha base;
    if (strncmp(ref, prefix, sizeof prefix - 1) != 0)
        return false;
    const char *name = ref + sizeof prefix - 1;
    const char *last = strrchr(name, '/');
    if (last == NULL || last == name || (size_t)(last - name) >= REF_SIZE || strncmp(last, "/pr-", 4) != 0)
        return false;
    const char *digits = last + 4;
    size_t len = strspn(digits, "0123456789");
    if (len == 0 || len > 18 || digits[len] != '-' || !sha_parse(&base, digits + len + 1))
        return false;
    uint64_t found = strtoull(digits, NULL, 10);
    if (found == 0)
        return false;
    *number = found;
    memcpy(base_ref, name, (size_t)(last - name));
    base_ref[last - name] = '\0';
    return true;
}
