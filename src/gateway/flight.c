/*
 * flight.c - one request on its way: route, try, fall back, answer.
 * SPDX-License-Identifier: Apache-2.0
 *
 *     assigned version --good--> answer
 *         | failed, too late, garbage, breaker open, nobody there
 *         v
 *     stable --good or a client's error--> answer
 *         | failed
 *         v
 *     another replica of stable --> its answer, whatever it is; 502, 503 or 504 where there is none
 *
 * A version that a client named in the path is not replaced by another. An answer of 4xx by a version on trial is
 * checked with stable: if stable agrees it was the client's fault, else the version's; where stable cannot tell, the
 * client gets what the version said. Which version is stable is asked anew at each try. Invariants: one try is under
 * way at a time, MAX_TRIES in all; the exchange is answered exactly once, by finish; a flight ends there, or in
 * client_went_away; a flight that the breaker let through tells it exactly once how it went.
 */
#include "gateway/inside.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define MAX_TRIES         GATEWAY_MAX_TRIES
#define MAX_ANSWER_FIELDS 32768 /* bytes; twice the head that a client takes from a version */

/* An answer of 4xx that is in doubt. */
struct refusal {
    int status; /* 0: there is none */
    struct buffer fields;
    struct bytes *body;
};

struct flight {
    struct thread *thread;
    struct http_exchange *exchange;
    char model[ROUTE_MAX_TEXT + 1], assigned[ROUTE_MAX_TEXT + 1], key[ROUTE_MAX_TEXT + 1], request_id[64];
    enum route_reason reason;
    int assigned_slot;
    char tag[ROUTE_MAX_TEXT + 1]; /* of the present try */
    int slot;
    bool on_stable, pinned;  /* pinned: the path named the version */
    struct breaker *breaker; /* that let a try through and waits to be told how it went; NULL: none */
    bool trial;              /* that as its trial */
    struct refusal refusal;  /* a version on trial answered 4xx, and stable is asked about it */
    int tries;
    uint64_t asked_ns; /* when the first version was asked; 0: none was yet */
    struct upstream *upstream;
    struct http_call *call;
    struct buffer head;
    struct mirrors *mirrors;
    struct gateway_sighting *sighting; /* NULL: no rollout wants it */
    struct gateway_trace *trace;       /* NULL: it is not traced */
    const char *why;                   /* of the last failure */
};

/* ---- the end ---- */

static const char *reason_text(enum route_reason reason)
{
    switch (reason) {
    case ROUTE_BY_WEIGHT:
        return "weight";
    case ROUTE_BY_KEY:
        return "key";
    case ROUTE_BY_BLOCK:
        return "block";
    case ROUTE_BY_RULE:
        return "rule";
    case ROUTE_BY_TAG:
        return "path";
    }
    return "";
}

static bool fell_back(const struct flight *flight)
{
    return strcmp(flight->assigned, flight->tag) != 0;
}

static void write_access_log(struct flight *flight, int status, size_t answer_bytes)
{
    struct access access = access_of(flight->exchange);

    access.model = flight->model;
    access.assigned = flight->assigned;
    access.tag = flight->tag;
    access.reason = reason_text(flight->reason);
    access.request_id = flight->request_id;
    access.why = flight->why;
    access.status = status;
    access.tries = flight->tries;
    access.answer_bytes = answer_bytes;
    access.fell_back = fell_back(flight);
    access.mirrored = flight->mirrors != NULL;
    access.trace_id = flight->trace ? flight->trace->trace_id : NULL;
    access_log_write(flight->thread, &access);
    trace_end(flight->thread, flight->trace, &access);
    flight->trace = NULL;
}

static void write_own_fields(struct flight *flight, struct buffer *fields)
{
    http_write_text(fields, "X-Serin-Version", flight->tag);
    http_write_text(fields, "X-Request-Id", flight->request_id);
    if (fell_back(flight))
        http_write_field(fields, "X-Serin-Fallback", "%s", flight->assigned);
    cors_write_fields(flight->thread, http_exchange_head(flight->exchange), fields);
}

/* The try has told nothing of the version. */
static void leave_breaker(struct flight *flight)
{
    if (flight->breaker)
        breaker_given_up(flight->breaker, flight->trial);
    flight->breaker = NULL;
}

static void free_flight(struct flight *flight)
{
    leave_breaker(flight);
    if (flight->refusal.status > 0) {
        buffer_done(&flight->refusal.fields);
        bytes_drop(flight->refusal.body);
    }
    buffer_done(&flight->head);
    free(flight->trace);
    free(flight);
}

static void count_answer(struct flight *flight, int status, bool of_version, size_t body_bytes)
{
    struct thread *thread = flight->thread;

    if (status >= 500)
        COUNT(thread, flight->assigned_slot, errors, 1);
    if (status >= 400 && status < 500)
        COUNT(thread, flight->slot, client_errors, 1);
    if (of_version)
        COUNT(thread, flight->slot, answered, 1);
    if (fell_back(flight) && status < 500) {
        COUNT(thread, flight->assigned_slot, fallbacks, 1);
        COUNT(thread, flight->slot, rescued, 1);
    }
    COUNT(thread, flight->slot, answer_bytes, body_bytes);
}

static void count_outcome(struct flight *flight, int status)
{
    enum gateway_outcome outcome = status == 499   ? GATEWAY_GONE
                                   : status >= 500 ? GATEWAY_5XX
                                   : status >= 400 ? GATEWAY_4XX
                                   : status >= 300 ? GATEWAY_3XX
                                                   : GATEWAY_2XX;

    COUNT(flight->thread, flight->assigned_slot, outcomes[outcome][fell_back(flight)], 1);
    if (outcome != GATEWAY_GONE)
        histogram_record(&flight->thread->counters[flight->slot].whole,
                         (clock_now_ns() - http_exchange_started_ns(flight->exchange)) / 1000);
}

/* 499 is our own word for a client that has gone. */
static bool blames_client(int status)
{
    return status >= 400 && status < 499;
}

/* The judge is told how it ended; by the mirrors, where there are some, once their answers are there too. */
static void tell_judge(struct flight *flight, int status)
{
    struct gateway_sighting *sighting = flight->sighting;

    if (sighting) {
        bool agreed = blames_client(sighting->own.status) && blames_client(status);

        sighting->fell_back = fell_back(flight) && !agreed; /* both blame the client: then it was the client */
    }
    if (flight->mirrors)
        mirror_primary_answered(flight->mirrors, flight->assigned_slot, sighting);
    else
        tap_push_request(flight->thread, flight->assigned_slot, sighting);
}

/* Answers the client and ends the flight. head: of the version's answer; NULL: it is the gateway's own. body is
 * shared. */
static void finish(struct flight *flight, int status, const struct http_head *head, struct bytes *body)
{
    bool of_version = head != NULL;
    struct buffer fields;

    buffer_init(&fields, MAX_ANSWER_FIELDS);
    if (status >= 500 && flight->refusal.status > 0) { /* stable could not tell, so the refusal stands */
        const struct buffer *refused = &flight->refusal.fields;

        status = flight->refusal.status;
        body = flight->refusal.body;
        of_version = true;
        memcpy(flight->tag, flight->assigned, sizeof(flight->tag));
        flight->slot = flight->assigned_slot;
        if (refused->failed == SERIN_OK)
            buffer_append(&fields, refused->bytes, refused->size);
        else
            fields.failed = refused->failed;
    } else if (head) {
        proxy_fields_write(&fields, head);
    } else {
        http_write_field(&fields, "Content-Type", "application/json");
        if (status == 503)
            http_write_field(&fields, "Retry-After", "1");
    }
    write_own_fields(flight, &fields);
    if (fields.failed) { /* half a head must not pass for one */
        buffer_clear(&fields);
        status = 503;
        body = NULL;
        of_version = false;
        flight->why = "no room for the head of the answer";
    }
    count_answer(flight, status, of_version, body ? body->size : 0);
    count_outcome(flight, status);
    write_access_log(flight, status, body ? body->size : 0);
    tell_judge(flight, status);
    http_respond(flight->exchange, status, &fields, body ? bytes_share(body) : NULL);
    buffer_done(&fields);
    free_flight(flight);
}

static void finish_with_error(struct flight *flight, int status, const char *sentence)
{
    struct bytes *body = own_error_body(http_exchange_head(flight->exchange), status, sentence, flight->request_id);

    finish(flight, status, NULL, body);
    bytes_drop(body);
}

/* ---- judging an answer ---- */

static void tell_breaker(struct flight *flight, bool failed)
{
    if (!flight->breaker)
        return;
    if (failed)
        breaker_failed(flight->breaker, flight->trial, thread_now_ms(flight->thread));
    else
        breaker_succeeded(flight->breaker);
    flight->breaker = NULL;
}

static void count_failure(struct flight *flight, bool timed_out, const char *why)
{
    struct thread *thread = flight->thread;

    flight->why = why;
    COUNT(thread, flight->slot, failures, 1);
    if (timed_out)
        COUNT(thread, flight->slot, timeouts, 1);
    if (!flight->on_stable)
        tell_breaker(flight, true);
}

/* Stable did what the version had refused as the client's fault: then the fault was the version's. */
static void count_wrong_refusal(struct flight *flight)
{
    COUNT(flight->thread, flight->assigned_slot, failures, 1);
    tell_breaker(flight, true);
}

/* ---- trying ---- */

static void answered(void *user, const struct http_answer *answer);

/* Whether the version may be tried. Stable always, and who names a version in the path does not speak for the others;
 * else its breaker is asked. */
static bool ask_breaker(struct flight *flight)
{
    struct thread *thread = flight->thread;
    struct breaker *breaker = &thread->gateway->breakers[flight->slot];

    if (flight->on_stable || flight->pinned)
        return true;
    leave_breaker(flight);
    switch (breaker_ask(breaker, thread_now_ms(thread))) {
    case BREAKER_TRIAL:
        flight->trial = true;
        flight->breaker = breaker;
        return true;
    case BREAKER_CLOSED:
        flight->trial = false;
        flight->breaker = breaker;
        return true;
    case BREAKER_OPEN:
        flight->why = "its breaker is open";
        break;
    case BREAKER_FULL:
        flight->why = "it is in doubt, and as many requests as it may fail are in flight";
        break;
    }
    COUNT(thread, flight->slot, skipped, 1);
    return false;
}

/* Starts a try in the present table, with another replica than not_this. False where the version has been taken away,
 * no replica of it takes requests, the budget of retries is spent, or its breaker does not let it through; that is
 * counted here. */
static bool start_try(struct flight *flight, const char *tag, const struct upstream *not_this)
{
    struct thread *thread = flight->thread;
    struct snapshot *snapshot = thread->snapshot;
    int entry = snapshot_find(snapshot, flight->model), version;
    const struct gateway_entry *of;
    struct upstream *upstream;

    if (entry < 0)
        return false;
    of = &snapshot->table->table.entries[entry];
    version = route_find(&of->route, tag);
    if (version < 0)
        return false;
    if (tag != flight->tag)
        snprintf(flight->tag, sizeof(flight->tag), "%s", tag);
    flight->slot = of->versions[version].slot;
    flight->on_stable = strcmp(tag, of->route.stable) == 0;
    upstream =
        upstream_pick(thread, snapshot->upstreams[entry][version], of->versions[version].endpoint_count, not_this);
    if (!upstream) {
        if (!not_this) { /* it is starting, or being taken off: nothing was asked of it that it could fail */
            COUNT(thread, flight->slot, not_ready, 1);
            flight->why = "no replica of the version is ready";
        }
        return false;
    }
    if (not_this && !retry_spend(thread, flight->slot))
        return false;
    if (!not_this)
        retry_earn(thread, flight->slot);
    if (!ask_breaker(flight))
        return false;
    trace_try_started(thread, flight->trace, &flight->head, flight->tag, upstream->address);
    if (http_call_start(upstream->client, &flight->head, http_exchange_body(flight->exchange),
                        flight->on_stable || flight->pinned ? of->route.timeout_ms : of->route.canary_timeout_ms,
                        answered, flight, &flight->call, NULL) != SERIN_OK) {
        count_failure(flight, false, "no more requests wait for the version than may");
        trace_try_ended(flight->trace, 0, flight->why, NULL);
        return false;
    }
    flight->upstream = upstream;
    upstream_started(upstream);
    if (flight->tries++ == 0)
        flight->asked_ns = clock_now_ns();
    return true;
}

/* The version that may answer in the place of the one that was tried; NULL: none. */
static const char *stable_instead(const struct flight *flight)
{
    const struct snapshot *snapshot = flight->thread->snapshot;
    int entry = snapshot_find(snapshot, flight->model);
    const char *stable = entry >= 0 ? snapshot->table->table.entries[entry].route.stable : "";

    return flight->pinned || !stable[0] || strcmp(stable, flight->tag) == 0 || flight->tries >= MAX_TRIES ? NULL
                                                                                                          : stable;
}

/* To stable; with its answer the flight goes on, and without a replica of it the flight ends. */
static void fall_back(struct flight *flight, const char *stable)
{
    if (!start_try(flight, stable, NULL))
        finish_with_error(flight, 503, "no replica of the model takes requests");
}

/* A try has failed: another version, another replica (predictions may be repeated), or the end. */
static void go_on(struct flight *flight, const struct upstream *failed, const struct http_answer *answer)
{
    const char *stable = stable_instead(flight);

    if (stable) {
        fall_back(flight, stable);
    } else if (flight->tries < MAX_TRIES && !answer->timed_out && start_try(flight, flight->tag, failed)) {
        return;
    } else if (answer->rc == SERIN_OK && answer->head->status >= 400) {
        finish(flight, answer->head->status, answer->head, answer->body);
    } else {
        finish_with_error(flight, answer->timed_out ? 504 : 502,
                          answer->timed_out ? "the model did not answer in time"
                                            : "the model's worker gave no valid answer");
    }
}

/* It blames the client: is it right? Stable is asked, and what it said is kept for the case that stable cannot tell.
 */
static void doubt(struct flight *flight, const char *stable, const struct http_answer *answer)
{
    struct refusal *refusal = &flight->refusal;

    refusal->status = answer->head->status;
    buffer_init(&refusal->fields, MAX_ANSWER_FIELDS);
    proxy_fields_write(&refusal->fields, answer->head);
    refusal->body = bytes_share(answer->body);
    flight->why = "the version refused the request";
    fall_back(flight, stable);
}

static void answered(void *user, const struct http_answer *answer)
{
    struct flight *flight = user;
    struct thread *thread = flight->thread;
    struct upstream *upstream = flight->upstream;
    int status = answer->rc == SERIN_OK ? answer->head->status : 0;
    double latency_ms = (double)answer->total_ns / 1e6;
    const char *why = NULL;
    struct work work = {0};

    flight->call = NULL;
    flight->upstream = NULL;
    if (status == 0)
        why = answer->timed_out ? "too late" : "no answer";
    else if (status >= 500)
        why = "an error of the version";
    else if (status < 400 && !flight->on_stable && !flight->pinned)
        why = status >= 300 ? "the version sends its clients elsewhere"
                            : sane_fault(flight->exchange, flight->model, answer);
    if (status > 0 && status < 400 && !why)
        work = work_read(answer->head);
    trace_try_ended(flight->trace, status, why, &work);
    upstream_ended(thread, upstream, why != NULL, latency_ms);
    if (flight->sighting && !fell_back(flight))
        sighting_set(&flight->sighting->own, why && status < 500 ? 0 : status, latency_ms, why ? NULL : answer->body);
    if (why) {
        count_failure(flight, answer->timed_out, why);
        go_on(flight, upstream, answer);
        return;
    }
    if (status >= 400 && !flight->on_stable && stable_instead(flight)) {
        doubt(flight, stable_instead(flight), answer);
        return;
    }
    if (status < 400) {
        histogram_record(&thread->counters[flight->slot].latency, answer->total_ns / 1000);
        work_count(thread, flight->slot, &work);
        if (flight->refusal.status > 0)
            count_wrong_refusal(flight);
        else
            tell_breaker(flight, false);
    }
    finish(flight, status, answer->head, answer->body);
}

static void client_went_away(void *user)
{
    struct flight *flight = user;
    struct thread *thread = flight->thread;

    COUNT(thread, flight->assigned_slot, aborted, 1);
    count_outcome(flight, 499);
    if (flight->call) {
        http_call_cancel(flight->call);
        upstream_given_up(flight->upstream);
        flight->call = NULL;
        flight->upstream = NULL;
    }
    flight->why = "the client went away";
    write_access_log(flight, 499, 0);
    /* Clients that tire of a slow version are told of, too; how long they took to send is not the version's time. */
    if (flight->sighting && !fell_back(flight))
        sighting_set(&flight->sighting->own, 499, clock_ms_since(flight->asked_ns), NULL);
    tell_judge(flight, 499);
    http_respond(flight->exchange, 499, NULL, NULL);
    free_flight(flight);
}

/* ---- the start ---- */

/* The dead-man rule: whether the controller of the route's rollout, if it has one, is alive. */
static bool is_held(const struct thread *thread, const struct gateway_entry *entry)
{
    return !entry->on_trial || atomic_load_explicit(&thread->gateway->trial_until_ms[entry->lease],
                                                    memory_order_relaxed) > thread_now_ms(thread);
}

/* What a model tells of itself (metadata, configuration, statistics): a client that reads several of these must not be
 * told of two versions, and they are nothing to judge a version by. */
static bool asks_for_document(const struct http_head *head)
{
    return !http_slice_is(head->method, "POST");
}

/* Which version the request is for. path_tag: that its path names, or "". Its reason is told in *ret; -1: none. */
static struct route_choice choose(struct flight *flight, const struct gateway_entry *of, const char *path_tag,
                                  bool held, bool *ret_drawn)
{
    const struct route *route = &of->route;
    const struct http_head *head = http_exchange_head(flight->exchange);
    struct route_request request = {.random = thread_random(flight->thread),
                                    .now_ms = route->unit == ROUTE_KEY_BLOCK ? clock_wall_ms() : 0};
    int stable = route_find(route, route->stable);
    struct route_choice choice;

    if (request_find_key(route, head, http_exchange_peer(flight->exchange), flight->key, sizeof(flight->key))) {
        request.key = flight->key;
        request.key_size = strlen(flight->key);
    } else {
        flight->key[0] = '\0';
    }
    flight->pinned = path_tag[0] && route_find(route, path_tag) >= 0;
    request.forced = flight->pinned ? path_tag : request_find_rule(route, head);
    if (asks_for_document(head) && !request.forced && stable >= 0)
        request.forced = route->stable;
    choice = route_pick(route, &request);
    if (flight->pinned || asks_for_document(head))
        choice.reason = ROUTE_BY_TAG;
    *ret_drawn = !request.forced;
    if (!held && *ret_drawn && stable >= 0 && choice.version >= 0 && choice.version != stable) {
        COUNT(flight->thread, of->versions[choice.version].slot, unheld, 1);
        choice.version = stable;
    }
    return choice;
}

/* The values of the fields that the judge slices by. */
static void read_slices(const struct gateway_entry *of, const struct http_head *head, struct gateway_sighting *sighting)
{
    int i;

    for (i = 0; i < of->slice_count; i++) {
        const struct http_slice *value = http_find(head, of->slices[i]);
        char *text = sighting->slices[sighting->slice_count].value;

        if (!value || value->size == 0)
            continue;
        if (!http_slice_copy(*value, text, GATEWAY_SLICE_VALUE + 1))
            snprintf(text, GATEWAY_SLICE_VALUE + 1, "%.40s~%zu", value->bytes, value->size);
        memcpy(sighting->slices[sighting->slice_count++].name, of->slices[i], sizeof(of->slices[i]));
    }
}

/* The judge is told of it, and copies are sent, where the route is held. */
static void watch_request(struct flight *flight, int entry, bool drawn, bool is_pinned)
{
    struct thread *thread = flight->thread;
    const struct gateway_entry *of = &thread->snapshot->table->table.entries[entry];
    const struct mirror_request copy = {.head = http_exchange_head(flight->exchange),
                                        .body = http_exchange_body(flight->exchange),
                                        .request_id = flight->request_id,
                                        .peer = http_exchange_peer(flight->exchange)};

    if (of->on_trial) {
        if (drawn)
            tap_push_draw(thread, of, flight->assigned, flight->key);
        flight->sighting = sighting_new(of, flight->request_id, flight->key);
        if (flight->sighting) {
            flight->sighting->is_prediction = request_kind_of(copy.head) != REQUEST_OTHER;
            flight->sighting->drawn = drawn;
            read_slices(of, copy.head, flight->sighting);
            memcpy(flight->sighting->own.tag, flight->assigned, sizeof(flight->assigned));
        }
    }
    /* A path that names a version means nothing to another one. */
    if (of->route.mirror_count > 0 && !is_pinned)
        flight->mirrors = mirror_start(thread, entry, flight->assigned, &copy, flight->sighting != NULL);
}

static void route_request(struct thread *thread, struct http_exchange *exchange, int entry, const char *path_tag,
                          const char *key_field)
{
    const struct http_head *head = http_exchange_head(exchange);
    const struct gateway_entry *of = &thread->snapshot->table->table.entries[entry];
    struct flight *flight = malloc(sizeof(*flight));
    bool held = is_held(thread, of), drawn;
    struct route_choice choice;
    const char *stable;

    if (!flight) {
        own_respond_error(thread, exchange, 503, "no memory for the request");
        return;
    }
    *flight = (struct flight){.thread = thread, .exchange = exchange};
    choice = choose(flight, of, path_tag, held, &drawn);
    if (choice.version < 0 || (path_tag[0] && !flight->pinned && strspn(path_tag, "0123456789") != strlen(path_tag))) {
        free(flight);
        if (path_tag[0])
            own_respond_error(thread, exchange, 404, "model '%s' has no version '%s' in its route", of->route.model,
                              path_tag);
        else
            own_respond_error(thread, exchange, 503, "the route of model '%s' has no version with weight",
                              of->route.model);
        return;
    }
    flight->reason = choice.reason;
    memcpy(flight->model, of->route.model, sizeof(flight->model));
    memcpy(flight->assigned, of->route.versions[choice.version].tag, sizeof(flight->assigned));
    flight->assigned_slot = flight->slot = of->versions[choice.version].slot;
    memcpy(flight->tag, flight->assigned, sizeof(flight->tag));
    proxy_request_id(thread, head, flight->request_id, sizeof(flight->request_id));
    buffer_init(&flight->head, head->head_bytes + 1024);
    (void)buffer_reserve(&flight->head, head->head_bytes + 128); /* nearly always enough; a failure it keeps */
    flight->trace = trace_begin(thread, head);
    proxy_head_write(&flight->head, head, http_exchange_peer(exchange), flight->request_id, false, key_field,
                     flight->trace);
    COUNT(thread, flight->assigned_slot, requests, 1);
    COUNT(thread, flight->assigned_slot, request_bytes, http_exchange_body(exchange)->size);
    http_exchange_on_abort(exchange, client_went_away, flight);
    if (held && !asks_for_document(head))
        watch_request(flight, entry, drawn, path_tag[0]);
    if (start_try(flight, flight->tag, NULL))
        return;
    stable = stable_instead(flight);
    if (stable)
        fall_back(flight, stable);
    else
        finish_with_error(flight, 503, "no replica of the model takes requests");
}

/* No model server needs others, and some take what they do not know for what they do: gunicorn 20 answers "get". */
static bool is_known_method(struct http_slice method)
{
    return http_slice_is(method, "POST") || http_slice_is(method, "GET") || http_slice_is(method, "HEAD");
}

static void refuse_method(struct thread *thread, struct http_exchange *exchange)
{
    const struct http_head *head = http_exchange_head(exchange);
    struct buffer fields;

    if (http_slice_is(head->method, "OPTIONS")) {
        buffer_init(&fields, OWN_FIELDS_BYTES);
        http_write_field(&fields, "Allow", "%s, OPTIONS", request_allowed(head->path));
        own_respond(thread, exchange, 204, &fields, NULL, NULL);
        buffer_done(&fields);
        return;
    }
    own_respond_error(thread, exchange, 405, "the methods here are GET, HEAD, POST and OPTIONS; this path takes %s",
                      request_allowed(head->path));
}

void flight_start(void *user, struct http_exchange *exchange)
{
    struct thread *thread = user;
    char model[ROUTE_MAX_TEXT + 1], tag[ROUTE_MAX_TEXT + 1];
    const char *key_field;
    int entry;

    thread_take_table(thread);
    if (cors_answer(thread, exchange))
        return;
    if (!is_known_method(http_exchange_head(exchange)->method)) {
        refuse_method(thread, exchange);
        return;
    }
    if (own_answer(thread, exchange) || feedback_answer(thread, exchange))
        return;
    if (request_has_dot_segment(http_exchange_head(exchange)->path)) {
        own_respond_error(thread, exchange, 400, "a path with '.' or '..' segments");
        return;
    }
    if (!request_read_path(http_exchange_head(exchange)->path, model, tag, sizeof(model))) {
        own_respond_error(thread, exchange, 404,
                          "no such path: POST /v1/predict/MODEL, or the Open Inference Protocol at /v2");
        return;
    }
    entry = snapshot_find(thread->snapshot, model);
    if (entry < 0) {
        own_respond_error(thread, exchange, 404,
                          "no model '%s' is served here: POST /v2/repository/index lists those that are", model);
        return;
    }
    if (!http_slice_is(http_exchange_head(exchange)->method, "POST") &&
        strcmp(request_allowed(http_exchange_head(exchange)->path), "POST") == 0) {
        own_respond_error(thread, exchange, 405, "this path takes POST");
        return;
    }
    if (!key_admits(&thread->snapshot->table->table.entries[entry], http_exchange_head(exchange), &key_field)) {
        own_respond_error(thread, exchange, 401,
                          "model '%s' needs an API key of its own: Authorization: Bearer, or X-Api-Key", model);
        return;
    }
    route_request(thread, exchange, entry, tag, key_field);
}
