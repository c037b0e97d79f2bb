/*
 * head.c - the lines of a head, its fields, and what they say about the body's framing.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One pass where the whole head is there at once, the usual case. Where it arrives in pieces, only the bytes that are
 * new are searched for line ends and only the lines that became complete are judged; when the last line is there all
 * are read once more from the start, since the caller may have moved its buffer in between. Either way the work is
 * linear in the size of the head, and the verdict the same.
 *
 * Lines end with CR LF and nothing else does: RFC 9112, 2.2 lets a recipient take a bare LF, but another one behind us
 * may not. The CR is also the sentinel that stops the inner loops.
 */
#include "http/head.h"

#include "http/syntax.h"

#include <string.h>

const struct http_limits http_default_limits = {
    .max_head_bytes = 16384, .max_target_bytes = 8192, .max_body_bytes = (size_t)32 << 20};

/* Of which field a head may hold one only, or that concern the connection. */
static void note_field(const struct http_field *field, struct head_notes *notes)
{
    static const struct http_slice own[] = {{"Host", 4}, {"Content-Length", 14}, {"Transfer-Encoding", 17}};
    struct http_slice list = field->value, option;
    size_t i;

    switch (field->name.size) {
    case 4:
        if (syntax_equal_name(field->name, SLICE("Host"))) {
            notes->hosts++;
            notes->host = field->value;
        }
        break;
    case 6:
        if (syntax_equal_name(field->name, SLICE("Expect")) && syntax_equal_name(field->value, SLICE("100-continue")))
            notes->expect_continue = true;
        break;
    case 10:
        if (!syntax_equal_name(field->name, SLICE("Connection")))
            break;
        while (syntax_next_element(&list, &option)) {
            notes->close |= syntax_equal_name(option, SLICE("close"));
            notes->keep_alive |= syntax_equal_name(option, SLICE("keep-alive"));
            for (i = 0; i < sizeof(own) / sizeof(own[0]); i++)
                notes->names_own_framing |= syntax_equal_name(option, own[i]);
        }
        break;
    case 14:
        if (syntax_equal_name(field->name, SLICE("Content-Length"))) {
            notes->lengths++;
            notes->length = field->value;
        }
        notes->lookalike |= syntax_equal_name(field->name, SLICE("Content_Length"));
        break;
    case 17:
        if (syntax_equal_name(field->name, SLICE("Transfer-Encoding"))) {
            notes->codings++;
            notes->coding = field->value;
        }
        notes->lookalike |= syntax_equal_name(field->name, SLICE("Transfer_Encoding"));
        break;
    default:
        break;
    }
}

/* line[size] is its CR. NULL, or what is wrong. */
static const char *read_field(const char *line, size_t size, struct http_field *ret)
{
    const char *p = line, *end = line + size, *value;

    while (char_is(*p, CHAR_TOKEN))
        p++;
    if (p == line)
        return char_is_blank(*p) ? "a field line begins with a blank (folded lines are not accepted)"
               : *p == ':'       ? "a field has no name"
                                 : "a field's name begins with a character that no name has";
    if (*p != ':')
        return char_is_blank(*p) ? "a blank stands between a field's name and its colon"
               : p == end        ? "a field line has no colon"
                                 : "a field's name holds a character that no name has";
    ret->name = (struct http_slice){line, (size_t)(p - line)};
    p++;
    while (char_is_blank(*p))
        p++;
    value = p;
    p = syntax_skip_value(p, end);
    if (p != end)
        return *p == '\r' ? "a field's value holds a CR that ends no line"
                          : "a field's value holds a control character";
    while (p > value && char_is_blank(p[-1]))
        p--;
    ret->value = (struct http_slice){value, (size_t)(p - value)};
    return NULL;
}

static enum http_result refuse(int status, const char *why, int *ret_status, const char **ret_why)
{
    *ret_status = status;
    *ret_why = why;
    return HTTP_BAD;
}

enum http_result head_read(const char *bytes, size_t size, size_t start, size_t max_first,
                           const struct http_limits *limits, size_t *scanned, head_first_line *first_line,
                           struct http_head *head, struct head_notes *notes, int *ret_status, const char **ret_why)
{
    size_t end = size < limits->max_head_bytes ? size : limits->max_head_bytes;
    size_t scan = *scanned > start ? *scanned : start, line = start, first_end = start + max_first + 2;
    bool whole = scan == start, line_known = whole;
    const char *lf;

    if (scan <= first_end && end >= first_end && !memchr(bytes + start, '\n', max_first + 2))
        return refuse(414, "the request's target is longer than the limit", ret_status, ret_why);
    head->field_count = 0;
    while (scan < end && (lf = memchr(bytes + scan, '\n', end - scan))) {
        size_t next = (size_t)(lf + 1 - bytes), length;

        if (!line_known) { /* the line that earlier calls saw a part of; looked for once a line, so linear */
            const char *before = memrchr(bytes + start, '\n', scan - start);

            line = before ? (size_t)(before + 1 - bytes) : start;
            line_known = true;
        }
        if (next - line < 2 || lf[-1] != '\r')
            return refuse(400, "a line ends with LF alone", ret_status, ret_why);
        length = next - 2 - line;
        if (line == start) {
            int status = first_line(bytes + line, length, limits, head, notes, ret_why);

            if (status) {
                *ret_status = status;
                return HTTP_BAD;
            }
        } else if (length > 0) {
            /* Too many fields are counted and judged at the end: the last slot takes them. */
            int slot = head->field_count < HTTP_MAX_FIELDS ? head->field_count : HTTP_MAX_FIELDS - 1;
            const char *why = read_field(bytes + line, length, &head->fields[slot]);

            if (why)
                return refuse(400, why, ret_status, ret_why);
            note_field(&head->fields[slot], notes);
            head->field_count++;
        } else if (whole) {
            head->head_bytes = next;
            if (head->field_count > HTTP_MAX_FIELDS)
                return refuse(431, "more fields than the limit", ret_status, ret_why);
            return HTTP_DONE;
        } else { /* all lines are there and were judged alone: now all of them together */
            *notes = (struct head_notes){0};
            head->field_count = 0;
            whole = true;
            next = start;
        }
        scan = line = next;
    }
    if (end == limits->max_head_bytes)
        return refuse(431, "the head is larger than the limit", ret_status, ret_why);
    *scanned = end;
    return HTTP_MORE;
}

/* 1*DIGIT up to 2^63 - 1, written in one way only: no leading zeros. */
static bool read_length(struct http_slice text, uint64_t *ret)
{
    uint64_t value = 0;
    size_t i;

    if (text.size == 0 || text.size > 19 || (text.size > 1 && text.bytes[0] == '0'))
        return false;
    for (i = 0; i < text.size; i++) {
        if (!char_is(text.bytes[i], CHAR_DIGIT))
            return false;
        value = value * 10 + (uint64_t)(text.bytes[i] - '0');
    }
    *ret = value;
    return value <= INT64_MAX;
}

/* Whether the field is a list of codings that RFC 9112, 7 knows, with chunked at its end at most. */
static bool is_known_coding(struct http_slice list)
{
    static const char *const known[] = {"gzip", "x-gzip", "deflate", "compress", "x-compress"};
    struct http_slice coding;
    bool chunked = false;
    size_t i;

    while (syntax_next_element(&list, &coding)) {
        for (i = 0; i < sizeof(known) / sizeof(known[0]) && !http_slice_is_name(coding, known[i]);)
            i++;
        if (chunked)
            return false;
        if (http_slice_is_name(coding, "chunked"))
            chunked = true;
        else if (i == sizeof(known) / sizeof(known[0]))
            return false;
    }
    return true;
}

int head_judge(struct http_head *head, const struct head_notes *notes, const char **ret_why)
{
    const char *why = NULL;
    int status = 400;

    head->framing = HTTP_NO_BODY;
    head->content_length = 0;
    head->keep_alive = !notes->close && (head->minor_version == 1 || notes->keep_alive);
    head->expect_continue = notes->expect_continue && head->minor_version == 1;
    if (notes->lookalike) {
        why = "a field is named like Content-Length or Transfer-Encoding, with '_' for '-'";
    } else if (notes->names_own_framing) {
        why = "Connection names a field that the message cannot do without";
    } else if (notes->lengths && notes->codings) {
        why = "both Content-Length and Transfer-Encoding";
    } else if (notes->lengths > 1) { /* RFC 9110, 8.6 lets a recipient refuse even equal ones */
        why = "more than one Content-Length";
    } else if (notes->codings > 1) {
        why = "more than one Transfer-Encoding";
    } else if (notes->codings && head->minor_version == 0) {
        why = "Transfer-Encoding in HTTP/1.0";
    } else if (notes->codings && !http_slice_is_name(notes->coding, "chunked")) {
        bool known = is_known_coding(notes->coding);

        status = known ? 501 : 400;
        why = known ? "a Transfer-Encoding other than chunked" : "a Transfer-Encoding that is not a known coding";
    } else if (notes->lengths && !read_length(notes->length, &head->content_length)) {
        why = "Content-Length is not a plain number below 2^63";
    } else if (notes->lengths) {
        head->framing = HTTP_LENGTH;
    } else if (notes->codings) {
        head->framing = HTTP_CHUNKED;
    }
    if (!why)
        return 0;
    *ret_why = why;
    return status;
}
