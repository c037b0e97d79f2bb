/*
 * admin_call.c - one call on a loop of its own: start, run until the answer, close.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/admin_call.h"

#include "base/bytes.h"
#include "base/file.h"
#include "cli/terminal.h"
#include "http/client.h"
#include "http/tls.h"

#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_TOKEN      256
#define MAX_HEAD_BYTES 4096

/* A call, and what became of it. */
struct exchange {
    const char *address;
    json_t *json;
    bool wants_bytes; /* a 200's body as it is, in bytes */
    struct bytes *bytes;
    enum serin_errc rc;
    struct serin_error *error;
    bool answered;
};

const char *admin_address(const char *given)
{
    const char *wish = getenv("SERIN_ADMIN");

    if (given)
        return given;
    return wish && *wish ? wish : ADMIN_DEFAULT;
}

enum serin_errc admin_tls(const char *address, struct tls **ret, struct serin_error *error)
{
    const char *ca = getenv("SERIN_CA"), *certificate = getenv("SERIN_CERT"), *key = getenv("SERIN_KEY");
    const bool shows = certificate && *certificate;
    struct tls *tls;
    enum serin_errc rc;

    *ret = NULL;
    if (strncmp(address, "https://", 8) != 0)
        return SERIN_OK;
    if (!shows && key && *key)
        return error_set(error, SERIN_INVALID, "$SERIN_KEY is %s, and $SERIN_CERT does not say of which certificate",
                         key);
    rc = tls_client_new(ca ? ca : "", &tls, error);
    if (rc != SERIN_OK)
        return rc;
    if (shows)
        rc = tls_client_show(tls, certificate, key && *key ? key : certificate, error);
    if (rc != SERIN_OK)
        tls_free(tls);
    else
        *ret = tls;
    return rc;
}

enum serin_errc admin_path(char *path, const char *prefix, const char *text, const char *suffix,
                           struct serin_error *error)
{
    struct buffer out;
    enum serin_errc rc;

    buffer_init(&out, ADMIN_MAX_PATH - 1);
    buffer_append_text(&out, prefix);
    for (; *text; text++) { /* RFC 3986, 3.3: what a segment of a path may hold as it is */
        if (strchr("-._~:", *text) || (*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'z') ||
            (*text >= 'A' && *text <= 'Z'))
            buffer_append(&out, text, 1);
        else
            buffer_printf(&out, "%%%02X", (unsigned char)*text);
    }
    buffer_append_text(&out, suffix);
    rc = buffer_check(&out, "the name", error);
    if (rc == SERIN_OK)
        memcpy(path, out.bytes, out.size + 1);
    buffer_done(&out);
    return rc;
}

const char *admin_author(char text[ADMIN_MAX_AUTHOR])
{
    const char *user = getenv("USER");
    const struct passwd *entry;
    size_t i;

    if (!user || !*user) {
        entry = getpwuid(getuid());
        user = entry ? entry->pw_name : "unknown";
    }
    snprintf(text, ADMIN_MAX_AUTHOR, "cli %s", user);
    for (i = 4; text[i]; i++) /* a name that could not stand in a header is not passed on as it is */
        if (text[i] <= ' ' || text[i] >= 0x7f)
            text[i] = '?';
    return text;
}

/* Where the file of the token is; false where there is none. given: somebody named it. */
static bool find_token_file(char *path, size_t size, bool *ret_given)
{
    const char *given = getenv("SERIN_TOKEN_FILE"), *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

    *ret_given = given && *given;
    if (*ret_given)
        snprintf(path, size, "%s", given);
    else if (config && *config)
        snprintf(path, size, "%s/serin/token", config);
    else if (home && *home)
        snprintf(path, size, "%s/.config/serin/token", home);
    else
        return false;
    return *ret_given || access(path, F_OK) == 0;
}

/* The token into text of MAX_TOKEN + 1 bytes, "" where there is none. */
static enum serin_errc read_token(char *text, struct serin_error *error)
{
    const char *given = getenv("SERIN_TOKEN");
    char path[4096];
    uint8_t *bytes = NULL;
    struct stat about;
    size_t size = 0;
    bool is_named;
    enum serin_errc rc;

    text[0] = '\0';
    if (given && *given) {
        if (strlen(given) > MAX_TOKEN)
            return error_set(error, SERIN_INVALID, "$SERIN_TOKEN has %zu bytes, the limit is %d", strlen(given),
                             MAX_TOKEN);
        memcpy(text, given, strlen(given) + 1);
    } else if (find_token_file(path, sizeof(path), &is_named)) {
        if (stat(path, &about) == 0 && (about.st_mode & 077))
            return error_set(error, SERIN_INVALID, "%s has mode %04o: others can read the token (chmod 600)", path,
                             (unsigned)(about.st_mode & 07777));
        rc = file_read(path, MAX_TOKEN, &bytes, &size, error);
        if (rc != SERIN_OK)
            return rc;
        memcpy(text, bytes, size + 1);
        free(bytes);
    }
    text[strcspn(text, " \t\r\n")] = '\0';
    for (given = text; *given > ' ' && *given < 0x7f; given++)
        continue;
    return *given ? error_set(error, SERIN_INVALID, "the token has a byte that no token has") : SERIN_OK;
}

/* An error's own sentence, where the server gave one. */
static enum serin_errc refused(const struct exchange *exchange, int status)
{
    const char *sentence = json_string_value(json_object_get(exchange->json, "error"));
    enum serin_errc code = status == 404 ? SERIN_NOT_FOUND : status < 500 ? SERIN_INVALID : SERIN_IO;

    if (sentence && *sentence && status == 401)
        return error_set(exchange->error, code, "%s. The token is taken from " ADMIN_TOKEN_FROM, sentence);
    if (sentence && *sentence)
        return error_set(exchange->error, code, "%s", sentence);
    return error_set(exchange->error, code, "%s answered %d %s without a reason; is it the admin API of serin serve?",
                     exchange->address, status, http_status_text(status));
}

static void on_answer(void *user, const struct http_answer *answer)
{
    struct exchange *exchange = user;
    json_error_t fault;

    exchange->answered = true;
    if (answer->rc != SERIN_OK) {
        const char *cause = strstr(answer->why, "cannot ");
        /* How a TLS port takes plain words: it hangs up. */
        const bool may_speak_tls = answer->sent && !answer->timed_out && strstr(answer->why, "closed") &&
                                   strncmp(exchange->address, "https://", 8) != 0 &&
                                   strncmp(exchange->address, "unix:", 5) != 0;

        if (strstr(answer->why, "certificate required")) /* RFC 8446, 6.2: the alert's name */
            exchange->rc = error_set(exchange->error, answer->rc,
                                     "%s wants to see a certificate: it is taken from $SERIN_CERT, its key from "
                                     "$SERIN_KEY",
                                     exchange->address);
        else if (answer->sent)
            exchange->rc = error_set(exchange->error, answer->rc, "%s%s", answer->why,
                                     answer->timed_out ? "; whether it was done, 'serin status' tells"
                                     : may_speak_tls   ? "; does it speak TLS? then use https://"
                                                       : "");
        else
            exchange->rc = error_set(exchange->error, answer->rc, ADMIN_NO_CONNECTION, exchange->address,
                                     cause ? cause : answer->why);
        return;
    }
    if (exchange->wants_bytes && answer->head->status == 200) {
        exchange->bytes = bytes_share(answer->body);
        return;
    }
    if (answer->body->size > 0)
        exchange->json = json_loadb((const char *)answer->body->data, answer->body->size, JSON_DECODE_ANY, &fault);
    if (answer->head->status < 200 || answer->head->status > 299)
        exchange->rc = refused(exchange, answer->head->status);
    else if (answer->body->size > 0 && !exchange->json)
        exchange->rc = error_set(exchange->error, SERIN_CORRUPT,
                                 "%s answered something that is no JSON (%s); is it the admin API of serin serve?",
                                 exchange->address, fault.text);
}

static enum serin_errc start(struct http_client *client, const char *method, const char *path, const char *text,
                             unsigned timeout_ms, struct exchange *exchange)
{
    size_t size = text ? strlen(text) : 0;
    struct bytes *body = NULL;
    char token[MAX_TOKEN + 1], author[ADMIN_MAX_AUTHOR];
    struct buffer head;
    enum serin_errc rc = read_token(token, exchange->error);

    if (rc != SERIN_OK)
        return rc;
    if (text) {
        body = bytes_new(size);
        if (!body)
            return error_set(exchange->error, SERIN_NOMEM, "no memory for a request of %zu bytes", size);
        memcpy(body->data, text, size);
        body->size = size;
    }
    buffer_init(&head, MAX_HEAD_BYTES);
    http_write_request_line(&head, (struct http_slice){method, strlen(method)},
                            (struct http_slice){path, strlen(path)});
    http_write_field(&head, "Accept", "application/json");
    if (token[0])
        http_write_field(&head, "Authorization", "Bearer %s", token);
    if (body)
        http_write_field(&head, "Content-Type", "application/json");
    if (strcmp(method, "GET") != 0)
        http_write_field(&head, "X-Serin-Author", "%s", admin_author(author));
    rc = http_call_start(client, &head, body, timeout_ms, on_answer, exchange, NULL, exchange->error);
    buffer_done(&head);
    bytes_drop(body);
    return rc;
}

/* Ctrl-C ends the wait, and not what the server does by then; the process dies of it, so that scripts stop, too. */
static void on_interrupt(uv_signal_t *handle, int number)
{
    (void)handle;
    terminal_complain("interrupted: the server goes on with what it was asked for; 'serin status' tells what came of "
                      "it");
    signal(number, SIG_DFL);
    raise(number);
}

static void watch_interrupts(uv_loop_t *loop, uv_signal_t handles[2])
{
    static const int numbers[2] = {SIGINT, SIGTERM};
    int i;

    for (i = 0; i < 2; i++) {
        uv_signal_init(loop, &handles[i]); /* fails where uv_loop_init did */
        uv_signal_start(&handles[i], on_interrupt, numbers[i]);
    }
}

/* Whatever comes of it is in the exchange; its JSON is there on success only. */
static enum serin_errc run(const char *address, const char *method, const char *path, const char *body,
                           unsigned timeout_ms, struct exchange *exchange)
{
    struct serin_error *error = exchange->error;
    struct http_client_options options;
    struct http_client *client;
    struct tls *tls;
    enum serin_errc rc = admin_tls(address, &tls, error);
    const bool asks_only = strcmp(method, "GET") == 0;
    uv_signal_t interrupts[2];
    uv_loop_t loop;
    int code, i;

    if (rc != SERIN_OK)
        return rc;
    code = uv_loop_init(&loop);
    if (code != 0)
        return error_set(error, SERIN_IO, "no event loop: %s", uv_strerror(code));
    if (!asks_only)
        watch_interrupts(&loop, interrupts);
    http_client_options_init(&options);
    options.tls = tls;
    rc = http_client_new(&loop, address, &options, &client, error);
    if (rc == SERIN_OK) {
        rc = start(client, method, path, body, timeout_ms, exchange);
        while (rc == SERIN_OK && !exchange->answered)
            uv_run(&loop, UV_RUN_ONCE);
        http_client_close(client, NULL, NULL);
    }
    for (i = 0; i < 2 && !asks_only; i++)
        uv_close((uv_handle_t *)&interrupts[i], NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    BUG_ON(uv_loop_close(&loop) != 0);
    tls_free(tls);
    if (rc == SERIN_OK)
        rc = exchange->rc;
    if (rc != SERIN_OK)
        json_decref(exchange->json);
    return rc;
}

enum serin_errc admin_call(const char *address, const char *method, const char *path, const char *body,
                           unsigned timeout_ms, json_t **ret_json, struct serin_error *error)
{
    struct exchange exchange = {.address = address, .error = error};
    enum serin_errc rc = run(address, method, path, body, timeout_ms, &exchange);

    if (rc == SERIN_OK)
        *ret_json = exchange.json;
    return rc;
}

enum serin_errc admin_fetch(const char *address, const char *path, unsigned timeout_ms, struct bytes **ret,
                            struct serin_error *error)
{
    struct exchange exchange = {.address = address, .error = error, .wants_bytes = true};
    enum serin_errc rc = run(address, "GET", path, NULL, timeout_ms, &exchange);

    if (rc == SERIN_OK)
        *ret = exchange.bytes;
    return rc;
}
