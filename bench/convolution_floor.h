/*
 * convolution_floor.h - the convolutions of a network and nothing else, each by oneDNN in the layout that it likes
 * best. SPDX-License-Identifier: Apache-2.0
 *
 * The time that an engine on oneDNN would need if all between the convolutions were free: no layout is ever changed,
 * no residual read, no box computed. Activations are fused as in the engine. Depends on engine/graph.h.
 */
#ifndef BENCH_CONVOLUTION_FLOOR_H
#define BENCH_CONVOLUTION_FLOOR_H

#include "engine/graph.h"

enum floor_precision { FLOOR_F32, FLOOR_BF16, FLOOR_INT8 }; /* int8: bytes in and out, signed weights */

struct convolution_floor;

/* graph: with shapes, fused; it is not needed afterwards. Errors: SERIN_UNSUPPORTED where oneDNN has no such
 * convolution, SERIN_NOMEM. ret is the caller's: convolution_floor_free. */
MUST_USE enum serin_errc convolution_floor_new(const struct graph *graph, enum floor_precision precision,
                                               struct convolution_floor **ret, struct serin_error *error);
/* All of them, one after the other. By as many threads as OpenMP is set to, as when it was made. */
MUST_USE enum serin_errc convolution_floor_run(const struct convolution_floor *floor, struct serin_error *error);
void convolution_floor_free(struct convolution_floor *floor); /* NULL is fine */

#endif
