/*
 * multipart.c - cuts a multipart/form-data body into its parts, in one pass and without a copy.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A delimiter is CR LF "--" boundary (the CR LF belongs to it, not to the data; at the body's start it may be missing),
 * then "--" for the last one, then blanks and CR LF. RFC 2046 calls a line a delimiter as soon as it begins like one;
 * others want the whole line. Where the two differ (a boundary that another one begins with) the body is refused. What
 * stands before the first delimiter and behind the last one is ignored, as RFC 2046 says.
 */
#include "http/multipart.h"

#include "http/syntax.h"

#include <string.h>

#define MAX_BOUNDARY_BYTES    70 /* RFC 2046, 5.1.1 */
#define MAX_PART_HEAD_BYTES   8192
#define MAX_PART_HEAD_FIELDS  16
#define DELIMITER_PREFIX      "\r\n--"
#define DELIMITER_PREFIX_SIZE 4

struct delimiter {
    char bytes[DELIMITER_PREFIX_SIZE + MAX_BOUNDARY_BYTES];
    size_t size;
};

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && char_is_blank(*p))
        p++;
    return p;
}

/* One "; name=value" at *p, whose value is a token or a quoted string. A backslash keeps the next byte from ending the
 * string and stays where it is, since slices cannot hold what was not sent. False where there is none or it is bad:
 * then *p is not the end. */
static bool next_parameter(const char **p, const char *end, struct http_slice *name, struct http_slice *value)
{
    const char *q = skip_blanks(*p, end), *start;

    if (q == end) {
        *p = end;
        return false;
    }
    if (*q != ';')
        return false;
    start = q = skip_blanks(q + 1, end);
    while (q < end && char_is(*q, CHAR_TOKEN))
        q++;
    *name = (struct http_slice){start, (size_t)(q - start)};
    if (name->size == 0 || q == end || *q != '=')
        return false;
    start = ++q;
    if (q < end && *q == '"') {
        start = ++q;
        while (q < end && *q != '"')
            q += *q == '\\' && end - q > 1 ? 2 : 1;
        if (q >= end)
            return false;
        *value = (struct http_slice){start, (size_t)(q - start)};
        *p = q + 1;
        return true;
    }
    while (q < end && char_is(*q, CHAR_TOKEN))
        q++;
    if (q == start)
        return false;
    *value = (struct http_slice){start, (size_t)(q - start)};
    *p = q;
    return true;
}

/* bchars of RFC 2046, 5.1.1 */
static bool is_boundary(struct http_slice text)
{
    size_t i;

    if (text.size == 0 || text.size > MAX_BOUNDARY_BYTES || text.bytes[text.size - 1] == ' ')
        return false;
    for (i = 0; i < text.size; i++)
        if (!char_is(text.bytes[i], CHAR_BOUNDARY))
            return false;
    return true;
}

static enum serin_errc read_boundary(struct http_slice type, struct delimiter *ret, struct serin_error *error)
{
    const char *p = type.bytes, *end = slice_end(type);
    struct http_slice name, value, boundary = {NULL, 0};

    while (p < end && *p != ';' && !char_is_blank(*p))
        p++;
    if (!http_slice_is_name((struct http_slice){type.bytes, (size_t)(p - type.bytes)}, "multipart/form-data"))
        return error_set(error, SERIN_INVALID, "the body is \"%.*s\", not multipart/form-data",
                         (int)(type.size < 100 ? type.size : 100), type.size ? type.bytes : "");
    while (next_parameter(&p, end, &name, &value)) {
        if (!http_slice_is_name(name, "boundary"))
            continue;
        if (boundary.bytes)
            return error_set(error, SERIN_INVALID, "multipart/form-data with more than one boundary");
        boundary = value;
    }
    if (p != end)
        return error_set(error, SERIN_INVALID, "multipart/form-data with a bad parameter in its Content-Type");
    if (!boundary.bytes)
        return error_set(error, SERIN_INVALID, "multipart/form-data without a boundary");
    if (!is_boundary(boundary))
        return error_set(error, SERIN_INVALID,
                         "multipart/form-data whose boundary is not 1 to %d characters of those that RFC 2046 allows",
                         MAX_BOUNDARY_BYTES);
    memcpy(ret->bytes, DELIMITER_PREFIX, DELIMITER_PREFIX_SIZE);
    memcpy(ret->bytes + DELIMITER_PREFIX_SIZE, boundary.bytes, boundary.size);
    ret->size = DELIMITER_PREFIX_SIZE + boundary.size;
    return SERIN_OK;
}

/* NULL, or what is wrong. */
static const char *read_disposition(struct http_slice text, struct multipart_part *part)
{
    const char *p = text.bytes, *end = slice_end(text);
    struct http_slice name, value, extended = {NULL, 0};

    while (p < end && *p != ';' && !char_is_blank(*p))
        p++;
    if (!http_slice_is_name((struct http_slice){text.bytes, (size_t)(p - text.bytes)}, "form-data"))
        return "its Content-Disposition is not form-data";
    while (next_parameter(&p, end, &name, &value)) {
        bool is_name = http_slice_is_name(name, "name"), is_filename = http_slice_is_name(name, "filename");

        if ((is_name && part->name.bytes) || (is_filename && part->filename.bytes))
            return "its Content-Disposition has a parameter twice";
        if (is_name)
            part->name = value;
        else if (is_filename)
            part->filename = value;
        else if (http_slice_is_name(name, "filename*"))
            extended = value;
    }
    if (p != end)
        return "its Content-Disposition has a bad parameter";
    if (!part->name.bytes)
        return "it has no name";
    if (!part->filename.bytes && extended.bytes) { /* RFC 8187: charset'language'percent-encoded */
        const char *quote = memchr(extended.bytes, '\'', extended.size), *stop = slice_end(extended);

        quote = quote ? memchr(quote + 1, '\'', (size_t)(stop - quote - 1)) : NULL;
        if (!quote)
            return "its Content-Disposition has a bad parameter";
        part->filename = (struct http_slice){quote + 1, (size_t)(stop - quote - 1)};
    }
    return NULL;
}

static const char *read_field(struct http_slice name, struct http_slice value, struct multipart_part *part)
{
    if (http_slice_is_name(name, "Content-Disposition"))
        return part->name.bytes ? "it has Content-Disposition twice" : read_disposition(value, part);
    if (http_slice_is_name(name, "Content-Type")) {
        if (part->content_type.bytes)
            return "it has Content-Type twice";
        part->content_type = value;
    }
    if (http_slice_is_name(name, "Content-Transfer-Encoding") && !http_slice_is_name(value, "binary") &&
        !http_slice_is_name(value, "8bit") && !http_slice_is_name(value, "7bit"))
        return "its Content-Transfer-Encoding is neither binary nor 8bit nor 7bit"; /* RFC 7578, 4.7 */
    return NULL;
}

/* The fields of a part from *p on; moves *p behind the empty line. NULL, or what is wrong. */
static const char *read_part_head(const char **p, const char *end, struct multipart_part *part)
{
    const char *start = *p, *limit = end - start > MAX_PART_HEAD_BYTES ? start + MAX_PART_HEAD_BYTES : end;
    int fields = 0;

    for (;;) {
        const char *line = *p, *lf = line < limit ? memchr(line, '\n', (size_t)(limit - line)) : NULL, *q, *stop;
        const char *value, *why;

        if (!lf)
            return limit < end ? "its fields are larger than 8192 bytes" : "it ends within its fields";
        if (lf == line || lf[-1] != '\r')
            return "a line of its fields ends with LF alone";
        *p = lf + 1;
        stop = lf - 1;
        if (stop == line)
            return part->name.bytes ? NULL : "it has no Content-Disposition";
        if (++fields > MAX_PART_HEAD_FIELDS)
            return "it has more than 16 fields";
        for (q = line; char_is(*q, CHAR_TOKEN);) /* stops at the CR at the latest */
            q++;
        if (q == line || *q != ':')
            return "a line of its fields is not a field";
        value = skip_blanks(q + 1, stop);
        if (syntax_skip_value(value, stop) != stop)
            return "a field of it holds a control character";
        while (stop > value && char_is_blank(stop[-1]))
            stop--;
        why = read_field((struct http_slice){line, (size_t)(q - line)},
                         (struct http_slice){value, (size_t)(stop - value)}, part);
        if (why)
            return why;
    }
}

/* What stands behind a delimiter at *p. NULL and *ret_last, or what is wrong. */
static const char *end_delimiter(const char **p, const char *end, bool *ret_last)
{
    const char *q = *p;

    *ret_last = end - q >= 2 && q[0] == '-' && q[1] == '-';
    q = skip_blanks(*ret_last ? q + 2 : q, end);
    if (*ret_last && q == end)
        return NULL;
    if (end - q < 2 || q[0] != '\r' || q[1] != '\n')
        return "a line begins with the boundary but goes on behind it";
    *p = q + 2;
    return NULL;
}

enum serin_errc multipart_parse(struct http_slice content_type, const void *body, size_t size,
                                struct multipart_part *parts, int *ret_count, struct serin_error *error)
{
    const char *start = size ? body : "", *end = start + size, *p, *why;
    struct delimiter delimiter;
    enum serin_errc rc = read_boundary(content_type, &delimiter, error);
    bool last = false;
    int count = 0;

    if (rc != SERIN_OK)
        return rc;
    /* The first delimiter may lack its CR LF. */
    if (size >= delimiter.size - 2 && memcmp(start, delimiter.bytes + 2, delimiter.size - 2) == 0) {
        p = start + delimiter.size - 2;
    } else {
        p = size ? memmem(start, size, delimiter.bytes, delimiter.size) : NULL;
        if (!p)
            return error_set(error, SERIN_CORRUPT, "a multipart body of %zu bytes without its boundary", size);
        p += delimiter.size;
    }
    while (!(why = end_delimiter(&p, end, &last)) && !last) {
        struct multipart_part part = {{NULL, 0}, {NULL, 0}, {NULL, 0}, {NULL, 0}};
        const char *next;

        if (count == MULTIPART_MAX_PARTS)
            return error_set(error, SERIN_LIMIT, "a multipart body has more than %d parts", MULTIPART_MAX_PARTS);
        why = read_part_head(&p, end, &part);
        if (why)
            break;
        /* A part without data may share the CR LF of its empty line with the delimiter. */
        next = memmem(p - 2, (size_t)(end - p) + 2, delimiter.bytes, delimiter.size);
        if (!next) {
            why = "no boundary ends it";
            break;
        }
        part.body = (struct http_slice){p, next > p ? (size_t)(next - p) : 0};
        parts[count++] = part;
        p = next + delimiter.size;
    }
    if (why)
        return error_set(error, SERIN_CORRUPT, "part %d of a multipart body, near byte %zu: %s", count + 1,
                         (size_t)(p - start), why);
    *ret_count = count;
    return SERIN_OK;
}

bool multipart_is_picture(const struct multipart_part *part)
{
    return http_slice_is(part->name, "file") || http_slice_is(part->name, "image") ||
           http_slice_is(part->name, "files") || http_slice_is(part->name, "images");
}
