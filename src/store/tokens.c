/*
 * tokens.c - tokens in the state file, and finding the one that a secret belongs to.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/tokens.h"

#include "store/state_inside.h"
#include "version/name.h"

#include "base/clock.h"
#include "base/text.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define TOKEN_PREFIX "serin_"

_Static_assert(TOKEN_HASH_BYTES == SHA256_DIGEST_LENGTH, "a token's hash is SHA-256");

static const char *const role_texts[] = {
    [ROLE_NOBODY] = "nobody",     [ROLE_KEY] = "key",     [ROLE_VIEWER] = "viewer",
    [ROLE_OPERATOR] = "operator", [ROLE_ADMIN] = "admin",
};

const char *token_role_text(enum token_role role)
{
    return role_texts[role];
}

bool token_role_read(const char *text, enum token_role *ret)
{
    int role;

    for (role = ROLE_KEY; role <= ROLE_ADMIN; role++)
        if (strcmp(text, role_texts[role]) == 0) {
            *ret = (enum token_role)role;
            return true;
        }
    return false;
}

/* ---- hexadecimal digits ---- */

static bool read_hex(const char *text, uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    size_t i;

    if (strlen(text) != 2 * size || strspn(text, digits) != 2 * size)
        return false;
    for (i = 0; i < size; i++)
        bytes[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) * 16 + (strchr(digits, text[2 * i + 1]) - digits));
    return true;
}

/* ---- reading ---- */

struct reading {
    struct tokens *tokens;
    const char *bad; /* what is wrong with a row */
};

static void read_token(sqlite3_stmt *statement, void *user)
{
    struct reading *reading = user;
    struct tokens *tokens = reading->tokens;
    struct token *token = &tokens->items[tokens->count];

    if (tokens->count == TOKENS_MAX) {
        reading->bad = "there are more tokens than there may be";
        return;
    }
    if (!token_role_read(state_text_at(statement, 1), &token->role) ||
        !read_hex(state_text_at(statement, 3), token->hash, sizeof(token->hash))) {
        reading->bad = "a token has a role or a hash that this program does not know";
        return;
    }
    snprintf(token->name, sizeof(token->name), "%s", state_text_at(statement, 0));
    snprintf(token->model, sizeof(token->model), "%s", state_text_at(statement, 2));
    token->created_ms = sqlite3_column_int64(statement, 4);
    tokens->count++;
    tokens->admin_port_count += token->role != ROLE_KEY;
}

enum serin_errc tokens_read(struct state *state, struct tokens **ret, struct serin_error *error)
{
    struct reading reading = {.tokens = calloc(1, sizeof(*reading.tokens))};
    enum serin_errc rc;

    if (!reading.tokens)
        return error_set(error, SERIN_NOMEM, "no memory for the tokens");
    rc = state_query(state, "SELECT name, role, model, hash, created_ms FROM token ORDER BY name", 0, read_token,
                     &reading, error);
    if (rc == SERIN_OK && reading.bad) /* all or none: a file that is not ours to understand lets nobody in */
        rc = error_set(error, SERIN_CORRUPT, "state file: %s", reading.bad);
    if (rc == SERIN_OK)
        *ret = reading.tokens;
    else
        free(reading.tokens);
    return rc;
}

static void read_number(sqlite3_stmt *statement, void *user)
{
    *(int64_t *)user = sqlite3_column_int64(statement, 0);
}

int64_t tokens_written(struct state *state)
{
    int64_t version = -1;

    return state_query(state, "PRAGMA data_version", 0, read_number, &version, NULL) == SERIN_OK ? version : -1;
}

enum serin_errc tokens_has_admin(const char *path, bool *ret, struct serin_error *error)
{
    struct state state = {0};
    int64_t tables = 0, admins = 0;
    enum serin_errc rc = SERIN_OK;

    if (access(path, F_OK) != 0 && errno == ENOENT) {
        *ret = false;
        return SERIN_OK;
    }
    if (sqlite3_open_v2(path, &state.db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        rc = error_set(error, SERIN_IO, "%s: %s", path, state.db ? sqlite3_errmsg(state.db) : "no memory");
    if (rc == SERIN_OK)
        rc = state_query(&state, "SELECT count(*) FROM sqlite_master WHERE name='token'", 0, read_number, &tables,
                         error);
    if (rc == SERIN_OK && tables > 0) /* a file of an older program has none */
        rc = state_query(&state, "SELECT count(*) FROM token WHERE role='admin'", 0, read_number, &admins, error);
    sqlite3_close(state.db);
    if (rc == SERIN_OK)
        *ret = admins > 0;
    return rc;
}

/* ---- writing ---- */

static const struct token *find_name(const struct tokens *tokens, const char *name)
{
    int i;

    for (i = 0; i < tokens->count; i++)
        if (strcmp(tokens->items[i].name, name) == 0)
            return &tokens->items[i];
    return NULL;
}

static enum serin_errc check_new(const struct tokens *tokens, const char *name, enum token_role role, const char *model,
                                 struct serin_error *error)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    size_t length = strlen(name);
    int of_model = 0, i;

    if (length < 1 || length > TOKEN_MAX_NAME || strspn(name, letters) != length)
        return error_set(
            error, SERIN_INVALID,
            "a token's name has 1 to %d letters, digits, dots, dashes and underscores; this one is '%.80s'",
            TOKEN_MAX_NAME, name);
    if (role < ROLE_KEY || role > ROLE_ADMIN)
        return error_set(error, SERIN_INVALID, "a token's role is viewer, operator, admin, or key for the data port");
    if ((role == ROLE_KEY) != (*model != '\0'))
        return error_set(error, SERIN_INVALID,
                         role == ROLE_KEY ? "a key of the data port is for one model, which must be said"
                                          : "a token of the admin port is for all models, and this one says '%.80s'",
                         model);
    if (role == ROLE_KEY && version_model_check(model, error) != SERIN_OK)
        return SERIN_INVALID;
    if (role == ROLE_KEY && strlen(model) > TOKEN_MAX_MODEL)
        return error_set(error, SERIN_INVALID, "a model's name of %zu bytes, the limit is %d", strlen(model),
                         TOKEN_MAX_MODEL);
    if (find_name(tokens, name))
        return error_set(error, SERIN_LIMIT, "there is a token '%s' already: revoke it, or choose another name", name);
    if (tokens->count == TOKENS_MAX)
        return error_set(error, SERIN_LIMIT, "there are %d tokens, the limit: revoke one", TOKENS_MAX);
    for (i = 0; i < tokens->count; i++)
        of_model += role == ROLE_KEY && strcmp(tokens->items[i].model, model) == 0;
    if (of_model >= TOKENS_MAX_KEYS)
        return error_set(error, SERIN_LIMIT, "there are %d keys of '%s', the limit: revoke one", TOKENS_MAX_KEYS,
                         model);
    if (role != ROLE_KEY && role != ROLE_ADMIN && tokens->admin_port_count == 0)
        return error_set(error, SERIN_LIMIT,
                         "the first token must be an admin's: with it the admin port asks everybody for one");
    return SERIN_OK;
}

enum serin_errc tokens_create(struct state *state, const char *name, enum token_role role, const char *model,
                              const char *author, char secret[TOKEN_SECRET_BYTES], struct serin_error *error)
{
    char hash_text[2 * TOKEN_HASH_BYTES + 1], created[32], detail[320];
    uint8_t random[32], hash[TOKEN_HASH_BYTES];
    const char *const texts[] = {name, role_texts[role], model, hash_text, created};
    struct tokens *present;
    enum serin_errc rc = tokens_read(state, &present, error);

    if (rc != SERIN_OK)
        return rc;
    rc = check_new(present, name, role, model, error);
    free(present);
    if (rc != SERIN_OK)
        return rc;
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return error_set(error, SERIN_IO, "the kernel gives no random numbers: %s", strerror(errno));
    snprintf(secret, TOKEN_SECRET_BYTES, TOKEN_PREFIX);
    text_hex(random, sizeof(random), secret + strlen(TOKEN_PREFIX));
    token_hash(secret, strlen(secret), hash);
    text_hex(hash, sizeof(hash), hash_text);
    snprintf(created, sizeof(created), "%llu", (unsigned long long)clock_wall_ms());
    snprintf(detail, sizeof(detail), "%s role=%s%s%s", name, role_texts[role], *model ? " model=" : "", model);
    rc = state_write_change(state, "INSERT INTO token VALUES(?, ?, ?, ?, ?)", texts, 5, author, "token", detail, error);
    OPENSSL_cleanse(random, sizeof(random));
    if (rc != SERIN_OK)
        OPENSSL_cleanse(secret, TOKEN_SECRET_BYTES);
    return rc;
}

/* What follows where the last admin's token goes is seldom meant. */
static enum serin_errc check_not_last(const struct tokens *tokens, const struct token *token, struct serin_error *error)
{
    static const char instead[] = "make another admin's first, or say --force to 'serin token revoke' on this machine";
    int admins = 0, i;

    for (i = 0; i < tokens->count; i++)
        admins += tokens->items[i].role == ROLE_ADMIN;
    if (admins > 1 || token->role != ROLE_ADMIN)
        return SERIN_OK;
    if (tokens->admin_port_count == 1)
        return error_set(error, SERIN_LIMIT,
                         "'%s' is the last token of the admin port, which would then do what anybody on this machine "
                         "asks, and nothing for others: %s",
                         token->name, instead);
    return error_set(error, SERIN_LIMIT,
                     "'%s' is the last admin's token: over the admin port nobody could make tokens, revoke them or "
                     "reload any more: %s",
                     token->name, instead);
}

enum serin_errc tokens_revoke(struct state *state, const char *name, bool last_too, const char *author,
                              struct serin_error *error)
{
    const struct token *token;
    struct tokens *present;
    enum serin_errc rc = tokens_read(state, &present, error);

    if (rc != SERIN_OK)
        return rc;
    token = find_name(present, name);
    if (!token)
        rc = error_set(error, SERIN_NOT_FOUND, "there is no token '%.80s'", name);
    else if (!last_too)
        rc = check_not_last(present, token, error);
    free(present);
    if (rc != SERIN_OK)
        return rc;
    return state_write_change(state, "DELETE FROM token WHERE name=?", &name, 1, author, "token revoked", name, error);
}

/* ---- finding ---- */

void token_hash(const void *secret, size_t size, uint8_t ret[TOKEN_HASH_BYTES])
{
    SHA256(secret, size, ret);
}

const struct token *tokens_find_hash(const struct tokens *tokens, const uint8_t hash[TOKEN_HASH_BYTES])
{
    const struct token *found = NULL;
    int i;

    for (i = 0; i < tokens->count; i++)
        if (CRYPTO_memcmp(tokens->items[i].hash, hash, TOKEN_HASH_BYTES) == 0)
            found = &tokens->items[i];
    return found;
}

const struct token *tokens_find(const struct tokens *tokens, const char *secret, size_t size)
{
    uint8_t hash[TOKEN_HASH_BYTES];

    token_hash(secret, size, hash);
    return tokens_find_hash(tokens, hash);
}
