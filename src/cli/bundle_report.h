/*
 * bundle_report.h - showing what is in the store, for people and for programs.  Depends on store.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_BUNDLE_REPORT_H
#define CLI_BUNDLE_REPORT_H

#include "store/bundles.h"

/* One JSON object, or with list set a list of them, on stdout. Returns an exit code; verb is who complains. */
int bundle_report_json(const char *verb, const struct bundle *bundles, size_t count, bool list);

/* A table, one line a version. */
void bundle_report_table(const struct bundle *bundles, size_t count);

/* All of one, a line a field. */
void bundle_report_print(const struct bundle *bundle);

#endif
