#include "fmal/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char last_text[1024];
static char last_place[128];

static const struct {
    int exit_code;
    const char *text;
} codes[] = {
#define FMAL_STATUS_ROW(code, exit_code, text) { exit_code, text },
    FMAL_STATUS_LIST(FMAL_STATUS_ROW)
#undef FMAL_STATUS_ROW
};

const char *fmal_status_text(fmal_status st)
{
    return (size_t) st < FMAL_COUNT(codes) ? codes[st].text : "unknown status";
}

int fmal_status_exit(fmal_status st)
{
    return (size_t) st < FMAL_COUNT(codes) ? codes[st].exit_code : 1;
}

const char *fmal_error_text(void)
{
    return last_text;
}

const char *fmal_error_place(void)
{
    return last_place;
}

void fmal_error_set(const char *place, const char *text)
{
    char copy[sizeof last_text]; /* text may be the last failure's own */

    snprintf(copy, sizeof copy, "%s", text);
    snprintf(last_place, sizeof last_place, "%s", place);
    memcpy(last_text, copy, sizeof copy);
}

fmal_status fmal_fail(fmal_status code, const char *file, int line, const char *fmt,
                      ...)
{
    const char *slash = strrchr(file, '/');
    char text[sizeof last_text]; /* an argument may be the last failure's text */
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    snprintf(last_place, sizeof last_place, "%s:%d", slash ? slash + 1 : file, line);
    memcpy(last_text, text, sizeof text);
    return code;
}
