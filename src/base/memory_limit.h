/*
 * memory_limit.h - how much memory a process that opens somebody's model may take.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef BASE_MEMORY_LIMIT_H
#define BASE_MEMORY_LIMIT_H

#include "base/error.h"

#include <stdint.h>

/* Bytes, where nobody has said how many: half of the machine's memory (of the container's, where that is less), so that
 * one model that asks for everything leaves the others theirs; but at least 1 GiB and 8 times the model, which an
 * honest one may need: its file, the engine's copy, the copy it packs for its kernels, and the layers' values. 0, no
 * limit, in a build with a sanitizer, whose shadow is larger than any. Threadsafe. */
uint64_t memory_limit_default(uint64_t model_bytes);

/* Lets this process take so many bytes more than it has; a limit that is lower already stays. Of RLIMIT_DATA: private
 * writable memory, which leaves alone the address space that CUDA reserves. 0: changes nothing. What is more fails as
 * an allocation. SERIN_IO. */
MUST_USE enum serin_errc memory_limit_process(uint64_t bytes, struct serin_error *error);

/* What this process may take at all, by its own limit; 0: as much as there is. Bytes. */
uint64_t memory_limit_in_force(void);

#endif
