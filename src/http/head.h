/*
 * head.h - what request.c and response.c share: lines, fields and framing.  Inside src/http only.  Depends on
 * message.h. SPDX-License-Identifier: Apache-2.0
 */
#ifndef HTTP_HEAD_H
#define HTTP_HEAD_H

#include "http/message.h"

#define HEAD_MAX_METHOD 32

/* What the fields say about the message itself, gathered while they are read and judged once all are there. */
struct head_notes {
    int hosts, lengths, codings;
    struct http_slice host, length, coding; /* the last of each */
    struct http_slice authority;            /* of a target in absolute form; bytes NULL where there is none */
    bool close, keep_alive, expect_continue;
    bool lookalike;         /* Content_Length and the like */
    bool names_own_framing; /* Connection: Content-Length and the like */
};

/* Reads the first line into head and notes: 0, or the status to refuse with and *ret_why. line[size] is its CR. */
typedef int head_first_line(const char *line, size_t size, const struct http_limits *limits, struct http_head *head,
                            struct head_notes *notes, const char **ret_why);

/* Reads lines from bytes + start on, up to the empty one. A line is judged as soon as it is complete, so that what is
 * wrong is refused early and alike however the bytes arrive; all that needs the whole head is judged by the caller.
 * max_first: longest first line in bytes, else 414. head is scratch unless HTTP_DONE. */
enum http_result head_read(const char *bytes, size_t size, size_t start, size_t max_first,
                           const struct http_limits *limits, size_t *scanned, head_first_line *first_line,
                           struct http_head *head, struct head_notes *notes, int *ret_status, const char **ret_why);

/* Content-Length, Transfer-Encoding and Connection of a complete head: fills in framing (HTTP_NO_BODY where neither is
 * there), content_length and keep_alive. 0, or the status and *ret_why. */
int head_judge(struct http_head *head, const struct head_notes *notes, const char **ret_why);

#endif
