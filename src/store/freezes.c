/*
 * freezes.c - freeze calendars in the state file.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "store/freezes.h"

#include "store/state_inside.h"

#include <stdio.h>

enum serin_errc freezes_put(struct state *state, const char *model, const char *calendar, const char *author,
                            struct serin_error *error)
{
    const char *const texts[] = {model, calendar};
    char what[160];

    snprintf(what, sizeof(what), "freeze %.140s", model);
    return state_write_change(
        state, "INSERT INTO freeze VALUES(?, ?) ON CONFLICT(model) DO UPDATE SET calendar=excluded.calendar", texts, 2,
        author, what, calendar, error);
}

enum serin_errc freezes_remove(struct state *state, const char *model, const char *author, struct serin_error *error)
{
    return state_write_change(state, "DELETE FROM freeze WHERE model=?", &model, 1, author, "freeze removed", model,
                              error);
}

struct reader {
    void (*each)(void *user, const char *model, const char *calendar);
    void *user;
};

static void read_row(sqlite3_stmt *statement, void *user)
{
    const struct reader *reader = user;

    reader->each(reader->user, state_text_at(statement, 0), state_text_at(statement, 1));
}

enum serin_errc freezes_each(struct state *state, void (*each)(void *user, const char *model, const char *calendar),
                             void *user, struct serin_error *error)
{
    struct reader reader = {each, user};

    return state_query(state, "SELECT model, calendar FROM freeze ORDER BY model", 0, read_row, &reader, error);
}
