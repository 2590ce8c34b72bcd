#include "pass.h"

#include <math.h>

/* First class with the largest logit. */
static int largest_class(const fmal_real *z, int c)
{
    int best = 0;

    for (int k = 1; k < c; k++)
        if (z[k] > z[best])
            best = k;
    return best;
}

/* With the largest logit subtracted every exponential is at most 1, and one of them is
   1, so that neither their sum nor its logarithm can overflow. */
static double sample_loss(const fmal_real *z, int label, int c, double top,
                          fmal_real *slope)
{
    double sum = 0;

    for (int k = 0; k < c; k++)
        sum += exp(z[k] - top);
    for (int k = 0; slope && k < c; k++)
        slope[k] = (fmal_real) (exp(z[k] - top) / sum - (k == label));
    return log(sum) - (z[label] - top);
}

void FMAL_REAL(fmal_cross_entropy)(const fmal_real *logits, const int32_t *labels,
                                   int n, int c, fmal_real *slope, double *loss,
                                   int *correct)
{
    double total = 0;
    int right = 0;

    for (int i = 0; i < n; i++) {
        const fmal_real *z = logits + (fmal_idx) i * c;
        fmal_real *s = slope ? slope + (fmal_idx) i * c : NULL;

        if (labels[i] < 0) {
            for (int k = 0; s && k < c; k++)
                s[k] = 0;
            continue;
        }
        int best = largest_class(z, c);
        total += sample_loss(z, labels[i], c, z[best], s);
        right += best == labels[i];
    }
    *loss = total;
    *correct = right;
}
