/* Gain and loss are computed as in oracle.c; M is summed from M_0 and the picks, and
   inverted, at every step. */
#include "long_oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TIE 1e-9L

typedef long double real;

typedef struct {
    const fmal_long_problem *p;
    int rows, blocks, size; /* of a factor; its class blocks; D = blocks d */
    real *factors;          /* [n, rows, blocks]: R of V = R (x) h, not scaled */
    real *fisher;           /* [D, D] */
    real *start;            /* M_0 [D, D] */
    real *inverse;          /* M^-1 [D, D] */
    real *sandwich;         /* M^-1 F M^-1 [D, D] */
    real *work;             /* [D, 2 D] */
    real *form;             /* [blocks, blocks]: of a sample, (I (x) h) X (I (x) h)^T */
    real *product;          /* [rows, blocks] */
    real *score;            /* [n] */
    real *prob;             /* [c] */
    bool *candidate;        /* [n] */
    int64_t *picked;        /* [n] */
    int n_picked;
    double lead, tie; /* of the answer */
} oracle;

static real *zeros(size_t count)
{
    return calloc(count ? count : 1, sizeof(real));
}

static void oracle_clear(oracle *o)
{
    free(o->factors);
    free(o->fisher);
    free(o->start);
    free(o->inverse);
    free(o->sandwich);
    free(o->work);
    free(o->form);
    free(o->product);
    free(o->score);
    free(o->prob);
    free(o->candidate);
    free(o->picked);
}

static int oracle_init(oracle *o, const fmal_long_problem *p)
{
    bool binary = p->likelihood == FMAL_LIKELIHOOD_BINARY;
    size_t n = (size_t) p->n, blocks = binary ? 1 : (size_t) p->c;
    size_t rows = p->likelihood == FMAL_LIKELIHOOD_TOPC ? (size_t) p->top : blocks;
    size_t size = blocks * (size_t) p->d, most = size > rows ? size : rows;

    *o = (oracle){ .p = p,
                   .rows = (int) rows,
                   .blocks = (int) blocks,
                   .size = (int) size,
                   .lead = INFINITY };
    o->factors = zeros(n * rows * blocks);
    o->fisher = zeros(size * size);
    o->start = zeros(size * size);
    o->inverse = zeros(size * size);
    o->sandwich = zeros(size * size);
    o->work = zeros(2 * most * most);
    o->form = zeros(blocks * blocks);
    o->product = zeros(rows * blocks);
    o->score = zeros(n);
    o->prob = zeros((size_t) p->c);
    o->candidate = calloc(n + 1, sizeof(bool));
    o->picked = calloc(n + 1, sizeof(int64_t));
    return o->factors && o->fisher && o->start && o->inverse && o->sandwich &&
                   o->work && o->form && o->product && o->score && o->prob &&
                   o->candidate && o->picked
               ? 0
               : -1;
}

static real *factor_of(const oracle *o, int64_t x)
{
    return o->factors + (size_t) x * (size_t) o->rows * (size_t) o->blocks;
}

/* 1 - p_y */
static real rest_of(const oracle *o, int y)
{
    real rest = 0;

    for (int k = 0; k < o->p->c; k++)
        rest += k == y ? 0 : o->prob[k];
    return rest;
}

/* Row scale (e_y - p) of R. */
static void form_row(const oracle *o, real scale, int y, real *row)
{
    for (int k = 0; k < o->blocks; k++)
        row[k] = scale * (y == k ? rest_of(o, y) : -o->prob[k]);
}

/* The classes by falling probability, of equals the first first: number `place`. */
static int class_at(const oracle *o, int place)
{
    const real *p = o->prob;

    for (int k = 0; k < o->p->c; k++) {
        int before = 0;

        for (int m = 0; m < o->p->c; m++)
            before += p[m] > p[k] || (m < k && p[m] == p[k]);
        if (before == place)
            return k;
    }
    return -1;
}

static void form_factor(oracle *o, int x)
{
    int c = o->p->c, first;
    const double *given = o->p->probs + (size_t) x * (size_t) c;
    real *row = factor_of(o, x), sum = 0;

    for (int k = 0; k < c; k++)
        sum += given[k];
    for (int k = 0; k < c; k++)
        o->prob[k] = given[k] / sum;
    switch (o->p->likelihood) {
    case FMAL_LIKELIHOOD_FULL:
        for (int y = 0; y < c; y++)
            form_row(o, sqrtl(o->prob[y]), y, row + y * c);
        break;
    case FMAL_LIKELIHOOD_TOPC:
        sum = 0;
        for (int i = 0; i < o->rows; i++)
            sum += o->prob[class_at(o, i)];
        for (int i = 0; i < o->rows; i++) {
            int y = class_at(o, i);

            form_row(o, sqrtl(o->prob[y] / sum), y, row + i * c);
        }
        break;
    case FMAL_LIKELIHOOD_BINARY:
        first = class_at(o, 0);
        row[0] = sqrtl(o->prob[first] * rest_of(o, first));
    }
}

static const float *features_of(const oracle *o, int64_t x)
{
    return o->p->features + (size_t) x * (size_t) o->p->d;
}

/* matrix += weight V_x^T V_x */
static void add_information(const oracle *o, real *matrix, int64_t x, real weight)
{
    const real *row = factor_of(o, x);
    const float *h = features_of(o, x);
    int d = o->p->d, n = o->blocks;

    for (int k = 0; k < n; k++)
        for (int l = 0; l < n; l++) {
            real *block = matrix + k * d * o->size + l * d, sum = 0;

            for (int y = 0; y < o->rows; y++)
                sum += row[y * n + k] * row[y * n + l];
            for (int a = 0; a < d; a++)
                for (int b = 0; b < d; b++)
                    block[a * o->size + b] += weight * sum * h[a] * h[b];
        }
}

/* B / (n_L + B): the square of a candidate's scale. */
static real candidate_weight(const oracle *o)
{
    return (real) o->p->batch / (o->p->n_labelled + o->p->batch);
}

static void form_problem(oracle *o)
{
    const fmal_long_problem *p = o->p;

    for (int x = 0; x < p->n; x++) {
        form_factor(o, x);
        add_information(o, o->fisher, x, 1.0L / p->n);
        o->candidate[x] = true;
    }
    for (int i = 0; i < o->size; i++)
        o->start[i * o->size + i] = p->lambda;
    for (int i = 0; i < p->n_labelled; i++) {
        real mean = p->labelled_sum ? 1 : 1.0L / p->n_labelled;
        real share = (real) p->n_labelled / (p->n_labelled + p->batch);

        add_information(o, o->start, p->labelled[i], mean * share);
        o->candidate[p->labelled[i]] = false;
    }
}

/* Gauss-Jordan with row exchanges on [A | B], both in `work`, size rows of `columns`.
 */
static void eliminate(real *work, int size, int columns)
{
    for (int k = 0; k < size; k++) {
        int pivot = k;

        for (int r = k + 1; r < size; r++)
            if (fabsl(work[r * columns + k]) > fabsl(work[pivot * columns + k]))
                pivot = r;
        for (int j = 0; j < columns; j++) {
            real held = work[k * columns + j];

            work[k * columns + j] = work[pivot * columns + j];
            work[pivot * columns + j] = held;
        }
        real head = work[k * columns + k];
        for (int j = k; j < columns; j++)
            work[k * columns + j] /= head;
        for (int r = 0; r < size; r++) {
            real times = work[r * columns + k];

            for (int j = k; r != k && j < columns; j++)
                work[r * columns + j] -= times * work[k * columns + j];
        }
    }
}

/* out [rows, size] = in [rows, size] matrix [size, size] */
static void times_matrix(const real *in, const real *matrix, int rows, int size,
                         real *out)
{
    memset(out, 0, (size_t) rows * (size_t) size * sizeof *out);
    for (int y = 0; y < rows; y++)
        for (int a = 0; a < size; a++)
            for (int b = 0; b < size; b++)
                out[y * size + b] += in[y * size + a] * matrix[a * size + b];
}

/* M = M_0 + the picks, its inverse, M^-1 F M^-1, and tr(M^-1 F). */
static real form_matrix(oracle *o)
{
    int size = o->size, wide = 2 * size;
    real trace = 0, *matrix = o->sandwich; /* not needed yet */

    memcpy(matrix, o->start, (size_t) size * (size_t) size * sizeof *matrix);
    for (int i = 0; i < o->n_picked; i++)
        add_information(o, matrix, o->picked[i], candidate_weight(o));
    for (int a = 0; a < size; a++) {
        for (int b = 0; b < size; b++) {
            o->work[a * wide + b] = matrix[a * size + b];
            o->work[a * wide + size + b] = a == b;
        }
    }
    eliminate(o->work, size, wide);
    for (int a = 0; a < size; a++) {
        for (int b = 0; b < size; b++) {
            o->inverse[a * size + b] = o->work[a * wide + size + b];
            trace += o->inverse[a * size + b] * o->fisher[b * size + a];
        }
    }
    times_matrix(o->inverse, o->fisher, size, size, o->work);
    times_matrix(o->work, o->inverse, size, size, o->sandwich);
    return trace;
}

/* o->form = (I (x) h) X (I (x) h)^T */
static void form_blocks(oracle *o, const real *x, const float *h)
{
    int d = o->p->d, n = o->blocks;

    for (int k = 0; k < n; k++)
        for (int l = 0; l < n; l++) {
            const real *block = x + k * d * o->size + l * d;
            real form = 0;

            for (int a = 0; a < d; a++) {
                real sum = 0;

                for (int b = 0; b < d; b++)
                    sum += block[a * o->size + b] * h[b];
                form += sum * h[a];
            }
            o->form[k * n + l] = form;
        }
}

/* Element (y, z) of R form R^T; o->product holds R form. */
static real element(const oracle *o, const real *row, int y, int z)
{
    real sum = 0;

    for (int k = 0; k < o->blocks; k++)
        sum += o->product[y * o->blocks + k] * row[z * o->blocks + k];
    return sum;
}

/* out [rows, rows], with `stride`, = weight V_x X V_x^T */
static void sandwich_of(oracle *o, const real *matrix, int64_t x, real *out, int stride)
{
    const real *row = factor_of(o, x);

    form_blocks(o, matrix, features_of(o, x));
    times_matrix(row, o->form, o->rows, o->blocks, o->product);
    for (int y = 0; y < o->rows; y++)
        for (int z = 0; z < o->rows; z++)
            out[y * stride + z] = candidate_weight(o) * element(o, row, y, z);
}

/* tr((I + sign P)^-1 Q) of sample x */
static real score_of(oracle *o, int64_t x, int sign)
{
    int r = o->rows, wide = 2 * r;
    real *system = o->work, trace = 0; /* [I + sign P | Q], [r, 2 r] */

    sandwich_of(o, o->inverse, x, system, wide);
    sandwich_of(o, o->sandwich, x, system + r, wide);
    for (int a = 0; a < r; a++)
        for (int b = 0; b < r; b++)
            system[a * wide + b] = (a == b) + sign * system[a * wide + b];
    eliminate(system, r, wide);
    for (int a = 0; a < r; a++)
        trace += system[a * wide + r + a];
    return trace;
}

/* Gaps to the best of the scores, relative to it. */
static void note_margins(oracle *o, const real *score, int n, int sign)
{
    int best = 0;

    for (int i = 1; i < n; i++)
        if (sign * score[i] > sign * score[best])
            best = i;
    for (int i = 0; i < n; i++) {
        if (i == best || !isfinite((double) score[i]))
            continue;
        real gap = sign * (score[best] - score[i]);
        double relative = (double) (gap / fabsl(score[best]));

        if (score[best] == 0)
            relative = gap > 0 ? INFINITY : 0;
        if (relative > (double) TIE)
            o->lead = fmin(o->lead, relative);
        else
            o->tie = fmax(o->tie, relative);
    }
}

static void forward_step(oracle *o)
{
    real max = -INFINITY;
    int n = o->p->n, x = 0;

    form_matrix(o);
    for (int i = 0; i < n; i++) {
        o->score[i] = o->candidate[i] ? score_of(o, i, 1) : -INFINITY;
        max = fmaxl(max, o->score[i]);
    }
    note_margins(o, o->score, n, 1);
    while (!(o->score[x] >= max - TIE * fabsl(max)))
        x++;
    o->candidate[x] = false;
    o->picked[o->n_picked++] = x;
}

static void backward_step(oracle *o)
{
    real min = INFINITY;
    int worst = -1;

    form_matrix(o);
    for (int i = 0; i < o->n_picked; i++) {
        o->score[i] = score_of(o, o->picked[i], -1);
        min = fminl(min, o->score[i]);
    }
    note_margins(o, o->score, o->n_picked, -1);
    for (int i = 0; i < o->n_picked; i++)
        if (o->score[i] <= min + TIE * fabsl(min) &&
            (worst < 0 || o->picked[i] < o->picked[worst]))
            worst = i;
    memmove(o->picked + worst, o->picked + worst + 1,
            (size_t) (o->n_picked - worst - 1) * sizeof *o->picked);
    o->n_picked--;
}

int fmal_long_select(const fmal_long_problem *p, fmal_long_answer *answer)
{
    int candidates = 0, steps = (int) ceil(p->oversample * p->batch);
    oracle o;

    if (oracle_init(&o, p) != 0) {
        oracle_clear(&o);
        return -1;
    }
    form_problem(&o);
    for (int i = 0; i < p->n; i++)
        candidates += o.candidate[i];
    answer->before = (double) form_matrix(&o);
    while (o.n_picked < (steps < candidates ? steps : candidates))
        forward_step(&o);
    while (o.n_picked > p->batch)
        backward_step(&o);
    answer->after = (double) form_matrix(&o);
    for (int i = 0; i < p->batch; i++)
        answer->picks[i] = i < o.n_picked ? o.picked[i] : -1;
    answer->lead = o.lead;
    answer->tie = o.tie;
    oracle_clear(&o);
    return 0;
}
