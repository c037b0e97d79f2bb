/*
 * rollout_view.h - a rollout for people.  Depends on jansson.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_ROLLOUT_VIEW_H
#define CLI_ROLLOUT_VIEW_H

#include <jansson.h>
#include <stdio.h>

void rollout_view_list(FILE *out, const json_t *list);
/* colours: where out is a terminal. columns: its width; a narrow one gets fewer of each guard. */
void rollout_view_print(FILE *out, const json_t *rollout, int colours, int columns);
void rollout_view_history(FILE *out, const json_t *decisions);

#endif
