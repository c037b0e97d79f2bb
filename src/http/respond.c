/*
 * respond.c - the heads of answers, the clock's line in them, and answers that tell an error.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "http/connection.h"

#include "base/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define MAX_ERROR_BYTES 4096

/* "Date: Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7), made once a second. Not strftime: that asks the locale. */
static const char *date_line(struct http_server *server)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = time(NULL);
    struct tm tm;

    if ((int64_t)now != server->date_second && gmtime_r(&now, &tm)) {
        snprintf(server->date, sizeof(server->date), "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday],
                 tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
        server->date_second = (int64_t)now;
    }
    return server->date;
}

bool respond_write_head(struct http_connection *connection, int status, const struct buffer *fields, size_t body_bytes,
                        bool keep_alive)
{
    struct buffer *out = &connection->out;

    out->max = 1024 + (fields ? fields->size : 0);
    buffer_clear(out);
    http_write_status_line(out, status);
    if (fields)
        buffer_append(out, fields->bytes, fields->size);
    buffer_append_text(out, date_line(connection->server));
    if (status != 204 && body_bytes != RESPOND_NO_LENGTH) { /* RFC 9110, 8.6: no length there */
        buffer_append_text(out, "Content-Length: ");
        buffer_append_number(out, body_bytes);
        buffer_append(out, "\r\n", 2);
    }
    if (!keep_alive)
        buffer_append_text(out, "Connection: close\r\n");
    else if (connection->exchange.head.minor_version == 0)
        buffer_append_text(out, "Connection: keep-alive\r\n");
    http_write_end(out);
    return buffer_check(out, "the head of an answer", NULL) == SERIN_OK;
}

void respond_write_error_fields(struct buffer *fields, int status)
{
    http_write_field(fields, "Content-Type", "application/json");
    if (status == 503)
        http_write_field(fields, "Retry-After", "1");
}

struct bytes *http_error_body(const char *sentence)
{
    struct serin_error printable;
    struct json_writer json;
    struct buffer text;
    struct bytes *bytes = NULL;

    error_set(&printable, SERIN_INVALID, "%s", sentence); /* what is quoted may hold anything */
    buffer_init(&text, MAX_ERROR_BYTES);
    json_init(&json, &text);
    json_begin_object(&json);
    json_key(&json, "error");
    json_write_string(&json, printable.message);
    json_end_object(&json);
    if (buffer_check(&text, "an error", NULL) == SERIN_OK)
        bytes = bytes_new(text.size);
    if (bytes) {
        memcpy(bytes->data, text.bytes, text.size);
        bytes->size = text.size;
    }
    buffer_done(&text);
    return bytes;
}

void http_respond_error(struct http_exchange *exchange, int status, const char *format, ...)
{
    char sentence[sizeof(((struct serin_error *)0)->message)];
    struct buffer fields;
    va_list args;

    va_start(args, format);
    if (vsnprintf(sentence, sizeof(sentence), format, args) < 0)
        sentence[0] = '\0';
    va_end(args);
    buffer_init(&fields, MAX_ERROR_BYTES);
    respond_write_error_fields(&fields, status);
    http_respond(exchange, status, &fields, http_error_body(sentence));
    buffer_done(&fields);
}
