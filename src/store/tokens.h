/*
 * tokens.h - who may do what: names, roles, and the hashes of their secrets.  Depends on base, version, state.h.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A secret is 256 random bits, told once and stored as its SHA-256. A slow hash (scrypt, Argon2) makes guessing of
 * passwords dear, of which people choose few; among 2^256 equally likely secrets nobody guesses, at whatever price, so
 * a fast hash hides them as well, and a request does not wait for it (NIST SP 800-63B, 5.1.2, asks for slow hashes only
 * below 112 bits of entropy).
 */
#ifndef STORE_TOKENS_H
#define STORE_TOKENS_H

#include "store/state.h"

#include <stdbool.h>
#include <stddef.h>

#define TOKENS_MAX         512
#define TOKENS_MAX_KEYS    64 /* of a model */
#define TOKEN_MAX_NAME     64
#define TOKEN_MAX_MODEL    128
#define TOKEN_HASH_BYTES   32
#define TOKEN_SECRET_BYTES (6 + 64 + 1) /* "serin_", which scanners for leaked secrets find, 64 digits, NUL */

/* What a token is for; of those for the admin port each may do all that the ones before it may. ROLE_NOBODY is what
 * calls without a token have, and no token's. */
enum token_role { ROLE_NOBODY, ROLE_KEY, ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN };

const char *token_role_text(enum token_role role); /* "admin"; ROLE_KEY: "key" */
bool token_role_read(const char *text, enum token_role *ret);

struct token {
    char name[TOKEN_MAX_NAME + 1];
    enum token_role role;
    char model[TOKEN_MAX_MODEL + 1]; /* of a ROLE_KEY: what it may ask; else "" */
    uint8_t hash[TOKEN_HASH_BYTES];
    int64_t created_ms; /* wall clock */
};

struct tokens {
    int count, admin_port_count; /* admin_port_count: those that are no keys of the data port */
    struct token items[TOKENS_MAX];
};

/* Reads all, by name; *ret is the caller's, to free(). */
MUST_USE enum serin_errc tokens_read(struct state *state, struct tokens **ret, struct serin_error *error);
/* A number that changes when another process (serin token) has written to the file; cheap. -1: cannot be told. */
int64_t tokens_written(struct state *state);

/* Makes one, of name ([A-Za-z0-9._-]) and role; model: of a ROLE_KEY, else "". secret is the only time it is told.
 * SERIN_INVALID; SERIN_LIMIT: the name is taken, there are TOKENS_MAX, or TOKENS_MAX_KEYS of the model, or the first of
 * the admin port would be no admin's, which would lock everybody out. */
MUST_USE enum serin_errc tokens_create(struct state *state, const char *name, enum token_role role, const char *model,
                                       const char *author, char secret[TOKEN_SECRET_BYTES], struct serin_error *error);
/* SERIN_NOT_FOUND; SERIN_LIMIT: it is the last admin's, and last_too is false: the sentence says what would follow. */
MUST_USE enum serin_errc tokens_revoke(struct state *state, const char *name, bool last_too, const char *author,
                                       struct serin_error *error);

/* Whose secret this is, or NULL. Takes as long for a wrong one, however near, as for a right one. */
const struct token *tokens_find(const struct tokens *tokens, const char *secret, size_t size);
const struct token *tokens_find_hash(const struct tokens *tokens, const uint8_t hash[TOKEN_HASH_BYTES]);
void token_hash(const void *secret, size_t size, uint8_t ret[TOKEN_HASH_BYTES]);

/* Whether the state file at path has an admin's token, without making or changing it. SERIN_IO, SERIN_CORRUPT. */
MUST_USE enum serin_errc tokens_has_admin(const char *path, bool *ret, struct serin_error *error);

#endif
