/*
 * runtime.c - the words of runtime.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "runtime/runtime.h"

const char *replica_state_text(enum replica_state state)
{
    static const char *const texts[] = {
#define X(name, text, meaning) text,
        REPLICA_STATE_MAP(X)
#undef X
    };
    return (size_t)state < sizeof(texts) / sizeof(texts[0]) ? texts[state] : "unknown";
}
