/**
 * Status codes and the text of the last failure.
 *
 * Every fallible function returns a fmal_status; its results leave through trailing out
 * pointers that a failure leaves untouched. The first failing call records what is
 * wrong, where, and what to do; callers forward the code.
 *
 *     if (n < 1)
 *         return FMAL_FAIL(FMAL_ERR_ARG, "batch %d: give at least 1", n);
 *     FMAL_TRY(fmal_other(n));
 *
 * Only the program's main turns a status into an exit code (fmal_status_exit).
 */
#ifndef FMAL_STATUS_H
#define FMAL_STATUS_H

#include <stddef.h>
#include <stdint.h>

/** Code, exit code of the program, short text. Ranks that fail differently agree on the
    largest code. */
#define FMAL_STATUS_LIST(X)                                                            \
    X(OK, 0, "success")                                                                \
    X(STOPPED, 3, "stopped early with a checkpoint")                                   \
    X(ERR_USAGE, 2, "wrong usage")                                                     \
    X(ERR_ARG, 1, "invalid argument")                                                  \
    X(ERR_EMPTY, 1, "nothing to choose from")                                          \
    X(ERR_FORMAT, 1, "malformed input")                                                \
    X(ERR_EXISTS, 1, "output exists")                                                  \
    X(ERR_MISMATCH, 1, "different configuration")                                      \
    X(ERR_NUMERIC, 1, "numerical failure")                                             \
    X(ERR_IO, 1, "input or output failed")                                             \
    X(ERR_NOMEM, 1, "out of memory")

typedef enum fmal_status {
#define FMAL_STATUS_ENUM(code, exit_code, text) FMAL_##code,
    FMAL_STATUS_LIST(FMAL_STATUS_ENUM)
#undef FMAL_STATUS_ENUM
} fmal_status;

/** Samples, parameters, rows: everything that may pass 2^31. */
typedef int64_t fmal_idx;

/** No index: larger than every index, so that a minimum ignores it. */
#define FMAL_IDX_NONE INT64_MAX

/** Short text of a code. Not collective. */
const char *fmal_status_text(fmal_status st);

/** The program's exit code for a status: 0 done, 1 failed, 2 usage, 3 stopped early. */
int fmal_status_exit(fmal_status st);

/** Text of the last failure on this rank, "" if none; valid until the next failure. */
const char *fmal_error_text(void);

/** Source place of the last failure, "file.c:12"; "" if none. */
const char *fmal_error_place(void);

/** Replace the text of the last failure (used when ranks agree on one message). */
void fmal_error_set(const char *place, const char *text);

/** Record a failure and return its code; use FMAL_FAIL. */
__attribute__((format(printf, 4, 5))) fmal_status
fmal_fail(fmal_status code, const char *file, int line, const char *fmt, ...);

#ifdef __clang_analyzer__ /* which does not see that the function returns its argument \
                           */
#define FMAL_FAIL(code, ...)                                                           \
    (fmal_fail((code), __FILE__, __LINE__, __VA_ARGS__), (code))
#else
#define FMAL_FAIL(code, ...) fmal_fail((code), __FILE__, __LINE__, __VA_ARGS__)
#endif

/** Forward a failure; only where nothing is held. */
#define FMAL_TRY(call)                                                                 \
    do {                                                                               \
        fmal_status try_st_ = (call);                                                  \
        if (try_st_ != FMAL_OK)                                                        \
            return try_st_;                                                            \
    } while (0)

#define FMAL_COUNT(array) ((int) (sizeof(array) / sizeof *(array)))

#endif
