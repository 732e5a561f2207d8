#include "prgate/spares.h"

/* From the front, so that those in front are used again and again, and are in the processor's cache. */
void *spares_take(struct spares *spares)
{
    for (size_t i = 0; i < SPARES_MAX; i++) {
        void *one = atomic_exchange(&spares->kept[i], NULL);
        if (one != NULL)
            return one;
    }
    return NULL;
}

bool spares_give(struct spares *spares, void *one)
{
    for (size_t i = 0; i < SPARES_MAX; i++) {
        void *none = NULL;
        if (atomic_compare_exchange_strong(&spares->kept[i], &none, one))
            return true;
    }
    return false;
}

void spares_drop(struct spares *spares, void (*release)(void *one))
{
    for (size_t i = 0; i < SPARES_MAX; i++) {
        void *one = atomic_exchange(&spares->kept[i], NULL);
        if (one != NULL)
            release(one);
    }
}
