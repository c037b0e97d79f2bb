/*
 * cors.c - which web pages may ask: browsers' preflights, and the origin of a request.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Source: the Fetch standard (3.2, the CORS protocol) and RFC 6454 (origins as text). A request without Origin comes
 * from no page of another site and is not this file's matter. One of an origin that is not allowed is refused and not
 * merely left unreadable: a form or a fetch without preflight of any page in a camera owner's browser could otherwise
 * cost inference, and count in what the versions are judged by.
 */
#include "gateway/inside.h"

#include <string.h>

static bool is_same(struct http_slice origin, const char *scheme, struct http_slice host)
{
    size_t size = strlen(scheme);

    return origin.size == size + host.size && memcmp(origin.bytes, scheme, size) == 0 &&
           memcmp(origin.bytes + size, host.bytes, host.size) == 0;
}

static bool cors_allows(const char *origins, struct http_slice origin, struct http_slice host)
{
    static const char blanks[] = " \t,";
    const char *at = origins;

    if (is_same(origin, "http://", host) || is_same(origin, "https://", host)) /* TLS may end in front of us */
        return true;
    while (*(at += strspn(at, blanks))) {
        size_t size = strcspn(at, blanks);

        if ((size == 1 && *at == '*') || (size == origin.size && memcmp(at, origin.bytes, size) == 0))
            return true;
        at += size;
    }
    return false;
}

void cors_write_fields(struct thread *thread, const struct http_head *head, struct buffer *fields)
{
    const struct http_slice *origin = http_find(head, "Origin");

    if (!origin || !cors_allows(thread->gateway->options.cors_origins, *origin, head->host))
        return;
    http_write_slice(fields, (struct http_slice){"Access-Control-Allow-Origin", 27}, *origin);
    http_write_field(fields, "Access-Control-Expose-Headers",
                     "X-Serin-Version, X-Serin-Fallback, X-Request-Id, Server-Timing, Retry-After, "
                     "Inference-Header-Content-Length");
    http_write_field(fields, "Vary", "Origin"); /* no cache gives this answer to another origin's page */
}

static void answer_preflight(struct thread *thread, struct http_exchange *exchange)
{
    struct buffer fields;

    buffer_init(&fields, OWN_FIELDS_BYTES);
    http_write_field(&fields, "Access-Control-Allow-Methods", "GET, POST, OPTIONS");
    http_write_field(&fields, "Access-Control-Allow-Headers", "*, Authorization");
    http_write_field(&fields, "Access-Control-Max-Age", "600");
    own_respond(thread, exchange, 204, &fields, NULL, NULL);
    buffer_done(&fields);
}

bool cors_answer(struct thread *thread, struct http_exchange *exchange)
{
    const struct http_head *head = http_exchange_head(exchange);
    const struct http_slice *origin = http_find(head, "Origin");

    if (!origin)
        return false;
    if (!cors_allows(thread->gateway->options.cors_origins, *origin, head->host)) {
        own_respond_error(thread, exchange, 403,
                          "pages of the origin '%.*s' may not ask here: cors_origins has those that may",
                          (int)(origin->size < 200 ? origin->size : 200), origin->bytes);
        return true;
    }
    if (http_slice_is(head->method, "OPTIONS") && http_find(head, "Access-Control-Request-Method")) {
        answer_preflight(thread, exchange);
        return true;
    }
    return false;
}
