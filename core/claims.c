#include "prgate/claims.h"

#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/buf.h"
#include "prgate/log.h"

struct claims {
    struct alive *alive;
    pthread_mutex_t mutex;                 /* of what follows */
    unsigned char token[CLAIM_TOKEN_SIZE]; /* the next one: random at first, its last eight bytes count up */
    struct claim *list;                    /* a few dozen at most: searched from end to end */
    size_t count;
    size_t cap;
};

void claims_open(struct claims **out, struct alive *alive)
{
    struct claims *claims = mem_alloc(sizeof *claims);
    *claims = (struct claims){.alive = alive};
    if (RAND_bytes(claims->token, sizeof claims->token) != 1)
        log_panic("no random bytes to be had for claims");
    pthread_mutex_init(&claims->mutex, NULL);
    *out = claims;
}

void claims_close(struct claims *claims)
{
    if (claims == NULL)
        return;
    pthread_mutex_destroy(&claims->mutex);
    free(claims->list);
    free(claims);
}

bool claim_equal(const struct claim *a, const struct claim *b)
{
    return a->held && b->held && memcmp(a->token, b->token, sizeof a->token) == 0;
}

/* Where it is on the list, or claims->count. The caller holds the mutex. */
static size_t find(const struct claims *claims, const struct claim *claim)
{
    size_t i = 0;
    while (i < claims->count && !claim_equal(&claims->list[i], claim))
        i++;
    return i;
}

static bool is_listed(struct claims *claims, const struct claim *claim)
{
    pthread_mutex_lock(&claims->mutex);
    bool listed = find(claims, claim) < claims->count;
    pthread_mutex_unlock(&claims->mutex);
    return listed;
}

bool claims_is_free(struct claims *claims, const struct claim *claim)
{
    if (!claim->held)
        return true;
    const struct process_id *self = alive_self(claims->alive);
    if (memcmp(claim->owner.bytes, self->bytes, sizeof self->bytes) == 0)
        return !is_listed(claims, claim);
    return !alive_is(claims->alive, &claim->owner);
}

/* Of no other claim of this process, nor, most likely, of any other's. The caller holds the mutex. */
static void next_token(struct claims *claims, unsigned char token[CLAIM_TOKEN_SIZE])
{
    size_t i = CLAIM_TOKEN_SIZE;
    memcpy(token, claims->token, CLAIM_TOKEN_SIZE);
    while (i-- > CLAIM_TOKEN_SIZE / 2 && ++claims->token[i] == 0)
        continue;
}

struct claim claims_new(struct claims *claims)
{
    struct claim claim = {.held = true, .owner = *alive_self(claims->alive)};
    pthread_mutex_lock(&claims->mutex);
    next_token(claims, claim.token);
    claims->list = mem_room(claims->list, claims->count, &claims->cap, sizeof *claims->list);
    claims->list[claims->count++] = claim;
    pthread_mutex_unlock(&claims->mutex);
    return claim;
}

void claims_forget(struct claims *claims, const struct claim *claim)
{
    pthread_mutex_lock(&claims->mutex);
    size_t i = find(claims, claim);
    if (i < claims->count)
        claims->list[i] = claims->list[--claims->count];
    pthread_mutex_unlock(&claims->mutex);
}

size_t claims_count(struct claims *claims)
{
    pthread_mutex_lock(&claims->mutex);
    size_t count = claims->count;
    pthread_mutex_unlock(&claims->mutex);
    return count;
}
