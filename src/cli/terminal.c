/*
 * terminal.c - sentences, checked output, and progress that is never in the way.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "cli/terminal.h"

#include "base/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int output_errno; /* the first failure of stdout */

void terminal_text(FILE *out, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;

    for (; *p; p++) {
        if (*p < 0x20 || *p == 0x7f) {
            putc('?', out);
        } else if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) { /* U+0080..U+009F in UTF-8 */
            putc('?', out);
            p++;
        } else {
            putc(*p, out);
        }
    }
}

void terminal_complain(const char *format, ...)
{
    char sentence[5000]; /* a path of 4096 bytes, and what is said of it */
    va_list args;

    va_start(args, format);
    vsnprintf(sentence, sizeof(sentence), format, args);
    va_end(args);
    fputs("serin: ", stderr);
    terminal_text(stderr, sentence);
    putc('\n', stderr);
}

/* True for a sentence that says already which file it is about. The record holds text, so that odd bytes of the path
 * are
 * '?' there, and of a long path the middle is missing: the beginning decides. */
static bool begins_with_path(const char *sentence, const char *path)
{
    enum { BEGINNING = 100 };
    struct serin_error as_text;
    size_t length;

    error_set(&as_text, SERIN_IO, "%s", path);
    length = strnlen(as_text.message, BEGINNING);
    return strncmp(sentence, as_text.message, length) == 0;
}

void terminal_complain_of(const char *path, const struct serin_error *error)
{
    if (begins_with_path(error->message, path))
        terminal_complain("%s", error->message);
    else
        terminal_complain("%s: %s", path, error->message);
}

bool terminal_flush(void)
{
    if (output_errno == 0) {
        errno = 0;
        if (fflush(stdout) != 0 || ferror(stdout))
            output_errno = errno ? errno : EIO;
    }
    return output_errno == 0;
}

int terminal_finish(int code)
{
    if (terminal_flush())
        return code;
    if (output_errno != EPIPE)
        terminal_complain("cannot write the output: %s", strerror(output_errno));
    return code == 0 ? 1 : code;
}

#define REDRAW_NS   100000000u /* ten times a second */
#define PATIENCE_NS 500000000u /* no bar before this, and none for work that will take less than twice as long */
#define LINE_NS     30000000000u
#define BAR_COLUMNS 24

static bool wishes(const char *wanted)
{
    const char *wish = getenv("SERIN_PROGRESS");

    return wish && strcmp(wish, wanted) == 0;
}

static bool can_redraw(void)
{
    const char *term = getenv("TERM");

    return isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0) && !wishes("off");
}

void progress_begin(struct progress *progress, const char *what, size_t total, const char *unit)
{
    *progress = (struct progress){.what = what, .total = total, .unit = unit, .start_ns = clock_now_ns()};
    progress->wanted = !wishes("off");
    progress->redraws = can_redraw();
    progress->eager = wishes("on");
    progress->drawn_ns = progress->start_ns;
}

int terminal_columns(int fd)
{
    struct winsize size;

    if (ioctl(fd, TIOCGWINSZ, &size) != 0)
        return isatty(fd) ? 80 : TERMINAL_ENDLESS;
    return size.ws_col > 0 ? size.ws_col : 80;
}

/* Of standard error, which is drawn to on demand where it is no terminal. */
static int live_columns(void)
{
    int columns = terminal_columns(STDERR_FILENO);

    return columns == TERMINAL_ENDLESS ? 80 : columns;
}

void terminal_live(const char *line)
{
    char shown[512];

    if (!can_redraw())
        return;
    snprintf(shown, sizeof(shown), "%.*s", live_columns() - 1, line);
    putc('\r', stderr);
    terminal_text(stderr, shown);
    fputs("\033[K", stderr);
    fflush(stderr);
}

/* "measuring: 12/256   5%  0.4 img/s  ETA 4:10", with a bar in front of the numbers or without. */
static void describe(const struct progress *progress, const char *bar, double elapsed_s, char *line, size_t size)
{
    double share = progress->total ? (double)progress->done / (double)progress->total : 1.0;
    double rate = elapsed_s > 0 ? (double)progress->done / elapsed_s : 0;
    char eta[32] = "-:--";

    if (progress->done > 0 && rate > 0) {
        double rest = (double)(progress->total - progress->done) / rate;
        unsigned long seconds = rest < 3.6e6 ? (unsigned long)(rest + 0.5) : 3600000;

        if (seconds < 3600)
            snprintf(eta, sizeof(eta), "%lu:%02lu", seconds / 60, seconds % 60);
        else
            snprintf(eta, sizeof(eta), "%lu:%02lu:%02lu", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    snprintf(line, size, "%s%s%s%zu/%zu %3.0f%%  %.1f %s/s  ETA %s", progress->what ? progress->what : "",
             progress->what ? ": " : "", bar, progress->done, progress->total, 100 * share, rate, progress->unit, eta);
}

static void draw(const struct progress *progress, double elapsed_s)
{
    double share = progress->total ? (double)progress->done / (double)progress->total : 1.0;
    char bar[BAR_COLUMNS + 4] = "[", line[160];

    memset(bar + 1, '.', BAR_COLUMNS);
    memset(bar + 1, '#', (size_t)(share * BAR_COLUMNS));
    memcpy(bar + 1 + BAR_COLUMNS, "] ", 3);
    describe(progress, bar, elapsed_s, line, sizeof(line));
    fprintf(stderr, "\r%.*s\033[K", live_columns() - 1, line); /* the last column would wrap */
    fflush(stderr);
}

void progress_step(struct progress *progress, size_t done)
{
    uint64_t now = clock_now_ns(), elapsed = now - progress->start_ns;

    progress->done = done < progress->total ? done : progress->total;
    if (!progress->wanted)
        return;
    if (!progress->redraws) {
        char line[160];

        if (now - progress->drawn_ns < LINE_NS)
            return;
        describe(progress, "", (double)elapsed / 1e9, line, sizeof(line));
        terminal_complain("%s", line);
        progress->drawn_ns = now;
        return;
    }
    if (!progress->eager) {
        double expected_ns = done ? (double)elapsed * (double)progress->total / (double)done : 1e18;

        if (elapsed < PATIENCE_NS || expected_ns < 2.0 * PATIENCE_NS)
            return;
    }
    if (progress->visible && now - progress->drawn_ns < REDRAW_NS)
        return;
    draw(progress, (double)elapsed / 1e9);
    progress->visible = true;
    progress->drawn_ns = now;
}

void progress_hide(struct progress *progress)
{
    if (!progress->visible)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    progress->visible = false;
}
