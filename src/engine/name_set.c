/*
 * name_set.c - linear probing, last in first out.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/name_set.h"

#include "base/siphash.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void name_set_init(struct name_set *set)
{
    *set = (struct name_set){0};
    /* Where the kernel has no random bytes yet, the set is still right, only less hard to slow down. */
    if (getrandom(set->key, sizeof(set->key), GRND_NONBLOCK) != (ssize_t)sizeof(set->key))
        set->key[0] = (uint64_t)(uintptr_t)set;
}

void name_set_done(struct name_set *set)
{
    free(set->entries);
    free(set->slots);
    *set = (struct name_set){0};
}

/* The slot that holds name, or the empty one where it would go. slot_count > 0. */
static size_t probe(const struct name_set *set, struct slice name, uint64_t hash)
{
    size_t slot = (size_t)hash & (set->slot_count - 1);

    for (; set->slots[slot]; slot = (slot + 1) & (set->slot_count - 1)) {
        const struct named *entry = &set->entries[set->slots[slot] - 1];

        if (entry->hash == hash && entry->name.size == name.size &&
            memcmp(entry->name.bytes, name.bytes, name.size) == 0)
            break;
    }
    return slot;
}

struct named *name_set_find(const struct name_set *set, struct slice name)
{
    size_t slot;

    if (set->slot_count == 0)
        return NULL;
    slot = probe(set, name, siphash(set->key, name.bytes, name.size));
    return set->slots[slot] ? &set->entries[set->slots[slot] - 1] : NULL;
}

static enum serin_errc grow(struct name_set *set, struct serin_error *error)
{
    size_t capacity = set->capacity ? set->capacity * 2 : 256, i;
    struct named *entries = realloc(set->entries, capacity * sizeof(*entries));
    uint32_t *slots;

    if (entries) {
        set->entries = entries;
        set->capacity = capacity;
    }
    slots = entries ? calloc(2 * capacity, sizeof(*slots)) : NULL;
    if (!slots)
        return error_set(error, SERIN_NOMEM, "no memory for %zu names of a graph", capacity);
    free(set->slots);
    set->slots = slots;
    set->slot_count = 2 * capacity;
    for (i = 0; i < set->count; i++)
        set->slots[probe(set, entries[i].name, entries[i].hash)] = (uint32_t)(i + 1);
    return SERIN_OK;
}

enum serin_errc name_set_add(struct name_set *set, struct slice name, uint32_t flags, struct serin_error *error)
{
    uint64_t hash = siphash(set->key, name.bytes, name.size);
    enum serin_errc rc;
    size_t slot;

    if (set->count == NAME_SET_MAX)
        return error_set(error, SERIN_LIMIT, "a graph of more than %u names", NAME_SET_MAX);
    if (2 * set->count >= set->slot_count || set->count == set->capacity) {
        rc = grow(set, error);
        if (rc)
            return rc;
    }
    slot = probe(set, name, hash);
    BUG_ON(set->slots[slot]);
    set->entries[set->count] = (struct named){.name = name, .hash = hash, .flags = flags};
    set->slots[slot] = (uint32_t)++set->count;
    return SERIN_OK;
}

void name_set_shrink(struct name_set *set, size_t count)
{
    while (set->count > count) {
        const struct named *newest = &set->entries[set->count - 1];
        size_t slot = probe(set, newest->name, newest->hash);

        BUG_ON(set->slots[slot] != set->count);
        set->slots[slot] = 0;
        set->count--;
    }
}
