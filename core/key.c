#include "prgate/key.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "prgate/log.h"
#include "prgate/text.h"

void trigger_key(const struct pr_key *pr, const struct sha *head, unsigned attempt, char out[KEY_SIZE])
{
    char text[SHA_SIZE + 64];
    unsigned char digest[EVP_MAX_MD_SIZE];
    int len = snprintf(text, sizeof text, "%" PRIu64 "/%" PRIu64 "/%s/%u", pr->repo_id, pr->number, head->hex,
                       attempt);
    if (EVP_Digest(text, (size_t)len, digest, NULL, EVP_sha256(), NULL) != 1)
        log_panic("SHA-256 fails");
    text_hex(digest, (KEY_SIZE - 1) / 2, out);
}

void check_id_make(const struct pr_key *pr, const struct sha *head, unsigned attempt, char out[CHECK_ID_SIZE])
{
    char key[KEY_SIZE];
    trigger_key(pr, head, attempt, key);
    snprintf(out, CHECK_ID_SIZE, "%" PRIu64 "/%u/%s", pr->number, attempt, key);
}

/* Digits up to a slash; *text is then behind it. */
static bool take_number(const char **text, uint64_t max, uint64_t *out)
{
    char digits[24];
    size_t len = strspn(*text, "0123456789");
    if (len == 0 || len >= sizeof digits || (*text)[len] != '/')
        return false;
    memcpy(digits, *text, len);
    digits[len] = '\0';
    *text += len + 1;
    return text_to_u64(digits, max, out);
}

bool check_id_parse(const char *text, uint64_t repo_id, const struct sha *head, uint64_t *number,
                    uint32_t *attempt)
{
    struct pr_key pr = {.repo_id = repo_id};
    uint64_t count;
    char want[CHECK_ID_SIZE];
    const char *at = text;
    if (!take_number(&at, UINT64_MAX, &pr.number) || !take_number(&at, UINT32_MAX, &count))
        return false;
    check_id_make(&pr, head, (unsigned)count, want);
    if (strcmp(text, want) != 0)
        return false;
    *number = pr.number;
    *attempt = (uint32_t)count;
    return true;
}
