/*
 * declaration.h - what a server says of a model that it serves, and whether that will do in stable's place.  Depends on
 * base, yolo/literal.h and jansson; knows no network.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Sources: model metadata of the Open Inference Protocol v2 (name, inputs, outputs; a dimension of -1 is any), and
 * Triton's model configuration, in whose parameters.metadata.string_value Ultralytics' exporter writes the task and the
 * names of the classes as a Python literal. Serin's own workers give both. All of it is somebody's word: bounded, and
 * refused where it is not what it should be.
 */
#ifndef SERVE_DECLARATION_H
#define SERVE_DECLARATION_H

#include "yolo/literal.h"

#include <jansson.h>

#define DECLARATION_MAX_BYTES ((size_t)1 << 20) /* of either document */

struct declaration { /* zeroed: nothing was told */
    json_t *metadata;
    struct literal
        about; /* a dict; its task and names are texts, names by their numbers from 0; LITERAL_NONE: not told */
};

/* Each into ret, which is the caller's (declaration_done) and as it was after an error. model: what the document must
 * call itself. SERIN_CORRUPT, SERIN_LIMIT, SERIN_NOMEM. A configuration that says nothing of classes is none of these.
 */
MUST_USE enum serin_errc declaration_read_metadata(const void *bytes, size_t size, const char *model,
                                                   struct declaration *ret, struct serin_error *error);
MUST_USE enum serin_errc declaration_read_config(const void *bytes, size_t size, struct declaration *ret,
                                                 struct serin_error *error);
void declaration_done(struct declaration *declaration);

/* The same inputs and outputs by name and datatype, in any order; an input takes every size that stable's takes, an
 * output has no other size than stable's as far as both say. Both have been read. SERIN_LIMIT says what differs. */
MUST_USE enum serin_errc declaration_compare_tensors(const struct declaration *own, const struct declaration *stable,
                                                     struct serin_error *error);
/* The same task, and the same classes under the same numbers, each as far as both say. SERIN_LIMIT. */
MUST_USE enum serin_errc declaration_compare_classes(const struct declaration *own, const struct declaration *stable,
                                                     struct serin_error *error);
/* Whether it tells its classes; and these as a JSON array, by number. */
bool declaration_has_classes(const struct declaration *declaration);
struct buffer;
void declaration_write_classes(const struct declaration *declaration, struct buffer *out);

#endif
