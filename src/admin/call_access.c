/*
 * call_access.c - calls about who may call: log-ins of browsers, and tokens.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A secret is told once, in the answer that makes it.
 */
#include "admin/call.h"
#include "base/json.h"

static void write_caller(struct call *call, const struct caller *caller)
{
    struct json_writer json;

    json_init(&json, &call->out);
    json_begin_object(&json);
    json_key(&json, "required");
    json_write_boolean(&json, access_is_required(call->access));
    json_key(&json, "name");
    json_write_string(&json, caller->name);
    json_key(&json, "role");
    json_write_string(&json, token_role_text(caller->role));
    json_end_object(&json);
}

void do_session(struct call *call)
{
    write_caller(call, &call->caller);
    call_answer_json(call, SERIN_OK);
}

void do_login(struct call *call)
{
    const char *secret = NULL;
    struct caller caller;
    int status = 400;

    if (call_read_object(call, "a log-in is {\"token\": \"serin_...\"}", "{s:s}", "token", &secret) == SERIN_OK)
        status = access_log_in(call->access, call->exchange, secret, &call->fields, &caller, &call->error);
    if (status != 0) {
        call_refuse(call, status);
        return;
    }
    write_caller(call, &caller);
    call_answer_json(call, SERIN_OK);
}

void do_logout(struct call *call)
{
    access_log_out(call->access, call->exchange, &call->fields);
    call_answer_done(call, SERIN_OK);
}

static void write_token(struct json_writer *json, const char *name, enum token_role role, const char *model)
{
    json_key(json, "name");
    json_write_string(json, name);
    json_key(json, "role");
    json_write_string(json, token_role_text(role));
    json_key(json, "model");
    json_write_string(json, model);
}

void do_tokens(struct call *call)
{
    const struct tokens *tokens = access_tokens(call->access);
    struct json_writer json;
    int i;

    json_init(&json, &call->out);
    json_begin_array(&json);
    for (i = 0; i < tokens->count; i++) {
        json_begin_object(&json);
        write_token(&json, tokens->items[i].name, tokens->items[i].role, tokens->items[i].model);
        json_key(&json, "created_ms");
        json_write_integer(&json, tokens->items[i].created_ms);
        json_end_object(&json);
    }
    json_end_array(&json);
    call_answer_json(call, SERIN_OK);
}

void do_create_token(struct call *call)
{
    const char *name = NULL, *role_text = "key", *model = "";
    enum token_role role = ROLE_NOBODY;
    char secret[TOKEN_SECRET_BYTES];
    struct json_writer json;
    enum serin_errc rc = call_read_object(
        call, "a token is {\"name\": \"NAME\", \"role\": \"viewer\"}, or {\"name\", \"model\"} for the data port",
        "{s:s, s?:s, s?:s}", "name", &name, "role", &role_text, "model", &model);

    if (rc == SERIN_OK && !token_role_read(role_text, &role))
        rc = error_set(&call->error, SERIN_INVALID, "a role is viewer, operator or admin, and not '%.40s'", role_text);
    else if (rc == SERIN_OK)
        rc = access_create_token(call->access, name, role, model, call->author, secret, &call->error);
    if (rc == SERIN_OK) {
        json_init(&json, &call->out);
        json_begin_object(&json);
        write_token(&json, name, role, model);
        json_key(&json, "token");
        json_write_string(&json, secret);
        json_end_object(&json);
    }
    call_answer_json(call, rc);
}

void do_revoke_token(struct call *call)
{
    call_answer_done(call, access_revoke_token(call->access, call->argument, call->author, &call->error));
}
