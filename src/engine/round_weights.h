/*
 * round_weights.h - weights rounded to bf16 so that their sums stay.  Depends on nothing.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef ENGINE_ROUND_WEIGHTS_H
#define ENGINE_ROUND_WEIGHTS_H

#include <stdint.h>

/* The weights of one output channel: each becomes a float that bf16 has, one of its two neighbours there. Which one
 * depends on nothing but the weights. What is no finite number is left to the nearest. from and to do not overlap. */
void round_weights(int64_t count, const float *from, float *to);

#endif
