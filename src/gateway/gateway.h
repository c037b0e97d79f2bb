/*
 * gateway.h - the data plane: takes requests, sends each to a version by its route, and sees to it that a client gets
 * its answer. SPDX-License-Identifier: Apache-2.0
 *
 * Depends on base, http, class_list.h, route.h.  N threads, each with its own loop, listener (SO_REUSEPORT),
 * connections and counters; they share one immutable table, which the control thread replaces with gateway_publish: a
 * request that starts after that call has returned is routed by the new table. Nothing on the path of a request locks,
 * blocks or touches a disk.
 *
 * What a version other than stable fails (an error, garbage, too late, nobody there), stable answers, and it is counted
 * against that version. After GATEWAY_BREAKER_FAILURES of its own in a row a version is off at once, and gets a trial
 * request back later; one that has not succeeded yet, or has just failed, has few requests in flight at once, so that
 * it is off within ten.
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

#include "base/histogram.h"
#include "gateway/class_list.h"
#include "gateway/route.h"
#include "http/server.h"

#define GATEWAY_MAX_MODELS       64
#define GATEWAY_MAX_ENDPOINTS    16
#define GATEWAY_MAX_ADDRESS      128
#define GATEWAY_MAX_SLOTS        256
#define GATEWAY_MAX_KEYS         64 /* of a model */
#define GATEWAY_KEY_BYTES        32 /* SHA-256 */
#define GATEWAY_BREAKER_FAILURES 8  /* in a row */
#define GATEWAY_MAX_SLICES       3
#define GATEWAY_SLICE_NAME       23 /* bytes */
#define GATEWAY_SLICE_VALUE      63 /* bytes; of a longer value its beginning and its length */

/* Where a version is served. slot: the place of its counters, given by the control thread, the same for a model's tag
 * as long as the process lives. */
struct gateway_version {
    int slot;
    int endpoint_count;
    char endpoints[GATEWAY_MAX_ENDPOINTS][GATEWAY_MAX_ADDRESS]; /* as http_client_new takes them */
    bool doubtful; /* none of them is known to be well: they are tried, and the version is not told to be ready */
};

struct gateway_entry {
    struct route route;
    int key_count; /* hashes of the API keys that open the model, where its route needs one */
    uint8_t keys[GATEWAY_MAX_KEYS][GATEWAY_KEY_BYTES];
    bool on_trial; /* a rollout moves this route: the judge is told of its requests, and without gateway_hold_trial all
                      of them go to stable */
    int lease;     /* 0..GATEWAY_MAX_MODELS - 1: what gateway_hold_trial holds it by. Given by the control thread, each
                      to one model, the same as long as it has a route */
    int slice_count; /* fields of a request whose values the judge is told, while on_trial */
    char slices[GATEWAY_MAX_SLICES][GATEWAY_SLICE_NAME + 1];
    struct gateway_version versions[ROUTE_MAX_VERSIONS]; /* as route.versions */
};

struct gateway_table {
    int entry_count;
    struct gateway_entry entries[GATEWAY_MAX_MODELS];
};

/* Declared once: the counters of a version, with the sentence for operators. */
#define GATEWAY_COUNTERS(X)                                                                                            \
    X(requests, "Requests that were assigned to the version")                                                          \
    X(answered, "Answers that the version gave and the client got")                                                    \
    X(client_errors, "Answers of 4xx among them")                                                                      \
    X(failures, "Tries that the version failed: an error, garbage, too late, or nobody there")                         \
    X(timeouts, "Tries among them that were too late")                                                                 \
    X(fallbacks, "Requests of the version that stable answered instead")                                               \
    X(rescued, "Requests of other versions that this one answered as stable")                                          \
    X(retries, "Tries that were made again on another replica")                                                        \
    X(retries_refused, "Tries that were not made again, because the budget of retries was spent")                      \
    X(errors, "Requests of the version that ended in an error for the client")                                         \
    X(skipped, "Requests of the version that its breaker sent to stable at once")                                      \
    X(not_ready, "Requests of the version that it was not asked for, because no replica was ready")                    \
    X(aborted, "Requests whose client went away before the answer")                                                    \
    X(mirrored, "Copies of other versions' requests that the version was sent")                                        \
    X(mirror_failures, "Copies that it failed")                                                                        \
    X(mirror_dropped, "Copies that were not sent for want of room")                                                    \
    X(untold, "Requests of a rollout that the judge was not told of, because nobody took them in time")                \
    X(unheld, "Requests that went to stable because the controller of their rollout gave no sign of life")             \
    X(pictures, "Pictures that the version looked at for its answers, as it tells itself")                             \
    X(detections, "Objects that it found in them, as it tells itself")                                                 \
    X(request_bytes, "Bytes of request bodies")                                                                        \
    X(answer_bytes, "Bytes of answer bodies")

struct gateway_totals {
#define X(name, help) uint64_t name;
    GATEWAY_COUNTERS(X)
#undef X
    struct histogram_sum latency; /* of tries that the version answered, request sent to answer received */
    struct histogram_sum mirror_latency;
};

/* How requests ended for their clients, by the version that they were assigned to. GONE: the client went away. */
enum gateway_outcome { GATEWAY_2XX, GATEWAY_3XX, GATEWAY_4XX, GATEWAY_5XX, GATEWAY_GONE, GATEWAY_OUTCOME_COUNT };

/* The stages of a worker, as its Server-Timing names them. */
#define GATEWAY_STAGES(X) X(decode) X(queue) X(inference) X(post)
enum {
#define X(stage) GATEWAY_STAGE_##stage,
    GATEWAY_STAGES(X)
#undef X
        GATEWAY_STAGE_COUNT
};

/* Whole requests, and what workers tell of their part. */
struct gateway_work {
    uint64_t outcomes[GATEWAY_OUTCOME_COUNT][2]; /* [1]: stable answered in the version's place */
    struct histogram_sum whole;                  /* head read to answer given, by the version that was asked last */
    struct histogram_sum stages[GATEWAY_STAGE_COUNT];
    struct histogram_sum batch; /* pictures of one run of the network, not microseconds */
};

/* One line of the access log, finished, without its newline; called on gateway threads, must not block. */
typedef void gateway_log(void *user, const char *line, size_t size);

/* A request that was traced, for OpenTelemetry. Ids are hexadecimal digits as W3C Trace Context has them; times are
 * monotonic, and wall_offset_ns more is nanoseconds since 1970. */
#define GATEWAY_TRACE_ID_BYTES 33
#define GATEWAY_SPAN_ID_BYTES  17
#define GATEWAY_MAX_TRIES      3

struct gateway_try {
    char span_id[GATEWAY_SPAN_ID_BYTES], stage_ids[GATEWAY_STAGE_COUNT][GATEWAY_SPAN_ID_BYTES];
    char version[ROUTE_MAX_TEXT + 1], endpoint[GATEWAY_MAX_ADDRESS];
    uint64_t start_ns, end_ns;
    int status;      /* 0: no answer */
    const char *why; /* it failed: a constant sentence; or NULL */
    bool stages_told;
    uint64_t stage_us[GATEWAY_STAGE_COUNT];
    uint32_t batch;
};

struct gateway_trace {
    char trace_id[GATEWAY_TRACE_ID_BYTES], span_id[GATEWAY_SPAN_ID_BYTES], parent_id[GATEWAY_SPAN_ID_BYTES]; /* "" */
    uint64_t start_ns, end_ns, wall_offset_ns;
    char method[16], path[256], peer[128], request_id[64]; /* path: without the query */
    char model[ROUTE_MAX_TEXT + 1], assigned[ROUTE_MAX_TEXT + 1], version[ROUTE_MAX_TEXT + 1];
    const char *reason, *why; /* constant; why may be NULL */
    bool by_tls;              /* the client's connection */
    int status;               /* 499: the client went away */
    bool fell_back;
    uint64_t request_bytes, answer_bytes;
    int try_count;
    struct gateway_try tries[GATEWAY_MAX_TRIES];
};

/* Takes the trace, which is malloc'ed; called on gateway threads, must not block. */
typedef void gateway_traced(void *user, struct gateway_trace *trace);

struct gateway_options {
    const char *listen; /* "127.0.0.1:8080" */
    const int *sockets; /* that listen there already, handed over by another process; they are taken over */
    int socket_count;   /* 0: it listens itself */
    int threads;        /* 1..64 */
    struct http_server_options server;
    uint64_t answer_max_bytes;    /* of a version's answer; default 64 MiB */
    int connections_per_endpoint; /* of each thread; default 256 */
    int mirrors_in_flight;        /* of each thread; default 64; more are dropped */
    uint64_t mirror_bytes;        /* of bodies held for mirrors, each thread; default 256 MiB */
    struct tls *upstream_tls;     /* as http_client_options.tls, for versions at https:// URLs; borrowed */
    gateway_log *log;             /* NULL: none */
    void *log_user;
    gateway_traced *trace; /* NULL: nothing is traced */
    void *trace_user;
    double trace_sample;      /* share of the requests that are traced, of those whose client has no word in it */
    double log_sample;        /* share of the requests that are logged; errors and fallbacks always are. default 1 */
    const char *cors_origins; /* of web pages that may ask ("https://a.example http://localhost:3000"), "*": any; "" is
                                 the default: none but the gateway's own. Borrowed as long as the gateway lives */
};

void gateway_options_init(struct gateway_options *options);

struct gateway;

#define GATEWAY_MAX_SOCKETS 64

/* Makes what the threads need, and listens; nothing is answered before gateway_start. Options are copied, but for what
 * they point to. SERIN_INVALID, SERIN_IO, SERIN_NOMEM. */
MUST_USE enum serin_errc gateway_new(const struct gateway_options *options, struct gateway **ret,
                                     struct serin_error *error);
MUST_USE enum serin_errc gateway_start(struct gateway *gateway, struct serin_error *error); /* SERIN_NOMEM */
int gateway_port(const struct gateway *gateway);
/* The descriptors that its threads listen on, at most GATEWAY_MAX_SOCKETS; they stay the gateway's. Before it is
 * stopped. */
int gateway_sockets(const struct gateway *gateway, int *fds);

/* Checks and copies the table and puts it in force. From one thread only. SERIN_INVALID, SERIN_NOMEM. */
MUST_USE enum serin_errc gateway_publish(struct gateway *gateway, const struct gateway_table *table,
                                         struct serin_error *error);

/* The counters of a slot, added up over the threads; from any thread. */
void gateway_read(const struct gateway *gateway, int slot, struct gateway_totals *ret);

void gateway_read_work(const struct gateway *gateway, int slot, struct gateway_work *ret);

/* Of the data port, added up over the threads that have not ended; from any thread. Refused and evicted: for a limit
 * that was reached (http_server_options.max_connections). */
struct gateway_connections {
    uint64_t open, taken, refused, evicted;
};
void gateway_read_connections(struct gateway *gateway, struct gateway_connections *ret);

/* Whether the breaker of a slot is open now. */
bool gateway_breaker_open(const struct gateway *gateway, int slot);
void gateway_breaker_reset(struct gateway *gateway, int slot);

/* Stops listening and lets requests end for at most deadline_ms; stopped is called on a thread of the gateway when the
 * last of them has ended. handed_over: another process accepts at the sockets (http_server_hand_over). No table may be
 * published after this. */
void gateway_stop(struct gateway *gateway, uint64_t deadline_ms, bool handed_over, void (*stopped)(void *user),
                  void *user);
/* Stops it at once where it was not stopped, waits for the threads, frees. NULL is fine. */
void gateway_close(struct gateway *gateway);

/* ---- rollouts ---- */

/* The dead-man rule, of each model by itself: the route on trial with that lease sends nothing to anybody but stable
 * once for_ms have passed since the last call; 0: from the next request on. From any thread. */
void gateway_hold_trial(struct gateway *gateway, int lease, uint64_t for_ms);

struct gateway_answer {
    char tag[ROUTE_MAX_TEXT + 1];
    int status;         /* 0: none came */
    double latency_ms;  /* of its own try */
    char why[128];      /* of a copy with status 0: the client's sentence, or "later than 5000 ms"; "" */
    struct bytes *body; /* shared; may be NULL */
};

#define GATEWAY_MAX_BOXES 300 /* of one frame's labels; as many as of an answer are looked at */
#define GATEWAY_MAX_TYPE  160 /* of a Content-Type, with its boundary and NUL */

#define GATEWAY_MAX_REFUSAL 256

struct gateway_box {
    char name[64];        /* of its class; "" */
    int32_t class_id;     /* -1: by name */
    float x1, y1, x2, y2; /* px */
};

enum gateway_choice { GATEWAY_NEITHER, GATEWAY_STABLE_RIGHT, GATEWAY_CANARY_RIGHT, GATEWAY_BOTH_RIGHT };

struct gateway_feedback {
    char refused[GATEWAY_MAX_REFUSAL]; /* "", or why it was refused at once; then it says nothing else */
    uint64_t opened; /* bit of a lease: who posted it may speak of that model's requests, as its keys say */
    bool is_choice;
    enum gateway_choice choice; /* which answer of a pair is right */
    int box_count;              /* else: what is there to see */
    struct gateway_box boxes[];
};

enum gateway_sighting_kind { GATEWAY_SAW_REQUEST, GATEWAY_SAW_DRAW, GATEWAY_SAW_FEEDBACK };

/* What the judge is told: a request of a model on trial with its answers; before it, where versions were drawn for,
 * that it was, and which (model, key, drawn, shares, own.tag); or what somebody says of one that was. */
struct gateway_sighting {
    enum gateway_sighting_kind kind;
    char request_id[64];
    uint64_t time_ms; /* wall clock, when it was over, drawn, or posted */
    /* a request, a draw */
    uint64_t drawn_ms; /* wall clock, when its version was chosen */
    char model[ROUTE_MAX_TEXT + 1];
    char key[ROUTE_MAX_TEXT + 1]; /* the camera; "" */
    uint64_t revision;            /* of the route */
    bool is_prediction;           /* whose answer tells of pictures, or holds tensors */
    bool drawn;                   /* by weight, key or block: nobody named the version */
    double trial_share;           /* of the route's weight that is not stable's: the probability of that draw */
    double alone_share;           /* the same among those that only their own version sees: route_share_alone */
    bool fell_back;               /* stable answered in its place */
    int slice_count;              /* of the entry's slices, those that the request has */
    struct {
        char name[GATEWAY_SLICE_NAME + 1], value[GATEWAY_SLICE_VALUE + 1];
    } slices[GATEWAY_MAX_SLICES];
    struct gateway_answer own; /* of the version that it was assigned to */
    int copy_count;
    struct gateway_answer copies[ROUTE_MAX_MIRRORS]; /* of the mirrors; their status 0 where they failed */
    struct bytes *picture;               /* the request's body, shared, where gateway_want_pictures has asked
                                            for it and there was room; or NULL */
    char picture_type[GATEWAY_MAX_TYPE]; /* its Content-Type; "" where it is too long, too */
    struct gateway_feedback *feedback;   /* what was posted */
};

/* Whether a rollout of the model with that lease takes labels, and of which classes (NULL: not known; shared). Feedback
 * that none of these could take is refused at once. From any thread. */
void gateway_expect_labels(struct gateway *gateway, int lease, bool expected, struct class_list *classes);

/* What can be told of a frame's labels without knowing the frame, and with its size; SERIN_INVALID names the box. Boxes
 * must be larger than a pixel, since no object is smaller and shares of the picture's sides are, and half of each must
 * be in the picture: of another no version could find half, which is what counts as found. 0: a side is not known. */
MUST_USE enum serin_errc gateway_check_places(const struct gateway_feedback *feedback, int width_px, int height_px,
                                              struct serin_error *error);
/* Each label's class is one of the model's. Where these are not known (NULL) its name is taken as it is. SERIN_INVALID
 * names the box, the model and its classes. */
MUST_USE enum serin_errc gateway_check_classes(const struct gateway_feedback *feedback, const char *model,
                                               const struct class_list *classes, struct serin_error *error);

/* Whether sightings of requests that were copied to the version of a slot hold the request's body, too. Off at first;
 * from any thread. */
void gateway_want_pictures(struct gateway *gateway, int slot, bool wanted);

/* Takes a sighting, from the threads in turn, of each the oldest first; NULL where none waits. At most 2048 wait on
 * each thread, and 16 MiB of answers; what comes then is dropped and counted. Of bodies 16 MiB wait besides; where
 * there are more the sighting comes without. Free it with gateway_sighting_free. From one thread only.
 */
struct gateway_sighting *gateway_take_sighting(struct gateway *gateway);
void gateway_sighting_free(struct gateway_sighting *sighting);

#endif
