/*
 * evaluation.h - an evaluation as JSON: what `serin eval --json` prints and a bundle keeps.  Depends on base, yolo.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_EVALUATION_H
#define CLI_EVALUATION_H

#include "base/json.h"

#include <serin/yolo.h>

/* One object. with_speed false leaves out what differs from run to run. */
void evaluation_json(struct json_writer *json, const struct serin_evaluation *evaluation, bool with_speed);

#endif
