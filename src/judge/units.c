/*
 * units.c - open units by hash, and the draws of cameras.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "judge/units.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SLOTS 1024

enum serin_errc units_init(struct units *units, int cameras, double block_s, bool keyed, struct serin_error *error)
{
    *units = (struct units){
        .keyed = keyed, .block_s = block_s, .block = INT64_MIN, .camera_count = cameras, .mask = FIRST_SLOTS - 1};
    units->draws = calloc((size_t)cameras * UNITS_STREAMS, sizeof(*units->draws));
    units->slots = calloc(FIRST_SLOTS, sizeof(*units->slots));
    if (!units->draws || !units->slots)
        return error_set(error, SERIN_NOMEM, "no memory for the units of %d cameras", cameras);
    return SERIN_OK;
}

void units_done(struct units *units)
{
    free(units->draws);
    free(units->units);
    free(units->slots);
}

static const struct draw *draw_of_key(struct units *units, struct draw *draw, enum judge_arm arm, double share,
                                      bool *ret_new)
{
    if (draw->number && draw->arm == JUDGE_CANARY)
        return arm == JUDGE_CANARY && share == draw->share ? draw : NULL;
    if (share > draw->share) {
        draw->rho = (share - draw->share) / (1 - draw->share);
        draw->share = share;
        draw->arm = arm;
        draw->number = ++units->next_number;
        *ret_new = true;
        return draw;
    }
    return draw->number && share == draw->share && arm == draw->arm ? draw : NULL;
}

const struct draw *units_draw(struct units *units, int camera, enum units_stream stream, enum judge_arm arm,
                              double share, double at_s, bool *ret_new)
{
    const int64_t block = (int64_t)floor(at_s / units->block_s);
    struct draw *draw;

    *ret_new = false;
    if (camera >= units->camera_count)
        return NULL;
    draw = &units->draws[camera * UNITS_STREAMS + (int)stream];
    if (units->keyed)
        return draw_of_key(units, draw, arm, share, ret_new);
    if (!draw->number || block > draw->block) {
        *draw = (struct draw){.block = block, .arm = arm, .rho = share, .share = share, .number = ++units->next_number};
        *ret_new = true;
        return draw;
    }
    return block == draw->block && arm == draw->arm && !draw->over ? draw : NULL;
}

static uint32_t hash(const struct cell *cell, int camera, int side)
{
    uint64_t key = (uint64_t)(uintptr_t)cell ^ (uint64_t)camera << 40 ^ (uint64_t)(side + 1) << 56;

    key *= 0x9e3779b97f4a7c15u;
    return (uint32_t)(key >> 32);
}

static void place(struct units *units, uint32_t index)
{
    const struct unit *unit = &units->units[index];
    uint32_t slot = hash(unit->cell, unit->camera, unit->side) & units->mask;

    while (units->slots[slot])
        slot = (slot + 1) & units->mask;
    units->slots[slot] = index + 1;
}

/* Room for one more; false: no. */
static bool grow(struct units *units)
{
    uint32_t capacity = units->capacity ? 2 * units->capacity : FIRST_SLOTS / 2, i;
    struct unit *bigger;
    uint32_t *slots;

    if (units->count < units->capacity)
        return true;
    if (units->count >= UNITS_MAX)
        return false;
    bigger = realloc(units->units, capacity * sizeof(*bigger));
    if (!bigger)
        return false;
    units->units = bigger;
    slots = calloc(2 * (size_t)capacity, sizeof(*slots));
    if (!slots)
        return false;
    free(units->slots);
    units->slots = slots;
    units->mask = 2 * capacity - 1;
    units->capacity = capacity;
    for (i = 0; i < units->count; i++)
        place(units, i);
    return true;
}

static struct unit *find(struct units *units, int camera, struct cell *cell, int side)
{
    uint32_t slot = hash(cell, camera, side) & units->mask;
    struct unit *unit;

    for (; units->slots[slot]; slot = (slot + 1) & units->mask) {
        unit = &units->units[units->slots[slot] - 1];
        if (unit->cell == cell && unit->camera == camera && unit->side == side)
            return unit;
    }
    if (!grow(units))
        return NULL;
    unit = &units->units[units->count];
    *unit = (struct unit){.cell = cell, .camera = camera, .side = side};
    place(units, units->count++);
    return unit;
}

void units_add(struct units *units, const struct draw *draw, int camera, struct cell *cell, int side, double x)
{
    struct unit *unit = find(units, camera, cell, side);
    const uint32_t number = draw ? draw->number : 0;

    if (!unit)
        return;
    if (unit->n == 0 || unit->draw != number) {
        unit->arm = draw ? draw->arm : JUDGE_CANARY;
        unit->rho = draw ? draw->rho : 1;
        unit->draw = number;
        unit->n = unit->x = 0;
        unit->closed = false;
    }
    if (unit->closed)
        return;
    unit->n++;
    unit->x += x;
}

bool units_close(struct units *units, double t_s, void (*closed)(void *user, const struct unit *unit), void *user)
{
    const int64_t block = (int64_t)floor(t_s / units->block_s);
    uint32_t i;
    int k;

    if (block <= units->block)
        return false;
    units->block = block;
    for (i = 0; i < units->count; i++)
        if (!units->units[i].closed) {
            closed(user, &units->units[i]);
            units->units[i].closed = true;
        }
    if (!units->keyed && units->count) {
        memset(units->slots, 0, ((size_t)units->mask + 1) * sizeof(*units->slots));
        units->count = 0;
        for (k = 0; k < units->camera_count * UNITS_STREAMS; k++)
            units->draws[k].over = true;
    }
    return true;
}
