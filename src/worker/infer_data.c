/*
 * infer_data.c - the data of inference requests: found in the JSON, and read as numbers, base64 or elements.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "worker/infer.h"

#include "base/half.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH  32
#define DATA_DEPTH 3 /* {"inputs":[{"data": */

/* ---- finding the data ---- */

struct scanner {
    const char *json;
    size_t size, at;
    int depth;
    char open[MAX_DEPTH + 1]; /* [1..depth]: '{' or '[' */
    struct infer_slice key[MAX_DEPTH + 1];
    bool key_next; /* within an object: a string here is a key */
};

/* Moves behind the string that begins at the present place. */
static bool skip_string(struct scanner *scanner, struct infer_slice *ret)
{
    size_t start = ++scanner->at;

    for (; scanner->at < scanner->size; scanner->at++) {
        char c = scanner->json[scanner->at];

        if (c == '\\') {
            scanner->at++;
        } else if (c == '"') {
            *ret = (struct infer_slice){(const uint8_t *)scanner->json + start, scanner->at - start};
            scanner->at++;
            return true;
        }
    }
    return false;
}

static bool slice_is(struct infer_slice slice, const char *text)
{
    return slice.size == strlen(text) && memcmp(slice.bytes, text, slice.size) == 0;
}

static bool at_data(const struct scanner *scanner)
{
    return scanner->depth == DATA_DEPTH && !scanner->key_next && scanner->json[scanner->at] == '[' &&
           scanner->open[1] == '{' && scanner->open[2] == '[' && scanner->open[3] == '{' &&
           slice_is(scanner->key[1], "inputs") && slice_is(scanner->key[3], "data");
}

/* Behind the array at the present place. */
static bool skip_array(struct scanner *scanner)
{
    struct infer_slice text;
    int depth = 0;

    while (scanner->at < scanner->size) {
        char c = scanner->json[scanner->at];

        if (c == '"') {
            if (!skip_string(scanner, &text))
                return false;
            continue;
        }
        scanner->at++;
        depth += (c == '[') - (c == ']');
        if (depth == 0)
            return true;
    }
    return false;
}

static bool scan_one(struct scanner *scanner)
{
    char c = scanner->json[scanner->at];
    struct infer_slice text;

    switch (c) {
    case '"':
        if (!skip_string(scanner, &text))
            return false;
        if (scanner->key_next)
            scanner->key[scanner->depth] = text;
        return true;
    case '{':
    case '[':
        if (scanner->depth == MAX_DEPTH)
            return false;
        scanner->open[++scanner->depth] = c;
        scanner->key[scanner->depth] = (struct infer_slice){0};
        scanner->key_next = c == '{';
        break;
    case '}':
    case ']':
        if (scanner->depth == 0 || (scanner->open[scanner->depth] == '{') != (c == '}'))
            return false;
        scanner->depth--;
        scanner->key_next = false;
        break;
    case ':':
        scanner->key_next = false;
        break;
    case ',':
        scanner->key_next = scanner->depth > 0 && scanner->open[scanner->depth] == '{';
        break;
    default:
        break; /* jansson judges the rest */
    }
    scanner->at++;
    return true;
}

enum serin_errc infer_cut_data(const char *json, size_t size, struct buffer *out, struct infer_slice *ret,
                               struct serin_error *error)
{
    struct scanner scanner = {.json = json, .size = size};
    struct infer_slice found = {0};
    size_t copied = 0;

    while (scanner.at < size) {
        size_t start = scanner.at;

        if (at_data(&scanner)) {
            if (found.bytes)
                return error_set(error, SERIN_INVALID, "more than one input has data: the model has one input");
            if (!skip_array(&scanner))
                break;
            found = (struct infer_slice){(const uint8_t *)json + start, scanner.at - start};
            buffer_append(out, json + copied, start - copied);
            buffer_append_text(out, "null");
            copied = scanner.at;
        } else if (!scan_one(&scanner)) {
            return error_set(error, SERIN_INVALID, "the request's JSON is damaged at byte %zu", start);
        }
    }
    if (scanner.depth != 0)
        return error_set(error, SERIN_INVALID, "the request's JSON ends too early, after %zu bytes", size);
    buffer_append(out, json + copied, size - copied);
    *ret = found;
    return buffer_check(out, "the request's JSON without its data", error);
}

/* ---- numbers ---- */

static bool is_number_byte(uint8_t c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static enum serin_errc store_number(double number, enum tensor_type type, void *values, size_t index,
                                    struct serin_error *error)
{
    if (type == TENSOR_U8) {
        if (!(number >= 0 && number <= 255) || number != floor(number))
            return error_set(error, SERIN_INVALID, "data: value %zu is %g, a UINT8 is a whole number from 0 to 255",
                             index, number);
        ((uint8_t *)values)[index] = (uint8_t)number;
        return SERIN_OK;
    }
    if (!(fabs(number) <= 3.4028235e38))
        return error_set(error, SERIN_INVALID, "data: value %zu is %g, which is no FP32", index, number);
    ((float *)values)[index] = (float)number;
    return SERIN_OK;
}

enum serin_errc infer_read_numbers(struct infer_slice data, enum tensor_type type, void *values, size_t count,
                                   struct serin_error *error)
{
    size_t read = 0, i = 0;
    bool value_next = true; /* no two values without a comma, no two commas without a value */
    int depth = 0;
    enum serin_errc rc;

    BUG_ON(data.size == 0 || is_number_byte(data.bytes[data.size - 1]));
    if (type != TENSOR_F32 && type != TENSOR_U8)
        return error_set(error, SERIN_INVALID, "data: %s has no form in JSON, send it as binary_data",
                         infer_datatype(type));
    while (i < data.size) {
        uint8_t c = data.bytes[i];
        size_t length;
        char *end;
        double number;

        if (is_number_byte(c) && value_next && depth > 0) {
            if (read == count)
                return error_set(error, SERIN_INVALID, "data: more than the %zu values of the shape", count);
            number = strtod((const char *)data.bytes + i, &end); /* ends within: the last byte is a bracket */
            for (length = 1; is_number_byte(data.bytes[i + length]); length++)
                ;
            if (end != (const char *)data.bytes + i + length) /* "1-2", and what C reads but JSON has not: "0x10" */
                return error_set(error, SERIN_INVALID, "data: value %zu is not a number", read);
            rc = store_number(number, type, values, read, error);
            if (rc != SERIN_OK)
                return rc;
            read++;
            i = (size_t)(end - (const char *)data.bytes);
            value_next = false;
            continue;
        }
        if (c == '[' && value_next && depth < ENGINE_MAX_RANK)
            depth++;
        else if (c == ']' && depth > 0 && !value_next)
            depth--;
        else if (c == ',' && !value_next && depth > 0)
            value_next = true;
        else if (!is_blank(c))
            return error_set(error, SERIN_INVALID, "data: byte %zu does not belong into numbers between brackets", i);
        i++;
    }
    if (read != count || depth != 0)
        return error_set(error, SERIN_INVALID, "data: %zu values, the shape says %zu", read, count);
    return SERIN_OK;
}

/* ---- pictures ---- */

static int base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648, section 4; a JSON string may write its slashes as "\/". False where it is not base64. */
static bool decode_base64(struct infer_slice text, uint8_t *out, size_t *ret_size)
{
    uint32_t bits = 0;
    size_t written = 0, i;
    int have = 0, padding = 0;

    for (i = 0; i < text.size; i++) {
        uint8_t c = text.bytes[i];
        int value;

        if (c == '\\' && i + 1 < text.size && text.bytes[i + 1] == '/')
            continue;
        if (c == '=') {
            padding++;
            continue;
        }
        value = base64_value(c);
        if (value < 0 || padding)
            return false;
        bits = bits << 6 | (uint32_t)value;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[written++] = (uint8_t)(bits >> have);
            bits &= (1u << have) - 1;
        }
    }
    *ret_size = written;
    return have != 6 && bits == 0 && (padding == 0 || padding == have / 2);
}

enum serin_errc infer_read_base64(struct infer_slice data, int count, struct infer_slice *ret, uint8_t **ret_decoded,
                                  struct serin_error *error)
{
    struct scanner scanner = {.json = (const char *)data.bytes, .size = data.size, .at = 1};
    uint8_t *decoded = malloc(data.size / 4 * 3 + 4);
    size_t used = 0, size;
    bool value_next = true;
    int read = 0;

    if (!decoded)
        return error_set(error, SERIN_NOMEM, "no memory for %zu bytes of base64", data.size);
    while (scanner.at + 1 < data.size) {
        uint8_t c = data.bytes[scanner.at];
        struct infer_slice text;

        if (c == '"' && value_next) {
            if (read == count || !skip_string(&scanner, &text) || !decode_base64(text, decoded + used, &size))
                break;
            ret[read++] = (struct infer_slice){decoded + used, size};
            used += size;
            value_next = false;
            continue;
        }
        if (c == ',' && !value_next)
            value_next = true;
        else if (!is_blank(c))
            break;
        scanner.at++;
    }
    if (read != count || value_next || scanner.at + 1 != data.size) {
        free(decoded);
        return error_set(error, SERIN_INVALID, "data: %d strings of base64 were read, the shape says %d", read, count);
    }
    *ret_decoded = decoded;
    return SERIN_OK;
}

enum serin_errc infer_read_elements(struct infer_slice data, int count, struct infer_slice *ret,
                                    struct serin_error *error)
{
    size_t at = 0;
    int i;

    for (i = 0; i < count; i++) {
        uint32_t size;

        if (data.size - at < 4)
            return error_set(error, SERIN_INVALID, "element %d of %d: no room for its length, %zu bytes are left", i,
                             count, data.size - at);
        size = (uint32_t)data.bytes[at] | (uint32_t)data.bytes[at + 1] << 8 | (uint32_t)data.bytes[at + 2] << 16 |
               (uint32_t)data.bytes[at + 3] << 24;
        at += 4;
        if (size > data.size - at)
            return error_set(error, SERIN_INVALID, "element %d of %d says %u bytes, %zu are left", i, count, size,
                             data.size - at);
        ret[i] = (struct infer_slice){data.bytes + at, size};
        at += size;
    }
    if (at != data.size)
        return error_set(error, SERIN_INVALID, "%zu bytes are left behind %d elements", data.size - at, count);
    return SERIN_OK;
}
