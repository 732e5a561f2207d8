#include "prgate/glob.h"

#include <stddef.h>
#include <string.h>

/* Where to go on after a mismatch: the newest star, and the newest two stars. */
struct retry {
    const char *pattern; /* behind the stars; NULL: there were none */
    const char *text;    /* where what follows them was last tried */
};

/* `at` begins with a star. Are they two that are a component by themselves? */
static bool is_deep(const char *pattern, const char *at)
{
    return at[1] == '*' && (at == pattern || at[-1] == '/') && (at[2] == '/' || at[2] == '\0');
}

static bool fits_one(char pattern, char text)
{
    return pattern == text || (pattern == '?' && text != '/');
}

/*
 * One star takes another character, or two stars another component. Only the newest of each need be tried: what an
 * earlier one could take more, a later one could take as well.
 */
static bool go_back(struct retry *star, struct retry *deep, const char **pattern, const char **text)
{
    if (star->pattern != NULL && *star->text != '/') {
        *pattern = star->pattern;
        *text = ++star->text;
        return true;
    }
    const char *slash = deep->pattern == NULL ? NULL : strchr(deep->text, '/');
    if (slash == NULL)
        return false;
    *star = (struct retry){0};
    *pattern = deep->pattern;
    *text = deep->text = slash + 1;
    return true;
}

bool glob_fits(const char *pattern, const char *text)
{
    const char *at = pattern;
    struct retry star = {0}, deep = {0};
    while (*text != '\0') {
        if (*at == '*' && is_deep(pattern, at)) {
            if (at[2] == '\0')
                return true;
            at += 3;
            deep = (struct retry){.pattern = at, .text = text};
            star = (struct retry){0};
        } else if (*at == '*') {
            star = (struct retry){.pattern = ++at, .text = text};
        } else if (fits_one(*at, *text)) {
            at++;
            text++;
        } else if (!go_back(&star, &deep, &at, &text)) {
            return false;
        }
    }
    while (*at == '*')
        at += is_deep(pattern, at) && at[2] == '/' ? 3 : 1;
    return *at == '\0';
}
