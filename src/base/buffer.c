/*
 * buffer.c - bounded growth by doubling; the invariants: size <= max, size < capacity, bytes[size] == 0.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buffer_init(struct buffer *buffer, size_t max_bytes)
{
    BUG_ON(max_bytes >= SIZE_MAX / 4);
    *buffer = (struct buffer){.max = max_bytes};
}

void buffer_done(struct buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct buffer){.max = buffer->max};
}

void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
    buffer->failed = SERIN_OK;
    if (buffer->bytes)
        buffer->bytes[0] = '\0';
}

bool buffer_reserve(struct buffer *buffer, size_t more)
{
    size_t capacity;
    char *bytes;

    if (buffer->failed)
        return false;
    if (more > buffer->max - buffer->size) {
        buffer->failed = SERIN_LIMIT;
        return false;
    }
    if (buffer->size + more < buffer->capacity)
        return true;
    capacity = buffer->capacity ? buffer->capacity * 2 : 256;
    while (capacity <= buffer->size + more)
        capacity *= 2;
    bytes = realloc(buffer->bytes, capacity);
    if (!bytes) {
        buffer->failed = SERIN_NOMEM;
        return false;
    }
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

void buffer_append_number(struct buffer *buffer, uint64_t number)
{
    size_t digits = 1;
    uint64_t rest = number;
    char *at;

    while (rest /= 10)
        digits++;
    at = buffer_extend(buffer, digits);
    if (!at)
        return;
    do
        at[--digits] = (char)('0' + number % 10);
    while (number /= 10);
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    char small[256];
    va_list args, again;
    int length;

    va_start(args, format);
    va_copy(again, args);
    length = vsnprintf(small, sizeof(small), format, args);
    if (length < 0) {
        buffer->failed = SERIN_INVALID;
    } else if ((size_t)length < sizeof(small)) {
        buffer_append(buffer, small, (size_t)length);
    } else if (buffer_reserve(buffer, (size_t)length)) {
        vsnprintf(buffer->bytes + buffer->size, (size_t)length + 1, format, again);
        buffer->size += (size_t)length;
    }
    va_end(again);
    va_end(args);
}

enum serin_errc buffer_check(const struct buffer *buffer, const char *what, struct serin_error *error)
{
    if (buffer->failed == SERIN_OK)
        return SERIN_OK;
    if (buffer->failed == SERIN_LIMIT)
        return error_set(error, SERIN_LIMIT, "%s would be larger than its limit of %zu bytes", what, buffer->max);
    return error_set(error, buffer->failed, "%s: %s after %zu bytes", what, serin_errc_text(buffer->failed),
                     buffer->size);
}

char *buffer_steal(struct buffer *buffer)
{
    char *bytes = buffer->failed ? NULL : buffer->bytes;

    if (bytes)
        buffer->bytes = NULL;
    buffer_done(buffer);
    return bytes;
}
