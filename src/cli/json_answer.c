/*
 * json_answer.c - an answer of the control port as JSON or YAML.
 * SPDX-License-Identifier: Apache-2.0
 *
 * YAML 1.2 in block style; a string is quoted where a plain one could be read as something else, in YAML 1.1 too.
 */
#include "cli/json_answer.h"

#include <stdlib.h>
#include <string.h>

static void yaml_text(FILE *out, const char *text)
{
    char *quoted;
    json_t *value;

    if (text[0] && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == strlen(text) &&
        strspn(text, "0123456789-") == 0 && strcmp(text, "true") != 0 && strcmp(text, "false") != 0 &&
        strcmp(text, "null") != 0 && strcmp(text, "yes") != 0 && strcmp(text, "no") != 0 && strcmp(text, "on") != 0 &&
        strcmp(text, "off") != 0 && strcmp(text, "y") != 0 && strcmp(text, "n") != 0) {
        fputs(text, out);
        return;
    }
    value = json_string(text); /* a JSON string is a YAML one */
    quoted = json_dumps(value, JSON_ENCODE_ANY);
    fputs(quoted ? quoted : "\"\"", out);
    free(quoted);
    json_decref(value);
}

static void yaml_value(FILE *out, const json_t *value, int depth);

static void yaml_member(FILE *out, const json_t *value, int depth)
{
    int is_block =
        (json_is_object(value) && json_object_size(value) > 0) || (json_is_array(value) && json_array_size(value) > 0);

    fputs(is_block ? "\n" : " ", out);
    yaml_value(out, value, depth);
}

static void yaml_value(FILE *out, const json_t *value, int depth)
{
    const char *key;
    const json_t *member;
    char *text;
    size_t i;

    if (json_is_object(value) && json_object_size(value) > 0) {
        json_object_foreach((json_t *)value, key, member)
        {
            fprintf(out, "%*s", 2 * depth, "");
            yaml_text(out, key);
            fputc(':', out);
            yaml_member(out, member, depth + 1);
        }
    } else if (json_is_array(value) && json_array_size(value) > 0) {
        json_array_foreach(value, i, member)
        {
            fprintf(out, "%*s-", 2 * depth, "");
            yaml_member(out, member, depth + 1);
        }
    } else if (json_is_string(value)) {
        yaml_text(out, json_string_value(value));
        fputc('\n', out);
    } else {
        text = json_dumps(value, JSON_ENCODE_ANY);
        fprintf(out, "%s\n", text ? text : "null");
        free(text);
    }
}

void json_answer_print(int output, const json_t *answer, void (*people)(FILE *out, const json_t *answer))
{
    char *text;

    if (output == OUTPUT_YAML) {
        yaml_value(stdout, answer, 0);
    } else if (output == OUTPUT_JSON) {
        text = json_dumps(answer, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
        puts(text ? text : "null");
        free(text);
    } else {
        people(stdout, answer);
    }
}
