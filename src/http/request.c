/*
 * request.c - heads of requests: the request line, the forms of its target, and Host (RFC 9112, 3).
 * SPDX-License-Identifier: Apache-2.0
 *
 * Stricter than the RFC on purpose: one blank between the parts; versions 1.0 and 1.1 only; an absolute target must
 * name the same authority as Host does (the RFC lets Host be ignored: two servers in a row could then disagree);
 * hosts are made of letters, digits and "-._~", or are an IPv6 address in brackets.
 */
#include "http/head.h"
#include "http/syntax.h"

#include <arpa/inet.h>
#include <string.h>

/* What an absolute target without a path means (RFC 9112, 3.2.1 and 3.2.4). */
static const struct http_slice root = {"/", 1}, asterisk = {"*", 1};

/* uri-host [ ":" port ] */
static bool is_authority(struct http_slice text)
{
    const char *p = text.bytes, *end = text.bytes + text.size;
    unsigned port = 0;

    if (p < end && *p == '[') {
        const char *close = memchr(p, ']', text.size);
        char address[INET6_ADDRSTRLEN];
        struct in6_addr parsed;

        if (!close || !http_slice_copy((struct http_slice){p + 1, (size_t)(close - p - 1)}, address, sizeof(address)) ||
            inet_pton(AF_INET6, address, &parsed) != 1)
            return false;
        p = close + 1;
    } else {
        while (p < end && char_is(*p, CHAR_HOST))
            p++;
        if (p == text.bytes)
            return false;
    }
    if (p == end)
        return true;
    if (*p++ != ':' || p == end || end - p > 5)
        return false;
    for (; p < end; p++) {
        if (!char_is(*p, CHAR_DIGIT))
            return false;
        port = port * 10 + (unsigned)(*p - '0');
    }
    return port <= 65535;
}

/* "http://host:1/a?b" to its authority and "/a?b". NULL, or what is wrong. */
static const char *reduce_absolute(struct http_head *head, struct head_notes *notes)
{
    const char *p = head->target.bytes, *end = p + head->target.size, *authority;
    const char *colon = memchr(p, ':', head->target.size);
    struct http_slice scheme = {p, colon ? (size_t)(colon - p) : 0};

    if (!colon || (!http_slice_is_name(scheme, "http") && !http_slice_is_name(scheme, "https")))
        return "the target is neither a path nor an http URL";
    p = colon + 1;
    if (end - p < 2 || p[0] != '/' || p[1] != '/')
        return "the target is neither a path nor an http URL";
    authority = p += 2;
    while (p < end && *p != '/' && *p != '?')
        p++;
    notes->authority = (struct http_slice){authority, (size_t)(p - authority)};
    if (!is_authority(notes->authority))
        return "the target's host is not a plain host";
    if (p < end && *p == '?') /* "/?..." is not in the buffer */
        return "the target has a query but no path";
    if (p < end)
        head->target = (struct http_slice){p, (size_t)(end - p)};
    else
        head->target = http_slice_is(head->method, "OPTIONS") ? asterisk : root;
    return NULL;
}

static const char *read_target(struct http_head *head, struct head_notes *notes)
{
    const char *why = NULL, *question;
    size_t path;

    if (head->target.bytes[0] != '/' && !http_slice_is(head->target, "*"))
        why = reduce_absolute(head, notes);
    else if (head->target.bytes[0] == '*' && !http_slice_is(head->method, "OPTIONS"))
        why = "the target \"*\" belongs to OPTIONS only";
    if (why)
        return why;
    question = memchr(head->target.bytes, '?', head->target.size);
    path = question ? (size_t)(question - head->target.bytes) : head->target.size;
    head->path = (struct http_slice){head->target.bytes, path};
    head->query = (struct http_slice){head->target.bytes + path, 0};
    if (question)
        head->query = (struct http_slice){question + 1, head->target.size - path - 1};
    return NULL;
}

/* "HTTP/1.1" and nothing behind it: 0, 400 or 505. */
static int read_version(const char *p, const char *end, struct http_head *head, const char **ret_why)
{
    if (end - p != 8 || memcmp(p, "HTTP/", 5) != 0 || !char_is(p[5], CHAR_DIGIT) || p[6] != '.' ||
        !char_is(p[7], CHAR_DIGIT)) {
        *ret_why = "the request line does not end with a version such as HTTP/1.1";
        return 400;
    }
    if (p[5] != '1' || p[7] > '1') {
        *ret_why = "a version other than HTTP/1.0 and HTTP/1.1";
        return 505;
    }
    head->minor_version = p[7] - '0';
    return 0;
}

static int read_request_line(const char *line, size_t size, const struct http_limits *limits, struct http_head *head,
                             struct head_notes *notes, const char **ret_why)
{
    const char *p = line, *end = line + size, *target;
    int status;

    while (char_is(*p, CHAR_TOKEN))
        p++;
    if (p == line || *p != ' ') {
        *ret_why = "the request line does not begin with a method and one blank";
        return 400;
    }
    head->method = (struct http_slice){line, (size_t)(p - line)};
    if (head->method.size > HEAD_MAX_METHOD) { /* RFC 9112, 3 */
        *ret_why = "the method's name is longer than 32 characters";
        return 501;
    }
    target = ++p;
    while (char_is(*p, CHAR_TARGET))
        p++;
    if (p == target || *p != ' ') {
        *ret_why = "the request line has no target, or one with a character that no target has";
        return 400;
    }
    head->target = (struct http_slice){target, (size_t)(p - target)};
    if (head->target.size > limits->max_target_bytes) {
        *ret_why = "the request's target is longer than the limit";
        return 414;
    }
    status = read_version(p + 1, end, head, ret_why);
    if (status)
        return status;
    if (http_slice_is(head->method, "CONNECT")) {
        *ret_why = "CONNECT is not offered";
        return 501;
    }
    *ret_why = read_target(head, notes);
    return *ret_why ? 400 : 0;
}

static const char *judge_host(struct http_head *head, const struct head_notes *notes)
{
    head->host = (struct http_slice){"", 0};
    if (notes->hosts > 1)
        return "more than one Host";
    if (notes->hosts == 0 && head->minor_version == 1)
        return "no Host";
    if (notes->hosts && !is_authority(notes->host))
        return "Host is not a plain host";
    if (notes->hosts)
        head->host = notes->host;
    else if (notes->authority.bytes)
        head->host = notes->authority;
    if (notes->authority.bytes && !syntax_equal_name(head->host, notes->authority))
        return "the target names another host than Host does";
    return NULL;
}

enum http_result http_parse_request(const char *bytes, size_t size, const struct http_limits *limits, size_t *scanned,
                                    struct http_head *ret, int *ret_status, const char **ret_why)
{
    const size_t max_first = HEAD_MAX_METHOD + limits->max_target_bytes + strlen("  HTTP/1.1");
    struct head_notes notes = {0};
    enum http_result result;
    size_t start = 0;

    /* One empty line in front is forgiven: some clients send one behind a body (RFC 9112, 2.2). */
    if (size >= 1 && bytes[0] == '\r') {
        if (size == 1)
            return HTTP_MORE;
        if (bytes[1] == '\n')
            start = 2;
    }
    if (size == start)
        return HTTP_MORE;
    if (!char_is(bytes[start], CHAR_TOKEN)) { /* said at once: a TLS client here would wait for us, and we for it */
        *ret_status = 400;
        *ret_why = "this is not an HTTP request";
        return HTTP_BAD;
    }
    result =
        head_read(bytes, size, start, max_first, limits, scanned, read_request_line, ret, &notes, ret_status, ret_why);
    if (result != HTTP_DONE)
        return result;
    ret->status = 0;
    *ret_status = 400;
    *ret_why = judge_host(ret, &notes);
    if (*ret_why)
        return HTTP_BAD;
    *ret_status = head_judge(ret, &notes, ret_why);
    return *ret_status ? HTTP_BAD : HTTP_DONE;
}
