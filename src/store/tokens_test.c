/*
 * tokens_test.c - what a secret opens, what is kept of it, and what cannot be made.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/tokens.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define TEST_FILE "state.db"
#include "store/test_folder.h"

static struct state *open_state(void)
{
    struct state *state = NULL;

    assert_int_equal(state_open(path, &state, NULL), SERIN_OK);
    return state;
}

static enum serin_errc make(struct state *state, const char *name, enum token_role role, const char *model,
                            char secret[TOKEN_SECRET_BYTES], struct serin_error *error)
{
    return tokens_create(state, name, role, model, "cli ann", secret, error);
}

static void a_secret_is_told_once_and_found_again(void **unused)
{
    char admin[TOKEN_SECRET_BYTES], key[TOKEN_SECRET_BYTES], command[160];
    struct state *state = open_state();
    struct tokens *tokens;
    const struct token *found;
    bool has_admin = true;

    (void)unused;
    assert_int_equal(tokens_has_admin(path, &has_admin, NULL), SERIN_OK);
    assert_false(has_admin);
    assert_int_equal(make(state, "ann", ROLE_ADMIN, "", admin, NULL), SERIN_OK);
    assert_int_equal(make(state, "gate", ROLE_KEY, "m", key, NULL), SERIN_OK);
    assert_int_equal(strlen(admin), 70);
    assert_string_not_equal(admin, key);
    assert_int_equal(tokens_read(state, &tokens, NULL), SERIN_OK);
    assert_int_equal(tokens->count, 2);
    assert_int_equal(tokens->admin_port_count, 1);
    found = tokens_find(tokens, admin, 70);
    assert_non_null(found);
    assert_string_equal(found->name, "ann");
    assert_int_equal(found->role, ROLE_ADMIN);
    found = tokens_find(tokens, key, 70);
    assert_string_equal(found->model, "m");
    assert_null(tokens_find(tokens, admin, 69));
    admin[69] = admin[69] == '0' ? '1' : '0';
    assert_null(tokens_find(tokens, admin, 70));
    free(tokens);
    assert_int_equal(tokens_has_admin(path, &has_admin, NULL), SERIN_OK);
    assert_true(has_admin);
    state_close(state);
    snprintf(command, sizeof(command), "grep -aq '%.40s' %s*", key, path); /* the secret is nowhere in the file */
    assert_int_not_equal(system(command), 0);                              /* NOLINT: names of our own making */
}

static void what_may_not_be_is_refused(void **unused)
{
    char secret[TOKEN_SECRET_BYTES], name[TOKEN_MAX_NAME + 2];
    struct state *state = open_state();
    struct serin_error error;
    struct tokens *tokens;

    (void)unused;
    assert_int_equal(make(state, "bob", ROLE_VIEWER, "", secret, &error), SERIN_LIMIT);
    assert_non_null(strstr(error.message, "must be an admin's"));
    assert_int_equal(make(state, "gate", ROLE_KEY, "m", secret, &error), SERIN_OK); /* keys open no admin port */
    assert_int_equal(make(state, "bob", ROLE_OPERATOR, "", secret, &error), SERIN_LIMIT);
    assert_int_equal(make(state, "ann", ROLE_ADMIN, "", secret, &error), SERIN_OK);
    assert_int_equal(make(state, "bob", ROLE_VIEWER, "", secret, &error), SERIN_OK);
    assert_int_equal(make(state, "bob", ROLE_ADMIN, "", secret, &error), SERIN_LIMIT);
    assert_non_null(strstr(error.message, "already"));
    assert_int_equal(make(state, "", ROLE_ADMIN, "", secret, &error), SERIN_INVALID);
    assert_int_equal(make(state, "a b", ROLE_ADMIN, "", secret, &error), SERIN_INVALID);
    assert_int_equal(make(state, "a\r\nb", ROLE_ADMIN, "", secret, &error), SERIN_INVALID);
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(make(state, name, ROLE_ADMIN, "", secret, &error), SERIN_INVALID);
    assert_int_equal(make(state, "c", ROLE_KEY, "", secret, &error), SERIN_INVALID);
    assert_int_equal(make(state, "c", ROLE_ADMIN, "m", secret, &error), SERIN_INVALID);
    assert_int_equal(make(state, "c", ROLE_KEY, "../m", secret, &error), SERIN_INVALID);
    assert_int_equal(make(state, "c", ROLE_NOBODY, "", secret, &error), SERIN_INVALID);
    assert_int_equal(tokens_revoke(state, "nobody", true, "cli ann", &error), SERIN_NOT_FOUND);
    assert_int_equal(tokens_revoke(state, "bob", false, "cli ann", &error), SERIN_OK);
    assert_int_equal(tokens_revoke(state, "bob", false, "cli ann", &error), SERIN_NOT_FOUND);
    assert_int_equal(tokens_read(state, &tokens, NULL), SERIN_OK);
    assert_int_equal(tokens->count, 2);
    free(tokens);
    state_close(state);
}

static void the_last_admins_is_not_revoked_by_mistake(void **unused)
{
    char secret[TOKEN_SECRET_BYTES];
    struct state *state = open_state();
    struct serin_error error;

    (void)unused;
    assert_int_equal(make(state, "ann", ROLE_ADMIN, "", secret, &error), SERIN_OK);
    assert_int_equal(make(state, "gate", ROLE_KEY, "m", secret, &error), SERIN_OK);
    assert_int_equal(tokens_revoke(state, "ann", false, "", &error), SERIN_LIMIT);
    assert_non_null(
        strstr(error.message, "'ann' is the last token of the admin port, which would then do what anybody"));
    assert_int_equal(make(state, "bob", ROLE_VIEWER, "", secret, &error), SERIN_OK);
    assert_int_equal(tokens_revoke(state, "ann", false, "", &error), SERIN_LIMIT);
    assert_non_null(strstr(error.message, "'ann' is the last admin's token: over the admin port nobody could"));
    assert_int_equal(tokens_revoke(state, "gate", false, "", &error), SERIN_OK);
    assert_int_equal(make(state, "carl", ROLE_ADMIN, "", secret, &error), SERIN_OK);
    assert_int_equal(tokens_revoke(state, "ann", false, "", &error), SERIN_OK);
    assert_int_equal(tokens_revoke(state, "carl", true, "", &error), SERIN_OK);
    assert_int_equal(tokens_revoke(state, "bob", false, "", &error), SERIN_OK); /* it could not make any */
    state_close(state);
}

static void there_is_a_limit(void **unused)
{
    char secret[TOKEN_SECRET_BYTES], name[16];
    struct state *state = open_state();
    struct serin_error error;
    int i;

    (void)unused;
    assert_int_equal(state_execute(state, "PRAGMA synchronous=OFF", "testing", NULL), SERIN_OK);
    for (i = 0; i < TOKENS_MAX; i++) {
        snprintf(name, sizeof(name), "t%d", i);
        assert_int_equal(make(state, name, ROLE_ADMIN, "", secret, NULL), SERIN_OK);
    }
    assert_int_equal(make(state, "more", ROLE_ADMIN, "", secret, &error), SERIN_LIMIT);
    assert_non_null(strstr(error.message, "512"));
    state_close(state);
}

static void another_process_is_noticed(void **unused)
{
    char secret[TOKEN_SECRET_BYTES];
    struct state *state = open_state(), *other = open_state();
    int64_t before = tokens_written(state);

    (void)unused;
    assert_int_equal(tokens_written(state), before);
    assert_int_equal(make(other, "ann", ROLE_ADMIN, "", secret, NULL), SERIN_OK);
    assert_int_not_equal(tokens_written(state), before);
    state_close(other);
    state_close(state);
}

static void who_knows_no_role_lets_nobody_in(void **unused)
{
    struct state *state = open_state();
    struct serin_error error;
    struct tokens *tokens;

    (void)unused;
    assert_int_equal(state_execute(state, "INSERT INTO token VALUES('x', 'emperor', '', '00', 1)", "testing", NULL),
                     SERIN_OK);
    assert_int_equal(tokens_read(state, &tokens, &error), SERIN_CORRUPT);
    state_close(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_secret_is_told_once_and_found_again, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(what_may_not_be_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(the_last_admins_is_not_revoked_by_mistake, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(there_is_a_limit, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(another_process_is_noticed, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(who_knows_no_role_lets_nobody_in, make_folder, remove_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
