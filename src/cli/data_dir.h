/*
 * data_dir.h - where the store of versions lies, and opening it.  Depends on store.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef CLI_DATA_DIR_H
#define CLI_DATA_DIR_H

#include "cli/cli.h"
#include "store/bundles.h"

/* Row of a verb's option table, for settings with a field data_dir. */
#define DATA_DIR_OPTION(settings)                                                                                      \
    {                                                                                                                  \
        .name = "data-dir", .value = "DIR", .type = CLI_TEXT, .offset = offsetof(struct settings, data_dir),           \
        .help = "the store of versions; without this option, $SERIN_DATA_DIR, else $XDG_DATA_HOME/serin, else "        \
                "~/.local/share/serin"                                                                                 \
    }

/* The folder that given (NULL: no option) and the environment name, into text. SERIN_NOT_FOUND: they name none;
 * SERIN_LIMIT. */
MUST_USE enum serin_errc data_dir_find(const char *given, char *text, size_t size, struct serin_error *error);

/* Opens the store there; make: also where there is none yet, else that is SERIN_NOT_FOUND, and the sentence names the
 * folder. SERIN_INVALID: it is no folder. bundles_close it. */
MUST_USE enum serin_errc data_dir_open(const char *given, bool make, struct bundles **ret, struct serin_error *error);

#endif
