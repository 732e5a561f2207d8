#include "footprint.h"

#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

enum {
    SEGMENTS_MAX = 16,    /* of an object that are given back; linkers make three */
    REST_CPU_US = 5000,   /* from one look to the next; what runs by itself needs less */
    REST_LOOKS = 5,       /* at rest, before it is worth it */
    BUSY_CPU_US = 100000, /* from one look to the next */
    FAULTS_AT_LEAST = 500 /* since it was last trimmed; what runs by itself causes some hundred */
};

/* Relocation wrote to its code, too, as in libraries for 32-bit systems that were not compiled to be shared. */
static bool has_text_relocations(const struct dl_phdr_info *info)
{
    uintptr_t at = 0;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
            at = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
    const ElfW(Dyn) *entry = (const void *)at; // NOLINT(performance-no-int-to-ptr)
    for (; entry != NULL && entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == DT_TEXTREL || (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0))
            return true;
    return false;
}

static void give_back(uintptr_t start, uintptr_t end)
{
    /* Not supported, or not mapped like that: it stays. */
    (void)madvise((void *)start, end - start, MADV_DONTNEED); // NOLINT(performance-no-int-to-ptr)
}

/*
 * Only of segments that are never writable: they are as in the file, and come from there again. Those that relocation wrote
 * to are protected afterwards, but were mapped writable, and would come back without it.
 *
 * The table of segments lies in the first of them, and to read it after that has gone would map it again, with the 15
 * pages beside it, for each library.
 */
static int trim_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    ElfW(Phdr) segments[SEGMENTS_MAX];
    size_t count = 0;
    (void)size, (void)arg;
    if (has_text_relocations(info))
        return 0;
    for (int i = 0; i < info->dlpi_phnum && count < SEGMENTS_MAX; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_W) == 0)
            segments[count++] = info->dlpi_phdr[i];
    for (size_t i = 0; i < count; i++) {
        uintptr_t start = info->dlpi_addr + segments[i].p_vaddr;
        give_back(start / page * page, start + segments[i].p_memsz);
    }
    return 0;
}

/*
 * Berkeley DB touches every page of its regions, which are shared with the others, and stay in the file. To be called with the
 * regions kept: where one was unmapped meanwhile, another thread's memory may lie by now, which is in no file.
 */
static void trim_regions(void)
{
    char line[4400], *at;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL)
        return;
    /* START-END RIGHTS OFFSET DEVICE INODE PATH */
    while (fgets(line, sizeof line, maps) != NULL) {
        if (strstr(line, "/db/__db.0") == NULL)
            continue;
        uintptr_t start = (uintptr_t)strtoull(line, &at, 16);
        uintptr_t end = *at == '-' ? (uintptr_t)strtoull(at + 1, &at, 16) : 0;
        if (start < end && strncmp(at, " rw-s ", 6) == 0)
            give_back(start, end);
    }
    fclose(maps);
}

void footprint_trim(struct store *store)
{
    (void)store_keep_regions(store, trim_regions); /* else it is opened anew, and they are new */
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    dl_iterate_phdr(trim_object, NULL);
}

bool footprint_is_busy(const struct footprint *footprint, int64_t cpu_us)
{
    return cpu_us - footprint->cpu_us >= BUSY_CPU_US;
}

bool footprint_is_due(struct footprint *footprint, int64_t cpu_us, int64_t faults)
{
    bool at_rest = cpu_us - footprint->cpu_us <= REST_CPU_US;
    footprint->cpu_us = cpu_us;
    footprint->rest = at_rest ? footprint->rest + 1 : 0;
    if (footprint->rest < REST_LOOKS || faults - footprint->faults < FAULTS_AT_LEAST)
        return false;
    footprint->faults = faults;
    footprint->rest = 0;
    return true;
}

static int64_t in_us(const struct timeval *time)
{
    return (int64_t)time->tv_sec * 1000000 + time->tv_usec;
}

bool footprint_look(struct footprint *footprint)
{
    struct rusage use;
    if (getrusage(RUSAGE_SELF, &use) != 0)
        return false;
    int64_t cpu_us = in_us(&use.ru_utime) + in_us(&use.ru_stime);
    if (footprint_is_busy(footprint, cpu_us))
        dl_iterate_phdr(trim_object, NULL);
    return footprint_is_due(footprint, cpu_us, use.ru_minflt);
}
