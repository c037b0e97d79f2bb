/*
 * bytes.h - a run of bytes that several owners share, such as a request's body.  Depends on error.h only.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Written by one owner while it is alone, read by all afterwards. The count is atomic: owners may live on any threads.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/error.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct bytes {
    atomic_int owners;
    size_t size, capacity;
    uint8_t data[];
};

/* One owner, size 0. NULL without memory. */
static inline struct bytes *bytes_new(size_t capacity)
{
    struct bytes *bytes = capacity < SIZE_MAX / 2 ? malloc(sizeof(*bytes) + capacity) : NULL;

    if (bytes) {
        atomic_init(&bytes->owners, 1);
        bytes->size = 0;
        bytes->capacity = capacity;
    }
    return bytes;
}

static inline struct bytes *bytes_share(struct bytes *bytes)
{
    atomic_fetch_add_explicit(&bytes->owners, 1, memory_order_relaxed);
    return bytes;
}

static inline void bytes_drop(struct bytes *bytes) /* NULL is fine */
{
    if (bytes && atomic_fetch_sub_explicit(&bytes->owners, 1, memory_order_acq_rel) == 1)
        free(bytes);
}

#endif
