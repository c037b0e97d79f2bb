/*
 * access.c - who calls the admin port, and may they.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A session is a random number in a cookie, HttpOnly (no script reads it), SameSite=Strict (no other site's page sends
 * it) and for /api only; here it is kept as its hash beside the hash of the token, which is looked up at each call, so
 * that a session ends with its token. What a session changes must carry a field that a page of another origin could
 * only set after a preflight, which nothing here answers; and whatever comes with an Origin must come from our own.
 */
#include "admin/access.h"

#include "admin/limiter.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/text.h"

#include <openssl/crypto.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SESSION_BYTES       32
#define MAX_SESSIONS_OF_ONE 16 /* of one token; a further one ends that which was used least recently */
/* A person mistypes some times; with 2^256 secrets the limit is for the log's and the processor's sake. */
#define LOGINS_EACH    5
#define LOGINS_EACH_MS 12000
#define LOGINS_ALL     60
#define LOGINS_ALL_MS  1000
#define LOGGED_EACH    10
#define LOGGED_EACH_MS 1000
#define LOGGED_ALL     50
#define LOGGED_ALL_MS  200

struct session {
    uint8_t hash[TOKEN_HASH_BYTES];  /* of what the cookie holds */
    uint8_t token[TOKEN_HASH_BYTES]; /* as struct token's hash */
    uint64_t began_ms, used_ms;      /* monotonic; began_ms 0: free */
};

struct access {
    struct access_options options;
    struct tokens *tokens;
    int64_t written; /* tokens_written when they were read */
    bool changed;
    struct session sessions[ACCESS_MAX_SESSIONS];
    struct limiter logins, logged;
    uint64_t unlogged; /* refusals since the last one in the log */
};

static uint64_t now_ms(void)
{
    return clock_now_ns() / 1000000u;
}

PRINTF_LIKE(4, 5)
static void tell(const struct access *access, const char *level, const char *doing, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    if (vsnprintf(text, sizeof(text), format, args) < 0)
        text[0] = '\0';
    va_end(args);
    if (access->options.log)
        access->options.log(access->options.log_user, level, doing, text);
}

/* ---- tokens ---- */

static enum serin_errc read_again(struct access *access, struct serin_error *error)
{
    int64_t written = tokens_written(access->options.state);
    struct tokens *tokens;
    enum serin_errc rc = tokens_read(access->options.state, &tokens, error);

    if (rc != SERIN_OK)
        return rc;
    free(access->tokens);
    access->tokens = tokens;
    access->written = written;
    access->changed = true;
    return SERIN_OK;
}

/* Another process may have written. */
static void look(struct access *access)
{
    struct serin_error error;

    if (tokens_written(access->options.state) == access->written)
        return;
    if (read_again(access, &error) != SERIN_OK)
        tell(access, "error", "reading the tokens", "%s; those of before are in force", error.message);
}

bool access_refresh(struct access *access)
{
    bool changed;

    look(access);
    changed = access->changed;
    access->changed = false;
    return changed;
}

enum serin_errc access_create_token(struct access *access, const char *name, enum token_role role, const char *model,
                                    const char *author, char secret[TOKEN_SECRET_BYTES], struct serin_error *error)
{
    enum serin_errc rc = tokens_create(access->options.state, name, role, model, author, secret, error);

    if (rc == SERIN_OK)
        tell(access, "info", "making a token", "%s (%s) by %s", name, token_role_text(role), author);
    return rc == SERIN_OK ? read_again(access, error) : rc;
}

enum serin_errc access_revoke_token(struct access *access, const char *name, const char *author,
                                    struct serin_error *error)
{
    enum serin_errc rc = tokens_revoke(access->options.state, name, false, author, error);

    if (rc == SERIN_OK)
        tell(access, "info", "revoking a token", "%s by %s", name, author);
    return rc == SERIN_OK ? read_again(access, error) : rc;
}

const struct tokens *access_tokens(const struct access *access)
{
    return access->tokens;
}

bool access_is_required(const struct access *access)
{
    return !access->options.open || access->tokens->admin_port_count > 0;
}

enum serin_errc access_new(const struct access_options *options, struct access **ret, struct serin_error *error)
{
    struct access *access = calloc(1, sizeof(*access));
    enum serin_errc rc;

    if (!access)
        return error_set(error, SERIN_NOMEM, "no memory for the tokens");
    access->options = *options;
    rc = limiter_init(&access->logins, LOGINS_EACH, LOGINS_EACH_MS, LOGINS_ALL, LOGINS_ALL_MS, error);
    if (rc == SERIN_OK)
        rc = limiter_init(&access->logged, LOGGED_EACH, LOGGED_EACH_MS, LOGGED_ALL, LOGGED_ALL_MS, error);
    if (rc == SERIN_OK)
        rc = read_again(access, error);
    if (rc == SERIN_OK)
        *ret = access;
    else
        access_free(access);
    return rc;
}

void access_free(struct access *access)
{
    if (!access)
        return;
    free(access->tokens);
    OPENSSL_cleanse(access, sizeof(*access));
    free(access);
}

/* ---- sessions ---- */

static bool is_over(const struct access *access, const struct session *session, uint64_t now)
{
    return session->began_ms == 0 || now - session->began_ms >= ACCESS_SESSION_S * 1000u ||
           now - session->used_ms >= ACCESS_IDLE_S * 1000u || !tokens_find_hash(access->tokens, session->token);
}

static struct session *find_session(struct access *access, const struct http_head *head)
{
    const struct http_slice *field = http_find(head, "Cookie");
    struct session *found = NULL;
    uint8_t hash[TOKEN_HASH_BYTES];
    struct http_slice value;
    uint64_t now = now_ms();
    int i;

    if (!field || !http_cookie_get(*field, ACCESS_SESSION_COOKIE, &value) || value.size != 2 * SESSION_BYTES)
        return NULL;
    token_hash(value.bytes, value.size, hash);
    for (i = 0; i < ACCESS_MAX_SESSIONS; i++)
        if (CRYPTO_memcmp(access->sessions[i].hash, hash, sizeof(hash)) == 0)
            found = &access->sessions[i];
    return found && !is_over(access, found, now) ? found : NULL;
}

/* Where the next session goes: a free place; else, as where the token has many, the least recently used one. */
static struct session *place_for(struct access *access, const struct token *token)
{
    struct session *free_one = NULL, *oldest = NULL, *own_oldest = NULL;
    uint64_t now = now_ms();
    int own = 0, i;

    for (i = 0; i < ACCESS_MAX_SESSIONS; i++) {
        struct session *session = &access->sessions[i];

        if (is_over(access, session, now)) {
            free_one = free_one ? free_one : session;
            continue;
        }
        if (!oldest || session->used_ms < oldest->used_ms)
            oldest = session;
        if (memcmp(session->token, token->hash, sizeof(token->hash)) != 0)
            continue;
        own++;
        if (!own_oldest || session->used_ms < own_oldest->used_ms)
            own_oldest = session;
    }
    if (own >= MAX_SESSIONS_OF_ONE)
        return own_oldest;
    return free_one ? free_one : oldest;
}

static void write_cookie(const struct access *access, struct buffer *fields, const char *value, int seconds)
{
    http_write_field(fields, "Set-Cookie",
                     ACCESS_SESSION_COOKIE "=%s; Path=/api; HttpOnly; SameSite=Strict; Max-Age=%d%s", value, seconds,
                     access->options.secure ? "; Secure" : "");
}

int access_log_in(struct access *access, const struct http_exchange *exchange, const char *secret,
                  struct buffer *fields, struct caller *ret, struct serin_error *error)
{
    const char *peer = http_exchange_peer(exchange);
    uint64_t now = now_ms(), wait_ms = limiter_wait_ms(&access->logins, peer, now);
    char value[2 * SESSION_BYTES + 1];
    uint8_t random[SESSION_BYTES];
    const struct token *token;
    unsigned long long wait_s = wait_ms / 1000 + 1;
    struct session *session;

    look(access);
    if (wait_ms > 0) {
        error_set(error, SERIN_LIMIT, "too many log-ins have failed: try again in %llu s", wait_s);
        http_write_field(fields, "Retry-After", "%llu", wait_s);
        return 429;
    }
    token = tokens_find(access->tokens, secret, strlen(secret));
    if (!token || token->role == ROLE_KEY) {
        limiter_take(&access->logins, peer, now);
        tell(access, "warn", "logging in", "refused from %s: no token of the admin port", peer);
        error_set(error, SERIN_INVALID, "that is no token of the admin port; 'serin token create' makes one");
        return 401;
    }
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        error_set(error, SERIN_IO, "the kernel gives no random numbers: %s", strerror(errno));
        return 500;
    }
    text_hex(random, sizeof(random), value);
    session = place_for(access, token);
    token_hash(value, sizeof(value) - 1, session->hash);
    memcpy(session->token, token->hash, sizeof(session->token));
    session->began_ms = session->used_ms = now;
    write_cookie(access, fields, value, ACCESS_SESSION_S);
    tell(access, "info", "logging in", "%s (%s) from %s", token->name, token_role_text(token->role), peer);
    *ret = (struct caller){.role = token->role, .by_session = true};
    memcpy(ret->name, token->name, sizeof(ret->name));
    return 0;
}

void access_log_out(struct access *access, const struct http_exchange *exchange, struct buffer *fields)
{
    struct session *session = find_session(access, http_exchange_head(exchange));

    if (session) {
        const struct token *token = tokens_find_hash(access->tokens, session->token);

        tell(access, "info", "logging out", "%s from %s", token ? token->name : "?", http_exchange_peer(exchange));
        OPENSSL_cleanse(session, sizeof(*session));
    }
    write_cookie(access, fields, "", 0);
}

/* ---- where a request comes from ---- */

static bool is_origin(struct http_slice origin, const char *scheme, struct http_slice host)
{
    size_t length = strlen(scheme);

    return host.size > 0 && origin.size == length + host.size && memcmp(origin.bytes, scheme, length) == 0 &&
           memcmp(origin.bytes + length, host.bytes, host.size) == 0;
}

/* "https://serin.example:8081" of a page that we gave ourselves. In front of a plain port TLS may end at a proxy; what
 * a plain page of the same name says to a TLS port, anybody on the way may have written. */
static bool is_own_origin(const struct access *access, struct http_slice origin, struct http_slice host)
{
    return is_origin(origin, "https://", host) || (!access->options.secure && is_origin(origin, "http://", host));
}

/* A page that somebody has open in a browser may send requests here without being asked. */
static bool is_of_other_page(const struct access *access, const struct http_head *head)
{
    const struct http_slice *origin = http_find(head, "Origin"), *site = http_find(head, "Sec-Fetch-Site");

    if (origin && !is_own_origin(access, *origin, head->host))
        return true;
    return site && !http_slice_is(*site, "same-origin") && !http_slice_is(*site, "none");
}

/* A name, which anybody's DNS may give this address: to the browser, that page and this port are then one origin. It
 * has no cookie of ours, but where no token is asked for it needs none. */
static bool is_foreign_name(struct http_slice host)
{
    size_t i;

    if (host.size == 0 || host.bytes[0] == '[') /* an IPv6 address */
        return false;
    for (i = 0; i < host.size && host.bytes[i] != ':'; i++)
        continue;
    host.size = i; /* without the port */
    if (http_slice_is_name(host, "localhost"))
        return false;
    for (i = 0; i < host.size; i++)
        if (!strchr("0123456789.", host.bytes[i]))
            return true;
    return false;
}

/* ---- admitting ---- */

static const struct token *find_bearer(const struct access *access, const struct http_slice *field)
{
    static const char scheme[] = "Bearer ";
    size_t length = sizeof(scheme) - 1;
    const struct token *token;

    if (!field || field->size <= length ||
        !http_slice_is_name((struct http_slice){field->bytes, length - 1}, "Bearer") || field->bytes[length - 1] != ' ')
        return NULL;
    token = tokens_find(access->tokens, field->bytes + length, field->size - length);
    return token && token->role != ROLE_KEY ? token : NULL;
}

static int refuse(struct access *access, const struct http_exchange *exchange, int status, struct serin_error *error,
                  const char *sentence)
{
    const struct http_head *head = http_exchange_head(exchange);
    const char *peer = http_exchange_peer(exchange);
    uint64_t now = now_ms();
    char earlier[48] = "";

    error_set(error, SERIN_INVALID, "%s", sentence);
    if (limiter_wait_ms(&access->logged, peer, now) > 0) {
        access->unlogged++;
        return status;
    }
    limiter_take(&access->logged, peer, now);
    if (access->unlogged > 0)
        snprintf(earlier, sizeof(earlier), "; %llu more before", (unsigned long long)access->unlogged);
    access->unlogged = 0;
    tell(access, "warn", "refusing a call", "%d %.*s %.*s from %s: %s%s", status, (int)head->method.size,
         head->method.bytes, (int)(head->path.size < 128 ? head->path.size : 128), head->path.bytes, peer, sentence,
         earlier);
    return status;
}

int access_admit(struct access *access, const struct http_exchange *exchange, enum token_role least, bool changes,
                 struct caller *ret, struct serin_error *error)
{
    const struct http_head *head = http_exchange_head(exchange);
    const struct http_slice *bearer = http_find(head, "Authorization");
    struct session *session = NULL;
    const struct token *token;

    *ret = (struct caller){.role = ROLE_NOBODY};
    look(access);
    if (changes && is_of_other_page(access, head))
        return refuse(access, exchange, 403, error, "changes are not taken from web pages of other origins");
    if (!access_is_required(access)) {
        if (changes && is_foreign_name(head->host))
            return refuse(access, exchange, 403, error,
                          "changes are not taken under another host's name where no token is asked for");
        ret->role = ROLE_ADMIN;
        return 0;
    }
    if (bearer) {
        token = find_bearer(access, bearer);
    } else {
        session = find_session(access, head);
        token = session ? tokens_find_hash(access->tokens, session->token) : NULL;
    }
    if (token) {
        memcpy(ret->name, token->name, sizeof(ret->name));
        ret->role = token->role;
        ret->by_session = session != NULL;
    }
    if (least == ROLE_NOBODY)
        return 0;
    if (!token)
        return refuse(access, exchange, 401, error,
                      bearer ? "that is no token of this port, or it was revoked"
                             : "a token is needed: Authorization: Bearer, or POST /api/v1/login");
    if (session && changes && !http_find(head, ACCESS_CSRF_FIELD))
        return refuse(access, exchange, 403, error,
                      "what a session changes must carry " ACCESS_CSRF_FIELD ", which other sites' pages cannot send");
    if (token->role < least) {
        char sentence[160];

        snprintf(sentence, sizeof(sentence), "'%s' is a token for a %s, and this takes the role of %s", token->name,
                 token_role_text(token->role), token_role_text(least));
        return refuse(access, exchange, 403, error, sentence);
    }
    if (session)
        session->used_ms = now_ms();
    return 0;
}
