#include "cli_impl.h"
#include "fmal/data.h"
#include "fmal/log.h"

#include <stddef.h>

typedef struct {
    common_options common;
    int format;
    fmal_strings images, test_images;
    char *labels, *test_labels, *output;
    bool force;
} import_options;

#define AT(member) offsetof(import_options, member)
static const fmal_opt table[] = {
    { .name = "format",
      .letter = 'f',
      .type = FMAL_OPT_CHOICE,
      .offset = AT(format),
      .choices = fmal_reader_names,
      .arg = "NAME",
      .required = true,
      .help = "format of the files" },
    { .name = "images",
      .type = FMAL_OPT_LIST,
      .offset = AT(images),
      .required = true,
      .arg = "FILE...",
      .help = "training images (idx: one file; cifar10: any batches)" },
    { .name = "labels",
      .type = FMAL_OPT_STRING,
      .offset = AT(labels),
      .arg = "FILE",
      .help = "training labels (idx)" },
    { .name = "test-images",
      .type = FMAL_OPT_LIST,
      .offset = AT(test_images),
      .arg = "FILE...",
      .help = "test images" },
    { .name = "test-labels",
      .type = FMAL_OPT_STRING,
      .offset = AT(test_labels),
      .arg = "FILE",
      .help = "test labels (idx)" },
    { .name = "output",
      .letter = 'o',
      .type = FMAL_OPT_STRING,
      .offset = AT(output),
      .arg = "FILE",
      .required = true,
      .help = "data set to write, HDF5" },
    { .name = "force",
      .type = FMAL_OPT_FLAG,
      .offset = AT(force),
      .help = "replace the output if it exists" },
    { .name = NULL },
};

static fmal_status check_not_input(const char *output, const char *input)
{
    if (!input || !fmal_file_same(output, input))
        return FMAL_OK;
    return FMAL_FAIL(FMAL_ERR_USAGE, "%s: is read; give another name to --output",
                     output);
}

static fmal_status check_output(const import_options *o)
{
    FMAL_TRY(fmal_file_check_output(o->output, o->force));
    FMAL_TRY(check_not_input(o->output, o->labels));
    FMAL_TRY(check_not_input(o->output, o->test_labels));
    for (int i = 0; i < o->images.count; i++)
        FMAL_TRY(check_not_input(o->output, o->images.item[i]));
    for (int i = 0; i < o->test_images.count; i++)
        FMAL_TRY(check_not_input(o->output, o->test_images.item[i]));
    return FMAL_OK;
}

static fmal_status run(cli *c, void *given)
{
    const import_options *o = given;
    fmal_import job = { .images = o->images.item,
                        .n_images = o->images.count,
                        .test_images = o->test_images.item,
                        .n_test_images = o->test_images.count,
                        .labels = o->labels,
                        .test_labels = o->test_labels,
                        .output = o->output,
                        .history = c->history };

    FMAL_TRY(check_output(o));
    FMAL_TRY(fmal_import_run(&fmal_readers[o->format], &job));
    printf("%s\n", o->output);
    fmal_log(FMAL_LOG_INFO, "import", "seconds=%.1f; fmal inspect %s shows it",
             fmal_now() - c->start, o->output);
    return FMAL_OK;
}

const command command_import = {
    .name = "import",
    .summary = "make a data set from files of the field's formats",
    .usage = "--format NAME --images FILE... --output FILE [options]",
    .text =
        "Reads images and labels, checks them, and writes a data set as HDF5 for fmal "
        "run.\nFormats: idx (the MNIST family, plain or gzip) and cifar10 (binary "
        "batches).\n\n"
        "  fmal import -f idx --images train-images-idx3-ubyte.gz \\\n"
        "      --labels train-labels-idx1-ubyte.gz -o mnist.h5\n"
        "  fmal import -f cifar10 --images data_batch_*.bin \\\n"
        "      --test-images test_batch.bin -o cifar10.h5",
    .options = table,
    .size = sizeof(import_options),
    .run = run,
};
