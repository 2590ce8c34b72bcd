/* Files opened by all ranks together, and rows read by each. */
#include "bad_files.h"

#include <stdio.h>

enum { WIDTH = 5, MAX_ROWS = 1000 };

static const struct {
    const char *name;
    fmal_idx n;
    bool compress;
    fmal_type type;
} sets[] = {
    { "/few", 3, false, FMAL_F32 },          { "/plain", 37, false, FMAL_F32 },
    { "/bytes", 37, false, FMAL_U8 },        { "/packed", 1000, true, FMAL_F32 },
    { "/packed_i64", 1000, true, FMAL_I64 }, { "/none", 0, true, FMAL_F32 },
};

static double value_at(fmal_idx row, int column)
{
    return (double) ((row * 7 + column) % 250);
}

static fmal_status write_sets(const char *path, fmal_save how)
{
    fmal_h5 *h = NULL;
    fmal_status st = fmal_h5_create_image(&h);

    for (int i = 0; i < FMAL_COUNT(sets) && st == FMAL_OK; i++) {
        static union {
            uint8_t u8[WIDTH * MAX_ROWS];
            float f32[WIDTH * MAX_ROWS];
            int64_t i64[WIDTH * MAX_ROWS];
        } data;
        fmal_h5_spec spec = { .name = sets[i].name,
                              .type = sets[i].type,
                              .ndims = 2,
                              .dims = { sets[i].n, WIDTH },
                              .compress = sets[i].compress };

        for (fmal_idx k = 0; k < sets[i].n * WIDTH; k++) {
            double x = value_at(k / WIDTH, (int) (k % WIDTH));

            if (sets[i].type == FMAL_U8)
                data.u8[k] = (uint8_t) x;
            else if (sets[i].type == FMAL_F32)
                data.f32[k] = (float) x;
            else
                data.i64[k] = (int64_t) x;
        }
        st = fmal_h5_write(h, &spec, &data);
    }
    if (st == FMAL_OK)
        st = fmal_h5_attr_i64(h, "/", "k", 7);
    if (st == FMAL_OK)
        st = fmal_h5_save(h, path, how);
    fmal_h5_close(&h);
    return st;
}

/* ---- Which rows each rank reads ---- */

typedef void ranges(const fmal_ctx *ctx, fmal_idx n, fmal_idx *first, fmal_idx *count);

static void shares(const fmal_ctx *ctx, fmal_idx n, fmal_idx *first, fmal_idx *count)
{
    fmal_part part = fmal_part_make(n, 16, ctx);

    *first = part.first;
    *count = part.count;
}

static void nothing(const fmal_ctx *ctx, fmal_idx n, fmal_idx *first, fmal_idx *count)
{
    (void) ctx;
    *first = n;
    *count = 0;
}

static void everything(const fmal_ctx *ctx, fmal_idx n, fmal_idx *first,
                       fmal_idx *count)
{
    (void) ctx;
    *first = 0;
    *count = n;
}

static void last_only(const fmal_ctx *ctx, fmal_idx n, fmal_idx *first, fmal_idx *count)
{
    everything(ctx, n, first, count);
    if (ctx->rank != ctx->size - 1)
        *count = 0;
}

/* Ranges that overlap, and a rank in the middle without any. */
static void overlapping(const fmal_ctx *ctx, fmal_idx n, fmal_idx *first,
                        fmal_idx *count)
{
    *first = n / 10 * ctx->rank;
    *count = ctx->rank == 1 ? 0 : n / 2;
}

static const struct {
    const char *name;
    ranges *range;
} ways[] = {
    { "a share each", shares },        { "nothing", nothing },
    { "everything each", everything }, { "the last rank only", last_only },
    { "overlapping", overlapping },
};

static bool reads(fmal_test *t, fmal_h5 *h, int set, int way, fmal_type as)
{
    static float singles[WIDTH * MAX_ROWS];
    static double doubles[WIDTH * MAX_ROWS];
    fmal_idx first, count;

    ways[way].range(&t->ctx, sets[set].n, &first, &count);
    void *out = as == FMAL_F32 ? (void *) singles : (void *) doubles;
    fmal_status st =
        fmal_h5_read_rows(h, sets[set].name, as, first, count, count ? out : NULL);
    bool ok = st == FMAL_OK;
    for (fmal_idx k = 0; ok && k < count * WIDTH; k++) {
        double got = as == FMAL_F32 ? (double) singles[k] : doubles[k];

        ok = got == value_at(first + k / WIDTH, (int) (k % WIDTH));
    }
    return ok;
}

static void test_reading(fmal_test *t, const char *path, const char *kind)
{
    fmal_h5 *h = NULL;
    int64_t k = 0;
    fmal_status st = fmal_h5_open_all(&t->ctx, path, &h);

    fmal_test_status(t, st, FMAL_OK, kind);
    if (st != FMAL_OK)
        return;
    for (int set = 0; set < FMAL_COUNT(sets); set++) {
        for (int way = 0; way < FMAL_COUNT(ways); way++)
            fmal_test_ok(
                t, reads(t, h, set, way, FMAL_F32) && reads(t, h, set, way, FMAL_F64),
                "%s: %s: %s", kind, sets[set].name, ways[way].name);
    }
    fmal_h5_info info;
    fmal_h5_info_of(h, "/packed", &info);
    fmal_test_ok(t, info.exists && info.dims[0] == 1000, "%s: what is there", kind);
    fmal_h5_info_of(h, "/missing/set", &info);
    fmal_test_ok(t, !info.exists, "%s: what is not", kind);
    fmal_test_ok(t, fmal_h5_get_i64(h, "/", "k", &k) == FMAL_OK && k == 7,
                 "%s: an attribute", kind);
    float x;
    st = fmal_h5_read_rows(h, "/missing", FMAL_F32, 0, 0, &x);
    fmal_test_ok(t, st == FMAL_ERR_IO && strstr(fmal_error_text(), "/missing"),
                 "%s: a dataset that is not there", kind);
    fmal_test_ok(t, fmal_h5_close(&h) == FMAL_OK && !h, "%s: closed", kind);
}

/* Every rank has the verdict and the text of the root. */
static void test_bad(fmal_test *t)
{
    for (int i = 0; i < FMAL_COUNT(bad_files); i++) {
        const char *path = fmal_test_path(t, bad_files[i].file);
        fmal_h5 *h = NULL;

        fmal_error_set("", "");
        fmal_status st = fmal_h5_open_all(&t->ctx, path, &h);
        fmal_test_ok(t,
                     st == bad_files[i].want && !h &&
                         strstr(fmal_error_text(), bad_files[i].says),
                     "%s", bad_files[i].name);
    }
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);
    char plain[512], checked[512];
    fmal_status st = FMAL_OK;

    snprintf(plain, sizeof plain, "%s", fmal_test_path(&t, "plain.h5"));
    snprintf(checked, sizeof checked, "%s", fmal_test_path(&t, "checked.h5"));
    if (t.ctx.rank == 0) {
        st = write_bad_files(fmal_test_dir(&t));
        if (st == FMAL_OK)
            st = write_sets(plain, FMAL_SAVE_PLAIN);
        if (st == FMAL_OK)
            st = write_sets(checked, FMAL_SAVE_CHECKED);
    }
    st = fmal_agree_root(&t.ctx, st);
    fmal_test_status(&t, st, FMAL_OK, "files");
    if (st == FMAL_OK) {
        test_reading(&t, plain, "plain");
        test_reading(&t, checked, "behind a head");
        test_bad(&t);
    }
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
