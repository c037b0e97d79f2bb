/*
 * write.c - heads as bytes. What is written here is parsed by others, so that nothing can end a line by itself.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "http/syntax.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The registered ones (RFC 9110, 15; RFC 6585). */
const char *http_status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } rows[] = {
        {100, "Continue"},
        {101, "Switching Protocols"},
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {426, "Upgrade Required"},
        {428, "Precondition Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {499, "Client Closed Request"},
        {500, "Internal Server Error"},
        {501, "Not "
              "Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
        {508, "Loop Detected"},
    };
    size_t i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].status == status)
            return rows[i].text;
    return "Unknown";
}

static bool all_are(struct http_slice slice, int classes)
{
    int common = classes;
    size_t i;

    for (i = 0; i < slice.size; i++)
        common &= http_char_class[(unsigned char)slice.bytes[i]];
    return common != 0;
}

void http_write_request_line(struct buffer *out, struct http_slice method, struct http_slice target)
{
    BUG_ON(method.size == 0 || !all_are(method, CHAR_TOKEN) || target.size == 0 || !all_are(target, CHAR_TARGET));
    buffer_append(out, method.bytes, method.size);
    buffer_append(out, " ", 1);
    buffer_append(out, target.bytes, target.size);
    buffer_append_text(out, " HTTP/1.1\r\n");
}

void http_write_status_line(struct buffer *out, int status)
{
    BUG_ON(status < 100 || status > 599);
    buffer_append_text(out, "HTTP/1.1 ");
    buffer_append_number(out, (uint64_t)status);
    buffer_append(out, " ", 1);
    buffer_append_text(out, http_status_text(status));
    buffer_append(out, "\r\n", 2);
}

void http_write_slice(struct buffer *out, struct http_slice name, struct http_slice value)
{
    const char *end = slice_end(value);
    char *at;

    BUG_ON(name.size == 0 || !all_are(name, CHAR_TOKEN) || syntax_skip_value(value.bytes, end) != end);
    at = buffer_extend(out, name.size + value.size + 4);
    if (!at)
        return;
    memcpy(at, name.bytes, name.size);
    at += name.size;
    *at++ = ':';
    *at++ = ' ';
    if (value.size)
        memcpy(at, value.bytes, value.size);
    at += value.size;
    *at++ = '\r';
    *at = '\n';
}

void http_write_field(struct buffer *out, const char *name, const char *format, ...)
{
    char *value = NULL;
    va_list args;
    int length;

    va_start(args, format);
    length = vasprintf(&value, format, args);
    va_end(args);
    if (length >= 0)
        http_write_slice(out, (struct http_slice){name, strlen(name)}, (struct http_slice){value, (size_t)length});
    else if (!out->failed)
        out->failed = SERIN_NOMEM;
    free(length >= 0 ? value : NULL);
}

void http_write_end(struct buffer *out)
{
    buffer_append(out, "\r\n", 2);
}
