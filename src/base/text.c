/*
 * text.c - edit distance, numbers, UTF-8, hexadecimal digits.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The distance is "optimal string alignment" (Damerau's four edits, no substring edited twice), by the usual table of
 * which three rows are kept.
 */
#include "base/text.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t text_distance(const char *a, const char *b)
{
    size_t rows[3][TEXT_MAX_WORD + 1];
    size_t a_length = strnlen(a, TEXT_MAX_WORD + 1), b_length = strnlen(b, TEXT_MAX_WORD + 1);
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    size_t i, j;

    if (a_length > TEXT_MAX_WORD || b_length > TEXT_MAX_WORD)
        return TEXT_MAX_WORD + 1;
    for (j = 0; j <= b_length; j++)
        row[j] = j;
    for (i = 1; i <= a_length; i++) {
        size_t *free_row = before;

        before = above;
        above = row;
        row = free_row;
        row[0] = i;
        for (j = 1; j <= b_length; j++) {
            row[j] = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smaller(row[j], before[j - 2] + 1);
        }
    }
    return row[b_length];
}

const char *text_nearest(const char *word, const char *const *candidates, size_t count)
{
    size_t limit = smaller(2, strnlen(word, TEXT_MAX_WORD + 1) / 2), best = limit + 1;
    const char *nearest = NULL;
    size_t i;

    for (i = 0; i < count; i++) {
        size_t distance = text_distance(word, candidates[i]);

        if (distance < best) {
            best = distance;
            nearest = candidates[i];
        }
    }
    return nearest;
}

int text_choice_find(const char *choices, const char *word)
{
    const size_t wanted = strlen(word);
    int number = 0;

    while (*choices) {
        const size_t length = strcspn(choices, "|");

        if (length == wanted && memcmp(choices, word, length) == 0)
            return number;
        choices += length + (choices[length] == '|');
        number++;
    }
    return -1;
}

const char *text_choice(const char *choices, int number, char *text, size_t size)
{
    for (; number > 0 && *choices; number--) {
        choices += strcspn(choices, "|");
        choices += *choices == '|';
    }
    snprintf(text, size, "%.*s", (int)strcspn(choices, "|"), choices);
    return text;
}

bool text_number(const char *text, const char **end, double *ret)
{
    const char *const beyond = text + strspn(text, "0123456789.+-eE");
    char *rest;
    double value = strtod(text, &rest);

    if (rest == text || rest > beyond || !isfinite(value)) /* beyond: what strtod reads besides decimal numbers */
        return false;
    *end = rest;
    *ret = value;
    return true;
}

size_t text_utf8_length(const char *p)
{
    const unsigned char *byte = (const unsigned char *)p;
    uint32_t code;
    size_t length, i;

    if (byte[0] < 0x80)
        return 1;
    if (byte[0] >= 0xc2 && byte[0] <= 0xdf)
        length = 2, code = byte[0] & 0x1fu;
    else if ((byte[0] & 0xf0) == 0xe0)
        length = 3, code = byte[0] & 0x0fu;
    else if (byte[0] >= 0xf0 && byte[0] <= 0xf4)
        length = 4, code = byte[0] & 0x07u;
    else
        return 0;
    for (i = 1; i < length; i++) {
        if ((byte[i] & 0xc0) != 0x80) /* stops at the NUL too */
            return 0;
        code = code << 6 | (byte[i] & 0x3fu);
    }
    if ((length == 3 && (code < 0x800 || (code >= 0xd800 && code <= 0xdfff))) ||
        (length == 4 && (code < 0x10000 || code > 0x10ffff)))
        return 0;
    return length;
}

void text_hex(const void *bytes, size_t size, char *text)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *byte = bytes;
    size_t i;

    for (i = 0; i < size; i++) {
        text[2 * i] = digits[byte[i] >> 4];
        text[2 * i + 1] = digits[byte[i] & 15];
    }
    text[2 * size] = '\0';
}
