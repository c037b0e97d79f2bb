/*
 * syntax.c - the table of character classes, and the small loops that everything else is made of.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "http/syntax.h"

#include <string.h>

#define IS_DIGIT(c) ((c) >= '0' && (c) <= '9')
#define IS_ALPHA(c) (((c) >= 'A' && (c) <= 'Z') || ((c) >= 'a' && (c) <= 'z'))
#define IS_HEX(c)   (IS_DIGIT(c) || ((c) >= 'A' && (c) <= 'F') || ((c) >= 'a' && (c) <= 'f'))
#define IS_TOKEN(c)                                                                                                    \
    (IS_DIGIT(c) || IS_ALPHA(c) || (c) == '!' || ((c) >= '#' && (c) <= '\'') || (c) == '*' || (c) == '+' ||            \
     (c) == '-' || (c) == '.' || (c) == '^' || (c) == '_' || (c) == '`' || (c) == '|' || (c) == '~')
#define IS_VALUE(c)  ((c) == '\t' || ((c) >= ' ' && (c) != 0x7f))
#define IS_TARGET(c) ((c) > ' ' && (c) < 0x7f && (c) != '#')
#define IS_HOST(c)   (IS_DIGIT(c) || IS_ALPHA(c) || (c) == '-' || (c) == '.' || (c) == '_' || (c) == '~')

#define IS_BOUNDARY(c)                                                                                                 \
    (IS_DIGIT(c) || IS_ALPHA(c) || (c) == ' ' || ((c) >= '\'' && (c) <= ')') || ((c) >= '+' && (c) <= '/') ||          \
     (c) == ':' || (c) == '=' || (c) == '?' || (c) == '_')

#define CLASS(c)                                                                                                       \
    ((IS_TOKEN(c) ? CHAR_TOKEN : 0) | (IS_VALUE(c) ? CHAR_VALUE : 0) | (IS_TARGET(c) ? CHAR_TARGET : 0) |              \
     (IS_HEX(c) ? CHAR_HEX : 0) | (IS_DIGIT(c) ? CHAR_DIGIT : 0) | (IS_HOST(c) ? CHAR_HOST : 0) |                      \
     (IS_BOUNDARY(c) ? CHAR_BOUNDARY : 0))
#define CLASS_4(c)  CLASS(c), CLASS((c) + 1), CLASS((c) + 2), CLASS((c) + 3)
#define CLASS_16(c) CLASS_4(c), CLASS_4((c) + 4), CLASS_4((c) + 8), CLASS_4((c) + 12)
#define CLASS_64(c) CLASS_16(c), CLASS_16((c) + 16), CLASS_16((c) + 32), CLASS_16((c) + 48)

const uint8_t http_char_class[256] = {CLASS_64(0), CLASS_64(64), CLASS_64(128), CLASS_64(192)};

const char *syntax_skip_value(const char *p, const char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones * 0x80;

    /* Eight bytes at a time while none is below a space or is DEL (borrows can only add alarms above a true one). */
    while (end - p >= 8) {
        uint64_t word, deletes;

        memcpy(&word, p, 8);
        deletes = word ^ (ones * 0x7f);
        if ((((word - ones * ' ') & ~word) | ((deletes - ones) & ~deletes)) & high)
            break;
        p += 8;
    }
    while (p < end && char_is(*p, CHAR_VALUE))
        p++;
    return p;
}

bool syntax_next_element(struct http_slice *list, struct http_slice *ret)
{
    const char *start = list->bytes, *comma, *end;

    if (!start)
        return false;
    comma = list->size ? memchr(start, ',', list->size) : NULL;
    end = comma ? comma : start + list->size;
    *list = comma ? (struct http_slice){comma + 1, list->size - (size_t)(comma + 1 - start)} : (struct http_slice){0};
    while (start < end && char_is_blank(*start))
        start++;
    while (end > start && char_is_blank(end[-1]))
        end--;
    *ret = (struct http_slice){start, (size_t)(end - start)};
    return true;
}
