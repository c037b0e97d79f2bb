/*
 * stream_test.c - answers without an end: pieces arrive as they are sent, a slow client holds one at most, and ends.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/connection.c"
#include "http/server.c"
#include "http/test_peer.h"

#include <signal.h>

static struct {
    uv_loop_t loop;
    struct http_server *server;
    struct http_exchange *stream;
    int gone;
    bool closed;
} at;

static void on_gone(void *user)
{
    (void)user;
    at.gone++;
    http_stream_end(at.stream);
    at.stream = NULL;
}

static void on_request(void *user, struct http_exchange *exchange)
{
    struct buffer fields;

    (void)user;
    at.stream = exchange;
    buffer_init(&fields, 1000);
    http_write_field(&fields, "Content-Type", "text/event-stream");
    http_stream_begin(exchange, &fields, on_gone, NULL);
    buffer_done(&fields);
}

static void on_closed_all(void *user)
{
    (void)user;
    at.closed = true;
}

static struct peer *begin(void)
{
    struct http_server_options options;
    struct peer *peer;

    memset(&at, 0, sizeof(at));
    http_server_options_init(&options);
    assert_int_equal(uv_loop_init(&at.loop), 0);
    assert_int_equal(http_server_new(&at.loop, &options, on_request, &at, &at.server, NULL), 0);
    assert_int_equal(http_server_listen(at.server, "127.0.0.1:0", false, NULL), 0);
    peer = peer_connect(http_server_port(at.server));
    peer_say(&at.loop, peer, "GET /events HTTP/1.1\r\nHost: h\r\n\r\n");
    TURN_UNTIL(&at.loop, at.stream != NULL);
    return peer;
}

static void finish(void)
{
    http_server_close(at.server, 0, on_closed_all, NULL);
    TURN_UNTIL(&at.loop, at.closed);
    assert_null(at.stream);
    peers_done();
    assert_int_equal(uv_loop_close(&at.loop), 0);
}

static bool say(const char *text, size_t size)
{
    struct bytes *piece = bytes_new(size);
    bool sent;

    if (!piece)
        return false;
    memset(piece->data, ' ', size);
    memcpy(piece->data, text, strlen(text));
    piece->size = size;
    sent = http_stream_send(at.stream, piece);
    bytes_drop(piece);
    return sent;
}

static void pieces_arrive_as_they_are_sent(void **state)
{
    struct peer *peer = begin();

    (void)state;
    TURN_UNTIL(&at.loop, strstr(peer->got, "\r\n\r\n"));
    assert_non_null(strstr(peer->got, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"));
    assert_non_null(strstr(peer->got, "Connection: close\r\n"));
    assert_null(strstr(peer->got, "Content-Length"));
    peer_forget(peer);
    assert_true(say("one", 3));
    TURN_UNTIL(&at.loop, strcmp(peer->got, "one") == 0);
    assert_true(say("two", 3));
    TURN_UNTIL(&at.loop, strcmp(peer->got, "onetwo") == 0);
    http_stream_end(at.stream);
    at.stream = NULL;
    TURN_UNTIL(&at.loop, peer->ended);
    assert_int_equal(at.gone, 0);
    finish();
}

static void a_client_that_leaves_is_told_of_once(void **state)
{
    int i;

    (void)state;
    for (i = 0; i < 2; i++) {
        struct peer *peer = begin();

        if (i == 0)
            peer_hang_up(peer);
        else
            peer_reset(peer);
        TURN_UNTIL(&at.loop, at.gone == 1);
        TURN_UNTIL(&at.loop, http_server_counters(at.server)->connections_open == 0);
        finish();
        assert_int_equal(at.gone, 1);
    }
}

static void a_slow_client_holds_one_piece_and_is_dropped(void **state)
{
    struct peer *peer = begin();
    int sent = 0;

    (void)state;
    peer->deaf = true;
    while (say("large", 1 << 20)) /* what the kernel takes is taken */
        assert_true(++sent < 100);
    assert_true(at.server->connections->sending);
    assert_int_equal(uv_stream_get_write_queue_size(&at.server->connections->transport.socket.stream) <= 1 << 20, 1);
    assert_false(say("more", 4));
    sweep(at.server, uv_now(&at.loop) + 29000);
    assert_int_equal(at.gone, 0);
    sweep(at.server, uv_now(&at.loop) + 61000);
    assert_int_equal(at.gone, 1);
    TURN_UNTIL(&at.loop, http_server_counters(at.server)->connections_open == 0);
    finish();
}

static void a_slow_client_that_reads_again_gets_the_next_piece(void **state)
{
    struct peer *peer = begin();

    (void)state;
    peer->deaf = true;
    while (say("large", 1 << 20))
        ;
    peer->deaf = false;
    TURN_UNTIL(&at.loop, !at.server->connections->sending);
    peer_forget(peer);
    assert_true(say("next", 4));
    TURN_UNTIL(&at.loop, peer->size >= 4 && memcmp(peer->got + peer->size - 4, "next", 4) == 0);
    finish();
    assert_int_equal(at.gone, 1);
}

static void a_silent_stream_is_not_dropped(void **state)
{
    struct peer *peer = begin();

    (void)state;
    assert_true(say("one", 3));
    TURN_UNTIL(&at.loop, strstr(peer->got, "one"));
    sweep(at.server, uv_now(&at.loop) + 3600000);
    assert_int_equal(at.gone, 0);
    peer_say(&at.loop, peer, "GET /pipelined HTTP/1.1\r\nHost: h\r\n\r\n"); /* never answered: the stream has no end */
    turn(&at.loop);
    assert_true(say("two", 3));
    TURN_UNTIL(&at.loop, strstr(peer->got, "onetwo"));
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_arrive_as_they_are_sent),
        cmocka_unit_test(a_client_that_leaves_is_told_of_once),
        cmocka_unit_test(a_slow_client_holds_one_piece_and_is_dropped),
        cmocka_unit_test(a_slow_client_that_reads_again_gets_the_next_piece),
        cmocka_unit_test(a_silent_stream_is_not_dropped),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
