/*
 * serin/error.h - how every function of libserin says what went wrong.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A function that can fail returns enum serin_errc and takes a caller-owned struct serin_error, which may be NULL. On
 * success the record is not touched; on failure it holds one sentence for a person: what, of what, and the limit.
 */
#ifndef SERIN_ERROR_H
#define SERIN_ERROR_H

#define SERIN_ERRC_MAP(X)                                                                                              \
    X(OK, "ok")                                                                                                        \
    X(INVALID, "invalid argument")                                                                                     \
    X(LIMIT, "limit exceeded")                                                                                         \
    X(CORRUPT, "damaged or hostile input")                                                                             \
    X(UNSUPPORTED, "not supported")                                                                                    \
    X(NOT_FOUND, "not found")                                                                                          \
    X(IO, "input or output failed")                                                                                    \
    X(NOMEM, "out of memory")                                                                                          \
    X(ENGINE, "the inference engine failed")                                                                           \
    X(MODEL, "the model misbehaved")

enum serin_errc {
#define X(name, text) SERIN_##name,
    SERIN_ERRC_MAP(X)
#undef X
};

struct serin_error {
    enum serin_errc code;
    char message[400]; /* NUL-terminated UTF-8, no newline */
};

/* The short text of a code ("limit exceeded"); never NULL. */
const char *serin_errc_text(enum serin_errc code);

#endif
