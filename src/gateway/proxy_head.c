/*
 * proxy_head.c - heads on their way through: always written anew, never passed on as they came.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What belongs to a connection stays behind (RFC 9110, 7.6.1), so does what the gateway sets itself. Via is added
 * as 7.6.3 asks.
 */
#include "gateway/inside.h"

#include <string.h>

#define MAX_REQUEST_ID 60

void proxy_head_write(struct buffer *out, const struct http_head *head, const char *peer, const char *request_id,
                      bool for_mirror, const char *used, const struct gateway_trace *trace)
{
    static const struct http_slice own[] = {
        HTTP_NAME("Host"),
        HTTP_NAME("Content-Length"),
        HTTP_NAME("Expect"),
        HTTP_NAME("Via"),
        HTTP_NAME("X-Request-Id"),
        HTTP_NAME("X-Forwarded-For"),
        HTTP_NAME("X-Serin-Mirror"),
        HTTP_NAME("Transfer-Encoding"),
        HTTP_NAME("Accept-Encoding"), /* a compressed answer could not be looked at */
    };
    static const struct http_slice secret[] = {HTTP_NAME("Authorization"), HTTP_NAME("Cookie"), HTTP_NAME("X-Api-Key")};
    static const struct http_slice get = {"GET", 3}, forwarded = {"X-Forwarded-For", 15};
    const char *colon = strrchr(peer, ':');
    int i;

    /* HEAD is answered with what GET would be told of: the server leaves out the body, and knows its length. */
    http_write_request_line(out, http_slice_is(head->method, "HEAD") ? get : head->method, head->target);
    for (i = 0; i < head->field_count; i++) {
        struct http_slice name = head->fields[i].name;

        if ((used && http_slice_is_name(name, used)) || http_is_one_of(name, own, sizeof(own) / sizeof(own[0])) ||
            http_is_hop_by_hop(head, name) || (trace && http_slice_is_name(name, "traceparent")) ||
            (for_mirror && http_is_one_of(name, secret, sizeof(secret) / sizeof(secret[0]))))
            continue;
        http_write_slice(out, name, head->fields[i].value);
    }
    http_write_text(out, "X-Request-Id", request_id);
    http_write_slice(out, forwarded, (struct http_slice){peer, colon ? (size_t)(colon - peer) : strlen(peer)});
    http_write_text(out, "Via", "1.1 serin");
    if (for_mirror)
        http_write_text(out, "X-Serin-Mirror", "1");
    if (trace)
        trace_write_parent(trace, out);
}

void proxy_fields_write(struct buffer *out, const struct http_head *head)
{
    static const struct http_slice own[] = {
        HTTP_NAME("Content-Length"),
        HTTP_NAME("Date"),
        HTTP_NAME("Server"),
        HTTP_NAME("Transfer-Encoding"),
        HTTP_NAME("X-Serin-Version"),
        HTTP_NAME("X-Request-Id"),
        HTTP_NAME("X-Serin-Fallback"),
        HTTP_NAME("Set-Cookie"),                  /* else a version could choose its clients: routes have cookie keys */
        HTTP_NAME("Access-Control-Allow-Origin"), /* a browser refuses two of them */
        HTTP_NAME("Access-Control-Allow-Credentials"),
        HTTP_NAME("Access-Control-Expose-Headers"),
    };
    int i;

    for (i = 0; i < head->field_count; i++) {
        struct http_slice name = head->fields[i].name;

        if (!http_is_one_of(name, own, sizeof(own) / sizeof(own[0])) && !http_is_hop_by_hop(head, name))
            http_write_slice(out, name, head->fields[i].value);
    }
}

static bool is_sane_id(const struct http_slice *id)
{
    size_t i;

    if (!id || id->size < 1 || id->size > MAX_REQUEST_ID)
        return false;
    for (i = 0; i < id->size; i++)
        if (id->bytes[i] <= ' ' || id->bytes[i] > '~' || id->bytes[i] == '"' || id->bytes[i] == '\\')
            return false;
    return true;
}

void proxy_request_id(struct thread *thread, const struct http_head *head, char *id, size_t size)
{
    const struct http_slice *given = http_find(head, "X-Request-Id");

    if (is_sane_id(given) && http_slice_copy(*given, id, size))
        return;
    thread_random_id(thread, id);
}
