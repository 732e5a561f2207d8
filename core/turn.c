#include "turn.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

#include "prgate/buf.h"

/*
 * The word: 0 = free; else the holder's number, the lowest bit of which is set while somebody may be asleep.
 * Whoever had to wait cannot know whether others still do, and takes it with that bit set.
 */
#define WAITERS UINT32_C(1)
#define NUMBER (~WAITERS)

enum { PATIENCE_MS = 100 /* a transaction takes a tenth of a millisecond */ };

void turn_init(struct turn *turn, const char *home)
{
    struct buf path;
    *turn = (struct turn){.patience_ms = PATIENCE_MS};
    buf_init(&path);
    buf_addf(&path, "%s/turn", home);
    int fd = open(buf_text(&path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    buf_release(&path);
    if (fd < 0)
        return;
    /* Its room on the disk is taken now: to touch a hole on a full disk is SIGBUS. Never made shorter. */
    void *map = MAP_FAILED;
    if (posix_fallocate(fd, 0, sizeof *turn->word) == 0)
        map = mmap(NULL, sizeof *turn->word, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (map != MAP_FAILED)
        turn->word = map;
}

void turn_release(struct turn *turn)
{
    if (turn->word != NULL)
        munmap((void *)turn->word, sizeof *turn->word);
    turn->word = NULL;
}

/* Unlike that of anybody who might hold it at the same time, most likely, and never 0. */
static uint32_t new_number(void)
{
    static _Thread_local uint32_t last;
    struct timespec now;
    if (last == 0) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        last = (uint32_t)now.tv_nsec * 2654435761U ^ (uint32_t)getpid() << 12;
    }
    do
        last = last * 1664525U + 1013904223U;
    while ((last & NUMBER) == 0);
    return last & NUMBER;
}

static void sleep_on(_Atomic uint32_t *word, uint32_t seen, int64_t ns)
{
    struct timespec left = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
#ifdef __linux__
    syscall(SYS_futex, word, FUTEX_WAIT, seen, &left, NULL, 0);
#else
    (void)word, (void)seen, (void)left;
    nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL); /* nobody wakes it */
#endif
}

static void wake_one(_Atomic uint32_t *word)
{
#ifdef __linux__
    syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
#else
    (void)word;
#endif
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Asks to be woken, and sleeps until something changes, or for as long. */
static void wait_for_change(struct turn *turn, uint32_t seen, int64_t ns)
{
    if ((seen & WAITERS) != 0 || atomic_compare_exchange_strong(turn->word, &seen, seen | WAITERS))
        sleep_on(turn->word, seen | WAITERS, ns);
}

static uint32_t wait_and_take(struct turn *turn, uint32_t mine)
{
    int64_t patience_ns = (int64_t)turn->patience_ms * 1000000, since = 0;
    uint32_t holder = 0;
    for (;;) {
        uint32_t seen = atomic_load(turn->word);
        int64_t now = now_ns();
        if ((seen & NUMBER) != holder) {
            holder = seen & NUMBER;
            since = now;
        }
        bool goes_on = seen == 0 || now - since >= patience_ns;
        if (goes_on && atomic_compare_exchange_strong(turn->word, &seen, mine))
            return mine;
        if (!goes_on)
            wait_for_change(turn, seen, since + patience_ns - now);
    }
}

uint32_t turn_take(struct turn *turn)
{
    uint32_t mine = new_number(), free = 0;
    if (turn->word == NULL || atomic_compare_exchange_strong(turn->word, &free, mine))
        return mine;
    return wait_and_take(turn, mine | WAITERS);
}

void turn_pass(struct turn *turn, uint32_t mine)
{
    if (turn->word == NULL)
        return;
    uint32_t seen = atomic_load(turn->word);
    /* Or somebody lost patience and has it by now. */
    while ((seen & NUMBER) == (mine & NUMBER)) {
        if (!atomic_compare_exchange_weak(turn->word, &seen, 0))
            continue;
        if ((seen & WAITERS) != 0)
            wake_one(turn->word);
        return;
    }
}
