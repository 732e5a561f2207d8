/*
 * At any time the pull request looks like the newest payload of what has happened, but for the label: there
 * the newest change counts, a recorded one or the gate's own of this replay. Recorded changes by prgate itself
 * are part of what happened, like everybody's; see "Replaying" in docs/architecture.md.
 */
#include <stdlib.h>
#include <string.h>

#include "prgate/text.h"
#include "replay.h"

/* The one thread's; clock_use() wants a function without an argument. */
static int64_t now_ms;

int64_t world_now_ms(void)
{
    return now_ms;
}

void world_init(struct world *world, const struct config *config, const struct recordings *recordings)
{
    *world = (struct world){.http = {.perform = world_perform}, .config = config, .recordings = recordings};
}

static void forget(struct world *world)
{
    for (size_t i = 0; i < world->check_count; i++) {
        free(world->checks[i].title);
        free(world->checks[i].summary);
        free(world->checks[i].external_id);
        free(world->checks[i].details_url);
    }
    for (size_t i = 0; i < world->comment_count; i++)
        free(world->comments[i]);
    world->check_count = world->trigger_count = world->comment_count = world->echo_count = 0;
    world->trouble[0] = '\0';
}

void world_release(struct world *world)
{
    forget(world);
    free(world->checks);
    free(world->triggers);
    free(world->comments);
    free(world->echoes);
    *world = (struct world){0};
}

/* ---- what happens ---- */

static void note_label(struct world *world, bool on, const struct user *by, int64_t at_s)
{
    world->labelled = on;
    if (!on)
        return;
    world->label_by = *by;
    world->label_set_s = at_s;
}

static void happen(struct world *world)
{
    const struct replay_event *next = &world->recording->events[world->happened];
    if (next->changes_label)
        note_label(world, next->view.labelled, &next->event.sender, next->at_s);
    world->label_at[world->happened++] = world->labelled;
    world->written_s = 0;
}

void world_start(struct world *world, const struct recording *recording, uint64_t number)
{
    forget(world);
    world->recording = recording;
    world->number = number;
    world->happened = 0;
    world->written_s = 0;
    now_ms = recording->events[0].happened_ms;
    happen(world);
}

void world_advance(struct world *world, int64_t ms)
{
    if (ms > now_ms)
        now_ms = ms;
    while (world->happened < world->recording->count &&
           world->recording->events[world->happened].happened_ms <= now_ms)
        happen(world);
}

struct snapshot world_view(const struct world *world)
{
    const struct replay_event *newest = &world->recording->events[world->happened - 1];
    struct snapshot view = newest->view;
    view.labelled = world->labelled;
    view.mergeable = newest->worked_out;
    if (world->written_s > view.updated_at)
        view.updated_at = world->written_s;
    return view;
}

/* ---- what the gate does ---- */

static void add_echo(struct world *world, bool on)
{
    const struct recording *recording = world->recording;
    struct event echo = {.action = on ? EVENT_LABELED : EVENT_UNLABELED,
                         .key = {.repo_id = recording->key.repo_id, .number = world->number},
                         .installation = recording->events[0].event.installation,
                         .sender = world->recordings->gate,
                         .pr = world_view(world),
                         .association = recording->events[0].event.association,
                         .label_id = recording->policy->label_id == 0 ? 1 : recording->policy->label_id,
                         .label_is_gate = true};
    memcpy(echo.repo, recording->repo, sizeof echo.repo);
    text_copy_cut(echo.label, sizeof echo.label, recording->policy->label);
    world->echoes = mem_grow(world->echoes, (world->echo_count + 1) * sizeof *world->echoes);
    world->echoes[world->echo_count++] = echo;
}

void world_set_label(struct world *world, bool on)
{
    if (world->labelled == on)
        return;
    world->written_s = now_ms / 1000;
    note_label(world, on, &world->recordings->gate, world->written_s);
    add_echo(world, on);
}

struct world_check *world_find_check(struct world *world, const struct sha *sha)
{
    for (size_t i = 0; i < world->check_count; i++)
        if (sha_equal(&world->checks[i].sha, sha))
            return &world->checks[i];
    return NULL;
}

struct world_check *world_add_check(struct world *world, const struct sha *sha)
{
    world->checks = mem_grow(world->checks, (world->check_count + 1) * sizeof *world->checks);
    struct world_check *new = &world->checks[world->check_count++];
    *new = (struct world_check){.sha = *sha, .id = world->check_count};
    return new;
}

void world_set_text(char **to, const char *text)
{
    free(*to);
    *to = mem_strdup(text == NULL ? "" : text);
}

void world_trigger(struct world *world, const char *sha, const char *key)
{
    for (size_t i = 0; i < world->trigger_count; i++) {
        if (strcmp(world->triggers[i].sha.hex, sha) == 0) {
            world->triggers[i].count++;
            return;
        }
    }
    world->triggers = mem_grow(world->triggers, (world->trigger_count + 1) * sizeof *world->triggers);
    struct world_trigger *new = &world->triggers[world->trigger_count++];
    *new = (struct world_trigger){.count = 1};
    text_copy(new->sha.hex, sizeof new->sha.hex, sha);
    text_copy_cut(new->key, sizeof new->key, key);
}

void world_comment(struct world *world, const char *text)
{
    world->comments = mem_grow(world->comments, (world->comment_count + 1) * sizeof *world->comments);
    world->comments[world->comment_count++] = mem_strdup(text);
}
