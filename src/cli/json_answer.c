/*
 * json_answer.c - an answer of the control port as JSON or YAML.
 * SPDX-License-Identifier: Apache-2.0
 *
 * base/json.h writes what stands at the leaves, for both forms: jansson prints .05 as 0.050000000000000003. YAML is 1.2
 * in block style; a string is quoted where a plain one could be read as something else, in YAML 1.1 too.
 */
#include "cli/json_answer.h"

#include "base/json.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define MAX_LEAF_BYTES ((size_t)64 << 20)

/* C1 and the two line separators, which drive a terminal, or are none of YAML's characters; and the two escapes that
 * people read. */
static void put_escaped(FILE *out, const char *leaf)
{
    const unsigned char *at = (const unsigned char *)leaf;

    for (; *at; at++)
        if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f) {
            fprintf(out, "\\u%04x", *++at);
        } else if (at[0] == 0xe2 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9)) {
            fprintf(out, "\\u20%02x", at[2] - 0x80);
            at += 2;
        } else if (strncmp((const char *)at, "\\u000a", 6) == 0 || strncmp((const char *)at, "\\u0009", 6) == 0) {
            fputs(at[5] == 'a' ? "\\n" : "\\t", out);
            at += 5;
        } else {
            fputc(*at, out);
            if (*at == '\\')
                fputc(*++at, out);
        }
}

static void put_leaf(FILE *out, const json_t *value, bool is_yaml)
{
    struct json_writer json;
    struct buffer text;
    const char *leaf;
    size_t digits;

    buffer_init(&text, MAX_LEAF_BYTES);
    json_init(&json, &text);
    if (json_is_string(value))
        json_write_string(&json, json_string_value(value));
    else if (json_is_integer(value))
        json_write_integer(&json, json_integer_value(value));
    else if (json_is_real(value))
        json_write_number(&json, json_real_value(value));
    else if (json_is_boolean(value))
        json_write_boolean(&json, json_is_true(value));
    else
        json_write_null(&json);
    leaf = text.failed ? "null" : text.bytes;
    digits = is_yaml && json_is_real(value) ? strcspn(leaf, ".e") : 0;
    if (digits && leaf[digits] == 'e') /* 1e-05 is a text to readers of YAML 1.1 */
        fprintf(out, "%.*s.0%s", (int)digits, leaf, leaf + digits);
    else
        put_escaped(out, leaf);
    buffer_done(&text);
}

static size_t size_of(const json_t *value)
{
    return json_is_object(value) ? json_object_size(value) : json_array_size(value);
}

/* ---- JSON ---- */

static void break_line(FILE *out, int depth, bool is_line)
{
    if (!is_line)
        fprintf(out, "\n%*s", 2 * depth, "");
}

static void put_json(FILE *out, const json_t *value, int depth, bool is_line)
{
    const json_t *member;
    const char *key;
    json_t *name;
    size_t i = 0;

    if (!json_is_object(value) && !json_is_array(value)) {
        put_leaf(out, value, false);
        return;
    }
    fputc(json_is_object(value) ? '{' : '[', out);
    json_object_foreach((json_t *)value, key, member)
    {
        fputs(i++ ? "," : "", out);
        break_line(out, depth + 1, is_line);
        name = json_string(key);
        put_leaf(out, name, false);
        json_decref(name);
        fputs(is_line ? ":" : ": ", out);
        put_json(out, member, depth + 1, is_line);
    }
    json_array_foreach(value, i, member)
    {
        fputs(i ? "," : "", out);
        break_line(out, depth + 1, is_line);
        put_json(out, member, depth + 1, is_line);
    }
    if (size_of(value) > 0)
        break_line(out, depth, is_line);
    fputc(json_is_object(value) ? '}' : ']', out);
}

/* ---- YAML ---- */

/* Letters first, so that it is no number and no date, and none of the words that are values. */
static bool is_plain(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char *const values[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
    size_t size = strlen(text), i;

    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        if (strcasecmp(text, values[i]) == 0)
            return false;
    return strspn(text, letters) > 0 &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == size;
}

static void put_yaml_text(FILE *out, const char *text)
{
    json_t *value;

    if (is_plain(text)) {
        fputs(text, out);
        return;
    }
    value = json_string(text); /* a JSON string is a YAML one */
    put_leaf(out, value, true);
    json_decref(value);
}

static void put_yaml(FILE *out, const json_t *value, int depth);

static void put_yaml_member(FILE *out, const json_t *value, int depth)
{
    fputs(size_of(value) > 0 ? "\n" : " ", out);
    put_yaml(out, value, depth);
}

static void put_yaml(FILE *out, const json_t *value, int depth)
{
    const json_t *member;
    const char *key;
    size_t i;

    if (json_is_string(value))
        put_yaml_text(out, json_string_value(value));
    else if (json_is_object(value) && size_of(value) == 0)
        fputs("{}", out);
    else if (json_is_array(value) && size_of(value) == 0)
        fputs("[]", out);
    else if (!json_is_object(value) && !json_is_array(value))
        put_leaf(out, value, true);
    if (size_of(value) == 0)
        fputc('\n', out);
    json_object_foreach((json_t *)value, key, member)
    {
        fprintf(out, "%*s", 2 * depth, "");
        put_yaml_text(out, key);
        fputc(':', out);
        put_yaml_member(out, member, depth + 1);
    }
    json_array_foreach(value, i, member)
    {
        fprintf(out, "%*s-", 2 * depth, "");
        put_yaml_member(out, member, depth + 1);
    }
}

static void print(FILE *out, int output, const json_t *answer)
{
    if (output == OUTPUT_YAML) {
        put_yaml(out, answer, 0);
        return;
    }
    put_json(out, answer, 0, output == OUTPUT_JSON_LINE);
    fputc('\n', out);
}

void json_answer_print(int output, const json_t *answer, void (*people)(FILE *out, const json_t *answer))
{
    if (output == OUTPUT_TABLE)
        people(stdout, answer);
    else
        print(stdout, output, answer);
}
