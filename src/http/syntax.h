/*
 * syntax.h - which bytes may stand where in an HTTP/1.1 head, as one table.  Inside src/http only.  Depends on
 * message.h. SPDX-License-Identifier: Apache-2.0
 */
#ifndef HTTP_SYNTAX_H
#define HTTP_SYNTAX_H

#include "http/message.h"

enum {
    CHAR_TOKEN = 1,  /* RFC 9110, 5.6.2: names of methods and fields */
    CHAR_VALUE = 2,  /* RFC 9110, 5.5: visible, blanks, and obs-text (0x80 and above) */
    CHAR_TARGET = 4, /* visible ASCII without '#', which starts a fragment and is never sent */
    CHAR_HEX = 8,
    CHAR_DIGIT = 16,
    CHAR_HOST = 32,    /* what registered names and IPv4 addresses are made of: letters, digits and "-._~" */
    CHAR_BOUNDARY = 64 /* RFC 2046, 5.1.1: boundaries of multipart bodies */
};

extern const uint8_t http_char_class[256];

static inline bool char_is(char c, int classes)
{
    return (http_char_class[(unsigned char)c] & classes) != 0;
}

static inline char char_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static inline int char_hex(char c) /* of a CHAR_HEX */
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* A literal as a slice. */
#define SLICE(text) ((struct http_slice){(text), sizeof(text) - 1})

static inline const char *slice_end(struct http_slice slice) /* NULL where bytes is, to which C adds not even 0 */
{
    return slice.size ? slice.bytes + slice.size : slice.bytes;
}

static inline bool char_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The first byte of [p, end) that may not stand in a field's value, or end. */
const char *syntax_skip_value(const char *p, const char *end);

/* Whether both are the same but for ASCII letters' case. Inlined: most pairs differ in size. */
static inline bool syntax_equal_name(struct http_slice a, struct http_slice b)
{
    size_t i;

    if (a.size != b.size)
        return false;
    for (i = 0; i < a.size; i++)
        if (a.bytes[i] != b.bytes[i] && char_lower(a.bytes[i]) != char_lower(b.bytes[i]))
            return false;
    return true;
}

/* Cuts the next element off a comma-separated list, without the blanks around it (it may be empty). False at the end.
 */
bool syntax_next_element(struct http_slice *list, struct http_slice *ret);

#endif
