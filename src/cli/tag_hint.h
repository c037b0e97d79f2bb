/*
 * tag_hint.h - whether a tag says what its version is, and which one would.  Depends on version/name.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * People deploy by the tag, and take its word for the hardware and the precision. Words of a precision are bf16, fp16,
 * fp32 and int8, between the tag's separators; a version in fp32 needs none. Words of hardware are those that
 * version_name_parse finds.
 */
#ifndef CLI_TAG_HINT_H
#define CLI_TAG_HINT_H

#include "version/name.h"

#include <stddef.h>

#define TAG_HINT_BYTES 512

/* The first thing that is wrong, as a sentence, into text of TAG_HINT_BYTES; false: nothing is. provider: one of
 * PROVIDERS; of "auto" only the machine knows what it becomes. precision: the file's, "fp32", "fp16" or "int8". */
bool tag_hint(const struct version_name *name, const char *provider, const char *precision, char *text);

#endif
