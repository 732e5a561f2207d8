#include <string.h>

#include "replay.h"

enum { SLOW_MS = 5000, PAUSE_MS = 3000, LATER_MS = 300000, MOMENT_MS = 1 };

/* ---- dice ---- */

uint64_t dice_roll(struct dice *dice, uint64_t below)
{
    dice->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = dice->state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % below;
}

/* ---- all has happened before ---- */

static void add(struct schedule *out, size_t event, unsigned copy, int64_t at_ms)
{
    out->steps[out->count++] = (struct step){.event = event, .copy = copy, .at_ms = at_ms};
}

static int64_t end_of(const struct recording *recording)
{
    return recording->events[recording->count - 1].happened_ms;
}

/* Each comes again as GitHub redelivers it, and under another id, anywhere; in bursts of any size. */
static void plan_repeated(struct schedule *out, const struct recording *recording, const size_t *order,
                          struct dice *dice)
{
    int64_t now = end_of(recording) + MOMENT_MS;
    for (size_t i = 0; i < recording->count; i++)
        add(out, order[i], 0, 0);
    for (size_t i = 0; i < recording->count; i++) {
        for (unsigned copy = 0; copy < 2; copy++) {
            size_t place = (size_t)dice_roll(dice, out->count + 1);
            memmove(&out->steps[place + 1], &out->steps[place], (out->count - place) * sizeof out->steps[0]);
            out->steps[place] = (struct step){.event = order[i], .copy = copy};
            out->count++;
        }
    }
    for (size_t i = 0; i < out->count; i++) {
        if (dice_roll(dice, 2) == 0)
            now += (int64_t)dice_roll(dice, PAUSE_MS);
        out->steps[i].at_ms = now;
    }
}

/* Half of them get lost. When the gate is at rest somebody has all that GitHub lists redelivered. */
static void plan_dropped(struct schedule *out, const struct recording *recording, const size_t *order,
                         struct dice *dice)
{
    int64_t now = end_of(recording);
    for (size_t i = 0; i < recording->count; i++) {
        now += SLOW_MS;
        if (dice_roll(dice, 2) == 0)
            add(out, order[i], 0, now);
    }
    now += LATER_MS;
    for (size_t i = 0; i < recording->count; i++)
        add(out, i, 0, now);
}

void plan_after(struct schedule *out, const struct recording *recording, const size_t *order,
                enum plan_variant variant, struct dice *dice)
{
    *out = (struct schedule){0};
    int64_t now = end_of(recording) + MOMENT_MS;
    switch (variant) {
    case PLAN_SLOWLY:
        out->kind = "all has happened; one by one";
        for (size_t i = 0; i < recording->count; i++)
            add(out, order[i], 0, now + (int64_t)i * SLOW_MS);
        break;
    case PLAN_AT_ONCE:
        out->kind = "all has happened; at once";
        for (size_t i = 0; i < recording->count; i++)
            add(out, order[i], 0, now);
        break;
    case PLAN_REPEATED:
        out->kind = "all has happened; each three times";
        plan_repeated(out, recording, order, dice);
        break;
    case PLAN_DROPPED:
        out->kind = "all has happened; some lost, redelivered at the end";
        plan_dropped(out, recording, order, dice);
        break;
    case PLAN_VARIANT_END:
        break;
    }
}

/* ---- while it happens ---- */

/* Repeated: each at once again under another id, and as a redelivery at the end. */
void plan_delayed(struct schedule *out, const struct recording *recording, const size_t *order,
                  const size_t *seen, bool repeated, struct dice *dice)
{
    *out = (struct schedule){.delayed = true,
                             .kind = repeated ? "while it happens; each three times" : "while it happens"};
    for (size_t i = 0; i < recording->count; i++) {
        int64_t at = recording->events[seen[i] - 1].happened_ms + MOMENT_MS;
        add(out, order[i], 0, at);
        if (repeated)
            add(out, order[i], 1, at + (int64_t)dice_roll(dice, 2));
    }
    for (size_t i = 0; repeated && i < recording->count; i++)
        add(out, i, 0, end_of(recording) + PAUSE_MS);
}

/* ---- every order ---- */

bool plan_next_order(size_t *order, size_t count)
{
    size_t i = count;
    while (i-- > 1) {
        if (order[i - 1] > order[i])
            continue;
        size_t k = count - 1;
        while (order[k] < order[i - 1])
            k--;
        size_t swapped = order[k];
        order[k] = order[i - 1];
        order[i - 1] = swapped;
        for (size_t a = i, b = count - 1; a < b; a++, b--) {
            swapped = order[a];
            order[a] = order[b];
            order[b] = swapped;
        }
        return true;
    }
    return false;
}

/*
 * Every way to interleave what happens, in its one order, with deliveries, each after its event:
 * 1 * 3 * 5 * ... * (2n - 1) of them.
 */
struct late {
    const struct recording *recording;
    plan_late_fn *fn;
    void *arg;
    size_t order[REPLAY_EVENTS_MAX];
    size_t seen[REPLAY_EVENTS_MAX];
    uint64_t delivered; /* one bit for each */
};

static bool go_on(struct late *late, size_t happened, size_t count)
{
    size_t all = late->recording->count;
    if (count == all)
        return late->fn(late->arg, late->order, late->seen);
    for (size_t i = 0; i < happened; i++) {
        if (late->delivered & (UINT64_C(1) << i))
            continue;
        late->delivered |= UINT64_C(1) << i;
        late->order[count] = i;
        late->seen[count] = happened;
        bool more = go_on(late, happened, count + 1);
        late->delivered &= ~(UINT64_C(1) << i);
        if (!more)
            return false;
    }
    return happened == all || go_on(late, happened + 1, count);
}

bool plan_each_late(const struct recording *recording, plan_late_fn *fn, void *arg)
{
    struct late late = {.recording = recording, .fn = fn, .arg = arg};
    return go_on(&late, 1, 0);
}

/* ---- some orders ---- */

void plan_roll_order(const struct recording *recording, struct dice *dice, size_t *order)
{
    for (size_t i = 0; i < recording->count; i++) {
        size_t place = (size_t)dice_roll(dice, i + 1);
        order[i] = order[place];
        order[place] = i;
    }
}

/* Most come soon, some much later. */
void plan_roll_late(const struct recording *recording, struct dice *dice, size_t *order, size_t *seen)
{
    size_t all = recording->count;
    size_t due[REPLAY_EVENTS_MAX];
    for (size_t i = 0; i < all; i++) {
        size_t most = dice_roll(dice, 3) == 0 ? all - i : 2;
        due[i] = i + 1 + (size_t)dice_roll(dice, most);
        if (due[i] > all)
            due[i] = all;
    }
    size_t count = 0;
    for (size_t happened = 1; happened <= all; happened++) {
        size_t first = count;
        for (size_t i = 0; i < all; i++) {
            if (due[i] != happened)
                continue;
            size_t place = first + (size_t)dice_roll(dice, count - first + 1);
            order[count] = order[place];
            order[place] = i;
            seen[count++] = happened;
        }
    }
}
