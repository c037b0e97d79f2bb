/*
 * call_routes.c - calls about routes: who gets which share of a model's traffic.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A route is answered with its revision as ETag, and a change may say by If-Match which revision it is based on: so of
 * two people who change it at once, the second hears of the first.
 */
#include "admin/call.h"

#include <stdio.h>
#include <string.h>

/* Its JSON into out, in place of what is there. */
static enum serin_errc read_route(struct call *call, struct route *ret)
{
    enum serin_errc rc;

    buffer_clear(&call->out);
    rc = call->target->route(call->target->user, call->argument, &call->out, &call->error);
    if (rc == SERIN_OK)
        rc = buffer_check(&call->out, "a route", &call->error);
    return rc == SERIN_OK ? route_from_json(call->out.bytes, call->out.size, ret, &call->error) : rc;
}

static void answer_route(struct call *call, enum serin_errc rc)
{
    struct route route;

    if (rc == SERIN_OK)
        rc = read_route(call, &route);
    if (rc == SERIN_OK)
        http_write_field(&call->fields, "ETag", "\"%llu\"", (unsigned long long)route.revision);
    call_answer_json(call, rc);
}

/* "*", or revisions in quotes with commas between them. */
static bool is_etag_list(struct http_slice text)
{
    size_t i = 0;

    if (http_slice_is(text, "*"))
        return true;
    for (;;) {
        size_t start = i + 1;

        if (i >= text.size || text.bytes[i++] != '"')
            return false;
        while (i < text.size && text.bytes[i] >= '0' && text.bytes[i] <= '9')
            i++;
        if (i == start || i >= text.size || text.bytes[i++] != '"')
            return false;
        if (i == text.size)
            return true;
        if (text.bytes[i++] != ',')
            return false;
        while (i < text.size && text.bytes[i] == ' ')
            i++;
    }
}

/* Whether the route is the one that a change is based on, by If-Match (RFC 9110, 13.1.1) with the ETag of an answer;
 * else the call has been answered, with 412. */
static bool is_route_as_known(struct call *call)
{
    const struct http_slice *wanted = http_find(http_exchange_head(call->exchange), "If-Match");
    struct route route = {0};
    int status = 412;
    char tag[32];

    if (!wanted)
        return true;
    if (!is_etag_list(*wanted)) {
        status = 400;
        error_set(&call->error, SERIN_INVALID, "If-Match is *, or an ETag of this route such as \"7\"");
    } else if (read_route(call, &route) == SERIN_OK) {
        snprintf(tag, sizeof(tag), "\"%llu\"", (unsigned long long)route.revision);
        if (http_slice_is(*wanted, "*") || memmem(wanted->bytes, wanted->size, tag, strlen(tag)))
            return true;
        error_set(&call->error, SERIN_LIMIT,
                  "the route of '%s' is at revision %s, and this is based on %.*s: read it again", call->argument, tag,
                  (int)(wanted->size < 40 ? wanted->size : 40), wanted->bytes);
    }
    call_refuse(call, status);
    return false;
}

void do_routes(struct call *call)
{
    call_answer_json(call, call->target->routes(call->target->user, &call->out, &call->error));
}

void do_get_route(struct call *call)
{
    answer_route(call, SERIN_OK);
}

void do_put_route(struct call *call)
{
    const struct bytes *body = http_exchange_body(call->exchange);
    struct route route;
    enum serin_errc rc;

    if (!is_route_as_known(call))
        return;
    rc = route_from_json((const char *)body->data, body->size, &route, &call->error);
    if (rc == SERIN_OK && strcmp(route.model, call->argument) != 0)
        rc = error_set(&call->error, SERIN_INVALID, "the path names model '%s', the route '%s'", call->argument,
                       route.model);
    if (rc == SERIN_OK)
        rc = call->target->put_route(call->target->user, &route, call->author, &call->error);
    answer_route(call, rc);
}

static enum serin_errc patch_weights(const json_t *weights, struct route *route, struct serin_error *error)
{
    const char *tag;
    json_t *value;

    if (!json_is_object(weights) || json_object_size(weights) == 0)
        return error_set(error, SERIN_INVALID, "weights are an object: {\"TAG\": WEIGHT, ...}");
    json_object_foreach((json_t *)weights, tag, value)
    {
        int version = route_find(route, tag);

        if (version < 0)
            return error_set(
                error, SERIN_NOT_FOUND,
                "model '%s' has no version '%s' in its route: deploy it first (serin deploy %s:%s --canary)",
                route->model, tag, route->model, tag);
        if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > ROUTE_MAX_WEIGHT)
            return error_set(error, SERIN_INVALID, "the weight of '%s' must be a whole number from 0 to %u", tag,
                             ROUTE_MAX_WEIGHT);
        route->versions[version].weight = (uint32_t)json_integer_value(value);
    }
    return SERIN_OK;
}

void do_patch_weights(struct call *call)
{
    struct route route;
    enum serin_errc rc;

    if (!is_route_as_known(call))
        return;
    rc = read_route(call, &route);
    if (rc == SERIN_OK)
        rc = call_read_json(call);
    if (rc == SERIN_OK)
        rc = patch_weights(call->body, &route, &call->error);
    if (rc == SERIN_OK)
        rc = call->target->put_route(call->target->user, &route, call->author, &call->error);
    answer_route(call, rc);
}

void do_remove_route(struct call *call)
{
    if (is_route_as_known(call))
        call_answer_done(call,
                         call->target->remove_route(call->target->user, call->argument, call->author, &call->error));
}
