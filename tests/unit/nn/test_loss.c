/* Softmax cross-entropy of hand-made logits. */
#include "fmal_test.h"

#include "fmal/nn.h"

#include <math.h>

enum { CLASSES = 3, SAMPLES = 2 };

static const struct {
    const char *name;
    int n;
    float logits[SAMPLES * CLASSES];
    int32_t labels[SAMPLES];
    int correct;
    double loss;
} table[] = {
    { "equal logits; the tie goes to the lowest class",
      2,
      { 5, 5, 5, -7, -7, -7 },
      { 0, 1 },
      1,
      2.1972245773362196 },
    { "large logits do not overflow", 1, { 3e4f, 0, -3e4f }, { 1 }, 0, 3e4 },
    { "a sure and right sample costs nothing", 1, { 0, 0, 900 }, { 2 }, 1, 0 },
    { "one ahead by log 2", 1, { 0.6931472f, 0, 0 }, { 0 }, 1, 0.6931471805599453 },
    { "unknown labels count for nothing",
      2,
      { 1, 2, 3, 4, 4, 4 },
      { -1, 1 },
      0,
      1.0986122886681098 },
    { "no samples", 0, { 0 }, { 0 }, 0, 0 },
};

static void test_values(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(table); i++) {
        double loss = -1;
        int correct = -1;

        fmal_softmax_loss(table[i].logits, table[i].labels, table[i].n, CLASSES, NULL,
                          &loss, &correct);
        fmal_test_ok(t,
                     fmal_test_close(loss, table[i].loss, 1e-7, 1) &&
                         correct == table[i].correct,
                     "%s", table[i].name);
    }
}

static void test_slope(fmal_test *t)
{
    const float logits[] = { 1, 2, 3, 12, -50, 0, 1, 1, 1 };
    const int32_t labels[] = { 1, 0, -1 };
    const double e[] = { exp(-2), exp(-1), 1 };
    const double sum = e[0] + e[1] + e[2];
    float s[3 * CLASSES];
    double loss;
    int correct;

    fmal_softmax_loss(logits, labels, 3, CLASSES, s, &loss, &correct);
    fmal_test_ok(t,
                 fmal_test_close(s[0], e[0] / sum, 1e-6, 0) &&
                     fmal_test_close(s[1], e[1] / sum - 1, 1e-6, 0) &&
                     fmal_test_close(s[2], e[2] / sum, 1e-6, 0),
                 "the slope is probability minus label");
    fmal_test_ok(t, fmal_test_close(s[3], -1 / (exp(12) + 1), 1e-6, 0),
                 "the slope of a sure sample keeps its digits");
    fmal_test_ok(t, s[6] == 0 && s[7] == 0 && s[8] == 0,
                 "an unknown label has no slope");
}

static void test_not_finite(fmal_test *t)
{
    const float logits[][CLASSES] = {
        { NAN, 0, 0 }, { 0, 0, NAN }, { 0, INFINITY, 0 }, { -INFINITY, NAN, INFINITY }
    };
    bool ok = true;

    for (int i = 0; i < FMAL_COUNT(logits); i++) {
        double loss = 0;
        int correct;

        fmal_softmax_loss(logits[i], (const int32_t[]){ 0 }, 1, CLASSES, NULL, &loss,
                          &correct);
        ok = ok && isnan(loss);
    }
    fmal_test_ok(t, ok, "infinite and undefined logits make the loss NaN");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_values(&t);
    test_slope(&t);
    test_not_finite(&t);
    return fmal_test_end(&t);
}
