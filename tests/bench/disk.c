/*
 * disk FILE SECONDS WRITERS: how often a second WRITERS threads append 512 bytes to one file and have each of
 * them synced: what a log whose every entry is synced by itself could do at most. Prints one number.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { WRITERS_MAX = 64 };

static int fd;
static double end_s;
static atomic_ulong syncs;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *append(void *arg)
{
    static const char entry[512];
    while (now_s() < end_s) {
        if (write(fd, entry, sizeof entry) != (ssize_t)sizeof entry || fdatasync(fd) != 0) {
            perror("disk");
            exit(EXIT_FAILURE);
        }
        atomic_fetch_add(&syncs, 1);
    }
    return arg;
}

int main(int argc, char **argv)
{
    pthread_t threads[WRITERS_MAX];
    int writers = argc == 4 ? atoi(argv[3]) : 0;
    if (writers < 1 || writers > WRITERS_MAX) {
        fprintf(stderr, "usage: disk FILE SECONDS WRITERS\n");
        return EXIT_FAILURE;
    }
    fd = open(argv[1], O_CREAT | O_WRONLY | O_APPEND | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        perror(argv[1]);
        return EXIT_FAILURE;
    }
    double start = now_s();
    end_s = start + atof(argv[2]);
    for (int i = 0; i < writers; i++)
        if (pthread_create(&threads[i], NULL, append, NULL) != 0)
            return EXIT_FAILURE;
    for (int i = 0; i < writers; i++)
        pthread_join(threads[i], NULL);
    printf("%.1f\n", (double)atomic_load(&syncs) / (now_s() - start));
    return EXIT_SUCCESS;
}
