/*
 * own.c - what is asked of the gateway itself and not of a model: health, metadata, the list of models.
 * SPDX-License-Identifier: Apache-2.0
 *
 * Sources: Open Inference Protocol v2 (server metadata, health), Triton's model repository extension (index).
 */
#include "gateway/inside.h"

#include "base/json.h"
#include "serin_config.h"

#include <string.h>

static void write_flag(struct json_writer *json, const char *key, bool value)
{
    json_begin_object(json);
    json_key(json, key);
    json_write_boolean(json, value);
    json_end_object(json);
}

static bool is_served(const struct gateway_version *version)
{
    return version->endpoint_count > 0 && !version->doubtful;
}

/* Every model's stable version has a replica. */
static bool is_ready(const struct gateway_table *table)
{
    int e, v;

    if (!table || table->entry_count == 0)
        return false;
    for (e = 0; e < table->entry_count; e++) {
        if (table->entries[e].route.version_count == 0)
            continue;
        v = route_find(&table->entries[e].route, table->entries[e].route.stable);
        if (v < 0 || !is_served(&table->entries[e].versions[v]))
            return false;
    }
    return true;
}

static void write_metadata(struct json_writer *json)
{
    json_begin_object(json);
    json_key(json, "name");
    json_write_string(json, "serin");
    json_key(json, "version");
    json_write_string(json, SERIN_VERSION);
    json_key(json, "extensions");
    json_begin_array(json);
    json_write_string(json, "binary_tensor_data");
    json_write_string(json, "model_configuration");
    json_write_string(json, "statistics");
    json_end_array(json);
    json_end_object(json);
}

static void write_index(struct json_writer *json, const struct gateway_table *table)
{
    int e, v;

    json_begin_array(json);
    for (e = 0; table && e < table->entry_count; e++)
        for (v = 0; v < table->entries[e].route.version_count; v++) {
            bool ready = is_served(&table->entries[e].versions[v]);

            json_begin_object(json);
            json_key(json, "name");
            json_write_string(json, table->entries[e].route.model);
            json_key(json, "version");
            json_write_string(json, table->entries[e].route.versions[v].tag);
            json_key(json, "state");
            json_write_string(json, ready ? "READY" : "UNAVAILABLE");
            json_key(json, "reason");
            json_write_string(json, ready ? "" : "no replica is ready");
            json_end_object(json);
        }
    json_end_array(json);
}

static void answer_json(struct thread *thread, struct http_exchange *exchange, int status, struct buffer *text)
{
    struct bytes *body = text->failed ? NULL : bytes_new(text->size);
    struct buffer fields;

    if (!body) {
        http_respond_error(exchange, 503, "no memory for the answer");
        return;
    }
    memcpy(body->data, text->bytes, text->size);
    body->size = text->size;
    buffer_init(&fields, 1024);
    http_write_field(&fields, "Content-Type", "application/json");
    cors_write_fields(thread, http_exchange_head(exchange), &fields);
    http_respond(exchange, status, &fields, body);
    buffer_done(&fields);
}

static void answer_text(struct thread *thread, struct http_exchange *exchange, int status, const char *key,
                        const char *sentence)
{
    struct json_writer json;
    struct buffer text;

    buffer_init(&text, 2048);
    json_init(&json, &text);
    json_begin_object(&json);
    json_key(&json, key);
    json_write_string(&json, sentence);
    json_end_object(&json);
    answer_json(thread, exchange, status, &text);
    buffer_done(&text);
}

void own_fail(struct thread *thread, struct http_exchange *exchange, int status, const char *sentence)
{
    answer_text(thread, exchange, status, "error", sentence);
}

void own_accept(struct thread *thread, struct http_exchange *exchange)
{
    answer_text(thread, exchange, 202, "status", "accepted");
}

bool own_answer(struct thread *thread, struct http_exchange *exchange)
{
    const struct http_head *head = http_exchange_head(exchange);
    const struct gateway_table *table = thread->snapshot ? &thread->snapshot->table->table : NULL;
    struct json_writer json;
    struct buffer text;
    int status = 200;

    if (head->path.size < 3 || memcmp(head->path.bytes, "/v2", 3) != 0)
        return false;
    buffer_init(&text, 1 << 20);
    json_init(&json, &text);
    if (http_slice_is(head->path, "/v2/health/live")) {
        write_flag(&json, "live", true);
    } else if (http_slice_is(head->path, "/v2/health/ready")) {
        status = is_ready(table) ? 200 : 503;
        write_flag(&json, "ready", status == 200);
    } else if (http_slice_is(head->path, "/v2")) {
        write_metadata(&json);
    } else if (http_slice_is(head->path, "/v2/repository/index")) {
        write_index(&json, table);
    } else {
        buffer_done(&text);
        return false;
    }
    answer_json(thread, exchange, status, &text);
    buffer_done(&text);
    return true;
}
