/*
 * cli.h - what a verb of the command line is made of.  Depends on base.
 * SPDX-License-Identifier: Apache-2.0
 *
 * A verb is one file that defines a struct cli_verb, and one row in the table of main.c. Its options are a table too:
 * parsing, the defaults, --help and the manual page are all made from it, so they cannot disagree.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Exit codes: all went well; something failed; the command line itself is wrong. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

enum cli_type {
    CLI_FLAG,    /* bool */
    CLI_TEXT,    /* const char *; points into argv or the table */
    CLI_REAL,    /* double */
    CLI_INTEGER, /* int */
    CLI_SIZE,    /* struct cli_size: "640" or "480,640" */
    CLI_CHOICE,  /* int: which of the words in value */
    CLI_TEXTS,   /* struct cli_texts: may be given several times */
};

#define CLI_MAX_TEXTS 32

struct cli_texts {
    int count;
    const char *items[CLI_MAX_TEXTS];
};

struct cli_size {
    int height, width; /* px; 0: not given */
};

struct cli_option {
    const char *name;     /* without the dashes */
    const char *value;    /* what help calls it ("DIR"), or the words of a choice ("auto|on|off"); NULL for a flag */
    const char *fallback; /* the default, as one would type it; NULL: zero */
    const char *help;     /* no capital, no full stop */
    size_t offset;        /* of the field in the verb's settings */
    double min, max;      /* of CLI_REAL, CLI_INTEGER and both sides of CLI_SIZE */
    enum cli_type type;
    char letter; /* a short form, "-o"; 0: none */
    bool required;
};

struct cli_example {
    const char *command;
    const char *meaning; /* no capital, no full stop */
};

struct cli_verb {
    const char *name;
    const char *summary;  /* one line, no capital, no full stop */
    const char *operands; /* "IMAGE..."; NULL where it takes none */
    size_t min_operands, max_operands;
    const char *text;                   /* paragraphs of help, a blank line between them */
    const struct cli_option *options;   /* ends with a row without a name */
    const struct cli_example *examples; /* ends with a row without a command */
    size_t settings_bytes;
    bool runs_networks;
    int (*run)(const void *settings, char *const *operands, size_t operand_count); /* returns an exit code */
};

extern const struct cli_verb cli_predict, cli_eval, cli_inspect, cli_bench, cli_push, cli_versions, cli_diff, cli_rm,
    cli_serve, cli_token, cli_worker, cli_lint, cli_quantize;
/* of a running serve */
extern const struct cli_verb cli_deploy, cli_undeploy, cli_freeze, cli_reload, cli_route, cli_rollout, cli_status,
    cli_stream;
extern const struct cli_verb cli_frames, cli_judge;

#define CLI_MAX_VERBS 32

/* Runs the verb that argv names, of verbs, which ends with NULL. Returns the exit code. */
int cli_main(int argc, char **argv, const struct cli_verb *const *verbs);

/* options.c: fills settings (verb->settings_bytes, zeroed) from the defaults and from argv, and moves the operands to
 * the front of argv in their order. CLI_OK, or CLI_USAGE after a sentence on stderr. *ret_help: --help was asked for,
 * and nothing else was looked at. */
int cli_parse(const struct cli_verb *verb, int argc, char **argv, void *settings, size_t *ret_operand_count,
              bool *ret_help);

/* help.c. verbs ends with NULL. */
void cli_print_overview(FILE *out, const struct cli_verb *const *verbs);
void cli_print_help(FILE *out, const struct cli_verb *verb);
void cli_print_manual(FILE *out, const struct cli_verb *const *verbs); /* mdoc(7) */

#endif
