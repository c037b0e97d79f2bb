/*
 * request.c - what a route reads of a request: the model and version in its path, its key, the rules that it meets.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Paths are read as they are routed, without resolving anything: what a server behind could take for another path (dot
 * segments) is told of by itself, and refused.
 */
#include "gateway/inside.h"

#include <string.h>

bool request_read_path(struct http_slice path, char *model, char *tag, size_t size)
{
    static const char *const roots[] = {"/v1/predict/", "/v2/models/"};
    struct http_slice rest, segment;
    size_t i;

    tag[0] = '\0';
    for (i = 0; i < 2; i++) {
        size_t length = strlen(roots[i]);
        const char *slash;

        if (path.size <= length || memcmp(path.bytes, roots[i], length) != 0)
            continue;
        rest = (struct http_slice){path.bytes + length, path.size - length};
        slash = memchr(rest.bytes, '/', rest.size);
        segment = (struct http_slice){rest.bytes, slash ? (size_t)(slash - rest.bytes) : rest.size};
        if (!http_decode_segment(segment, model, size) || !model[0])
            return false;
        if (i == 0) /* /v1/predict/MODEL and nothing behind it */
            return !slash || rest.size == segment.size + 1;
        if (slash && rest.size - segment.size > 10 && memcmp(slash, "/versions/", 10) == 0) {
            rest = (struct http_slice){slash + 10, rest.size - segment.size - 10};
            slash = memchr(rest.bytes, '/', rest.size);
            segment = (struct http_slice){rest.bytes, slash ? (size_t)(slash - rest.bytes) : rest.size};
            if (!http_decode_segment(segment, tag, size))
                return false;
        }
        return true;
    }
    return false;
}

static bool begins_with(struct http_slice text, const char *beginning)
{
    size_t size = strlen(beginning);

    return text.size > size && memcmp(text.bytes, beginning, size) == 0;
}

enum request_kind request_kind_of(const struct http_head *head)
{
    const struct http_slice path = head->path;

    if (!http_slice_is(head->method, "POST"))
        return REQUEST_OTHER;
    if (begins_with(path, "/v1/predict/"))
        return REQUEST_PREDICTION;
    return begins_with(path, "/v2/models/") && memcmp(path.bytes + path.size - 6, "/infer", 6) == 0 ? REQUEST_INFERENCE
                                                                                                    : REQUEST_OTHER;
}

/* A version of other people's may take more below its model than we know, so there its own 405 says. */
const char *request_allowed(struct http_slice path)
{
    static const char infer[] = "/infer";
    const size_t end = strlen(infer);

    if (begins_with(path, "/v1/") || http_slice_is(path, "/v2/repository/index") ||
        (begins_with(path, "/v2/models/") && memcmp(path.bytes + path.size - end, infer, end) == 0))
        return "POST";
    return begins_with(path, "/v2/models/") ? "GET, HEAD, POST" : "GET, HEAD";
}

bool request_find_key(const struct route *route, const struct http_head *head, const char *peer, char *key, size_t size)
{
    const struct http_slice *field;
    struct http_slice value;
    const char *colon;

    switch (route->key_source) {
    case ROUTE_KEY_HEADER:
        field = http_find(head, route->key_name);
        return field && field->size > 0 && http_slice_copy(*field, key, size);
    case ROUTE_KEY_COOKIE:
        field = http_find(head, "Cookie");
        return field && http_cookie_get(*field, route->key_name, &value) && value.size > 0 &&
               http_slice_copy(value, key, size);
    case ROUTE_KEY_QUERY:
        return http_query_get(head->query, route->key_name, key, size) && key[0];
    case ROUTE_KEY_ADDRESS:
        colon = strrchr(peer, ':');
        value = (struct http_slice){peer, 0};
        value.size = colon ? (size_t)(colon - value.bytes) : strlen(value.bytes);
        return http_slice_copy(value, key, size);
    }
    return false;
}

const char *request_find_rule(const struct route *route, const struct http_head *head)
{
    const char *tag = NULL;
    int i;

    for (i = 0; i < head->field_count && !tag && route->rule_count > 0; i++) {
        char name[ROUTE_MAX_TEXT + 1];

        if (http_slice_copy(head->fields[i].name, name, sizeof(name)))
            tag = route_match_rule(route, name, head->fields[i].value.bytes, head->fields[i].value.size);
    }
    return tag;
}

bool request_has_dot_segment(struct http_slice path)
{
    size_t i = 0;

    while (i < path.size) {
        size_t dots = 0, start;

        start = ++i; /* behind the slash */
        while (i < path.size && path.bytes[i] != '/') {
            if (path.bytes[i] == '.')
                dots++, i++;
            else if (path.bytes[i] == '%' && path.size - i >= 3 && strncasecmp(path.bytes + i, "%2e", 3) == 0)
                dots++, i += 3;
            else
                dots = 3, i++;
        }
        if (i > start && (dots == 1 || dots == 2))
            return true;
    }
    return false;
}
