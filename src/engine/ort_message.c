/*
 * ort_message.c - takes the places in ONNX Runtime's own source out of its messages.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Its exceptions begin with where they were thrown, in two forms: path, line and the whole signature as the compiler
 * spells it (__PRETTY_FUNCTION__), or file name, line and the function's bare name. A signature may be 500 bytes long,
 * and pushed the cause out of our record; it tells a user nothing.
 */
#include "engine/ort_message.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

/* Behind a C++ signature that begins at text, or NULL where there is none: it ends with the bracket that closes its
 * arguments. Brackets of other kinds may hold any of them (templates, lambdas), and "operator()(...)" and a lambda's
 * "f(int)::<lambda(int)>" go on behind the first. */
static const char *skip_signature(const char *text)
{
    int depth = 0;
    bool arguments = false;

    for (; *text && *text != '\n'; text++) {
        if (strchr("(<[{", *text)) {
            depth++;
        } else if (strchr(")>]}", *text) && depth > 0) {
            depth--;
            arguments = arguments || (depth == 0 && *text == ')');
        } else if (arguments && depth == 0 && *text == ' ') {
            if (strncmp(text, " const", 6) == 0 && strchr(" (:&", text[6]))
                text += 5;
            else if (strncmp(text, " [with ", 7) != 0)
                return text + strspn(text, " ");
        }
    }
    return arguments ? text : NULL;
}

static const char *skip_name(const char *text)
{
    size_t length = strcspn(text, " \n");

    return text + length + strspn(text + length, " ");
}

/* Behind the place whose file name ends at dot (".cc:12 ..."); NULL where it is none. absolute: it is a whole path. */
static const char *skip_place(const char *dot, bool absolute)
{
    static const char *const endings[] = {".cc:", ".h:", ".cpp:", ".hpp:", ".cu:", ".cuh:"};
    const char *line = NULL, *function;
    size_t i, digits;

    for (i = 0; i < sizeof(endings) / sizeof(endings[0]) && !line; i++)
        if (strncmp(dot, endings[i], strlen(endings[i])) == 0)
            line = dot + strlen(endings[i]);
    if (!line)
        return NULL;
    digits = strspn(line, "0123456789");
    if (digits == 0 || line[digits] != ' ')
        return NULL;
    function = line + digits + 1;
    if (!absolute)
        return skip_name(function);
    line = skip_signature(function);
    return line ? line : function;
}

char *ort_message_copy(const char *message, char *text, size_t size)
{
    const char *word = message, *rest = message, *behind;
    size_t used = 0, place = 0; /* where the word began in text, which a place takes back */

    if (size == 0)
        return text;
    while (*rest && used + 1 < size) {
        behind = *rest == '.' ? skip_place(rest, *word == '/') : NULL;
        if (behind && *behind) {
            used = place;
            word = rest = behind;
            continue;
        }
        if (isspace((unsigned char)*rest) || *rest == ':') { /* "failed:/src/graph.cc:1 ..." has no space */
            text[used++] = *rest == ':' ? ':' : ' ';
            word = rest + 1;
            place = used;
        } else {
            text[used++] = *rest;
        }
        rest++;
    }
    while (used > 0 && text[used - 1] == ' ')
        used--;
    text[used] = '\0';
    return text;
}
