/*
 * pr: the values that every layer shares: which pull request, which commit, who.
 *
 * Plain structs, copied by assignment, never allocated.
 */
#ifndef PRGATE_PR_H
#define PRGATE_PR_H

#include <stdbool.h>
#include <stdint.h>

enum {
    REPO_NAME_SIZE = 144, /* "owner/name": 39 + 1 + 100, and room for the NUL */
    LOGIN_SIZE = 72,      /* 39, an enterprise's suffix, "[bot]" */
    LABEL_SIZE = 208,     /* 50 characters of up to 4 bytes */
    REF_SIZE = 256,
    SHA_SIZE = 65, /* SHA-1's 40 digits or SHA-256's 64 */
    DELIVERY_SIZE = 65,
    TITLE_SIZE = 256,
    KEY_SIZE = 33 /* idempotency key of a trigger */
};

/* Repositories are known by GitHub's number: it outlives renames and transfers. */
struct pr_key {
    uint64_t repo_id;
    uint64_t number;
};

struct sha {
    char hex[SHA_SIZE]; /* lower-case hex digits; "" = none */
};

struct user {
    uint64_t
        id; /* 0: nobody, as with a deleted account ("ghost"); with a login, somebody on prgate's own host */
    char login[LOGIN_SIZE];
    bool bot;
};

/* Not GitHub's account of that name, but prgate's operator. GitHub gives every sender an id. */
bool user_is_local(const struct user *user);

/* What a collaborator may do, in rising order; see GitHub's repository roles. Stored as numbers. */
enum permission {
    PERMISSION_NONE,
    PERMISSION_READ,
    PERMISSION_TRIAGE,
    PERMISSION_WRITE,
    PERMISSION_MAINTAIN,
    PERMISSION_ADMIN,
    PERMISSION_END
};

/* What GitHub says of a repository, where it says so. */
enum visibility { VISIBILITY_UNKNOWN, VISIBILITY_PUBLIC, VISIBILITY_PRIVATE };

enum mergeable { MERGEABLE_UNKNOWN, MERGEABLE_NO, MERGEABLE_YES };

/* A pull request as GitHub showed it at one time, in a payload or a reply. */
struct snapshot {
    int64_t updated_at; /* GitHub's pull_request.updated_at, Unix seconds; 0 = never seen */
    struct sha head;
    char head_ref[REF_SIZE];
    char base_ref[REF_SIZE];
    char title[TITLE_SIZE];
    struct user author;
    bool draft;
    bool closed;
    bool labelled; /* carries the gate label (by the pinned id, where one is configured) */
    bool
        same_repo; /* its branch is one of the repository itself, not of a fork; false also where nobody knows */
    enum mergeable mergeable;
};

bool sha_parse(struct sha *sha, const char *hex); /* false: not 40 or 64 hex digits */
bool sha_equal(const struct sha *a, const struct sha *b);
bool sha_is_set(const struct sha *sha);

/*
 * Of a merge queue's branch, "gh-readonly-queue/main/pr-104-SHA": which pull request the group is for (the last that is
 * in it), and what it is to be merged into. False: it is no such branch; nothing is touched then.
 */
bool queue_ref_parse(const char *ref, uint64_t *number, char base_ref[REF_SIZE]);

#endif
