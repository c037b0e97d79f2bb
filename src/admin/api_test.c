/*
 * api_test.c - every call of the admin port against every role, made from the table of calls itself; and where
 * requests come from.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "admin/access.c"
#include "admin/api.c"
#include "admin/limiter.c"

#include "http/test_peer.h"

static struct {
    char folder[64];
    uv_loop_t loop;
    struct state *state;
    struct access *access;
    struct api *api;
    int reached; /* calls that came through to the target */
    char author[160], log[8192];
    bool closed;
} at;

/* ---- a target that only says that it was reached ---- */

static enum serin_errc reach(struct serin_error *error)
{
    at.reached++;
    return error_set(error, SERIN_LIMIT, "reached");
}

static enum serin_errc on_write(void *user, struct buffer *out, struct serin_error *error)
{
    (void)user, (void)out;
    return reach(error);
}

static enum serin_errc on_named(void *user, const char *name, struct buffer *out, struct serin_error *error)
{
    (void)user, (void)name, (void)out;
    return reach(error);
}

static enum serin_errc on_put(void *user, const struct route *route, const char *author, struct serin_error *error)
{
    (void)user, (void)route, (void)author;
    return reach(error);
}

static enum serin_errc on_remove(void *user, const char *name, const char *author, struct serin_error *error)
{
    (void)user, (void)name;
    snprintf(at.author, sizeof(at.author), "%s", author);
    return reach(error);
}

static enum serin_errc on_set_freeze(void *user, const char *model, const char *calendar, const char *author,
                                     struct serin_error *error)
{
    (void)calendar;
    return on_remove(user, model, author, error);
}

static enum serin_errc on_history(void *user, const char *rollout, int64_t before, int limit, struct buffer *out,
                                  struct serin_error *error)
{
    (void)before, (void)limit;
    return on_named(user, rollout, out, error);
}

static enum serin_errc on_changes(void *user, int limit, struct buffer *out, struct serin_error *error)
{
    (void)user, (void)limit, (void)out;
    return reach(error);
}

static enum serin_errc on_reload(void *user, struct serin_error *error)
{
    (void)user;
    return reach(error);
}

static enum serin_errc on_start(void *user, const struct admin_rollout *start, struct buffer *out,
                                struct serin_error *error)
{
    (void)user, (void)start, (void)out;
    return reach(error);
}

static enum serin_errc on_act(void *user, const char *rollout, const char *verb, const char *author, const char *why,
                              struct buffer *out, struct serin_error *error)
{
    (void)user, (void)rollout, (void)verb, (void)author, (void)why, (void)out;
    return reach(error);
}

static enum serin_errc on_frames(void *user, const char *rollout, const struct admin_page *page, struct buffer *out,
                                 struct serin_error *error)
{
    (void)user, (void)rollout, (void)page, (void)out;
    return reach(error);
}

static enum serin_errc on_picture(void *user, const char *frame, struct buffer *out, const char **ret_type,
                                  struct serin_error *error)
{
    (void)user, (void)frame, (void)out, (void)ret_type;
    return reach(error);
}

static enum serin_errc on_judge_frame(void *user, const char *frame, const char *right, const char *author,
                                      struct buffer *out, struct serin_error *error)
{
    (void)user, (void)frame, (void)right, (void)author, (void)out;
    return reach(error);
}

static enum serin_errc on_deploy(void *user, const struct admin_deploy *deploy, struct http_exchange *exchange,
                                 struct serin_error *error)
{
    (void)user, (void)deploy, (void)exchange;
    return reach(error);
}

static enum serin_errc on_versions(void *user, const char *name, const char *against, struct http_exchange *exchange,
                                   struct serin_error *error)
{
    (void)user, (void)name, (void)against, (void)exchange;
    return reach(error);
}

static enum serin_errc on_try(void *user, const char *name, struct http_exchange *exchange, struct serin_error *error)
{
    (void)user, (void)name, (void)exchange;
    return reach(error);
}

static void on_log(void *user, const char *level, const char *doing, const char *what)
{
    (void)user;
    snprintf(at.log + strlen(at.log), sizeof(at.log) - strlen(at.log), "%s %s: %s\n", level, doing, what);
}

static bool on_passing(void *user)
{
    (void)user;
    return false;
}

/* ---- the port ---- */

static void begin(bool open)
{
    const struct admin_target target = {.status = on_write,
                                        .is_passing = on_passing,
                                        .routes = on_write,
                                        .route = on_named,
                                        .put_route = on_put,
                                        .remove_route = on_remove,
                                        .undeploy = on_remove,
                                        .changes = on_changes,
                                        .freezes = on_write,
                                        .set_freeze = on_set_freeze,
                                        .end_freeze = on_remove,
                                        .reload = on_reload,
                                        .metrics = on_write,
                                        .rollouts = on_write,
                                        .rollout = on_named,
                                        .rollout_history = on_history,
                                        .start_rollout = on_start,
                                        .act_on_rollout = on_act,
                                        .frames = on_frames,
                                        .frame = on_named,
                                        .frame_picture = on_picture,
                                        .judge_frame = on_judge_frame,
                                        .remove_frames = on_remove,
                                        .remove_frame = on_remove,
                                        .versions = on_versions,
                                        .try_picture = on_try,
                                        .deploy = on_deploy};
    struct access_options options = {.open = open, .log = on_log};
    char path[96];

    memset(&at, 0, sizeof(at));
    strcpy(at.folder, "/tmp/serin-api-XXXXXX");
    assert_non_null(mkdtemp(at.folder));
    snprintf(path, sizeof(path), "%s/state.db", at.folder);
    assert_int_equal(state_open(path, &at.state, NULL), SERIN_OK);
    uv_loop_init(&at.loop);
    options.state = at.state;
    assert_int_equal(access_new(&options, &at.access, NULL), SERIN_OK);
    assert_int_equal(api_new(&at.loop, "127.0.0.1:0", -1, &target, at.access, NULL, &at.api, NULL), SERIN_OK);
}

static void on_closed_api(void *user)
{
    (void)user;
    at.closed = true;
}

static void end(void)
{
    char command[128];

    peers_done();
    api_close(at.api, false, on_closed_api, NULL);
    TURN_UNTIL(&at.loop, at.closed);
    uv_run(&at.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&at.loop), 0);
    access_free(at.access);
    state_close(at.state);
    snprintf(command, sizeof(command), "rm -rf %s", at.folder);
    assert_int_equal(system(command), 0); /* NOLINT: a folder of our own naming */
}

static void make(const char *name, enum token_role role, char secret[TOKEN_SECRET_BYTES])
{
    assert_int_equal(access_create_token(at.access, name, role, role == ROLE_KEY ? "m" : "", "test", secret, NULL),
                     SERIN_OK);
}

static char last[8192]; /* the answer */

/* Asks on a connection of its own; fields are finished lines. Returns the status. */
static int ask(const char *method, const char *path, const char *fields, const char *body)
{
    struct peer *peer = peer_connect(api_port(at.api));
    char text[4096];

    snprintf(text, sizeof(text),
             "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n%s", method,
             path, api_port(at.api), fields, strlen(body), body);
    assert_true(peer_say(&at.loop, peer, text));
    TURN_UNTIL(&at.loop, peer->ended || strstr(peer->got, "\r\n\r\nretry: ")); /* events have no end */
    snprintf(last, sizeof(last), "%s", peer->got);
    peers_done();
    assert_memory_equal(last, "HTTP/1.1 ", 9);
    return (int)strtol(last + 9, NULL, 10);
}

static const char *bearer(const char *secret)
{
    static char line[256];

    snprintf(line, sizeof(line), "Authorization: Bearer %s\r\n", secret);
    return line;
}

/* The path of an action with something for its "*". */
static const char *path_of(const struct action *action)
{
    static char path[128];
    const char *star = strchr(action->path, '*');

    snprintf(path, sizeof(path), "%.*s%s%s", star ? (int)(star - action->path) : (int)strlen(action->path),
             action->path, star ? "some" : "", star ? star + 1 : "");
    return path;
}

/* Of our making, so that the last rows of the table do not take away what the test stands on. */
static bool is_for_nobody(const struct action *action)
{
    static const char *const open[] = {"/api/v1/login", "/api/v1/logout", "/api/v1/session"};
    size_t i;

    for (i = 0; i < sizeof(open) / sizeof(open[0]); i++)
        if (strcmp(action->path, open[i]) == 0)
            return true;
    return false;
}

/* ---- who asks ---- */

struct asker {
    const char *who;
    enum token_role role; /* that counts; ROLE_NOBODY: 401 */
    bool reads_only;      /* whatever the role: changes are 403 */
    char fields[512];
};

#define MAX_ASKERS 32

static struct {
    struct asker items[MAX_ASKERS];
    int count;
} askers;

PRINTF_LIKE(4, 5)
static void add_asker(const char *who, enum token_role role, bool reads_only, const char *format, ...)
{
    struct asker *asker = &askers.items[askers.count++];
    va_list args;

    assert_true(askers.count <= MAX_ASKERS);
    asker->who = who;
    asker->role = role;
    asker->reads_only = reads_only;
    va_start(args, format);
    assert_in_range(vsnprintf(asker->fields, sizeof(asker->fields), format, args), 0, sizeof(asker->fields) - 1);
    va_end(args);
}

static void log_in(const char *secret, const char *fields, int wanted)
{
    char body[256];

    snprintf(body, sizeof(body), "{\"token\": \"%s\"}", secret);
    assert_int_equal(ask("POST", "/api/v1/login", fields, body), wanted);
}

static void cookie_of_last(char fields[256])
{
    const char *value = strstr(last, "Set-Cookie: ");

    assert_non_null(value);
    assert_non_null(strstr(value, "; Path=/api; HttpOnly; SameSite=Strict; Max-Age="));
    snprintf(fields, 256, "Cookie: other=1; %.*s\r\n", (int)strcspn(value + 12, ";"), value + 12);
}

/* Each way to ask, with the role that it gives. */
static void make_askers(void)
{
    static const enum token_role roles[] = {ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN};
    char secrets[3][TOKEN_SECRET_BYTES], key[TOKEN_SECRET_BYTES], revoked[TOKEN_SECRET_BYTES], cookie[256];
    int i;

    make("admin", ROLE_ADMIN, secrets[2]);
    make("viewer", ROLE_VIEWER, secrets[0]);
    make("operator", ROLE_OPERATOR, secrets[1]);
    make("key", ROLE_KEY, key);
    make("gone", ROLE_ADMIN, revoked);
    askers.count = 0;
    log_in(revoked, "", 200);
    cookie_of_last(cookie);
    add_asker("a session of a token that was revoked", ROLE_NOBODY, false, "%s" ACCESS_CSRF_FIELD ": 1\r\n", cookie);
    assert_int_equal(access_revoke_token(at.access, "gone", "test", NULL), SERIN_OK);
    log_in(secrets[2], "", 200);
    cookie_of_last(cookie);
    add_asker("a session that has been idle for too long", ROLE_NOBODY, false, "%s" ACCESS_CSRF_FIELD ": 1\r\n",
              cookie);
    for (i = 0; i < ACCESS_MAX_SESSIONS; i++)
        if (at.access->sessions[i].began_ms)
            at.access->sessions[i].used_ms = now_ms() - ACCESS_IDLE_S * 1000u;
    log_in(secrets[2], "", 200);
    cookie_of_last(cookie);
    add_asker("a session that was ended", ROLE_NOBODY, false, "%s" ACCESS_CSRF_FIELD ": 1\r\n", cookie);
    assert_int_equal(ask("POST", "/api/v1/logout", cookie, ""), 200);
    add_asker("nobody", ROLE_NOBODY, false, "%s", "");
    add_asker("a token that never was", ROLE_NOBODY, false, "Authorization: Bearer serin_%064d\r\n", 0);
    add_asker("a token that was revoked", ROLE_NOBODY, false, "Authorization: Bearer %s\r\n", revoked);
    add_asker("a key of the data port", ROLE_NOBODY, false, "Authorization: Bearer %s\r\n", key);
    add_asker("a key in its own field", ROLE_NOBODY, false, "X-Api-Key: %s\r\n", key);
    add_asker("a token in the key's field", ROLE_NOBODY, false, "X-Api-Key: %s\r\n", secrets[2]);
    add_asker("a token as a password", ROLE_NOBODY, false, "Authorization: Basic %s\r\n", secrets[2]);
    add_asker("a token and more", ROLE_NOBODY, false, "Authorization: Bearer %s0\r\n", secrets[2]);
    add_asker("less than a token", ROLE_NOBODY, false, "Authorization: Bearer %.20s\r\n", secrets[2]);
    add_asker("a token as a cookie", ROLE_NOBODY, false, "Cookie: " ACCESS_SESSION_COOKIE "=%s\r\n", secrets[2]);
    for (i = 0; i < 3; i++) {
        add_asker("a token", roles[i], false, "Authorization: Bearer %s\r\n", secrets[i]);
        log_in(secrets[i], "", 200);
        cookie_of_last(cookie);
        add_asker("a session", roles[i], false, "%s" ACCESS_CSRF_FIELD ": 1\r\n", cookie);
        add_asker("a session without its field", roles[i], true, "%s", cookie);
        add_asker("a session in another site's page", roles[i], true,
                  "%s" ACCESS_CSRF_FIELD ": 1\r\nOrigin: http://evil.example\r\n", cookie);
    }
    add_asker("a session beside a wrong token", ROLE_NOBODY, false,
              "%s" ACCESS_CSRF_FIELD ": 1\r\nAuthorization: Bearer x\r\n", cookie);
}

/* The table: each row of the calls, each way to ask. A new call is in it as soon as it can be called. */
static void every_call_takes_its_role(void **unused)
{
    size_t i;
    int a;

    (void)unused;
    begin(true);
    make_askers();
    for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        const struct action *action = &actions[i];
        bool reads = strcmp(action->method, "GET") == 0;

        /* Nothing is open that is not known to be, and who only reads changes nothing. */
        assert_int_equal(action->least == ROLE_NOBODY, is_for_nobody(action));
        if (action->least == ROLE_NOBODY)
            continue;
        assert_true(action->least >= (reads ? ROLE_VIEWER : ROLE_OPERATOR));
        if (strstr(action->path, "reload") || strstr(action->path, "token"))
            assert_int_equal(action->least, ROLE_ADMIN);
        for (a = 0; a < askers.count; a++) {
            const struct asker *asker = &askers.items[a];
            bool foreign = !reads && strstr(asker->fields, "Origin: ");
            int wanted = foreign                       ? 403
                         : asker->role == ROLE_NOBODY  ? 401
                         : !reads && asker->reads_only ? 403
                         : asker->role < action->least ? 403
                                                       : 0;
            int reached = at.reached, status = ask(action->method, path_of(action), asker->fields, "");

            if (wanted ? status != wanted || at.reached != reached : status == 401 || status == 403)
                fail_msg("%s %s: %s of role %s got %d", action->method, action->path, asker->who,
                         token_role_text(asker->role), status);
            if (wanted == 401)
                assert_non_null(strstr(last, "WWW-Authenticate: Bearer"));
            if (wanted)
                assert_non_null(strstr(last, "{\"error\":\""));
        }
    }
    assert_int_equal(access_tokens(at.access)->count, 4);
    /* What nobody knows is not told to strangers either. */
    for (a = 0; a < askers.count; a++)
        if (!strstr(askers.items[a].fields, "Origin: "))
            assert_int_equal(ask("GET", "/api/v1/nothing", askers.items[a].fields, ""),
                             askers.items[a].role == ROLE_NOBODY ? 401 : 404);
    assert_int_equal(ask("TRACE", "/api/v1/status", "", ""), 401);
    assert_int_equal(ask("OPTIONS", "/api/v1/tokens", "", ""), 401);
    end();
}

static void events_end_with_their_token(void **unused)
{
    char viewer[TOKEN_SECRET_BYTES], admin[TOKEN_SECRET_BYTES], text[512];
    struct peer *peer;

    (void)unused;
    begin(true);
    make("admin", ROLE_ADMIN, admin);
    make("viewer", ROLE_VIEWER, viewer);
    peer = peer_connect(api_port(at.api));
    snprintf(text, sizeof(text), "GET /api/v1/events HTTP/1.1\r\nHost: h\r\n%s\r\n", bearer(viewer));
    assert_true(peer_say(&at.loop, peer, text));
    TURN_UNTIL(&at.loop, count_of(peer->got, "event: rollouts\n") == 2); /* the first at once, and one by the clock */
    assert_int_equal(access_revoke_token(at.access, "viewer", "test", NULL), SERIN_OK);
    TURN_UNTIL(&at.loop, peer->ended);
    end();
}

static void a_change_has_its_tokens_name(void **unused)
{
    char secret[TOKEN_SECRET_BYTES];

    (void)unused;
    begin(true);
    assert_int_equal(ask("DELETE", "/api/v1/routes/m", "X-Serin-Author: cli bob\r\n", ""), 409);
    assert_non_null(strstr(at.author, "cli bob from 127.0.0.1:"));
    make("ann", ROLE_ADMIN, secret);
    snprintf(last, sizeof(last), "X-Serin-Author: root\r\nAuthorization: Bearer %s\r\n", secret);
    {
        char fields[256];

        snprintf(fields, sizeof(fields), "%s", last);
        assert_int_equal(ask("DELETE", "/api/v1/routes/m", fields, ""), 409);
    }
    assert_memory_equal(at.author, "ann from 127.0.0.1:", 19);
    end();
}

static void without_tokens_only_this_machine_is_let_in(void **unused)
{
    (void)unused;
    begin(true);
    assert_int_equal(ask("DELETE", "/api/v1/routes/m", "", ""), 409);
    assert_int_equal(ask("GET", "/api/v1/session", "", ""), 200);
    assert_non_null(strstr(last, "\"required\":false"));
    end();
    begin(false);
    assert_int_equal(ask("GET", "/api/v1/status", "", ""), 401);
    assert_int_equal(ask("DELETE", "/api/v1/routes/m", "", ""), 401);
    assert_int_equal(at.reached, 0);
    end();
}

static void other_pages_change_nothing(void **unused)
{
    char own[128];

    (void)unused;
    begin(true);
    assert_int_equal(ask("DELETE", "/api/v1/routes/m", "Origin: http://evil.example\r\n", ""), 403);
    assert_int_equal(ask("DELETE", "/api/v1/routes/m", "Origin: null\r\n", ""), 403);
    assert_int_equal(ask("DELETE", "/api/v1/routes/m", "Sec-Fetch-Site: cross-site\r\n", ""), 403);
    assert_int_equal(ask("DELETE", "/api/v1/routes/m", "Sec-Fetch-Site: same-site\r\n", ""), 403);
    assert_int_equal(at.reached, 0);
    snprintf(own, sizeof(own), "Origin: http://127.0.0.1:%d\r\nSec-Fetch-Site: same-origin\r\n", api_port(at.api));
    assert_int_equal(ask("DELETE", "/api/v1/routes/m", own, ""), 409);
    snprintf(own, sizeof(own), "Origin: http://127.0.0.1:%d\r\n", api_port(at.api) + 1); /* another port is another */
    assert_int_equal(ask("DELETE", "/api/v1/routes/m", own, ""), 403);
    end();
}

static void a_session_is_a_token_for_browsers(void **unused)
{
    char secret[TOKEN_SECRET_BYTES], cookie[256], both[512];
    int reached;

    (void)unused;
    begin(true);
    make("ann", ROLE_ADMIN, secret);
    log_in(secret, "Origin: http://evil.example\r\n", 403);
    log_in(secret, "", 200);
    assert_non_null(strstr(last, "\"name\":\"ann\",\"role\":\"admin\""));
    assert_null(strstr(last, secret));
    cookie_of_last(cookie);
    assert_int_equal(ask("GET", "/api/v1/routes", cookie, ""), 409);
    assert_int_equal(ask("GET", "/api/v1/session", cookie, ""), 200);
    assert_non_null(strstr(last, "\"role\":\"admin\""));
    /* A form of another site could send the cookie (but for SameSite), yet not the field. */
    reached = at.reached;
    assert_int_equal(ask("DELETE", "/api/v1/routes/m", cookie, ""), 403);
    assert_int_equal(at.reached, reached);
    snprintf(both, sizeof(both), "%s" ACCESS_CSRF_FIELD ": 1\r\n", cookie);
    assert_int_equal(ask("DELETE", "/api/v1/routes/m", both, ""), 409);
    assert_memory_equal(at.author, "ann from", 8);
    snprintf(both, sizeof(both), "%s" ACCESS_CSRF_FIELD ": 1\r\nOrigin: http://evil.example\r\n", cookie);
    assert_int_equal(ask("DELETE", "/api/v1/routes/m", both, ""), 403);
    assert_int_equal(ask("POST", "/api/v1/logout", cookie, ""), 200);
    assert_int_equal(ask("GET", "/api/v1/routes", cookie, ""), 401);
    /* What is neither a token nor a session. */
    assert_int_equal(ask("GET", "/api/v1/routes", "Cookie: " ACCESS_SESSION_COOKIE "=\r\n", ""), 401);
    snprintf(both, sizeof(both), "Cookie: " ACCESS_SESSION_COOKIE "=%064d\r\n", 0);
    assert_int_equal(ask("GET", "/api/v1/routes", both, ""), 401);
    /* It ends with its token. */
    log_in(secret, "", 200);
    cookie_of_last(cookie);
    assert_int_equal(access_revoke_token(at.access, "ann", "test", NULL), SERIN_LIMIT); /* the last admin's */
    make("bob", ROLE_ADMIN, secret);
    assert_int_equal(access_revoke_token(at.access, "ann", "test", NULL), SERIN_OK);
    assert_int_equal(ask("GET", "/api/v1/routes", cookie, ""), 401);
    assert_non_null(strstr(at.log, "info logging in: ann (admin) from 127.0.0.1:"));
    assert_non_null(strstr(at.log, "info logging out: ann"));
    assert_non_null(strstr(at.log, "info revoking a token: ann by test"));
    assert_null(strstr(at.log, secret + 6));
    end();
}

static void sessions_end_and_are_bounded(void **unused)
{
    char secret[TOKEN_SECRET_BYTES], other[TOKEN_SECRET_BYTES], first[256], theirs[256], cookie[256];
    int i, live = 0;

    (void)unused;
    begin(true);
    make("ann", ROLE_ADMIN, secret);
    make("bob", ROLE_VIEWER, other);
    log_in(other, "", 200);
    cookie_of_last(theirs);
    log_in(secret, "", 200);
    cookie_of_last(first);
    for (i = 0; i < MAX_SESSIONS_OF_ONE; i++)
        log_in(secret, "", 200);
    cookie_of_last(cookie);
    for (i = 0; i < ACCESS_MAX_SESSIONS; i++)
        live += !is_over(at.access, &at.access->sessions[i], now_ms());
    assert_int_equal(live, MAX_SESSIONS_OF_ONE + 1);
    assert_int_equal(ask("GET", "/api/v1/routes", first, ""), 401);
    assert_int_equal(ask("GET", "/api/v1/routes", cookie, ""), 409);
    assert_int_equal(ask("GET", "/api/v1/routes", theirs, ""), 409);
    for (i = 0; i < ACCESS_MAX_SESSIONS; i++) /* an hour later */
        if (at.access->sessions[i].began_ms)
            at.access->sessions[i].used_ms = now_ms() - ACCESS_IDLE_S * 1000u;
    assert_int_equal(ask("GET", "/api/v1/routes", cookie, ""), 401);
    log_in(secret, "", 200);
    cookie_of_last(cookie);
    for (i = 0; i < ACCESS_MAX_SESSIONS; i++) /* half a day later */
        if (at.access->sessions[i].began_ms)
            at.access->sessions[i].began_ms = now_ms() - ACCESS_SESSION_S * 1000u;
    assert_int_equal(ask("GET", "/api/v1/routes", cookie, ""), 401);
    end();
}

static void guessing_is_limited(void **unused)
{
    char secret[TOKEN_SECRET_BYTES];
    int i;

    (void)unused;
    begin(true);
    make("ann", ROLE_ADMIN, secret);
    for (i = 0; i < LOGINS_EACH; i++) {
        log_in("serin_0", "", 401);
        assert_null(strstr(last, "Set-Cookie"));
    }
    log_in("serin_0", "", 429);
    assert_non_null(strstr(last, "Retry-After: "));
    log_in(secret, "", 429); /* who guesses does not learn that he was right */
    assert_non_null(strstr(at.log, "warn logging in: refused from 127.0.0.1:"));
    assert_int_equal(ask("POST", "/api/v1/login", "", "{\"token\": 1}"), 400);
    assert_int_equal(ask("POST", "/api/v1/login", "", "["), 400);
    end();
}

static void a_limiter_forgives_with_time(void **unused)
{
    struct limiter limiter;
    int i;

    (void)unused;
    assert_int_equal(limiter_init(&limiter, 2, 1000, 3, 100, NULL), SERIN_OK);
    assert_int_equal(limiter_wait_ms(&limiter, "10.0.0.1:1", 5000), 0);
    limiter_take(&limiter, "10.0.0.1:1", 5000);
    assert_int_equal(limiter_wait_ms(&limiter, "10.0.0.1:2", 5000), 0);
    limiter_take(&limiter, "10.0.0.1:3", 5000);
    assert_int_equal(limiter_wait_ms(&limiter, "10.0.0.1:4", 5000), 1000);
    assert_int_equal(limiter_wait_ms(&limiter, "10.0.0.1:4", 5999), 1);
    assert_int_equal(limiter_wait_ms(&limiter, "10.0.0.1:4", 6000), 0);
    assert_int_equal(limiter_wait_ms(&limiter, "10.0.0.2:4", 5000), 0);
    limiter_take(&limiter, "10.0.0.2:4", 5000); /* the third of all */
    assert_int_equal(limiter_wait_ms(&limiter, "10.0.0.3:4", 5000), 100);
    for (i = 0; i < 2; i++) /* one network */
        limiter_take(&limiter, "[2001:db8::1]:1", 60000);
    assert_int_equal(limiter_wait_ms(&limiter, "[2001:db8::ffff:2]:9", 60001), 999);
    assert_int_equal(limiter_wait_ms(&limiter, "[2001:db8:1::1]:9", 60001), 0);
}

static void refusals_do_not_flood_the_log(void **unused)
{
    char secret[TOKEN_SECRET_BYTES];
    int i;

    (void)unused;
    begin(true);
    make("ann", ROLE_ADMIN, secret);
    for (i = 0; i < 3 * LOGGED_EACH; i++)
        assert_int_equal(ask("GET", "/api/v1/status?secret=1", "Authorization: Bearer wrong\r\n", ""), 401);
    assert_in_range(count_of(at.log, "refusing a call"), LOGGED_EACH, 3 * LOGGED_EACH - 1);
    assert_non_null(strstr(at.log, "warn refusing a call: 401 GET /api/v1/status from 127.0.0.1:"));
    assert_null(strstr(at.log, "wrong"));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_takes_its_role),    cmocka_unit_test(events_end_with_their_token),
        cmocka_unit_test(a_change_has_its_tokens_name), cmocka_unit_test(without_tokens_only_this_machine_is_let_in),
        cmocka_unit_test(other_pages_change_nothing),   cmocka_unit_test(a_session_is_a_token_for_browsers),
        cmocka_unit_test(sessions_end_and_are_bounded), cmocka_unit_test(guessing_is_limited),
        cmocka_unit_test(a_limiter_forgives_with_time), cmocka_unit_test(refusals_do_not_flood_the_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
