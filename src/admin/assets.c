/*
 * assets.c - the console's files over HTTP.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A browser asks again each time and gets 304 where nothing has changed, so that a page never mixes the files of two
 * versions of the program for long, and none has to carry a version in its name. What the page may do is said in its
 * Content-Security-Policy: nothing that is not from here runs, and nothing leaves.
 */
#include "admin/assets.h"

#include <string.h>

#define POLICY                                                                                                         \
    "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; "               \
    "frame-ancestors 'none'"

static const struct asset *find(struct http_slice path)
{
    size_t i;

    if (http_slice_is(path, "/"))
        path = (struct http_slice){"/index.html", 11};
    for (i = 0; i < asset_count; i++)
        if (http_slice_is(path, assets[i].path))
            return &assets[i];
    return NULL;
}

bool assets_answer(struct http_exchange *exchange)
{
    const struct http_head *head = http_exchange_head(exchange);
    const struct asset *asset = find(head->path);
    const struct http_slice *known = http_find(head, "If-None-Match");
    struct bytes *body = NULL;
    struct buffer fields;
    int status = 200;

    if (!asset)
        return false;
    if (!http_slice_is(head->method, "GET") && !http_slice_is(head->method, "HEAD")) {
        buffer_init(&fields, 1024);
        http_write_field(&fields, "Allow", "GET, HEAD");
        http_write_field(&fields, "Content-Type", "application/json");
        http_respond(exchange, 405, &fields, http_error_body("this path takes GET, HEAD"));
        buffer_done(&fields);
        return true;
    }
    if (known && http_slice_is(*known, asset->etag)) {
        status = 304;
    } else {
        body = bytes_new(asset->size);
        if (!body) {
            http_respond_error(exchange, 503, "no memory for a file of %zu bytes", asset->size);
            return true;
        }
        memcpy(body->data, asset->bytes, asset->size);
        body->size = asset->size;
    }
    buffer_init(&fields, 1024);
    http_write_field(&fields, "Content-Type", "%s", asset->type);
    http_write_field(&fields, "Cache-Control", "no-cache");
    http_write_field(&fields, "ETag", "%s", asset->etag);
    http_write_field(&fields, "Content-Security-Policy", "%s", POLICY);
    http_write_field(&fields, "X-Content-Type-Options", "nosniff");
    http_write_field(&fields, "Referrer-Policy", "no-referrer");
    http_respond(exchange, status, &fields, body);
    buffer_done(&fields);
    return true;
}
