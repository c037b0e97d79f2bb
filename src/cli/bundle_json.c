/*
 * bundle_json.c - versions as JSON on stdout.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/bundle_report.h"
#include "cli/cli.h"
#include "cli/terminal.h"
#include "store/bundle_json.h"

#define MAX_REPORT_BYTES (256u << 20)

int bundle_report_json(const char *verb, const struct bundle *bundles, size_t count, bool list)
{
    struct json_writer json;
    struct serin_error error;
    struct buffer out;
    int code = CLI_OK;
    size_t i;

    buffer_init(&out, MAX_REPORT_BYTES);
    json_init(&json, &out);
    if (list)
        json_begin_array(&json);
    for (i = 0; i < count; i++)
        bundle_write_json(&json, &bundles[i]);
    if (list)
        json_end_array(&json);
    if (buffer_check(&out, "the report", &error) == SERIN_OK) {
        puts(out.bytes);
    } else {
        terminal_complain("%s: %s", verb, error.message);
        code = CLI_FAILED;
    }
    buffer_done(&out);
    return code;
}
