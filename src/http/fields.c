/*
 * fields.c - questions about what a head holds: fields, lists, queries, cookies.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "http/syntax.h"

#include <string.h>

bool http_same_letters(const char *a, const char *b, size_t size)
{
    return syntax_equal_name((struct http_slice){a, size}, (struct http_slice){b, size});
}

bool http_is_one_of(struct http_slice name, const struct http_slice *names, size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (syntax_equal_name(name, names[i]))
            return true;
    return false;
}

const struct http_slice *http_find(const struct http_head *head, const char *name)
{
    const struct http_slice wanted = {name, strlen(name)};
    int i;

    for (i = 0; i < head->field_count; i++)
        if (syntax_equal_name(head->fields[i].name, wanted))
            return &head->fields[i].value;
    return NULL;
}

bool http_slice_copy(struct http_slice slice, char *text, size_t size)
{
    if (slice.size >= size)
        return false;
    if (slice.size)
        memcpy(text, slice.bytes, slice.size);
    text[slice.size] = '\0';
    return true;
}

/* The next byte of a percent-encoded text, or -1 where an escape is bad. */
static int decode_byte(const char **p, const char *end, bool form)
{
    char c = *(*p)++;

    if (c == '+' && form)
        return ' ';
    if (c != '%')
        return (unsigned char)c;
    if (end - *p < 2 || !char_is((*p)[0], CHAR_HEX) || !char_is((*p)[1], CHAR_HEX))
        return -1;
    *p += 2;
    return char_hex((*p)[-2]) << 4 | char_hex((*p)[-1]);
}

static bool decode(struct http_slice in, bool form, char *text, size_t size)
{
    const char *p = in.bytes, *end = slice_end(in);
    size_t used = 0;

    while (p < end) {
        int c = decode_byte(&p, end, form);

        if (c <= 0 || used + 1 >= size)
            return false;
        text[used++] = (char)c;
    }
    if (used >= size)
        return false;
    text[used] = '\0';
    return true;
}

static bool decodes_to(struct http_slice in, const char *name)
{
    const char *p = in.bytes, *end = slice_end(in);

    while (p < end) {
        int c = decode_byte(&p, end, true);

        if (c <= 0 || (unsigned char)*name++ != c) /* the NUL of name equals no c, so that it is not passed */
            return false;
    }
    return *name == '\0';
}

bool http_query_next(struct http_slice *query, struct http_slice *ret_name, struct http_slice *ret_value)
{
    const char *p = query->bytes, *end = slice_end(*query), *next, *stop, *equals;

    if (query->size == 0)
        return false;
    next = memchr(p, '&', query->size);
    stop = next ? next : end;
    equals = memchr(p, '=', (size_t)(stop - p));
    *ret_name = (struct http_slice){p, (size_t)((equals ? equals : stop) - p)};
    *ret_value = equals ? (struct http_slice){equals + 1, (size_t)(stop - equals - 1)} : (struct http_slice){stop, 0};
    p = next ? next + 1 : end;
    *query = (struct http_slice){p, (size_t)(end - p)};
    return true;
}

bool http_query_decode(struct http_slice part, char *text, size_t size)
{
    return decode(part, true, text, size);
}

bool http_query_get(struct http_slice query, const char *name, char *text, size_t size)
{
    struct http_slice parameter, value;

    while (http_query_next(&query, &parameter, &value))
        if (decodes_to(parameter, name))
            return http_query_decode(value, text, size);
    return false;
}

bool http_decode_segment(struct http_slice segment, char *text, size_t size)
{
    return decode(segment, false, text, size);
}

bool http_cookie_get(struct http_slice cookie, const char *name, struct http_slice *ret)
{
    const char *p = cookie.bytes, *end = slice_end(cookie);

    while (p < end) {
        const char *next = memchr(p, ';', (size_t)(end - p)), *stop = next ? next : end, *equals;

        while (p < stop && char_is_blank(*p))
            p++;
        equals = memchr(p, '=', (size_t)(stop - p));
        if (equals && http_slice_is((struct http_slice){p, (size_t)(equals - p)}, name)) {
            while (stop > equals + 1 && char_is_blank(stop[-1]))
                stop--;
            *ret = (struct http_slice){equals + 1, (size_t)(stop - equals - 1)};
            return true;
        }
        p = next ? next + 1 : end;
    }
    return false;
}

bool http_is_hop_by_hop(const struct http_head *head, struct http_slice name)
{
    static const struct http_slice connection = HTTP_NAME("Connection");
    static const struct http_slice always[] = {
        HTTP_NAME("Connection"),
        HTTP_NAME("Keep-Alive"),
        HTTP_NAME("Proxy-Connection"),
        HTTP_NAME("TE"),
        HTTP_NAME("Trailer"),
        HTTP_NAME("Transfer-Encoding"),
        HTTP_NAME("Upgrade"),
        HTTP_NAME("Expect"),
        HTTP_NAME("Proxy-Authenticate"),
        HTTP_NAME("Proxy-Authorization"),
        HTTP_NAME("HTTP2-Settings"),
    };
    int i;

    if (http_is_one_of(name, always, sizeof(always) / sizeof(always[0])))
        return true;
    for (i = 0; i < head->field_count; i++) {
        struct http_slice list = head->fields[i].value, option;

        if (!syntax_equal_name(head->fields[i].name, connection))
            continue;
        while (syntax_next_element(&list, &option))
            if (syntax_equal_name(option, name))
                return true;
    }
    return false;
}
