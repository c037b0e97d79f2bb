/*
 * token.c - serin token: who may do what on the ports of serin serve.
 * SPDX-License-Identifier: Apache-2.0
 *
 * It writes into the state file itself, as serin push into the store: the first token must be there before a server is
 * reachable, and who can write that file needs nobody's leave. A running server sees it at once on the admin port and
 * within a second on the data port. From elsewhere there is POST /api/v1/tokens.
 */
#include "cli/admin_call.h"
#include "cli/data_dir.h"
#include "cli/json_answer.h"
#include "cli/terminal.h"
#include "store/tokens.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct token_settings {
    const char *data_dir, *model;
    int role, output;
    bool force;
};

static const struct cli_option options[] = {
    DATA_DIR_OPTION(token_settings),
    {.name = "role",
     .value = "none|viewer|operator|admin",
     .type = CLI_CHOICE,
     .fallback = "none",
     .offset = offsetof(struct token_settings, role),
     .help = "what it may do on the control API: read; also move routes and rollouts, and deploy; also reload and make "
             "tokens"},
    {.name = "model",
     .value = "MODEL",
     .type = CLI_TEXT,
     .offset = offsetof(struct token_settings, model),
     .help = "in place of a role: an API key of the data port, for this model, if its route asks for keys (serin route "
             "set MODEL --need-key yes)"},
    {.name = "force",
     .type = CLI_FLAG,
     .offset = offsetof(struct token_settings, force),
     .help = "of revoke: also the last admin's, after which the control API does what anybody on this machine asks, or "
             "nobody can make tokens over it"},
    {.name = "output",
     .letter = 'o',
     .value = "table|json",
     .type = CLI_CHOICE,
     .fallback = "table",
     .offset = offsetof(struct token_settings, output),
     .help = "of list: a table for people, or JSON"},
    {0},
};

static const struct cli_example examples[] = {
    {"serin token create alice --role admin", "the first one; from now on the control API asks everybody for a token"},
    {"SERIN_TOKEN=serin_... serin status", "how a verb is given one"},
    {"serin token create gate-7 --model street-person", "an API key of the data port"},
    {"serin token revoke alice", "it opens nothing from now on, and its sessions end"},
    {0},
};

static int fail(const struct serin_error *error)
{
    terminal_complain("token: %s", error->message);
    return error->code == SERIN_INVALID ? CLI_USAGE : CLI_FAILED;
}

/* The state file; make: also where there is none yet. */
static enum serin_errc open_state(const char *data_dir, bool make, struct state **ret, struct serin_error *error)
{
    char folder[PATH_MAX - 16], path[PATH_MAX];
    struct bundles *store = NULL;
    enum serin_errc rc = data_dir_find(data_dir, folder, sizeof(folder), error);

    if (rc == SERIN_OK && make)
        rc = data_dir_open(data_dir, true, &store, error); /* for its folder */
    bundles_close(store);
    if (rc != SERIN_OK)
        return rc;
    snprintf(path, sizeof(path), "%s/state.db", folder);
    if (!make && access(path, F_OK) != 0)
        return error_set(error, SERIN_NOT_FOUND, "%s is not there: no token has been made yet", path);
    return state_open(path, ret, error);
}

static enum serin_errc create(struct state *state, const char *name, const struct token_settings *settings,
                              struct serin_error *error)
{
    static const enum token_role roles[] = {ROLE_NOBODY, ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN};
    enum token_role role = roles[settings->role];
    char secret[TOKEN_SECRET_BYTES], author[ADMIN_MAX_AUTHOR];
    enum serin_errc rc;

    if ((role == ROLE_NOBODY) == !settings->model)
        return error_set(error, SERIN_INVALID,
                         "a token has a --role for the control API, or is for a --model of the data port");
    rc = tokens_create(state, name, settings->model ? ROLE_KEY : role, settings->model ? settings->model : "",
                       admin_author(author), secret, error);
    if (rc != SERIN_OK)
        return rc;
    puts(secret);
    if (settings->model)
        terminal_complain("token: this is the key '%s' of %s, told this once: Authorization: Bearer, or X-Api-Key",
                          name, settings->model);
    else
        terminal_complain("token: this is '%s', told this once; verbs take it from " ADMIN_TOKEN_FROM, name);
    return SERIN_OK;
}

static void print_json(const struct tokens *tokens)
{
    json_t *list = json_array();
    int i;

    for (i = 0; i < tokens->count; i++) {
        const struct token *token = &tokens->items[i];

        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I}", "name", token->name, "role",
                                              token_role_text(token->role), "model", token->model, "created_ms",
                                              (json_int_t)token->created_ms));
    }
    json_answer_print(OUTPUT_JSON, list, NULL);
    json_decref(list);
}

static void print_table(const struct tokens *tokens)
{
    int i;

    for (i = 0; i < tokens->count; i++) {
        const struct token *token = &tokens->items[i];
        time_t second = (time_t)(token->created_ms / 1000);
        char made[32] = "";
        struct tm utc;

        if (gmtime_r(&second, &utc))
            strftime(made, sizeof(made), "%Y-%m-%d %H:%M", &utc);
        printf("%-24s %-9s %-24s %s\n", token->name, token_role_text(token->role), token->model[0] ? token->model : "-",
               made);
    }
}

static enum serin_errc list(struct state *state, bool as_json, struct serin_error *error)
{
    struct tokens *tokens;
    enum serin_errc rc = tokens_read(state, &tokens, error);

    if (rc != SERIN_OK)
        return rc;
    if (as_json)
        print_json(tokens);
    else
        print_table(tokens);
    free(tokens);
    return SERIN_OK;
}

static int token(const void *given, char *const *operands, size_t operand_count)
{
    const struct token_settings *settings = given;
    const char *verb = operands[0], *name = operand_count > 1 ? operands[1] : NULL;
    bool creates = strcmp(verb, "create") == 0, revokes = strcmp(verb, "revoke") == 0;
    char author[ADMIN_MAX_AUTHOR];
    struct serin_error error;
    struct state *state;
    enum serin_errc rc;

    if ((!creates && !revokes && strcmp(verb, "list") != 0) || (creates || revokes) != (name != NULL)) {
        terminal_complain("token: it is 'token create NAME', 'token list' or 'token revoke NAME'");
        return CLI_USAGE;
    }
    rc = open_state(settings->data_dir, creates, &state, &error);
    if (rc != SERIN_OK)
        return fail(&error);
    if (creates)
        rc = create(state, name, settings, &error);
    else if (revokes)
        rc = tokens_revoke(state, name, settings->force, admin_author(author), &error);
    else
        rc = list(state, settings->output == 1, &error);
    state_close(state);
    return rc == SERIN_OK ? CLI_OK : fail(&error);
}

const struct cli_verb cli_token = {
    .name = "token",
    .summary = "make, list and revoke tokens, and API keys of the data port",
    .operands = "create|list|revoke [NAME]",
    .min_operands = 1,
    .max_operands = 2,
    .text =
        "Where there is no token the control API listens on this machine only, and does what anybody there asks. The "
        "first token must be an admin's; with it everybody needs one, and what changes is written down under its "
        "name. The secret is printed once, on standard output; what is kept is its hash.",
    .options = options,
    .examples = examples,
    .settings_bytes = sizeof(struct token_settings),
    .run = token,
};
