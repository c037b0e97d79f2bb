/*
 * client_test.c - the client against an upstream that is a raw socket, and mostly a hostile one; and against our
 * server. SPDX-License-Identifier: Apache-2.0
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
#include "http/client.c"
#include "http/pool.c"
#undef malloc
#undef calloc
#undef realloc

#include "http/server.h"
#include "http/test_peer.h"

#include <signal.h>
#include <sys/stat.h>

/* ---- a client and its upstream ---- */

static struct {
    uv_loop_t loop;
    struct http_client *client;
    int listener, port;
    bool closed;
} at;

struct result {
    int count; /* of callbacks: never more than one */
    enum serin_errc rc;
    int status;
    char body[200];
    size_t size;
    bool timed_out, sent;
    char why[400];
    struct bytes *keep; /* the body, where `keeps` */
    bool keeps;
    int again;                 /* so many calls more, from the callback */
    struct http_call *cancels; /* from the callback; NULL: none */
};

static struct bytes *bytes_of(size_t size)
{
    struct bytes *bytes = bytes_new(size);

    BUG_ON(!bytes);
    bytes->size = size;
    return bytes;
}

static const struct http_client_options *standard(void)
{
    static struct http_client_options options;

    http_client_options_init(&options);
    return &options;
}

static void begin(const struct http_client_options *options)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof(address);
    char endpoint[50];

    memset(&at, 0, sizeof(at));
    assert_int_equal(uv_loop_init(&at.loop), 0);
    at.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(at.listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(at.listener, 100), 0);
    assert_int_equal(getsockname(at.listener, (struct sockaddr *)&address, &size), 0);
    at.port = ntohs(address.sin_port);
    snprintf(endpoint, sizeof(endpoint), "127.0.0.1:%d", at.port);
    assert_int_equal(http_client_new(&at.loop, endpoint, options, &at.client, NULL), SERIN_OK);
}

static void on_closed_all(void *user)
{
    (void)user;
    at.closed = true;
}

static void finish(void)
{
    http_client_close(at.client, on_closed_all, NULL);
    TURN_UNTIL(&at.loop, at.closed);
    peers_done();
    close(at.listener);
    assert_int_equal(uv_loop_close(&at.loop), 0);
}

static enum serin_errc try_call(const char *method, struct bytes *body, uint64_t timeout_ms, struct result *result,
                                struct http_call **ret);

static void on_answer(void *user, const struct http_answer *answer)
{
    struct result *result = user;

    result->count++;
    result->rc = answer->rc;
    result->timed_out = answer->timed_out;
    result->sent = answer->sent;
    assert_true(answer->total_ns > 0);
    if (result->cancels)
        http_call_cancel(result->cancels);
    if (answer->rc != SERIN_OK) {
        assert_non_null(answer->why);
        snprintf(result->why, sizeof(result->why), "%s", answer->why);
        return;
    }
    result->status = answer->head->status;
    result->size = answer->body->size;
    snprintf(result->body, sizeof(result->body), "%.*s", (int)(result->size < 199 ? result->size : 199),
             (const char *)answer->body->data);
    if (result->keeps)
        result->keep = bytes_share(answer->body);
    if (result->again-- > 0)
        assert_int_equal(try_call("GET", NULL, 0, result, NULL), SERIN_OK);
}

static enum serin_errc try_call(const char *method, struct bytes *body, uint64_t timeout_ms, struct result *result,
                                struct http_call **ret)
{
    struct buffer head;
    struct serin_error error;
    enum serin_errc rc;

    buffer_init(&head, 1000);
    buffer_printf(&head, "%s /x?y HTTP/1.1\r\nX-A: b\r\n", method);
    rc = http_call_start(at.client, &head, body, timeout_ms, on_answer, result, ret, &error);
    buffer_done(&head);
    return rc;
}

static struct http_call *call(const char *method, struct result *result)
{
    struct http_call *ret = NULL;

    memset(result, 0, sizeof(*result));
    assert_int_equal(try_call(method, NULL, 0, result, &ret), SERIN_OK);
    assert_int_equal(result->count, 0); /* never from within */
    return ret;
}

static int accept_now(void)
{
    int fd = accept(at.listener, NULL, NULL);

    turn(&at.loop);
    return fd;
}

/* The next connection, once its request's head is there. */
static struct peer *accept_request(void)
{
    struct peer *peer;
    int fd;

    TURN_UNTIL(&at.loop, (fd = accept_now()) >= 0);
    peer = peer_of(fd);
    TURN_UNTIL(&at.loop, strstr(peer->got, "\r\n\r\n"));
    return peer;
}

static bool nobody_connects(void)
{
    int i;

    for (i = 0; i < 10; i++)
        if (accept_now() >= 0)
            return false;
    return true;
}

static const char plain[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/* One call that is answered so; the connection stays as the peer. */
static struct peer *answered_call(struct result *result)
{
    struct peer *peer;

    call("GET", result);
    peer = accept_request();
    peer_say(&at.loop, peer, plain);
    TURN_UNTIL(&at.loop, result->count == 1);
    assert_int_equal(result->rc, SERIN_OK);
    peer_forget(peer);
    return peer;
}

static void expect_failure(const struct result *result, enum serin_errc rc, const char *words)
{
    assert_int_equal(result->count, 1);
    assert_int_equal(result->rc, rc);
    if (!strstr(result->why, words))
        fail_msg("'%s' does not say '%s'", result->why, words);
}

/* ---- requests and answers ---- */

static void requests_say_what_must_be_said(void **state)
{
    struct bytes *body = bytes_of(3);
    struct result result;
    struct peer *peer;
    char expected[200];

    (void)state;
    begin(standard());
    call("GET", &result);
    peer = accept_request();
    snprintf(expected, sizeof(expected), "GET /x?y HTTP/1.1\r\nX-A: b\r\nHost: 127.0.0.1:%d\r\n\r\n", at.port);
    assert_string_equal(peer->got, expected);
    peer_say(&at.loop, peer, plain);
    TURN_UNTIL(&at.loop, result.count == 1);
    peer_forget(peer);
    call("POST", &result);
    TURN_UNTIL(&at.loop, strstr(peer->got, "\r\nContent-Length: 0\r\n\r\n"));
    peer_say(&at.loop, peer, plain);
    TURN_UNTIL(&at.loop, result.count == 1);
    memcpy(body->data, "xyz", 3);
    assert_int_equal(try_call("POST", body, 0, &result, NULL), SERIN_OK);
    bytes_drop(body);
    TURN_UNTIL(&at.loop, strstr(peer->got, "\r\nContent-Length: 3\r\n\r\nxyz"));
    peer_say(&at.loop, peer, plain);
    TURN_UNTIL(&at.loop, result.count == 2);
    assert_true(nobody_connects());
    finish();
}

static void to_this_machine_nothing_is_paced(void **state)
{
    struct result result;

    (void)state;
    begin(standard());
    call("GET", &result);
    peer_say(&at.loop, accept_request(), plain);
    TURN_UNTIL(&at.loop, result.count == 1);
    assert_string_equal(control_of(&at.client->connections->transport.socket.handle), "reno");
    finish();
}

static void answers_are_read_in_every_split(void **state)
{
    static const struct {
        const char *method, *answer, *body;
        int status;
        bool until_close;
    } cases[] = {
        {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", 200, false},
        {"GET", "HTTP/1.1 503 Service Unavailable\r\ncontent-length:0\r\n\r\n", "", 503, false},
        {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nX: y\r\n\r\n",
         "hello", 200, false},
        {"GET",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 201 Created\r\n"
         "Content-Length: 2\r\n\r\nok",
         "ok", 201, false},
        {"GET", "HTTP/1.1 204 No Content\r\n\r\n", "", 204, false},
        {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", "", 200, false},
        {"GET", "HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end", 200, true},
        {"GET", "HTTP/1.0 200 OK\r\n\r\n", "", 200, true},
    };
    size_t c, split;

    (void)state;
    for (c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
        struct peer *peer = NULL;

        begin(standard());
        for (split = 1; split < strlen(cases[c].answer); split++) {
            struct result result;

            call(cases[c].method, &result);
            if (!peer)
                peer = accept_request();
            else
                TURN_UNTIL(&at.loop, strstr(peer->got, "\r\n\r\n"));
            peer_send(&at.loop, peer, cases[c].answer, split);
            turn(&at.loop);
            assert_int_equal(result.count, 0);
            peer_say(&at.loop, peer, cases[c].answer + split);
            if (cases[c].until_close) {
                peer_hang_up(peer);
                peer = NULL;
            } else {
                peer_forget(peer);
            }
            TURN_UNTIL(&at.loop, result.count == 1);
            assert_int_equal(result.rc, SERIN_OK);
            assert_int_equal(result.status, cases[c].status);
            assert_string_equal(result.body, cases[c].body);
        }
        assert_true(nobody_connects());
        finish();
    }
}

static void what_is_no_answer_is_corrupt(void **state)
{
    static const char *const garbage[] = {
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    };
    size_t i;

    (void)state;
    begin(standard());
    for (i = 0; i < sizeof(garbage) / sizeof(*garbage); i++) {
        struct result result;
        struct peer *peer;

        call("GET", &result);
        peer = accept_request();
        peer_say(&at.loop, peer, garbage[i]);
        TURN_UNTIL(&at.loop, result.count == 1);
        expect_failure(&result, SERIN_CORRUPT, "127.0.0.1:");
        assert_true(result.sent && !result.timed_out);
        TURN_UNTIL(&at.loop, peer->ended);
    }
    finish();
}

static void answers_are_bounded(void **state)
{
    static const char *const heads[] = {"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
                                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n",
                                        "HTTP/1.1 200 OK\r\n\r\n"};
    struct http_client_options options = *standard();
    char body[1001];
    int i;

    (void)state;
    memset(body, 'x', sizeof(body));
    options.limits.max_body_bytes = 1000;
    begin(&options);
    for (i = 0; i < 4; i++) {
        struct result result;
        struct peer *peer;

        call("GET", &result);
        peer = accept_request();
        peer_say(&at.loop, peer, i < 3 ? heads[i] : "HTTP/1.1 200 OK\r\n");
        if (i < 3)
            peer_send(&at.loop, peer, body, sizeof(body));
        while (i == 3 && result.count == 0) /* a head without end */
            peer_say(&at.loop, peer, "X-Again: and again\r\n");
        TURN_UNTIL(&at.loop, result.count == 1);
        expect_failure(&result, i < 3 ? SERIN_LIMIT : SERIN_CORRUPT, "");
    }
    finish();
}

/* ---- keeping connections ---- */

static void kept_connections_are_used_last_in_first_out(void **state)
{
    struct result first, second, third;
    struct peer *one, *two;

    (void)state;
    begin(standard());
    call("GET", &first);
    one = accept_request();
    call("GET", &second);
    two = accept_request();
    peer_say(&at.loop, two, plain);
    TURN_UNTIL(&at.loop, second.count == 1);
    peer_say(&at.loop, one, plain);
    TURN_UNTIL(&at.loop, first.count == 1);
    peer_forget(one);
    peer_forget(two);
    call("GET", &third);
    TURN_UNTIL(&at.loop, one->size > 0);
    assert_int_equal(two->size, 0);
    peer_say(&at.loop, one, plain);
    TURN_UNTIL(&at.loop, third.count == 1);
    uv_update_time(&at.loop);
    pool_sweep(at.client, uv_now(&at.loop) + 30001);
    TURN_UNTIL(&at.loop, one->ended && two->ended);
    finish();
}

static void a_callback_may_call_again(void **state)
{
    struct result result;
    struct peer *peer;
    int i;

    (void)state;
    begin(standard());
    call("GET", &result);
    result.again = 1000;
    peer = accept_request();
    for (i = 0; i < 1001; i++) {
        TURN_UNTIL(&at.loop, strstr(peer->got, "\r\n\r\n"));
        peer_forget(peer);
        peer_say(&at.loop, peer, plain);
        TURN_UNTIL(&at.loop, result.count == i + 1);
    }
    assert_true(nobody_connects());
    assert_int_equal(http_client_in_flight(at.client), 0);
    finish();
}

/* It was closed while it was kept, and the client learns so only by using it. */
static void a_stale_connection_is_replaced_once(void **state)
{
    struct result result;
    struct peer *peer;
    int way;

    (void)state;
    for (way = 0; way < 2; way++) {
        begin(standard());
        peer = answered_call(&result);
        call("POST", &result);
        TURN_UNTIL(&at.loop, peer->size > 0);
        if (way == 0)
            peer_reset(peer);
        else
            peer_hang_up(peer);
        peer = accept_request();
        assert_int_equal(result.count, 0);
        peer_say(&at.loop, peer, plain);
        TURN_UNTIL(&at.loop, result.count == 1);
        assert_int_equal(result.rc, SERIN_OK);

        peer_forget(peer); /* now the new one fails too */
        call("POST", &result);
        TURN_UNTIL(&at.loop, peer->size > 0);
        peer_hang_up(peer);
        peer = accept_request();
        peer_hang_up(peer);
        TURN_UNTIL(&at.loop, result.count == 1);
        expect_failure(&result, SERIN_IO, "closed without an answer");
        assert_true(result.sent);
        assert_true(nobody_connects());
        finish();
    }
}

static void no_call_is_repeated_after_a_byte_of_its_answer(void **state)
{
    struct result result;
    struct peer *peer;

    (void)state;
    begin(standard());
    peer = answered_call(&result);
    call("GET", &result);
    TURN_UNTIL(&at.loop, peer->size > 0);
    peer_say(&at.loop, peer, "H");
    peer_hang_up(peer);
    TURN_UNTIL(&at.loop, result.count == 1);
    expect_failure(&result, SERIN_IO, "in the middle of an answer");
    assert_true(nobody_connects());
    call("GET", &result); /* nor one on a new connection */
    peer = accept_request();
    peer_reset(peer);
    TURN_UNTIL(&at.loop, result.count == 1);
    expect_failure(&result, SERIN_IO, "");
    assert_true(nobody_connects());
    call("GET", &result); /* nor one whose body is cut */
    peer = accept_request();
    peer_say(&at.loop, peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell");
    peer_hang_up(peer);
    TURN_UNTIL(&at.loop, result.count == 1);
    expect_failure(&result, SERIN_IO, "in the middle of an answer");
    finish();
}

static void a_connection_that_says_too_much_is_not_kept(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
    };
    struct result result;
    struct peer *peer;
    size_t i;

    (void)state;
    begin(standard());
    for (i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        call("GET", &result);
        peer = accept_request();
        peer_say(&at.loop, peer, answers[i]);
        TURN_UNTIL(&at.loop, result.count == 1);
        assert_string_equal(result.body, "hello");
        TURN_UNTIL(&at.loop, peer->ended);
    }
    peer = answered_call(&result); /* it speaks while it is kept */
    peer_say(&at.loop, peer, plain);
    TURN_UNTIL(&at.loop, peer->ended);
    answered_call(&result);
    finish();
}

/* ---- early answers ---- */

static void an_early_answer_is_heard_while_the_body_is_sent(void **state)
{
    struct bytes *body = bytes_of(30000000);
    int way;

    (void)state;
    memset(body->data, 'x', body->size);
    begin(standard());
    for (way = 0; way < 3; way++) {
        struct result result = {.count = 0};
        struct peer *peer;
        int fd;

        assert_int_equal(try_call("POST", body, 0, &result, NULL), SERIN_OK);
        TURN_UNTIL(&at.loop, (fd = accept_now()) >= 0);
        peer = peer_of(fd);
        TURN_UNTIL(&at.loop, peer->size > 0);
        peer->deaf = true;
        peer_say(&at.loop, peer, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
        if (way == 1)
            peer_hang_up(peer); /* with bytes unread: a reset follows the answer */
        TURN_UNTIL(&at.loop, result.count == 1);
        assert_int_equal(result.rc, SERIN_OK);
        assert_int_equal(result.status, 413);
        assert_string_equal(result.body, "no");
        peer->deaf = false;
        if (way != 1)
            TURN_UNTIL(&at.loop, peer->ended); /* not kept: half a request has been sent on it */
    }
    assert_true(nobody_connects());
    bytes_drop(body);
    finish();
}

/* ---- times, bounds, ends ---- */

static void a_silent_upstream_times_out(void **state)
{
    struct result result = {.count = 0}, waiting = {.count = 0}, patient = {.count = 0};
    struct http_client_options options = *standard();
    struct peer *peer;

    (void)state;
    options.max_connections = 1;
    begin(&options);
    assert_int_equal(try_call("GET", NULL, 20, &result, NULL), SERIN_OK);
    assert_int_equal(try_call("GET", NULL, 10, &waiting, NULL), SERIN_OK);
    assert_int_equal(try_call("GET", NULL, 0, &patient, NULL), SERIN_OK);
    peer = accept_request();
    TURN_UNTIL(&at.loop, result.count == 1 && waiting.count == 1);
    expect_failure(&result, SERIN_IO, "no whole answer in");
    assert_true(result.timed_out && result.sent);
    assert_true(waiting.timed_out && !waiting.sent);
    TURN_UNTIL(&at.loop, peer->ended);
    peer = accept_request(); /* whose turn it is now */
    peer_say(&at.loop, peer, plain);
    TURN_UNTIL(&at.loop, patient.count == 1);
    assert_int_equal(patient.rc, SERIN_OK);
    finish();
}

static void a_call_times_out_behind_one_that_ended_in_time(void **state) /* for which the timer had been set */
{
    struct result first = {.count = 0}, second = {.count = 0};
    struct peer *peer;

    (void)state;
    begin(standard());
    assert_int_equal(try_call("GET", NULL, 1000, &first, NULL), SERIN_OK);
    peer = accept_request();
    peer_say(&at.loop, peer, plain);
    TURN_UNTIL(&at.loop, first.count == 1);
    assert_int_equal(at.client->spare_count, 1);
    assert_int_equal(try_call("GET", NULL, 1020, &second, NULL), SERIN_OK);
    assert_int_equal(at.client->spare_count, 0);
    assert_false(first.timed_out);
    TURN_UNTIL(&at.loop, second.count == 1);
    assert_true(second.timed_out);
    finish();
}

static void a_call_that_ends_may_cancel_another_whose_time_is_over_too(void **state)
{
    struct result first = {.count = 0}, second = {.count = 0}, third = {.count = 0};
    struct http_call *cancelled;

    (void)state;
    begin(standard());
    assert_int_equal(try_call("GET", NULL, 1, &first, NULL), SERIN_OK);
    assert_int_equal(try_call("GET", NULL, 1, &second, &cancelled), SERIN_OK);
    assert_int_equal(try_call("GET", NULL, 1, &third, NULL), SERIN_OK);
    first.cancels = cancelled;
    TURN_UNTIL(&at.loop, third.count == 1);
    assert_int_equal(first.count, 1);
    assert_int_equal(second.count, 0);
    assert_int_equal(http_client_in_flight(at.client), 0);
    finish();
}

static void what_cannot_be_connected_says_so(void **state)
{
    struct result result;
    int unheard;

    (void)state;
    begin(standard());
    call("GET", &result);
    uv_update_time(&at.loop);
    at.client->connections->since_ms -= 1001;
    at.client->swept_ms -= 1001; /* that was we */
    on_sweep(&at.client->sweep);
    assert_int_equal(at.client->connections->state, POOL_CONNECTING);
    pool_sweep(at.client, uv_now(&at.loop) + 1001);
    expect_failure(&result, SERIN_IO, "cannot connect");
    assert_false(result.sent || result.timed_out);
    unheard = at.listener;
    at.listener = dup(0);
    close(unheard);
    call("GET", &result);
    TURN_UNTIL(&at.loop, result.count == 1);
    expect_failure(&result, SERIN_IO, "cannot connect: connection refused");
    assert_false(result.sent);
    finish();
}

static void calls_wait_in_order_and_within_bounds(void **state)
{
    struct http_client_options options = *standard();
    struct result results[4];
    struct peer *peer;
    int i;

    (void)state;
    options.max_connections = 1;
    options.max_waiting = 2;
    begin(&options);
    for (i = 0; i < 3; i++)
        call("GET", &results[i]);
    memset(&results[3], 0, sizeof(results[3]));
    assert_int_equal(try_call("GET", NULL, 0, &results[3], NULL), SERIN_LIMIT);
    assert_int_equal(http_client_in_flight(at.client), 3);
    peer = accept_request();
    for (i = 0; i < 3; i++) {
        TURN_UNTIL(&at.loop, strstr(peer->got, "\r\n\r\n"));
        assert_int_equal(count_of(peer->got, "\r\n\r\n"), 1);
        peer_forget(peer);
        peer_say(&at.loop, peer, plain);
        TURN_UNTIL(&at.loop, results[i].count == 1);
        assert_int_equal(http_client_in_flight(at.client), 2 - i);
    }
    assert_int_equal(results[3].count, 0);
    finish();
}

static void a_lost_connection_makes_place_for_the_next_call(void **state)
{
    struct http_client_options options = *standard();
    struct result first, second;
    struct peer *peer;

    (void)state;
    options.max_connections = 1;
    begin(&options);
    call("GET", &first);
    call("GET", &second);
    peer = accept_request();
    peer_hang_up(peer);
    TURN_UNTIL(&at.loop, first.count == 1);
    assert_int_equal(first.rc, SERIN_IO);
    peer = accept_request();
    peer_say(&at.loop, peer, plain);
    TURN_UNTIL(&at.loop, second.count == 1);
    assert_int_equal(second.rc, SERIN_OK);
    finish();
}

static void cancelled_calls_are_silent(void **state)
{
    struct http_client_options options = *standard();
    struct result busy, waiting, last;
    struct http_call *one, *two;
    struct peer *peer;

    (void)state;
    options.max_connections = 1;
    begin(&options);
    one = call("GET", &busy);
    two = call("GET", &waiting);
    http_call_cancel(two);
    peer = accept_request();
    peer_say(&at.loop, peer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    turn(&at.loop);
    call("GET", &last);
    http_call_cancel(one);
    TURN_UNTIL(&at.loop, peer->ended);
    peer = accept_request();
    peer_say(&at.loop, peer, plain);
    TURN_UNTIL(&at.loop, last.count == 1);
    one = call("GET", &busy);
    http_call_cancel(one);
    assert_int_equal(busy.count + waiting.count, 0);
    assert_int_equal(http_client_in_flight(at.client), 0);
    finish();
}

static void closing_ends_every_call(void **state)
{
    struct http_client_options options = *standard();
    struct result busy, connecting, waiting, late = {.count = 0};
    int i;

    (void)state;
    options.max_connections = 2;
    begin(&options);
    call("GET", &busy);
    accept_request();
    call("GET", &connecting);
    call("GET", &waiting);
    http_client_close(at.client, on_closed_all, NULL);
    assert_int_equal(busy.count + connecting.count + waiting.count, 0);
    assert_int_equal(try_call("GET", NULL, 0, &late, NULL), SERIN_IO);
    TURN_UNTIL(&at.loop, at.closed);
    expect_failure(&busy, SERIN_IO, "closed");
    expect_failure(&connecting, SERIN_IO, "closed");
    expect_failure(&waiting, SERIN_IO, "closed");
    for (i = 0; i < 3; i++)
        turn(&at.loop);
    peers_done();
    close(at.listener);
    assert_int_equal(uv_loop_close(&at.loop), 0);
}

/* ---- endpoints ---- */

static void names_are_resolved(void **state)
{
    struct result result;
    struct peer *peer;
    char endpoint[50];

    (void)state;
    begin(standard());
    http_client_close(at.client, NULL, NULL);
    snprintf(endpoint, sizeof(endpoint), "http://localhost:%d/", at.port);
    assert_int_equal(http_client_new(&at.loop, endpoint, standard(), &at.client, NULL), SERIN_OK);
    call("GET", &result);
    peer = accept_request(); /* whether or not ::1 was tried first */
    assert_non_null(strstr(peer->got, "\r\nHost: localhost:"));
    peer_say(&at.loop, peer, plain);
    TURN_UNTIL(&at.loop, result.count == 1);
    assert_int_equal(result.rc, SERIN_OK);
    finish();
}

static void a_close_while_a_name_is_resolved_ends_the_call(void **state)
{
    struct result result;

    (void)state;
    begin(standard());
    http_client_close(at.client, NULL, NULL);
    assert_int_equal(http_client_new(&at.loop, "http://localhost:1", standard(), &at.client, NULL), SERIN_OK);
    call("GET", &result);
    finish();
    expect_failure(&result, SERIN_IO, "closed");
}

static void bad_endpoints_are_refused(void **state)
{
    static const char *const bad[] = {"", "worker", "https://worker:1", "unix:", "http://a/b", "http://:80", "a:b"};
    struct http_client *client;
    struct serin_error error;
    size_t i;

    (void)state;
    begin(standard());
    for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_int_not_equal(http_client_new(&at.loop, bad[i], standard(), &client, &error), SERIN_OK);
        assert_true(strlen(error.message) > 20);
    }
    finish();
}

/* ---- against our own server ---- */

static void on_request(void *user, struct http_exchange *exchange)
{
    (void)user;
    http_respond(exchange, 200, NULL, bytes_share(http_exchange_body(exchange)));
}

static void two_megabytes_go_there_and_back_over_a_unix_socket(void **state)
{
    char folder[] = "/tmp/serin-client-test-XXXXXX", address[100];
    struct http_server_options options;
    struct bytes *body = bytes_of(2000000);
    struct http_server *server;
    struct result result = {.keeps = true};
    size_t i;
    int round;

    (void)state;
    for (i = 0; i < body->capacity; i++)
        body->data[i] = (uint8_t)(i * 2654435761u >> 24);
    begin(standard());
    http_client_close(at.client, NULL, NULL);
    assert_non_null(mkdtemp(folder));
    snprintf(address, sizeof(address), "unix:%s/s", folder);
    http_server_options_init(&options);
    assert_int_equal(http_server_new(&at.loop, &options, on_request, NULL, &server, NULL), SERIN_OK);
    assert_int_equal(http_server_listen(server, address, false, NULL), SERIN_OK);
    assert_int_equal(http_client_new(&at.loop, address, standard(), &at.client, NULL), SERIN_OK);
    for (round = 1; round <= 20; round++) {
        assert_int_equal(try_call("POST", body, 0, &result, NULL), SERIN_OK);
        TURN_UNTIL(&at.loop, result.count == round);
        assert_int_equal(result.rc, SERIN_OK);
        assert_int_equal(result.keep->size, body->size);
        assert_memory_equal(result.keep->data, body->data, body->size);
        bytes_drop(result.keep);
    }
    assert_int_equal(http_server_counters(server)->connections_total, 1);
    http_server_close(server, 0, on_closed_all, NULL);
    TURN_UNTIL(&at.loop, at.closed);
    at.closed = false;
    unlink(address + 5);
    rmdir(folder);
    bytes_drop(body);
    finish();
}

/* ---- anything ---- */

/* Answers with some bytes changed, cut anywhere: each call ends, and ends once. */
static void whatever_is_answered_ends_the_call(void **state)
{
    static const char answer[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n";
    uint32_t x = 54321;
    int i, k, failed = 0;

    (void)state;
    begin(standard());
    for (i = 0; i < 2000; i++) {
        char bytes[sizeof(answer)];
        struct result result;
        struct peer *peer;
        size_t cut;

        memcpy(bytes, answer, sizeof(bytes));
        for (k = 0; k < 3; k++) {
            x = x * 1664525u + 1013904223u;
            bytes[(x >> 8) % (sizeof(bytes) - 1)] = "\r\n 0:;,5aG\t\0/\xff"[(x >> 24) % 14];
        }
        cut = (x >> 4) % sizeof(bytes);
        call("GET", &result);
        peer = accept_request();
        peer_send(&at.loop, peer, bytes, cut);
        peer_send(&at.loop, peer, bytes + cut, sizeof(bytes) - 1 - cut);
        peer_hang_up(peer);
        TURN_UNTIL(&at.loop, result.count == 1);
        TURN_UNTIL(&at.loop, !at.client->connections);
        failed += result.rc != SERIN_OK;
        peers_done();
    }
    assert_true(failed > 100 && failed < 2000);
    finish();
}

/* ---- memory ---- */

/* The n-th allocation fails, for every n: the call is refused, or ends once; nothing leaks. */
static void missing_memory_is_survived(void **state)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    int n, whole = 0;

    (void)state;
    for (n = 0; whole < 3; n++) {
        struct result result = {.count = 0};
        struct peer *peer = NULL;
        enum serin_errc rc;

        begin(standard());
        allocations_left = n;
        rc = try_call("GET", NULL, 0, &result, NULL);
        if (rc != SERIN_OK) {
            assert_int_equal(rc, SERIN_NOMEM);
        } else {
            while (result.count == 0) {
                int fd = peer ? -1 : accept_now();

                if (fd >= 0)
                    peer = peer_of(fd);
                if (peer && strstr(peer->got, "\r\n\r\n")) {
                    peer_forget(peer);
                    peer_say(&at.loop, peer, answer);
                }
                turn(&at.loop);
            }
            assert_true(result.rc == SERIN_OK || result.rc == SERIN_NOMEM);
            whole += result.rc == SERIN_OK;
        }
        allocations_left = -1;
        assert_true(n < 100);
        finish();
    }
    assert_true(n > 5);
}

/* As SIGSTOP and SIGCONT leave it: its time is long over, and the answer has come meanwhile, or comes soon. */
static void stand_still(struct http_call *call)
{
    call->due_ms = uv_now(&at.loop) - 2 * STALLED_MS;
    at.client->timer_ms = UINT64_MAX;
    wake_at(at.client, call->due_ms);
}

static void an_answer_that_lay_there_while_we_stood_still_is_read(void **state)
{
    struct result read, late;
    struct http_call *one, *other;
    struct peer *peer;

    (void)state;
    begin(standard());
    one = call("GET", &read);
    peer = accept_request();
    assert_int_equal(send(peer->fd, plain, sizeof(plain) - 1, 0), (ssize_t)sizeof(plain) - 1);
    stand_still(one);
    TURN_UNTIL(&at.loop, read.count == 1);
    assert_int_equal(read.rc, SERIN_OK);
    peer_forget(peer);
    other = call("GET", &late); /* and what does not come is not awaited for ever */
    TURN_UNTIL(&at.loop, strstr(peer->got, "\r\n\r\n"));
    stand_still(other);
    turn(&at.loop);
    assert_int_equal(late.count, 0);
    stand_still(other);
    TURN_UNTIL(&at.loop, late.count == 1);
    assert_true(late.timed_out);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_that_lay_there_while_we_stood_still_is_read),
        cmocka_unit_test(requests_say_what_must_be_said),
        cmocka_unit_test(to_this_machine_nothing_is_paced),
        cmocka_unit_test(answers_are_read_in_every_split),
        cmocka_unit_test(what_is_no_answer_is_corrupt),
        cmocka_unit_test(answers_are_bounded),
        cmocka_unit_test(kept_connections_are_used_last_in_first_out),
        cmocka_unit_test(a_callback_may_call_again),
        cmocka_unit_test(a_stale_connection_is_replaced_once),
        cmocka_unit_test(no_call_is_repeated_after_a_byte_of_its_answer),
        cmocka_unit_test(a_connection_that_says_too_much_is_not_kept),
        cmocka_unit_test(an_early_answer_is_heard_while_the_body_is_sent),
        cmocka_unit_test(a_silent_upstream_times_out),
        cmocka_unit_test(a_call_times_out_behind_one_that_ended_in_time),
        cmocka_unit_test(a_call_that_ends_may_cancel_another_whose_time_is_over_too),
        cmocka_unit_test(what_cannot_be_connected_says_so),
        cmocka_unit_test(calls_wait_in_order_and_within_bounds),
        cmocka_unit_test(a_lost_connection_makes_place_for_the_next_call),
        cmocka_unit_test(cancelled_calls_are_silent),
        cmocka_unit_test(closing_ends_every_call),
        cmocka_unit_test(names_are_resolved),
        cmocka_unit_test(a_close_while_a_name_is_resolved_ends_the_call),
        cmocka_unit_test(bad_endpoints_are_refused),
        cmocka_unit_test(two_megabytes_go_there_and_back_over_a_unix_socket),
        cmocka_unit_test(whatever_is_answered_ends_the_call),
        cmocka_unit_test(missing_memory_is_survived),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
