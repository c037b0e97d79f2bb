/*
 * buffer.h - a byte buffer that grows up to the maximum it was given at birth.  Depends on error.h only.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The first append that does not fit (or finds no memory) marks the buffer as failed; later appends do nothing. So a
 * writer appends freely and asks once, at the end, with buffer_check. Not thread-safe.
 */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buffer {
    char *bytes; /* always NUL-terminated once anything was appended; NULL before */
    size_t size; /* without the NUL */
    size_t capacity;
    size_t max;             /* bytes; size never passes it */
    enum serin_errc failed; /* SERIN_OK, SERIN_LIMIT or SERIN_NOMEM */
};

void buffer_init(struct buffer *buffer, size_t max_bytes);
void buffer_done(struct buffer *buffer);
void buffer_clear(struct buffer *buffer);                /* empties it and forgets a failure; keeps the memory */
bool buffer_reserve(struct buffer *buffer, size_t more); /* makes room for that much at once; false: it has failed */
void buffer_append_number(struct buffer *buffer, uint64_t number); /* in decimal digits */
void buffer_printf(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);

/* Appends size bytes that the caller writes, at once, to where this points. NULL: it has failed. */
static inline char *buffer_extend(struct buffer *buffer, size_t size)
{
    char *at;

    if ((buffer->failed != SERIN_OK || size > buffer->max - buffer->size || size >= buffer->capacity - buffer->size) &&
        !buffer_reserve(buffer, size))
        return NULL;
    at = buffer->bytes + buffer->size;
    buffer->size += size;
    at[size] = '\0';
    return at;
}

static inline void buffer_append(struct buffer *buffer, const void *bytes, size_t size)
{
    char *at = buffer_extend(buffer, size);

    if (at && size)
        memcpy(at, bytes, size);
}

static inline void buffer_append_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

/* SERIN_OK, or the first failure with a sentence that names what and the limit. */
MUST_USE enum serin_errc buffer_check(const struct buffer *buffer, const char *what, struct serin_error *error);

/* Hands the bytes to the caller (free() them) and leaves the buffer empty. NULL if it failed or is empty. */
char *buffer_steal(struct buffer *buffer);

#endif
