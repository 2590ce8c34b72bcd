/* Checked allocation. */
#include "fmal_test.h"

#include "fmal/mem.h"

#include <stdint.h>
#include <string.h>

/* A sanitizer's allocator is to fail as the system's does. */
const char *__asan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static const struct {
    const char *name;
    fmal_idx count;
    size_t size;
    fmal_status want;
} table[] = {
    { "nothing", 0, 8, FMAL_OK },
    { "elements of no size", 5, 0, FMAL_OK },
    { "one byte", 1, 1, FMAL_OK },
    { "a whole cache line", 8, 8, FMAL_OK },
    { "one more than a cache line", 65, 1, FMAL_OK },
    { "large", 1 << 20, 8, FMAL_OK },
    { "a negative count", -1, 1, FMAL_ERR_NOMEM },
    { "the most negative count", INT64_MIN, 8, FMAL_ERR_NOMEM },
    { "a product past the address space", INT64_MAX, 8, FMAL_ERR_NOMEM },
    { "a product that wraps to a small number", ((fmal_idx) 1 << 61) + 1, 8,
      FMAL_ERR_NOMEM },
    { "padding past the address space", 1, SIZE_MAX - 1, FMAL_ERR_NOMEM },
    { "more than any machine has", (fmal_idx) 1 << 60, 4, FMAL_ERR_NOMEM },
};

static bool all_zero(const char *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (p[i])
            return false;
    return true;
}

static void test_alloc(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(table); i++) {
        char untouched, *p = &untouched;
        fmal_status st = fmal_alloc(&p, table[i].count, table[i].size);
        bool ok = st == table[i].want;

        if (st == FMAL_OK) {
            size_t bytes = (size_t) table[i].count * table[i].size;

            ok = ok && p && (uintptr_t) p % 64 == 0 && all_zero(p, bytes);
            memset(p, 1, bytes);
            fmal_free(&p);
            ok = ok && !p;
        } else {
            ok = ok && p == &untouched && *fmal_error_text();
        }
        fmal_test_ok(t, ok, "%s", table[i].name);
    }
}

static void test_typed(fmal_test *t)
{
    double *x = NULL;
    fmal_status st = FMAL_ALLOC(&x, 3);

    fmal_test_ok(t, st == FMAL_OK && x[0] == 0 && x[2] == 0, "a typed pointer");
    fmal_free(&x);
    fmal_free(&x);
    fmal_test_ok(t, !x, "freeing NULL is fine");
}

static void test_strdup(fmal_test *t)
{
    static const char *const words[] = {
        "", "a", "sixty-four bytes of text: one more than fits in a cache line..."
    };

    for (int i = 0; i < FMAL_COUNT(words); i++) {
        char *copy = fmal_strdup(words[i]);

        fmal_test_ok(t, copy && copy != words[i] && strcmp(copy, words[i]) == 0,
                     "a copy of a text of %zu bytes", strlen(words[i]));
        fmal_free(&copy);
    }
}

static void test_usage(fmal_test *t)
{
    enum { BYTES = 64 << 20 };
    double before = fmal_mem_peak();
    char *p = NULL;
    fmal_status st = FMAL_ALLOC(&p, BYTES);

    if (st == FMAL_OK)
        memset(p, 1, BYTES);
    fmal_test_ok(t, before == 0 || (before > 1e5 && fmal_mem_peak() >= BYTES),
                 "the peak sees what was used");
    fmal_free(&p);
    fmal_test_ok(t, fmal_mem_available() >= 0, "what is available");
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    test_alloc(&t);
    test_typed(&t);
    test_strdup(&t);
    test_usage(&t);
    return fmal_test_end(&t);
}
