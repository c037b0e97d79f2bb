/*
 * inside.h - what the files of the gateway share: threads, snapshots, upstreams, flights.  For src/gateway alone.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Who touches what: struct gateway's table pointer is under its mutex, and its revision tells threads without it that
 * there is a new one. Everything else below belongs to one thread; counters are atomics that only their thread writes;
 * breakers are atomics that all write. What labels are expected is under the mutex, too.
 */
#ifndef GATEWAY_INSIDE_H
#define GATEWAY_INSIDE_H

#include "base/clock.h"
#include "gateway/gateway.h"
#include "http/client.h"

#include <pthread.h>

#define MAX_THREADS      64
#define TAP_SIGHTINGS    2048 /* a power of two; a request has two at most */
#define TAP_BYTES        ((size_t)16 << 20)
#define TAP_PICTURES     ((size_t)16 << 20) /* bytes of bodies */
#define EJECT_FAILURES   5                  /* of one endpoint in a row */
#define EJECT_MS         5000  /* then it gets no requests for so long, unless all of its version are out */
#define SLOW_START_MS    10000 /* a new endpoint's share rises over this time */
#define BREAKER_FIRST_MS 5000  /* until a trial; doubled with every trial that fails */
#define BREAKER_MAX_MS   60000

#define BREAKER_MOST 10 /* requests that an all-failing version gets before it is off */

/* Whether a version may be tried. Shared by all threads. */
struct breaker {
    atomic_int failures;            /* in a row */
    atomic_int in_flight;           /* requests that were let through and have not told how they went */
    atomic_bool proven;             /* it has succeeded since it was deployed */
    _Atomic uint64_t open_until_ms; /* monotonic; 0: closed */
    _Atomic uint64_t open_for_ms;
    atomic_bool trial; /* one request is trying it */
};

enum breaker_answer {
    BREAKER_CLOSED,
    BREAKER_TRIAL,
    BREAKER_OPEN, /* this and the next: not to be tried */
    BREAKER_FULL  /* in doubt, and as many requests as may still fail are in flight */
};
/* Who is let through (the first two) must say exactly once how it went. trial: whether it was the trial. */
enum breaker_answer breaker_ask(struct breaker *breaker, uint64_t now_ms);
void breaker_succeeded(struct breaker *breaker);
void breaker_failed(struct breaker *breaker, bool trial, uint64_t now_ms);
void breaker_given_up(struct breaker *breaker, bool trial); /* nothing was learnt of the version */
void breaker_reset(struct breaker *breaker);                /* it has been deployed anew: nothing is known of it */

struct slot_counters {
#define X(name, help) _Atomic uint64_t name;
    GATEWAY_COUNTERS(X)
#undef X
    _Atomic uint64_t outcomes[GATEWAY_OUTCOME_COUNT][2];
    struct histogram latency, mirror_latency;
    struct histogram whole, stages[GATEWAY_STAGE_COUNT], batch; /* as struct gateway_work */
};

#define COUNT(thread, slot, name, more)                                                                                \
    atomic_store_explicit(&(thread)->counters[slot].name,                                                              \
                          atomic_load_explicit(&(thread)->counters[slot].name, memory_order_relaxed) + (more),         \
                          memory_order_relaxed)

/* One endpoint, as one thread sees it. */
struct upstream {
    struct upstream *next;
    char address[GATEWAY_MAX_ADDRESS];
    struct http_client *client;
    int in_flight;
    int failures; /* in a row */
    uint64_t ejected_until_ms, since_ms;
    double latency_ms; /* exponentially weighted, weight 1/8 for the newest */
    bool wanted;       /* in the present table */
};

/* The table as one thread has taken it up. Used within a callback only: a request in flight remembers tags, and looks
 * them up again when it has to try elsewhere, so that what was taken away meanwhile is not tried. */
struct snapshot {
    struct shared_table *table;
    struct upstream *upstreams[GATEWAY_MAX_MODELS][ROUTE_MAX_VERSIONS][GATEWAY_MAX_ENDPOINTS];
};

struct shared_table {
    atomic_int owners;
    struct gateway_table table;
};

/* Sightings on their way from one thread to the one that takes them: a ring with one writer and one reader. */
struct tap {
    _Atomic uint32_t written, taken; /* only their own side writes them */
    _Atomic size_t bytes, picture_bytes;
    struct gateway_sighting *ring[TAP_SIGHTINGS];
};

struct thread {
    struct gateway *gateway;
    pthread_t id;
    uv_loop_t loop;
    uv_async_t wake; /* a new table, or the end */
    uv_timer_t reaper;
    struct http_server *server;
    struct snapshot *snapshot; /* NULL before the first table */
    struct upstream *upstreams;
    uint64_t revision; /* of the snapshot */
    uint64_t random_state;
    uint8_t secret[256]; /* random bytes from the kernel, of which the first secret_left are unused */
    size_t secret_left;
    uint32_t retry_credit[GATEWAY_MAX_SLOTS];
    int mirrors_in_flight;
    uint64_t mirror_bytes;
    bool closing, started;
    bool over;                      /* its server is about to be freed; under the gateway's lock */
    struct clock_stamp stamp;       /* of the access log's lines */
    struct buffer line;             /* the present one */
    struct slot_counters *counters; /* [GATEWAY_MAX_SLOTS] */
    struct tap tap;
};

struct gateway {
    struct gateway_options options;
    char listen[GATEWAY_MAX_ADDRESS];
    int port;
    pthread_mutex_t lock; /* table, and each thread's over */
    struct shared_table *table;
    _Atomic uint64_t revision;
    atomic_bool stopping;
    uint64_t deadline_ms;
    bool handed_over;
    atomic_int running; /* threads that have not closed their server yet */
    void (*stopped)(void *user);
    void *stopped_user;
    int taken_last; /* the thread of which the last sighting was taken; only who takes them touches it */
    struct breaker breakers[GATEWAY_MAX_SLOTS];
    _Atomic uint64_t trial_until_ms[GATEWAY_MAX_MODELS]; /* monotonic, by lease: gateway_hold_trial */
    atomic_bool wants_pictures[GATEWAY_MAX_SLOTS];
    struct {
        bool expected;
        struct class_list *classes; /* NULL: not known */
    } labels[GATEWAY_MAX_MODELS];   /* by lease; under lock */
    struct thread threads[MAX_THREADS];
};

/* table.c */
void thread_take_table(struct thread *thread); /* cheap where there is nothing new */
void snapshot_free(struct snapshot *snapshot); /* NULL is fine */
int snapshot_find(const struct snapshot *snapshot,
                  const char *model); /* index of the entry, or -1; snapshot may be NULL */
void thread_reap_upstreams(struct thread *thread, bool all);
uint64_t thread_now_ms(const struct thread *thread);

/* random.c */
#define THREAD_ID_BYTES 33 /* 128 bits in hexadecimal digits, and NUL */
/* SERIN_IO where the kernel has no generator. */
MUST_USE enum serin_errc thread_seed(struct thread *thread, struct serin_error *error);
uint64_t thread_random(struct thread *thread); /* for drawing; never shown to anybody */
bool thread_chance(struct thread *thread, double probability);
void thread_random_id(struct thread *thread, char id[THREAD_ID_BYTES]);

/* retry.c */
void retry_begin(struct thread *thread);           /* with the free tries of ten seconds */
void retry_second_over(struct thread *thread);     /* to be called once a second */
void retry_earn(struct thread *thread, int slot);  /* a request of the version: part of a try */
bool retry_spend(struct thread *thread, int slot); /* whether a try may be made again; counted */

/* upstream.c: whoever starts says once how it ended, or that it was given up. */
/* The less loaded of two drawn from the endpoints of a version, but for not_this (NULL: none); NULL: there is no other.
 */
struct upstream *upstream_pick(struct thread *thread, struct upstream *const *endpoints, int count,
                               const struct upstream *not_this);
void upstream_started(struct upstream *upstream);
void upstream_ended(struct thread *thread, struct upstream *upstream, bool failed, double latency_ms);
void upstream_given_up(struct upstream *upstream); /* the client went away: nothing was learnt of the endpoint */

/* flight.c */
void flight_start(void *user, struct http_exchange *exchange); /* the server's handler */

/* request.c */
/* "/v1/predict/MODEL", "/v2/models/MODEL/..." and its "versions/TAG"; size: of both. False where the path names no
 * model. */
bool request_read_path(struct http_slice path, char *model, char *tag, size_t size);
enum request_kind {
    REQUEST_PREDICTION, /* POST /v1/predict/... */
    REQUEST_INFERENCE,  /* POST /v2/models/.../infer */
    REQUEST_OTHER
};
enum request_kind request_kind_of(const struct http_head *head);
const char *request_allowed(struct http_slice path); /* the methods that a path takes, for Allow */
/* "." and "..", plain or percent-encoded: servers that resolve them would see another path than the one that was
 * routed. */
bool request_has_dot_segment(struct http_slice path);
/* The value that the route's key has in the request; false where there is none, or a longer one than size takes. */
bool request_find_key(const struct route *route, const struct http_head *head, const char *peer, char *key,
                      size_t size);
const char *request_find_rule(const struct route *route, const struct http_head *head); /* its tag, or NULL */

/* sane.c */
/* What is wrong with an answer of 2xx for a route's model, as a constant sentence; NULL: it answers what was asked. */
const char *sane_fault(const struct http_exchange *exchange, const char *model, const struct http_answer *answer);

/* own.c: answers that no version gives. Each has its line in the access log, a request id, and what a web page needs.
 */
/* Answers what is asked of the gateway itself (health, metadata). True where it did. */
bool own_answer(struct thread *thread, struct http_exchange *exchange);
void own_accept(struct thread *thread, struct http_exchange *exchange); /* 202 */
#define OWN_FIELDS_BYTES 32768 /* an allowed Origin is in them, which may be as long as a head */
/* fields (appended to) and body (taken over; NULL: empty) are the answer; why: for the log, NULL where nothing is
 * wrong. */
void own_respond(struct thread *thread, struct http_exchange *exchange, int status, struct buffer *fields,
                 struct bytes *body, const char *why);
void own_respond_error(struct thread *thread, struct http_exchange *exchange, int status, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* On /v1 paths as a worker says it, {"error": {"code", "message"}, "request_id"}; on others {"error": sentence}, as the
 * Open Inference Protocol has it. NULL without memory. */
struct bytes *own_error_body(const struct http_head *head, int status, const char *sentence, const char *request_id);
void own_refused(void *user, const struct http_refusal *refusal, struct buffer *fields); /* the server's own answers */

/* cors.c: answers browsers' preflights, and refuses what a page of an origin that is not allowed sends. True where it
 * did. */
bool cors_answer(struct thread *thread, struct http_exchange *exchange);
/* The fields with which the page of an allowed origin may read an answer; none for other requests. */
void cors_write_fields(struct thread *thread, const struct http_head *head, struct buffer *fields);

/* access_log.c */
struct access {
    struct http_slice method, path;      /* empty: they could not be read */
    const char *peer, *request_id, *why; /* why: NULL where nothing went wrong */
    uint64_t started_ns;
    size_t request_bytes, answer_bytes; /* of the bodies */
    int status;
    const char *model; /* NULL: none was asked, and nothing of what follows is told */
    const char *assigned, *tag, *reason;
    int tries;
    bool fell_back, mirrored;
    const char *trace_id; /* NULL: it is not traced */
};
void access_log_write(struct thread *thread, const struct access *access);
/* What the exchange tells of itself; the rest is 0. */
struct access access_of(const struct http_exchange *exchange);

/* work.c */
struct work { /* 0: not told */
    bool stages_told;
    uint64_t stage_us[GATEWAY_STAGE_COUNT];
    uint32_t pictures, batch, detections;
};
struct work work_read(const struct http_head *head); /* of a version's answer */
void work_count(struct thread *thread, int slot, const struct work *work);

/* trace.c; of a request that is not traced the trace is NULL everywhere */
struct access;
struct gateway_trace *trace_begin(struct thread *thread, const struct http_head *head);
void trace_write_parent(const struct gateway_trace *trace, struct buffer *out); /* must be the head's last field */
void trace_try_started(struct thread *thread, struct gateway_trace *trace, struct buffer *head, const char *tag,
                       const char *endpoint);
void trace_try_ended(struct gateway_trace *trace, int status, const char *why, const struct work *work);
void trace_end(struct thread *thread, struct gateway_trace *trace, const struct access *access); /* takes it */

/* tap.c */
/* A request of a model on trial; NULL without memory. */
struct gateway_sighting *sighting_new(const struct gateway_entry *entry, const char *request_id, const char *key);
void sighting_set(struct gateway_answer *answer, int status, double latency_ms, struct bytes *body); /* shares body */
/* Gives it to the judge; false where there is no room: then it is freed. */
bool tap_push(struct thread *thread, struct gateway_sighting *sighting);
/* Tells of the draw that gave a request that version, where there was something to draw. */
void tap_push_draw(struct thread *thread, const struct gateway_entry *entry, const char *tag, const char *key);
/* As tap_push, with a counter of slot for those without room; NULL is fine. */
void tap_push_request(struct thread *thread, int slot, struct gateway_sighting *sighting);

/* feedback.c */
bool feedback_answer(struct thread *thread, struct http_exchange *exchange); /* true where it was feedback */
MUST_USE enum serin_errc feedback_read(const uint8_t *text, size_t size, struct gateway_feedback **ret,
                                       struct serin_error *error); /* ret is the caller's: free */

/* key.c */
/* Whether the request may ask the model; *ret_used is the name of the field with its key, NULL where none is needed. */
bool key_admits(const struct gateway_entry *entry, const struct http_head *head, const char **ret_used);
/* Bit of a lease: the request may ask that model, as far as keys go. snapshot may be NULL. */
uint64_t key_opened(const struct snapshot *snapshot, const struct http_head *head);

/* mirror.c */
struct mirror_request { /* what of a request a copy needs; taken over by mirror_start's mirrors */
    const struct http_head *head;
    struct bytes *body;
    const char *request_id, *peer;
};
struct mirrors; /* the copies of one request, and its own answer when it comes */
struct mirrors *mirror_start(struct thread *thread, int entry, const char *primary_tag,
                             const struct mirror_request *request,
                             bool is_watched); /* whether the copies' answers will be asked for; NULL: none is sent */
/* The client has its answer. sighting (NULL where it is not watched) waits for the copies' answers and goes to the
 * judge with them. Called once where mirror_start gave something. */
void mirror_primary_answered(struct mirrors *mirrors, int slot, struct gateway_sighting *sighting);

/* proxy_head.c */
/* The head of the request for a version: what may pass, and what the gateway adds. for_mirror leaves out credentials;
 * used (NULL: none) is the field that was a credential for the gateway itself; a trace (NULL: none) takes the place of
 * the client's traceparent. */
void proxy_head_write(struct buffer *out, const struct http_head *head, const char *peer, const char *request_id,
                      bool for_mirror, const char *used, const struct gateway_trace *trace);
/* The fields of a version's answer that may pass. */
void proxy_fields_write(struct buffer *out, const struct http_head *head);
/* A request id: the client's own where it has a sane one, else a random one. size is THREAD_ID_BYTES at least. */
void proxy_request_id(struct thread *thread, const struct http_head *head, char *id, size_t size);

#endif
