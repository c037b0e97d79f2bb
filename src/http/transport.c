/*
 * transport.c - a connection's bytes, in plain text or in TLS.
 * SPDX-License-Identifier: Apache-2.0
 *
 * OpenSSL reads what libuv has just read straight from that buffer (`fed`), and writes into `out`, through a BIO of our
 * own: no copy but OpenSSL's. Large answers are enciphered a few records at a time, as the kernel takes them, so that a
 * slow client holds no second copy of its answer. A reader that stops in the middle of what has come leaves the rest in
 * `kept`; libuv does not read more meanwhile.
 */
#include "http/transport.h"

#include <openssl/err.h>

#include <errno.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define READ_BYTES     65536 /* of ciphertext at once: four records */
#define ENCIPHER_BYTES 65536 /* of plain text, before the kernel is asked to take it */
#define MAX_OUT_BYTES  (2 * ENCIPHER_BYTES)
#define READER_BYTES   65536 /* what a reader is told that there may be */
#define JOINED_BYTES   4096  /* two pieces that are not more together are sent as one */

static struct transport *transport_of(uv_handle_t *handle)
{
    return (struct transport *)handle;
}

/* ---- OpenSSL's side ---- */

static int bio_read(BIO *bio, char *bytes, size_t size, size_t *ret)
{
    struct transport *transport = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (transport->fed_size == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    if (size > transport->fed_size)
        size = transport->fed_size;
    memcpy(bytes, transport->fed, size);
    transport->fed += size;
    transport->fed_size -= size;
    *ret = size;
    return 1;
}

static int bio_write(BIO *bio, const char *bytes, size_t size, size_t *ret)
{
    struct transport *transport = BIO_get_data(bio);

    buffer_append(&transport->out, bytes, size);
    *ret = size;
    return transport->out.failed == SERIN_OK;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *bio)
{
    BIO_set_init(bio, 1);
    return 1;
}

static BIO_METHOD *bio_method;

static void make_bio_method(void)
{
    bio_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "serin transport");
    if (!bio_method)
        return;
    BIO_meth_set_read_ex(bio_method, bio_read);
    BIO_meth_set_write_ex(bio_method, bio_write);
    BIO_meth_set_ctrl(bio_method, bio_control);
    BIO_meth_set_create(bio_method, bio_create);
}

/* ---- life ---- */

int transport_init(uv_loop_t *loop, struct transport *transport, bool is_unix)
{
    *transport = (struct transport){.sent = NULL};
    buffer_init(&transport->out, MAX_OUT_BYTES);
    buffer_init(&transport->flying, MAX_OUT_BYTES);
    return http_socket_init(loop, &transport->socket, is_unix);
}

static void flush(struct transport *transport);

void transport_close(struct transport *transport, uv_close_cb closed)
{
    if (transport->ssl && transport->is_open && !transport->is_flying) {
        ERR_clear_error();
        (void)SSL_shutdown(transport->ssl); /* says that this is the end, if the kernel takes it at once */
    }
    if (transport->ssl && !transport->is_flying && transport->out.size > 0) {
        uv_buf_t buf = uv_buf_init(transport->out.bytes, (unsigned)transport->out.size);

        (void)uv_try_write(&transport->socket.stream, &buf, 1);
    }
    transport->is_closed = true;
    transport->read = NULL;
    transport->sent = NULL;
    uv_close(&transport->socket.handle, closed);
}

void transport_done(struct transport *transport)
{
    SSL_free(transport->ssl);
    free(transport->kept);
    buffer_done(&transport->out);
    buffer_done(&transport->flying);
    transport->ssl = NULL;
    transport->kept = NULL;
}

bool transport_is_open(const struct transport *transport)
{
    return !transport->ssl || transport->is_open;
}

/* ---- sending ---- */

static void on_plain_written(uv_write_t *write, int status)
{
    struct transport *transport = transport_of((uv_handle_t *)write->handle);
    void (*sent)(struct transport * of, int with) = transport->sent;

    transport->sent = NULL;
    if (sent)
        sent(transport, status);
}

/* What the kernel takes of it at once, in one call of send(2): for sockets that is cheaper than the writes of files
 * that uv_try_write makes, and one small piece is cheaper than two, its copy included. */
static size_t send_now(struct transport *transport, const uv_buf_t *bufs, unsigned count)
{
    const size_t first = bufs[0].len, total = first + (count > 1 ? bufs[1].len : 0);
    struct iovec pieces[2] = {{.iov_base = bufs[0].base, .iov_len = first}};
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = count};
    char joined[JOINED_BYTES];
    uv_os_fd_t fd;
    ssize_t n;

    if (uv_stream_get_write_queue_size(&transport->socket.stream) > 0 || uv_fileno(&transport->socket.handle, &fd) != 0)
        return 0;
    if (count > 1 && total <= sizeof(joined)) {
        memcpy(joined, bufs[0].base, first);
        memcpy(joined + first, bufs[1].base, bufs[1].len);
        pieces[0] = (struct iovec){.iov_base = joined, .iov_len = total};
        message.msg_iovlen = 1;
    } else if (count > 1) {
        pieces[1] = (struct iovec){.iov_base = bufs[1].base, .iov_len = bufs[1].len};
    }
    do
        n = message.msg_iovlen == 1 ? send(fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT)
                                    : sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n > 0 ? (size_t)n : 0; /* whoever cannot be sent to will be found so by libuv */
}

/* Sends as much as the kernel takes now; the rest, rarely any, through libuv's queue. */
static int send_plain(struct transport *transport, const uv_buf_t *given, unsigned count,
                      void (*sent)(struct transport *transport, int status))
{
    uv_buf_t bufs[2] = {given[0], count > 1 ? given[1] : (uv_buf_t){0}};
    size_t total = bufs[0].len + bufs[1].len, done = send_now(transport, bufs, count);
    uv_buf_t *at = bufs;
    int n;

    if (done == total)
        return 1;
    if (done < bufs[0].len) {
        bufs[0] = (uv_buf_t){.base = bufs[0].base + done, .len = bufs[0].len - done};
    } else {
        bufs[1] = (uv_buf_t){.base = bufs[1].base + (done - bufs[0].len), .len = total - done};
        at = &bufs[1];
        count = 1;
    }
    n = uv_write(&transport->write, &transport->socket.stream, at, count, on_plain_written);
    if (n != 0)
        return n;
    transport->sent = sent;
    return 0;
}

/* Enciphers some of what is to be sent. False where OpenSSL cannot. */
static bool encipher(struct transport *transport)
{
    uv_buf_t *first = &transport->plain[0];
    size_t size, done = 0;

    while (transport->plain_count > 0 && transport->out.size < ENCIPHER_BYTES) {
        size = first->len < ENCIPHER_BYTES ? first->len : ENCIPHER_BYTES;
        ERR_clear_error();
        if (size > 0 && SSL_write_ex(transport->ssl, first->base, size, &done) != 1)
            return false;
        *first = (uv_buf_t){.base = first->base + done, .len = first->len - done};
        if (first->len == 0) {
            transport->plain[0] = transport->plain[1];
            transport->plain_count--;
        }
    }
    return true;
}

/* Idle connections are many: they hold little. */
static void shrink(struct transport *transport)
{
    buffer_done(&transport->out);
    buffer_done(&transport->flying);
}

static void on_flown(uv_write_t *write, int status)
{
    struct transport *transport = transport_of((uv_handle_t *)write->handle);
    void (*sent)(struct transport * of, int with);

    transport->is_flying = false;
    buffer_clear(&transport->flying);
    if (transport->is_closed)
        return;
    if (status == 0)
        flush(transport);
    if (status == 0 && transport->is_flying)
        return;
    if (transport->is_broken)
        status = UV_EPIPE;
    sent = transport->sent;
    transport->sent = NULL;
    if (sent)
        sent(transport, status);
}

/* Hands to the kernel what is enciphered, and enciphers what is left, until the kernel takes no more. Where that fails
 * the reader learns of it. */
static void flush(struct transport *transport)
{
    while (!transport->is_flying && !transport->is_closed) {
        struct buffer empty;
        uv_buf_t buf;
        int n;

        if (transport->out.size == 0 && transport->is_open && !encipher(transport)) {
            transport->is_broken = true;
            return;
        }
        if (transport->out.size == 0) {
            shrink(transport);
            return;
        }
        buf = uv_buf_init(transport->out.bytes, (unsigned)transport->out.size);
        n = uv_try_write(&transport->socket.stream, &buf, 1);
        if (n == (int)transport->out.size) {
            buffer_clear(&transport->out);
            continue;
        }
        if (n > 0) {
            buf.base += n;
            buf.len -= (size_t)n;
        }
        if (uv_write(&transport->write, &transport->socket.stream, &buf, 1, on_flown) != 0) {
            transport->is_broken = true;
            return;
        }
        empty = transport->flying;
        transport->flying = transport->out; /* what is in flight does not move while more is enciphered */
        transport->out = empty;
        transport->is_flying = true;
    }
}

int transport_send(struct transport *transport, const uv_buf_t *bufs, unsigned count,
                   void (*sent)(struct transport *transport, int status))
{
    if (!transport->ssl)
        return send_plain(transport, bufs, count, sent);
    memcpy(transport->plain, bufs, count * sizeof(*bufs));
    transport->plain_count = count;
    flush(transport);
    if (transport->is_broken)
        return UV_EPIPE;
    if (!transport->is_flying)
        return 1;
    transport->sent = sent;
    return 0;
}

static void on_said(uv_write_t *write, int status)
{
    (void)write;
    (void)status; /* a connection that cannot be written to will say so to the reader */
}

int transport_say(struct transport *transport, const char *text)
{
    uv_buf_t buf = uv_buf_init((char *)text, (unsigned)strlen(text));
    int rc;

    if (!transport->ssl)
        return uv_write(&transport->say_write, &transport->socket.stream, &buf, 1, on_said);
    rc = transport_send(transport, &buf, 1, NULL);
    return rc < 0 ? rc : 0;
}

/* The kernel's queue holds megabytes, so that libuv's moves in leaps that are far apart. */
size_t transport_unsent(const struct transport *transport)
{
    size_t queued = uv_stream_get_write_queue_size(&transport->socket.stream) + transport->out.size;
    uv_os_fd_t fd;
    int kernel = 0;
    unsigned i;

    for (i = 0; i < transport->plain_count; i++)
        queued += transport->plain[i].len;
    if (uv_fileno(&transport->socket.handle, &fd) == 0 && ioctl(fd, SIOCOUTQ, &kernel) == 0 && kernel > 0)
        queued += (size_t)kernel;
    return queued;
}

static void on_shut(uv_shutdown_t *request, int status)
{
    (void)request;
    (void)status;
}

int transport_shutdown(struct transport *transport)
{
    if (transport->ssl && transport->is_open) {
        ERR_clear_error();
        (void)SSL_shutdown(transport->ssl);
        flush(transport);
    }
    return uv_shutdown(&transport->shutdown, &transport->socket.stream, on_shut);
}

/* ---- reading ---- */

/* Why OpenSSL gave up, in words for people; the other side is told by its alert. */
static void note_fault(struct transport *transport)
{
    unsigned long code = ERR_get_error();
    long verified = SSL_get_verify_result(transport->ssl);
    const char *reason = ERR_reason_error_string(code);

    if (verified != X509_V_OK)
        snprintf(transport->why, sizeof(transport->why), "TLS: the certificate is not trusted: %s",
                 X509_verify_cert_error_string(verified));
    else
        snprintf(transport->why, sizeof(transport->why), "TLS: %s", reason ? reason : "the connection broke");
    ERR_clear_error();
}

static void tell_reader(struct transport *transport, ssize_t what)
{
    const uv_buf_t none = uv_buf_init(NULL, 0);

    if (transport->read && !transport->is_closed)
        transport->read(&transport->socket.stream, what, &none);
}

/* Whether OpenSSL only waits for more. Else the reader is told of the end. */
static bool wants_more(struct transport *transport, int result)
{
    int what = SSL_get_error(transport->ssl, result);

    if (what == SSL_ERROR_WANT_READ)
        return true;
    if (what == SSL_ERROR_ZERO_RETURN) {
        transport->is_ended = true;
        tell_reader(transport, UV_EOF);
        return false;
    }
    note_fault(transport);
    flush(transport);
    tell_reader(transport, UV_EPROTO);
    return false;
}

static bool shake_hands(struct transport *transport)
{
    int result;

    ERR_clear_error();
    result = SSL_do_handshake(transport->ssl);
    if (result != 1) {
        if (wants_more(transport, result))
            flush(transport);
        return false;
    }
    transport->is_open = true;
    flush(transport);
    if (transport->opened && !transport->is_closed)
        transport->opened(transport);
    return true;
}

/* Some plain text for the reader. False where there is none. */
static bool decipher(struct transport *transport)
{
    uv_buf_t buf = uv_buf_init(NULL, 0);
    size_t got = 0;
    int result;

    transport->alloc(&transport->socket.handle, READER_BYTES, &buf);
    if (buf.len == 0) {
        tell_reader(transport, UV_ENOBUFS);
        return false;
    }
    ERR_clear_error();
    result = SSL_read_ex(transport->ssl, buf.base, buf.len, &got);
    if (result == 1) {
        transport->read(&transport->socket.stream, (ssize_t)got, &buf);
        return true;
    }
    return wants_more(transport, result) && transport->fed_size > 0;
}

/* Gives the reader all that there is, as long as it reads. */
static void pump(struct transport *transport)
{
    char *rest;

    if (transport->is_pumping)
        return;
    transport->is_pumping = true;
    while (transport->read && !transport->is_closed && !transport->is_ended)
        if (transport->is_open ? !decipher(transport) : !shake_hands(transport))
            break;
    flush(transport);
    transport->is_pumping = false;
    if (transport->fed_size > 0 && transport->fed != transport->kept) {
        rest = malloc(transport->fed_size);
        if (rest)
            memcpy(rest, transport->fed, transport->fed_size);
        free(transport->kept);
        transport->fed = transport->kept = rest;
        transport->fed_size =
            rest ? transport->fed_size : 0; /* without memory the records break, and the reader learns it */
    } else if (transport->fed_size == 0) {
        free(transport->kept);
        transport->kept = NULL;
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    static _Thread_local char scratch[READ_BYTES]; /* used within the read that follows at once */

    (void)handle, (void)suggested;
    *ret = uv_buf_init(scratch, sizeof(scratch));
}

static void on_read(uv_stream_t *handle, ssize_t nread, const uv_buf_t *buf)
{
    struct transport *transport = transport_of((uv_handle_t *)handle);

    if (nread == 0)
        return;
    if (nread < 0) {
        tell_reader(transport, nread == UV_EOF && transport->is_client && !transport->is_ended ? UV_ECONNRESET : nread);
        return;
    }
    transport->fed = buf->base;
    transport->fed_size = (size_t)nread;
    pump(transport);
}

static void on_woken(uv_write_t *write, int status)
{
    struct transport *transport = transport_of((uv_handle_t *)write->handle);

    transport->is_waking = false;
    if (status != 0 || transport->is_closed)
        return;
    pump(transport);
    if (transport->read && uv_read_start(&transport->socket.stream, on_alloc, on_read) != 0)
        tell_reader(transport, UV_EPIPE);
}

int transport_read_start(struct transport *transport, uv_alloc_cb alloc, uv_read_cb read)
{
    uv_buf_t nothing = uv_buf_init((char *)"", 0);

    if (!transport->ssl)
        return uv_read_start(&transport->socket.stream, alloc, read);
    transport->alloc = alloc;
    transport->read = read;
    /* What came while nobody read is given from the loop, as if it came now: a write of nothing is the shortest way
     * there, and needs no handle of its own, which would have to be closed too. */
    if (transport->is_waking)
        return 0;
    if (!transport->is_pumping && (transport->fed_size > 0 || SSL_has_pending(transport->ssl))) {
        transport->is_waking = true;
        return uv_write(&transport->wake, &transport->socket.stream, &nothing, 1, on_woken);
    }
    return uv_read_start(&transport->socket.stream, on_alloc, on_read);
}

void transport_read_stop(struct transport *transport)
{
    transport->read = NULL;
    uv_read_stop(&transport->socket.stream);
}

int transport_begin_tls(struct transport *transport, SSL *ssl, bool is_client,
                        void (*opened)(struct transport *transport))
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    BIO *bio;

    pthread_once(&once, make_bio_method);
    bio = bio_method ? BIO_new(bio_method) : NULL;
    if (!bio) {
        SSL_free(ssl);
        return UV_ENOMEM;
    }
    BIO_set_data(bio, transport);
    SSL_set_bio(ssl, bio, bio);
    transport->ssl = ssl;
    transport->is_client = is_client;
    transport->opened = opened;
    if (is_client) {
        ERR_clear_error();
        (void)SSL_do_handshake(ssl);
        flush(transport);
    }
    return 0;
}
