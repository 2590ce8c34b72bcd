/**
 * Log lines: an event name and key=value pairs, on stderr, from the root rank.
 *
 *     fmal_log(FMAL_LOG_INFO, "refresh", "step=%d best=%.6g", step, best);
 *
 * The library is silent (level error) until its program calls fmal_log_setup.
 */
#ifndef FMAL_LOG_H
#define FMAL_LOG_H

#include <stdbool.h>

/** Least talkative first. */
typedef enum fmal_log_level {
    FMAL_LOG_ERROR,
    FMAL_LOG_WARN,
    FMAL_LOG_INFO,
    FMAL_LOG_STAT,
    FMAL_LOG_DEBUG,
} fmal_log_level;

/** Names of the levels in their order, ended by NULL: for option tables. */
extern const char *const fmal_log_level_names[];

/**
 * Say how much to print, and whether this rank prints at all.
 *
 * Not collective. Time stamps count from this call.
 */
void fmal_log_setup(fmal_log_level level, bool speaks);

/** Whether a line of this level would be printed here. */
bool fmal_log_wants(fmal_log_level level);

/** Print one line, if the level and the rank allow. Not collective. */
__attribute__((format(printf, 3, 4))) void
fmal_log(fmal_log_level level, const char *event, const char *fmt, ...);

#endif
