/* Formulas as in the header. The gain and the loss are computed as
 *
 *     gain = tr((I + P)^-1 Q),  loss = tr((I - P)^-1 Q),
 *     P = V M^-1 V^T,  Q = V M^-1 F M^-1 V^T
 *
 * (Woodbury), which does not lose digits in the difference of two traces. M is summed
 * from M_0 and the picks, and inverted, at every step: no error is carried from one
 * step to the next. */
#include "oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TIE 1e-9

typedef struct {
    const fmal_oracle_problem *p;
    int blocks, size;         /* D = blocks d */
    int rows;                 /* of a factor, after the mask */
    double *factors;          /* [n, rows, D], not scaled */
    double *unmasked;         /* [c, D] */
    double *fisher;           /* [D, D] */
    double *start;            /* M_0 [D, D] */
    double *matrix, *inverse; /* M and its inverse, [D, D] */
    long double *work;        /* [D, 2 D] */
    double *left;             /* V M^-1 [rows, D] */
    double *leftf;            /* V M^-1 F [rows, D] */
    double *score;            /* [n]; NAN marks what may not be chosen */
    bool *candidate;          /* [n] */
    int64_t *picked;          /* [n] */
    int n_picked;
    double margin;
} oracle;

static double *zeros(size_t count)
{
    return calloc(count ? count : 1, sizeof(double));
}

static void oracle_clear(oracle *o)
{
    free(o->factors);
    free(o->unmasked);
    free(o->fisher);
    free(o->start);
    free(o->matrix);
    free(o->inverse);
    free(o->work);
    free(o->left);
    free(o->leftf);
    free(o->score);
    free(o->candidate);
    free(o->picked);
}

static int oracle_init(oracle *o, const fmal_oracle_problem *p)
{
    size_t n = (size_t) p->n, c = (size_t) p->c;
    size_t blocks = p->rows == ORACLE_BINARY ? 1 : c, size = blocks * (size_t) p->d;
    size_t rows = p->mask == ORACLE_ALL ? c : p->mask == ORACLE_BLOCKS ? blocks : size;

    *o = (oracle){ .p = p,
                   .blocks = (int) blocks,
                   .size = (int) size,
                   .rows = (int) rows,
                   .margin = INFINITY };
    o->factors = zeros(n * rows * size);
    o->unmasked = zeros(c * size);
    o->fisher = zeros(size * size);
    o->start = zeros(size * size);
    o->matrix = zeros(size * size);
    o->inverse = zeros(size * size);
    o->work = calloc(2 * (size + rows) * (size + rows), sizeof(long double));
    o->left = zeros(rows * size);
    o->leftf = zeros(rows * size);
    o->score = zeros(n);
    o->candidate = calloc(n + 1, sizeof(bool));
    o->picked = calloc(n + 1, sizeof(int64_t));
    return o->factors && o->unmasked && o->fisher && o->start && o->matrix &&
                   o->inverse && o->work && o->left && o->leftf && o->score &&
                   o->candidate && o->picked
               ? 0
               : -1;
}

static double *factor_of(const oracle *o, int64_t x)
{
    return o->factors + (size_t) x * (size_t) o->rows * (size_t) o->size;
}

/* Class y's place by probability, of equals the first. */
static int place_of(const double *prob, int c, int y)
{
    int before = 0;

    for (int k = 0; k < c; k++)
        before += prob[k] > prob[y] || (prob[k] == prob[y] && k < y);
    return before;
}

/* Element (y, k) of R, V = R (x) h^T; c rows, of which some may be zero. */
static double row_element(const oracle *o, const double *prob, int y, int k)
{
    int c = o->p->c, top = o->p->rows == ORACLE_TOPC ? o->p->topc : c;
    double sum = 0, largest = 0, rest = 0;

    for (int j = 0; j < c; j++) {
        if (place_of(prob, c, j) < top)
            sum += prob[j];
        if (place_of(prob, c, j) == 0)
            largest = prob[j];
        else
            rest += prob[j];
    }
    if (o->p->rows == ORACLE_BINARY)
        return y == 0 ? sqrt(largest) * rest : y == 1 ? -sqrt(rest) * largest : 0;
    if (o->p->rows == ORACLE_TOPC && place_of(prob, c, y) >= top)
        return 0;
    /* Probabilities sum to 1 but for rounding, and all of them need no division. */
    double q = o->p->rows == ORACLE_TOPC ? prob[y] / sum : prob[y];
    return sqrt(q) * ((y == k) - prob[k]);
}

/* V -> a factor of what the mask leaves of V^T V: of block (k, k), which is a multiple
   of h h^T, one row; of the diagonal one row for each element. */
static void apply_mask(const oracle *o, const float *h, const double *prob, double *out)
{
    int c = o->p->c, d = o->p->d, size = o->size;
    const double *v = o->unmasked;

    if (o->p->mask == ORACLE_ALL)
        memcpy(out, v, (size_t) c * (size_t) size * sizeof *out);
    for (int k = 0; k < o->blocks && o->p->mask == ORACLE_BLOCKS; k++) {
        double weight = 0;

        for (int y = 0; y < c; y++)
            weight += row_element(o, prob, y, k) * row_element(o, prob, y, k);
        for (int j = 0; j < d; j++)
            out[k * size + k * d + j] = sqrt(weight) * (double) h[j];
    }
    for (int j = 0; j < size && o->p->mask == ORACLE_DIAGONAL; j++) {
        double sum = 0;

        for (int y = 0; y < c; y++)
            sum += v[y * size + j] * v[y * size + j];
        out[j * size + j] = sqrt(sum);
    }
}

static void form_factor(oracle *o, int x)
{
    int c = o->p->c, d = o->p->d;
    const double *prob = o->p->probs + (size_t) x * (size_t) c;
    const float *h = o->p->features + (size_t) x * (size_t) d;
    double *v = o->unmasked;

    for (int y = 0; y < c; y++)
        for (int k = 0; k < o->blocks; k++) {
            double element = row_element(o, prob, y, k);

            for (int j = 0; j < d; j++)
                *v++ = element * (double) h[j];
        }
    apply_mask(o, h, prob, factor_of(o, x));
}

/* matrix += weight V_x^T V_x */
static void add_information(const oracle *o, double *matrix, int64_t x, double weight)
{
    const double *v = factor_of(o, x);
    int size = o->size;

    for (int y = 0; y < o->rows; y++, v += size)
        for (int a = 0; a < size; a++)
            for (int b = 0; b < size && v[a] != 0; b++)
                matrix[a * size + b] += weight * v[a] * v[b];
}

/* B / (n_L + B): the square of a candidate's scale. */
static double candidate_weight(const oracle *o)
{
    return (double) o->p->batch / (o->p->n_labelled + o->p->batch);
}

static void form_problem(oracle *o)
{
    const fmal_oracle_problem *p = o->p;

    for (int x = 0; x < p->n; x++) {
        form_factor(o, x);
        add_information(o, o->fisher, x, 1.0 / p->n);
        o->candidate[x] = true;
    }
    for (int i = 0; i < o->size; i++)
        o->start[i * o->size + i] = p->lambda;
    for (int i = 0; i < p->n_labelled; i++) {
        double mean = p->labelled_sum ? 1.0 : 1.0 / p->n_labelled;
        double share = (double) p->n_labelled / (p->n_labelled + p->batch);

        add_information(o, o->start, p->labelled[i], mean * share);
        o->candidate[p->labelled[i]] = false;
    }
    for (int i = 0; i < p->n_excluded; i++)
        o->candidate[p->excluded[i]] = false;
}

/* Gauss-Jordan with row exchanges on [A | B], both in `work`, size rows of `columns`.
 */
static void eliminate(long double *work, int size, int columns)
{
    for (int k = 0; k < size; k++) {
        int pivot = k;

        for (int r = k + 1; r < size; r++)
            if (fabsl(work[r * columns + k]) > fabsl(work[pivot * columns + k]))
                pivot = r;
        for (int j = 0; j < columns; j++) {
            long double held = work[k * columns + j];

            work[k * columns + j] = work[pivot * columns + j];
            work[pivot * columns + j] = held;
        }
        long double head = work[k * columns + k];
        for (int j = k; j < columns; j++)
            work[k * columns + j] /= head;
        for (int r = 0; r < size; r++) {
            long double times = work[r * columns + k];

            for (int j = k; r != k && times != 0 && j < columns; j++)
                work[r * columns + j] -= times * work[k * columns + j];
        }
    }
}

/* M = M_0 + the picks, its inverse, and tr(M^-1 F). */
static double form_matrix(oracle *o)
{
    int size = o->size, wide = 2 * size;
    double trace = 0;

    memcpy(o->matrix, o->start, (size_t) size * (size_t) size * sizeof(double));
    for (int i = 0; i < o->n_picked; i++)
        add_information(o, o->matrix, o->picked[i], candidate_weight(o));
    for (int a = 0; a < size; a++) {
        for (int b = 0; b < size; b++) {
            o->work[a * wide + b] = o->matrix[a * size + b];
            o->work[a * wide + size + b] = a == b;
        }
    }
    eliminate(o->work, size, wide);
    for (int a = 0; a < size; a++) {
        for (int b = 0; b < size; b++) {
            o->inverse[a * size + b] = (double) o->work[a * wide + size + b];
            trace += o->inverse[a * size + b] * o->fisher[b * size + a];
        }
    }
    return trace;
}

/* out [rows, size] = in [rows, size] matrix [size, size] */
static void times_matrix(const double *in, const double *matrix, int rows, int size,
                         double *out)
{
    memset(out, 0, (size_t) rows * (size_t) size * sizeof *out);
    for (int y = 0; y < rows; y++)
        for (int a = 0; a < size; a++)
            for (int b = 0; b < size && in[y * size + a] != 0; b++)
                out[y * size + b] += in[y * size + a] * matrix[a * size + b];
}

static double dot(const double *a, const double *b, int n)
{
    double sum = 0;

    for (int i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* tr((I + sign P)^-1 Q) of sample x */
static double score_of(oracle *o, int64_t x, int sign)
{
    int c = o->rows, size = o->size;
    const double *v = factor_of(o, x);
    double weight = candidate_weight(o), trace = 0;
    long double *system = o->work; /* [I + sign P | Q], [rows, 2 rows] */

    times_matrix(v, o->inverse, c, size, o->left);
    times_matrix(o->left, o->fisher, c, size, o->leftf);
    for (int a = 0; a < c; a++) {
        for (int b = 0; b < c; b++) {
            double p = weight * dot(o->left + a * size, v + b * size, size);
            double q = weight * dot(o->leftf + a * size, o->left + b * size, size);

            system[a * 2 * c + b] = (a == b) + sign * p;
            system[a * 2 * c + c + b] = q;
        }
    }
    eliminate(system, c, 2 * c);
    for (int a = 0; a < c; a++)
        trace += (double) system[a * 2 * c + c + a];
    return trace;
}

/* Gap between the best and the second best of the scores, relative to the best. */
static void note_margin(oracle *o, const double *score, int n, int sign)
{
    double best = -INFINITY, second = -INFINITY;

    for (int i = 0; i < n; i++) {
        double s = sign * score[i];

        if (s > best) {
            second = best;
            best = s;
        } else if (s > second) {
            second = s;
        }
    }
    if (isfinite(second))
        o->margin = fmin(o->margin, (best - second) / fabs(best));
}

static void forward_step(oracle *o)
{
    double max = -INFINITY;
    int n = o->p->n, x = 0;

    form_matrix(o);
    for (int i = 0; i < n; i++) {
        o->score[i] = o->candidate[i] ? score_of(o, i, 1) : -INFINITY;
        max = fmax(max, o->score[i]);
    }
    note_margin(o, o->score, n, 1);
    while (!(o->score[x] >= max - TIE * fabs(max)))
        x++;
    o->candidate[x] = false;
    o->picked[o->n_picked++] = x;
}

static void backward_step(oracle *o)
{
    double min = INFINITY;
    int worst = -1;

    form_matrix(o);
    for (int i = 0; i < o->n_picked; i++) {
        o->score[i] = score_of(o, o->picked[i], -1);
        min = fmin(min, o->score[i]);
    }
    note_margin(o, o->score, o->n_picked, -1);
    for (int i = 0; i < o->n_picked; i++)
        if (o->score[i] <= min + TIE * fabs(min) &&
            (worst < 0 || o->picked[i] < o->picked[worst]))
            worst = i;
    memmove(o->picked + worst, o->picked + worst + 1,
            (size_t) (o->n_picked - worst - 1) * sizeof *o->picked);
    o->n_picked--;
}

int fmal_oracle_bait(const fmal_oracle_problem *p, int64_t *picks,
                     double *objective_before, double *objective_after,
                     double *smallest_margin)
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
    *objective_before = form_matrix(&o);
    while (o.n_picked < (steps < candidates ? steps : candidates))
        forward_step(&o);
    while (o.n_picked > p->batch)
        backward_step(&o);
    *objective_after = form_matrix(&o);
    for (int i = 0; i < p->batch; i++)
        picks[i] = i < o.n_picked ? o.picked[i] : -1;
    if (smallest_margin)
        *smallest_margin = o.margin;
    oracle_clear(&o);
    return 0;
}

double fmal_oracle_objective(const fmal_oracle_problem *p, const int64_t *set, int n)
{
    double objective = NAN;
    oracle o;

    if (oracle_init(&o, p) == 0) {
        form_problem(&o);
        for (int i = 0; i < n; i++)
            o.picked[o.n_picked++] = set[i];
        objective = form_matrix(&o);
    }
    oracle_clear(&o);
    return objective;
}
