/*
 * protobuf_write.h - appends fields of a protobuf message to a buffer.  Depends on protobuf.h, base/buffer.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A message within a message is written to a buffer of its own first, since its length stands before it. Source:
 * "Encoding", protobuf.dev.
 */
#ifndef ENGINE_PROTOBUF_WRITE_H
#define ENGINE_PROTOBUF_WRITE_H

#include "base/buffer.h"
#include "engine/protobuf.h"

static inline void put_varint(struct buffer *buffer, uint64_t value)
{
    uint8_t bytes[10];
    size_t size = 0;

    do {
        bytes[size] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        value >>= 7;
        size++;
    } while (value);
    buffer_append(buffer, bytes, size);
}

static inline void put_integer(struct buffer *buffer, uint32_t field, uint64_t value)
{
    put_varint(buffer, (uint64_t)field << 3 | WIRE_VARINT);
    put_varint(buffer, value);
}

static inline void put_bytes(struct buffer *buffer, uint32_t field, const void *bytes, size_t size)
{
    put_varint(buffer, (uint64_t)field << 3 | WIRE_BYTES);
    put_varint(buffer, size);
    buffer_append(buffer, bytes, size);
}

static inline void put_text(struct buffer *buffer, uint32_t field, const char *text)
{
    put_bytes(buffer, field, text, strlen(text));
}

#endif
