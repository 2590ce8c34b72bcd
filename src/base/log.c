#include "fmal/log.h"
#include "fmal/clock.h"

#include <stdarg.h>
#include <stdio.h>

const char *const fmal_log_level_names[] = {
    "error", "warn", "info", "stat", "debug", 0
};

static struct {
    fmal_log_level level;
    bool speaks;
    double start;
} logger = { FMAL_LOG_ERROR, true, 0 };

void fmal_log_setup(fmal_log_level level, bool speaks)
{
    logger.level = level;
    logger.speaks = speaks;
    logger.start = fmal_now();
}

bool fmal_log_wants(fmal_log_level level)
{
    return logger.speaks && level <= logger.level;
}

void fmal_log(fmal_log_level level, const char *event, const char *fmt, ...)
{
    char text[2048];
    va_list ap;

    if (!fmal_log_wants(level))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    /* One call, one line: ranks that share a terminal do not cut each other up. */
    fprintf(stderr, "[%9.2f s] %-5s %s%s%s\n", fmal_now() - logger.start,
            fmal_log_level_names[level], event, text[0] ? " " : "", text);
}
