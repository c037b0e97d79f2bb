/*
 * names.h - texts and their numbers: values of a slice, cameras.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The first text that comes is 0. What comes after the table is full has the number of the table's size: "other".
 */
#ifndef JUDGE_NAMES_H
#define JUDGE_NAMES_H

#include "judge/record.h"

struct names {
    int count, max;
    uint32_t mask;
    uint16_t *slots; /* number + 1; 0: free */
    char (*texts)[RECORD_MAX_VALUE + 1];
};

MUST_USE enum serin_errc names_init(struct names *names, int max, struct serin_error *error);
void names_done(struct names *names);
int names_number(struct names *names, const char *text);
const char *names_text(const struct names *names, int number); /* "other" for the last */

#endif
