/*
 * hooks.c - webhooks by libcurl on the pool of threads.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A signed body carries X-Serin-Signature: sha256=HEX, HMAC-SHA256 (RFC 2104) of the body under the secret that the
 * plan names by its environment variable: a plan is stored and shown, a secret is not.
 */
#include "serve/hooks.h"

#include "base/text.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIGNATURE       "X-Serin-Signature: sha256="
#define SIGNATURE_BYTES (sizeof(SIGNATURE) + 64)

struct hooks {
    uv_loop_t *loop;
    void (*answered)(void *user, const struct plan_webhook *hook, const struct hook_answer *answer);
    void *user;
    int in_flight;
    atomic_bool closed; /* threads of the pool look at it */
};

struct call {
    uv_work_t work;
    struct hooks *hooks;
    struct plan_webhook hook;
    struct hook_answer answer;
    size_t why_size;
    char body[];
};

void hooks_make_room(void)
{
    char threads[16];

    snprintf(threads, sizeof(threads), "%d", HOOKS_IN_FLIGHT + 4); /* libuv's own number */
    setenv("UV_THREADPOOL_SIZE", threads, 0);
}

enum serin_errc hooks_new(uv_loop_t *loop,
                          void (*answered)(void *user, const struct plan_webhook *hook,
                                           const struct hook_answer *answer),
                          void *user, struct hooks **ret, struct serin_error *error)
{
    struct hooks *hooks = calloc(1, sizeof(*hooks));

    if (!hooks || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(hooks);
        return error_set(error, SERIN_NOMEM, "no memory for webhooks");
    }
    hooks->loop = loop;
    hooks->answered = answered;
    hooks->user = user;
    *ret = hooks;
    return SERIN_OK;
}

/* NULL: not set, and an empty one, which anybody has, is none. */
static const char *secret_of(const struct plan_webhook *hook)
{
    const char *secret = hook->secret_env[0] ? getenv(hook->secret_env) : NULL;

    return secret && secret[0] ? secret : NULL;
}

enum serin_errc hooks_check(const struct plan_webhook *hook, struct serin_error *error)
{
    if (!hook->secret_env[0] || secret_of(hook))
        return SERIN_OK;
    return error_set(error, SERIN_INVALID, "not sent: its secret_env, %s, is not set in the server's environment",
                     hook->secret_env);
}

/* The field of the body's signature; empty where the hook has no secret. */
static void sign(const struct call *call, char field[static SIGNATURE_BYTES])
{
    const char *secret = secret_of(&call->hook);
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;

    field[0] = '\0';
    if (!secret ||
        !HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)call->body, strlen(call->body), digest,
              &length) ||
        length != 32)
        return;
    memcpy(field, SIGNATURE, sizeof(SIGNATURE));
    text_hex(digest, length, field + strlen(SIGNATURE));
}

static size_t take_body(char *bytes, size_t one, size_t count, void *user)
{
    struct call *call = user;
    size_t i;

    for (i = 0; i < one * count && call->why_size + 1 < sizeof(call->answer.why); i++)
        call->answer.why[call->why_size++] = bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : ' ';
    return one * count;
}

/* libcurl asks about once a second whether to go on: the program's end does not wait for a host that hangs. */
static int is_over(void *user, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up)
{
    const struct hooks *hooks = user;

    (void)down_total, (void)down, (void)up_total, (void)up;
    return atomic_load(&hooks->closed);
}

/* On a thread of the pool. */
static void post(uv_work_t *work)
{
    struct call *call = work->data;
    struct curl_slist *fields = NULL;
    const char *body = call->body;
    CURL *curl = curl_easy_init();
    char signature[SIGNATURE_BYTES];
    CURLcode rc = CURLE_OUT_OF_MEMORY;
    long status = 0;

    sign(call, signature);
    fields = curl_slist_append(fields, "Content-Type: application/json");
    if (signature[0])
        fields = curl_slist_append(fields, signature);
    if (curl && fields) {
        curl_easy_setopt(curl, CURLOPT_URL, call->hook.url);
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
        curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(call->hook.timeout_s * 1000));
        curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
        curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
        curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, is_over);
        curl_easy_setopt(curl, CURLOPT_XFERINFODATA, call->hooks);
        rc = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    }
    if (rc == CURLE_OK)
        call->answer.status = (int)status;
    else
        snprintf(call->answer.why, sizeof(call->answer.why), "%s", curl_easy_strerror(rc));
    curl_slist_free_all(fields);
    curl_easy_cleanup(curl);
}

static void posted(uv_work_t *work, int status)
{
    struct call *call = work->data;
    struct hooks *hooks = call->hooks;

    (void)status;
    hooks->in_flight--;
    if (!atomic_load(&hooks->closed))
        hooks->answered(hooks->user, &call->hook, &call->answer);
    else if (hooks->in_flight == 0)
        free(hooks);
    free(call);
}

enum serin_errc hooks_call(struct hooks *hooks, const struct plan_webhook *hook, const char *body, uint64_t ticket,
                           struct serin_error *error)
{
    struct call *call;
    enum serin_errc rc = hooks_check(hook, error);

    if (rc != SERIN_OK)
        return rc;
    if (hooks->in_flight == HOOKS_IN_FLIGHT)
        return error_set(error, SERIN_LIMIT, "%d webhooks are under way, the limit", HOOKS_IN_FLIGHT);
    call = calloc(1, sizeof(*call) + strlen(body) + 1);
    if (!call)
        return error_set(error, SERIN_NOMEM, "no memory for a webhook");
    call->work.data = call;
    call->hooks = hooks;
    call->hook = *hook;
    call->answer.ticket = ticket;
    memcpy(call->body, body, strlen(body) + 1);
    if (uv_queue_work(hooks->loop, &call->work, post, posted) != 0) {
        free(call);
        return error_set(error, SERIN_NOMEM, "no thread for a webhook");
    }
    hooks->in_flight++;
    return SERIN_OK;
}

void hooks_close(struct hooks *hooks)
{
    if (!hooks)
        return;
    atomic_store(&hooks->closed, true);
    if (hooks->in_flight == 0)
        free(hooks);
}
