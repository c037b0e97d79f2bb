/*
 * test_frail.h - for tests only: the code under test allocates by functions that can be made to fail.
 * SPDX-License-Identifier: Apache-2.0
 *
 * malloc, calloc and realloc are these from here on: the test includes the .c files it tests behind this header, and
 * undefines the three behind them.
 */
#ifndef HTTP_TEST_FRAIL_H
#define HTTP_TEST_FRAIL_H

#include <stdbool.h>
#include <stdlib.h>

/* The allocation after this many others fails; -1: none. */
static int allocations_left = -1;

static bool allocation_fails(void)
{
    return allocations_left >= 0 && allocations_left-- == 0;
}

static void *frail_malloc(size_t size)
{
    return allocation_fails() ? NULL : malloc(size);
}

static void *frail_calloc(size_t count, size_t size)
{
    return allocation_fails() ? NULL : calloc(count, size);
}

static void *frail_realloc(void *old, size_t size)
{
    return allocation_fails() ? NULL : realloc(old, size);
}

#define malloc  frail_malloc
#define calloc  frail_calloc
#define realloc frail_realloc

#endif
