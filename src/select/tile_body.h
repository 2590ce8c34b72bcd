/*
 * The r x r work of a step in one precision; included by tile.c with REAL, the
 * INTEGER of its size, and NAME defined. A tile is as many samples as fill 64 bytes;
 * smaller registers take it in PARTS, one after the other.
 */

enum { NAME(LANES) = 64 / sizeof(REAL), NAME(PARTS) = 64 / REGISTER_BYTES };

typedef REAL NAME(vec) __attribute__((vector_size(REGISTER_BYTES), aligned(8)));
typedef INTEGER NAME(mask) __attribute__((vector_size(REGISTER_BYTES)));
#define VEC   NAME(vec)
#define MASK  NAME(mask)
#define LANES NAME(LANES)
#define PARTS NAME(PARTS)
/* Vector i of a part: the parts of one index lie side by side. */
#define AT(x, i) (((VEC *) (x))[(size_t) (i) *PARTS])
#define IN(x, i) (((const VEC *) (x))[(size_t) (i) *PARTS])

/* G_kl -= sign sum P_k P_l and B_kl -= sign sum (P_k Q_l + Q_k P_l) over `count`
   columns, for rows k .. k + nk and l .. l + nl; entries above the diagonal are
   computed and dropped. Constant nk, nl unroll the loops, so that the sums live in
   registers. */
static inline __attribute__((always_inline)) void
NAME(update_block)(const int nk, const int nl, int r, int count, REAL sign,
                   const REAL *p, const REAL *q, int k, int l, REAL *g, REAL *b)
{
    VEC gs[BLOCK][BLOCK] = { 0 }, bs[BLOCK][BLOCK] = { 0 };

    for (int j = 0; j < count; j++, p += r * LANES, q += r * LANES)
        _Pragma("GCC unroll 3") for (int i = 0; i < nk; i++)
        {
            VEC pk = IN(p, k + i), qk = IN(q, k + i);

            _Pragma("GCC unroll 3") for (int m = 0; m < nl; m++)
            {
                gs[i][m] += pk * IN(p, l + m);
                bs[i][m] += pk * IN(q, l + m);
                bs[i][m] += qk * IN(p, l + m);
            }
        }
    _Pragma("GCC unroll 3") for (int i = 0; i < nk; i++)
        _Pragma("GCC unroll 3") for (int m = 0; m < nl; m++)
    {
        int at = (k + i) * (k + i + 1) / 2 + l + m;

        if (l + m > k + i)
            continue;
        AT(g, at) -= sign * gs[i][m];
        AT(b, at) -= sign * bs[i][m];
    }
}

static void NAME(update_rows)(int r, int count, REAL sign, const REAL *p, const REAL *q,
                              REAL *g, REAL *b)
{
    for (int k = 0; k < r; k += BLOCK)
        for (int l = 0; l <= k; l += BLOCK) {
            if (k + BLOCK <= r) { /* then l + BLOCK <= r too */
                NAME(update_block)(BLOCK, BLOCK, r, count, sign, p, q, k, l, g, b);
                continue;
            }
            for (int i = k; i < r; i++)
                for (int m = l; m < l + BLOCK && m <= i; m++)
                    NAME(update_block)(1, 1, r, count, sign, p, q, i, m, g, b);
        }
}

/* Columns at a time whose P and Q stay in the L2 cache beside G and B. */
enum { NAME(COLUMNS) = 24 };

static void NAME(update)(int r, REAL sign, const REAL *pq, REAL *g, REAL *b)
{
    size_t column = (size_t) r * LANES;

    for (int j = 0; j < r; j += NAME(COLUMNS)) {
        int count = r - j < NAME(COLUMNS) ? r - j : NAME(COLUMNS);
        const REAL *p = pq + (size_t) j * column, *q = p + (size_t) r * column;

        for (int part = 0; part < PARTS; part++) {
            size_t skip = (size_t) part * (LANES / PARTS);

            NAME(update_rows)(r, count, sign, p + skip, q + skip, g + skip, b + skip);
        }
    }
}

/* m_j -= sum m_p f_jp and t_j -= sum (t_p f_jp + m_p u_jp) over p < count, for nj rows
   j of f and u at once. */
static inline __attribute__((always_inline)) void
NAME(eliminate)(const int nj, int count, const REAL *mi, const REAL *ti, const REAL *f,
                const REAL *u, size_t stride, VEC *m, VEC *t)
{
    for (int p = 0; p < count; p++) {
        VEC mp = IN(mi, p), tp = IN(ti, p);

        _Pragma("GCC unroll 3") for (int j = 0; j < nj; j++)
        {
            VEC fp = IN(f + j * stride, p);

            m[j] -= mp * fp;
            t[j] -= tp * fp;
            t[j] -= mp * IN(u + j * stride, p);
        }
    }
}

/* What the columns of one block know of their pivots and rows. */
typedef struct {
    REAL *f, *u;                      /* [BLOCK, r]: rows of L and its derivative */
    VEC inverse[BLOCK], ratio[BLOCK]; /* of the block's pivots */
} NAME(pivots);

/* Row i of the block that begins at column j: eliminate, store, and where the row ends,
   take its pivot. */
static inline __attribute__((always_inline)) void
NAME(score_row)(const int nj, int i, int j, int r, REAL *mi, REAL *ti, VEC *m, VEC *t,
                NAME(pivots) * block, VEC *score, MASK *bad)
{
    size_t stride = (size_t) r * LANES;

    _Pragma("GCC unroll 3") for (int c = 0; c < nj; c++)
    {
        REAL *f = block->f + (size_t) c * stride, *u = block->u + (size_t) c * stride;

        _Pragma("GCC unroll 3") for (int p = 0; p < c; p++)
        {
            m[c] -= m[p] * AT(f, j + p);
            t[c] -= t[p] * AT(f, j + p) + m[p] * AT(u, j + p);
        }
        if (j + c == i) {
            VEC pivot = 1 + m[c];

            block->inverse[c] = 1 / pivot;
            block->ratio[c] = t[c] * block->inverse[c];
            *score += block->ratio[c];
            *bad |= ~(pivot > 0);
            return;
        }
        AT(mi, j + c) = m[c];
        AT(ti, j + c) = t[c];
        if (i < j + BLOCK) { /* rows of this block are columns of those to come */
            REAL *fi = block->f + (size_t) (i - j) * stride;
            REAL *ui = block->u + (size_t) (i - j) * stride;

            AT(fi, j + c) = m[c] * block->inverse[c];
            AT(ui, j + c) = t[c] * block->inverse[c] - AT(fi, j + c) * block->ratio[c];
        }
    }
}

/* A row below the block that begins at column j: all of the block's columns. */
static inline __attribute__((always_inline)) void
NAME(lower_row)(int i, int j, int r, REAL sign, const REAL *g, const REAL *b, REAL *mi,
                REAL *ti, NAME(pivots) * block, VEC *score, MASK *bad)
{
    size_t at = (size_t) i * (size_t) (i + 1) / 2 + (size_t) j;
    VEC m[BLOCK], t[BLOCK];

    _Pragma("GCC unroll 3") for (int c = 0; c < BLOCK; c++)
    {
        m[c] = sign * IN(g, at + (size_t) c);
        t[c] = IN(b, at + (size_t) c);
    }
    NAME(eliminate)(BLOCK, j, mi, ti, block->f, block->u, (size_t) r * LANES, m, t);
    NAME(score_row)(BLOCK, i, j, r, mi, ti, m, t, block, score, bad);
}

/* A row of the block itself: as far as the diagonal; and its row of L for the others.
 */
static inline void NAME(diagonal_row)(int i, int j, int r, REAL sign, const REAL *g,
                                      const REAL *b, REAL *mi, REAL *ti,
                                      const REAL *inverse, const REAL *ratio,
                                      NAME(pivots) * block, VEC *score, MASK *bad)
{
    size_t at = (size_t) i * (size_t) (i + 1) / 2 + (size_t) j;
    size_t wide = (size_t) r * LANES;
    REAL *f = block->f + (size_t) (i - j) * wide,
         *u = block->u + (size_t) (i - j) * wide;
    VEC m[BLOCK] = { 0 }, t[BLOCK] = { 0 };

    for (int p = 0; p < j; p++) {
        AT(f, p) = AT(mi, p) * IN(inverse, p);
        AT(u, p) = AT(ti, p) * IN(inverse, p) - AT(f, p) * IN(ratio, p);
    }
    for (int c = 0; c <= i - j; c++) {
        m[c] = sign * IN(g, at + (size_t) c);
        t[c] = IN(b, at + (size_t) c);
        NAME(eliminate)
        (1, j, mi, ti, block->f + (size_t) c * wide, block->u + (size_t) c * wide, wide,
         m + c, t + c);
    }
    NAME(score_row)(BLOCK, i, j, r, mi, ti, m, t, block, score, bad);
}

/*
 * The derivative of log det(M + t B) at t = 0 is tr(M^-1 B). So factor M = I + sign G
 * into L D L^T and carry along the derivative of every entry: the score is the sum over
 * pivots of (derivative / pivot). That is r^3 / 2 multiply-adds, no solve and no trace.
 *
 * By blocks of columns, from the left: work holds the rows of L D and of its
 * derivative; the rows that belong to the block at hand are also kept as rows of L.
 */
static VEC NAME(score_part)(int r, REAL sign, const REAL *g, const REAL *b, REAL *work)
{
    size_t triangle = (size_t) r * (size_t) (r + 1) / 2 * LANES,
           wide = (size_t) r * LANES;
    REAL *all_m = work, *all_t = work + triangle, *inverse = all_t + triangle;
    REAL *ratio = inverse + wide;
    VEC score = { 0 };
    MASK bad = { 0 };
    NAME(pivots)
    block = { ratio + wide, ratio + (1 + BLOCK) * wide, { { 0 } }, { { 0 } } };

    for (int j = 0; j < r; j += BLOCK)
        for (int i = j; i < r; i++) {
            size_t row = (size_t) i * (size_t) (i + 1) / 2;
            REAL *mi = all_m + row * LANES, *ti = all_t + row * LANES;

            if (i >= j + BLOCK) {
                NAME(lower_row)(i, j, r, sign, g, b, mi, ti, &block, &score, &bad);
                continue;
            }
            NAME(diagonal_row)
            (i, j, r, sign, g, b, mi, ti, inverse, ratio, &block, &score, &bad);
            AT(inverse, i) = block.inverse[i - j];
            AT(ratio, i) = block.ratio[i - j];
        }
    return (VEC) ((MASK) score | bad); /* all bits set: NaN */
}

/* The same for r = 1, where nothing is left but the work of getting there. */
static VEC NAME(score_number)(REAL sign, const REAL *g, const REAL *b)
{
    VEC pivot = 1 + sign * IN(g, 0), score = IN(b, 0) * (1 / pivot);

    return (VEC) ((MASK) score | ~(pivot > 0));
}

static void NAME(score)(int r, REAL sign, const REAL *g, const REAL *b, REAL *work,
                        REAL *out)
{
    for (int part = 0; part < PARTS; part++) {
        size_t skip = (size_t) part * (LANES / PARTS);

        ((VEC *) out)[part] =
            r == 1 ? NAME(score_number)(sign, g + skip, b + skip)
                   : NAME(score_part)(r, sign, g + skip, b + skip, work + skip);
    }
}

#undef VEC
#undef MASK
#undef LANES
#undef PARTS
#undef AT
#undef IN
