/*
 * protobuf.c - tags, varints and lengths, each checked against the bytes there are.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Invariant: at <= end <= file size, and every slice lies within its message.
 */
#include "engine/protobuf.h"

#include <string.h>

bool slice_is(struct slice slice, const char *text)
{
    return slice.size == strlen(text) && (slice.size == 0 || memcmp(slice.bytes, text, slice.size) == 0);
}

bool varint_read(const uint8_t *bytes, size_t size, size_t *at, uint64_t *ret)
{
    uint64_t value = 0;
    unsigned shift;

    for (shift = 0; shift < 70 && *at < size; shift += 7) {
        uint8_t byte = bytes[(*at)++];

        if (shift == 63 && byte > 1)
            return false; /* the tenth byte holds bit 63 only, and is the last */
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret = value;
            return true;
        }
    }
    return false;
}

struct message message_open(struct protobuf *file, const struct message_type *type, struct slice slice)
{
    size_t at = (size_t)(slice.bytes - file->bytes);

    BUG_ON(at > file->size || slice.size > file->size - at);
    return (struct message){.file = file, .type = type, .at = at, .end = at + slice.size};
}

static const struct message_field *known_field(const struct message_type *type, uint32_t number)
{
    const struct message_field *field;

    for (field = type->fields; field->number; field++)
        if (field->number == number)
            return field;
    return NULL;
}

/* Reads the payload of the field whose tag has just been read. start: where the tag began. */
static enum serin_errc read_payload(struct message *message, size_t start, struct serin_error *error)
{
    const uint8_t *bytes = message->file->bytes;
    size_t left = message->end - message->at, size = 0;
    uint64_t length = 0;

    message->value = 0;
    message->bytes = (struct slice){0};
    switch ((unsigned)message->wire) {
    case WIRE_VARINT:
        if (!varint_read(bytes, message->end, &message->at, &message->value))
            return error_set(error, SERIN_CORRUPT, "%s: the number of field %u at byte %zu has no end within 64 bits",
                             message->type->name, message->number, start);
        return SERIN_OK;
    case WIRE_BYTES:
        if (!varint_read(bytes, message->end, &message->at, &length))
            return error_set(error, SERIN_CORRUPT, "%s: the length of field %u at byte %zu has no end within 64 bits",
                             message->type->name, message->number, start);
        left = message->end - message->at;
        if (length > left)
            return error_set(error, SERIN_CORRUPT, "%s: field %u at byte %zu says %llu bytes, but only %zu are left",
                             message->type->name, message->number, start, (unsigned long long)length, left);
        size = (size_t)length;
        break;
    case WIRE_FIXED32:
    case WIRE_FIXED64:
        size = message->wire == WIRE_FIXED32 ? 4 : 8;
        if (size > left)
            return error_set(error, SERIN_CORRUPT, "%s: field %u at byte %zu needs %zu bytes, but only %zu are left",
                             message->type->name, message->number, start, size, left);
        break;
    default:
        return error_set(error, SERIN_CORRUPT, "%s: field %u at byte %zu has the wire type %d, which ONNX never uses",
                         message->type->name, message->number, start, (int)message->wire);
    }
    message->bytes = (struct slice){bytes + message->at, size};
    if (message->wire != WIRE_BYTES) {
        size_t i;

        for (i = size; i-- > 0;)
            message->value = message->value << 8 | message->bytes.bytes[i];
    }
    message->at += size;
    return SERIN_OK;
}

enum serin_errc message_next(struct message *message, bool *ret, struct serin_error *error)
{
    const struct message_field *field;
    size_t start = message->at;
    enum serin_errc rc;
    uint64_t tag = 0;

    if (message->at == message->end) {
        *ret = false;
        return SERIN_OK;
    }
    if (message->file->fields_left == 0)
        return error_set(error, SERIN_LIMIT, "more protobuf fields than the limit, at byte %zu", start);
    message->file->fields_left--;
    if (!varint_read(message->file->bytes, message->end, &message->at, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
        return error_set(error, SERIN_CORRUPT, "%s: byte %zu begins no protobuf field", message->type->name, start);
    message->number = (uint32_t)(tag >> 3);
    message->wire = (enum wire_type)(tag & 7);
    rc = read_payload(message, start, error);
    if (rc)
        return rc;
    field = known_field(message->type, message->number);
    if (field && !(field->wires & WIRE_BIT(message->wire)))
        return error_set(error, SERIN_CORRUPT, "%s: '%s' at byte %zu has the wrong wire type %d", message->type->name,
                         field->name, start, (int)message->wire);
    if (field && !field->repeated) {
        if (message->seen >> field->number & 1)
            return error_set(error, SERIN_CORRUPT, "%s: a second '%s' at byte %zu", message->type->name, field->name,
                             start);
        message->seen |= (uint64_t)1 << field->number;
    }
    *ret = true;
    return SERIN_OK;
}
