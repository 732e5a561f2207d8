#include "prgate/batch.h"

void batches_init(struct batches *batches)
{
    pthread_mutex_init(&batches->mutex, NULL);
    batches->first = NULL;
    batches->last = &batches->first;
    batches->led = false;
}

void batches_release(struct batches *batches)
{
    pthread_mutex_destroy(&batches->mutex);
}

static void sleep_until_told(struct batch_item *item)
{
    while (sem_wait(&item->told) != 0) /* a signal */
        continue;
}

void batch_tell(struct batch_item *item)
{
    sem_post(&item->told);
}

/* True: nobody leads, so it is the item's thread that does. */
static bool join(struct batches *batches, struct batch_item *item)
{
    pthread_mutex_lock(&batches->mutex);
    *batches->last = item;
    batches->last = &item->next;
    bool leads = !batches->led;
    batches->led = true;
    pthread_mutex_unlock(&batches->mutex);
    return leads;
}

static size_t gather(struct batches *batches, struct batch_item **items, size_t most)
{
    size_t count = 0;
    pthread_mutex_lock(&batches->mutex);
    while (batches->first != NULL && count < most) {
        items[count++] = batches->first;
        batches->first = batches->first->next;
    }
    if (batches->first == NULL)
        batches->last = &batches->first;
    pthread_mutex_unlock(&batches->mutex);
    return count;
}

/* The first in the queue stays there, and gathers itself. */
static void hand_on(struct batches *batches)
{
    pthread_mutex_lock(&batches->mutex);
    struct batch_item *next = batches->first;
    if (next != NULL)
        next->leads = true;
    else
        batches->led = false;
    pthread_mutex_unlock(&batches->mutex);
    if (next != NULL)
        batch_tell(next);
}

static void lead(struct batches *batches)
{
    struct batch_item *items[BATCH_MAX];
    batches->begin(batches->arg);
    size_t count = 0, more;
    while ((more = gather(batches, items + count, BATCH_MAX - count)) > 0) {
        batches->run(batches->arg, items + count, more);
        count += more;
    }
    batches->end(batches->arg);
    hand_on(batches);
    batches->settle(batches->arg, items, count);
}

void batch_do(struct batches *batches, struct batch_item *item)
{
    *item = (struct batch_item){0};
    sem_init(&item->told, 0, 0);
    bool leads = join(batches, item);
    if (!leads) {
        sleep_until_told(item);
        leads = item->leads;
    }
    if (leads) {
        lead(batches);
        sleep_until_told(item); /* it was the first of the batch */
    }
    sem_destroy(&item->told);
}
