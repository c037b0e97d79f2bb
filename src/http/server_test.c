/*
 * server_test.c - the server against raw clients: every split, pipelines, limits, times, ends, missing memory.
 * SPDX-License-Identifier: Apache-2.0
 *
 * One loop turned by hand; times are injected by calling the sweep with a later clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/test_frail.h"

#include "http/body.c"
#include "http/connection.c"
#include "http/server.c"
#undef malloc
#undef calloc
#undef realloc

#include "http/test_peer.h"

#include <signal.h>
#include <sys/resource.h>

#define MAX_HELD 16

/* ---- the server under test ---- */

static struct {
    uv_loop_t loop;
    struct http_server *server;
    int port;
    bool answer_aborted; /* from within the callback */
    bool hold;           /* the handler keeps exchanges instead of answering */
    struct http_exchange *held[MAX_HELD];
    int held_count, aborted, handled;
    bool closed;
} at;

/* "METHOD target body" */
static void answer_echo(struct http_exchange *exchange)
{
    const struct http_head *head = http_exchange_head(exchange);
    struct bytes *got = http_exchange_body(exchange);
    struct bytes *body = bytes_new(got->size + head->method.size + head->target.size + 3);

    if (!body) { /* where allocations are made to fail */
        http_respond(exchange, 200, NULL, NULL);
        return;
    }
    body->size = (size_t)snprintf((char *)body->data, body->capacity, "%.*s %.*s ", (int)head->method.size,
                                  head->method.bytes, (int)head->target.size, head->target.bytes);
    memcpy(body->data + body->size, got->data, got->size);
    body->size += got->size;
    http_respond(exchange, 200, NULL, body);
}

static void answer_held(void);

static void on_aborted(void *user)
{
    (void)user;
    at.aborted++;
    if (at.answer_aborted)
        answer_held();
}

static void on_request(void *user, struct http_exchange *exchange)
{
    assert_ptr_equal(user, &at);
    at.handled++;
    if (!at.hold) {
        answer_echo(exchange);
        return;
    }
    assert_true(at.held_count < MAX_HELD);
    at.held[at.held_count++] = exchange;
    http_exchange_on_abort(exchange, on_aborted, NULL);
}

static void answer_held(void)
{
    struct http_exchange *exchange = at.held[0];

    memmove(at.held, at.held + 1, sizeof(at.held) - sizeof(at.held[0]));
    at.held_count--;
    answer_echo(exchange);
}

static void on_closed_all(void *user)
{
    (void)user;
    at.closed = true;
}

static void begin(const struct http_server_options *options)
{
    struct http_server_options standard;

    memset(&at, 0, sizeof(at));
    http_server_options_init(&standard);
    assert_int_equal(uv_loop_init(&at.loop), 0);
    assert_int_equal(http_server_new(&at.loop, options ? options : &standard, on_request, &at, &at.server, NULL), 0);
    assert_int_equal(http_server_listen(at.server, "127.0.0.1:0", false, NULL), 0);
    at.port = http_server_port(at.server);
    assert_true(at.port > 0);
}

static void finish(void)
{
    if (at.server) {
        http_server_close(at.server, 0, on_closed_all, NULL);
        while (at.held_count > 0)
            answer_held();
    }
    TURN_UNTIL(&at.loop, at.closed);
    peers_done();
    assert_int_equal(uv_loop_close(&at.loop), 0);
}

static void later(uint64_t ms)
{
    uv_update_time(&at.loop);
    sweep(at.server, uv_now(&at.loop) + ms);
}

static struct peer *ask(const char *request)
{
    struct peer *peer = peer_connect(at.port);

    peer_say(&at.loop, peer, request);
    return peer;
}

static bool ends_with(const struct peer *peer, const char *text)
{
    size_t size = strlen(text);

    return peer->size >= size && memcmp(peer->got + peer->size - size, text, size) == 0;
}

/* ---- reading ---- */

static const char three_requests[] = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
                                     "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                                     "3;x=y\r\nabc\r\n4\r\ndefg\r\n0\r\nTrailing: field\r\n\r\n"
                                     "GET /c HTTP/1.1\r\nHost: h\r\n\r\n";

static void check_three_answers(const struct peer *peer)
{
    const char *a = strstr(peer->got, "POST /a hello"), *b = strstr(peer->got, "POST /b abcdefg"),
               *c = strstr(peer->got, "GET /c ");

    assert_true(a && b && c && a < b && b < c);
    assert_int_equal(count_of(peer->got, "HTTP/1.1 200 OK\r\n"), 3);
}

static void requests_are_read_in_every_split(void **state)
{
    size_t size = strlen(three_requests), split;

    (void)state;
    begin(NULL);
    for (split = 1; split < size; split++) {
        struct peer *peer = peer_connect(at.port);

        peer_send(&at.loop, peer, three_requests, split);
        turn(&at.loop);
        peer_send(&at.loop, peer, three_requests + split, size - split);
        TURN_UNTIL(&at.loop, ends_with(peer, "GET /c "));
        check_three_answers(peer);
        peer_hang_up(peer);
    }
    finish();
}

static void requests_are_read_byte_by_byte(void **state)
{
    struct peer *peer;
    size_t i;

    (void)state;
    begin(NULL);
    peer = peer_connect(at.port);
    for (i = 0; i < strlen(three_requests); i++)
        peer_send(&at.loop, peer, three_requests + i, 1);
    TURN_UNTIL(&at.loop, ends_with(peer, "GET /c "));
    check_three_answers(peer);
    finish();
}

static void to_this_machine_nothing_is_paced(void **state)
{
    (void)state;
    begin(NULL);
    peer_connect(at.port);
    TURN_UNTIL(&at.loop, at.server->connections);
    assert_string_equal(control_of(&at.server->connections->transport.socket.handle), "reno");
    finish();
}

static void one_connection_carries_a_thousand_requests(void **state)
{
    struct peer *peer;
    char text[200], end[50];
    int i;

    (void)state;
    begin(NULL);
    peer = peer_connect(at.port);
    for (i = 0; i < 1000; i++) {
        snprintf(text, sizeof(text), "POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nxyz", i);
        snprintf(end, sizeof(end), "POST /%d xyz", i);
        peer_say(&at.loop, peer, text);
        TURN_UNTIL(&at.loop, ends_with(peer, end));
        peer_forget(peer);
    }
    assert_int_equal(http_server_counters(at.server)->connections_total, 1);
    assert_int_equal(http_server_counters(at.server)->requests_total, 1000);
    assert_int_equal(http_server_counters(at.server)->buffered_bytes, 0);
    finish();
}

static char *pattern(size_t size)
{
    char *bytes = malloc(size + 1);
    uint32_t x = 1;
    size_t i;

    assert_non_null(bytes);
    for (i = 0; i < size; i++) {
        x = x * 1664525u + 1013904223u;
        bytes[i] = (char)('a' + (x >> 24) % 26);
    }
    bytes[size] = '\0';
    return bytes;
}

static void large_bodies_come_and_go_whole(void **state)
{
    static const size_t sizes[] = {4000, 4096, 65536, 262145, 2000000};
    size_t s, i;

    (void)state;
    begin(NULL);
    for (s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
        char *body = pattern(sizes[s]), head[200];
        struct peer *peer = peer_connect(at.port);

        snprintf(head, sizeof(head), "POST /l HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", sizes[s]);
        peer_say(&at.loop, peer, head);
        peer_send(&at.loop, peer, body, sizes[s]);
        TURN_UNTIL(&at.loop, peer->size > sizes[s] && ends_with(peer, body));
        peer_forget(peer);
        peer_say(&at.loop, peer, "POST /k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (i = 0; i < sizes[s]; i += 50000) {
            size_t run = sizes[s] - i < 50000 ? sizes[s] - i : 50000;

            snprintf(head, sizeof(head), "%zx\r\n", run);
            peer_say(&at.loop, peer, head);
            peer_send(&at.loop, peer, body + i, run);
            peer_say(&at.loop, peer, "\r\n");
        }
        peer_say(&at.loop, peer, "0\r\n\r\nGET /next HTTP/1.1\r\nHost: h\r\n\r\n");
        TURN_UNTIL(&at.loop, ends_with(peer, "GET /next "));
        assert_non_null(strstr(peer->got, body));
        peer_hang_up(peer);
        free(body);
    }
    finish();
}

/* ---- order and persistence ---- */

static void pipelined_requests_are_handled_one_at_a_time(void **state)
{
    struct peer *peer;

    (void)state;
    begin(NULL);
    at.hold = true;
    peer = ask(three_requests);
    TURN_UNTIL(&at.loop, at.held_count == 1);
    turn(&at.loop);
    assert_int_equal(at.handled, 1);
    answer_held();
    TURN_UNTIL(&at.loop, at.held_count == 1);
    assert_int_equal(at.handled, 2);
    assert_string_equal(http_exchange_peer(at.held[0]) ? "127.0.0.1:" : "", "127.0.0.1:");
    answer_held();
    TURN_UNTIL(&at.loop, at.held_count == 1);
    answer_held();
    TURN_UNTIL(&at.loop, ends_with(peer, "GET /c "));
    check_three_answers(peer);
    finish();
}

static void a_flood_of_pipelined_requests_waits_in_the_kernel(void **state)
{
    enum { COUNT = 20000 };
    struct peer *peer;
    char *flood = malloc(COUNT * 60), *end = flood;
    int i;

    (void)state;
    assert_non_null(flood);
    begin(NULL);
    at.hold = true;
    for (i = 0; i < COUNT; i++)
        end += snprintf(end, 60, "GET /%05d HTTP/1.1\r\nHost: h\r\n\r\n", i);
    peer = ask("GET /first HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(&at.loop, at.held_count == 1);
    assert_true(send(peer->fd, flood, 200000, MSG_NOSIGNAL) == 200000);
    for (i = 0; i < 20; i++)
        turn(&at.loop);
    assert_false(at.server->connections->reading);
    assert_true(at.server->connections->in_capacity <= 16384);
    at.hold = false;
    answer_held();
    peer_send(&at.loop, peer, flood + 200000, (size_t)(end - flood) - 200000);
    TURN_UNTIL(&at.loop, ends_with(peer, "GET /19999 "));
    assert_int_equal(count_of(peer->got, "HTTP/1.1 200"), COUNT + 1);
    free(flood);
    finish();
}

static void head_is_answered_with_a_length_and_without_a_body(void **state)
{
    struct peer *peer;

    (void)state;
    begin(NULL);
    peer = ask("HEAD /h HTTP/1.1\r\nHost: h\r\n\r\nGET /g HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(&at.loop, ends_with(peer, "GET /g "));
    assert_non_null(strstr(peer->got, "Content-Length: 8\r\n\r\nHTTP/1.1 200"));
    assert_null(strstr(peer->got, "HEAD /h"));
    finish();
}

static void close_and_http_1_0_are_honoured(void **state)
{
    struct peer *peer;

    (void)state;
    begin(NULL);
    peer = ask("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(&at.loop, peer->ended);
    assert_false(peer->was_reset);
    assert_true(ends_with(peer, "GET /a "));
    assert_non_null(strstr(peer->got, "\r\nConnection: close\r\n"));
    peer = ask("GET /a HTTP/1.0\r\n\r\n");
    TURN_UNTIL(&at.loop, peer->ended);
    assert_true(ends_with(peer, "GET /a "));
    peer = ask("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    TURN_UNTIL(&at.loop, ends_with(peer, "GET /a "));
    assert_non_null(strstr(peer->got, "\r\nConnection: keep-alive\r\n"));
    peer_say(&at.loop, peer, "GET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(&at.loop, ends_with(peer, "GET /b "));
    finish();
}

static void expect_is_met_only_where_the_body_is_wanted(void **state)
{
    struct http_server_options options;
    struct peer *peer;

    (void)state;
    http_server_options_init(&options);
    options.limits.max_body_bytes = 1000;
    begin(&options);
    peer = ask("POST /e HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    TURN_UNTIL(&at.loop, peer->size > 0);
    assert_string_equal(peer->got, "HTTP/1.1 100 Continue\r\n\r\n");
    peer_say(&at.loop, peer, "abc");
    TURN_UNTIL(&at.loop, ends_with(peer, "POST /e abc"));
    peer = ask("POST /e HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1001\r\n\r\n");
    TURN_UNTIL(&at.loop, peer->ended);
    assert_memory_equal(peer->got, "HTTP/1.1 413 ", 13);
    peer = ask("POST /e HTTP/1.1\r\nHost: h\r\nExpect: a-miracle\r\nContent-Length: 1\r\n\r\n");
    TURN_UNTIL(&at.loop, peer->ended);
    assert_memory_equal(peer->got, "HTTP/1.1 417 ", 13);
    assert_int_equal(at.handled, 1);
    finish();
}

/* What is read behind a chunked body may need a larger buffer than the one that the handled head lies in. */
static void a_head_stays_whole_while_its_buffer_moves(void **state)
{
    char more[20000], *end = more;
    struct peer *peer;
    int i;

    (void)state;
    begin(NULL);
    at.hold = true;
    peer =
        ask("POST http://h/moving?q HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nX-Name: value\r\n\r\n2\r\nab");
    TURN_UNTIL(&at.loop, http_server_counters(at.server)->buffered_bytes == 2);
    end += snprintf(end, 20, "\r\n0\r\n\r\n");
    for (i = 0; i < 400; i++)
        end += snprintf(end, 50, "GET /%03d HTTP/1.1\r\nHost: h\r\n\r\n", i);
    assert_int_equal(send(peer->fd, more, (size_t)(end - more), MSG_NOSIGNAL), end - more);
    TURN_UNTIL(&at.loop, at.held_count == 1);
    assert_true(at.server->connections->in_capacity > FIRST_IN_BYTES);
    assert_true(http_slice_is(http_exchange_head(at.held[0])->target, "/moving?q"));
    assert_true(http_slice_is(http_exchange_head(at.held[0])->query, "q"));
    assert_true(http_slice_is(*http_find(http_exchange_head(at.held[0]), "x-name"), "value"));
    at.hold = false;
    answer_held();
    TURN_UNTIL(&at.loop, ends_with(peer, "GET /399 "));
    assert_int_equal(count_of(peer->got, "HTTP/1.1 200"), 401);
    TURN_UNTIL(&at.loop, at.server->connections->state == CONNECTION_IDLE);
    assert_true(at.server->connections->in_capacity <= FIRST_IN_BYTES); /* an idle one holds little */
    finish();
}

/* ---- refusals ---- */

static void doubt_is_refused_and_closes(void **state)
{
    struct peer *peer;

    (void)state;
    begin(NULL);
    peer = ask("GET /ok HTTP/1.1\r\nHost: h\r\n\r\n"
               "POST /bad HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
               "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(&at.loop, peer->ended);
    assert_false(peer->was_reset);
    assert_int_equal(at.handled, 1);
    assert_non_null(strstr(peer->got, "HTTP/1.1 400 "));
    assert_non_null(strstr(peer->got, "{\"error\":\""));
    peer = ask("POST /k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n");
    TURN_UNTIL(&at.loop, peer->ended);
    assert_memory_equal(peer->got, "HTTP/1.1 400 ", 13);
    assert_int_equal(at.handled, 1);
    assert_int_equal(http_server_counters(at.server)->bad_requests_total, 2);
    finish();
}

/* The client goes on sending; no reset may overtake the answer. */
static void too_large_is_said_while_the_client_still_sends(void **state)
{
    static const char *const heads[] = {"Content-Length: 4000000", "Transfer-Encoding: chunked"};
    struct http_server_options options;
    char *body = pattern(4000000), head[200];
    int i;

    (void)state;
    http_server_options_init(&options);
    options.limits.max_body_bytes = 1000000;
    begin(&options);
    for (i = 0; i < 2; i++) {
        struct peer *peer = peer_connect(at.port);

        snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n%s", heads[i], i ? "3d0900\r\n" : "");
        peer_say(&at.loop, peer, head);
        peer_send(&at.loop, peer, body, 4000000);
        shutdown(peer->fd, SHUT_WR);
        TURN_UNTIL(&at.loop, peer->ended);
        assert_false(peer->was_reset);
        assert_memory_equal(peer->got, "HTTP/1.1 413 ", 13);
    }
    assert_int_equal(at.handled, 0);
    free(body);
    finish();
}

static void a_head_without_end_is_refused(void **state)
{
    char *x = pattern(20000);
    struct peer *peer;

    (void)state;
    begin(NULL);
    peer = ask("GET / HTTP/1.1\r\nHost: h\r\nX: ");
    peer_send(&at.loop, peer, x, 20000);
    TURN_UNTIL(&at.loop, peer->ended);
    assert_memory_equal(peer->got, "HTTP/1.1 431 ", 13);
    free(x);
    finish();
}

static void bodies_are_bounded_all_together(void **state)
{
    struct http_server_options options;
    struct peer *first, *second, *third;
    char body[1000];

    (void)state;
    memset(body, 'x', sizeof(body));
    http_server_options_init(&options);
    options.max_buffered_bytes = 1500;
    begin(&options);
    at.hold = true;
    first = ask("POST /1 HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n");
    peer_send(&at.loop, first, body, 1000);
    TURN_UNTIL(&at.loop, at.held_count == 1);
    assert_int_equal(http_server_counters(at.server)->buffered_bytes, 1000);
    second = ask("POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n");
    TURN_UNTIL(&at.loop, second->ended);
    assert_memory_equal(second->got, "HTTP/1.1 503 ", 13);
    assert_non_null(strstr(second->got, "\r\nRetry-After: 1\r\n"));
    third = ask("POST /3 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n");
    peer_send(&at.loop, third, body, 1000);
    TURN_UNTIL(&at.loop, third->ended);
    assert_memory_equal(third->got, "HTTP/1.1 503 ", 13);
    assert_int_equal(http_server_counters(at.server)->refused_total, 2);
    at.hold = false;
    answer_held();
    TURN_UNTIL(&at.loop, first->size > 1000);
    assert_int_equal(http_server_counters(at.server)->buffered_bytes, 0);
    finish();
}

static void begin_with(int max_connections)
{
    struct http_server_options options;

    http_server_options_init(&options);
    options.max_connections = max_connections;
    begin(&options);
}

static void connections_with_requests_are_never_closed_for_room(void **state)
{
    struct peer *first, *second, *third;

    (void)state;
    begin_with(2);
    at.hold = true;
    first = ask("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(&at.loop, at.held_count == 1);
    second = ask("POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab");
    TURN_UNTIL(&at.loop, http_server_counters(at.server)->buffered_bytes > 0 &&
                             http_server_counters(at.server)->connections_open == 2);
    third = peer_connect(at.port);
    TURN_UNTIL(&at.loop, third->ended);
    assert_int_equal(http_server_counters(at.server)->connections_refused_total, 1);
    at.hold = false;
    answer_held();
    peer_send(&at.loop, second, "c", 1);
    TURN_UNTIL(&at.loop, first->size > 0 && second->size > 0);
    assert_true(!first->ended && !second->ended);
    assert_int_equal(http_server_counters(at.server)->connections_evicted_total, 0);
    finish();
}

static void longest_idle_connection_makes_room(void **state)
{
    struct peer *first, *second, *third, *fourth;

    (void)state;
    begin_with(3);
    first = peer_connect(at.port);
    TURN_UNTIL(&at.loop, http_server_counters(at.server)->connections_open == 1);
    second = peer_connect(at.port);
    TURN_UNTIL(&at.loop, http_server_counters(at.server)->connections_open == 2);
    third = ask("GET /3 HTTP/1.1\r\nHost: h\r\nX-Slow");
    TURN_UNTIL(&at.loop, http_server_counters(at.server)->connections_open == 3);
    peer_send(&at.loop, first, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n", 28); /* now the second is the longest idle */
    TURN_UNTIL(&at.loop, first->size > 0);
    fourth = ask("GET /4 HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(&at.loop, second->ended && ends_with(fourth, "GET /4 "));
    assert_int_equal(second->size, 0);
    assert_true(!first->ended && !third->ended);
    assert_int_equal(http_server_counters(at.server)->connections_evicted_total, 1);
    assert_int_equal(http_server_counters(at.server)->connections_refused_total, 0);
    finish();
}

static void slowest_head_makes_room_where_none_is_idle(void **state)
{
    struct peer *busy, *slow, *next;

    (void)state;
    begin_with(2);
    at.hold = true;
    busy = ask("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(&at.loop, at.held_count == 1);
    slow = ask("GET /2 HTTP/1.1\r\nHost: h\r\nX-Slow");
    TURN_UNTIL(&at.loop, http_server_counters(at.server)->connections_open == 2 &&
                             http_server_counters(at.server)->received_bytes_total > 31);
    next = ask("GET /3 HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(&at.loop, slow->ended && at.held_count == 2);
    assert_true(!busy->ended && !next->ended);
    assert_int_equal(http_server_counters(at.server)->connections_evicted_total, 1);
    at.hold = false;
    answer_held();
    answer_held();
    TURN_UNTIL(&at.loop, busy->size > 0 && next->size > 0);
    finish();
}

static void without_descriptors_connections_are_turned_away(void **state)
{
    struct rlimit old, none;
    struct peer *peer;
    int fd;

    (void)state;
    begin(NULL);
    peer = peer_connect(at.port);
    fd = dup(0);
    close(fd);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    none = old;
    none.rlim_cur = (rlim_t)fd;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    TURN_UNTIL(&at.loop, peer->ended);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(at.handled, 0);
    peer = ask("GET /again HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(&at.loop, ends_with(peer, "GET /again "));
    finish();
}

/* ---- times ---- */

/* As SIGSTOP and SIGCONT leave it: what clients have sent lies in the sockets, and the time is not theirs. */
static void stand_still(uint64_t ms)
{
    struct http_connection *connection;

    uv_update_time(&at.loop);
    for (connection = at.server->connections; connection; connection = connection->next)
        connection->since_ms -= ms;
    at.server->swept_ms -= ms;
    on_sweep(&at.server->sweep);
}

static void nobody_is_late_while_we_stand_still(void **state)
{
    struct peer *idle, *head, *body;

    (void)state;
    begin(NULL);
    idle = ask("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(&at.loop, idle->size > 0);
    head = ask("GET /2 HTTP/1.1\r\nHo");
    body = ask("POST /3 HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345");
    turn(&at.loop);
    stand_still(2 * 3600000);
    turn(&at.loop);
    assert_true(!idle->ended && !head->ended && !body->ended && !head->size && !body->size);
    peer_send(&at.loop, body, "67890", 5);
    TURN_UNTIL(&at.loop, body->size > 0);
    later(2 * 3600000); /* but who is late while we do not is */
    TURN_UNTIL(&at.loop, idle->ended && head->ended && body->ended);
    finish();
}

static void slow_heads_and_bodies_are_ended(void **state)
{
    struct peer *head, *body, *idle, *answered;

    (void)state;
    begin(NULL);
    head = ask("GET / HTTP/1.1\r\nHost: h\r\nX-Slow");
    body = ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
    idle = peer_connect(at.port);
    answered = ask("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(&at.loop, answered->size > 0 && http_server_counters(at.server)->connections_open == 4);
    later(9000);
    turn(&at.loop);
    assert_true(head->size == 0 && !head->ended);
    later(11000);
    TURN_UNTIL(&at.loop, head->ended);
    assert_memory_equal(head->got, "HTTP/1.1 408 ", 13);
    assert_true(!body->ended && !idle->ended);
    later(31000);
    TURN_UNTIL(&at.loop, body->ended);
    assert_memory_equal(body->got, "HTTP/1.1 408 ", 13);
    assert_true(!idle->ended && !answered->ended);
    assert_int_equal(http_server_counters(at.server)->timeouts_total, 2);
    later(76000);
    TURN_UNTIL(&at.loop, idle->ended && answered->ended);
    assert_int_equal(idle->size, 0);
    TURN_UNTIL(&at.loop, http_server_counters(at.server)->connections_open == 0);
    finish();
}

/* As if what has come so far of the only connection's request had taken so long. */
static void grow_older(uint64_t ms)
{
    uv_update_time(&at.loop);
    at.server->newest->since_ms = uv_now(&at.loop) - ms;
}

static void a_slow_body_that_makes_progress_is_not_ended(void **state)
{
    char *body = pattern(40000);
    struct peer *peer;

    (void)state;
    begin(NULL);
    peer = ask("POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 40001\r\n\r\n");
    TURN_UNTIL(&at.loop, at.server->newest && at.server->newest->state == CONNECTION_BODY);
    grow_older(31000); /* above 1 KiB/s */
    peer_send(&at.loop, peer, body, 40000);
    TURN_UNTIL(&at.loop, http_server_counters(at.server)->buffered_bytes == 40000);
    later(0);
    grow_older(29000); /* the last byte has as long again */
    later(0);
    peer_say(&at.loop, peer, "c");
    TURN_UNTIL(&at.loop, ends_with(peer, "c"));
    assert_int_equal(http_server_counters(at.server)->timeouts_total, 0);
    free(body);
    finish();
}

/* A byte now and then is no progress, in a body of any kind. */
static void a_trickled_body_is_ended(void **state)
{
    static const char *const heads[] = {"Content-Length: 100000", "Transfer-Encoding: chunked"};
    size_t i;

    (void)state;
    begin(NULL);
    for (i = 0; i < 2; i++) {
        const char *const piece = i == 0 ? "a" : "1\r\na\r\n";
        struct peer *peer;
        char head[100];
        uint64_t n;

        snprintf(head, sizeof(head), "POST /slow HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n", heads[i]);
        peer = ask(head);
        TURN_UNTIL(&at.loop, at.server->newest && at.server->newest->state == CONNECTION_BODY);
        for (n = 1; n <= 3; n++) {
            grow_older(n * 9000);
            peer_say(&at.loop, peer, piece);
            TURN_UNTIL(&at.loop, http_server_counters(at.server)->buffered_bytes == n);
            later(0);
            assert_int_equal(peer->size, 0);
        }
        grow_older(31000);
        later(0);
        TURN_UNTIL(&at.loop, peer->ended);
        assert_memory_equal(peer->got, "HTTP/1.1 408 ", 13);
        peer_hang_up(peer);
        TURN_UNTIL(&at.loop, http_server_counters(at.server)->connections_open == 0);
    }
    finish();
}

/* The same of an answer: who takes a little now and then keeps no megabytes waiting. */
static void a_trickling_reader_is_ended(void **state)
{
    char head[100], *body = pattern(30000000);
    struct http_connection *connection;
    struct peer *peer;
    size_t unsent;

    (void)state;
    begin(NULL);
    peer = peer_connect(at.port);
    peer->deaf = true;
    snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 30000000\r\n\r\n");
    peer_say(&at.loop, peer, head);
    peer_send(&at.loop, peer, body, 30000000);
    TURN_UNTIL(&at.loop, at.handled == 1);
    connection = at.server->newest;
    do { /* until both kernels' buffers are full */
        unsent = transport_unsent(&connection->transport);
        turn(&at.loop);
    } while (transport_unsent(&connection->transport) < unsent);
    assert_true(unsent > 1000000);
    grow_older(31000);
    connection->unsent_bytes = transport_unsent(&connection->transport) + 1000; /* so much has it taken in the time */
    later(0);
    TURN_UNTIL(&at.loop, http_server_counters(at.server)->connections_open == 0);
    assert_int_equal(http_server_counters(at.server)->timeouts_total, 1);
    free(body);
    finish();
}

static struct {
    int count, status;
    char line[64], method[16];
    size_t body_bytes;
} refused;

static void on_refused(void *user, const struct http_refusal *refusal, struct buffer *fields)
{
    assert_ptr_equal(user, &at);
    assert_true(strlen(refusal->why) > 10 && refusal->started_ns > 0 && refusal->answer_bytes > 0);
    assert_memory_equal(refusal->peer, "127.0.0.1:", 10);
    refused.count++;
    refused.status = refusal->status;
    refused.body_bytes = refusal->body_bytes;
    snprintf(refused.line, sizeof(refused.line), "%.*s", (int)refusal->line.size, refusal->line.bytes);
    refused.method[0] = '\0';
    if (refusal->head)
        assert_true(http_slice_copy(refusal->head->method, refused.method, sizeof(refused.method)));
    http_write_field(fields, "X-Refused", "%d", refused.count);
}

static void refusals_are_told_once(void **state)
{
    static const struct {
        const char *request, *line, *method;
        int status;
        uint64_t later_ms;
        size_t body_bytes;
    } rows[] = {
        {"GET /a HTTP/1.1\r\nHost: h\r\nBad : 1\r\n\r\n", "GET /a HTTP/1.1\r", "", 400, 0, 0},
        {"NONSENSE\r\n", "NONSENSE\r", "", 400, 0, 0},
        {"PUT /slow", "PUT /slow", "", 408, 11000, 0},
        {"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n", "POST /a HTTP/1.1\r", "POST", 413, 0, 0},
        {"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc", "POST /a HTTP/1.1\r", "POST", 408, 31000, 3},
        {"GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b\r\n", "GET /b\r", "", 400, 0, 0},
    };
    struct http_server_options options;
    size_t i;

    (void)state;
    http_server_options_init(&options);
    options.refused = on_refused;
    memset(&refused, 0, sizeof(refused));
    begin(&options);
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const uint64_t before = http_server_counters(at.server)->received_bytes_total;
        struct peer *peer = ask(rows[i].request);
        char field[32];

        TURN_UNTIL(&at.loop, http_server_counters(at.server)->received_bytes_total == before + strlen(rows[i].request));
        if (rows[i].later_ms > 0)
            later(rows[i].later_ms);
        TURN_UNTIL(&at.loop, peer->ended);
        assert_int_equal(refused.count, i + 1);
        assert_int_equal(refused.status, rows[i].status);
        assert_string_equal(refused.line, rows[i].line);
        assert_string_equal(refused.method, rows[i].method);
        assert_int_equal(refused.body_bytes, rows[i].body_bytes);
        snprintf(field, sizeof(field), "\r\nX-Refused: %zu\r\n", i + 1);
        assert_non_null(strstr(peer->got, field));
    }
    finish();
}

/* The refusal of a second head must not be written as an answer to the HEAD before it. */
static void a_timeout_after_head_has_its_body(void **state)
{
    struct peer *peer;

    (void)state;
    begin(NULL);
    peer = ask("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\nGET /slow");
    TURN_UNTIL(&at.loop, peer->size > 0);
    later(11000);
    TURN_UNTIL(&at.loop, peer->ended);
    assert_non_null(strstr(peer->got, "HTTP/1.1 408 "));
    assert_non_null(strstr(peer->got, "{\"error\":"));
    finish();
}

static void a_client_that_does_not_read_is_ended(void **state)
{
    char head[100], *body = pattern(30000000);
    struct peer *peer;

    (void)state;
    begin(NULL);
    peer = peer_connect(at.port);
    peer->deaf = true;
    snprintf(head, sizeof(head), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 30000000\r\n\r\n");
    peer_say(&at.loop, peer, head);
    peer_send(&at.loop, peer, body, 30000000);
    TURN_UNTIL(&at.loop, at.handled == 1);
    assert_int_equal(at.server->connections->state, CONNECTION_ANSWERING);
    later(29000);
    assert_int_equal(at.server->connections->state, CONNECTION_ANSWERING);
    later(61000);
    TURN_UNTIL(&at.loop, http_server_counters(at.server)->connections_open == 0);
    assert_int_equal(http_server_counters(at.server)->timeouts_total, 1);
    free(body);
    finish();
}

/* ---- clients that go away ---- */

static void a_client_that_goes_away_aborts(void **state)
{
    struct peer *peer;
    int i;

    (void)state;
    begin(NULL);
    at.hold = true;
    for (i = 0; i < 2; i++) {
        peer = ask("POST /gone HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
        TURN_UNTIL(&at.loop, at.held_count == 1);
        if (i == 0)
            peer_hang_up(peer);
        else
            peer_reset(peer);
        TURN_UNTIL(&at.loop, at.aborted == i + 1);
        turn(&at.loop);
        assert_int_equal(at.aborted, i + 1);
        assert_int_equal(http_server_counters(at.server)->connections_open, 1);
        answer_held();
        TURN_UNTIL(&at.loop, http_server_counters(at.server)->connections_open == 0);
    }
    peer = ask("POST /cut HTTP/1.1\r\nHost: h\r\nContent-Length: 30\r\n\r\nabc");
    TURN_UNTIL(&at.loop, http_server_counters(at.server)->buffered_bytes == 3);
    peer_hang_up(peer);
    TURN_UNTIL(&at.loop, http_server_counters(at.server)->connections_open == 0);
    assert_int_equal(at.handled, 2);
    assert_int_equal(http_server_counters(at.server)->buffered_bytes, 0);
    finish();
}

static void an_abort_may_be_answered_from_within(void **state)
{
    struct peer *peer;
    int i;

    (void)state;
    begin(NULL);
    at.hold = at.answer_aborted = true;
    for (i = 0; i < 2; i++) {
        peer = ask("GET /gone HTTP/1.1\r\nHost: h\r\n\r\n");
        TURN_UNTIL(&at.loop, at.held_count == 1);
        if (i == 0)
            peer_hang_up(peer);
        else
            peer_reset(peer);
        TURN_UNTIL(&at.loop, http_server_counters(at.server)->connections_open == 0);
        assert_int_equal(at.aborted, i + 1);
        assert_int_equal(at.held_count, 0);
    }
    finish();
}

static void a_half_closed_client_has_its_answers(void **state)
{
    struct peer *peer = NULL;

    (void)state;
    begin(NULL);
    at.hold = true;
    peer = ask(three_requests);
    shutdown(peer->fd, SHUT_WR);
    TURN_UNTIL(&at.loop, at.held_count == 1 && at.aborted == 1);
    answer_held();
    TURN_UNTIL(&at.loop, at.held_count == 1);
    at.hold = false;
    answer_held();
    TURN_UNTIL(&at.loop, peer->ended);
    check_three_answers(peer);
    assert_int_equal(count_of(peer->got, "Connection: close"), 1); /* of the last */
    finish();
}

/* ---- ends ---- */

static void closing_lets_requests_in_flight_end(void **state)
{
    struct peer *held, *idle, *late;

    (void)state;
    begin(NULL);
    at.hold = true;
    held = ask("GET /held HTTP/1.1\r\nHost: h\r\n\r\n");
    idle = peer_connect(at.port);
    late = ask("GET /late HTTP/1.1\r\nHo");
    TURN_UNTIL(&at.loop, at.held_count == 1 && http_server_counters(at.server)->connections_open == 3 &&
                             http_server_counters(at.server)->received_bytes_total > 50);
    http_server_close(at.server, 60000, on_closed_all, NULL);
    TURN_UNTIL(&at.loop, idle->ended);
    at.hold = false;
    peer_say(&at.loop, late, "st: h\r\n\r\n");
    TURN_UNTIL(&at.loop, late->ended);
    assert_true(ends_with(late, "GET /late "));
    assert_non_null(strstr(late->got, "Connection: close"));
    assert_false(at.closed);
    answer_held();
    TURN_UNTIL(&at.loop, held->ended);
    assert_true(ends_with(held, "GET /held "));
    peer_hang_up(held);
    peer_hang_up(late);
    at.server = NULL;
    finish();
}

static void closing_ends_at_its_deadline(void **state)
{
    struct peer *stuck;

    (void)state;
    begin(NULL);
    at.hold = true;
    stuck = ask("GET /held HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(&at.loop, at.held_count == 1);
    http_server_close(at.server, 60000, on_closed_all, NULL);
    later(60001);
    TURN_UNTIL(&at.loop, stuck->ended);
    assert_int_equal(at.aborted, 1);
    assert_false(at.closed); /* the handler still has the exchange */
    answer_held();
    at.server = NULL;
    finish();
}

/* ---- listening ---- */

static void unix_sockets_are_private_and_replaced(void **state)
{
    char folder[] = "/tmp/serin-server-test-XXXXXX", address[100], *path = address + 5;
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct serin_error error;
    struct peer *peer;
    struct stat file;
    int i, fd;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(address, sizeof(address), "unix:%s/s", folder);
    memcpy(name.sun_path, path, strlen(path) + 1);
    for (i = 0; i < 2; i++) { /* the second time the file is there */
        begin(NULL);
        assert_int_equal(http_server_listen(at.server, address, false, &error), SERIN_OK);
        assert_int_equal(lstat(path, &file), 0);
        assert_int_equal(file.st_mode & 07777, 0600);
        fd = socket(AF_UNIX, SOCK_STREAM, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
        peer = peer_of(fd);
        at.hold = true;
        peer_say(&at.loop, peer, "GET /u HTTP/1.1\r\nHost: h\r\n\r\n");
        TURN_UNTIL(&at.loop, at.held_count == 1);
        assert_string_equal(http_exchange_peer(at.held[0]), "unix");
        answer_held();
        TURN_UNTIL(&at.loop, ends_with(peer, "GET /u "));
        finish();
    }
    unlink(path);
    begin(NULL);
    fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(http_server_listen(at.server, address, false, &error), SERIN_IO); /* a file that is no socket */
    finish();
    unlink(path);
    rmdir(folder);
}

static void listeners_are_handed_over(void **state)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0), pair[2];
    struct serin_error error;
    struct peer *peer;

    (void)state;
    begin(NULL);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 10), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    assert_int_equal(http_server_adopt(at.server, fd, &error), SERIN_OK);
    peer = peer_connect(ntohs(address.sin_port));
    peer_say(&at.loop, peer, "GET /adopted HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(&at.loop, ends_with(peer, "GET /adopted "));
    assert_int_equal(pipe(pair), 0);
    close(pair[1]);
    assert_int_equal(http_server_adopt(at.server, pair[0], &error), SERIN_INVALID);
    finish();
}

static void bad_addresses_are_refused(void **state)
{
    static const char *const bad[] = {"",         "8080",      "localhost:80", "127.0.0.1",       "127.0.0.1:x",
                                      "1.2.3.4:", "[::1:80",   "[::1]x:80",    "127.0.0.1:65536", "unix:relative",
                                      "https://", "http://:1", "a b:1",        "127.0.0.1:123456"};
    struct serin_error error;
    char taken[50];
    size_t i;

    (void)state;
    begin(NULL);
    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_int_not_equal(http_server_listen(at.server, bad[i], false, &error), SERIN_OK);
    snprintf(taken, sizeof(taken), "127.0.0.1:%d", at.port);
    assert_int_equal(http_server_listen(at.server, taken, false, &error), SERIN_IO);
    assert_non_null(strstr(error.message, taken));
    finish();
}

/* ---- anything ---- */

/* Requests with some bytes changed, cut anywhere: each connection ends once its client has ended, and nothing leaks. */
static void whatever_is_sent_comes_to_an_end(void **state)
{
    uint32_t x = 12345;
    int i, k;

    (void)state;
    begin(NULL);
    for (i = 0; i < 2000; i++) {
        char bytes[sizeof(three_requests)];
        struct peer *peer = peer_connect(at.port);
        size_t cut;

        memcpy(bytes, three_requests, sizeof(bytes));
        for (k = 0; k < 4; k++) {
            x = x * 1664525u + 1013904223u;
            bytes[(x >> 8) % (sizeof(bytes) - 1)] = "\r\n 0:;,5aG\t\0/\xff"[(x >> 24) % 14];
        }
        cut = (x >> 4) % sizeof(bytes);
        peer_send(&at.loop, peer, bytes, cut);
        peer_send(&at.loop, peer, bytes + cut, sizeof(bytes) - 1 - cut); /* may be refused by now */
        shutdown(peer->fd, SHUT_WR);
        TURN_UNTIL(&at.loop, peer->ended);
        peers_done();
    }
    TURN_UNTIL(&at.loop, http_server_counters(at.server)->connections_open == 0);
    assert_int_equal(http_server_counters(at.server)->buffered_bytes, 0);
    assert_true(http_server_counters(at.server)->bad_requests_total > 100);
    finish();
}

/* ---- memory ---- */

/* The n-th allocation fails, for every n: the client has its answers, or an error, or an end; nothing leaks. */
static void missing_memory_is_survived(void **state)
{
    int n, whole = 0;

    (void)state;
    for (n = 0; whole < 3; n++) {
        struct peer *peer;

        begin(NULL);
        peer = peer_connect(at.port);
        send(peer->fd, three_requests, strlen(three_requests), MSG_NOSIGNAL);
        allocations_left = n;
        TURN_UNTIL(&at.loop, at.server->listeners[0].stuck || peer->ended || count_of(peer->got, "HTTP/1.1 200 ") == 3);
        allocations_left = -1;
        later(0); /* what had to wait at the listener is taken now */
        TURN_UNTIL(&at.loop, count_of(peer->got, "HTTP/1.1 200 ") == 3 || peer->ended);
        if (ends_with(peer, "GET /c "))
            whole++;
        assert_true(n < 100);
        finish();
    }
    assert_true(n > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_read_in_every_split),
        cmocka_unit_test(requests_are_read_byte_by_byte),
        cmocka_unit_test(to_this_machine_nothing_is_paced),
        cmocka_unit_test(one_connection_carries_a_thousand_requests),
        cmocka_unit_test(large_bodies_come_and_go_whole),
        cmocka_unit_test(pipelined_requests_are_handled_one_at_a_time),
        cmocka_unit_test(a_flood_of_pipelined_requests_waits_in_the_kernel),
        cmocka_unit_test(head_is_answered_with_a_length_and_without_a_body),
        cmocka_unit_test(close_and_http_1_0_are_honoured),
        cmocka_unit_test(expect_is_met_only_where_the_body_is_wanted),
        cmocka_unit_test(a_head_stays_whole_while_its_buffer_moves),
        cmocka_unit_test(doubt_is_refused_and_closes),
        cmocka_unit_test(too_large_is_said_while_the_client_still_sends),
        cmocka_unit_test(a_head_without_end_is_refused),
        cmocka_unit_test(bodies_are_bounded_all_together),
        cmocka_unit_test(connections_with_requests_are_never_closed_for_room),
        cmocka_unit_test(longest_idle_connection_makes_room),
        cmocka_unit_test(slowest_head_makes_room_where_none_is_idle),
        cmocka_unit_test(without_descriptors_connections_are_turned_away),
        cmocka_unit_test(nobody_is_late_while_we_stand_still),
        cmocka_unit_test(slow_heads_and_bodies_are_ended),
        cmocka_unit_test(a_slow_body_that_makes_progress_is_not_ended),
        cmocka_unit_test(a_timeout_after_head_has_its_body),
        cmocka_unit_test(refusals_are_told_once),
        cmocka_unit_test(a_client_that_does_not_read_is_ended),
        cmocka_unit_test(a_trickled_body_is_ended),
        cmocka_unit_test(a_trickling_reader_is_ended),
        cmocka_unit_test(a_client_that_goes_away_aborts),
        cmocka_unit_test(an_abort_may_be_answered_from_within),
        cmocka_unit_test(a_half_closed_client_has_its_answers),
        cmocka_unit_test(closing_lets_requests_in_flight_end),
        cmocka_unit_test(closing_ends_at_its_deadline),
        cmocka_unit_test(unix_sockets_are_private_and_replaced),
        cmocka_unit_test(listeners_are_handed_over),
        cmocka_unit_test(bad_addresses_are_refused),
        cmocka_unit_test(whatever_is_sent_comes_to_an_end),
        cmocka_unit_test(missing_memory_is_survived),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
