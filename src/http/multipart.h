/*
 * multipart.h - the parts of a multipart/form-data body that lies in memory.  Depends on message.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Sources: RFC 7578 (form-data), RFC 2046 section 5.1 (multipart). Slices point into the body.
 */
#ifndef HTTP_MULTIPART_H
#define HTTP_MULTIPART_H

#include "http/message.h"

#define MULTIPART_MAX_PARTS 100

struct multipart_part {
    struct http_slice name, filename, content_type; /* quotes taken off; empty where missing */
    struct http_slice body;
};

/* content_type is the value of the request's field, with its boundary parameter. SERIN_INVALID (no boundary, not
 * form-data), SERIN_CORRUPT (where), SERIN_LIMIT (too many parts). */
MUST_USE enum serin_errc multipart_parse(struct http_slice content_type, const void *body, size_t size,
                                         struct multipart_part *parts, int *ret_count, struct serin_error *error);

/* Whether it has one of the names that POST /v1/predict takes pictures by. */
bool multipart_is_picture(const struct multipart_part *part);

#endif
