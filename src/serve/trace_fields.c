/*
 * trace_fields.c - what a collector of traces is shown besides them: the fields of OTEL_EXPORTER_OTLP_HEADERS.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Names and values as in W3C Baggage ("authorization=Bearer%20abc,x-tenant=7"), which is what OpenTelemetry's
 * exporters read (OpenTelemetry Protocol Exporter, "Specifying headers via environment variables"). Values are secrets:
 * there is no option for them, since everybody on a machine sees command lines, and no sentence here has one.
 */
#include "serve/serve.h"
#include "serve/tracer.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FIELDS      16
#define MAX_FIELD_BYTES 4096

static const char *const sources[] = {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"};
/* RFC 9110, 5.6.2 */
static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    return p;
}

static const char *trim(const char *p, const char *end)
{
    while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    return end;
}

/* Whether a field may have it (RFC 9110, 5.5). */
static bool is_value(const char *value, size_t size)
{
    size_t i;

    for (i = 0; i < size; i++)
        if ((unsigned char)value[i] < ' ' || value[i] == 0x7f)
            return false;
    return size > 0;
}

/* "name=value", of which number is told where it is wrong. */
static enum serin_errc read_field(const char *source, int number, const char *p, const char *end,
                                  struct curl_slist **fields, struct serin_error *error)
{
    const char *equals = memchr(p, '=', (size_t)(end - p)), *from;
    char line[MAX_FIELD_BYTES + 2], *value;
    struct curl_slist *longer;
    int size = 0, name_size;
    bool good;

    name_size = equals ? (int)(trim(p, equals) - p) : 0;
    if (name_size == 0 || strspn(p, token) < (size_t)name_size)
        return error_set(error, SERIN_INVALID, "$%s: entry %d does not begin with a header's name and '='", source,
                         number);
    from = skip_blanks(equals + 1, end);
    value = curl_easy_unescape(NULL, from, (int)(end - from), &size);
    if (!value)
        return error_set(error, SERIN_NOMEM, "no memory for the headers of traces");
    good = is_value(value, (size_t)size);
    snprintf(line, sizeof(line), "%.*s: %s", name_size, p, good ? value : "");
    curl_free(value);
    if (!good)
        return error_set(error, SERIN_INVALID, "$%s: the value of '%.*s' is empty, or has a byte that no header has",
                         source, name_size < 60 ? name_size : 60, p);
    longer = curl_slist_append(*fields, line);
    if (!longer)
        return error_set(error, SERIN_NOMEM, "no memory for the headers of traces");
    *fields = longer;
    return SERIN_OK;
}

enum serin_errc trace_fields_read(struct curl_slist **fields, struct serin_error *error)
{
    const char *text = NULL, *source = NULL, *p, *end, *next;
    enum serin_errc rc = SERIN_OK;
    int number = 0;
    size_t i;

    for (i = 0; i < sizeof(sources) / sizeof(sources[0]) && !(text && *text); i++) {
        source = sources[i];
        text = getenv(source);
    }
    if (!text)
        return SERIN_OK;
    if (strlen(text) > MAX_FIELD_BYTES)
        return error_set(error, SERIN_INVALID, "$%s has %zu bytes, the limit is %d", source, strlen(text),
                         MAX_FIELD_BYTES);
    for (p = text; *p && rc == SERIN_OK; p = *next ? next + 1 : next) {
        next = p + strcspn(p, ",");
        end = trim(p, next);
        p = skip_blanks(p, end);
        if (p == end)
            continue;
        if (++number > MAX_FIELDS)
            return error_set(error, SERIN_INVALID, "$%s has more than %d headers, the limit", source, MAX_FIELDS);
        rc = read_field(source, number, p, end, fields, error);
    }
    return rc;
}

enum serin_errc serve_check_traces(const struct serve_options *options, struct serin_error *error)
{
    struct curl_slist *fields = NULL;
    enum serin_errc rc = options->trace_endpoint[0] ? trace_fields_read(&fields, error) : SERIN_OK;

    curl_slist_free_all(fields);
    return rc;
}
