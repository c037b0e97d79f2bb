/*
 * body.h - a message's body while it is being received, into one run of bytes.  Depends on base, message.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Of known length: the bytes are allocated once, and the reader may read straight into them (http_body_room). Chunked
 * or until the connection closes: they grow by doubling up to the limit. Private to the server and the client.
 */
#ifndef HTTP_BODY_H
#define HTTP_BODY_H

#include "base/bytes.h"
#include "http/message.h"

struct http_body {
    enum http_framing framing;
    struct bytes *bytes; /* owned, alone; NULL before http_body_begin and after http_body_take */
    uint64_t length;     /* HTTP_LENGTH */
    size_t max_bytes;
    struct http_chunks chunks;
};

/* Of a head's framing. SERIN_LIMIT (the length passes max_bytes), SERIN_NOMEM. */
MUST_USE enum serin_errc http_body_begin(struct http_body *body, const struct http_head *head, size_t max_bytes,
                                         struct serin_error *error);
void http_body_done(struct http_body *body);

/* Where the next bytes of the connection can be read to without a copy, at most max_read_bytes: the body's own end
 * where its length is known, one byte more than is missing, so that a read which ends the body is a short one and the
 * loop asks the kernel no second time. NULL: read elsewhere, at most *ret_size then is max_read_bytes. */
char *http_body_room(struct http_body *body, size_t max_read_bytes, size_t *ret_size);

/* Takes what was read, be it at http_body_room or elsewhere. *ret_used tells how much of it was the body's: what is
 * behind belongs to the next message (only when *ret_complete), and is the caller's to copy at once. SERIN_CORRUPT
 * (coding), SERIN_LIMIT, SERIN_NOMEM. */
MUST_USE enum serin_errc http_body_read(struct http_body *body, const char *in, size_t size, size_t *ret_used,
                                        bool *ret_complete, struct serin_error *error);

/* Hands the bytes over, never NULL after a successful http_body_begin. */
struct bytes *http_body_take(struct http_body *body);

#endif
