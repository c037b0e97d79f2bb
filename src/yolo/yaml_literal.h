/*
 * yaml_literal.h - reads a YAML document into struct literal.  Depends on literal.h and libyaml.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One document of mappings, sequences and scalars, within the limits of literal.h. Plain scalars mean what YAML 1.2's
 * core schema says (null, true, false, numbers); all else, quoted scalars and YAML 1.1's yes, no, on and off too, is
 * text. Anchors, aliases and tags are refused: no metadata needs them, and aliases are how a small file becomes a huge
 * one.
 */
#ifndef YOLO_YAML_LITERAL_H
#define YOLO_YAML_LITERAL_H

#include "yolo/literal.h"

/* One entry of the document's mapping. */
struct yaml_entry {
    char *key;
    char *text; /* the value as it is written, where it is a scalar; else NULL */
    struct literal value;
    size_t line; /* of the key, from 1 */
};

struct yaml_mapping {
    struct yaml_entry *entries;
    size_t count;
};

#define YAML_MAX_ENTRIES 256

/* Errors name the line: SERIN_CORRUPT, SERIN_UNSUPPORTED, SERIN_LIMIT, SERIN_NOMEM. ret is the caller's. */
MUST_USE enum serin_errc yaml_parse(const char *yaml, size_t size_bytes, struct yaml_mapping *ret,
                                    struct serin_error *error);
void yaml_mapping_done(struct yaml_mapping *mapping);

#endif
