/*
 * test_peer.h - for tests only: the other side of a connection as a plain socket, and a loop that is turned by hand.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Nothing sleeps: TURN_UNTIL turns the loop and reads from the peers until its condition holds, and fails the test when
 * it does not in far longer than anything takes.
 */
#ifndef HTTP_TEST_PEER_H
#define HTTP_TEST_PEER_H

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define PATIENCE_NS 20000000000u

struct peer {
    int fd;
    char *got; /* NUL-terminated */
    size_t size, capacity;
    bool ended, was_reset, deaf; /* deaf: does not read */
};

#define MAX_PEERS 512
static struct peer *peers[MAX_PEERS];
static int peer_count;

static inline struct peer *peer_of(int fd)
{
    struct peer *peer = calloc(1, sizeof(*peer));
    const int on = 1;

    assert_non_null(peer);
    assert_true(fd >= 0 && peer_count < MAX_PEERS);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* each piece by itself, and at once */
    peer->fd = fd;
    peer->capacity = 4096;
    peer->got = calloc(1, peer->capacity);
    assert_non_null(peer->got);
    peers[peer_count++] = peer;
    return peer;
}

static inline struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* The kernel takes the connection into the listener's queue, so this needs no turn of the loop. */
static inline struct peer *peer_connect(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return peer_of(fd);
}

/* The name of its congestion control. */
static inline const char *control_of(const uv_handle_t *handle)
{
    static char name[64];
    socklen_t size = sizeof(name) - 1;
    uv_os_fd_t fd;

    memset(name, 0, sizeof(name));
    assert_int_equal(uv_fileno(handle, &fd), 0);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size), 0);
    return name;
}

static inline void peer_read(struct peer *peer)
{
    ssize_t n;

    while (peer->fd >= 0 && !peer->ended && !peer->deaf) {
        if (peer->capacity - peer->size < 65536) {
            peer->capacity = peer->capacity * 2 + 65536;
            peer->got = realloc(peer->got, peer->capacity);
            assert_non_null(peer->got);
        }
        n = recv(peer->fd, peer->got + peer->size, peer->capacity - peer->size - 1, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        peer->ended = n <= 0;
        peer->was_reset = n < 0;
        peer->size += n > 0 ? (size_t)n : 0;
        peer->got[peer->size] = '\0';
    }
}

static inline void turn(uv_loop_t *loop)
{
    int i;

    uv_run(loop, UV_RUN_NOWAIT);
    for (i = 0; i < peer_count; i++)
        peer_read(peers[i]);
}

#define TURN_UNTIL(loop, condition)                                                                                    \
    do {                                                                                                               \
        uint64_t turn_began = clock_now_ns();                                                                          \
        while (!(condition)) {                                                                                         \
            turn(loop);                                                                                                \
            if (clock_now_ns() - turn_began > PATIENCE_NS)                                                             \
                fail_msg("never came true: %s", #condition);                                                           \
        }                                                                                                              \
    } while (0)

/* Sends all of it, turning the loop while the socket is full. False where the other side has closed. */
static inline bool peer_send(uv_loop_t *loop, struct peer *peer, const void *bytes, size_t size)
{
    const char *at = bytes;
    uint64_t began = clock_now_ns();

    while (size > 0) {
        ssize_t n = send(peer->fd, at, size, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN)
            return false;
        if (n > 0) {
            at += n;
            size -= (size_t)n;
        }
        turn(loop);
        if (clock_now_ns() - began > PATIENCE_NS)
            fail_msg("the other side does not read");
    }
    return true;
}

static inline bool peer_say(uv_loop_t *loop, struct peer *peer, const char *text)
{
    return peer_send(loop, peer, text, strlen(text));
}

static inline void peer_forget(struct peer *peer)
{
    peer->size = 0;
    peer->got[0] = '\0';
}

static inline void peer_hang_up(struct peer *peer)
{
    close(peer->fd);
    peer->fd = -1;
}

/* With a reset instead of an orderly end. */
static inline void peer_reset(struct peer *peer)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};

    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    peer_hang_up(peer);
}

static inline void peers_done(void)
{
    while (peer_count > 0) {
        struct peer *peer = peers[--peer_count];

        if (peer->fd >= 0)
            close(peer->fd);
        free(peer->got);
        free(peer);
    }
}

static inline int count_of(const char *text, const char *part)
{
    int count = 0;

    for (; (text = strstr(text, part)); text += strlen(part))
        count++;
    return count;
}

#endif
