/*
 * json_check.c - RFC 8259's grammar, by recursive descent of bounded depth.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each function takes what it reads off the front of the rest, and is false where that is not there.
 */
#include "base/json_check.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

struct rest {
    const char *at, *end;
    json_check_told *told; /* NULL: nobody is */
    void *user;
    struct json_check_span names[JSON_CHECK_TOLD];
};

static bool read_value(struct rest *rest, int depth);

static bool is_at(const struct rest *rest, char c)
{
    return rest->at < rest->end && *rest->at == c;
}

static bool take(struct rest *rest, char c)
{
    if (!is_at(rest, c))
        return false;
    rest->at++;
    return true;
}

static void skip_blanks(struct rest *rest)
{
    while (rest->at < rest->end && (*rest->at == ' ' || *rest->at == '\n' || *rest->at == '\r' || *rest->at == '\t'))
        rest->at++;
}

static bool read_word(struct rest *rest, const char *word)
{
    size_t size = strlen(word);

    if ((size_t)(rest->end - rest->at) < size || memcmp(rest->at, word, size) != 0)
        return false;
    rest->at += size;
    return true;
}

static bool read_digits(struct rest *rest)
{
    const char *first = rest->at;

    while (rest->at < rest->end && *rest->at >= '0' && *rest->at <= '9')
        rest->at++;
    return rest->at > first;
}

static bool read_number(struct rest *rest)
{
    take(rest, '-');
    if (!take(rest, '0') && !read_digits(rest))
        return false;
    if (take(rest, '.') && !read_digits(rest))
        return false;
    if (!take(rest, 'e') && !take(rest, 'E'))
        return true;
    if (!take(rest, '+'))
        take(rest, '-');
    return read_digits(rest);
}

static bool read_escape(struct rest *rest)
{
    static const char hexadecimal[] = "0123456789abcdefABCDEF";
    char c = rest->at < rest->end ? *rest->at++ : '\0';
    int i;

    if (c != 'u')
        return c != '\0' && strchr("\"\\/bfnrt", c);
    for (i = 0; i < 4; i++, rest->at++)
        if (rest->at == rest->end || !*rest->at || !strchr(hexadecimal, *rest->at))
            return false;
    return true;
}

static bool read_sequence(struct rest *rest)
{
    char text[5] = ""; /* the sequence's reader wants a NUL, which there may not be at the end */
    size_t here = (size_t)(rest->end - rest->at), length;

    memcpy(text, rest->at, here < 4 ? here : 4);
    length = text_utf8_length(text);
    rest->at += length;
    return length > 0;
}

static bool read_string(struct rest *rest)
{
    if (!take(rest, '"'))
        return false;
    while (rest->at < rest->end) {
        unsigned char c = (unsigned char)*rest->at;

        if (c >= 0x80) {
            if (!read_sequence(rest))
                return false;
            continue;
        }
        rest->at++;
        if (c == '"')
            return true;
        if (c < ' ' || (c == '\\' && !read_escape(rest)))
            return false;
    }
    return false;
}

static bool read_element(struct rest *rest, int depth)
{
    if (depth <= JSON_CHECK_TOLD)
        rest->names[depth - 1] = (struct json_check_span){NULL, 0};
    return read_value(rest, depth);
}

static bool read_member(struct rest *rest, int depth)
{
    const char *name = rest->at;

    if (!read_string(rest))
        return false;
    if (depth <= JSON_CHECK_TOLD)
        rest->names[depth - 1] = (struct json_check_span){name, (size_t)(rest->at - name)};
    skip_blanks(rest);
    if (!take(rest, ':'))
        return false;
    skip_blanks(rest);
    return read_value(rest, depth);
}

/* The elements of an array or the members of an object, behind its opening bracket. */
static bool read_list(struct rest *rest, char closing, int depth)
{
    if (depth > JSON_CHECK_DEPTH)
        return false;
    skip_blanks(rest);
    if (take(rest, closing))
        return true;
    do {
        skip_blanks(rest);
        if (closing == '}' ? !read_member(rest, depth) : !read_element(rest, depth))
            return false;
        skip_blanks(rest);
    } while (take(rest, ','));
    return take(rest, closing);
}

static bool read_untold(struct rest *rest, int depth)
{
    switch (rest->at < rest->end ? *rest->at : '\0') {
    case '{':
        rest->at++;
        return read_list(rest, '}', depth + 1);
    case '[':
        rest->at++;
        return read_list(rest, ']', depth + 1);
    case '"':
        return read_string(rest);
    case 't':
        return read_word(rest, "true");
    case 'f':
        return read_word(rest, "false");
    case 'n':
        return read_word(rest, "null");
    default:
        return read_number(rest);
    }
}

static bool read_value(struct rest *rest, int depth) /* NOLINT(misc-no-recursion): as deep as JSON_CHECK_DEPTH */
{
    struct json_check_value value = {depth, rest->names, {rest->at, 0}};

    if (!read_untold(rest, depth))
        return false;
    if (depth > JSON_CHECK_TOLD || !rest->told)
        return true;
    value.text.size = (size_t)(rest->at - value.text.bytes);
    return rest->told(rest->user, &value);
}

bool json_check_shape(const void *bytes, size_t size, json_check_told *told, void *user)
{
    struct rest rest = {.at = bytes, .end = (const char *)bytes + size, .told = told, .user = user};

    skip_blanks(&rest);
    if ((!is_at(&rest, '{') && !is_at(&rest, '[')) || !read_value(&rest, 0))
        return false;
    skip_blanks(&rest);
    return rest.at == rest.end;
}

bool json_check(const void *bytes, size_t size)
{
    return json_check_shape(bytes, size, NULL, NULL);
}

/* The character behind a backslash that the reader has taken; 0 for one beyond ASCII. */
static char unescape(const char **p)
{
    static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
    char c = *(*p)++, digits[5] = "";
    const char *letter;
    unsigned long code;

    if (c == 'u') {
        memcpy(digits, *p, 4);
        *p += 4;
        code = strtoul(digits, NULL, 16);
        return code < 0x80 ? (char)code : '\0';
    }
    letter = strchr(letters, c);
    return letter ? meant[letter - letters] : c;
}

bool json_check_reads(struct json_check_span span, const char *word)
{
    const char *p, *end;

    if (span.size < 2 || span.bytes[0] != '"')
        return false;
    for (p = span.bytes + 1, end = span.bytes + span.size - 1; p < end;) {
        char c = *p++;

        if (c == '\\')
            c = unescape(&p);
        if (c == '\0' || c != *word++)
            return false;
    }
    return *word == '\0';
}
