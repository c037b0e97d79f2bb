/*
 * error.c - one sentence for a person, bounded, with nothing in it that could break a terminal or a log line.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/error.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *serin_errc_text(enum serin_errc code)
{
    switch (code) {
#define X(name, text)                                                                                                  \
    case SERIN_##name:                                                                                                 \
        return text;
        SERIN_ERRC_MAP(X)
#undef X
    }
    return "unknown error code";
}

/* Quoted names come from hostile files: a newline would forge a log line, an escape would drive the terminal, and bytes
 * that are not UTF-8 (or a character that the end of the record has cut) would break whoever reads the sentence as
 * text. */
static void replace_what_is_no_text(char *text)
{
    while (*text) {
        size_t length = text_utf8_length(text);

        if (length == 0 || (unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = '?';
            length = 1;
        }
        text += length;
    }
}

enum serin_errc(error_set)(struct serin_error *error, enum serin_errc code, const char *format, ...)
{
    va_list args;

    BUG_ON(code == SERIN_OK);
    if (!error)
        return code;
    error->code = code;
    va_start(args, format);
    if (vsnprintf(error->message, sizeof(error->message), format, args) < 0)
        error->message[0] = '\0';
    va_end(args);
    replace_what_is_no_text(error->message);
    return code;
}

enum serin_errc error_prefix(struct serin_error *error, enum serin_errc code, const char *format, ...)
{
    char sentence[sizeof(error->message)];
    va_list args;
    int used;

    if (!error || code == SERIN_OK)
        return code;
    memcpy(sentence, error->message, sizeof(sentence));
    va_start(args, format);
    used = vsnprintf(error->message, sizeof(error->message), format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof(error->message))
        snprintf(error->message + used, sizeof(error->message) - (size_t)used, ": %s", sentence);
    replace_what_is_no_text(error->message);
    return code;
}

_Noreturn void error_bug(const char *condition, const char *file, int line)
{
    fprintf(stderr, "serin: bug at %s:%d: %s\n", file, line, condition);
    abort();
}
