/*
 * assets.h - the console's files, which are built into the program.  Depends on base, http/server.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The files of console/, uPlot's and docs/openapi.yaml, made into a table by tools/embed.py. A path is one of the
 * table's or nothing: there is no folder to climb out of.
 */
#ifndef ADMIN_ASSETS_H
#define ADMIN_ASSETS_H

#include "http/server.h"

struct asset {
    const char *path; /* "/app.js" */
    const char *type; /* of its content */
    const char *etag; /* with its quotes; of the content */
    const unsigned char *bytes;
    size_t size;
};

extern const struct asset assets[];
extern const size_t asset_count;

/* Answers a request for one of the files; false where the path is none of them, and nothing is answered. */
bool assets_answer(struct http_exchange *exchange);

#endif
