/*
 * ort_message.h - what ONNX Runtime says, without where in its source it says so.  Depends on nothing.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef ENGINE_ORT_MESSAGE_H
#define ENGINE_ORT_MESSAGE_H

#include <stddef.h>

/* Copies message into text (size bytes, cut to them), without places in ONNX Runtime's source ("/src/a.cc:12 void
 * f(int) " and "a.cc:12 f "), with a space for line ends, and without white space at its end. What stands before and
 * behind a place stays. A message that is nothing but a place stays as it is. Returns text. */
char *ort_message_copy(const char *message, char *text, size_t size);

#endif
