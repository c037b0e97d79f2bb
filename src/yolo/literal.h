/*
 * literal.h - reads the Python literals in which Ultralytics writes its metadata.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Numbers, strings, True, False, None, lists, tuples and dicts, as repr() prints them (Python language reference,
 * "Lexical analysis", 2.4 and "Displays", 6.2), and JSON's true, false and null too. Nothing is evaluated. Depth, count
 * and bytes are limited, since the text comes from an uploaded model.
 */
#ifndef YOLO_LITERAL_H
#define YOLO_LITERAL_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LITERAL_MAX_DEPTH  8
#define LITERAL_MAX_VALUES 262144 /* a dict of YOLO_MAX_CLASSES names, and room */
#define LITERAL_MAX_BYTES  (1u << 20)

enum literal_kind { LITERAL_NONE, LITERAL_BOOL, LITERAL_INT, LITERAL_FLOAT, LITERAL_TEXT, LITERAL_LIST, LITERAL_DICT };

struct literal {
    enum literal_kind kind;
    union {
        bool boolean;
        int64_t integer;
        double real;
        char *text;            /* UTF-8, NUL-terminated; a literal with \0 in it is refused */
        struct literal *items; /* LIST: count items; DICT: 2 * count, key and value in turn */
    } as;
    size_t count;
};

/* Parses the whole text (trailing blanks allowed). SERIN_CORRUPT names the byte; SERIN_LIMIT, SERIN_NOMEM. */
MUST_USE enum serin_errc literal_parse(const char *text, struct literal *ret, struct serin_error *error);
void literal_done(struct literal *literal);

/* Makes room for one more element at the end of a list, or one more pair at the end of a dict, zeroed (None): for those
 * who build literals from other text. *ret is valid until the next call on the same literal. SERIN_NOMEM. */
MUST_USE enum serin_errc literal_grow(struct literal *list, struct literal **ret, struct serin_error *error);

/* The value for a text key of a dict, or NULL. */
const struct literal *literal_find(const struct literal *dict, const char *key);

#endif
