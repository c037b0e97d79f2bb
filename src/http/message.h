/*
 * message.h - HTTP/1.1 messages: strict parsing of heads, framing of bodies, writing of heads.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Sources: RFC 9110 (semantics), RFC 9112 (HTTP/1.1). It is stricter than they ask: what could be read in two ways is
 * refused, since a request that two parsers read differently is how requests are smuggled. No I/O, no allocation:
 * slices point into the caller's buffer. Everything is bounded by struct http_limits.
 * Written in request.c, response.c (both over head.c), chunks.c, fields.c, write.c, all over the table of syntax.c.
 */
#ifndef HTTP_MESSAGE_H
#define HTTP_MESSAGE_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define HTTP_MAX_FIELDS 100

struct http_slice {
    const char *bytes; /* not NUL-terminated */
    size_t size;
};

struct http_limits {
    size_t max_head_bytes;   /* request line and fields; default 16384 */
    size_t max_target_bytes; /* default 8192: 414 */
    size_t max_body_bytes;   /* default 32 MiB: 413 */
};

extern const struct http_limits http_default_limits;

struct http_field {
    struct http_slice name;  /* a token, as it came; compare with http_slice_is_name */
    struct http_slice value; /* blanks around it taken off; no control characters */
};

enum http_framing { HTTP_NO_BODY, HTTP_LENGTH, HTTP_CHUNKED, HTTP_UNTIL_CLOSE /* responses only */ };

struct http_head {
    /* requests */
    struct http_slice method, target; /* target: origin form ("/a?b"), or "*" for OPTIONS; absolute form is reduced to
                                       * it (where it has no path, to a constant) */
    struct http_slice path, query;    /* of the target: before and after the first '?'; still percent-encoded */
    struct http_slice host;
    /* responses */
    int status; /* 100..599 */
    /* both */
    int minor_version; /* HTTP/1.x: 0 or 1 */
    bool keep_alive;
    bool expect_continue;
    enum http_framing framing;
    uint64_t content_length; /* HTTP_LENGTH */
    int field_count;
    struct http_field fields[HTTP_MAX_FIELDS];
    size_t head_bytes; /* how much of the buffer the head was, its empty line included */
};

enum http_result {
    HTTP_DONE,
    HTTP_MORE, /* not all there yet: call again with more */
    HTTP_BAD   /* answer ret_status and close */
};

/* Parses a request head at the start of bytes. On HTTP_BAD *ret_status is 400, 414, 431, 501 or 505, and *ret_why a
 * static sentence. Never reads behind size. Cost is linear over repeated calls with growing size when *scanned is kept
 * (start with 0; the bytes may move between calls). *ret is scratch unless HTTP_DONE: it is 3 KB, and not copied. What
 * is wrong is refused as soon as its line is complete; the verdict does not depend on how the bytes were cut.
 * Refused though RFC 9112 would allow it: more than one Content-Length even if equal, leading zeros in it, an absolute
 * target that differs from Host, hosts of other characters than letters, digits and "-._~", CONNECT (501), HTTP/1.2. */
enum http_result http_parse_request(const char *bytes, size_t size, const struct http_limits *limits, size_t *scanned,
                                    struct http_head *ret, int *ret_status, const char **ret_why);

/* The same for a response to a request of that method (HEAD and 1xx, 204, 304 have no body; of HEAD and 304
 * content_length is told nevertheless where it was there). */
enum http_result http_parse_response(const char *bytes, size_t size, const struct http_limits *limits, size_t *scanned,
                                     bool head_request, struct http_head *ret, const char **ret_why);

/* ---- bodies ---- */

/* Takes chunked coding off, piece by piece. */
struct http_chunks {
    int state;
    uint64_t left;        /* of the present chunk */
    size_t line_bytes;    /* of the present line, limited */
    size_t trailer_bytes; /* of the trailer and of all extensions, limited */
    uint64_t body_bytes;  /* decoded so far */
    bool too_large;       /* HTTP_BAD, and it was max_body_bytes: 413 rather than 400 */
    char name[24];        /* of the present field of the trailer, as far as it fits */
};

void http_chunks_init(struct http_chunks *chunks);

/* Reads from in; *ret_data, *ret_size tell the next run of body bytes within it (size 0: none in this call), *ret_used
 * how much of in was taken. Call again with the rest. HTTP_DONE at the end of the trailer (fields of the trailer are
 * dropped). HTTP_BAD with a static sentence. */
enum http_result http_chunks_read(struct http_chunks *chunks, const char *in, size_t size, size_t max_body_bytes,
                                  const char **ret_data, size_t *ret_size, size_t *ret_used, const char **ret_why);

/* ---- fields ---- */

/* Whether the first size bytes of both are the same but for the case of ASCII letters. */
bool http_same_letters(const char *a, const char *b, size_t size);

/* These and some below are inlined because most texts are literals, whose length the compiler knows, and differ in it.
 */
static inline bool http_slice_is(struct http_slice slice, const char *text) /* exactly */
{
    size_t size = strlen(text);

    return slice.size == size && (size == 0 || memcmp(slice.bytes, text, size) == 0);
}

static inline bool http_slice_is_name(struct http_slice slice, const char *name) /* ASCII letters of either case */
{
    size_t size = strlen(name);

    return slice.size == size && http_same_letters(slice.bytes, name, size);
}

/* A name in an initializer of static slices. */
#define HTTP_NAME(text)                                                                                                \
    {                                                                                                                  \
        (text), sizeof(text) - 1                                                                                       \
    }
/* Whether it is one of count names. */
bool http_is_one_of(struct http_slice name, const struct http_slice *names, size_t count);
/* The value of the first field of that name, or NULL. */
const struct http_slice *http_find(const struct http_head *head, const char *name);
/* Copies with NUL; false where it does not fit. */
bool http_slice_copy(struct http_slice slice, char *text, size_t size);
/* The next parameter of a query or form (application/x-www-form-urlencoded), as it is written, taken off its beginning;
 * false: there is none left. A parameter without '=' has an empty value. */
bool http_query_next(struct http_slice *query, struct http_slice *ret_name, struct http_slice *ret_value);
/* Percent-decodes a parameter's name or value; false for bad escapes, NUL, or what does not fit. */
bool http_query_decode(struct http_slice part, char *text, size_t size);
/* The value of the first parameter of that name, decoded into text; false where it is missing, bad, or does not fit. */
bool http_query_get(struct http_slice query, const char *name, char *text, size_t size);
/* Percent-decodes a path segment; false for bad escapes, NUL, or what does not fit. */
bool http_decode_segment(struct http_slice segment, char *text, size_t size);
/* A cookie's value (RFC 6265, 4.2) of a Cookie field; false where it is missing. */
bool http_cookie_get(struct http_slice cookie, const char *name, struct http_slice *ret);

/* Connection-level fields that are never passed on (RFC 9110, 7.6.1), and those named in Connection. */
bool http_is_hop_by_hop(const struct http_head *head, struct http_slice name);

/* ---- writing ---- */

const char *http_status_text(int status); /* "OK" */
void http_write_request_line(struct buffer *out, struct http_slice method, struct http_slice target);
void http_write_status_line(struct buffer *out, int status);
/* Name and value are checked: a control character in either is our bug. */
void http_write_field(struct buffer *out, const char *name, const char *format, ...) PRINTF_LIKE(3, 4);
void http_write_slice(struct buffer *out, struct http_slice name, struct http_slice value);
static inline void http_write_text(struct buffer *out, const char *name, const char *value) /* without a format */
{
    http_write_slice(out, (struct http_slice){name, strlen(name)}, (struct http_slice){value, strlen(value)});
}
void http_write_end(struct buffer *out);

#endif
