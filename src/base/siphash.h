/*
 * siphash.h - a keyed hash that a stranger cannot steer.  Depends on nothing.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Source: Aumasson and Bernstein, "SipHash: a fast short-input PRF" (2012), with 1 round a word and 3 at the end. Words
 * are read as the machine has them; Serin runs on little-endian machines only, so the values are the same everywhere it
 * runs.
 */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const uint64_t key[2], const void *bytes, size_t size);

#endif
