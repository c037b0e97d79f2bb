/*
 * cli.c - the way from argv to a verb.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/cli.h"

#include "base/text.h"
#include "cli/terminal.h"

#include <serin/yolo.h>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct cli_verb *find_verb(const struct cli_verb *const *verbs, const char *name)
{
    size_t i;

    for (i = 0; verbs[i]; i++)
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    return NULL;
}

static int unknown_verb(const struct cli_verb *const *verbs, const char *typed)
{
    const char *names[CLI_MAX_VERBS], *nearest;
    size_t i;

    for (i = 0; i < CLI_MAX_VERBS && verbs[i]; i++)
        names[i] = verbs[i]->name;
    nearest = text_nearest(typed, names, i);
    if (nearest)
        terminal_complain("there is no verb '%s': did you mean '%s'? 'serin --help' lists them all", typed, nearest);
    else
        terminal_complain("there is no verb '%s'; 'serin --help' lists them all", typed);
    return CLI_USAGE;
}

/* OpenMP's threads, which oneDNN uses, spin between two pieces of work unless they are told not to: on a machine with
 * other things to do that takes several times the processor. They are told by the environment, which their library
 * reads before main begins: hence the program begins once more. Goes on where it cannot. */
static void run_with_patient_threads(char **argv)
{
    if (!getenv("OMP_WAIT_POLICY") && setenv("OMP_WAIT_POLICY", "passive", 0) == 0)
        execv("/proc/self/exe", argv);
}

static int run_verb(const struct cli_verb *verb, int argc, char **argv)
{
    size_t operand_count = 0;
    bool help = false;
    void *settings;
    int code;

    settings = calloc(1, verb->settings_bytes);
    if (!settings) {
        terminal_complain("no memory for the settings of %s", verb->name);
        return CLI_FAILED;
    }
    code = cli_parse(verb, argc, argv, settings, &operand_count, &help);
    if (help)
        cli_print_help(stdout, verb);
    else if (code == CLI_OK)
        code = verb->run(settings, argv, operand_count);
    free(settings);
    return code;
}

static int dispatch(int argc, char **argv, const struct cli_verb *const *verbs)
{
    const struct cli_verb *verb;

    if (argc < 2) {
        cli_print_overview(stderr, verbs);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("serin %s\n", serin_version());
        return CLI_OK;
    }
    if (strcmp(argv[1], "--man") == 0) { /* for the build: docs/man/serin.1 */
        cli_print_manual(stdout, verbs);
        return CLI_OK;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        if (argc == 2) {
            cli_print_overview(stdout, verbs);
            return CLI_OK;
        }
        verb = find_verb(verbs, argv[2]);
        if (!verb)
            return unknown_verb(verbs, argv[2]);
        cli_print_help(stdout, verb);
        return CLI_OK;
    }
    if (argv[1][0] == '-') {
        terminal_complain("a verb comes first, not '%s'; 'serin --help' lists them all", argv[1]);
        return CLI_USAGE;
    }
    verb = find_verb(verbs, argv[1]);
    if (verb && verb->runs_networks)
        run_with_patient_threads(argv);
    return verb ? run_verb(verb, argc - 2, argv + 2) : unknown_verb(verbs, argv[1]);
}

/* A caller may have closed stdin, stdout or stderr. The next file that is opened would get that number, and what is
 * printed would go into a model or a saved picture. Here /dev/null takes the place, opened the wrong way round, so that
 * reading and writing fail as they would have failed without it. */
static void take_standard_files(void)
{
    int fd;

    for (fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0)
            return; /* no /dev/null: as before */
}

int cli_main(int argc, char **argv, const struct cli_verb *const *verbs)
{
    take_standard_files();
    /* A reader that goes away and a limit on file sizes (ulimit -f) are told by write(), so that a verb can stop in
     * order, or go on with the next picture. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    return terminal_finish(dispatch(argc, argv, verbs));
}
