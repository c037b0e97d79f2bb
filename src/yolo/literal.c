/*
 * literal.c - a recursive descent over Python literals, at most LITERAL_MAX_DEPTH calls deep.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The invariant that makes cleaning up simple: every struct literal that the parser has reached is valid at all times
 * (zeroed is None), so that literal_done on the root frees whatever a failed parse left behind.
 */
#include "yolo/literal.h"

#include "base/text.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LITERAL_MAX_NUMBER 64 /* characters; repr() of a double has at most 24 */

struct parser {
    const char *text; /* NUL-terminated */
    size_t at;        /* byte */
    size_t values;
    int depth;
    locale_t locale; /* "C": a decimal comma of the user's must not change what a model says */
    struct serin_error *error;
};

static enum serin_errc parse_value(struct parser *parser, struct literal *ret);

static void skip_blanks(struct parser *parser)
{
    parser->at += strspn(parser->text + parser->at, " \t\r\n");
}

static enum serin_errc unexpected(const struct parser *parser, const char *wanted)
{
    char c = parser->text[parser->at];

    if (c == '\0')
        return error_set(parser->error, SERIN_CORRUPT, "the text ends at byte %zu where %s was expected", parser->at,
                         wanted);
    if ((unsigned char)c < 0x20 || (unsigned char)c >= 0x7f)
        return error_set(parser->error, SERIN_CORRUPT, "byte %zu is 0x%02x where %s was expected", parser->at,
                         (unsigned)(unsigned char)c, wanted);
    return error_set(parser->error, SERIN_CORRUPT, "byte %zu is '%c' where %s was expected", parser->at, c, wanted);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* How many characters from p look like a number; sets *ret_real where it has a point or an exponent. */
static size_t number_length(const char *p, bool *ret_real)
{
    size_t n = 0;

    *ret_real = false;
    if (p[n] == '+' || p[n] == '-')
        n++;
    while (is_digit(p[n]))
        n++;
    if (p[n] == '.') {
        *ret_real = true;
        n++;
        while (is_digit(p[n]))
            n++;
    }
    if (p[n] == 'e' || p[n] == 'E') {
        *ret_real = true;
        n++;
        if (p[n] == '+' || p[n] == '-')
            n++;
        while (is_digit(p[n]))
            n++;
    }
    return n;
}

static enum serin_errc parse_number(struct parser *parser, struct literal *ret)
{
    const char *start = parser->text + parser->at;
    char digits[LITERAL_MAX_NUMBER + 1], *end;
    bool real;
    size_t length = number_length(start, &real);

    if (length > LITERAL_MAX_NUMBER)
        return error_set(parser->error, SERIN_LIMIT, "the number at byte %zu has %zu characters, the limit is %d",
                         parser->at, length, LITERAL_MAX_NUMBER);
    memcpy(digits, start, length);
    digits[length] = '\0';
    errno = 0;
    if (real) {
        double value = strtod_l(digits, &end, parser->locale);

        if (*end || end == digits)
            return error_set(parser->error, SERIN_CORRUPT, "'%s' at byte %zu is not a number", digits, parser->at);
        if (!isfinite(value))
            return error_set(parser->error, SERIN_LIMIT, "the number %s at byte %zu is beyond a double", digits,
                             parser->at);
        *ret = (struct literal){.kind = LITERAL_FLOAT, .as.real = value};
    } else {
        const char *first = digits + (digits[0] == '+' || digits[0] == '-');
        long long value = strtoll(digits, &end, 10);

        /* As in Python, a leading zero is only for zero itself: 010 would be read in two ways. */
        if (*end || !is_digit(*first) || (*first == '0' && strspn(first, "0") != strlen(first)))
            return error_set(parser->error, SERIN_CORRUPT, "'%s' at byte %zu is not a number", digits, parser->at);
        if (errno == ERANGE)
            return error_set(parser->error, SERIN_LIMIT, "the number %s at byte %zu is beyond 64 bits", digits,
                             parser->at);
        *ret = (struct literal){.kind = LITERAL_INT, .as.integer = value};
    }
    parser->at += length;
    return SERIN_OK;
}

/* ---- words ---- */

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
}

static enum serin_errc parse_word(struct parser *parser, struct literal *ret)
{
    static const struct {
        const char *text;
        struct literal literal;
    } words[] = {
        {"True", {.kind = LITERAL_BOOL, .as.boolean = true}},
        {"true", {.kind = LITERAL_BOOL, .as.boolean = true}},
        {"False", {.kind = LITERAL_BOOL, .as.boolean = false}},
        {"false", {.kind = LITERAL_BOOL, .as.boolean = false}},
        {"None", {.kind = LITERAL_NONE}},
        {"null", {.kind = LITERAL_NONE}},
    };
    const char *start = parser->text + parser->at;
    size_t length = 0, i;

    while (length < 32 && is_word(start[length]))
        length++;
    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strlen(words[i].text) == length && memcmp(words[i].text, start, length) == 0) {
            *ret = words[i].literal;
            parser->at += length;
            return SERIN_OK;
        }
    }
    return error_set(parser->error, SERIN_CORRUPT,
                     "'%.*s' at byte %zu is not a literal (known words: True, False, None; nothing is evaluated)",
                     (int)length, start, parser->at);
}

/* ---- text ---- */

static size_t put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* Reads count hexadecimal digits at the parser's place. */
static bool read_hex(struct parser *parser, int count, uint32_t *ret)
{
    uint32_t code = 0;

    for (; count > 0; count--, parser->at++) {
        char c = parser->text[parser->at];

        if (is_digit(c))
            code = code << 4 | (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            code = code << 4 | (uint32_t)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            code = code << 4 | (uint32_t)(c - 'A' + 10);
        else
            return false;
    }
    *ret = code;
    return true;
}

/* The code point of the escape whose backslash is at the parser's place; moves behind it. Not all of Python's: those
 * that repr() and json.dumps() write. JSON's surrogate pairs (RFC 8259, section 7) are joined; a lone half is refused.
 */
static enum serin_errc parse_escape(struct parser *parser, uint32_t *ret_code)
{
    static const char letters[] = "\\'\"ntrbf", meanings[] = "\\'\"\n\t\r\b\f";
    size_t start = parser->at;
    char kind = parser->text[start + 1];
    uint32_t code = 0, low = 0;
    const char *known = kind ? strchr(letters, kind) : NULL;
    int digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;

    if (!kind)
        return error_set(parser->error, SERIN_CORRUPT, "the text ends at byte %zu, within a string", start + 1);
    parser->at += 2;
    if (known) {
        *ret_code = (unsigned char)meanings[known - letters];
        return SERIN_OK;
    }
    if (digits == 0)
        return error_set(parser->error, SERIN_CORRUPT, "unknown escape '\\%c' at byte %zu",
                         (unsigned char)kind < 0x7f ? kind : '?', start);
    if (!read_hex(parser, digits, &code))
        return error_set(parser->error, SERIN_CORRUPT, "the escape '\\%c' at byte %zu needs %d hexadecimal digits",
                         kind, start, digits);
    if (digits == 4 && code >= 0xd800 && code <= 0xdbff && parser->text[parser->at] == '\\' &&
        parser->text[parser->at + 1] == 'u') {
        parser->at += 2;
        if (read_hex(parser, 4, &low) && low >= 0xdc00 && low <= 0xdfff)
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return error_set(parser->error, SERIN_CORRUPT, "the escape at byte %zu is U+%04X, which text cannot hold",
                         start, (unsigned)code);
    *ret_code = code;
    return SERIN_OK;
}

static enum serin_errc parse_text(struct parser *parser, struct literal *ret)
{
    char quote = parser->text[parser->at];
    size_t start = parser->at, room = 1, used = 0, i;
    enum serin_errc rc;
    char *out;

    /* Where the string ends bounds its size: an escape is never longer than what it stands for. */
    for (i = start + 1; parser->text[i] && parser->text[i] != quote; i++, room++)
        if (parser->text[i] == '\\' && parser->text[i + 1])
            i++, room++;
    if (!parser->text[i])
        return error_set(parser->error, SERIN_CORRUPT, "the string that begins at byte %zu has no end", start);
    out = malloc(room);
    if (!out)
        return error_set(parser->error, SERIN_NOMEM, "no memory for a string of %zu bytes", room);
    *ret = (struct literal){.kind = LITERAL_TEXT, .as.text = out};
    out[0] = '\0';
    parser->at++;
    while (parser->text[parser->at] != quote) {
        const char *p = parser->text + parser->at;

        if (*p == '\\') {
            uint32_t code = 0;

            rc = parse_escape(parser, &code);
            if (rc)
                return rc;
            used += put_utf8(out + used, code);
        } else {
            size_t length = text_utf8_length(p);

            if (length == 0 || ((unsigned char)*p < 0x20 && *p != '\t'))
                return unexpected(parser, "a character of a string");
            memcpy(out + used, p, length);
            used += length;
            parser->at += length;
        }
    }
    BUG_ON(used >= room);
    out[used] = '\0';
    parser->at++;
    return SERIN_OK;
}

/* ---- lists, tuples, dicts ---- */

enum serin_errc literal_grow(struct literal *list, struct literal **ret, struct serin_error *error)
{
    size_t width = list->kind == LITERAL_DICT ? 2 : 1;

    if ((list->count & (list->count - 1)) == 0) { /* doubles at powers of two, so that no capacity need be kept */
        size_t capacity = list->count ? list->count * 2 : 1;
        struct literal *items = realloc(list->as.items, capacity * width * sizeof(*items));

        if (!items)
            return error_set(error, SERIN_NOMEM, "no memory for %zu values", capacity * width);
        list->as.items = items;
    }
    *ret = list->as.items + list->count * width;
    memset(*ret, 0, width * sizeof(struct literal));
    list->count++;
    return SERIN_OK;
}

static enum serin_errc parse_pair(struct parser *parser, struct literal *pair)
{
    size_t start;
    enum serin_errc rc;

    skip_blanks(parser);
    start = parser->at;
    rc = parse_value(parser, &pair[0]);
    if (rc)
        return rc;
    if (pair[0].kind == LITERAL_LIST || pair[0].kind == LITERAL_DICT)
        return error_set(parser->error, SERIN_CORRUPT, "the dict key at byte %zu is a list or a dict", start);
    skip_blanks(parser);
    if (parser->text[parser->at] != ':')
        return unexpected(parser, "':' of a dict");
    parser->at++;
    return parse_value(parser, &pair[1]);
}

/* From an opening bracket to close. A tuple of one needs its comma, or it is a value in parentheses. */
static enum serin_errc parse_items(struct parser *parser, char close, struct literal *ret)
{
    bool dict = close == '}', comma = true, any_comma = false;
    enum serin_errc rc;

    *ret = (struct literal){.kind = dict ? LITERAL_DICT : LITERAL_LIST};
    parser->at++;
    for (;;) {
        struct literal *element = NULL;

        skip_blanks(parser);
        if (parser->text[parser->at] == close) {
            parser->at++;
            break;
        }
        if (!comma)
            return unexpected(parser, close == ']' ? "',' or ']'" : close == ')' ? "',' or ')'" : "',' or '}'");
        rc = literal_grow(ret, &element, parser->error);
        if (rc)
            return rc;
        rc = dict ? parse_pair(parser, element) : parse_value(parser, element);
        if (rc)
            return rc;
        skip_blanks(parser);
        comma = parser->text[parser->at] == ',';
        any_comma = any_comma || comma;
        parser->at += comma;
    }
    if (close == ')' && ret->count == 1 && !any_comma) {
        struct literal *only = ret->as.items;

        *ret = *only;
        free(only);
    }
    return SERIN_OK;
}

static enum serin_errc parse_value(struct parser *parser, struct literal *ret)
{
    enum serin_errc rc;
    char c;

    skip_blanks(parser);
    if (++parser->values > LITERAL_MAX_VALUES)
        return error_set(parser->error, SERIN_LIMIT, "more than %d values", LITERAL_MAX_VALUES);
    c = parser->text[parser->at];
    switch (c) {
    case '[':
    case '(':
    case '{':
        if (parser->depth == LITERAL_MAX_DEPTH)
            return error_set(parser->error, SERIN_LIMIT, "nested deeper than %d at byte %zu", LITERAL_MAX_DEPTH,
                             parser->at);
        parser->depth++;
        rc = parse_items(parser, c == '[' ? ']' : c == '(' ? ')' : '}', ret);
        parser->depth--;
        return rc;
    case '\'':
    case '"':
        return parse_text(parser, ret);
    default:
        break;
    }
    if (is_digit(c) || c == '-' || c == '+' || c == '.')
        return parse_number(parser, ret);
    if (is_word(c))
        return parse_word(parser, ret);
    return unexpected(parser, "a value");
}

enum serin_errc literal_parse(const char *text, struct literal *ret, struct serin_error *error)
{
    struct parser parser = {.text = text, .error = error};
    struct literal root = {.kind = LITERAL_NONE};
    enum serin_errc rc;

    if (strnlen(text, (size_t)LITERAL_MAX_BYTES + 1) > LITERAL_MAX_BYTES)
        return error_set(error, SERIN_LIMIT, "text of more than %u bytes", LITERAL_MAX_BYTES);
    parser.locale = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    if (parser.locale == (locale_t)0)
        return error_set(error, SERIN_NOMEM, "no memory for the \"C\" locale");
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): root owns what was allocated, on failure too */
    rc = parse_value(&parser, &root);
    if (rc == SERIN_OK) {
        skip_blanks(&parser);
        if (text[parser.at])
            rc = unexpected(&parser, "the end of the text");
    }
    freelocale(parser.locale);
    if (rc) {
        literal_done(&root);
        return rc;
    }
    *ret = root;
    return SERIN_OK;
}

void literal_done(struct literal *literal)
{
    size_t count = literal->kind == LITERAL_LIST   ? literal->count
                   : literal->kind == LITERAL_DICT ? 2 * literal->count
                                                   : 0;
    size_t i;

    if (literal->kind == LITERAL_TEXT)
        free(literal->as.text);
    for (i = 0; i < count; i++)
        literal_done(&literal->as.items[i]); /* as deep as the parser was: LITERAL_MAX_DEPTH */
    if (literal->kind == LITERAL_LIST || literal->kind == LITERAL_DICT)
        free(literal->as.items);
    *literal = (struct literal){.kind = LITERAL_NONE};
}

const struct literal *literal_find(const struct literal *dict, const char *key)
{
    size_t i;

    if (dict->kind != LITERAL_DICT)
        return NULL;
    for (i = dict->count; i-- > 0;) { /* the last of equal keys counts, as in Python */
        const struct literal *pair = dict->as.items + 2 * i;

        if (pair[0].kind == LITERAL_TEXT && strcmp(pair[0].as.text, key) == 0)
            return &pair[1];
    }
    return NULL;
}
