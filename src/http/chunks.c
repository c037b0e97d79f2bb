/*
 * chunks.c - takes the chunked coding off a body (RFC 9112, 7.1).
 * SPDX-License-Identifier: Apache-2.0
 *
 * A state machine a byte at a time for the lines, and whole runs for the bytes between them. Stricter than the RFC: no
 * blank around the size, lines end with CR LF, at most 16 hexadecimal digits. Extensions
 * and the trailer are dropped, and bounded together over the whole body: a byte a chunk, each with a long extension, is
 * how a small body is made expensive (CVE-2023-39326).
 */
#include "http/syntax.h"

#include <string.h>

#define MAX_SIZE_DIGITS     16
#define MAX_EXTENSION_BYTES 256 /* of one chunk */
#define MAX_TRAILER_BYTES   8192

/* In the order of a chunk; those before SIZE_LF but SIZE are of its extension. */
enum {
    SIZE,
    EXT_START, /* behind ';' */
    EXT_NAME,
    EXT_VALUE_START, /* behind '=' */
    EXT_VALUE,
    EXT_QUOTED,
    EXT_ESCAPED,
    EXT_END, /* behind the closing quote */
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    FIELD,
    NAME,
    VALUE,
    FIELD_LF,
    END_LF,
    DONE,
    BAD
};

void http_chunks_init(struct http_chunks *chunks)
{
    *chunks = (struct http_chunks){.state = SIZE};
}

/* Fields that say how a message is framed, routed or read must not come behind it (RFC 9110, 6.5.1). */
static bool is_forbidden(const char *name)
{
    static const char *const forbidden[] = {
        "content-length", "transfer-encoding", "host",    "connection", "content-encoding",
        "content-type",   "content-range",     "trailer", "te",         "upgrade",
        "expect"};
    struct http_slice slice = {name, strlen(name)};
    size_t i;

    for (i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
        if (http_slice_is_name(slice, forbidden[i]))
            return true;
    return false;
}

static const char *bad(struct http_chunks *chunks, const char *why)
{
    chunks->state = BAD;
    return why;
}

static const char *size_line_ended(struct http_chunks *chunks, uint64_t max_body_bytes)
{
    chunks->line_bytes = 0;
    if (chunks->left > max_body_bytes - chunks->body_bytes) {
        chunks->too_large = true;
        return bad(chunks, "the chunked body is larger than the limit");
    }
    chunks->state = chunks->left > 0 ? DATA : FIELD;
    return NULL;
}

/* ";name", ";name=token" or ";name=\"quoted\"", once more or to the line's end. Blanks, which RFC 9112 calls bad but
 * lets be read, only behind the ';'. */
static const char *read_extension_byte(struct http_chunks *chunks, char c)
{
    const bool token = char_is(c, CHAR_TOKEN);

    switch (chunks->state) {
    case EXT_START:
        chunks->state = token ? EXT_NAME : EXT_START;
        return token || char_is_blank(c) ? NULL : bad(chunks, "a chunk's extension has no name");
    case EXT_VALUE_START:
        chunks->state = c == '"' ? EXT_QUOTED : EXT_VALUE;
        return token || c == '"' ? NULL : bad(chunks, "a chunk's extension has no value behind its '='");
    case EXT_QUOTED:
        chunks->state = c == '"' ? EXT_END : c == '\\' ? EXT_ESCAPED : EXT_QUOTED;
        return char_is(c, CHAR_VALUE) ? NULL : bad(chunks, "a chunk's extension holds a control character");
    case EXT_ESCAPED:
        chunks->state = EXT_QUOTED;
        return char_is(c, CHAR_VALUE) ? NULL : bad(chunks, "a chunk's extension holds a control character");
    default: /* EXT_NAME, EXT_VALUE, EXT_END */
        if (token && chunks->state != EXT_END)
            return NULL;
        if (c == '=' && chunks->state == EXT_NAME)
            chunks->state = EXT_VALUE_START;
        else if (c == ';' || c == '\r')
            chunks->state = c == ';' ? EXT_START : SIZE_LF;
        else
            return bad(chunks, "a chunk's extension is not name=value");
        return NULL;
    }
}

/* One byte that belongs to no body. NULL, or what is wrong. */
static const char *read_byte(struct http_chunks *chunks, char c, uint64_t max_body_bytes)
{
    const bool extension = chunks->state > SIZE && chunks->state < SIZE_LF;

    if (extension && ++chunks->line_bytes > MAX_EXTENSION_BYTES)
        return bad(chunks, "a chunk's extension is longer than 256 bytes");
    if ((extension || chunks->state >= FIELD) && ++chunks->trailer_bytes > MAX_TRAILER_BYTES)
        return bad(chunks, "the extensions and the trailer of a chunked body are larger than 8192 bytes");
    if (extension)
        return read_extension_byte(chunks, c);
    switch (chunks->state) {
    case SIZE:
        if (char_is(c, CHAR_HEX)) {
            if (++chunks->line_bytes > MAX_SIZE_DIGITS)
                return bad(chunks, "a chunk's size has more than 16 digits");
            chunks->left = chunks->left << 4 | (uint64_t)char_hex(c);
            return NULL;
        }
        if (chunks->line_bytes == 0 || (c != '\r' && c != ';'))
            return bad(chunks, "a chunk's size is not a plain hexadecimal number");
        chunks->state = c == ';' ? EXT_START : SIZE_LF;
        chunks->line_bytes = 0;
        return NULL;
    case SIZE_LF:
        return c == '\n' ? size_line_ended(chunks, max_body_bytes) : bad(chunks, "a CR in a chunk's size ends no line");
    case DATA_CR:
        chunks->state = DATA_LF;
        return c == '\r' ? NULL : bad(chunks, "a chunk is longer than its size");
    case DATA_LF:
        chunks->state = SIZE;
        return c == '\n' ? NULL : bad(chunks, "a chunk is longer than its size");
    case FIELD:
        chunks->line_bytes = 0;
        if (c == '\r') {
            chunks->state = END_LF;
            return NULL;
        }
        chunks->state = NAME;
        /* fall through */
    case NAME:
        if (char_is(c, CHAR_TOKEN)) {
            if (chunks->line_bytes < sizeof(chunks->name) - 1)
                chunks->name[chunks->line_bytes] = c;
            chunks->line_bytes++;
            return NULL;
        }
        if (c != ':' || chunks->line_bytes == 0)
            return bad(chunks, "the trailer of a chunked body holds something that is not a field");
        chunks->name[chunks->line_bytes < sizeof(chunks->name) ? chunks->line_bytes : sizeof(chunks->name) - 1] = '\0';
        chunks->state = VALUE;
        return is_forbidden(chunks->name) ? bad(chunks, "the trailer holds a field that must not be there") : NULL;
    case VALUE:
        if (c == '\r')
            chunks->state = FIELD_LF;
        else if (!char_is(c, CHAR_VALUE))
            return bad(chunks, "a field of the trailer holds a control character");
        return NULL;
    case FIELD_LF:
        chunks->state = FIELD;
        return c == '\n' ? NULL : bad(chunks, "a CR in the trailer ends no line");
    default: /* END_LF */
        chunks->state = DONE;
        return c == '\n' ? NULL : bad(chunks, "a CR in the trailer ends no line");
    }
}

enum http_result http_chunks_read(struct http_chunks *chunks, const char *in, size_t size, size_t max_body_bytes,
                                  const char **ret_data, size_t *ret_size, size_t *ret_used, const char **ret_why)
{
    const char *why;
    size_t used = 0;

    *ret_data = in;
    *ret_size = *ret_used = 0;
    while (used < size && chunks->state != DONE && chunks->state != BAD) {
        if (chunks->state == DATA) {
            size_t run = size - used < chunks->left ? size - used : (size_t)chunks->left;

            chunks->left -= run;
            chunks->body_bytes += run;
            if (chunks->left == 0)
                chunks->state = DATA_CR;
            *ret_data = in + used;
            *ret_size = run;
            *ret_used = used + run;
            return HTTP_MORE;
        }
        why = read_byte(chunks, in[used++], max_body_bytes);
        if (why) {
            *ret_used = used;
            *ret_why = why;
            return HTTP_BAD;
        }
    }
    *ret_used = used;
    if (chunks->state == BAD)
        *ret_why = "this chunked body was refused before";
    return chunks->state == DONE ? HTTP_DONE : chunks->state == BAD ? HTTP_BAD : HTTP_MORE;
}
