/*
 * name_set.h - which names are visible at a place of a graph: a hash set with scopes.  Depends on protobuf.h's slices.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Open addressing under SipHash with a random key, so that names made up to collide do not make it slow. Names leave in
 * the reverse of the order in which they came (when a sub-graph ends), which is why removal needs no tombstones:
 * nothing that is still there was ever probed past the newest entry.
 */
#ifndef ENGINE_NAME_SET_H
#define ENGINE_NAME_SET_H

#include "engine/protobuf.h"

#define NAME_SET_MAX (1u << 18)

struct named {
    struct slice name; /* the caller's bytes */
    uint64_t hash;
    uint32_t flags; /* the caller's */
};

struct name_set {
    uint64_t key[2];
    struct named *entries; /* in the order they came */
    size_t count, capacity;
    uint32_t *slots; /* entry + 1, or 0; a power of two of them, at most half full */
    size_t slot_count;
};

void name_set_init(struct name_set *set);
void name_set_done(struct name_set *set);

/* The entry, or NULL. Valid until the next add. */
struct named *name_set_find(const struct name_set *set, struct slice name);

/* The name must not be there yet. SERIN_LIMIT (NAME_SET_MAX names), SERIN_NOMEM. */
MUST_USE enum serin_errc name_set_add(struct name_set *set, struct slice name, uint32_t flags,
                                      struct serin_error *error);

/* Forgets all but the first count names. */
void name_set_shrink(struct name_set *set, size_t count);

#endif
