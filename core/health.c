#include "prgate/health.h"

#include <pthread.h>
#include <stdlib.h>

#include "prgate/buf.h"
#include "prgate/clock.h"
#include "prgate/delivery.h"
#include "prgate/intent.h"

/* ---- looking ----------------------------------------------------------------- */

/* Entries to a transaction: few, since deliveries wait for the pages that it holds. */
enum { BATCH = 16 };

struct walk {
    enum store_table table;
    struct buf from; /* where the next batch begins */
    size_t count;
    int64_t since_ms; /* Unix time of the oldest; INT64_MAX: none */

    /* Of the batch at hand, until its transaction is through. */
    struct buf at;
    struct buf value;
    size_t batch_count;
    int64_t batch_since_ms;
};

/* One that cannot be decoded waits for its quarantine; nobody knows since when. */
static int64_t since_ms(enum store_table table, const struct buf *value)
{
    struct err err;
    struct event event;
    struct intent intent;
    if (table == TABLE_INBOX && delivery_decode(&event, value->data, value->len, &err) == ERR_OK)
        return event.received_ms;
    if (table == TABLE_INTENT && intent_decode(&intent, value->data, value->len, &err) == ERR_OK)
        return intent.created_ms;
    return INT64_MAX;
}

static enum err_code walk_body(struct store_txn *txn, void *arg, struct err *err)
{
    struct walk *walk = arg;
    store_need_not_wait(txn); /* numbers to look at */
    walk->batch_count = 0;
    walk->batch_since_ms = INT64_MAX;
    buf_clear(&walk->at);
    buf_add(&walk->at, walk->from.data, walk->from.len);
    while (walk->batch_count < BATCH) {
        enum err_code code = store_next(txn, walk->table, (struct bytes){0}, &walk->at, &walk->value, err);
        if (code != ERR_OK)
            return code;
        int64_t since = since_ms(walk->table, &walk->value);
        if (since < walk->batch_since_ms)
            walk->batch_since_ms = since;
        walk->batch_count++;
        buf_addc(&walk->at, '\0');
    }
    return ERR_OK;
}

/* The end of the table ends the body with ERR_NOT_FOUND, behind what the batch had. */
static enum err_code walk_table(struct store *store, struct walk *walk, struct err *err)
{
    enum err_code code = ERR_OK;
    while (code == ERR_OK && walk->count < HEALTH_COUNT_MAX) {
        code = store_txn(store, walk_body, walk, err);
        if (code != ERR_OK && code != ERR_NOT_FOUND)
            return code;
        walk->count += walk->batch_count;
        if (walk->batch_since_ms < walk->since_ms)
            walk->since_ms = walk->batch_since_ms;
        buf_clear(&walk->from);
        buf_add(&walk->from, walk->at.data, walk->at.len);
    }
    return ERR_OK;
}

/* *oldest_ms: Unix time of the oldest; 0: none. */
static enum err_code count(struct store *store, enum store_table table, size_t *entries, int64_t *oldest_ms,
                           struct err *err)
{
    struct walk walk = {.table = table, .since_ms = INT64_MAX};
    enum err_code code = walk_table(store, &walk, err);
    *entries = walk.count < HEALTH_COUNT_MAX ? walk.count : HEALTH_COUNT_MAX;
    *oldest_ms = walk.since_ms < INT64_MAX ? walk.since_ms : 0;
    buf_release(&walk.from);
    buf_release(&walk.at);
    buf_release(&walk.value);
    return code;
}

static int64_t age_of(int64_t at_ms)
{
    int64_t now_ms = clock_now_ms();
    return at_ms != 0 && at_ms < now_ms ? now_ms - at_ms : 0;
}

void health_look(struct store *store, struct health_view *out)
{
    int64_t intent_ms = 0, ignored;
    *out = (struct health_view){.works = false};
    out->works =
        count(store, TABLE_INBOX, &out->deliveries, &out->oldest_delivery_at_ms, &out->why) == ERR_OK &&
        count(store, TABLE_INTENT, &out->intents, &intent_ms, &out->why) == ERR_OK &&
        count(store, TABLE_DEAD, &out->dead, &ignored, &out->why) == ERR_OK;
    out->oldest_delivery_ms = age_of(out->oldest_delivery_at_ms);
    out->oldest_intent_ms = age_of(intent_ms);
}

/* ---- looking once a second ------------------------------------------------------ */

struct health {
    struct store *store;
    pthread_mutex_t mutex;
    pthread_cond_t seen;
    bool looking; /* one thread does, without the mutex */
    bool known;   /* `view` is something */
    int64_t looked_ms;
    uint64_t commits; /* of this process, at the last look */
    struct health_view view;
};

static enum err_code probe_body(struct store_txn *txn, void *arg, struct err *err)
{
    static const char name[] = "health";
    (void)arg;
    struct bytes key = {.data = name, .len = sizeof name - 1};
    enum err_code code = store_put(txn, TABLE_SHARED, key, key, err);
    return code == ERR_OK ? store_delete(txn, TABLE_SHARED, key, err) : code;
}

struct health *health_open(struct store *store)
{
    struct health *health = mem_alloc(sizeof *health);
    *health = (struct health){.store = store};
    pthread_mutex_init(&health->mutex, NULL);
    pthread_cond_init(&health->seen, NULL);
    return health;
}

void health_close(struct health *health)
{
    if (health == NULL)
        return;
    pthread_cond_destroy(&health->seen);
    pthread_mutex_destroy(&health->mutex);
    free(health);
}

static void look_and_write(struct health *health, struct health_view *view)
{
    health_look(health->store, view);
    uint64_t commits = store_get_stats(health->store).commits;
    if (view->works && commits == health->commits)
        view->works = store_txn(health->store, probe_body, NULL, &view->why) == ERR_OK;
    health->commits = store_get_stats(health->store).commits;
}

/* True: it is this thread that has to look. A store that hangs for seconds must not hold every thread that asks. */
static bool must_look(struct health *health)
{
    while (health->looking && !health->known)
        pthread_cond_wait(&health->seen, &health->mutex);
    bool fresh = health->known && clock_monotonic_ms() - health->looked_ms < HEALTH_KEPT_MS;
    return !fresh && !health->looking;
}

void health_get(struct health *health, struct health_view *out)
{
    struct health_view view;
    pthread_mutex_lock(&health->mutex);
    if (must_look(health)) {
        health->looking = true;
        pthread_mutex_unlock(&health->mutex);
        look_and_write(health, &view);
        pthread_mutex_lock(&health->mutex);
        health->view = view;
        health->looking = false;
        health->known = true;
        health->looked_ms = clock_monotonic_ms();
        pthread_cond_broadcast(&health->seen);
    }
    *out = health->view;
    pthread_mutex_unlock(&health->mutex);
}
