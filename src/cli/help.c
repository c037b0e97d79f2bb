/*
 * help.c - help texts and the manual page, made from the tables of the verbs.
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is written by hand here is what belongs to no verb: the introduction, the exit codes, the environment, the
 * files.
 */
#include "cli/cli.h"

#include <ctype.h>
#include <string.h>

#define COLUMNS           80
#define MAX_OPTION_COLUMN 24 /* longer ones put their help on the next line */

/* Words from text to out, broken before COLUMNS; the first line begins at column, the others at indent. */
static void wrap(FILE *out, const char *text, int indent, int column)
{
    bool first = true;

    while (*text) {
        int length = (int)strcspn(text, " \n");

        if (!first && column + 1 + length > COLUMNS) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
            first = true;
        }
        column += fprintf(out, "%s%.*s", first ? "" : " ", length, text);
        first = false;
        text += length;
        if (text[0] == '\n' && text[1] == '\n') {
            fprintf(out, "\n\n%*s", indent, "");
            column = indent;
            first = true;
        }
        text += strspn(text, " \n");
    }
    putc('\n', out);
}

static void print_option(FILE *out, const struct cli_option *option)
{
    char text[600];
    int column;

    column = option->letter ? fprintf(out, "  -%c,", option->letter) : 0;
    column += fprintf(out, "%s--%s%s%s", column ? " " : "  ", option->name, option->value ? " " : "",
                      option->value ? option->value : "");
    if (column > MAX_OPTION_COLUMN)
        fprintf(out, "\n%*s", MAX_OPTION_COLUMN + 2, "");
    else
        fprintf(out, "%*s", MAX_OPTION_COLUMN + 2 - column, "");
    snprintf(text, sizeof(text), "%s%s%s%s", option->help, option->fallback ? " (default " : "",
             option->fallback ? option->fallback : (option->required ? " (required" : ""),
             option->fallback || option->required ? ")" : "");
    wrap(out, text, MAX_OPTION_COLUMN + 2, MAX_OPTION_COLUMN + 2);
}

void cli_print_help(FILE *out, const struct cli_verb *verb)
{
    const struct cli_option *option;
    const struct cli_example *example;

    fprintf(out, "serin %s - %s\n\nUsage: serin %s", verb->name, verb->summary, verb->name);
    for (option = verb->options; option->name; option++)
        if (option->required)
            fprintf(out, " --%s %s", option->name, option->value);
    fprintf(out, " [option ...]%s%s\n\n", verb->operands ? " " : "", verb->operands ? verb->operands : "");
    wrap(out, verb->text, 0, 0);
    fputs("\nOptions:\n", out);
    for (option = verb->options; option->name; option++)
        print_option(out, option);
    fputs("  --help                  show this text\n\nExamples:\n", out);
    for (example = verb->examples; example->command; example++)
        fprintf(out, "  %s:\n    %s\n", example->meaning, example->command);
}

void cli_print_overview(FILE *out, const struct cli_verb *const *verbs)
{
    fputs(
        "serin - runs, measures and compares YOLO models\n\nUsage: serin VERB [option ...] [argument ...]\n\nVerbs:\n",
        out);
    for (; *verbs; verbs++)
        fprintf(out, "  %-10s  %s\n", (*verbs)->name, (*verbs)->summary);
    fputs("\n"
          "  serin VERB --help   what a verb does, its options, and examples\n"
          "  serin --version     the version of this program\n"
          "\n"
          "Start with:\n"
          "  serin inspect yolov8n.onnx\n"
          "  serin predict --model yolov8n.onnx --save out photo.jpg\n",
          out);
}

/* ---- the manual page ---- */

/* One line of mdoc text: a leading dot or quote would be a macro, and a backslash an escape. */
static void roff_text(FILE *out, const char *text, size_t length)
{
    size_t i;

    if (length && (text[0] == '.' || text[0] == '\''))
        fputs("\\&", out);
    for (i = 0; i < length; i++) {
        if (text[i] == '\\')
            fputs("\\e", out);
        else
            putc(text[i], out);
    }
}

/* Paragraphs, each sentence on a line of its own as mdoc wants it. */
static void roff_paragraphs(FILE *out, const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n"), start = 0, i;

        for (i = 0; i < length; i++) {
            bool sentence = (text[i] == '.' || text[i] == ':') && text[i + 1] == ' ';

            if (!sentence && i + 1 < length)
                continue;
            roff_text(out, text + start, i + 1 - start);
            putc('\n', out);
            start = i + 1 + strspn(text + i + 1, " ");
        }
        text += length;
        if (text[0] == '\n' && text[1] == '\n')
            fputs(".Pp\n", out);
        text += strspn(text, "\n");
    }
}

/* One sentence of a table, which has no capital and no full stop there. */
static void roff_sentence(FILE *out, const char *text, const char *end)
{
    putc(toupper((unsigned char)text[0]), out);
    roff_text(out, text + 1, strlen(text + 1));
    fputs(end, out);
}

/* A value in a macro line; quoted because "X ..." would be two arguments. */
static void roff_option(FILE *out, const struct cli_option *option)
{
    if (option->letter)
        fprintf(out, "Fl %c , ", option->letter);
    fprintf(out, "Fl -%s", option->name);
    if (option->value)
        fprintf(out, " Ar \"%s\"", option->value);
}

static void manual_verb(FILE *out, const struct cli_verb *verb)
{
    const struct cli_option *option;

    fprintf(out, ".Ss serin %s\n.Nm\n.Cm %s\n", verb->name, verb->name);
    for (option = verb->options; option->name; option++) {
        if (!option->required)
            continue;
        putc('.', out);
        roff_option(out, option);
        putc('\n', out);
    }
    fputs(".Op Ar option ...\n", out);
    if (verb->operands)
        fprintf(out, ".Ar \"%s\"\n", verb->operands);
    fputs(".Pp\n", out);
    roff_sentence(out, verb->summary, ".\n.Pp\n");
    roff_paragraphs(out, verb->text);
    fputs(".Bl -tag -width Ds\n", out);
    for (option = verb->options; option->name; option++) {
        fputs(".It ", out);
        roff_option(out, option);
        putc('\n', out);
        roff_sentence(out, option->help, ".\n");
        if (option->fallback)
            fprintf(out, "The default is\n.Cm \"%s\" .\n", option->fallback);
        if (option->required)
            fputs("Required.\n", out);
    }
    fputs(".El\n", out);
}

void cli_print_manual(FILE *out, const struct cli_verb *const *verbs)
{
    const struct cli_verb *const *verb;
    const struct cli_example *example;

    fputs(".\\\" serin.1 - made by `serin --man` from the tables in src/cli; do not edit.\n"
          ".\\\" SPDX-License-Identifier: Apache-2.0\n"
          ".Dd November 22, 2026\n"
          ".Dt SERIN 1\n"
          ".Os\n"
          ".Sh NAME\n"
          ".Nm serin\n"
          ".Nd release YOLO models onto live traffic; run, measure and compare them\n"
          ".Sh SYNOPSIS\n"
          ".Nm\n.Ar verb\n.Op Ar option ...\n.Op Ar argument ...\n"
          ".Nm\n.Fl -help\n"
          ".Nm\n.Fl -version\n"
          ".Sh DESCRIPTION\n"
          ".Nm\n"
          "serves versions of YOLO models side by side, gives a new one its traffic step by step as it is proven\n"
          "to do no harm, and takes a bad one off before clients notice.\n"
          "It runs models exported to ONNX and gives the boxes, masks, keypoints, rotated boxes and classes that\n"
          "Ultralytics gives for the same file.\n"
          "A first release:\n"
          ".Cm push , serve , deploy , rollout start , rollout watch .\n"
          "The first argument is a verb; each has its own options, which may stand before or after its arguments.\n"
          "An option's value is the next word or follows an equals sign;\n"
          ".Fl -\n"
          "ends the options.\n",
          out);
    for (verb = verbs; *verb; verb++)
        manual_verb(out, *verb);
    fputs(".Sh ENVIRONMENT\n"
          ".Bl -tag -width Ds\n"
          ".It Ev SERIN_ADMIN\n"
          "Where the admin API of\n"
          ".Cm serin serve\n"
          "listens, for the verbs that have\n"
          ".Fl -admin .\n"
          ".It Ev SERIN_TOKEN\n"
          "The token that is shown to the admin API; else it is read from the file that\n"
          ".Ev SERIN_TOKEN_FILE\n"
          "names, or from\n"
          ".Pa ~/.config/serin/token ,\n"
          "which only its owner may read.\n"
          ".It Ev SERIN_CA\n"
          "Certificates (PEM) to be trusted by the verbs whose\n"
          ".Fl -admin\n"
          "begins with https://, in place of the system's.\n"
          ".It Ev SERIN_CERT\n"
          "A certificate (PEM) for such a server that asks its clients for one.\n"
          ".It Ev SERIN_KEY\n"
          "Its key (PEM, without a passphrase), where that does not stand in the same file.\n"
          ".It Ev OTEL_EXPORTER_OTLP_HEADERS , OTEL_EXPORTER_OTLP_TRACES_HEADERS\n"
          "Header fields that\n"
          ".Cm serve\n"
          "shows the collector of traces, as OpenTelemetry has them: name=value with commas between, values\n"
          "percent-encoded.\n"
          "The second goes before the first.\n"
          ".It Ev SERIN_DATA_DIR\n"
          "The store of versions, where\n"
          ".Fl -data-dir\n"
          "does not name one.\n"
          ".It Ev XDG_DATA_HOME\n"
          "Where neither is given, the store is the folder\n"
          ".Pa serin\n"
          "in this one, or in\n"
          ".Pa ~/.local/share .\n"
          ".It Ev SOURCE_DATE_EPOCH\n"
          "Seconds since 1970: what\n"
          ".Cm push\n"
          "notes as the time instead of the clock's.\n"
          ".It Ev SERIN_PROGRESS\n"
          ".Cm on\n"
          "draws the progress bar at once,\n"
          ".Cm off\n"
          "never; otherwise it appears for work that takes more than about a second.\n"
          "Where the standard error is no terminal, a line each half minute takes its place.\n"
          ".El\n"
          ".Sh FILES\n"
          ".Bl -tag -width Ds\n"
          ".It Pa MODEL.onnx.yaml\n"
          "The sidecar: names, task, stride and size of a model that lacks the metadata Ultralytics writes.\n"
          ".It Pa DIR/oci-layout , DIR/index.json , DIR/blobs/sha256/\n"
          "The store of versions, an OCI image layout.\n"
          ".It Pa DIR/state.db\n"
          "Routes, what serves each version, tokens and the decisions of rollouts, an SQLite file.\n"
          ".It Pa DIR/rollouts/ID/ATTEMPT.ndjson\n"
          "The records that the decisions of a rollout rest on.\n"
          ".It Pa DIR/answers.db\n"
          "Answers that labels may still come for.\n"
          ".It Pa DIR/state/in-use/NAME:TAG\n"
          "An empty file for each version that is in use and therefore cannot be removed.\n"
          ".El\n"
          ".Sh EXIT STATUS\n"
          ".Bl -tag -width Ds\n"
          ".It 0\n"
          "All went well.\n"
          ".It 1\n"
          "Something failed, be it one picture of many, or the output could not be written.\n"
          ".It 2\n"
          "The command line is wrong, or what it names; nothing was done.\n"
          ".It 3 , 4\n"
          "Of\n"
          ".Cm judge\n"
          "alone: rollback, hold.\n"
          ".El\n"
          ".Sh EXAMPLES\n",
          out);
    for (verb = verbs; *verb; verb++) {
        for (example = (*verb)->examples; example->command; example++) {
            roff_sentence(out, example->meaning, ":\n.Dl ");
            roff_text(out, example->command, strlen(example->command));
            putc('\n', out);
        }
    }
    fputs(".Sh SEE ALSO\n"
          "The library:\n"
          ".In serin/yolo.h .\n",
          out);
}
