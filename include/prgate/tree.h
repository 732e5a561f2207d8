/*
 * tree: JSON that is read and dropped, in one piece of memory.
 *
 * cJSON takes each value, name and string from the allocator by itself, some 1,800 pieces for a webhook. That and giving them
 * back costs more than the parsing. A tree of this module takes them from a block or two.
 *
 *     cJSON *root = tree_parse(text, len, &stop);
 *     ... cJSON_GetObjectItemCaseSensitive(root, "action") ...
 *     tree_free(root);
 *
 * It is for reading: nothing is to be added to it, detached or deleted. What is built to be written is cJSON's as ever.
 * Thread-safe, for trees of one's own. Running out of memory ends the process, as for all of cJSON once tree_setup()
 * was called.
 */
#ifndef PRGATE_TREE_H
#define PRGATE_TREE_H

#include <stddef.h>

#include <cjson/cJSON.h>

/* Before there are threads that use cJSON: from then on it allocates by this module. */
void tree_setup(void);

/*
 * NULL: no JSON. *stop, if asked for, is where reading ended: behind the document, or amid what is no JSON. Bytes that follow the
 * document are the caller's to judge.
 */
cJSON *tree_parse(const char *text, size_t len, const char **stop);

/* A member by its path, "head.sha"; NULL: not there, or above it is something else than an object. Of any tree of cJSON's. */
const cJSON *tree_find(const cJSON *object, const char *path);

/* With all that is below it; NULL is let be. Only of a root. */
void tree_free(cJSON *root);

#endif
