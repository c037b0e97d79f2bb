/*
 * service.h - the inside of a worker: what its HTTP handlers share.  For the files of src/worker alone.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Threads: the handlers, requests and statistics belong to the loop's thread; jobs are in the batcher's hands from
 * request_submit until their done, which hands them back through a list and a wake-up of the loop.
 */
#ifndef WORKER_SERVICE_H
#define WORKER_SERVICE_H

#include "base/json.h"
#include "http/multipart.h"
#include "http/server.h"
#include "version/name.h"
#include "worker/infer.h"
#include "worker/job.h"
#include "worker/statistics.h"
#include "worker/worker.h"

#include <pthread.h>

#define REQUEST_MAX_ID     128
#define REQUEST_MAX_IMAGES 64

struct request;

struct service {
    const struct worker_options *options;
    char model[VERSION_MAX_MODEL + 1], version[VERSION_MAX_TAG + 1];
    struct serin_yolo *yolo;
    const struct serin_yolo_info *info;
    const struct engine_interface *interface;
    struct infer_model infer;
    struct serin_predict_options defaults;
    int max_batch, max_input_px;
    struct network *network;
    struct batcher_options batching;
    struct batcher *batcher;
    uv_loop_t loop;
    uv_async_t wake_up;   /* a request is complete */
    uv_timer_t give_back; /* of freed memory to the kernel, some time after a request's end */
    pthread_mutex_t lock; /* guards completed */
    struct request *completed;
    struct http_server *server;
    bool draining;
    int reading; /* requests whose JSON is being read in libuv's pool */
    struct statistics statistics;
};

struct request {
    struct service *service;
    struct http_exchange *exchange;
    struct bytes *body;
    struct request *next;
    char id[REQUEST_MAX_ID + 1];
    bool protocol_v2; /* errors are {"error": text}, not {"error": {"code", "message"}} */
    bool aborted;     /* the client is gone */
    struct parameters parameters;
    uint64_t deadline_ns;
    uv_timer_t timer; /* of the deadline */
    bool has_timer;
    struct job *jobs; /* [count] */
    int count;
    atomic_int left; /* jobs that are not done */
    void (*answer)(struct request *request);
    /* protocol v2 */
    struct infer_request infer;
    size_t infer_json_size;
    uv_work_t reader;
    struct serin_error read_error;
    struct bytes *tensors; /* the finished answer to raw tensors */
    size_t tensors_json_size;
};

/* The http_handler; user is the service. */
void service_handle(void *user, struct http_exchange *exchange);
/* The done of batcher_stages; any thread. */
void service_job_done(void *user, struct batch_item *item);
/* The callback of wake_up: answers what is complete. */
void service_answer_completed(uv_async_t *wake_up);
/* The callback of give_back. */
void service_give_back(uv_timer_t *give_back);

/* ---- request.c ---- */

/* Takes the exchange, reads X-Request-Id, X-Priority, X-Request-Timeout-Ms. NULL where it has been answered with an
 * error already. */
struct request *request_begin(struct service *service, struct http_exchange *exchange, bool protocol_v2);
/* A parameter of the query or the form (where): once each, in seen, a bit for each name. value: NULL where it is no
 * text. What has no meaning here is passed over, unless its name is nearly one that has. SERIN_INVALID. */
MUST_USE enum serin_errc request_set_once(struct request *request, const char *name, const char *value, unsigned *seen,
                                          const char *where, struct serin_error *error);
/* Query parameters; false where the request was answered with an error (and is gone). */
bool request_read_query(struct request *request);
bool request_add_jobs(struct request *request, int count); /* zeroed jobs; false as above */
/* Queues the jobs; answer is called once all are done, or the request is refused with 503 at once. */
void request_submit(struct request *request, void (*answer)(struct request *request));
/* Each of these ends the request. */
void request_respond(struct request *request, int status, const struct buffer *more_fields, struct bytes *body);
void request_fail(struct request *request, int status, const char *code, const char *format, ...) PRINTF_LIKE(4, 5);
void request_fail_error(struct request *request, const struct serin_error *error);
/* Server-Timing (W3C): the longest of the request's jobs for each stage; X-Serin-Work: pictures that succeeded, the
 * largest batch that one of them was in, and detections where results tell them. */
void request_write_timing(const struct request *request, struct buffer *fields);
/* Where no job succeeded: answers with the first one's error. False: some succeeded. */
bool request_fail_if_all_did(struct request *request);

bool job_succeeded(const struct job *job);
/* Status and code ("corrupt") and sentence of a job that did not succeed. */
int job_error(const struct request *request, const struct job *job, char *code, size_t size, const char **ret_message);
int status_of(const struct request *request, enum serin_errc code);
void write_error_object(struct json_writer *json, const char *code, const char *message);
struct bytes *bytes_of(const struct buffer *buffer); /* a copy; NULL without memory */

/* ---- handlers ---- */

void predict_handle(struct service *service, struct http_exchange *exchange);
void infer_handle(struct service *service, struct http_exchange *exchange);
/* The documents of GET; out is finished JSON. */
void describe_server(const struct service *service, struct buffer *out);
void describe_model(const struct service *service, struct buffer *out);
void describe_config(const struct service *service, struct buffer *out);
void describe_index(const struct service *service, struct buffer *out);
void describe_triton_statistics(struct service *service, struct buffer *out);
void describe_statistics(struct service *service, struct buffer *out);

#endif
