/*
 * check_signature make|first|last|none HEADER: checks one signature, in measured(), for tests/security.sh to count the
 * instructions, and prints the result's number. The body is always the same; the secret that GitHub has is the
 * first or last of three, or is not among them. make: prints the header that is right.
 */
#include <stdio.h>
#include <string.h>

#include "prgate/signature.h"

static const char body[] = "{\"action\":\"opened\"}";
static unsigned char github_s[] = "It's a Secret to Everybody";
static unsigned char other[] = "It's a secret to everybody";

static struct secret secrets[] = {{.bytes = other, .len = sizeof other - 1},
                                  {.bytes = other, .len = sizeof other - 1},
                                  {.bytes = other, .len = sizeof other - 1}};

static struct signature_keys *keys;

enum signature_result measured(const char *header);

/* Not inlined: callgrind knows it by its name. */
__attribute__((noinline)) enum signature_result measured(const char *header)
{
    return signature_check(keys, header, body, sizeof body - 1);
}

static int make(void)
{
    const struct secret secret = {.bytes = github_s, .len = sizeof github_s - 1};
    char header[SIGNATURE_SIZE];
    signature_make(&secret, body, sizeof body - 1, header);
    puts(header);
    return 0;
}

int main(int argc, char **argv)
{
    static const char zeros[] = "sha256=0000000000000000000000000000000000000000000000000000000000000000";
    if (argc != 3)
        return 64;
    if (strcmp(argv[1], "make") == 0)
        return make();
    if (strcmp(argv[1], "first") == 0)
        secrets[0].bytes = github_s;
    if (strcmp(argv[1], "last") == 0)
        secrets[2].bytes = github_s;
    keys = signature_keys_open(secrets, 3);
    /* What libcrypto does only once, it does here; the same for each header. */
    for (int i = 0; i < 3; i++)
        signature_check(keys, zeros, body, sizeof body - 1);
    printf("%d\n", (int)measured(argv[2]));
    signature_keys_close(keys);
    return 0;
}
