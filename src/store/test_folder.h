/*
 * test_folder.h - for tests only: a folder of the test's own under /tmp, as a cmocka fixture (make_folder,
 * remove_folder). The test says before including it which file in there it works on, as TEST_FILE ("state.db").
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef STORE_TEST_FOLDER_H
#define STORE_TEST_FOLDER_H

#include <stdio.h>
#include <stdlib.h>

static char folder[64], path[96]; /* path: of TEST_FILE */

static int make_folder(void **unused)
{
    (void)unused;
    snprintf(folder, sizeof(folder), "/tmp/serin-store-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/" TEST_FILE, folder);
    return 0;
}

static int remove_folder(void **unused)
{
    char command[128];

    (void)unused;
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command); /* NOLINT: a folder of our own naming */
}

#endif
