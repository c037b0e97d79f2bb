/*
 * key.c - API keys: whether a request may ask a model.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A key is 256 random bits (store/tokens.h has why a fast hash is enough for it); here are only the hashes of those of
 * the model. The field that opened the model is the gateway's, and no version sees it.
 */
#include "gateway/inside.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <string.h>

_Static_assert(GATEWAY_KEY_BYTES == SHA256_DIGEST_LENGTH, "a key's hash is SHA-256");

static bool opens(const struct gateway_entry *entry, struct http_slice key)
{
    uint8_t hash[GATEWAY_KEY_BYTES];
    bool found = false;
    int i;

    SHA256((const unsigned char *)key.bytes, key.size, hash);
    for (i = 0; i < entry->key_count; i++) /* all of them, so that the time tells nothing */
        found |= CRYPTO_memcmp(entry->keys[i], hash, sizeof(hash)) == 0;
    return found;
}

bool key_admits(const struct gateway_entry *entry, const struct http_head *head, const char **ret_used)
{
    static const char scheme[] = "Bearer ";
    const struct http_slice *bearer = http_find(head, "Authorization"), *plain = http_find(head, "X-Api-Key");
    size_t length = sizeof(scheme) - 1;

    *ret_used = NULL;
    if (!entry->route.needs_key)
        return true;
    if (plain && opens(entry, *plain))
        *ret_used = "X-Api-Key";
    else if (bearer && bearer->size > length &&
             http_slice_is_name((struct http_slice){bearer->bytes, length}, scheme) &&
             opens(entry, (struct http_slice){bearer->bytes + length, bearer->size - length}))
        *ret_used = "Authorization";
    return *ret_used != NULL;
}

_Static_assert(GATEWAY_MAX_MODELS <= 64, "a bit for each lease");

uint64_t key_opened(const struct snapshot *snapshot, const struct http_head *head)
{
    uint64_t opened = 0;
    const char *used;
    int e;

    for (e = 0; snapshot && e < snapshot->table->table.entry_count; e++) {
        const struct gateway_entry *entry = &snapshot->table->table.entries[e];

        if (key_admits(entry, head, &used))
            opened |= UINT64_C(1) << entry->lease;
    }
    return opened;
}
