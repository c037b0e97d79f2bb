/*
 * protobuf.h - steps through one protobuf message in place, trusting nothing.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Copies nothing and allocates nothing. A message is described by a table of the fields that the reader knows, so that
 * a known field of the wrong wire type, or a single one that comes twice (other readers would merge the two), is
 * refused in one place. Unknown fields are skipped; groups are refused. Source: "Encoding", protobuf.dev.
 */
#ifndef ENGINE_PROTOBUF_H
#define ENGINE_PROTOBUF_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

#define WIRE_BIT(wire) (1u << (wire))

/* A piece of the file, zero-copy. */
struct slice {
    const uint8_t *bytes;
    size_t size;
};

bool slice_is(struct slice slice, const char *text);

struct message_field {
    uint32_t number; /* 1..63 */
    const char *name;
    uint8_t wires; /* WIRE_BIT of those allowed: numbers that repeat may be packed or not */
    bool repeated;
};

struct message_type {
    const char *name;
    const struct message_field *fields; /* ends with number 0 */
};

/* The whole file, and a budget for all the messages in it together. */
struct protobuf {
    const uint8_t *bytes;
    size_t size;
    uint64_t fields_left; /* so that a file of nothing but tiny fields ends soon */
};

/* A place in a message. */
struct message {
    struct protobuf *file;
    const struct message_type *type;
    size_t at, end; /* bytes of the file */
    uint64_t seen;  /* bit: a known single field of that number was there */
    /* The field read last: */
    uint32_t number;
    enum wire_type wire;
    uint64_t value;     /* of VARINT, FIXED32 and FIXED64 */
    struct slice bytes; /* of WIRE_BYTES; of the fixed ones, their own 4 or 8 */
};

/* Starts on a slice of the file. */
struct message message_open(struct protobuf *file, const struct message_type *type, struct slice slice);

/* Reads the next field into message; *ret is false at the end. SERIN_CORRUPT (what, at which byte), SERIN_LIMIT. */
MUST_USE enum serin_errc message_next(struct message *message, bool *ret, struct serin_error *error);

/* Reads one varint from *at. False where it is cut off or does not fit 64 bits. */
bool varint_read(const uint8_t *bytes, size_t size, size_t *at, uint64_t *ret);

#endif
