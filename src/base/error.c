/*
 * error.c - one sentence for a person, bounded, with nothing in it that could break a terminal or a log line.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/error.h"

#include "base/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SENTENCE_BYTES 5000 /* before it is cut to its record: a path of 4096 bytes, and what is said of it */

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

void error_code_name(enum serin_errc code, char *text, size_t size)
{
    static const char *const names[] = {
#define X(name, sentence) #name,
        SERIN_ERRC_MAP(X)
#undef X
    };
    size_t i;

    snprintf(text, size, "%s", (size_t)code < sizeof(names) / sizeof(names[0]) ? names[code] : "unknown");
    for (i = 0; text[i]; i++)
        text[i] = (char)tolower((unsigned char)text[i]);
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

/* Of a sentence too long for its record the middle goes: the reason stands at the end, behind a path of any length. */
static void keep_sentence(struct serin_error *error, const char *sentence, size_t length)
{
    static const char gap[] = " ... ";
    size_t head, tail;

    if (length < sizeof(error->message)) {
        memcpy(error->message, sentence, length + 1);
        return;
    }
    head = (sizeof(error->message) - sizeof(gap)) / 2;
    tail = sizeof(error->message) - sizeof(gap) - head;
    memcpy(error->message, sentence, head);
    memcpy(error->message + head, gap, sizeof(gap) - 1);
    memcpy(error->message + head + sizeof(gap) - 1, sentence + length - tail, tail + 1);
}

enum serin_errc(error_set)(struct serin_error *error, enum serin_errc code, const char *format, ...)
{
    char sentence[MAX_SENTENCE_BYTES];
    va_list args;
    int length;

    BUG_ON(code == SERIN_OK);
    if (!error)
        return code;
    error->code = code;
    va_start(args, format);
    length = vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    if (length < 0)
        sentence[0] = '\0';
    keep_sentence(error, sentence, strlen(sentence));
    replace_what_is_no_text(error->message);
    return code;
}

enum serin_errc error_prefix(struct serin_error *error, enum serin_errc code, const char *format, ...)
{
    char sentence[MAX_SENTENCE_BYTES + sizeof(error->message)];
    va_list args;
    size_t used;

    if (!error || code == SERIN_OK)
        return code;
    va_start(args, format);
    if (vsnprintf(sentence, MAX_SENTENCE_BYTES, format, args) < 0)
        sentence[0] = '\0';
    va_end(args);
    used = strlen(sentence);
    used += (size_t)snprintf(sentence + used, sizeof(sentence) - used, ": %s", error->message);
    keep_sentence(error, sentence, used);
    replace_what_is_no_text(error->message);
    return code;
}

_Noreturn void error_bug(const char *condition, const char *file, int line)
{
    fprintf(stderr, "serin: bug at %s:%d: %s\n", file, line, condition);
    abort();
}
