#include "fmal/clock.h"
#include "fmal/log.h"
#include "fmal/par.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

const char *const fmal_progress_mode_names[] = { "auto", "always", "never", 0 };

enum { BAR_WIDTH = 24 };

static struct {
    bool bar, lines;
} shows;

void fmal_progress_setup(fmal_progress_mode mode, bool quiet, int rank)
{
    bool allowed = !quiet && rank == 0 && mode != FMAL_PROGRESS_NEVER;

    shows.bar = allowed && (mode == FMAL_PROGRESS_ALWAYS || isatty(STDERR_FILENO));
    shows.lines = allowed && !shows.bar;
}

void fmal_progress_begin(fmal_progress *p, const char *what, const char *unit,
                         fmal_idx total, fmal_idx done)
{
    *p = (fmal_progress){ .what = what, .unit = unit, .total = total, .first = done };
    p->start = p->shown = fmal_now();
    p->bar = shows.bar;
}

void fmal_duration(double seconds, char *text, size_t size)
{
    long s = (long) (seconds + 0.5);

    if (s < 60)
        snprintf(text, size, "%ld s", s);
    else if (s < 3600)
        snprintf(text, size, "%ld:%02ld", s / 60, s % 60);
    else
        snprintf(text, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
}

/* Columns of the terminal that standard error is, 80 if it does not say. */
static int columns(void)
{
    struct winsize size;

    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20)
        return size.ws_col;
    return 80;
}

/* One line, cut at the terminal's edge: a line that wraps cannot be taken back. */
static void draw_bar(fmal_progress *p, fmal_idx done, double rate, const char *left,
                     const char *note)
{
    char bar[BAR_WIDTH + 1], line[512];
    int full = p->total > 0 ? (int) (BAR_WIDTH * done / p->total) : 0;

    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < full ? '#' : '.';
    bar[BAR_WIDTH] = 0;
    snprintf(line, sizeof line,
             "%s [%s] %" PRId64 "/%" PRId64 " %s, %.3g/s, %s left%s%s", p->what, bar,
             done, p->total, p->unit, rate, left, note ? ", " : "", note ? note : "");
    fprintf(stderr, "\r\033[K%.*s", columns() - 1, line);
    fflush(stderr);
    p->open = true;
}

void fmal_progress_at(fmal_progress *p, fmal_idx done, const char *note)
{
    double now = fmal_now(), seconds = now - p->start;
    char left[32] = "?";

    if (!shows.bar && !shows.lines)
        return;
    if (now - p->shown < (p->bar ? (p->open ? 0.2 : 1.0) : 30.0))
        return;
    p->shown = now;
    double rate = (double) (done - p->first) / seconds;
    if (rate > 0)
        fmal_duration((double) (p->total - done) / rate, left, sizeof left);
    if (p->bar)
        draw_bar(p, done, rate, left, note);
    else
        fmal_log(FMAL_LOG_INFO, p->what,
                 "%s=%" PRId64 "/%" PRId64 " rate=%.3g/s left=%s%s%s", p->unit, done,
                 p->total, rate, left, note ? " " : "", note ? note : "");
}

void fmal_progress_end(fmal_progress *p)
{
    if (p->open)
        fprintf(stderr, "\r\033[K");
    p->open = false;
}
