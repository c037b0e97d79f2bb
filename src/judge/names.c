/*
 * names.c - a table of texts by hash; texts never leave it.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "judge/names.h"

#include <stdlib.h>
#include <string.h>

enum serin_errc names_init(struct names *names, int max, struct serin_error *error)
{
    uint32_t slots = 4;

    while (slots < 2 * (uint32_t)max)
        slots *= 2;
    *names = (struct names){.max = max, .mask = slots - 1};
    names->slots = calloc(slots, sizeof(*names->slots));
    names->texts = calloc((size_t)max + 1, sizeof(*names->texts));
    if (!names->slots || !names->texts)
        return error_set(error, SERIN_NOMEM, "no memory for %d names", max);
    return SERIN_OK;
}

void names_done(struct names *names)
{
    free(names->slots);
    free(names->texts);
}

/* FNV-1a; a stranger who makes texts collide slows down the table's few thousand places at worst. */
static uint32_t hash(const char *text)
{
    uint32_t sum = 2166136261u;

    for (; *text; text++)
        sum = (sum ^ (unsigned char)*text) * 16777619u;
    return sum;
}

int names_number(struct names *names, const char *text)
{
    uint32_t slot = hash(text) & names->mask;

    for (; names->slots[slot]; slot = (slot + 1) & names->mask)
        if (strcmp(names->texts[names->slots[slot] - 1], text) == 0)
            return names->slots[slot] - 1;
    if (names->count == names->max)
        return names->max;
    strncpy(names->texts[names->count], text, RECORD_MAX_VALUE);
    names->slots[slot] = (uint16_t)++names->count;
    return names->count - 1;
}

const char *names_text(const struct names *names, int number)
{
    return number < names->max ? names->texts[number] : "other";
}
