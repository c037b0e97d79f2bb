/*
 * bundle_json.h - a version as JSON, for the command line and the admin port.  Depends on version, base/json.h.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef STORE_BUNDLE_JSON_H
#define STORE_BUNDLE_JSON_H

#include "base/json.h"
#include "version/bundle.h"

/* One object: name, digest, settings, classes, evaluation, scan, golden pictures; of one that cannot be read its name
 * and "problem". */
void bundle_write_members(struct json_writer *json, const struct bundle *bundle); /* into an open object */
void bundle_write_json(struct json_writer *json, const struct bundle *bundle);

#endif
