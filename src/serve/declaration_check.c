/*
 * declaration_check.c - four questions, one after the other: the metadata of stable and of the new one, then their
 * configurations.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Stable is asked first: where it does not speak of itself there is nothing to compare with, and nothing is held
 * against the other. Where it does, the other must: what is unknown is not let in. Only of classes a server may be
 * silent, for the protocol knows none; then that is said. Redirects are not followed, for requests would not be,
 * either.
 */
#include "serve/declaration_check.h"

#include "http/client.h"
#include "serve/declaration.h"
#include "version/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STABLE, OWN, SIDES };
enum { METADATA, CONFIG, DOCUMENTS };

struct declaration_check {
    struct {
        char who[VERSION_MAX_NAME + 160]; /* for sentences */
        struct http_client *client;
        struct declaration declaration;
    } sides[SIDES];
    char model[VERSION_MAX_MODEL + 1], target[VERSION_MAX_MODEL + 32];
    uint64_t timeout_ms; /* of each answer */
    int asked;           /* document * SIDES + side */
    int clients;         /* that are not closed yet */
    void (*done)(void *user, enum serin_errc rc, const char *said);
    void *user;
};

static void free_check(struct declaration_check *check)
{
    declaration_done(&check->sides[STABLE].declaration);
    declaration_done(&check->sides[OWN].declaration);
    free(check);
}

static void client_closed(void *user)
{
    struct declaration_check *check = user;

    if (--check->clients == 0)
        free_check(check);
}

static void close_clients(struct declaration_check *check)
{
    struct http_client *clients[SIDES] = {check->sides[STABLE].client, check->sides[OWN].client};
    int side;

    check->done = NULL;
    for (side = 0; side < SIDES; side++)
        if (clients[side])
            http_client_close(clients[side], client_closed, check);
}

static void finish(struct declaration_check *check, enum serin_errc rc, const char *said)
{
    void (*done)(void *user, enum serin_errc rc, const char *said) = check->done;

    close_clients(check);
    done(check->user, rc, said);
}

static void answered(void *user, const struct http_answer *answer);

static enum serin_errc ask(struct declaration_check *check, struct serin_error *error)
{
    struct buffer head;
    enum serin_errc rc;

    snprintf(check->target, sizeof(check->target), "/v2/models/%s%s", check->model,
             check->asked / SIDES == CONFIG ? "/config" : "");
    buffer_init(&head, 4096);
    http_write_request_line(&head, (struct http_slice){"GET", 3},
                            (struct http_slice){check->target, strlen(check->target)});
    http_write_field(&head, "User-Agent", "serin-admission");
    http_write_field(&head, "Accept", "application/json");
    rc = http_call_start(check->sides[check->asked % SIDES].client, &head, NULL, check->timeout_ms, answered, check,
                         NULL, error);
    buffer_done(&head);
    return rc;
}

/* How servers say that they do not know a path: Triton and OpenVINO's with 400 or 404, others with 405 or 501. */
static bool is_silence(int status)
{
    return status == 400 || status == 404 || status == 405 || status == 501;
}

/* *ret_told is false where the server does not speak of it; then error has its words, too. */
static enum serin_errc read_answer(struct declaration_check *check, const struct http_answer *answer, bool *ret_told,
                                   struct serin_error *error)
{
    struct declaration *declaration = &check->sides[check->asked % SIDES].declaration;
    const void *bytes;
    enum serin_errc rc;
    size_t size;

    *ret_told = false;
    if (answer->rc != SERIN_OK)
        return error_set(error, SERIN_LIMIT, "no answer to GET %s: %s", check->target, answer->why);
    if (is_silence(answer->head->status)) {
        error_set(error, SERIN_UNSUPPORTED, "answers GET %s with status %d", check->target, answer->head->status);
        return SERIN_OK;
    }
    if (answer->head->status != 200)
        return error_set(error, SERIN_LIMIT, "answers GET %s with status %d", check->target, answer->head->status);
    bytes = answer->body->data;
    size = answer->body->size;
    *ret_told = true;
    rc = check->asked / SIDES == METADATA ? declaration_read_metadata(bytes, size, check->model, declaration, error)
                                          : declaration_read_config(bytes, size, declaration, error);
    return error_prefix(error, rc, "answers GET %s with what is no such document", check->target);
}

static enum serin_errc compare(const struct declaration_check *check, struct serin_error *error)
{
    const struct declaration *own = &check->sides[OWN].declaration, *stable = &check->sides[STABLE].declaration;

    return check->asked / SIDES == METADATA ? declaration_compare_tensors(own, stable, error)
                                            : declaration_compare_classes(own, stable, error);
}

/* Everybody has answered, and nothing differs. */
static void finish_well(struct declaration_check *check)
{
    char said[sizeof(check->sides[OWN].who) + 100] = "";
    int side;

    for (side = 0; side < SIDES && !said[0]; side++)
        if (!declaration_has_classes(&check->sides[side].declaration))
            snprintf(said, sizeof(said), "%s does not name its classes: they were not compared with stable's",
                     check->sides[side].who);
    finish(check, SERIN_OK, said);
}

static void finish_in_silence(struct declaration_check *check, struct serin_error *error)
{
    bool is_metadata = check->asked / SIDES == METADATA;
    int side = check->asked % SIDES;
    char said[sizeof(error->message) + 100];

    error_prefix(error, error->code, "%s", check->sides[side].who);
    snprintf(said, sizeof(said), "%s: %s not compared with stable's", error->message,
             is_metadata ? "what it takes and gives was" : "its classes were");
    finish(check, is_metadata && side == OWN ? SERIN_LIMIT : SERIN_OK, said);
}

static void answered(void *user, const struct http_answer *answer)
{
    struct declaration_check *check = user;
    int side = check->asked % SIDES;
    struct serin_error error = {0};
    enum serin_errc rc;
    bool told;

    if (!check->done) /* cancelled */
        return;
    rc = read_answer(check, answer, &told, &error);
    if (rc == SERIN_OK && !told) {
        finish_in_silence(check, &error);
        return;
    }
    if (rc == SERIN_OK && side == OWN) {
        rc = compare(check, &error);
        error_prefix(&error, rc, "differs from %s", check->sides[STABLE].who);
    }
    if (rc == SERIN_OK && ++check->asked == DOCUMENTS * SIDES) {
        finish_well(check);
        return;
    }
    if (rc == SERIN_OK)
        rc = ask(check, &error);
    if (rc == SERIN_OK)
        return;
    error_prefix(&error, rc, "%s", check->sides[side].who);
    finish(check, rc == SERIN_NOMEM ? rc : SERIN_LIMIT, error.message); /* what is wrong of it may be confirmed */
}

static enum serin_errc open_side(uv_loop_t *loop, struct tls *tls, struct declaration_check *check, int side,
                                 const struct declarer *declarer, struct serin_error *error)
{
    struct http_client_options options;
    bool is_ours = strncmp(declarer->endpoint, "unix:", 5) == 0; /* a path of no use to anybody */
    enum serin_errc rc;

    snprintf(check->sides[side].who, sizeof(check->sides[side].who), "%s%s%s%s", side == STABLE ? "stable " : "",
             declarer->name, is_ours ? "" : " at ", is_ours ? "" : declarer->endpoint);
    http_client_options_init(&options);
    options.limits.max_body_bytes = DECLARATION_MAX_BYTES;
    options.max_connections = 1;
    options.tls = tls;
    rc = http_client_new(loop, declarer->endpoint, &options, &check->sides[side].client, error);
    if (rc == SERIN_OK)
        check->clients++;
    return rc;
}

enum serin_errc declaration_check_start(uv_loop_t *loop, struct tls *tls, uint64_t timeout_ms, const char *model,
                                        const struct declarer *stable, const struct declarer *own,
                                        void (*done)(void *user, enum serin_errc rc, const char *said), void *user,
                                        struct declaration_check **ret, struct serin_error *error)
{
    struct declaration_check *check = calloc(1, sizeof(*check));
    enum serin_errc rc;

    if (!check)
        return error_set(error, SERIN_NOMEM, "no memory for comparing %s with stable", own->name);
    snprintf(check->model, sizeof(check->model), "%s", model);
    check->user = user;
    check->timeout_ms = timeout_ms;
    rc = open_side(loop, tls, check, STABLE, stable, error);
    if (rc == SERIN_OK)
        rc = open_side(loop, tls, check, OWN, own, error);
    if (rc == SERIN_OK)
        rc = ask(check, error);
    if (rc != SERIN_OK) {
        if (check->clients > 0)
            close_clients(check);
        else
            free_check(check);
        return rc;
    }
    check->done = done;
    *ret = check;
    return SERIN_OK;
}

void declaration_check_cancel(struct declaration_check *check)
{
    if (check && check->done)
        close_clients(check);
}
