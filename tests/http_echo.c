/*
 * http_echo.c - a server that answers every request with the body it was sent: what conformance suites and load
 * generators are pointed at.
 * SPDX-License-Identifier: Apache-2.0
 *
 * http_echo ADDRESS [BYTES | worker | slow=MS]: prints the port it listens on, serves until SIGTERM or SIGINT. With
 * BYTES every answer is that many bytes of 'x' instead; as "worker" it sees nothing in any picture, and tells of its
 * stages; slow, an answer to a body is empty and comes MS later. A request that has no body is answered "ok". An echo
 * has the type that it was sent as. It has no documents of models (404), so that no two versions differ by theirs.
 */
#include "http/server.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct echo {
    struct http_server *server;
    uv_signal_t interrupt, terminate;
    struct bytes *fixed; /* NULL: echo */
    const char *fields;  /* of that; "" */
    uint64_t slow_ms;    /* 0: at once */
};

/* An answer that is not due yet; lost where the server ends before. */
struct late {
    uv_timer_t timer;
    struct http_exchange *exchange;
};

static void free_late(uv_handle_t *timer)
{
    free(timer->data);
}

static void on_due(uv_timer_t *timer)
{
    struct late *late = timer->data;

    http_respond(late->exchange, 200, NULL, NULL);
    uv_close((uv_handle_t *)timer, free_late);
}

static void answer_late(struct echo *echo, struct http_exchange *exchange)
{
    struct late *late = calloc(1, sizeof(*late));

    if (!late) {
        http_respond_error(exchange, 503, "no memory");
        return;
    }
    late->exchange = exchange;
    late->timer.data = late;
    uv_timer_init(echo->interrupt.loop, &late->timer);
    uv_unref((uv_handle_t *)&late->timer);
    uv_timer_start(&late->timer, on_due, echo->slow_ms, 0);
}

static bool asks_for_model(const struct http_head *head)
{
    static const char documents[] = "/v2/models/";

    return http_slice_is(head->method, "GET") && head->path.size >= sizeof(documents) - 1 &&
           memcmp(head->path.bytes, documents, sizeof(documents) - 1) == 0;
}

static void on_request(void *user, struct http_exchange *exchange)
{
    struct echo *echo = user;
    struct bytes *body = http_exchange_body(exchange);
    const struct http_head *head = http_exchange_head(exchange);

    if (http_slice_is(head->method, "TRACE")) {
        http_respond_error(exchange, 405, "TRACE is not answered here");
        return;
    }
    if (asks_for_model(head)) {
        http_respond_error(exchange, 404, "no model is described here");
        return;
    }
    if (echo->slow_ms > 0 && body->size > 0) {
        answer_late(echo, exchange);
        return;
    }
    if (echo->fixed) {
        struct buffer fields;

        buffer_init(&fields, 4096);
        buffer_append_text(&fields, echo->fields);
        http_respond(exchange, 200, &fields, bytes_share(echo->fixed));
        buffer_done(&fields);
        return;
    }
    if (body->size > 0) {
        const struct http_slice *type = http_find(head, "Content-Type");
        struct buffer fields;

        buffer_init(&fields, 32768);
        if (type)
            http_write_slice(&fields, (struct http_slice){"Content-Type", 12}, *type);
        http_respond(exchange, 200, &fields, bytes_share(body));
        buffer_done(&fields);
        return;
    }
    body = bytes_new(2);
    if (body) {
        memcpy(body->data, "ok", 2);
        body->size = 2;
    }
    http_respond(exchange, 200, NULL, body);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct echo *echo = signal->data;

    (void)number;
    uv_close((uv_handle_t *)&echo->interrupt, NULL);
    uv_close((uv_handle_t *)&echo->terminate, NULL);
    http_server_close(echo->server, 1000, NULL, NULL);
}

static int fail(const char *what)
{
    fprintf(stderr, "http_echo: %s\n", what);
    return 1;
}

int main(int argc, char **argv)
{
    struct http_server_options options;
    struct serin_error error;
    struct echo echo = {.fields = ""};
    uv_loop_t loop;

    if (argc < 2 || argc > 3)
        return fail("usage: http_echo ADDRESS [BYTES | worker | slow=MS]");
    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && strcmp(argv[2], "worker") == 0) {
        static const char seen[] = "{\"images\": [{\"results\": []}]}";

        echo.fields = "Content-Type: application/json\r\n"
                      "Server-Timing: decode;dur=1.250, queue;dur=0.100, inference;dur=12.500, post;dur=0.300\r\n"
                      "X-Serin-Work: pictures=1, batch=1, detections=0\r\n";
        echo.fixed = bytes_new(sizeof(seen) - 1);
        if (!echo.fixed)
            return fail("no memory");
        memcpy(echo.fixed->data, seen, sizeof(seen) - 1);
        echo.fixed->size = sizeof(seen) - 1;
    } else if (argc == 3 && strncmp(argv[2], "slow=", 5) == 0) {
        echo.slow_ms = strtoul(argv[2] + 5, NULL, 10);
    } else if (argc == 3) {
        size_t size = strtoul(argv[2], NULL, 10);

        echo.fixed = size <= 64u << 20 ? bytes_new(size) : NULL;
        if (!echo.fixed)
            return fail("BYTES lies within 0 and 64 MiB");
        memset(echo.fixed->data, 'x', size);
        echo.fixed->size = size;
    }
    if (uv_loop_init(&loop) != 0)
        return fail("no event loop");
    http_server_options_init(&options);
    if (http_server_new(&loop, &options, on_request, &echo, &echo.server, &error) != SERIN_OK ||
        http_server_listen(echo.server, argv[1], false, &error) != SERIN_OK)
        return fail(error.message);
    uv_signal_init(&loop, &echo.interrupt);
    uv_signal_init(&loop, &echo.terminate);
    echo.interrupt.data = echo.terminate.data = &echo;
    uv_signal_start(&echo.interrupt, on_signal, SIGINT);
    uv_signal_start(&echo.terminate, on_signal, SIGTERM);
    printf("%d\n", http_server_port(echo.server));
    fflush(stdout);
    uv_run(&loop, UV_RUN_DEFAULT);
    bytes_drop(echo.fixed);
    return uv_loop_close(&loop) == 0 ? 0 : fail("something is left on the loop");
}
