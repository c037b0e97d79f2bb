/*
 * json_check.h - whether bytes are JSON, without keeping any of it.  Depends on text.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * For what is only passed on: a tree of it would cost ten times its bytes in memory, and a caller who only builds one
 * to throw it away would have to refuse large texts.
 */
#ifndef BASE_JSON_CHECK_H
#define BASE_JSON_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#define JSON_CHECK_DEPTH 64 /* deeper texts are refused: tensors nest to 8 or so */
#define JSON_CHECK_TOLD  3  /* the deepest values that are told of */

struct json_check_span { /* of the text, as it stands there: strings with their quotes and escapes */
    const char *bytes;
    size_t size;
};

/* A value that has been read. What it is shows in its first byte: { [ " t f n, a digit or a minus. */
struct json_check_value {
    int depth; /* 0: the whole; 1: its members or elements; ... */
    const struct json_check_span
        *names; /* [depth]: of the members on the way to it; bytes NULL for an array's element */
    struct json_check_span text;
};

/* Told of each value down to JSON_CHECK_TOLD when its end is reached, so of a value after all that it holds. False:
 * that is not what is wanted, and the check ends. */
typedef bool json_check_told(void *user, const struct json_check_value *value);

/* Whether all of bytes is one object or array of RFC 8259, in UTF-8. Linear, allocates nothing, and needs no NUL
 * behind. */
bool json_check(const void *bytes, size_t size);

/* The same, and told has taken all that it was told. */
bool json_check_shape(const void *bytes, size_t size, json_check_told *told, void *user);

/* Whether a span that was told of is a string that reads as word, however it is escaped. What is not ASCII is compared
 * as bytes. */
bool json_check_reads(struct json_check_span span, const char *word);

#endif
