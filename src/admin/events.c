/*
 * events.c - server-sent events: one clock, and a place for each page that is open.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What all pages get is written once a look and shared; only the rollout that a page shows is its own. Where nobody
 * listens the clock stands.
 */
#include "admin/events.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_MS         1000
#define SOON_MS         50 /* what follows from a change, such as the next step's begin, is told with it */
#define MAX_EVENT_BYTES ((size_t)16 << 20)

struct stream {
    struct http_exchange *exchange; /* NULL: free */
    char rollout[128];              /* "": none */
};

struct events {
    const struct admin_target *target;
    struct access *access;
    uv_timer_t clock;
    uint64_t number; /* of the last look */
    struct stream streams[EVENTS_MAX_STREAMS];
};

/* ---- what is told ---- */

/* One event. data is JSON of one line; JSON text holds no line break of its own (RFC 8259, 7). */
static void write_event(struct buffer *out, const char *name, enum serin_errc rc, const struct buffer *data,
                        const struct serin_error *error)
{
    struct bytes *sentence = NULL;

    if (rc != SERIN_OK)
        sentence = http_error_body(error->message);
    buffer_printf(out, "event: %s\ndata: ", name);
    if (sentence)
        buffer_append(out, sentence->data, sentence->size);
    else if (rc == SERIN_OK)
        buffer_append(out, data->bytes, data->size);
    buffer_append_text(out, "\n\n");
    bytes_drop(sentence);
}

typedef enum serin_errc writer(void *user, struct buffer *out, struct serin_error *error);

static void tell(const struct events *events, const char *name, writer *write, struct buffer *out)
{
    struct serin_error error = {0};
    struct buffer data;
    enum serin_errc rc;

    buffer_init(&data, MAX_EVENT_BYTES);
    rc = write(events->target->user, &data, &error);
    if (rc == SERIN_OK)
        rc = buffer_check(&data, "an event", &error);
    write_event(out, name, rc, &data, &error);
    buffer_done(&data);
}

static void tell_rollout(const struct events *events, const char *rollout, struct buffer *out)
{
    struct serin_error error = {0};
    struct buffer data;
    enum serin_errc rc;

    buffer_init(&data, MAX_EVENT_BYTES);
    rc = events->target->rollout(events->target->user, rollout, &data, &error);
    if (rc == SERIN_OK)
        rc = buffer_check(&data, "an event", &error);
    write_event(out, "rollout", rc, &data, &error);
    buffer_done(&data);
}

static void tell_all(const struct events *events, struct buffer *out)
{
    buffer_printf(out, "id: %llu\n", (unsigned long long)events->number);
    tell(events, "status", events->target->status, out);
    tell(events, "rollouts", events->target->rollouts, out);
}

static struct bytes *bytes_of(const struct buffer *text)
{
    struct bytes *bytes = buffer_check(text, "events", NULL) == SERIN_OK ? bytes_new(text->size) : NULL;

    if (bytes && text->size > 0)
        memcpy(bytes->data, text->bytes, text->size);
    if (bytes)
        bytes->size = text->size;
    return bytes;
}

/* Sends what all get, and the stream's own rollout behind it. Without memory there is nothing this time. */
static void send_to(const struct events *events, const struct stream *stream, struct bytes *all)
{
    struct bytes *piece;
    struct buffer out;

    if (!stream->rollout[0]) {
        (void)http_stream_send(stream->exchange, all);
        return;
    }
    buffer_init(&out, 2 * MAX_EVENT_BYTES);
    buffer_append(&out, all->data, all->size);
    tell_rollout(events, stream->rollout, &out);
    piece = bytes_of(&out);
    if (piece)
        (void)http_stream_send(stream->exchange, piece);
    bytes_drop(piece);
    buffer_done(&out);
}

/* stream: to this one alone; NULL: to all. */
static void look(struct events *events, const struct stream *stream)
{
    struct buffer out;
    struct bytes *all;
    int i;

    buffer_init(&out, 2 * MAX_EVENT_BYTES);
    events->number++;
    if (stream)
        buffer_append_text(&out, "retry: 1000\n");
    tell_all(events, &out);
    all = bytes_of(&out);
    buffer_done(&out);
    for (i = 0; i < EVENTS_MAX_STREAMS && all; i++)
        if (events->streams[i].exchange && (!stream || stream == &events->streams[i]))
            send_to(events, &events->streams[i], all);
    bytes_drop(all);
}

static void end(struct stream *stream)
{
    struct http_exchange *exchange = stream->exchange;

    stream->exchange = NULL;
    if (exchange)
        http_stream_end(exchange);
}

/* The token may have been revoked, or somebody has logged out in another page. */
static void end_unwelcome(struct events *events)
{
    struct serin_error error;
    struct caller caller;
    int i;

    for (i = 0; i < EVENTS_MAX_STREAMS; i++)
        if (events->streams[i].exchange &&
            access_admit(events->access, events->streams[i].exchange, ROLE_VIEWER, false, &caller, &error) != 0)
            end(&events->streams[i]);
}

static void on_clock(uv_timer_t *clock)
{
    struct events *events = clock->data;
    int i;

    end_unwelcome(events);
    look(events, NULL);
    for (i = 0; i < EVENTS_MAX_STREAMS && !events->streams[i].exchange; i++)
        ;
    if (i == EVENTS_MAX_STREAMS)
        uv_timer_stop(clock);
}

void events_soon(struct events *events)
{
    if (uv_is_active((uv_handle_t *)&events->clock))
        uv_timer_start(&events->clock, on_clock, SOON_MS, LOOK_MS);
}

/* ---- streams ---- */

static void gone(void *user)
{
    end(user);
}

void events_begin(struct events *events, struct http_exchange *exchange)
{
    const struct http_head *head = http_exchange_head(exchange);
    struct stream *stream = NULL;
    struct buffer fields;
    int i;

    for (i = 0; i < EVENTS_MAX_STREAMS && !stream; i++)
        if (!events->streams[i].exchange)
            stream = &events->streams[i];
    if (!stream) {
        http_respond_error(exchange, 503, "%d pages are open already, the limit", EVENTS_MAX_STREAMS);
        return;
    }
    if (!http_query_get(head->query, "rollout", stream->rollout, sizeof(stream->rollout)))
        stream->rollout[0] = '\0';
    buffer_init(&fields, 512);
    http_write_field(&fields, "Content-Type", "text/event-stream");
    http_write_field(&fields, "Cache-Control", "no-store");
    http_write_field(&fields, "X-Accel-Buffering", "no"); /* a proxy in between passes each event on at once */
    stream->exchange = exchange;
    http_stream_begin(exchange, &fields, gone, stream);
    buffer_done(&fields);
    if (stream->exchange)
        look(events, stream);
    if (!uv_is_active((uv_handle_t *)&events->clock))
        uv_timer_start(&events->clock, on_clock, LOOK_MS, LOOK_MS);
}

/* ---- life ---- */

enum serin_errc events_new(uv_loop_t *loop, const struct admin_target *target, struct access *access,
                           struct events **ret, struct serin_error *error)
{
    struct events *events = calloc(1, sizeof(*events));

    if (!events)
        return error_set(error, SERIN_NOMEM, "no memory for the admin port's events");
    events->target = target;
    events->access = access;
    uv_timer_init(loop, &events->clock);
    events->clock.data = events;
    *ret = events;
    return SERIN_OK;
}

static void clock_closed(uv_handle_t *clock)
{
    free(clock->data);
}

void events_close(struct events *events)
{
    int i;

    if (!events)
        return;
    for (i = 0; i < EVENTS_MAX_STREAMS; i++)
        end(&events->streams[i]);
    uv_close((uv_handle_t *)&events->clock, clock_closed);
}
