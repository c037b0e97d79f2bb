/*
 * evaluation.h - what verbs that evaluate share: progress, complaints, and the JSON that is printed or kept in a
 * bundle.  Depends on base, yolo. SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_EVALUATION_H
#define CLI_EVALUATION_H

#include "base/json.h"
#include "cli/terminal.h"

#include <serin/yolo.h>

/* Sets the callbacks of options: progress, called what (or NULL), and a sentence on stderr for each picture that cannot
 * be decoded. progress must outlive the evaluation; progress_hide it afterwards. */
void evaluation_report_to(struct progress *progress, const char *what, struct serin_eval_options *options);

/* Says on stderr where classes of data were matched by number, so that the figures may mean nothing. */
void evaluation_warn(const char *verb, const char *data, const struct serin_evaluation *evaluation);

/* One object. with_speed false leaves out what differs from run to run; data_digest: of what it was measured on, or
 * NULL.
 */
void evaluation_json(struct json_writer *json, const struct serin_evaluation *evaluation, bool with_speed,
                     const char *data_digest);

#endif
