/*
 * version.c - the library's version, from the build description.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "serin_config.h"

#include <serin/yolo.h>

const char *serin_version(void)
{
    return SERIN_VERSION;
}
