/* Importing CIFAR-10's binary batches: round trips and every refusal. */
#include "import_files.h"

enum { PIXELS = 3 * 32 * 32, RECORD = 1 + PIXELS };

/* Two training batches whose border is in the middle of a block, and a test batch. */
enum { FIRST, SECOND, TEST, FILES };

static const int records[FILES] = { 300, 29, 4 };

static blob file[FILES];
static char path[FILES][512], output[512];

static void build(void)
{
    unsigned sample = 0;

    for (int f = 0; f < FILES; f++) {
        file[f].size = 0;
        for (int i = 0; i < records[f]; i++, sample++) {
            file[f].data[file[f].size++] = (unsigned char) (sample % 10);
            for (unsigned j = 0; j < PIXELS; j++)
                file[f].data[file[f].size++] = noise(sample * PIXELS + j);
        }
    }
}

static void write_files(void)
{
    for (int i = 0; i < FILES; i++)
        blob_write(&file[i], path[i]);
}

static fmal_import whole_job(void)
{
    static char *images[2] = { path[FIRST], path[SECOND] };
    static char *test_images[1] = { path[TEST] };

    return (fmal_import){ .images = images,
                          .n_images = 2,
                          .test_images = test_images,
                          .n_test_images = 1,
                          .output = output };
}

/* ---- Round trips ---- */

static bool same_split(const fmal_split *split, int n, unsigned first)
{
    const unsigned char *pixel = split->rows;

    if (split->part.n != n)
        return false;
    for (unsigned i = 0; i < (unsigned) n; i++) {
        if (split->labels[i] != (int32_t) ((first + i) % 10))
            return false;
        for (unsigned j = 0; j < PIXELS; j++)
            if (pixel[i * PIXELS + j] != noise((first + i) * PIXELS + j))
                return false;
    }
    return true;
}

static void test_round_trip(fmal_test *t, const char *name, bool gz, bool with_test)
{
    fmal_import job = whole_job();
    fmal_dataset *set = NULL;
    int n = records[FIRST] + records[SECOND];

    build();
    if (gz)
        blob_gzip(&file[SECOND]); /* one of two is as good as both */
    write_files();
    job.n_test_images = with_test;
    fmal_test_status(t, fmal_import_run(&fmal_readers[1], &job), FMAL_OK, name);
    fmal_test_status(t, fmal_dataset_open(&t->ctx, output, &set), FMAL_OK, "opens");
    if (!set)
        return;
    fmal_test_ok(t, same_split(&set->train, n, 0), "the same training samples");
    fmal_test_ok(t, same_split(&set->test, with_test ? records[TEST] : 0, (unsigned) n),
                 "the same test samples");
    fmal_test_ok(t,
                 set->classes == 10 && strcmp(set->class_names[0], "airplane") == 0 &&
                     strcmp(set->class_names[9], "truck") == 0,
                 "class names");
    fmal_test_ok(t, set->shape[0] == 3 && set->shape[1] == 32 && set->shape[2] == 32,
                 "shape");
    fmal_test_ok(t, set->mean[0] != set->mean[2] && set->std[1] > 0.2f,
                 "statistics of each channel");
    fmal_dataset_close(&set);
}

/* ---- Refusals ---- */

static void cut_record(void)
{
    file[SECOND].size -= 100;
}

static void cut_to_label(void)
{
    file[FIRST].size = 256 * RECORD + 1;
}

static void longer(void)
{
    file[TEST].size++;
}

static void empty(void)
{
    file[SECOND].size = 0;
}

static void large_label(void)
{
    file[FIRST].data[260 * RECORD] = 10;
}

static void large_test_label(void)
{
    file[TEST].data[0] = 255;
}

static void tar(void)
{
    memcpy(file[FIRST].data, "cifar-10-batches-bin/", 22);
    memcpy(file[FIRST].data + 257, "ustar", 5);
}

static void xz(void)
{
    memcpy(file[TEST].data,
           "\xfd"
           "7zXZ\0",
           6);
}

static void gzip_wrong_checksum(void)
{
    blob_gzip(&file[SECOND]);
    file[SECOND].data[file[SECOND].size - 8] ^= 1;
}

static void gzip_cut(void)
{
    blob_gzip(&file[SECOND]);
    file[SECOND].size /= 2;
}

static void gzip_cut_trailer(void)
{
    blob_gzip(&file[SECOND]);
    file[SECOND].size -= 2;
}

static const struct {
    const char *name;
    void (*spoil)(void);
    const char *words[3];
} refusals[] = {
    { "cut",
      cut_record,
      { "second: truncated", "offset 86044", "3073 bytes expected" } },
    { "cut after a label",
      cut_to_label,
      { "first: truncated", "offset 786688", "1 are" } },
    { "longer", longer, { "test: truncated", "offset 12292" } },
    { "empty", empty, { "second: is empty" } },
    { "label 10", large_label, { "label 10 at offset 798980", "0 to 9" } },
    { "label 255", large_test_label, { "test: label 255 at offset 0" } },
    { "a tar archive", tar, { "is a tar archive", "tar -xf" } },
    { "xz", xz, { "is xz-compressed", "xz -dk" } },
    { "gzip, wrong checksum", gzip_wrong_checksum, { "damaged", "data check" } },
    { "gzip, cut", gzip_cut, { "second: truncated" } },
    { "gzip, cut in its trailer", gzip_cut_trailer, { "stops before its checksum" } },
};

static void test_refusals(fmal_test *t)
{
    fmal_import job = whole_job();

    for (int i = 0; i < FMAL_COUNT(refusals); i++) {
        build();
        refusals[i].spoil();
        write_files();
        precious_write(output);
        fmal_test_status(t, fmal_import_run(&fmal_readers[1], &job), FMAL_ERR_FORMAT,
                         refusals[i].name);
        fmal_test_ok(t, error_says(refusals[i].words) && precious_intact(output),
                     "%s: the message, and nothing is written", refusals[i].name);
    }
}

static void test_misuse(fmal_test *t)
{
    static const char *const words[3] = { "--labels" };
    fmal_import job = whole_job();

    build();
    write_files();
    precious_write(output);
    job.labels = path[FIRST];
    fmal_test_status(t, fmal_import_run(&fmal_readers[1], &job), FMAL_ERR_USAGE,
                     "labels are not wanted");
    fmal_test_ok(t, error_says(words) && precious_intact(output), "and it is said");
    job = whole_job();
    job.images[1] = "/nonexistent/batch.bin";
    fmal_test_status(t, fmal_import_run(&fmal_readers[1], &job), FMAL_ERR_IO,
                     "a batch that is not there");
    fmal_test_ok(t, precious_intact(output), "nothing is written");
}

int main(int argc, char **argv)
{
    static const char *const names[FILES] = { "first", "second", "test" };
    fmal_test t = fmal_test_begin(&argc, &argv);

    for (int i = 0; i < FILES; i++)
        snprintf(path[i], sizeof path[i], "%s", fmal_test_path(&t, names[i]));
    snprintf(output, sizeof output, "%s", fmal_test_path(&t, "out.h5"));
    test_round_trip(&t, "plain batches", false, true);
    test_round_trip(&t, "a gzip batch", true, true);
    test_round_trip(&t, "no test split", false, false);
    test_refusals(&t);
    test_misuse(&t);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
