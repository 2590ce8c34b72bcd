/* Importing where the disk, the output or another process is in the way; and the real
 * Fashion-MNIST. */
#include "import_files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* 20 blocks of 14 x 14: 1 MB that does not compress. */
enum { N = 5000, SIDE = 14 };

static char images[512], labels[512], output[512];

static fmal_import job_of_noise(void)
{
    static char *files[1] = { images };

    return (fmal_import){
        .images = files, .n_images = 1, .labels = labels, .output = output
    };
}

static void write_noise(void)
{
    static blob b;

    blob_word(&b, 0x803);
    blob_word(&b, N);
    blob_word(&b, SIDE);
    blob_word(&b, SIDE);
    for (unsigned i = 0; i < N * SIDE * SIDE; i++)
        b.data[b.size++] = noise(i);
    blob_write(&b, images);
    b.size = 0;
    blob_word(&b, 0x801);
    blob_word(&b, N);
    for (unsigned i = 0; i < N; i++)
        b.data[b.size++] = noise(i) % 10;
    blob_write(&b, labels);
}

/* ---- A full disk ---- */

/* No file of this process may exceed so many bytes: writes beyond fail as on a full
 * disk.
 */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;

    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
}

static fmal_status import_within(rlim_t bytes)
{
    fmal_import job = job_of_noise();

    fflush(stdout);
    limit_files(bytes);
    fmal_status st = fmal_import_run(&fmal_readers[0], &job);
    limit_files(RLIM_INFINITY);
    return st;
}

static off_t size_of(const char *path)
{
    struct stat s;

    return stat(path, &s) == 0 ? s.st_size : 0;
}

/* The disk fills up at every stage: creating, streaming, and, near the whole size, when
 * classes, statistics and HDF5's own data are written at the end. */
static void test_full_disk(fmal_test *t)
{
    static const char *const words[3] = { "out.h5.new", "cannot write", "large" };
    int failed_well = 0, tried = 0;

    signal(SIGXFSZ, SIG_IGN); /* as the program does */
    fmal_test_status(t, import_within(RLIM_INFINITY), FMAL_OK, "room enough");
    off_t whole = size_of(output);
    for (off_t bytes = 0; bytes < whole; tried++) {
        precious_write(output);
        fmal_status st = import_within((rlim_t) bytes);
        bool well = st == FMAL_ERR_IO && error_says(words) && precious_intact(output);

        if (!well)
            printf("# with %ld bytes of %ld: %s\n", (long) bytes, (long) whole,
                   fmal_status_text(st));
        failed_well += well;
        bytes += bytes < 4096 || bytes > whole - 30000 ? 512 : 30011;
    }
    fmal_test_ok(t, tried > 50 && failed_well == tried,
                 "%d of %d full disks are reported, and leave nothing behind",
                 failed_well, tried);
    fmal_test_status(t, import_within(RLIM_INFINITY), FMAL_OK, "room again");
    fmal_test_ok(t, size_of(output) == whole, "the same size as before");
}

/* ---- Others ---- */

/* What another process is writing is neither shared nor removed. */
static void test_busy(fmal_test *t)
{
    static const char *const words[3] = { "out.h5.new", "another process" };
    fmal_import job = job_of_noise();
    char temporary[600];

    snprintf(temporary, sizeof temporary, "%s.new", output);
    int fd = open(temporary, O_RDWR | O_CREAT, 0666);
    bool locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
    fmal_test_status(t, fmal_import_run(&fmal_readers[0], &job),
                     locked ? FMAL_ERR_IO : FMAL_OK, "the same output twice at a time");
    fmal_test_ok(t, !locked || (error_says(words) && fmal_file_exists(temporary)),
                 "is said, and the other's file stays");
    close(fd);
    fmal_test_status(t, fmal_import_run(&fmal_readers[0], &job), FMAL_OK,
                     "what a dead process left is replaced");
    fmal_test_ok(t, !fmal_file_exists(temporary), "and gone");
}

static void test_same_bytes(fmal_test *t)
{
    fmal_import job = job_of_noise();
    char *data[2] = { NULL, NULL };
    size_t bytes[2] = { 0, 1 };

    for (int i = 0; i < 2; i++)
        if (fmal_import_run(&fmal_readers[0], &job) != FMAL_OK ||
            fmal_file_read(output, 10 << 20, &data[i], &bytes[i]) != FMAL_OK)
            printf("# %s\n", fmal_error_text());
    fmal_test_ok(t, bytes[0] == bytes[1] && memcmp(data[0], data[1], bytes[0]) == 0,
                 "importing twice gives the same bytes");
    fmal_free(&data[0]);
    fmal_free(&data[1]);
}

static void test_registry(fmal_test *t)
{
    int n = 0;

    while (fmal_readers[n].name && fmal_reader_names[n] &&
           strcmp(fmal_readers[n].name, fmal_reader_names[n]) == 0)
        n++;
    fmal_test_ok(t, n == 2 && !fmal_readers[n].name && !fmal_reader_names[n],
                 "the list of names is the list of readers");
}

/* ---- Fashion-MNIST ---- */

#define REAL "/usr/share/datasets/fashion-mnist/"

static bool balanced(const fmal_split *split, fmal_idx each)
{
    fmal_idx count[10] = { 0 };

    for (fmal_idx i = 0; i < split->part.count; i++)
        count[split->labels[i]]++;
    for (int k = 0; k < 10; k++)
        if (count[k] != each)
            return false;
    return true;
}

static void test_real(fmal_test *t)
{
    char *train = REAL "train-images-idx3-ubyte.gz";
    char *test = REAL "t10k-images-idx3-ubyte.gz";
    fmal_import job = { .images = &train,
                        .n_images = 1,
                        .labels = REAL "train-labels-idx1-ubyte.gz",
                        .test_images = &test,
                        .n_test_images = 1,
                        .test_labels = REAL "t10k-labels-idx1-ubyte.gz",
                        .output = output };
    fmal_dataset *set = NULL;

    if (!fmal_file_exists(train)) {
        printf("# skipped: Fashion-MNIST is not in " REAL "\n");
        return;
    }
    fmal_test_status(t, fmal_import_run(&fmal_readers[0], &job), FMAL_OK,
                     "Fashion-MNIST");
    fmal_test_status(t, fmal_dataset_open(&t->ctx, output, &set), FMAL_OK, "opens");
    if (!set)
        return;
    fmal_test_ok(t, set->train.part.n == 60000 && set->test.part.n == 10000, "counts");
    fmal_test_ok(t, balanced(&set->train, 6000) && balanced(&set->test, 1000),
                 "as many of each class");
    fmal_test_ok(t, fmal_test_close(set->mean[0], 0.2860, 5e-5, 1), "mean %.4f",
                 (double) set->mean[0]);
    fmal_test_ok(t, fmal_test_close(set->std[0], 0.3530, 5e-5, 1), "std %.4f",
                 (double) set->std[0]);
    fmal_dataset_close(&set);
}

int main(int argc, char **argv)
{
    fmal_test t = fmal_test_begin(&argc, &argv);

    snprintf(images, sizeof images, "%s", fmal_test_path(&t, "images"));
    snprintf(labels, sizeof labels, "%s", fmal_test_path(&t, "labels"));
    snprintf(output, sizeof output, "%s", fmal_test_path(&t, "out.h5"));
    write_noise();
    test_registry(&t);
    test_same_bytes(&t);
    test_busy(&t);
    test_full_disk(&t);
    test_real(&t);
    fmal_h5_shutdown();
    return fmal_test_end(&t);
}
