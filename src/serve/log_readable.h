/*
 * log_readable.h - a line of a log as people read it on a terminal.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SERVE_LOG_READABLE_H
#define SERVE_LOG_READABLE_H

#include "base/buffer.h"

/* Appends the JSON line as text with a newline: the time of day, then "warn  watching replicas: m:v1#0 is down", or of
 * the access log "POST /v1/predict/m 200 in 12.5 ms by v1". What is no such line is appended as it is. */
void log_readable(const char *line, size_t size, struct buffer *out);

#endif
