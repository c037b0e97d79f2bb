/*
 * warnings.h - what about a model will cost speed or accuracy once it serves.  Depends on engine and yolo.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_WARNINGS_H
#define CLI_WARNINGS_H

#include "engine/onnx_probe.h"

#include <serin/yolo.h>

#define WARNINGS_MAX      24
#define WARNING_MAX_BYTES 500

struct warning {
    const char *code; /* stable, for programs: "fixed_batch" */
    char sentence[WARNING_MAX_BYTES];
};

struct warnings {
    int count;
    struct warning items[WARNINGS_MAX];
};

void warnings_add(struct warnings *warnings, const char *code, const char *format, ...) PRINTF_LIKE(3, 4);

/* Looks at what the probe and the library know; either may be NULL. */
void warnings_collect(struct warnings *warnings, const struct onnx_summary *summary,
                      const struct serin_yolo_info *info);

#endif
