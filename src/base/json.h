/*
 * json.h - writing JSON into a buffer, with numbers as Python writes them.  Depends on buffer.h and text.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Reading JSON is jansson's work (its names begin with json_ too: these are json_begin_, json_end_, json_key,
 * json_write_ and json_put_). Writing is ours because the promise is byte-stable output with Ultralytics' rounding: the
 * shortest text of round(x, decimals), as Python's repr has it. The writer puts the commas; nesting is limited to
 * JSON_MAX_DEPTH, and unbalanced calls are our bugs. RFC 8259.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

#define JSON_MAX_DEPTH 16

struct json_writer {
    struct buffer *out;
    int depth;
    bool first[JSON_MAX_DEPTH];
    bool after_key;
};

void json_init(struct json_writer *writer, struct buffer *out);
void json_begin_object(struct json_writer *writer);
void json_end_object(struct json_writer *writer);
void json_begin_array(struct json_writer *writer);
void json_end_array(struct json_writer *writer);
void json_key(struct json_writer *writer, const char *key);
void json_raw_key(struct json_writer *writer, const char *key); /* a key that is JSON already, as JSON_KEY makes it */
#define JSON_KEY(literal) "\"" literal "\":"
void json_write_string(struct json_writer *writer,
                       const char *text); /* NULL writes null; bytes that are not UTF-8 become U+FFFD */
void json_write_integer(struct json_writer *writer, int64_t value);
void json_write_boolean(struct json_writer *writer, bool value);
void json_write_null(struct json_writer *writer);
void json_write_raw(struct json_writer *writer, const char *json); /* a value that is JSON already */

/* A member of an object: json_key, then the value. */
void json_put_string(struct json_writer *writer, const char *key, const char *text);
void json_put_integer(struct json_writer *writer, const char *key, int64_t value);
void json_put_boolean(struct json_writer *writer, const char *key, bool value);

/* round(value, decimals) as Python's round and repr: half to even on the exact binary value, ".0" kept. NaN and
 * infinities, which JSON lacks, become null. */
void json_write_rounded(struct json_writer *writer, double value, int decimals);

/* The shortest text that reads back as the same double. */
void json_write_number(struct json_writer *writer, double value);

#endif
