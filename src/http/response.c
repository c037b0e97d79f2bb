/*
 * response.c - heads of responses: the status line, and which of them have a body (RFC 9112, 4 and 6.3).
 * SPDX-License-Identifier: Apache-2.0
 *
 * As strict as for requests: a worker or a foreign server that answers garbage is told apart from one that answers. The
 * one thing forgiven is a missing blank before an empty reason, which cannot be misread.
 */
#include "http/head.h"
#include "http/syntax.h"

#include <string.h>

#define MAX_REASON_BYTES 512

static int read_status_line(const char *line, size_t size, const struct http_limits *limits, struct http_head *head,
                            struct head_notes *notes, const char **ret_why)
{
    const char *end = line + size, *code = line + 9;

    (void)limits;
    (void)notes;
    *ret_why = "the status line is not one of HTTP/1.0 or HTTP/1.1";
    if (size < 12 || memcmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') || line[8] != ' ')
        return 400;
    *ret_why = "the status is not a number from 100 to 599";
    if (code[0] < '1' || code[0] > '5' || !char_is(code[1], CHAR_DIGIT) || !char_is(code[2], CHAR_DIGIT) ||
        (size > 12 && code[3] != ' '))
        return 400;
    *ret_why = "the status line holds a control character";
    if (syntax_skip_value(code + 3, end) != end)
        return 400;
    head->minor_version = line[7] - '0';
    head->status = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
    *ret_why = NULL;
    return 0;
}

enum http_result http_parse_response(const char *bytes, size_t size, const struct http_limits *limits, size_t *scanned,
                                     bool head_request, struct http_head *ret, const char **ret_why)
{
    static const char magic[] = "HTTP/1.";
    static const struct http_slice none = {"", 0};
    const size_t known = size < sizeof(magic) - 1 ? size : sizeof(magic) - 1;
    struct head_notes notes = {0};
    enum http_result result;
    int status;
    bool informational;

    if (memcmp(bytes, magic, known) != 0) {
        *ret_why = "this is not an HTTP/1 response";
        return HTTP_BAD;
    }
    result = head_read(bytes, size, 0, strlen("HTTP/1.1 200 ") + MAX_REASON_BYTES, limits, scanned, read_status_line,
                       ret, &notes, &status, ret_why);
    if (result != HTTP_DONE) {
        if (result == HTTP_BAD && status == 414)
            *ret_why = "the status line is longer than the limit";
        return result;
    }
    ret->method = ret->target = ret->path = ret->query = ret->host = none;
    if (head_judge(ret, &notes, ret_why))
        return HTTP_BAD;
    ret->expect_continue = false;
    informational = ret->status < 200 || ret->status == 204;
    if (informational && (ret->framing == HTTP_CHUNKED || ret->content_length > 0)) {
        *ret_why = "an answer that has no body says that it has one"; /* RFC 9112, 6.1; RFC 9110, 8.6 */
        return HTTP_BAD;
    }
    if (informational || head_request || ret->status == 304) {
        ret->framing = HTTP_NO_BODY;
    } else if (ret->framing == HTTP_NO_BODY) {
        ret->framing = HTTP_UNTIL_CLOSE;
        ret->keep_alive = false;
    }
    return HTTP_DONE;
}
