/*
 * log_readable.c - from fields to a sentence.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serve/log_readable.h"

#include "base/log_fields.h"

#include <jansson.h>

static const char *text_of(const json_t *fields, const char *name)
{
    const char *text = json_string_value(json_object_get(fields, name));

    return text ? text : "";
}

/* Control characters could move the cursor, or ring. */
static void append_printable(struct buffer *out, const char *text)
{
    for (; *text; text++)
        buffer_append(out, (unsigned char)*text < ' ' || *text == 0x7f ? " " : text, 1);
}

static void write_access(const json_t *fields, struct buffer *out)
{
    const char *method = text_of(fields, LOG_METHOD), *version = text_of(fields, LOG_VERSION),
               *assigned = text_of(fields, LOG_ASSIGNED), *error = text_of(fields, LOG_ERROR);

    append_printable(out, *method ? method : "?");
    buffer_append_text(out, " ");
    append_printable(out, text_of(fields, LOG_PATH));
    buffer_printf(out, " %d in %.1f ms", (int)json_integer_value(json_object_get(fields, LOG_STATUS)),
                  (double)json_integer_value(json_object_get(fields, LOG_DURATION)) / 1e6);
    if (*version) {
        buffer_append_text(out, " by ");
        append_printable(out, version);
    }
    if (strcmp(version, assigned) != 0) {
        buffer_append_text(out, " in the place of ");
        append_printable(out, assigned);
    }
    if (*error) {
        buffer_append_text(out, ": ");
        append_printable(out, error);
    }
}

void log_readable(const char *line, size_t size, struct buffer *out)
{
    json_t *fields = json_loadb(line, size, 0, NULL);
    const char *time = text_of(fields, LOG_TIME);

    if (!json_is_object(fields) || strlen(time) < 24) {
        buffer_append(out, line, size);
    } else {
        buffer_printf(out, "%.12s %-5s ", time + 11, text_of(fields, LOG_LEVEL)); /* of the day, UTC */
        if (json_object_get(fields, LOG_STATUS)) {
            write_access(fields, out);
        } else {
            append_printable(out, text_of(fields, LOG_DOING));
            buffer_append_text(out, ": ");
            append_printable(out, text_of(fields, LOG_MESSAGE));
        }
    }
    buffer_append(out, "\n", 1);
    json_decref(fields);
}
