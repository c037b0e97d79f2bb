/*
 * arena.c - a list of chunks, the newest first; small requests share a chunk, a large one gets its own.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Invariant: used_bytes, the sum of all that was asked for (rounded up), never passes max_bytes.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

#define CHUNK_BYTES 16384
#define ALIGNMENT   64 /* a cache line, and a vector of AVX-512 */

struct arena_chunk {
    struct arena_chunk *next;
    size_t used, capacity;
    alignas(ALIGNMENT) unsigned char bytes[];
};

void arena_init(struct arena *arena, size_t max_bytes)
{
    *arena = (struct arena){.max_bytes = max_bytes};
}

void arena_done(struct arena *arena)
{
    struct arena_chunk *chunk = arena->chunks;

    while (chunk) {
        struct arena_chunk *next = chunk->next;

        free(chunk);
        chunk = next;
    }
    *arena = (struct arena){.max_bytes = arena->max_bytes};
}

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
    struct arena_chunk *chunk = arena->chunks;
    size_t bytes, capacity;
    void *result;

    if (__builtin_mul_overflow(count, size, &bytes) || bytes > arena->max_bytes - arena->used_bytes)
        return NULL;
    bytes = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (bytes > arena->max_bytes - arena->used_bytes)
        return NULL;
    if (!chunk || bytes > chunk->capacity - chunk->used) {
        capacity = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
        chunk = aligned_alloc(ALIGNMENT, sizeof(*chunk) + capacity);
        if (!chunk)
            return NULL;
        __builtin_memset(chunk, 0, sizeof(*chunk) + capacity);
        chunk->capacity = capacity;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    result = chunk->bytes + chunk->used;
    chunk->used += bytes;
    arena->used_bytes += bytes;
    return result;
}
