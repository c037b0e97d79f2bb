/*
 * body.c - receiving bodies: by length without a copy, chunked and until the end by doubling.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Invariant: bytes->size is what was received and decoded, it never passes the limit, and capacity is one more than a
 * known length, so that the reader can notice what comes behind.
 */
#include "http/body.h"

#include <string.h>

#define FIRST_CAPACITY 8192 /* of a body whose length is not known */

enum serin_errc http_body_begin(struct http_body *body, const struct http_head *head, size_t max_bytes,
                                struct serin_error *error)
{
    size_t capacity = 0;

    *body = (struct http_body){.framing = head->framing, .max_bytes = max_bytes};
    if (head->framing == HTTP_LENGTH) {
        if (head->content_length > max_bytes)
            return error_set(error, SERIN_LIMIT, "a body of %llu bytes, the limit is %zu",
                             (unsigned long long)head->content_length, max_bytes);
        body->length = head->content_length;
        capacity = (size_t)head->content_length + 1;
    } else if (head->framing != HTTP_NO_BODY) {
        http_chunks_init(&body->chunks);
        capacity = FIRST_CAPACITY;
    }
    body->bytes = bytes_new(capacity);
    return body->bytes ? SERIN_OK : error_set(error, SERIN_NOMEM, "no memory for a body of %zu bytes", capacity);
}

void http_body_done(struct http_body *body)
{
    bytes_drop(body->bytes);
    body->bytes = NULL;
}

struct bytes *http_body_take(struct http_body *body)
{
    struct bytes *bytes = body->bytes;

    body->bytes = NULL;
    return bytes;
}

char *http_body_room(struct http_body *body, size_t max_read_bytes, size_t *ret_size)
{
    size_t room;

    *ret_size = max_read_bytes;
    if (body->framing != HTTP_LENGTH)
        return NULL;
    room = body->bytes->capacity - body->bytes->size;
    if (room < max_read_bytes)
        *ret_size = room;
    return (char *)body->bytes->data + body->bytes->size;
}

/* Makes room for more bytes behind size; nobody shares the bytes yet, so that they may move. */
static enum serin_errc grow(struct http_body *body, size_t more, struct serin_error *error)
{
    size_t capacity = body->bytes->capacity, needed;
    struct bytes *bytes;

    if (more > body->max_bytes || body->bytes->size > body->max_bytes - more)
        return error_set(error, SERIN_LIMIT, "a body of more than %zu bytes, which is the limit", body->max_bytes);
    needed = body->bytes->size + more;
    if (needed <= capacity)
        return SERIN_OK;
    while (capacity < needed)
        capacity = capacity > body->max_bytes / 2 ? body->max_bytes : capacity * 2;
    bytes = realloc(body->bytes, sizeof(*bytes) + capacity);
    if (!bytes)
        return error_set(error, SERIN_NOMEM, "no memory for a body of %zu bytes", capacity);
    bytes->capacity = capacity;
    body->bytes = bytes;
    return SERIN_OK;
}

static enum serin_errc append(struct http_body *body, const char *in, size_t size, struct serin_error *error)
{
    enum serin_errc rc = grow(body, size, error);

    if (rc == SERIN_OK) {
        memcpy(body->bytes->data + body->bytes->size, in, size);
        body->bytes->size += size;
    }
    return rc;
}

static enum serin_errc read_chunks(struct http_body *body, const char *in, size_t size, size_t *ret_used,
                                   bool *ret_complete, struct serin_error *error)
{
    size_t at = 0;

    while (at < size) {
        const char *run = NULL, *why = NULL;
        size_t run_bytes = 0, used = 0;
        enum http_result result =
            http_chunks_read(&body->chunks, in + at, size - at, body->max_bytes, &run, &run_bytes, &used, &why);
        enum serin_errc rc;

        if (result == HTTP_BAD)
            return error_set(error, body->chunks.too_large ? SERIN_LIMIT : SERIN_CORRUPT, "%s", why);
        rc = run_bytes > 0 ? append(body, run, run_bytes, error) : SERIN_OK;
        if (rc != SERIN_OK)
            return rc;
        at += used;
        if (result == HTTP_DONE) {
            *ret_complete = true;
            break;
        }
        if (used == 0) /* the codec keeps no input: what it cannot use yet, it takes */
            return error_set(error, SERIN_CORRUPT, "chunked body: no progress");
    }
    *ret_used = at;
    return SERIN_OK;
}

enum serin_errc http_body_read(struct http_body *body, const char *in, size_t size, size_t *ret_used,
                               bool *ret_complete, struct serin_error *error)
{
    struct bytes *bytes = body->bytes;
    enum serin_errc rc;

    *ret_used = 0;
    *ret_complete = false;
    switch (body->framing) {
    case HTTP_NO_BODY:
        *ret_complete = true;
        return SERIN_OK;
    case HTTP_LENGTH:
        *ret_used = size < body->length - bytes->size ? size : (size_t)(body->length - bytes->size);
        if (in != (const char *)bytes->data + bytes->size)
            memcpy(bytes->data + bytes->size, in, *ret_used);
        bytes->size += *ret_used;
        *ret_complete = bytes->size == body->length;
        return SERIN_OK;
    case HTTP_CHUNKED:
        return read_chunks(body, in, size, ret_used, ret_complete, error);
    case HTTP_UNTIL_CLOSE:
        rc = append(body, in, size, error);
        *ret_used = rc == SERIN_OK ? size : 0;
        return rc;
    }
    return SERIN_OK;
}
