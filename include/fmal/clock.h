/**
 * Seconds, and the time that each phase of a job took.
 *
 *     fmal_phase_begin(&phases, FMAL_PHASE_TRAIN);
 *     ...
 *     fmal_phase_end(&phases, flops, bytes);
 */
#ifndef FMAL_CLOCK_H
#define FMAL_CLOCK_H

/** Monotonic seconds. Not collective. */
double fmal_now(void);

/** Seconds since 1970. Not collective. */
double fmal_wall_time(void);

/** Phases of a job, with the names of the summary that every job ends with. */
#define FMAL_PHASE_LIST(X)                                                             \
    X(READ, "read")                                                                    \
    X(TRAIN, "train")                                                                  \
    X(EVALUATE, "evaluate")                                                            \
    X(SCORE, "score")                                                                  \
    X(MASK, "mask")                                                                    \
    X(JACOBIAN, "jacobian")                                                            \
    X(FISHER, "fisher")                                                                \
    X(REFRESH, "refresh")                                                              \
    X(STEP, "step")                                                                    \
    X(UPDATE, "update")                                                                \
    X(CHECKPOINT, "checkpoint")                                                        \
    X(WRITE, "write")

typedef enum fmal_phase {
#define FMAL_PHASE_ENUM(code, name) FMAL_PHASE_##code,
    FMAL_PHASE_LIST(FMAL_PHASE_ENUM)
#undef FMAL_PHASE_ENUM
        FMAL_PHASES,
} fmal_phase;

/** What this rank spent on each phase. A plain value; all zero is the start. */
typedef struct fmal_phases {
    double seconds[FMAL_PHASES];
    double flops[FMAL_PHASES]; /* floating-point operations of the matrix products */
    double bytes[FMAL_PHASES]; /* bytes read or written in files */
    double began;              /* fmal_now() at the last begin */
    fmal_phase current;
} fmal_phases;

const char *fmal_phase_name(fmal_phase phase);

/** Start the clock of a phase; phases do not nest. p may be NULL. Not collective. */
void fmal_phase_begin(fmal_phases *p, fmal_phase phase);

/** Stop the clock begun last and add the work done. p may be NULL. Not collective. */
void fmal_phase_end(fmal_phases *p, double flops, double bytes);

#endif
