/*
 * text.h - small questions about text: is it UTF-8, a number, which known word is it, or was meant; bytes as
 * hexadecimal digits. Depends on nothing. SPDX-License-Identifier: Apache-2.0
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Words longer than this have no neighbours: nobody mistypes them, and the work stays bounded. */
#define TEXT_MAX_WORD 64

/* Edits (a letter more, less or other, two neighbours swapped) that turn a into b; TEXT_MAX_WORD + 1 where either is
 * longer than TEXT_MAX_WORD bytes. */
size_t text_distance(const char *a, const char *b);

/* The candidate that word was probably meant to be: the first of the nearest. NULL where none is near (more than 2
 * edits, or more than half of word's length). The pointer is the candidate's own. */
const char *text_nearest(const char *word, const char *const *candidates, size_t count);

/* Which of the words in choices ("cpu|cuda|auto") word is, from 0; -1: none of them. */
int text_choice_find(const char *choices, const char *word);
/* The word of that number, cut to size, or "" where there is none such. Returns text. */
const char *text_choice(const char *choices, int number, char *text, size_t size);

/* The decimal number that text begins with: a sign, digits with at most one point, an exponent; *end is behind it.
 * False where there is none, or it is beyond a double. Blanks, hexadecimal digits, infinity and NaN are no numbers,
 * though strtod reads them. */
bool text_number(const char *text, const char **end, double *ret);

/* Length in bytes of the valid UTF-8 sequence at p (RFC 3629: no overlong forms, no surrogates), 1..4; 0 where it is
 * not one. p is NUL-terminated; a NUL is a sequence of 1. */
size_t text_utf8_length(const char *p);

/* Writes size bytes as 2 * size lower-case hexadecimal digits and a NUL into text, which has room for them. */
void text_hex(const void *bytes, size_t size, char *text);

#endif
