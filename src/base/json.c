/*
 * json.c - a streaming JSON writer.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/json.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void json_init(struct json_writer *writer, struct buffer *out)
{
    *writer = (struct json_writer){.out = out, .first[0] = true};
}

static void separate(struct json_writer *writer)
{
    if (writer->after_key)
        writer->after_key = false;
    else if (!writer->first[writer->depth])
        buffer_append(writer->out, ",", 1);
    writer->first[writer->depth] = false;
}

static void begin(struct json_writer *writer, const char *bracket)
{
    BUG_ON(writer->depth + 1 >= JSON_MAX_DEPTH);
    separate(writer);
    buffer_append(writer->out, bracket, 1);
    writer->first[++writer->depth] = true;
}

static void end(struct json_writer *writer, const char *bracket)
{
    BUG_ON(writer->depth == 0 || writer->after_key);
    writer->depth--;
    buffer_append(writer->out, bracket, 1);
}

void json_begin_object(struct json_writer *writer)
{
    begin(writer, "{");
}

void json_end_object(struct json_writer *writer)
{
    end(writer, "}");
}

void json_begin_array(struct json_writer *writer)
{
    begin(writer, "[");
}

void json_end_array(struct json_writer *writer)
{
    end(writer, "]");
}

static bool is_plain(unsigned char c) /* ASCII that stands for itself */
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* Where the plain characters from p on end. Eight at a time while none of them is below a space, a quote, a backslash,
 * DEL or not ASCII: "a byte of the word is zero" after an exclusive or, whose false alarms cost a look at the bytes. */
static const unsigned char *skip_plain(const unsigned char *p, const unsigned char *end)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), high = ones * 0x80;

    while (end - p >= 8) {
        uint64_t word, quotes, backslashes, deletes;

        memcpy(&word, p, 8);
        quotes = word ^ (ones * '"');
        backslashes = word ^ (ones * '\\');
        deletes = word ^ (ones * 0x7f);
        if ((word | (word - ones * ' ') | (quotes - ones) | (backslashes - ones) | (deletes - ones)) & high)
            break;
        p += 8;
    }
    while (p < end && is_plain(*p))
        p++;
    return p;
}

static void write_quoted(struct buffer *out, const char *text)
{
    const size_t size = strlen(text);
    const unsigned char *plain = (const unsigned char *)text, *end = plain + size, *p = skip_plain(plain, end);

    if (p == end) { /* the usual case */
        char *at = buffer_extend(out, size + 2);

        if (at) {
            at[0] = at[size + 1] = '"';
            memcpy(at + 1, plain, size);
        }
        return;
    }
    buffer_append(out, "\"", 1);
    for (;;) {
        size_t length;

        p = skip_plain(p, end);
        length = *p ? text_utf8_length((const char *)p) : 0;
        if (length > 1) {
            p += length;
            continue;
        }
        if (p > plain) /* what needs no escape goes in one piece */
            buffer_append(out, plain, (size_t)(p - plain));
        if (*p == '\0')
            break;
        if (length == 0)
            buffer_append_text(out, "\\ufffd");
        else if (*p == '"' || *p == '\\')
            buffer_printf(out, "\\%c", *p);
        else
            buffer_printf(out, "\\u%04x", *p);
        plain = ++p;
    }
    buffer_append(out, "\"", 1);
}

void json_key(struct json_writer *writer, const char *key)
{
    BUG_ON(writer->after_key);
    separate(writer);
    write_quoted(writer->out, key);
    buffer_append(writer->out, ":", 1);
    writer->after_key = true;
}

void json_raw_key(struct json_writer *writer, const char *key)
{
    BUG_ON(writer->after_key);
    separate(writer);
    buffer_append_text(writer->out, key);
    writer->after_key = true;
}

void json_write_string(struct json_writer *writer, const char *text)
{
    if (!text) {
        json_write_null(writer);
        return;
    }
    separate(writer);
    write_quoted(writer->out, text);
}

void json_write_integer(struct json_writer *writer, int64_t value)
{
    separate(writer);
    if (value < 0)
        buffer_append(writer->out, "-", 1);
    buffer_append_number(writer->out, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void json_write_boolean(struct json_writer *writer, bool value)
{
    separate(writer);
    buffer_append_text(writer->out, value ? "true" : "false");
}

void json_put_string(struct json_writer *writer, const char *key, const char *text)
{
    json_key(writer, key);
    json_write_string(writer, text);
}

void json_put_integer(struct json_writer *writer, const char *key, int64_t value)
{
    json_key(writer, key);
    json_write_integer(writer, value);
}

void json_put_boolean(struct json_writer *writer, const char *key, bool value)
{
    json_key(writer, key);
    json_write_boolean(writer, value);
}

void json_write_null(struct json_writer *writer)
{
    separate(writer);
    buffer_append_text(writer->out, "null");
}

void json_write_raw(struct json_writer *writer, const char *json)
{
    separate(writer);
    buffer_append_text(writer->out, json);
}

/* printf takes the decimal separator from the locale, which belongs to the program that the library is part of: a
 * comma, or a character of several bytes. JSON knows the point only. */
static void put_decimal_point(char *number)
{
    static const char others[] = "+-0123456789e";
    char *separator = number + strspn(number, others), *rest;

    if (!*separator)
        return;
    rest = separator + strcspn(separator, others);
    *separator = '.';
    memmove(separator + 1, rest, strlen(rest) + 1);
}

void json_write_rounded(struct json_writer *writer, double value, int decimals)
{
    char text[400]; /* DBL_MAX has 309 digits before the point */
    size_t length;

    BUG_ON(decimals < 1 || decimals > 17);
    if (!isfinite(value)) {
        json_write_null(writer);
        return;
    }
    separate(writer);
    snprintf(text, sizeof(text), "%.*f", decimals, value);
    put_decimal_point(text);
    length = strlen(text);
    while (text[length - 1] == '0' && text[length - 2] != '.')
        length--;
    buffer_append(writer->out, text, length);
}

void json_write_number(struct json_writer *writer, double value)
{
    char text[32];
    int precision;

    if (!isfinite(value)) {
        json_write_null(writer);
        return;
    }
    separate(writer);
    for (precision = 1; precision <= 17; precision++) {
        snprintf(text, sizeof(text), "%.*g", precision, value);
        if (strtod(text, NULL) == value) /* NOLINT: exactness is the point */
            break;
    }
    put_decimal_point(text);
    buffer_append_text(writer->out, text);
}
