/*
 * json_check.h - whether bytes are JSON, without keeping any of it.  Depends on text.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * For what is only passed on: a tree of it would cost ten times its bytes in memory, and a caller who only builds one
 * to throw it away would have to refuse large texts.
 */
#ifndef BASE_JSON_CHECK_H
#define BASE_JSON_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#define JSON_CHECK_DEPTH 64 /* deeper texts are refused: tensors nest to 8 or so */

/* Whether all of bytes is one object or array of RFC 8259, in UTF-8. Linear, allocates nothing, and needs no NUL
 * behind. */
bool json_check(const void *bytes, size_t size);

#endif
