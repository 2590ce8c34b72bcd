/*
 * The selection as one would write it first, in one precision; included with REAL and
 * NAME defined. A = M^-1 and E = A F A are dense, updated at every step and never
 * computed afresh; factors are rows sqrt(p_y) (e_y - p) (x) h as they stand. What is
 * not a number is never chosen.
 */

typedef struct {
    int n, rows, size;
    REAL *v;         /* [n, rows, size] */
    REAL *a, *e;     /* [size, size] */
    REAL *f, *w, *u; /* [size, size], [rows, size] twice */
    REAL *small;     /* [3, rows, 2 rows] */
} NAME(naive);

static void NAME(add)(const NAME(naive) * x, REAL *m, int sample, REAL weight)
{
    const REAL *v = x->v + (size_t) sample * (size_t) (x->rows * x->size);

    for (int y = 0; y < x->rows; y++, v += x->size)
        for (int i = 0; i < x->size; i++)
            for (int j = 0; j < x->size; j++)
                m[i * x->size + j] += weight * v[i] * v[j];
}

/* The left half of work [n, 2 n] is inverted onto the right one. */
static void NAME(invert)(REAL *work, int n)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            work[i * 2 * n + n + j] = i == j;
    for (int k = 0; k < n; k++) {
        REAL head = work[k * 2 * n + k];

        for (int j = k; j < 2 * n; j++)
            work[k * 2 * n + j] /= head;
        for (int i = 0; i < n; i++) {
            REAL times = work[i * 2 * n + k];

            for (int j = k; i != k && j < 2 * n; j++)
                work[i * 2 * n + j] -= times * work[k * 2 * n + j];
        }
    }
}

/* out [rows, n] = x [rows, n] m [n, n] */
static void NAME(times)(const REAL *x, const REAL *m, int rows, int n, REAL *out)
{
    for (int y = 0; y < rows; y++)
        for (int i = 0; i < n; i++) {
            REAL sum = 0;

            for (int j = 0; j < n; j++)
                sum += x[y * n + j] * m[i * n + j]; /* m is symmetric */
            out[y * n + i] = sum;
        }
}

/* w = V A, u = V E; left half of small = I + sign G, and its inverse right; behind it
   B.
   @return tr((I + sign G)^-1 B) */
static REAL NAME(score)(NAME(naive) * x, int sample, int sign)
{
    int r = x->rows, n = x->size;
    const REAL *v = x->v + (size_t) sample * (size_t) (r * n);
    REAL *b = x->small + 2 * r * r, sum = 0;

    NAME(times)(v, x->a, r, n, x->w);
    NAME(times)(v, x->e, r, n, x->u);
    for (int k = 0; k < r; k++)
        for (int l = 0; l < r; l++) {
            REAL g = 0;

            b[k * r + l] = 0;
            for (int i = 0; i < n; i++) {
                g += x->w[k * n + i] * v[l * n + i];
                b[k * r + l] += x->u[k * n + i] * v[l * n + i];
            }
            x->small[k * 2 * r + l] = (k == l) + sign * g;
        }
    NAME(invert)(x->small, r);
    for (int k = 0; k < r; k++)
        for (int l = 0; l < r; l++)
            sum += x->small[k * 2 * r + r + l] * b[l * r + k];
    return sum;
}

/* A -= sign W^T K W, E -= sign (W^T K U + U^T K W) - W^T K B K W. */
static void NAME(step)(NAME(naive) * x, int sample, int sign)
{
    int r = x->rows, n = x->size;
    const REAL *b = x->small + 2 * r * r;
    REAL *kb = x->small + 3 * r * r, *kbk = kb + r * r;

    NAME(score)(x, sample, sign);
    for (int turn = 0; turn < 2; turn++)
        for (int k = 0; k < r; k++)
            for (int l = 0; l < r; l++) {
                REAL sum = 0;

                for (int m = 0; m < r; m++)
                    sum += turn ? kb[k * r + m] * x->small[m * 2 * r + r + l]
                                : x->small[k * 2 * r + r + m] * b[m * r + l];
                (turn ? kbk : kb)[k * r + l] = sum;
            }
    for (int k = 0; k < r; k++)
        for (int i = 0; i < n; i++) {
            REAL kw = 0, ku = 0, kbkw = 0;

            for (int l = 0; l < r; l++) {
                kw += x->small[k * 2 * r + r + l] * x->w[l * n + i];
                ku += x->small[k * 2 * r + r + l] * x->u[l * n + i];
                kbkw += kbk[k * r + l] * x->w[l * n + i];
            }
            for (int j = 0; j < n; j++) {
                REAL wj = x->w[k * n + j];

                x->a[i * n + j] -= sign * kw * wj;
                x->e[i * n + j] -= sign * ku * wj;
                x->e[j * n + i] -= sign * ku * wj;
                x->e[i * n + j] += kbkw * wj;
            }
        }
}

static void *NAME(room)(int count)
{
    void *x = NULL;

    if (fmal_alloc(&x, count, sizeof(REAL)) != FMAL_OK)
        abort();
    return x;
}

static void NAME(begin)(NAME(naive) * x, const hard_case *q, const whole_pool *pool)
{
    int r = x->rows, n = x->size;
    REAL *work = NAME(room)(2 * n * n), *af = NAME(room)(n * n);
    int labelled = pool->n_labelled, all = labelled + q->batch;

    for (int i = 0; i < n; i++)
        x->a[i * n + i] = (REAL) q->lambda;
    for (int i = 0; i < labelled; i++)
        NAME(add)
    (x, x->a, (int) pool->labelled[i], (REAL) (q->sum ? labelled : 1) / (REAL) all);
    for (int i = 0; i < x->n; i++)
        NAME(add)(x, x->f, i, 1 / (REAL) x->n);
    for (int i = 0; i < x->n * r * n; i++)
        x->v[i] *= (REAL) sqrt(q->batch / (double) all);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            work[i * 2 * n + j] = x->a[i * n + j];
    NAME(invert)(work, n);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            x->a[i * n + j] = work[i * 2 * n + n + j];
    NAME(times)(x->a, x->f, n, n, af);
    NAME(times)(af, x->a, n, n, x->e);
    free(work);
    free(af);
}

static void NAME(form)(NAME(naive) * x, const hard_case *q, const whole_pool *pool)
{
    naive_row row;

    for (int i = 0; i < x->n; i++)
        for (int y = 0; y < x->rows; y++) {
            naive_row_of(q, pool->probs + i * q->c, y, &row);
            for (int j = 0; j < x->size; j++) {
                int k = j / q->d;
                REAL p = (REAL) row.p[k],
                     slope = row.class < 0 ? 1 : (REAL) (k == row.class) - p;

                x->v[(i * x->rows + y) * x->size + j] =
                    (REAL) row.scale * slope *
                    (REAL) pool->features[i * q->d + j % q->d];
            }
        }
}

/* The batch, in the order in which it was added. */
static void NAME(select)(const hard_case *q, const whole_pool *pool, int64_t *picks)
{
    int n = q->n, rows = naive_rows(q), picked = 0;
    int size = q->likelihood == FMAL_LIKELIHOOD_BINARY ? q->d : q->d * q->c;
    int steps = 2 * q->batch, *list = calloc((size_t) n, sizeof *list);
    bool *out = calloc((size_t) n, sizeof *out);
    NAME(naive) x = { .n = n, .rows = rows, .size = size };

    x.v = NAME(room)(n * rows * size);
    x.a = NAME(room)(size * size);
    x.e = NAME(room)(size * size);
    x.f = NAME(room)(size * size);
    x.w = NAME(room)(rows * size);
    x.u = NAME(room)(rows * size);
    x.small = NAME(room)(6 * rows * rows);
    NAME(form)(&x, q, pool);
    NAME(begin)(&x, q, pool);
    for (int i = 0; i < pool->n_labelled; i++)
        out[pool->labelled[i]] = true;
    if (steps > n - pool->n_labelled)
        steps = n - pool->n_labelled;
    while (picked < steps) {
        REAL best = -1;
        int top = -1;

        for (int i = 0; i < n; i++) {
            REAL score = out[i] ? -1 : NAME(score)(&x, i, 1);

            if (!out[i] && (top < 0 || score > best * (1 + (REAL) 1e-9))) {
                best = score == score ? score : -1;
                top = i;
            }
        }
        out[top] = true;
        list[picked++] = top;
        NAME(step)(&x, top, 1);
    }
    while (picked > q->batch) {
        REAL least = 0;
        int worst = -1;

        for (int i = 0; i < picked; i++) {
            REAL loss = NAME(score)(&x, list[i], -1);

            if (loss == loss &&
                (worst < 0 || loss < least * (1 - (REAL) 1e-9) ||
                 (loss <= least * (1 + (REAL) 1e-9) && list[i] < list[worst]))) {
                least = loss;
                worst = i;
            }
        }
        worst = worst < 0 ? 0 : worst;
        NAME(step)(&x, list[worst], -1);
        picked--;
        memmove(list + worst, list + worst + 1,
                (size_t) (picked - worst) * sizeof *list);
    }
    for (int i = 0; i < q->batch; i++)
        picks[i] = list[i];
    free(list);
    free(out);
    free(x.v);
    free(x.a);
    free(x.e);
    free(x.f);
    free(x.w);
    free(x.u);
    free(x.small);
}
