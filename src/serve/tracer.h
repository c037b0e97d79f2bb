/*
 * tracer.h - sends traced requests to a collector as OTLP/HTTP, without ever making a request wait.
 * Depends on gateway, serve/log.h, libcurl.
 * SPDX-License-Identifier: Apache-2.0
 *
 * At most TRACER_QUEUE requests wait, and a thread of its own sends them by the hundred. What has no room, and what a
 * collector does not take, is dropped and counted; nothing is sent twice.
 */
#ifndef SERVE_TRACER_H
#define SERVE_TRACER_H

#include "gateway/gateway.h"

#define TRACER_QUEUE 1024

struct buffer;
struct log;
struct tracer;

/* endpoint: a URL, as it is. log: is told when the collector stops and begins to answer. What the collector is shown
 * besides the traces is taken from the environment (trace_fields.c). SERIN_INVALID: that is wrong; SERIN_NOMEM. */
MUST_USE enum serin_errc tracer_new(const char *endpoint, struct log *log, struct tracer **ret,
                                    struct serin_error *error);
/* Sends what waits, for TRACER_CLOSE_MS at most; NULL is fine. After the gateway's threads have ended. */
#define TRACER_CLOSE_MS 2000
void tracer_close(struct tracer *tracer);

void tracer_take(void *user, struct gateway_trace *trace); /* a gateway_traced */

struct tracer_counts {
    uint64_t sent, dropped; /* requests */
};
struct tracer_counts tracer_counts(const struct tracer *tracer); /* any thread; NULL is fine */

/* trace_fields.c: adds the header fields that the environment has for collectors to *fields, which the caller frees
 * also on an error. SERIN_INVALID with a sentence that names the variable and the entry, and no value; SERIN_NOMEM. */
struct curl_slist;
MUST_USE enum serin_errc trace_fields_read(struct curl_slist **fields, struct serin_error *error);

/* trace_json.c: an ExportTraceServiceRequest (OpenTelemetry protocol 1.x, JSON encoding) with their spans. */
void trace_write_json(struct gateway_trace *const *traces, int count, struct buffer *out);

#endif
