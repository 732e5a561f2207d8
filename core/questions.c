#include "prgate/questions.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "prgate/buf.h"
#include "prgate/fiber.h"

enum { LOOK_EACH_MS = 10 }; /* a call to GitHub takes twenty times as long */

struct asked {
    char *text;
    uint64_t number; /* of no other, before or after */
    struct asked *next;
};

struct questions {
    pthread_mutex_t mutex;
    struct asked *first; /* as many as there are different ones: few */
    uint64_t last_number;
};

struct questions *questions_open(void)
{
    struct questions *questions = mem_alloc(sizeof *questions);
    *questions = (struct questions){.first = NULL};
    pthread_mutex_init(&questions->mutex, NULL);
    return questions;
}

void questions_close(struct questions *questions)
{
    if (questions == NULL)
        return;
    pthread_mutex_destroy(&questions->mutex);
    free(questions);
}

/* Where it is, or where the list ends. The caller holds the mutex. */
static struct asked **find(struct questions *questions, const char *text)
{
    struct asked **at = &questions->first;
    while (*at != NULL && strcmp((*at)->text, text) != 0)
        at = &(*at)->next;
    return at;
}

/* Still by the same one: another may have begun in the moment that this one has ended. */
static bool is_asked(struct questions *questions, const char *text, uint64_t number)
{
    pthread_mutex_lock(&questions->mutex);
    const struct asked *asking = *find(questions, text);
    bool asked = asking != NULL && asking->number == number;
    pthread_mutex_unlock(&questions->mutex);
    return asked;
}

bool questions_begin(struct questions *questions, const char *question)
{
    if (questions == NULL)
        return true;
    pthread_mutex_lock(&questions->mutex);
    struct asked **at = find(questions, question);
    bool first = *at == NULL;
    if (first) {
        *at = mem_alloc(sizeof **at);
        **at = (struct asked){.text = mem_strdup(question), .number = ++questions->last_number};
    }
    uint64_t number = (*at)->number;
    pthread_mutex_unlock(&questions->mutex);
    while (!first && is_asked(questions, question, number))
        fiber_sleep_ms(LOOK_EACH_MS);
    return first;
}

void questions_end(struct questions *questions, const char *question)
{
    if (questions == NULL)
        return;
    pthread_mutex_lock(&questions->mutex);
    struct asked **at = find(questions, question);
    struct asked *asked = *at;
    if (asked != NULL)
        *at = asked->next;
    pthread_mutex_unlock(&questions->mutex);
    if (asked != NULL)
        free(asked->text);
    free(asked);
}
