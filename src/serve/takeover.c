/*
 * takeover.c - one serin serve hands its sockets to the next, and no connection is refused.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The elder has a door, a unix socket in the data folder. Who comes there (serin serve --takeover), the heir, gets in
 * one message the lock of the folder, the listening sockets and the list of what is ready. While the heir starts its
 * workers the elder goes on serving and takes no changes, so that what the heir has read stays true; but its rollouts
 * go on, since a bad version must come off at any time, and the heir reads the routes again at the last moment. Once
 * all is ready that was ready, the heir accepts at the same sockets and says so; the elder accepts no more, ends what
 * it has, and goes. Nothing is closed between the two, so that no queue of a listener is lost. Whichever dies, the
 * other serves: an elder that reads its heir's end takes changes again; an heir that reads its elder's serves what it
 * has.
 *
 * Messages are records (SOCK_SEQPACKET): JSON from the elder, then one byte from the heir, or from the elder a sentence
 * why not.
 */
#include "serve/takeover.h"

#include "serve/inside.h"

#include <errno.h>
#include <jansson.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define DOOR              "takeover.sock"
#define MAX_MESSAGE_BYTES 65536  /* FLEET_MAX_VERSIONS names, and addresses */
#define ANSWER_S          10     /* for the elder's message: its control thread never waits for long */
#define READY_MS          600000 /* as a deploy, on a machine that holds every model twice meanwhile */

/* A descriptor that is looked after on the loop. */
struct watch {
    uv_poll_t poll;
    int fd;
};

struct takeover {
    struct watch *door, *heir, *elder; /* NULL: none */
    uv_timer_t limit;                  /* of an heir, until it serves */
    bool limited, told;                /* told: the elder knows that this one serves */
    struct handed handed;
    json_t *ready; /* what the elder had ready: {"model:tag": replicas} */
    int served_by; /* the heir that serves now is told of this process's end by the end of this; -1 */
};

/* ---- descriptors ---- */

static struct watch *watch_new(struct server *server, int fd, uv_poll_cb readable)
{
    struct watch *watch = calloc(1, sizeof(*watch));

    if (!watch || uv_poll_init(&server->loop, &watch->poll, fd) != 0) {
        close(fd);
        free(watch);
        return NULL;
    }
    watch->fd = fd;
    watch->poll.data = server;
    uv_poll_start(&watch->poll, UV_READABLE | UV_DISCONNECT, readable);
    return watch;
}

static void watch_closed(uv_handle_t *handle)
{
    struct watch *watch = (struct watch *)handle;

    close(watch->fd);
    free(watch);
}

static void watch_close(struct watch **watch)
{
    if (*watch)
        uv_close((uv_handle_t *)&(*watch)->poll, watch_closed);
    *watch = NULL;
}

/* The door's address through a descriptor of its folder, since a socket's path has 107 bytes and a folder's has more.
 */
static int door_address(const char *data_dir, struct sockaddr_un *ret)
{
    int folder = open(data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/" DOOR, folder);
    return folder;
}

static bool send_text(int fd, const char *text, const int *fds, int fd_count)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int) * (GATEWAY_MAX_SOCKETS + 2))];
    } control = {.bytes = {0}};
    struct iovec part = {(void *)text, strlen(text)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (fd_count > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)fd_count);
        control.head = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int) * (size_t)fd_count)};
        memcpy(CMSG_DATA(&control.head), fds, sizeof(int) * (size_t)fd_count);
    }
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)part.iov_len;
}

/* ---- the elder ---- */

static void refuse(int fd, const char *sentence)
{
    char text[400];

    snprintf(text, sizeof(text), "{\"refused\": \"%s\"}", sentence);
    (void)send_text(fd, text, NULL, 0);
    close(fd);
}

static void heir_says(uv_poll_t *poll, int status, int events)
{
    struct server *server = poll->data;
    struct takeover *takeover = server->takeover;
    char byte;
    ssize_t got = recv(takeover->heir->fd, &byte, 1, MSG_DONTWAIT);

    (void)status, (void)events;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got == 1 && !server->stopping) {
        log_event(server->log, "info", "handing over", "the new serin serve accepts; this one ends what it has");
        serve_end(server, true);
        return;
    }
    if (!server->stopping)
        log_event(server->log, "warn", "handing over", "the new serin serve has gone: this one goes on");
    watch_close(&takeover->heir);
}

static char *grant(struct server *server, int socket_count)
{
    json_t *ready = json_object(), *message;
    struct fleet_version *version;
    char *text;
    int i;

    for (i = 0; (version = fleet_at(server->fleet, i)) != NULL; i++)
        if (!version->leaving && fleet_ready_count(version) > 0)
            json_object_set_new(ready, version->name, json_integer(fleet_ready_count(version)));
    message = json_pack("{s:s, s:s, s:s, s:i, s:o}", "run_dir", server->run_dir, "listen", server->options.listen,
                        "admin", server->options.admin, "sockets", socket_count, "ready", ready);
    text = message ? json_dumps(message, JSON_COMPACT) : NULL;
    json_decref(message);
    return text;
}

static void knocked(uv_poll_t *poll, int status, int events)
{
    struct server *server = poll->data;
    struct takeover *takeover = server->takeover;
    int fds[GATEWAY_MAX_SOCKETS + 2], count, fd;
    char *text;

    (void)status, (void)events;
    fd = accept4(takeover->door->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    if (takeover->heir)
        refuse(fd, "another one takes over already");
    else if (takeover->elder)
        refuse(fd, "it has just taken over itself, and the one before still ends what it has: try again in a moment");
    else if (server->deployments)
        refuse(fd, "a version is being deployed: try again when it is ready");
    else if (!table_is_stored(server))
        refuse(fd, "a route is in force that could not be written to the disk yet (its log says why)");
    else {
        fds[0] = server->lock;
        fds[1] = api_socket(server->api);
        count = gateway_sockets(server->gateway, fds + 2);
        text = grant(server, count);
        if (!text || !send_text(fd, text, fds, count + 2)) {
            close(fd);
        } else {
            log_event(server->log, "info", "handing over", "a new serin serve has the sockets and gets ready");
            takeover->heir = watch_new(server, fd, heir_says);
        }
        free(text);
    }
}

enum serin_errc takeover_open_door(struct server *server, struct serin_error *error)
{
    struct sockaddr_un address;
    int folder = door_address(server->options.data_dir, &address);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    enum serin_errc rc = SERIN_OK;

    (void)unlinkat(folder, DOOR, 0); /* the lock is ours: whoever left it, or hands over, needs it no more */
    if (folder < 0 || fd < 0 || fchmod(fd, 0600) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 8) != 0)
        rc = error_set(error, SERIN_IO, "%s/" DOOR ": %s", server->options.data_dir, strerror(errno));
    if (folder >= 0)
        close(folder);
    if (rc != SERIN_OK) {
        if (fd >= 0)
            close(fd);
        return rc;
    }
    server->takeover->door = watch_new(server, fd, knocked);
    return server->takeover->door ? SERIN_OK : error_set(error, SERIN_NOMEM, "no memory for " DOOR);
}

enum serin_errc takeover_check(const struct server *server, struct serin_error *error)
{
    if (server->stopping)
        return error_set(error, SERIN_LIMIT, "serin serve is ending, and takes no changes any more");
    if (server->takeover->heir)
        return error_set(error, SERIN_LIMIT, "another serin serve is taking over: try again when it has");
    return SERIN_OK;
}

/* ---- the heir ---- */

static int receive(int fd, char *text, size_t size, int *fds, int most, int *ret_count)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int) * (GATEWAY_MAX_SOCKETS + 2))];
    } control = {.bytes = {0}};
    struct iovec part = {text, size - 1};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);

    *ret_count = 0;
    if (got <= 0 || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)))
        return -1;
    text[got] = '\0';
    if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
        *ret_count = (int)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        if (*ret_count > most)
            return -1;
        memcpy(fds, CMSG_DATA(head), sizeof(int) * (size_t)*ret_count);
    }
    return (int)got;
}

static void gone_on_without(uv_poll_t *poll, int status, int events)
{
    struct server *server = poll->data;
    struct takeover *takeover = server->takeover;
    char sentence[400];
    ssize_t got = recv(takeover->elder->fd, sentence, sizeof(sentence) - 1, MSG_DONTWAIT);

    (void)status, (void)events;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    watch_close(&takeover->elder);
    if (got > 0 && !server->open) {
        sentence[got] = '\0';
        serve_fail(server, SERIN_LIMIT, sentence);
        return;
    }
    if (!server->open)
        log_event(server->log, "warn", "taking over", "the one before has gone before this one was ready");
    takeover_look(server); /* nobody is there to wait for */
}

static void took_too_long(uv_timer_t *limit)
{
    serve_fail(limit->data, SERIN_IO, "what the one before serves was not ready in ten minutes: it goes on");
}

static bool is_same_address(const char *wish, const char *given)
{
    size_t length = strlen(wish);

    return strcmp(wish, given) == 0 || (length > 2 && strcmp(wish + length - 2, ":0") == 0 &&
                                        strncmp(wish, given, length - 1) == 0 && !strchr(given + length - 1, ':'));
}

/* What the elder sent: its addresses are ours where ours are the same, or any. */
static enum serin_errc take(struct server *server, const char *text, const int *fds, int fd_count,
                            struct serin_error *error)
{
    struct handed *handed = &server->takeover->handed;
    const char *run_dir, *listen, *admin, *refused = NULL;
    json_t *root = json_loads(text, 0, NULL), *ready = NULL;
    enum serin_errc rc = SERIN_OK;
    int count = 0, i;

    if (json_unpack(root, "{s:s}", "refused", &refused) == 0)
        rc = error_set(error, SERIN_LIMIT, "the running serin serve does not hand over: %s", refused);
    else if (json_unpack(root, "{s:s, s:s, s:s, s:i, s:O}", "run_dir", &run_dir, "listen", &listen, "admin", &admin,
                         "sockets", &count, "ready", &ready) != 0 ||
             count < 1 || fd_count != count + 2 || !json_is_object(ready))
        rc = error_set(error, SERIN_CORRUPT, "the running serin serve hands over in another way than this one knows");
    server->takeover->ready = ready;
    if (rc == SERIN_OK) {
        server->lock = fds[0];
        snprintf(handed->run_dir, sizeof(handed->run_dir), "%s", run_dir);
        if (is_same_address(server->options.admin, admin)) {
            handed->admin = fds[1];
            snprintf(server->options.admin, sizeof(server->options.admin), "%s", admin);
        } else {
            close(fds[1]);
        }
        for (i = 0; i < count; i++) {
            if (is_same_address(server->options.listen, listen))
                handed->data[handed->data_count++] = fds[i + 2];
            else
                close(fds[i + 2]);
        }
        if (handed->data_count > 0)
            snprintf(server->options.listen, sizeof(server->options.listen), "%s", listen);
    }
    json_decref(root);
    return rc;
}

enum serin_errc takeover_ask(struct server *server, struct serin_error *error)
{
    static char text[MAX_MESSAGE_BYTES];
    const struct timeval patience = {.tv_sec = ANSWER_S};
    int fds[GATEWAY_MAX_SOCKETS + 2] = {0}, fd_count, folder, fd;
    struct sockaddr_un address;
    enum serin_errc rc;

    folder = door_address(server->options.data_dir, &address);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (folder < 0 || fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        if (fd >= 0)
            close(fd);
        if (folder >= 0)
            close(folder);
        return SERIN_OK; /* nobody is there: it starts as it would without */
    }
    close(folder);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) != 0 ||
        receive(fd, text, sizeof(text), fds, GATEWAY_MAX_SOCKETS + 2, &fd_count) < 0)
        rc =
            error_set(error, SERIN_IO, "the running serin serve does not answer at %s/" DOOR, server->options.data_dir);
    else
        rc = take(server, text, fds, fd_count, error);
    if (rc != SERIN_OK) {
        close(fd);
        return rc;
    }
    server->takeover->elder = watch_new(server, fd, gone_on_without);
    if (!server->takeover->elder)
        return error_set(error, SERIN_NOMEM, "no memory to take over");
    uv_timer_init(&server->loop, &server->takeover->limit);
    server->takeover->limit.data = server;
    server->takeover->limited = true;
    uv_timer_start(&server->takeover->limit, took_too_long, READY_MS, 0);
    return SERIN_OK;
}

struct handed *takeover_handed(struct server *server)
{
    return &server->takeover->handed;
}

bool takeover_is_heir(const struct server *server)
{
    return server->takeover->elder && !server->takeover->told;
}

/* Something that was ready there will not be so here. */
static const char *lost_version(struct server *server, bool *ret_all)
{
    const char *name, *failure = NULL;
    json_t *count;

    *ret_all = true;
    json_object_foreach(server->takeover->ready, name, count)
    {
        const struct fleet_version *version = fleet_find(server->fleet, name);

        if (version && fleet_failure(version))
            failure = fleet_failure(version);
        else if (!version)
            failure = "it cannot be started";
        if (!version || fleet_ready_count(version) < json_integer_value(count))
            *ret_all = false;
        if (failure)
            break;
    }
    return failure;
}

void takeover_look(struct server *server)
{
    struct takeover *takeover = server->takeover;
    struct serin_error error;
    const char *failure;
    bool all;

    if (!takeover->limited || server->open || server->stopping)
        return;
    failure = lost_version(server, &all);
    if (takeover->elder && failure) {
        char sentence[400];

        snprintf(sentence, sizeof(sentence), "a version that is served would be lost, so the one before goes on: %s",
                 failure);
        serve_fail(server, SERIN_ENGINE, sentence);
        return;
    }
    if (takeover->elder && !all)
        return;
    if (table_load_routes(server, &error) != SERIN_OK || serve_open(server, &error) != SERIN_OK) {
        serve_fail(server, error.code, error.message);
        return;
    }
    takeover->told = true;
    uv_timer_stop(&takeover->limit);
    if (takeover->elder && send(takeover->elder->fd, "R", 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
        log_event(server->log, "warn", "taking over", "the one before cannot be told: %s", strerror(errno));
}

/* ---- both ---- */

enum serin_errc takeover_new(struct takeover **ret, struct serin_error *error)
{
    struct takeover *takeover = calloc(1, sizeof(*takeover));

    if (!takeover)
        return error_set(error, SERIN_NOMEM, "no memory for the server");
    takeover->handed.admin = takeover->served_by = -1;
    *ret = takeover;
    return SERIN_OK;
}

void takeover_end(struct server *server, bool handed_over)
{
    struct takeover *takeover = server->takeover;

    watch_close(&takeover->door);
    watch_close(&takeover->elder);
    if (takeover->limited && !uv_is_closing((uv_handle_t *)&takeover->limit))
        uv_close((uv_handle_t *)&takeover->limit, NULL);
    if (takeover->heir && handed_over)
        takeover->served_by = fcntl(takeover->heir->fd, F_DUPFD_CLOEXEC, 0);
    else if (takeover->heir)
        (void)send_text(takeover->heir->fd, "the one before was told to end", NULL, 0);
    watch_close(&takeover->heir);
}

void takeover_free(struct takeover *takeover)
{
    if (!takeover)
        return;
    if (takeover->served_by >= 0)
        close(takeover->served_by);
    json_decref(takeover->ready);
    free(takeover);
}
