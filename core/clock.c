#include "prgate/clock.h"

#include <stddef.h>
#include <time.h>

static int64_t (*source)(void);

void clock_use(int64_t (*now_ms)(void))
{
    source = now_ms;
}

int64_t clock_now_ms(void)
{
    if (source != NULL)
        return source();
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}
