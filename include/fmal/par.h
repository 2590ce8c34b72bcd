/**
 * Ranks: who we are, who owns which sample, agreeing on failures, exact sums.
 *
 * Everything here is independent of what is computed. The central object is fmal_ctx, a
 * borrowed communicator with this rank's place in it.
 *
 *     fmal_ctx ctx;
 *     fmal_ctx_init(&ctx, comm);
 *     fmal_part part = fmal_part_make(n, FMAL_BLOCK, &ctx);
 *     st = fmal_agree(&ctx, read_my_rows(part.first, part.count));
 */
#ifndef FMAL_PAR_H
#define FMAL_PAR_H

#include <math.h>
#include <mpi.h>
#include <stdbool.h>

#include "fmal/isa.h"
#include "fmal/status.h"

/** A failed MPI call is beyond repair: say so and abort the job. */
#define FMAL_MPI(call) fmal_mpi_check((call), #call, __FILE__, __LINE__)
void fmal_mpi_check(int code, const char *call, const char *file, int line);

/* ---- Context ---- */

/** A communicator and this rank's place in it. A plain value; borrows the communicator.
 */
typedef struct fmal_ctx {
    MPI_Comm comm;
    int rank, size;
    int node_size; /* ranks on this rank's node */
    int nodes;     /* nodes that the ranks are on */
} fmal_ctx;

/**
 * Collective over comm.
 *
 * @param comm  borrowed; errors on it are set to return, and abort through FMAL_MPI
 */
void fmal_ctx_init(fmal_ctx *ctx, MPI_Comm comm);

/**
 * Everyone learns the worst status of all ranks, and its text.
 *
 * Ends a phase in which ranks may fail on their own. The text is that of the lowest
 * rank with the worst status.
 *
 * Collective over ctx. Cost: one 8-byte allreduce when all is well.
 *
 * @return the largest status of all ranks
 */
fmal_status fmal_agree(const fmal_ctx *ctx, fmal_status st);

/** As fmal_agree when only the root did something: one broadcast. Collective over ctx.
 */
fmal_status fmal_agree_root(const fmal_ctx *ctx, fmal_status st);

/** The best instruction set that all ranks have: with it all round alike. Collective
    over ctx. */
fmal_isa fmal_agree_isa(const fmal_ctx *ctx);

/* What the analyzer cannot see: a rank's own failure is never agreed to be none. */
#ifdef __clang_analyzer__
#define fmal_agree(ctx, st) ((st) != FMAL_OK ? (st) : fmal_agree(ctx, st))
#endif

/* ---- Who owns which sample ---- */

/** Samples of a block: the unit of arithmetic, and so never split between ranks. */
enum { FMAL_BLOCK = 256 };

/**
 * This rank's contiguous share of n samples, in whole blocks.
 *
 * Blocks, not ranks, define the arithmetic: a block's result is the same wherever it is
 * computed. A plain value; count may be 0.
 */
typedef struct fmal_part {
    fmal_idx n;            /* samples of all ranks */
    fmal_idx first, count; /* this rank's */
    fmal_idx blocks;       /* of all ranks; the last may be short */
    fmal_idx first_block, block_count;
    int block; /* samples of a block */
    int size;  /* ranks */
} fmal_part;

/** Share n >= 0 samples in blocks over the ranks of ctx. Not collective. */
fmal_part fmal_part_make(fmal_idx n, int block, const fmal_ctx *ctx);

/** The same for any rank. */
fmal_part fmal_part_of(fmal_idx n, int block, int rank, int size);

/** The rank that owns global sample ig in [0, n). */
int fmal_part_owner(const fmal_part *part, fmal_idx ig);

/** Samples in this rank's block b in [0, block_count), counted from its first. */
int fmal_part_block_rows(const fmal_part *part, fmal_idx b);

/* ---- Moving numbers ---- */

/** Broadcast bytes of any count, in pieces that the network likes. Collective. */
void fmal_bcast(const fmal_ctx *ctx, void *data, size_t bytes, int root);

/** Elementwise sum over ranks, in place, in pieces. Collective. */
void fmal_sum_i64(const fmal_ctx *ctx, int64_t *x, fmal_idx n);
void fmal_sum_f64(const fmal_ctx *ctx, double *x, fmal_idx n);

/** The same for one rank: elsewhere x is only read. Half the traffic. Collective. */
void fmal_sum_i64_to(const fmal_ctx *ctx, int64_t *x, fmal_idx n, int root);

/**
 * The same for numbers that have owners: each rank's own become sums over all ranks,
 * the others' are only read. Each number is sent once: half the traffic.
 *
 * Collective over ctx.
 *
 * @param part    who owns which row; may be of fewer ranks than ctx, the first ones,
 * and the others then own none
 * @param width   numbers of a row
 * @param x       [rows in whole blocks of part->block, width]
 * @param room    [FMAL_SUM_ROOM], undefined on return
 */
void fmal_sum_i64_parts(const fmal_ctx *ctx, const fmal_part *part, fmal_idx width,
                        int64_t *x, int64_t *room);
enum { FMAL_SUM_ROOM = (4 << 20) / 8 };

/** Elementwise maximum over ranks, in place. Collective. */
void fmal_max_f64(const fmal_ctx *ctx, double *x, fmal_idx n);

/** Sum of one integer over ranks. Collective. */
int64_t fmal_sum_one(const fmal_ctx *ctx, int64_t x);

/**
 * Concatenate what each rank gives, in rank order, on the root.
 *
 * Collective over ctx.
 *
 * @param mine       bytes of this rank; borrowed
 * @param[out] all   root: all bytes, freed by fmal_free; elsewhere NULL
 * @param[out] total root: their number; elsewhere 0
 * @return FMAL_ERR_NOMEM, agreed
 */
fmal_status fmal_gather(const fmal_ctx *ctx, const void *mine, size_t bytes, void *all,
                        size_t *total);

/**
 * Fetch rows by global index from the ranks that own them.
 *
 * Collective over ctx. Rows arrive in the order asked for; an index may repeat.
 *
 * @param part       who owns which row
 * @param rows       this rank's rows, [part.count, row_bytes]; borrowed
 * @param want       global indices, [n_want], each in [0, part.n)
 * @param[out] out   [n_want, row_bytes], of the caller
 * @return FMAL_ERR_NOMEM, agreed
 * Cost: one exchange of indices, one of rows, in rounds in which a rank asks for at
 * most 64 MiB; the owner of rows that all want sends that to each.
 */
fmal_status fmal_fetch_rows(const fmal_ctx *ctx, const fmal_part *part,
                            const void *rows, size_t row_bytes, const fmal_idx *want,
                            fmal_idx n_want, void *out);

/* ---- Sums that do not depend on their order ---- */

/**
 * Exact sums of doubles, in any order and on any number of ranks.
 *
 * Addends are scaled by a power of two, rounded once each to a 64-bit integer, and the
 * integers are added: integer addition is associative, so that the sum has the same
 * bits however the addends are spread. With at most N addends none of which exceeds
 * 2^e, the scale 2^(FMAL_EXACT_BITS - ceil(log2 N) - e) uses all the bits there are and
 * cannot overflow; each addend is then rounded at about 2^-61 N 2^e.
 */
enum { FMAL_EXACT_BITS = 62 };

/**
 * The exponent s such that sums of n_addends values, each at most `largest` in size,
 * fit when scaled by 2^s.
 *
 * Not collective; give the same arguments on every rank. Limited to |s| <= 1000; a
 * largest of 0 gives 0.
 */
int fmal_exact_shift(double largest, fmal_idx n_addends);

/** FMAL_EXACT_BITS - ceil(log2 n_addends): the shift for addends of at most 1 in size.
 */
int fmal_exact_bits(fmal_idx n_addends);

/**
 * 2^-e with sqrt(largest) <= 2^e, and at most 2^500.
 *
 * A sum of products x_i y_i is at most sqrt(sum x_i^2 sum y_i^2): from the largest sums
 * of squares that occur, this gives each factor's share of a scale that keeps sums of
 * products within 1. Not collective.
 */
double fmal_exact_down(double largest);

/** acc[i] += round(x[i] 2^shift). Not collective. */
void fmal_exact_add(int64_t *acc, const double *x, fmal_idx n, int shift);
void fmal_exact_add_f32(int64_t *acc, const float *x, fmal_idx n, int shift);

/** x[i] = acc[i] 2^-shift, rounded once. Not collective. */
void fmal_exact_get(double *x, const int64_t *acc, fmal_idx n, int shift);

/* ---- Deciding ---- */

/** The winner of a step. A plain value. */
typedef struct fmal_best {
    double score;
    fmal_idx index_g; /* FMAL_IDX_NONE if no rank had a candidate */
} fmal_best;

/** Scores this close (relative) are a tie, which the lowest global index wins. */
#define FMAL_TIE 1e-9

/** Bits that travel with a decision. */
enum { FMAL_FLAG_BITS = 4 };

/**
 * The largest score of all ranks, ties to the lowest global index.
 *
 * The winner is the lowest index with score >= max - FMAL_TIE |max|. With `smallest`,
 * the same for the smallest score.
 *
 * Collective over ctx.
 *
 * @param score    [n], of this rank; borrowed; -INFINITY (or INFINITY with smallest)
 * marks what is no candidate
 * @param index_g  [n], their global indices, ascending; borrowed
 * @param flag     FMAL_FLAG_BITS bits; on return those set on any rank (a request to
 * stop travels with the reduction); may be NULL on all ranks
 * @return FMAL_ERR_NUMERIC naming a sample whose score is NaN or infinite the other
 * way, agreed
 */
fmal_status fmal_argbest(const fmal_ctx *ctx, const double *score,
                         const fmal_idx *index_g, fmal_idx n, bool smallest, int *flag,
                         fmal_best *best);

/** The two largest scores there are. A plain value; FMAL_LEAD_NONE before the first. */
typedef struct fmal_lead {
    double first, second; /* -INFINITY if there are not so many */
    fmal_idx index_g;     /* of the first, of equals the lowest; FMAL_IDX_NONE */
    int64_t flags;        /* bits that travel with the decision */
} fmal_lead;

#define FMAL_LEAD_NONE ((fmal_lead){ -INFINITY, -INFINITY, FMAL_IDX_NONE, 0 })

/** Take one score, not NaN, into account. Not collective. */
void fmal_lead_add(fmal_lead *lead, double score, fmal_idx index_g);

/** The lead among all ranks' leads, and the union of their flags. Collective over ctx;
    one reduction. */
void fmal_lead_of(const fmal_ctx *ctx, fmal_lead *lead);

/**
 * The k best of all ranks, best first; equal scores by ascending index.
 *
 * Collective over ctx.
 *
 * @param score, index_g  [n] of this rank, candidates only; borrowed
 * @param k               at least 1; fewer are returned if there are fewer candidates
 * @param[out] best       [k] of the caller, the same on every rank
 * @param[out] found      how many
 * @return FMAL_ERR_NUMERIC naming a sample whose score is NaN, FMAL_ERR_NOMEM; agreed
 */
fmal_status fmal_topk(const fmal_ctx *ctx, const double *score, const fmal_idx *index_g,
                      fmal_idx n, fmal_idx k, fmal_best *best, fmal_idx *found);

/** Spread of one number over ranks. A plain value. */
typedef struct fmal_spread {
    double min, mean, max;
} fmal_spread;

/** Collective over ctx. */
fmal_spread fmal_spread_of(const fmal_ctx *ctx, double x);

/* ---- Being asked to stop ---- */

/** When to end early. A plain value; all zero never stops but by signal. */
typedef struct fmal_stop {
    double deadline;  /* fmal_now() at which to stop; 0: none */
    const char *file; /* stop when this file exists; borrowed; NULL: none */
    double looked;    /* when the file was last looked for */
    bool found;       /* that file was there */
} fmal_stop;

/** Reasons to stop, and beside them a request to save: FMAL_FLAG_BITS in all. */
enum {
    FMAL_STOP_SIGNAL = 1,
    FMAL_STOP_CLOCK = 2,
    FMAL_STOP_FILE = 4,
    FMAL_SAVE_DUE = 8
};

/** Take SIGTERM and SIGUSR1 as requests to stop. Not collective. */
void fmal_stop_install(void);

/**
 * Bits of the reasons to stop that this rank sees; 0: none. Clock and file are looked
 * at on the root alone. Not collective: pass the bits through a reduction.
 */
int fmal_stop_bits(const fmal_ctx *ctx, fmal_stop *stop);

/** The union of all ranks' bits. Collective over ctx. */
int fmal_stop_agree(const fmal_ctx *ctx, fmal_stop *stop);

/** "signal", "time limit" or "stop file". */
const char *fmal_stop_reason(int bits);

/* ---- Progress ---- */

typedef enum fmal_progress_mode {
    FMAL_PROGRESS_AUTO, /* a bar on a terminal, lines elsewhere */
    FMAL_PROGRESS_ALWAYS,
    FMAL_PROGRESS_NEVER,
} fmal_progress_mode;

extern const char *const fmal_progress_mode_names[];

/** Once: how progress is shown from now on; `quiet` silences it. Not collective; only
   the root (rank 0) shows any. */
void fmal_progress_setup(fmal_progress_mode mode, bool quiet, int rank);

/** Progress of one phase. A plain value. */
typedef struct fmal_progress {
    const char *what;
    const char *unit;
    double start, shown;
    fmal_idx total, first;
    bool bar, open;
} fmal_progress;

/**
 * Begin to show progress: a bar after one second on a terminal, at most 5 times a
 * second, a line every 30 s elsewhere. Not collective; silent but on the root.
 *
 * @param what, unit  "select", "steps"; borrowed
 * @param total, done units in all, and those done before (a resumed job)
 */
void fmal_progress_begin(fmal_progress *p, const char *what, const char *unit,
                         fmal_idx total, fmal_idx done);

/** Show that `done` units are finished; note is appended, may be NULL. */
void fmal_progress_at(fmal_progress *p, fmal_idx done, const char *note);

/** Seconds as "12 s", "3:05" or "1:02:03". Not collective. */
void fmal_duration(double seconds, char *text, size_t size);

/** Clear the bar. */
void fmal_progress_end(fmal_progress *p);

#endif
