/*
 * error.h - filling in a struct serin_error, and stopping at our own bugs.  Depends on nothing.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <serin/error.h>

#include <stddef.h>

#define MUST_USE          __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* Writes the code and the sentence into error (which may be NULL) and returns the code, so that a caller can write
 * `return error_set(error, SERIN_LIMIT, ...)`. The code is never SERIN_OK. Control characters of quoted input are
 * replaced by '?'. */
enum serin_errc error_set(struct serin_error *error, enum serin_errc code, const char *format, ...) PRINTF_LIKE(3, 4);

/* Lets compilers and analysers of the callers know what error_set makes sure of: that it does not return SERIN_OK. */
static inline enum serin_errc error_code_set(enum serin_errc code)
{
    if (code == SERIN_OK)
        __builtin_unreachable();
    return code;
}
#define error_set(...) error_code_set((error_set)(__VA_ARGS__))

/* Puts "prefix: " in front of the sentence already in error: who was doing it ("model.onnx: ..."). Returns error's
 * code. */
enum serin_errc error_prefix(struct serin_error *error, enum serin_errc code, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* A code's name for programs, cut to size: "not_found" of SERIN_NOT_FOUND. */
void error_code_name(enum serin_errc code, char *text, size_t size);

/* A bug of ours (never bad input): says where, and aborts. Always compiled in. */
#define BUG_ON(condition)                                                                                              \
    do {                                                                                                               \
        if (__builtin_expect(!!(condition), 0))                                                                        \
            error_bug(#condition, __FILE__, __LINE__);                                                                 \
    } while (0)

_Noreturn void error_bug(const char *condition, const char *file, int line);

#endif
