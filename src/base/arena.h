/*
 * arena.h - memory for things that end together, up to a maximum given at birth.  Depends on error.h only.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Allocations are zeroed and are freed all at once. Not thread-safe.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/error.h"

#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* the newest first */
    size_t used_bytes, max_bytes;
};

void arena_init(struct arena *arena, size_t max_bytes);
void arena_done(struct arena *arena);

/* count elements of size bytes, aligned for any type (64 bytes for large ones); NULL at the limit or without memory.
 * count 0 gives a pointer that must not be read. */
void *arena_alloc(struct arena *arena, size_t count, size_t size);
#define arena_new(arena, type, count) ((type *)arena_alloc((arena), (count), sizeof(type)))

#endif
