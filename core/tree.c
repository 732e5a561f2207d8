#include "prgate/tree.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/buf.h"

enum {
    ALIGNMENT = alignof(double), /* of what cJSON has: doubles, pointers, characters */
    BLOCK_MIN = 1024,
    BLOCK_MAX = 64 * 1024,
    /* A value is 64 bytes, and there is one for each 24 bytes of what links.h leaves of a webhook. */
    TREE_PER_TEXT = 4
};

/* The root comes first in the last of the list, which is how tree_free() finds it. */
struct block {
    struct block *next;
    size_t size, used;
    struct block *newest; /* of the root's own block alone: the list's start */
    alignas(ALIGNMENT) unsigned char room[];
};

/* What tree_parse() is at, in this thread: nothing waits or switches fibers amid that. */
static _Thread_local struct block *filling;

static struct block *new_block(size_t room, struct block *next)
{
    struct block *block = mem_alloc(sizeof *block + room);
    *block = (struct block){.next = next, .size = room};
    return block;
}

static void *take(size_t size)
{
    size_t need = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (need > filling->size - filling->used)
        filling = new_block(need > BLOCK_MAX ? need : BLOCK_MAX, filling);
    void *room = filling->room + filling->used;
    filling->used += need;
    return room;
}

static void *allocate(size_t size)
{
    return filling != NULL ? take(size) : mem_alloc(size);
}

/* What cJSON gives back amid parsing is part of a tree that comes to nothing. */
static void release(void *memory)
{
    if (filling == NULL)
        free(memory);
}

static void install(void)
{
    cJSON_InitHooks(&(cJSON_Hooks){.malloc_fn = allocate, .free_fn = release});
}

void tree_setup(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
}

static void free_blocks(struct block *block)
{
    while (block != NULL) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
}

static size_t first_size(size_t len)
{
    if (len >= BLOCK_MAX / TREE_PER_TEXT)
        return BLOCK_MAX;
    size_t size = len * TREE_PER_TEXT;
    return size < BLOCK_MIN ? BLOCK_MIN : size;
}

cJSON *tree_parse(const char *text, size_t len, const char **stop)
{
    tree_setup();
    struct block *first = new_block(first_size(len), NULL);
    filling = first;
    cJSON *root = cJSON_ParseWithLengthOpts(text, len, stop, 0);
    first->newest = filling;
    filling = NULL;
    if (root == NULL)
        free_blocks(first->newest);
    return root;
}

/* Most names differ in their first letters: no call for those. */
static const cJSON *find_member(const cJSON *object, const char *name, size_t len)
{
    const cJSON *member = cJSON_IsObject(object) ? object->child : NULL;
    while (member != NULL && (member->string[0] != name[0] || strncmp(member->string, name, len) != 0 ||
                              member->string[len] != '\0'))
        member = member->next;
    return member;
}

const cJSON *tree_find(const cJSON *object, const char *path)
{
    for (;;) {
        size_t len = strcspn(path, ".");
        object = find_member(object, path, len);
        if (object == NULL || path[len] == '\0')
            return object;
        path += len + 1;
    }
}

void tree_free(cJSON *root)
{
    if (root == NULL)
        return;
    struct block *first = (struct block *)(void *)((unsigned char *)root - offsetof(struct block, room));
    free_blocks(first->newest);
}
